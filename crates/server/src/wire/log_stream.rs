//! The stream behind the answer to `read_log`: bodies, and behind them the record that put them.

use std::io::{self, Read, Write};

use rehome_log::{Lsn, crc32c};
use rehome_store::LogRecord;

const RUN: u8 = b'B';
const RECORD: u8 = b'R';
const END: u8 = b'E';
/// Kind, length, checksum.
const HEAD_SIZE: usize = 9;
/// LSN, LSN of the record before, time.
const RECORD_HEAD_SIZE: usize = 24;

/// A frame of the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LogFrame {
    /// Body records of the next log record, as a segment holds them.
    Run(Vec<u8>),
    /// A record of the log.
    Record(LogRecord),
    /// The stream is whole: the number of its records, and the last record that was looked at.
    End { records: u64, last: Lsn },
}

/// Writes a frame.
pub(crate) fn write_log_frame(to: &mut dyn Write, frame: &LogFrame) -> io::Result<()> {
    let (kind, payload) = match frame {
        LogFrame::Run(run) => (RUN, run.clone()),
        LogFrame::Record(LogRecord { lsn, prev_lsn, wall_us, payload }) => {
            let mut bytes = Vec::with_capacity(RECORD_HEAD_SIZE + payload.len());
            bytes.extend_from_slice(&lsn.to_u64().to_le_bytes());
            bytes.extend_from_slice(&prev_lsn.to_u64().to_le_bytes());
            bytes.extend_from_slice(&wall_us.to_le_bytes());
            bytes.extend_from_slice(payload);
            (RECORD, bytes)
        }
        LogFrame::End { records, last } => {
            (END, [records.to_le_bytes(), last.to_u64().to_le_bytes()].concat())
        }
    };
    let len = u32::try_from(payload.len()).map_err(io::Error::other)?;
    to.write_all(&[kind])?;
    to.write_all(&len.to_le_bytes())?;
    to.write_all(&crc32c(&payload).to_le_bytes())?;
    to.write_all(&payload)
}

/// Reads a frame; memory grows with what arrives, not with what its head claims.
pub(crate) fn read_log_frame(from: &mut dyn Read) -> io::Result<LogFrame> {
    let mut head = [0; HEAD_SIZE];
    from.read_exact(&mut head)?;
    let word = |at: usize| u32::from_le_bytes(head[at..at + 4].try_into().expect("four bytes"));
    let (len, crc) = (u64::from(word(1)), word(5));
    let mut payload = Vec::new();
    from.take(len).read_to_end(&mut payload)?;
    if payload.len() as u64 != len || crc32c(&payload) != crc {
        return Err(bad("a frame of the log is cut off or its checksum is wrong"));
    }
    let long = |at: usize| payload.get(at..at + 8)?.try_into().ok().map(u64::from_le_bytes);
    match head[0] {
        RUN => Ok(LogFrame::Run(payload)),
        RECORD => record(&payload).ok_or_else(|| bad("a record of the log is too short")),
        END => match (long(0), long(8)) {
            (Some(records), Some(last)) => Ok(LogFrame::End { records, last: Lsn::from_u64(last) }),
            _ => Err(bad("the end of the log's stream is too short")),
        },
        _ => Err(bad("a frame of the log has an unknown kind")),
    }
}

fn record(bytes: &[u8]) -> Option<LogFrame> {
    let long = |at: usize| bytes.get(at..at + 8)?.try_into().ok().map(u64::from_le_bytes);
    Some(LogFrame::Record(LogRecord {
        lsn: Lsn::from_u64(long(0)?),
        prev_lsn: Lsn::from_u64(long(8)?),
        wall_us: i64::from_le_bytes(bytes.get(16..24)?.try_into().ok()?),
        payload: bytes.get(RECORD_HEAD_SIZE..)?.to_vec(),
    }))
}

fn bad(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames() -> Vec<LogFrame> {
        let record = LogRecord {
            lsn: Lsn::new(2, 8),
            prev_lsn: Lsn::new(1, 4096),
            wall_us: -7,
            payload: b"a group".to_vec(),
        };
        vec![
            LogFrame::Run(b"bodies".to_vec()),
            LogFrame::Record(record),
            LogFrame::End { records: 1, last: Lsn::new(2, 8) },
        ]
    }

    fn encoded(frame: &LogFrame) -> Vec<u8> {
        let mut bytes = Vec::new();
        write_log_frame(&mut bytes, frame).expect("memory");
        bytes
    }

    #[test]
    fn frames_come_back_as_they_were() {
        let bytes: Vec<u8> = frames().iter().flat_map(encoded).collect();
        let mut from = bytes.as_slice();
        for frame in frames() {
            assert_eq!(read_log_frame(&mut from).expect("whole"), frame);
        }
        assert!(read_log_frame(&mut from).is_err(), "there is no more");
    }

    #[test]
    fn a_cut_or_a_flip_of_any_byte_is_told() {
        for frame in frames() {
            let bytes = encoded(&frame);
            for at in 0..bytes.len() {
                assert!(read_log_frame(&mut &bytes[..at]).is_err(), "cut at {at}: {frame:?}");
                let mut flipped = bytes.clone();
                flipped[at] ^= 1;
                let read = read_log_frame(&mut flipped.as_slice());
                assert!(read.is_err() || read.is_ok_and(|read| read != frame), "byte {at}");
            }
        }
    }
}
