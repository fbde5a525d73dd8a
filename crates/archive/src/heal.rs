//! Volumes whose lost bytes come back from parity while they are read.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use crate::kind::RecordKind;
use crate::parity::{GROUP_SIZE, Group, record_offset};
use crate::record::{Heal, Healed, VolumeFile};
use crate::target::SourceFile;

/// A volume with the file of its parity, as one file. It is read as it is stored until a reader
/// asks for a range to be healed.
pub(crate) struct HealingFile {
    stored: Box<dyn SourceFile>,
    parity: VolumeFile,
    size_bytes: u64,
    /// Groups that were looked at; with their bytes where something had to be healed.
    groups: Mutex<BTreeMap<u64, Option<Arc<Vec<u8>>>>>,
    healed: Mutex<Vec<Healed>>,
}

impl HealingFile {
    /// Joins a volume of `size_bytes` (as its manifest says; else as it is) with its parity. A
    /// manifest is not believed to speak of more than is stored or could come from the parity.
    pub(crate) fn new(
        stored: Box<dyn SourceFile>,
        parity: VolumeFile,
        size_bytes: Option<u64>,
    ) -> HealingFile {
        let groups = parity.size_bytes() / record_offset(1) + 1;
        let room = stored.size_bytes().max(groups.saturating_mul(GROUP_SIZE));
        let size_bytes = size_bytes.unwrap_or_else(|| stored.size_bytes()).min(room);
        let (groups, healed) = (Mutex::default(), Mutex::default());
        HealingFile { stored, parity, size_bytes, groups, healed }
    }

    fn heal_group(&self, number: u64) -> bool {
        let mut groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        if groups.contains_key(&number) {
            return false;
        }
        let healed = self.read_group(number);
        let changed = healed.is_some();
        groups.insert(number, healed.map(Arc::new));
        changed
    }

    /// The bytes of a group, if something in it is lost and can be healed.
    fn read_group(&self, number: u64) -> Option<Vec<u8>> {
        let record = self.parity.read(record_offset(number)).ok()?;
        let is_it =
            record.head.kind == RecordKind::Parity && u64::from(record.head.sequence) == number;
        let group = Group::decode(&record.payload().ok()?).ok().filter(|_| is_it)?;
        let begin = number * GROUP_SIZE;
        let (count, size) = group.stripes();
        let mut stripes = Vec::with_capacity(count);
        for at in 0..count {
            let offset = begin + (at * size) as u64;
            let mut stripe = vec![0; size.min(group.len - at * size)];
            stripes.push(self.stored.read_at(offset, &mut stripe).ok().map(|()| stripe));
        }
        let (bytes, lost) = group.heal(stripes)?;
        let mut healed = self.healed.lock().unwrap_or_else(PoisonError::into_inner);
        for at in &lost {
            let len = size.min(group.len - at * size) as u64;
            healed.push(Healed { offset: begin + (at * size) as u64, len });
        }
        (!lost.is_empty()).then_some(bytes)
    }

    /// Reads a part that lies in one group.
    fn read_part(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(Some(group)) = groups.get(&(offset / GROUP_SIZE)) else {
            drop(groups);
            return self.stored.read_at(offset, buf);
        };
        let at = usize::try_from(offset % GROUP_SIZE).map_err(io::Error::other)?;
        let bytes = group.get(at..at + buf.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        buf.copy_from_slice(bytes);
        Ok(())
    }
}

impl SourceFile for HealingFile {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    fn read_at(&self, mut offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let mut rest = buf;
        while !rest.is_empty() {
            let room = GROUP_SIZE - offset % GROUP_SIZE;
            let len = rest.len().min(usize::try_from(room).unwrap_or(usize::MAX));
            let (part, behind) = rest.split_at_mut(len);
            self.read_part(offset, part)?;
            offset += len as u64;
            rest = behind;
        }
        Ok(())
    }
}

impl Heal for HealingFile {
    fn heal(&self, offset: u64, len: u64) -> bool {
        let end = offset.saturating_add(len).min(self.size_bytes);
        let mut changed = false;
        let mut number = offset / GROUP_SIZE;
        while number * GROUP_SIZE < end {
            changed |= self.heal_group(number);
            number += 1;
        }
        changed
    }

    fn healed(&self) -> Vec<Healed> {
        let mut healed = self.healed.lock().unwrap_or_else(PoisonError::into_inner).clone();
        healed.sort_unstable();
        healed
    }

    fn stored_bytes(&self) -> u64 {
        self.stored.size_bytes()
    }
}
