//! Carries one offer from source to target: the source reads while the target writes.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::end::OFFERED_ROWS_MAX;
use super::error::{MoveError, TransferError};
use super::job::{MoveJob, Mover};
use super::pause::PauseWhen;
use super::report::MoveEvent;
use super::{MoveTarget, Offer};
use crate::Flow;
use crate::throttle::Throttle;
use crate::transfer::{End, Frame, LeftBehind};

/// Frames on their way; with runs of 4 MiB this is the memory between the two sides.
const FRAMES_AHEAD: usize = 4;

/// An offer below this is carried without a second thread, in bytes.
const SMALL_BYTES: u64 = 1 << 20;

/// So long it is waited at most, before it is looked whether the rate has changed.
const HELD_UP_MAX: Duration = Duration::from_millis(200);

/// What has been carried since the job began.
#[derive(Debug, Default)]
pub(super) struct Totals {
    /// Mailboxes that the job has to move.
    pub(super) mailboxes: usize,
    /// Content bytes of all wanted contents offered so far.
    pub(super) bytes_wanted: u64,
    /// Message bytes of parts that have not been offered yet.
    pub(super) bytes_unseen: u64,
    /// Message bytes of the part under way that may not have been offered yet.
    pub(super) bytes_unseen_of_part: u64,
}

impl Totals {
    /// Takes an offer out of what has not been offered yet.
    pub(super) fn see(&mut self, offer: &Offer) {
        let left = self.bytes_unseen_of_part.saturating_sub(offer.bytes);
        self.bytes_unseen_of_part = if offer.rows < OFFERED_ROWS_MAX { 0 } else { left };
    }

    /// Bytes of the job, as far as is known.
    fn bytes_total(&self) -> u64 {
        self.bytes_wanted + self.bytes_unseen_of_part + self.bytes_unseen
    }
}

/// Why a carry ended early.
enum Broken {
    Target(TransferError),
    Stopped,
    Paused,
}

impl Mover<'_> {
    /// Carries everything that `offer` has and the target lacks; durable when it returns.
    /// Returns the mailboxes that the source left out, or nothing if it was broken off because the
    /// job must rest. Round 0 is inside a lock and never broken off.
    pub(super) fn carry(
        &mut self,
        offer: &Offer,
        round: u32,
    ) -> Result<Option<Vec<LeftBehind>>, MoveError> {
        let wanted = self.wanted(offer)?;
        let chosen = || offer.contents.iter().zip(&wanted).filter(|(_, wanted)| **wanted);
        let contents = chosen().count() as u64;
        let bytes: u64 = chosen().map(|((_, extent), _)| u64::from(extent.len)).sum();
        self.tell(MoveEvent::Offered {
            round,
            mailboxes: offer.mailboxes.len(),
            rows: offer.rows,
            contents,
            bytes,
        })?;
        self.totals.bytes_wanted += bytes;
        let left = self.stream(offer, &wanted, bytes, round == 0);
        if !matches!(left, Ok(Some(_))) {
            self.target.discard();
        }
        let Some(left) = left? else {
            // The next round wants again what did not arrive.
            self.totals.bytes_wanted = self.report.bytes_sent;
            return Ok(None);
        };
        self.report.contents_sent += contents;
        self.report.contents_present += offer.contents.len() as u64 - contents;
        let flushed = self.target.flush();
        flushed.map_err(|error| self.target_failed("making a round durable", error))?;
        Ok(Some(left))
    }

    /// Lets the source send and the target receive.
    fn stream(
        &mut self,
        offer: &Offer,
        wanted: &[bool],
        bytes: u64,
        locked: bool,
    ) -> Result<Option<Vec<LeftBehind>>, MoveError> {
        let source = &mut *self.source;
        let mut receiver = Receiver {
            target: &mut *self.target,
            observe: &mut *self.observe,
            report: &mut self.report,
            totals: &self.totals,
            job: self.job,
            throttle: (!locked).then(Throttle::default),
            locked,
            counts: End::default(),
            complete: false,
            left: Vec::new(),
        };
        let (sent, received) = if bytes + 256 * offer.rows < SMALL_BYTES {
            let mut broken = Ok(());
            let sent = source.send(offer, wanted, &mut |frame| {
                broken = receiver.take(frame);
                if broken.is_ok() { Ok(()) } else { Err(TransferError::Aborted) }
            });
            (sent, broken)
        } else {
            thread::scope(|scope| {
                let (frames, arriving) = mpsc::sync_channel::<Frame>(FRAMES_AHEAD);
                let sender = scope.spawn(move || {
                    let mut put = |frame| frames.send(frame).map_err(|_| TransferError::Aborted);
                    source.send(offer, wanted, &mut put)
                });
                let received = arriving.iter().try_for_each(|frame| receiver.take(frame));
                drop(arriving);
                let sent = sender.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
                (sent, received)
            })
        };
        let (complete, left) = (receiver.complete, receiver.left);
        match received {
            Err(Broken::Stopped) => return Err(MoveError::Stopped),
            Err(Broken::Paused) => return Ok(None),
            Err(Broken::Target(error)) => return Err(self.target_failed("receiving", error)),
            Ok(()) => {}
        }
        sent.map_err(|error| self.source_failed("sending", error))?;
        if !complete {
            return Err(self.source_failed("sending", TransferError::Aborted));
        }
        Ok(Some(left))
    }
}

/// Takes frames on behalf of the target and keeps the counts.
struct Receiver<'a> {
    target: &'a mut dyn MoveTarget,
    observe: &'a mut dyn FnMut(MoveEvent) -> Flow,
    report: &'a mut super::MoveReport,
    totals: &'a Totals,
    job: &'a MoveJob,
    /// Whether a mailbox is locked meanwhile: nothing rests and nothing is held up then.
    locked: bool,
    throttle: Option<Throttle>,
    counts: End,
    complete: bool,
    left: Vec<LeftBehind>,
}

impl Receiver<'_> {
    fn take(&mut self, frame: Frame) -> Result<(), Broken> {
        if self.must_rest() {
            return Err(Broken::Paused);
        }
        let before = self.counts;
        self.counts.count(&frame);
        match &frame {
            Frame::LeftBehind(left) => self.left.push(left.clone()),
            Frame::End(end) => self.complete = *end == self.counts,
            Frame::Begin(_) | Frame::Content(_) | Frame::Mailbox(_) | Frame::Base(_) => {}
        }
        self.target.receive(frame).map_err(Broken::Target)?;
        let bytes = self.counts.content_bytes - before.content_bytes;
        let rows = self.counts.rows - before.rows;
        self.report.bytes_sent += bytes;
        self.report.rows_sent += rows;
        if bytes + rows == 0 {
            return Ok(());
        }
        self.tell_progress()?;
        self.hold_up(bytes)
    }

    fn must_rest(&self) -> bool {
        !self.locked && self.job.pause.as_ref().is_some_and(PauseWhen::holds)
    }

    /// Waits as long as the rate asks for, which may change meanwhile. A wish to rest or to stop is
    /// not kept waiting for it.
    fn hold_up(&mut self, bytes: u64) -> Result<(), Broken> {
        let Some(mut throttle) = self.throttle.take() else { return Ok(()) };
        throttle.count(bytes);
        loop {
            let left = throttle.left(self.job.rate());
            if left.is_zero() || self.must_rest() {
                self.throttle = Some(throttle);
                return Ok(());
            }
            thread::sleep(left.min(HELD_UP_MAX));
            self.tell_progress()?;
        }
    }

    fn tell_progress(&mut self) -> Result<(), Broken> {
        let event = MoveEvent::Progress {
            bytes_done: self.report.bytes_sent,
            bytes_total: self.totals.bytes_total(),
            rows_done: self.report.rows_sent,
            mailboxes_done: self.report.moved.len(),
            mailboxes_total: self.totals.mailboxes,
        };
        match (self.observe)(event) {
            Flow::Continue => Ok(()),
            Flow::Stop => Err(Broken::Stopped),
        }
    }
}
