//! The plan of a group: numbers for mailboxes, folders, UIDs, modseqs, contents, and places for
//! bodies. Everything a request asks for is checked before anything of it is numbered.

mod body;
mod mailbox;
mod message;
mod receive;

pub(super) use self::body::Chunk;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use rehome_log::Lsn;

use self::body::Cursor;
use super::Shared;
use super::request::{Reply, Request};
use crate::catalog::{MetaRow, View};
use crate::error::StoreError;
use crate::model::{
    ContentId, FolderId, FolderName, MailboxId, MailboxName, MailboxState, Modseq, Uid, UidValidity,
};
use crate::op::Op;
use crate::segment::{OpenSegment, SegmentNumbers};

/// Mailboxes kept in memory, at most, but for those with changes that the catalog lacks.
const MAILBOXES_MAX: usize = 4_096;

/// A group in the making.
#[derive(Default)]
pub(super) struct Draft {
    pub(super) ops: Vec<Op>,
    /// What goes into segments, in order.
    pub(super) chunks: Vec<Chunk>,
    /// Mailboxes it is about.
    pub(super) touched: BTreeSet<MailboxId>,
    /// Contents it puts.
    pub(super) contents: Vec<ContentId>,
}

/// What is known about a mailbox, with the groups that the catalog lacks.
struct Mailbox {
    name: MailboxName,
    state: MailboxState,
    highest_modseq: Modseq,
    folders: HashMap<FolderId, Folder>,
    by_name: HashMap<FolderName, FolderId>,
    /// The last group about it.
    last: Lsn,
}

#[derive(Clone, Copy)]
struct Folder {
    uidnext: Uid,
}

/// The numbers in use, and those to be given next.
pub(super) struct Planner {
    mailboxes: HashMap<MailboxId, Mailbox>,
    /// Mailboxes made by groups that the catalog lacks.
    names: HashMap<MailboxName, MailboxId>,
    /// Contents put by groups that the catalog lacks.
    contents: HashMap<ContentId, u64>,
    /// These groups, oldest first, with what they put.
    unapplied: VecDeque<(Lsn, Vec<ContentId>)>,
    next_mailbox: u32,
    next_content: u64,
    segment_numbers: Arc<SegmentNumbers>,
    segment: Option<Cursor>,
    /// Number of the next segment, if that has been made already.
    pub(super) prepared_segment: Option<u32>,
    segment_bytes: u64,
    /// The catalog, for this group.
    view: Option<View>,
}

impl Planner {
    pub(super) fn new(
        meta: &MetaRow,
        segment_numbers: Arc<SegmentNumbers>,
        segment_bytes: u64,
    ) -> Planner {
        Planner {
            mailboxes: HashMap::new(),
            names: HashMap::new(),
            contents: HashMap::new(),
            unapplied: VecDeque::new(),
            next_mailbox: meta.next_mailbox,
            next_content: meta.next_content,
            segment_numbers,
            segment: None,
            prepared_segment: None,
            segment_bytes,
            view: None,
        }
    }

    /// Begins a group, knowing that the catalog holds everything up to `applied`.
    ///
    /// What is forgotten here is found in the catalog, which is read later than `applied` was.
    pub(super) fn begin(&mut self, applied: Lsn) {
        self.view = None;
        while self.unapplied.front().is_some_and(|(lsn, _)| *lsn <= applied) {
            for content in self.unapplied.pop_front().into_iter().flat_map(|(_, put)| put) {
                self.contents.remove(&content);
            }
        }
        if !self.names.is_empty() {
            let mailboxes = &self.mailboxes;
            self.names.retain(|_, id| mailboxes.get(id).is_some_and(|m| m.last > applied));
        }
        if self.mailboxes.len() > MAILBOXES_MAX {
            self.mailboxes.retain(|_, mailbox| mailbox.last > applied);
        }
    }

    /// Numbers `request` into `draft`. An error leaves both as they were.
    pub(super) fn plan(
        &mut self,
        shared: &Shared,
        request: Request,
        draft: &mut Draft,
    ) -> Result<Reply, StoreError> {
        self.look(shared)?;
        match request {
            Request::CreateMailbox { name, state } => self.create_mailbox(name, state, draft),
            Request::SetState { mailbox, state } => self.set_state(mailbox, state, draft),
            Request::SetSubscriptions { mailbox, subscriptions } => {
                self.set_subscriptions(mailbox, subscriptions, draft)
            }
            Request::SetAttribute { mailbox, key, value } => {
                self.set_attribute(mailbox, key, value, draft)
            }
            Request::CreateFolder { mailbox, name, new } => {
                let now = shared.clock.wall_us().div_euclid(1_000_000);
                let now = UidValidity(u32::try_from(now).unwrap_or(1).max(1));
                self.create_folder(mailbox, name, new, now, draft)
            }
            Request::Append { bodies, rows } => self.append(bodies, rows, draft),
            Request::ChangeFlags { mailbox, folder, uid, change } => {
                self.change_flags((mailbox, folder), uid, change, draft)
            }
            Request::Expunge { mailbox, folder, uids } => {
                self.expunge((mailbox, folder), &uids, draft)
            }
            Request::Receive { runs, mailboxes } => self.receive(&runs, mailboxes, draft),
            Request::Attach { segment, mailboxes } => self.attach(segment, mailboxes, draft),
        }
    }

    /// The group is written as `lsn`.
    pub(super) fn committed(
        &mut self,
        lsn: Lsn,
        touched: &BTreeSet<MailboxId>,
        contents: Vec<ContentId>,
    ) {
        // An idle store must not keep the room of old rows for the sake of a view.
        self.view = None;
        for id in touched {
            if let Some(mailbox) = self.mailboxes.get_mut(id) {
                mailbox.last = lsn;
            }
        }
        self.unapplied.push_back((lsn, contents));
    }

    /// Forgets a group that was not written; the catalog holds all groups before it.
    pub(super) fn forget(&mut self, segment: Option<&OpenSegment>) {
        self.view = None;
        self.mailboxes.clear();
        self.names.clear();
        self.contents.clear();
        self.unapplied.clear();
        self.segment = segment.map(Cursor::of);
        self.prepared_segment = None;
    }

    /// Reads the catalog, once a group.
    fn look(&mut self, shared: &Shared) -> Result<(), StoreError> {
        if self.view.is_none() {
            self.view = Some(shared.view_now()?);
        }
        Ok(())
    }

    fn view(&self) -> &View {
        self.view.as_ref().expect("a plan begins with a look at the catalog")
    }

    /// The mailbox.
    fn mailbox(&mut self, id: MailboxId) -> Result<&mut Mailbox, StoreError> {
        if !self.mailboxes.contains_key(&id) {
            let mailbox = self.load(id)?.ok_or(StoreError::NoSuchMailbox { mailbox: id })?;
            self.mailboxes.insert(id, mailbox);
        }
        Ok(self.mailboxes.get_mut(&id).expect("it was put there"))
    }

    /// The mailbox, if it takes writes.
    fn active(&mut self, id: MailboxId) -> Result<&mut Mailbox, StoreError> {
        let mailbox = self.mailbox(id)?;
        if mailbox.state == MailboxState::Active {
            return Ok(mailbox);
        }
        let (name, state) = (mailbox.name.clone(), mailbox.state.clone());
        Err(StoreError::NotActive { mailbox: name, state })
    }

    /// Number of the mailbox of that name.
    fn mailbox_named(&self, name: &MailboxName) -> Result<Option<MailboxId>, StoreError> {
        match self.names.get(name) {
            Some(id) => Ok(Some(*id)),
            None => self.view().mailbox_id(name),
        }
    }

    fn load(&self, id: MailboxId) -> Result<Option<Mailbox>, StoreError> {
        let Some(info) = self.view().mailbox(id)? else { return Ok(None) };
        let mut mailbox = Mailbox::new(info.name, info.state);
        mailbox.highest_modseq = info.highest_modseq;
        for folder in self.view().folders(id)? {
            mailbox.folders.insert(folder.id, Folder { uidnext: folder.uidnext });
            mailbox.by_name.insert(folder.name, folder.id);
        }
        Ok(Some(mailbox))
    }
}

impl Mailbox {
    fn new(name: MailboxName, state: MailboxState) -> Mailbox {
        Mailbox {
            name,
            state,
            highest_modseq: Modseq(0),
            folders: HashMap::new(),
            by_name: HashMap::new(),
            last: Lsn::ZERO,
        }
    }

    /// The modseq of the next change.
    fn step(&mut self) -> Modseq {
        self.highest_modseq.0 += 1;
        self.highest_modseq
    }

    fn folder(&mut self, mailbox: MailboxId, id: FolderId) -> Result<&mut Folder, StoreError> {
        let missing = StoreError::NoSuchFolder { mailbox, folder: id };
        self.folders.get_mut(&id).ok_or(missing)
    }

    /// A number for a new folder: folders are never removed.
    fn next_folder(&self) -> FolderId {
        FolderId(self.folders.keys().map(|id| id.0).max().unwrap_or(0) + 1)
    }
}
