//! One connection, seen from either side.

use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::refusal::{Answer, Refusal};
use super::{BODY_SIZE_MAX, LINE_SIZE_MAX};

/// Why a connection is of no further use.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The network failed, or nothing came for too long.
    #[error("{peer}: the connection failed")]
    Io {
        /// The other side.
        peer: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The other side does not speak the protocol.
    #[error("{peer}: no message of this protocol: {cause}; check address and version")]
    Garbage {
        /// The other side.
        peer: String,
        /// What is wrong with it.
        cause: String,
    },
}

/// A connection with buffers.
#[derive(Debug)]
pub(crate) struct Connection {
    reader: BufReader<TcpStream>,
    writer: BufWriter<TcpStream>,
    peer: String,
}

/// What a service answers, in the form in which it travels.
#[derive(Debug, Default)]
pub(crate) struct Reply {
    /// The result.
    pub(crate) value: Value,
    /// Bytes behind it.
    pub(crate) body: Vec<u8>,
    /// Whether the process ends, once whoever asked for that has this answer.
    pub(crate) ends: bool,
}

impl Reply {
    /// The answer to whoever asks the process to end.
    pub(crate) fn ending() -> Self {
        Self { ends: true, ..Self::default() }
    }

    /// A result without bytes behind it.
    pub(crate) fn of(value: &impl serde::Serialize) -> Answer<Self> {
        let value = serde_json::to_value(value);
        let value = value.map_err(|error| Refusal::unavailable(error.to_string()))?;
        Ok(Self { value, ..Self::default() })
    }

    /// The same with bytes behind it.
    pub(crate) fn with_body(self, body: Vec<u8>) -> Answer<Self> {
        if body.len() as u64 > BODY_SIZE_MAX {
            let text = format!("the answer of {} bytes does not fit; ask for less", body.len());
            return Err(Refusal::bad_request(text));
        }
        Ok(Self { body, ..self })
    }
}

impl Connection {
    /// Puts buffers around a stream. `timeout` bounds each wait for the other side.
    pub(crate) fn new(stream: TcpStream, timeout: Duration) -> io::Result<Self> {
        let peer = stream.peer_addr()?.to_string();
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(timeout))?;
        stream.set_write_timeout(Some(timeout))?;
        let writer = BufWriter::with_capacity(64 << 10, stream.try_clone()?);
        Ok(Self { reader: BufReader::with_capacity(64 << 10, stream), writer, peer })
    }

    /// Changes how long the other side is waited for.
    pub(crate) fn set_timeout(&self, timeout: Duration) -> io::Result<()> {
        self.reader.get_ref().set_read_timeout(Some(timeout))?;
        self.reader.get_ref().set_write_timeout(Some(timeout))
    }

    /// Ends the connection for both sides.
    pub(crate) fn close(&self) {
        // A connection that is closed already is what was wanted.
        drop(self.reader.get_ref().shutdown(Shutdown::Both));
    }

    /// Reads a line of JSON; `None` if the other side has closed in order.
    pub(crate) fn read_line(&mut self) -> Result<Option<Map<String, Value>>, WireError> {
        let mut line = Vec::new();
        let limit = LINE_SIZE_MAX as u64;
        let read = (&mut self.reader).take(limit).read_until(b'\n', &mut line);
        read.map_err(|source| self.failed(source))?;
        match line.last() {
            None => return Ok(None),
            Some(b'\n') => {}
            Some(_) if line.len() >= LINE_SIZE_MAX => {
                return Err(self.garbage(format!("a line of more than {LINE_SIZE_MAX} bytes")));
            }
            Some(_) => return Err(self.garbage("the connection ended in a line")),
        }
        match serde_json::from_slice(&line) {
            Ok(Value::Object(map)) => Ok(Some(map)),
            Ok(_) => Err(self.garbage("the line is no JSON object")),
            Err(error) => Err(self.garbage(format!("the line is no JSON: {error}"))),
        }
    }

    /// Takes the length of the body out of a line, and checks it.
    pub(crate) fn body_len(&self, line: &mut Map<String, Value>) -> Result<u64, WireError> {
        let Some(value) = line.remove("body") else { return Ok(0) };
        match value.as_u64() {
            Some(len) if len <= BODY_SIZE_MAX => Ok(len),
            _ => Err(self.garbage(format!("\"body\" is {value}, at most {BODY_SIZE_MAX} allowed"))),
        }
    }

    /// Reads a body; memory grows with what arrives, not with what the line claims.
    pub(crate) fn read_body(&mut self, len: u64) -> Result<Vec<u8>, WireError> {
        let mut body = Vec::new();
        let read = (&mut self.reader).take(len).read_to_end(&mut body);
        read.map_err(|source| self.failed(source))?;
        if body.len() as u64 != len {
            return Err(self.garbage(format!("{len} bytes stated, {} came", body.len())));
        }
        Ok(body)
    }

    /// Writes a line and a body.
    pub(crate) fn write(
        &mut self,
        mut line: Map<String, Value>,
        body: &[u8],
    ) -> Result<(), WireError> {
        if !body.is_empty() {
            line.insert("body".to_owned(), json!(body.len()));
        }
        let mut bytes = Value::Object(line).to_string().into_bytes();
        bytes.push(b'\n');
        if bytes.len() > LINE_SIZE_MAX {
            let cause = format!("a line of {} bytes was to be sent", bytes.len());
            return Err(self.garbage(cause));
        }
        self.writer
            .write_all(&bytes)
            .and_then(|()| self.writer.write_all(body))
            .and_then(|()| self.writer.flush())
            .map_err(|source| self.failed(source))
    }

    /// Writes what a service answers.
    pub(crate) fn answer(&mut self, answer: Answer<Reply>) -> Result<(), WireError> {
        match answer {
            Ok(reply) => {
                let mut line = Map::from_iter([("ok".to_owned(), reply.value)]);
                if fits(&line) {
                    return self.write(line, &reply.body);
                }
                // A long result travels as a body of JSON.
                if reply.body.is_empty() {
                    let body = line.remove("ok").unwrap_or_default().to_string().into_bytes();
                    line.insert("long".to_owned(), json!(true));
                    return self.write(line, &body);
                }
                self.refuse(&Refusal::unavailable("the answer is longer than a line"))
            }
            Err(refusal) => self.refuse(&refusal),
        }
    }

    /// Writes a refusal.
    pub(crate) fn refuse(&mut self, refusal: &Refusal) -> Result<(), WireError> {
        let mut refusal = refusal.clone();
        if refusal.text.len() > LINE_SIZE_MAX / 8 {
            refusal.text = refusal.text.chars().take(LINE_SIZE_MAX / 32).collect();
        }
        let line = Map::from_iter([("error".to_owned(), json!(refusal))]);
        self.write(line, &[])
    }

    /// Reads an answer.
    pub(crate) fn read_answer(&mut self) -> Result<Answer<Reply>, WireError> {
        let Some(mut line) = self.read_line()? else {
            let source = io::Error::from(io::ErrorKind::UnexpectedEof);
            return Err(self.failed(source));
        };
        if let Some(refusal) = line.remove("error") {
            let refusal = serde_json::from_value(refusal);
            return refusal.map(Err).map_err(|error| self.garbage(error.to_string()));
        }
        let len = self.body_len(&mut line)?;
        let body = self.read_body(len)?;
        if line.contains_key("long") {
            let value = serde_json::from_slice(&body);
            let value = value.map_err(|error| self.garbage(error.to_string()))?;
            return Ok(Ok(Reply { value, ..Reply::default() }));
        }
        match line.remove("ok") {
            Some(value) => Ok(Ok(Reply { value, body, ..Reply::default() })),
            None => Err(self.garbage("neither \"ok\" nor \"error\"")),
        }
    }

    /// The reading half, for a transfer stream.
    pub(crate) fn reader(&mut self) -> &mut BufReader<TcpStream> {
        &mut self.reader
    }

    /// The writing half, for a transfer stream.
    pub(crate) fn writer(&mut self) -> &mut BufWriter<TcpStream> {
        &mut self.writer
    }

    pub(crate) fn failed(&self, source: io::Error) -> WireError {
        WireError::Io { peer: self.peer.clone(), source }
    }

    pub(crate) fn garbage(&self, cause: impl Into<String>) -> WireError {
        WireError::Garbage { peer: self.peer.clone(), cause: cause.into() }
    }
}

/// Tells whether a line is short enough, with room for the length of a body.
fn fits(line: &Map<String, Value>) -> bool {
    serde_json::to_vec(line).is_ok_and(|bytes| bytes.len() + 32 <= LINE_SIZE_MAX)
}
