//! Contents that are stored packed: read, moved as they are, and found when they are damaged.

use std::collections::BTreeMap;
use std::sync::Arc;

use rehome_log::{FileName, SimDisk};
use rehome_store::{
    ApplyBatch, ContentId, Flags, FolderName, IncomingFolder, IncomingMailbox, Message, Modseq,
    OpenOptions, PointRestore, RestoreMarker, RestorePoint, RestoreWriter, Store, StoreError, Uid,
    UidValidity,
};

use crate::support::{append, check_whole, clock, mailbox, mailbox_name, options};

fn store(pack_over_bytes: Option<u32>) -> (Arc<SimDisk>, Store) {
    let disk = Arc::new(SimDisk::new());
    let options = OpenOptions { pack_over_bytes, ..options() };
    let store = Store::create(disk.clone(), clock(), options).unwrap();
    (disk, store)
}

fn text(number: usize) -> String {
    format!("number {number}, again and ").repeat(20 + number)
}

/// What a store takes on its disk for the contents of twenty texts, and reads back.
fn segment_bytes(pack_over_bytes: Option<u32>) -> u64 {
    let (disk, store) = store(pack_over_bytes);
    let (anna, inbox) = mailbox(&store, "anna");
    let texts: Vec<String> = (0..20).map(text).collect();
    let batch = texts.iter().map(|text| (anna, inbox, append(text)));
    let uids = store.append_batch(batch.collect()).unwrap();
    let bytes = store.statistics().unwrap().segment_bytes;
    drop(store);
    // Whatever it is opened with, it reads what is there.
    let store = Store::open(disk, clock(), options()).unwrap();
    for (uid, text) in uids.into_iter().zip(&texts) {
        assert_eq!(store.read(anna, inbox, uid).unwrap().1, append(text).body);
    }
    check_whole(&store);
    bytes
}

#[test]
fn a_store_that_packs_takes_less_room_and_reads_the_same() {
    let (plain, packed, long_ones) =
        (segment_bytes(None), segment_bytes(Some(0)), segment_bytes(Some(1_000)));
    assert!(packed < long_ones && long_ones < plain, "{packed} {long_ones} {plain}");
}

#[test]
fn a_packed_content_is_received_as_it_is() {
    let (_disk, sender) = store(Some(0));
    let (ben, inbox) = mailbox(&sender, "ben");
    let body = append(&text(9)).body;
    sender.append_batch(vec![(ben, inbox, append(&text(9)))]).unwrap();
    let content = ContentId::of(&body);
    let extent = sender.snapshot().unwrap().locate(&content).unwrap().unwrap();
    let run = sender.read_records(&[extent]).unwrap();
    let stored = run.contents().next().unwrap();
    assert!(stored.zstd_frame().is_some_and(|frame| frame.len() < body.len()));
    assert_eq!((*stored.bytes().unwrap()).to_vec(), body);
    let seen: Vec<_> = rehome_store::bodies(run.bytes()).map(|one| one.unwrap().bytes).collect();
    assert_eq!(seen, std::slice::from_ref(&body));

    let (_disk, receiver) = store(None);
    let mailboxes = vec![incoming(content, body.len() as u64)];
    receiver.apply(ApplyBatch { runs: vec![run.clone()], mailboxes }).unwrap();
    check_whole(&receiver);
    let there = receiver.snapshot().unwrap().locate(&content).unwrap().unwrap();
    assert_eq!(receiver.read_records(&[there]).unwrap(), run);
}

/// Mailbox ben with one message.
fn incoming(content: ContentId, size_bytes: u64) -> IncomingMailbox {
    let (inbox, modseq) = (FolderName::inbox(), Modseq(2));
    let message = Message {
        uid: Uid(1),
        modseq,
        content,
        size_bytes,
        internal_date_seconds: 5,
        flags: Flags::SEEN,
        keywords: Vec::new(),
        origin: None,
    };
    let folder = IncomingFolder {
        name: inbox.clone(),
        uidvalidity: UidValidity(9),
        uidnext: Uid(2),
        attributes: BTreeMap::new(),
        modseq,
    };
    IncomingMailbox {
        name: mailbox_name("ben"),
        attributes: BTreeMap::new(),
        subscriptions: Vec::new(),
        folders: vec![folder],
        messages: vec![(inbox, message)],
        expunges: Vec::new(),
        cursor: modseq,
    }
}

/// Restores a body that an archive has as a frame which no store would make; the restored store has
/// that frame if it packs at all.
#[track_caller]
fn check_restored(
    pack_over_bytes: Option<u32>,
    restore: impl Fn(Arc<SimDisk>, OpenOptions, &[u8], &[u8]) -> Result<RestoreMarker, StoreError>,
) {
    let body = append(&text(9)).body;
    let frame = zstd::bulk::compress(&body, 19).unwrap();
    let disk = Arc::new(SimDisk::new());
    let options = OpenOptions { pack_over_bytes, store_id: None, ..options() };
    let restore_marker = Some(restore(disk.clone(), options.clone(), &body, &frame).unwrap());
    let store = Store::open(disk, clock(), OpenOptions { restore_marker, ..options }).unwrap();
    check_whole(&store);
    let extent = store.snapshot().unwrap().locate(&ContentId::of(&body)).unwrap().unwrap();
    let run = store.read_records(&[extent]).unwrap();
    let stored = run.contents().next().unwrap();
    assert_eq!(stored.zstd_frame(), pack_over_bytes.map(|_| &frame[..]));
    assert_eq!(*stored.bytes().unwrap(), body);
}

#[test]
fn a_restore_keeps_the_frame_of_the_archive() {
    let by_rows = |disk: Arc<SimDisk>, options, body: &[u8], frame: &[u8]| {
        let mut writer = RestoreWriter::create(disk, clock(), options)?;
        writer.put_packed_body(body, frame)?;
        writer.put_mailbox(incoming(ContentId::of(body), body.len() as u64))?;
        writer.finish()
    };
    let to_a_moment = |disk: Arc<SimDisk>, options, body: &[u8], frame: &[u8]| {
        let (_disk, source) = store(Some(0));
        let (ben, inbox) = mailbox(&source, "ben");
        source.append_batch(vec![(ben, inbox, append(&text(9)))])?;
        let mut base = Vec::new();
        source.snapshot()?.write_base(&mut base)?;
        let (point, above) = (RestorePoint::End, source.lsn());
        let mut restore = PointRestore::create(disk, clock(), options, point, above)?;
        restore.put_packed_body(body, frame)?;
        restore.put_base(&mut base.as_slice())?;
        restore.finish().map(|restored| restored.marker)
    };
    for pack_over_bytes in [Some(0), None] {
        check_restored(pack_over_bytes, by_rows);
        check_restored(pack_over_bytes, to_a_moment);
    }
}

#[test]
fn a_flip_of_any_byte_of_a_packed_content_is_told() {
    let (disk, first) = store(Some(0));
    let (anna, inbox) = mailbox(&first, "anna");
    first.append_batch(vec![(anna, inbox, append(&text(3)))]).unwrap();
    let extent = {
        let content = ContentId::of(&append(&text(3)).body);
        first.snapshot().unwrap().locate(&content).unwrap().unwrap()
    };
    first.close().unwrap();
    let segment = FileName::new("seg/s00000001.seg").unwrap();
    let whole = disk.contents(&segment).unwrap();
    let record = usize::try_from(extent.offset).unwrap()..;
    let mut unseen = 0;
    for at in record.take(extent.len as usize) {
        let mut bytes = whole.clone();
        bytes[at] ^= 4;
        disk.set_contents(&segment, bytes);
        let store = Store::open(disk.clone(), clock(), options()).unwrap();
        if let Ok((_, body)) = store.read(anna, inbox, Uid(1)) {
            assert_eq!(body, append(&text(3)).body, "byte {at}");
            unseen += 1;
        }
    }
    assert!(unseen < 8, "only the padding can change without being seen");
    disk.set_contents(&segment, whole);
    check_whole(&Store::open(disk, clock(), options()).unwrap());
}
