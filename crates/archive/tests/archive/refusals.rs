//! What is not for this program is refused by name.

use std::sync::Arc;

use rehome_archive::{
    ArchiveError, BackupKind, BackupState, BackupWriter, CheckLevel, ContentId, Set, StoreId,
    Target,
};

use crate::fixture::{header, options, truth, write};
use crate::memory::{Memory, archive};

/// `text` sealed again after a change.
fn reseal(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    let text = std::str::from_utf8(bytes).unwrap();
    let text = &text[..text.rfind("blake3 ").unwrap()];
    assert!(text.contains(from), "{text}");
    let text = text.replacen(from, to, 1);
    format!("{text}blake3 {}\n", blake3::hash(text.as_bytes()).to_hex()).into_bytes()
}

/// The error of opening the backup after `name` was changed and sealed again.
fn opened(name: &str, from: &str, to: &str) -> ArchiveError {
    let (memory, manifest) = archive(&truth(1, 2, 50), 1 << 20);
    let name = memory.names().into_iter().find(|found| found.ends_with(name)).unwrap();
    let bytes = reseal(&memory.get(&name), from, to);
    let changed = memory.with(&name, Some(bytes));
    changed.set().and_then(|set| set.backup(manifest.backup_id).map(|_| ())).unwrap_err()
}

#[track_caller]
fn check(error: &ArchiveError, words: &[&str]) {
    let text = error.to_string();
    assert!(words.iter().all(|word| text.contains(word)), "{text}");
}

#[test]
fn a_later_version_is_refused_by_number() {
    check(&opened("SET", "MBARSET 1", "MBARSET 9"), &["SET", "version 9", "up to 1"]);
    check(&opened("MANIFEST", "\"format\": 1", "\"format\": 7"), &["MANIFEST", "version 7"]);
}

#[test]
fn an_unknown_incompat_bit_is_refused_by_name_and_other_bits_are_not() {
    let bit = r#"{"bit": 4, "name": "age-envelope", "since": "0.3.0"}"#;
    let change = |class: &str| (format!("\"{class}\": []"), format!("\"{class}\": [{bit}]"));
    let (from, to) = change("incompat");
    check(&opened("MANIFEST", &from, &to), &["incompat feature 4 (age-envelope)", "0.3.0"]);
    for class in ["compat", "ro_compat"] {
        let (memory, manifest) = archive(&truth(1, 2, 50), 1 << 20);
        let name = memory.names().into_iter().find(|name| name.ends_with("MANIFEST")).unwrap();
        let (from, to) = change(class);
        let changed = memory.with(&name, Some(reseal(&memory.get(&name), &from, &to)));
        assert!(changed.set().unwrap().backup(manifest.backup_id).is_ok(), "{class}");
    }
}

#[test]
fn a_set_with_an_unknown_ro_compat_bit_takes_no_new_backup() {
    let truth = truth(1, 2, 50);
    let (memory, manifest) = archive(&truth, 1 << 20);
    let set = reseal(&memory.get("SET"), "features", "features ro_compat:2:parity:0.4.0");
    let changed = memory.with("SET", Some(set));
    assert!(changed.set().unwrap().backup(manifest.backup_id).is_ok());
    let target: Arc<dyn Target> = changed;
    let error = write(&target, &truth, header(), options(1 << 20)).unwrap_err();
    check(&error, &["ro_compat feature 2 (parity)", "nothing was written"]);
}

#[test]
fn another_store_and_changes_without_a_base_are_refused() {
    let (memory, _) = archive(&truth(1, 2, 50), 1 << 20);
    let target: Arc<dyn Target> = memory;
    let mut other = header();
    other.store_id = StoreId([8; 16]);
    let begun = BackupWriter::begin(Arc::clone(&target), other, options(1 << 20));
    assert!(matches!(begun.err(), Some(ArchiveError::OtherStore { .. })));
    let mut incremental = header();
    incremental.kind = BackupKind::Incremental;
    let begun = BackupWriter::begin(target, incremental, options(1 << 20));
    assert!(matches!(begun.err(), Some(ArchiveError::Misuse { .. })));
}

#[test]
fn a_writer_that_is_dropped_leaves_an_incomplete_backup_that_is_refused() {
    let truth = truth(1, 4, 50);
    let target: Arc<dyn Target> = Arc::new(Memory::default());
    assert!(matches!(Set::open(Arc::clone(&target)).err(), Some(ArchiveError::NoSet)));
    let folder = tempfile::tempdir().unwrap();
    let disk: Arc<dyn Target> = Arc::new(rehome_archive::DiskTarget::at(folder.path()));
    let mut writer = BackupWriter::begin(Arc::clone(&disk), header(), options(1 << 20)).unwrap();
    let first = writer.id();
    writer.outline(&truth.mailboxes[0]).unwrap();
    drop(writer);
    let set = Set::open(Arc::clone(&disk)).unwrap();
    let listed = set.list().unwrap();
    assert_eq!((listed[0].id, &listed[0].state), (first, &BackupState::Incomplete));
    assert_eq!(set.latest().unwrap(), None);
    let refused = |error: Option<ArchiveError>| match error {
        Some(ArchiveError::Incomplete { id }) => assert_eq!(id, first),
        other => panic!("{other:?}"),
    };
    refused(set.check(first, CheckLevel::Structure, &mut |_| {}).err());
    refused(set.backup(first).err());
    let second = write(&disk, &truth, header(), options(1 << 20)).unwrap();
    assert_ne!(second.backup_id, first);
    assert_eq!(set.latest().unwrap().unwrap().id, second.backup_id);
}

#[test]
fn two_writers_with_the_same_header_get_two_backups() {
    let truth = truth(1, 4, 50);
    let folder = tempfile::tempdir().unwrap();
    let disk: Arc<dyn Target> = Arc::new(rehome_archive::DiskTarget::at(folder.path()));
    let begin = || BackupWriter::begin(Arc::clone(&disk), header(), options(1 << 20)).unwrap();
    let (mut one, mut two) = (begin(), begin());
    assert_ne!(one.id(), two.id());
    for writer in [&mut one, &mut two] {
        writer.outline(&truth.mailboxes[0]).unwrap();
        for (id, owners, bytes) in &truth.contents {
            writer.content(*id, owners, bytes).unwrap();
        }
    }
    one.finish().unwrap();
    two.finish().unwrap();
    let set = Set::open(disk).unwrap();
    assert_eq!(set.list().unwrap().len(), 2);
    let complete = |info: &rehome_archive::BackupInfo| info.state == BackupState::Complete;
    assert!(set.list().unwrap().iter().all(complete));
}

#[test]
fn wrong_bytes_missing_contents_and_calls_out_of_order_are_refused() {
    let truth = truth(1, 4, 50);
    let target: Arc<dyn Target> = Arc::new(Memory::default());
    let begin = || BackupWriter::begin(Arc::clone(&target), header(), options(1 << 20)).unwrap();
    let (id, owners, bytes) = &truth.contents[0];
    let mut writer = begin();
    writer.outline(&truth.mailboxes[0]).unwrap();
    let error = writer.content(ContentId([1; 32]), owners, bytes).unwrap_err();
    assert!(matches!(error, ArchiveError::WrongContent { .. }));
    assert!(matches!(writer.content(*id, owners, bytes), Err(ArchiveError::Abandoned)));
    assert!(matches!(writer.finish(), Err(ArchiveError::Abandoned)));

    let frame = zstd::bulk::compress(bytes, 1).unwrap();
    let wrong = [(bytes.len() - 1, &frame[..]), (bytes.len(), &frame[1..]), (bytes.len(), &[])];
    for (size, frame) in wrong {
        let mut writer = begin();
        writer.outline(&truth.mailboxes[0]).unwrap();
        let error = writer.compressed_content(*id, owners, size, frame).unwrap_err();
        assert!(matches!(error, ArchiveError::BadFrame { .. }), "{error}");
        assert!(matches!(writer.finish(), Err(ArchiveError::Abandoned)));
    }
    let mut writer = begin();
    writer.outline(&truth.mailboxes[0]).unwrap();
    let other = ContentId([1; 32]);
    let error = writer.compressed_content(other, owners, bytes.len(), &frame).unwrap_err();
    assert!(matches!(error, ArchiveError::WrongContent { .. }));

    let mut writer = begin();
    writer.outline(&truth.mailboxes[0]).unwrap();
    writer.content(*id, owners, bytes).unwrap();
    let late = writer.outline(&truth.mailboxes[0]);
    assert!(matches!(late, Err(ArchiveError::Misuse { .. })));
    writer.stream("s", &mut &b"1"[..]).unwrap();
    assert!(writer.stream("s", &mut &b"2"[..]).is_err());
    assert!(matches!(writer.finish(), Err(ArchiveError::ContentsMissing { count: 3 })));
}
