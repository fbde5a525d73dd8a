//! What was taken in, row by row, and what users have changed of it since.
//!
//! Written when the old server's store has everything and nobody can have changed it yet
//! (`docs/design/0039-users-work-on.md`). The bytes are those of a finished migration's record
//! (`docs/format/proof.md`).

use std::collections::{BTreeMap, HashMap};

use rehome_store::{ContentId, FolderName, LocalSource, MailboxName, Modseq, Store, Uid};

use crate::error::Error;
use crate::maildir_source::SourceMessage;
use crate::proof::{self, ProvedMailbox};
use crate::work::Work;

/// Writes down what the old server's store holds, in place of what an earlier attempt wrote.
pub(crate) fn write(
    work: &Work,
    about: (&str, &str, i64),
    mailboxes: &[MailboxName],
    store: &Store,
) -> Result<(), Error> {
    let folder = work.taken_in();
    match std::fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(Error::needs_human(format!("{}: {error}", folder.display())));
        }
        _ => {}
    }
    let mailboxes = mailboxes.iter().cloned().collect();
    proof::write(&folder, about, &mailboxes, &mut LocalSource::new(store.clone())).map(drop)
}

/// The record of all mailboxes; none in a work folder of a program that wrote none.
pub(crate) struct TakenIn(Option<proof::Read>);

impl TakenIn {
    pub(crate) fn read(work: &Work) -> Result<Self, Error> {
        let folder = work.taken_in();
        folder.is_dir().then(|| proof::read(&folder)).transpose().map(TakenIn)
    }

    /// One mailbox as it was taken in; none if that is not known.
    pub(crate) fn mailbox(&self, name: &str) -> Result<Option<Baseline>, Error> {
        let Some(read) = &self.0 else { return Ok(None) };
        let Some(proved) = read.proof.mailboxes.get(name) else { return Ok(None) };
        Baseline::new(proved, &read.lines(proved)?).map(Some)
    }
}

/// A mailbox as it was taken in: where each message was.
#[derive(Debug)]
pub(crate) struct Baseline {
    /// The mailbox's last change by then: what its user changed has a higher number.
    pub(crate) highest: Modseq,
    /// Places by what was there: content, date, flags and keywords as the line has them.
    places: HashMap<Line, Vec<(FolderName, Uid)>>,
}

/// A line of the record without its UID.
type Line = String;

impl Baseline {
    fn new(proved: &ProvedMailbox, lines: &[proof::Lines]) -> Result<Self, Error> {
        let mut places: HashMap<Line, Vec<(FolderName, Uid)>> = HashMap::new();
        for (folder, lines) in proved.folders.iter().zip(lines) {
            let name = FolderName::try_from(folder.name.as_str()).map_err(Error::bad_input)?;
            for (uid, line) in lines {
                let rest = line.split_once(' ').map_or("", |(_, rest)| rest.trim_end());
                places.entry(rest.to_owned()).or_default().push((name.clone(), Uid(*uid)));
            }
        }
        Ok(Baseline { highest: Modseq(proved.highest_modseq), places })
    }

    /// A mailbox of a store as it is now.
    #[cfg(test)]
    pub(crate) fn of(scratch: &std::path::Path, mailbox: &MailboxName, store: &Store) -> Self {
        let work = Work::new(scratch);
        write(&work, ("plan", "EX1", 0), std::slice::from_ref(mailbox), store).expect("writable");
        let record = TakenIn::read(&work).expect("readable");
        record.mailbox(mailbox.as_str()).expect("whole").expect("in it")
    }

    /// Takes a place where a message of the source was: in the folder that `folders` calls as the
    /// source does (or that is not among them any more), and of which `is_it` says yes. Each place
    /// is given once.
    pub(crate) fn take(
        &mut self,
        source: &SourceMessage,
        folders: &BTreeMap<FolderName, String>,
        is_it: impl Fn(&FolderName, Uid) -> bool,
    ) -> Option<(FolderName, Uid)> {
        let places = self.places.get_mut(&line_of(source))?;
        let named =
            |place: &FolderName| folders.get(place).is_none_or(|disk| *disk == source.disk_folder);
        let at = places.iter().position(|(folder, uid)| named(folder) && is_it(folder, *uid))?;
        Some(places.swap_remove(at))
    }
}

/// What the record says of a message, after its UID: flags, keywords, date, content.
fn line_of(source: &SourceMessage) -> Line {
    let flags = if source.letters.is_empty() { "-" } else { source.letters.as_str() };
    let keywords = match source.keywords.is_empty() {
        true => "-".to_owned(),
        false => source.keywords.join(","),
    };
    let content = blake3::Hash::from_bytes(ContentId(source.content).0).to_hex();
    format!("{flags} {keywords} {} {content}", source.time_seconds)
}
