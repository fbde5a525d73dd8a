//! A store's log, for its archiver.

use std::io;

use rehome_log::Lsn;
use rehome_store::{ContentRun, Flow, LogRecord};
use serde_json::Value;

use super::{ClientError, StoreClient};
use crate::wire::{Hello, LogFrame, LogState, LogStretch, StoreRequest, read_log_frame};

impl StoreClient {
    /// Has the log kept from now on until an archive has it; returns the LSN after which it is
    /// whole.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub fn keep_log(&mut self) -> Result<Lsn, ClientError> {
        self.0.ask(&StoreRequest::KeepLog)
    }

    /// Has the log kept only as far as the store itself needs it.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub fn use_circular_log(&mut self) -> Result<(), ClientError> {
        self.0.ask::<Value>(&StoreRequest::UseCircularLog).map(drop)
    }

    /// Asks how the log is given up, and how much of it no archive has.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub fn log_state(&mut self) -> Result<LogState, ClientError> {
        self.0.ask(&StoreRequest::LogState)
    }

    /// Ends the generation of the log that is being written; returns the last LSN before that.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub fn roll_log(&mut self) -> Result<Lsn, ClientError> {
        self.0.ask(&StoreRequest::RollLog)
    }

    /// Asks whether all records above `after` are still there.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub fn log_reaches(&mut self, after: Lsn) -> Result<bool, ClientError> {
        self.0.ask(&StoreRequest::LogReaches { after })
    }

    /// States that an archive has every record up to `lsn`, durable and read back, of the store and
    /// the opening that said `hello`; returns what the store has noted now.
    ///
    /// # Errors
    ///
    /// [`ClientError`]; [`ErrorCode::StaleOffer`](crate::ErrorCode::StaleOffer) if there is another
    /// one now.
    pub fn archived_until(&mut self, lsn: Lsn, hello: &Hello) -> Result<Lsn, ClientError> {
        let store_id = hello.store_id.clone().unwrap_or_default();
        self.0.ask(&StoreRequest::ArchivedUntil { lsn, store_id, epoch: hello.epoch })
    }

    /// Reads a stretch of the log and hands each record over with the bodies that it puts, if
    /// these were asked for, until `take` wants no more. Returns the last record handed over, or
    /// where the stretch begins if there was none.
    ///
    /// # Errors
    ///
    /// [`ClientError`]. What was handed over until then is whole.
    pub fn read_log(
        &mut self,
        stretch: LogStretch,
        take: &mut dyn FnMut(LogRecord, Vec<ContentRun>) -> Flow,
    ) -> Result<Lsn, ClientError> {
        self.0.call_once(&StoreRequest::ReadLog(stretch), &[])?;
        let read = self.drain(stretch.after, take);
        read.map_err(|source| {
            self.disconnect();
            ClientError::Unreachable { peer: self.address().to_owned(), source }
        })
    }

    fn drain(
        &mut self,
        after: Lsn,
        take: &mut dyn FnMut(LogRecord, Vec<ContentRun>) -> Flow,
    ) -> io::Result<Lsn> {
        let connection = self.0.connect().map_err(io::Error::other)?;
        let (mut runs, mut taken, mut at) = (Vec::new(), 0, after);
        loop {
            match read_log_frame(connection.reader())? {
                LogFrame::Run(run) => {
                    runs.push(ContentRun::check(&run).map_err(io::Error::other)?);
                }
                LogFrame::Record(record) => {
                    (at, taken) = (record.lsn, taken + 1);
                    if take(record, std::mem::take(&mut runs)) == Flow::Stop {
                        // The rest of the stream is of no use, and nobody would read it.
                        self.disconnect();
                        return Ok(at);
                    }
                }
                LogFrame::End { records, .. } if records == taken => return Ok(at),
                LogFrame::End { records, .. } => {
                    let text = format!("{taken} records of the log came, {records} were sent");
                    return Err(io::Error::new(io::ErrorKind::InvalidData, text));
                }
            }
        }
    }
}
