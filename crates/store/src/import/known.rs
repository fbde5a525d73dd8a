//! What a folder of the store has from earlier imports: this makes an import idempotent.

use super::error::ImportError;
use super::run::{Run, stored};
use crate::mbox::file_of_origin;
use crate::{ContentId, FolderInfo, Message, Uid};
use std::collections::{HashMap, HashSet};

/// How many rows are asked for at once.
const PAGE: usize = 1000;

/// Shows every message of a folder.
fn each(
    run: &Run<'_>,
    folder: &FolderInfo,
    visit: &mut dyn FnMut(Message),
) -> Result<(), ImportError> {
    let (store, mailbox) = (run.store, run.mailbox().id);
    let mut after = Uid(0);
    loop {
        let page = stored(&folder.name, || store.messages(mailbox, folder.id, after, PAGE))?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.uid;
        page.into_iter().for_each(&mut *visit);
    }
}

/// What is known of Maildir files: base name and size. The name is unique, as the format demands;
/// the size tells a file that was exchanged all the same without reading it.
pub(super) struct KnownFiles {
    files: HashSet<(String, u64)>,
    /// Placeholders that an interrupted import left behind.
    pub(super) placeholders: Vec<Uid>,
}

impl KnownFiles {
    pub(super) fn load(
        run: &Run<'_>,
        folder: &FolderInfo,
        placeholder: &str,
    ) -> Result<Self, ImportError> {
        let mut known = Self { files: HashSet::new(), placeholders: Vec::new() };
        each(run, folder, &mut |message| {
            if let Some(origin) = message.origin {
                if origin == placeholder {
                    known.placeholders.push(message.uid);
                } else {
                    known.files.insert((origin, message.size_bytes));
                }
            }
        })?;
        Ok(known)
    }

    /// Whether the file is known; it is from now on.
    pub(super) fn is_known(&mut self, base: &str, size_bytes: u64) -> bool {
        !self.files.insert((base.to_owned(), size_bytes))
    }
}

/// What is known of a folder of `.eml` files: relative path and content.
pub(super) struct KnownPaths(HashSet<(String, ContentId)>);

impl KnownPaths {
    pub(super) fn load(run: &Run<'_>, folder: &FolderInfo) -> Result<Self, ImportError> {
        let mut known = HashSet::new();
        each(run, folder, &mut |message| {
            known.extend(message.origin.map(|origin| (origin, message.content)));
        })?;
        Ok(Self(known))
    }

    /// Whether the message is known; it is from now on.
    pub(super) fn is_known(&mut self, path: &str, body: &[u8]) -> bool {
        !self.0.insert((path.to_owned(), ContentId::of(body)))
    }
}

/// What is known of an mbox: how often each content came from a file of that name. Offsets do not
/// count, because they change when messages before are deleted.
pub(super) struct KnownContents(HashMap<ContentId, u64>);

impl KnownContents {
    pub(super) fn load(
        run: &Run<'_>,
        folder: &FolderInfo,
        file_name: &str,
    ) -> Result<Self, ImportError> {
        let mut known = HashMap::new();
        each(run, folder, &mut |message| {
            if message.origin.as_deref().and_then(file_of_origin) == Some(file_name) {
                *known.entry(message.content).or_default() += 1;
            }
        })?;
        Ok(Self(known))
    }

    /// Whether one more message of that content is known.
    pub(super) fn is_known(&mut self, body: &[u8]) -> bool {
        match self.0.get_mut(&ContentId::of(body)) {
            Some(left) if *left > 0 => {
                *left -= 1;
                true
            }
            _ => false,
        }
    }
}
