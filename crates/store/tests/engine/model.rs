//! What a store should hold after each call, and what one does hold.

use std::collections::BTreeMap;

use rehome_log::SplitMix64;
use rehome_store::{
    Append, ContentId, FlagChange, Flags, FolderId, FolderName, MailboxId, MailboxState, NewFolder,
    Store, StoreError, Uid,
};

use crate::support::{append, mailbox_name, noise};

/// A message: its content, flags and modseq.
type Row = (ContentId, Flags, u64);

/// A folder: its next UID and its messages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Folder {
    uidnext: u32,
    messages: BTreeMap<u32, Row>,
}

/// A mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mailbox {
    state: MailboxState,
    modseq: u64,
    folders: Vec<(String, Folder)>,
}

/// A store: its mailboxes, by number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Model {
    mailboxes: Vec<(String, Mailbox)>,
}

/// A call.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    CreateMailbox,
    CreateFolder { mailbox: usize },
    Append { to: Vec<(usize, usize)>, texts: Vec<String> },
    Deliver { to: Vec<(usize, usize)>, text: String },
    Flags { mailbox: usize, folder: usize, uid: u32, add: Flags, remove: Flags },
    Expunge { mailbox: usize, folder: usize, uids: Vec<u32> },
    State { mailbox: usize, state: MailboxState },
    Checkpoint,
    Reopen { close: bool },
}

fn id(mailbox: usize, folder: usize) -> (MailboxId, FolderId) {
    let number = |index: usize| u32::try_from(index + 1).expect("a small number");
    (MailboxId(number(mailbox)), FolderId(number(folder)))
}

impl Model {
    /// A call that makes sense for this store.
    pub(crate) fn choose(&self, random: &mut SplitMix64) -> Step {
        let count = self.mailboxes.len();
        if count == 0 || (count < 4 && random.chance(10)) {
            return Step::CreateMailbox;
        }
        let mailbox = index(random, count);
        let folders = &self.mailboxes[mailbox].1.folders;
        if folders.is_empty() || (folders.len() < 3 && random.chance(10)) {
            return Step::CreateFolder { mailbox };
        }
        let folder = index(random, folders.len());
        let uids: Vec<u32> = folders[folder].1.messages.keys().copied().collect();
        match random.below(100) {
            0..40 => {
                let to = vec![(mailbox, folder); 1 + index(random, 6)];
                let texts = to.iter().map(|_| text(random)).collect();
                Step::Append { to, texts }
            }
            40..55 => Step::Deliver { to: self.some_folders(random), text: text(random) },
            55..70 if !uids.is_empty() => Step::Flags {
                mailbox,
                folder,
                uid: uids[index(random, uids.len())],
                add: Flags::from_bits(1 << random.below(7)),
                remove: Flags::from_bits(1 << random.below(7)),
            },
            70..82 if !uids.is_empty() => {
                let uids = uids.into_iter().filter(|_| random.chance(30)).collect();
                Step::Expunge { mailbox, folder, uids }
            }
            82..90 => Step::State { mailbox, state: state(random) },
            90..94 => Step::Checkpoint,
            94..97 => Step::Reopen { close: random.chance(50) },
            _ => Step::Append { to: vec![(mailbox, folder)], texts: vec![text(random)] },
        }
    }

    fn some_folders(&self, random: &mut SplitMix64) -> Vec<(usize, usize)> {
        let mut to = Vec::new();
        for (mailbox, (_, content)) in self.mailboxes.iter().enumerate() {
            for folder in 0..content.folders.len() {
                if random.chance(50) {
                    to.push((mailbox, folder));
                }
            }
        }
        to
    }

    /// What the store holds after `step`; `None` if the step is refused.
    pub(crate) fn after(&self, step: &Step) -> Option<Model> {
        let mut next = self.clone();
        match step {
            Step::CreateMailbox => {
                let name = format!("m{}", self.mailboxes.len());
                let (state, folders) = (MailboxState::Active, Vec::new());
                next.mailboxes.push((name, Mailbox { state, modseq: 0, folders }));
            }
            Step::CreateFolder { mailbox } => {
                let mailbox = next.active(*mailbox)?;
                mailbox.modseq += 1;
                let name = format!("f{}", mailbox.folders.len());
                mailbox.folders.push((name, Folder { uidnext: 1, messages: BTreeMap::new() }));
            }
            Step::Append { to, texts } => {
                for (to, text) in to.iter().zip(texts) {
                    next.append(*to, text)?;
                }
            }
            Step::Deliver { to, text } => {
                for to in to {
                    next.append(*to, text)?;
                }
            }
            Step::Flags { mailbox, folder, uid, add, remove } => {
                let mailbox = next.active(*mailbox)?;
                mailbox.modseq += 1;
                let row = mailbox.folders[*folder].1.messages.get_mut(uid)?;
                row.1.remove(*remove);
                row.1.insert(*add);
                row.2 = mailbox.modseq;
            }
            Step::Expunge { mailbox, folder, uids } => {
                let mailbox = next.active(*mailbox)?;
                for uid in uids {
                    mailbox.modseq += 1;
                    mailbox.folders[*folder].1.messages.remove(uid);
                }
            }
            Step::State { mailbox, state } => next.mailboxes[*mailbox].1.state = state.clone(),
            Step::Checkpoint | Step::Reopen { .. } => {}
        }
        Some(next)
    }

    fn active(&mut self, mailbox: usize) -> Option<&mut Mailbox> {
        let mailbox = &mut self.mailboxes[mailbox].1;
        (mailbox.state == MailboxState::Active).then_some(mailbox)
    }

    fn append(&mut self, (mailbox, folder): (usize, usize), text: &str) -> Option<()> {
        let mailbox = self.active(mailbox)?;
        mailbox.modseq += 1;
        let row = (ContentId::of(&append(text).body), Flags::NONE, mailbox.modseq);
        let folder = &mut mailbox.folders[folder].1;
        folder.messages.insert(folder.uidnext, row);
        folder.uidnext += 1;
        Some(())
    }

    /// What `store` holds, every body read.
    pub(crate) fn of(store: &Store) -> Result<Model, StoreError> {
        let mut model = Model::default();
        for info in store.mailboxes()? {
            let mut folders = Vec::new();
            for folder in store.folders(info.id)? {
                let mut messages = BTreeMap::new();
                for message in store.messages(info.id, folder.id, Uid(0), usize::MAX)? {
                    let (_, body) = store.read(info.id, folder.id, message.uid)?;
                    assert_eq!(ContentId::of(&body), message.content);
                    let row = (message.content, message.flags, message.modseq.0);
                    messages.insert(message.uid.0, row);
                }
                let content = Folder { uidnext: folder.uidnext.0, messages };
                folders.push((folder.name.to_string(), content));
            }
            let (state, modseq) = (info.state, info.highest_modseq.0);
            let mailbox = Mailbox { state, modseq, folders };
            model.mailboxes.push((info.name.to_string(), mailbox));
        }
        Ok(model)
    }

    /// Carries `step` out, but for a reopening.
    pub(crate) fn call(&self, store: &Store, step: &Step) -> Result<(), StoreError> {
        match step {
            Step::CreateMailbox => {
                let name = mailbox_name(&format!("m{}", self.mailboxes.len()));
                store.create_mailbox(&name, MailboxState::Active).map(|_| ())
            }
            Step::CreateFolder { mailbox } => {
                let name = format!("f{}", self.mailboxes[*mailbox].1.folders.len());
                let name = FolderName::try_from(name.as_str()).expect("a test's name");
                store.create_folder(id(*mailbox, 0).0, &name, NewFolder::default()).map(|_| ())
            }
            Step::Append { to, texts } => {
                let batch: Vec<(MailboxId, FolderId, Append)> = to
                    .iter()
                    .zip(texts)
                    .map(|((mailbox, folder), text)| {
                        let (mailbox, folder) = id(*mailbox, *folder);
                        (mailbox, folder, append(text))
                    })
                    .collect();
                store.append_batch(batch).map(|_| ())
            }
            Step::Deliver { to, text } => {
                let to: Vec<_> = to.iter().map(|(mailbox, folder)| id(*mailbox, *folder)).collect();
                store.deliver(&to, append(text)).map(|_| ())
            }
            Step::Flags { mailbox, folder, uid, add, remove } => {
                let change = FlagChange { add: *add, remove: *remove, ..FlagChange::default() };
                let (mailbox, folder) = id(*mailbox, *folder);
                store.store_flags(mailbox, folder, Uid(*uid), change).map(|_| ())
            }
            Step::Expunge { mailbox, folder, uids } => {
                let uids: Vec<Uid> = uids.iter().map(|uid| Uid(*uid)).collect();
                let (mailbox, folder) = id(*mailbox, *folder);
                store.expunge(mailbox, folder, &uids).map(|_| ())
            }
            Step::State { mailbox, state } => store.set_state(id(*mailbox, 0).0, state.clone()),
            Step::Checkpoint => store.checkpoint().map(|_| ()),
            Step::Reopen { .. } => Ok(()),
        }
    }
}

pub(crate) fn index(random: &mut SplitMix64, len: usize) -> usize {
    usize::try_from(random.below(len as u64)).expect("below a length")
}

/// A text; some come again, some are long, and some of these stay long when they are packed.
fn text(random: &mut SplitMix64) -> String {
    match random.below(20) {
        0..8 => format!("again {}", random.below(6)),
        8..18 => format!("once {:x}", random.next_u64()),
        18 => format!("long {:x} ", random.next_u64()).repeat(1 + index(random, 800)),
        _ => {
            let len = 1 + index(random, 16_000);
            noise(random, len)
        }
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
