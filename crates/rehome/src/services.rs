//! Services that stay when a migration waits, stops or has ended: seen, started and ended by hand.

use std::fmt;
use std::time::Duration;

use rehome_planner::Plan;
use serde::Serialize;

use crate::control::ControlClient;
use crate::error::Error;
use crate::gates::Gates;
use crate::memory::Memory;
use crate::operations::World;
use crate::planning;
use crate::session::{ServicesAfter, Session};
use crate::site_file::SiteFile;
use crate::standing::Record;
use crate::work::Work;

/// Time that a service has to end in order before it is killed.
const END_MAX: Duration = Duration::from_secs(30);

/// A service of a work folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ServiceNow {
    /// The old server, or a node.
    pub name: String,
    /// The process, if it stays and runs. One that ends with its migration is not told.
    pub pid: Option<u32>,
    /// Whether it is meant to run: what a migration or `services start` starts again.
    pub wanted: bool,
}

/// The services of a work folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ServicesNow {
    /// The old server and the nodes.
    pub services: Vec<ServiceNow>,
}

impl fmt::Display for ServicesNow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, one) in self.services.iter().enumerate() {
            let name = &one.name;
            let end = if index + 1 < self.services.len() { "\n" } else { "" };
            match (one.pid, one.wanted) {
                (Some(pid), _) => write!(f, "{name} serves as process {pid}{end}")?,
                (None, true) => write!(f, "{name} does not run by itself{end}")?,
                (None, false) => write!(f, "{name} is not meant to run{end}")?,
            }
        }
        Ok(())
    }
}

/// Which services of a work folder stay and run.
///
/// # Errors
///
/// [`Error::BadInput`] if there is no plan.
pub fn services_status(work: &Work) -> Result<ServicesNow, Error> {
    now(work, &planning::read(&work.plan())?)
}

/// Starts the services that are meant to run and do not, as ones that stay; carries nothing out.
///
/// # Errors
///
/// [`Error::PreconditionOpen`] while a migration runs there; [`Error::BadInput`] if there is no
/// plan; [`Error::NeedsHuman`] if one does not start.
pub fn services_start(session: &Session, work: &Work) -> Result<ServicesNow, Error> {
    let plan = planning::read(&work.plan())?;
    expect_no_migration(work)?;
    let site = SiteFile::read(&planning::read_binding(&work.plan())?.site)?;
    let mut session = session.clone();
    session.services = ServicesAfter::Stay;
    let gates = Gates::default();
    drop(World::new(&session, &site, work, &plan, &gates)?);
    now(work, &plan)
}

/// Ends the services that stay, in order. What they are meant to do is not changed: the next
/// migration, or [`services_start`], starts them again.
///
/// # Errors
///
/// [`Error::PreconditionOpen`] while a migration runs there; [`Error::BadInput`] if there is no
/// plan; [`Error::NeedsHuman`] if one runs even after it was killed.
pub fn services_stop(work: &Work) -> Result<ServicesNow, Error> {
    let plan = planning::read(&work.plan())?;
    expect_no_migration(work)?;
    end(work, &names(&plan))?;
    now(work, &plan)
}

/// Services that would be started or ended under a migration's hands are left alone.
fn expect_no_migration(work: &Work) -> Result<(), Error> {
    match ControlClient::new(work).status() {
        Err(Error::PreconditionOpen { .. }) => Ok(()),
        Err(other) => Err(other),
        Ok(_) => {
            let work = work.root().display();
            let message = format!(
                "{work}: a migration runs there and needs its services; nothing was changed; end \
                 it with rehome migration stop {work}, then do this again"
            );
            Err(Error::PreconditionOpen { message })
        }
    }
}

/// The nodes, then the old server.
fn names(plan: &Plan) -> Vec<String> {
    let mut names = plan.inventory.cluster.nodes.clone();
    names.push(plan.inventory.old_server.clone());
    names
}

/// What there is now.
pub(crate) fn now(work: &Work, plan: &Plan) -> Result<ServicesNow, Error> {
    let memory = Memory::open(work.world())?;
    let facts = memory.facts();
    let services = names(plan).into_iter().map(|name| {
        let is_old = name == plan.inventory.old_server;
        let wanted = if is_old { facts.old_server_runs } else { facts.nodes_run };
        let pid = Record::living(&work.service(&name)).map(|record| record.pid);
        ServiceNow { name, pid, wanted }
    });
    Ok(ServicesNow { services: services.collect() })
}

/// Ends those of these services that stay: all are asked before any is waited for, so that nothing
/// fails over.
pub(crate) fn end(work: &Work, names: &[String]) -> Result<(), Error> {
    let living = names.iter().filter_map(|name| Record::living(&work.service(name)));
    let living: Vec<Record> = living.collect();
    living.iter().for_each(Record::ask_to_end);
    let left: Vec<String> = living
        .iter()
        .filter(|record| !record.wait(END_MAX))
        .map(|record| format!("process {}", record.pid))
        .collect();
    match left.is_empty() {
        true => Ok(()),
        false => Err(Error::needs_human(format!(
            "{}: {} cannot be ended and goes on; do this again as the user who started it",
            work.root().display(),
            left.join(", ")
        ))),
    }
}

/// What a person should know when a run has ended and services go on; none if none does.
pub(crate) fn note(work: &Work, plan: &Plan) -> Option<String> {
    let now = now(work, plan).ok()?;
    let on: Vec<String> = now
        .services
        .iter()
        .filter_map(|one| one.pid.map(|pid| format!("{} (process {pid})", one.name)))
        .collect();
    let work = work.root().display();
    (!on.is_empty()).then(|| {
        format!(
            "users go on working: {} stay; see rehome services status {work}; end them with \
             rehome services stop {work}",
            on.join(", ")
        )
    })
}
