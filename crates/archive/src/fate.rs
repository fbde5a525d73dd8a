//! What became of each mailbox in a backup that may be damaged.

use serde::{Deserialize, Serialize};

/// How much of a mailbox can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// All of it.
    Whole,
    /// Some of its messages.
    Partly,
    /// Its outline, or a part of that, and none of its messages.
    OnlyNamed,
    /// Nothing: its outline is lost.
    Gone,
}

/// Messages of one folder whose contents cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostMessages {
    /// The folder.
    pub folder: String,
    /// Their UIDs, ascending.
    pub uids: Vec<u32>,
}

/// What became of one mailbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailboxFate {
    /// Its number in the backup.
    pub mailbox: u32,
    /// Its name, if anything that can be read still says it.
    pub name: Option<String>,
    /// How much of it can be read.
    pub fate: Fate,
    /// Messages that its readable outline records name.
    pub messages: u64,
    /// Those of them whose contents cannot be read.
    pub lost: Vec<LostMessages>,
    /// Messages known to be lost together with their outline rows, so that no UID can be named;
    /// `None` if rows are lost and nothing says how many.
    pub unnamed: Option<u64>,
}
