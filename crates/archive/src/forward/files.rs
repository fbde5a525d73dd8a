//! The files that come out of a pipe, one after the other.

use std::io::{self, Read};

use crate::error::{ArchiveError, Damage};
use crate::target::section::{
    BYTES_SIZE_MAX, HEADER_SIZE, NAME_SIZE_MAX, SectionHead, SectionKind,
};

/// How the pipe is called where a file would be named.
pub(crate) const PIPE: &str = "the pipe";

/// Takes a pipe apart into files. After an error that is not damage to a file's own bytes nothing
/// more can be read.
pub(crate) struct Files<'a> {
    source: Box<dyn Read + 'a>,
    offset: u64,
    sequence: u64,
    files: u64,
    /// The file that is being read.
    file: Option<OpenFile>,
}

struct OpenFile {
    name: String,
    /// Bytes of it that were given out or passed over.
    bytes: u64,
    /// Bytes of the section that were not yet.
    left: u64,
    padding: usize,
}

impl<'a> Files<'a> {
    pub(crate) fn new(source: impl Read + 'a) -> Files<'a> {
        let source = Box::new(io::BufReader::with_capacity(256 << 10, source));
        Files { source, offset: 0, sequence: 0, files: 0, file: None }
    }

    /// Bytes of the pipe that were read.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Passes over the rest of the file and begins the next one; `None` when all were read.
    pub(crate) fn next_file(&mut self) -> Result<Option<String>, ArchiveError> {
        while self.file.is_some() {
            self.skip_section()?;
        }
        let (head, payload) = self.section()?;
        match head.kind {
            SectionKind::Begin => {
                let name = String::from_utf8(payload)
                    .map_err(|_| self.damaged("the name of a file is not UTF-8"))?;
                self.file = Some(OpenFile { name: name.clone(), bytes: 0, left: 0, padding: 0 });
                Ok(Some(name))
            }
            SectionKind::Close if payload == self.files.to_le_bytes() => Ok(None),
            _ => Err(self.damaged("a file should begin here, or the stream end with its count")),
        }
    }

    /// Reads up to `buf.len()` bytes of the file, 0 at its end.
    pub(crate) fn read(&mut self, buf: &mut [u8]) -> Result<usize, ArchiveError> {
        let Some(left) = self.left_in_section()? else { return Ok(0) };
        let len = usize::try_from(left).unwrap_or(usize::MAX).min(buf.len());
        self.fill(&mut buf[..len])?;
        self.take(len as u64)?;
        Ok(len)
    }

    /// Fills `buf` from the file; says how much of it could be filled before the file ended.
    pub(crate) fn read_full(&mut self, buf: &mut [u8]) -> Result<usize, ArchiveError> {
        let mut filled = 0;
        while filled < buf.len() {
            match self.read(&mut buf[filled..])? {
                0 => break,
                len => filled += len,
            }
        }
        Ok(filled)
    }

    /// Reads the rest of the file, at most `limit` bytes.
    pub(crate) fn read_small(&mut self, limit: u64) -> Result<Vec<u8>, ArchiveError> {
        let (mut bytes, mut piece) = (Vec::new(), vec![0; 64 << 10]);
        loop {
            match self.read(&mut piece)? {
                0 => return Ok(bytes),
                len => bytes.extend_from_slice(&piece[..len]),
            }
            if bytes.len() as u64 > limit {
                return Err(self.damaged(&format!("a file has more than {limit} bytes")));
            }
        }
    }

    /// Passes over what is left of the section of the file, or over a whole one.
    pub(crate) fn skip_section(&mut self) -> Result<(), ArchiveError> {
        let mut sink = [0; 4096];
        let Some(mut left) = self.left_in_section()? else { return Ok(()) };
        while left > 0 {
            let len = usize::try_from(left).unwrap_or(usize::MAX).min(sink.len());
            self.fill(&mut sink[..len])?;
            self.take(len as u64)?;
            left -= len as u64;
        }
        Ok(())
    }

    /// Bytes of the present file that were read or passed over.
    pub(crate) fn file_bytes(&self) -> u64 {
        self.file.as_ref().map_or(0, |file| file.bytes)
    }

    /// Whether the next byte of the file begins a section, so that a record may begin there.
    pub(crate) fn at_section(&self) -> bool {
        self.file.as_ref().is_none_or(|file| file.left == 0)
    }

    /// Bytes left in the section, which is the next one if one is used up; `None` at the end of
    /// the file.
    fn left_in_section(&mut self) -> Result<Option<u64>, ArchiveError> {
        loop {
            let Some(file) = &self.file else { return Ok(None) };
            if file.left > 0 {
                return Ok(Some(file.left));
            }
            let bytes = file.bytes;
            let (head, payload) = self.section()?;
            match (head.kind, &mut self.file) {
                (SectionKind::Bytes, Some(file)) => {
                    (file.left, file.padding) = (u64::from(head.len), head.padding_len());
                }
                (SectionKind::End, _) if payload == bytes.to_le_bytes() => {
                    self.file = None;
                    self.files += 1;
                    return Ok(None);
                }
                (SectionKind::End, _) => {
                    return Err(self.damaged("the file has another length than its end says"));
                }
                _ => return Err(self.damaged("the file should go on or end here")),
            }
        }
    }

    /// Notes that `len` bytes of the section were read, and reads its padding after the last one.
    fn take(&mut self, len: u64) -> Result<(), ArchiveError> {
        let Some(file) = &mut self.file else { return Ok(()) };
        file.bytes += len;
        file.left -= len;
        if file.left == 0 && file.padding > 0 {
            let len = std::mem::take(&mut file.padding);
            self.fill(&mut [0; HEADER_SIZE][..len])?;
        }
        Ok(())
    }

    /// Reads a section's header, and its payload unless it is a file's bytes.
    fn section(&mut self) -> Result<(SectionHead, Vec<u8>), ArchiveError> {
        let mut header = [0; HEADER_SIZE];
        self.fill(&mut header)?;
        let head = SectionHead::decode(&header);
        let head = head.ok_or_else(|| self.damaged("a section should begin here"))?;
        let carries_bytes = head.kind == SectionKind::Bytes;
        let limit = if carries_bytes { BYTES_SIZE_MAX } else { NAME_SIZE_MAX };
        if head.len > limit {
            return Err(self.damaged("a section is longer than any can be"));
        }
        let mut payload = vec![0; if carries_bytes { 0 } else { head.len as usize }];
        self.fill(&mut payload)?;
        if !head.fits(&header, &payload) {
            return Err(self.damaged("the hash of a section does not fit its bytes"));
        }
        if head.sequence != self.sequence {
            let what = format!("section {} should be here, {} is", self.sequence, head.sequence);
            return Err(self.damaged(&what));
        }
        if !carries_bytes {
            self.fill(&mut [0; HEADER_SIZE][..head.padding_len()])?;
        }
        self.sequence += 1;
        Ok((head, payload))
    }

    fn fill(&mut self, buf: &mut [u8]) -> Result<(), ArchiveError> {
        let mut filled = 0;
        while filled < buf.len() {
            match self.source.read(&mut buf[filled..]) {
                Ok(0) => {
                    let place = self.place();
                    return Err(ArchiveError::PipeCut { offset: self.offset, place });
                }
                Ok(len) => {
                    filled += len;
                    self.offset += len as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(ArchiveError::target(PIPE, "read it")(error)),
            }
        }
        Ok(())
    }

    fn place(&self) -> String {
        match &self.file {
            Some(file) => format!("{}, byte {}", file.name, file.bytes),
            None => format!("what follows file {}", self.files),
        }
    }

    /// Damage to the pipe itself at the place up to which it was read.
    pub(crate) fn damaged(&self, what: &str) -> ArchiveError {
        let offset = self.offset;
        let what = format!("{what} (in {})", self.place());
        ArchiveError::Damaged(Damage { offset, ..Damage::of_file(PIPE, what) })
    }
}
