//! Reads a transfer stream and believes nothing that it has not checked.

use std::io::{self, Read};

use serde::de::DeserializeOwned;

use crate::ContentRun;

use super::frame::{
    Begin, End, FRAME_SIZE_MAX, Frame, HEADER_SIZE, Kind, RUN_SIZE_MAX, TRANSFER_VERSION, checksum,
};

/// Why a transfer stream cannot be read on. Nothing after the place is used.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The source of the bytes failed.
    #[error("transfer stream cannot be read at byte {offset}; send again from the last batch")]
    Io {
        /// Where the frame begins.
        offset: u64,
        /// What failed.
        #[source]
        source: io::Error,
    },
    /// The stream ends before its closing frame.
    #[error("transfer stream is cut off in the frame at byte {offset}; send again")]
    Cut {
        /// Where the frame begins.
        offset: u64,
    },
    /// The bytes of a frame are not the ones that were written.
    #[error("transfer stream is damaged in the frame at byte {offset}: {what}; send again")]
    Damaged {
        /// Where the frame begins.
        offset: u64,
        /// What is wrong with it.
        what: String,
    },
    /// The stream was written in another version.
    #[error(
        "transfer stream has version {found}, this program reads {TRANSFER_VERSION}; \
         update this side first"
    )]
    Version {
        /// The version in the opening frame.
        found: u16,
    },
}

/// Reads frames from any source, in the order that the format allows.
#[derive(Debug)]
pub struct FrameReader<R> {
    source: R,
    offset: u64,
    begun: bool,
    ended: bool,
    counts: End,
    /// What has come of a run that is longer than a frame.
    parts: Vec<u8>,
}

impl<R: Read> FrameReader<R> {
    /// Begins at the first byte of a stream.
    pub fn new(source: R) -> Self {
        Self {
            source,
            offset: 0,
            begun: false,
            ended: false,
            counts: End::default(),
            parts: Vec::new(),
        }
    }

    /// Reads the next frame; `None` after the closing one, which is returned itself.
    ///
    /// # Errors
    ///
    /// [`StreamError`] with the place; the reader is of no use then.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, StreamError> {
        if self.ended {
            return Ok(None);
        }
        loop {
            let (kind, payload) = self.frame()?;
            let len = (HEADER_SIZE + payload.len()) as u64;
            let frame = self.decode(kind, payload)?;
            if let Some(frame) = &frame {
                self.check_order(frame)?;
            }
            self.offset += len;
            if frame.is_some() {
                return Ok(frame);
            }
        }
    }

    /// Reads one frame off the source and checks its sum.
    fn frame(&mut self) -> Result<(u8, Vec<u8>), StreamError> {
        let mut header = [0; HEADER_SIZE];
        self.fill(&mut header)?;
        let (len, rest) = header.split_at(4);
        let len: [u8; 4] = len.try_into().expect("split at four");
        let stored = u32::from_le_bytes(rest[..4].try_into().expect("nine bytes in all"));
        let payload = self.payload(u32::from_le_bytes(len) as usize)?;
        let computed = checksum(len, header[8], &payload);
        if stored != computed {
            return self.damaged(format!("checksum {stored:08x} stored, {computed:08x} computed"));
        }
        Ok((header[8], payload))
    }

    fn damaged<T>(&self, what: impl Into<String>) -> Result<T, StreamError> {
        Err(StreamError::Damaged { offset: self.offset, what: what.into() })
    }

    fn io_error(&self, source: io::Error) -> StreamError {
        match source.kind() {
            io::ErrorKind::UnexpectedEof => StreamError::Cut { offset: self.offset },
            _ => StreamError::Io { offset: self.offset, source },
        }
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), StreamError> {
        self.source.read_exact(buffer).map_err(|source| self.io_error(source))
    }

    /// Reads `len` bytes; memory grows with what arrives, not with what the header claims.
    fn payload(&mut self, len: usize) -> Result<Vec<u8>, StreamError> {
        if len > FRAME_SIZE_MAX {
            return self.damaged(format!("{len} bytes stated, at most {FRAME_SIZE_MAX} allowed"));
        }
        let mut payload = Vec::with_capacity(len.min(4 << 20));
        let read = (&mut self.source).take(len as u64).read_to_end(&mut payload);
        match read {
            Ok(have) if have == len => Ok(payload),
            Ok(_) => Err(StreamError::Cut { offset: self.offset }),
            Err(source) => Err(self.io_error(source)),
        }
    }

    /// Understands a payload; `None` for a part of a run whose end is still to come.
    fn decode(&mut self, kind: u8, payload: Vec<u8>) -> Result<Option<Frame>, StreamError> {
        let kind = Kind::from_byte(kind);
        if !self.parts.is_empty() && !matches!(kind, Some(Kind::Part | Kind::Content)) {
            return self.damaged("a run in parts has no end");
        }
        Ok(Some(match kind {
            Some(Kind::Begin) => Frame::Begin(self.parse(&payload)?),
            Some(Kind::Content) if self.parts.is_empty() => self.run(&payload)?,
            Some(Kind::Content | Kind::Part) => {
                if self.parts.len() + payload.len() > RUN_SIZE_MAX {
                    return self.damaged(format!("a run is longer than {RUN_SIZE_MAX} bytes"));
                }
                self.parts.extend_from_slice(&payload);
                if kind == Some(Kind::Part) {
                    return Ok(None);
                }
                let whole = std::mem::take(&mut self.parts);
                self.run(&whole)?
            }
            Some(Kind::Mailbox) => Frame::Mailbox(self.parse(&payload)?),
            Some(Kind::LeftBehind) => Frame::LeftBehind(self.parse(&payload)?),
            Some(Kind::Base) => Frame::Base(payload),
            Some(Kind::End) => Frame::End(self.parse(&payload)?),
            None => return self.damaged("its kind is unknown"),
        }))
    }

    /// A run of records that are all whole.
    fn run(&self, bytes: &[u8]) -> Result<Frame, StreamError> {
        match ContentRun::check(bytes) {
            Ok(run) => Ok(Frame::Content(run)),
            Err(error) => self.damaged(error.to_string()),
        }
    }

    fn parse<T: DeserializeOwned>(&self, payload: &[u8]) -> Result<T, StreamError> {
        match postcard::take_from_bytes(payload) {
            Ok((value, [])) => Ok(value),
            Ok((_, rest)) => self.damaged(format!("{} bytes too many", rest.len())),
            Err(error) => self.damaged(error.to_string()),
        }
    }

    fn check_order(&mut self, frame: &Frame) -> Result<(), StreamError> {
        match frame {
            Frame::Begin(Begin { version, .. }) if *version != TRANSFER_VERSION => {
                return Err(StreamError::Version { found: *version });
            }
            Frame::Begin(_) if self.begun => return self.damaged("a second opening frame"),
            Frame::Begin(_) => self.begun = true,
            _ if !self.begun => return self.damaged("no opening frame before it"),
            Frame::End(end) if *end != self.counts => {
                return self.damaged(format!("{end:?} stated, {:?} arrived", self.counts));
            }
            Frame::End(_) => self.ended = true,
            Frame::Content(_) | Frame::Mailbox(_) | Frame::LeftBehind(_) | Frame::Base(_) => {
                self.counts.count(frame);
            }
        }
        Ok(())
    }
}
