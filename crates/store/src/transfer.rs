//! The transfer stream: how mailboxes travel from one store to another.
#![doc = include_str!("../../../docs/format/transfer.md")] // The only description of the bytes.

mod digest;
mod frame;
mod reader;
mod writer;

pub use digest::{DigestBuilder, FolderDigest, MailboxDigest, digest_line};
pub(crate) use frame::batch_size_bytes;
pub use frame::{Begin, End, FRAME_SIZE_MAX, Frame, LeftBehind, TRANSFER_VERSION};
pub use reader::{FrameReader, StreamError};
pub use writer::FrameWriter;

#[cfg(test)]
mod tests;
