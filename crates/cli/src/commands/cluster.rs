//! The verbs of a cluster.

use rehome::nodes::{self, CheckpointOrder, Limits, NewCluster, NewResource, NodeOrder, Order};
use rehome::parts::cluster::Layer;
use rehome::serve::Announcements;
use rehome::simulate::SimulateOptions;
use rehome::{Error, Session};

use super::answer;
use crate::args::{
    AddResourceArgs, CheckpointArgs, ClusterCommand, CreateArgs, FailbackArgs, FenceArgs, LayerArg,
    LimitArgs, SimulateArgs,
};
use crate::view::{View, print, print_json};

pub(crate) fn cluster(
    command: &ClusterCommand,
    session: &Session,
    view: &mut View,
    json: bool,
) -> Result<(), Error> {
    let tell = |text: String| answer(json, &text, &text);
    match command {
        ClusterCommand::Create(args) => tell(create(args)?),
        ClusterCommand::Join { quorum, node, dir } => tell(nodes::join(quorum, node, dir)?),
        ClusterCommand::Status { quorum } => {
            let status = nodes::status(quorum)?;
            answer(json, &status.document, &status.text)
        }
        ClusterCommand::Watch { quorum } => nodes::watch(session, quorum, |report| match json {
            true => print_json(&report.document),
            false => print(&report.text),
        }),
        ClusterCommand::Log { quorum, node, last } => {
            let (entries, text) = nodes::log(quorum, node.as_deref(), *last)?;
            answer(json, &entries, &text)
        }
        ClusterCommand::Explain { quorum, name } => {
            let (found, text) = nodes::explain(quorum, name.as_deref())?;
            answer(json, &found, &text)
        }
        ClusterCommand::Simulate(args) => simulate(args, session, view, json),
        ClusterCommand::Node { quorum, name, while_stdin, record, metrics } => {
            let announce = Announcements { record: record.record.clone(), names: None };
            nodes::run(session, quorum, name, *while_stdin, *metrics, &announce)
        }
        ClusterCommand::HoldAddress { address, device } => nodes::hold_address(address, device),
        other => tell(order(other)?),
    }
}

fn create(args: &CreateArgs) -> Result<String, Error> {
    let nodes = args.nodes.iter().map(|(name, dir)| (name.clone(), dir.into())).collect();
    let new = NewCluster { name: args.name.clone(), nodes, lease_ms: args.lease_ms };
    nodes::create(&args.quorum, &new)
}

/// What only changes what is asked of the cluster.
fn order(command: &ClusterCommand) -> Result<String, Error> {
    let (quorum, order) = match command {
        ClusterCommand::Move { quorum, group, node } => {
            (quorum, Order::Move { group: group.clone(), node: node.clone() })
        }
        ClusterCommand::Online(args) => {
            (&args.quorum, Order::Target { name: args.name.clone(), online: true })
        }
        ClusterCommand::Offline(args) => {
            (&args.quorum, Order::Target { name: args.name.clone(), online: false })
        }
        ClusterCommand::Pause(args) => {
            let what = if args.end { NodeOrder::Resume } else { NodeOrder::Pause };
            (&args.quorum, Order::Node { node: args.node.clone(), what })
        }
        ClusterCommand::Drain(args) => {
            let what = if args.end { NodeOrder::Resume } else { NodeOrder::Drain };
            (&args.quorum, Order::Node { node: args.node.clone(), what })
        }
        ClusterCommand::Evict { quorum, node } => {
            (quorum, Order::Node { node: node.clone(), what: NodeOrder::Evict })
        }
        ClusterCommand::Maintenance { quorum, end } => (quorum, Order::Maintenance { ends: *end }),
        ClusterCommand::Failback(args) => (&args.quorum, failback(args)),
        ClusterCommand::Fence(args) => (&args.quorum, fence(args)),
        ClusterCommand::AddResource(args) => (&args.quorum, Order::Add(resource(args))),
        ClusterCommand::Checkpoint(args) => (&args.quorum, checkpoint(args)),
        _ => return Ok(String::new()),
    };
    nodes::order(quorum, &order)
}

fn resource(args: &AddResourceArgs) -> NewResource {
    NewResource {
        group: args.group.clone(),
        name: args.name.clone(),
        kind: args.kind.clone(),
        set: args.set.clone(),
        depends_on: args.depends_on.clone(),
        possible_owners: args.possible_owner.clone(),
        online: args.online,
        limits: limits(&args.limits),
    }
}

fn failback(args: &FailbackArgs) -> Order {
    Order::Failback {
        group: args.group.clone(),
        preferred: args.prefer.clone(),
        windows: args.window.clone(),
        after_ms: (!args.never).then_some(args.after_ms),
    }
}

fn fence(args: &FenceArgs) -> Order {
    Order::Fence {
        node: args.node.clone(),
        agent: args.agent.clone(),
        set: args.set.clone(),
        timeout_ms: args.timeout_ms,
    }
}

fn limits(args: &LimitArgs) -> Limits {
    Limits {
        restarts: args.restarts,
        restart_period_ms: args.restart_period_ms,
        pending_timeout_ms: args.pending_timeout_ms,
        grace_ms: args.grace_ms,
        looks_alive_ms: args.looks_alive_ms,
        is_alive_ms: args.is_alive_ms,
    }
}

fn checkpoint(args: &CheckpointArgs) -> Order {
    Order::Checkpoint {
        resource: args.resource.clone(),
        key: args.key.clone(),
        what: if args.remove { CheckpointOrder::Remove } else { CheckpointOrder::Add },
        from: args.from.clone(),
    }
}

fn simulate(
    args: &SimulateArgs,
    session: &Session,
    view: &mut View,
    json: bool,
) -> Result<(), Error> {
    let without = args.without.map(|layer| match layer {
        LayerArg::Deadline => Layer::Deadline,
        LayerArg::Seal => Layer::Seal,
        LayerArg::Wait => Layer::Wait,
        LayerArg::Lock => Layer::Lock,
        LayerArg::Anew => Layer::Anew,
    });
    let (first_seed, seeds) = args.seed.map_or((args.first_seed, args.seeds), |seed| (seed, 1));
    let options = SimulateOptions { first_seed, seeds, without };
    view.keep_off_stdout();
    let report = rehome::simulate::simulate(session, &options, &mut |event| view.show(&event))?;
    view.end();
    answer(json, &report, &report.text())?;
    report.verdict()
}
