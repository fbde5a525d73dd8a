//! What follows is the crate's README; below are the modules and the whole public list.
#![doc = include_str!("../README.md")]

mod attendant;
mod client;
mod directory_service;
mod listen;
mod process;
mod remote;
mod store_service;
mod wire;

pub use client::{
    AttendantClient, ClientError, DirectoryClient, MailClient, Profile, StoreClient, replicate,
};
pub use directory_service::{DirectoryOp, DurableDirectory, DurableError, OpOutcome};
pub use process::{
    AttendantOptions, DirectoryServiceOptions, Ended, RESTORE_KEY, ServerError, ServiceOptions,
    StandaloneOptions, StandaloneServer, StoreServiceOptions, read_restore_marker,
    remove_restore_marker, run_attendant, run_directory, run_standalone, run_store,
    write_restore_marker,
};
pub use remote::{RemoteDirectory, RemoteSource, RemoteTarget};
pub use store_service::{FIRST_LOGON, has_logged_on};
pub use wire::{
    BODY_SIZE_MAX, DirectorySummary, Endpoint, ErrorCode, FolderReplicas, Hello, Identity,
    LINE_SIZE_MAX, LogState, LogStretch, Logon, MessagesPage, Pending, Recipient, Refusal, Stored,
    WIRE_VERSION, WireError,
};
