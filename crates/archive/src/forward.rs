//! Reading a backup out of a pipe, in one pass.
//!
//! Outlines come before contents, so whoever restores knows what a content is for when it comes.

mod check;
mod files;
mod unpack;

pub use check::check_pipe;
pub use unpack::unpack_pipe;

use std::io::Read;
use std::sync::Arc;

use crate::backup::Content;
use crate::error::{ArchiveError, Damage};
use crate::forward::files::{Files, PIPE};
use crate::frame::Frame;
use crate::head::VolumeHead;
use crate::ids::{BackupId, SetId, StoreId, hex};
use crate::kind::{BackupKind, RecordKind};
use crate::layout::{self, MANIFEST_SIZE_MAX};
use crate::manifest::{Manifest, VolumeEntry};
use crate::names::{self, BASE, MANIFEST, volume_number};
use crate::outline::{MailboxOutline, decode_part};
use crate::record::{HEADER_SIZE, PAYLOAD_SIZE_MAX, Record, RecordHead, damage_of};
use crate::seal::{Identities, RecordKey};
use crate::set_file::{self, SetFile};

/// Bytes of a payload that are read at a time: a length that lies costs no more memory.
const PIECE_SIZE: usize = 1 << 20;

/// A backup that comes out of a pipe.
///
/// First all outlines are read, then all contents, then [`PipeReader::finish`] says whether
/// everything came as it was written; until then nothing may count as restored. It keeps one
/// record in memory, and the outline of the mailbox that is being read. Named streams are checked
/// and passed over; [`unpack_pipe`] keeps them.
pub struct PipeReader<'a> {
    files: Files<'a>,
    set: SetFile,
    folder: String,
    id: BackupId,
    kind: BackupKind,
    volume: Option<OpenVolume>,
    volumes: Vec<VolumeEntry>,
    sequence: u32,
    after_damage: bool,
    was_damaged: bool,
    manifest: Option<Manifest>,
    /// Nothing more can be read.
    over: bool,
    identities: Identities,
    /// What opens sealed payloads, once a volume's head named it and there is an identity for it.
    key: Option<Arc<RecordKey>>,
    /// The first data record, which ended the outlines.
    pending: Option<Record>,
    frame: Option<OpenFrame>,
}

/// The volume that is being read.
struct OpenVolume {
    file: String,
    name: String,
    first_record: Option<u32>,
    records: u32,
    headers: blake3::Hasher,
    last_kind: Option<RecordKind>,
}

/// The frame whose contents are being handed out.
struct OpenFrame {
    frame: Frame,
    next: usize,
    place: Damage,
}

impl<'a> PipeReader<'a> {
    /// Begins to read the backup that `source` carries.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::NoPipe`] if it does not carry a backup, [`ArchiveError::PipeCut`] if it
    /// ends, [`ArchiveError::FutureVersion`] and [`ArchiveError::UnknownFeature`] if this program
    /// cannot read it, and the source's errors.
    pub fn open(source: impl Read + 'a) -> Result<PipeReader<'a>, ArchiveError> {
        let mut files = Files::new(source);
        let set = read_set(&mut files)?;
        let mut reader = PipeReader {
            files,
            set,
            folder: String::new(),
            id: BackupId([0; 8]),
            kind: BackupKind::Full,
            volume: None,
            volumes: Vec::new(),
            sequence: 0,
            after_damage: false,
            was_damaged: false,
            manifest: None,
            over: false,
            identities: Identities::default(),
            key: None,
            pending: None,
            frame: None,
        };
        // The name of the first volume says which backup it is.
        while reader.volume.is_none() {
            let none = || ArchiveError::file_damaged(PIPE, "it carries no volume of a backup");
            let name = reader.files.next_file()?.ok_or_else(none)?;
            reader.begin_file(name)?;
        }
        Ok(reader)
    }

    /// The same backup, where these keys open what is encrypted. To be said before anything is
    /// read.
    #[must_use]
    pub fn with_identities(self, identities: Identities) -> PipeReader<'a> {
        PipeReader { identities, ..self }
    }

    /// The backup's id.
    #[must_use]
    pub fn id(&self) -> BackupId {
        self.id
    }

    /// Its kind. One of changes alone cannot be restored from the pipe, which has not what it
    /// builds upon; [`unpack_pipe`] brings it there.
    #[must_use]
    pub fn kind(&self) -> BackupKind {
        self.kind
    }

    /// The set that it was made for.
    #[must_use]
    pub fn set_id(&self) -> SetId {
        self.set.set_id
    }

    /// The store that it is of.
    #[must_use]
    pub fn store_id(&self) -> StoreId {
        self.set.store_id
    }

    /// Bytes of the pipe that were read.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.files.offset()
    }

    /// The next mailbox's outline with the mailbox's number; `None` when the contents begin.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Damaged`], [`ArchiveError::Locked`] and [`ArchiveError::PipeCut`].
    pub fn next_outline(&mut self) -> Result<Option<(u32, MailboxOutline)>, ArchiveError> {
        let mut open: Option<(u32, u32, MailboxOutline)> = None;
        while self.pending.is_none() {
            let Some(record) = self.next_record()? else { break };
            match record.head.kind {
                RecordKind::Outline => {}
                RecordKind::Data => {
                    self.pending = Some(record);
                    continue;
                }
                _ => continue,
            }
            self.expect_key(&record)?;
            let part = record.payload().and_then(|payload| Ok(decode_part(&payload)?));
            let part = part.map_err(|what| self.damaged(&record, what))?;
            match &mut open {
                None if part.part == 0 => open = Some((part.mailbox, 0, part.outline)),
                Some((mailbox, number, outline))
                    if part.mailbox == *mailbox && part.part == *number + 1 =>
                {
                    *number += 1;
                    outline.extend(part.outline);
                }
                _ => return Err(self.damaged(&record, "another part of an outline is due")),
            }
            if part.last {
                return Ok(open.map(|(mailbox, _, outline)| (mailbox, outline)));
            }
        }
        match open {
            None => Ok(None),
            Some((mailbox, _, MailboxOutline { name, .. })) => {
                Err(ArchiveError::OutlineIncomplete { mailbox, name, missing: 1 })
            }
        }
    }

    /// The next content, its hash checked; `None` after the last one. Outlines that were not read
    /// are passed over.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Damaged`], [`ArchiveError::Locked`] and [`ArchiveError::PipeCut`].
    pub fn next_content(&mut self) -> Result<Option<Content>, ArchiveError> {
        loop {
            if let Some(open) = &mut self.frame {
                if let Some(entry) = open.frame.entries.get(open.next) {
                    open.next += 1;
                    let (id, owners) = (entry.id, entry.owners.clone());
                    let Some(bytes) = open.frame.content(entry).map(<[u8]>::to_vec) else {
                        let what = format!("content {id} does not have its hash");
                        return Err(ArchiveError::Damaged(Damage { what, ..open.place.clone() }));
                    };
                    let zstd_frame = open.frame.zstd_frame(entry).map(<[u8]>::to_vec);
                    return Ok(Some(Content { id, owners, bytes, zstd_frame }));
                }
                self.frame = None;
            }
            let record = match self.pending.take() {
                Some(record) => Some(record),
                None => self.next_record()?,
            };
            let Some(record) = record else { return Ok(None) };
            if record.head.kind == RecordKind::Data {
                self.expect_key(&record)?;
                let read = record.payload_and_stored();
                let frame = read.and_then(|(raw, stored)| Ok(Frame::decode_with(raw, stored)?));
                let frame = frame.map_err(|what| self.damaged(&record, what))?;
                let place = damage_of(self.volume_name(), &record, "");
                self.frame = Some(OpenFrame { frame, next: 0, place });
            }
        }
    }

    /// Reads what is left and compares all of it with the manifest at the pipe's end.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Damaged`] if anything is not as it was written, and
    /// [`ArchiveError::PipeCut`].
    pub fn finish(mut self) -> Result<Manifest, ArchiveError> {
        while self.next_record()?.is_some() {}
        let none = || ArchiveError::file_damaged(PIPE, "it failed before, or was damaged");
        self.manifest.take().filter(|_| !self.was_damaged).ok_or_else(none)
    }

    /// The next record; `None` when the pipe was read to its end and its manifest fits. Damage to
    /// a record is an error after which the next call goes on with the next one.
    fn next_record(&mut self) -> Result<Option<Record>, ArchiveError> {
        while !self.over {
            let step = if self.volume.is_some() {
                match self.read_record() {
                    Ok(Some(record)) => return Ok(Some(record)),
                    Ok(None) => self.end_volume(),
                    Err(error) => Err(error),
                }
            } else {
                self.next_file()
            };
            if let Err(error) = step {
                self.was_damaged = true;
                self.over |= !matches!(&error, ArchiveError::Damaged(place) if place.file != PIPE);
                return Err(error);
            }
        }
        Ok(None)
    }

    fn next_file(&mut self) -> Result<(), ArchiveError> {
        match self.files.next_file()? {
            Some(name) => self.begin_file(name),
            None => {
                self.over = true;
                self.compare()
            }
        }
    }

    fn begin_file(&mut self, name: String) -> Result<(), ArchiveError> {
        let parts = name.strip_prefix(BASE).and_then(|rest| rest.strip_prefix('/'));
        let Some((folder, file)) = parts.and_then(|rest| rest.split_once('/')) else {
            return Ok(());
        };
        let Some((_, kind, id)) = names::parse_folder_name(folder) else { return Ok(()) };
        if self.folder.is_empty() {
            (self.folder, self.kind, self.id) = (folder.to_owned(), kind, id);
        } else if self.folder != folder {
            return Err(self.files.damaged("it carries two backups"));
        }
        if file == MANIFEST {
            let bytes = self.files.read_small(MANIFEST_SIZE_MAX)?;
            self.manifest = Some(Manifest::decode(&name, &bytes)?);
        } else if let Some(number) = volume_number(file) {
            if usize::from(number) != self.volumes.len() {
                return Err(self.files.damaged("its volumes do not come in order"));
            }
            self.volume = Some(OpenVolume {
                file: file.to_owned(),
                name,
                first_record: None,
                records: 0,
                headers: blake3::Hasher::new(),
                last_kind: None,
            });
        }
        Ok(())
    }

    fn volume_name(&self) -> &str {
        self.volume.as_ref().map_or(PIPE, |volume| &volume.name)
    }

    /// Whether the payload of a record can be opened.
    fn expect_key(&self, record: &Record) -> Result<(), ArchiveError> {
        match record.is_locked() {
            true => Err(ArchiveError::Locked { file: self.volume_name().to_owned() }),
            false => Ok(()),
        }
    }

    fn damaged(&self, record: &Record, what: impl Into<String>) -> ArchiveError {
        ArchiveError::Damaged(damage_of(self.volume_name(), record, what))
    }

    /// The volume's next record; `None` at its end.
    fn read_record(&mut self) -> Result<Option<Record>, ArchiveError> {
        let offset = self.files.file_bytes();
        let mut header = [0; HEADER_SIZE];
        match self.files.read_full(&mut header)? {
            0 => return Ok(None),
            HEADER_SIZE => {}
            _ => return self.pass_over(offset, None, "the file ends inside a record's header"),
        }
        let Some(head) = RecordHead::decode(&header) else {
            return self.pass_over(offset, None, "no record begins here");
        };
        if head.stored_len > PAYLOAD_SIZE_MAX {
            return self.pass_over(offset, Some(head), "its length is damaged");
        }
        let padded = self.read_payload(head)?;
        let record = match Record::assemble(header, head, padded, offset) {
            Ok(record) => record,
            Err(what) => return self.pass_over(offset, Some(head), what),
        };
        if (head.tag, usize::from(head.volume)) != (self.id.tag(), self.volumes.len()) {
            let what = "it is a record of another volume or backup";
            return self.pass_over(offset, Some(head), what);
        }
        self.accept(record).map(Some)
    }

    fn read_payload(&mut self, head: RecordHead) -> Result<Vec<u8>, ArchiveError> {
        let size = usize::try_from(head.size_bytes()).expect("payloads are bounded");
        let mut payload = Vec::new();
        while payload.len() < size - HEADER_SIZE {
            let start = payload.len();
            payload.resize((start + PIECE_SIZE).min(size - HEADER_SIZE), 0);
            let filled = self.files.read_full(&mut payload[start..])?;
            if start + filled < payload.len() {
                payload.truncate(start + filled);
                break;
            }
        }
        Ok(payload)
    }

    /// Damage from `offset` on: the next record begins with the next section.
    fn pass_over<T>(
        &mut self,
        offset: u64,
        head: Option<RecordHead>,
        what: &str,
    ) -> Result<T, ArchiveError> {
        if !self.files.at_section() {
            self.files.skip_section()?;
        }
        self.after_damage = true;
        Err(ArchiveError::Damaged(Damage {
            file: self.volume_name().to_owned(),
            offset,
            length: self.files.file_bytes().saturating_sub(offset),
            record: head.map(|head| head.sequence),
            kind: head.map(|head| head.kind),
            what: what.to_owned(),
        }))
    }

    fn accept(&mut self, mut record: Record) -> Result<Record, ArchiveError> {
        let (expected, sequence) = (self.sequence, record.head.sequence);
        let in_order = expected == sequence || std::mem::take(&mut self.after_damage);
        self.sequence = sequence.wrapping_add(1);
        let name = self.volume_name().to_owned();
        let Some(volume) = &mut self.volume else { return Ok(record) };
        volume.headers.update(&record.header);
        volume.records += 1;
        volume.last_kind = Some(record.head.kind);
        if !in_order {
            let what = format!("record {expected} should be here: some are missing or moved");
            return Err(self.damaged(&record, what));
        }
        if volume.first_record.is_none() {
            volume.first_record = Some(sequence);
            let head = VolumeHead::decode(&name, &record)?;
            let found = (head.backup_id, head.set_id, head.header.kind);
            if found != (self.id, self.set.set_id, self.kind) {
                return Err(self.damaged(&record, "the volume is of another backup or set"));
            }
            let opened = head.envelope.map(|envelope| self.identities.open(&envelope, self.id.0));
            self.key = opened.flatten();
        }
        record.key.clone_from(&self.key);
        Ok(record)
    }

    fn end_volume(&mut self) -> Result<(), ArchiveError> {
        let Some(volume) = self.volume.take() else { return Ok(()) };
        self.volumes.push(VolumeEntry {
            file: volume.file,
            size_bytes: 0,
            first_record: volume.first_record.unwrap_or_default(),
            records: volume.records,
            root: hex(volume.headers.finalize().as_bytes()),
        });
        if volume.last_kind == Some(RecordKind::Trailer) {
            return Ok(());
        }
        let what = "it does not end with a trailer: its end is cut off or damaged";
        Err(ArchiveError::file_damaged(&volume.name, what))
    }

    /// Everything came; whether it is what the manifest says.
    fn compare(&mut self) -> Result<(), ArchiveError> {
        let none = || ArchiveError::file_damaged(PIPE, "it carries no MANIFEST");
        let manifest = self.manifest.as_ref().ok_or_else(none)?;
        let is_ours = (manifest.backup_id, manifest.set_id) == (self.id, self.set.set_id)
            && manifest.header.store_id == self.set.store_id;
        let same = |found: &VolumeEntry, entry: &VolumeEntry| {
            let found = VolumeEntry { size_bytes: entry.size_bytes, ..found.clone() };
            found == *entry
        };
        let are_same = self.volumes.len() == manifest.volumes.len()
            && self.volumes.iter().zip(&manifest.volumes).all(|(one, two)| same(one, two))
            && layout::root(&manifest.volumes) == manifest.root;
        if is_ours && (are_same || self.was_damaged) {
            return Ok(());
        }
        let file = format!("{BASE}/{}/{MANIFEST}", self.folder);
        Err(ArchiveError::file_damaged(&file, "the records before it are not the ones it names"))
    }
}

/// Reads `SET`, the first file of every pipe.
fn read_set(files: &mut Files<'_>) -> Result<SetFile, ArchiveError> {
    let name = match files.next_file() {
        Err(ArchiveError::Damaged(place)) if place.offset <= HEADER_SIZE as u64 => {
            return Err(ArchiveError::NoPipe);
        }
        named => named?,
    };
    if name.as_deref() != Some(set_file::NAME) {
        return Err(files.damaged("the first file should be SET"));
    }
    SetFile::decode(&files.read_small(set_file::SIZE_MAX)?)
}
