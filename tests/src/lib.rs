//! Helpers of the journeys: running the program, looking at folders.

pub mod cluster;
pub mod torture;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

/// How a run of the program ended.
#[derive(Debug)]
pub struct Run {
    /// Its exit code; `None` after a signal.
    pub code: Option<i32>,
    /// What it wrote for the next program.
    pub stdout: String,
    /// What it wrote for people.
    pub stderr: String,
}

impl Run {
    /// The last line of standard output as JSON: the document of `--json`.
    ///
    /// # Panics
    ///
    /// If there is none.
    #[must_use]
    pub fn json(&self) -> Value {
        let last = self.stdout.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
        serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The summary of a migration or of a way back that has come to its end.
    ///
    /// # Panics
    ///
    /// If it has not, or if anything is lost, altered or duplicated.
    #[track_caller]
    pub fn expect_whole(&self) -> Value {
        assert_eq!(self.code, Some(0), "{self:?}");
        let summary = self.json();
        expect_nothing_missing(&summary);
        summary
    }
}

/// Expects that by its summary nothing is lost, altered or duplicated.
///
/// # Panics
///
/// If anything is.
#[track_caller]
pub fn expect_nothing_missing(summary: &Value) {
    for count in ["lost", "altered", "duplicated"] {
        assert_eq!(summary["messages"][count], 0, "{summary}");
    }
}

/// Runs a program with these arguments and waits for its end.
///
/// # Panics
///
/// If it does not start.
pub fn run<S: AsRef<OsStr>>(program: &str, args: &[S]) -> Run {
    let output = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{program} does not start: {error}"));
    Run {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Writes a line that is shown when a test fails: the seed of what was random in it.
pub fn tell(line: &str) {
    // Without anybody to read it the test goes on all the same.
    let _told = std::io::Write::write_all(&mut std::io::stdout(), format!("{line}\n").as_bytes());
}

/// Every file below a folder with its bytes, by relative path.
///
/// # Panics
///
/// If something cannot be read.
#[must_use]
pub fn tree(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(&next).expect("a readable folder") {
            let path = entry.expect("a readable entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let relative = path.strip_prefix(folder).expect("below the folder").to_owned();
                files.insert(relative, std::fs::read(&path).expect("a readable file"));
            }
        }
    }
    files
}

/// An address of this machine that no other test uses at this moment.
///
/// Loopback has 16 million addresses; each test process takes its own range by its number.
#[must_use]
pub fn address(test: u8) -> String {
    let process = std::process::id();
    format!("127.{}.{}.{test}", 64 + (process >> 8) % 64, process % 256)
}
