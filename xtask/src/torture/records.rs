//! Kills a migration at every record of its journal: from nothing up to that record, SIGKILL, and
//! then the same command to its end.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use clap::Args;

use super::{Route, command, finish, sample, verdict};
use crate::commands::{program, say};

/// How often one record is tried until the kill falls exactly behind it.
const TRIES_MAX: u32 = 12;
/// How long the processes of a killed run may take to end, which write into its folder until then.
const ORPHANS_MAX: Duration = Duration::from_secs(120);

#[derive(Debug, Args)]
pub(crate) struct RecordsArgs {
    /// Only this route.
    #[arg(long, value_enum)]
    route: Option<Route>,
    /// Only every so many-th record.
    #[arg(long, default_value_t = 1)]
    every: usize,
}

pub(crate) fn run(args: &RecordsArgs) -> Result<(), String> {
    let program = program()?;
    let scratch = super::scratch()?;
    // What is looked for is in the journal, not in the mail.
    let small = ["--mailboxes", "3", "--messages", "8"];
    let site = sample(&program, scratch.path(), &small)?;
    let (mut kills, mut failures) = (0, 0);
    for route in [Route::MoveUsers, Route::DisasterRecovery] {
        if args.route.is_none_or(|only| only == route) {
            let done = one_route(&program, scratch.path(), &site, route, args.every.max(1))?;
            (kills, failures) = (kills + done.0, failures + done.1);
        }
    }
    say(&format!("{kills} kill points, {failures} not whole after the same command"));
    if failures == 0 { Ok(()) } else { Err(format!("{failures} runs lost, altered or doubled")) }
}

/// Removes the folder of a run whose processes may still be ending.
fn remove(work: &Path) -> Result<(), String> {
    let started = Instant::now();
    loop {
        match std::fs::remove_dir_all(work) {
            Ok(()) => return Ok(()),
            Err(error) if started.elapsed() > ORPHANS_MAX => {
                return Err(format!("{}: {error}", work.display()));
            }
            Err(_) => std::thread::park_timeout(Duration::from_millis(50)),
        }
    }
}

/// Records in a journal; none if there is no journal yet.
fn records(work: &Path) -> usize {
    let journal = std::fs::read(work.join("journal")).unwrap_or_default();
    journal.iter().filter(|byte| **byte == b'\n').count()
}

/// Kills one route at each of its records; returns how often, and how many of the resumed runs were
/// not whole.
fn one_route(
    program: &Path,
    scratch: &Path,
    site: &Path,
    route: Route,
    every: usize,
) -> Result<(u32, u32), String> {
    let work = scratch.join(format!("{}-whole", route.name()));
    verdict(&finish(program, site, &work, route)?)?;
    let all = records(&work);
    say(&format!("{}: {all} records in the journal of an undisturbed run", route.name()));
    let (mut failures, mut kills, mut exact) = (0, 0, 0);
    for wanted in (1..=all).step_by(every) {
        for attempt in 1..=TRIES_MAX {
            let work = scratch.join(format!("{}-{wanted}-{attempt}", route.name()));
            let found = kill_at(program, site, (&work, route), wanted)?;
            let last = found == wanted || attempt == TRIES_MAX;
            if last {
                kills += 1;
                exact += u32::from(found == wanted);
                let verdict = finish(program, site, &work, route).and_then(|one| verdict(&one));
                let told = match verdict {
                    Ok(whole) => whole,
                    Err(error) => {
                        failures += 1;
                        error
                    }
                };
                say(&format!("{} killed at record {found} of {all}: {told}", route.name()));
            }
            remove(&work)?;
            if last {
                break;
            }
        }
    }
    say(&format!(
        "{}: killed at {kills} records ({exact} exactly behind the record that was meant), resumed \
         by the same command: {failures} not whole",
        route.name()
    ));
    Ok((kills, failures))
}

/// Starts the migration and kills it as soon as its journal has so many records; returns how many
/// it has at rest.
fn kill_at(
    program: &Path,
    site: &Path,
    (work, route): (&Path, Route),
    wanted: usize,
) -> Result<usize, String> {
    let mut child = command(program, site, work, route)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("rehome does not start: {error}"))?;
    while records(work) < wanted && child.try_wait().map_err(|e| e.to_string())?.is_none() {
        std::hint::spin_loop();
    }
    child.kill().map_err(|error| error.to_string())?;
    child.wait().map_err(|error| error.to_string())?;
    Ok(records(work))
}
