//! Encryption: who writes cannot read, every recipient can, and a check needs no key.

use std::sync::Arc;

use age::secrecy::ExposeSecret as _;
use rehome_archive::{
    ArchiveError, ArchiverOptions, BackupKind, CheckLevel, Encryption, Identities, LogArchiver,
    LogEntry, LogHeader, Set, Target, Until, WriterOptions,
};
use rehome_log::{Lsn, SplitMix64};

use crate::chains::Model;
use crate::fixture::{everything, header, options, read_all, truth, write};
use crate::memory::Memory;

/// A recipient and the key file of its owner.
fn pair() -> (String, Identities) {
    let identity = age::x25519::Identity::generate();
    let text = identity.to_string();
    (identity.to_public().to_string(), Identities::parse(text.expose_secret()).unwrap())
}

fn encryption(recipients: &[&String]) -> Option<Encryption> {
    let recipients = recipients.iter().map(|one| (*one).clone()).collect();
    Some(Encryption::new(recipients, [9; 32]).unwrap())
}

#[track_caller]
fn check_locked<T>(result: Result<T, ArchiveError>) {
    let error = result.err().expect("it is encrypted");
    assert!(matches!(error, ArchiveError::Locked { .. }), "{error}");
}

#[test]
fn each_recipient_reads_everything_and_nobody_else_anything() {
    let truth = truth(3, 8, 700);
    let (one, two) = (pair(), pair());
    let memory = Arc::new(Memory::default());
    let target: Arc<dyn Target> = memory.clone();
    let encryption = encryption(&[&one.0, &two.0]);
    let options = WriterOptions { encryption, parity: true, ..options(4 << 10) };
    let id = write(&target, &truth, header(), options).unwrap().backup_id;
    let set = memory.set().unwrap();
    for level in [CheckLevel::Structure, CheckLevel::Hashes] {
        assert!(set.check(id, level, &mut |_| {}).unwrap().is_whole(), "{level:?} needs no key");
    }
    check_locked(set.check(id, CheckLevel::Deep, &mut |_| {}));
    check_locked(set.backup(id));
    check_locked(set.state(id, None));
    check_locked(set.salvage(id, &mut |_| {}));
    check_locked(set.with_identities(pair().1).backup(id));
    for (_, identities) in [one, two] {
        let set = memory.set().unwrap().with_identities(identities);
        assert!(set.check(id, CheckLevel::Deep, &mut |_| {}).unwrap().is_whole());
        assert_eq!(read_all(&set.backup(id).unwrap(), &truth, ""), everything(&truth));
        let salvage = set.salvage(id, &mut |_| {}).unwrap();
        assert_eq!(salvage.contents as usize, truth.contents.len());
    }
}

#[test]
fn nothing_of_the_mail_is_in_the_files() {
    let truth = truth(2, 4, 300);
    let memory = Arc::new(Memory::default());
    let target: Arc<dyn Target> = memory.clone();
    let encryption = encryption(&[&pair().0]);
    write(&target, &truth, header(), WriterOptions { encryption, ..options(1 << 20) }).unwrap();
    let names = memory.names();
    let holds = |text: &[u8]| {
        names.iter().any(|name| memory.get(name).windows(text.len()).any(|here| here == text))
    };
    assert!(!holds(b"user000") && !holds(b"Message-ID") && !holds(b"INBOX"));
    for (id, _, _) in &truth.contents {
        assert!(!holds(&id.0[..8]), "the id of a content says what it is");
    }
    assert!(holds(b"root@here"), "who made it is no secret");
}

#[test]
fn an_encrypted_set_takes_nothing_that_is_not() {
    let truth = truth(1, 2, 60);
    let memory = Arc::new(Memory::default());
    let target: Arc<dyn Target> = memory.clone();
    let sealed = WriterOptions { encryption: encryption(&[&pair().0]), ..options(1 << 20) };
    write(&target, &truth, header(), sealed).unwrap();
    let before = memory.names();
    let open = write(&target, &truth, header(), options(1 << 20));
    assert!(matches!(open, Err(ArchiveError::MustEncrypt)), "{open:?}");
    assert_eq!(memory.names(), before, "nothing was written");
}

#[test]
fn every_flipped_byte_is_noticed_with_and_without_the_key() {
    let truth = truth(1, 2, 60);
    let (recipient, identities) = pair();
    let memory = Arc::new(Memory::default());
    let target: Arc<dyn Target> = memory.clone();
    let options = WriterOptions { encryption: encryption(&[&recipient]), ..options(1 << 20) };
    let id = write(&target, &truth, header(), options).unwrap().backup_id;
    for name in memory.names().into_iter().filter(|name| name.ends_with(".mbar")) {
        let bytes = memory.get(&name);
        for at in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[at] ^= 1 << (at % 8);
            let bad = memory.with(&name, Some(bad));
            let report = bad.set().unwrap().check(id, CheckLevel::Hashes, &mut |_| {});
            assert!(!report.is_ok_and(|report| report.is_whole()), "{name}, byte {at}");
            let set = bad.set().unwrap().with_identities(identities.clone());
            let report = set.check(id, CheckLevel::Hashes, &mut |_| {});
            assert!(!report.is_ok_and(|report| report.is_whole()), "{name}, byte {at}, with key");
            read_all(&set.backup(id).unwrap(), &truth, "");
        }
    }
}

#[test]
fn changes_are_backed_up_upon_a_base_that_the_writer_cannot_read() {
    let (recipient, identities) = pair();
    let memory = Arc::new(Memory::default());
    let target: Arc<dyn Target> = memory.clone();
    let mut random = SplitMix64::new(3);
    let mut model = Model::default();
    let mut taken = Vec::new();
    for kind in [BackupKind::Full, BackupKind::Incremental, BackupKind::Incremental] {
        (0..40).for_each(|_| model.step(&mut random));
        let options = WriterOptions { encryption: encryption(&[&recipient]), ..options(8 << 10) };
        let manifest = model.back_up_as(&target, kind, options).unwrap();
        taken.push((manifest.backup_id, model.clone()));
    }
    check_locked(memory.set().unwrap().state(taken[2].0, None));
    let report = memory.set().unwrap().check(taken[2].0, CheckLevel::Hashes, &mut |_| {}).unwrap();
    assert!(report.is_whole(), "{report:?}");
    let set = memory.set().unwrap().with_identities(identities);
    for (id, model) in &taken {
        model.check(&set, *id, "encrypted");
    }
}

#[test]
fn a_log_is_encrypted_for_its_recipients() {
    let (recipient, identities) = pair();
    let memory = Arc::new(Memory::default());
    let target: Arc<dyn Target> = memory.clone();
    let mut model = Model::default();
    model.step(&mut SplitMix64::new(3));
    let sealed = encryption(&[&recipient]);
    let whole = WriterOptions { catalog: true, encryption: sealed, ..options(8 << 10) };
    model.back_up_as(&target, BackupKind::Full, whole).unwrap();
    let head = LogHeader {
        store_id: header().store_id,
        store_epoch: 1,
        software: "rehome".to_owned(),
        account: "root@here".to_owned(),
    };
    let options =
        ArchiverOptions { encryption: encryption(&[&recipient]), ..ArchiverOptions::default() };
    let mut archiver = LogArchiver::begin(target, head, options).unwrap();
    let previous = archiver.archived();
    let lsn = Lsn::from_u64(previous.to_u64() + 8);
    let payload = b"a secret operation".to_vec();
    let entry = LogEntry { lsn, previous, wall_us: 5, contents: Vec::new(), payload };
    archiver.entry(entry.clone(), Vec::new()).unwrap();
    archiver.flush().unwrap();
    let set: Set = memory.set().unwrap();
    let info = set.logs().unwrap().remove(0);
    check_locked(set.log(&info));
    assert!(set.check_logs(CheckLevel::Hashes, &mut |_| {}).unwrap().damage.is_empty());
    assert!(set.plan_restore(Until::Lsn(lsn)).unwrap().is_complete(), "a plan needs no key");
    let set = set.with_identities(identities);
    let read: Vec<_> = set.log(&info).unwrap().entries(previous).map(Result::unwrap).collect();
    assert_eq!(read, [entry]);
    let bytes = memory.get(&info.file);
    assert!(!bytes.windows(6).any(|six| six == b"secret"));
}

#[test]
fn a_note_of_an_encrypted_set_is_read_by_its_recipients_alone() {
    let truth = truth(1, 2, 300);
    let memory = Arc::new(Memory::default());
    let target: Arc<dyn Target> = memory.clone();
    let (one, other) = (pair(), pair());
    let encryption = encryption(&[&one.0]);
    let options = WriterOptions { encryption: encryption.clone(), ..options(1 << 20) };
    write(&target, &truth, header(), options).unwrap();
    let (set, lsn) = (memory.set().unwrap(), Lsn::new(1, 8));
    let refused = set.keep_note(lsn, "directory", "alice", None).unwrap_err();
    assert!(matches!(refused, ArchiveError::MustEncrypt), "{refused}");
    for text in ["alice and bob", "alice, bob, carol"] {
        set.keep_note(lsn, "directory", text, encryption.as_ref()).unwrap();
    }
    let names: Vec<String> =
        memory.names().into_iter().filter(|name| name.starts_with("note/")).collect();
    assert_eq!(names.len(), 2);
    for name in names {
        assert!(name.ends_with("-directory.age"), "{name}");
        assert!(!memory.get(&name).windows(5).any(|five| five == b"alice"), "{name}");
    }
    let note = |set: Set| set.note("directory", lsn);
    check_locked(note(memory.set().unwrap()));
    check_locked(note(memory.set().unwrap().with_identities(other.1)));
    let read = note(memory.set().unwrap().with_identities(one.1)).unwrap();
    assert_eq!(read, Some((lsn, "alice, bob, carol".to_owned())));
}
