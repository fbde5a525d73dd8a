//! Writing a backup: outlines, then contents, with streams anywhere.

use std::collections::{BTreeSet, HashSet};
use std::io::{self, Read};
use std::sync::Arc;

use zstd::bulk::Decompressor;

use crate::chain::needs_base;
use crate::check::{CheckLevel, CheckReport};
use crate::chunk::{self, ChunkRecord, ChunkedStream};
use crate::compress::Pool;
use crate::cursors::{self, Cursors};
use crate::error::ArchiveError;
use crate::feature::Features;
use crate::frame::{FrameBuilder, Payload, overhead_bytes};
use crate::head::VolumeHead;
use crate::ids::{BackupId, ContentId, SetId, hex};
use crate::kind::RecordKind;
use crate::layout;
use crate::manifest::{BackupHeader, BaseReference, FORMAT_VERSION, LogRange, Manifest, Totals};
use crate::names;
use crate::outline::{EncodedPart, MailboxOutline, OutlineEncoder};
use crate::read_back::{Found, ReadBack};
use crate::record::{FLAG_LAST, PAYLOAD_SIZE_MAX};
use crate::recording::{Recording, Waiting, Written};
use crate::seal::Encryption;
use crate::set_file::{SetFile, write};
use crate::target::{Target, read_small};
use crate::verify;
use crate::volume::{Note, VolumeOptions, VolumeWriter};

/// Contents with one owner are gathered into frames of this size.
const FRAME_SIZE_TARGET: usize = 256 << 10;
/// Contents with several owners are gathered into frames of this size, so that reading one
/// mailbox does not read much of others.
const SHARED_FRAME_SIZE_TARGET: usize = 32 << 10;
/// A content from this size on has a frame to itself.
const OWN_FRAME_SIZE: usize = 64 << 10;
/// Tries to find an id whose folder is free.
const ATTEMPTS: u32 = 1000;

/// How a backup is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriterOptions {
    /// Level of zstd. The default is 1; 3 makes text a little smaller and takes longer.
    pub zstd_level: i32,
    /// Largest size of a volume; more than 1 GiB counts as 1 GiB, as do the volumes after the first
    /// 8192. A record that is larger gets a volume of its own. Each volume is read back while the
    /// next one is written.
    pub volume_bytes: u64,
    /// Threads that compress; 0 compresses on the caller's. With two or more of them another one
    /// writes, and one more finishes volumes and reads them back; with fewer the caller's does so,
    /// and volumes are read back after the last one is written.
    pub threads: usize,
    /// Whether each volume gets parity beside it: one part in sixteen more, from which two lost
    /// runs of 64 KiB in each 2 MiB come back. Of no effect in a pipe and in a bucket.
    pub parity: bool,
    /// Whether the store's catalog will be in it, with every content that the catalog names:
    /// archived log can follow such a backup. Only for one that holds everything.
    pub catalog: bool,
    /// For whom everything is encrypted; nobody if there is none.
    pub encryption: Option<Encryption>,
    /// Whether all volumes are read again and checked before the backup counts as complete.
    pub verify: bool,
}

impl Default for WriterOptions {
    fn default() -> WriterOptions {
        WriterOptions {
            zstd_level: 1,
            volume_bytes: 64 << 20,
            threads: 2,
            parity: false,
            catalog: false,
            encryption: None,
            verify: true,
        }
    }
}

/// A backup being written.
///
/// Dropped before [`BackupWriter::finish`], it leaves an incomplete backup. It keeps about
/// 40 MiB in memory, or what the largest content takes; about 20 bytes for each content that
/// outlines name and that was not handed over yet; and the index of the volume being written.
pub struct BackupWriter {
    target: Arc<dyn Target>,
    head: VolumeHead,
    base: Option<BaseReference>,
    folder: String,
    recording: Recording,
    pool: Pool,
    /// For contents that come compressed; made for the first of them.
    decompressor: Option<Decompressor<'static>>,
    single: FrameBuilder,
    shared: FrameBuilder,
    outline: Option<OutlineEncoder>,
    /// Prefixes of contents that outlines name and that were not handed over.
    expected: HashSet<u64>,
    streams: BTreeSet<String>,
    /// The catalog on its way.
    catalog: Option<ChunkedStream>,
    absent: Vec<ContentId>,
    totals: Totals,
    failed: bool,
}

impl BackupWriter {
    /// Begins a backup that holds everything, in the set at `target`, which is made if there is
    /// none.
    ///
    /// The id follows from `header` and from which folders are there; whatever was written
    /// before, finished or not, is left as it is.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::OtherStore`], [`ArchiveError::MustEncrypt`],
    /// [`ArchiveError::UnknownFeature`] and [`ArchiveError::FutureVersion`] if the set is not for
    /// this writer,
    /// [`ArchiveError::Misuse`] for a kind that holds changes alone, and the target's errors.
    pub fn begin(
        target: Arc<dyn Target>,
        header: BackupHeader,
        options: WriterOptions,
    ) -> Result<BackupWriter, ArchiveError> {
        BackupWriter::begin_upon(target, header, None, options)
    }

    /// Begins a backup that holds what changed since `base`. Kinds that hold everything have none.
    ///
    /// # Errors
    ///
    /// As [`BackupWriter::begin`]; [`ArchiveError::Misuse`] also if kind and base do not fit.
    pub fn begin_upon(
        target: Arc<dyn Target>,
        header: BackupHeader,
        base: Option<BaseReference>,
        options: WriterOptions,
    ) -> Result<BackupWriter, ArchiveError> {
        if needs_base(header.kind) != base.is_some() {
            return Err(misuse("a backup has a base if it holds changes alone, and only then"));
        }
        if options.catalog && base.is_some() {
            return Err(misuse("a backup of changes has no catalog: it would not be whole"));
        }
        let parity = options.parity && target.takes_parity();
        let options = WriterOptions { parity, ..options };
        let set = SetFile::read_or_make(&*target, &header, options.encryption.is_some())?;
        let features = Features::default();
        let features = if base.is_some() { features.with_chain() } else { features };
        let envelope = options.encryption.as_ref().map(Encryption::envelope).transpose()?;
        let features = if envelope.is_some() { features.with_age() } else { features };
        let features = if options.parity { features.with_parity() } else { features };
        let features = if options.catalog { features.with_catalog() } else { features };
        let head = VolumeHead {
            format: FORMAT_VERSION,
            features,
            set_id: set.set_id,
            backup_id: BackupId([0; 8]),
            volume: 0,
            header,
            envelope,
        };
        let (head, folder, volumes) = claim(&target, head, &options)?;
        let alongside = options.threads > 1;
        let read_back = (options.verify && target.reads_back())
            .then(|| ReadBack::new(Arc::clone(&target), folder.clone(), head.clone(), alongside));
        let recording = Recording::begin(volumes, read_back, alongside)?;
        Ok(BackupWriter {
            target,
            head,
            base,
            folder,
            recording,
            pool: Pool::start(options.threads, options.zstd_level),
            decompressor: None,
            single: FrameBuilder::default(),
            shared: FrameBuilder::default(),
            outline: None,
            expected: HashSet::new(),
            streams: BTreeSet::new(),
            catalog: None,
            absent: Vec::new(),
            totals: Totals::default(),
            failed: false,
        })
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> BackupId {
        self.head.backup_id
    }

    /// Adds a mailbox's outline and returns the mailbox's number, 0 for the first. All outlines
    /// come before all contents.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Misuse`] if a content was added before, and the target's errors. After any
    /// error but `Misuse` the backup is abandoned.
    pub fn outline(&mut self, outline: &MailboxOutline) -> Result<u32, ArchiveError> {
        self.outline_part(outline, false)
    }

    /// Adds a part of a mailbox's outline; `more` says that another part of it comes next, with
    /// the same name. A part that begins with the folder in which the part before ended goes on
    /// with that folder. So a mailbox of any size is outlined in bounded memory.
    ///
    /// # Errors
    ///
    /// As [`BackupWriter::outline`]; `Misuse` also if another mailbox was to be continued.
    pub fn outline_part(
        &mut self,
        outline: &MailboxOutline,
        more: bool,
    ) -> Result<u32, ArchiveError> {
        if self.totals.contents > 0 {
            return Err(misuse("an outline comes after a content"));
        }
        let open = self.outline.as_ref();
        if open.is_some_and(|open| open.name() != outline.name) {
            return Err(misuse("an outline comes before the one before it is finished"));
        }
        self.guarded(|writer| writer.add_outline(outline, more))
    }

    /// Adds a content, held by the mailboxes with the numbers `owners`. Each content is handed
    /// over once.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::WrongContent`] if `bytes` do not hash to `id`, [`ArchiveError::TooLarge`],
    /// [`ArchiveError::Misuse`] if an outline is not finished, and the target's errors. After any
    /// error but `Misuse` the backup is abandoned.
    pub fn content(
        &mut self,
        id: ContentId,
        owners: &[u32],
        bytes: &[u8],
    ) -> Result<(), ArchiveError> {
        if self.outline.is_some() {
            return Err(misuse("a content comes before the outline before it is finished"));
        }
        self.guarded(|writer| writer.add_content(id, owners, bytes, None))
    }

    /// The same for a content of `size_bytes` that is compressed already: `zstd_frame` is kept as
    /// it is. It is decompressed to see that it has its hash.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::BadFrame`] if it does not decompress to as many bytes, and as
    /// [`BackupWriter::content`].
    pub fn compressed_content(
        &mut self,
        id: ContentId,
        owners: &[u32],
        size_bytes: usize,
        zstd_frame: &[u8],
    ) -> Result<(), ArchiveError> {
        if self.outline.is_some() {
            return Err(misuse("a content comes before the outline before it is finished"));
        }
        self.guarded(|writer| {
            let bytes = writer.decompressed(id, size_bytes, zstd_frame)?;
            writer.add_content(id, owners, &bytes, Some(zstd_frame))
        })
    }

    fn decompressed(
        &mut self,
        id: ContentId,
        size_bytes: usize,
        zstd_frame: &[u8],
    ) -> Result<Vec<u8>, ArchiveError> {
        if size_bytes > PAYLOAD_SIZE_MAX as usize {
            let (what, limit) = (format!("content {id}"), u64::from(PAYLOAD_SIZE_MAX));
            return Err(ArchiveError::TooLarge { what, bytes: size_bytes as u64, limit });
        }
        if self.decompressor.is_none() {
            self.decompressor = Decompressor::new().ok();
        }
        let decompressor = self.decompressor.as_mut();
        let bytes = decompressor.and_then(|one| one.decompress(zstd_frame, size_bytes).ok());
        bytes.filter(|bytes| bytes.len() == size_bytes).ok_or(ArchiveError::BadFrame { id })
    }

    /// States that the store cannot hand over a content that outlines name: the backup can be
    /// finished without it, and its manifest names it.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Misuse`] if no outline names it or it was handed over.
    pub fn absent(&mut self, id: ContentId) -> Result<(), ArchiveError> {
        if !self.expected.remove(&id.prefix()) {
            return Err(misuse("a content is stated absent that is not expected"));
        }
        self.absent.push(id);
        Ok(())
    }

    /// States that a content that outlines name is in what this backup builds upon.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Misuse`] if the backup holds everything.
    pub fn in_base(&mut self, id: ContentId) -> Result<(), ArchiveError> {
        if self.base.is_none() {
            return Err(misuse("a content is stated to be in a base, and there is none"));
        }
        self.expected.remove(&id.prefix());
        Ok(())
    }

    /// Adds how far the backup shows each mailbox. Backups without it cannot be built upon, and
    /// those that hold changes alone cannot be read without it.
    ///
    /// # Errors
    ///
    /// As [`BackupWriter::stream`].
    pub fn cursors(&mut self, cursors: &Cursors) -> Result<(), ArchiveError> {
        self.stream(cursors::STREAM, &mut cursors.encode().as_slice()).map(|_| ())
    }

    /// Adds some of the store's catalog, as the options said: with all of it, archived log can
    /// follow the backup.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Misuse`] if the options did not say so; the target's errors.
    pub fn catalog(&mut self, rows: &[u8]) -> Result<(), ArchiveError> {
        if !self.head.features.has_catalog() {
            return Err(misuse("a catalog comes that the backup's features do not name"));
        }
        self.streams.insert(names::CATALOG.to_owned());
        let mut catalog = self.catalog.take().unwrap_or_else(|| ChunkedStream::new(names::CATALOG));
        let put = self.guarded(|writer| catalog.push(rows, &mut |record| writer.put_chunk(record)));
        self.catalog = Some(catalog);
        put
    }

    /// The set that it is written into.
    #[must_use]
    pub fn set_id(&self) -> SetId {
        self.head.set_id
    }

    /// Adds all that `source` gives as the stream `name` and returns how many bytes that was.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Misuse`] if there is such a stream already or the name is empty or longer
    /// than 1024 bytes, [`ArchiveError::Target`] if `source` fails, and the target's errors.
    pub fn stream(&mut self, name: &str, source: &mut dyn Read) -> Result<u64, ArchiveError> {
        if name.is_empty() || name.len() > chunk::NAME_SIZE_MAX || self.streams.contains(name) {
            return Err(misuse("a stream's name is empty, too long, or there already"));
        }
        self.guarded(|writer| writer.add_stream(name, source))
    }

    /// Completes the backup: writes what is left, reads all volumes again and checks every hash,
    /// keeps the report of that under `verify/`, and writes the manifest last. What goes into a
    /// pipe cannot be read again; its reader checks it.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::ContentsMissing`] if a content that outlines name was neither handed over
    /// nor stated absent, [`ArchiveError::NotVerified`] if the volumes do not read back, and the
    /// target's errors. The backup stays incomplete then, except that it may be complete after an
    /// error in writing the manifest itself.
    pub fn finish(mut self) -> Result<Manifest, ArchiveError> {
        if self.failed {
            return Err(ArchiveError::Abandoned);
        }
        if self.outline.is_some() {
            return Err(misuse("the last outline is not finished"));
        }
        if self.base.is_some() && !self.streams.contains(cursors::STREAM) {
            return Err(misuse("a backup of changes does not say which mailboxes there are"));
        }
        if self.head.features.has_catalog() && !self.streams.contains(names::CATALOG) {
            return Err(misuse("the catalog that was announced did not come"));
        }
        if !self.expected.is_empty() {
            return Err(ArchiveError::ContentsMissing { count: self.expected.len() as u64 });
        }
        if let Some(catalog) = self.catalog.take() {
            catalog.finish(&mut |record| self.put_chunk(record))?;
        }
        self.flush(false)?;
        self.flush(true)?;
        let Written { volumes, raw_bytes, found } = self.recording.finish()?;
        let stored_bytes = volumes.iter().map(|volume| volume.size_bytes).sum();
        let streams = self.streams.len() as u64;
        let totals = Totals { streams, raw_bytes, stored_bytes, ..self.totals };
        let header = self.head.header.clone();
        let manifest = Manifest {
            format: FORMAT_VERSION,
            features: self.head.features,
            envelope: self.head.envelope,
            set_id: self.head.set_id,
            backup_id: self.head.backup_id,
            base: self.base,
            log_required: LogRange { begin: header.lsn_begin, end: header.lsn_end },
            header,
            totals,
            absent: self.absent,
            root: layout::root(&volumes),
            volumes,
        };
        close(&*self.target, &self.folder, &manifest, found)?;
        Ok(manifest)
    }

    /// Runs `step`; an error abandons the backup.
    fn guarded<T>(
        &mut self,
        step: impl FnOnce(&mut BackupWriter) -> Result<T, ArchiveError>,
    ) -> Result<T, ArchiveError> {
        if self.failed {
            return Err(ArchiveError::Abandoned);
        }
        let done = step(self);
        self.failed = done.is_err();
        done
    }

    fn add_outline(&mut self, outline: &MailboxOutline, more: bool) -> Result<u32, ArchiveError> {
        let mut encoder = match self.outline.take() {
            Some(encoder) => encoder,
            None => {
                let number = u32::try_from(self.totals.mailboxes).map_err(|_| {
                    let bytes = self.totals.mailboxes;
                    let what = "the number of mailboxes".to_owned();
                    ArchiveError::TooLarge { what, bytes, limit: u64::from(u32::MAX) }
                })?;
                self.totals.mailboxes += 1;
                OutlineEncoder::new(number, outline)
            }
        };
        for message in outline.folders.iter().flat_map(|folder| &folder.messages) {
            self.expected.insert(message.content.prefix());
        }
        let number = encoder.mailbox();
        encoder.add(outline, &mut |part| self.put_outline(part))?;
        if more {
            self.outline = Some(encoder);
        } else {
            self.put_outline(encoder.finish())?;
        }
        Ok(number)
    }

    fn put_outline(&mut self, encoded: EncodedPart) -> Result<(), ArchiveError> {
        let EncodedPart { payload, mailbox, part, last, messages, name } = encoded;
        self.totals.outline_records += 1;
        self.totals.messages += u64::from(messages);
        let note = Note::Outline { mailbox, part, last, messages, name };
        self.put(RecordKind::Outline, 0, payload, note)
    }

    fn add_content(
        &mut self,
        id: ContentId,
        owners: &[u32],
        bytes: &[u8],
        zstd_frame: Option<&[u8]>,
    ) -> Result<(), ArchiveError> {
        let found = ContentId::of(bytes);
        if found != id {
            return Err(ArchiveError::WrongContent { id, found });
        }
        let size = bytes.len() as u64 + overhead_bytes(owners.len());
        if size > u64::from(PAYLOAD_SIZE_MAX) {
            let (what, limit) = (format!("content {id}"), u64::from(PAYLOAD_SIZE_MAX));
            return Err(ArchiveError::TooLarge { what, bytes: size, limit });
        }
        self.expected.remove(&id.prefix());
        self.totals.contents += 1;
        self.totals.content_bytes += bytes.len() as u64;
        if bytes.len() >= OWN_FRAME_SIZE {
            let mut own = FrameBuilder::default();
            own.push(id, owners, bytes, zstd_frame);
            return self.put_frame(&mut own);
        }
        let is_shared = owners.len() > 1;
        let (frame, target) = match is_shared {
            false => (&mut self.single, FRAME_SIZE_TARGET),
            true => (&mut self.shared, SHARED_FRAME_SIZE_TARGET),
        };
        frame.push(id, owners, bytes, zstd_frame);
        if frame.body_bytes() >= target {
            self.flush(is_shared)?;
        }
        Ok(())
    }

    fn add_stream(&mut self, name: &str, source: &mut dyn Read) -> Result<u64, ArchiveError> {
        self.streams.insert(name.to_owned());
        let mut stream = ChunkedStream::new(name);
        loop {
            let mut bytes = Vec::new();
            (&mut *source)
                .take(chunk::CHUNK_SIZE as u64)
                .read_to_end(&mut bytes)
                .map_err(ArchiveError::target(name, "read the stream to be kept"))?;
            if bytes.is_empty() {
                return stream.finish(&mut |record| self.put_chunk(record));
            }
            stream.push(&bytes, &mut |record| self.put_chunk(record))?;
        }
    }

    fn put_chunk(&mut self, record: ChunkRecord) -> Result<(), ArchiveError> {
        let ChunkRecord { name, chunk, last, payload } = record;
        let flags = if last { FLAG_LAST } else { 0 };
        self.put(RecordKind::Stream, flags, payload, Note::Chunk { name, chunk, last })
    }

    fn flush(&mut self, is_shared: bool) -> Result<(), ArchiveError> {
        let frame = if is_shared { &mut self.shared } else { &mut self.single };
        let mut frame = std::mem::take(frame);
        if frame.is_empty() { Ok(()) } else { self.put_frame(&mut frame) }
    }

    fn put_frame(&mut self, frame: &mut FrameBuilder) -> Result<(), ArchiveError> {
        let (payload, prefixes) = frame.take();
        self.put(RecordKind::Data, 0, payload, Note::Contents(prefixes))
    }

    /// Has a payload compressed; it is written when those before it are.
    fn put(
        &mut self,
        kind: RecordKind,
        flags: u8,
        payload: impl Into<Payload>,
        note: Note,
    ) -> Result<(), ArchiveError> {
        let payload = payload.into();
        let raw_len = payload.raw.len();
        let packing = self.pool.pack(payload);
        self.recording.put(Waiting { kind, flags, raw_len, packing, note })
    }
}

/// Keeps the report of reading the volumes back, if they were, and writes the manifest.
fn close(
    target: &dyn Target,
    folder: &str,
    manifest: &Manifest,
    found: Option<Found>,
) -> Result<(), ArchiveError> {
    if let Some(found) = found {
        let report = report(target, folder, manifest, found)?;
        let BackupHeader { wall_us, account, .. } = &manifest.header;
        let name = verify::report_name(*wall_us, &report);
        write(target, &name, &verify::encode(&report, *wall_us, account)?)?;
    }
    let name = format!("{folder}/{}", names::MANIFEST);
    let bytes = manifest.encode()?;
    write(target, &name, &bytes)?;
    if !target.reads_back() {
        return Ok(());
    }
    let read = read_small(target, &name, bytes.len() as u64);
    if read.map_err(ArchiveError::target(&name, "read it"))? != bytes {
        return Err(ArchiveError::file_damaged(&name, "it does not read back as written"));
    }
    Ok(())
}

/// What is kept of reading back.
fn report(
    target: &dyn Target,
    folder: &str,
    manifest: &Manifest,
    found: Found,
) -> Result<CheckReport, ArchiveError> {
    let foreign = verify::foreign_files(target, folder, manifest);
    if let Some(first) = found.damage.into_iter().chain(foreign).next() {
        return Err(ArchiveError::NotVerified { first });
    }
    let (bytes, records) = (found.bytes, found.records);
    let absent = manifest.absent.len() as u64;
    let report = CheckReport::empty(manifest.backup_id, CheckLevel::Hashes);
    Ok(CheckReport { bytes, records, absent, ..report })
}

fn misuse(what: &str) -> ArchiveError {
    ArchiveError::Misuse { what: what.to_owned() }
}

/// Finds an id whose folder is free and begins the first volume in it.
fn claim(
    target: &Arc<dyn Target>,
    mut head: VolumeHead,
    options: &WriterOptions,
) -> Result<(VolumeHead, String, VolumeWriter), ArchiveError> {
    let WriterOptions { volume_bytes, parity, encryption, .. } = options.clone();
    let how = VolumeOptions { volume_bytes, parity, encryption };
    let taken = target.list(names::BASE).map_err(ArchiveError::target(names::BASE, "list it"))?;
    for attempt in 0..ATTEMPTS {
        head.backup_id = backup_id(&head, attempt);
        let name = names::folder_name(head.header.lsn_end, head.header.kind, head.backup_id);
        if taken.contains(&name) {
            continue;
        }
        let folder = format!("{}/{name}", names::BASE);
        let claimed = target.claim(&folder).map_err(ArchiveError::target(&folder, "claim it"));
        let begun = claimed.and_then(|()| {
            let (folder, head) = (folder.clone(), head.clone());
            VolumeWriter::begin(Arc::clone(target), folder, head, &how)
        });
        match begun {
            // Somebody with the same header came in between.
            Err(ArchiveError::Busy { .. }) => {}
            Err(ArchiveError::Target { source, .. })
                if source.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
            Ok(volumes) => return Ok((head, folder, volumes)),
        }
    }
    Err(ArchiveError::Busy { file: names::BASE.to_owned() })
}

fn backup_id(head: &VolumeHead, attempt: u32) -> BackupId {
    let mut hasher = blake3::Hasher::new();
    let header = &head.header;
    hasher.update(b"rehome backup").update(&head.set_id.0).update(&header.store_id.0);
    hasher.update(&header.store_epoch.to_le_bytes());
    hasher.update(&header.lsn_end.to_u64().to_le_bytes());
    hasher.update(&header.wall_us.to_le_bytes()).update(&attempt.to_le_bytes());
    hasher.update(hex(header.account.as_bytes()).as_bytes());
    let mut id = [0; 8];
    id.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    BackupId(id)
}
