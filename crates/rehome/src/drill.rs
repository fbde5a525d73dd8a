//! Killing the node that owns the group while mail is delivered, and counting what is missing.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rehome_cluster::{Cluster, ClusterStatus, GroupName};

use crate::clients::Names;
use crate::error::Error;
use crate::planning;
use crate::process::{Process, Start};
use crate::session::Session;
use crate::traffic::{Traffic, delivered_by};
use crate::work::Work;

/// How long the group may take to be online.
const ONLINE_MAX_MS: u64 = 120_000;

/// What a drill found.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct DrillReport {
    /// The node that was killed.
    pub killed: String,
    /// The node that has the group now.
    pub owner: String,
    /// From the kill until the group was online again, in milliseconds.
    pub outage_ms: f64,
    /// Deliveries acknowledged before, while and after the group was away.
    pub delivered: u64,
    /// Acknowledged deliveries that the store does not have.
    pub missing: u64,
    /// Deliveries that are there twice.
    pub doubled: u64,
}

impl std::fmt::Display for DrillReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "killed {}, {} had the group online after {:.0} ms; {} deliveries acknowledged, {} \
             missing, {} doubled",
            self.killed, self.owner, self.outage_ms, self.delivered, self.missing, self.doubled
        )
    }
}

/// Starts the nodes of a finished migration, delivers mail, kills the owner of the group with
/// SIGKILL after a while, waits until the other node has the group online, delivers for as long
/// again, and looks for every acknowledged delivery.
///
/// # Errors
///
/// [`Error::BadInput`] if the work folder has no finished migration; [`Error::NeedsHuman`] if the
/// group does not come online.
pub fn kill_owner(work: &Path, program: &Path, before: Duration) -> Result<DrillReport, Error> {
    let work = Work::new(work);
    let plan = planning::read(&work.plan())?;
    let session = Session::new(program.to_owned(), Arc::default());
    let cluster = Cluster::open(&work.quorum()).map_err(Error::bad_input)?;
    let facts = &plan.inventory.cluster;
    let group = crate::names::group(&facts.group).map_err(Error::bad_input)?;
    let mut nodes: Vec<(String, Process)> = Vec::new();
    for name in &facts.nodes {
        nodes.push((name.clone(), start_node(&work, program, name)?));
    }
    let online = |status: &ClusterStatus| status.online(&group);
    wait(&cluster, "the group to be online", online)?;
    let server = match plan.route {
        rehome_planner::Route::MoveUsers => facts.server.clone(),
        rehome_planner::Route::DisasterRecovery => plan.inventory.old_server.clone(),
    };
    let mailboxes: Vec<String> = plan.inventory.moving().map(|one| one.name.clone()).collect();
    let names = Names::new(work.names());
    let traffic = Traffic::begin(&session, &work, names.clone(), &server, mailboxes)?;
    std::thread::park_timeout(before);
    let (killed, owner, outage) = kill(&cluster, &group, &mut nodes)?;
    std::thread::park_timeout(before);
    let counts = traffic.end();
    let (missing, doubled) = look_for_deliveries(&work, &names, &server)?;
    for (_, node) in &mut nodes {
        node.ask_to_end();
    }
    Ok(DrillReport {
        killed,
        owner,
        outage_ms: outage.as_secs_f64() * 1000.0,
        delivered: counts.delivered,
        missing,
        doubled,
    })
}

fn start_node(work: &Work, program: &Path, name: &str) -> Result<Process, Error> {
    let quorum = work.quorum().display().to_string();
    let args = ["cluster", "node", "--quorum", &quorum, "--name", name];
    let args = args.map(ToOwned::to_owned).to_vec();
    let log = work.node(name).join("log").join("node.log");
    let start = Start { what: format!("node {name}"), program, args, log, stays: None };
    Process::start_patiently(&start, &work.service(name)).map_err(Error::needs_human)
}

fn wait(
    cluster: &Cluster,
    what: &str,
    met: impl FnMut(&ClusterStatus) -> bool,
) -> Result<ClusterStatus, Error> {
    cluster.wait_until(what, ONLINE_MAX_MS, 5, met).map_err(Error::chain)
}

/// Kills the owner and waits until another node has the group online.
fn kill(
    cluster: &Cluster,
    group: &GroupName,
    nodes: &mut Vec<(String, Process)>,
) -> Result<(String, String, Duration), Error> {
    let status = cluster.status().map_err(Error::chain)?;
    let owner = status.owner(group).map(ToString::to_string);
    let owner = owner.ok_or_else(|| Error::needs_human("nobody owns the group"))?;
    let at = nodes.iter().position(|(name, _)| *name == owner);
    let at = at.ok_or_else(|| Error::needs_human(format!("{owner} is not ours to kill")))?;
    let (killed, mut process) = nodes.remove(at);
    let started = Instant::now();
    process.kill().map_err(Error::needs_human)?;
    let status = wait(cluster, "the group to be online on the other node", |status| {
        status.online(group) && status.owner(group).is_some_and(|now| now.as_str() != killed)
    })?;
    let outage = started.elapsed();
    let owner = status.owner(group).map(ToString::to_string).unwrap_or_default();
    Ok((killed, owner, outage))
}

/// Counts acknowledged deliveries that are missing, and those that are there twice.
fn look_for_deliveries(work: &Work, names: &Names, server: &str) -> Result<(u64, u64), Error> {
    let mut source = names.source(server)?;
    let (mut missing, mut doubled) = (0, 0);
    for (mailbox, contents) in delivered_by(&work.traffic())? {
        let mailbox = rehome_store::MailboxName::try_from(mailbox.as_str());
        let held = crate::verify::contents(&mailbox.map_err(Error::bad_input)?, &mut source)
            .map_err(Error::chain)?;
        for content in contents {
            match held.get(&content).copied().unwrap_or(0) {
                0 => missing += 1,
                1 => {}
                more => doubled += more - 1,
            }
        }
    }
    Ok((missing, doubled))
}
