//! The plan, or its outcome, as one HTML page: no scripts, nothing loaded from elsewhere.

mod chart;
mod outlook;
mod preconditions;
mod runbook;
mod sections;
mod waves;

use std::fmt::Write;

use crate::inventory::Inventory;
use crate::outcome::Outcome;
use crate::plan::Plan;
use crate::route::{Comparison, Route};

const STYLE: &str = include_str!("html/style.css");

/// A page in the making. What is written through [`Page::text`] is escaped.
#[derive(Default)]
struct Page(String);

impl Page {
    /// Appends markup as it is.
    fn raw(&mut self, markup: &str) {
        self.0.push_str(markup);
    }

    /// Appends text.
    fn text(&mut self, text: &str) {
        self.0.push_str(&escaped(text));
    }

    /// Appends an element with text in it: `<tag>text</tag>`, where `tag` may have attributes.
    fn element(&mut self, tag: &str, text: &str) {
        let name = tag.split(' ').next().unwrap_or(tag);
        self.put(format_args!("<{tag}>{}</{name}>", escaped(text)));
    }

    /// Appends formatted markup as it is.
    fn put(&mut self, markup: std::fmt::Arguments<'_>) {
        self.0.write_fmt(markup).expect("a string takes whatever is written to it");
    }
}

/// Text in which nothing is markup.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            _ => out.push(character),
        }
    }
    out
}

/// Writes the plan as a page; with an outcome, what was planned beside what happened.
pub fn to_html(plan: &Plan, outcome: Option<&Outcome>) -> String {
    let title = match outcome {
        None => format!("Plan: {}", sections::what(plan)),
        Some(_) => format!("Report: {}", sections::what(plan)),
    };
    let mut page = Page::default();
    begin(&mut page, &title);
    sections::head(&mut page, plan, outcome);
    match outcome {
        Some(outcome) => sections::outcome(&mut page, plan, outcome),
        None => sections::verdict(&mut page, plan),
    }
    if outcome.is_none() {
        let windows = !plan.inventory.windows.is_empty();
        sections::routes(&mut page, &plan.comparison, Some(plan.route), windows);
        sections::warnings(&mut page, plan);
        outlook::forecast(&mut page, plan);
        waves::waves(&mut page, plan);
        preconditions::traps(&mut page, plan);
    }
    chart::chart(&mut page, plan, outcome);
    runbook::steps(&mut page, plan, outcome);
    if outcome.is_none() {
        runbook::conditions(&mut page, plan);
    }
    end(&mut page);
    page.0
}

/// Writes the comparison alone as a page, for a site that no plan could be made for.
pub fn comparison_to_html(inventory: &Inventory, comparison: &Comparison) -> String {
    let mut page = Page::default();
    begin(&mut page, &format!("No plan for {}", inventory.old_server));
    page.raw("<header><p class=\"kicker\">Rehome</p>");
    page.element("h1", &format!("There is no plan for {} yet", inventory.old_server));
    page.element("p class=\"meta\"", &sections::mail(inventory));
    page.raw("</header>");
    sections::routes(&mut page, comparison, None, !inventory.windows.is_empty());
    end(&mut page);
    page.0
}

fn begin(page: &mut Page, title: &str) {
    page.raw("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\" />\n");
    page.raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\" />\n");
    page.element("title", title);
    page.raw("\n<style>\n");
    page.raw(STYLE);
    page.raw("</style>\n</head>\n<body>\n");
}

fn end(page: &mut Page) {
    page.raw("</body>\n</html>\n");
}

/// The name of a route for people.
fn route_name(route: Route) -> &'static str {
    match route {
        Route::MoveUsers => "Move users",
        Route::DisasterRecovery => "Disaster recovery",
    }
}
