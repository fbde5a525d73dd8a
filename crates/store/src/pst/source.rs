//! An Outlook file opened for reading, and only for that.

use outlook_pst::messaging::attachment::{
    AnsiAttachment, Attachment, AttachmentData, AttachmentProperties, UnicodeAttachment,
};
use outlook_pst::messaging::folder::Folder;
use outlook_pst::messaging::message::{AnsiMessage, Message, UnicodeMessage};
use outlook_pst::messaging::store::{AnsiStore, EntryId, Store, UnicodeStore};
use outlook_pst::ndb::node_id::NodeId;
use outlook_pst::{AnsiPstFile, UnicodePstFile};
use std::cell::Cell;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How often a file is positioned for one item before it counts as damaged: a content of 2 GiB has
/// 262,144 blocks, and a file whose blocks lead in a circle is left.
const SEEKS_MAX: u64 = 1 << 20;

/// How the file begins (MS-PST, 2.2.2.6), up to the byte that says how it is encoded.
const HEAD_BYTES: u64 = 514;

/// An open file in one of its two forms.
pub(super) enum Source {
    /// With 64-bit offsets, since Outlook 2003.
    Unicode(Rc<UnicodeStore>, Budget),
    /// With 32-bit offsets.
    Ansi(Rc<AnsiStore>, Budget),
}

/// A message in one of the two forms.
pub(super) enum Opened {
    /// See [`Source`].
    Unicode(Rc<UnicodeMessage>),
    /// See [`Source`].
    Ansi(Rc<AnsiMessage>),
}

/// What is left of the seeks for one item.
#[derive(Clone)]
pub(super) struct Budget(Rc<Cell<u64>>);

/// Counts how often the file is positioned, for a watcher in another thread.
pub(super) type Progress = Arc<AtomicU64>;

/// The file, which is read as long as the budget lasts.
struct Guarded {
    file: File,
    budget: Budget,
    progress: Progress,
}

impl Read for Guarded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read(buffer)
    }
}

impl Seek for Guarded {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let left = self.budget.0.get();
        if left == 0 {
            return Err(io::Error::other("its parts lead in a circle, or it is far too large"));
        }
        self.budget.0.set(left - 1);
        self.progress.fetch_add(1, Ordering::Relaxed);
        self.file.seek(to)
    }
}

impl Source {
    /// Opens the file. What its first bytes say decides how it is read.
    pub(super) fn open(mut file: File, progress: Progress) -> Result<Source, String> {
        let mut head = Vec::new();
        let read = (&mut file).take(HEAD_BYTES).read_to_end(&mut head);
        read.map_err(|error| error.to_string())?;
        let form = form(&head)?;
        file.rewind().map_err(|error| error.to_string())?;
        let budget = Budget(Rc::new(Cell::new(SEEKS_MAX)));
        let reader = Box::new(Guarded { file, budget: budget.clone(), progress });
        let opened = match form {
            Form::Unicode => UnicodePstFile::read_from(reader)
                .and_then(|file| UnicodeStore::read(Rc::new(file)))
                .map(|store| Source::Unicode(store, budget)),
            Form::Ansi => AnsiPstFile::read_from(reader)
                .and_then(|file| AnsiStore::read(Rc::new(file)))
                .map(|store| Source::Ansi(store, budget)),
        };
        opened.map_err(|error| error.to_string())
    }

    /// Gives the next item its whole budget.
    pub(super) fn refill(&self) {
        let (Source::Unicode(_, budget) | Source::Ansi(_, budget)) = self;
        budget.0.set(SEEKS_MAX);
    }

    fn store(&self) -> &dyn Store {
        match self {
            Source::Unicode(store, _) => &**store,
            Source::Ansi(store, _) => &**store,
        }
    }

    fn entry(&self, node: u32) -> io::Result<EntryId> {
        self.store().properties().make_entry_id(NodeId::from(node))
    }

    /// The node of the folder that has what people see.
    pub(super) fn mail_root(&self) -> io::Result<u32> {
        Ok(u32::from(self.store().properties().ipm_sub_tree_entry_id()?.node_id()))
    }

    pub(super) fn folder(&self, node: u32) -> io::Result<Rc<dyn Folder>> {
        self.store().open_folder(&self.entry(node)?)
    }

    pub(super) fn message(&self, node: u32) -> io::Result<Opened> {
        let entry = self.entry(node)?;
        Ok(match self {
            Source::Unicode(store, _) => {
                Opened::Unicode(UnicodeMessage::read(store.clone(), &entry, None)?)
            }
            Source::Ansi(store, _) => Opened::Ansi(AnsiMessage::read(store.clone(), &entry, None)?),
        })
    }
}

impl Opened {
    pub(super) fn message(&self) -> &dyn Message {
        match self {
            Opened::Unicode(message) => &**message,
            Opened::Ansi(message) => &**message,
        }
    }

    /// Shows an attachment: its properties and what it is.
    pub(super) fn attachment<T>(
        &self,
        node: u32,
        show: impl FnOnce(&AttachmentProperties, Option<&AttachmentData>) -> T,
    ) -> io::Result<T> {
        let node = NodeId::from(node);
        Ok(match self {
            Opened::Unicode(message) => {
                let read = UnicodeAttachment::read(message.clone(), node, None)?;
                show(read.properties(), read.data())
            }
            Opened::Ansi(message) => {
                let read = AnsiAttachment::read(message.clone(), node, None)?;
                show(read.properties(), read.data())
            }
        })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Unicode,
    Ansi,
}

/// What form the file has, by its first bytes.
fn form(head: &[u8]) -> Result<Form, String> {
    if !head.starts_with(b"!BDN") {
        return Err("it does not begin as an Outlook file".to_owned());
    }
    let version = head.get(10..12).map(|bytes| u16::from_le_bytes([bytes[0], bytes[1]]));
    let (form, encoded_at) = match version {
        Some(14 | 15) => (Form::Ansi, 461),
        Some(23) => (Form::Unicode, 513),
        Some(version) => return Err(format!("it has version {version}; 14, 15 and 23 are read")),
        None => return Err(format!("it ends after {} bytes", head.len())),
    };
    match head.get(encoded_at) {
        Some(0..=2) => Ok(form),
        Some(0x10) => Err("it is encrypted by Windows Information Protection".to_owned()),
        Some(other) => Err(format!("it is encoded in way {other}, and ways 0 to 2 are known")),
        None => Err(format!("it ends after {} bytes", head.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::{Form, form};

    #[track_caller]
    fn check(magic: &[u8], version: u16, at: usize, encoding: u8, expected: Result<Form, &str>) {
        let mut head = vec![0; 514];
        head[..magic.len()].copy_from_slice(magic);
        head[10..12].copy_from_slice(&version.to_le_bytes());
        head[at] = encoding;
        assert_eq!(form(&head).as_ref().map_err(String::as_str), expected.as_ref().map_err(|e| *e));
        assert!(form(&head[..100]).is_err(), "cut");
        assert!(form(&head[..7]).is_err(), "cut");
    }

    #[test]
    fn the_first_bytes_say_which_form_it_is_and_what_cannot_be_read() {
        check(b"!BDN", 23, 513, 1, Ok(Form::Unicode));
        check(b"!BDN", 14, 461, 0, Ok(Form::Ansi));
        check(b"!BDN", 15, 461, 2, Ok(Form::Ansi));
        check(b"!BDX", 23, 513, 1, Err("it does not begin as an Outlook file"));
        check(b"!BDN", 36, 513, 1, Err("it has version 36; 14, 15 and 23 are read"));
        let encrypted = "it is encrypted by Windows Information Protection";
        check(b"!BDN", 23, 513, 0x10, Err(encrypted));
        check(b"!BDN", 15, 461, 9, Err("it is encoded in way 9, and ways 0 to 2 are known"));
    }
}
