//! From a site file to a plan and its report.

use std::path::{Path, PathBuf};

use rehome_planner::{
    Infeasible, Inventory, Judgement, Plan, PlanOptions, RouteChoice, check_plan, judge, to_html,
    to_text,
};
use rehome_site::{Diagnostic, render};

use crate::calibration::{self, Speeds};
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

/// Measures a site, takes the speeds of this machine if they are known, compares both routes, makes
/// the plan of one and writes it with its report.
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
    speeds: &Speeds,
) -> Result<Planned, Error> {
    let inventory = calibration::inventory(site, work, speeds, session.clock.wall_us())?;
    let plan = make(session, site, &inventory, route)?;
    let text = to_text(&plan);
    let html_path = output.with_extension("html");
    // Nobody reads a plan of very many mailboxes line by line.
    let large = inventory.mailboxes.len() > PRETTY_MAILBOXES_MAX;
    let write = if large { serde_json::to_vec } else { serde_json::to_vec_pretty };
    write_durably(output, &write(&plan).map_err(Error::needs_human)?)?;
    write_durably(&html_path, to_html(&plan, None).as_bytes())?;
    write_durably(&output.with_extension("txt"), text.as_bytes())?;
    // What `apply` needs beside the plan: where the site is and where the work is done.
    let binding = Binding { site: absolute(Path::new(&site.shown)), work: absolute(work.root()) };
    let json = serde_json::to_vec_pretty(&binding).map_err(Error::needs_human)?;
    write_durably(&output.with_extension("binding.json"), &json)?;
    Ok(Planned { plan, text, json_path: output.to_owned(), html_path })
}

/// The most mailboxes of a plan that is written in lines.
const PRETTY_MAILBOXES_MAX: usize = 10_000;

/// Where the site and the work folder of a plan are; absolute, so that the plan can be carried out
/// from any folder.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct Binding {
    /// The site file, or the folder of a site without one.
    pub(crate) site: PathBuf,
    /// The work folder.
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
    let mut texts: Vec<String> = findings.iter().take(NAMED_MAX).map(ToString::to_string).collect();
    if findings.len() > texts.len() {
        texts.push(format!("and {} more", findings.len() - texts.len()));
    }
    Err(Error::NeedsHuman {
        message: format!("the plan does not stand up to its checker: {}", texts.join("; ")),
    })
}

/// A hash of the facts that a plan is bound to. Measured speeds may change; the site may not.
pub(crate) fn inventory_hash(inventory: &Inventory) -> String {
    let mut facts = inventory.clone();
    facts.rates = rehome_planner::Rates::default();
    let mut hasher = blake3::Hasher::new();
    let hashing = std::io::BufWriter::with_capacity(1 << 16, &mut hasher);
    serde_json::to_writer(hashing, &facts).expect("an inventory is text and numbers");
    hasher.finalize().to_hex()[..32].to_owned()
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
    let site = SiteFile::read(&binding.site)?;
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
    let changes = changes(&plan.inventory, inventory);
    let changes = if changes.is_empty() { "the site file".to_owned() } else { changes.join(", ") };
    Err(Error::StalePlan {
        message: format!(
            "plan {} was made from another inventory ({changes}); nothing was done; plan again \
             with rehome plan",
            plan.id
        ),
    })
}

/// How many mailboxes a message names.
const NAMED_MAX: usize = 5;

/// What differs between two inventories, a few words each.
fn changes(then: &Inventory, now: &Inventory) -> Vec<String> {
    let counted = |was: u64, is: u64, what: &str| {
        (was != is).then(|| format!("{what}: {was} then, {is} now"))
    };
    let count = |inventory: &Inventory| inventory.mailboxes.len() as u64;
    let mut found = vec![
        counted(count(then), count(now), "mailboxes"),
        counted(then.messages(), now.messages(), "messages"),
        counted(then.servers.len() as u64, now.servers.len() as u64, "servers"),
    ];
    let changed = now.mailboxes.iter().filter(|one| !then.mailboxes.contains(one));
    let mut names: Vec<&str> = changed.map(|one| one.name.as_str()).collect();
    let more = names.len().saturating_sub(NAMED_MAX);
    names.truncate(NAMED_MAX);
    let and_more = if more > 0 { format!(" and {more} more") } else { String::new() };
    found.push((!names.is_empty()).then(|| format!("changed: {}{and_more}", names.join(", "))));
    found.push((then.cluster != now.cluster).then(|| "the cluster".to_owned()));
    found.push((then.public_folders != now.public_folders).then(|| "public folders".to_owned()));
    found.push((then.wishes != now.wishes).then(|| "the wishes for the route".to_owned()));
    found.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use rehome_planner::{Inventory, MailboxFacts, RouteChoice, ServerFacts};

    use super::{changes, check_plan_file, expect_fresh, inventory_hash, plan, read_binding};
    use crate::calibration::Speeds;
    use crate::error::Error;
    use crate::sample::{SampleOptions, write_sample};
    use crate::session::Session;
    use crate::site_file::SiteFile;
    use crate::work::Work;

    fn inventory() -> Inventory {
        let mailbox = |name: &str| MailboxFacts {
            name: name.to_owned(),
            messages: 2,
            bytes: 100,
            ..MailboxFacts::default()
        };
        Inventory { mailboxes: vec![mailbox("alice"), mailbox("bob")], ..Inventory::default() }
    }

    /// Changes an inventory and expects these words for it, and another hash.
    #[track_caller]
    fn check(change: impl FnOnce(&mut Inventory), expected: &[&str]) {
        let mut now = inventory();
        change(&mut now);
        assert_eq!(changes(&inventory(), &now), expected);
        assert_ne!(inventory_hash(&now), inventory_hash(&inventory()));
    }

    #[test]
    fn what_has_changed_is_named() {
        check(|now| now.mailboxes[1].bytes += 1, &["changed: bob"]);
        check(|now| now.mailboxes[0].messages = 3, &["messages: 4 then, 5 now", "changed: alice"]);
        check(
            |now| now.mailboxes.truncate(1),
            &["mailboxes: 2 then, 1 now", "messages: 4 then, 2 now"],
        );
        check(|now| now.servers.push(ServerFacts::default()), &["servers: 0 then, 1 now"]);
        check(|now| now.cluster.address = "127.0.0.9".to_owned(), &["the cluster"]);
        check(|now| now.wishes.second_server = false, &["the wishes for the route"]);
        check(|now| now.organization = "Other".to_owned(), &[]);
    }

    #[test]
    fn speeds_are_no_part_of_what_a_plan_is_bound_to() {
        let mut faster = inventory();
        faster.rates.bytes_per_second *= 2.0;
        faster.rates.measured = true;
        assert_eq!(inventory_hash(&faster), inventory_hash(&inventory()));
    }

    #[test]
    fn a_plan_is_bound_to_its_site_and_is_stale_when_that_has_changed() {
        let scratch = tempfile::tempdir().expect("a scratch folder");
        let root = scratch.path();
        let options =
            SampleOptions { mailboxes: 2, messages: 3, seed: 5, ..SampleOptions::default() };
        write_sample(&root.join("site"), &options).expect("an empty folder");
        let site = SiteFile::read(&root.join("site")).expect("a site");
        let session = Session::new("rehome".into(), std::sync::Arc::default());
        let work = Work::new(root.join("work"));
        let planned =
            plan(&session, &site, &work, RouteChoice::Auto, &work.plan(), &Speeds::default());
        let planned = planned.expect("a plan");
        let binding = read_binding(&work.plan()).expect("it was written");
        assert!(binding.site.is_absolute() && binding.work.is_absolute());
        assert_eq!(check_plan_file(&work.plan()).expect("it is fresh"), Vec::<String>::new());
        let new = root.join("site/mail/alice/cur/9.late:2,");
        std::fs::write(new, "Subject: late\r\n\r\nlate\r\n").expect("writable");
        let now = SiteFile::read(&root.join("site")).expect("a site").inventory();
        let stale = expect_fresh(&planned.plan, &now.expect("readable")).expect_err("it changed");
        assert!(matches!(stale, Error::StalePlan { .. }), "{stale}");
        for word in ["messages: 6 then, 7 now", "alice", "plan again"] {
            assert!(stale.to_string().contains(word), "no {word:?} in {stale}");
        }
        assert_eq!(check_plan_file(&work.plan()).expect_err("it changed").exit_code(), 7);
    }
}
