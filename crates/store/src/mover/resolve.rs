//! What an earlier run left half done: the directory says to which side it is brought.

use super::error::MoveError;
use super::job::Mover;
use super::report::MoveEvent;
use crate::transfer::LeftBehind;
use crate::{MailboxInfo, MailboxName, MailboxState};

impl Mover<'_> {
    /// Brings a mailbox to one side; returns it if it is still to be moved.
    pub(super) fn resolve(
        &mut self,
        mailbox: &MailboxName,
    ) -> Result<Option<MailboxInfo>, MoveError> {
        let home = self.directory.home(mailbox);
        let home = home.map_err(|source| {
            let doing = format!("asked for the home of mailbox \"{mailbox}\"");
            MoveError::Directory { doing, source: Box::new(source) }
        })?;
        let at_source = self.source.info(mailbox);
        let at_source = at_source.map_err(|error| self.source_failed("asked for it", error))?;
        let at_target = self.target.info(mailbox);
        let at_target = at_target.map_err(|error| self.target_failed("asked for it", error))?;
        if home.eq_ignore_ascii_case(&self.job.to) {
            self.finish(mailbox, at_source.as_ref(), at_target.as_ref())?;
            self.report.moved_before.push(mailbox.clone());
            Ok(None)
        } else if home.eq_ignore_ascii_case(&self.job.from) {
            self.begin_again(mailbox, at_source, at_target.as_ref())
        } else {
            let what = format!(
                "its home is {home}, neither {} nor {}; plan again",
                self.job.from, self.job.to
            );
            Err(MoveError::Conflict { mailbox: mailbox.clone(), what })
        }
    }

    /// The home is the source: a fence goes away, and the target's copy is one being received.
    fn begin_again(
        &mut self,
        mailbox: &MailboxName,
        at_source: Option<MailboxInfo>,
        at_target: Option<&MailboxInfo>,
    ) -> Result<Option<MailboxInfo>, MoveError> {
        let Some(info) = at_source else {
            let reason = format!("{} has no such mailbox", self.job.from);
            let mailbox = mailbox.clone();
            self.leave_behind(LeftBehind { mailbox, content: None, reason })?;
            return Ok(None);
        };
        match at_target.map(|info| &info.state) {
            None | Some(MailboxState::Incoming | MailboxState::Moved { .. }) => {}
            Some(state) => return Err(self.conflict(mailbox, &self.job.to, state, &self.job.from)),
        }
        match &info.state {
            MailboxState::Active => {}
            MailboxState::Fenced { .. } => {
                let active = self.source.set_state(mailbox, &MailboxState::Active);
                active.map_err(|error| self.source_failed("taking a fence away", error))?;
                let home = self.job.from.clone();
                self.tell(MoveEvent::Resolved { mailbox: mailbox.clone(), home })?;
            }
            state => {
                return Err(self.conflict(mailbox, &self.job.from, state, &self.job.from));
            }
        }
        if let Some(MailboxState::Moved { .. }) = at_target.map(|info| &info.state) {
            let incoming = self.target.set_state(mailbox, &MailboxState::Incoming);
            incoming.map_err(|error| self.target_failed("taking a mailbox back", error))?;
        }
        Ok(Some(info))
    }

    /// The home is the target: it takes writes and the source forwards.
    fn finish(
        &mut self,
        mailbox: &MailboxName,
        at_source: Option<&MailboxInfo>,
        at_target: Option<&MailboxInfo>,
    ) -> Result<(), MoveError> {
        use MailboxState::{Active, Fenced, Incoming, Moved};
        let Some(target) = at_target else {
            let what = format!(
                "the directory names {} as its home, which has no such mailbox; \
                 set the home back to the server that has it",
                self.job.to
            );
            return Err(MoveError::Conflict { mailbox: mailbox.clone(), what });
        };
        match (at_source.map(|info| &info.state), &target.state) {
            (Some(Active | Fenced { .. }), Incoming) => self.finish_with_last_delta(mailbox)?,
            (Some(Moved { .. }), Incoming) => self.release(mailbox)?,
            (Some(Fenced { .. }), Active | Fenced { .. } | Moved { .. }) => {
                self.mark_moved(mailbox)?;
            }
            (None | Some(Moved { .. }), Active | Fenced { .. } | Moved { .. }) => return Ok(()),
            (_, state) => return Err(self.conflict(mailbox, &self.job.to, state, &self.job.to)),
        }
        let home = self.job.to.clone();
        self.tell(MoveEvent::Resolved { mailbox: mailbox.clone(), home })
    }

    /// The decision was durable and its answer was lost. The fence is set again in case that the
    /// source took writes since, and what it took follows.
    fn finish_with_last_delta(&mut self, mailbox: &MailboxName) -> Result<(), MoveError> {
        let state = MailboxState::Fenced { to: self.job.to.clone() };
        let fenced = self.source.set_state(mailbox, &state);
        fenced.map_err(|error| self.source_failed("fencing a mailbox", error))?;
        while !self.is_level(mailbox)? {
            let offer = self.offer(std::slice::from_ref(mailbox))?;
            if let Some(left) = self.carry(&offer, 0)?.and_then(|mut left| left.pop()) {
                let what = format!(
                    "the directory names {} as its home, and {} cannot give its last changes: {}; \
                     repair that message from a backup",
                    self.job.to, self.job.from, left.reason
                );
                return Err(MoveError::Conflict { mailbox: mailbox.clone(), what });
            }
        }
        self.release(mailbox)?;
        self.mark_moved(mailbox)
    }

    fn release(&mut self, mailbox: &MailboxName) -> Result<(), MoveError> {
        let released = self.target.set_state(mailbox, &MailboxState::Active);
        released.map_err(|error| self.target_failed("releasing a mailbox", error))
    }

    fn conflict(
        &self,
        mailbox: &MailboxName,
        server: &str,
        state: &MailboxState,
        home: &str,
    ) -> MoveError {
        let what = format!(
            "the directory names {home} as its home, and {server} holds it as {state}; \
             find out which copy has the newer mail before you change either"
        );
        MoveError::Conflict { mailbox: mailbox.clone(), what }
    }
}
