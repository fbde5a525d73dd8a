//! The disk under the measurement: its latency, its caches, its room.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Barrier;
use std::time::{Duration, Instant};

use crate::bench::figures;

const PROBES: usize = 64;
const PROBE_BYTES: usize = 4 << 10;

/// Median time of an fdatasync after an append of 4 KiB, in milliseconds.
pub(crate) fn probe_ms(folder: &Path) -> Result<f64, String> {
    let path = folder.join("probe");
    let probe = || -> io::Result<Vec<f64>> {
        let mut file = File::options().create(true).append(true).open(&path)?;
        let mut times = Vec::with_capacity(PROBES);
        for _ in 0..PROBES {
            file.write_all(&[7; PROBE_BYTES])?;
            let begun = Instant::now();
            file.sync_data()?;
            times.push(begun.elapsed().as_secs_f64() * 1000.0);
        }
        Ok(times)
    };
    let times = probe().map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(figures::median(&times))
}

/// Times of `count` syncs of two files at once after writing 4 KiB to each, in milliseconds, each
/// from the first call to the second return. The files grow with each write, or have been filled
/// with zeros before.
pub(crate) fn paired_syncs_ms(
    folder: &Path,
    count: usize,
    grows: bool,
) -> Result<Vec<f64>, String> {
    let failed = |error: io::Error| format!("syncing two files of {}: {error}", folder.display());
    let open = |name: &str| -> io::Result<File> {
        let path = folder.join(format!("{name}-{grows}"));
        let file = File::options().create(true).truncate(true).write(true).open(path)?;
        if !grows {
            (&file).write_all(&vec![0; count * PROBE_BYTES])?;
            (&file).seek(SeekFrom::Start(0))?;
        }
        file.sync_all().map(|()| file)
    };
    let (one, other) = (open("one").map_err(failed)?, open("other").map_err(failed)?);
    let meet = Barrier::new(2);
    std::thread::scope(|scope| {
        // Both come to every meeting, whatever happens, so that none waits for ever.
        let second = scope.spawn(|| -> io::Result<()> {
            let mut synced = Ok(());
            for _ in 0..count {
                meet.wait();
                synced = synced.and(other.sync_data());
                meet.wait();
            }
            synced
        });
        let (mut times, mut done) = (Vec::with_capacity(count), Ok(()));
        for _ in 0..count {
            let written = [&one, &other].map(|mut file| file.write_all(&[7; PROBE_BYTES]));
            let begun = Instant::now();
            meet.wait();
            let synced = one.sync_data();
            meet.wait();
            times.push(begun.elapsed().as_secs_f64() * 1000.0);
            done = written.into_iter().fold(done, Result::and).and(synced);
        }
        let second = second.join().expect("the other thread does not panic");
        done.and(second).map(|()| times).map_err(failed)
    })
}

/// Times of single syncs after appends of 4 KiB, in milliseconds, for so long.
pub(crate) fn syncs_ms(folder: &Path, for_so_long: Duration) -> Result<Vec<f64>, String> {
    let path = folder.join("syncs");
    let work = || -> io::Result<Vec<f64>> {
        let mut file = File::options().create(true).truncate(true).write(true).open(&path)?;
        let (mut times, begun) = (Vec::new(), Instant::now());
        while begun.elapsed() < for_so_long {
            let called = Instant::now();
            file.write_all(&[7; PROBE_BYTES])?;
            file.sync_data()?;
            times.push(called.elapsed().as_secs_f64() * 1000.0);
        }
        Ok(times)
    };
    work().map_err(|error| format!("{}: {error}", path.display()))
}

/// Every file below a folder, or the file itself.
pub(crate) fn files_below(path: &Path) -> Result<Vec<PathBuf>, String> {
    let mut found = Vec::new();
    let mut open = vec![path.to_owned()];
    while let Some(path) = open.pop() {
        let failed = |error: io::Error| format!("{}: {error}", path.display());
        if fs::symlink_metadata(&path).map_err(failed)?.is_dir() {
            for entry in fs::read_dir(&path).map_err(failed)? {
                open.push(entry.map_err(failed)?.path());
            }
        } else {
            found.push(path);
        }
    }
    Ok(found)
}

/// Bytes of all files below a path.
pub(crate) fn bytes_below(path: &Path) -> Result<u64, String> {
    let mut bytes = 0;
    for file in files_below(path)? {
        bytes += fs::metadata(&file).map_err(|error| format!("{}: {error}", file.display()))?.len();
    }
    Ok(bytes)
}

/// Reads every file below a path, so that the page cache has it.
pub(crate) fn warm(path: &Path) -> Result<(), String> {
    for file in files_below(path)? {
        File::open(&file)
            .and_then(|mut file| io::copy(&mut file, &mut io::sink()))
            .map_err(|error| format!("{}: {error}", file.display()))?;
    }
    Ok(())
}

/// Memory that stays free when the page cache is full, in bytes.
const LEFT_FREE_BYTES: u64 = 512 << 20;

/// Reads a file of holes in `folder` until there is little free memory: pages are then had back
/// from what was read, as on a server that has run for a day. Free memory of a virtual machine may
/// have to be had from its host first, page by page, which takes longer than a write.
pub(crate) fn fill_page_cache(folder: &Path) -> Result<(), String> {
    let Some(total_bytes) = memory_bytes("MemTotal:") else { return Ok(()) };
    let holes = folder.join("holes");
    let read = || -> io::Result<()> {
        File::create(&holes)?.set_len(total_bytes)?;
        let mut file = File::open(&holes)?;
        while memory_bytes("MemFree:").is_some_and(|free_bytes| free_bytes > LEFT_FREE_BYTES) {
            if io::copy(&mut (&mut file).take(64 << 20), &mut io::sink())? == 0 {
                break;
            }
        }
        Ok(())
    };
    read().map_err(|error| format!("{}: {error}", holes.display()))
}

/// A line of `/proc/meminfo`, in bytes.
pub(crate) fn memory_bytes(name: &str) -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib << 10)
}

/// How the source is made cold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Eviction {
    /// All clean pages, directory entries and inodes are dropped; takes root.
    DropCaches,
    /// The pages of single files are given back with posix_fadvise, which `dd` does.
    Advice,
}

impl Eviction {
    /// The thorough one, if this process may.
    pub(crate) fn possible() -> Eviction {
        match File::options().write(true).open(DROP_CACHES) {
            Ok(_) => Eviction::DropCaches,
            Err(_) => Eviction::Advice,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Eviction::DropCaches => "sync, then 3 written to /proc/sys/vm/drop_caches",
            Eviction::Advice => "sync, then posix_fadvise(DONTNEED) of each file, by dd",
        }
    }
}

const DROP_CACHES: &str = "/proc/sys/vm/drop_caches";

/// More files than this are not evicted one by one.
const ADVICE_FILES_MAX: usize = 4000;

/// Takes a source out of the page cache; false if it has too many files for that.
pub(crate) fn evict(path: &Path, eviction: Eviction) -> Result<bool, String> {
    if eviction == Eviction::DropCaches {
        let dropped = fs::write(DROP_CACHES, "3\n");
        return dropped.map(|()| true).map_err(|error| format!("{DROP_CACHES}: {error}"));
    }
    let files = files_below(path)?;
    if files.len() > ADVICE_FILES_MAX {
        return Ok(false);
    }
    for file in files {
        let mut command = Command::new("dd");
        command.arg(format!("if={}", file.display()));
        finish(command.args(["iflag=nocache", "count=0", "status=none"]))?;
    }
    Ok(true)
}

/// Waits until the file system of a folder has written everything (syncfs).
pub(crate) fn sync_folder(folder: &Path) -> Result<(), String> {
    finish(Command::new("sync").arg("-f").arg(folder))
}

/// Runs a program to its end.
pub(crate) fn finish(command: &mut Command) -> Result<(), String> {
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("{command:?} does not start: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{command:?} failed: {}", String::from_utf8_lossy(&output.stderr).trim()))
}

/// What a program says, or nothing.
pub(crate) fn ask(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).stdin(Stdio::null()).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    text.unwrap_or_default()
}

/// Whether a program can be started.
pub(crate) fn is_installed(program: &str) -> bool {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&paths).any(|folder| folder.join(program).is_file())
}

/// Type of the file system that a folder lies on.
pub(crate) fn file_system(folder: &Path) -> String {
    let text = ask("df", &["--output=fstype", &folder.to_string_lossy()]);
    text.lines().last().unwrap_or_default().to_owned()
}

/// Bytes that the file system of a folder has room for.
pub(crate) fn free_bytes(folder: &Path) -> Option<u64> {
    let text = ask("df", &["--output=avail", "-B1", &folder.to_string_lossy()]);
    text.lines().last()?.trim().parse().ok()
}

/// Fails unless the file system of a folder has room for so many bytes more.
pub(crate) fn require_room(folder: &Path, bytes: u64) -> Result<(), String> {
    match free_bytes(folder) {
        Some(free) if free < bytes => Err(format!(
            "{} has {} MB free, this takes {} MB; ask for less or name another disk with --scratch",
            folder.display(),
            free / 1_000_000,
            bytes / 1_000_000
        )),
        _ => Ok(()),
    }
}
