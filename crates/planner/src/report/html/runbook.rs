//! The steps as a run-book, and all conditions with their evidence.

use rehome_site::SiteKind;

use super::super::sentence;
use super::Page;
use crate::carrier::instruction;
use crate::check::Check;
use crate::format::{duration, elapsed, moment};
use crate::outcome::{Outcome, StepOutcome, StepState};
use crate::plan::{Owner, Plan, Step};

pub(super) fn steps(page: &mut Page, plan: &Plan, outcome: Option<&Outcome>) {
    let columns = if outcome.is_some() { "Step by step" } else { "Run-book" };
    page.put(format_args!("<section><h2>{columns}</h2><table class=\"steps\"><thead><tr>"));
    page.raw("<th></th><th>Step</th><th>What</th>");
    match outcome {
        None => {
            page.raw("<th>Holds afterwards</th><th class=\"number\">Likely</th><th>Way back</th>")
        }
        Some(_) => page.raw(
            "<th>What happened</th><th class=\"number\">Began</th>\
             <th class=\"number\">Took</th><th class=\"number\">Planned</th>",
        ),
    }
    page.raw("</tr></thead><tbody>\n");
    let no_return = plan.point_of_no_return();
    let by_hand = plan.inventory.kind == SiteKind::Exchange55;
    for (at, step) in plan.steps.iter().enumerate() {
        if no_return == Some(at) {
            let columns = if outcome.is_some() { 7 } else { 6 };
            let cell = format!("td colspan=\"{columns}\"");
            page.raw("<tr class=\"no-return\">");
            page.element(&cell, "Point of no return: from here on the way is forward");
            page.raw("</tr>\n");
        }
        match outcome.and_then(|outcome| outcome.steps.iter().find(|of| of.id == step.id)) {
            Some(actual) => actual_row(page, step, actual),
            None => planned_row(page, step, (outcome.is_some(), by_hand)),
        }
    }
    page.raw("</tbody></table></section>\n");
}

/// What people do, and what they see then.
fn acts(page: &mut Page, step: &Step) {
    let page_of = instruction(step);
    page.raw("<ol class=\"acts\">");
    for act in &page_of.acts {
        page.element("li", act);
    }
    page.raw("</ol>");
    page.element("div class=\"expect\"", &format!("Then: {}", page_of.expect));
}

fn what(page: &mut Page, step: &Step, by_hand: bool) {
    page.raw("<td>");
    page.text(&step.title);
    if !step.page_ref.is_empty() {
        page.raw("<br />");
        page.element("small", &step.page_ref);
    }
    if let Some(why) = &step.why {
        page.raw("<div class=\"why\">");
        page.text(&why.reason);
        page.raw(" ");
        page.element("small", &format!("[{}]", why.evidence));
        page.raw("</div>");
    }
    if by_hand {
        acts(page, step);
    }
    if let Owner::Human { instruction } = &step.owner {
        page.element("div class=\"gate\"", instruction);
    }
    page.raw("</td>");
}

fn planned_row(page: &mut Page, step: &Step, (wide, by_hand): (bool, bool)) {
    page.raw("<tr><td class=\"tight\"><span class=\"box\"></span></td>");
    page.element("td class=\"id\"", step.id.as_str());
    what(page, step, by_hand);
    page.raw("<td><ul class=\"conditions\">");
    for check in &step.postconditions {
        page.element("li", &sentence::condition(check));
    }
    page.raw("</ul></td>");
    page.element("td class=\"number\"", &duration(step.estimate_seconds.likely));
    let back = sentence::undo(step).unwrap_or_else(|| "–".to_owned());
    page.element("td", &back);
    page.raw(if wide { "<td></td></tr>\n" } else { "</tr>\n" });
}

fn actual_row(page: &mut Page, step: &Step, actual: &StepOutcome) {
    let (class, mark, word) = match actual.state {
        StepState::Done => ("good", "✓", "done"),
        StepState::DoneByEvidence => ("good", "=", "was done already"),
        StepState::Pending => ("open", "·", "not begun"),
        StepState::Begun => ("open", "…", "begun"),
        StepState::Failed => ("bad", "✗", "failed"),
        StepState::Undone => ("open", "↩", "undone"),
    };
    page.put(format_args!(
        "<tr><td class=\"tight\"><span class=\"mark {class}\">{mark}</span></td>"
    ));
    page.element("td class=\"id\"", step.id.as_str());
    what(page, step, false);
    page.raw("<td><ul class=\"conditions\">");
    let attempts = match actual.attempts {
        0 | 1 => word.to_owned(),
        more => format!("{word}, {more} attempts"),
    };
    page.element("li", &attempts);
    for note in &actual.notes {
        page.element("li", note);
    }
    page.raw("</ul></td>");
    let began = actual.started_us.map_or_else(String::new, |at| moment(at)[11..].to_owned());
    page.element("td class=\"number\"", &began);
    let planned = step.estimate_seconds;
    match took(actual) {
        None => page.raw("<td></td>"),
        Some(us) if us > i64::try_from(planned.high * 1_000_000).unwrap_or(i64::MAX) => {
            page.element("td class=\"number over\"", &elapsed(us));
        }
        Some(us) => page.element("td class=\"number\"", &elapsed(us)),
    }
    page.element("td class=\"number\"", &duration(planned.likely));
    page.raw("</tr>\n");
}

/// Microseconds between the begin of the first attempt and the end of the last.
fn took(actual: &StepOutcome) -> Option<i64> {
    Some(actual.ended_us?.saturating_sub(actual.started_us?))
}

/// Every condition once, with the steps that ask for it and where the demand comes from.
pub(super) fn conditions(page: &mut Page, plan: &Plan) {
    let mut rows: Vec<(&Check, Vec<&str>)> = Vec::new();
    for step in &plan.steps {
        for check in &step.preconditions {
            match rows.iter_mut().find(|(known, _)| known.condition == check.condition) {
                Some((_, steps)) => steps.push(step.id.as_str()),
                None => rows.push((check, vec![step.id.as_str()])),
            }
        }
    }
    page.raw("<section><h2>Conditions</h2><table><thead><tr><th>What must hold</th>");
    page.raw("<th>Before</th><th>If it does not</th><th>Source</th></tr></thead><tbody>\n");
    for (check, steps) in rows {
        page.raw("<tr>");
        let when = if check.condition.is_about_inventory() { "by the inventory" } else { "" };
        page.raw("<td>");
        page.text(&sentence::condition(check));
        if !when.is_empty() {
            page.raw("<br />");
            page.element("small", when);
        }
        page.raw("</td>");
        page.element("td class=\"before\"", &steps.join(" "));
        page.element("td", &check.remedy);
        page.raw("<td>");
        page.element("small", &check.evidence);
        page.raw("</td></tr>\n");
    }
    page.raw("</tbody></table></section>\n");
}
