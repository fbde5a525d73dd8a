//! From a site file to a plan and its report.

use std::path::{Path, PathBuf};

use rehome_planner::{
    Infeasible, Inventory, Judgement, Plan, PlanOptions, RouteChoice, check_plan, judge, to_html,
    to_text,
};
use rehome_site::{Diagnostic, render};

use crate::error::Error;
use crate::memory::write_durably;
use crate::session::Session;
use crate::site_file::SiteFile;
use crate::work::Work;

/// A plan with the files it was written to.
#[derive(Debug)]
pub struct Planned {
    /// The plan.
    pub plan: Plan,
    /// The report for a terminal.
    pub text: String,
    /// The plan's file.
    pub json_path: PathBuf,
    /// The page.
    pub html_path: PathBuf,
}

/// Measures a site, compares both routes, makes the plan of one and writes it with its report.
///
/// # Errors
///
/// [`Error::BadInput`] if the site cannot be used; [`Error::Infeasible`] with every obstacle and
/// its place. Nothing is written then.
pub fn plan(
    session: &Session,
    site: &SiteFile,
    work: &Work,
    route: RouteChoice,
    output: &Path,
) -> Result<Planned, Error> {
    let inventory = site.inventory()?;
    let plan = make(session, site, &inventory, route)?;
    let text = to_text(&plan);
    let html_path = output.with_extension("html");
    let json = serde_json::to_vec_pretty(&plan).map_err(Error::needs_human)?;
    write_durably(output, &json)?;
    write_durably(&html_path, to_html(&plan, None).as_bytes())?;
    write_durably(&output.with_extension("txt"), text.as_bytes())?;
    // What `apply` needs beside the plan: where the site is and where the work is done.
    let binding = Binding {
        site: absolute(&site.base),
        shown: site.shown.clone(),
        work: absolute(work.root()),
    };
    let json = serde_json::to_vec_pretty(&binding).map_err(Error::needs_human)?;
    write_durably(&output.with_extension("binding.json"), &json)?;
    Ok(Planned { plan, text, json_path: output.to_owned(), html_path })
}

/// Where the site and the work folder of a plan are.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct Binding {
    pub(crate) site: PathBuf,
    pub(crate) shown: String,
    pub(crate) work: PathBuf,
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// Makes a plan; both the planner and its checker have to agree to it.
pub(crate) fn make(
    session: &Session,
    site: &SiteFile,
    inventory: &Inventory,
    route: RouteChoice,
) -> Result<Plan, Error> {
    let options = PlanOptions {
        route,
        now_us: session.clock.wall_us(),
        inventory_hash: inventory_hash(inventory),
    };
    let plan = rehome_planner::plan(inventory, &options)
        .map_err(|infeasible| explain(site, &infeasible))?;
    let findings = check_plan(&plan, inventory);
    if findings.is_empty() {
        return Ok(plan);
    }
    let texts: Vec<String> = findings.iter().map(ToString::to_string).collect();
    Err(Error::NeedsHuman {
        message: format!("the plan does not stand up to its checker: {}", texts.join("; ")),
    })
}

/// A hash of the facts that a plan is bound to. Measured speeds may change; the site may not.
pub(crate) fn inventory_hash(inventory: &Inventory) -> String {
    let mut facts = inventory.clone();
    facts.rates = rehome_planner::Rates::default();
    let json = serde_json::to_vec(&facts).expect("an inventory is text and numbers");
    blake3::hash(&json).to_hex()[..32].to_owned()
}

/// The obstacles, each with its place in the site file.
fn explain(site: &SiteFile, infeasible: &Infeasible) -> Error {
    let diagnostic = |obstacle: &&rehome_planner::Obstacle| {
        let message = format!("{} ({})", obstacle.cause, obstacle.code);
        Diagnostic::error("E030", site.place(&obstacle.place), message)
            .why(format!("{} [{}]", obstacle.consequence, obstacle.evidence))
            .fix(obstacle.remedy.clone())
    };
    let found: Vec<Diagnostic> = infeasible.obstacles().iter().map(diagnostic).collect();
    Error::Infeasible { message: format!("no plan leads there\n{}", render(&found)) }
}

/// Reads a plan.
///
/// # Errors
///
/// [`Error::BadInput`] if there is none, or it is of another version.
pub(crate) fn read(path: &Path) -> Result<Plan, Error> {
    let bytes = std::fs::read(path).map_err(|error| Error::BadInput {
        message: format!(
            "{}: the plan cannot be read: {error}; make one with rehome plan",
            path.display()
        ),
    })?;
    let plan: Plan = serde_json::from_slice(&bytes).map_err(|error| Error::BadInput {
        message: format!(
            "{}: not a plan of this version: {error}; make one with rehome plan",
            path.display()
        ),
    })?;
    if plan.format != rehome_planner::PLAN_FORMAT {
        let message = format!(
            "{}: the plan has format {}, this program reads {}; plan again",
            path.display(),
            plan.format,
            rehome_planner::PLAN_FORMAT
        );
        return Err(Error::BadInput { message });
    }
    Ok(plan)
}

/// Reads where the site and the work folder of a plan are.
pub(crate) fn read_binding(plan: &Path) -> Result<Binding, Error> {
    let path = plan.with_extension("binding.json");
    let bytes = std::fs::read(&path).map_err(|error| Error::BadInput {
        message: format!(
            "{}: this file says where the site of the plan is: {error}; plan again",
            path.display()
        ),
    })?;
    serde_json::from_slice(&bytes).map_err(|error| Error::BadInput {
        message: format!("{}: {error}; plan again", path.display()),
    })
}

/// Judges a plan before it starts: its own soundness, and what the inventory can tell of its
/// preconditions. Each finding is one sentence.
///
/// # Errors
///
/// [`Error::BadInput`] if the plan cannot be read; [`Error::StalePlan`] if the site has changed.
pub fn check_plan_file(path: &Path) -> Result<Vec<String>, Error> {
    let plan = read(path)?;
    let binding = read_binding(path)?;
    let site = SiteFile::read(Path::new(&binding.shown))?;
    let inventory = site.inventory()?;
    expect_fresh(&plan, &inventory)?;
    let mut findings: Vec<String> =
        check_plan(&plan, &inventory).iter().map(ToString::to_string).collect();
    for step in &plan.steps {
        for check in &step.preconditions {
            if let Judgement::Violated(obstacle) = judge(check, &inventory) {
                findings.push(format!("{}: {}; {}", step.id, obstacle.cause, obstacle.remedy));
            }
        }
    }
    Ok(findings)
}

/// Refuses a plan that was made from another inventory.
pub(crate) fn expect_fresh(plan: &Plan, inventory: &Inventory) -> Result<(), Error> {
    let now = inventory_hash(inventory);
    if plan.inventory_hash == now {
        return Ok(());
    }
    let changed = |was: usize, is: usize, what: &str| {
        (was != is).then(|| format!("{what}: {was} then, {is} now"))
    };
    let then = &plan.inventory;
    let messages =
        |inventory: &Inventory| usize::try_from(inventory.messages()).unwrap_or(usize::MAX);
    let changes: Vec<String> = [
        changed(then.mailboxes.len(), inventory.mailboxes.len(), "mailboxes"),
        changed(messages(then), messages(inventory), "messages"),
        changed(then.servers.len(), inventory.servers.len(), "servers"),
    ]
    .into_iter()
    .flatten()
    .collect();
    let changes = if changes.is_empty() { "the site file".to_owned() } else { changes.join(", ") };
    Err(Error::StalePlan {
        message: format!(
            "plan {} was made from another inventory ({changes}); nothing was done; plan again \
             with rehome plan",
            plan.id
        ),
    })
}
