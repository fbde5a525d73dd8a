//! Both ends of a move, for a mover at the other end of the connection.

use rehome_log::Lsn;
use rehome_store::{
    ContentId, Frame, FrameReader, FrameWriter, LocalTarget, MailboxEnd, MailboxName, MailboxState,
    MoveSource, MoveTarget, TransferError,
};
use serde_json::{Map, Value, json};

use super::StoreSession;
use super::mail::FIRST_LOGON;
use crate::wire::{Answer, Connection, Refusal, Reply, StoreRequest, WireError};

impl StoreSession {
    /// Answers the mover's requests that have no stream.
    pub(super) fn moving(&mut self, request: StoreRequest, body: &[u8]) -> Answer<Reply> {
        match request {
            StoreRequest::Info { mailbox } => Reply::of(&self.source.info(&mailbox)?),
            StoreRequest::SetState { mailbox, state } => self.set_state(&mailbox, &state),
            StoreRequest::Digest { mailbox } => Reply::of(&self.source.digest(&mailbox)?),
            StoreRequest::Rows { mailbox, after } => {
                let batch = self.source.rows(&mailbox, after)?;
                Reply::of(&Value::Null)?.with_body(pack(&batch)?)
            }
            StoreRequest::Cursor { mailbox } => Reply::of(&self.target().cursor(&mailbox)?),
            StoreRequest::Missing => self.missing(body),
            StoreRequest::Offer { since, all } => {
                let offer = match all {
                    true => self.source.offer_all(&since)?,
                    false => self.source.offer(&since)?,
                };
                let packed = pack(&offer)?;
                self.offered = Some(offer);
                Reply::of(&Value::Null)?.with_body(packed)
            }
            _ => Err(Refusal::bad_request("the request needs a stream")),
        }
    }

    fn target(&self) -> LocalTarget {
        LocalTarget::new(self.service.store.clone())
    }

    /// Sets the state; who becomes active here has not logged on here yet.
    fn set_state(&mut self, mailbox: &MailboxName, state: &MailboxState) -> Answer<Reply> {
        let before = self.source.info(mailbox)?;
        self.source.set_state(mailbox, state)?;
        let came = |info: &rehome_store::MailboxInfo| {
            info.state == MailboxState::Incoming && info.attributes.contains_key(FIRST_LOGON)
        };
        if let (MailboxState::Active, Some(info)) = (state, before.filter(came)) {
            self.service.store.set_attribute(info.id, FIRST_LOGON, None)?;
        }
        Reply::of(&Value::Null)
    }

    fn missing(&mut self, body: &[u8]) -> Answer<Reply> {
        let (ids, rest) = body.as_chunks::<32>();
        if !rest.is_empty() {
            return Err(Refusal::bad_request("the body is no list of contents of 32 bytes"));
        }
        let ids: Vec<ContentId> = ids.iter().map(|id| ContentId(*id)).collect();
        let missing = self.target().missing(&ids)?;
        Reply::of(&Value::Null)?.with_body(missing.into_iter().map(u8::from).collect())
    }

    /// Answers with a transfer stream. What goes wrong after its beginning cuts it off.
    pub(super) fn send(
        &mut self,
        lsn: Lsn,
        body: &[u8],
        connection: &mut Connection,
    ) -> Result<(), WireError> {
        let offer = self.offered.take().filter(|offer| {
            offer.lsn == lsn && offer.contents.len() == body.len() && body.iter().all(|b| *b <= 1)
        });
        let Some(offer) = offer else {
            return connection.refuse(&TransferError::StaleOffer { lsn }.into());
        };
        let wanted: Vec<bool> = body.iter().map(|byte| *byte == 1).collect();
        let sent =
            stream(connection, &mut |sink: Sink<'_>| self.source.send(&offer, &wanted, sink));
        self.offered = Some(offer);
        sent
    }

    /// Answers with what makes a base of the last offer.
    pub(super) fn send_base(
        &mut self,
        lsn: Lsn,
        connection: &mut Connection,
    ) -> Result<(), WireError> {
        let Some(offer) = self.offered.take_if(|offer| offer.lsn == lsn) else {
            return connection.refuse(&TransferError::StaleOffer { lsn }.into());
        };
        let sent = stream(connection, &mut |sink: Sink<'_>| self.source.send_base(&offer, sink));
        self.offered = Some(offer);
        sent
    }

    /// Takes a transfer stream and answers when all of it is durable.
    pub(super) fn receive(&mut self, connection: &mut Connection) -> Result<(), WireError> {
        connection.write(Map::from_iter([("ok".to_owned(), json!({ "stream": true }))]), &[])?;
        let mut target = self.target();
        let taken = self.take_all(&mut target, connection);
        match taken {
            Ok(()) => connection.answer(Reply::of(&Value::Null)),
            Err(refusal) => {
                // The rest of the stream is not understood any more.
                connection.refuse(&refusal)?;
                Err(connection.failed(std::io::Error::other(refusal)))
            }
        }
    }

    fn take_all(&self, target: &mut LocalTarget, connection: &mut Connection) -> Answer<()> {
        let mut frames = FrameReader::new(connection.reader());
        loop {
            let frame = frames.next_frame().map_err(TransferError::from)?;
            let Some(frame) = frame else { break };
            let _writing = self.service.fence.enter()?;
            target.receive(frame)?;
        }
        let _writing = self.service.fence.enter()?;
        Ok(target.flush()?)
    }
}

fn pack(value: &impl serde::Serialize) -> Answer<Vec<u8>> {
    postcard::to_stdvec(value).map_err(|error| Refusal::unavailable(error.to_string()))
}

/// What takes the frames of a stream.
type Sink<'a> = &'a mut dyn FnMut(Frame) -> Result<(), TransferError>;

/// Answers with the frames that `send` gives. What goes wrong after the beginning cuts it off.
fn stream(
    connection: &mut Connection,
    send: &mut dyn FnMut(Sink<'_>) -> Result<(), TransferError>,
) -> Result<(), WireError> {
    connection.write(Map::from_iter([("ok".to_owned(), json!({ "stream": true }))]), &[])?;
    let mut broken = None;
    let mut writer = FrameWriter::new(connection.writer());
    let sent = send(&mut |frame| {
        let end = matches!(frame, Frame::End(_));
        writer.write(&frame).and_then(|()| if end { writer.flush() } else { Ok(()) }).map_err(
            |error| {
                broken = Some(error);
                TransferError::Aborted
            },
        )
    });
    match (sent, broken) {
        (_, Some(source)) => Err(connection.failed(source)),
        (Ok(()), None) => Ok(()),
        // The stream has begun: all that can be said is that it ends too early.
        (Err(error), None) => Err(connection.failed(std::io::Error::other(error))),
    }
}
