//! The verbs of a cluster.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::RecordArgs;

#[derive(Debug, Subcommand)]
pub(crate) enum ClusterCommand {
    /// Make a cluster: a quorum folder and the folders of its nodes.
    Create(CreateArgs),
    /// Add a node.
    Join {
        /// The quorum folder.
        quorum: PathBuf,
        /// The node's name.
        node: String,
        /// The node's own folder.
        #[arg(long)]
        dir: PathBuf,
    },
    /// Nodes, groups and resources, with reasons and times.
    Status {
        /// The quorum folder.
        quorum: PathBuf,
    },
    /// The status again each time that it changes, until it is stopped.
    Watch {
        /// The quorum folder.
        quorum: PathBuf,
    },
    /// Move a group to another node.
    Move {
        /// The quorum folder.
        quorum: PathBuf,
        /// The group.
        group: String,
        /// The node that shall own it.
        node: String,
    },
    /// Bring a resource online with what it needs, or a whole group.
    Online(NameArgs),
    /// Take a resource offline with what needs it, or a whole group.
    Offline(NameArgs),
    /// Let a node take nothing new; --end lets it take part again.
    Pause(PauseArgs),
    /// Let a node hand over what it has and take nothing new; --end lets it take part again.
    Drain(PauseArgs),
    /// Have nodes start, stop and move nothing; --end lets them look after their groups again.
    Maintenance {
        /// The quorum folder.
        quorum: PathBuf,
        /// End it.
        #[arg(long)]
        end: bool,
    },
    /// Say which nodes a group prefers, and when it goes back to them.
    Failback(FailbackArgs),
    /// Say how the power of a node is switched off before others take what it had.
    Fence(FenceArgs),
    /// Take a node out that does not run any more.
    Evict {
        /// The quorum folder.
        quorum: PathBuf,
        /// The node.
        node: String,
    },
    /// Add a resource to a group; the group is made if there is none of that name.
    AddResource(AddResourceArgs),
    /// Let a registry key travel with a resource, or no more.
    Checkpoint(CheckpointArgs),
    /// What the nodes decided and did, with reasons.
    Log {
        /// The quorum folder.
        quorum: PathBuf,
        /// Only what this node wrote.
        #[arg(long)]
        node: Option<String>,
        /// Only so many entries, the newest.
        #[arg(long, default_value_t = 100)]
        last: usize,
    },
    /// Why a node, group or resource is as it is; everything without a name.
    Explain {
        /// The quorum folder.
        quorum: PathBuf,
        /// The node, group or resource.
        name: Option<String>,
    },
    /// Simulate clusters under faults, and look for two owners, lost writes and nobody at home.
    Simulate(SimulateArgs),
    /// Hold a floating address until standard input ends: what a node starts for such a resource.
    #[command(hide = true)]
    HoldAddress {
        /// The address with the length of its network, such as 192.0.2.7/24.
        #[arg(long)]
        address: String,
        /// The interface.
        #[arg(long)]
        device: String,
    },
    /// Run this computer's node until it is told to stop.
    Node {
        /// The quorum folder.
        #[arg(long)]
        quorum: PathBuf,
        /// The node's name.
        #[arg(long)]
        name: String,
        /// Stop in order when standard input ends.
        #[arg(long)]
        while_stdin: bool,
        #[command(flatten)]
        record: RecordArgs,
        /// Hand out metrics in the text form of Prometheus there.
        #[arg(long, value_name = "ADDRESS:PORT")]
        metrics: Option<SocketAddr>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    /// The quorum folder: every node must reach it.
    pub(crate) quorum: PathBuf,
    /// The cluster's name.
    #[arg(long)]
    pub(crate) name: String,
    /// A node and its own folder; may be given several times, preferred nodes first.
    #[arg(long = "node", value_name = "NAME=DIR", value_parser = pair, required = true)]
    pub(crate) nodes: Vec<(String, String)>,
    /// How long a node that cannot renew may go on, in milliseconds.
    #[arg(long)]
    pub(crate) lease_ms: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct NameArgs {
    /// The quorum folder.
    pub(crate) quorum: PathBuf,
    /// The resource or group.
    pub(crate) name: String,
}

#[derive(Debug, Args)]
pub(crate) struct PauseArgs {
    /// The quorum folder.
    pub(crate) quorum: PathBuf,
    /// The node.
    pub(crate) node: String,
    /// End it.
    #[arg(long)]
    pub(crate) end: bool,
}

#[derive(Debug, Args)]
pub(crate) struct AddResourceArgs {
    /// The quorum folder.
    pub(crate) quorum: PathBuf,
    /// The group.
    #[arg(long)]
    pub(crate) group: String,
    /// The resource's name.
    #[arg(long)]
    pub(crate) name: String,
    /// folder, address, ip, name, process, script, or ocf:PROVIDER:AGENT.
    #[arg(long)]
    pub(crate) kind: String,
    /// What is set of it, such as path=/srv/mail; may be given several times.
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    pub(crate) set: Vec<(String, String)>,
    /// A resource of the group that must be online first; may be given several times.
    #[arg(long, value_name = "RESOURCE")]
    pub(crate) depends_on: Vec<String>,
    /// A node that can run it; may be given several times. Default: all.
    #[arg(long, value_name = "NODE")]
    pub(crate) possible_owner: Vec<String>,
    /// Bring it online.
    #[arg(long)]
    pub(crate) online: bool,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
}

#[derive(Debug, Args)]
pub(crate) struct LimitArgs {
    /// Restarts within the period; then the group moves.
    #[arg(long)]
    pub(crate) restarts: Option<u32>,
    /// The period of the restarts, in milliseconds.
    #[arg(long)]
    pub(crate) restart_period_ms: Option<u64>,
    /// How long it may be pending without a sign of progress, in milliseconds.
    #[arg(long)]
    pub(crate) pending_timeout_ms: Option<u64>,
    /// How long going offline may take before it is ended by force, in milliseconds.
    #[arg(long)]
    pub(crate) grace_ms: Option<u64>,
    /// Time between two cheap checks, in milliseconds.
    #[arg(long)]
    pub(crate) looks_alive_ms: Option<u64>,
    /// Time between two thorough checks, in milliseconds.
    #[arg(long)]
    pub(crate) is_alive_ms: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct FailbackArgs {
    /// The quorum folder.
    pub(crate) quorum: PathBuf,
    /// The group.
    pub(crate) group: String,
    /// A node that it prefers; may be given several times, the best first.
    #[arg(long, value_name = "NODE")]
    pub(crate) prefer: Vec<String>,
    /// A part of the day in which it goes back, in UTC, such as 22:00-06:00; may be given several
    /// times. Default: always.
    #[arg(long, value_name = "FROM-TO")]
    pub(crate) window: Vec<String>,
    /// How long the node must have been there without a gap, in milliseconds.
    #[arg(long, default_value_t = 60_000)]
    pub(crate) after_ms: u64,
    /// It does not go back.
    #[arg(long, conflicts_with_all = ["window", "after_ms"])]
    pub(crate) never: bool,
}

#[derive(Debug, Args)]
pub(crate) struct FenceArgs {
    /// The quorum folder.
    pub(crate) quorum: PathBuf,
    /// The node.
    pub(crate) node: String,
    /// The fence agent, such as fence_ipmilan; it is asked whether it reaches its device.
    #[arg(long, required_unless_present = "none")]
    pub(crate) agent: Option<PathBuf>,
    /// What it is told, such as ip=192.0.2.8; may be given several times.
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    pub(crate) set: Vec<(String, String)>,
    /// How long it may take, in milliseconds.
    #[arg(long, default_value_t = 20_000)]
    pub(crate) timeout_ms: u64,
    /// The node is fenced no more.
    #[arg(long, conflicts_with_all = ["agent", "set"])]
    pub(crate) none: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CheckpointArgs {
    /// The quorum folder.
    pub(crate) quorum: PathBuf,
    /// The resource.
    pub(crate) resource: String,
    /// The key: a path below the node's registry folder.
    pub(crate) key: String,
    /// It travels no more, and its copies are deleted.
    #[arg(long)]
    pub(crate) remove: bool,
    /// The node whose registry has the key, when nobody owns the group.
    #[arg(long, value_name = "NODE", conflicts_with = "remove")]
    pub(crate) from: Option<String>,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write it as NAME=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

/// A layer of protection, for the simulation to go without.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LayerArg {
    /// What runs is ended when its own lease is over.
    Deadline,
    /// The store seals older epochs and reads its own again before it acknowledges.
    Seal,
    /// Nobody takes over before the lease and the margin have passed.
    Wait,
    /// One process at a time has the store open.
    Lock,
    /// Silence is counted anew after a pause in the readings, where heartbeats may come late.
    Anew,
}

#[derive(Debug, Args)]
pub(crate) struct SimulateArgs {
    /// How many simulated clusters, each from a seed of its own.
    #[arg(long, default_value_t = 10_000)]
    pub(crate) seeds: u64,
    /// The first seed: where a run that was stopped goes on.
    #[arg(long, default_value_t = 1)]
    pub(crate) first_seed: u64,
    /// Only this seed.
    #[arg(long, conflicts_with_all = ["seeds", "first_seed"])]
    pub(crate) seed: Option<u64>,
    /// Take a layer of protection out, to see that the simulation notices.
    #[arg(long, value_enum)]
    pub(crate) without: Option<LayerArg>,
}
