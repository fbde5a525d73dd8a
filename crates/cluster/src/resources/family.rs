//! Everything that a resource started, also what has left its process group, its session and its
//! parent: by a cgroup of its own where there can be one, and by a mark in its environment.

use std::fs;
use std::path::{Component, Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::ids::ResourceName;

/// The name of the mark in the environment.
const MARK: &str = "REHOME_STARTED_BY";

/// How the names of cgroups begin that a node makes; the number of its process follows.
const STEM: &str = "rehome-";

/// How often it is looked whether anything is left.
const LOOK_MS: u64 = 5;

/// Where families get their cgroups, and how they are told apart. One for each run of the node's
/// program.
#[derive(Debug)]
pub(crate) struct Families {
    /// The cgroup of this node's resources, or why there is none.
    folder: Result<PathBuf, String>,
    run: String,
    last: AtomicU64,
}

impl Families {
    /// Makes a cgroup below the one that this process is in, if that is possible.
    pub(crate) fn new(run: &str) -> Self {
        let folder = own_cgroup().and_then(|own| {
            clear_leftovers(&own);
            let folder = own.join(format!("{STEM}{}-{run}", std::process::id()));
            let failed = |error| format!("{}: {error}", folder.display());
            fs::create_dir(&folder).map_err(failed)?;
            Ok(folder)
        });
        Self::within(folder, run)
    }

    fn within(folder: Result<PathBuf, String>, run: &str) -> Self {
        Self { folder, run: run.to_owned(), last: AtomicU64::new(0) }
    }

    /// Why resources have no cgroups here, if they have none.
    pub(crate) fn no_cgroups_because(&self) -> Option<&str> {
        self.folder.as_ref().err().map(String::as_str)
    }

    /// A family that has nobody in it yet.
    pub(crate) fn family(&self, resource: &ResourceName) -> Family {
        let number = self.last.fetch_add(1, Ordering::Relaxed);
        let cgroup = self.folder.as_ref().ok().and_then(|folder| {
            let cgroup = folder.join(format!("{resource}-{number}"));
            // Without one the mark is left.
            fs::create_dir_all(&cgroup).ok().map(|()| cgroup)
        });
        Family { mark: format!("{}-{number}", self.run), cgroup }
    }
}

impl Drop for Families {
    fn drop(&mut self) {
        if let Ok(folder) = &self.folder {
            // What stays is looked at again by the next node that starts here.
            remove(folder);
        }
    }
}

/// What one start of a resource started.
#[derive(Debug)]
pub(crate) struct Family {
    mark: String,
    cgroup: Option<PathBuf>,
}

impl Family {
    /// Marks what is to be started: its children inherit that, whatever becomes of them.
    pub(crate) fn mark(&self, command: &mut Command) {
        command.env(MARK, &self.mark);
    }

    /// Takes in a process that was just started. What it starts from now on is in the cgroup; what
    /// it has started already has the mark.
    pub(crate) fn take_in(&self, pid: Pid) {
        if let Some(cgroup) = &self.cgroup {
            // One that has ended is nowhere; for any other failure there is the mark.
            let _left_out =
                fs::write(cgroup.join("cgroup.procs"), pid.as_raw_nonzero().to_string());
        }
    }

    /// Kills everything in the cgroup; does not wait.
    pub(crate) fn kill(&self) {
        let Some(cgroup) = &self.cgroup else { return };
        // A kernel before 5.14 has no such file: then one process after the other.
        if fs::write(cgroup.join("cgroup.kill"), "1").is_err() {
            for pid in members(cgroup) {
                kill_if(pid, || members(cgroup).contains(&pid));
            }
        }
    }

    /// Kills until nothing is left, for `wait_ms` at most; `Err` says what is left.
    pub(crate) fn end(&self, wait_ms: u64) -> Result<(), String> {
        let begun = Instant::now();
        loop {
            self.kill();
            // What was killed before may have started something just before that: it is looked
            // for anew each time.
            let mut left = self.marked();
            for &pid in &left {
                kill_if(pid, || self.has_mark(pid));
            }
            left.extend(self.cgroup.as_deref().map(members).unwrap_or_default());
            let Some(first) = left.first() else { return Ok(()) };
            if begun.elapsed() >= Duration::from_millis(wait_ms) {
                let name = fs::read_to_string(format!("/proc/{first}/comm")).unwrap_or_default();
                return Err(format!("process {first} ({}) of it does not end", name.trim()));
            }
            thread::sleep(Duration::from_millis(LOOK_MS));
        }
    }

    /// Processes with the mark.
    fn marked(&self) -> Vec<i32> {
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        pids.filter(|pid| self.has_mark(*pid)).collect()
    }

    /// Whether a process has the mark; one that has ended, or is another account's, has not.
    fn has_mark(&self, pid: i32) -> bool {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let mark = format!("{MARK}={}", self.mark);
        environment.split(|byte| *byte == 0).any(|one| one == mark.as_bytes())
    }
}

impl Drop for Family {
    fn drop(&mut self) {
        if let Some(cgroup) = &self.cgroup {
            remove(cgroup);
        }
    }
}

/// Kills a process if it is still the one that was meant, which `is_it` says while the process is
/// held.
fn kill_if(pid: i32, is_it: impl FnOnce() -> bool) {
    let held = Pid::from_raw(pid).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
    if let Some(held) = held.filter(|_| is_it()) {
        // One that has ended needs no signal.
        let _gone = pidfd_send_signal(held, Signal::KILL);
    }
}

/// Processes in a cgroup and in those that they made below it, as another node does.
fn members(cgroup: &Path) -> Vec<i32> {
    let text = fs::read_to_string(cgroup.join("cgroup.procs")).unwrap_or_default();
    let own = text.lines().filter_map(|line| line.parse().ok());
    own.chain(folders(cgroup).iter().flat_map(|below| members(below))).collect()
}

/// Removes a cgroup and those below it. One with something in it stays.
fn remove(cgroup: &Path) {
    folders(cgroup).iter().for_each(|below| remove(below));
    let _stays = fs::remove_dir(cgroup);
}

/// The folder of the cgroup (version 2) that this process is in.
fn own_cgroup() -> Result<PathBuf, String> {
    let read = |path: &str| fs::read_to_string(path).map_err(|error| format!("{path}: {error}"));
    let mounts = read("/proc/self/mountinfo")?;
    let mount = mounts.lines().find_map(mount_of_cgroups).ok_or("cgroup2 is not mounted")?;
    let own = read("/proc/self/cgroup")?;
    let own = own.lines().find_map(|line| line.strip_prefix("0::"));
    let own = Path::new(own.ok_or("this process is in no cgroup of version 2")?);
    let (root, place) = mount;
    match own.strip_prefix(root) {
        Ok(inner) if !own.components().any(|part| part == Component::ParentDir) => {
            Ok(Path::new(place).join(inner))
        }
        _ => Err(format!("the cgroup {} is not in what is mounted at {place}", own.display())),
    }
}

/// Which part of the cgroups of version 2 a line of `mountinfo` says to be mounted, and where.
fn mount_of_cgroups(line: &str) -> Option<(&str, &str)> {
    let (mounted, kind) = line.split_once(" - ")?;
    let mut words = mounted.split(' ').skip(3);
    let pair = words.next().zip(words.next());
    pair.filter(|_| kind.starts_with("cgroup2 "))
}

/// Takes away what nodes have left whose processes are gone.
fn clear_leftovers(own: &Path) {
    let maker = |path: &Path| {
        let name = path.file_name()?.to_str()?.strip_prefix(STEM)?;
        name.split('-').next()?.parse::<u32>().ok()
    };
    let gone = |pid: u32| !fs::exists(format!("/proc/{pid}")).unwrap_or(true);
    folders(own).iter().filter(|path| maker(path).is_some_and(gone)).for_each(|left| remove(left));
}

fn folders(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    folders.map(|entry| entry.path()).collect()
}

#[cfg(test)]
mod tests;
