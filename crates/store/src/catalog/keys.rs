//! Keys of the catalog's rows: numbers, most significant byte first, so that they sort by number.

use rehome_log::Lsn;

use crate::model::{FolderId, MailboxId, Modseq, Uid};

/// The one key of the counters.
pub(super) const META: [u8; 1] = [0];

pub(super) fn mailbox(mailbox: MailboxId) -> [u8; 4] {
    mailbox.0.to_be_bytes()
}

pub(super) fn segment(segment: u32) -> [u8; 4] {
    segment.to_be_bytes()
}

pub(super) fn folder(mailbox: MailboxId, folder: FolderId) -> [u8; 8] {
    let mut key = [0; 8];
    key[..4].copy_from_slice(&mailbox.0.to_be_bytes());
    key[4..].copy_from_slice(&folder.0.to_be_bytes());
    key
}

pub(super) fn folder_name(mailbox: MailboxId, name: &str) -> Vec<u8> {
    let mut key = mailbox.0.to_be_bytes().to_vec();
    key.extend_from_slice(name.as_bytes());
    key
}

pub(super) fn message(mailbox: MailboxId, folder: FolderId, uid: Uid) -> [u8; 12] {
    let mut key = [0; 12];
    key[..4].copy_from_slice(&mailbox.0.to_be_bytes());
    key[4..8].copy_from_slice(&folder.0.to_be_bytes());
    key[8..].copy_from_slice(&uid.0.to_be_bytes());
    key
}

/// What [`message`] made.
pub(super) fn read_message(key: &[u8]) -> (MailboxId, FolderId, Uid) {
    let word = |at: usize| number(&key[at..at + 4]);
    (MailboxId(word(0)), FolderId(word(4)), Uid(word(8)))
}

pub(super) fn change(mailbox: MailboxId, modseq: Modseq) -> [u8; 12] {
    let mut key = [0; 12];
    key[..4].copy_from_slice(&mailbox.0.to_be_bytes());
    key[4..].copy_from_slice(&modseq.0.to_be_bytes());
    key
}

/// The modseq in what [`change`] made.
pub(super) fn read_change(key: &[u8]) -> Modseq {
    Modseq(u64::from_be_bytes(key[4..12].try_into().expect("the width of the table")))
}

pub(super) fn content(number: u64) -> [u8; 8] {
    number.to_be_bytes()
}

pub(super) fn dead(since: Lsn, number: u64) -> [u8; 16] {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&since.to_u64().to_be_bytes());
    key[8..].copy_from_slice(&number.to_be_bytes());
    key
}

/// The number in a key or value of four bytes.
pub(super) fn number(bytes: &[u8]) -> u32 {
    u32::from_be_bytes(bytes.try_into().expect("four bytes"))
}
