//! Valid inputs of each target, from which a fuzzer begins.

use std::collections::BTreeMap;

use rehome_log::Lsn;

use super::BREAK;
use crate::catalog::{Catalog, ChunkEntry, ContentEntry, OutlineEntry, Place};
use crate::chunk::encode_chunk;
use crate::cursors::Cursors;
use crate::entry::{LINK_SIZE, LogEntry, put_entry};
use crate::feature::Features;
use crate::frame::FrameBuilder;
use crate::head::VolumeHead;
use crate::ids::{BackupId, ContentId, SetId, StoreId};
use crate::index;
use crate::kind::BackupKind;
use crate::manifest::{
    BackupHeader, BaseReference, FORMAT_VERSION, LogRange, Manifest, Totals, VolumeEntry,
};
use crate::outline::{
    ExpungeOutline, FolderOutline, MailboxOutline, MessageOutline, OutlineChanges, OutlineEncoder,
};
use crate::set_file::SetFile;

/// Valid inputs of the target of that name; one empty input if there are none.
#[must_use]
pub fn seeds(target: &str) -> Vec<Vec<u8>> {
    match target {
        "archive-record" => records(),
        "archive-manifest" => texts(),
        "archive-outline" => {
            let all = [mailbox(None), mailbox(Some(7))].map(|one| encoded(&one));
            vec![all[0].clone(), all[1].clone(), all.join(&BREAK)]
        }
        _ => vec![Vec::new()],
    }
}

fn header() -> BackupHeader {
    BackupHeader {
        kind: BackupKind::Full,
        store_id: StoreId([7; 16]),
        store_epoch: 3,
        lsn_begin: Lsn::new(1, 4096),
        lsn_end: Lsn::new(2, 8192),
        wall_us: 1_700_000_000_000_000,
        software: "rehome 0.1.0".to_owned(),
        account: "root@here".to_owned(),
    }
}

fn head() -> VolumeHead {
    VolumeHead {
        format: FORMAT_VERSION,
        features: Features::default(),
        set_id: SetId([1; 16]),
        backup_id: BackupId([2; 8]),
        volume: 0,
        header: header(),
        envelope: None,
    }
}

fn message(uid: u32) -> MessageOutline {
    MessageOutline {
        uid,
        modseq: u64::from(uid),
        flags: 1,
        keywords: vec!["$label1".to_owned()],
        internal_date_seconds: 1_700_000_000,
        size_bytes: 9,
        content: ContentId::of(&uid.to_le_bytes()),
        origin: (uid == 1).then(|| "1.M1P2.host".to_owned()),
    }
}

fn mailbox(since: Option<u64>) -> MailboxOutline {
    let folder = |name: &str, messages| FolderOutline {
        name: name.to_owned(),
        uidvalidity: 42,
        uidnext: 10,
        modseq: 3,
        attributes: BTreeMap::from([("acl".to_owned(), "owner".to_owned())]),
        messages,
    };
    let expunge = |folder: &str, uid| ExpungeOutline { folder: folder.to_owned(), uid, modseq: 8 };
    let changes = since.map(|since| OutlineChanges {
        since,
        expunges: vec![expunge("Old", 0), expunge("Sent", 0), expunge("INBOX", 1)],
    });
    MailboxOutline {
        name: "user".to_owned(),
        attributes: BTreeMap::from([("quota".to_owned(), "1000".to_owned())]),
        subscriptions: vec!["INBOX".to_owned()],
        highest_modseq: 7,
        folders: vec![folder("INBOX", vec![message(1), message(2)]), folder("Sent", Vec::new())],
        changes,
    }
}

fn encoded(outline: &MailboxOutline) -> Vec<u8> {
    let mut encoder = OutlineEncoder::new(0, outline);
    let none = encoder.add(outline, &mut |_| -> Result<(), ()> { Ok(()) });
    none.expect("keeping nothing does not fail");
    encoder.finish().payload
}

/// Inputs of a record each, and all of them in one.
fn records() -> Vec<Vec<u8>> {
    let mut frame = FrameBuilder::default();
    for body in [&b"one"[..], b"", b"the third"] {
        frame.push(ContentId::of(body), &[0, 9], body, None);
    }
    let place = Place::from_cell(0, 9);
    let mut catalog = Catalog::default();
    catalog.contents.push(ContentEntry { prefix: 5, place });
    let name = "directory".to_owned();
    catalog.chunks.push(ChunkEntry { place, name: name.clone(), chunk: 3, last: true });
    let (mailbox_number, part, last, messages) = (1, 2, false, 4);
    catalog.outlines.push(OutlineEntry {
        place,
        mailbox: mailbox_number,
        part,
        last,
        messages,
        name,
    });
    let entry = LogEntry {
        lsn: Lsn::new(2, 9),
        previous: Lsn::new(2, 8),
        wall_us: 5,
        contents: vec![ContentId::of(b"one")],
        payload: b"operation".to_vec(),
    };
    let mut log = vec![0; LINK_SIZE];
    put_entry(&mut log, &entry);
    let json = serde_json::to_vec(&head()).expect("a head is plain text");
    let payloads = [
        (1, json),
        (2, encoded(&mailbox(None))),
        (3, frame.take().0.raw),
        (4, encode_chunk("settings", 0, b"bytes")),
        (5, index::encode(&mut catalog).concat()),
        (6, index::encode_trailer(64, 1)),
        (7, log),
    ];
    let each: Vec<Vec<u8>> = payloads
        .iter()
        .map(|(kind, payload)| [&[*kind, 0, 0, 0], payload.as_slice()].concat())
        .collect();
    let mut all = each.clone();
    let packed = zstd::bulk::compress(&[5; 256], 1).expect("it is compressed in memory");
    all.push([&[3, 0, 1, 1], packed.as_slice()].concat());
    all.push(each.join(&BREAK));
    all.push(super::records_of(&each.join(&BREAK)));
    all
}

fn texts() -> Vec<Vec<u8>> {
    let VolumeHead { features, set_id, backup_id, header, .. } = head();
    let lsn = header.lsn_end;
    let manifest = Manifest {
        format: FORMAT_VERSION,
        features: features.clone().with_chain().with_parity(),
        set_id,
        backup_id,
        base: Some(BaseReference { backup_id, manifest_hash: "00".to_owned() }),
        log_required: LogRange { begin: lsn, end: lsn },
        header,
        totals: Totals::default(),
        absent: vec![ContentId::of(b"lost")],
        volumes: vec![VolumeEntry {
            file: "v00000.mbar".to_owned(),
            size_bytes: 640,
            first_record: 0,
            records: 4,
            root: "ab".to_owned(),
        }],
        root: "cd".to_owned(),
        envelope: None,
    };
    let set = SetFile {
        set_id,
        store_id: StoreId([7; 16]),
        created_us: 5,
        software: "rehome 0.1.0".to_owned(),
        features,
        is_encrypted: false,
    };
    let mut cursors = Cursors::new(set_id);
    cursors.insert("user", 4, 77, [("INBOX", 9), ("Sent", 1)]);
    let sealed = [manifest.encode().expect("a manifest is plain text"), set.encode()];
    let open = sealed.iter().map(|text| text[..text.len() - "blake3 \n".len() - 64].to_vec());
    let mut all: Vec<Vec<u8>> = open.collect();
    all.extend(sealed);
    all.push(cursors.encode());
    all
}
