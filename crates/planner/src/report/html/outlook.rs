//! What is to be expected: the forecast with its distribution, and what drives it.

use super::{Page, escaped};
use crate::forecast::{Driver, Forecast, Percentiles};
use crate::format::{duration, moment};
use crate::plan::Plan;

const WIDTH: f64 = 1000.0;
const HEIGHT: f64 = 200.0;
const LEFT: f64 = 40.0;
const RIGHT: f64 = 980.0;
const BASE: f64 = 150.0;
const TOP: f64 = 24.0;

pub(super) fn forecast(page: &mut Page, plan: &Plan) {
    let forecast = &plan.forecast;
    if forecast.runs == 0 {
        return;
    }
    page.raw("<section><h2>What to expect</h2><dl class=\"facts\">");
    let has_windows = !plan.inventory.windows.is_empty();
    three(page, "All mail is served by the new server", &forecast.moved_seconds);
    if has_windows {
        let at = &forecast.moved_us;
        fact(page, "In four of five cases by", &format!("{} UTC", &moment(at.p80)[..16]));
    }
    three(page, "Until the last step is done", &forecast.elapsed_seconds);
    if let Some(share) = forecast.fits_deadline {
        fact(page, "The deadline is kept", &format!("in {:.0} of 100 cases", share * 100.0));
    }
    if let Some(seconds) = forecast.start_deadline_seconds {
        fact(page, "Let the store start for", &duration(seconds));
    }
    fact(page, "Grade of the numbers", &forecast.grade.letter);
    page.raw("</dl>");
    if !forecast.grade.reasons.is_empty() {
        let reasons = forecast.grade.reasons.join("; ");
        page.element("p class=\"note\"", &format!("Not better because {reasons}."));
    }
    distribution(page, forecast, has_windows);
    drivers(page, forecast);
    page.raw("</section>\n");
}

fn fact(page: &mut Page, name: &str, value: &str) {
    page.raw("<div>");
    page.element("dt", name);
    page.element("dd", value);
    page.raw("</div>");
}

fn three(page: &mut Page, name: &str, at: &Percentiles) {
    let seconds = |value: i64| duration(u64::try_from(value).unwrap_or(0));
    page.raw("<div>");
    page.element("dt", name);
    page.raw("<dd>");
    page.text(&seconds(at.p50));
    let [p80, p95] = [at.p80, at.p95].map(|value| whole(&seconds(value)));
    page.element("small", &format!(" P80\u{a0}{p80} · P95\u{a0}{p95}"));
    page.raw("</dd></div>");
}

/// A text that is not broken into lines.
pub(super) fn whole(text: &str) -> String {
    text.replace(' ', "\u{a0}")
}

/// Columns of how often, and the curve of how surely.
fn distribution(page: &mut Page, forecast: &Forecast, has_windows: bool) {
    let bins = &forecast.histogram;
    let Some((first, second)) = bins.first().zip(bins.get(1)) else { return };
    let most = bins.iter().map(|bin| bin.runs).max().unwrap_or(1).max(1) as f64;
    let start = first.from_seconds as f64;
    let width = (second.from_seconds - first.from_seconds).max(1) as f64;
    let end = start + width * bins.len() as f64;
    let x = |seconds: f64| LEFT + (seconds - start) / (end - start) * (RIGHT - LEFT);
    let y = |share: f64| BASE - share * (BASE - TOP);
    page.put(format_args!(
        "<figure><svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"distribution of \
         the time until all mail is served by the new server\">"
    ));
    for bin in bins {
        let (from, to) = (x(bin.from_seconds as f64), x(bin.from_seconds as f64 + width));
        let top = y(bin.runs as f64 / most);
        page.put(format_args!(
            "<rect class=\"column\" x=\"{:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{:.1}\" />",
            from + 1.0,
            (to - from - 2.0).max(1.0),
            BASE - top
        ));
    }
    curve(page, forecast, &x, &y, width);
    let (seconds, us) = (&forecast.moved_seconds, &forecast.moved_us);
    let marks = [
        ("P50", seconds.p50, us.p50, 0.0),
        ("P80", seconds.p80, us.p80, 13.0),
        ("P95", seconds.p95, us.p95, 26.0),
    ];
    for (name, seconds, us, lower) in marks {
        let at = x(seconds as f64);
        let text_y = BASE + 14.0 + lower;
        // In windows the moment says more than the time since the plan was made.
        let value = match has_windows {
            true => moment(us)[..16].to_owned(),
            false => duration(u64::try_from(seconds).unwrap_or(0)),
        };
        let label = format!("{name} {value}");
        let anchor = if at > RIGHT - 120.0 { "end" } else { "start" };
        page.put(format_args!(
            "<line class=\"mark\" x1=\"{at:.1}\" y1=\"{TOP}\" x2=\"{at:.1}\" y2=\"{:.1}\" />\
             <text class=\"soft\" x=\"{at:.1}\" y=\"{text_y:.1}\" \
             text-anchor=\"{anchor}\">{}</text>",
            BASE + 4.0 + lower,
            escaped(&label)
        ));
    }
    page.put(format_args!(
        "<line class=\"axis\" x1=\"{LEFT}\" y1=\"{BASE}\" x2=\"{RIGHT}\" y2=\"{BASE}\" />\
         <text class=\"soft\" x=\"{}\" y=\"{TOP}\" text-anchor=\"end\">100 %</text>\
         <text class=\"soft\" x=\"{}\" y=\"{BASE}\" text-anchor=\"end\">0</text></svg>",
        LEFT - 4.0,
        LEFT - 4.0
    ));
    let text = format!(
        "Columns: how often the time until all mail is served by the new server falls there, in {} \
         runs (seed {}). Line: in which share of the runs it is over by then.",
        forecast.runs, forecast.seed
    );
    page.element("figcaption", &text);
    page.raw("</figure>");
}

fn curve(
    page: &mut Page,
    forecast: &Forecast,
    x: &dyn Fn(f64) -> f64,
    y: &dyn Fn(f64) -> f64,
    width: f64,
) {
    let mut sum = 0;
    let mut path = String::new();
    for (at, bin) in forecast.histogram.iter().enumerate() {
        let from = x(bin.from_seconds as f64);
        if at == 0 {
            path.push_str(&format!("M{from:.1} {:.1}", y(0.0)));
        }
        sum += bin.runs;
        let share = sum as f64 / forecast.runs as f64;
        path.push_str(&format!("L{:.1} {:.1}", x(bin.from_seconds as f64 + width), y(share)));
    }
    page.put(format_args!("<path class=\"curve\" d=\"{path}\" />"));
}

/// How much shorter or longer the whole becomes by each of the least certain steps.
fn drivers(page: &mut Page, forecast: &Forecast) {
    let most = forecast.drivers.iter().map(|one| one.shorter_seconds + one.longer_seconds).max();
    let Some(most) = most.filter(|most| *most > 0) else { return };
    page.raw("<h3>What the end depends on most</h3><table class=\"drivers\"><tbody>\n");
    // What many servers have in common is told once.
    let same = |a: &Driver, b: &Driver| {
        a.title == b.title
            && (a.shorter_seconds, a.longer_seconds) == (b.shorter_seconds, b.longer_seconds)
    };
    for alike in forecast.drivers.chunk_by(same) {
        let one = &alike[0];
        let step = match alike.len() {
            1 => one.step.to_string(),
            _ => format!("{} and others", one.step),
        };
        let share = |seconds: u64| 100.0 * seconds as f64 / most as f64;
        page.raw("<tr>");
        page.element("td class=\"step\"", &step);
        page.element("td", &one.title);
        page.put(format_args!(
            "<td class=\"tornado\"><span class=\"less\" style=\"width:{:.1}%\"></span><span \
             class=\"more\" style=\"width:{:.1}%\"></span></td>",
            share(one.shorter_seconds),
            share(one.longer_seconds)
        ));
        let text =
            format!("−{} / +{}", duration(one.shorter_seconds), duration(one.longer_seconds));
        page.element("td class=\"number\"", &text);
        page.raw("</tr>\n");
    }
    page.raw("</tbody></table>");
}
