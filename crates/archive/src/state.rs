//! What a chain of backups shows: the base brought up to date with each backup that follows.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::io::Read as _;

use crate::backup::{Backup, Content, Contents, StreamReader};
use crate::cursors::{Cursors, STREAM};
use crate::error::ArchiveError;
use crate::ids::ContentId;
use crate::outline::{MailboxOutline, apply};

/// No cursors are larger.
const CURSORS_SIZE_MAX: u64 = 256 << 20;

/// The state of a store that a backup shows, with what it builds upon.
pub struct State {
    backups: Vec<Backup>,
    mailboxes: Vec<MailboxOutline>,
}

impl State {
    /// Reads what `backups`, a chain with the full one first, show; of one mailbox if `only` names
    /// it. All of these outlines are in memory then.
    pub(crate) fn read(backups: Vec<Backup>, only: Option<&str>) -> Result<State, ArchiveError> {
        let mut mailboxes: BTreeMap<String, MailboxOutline> = BTreeMap::new();
        for (number, backup) in backups.iter().enumerate() {
            if number > 0 {
                let cursors = read_cursors(backup)?;
                mailboxes.retain(|name, _| cursors.mailbox(name).is_some());
            }
            let mut found = 0;
            for outline in backup.outlines_of(only) {
                let (_, outline) = outline?;
                found += 1;
                let name = outline.name.clone();
                let after = apply(mailboxes.remove(&name), outline)
                    .map_err(|what| ArchiveError::file_damaged(backup.folder(), what))?;
                mailboxes.insert(name, after);
            }
            let written = backup.manifest().map(|manifest| manifest.totals.mailboxes);
            if let (None, Some(written)) = (only, written.filter(|written| *written != found)) {
                let what =
                    format!("{found} outlines of mailboxes are in it, {written} were written");
                return Err(ArchiveError::file_damaged(backup.folder(), what));
            }
        }
        Ok(State { backups, mailboxes: mailboxes.into_values().collect() })
    }

    /// What a single backup has, which may be damaged; no outline is read.
    #[must_use]
    pub fn of_one(backup: Backup) -> State {
        State { backups: vec![backup], mailboxes: Vec::new() }
    }

    /// The backups, the full one first.
    #[must_use]
    pub fn backups(&self) -> &[Backup] {
        &self.backups
    }

    /// The backup whose state this is.
    #[must_use]
    pub fn last(&self) -> &Backup {
        self.backups.last().expect("a chain has a backup")
    }

    /// The mailboxes, by name.
    #[must_use]
    pub fn mailboxes(&self) -> &[MailboxOutline] {
        &self.mailboxes
    }

    /// One content, from whichever backup holds it.
    ///
    /// # Errors
    ///
    /// As [`Backup::content`].
    pub fn content(&self, id: &ContentId) -> Result<Vec<u8>, ArchiveError> {
        let mut first_error = None;
        for backup in self.backups.iter().rev() {
            match backup.content(id) {
                Ok(bytes) => return Ok(bytes),
                Err(ArchiveError::NoContent { .. }) => {}
                Err(error) => _ = first_error.get_or_insert(error),
            }
        }
        Err(first_error.unwrap_or(ArchiveError::NoContent { id: *id }))
    }

    /// The contents named by `ids`, each once, in the order in which they lie in the backups. One
    /// that cannot be found is an error item at the end.
    #[must_use]
    pub fn contents(&self, ids: impl IntoIterator<Item = ContentId>) -> StateContents<'_> {
        StateContents {
            backups: self.backups.iter().collect(),
            open: None,
            wanted: ids.into_iter().collect(),
        }
    }

    /// A stream of the last backup.
    ///
    /// # Errors
    ///
    /// As [`Backup::stream`].
    pub fn stream(&self, name: &str) -> Result<StreamReader<'_>, ArchiveError> {
        self.last().stream(name)
    }
}

/// How far `backup` shows each of its mailboxes.
pub(crate) fn read_cursors(backup: &Backup) -> Result<Cursors, ArchiveError> {
    let damaged = |what: String| ArchiveError::file_damaged(backup.folder(), what);
    let mut bytes = Vec::new();
    let stream = backup.stream(STREAM)?;
    stream
        .take(CURSORS_SIZE_MAX)
        .read_to_end(&mut bytes)
        .map_err(|error| damaged(format!("its stream {STREAM:?} cannot be read: {error}")))?;
    Cursors::decode(&bytes).map_err(|what| damaged(format!("its stream {STREAM:?}: {what}")))
}

/// Iterator of [`State::contents`].
pub struct StateContents<'a> {
    backups: VecDeque<&'a Backup>,
    open: Option<Contents<'a>>,
    wanted: HashSet<ContentId>,
}

impl StateContents<'_> {
    /// Opens the next backup; false if there is none.
    fn advance(&mut self) -> bool {
        let Some(backup) = self.backups.pop_front() else { return false };
        let here = self.wanted.iter().copied().filter(|id| backup.may_hold(id));
        self.open = Some(backup.contents_of(here.collect::<Vec<_>>()));
        true
    }
}

impl Iterator for StateContents<'_> {
    type Item = Result<Content, ArchiveError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.open.as_mut().and_then(Iterator::next) {
                Some(Ok(content)) => {
                    if self.wanted.remove(&content.id) {
                        return Some(Ok(content));
                    }
                }
                // It may be in the next backup.
                Some(Err(ArchiveError::NoContent { .. })) => {}
                Some(Err(error)) => return Some(Err(error)),
                None if self.advance() => {}
                None => {
                    let id = *self.wanted.iter().next()?;
                    self.wanted.remove(&id);
                    return Some(Err(ArchiveError::NoContent { id }));
                }
            }
        }
    }
}
