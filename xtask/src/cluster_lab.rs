//! Three hosts on this machine, with everything that can befall one of them.
//!
//! A host is a network namespace with a member of etcd, a node of the cluster, and what that runs:
//! a floating address and a store that takes deliveries. Each run does one thing to the owner and
//! measures from outside.

mod evidence;
mod hosts;
mod network;
mod pacemaker;
mod probe;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use rehome::parts::log::SplitMix64;
use serde_json::{Value, json};

use crate::commands::{say, tell};
use evidence::{After, Evidence, Verdict, spread};
use hosts::Hosts;
pub(crate) use probe::{ProbeArgs, run as run_probe};

/// What befalls the owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Fault {
    /// The store is killed with SIGKILL.
    Service,
    /// The node's program is killed with SIGKILL.
    Daemon,
    /// The host's power fails: everything on it is killed, and its links are down.
    Power,
    /// The host's network is cut.
    Cut,
    /// The node and what it runs are stopped for longer than the lease, and continued.
    Pause,
    /// The group is moved in order.
    Move,
}

impl Fault {
    const ALL: [Fault; 6] =
        [Fault::Service, Fault::Daemon, Fault::Power, Fault::Cut, Fault::Pause, Fault::Move];

    fn name(self) -> &'static str {
        match self {
            Fault::Service => "service",
            Fault::Daemon => "daemon",
            Fault::Power => "power",
            Fault::Cut => "cut",
            Fault::Pause => "pause",
            Fault::Move => "move",
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct LabArgs {
    /// Runs of each fault.
    #[arg(long, default_value_t = 3)]
    runs: u32,
    /// Only this fault.
    #[arg(long, value_enum)]
    fault: Option<Fault>,
    /// The lease, in milliseconds.
    #[arg(long, default_value_t = 2_000)]
    lease_ms: u64,
    /// Under Pacemaker and Corosync instead, with this token timeout in milliseconds.
    #[arg(long, value_name = "TOKEN_MS")]
    pacemaker: Option<u64>,
    /// The seed of the moments.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// A JSON line for each run on standard output.
    #[arg(long)]
    json: bool,
    /// Keep the files of the hosts in this folder, for a look afterwards.
    #[arg(long)]
    keep: Option<PathBuf>,
}

impl LabArgs {
    /// The run that continuous integration can afford.
    pub(crate) fn short() -> Self {
        let (fault, pacemaker, keep) = (None, None, None);
        Self { runs: 1, fault, lease_ms: 2_000, pacemaker, seed: 1, json: true, keep }
    }
}

/// How long anything may take that is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// Why the lab cannot be set up here at all, if it cannot.
pub(crate) fn impossible() -> Option<String> {
    network::impossible().or_else(hosts::impossible)
}

pub(crate) fn run(args: &LabArgs) -> Result<(), String> {
    let other = args.pacemaker.and_then(|_| pacemaker::impossible());
    if let Some(why) = impossible().or(other) {
        return Err(format!("the lab cannot be set up here: {why}"));
    }
    let scratch = tempfile::tempdir().map_err(|error| error.to_string())?;
    let folder = args.keep.clone().unwrap_or_else(|| scratch.path().to_owned());
    say(&format!("seed {}, lease {} ms, files in {}", args.seed, args.lease_ms, folder.display()));
    let mut hosts = Hosts::set_up(&folder, args.lease_ms, args.pacemaker)?;
    let mut random = SplitMix64::new(args.seed);
    let mut failures = Vec::new();
    let wanted = |fault: &Fault| args.fault.is_none_or(|one| one == *fault);
    // A move in order is a matter of constraints there.
    let there = |fault: &Fault| args.pacemaker.is_none() || *fault != Fault::Move;
    let faults = Fault::ALL.into_iter().filter(|fault| wanted(fault) && there(fault));
    for fault in faults {
        let mut verdicts = Vec::new();
        for number in 1..=args.runs {
            let verdict = one(&mut hosts, fault, args, &mut random)
                .map_err(|error| format!("{} run {number}: {error}", fault.name()))?;
            show(args, fault, number, &verdict);
            // What another manager does wrong is told, and no failure of ours.
            let wrong = verdict.wrong().filter(|_| args.pacemaker.is_none());
            failures.extend(wrong.map(|why| format!("{} {number}: {why}", fault.name())));
            verdicts.push(verdict);
        }
        say(&format!("{}: {}", fault.name(), summary(&verdicts)));
    }
    match failures.is_empty() {
        true => Ok(()),
        false => Err(failures.join("; ")),
    }
}

/// One fault, from a healthy cluster to a healthy cluster.
fn one(
    hosts: &mut Hosts,
    fault: Fault,
    args: &LabArgs,
    random: &mut SplitMix64,
) -> Result<Verdict, String> {
    hosts.wait_healthy()?;
    let mut evidence = Evidence::begin(hosts)?;
    let owner = evidence.owner()?;
    hosts.lead_etcd(usize::try_from(random.below(3)).unwrap_or(0));
    let leader = hosts.etcd_leader();
    std::thread::sleep(Duration::from_millis(300 + random.below(1_000)));
    let at_us = inflict(hosts, fault, owner, random)?;
    let same_epoch = fault == Fault::Service;
    let seen = evidence.wait_for_service(at_us, same_epoch);
    let holders = hosts.address_holders();
    std::thread::sleep(Duration::from_millis(500));
    if fault == Fault::Pause {
        // It wakes up while another one serves.
        std::thread::sleep(Duration::from_millis(args.lease_ms));
        hosts.resume(owner);
        std::thread::sleep(Duration::from_millis(1_000));
    }
    hosts.restore(fault, owner)?;
    seen?;
    hosts.wait_healthy()?;
    let claimed_us = hosts.claimed_us(owner, at_us);
    let after = After { claimed_us, holders, led_etcd: leader == Some(owner) };
    evidence.end()?.verdict(at_us, same_epoch, owner, &after)
}

/// Does it, and says when it was done.
fn inflict(
    hosts: &mut Hosts,
    fault: Fault,
    owner: usize,
    random: &mut SplitMix64,
) -> Result<u64, String> {
    match fault {
        Fault::Service => hosts.kill_store(owner)?,
        Fault::Daemon => hosts.kill_daemon(owner)?,
        Fault::Power => hosts.power_off(owner)?,
        Fault::Cut => hosts.cut(owner)?,
        Fault::Pause => hosts.pause(owner)?,
        Fault::Move => {
            let step = 1 + usize::try_from(random.below(2)).unwrap_or(0);
            let at_us = evidence::now_us();
            hosts.move_group((owner + step) % hosts::COUNT)?;
            return Ok(at_us);
        }
    }
    Ok(evidence::now_us())
}

fn show(args: &LabArgs, fault: Fault, number: u32, verdict: &Verdict) {
    let mut line = match args.pacemaker {
        Some(token_ms) => json!({ "manager": "pacemaker", "token_ms": token_ms }),
        None => json!({ "manager": "rehome", "lease_ms": args.lease_ms }),
    };
    line["fault"] = json!(fault.name());
    line["run"] = json!(number);
    if let (Value::Object(line), Value::Object(more)) = (&mut line, verdict.document()) {
        line.extend(more);
    }
    match args.json {
        true => tell(&line.to_string()),
        false => say(&line.to_string()),
    }
}

fn summary(verdicts: &[Verdict]) -> String {
    let seconds =
        |pick: fn(&Verdict) -> Option<f64>| spread(verdicts.iter().filter_map(pick).collect());
    let sum = |pick: fn(&Verdict) -> u64| verdicts.iter().map(pick).sum::<u64>();
    format!(
        "{} runs; service again after {}; outage {}; margin {}; acknowledged {}, lost {}, moments \
         with two owners {}",
        verdicts.len(),
        seconds(|one| Some(one.seconds_to_service)),
        seconds(|one| Some(one.outage_seconds)),
        seconds(|one| one.margin_seconds),
        sum(|one| one.acknowledged),
        sum(|one| one.lost),
        sum(|one| one.two_owners),
    )
}
