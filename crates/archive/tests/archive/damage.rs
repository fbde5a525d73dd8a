//! Every kind of damage is noticed, and nothing wrong is ever given out.

use std::sync::Arc;

use rehome_archive::{ArchiveError, BackupId, CheckLevel, CheckReport};

use crate::fixture::{Read, Truth, everything, header, read_all, truth};
use crate::memory::{Memory, archive};

/// The report of a check at `level`, or the error if the set did not even open.
fn report(
    memory: &Arc<Memory>,
    id: BackupId,
    level: CheckLevel,
) -> Result<CheckReport, ArchiveError> {
    memory.set()?.check(id, level, &mut |_| {})
}

/// Reads what is left by every way; what is handed out must be right.
fn read_left(memory: &Arc<Memory>, id: BackupId, truth: &Truth, context: &str) -> Option<Read> {
    let set = memory.set().ok()?;
    if let Ok(salvage) = set.salvage(id, &mut |_| {}) {
        read_all(&salvage.backup, truth, context);
    }
    let backup = set.backup(id).ok()?;
    for (id, _, bytes) in &truth.contents {
        if let Ok(read) = backup.content(id) {
            assert_eq!(&read, bytes, "{context}");
        }
    }
    Some(read_all(&backup, truth, context))
}

/// Checks at `level` notice the damage.
#[track_caller]
fn check(memory: &Arc<Memory>, id: BackupId, level: CheckLevel, context: &str) -> bool {
    let noticed = !report(memory, id, level).is_ok_and(|report| report.is_whole());
    assert!(noticed, "{context}: a check at {level:?} notices nothing");
    noticed
}

fn small() -> (Truth, Arc<Memory>, BackupId) {
    let truth = truth(2, 3, 120);
    let (memory, manifest) = archive(&truth, 2 << 10);
    assert!(manifest.volumes.len() > 1);
    (truth, memory, manifest.backup_id)
}

fn is_of_backup(name: &str) -> bool {
    !name.starts_with("verify/")
}

#[test]
fn every_flipped_byte_is_noticed_and_nothing_wrong_is_read() {
    let (truth, memory, id) = small();
    for name in memory.names().into_iter().filter(|name| is_of_backup(name)) {
        let bytes = memory.get(&name);
        for at in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[at] ^= 1 << (at % 8);
            let context = format!("{name}, byte {at}");
            let bad = memory.with(&name, Some(bad));
            check(&bad, id, CheckLevel::Hashes, &context);
            read_left(&bad, id, &truth, &context);
        }
    }
}

#[test]
fn a_file_cut_at_any_record_or_beside_one_is_noticed() {
    let (truth, memory, id) = small();
    for name in memory.names().into_iter().filter(|name| is_of_backup(name)) {
        let bytes = memory.get(&name);
        let cuts = (0..=bytes.len()).step_by(64).flat_map(|at| [at.saturating_sub(1), at, at + 1]);
        for cut in cuts.chain([bytes.len() - 1]).filter(|cut| *cut < bytes.len()) {
            let context = format!("{name}, cut at {cut}");
            let bad = memory.with(&name, Some(bytes[..cut].to_vec()));
            check(&bad, id, CheckLevel::Structure, &context);
            check(&bad, id, CheckLevel::Hashes, &context);
            let read = read_left(&bad, id, &truth, &context);
            assert!(read.is_none_or(|read| read.errors > 0), "{context}: read without an error");
        }
    }
}

#[test]
fn bytes_after_the_end_are_noticed() {
    let (truth, memory, id) = small();
    for name in memory.names().into_iter().filter(|name| is_of_backup(name)) {
        for more in [1, 63, 64, 200] {
            let mut bytes = memory.get(&name);
            bytes.resize(bytes.len() + more, 0);
            let context = format!("{name}, {more} bytes longer");
            let bad = memory.with(&name, Some(bytes));
            check(&bad, id, CheckLevel::Hashes, &context);
            read_left(&bad, id, &truth, &context);
        }
    }
}

#[test]
fn each_missing_file_is_noticed_and_the_rest_is_read() {
    let (truth, memory, id) = small();
    for name in memory.names().into_iter().filter(|name| is_of_backup(name)) {
        let bad = memory.with(&name, None);
        check(&bad, id, CheckLevel::Structure, &name);
        let read = read_left(&bad, id, &truth, &name);
        if name.ends_with(".mbar") {
            let read = read.unwrap();
            assert!(read.errors > 0 && read != everything(&truth), "{name}: {read:?}");
        }
    }
}

#[test]
fn volumes_that_changed_places_or_come_from_elsewhere_are_noticed() {
    let (truth, memory, id) = small();
    let mut other = header();
    other.wall_us += 1;
    let target: Arc<dyn rehome_archive::Target> = memory.clone();
    let options = crate::fixture::options(2 << 10);
    crate::fixture::write(&target, &truth, other, options).unwrap();
    let names: Vec<String> =
        memory.names().into_iter().filter(|name| name.ends_with(".mbar")).collect();
    for here in names.iter().filter(|name| name.contains(&id.to_string())) {
        for there in names.iter().filter(|there| *there != here) {
            let context = format!("{there} in place of {here}");
            let bad = memory.with(here, Some(memory.get(there)));
            check(&bad, id, CheckLevel::Structure, &context);
            check(&bad, id, CheckLevel::Hashes, &context);
            let read = read_left(&bad, id, &truth, &context).unwrap();
            assert!(read.errors > 0, "{context}");
        }
    }
    let stranger = names.iter().find(|name| name.contains(&id.to_string())).unwrap();
    let second = stranger.replace("v00000", "v00099");
    let bad = memory.with(&second, Some(memory.get(stranger)));
    check(&bad, id, CheckLevel::Structure, "a volume twice");
}

#[test]
fn records_left_out_doubled_or_exchanged_are_noticed() {
    let truth = truth(3, 8, 700);
    let (memory, manifest) = archive(&truth, 1 << 20);
    let name = format!("{}/v00000.mbar", memory.set().unwrap().latest().unwrap().unwrap().folder);
    let bytes = memory.get(&name);
    let starts: Vec<usize> = (0..bytes.len())
        .step_by(64)
        .filter(|at| bytes[*at..].starts_with(b"MBARREC1"))
        .chain([bytes.len()])
        .collect();
    let record = |number: usize| &bytes[starts[number]..starts[number + 1]];
    let count = starts.len() - 1;
    assert!(count > 6);
    for left in 0..count {
        for (what, order) in [
            ("left out", (0..count).filter(|n| *n != left).collect::<Vec<_>>()),
            ("doubled", (0..count).flat_map(|n| vec![n; 1 + usize::from(n == left)]).collect()),
            ("last", (0..count).filter(|n| *n != left).chain([left]).collect()),
        ] {
            if (0..count).eq(order.iter().copied()) {
                continue;
            }
            let bad: Vec<u8> = order.iter().flat_map(|n| record(*n).to_vec()).collect();
            let context = format!("record {left} {what}");
            let bad = memory.with(&name, Some(bad));
            check(&bad, manifest.backup_id, CheckLevel::Hashes, &context);
            read_left(&bad, manifest.backup_id, &truth, &context);
        }
    }
}

#[test]
fn a_damaged_frame_costs_its_own_messages_and_they_are_named() {
    let truth = truth(4, 40, 20_000);
    let (memory, manifest) = archive(&truth, 1 << 30);
    let set = memory.set().unwrap();
    let name = format!("{}/v00000.mbar", set.latest().unwrap().unwrap().folder);
    let mut bytes = memory.get(&name);
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    let bad = memory.with(&name, Some(bytes));
    let report = report(&bad, manifest.backup_id, CheckLevel::Hashes).unwrap();
    let [damage] = &report.damage[..1] else { panic!("{report:?}") };
    assert!(damage.record.is_some() && damage.offset as usize <= middle, "{damage}");
    let named: u64 = report.mailboxes.iter().map(|mailbox| mailbox.lost_messages()).sum();
    let read = read_left(&bad, manifest.backup_id, &truth, "").unwrap();
    let lost = truth.contents.len() - read.contents;
    assert!((1..=40).contains(&lost), "{lost} contents lost");
    assert!(named >= lost as u64 && named <= 2 * lost as u64, "{named} named, {lost} lost");
}
