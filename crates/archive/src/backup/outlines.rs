//! Reading outlines out of a backup.

use std::collections::VecDeque;
use std::iter::Peekable;
use std::slice::Iter;

use super::Backup;
use crate::catalog::OutlineEntry;
use crate::error::{ArchiveError, Damage};
use crate::kind::RecordKind;
use crate::outline::{MailboxOutline, OutlinePart, decode_part};
use crate::record::damage_in;

/// Iterator of [`Backup::outline_parts`].
pub struct OutlineParts<'a> {
    backup: &'a Backup,
    damage: Iter<'a, Damage>,
    entries: Iter<'a, OutlineEntry>,
}

impl<'a> OutlineParts<'a> {
    pub(super) fn new(backup: &'a Backup) -> OutlineParts<'a> {
        let catalog = backup.catalog();
        OutlineParts { backup, damage: catalog.damage.iter(), entries: catalog.outlines.iter() }
    }
}

impl Iterator for OutlineParts<'_> {
    type Item = Result<OutlinePart, ArchiveError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.damage.next() {
            Some(damage) => Some(Err(ArchiveError::Damaged(damage.clone()))),
            None => self.entries.next().map(|entry| read_part(self.backup, entry)),
        }
    }
}

fn read_part(backup: &Backup, entry: &OutlineEntry) -> Result<OutlinePart, ArchiveError> {
    let (volume, record) = backup.read(entry.place, RecordKind::Outline)?;
    let bad = |what: &str| ArchiveError::Damaged(damage_in(volume, &record, what));
    let payload = record.payload().map_err(|what| bad(&what))?;
    let part = decode_part(&payload).map_err(bad)?;
    if (part.mailbox, part.part) != (entry.mailbox, entry.part) {
        return Err(bad("it is another outline record than the index says"));
    }
    Ok(part)
}

/// Iterator of [`Backup::outlines`].
pub struct Outlines<'a> {
    backup: &'a Backup,
    entries: Peekable<Iter<'a, OutlineEntry>>,
    /// Which mailbox is asked for; `None` for all.
    only: Option<&'a str>,
    errors: VecDeque<ArchiveError>,
}

impl<'a> Outlines<'a> {
    pub(super) fn new(backup: &'a Backup, only: Option<&'a str>) -> Outlines<'a> {
        let catalog = backup.catalog();
        let errors = catalog.damage.iter().cloned().map(ArchiveError::Damaged).collect();
        Outlines { backup, entries: catalog.outlines.iter().peekable(), only, errors }
    }

    /// Reads all parts of the next mailbox; `None` if it is not whole, or if there is no next one.
    fn mailbox(&mut self, mailbox: u32) -> Option<MailboxOutline> {
        let (mut parts, mut is_last_here, mut end) = (Vec::new(), false, 0);
        let mut name = String::new();
        while let Some(entry) = self.entries.next_if(|entry| entry.mailbox == mailbox) {
            name.clone_from(&entry.name);
            is_last_here = entry.last;
            end = entry.part.saturating_add(1);
            match read_part(self.backup, entry) {
                Ok(part) => parts.push(part.outline),
                Err(error) => self.errors.push_back(error),
            }
        }
        let read = u32::try_from(parts.len()).unwrap_or(u32::MAX);
        let missing = end.saturating_sub(read) + u32::from(!is_last_here);
        if missing > 0 {
            self.errors.push_back(ArchiveError::OutlineIncomplete { mailbox, name, missing });
            return None;
        }
        let mut parts = parts.into_iter();
        let mut outline = parts.next()?;
        for part in parts {
            outline.extend(part);
        }
        Some(outline)
    }
}

impl Iterator for Outlines<'_> {
    type Item = Result<(u32, MailboxOutline), ArchiveError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(error) = self.errors.pop_front() {
                return Some(Err(error));
            }
            let next = self.entries.peek()?;
            if self.only.is_some_and(|only| only != next.name) {
                self.entries.next();
                continue;
            }
            let mailbox = next.mailbox;
            if let Some(outline) = self.mailbox(mailbox) {
                return Some(Ok((mailbox, outline)));
            }
        }
    }
}
