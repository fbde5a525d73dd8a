//! Calls to a store: chosen at random, carried out, and what they change.

use std::collections::BTreeMap;

use rehome::parts::log::SplitMix64;
use rehome::parts::store::{
    Append, ContentId, FlagChange, Flags, FolderId, FolderName, MailboxId, MailboxName,
    MailboxState, NewFolder, Store, StoreError, Uid,
};

use super::model::{Folder, Mailbox, Model, Row};

/// A folder of a mailbox, both by name.
pub(super) type Place = (String, String);

/// A call.
#[derive(Clone, Debug)]
pub(super) enum Step {
    CreateMailbox { name: String },
    CreateFolder { mailbox: String, name: String },
    Subscribe { mailbox: String, to: Vec<String> },
    Append { to: Vec<Place>, texts: Vec<String> },
    Deliver { to: Vec<Place>, text: String },
    Flags { at: Place, uid: u32, add: Flags, remove: Flags },
    Expunge { at: Place, uids: Vec<u32> },
    State { mailbox: String, state: MailboxState },
    Checkpoint,
    Reopen { close: bool },
}

pub(super) fn index(random: &mut SplitMix64, len: usize) -> usize {
    usize::try_from(random.below(len as u64)).expect("below a length")
}

/// One of `all`.
fn pick<'a, T>(random: &mut SplitMix64, all: &'a [T]) -> &'a T {
    &all[index(random, all.len())]
}

pub(super) fn name(text: &str) -> MailboxName {
    MailboxName::try_from(text).expect("a plain name")
}

fn folder_name(text: &str) -> FolderName {
    FolderName::try_from(text).expect("a plain name")
}

/// A message with `text` in it.
pub(super) fn append(text: &str) -> Append {
    let body = format!("Subject: {text}\r\n\r\n{text}\r\n").into_bytes();
    Append { body, internal_date_seconds: 1_600_000_000, ..Append::default() }
}

/// A text; some come again, some are long.
pub(super) fn text(random: &mut SplitMix64) -> String {
    match random.below(10) {
        0..4 => format!("again {}", random.below(6)),
        4..9 => format!("once {:x}", random.next_u64()),
        _ => format!("long {:x} ", random.next_u64()).repeat(1 + index(random, 800)),
    }
}

fn state(random: &mut SplitMix64) -> MailboxState {
    match random.below(8) {
        0 => MailboxState::Fenced { to: "B".into() },
        1 => MailboxState::Moved { to: "B".into() },
        2 => MailboxState::Incoming,
        _ => MailboxState::Active,
    }
}

impl Model {
    /// A call that makes sense for this store.
    pub(super) fn choose(&self, random: &mut SplitMix64) -> Step {
        let names: Vec<&String> = self.mailboxes.keys().collect();
        if names.is_empty() || (names.len() < 4 && random.chance(10)) {
            return Step::CreateMailbox { name: format!("m{}", names.len()) };
        }
        let mailbox = (*pick(random, &names)).clone();
        let folders = &self.mailboxes[&mailbox].folders;
        if folders.is_empty() || (folders.len() < 3 && random.chance(10)) {
            let name = format!("f{}", folders.len());
            return Step::CreateFolder { mailbox, name };
        }
        let names: Vec<&String> = folders.keys().collect();
        let folder = (*pick(random, &names)).clone();
        let uids: Vec<u32> = folders[&folder].messages.keys().copied().collect();
        let at = (mailbox.clone(), folder);
        match random.below(100) {
            0..38 => {
                let to = vec![at; 1 + index(random, 6)];
                let texts = to.iter().map(|_| text(random)).collect();
                Step::Append { to, texts }
            }
            38..53 => Step::Deliver { to: self.some_places(random), text: text(random) },
            53..56 => Step::Subscribe { mailbox, to: vec![text(random)] },
            56..70 if !uids.is_empty() => Step::Flags {
                at,
                uid: *pick(random, &uids),
                add: Flags::from_bits(1 << random.below(7)),
                remove: Flags::from_bits(1 << random.below(7)),
            },
            70..82 if !uids.is_empty() => {
                let uids = uids.into_iter().filter(|_| random.chance(30)).collect();
                Step::Expunge { at, uids }
            }
            82..88 => Step::State { mailbox, state: state(random) },
            88..94 => Step::Checkpoint,
            94..97 => Step::Reopen { close: random.chance(50) },
            _ => Step::Append { to: vec![at], texts: vec![text(random)] },
        }
    }

    fn some_places(&self, random: &mut SplitMix64) -> Vec<Place> {
        let mut to = Vec::new();
        for (mailbox, content) in &self.mailboxes {
            for folder in content.folders.keys() {
                if random.chance(50) {
                    to.push((mailbox.clone(), folder.clone()));
                }
            }
        }
        to
    }

    /// What the store holds after `step`; `None` if the step is refused.
    pub(super) fn after(&self, step: &Step) -> Option<Model> {
        let mut next = self.clone();
        match step {
            Step::CreateMailbox { name } => _ = next.mailboxes.insert(name.clone(), new_mailbox()),
            Step::CreateFolder { mailbox, name } => {
                let mailbox = next.active(mailbox)?;
                mailbox.modseq += 1;
                let folder = Folder { uidnext: 1, messages: BTreeMap::new() };
                mailbox.folders.insert(name.clone(), folder);
            }
            Step::Subscribe { mailbox, to } => {
                let mailbox = next.active(mailbox)?;
                mailbox.modseq += 1;
                mailbox.subscriptions.clone_from(to);
            }
            Step::Append { to, texts } => {
                for (to, text) in to.iter().zip(texts) {
                    next.append(to, text)?;
                }
            }
            Step::Deliver { to, text } => {
                for to in to {
                    next.append(to, text)?;
                }
            }
            Step::Flags { at, uid, add, remove } => {
                let mailbox = next.active(&at.0)?;
                mailbox.modseq += 1;
                let row = mailbox.folders.get_mut(&at.1)?.messages.get_mut(uid)?;
                row.flags.remove(*remove);
                row.flags.insert(*add);
                row.modseq = mailbox.modseq;
            }
            Step::Expunge { at, uids } => {
                let mailbox = next.active(&at.0)?;
                for uid in uids {
                    mailbox.modseq += 1;
                    mailbox.folders.get_mut(&at.1)?.messages.remove(uid);
                }
            }
            Step::State { mailbox, state } => {
                next.mailboxes.get_mut(mailbox)?.state = state.clone();
            }
            Step::Checkpoint | Step::Reopen { .. } => {}
        }
        Some(next)
    }

    fn active(&mut self, mailbox: &str) -> Option<&mut Mailbox> {
        let mailbox = self.mailboxes.get_mut(mailbox)?;
        (mailbox.state == MailboxState::Active).then_some(mailbox)
    }

    fn append(&mut self, (mailbox, folder): &Place, text: &str) -> Option<()> {
        let mailbox = self.active(mailbox)?;
        mailbox.modseq += 1;
        let content = ContentId::of(&append(text).body);
        let row = Row { content, flags: Flags::NONE, modseq: mailbox.modseq };
        let folder = mailbox.folders.get_mut(folder)?;
        folder.messages.insert(folder.uidnext, row);
        folder.uidnext += 1;
        Some(())
    }
}

fn new_mailbox() -> Mailbox {
    let (state, folders) = (MailboxState::Active, BTreeMap::new());
    Mailbox { state, modseq: 0, subscriptions: Vec::new(), folders }
}

impl Step {
    /// Carries it out, but for a reopening.
    pub(super) fn call(&self, store: &Store) -> Result<(), StoreError> {
        match self {
            Step::CreateMailbox { name: text } => {
                store.create_mailbox(&name(text), MailboxState::Active).map(drop)
            }
            Step::CreateFolder { mailbox, name } => {
                let mailbox = number(store, mailbox)?;
                store.create_folder(mailbox, &folder_name(name), NewFolder::default()).map(drop)
            }
            Step::Subscribe { mailbox, to } => {
                store.set_subscriptions(number(store, mailbox)?, to.clone())
            }
            Step::Append { to, texts } => {
                let mut batch = Vec::new();
                for (to, text) in to.iter().zip(texts) {
                    let (mailbox, folder) = numbers(store, to)?;
                    batch.push((mailbox, folder, append(text)));
                }
                store.append_batch(batch).map(drop)
            }
            Step::Deliver { to, text } => {
                let to: Result<Vec<_>, _> = to.iter().map(|to| numbers(store, to)).collect();
                store.deliver(&to?, append(text)).map(drop)
            }
            Step::Flags { at, uid, add, remove } => {
                let change = FlagChange { add: *add, remove: *remove, ..FlagChange::default() };
                let (mailbox, folder) = numbers(store, at)?;
                store.store_flags(mailbox, folder, Uid(*uid), change).map(drop)
            }
            Step::Expunge { at, uids } => {
                let uids: Vec<Uid> = uids.iter().map(|uid| Uid(*uid)).collect();
                let (mailbox, folder) = numbers(store, at)?;
                store.expunge(mailbox, folder, &uids).map(drop)
            }
            Step::State { mailbox, state } => {
                store.set_state(number(store, mailbox)?, state.clone())
            }
            Step::Checkpoint => store.checkpoint().map(drop),
            Step::Reopen { .. } => Ok(()),
        }
    }
}

fn number(store: &Store, mailbox: &str) -> Result<MailboxId, StoreError> {
    let found = store.mailbox(&name(mailbox))?.map(|info| info.id);
    found.ok_or(StoreError::NoSuchMailbox { mailbox: MailboxId(0) })
}

fn numbers(store: &Store, at: &Place) -> Result<(MailboxId, FolderId), StoreError> {
    let mailbox = number(store, &at.0)?;
    let found = store.folder(mailbox, &folder_name(&at.1))?.map(|info| info.id);
    let folder = found.ok_or(StoreError::NoSuchFolder { mailbox, folder: FolderId(0) })?;
    Ok((mailbox, folder))
}
