//! One step of a contender: run, timed, its memory measured, what it restored counted.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::contender::Contender;
use super::stage::Stage;
use crate::bench::disk;
use crate::commands::say;

/// What a contender is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// The first backup.
    Full,
    /// A second one after 1 % new mail.
    Second,
    /// Everything stored is read and its checksums are compared.
    Verify,
    /// The same, with what is stored out of the page cache.
    VerifyCold,
    /// All of it comes back.
    Restore,
    /// One mailbox comes back, as Maildir.
    RestoreOne,
    /// All of it comes back as Maildirs, where the other way is a store; of peers, of the first
    /// backup alone.
    RestoreFiles,
}

impl Step {
    pub(super) const ALL: [Step; 7] = [
        Step::Full,
        Step::Second,
        Step::Verify,
        Step::VerifyCold,
        Step::Restore,
        Step::RestoreOne,
        Step::RestoreFiles,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Step::Full => "full backup",
            Step::Second => "second backup",
            Step::Verify => "verify",
            Step::VerifyCold => "verify, cold",
            Step::Restore => "whole restore",
            Step::RestoreOne => "one mailbox restored",
            Step::RestoreFiles => "whole restore as Maildirs",
        }
    }

    pub(super) fn restores(self) -> bool {
        matches!(self, Step::Restore | Step::RestoreOne | Step::RestoreFiles)
    }
}

/// A step that was done.
pub(super) struct Run {
    pub(super) round: u32,
    pub(super) contender: Contender,
    pub(super) step: Step,
    pub(super) seconds: f64,
    /// Processor time of all its processes.
    pub(super) cpu_s: f64,
    /// The largest of its processes.
    pub(super) peak_bytes: f64,
    /// Bytes stored after it.
    pub(super) stored_bytes: u64,
}

/// Where a contender works.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    /// Its own folder.
    pub(super) files: &'a Path,
    /// The folder for what it restores.
    pub(super) restores: &'a Path,
}

/// Does a step.
pub(super) fn run(
    stage: &Stage,
    contender: Contender,
    step: Step,
    Place { files: place, restores }: Place<'_>,
    (round, rest_ms): (u32, u64),
) -> Result<Run, String> {
    let to = restores.join(format!("to-{}", step.name().replace(' ', "-")));
    let set = place.join("set");
    match step {
        Step::Full => {
            make(&set)?;
            contender.prepare(stage, place)?;
            let source = if contender.is_ours() { place.join("store") } else { stage.maildirs() };
            disk::warm(&source)?;
        }
        Step::Second => stage.bring_new_mail(contender, place)?,
        _ => {}
    }
    match step {
        Step::Verify => disk::warm(&set)?,
        Step::VerifyCold if !disk::evict(&set, stage.eviction)? => {
            return Err(format!("{}: it has too many files to be evicted", set.display()));
        }
        _ => {}
    }
    if step.restores() && !contender.is_ours() {
        make(&to)?;
    }
    disk::sync_folder(place)?;
    std::thread::sleep(Duration::from_millis(rest_ms));
    let timed = timed(&contender.command(stage, step, place, &to)?, place)?;
    if step.restores() {
        stage.count_restored(contender, step, &to)?;
        remove(&to)?;
    }
    let (seconds, cpu_s, peak_bytes) = (timed.seconds, timed.cpu_s, timed.peak_bytes);
    let stored_bytes = disk::bytes_below(&set)?;
    say(&format!(
        "  {:<26} {:<26} {seconds:8.3} s {cpu_s:8.2} CPU s {:6.0} MiB",
        contender.name(),
        step.name(),
        peak_bytes / f64::from(1 << 20)
    ));
    Ok(Run { round, contender, step, seconds, cpu_s, peak_bytes, stored_bytes })
}

/// Makes a folder and what is missing above it.
pub(super) fn make(folder: &Path) -> Result<(), String> {
    fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))
}

/// Removes what is not needed any more.
pub(super) fn remove(folder: &Path) -> Result<(), String> {
    fs::remove_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))
}

/// What a process took.
struct Timed {
    seconds: f64,
    cpu_s: f64,
    peak_bytes: f64,
}

/// Runs a program to its end; GNU time, if it is there, says what it took besides seconds.
fn timed(command: &Command, place: &Path) -> Result<Timed, String> {
    let usage = place.join("usage.txt");
    let mut run = match disk::is_installed("time") {
        true => {
            let mut run = Command::new("time");
            run.args(["--format", "%U %S %M", "--output"]).arg(&usage).arg(command.get_program());
            run
        }
        false => Command::new(command.get_program()),
    };
    run.args(command.get_args());
    for (name, value) in command.get_envs() {
        run.env(name, value.unwrap_or_default());
    }
    if let Some(folder) = command.get_current_dir() {
        run.current_dir(folder);
    }
    run.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let begun = Instant::now();
    let output = run.output().map_err(|error| format!("{run:?} does not start: {error}"))?;
    let seconds = begun.elapsed().as_secs_f64();
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{run:?} failed: {}", said.trim()));
    }
    let text = fs::read_to_string(&usage).unwrap_or_default();
    let figures: Vec<f64> =
        text.split_whitespace().filter_map(|figure| figure.parse().ok()).collect();
    let at = |index: usize| figures.get(index).copied().unwrap_or(f64::NAN);
    Ok(Timed { seconds, cpu_s: at(0) + at(1), peak_bytes: at(2) * 1024.0 })
}
