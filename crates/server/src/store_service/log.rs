//! The log for those who archive it while the store is in use.

use rehome_log::Lsn;
use rehome_store::{LogReader, LogRecord, LogStatus, StoreError};
use serde_json::{Map, Value, json};

use super::StoreService;
use crate::wire::{
    Answer, Connection, ErrorCode, LogFrame, LogState, LogStretch, Refusal, Reply, WireError,
    write_log_frame,
};

impl StoreService {
    /// Keeps the log from now on until an archive has it.
    pub(super) fn keep_log(&self) -> Answer<Reply> {
        Reply::of(&self.store.keep_log_until_archived()?)
    }

    /// Keeps it only as far as the store itself needs it.
    pub(super) fn use_circular_log(&self) -> Answer<Reply> {
        self.store.use_circular_log()?;
        self.store.checkpoint()?;
        Reply::of(&Value::Null)
    }

    pub(super) fn log_state(&self) -> Answer<Reply> {
        let LogStatus { policy, unarchived_bytes, unarchived_seconds, .. } =
            self.store.log_status()?;
        Reply::of(&LogState { policy, unarchived_bytes, unarchived_seconds })
    }

    pub(super) fn roll_log(&self) -> Answer<Reply> {
        Reply::of(&self.store.roll_log()?)
    }

    pub(super) fn log_reaches(&self, after: Lsn) -> Answer<Reply> {
        match self.store.read_log(after, after) {
            Ok(_) => Reply::of(&true),
            Err(StoreError::NamesGap { .. }) => Reply::of(&false),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes the word of an archiver that knows which opening of which store it has read: another
    /// one at the same address must not give up what it has not.
    pub(super) fn archived_until(&self, lsn: Lsn, store_id: &str, epoch: u64) -> Answer<Reply> {
        let own = self.hello();
        if (own.store_id.as_deref(), own.epoch) != (Some(store_id), epoch) {
            let text = "the archiver has read another store, or another opening of this one; \
                        nothing was noted; connect again";
            return Err(Refusal::new(ErrorCode::StaleOffer, text));
        }
        Reply::of(&self.store.archived_until(lsn)?)
    }

    /// Answers with a stretch of the log. What goes wrong after its beginning cuts it off.
    pub(super) fn read_log(
        &self,
        stretch: &LogStretch,
        connection: &mut Connection,
    ) -> Result<(), WireError> {
        let reader = match self.store.read_log(stretch.after, stretch.until) {
            Ok(reader) => reader,
            Err(error) => return connection.refuse(&error.into()),
        };
        connection.write(Map::from_iter([("ok".to_owned(), json!({ "stream": true }))]), &[])?;
        let sent = Sending { connection, sent_bytes: 0, records: 0, last: stretch.after };
        sent.all(reader, stretch)
    }
}

/// A stretch on its way.
struct Sending<'a> {
    connection: &'a mut Connection,
    sent_bytes: u64,
    records: u64,
    last: Lsn,
}

impl Sending<'_> {
    fn all(mut self, mut reader: LogReader, stretch: &LogStretch) -> Result<(), WireError> {
        while self.sent_bytes < stretch.bytes_max {
            let record = reader.next_record().map_err(|error| self.failed(error))?;
            let Some(record) = record else { break };
            if stretch.bodies {
                self.bodies(&reader, &record)?;
            }
            (self.last, self.records) = (record.lsn, self.records + 1);
            self.sent_bytes += record.payload.len() as u64;
            self.frame(&LogFrame::Record(record))?;
        }
        let (records, last) = (self.records, self.last);
        self.frame(&LogFrame::End { records, last })?;
        let flushed = std::io::Write::flush(self.connection.writer());
        flushed.map_err(|source| self.connection.failed(source))
    }

    fn bodies(&mut self, reader: &LogReader, record: &LogRecord) -> Result<(), WireError> {
        let mut broken = None;
        let read = reader.bodies(record, &mut |run| {
            self.sent_bytes += run.len() as u64;
            self.frame(&LogFrame::Run(run.bytes().to_vec())).map_err(|error| {
                broken = Some(error);
                StoreError::Stopped
            })
        });
        match (broken, read) {
            (Some(error), _) => Err(error),
            (None, Err(error)) => Err(self.failed(error)),
            (None, Ok(())) => Ok(()),
        }
    }

    fn frame(&mut self, frame: &LogFrame) -> Result<(), WireError> {
        let written = write_log_frame(self.connection.writer(), frame);
        written.map_err(|source| self.connection.failed(source))
    }

    fn failed(&self, error: StoreError) -> WireError {
        self.connection.failed(std::io::Error::other(error))
    }
}
