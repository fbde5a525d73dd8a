//! The file of parity beside a volume that is being written.

use std::ops::Range;
use std::sync::Arc;

use crate::error::ArchiveError;
use crate::parity::{GROUP_SIZE, Group, ParityEncoder, parity_record};
use crate::record::RecordHead;
use crate::target::TargetFile;

/// The parity of the volume being written.
pub(super) struct OpenParity {
    name: String,
    file: Box<dyn TargetFile>,
    encoder: ParityEncoder,
    /// Bytes of the volume whose parity is not computed yet, in the records that they are of.
    group: Vec<(Arc<Vec<u8>>, Range<usize>)>,
    group_len: usize,
    number: u32,
}

impl OpenParity {
    /// Into `file`, which the target calls `name`.
    pub(super) fn new(name: String, file: Box<dyn TargetFile>) -> OpenParity {
        let encoder = ParityEncoder::default();
        OpenParity { name, file, encoder, group: Vec::new(), group_len: 0, number: 0 }
    }

    /// Takes a record of the volume; writes the parity of each group that it completes.
    pub(super) fn take(&mut self, record: Vec<u8>, head: &RecordHead) -> Result<(), ArchiveError> {
        let whole = usize::try_from(GROUP_SIZE).unwrap_or(usize::MAX);
        let record = Arc::new(record);
        let mut at = 0;
        while at < record.len() {
            let end = record.len().min(at + whole - self.group_len);
            self.group.push((Arc::clone(&record), at..end));
            self.group_len += end - at;
            at = end;
            if self.group_len == whole {
                self.put(head)?;
            }
        }
        Ok(())
    }

    /// Writes the parity of what is left of the volume; gives name and file.
    pub(super) fn close(
        mut self,
        head: &RecordHead,
    ) -> Result<(String, Box<dyn TargetFile>), ArchiveError> {
        self.put(head)?;
        Ok((self.name, self.file))
    }

    fn put(&mut self, head: &RecordHead) -> Result<(), ArchiveError> {
        if self.group_len == 0 {
            return Ok(());
        }
        let pieces = self.group.iter().map(|(record, range)| &record[range.clone()]);
        let pieces: Vec<&[u8]> = pieces.collect();
        let Some(group) = Group::of(&mut self.encoder, &pieces) else { return Ok(()) };
        let record = parity_record(&group, self.number, head.tag, head.volume, head.lsn);
        let written = self.file.append(&record);
        written.map_err(ArchiveError::target(&self.name, "write to it"))?;
        self.group.clear();
        self.group_len = 0;
        self.number += 1;
        Ok(())
    }
}
