//! The sending end: offers what has changed and reads it in the order of the disk.

mod base;
mod lanes;
mod survey;

use std::collections::HashMap;

use self::lanes::Reading;
use self::survey::Survey;
use super::{in_snapshot, mailbox_end};
use crate::mover::end::OFFERED_ROWS_MAX;
use crate::mover::error::TransferError;
use crate::mover::rows::{BATCH_FOLDERS_MAX, RowReader};
use crate::mover::{MoveSource, Offer};
use crate::segment::{loads, stretches};
use crate::transfer::{Begin, End, Frame, LeftBehind, MailboxDigest, TRANSFER_VERSION};
use crate::{
    ContentId, IncomingMailbox, MailboxInfo, MailboxName, MailboxState, Modseq, Snapshot, Store,
};

/// A store of this process that mailboxes leave.
pub struct LocalSource {
    store: Store,
    lanes: Option<usize>,
    /// Changes of one mailbox in an offer, at most.
    offered_rows_max: u64,
    offered: Option<Offered>,
}

/// The moment that the last offer showed.
struct Offered {
    snapshot: Snapshot,
    mailboxes: Vec<(MailboxInfo, Modseq)>,
    /// For each mailbox the modseq at which the offer ends.
    until: Vec<Modseq>,
    parts: Vec<Part>,
    /// Contents that rows name and the store does not have.
    lost: HashMap<ContentId, String>,
}

/// Some of an offer's contents, and the rows that need none that come later.
struct Part {
    /// Index behind the last of the contents.
    end: usize,
    /// For each mailbox the modseq up to which its rows may follow.
    until: Vec<Modseq>,
}

mailbox_end!(LocalSource);

impl LocalSource {
    /// Makes a store the source of moves.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self { store, lanes: None, offered_rows_max: OFFERED_ROWS_MAX, offered: None }
    }

    /// Reads contents that lie scattered with so many threads at once, at least one, in place of
    /// what the store was opened with.
    #[must_use]
    pub fn with_lanes(self, lanes: usize) -> Self {
        Self { lanes: Some(lanes.max(1)), ..self }
    }

    /// The same for what is sent from now on; without a number what the store was opened with.
    pub fn set_lanes(&mut self, lanes: Option<usize>) {
        self.lanes = lanes.map(|lanes| lanes.max(1));
    }

    /// Offers at most so many changes of one mailbox at once, in place of 250,000; an offer of all
    /// has no bound.
    #[must_use]
    pub fn with_offered_rows_max(self, offered_rows_max: u64) -> Self {
        Self { offered_rows_max, ..self }
    }
}

impl LocalSource {
    /// Offers at most `rows_max` changes of each mailbox.
    fn offer_up_to(
        &mut self,
        since: &[(MailboxName, Option<Modseq>)],
        rows_max: u64,
    ) -> Result<Offer, TransferError> {
        self.offered = None;
        let snapshot = self.store.snapshot().map_err(TransferError::store("take a snapshot"))?;
        let mut survey = Survey::new(&snapshot);
        let mut mailboxes = Vec::with_capacity(since.len());
        let mut until = Vec::with_capacity(since.len());
        for (name, after) in since {
            let info = in_snapshot(&snapshot, name)?;
            let after = after.unwrap_or(Modseq(0));
            until.push(survey.add(&info, after, rows_max)?);
            mailboxes.push((info, after));
        }
        let rows = survey.rows;
        let (contents, parts, lost) = survey.finish(&mailboxes)?;
        let bytes = contents.iter().map(|(_, extent)| u64::from(extent.len)).sum();
        let (lsn, base_lsn) = (snapshot.lsn(), snapshot.base_lsn());
        self.offered = Some(Offered { snapshot, mailboxes, until, parts, lost });
        Ok(Offer { lsn, base_lsn, mailboxes: since.to_vec(), contents, rows, bytes })
    }
}

impl MoveSource for LocalSource {
    fn offer(&mut self, since: &[(MailboxName, Option<Modseq>)]) -> Result<Offer, TransferError> {
        self.offer_up_to(since, self.offered_rows_max)
    }

    fn offer_all(
        &mut self,
        since: &[(MailboxName, Option<Modseq>)],
    ) -> Result<Offer, TransferError> {
        self.offer_up_to(since, u64::MAX)
    }

    fn send(
        &mut self,
        offer: &Offer,
        wanted: &[bool],
        sink: &mut dyn FnMut(Frame) -> Result<(), TransferError>,
    ) -> Result<(), TransferError> {
        let stale = || TransferError::StaleOffer { lsn: offer.lsn };
        let offered = self.offered.as_mut().ok_or_else(stale)?;
        if offered.snapshot.lsn() != offer.lsn || wanted.len() != offer.contents.len() {
            return Err(stale());
        }
        let store_id = self.store.id();
        let shared = self.store.shared().map_err(TransferError::store("read contents"))?;
        let lanes = self.lanes.unwrap_or(shared.options.move_lanes as usize);
        let mut counts = End::default();
        let mut counted = |frame: Frame| {
            counts.count(&frame);
            sink(frame)
        };
        counted(Frame::Begin(Begin { version: TRANSFER_VERSION, store_id, lsn: offer.lsn }))?;
        let mut sending = Sending {
            store: &self.store,
            lanes,
            lost: &mut offered.lost,
            rows: RowSender::all(&offered.snapshot, &offered.mailboxes, &offered.until)?,
            sink: &mut counted,
        };
        sending.contents(offer, wanted, &offered.parts)?;
        sending.all_rows()?;
        sink(Frame::End(counts))
    }

    fn send_base(
        &mut self,
        offer: &Offer,
        sink: &mut dyn FnMut(Frame) -> Result<(), TransferError>,
    ) -> Result<(), TransferError> {
        let stale = || TransferError::StaleOffer { lsn: offer.lsn };
        let offered = self.offered.as_ref().ok_or_else(stale)?;
        if offered.snapshot.lsn() != offer.lsn {
            return Err(stale());
        }
        base::send(&offered.snapshot, self.store.id(), offer, sink)
    }
}

/// A stream being sent.
struct Sending<'a> {
    store: &'a Store,
    lanes: usize,
    lost: &'a mut HashMap<ContentId, String>,
    rows: Vec<RowSender<'a>>,
    sink: &'a mut dyn FnMut(Frame) -> Result<(), TransferError>,
}

/// The rows of a mailbox that are still to be sent; none after one whose content cannot be read.
struct RowSender<'a> {
    info: &'a MailboxInfo,
    reader: Option<RowReader<'a>>,
}

impl Sending<'_> {
    /// Sends the wanted contents and, after each part of them, the rows that need no later one.
    fn contents(
        &mut self,
        offer: &Offer,
        wanted: &[bool],
        parts: &[Part],
    ) -> Result<(), TransferError> {
        // There may be millions: their places in the offer say everything about them.
        let places = wanted.iter().enumerate().filter(|(_, want)| **want);
        let places: Vec<usize> = places.map(|(place, _)| place).collect();
        let extent_of = |index: usize| offer.contents[places[index]].1;
        let stretches = stretches((0..places.len()).map(extent_of));
        let shared = self.store.shared().map_err(TransferError::store("read contents"))?;
        let loads = loads(&stretches).collect();
        let reading = Reading { segments: &shared.segments, loads, extent_of: &extent_of };
        let mut parts = parts.iter().peekable();
        reading.read(self.lanes, &mut |load, loaded| {
            let (first, last) = (load.first(), load.last());
            let records =
                first.map_or(0, |one| one.records.start)..last.map_or(0, |one| one.records.end);
            let end = records.end;
            match loaded {
                Ok(content) => (self.sink)(Frame::Content(content))?,
                Err(_) => self.singly(offer, &places[records])?,
            }
            // All rows follow after the last load.
            let Some(next) = places.get(end) else { return Ok(()) };
            while let Some(part) = parts.next_if(|part| part.end <= *next) {
                self.rows_until(&part.until)?;
            }
            Ok(())
        })
    }

    /// Sends record by record what could not be read as one load.
    fn singly(&mut self, offer: &Offer, places: &[usize]) -> Result<(), TransferError> {
        for (id, extent) in places.iter().map(|place| &offer.contents[*place]) {
            match self.store.read_records(std::slice::from_ref(extent)) {
                Ok(content) => (self.sink)(Frame::Content(content))?,
                Err(error) => {
                    self.lost.insert(*id, error.to_string());
                }
            }
        }
        Ok(())
    }

    /// Sends the rows of each mailbox up to a modseq.
    fn rows_until(&mut self, until: &[Modseq]) -> Result<(), TransferError> {
        for (rows, until) in self.rows.iter_mut().zip(until) {
            while let Some(reader) = &mut rows.reader {
                let Some(batch) = reader.next_until(*until)? else { break };
                rows.send(batch, self.lost, self.sink)?;
            }
        }
        Ok(())
    }

    /// Sends all rows that are left: at least one batch of each mailbox, which completes it.
    fn all_rows(&mut self) -> Result<(), TransferError> {
        for rows in &mut self.rows {
            while let Some(reader) = &mut rows.reader {
                let Some(batch) = reader.next_batch()? else { break };
                rows.send(batch, self.lost, self.sink)?;
            }
        }
        Ok(())
    }
}

impl<'a> RowSender<'a> {
    fn all(
        snapshot: &'a Snapshot,
        mailboxes: &'a [(MailboxInfo, Modseq)],
        until: &[Modseq],
    ) -> Result<Vec<RowSender<'a>>, TransferError> {
        let sender = |((info, after), until): (&'a (MailboxInfo, Modseq), &Modseq)| {
            let reader = RowReader::new(snapshot, info, *after, BATCH_FOLDERS_MAX)?;
            Ok(RowSender { info, reader: Some(reader.ending_at(*until)) })
        };
        mailboxes.iter().zip(until).map(sender).collect()
    }

    /// Sends a batch, unless a content in it cannot be read: then the mailbox is left behind.
    fn send(
        &mut self,
        batch: IncomingMailbox,
        lost: &HashMap<ContentId, String>,
        sink: &mut dyn FnMut(Frame) -> Result<(), TransferError>,
    ) -> Result<(), TransferError> {
        let bad = batch.messages.iter().find_map(|(folder, message)| {
            let reason = lost.get(&message.content)?;
            Some((folder, message.uid, message.content, reason))
        });
        let Some((folder, uid, content, reason)) = bad else { return sink(Frame::Mailbox(batch)) };
        self.reader = None;
        let reason = format!("message {uid} of {folder} cannot be read: {reason}");
        let mailbox = self.info.name.clone();
        sink(Frame::LeftBehind(LeftBehind { mailbox, content: Some(content), reason }))
    }
}
