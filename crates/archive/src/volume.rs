//! Writing volumes: records in order, an index and a trailer at the end of each file.

mod beside;

use std::sync::Arc;

use crate::catalog::{Catalog, ChunkEntry, ContentEntry, OutlineEntry, Place};
use crate::compress::Packed;
use crate::cursors;
use crate::error::ArchiveError;
use crate::head::VolumeHead;
use crate::ids::hex;
use crate::index;
use crate::kind::RecordKind;
use crate::manifest::VolumeEntry;
use crate::names::{parity_name, volume_name};
use crate::record::{self, CODEC_NONE, HEADER_SIZE, RECORD_VERSION, RecordHead, record_size};
use crate::seal::{Encryption, RecordKey, SEAL_SIZE};
use crate::target::{Target, TargetFile};

use self::beside::OpenParity;

/// No volume is made larger than this unless a single record is.
pub(crate) const VOLUME_SIZE_MAX: u64 = 1 << 30;

/// After so many volumes they may have that size, whatever was asked for: their numbers would run
/// out.
const SMALL_VOLUMES_MAX: usize = 8192;

/// Bytes that sealing adds to a payload.
#[expect(clippy::cast_possible_truncation, reason = "it is 16")]
const SEAL_SIZE_U32: u32 = SEAL_SIZE as u32;

/// What the index is to say of a record.
pub(crate) enum Note {
    Outline { mailbox: u32, part: u32, last: bool, messages: u32, name: String },
    Chunk { name: String, chunk: u32, last: bool },
    Contents(Vec<u64>),
}

/// The volume being written.
struct OpenVolume {
    name: String,
    file: Box<dyn TargetFile>,
    offset: u64,
    first_record: u32,
    records: u32,
    headers: blake3::Hasher,
    catalog: Catalog,
    parity: Option<OpenParity>,
}

/// A volume with all its records, without its name.
pub(crate) struct ClosedVolume {
    entry: VolumeEntry,
    /// Names and files: that of the parity, if there is one, and the volume itself.
    files: Vec<(String, Box<dyn TargetFile>)>,
}

impl ClosedVolume {
    /// Makes it durable and gives it its name.
    ///
    /// # Errors
    ///
    /// The target's errors.
    pub(crate) fn finish(self) -> Result<VolumeEntry, ArchiveError> {
        for (name, file) in self.files {
            file.finish().map_err(ArchiveError::target(&name, "finish it"))?;
        }
        Ok(self.entry)
    }
}

/// What becomes of a volume that is closed, before the next one begins.
pub(crate) type Finish<'a> = &'a mut dyn FnMut(ClosedVolume) -> Result<(), ArchiveError>;

/// How volumes are written.
pub(crate) struct VolumeOptions {
    /// Their largest size.
    pub(crate) volume_bytes: u64,
    /// Whether each gets parity beside it.
    pub(crate) parity: bool,
    /// For whom payloads are sealed; the head has the envelope then.
    pub(crate) encryption: Option<Encryption>,
}

/// Writes the volumes of one backup.
pub(crate) struct VolumeWriter {
    target: Arc<dyn Target>,
    folder: String,
    head: VolumeHead,
    volume_bytes: u64,
    parity: bool,
    key: Option<RecordKey>,
    sequence: u32,
    open: Option<OpenVolume>,
    closed: Vec<VolumeEntry>,
    raw_bytes: u64,
}

impl VolumeWriter {
    /// Begins the first volume, which claims the backup's folder.
    ///
    /// # Errors
    ///
    /// The target's own error; `AlreadyExists` and [`ArchiveError::Busy`] say that the folder is
    /// somebody else's.
    pub(crate) fn begin(
        target: Arc<dyn Target>,
        folder: String,
        head: VolumeHead,
        options: &VolumeOptions,
    ) -> Result<VolumeWriter, ArchiveError> {
        let volume_bytes = options.volume_bytes.min(VOLUME_SIZE_MAX);
        let parity = options.parity;
        let sealed = options.encryption.as_ref().zip(head.envelope.as_ref());
        let key = sealed.map(|(encryption, envelope)| encryption.key(envelope, head.backup_id.0));
        let mut writer = VolumeWriter {
            target,
            folder,
            head,
            volume_bytes,
            parity,
            key,
            sequence: 0,
            open: None,
            closed: Vec::new(),
            raw_bytes: 0,
        };
        writer.open_volume()?;
        Ok(writer)
    }

    /// Writes a record, beginning a new volume if it does not fit into this one.
    pub(crate) fn put(
        &mut self,
        kind: RecordKind,
        flags: u8,
        packed: Packed,
        note: Note,
        finish: Finish<'_>,
    ) -> Result<(), ArchiveError> {
        let (_, stored_len) = packed.lengths(kind)?;
        let sealed_len = stored_len.saturating_add(SEAL_SIZE_U32);
        let size = record_size(if self.key.is_some() { sealed_len } else { stored_len });
        let is_clear = matches!(&note, Note::Chunk { name, .. } if name == cursors::STREAM);
        if self.open.as_ref().is_some_and(|open| self.is_full(open, size)) {
            self.close_volume(finish)?;
        }
        if self.open.is_none() {
            self.open_volume()?;
        }
        let offset = self.append(kind, flags, packed, !is_clear)?;
        let open = self.open.as_mut().expect("it was opened above");
        let place = Place::new(u32::from(self.head.volume), offset);
        match note {
            Note::Outline { mailbox, part, last, messages, name } => {
                let entry = OutlineEntry { place, mailbox, part, last, messages, name };
                open.catalog.outlines.push(entry);
            }
            Note::Chunk { name, chunk, last } => {
                open.catalog.chunks.push(ChunkEntry { place, name, chunk, last });
            }
            Note::Contents(prefixes) => {
                let entries = prefixes.into_iter().map(|prefix| ContentEntry { prefix, place });
                open.catalog.contents.extend(entries);
            }
        }
        Ok(())
    }

    /// Closes the last volume; gives all of them and the raw bytes of all records.
    pub(crate) fn close(
        mut self,
        finish: Finish<'_>,
    ) -> Result<(Vec<VolumeEntry>, u64), ArchiveError> {
        self.close_volume(finish)?;
        Ok((self.closed, self.raw_bytes))
    }

    /// Whether `open`, which holds something already, has no room for `more_bytes` and its index.
    fn is_full(&self, open: &OpenVolume, more_bytes: u64) -> bool {
        let names = open.catalog.outlines.len() as u64 + open.catalog.chunks.len() as u64;
        let index = open.catalog.contents.len() as u64 * 12 + names * 64 + 4096;
        let volume_bytes = match self.closed.len() {
            ..SMALL_VOLUMES_MAX => self.volume_bytes,
            _ => VOLUME_SIZE_MAX,
        };
        open.records > 1 && open.offset + more_bytes + index > volume_bytes
    }

    fn open_volume(&mut self) -> Result<(), ArchiveError> {
        let number = u16::try_from(self.closed.len()).map_err(|_| ArchiveError::TooLarge {
            what: "the number of volumes".to_owned(),
            bytes: self.closed.len() as u64,
            limit: u64::from(u16::MAX),
        })?;
        self.head.volume = number;
        let name = format!("{}/{}", self.folder, volume_name(number));
        let file = self.target.create(&name).map_err(ArchiveError::target(&name, "create it"))?;
        self.open = Some(OpenVolume {
            name,
            file,
            offset: 0,
            first_record: self.sequence,
            records: 0,
            headers: blake3::Hasher::new(),
            catalog: Catalog::default(),
            parity: None,
        });
        if self.parity {
            self.open_parity(number)?;
        }
        let no_json =
            |error: serde_json::Error| ArchiveError::Misuse { what: format!("no JSON: {error}") };
        let payload = serde_json::to_vec(&self.head).map_err(no_json)?;
        self.append(RecordKind::Volume, 0, Packed::plain(&payload), false)?;
        Ok(())
    }

    fn open_parity(&mut self, number: u16) -> Result<(), ArchiveError> {
        let name = parity_name(&self.folder, &volume_name(number));
        let file = self.target.create(&name).map_err(ArchiveError::target(&name, "create it"))?;
        if let Some(open) = &mut self.open {
            open.parity = Some(OpenParity::new(name, file));
        }
        Ok(())
    }

    fn close_volume(&mut self, finish: Finish<'_>) -> Result<(), ArchiveError> {
        let Some(open) = &mut self.open else { return Ok(()) };
        let index_at = open.offset;
        let mut clear = Catalog::default();
        if self.key.is_some() {
            // Where the cursors are is to be found without a key.
            let of_cursors = |entry: &mut ChunkEntry| entry.name == cursors::STREAM;
            clear.chunks = open.catalog.chunks.extract_if(.., of_cursors).collect();
        }
        let mut payloads = index::encode(&mut open.catalog);
        let sealed = payloads.len();
        if !clear.chunks.is_empty() {
            payloads.append(&mut index::encode(&mut clear));
        }
        let mut records = 0;
        for (number, payload) in payloads.into_iter().enumerate() {
            self.append(RecordKind::Index, 0, Packed::plain(&payload), number < sealed)?;
            records += 1;
        }
        let trailer = index::encode_trailer(index_at, records);
        self.append(RecordKind::Trailer, 0, Packed::plain(&trailer), false)?;
        let Some(mut open) = self.open.take() else { return Ok(()) };
        let mut files = Vec::new();
        if let Some(parity) = open.parity.take() {
            files.push(parity.close(&self.plain_head())?);
        }
        files.push((open.name, open.file));
        let entry = VolumeEntry {
            file: volume_name(self.head.volume),
            size_bytes: open.offset,
            first_record: open.first_record,
            records: open.records,
            root: hex(open.headers.finalize().as_bytes()),
        };
        self.closed.push(entry.clone());
        finish(ClosedVolume { entry, files })
    }

    /// The header of a record of this volume without a payload.
    fn plain_head(&self) -> RecordHead {
        RecordHead {
            kind: RecordKind::Parity,
            flags: 0,
            codec: CODEC_NONE,
            key_slot: 0,
            version: RECORD_VERSION,
            volume: self.head.volume,
            sequence: 0,
            tag: self.head.backup_id.tag(),
            raw_len: 0,
            stored_len: 0,
            lsn: self.head.header.lsn_end.to_u64(),
        }
    }

    /// Appends a record to the open volume, sealed if there is a key and `may_seal`, and returns
    /// its offset.
    fn append(
        &mut self,
        kind: RecordKind,
        flags: u8,
        mut packed: Packed,
        may_seal: bool,
    ) -> Result<u64, ArchiveError> {
        let (raw_len, stored_len) = packed.lengths(kind)?;
        let sequence = self.sequence;
        let next = sequence.checked_add(1).ok_or_else(|| ArchiveError::TooLarge {
            what: "the number of records".to_owned(),
            bytes: u64::from(sequence),
            limit: u64::from(u32::MAX),
        })?;
        let mut head = RecordHead {
            kind,
            flags,
            codec: packed.codec,
            sequence,
            raw_len,
            stored_len,
            ..self.plain_head()
        };
        let key = self.key.as_ref().filter(|_| may_seal);
        record::seal(&mut head, key, &mut packed.stored)?;
        let bytes = record::encode(&head, packed.stored);
        let open = self.open.as_mut().expect("callers open a volume first");
        open.file.append(&bytes).map_err(ArchiveError::target(&open.name, "write to it"))?;
        let offset = open.offset;
        open.headers.update(&bytes[..HEADER_SIZE]);
        open.offset += bytes.len() as u64;
        open.records += 1;
        if let Some(parity) = &mut open.parity {
            parity.take(bytes, &head)?;
        }
        self.sequence = next;
        self.raw_bytes += u64::from(raw_len);
        Ok(offset)
    }
}
