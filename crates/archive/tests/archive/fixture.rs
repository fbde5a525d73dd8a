//! A made-up store, backed up and read again.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::Arc;

use rehome_archive::{
    Backup, BackupHeader, BackupKind, BackupWriter, ContentId, FolderOutline, MailboxOutline,
    Manifest, MessageOutline, StoreId, Target, WriterOptions,
};
use rehome_log::{Lsn, SplitMix64};

/// What a backup is made of.
#[derive(Clone)]
pub(crate) struct Truth {
    pub(crate) mailboxes: Vec<MailboxOutline>,
    pub(crate) contents: Vec<(ContentId, Vec<u32>, Vec<u8>)>,
    pub(crate) streams: BTreeMap<String, Vec<u8>>,
}

/// Pseudo-random text: it compresses, but not to nothing.
pub(crate) fn text(seed: u64, len: usize) -> Vec<u8> {
    const WORDS: [&str; 8] =
        ["server ", "mailbox ", "the ", "cluster ", "of\r\n", "moved ", "node ", "a "];
    let mut random = SplitMix64::new(seed);
    let mut text = format!("Message-ID: <{seed}@example.org>\r\n\r\n").into_bytes();
    while text.len() < len {
        let number = random.next_u64();
        text.extend_from_slice(WORDS[usize::try_from(number % 8).unwrap()].as_bytes());
        if number & 0x300 == 0 {
            text.extend_from_slice(format!("{number:x}").as_bytes());
        }
    }
    text.truncate(len);
    text
}

/// `mailboxes` mailboxes with `messages` messages each, of about `len` bytes; every fifth message
/// is in the next mailbox too.
pub(crate) fn truth(mailboxes: u32, messages: u32, len: usize) -> Truth {
    let mut bodies: Vec<(ContentId, Vec<u32>, Vec<u8>)> = Vec::new();
    let mut outlines = Vec::new();
    let mut shared: Vec<(ContentId, u64)> = Vec::new();
    for mailbox in 0..mailboxes {
        let mut rows = Vec::new();
        for (id, size) in shared.drain(..) {
            let body = bodies.iter_mut().find(|body| body.0 == id).unwrap();
            body.1.push(mailbox);
            rows.push((id, size));
        }
        for number in 0..messages {
            let seed = u64::from(mailbox) << 32 | u64::from(number);
            let body = text(seed, len + usize::try_from(seed % 97).unwrap());
            let (id, size) = (ContentId::of(&body), body.len() as u64);
            if number % 5 == 0 && mailbox + 1 < mailboxes {
                shared.push((id, size));
            }
            rows.push((id, size));
            bodies.push((id, vec![mailbox], body));
        }
        outlines.push(outline(mailbox, rows));
    }
    let streams = BTreeMap::from([
        ("directory".to_owned(), text(77, 300)),
        ("settings".to_owned(), Vec::new()),
    ]);
    Truth { mailboxes: outlines, contents: bodies, streams }
}

fn outline(mailbox: u32, rows: Vec<(ContentId, u64)>) -> MailboxOutline {
    let row = |(uid, (content, size_bytes)): (u32, (ContentId, u64))| MessageOutline {
        uid,
        modseq: u64::from(uid) + 1,
        flags: 1,
        keywords: if uid % 2 == 0 { vec!["$label1".to_owned()] } else { Vec::new() },
        internal_date_seconds: 1_700_000_000 + i64::from(uid),
        size_bytes,
        content,
        origin: (uid % 3 == 0).then(|| format!("{uid}.M1P2.host")),
    };
    let half = rows.len() / 2;
    let mut inbox: Vec<MessageOutline> = (1..).zip(rows).map(row).collect();
    let sent = inbox.split_off(half);
    let folder = |name: &str, messages| FolderOutline {
        name: name.to_owned(),
        uidvalidity: 42,
        uidnext: 1000,
        modseq: 3,
        attributes: BTreeMap::from([("acl".to_owned(), "owner".to_owned())]),
        messages,
    };
    MailboxOutline {
        name: format!("user{mailbox:03}"),
        attributes: BTreeMap::from([("quota".to_owned(), "1000".to_owned())]),
        subscriptions: vec!["INBOX".to_owned(), "Sent".to_owned()],
        highest_modseq: 900,
        folders: vec![folder("INBOX", inbox), folder("Sent", sent), folder("Empty", Vec::new())],
        changes: None,
    }
}

pub(crate) fn header() -> BackupHeader {
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

pub(crate) fn options(volume_bytes: u64) -> WriterOptions {
    WriterOptions { volume_bytes, threads: 1, ..WriterOptions::default() }
}

pub(crate) fn write(
    target: &Arc<dyn Target>,
    truth: &Truth,
    header: BackupHeader,
    options: WriterOptions,
) -> Result<Manifest, rehome_archive::ArchiveError> {
    let has_catalog = options.catalog;
    let mut writer = BackupWriter::begin(Arc::clone(target), header, options)?;
    if has_catalog {
        writer.catalog(b"rows")?;
    }
    for (name, bytes) in &truth.streams {
        writer.stream(name, &mut bytes.as_slice())?;
    }
    for outline in &truth.mailboxes {
        writer.outline(outline)?;
    }
    for (number, (id, owners, bytes)) in truth.contents.iter().enumerate() {
        // Every third comes compressed.
        if number % 3 == 1 {
            let frame = zstd::bulk::compress(bytes, 1).expect("it is compressed in memory");
            writer.compressed_content(*id, owners, bytes.len(), &frame)?;
        } else {
            writer.content(*id, owners, bytes)?;
        }
    }
    writer.finish()
}

/// What reading gave.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Read {
    pub(crate) mailboxes: usize,
    pub(crate) contents: usize,
    pub(crate) streams: usize,
    pub(crate) errors: usize,
}

/// Reads everything; whatever is handed out must be what was written.
#[track_caller]
pub(crate) fn read_all(backup: &Backup, truth: &Truth, context: &str) -> Read {
    let mut read = Read::default();
    let good = usize::from;
    let bodies: HashMap<ContentId, &Vec<u8>> =
        truth.contents.iter().map(|(id, _, bytes)| (*id, bytes)).collect();
    for outline in backup.outlines() {
        read.errors += good(outline.is_err());
        let Ok((number, outline)) = outline else { continue };
        assert_eq!(outline, truth.mailboxes[number as usize], "{context}");
        read.mailboxes += 1;
    }
    for content in backup.contents() {
        read.errors += good(content.is_err());
        let Ok(content) = content else { continue };
        assert_eq!(Some(&&content.bytes), bodies.get(&content.id), "{context}");
        read.contents += 1;
    }
    for name in truth.streams.keys() {
        let mut bytes = Vec::new();
        let result = backup.stream(name).map_err(io::Error::other);
        let result = result.and_then(|mut stream| io::Read::read_to_end(&mut stream, &mut bytes));
        read.errors += good(result.is_err());
        if result.is_ok() {
            assert_eq!(bytes, truth.streams[name], "{context}");
            read.streams += 1;
        }
    }
    read
}

/// What [`read_all`] gives when nothing is wrong.
pub(crate) fn everything(truth: &Truth) -> Read {
    Read {
        mailboxes: truth.mailboxes.len(),
        contents: truth.contents.len(),
        streams: truth.streams.len(),
        errors: 0,
    }
}
