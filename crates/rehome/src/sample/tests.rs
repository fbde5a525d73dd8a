//! A sample is the same for each seed and has in it what it promises.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::message::{base64, modified_utf7};
use super::*;

/// Every file below a folder: its name, its bytes, its time.
type Tree = BTreeMap<String, (Vec<u8>, std::time::SystemTime)>;

/// Reads a folder whole.
fn tree(root: &Path) -> Tree {
    let mut files = Tree::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            let time = fs::metadata(&path).unwrap().modified().unwrap();
            files.insert(name, (fs::read(&path).unwrap(), time));
        }
    }
    files
}

/// Writes a sample and reads it back.
#[track_caller]
fn check(options: &SampleOptions) -> (SampleReport, Tree) {
    let dir = tempfile::tempdir().unwrap();
    let report = write_sample(dir.path(), options).unwrap();
    let files = tree(dir.path());
    let messages: Vec<_> = files.iter().filter(|(name, _)| is_message(name)).collect();
    assert_eq!(messages.len(), report.messages);
    assert_eq!(messages.len(), options.mailboxes * options.messages);
    assert_eq!(
        messages.iter().map(|(_, (bytes, _))| bytes.len() as u64).sum::<u64>(),
        report.bytes
    );
    (report, files)
}

fn sized(mailboxes: usize, messages: usize) -> SampleOptions {
    SampleOptions { mailboxes, messages, ..SampleOptions::default() }
}

fn is_message(name: &str) -> bool {
    name.contains("/cur/") || name.contains("/new/")
}

#[test]
fn the_same_seed_writes_the_same_files_with_the_same_times() {
    let options = SampleOptions { mailboxes: 3, messages: 20, seed: 7, ..SampleOptions::default() };
    let (_, first) = check(&options);
    assert_eq!(check(&options).1, first);
    assert_ne!(check(&SampleOptions { seed: 8, ..options }).1, first);
}

#[test]
fn about_a_quarter_of_the_messages_lies_in_several_mailboxes() {
    let (report, files) = check(&SampleOptions::default());
    let mut owners: BTreeMap<&[u8], BTreeSet<&str>> = BTreeMap::new();
    for (name, (bytes, _)) in files.iter().filter(|(name, _)| is_message(name)) {
        owners.entry(bytes).or_default().insert(name.split('/').nth(1).unwrap());
    }
    let shared: usize = owners.values().map(BTreeSet::len).filter(|count| *count > 1).sum();
    assert_eq!(shared, report.shared_messages);
    assert!((20..=30).contains(&(shared * 100 / report.messages)), "{shared}");
}

#[test]
fn the_default_sample_has_every_feature_of_a_real_tree() {
    let (report, files) = check(&SampleOptions::default());
    assert_eq!((report.mailboxes, report.messages), (12, 720));
    assert!((2_000_000..20_000_000).contains(&report.bytes), "{}", report.bytes);
    for part in [
        "mail/alice/cur/",
        "/new/",
        "/.Sent/",
        "/.Archive.2023/",
        "/.Entw&APw-rfe/",
        "/.Projects.S&APw-d &- West/",
        "/.&ZeVnLIqe-/",
        "dovecot-keywords",
        "dovecot-uidlist",
        "subscriptions",
        "maildirfolder",
        ":2,FS",
        ":2,DS",
        "Sa",
        "site.toml",
        "directory.ldif",
    ] {
        assert!(files.keys().any(|name| name.contains(part)), "{part}");
    }
    let has = |text: &[u8]| {
        files.values().any(|(bytes, _)| bytes.windows(text.len()).any(|window| window == text))
    };
    assert!(has(b"Content-Transfer-Encoding: base64") && has(b"\nFrom what"));
}

#[test]
fn a_folder_that_holds_something_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("mine"), "precious").unwrap();
    let error = write_sample(dir.path(), &SampleOptions::default()).unwrap_err();
    assert!(matches!(error, SampleError::NotEmpty { .. }), "{error}");
    assert_eq!(tree(dir.path()).len(), 1);
}

#[test]
fn shares_and_sizes_are_as_they_were_asked_for() {
    let of = |shared_percent, size_percent| {
        let options = SampleOptions { shared_percent, size_percent, ..sized(10, 40) };
        check(&options).0
    };
    assert_eq!(of(0, 100).shared_messages, 0);
    let most = of(SAMPLE_SHARED_PERCENT_MAX, 100);
    assert!((180..=210).contains(&most.shared_messages), "{most:?}");
    assert!(of(25, 400).bytes > 2 * of(25, 100).bytes);
    let more = SampleOptions { shared_percent: 51, ..SampleOptions::default() };
    let error = write_sample(Path::new("/nowhere"), &more).unwrap_err();
    assert_eq!(error.to_string(), "a sample cannot have 51 % shared; choose from 0 to 50");
}

#[test]
fn samples_of_one_mailbox_and_of_no_messages_can_be_written() {
    let (report, _) = check(&sized(1, 3));
    assert_eq!(report.shared_messages, 0);
    check(&sized(2, 0));
    check(&sized(80, 1));
    let none = sized(0, 1);
    let error = write_sample(Path::new("/nowhere"), &none).unwrap_err();
    assert_eq!(error.to_string(), "a sample cannot have 0 mailboxes; choose from 1 to 100000");
}

#[test]
fn encodings_match_the_examples_of_their_rfcs() {
    for (text, expected) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foobar", "Zm9vYmFy")] {
        assert_eq!(base64(text.as_bytes()), expected);
    }
    assert_eq!(modified_utf7("~peter/mail/台北/日本語"), "~peter/mail/&U,BTFw-/&ZeVnLIqe-");
    assert_eq!(modified_utf7("A&B"), "A&-B");
}

#[test]
fn the_directory_export_keeps_its_lines_short_and_its_names_whole() {
    let (_, files) = check(&sized(12, 0));
    let text = String::from_utf8(files["directory.ldif"].0.clone()).unwrap();
    assert!(text.lines().all(|line| line.len() <= 76));
    assert_eq!(text.replace("\n ", "").lines().filter(|line| line.starts_with("dn:")).count(), 13);
    assert!(text.contains("displayName:: "), "a name beyond ASCII is encoded");
}
