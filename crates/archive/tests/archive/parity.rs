//! Parity: what is flipped or lost comes back, is reported, and is written anew by a repair.

use std::sync::Arc;

use rehome_archive::{BackupId, CheckLevel, Target, WriterOptions};
use rehome_log::SplitMix64;

use crate::fixture::{Truth, everything, header, options, read_all, truth, write};
use crate::memory::Memory;

/// A set in memory with one backup of `truth` and its parity.
fn archive(truth: &Truth, volume_bytes: u64) -> (Arc<Memory>, BackupId) {
    let memory = Arc::new(Memory::default());
    let target: Arc<dyn Target> = memory.clone();
    let options = WriterOptions { parity: true, zstd_level: -7, ..options(volume_bytes) };
    let manifest = write(&target, truth, header(), options).unwrap();
    (memory, manifest.backup_id)
}

fn volumes(memory: &Memory) -> Vec<String> {
    memory.names().into_iter().filter(|name| name.ends_with(".mbar")).collect()
}

/// The damage is noticed, nothing is lost, and after a repair nothing is noticed.
#[track_caller]
fn check(good: &Memory, bad: &Arc<Memory>, id: BackupId, truth: &Truth, context: &str) {
    let set = bad.set().unwrap();
    for level in [CheckLevel::Hashes, CheckLevel::Deep] {
        let report = set.check(id, level, &mut |_| {}).unwrap();
        assert!(!report.is_whole(), "{context}: not noticed at {level:?}");
        assert!(report.mailboxes.is_empty(), "{context}: {report:?}");
    }
    let backup = set.backup(id).unwrap();
    assert_eq!(read_all(&backup, truth, context), everything(truth), "{context}");
    let salvage = set.salvage(id, &mut |_| {}).unwrap();
    assert_eq!(salvage.contents as usize, truth.contents.len(), "{context}");
    set.repair(id).unwrap();
    for name in volumes(good) {
        assert!(bad.get(&name) == good.get(&name), "{context}: {name} is not as it was");
    }
    assert!(set.check(id, CheckLevel::Deep, &mut |_| {}).unwrap().is_whole(), "{context}");
    assert!(!bad.names().iter().any(|name| name.starts_with("repair/")), "{context}");
}

#[test]
fn every_flipped_byte_of_a_small_volume_comes_back() {
    let truth = truth(1, 2, 40);
    let (memory, id) = archive(&truth, 1 << 20);
    let name = volumes(&memory).remove(0);
    let bytes = memory.get(&name);
    for at in 0..bytes.len() {
        let mut bad = bytes.clone();
        bad[at] ^= 1 << (at % 8);
        let bad = memory.with(&name, Some(bad));
        check(&memory, &bad, id, &truth, &format!("byte {at}"));
    }
}

#[test]
fn a_lost_run_of_64_kib_comes_back_wherever_it_lies() {
    let truth = truth(3, 60, 60_000);
    let (memory, id) = archive(&truth, 3 << 20);
    let names = volumes(&memory);
    assert!(names.len() > 1);
    let parity: usize = memory
        .names()
        .iter()
        .filter(|name| name.ends_with(".mpar"))
        .map(|name| memory.get(name).len())
        .sum();
    let stored: usize = names.iter().map(|name| memory.get(name).len()).sum();
    assert!(parity * 9 < stored, "{parity} bytes of parity for {stored}");
    let mut random = SplitMix64::new(8);
    for round in 0..12 {
        let name = &names[round % names.len()];
        let mut bytes = memory.get(name);
        let len = (64 << 10).min(bytes.len());
        let room = u64::try_from(bytes.len() - len + 1).unwrap();
        let at = usize::try_from(random.below(room)).unwrap();
        bytes[at..at + len].fill(if round % 2 == 0 { 0 } else { 0xee });
        let bad = memory.with(name, Some(bytes));
        check(&memory, &bad, id, &truth, &format!("round {round}, {name}, {at}"));
    }
    let name = &names[0];
    let cut = memory.get(name)[..memory.get(name).len() - 1000].to_vec();
    check(&memory, &memory.with(name, Some(cut)), id, &truth, "a cut end");
}

#[test]
fn more_damage_than_parity_heals_is_reported_and_not_repaired() {
    let truth = truth(3, 60, 60_000);
    let (memory, id) = archive(&truth, 1 << 30);
    let name = volumes(&memory).remove(0);
    let mut bytes = memory.get(&name);
    let middle = bytes.len() / 2;
    bytes[middle..middle + (256 << 10)].fill(0);
    let bad = memory.with(&name, Some(bytes.clone()));
    let set = bad.set().unwrap();
    let report = set.check(id, CheckLevel::Hashes, &mut |_| {}).unwrap();
    assert!(!report.damage.is_empty() && !report.mailboxes.is_empty());
    set.repair(id).unwrap_err();
    assert!(bad.get(&name) == bytes, "a repair that cannot be changes nothing");
}

#[test]
fn damage_to_parity_itself_costs_nothing_but_healing() {
    let truth = truth(2, 5, 300);
    let (memory, id) = archive(&truth, 1 << 20);
    let name = memory.names().into_iter().find(|name| name.ends_with(".mpar")).unwrap();
    for bytes in [None, Some(vec![7; 100]), Some(Vec::new())] {
        let bad = memory.with(&name, bytes);
        let backup = bad.set().unwrap().backup(id).unwrap();
        assert_eq!(read_all(&backup, &truth, ""), everything(&truth));
    }
}

#[test]
fn every_flipped_byte_of_parity_is_noticed_and_nothing_wrong_is_read() {
    let truth = truth(2, 3, 100);
    let (memory, id) = archive(&truth, 1 << 20);
    let name = memory.names().into_iter().find(|name| name.ends_with(".mpar")).unwrap();
    let bytes = memory.get(&name);
    for at in 0..bytes.len() {
        let mut bad = bytes.clone();
        bad[at] ^= 1 << (at % 8);
        let bad = memory.with(&name, Some(bad));
        let set = bad.set().unwrap();
        let report = set.check(id, CheckLevel::Hashes, &mut |_| {}).unwrap();
        assert!(!report.damage.is_empty() && report.mailboxes.is_empty(), "byte {at}");
        // Reading looks at parity only where something else is wrong.
        if at % 64 == 0 {
            let read = read_all(&set.backup(id).unwrap(), &truth, "");
            assert_eq!(read, everything(&truth), "byte {at}");
        }
    }
}
