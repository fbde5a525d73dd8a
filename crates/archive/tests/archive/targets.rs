//! What every target has to do: the same test bodies for a folder, a pipe and a bucket.

use std::collections::HashSet;
use std::io;
use std::sync::Arc;

use rehome_archive::{
    BackupState, BackupWriter, CheckLevel, ContentId, Set, Target, WriterOptions,
};
use rehome_log::Lsn;

use crate::fixture::{Truth, everything, header, options, read_all, text, truth, write};

/// A place that takes backups.
pub(crate) trait Place {
    /// A target for a writer of its own.
    fn writer(&self) -> Arc<dyn Target>;

    /// Called after a writer is done, whether or not it finished its backup.
    fn written(&self) {}

    /// The target from which the set is read.
    fn reader(&self) -> Arc<dyn Target>;
}

/// Backs `truth` up.
fn back_up(place: &dyn Place, truth: &Truth, volume_bytes: u64) {
    write(&place.writer(), truth, header(), options(volume_bytes)).unwrap();
    place.written();
}

/// The set has `expected` complete backups, and each gives back `truth`.
#[track_caller]
fn check(place: &dyn Place, truth: &Truth, expected: usize) {
    let set = Set::open(place.reader()).unwrap();
    let mut complete = 0;
    for info in set.list().unwrap() {
        if info.state == BackupState::Incomplete {
            continue;
        }
        for level in [CheckLevel::Structure, CheckLevel::Hashes, CheckLevel::Deep] {
            let report = set.check(info.id, level, &mut |_| {}).unwrap();
            assert!(report.is_whole() && report.mailboxes.is_empty(), "{report:?}");
        }
        let backup = set.backup(info.id).unwrap();
        assert_eq!(read_all(&backup, truth, ""), everything(truth));
        complete += 1;
    }
    assert_eq!(complete, expected, "complete backups");
}

/// Bytes that do not compress.
pub(crate) fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut random = rehome_log::SplitMix64::new(seed);
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        bytes.extend_from_slice(&random.next_u64().to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// A truth with `count` contents of 3 MiB: the volume that holds them takes several requests.
pub(crate) fn large_truth(count: u64) -> Truth {
    let mut truth = truth(2, 3, 200);
    for seed in 0..count {
        let body = noise(seed, 3 << 20);
        truth.contents.push((ContentId::of(&body), vec![0], body));
    }
    truth.streams.insert("long".to_owned(), text(5, (2 << 20) + 17));
    truth
}

pub(crate) fn a_backup_in_many_volumes_comes_back(place: &dyn Place) {
    let truth = truth(4, 12, 900);
    back_up(place, &truth, 16 << 10);
    check(place, &truth, 1);
}

pub(crate) fn a_large_backup_comes_back(place: &dyn Place) {
    let truth = large_truth(4);
    back_up(place, &truth, 1 << 30);
    check(place, &truth, 1);
}

pub(crate) fn a_writer_that_stops_leaves_nothing_that_counts(place: &dyn Place) {
    // More than a writer keeps in memory before it writes.
    let truth = large_truth(8);
    let mut writer = BackupWriter::begin(place.writer(), header(), options(1 << 30)).unwrap();
    for outline in &truth.mailboxes {
        writer.outline(outline).unwrap();
    }
    for (id, owners, bytes) in &truth.contents {
        writer.content(*id, owners, bytes).unwrap();
    }
    drop(writer);
    place.written();
    check(place, &truth, 0);
    back_up(place, &truth, 8 << 20);
    check(place, &truth, 1);
}

pub(crate) fn one_mailbox_comes_back_without_the_others(place: &dyn Place) {
    let truth = truth(6, 20, 3000);
    back_up(place, &truth, 64 << 10);
    let set = Set::open(place.reader()).unwrap();
    let backup = set.backup(set.latest().unwrap().unwrap().id).unwrap();
    let own = truth.mailboxes[3].folders.iter().flat_map(|folder| &folder.messages);
    let own: HashSet<ContentId> = own.map(|message| message.content).collect();
    let read: HashSet<ContentId> =
        backup.contents_of(own.clone()).map(|content| content.unwrap().id).collect();
    assert_eq!(read, own);
}

pub(crate) fn two_writers_get_two_backups_and_nothing_is_written_twice(place: &dyn Place) {
    let truth = truth(1, 4, 50);
    let targets = [place.writer(), place.writer()];
    let mut writers =
        targets.clone().map(|to| BackupWriter::begin(to, header(), options(1 << 20)).unwrap());
    assert_ne!(writers[0].id(), writers[1].id());
    for writer in &mut writers {
        for (name, bytes) in &truth.streams {
            writer.stream(name, &mut bytes.as_slice()).unwrap();
        }
        writer.outline(&truth.mailboxes[0]).unwrap();
        for (id, owners, bytes) in &truth.contents {
            writer.content(*id, owners, bytes).unwrap();
        }
    }
    for writer in writers {
        writer.finish().unwrap();
    }
    place.written();
    check(place, &truth, 2);
    // Of files with one name the first one stays.
    for len in [100, 12 << 20] {
        let name = format!("verify/{len}");
        let [first, second] = [1, 2].map(|seed| noise(seed, len));
        put(&*targets[0], &name, &first).unwrap();
        let refused = put(&*targets[1], &name, &second).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
        let file = place.reader().open(&name).unwrap();
        let mut there = vec![0; len];
        file.read_at(0, &mut there).unwrap();
        assert!(file.size_bytes() == len as u64 && there == first, "{name}");
    }
}

/// Writes a file.
pub(crate) fn put(target: &dyn Target, name: &str, bytes: &[u8]) -> io::Result<()> {
    let mut file = target.create(name)?;
    file.append(bytes)?;
    file.finish()
}

/// For targets that can take something away: the older of two backups goes, with its parity where
/// the target takes any, and so do the leases.
pub(crate) fn an_expired_backup_goes_and_the_newer_one_stays(place: &dyn Place, has_parity: bool) {
    let truth = truth(2, 20, 700);
    let options = WriterOptions { parity: true, ..options(8 << 10) };
    let mut newer = header();
    newer.lsn_end = Lsn::from_u64(newer.lsn_end.to_u64() + 10);
    for header in [header(), newer] {
        write(&place.writer(), &truth, header, options.clone()).unwrap();
    }
    check(place, &truth, 2);
    let target = place.reader();
    assert_eq!(target.list("parity").unwrap().is_empty(), !has_parity);
    let set = Set::open(place.reader()).unwrap();
    let lease = set.lease("somebody", 0, 1_000_000).unwrap();
    assert!(set.expire(1, "root", 1).is_err(), "while it is read");
    lease.release().unwrap();
    assert_eq!(set.expire(1, "root", 1).unwrap().backups.len(), 1);
    check(place, &truth, 1);
    assert_eq!(target.list("base").unwrap().len(), 1, "nothing is left of the older one");
    assert_eq!(target.list("parity").unwrap().len(), usize::from(has_parity));
    assert_eq!(target.list("lease").unwrap(), Vec::<String>::new());
    let again = target.remove("base/nothing/MANIFEST").unwrap_err();
    assert_eq!(again.kind(), io::ErrorKind::NotFound);
}
