//! What a move tells while it runs and when it is done.

use serde::{Deserialize, Serialize};

use crate::MailboxName;
use crate::transfer::LeftBehind;

/// Something a move has done.
#[derive(Debug, Clone, PartialEq)]
pub enum MoveEvent {
    /// A round has compared the two sides and knows what it will send.
    Offered {
        /// Counts from 1 in each part of the job.
        round: u32,
        /// Mailboxes in this part.
        mailboxes: usize,
        /// Changes of messages and folders.
        rows: u64,
        /// Contents that the target lacks.
        contents: u64,
        /// Their bytes.
        bytes: u64,
    },
    /// Some of it has arrived.
    Progress {
        /// Content bytes sent since the job began.
        bytes_done: u64,
        /// Content bytes known to be needed, so far.
        bytes_total: u64,
        /// Rows sent since the job began.
        rows_done: u64,
        /// Mailboxes whose home has changed since the job began.
        mailboxes_done: usize,
        /// Mailboxes that the job has to move.
        mailboxes_total: usize,
    },
    /// Nothing is carried as long as this holds; told again and again meanwhile.
    Paused {
        /// Why.
        reason: String,
    },
    /// The move goes on after a pause.
    Resumed,
    /// The source refuses writes to a mailbox from now on.
    Fenced {
        /// The mailbox.
        mailbox: MailboxName,
    },
    /// The last changes of a mailbox are durable at the target.
    Delivered {
        /// The mailbox.
        mailbox: MailboxName,
    },
    /// The directory names the target as home: there is no way back but another move.
    Decided {
        /// The mailbox.
        mailbox: MailboxName,
    },
    /// The target takes writes to a mailbox.
    Released {
        /// The mailbox.
        mailbox: MailboxName,
        /// How long nobody took writes, in milliseconds.
        lock_ms: f64,
    },
    /// Too much had changed; the source takes writes again and another round follows.
    BackedOut {
        /// The mailbox.
        mailbox: MailboxName,
        /// Why.
        reason: String,
    },
    /// A mailbox stays where it is, because something of it cannot be read.
    LeftBehind(LeftBehind),
    /// A cutover that an earlier run had begun was brought to an end.
    Resolved {
        /// The mailbox.
        mailbox: MailboxName,
        /// Its home.
        home: String,
    },
}

/// One mailbox that this run has moved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MailboxMoved {
    /// Its name.
    pub mailbox: MailboxName,
    /// Messages in all folders.
    pub messages: u64,
    /// Their bytes, a content counted for each message that has it.
    pub bytes: u64,
    /// Rounds that carried something of it, the last one under the fence included.
    pub rounds: u32,
    /// How long nobody took writes for it, in milliseconds.
    pub lock_ms: f64,
}

/// How long mailboxes were locked, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct LockTimes {
    /// Half of them for no longer than this.
    pub p50: f64,
    /// All but one in a hundred for no longer than this.
    pub p99: f64,
    /// The longest.
    pub max: f64,
}

impl LockTimes {
    /// Sums up lock times; all zero if there are none.
    pub(super) fn of(moved: &[MailboxMoved]) -> Self {
        let mut times: Vec<f64> = moved.iter().map(|mailbox| mailbox.lock_ms).collect();
        times.sort_by(f64::total_cmp);
        let at = |hundredth: usize| match times.len() {
            0 => 0.0,
            count => times[(count * hundredth).div_ceil(100).clamp(1, count) - 1],
        };
        Self { p50: at(50), p99: at(99), max: at(100) }
    }
}

/// What a move has done.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct MoveReport {
    /// Mailboxes moved by this run, in order.
    pub moved: Vec<MailboxMoved>,
    /// Mailboxes that had moved before.
    pub moved_before: Vec<MailboxName>,
    /// Mailboxes that stay at the source.
    pub left_behind: Vec<LeftBehind>,
    /// Cutovers that had to be backed out and done again.
    pub backed_out: u32,
    /// Messages in the mailboxes moved by this run.
    pub messages: u64,
    /// Their bytes, a content counted for each message that has it.
    pub bytes: u64,
    /// Contents that were sent.
    pub contents_sent: u64,
    /// Contents that the target had already.
    pub contents_present: u64,
    /// Bytes of content that were sent.
    pub bytes_sent: u64,
    /// Changes of messages and folders that were sent, in all rounds.
    pub rows_sent: u64,
    /// How long it took.
    pub seconds: f64,
    /// How long mailboxes were locked.
    pub lock_ms: LockTimes,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(times: &[f64], expected: (f64, f64, f64)) {
        let mailbox = MailboxName::try_from("alice").unwrap();
        let moved = |lock_ms: &f64| MailboxMoved {
            mailbox: mailbox.clone(),
            messages: 0,
            bytes: 0,
            rounds: 1,
            lock_ms: *lock_ms,
        };
        let LockTimes { p50, p99, max } =
            LockTimes::of(&times.iter().map(moved).collect::<Vec<_>>());
        assert_eq!((p50, p99, max), expected);
    }

    #[test]
    fn lock_times_are_ranked_and_not_interpolated() {
        check(&[], (0.0, 0.0, 0.0));
        check(&[3.0], (3.0, 3.0, 3.0));
        check(&[4.0, 1.0, 2.0, 3.0], (2.0, 4.0, 4.0));
        let hundred: Vec<f64> = (1..=100).map(f64::from).collect();
        check(&hundred, (50.0, 99.0, 100.0));
    }
}
