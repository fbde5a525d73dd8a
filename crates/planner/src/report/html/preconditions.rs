//! The known traps of the route, those to look at first, with boxes to tick.

use super::Page;
use crate::plan::Plan;
use crate::traps::TrapStanding;

pub(super) fn traps(page: &mut Page, plan: &Plan) {
    if plan.traps.is_empty() {
        return;
    }
    let counted = |wanted| plan.traps.iter().filter(|one| one.state == wanted).count();
    page.raw("<section><h2>Known traps of this route</h2>");
    let text = format!(
        "{} set, {} to be looked at by hand, {} kept clear of by steps of the plan, {} not set.",
        counted(TrapStanding::Warned),
        counted(TrapStanding::Unknown),
        counted(TrapStanding::WorkedAround),
        counted(TrapStanding::Clear)
    );
    page.element("p", &text);
    page.raw("<table class=\"traps\"><thead><tr><th></th><th>Trap</th><th>Where it stands</th>");
    page.raw("<th>What helps</th><th>Source</th></tr></thead><tbody>\n");
    for one in &plan.traps {
        let (class, mark) = match one.state {
            TrapStanding::Warned => ("bad", "!"),
            TrapStanding::Unknown => ("open", ""),
            TrapStanding::WorkedAround => ("good", "✓"),
            TrapStanding::Clear => ("good", "–"),
        };
        let sign = match one.state {
            TrapStanding::Unknown => "<span class=\"box\"></span>".to_owned(),
            _ => format!("<span class=\"mark {class}\">{mark}</span>"),
        };
        page.put(format_args!("<tr><td class=\"tight\">{sign}</td>"));
        page.element("td", &one.code.replace('-', " "));
        page.element("td", &one.text);
        page.element("td", &one.remedy);
        page.raw("<td>");
        page.element("small", &one.evidence);
        page.raw("</td></tr>\n");
    }
    page.raw("</tbody></table></section>\n");
}
