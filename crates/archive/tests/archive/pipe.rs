//! A pipe does what every target has to do, and says when it is cut or damaged.

use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use rehome_archive::{
    ArchiveError, BackupHeader, CheckLevel, ContentId, Manifest, PipeReader, PipeTarget, Set,
    Target, WriterOptions, check_pipe, unpack_pipe,
};

use crate::fixture::{Truth, everything, header, options, read_all, truth, write};
use crate::memory::Memory;
use crate::targets::{self, Place};

/// The far end of a pipe: what came out of it.
#[derive(Clone, Default)]
struct Bytes(Arc<Mutex<Vec<u8>>>);

impl Write for Bytes {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Pipes, each of which is unpacked into one set when its writer is done.
#[derive(Default)]
struct Pipes {
    open: Mutex<Vec<(Arc<PipeTarget>, Bytes)>>,
    set: Arc<Memory>,
}

impl Place for Pipes {
    fn writer(&self) -> Arc<dyn Target> {
        let bytes = Bytes::default();
        let target = Arc::new(PipeTarget::new(bytes.clone()));
        self.open.lock().unwrap().push((Arc::clone(&target), bytes));
        target
    }

    fn written(&self) {
        for (target, bytes) in self.open.lock().unwrap().drain(..) {
            let is_whole = target.close().is_ok();
            let bytes = bytes.0.lock().unwrap().clone();
            let unpacked = unpack_pipe(bytes.as_slice(), &*self.set, &mut |_| {});
            assert_eq!(unpacked.is_ok(), is_whole, "{:?}", unpacked.err());
        }
    }

    fn reader(&self) -> Arc<dyn Target> {
        self.set.clone()
    }
}

#[test]
fn a_backup_in_many_volumes_comes_back() {
    targets::a_backup_in_many_volumes_comes_back(&Pipes::default());
}

#[test]
fn a_large_backup_comes_back() {
    targets::a_large_backup_comes_back(&Pipes::default());
}

#[test]
fn a_writer_that_stops_leaves_nothing_that_counts() {
    targets::a_writer_that_stops_leaves_nothing_that_counts(&Pipes::default());
}

#[test]
fn one_mailbox_comes_back_without_the_others() {
    targets::one_mailbox_comes_back_without_the_others(&Pipes::default());
}

/// What a pipe carries when `truth` is backed up into it.
fn piped(truth: &Truth, header: BackupHeader, volume_bytes: u64) -> (Vec<u8>, Manifest) {
    let bytes = Bytes::default();
    let pipe = Arc::new(PipeTarget::new(bytes.clone()));
    let target: Arc<dyn Target> = pipe.clone();
    let manifest = write(&target, truth, header, options(volume_bytes)).unwrap();
    pipe.close().unwrap();
    let bytes = bytes.0.lock().unwrap().clone();
    (bytes, manifest)
}

/// Reads a pipe as a restore does. Whatever is handed out must be what was written.
#[track_caller]
fn read(bytes: &[u8], truth: &Truth, context: &str) -> Result<Manifest, ArchiveError> {
    let bodies: HashMap<ContentId, &Vec<u8>> =
        truth.contents.iter().map(|(id, _, bytes)| (*id, bytes)).collect();
    let (mut mailboxes, mut contents) = (0, 0);
    let mut reader = PipeReader::open(bytes)?;
    while let Some((number, outline)) = reader.next_outline()? {
        assert_eq!(outline, truth.mailboxes[number as usize], "{context}");
        mailboxes += 1;
    }
    while let Some(content) = reader.next_content()? {
        assert_eq!(Some(&&content.bytes), bodies.get(&content.id), "{context}");
        contents += 1;
    }
    let manifest = reader.finish()?;
    assert_eq!((mailboxes, contents), (truth.mailboxes.len(), truth.contents.len()), "{context}");
    Ok(manifest)
}

/// Damage is noticed by every way of reading.
#[track_caller]
fn check_noticed(bytes: &[u8], truth: &Truth, context: &str) {
    assert!(read(bytes, truth, context).is_err(), "{context}: a restore notices nothing");
    for level in [CheckLevel::Hashes, CheckLevel::Deep] {
        let report = check_pipe(bytes, level, &mut |_| {});
        let noticed = !report.is_ok_and(|report| report.is_whole());
        assert!(noticed, "{context}: a check at {level:?} notices nothing");
    }
    let memory = Arc::new(Memory::default());
    let unpacked = unpack_pipe(bytes, &*memory, &mut |_| {});
    assert!(unpacked.is_err(), "{context}: unpacking notices nothing");
    assert!(!memory.names().iter().any(|name| name.ends_with("MANIFEST")), "{context}");
}

#[test]
fn a_pipe_has_no_parity_and_takes_nothing_away() {
    let (truth, bytes) = (truth(2, 5, 700), Bytes::default());
    let pipe = Arc::new(PipeTarget::new(bytes.clone()));
    let target: Arc<dyn Target> = pipe.clone();
    let wanted = WriterOptions { parity: true, ..options(8 << 10) };
    let manifest = write(&target, &truth, header(), wanted).unwrap();
    pipe.close().unwrap();
    let bytes = bytes.0.lock().unwrap().clone();
    assert_eq!(read(&bytes, &truth, "").unwrap(), manifest);
    assert_eq!(target.remove("SET").unwrap_err().kind(), io::ErrorKind::Unsupported);
}

#[test]
fn a_pipe_is_read_forward_and_checked_without_a_set() {
    let truth = truth(3, 20, 700);
    let (bytes, manifest) = piped(&truth, header(), 8 << 10);
    assert!(manifest.volumes.len() > 3);
    assert_eq!(read(&bytes, &truth, "").unwrap(), manifest);
    for level in [CheckLevel::Structure, CheckLevel::Hashes, CheckLevel::Deep] {
        let report = check_pipe(bytes.as_slice(), level, &mut |_| {}).unwrap();
        assert!(report.is_whole(), "{report:?}");
        let records: u32 = manifest.volumes.iter().map(|volume| volume.records).sum();
        assert_eq!(report.records, u64::from(records));
        let contents = if level == CheckLevel::Deep { manifest.totals.contents } else { 0 };
        assert_eq!(report.contents, contents);
    }
}

#[test]
fn the_files_in_a_pipe_are_those_of_a_folder() {
    let truth = truth(2, 10, 500);
    let (memory, _) = crate::memory::archive(&truth, 8 << 10);
    let unpacked = Arc::new(Memory::default());
    let (bytes, _) = piped(&truth, header(), 8 << 10);
    unpack_pipe(bytes.as_slice(), &*unpacked, &mut |_| {}).unwrap();
    assert_eq!(unpacked.names(), memory.names());
    for name in memory.names() {
        assert!(unpacked.get(&name) == memory.get(&name), "{name}");
    }
}

#[test]
fn a_pipe_that_is_cut_anywhere_is_found_out() {
    let truth = truth(1, 2, 60);
    let (bytes, _) = piped(&truth, header(), 1 << 20);
    for cut in 0..bytes.len() {
        let context = format!("cut at {cut} of {}", bytes.len());
        check_noticed(&bytes[..cut], &truth, &context);
        let read = PipeReader::open(&bytes[..cut]).and_then(PipeReader::finish);
        let said =
            matches!(read, Err(ArchiveError::PipeCut { offset, .. }) if offset == cut as u64);
        assert!(said, "{context}: {:?}", read.err());
    }
}

#[test]
fn every_flipped_byte_of_a_pipe_is_noticed_or_changes_nothing() {
    let truth = truth(1, 2, 60);
    let (bytes, _) = piped(&truth, header(), 1 << 20);
    let (mut noticed, mut harmless) = (0, 0);
    for at in 0..bytes.len() {
        let mut bad = bytes.clone();
        bad[at] ^= 1 << (at % 8);
        let context = format!("byte {at}");
        if read(&bad, &truth, &context).is_ok() {
            // The padding of a section that carries no record.
            harmless += 1;
            continue;
        }
        check_noticed(&bad, &truth, &context);
        noticed += 1;
    }
    assert!(harmless < 64 * 20 && noticed > bytes.len() / 2, "{noticed}, {harmless}");
}

#[test]
fn damage_to_a_record_costs_that_record_and_the_check_goes_on() {
    let truth = truth(2, 10, 500);
    let (bytes, _) = piped(&truth, header(), 4 << 10);
    let ids = [b"user000", b"user001"]
        .map(|name| bytes.windows(name.len()).position(|window| window == name).unwrap());
    let mut bad = bytes.clone();
    for at in ids {
        bad[at] ^= 1;
    }
    let report = check_pipe(bad.as_slice(), CheckLevel::Hashes, &mut |_| {}).unwrap();
    assert_eq!(report.damage.len(), 2, "{report:?}");
}

#[test]
fn what_was_unpacked_in_part_is_completed_by_the_same_pipe_and_by_no_other() {
    let truth = truth(2, 10, 500);
    let (bytes, manifest) = piped(&truth, header(), 4 << 10);
    let memory = Arc::new(Memory::default());
    for part in [3, 2] {
        assert!(unpack_pipe(&bytes[..bytes.len() / part], &*memory, &mut |_| {}).is_err());
    }
    for _again in 0..2 {
        unpack_pipe(bytes.as_slice(), &*memory, &mut |_| {}).unwrap();
    }
    let set = Set::open(memory.clone()).unwrap();
    let backup = set.backup(manifest.backup_id).unwrap();
    assert_eq!(read_all(&backup, &truth, ""), everything(&truth));
    let other = BackupHeader { wall_us: 5, ..header() };
    let (other, _) = piped(&truth, other, 4 << 10);
    let refused = unpack_pipe(other.as_slice(), &*memory, &mut |_| {});
    assert!(matches!(refused, Err(ArchiveError::OtherSet { .. })));
    let (name, volume) = ("v00000.mbar", 100);
    let name = memory.names().into_iter().find(|found| found.ends_with(name)).unwrap();
    let mut changed = memory.get(&name);
    changed[volume] ^= 1;
    let memory = memory.with(&name, Some(changed));
    let refused = unpack_pipe(bytes.as_slice(), &*memory, &mut |_| {});
    assert!(matches!(refused, Err(ArchiveError::Damaged(_))));
}

#[test]
fn names_that_lead_out_of_the_set_are_not_written() {
    let truth = truth(1, 3, 120);
    let (_, manifest) = crate::memory::archive(&truth, 1 << 20);
    let bytes = Bytes::default();
    let pipe = PipeTarget::new(bytes.clone());
    let good = &crate::memory::archive(&truth, 1 << 20).0;
    targets::put(&pipe, "SET", &good.get("SET")).unwrap();
    let folder =
        format!("base/{:016x}-full-{}", manifest.header.lsn_end.to_u64(), manifest.backup_id);
    for name in
        ["../x", "/etc/x", "x", "base/../x", "base/x/y", &format!("{folder}/../v00000.mbar")]
    {
        targets::put(&pipe, name, b"bad").unwrap();
    }
    pipe.close().unwrap();
    let bytes = bytes.0.lock().unwrap().clone();
    let memory = Arc::new(Memory::default());
    assert!(unpack_pipe(bytes.as_slice(), &*memory, &mut |_| {}).is_err());
    assert_eq!(memory.names(), ["SET"]);
}

#[test]
fn other_bytes_are_no_pipe_and_a_length_that_lies_takes_no_memory() {
    for bytes in [&b"From alice"[..], &[0; 4096]] {
        let opened = PipeReader::open(bytes).err();
        let expected = matches!(opened, Some(ArchiveError::NoPipe | ArchiveError::PipeCut { .. }));
        assert!(expected, "{opened:?}");
    }
    let bytes = Bytes::default();
    let pipe = PipeTarget::new(bytes.clone());
    let mut record = b"MBARREC1".to_vec();
    record.resize(64, 0);
    record[28..32].copy_from_slice(&(512_u32 << 20).to_le_bytes());
    let good = &crate::memory::archive(&truth(1, 1, 10), 1 << 20).0;
    targets::put(&pipe, "SET", &good.get("SET")).unwrap();
    let name = good.names().into_iter().find(|name| name.ends_with(".mbar")).unwrap();
    targets::put(&pipe, &name, &record).unwrap();
    pipe.close().unwrap();
    let bytes = bytes.0.lock().unwrap().clone();
    let report = check_pipe(bytes.as_slice(), CheckLevel::Deep, &mut |_| {}).unwrap();
    assert!(!report.is_whole());
}

#[test]
fn a_sink_that_fails_fails_the_backup_and_takes_nothing_more() {
    struct Full(usize);
    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::BrokenPipe)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let truth = truth(2, 10, 5000);
    let (bytes, _) = piped(&truth, header(), 8 << 10);
    for room in (0..bytes.len()).step_by(997) {
        let pipe = Arc::new(PipeTarget::new(Full(room)));
        let target: Arc<dyn Target> = pipe.clone();
        let written = write(&target, &truth, header(), options(8 << 10));
        let closed = pipe.close();
        assert!(written.is_err() || closed.is_err(), "room for {room} of {}", bytes.len());
        assert!(pipe.create("more").is_err(), "room for {room}");
    }
}
