//! The cutover of one mailbox: fence, last delta, decision, release, forwarding mark.

use std::time::Instant;

use super::error::{MoveError, TransferError};
use super::job::Mover;
use super::report::{MailboxMoved, MoveEvent};
use crate::transfer::LeftBehind;
use crate::{MailboxName, MailboxState};

/// How an attempt ended that did not fail.
enum Attempt {
    /// The target has the mailbox; it was locked for so many milliseconds.
    Moved(f64),
    /// The source has it still, for this reason.
    BackedOut(String),
    /// The source has it still and will keep it.
    Left(LeftBehind),
}

impl Mover<'_> {
    /// Changes the home of one mailbox, with as many attempts as the job allows.
    pub(super) fn cut_over(
        &mut self,
        mailbox: &MailboxName,
        rounds_before: u32,
    ) -> Result<(), MoveError> {
        let mut rounds = rounds_before;
        let mut reason = String::new();
        for _ in 0..self.job.cutovers_max {
            let mut names = vec![mailbox.clone()];
            rounds += self.carry_rounds(&mut names)? + 1;
            if names.is_empty() {
                return Ok(());
            }
            match self.attempt(mailbox)? {
                Attempt::Moved(lock_ms) => return self.note_moved(mailbox, rounds, lock_ms),
                Attempt::Left(left) => return self.leave_behind(left),
                Attempt::BackedOut(why) => {
                    self.report.backed_out += 1;
                    reason.clone_from(&why);
                    let mailbox = mailbox.clone();
                    self.tell(MoveEvent::BackedOut { mailbox, reason: why })?;
                }
            }
        }
        let reason = format!("{} cutovers were backed out: {reason}", self.job.cutovers_max);
        self.leave_behind(LeftBehind { mailbox: mailbox.clone(), content: None, reason })
    }

    /// Tries the five steps once.
    fn attempt(&mut self, mailbox: &MailboxName) -> Result<Attempt, MoveError> {
        let fenced_at = Instant::now();
        let ready = self.fence_and_deliver(mailbox, fenced_at);
        if !matches!(ready, Ok(None)) {
            self.unfence(mailbox, ready.is_err())?;
            return ready.map(|backed| backed.unwrap_or(Attempt::Moved(0.0)));
        }
        self.decide(mailbox)?;
        // From here on the observer cannot stop half way: the mailbox would have no owner.
        let mut wish = self.tell(MoveEvent::Decided { mailbox: mailbox.clone() });
        let released = self.target.set_state(mailbox, &MailboxState::Active);
        released.map_err(|error| self.target_failed("releasing a mailbox", error))?;
        let lock_ms = fenced_at.elapsed().as_secs_f64() * 1000.0;
        let event = MoveEvent::Released { mailbox: mailbox.clone(), lock_ms };
        wish = wish.and(self.tell(event));
        self.mark_moved(mailbox)?;
        wish.map(|()| Attempt::Moved(lock_ms))
    }

    /// Steps 1 and 2. `None` if the decision may follow.
    fn fence_and_deliver(
        &mut self,
        mailbox: &MailboxName,
        fenced_at: Instant,
    ) -> Result<Option<Attempt>, MoveError> {
        let state = MailboxState::Fenced { to: self.job.to.clone() };
        let fenced = self.source.set_state(mailbox, &state);
        fenced.map_err(|error| self.source_failed("fencing a mailbox", error))?;
        self.tell(MoveEvent::Fenced { mailbox: mailbox.clone() })?;
        if !self.is_level(mailbox)? {
            let offer = self.offer(std::slice::from_ref(mailbox))?;
            if offer.rows > self.job.lock_rows_max {
                let (rows, most) = (offer.rows, self.job.lock_rows_max);
                let reason =
                    format!("{rows} changes were left for the lock, at most {most} allowed");
                return Ok(Some(Attempt::BackedOut(reason)));
            }
            if let Some(left) = self.carry(&offer, 0)?.and_then(|mut left| left.pop()) {
                return Ok(Some(Attempt::Left(left)));
            }
            if !self.is_level(mailbox)? {
                let reason = "more changes were left for the lock than one offer has";
                return Ok(Some(Attempt::BackedOut(reason.to_owned())));
            }
        }
        self.tell(MoveEvent::Delivered { mailbox: mailbox.clone() })?;
        let waited_ms = u64::try_from(fenced_at.elapsed().as_millis()).unwrap_or(u64::MAX);
        if waited_ms > self.job.lock_ms_max {
            let most = self.job.lock_ms_max;
            let reason = format!("locked for {waited_ms} ms, at most {most} allowed");
            return Ok(Some(Attempt::BackedOut(reason)));
        }
        Ok(None)
    }

    /// Whether the target has durably all that the fenced source has. Each change of a mailbox has
    /// a modseq of its own, so that the last one tells.
    pub(super) fn is_level(&mut self, mailbox: &MailboxName) -> Result<bool, MoveError> {
        let info = self.source.info(mailbox);
        let info = info.map_err(|error| self.source_failed("asked for its last change", error))?;
        let cursor = self.target.cursor(mailbox);
        let cursor = cursor.map_err(|error| self.target_failed("asked how far it is", error))?;
        Ok(cursor.is_some() && cursor == info.map(|info| info.highest_modseq))
    }

    /// Gives the mailbox back to the source. If that fails on the way out of another failure, the
    /// first one is told and the next run gives it back.
    fn unfence(&mut self, mailbox: &MailboxName, failing: bool) -> Result<(), MoveError> {
        let active = self.source.set_state(mailbox, &MailboxState::Active);
        match active {
            Err(_) if failing => Ok(()),
            active => active.map_err(|error| self.source_failed("taking a fence away", error)),
        }
    }

    /// Step 3. If the directory says that it has not happened, the source gets the mailbox back;
    /// if nobody knows, the fence stays until the directory has been asked again.
    fn decide(&mut self, mailbox: &MailboxName) -> Result<(), MoveError> {
        let decided = self.directory.set_home(mailbox, &self.job.from, &self.job.to);
        let Err(error) = decided else { return Ok(()) };
        if matches!(error, TransferError::HomeConflict { .. }) {
            self.unfence(mailbox, true)?;
        }
        let doing = format!("changing the home of mailbox \"{mailbox}\"");
        Err(MoveError::Directory { doing, source: Box::new(error) })
    }

    /// Step 5.
    pub(super) fn mark_moved(&mut self, mailbox: &MailboxName) -> Result<(), MoveError> {
        let state = MailboxState::Moved { to: self.job.to.clone() };
        let marked = self.source.set_state(mailbox, &state);
        marked.map_err(|error| self.source_failed("marking a mailbox as moved", error))
    }

    fn note_moved(
        &mut self,
        mailbox: &MailboxName,
        rounds: u32,
        lock_ms: f64,
    ) -> Result<(), MoveError> {
        let info = self.source.info(mailbox);
        let info = info.map_err(|error| self.source_failed("counting messages", error))?;
        let (messages, bytes) = info.map_or((0, 0), |info| (info.messages, info.bytes));
        self.report.messages += messages;
        self.report.bytes += bytes;
        let mailbox = mailbox.clone();
        self.report.moved.push(MailboxMoved { mailbox, messages, bytes, rounds, lock_ms });
        Ok(())
    }
}
