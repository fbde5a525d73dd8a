//! Sets that were made to do harm: whatever their names say, nothing is written outside of the
//! place that was given.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rehome_archive::{
    BackupHeader, BackupKind, BackupWriter, ContentId, DiskTarget, FolderOutline, MailboxOutline,
    MessageOutline, StoreId, WriterOptions,
};
use rehome_log::Lsn;

use super::{RestoreRequest, RestoreTo, restore};
use crate::jobs::{ExportFormat, archive_salvage};
use crate::testing::quiet;

/// A set whose one message is called `origin` and lies in `folder` of `mailbox`.
fn hostile(set: &Path, mailbox: &str, folder: &str, origin: &str) {
    let body = b"Subject: harm\r\n\r\nharm\r\n";
    let content = ContentId::of(body);
    let message = MessageOutline {
        uid: 1,
        modseq: 2,
        flags: 0,
        keywords: vec![origin.to_owned()],
        internal_date_seconds: 1_700_000_000,
        size_bytes: body.len() as u64,
        content,
        origin: Some(origin.to_owned()),
    };
    let at = |name: &str, messages| FolderOutline {
        name: name.to_owned(),
        uidvalidity: 1,
        uidnext: 2,
        modseq: 2,
        attributes: BTreeMap::from([(origin.to_owned(), origin.to_owned())]),
        messages,
    };
    let folders = vec![at("INBOX", Vec::new()), at(folder, vec![message])];
    let outline = MailboxOutline {
        name: mailbox.to_owned(),
        attributes: BTreeMap::new(),
        subscriptions: vec![origin.to_owned()],
        highest_modseq: 2,
        folders,
        changes: None,
    };
    let header = BackupHeader {
        kind: BackupKind::Full,
        store_id: StoreId([9; 16]),
        store_epoch: 1,
        lsn_begin: Lsn::new(1, 8),
        lsn_end: Lsn::new(1, 8),
        wall_us: 1_700_000_000_000_000,
        software: "harm".to_owned(),
        account: "harm".to_owned(),
    };
    let target = Arc::new(DiskTarget::at(set));
    let mut writer = BackupWriter::begin(target, header, WriterOptions::default()).expect("a set");
    writer.outline(&outline).expect("an outline");
    writer.content(content, &[0], body).expect("a content");
    writer.finish().expect("a whole backup");
}

/// Every file and folder below `path` but for those below `place`, which may be anything.
fn others(path: &Path, place: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path == place {
            continue;
        }
        if path.is_dir() {
            found.extend(others(&path, place));
        }
        found.push(path);
    }
    found.sort();
    found
}

/// Restores in every way; nothing but the place that is named changes.
#[track_caller]
fn check(mailbox: &str, folder: &str, origin: &str) {
    let root = tempfile::tempdir().expect("a folder");
    let work = root.path().join("a/b/c");
    std::fs::create_dir_all(&work).expect("writable");
    let set = work.join("set");
    hostile(&set, mailbox, folder, origin);
    let place = work.join("place");
    let files = |format| RestoreTo::Files(place.clone(), format);
    for to in [
        files(ExportFormat::Maildir),
        files(ExportFormat::Mbox),
        files(ExportFormat::Eml),
        RestoreTo::Store(place.clone()),
    ] {
        let request = RestoreRequest::whole(set.clone(), to.clone());
        let before = others(root.path(), &place);
        let restored = restore(&request, &mut quiet).map(drop);
        let context = format!("{mailbox:?} {folder:?} {origin:?} {to:?}: {restored:?}");
        assert_eq!(others(root.path(), &place), before, "{context}");
        if place.exists() {
            std::fs::remove_dir_all(&place).expect("removable");
        }
    }
    let before = others(root.path(), &place);
    let salvaged = archive_salvage(&set, None, &place, &mut quiet).map(drop);
    assert_eq!(others(root.path(), &place), before, "{mailbox:?} {folder:?}: {salvaged:?}");
}

#[test]
fn names_that_climb_out_write_nothing_outside() {
    for name in ["../evil", "../../evil", "/tmp/rehome-evil", "a/../../../evil", "..", ".", "a\0b"]
    {
        check(name, "Work", "1.M1P1.host");
        check("alice", name, "1.M1P1.host");
        check("alice", &format!("Work/{name}"), "1.M1P1.host");
        check("alice", "Work", name);
    }
    assert!(!Path::new("/tmp/rehome-evil").exists());
}
