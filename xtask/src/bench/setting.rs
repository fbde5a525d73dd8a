//! Where and under which conditions is measured.

use std::cell::OnceCell;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use rehome::parts::log::{Clock as _, SplitMix64, SystemClock};

use crate::bench::disk;
use crate::commands::{root, say};

/// What every measurement may be told.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Common {
    /// The same seed gives the same work in the same order; without it the clock gives one.
    #[arg(long)]
    seed: Option<u64>,
    /// Where stores and copies are written: the disk that is measured.
    #[arg(long)]
    scratch: Option<PathBuf>,
    /// Where the results are written.
    #[arg(long)]
    out: Option<PathBuf>,
}

/// Where and under which conditions is measured.
pub(crate) struct Setting {
    scratch: tempfile::TempDir,
    out: Option<PathBuf>,
    pub(crate) date: String,
    pub(crate) machine: Vec<(String, String)>,
    pub(crate) seed: u64,
    pub(crate) random: SplitMix64,
    pub(crate) probes_ms: Vec<f64>,
    load_before: String,
    load_after: OnceCell<String>,
}

impl Setting {
    pub(crate) fn begin(common: &Common) -> Result<Setting, String> {
        let scratch = match &common.scratch {
            Some(folder) => tempfile::tempdir_in(folder),
            None => tempfile::tempdir(),
        };
        let scratch = scratch.map_err(|error| format!("no scratch folder: {error}"))?;
        let seed = common.seed.unwrap_or_else(|| SystemClock.wall_us().unsigned_abs());
        say(&format!("seed {seed}, scratch {}", scratch.path().display()));
        Ok(Setting {
            out: common.out.clone(),
            date: disk::ask("date", &["-u", "+%F"]),
            machine: machine(&disk::file_system(scratch.path())),
            seed,
            random: SplitMix64::new(seed),
            probes_ms: Vec::new(),
            load_before: load_average(),
            load_after: OnceCell::new(),
            scratch,
        })
    }

    /// The folder for everything that is written while measuring.
    pub(crate) fn scratch(&self) -> &Path {
        self.scratch.path()
    }

    /// A new folder below it.
    pub(crate) fn folder(&self, name: &str) -> Result<PathBuf, String> {
        let folder = self.scratch().join(name);
        let made = fs::create_dir_all(&folder);
        made.map(|()| folder.clone()).map_err(|error| format!("{}: {error}", folder.display()))
    }

    pub(crate) fn out(&self) -> PathBuf {
        self.out.clone().unwrap_or_else(|| root().join("docs").join("benchmarks"))
    }

    /// Measures how long a sync takes right now, in milliseconds.
    pub(crate) fn probe(&mut self) -> Result<f64, String> {
        let probe_ms = disk::probe_ms(self.scratch())?;
        self.probes_ms.push(probe_ms);
        Ok(probe_ms)
    }

    /// The measurement is over.
    pub(crate) fn end(&self) {
        self.load_after.get_or_init(load_average);
    }

    /// Load averages before and after.
    pub(crate) fn load(&self) -> [&str; 2] {
        [&self.load_before, self.load_after.get().map_or("?", String::as_str)]
    }

    /// All of something in a new order (Fisher and Yates).
    pub(crate) fn shuffle<T>(&mut self, all: &mut [T]) {
        for last in (1..all.len()).rev() {
            let other = usize::try_from(self.random.below(last as u64 + 1)).expect("an index");
            all.swap(last, other);
        }
    }

    #[cfg(test)]
    pub(crate) fn sample(seed: u64) -> Setting {
        let common = Common { seed: Some(seed), ..Common::default() };
        let mut setting = Setting::begin(&common).expect("a scratch folder");
        setting.probes_ms.push(1.0);
        setting
    }
}

fn load_average() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().take(3).collect::<Vec<_>>().join(" ")
}

/// Facts of this machine that decide the figures.
fn machine(file_system: &str) -> Vec<(String, String)> {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpu = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    let memory_bytes = disk::memory_bytes("MemTotal:").unwrap_or_default();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    [
        ("cpu", format!("{cores} x {}", cpu.trim_start_matches([' ', '\t', ':']))),
        ("memory", format!("{} MiB", memory_bytes >> 20)),
        ("kernel", kernel.trim().to_owned()),
        ("file system", file_system.to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec()
}
