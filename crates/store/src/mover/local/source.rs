//! The sending end: offers what has changed and reads it in the order of the disk.

use std::collections::HashMap;

use super::{in_snapshot, mailbox_end};
use crate::mover::error::TransferError;
use crate::mover::rows::{BATCH_FOLDERS_MAX, RowReader};
use crate::mover::runs::{Run, coalesce};
use crate::mover::{MoveSource, Offer};
use crate::transfer::{Begin, End, Frame, LeftBehind, MailboxDigest, TRANSFER_VERSION};
use crate::{
    Change, ContentId, ContentRun, Extent, IncomingMailbox, MailboxInfo, MailboxName, MailboxState,
    Modseq, Snapshot, Store,
};

/// A store of this process that mailboxes leave.
pub struct LocalSource {
    store: Store,
    offered: Option<Offered>,
}

/// The moment that the last offer showed.
struct Offered {
    snapshot: Snapshot,
    mailboxes: Vec<(MailboxInfo, Modseq)>,
    /// Contents that rows name and the store does not have.
    lost: HashMap<ContentId, String>,
}

mailbox_end!(LocalSource);

impl LocalSource {
    /// Makes a store the source of moves.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self { store, offered: None }
    }
}

impl MoveSource for LocalSource {
    fn offer(&mut self, since: &[(MailboxName, Option<Modseq>)]) -> Result<Offer, TransferError> {
        self.offered = None;
        let snapshot = self.store.snapshot().map_err(TransferError::store("take a snapshot"))?;
        let mut mailboxes = Vec::with_capacity(since.len());
        let (mut ids, mut rows) = (Vec::new(), 0);
        for (name, after) in since {
            let info = in_snapshot(&snapshot, name)?;
            let after = after.unwrap_or(Modseq(0));
            rows += list_changes(&snapshot, &info, after, &mut ids)?;
            mailboxes.push((info, after));
        }
        let (contents, lost) = locate(&snapshot, ids)?;
        let bytes = contents.iter().map(|(_, extent)| u64::from(extent.len)).sum();
        let lsn = snapshot.lsn();
        self.offered = Some(Offered { snapshot, mailboxes, lost });
        Ok(Offer { lsn, mailboxes: since.to_vec(), contents, rows, bytes })
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
        let mut counts = End::default();
        let mut counted = |frame: Frame| {
            counts.count(&frame);
            sink(frame)
        };
        counted(Frame::Begin(Begin { version: TRANSFER_VERSION, store_id, lsn: offer.lsn }))?;
        send_contents(&self.store, offer, wanted, &mut offered.lost, &mut counted)?;
        for (info, after) in &offered.mailboxes {
            send_rows(&offered.snapshot, info, *after, &offered.lost, &mut counted)?;
        }
        sink(Frame::End(counts))
    }
}

/// Collects the contents of a mailbox's changed messages and counts the changes.
fn list_changes(
    snapshot: &Snapshot,
    info: &MailboxInfo,
    after: Modseq,
    contents: &mut Vec<ContentId>,
) -> Result<u64, TransferError> {
    let mut reader = RowReader::new(snapshot, info, after, BATCH_FOLDERS_MAX)?;
    let mut rows = 0;
    while let Some(changes) = reader.next_changes()? {
        rows += changes.len() as u64;
        contents.extend(changes.iter().filter_map(|change| match change {
            Change::Message { message, .. } => Some(message.content),
            Change::Folder(_) | Change::Expunge { .. } => None,
        }));
    }
    Ok(rows)
}

type Located = (Vec<(ContentId, Extent)>, HashMap<ContentId, String>);

/// Finds each content once and sorts them by their place.
fn locate(snapshot: &Snapshot, mut ids: Vec<ContentId>) -> Result<Located, TransferError> {
    ids.sort_unstable();
    ids.dedup();
    let mut found = Vec::with_capacity(ids.len());
    let mut lost = HashMap::new();
    for id in ids {
        match snapshot.locate(&id).map_err(TransferError::store("find a content"))? {
            Some(extent) => found.push((id, extent)),
            None => {
                lost.insert(id, "the store has no such content".to_owned());
            }
        }
    }
    found.sort_unstable_by_key(|(_, extent)| *extent);
    Ok((found, lost))
}

/// Sends the wanted contents; those that cannot be read go to `lost`.
fn send_contents(
    store: &Store,
    offer: &Offer,
    wanted: &[bool],
    lost: &mut HashMap<ContentId, String>,
    sink: &mut dyn FnMut(Frame) -> Result<(), TransferError>,
) -> Result<(), TransferError> {
    let chosen = offer.contents.iter().zip(wanted).filter(|(_, wanted)| **wanted);
    let (ids, extents): (Vec<ContentId>, Vec<Extent>) = chosen.map(|(content, _)| *content).unzip();
    for run in coalesce(&extents) {
        let (ids, extents) = (&ids[run.first..run.end], &extents[run.first..run.end]);
        match store.read_run(run.segment, run.offset, run.len) {
            Ok(content) => sink(Frame::Content(pick(content, &run, extents)))?,
            Err(_) => send_singly(store, ids, extents, lost, sink)?,
        }
    }
    Ok(())
}

/// Keeps the wanted records of a run.
fn pick(mut content: ContentRun, run: &Run, extents: &[Extent]) -> ContentRun {
    if !run.solid {
        content.keep(extents.iter().map(|extent| {
            usize::try_from(extent.offset - run.offset).expect("a run fits into memory")
        }));
    }
    content
}

/// Sends record by record what could not be read as one run.
fn send_singly(
    store: &Store,
    ids: &[ContentId],
    extents: &[Extent],
    lost: &mut HashMap<ContentId, String>,
    sink: &mut dyn FnMut(Frame) -> Result<(), TransferError>,
) -> Result<(), TransferError> {
    for (id, extent) in ids.iter().zip(extents) {
        match store.read_run(extent.segment, extent.offset, extent.len) {
            Ok(content) => sink(Frame::Content(content))?,
            Err(error) => {
                lost.insert(*id, error.to_string());
            }
        }
    }
    Ok(())
}

/// Sends the rows of a mailbox, up to the first one whose content cannot be read.
fn send_rows(
    snapshot: &Snapshot,
    info: &MailboxInfo,
    after: Modseq,
    lost: &HashMap<ContentId, String>,
    sink: &mut dyn FnMut(Frame) -> Result<(), TransferError>,
) -> Result<(), TransferError> {
    let mut reader = RowReader::new(snapshot, info, after, BATCH_FOLDERS_MAX)?;
    while let Some(batch) = reader.next_batch()? {
        let bad = batch.messages.iter().find_map(|(folder, message)| {
            let reason = lost.get(&message.content)?;
            Some((folder, message.uid, message.content, reason))
        });
        if let Some((folder, uid, content, reason)) = bad {
            let reason = format!("message {uid} of {folder} cannot be read: {reason}");
            let mailbox = info.name.clone();
            let left = LeftBehind { mailbox, content: Some(content), reason };
            return sink(Frame::LeftBehind(left));
        }
        sink(Frame::Mailbox(batch))?;
    }
    Ok(())
}
