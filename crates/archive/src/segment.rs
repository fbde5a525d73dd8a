//! Log segments: a stretch of a store's log with the contents that it needs, in one file.

use std::sync::Arc;

use rehome_log::Lsn;
use serde::{Deserialize, Serialize};

use crate::backup::Backup;
use crate::catalog::{Catalog, ContentEntry, LogPlace, Place};
use crate::compress::{Packed, compress};
use crate::entry::{LINK_SIZE, LogEntry, decode_entries, entry_size, put_entry};
use crate::error::{ArchiveError, Damage};
use crate::feature::Features;
use crate::frame::{FrameBuilder, Payload};
use crate::ids::{ContentId, SegmentId, SetId, StoreId, hex};
use crate::index;
use crate::info::LogInfo;
use crate::kind::RecordKind;
use crate::manifest::FORMAT_VERSION;
use crate::record::{
    self, HEADER_SIZE, Identity, RECORD_VERSION, Record, RecordHead, Scanned, VolumeFile, damage_in,
};
use crate::seal::{Encryption, Identities, RecordKey};
use crate::survey::Progress;
use crate::target::Target;

/// A LOG record is closed when it has grown to this many bytes.
const RECORD_SIZE_TARGET: usize = 256 << 10;

/// Who archives a log, and of what store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogHeader {
    /// The store.
    pub store_id: StoreId,
    /// The store's epoch while its log was read.
    pub store_epoch: u64,
    /// Program and version that wrote it.
    pub software: String,
    /// Account that wrote it.
    pub account: String,
}

/// What the first record of a segment says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentHead {
    /// Version of the format.
    pub format: u16,
    /// Features in use.
    pub features: Features,
    /// The set it was written into.
    pub set_id: SetId,
    /// Its id.
    pub segment_id: SegmentId,
    /// Who wrote it, and of what store.
    pub header: LogHeader,
    /// The log record before its first one.
    pub after: Lsn,
    /// Its last log record.
    pub last: Lsn,
    /// When its first log record was written, microseconds since 1970.
    pub first_wall_us: i64,
    /// When its last log record was written.
    pub last_wall_us: i64,
    /// Log records in it.
    pub entries: u64,
    /// The root of the segment that it follows; none for the first of a run.
    pub previous_root: Option<String>,
    /// What holds the key of sealed payloads, as in a manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub envelope: Option<String>,
}

/// The part of it that every version can be asked for.
#[derive(Deserialize)]
struct Preamble {
    format: u16,
    #[serde(default)]
    features: Features,
}

/// What is to become a segment: log records that follow each other, and contents.
#[derive(Default)]
pub(crate) struct Stretch {
    pub(crate) entries: Vec<LogEntry>,
    pub(crate) contents: Vec<(ContentId, Vec<u8>)>,
    pub(crate) bytes: usize,
}

impl Stretch {
    pub(crate) fn push(&mut self, entry: LogEntry, contents: Vec<(ContentId, Vec<u8>)>) {
        self.bytes += entry_size(&entry);
        self.bytes += contents.iter().map(|(_, bytes)| bytes.len() + 64).sum::<usize>();
        self.entries.push(entry);
        self.contents.extend(contents);
    }
}

/// A segment's bytes in the making.
struct Encoder {
    tag: u32,
    lsn: Lsn,
    bytes: Vec<u8>,
    headers: blake3::Hasher,
    sequence: u32,
    catalog: Catalog,
    key: Option<RecordKey>,
    zstd_level: i32,
}

impl Encoder {
    fn put(&mut self, kind: RecordKind, mut packed: Packed) -> Result<Place, ArchiveError> {
        let (raw_len, stored_len) = packed.lengths(kind)?;
        let mut head = RecordHead {
            kind,
            flags: 0,
            codec: packed.codec,
            key_slot: 0,
            version: RECORD_VERSION,
            volume: 0,
            sequence: self.sequence,
            tag: self.tag,
            raw_len,
            stored_len,
            lsn: self.lsn.to_u64(),
        };
        let is_clear = matches!(kind, RecordKind::Volume | RecordKind::Trailer);
        let key = self.key.as_ref().filter(|_| !is_clear);
        record::seal(&mut head, key, &mut packed.stored)?;
        let record = record::encode(&head, packed.stored);
        let place = Place::new(0, self.bytes.len() as u64);
        self.headers.update(&record[..HEADER_SIZE]);
        self.bytes.extend_from_slice(&record);
        self.sequence += 1;
        Ok(place)
    }

    fn packed(&self, payload: impl Into<Payload>) -> Packed {
        compress(self.zstd_level, &payload.into())
    }

    fn contents(&mut self, contents: &[(ContentId, Vec<u8>)]) -> Result<(), ArchiveError> {
        let mut frame = FrameBuilder::default();
        for (number, (id, bytes)) in contents.iter().enumerate() {
            let found = ContentId::of(bytes);
            if found != *id {
                return Err(ArchiveError::WrongContent { id: *id, found });
            }
            frame.push(*id, &[], bytes, None);
            if frame.body_bytes() >= RECORD_SIZE_TARGET || number + 1 == contents.len() {
                let (payload, prefixes) = frame.take();
                let place = self.put(RecordKind::Data, self.packed(payload))?;
                let entries = prefixes.into_iter().map(|prefix| ContentEntry { prefix, place });
                self.catalog.contents.extend(entries);
            }
        }
        Ok(())
    }

    /// Writes the log records; each LOG record begins with the hash of the one before it.
    fn entries(&mut self, entries: &[LogEntry], link: [u8; LINK_SIZE]) -> Result<(), ArchiveError> {
        let mut link = link;
        let mut from = 0;
        while from < entries.len() {
            let mut payload = link.to_vec();
            let mut to = from;
            while to < entries.len() && (to == from || payload.len() < RECORD_SIZE_TARGET) {
                put_entry(&mut payload, &entries[to]);
                to += 1;
            }
            let place = self.put(RecordKind::Log, self.packed(payload))?;
            let at = usize::try_from(place.offset()).unwrap_or(usize::MAX);
            link.copy_from_slice(&self.bytes[at + HEADER_SIZE - LINK_SIZE..at + HEADER_SIZE]);
            let (first, last) = (&entries[from], &entries[to - 1]);
            self.catalog.logs.push(LogPlace {
                place,
                after: first.previous,
                last: last.lsn,
                first_wall_us: first.wall_us,
                last_wall_us: last.wall_us,
            });
            from = to;
        }
        Ok(())
    }

    /// Index and trailer; the bytes and their root.
    fn finish(mut self) -> Result<(Vec<u8>, String), ArchiveError> {
        let index_at = self.bytes.len() as u64;
        let payloads = index::encode(&mut self.catalog);
        let records = u32::try_from(payloads.len()).unwrap_or(u32::MAX);
        for payload in payloads {
            self.put(RecordKind::Index, Packed::plain(&payload))?;
        }
        let trailer = index::encode_trailer(index_at, records);
        self.put(RecordKind::Trailer, Packed::plain(&trailer))?;
        Ok((self.bytes, hex(self.headers.finalize().as_bytes())))
    }
}

/// The bytes of a segment, and its root.
pub(crate) fn encode(
    head: &SegmentHead,
    stretch: &Stretch,
    zstd_level: i32,
    encryption: Option<&Encryption>,
) -> Result<(Vec<u8>, String), ArchiveError> {
    let no_json =
        |error: serde_json::Error| ArchiveError::Misuse { what: format!("no JSON: {error}") };
    let sealed = encryption.zip(head.envelope.as_ref());
    let mut encoder = Encoder {
        tag: head.segment_id.tag(),
        lsn: head.last,
        bytes: Vec::new(),
        headers: blake3::Hasher::new(),
        sequence: 0,
        catalog: Catalog::default(),
        key: sealed.map(|(one, envelope)| one.key(envelope, head.segment_id.0)),
        zstd_level,
    };
    let payload = serde_json::to_vec(head).map_err(no_json)?;
    encoder.put(RecordKind::Volume, Packed::plain(&payload))?;
    encoder.contents(&stretch.contents)?;
    encoder.entries(&stretch.entries, link_of(head.previous_root.as_deref()))?;
    encoder.finish()
}

/// What the first LOG record of a segment begins with.
fn link_of(previous_root: Option<&str>) -> [u8; LINK_SIZE] {
    let mut link = [0; LINK_SIZE];
    if let Some(root) = previous_root {
        link.copy_from_slice(&blake3::hash(root.as_bytes()).as_bytes()[..LINK_SIZE]);
    }
    link
}

/// A segment in a set, open for reading.
pub struct LogSegment {
    head: SegmentHead,
    name: String,
    backup: Backup,
}

/// The file of a segment, and what its first record says; that needs no key.
///
/// # Errors
///
/// As [`LogSegment::open`].
pub(crate) fn read_head(
    target: &dyn Target,
    info: &LogInfo,
) -> Result<(VolumeFile, SegmentHead), ArchiveError> {
    let identity = Identity { tag: info.id.tag(), volume: Some(0) };
    let volume = VolumeFile::open(target, &info.file, Some(identity));
    let volume = volume.map_err(ArchiveError::Damaged)?;
    let record = volume.read(0).map_err(ArchiveError::Damaged)?;
    let head = decode_head(&volume, &record)?;
    if (head.after, head.last, head.segment_id) != (info.after, info.last, info.id) {
        let what = "it is another segment than its name says";
        return Err(ArchiveError::Damaged(damage_in(&volume, &record, what)));
    }
    Ok((volume, head))
}

impl LogSegment {
    /// Opens the segment that a listing names.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Damaged`] if it cannot be read or is not what its name says;
    /// [`ArchiveError::FutureVersion`], [`ArchiveError::UnknownFeature`], [`ArchiveError::Locked`].
    pub(crate) fn open(
        target: &dyn Target,
        info: &LogInfo,
        identities: &Identities,
    ) -> Result<LogSegment, ArchiveError> {
        let (mut volume, head) = read_head(target, info)?;
        if let Some(envelope) = &head.envelope {
            let key = identities.open(envelope, head.segment_id.0);
            let locked = || ArchiveError::Locked { file: info.file.clone() };
            volume.key = Some(key.ok_or_else(locked)?);
        }
        let backup = Backup::of_volumes(&info.file, vec![Ok(volume)], None);
        Ok(LogSegment { head, name: info.file.clone(), backup })
    }

    /// What its first record says.
    #[must_use]
    pub fn head(&self) -> &SegmentHead {
        &self.head
    }

    /// Its log records after `after`, in order; those of records that lie before are not read.
    ///
    /// # Errors
    ///
    /// An item is an error if something is damaged, missing or does not follow; it is the last.
    pub fn entries(&self, after: Lsn) -> impl Iterator<Item = Result<LogEntry, ArchiveError>> + '_ {
        let places = self.backup.log_places();
        let start = places.partition_point(|place| place.last <= after);
        let before = start.checked_sub(1).and_then(|before| places.get(before));
        let mut reached = before.map_or(self.head.after, |place| place.last);
        let mut failed = false;
        let end = std::iter::once(None);
        places[start..].iter().map(Some).chain(end).flat_map(move |place| {
            if failed {
                return Vec::new();
            }
            let entries = match place {
                Some(place) => self.entries_at(*place, reached),
                None => self.end_at(reached).map(|()| Vec::new()),
            };
            match entries {
                Ok(entries) => {
                    reached = place.map_or(reached, |place| place.last);
                    entries.into_iter().filter(|one| one.lsn > after).map(Ok).collect()
                }
                Err(error) => {
                    failed = true;
                    vec![Err(error)]
                }
            }
        })
    }

    /// The segment ends at `reached`.
    fn end_at(&self, reached: Lsn) -> Result<(), ArchiveError> {
        if reached == self.head.last {
            return Ok(());
        }
        let what = format!("its log records end at {reached}, not at {}", self.head.last);
        Err(ArchiveError::file_damaged(&self.name, what))
    }

    /// The entries of one record, which must begin where the one before ended.
    fn entries_at(&self, place: LogPlace, reached: Lsn) -> Result<Vec<LogEntry>, ArchiveError> {
        let (volume, record) = self.backup.read(place.place, RecordKind::Log)?;
        let bad = |what: &str| ArchiveError::Damaged(damage_in(volume, &record, what));
        let payload = record.payload().map_err(|what| bad(&what))?;
        let (_, entries) = decode_entries(&payload).map_err(bad)?;
        let ends = entries.first().map(|one| one.previous).zip(entries.last().map(|one| one.lsn));
        if ends != Some((place.after, place.last)) || place.after != reached {
            return Err(bad("its log records are not the ones that the index says"));
        }
        Ok(entries)
    }

    /// A content that its log records need; what backups hold is not in it.
    ///
    /// # Errors
    ///
    /// As [`Backup::content`].
    pub fn content(&self, id: &ContentId) -> Result<Vec<u8>, ArchiveError> {
        self.backup.content(id)
    }

    /// The contents that it holds, each checked.
    pub fn contents(&self) -> impl Iterator<Item = Result<(ContentId, Vec<u8>), ArchiveError>> {
        self.backup.contents().map(|item| item.map(|content| (content.id, content.bytes)))
    }

    /// Its file, as the target names it.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.name
    }
}

fn decode_head(volume: &VolumeFile, record: &Record) -> Result<SegmentHead, ArchiveError> {
    let bad = |what: String| ArchiveError::Damaged(damage_in(volume, record, what));
    if record.head.kind != RecordKind::Volume {
        return Err(bad("the first record does not say what the segment is of".to_owned()));
    }
    let payload = record.payload().map_err(bad)?;
    let no_json = |error: serde_json::Error| bad(format!("it cannot be read: {error}"));
    let preamble: Preamble = serde_json::from_slice(&payload).map_err(no_json)?;
    if preamble.format > FORMAT_VERSION {
        let (file, version, known) = (volume.name.clone(), preamble.format, FORMAT_VERSION);
        return Err(ArchiveError::FutureVersion { file, version, known });
    }
    preamble.features.may_read(&volume.name)?;
    serde_json::from_slice(&payload).map_err(no_json)
}

/// What a check of one segment found.
#[derive(Default)]
pub(crate) struct SegmentCheck {
    pub(crate) damage: Vec<Damage>,
    /// What the next segment names it by.
    pub(crate) root: String,
    pub(crate) records: u64,
    pub(crate) bytes: u64,
    pub(crate) head: Option<SegmentHead>,
    /// Its payloads are sealed, and there is no key for them.
    pub(crate) is_locked: bool,
}

/// Reads every record of a segment; `deep` looks at the log records and contents too, which these
/// identities open if they are sealed.
pub(crate) fn check(
    target: &Arc<dyn Target>,
    info: &LogInfo,
    deep: Option<&Identities>,
    observe: &mut dyn FnMut(Progress),
) -> SegmentCheck {
    let mut found = SegmentCheck::default();
    let identity = Identity { tag: info.id.tag(), volume: Some(0) };
    let volume = match VolumeFile::open(&**target, &info.file, Some(identity)) {
        Ok(volume) => volume,
        Err(damage) => {
            found.damage.push(damage);
            return found;
        }
    };
    found.bytes = volume.size_bytes();
    let deep_key = |envelope: &String| deep?.open(envelope, info.id.0);
    let mut walk = Walk { link: None, reached: info.after, deep: deep.is_some(), last_kind: None };
    let mut key = None;
    let mut headers = blake3::Hasher::new();
    let mut scan = volume.scan();
    while let Some(scanned) = scan.next() {
        observe(Progress { done_bytes: scan.at(), total_bytes: found.bytes });
        let record = match scanned {
            Scanned::Record(record) => Record { key: key.clone(), ..record },
            Scanned::Damage(damage) => {
                found.damage.push(damage);
                continue;
            }
        };
        headers.update(&record.header);
        found.records += 1;
        if found.records == 1 {
            match decode_head(&volume, &record) {
                Ok(head) => {
                    walk.link = Some(link_of(head.previous_root.as_deref()));
                    key = head.envelope.as_ref().and_then(deep_key);
                    found.is_locked = head.envelope.is_some() && key.is_none();
                    found.head = Some(head);
                }
                Err(ArchiveError::Damaged(damage)) => found.damage.push(damage),
                Err(error) => found.damage.push(damage_in(&volume, &record, error.to_string())),
            }
        }
        if let Err(what) = walk.look(&record) {
            found.damage.push(damage_in(&volume, &record, what));
        }
    }
    let is_cut = walk.last_kind != Some(RecordKind::Trailer);
    if is_cut && found.damage.is_empty() {
        found.damage.push(Damage::of_file(&info.file, "it does not end with a trailer: it is cut"));
    }
    if deep.is_some() && !found.is_locked && walk.reached != info.last && found.damage.is_empty() {
        let what = format!("its log records end at {}, not at {}", walk.reached, info.last);
        found.damage.push(Damage::of_file(&info.file, what));
    }
    let is_it = found.head.as_ref().is_none_or(|head| {
        (head.after, head.last, head.segment_id) == (info.after, info.last, info.id)
    });
    if !is_it {
        found.damage.push(Damage::of_file(&info.file, "it is another segment than its name says"));
    }
    found.root = hex(headers.finalize().as_bytes());
    found
}

/// A walk over the records of a segment.
struct Walk {
    link: Option<[u8; LINK_SIZE]>,
    reached: Lsn,
    deep: bool,
    last_kind: Option<RecordKind>,
}

impl Walk {
    fn look(&mut self, record: &Record) -> Result<(), String> {
        self.last_kind = Some(record.head.kind);
        match record.head.kind {
            _ if !self.deep || record.is_locked() => Ok(()),
            RecordKind::Log => self.look_at_log(record),
            RecordKind::Data => {
                let frame = crate::frame::Frame::decode(record.payload()?)?;
                let wrong = frame.entries.iter().find(|entry| frame.content(entry).is_none());
                let what = |id| format!("content {id} does not have its hash");
                wrong.map_or(Ok(()), |entry| Err(what(entry.id)))
            }
            _ => Ok(()),
        }
    }

    fn look_at_log(&mut self, record: &Record) -> Result<(), String> {
        let (link, entries) = decode_entries(&record.payload()?)?;
        let is_linked = self.link.is_none_or(|expected| expected == link);
        let mut next = [0; LINK_SIZE];
        next.copy_from_slice(&record.header[HEADER_SIZE - LINK_SIZE..]);
        self.link = Some(next);
        let first = entries.first().ok_or("it holds no log record")?;
        let follows = first.previous == self.reached;
        self.reached = entries.last().map_or(self.reached, |last| last.lsn);
        match (is_linked, follows) {
            (true, true) => Ok(()),
            (false, _) => Err("it does not follow the record or segment before it".to_owned()),
            (_, false) => Err("its log records do not follow those before".to_owned()),
        }
    }
}
