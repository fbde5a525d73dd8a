//! The survey behind an offer: which contents the rows need, where these lie, and which rows may
//! follow after which part of them.

use std::collections::{HashMap, HashSet};

use super::Part;
use crate::mover::error::TransferError;
use crate::mover::rows::{BATCH_FOLDERS_MAX, RowReader};
use crate::tree::Scan;
use crate::{Change, ContentId, Extent, MailboxInfo, Modseq, Snapshot};

/// Bytes of contents after which the rows that need them follow.
const PART_BYTES: u64 = 32 << 20;

/// A table is read through if at least one in so many of its rows is needed.
const SCAN_SHARE: u64 = 8;

type Found = (Vec<(ContentId, Extent)>, Vec<Part>, HashMap<ContentId, String>);

/// A survey under way.
pub(super) struct Survey<'a> {
    snapshot: &'a Snapshot,
    needs: Vec<Need>,
    lost: HashMap<ContentId, String>,
    mailboxes: u32,
    /// Changes found so far.
    pub(super) rows: u64,
}

/// A row that needs a content.
struct Need {
    number: u64,
    mailbox: u32,
    modseq: Modseq,
}

/// A content that is needed. There may be millions: 56 bytes each, and they become the offer's
/// contents without a copy beside them.
struct Place {
    content: ContentId,
    extent: Extent,
    number: u64,
}

/// In which part a content is sent, by its number.
struct Numbered {
    number: u64,
    part: u32,
}

impl<'a> Survey<'a> {
    pub(super) fn new(snapshot: &'a Snapshot) -> Survey<'a> {
        Survey { snapshot, needs: Vec::new(), lost: HashMap::new(), mailboxes: 0, rows: 0 }
    }

    /// Adds what has changed in a mailbox after a modseq, but for what comes after `rows_max`
    /// changes. Returns the modseq of the last, or the highest there can be.
    pub(super) fn add(
        &mut self,
        info: &MailboxInfo,
        after: Modseq,
        rows_max: u64,
    ) -> Result<Modseq, TransferError> {
        self.mailboxes += 1;
        let whole = after == Modseq(0) && info.messages <= rows_max;
        let last = if whole { None } else { self.last_of(info, after, rows_max)? };
        let until = last.unwrap_or(Modseq(u64::MAX));
        if whole || last.is_some() && info.messages <= SCAN_SHARE * rows_max {
            self.add_range(info, after, until)?;
            self.rows += if whole { info.messages } else { 0 };
        } else {
            self.rows += self.add_new(info, after, until)?;
        }
        // Some of the changes may be about what is gone: the offer is as large nevertheless.
        self.rows += if last.is_some() { rows_max } else { 0 };
        Ok(until)
    }

    /// The modseq of change number `rows_max` after `after`, if there are more.
    fn last_of(
        &self,
        info: &MailboxInfo,
        after: Modseq,
        rows_max: u64,
    ) -> Result<Option<Modseq>, TransferError> {
        let last = self.snapshot.view().change_number(info.id, after, rows_max);
        let last = last.map_err(TransferError::store("read the changes of a mailbox"))?;
        Ok(last.filter(|last| *last < info.highest_modseq))
    }

    /// The messages that changed in a range, in the order of their table.
    fn add_range(
        &mut self,
        info: &MailboxInfo,
        after: Modseq,
        until: Modseq,
    ) -> Result<(), TransferError> {
        let (needs, mailbox) = (&mut self.needs, self.mailboxes - 1);
        self.snapshot
            .view()
            .messages_of(info.id, &mut |message, number| {
                if after < message.modseq && message.modseq <= until {
                    needs.push(Need { number, mailbox, modseq: message.modseq });
                }
            })
            .map_err(TransferError::store("read the messages of a mailbox"))
    }

    /// The changes in a range, each looked up by itself; returns how many.
    fn add_new(
        &mut self,
        info: &MailboxInfo,
        after: Modseq,
        until: Modseq,
    ) -> Result<u64, TransferError> {
        let mailbox = self.mailboxes - 1;
        let reader = RowReader::new(self.snapshot, info, after, BATCH_FOLDERS_MAX)?;
        let mut reader = reader.ending_at(until);
        let mut rows = 0;
        while let Some(changes) = reader.next_changes()? {
            rows += changes.len() as u64;
            for change in changes {
                let Change::Message { message, .. } = change else { continue };
                let found = self.snapshot.view().find_content(&message.content);
                match found.map_err(TransferError::store("find a content"))? {
                    Some((number, _)) => {
                        self.needs.push(Need { number, mailbox, modseq: message.modseq });
                    }
                    None => self.lose(message.content),
                }
            }
        }
        Ok(rows)
    }

    fn lose(&mut self, content: ContentId) {
        self.lost.insert(content, "the store has no such content".to_owned());
    }

    /// The contents in the order of the disk, in parts, and those that are lost.
    pub(super) fn finish(
        mut self,
        mailboxes: &[(MailboxInfo, Modseq)],
    ) -> Result<Found, TransferError> {
        self.needs.sort_unstable_by_key(|need| need.number);
        let mut places = self.places(mailboxes)?;
        places.sort_unstable_by_key(|place| place.extent);
        let (ends, mut numbered) = divide(&places);
        let contents = places.into_iter().map(|place| (place.content, place.extent)).collect();
        numbered.sort_unstable_by_key(|one| one.number);
        let until = self.until(&numbered, ends.len());
        let parts = ends.into_iter().zip(until).map(|(end, until)| Part { end, until }).collect();
        Ok((contents, parts, self.lost))
    }

    /// Finds the needed contents, by number.
    fn places(&mut self, mailboxes: &[(MailboxInfo, Modseq)]) -> Result<Vec<Place>, TransferError> {
        let failed = TransferError::store("find a content");
        let (Some(first), Some(last)) = (self.needs.first(), self.needs.last()) else {
            return Ok(Vec::new());
        };
        let (first, last) = (first.number, last.number);
        let count = numbers(&self.needs).count();
        let view = self.snapshot.view();
        let mut places = Vec::with_capacity(count);
        let place = |number, content, extent| Place { number, content, extent };
        if (last - first) / SCAN_SHARE <= count as u64 {
            let mut wanted = numbers(&self.needs).peekable();
            view.contents(first, &mut |number, row| {
                while wanted.next_if(|wanted| *wanted < number).is_some() {}
                if wanted.next_if_eq(&number).is_some() {
                    places.push(place(number, row.content, row.extent));
                }
                Ok(if wanted.peek().is_some() { Scan::Next } else { Scan::Stop })
            })
            .map_err(failed)?;
        } else {
            for number in numbers(&self.needs) {
                let row = view.content(number).map_err(&failed)?;
                places.extend(row.map(|row| place(number, row.content, row.extent)));
            }
        }
        if places.len() < count {
            let found: HashSet<u64> = places.iter().map(|place| place.number).collect();
            let lost = numbers(&self.needs).filter(|number| !found.contains(number)).collect();
            self.lose_all(&lost, mailboxes)?;
        }
        Ok(places)
    }

    /// Names the contents of these numbers as lost: the rows that need them say what they are.
    fn lose_all(
        &mut self,
        numbers: &HashSet<u64>,
        mailboxes: &[(MailboxInfo, Modseq)],
    ) -> Result<(), TransferError> {
        let mut lost = Vec::new();
        for (info, _) in mailboxes {
            let visited = self.snapshot.view().messages_of(info.id, &mut |message, number| {
                if numbers.contains(&number) {
                    lost.push(message.content);
                }
            });
            visited.map_err(TransferError::store("read the messages of a mailbox"))?;
        }
        lost.into_iter().for_each(|content| self.lose(content));
        Ok(())
    }

    /// For each part and mailbox the highest modseq below the first row that needs a later part.
    fn until(&self, numbered: &[Numbered], parts: usize) -> Vec<Vec<Modseq>> {
        let all = Modseq(u64::MAX);
        let mut until = vec![vec![all; self.mailboxes as usize]; parts];
        let mut numbered = numbered.iter().peekable();
        for need in &self.needs {
            while numbered.next_if(|one| one.number < need.number).is_some() {}
            let one = numbered.peek().filter(|one| one.number == need.number);
            let Some(part) = one.map(|one| one.part as usize) else { continue };
            if part > 0 {
                let bound = &mut until[part - 1][need.mailbox as usize];
                *bound = (*bound).min(Modseq(need.modseq.0.saturating_sub(1)));
            }
        }
        for part in (1..parts).rev() {
            let (earlier, later) = until.split_at_mut(part);
            for (earlier, later) in earlier[part - 1].iter_mut().zip(&later[0]) {
                *earlier = (*earlier).min(*later);
            }
        }
        until
    }
}

/// The numbers that are needed, each once; needs come sorted by number.
fn numbers(needs: &[Need]) -> impl Iterator<Item = u64> {
    let mut before = None;
    needs
        .iter()
        .map(|need| need.number)
        .filter(move |number| before.replace(*number) != Some(*number))
}

/// Divides contents, which are in the order of the disk, into parts; returns where each ends, and
/// in which part each content is.
fn divide(places: &[Place]) -> (Vec<usize>, Vec<Numbered>) {
    let (mut ends, mut bytes, mut part) = (Vec::new(), 0, 0);
    let mut numbered = Vec::with_capacity(places.len());
    for (index, place) in places.iter().enumerate() {
        if bytes >= PART_BYTES {
            ends.push(index);
            (bytes, part) = (0, part + 1);
        }
        numbered.push(Numbered { number: place.number, part });
        bytes += u64::from(place.extent.len);
    }
    if !places.is_empty() {
        ends.push(places.len());
    }
    (ends, numbered)
}
