//! The ends of a bulk move, and its directory, at the other side of a connection.

mod directory;
mod source;
mod target;

pub use directory::RemoteDirectory;
pub use source::RemoteSource;
pub use target::RemoteTarget;

use rehome_store::{MailboxName, TransferError};

use crate::client::ClientError;
use crate::wire::ErrorCode;

/// What a mover makes of a client's error.
fn transfer_error(error: ClientError) -> TransferError {
    match error {
        ClientError::Unreachable { peer, source } => TransferError::Unreachable { peer, source },
        ClientError::Refused { peer, refusal } => {
            let code = serde_json::to_value(refusal.code);
            let code = code.ok().and_then(|code| code.as_str().map(str::to_owned));
            let code = code.unwrap_or_default();
            TransferError::Refused { peer, code, text: refusal.text }
        }
        ClientError::Protocol { peer, cause } => {
            TransferError::Refused { peer, code: "protocol".to_owned(), text: cause }
        }
        error @ ClientError::NoServer { .. } => TransferError::Refused {
            peer: "registry of names".to_owned(),
            code: "no_server".to_owned(),
            text: error.to_string(),
        },
    }
}

/// The same for a request about one mailbox, which may not be there.
fn mailbox_error(mailbox: &MailboxName) -> impl Fn(ClientError) -> TransferError {
    move |error| match error.code() {
        Some(ErrorCode::NotFound) => TransferError::NoMailbox { mailbox: mailbox.clone() },
        _ => transfer_error(error),
    }
}

/// What both ends ask alike.
macro_rules! remote_end {
    ($end:ty) => {
        impl rehome_store::MailboxEnd for $end {
            fn info(
                &mut self,
                mailbox: &MailboxName,
            ) -> Result<Option<MailboxInfo>, TransferError> {
                self.client.info(mailbox).map_err(super::transfer_error)
            }

            fn set_state(
                &mut self,
                mailbox: &MailboxName,
                state: &MailboxState,
            ) -> Result<(), TransferError> {
                self.client.set_state(mailbox, state).map_err(super::mailbox_error(mailbox))
            }

            fn digest(&mut self, mailbox: &MailboxName) -> Result<MailboxDigest, TransferError> {
                self.client.digest(mailbox).map_err(super::mailbox_error(mailbox))
            }

            fn rows(
                &mut self,
                mailbox: &MailboxName,
                after: Modseq,
            ) -> Result<IncomingMailbox, TransferError> {
                self.client.rows(mailbox, after).map_err(super::mailbox_error(mailbox))
            }
        }
    };
}
use remote_end;
