//! Archives of every version ever released must be read for ever.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rehome_archive::{
    ArchiverOptions, BackupKind, CheckLevel, ContentId, DiskTarget, Encryption, Identities,
    LogArchiver, LogEntry, LogHeader, MailboxOutline, Set, Target, WriterOptions,
};
use rehome_log::{Lsn, SplitMix64};
use serde::{Deserialize, Serialize};

use crate::chains::Model;
use crate::fixture::{header, options, truth, write};

/// What an archive is known to hold. Contents prove themselves by their ids.
#[derive(Serialize, Deserialize)]
struct Expected {
    mailboxes: Vec<MailboxOutline>,
    contents: Vec<ContentId>,
    streams: BTreeMap<String, String>,
}

fn folder(version: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(version)
}

/// Writes the golden archive of a new version; an existing one is left alone.
fn make(version: &str) {
    let folder = folder(version);
    assert!(!folder.exists(), "golden archives are never written again");
    let truth = truth(2, 4, 150);
    let target: Arc<dyn Target> = Arc::new(DiskTarget::at(folder.join("set")));
    write(&target, &truth, header(), options(3 << 10)).unwrap();
    let text = |bytes: &Vec<u8>| String::from_utf8(bytes.clone()).unwrap();
    let expected = Expected {
        mailboxes: truth.mailboxes,
        contents: truth.contents.iter().map(|content| content.0).collect(),
        streams: truth.streams.iter().map(|(name, bytes)| (name.clone(), text(bytes))).collect(),
    };
    let json = serde_json::to_string_pretty(&expected).unwrap();
    fs::write(folder.join("expected.json"), json + "\n").unwrap();
}

#[track_caller]
fn check(version: &str) {
    if std::env::var_os("REHOME_MAKE_GOLDEN").is_some_and(|asked| asked == version) {
        make(version);
    }
    let folder = folder(version);
    let expected = fs::read(folder.join("expected.json")).unwrap();
    let expected: Expected = serde_json::from_slice(&expected).unwrap();
    let set = Set::open(Arc::new(DiskTarget::at(folder.join("set")))).unwrap();
    let info = set.latest().unwrap().unwrap();
    let report = set.check(info.id, CheckLevel::Deep, &mut |_| {}).unwrap();
    assert!(report.is_whole(), "{report:?}");
    let backup = set.backup(info.id).unwrap();
    let mailboxes: Vec<_> = backup.outlines().map(|item| item.unwrap().1).collect();
    assert_eq!(mailboxes, expected.mailboxes);
    let mut contents: Vec<_> = backup.contents().map(|item| item.unwrap().id).collect();
    contents.sort();
    let mut known = expected.contents;
    known.sort();
    assert_eq!(contents, known);
    for (name, text) in expected.streams {
        let mut read = String::new();
        backup.stream(&name).unwrap().read_to_string(&mut read).unwrap();
        assert_eq!(read, text, "{name}");
    }
}

/// A key that tests of age use.
const RECIPIENT: &str = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj";
const KEY: &str = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX";

/// What a set with a chain and a log is known to hold.
#[derive(Serialize, Deserialize)]
struct ExpectedChain {
    /// What each backup shows, the oldest first.
    states: Vec<Vec<MailboxOutline>>,
    /// LSN and payload of each log record.
    log: Vec<(u64, String)>,
}

/// Writes a golden set with a full, a differential and an incremental backup, parity and a log.
fn make_chain(version: &str, encryption: Option<Encryption>) {
    let folder = folder(version);
    assert!(!folder.exists(), "golden archives are never written again");
    let target: Arc<dyn Target> = Arc::new(DiskTarget::at(folder.join("set")));
    let mut random = SplitMix64::new(21);
    let mut model = Model::default();
    let mut states = Vec::new();
    for kind in [BackupKind::Full, BackupKind::Differential, BackupKind::Incremental] {
        (0..25).for_each(|_| model.step(&mut random));
        let catalog = kind == BackupKind::Full;
        let encryption = encryption.clone();
        let options = WriterOptions { parity: true, catalog, encryption, ..options(1 << 20) };
        model.back_up_as(&target, kind, options).unwrap();
        states.push(model.outlines());
    }
    let head = LogHeader {
        store_id: header().store_id,
        store_epoch: 3,
        software: "rehome 0.1.0".to_owned(),
        account: "root@here".to_owned(),
    };
    let options = ArchiverOptions { encryption, segment_bytes: 300, ..ArchiverOptions::default() };
    let mut archiver = LogArchiver::begin(target, head, options).unwrap();
    let (mut previous, mut log) = (archiver.archived(), Vec::new());
    for number in 0..9_u8 {
        let lsn = Lsn::from_u64(previous.to_u64() + 64);
        let payload = format!("operation {number}");
        log.push((lsn.to_u64(), payload.clone()));
        let body = payload.clone().into_bytes();
        let brought = vec![(ContentId::of(&body), body)];
        let (wall_us, contents) = (header().wall_us + i64::from(number), vec![brought[0].0]);
        let entry = LogEntry { lsn, previous, wall_us, contents, payload: payload.into_bytes() };
        archiver.entry(entry, brought).unwrap();
        previous = lsn;
    }
    archiver.flush().unwrap();
    let json = serde_json::to_string_pretty(&ExpectedChain { states, log }).unwrap();
    fs::write(folder.join("expected.json"), json + "\n").unwrap();
}

#[track_caller]
fn check_chain(version: &str, encryption: Option<Encryption>) {
    if std::env::var_os("REHOME_MAKE_GOLDEN").is_some_and(|asked| asked == version) {
        make_chain(version, encryption.clone());
    }
    let folder = folder(version);
    let expected = fs::read(folder.join("expected.json")).unwrap();
    let expected: ExpectedChain = serde_json::from_slice(&expected).unwrap();
    let set = Set::open(Arc::new(DiskTarget::at(folder.join("set")))).unwrap();
    let set = match encryption {
        Some(_) => set.with_identities(Identities::parse(KEY).unwrap()),
        None => set,
    };
    let backups = set.list().unwrap();
    assert_eq!(backups.len(), expected.states.len());
    for (info, state) in backups.iter().zip(&expected.states) {
        assert!(set.check(info.id, CheckLevel::Deep, &mut |_| {}).unwrap().is_whole());
        assert_eq!(set.state(info.id, None).unwrap().mailboxes(), state);
    }
    assert!(set.check_logs(CheckLevel::Deep, &mut |_| {}).unwrap().damage.is_empty());
    let mut log = Vec::new();
    for info in set.logs().unwrap() {
        let segment = set.log(&info).unwrap();
        for entry in segment.entries(info.after) {
            let entry = entry.unwrap();
            assert_eq!(segment.content(&entry.contents[0]).unwrap(), entry.payload);
            log.push((entry.lsn.to_u64(), String::from_utf8(entry.payload).unwrap()));
        }
    }
    assert_eq!(log, expected.log);
}

#[test]
fn the_chain_and_log_of_version_1_are_read() {
    check_chain("v1-chain", None);
}

#[test]
fn the_catalog_that_log_follows_in_version_1_is_read() {
    check_chain("v1-catalog", None);
    let set = Set::open(Arc::new(DiskTarget::at(folder("v1-catalog").join("set")))).unwrap();
    let (full, first) = (&set.list().unwrap()[0], &set.logs().unwrap()[0]);
    assert_eq!(full.log_follows(), Some(first.after));
    let mut rows = String::new();
    let backup = set.backup(full.id).unwrap();
    backup.catalog_rows().unwrap().read_to_string(&mut rows).unwrap();
    assert_eq!(rows, "rows");
    assert_eq!(set.list().unwrap()[1].log_follows(), None);
}

#[test]
fn the_encrypted_chain_and_log_of_version_1_are_read() {
    let encryption = Encryption::new(vec![RECIPIENT.to_owned()], [42; 32]).unwrap();
    check_chain("v1-age", Some(encryption));
}

#[test]
fn the_archive_of_version_1_is_read() {
    check("v1");
}
