//! The directory of a move.

use rehome_site::ServerName;
use rehome_store::{HomeDirectory, MailboxName, TransferError};

use super::transfer_error;
use crate::client::{ClientError, DirectoryClient};
use crate::wire::ErrorCode;

/// A directory service that decides where mailboxes live.
pub struct RemoteDirectory {
    client: DirectoryClient,
}

impl RemoteDirectory {
    /// Lets the service that `client` asks decide.
    #[must_use]
    pub fn new(client: DirectoryClient) -> Self {
        Self { client }
    }
}

fn refused(error: impl std::fmt::Display) -> TransferError {
    TransferError::Refused {
        peer: "directory".to_owned(),
        code: "bad_request".to_owned(),
        text: error.to_string(),
    }
}

fn name_of(mailbox: &MailboxName) -> Result<rehome_site::MailboxName, TransferError> {
    rehome_site::MailboxName::new(mailbox.as_str()).map_err(refused)
}

impl HomeDirectory for RemoteDirectory {
    fn home(&mut self, mailbox: &MailboxName) -> Result<String, TransferError> {
        let home = self.client.home(&name_of(mailbox)?);
        home.map(|home| home.to_string()).map_err(super::mailbox_error(mailbox))
    }

    fn set_home(
        &mut self,
        mailbox: &MailboxName,
        from: &str,
        to: &str,
    ) -> Result<(), TransferError> {
        let (from, to) =
            (ServerName::new(from).map_err(refused)?, ServerName::new(to).map_err(refused)?);
        match self.client.set_home(&name_of(mailbox)?, &from, &to) {
            Ok(_) => Ok(()),
            Err(ClientError::Refused { refusal, .. }) if refusal.code == ErrorCode::Conflict => {
                Err(TransferError::HomeConflict {
                    mailbox: mailbox.clone(),
                    expected: from.to_string(),
                    found: refusal.to.unwrap_or(refusal.text),
                })
            }
            Err(error) => Err(transfer_error(error)),
        }
    }
}
