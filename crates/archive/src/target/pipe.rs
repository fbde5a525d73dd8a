//! A pipe as a target: the files one after the other, strictly forward.

use std::io::{self, BufWriter, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::section::{BYTES_SIZE_MAX, HEADER_SIZE, SectionHead, SectionKind};
use super::{SourceFile, Target, TargetFile};

/// A set with one backup, on its way through a pipe.
///
/// One file is written at a time. Nothing can be read again, so the reader of the pipe checks
/// what it gets. After an error, or a file that was dropped unfinished, the pipe takes nothing
/// more, and its reader finds it cut.
pub struct PipeTarget {
    pipe: Arc<Mutex<Pipe>>,
}

struct Pipe {
    sink: BufWriter<Box<dyn Write + Send>>,
    sequence: u64,
    files: u64,
    /// A file was begun and not finished: it is being written, or its writer gave up.
    in_file: bool,
    /// A write failed, or everything was written.
    over: bool,
}

impl PipeTarget {
    /// A target that writes into `sink`.
    #[must_use]
    pub fn new(sink: impl Write + Send + 'static) -> PipeTarget {
        let sink = BufWriter::new(Box::new(sink) as Box<dyn Write + Send>);
        let pipe = Pipe { sink, sequence: 0, files: 0, in_file: false, over: false };
        PipeTarget { pipe: Arc::new(Mutex::new(pipe)) }
    }

    /// Says that all files were written. A pipe without this counts as cut.
    ///
    /// # Errors
    ///
    /// `Unsupported` if a file is not finished or the pipe failed before; whatever the sink says.
    pub fn close(&self) -> io::Result<()> {
        let mut pipe = lock(&self.pipe);
        pipe.between_files()?;
        let files = pipe.files.to_le_bytes();
        pipe.put(SectionKind::Close, &files)?;
        pipe.over = true;
        pipe.sink.flush()
    }
}

fn lock(pipe: &Mutex<Pipe>) -> MutexGuard<'_, Pipe> {
    pipe.lock().unwrap_or_else(PoisonError::into_inner)
}

fn unsupported(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, what)
}

impl Pipe {
    fn between_files(&self) -> io::Result<()> {
        if self.over {
            return Err(unsupported("the pipe is closed or failed before"));
        }
        if self.in_file {
            return Err(unsupported("a pipe takes one file at a time, and one is not finished"));
        }
        Ok(())
    }

    fn put(&mut self, kind: SectionKind, payload: &[u8]) -> io::Result<()> {
        let len = u32::try_from(payload.len()).map_err(io::Error::other)?;
        let head = SectionHead { kind, len, sequence: self.sequence };
        let zeros = [0; HEADER_SIZE];
        let mut write = || {
            self.sink.write_all(&head.encode(payload))?;
            self.sink.write_all(payload)?;
            self.sink.write_all(&zeros[..head.padding_len()])
        };
        let written = write();
        self.sequence += 1;
        // Half a section may have gone out: nothing can follow it.
        self.over |= written.is_err();
        written
    }
}

impl Target for PipeTarget {
    fn reads_back(&self) -> bool {
        false
    }

    fn takes_parity(&self) -> bool {
        false
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn TargetFile>> {
        let mut pipe = lock(&self.pipe);
        pipe.between_files()?;
        pipe.put(SectionKind::Begin, name.as_bytes())?;
        pipe.in_file = true;
        Ok(Box::new(PipeFile { pipe: Arc::clone(&self.pipe), bytes: 0 }))
    }

    fn open(&self, _name: &str) -> io::Result<Box<dyn SourceFile>> {
        Err(io::ErrorKind::NotFound.into())
    }

    fn settle(&self, _name: &str) -> io::Result<()> {
        Ok(())
    }

    fn list(&self, _dir: &str) -> io::Result<Vec<String>> {
        Ok(Vec::new())
    }
}

/// The file that is being written. Dropped unfinished, it ends the pipe.
struct PipeFile {
    pipe: Arc<Mutex<Pipe>>,
    bytes: u64,
}

impl TargetFile for PipeFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut pipe = lock(&self.pipe);
        if pipe.over {
            return Err(unsupported("the pipe failed before"));
        }
        for piece in bytes.chunks(BYTES_SIZE_MAX as usize) {
            pipe.put(SectionKind::Bytes, piece)?;
        }
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    fn finish(self: Box<Self>) -> io::Result<()> {
        let mut pipe = lock(&self.pipe);
        if pipe.over {
            return Err(unsupported("the pipe failed before"));
        }
        pipe.put(SectionKind::End, &self.bytes.to_le_bytes())?;
        pipe.files += 1;
        pipe.in_file = false;
        pipe.sink.flush()
    }
}
