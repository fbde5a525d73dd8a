//! The verb that runs the services of a mail server.

use rehome::Error;
use rehome::serve::{Announcements, ServiceKind, ServiceSettings};

use crate::args::{ServeCommand, ServiceArgs};

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
        announce: Announcements { record: args.record.record.clone(), names: args.names.clone() },
    }
}
