//! The verbs that run processes: cluster nodes and the services of a mail server.

use rehome::parts::cluster::Layer;
use rehome::serve::{ServiceKind, ServiceSettings};
use rehome::simulate::SimulateOptions;
use rehome::{Error, Session};

use super::answer;
use crate::args::{ClusterCommand, LayerArg, ServeCommand, ServiceArgs, SimulateArgs};
use crate::view::View;

pub(crate) fn cluster(
    command: &ClusterCommand,
    session: &Session,
    view: &mut View,
    json: bool,
) -> Result<(), Error> {
    match command {
        ClusterCommand::Status { quorum } => {
            let status = rehome::nodes::status(quorum)?;
            view.end();
            answer(json, &status.document, &status.text)
        }
        ClusterCommand::Move { quorum, group, node } => {
            let text = rehome::nodes::move_group(quorum, group, node)?;
            view.end();
            answer(json, &text, &text)
        }
        ClusterCommand::Simulate(args) => simulate(args, session, view, json),
        ClusterCommand::Node { quorum, name, while_stdin } => {
            rehome::nodes::run(session, quorum, name, *while_stdin)
        }
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
    });
    let (first_seed, seeds) = args.seed.map_or((args.first_seed, args.seeds), |seed| (seed, 1));
    let options = SimulateOptions { first_seed, seeds, without };
    let report = rehome::simulate::simulate(session, &options, &mut |event| view.show(&event))?;
    view.end();
    answer(json, &report, &report.text())?;
    report.verdict()
}

pub(crate) fn serve(command: &ServeCommand) -> Result<(), Error> {
    let (kind, args) = match command {
        ServeCommand::Attendant(args) => (ServiceKind::Attendant, args),
        ServeCommand::Directory(args) => (ServiceKind::Directory, args),
        ServeCommand::Store(args) => (ServiceKind::Store, args),
        ServeCommand::Standalone(args) => (ServiceKind::Standalone, args),
    };
    rehome::serve::run(kind, &settings(args))
}

fn settings(args: &ServiceArgs) -> ServiceSettings {
    ServiceSettings {
        dir: args.dir.clone(),
        listen: args.listen.clone(),
        server: args.server.clone(),
        epoch: args.epoch,
        registry: args.registry.clone(),
        while_stdin: args.while_stdin,
    }
}
