//! Imports an Outlook file.

use super::error::ImportError;
use super::files;
use super::known::KnownPaths;
use super::run::Run;
use crate::eml::child_folder;
use crate::maildir::os_name;
use crate::pst::compose;
use crate::pst::item::{Item, is_mail};
use crate::pst::reader;
use crate::pst::walk::Found;
use crate::{Append, FolderId, FolderName, NewFolder};
use std::ffi::OsStr;
use std::path::Path;

/// Imports the file at `path` below folder `under`; its root is INBOX if `None`.
pub(super) fn import(
    run: &mut Run<'_>,
    path: &Path,
    under: Option<&FolderName>,
) -> Result<(), ImportError> {
    let file_name = os_name::to_text(path.file_name().unwrap_or(path.as_os_str()));
    let mut taking = Taking { run, path, file_name, under, folder: None };
    let place = path.to_owned();
    match reader::read(move || files::open(&place, true), |found| taking.take(found))? {
        Ok(()) => Ok(()),
        Err(cause) => Err(ImportError::Damaged { path: path.to_owned(), cause }),
    }
}

/// An import of one file under way.
struct Taking<'a, 'b> {
    run: &'a mut Run<'b>,
    path: &'a Path,
    file_name: String,
    under: Option<&'a FolderName>,
    folder: Option<(FolderId, KnownPaths)>,
}

impl Taking<'_, '_> {
    fn take(&mut self, found: Found) -> Result<(), ImportError> {
        match found {
            Found::Folder(names) => self.begin(&names),
            Found::Item(node, item) => self.item(node, &item),
            Found::Skipped(place, reason, mail) => {
                self.skip(&place, reason, mail);
                Ok(())
            }
        }
    }

    fn skip(&mut self, place: &str, reason: String, mail: bool) {
        let place = format!("{}: {place}", self.path.display());
        self.run.skip(Path::new(&place), reason, mail);
    }

    /// Turns to a folder.
    fn begin(&mut self, names: &[String]) -> Result<(), ImportError> {
        self.folder = None;
        let name = names.iter().fold(self.under.cloned(), |parent, name| {
            let name = name.replace('/', "%2F");
            Some(child_folder(parent.as_ref(), OsStr::new(&name)))
        });
        let name = name.unwrap_or_else(FolderName::inbox);
        let info = self.run.folder(&name, NewFolder::default())?;
        // What another folder of the file put into the same one must be seen as well.
        self.run.flush()?;
        let known = KnownPaths::load(self.run, &info)?;
        self.folder = Some((info.id, known));
        Ok(())
    }

    /// Takes an item as a message.
    fn item(&mut self, node: u32, item: &Item) -> Result<(), ImportError> {
        let (body, lost) = compose::message(item);
        let place = format!("item {node:#X} ({:?})", item.subject);
        for why in lost {
            self.skip(&place, why, true);
        }
        let class = if item.class.is_empty() { "(none)" } else { &item.class };
        *self.run.report.classes.entry(class.to_owned()).or_default() += 1;
        if self.run.is_too_large(self.path, &format!("{place} has "), body.len() as u64) {
            return Ok(());
        }
        let origin = format!("{}#{node:X}", self.file_name);
        let (folder, known) = self.folder.as_mut().expect("a folder comes before its items");
        if known.is_known(&origin, &body) {
            return self.run.present();
        }
        let folder = *folder;
        let append = Append {
            body,
            internal_date_seconds: item.delivered_seconds.unwrap_or(0),
            flags: compose::flags(item),
            origin: Some(origin),
            ..Append::default()
        };
        self.run.add(folder, append)
    }
}

/// Counts what the file holds: folders, items and the bytes that they would be as messages.
pub(super) fn scan(
    path: &Path,
    mut folder: impl FnMut(),
    mut item: impl FnMut(u64),
) -> Result<Vec<super::Skipped>, ImportError> {
    let mut skipped = Vec::new();
    let place = path.to_owned();
    let read = reader::read(
        move || files::open(&place, true),
        |found| {
            match found {
                Found::Folder(_) => folder(),
                Found::Item(_, found) => item(compose::message(&found).0.len() as u64),
                Found::Skipped(place, reason, mail) => {
                    let place = format!("{}: {place}", path.display());
                    skipped.push(super::Skipped { place, reason, mail });
                }
            }
            Ok::<(), ImportError>(())
        },
    )?;
    read.map_err(|cause| ImportError::Damaged { path: path.to_owned(), cause })?;
    Ok(skipped)
}

/// The sentence of a report about items that are no mail; `None` if there are none.
pub(super) fn note(classes: &std::collections::BTreeMap<String, u64>) -> Option<String> {
    let other: Vec<String> = classes
        .iter()
        .filter(|(class, _)| !is_mail(class))
        .map(|(class, count)| format!("{count} {class}"))
        .collect();
    (!other.is_empty()).then(|| {
        format!(
            "items that are no mail became messages with their properties: {}",
            other.join(", ")
        )
    })
}
