//! The plan as text for a terminal.

mod outlook;

use std::fmt::Write;

use super::sentence;
use crate::format::{bytes, count, duration, moment};
use crate::plan::{Estimate, Owner, Plan, Step};
use crate::route::{Comparison, Route, RouteFacts};

/// Where lines of prose end.
const COLUMNS: usize = 100;

/// Writes a plan out for a terminal, at most 100 columns wide where names allow it.
pub fn to_text(plan: &Plan) -> String {
    let mut out = String::new();
    head(&mut out, plan);
    out.push_str(&comparison_to_text(&plan.comparison));
    for warning in &plan.warnings {
        let place = if warning.place.is_empty() { "" } else { &format!(" ({})", warning.place) };
        wrapped(&mut out, "! ", &format!("{}{place}", warning.message));
    }
    if !plan.warnings.is_empty() {
        out.push('\n');
    }
    outlook::forecast(&mut out, plan);
    outlook::waves(&mut out, plan);
    outlook::traps(&mut out, plan);
    steps(&mut out, plan);
    out
}

/// Writes the comparison of the routes out for a terminal.
pub fn comparison_to_text(comparison: &Comparison) -> String {
    let mut out = String::new();
    let row = format_args!(
        "{:<20}{:<10}{:<25}{:<25}{}",
        "route", "feasible", "time, likely (high)", "a user is kept out", "disk"
    );
    line(&mut out, row);
    for route in [Route::MoveUsers, Route::DisasterRecovery] {
        route_row(&mut out, comparison.facts(route), comparison.recommended == Some(route));
    }
    out.push('\n');
    for route in [Route::MoveUsers, Route::DisasterRecovery] {
        for at in &comparison.facts(route).obstacles {
            line(&mut out, format_args!("x {route}: {} ({})", at.cause, at.place));
            wrapped(&mut out, "    so: ", &at.consequence);
            wrapped(&mut out, "    do: ", &at.remedy);
            wrapped(&mut out, "    see: ", &at.evidence);
        }
    }
    for reason in &comparison.reasons {
        wrapped(&mut out, "why: ", reason);
    }
    for flip in &comparison.flips {
        wrapped(&mut out, "flip: ", flip);
    }
    out.push('\n');
    out
}

fn head(out: &mut String, plan: &Plan) {
    let inventory = &plan.inventory;
    line(out, format_args!("plan {}", plan.id));
    line(
        out,
        format_args!(
            "{} in site {}: {} mailboxes, {} messages, {} ({} if each is kept once)",
            inventory.old_server,
            inventory.site,
            inventory.moving().count(),
            count(inventory.messages()),
            bytes(inventory.logical_bytes()),
            bytes(inventory.unique_bytes),
        ),
    );
    line(out, format_args!("made {} UTC, inventory {}", moment(plan.made_us), plan.inventory_hash));
    out.push('\n');
}

fn route_row(out: &mut String, facts: &RouteFacts, recommended: bool) {
    let feasible = match (facts.obstacles.is_empty(), recommended) {
        (true, true) => "yes *",
        (true, false) => "yes",
        (false, _) => "no",
    };
    let span = |time: &Estimate| format!("{} ({})", duration(time.likely), duration(time.high));
    let row = format_args!(
        "{:<20}{feasible:<10}{:<25}{:<25}{}",
        facts.route.as_str(),
        span(&facts.duration_seconds),
        span(&facts.user_interruption_seconds),
        bytes(facts.target_disk_bytes),
    );
    line(out, row);
}

fn steps(out: &mut String, plan: &Plan) {
    let longest = plan.steps.iter().map(|step| step.id.as_str().len()).max().unwrap_or(0);
    let width = (longest + 1).max(6);
    line(out, format_args!("{:<width$}{:<58}{:>12}  {}", "step", "what", "likely", "way back"));
    let no_return = plan.point_of_no_return();
    for (at, step) in plan.steps.iter().enumerate() {
        if no_return == Some(at) {
            line(out, format_args!("------ point of no return {}", "-".repeat(58)));
        }
        step_rows(out, step, width);
    }
}

fn step_rows(out: &mut String, step: &Step, width: usize) {
    let back = sentence::undo(step).unwrap_or_else(|| "-".to_owned());
    let row = format_args!(
        "{:<width$}{:<58}{:>12}  {back}",
        step.id.as_str(),
        step.title,
        duration(step.estimate_seconds.likely)
    );
    line(out, row);
    if let Owner::Human { instruction } = &step.owner {
        wrapped(out, "      gate: ", instruction);
    }
    if let Some(why) = &step.why {
        wrapped(out, "      why: ", &format!("{} [{}]", why.reason, why.evidence));
    }
}

/// Appends a line without blanks at its end.
fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    let start = out.len();
    write!(out, "{text}").expect("a string takes whatever is written to it");
    out.truncate(start + out[start..].trim_end().len());
    out.push('\n');
}

/// Appends text in lines of at most 100 columns, each as far in as the first.
fn wrapped(out: &mut String, first: &str, text: &str) {
    let indent = " ".repeat(first.len());
    let mut row = first.to_owned();
    let mut columns = first.len();
    for word in text.split(' ') {
        let size = word.chars().count() + 1;
        if columns + size > COLUMNS + 1 && columns > first.len() {
            line(out, format_args!("{row}"));
            (row, columns) = (indent.clone(), first.len());
        }
        row.push_str(word);
        row.push(' ');
        columns += size;
    }
    line(out, format_args!("{row}"));
}
