//! Imports one folder of a Maildir++.

use super::attributes;
use super::uids::Uids;
use crate::dovecot::{Keywords, UidList};
use crate::import::error::ImportError;
use crate::import::files;
use crate::import::known::KnownFiles;
use crate::import::run::{Run, stored};
use crate::maildir::tree::{self, Entry, TreeFolder};
use crate::maildir::{FileInfo, letter_keyword, stated_size};
use crate::{Append, ContentId, Flags, FolderId, NewFolder, Uid, UidValidity};
use std::io;
use std::path::Path;

/// Origin of the message that takes a UID which a message had that is gone.
const PLACEHOLDER: &str = "%uidnext";

/// A folder being imported.
struct Folder<'f> {
    path: &'f Path,
    id: FolderId,
    known: KnownFiles,
    keywords: Keywords,
    uids: Uids,
    notes: Notes,
}

/// What is worth a warning: how often, and the first file.
#[derive(Default)]
struct Notes(Vec<(&'static str, u64, String)>);

impl Notes {
    fn add(&mut self, what: &'static str, file: &str) {
        match self.0.iter_mut().find(|(known, ..)| *known == what) {
            Some((_, count, _)) => *count += 1,
            None => self.0.push((what, 1, file.to_owned())),
        }
    }
}

/// Imports a folder; `root` says that it is the root of the Maildir++.
pub(super) fn import(run: &mut Run<'_>, found: &TreeFolder, root: bool) -> Result<(), ImportError> {
    let entries = tree::entries(&found.path, root, &mut run.report.skipped)?;
    let keywords = files::read_if_there(&found.path.join("dovecot-keywords"))?;
    let keywords = Keywords::parse(&String::from_utf8_lossy(&keywords.unwrap_or_default()));
    let mut folder = open(run, found, keywords)?;
    let mut entries: Vec<(Entry, FileInfo)> = entries
        .into_iter()
        .map(|entry| {
            let info = FileInfo::parse(&entry.name);
            (entry, info)
        })
        .collect();
    entries.sort_by(|(_, one), (_, other)| {
        let place = |info: &FileInfo| folder.uids.place(&info.base);
        (place(one), &one.base).cmp(&(place(other), &other.base))
    });
    for (entry, info) in settle_doubles(entries, &mut folder) {
        folder.import_file(run, &entry, info)?;
    }
    folder.keep_uidnext(run)?;
    folder.warn(run);
    Ok(())
}

/// Finds or creates the folder in the store.
fn open<'f>(
    run: &mut Run<'_>,
    found: &'f TreeFolder,
    keywords: Keywords,
) -> Result<Folder<'f>, ImportError> {
    let path = found.path.join("dovecot-uidlist");
    let list = files::read_if_there(&path)?.and_then(|bytes| {
        let warn = |cause| {
            let warnings = &mut run.report.warnings;
            warnings.push(format!("{}: {cause}; UIDs are given anew", path.display()));
        };
        UidList::parse(&bytes).map_err(warn).ok()
    });
    let new = NewFolder {
        uidvalidity: list.as_ref().map(|list| UidValidity(list.uidvalidity)),
        uidnext: None,
        attributes: attributes(
            found,
            &keywords,
            list.as_ref().and_then(|list| list.guid.as_deref()),
        ),
    };
    let wanted = new.uidvalidity;
    let info = run.folder(&found.name, new)?;
    if wanted.is_some_and(|wanted| wanted != info.uidvalidity) {
        let path = path.display();
        let kept = info.uidvalidity;
        run.report.warnings.push(format!(
            "{path}: the folder was in the store with UIDVALIDITY {kept}, which it keeps; clients \
             of the source read it anew"
        ));
    }
    let known = KnownFiles::load(run, &info, PLACEHOLDER)?;
    if !known.placeholders.is_empty() {
        let (store, mailbox) = (run.store, run.mailbox().id);
        stored(&info.name, || store.expunge(mailbox, info.id, &known.placeholders))?;
    }
    let uids = Uids::new(list, info.uidnext);
    let notes = Notes::default();
    Ok(Folder { path: &found.path, id: info.id, known, keywords, uids, notes })
}

/// Sees to messages that are there twice under one base name, which a client's move from `new` to
/// `cur` can show for a moment: the same content counts once, another gets an origin of its own.
fn settle_doubles(
    entries: Vec<(Entry, FileInfo)>,
    folder: &mut Folder<'_>,
) -> Vec<(Entry, FileInfo)> {
    let mut settled = Vec::with_capacity(entries.len());
    let mut entries = entries.into_iter().peekable();
    while let Some(first) = entries.next() {
        let base = first.1.base.clone();
        let mut group = vec![first];
        while let Some(double) = entries.next_if(|(_, info)| info.base == base) {
            group.push(double);
        }
        if group.len() > 1 {
            group = settle_group(group, folder);
        }
        settled.append(&mut group);
    }
    settled
}

/// Keeps one of each content. The last keeps the name: `new` comes before `cur`, which counts.
fn settle_group(group: Vec<(Entry, FileInfo)>, folder: &mut Folder<'_>) -> Vec<(Entry, FileInfo)> {
    let mut kept: Vec<(Entry, FileInfo)> = Vec::new();
    let mut contents = Vec::new();
    for (entry, mut info) in group.into_iter().rev() {
        let path = entry.path(folder.path);
        // What cannot be read is listed when its turn comes.
        let content = std::fs::read(&path).ok().map(|body| ContentId::of(&body));
        if contents.contains(&content) {
            folder.note("are there twice and are imported once", &path);
            continue;
        }
        if let Some(content) = content.filter(|_| !kept.is_empty()) {
            folder.note("have the name of another message and another content", &path);
            info.base.push_str(&format!(" ({:.16})", content.to_string()));
        }
        contents.push(content);
        kept.push((entry, info));
    }
    kept
}

impl Folder<'_> {
    /// Imports one message file.
    fn import_file(
        &mut self,
        run: &mut Run<'_>,
        entry: &Entry,
        info: FileInfo,
    ) -> Result<(), ImportError> {
        let path = entry.path(self.path);
        let opened =
            files::open(&path, false).and_then(|file| file.metadata().map(|data| (file, data)));
        let (file, mut metadata) = match opened {
            Ok(opened) => opened,
            Err(error) => return self.skip_unreadable(run, &path, &error),
        };
        let size = metadata.len();
        if run.is_too_large(&path, "", size) {
            return Ok(());
        }
        if self.known.is_known(&info.base, size) {
            return run.present();
        }
        let body = match files::read_message(file, &mut metadata) {
            Ok(body) => body,
            Err(error) => return self.skip_unreadable(run, &path, &error),
        };
        let stated = stated_size(&info.base);
        if stated.is_some_and(|stated| stated != body.len() as u64) {
            self.note("do not have the size that their name states", &path);
        }
        let keywords = self.keywords_of(&info, &path);
        let recent = if entry.recent { Flags::RECENT } else { Flags::NONE };
        let append = Append {
            body,
            internal_date_seconds: files::changed_seconds(&metadata),
            flags: info.flags.union(recent),
            keywords,
            uid: self.uids.take(&info.base),
            origin: Some(info.base),
        };
        run.add(self.id, append)
    }

    fn note(&mut self, what: &'static str, path: &Path) {
        self.notes.add(what, &path.display().to_string());
    }

    /// A message that cannot be read does not stop the others.
    fn skip_unreadable(
        &self,
        run: &mut Run<'_>,
        path: &Path,
        error: &io::Error,
    ) -> Result<(), ImportError> {
        let reason = match error.kind() {
            io::ErrorKind::NotFound => "moved or deleted while it was read; import again".into(),
            _ => format!("reading failed: {error}; make it readable and import again"),
        };
        run.skip(path, reason, true);
        Ok(())
    }

    /// The keywords of the letters in a file's name.
    fn keywords_of(&mut self, info: &FileInfo, path: &Path) -> Vec<String> {
        if !info.dropped.is_empty() {
            self.note("have signs without a meaning in the info part, which are dropped", path);
        }
        let mut keywords = Vec::with_capacity(info.letters.len());
        for &letter in &info.letters {
            match self.keywords.name(letter) {
                Some(name) => keywords.push(name.to_owned()),
                None => {
                    keywords.push(letter_keyword(letter));
                    self.note("have letters without a name, kept as keywords maildir-…", path);
                }
            }
        }
        keywords
    }

    /// Takes the folder's UIDNEXT to where the list has it, by a message that has the UID before
    /// and is removed again: exactly what has happened at the source.
    fn keep_uidnext(&mut self, run: &mut Run<'_>) -> Result<(), ImportError> {
        let Some(uid) = self.uids.gone() else { return Ok(()) };
        run.flush()?;
        let (store, mailbox, folder) = (run.store, run.mailbox().id, self.id);
        let placeholder = Append {
            body: b"Subject: placeholder\r\n\r\n".to_vec(),
            uid: Some(uid),
            origin: Some(PLACEHOLDER.to_owned()),
            ..Append::default()
        };
        stored(self.path.display(), || {
            let uids: Vec<Uid> = store.append_batch(vec![(mailbox, folder, placeholder)])?;
            store.expunge(mailbox, folder, &uids).map(drop)
        })
    }

    /// Puts what was noted into the report.
    fn warn(self, run: &mut Run<'_>) {
        let path = self.path.display();
        let warnings = &mut run.report.warnings;
        for (what, count, first) in self.notes.0 {
            warnings.push(format!("{path}: {count} messages {what}; the first is {first}"));
        }
        if self.uids.lost > 0 {
            let lost = self.uids.lost;
            warnings.push(format!(
                "{path}: {lost} messages could not keep their UID, because it was given out here"
            ));
        }
    }
}
