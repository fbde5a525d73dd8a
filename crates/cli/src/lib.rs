//! The `rehome` program as a library, so that tests build the same program that people run.

mod args;
mod commands;
mod rate;
mod view;

use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::Parser as _;
use rehome::{Error, ServicesAfter, Session};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::args::{ApplyArgs, Cli, Command, MigrateArgs, ReverseArgs, ServicesArg};
use crate::view::View;

/// The exit code for a command line that cannot be read.
const USAGE: u8 = 64;

/// Runs the program with these arguments (the first one is its own name) and returns its exit
/// code, as `docs/guide/exit-codes.md` lists them.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            let usage = error.use_stderr();
            // The terminal may be gone; the exit code says it all the same.
            let _told = error.print();
            return if usage { ExitCode::from(USAGE) } else { ExitCode::SUCCESS };
        }
    };
    hush_the_catalog();
    match start(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            view::say(&format!("rehome: {error}"));
            ExitCode::from(error.exit_code())
        }
    }
}

/// Lets the library under the catalog be silent: of damaged pages it makes panics, which the store
/// catches and tells as errors.
fn hush_the_catalog() {
    let told = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let file = panic.location().map_or("", |location| location.file());
        if !file.contains("/redb-") {
            told(panic);
        }
    }));
}

fn start(cli: Cli) -> Result<(), Error> {
    let stop = Arc::new(AtomicBool::new(false));
    // The second signal ends the program at once, whatever it is doing.
    for signal in [SIGINT, SIGTERM] {
        let now = flag::register_conditional_shutdown(signal, 5, Arc::clone(&stop));
        let soon = flag::register(signal, Arc::clone(&stop));
        now.and(soon).map_err(|error| Error::NeedsHuman {
            message: format!("signals cannot be caught: {error}"),
        })?;
    }
    let program = std::env::current_exe().map_err(|error| Error::NeedsHuman {
        message: format!("the program cannot find itself: {error}"),
    })?;
    let mut session = Session::new(program, Arc::clone(&stop));
    if let Command::Apply(ApplyArgs { rate, services, .. })
    | Command::Migrate(MigrateArgs { rate, services, .. })
    | Command::Reverse(ReverseArgs { rate, services, .. }) = &cli.command
    {
        session.services = match services.services {
            None => ServicesAfter::BySite,
            Some(ServicesArg::Stay) => ServicesAfter::Stay,
            Some(ServicesArg::End) => ServicesAfter::End,
        };
        session.move_bytes_per_second_max = rate.rate;
        session.pause_when.clone_from(&rate.pause_when);
    }
    if let Command::Apply(ApplyArgs { recipients, identity, .. })
    | Command::Migrate(MigrateArgs { recipients, identity, .. }) = &cli.command
    {
        session.archive_keys = commands::mail::archive_keys(recipients, identity)?;
    }
    dispatch(cli.command, &session, &mut View::new(cli.json, stop), cli.json)
}

fn dispatch(command: Command, session: &Session, view: &mut View, json: bool) -> Result<(), Error> {
    use commands::{cluster, directory, mail, migration, service};
    match command {
        Command::Demo(args) => migration::demo(&args, session, view, json),
        Command::Sample(args) => migration::sample(&args, view, json),
        Command::Plan(args) => migration::plan(&args, session, view, json),
        Command::Calibrate(args) => migration::calibrate(&args, session, view, json),
        Command::Directory(command) => directory::directory(&command, view, json),
        Command::Check(args) => migration::check(&args, view, json),
        Command::Diff { old, new } => migration::diff(&old, &new, view, json),
        Command::Apply(args) => migration::apply(&args, session, view, json),
        Command::Migrate(args) => migration::migrate(&args, session, view, json),
        Command::Reverse(args) => migration::reverse(&args, session, view, json),
        Command::Migration(command) => migration::running(&command, session, view, json),
        Command::Services(command) => migration::services(&command, session, view, json),
        Command::Status(args) => migration::status(&args, view, json),
        Command::Report(args) => migration::report(&args, view, json),
        Command::Audit(args) => migration::audit(&args, view, json),
        Command::Import(args) => mail::import(&args, view, json),
        Command::Export(args) => mail::export(&args, view, json),
        Command::Move(args) => mail::move_mailboxes(&args, view, json),
        Command::Digest(args) => mail::digest(&args, view, json),
        Command::Backup(args) => mail::backup(&args, view, json),
        Command::Restore(args) => mail::restore(&args, view, json),
        Command::Archive(command) => mail::archive(&command, view, json),
        Command::Store(command) => mail::store(&command, view, json),
        Command::Cluster(command) => cluster::cluster(&command, session, view, json),
        Command::Serve(command) => service::serve(&command),
    }
}
