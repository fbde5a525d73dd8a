//! A disk that counts what a store writes by kind of file, and sees its checkpoints.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rehome::parts::log::{Disk, FileId, FileName, OpenMode, RealDisk, SyncKind};
use serde_json::{Value, json};

/// What a file of a store is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileKind {
    Segment,
    Log,
    Catalog,
    Base,
    Other,
}

impl FileKind {
    fn of(name: &FileName) -> FileKind {
        let name = name.as_str();
        match name.split('/').next().unwrap_or_default() {
            "seg" => FileKind::Segment,
            "log" => FileKind::Log,
            "base" => FileKind::Base,
            first if first.starts_with("mail.redb") => FileKind::Catalog,
            _ => FileKind::Other,
        }
    }
}

/// Bytes written so far, by kind of file; the zeros that make log files long are counted apart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) segments: u64,
    pub(super) log: u64,
    pub(super) catalog: u64,
    pub(super) bases: u64,
    pub(super) other: u64,
    pub(super) zeros: u64,
}

impl Written {
    fn add(&mut self, kind: FileKind, bytes: u64) {
        let count = match kind {
            FileKind::Segment => &mut self.segments,
            FileKind::Log => &mut self.log,
            FileKind::Catalog => &mut self.catalog,
            FileKind::Base => &mut self.bases,
            FileKind::Other => &mut self.other,
        };
        *count += bytes;
    }

    pub(super) fn since(&self, before: &Written) -> Written {
        Written {
            segments: self.segments - before.segments,
            log: self.log - before.log,
            catalog: self.catalog - before.catalog,
            bases: self.bases - before.bases,
            other: self.other - before.other,
            zeros: self.zeros - before.zeros,
        }
    }

    pub(super) fn json(&self) -> Value {
        json!({ "segments": self.segments, "log": self.log, "catalog": self.catalog,
            "bases": self.bases, "other": self.other, "zeros": self.zeros })
    }
}

/// When something ran.
pub(super) type Span = (Instant, Instant);

/// Catalog writes farther apart than this do not belong to one flush.
const FLUSH_GAP: Duration = Duration::from_millis(20);
/// Syncs of the catalog closer together than this belong to one checkpoint.
const SYNC_GAP: Duration = Duration::from_millis(200);

/// Checkpoints and bases that have ended, and those under way.
#[derive(Debug, Default)]
pub(super) struct Spans {
    pub(super) checkpoints: Vec<Span>,
    pub(super) bases: Vec<Span>,
    /// First and last of the catalog's writes without a read between them.
    flush: Option<Span>,
    base_begun: Option<Instant>,
}

impl Spans {
    fn catalog_read(&mut self) {
        self.flush = None;
    }

    fn catalog_written(&mut self, begun: Instant, ended: Instant) {
        let flush = self.flush.filter(|flush| begun - flush.1 < FLUSH_GAP);
        self.flush = Some((flush.map_or(begun, |flush| flush.0), ended));
    }

    fn catalog_synced(&mut self, begun: Instant, ended: Instant) {
        let flush = self.flush.take().filter(|flush| begun - flush.1 < FLUSH_GAP);
        let begun = flush.map_or(begun, |flush| flush.0);
        match self.checkpoints.last_mut() {
            Some(last) if begun.saturating_duration_since(last.1) < SYNC_GAP => last.1 = ended,
            _ => self.checkpoints.push((begun, ended)),
        }
    }

    /// Takes out what has ended; a base that is being written is among it, up to now, and will be
    /// again.
    pub(super) fn take(&mut self) -> (Vec<Span>, Vec<Span>) {
        let mut bases = std::mem::take(&mut self.bases);
        bases.extend(self.base_begun.map(|begun| (begun, Instant::now())));
        (std::mem::take(&mut self.checkpoints), bases)
    }
}

#[derive(Debug, Default)]
struct Seen {
    kinds: HashMap<FileId, FileKind>,
    written: Written,
    spans: Spans,
}

/// A folder of the file system that counts by kind of file.
#[derive(Debug)]
pub(super) struct ByFile {
    disk: RealDisk,
    seen: Mutex<Seen>,
}

impl ByFile {
    pub(super) fn new(disk: RealDisk) -> Arc<ByFile> {
        Arc::new(ByFile { disk, seen: Mutex::default() })
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn written(&self) -> Written {
        self.seen().written
    }

    /// Checkpoints and bases since the last call.
    pub(super) fn take_spans(&self) -> (Vec<Span>, Vec<Span>) {
        self.seen().spans.take()
    }

    fn kind(&self, file: FileId) -> FileKind {
        self.seen().kinds.get(&file).copied().unwrap_or(FileKind::Other)
    }
}

/// The thread that writes the catalog; readers on other threads say nothing about a flush.
fn is_applying() -> bool {
    std::thread::current().name() == Some("store-apply")
}

impl Disk for ByFile {
    fn open(&self, name: &FileName, mode: OpenMode) -> io::Result<FileId> {
        let file = self.disk.open(name, mode)?;
        let kind = FileKind::of(name);
        let mut seen = self.seen();
        seen.kinds.insert(file, kind);
        if kind == FileKind::Base && mode.creates() {
            seen.spans.base_begun = Some(Instant::now());
        }
        Ok(file)
    }

    fn close(&self, file: FileId) {
        self.seen().kinds.remove(&file);
        self.disk.close(file);
    }

    fn len(&self, file: FileId) -> io::Result<u64> {
        self.disk.len(file)
    }

    fn read_at(&self, file: FileId, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        if is_applying() && self.kind(file) == FileKind::Catalog {
            self.seen().spans.catalog_read();
        }
        self.disk.read_at(file, offset, buf)
    }

    fn write_at(&self, file: FileId, offset: u64, buf: &[u8]) -> io::Result<()> {
        let begun = Instant::now();
        let written = self.disk.write_at(file, offset, buf);
        let ended = Instant::now();
        let mut seen = self.seen();
        let kind = seen.kinds.get(&file).copied().unwrap_or(FileKind::Other);
        seen.written.add(kind, buf.len() as u64);
        if kind == FileKind::Catalog && is_applying() {
            seen.spans.catalog_written(begun, ended);
        }
        written
    }

    fn sync(&self, file: FileId, what: SyncKind) -> io::Result<()> {
        let begun = Instant::now();
        let synced = self.disk.sync(file, what);
        if is_applying() && self.kind(file) == FileKind::Catalog {
            self.seen().spans.catalog_synced(begun, Instant::now());
        }
        synced
    }

    fn read_ahead(&self, file: FileId, offset: u64, len: u64) {
        self.disk.read_ahead(file, offset, len);
    }

    fn write_behind(&self, file: FileId, offset: u64, len: u64) {
        self.disk.write_behind(file, offset, len);
    }

    fn allocate_zeroed(&self, file: FileId, len: u64) -> io::Result<()> {
        let before = self.disk.len(file)?;
        self.disk.allocate_zeroed(file, len)?;
        self.seen().written.zeros += len.saturating_sub(before);
        Ok(())
    }

    fn set_len(&self, file: FileId, len: u64) -> io::Result<()> {
        self.disk.set_len(file, len)
    }

    fn rename(&self, from: &FileName, to: &FileName) -> io::Result<()> {
        self.disk.rename(from, to)?;
        if FileKind::of(to) == FileKind::Base {
            let spans = &mut self.seen().spans;
            let begun = spans.base_begun.take();
            spans.bases.extend(begun.map(|begun| (begun, Instant::now())));
        }
        Ok(())
    }

    fn remove(&self, name: &FileName) -> io::Result<()> {
        self.disk.remove(name)
    }

    fn list(&self, dir: &FileName) -> io::Result<Vec<String>> {
        self.disk.list(dir)
    }

    fn create_dir(&self, dir: &FileName) -> io::Result<()> {
        self.disk.create_dir(dir)
    }

    fn sync_dir(&self, dir: &FileName) -> io::Result<()> {
        self.disk.sync_dir(dir)
    }

    fn lock(&self, name: &FileName) -> io::Result<FileId> {
        self.disk.lock(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a script of the catalog's calls, `r`ead, `w`rite and `s`ync, each of 1 ms at its time
    /// in milliseconds, and compares the checkpoints.
    #[track_caller]
    fn check(script: &[(char, u64)], expected: &[(u64, u64)]) {
        let zero = Instant::now();
        let at = |ms| zero + Duration::from_millis(ms);
        let mut spans = Spans::default();
        for (call, ms) in script {
            match call {
                'r' => spans.catalog_read(),
                'w' => spans.catalog_written(at(*ms), at(ms + 1)),
                _ => spans.catalog_synced(at(*ms), at(ms + 1)),
            }
        }
        let expected: Vec<Span> = expected.iter().map(|(from, to)| (at(*from), at(*to))).collect();
        assert_eq!(spans.take().0, expected);
    }

    #[test]
    fn a_checkpoint_lasts_from_the_first_write_of_its_flush_to_its_last_sync() {
        check(&[('w', 10), ('w', 20), ('s', 30), ('w', 31), ('s', 32)], &[(10, 33)]);
    }

    #[test]
    fn what_was_written_before_a_read_or_a_pause_is_no_part_of_the_flush() {
        check(&[('w', 10), ('r', 11), ('w', 20), ('s', 30)], &[(20, 31)]);
        check(&[('w', 10), ('w', 60), ('s', 70)], &[(60, 71)]);
    }

    #[test]
    fn syncs_far_apart_are_checkpoints_of_their_own() {
        check(&[('s', 10), ('s', 500)], &[(10, 11), (500, 501)]);
    }

    #[test]
    fn bytes_are_counted_where_they_are_written() {
        let kind = |name: &str| FileKind::of(&FileName::new(name).unwrap());
        let names = ["seg/s0000001f.seg", "log/E1.log", "base/1.cat", "mail.redb", "store.id"];
        assert_eq!(
            names.map(kind),
            [FileKind::Segment, FileKind::Log, FileKind::Base, FileKind::Catalog, FileKind::Other]
        );
    }
}
