//! The cluster log: one JSON line for each decision and each thing that happened.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::ids::{GroupName, NodeName, ResourceName};

/// One line of the cluster log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogEntry {
    /// Microseconds since 1970 by the node's wall clock; for people, nothing is ordered by it.
    pub wall_us: i64,
    /// The node that wrote it.
    pub node: NodeName,
    /// The group it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<GroupName>,
    /// The resource it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<ResourceName>,
    /// What was done or seen, one word: `claim`, `online`, `failed`, ...
    pub action: String,
    /// Why, as a sentence.
    pub reason: String,
}

/// Appends one line with a single call, so that lines of several threads do not mix.
pub(crate) fn append_log(path: &Path, entry: &LogEntry) -> io::Result<()> {
    let mut line = serde_json::to_vec(entry)?;
    line.push(b'\n');
    OpenOptions::new().create(true).append(true).open(path)?.write_all(&line)
}

/// Reads a log file; a last line that is only half written is left out.
pub(crate) fn read_log(path: &Path) -> io::Result<Vec<LogEntry>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut entries = Vec::new();
    for line in BufReader::new(file).lines() {
        if let Ok(entry) = serde_json::from_str(&line?) {
            entries.push(entry);
        }
    }
    Ok(entries)
}
