//! Waves as a table, and the disks over the waves as curves.

use super::{Page, escaped};
use crate::format::{bytes, count, duration, moment};
use crate::plan::Plan;
use crate::waves::{Schedule, Wave};

const WIDTH: f64 = 1000.0;
const HEIGHT: f64 = 170.0;
const LEFT: f64 = 86.0;
const RIGHT: f64 = 980.0;
const BASE: f64 = 140.0;
const TOP: f64 = 16.0;
/// How many waves one sees at once.
const WAVES_SEEN_MAX: usize = 12;
/// How many splits are named.
const SPLITS_MAX: usize = 12;

pub(super) fn waves(page: &mut Page, plan: &Plan) {
    let schedule = &plan.schedule;
    if schedule.waves.is_empty() {
        return;
    }
    page.raw("<section><h2>Waves</h2>");
    summary(page, &schedule.waves);
    page.raw("<table class=\"waves\"><thead><tr><th>Wave</th>");
    page.raw("<th>Window (UTC)</th><th class=\"number\">Mailboxes</th>");
    page.raw("<th class=\"number\">Mail</th><th class=\"number\">Sent</th>");
    page.raw("<th class=\"number\">Log</th><th class=\"number\">Takes</th>");
    page.raw("<th>Way back</th></tr></thead><tbody>\n");
    for wave in &schedule.waves {
        row(page, wave);
    }
    page.raw("</tbody></table>");
    parted(page, schedule);
    page.raw("</section>\n<section><h2>Room over the waves</h2>");
    let data: Vec<u64> = schedule.waves.iter().map(|wave| wave.data_bytes_after).collect();
    let names: Vec<String> = schedule.waves.iter().map(short).collect();
    curve(page, ("Mail at the target", &names), &data, schedule.data_limit_bytes);
    let logs: Vec<u64> = schedule.waves.iter().map(|wave| wave.log_bytes).collect();
    let title = "Transaction log at the target";
    saw(page, (title, &names), &logs, schedule.log_limit_bytes);
    page.raw("</section>\n");
}

/// All waves in a sentence, if there are more than one sees at once.
fn summary(page: &mut Page, waves: &[Wave]) {
    let (Some(first), Some(last)) = (waves.first(), waves.last()) else { return };
    if waves.len() <= WAVES_SEEN_MAX {
        return;
    }
    let day = |us: Option<i64>| us.map(|us| moment(us)[..10].to_owned());
    let when = match day(first.opens_us).zip(day(last.closes_us)) {
        Some((from, until)) => format!(" from {from} until {until}"),
        None => String::new(),
    };
    let sum = |of: fn(&Wave) -> u64| waves.iter().map(of).sum::<u64>();
    let most = |of: fn(&Wave) -> u64| waves.iter().map(of).max().unwrap_or(0);
    let text = format!(
        "{} waves{when}: {} mailboxes, {} of mail, {} sent. The largest has {} mailboxes; the \
         longest takes {}, in the bad case {}; the most log of one is {}.",
        waves.len(),
        count(sum(|wave| wave.mailboxes)),
        bytes(sum(|wave| wave.logical_bytes)),
        bytes(sum(|wave| wave.sent_bytes)),
        count(most(|wave| wave.mailboxes)),
        duration(most(|wave| wave.seconds.likely)),
        duration(most(|wave| wave.seconds.high)),
        bytes(most(|wave| wave.log_bytes)),
    );
    page.element("p", &text);
}

/// The name of a wave where there is little room: its number, or `P` for the pilot.
fn short(wave: &Wave) -> String {
    wave.name.strip_prefix("wave ").unwrap_or("P").to_owned()
}

fn row(page: &mut Page, wave: &Wave) {
    page.raw("<tr><td>");
    page.element("strong", &wave.name);
    for text in &wave.together {
        page.raw("<br />");
        page.element("small", text);
    }
    page.raw("</td><td class=\"when\">");
    match wave.opens_us.zip(wave.closes_us) {
        Some((from, until)) => {
            page.text(&format!("{} – {}", &moment(from)[..16], &moment(until)[11..16]));
            page.raw("<br />");
            page.element("small", &wave.window);
        }
        None => page.text("at any time"),
    }
    page.raw("</td>");
    for text in [
        count(wave.mailboxes),
        bytes(wave.logical_bytes),
        bytes(wave.sent_bytes),
        bytes(wave.log_bytes),
        format!("{} – {}", duration(wave.seconds.likely), duration(wave.seconds.high)),
    ] {
        page.element("td class=\"number\"", &text);
    }
    let until = wave.reverse_until_us.map_or_else(
        || "until the old server is removed".to_owned(),
        |until| format!("until {}", &moment(until)[..16]),
    );
    page.raw("<td class=\"when\">");
    page.text(&duration(wave.reverse_seconds.likely));
    page.raw("<br />");
    page.element("small", &until);
    page.raw("</td></tr>\n");
}

/// Who is parted on purpose, and who counts as no reason.
fn parted(page: &mut Page, schedule: &Schedule) {
    if !schedule.hubs.is_empty() {
        let text = format!(
            "Act for so many that they are no reason to keep mailboxes together: {}.",
            schedule.hubs.join(", ")
        );
        page.element("p class=\"note\"", &text);
    }
    let splits = &schedule.splits;
    if splits.is_empty() {
        return;
    }
    page.element("h3", &format!("Parted on purpose: {}", splits.len()));
    page.raw("<ul>");
    for split in splits.iter().take(SPLITS_MAX) {
        let text = format!("{} acts for {}: {}", split.delegate, split.mailbox, split.why);
        page.element("li", &text);
    }
    if splits.len() > SPLITS_MAX {
        let text = format!("and {} more, in plan.json", splits.len() - SPLITS_MAX);
        page.element("li", &text);
    }
    page.raw("</ul>");
}

/// What is drawn, and to which height.
struct Frame {
    top: f64,
    limit: Option<u64>,
    step: f64,
}

impl Frame {
    fn begin(page: &mut Page, title: &str, values: &[u64], limit: Option<u64>) -> Self {
        let most = values.iter().copied().max().unwrap_or(1);
        // A limit far above everything would press the curve to the ground.
        let limit = limit.filter(|limit| *limit <= most.saturating_mul(4));
        let top = most.max(limit.unwrap_or(0)).max(1) as f64 * 1.08;
        page.element("h3", title);
        page.put(format_args!(
            "<figure><svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">",
            escaped(title)
        ));
        Self { top, limit, step: (RIGHT - LEFT) / values.len().max(1) as f64 }
    }

    fn y(&self, value: u64) -> f64 {
        BASE - value as f64 / self.top * (BASE - TOP)
    }

    fn end(self, page: &mut Page, (values, names): (&[u64], &[String]), caption: &str) {
        let most = values.iter().copied().max().unwrap_or(0);
        let mut lines = vec![(most, "soft", "mark")];
        lines.extend(self.limit.map(|limit| (limit, "red", "limit")));
        for (value, text, class) in lines {
            let y = self.y(value);
            page.put(format_args!(
                "<line class=\"{class}\" x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{RIGHT}\" \
                 y2=\"{y:.1}\" />\
                 <text class=\"{text}\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                LEFT - 6.0,
                y + 4.0,
                bytes(value)
            ));
        }
        let every = values.len().div_ceil(16).max(1);
        for at in (0..values.len()).step_by(every) {
            let x = LEFT + (at as f64 + 0.5) * self.step;
            page.put(format_args!(
                "<text class=\"soft\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                BASE + 16.0,
                names[at]
            ));
        }
        page.put(format_args!(
            "<line class=\"axis\" x1=\"{LEFT}\" y1=\"{BASE}\" x2=\"{RIGHT}\" y2=\"{BASE}\" /></svg>"
        ));
        page.element("figcaption", caption);
        page.raw("</figure>");
    }
}

/// What grows from wave to wave.
fn curve(page: &mut Page, (title, names): (&str, &[String]), values: &[u64], limit: Option<u64>) {
    let frame = Frame::begin(page, title, values, limit);
    let mut path = format!("M{LEFT} {BASE}");
    let mut x = LEFT;
    for value in values {
        x += frame.step;
        path.push_str(&format!("L{x:.1} {:.1}", frame.y(*value)));
    }
    page.put(format_args!("<path class=\"area\" d=\"{path}L{x:.1} {BASE}Z\" />"));
    let caption = match frame.limit {
        Some(_) => "Bytes after each wave; red: the room there is.",
        None => "Bytes after each wave; the room is more than four times as much, or not known.",
    };
    frame.end(page, (values, names), caption);
}

/// What grows in a wave and is given up after it.
fn saw(page: &mut Page, (title, names): (&str, &[String]), values: &[u64], limit: Option<u64>) {
    let frame = Frame::begin(page, title, values, limit);
    let mut path = format!("M{LEFT} {BASE}");
    let mut x = LEFT;
    for value in values {
        let top = frame.y(*value);
        x += frame.step;
        path.push_str(&format!("L{:.1} {top:.1}L{x:.1} {BASE}", x - frame.step * 0.25));
    }
    page.put(format_args!("<path class=\"area\" d=\"{path}Z\" />"));
    let caption = match frame.limit {
        Some(_) => {
            "Bytes that a wave makes; a backup after it gives them up. Red: the room with the \
             reserve taken off."
        }
        None => {
            "Bytes that a wave makes; a backup after it gives them up. The room is more than four \
             times as much, or not known."
        }
    };
    frame.end(page, (values, names), caption);
}
