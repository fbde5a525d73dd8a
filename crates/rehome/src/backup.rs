//! Sending a store into an archive set: outlines first, then every content once. A backup of
//! changes takes both from what the store knows to have changed; nothing else is looked at.

mod catalog;
mod upon;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use rehome_archive::{
    ArchiveError, BackupHeader, BackupId, BackupKind, BackupWriter, CheckLevel, Cursors,
    Encryption, MailboxOutline, Set, StoreId, Target, WriterOptions,
};
use rehome_log::{Clock, Lsn};
use rehome_site::Directory;
use rehome_store::{
    ContentId, ContentRun, Frame, IncomingMailbox, MailboxId, MailboxName, MailboxState, Modseq,
    MoveSource, Offer, StoredContent, TransferError,
};
use serde::Serialize;

use crate::error::Error;
use crate::event::{Event, Flow, Observe};
use crate::fate::fate_line;
use crate::outline::OutlineBuilder;
use crate::restore::unreadable;

use self::upon::Upon;

/// The name of the stream with the directory.
pub(crate) const DIRECTORY_STREAM: &str = "directory";

/// How a backup is made. A kind alone is the usual way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupOptions {
    /// Everything, or what changed; whether later ones may build upon it.
    pub kind: BackupKind,
    /// Whether parity goes with it into a folder: a disk forgets now and then.
    pub parity: bool,
    /// age recipients (`age1…`) for whom it is encrypted, any one of whom can read it; nobody else
    /// can, not even who wrote it. With none it is not encrypted.
    pub recipients: Vec<String>,
}

impl From<BackupKind> for BackupOptions {
    fn from(kind: BackupKind) -> BackupOptions {
        BackupOptions { kind, parity: true, recipients: Vec::new() }
    }
}

/// What a backup is made of beside the store.
pub(crate) struct BackupRequest {
    /// The archive set.
    pub(crate) set: PathBuf,
    /// Who makes it.
    pub(crate) account: String,
    /// The server's directory, if it is backed up too.
    pub(crate) directory: Option<Directory>,
    /// How it is made.
    pub(crate) options: BackupOptions,
    /// What encrypts it for the recipients; nothing if there are none.
    pub(crate) encryption: Option<Encryption>,
    /// Whether archived log is to follow it: it holds the store's catalog, too.
    pub(crate) catalog: bool,
    /// Says when the state that the backup shows was the present one.
    pub(crate) clock: Arc<dyn Clock>,
}

/// What a backup holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BackupReport {
    /// Its name in the set.
    pub id: String,
    /// Its kind.
    pub kind: String,
    /// The backup that it builds upon.
    pub base: Option<String>,
    /// The state of the store that it shows.
    pub lsn: u64,
    /// Mailboxes.
    pub mailboxes: u64,
    /// Messages.
    pub messages: u64,
    /// Contents, each once.
    pub contents: u64,
    /// Bytes of the contents.
    pub content_bytes: u64,
    /// Bytes in the archive.
    pub stored_bytes: u64,
    /// Mailboxes that are not in it, each with the reason: this store is not their home, and a
    /// restore would make it a second one.
    pub left_out: Vec<String>,
}

impl std::fmt::Display for BackupReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} backup {}: {} mailboxes, {} messages, {} contents of {} in {}",
            self.kind,
            self.id,
            self.mailboxes,
            self.messages,
            self.contents,
            crate::summary::bytes(self.content_bytes),
            crate::summary::bytes(self.stored_bytes)
        )?;
        if let Some(base) = &self.base {
            write!(f, "; changes since backup {base}")?;
        }
        if self.left_out.is_empty() {
            return Ok(());
        }
        write!(f, "; left out: {}", self.left_out.join(", "))
    }
}

/// Backs mailboxes up as they are at one moment, while they are in use.
///
/// # Errors
///
/// [`Error::Interrupted`] if `observe` says so; [`Error::NeedsHuman`] if the source or the set
/// fails. An unfinished backup is not used by anything.
pub(crate) fn back_up(
    source: &mut dyn MoveSource,
    mailboxes: &[MailboxName],
    request: &BackupRequest,
    observe: Observe<'_>,
) -> Result<BackupReport, Error> {
    let target = crate::place::target(&request.set)?;
    back_up_into(target, source, mailboxes, request, observe)
}

/// The same into `target`, whatever the request says of the set.
pub(crate) fn back_up_into(
    target: Arc<dyn Target>,
    source: &mut dyn MoveSource,
    mailboxes: &[MailboxName],
    request: &BackupRequest,
    observe: Observe<'_>,
) -> Result<BackupReport, Error> {
    let (at_home, left_out) = at_home(source, mailboxes)?;
    let upon = Upon::of(&target, request)?;
    let since: Vec<_> =
        at_home.iter().map(|(name, at)| (name.clone(), upon.since(name, *at))).collect();
    let offer = source.offer_all(&since).map_err(Error::chain)?;
    let none = vec![false; offer.contents.len()];
    let mut sending = Sending::new(target, request, upon, &offer, observe);
    sending.numbers = at_home.into_iter().map(|(name, at)| (name, at.number)).collect();
    sending.since = since.into_iter().collect();
    let sent = source.send(&offer, &none, &mut |frame| sending.take_rows(frame));
    sending.judge(sent)?;
    sending.put_outline()?;
    sending.leave_out_what_the_base_has()?;
    let wanted = |(id, _): &(ContentId, _)| sending.owners.contains_key(id);
    let wanted: Vec<bool> = offer.contents.iter().map(wanted).collect();
    let pairs = offer.contents.iter().zip(&wanted).filter(|(_, wanted)| **wanted);
    sending.total = pairs.map(|((_, extent), _)| u64::from(extent.len)).sum();
    let sent = source.send(&offer, &wanted, &mut |frame| sending.take_contents(frame));
    sending.judge(sent)?;
    if request.catalog {
        let sent = source.send_base(&offer, &mut |frame| sending.take_base(frame));
        sending.judge(sent)?;
    }
    Ok(BackupReport { left_out, ..sending.finish()? })
}

/// The mailboxes whose home the source is, and the others with the reason. A copy that has moved
/// away, or is on its way, would come back from a restore as a second home.
fn at_home(
    source: &mut dyn MoveSource,
    mailboxes: &[MailboxName],
) -> Result<(Vec<AtHome>, Vec<String>), Error> {
    let (mut here, mut elsewhere) = (Vec::new(), Vec::new());
    for name in mailboxes {
        match source.info(name).map_err(Error::chain)? {
            Some(info) if info.state == MailboxState::Active => {
                let at = At { number: info.id, highest_modseq: info.highest_modseq };
                here.push((name.clone(), at));
            }
            Some(info) => elsewhere.push(format!("{name} ({})", info.state)),
            None => elsewhere.push(format!("{name} (not there any more)")),
        }
    }
    Ok((here, elsewhere))
}

/// A mailbox whose home the source is.
type AtHome = (MailboxName, At);

/// Where a mailbox's history is.
#[derive(Debug, Clone, Copy)]
struct At {
    number: MailboxId,
    highest_modseq: Modseq,
}

/// A backup on its way into the set.
struct Sending<'a, 'o> {
    target: Arc<dyn Target>,
    request: &'a BackupRequest,
    upon: Upon,
    numbers: HashMap<MailboxName, MailboxId>,
    since: HashMap<MailboxName, Option<Modseq>>,
    cursors: Option<Cursors>,
    lsn: Lsn,
    /// Where archived log follows.
    base_lsn: Lsn,
    writer: Option<BackupWriter>,
    /// The mailboxes that hold each content.
    owners: HashMap<ContentId, Vec<u32>>,
    outline: OutlineBuilder,
    done: u64,
    total: u64,
    observe: Observe<'o>,
    /// What went wrong at our side of the stream.
    failure: Option<Error>,
}

impl<'a, 'o> Sending<'a, 'o> {
    fn new(
        target: Arc<dyn Target>,
        request: &'a BackupRequest,
        upon: Upon,
        offer: &Offer,
        observe: Observe<'o>,
    ) -> Self {
        Sending {
            target,
            request,
            upon,
            numbers: HashMap::new(),
            since: HashMap::new(),
            cursors: None,
            lsn: offer.lsn,
            base_lsn: offer.base_lsn,
            writer: None,
            owners: HashMap::new(),
            outline: OutlineBuilder::default(),
            done: 0,
            total: 0,
            observe,
            failure: None,
        }
    }

    /// Takes the rows of the first pass: they become the outlines at the head of the backup.
    fn take_rows(&mut self, frame: Frame) -> Result<(), TransferError> {
        let taken = match frame {
            Frame::Begin(begin) => self.begin(begin.store_id),
            Frame::Mailbox(batch) => self.add_rows(batch),
            Frame::LeftBehind(left) => Err(left_behind(&left)),
            Frame::Content(_) | Frame::End(_) | Frame::Base(_) => Ok(()),
        };
        self.keep(taken)
    }

    /// Takes the contents of the second pass.
    fn take_contents(&mut self, frame: Frame) -> Result<(), TransferError> {
        let taken = match frame {
            Frame::Content(run) => self.add_contents(&run),
            Frame::LeftBehind(left) => Err(left_behind(&left)),
            Frame::Begin(_) | Frame::Mailbox(_) | Frame::End(_) | Frame::Base(_) => Ok(()),
        };
        self.keep(taken)
    }

    /// Keeps our own error and ends the stream.
    fn keep(&mut self, taken: Result<(), Error>) -> Result<(), TransferError> {
        taken.map_err(|error| {
            self.failure = Some(error);
            TransferError::Aborted
        })
    }

    /// The error that counts: our own, if we ended the stream.
    fn judge(&mut self, sent: Result<(), TransferError>) -> Result<(), Error> {
        match (self.failure.take(), sent) {
            (Some(error), _) => Err(error),
            (None, Err(error)) => Err(Error::chain(error)),
            (None, Ok(())) => Ok(()),
        }
    }

    fn begin(&mut self, store_id: [u8; 16]) -> Result<(), Error> {
        let header = BackupHeader {
            kind: self.request.options.kind,
            store_id: StoreId(store_id),
            store_epoch: 0,
            lsn_begin: if self.request.catalog { self.base_lsn } else { self.lsn },
            lsn_end: self.lsn,
            wall_us: self.request.clock.wall_us(),
            software: concat!("rehome ", env!("CARGO_PKG_VERSION")).to_owned(),
            account: self.request.account.clone(),
        };
        let target = Arc::clone(&self.target);
        let (parity, catalog) = (self.request.options.parity, self.request.catalog);
        let encryption = self.request.encryption.clone();
        let options = WriterOptions { parity, catalog, encryption, ..WriterOptions::default() };
        let base = self.upon.reference();
        let writer = BackupWriter::begin_upon(target, header, base, options);
        let writer = self.writer.insert(writer.map_err(|error| match error {
            ArchiveError::MustEncrypt => Error::refused(error),
            error => Error::chain(error),
        })?);
        self.cursors.get_or_insert_with(|| Cursors::new(writer.set_id()));
        Ok(())
    }

    fn writer(&mut self) -> Result<&mut BackupWriter, Error> {
        let missing = || Error::needs_human("the source sent rows before it said who it is");
        self.writer.as_mut().ok_or_else(missing)
    }

    fn add_rows(&mut self, batch: IncomingMailbox) -> Result<(), Error> {
        if self.outline.name().is_some_and(|name| *name != batch.name) {
            self.put_outline()?;
        }
        self.outline.add(batch);
        Ok(())
    }

    /// Writes the outline that is complete, if there is one.
    fn put_outline(&mut self) -> Result<(), Error> {
        let builder = std::mem::take(&mut self.outline);
        let since = builder.name().and_then(|name| self.since.get(name).copied().flatten());
        let number = builder.name().and_then(|name| self.numbers.get(name).copied());
        let Some(outline) = builder.finish(since) else { return Ok(()) };
        if let (Some(cursors), Some(number)) = (&mut self.cursors, number) {
            let folders = outline.folders.iter().map(|one| (one.name.as_str(), one.uidnext));
            cursors.insert(&outline.name, number.0, outline.highest_modseq, folders);
        }
        if outline.changes.as_ref().is_some_and(|one| one.since == outline.highest_modseq) {
            return Ok(()); // The base shows it as it is.
        }
        self.note_contents(&outline)
    }

    /// Writes an outline, and notes which contents the backup is to hold for it.
    fn note_contents(&mut self, outline: &MailboxOutline) -> Result<(), Error> {
        let number = self.writer()?.outline(outline).map_err(Error::chain)?;
        for folder in &outline.folders {
            let shown = self.upon.shown_below(outline, &folder.name);
            for message in &folder.messages {
                if message.uid < shown {
                    self.writer()?.in_base(message.content).map_err(Error::chain)?;
                    continue;
                }
                let owners = self.owners.entry(ContentId(message.content.0)).or_default();
                if owners.last() != Some(&number) {
                    owners.push(number);
                }
            }
        }
        Ok(())
    }

    /// Forgets contents that the base holds for other messages: those of moved or copied ones.
    fn leave_out_what_the_base_has(&mut self) -> Result<(), Error> {
        let found = self.upon.found(self.owners.keys())?;
        for content in found {
            self.owners.remove(&content);
            let id = rehome_archive::ContentId(content.0);
            self.writer()?.in_base(id).map_err(Error::chain)?;
        }
        Ok(())
    }

    /// Adds a content as it is stored: one that is packed stays so.
    fn add_content(
        &mut self,
        id: rehome_archive::ContentId,
        owners: &[u32],
        stored: StoredContent<'_>,
    ) -> Result<(), Error> {
        let writer = self.writer()?;
        let size = usize::try_from(stored.size_bytes()).map_err(Error::needs_human)?;
        let added = match stored.zstd_frame() {
            Some(frame) => writer.compressed_content(id, owners, size, frame),
            None => writer.content(id, owners, &stored.bytes().map_err(Error::chain)?),
        };
        added.map_err(Error::chain)
    }

    fn add_contents(&mut self, run: &ContentRun) -> Result<(), Error> {
        for stored in run.contents() {
            let owners = self.owners.remove(&stored.content()).unwrap_or_default();
            if owners.is_empty() {
                continue;
            }
            let id = rehome_archive::ContentId(stored.content().0);
            self.done += stored.size_bytes();
            self.add_content(id, &owners, stored)?;
        }
        let (done, total) = (self.done, self.total);
        let progress = Event::Progress {
            what: "backing up".to_owned(),
            done,
            total,
            unit: "bytes".to_owned(),
        };
        match (self.observe)(progress) {
            Flow::Continue => Ok(()),
            Flow::Stop => Err(Error::stopped("the backup was asked to stop")),
        }
    }

    fn finish(mut self) -> Result<BackupReport, Error> {
        if let Some(directory) = &self.request.directory {
            let json = serde_json::to_vec(directory).map_err(Error::needs_human)?;
            self.writer()?.stream(DIRECTORY_STREAM, &mut json.as_slice()).map_err(Error::chain)?;
        }
        if let Some(cursors) = self.cursors.take() {
            self.writer()?.cursors(&cursors).map_err(Error::chain)?;
        }
        let missing = || Error::needs_human("the source has no mailbox to back up");
        let manifest = self.writer.take().ok_or_else(missing)?.finish().map_err(Error::chain)?;
        let totals = manifest.totals;
        Ok(BackupReport {
            id: manifest.backup_id.to_string(),
            kind: manifest.header.kind.word().to_owned(),
            base: manifest.base.as_ref().map(|base| base.backup_id.to_string()),
            lsn: manifest.header.lsn_end.to_u64(),
            mailboxes: totals.mailboxes,
            messages: totals.messages,
            contents: totals.contents,
            content_bytes: totals.content_bytes,
            stored_bytes: totals.stored_bytes,
            left_out: Vec::new(),
        })
    }
}

fn left_behind(left: &rehome_store::LeftBehind) -> Error {
    Error::needs_human(format!(
        "mailbox {} cannot be read whole: {}; check the store and repair it first",
        left.mailbox, left.reason
    ))
}

/// Reads a backup back; says what was read.
///
/// # Errors
///
/// [`Error::Differences`] with every damaged place; [`Error::BadInput`] for a deep check of what is
/// encrypted and not opened.
pub(crate) fn check_in(
    set: &Set,
    id: &str,
    deep: bool,
    observe: Observe<'_>,
) -> Result<String, Error> {
    let id: BackupId = id.parse().map_err(Error::bad_input)?;
    let level = if deep { CheckLevel::Deep } else { CheckLevel::Hashes };
    let report = set
        .check(id, level, &mut |progress| {
            // A check is short and changes nothing: it is not stopped half way.
            let _flow = observe(Event::Progress {
                what: "reading back".to_owned(),
                done: progress.done_bytes,
                total: progress.total_bytes,
                unit: "bytes".to_owned(),
            });
        })
        .map_err(unreadable)?;
    if report.is_whole() && report.absent == 0 {
        return Ok(format!(
            "{} records and {} contents read back, every hash right",
            report.records, report.contents
        ));
    }
    let damage: Vec<String> =
        report.damage.iter().chain(&report.healed).map(ToString::to_string).collect();
    if report.damage.is_empty() && report.absent == 0 {
        let message = format!(
            "backup {id} has damaged places and nothing is lost: parity brings them back; write \
             them anew with rehome archive check --repair: {}",
            damage.join("; ")
        );
        return Err(Error::Differences { message });
    }
    let fates: Vec<String> = report.mailboxes.iter().map(fate_line).collect();
    Err(Error::Differences {
        message: format!(
            "backup {id} is not whole: {} contents were never there; {}{}{}",
            report.absent,
            damage.join("; "),
            if fates.is_empty() { "" } else { "\n" },
            fates.join("\n")
        ),
    })
}
