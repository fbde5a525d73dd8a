//! A store at the other end of a connection that mailboxes come to.

use rehome_store::{
    ContentId, Frame, FrameWriter, IncomingMailbox, MailboxDigest, MailboxInfo, MailboxName,
    MailboxState, Modseq, MoveTarget, TransferError,
};

use super::{remote_end, transfer_error};
use crate::client::{ClientError, StoreClient};
use crate::wire::StoreRequest;

/// A store service that mailboxes come to.
pub struct RemoteTarget {
    client: StoreClient,
    /// Whether the connection is in the middle of a transfer stream.
    streaming: bool,
}

remote_end!(RemoteTarget);

impl RemoteTarget {
    /// Makes the store that `client` asks the target of moves.
    #[must_use]
    pub fn new(client: StoreClient) -> Self {
        Self { client, streaming: false }
    }

    /// The client, for other questions.
    pub fn client(&mut self) -> &mut StoreClient {
        &mut self.client
    }

    /// Writes one frame. The service counts for itself, so no count is kept here.
    fn write(&mut self, frame: &Frame) -> Result<(), TransferError> {
        let connection = self.client.0.connect().map_err(transfer_error)?;
        let mut writer = FrameWriter::new(connection.writer());
        let written = writer.write(frame).and_then(|()| match frame {
            Frame::End(_) => writer.flush(),
            _ => Ok(()),
        });
        let Err(source) = written else { return Ok(()) };
        // A service that cannot go on has said why before it closed.
        self.streaming = false;
        let error = match connection.read_answer() {
            Ok(Err(refusal)) => {
                let peer = self.client.address().to_owned();
                self.client.disconnect();
                ClientError::Refused { peer, refusal }
            }
            Ok(Ok(_)) | Err(_) => {
                let failed = connection.failed(source);
                self.client.0.broken(failed)
            }
        };
        Err(transfer_error(error))
    }
}

impl MoveTarget for RemoteTarget {
    fn cursor(&mut self, mailbox: &MailboxName) -> Result<Option<Modseq>, TransferError> {
        self.client.cursor(mailbox).map_err(transfer_error)
    }

    fn missing(&mut self, contents: &[ContentId]) -> Result<Vec<bool>, TransferError> {
        self.client.missing(contents).map_err(transfer_error)
    }

    fn receive(&mut self, frame: Frame) -> Result<(), TransferError> {
        if matches!(frame, Frame::Begin(_)) {
            self.discard();
            self.client.0.call(&StoreRequest::Receive, &[]).map_err(transfer_error)?;
            self.streaming = true;
        } else if !self.streaming {
            return Err(TransferError::Aborted);
        }
        self.write(&frame)
    }

    fn flush(&mut self) -> Result<(), TransferError> {
        if !std::mem::take(&mut self.streaming) {
            return Ok(());
        }
        let connection = self.client.0.connect().map_err(transfer_error)?;
        match connection.read_answer() {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(refusal)) => {
                let peer = self.client.address().to_owned();
                self.client.disconnect();
                Err(transfer_error(ClientError::Refused { peer, refusal }))
            }
            Err(error) => Err(transfer_error(self.client.0.broken(error))),
        }
    }

    fn discard(&mut self) {
        if std::mem::take(&mut self.streaming) {
            // The service drops what is not complete when the connection ends.
            self.client.disconnect();
        }
    }
}
