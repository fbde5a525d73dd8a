//! Restoring from archive sets: into a store, or straight to Maildir++ trees or mbox files.

mod begun;
pub(super) mod point;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use rehome_archive::{ArchiveError, BackupId, LogStep, RestorePlan, Set, State, Until};
use rehome_log::{Clock as _, Lsn, SystemClock};
use rehome_store::{OpenOptions, RestoreMarker, RestoreStage, Store};

pub(super) use self::begun::{Begun, Made};

use super::archive::account;
use super::keys::SetAccess;
use super::{ExportFormat, expect_free};
use crate::error::Error;
use crate::event::{Flow, Observe};
use crate::memory::folder_of;
use crate::report::JobReport;
use crate::restore::{self as restoring, Amount, Chosen, Laid, Selection, Source, unreadable};
use crate::summary::bytes;

/// A restore keeps retention away for so long after it was killed; while it works it says again and
/// again that it does.
const LEASE_US: i64 = 1800 * 1_000_000;

/// Where a restore puts what it restores.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RestoreTo {
    /// A store, which is made.
    Store(PathBuf),
    /// Files in a new or empty folder, without a store.
    Files(PathBuf, ExportFormat),
}

impl RestoreTo {
    /// Where it comes.
    pub(super) fn place(&self) -> &Path {
        match self {
            RestoreTo::Store(path) | RestoreTo::Files(path, _) => path,
        }
    }
}

/// What is restored from where to where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoreRequest {
    /// The archive set.
    pub set: PathBuf,
    /// What is made.
    pub to: RestoreTo,
    /// Only this mailbox.
    pub mailbox: Option<String>,
    /// Only this folder of it.
    pub folder: Option<String>,
    /// Only the message with this UID.
    pub message: Option<u32>,
    /// The moment: an LSN, or a time as 2026-11-26T08:30:00Z. Without it, the latest there is.
    pub until: Option<String>,
    /// This backup, in place of a moment.
    pub backup: Option<String>,
    /// A file with age keys, if the set is encrypted.
    pub identity: Option<PathBuf>,
    /// Say what would be restored and touch nothing.
    pub dry_run: bool,
}

impl RestoreRequest {
    /// All of the newest backup.
    #[must_use]
    pub fn whole(set: PathBuf, to: RestoreTo) -> RestoreRequest {
        RestoreRequest {
            set,
            to,
            mailbox: None,
            folder: None,
            message: None,
            until: None,
            backup: None,
            identity: None,
            dry_run: false,
        }
    }

    /// What of the backup is wanted.
    pub(super) fn selection(&self) -> Selection {
        Selection {
            mailbox: self.mailbox.clone(),
            folder: self.folder.clone(),
            message: self.message,
        }
    }
}

/// Restores from a backup and what it builds upon, or from one and the archived log after it. What
/// is made, is made beside its place and comes there whole: until then its place stays as it was.
/// Killed or stopped anywhere, the same call goes on with the contents that are durable; where the
/// newest state was asked for, with what was the newest then.
///
/// # Errors
///
/// [`Error::BadInput`] if there is no such backup, mailbox, folder or message, if the set does not
/// reach the moment, the target is not empty, or another restore to it has begun;
/// [`Error::Interrupted`] if `observe` says so: the same call goes on; [`Error::NeedsHuman`] if
/// something of the set cannot be read.
pub fn restore(request: &RestoreRequest, observe: Observe<'_>) -> Result<JobReport, Error> {
    let place = request.to.place();
    let set = SetAccess { set: &request.set, identity: request.identity.as_deref() }.open()?;
    let source = format!("set {}", set.id());
    let begun = Begun::find(request, &source)?;
    let plan = match &begun {
        Some(begun) => plan_again(&set, begun)?,
        None => {
            let until = until(request.until.as_deref(), request.backup.as_deref())?;
            set.plan_restore(until).map_err(refused)?
        }
    };
    let made = begun.as_ref().map(Begun::in_place).transpose()?.flatten();
    if let (Some(made), false) = (made, request.dry_run) {
        begun.map(Begun::end).transpose()?;
        return report(&plan, place, made);
    }
    expect_free(place, "a restore replaces nothing")?;
    let missing = missing(&request.set, &plan);
    if request.dry_run {
        return foretell(&set, &plan, request, missing);
    }
    if let Some(message) = missing {
        return Err(Error::BadInput { message });
    }
    let made = keeping(&set, observe, |observe| {
        let begun = begun.map_or_else(|| Begun::begin(request, &source, &plan), Ok)?;
        match carry_out(&set, &plan, request, &begun, observe) {
            Ok(made) => begun.end().map(|()| made),
            Err(error) => Err(begun.fail(error)),
        }
    })?;
    report(&plan, place, made)
}

/// The plan that a restore which has begun goes on with.
fn plan_again(set: &Set, begun: &Begun) -> Result<RestorePlan, Error> {
    let plan = set.plan_restore(begun.moment()?).map_err(|error| match error {
        error @ ArchiveError::Target { .. } => Error::chain(error),
        other => begun.lost(&format!("and the set does not lead there any more: {other}")),
    })?;
    begun.expect(&plan)?;
    Ok(plan)
}

/// Makes what was asked for and gives it its place.
fn carry_out(
    set: &Set,
    plan: &RestorePlan,
    request: &RestoreRequest,
    begun: &Begun,
    observe: Observe<'_>,
) -> Result<Made, Error> {
    if needs_point(plan, request) {
        return point::restore(set, plan, request, begun, observe);
    }
    let (state, chosen) = choose(set, plan, request)?;
    make(Source::of(&state), chosen, request, Some((begun, plan.reaches)), observe)
}

fn report(plan: &RestorePlan, place: &Path, made: Made) -> Result<JobReport, Error> {
    let Made { amount, reached, there_bytes } = made;
    let mut document = document(plan, Some(amount), Some(reached));
    document["there_bytes"] = there_bytes.into();
    let there = match there_bytes {
        0 => String::new(),
        some => format!("\n  {} of it were there already", bytes(some)),
    };
    let text = format!("restored {}{there}", describe(plan, Some(amount), place));
    JobReport::good(&document, text)
}

/// Does `work` while retention is kept away from the set.
fn keeping<T>(
    set: &Set,
    observe: Observe<'_>,
    work: impl FnOnce(Observe<'_>) -> Result<T, Error>,
) -> Result<T, Error> {
    let now_us = SystemClock.wall_us();
    let until_us = now_us.saturating_add(LEASE_US);
    let mut lease = set.lease(&account(), now_us, until_us).map_err(Error::refused)?;
    let mut failed = None;
    let done = work(&mut |event| {
        let now_us = SystemClock.wall_us();
        if lease.until_us().saturating_sub(now_us) < LEASE_US / 2
            && let Err(error) = lease.renew(now_us, now_us.saturating_add(LEASE_US))
        {
            failed = Some(error);
            return Flow::Stop;
        }
        observe(event)
    });
    let released = lease.release();
    match failed {
        Some(error) => Err(Error::chain(error)),
        None => done.and_then(|done| released.map(|()| done).map_err(Error::chain)),
    }
}

/// Says what would be restored, and what is missing for it.
fn foretell(
    set: &Set,
    plan: &RestorePlan,
    request: &RestoreRequest,
    missing: Option<String>,
) -> Result<JobReport, Error> {
    let amount = match needs_point(plan, request) {
        true => None,
        false => Some(choose(set, plan, request)?.1.amount()),
    };
    let text = format!("would restore {}", describe(plan, amount, request.to.place()));
    Ok(JobReport::good(&document(plan, amount, None), text)?.with_problem(missing))
}

/// Whether the moment is reached by the catalog and the log after it. A whole store comes back so
/// wherever it can: numbers, and what can be had back, are what they were.
fn needs_point(plan: &RestorePlan, request: &RestoreRequest) -> bool {
    let is_whole_store = request.mailbox.is_none() && matches!(request.to, RestoreTo::Store(_));
    let by_outlines = matches!(plan.until, Until::Backup(_));
    plan.has_catalog() && !by_outlines && (is_whole_store || !plan.logs.is_empty())
}

fn document(plan: &RestorePlan, amount: Option<Amount>, reached: Option<Lsn>) -> serde_json::Value {
    serde_json::json!({
        "backup": plan.backups.last().map(|step| step.id.to_string()),
        "restored": reached.is_some(), "reached": reached, "amount": amount, "plan": plan,
    })
}

/// Makes what was asked for of `source` and gives it its place. With the note of a restore that
/// leads to an LSN, what a failure leaves can be gone on with; without one it goes.
pub(super) fn make(
    source: Source<'_>,
    chosen: Chosen,
    request: &RestoreRequest,
    begun: Option<(&Begun, Lsn)>,
    observe: Observe<'_>,
) -> Result<Made, Error> {
    let amount = chosen.amount();
    let attempt = if begun.is_some() { Attempt::GoesOn } else { Attempt::Only };
    let (scratch, laid) = match &request.to {
        RestoreTo::Store(place) => {
            let scratch = beside(place, "restoring")?;
            let laid = lay_down(source, chosen, &scratch, attempt, observe)?;
            (scratch, laid)
        }
        RestoreTo::Files(place, format) => {
            write_files(source, chosen, (place, *format), attempt, observe)?
        }
    };
    let reached = begun.map_or(Lsn::ZERO, |(_, reached)| reached);
    let made = Made { amount, reached, there_bytes: laid.there_bytes };
    begun.map(|(begun, _)| begun.set_made(made)).transpose()?;
    into_place(&scratch, request.to.place())?;
    Ok(made)
}

/// The moment that is asked for.
fn until(until: Option<&str>, backup: Option<&str>) -> Result<Until, Error> {
    if let Some(id) = backup {
        return id.parse::<BackupId>().map(Until::Backup).map_err(Error::bad_input);
    }
    let Some(text) = until else { return Ok(Until::Latest) };
    if let Ok(lsn) = text.parse() {
        return Ok(Until::Lsn(lsn));
    }
    let time = chrono::DateTime::parse_from_rfc3339(text).map_err(|error| {
        Error::bad_input(format!(
            "{text}: neither a log position as 0000000001:001000 nor a time as \
             2026-11-26T08:30:00Z ({error}); nothing was touched; give one of these"
        ))
    })?;
    Ok(Until::WallUs(time.timestamp_micros()))
}

/// What the archive refuses before anything is touched.
fn refused(error: ArchiveError) -> Error {
    match error {
        ArchiveError::Target { .. } => Error::chain(error),
        other => Error::refused(other),
    }
}

/// What keeps the set from reaching the moment that is asked for.
fn missing(set: &Path, plan: &RestorePlan) -> Option<String> {
    if plan.until == Until::Latest {
        return None;
    }
    let gap = plan.gaps.first()?;
    let to = gap.to.map_or_else(|| "the end".to_owned(), |to| to.to_string());
    Some(format!(
        "{}: the moment asked for needs the log from {} to {to}, which is not in the set; nothing \
         was touched; restore up to {} with --until, or what a backup shows with --backup",
        set.display(),
        gap.after,
        plan.reaches
    ))
}

/// Reads what the plan's backups show and chooses from it.
fn choose(
    set: &Set,
    plan: &RestorePlan,
    request: &RestoreRequest,
) -> Result<(State, Chosen), Error> {
    let last = plan.backups.last().map(|step| step.id);
    let id = last.ok_or_else(|| Error::needs_human("a plan without a backup"))?;
    let selection = request.selection();
    let whole_needed = selection.mailbox.is_none();
    if !whole_needed {
        let state = set.state(id, selection.mailbox.as_deref()).map_err(unreadable)?;
        if !state.mailboxes().is_empty() {
            let chosen = Chosen::of(&state, &selection)?;
            return Ok((state, chosen));
        }
    }
    let state = set.state(id, None).map_err(unreadable)?;
    let chosen = Chosen::of(&state, &selection)?;
    Ok((state, chosen))
}

/// How much is restored from where to where.
pub(super) fn amount_text(amount: Amount, id: &str, place: &Path) -> String {
    format!(
        "{} mailboxes, {} messages, {} from backup {id} to {}",
        amount.mailboxes,
        amount.messages,
        bytes(amount.content_bytes),
        place.display()
    )
}

fn describe(plan: &RestorePlan, amount: Option<Amount>, place: &Path) -> String {
    let last = plan.backups.last().map(|step| step.id.to_string()).unwrap_or_default();
    let mut text = match amount {
        Some(amount) => amount_text(amount, &last, place),
        None => format!("the state at {} from backup {last} to {}", plan.reaches, place.display()),
    };
    for step in &plan.backups {
        text.push_str(&format!(
            "\n  {} backup {}: log {} to {}, at most {} to read",
            step.kind.word(),
            step.id,
            step.lsn_begin,
            step.lsn_end,
            bytes(step.stored_bytes)
        ));
    }
    for log in &plan.logs {
        let LogStep { file, after, until, .. } = log;
        text.push_str(&format!("\n  log {after} to {until}: {file}"));
    }
    text.push_str(&unknown_after(plan));
    for gap in &plan.gaps {
        let to = gap.to.map_or_else(|| "the end".to_owned(), |to| to.to_string());
        let reaches = plan.reaches;
        text.push_str(&format!("\n  GAP: no log from {} to {to}; {reaches} is reached", gap.after));
    }
    for reason in &plan.passed_over {
        text.push_str(&format!("\n  passed over: {reason}"));
    }
    text
}

/// What is not known of the time that was asked for, because the log ends before it.
fn unknown_after(plan: &RestorePlan) -> String {
    let Until::WallUs(moment) = plan.until else { return String::new() };
    let last = plan.log_wall_us.or_else(|| plan.backups.last().map(|step| step.wall_us));
    let Some(last) = last.filter(|last| *last < moment) else { return String::new() };
    let time = chrono::DateTime::from_timestamp_micros(last);
    let time = time.map_or_else(String::new, |time| time.to_rfc3339());
    format!(
        "\n  the log in the set ends at {time}: what changed between then and the moment asked for \
         is NOT there"
    )
}

/// Writes mail as files beside `place`, and says where; the export knows every rule of these
/// formats, and it reads from a store: a passing one.
fn write_files(
    source: Source<'_>,
    chosen: Chosen,
    (place, format): (&Path, ExportFormat),
    attempt: Attempt,
    observe: Observe<'_>,
) -> Result<(PathBuf, Laid<()>), Error> {
    let (passing, written) = (beside(place, "extracting")?, beside(place, "writing")?);
    remove_left_over(&written)?;
    let laid = lay_down(source, chosen, &passing, attempt, observe)?;
    let report = super::export(&passing, &written, &[], format, observe);
    if attempt == Attempt::Only {
        remove_left_over(&passing)?;
    }
    report.map(|_| (written, laid))
}

/// Writes mail as files to `place`; a failure leaves nothing to go on with.
pub(super) fn write_files_once(
    source: Source<'_>,
    chosen: Chosen,
    place: &Path,
    format: ExportFormat,
    observe: Observe<'_>,
) -> Result<(), Error> {
    let (written, _) = write_files(source, chosen, (place, format), Attempt::Only, observe)?;
    into_place(&written, place)
}

/// A path in the same folder whose name begins with that of `path`.
pub(super) fn beside(path: &Path, suffix: &str) -> Result<PathBuf, Error> {
    let whole = std::path::absolute(path).map_err(Error::bad_input)?;
    let mut name = whole.file_name().map(ToOwned::to_owned).ok_or_else(|| {
        let shown = path.display();
        Error::bad_input(format!("{shown}: this path has no name; give that of a folder"))
    })?;
    name.push(format!(".{suffix}"));
    Ok(whole.with_file_name(name))
}

/// What becomes of a store that is not finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attempt {
    /// It stays, and the next attempt goes on with it.
    GoesOn,
    /// It goes.
    Only,
}

/// Makes a store of a part of a backup.
pub(super) fn lay_down(
    source: Source<'_>,
    chosen: Chosen,
    store: &Path,
    attempt: Attempt,
    observe: Observe<'_>,
) -> Result<Laid<()>, Error> {
    let there_bytes = chosen.amount().content_bytes;
    let whole = Laid { reached: (), there_bytes };
    lay_down_by(store, attempt, whole, |marker| {
        restoring::lay_down(source, chosen, store, marker, observe)
    })
}

/// Makes a store as `lay` lays it down with its marker, and recovers it. If an earlier attempt has
/// done that, the answer is `whole`.
pub(super) fn lay_down_by<T>(
    store: &Path,
    attempt: Attempt,
    whole: Laid<T>,
    lay: impl FnOnce(&Path) -> Result<Laid<T>, Error>,
) -> Result<Laid<T>, Error> {
    let marker = beside(store, "marker")?;
    if attempt == Attempt::Only {
        remove_left_over(&marker)?;
        remove_left_over(store)?;
    }
    let made = match restoring::stage(store)? {
        RestoreStage::Ended => Ok(whole),
        RestoreStage::Written(proof) => recover(store, proof).map(|()| whole),
        RestoreStage::Nothing | RestoreStage::Writing => lay(&marker).and_then(|laid| {
            recover(store, proof_in(&marker)?)?;
            Ok(laid)
        }),
    };
    let made = made.and_then(|laid| remove_left_over(&marker).map(|()| laid));
    match made {
        Err(error) if attempt == Attempt::Only => Err(without(store, error)),
        made => made,
    }
}

/// Removes an unfinished store; the error, with what is wrong with that too.
fn without(store: &Path, error: Error) -> Error {
    match remove_left_over(store) {
        Ok(()) => error,
        Err(left) => Error::needs_human(format!("{error}; besides, the unfinished {left}")),
    }
}

/// Removes what a restore that was killed left, a file or a folder.
fn remove_left_over(path: &Path) -> Result<(), Error> {
    let removed = match path.is_dir() {
        true => std::fs::remove_dir_all(path),
        false => std::fs::remove_file(path),
    };
    match removed {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(Error::needs_human(format!("{}: {error}", path.display())))
        }
        _ => Ok(()),
    }
}

/// The marker in a file.
fn proof_in(marker: &Path) -> Result<RestoreMarker, Error> {
    let json = std::fs::read(marker)
        .map_err(|error| Error::needs_human(format!("{}: {error}", marker.display())))?;
    serde_json::from_slice(&json).map_err(Error::needs_human)
}

/// Opens a restored store with its marker, which ends the restore.
fn recover(store: &Path, proof: RestoreMarker) -> Result<(), Error> {
    let options = OpenOptions { restore_marker: Some(proof), ..OpenOptions::default() };
    Store::open_at(store, options).map_err(Error::chain)?.close().map_err(Error::chain)
}

/// Gives a finished store or folder of files its name, durably.
fn into_place(made: &Path, place: &Path) -> Result<(), Error> {
    let attempt = || {
        // On Unix the rename replaces an empty folder, and no other.
        std::fs::rename(made, place)?;
        std::fs::File::open(folder_of(made))?.sync_all()
    };
    attempt().map_err(|error| {
        Error::needs_human(format!(
            "{}: what was restored cannot take this place: {error}; it is whole in {}; rename it",
            place.display(),
            made.display()
        ))
    })
}

/// Writes the mail of the newest complete backup as Maildir++ trees.
///
/// # Errors
///
/// As [`restore`].
pub fn archive_extract<'a>(
    set: impl Into<SetAccess<'a>>,
    to: &Path,
    observe: Observe<'_>,
) -> Result<JobReport, Error> {
    let SetAccess { set, identity } = set.into();
    let files = RestoreTo::Files(to.to_owned(), ExportFormat::Maildir);
    let whole = RestoreRequest::whole(set.to_owned(), files);
    restore(&RestoreRequest { identity: identity.map(Path::to_owned), ..whole }, observe)
}

#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
mod resume_tests;
#[cfg(test)]
mod tests;
