//! Checking a pipe while it goes by.

use std::collections::{BTreeMap, HashSet};
use std::io::Read;

use super::PipeReader;
use crate::check::{CheckLevel, CheckReport};
use crate::chunk;
use crate::error::{ArchiveError, Damage};
use crate::frame::Frame;
use crate::kind::RecordKind;
use crate::manifest::Manifest;
use crate::outline::decode_part;
use crate::record::{FLAG_LAST, Record};
use crate::survey::Progress;

/// Checks the backup that comes out of `source`. Damage and a cut are no errors: they are in the
/// report. It names places and no mailboxes: for these the pipe is unpacked and the set checked.
///
/// Nothing can be left out of a pipe, so [`CheckLevel::Structure`] counts as
/// [`CheckLevel::Hashes`]. One record is kept in memory, and at [`CheckLevel::Deep`] 16 bytes for
/// each content. `observe` learns no total.
///
/// # Errors
///
/// As [`PipeReader::open`], and the source's errors; [`ArchiveError::Locked`] for a deep check of
/// what is encrypted: it is unpacked for that.
pub fn check_pipe<'a>(
    source: impl Read + 'a,
    level: CheckLevel,
    observe: &mut dyn FnMut(Progress),
) -> Result<CheckReport, ArchiveError> {
    let mut reader = PipeReader::open(source)?;
    let is_deep = level == CheckLevel::Deep;
    let mut report = CheckReport::empty(reader.id(), level.max(CheckLevel::Hashes));
    let mut tally = Tally::default();
    loop {
        observe(Progress { done_bytes: reader.offset(), total_bytes: 0 });
        let found = reader.next_record().and_then(|record| {
            let Some(record) = record else { return Ok(false) };
            report.records += 1;
            if is_deep {
                reader.expect_key(&record)?;
            }
            let looked = if is_deep { tally.look_into(&record) } else { Ok(()) };
            looked.map(|()| true).map_err(|what| reader.damaged(&record, what))
        });
        match found {
            Ok(true) => {}
            Ok(false) => break,
            Err(ArchiveError::Damaged(damage)) => report.damage.push(damage),
            Err(error @ ArchiveError::PipeCut { offset, .. }) => {
                let damage = Damage::of_file(super::PIPE, error.to_string());
                report.damage.push(Damage { offset, ..damage });
            }
            Err(error) => return Err(error),
        }
    }
    report.bytes = reader.offset();
    report.contents = tally.good.len() as u64;
    if let Some(manifest) = &reader.manifest {
        report.absent = manifest.absent.len() as u64;
        if is_deep && report.damage.is_empty() {
            report.damage.extend(tally.compare(&reader.folder, manifest));
        }
    }
    Ok(report)
}

/// What the records of a pipe add up to.
#[derive(Default)]
struct Tally {
    /// Prefixes of the contents that outlines name.
    named: HashSet<u64>,
    /// Prefixes of the contents that came.
    good: HashSet<u64>,
    content_bytes: u64,
    messages: u64,
    outline_records: u64,
    streams: BTreeMap<String, StreamTally>,
}

#[derive(Default)]
struct StreamTally {
    next: u32,
    bytes: u64,
    hasher: blake3::Hasher,
    is_done: bool,
}

impl Tally {
    fn look_into(&mut self, record: &Record) -> Result<(), String> {
        match record.head.kind {
            RecordKind::Outline => {
                let part = decode_part(&record.payload()?)?;
                self.outline_records += 1;
                self.messages += part.outline.messages();
                let messages = part.outline.folders.iter().flat_map(|folder| &folder.messages);
                self.named.extend(messages.map(|message| message.content.prefix()));
            }
            RecordKind::Data => {
                let frame = Frame::decode(record.payload()?)?;
                for entry in &frame.entries {
                    let wrong = || format!("content {} does not have its hash", entry.id);
                    let bytes = frame.content(entry).ok_or_else(wrong)?;
                    self.good.insert(entry.id.prefix());
                    self.content_bytes += bytes.len() as u64;
                }
            }
            RecordKind::Stream => {
                let payload = record.payload()?;
                let (name, chunk, bytes) = chunk::decode_chunk(&payload)?;
                let is_last = record.head.flags & FLAG_LAST != 0;
                self.streams.entry(name).or_default().add(chunk, bytes, is_last)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn compare(&self, folder: &str, manifest: &Manifest) -> Vec<Damage> {
        let mut wrong = Vec::new();
        let absent: HashSet<u64> = manifest.absent.iter().map(|id| id.prefix()).collect();
        let missing = self.named.difference(&self.good).filter(|id| !absent.contains(id)).count();
        // What a backup of changes builds upon is not in the pipe.
        if missing > 0 && manifest.base.is_none() {
            wrong.push(format!("{missing} contents that messages name are not in it"));
        }
        let totals = manifest.totals;
        let fits = self.messages == totals.messages
            && self.outline_records == totals.outline_records
            && self.content_bytes == totals.content_bytes
            && self.streams.len() as u64 == totals.streams;
        if !fits {
            let what = "what is in it does not add up to the totals of its manifest";
            wrong.push(what.to_owned());
        }
        let open = self.streams.iter().filter(|(_, stream)| !stream.is_done);
        wrong.extend(open.map(|(name, _)| format!("the end of stream {name:?} is missing")));
        wrong.into_iter().map(|what| Damage::of_file(folder, what)).collect()
    }
}

impl StreamTally {
    fn add(&mut self, chunk: u32, bytes: &[u8], is_last: bool) -> Result<(), String> {
        if chunk != self.next || self.is_done {
            return Err(format!("record {} of the stream should be here", self.next));
        }
        self.next += 1;
        if !is_last {
            self.bytes += bytes.len() as u64;
            self.hasher.update(bytes);
            return Ok(());
        }
        self.is_done = true;
        let fits = bytes == chunk::encode_end(self.bytes, &self.hasher);
        let wrong = || "length or hash of the stream is not what its end says".to_owned();
        fits.then_some(()).ok_or_else(wrong)
    }
}
