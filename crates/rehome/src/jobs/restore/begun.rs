//! A restore on its way. What was asked for is noted beside its place before anything is made
//! there, so that the same command goes on with what a killed one has left, and no other one does.

use std::path::{Path, PathBuf};

use rehome_archive::{BackupId, RestorePlan, Until};
use rehome_log::Lsn;
use serde::{Deserialize, Serialize};

use super::{RestoreRequest, RestoreTo, beside, needs_point, remove_left_over};
use crate::error::Error;
use crate::jobs::ExportFormat;
use crate::memory::write_durably;
use crate::restore::Amount;

/// The version of the note.
const FORMAT: u32 = 1;
/// What a restore makes beside its place, each with its marker.
const PARTS: [&str; 4] = ["restoring", "moment", "extracting", "writing"];

/// What is noted of a restore.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Note {
    format: u32,
    /// The set.
    source: String,
    wanted: Wanted,
    /// The moment that it restores; that of the first attempt where the newest was asked for.
    moment: Moment,
    /// The backups that it reads.
    backups: Vec<String>,
    /// What was made is whole and gets its place.
    made: Option<Made>,
}

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Wanted {
    form: String,
    mailbox: Option<String>,
    folder: Option<String>,
    message: Option<u32>,
    until: Option<String>,
    backup: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Moment {
    Lsn(Lsn),
    WallUs(i64),
    Backup(String),
}

/// What was made, once it is whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::jobs) struct Made {
    pub(super) amount: Amount,
    /// The last record of the log in it.
    pub(super) reached: Lsn,
    /// Bytes of contents that were there before the last attempt.
    pub(super) there_bytes: u64,
}

/// A restore that has begun, with the file of its note.
#[derive(Debug)]
pub(in crate::jobs) struct Begun {
    place: PathBuf,
    file: PathBuf,
    note: Note,
}

impl Begun {
    /// Finds what an earlier attempt at this request has left.
    ///
    /// # Errors
    ///
    /// [`Error::BadInput`] if what lies there belongs to another restore.
    pub(in crate::jobs) fn find(
        request: &RestoreRequest,
        source: &str,
    ) -> Result<Option<Begun>, Error> {
        let place = request.to.place().to_owned();
        let file = note_file(&place)?;
        let json = match std::fs::read(&file) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            read => {
                read.map_err(|error| Error::needs_human(format!("{}: {error}", file.display())))?
            }
        };
        let left = left_over(&place)?;
        let refused = |why: &str| Err(Error::bad_input(refusal(&file, &left, why)));
        let Ok(note) = serde_json::from_slice::<Note>(&json) else {
            return refused("that this program cannot read");
        };
        if note.made.is_none() && left.is_empty() {
            return Ok(None);
        }
        if note.source != source {
            return refused(&format!("from {}, and this one is from {source}", note.source));
        }
        if note.format != FORMAT || note.wanted != Wanted::of(request) {
            return refused(&format!("of something else ({})", note.wanted.words()));
        }
        Ok(Some(Begun { place, file, note }))
    }

    /// Begins one: removes what has no note, and writes the note.
    ///
    /// # Errors
    ///
    /// [`Error::NeedsHuman`] if the folder of the place cannot be written.
    pub(super) fn begin(
        request: &RestoreRequest,
        source: &str,
        plan: &RestorePlan,
    ) -> Result<Begun, Error> {
        let newest = plan.backups.last().map(|step| step.id.to_string()).unwrap_or_default();
        let moment = match plan.until {
            Until::Lsn(lsn) => Moment::Lsn(lsn),
            Until::WallUs(wall_us) => Moment::WallUs(wall_us),
            Until::Backup(id) => Moment::Backup(id.to_string()),
            Until::Latest if needs_point(plan, request) => Moment::Lsn(plan.reaches),
            Until::Latest => Moment::Backup(newest),
        };
        let place = request.to.place().to_owned();
        let (source, wanted, backups) = (source.to_owned(), Wanted::of(request), ids(plan));
        let note = Note { format: FORMAT, source, wanted, moment, backups, made: None };
        for path in left_over(&place)? {
            remove_left_over(&path)?;
        }
        let begun = Begun { file: note_file(&place)?, place, note };
        begun.write(&begun.note)?;
        Ok(begun)
    }

    /// The moment that is restored.
    pub(super) fn moment(&self) -> Result<Until, Error> {
        Ok(match &self.note.moment {
            Moment::Lsn(lsn) => Until::Lsn(*lsn),
            Moment::WallUs(wall_us) => Until::WallUs(*wall_us),
            Moment::Backup(id) => Until::Backup(id.parse::<BackupId>().map_err(Error::bad_input)?),
        })
    }

    /// The plan reads what that of the first attempt read.
    ///
    /// # Errors
    ///
    /// [`Error::BadInput`] if the set has changed so that it does not.
    pub(super) fn expect(&self, plan: &RestorePlan) -> Result<(), Error> {
        let (had, has) = (self.note.backups.join(", "), ids(plan).join(", "));
        if had == has {
            return Ok(());
        }
        Err(self.lost(&format!("that read backups {had}, and the set leads there by {has} now")))
    }

    /// Why what was begun cannot be gone on with.
    pub(super) fn lost(&self, why: &str) -> Error {
        let left = left_over(&self.place).unwrap_or_default();
        Error::bad_input(refusal(&self.file, &left, why))
    }

    /// What was made, if it has its place already.
    pub(super) fn in_place(&self) -> Result<Option<Made>, Error> {
        let made_in = match self.note.wanted.form.as_str() {
            "store" => "restoring",
            _ => "writing",
        };
        let holds = std::fs::read_dir(&self.place).is_ok_and(|mut all| all.next().is_some());
        let is_made = holds && !beside(&self.place, made_in)?.exists();
        Ok(self.note.made.filter(|_| is_made))
    }

    /// Notes that what was made is whole and gets its place.
    pub(super) fn set_made(&self, made: Made) -> Result<(), Error> {
        self.write(&Note { made: Some(made), ..self.note.clone() })
    }

    fn write(&self, note: &Note) -> Result<(), Error> {
        write_durably(&self.file, &serde_json::to_vec_pretty(note).map_err(Error::needs_human)?)
    }

    /// Removes what was made on the way, and the note.
    pub(super) fn end(self) -> Result<(), Error> {
        for path in left_over(&self.place)? {
            remove_left_over(&path)?;
        }
        remove_left_over(&self.file)
    }

    /// Ends after `error`: what nothing can be made of goes; what can be gone on with stays, and
    /// the error says so.
    pub(super) fn fail(self, error: Error) -> Error {
        match error {
            Error::NeedsHuman { message } => {
                let left = names(&left_over(&self.place).unwrap_or_default(), &self.file);
                Error::NeedsHuman {
                    message: format!(
                        "{message}; what has come stays beside the place, and the same command \
                         goes on with it; to give it up, remove {left}"
                    ),
                }
            }
            Error::BadInput { message } => match self.end() {
                Ok(()) => Error::BadInput { message },
                Err(left) => Error::needs_human(format!("{message}; besides, {left}")),
            },
            other => other,
        }
    }
}

impl Wanted {
    fn of(request: &RestoreRequest) -> Wanted {
        let form = match &request.to {
            RestoreTo::Store(_) => "store",
            RestoreTo::Files(_, ExportFormat::Maildir) => "maildir",
            RestoreTo::Files(_, ExportFormat::Mbox) => "mbox",
            RestoreTo::Files(_, ExportFormat::Eml) => "eml",
        };
        Wanted {
            form: form.to_owned(),
            mailbox: request.mailbox.clone(),
            folder: request.folder.clone(),
            message: request.message,
            until: request.until.clone(),
            backup: request.backup.clone(),
        }
    }

    fn words(&self) -> String {
        let part = |name: &str, value: &Option<String>| {
            value.as_ref().map(|value| format!(", {name} {value}")).unwrap_or_default()
        };
        let message = self.message.map(|uid| uid.to_string());
        format!(
            "into a {}{}{}{}{}{}",
            self.form,
            part("mailbox", &self.mailbox),
            part("folder", &self.folder),
            part("message", &message),
            part("until", &self.until),
            part("backup", &self.backup)
        )
    }
}

fn ids(plan: &RestorePlan) -> Vec<String> {
    plan.backups.iter().map(|step| step.id.to_string()).collect()
}

fn note_file(place: &Path) -> Result<PathBuf, Error> {
    beside(place, "restoring.json")
}

/// What an attempt at `place` has left.
fn left_over(place: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut left = Vec::new();
    for part in PARTS {
        let path = beside(place, part)?;
        let marker = beside(&path, "marker")?;
        left.extend([path, marker].into_iter().filter(|path| path.exists()));
    }
    Ok(left)
}

fn names(left: &[PathBuf], file: &Path) -> String {
    let left = left.iter().map(PathBuf::as_path).chain([file]);
    left.map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}

fn refusal(file: &Path, left: &[PathBuf], why: &str) -> String {
    format!(
        "{}: a restore to this place was begun and has not ended, {why}; nothing was changed; give \
         the command that it was begun with, name another place, or remove {} to give it up",
        file.display(),
        names(left, file)
    )
}
