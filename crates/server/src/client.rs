//! The other side of the services.

mod attendant;
mod directory;
mod log;
mod mail;
mod peer;
mod store;

pub use attendant::AttendantClient;
pub use directory::{DirectoryClient, replicate};
pub use mail::{MailClient, Profile};
pub use peer::ClientError;
pub(crate) use peer::Peer;
pub use store::StoreClient;
