//! Stores built from backups.

use std::sync::{Arc, Mutex};

use rehome_log::{Fault, FileName, Lsn, SimDisk, SplitMix64};
use rehome_store::{
    ContentId, Flags, Flow, FolderName, IncomingFolder, IncomingMailbox, MailboxState, Message,
    Modseq, OpenOptions, RestoreMarker, RestoreStage, RestoreWriter, Store, StoreError, Uid,
    UidValidity, restore_stage,
};

use crate::support::{append, check_whole, clock, mailbox_name, open, options};

const MESSAGES: u32 = 300;

/// A disk with a restored store of one mailbox, and its marker.
fn restored() -> (Arc<SimDisk>, RestoreMarker) {
    let disk = Arc::new(SimDisk::new());
    let writer = RestoreWriter::create(disk.clone(), clock(), options()).unwrap();
    let (marker, _) = write(writer).unwrap();
    (disk, marker)
}

fn body(uid: u32) -> Vec<u8> {
    append(&format!("{} {}", uid % 250, "z".repeat(400))).body
}

/// Writes what `writer` does not have; returns the marker, and how many bodies there were to write.
fn write(mut writer: RestoreWriter) -> Result<(RestoreMarker, u32), StoreError> {
    let (mut messages, mut written) = (Vec::new(), 0);
    for uid in 1..=MESSAGES {
        let body = body(uid);
        if !writer.has(&ContentId::of(&body)) {
            writer.put_body(&body)?;
            written += 1;
        }
        messages.push((FolderName::inbox(), message(uid, &body)));
    }
    writer.settle()?;
    let folder = IncomingFolder {
        name: FolderName::inbox(),
        uidvalidity: UidValidity(5),
        uidnext: Uid(400),
        attributes: [].into(),
        modseq: Modseq(1),
    };
    let anna = IncomingMailbox {
        name: mailbox_name("anna"),
        attributes: [].into(),
        subscriptions: vec![],
        folders: vec![folder],
        messages,
        expunges: vec![],
        cursor: Modseq(500),
    };
    writer.put_mailbox(anna)?;
    writer.put_state(&mailbox_name("ben"), MailboxState::Moved { to: "C".into() })?;
    Ok((writer.finish()?, written))
}

/// Goes on with what is on the disk.
fn resume(disk: &Arc<SimDisk>, wanted: &dyn Fn(&ContentId) -> bool) -> RestoreWriter {
    RestoreWriter::resume(disk.clone(), clock(), options(), wanted, &mut |_| Flow::Continue)
        .unwrap()
}

fn message(uid: u32, body: &[u8]) -> Message {
    Message {
        uid: Uid(uid),
        modseq: Modseq(u64::from(uid) + 1),
        content: ContentId::of(body),
        size_bytes: body.len() as u64,
        internal_date_seconds: 0,
        flags: Flags::NONE,
        keywords: vec![],
        origin: None,
    }
}

fn open_with(disk: &Arc<SimDisk>, marker: &RestoreMarker) -> Result<Store, StoreError> {
    let restore_marker = Some(marker.clone());
    Store::open(disk.clone(), clock(), OpenOptions { restore_marker, ..options() })
}

#[track_caller]
fn check_restored(store: &Store) {
    check_whole(store);
    let anna = store.mailbox(&mailbox_name("anna")).unwrap().unwrap();
    assert_eq!((anna.state, anna.messages), (MailboxState::Active, u64::from(MESSAGES)));
    assert_eq!(anna.highest_modseq, Modseq(500));
    let ben = store.mailbox(&mailbox_name("ben")).unwrap().unwrap();
    assert_eq!(ben.state, MailboxState::Moved { to: "C".into() });
    assert_eq!(store.statistics().unwrap().contents, 250);
    assert_eq!(store.id(), [7; 16]);
}

#[test]
fn a_restored_store_opens_with_its_marker_and_then_without() {
    let (disk, marker) = restored();
    let refused = open(&disk).unwrap_err();
    assert!(matches!(refused, StoreError::RestoreInProgress { .. }), "{refused}");
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hear = heard.clone();
    let opened = OpenOptions {
        restore_marker: Some(marker),
        progress: Some(Arc::new(move |progress| hear.lock().unwrap().push(progress))),
        ..options()
    };
    let store = Store::open(disk.clone(), clock(), opened).unwrap();
    check_restored(&store);
    let last = *heard.lock().unwrap().last().unwrap();
    assert_eq!(last.done_bytes, last.total_bytes);
    let anna = store.mailbox(&mailbox_name("anna")).unwrap().unwrap().id;
    let inbox = store.folder(anna, &FolderName::inbox()).unwrap().unwrap().id;
    assert_eq!(store.append_batch(vec![(anna, inbox, append("new"))]).unwrap(), [Uid(400)]);
    drop(store);
    assert_eq!(open(&disk).unwrap().statistics().unwrap().messages, u64::from(MESSAGES) + 1);
}

#[test]
fn a_wrong_marker_and_an_unfinished_restore_are_refused() {
    let (disk, marker) = restored();
    let wrong = [
        RestoreMarker { digest: "00".repeat(32), ..marker.clone() },
        RestoreMarker { store_id: "00".repeat(16), ..marker.clone() },
        RestoreMarker { low: Lsn::ZERO, ..marker.clone() },
    ];
    for wrong in wrong {
        let refused = open_with(&disk, &wrong).unwrap_err();
        assert!(matches!(refused, StoreError::RestoreInProgress { .. }), "{refused}");
    }
    let disk = Arc::new(SimDisk::new());
    let mut writer = RestoreWriter::create(disk.clone(), clock(), options()).unwrap();
    writer.put_body(b"x").unwrap();
    drop(writer);
    let refused = open_with(&disk, &marker).unwrap_err();
    let StoreError::RestoreInProgress { cause } = refused else { panic!("{refused}") };
    assert!(cause.contains("not finished"), "{cause}");
    let refused = Store::create(disk.clone(), clock(), options()).unwrap_err();
    assert!(matches!(refused, StoreError::StoreExists { .. }), "{refused}");
}

#[test]
fn a_disk_without_room_for_a_body_is_told_as_full_with_the_place() {
    let disk = Arc::new(SimDisk::new());
    let plain = OpenOptions { pack_over_bytes: None, ..options() };
    let mut writer = RestoreWriter::create(disk.clone(), clock(), plain).unwrap();
    writer.put_body(b"first").unwrap();
    disk.fill_after(100);
    let refused = writer.put_body(&[b'z'; 5000]).unwrap_err();
    assert!(
        matches!(&refused, StoreError::DiskFull { place } if place.contains("seg/")),
        "{refused}"
    );
}

#[test]
fn a_first_opening_that_is_cut_short_goes_on_with_the_same_marker() {
    let mut finished = 0;
    for cut in 0..120 {
        println!("cut {cut}");
        let (disk, marker) = restored();
        let mut random = SplitMix64::new(cut);
        disk.fail_after(cut * 2, Fault::PowerCut);
        finished += u32::from(open_with(&disk, &marker).is_ok());
        let disk = Arc::new(disk.crash(random.next_u64()));
        disk.fail_after(random.below(200), Fault::PowerCut);
        drop(open_with(&disk, &marker));
        let disk = Arc::new(disk.crash(random.next_u64()));
        check_restored(&open_with(&disk, &marker).unwrap());
        check_restored(&open(&disk).unwrap());
    }
    assert!(finished > 0, "no opening was let through");
}

#[test]
fn a_sync_that_failed_in_the_first_opening_is_not_relied_on_by_the_next() {
    let mut failed = 0;
    for call in 0..120 {
        println!("call {call}");
        let (disk, marker) = restored();
        disk.fail_after(call, Fault::FsyncEio);
        if open_with(&disk, &marker).is_ok() {
            continue;
        }
        failed += 1;
        // The program starts again, and the computer only after that.
        let disk = Arc::new(disk.restart());
        check_restored(&open_with(&disk, &marker).unwrap());
        for seed in 0..4 {
            let left = Arc::new(disk.crash(seed));
            check_restored(&open_with(&left, &marker).unwrap());
        }
    }
    assert!(failed > 0, "no sync failed");
}

#[test]
fn a_restore_whose_log_was_changed_afterwards_does_not_open() {
    use rehome_log::FileName;
    let (disk, marker) = restored();
    let dir = FileName::new("log").unwrap();
    let name = dir.join(&rehome_log::Disk::list(&*disk, &dir).unwrap()[0]).unwrap();
    let mut bytes = disk.contents(&name).unwrap();
    bytes[5000] ^= 1;
    disk.set_contents(&name, bytes);
    let refused = open_with(&disk, &marker).unwrap_err();
    assert!(matches!(refused, StoreError::Damaged { .. }), "{refused}");
}

/// Restores onto a disk with `fault` at call `call`, takes the power away, and goes on; returns how
/// many bodies had to be written again, or nothing if the fault came too late.
fn cut_short(fault: Fault, call: u64) -> Option<u32> {
    let disk = Arc::new(SimDisk::new());
    disk.fail_after(call, fault);
    let begun = RestoreWriter::create(disk.clone(), clock(), options());
    if begun.and_then(write).is_ok() {
        return None;
    }
    disk.heal();
    let disk = Arc::new(disk.crash(call));
    let (marker, written) = match restore_stage(&*disk).unwrap() {
        RestoreStage::Written(marker) => (marker, 0),
        RestoreStage::Nothing | RestoreStage::Writing => write(resume(&disk, &|_| true)).unwrap(),
        RestoreStage::Ended => panic!("it has not been opened"),
    };
    let disk = Arc::new(disk.crash(call + 1));
    check_restored(&open_with(&disk, &marker).unwrap());
    assert_eq!(restore_stage(&*disk).unwrap(), RestoreStage::Ended);
    Some(written)
}

#[test]
fn a_restore_cut_short_at_any_call_goes_on_with_what_is_durable() {
    for fault in [Fault::PowerCut, Fault::Eio, Fault::Enospc, Fault::FsyncEio] {
        let written: Vec<u32> = (0..).map_while(|call| cut_short(fault, call)).collect();
        let (first, last) = (written[0], written[written.len() - 1]);
        assert!(written.len() > 20, "{fault:?}: {written:?}");
        assert_eq!((first, last), (MESSAGES, 0), "{fault:?}: {written:?}");
        assert!(written.iter().any(|some| (1..MESSAGES).contains(some)), "{fault:?}: {written:?}");
    }
}

/// A restore that has written all bodies and nothing else.
fn bodies_only() -> Arc<SimDisk> {
    let disk = Arc::new(SimDisk::new());
    let mut writer = RestoreWriter::create(disk.clone(), clock(), options()).unwrap();
    (1..=MESSAGES).for_each(|uid| writer.put_body(&body(uid)).unwrap());
    writer.settle().unwrap();
    disk
}

/// Programs of that version would take the bodies that follow for damaged ones.
#[test]
fn a_restore_that_an_older_program_began_gets_the_version_of_this_one() {
    let (disk, id) = (bodies_only(), FileName::new("store.id").unwrap());
    let text = String::from_utf8(disk.contents(&id).unwrap()).unwrap();
    let older = text.replace("\"version\": 6", "\"version\": 4");
    assert_ne!(older, text);
    disk.set_contents(&id, older.into_bytes());
    drop(resume(&disk, &|_| true));
    assert_eq!(String::from_utf8(disk.contents(&id).unwrap()).unwrap(), text);
}

#[test]
fn what_is_damaged_or_not_wanted_is_written_again() {
    let whole = resume(&bodies_only(), &|_| true);
    let all: u64 = (1..=MESSAGES).map(|uid| body(uid).len() as u64).sum();
    assert_eq!(whole.kept_bytes(), all);
    let segment = FileName::new("seg/s00000001.seg").unwrap();
    let bytes = bodies_only().contents(&segment).unwrap();
    for at in [3, 58, 4100, 4200, bytes.len() - 4090, bytes.len() - 4060] {
        let (disk, mut bytes) = (bodies_only(), bytes.clone());
        bytes[at] ^= 1;
        disk.set_contents(&segment, bytes);
        let writer = resume(&disk, &|_| true);
        assert!(!writer.has(&ContentId::of(&body(60))), "byte {at}");
        assert!(writer.kept_bytes() < all && writer.kept_bytes() > 0, "byte {at}");
        let (marker, written) = write(writer).unwrap();
        assert!(written > 0, "byte {at}");
        check_restored(&open_with(&disk, &marker).unwrap());
    }
    let disk = bodies_only();
    let other = ContentId::of(&body(60));
    let writer = resume(&disk, &|id| *id != other);
    assert!(!writer.has(&other) && writer.kept_bytes() < all);
    let (marker, _) = write(writer).unwrap();
    check_restored(&open_with(&disk, &marker).unwrap());
}

#[test]
fn a_restore_goes_on_only_where_one_was_cut_short() {
    let (disk, marker) = restored();
    let go_on = |disk: &Arc<SimDisk>, options| {
        let go = &mut |_| Flow::Continue;
        RestoreWriter::resume(disk.clone(), clock(), options, &|_| true, go).map(drop)
    };
    assert_eq!(restore_stage(&*disk).unwrap(), RestoreStage::Written(marker.clone()));
    let refused = go_on(&disk, options()).unwrap_err();
    assert!(matches!(refused, StoreError::StoreExists { .. }), "{refused}");
    check_restored(&open_with(&disk, &marker).unwrap());
    let refused = go_on(&disk, options()).unwrap_err();
    assert!(matches!(refused, StoreError::StoreExists { .. }), "{refused}");
    let disk = bodies_only();
    let refused = go_on(&disk, OpenOptions { store_id: Some([8; 16]), ..options() }).unwrap_err();
    assert!(matches!(refused, StoreError::StoreExists { .. }), "{refused}");
    let stop = &mut |_| Flow::Stop;
    let stopped = RestoreWriter::resume(disk.clone(), clock(), options(), &|_| true, stop);
    assert!(matches!(stopped.unwrap_err(), StoreError::Stopped));
    assert!(resume(&disk, &|_| true).kept_bytes() > 0, "it was only stopped");
}
