//! A store at the other end of a connection that mailboxes leave.

use rehome_store::{
    Frame, FrameReader, IncomingMailbox, LiveBounds, MailboxDigest, MailboxInfo, MailboxName,
    MailboxState, Modseq, MoveSource, Offer, TransferError,
};

use super::{remote_end, transfer_error};
use crate::client::StoreClient;
use crate::wire::{ErrorCode, StoreRequest};

/// A store service that mailboxes leave.
pub struct RemoteSource {
    client: StoreClient,
    bounds: LiveBounds,
}

remote_end!(RemoteSource);

impl RemoteSource {
    /// Makes the store that `client` asks the source of moves.
    #[must_use]
    pub fn new(client: StoreClient) -> Self {
        Self { client, bounds: LiveBounds::default() }
    }

    /// Lets `bounds` say, before each round, how many threads read what lies scattered.
    #[must_use]
    pub fn with_bounds(self, bounds: LiveBounds) -> Self {
        Self { bounds, ..self }
    }

    /// The client, for other questions.
    pub fn client(&mut self) -> &mut StoreClient {
        &mut self.client
    }

    /// Asks for a stream of the offer and passes it on.
    fn stream(
        &mut self,
        request: &StoreRequest,
        body: &[u8],
        offer: &Offer,
        sink: &mut dyn FnMut(Frame) -> Result<(), TransferError>,
    ) -> Result<(), TransferError> {
        let begun = self.client.0.call_once(request, body);
        begun.map_err(|error| match error.code() {
            Some(ErrorCode::StaleOffer) => TransferError::StaleOffer { lsn: offer.lsn },
            _ => transfer_error(error),
        })?;
        let drained = self.drain(sink);
        if drained.is_err() {
            // The rest of the stream is of no use, and nobody would read it.
            self.client.disconnect();
        }
        drained
    }

    /// Passes frames on until the stream is complete.
    fn drain(
        &mut self,
        sink: &mut dyn FnMut(Frame) -> Result<(), TransferError>,
    ) -> Result<(), TransferError> {
        let connection = self.client.0.connect().map_err(transfer_error)?;
        let mut frames = FrameReader::new(connection.reader());
        while let Some(frame) = frames.next_frame()? {
            sink(frame)?;
        }
        Ok(())
    }
}

impl MoveSource for RemoteSource {
    fn offer(&mut self, since: &[(MailboxName, Option<Modseq>)]) -> Result<Offer, TransferError> {
        self.client.offer(since).map_err(transfer_error)
    }

    fn offer_all(
        &mut self,
        since: &[(MailboxName, Option<Modseq>)],
    ) -> Result<Offer, TransferError> {
        self.client.offer_all(since).map_err(transfer_error)
    }

    fn send(
        &mut self,
        offer: &Offer,
        wanted: &[bool],
        sink: &mut dyn FnMut(Frame) -> Result<(), TransferError>,
    ) -> Result<(), TransferError> {
        let body: Vec<u8> = wanted.iter().map(|wanted| u8::from(*wanted)).collect();
        let lanes = self.bounds.lanes();
        self.stream(&StoreRequest::Send { lsn: offer.lsn, lanes }, &body, offer, sink)
    }

    fn send_base(
        &mut self,
        offer: &Offer,
        sink: &mut dyn FnMut(Frame) -> Result<(), TransferError>,
    ) -> Result<(), TransferError> {
        self.stream(&StoreRequest::SendBase { lsn: offer.lsn }, &[], offer, sink)
    }
}
