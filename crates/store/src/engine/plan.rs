//! The plan of a group: numbers for mailboxes, folders, UIDs, modseqs, contents, and places for
//! bodies. Everything a request asks for is checked before anything of it is numbered.

mod body;
mod compact;
mod folder;
mod mailbox;
mod message;
mod receive;
mod retain;

pub(super) use self::body::Chunk;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use rehome_log::Lsn;

use self::body::Cursor;
use super::Shared;
use super::request::{Reply, Request};
use crate::catalog::{MetaRow, RetiredRow, View};
use crate::error::StoreError;
use crate::model::{
    ContentId, FolderId, FolderInfo, FolderName, MailboxId, MailboxName, MailboxState, Modseq, Uid,
    UidValidity,
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
    /// Numbers that must not be given again.
    retired: RetiredRow,
    /// Whether it was deleted.
    removed: bool,
    /// Whether what is left of it is being given up.
    purged: bool,
    /// The last group about it.
    last: Lsn,
}

/// What a name of a mailbox stands for, by a group that the catalog lacks.
struct Named {
    mailbox: MailboxId,
    /// Whether the mailbox has this name, or had it.
    has: bool,
    last: Lsn,
}

/// Above every group, until the one in the making has a number.
const UNWRITTEN: Lsn = Lsn::from_u64(u64::MAX);

#[derive(Clone, Copy)]
struct Folder {
    uidnext: Uid,
    uidvalidity: UidValidity,
}

/// The numbers in use, and those to be given next.
pub(super) struct Planner {
    mailboxes: HashMap<MailboxId, Mailbox>,
    /// Names given and taken by groups that the catalog lacks.
    names: HashMap<MailboxName, Named>,
    /// The highest validity of folders of mailboxes that lost their names.
    validity_floor: Option<UidValidity>,
    /// Contents put, or given messages again, by groups that the catalog lacks.
    contents: HashMap<ContentId, u64>,
    /// Contents given up by groups that the catalog lacks.
    freed: HashMap<ContentId, Lsn>,
    /// These groups, oldest first, with what they put.
    unapplied: VecDeque<(Lsn, Vec<ContentId>)>,
    next_mailbox: u32,
    next_content: u64,
    segment_numbers: Arc<SegmentNumbers>,
    segment: Option<Cursor>,
    /// Number of the next segment, if that has been made already.
    pub(super) prepared_segment: Option<u32>,
    segment_bytes: u64,
    /// The clock, at this request.
    now_seconds: i64,
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
            validity_floor: None,
            contents: HashMap::new(),
            freed: HashMap::new(),
            unapplied: VecDeque::new(),
            next_mailbox: meta.next_mailbox,
            next_content: meta.next_content,
            segment_numbers,
            segment: None,
            prepared_segment: None,
            segment_bytes,
            now_seconds: 0,
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
        self.names.retain(|_, named| named.last > applied);
        self.freed.retain(|_, last| *last > applied);
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
        let now = shared.clock.wall_us().div_euclid(1_000_000);
        self.now_seconds = now;
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
                self.create_folder(mailbox, name, new, validity_of(now), draft)
            }
            Request::Append { bodies, rows } => self.append(bodies, rows, draft),
            Request::ChangeFlags { mailbox, folder, uid, change } => {
                self.change_flags((mailbox, folder), uid, change, draft)
            }
            Request::Expunge { mailbox, folder, uids } => {
                let kept = (shared.options.retention_seconds > 0).then_some(now);
                self.expunge((mailbox, folder), &uids, kept, draft)
            }
            Request::DeleteMailbox { mailbox, only_copy, folders } => {
                self.delete_mailbox(mailbox, only_copy, folders, now, draft)
            }
            Request::RenameMailbox { mailbox, name, folders } => {
                self.rename_mailbox(mailbox, name, folders, validity_of(now), draft)
            }
            Request::RestoreMailbox { mailbox, name, folders } => {
                self.restore_mailbox(mailbox, name, folders, validity_of(now), draft)
            }
            Request::DeleteFolder { mailbox, folder } => {
                self.delete_folder(mailbox, folder, now, draft)
            }
            Request::RenameFolder { mailbox, folder, name, folders } => {
                self.rename_folder((mailbox, folder), name, folders, validity_of(now), draft)
            }
            Request::Copy { from, uids, to, moved } => self.copy(from, &uids, to, moved, draft),
            Request::Undelete { mailbox, removed, to } => {
                self.undelete(mailbox, &removed, to, draft)
            }
            Request::Take { from, uids, to } => self.take(from, &uids, to, draft),
            Request::Purge(purge) => self.purge(purge, draft),
            Request::Compact(compaction) => self.compact(compaction, draft),
            // The committer ends the generation before it plans.
            Request::RollLog => Ok(Reply::Done),
            Request::Receive(received) => self.receive(received, draft),
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
        self.freed.values_mut().filter(|last| **last == UNWRITTEN).for_each(|last| *last = lsn);
        for named in self.names.values_mut().filter(|named| touched.contains(&named.mailbox)) {
            named.last = lsn;
        }
        self.unapplied.push_back((lsn, contents));
    }

    /// Forgets a group that was not written; the catalog holds all groups before it.
    pub(super) fn forget(&mut self, segment: Option<&OpenSegment>) {
        self.view = None;
        self.mailboxes.clear();
        self.names.clear();
        self.validity_floor = None;
        self.contents.clear();
        self.freed.clear();
        self.unapplied.clear();
        self.segment = segment.map(Cursor::of);
        self.prepared_segment = None;
    }

    /// Reads the catalog, once a group.
    fn look(&mut self, shared: &Shared) -> Result<(), StoreError> {
        if self.view.is_none() {
            // It reads no segment, so it need not keep any.
            self.view = Some(View::new(shared.tree.read()?));
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
        let mailbox = self.mailboxes.get_mut(&id).expect("it was put there");
        if mailbox.removed { Err(StoreError::NoSuchMailbox { mailbox: id }) } else { Ok(mailbox) }
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
            Some(named) => Ok(named.has.then_some(named.mailbox)),
            None => self.view().mailbox_id(name),
        }
    }

    fn load(&self, id: MailboxId) -> Result<Option<Mailbox>, StoreError> {
        let Some(info) = self.view().mailbox(id)? else { return Ok(None) };
        let mut mailbox = Mailbox::new(info.name, info.state);
        mailbox.highest_modseq = info.highest_modseq;
        mailbox.retired = self.view().retired(Some(id))?;
        for folder in self.view().folders(id)? {
            mailbox.add_folder(folder);
        }
        Ok(Some(mailbox))
    }

    /// The highest validity of folders of mailboxes that lost their names.
    fn validity_floor(&mut self) -> Result<&mut UidValidity, StoreError> {
        if self.validity_floor.is_none() {
            self.validity_floor = Some(self.view().retired(None)?.uidvalidity);
        }
        Ok(self.validity_floor.get_or_insert_default())
    }
}

/// A validity from the clock.
fn validity_of(now_seconds: i64) -> UidValidity {
    UidValidity(u32::try_from(now_seconds).unwrap_or(1).max(1))
}

impl Mailbox {
    fn new(name: MailboxName, state: MailboxState) -> Mailbox {
        Mailbox {
            name,
            state,
            highest_modseq: Modseq(0),
            folders: HashMap::new(),
            by_name: HashMap::new(),
            retired: RetiredRow::default(),
            removed: false,
            purged: false,
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

    /// A number for a new folder: that of a removed one is not given again.
    fn next_folder(&self) -> FolderId {
        let highest = self.folders.keys().map(|id| id.0).max().unwrap_or(0);
        FolderId((highest + 1).max(self.retired.next_folder))
    }

    fn add_folder(&mut self, info: FolderInfo) {
        let folder = Folder { uidnext: info.uidnext, uidvalidity: info.uidvalidity };
        self.folders.insert(info.id, folder);
        self.by_name.insert(info.name, info.id);
    }

    fn name_of(&self, folder: FolderId) -> Option<&FolderName> {
        self.by_name.iter().find(|(_, id)| **id == folder).map(|(name, _)| name)
    }
}
