//! What the tests of several modules share: a small tree, a rich store, and a store's whole state.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use rehome_store::{
    Append, ContentId, Flags, FolderName, LocalSource, MailboxEnd as _, MailboxId, MailboxName,
    MailboxState, NewFolder, OpenOptions, Store, Uid, UidValidity,
};

use crate::event::{Event, Flow};

/// An observer that lets everything go on.
pub(crate) fn quiet(_event: Event) -> Flow {
    Flow::Continue
}

/// An observer that asks to stop at once.
pub(crate) fn stop(_event: Event) -> Flow {
    Flow::Stop
}

/// A checked mailbox name.
pub(crate) fn mailbox(name: &str) -> MailboxName {
    MailboxName::try_from(name).expect("a mailbox name")
}

/// A checked folder name.
pub(crate) fn folder(name: &str) -> FolderName {
    FolderName::try_from(name).expect("a folder name")
}

/// Writes a message file with a time of its own.
pub(crate) fn put(path: &Path, body: &str, seconds: u64) {
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("writable");
    std::fs::write(path, body).expect("writable");
    let file = File::options().write(true).open(path).expect("it was written");
    file.set_modified(UNIX_EPOCH + Duration::from_secs(seconds)).expect("a settable time");
}

/// A message as people send it.
pub(crate) fn letter(subject: &str) -> String {
    format!("From: a@example.org\r\nSubject: {subject}\r\n\r\nThis is {subject}.\r\n")
}

/// Writes a Maildir++ tree: three messages in the inbox, one of them new, and one in `Sent`.
pub(crate) fn write_tree(tree: &Path) {
    for folder in ["cur", "new", "tmp", ".Sent/cur", ".Sent/new", ".Sent/tmp"] {
        std::fs::create_dir_all(tree.join(folder)).expect("writable");
    }
    std::fs::write(tree.join(".Sent/maildirfolder"), "").expect("writable");
    std::fs::write(tree.join("dovecot-keywords"), "1 Later\n").expect("writable");
    put(&tree.join("cur/1001.a.host:2,S"), &letter("one"), 1_600_000_001);
    put(&tree.join("cur/1002.a.host:2,RSb"), &letter("two"), 1_600_000_002);
    put(&tree.join("new/1003.a.host"), &letter("three"), 1_600_000_003);
    put(&tree.join(".Sent/cur/1004.a.host:2,"), &letter("four"), 1_600_000_004);
}

/// Adds a message to a folder, which is made if need be.
pub(crate) fn append(store: &Store, to: (MailboxId, &str), body: &str, flags: Flags) -> Uid {
    let folder = store.create_folder(to.0, &folder(to.1), NewFolder::default()).expect("a folder");
    let append = Append {
        body: body.as_bytes().to_vec(),
        internal_date_seconds: 1_600_000_100,
        flags,
        keywords: vec!["$Label1".to_owned(), "später".to_owned()],
        uid: None,
        origin: None,
    };
    store.append_batch(vec![(to.0, folder.id, append)]).expect("room")[0]
}

/// A store with whatever a store can hold: two mailboxes with a message in common, folders beyond
/// ASCII and an empty one, flags, keywords, gaps in the UIDs, subscriptions, attributes.
pub(crate) fn rich_store(path: &Path) -> Store {
    let store = Store::create_at(path, OpenOptions::default()).expect("an empty folder");
    for name in ["alice", "bob"] {
        let id = store.create_mailbox(&mailbox(name), MailboxState::Active).expect("a new one");
        let inbox = append(&store, (id, "INBOX"), &letter("common"), Flags::SEEN);
        append(&store, (id, "INBOX"), &letter(name), Flags::FLAGGED.union(Flags::DRAFT));
        append(&store, (id, "Entwürfe/日本語"), &letter("common"), Flags::RECENT);
        let validity = NewFolder {
            uidvalidity: Some(UidValidity(77)),
            uidnext: Some(Uid(500)),
            attributes: [("color".to_owned(), "blau".to_owned())].into(),
        };
        store.create_folder(id, &folder("Empty"), validity).expect("a new one");
        append(&store, (id, "Empty/below"), &letter("below"), Flags::NONE);
        let info = store.folder(id, &FolderName::inbox()).expect("readable").expect("there");
        store.expunge(id, info.id, &[inbox]).expect("it is there");
        store.set_subscriptions(id, vec!["Entwürfe/日本語".to_owned()]).expect("writable");
        store.set_attribute(id, "quota", Some("1 GiB")).expect("writable");
    }
    store
}

/// Everything that users can see in one mailbox, and its digest, one line for each thing. The
/// numbers that a store gives to mailboxes and folders are its own affair.
pub(crate) fn image(store: &Store, name: &str) -> Vec<String> {
    let info = store.mailbox(&mailbox(name)).expect("readable").expect("there");
    let mut lines = vec![format!(
        "{} {:?} {:?} {:?} {} messages {} bytes {:?}",
        info.name,
        info.state,
        info.subscriptions,
        info.attributes,
        info.messages,
        info.bytes,
        info.highest_modseq
    )];
    let mut folders = store.folders(info.id).expect("readable");
    folders.sort_by(|a, b| a.name.cmp(&b.name));
    for one in folders {
        lines.push(format!(
            "{} {:?} {:?} {:?} {:?} {} messages",
            one.name, one.uidvalidity, one.uidnext, one.attributes, one.modseq, one.messages
        ));
        for message in store.messages(info.id, one.id, Uid(0), usize::MAX).expect("readable") {
            let (_, body) = store.read(info.id, one.id, message.uid).expect("readable");
            assert_eq!(ContentId::of(&body), message.content);
            lines.push(format!("{message:?}"));
        }
    }
    let digest = LocalSource::new(store.clone()).digest(&mailbox(name)).expect("readable");
    lines.push(format!("{digest:?}"));
    lines
}
