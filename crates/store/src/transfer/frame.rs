//! The kinds of frame and their payloads.

use rehome_log::Lsn;
use serde::{Deserialize, Serialize};

use crate::{ContentId, ContentRun, IncomingMailbox, MailboxName};

/// The longest payload of a frame, in bytes.
pub const FRAME_SIZE_MAX: usize = 64 << 20;

/// The longest run of body records, in bytes: a single record, which may be longer than a frame.
pub(super) const RUN_SIZE_MAX: usize = (2 << 30) + FRAME_SIZE_MAX;

/// The version of the stream that this code writes and reads.
pub const TRANSFER_VERSION: u16 = 1;

/// Bytes before the payload: length, checksum, kind.
pub(super) const HEADER_SIZE: usize = 9;

const _: () = assert!(HEADER_SIZE + FRAME_SIZE_MAX <= u32::MAX as usize);

/// One frame of a transfer stream.
#[derive(Debug, Clone, PartialEq)]
pub enum Frame {
    /// Opens a stream.
    Begin(Begin),
    /// A run of body records, byte for byte as the sender's segments hold them.
    Content(ContentRun),
    /// Some rows of a mailbox.
    Mailbox(IncomingMailbox),
    /// A mailbox whose further rows the sender leaves out.
    LeftBehind(LeftBehind),
    /// Some bytes of the catalog as a base has them.
    Base(Vec<u8>),
    /// Closes a stream and says what was in it.
    End(End),
}

/// What a stream says of itself first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begin {
    /// [`TRANSFER_VERSION`] of the writer.
    pub version: u16,
    /// The store that sends.
    pub store_id: [u8; 16],
    /// The moment of that store which the stream shows.
    pub lsn: Lsn,
}

/// What a stream has carried; a reader that counted otherwise has lost something.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// Frames of contents or of a base.
    pub content_frames: u64,
    /// Bytes in them.
    pub content_bytes: u64,
    /// Mailbox frames.
    pub mailbox_frames: u64,
    /// Messages, expunges and folders in them.
    pub rows: u64,
    /// Mailboxes left behind.
    pub left_behind: u64,
}

/// A mailbox that could not be moved, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftBehind {
    /// The mailbox, which stays in use at the source.
    pub mailbox: MailboxName,
    /// The content that cannot be read, if that is the reason.
    pub content: Option<ContentId>,
    /// Place and reason.
    pub reason: String,
}

impl End {
    /// Counts one more frame.
    pub(crate) fn count(&mut self, frame: &Frame) {
        match frame {
            Frame::Begin(_) | Frame::End(_) => {}
            Frame::Content(run) => {
                self.content_frames += 1;
                self.content_bytes += run.len() as u64;
            }
            Frame::Base(bytes) => {
                self.content_frames += 1;
                self.content_bytes += bytes.len() as u64;
            }
            Frame::Mailbox(batch) => {
                self.mailbox_frames += 1;
                self.rows += row_count(batch);
            }
            Frame::LeftBehind(_) => self.left_behind += 1,
        }
    }
}

/// How many rows a batch holds.
fn row_count(batch: &IncomingMailbox) -> u64 {
    (batch.messages.len() + batch.expunges.len() + batch.folders.len()) as u64
}

/// Roughly what a batch takes in memory, on the wire and in a log, in bytes.
pub(crate) fn batch_size_bytes(batch: &IncomingMailbox) -> usize {
    let of_texts = |texts: &mut dyn Iterator<Item = &String>| -> usize {
        texts.map(|text| text.len() + 16).sum()
    };
    let rows = batch.messages.iter().map(|(folder, message)| {
        let texts = message.keywords.iter().chain(&message.origin);
        192 + folder.as_str().len() + of_texts(&mut texts.into_iter())
    });
    let folders = batch.folders.iter().map(|folder| {
        let texts = folder.attributes.iter().flat_map(|(key, value)| [key, value]);
        1280 + of_texts(&mut texts.into_iter())
    });
    let attributes = batch.attributes.iter().flat_map(|(key, value)| [key, value]);
    let texts = of_texts(&mut attributes.chain(&batch.subscriptions));
    1280 + rows.sum::<usize>() + folders.sum::<usize>() + texts + 64 * batch.expunges.len()
}

/// The byte that names the kind of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Begin = 1,
    Content = 2,
    Mailbox = 3,
    End = 4,
    LeftBehind = 5,
    Part = 6,
    Base = 7,
}

impl Kind {
    /// Finds the kind that a byte names.
    pub(super) fn from_byte(byte: u8) -> Option<Self> {
        const ALL: [Kind; 7] = [
            Kind::Begin,
            Kind::Content,
            Kind::Mailbox,
            Kind::End,
            Kind::LeftBehind,
            Kind::Part,
            Kind::Base,
        ];
        ALL.into_iter().find(|kind| *kind as u8 == byte)
    }
}

/// The checksum of a frame: over its length, its kind and its payload.
pub(super) fn checksum(len: [u8; 4], kind: u8, payload: &[u8]) -> u32 {
    let crc = crc32c::crc32c_append(crc32c::crc32c(&len), &[kind]);
    crc32c::crc32c_append(crc, payload)
}
