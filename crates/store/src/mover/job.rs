//! The job as a whole: what moves, in which parts, and how far a part is carried before cutover.

use rehome_log::Clock;

use super::bounds::LiveBounds;
use super::carry::Totals;
use super::end::OFFERED_ROWS_MAX;
use super::error::{MoveError, TransferError};
use super::pause::PauseWhen;
use super::report::{LockTimes, MoveEvent, MoveReport};
use super::{HomeDirectory, MoveSource, MoveTarget, Offer};
use crate::{ContentId, Flow, MailboxInfo, MailboxName, Modseq};

/// What is to be moved, and within which bounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MoveJob {
    /// The mailboxes, cut over in this order.
    pub mailboxes: Vec<MailboxName>,
    /// The server that they leave, as the directory names it.
    pub from: String,
    /// The server that they come to, as the directory names it.
    pub to: String,
    /// A round with no more changes than this is short: cutover follows.
    pub delta_rows_max: u64,
    /// So many rounds at most before a cutover is tried.
    pub rounds_max: u32,
    /// More changes than this under the fence back the cutover out.
    pub lock_rows_max: u64,
    /// A fence older than this before the decision backs the cutover out, in milliseconds.
    pub lock_ms_max: u64,
    /// So many cutovers at most of one mailbox before it is left behind.
    pub cutovers_max: u32,
    /// Mailboxes are carried together until they have so many messages; this bounds memory.
    pub part_messages_max: u64,
    /// Contents are sent no faster than this, in bytes a second; what is sent in a lock is not held
    /// up.
    pub bytes_per_second_max: Option<u64>,
    /// The same, where it can change while the job runs; it counts in place of the other.
    pub live: Option<LiveBounds>,
    /// When nothing is to be carried; a cutover that has begun is brought to its end.
    pub pause: Option<PauseWhen>,
}

impl MoveJob {
    /// A job with the bounds that suit a site whose users are at work.
    #[must_use]
    pub fn new(
        mailboxes: Vec<MailboxName>,
        from: impl Into<String>,
        to: impl Into<String>,
    ) -> Self {
        Self {
            mailboxes,
            from: from.into(),
            to: to.into(),
            delta_rows_max: 16,
            rounds_max: 8,
            lock_rows_max: 1024,
            lock_ms_max: 1000,
            cutovers_max: 5,
            part_messages_max: 250_000,
            bytes_per_second_max: None,
            live: None,
            pause: None,
        }
    }

    /// The bound on the rate now.
    pub(super) fn rate(&self) -> Option<u64> {
        let live = self.live.as_ref();
        live.map_or(self.bytes_per_second_max, LiveBounds::bytes_per_second_max)
    }
}

/// Moves mailboxes to another store while their users work.
///
/// The contents that the target lacks are sent once, in the order of the source's disk; rows
/// follow, then what changed meanwhile, round after round. Then each mailbox is fenced at the
/// source, its last changes are made durable at the target, the directory names the target as its
/// home (that is the decision), the target takes writes, and the source notes where it went. The
/// source keeps its copy.
///
/// The call can be ended anywhere, by a kill or by `observe` returning [`Flow::Stop`]: the same
/// call goes on. It first brings half-done cutovers to the end that the directory names. Nothing
/// that the target has durably is sent again, and mailboxes that have moved are skipped.
///
/// A mailbox with a message that the source cannot read is left behind and named in the report.
///
/// # Errors
///
/// [`MoveError::Stopped`] if the observer said so; one of the three sides' errors, with what was
/// being done; [`MoveError::Conflict`] if stores and directory contradict each other.
pub fn bulk_move(
    source: &mut dyn MoveSource,
    target: &mut dyn MoveTarget,
    directory: &mut dyn HomeDirectory,
    job: &MoveJob,
    clock: &dyn Clock,
    observe: &mut dyn FnMut(MoveEvent) -> Flow,
) -> Result<MoveReport, MoveError> {
    let begun_ms = clock.monotonic_ms();
    let mut mover = Mover {
        source,
        target,
        directory,
        job,
        observe,
        report: MoveReport::default(),
        totals: Totals::default(),
    };
    mover.target.discard();
    mover.run()?;
    let mut report = mover.report;
    report.seconds = clock.monotonic_ms().saturating_sub(begun_ms) as f64 / 1000.0;
    report.lock_ms = LockTimes::of(&report.moved);
    Ok(report)
}

/// A job being carried out.
pub(super) struct Mover<'a> {
    pub(super) source: &'a mut dyn MoveSource,
    pub(super) target: &'a mut dyn MoveTarget,
    pub(super) directory: &'a mut dyn HomeDirectory,
    pub(super) job: &'a MoveJob,
    pub(super) observe: &'a mut dyn FnMut(MoveEvent) -> Flow,
    pub(super) report: MoveReport,
    pub(super) totals: Totals,
}

impl Mover<'_> {
    fn run(&mut self) -> Result<(), MoveError> {
        let mut pending = Vec::new();
        for mailbox in &self.job.mailboxes {
            pending.extend(self.resolve(mailbox)?);
        }
        self.totals.mailboxes = pending.len();
        self.totals.bytes_unseen = pending.iter().map(|info| info.bytes).sum();
        for part in parts(pending, self.job.part_messages_max) {
            self.totals.bytes_unseen_of_part = part.iter().map(|info| info.bytes).sum();
            self.totals.bytes_unseen -= self.totals.bytes_unseen_of_part;
            let mut names: Vec<MailboxName> = part.into_iter().map(|info| info.name).collect();
            let rounds = self.carry_rounds(&mut names)?;
            for name in &names {
                self.cut_over(name, rounds)?;
            }
        }
        Ok(())
    }

    /// Carries mailboxes until a round is short; takes those out that must be left behind.
    pub(super) fn carry_rounds(&mut self, names: &mut Vec<MailboxName>) -> Result<u32, MoveError> {
        // Those that are bounded by what is there, and not by an offer's size.
        let (mut rounds, mut whole) = (0, 0);
        while whole < self.job.rounds_max && !names.is_empty() {
            self.rest()?;
            let offer = self.offer(names)?;
            self.totals.see(&offer);
            let begun = offer.mailboxes.iter().all(|(_, cursor)| cursor.is_some());
            if begun && offer.rows <= self.job.delta_rows_max {
                break;
            }
            // What has arrived when a carry is broken off for a pause is not sent again.
            let Some(left) = self.carry(&offer, rounds + 1)? else { continue };
            rounds += 1;
            whole += u32::from(offer.rows < OFFERED_ROWS_MAX);
            for left in left {
                names.retain(|name| *name != left.mailbox);
                self.leave_behind(left)?;
            }
        }
        Ok(rounds)
    }

    /// Compares source and target.
    pub(super) fn offer(&mut self, names: &[MailboxName]) -> Result<Offer, MoveError> {
        let mut since: Vec<(MailboxName, Option<Modseq>)> = Vec::with_capacity(names.len());
        for name in names {
            let cursor = self.target.cursor(name);
            let cursor =
                cursor.map_err(|error| self.target_failed("asked how far it is", error))?;
            since.push((name.clone(), cursor));
        }
        let offer = self.source.offer(&since);
        offer.map_err(|error| self.source_failed("listing changes", error))
    }

    /// Asks the target which contents of an offer it lacks.
    pub(super) fn wanted(&mut self, offer: &Offer) -> Result<Vec<bool>, MoveError> {
        const ASK_MAX: usize = 8192;
        let mut wanted = Vec::with_capacity(offer.contents.len());
        for chunk in offer.contents.chunks(ASK_MAX) {
            let ids: Vec<ContentId> = chunk.iter().map(|(id, _)| *id).collect();
            let missing = self.target.missing(&ids);
            let missing =
                missing.map_err(|error| self.target_failed("asked what it lacks", error))?;
            wanted.extend(missing);
        }
        Ok(wanted)
    }

    /// Tells the observer; its wish to stop is an error.
    pub(super) fn tell(&mut self, event: MoveEvent) -> Result<(), MoveError> {
        match (self.observe)(event) {
            Flow::Continue => Ok(()),
            Flow::Stop => Err(MoveError::Stopped),
        }
    }

    pub(super) fn leave_behind(
        &mut self,
        left: crate::transfer::LeftBehind,
    ) -> Result<(), MoveError> {
        self.report.left_behind.push(left.clone());
        self.tell(MoveEvent::LeftBehind(left))
    }

    pub(super) fn source_failed(&self, doing: &str, source: TransferError) -> MoveError {
        let (server, source) = (self.job.from.clone(), Box::new(source));
        MoveError::Source { server, doing: doing.to_owned(), source }
    }

    pub(super) fn target_failed(&self, doing: &str, source: TransferError) -> MoveError {
        let (server, source) = (self.job.to.clone(), Box::new(source));
        MoveError::Target { server, doing: doing.to_owned(), source }
    }
}

/// Splits mailboxes, in their order, so that each part has at most so many messages, or is one
/// mailbox.
fn parts(mailboxes: Vec<MailboxInfo>, messages_max: u64) -> Vec<Vec<MailboxInfo>> {
    let mut parts: Vec<Vec<MailboxInfo>> = Vec::new();
    let mut messages = 0;
    for info in mailboxes {
        messages += info.messages;
        match parts.last_mut() {
            Some(part) if messages <= messages_max => part.push(info),
            _ => {
                messages = info.messages;
                parts.push(vec![info]);
            }
        }
    }
    parts
}
