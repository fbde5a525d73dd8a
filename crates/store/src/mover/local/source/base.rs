//! What makes of an offer a base that archived log can follow.

use std::collections::HashSet;
use std::io;

use crate::error::StoreError;
use crate::mover::Offer;
use crate::mover::error::TransferError;
use crate::transfer::{Begin, End, FRAME_SIZE_MAX, Frame, TRANSFER_VERSION};
use crate::{ContentId, Snapshot};

/// What takes frames.
type Sink<'a> = dyn FnMut(Frame) -> Result<(), TransferError> + 'a;

/// Sends the contents that `offer` does not list, and the rows.
pub(super) fn send(
    snapshot: &Snapshot,
    store_id: [u8; 16],
    offer: &Offer,
    sink: &mut Sink<'_>,
) -> Result<(), TransferError> {
    let mut counts = End::default();
    let mut counted = |frame: Frame| {
        counts.count(&frame);
        sink(frame)
    };
    counted(Frame::Begin(Begin { version: TRANSFER_VERSION, store_id, lsn: offer.lsn }))?;
    let listed: HashSet<ContentId> = offer.contents.iter().map(|(content, _)| *content).collect();
    let mut kept = Kept { sink: &mut counted, failure: None };
    let bodies = snapshot.bodies_but(&listed, &mut |run| kept.pass(Frame::Content(run)));
    kept.judge(bodies, "read contents that nothing names any more")?;
    let rows = snapshot.write_base(&mut kept);
    kept.judge(rows, "read the catalog")?;
    sink(Frame::End(counts))
}

/// Passes frames on and keeps the sink's own error.
struct Kept<'a, 'b> {
    sink: &'a mut Sink<'b>,
    failure: Option<TransferError>,
}

impl Kept<'_, '_> {
    fn pass(&mut self, frame: Frame) -> Result<(), StoreError> {
        (self.sink)(frame).map_err(|error| {
            self.failure = Some(error);
            StoreError::Closed
        })
    }

    /// The error that counts: the sink's, if it ended the stream.
    fn judge(
        &mut self,
        sent: Result<(), StoreError>,
        action: &'static str,
    ) -> Result<(), TransferError> {
        match self.failure.take() {
            Some(error) => Err(error),
            None => sent.map_err(TransferError::store(action)),
        }
    }
}

impl io::Write for Kept<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for part in bytes.chunks(FRAME_SIZE_MAX) {
            self.pass(Frame::Base(part.to_vec())).map_err(io::Error::other)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
