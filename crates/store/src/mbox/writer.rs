//! Writes messages into an mbox.

use super::reader::covers_itself;
use super::{Quoting, separator};
use std::io::{self, Write};

/// What was done to a message so that it fits into an mbox.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Altered {
    /// Lines that got a `>`.
    pub quoted_lines: u64,
    /// The last line had no end and got one.
    pub ended: bool,
}

/// Writes one message: separator line, message, empty line.
///
/// The last message of a file whose last line has no end stays so; any other gets one, because a
/// separator must begin a line.
pub(crate) fn write(
    to: &mut impl Write,
    separator_line: &str,
    body: &[u8],
    quoting: Quoting,
    last: bool,
) -> io::Result<Altered> {
    let first = body.split_inclusive(|byte| *byte == b'\n').next().unwrap_or_default();
    let line_end: &[u8] = if first.ends_with(b"\r\n") { b"\r\n" } else { b"\n" };
    to.write_all(separator_line.as_bytes())?;
    to.write_all(line_end)?;
    let mut altered = Altered::default();
    write_body(to, body, quoting, &mut altered)?;
    let whole = body.is_empty() || body.ends_with(b"\n");
    if !whole && last {
        return Ok(altered);
    }
    if !whole {
        altered.ended = true;
        to.write_all(line_end)?;
    }
    to.write_all(line_end)?;
    Ok(altered)
}

/// Writes the lines of a message, quoted as asked.
fn write_body(
    to: &mut impl Write,
    body: &[u8],
    quoting: Quoting,
    altered: &mut Altered,
) -> io::Result<()> {
    let mut written = 0;
    let mut empty_before = false;
    let mut at = 0;
    let covered = quoting == Quoting::AsStored && covers_itself(body);
    for line in body.split_inclusive(|byte| *byte == b'\n') {
        let quote = match quoting {
            Quoting::AsStored => !covered && empty_before && is_separator(line),
            Quoting::Mboxrd => is_quotable(line),
        };
        if quote {
            to.write_all(&body[written..at])?;
            to.write_all(b">")?;
            written = at;
            altered.quoted_lines += 1;
        }
        empty_before = matches!(line, b"\n" | b"\r\n");
        at += line.len();
    }
    to.write_all(&body[written..])
}

fn is_separator(line: &[u8]) -> bool {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    separator::parse(line.strip_suffix(b"\r").unwrap_or(line)).is_some()
}

/// Whether the line is `From ` after any number of `>`.
fn is_quotable(line: &[u8]) -> bool {
    let marks = line.iter().take_while(|byte| **byte == b'>').count();
    line[marks..].starts_with(separator::PREFIX)
}

/// Takes one `>` off each line that [`Quoting::Mboxrd`] would have given one.
pub(crate) fn unquote(body: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(body.len());
    for line in body.split_inclusive(|byte| *byte == b'\n') {
        let quoted = line.starts_with(b">") && is_quotable(line);
        plain.extend_from_slice(&line[usize::from(quoted)..]);
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::{Altered, unquote, write};
    use crate::mbox::Quoting;

    const LINE: &str = "From a@b Thu Aug 22 12:36:23 2002";

    #[track_caller]
    fn check(body: &str, quoting: Quoting, last: bool, expected: &str, altered: Altered) {
        let mut written = Vec::new();
        let done = write(&mut written, LINE, body.as_bytes(), quoting, last).unwrap();
        assert_eq!(String::from_utf8(written).unwrap(), format!("{LINE}{expected}"));
        assert_eq!(done, altered);
    }

    #[test]
    fn a_message_is_written_as_it_is() {
        let same = Altered::default();
        check("A: b\n\ntext\n", Quoting::AsStored, false, "\nA: b\n\ntext\n\n", same);
        check("A: b\r\n\r\n", Quoting::AsStored, true, "\r\nA: b\r\n\r\n\r\n", same);
        check("", Quoting::AsStored, false, "\n\n", same);
        check("no end", Quoting::AsStored, true, "\nno end", same);
        check(
            "a\n\nFrom me\n>From x\n",
            Quoting::AsStored,
            false,
            "\na\n\nFrom me\n>From x\n\n",
            same,
        );
        check(
            &format!("{LINE}\nA: b\n"),
            Quoting::AsStored,
            false,
            &format!("\n{LINE}\nA: b\n\n"),
            same,
        );
    }

    #[test]
    fn what_would_split_the_message_is_changed_and_counted() {
        let ended = Altered { ended: true, ..Altered::default() };
        check("no end", Quoting::AsStored, false, "\nno end\n\n", ended);
        let quoted = Altered { quoted_lines: 1, ..Altered::default() };
        check(
            &format!("a\n\n{LINE}\n"),
            Quoting::AsStored,
            false,
            &format!("\na\n\n>{LINE}\n\n"),
            quoted,
        );
    }

    #[test]
    fn mboxrd_quotes_every_line_and_comes_back() {
        let body = "From x\n>From y\n> From z\n\n>>From \nFrom: q\n";
        let quoted = Altered { quoted_lines: 3, ..Altered::default() };
        let expected = ">From x\n>>From y\n> From z\n\n>>>From \nFrom: q\n";
        check(body, Quoting::Mboxrd, false, &format!("\n{expected}\n"), quoted);
        assert_eq!(unquote(expected.as_bytes()), body.as_bytes());
    }
}
