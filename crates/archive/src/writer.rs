//! Writing a backup.
use crate::error::ArchiveError;
use crate::ids::{BackupId, ContentId};
use crate::manifest::{BackupHeader, Manifest};
use crate::outline::MailboxOutline;
use crate::target::Target;
use std::io::Read;
use std::sync::Arc;
/// How a backup is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriterOptions {
    /// Level of zstd.
    pub zstd_level: i32,
    /// Largest size of a volume; more than 1 GiB counts as 1 GiB. A record that is larger gets a
    /// volume of its own.
    pub volume_bytes: u64,
    /// Threads that compress; 0 compresses on the caller's.
    pub threads: usize,
    /// Whether all volumes are read again and checked before the backup counts as complete.
    pub verify: bool,
}
impl Default for WriterOptions {
    fn default() -> WriterOptions {
        WriterOptions { zstd_level: 3, volume_bytes: 1 << 30, threads: 2, verify: true }
    }
}
/// A backup being written.
pub struct BackupWriter { id: BackupId }
impl BackupWriter {
    /// Begins a backup in the set at `target`, making the set if there is none.
    pub fn begin(target: Arc<dyn Target>, header: BackupHeader, options: WriterOptions) -> Result<BackupWriter, ArchiveError> { let _ = (target, header, options); unimplemented!() }
    /// Its id.
    #[must_use]
    pub fn id(&self) -> BackupId { self.id }
    /// Adds a mailbox's outline and returns the mailbox's number. All outlines come before contents.
    pub fn outline(&mut self, outline: &MailboxOutline) -> Result<u32, ArchiveError> { let _ = outline; unimplemented!() }
    /// Adds a part of a mailbox's outline; `more` says that another part of it comes next.
    pub fn outline_part(&mut self, outline: &MailboxOutline, more: bool) -> Result<u32, ArchiveError> { let _ = (outline, more); unimplemented!() }
    /// Adds a content, held by the mailboxes with the numbers `owners`.
    pub fn content(&mut self, id: ContentId, owners: &[u32], bytes: &[u8]) -> Result<(), ArchiveError> { let _ = (id, owners, bytes); unimplemented!() }
    /// States that the store cannot hand over a content that outlines name.
    pub fn absent(&mut self, id: ContentId) -> Result<(), ArchiveError> { let _ = id; unimplemented!() }
    /// Adds all that `source` gives as the stream `name`.
    pub fn stream(&mut self, name: &str, source: &mut dyn Read) -> Result<(), ArchiveError> { let _ = (name, source); unimplemented!() }
    /// Completes the backup.
    pub fn finish(self) -> Result<Manifest, ArchiveError> { unimplemented!() }
}
