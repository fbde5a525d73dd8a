//! Writes a transfer stream.

use std::io::{self, Write};

use super::frame::{End, FRAME_SIZE_MAX, Frame, Kind, checksum};

/// Writes frames to any sink and counts them.
#[derive(Debug)]
pub struct FrameWriter<W> {
    sink: W,
    counts: End,
}

impl<W: Write> FrameWriter<W> {
    /// Begins with nothing written.
    pub fn new(sink: W) -> Self {
        Self { sink, counts: End::default() }
    }

    /// What has been written, as the closing frame must state it.
    pub fn counts(&self) -> End {
        self.counts
    }

    /// Writes one frame.
    ///
    /// # Errors
    ///
    /// The sink's error, or `InvalidInput` for a payload above [`FRAME_SIZE_MAX`].
    pub fn write(&mut self, frame: &Frame) -> io::Result<()> {
        match frame {
            Frame::Begin(begin) => self.put(Kind::Begin, &encode(begin)?)?,
            Frame::Content(run) => self.put_run(run.bytes())?,
            Frame::Mailbox(batch) => self.put(Kind::Mailbox, &encode(batch)?)?,
            Frame::LeftBehind(left) => self.put(Kind::LeftBehind, &encode(left)?)?,
            Frame::Base(bytes) => self.put(Kind::Base, bytes)?,
            Frame::End(end) => self.put(Kind::End, &encode(end)?)?,
        }
        self.counts.count(frame);
        Ok(())
    }

    /// Flushes the sink.
    ///
    /// # Errors
    ///
    /// The sink's error.
    pub fn flush(&mut self) -> io::Result<()> {
        self.sink.flush()
    }

    /// Writes the closing frame, flushes, and gives the sink back.
    ///
    /// # Errors
    ///
    /// The sink's error.
    pub fn finish(mut self) -> io::Result<W> {
        self.write(&Frame::End(self.counts))?;
        self.sink.flush()?;
        Ok(self.sink)
    }

    /// Writes a run; one that is longer than a frame goes in parts.
    fn put_run(&mut self, mut run: &[u8]) -> io::Result<()> {
        while run.len() > FRAME_SIZE_MAX {
            let (part, rest) = run.split_at(FRAME_SIZE_MAX);
            self.put(Kind::Part, part)?;
            run = rest;
        }
        self.put(Kind::Content, run)
    }

    fn put(&mut self, kind: Kind, payload: &[u8]) -> io::Result<()> {
        let len = u32::try_from(payload.len()).ok().filter(|len| *len as usize <= FRAME_SIZE_MAX);
        let Some(len) = len else {
            let text = format!("a frame of {} bytes is above {FRAME_SIZE_MAX}", payload.len());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        };
        let len = len.to_le_bytes();
        let mut header = [0; super::frame::HEADER_SIZE];
        header[..4].copy_from_slice(&len);
        header[4..8].copy_from_slice(&checksum(len, kind as u8, payload).to_le_bytes());
        header[8] = kind as u8;
        self.sink.write_all(&header)?;
        self.sink.write_all(payload)
    }
}

fn encode(value: &impl serde::Serialize) -> io::Result<Vec<u8>> {
    postcard::to_stdvec(value).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))
}
