//! The parts of the page above the steps.

use super::{Page, route_name};
use crate::format::{bytes, count, duration, elapsed, moment};
use crate::inventory::Inventory;
use crate::outcome::{Outcome, StepState};
use crate::plan::{Estimate, Owner, Plan};
use crate::route::{Comparison, Route, RouteFacts};

/// How many gates are named above the steps.
const GATES_MAX: usize = 4;

/// The mail in one line.
pub(super) fn mail(inventory: &Inventory) -> String {
    format!(
        "{} mailboxes · {} messages · {} ({} if each message is kept once) · site {}, {}",
        count(inventory.moving().count() as u64),
        count(inventory.messages()),
        bytes(inventory.logical_bytes()),
        bytes(inventory.unique_bytes),
        inventory.site,
        inventory.organization,
    )
}

/// What goes where.
pub(super) fn what(plan: &Plan) -> String {
    let inventory = &plan.inventory;
    let (old, cluster) = (&inventory.old_server, &inventory.cluster.name);
    let others = match plan.route {
        Route::MoveUsers => inventory.leaving().len() - 1,
        Route::DisasterRecovery => 0,
    };
    match others {
        0 => format!("{old} into cluster {cluster}"),
        1 => format!("{old} and another server into cluster {cluster}"),
        more => format!("{old} and {more} other servers into cluster {cluster}"),
    }
}

pub(super) fn head(page: &mut Page, plan: &Plan, outcome: Option<&Outcome>) {
    let inventory = &plan.inventory;
    page.raw("<header>");
    let kind = if outcome.is_some() { "Rehome report" } else { "Rehome plan" };
    page.element("p class=\"kicker\"", kind);
    page.element("h1", &what(plan));
    page.element("p class=\"meta\"", &mail(inventory));
    let made = format!(
        "plan {} · made {} UTC · inventory {}",
        plan.id,
        moment(plan.made_us),
        plan.inventory_hash
    );
    page.element("p class=\"meta\"", &made);
    page.raw("</header>\n");
}

fn fact(page: &mut Page, name: &str, value: &str, more: &str) {
    page.raw("<div>");
    page.element("dt", name);
    page.raw("<dd>");
    page.text(value);
    if !more.is_empty() {
        page.raw(" ");
        page.element("small", more);
    }
    page.raw("</dd></div>");
}

fn at_most(time: &Estimate) -> String {
    format!("at most {}", duration(time.high))
}

pub(super) fn verdict(page: &mut Page, plan: &Plan) {
    let facts = plan.comparison.facts(plan.route);
    page.raw("<section class=\"verdict\">");
    let how = match plan.comparison.recommended {
        Some(route) if route == plan.route => "Recommended",
        Some(_) => "Chosen against the recommendation",
        None => "Chosen",
    };
    page.element("p class=\"kicker\"", how);
    page.element("p class=\"big\"", route_name(plan.route));
    page.raw("<dl class=\"facts\">");
    let time = &plan.forecast.elapsed_seconds;
    let shown = |seconds: i64| duration(u64::try_from(seconds).unwrap_or(0));
    let more = format!(
        "P80\u{a0}{} · P95\u{a0}{}",
        super::outlook::whole(&shown(time.p80)),
        super::outlook::whole(&shown(time.p95))
    );
    fact(page, "From first to last step", &shown(time.p50), &more);
    let user = &facts.user_interruption_seconds;
    fact(page, "A user is kept out for", &duration(user.likely), &at_most(user));
    let away = &facts.outage_seconds;
    match away.likely {
        0 => fact(page, "Whole server away", "never", ""),
        likely => fact(page, "Whole server away", &duration(likely), &at_most(away)),
    }
    let gates = plan.steps.iter().filter(|step| matches!(step.owner, Owner::Human { .. }));
    let gates: Vec<&str> = gates.map(|step| step.id.as_str()).collect();
    let named = &gates[..gates.len().min(GATES_MAX)];
    let more = match gates.len() - named.len() {
        0 => String::new(),
        more => format!("and {more} more, in the run-book"),
    };
    fact(page, "Asks a person at", &named.join(", "), &more);
    if let Some(at) = plan.point_of_no_return() {
        let step = &plan.steps[at];
        let place = format!("step {} of {}", at + 1, plan.steps.len());
        fact(page, "Point of no return", step.id.as_str(), &place);
    }
    fact(page, "Room on the group's disk", &bytes(facts.target_disk_bytes), "at the peak");
    page.raw("</dl></section>\n");
}

/// `windows`: work rests outside of windows.
pub(super) fn routes(
    page: &mut Page,
    comparison: &Comparison,
    taken: Option<Route>,
    windows: bool,
) {
    page.raw("<section><h2>The two routes</h2><div class=\"routes\">");
    for route in [Route::MoveUsers, Route::DisasterRecovery] {
        one_route(page, comparison.facts(route), taken == Some(route));
    }
    page.raw("</div>");
    if windows {
        let text = "Times of work, without waiting for windows; what is to be expected is below.";
        page.element("p class=\"note\"", text);
    }
    if !comparison.reasons.is_empty() {
        page.raw("<h2>Why</h2>");
        list(page, &comparison.reasons);
    }
    if !comparison.flips.is_empty() {
        page.raw("<h2>What would change the choice</h2>");
        list(page, &comparison.flips);
    }
    page.raw("</section>\n");
}

fn list(page: &mut Page, sentences: &[String]) {
    page.raw("<ul>");
    for sentence in sentences {
        page.element("li", sentence);
    }
    page.raw("</ul>");
}

fn one_route(page: &mut Page, facts: &RouteFacts, taken: bool) {
    page.raw(if taken { "<div class=\"route taken\">" } else { "<div class=\"route\">" });
    page.raw("<h3>");
    page.text(route_name(facts.route));
    page.raw(" ");
    match facts.obstacles.len() {
        0 => page.element("span class=\"tag good\"", "feasible"),
        1 => page.element("span class=\"tag bad\"", "1 obstacle"),
        more => page.element("span class=\"tag bad\"", &format!("{more} obstacles")),
    }
    page.raw("</h3><table>");
    page.raw("<tr><th></th><th class=\"number\">likely</th><th class=\"number\">at most</th></tr>");
    let time = |page: &mut Page, name: &str, time: &Estimate| {
        page.raw("<tr>");
        page.element("td", name);
        page.element("td class=\"number\"", &duration(time.likely));
        page.element("td class=\"number\"", &duration(time.high));
        page.raw("</tr>");
    };
    time(page, "From first to last step", &facts.duration_seconds);
    time(page, "A user is kept out", &facts.user_interruption_seconds);
    time(page, "The whole server is away", &facts.outage_seconds);
    let plain = |page: &mut Page, name: &str, value: &str| {
        page.raw("<tr>");
        page.element("td", name);
        page.element("td class=\"number\" colspan=\"2\"", value);
        page.raw("</tr>");
    };
    plain(page, "Room on the group's disk", &bytes(facts.target_disk_bytes));
    plain(page, "Room for backups", &bytes(facts.backup_bytes));
    plain(page, "Steps", &facts.step_count.to_string());
    page.raw("</table>");
    page.element("p class=\"note\"", &format!("Way back: {}.", facts.way_back));
    for at in &facts.obstacles {
        page.raw("<div class=\"obstacle\">");
        page.element("strong", &at.cause);
        page.element("p", &format!("So {}.", at.consequence));
        page.element("p", &format!("Remedy: {}.", at.remedy));
        page.element("small", &format!("{} · {}", at.place, at.evidence));
        page.raw("</div>");
    }
    page.raw("</div>");
}

pub(super) fn warnings(page: &mut Page, plan: &Plan) {
    if plan.warnings.is_empty() {
        return;
    }
    page.raw("<section><h2>To know before</h2><ul>");
    for warning in &plan.warnings {
        page.raw("<li>");
        page.text(&warning.message);
        if !warning.place.is_empty() {
            page.raw(" ");
            page.element("small", &warning.place);
        }
        page.raw("</li>");
    }
    page.raw("</ul></section>\n");
}

/// How the work ended, in a sentence and a colour.
fn end_of(outcome: &Outcome) -> (&'static str, &'static str) {
    match outcome.end.as_str() {
        "done" => ("good", "Done: every step is carried out"),
        "waiting" => ("", "Waiting for a person"),
        "open" => ("", "Waiting for a condition to hold"),
        "interrupted" => ("", "Interrupted; the same command goes on"),
        "backed-out" => ("", "Backed out: every step is undone"),
        "needs-human" => ("bad", "Stopped: a person has to look"),
        _ => ("", "Not finished"),
    }
}

pub(super) fn outcome(page: &mut Page, plan: &Plan, outcome: &Outcome) {
    let (colour, sentence) = end_of(outcome);
    page.put(format_args!("<section class=\"verdict {colour}\">"));
    page.element("p class=\"kicker\"", route_name(plan.route));
    page.element("p class=\"big\"", sentence);
    page.raw("<dl class=\"facts\">");
    if let (Some(from), Some(to)) = (outcome.started_us, outcome.ended_us) {
        let planned = plan.comparison.facts(plan.route).duration_seconds.likely;
        fact(page, "Took", &elapsed(to - from), &format!("planned {}", duration(planned)));
        fact(page, "Began (UTC)", &moment(from), "");
        fact(page, "Ended (UTC)", &moment(to), "");
    }
    let done = |state| matches!(state, StepState::Done | StepState::DoneByEvidence);
    let steps = outcome.steps.iter().filter(|step| done(step.state)).count();
    fact(page, "Steps done", &steps.to_string(), &format!("of {}", plan.steps.len()));
    let attempts: u32 = outcome.steps.iter().map(|step| step.attempts.saturating_sub(1)).sum();
    fact(page, "Tried again", &attempts.to_string(), "times");
    page.raw("</dl></section>\n");
    figures(page, outcome);
}

/// The numbers that steps reported. What was lost, altered or doubled has to be 0.
fn figures(page: &mut Page, outcome: &Outcome) {
    if outcome.figures.is_empty() {
        return;
    }
    page.raw("<section><h2>Figures</h2><dl class=\"facts\">");
    for (name, value) in &outcome.figures {
        let text = if value.fract() == 0.0 && value.abs() < 1e15 {
            count(*value as u64)
        } else {
            format!("{value:.1}")
        };
        let faults = ["lost", "altered", "duplicated"];
        let fault = faults.iter().any(|fault| name.ends_with(fault));
        page.raw("<div>");
        page.element("dt", &name.replace(['_', '.'], " "));
        page.raw("<dd>");
        match (fault, *value == 0.0) {
            (true, true) => page.element("span class=\"tag good\"", &text),
            (true, false) => page.element("span class=\"tag bad\"", &text),
            (false, _) => page.text(&text),
        }
        page.raw("</dd></div>");
    }
    page.raw("</dl></section>\n");
}
