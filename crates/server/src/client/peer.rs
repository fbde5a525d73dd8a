//! A service at the other end of a connection that is made when it is needed.

use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::wire::{Connection, ErrorCode, LINE_SIZE_MAX, Refusal, Reply, WireError};

/// How long an answer is waited for, unless the caller says otherwise.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Why a service has not done what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// There is no connection, or it broke. Whether the request was carried out is unknown.
    #[error("{peer} cannot be reached, or went away; ask again")]
    Unreachable {
        /// The address.
        peer: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The service refused.
    #[error("{peer} refused: {refusal}")]
    Refused {
        /// The address.
        peer: String,
        /// What it said.
        refusal: Refusal,
    },
    /// The other side does not speak the protocol.
    #[error("{peer} is no such service: {cause}; check address and version")]
    Protocol {
        /// The address.
        peer: String,
        /// What is wrong with its answer.
        cause: String,
    },
    /// Nobody knows a server of that name.
    #[error("server {server} is not known by name, or has no {service}; see that it is online")]
    NoServer {
        /// The name.
        server: String,
        /// The service looked for.
        service: &'static str,
    },
}

impl ClientError {
    /// The code of a refusal.
    #[must_use]
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Refused { refusal, .. } => Some(refusal.code),
            _ => None,
        }
    }
}

/// A service, and the connection to it while there is one.
pub(crate) struct Peer {
    address: String,
    timeout: Duration,
    connection: Option<Connection>,
}

impl Peer {
    pub(crate) fn new(address: impl Into<String>) -> Self {
        Self { address: address.into(), timeout: TIMEOUT, connection: None }
    }

    /// Waits for answers no longer than this from now on.
    pub(crate) fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = timeout;
        let changed = self.connection.as_ref().map(|connection| connection.set_timeout(timeout));
        if let Some(Err(_)) = changed {
            self.connection = None;
        }
    }

    /// Does something that takes its time: waits for answers at least so long meanwhile.
    pub(crate) fn patiently<T>(
        &mut self,
        at_least: Duration,
        work: impl FnOnce(&mut Self) -> Result<T, ClientError>,
    ) -> Result<T, ClientError> {
        let timeout = self.timeout;
        self.set_timeout(timeout.max(at_least));
        let done = work(self);
        self.set_timeout(timeout);
        done
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Closes the connection; the next call makes a new one.
    pub(crate) fn disconnect(&mut self) {
        if let Some(connection) = self.connection.take() {
            connection.close();
        }
    }

    /// Asks for something that may be asked twice: a connection that had broken while it was not
    /// used is made again.
    pub(crate) fn ask<T: DeserializeOwned>(
        &mut self,
        request: &impl Serialize,
    ) -> Result<T, ClientError> {
        self.call(request, &[]).and_then(|reply| self.value(reply.value))
    }

    /// As [`Peer::ask`], with bytes both ways.
    pub(crate) fn call(
        &mut self,
        request: &impl Serialize,
        body: &[u8],
    ) -> Result<Reply, ClientError> {
        let used_before = self.connection.is_some();
        match self.call_once(request, body) {
            Err(ClientError::Unreachable { .. }) if used_before => self.call_once(request, body),
            answer => answer,
        }
    }

    /// Asks once, on the connection there is or a new one.
    pub(crate) fn call_once(
        &mut self,
        request: &impl Serialize,
        body: &[u8],
    ) -> Result<Reply, ClientError> {
        let (line, long) = encode(request).map_err(|cause| self.protocol(cause))?;
        let connection = self.connect()?;
        let body = long.as_deref().unwrap_or(body);
        let answer = match connection.write(line, body) {
            Ok(()) => connection.read_answer(),
            // A service that refuses before it has read everything says so before it closes.
            Err(error) => connection.read_answer().map_err(|_| error),
        };
        match answer {
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err(refusal)) => {
                if matches!(refusal.code, ErrorCode::BadRequest | ErrorCode::Busy) {
                    self.disconnect();
                }
                Err(ClientError::Refused { peer: self.address.clone(), refusal })
            }
            Err(error) => Err(self.broken(error)),
        }
    }

    /// The connection there is, or a new one.
    pub(crate) fn connect(&mut self) -> Result<&mut Connection, ClientError> {
        if self.connection.is_none() {
            let connection = dial(&self.address, self.timeout).map_err(|source| {
                ClientError::Unreachable { peer: self.address.clone(), source }
            })?;
            self.connection = Some(connection);
        }
        Ok(self.connection.as_mut().expect("it was made above"))
    }

    /// Gives up a connection after an error on it.
    pub(crate) fn broken(&mut self, error: WireError) -> ClientError {
        self.disconnect();
        match error {
            WireError::Io { source, .. } => {
                ClientError::Unreachable { peer: self.address.clone(), source }
            }
            WireError::Garbage { cause, .. } => self.protocol(cause),
        }
    }

    pub(crate) fn protocol(&self, cause: impl Into<String>) -> ClientError {
        ClientError::Protocol { peer: self.address.clone(), cause: cause.into() }
    }

    /// Reads a result.
    pub(crate) fn value<T: DeserializeOwned>(&self, value: Value) -> Result<T, ClientError> {
        serde_json::from_value(value).map_err(|error| self.protocol(error.to_string()))
    }
}

fn dial(address: &str, timeout: Duration) -> io::Result<Connection> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for place in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&place, timeout.min(Duration::from_secs(5))) {
            Ok(stream) => return Connection::new(stream, timeout),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// A line, and the body of one that is too long for a line.
type Encoded = (Map<String, Value>, Option<Vec<u8>>);

/// The line of a request, and the body of one that is too long for a line.
fn encode(request: &impl Serialize) -> Result<Encoded, String> {
    let Value::Object(mut line) =
        serde_json::to_value(request).map_err(|error| error.to_string())?
    else {
        return Err("the request is no object".to_owned());
    };
    let json = serde_json::to_vec(&line).map_err(|error| error.to_string())?;
    if json.len() + 64 <= LINE_SIZE_MAX {
        return Ok((line, None));
    }
    let op = line.remove("op").unwrap_or_default();
    let rest = Value::Object(line).to_string().into_bytes();
    Ok((Map::from_iter([("op".to_owned(), op), ("long".to_owned(), json!(true))]), Some(rest)))
}
