//! Kills the real program at random moments and looks whether anything is lost.

mod archive;
mod records;
mod store;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use clap::{Args, Subcommand, ValueEnum};
use rehome::parts::log::SplitMix64;
use serde_json::Value;

use crate::commands::{program, root, say};

/// What is killed.
#[derive(Debug, Subcommand)]
pub(crate) enum Torture {
    /// `rehome migrate`, and then the same command again.
    Migrate(MigrateArgs),
    /// `rehome migrate` at every record of its journal, and then the same command again.
    Records(records::RecordsArgs),
    /// The node that owns the group, while mail is delivered.
    Failover(FailoverArgs),
    /// Stores on simulated disks that fail at any call; each is opened again and compared.
    Store(store::StoreArgs),
    /// Backups, the archiving of a log, and restores; each is run again and compared.
    Archive(archive::ArchiveArgs),
}

/// The route whose run is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Route {
    MoveUsers,
    DisasterRecovery,
}

impl Route {
    fn name(self) -> &'static str {
        match self {
            Route::MoveUsers => "move-users",
            Route::DisasterRecovery => "disaster-recovery",
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct MigrateArgs {
    /// How often, for each route.
    #[arg(long, default_value_t = 20)]
    kills: u32,
    /// The same seed kills after the same shares of the undisturbed run.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only this route.
    #[arg(long, value_enum)]
    route: Option<Route>,
    /// A folder of Maildir++ trees or a site; without it a made-up site is used.
    #[arg(long)]
    site: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct FailoverArgs {
    /// How often.
    #[arg(long, default_value_t = 5)]
    kills: u32,
    /// The seed of the moments.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

impl Torture {
    /// The run that continuous integration can afford.
    pub(crate) fn short_migrate() -> Self {
        Torture::Migrate(MigrateArgs { kills: 20, seed: 1, route: None, site: None })
    }

    /// The run that continuous integration can afford.
    pub(crate) fn short_failover() -> Self {
        Torture::Failover(FailoverArgs { kills: 5, seed: 1 })
    }

    /// The run that continuous integration can afford.
    pub(crate) fn short_archive() -> Self {
        Torture::Archive(archive::ArchiveArgs::short())
    }
}

/// A share between 0 and 1.
fn share(random: &mut SplitMix64) -> f64 {
    f64::from(u32::try_from(random.next_u64() >> 32).expect("32 bits")) / f64::from(u32::MAX)
}

pub(crate) fn run(torture: &Torture) -> Result<(), String> {
    match torture {
        Torture::Migrate(args) => migrate(args),
        Torture::Records(args) => records::run(args),
        Torture::Failover(args) => failover(args),
        Torture::Store(args) => store::run(args),
        Torture::Archive(args) => archive::run(args),
    }
}

fn migrate(args: &MigrateArgs) -> Result<(), String> {
    let program = program()?;
    let scratch = scratch()?;
    let site = match &args.site {
        Some(site) => site.clone(),
        None => sample(&program, scratch.path(), &[])?,
    };
    say(&format!("seed {}, {} kills for each route", args.seed, args.kills));
    let routes = [Route::MoveUsers, Route::DisasterRecovery];
    let mut failures = 0;
    for route in routes.into_iter().filter(|route| args.route.is_none_or(|only| only == *route)) {
        failures += migrate_route(&program, scratch.path(), &site, route, args)?;
    }
    if failures == 0 { Ok(()) } else { Err(format!("{failures} runs lost, altered or doubled")) }
}

/// Kills one route `kills` times; returns how many of the resumed runs were not whole.
fn migrate_route(
    program: &Path,
    scratch: &Path,
    site: &Path,
    route: Route,
    args: &MigrateArgs,
) -> Result<u32, String> {
    let mut random = SplitMix64::new(args.seed ^ (route as u64) << 32);
    let started = Instant::now();
    let work = scratch.join(format!("{}-undisturbed", route.name()));
    verdict(&finish(program, site, &work, route)?)?;
    let undisturbed = started.elapsed();
    let mut failures = 0;
    for kill in 1..=args.kills {
        let work = scratch.join(format!("{}-{kill}", route.name()));
        let after = undisturbed.mul_f64(share(&mut random));
        let killed = kill_after(program, site, &work, route, after)?;
        let verdict = finish(program, site, &work, route).and_then(|summary| verdict(&summary));
        say(&format!(
            "{} kill {kill} of {} after {} ms{}: {}",
            route.name(),
            args.kills,
            after.as_millis(),
            if killed { "" } else { " (it had ended)" },
            verdict.as_ref().map_or_else(String::clone, String::clone)
        ));
        failures += u32::from(verdict.is_err());
        std::fs::remove_dir_all(&work).map_err(|error| error.to_string())?;
    }
    Ok(failures)
}

fn command(program: &Path, site: &Path, work: &Path, route: Route) -> Command {
    let mut command = Command::new(program);
    command.arg("migrate").arg(site).arg("--work").arg(work);
    command.args(["--route", route.name(), "--confirm", "all", "--traffic", "--json"]);
    command.stdin(Stdio::null()).current_dir(root());
    command
}

/// Starts the migration and kills it with SIGKILL after a while; false when it had ended by then.
fn kill_after(
    program: &Path,
    site: &Path,
    work: &Path,
    route: Route,
    after: Duration,
) -> Result<bool, String> {
    let mut child = command(program, site, work, route)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("rehome does not start: {error}"))?;
    std::thread::sleep(after);
    let running = child.try_wait().map_err(|error| error.to_string())?.is_none();
    child.kill().map_err(|error| error.to_string())?;
    child.wait().map_err(|error| error.to_string())?;
    Ok(running)
}

/// Runs the migration to its end and returns its summary.
fn finish(program: &Path, site: &Path, work: &Path, route: Route) -> Result<Value, String> {
    let output = command(program, site, work, route)
        .stderr(Stdio::piped())
        .output()
        .map_err(|error| format!("rehome does not start: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let last = text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
    let summary: Option<Value> = serde_json::from_str(last).ok();
    summary.filter(|summary| summary["messages"].is_object()).ok_or_else(|| {
        let said = String::from_utf8_lossy(&output.stderr);
        format!("no summary, {}; work was in {}: {said}", output.status, work.display())
    })
}

/// Whether a summary says that nothing was lost.
fn verdict(summary: &Value) -> Result<String, String> {
    let count = |name: &str| summary["messages"][name].as_u64();
    let text = format!(
        "{} messages, lost {:?}, altered {:?}, duplicated {:?}",
        count("target").unwrap_or(0),
        count("lost"),
        count("altered"),
        count("duplicated")
    );
    let whole = ["lost", "altered", "duplicated"].iter().all(|name| count(name) == Some(0));
    if whole && summary["verified"] == true { Ok(text) } else { Err(format!("{text}: {summary}")) }
}

fn failover(args: &FailoverArgs) -> Result<(), String> {
    let program = program()?;
    let scratch = scratch()?;
    let site = sample(&program, scratch.path(), &[])?;
    let work = scratch.path().join("work");
    verdict(&finish(&program, &site, &work, Route::MoveUsers)?)?;
    say(&format!("seed {}, {} kills of the owner", args.seed, args.kills));
    let mut random = SplitMix64::new(args.seed);
    for kill in 1..=args.kills {
        let before = Duration::from_millis(500).mul_f64(1.0 + share(&mut random));
        let drill = rehome::drill::kill_owner(&work, &program, before)
            .map_err(|error| format!("kill {kill}: {error}"))?;
        say(&format!("kill {kill} of {}: {drill}", args.kills));
        if drill.missing != 0 {
            return Err(format!("{} acknowledged messages are missing", drill.missing));
        }
    }
    Ok(())
}

fn scratch() -> Result<tempfile::TempDir, String> {
    tempfile::tempdir().map_err(|error| format!("no scratch folder: {error}"))
}

/// Writes the made-up site that is tortured; `size` is what it is to have, if not the usual.
fn sample(program: &Path, scratch: &Path, size: &[&str]) -> Result<PathBuf, String> {
    let site = scratch.join("site");
    let output = Command::new(program)
        .arg("sample")
        .arg(&site)
        .args(size)
        .output()
        .map_err(|error| format!("rehome does not start: {error}"))?;
    if output.status.success() {
        own_address(&site.join("site.toml")).map_err(|error| error.to_string())?;
        return Ok(site);
    }
    Err(format!("rehome sample failed: {}", String::from_utf8_lossy(&output.stderr)))
}

/// Gives the group an address that no other run on this machine uses.
pub(crate) fn own_address(file: &Path) -> std::io::Result<()> {
    let text = std::fs::read_to_string(file)?;
    let process = std::process::id();
    let own = format!("address = \"127.{}.{}.43\"", 1 + (process >> 8) % 60, process % 256);
    let line = text.lines().find(|line| line.starts_with("address = ")).unwrap_or_default();
    std::fs::write(file, text.replacen(line, &own, 1))
}
