//! The comparison finds each kind of difference, and finds none where there is none.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use rehome_store::{
    ContentId, FlagChange, Flags, Flow, FolderId, FolderName, ImportOptions, LocalSource,
    MailboxId, OpenOptions, Store, Uid, import_source,
};

use super::{Baseline, Expected, Findings, compare};
use crate::testing::{append, folder, letter, mailbox, put, write_tree};

/// A tree on disk and the store that it was taken into.
struct Bench {
    scratch: tempfile::TempDir,
    store: Store,
    id: MailboxId,
}

impl Bench {
    fn new() -> Self {
        Self::with(|_| ())
    }

    /// The same with more in the tree.
    fn with(more: impl FnOnce(&Path)) -> Self {
        let scratch = tempfile::tempdir().expect("a scratch folder");
        let tree = scratch.path().join("alice");
        write_tree(&tree);
        more(&tree);
        let store = Store::create_at(&scratch.path().join("store"), OpenOptions::default());
        let store = store.expect("an empty folder");
        let (name, options) = (mailbox("alice"), ImportOptions::default());
        import_source(&tree, &name, None, &store, &options, &mut |_| Flow::Continue)
            .expect("a Maildir");
        let id = store.mailbox(&name).expect("readable").expect("imported").id;
        Bench { scratch, store, id }
    }

    fn path(&self, below: &str) -> PathBuf {
        self.scratch.path().join("alice").join(below)
    }

    /// The UID of the inbox's message that came from this file.
    fn uid(&self, base: &str) -> Uid {
        let inbox = self.inbox();
        let messages = self.store.messages(self.id, inbox, Uid(0), 100).expect("readable");
        let found = messages.iter().find(|one| one.origin.as_deref() == Some(base));
        found.expect("imported").uid
    }

    fn inbox(&self) -> rehome_store::FolderId {
        let inbox = self.store.folder(self.id, &FolderName::inbox()).expect("readable");
        inbox.expect("imported").id
    }

    fn append(&self, body: &str) {
        append(&self.store, (self.id, "INBOX"), body, Flags::NONE);
    }

    fn change(&self, base: &str, change: FlagChange) {
        let uid = self.uid(base);
        self.store.store_flags(self.id, self.inbox(), uid, change).expect("it is there");
    }

    fn expunge(&self, base: &str) {
        let uid = self.uid(base);
        self.store.expunge(self.id, self.inbox(), &[uid]).expect("it is there");
    }

    /// What was taken in, if nobody has changed anything yet.
    fn baseline(&self) -> Baseline {
        Baseline::of(&self.scratch.path().join("work"), &mailbox("alice"), &self.store)
    }

    fn compare(&self, delivered: &[&str], intact: Option<&HashSet<ContentId>>) -> Findings {
        self.compare_since(delivered, intact, None)
    }

    fn compare_since(
        &self,
        delivered: &[&str],
        intact: Option<&HashSet<ContentId>>,
        baseline: Option<Baseline>,
    ) -> Findings {
        let delivered = delivered.iter().map(|body| ContentId::of(body.as_bytes())).collect();
        let expected = Expected::read(&self.path(""), delivered).expect("a readable tree");
        let mut end = LocalSource::new(self.store.clone());
        compare(&mailbox("alice"), &expected, &mut end, intact, baseline).expect("a readable store")
    }
}

/// Makes one difference and expects `lost`, `altered` and `duplicated` to count it.
#[track_caller]
fn check(differ: impl FnOnce(&Bench), delivered: &[&str], expected: (u64, u64, u64)) {
    let bench = Bench::new();
    differ(&bench);
    let found = bench.compare(delivered, None);
    let counts = found.counts;
    assert_eq!((counts.lost, counts.altered, counts.duplicated), expected, "{found:?}");
    let (lost, altered, duplicated) = expected;
    assert_eq!(found.examples.len() as u64, lost + altered + duplicated, "{found:?}");
}

#[test]
fn what_was_imported_and_not_touched_is_equal() {
    check(|_| (), &[], (0, 0, 0));
}

#[test]
fn a_message_that_is_not_there_is_lost() {
    check(|bench| bench.expunge("1001.a.host"), &[], (1, 0, 0));
}

#[test]
fn a_flag_that_differs_is_altered() {
    let add = FlagChange { add: Flags::FLAGGED, ..FlagChange::default() };
    check(|bench| bench.change("1001.a.host", add), &[], (0, 1, 0));
    let remove = FlagChange { remove: Flags::SEEN, ..FlagChange::default() };
    check(|bench| bench.change("1001.a.host", remove), &[], (0, 1, 0));
}

#[test]
fn a_keyword_that_differs_is_altered() {
    let keywords = vec!["Later".to_owned()];
    let add = FlagChange { add_keywords: keywords.clone(), ..FlagChange::default() };
    check(|bench| bench.change("1001.a.host", add), &[], (0, 1, 0));
    let remove = FlagChange { remove_keywords: keywords, ..FlagChange::default() };
    check(|bench| bench.change("1002.a.host", remove), &[], (0, 1, 0));
}

#[test]
fn a_date_that_differs_by_a_second_is_altered() {
    let touch = |bench: &Bench| {
        put(&bench.path("cur/1001.a.host:2,S"), &letter("one"), 1_600_000_002);
    };
    check(touch, &[], (0, 1, 0));
}

#[test]
fn a_message_in_another_folder_is_altered() {
    let to_sent = |bench: &Bench| {
        let (from, to) = ("cur/1001.a.host:2,S", ".Sent/cur/1001.a.host:2,S");
        std::fs::rename(bench.path(from), bench.path(to)).expect("writable");
    };
    check(to_sent, &[], (0, 1, 0));
}

#[test]
fn a_byte_that_differs_is_altered() {
    let spoil = |bench: &Bench| {
        put(&bench.path("cur/1001.a.host:2,S"), &letter("onE"), 1_600_000_001);
    };
    check(spoil, &[], (0, 1, 0));
}

#[test]
fn a_message_that_moved_from_new_to_cur_is_altered() {
    let seen = |bench: &Bench| {
        let (from, to) = (bench.path("new/1003.a.host"), bench.path("cur/1003.a.host:2,"));
        std::fs::rename(from, to).expect("writable");
    };
    check(seen, &[], (0, 1, 0));
}

#[test]
fn a_message_that_is_there_twice_is_duplicated() {
    check(|bench| bench.append(&letter("one")), &[], (0, 0, 1));
}

#[test]
fn an_acknowledged_delivery_that_is_not_there_is_lost() {
    let body = letter("delivered");
    check(|_| (), &[&body], (1, 0, 0));
    check(|bench| bench.append(&body), &[&body], (0, 0, 0));
    check(|bench| bench.append(&body), &[&body, &body], (1, 0, 0));
}

#[test]
fn a_delivery_that_was_stored_twice_is_duplicated() {
    let body = letter("delivered");
    let twice = |bench: &Bench| (0..2).for_each(|_| bench.append(&body));
    check(twice, &[&body], (0, 0, 1));
}

#[test]
fn mail_that_nobody_told_us_of_is_not_counted() {
    check(|bench| bench.append(&letter("from elsewhere")), &[], (0, 0, 0));
}

#[test]
fn a_lost_message_is_not_made_good_by_another_with_the_same_name() {
    // The twin by name may stand for one message only.
    let replace = |bench: &Bench| {
        put(&bench.path("cur/1001.a.host:2,S"), &letter("other"), 1_600_000_001);
        let again = bench.path(".Sent/cur/1001.a.host:2,S");
        put(&again, &letter("another"), 1_600_000_001);
    };
    check(replace, &[], (1, 1, 0));
}

#[test]
fn bytes_that_cannot_be_read_are_altered_unless_a_second_try_reads_them() {
    let bench = Bench::new();
    let mut intact: HashSet<ContentId> =
        ["two", "three", "four"].map(|subject| ContentId::of(letter(subject).as_bytes())).into();
    let missing = ContentId::of(letter("one").as_bytes());
    let found = bench.compare(&[], Some(&intact));
    assert_eq!(found.unread.len(), 1, "{found:?}");
    assert_eq!(found.unread[0].0, missing);
    let mut first = found.clone();
    first.judge_unread(&HashSet::new());
    assert_eq!((first.counts.altered, first.unread.len()), (1, 0));
    let mut second = found;
    second.judge_unread(&[missing].into());
    assert_eq!(second.counts.altered, 0);
    intact.insert(missing);
    assert!(bench.compare(&[], Some(&intact)).unread.is_empty());
}

#[test]
fn findings_of_many_mailboxes_are_summed_and_a_few_are_named() {
    let bench = Bench::new();
    let mut all = Findings::default();
    for _ in 0..30 {
        all.add(bench.compare(&["never stored"], None));
    }
    assert_eq!((all.counts.lost, all.counts.source, all.counts.target), (30, 150, 120));
    assert_eq!(all.examples.len(), super::EXAMPLES_MAX);
}

/// Lets a user do something after everything was taken in, and expects so many messages to be
/// changed, and so many lost, altered and duplicated.
#[track_caller]
fn check_since(
    work: impl FnOnce(&Bench, &mut Baseline),
    delivered: &[&str],
    changed: u64,
    expected: (u64, u64, u64),
) {
    let bench = Bench::new();
    let mut baseline = bench.baseline();
    work(&bench, &mut baseline);
    let found = bench.compare_since(delivered, None, Some(baseline));
    let counts = found.counts;
    assert_eq!((counts.lost, counts.altered, counts.duplicated), expected, "{found:?}");
    assert_eq!(found.changed, changed, "{found:?}");
}

const FLAGGED: fn() -> FlagChange = || FlagChange { add: Flags::FLAGGED, ..FlagChange::default() };

#[test]
fn what_a_user_has_changed_since_is_no_difference() {
    check_since(|_, _| (), &[], 0, (0, 0, 0));
    check_since(|bench, _| bench.expunge("1001.a.host"), &[], 1, (0, 0, 0));
    let others = |bench: &Bench, _: &mut Baseline| {
        // One with several flags and a keyword, and one that nobody has looked for.
        ["1002.a.host", "1003.a.host"].iter().for_each(|base| bench.expunge(base));
    };
    check_since(others, &[], 2, (0, 0, 0));
    check_since(|bench, _| bench.change("1001.a.host", FLAGGED()), &[], 1, (0, 0, 0));
    let sorted = |bench: &Bench, _: &mut Baseline| {
        append(&bench.store, (bench.id, "Sorted"), &letter("one"), Flags::SEEN);
        bench.expunge("1001.a.host");
    };
    check_since(sorted, &[], 1, (0, 0, 0));
    let copied = |bench: &Bench, _: &mut Baseline| {
        append(&bench.store, (bench.id, "Sorted"), &letter("one"), Flags::SEEN);
    };
    check_since(copied, &[], 0, (0, 0, 0));
}

#[test]
fn a_folder_that_a_user_renames_or_deletes_is_no_difference() {
    let change = |change: fn(&Bench, FolderId)| {
        // A message of the inbox is in the other folder too.
        let twin = |tree: &Path| {
            put(&tree.join(".Sent/cur/1005.a.host:2,S"), &letter("one"), 1_600_000_005);
        };
        let bench = Bench::with(twin);
        let baseline = bench.baseline();
        let sent = bench.store.folder(bench.id, &folder("Sent")).expect("readable");
        change(&bench, sent.expect("imported").id);
        let found = bench.compare_since(&[], None, Some(baseline));
        let counts = found.counts;
        assert_eq!((counts.lost, counts.altered, counts.duplicated), (0, 0, 0), "{found:?}");
        assert_eq!(found.changed, 2, "{found:?}");
    };
    change(|bench, sent| {
        bench.store.rename_folder(bench.id, sent, &folder("Kept")).expect("a free name");
    });
    change(|bench, sent| bench.store.delete_folder(bench.id, sent).expect("deletable"));
}

#[test]
fn what_nobody_has_changed_since_is_still_a_difference() {
    // As a fault leaves it: the row has gone or differs under a number that nobody gave it later.
    let later = |bench: &Bench, baseline: &mut Baseline| {
        let info = bench.store.mailbox(&mailbox("alice")).expect("readable").expect("there");
        baseline.highest = info.highest_modseq;
    };
    let gone = |bench: &Bench, baseline: &mut Baseline| {
        bench.expunge("1001.a.host");
        later(bench, baseline);
    };
    check_since(gone, &[], 0, (1, 0, 0));
    let marked = |bench: &Bench, baseline: &mut Baseline| {
        bench.change("1001.a.host", FLAGGED());
        later(bench, baseline);
    };
    check_since(marked, &[], 0, (0, 1, 0));
    // Twice in its own folder is twice, and so is a delivery.
    check_since(|bench, _| bench.append(&letter("one")), &[], 0, (0, 0, 1));
    let body = letter("delivered");
    let twice = |bench: &Bench, _: &mut Baseline| (0..2).for_each(|_| bench.append(&body));
    check_since(twice, &[&body], 0, (0, 0, 1));
    check_since(|_, _| (), &[&body], 0, (1, 0, 0));
    let spoil = |bench: &Bench, _: &mut Baseline| {
        put(&bench.path("cur/1001.a.host:2,S"), &letter("onE"), 1_600_000_001);
    };
    check_since(spoil, &[], 0, (0, 1, 0));
}

#[test]
fn a_message_of_another_date_was_not_marked_but_altered() {
    let touched = |bench: &Bench, _: &mut Baseline| {
        bench.change("1001.a.host", FLAGGED());
        put(&bench.path("cur/1001.a.host:2,S"), &letter("one"), 1_600_000_002);
    };
    check_since(touched, &[], 0, (0, 1, 0));
}
