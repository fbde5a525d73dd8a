//! Archiving a log: records come in order, segments go out, and what is durable can be released.

use std::io;
use std::sync::Arc;

use rehome_log::Lsn;

use crate::chain::chain;
use crate::entry::LogEntry;
use crate::error::ArchiveError;
use crate::feature::Features;
use crate::ids::{ContentId, SegmentId, SetId};
use crate::info::{BackupInfo, LogInfo};
use crate::manifest::FORMAT_VERSION;
use crate::names::{LOG, segment_name};
use crate::seal::Encryption;
use crate::segment::{self, LogHeader, SegmentHead, Stretch};
use crate::set::Set;
use crate::set_file::write;
use crate::target::{Target, read_small};

/// A segment is closed when it has grown to this many bytes.
const SEGMENT_BYTES: usize = 16 << 20;
/// Tries to find an id whose file is free.
const ATTEMPTS: u32 = 100;

/// How a log is archived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchiverOptions {
    /// Level of zstd.
    pub zstd_level: i32,
    /// A segment is written when it has grown to this many bytes; they wait in memory until then.
    pub segment_bytes: usize,
    /// For whom everything is encrypted; nobody if there is none.
    pub encryption: Option<Encryption>,
}

impl Default for ArchiverOptions {
    fn default() -> ArchiverOptions {
        ArchiverOptions { zstd_level: 1, segment_bytes: SEGMENT_BYTES, encryption: None }
    }
}

/// A log on its way into a set.
///
/// Killed anywhere, it leaves whole segments; the next one goes on after the last of them.
pub struct LogArchiver {
    target: Arc<dyn Target>,
    set_id: SetId,
    header: LogHeader,
    options: ArchiverOptions,
    archived: Lsn,
    previous_root: Option<String>,
    stretch: Stretch,
}

impl LogArchiver {
    /// Goes on with the log that is archived in the set at `target`. With no log there, and after
    /// a pause that a backup bridges, it begins after that backup.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::NoSet`], [`ArchiveError::NoBase`] if the set has neither log nor a backup
    /// that holds the store's catalog: a log alone restores nothing; [`ArchiveError::OtherStore`];
    /// [`ArchiveError::MustEncrypt`];
    /// [`ArchiveError::Damaged`] if the last segment does not read back; the target's errors.
    pub fn begin(
        target: Arc<dyn Target>,
        header: LogHeader,
        options: ArchiverOptions,
    ) -> Result<LogArchiver, ArchiveError> {
        let set = Set::open(Arc::clone(&target))?;
        set.expect_store(header.store_id)?;
        set.may_hold(options.encryption.is_some())?;
        let last = set.logs()?.pop();
        let (archived, previous_root) = match last {
            Some(last) => (last.last, Some(whole_root(&target, &last)?)),
            // Without a log, the newest backup is where a restore would begin to replay one.
            None => (newest_followed(&set)?, None),
        };
        let (set_id, stretch) = (set.id(), Stretch::default());
        Ok(LogArchiver { target, set_id, header, options, archived, previous_root, stretch })
    }

    /// The last log record that is durable in the set and was read back: the store may release its
    /// log up to here. Later log records are to be handed over.
    #[must_use]
    pub fn archived(&self) -> Lsn {
        self.archived
    }

    /// Leaves the log between [`LogArchiver::archived`] and `lsn` out, because a backup bridges it
    /// that log after `lsn` follows: a new run of segments begins there.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::LogGap`] if there is no such backup, or it is not later.
    pub fn pass_to(&mut self, lsn: Lsn) -> Result<(), ArchiveError> {
        let gap = ArchiveError::LogGap { archived: self.archived, offered: lsn };
        let backups = Set::open(Arc::clone(&self.target))?.list()?;
        let is_bridged = backups.iter().any(|one| follows(&backups, one) == Some(lsn));
        if lsn < self.archived || !is_bridged || !self.stretch.entries.is_empty() {
            return Err(gap);
        }
        if lsn > self.archived {
            (self.archived, self.previous_root) = (lsn, None);
        }
        Ok(())
    }

    /// Takes the next log record, with the contents that it brought into the store. Those that
    /// were there before need not be given.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::LogGap`] if it does not follow the last one; and as
    /// [`LogArchiver::flush`], because it may complete a segment.
    pub fn entry(
        &mut self,
        entry: LogEntry,
        contents: Vec<(ContentId, Vec<u8>)>,
    ) -> Result<(), ArchiveError> {
        let last = self.stretch.entries.last().map_or(self.archived, |last| last.lsn);
        if entry.previous != last || entry.lsn <= last {
            return Err(ArchiveError::LogGap { archived: last, offered: entry.previous });
        }
        self.stretch.push(entry, contents);
        if self.stretch.bytes < self.options.segment_bytes { Ok(()) } else { self.flush() }
    }

    /// Writes what waits as a segment, reads it back and compares; [`LogArchiver::archived`] is the
    /// last log record then.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::WrongContent`], [`ArchiveError::TooLarge`], [`ArchiveError::NotVerified`],
    /// and the target's errors. What waits still waits, and the call can be made again.
    pub fn flush(&mut self) -> Result<(), ArchiveError> {
        let (Some(first), Some(last)) = (self.stretch.entries.first(), self.stretch.entries.last())
        else {
            return Ok(());
        };
        let encryption = self.options.encryption.as_ref();
        let envelope = encryption.map(Encryption::envelope).transpose()?;
        let features = Features::default();
        let features = if envelope.is_some() { features.with_age() } else { features };
        let mut head = SegmentHead {
            format: FORMAT_VERSION,
            features,
            set_id: self.set_id,
            segment_id: SegmentId([0; 8]),
            header: self.header.clone(),
            after: first.previous,
            last: last.lsn,
            first_wall_us: first.wall_us,
            last_wall_us: last.wall_us,
            entries: self.stretch.entries.len() as u64,
            previous_root: self.previous_root.clone(),
            envelope,
        };
        let last = last.lsn;
        let root = self.write(&mut head)?;
        (self.archived, self.previous_root) = (last, Some(root));
        self.stretch = Stretch::default();
        Ok(())
    }

    fn write(&self, head: &mut SegmentHead) -> Result<String, ArchiveError> {
        for attempt in 0..ATTEMPTS {
            head.segment_id = segment_id(head, attempt);
            let level = self.options.zstd_level;
            let (bytes, root) =
                segment::encode(head, &self.stretch, level, self.options.encryption.as_ref())?;
            let name = segment_name(head.after, head.last, head.segment_id);
            let name = format!("{LOG}/{name}");
            match write(&*self.target, &name, &bytes) {
                Err(ArchiveError::Target { source, .. })
                    if source.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
                Ok(()) => {
                    let read = read_small(&*self.target, &name, bytes.len() as u64);
                    if read.map_err(ArchiveError::target(&name, "read it"))? == bytes {
                        return Ok(root);
                    }
                    let what = "it does not read back as written";
                    let first = crate::error::Damage::of_file(&name, what);
                    return Err(ArchiveError::NotVerified { first });
                }
            }
        }
        Err(ArchiveError::Busy { file: LOG.to_owned() })
    }
}

/// Where log follows the newest backup that it can follow.
fn newest_followed(set: &Set) -> Result<Lsn, ArchiveError> {
    let backups = set.list()?;
    let newest = backups.iter().rev().find_map(|one| follows(&backups, one));
    newest.ok_or_else(|| ArchiveError::NoBase { kind: "log", why: String::new() })
}

/// Where log follows a backup whose chain holds.
fn follows(backups: &[BackupInfo], one: &BackupInfo) -> Option<Lsn> {
    one.log_follows().filter(|_| chain(backups, one.id).is_ok())
}

/// The root of a segment that is whole.
fn whole_root(target: &Arc<dyn Target>, info: &LogInfo) -> Result<String, ArchiveError> {
    let mut found = segment::check(target, info, None, &mut |_| {});
    match found.damage.pop() {
        Some(damage) => Err(ArchiveError::Damaged(damage)),
        None => Ok(found.root),
    }
}

fn segment_id(head: &SegmentHead, attempt: u32) -> SegmentId {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"rehome log segment").update(&head.set_id.0).update(&head.header.store_id.0);
    hasher.update(&head.header.store_epoch.to_le_bytes());
    hasher.update(&head.after.to_u64().to_le_bytes()).update(&head.last.to_u64().to_le_bytes());
    hasher.update(&head.first_wall_us.to_le_bytes()).update(&attempt.to_le_bytes());
    let mut id = [0; 8];
    id.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    SegmentId(id)
}
