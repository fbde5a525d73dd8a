//! Moving mailboxes, public folders and roles from server to server while users work.

use rehome_executor::{Flow, OperationError, Progress};
use rehome_server::DirectoryOp;
use rehome_site::Role;
use rehome_store::{MailboxName, MailboxState, MoveError, MoveEvent, MoveJob, bulk_move};

use super::World;
use super::checks::{folder_path, server_name};
use super::group::Tell;
use super::remember;
use super::trouble::{Done, done, failed, for_a_person, from_error, interrupted};
use crate::memory::Memory;
use crate::pause::pause_of;
use crate::site_file::PUBLIC_MAILBOX;
use crate::summary::LockTimes;

impl World<'_> {
    pub(super) fn move_mailboxes(
        &mut self,
        from: &str,
        to: &str,
        mailboxes: &[String],
        tell: Tell<'_>,
    ) -> Done {
        let names: Vec<MailboxName> = mailboxes
            .iter()
            .map(|name| MailboxName::try_from(name.as_str()))
            .collect::<Result<_, _>>()
            .map_err(|error| failed("move", error, "correct the site file"))?;
        let bounds = self.session.control.bounds.clone();
        let source = self.names.source(from).map_err(from_error)?;
        let mut source = source.with_bounds(bounds.clone());
        let mut target = self.names.target(to).map_err(from_error)?;
        // One directory decides for every mailbox of the move: the one of the server they leave.
        let mut directory = self.names.home_directory(from).map_err(from_error)?;
        let mut job = MoveJob::new(names, from, to);
        job.live = Some(bounds);
        job.pause = Some(pause_of(self.session, &self.work.shared()));
        let back = self.is_old(to);
        let memory = &mut self.memory;
        let mut unwritten = None;
        let report = bulk_move(
            &mut source,
            &mut target,
            &mut directory,
            &job,
            self.session.clock.as_ref(),
            &mut |event| {
                let locks = keep_locks(memory, &event, back);
                match (locks, pass(event, tell)) {
                    (Ok(()), flow) => flow,
                    (Err(error), _) => {
                        unwritten = Some(error);
                        rehome_store::Flow::Stop
                    }
                }
            },
        );
        if let Some(error) = unwritten {
            return Err(error);
        }
        let report = report.map_err(move_error)?;
        if let Some(left) = report.left_behind.first() {
            let cause = format!("{} stays at {from}: {}", left.mailbox, left.reason);
            return Err(for_a_person("move", cause, "repair the message at the source"));
        }
        self.replicate(from, to)?;
        let facts = self.memory.facts();
        let locks = if back { &facts.back_lock_ms } else { &facts.lock_ms };
        let locks = LockTimes::of(locks.values().copied().collect());
        let mut performed = done([format!(
            "{} mailboxes, {} messages, {} contents sent and {} shared; locked {:.1} ms at most",
            report.moved.len() + report.moved_before.len(),
            report.messages,
            report.contents_sent,
            report.contents_present,
            report.lock_ms.max
        )])?;
        let named = [("p50", locks.p50), ("p99", locks.p99), ("max", locks.max)];
        performed.figures =
            named.into_iter().map(|(name, ms)| (format!("lock_ms.{name}"), ms)).collect();
        Ok(performed)
    }

    /// Lets each of two servers have all directory changes of the other.
    pub(super) fn replicate(&mut self, from: &str, to: &str) -> Done {
        let mut carried = 0;
        for (sender, receiver) in [(from, to), (to, from)] {
            carried += self.names.replicate(sender, receiver).map_err(from_error)?;
        }
        // The sender hears from its partner how far it is, with the next question.
        self.names.replicate(from, to).map_err(from_error)?;
        done([format!("{carried} directory changes carried; each has all of the other's")])
    }

    pub(super) fn move_public_folders(&mut self, from: &str, to: &str, folders: &[String]) -> Done {
        for folder in folders {
            let (path, server) = (folder_path(folder)?, server_name(to)?);
            self.change(from, DirectoryOp::AddReplica { path, server })?;
        }
        if self.holds(from, PUBLIC_MAILBOX)? {
            self.move_mailboxes(from, to, &[PUBLIC_MAILBOX.to_owned()], &mut |_| Flow::Continue)?;
        }
        for folder in folders {
            let (path, to) = (folder_path(folder)?, server_name(to)?);
            self.change(from, DirectoryOp::SetFolderHome { path, to })?;
        }
        self.replicate(from, to)?;
        done([format!("{} public folders have their home at {to}", folders.len())])
    }

    pub(super) fn move_roles(&mut self, from: &str, to: &str, roles: &[String]) -> Done {
        for word in roles {
            let role = Role::from_word(word)
                .ok_or_else(|| for_a_person("roles", format!("no role {word}"), "correct it"))?;
            let (holder, next) = (server_name(from)?, server_name(to)?);
            self.change(from, DirectoryOp::SetRole { role, from: holder, to: next })?;
        }
        self.replicate(from, to)?;
        done([format!("{} roles handed over to {to}", roles.len())])
    }

    /// Changes the directory of a server, durably.
    fn change(&mut self, server: &str, op: DirectoryOp) -> Result<(), OperationError> {
        self.names.change(server, op).map_err(from_error)
    }

    /// The mailboxes of a list that a server does not take writes for.
    pub(super) fn not_active(
        &mut self,
        server: &str,
        mailboxes: &[String],
    ) -> Result<Vec<String>, OperationError> {
        let states = self.names.states(server).map_err(from_error)?;
        let active = |name: &String| states.get(name) == Some(&MailboxState::Active);
        Ok(mailboxes.iter().filter(|name| !active(name)).cloned().collect())
    }

    fn holds(&mut self, server: &str, mailbox: &str) -> Result<bool, OperationError> {
        Ok(self.names.states(server).map_err(from_error)?.contains_key(mailbox))
    }
}

/// Keeps for how long each mailbox was locked, so that a later run can tell.
fn keep_locks(memory: &mut Memory, event: &MoveEvent, back: bool) -> Result<(), OperationError> {
    let MoveEvent::Released { mailbox, lock_ms } = event else { return Ok(()) };
    let (name, lock_ms) = (mailbox.to_string(), *lock_ms);
    remember(memory, |facts| {
        let locks = if back { &mut facts.back_lock_ms } else { &mut facts.lock_ms };
        locks.insert(name, lock_ms);
    })
}

/// Passes on how far the move is.
fn pass(event: MoveEvent, tell: Tell<'_>) -> rehome_store::Flow {
    let progress = |what: String, done, total, unit: &str| {
        let unit = unit.to_owned();
        Progress { what, done, total, unit }
    };
    let progress = match event {
        MoveEvent::Progress { bytes_done, bytes_total, .. } => {
            progress("moving".to_owned(), bytes_done, bytes_total, "bytes")
        }
        MoveEvent::Paused { reason } => progress(format!("resting, {reason}"), 0, 0, ""),
        _ => return rehome_store::Flow::Continue,
    };
    match tell(progress) {
        Flow::Continue => rehome_store::Flow::Continue,
        Flow::Stop => rehome_store::Flow::Stop,
    }
}

fn move_error(error: MoveError) -> OperationError {
    match error {
        MoveError::Stopped => interrupted(),
        MoveError::Conflict { .. } => for_a_person(
            "move",
            error,
            "do not move it again; compare both stores with the directory (KB Q252869)",
        ),
        other => {
            let text = crate::error::Error::chain(&other).to_string();
            failed("move", text, "run the same command again; it goes on from here")
        }
    }
}
