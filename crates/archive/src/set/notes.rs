//! Notes: small texts that belong to a moment of the archived log, such as a server's directory.

use std::io;

use rehome_log::Lsn;

use super::Set;
use crate::error::{ArchiveError, Damage};
use crate::names::{NOTE, NOTE_SEALED, note_name, parse_note_name};
use crate::seal::Encryption;
use crate::set_file::write;
use crate::target::read_small;
use crate::text;

/// No note is longer.
const NOTE_SIZE_MAX: u64 = 1 << 30;
/// Notes of the same name and moment.
const NUMBERS: u32 = 1000;

impl Set {
    /// Keeps `text` as what `what` was after log record `lsn`, and reads it back; encrypted, if it
    /// is for recipients. A later one of the same moment takes its place. `what` is of lower-case
    /// letters.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Misuse`] for another `what`; [`ArchiveError::MustEncrypt`];
    /// [`ArchiveError::NotVerified`] if it does not read back; the target's errors.
    pub fn keep_note(
        &self,
        lsn: Lsn,
        what: &str,
        text: &str,
        encryption: Option<&Encryption>,
    ) -> Result<(), ArchiveError> {
        self.may_hold(encryption.is_some())?;
        let text = match encryption {
            Some(encryption) => encryption.wrap(text.as_bytes())?,
            None => text.to_owned(),
        };
        let bytes = text::seal(format!("{text}\n"));
        let notes = self.notes()?;
        let there = notes.iter().filter_map(|name| parse_note_name(name));
        let same = there.filter(|(at, _, called)| *at == lsn && *called == what);
        let first = same.map(|(_, number, _)| number.saturating_add(1)).max().unwrap_or(0);
        for number in first..first.saturating_add(NUMBERS) {
            let name = note_name(lsn, number, what, encryption.is_some());
            if parse_note_name(&name).is_none() {
                return Err(ArchiveError::Misuse { what: format!("a note is called {what:?}") });
            }
            let name = format!("{NOTE}/{name}");
            match write(&*self.target, &name, &bytes) {
                Err(ArchiveError::Target { source, .. })
                    if source.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
                Ok(()) => return self.expect_note(&name, &bytes),
            }
        }
        Err(ArchiveError::Busy { file: NOTE.to_owned() })
    }

    fn expect_note(&self, name: &str, bytes: &[u8]) -> Result<(), ArchiveError> {
        let read = read_small(&*self.target, name, NOTE_SIZE_MAX);
        if read.map_err(ArchiveError::target(name, "read it"))? == bytes {
            return Ok(());
        }
        let first = Damage::of_file(name, "it does not read back as written");
        Err(ArchiveError::NotVerified { first })
    }

    /// What `what` was last said to be at or before `until`.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Damaged`] if it is not what was written; [`ArchiveError::Locked`] if no
    /// identity of the set opens it; the target's errors.
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
        let text = text.strip_suffix('\n').unwrap_or(text);
        if !name.ends_with(NOTE_SEALED) {
            return Ok(text.to_owned());
        }
        let locked = || ArchiveError::Locked { file: name.to_owned() };
        let opened = self.identities.unwrap(text, NOTE_SIZE_MAX).ok_or_else(locked)?;
        let bad = |_| ArchiveError::file_damaged(name, "what is sealed in it is no text");
        String::from_utf8(opened).map_err(bad)
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
