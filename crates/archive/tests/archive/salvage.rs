//! What is left is given out, and what is lost is named.

use std::collections::HashSet;
use std::sync::Arc;

use rehome_archive::{
    BackupWriter, ContentId, DiskTarget, Fate, MailboxOutline, Salvage, Set, Target, salvage,
};

use crate::fixture::{Truth, header, options, read_all, truth};
use crate::memory::{Memory, archive};

fn volume_names(memory: &Memory) -> Vec<String> {
    memory.names().into_iter().filter(|name| name.ends_with(".mbar")).collect()
}

/// Contents in the data records that lie whole in `bytes`, by the headers and directories alone.
fn surviving(bytes: &[u8]) -> usize {
    let number = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    let (mut at, mut count) = (0, 0);
    while at + 64 <= bytes.len() && bytes[at..].starts_with(b"MBARREC1") {
        let (kind, codec) = (bytes[at + 8], bytes[at + 10]);
        let (raw_len, stored_len) = (number(at + 24), number(at + 28));
        let Some(stored) = bytes.get(at + 64..at + 64 + stored_len) else { break };
        if kind == 3 {
            let raw = match codec {
                1 => zstd::bulk::decompress(stored, raw_len).unwrap(),
                _ => stored.to_vec(),
            };
            let footer = &raw[raw.len() - 16..];
            count += u32::from_le_bytes(footer[..4].try_into().unwrap()) as usize;
        }
        at += (64 + stored_len).next_multiple_of(64);
    }
    count
}

/// The fates name exactly the messages whose contents are not given out.
#[track_caller]
fn check(salvage: &Salvage, truth: &Truth) -> usize {
    let saved: HashSet<ContentId> =
        salvage.backup.contents().flatten().map(|content| content.id).collect();
    for fate in &salvage.mailboxes {
        let outline: &MailboxOutline = &truth.mailboxes[fate.mailbox as usize];
        if fate.fate == Fate::Gone {
            continue;
        }
        assert_eq!(fate.name.as_ref(), Some(&outline.name));
        for folder in &outline.folders {
            let lost = folder.messages.iter().filter(|m| !saved.contains(&m.content));
            let lost: Vec<u32> = lost.map(|message| message.uid).collect();
            let named = fate.lost.iter().find(|lost| lost.folder == folder.name);
            assert_eq!(named.map_or(&[][..], |named| &named.uids), lost, "{}", outline.name);
        }
        let is_whole = fate.lost.is_empty() && fate.unnamed == Some(0);
        assert_eq!(fate.fate == Fate::Whole, is_whole);
    }
    saved.len()
}

#[test]
fn after_the_last_tenth_is_cut_off_every_surviving_message_is_kept_and_every_other_is_named() {
    let truth = truth(8, 200, 3000);
    let (memory, manifest) = archive(&truth, 1 << 30);
    let [name] = &volume_names(&memory)[..] else { panic!("one volume was expected") };
    let bytes = memory.get(name);
    let cut = bytes.len() * 9 / 10;
    let left = memory.with(name, Some(bytes[..cut].to_vec()));
    let found = left.set().unwrap().salvage(manifest.backup_id, &mut |_| {}).unwrap();
    let saved = check(&found, &truth);
    assert_eq!(saved, surviving(&bytes[..cut]));
    assert!(saved * 100 >= truth.contents.len() * 80, "{saved} of {}", truth.contents.len());
    assert_eq!(found.contents, saved as u64);
    assert!(!found.damage.is_empty());
    let lost: u64 = found.mailboxes.iter().map(|mailbox| mailbox.lost_messages()).sum();
    assert!(lost > 0);
    // The same without set, manifest and folder.
    let target: Arc<dyn Target> = left;
    let [found] = &salvage(&target, std::slice::from_ref(name), &mut |_| {}).unwrap()[..] else {
        panic!("one backup was expected")
    };
    assert_eq!(check(found, &truth), saved);
    assert_eq!(found.header, Some(header()));
}

#[test]
fn without_the_volume_of_the_outlines_the_contents_are_left_and_the_mailboxes_gone() {
    let truth = truth(3, 30, 2000);
    let (memory, manifest) = archive(&truth, 12 << 10);
    let names = volume_names(&memory);
    assert!(names.len() > 2);
    let left = memory.with(&names[0], None);
    let found = left.set().unwrap().salvage(manifest.backup_id, &mut |_| {}).unwrap();
    assert!(found.mailboxes.iter().all(|fate| fate.fate == Fate::Gone && fate.name.is_none()));
    assert_eq!(found.mailboxes.len(), 3);
    assert!(read_all(&found.backup, &truth, "").contents > 60);
}

#[test]
fn a_volume_in_the_middle_costs_its_own_messages() {
    let truth = truth(3, 30, 2000);
    let (memory, manifest) = archive(&truth, 20 << 10);
    let names = volume_names(&memory);
    let left = memory.with(&names[2], None);
    let found = left.set().unwrap().salvage(manifest.backup_id, &mut |_| {}).unwrap();
    let saved = check(&found, &truth);
    let of_others = names.iter().filter(|name| **name != names[2]);
    assert_eq!(saved, of_others.map(|name| surviving(&memory.get(name))).sum::<usize>());
}

#[test]
fn volumes_of_two_backups_in_any_order_are_told_apart() {
    let truth = truth(2, 20, 1000);
    let (memory, _) = archive(&truth, 8 << 10);
    let target: Arc<dyn Target> = memory.clone();
    crate::fixture::write(&target, &truth, header(), options(8 << 10)).unwrap();
    let mut names = volume_names(&memory);
    names.reverse();
    names.rotate_left(3);
    let found = salvage(&target, &names, &mut |_| {}).unwrap();
    assert_eq!(found.len(), 2);
    for found in &found {
        assert_eq!(check(found, &truth), truth.contents.len());
        assert!(found.mailboxes.iter().all(|fate| fate.fate == Fate::Whole), "{:?}", found.damage);
        assert!(found.damage.is_empty());
    }
}

#[test]
fn an_interrupted_backup_gives_out_what_it_has_and_names_the_rest() {
    let mut truth = truth(2, 40, 30_000);
    truth.streams.clear();
    let folder = tempfile::tempdir().unwrap();
    let target: Arc<dyn Target> = Arc::new(DiskTarget::at(folder.path()));
    let options = rehome_archive::WriterOptions { threads: 0, ..options(400 << 10) };
    let mut writer = BackupWriter::begin(Arc::clone(&target), header(), options).unwrap();
    for outline in &truth.mailboxes {
        writer.outline(outline).unwrap();
    }
    // More than the writer holds back, so that some of it is on the disk.
    for (id, owners, bytes) in truth.contents.iter().cycle().take(truth.contents.len() * 20) {
        writer.content(*id, owners, bytes).unwrap();
    }
    let id = writer.id();
    drop(writer);
    let found = Set::open(target).unwrap().salvage(id, &mut |_| {}).unwrap();
    assert!(check(&found, &truth) > 0);
    assert!(!found.damage.is_empty());
}

#[test]
fn a_damaged_outline_record_takes_its_rows_and_says_how_many() {
    let truth = truth(2, 10, 400);
    let (memory, manifest) = archive(&truth, 1 << 20);
    let name = volume_names(&memory).remove(0);
    let mut bytes = memory.get(&name);
    let outline = (0..bytes.len())
        .step_by(64)
        .find(|at| bytes[*at..].starts_with(b"MBARREC1") && bytes[at + 8] == 2);
    bytes[outline.unwrap() + 70] ^= 1;
    let bad = memory.with(&name, Some(bytes));
    let found = bad.set().unwrap().salvage(manifest.backup_id, &mut |_| {}).unwrap();
    let [first, second] = &found.mailboxes[..] else { panic!("{:?}", found.mailboxes) };
    let named = (first.name.as_deref(), first.fate, first.unnamed);
    assert_eq!(named, (Some("user000"), Fate::Gone, Some(10)));
    assert_eq!(second.fate, Fate::Whole);
}

#[test]
fn a_message_that_holds_an_archive_is_not_taken_for_one() {
    let inner_truth = truth(1, 3, 300);
    let (inner, _) = archive(&inner_truth, 1 << 20);
    let attached = inner.get(&volume_names(&inner)[0]);
    let mut truth = truth(1, 2, 100);
    // Stored as it is and on the grid: the content begins at the first byte of its own frame.
    let noise: Vec<u8> =
        (0..4000_u64).flat_map(|n| blake3::hash(&n.to_le_bytes()).as_bytes().to_vec()).collect();
    let (before, after) = noise.split_at(noise.len() / 2);
    let body = [before, &attached, after].concat();
    truth.contents.push((ContentId::of(&body), vec![0], body));
    let mut other = header();
    other.wall_us += 5;
    let memory = Arc::new(Memory::default());
    let target: Arc<dyn Target> = memory.clone();
    let manifest = crate::fixture::write(&target, &truth, other, options(1 << 20)).unwrap();
    let name = volume_names(&memory).remove(0);
    let bytes = memory.get(&name);
    let magics = bytes.chunks(64).filter(|cell| cell.starts_with(b"MBARREC1")).count();
    assert!(magics > manifest.volumes[0].records as usize, "the attachment is not on the grid");
    let own = bytes.windows(64).position(|cell| cell == &noise[..64]).unwrap();
    for at in [own + 5, own - 40, own - 36, own - 64] {
        let mut bad = bytes.clone();
        bad[at] ^= 1;
        let bad = memory.with(&name, Some(bad));
        let found = bad.set().unwrap().salvage(manifest.backup_id, &mut |_| {}).unwrap();
        let read = read_all(&found.backup, &truth, "");
        assert_eq!(read.contents, 2, "byte {at}");
        let target: Arc<dyn Target> = bad;
        let found = salvage(&target, std::slice::from_ref(&name), &mut |_| {}).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(read_all(&found[0].backup, &truth, "").contents, 2, "byte {at}");
    }
}
