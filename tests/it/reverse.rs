//! Waves taken back after users have worked on the new side for a while.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use rehome::parts::log::SplitMix64;
use rehome::parts::server::{MailClient, Recipient, StoreClient};
use rehome::parts::store::{
    Append, FlagChange, Flags, FolderName, MailboxDigest, MailboxState, OpenOptions, Store,
};
use rehome_tests::cluster::{Nodes, OldServer, named};
use rehome_tests::{Run, run, tree};
use serde_json::Value;

use crate::{REHOME, sample};

/// A sample site that is migrated up to the gate before the point of no return.
struct Site {
    _scratch: tempfile::TempDir,
    folder: String,
    work: PathBuf,
}

impl Site {
    /// Migrates with traffic; in waves of so many mailboxes, if they are limited.
    fn at_the_gate(test: u8, mailboxes: usize, wave: Option<usize>) -> Site {
        let site = Site::new(test, mailboxes, wave);
        site.expect_gate(&site.migrate(&[]));
        site
    }

    fn new(test: u8, mailboxes: usize, wave: Option<usize>) -> Site {
        let scratch = tempfile::tempdir().expect("a scratch folder");
        let folder = sample(scratch.path(), test, mailboxes, 12);
        if let Some(wave) = wave {
            let file = Path::new(&folder).join("site.toml");
            let text = std::fs::read_to_string(&file).expect("a site.toml");
            let text = format!("{text}\n[waves]\nmailboxes_max = {wave}\n");
            std::fs::write(&file, text).expect("writable");
        }
        Site { work: scratch.path().join("work"), folder, _scratch: scratch }
    }

    #[track_caller]
    fn expect_gate(&self, gate: &Run) {
        assert_eq!(gate.code, Some(4), "{gate:?}");
        assert!(gate.stderr.contains("--confirm M4"), "{gate:?}");
    }

    fn shown(&self) -> String {
        self.work.display().to_string()
    }

    fn migrate(&self, more: &[&str]) -> Run {
        self.migrate_quietly(&[&["--traffic"], more].concat())
    }

    fn migrate_quietly(&self, more: &[&str]) -> Run {
        let work = self.shown();
        let fixed = ["migrate", &self.folder, "--work", &work, "--route", "move-users", "--json"];
        run(REHOME, &[&fixed[..], more].concat())
    }

    fn reverse(&self, more: &[&str]) -> Run {
        run(REHOME, &[&["reverse", &self.shown(), "--json"], more].concat())
    }

    /// The mailboxes that a step of the plan moves.
    fn moved_by(&self, step: &str) -> Vec<String> {
        let plan = std::fs::read(self.work.join("plan.json")).expect("a plan");
        let plan: Value = serde_json::from_slice(&plan).expect("JSON");
        let steps = plan["steps"].as_array().expect("steps");
        let step = steps.iter().find(|one| one["id"] == step).expect("the step");
        let names = step["action"]["mailboxes"].as_array().expect("mailboxes");
        names.iter().map(|name| name.as_str().expect("a name").to_owned()).collect()
    }

    /// The digest of each mailbox of a closed store.
    fn digests(&self, store: &str) -> BTreeMap<String, String> {
        let store = self.work.join(store).display().to_string();
        let run = run(REHOME, &["store", "digest", &store, "--json"]);
        assert_eq!(run.code, Some(0), "{run:?}");
        let found = run.json();
        let mailboxes = found["mailboxes"].as_object().expect("mailboxes").iter();
        let digest = |one: &Value| one["digest"].as_str().expect("a digest").to_owned();
        mailboxes.map(|(name, one)| (name.clone(), digest(one))).collect()
    }
}

const OLD_STORE: &str = "servers/EX1/store";
const NEW_STORE: &str = "cluster/shared/store";

/// A message of about so many bytes that no other one is equal to.
fn message(number: usize, size: usize, random: &mut SplitMix64) -> Vec<u8> {
    let mut body = format!("Subject: after the move {number}\r\n\r\n");
    while body.len() < size {
        body.push_str(&format!("{:016x}\r\n", random.next_u64()));
    }
    body.into_bytes()
}

/// Works in a mailbox at the new server as its user does.
fn work_in(nodes: &Nodes, mailbox: &str, random: &mut SplitMix64) -> MailboxDigest {
    let mut user = nodes.user("EXCL1", mailbox);
    assert_eq!(user.logon().expect("the new server sends nobody away").server, "EXCL1");
    work_at(&mut user, nodes.store("EXCL1"), mailbox, random)
}

/// Works in a mailbox: mail comes, is marked, sorted into a new folder, deleted.
fn work_at(
    user: &mut MailClient<impl Fn(&str) -> Option<String>>,
    mut store: StoreClient,
    mailbox: &str,
    random: &mut SplitMix64,
) -> MailboxDigest {
    let inbox = FolderName::inbox();
    for number in 0..5 {
        user.deliver(&message(number, 9_000, random)).expect("delivered");
    }
    let messages = user.messages(&inbox).expect("an inbox");
    let (first, last) = (messages.first().expect("mail"), messages.last().expect("mail"));
    let keywords = vec!["Later".to_owned()];
    let change =
        FlagChange { add: Flags::FLAGGED, add_keywords: keywords, ..FlagChange::default() };
    user.flags(&inbox, first.uid, &change).expect("flags");
    let name = named(mailbox);
    // Sorted: appended to another folder, and gone from the first; one that was there from the
    // beginning, and one that has come since.
    let folder = FolderName::try_from("Sorted").expect("a folder's name");
    store.create_folder(&name, &folder, BTreeMap::new()).expect("a folder");
    let mut gone = vec![messages[messages.len() / 2].uid];
    for sorted in [&messages[1], last] {
        let (_, bytes) = user.fetch(&inbox, sorted.uid).expect("its bytes");
        let folder = Some(folder.clone());
        let to = Recipient { folder, flags: Flags::SEEN, ..Recipient::new(name.clone()) };
        store.deliver(&to, &bytes).expect("sorted");
        gone.push(sorted.uid);
    }
    gone.sort_unstable();
    assert_eq!(store.expunge(&name, &inbox, gone.clone()).expect("deleted"), gone);
    store.digest(&name).expect("a digest")
}

#[test]
fn a_reversed_wave_has_everything_that_users_did_on_the_new_side() {
    let site = Site::at_the_gate(61, 4, Some(2));
    let (first, second) = (site.moved_by("M1w0"), site.moved_by("M1w1"));
    let mut random = SplitMix64::new(31);
    let nodes = Nodes::start(REHOME, &site.work, &["N1", "N2"]);
    let mut worked = BTreeMap::new();
    for mailbox in first.iter().chain(&second) {
        worked.insert(mailbox.clone(), work_in(&nodes, mailbox, &mut random).digest);
    }
    drop(nodes);
    let before = site.digests(OLD_STORE);
    assert!(first.iter().all(|name| before[name] != worked[name]), "the old side has it already");
    let back = site.reverse(&["--wave", "1"]);
    let back = back.expect_whole();
    assert_eq!((back["wave"].as_str(), back["to"].as_str()), (Some("wave 1"), Some("EX1")));
    // Contents, UIDs, UIDVALIDITY, flags, keywords, dates and folders: all that a digest is of.
    let (old, new) = (site.digests(OLD_STORE), site.digests(NEW_STORE));
    for mailbox in &first {
        assert_eq!(old[mailbox], worked[mailbox], "{mailbox} is not as its user left it");
    }
    for mailbox in &second {
        assert_eq!(old[mailbox], before[mailbox], "{mailbox} is of another wave");
        assert_eq!(new[mailbox], worked[mailbox], "{mailbox} is of another wave");
    }
    let changes = run(REHOME, &["directory", "changes", &site.shown()]);
    let moved = |name: &String| changes.stdout.contains(&format!("dn: CN={name},"));
    assert!(!first.iter().any(moved) && second.iter().all(moved), "{changes:?}");
    let again = site.reverse(&["--wave", "wave 1"]);
    assert_eq!(again.code, Some(0), "taken back is taken back: {again:?}");
    assert_eq!(site.digests(OLD_STORE), old);
    let status = run(REHOME, &["status", &site.shown(), "--json"]).json();
    assert!(status["next"].as_str().is_some_and(|next| next.starts_with("M1w0")), "{status}");
    let both = site.reverse(&["--wave", "2"]);
    assert_eq!(both.code, Some(0), "the other wave can follow: {both:?}");
    let old = site.digests(OLD_STORE);
    assert!(second.iter().all(|name| old[name] == worked[name]));
}

#[test]
fn what_users_did_between_a_reversal_and_the_next_move_is_no_difference() {
    let site = Site::new(64, 3, None);
    site.expect_gate(&site.migrate_quietly(&[]));
    let mailboxes = site.moved_by("M1");
    let mut random = SplitMix64::new(33);
    let nodes = Nodes::start(REHOME, &site.work, &["N1", "N2"]);
    for mailbox in &mailboxes {
        work_in(&nodes, mailbox, &mut random);
    }
    drop(nodes);
    let back = site.reverse(&[]);
    assert_eq!(back.code, Some(0), "{back:?}");
    let old = OldServer::start(REHOME, &site.work, "EX1");
    let mut worked = BTreeMap::new();
    for mailbox in &mailboxes {
        let digest = work_at(&mut old.user(mailbox), old.store(), mailbox, &mut random);
        worked.insert(mailbox.clone(), digest.digest);
    }
    drop(old);
    site.expect_gate(&site.migrate_quietly(&[]));
    let new = site.digests(NEW_STORE);
    for mailbox in &mailboxes {
        assert_eq!(new[mailbox], worked[mailbox], "{mailbox} is not as its user left it");
    }
    let done = site.migrate_quietly(&["--confirm", "all"]);
    done.expect_whole();
}

#[test]
fn mail_that_the_old_server_has_alone_is_lost_whoever_delivered_it() {
    let site = Site::new(65, 2, None);
    site.expect_gate(&site.migrate_quietly(&[]));
    let mailbox = named(&site.moved_by("M1")[0]);
    let back = site.reverse(&[]);
    assert_eq!(back.code, Some(0), "{back:?}");
    site.expect_gate(&site.migrate_quietly(&[]));
    // As if the move had left a message behind that came after what was taken in.
    let path = site.work.join(OLD_STORE);
    let store = Store::open_at(&path, OpenOptions::default()).expect("a closed store");
    let info = store.mailbox(&mailbox).expect("readable").expect("it has kept its copy");
    store.set_state(info.id, MailboxState::Active).expect("active again");
    let inbox = store.folder(info.id, &FolderName::inbox()).expect("readable").expect("there").id;
    let new = Append {
        body: message(1, 500, &mut SplitMix64::new(34)),
        internal_date_seconds: 1_700_000_000,
        flags: Flags::NONE,
        keywords: Vec::new(),
        uid: None,
        origin: None,
    };
    store.append_batch(vec![(info.id, inbox, new)]).expect("stored");
    store.set_state(info.id, info.state).expect("as it was");
    store.close().expect("closed");
    let lost = site.migrate_quietly(&["--confirm", "all"]);
    assert_eq!(lost.code, Some(6), "{lost:?}");
    assert!(lost.stderr.contains("1 lost, 0 altered, 0 duplicated"), "{lost:?}");
}

/// Starts a reversal and kills it so long after the journal says `record`; whether it had not ended
/// before.
fn kill_at(site: &Site, record: &str, after: Duration) -> bool {
    let args = ["reverse", &site.shown(), "--traffic", "--rate", "60KB/s"].map(ToOwned::to_owned);
    let mut child = Command::new(REHOME)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts");
    let wanted = format!("\"rec\":\"{record}\"");
    let count = || {
        let journal = std::fs::read(site.work.join("journal")).expect("a journal");
        String::from_utf8_lossy(&journal).matches(&wanted).count()
    };
    let before = count();
    while count() == before && child.try_wait().expect("a child").is_none() {
        std::thread::park_timeout(Duration::from_millis(1));
    }
    std::thread::park_timeout(after);
    let running = child.try_wait().expect("a child").is_none();
    child.kill().expect("a child that can be killed, or is gone");
    child.wait().expect("a child");
    running
}

#[test]
fn a_killed_reversal_goes_on_and_loses_nothing_and_so_does_the_plan() {
    let seed = 32;
    rehome_tests::tell(&format!("seed {seed}"));
    let mut random = SplitMix64::new(seed);
    let site = Site::at_the_gate(62, 3, None);
    let nodes = Nodes::start(REHOME, &site.work, &["N1", "N2"]);
    let mut sent: Vec<Vec<u8>> = Vec::new();
    for mailbox in site.moved_by("M1") {
        let mut user = nodes.user("EXCL1", &mailbox);
        for _ in 0..12 {
            sent.push(message(sent.len(), 9_000, &mut random));
            user.deliver(sent.last().expect("one")).expect("delivered");
        }
    }
    drop(nodes);
    assert!(kill_at(&site, "reverse", Duration::ZERO));
    let refused = site.migrate(&["--confirm", "all"]);
    assert_eq!(refused.code, Some(3), "half taken back: {refused:?}");
    assert!(refused.stderr.contains("M1 is being taken back"), "{refused:?}");
    let mut killed = vec![kill_at(&site, "undo-begin", Duration::ZERO)];
    for _ in 0..3 {
        let after = Duration::from_millis(random.below(5_000));
        killed.push(kill_at(&site, "undo-begin", after));
    }
    let kills = killed.iter().filter(|killed| **killed).count();
    rehome_tests::tell(&format!("killed {kills} times while mail went back"));
    assert!(kills > 1);
    let back = site.reverse(&["--traffic"]);
    back.expect_whole();
    let out = site.work.join("export").display().to_string();
    let store = site.work.join(OLD_STORE).display().to_string();
    let exported = run(REHOME, &["export", "--store", &store, "--to", &out]);
    assert_eq!(exported.code, Some(0), "{exported:?}");
    let there: Vec<Vec<u8>> = tree(Path::new(&out)).into_values().collect();
    for body in &sent {
        assert_eq!(there.iter().filter(|bytes| *bytes == body).count(), 1, "once, not more");
    }
    let done = site.migrate(&["--confirm", "all"]);
    // The plan goes on.
    done.expect_whole();
    let late = site.reverse(&[]);
    assert_eq!(late.code, Some(2), "the old server is gone: {late:?}");
    assert!(late.stderr.contains("point of no return"), "{late:?}");
}

#[test]
fn a_wave_that_is_not_done_is_not_taken_back() {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let site = sample(scratch.path(), 63, 2, 4);
    let work = scratch.path().join("work").display().to_string();
    let planned = run(REHOME, &["plan", &site, "--work", &work, "--route", "move-users"]);
    assert_eq!(planned.code, Some(0), "{planned:?}");
    let open = run(REHOME, &["reverse", &work]);
    assert_eq!(open.code, Some(3), "{open:?}");
    assert!(open.stderr.contains("M1: it is not done"), "{open:?}");
    let unknown = run(REHOME, &["reverse", &work, "--wave", "7"]);
    assert_eq!(unknown.code, Some(65), "{unknown:?}");
    assert!(unknown.stderr.contains("there is no wave \"7\""), "{unknown:?}");
}
