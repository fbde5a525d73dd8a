//! Kills backups, the archiving of a log, and restores, and looks whether the set still leads to
//! its last good point.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use clap::Args;
use rehome::parts::log::SplitMix64;

use super::{sample, scratch, share};
use crate::commands::{program, say};

#[derive(Debug, Args)]
pub(crate) struct ArchiveArgs {
    /// How often.
    #[arg(long, default_value_t = 50)]
    kills: u32,
    /// The same seed kills the same commands after the same shares of an undisturbed run.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

impl ArchiveArgs {
    /// The run that continuous integration can afford.
    pub(crate) fn short() -> Self {
        ArchiveArgs { kills: 12, seed: 1 }
    }
}

/// What is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Victim {
    Full,
    Incremental,
    Log,
    /// The archiving of a log into a set that is not there yet.
    FirstLog,
    Restore,
    RestoreToFiles,
}

const VICTIMS: [Victim; 6] = [
    Victim::Full,
    Victim::Incremental,
    Victim::Log,
    Victim::FirstLog,
    Victim::Restore,
    Victim::RestoreToFiles,
];

/// A store and its set, and the program that works on them.
struct Scene {
    program: PathBuf,
    root: PathBuf,
    /// What the set leads to, as digests.
    good: String,
    /// How long each victim took when nothing disturbed it.
    took: [Duration; VICTIMS.len()],
}

pub(crate) fn run(args: &ArchiveArgs) -> Result<(), String> {
    let program = program()?;
    let scratch = scratch()?;
    let site = sample(&program, scratch.path(), &[])?;
    let took = [Duration::from_millis(300); VICTIMS.len()];
    let root = scratch.path().to_owned();
    let mut scene = Scene { program, root, good: String::new(), took };
    scene.must(&["import", &site.join("mail").to_string_lossy(), "--store", "store"])?;
    scene.must(&["archive", "log", "--store", "store", "--to", "set"])?;
    scene.good = scene.digest("store")?;
    say(&format!("seed {}, {} kills", args.seed, args.kills));
    let mut random = SplitMix64::new(args.seed);
    for kill in 1..=args.kills {
        let which = kill as usize % VICTIMS.len();
        let told = scene.kill(kill, which, &mut random).map_err(|error| {
            format!("seed {}, kill {kill} of {:?}: {error}", args.seed, VICTIMS[which])
        })?;
        say(&format!("kill {kill} of {}: {:?} {told}", args.kills, VICTIMS[which]));
    }
    Ok(())
}

impl Scene {
    /// New mail, a command killed in the middle of it, a look at what is left, and a rerun.
    fn kill(&mut self, kill: u32, at: usize, random: &mut SplitMix64) -> Result<String, String> {
        let victim = VICTIMS[at];
        let now = self.new_mail(kill)?;
        let args = self.prepare(kill, victim)?;
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let after = self.took[at].mul_f64(share(random));
        let running = self.kill_after(&args, after)?;
        self.look(victim, &now)?;
        let started = Instant::now();
        self.must(&args)?;
        self.took[at] = started.elapsed();
        self.judge(kill, victim, now)?;
        let ended = if running { "" } else { " (it had ended)" };
        Ok(format!("after {} ms{ended}: nothing lost, the rerun finished", after.as_millis()))
    }

    /// Delivers a letter; the digests of the store then.
    fn new_mail(&self, kill: u32) -> Result<String, String> {
        let name = format!("letter-{kill}.eml");
        let text = format!("From: a@example.org\r\nSubject: {kill}\r\n\r\nLetter {kill}.\r\n");
        std::fs::write(self.root.join(&name), text).map_err(|error| error.to_string())?;
        let mailbox = ["alice", "bob"][kill as usize % 2];
        self.must(&["import", &name, "--store", "store", "--mailbox", mailbox])?;
        self.digest("store")
    }

    /// Makes room for what the victim makes; its arguments.
    fn prepare(&self, kill: u32, victim: Victim) -> Result<Vec<String>, String> {
        for made in ["again", "files", "look"] {
            self.remove(made)?;
        }
        let backup = |kind| ["backup", "--store", "store", "--to", "set", "--kind", kind].to_vec();
        let (store, set) = (format!("store-{kill}"), format!("set-{kill}"));
        let args = match victim {
            Victim::Full => backup("full"),
            Victim::Incremental => backup("incremental"),
            Victim::Log => vec!["archive", "log", "--store", "store", "--to", "set"],
            Victim::FirstLog => {
                self.copy_store(&store)?;
                vec!["archive", "log", "--store", &store, "--to", &set]
            }
            Victim::Restore => vec!["restore", "--from", "set", "--store", "again"],
            Victim::RestoreToFiles => {
                let until = "2999-01-01T00:00:00Z";
                vec!["restore", "--from", "set", "--to-maildir", "files", "--until", until]
            }
        };
        Ok(args.into_iter().map(ToOwned::to_owned).collect())
    }

    /// What a killed command left: the set is whole and leads to its last good point at least, and
    /// nothing that is half made has a name.
    fn look(&self, victim: Victim, now: &str) -> Result<(), String> {
        self.finished_is_whole("set")?;
        self.must(&["restore", "--from", "set", "--store", "look"])?;
        let found = self.digest("look")?;
        if found != self.good && found != now {
            return Err("the set does not lead to its last good point".to_owned());
        }
        // What has its place is whole; the rerun gets an empty place again.
        if victim == Victim::Restore && self.root.join("again").exists() {
            self.expect("the restored store", &self.digest("again")?)?;
            self.remove("again")?;
        }
        if victim == Victim::RestoreToFiles && self.root.join("files").exists() {
            self.expect("the restored files", &self.maildir_digest("files")?)?;
            self.remove("files")?;
        }
        self.remove("look")
    }

    /// What the rerun of a killed command made.
    fn judge(&mut self, kill: u32, victim: Victim, now: String) -> Result<(), String> {
        match victim {
            Victim::Full | Victim::Incremental | Victim::Log => {
                self.good = now;
                self.must(&["restore", "--from", "set", "--store", "look"])?;
                self.expect("the set", &self.digest("look")?)
            }
            Victim::FirstLog => {
                let (store, set) = (format!("store-{kill}"), format!("set-{kill}"));
                self.must(&["archive", "check", &set, "--deep"])?;
                self.must(&["restore", "--from", &set, "--store", "look"])?;
                let found = self.digest("look")?;
                self.remove(&store)?;
                self.remove(&set)?;
                if found == now { Ok(()) } else { Err("the new set lost something".to_owned()) }
            }
            Victim::Restore => self.expect("the restored store", &self.digest("again")?),
            Victim::RestoreToFiles => {
                self.expect("the restored files", &self.maildir_digest("files")?)
            }
        }
    }

    fn expect(&self, what: &str, found: &str) -> Result<(), String> {
        if found == self.good { Ok(()) } else { Err(format!("{what} is not what was archived")) }
    }

    fn digest(&self, store: &str) -> Result<String, String> {
        self.must(&["store", "digest", store])
    }

    fn maildir_digest(&self, files: &str) -> Result<String, String> {
        self.must(&["digest", "--maildir", files])
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(args).current_dir(&self.root).stdin(Stdio::null());
        command
    }

    /// Checks a set in which nothing may be wrong but that the newest backup was not finished.
    fn finished_is_whole(&self, set: &str) -> Result<(), String> {
        let output = self.command(&["archive", "check", set, "--deep"]).output();
        let output = output.map_err(|error| format!("rehome does not start: {error}"))?;
        let told = String::from_utf8_lossy(&output.stderr);
        let only_unfinished = told.contains("not finished: ") && !told.contains("not whole");
        if output.status.success() || only_unfinished {
            return Ok(());
        }
        Err(format!("rehome archive check {set} ended with {}: {told}", output.status))
    }

    /// Runs the program to its end; what it says.
    fn must(&self, args: &[&str]) -> Result<String, String> {
        let output = self.command(args).output();
        let output = output.map_err(|error| format!("rehome does not start: {error}"))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(format!("rehome {} ended with {}: {said}", args.join(" "), output.status))
    }

    /// Starts the program and kills it with SIGKILL; false when it had ended by then.
    fn kill_after(&self, args: &[&str], after: Duration) -> Result<bool, String> {
        let mut command = self.command(args);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let mut child = child.map_err(|error| format!("rehome does not start: {error}"))?;
        std::thread::sleep(after);
        let running = child.try_wait().map_err(|error| error.to_string())?.is_none();
        child.kill().map_err(|error| error.to_string())?;
        child.wait().map_err(|error| error.to_string())?;
        Ok(running)
    }

    fn copy_store(&self, to: &str) -> Result<(), String> {
        let status = Command::new("cp").args(["-r", "store", to]).current_dir(&self.root).status();
        let copied = status.map_err(|error| format!("cp does not start: {error}"))?.success();
        if copied { Ok(()) } else { Err(format!("the store cannot be copied to {to}")) }
    }

    fn remove(&self, name: &str) -> Result<(), String> {
        match std::fs::remove_dir_all(self.root.join(name)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(format!("{name}: {error}")),
            _ => Ok(()),
        }
    }
}
