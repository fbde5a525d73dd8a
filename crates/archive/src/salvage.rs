//! Salvage.
use crate::backup::Backup;
use crate::check::Progress;
use crate::error::{ArchiveError, Damage};
use crate::fate::MailboxFate;
use crate::target::Target;
use std::sync::Arc;
/// What could be read of a backup, whatever became of it.
pub struct Salvage {
    /// What is readable, for reading.
    pub backup: Backup,
    /// Every mailbox that anything readable names, by number.
    pub mailboxes: Vec<MailboxFate>,
    /// Every place that is not as it was written.
    pub damage: Vec<Damage>,
    /// Contents found whole, each counted once.
    pub contents: u64,
}
/// Salvages what the volume files `files` hold.
pub fn salvage(target: Arc<dyn Target>, files: &[String], observe: &mut dyn FnMut(Progress)) -> Result<Vec<Salvage>, ArchiveError> { let _ = (target, files, observe); unimplemented!() }
