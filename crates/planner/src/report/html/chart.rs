//! The steps as a drawing: on the left how they depend on each other, on the right when they run.

use std::collections::BTreeMap;

use super::{Page, escaped};
use crate::format::{duration, elapsed};
use crate::outcome::{Outcome, StepOutcome, StepState};
use crate::plan::{Owner, Plan, Step};

const ROW_PX: f64 = 23.0;
const TOP_PX: f64 = 30.0;
const DOT_X: f64 = 112.0;
const LABEL_X: f64 = 128.0;
const BARS_X: f64 = 540.0;
const BARS_END_X: f64 = 910.0;
const WIDTH: f64 = 1000.0;
/// Room for a time behind a bar.
const TIME_PX: f64 = 84.0;
/// Room that a letter of a step's name takes, which is strong, and one of its title.
const ID_LETTER_PX: f64 = 9.6;
const TITLE_LETTER_PX: f64 = 6.6;
/// Room that names of usual length get.
const ID_PX_MIN: f64 = 46.0;
/// A step that takes more than this share of the whole time is drawn shorter, with a gap.
const SHARE_MAX: f64 = 0.6;

/// When a step runs, in seconds from the begin, as drawn.
#[derive(Clone, Copy, Default)]
struct Span {
    from: f64,
    to: f64,
    /// Until when in the bad case.
    high: f64,
    /// Drawn shorter than it is.
    cut: bool,
}

/// The most steps that are drawn.
const STEPS_MAX: usize = 120;

pub(super) fn chart(page: &mut Page, plan: &Plan, outcome: Option<&Outcome>) {
    if plan.steps.len() <= STEPS_MAX {
        return draw(page, plan, outcome);
    }
    let few = few(plan);
    draw(page, &few, outcome);
    let text = format!(
        "Drawn are {} of {} steps: those of the server that is named first, and its first waves. \
         The others go the same way; all are in the table below.",
        few.steps.len(),
        plan.steps.len()
    );
    page.element("p class=\"note\"", &text);
}

/// A plan of the first server's steps alone, without its inventory.
fn few(plan: &Plan) -> Plan {
    let own = |step: &&Step| !step.id.as_str().contains('@');
    let mut steps: Vec<Step> = plan.steps.iter().filter(own).cloned().collect();
    let is_wave = |step: &Step| step.id.as_str().trim_start_matches('B').starts_with("M1w");
    let mut waves = steps.iter().filter(|step| is_wave(step)).count();
    let others = steps.len() - waves;
    // The first waves stay, as many as there is room for.
    let room = STEPS_MAX.saturating_sub(others);
    while waves > room {
        let Some(last) = steps.iter().rposition(&is_wave) else { break };
        steps.remove(last);
        waves -= 1;
    }
    Plan {
        format: plan.format,
        id: plan.id.clone(),
        route: plan.route,
        made_us: plan.made_us,
        inventory_hash: String::new(),
        inventory: crate::inventory::Inventory::default(),
        comparison: plan.comparison.clone(),
        steps,
        critical_path: plan.critical_path.clone(),
        warnings: Vec::new(),
        schedule: crate::waves::Schedule::default(),
        forecast: plan.forecast.clone(),
        traps: Vec::new(),
    }
}

fn draw(page: &mut Page, plan: &Plan, outcome: Option<&Outcome>) {
    let planned = planned_spans(plan);
    let actual = outcome.map(|outcome| actual_spans(plan, outcome));
    let end = planned
        .iter()
        .chain(actual.iter().flatten().flatten())
        .fold(1.0_f64, |end, span| end.max(span.to));
    let scale = (BARS_END_X - BARS_X) / end;
    let height = TOP_PX + ROW_PX * plan.steps.len() as f64 + 12.0;
    page.raw("<section><h2>Order and time</h2><figure>");
    page.put(format_args!(
        "<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"steps and their times\">"
    ));
    stripes(page, plan.steps.len());
    if !planned.iter().any(|span| span.cut) {
        ticks(page, end, scale, height);
    }
    edges(page, plan);
    let title_x = title_x(plan);
    for (at, step) in plan.steps.iter().enumerate() {
        label(page, at, step, title_x);
        match &actual {
            None => {
                let slack = plan.forecast.slack.iter().find(|one| one.step == step.id);
                let free = slack.is_some_and(|one| one.seconds > 0);
                bar(page, at, step, (&planned[at], free), scale);
            }
            Some(actual) => {
                let of = outcome.and_then(|of| of.steps.iter().find(|of| of.id == step.id));
                both_bars(page, at, &planned[at], actual[at].as_ref(), of, scale);
            }
        }
    }
    no_return(page, plan, &planned);
    page.raw("</svg>");
    let caption = match outcome {
        None => {
            "Left: what depends on what; the critical path is blue, gates are filled, steps after \
             the point of no return have a red ring. Right: likely time, with a line to the bad \
             case; pale bars have slack. A bar with a gap is longer than drawn."
        }
        Some(_) => "Pale: as planned. Strong: as it happened; red if it failed.",
    };
    page.element("figcaption", caption);
    page.raw("</figure></section>\n");
}

/// One step after the other, as the executor carries them out.
fn planned_spans(plan: &Plan) -> Vec<Span> {
    let likely = |step: &Step| step.estimate_seconds.likely as f64;
    let total: f64 = plan.steps.iter().map(likely).sum();
    let longest = plan.steps.iter().map(likely).fold(0.0, f64::max);
    let limit = if longest > SHARE_MAX * total { (total - longest).max(1.0) } else { longest };
    let mut from = 0.0;
    let mut spans = Vec::new();
    for step in &plan.steps {
        let time = likely(step).min(limit);
        let more = step.estimate_seconds.high as f64 - likely(step);
        let (to, cut) = (from + time, likely(step) > limit);
        spans.push(Span { from, to, high: to + more.min(limit / 2.0), cut });
        from = to;
    }
    spans
}

fn actual_spans(plan: &Plan, outcome: &Outcome) -> Vec<Option<Span>> {
    let begin = outcome.started_us.unwrap_or(0);
    let of: BTreeMap<_, _> = outcome.steps.iter().map(|step| (&step.id, step)).collect();
    let seconds = |us: i64| (us - begin) as f64 / 1e6;
    let span = |step: &Step| {
        let actual = of.get(&step.id)?;
        let from = seconds(actual.started_us?);
        let to = seconds(actual.ended_us.or(outcome.ended_us)?).max(from);
        Some(Span { from, to, high: to, cut: false })
    };
    plan.steps.iter().map(span).collect()
}

fn row_y(at: usize) -> f64 {
    TOP_PX + ROW_PX * (at as f64 + 0.5)
}

fn stripes(page: &mut Page, rows: usize) {
    for at in (0..rows).step_by(2) {
        let y = row_y(at) - ROW_PX / 2.0;
        page.put(format_args!(
            "<rect class=\"stripe\" x=\"0\" y=\"{y}\" width=\"{WIDTH}\" height=\"{ROW_PX}\" />"
        ));
    }
}

/// About five lines at round times.
fn ticks(page: &mut Page, end: f64, scale: f64, height: f64) {
    const ROUND: [u64; 14] = [1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21_600, 86_400];
    let step = ROUND.into_iter().find(|step| end / *step as f64 <= 6.0).unwrap_or(604_800);
    let mut at = 0;
    while at as f64 <= end {
        let x = BARS_X + at as f64 * scale;
        let y = TOP_PX - 4.0;
        let bottom = height - 8.0;
        page.put(format_args!(
            "<line class=\"grid\" x1=\"{x:.1}\" y1=\"{y}\" x2=\"{x:.1}\" y2=\"{bottom}\" />\
             <text class=\"soft\" x=\"{x:.1}\" y=\"16\" text-anchor=\"middle\">{}</text>",
            tick(at)
        ));
        at += step;
    }
}

fn tick(seconds: u64) -> String {
    match seconds {
        0 => "0".to_owned(),
        s if s % 86_400 == 0 => format!("{} d", s / 86_400),
        s if s % 3600 == 0 => format!("{} h", s / 3600),
        s if s % 60 == 0 => format!("{} min", s / 60),
        s => format!("{s} s"),
    }
}

fn edges(page: &mut Page, plan: &Plan) {
    let rows: BTreeMap<_, _> =
        plan.steps.iter().enumerate().map(|(at, step)| (&step.id, at)).collect();
    let critical: Vec<_> = plan.critical_path.windows(2).collect();
    for bold in [false, true] {
        for step in &plan.steps {
            for before in &step.depends_on {
                let on_path = critical.iter().any(|at| at[0] == *before && at[1] == step.id);
                let (Some(from), Some(to)) = (rows.get(before), rows.get(&step.id)) else {
                    continue;
                };
                if on_path == bold {
                    edge(page, *from, *to, bold);
                }
            }
        }
    }
}

/// A straight line to the next row, a bow to one further away.
fn edge(page: &mut Page, from: usize, to: usize, critical: bool) {
    let class = if critical { "edge critical" } else { "edge" };
    let (top, bottom) = (row_y(from), row_y(to));
    let distance = to.abs_diff(from) as f64;
    let path = if distance <= 1.0 {
        format!("M{DOT_X} {top}V{bottom}")
    } else {
        let x = DOT_X - (16.0 + 17.0 * distance.sqrt()).min(130.0);
        format!("M{DOT_X} {top}C{x:.1} {top} {x:.1} {bottom} {DOT_X} {bottom}")
    };
    page.put(format_args!("<path class=\"{class}\" d=\"{path}\" />"));
}

/// Where titles begin: behind the longest name.
fn title_x(plan: &Plan) -> f64 {
    let longest = plan.steps.iter().map(|step| step.id.as_str().chars().count()).max();
    LABEL_X + (longest.unwrap_or(0) as f64 * ID_LETTER_PX + 8.0).clamp(ID_PX_MIN, 150.0)
}

fn label(page: &mut Page, at: usize, step: &Step, title_x: f64) {
    let y = row_y(at);
    let gate = matches!(step.owner, Owner::Human { .. });
    let class = match (gate, step.past_point_of_no_return) {
        (true, true) => "dot gate past",
        (true, false) => "dot gate",
        (false, true) => "dot past",
        (false, false) => "dot",
    };
    page.put(format_args!("<circle class=\"{class}\" cx=\"{DOT_X}\" cy=\"{y}\" r=\"4.5\" />"));
    let text_y = y + 4.0;
    // A title that does not fit is cut; the table below has it whole.
    let letters_max = ((BARS_X - title_x) / TITLE_LETTER_PX) as usize;
    let mut title: String = step.title.chars().take(letters_max).collect();
    if title.len() < step.title.len() {
        title.pop();
        title.push('…');
    }
    page.put(format_args!(
        "<text class=\"strong\" x=\"{LABEL_X}\" y=\"{text_y}\">{}</text>\
         <text x=\"{title_x}\" y=\"{text_y}\">{}</text>",
        escaped(step.id.as_str()),
        escaped(&title)
    ));
}

fn rect(page: &mut Page, class: &str, at: usize, span: &Span, scale: f64, (dy, size): (f64, f64)) {
    let x = BARS_X + span.from * scale;
    let width = ((span.to - span.from) * scale).max(2.0);
    let y = row_y(at) + dy;
    page.put(format_args!(
        "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" \
         height=\"{size}\" rx=\"1.5\" />"
    ));
    if span.cut {
        let middle = x + width / 2.0;
        let (top, bottom) = (y - 2.0, y + size + 2.0);
        for shift in [-3.0, 3.0] {
            let (low, high) = (middle + shift - 2.0, middle + shift + 2.0);
            page.put(format_args!(
                "<line class=\"break\" x1=\"{low:.1}\" y1=\"{bottom:.1}\" x2=\"{high:.1}\" \
                 y2=\"{top:.1}\" />"
            ));
        }
    }
}

/// `free`: the step may be later without the whole being later.
fn bar(page: &mut Page, at: usize, step: &Step, (span, free): (&Span, bool), scale: f64) {
    let y = row_y(at);
    let (from, to) = (BARS_X + span.to * scale, BARS_X + span.high * scale);
    let to = to.min(WIDTH - TIME_PX).max(from);
    page.put(format_args!(
        "<line class=\"whisker\" x1=\"{from:.1}\" y1=\"{y}\" x2=\"{to:.1}\" y2=\"{y}\" />"
    ));
    let gate = matches!(step.owner, Owner::Human { .. });
    let class = match (gate, free) {
        (true, _) => "bar gate",
        (_, true) => "bar free",
        _ => "bar",
    };
    rect(page, class, at, span, scale, (-5.0, 10.0));
    time(page, at, to.max(from + 2.0) + 6.0, &duration(step.estimate_seconds.likely));
}

fn both_bars(
    page: &mut Page,
    at: usize,
    planned: &Span,
    actual: Option<&Span>,
    of: Option<&StepOutcome>,
    scale: f64,
) {
    rect(page, "bar planned", at, planned, scale, (-7.0, 6.0));
    let Some(actual) = actual else { return };
    let failed = of.is_some_and(|of| of.state == StepState::Failed);
    rect(page, if failed { "bar failed" } else { "bar" }, at, actual, scale, (1.0, 6.0));
    let x = BARS_X + actual.to.max(planned.to) * scale + 6.0;
    time(page, at, x.min(WIDTH - TIME_PX), &elapsed(((actual.to - actual.from) * 1e6) as i64));
}

fn time(page: &mut Page, at: usize, x: f64, text: &str) {
    let y = row_y(at) + 4.0;
    page.put(format_args!("<text class=\"soft\" x=\"{x:.1}\" y=\"{y}\">{text}</text>"));
}

/// The red line, with its name where no bars are.
fn no_return(page: &mut Page, plan: &Plan, planned: &[Span]) {
    let Some(at) = plan.point_of_no_return() else { return };
    let y = row_y(at) - ROW_PX / 2.0;
    let text_y = y - 4.0;
    let end = planned.iter().fold(0.0_f64, |end, span| end.max(span.to));
    let late = planned[at].from > end / 2.0;
    let (x, anchor) = if late { (BARS_X, "start") } else { (WIDTH - 4.0, "end") };
    page.put(format_args!(
        "<line class=\"no-return\" x1=\"0\" y1=\"{y}\" x2=\"{WIDTH}\" y2=\"{y}\" />\
         <text class=\"red\" x=\"{x}\" y=\"{text_y}\" text-anchor=\"{anchor}\">\
         point of no return</text>"
    ));
}
