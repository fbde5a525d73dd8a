//! Records whose hash is right and whose payload makes no sense: no panic, no wrong content.

use std::io::Read;
use std::sync::Arc;

use rehome_archive::{CheckLevel, ContentId, Target, salvage};
use rehome_log::SplitMix64;

use crate::fixture::truth;
use crate::memory::archive;

/// The same volume with one record's payload changed at random, and its hash made right.
fn change(bytes: &[u8], random: &mut SplitMix64) -> Vec<u8> {
    let number = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    let starts: Vec<usize> =
        (0..bytes.len()).step_by(64).filter(|at| bytes[*at..].starts_with(b"MBARREC1")).collect();
    let pick = |random: &mut SplitMix64, len: usize| {
        usize::try_from(random.below(u64::try_from(len).unwrap())).unwrap()
    };
    let start = starts[pick(random, starts.len())];
    let size = (64 + number(start + 28)).next_multiple_of(64);
    let mut header = bytes[start..start + 40].to_vec();
    let stored = &bytes[start + 64..start + 64 + number(start + 28)];
    let mut payload = match header[10] {
        1 => zstd::bulk::decompress(stored, number(start + 24)).unwrap(),
        _ => stored.to_vec(),
    };
    for _ in 0..=random.below(3) {
        let at = pick(random, payload.len());
        payload[at] = match random.below(3) {
            0 => 0xff,
            1 => 0,
            _ => payload[at] ^ 1 << random.below(8),
        };
    }
    if random.chance(20) {
        payload.truncate(pick(random, payload.len()));
    }
    if random.chance(10) {
        header[8] = u8::try_from(random.below(10)).unwrap();
    }
    let len = u32::try_from(payload.len()).unwrap().to_le_bytes();
    header[10] = 0;
    header[24..28].copy_from_slice(&len);
    header[28..32].copy_from_slice(&len);
    let mut hasher = blake3::Hasher::new();
    hasher.update(&header).update(&payload);
    let mut record = [header.as_slice(), &hasher.finalize().as_bytes()[..24], &payload].concat();
    record.resize(record.len().next_multiple_of(64), 0);
    [&bytes[..start], record.as_slice(), &bytes[start + size..]].concat()
}

#[track_caller]
fn check(seed: u64) {
    let mut random = SplitMix64::new(seed);
    let truth = truth(3, 6, 300);
    let (memory, manifest) = archive(&truth, 1 << 20);
    let name = memory.names().into_iter().find(|name| name.ends_with(".mbar")).unwrap();
    let good = memory.get(&name);
    let bad = change(&good, &mut random);
    if bad == good {
        return; // A zero became a zero.
    }
    let bad = memory.with(&name, Some(bad));
    let set = bad.set().unwrap();
    let id = manifest.backup_id;
    for level in [CheckLevel::Hashes, CheckLevel::Deep] {
        let report = set.check(id, level, &mut |_| {}).unwrap();
        assert!(!report.is_whole(), "seed {seed}, {level:?}");
    }
    let target: Arc<dyn Target> = bad;
    let found = salvage(&target, std::slice::from_ref(&name), &mut |_| {}).unwrap_or_default();
    let backups = [set.backup(id).unwrap(), set.salvage(id, &mut |_| {}).unwrap().backup];
    for backup in backups.iter().chain(found.iter().map(|found| &found.backup)) {
        for content in backup.contents().flatten() {
            assert_eq!(ContentId::of(&content.bytes), content.id, "seed {seed}");
        }
        let rows: usize = backup.outlines().flatten().map(|(_, o)| o.folders.len()).sum();
        let parts = backup.outline_parts().flatten().count();
        assert!(rows + parts < 1000, "seed {seed}");
        for stream in backup.streams() {
            let mut bytes = Vec::new();
            if backup.stream(&stream.name).unwrap().read_to_end(&mut bytes).is_ok()
                && let Some(written) = truth.streams.get(&stream.name)
            {
                assert_eq!(&bytes, written, "seed {seed}");
            }
        }
    }
}

#[test]
fn a_record_that_makes_no_sense_is_noticed_and_harmless() {
    for seed in 0..400 {
        check(seed);
    }
}
