//! Notes: small texts that belong to a moment of the archived log, such as a server's directory.

use std::io;

use rehome_log::Lsn;

use super::Set;
use crate::error::ArchiveError;
use crate::names::{NOTE, note_name, parse_note_name};
use crate::set_file::write;
use crate::target::read_small;
use crate::text;

/// No note is longer.
const NOTE_SIZE_MAX: u64 = 1 << 30;
/// Notes of the same name and moment.
const NUMBERS: u32 = 1000;

impl Set {
    /// Keeps `text` as what `what` was after log record `lsn`, and reads it back. A later one of
    /// the same moment takes its place. `what` is of lower-case letters.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Misuse`] for another `what`; [`ArchiveError::Damaged`] if it does not read
    /// back; the target's errors.
    pub fn keep_note(&self, lsn: Lsn, what: &str, text: &str) -> Result<(), ArchiveError> {
        let sealed = text::seal(format!("{text}\n"));
        for number in 0..NUMBERS {
            let name = note_name(lsn, number, what);
            if parse_note_name(&name).is_none() {
                return Err(ArchiveError::Misuse { what: format!("a note is called {what:?}") });
            }
            let name = format!("{NOTE}/{name}");
            match write(&*self.target, &name, &sealed) {
                Err(ArchiveError::Target { source, .. })
                    if source.kind() == io::ErrorKind::AlreadyExists => {}
                written => {
                    written?;
                    return self.read_note(&name).map(drop);
                }
            }
        }
        Err(ArchiveError::Busy { file: NOTE.to_owned() })
    }

    /// What `what` was last said to be at or before `until`.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Damaged`] if it is not what was written; the target's errors.
    pub fn note(&self, what: &str, until: Lsn) -> Result<Option<(Lsn, String)>, ArchiveError> {
        let notes = self.notes()?;
        let Some((lsn, name)) = newest(&notes, what, until) else { return Ok(None) };
        Ok(Some((lsn, self.read_note(&format!("{NOTE}/{name}"))?)))
    }

    /// The names of all notes.
    pub(super) fn notes(&self) -> Result<Vec<String>, ArchiveError> {
        let mut names = self.target.list(NOTE).map_err(ArchiveError::target(NOTE, "list it"))?;
        names.retain(|name| parse_note_name(name).is_some());
        Ok(names)
    }

    fn read_note(&self, name: &str) -> Result<String, ArchiveError> {
        let bytes = read_small(&*self.target, name, NOTE_SIZE_MAX)
            .map_err(ArchiveError::target(name, "read it"))?;
        let text = text::unseal(name, &bytes)?;
        Ok(text.strip_suffix('\n').unwrap_or(text).to_owned())
    }
}

/// The note that says what `what` was at `until`, and its moment.
pub(super) fn newest<'n>(notes: &'n [String], what: &str, until: Lsn) -> Option<(Lsn, &'n String)> {
    let all = notes.iter().filter_map(|name| parse_note_name(name).map(|found| (found, name)));
    let newest = all
        .filter(|((lsn, _, found), _)| *found == what && *lsn <= until)
        .max_by_key(|((lsn, number, _), _)| (*lsn, *number));
    newest.map(|((lsn, ..), name)| (lsn, name))
}
