//! Reading everything and comparing: at once, with every counter, or paced, the contents alone.

mod contents;
mod recount;
mod scrub;
mod scrub_state;

pub(crate) use scrub::scrub;
pub use scrub::{DamagedContent, ScrubOptions, ScrubReport};

use serde::{Deserialize, Serialize};

use crate::catalog::View;
use crate::error::StoreError;
use crate::model::{ContentId, Extent, FolderName, MailboxName, Uid};
use crate::segment::Segments;

/// How far a check is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckProgress {
    /// Bytes of contents read.
    pub done_bytes: u64,
    /// Bytes of contents there are.
    pub total_bytes: u64,
}

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckReport {
    /// Contents read.
    pub contents: u64,
    /// Bytes of these.
    pub content_bytes: u64,
    /// Messages looked at.
    pub messages: u64,
    /// Messages whose bytes cannot be read as they were stored.
    pub damaged: Vec<DamagedMessage>,
    /// Contents that cannot be read and that no message refers to.
    pub damaged_unused: u64,
    /// Rows of the catalog that contradict one another.
    pub faults: Vec<String>,
}

impl CheckReport {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.damaged.is_empty() && self.damaged_unused == 0 && self.faults.is_empty()
    }
}

/// A message whose bytes cannot be read as they were stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DamagedMessage {
    /// Its mailbox.
    pub mailbox: MailboxName,
    /// Its folder.
    pub folder: FolderName,
    /// Its number.
    pub uid: Uid,
    /// Name of its bytes.
    pub content: ContentId,
    /// Where their record lies, if the one who read them knows.
    #[serde(default)]
    pub extent: Option<Extent>,
    /// What is wrong with them.
    pub cause: String,
}

/// What is wrong with a content.
#[derive(Clone, Debug)]
pub(crate) struct Damage {
    extent: Extent,
    cause: String,
}

/// Reads everything in `view` and compares.
pub(crate) fn check(
    view: &View,
    segments: &Segments,
    progress: &mut dyn FnMut(CheckProgress),
) -> Result<CheckReport, StoreError> {
    let mut report = CheckReport::default();
    let damaged = contents::read(view, segments, progress, &mut report)?;
    recount::messages(view, &damaged, &mut report)?;
    recount::references(view, &mut report)?;
    Ok(report)
}
