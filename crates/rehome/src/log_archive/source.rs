//! Where a log comes from: a store that is open here, or the server that has it open.

use std::sync::Arc;

use rehome_archive::{StoreId, Target};
use rehome_log::Lsn;
use rehome_server::{
    AttendantClient, ClientError, ErrorCode, Hello, LogStretch, RemoteSource, StoreClient,
};
use rehome_store::{ContentRun, Flow, LocalSource, LogPolicy, LogRecord, Store, StoreError};

use crate::backup::{self, BackupReport, BackupRequest};
use crate::error::Error;
use crate::event::Observe;

/// Which store it is, and in which opening.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Opening {
    pub(crate) store_id: StoreId,
    pub(crate) epoch: u64,
}

/// How much of the log no archive has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Behind {
    pub(crate) bytes: u64,
    /// Since the oldest record was written.
    pub(crate) seconds: u64,
}

/// Takes a record with the bodies that it puts.
pub(crate) type Take<'a> = &'a mut dyn FnMut(LogRecord, &[ContentRun]) -> Result<(), Error>;

/// A log that is archived.
pub(crate) trait LogSource {
    fn opening(&mut self) -> Result<Opening, Error>;
    fn policy(&mut self) -> Result<LogPolicy, Error>;
    fn behind(&mut self) -> Result<Behind, Error>;
    /// Has it kept until an archive has it.
    fn keep(&mut self) -> Result<(), Error>;
    /// Has it kept only as far as the store itself needs it.
    fn circulate(&mut self) -> Result<(), Error>;
    /// Ends the generation being written; the last record before that.
    fn roll(&mut self) -> Result<Lsn, Error>;
    /// States that an archive has it up to `lsn`.
    fn note(&mut self, lsn: Lsn) -> Result<(), Error>;
    /// Whether all records above `after` are there.
    fn reaches(&mut self, after: Lsn) -> Result<bool, Error>;
    /// Reads a stretch of it.
    fn read(&mut self, stretch: LogStretch, take: Take<'_>) -> Result<(), Error>;
    /// Makes a backup of all mailboxes.
    fn back_up(
        &mut self,
        target: Arc<dyn Target>,
        request: &BackupRequest,
        observe: Observe<'_>,
    ) -> Result<BackupReport, Error>;
    /// Whether what failed did so because the store went away: it may come back, here or elsewhere.
    fn is_away(&mut self) -> bool;
}

/// The log of a store that is open in this process.
pub(crate) struct LocalLog<'a>(pub(crate) &'a Store);

impl LogSource for LocalLog<'_> {
    fn opening(&mut self) -> Result<Opening, Error> {
        Ok(Opening { store_id: StoreId(self.0.id()), epoch: self.0.epoch() })
    }

    fn policy(&mut self) -> Result<LogPolicy, Error> {
        self.0.log_policy().map_err(Error::chain)
    }

    fn behind(&mut self) -> Result<Behind, Error> {
        let status = self.0.log_status().map_err(Error::chain)?;
        let seconds = status.unarchived_seconds.unwrap_or(0);
        Ok(Behind { bytes: status.unarchived_bytes, seconds })
    }

    fn keep(&mut self) -> Result<(), Error> {
        self.0.keep_log_until_archived().map(drop).map_err(Error::chain)
    }

    fn circulate(&mut self) -> Result<(), Error> {
        self.0.use_circular_log().map_err(Error::chain)?;
        self.0.checkpoint().map(drop).map_err(Error::chain)
    }

    fn roll(&mut self) -> Result<Lsn, Error> {
        self.0.roll_log().map_err(Error::chain)
    }

    fn note(&mut self, lsn: Lsn) -> Result<(), Error> {
        self.0.archived_until(lsn).map(drop).map_err(Error::chain)
    }

    fn reaches(&mut self, after: Lsn) -> Result<bool, Error> {
        match self.0.read_log(after, after) {
            Ok(_) => Ok(true),
            Err(StoreError::NamesGap { .. }) => Ok(false),
            Err(error) => Err(Error::chain(error)),
        }
    }

    fn read(&mut self, stretch: LogStretch, take: Take<'_>) -> Result<(), Error> {
        let mut reader = self.0.read_log(stretch.after, stretch.until).map_err(Error::chain)?;
        let mut read_bytes = 0;
        while read_bytes < stretch.bytes_max {
            let Some(record) = reader.next_record().map_err(Error::chain)? else { break };
            let mut runs = Vec::new();
            if stretch.bodies {
                let read = reader.bodies(&record, &mut |run| {
                    read_bytes += run.len() as u64;
                    runs.push(run);
                    Ok(())
                });
                read.map_err(Error::chain)?;
            }
            read_bytes += record.payload.len() as u64;
            take(record, &runs)?;
        }
        Ok(())
    }

    fn back_up(
        &mut self,
        target: Arc<dyn Target>,
        request: &BackupRequest,
        observe: Observe<'_>,
    ) -> Result<BackupReport, Error> {
        let names = self.0.mailboxes().map_err(Error::chain)?;
        let names: Vec<_> = names.into_iter().map(|mailbox| mailbox.name).collect();
        let mut source = LocalSource::new(self.0.clone());
        backup::back_up_into(target, &mut source, &names, request, observe)
    }

    fn is_away(&mut self) -> bool {
        false
    }
}

/// The log of a store that a server has open.
pub(crate) struct RemoteLog {
    source: RemoteSource,
    /// What the store said of itself at first.
    hello: Hello,
    opening: Opening,
    /// A request failed in a way that may pass.
    went_away: bool,
}

impl RemoteLog {
    /// Finds the store behind `address`: that of its service, or of its server's attendant.
    ///
    /// # Errors
    ///
    /// The client's, if nobody answers there or there is no store.
    pub(crate) fn connect(address: &str) -> Result<RemoteLog, ClientError> {
        let mut client = StoreClient::new(address);
        let hello = match client.hello() {
            Err(error) if error.code() == Some(ErrorCode::BadRequest) => {
                client = StoreClient::new(store_of(address)?);
                client.hello()?
            }
            answer => answer?,
        };
        RemoteLog::greeted(RemoteSource::new(client), hello)
    }

    /// The log of the store that `source` asks.
    ///
    /// # Errors
    ///
    /// The client's.
    pub(crate) fn of(mut source: RemoteSource) -> Result<RemoteLog, ClientError> {
        let hello = source.client().hello()?;
        RemoteLog::greeted(source, hello)
    }

    fn greeted(mut source: RemoteSource, hello: Hello) -> Result<RemoteLog, ClientError> {
        let opening = opening_of(&hello).ok_or_else(|| ClientError::Protocol {
            peer: source.client().address().to_owned(),
            cause: format!("it is a {} and no store", hello.role),
        })?;
        Ok(RemoteLog { source, hello, opening, went_away: false })
    }

    /// Asks something, and keeps in mind whether the store went away.
    fn ask<T>(
        &mut self,
        ask: impl FnOnce(&mut StoreClient) -> Result<T, ClientError>,
    ) -> Result<T, Error> {
        let answer = ask(self.source.client());
        self.went_away |= answer.as_ref().is_err_and(may_pass);
        answer.map_err(Error::chain)
    }
}

/// Where the store of the server is whose attendant listens at `address`.
fn store_of(address: &str) -> Result<String, ClientError> {
    let identity = AttendantClient::new(address).who()?;
    let missing = ClientError::NoServer { server: identity.server, service: "store" };
    identity.store.ok_or(missing)
}

fn opening_of(hello: &Hello) -> Option<Opening> {
    let digits = hello.store_id.as_ref().filter(|digits| digits.len() == 32)?;
    let mut id = [0; 16];
    for (byte, at) in id.iter_mut().zip((0..).step_by(2)) {
        *byte = u8::from_str_radix(digits.get(at..at + 2)?, 16).ok()?;
    }
    Some(Opening { store_id: StoreId(id), epoch: hello.epoch })
}

/// Whether another server, or the same one a little later, may do what this one did not.
fn may_pass(error: &ClientError) -> bool {
    use ErrorCode::{Busy, LeaseExpired, StaleOffer, Unavailable};
    let passing = [LeaseExpired, Unavailable, Busy, StaleOffer];
    match error {
        ClientError::Unreachable { .. } => true,
        other => other.code().is_some_and(|code| passing.contains(&code)),
    }
}

impl LogSource for RemoteLog {
    fn opening(&mut self) -> Result<Opening, Error> {
        // A connection that broke is made again in silence, and another one may answer.
        let hello = self.ask(StoreClient::hello)?;
        if opening_of(&hello) != Some(self.opening) {
            self.went_away = true;
            let (was, is) = (self.opening.epoch, hello.epoch);
            return Err(Error::needs_human(format!(
                "the store was opened anew: under epoch {is}, after {was}"
            )));
        }
        Ok(self.opening)
    }

    fn policy(&mut self) -> Result<LogPolicy, Error> {
        self.ask(StoreClient::log_state).map(|state| state.policy)
    }

    fn behind(&mut self) -> Result<Behind, Error> {
        let state = self.ask(StoreClient::log_state)?;
        let seconds = state.unarchived_seconds.unwrap_or(0);
        Ok(Behind { bytes: state.unarchived_bytes, seconds })
    }

    fn keep(&mut self) -> Result<(), Error> {
        self.ask(StoreClient::keep_log).map(drop)
    }

    fn circulate(&mut self) -> Result<(), Error> {
        self.ask(StoreClient::use_circular_log)
    }

    fn roll(&mut self) -> Result<Lsn, Error> {
        self.ask(StoreClient::roll_log)
    }

    fn note(&mut self, lsn: Lsn) -> Result<(), Error> {
        let hello = self.hello.clone();
        self.ask(|client| client.archived_until(lsn, &hello)).map(drop)
    }

    fn reaches(&mut self, after: Lsn) -> Result<bool, Error> {
        self.ask(|client| client.log_reaches(after))
    }

    fn read(&mut self, stretch: LogStretch, take: Take<'_>) -> Result<(), Error> {
        let mut failed = None;
        self.ask(|client| {
            client.read_log(stretch, &mut |record, runs| match take(record, &runs) {
                Ok(()) => Flow::Continue,
                Err(error) => {
                    failed = Some(error);
                    Flow::Stop
                }
            })
        })?;
        failed.map_or(Ok(()), Err)
    }

    fn back_up(
        &mut self,
        target: Arc<dyn Target>,
        request: &BackupRequest,
        observe: Observe<'_>,
    ) -> Result<BackupReport, Error> {
        let names = self.ask(StoreClient::mailboxes)?;
        let names: Vec<_> = names.into_iter().map(|mailbox| mailbox.name).collect();
        backup::back_up_into(target, &mut self.source, &names, request, observe)
    }

    fn is_away(&mut self) -> bool {
        if self.went_away {
            return true;
        }
        // A backup does not tell why its source failed; a server that was there all the while
        // answers as it did.
        let hello = self.source.client().hello().ok();
        hello.as_ref().and_then(opening_of) != Some(self.opening)
    }
}
