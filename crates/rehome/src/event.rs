//! What long work tells the one who waits for it.

use rehome_log::Lsn;
use serde::Serialize;

/// One thing that happened. As JSON it is one line of `--json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// A step changed its state.
    Step {
        /// The step's name, such as `M1`.
        id: String,
        /// What it does.
        title: String,
        /// `begun`, `done`, `done already`, `failed`.
        state: String,
    },
    /// Work went on.
    Progress {
        /// What is being done.
        what: String,
        /// Done so far, in `unit`.
        done: u64,
        /// All there is, in `unit`; 0 when unknown.
        total: u64,
        /// `bytes`, `messages`, `mailboxes`.
        unit: String,
    },
    /// A part of a log is in the archive: durable, and read back.
    Archived {
        /// The last record that is.
        until: Lsn,
        /// The epoch of the store that wrote it.
        epoch: u64,
        /// Records that came.
        records: u64,
        /// Contents that came with them.
        contents: u64,
        /// Bytes of these.
        content_bytes: u64,
        /// How old the oldest of the records was, in seconds.
        lag_seconds: u64,
        /// Bytes that were written meanwhile and are not in the archive.
        behind_bytes: u64,
        /// How old the oldest of these is, in seconds.
        behind_seconds: u64,
    },
    /// Something to know.
    Note {
        /// One sentence.
        text: String,
    },
}

/// Whether the work shall go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// Go on.
    Continue,
    /// End at the next safe place.
    Stop,
}

/// Who is told, and may ask to stop.
pub type Observe<'a> = &'a mut dyn FnMut(Event) -> Flow;
