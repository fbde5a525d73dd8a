//! Sets whose hashes are right and that make no sense: no panic, no wrong content, little memory.

use std::io::{Read, Write as _};
use std::sync::Arc;

use rehome_archive::{BackupId, BackupKind, CheckLevel, ContentId, Target, WriterOptions, salvage};
use rehome_log::SplitMix64;

use crate::chains::chain_of;
use crate::fixture::{header, options, truth, write};
use crate::memory::{Memory, archive};

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

/// A set with one backup that has parity, and its manifest's name.
fn with_parity() -> (Arc<Memory>, BackupId, String) {
    let memory = Arc::new(Memory::default());
    let target: Arc<dyn Target> = memory.clone();
    let options = WriterOptions { parity: true, ..options(1 << 20) };
    let manifest = write(&target, &truth(2, 3, 200), header(), options).unwrap();
    let name = memory.names().into_iter().find(|name| name.ends_with("/MANIFEST")).unwrap();
    (memory, manifest.backup_id, name)
}

/// A sealed text with all that `change` makes of its lines, sealed again.
fn resealed(sealed: &[u8], change: impl Fn(&str) -> String) -> Vec<u8> {
    let text = String::from_utf8(sealed.to_vec()).unwrap();
    let (lines, _) = text.rsplit_once("blake3 ").unwrap();
    let lines = change(lines);
    let hash = blake3::hash(lines.as_bytes()).to_hex();
    format!("{lines}blake3 {hash}\n").into_bytes()
}

/// `json` with the number of each field called `field` exchanged.
fn with_number(json: &str, field: &str, number: u64) -> String {
    let label = format!("\"{field}\": ");
    let mut changed = String::new();
    let mut rest = json;
    while let Some((before, behind)) = rest.split_once(&label) {
        let digits = behind.find(|one: char| !one.is_ascii_digit()).unwrap();
        changed.push_str(&format!("{before}{label}{number}"));
        rest = &behind[digits..];
    }
    changed + rest
}

#[test]
fn numbers_beyond_all_measure_are_noticed_and_cost_nothing() {
    let (memory, id, name) = with_parity();
    for field in ["size_bytes", "mailboxes", "messages", "outline_records", "content_bytes"] {
        let huge = resealed(&memory.get(&name), |json| with_number(json, field, 1 << 60));
        let bad = memory.with(&name, Some(huge));
        let set = bad.set().unwrap();
        let report = set.check(id, CheckLevel::Deep, &mut |_| {}).unwrap();
        assert!(!report.damage.is_empty(), "{field}");
        assert!(report.mailboxes.len() < 10_000, "{field}: {}", report.mailboxes.len());
        let backup = set.backup(id).unwrap();
        assert_eq!(backup.contents().flatten().count(), 6, "{field}");
    }
}

#[test]
fn a_manifest_that_names_itself_or_climbs_out_of_its_folder_is_refused() {
    let (memory, id, name) = with_parity();
    let itself = format!("\"base\": {{\"backup_id\": \"{id}\", \"manifest_hash\": \"00\"}}");
    for (from, to, words) in [
        ("\"base\": null", itself.as_str(), "it builds upon itself"),
        ("v00000.mbar", "../../../v00000.mbar", "not named in order"),
        ("v00000.mbar", "/etc/v00000.mbar", "not named in order"),
    ] {
        let changed = resealed(&memory.get(&name), |json| {
            assert!(json.contains(from), "{from}");
            json.replace(from, to)
        });
        let set = memory.with(&name, Some(changed)).set().unwrap();
        let refused = set.state(id, None).map(drop).unwrap_err().to_string();
        assert!(refused.contains(words), "{to}: {refused}");
        assert!(set.plan_restore(rehome_archive::Until::Backup(id)).is_err(), "{to}");
    }
}

#[test]
fn two_manifests_that_build_upon_each_other_are_refused() {
    let (memory, ids) = chain_of(20, &[BackupKind::Full, BackupKind::Incremental]);
    let infos = memory.set().unwrap().list().unwrap();
    let [first, second] = &infos[..] else { panic!("two backups") };
    let name = format!("{}/MANIFEST", first.folder);
    let hash = second.manifest_hash.as_ref().unwrap();
    let upon =
        format!("\"base\": {{\"backup_id\": \"{}\", \"manifest_hash\": \"{hash}\"}}", ids[1]);
    let changed = resealed(&memory.get(&name), |json| json.replace("\"base\": null", &upon));
    let set = memory.with(&name, Some(changed)).set().unwrap();
    for id in ids {
        let refused = set.state(id, None).map(drop).unwrap_err().to_string();
        assert!(refused.contains("shows a later state") || refused.contains("another manifest"));
        assert!(set.plan_restore(rehome_archive::Until::Backup(id)).is_err(), "{refused}");
    }
}

/// A volume whose first frame is exchanged for `stored`, which says that it is `raw_len` bytes.
fn with_frame(volume: &[u8], stored: &[u8], raw_len: u32) -> Vec<u8> {
    let is_frame = |at: &usize| volume[*at..].starts_with(b"MBARREC1\x03");
    let start = (0..volume.len()).step_by(64).find(is_frame).unwrap();
    let len = u32::from_le_bytes(volume[start + 28..start + 32].try_into().unwrap()) as usize;
    let end = start + (64 + len).next_multiple_of(64);
    let mut header = volume[start..start + 40].to_vec();
    header[10] = 1;
    header[24..28].copy_from_slice(&raw_len.to_le_bytes());
    header[28..32].copy_from_slice(&u32::try_from(stored.len()).unwrap().to_le_bytes());
    let mut hasher = blake3::Hasher::new();
    hasher.update(&header).update(stored);
    let mut record = [header.as_slice(), &hasher.finalize().as_bytes()[..24], stored].concat();
    record.resize(record.len().next_multiple_of(64), 0);
    [&volume[..start], record.as_slice(), &volume[end..]].concat()
}

/// The most memory that this process has had, in bytes.
fn peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0 kB");
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0) << 10
}

#[test]
fn a_frame_that_unpacks_to_more_than_it_says_is_refused_before_it_does() {
    let (memory, manifest) = archive(&truth(2, 3, 200), 1 << 20);
    let name = memory.names().into_iter().find(|name| name.ends_with(".mbar")).unwrap();
    let volume = memory.get(&name);
    // 300 MB of zeros in some ten thousand bytes, and what claims to be 4 GiB.
    let mut bomb = zstd::stream::Encoder::new(Vec::new(), 3).unwrap();
    (0..300).for_each(|_| bomb.write_all(&[0; 1_000_000]).unwrap());
    let bomb = bomb.finish().unwrap();
    assert!(bomb.len() < 100_000);
    let before = peak_bytes();
    for raw_len in [0, 64, 1 << 20, u32::MAX] {
        let bad = memory.with(&name, Some(with_frame(&volume, &bomb, raw_len)));
        let set = bad.set().unwrap();
        let report = set.check(manifest.backup_id, CheckLevel::Deep, &mut |_| {}).unwrap();
        assert!(!report.damage.is_empty(), "{raw_len}");
        let backup = set.salvage(manifest.backup_id, &mut |_| {}).unwrap().backup;
        assert!(backup.contents().flatten().count() < 6, "{raw_len}");
    }
    // Other tests work beside this one.
    let more = peak_bytes() - before;
    assert!(more < 200_000_000, "{more} bytes more");
}
