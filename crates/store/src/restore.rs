//! Building a store from a backup: segments and log are written, the catalog is left to recovery.

mod kept;
mod log;
mod placed;
mod point;

pub use point::{PointRestore, Replayed, RestorePoint, RestoredTo};

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use rehome_log::{Clock, Disk, Ownership};

use self::kept::{KeptSegment, Look, note_sealed};
use self::log::RestoredLog;
use crate::error::{StoreError, filling};
use crate::flow::Flow;
use crate::model::incoming::{FOLDER_STEP, folder_steps};
use crate::model::{
    ContentId, Extent, FolderId, FolderName, FolderStep, IncomingMailbox, MailboxId, MailboxName,
    MailboxState, Modseq, UidValidity,
};
use crate::op::{BodyRange, Group, Op};
use crate::open::{self, log_options};
use crate::options::{OpenOptions, RestoreMarker};
use crate::packers::check_len;
use crate::record::{self, RunCrc};
use crate::segment::{self, OpenSegment, SEGMENT_HEADER_SIZE, Shape};

/// Operations in a group, at most, but for one run of records.
const GROUP_OPS_MAX: usize = 4_096;

/// Writes segments and log of a new store, and no catalog.
///
/// Until [`finish`](RestoreWriter::finish) the folder holds a store that nobody can open; after it
/// one that opens only with the marker that `finish` returned, and builds its catalog then.
pub struct RestoreWriter {
    disk: Arc<dyn Disk>,
    clock: Arc<dyn Clock>,
    options: OpenOptions,
    shape: Shape,
    log: RestoredLog,
    segment: Option<OpenSegment>,
    group: Group,
    mailboxes: HashMap<MailboxName, Known>,
    next_content: u64,
    next_segment: u32,
    /// Contents that an earlier attempt has written.
    kept: HashSet<ContentId>,
    kept_bytes: u64,
    _ownership: Ownership,
}

/// A mailbox that was put.
struct Known {
    id: MailboxId,
    folders: HashMap<FolderName, FolderId>,
    next_folder: u32,
    last_step: Modseq,
}

impl std::fmt::Debug for RestoreWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RestoreWriter").field("shape", &self.shape).finish_non_exhaustive()
    }
}

impl RestoreWriter {
    /// Begins a store in the disk's empty root folder. `options.store_id` gives it the identity of
    /// the store that it replaces.
    ///
    /// # Errors
    ///
    /// [`StoreError::StoreExists`], [`StoreError::Locked`], [`StoreError::Io`].
    pub fn create(
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
        options: OpenOptions,
    ) -> Result<RestoreWriter, StoreError> {
        let (ownership, shape) = open::begin(&disk, &*clock, &options)?;
        note_sealed(&*disk, 0)?;
        let writer = RestoreWriter::of(disk, clock, options, ownership, shape)?;
        open::give_birth(&*writer.disk)?;
        Ok(writer)
    }

    /// Goes on with a restore into the disk's root folder that was cut short; begins one if there
    /// is none. Segments that are durable, whole, and hold only contents that are `wanted`, stay:
    /// their bodies need not be put again. Rows are to be put again, all of them. `progress` hears
    /// how many bytes were read back.
    ///
    /// # Errors
    ///
    /// [`StoreError::StoreExists`] if the store in the folder is written, or of another identity;
    /// [`StoreError::Stopped`] if `progress` says so; and as [`RestoreWriter::create`].
    pub fn resume(
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
        options: OpenOptions,
        wanted: &dyn Fn(&ContentId) -> bool,
        progress: &mut dyn FnMut(u64) -> Flow,
    ) -> Result<RestoreWriter, StoreError> {
        let Some((ownership, shape, sealed)) = open::begin_again(&disk, &options)? else {
            return RestoreWriter::create(disk, clock, options);
        };
        let kept = kept::look(&disk, shape.store_id, sealed, &mut Look { wanted, progress })?;
        let mut writer = RestoreWriter::of(disk, clock, options, ownership, shape)?;
        writer.next_segment = sealed + 1;
        kept.into_iter().try_for_each(|segment| writer.keep(segment))?;
        Ok(writer)
    }

    fn of(
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
        options: OpenOptions,
        ownership: Ownership,
        shape: Shape,
    ) -> Result<RestoreWriter, StoreError> {
        let log = RestoredLog::create(&disk, &clock, shape, log_options(&options))?;
        Ok(RestoreWriter {
            disk,
            clock,
            options,
            shape,
            log,
            segment: None,
            group: Group::default(),
            mailboxes: HashMap::new(),
            next_content: 1,
            next_segment: 1,
            kept: HashSet::new(),
            kept_bytes: 0,
            _ownership: ownership,
        })
    }

    /// Takes over a segment that an earlier attempt has written.
    fn keep(&mut self, segment: KeptSegment) -> Result<(), StoreError> {
        let (id, len_bytes, records) =
            (segment.id, segment.len_bytes, segment.contents.len() as u64);
        for kept in segment.contents {
            let kept::KeptContent { content, extent, size_bytes } = kept;
            let number = self.next_content;
            self.next_content += 1;
            self.kept_bytes += size_bytes;
            self.kept.insert(content);
            self.push(Op::PutContent { number, content, extent, size_bytes })?;
        }
        self.push(Op::SealSegment { segment: id, len_bytes, records })
    }

    /// Whether an earlier attempt has written the body.
    #[must_use]
    pub fn has(&self, content: &ContentId) -> bool {
        self.kept.contains(content)
    }

    /// Bytes of the bodies that an earlier attempt has written.
    #[must_use]
    pub fn kept_bytes(&self) -> u64 {
        self.kept_bytes
    }

    /// Makes the bodies durable that were put so far; a restore that is cut short later on keeps
    /// them.
    ///
    /// # Errors
    ///
    /// As [`RestoreWriter::put_body`].
    pub fn settle(&mut self) -> Result<(), StoreError> {
        self.seal()
    }

    /// Writes a body. One that was written before takes room again and is otherwise ignored.
    ///
    /// # Errors
    ///
    /// [`StoreError::TooLarge`], [`StoreError::DiskFull`], [`StoreError::Io`]. After an error
    /// there is no use in going on.
    pub fn put_body(&mut self, body: &[u8]) -> Result<(), StoreError> {
        self.put_checked(encoded(body, None, self.options.pack_over_bytes)?)
    }

    /// Writes a body that was decompressed from `zstd_frame`, which is kept as it is, unless
    /// nothing is to be packed.
    ///
    /// # Errors
    ///
    /// As [`RestoreWriter::put_body`].
    pub fn put_packed_body(&mut self, body: &[u8], zstd_frame: &[u8]) -> Result<(), StoreError> {
        self.put_checked(encoded(body, Some(zstd_frame), self.options.pack_over_bytes)?)
    }

    /// Writes a run of body records as it is.
    ///
    /// # Errors
    ///
    /// [`StoreError::BadRecords`] if it is not whole: nothing of it is written; and as
    /// [`RestoreWriter::put_body`].
    pub fn put_records(&mut self, records: &[u8]) -> Result<(), StoreError> {
        for record in record::walk(records) {
            record.map_err(|bad| StoreError::BadRecords {
                offset: bad.offset as u64,
                cause: bad.cause,
            })?;
        }
        self.put_checked(records.to_vec())
    }

    /// Writes a mailbox, or a part of one that was written before. It is active once the store is
    /// open, unless [`put_state`](RestoreWriter::put_state) says otherwise.
    ///
    /// # Errors
    ///
    /// [`StoreError::UnknownFolder`] if a row names a folder that was not put; and as
    /// [`RestoreWriter::put_body`]. A row whose body was never put fails the first opening.
    pub fn put_mailbox(&mut self, mailbox: IncomingMailbox) -> Result<(), StoreError> {
        let IncomingMailbox { name, attributes, subscriptions, .. } = mailbox;
        let id = self.mailbox_id(&name);
        let attributes = attributes.into_iter().collect();
        self.push(Op::ReceiveMailbox { mailbox: id, attributes, subscriptions })?;
        for step in folder_steps(&mailbox.expunges) {
            self.put_step(&name, id, step)?;
        }
        for incoming in mailbox.folders {
            let folder = self.folder_id(&name, &incoming.name);
            self.push(Op::ReceiveFolder { mailbox: id, folder, incoming })?;
        }
        for (folder, message) in mailbox.messages {
            let folder = self.known_folder(&name, folder)?;
            self.push(Op::ReceiveMessage { mailbox: id, folder, message })?;
        }
        let expunges = mailbox.expunges.into_iter().filter(|(_, uid, _)| *uid != FOLDER_STEP);
        for (folder, uid, modseq) in expunges {
            let folder = self.known_folder(&name, folder)?;
            self.push(Op::ReceiveExpunge { mailbox: id, folder, uid, modseq })?;
        }
        self.push(Op::ReceiveCursor { mailbox: id, cursor: mailbox.cursor })
    }

    /// Gives a mailbox another state than active.
    ///
    /// # Errors
    ///
    /// As [`RestoreWriter::put_body`].
    pub fn put_state(
        &mut self,
        mailbox: &MailboxName,
        state: MailboxState,
    ) -> Result<(), StoreError> {
        let id = self.mailbox_id(mailbox);
        self.push(Op::SetState { mailbox: id, state })
    }

    /// Makes everything durable and states that it is complete. The marker opens the store.
    ///
    /// # Errors
    ///
    /// As [`RestoreWriter::put_body`].
    pub fn finish(mut self) -> Result<RestoreMarker, StoreError> {
        self.seal()?;
        self.flush()?;
        self.log.finish()
    }

    fn mailbox_id(&mut self, name: &MailboxName) -> MailboxId {
        if let Some(known) = self.mailboxes.get(name) {
            return known.id;
        }
        let next = u32::try_from(self.mailboxes.len() + 1).expect("memory ends before that");
        let id = MailboxId(next);
        let (folders, last_step) = (HashMap::new(), Modseq(0));
        self.mailboxes.insert(name.clone(), Known { id, folders, next_folder: 1, last_step });
        let (name, state) = (name.clone(), MailboxState::Active);
        self.group.ops.push(Op::CreateMailbox { mailbox: id, name, state });
        id
    }

    fn folder_id(&mut self, mailbox: &MailboxName, folder: &FolderName) -> FolderId {
        let Some(known) = self.mailboxes.get_mut(mailbox) else { return FolderId(0) };
        *known.folders.entry(folder.clone()).or_insert_with(|| {
            known.next_folder += 1;
            FolderId(known.next_folder - 1)
        })
    }

    /// Does what was done to a folder's name between one backup and the next.
    fn put_step(
        &mut self,
        name: &MailboxName,
        mailbox: MailboxId,
        step: FolderStep,
    ) -> Result<(), StoreError> {
        let FolderStep { modseq, from, to } = step;
        let Some(known) = self.mailboxes.get_mut(name) else { return Ok(()) };
        if modseq <= known.last_step {
            return Ok(());
        }
        known.last_step = modseq;
        let free = to.as_ref().is_none_or(|to| !known.folders.contains_key(to));
        let folder = if free { known.folders.remove(&from) } else { None };
        match (folder, to) {
            (Some(folder), Some(name)) => {
                known.folders.insert(name.clone(), folder);
                // The folder's own row follows with the validity that it has now.
                let uidvalidity = UidValidity(0);
                self.push(Op::RenameFolder { mailbox, folder, name, uidvalidity, modseq })
            }
            (Some(folder), None) => {
                // What was deleted before the backup is not to be had back after it.
                let removed_seconds = 0;
                self.push(Op::DeleteFolder { mailbox, folder, modseq, removed_seconds })
            }
            (None, to) => self.push(Op::NoteFolderStep { mailbox, modseq, from, to }),
        }
    }

    fn known_folder(
        &self,
        mailbox: &MailboxName,
        folder: FolderName,
    ) -> Result<FolderId, StoreError> {
        let known = self.mailboxes.get(mailbox).and_then(|known| known.folders.get(&folder));
        known.copied().ok_or(StoreError::UnknownFolder { mailbox: mailbox.clone(), folder })
    }

    /// Writes a checked run, record by record into segments with room.
    fn put_checked(&mut self, run: Vec<u8>) -> Result<(), StoreError> {
        let mut from = 0;
        while from < run.len() {
            let part = self.part_that_fits(&run[from..])?;
            self.write_part(run[from..from + part].to_vec())?;
            from += part;
        }
        Ok(())
    }

    /// Opens a segment with room for the first record of `run`; returns how much of it fits.
    fn part_that_fits(&mut self, run: &[u8]) -> Result<usize, StoreError> {
        let room = |segment: &OpenSegment| self.options.segment_bytes.saturating_sub(segment.end);
        let mut room = self.segment.as_ref().map_or(0, room);
        let mut part = 0;
        for record in record::walk(run).filter_map(Result::ok).take(GROUP_OPS_MAX) {
            let (offset, head) = record;
            let end = offset + head.record_bytes;
            if end as u64 > room {
                if part > 0 {
                    break;
                }
                self.next_segment()?;
                room = self.options.segment_bytes - SEGMENT_HEADER_SIZE;
            }
            part = end;
        }
        Ok(part)
    }

    fn next_segment(&mut self) -> Result<(), StoreError> {
        self.seal()?;
        let (id, wall_us) = (self.next_segment, self.clock.wall_us());
        self.next_segment += 1;
        let made = segment::create(&self.disk, &self.shape, id, self.log.high(), wall_us)?;
        self.segment = Some(made);
        Ok(())
    }

    fn seal(&mut self) -> Result<(), StoreError> {
        let Some(segment) = self.segment.take() else { return Ok(()) };
        let sealed = segment.seal(&*self.disk, &self.shape);
        sealed.map_err(filling("ending", segment::file_name(segment.id)))?;
        note_sealed(&*self.disk, segment.id)?;
        self.push(Op::SealSegment {
            segment: segment.id,
            len_bytes: segment.end,
            records: segment.records,
        })
    }

    fn write_part(&mut self, part: Vec<u8>) -> Result<(), StoreError> {
        let Some(segment) = &mut self.segment else { return Ok(()) };
        let (id, from, to) = (segment.id, segment.end, segment.end + part.len() as u64);
        let mut crc = RunCrc::default();
        let mut ops = Vec::new();
        for (offset, head) in record::walk(&part).filter_map(Result::ok) {
            crc.add(head.crc);
            segment.crc.add(head.crc);
            segment.records += 1;
            let len = u32::try_from(head.record_bytes).expect("a record's length fits 32 bits");
            let extent = Extent { segment: id, offset: from + offset as u64, len };
            let (number, content) = (self.next_content, head.content);
            self.next_content += 1;
            ops.push(Op::PutContent { number, content, extent, size_bytes: head.size_bytes });
        }
        segment.end = to;
        let written = segment.write(&*self.disk, from, &[part]);
        written.map_err(filling("writing", segment::file_name(id)))?;
        self.group.ranges.push(BodyRange { segment: id, from, to, crc: crc.0 });
        self.group.ops.extend(ops);
        self.flush_if_full()
    }

    fn push(&mut self, op: Op) -> Result<(), StoreError> {
        self.group.ops.push(op);
        self.flush_if_full()
    }

    fn flush_if_full(&mut self) -> Result<(), StoreError> {
        if self.group.ops.len() < GROUP_OPS_MAX { Ok(()) } else { self.flush() }
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        self.log.append(&std::mem::take(&mut self.group))
    }
}

/// A body as a record; `zstd_frame` is what it was decompressed from, if it was.
fn encoded(
    body: &[u8],
    zstd_frame: Option<&[u8]>,
    pack_over_bytes: Option<u32>,
) -> Result<Vec<u8>, StoreError> {
    check_len(body)?;
    let record = match zstd_frame.filter(|_| pack_over_bytes.is_some()) {
        Some(frame) => record::encode_frame(body, frame),
        None => record::encode_packed(body, pack_over_bytes),
    };
    Ok(record.bytes)
}
