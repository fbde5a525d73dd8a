//! Lines of the journal: checksum, number, moment, record.

use serde::{Deserialize, Serialize};

use super::{Entry, Record};
use crate::error::ExecutorError;

/// Eight hexadecimal digits and a space.
const PREFIX_SIZE: usize = 9;

/// A line as JSON.
#[derive(Serialize, Deserialize)]
struct Line {
    n: u64,
    at_us: i64,
    #[serde(flatten)]
    record: Record,
}

/// The bytes of a line, newline included.
pub(super) fn encode(number: u64, at_us: i64, record: &Record) -> Vec<u8> {
    let line = Line { n: number, at_us, record: record.clone() };
    let json = serde_json::to_string(&line).expect("strings and numbers always become JSON");
    format!("{:08x} {json}\n", crc32c::crc32c(json.as_bytes())).into_bytes()
}

/// The entries in `bytes`, and where the last whole line ends.
///
/// A last line without its end, or with zeros where bytes never reached the disk, is what a power
/// cut leaves. It never was durable, so nothing was done because of it: the journal ends before it.
pub(super) fn decode(bytes: &[u8], file: &str) -> Result<(Vec<Entry>, u64), ExecutorError> {
    let mut entries = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        let Some(length) = rest.iter().position(|byte| *byte == b'\n') else { break };
        match decode_line(&rest[..length], entries.len() as u64 + 1) {
            Ok(entry) => entries.push(entry),
            Err(_) if rest.len() == length + 1 && rest.contains(&0) => break,
            Err(cause) => {
                return Err(ExecutorError::Damaged {
                    file: file.to_owned(),
                    line: entries.len() + 1,
                    offset: at as u64,
                    cause,
                });
            }
        }
        at += length + 1;
    }
    Ok((entries, at as u64))
}

fn decode_line(line: &[u8], number: u64) -> Result<Entry, String> {
    let (prefix, json) = line.split_at_checked(PREFIX_SIZE).ok_or("it is too short")?;
    let stored = std::str::from_utf8(prefix)
        .ok()
        .and_then(|prefix| prefix.strip_suffix(' '))
        .and_then(|digits| u32::from_str_radix(digits, 16).ok())
        .ok_or("it does not begin with a checksum")?;
    let computed = crc32c::crc32c(json);
    if stored != computed {
        return Err(format!("checksum {stored:08x} stored, {computed:08x} computed"));
    }
    let line: Line = serde_json::from_slice(json).map_err(|error| error.to_string())?;
    if line.n != number {
        return Err(format!("it has number {}, expected {number}", line.n));
    }
    Ok(Entry { at_us: line.at_us, record: line.record })
}
