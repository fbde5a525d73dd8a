//! The store's catalog in a backup: what archived log can follow.

use rehome_store::{Frame, TransferError};

use super::{Sending, left_behind};
use crate::error::Error;

impl Sending<'_, '_> {
    /// Takes the contents that no message names any more, and the catalog's rows.
    pub(super) fn take_base(&mut self, frame: Frame) -> Result<(), TransferError> {
        let taken = match frame {
            Frame::Content(run) => self.add_unnamed(run.bytes()),
            Frame::Base(rows) => self.add_catalog(&rows),
            Frame::LeftBehind(left) => Err(left_behind(&left)),
            Frame::Begin(_) | Frame::Mailbox(_) | Frame::End(_) => Ok(()),
        };
        self.keep(taken)
    }

    fn add_unnamed(&mut self, run: &[u8]) -> Result<(), Error> {
        for body in rehome_store::bodies(run) {
            let body = body.map_err(Error::chain)?;
            let id = rehome_archive::ContentId(body.content.0);
            self.writer()?.content(id, &[], &body.bytes).map_err(Error::chain)?;
        }
        Ok(())
    }

    fn add_catalog(&mut self, rows: &[u8]) -> Result<(), Error> {
        self.writer()?.catalog(rows).map_err(Error::chain)
    }
}
