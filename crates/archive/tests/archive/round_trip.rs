//! What is written is what is read.

use std::sync::Arc;

use rehome_archive::{
    BackupState, BackupWriter, CheckLevel, ContentId, DiskTarget, Set, Target, WriterOptions,
};

use crate::fixture::{everything, header, options, read_all, text, truth, write};
use crate::memory::archive;

#[test]
fn a_backup_in_many_volumes_gives_back_everything() {
    let truth = truth(6, 30, 900);
    let (memory, manifest) = archive(&truth, 16 << 10);
    assert!(manifest.volumes.len() > 3);
    assert_eq!(manifest.totals.mailboxes, 6);
    assert_eq!(manifest.totals.contents, 180);
    let set = memory.set().unwrap();
    let info = set.latest().unwrap().unwrap();
    assert_eq!((info.state, info.manifest), (BackupState::Complete, Some(manifest)));
    let backup = set.backup(info.id).unwrap();
    assert_eq!(read_all(&backup, &truth, ""), everything(&truth));
    for level in [CheckLevel::Structure, CheckLevel::Hashes, CheckLevel::Deep] {
        let report = set.check(info.id, level, &mut |_| {}).unwrap();
        assert!(report.is_whole() && report.mailboxes.is_empty(), "{level:?}: {report:?}");
    }
}

#[test]
fn every_content_is_found_by_its_id_and_no_other_is() {
    let truth = truth(3, 20, 3000);
    let (memory, manifest) = archive(&truth, 64 << 10);
    let backup = memory.set().unwrap().backup(manifest.backup_id).unwrap();
    for (id, _, bytes) in truth.contents.iter().rev() {
        assert_eq!(&backup.content(id).unwrap(), bytes);
    }
    assert!(backup.content(&ContentId([0; 32])).is_err());
    let some: Vec<ContentId> = truth.contents.iter().step_by(7).map(|c| c.0).collect();
    let read: Vec<_> = backup.contents_of(some.clone()).map(|item| item.unwrap()).collect();
    assert_eq!(read.len(), some.len());
    let with_stranger = some.into_iter().chain([ContentId([0; 32])]);
    assert_eq!(backup.contents_of(with_stranger).filter(Result::is_err).count(), 1);
}

#[test]
fn owners_come_back_and_large_contents_too() {
    let mut truth = truth(2, 2, 100);
    for (seed, len) in [(900, 70 << 10), (901, 3 << 20), (902, 0)] {
        let body = text(seed, len);
        truth.contents.push((ContentId::of(&body), vec![1, 0], body));
    }
    let (memory, manifest) = archive(&truth, 1 << 20);
    let backup = memory.set().unwrap().backup(manifest.backup_id).unwrap();
    assert_eq!(read_all(&backup, &truth, ""), everything(&truth));
    for content in backup.contents() {
        let content = content.unwrap();
        let (_, owners, _) = truth.contents.iter().find(|c| c.0 == content.id).unwrap();
        assert_eq!(&content.owners, owners);
    }
}

#[test]
fn the_bytes_do_not_depend_on_the_number_of_threads() {
    let truth = truth(3, 40, 2000);
    let roots = [0, 1, 3].map(|threads| {
        let target: Arc<dyn Target> = Arc::new(crate::memory::Memory::default());
        let options = WriterOptions { threads, ..options(50 << 10) };
        write(&target, &truth, header(), options).unwrap().root
    });
    assert!(roots[0] == roots[1] && roots[1] == roots[2]);
}

#[test]
fn a_folder_holds_a_second_backup_and_the_first_is_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    let target: Arc<dyn Target> = Arc::new(DiskTarget::at(folder.path().join("set")));
    let truth = truth(2, 10, 500);
    let first = write(&target, &truth, header(), WriterOptions::default()).unwrap();
    let second = write(&target, &truth, header(), WriterOptions::default()).unwrap();
    assert_ne!(first.backup_id, second.backup_id);
    let set = Set::open(target).unwrap();
    assert_eq!(set.list().unwrap().len(), 2);
    for id in [first.backup_id, second.backup_id] {
        let report = set.check(id, CheckLevel::Deep, &mut |_| {}).unwrap();
        assert!(report.is_whole(), "{report:?}");
        set.keep_report(&report, 5, "me").unwrap();
        assert!(set.keep_report(&report, 5, "me").is_err());
    }
}

#[test]
fn a_mailbox_handed_over_in_parts_comes_back_whole() {
    let truth = truth(2, 40, 60);
    let target: Arc<dyn Target> = Arc::new(crate::memory::Memory::default());
    let mut writer = BackupWriter::begin(Arc::clone(&target), header(), options(1 << 20)).unwrap();
    for outline in &truth.mailboxes {
        let mut head = outline.clone();
        let tail = head.folders.split_off(1);
        let mut rest = outline.clone();
        rest.attributes.clear();
        rest.subscriptions.clear();
        rest.folders = tail;
        let mut more = head.folders[0].clone();
        more.messages = head.folders[0].messages.split_off(3);
        rest.folders.insert(0, more);
        let number = writer.outline_part(&head, true).unwrap();
        assert!(writer.content(ContentId::of(b""), &[0], b"").is_err());
        assert_eq!(writer.outline_part(&rest, false).unwrap(), number);
    }
    for (id, owners, bytes) in &truth.contents {
        writer.content(*id, owners, bytes).unwrap();
    }
    let manifest = writer.finish().unwrap();
    let backup = Set::open(target).unwrap().backup(manifest.backup_id).unwrap();
    let outlines: Vec<_> = backup.outlines().map(|item| item.unwrap().1).collect();
    assert_eq!(outlines, truth.mailboxes);
}

#[test]
fn a_long_stream_comes_back_piece_by_piece() {
    let mut truth = truth(1, 1, 10);
    truth.streams.insert("long".to_owned(), text(5, (5 << 20) + 17));
    let (memory, manifest) = archive(&truth, 1 << 20);
    let backup = memory.set().unwrap().backup(manifest.backup_id).unwrap();
    assert!(backup.streams().iter().all(|stream| stream.complete));
    assert_eq!(read_all(&backup, &truth, ""), everything(&truth));
}

#[test]
fn absent_contents_are_named_by_manifest_and_check() {
    let truth = truth(2, 4, 100);
    let target: Arc<dyn Target> = Arc::new(crate::memory::Memory::default());
    let mut writer = BackupWriter::begin(Arc::clone(&target), header(), options(1 << 20)).unwrap();
    for outline in &truth.mailboxes {
        writer.outline(outline).unwrap();
    }
    let (gone, rest) = truth.contents.split_last().unwrap();
    for (id, owners, bytes) in rest {
        writer.content(*id, owners, bytes).unwrap();
    }
    writer.absent(gone.0).unwrap();
    assert!(writer.absent(gone.0).is_err());
    let manifest = writer.finish().unwrap();
    assert_eq!(manifest.absent, [gone.0]);
    let set = Set::open(target).unwrap();
    let report = set.check(manifest.backup_id, CheckLevel::Deep, &mut |_| {}).unwrap();
    assert!(report.is_whole() && report.absent == 1);
    let [fate] = &report.mailboxes[..] else { panic!("{report:?}") };
    assert_eq!((fate.mailbox, fate.lost_messages()), (1, 1));
}
