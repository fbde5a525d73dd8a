//! The wire protocol: a line of JSON each way, and bytes behind it.
#![doc = include_str!("../../../docs/format/wire.md")] // The only description of the bytes.

mod connection;
mod log_stream;
mod refusal;
mod request;

pub use connection::WireError;
pub(crate) use connection::{Connection, Reply};
pub(crate) use log_stream::{LogFrame, read_log_frame, write_log_frame};
pub(crate) use refusal::{Answer, chain, of_state};
pub use refusal::{ErrorCode, Refusal};
pub(crate) use request::{AttendantRequest, DirectoryRequest, Seen, StoreRequest};
pub use request::{
    DirectorySummary, Endpoint, FolderReplicas, Hello, Identity, LogState, LogStretch, Logon,
    MessagesPage, Pending, Recipient, Stored,
};

/// The longest line, with its line feed, in bytes.
pub const LINE_SIZE_MAX: usize = 64 << 10;

/// The longest body, in bytes.
pub const BODY_SIZE_MAX: u64 = 128 << 20;

/// The version of the protocol.
pub const WIRE_VERSION: u32 = 1;
