//! Reads the messages of an mbox one after another; holds one message at a time.

use super::separator;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};

/// Up to how many bytes of a line are looked at as one piece.
const PIECE_BYTES: usize = 64 * 1024;

/// A message of an mbox.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct MboxMessage {
    /// Where its separator line begins, in bytes from the start of the file.
    pub offset: u64,
    /// The separator line without its line end.
    pub separator: Vec<u8>,
    /// The date of the separator line, in seconds since 1970.
    pub date_seconds: i64,
    /// The message; `None` if it is larger than the reader was told to hold.
    pub body: Option<Vec<u8>>,
    /// Its length.
    pub size_bytes: u64,
}

/// What an mbox holds apart from messages.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct MboxNotes {
    /// Bytes before the first separator that are not empty lines; they belong to no message.
    pub leading_bytes: u64,
    /// Lines that read as separators but do not follow an empty line: part of a message.
    pub unseparated: u64,
    /// Separators inside a message whose `Content-Length` reaches over them: part of it.
    pub covered: u64,
}

/// Reads messages from `stream`; `probe` is a second view of the same bytes.
pub(crate) struct MboxReader<R, P> {
    stream: BufReader<R>,
    probe: P,
    body_bytes_max: u64,
    /// Offset of the next piece.
    offset: u64,
    /// The piece read last, and what is known about it.
    piece: Vec<u8>,
    starts_line: bool,
    after_empty: bool,
    current: Option<Current>,
    notes: MboxNotes,
}

/// The message being read.
struct Current {
    message: MboxMessage,
    body_offset: u64,
    /// Length of the empty line at the end of what was read, with its line end.
    empty_tail: usize,
    length: ContentLength,
}

/// What the header says about the length of the body.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ContentLength {
    /// The header is not read to its end; the value it has stated so far.
    Header(Option<u64>),
    /// The body should end here, which was not needed yet.
    Stated(u64),
    /// The body does end here.
    Proved(u64),
    /// Nothing is stated, or what is stated is wrong.
    Useless,
}

impl<R: Read, P: Read + Seek> MboxReader<R, P> {
    /// Starts at the beginning of the file. Messages above `body_bytes_max` are only measured.
    pub(crate) fn new(stream: R, probe: P, body_bytes_max: u64) -> Self {
        Self {
            stream: BufReader::with_capacity(PIECE_BYTES * 4, stream),
            probe,
            body_bytes_max,
            offset: 0,
            piece: Vec::new(),
            starts_line: true,
            after_empty: true,
            current: None,
            notes: MboxNotes::default(),
        }
    }

    /// What was found besides messages up to now.
    pub(crate) fn notes(&self) -> &MboxNotes {
        &self.notes
    }

    /// Reads the next message; `None` at the end.
    pub(crate) fn next(&mut self) -> io::Result<Option<MboxMessage>> {
        loop {
            let at = self.offset;
            if !self.read_piece()? {
                return Ok(self.current.take().map(Current::finish));
            }
            let starts_line = self.starts_line;
            self.starts_line = self.piece.ends_with(b"\n");
            let date = if starts_line { self.separator_date() } else { None };
            if let Some(date_seconds) = date
                && self.separates(at)?
            {
                let next = self.start(at, date_seconds);
                if let Some(done) = self.current.replace(next) {
                    return Ok(Some(done.finish()));
                }
                continue;
            }
            self.after_empty = starts_line && is_empty_line(&self.piece);
            match &mut self.current {
                Some(current) => current.push(&self.piece, starts_line, self.body_bytes_max),
                None if self.after_empty => {}
                None => self.notes.leading_bytes += self.piece.len() as u64,
            }
        }
    }

    /// Reads up to the end of a line, but not more than [`PIECE_BYTES`].
    fn read_piece(&mut self) -> io::Result<bool> {
        self.piece.clear();
        let limit = PIECE_BYTES as u64;
        let read = (&mut self.stream).take(limit).read_until(b'\n', &mut self.piece)?;
        self.offset += read as u64;
        Ok(read > 0)
    }

    /// The date of the piece, if it is a separator line.
    fn separator_date(&self) -> Option<i64> {
        self.piece.starts_with(separator::PREFIX).then(|| separator::parse(line(&self.piece)))?
    }

    /// Whether the separator line at offset `at` separates.
    fn separates(&mut self, at: u64) -> io::Result<bool> {
        if !self.after_empty {
            self.notes.unseparated += u64::from(self.current.is_some());
            return Ok(false);
        }
        let Some(current) = &mut self.current else { return Ok(true) };
        if let ContentLength::Stated(end) = current.length
            && end > at
        {
            let proved = lands(&mut self.probe, end)?;
            current.length =
                if proved { ContentLength::Proved(end) } else { ContentLength::Useless };
        }
        let covered = matches!(current.length, ContentLength::Proved(end) if end > at);
        self.notes.covered += u64::from(covered);
        Ok(!covered)
    }

    /// Begins the message whose separator line is the piece.
    fn start(&mut self, at: u64, date_seconds: i64) -> Current {
        self.after_empty = false;
        let message = MboxMessage {
            offset: at,
            separator: line(&self.piece).to_vec(),
            date_seconds,
            body: Some(Vec::new()),
            size_bytes: 0,
        };
        let length = ContentLength::Header(None);
        Current { message, body_offset: self.offset, empty_tail: 0, length }
    }
}

impl Current {
    /// Takes the next piece of the message.
    fn push(&mut self, piece: &[u8], starts_line: bool, body_bytes_max: u64) {
        let empty = starts_line && is_empty_line(piece);
        self.empty_tail = if empty { piece.len() } else { 0 };
        self.message.size_bytes += piece.len() as u64;
        // The empty line at the end does not count against the limit: it may come off again.
        if self.message.size_bytes - self.empty_tail as u64 > body_bytes_max {
            self.message.body = None;
        }
        if let Some(body) = &mut self.message.body {
            body.extend_from_slice(piece);
        }
        if let ContentLength::Header(stated) = self.length {
            if empty {
                let body_start = self.body_offset + self.message.size_bytes;
                let end = stated.and_then(|length| body_start.checked_add(length));
                self.length = end.map_or(ContentLength::Useless, ContentLength::Stated);
            } else if let Some(length) = starts_line.then(|| content_length(piece)).flatten() {
                self.length = ContentLength::Header(Some(length));
            }
        }
    }

    /// Ends the message: the empty line before the next separator is not part of it.
    fn finish(mut self) -> MboxMessage {
        self.message.size_bytes -= self.empty_tail as u64;
        if let Some(body) = &mut self.message.body {
            body.truncate(body.len() - self.empty_tail);
        }
        self.message
    }
}

/// A line without its line end.
fn line(piece: &[u8]) -> &[u8] {
    let line = piece.strip_suffix(b"\n").unwrap_or(piece);
    line.strip_suffix(b"\r").unwrap_or(line)
}

fn is_empty_line(piece: &[u8]) -> bool {
    matches!(piece, b"\n" | b"\r\n")
}

/// The value of a `Content-Length` header line.
fn content_length(piece: &[u8]) -> Option<u64> {
    let (name, value) = piece.split_at_checked(b"content-length:".len())?;
    let named = name.eq_ignore_ascii_case(b"content-length:");
    named.then(|| std::str::from_utf8(value).ok()?.trim().parse().ok())?
}

/// Whether a reader takes the separators in `message` for part of it wherever it stands in an
/// mbox, because its `Content-Length` reaches to its end.
pub(crate) fn covers_itself(message: &[u8]) -> bool {
    let mut stated = None;
    let mut body_start = 0;
    for piece in message.split_inclusive(|byte| *byte == b'\n') {
        body_start += piece.len();
        if is_empty_line(piece) {
            let end =
                stated.and_then(|length| body_start.checked_add(usize::try_from(length).ok()?));
            let Some((body, rest)) = end.and_then(|end| message.split_at_checked(end)) else {
                return false;
            };
            return body.ends_with(b"\n") && matches!(rest, b"" | b"\n" | b"\r\n");
        }
        stated = content_length(piece).or(stated);
    }
    false
}

/// Whether a body that ends at offset `end` ends at the end of a line, and after at most two empty
/// lines comes a separator, itself after an empty line, or the end of the file.
fn lands(probe: &mut (impl Read + Seek), end: u64) -> io::Result<bool> {
    const BEFORE: usize = 2;
    let Some(start) = end.checked_sub(BEFORE as u64) else { return Ok(false) };
    match probe.seek(SeekFrom::Start(start)) {
        // No file of this system reaches so far.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => return Ok(false),
        other => other?,
    };
    let mut window = Vec::new();
    let limit = BEFORE + 4 + separator::LINE_BYTES_MAX + 2;
    probe.take(limit as u64).read_to_end(&mut window)?;
    let Some((before, mut rest)) = window.split_at_checked(BEFORE) else { return Ok(false) };
    if !before.ends_with(b"\n") {
        return Ok(false);
    }
    let mut after_empty = before == b"\n\n" || before == b"\r\n";
    for _ in 0..2 {
        let empty =
            if rest.starts_with(b"\r\n") { 2 } else { usize::from(rest.starts_with(b"\n")) };
        rest = &rest[empty..];
        after_empty |= empty > 0;
    }
    let first = rest.split_inclusive(|byte| *byte == b'\n').next();
    Ok(first.is_none_or(|first| after_empty && separator::parse(line(first)).is_some()))
}

#[cfg(test)]
mod tests;
