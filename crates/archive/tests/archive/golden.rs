//! Archives of every version ever released must be read for ever.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rehome_archive::{CheckLevel, ContentId, DiskTarget, MailboxOutline, Set, Target};
use serde::{Deserialize, Serialize};

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

#[test]
fn the_archive_of_version_1_is_read() {
    check("v1");
}
