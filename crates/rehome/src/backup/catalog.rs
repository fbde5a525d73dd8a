//! The store's catalog in a backup: what archived log can follow.

use rehome_store::{ContentRun, Frame, TransferError};

use super::{Sending, left_behind};
use crate::error::Error;

impl Sending<'_, '_> {
    /// Takes the contents that no message names any more, and the catalog's rows.
    pub(super) fn take_base(&mut self, frame: Frame) -> Result<(), TransferError> {
        let taken = match frame {
            Frame::Content(run) => self.add_unnamed(&run),
            Frame::Base(rows) => self.add_catalog(&rows),
            Frame::LeftBehind(left) => Err(left_behind(&left)),
            Frame::Begin(_) | Frame::Mailbox(_) | Frame::End(_) => Ok(()),
        };
        self.keep(taken)
    }

    fn add_unnamed(&mut self, run: &ContentRun) -> Result<(), Error> {
        for stored in run.contents() {
            self.add_content(rehome_archive::ContentId(stored.content().0), &[], stored)?;
        }
        Ok(())
    }

    fn add_catalog(&mut self, rows: &[u8]) -> Result<(), Error> {
        self.writer()?.catalog(rows).map_err(Error::chain)
    }
}
