//! How a migration or a move ended, as a document and in words.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::Error;

/// How many messages there were, and what became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageCounts {
    /// Messages that had to arrive: those of the source, and those acknowledged meanwhile.
    pub source: u64,
    /// Messages at the target.
    pub target: u64,
    /// Messages that did not arrive.
    pub lost: u64,
    /// Messages whose bytes, flags, keywords or dates differ.
    pub altered: u64,
    /// Messages that arrived more often than they were sent.
    pub duplicated: u64,
}

/// For how long mailboxes were locked, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct LockTimes {
    /// Half of them were locked for at most this long.
    pub p50: f64,
    /// All but one in a hundred were locked for at most this long.
    pub p99: f64,
    /// The longest.
    pub max: f64,
}

impl LockTimes {
    /// The times of these locks; zeros when there are none.
    #[must_use]
    pub fn of(mut lock_ms: Vec<f64>) -> Self {
        lock_ms.sort_by(f64::total_cmp);
        let at = |percent: usize| {
            let index = (lock_ms.len() * percent).div_ceil(100).max(1) - 1;
            lock_ms.get(index).copied().unwrap_or(0.0)
        };
        LockTimes { p50: at(50), p99: at(99), max: at(100) }
    }
}

/// What was delivered and read while the mail moved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct TrafficCounts {
    /// Deliveries that were acknowledged.
    pub delivered: u64,
    /// Messages that were read.
    pub read: u64,
    /// Reads and deliveries that were refused for good.
    pub failed: u64,
    /// The longest time that one delivery took, retries included, in milliseconds.
    pub longest_delivery_ms: f64,
}

/// How a migration or a move ended.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// `move-users`, `disaster-recovery`, or `move` for the bulk move alone.
    pub route: String,
    /// Mailboxes at the target.
    pub mailboxes: u64,
    /// Messages.
    pub messages: MessageCounts,
    /// Bytes of all messages, shared ones counted for each mailbox.
    pub bytes: u64,
    /// Bytes that the target keeps: each content once.
    pub unique_bytes: u64,
    /// From the first step to the last, pauses between runs included.
    pub seconds: f64,
    /// For how long mailboxes were locked.
    pub lock_ms: LockTimes,
    /// For how long each mailbox was locked, in milliseconds.
    #[serde(default)]
    pub lock_ms_by_mailbox: BTreeMap<String, f64>,
    /// The digest of each mailbox at the target (`docs/format/transfer.md`), where it was made.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub digest_by_mailbox: BTreeMap<String, String>,
    /// Whether every message was compared with its source.
    pub verified: bool,
    /// What happened meanwhile, if anybody delivered or read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traffic: Option<TrafficCounts>,
    /// What a person should know, one sentence each.
    pub notes: Vec<String>,
    /// The page with the whole outcome.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub report: Option<String>,
}

impl Summary {
    /// Says no when something was lost, altered or doubled, or was not compared.
    ///
    /// # Errors
    ///
    /// [`Error::Differences`] with the counts.
    pub fn verdict(&self) -> Result<(), Error> {
        let counts = self.messages;
        if self.verified && counts.lost + counts.altered + counts.duplicated == 0 {
            return Ok(());
        }
        Err(Error::Differences {
            message: format!(
                "verification: {} lost, {} altered, {} duplicated of {} messages{}; nothing was \
                 deleted at the source",
                counts.lost,
                counts.altered,
                counts.duplicated,
                counts.source,
                if self.verified { "" } else { " (not all were compared)" }
            ),
        })
    }
}

impl Summary {
    /// The mailbox that was locked for longest, if one was longer than all others.
    fn longest(&self) -> Option<&str> {
        let by_time = |a: &(&String, &f64), b: &(&String, &f64)| a.1.total_cmp(b.1);
        let (name, longest) = self.lock_ms_by_mailbox.iter().max_by(by_time)?;
        let alone = self.lock_ms_by_mailbox.values().filter(|ms| *ms == longest).count() == 1;
        alone.then_some(name)
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = self.messages;
        writeln!(
            f,
            "  {} · {} mailboxes · {} messages · {} ({} stored) in {:.1} s",
            self.route,
            self.mailboxes,
            counts.target,
            bytes(self.bytes),
            bytes(self.unique_bytes),
            self.seconds
        )?;
        writeln!(
            f,
            "  lost {} · altered {} · duplicated {} · verified: {}",
            counts.lost,
            counts.altered,
            counts.duplicated,
            if self.verified { "yes" } else { "no" }
        )?;
        let locks = self.lock_ms;
        writeln!(
            f,
            "  mailbox locked: {:.1} ms (half), {:.1} ms (99 %), {:.1} ms (longest{})",
            locks.p50,
            locks.p99,
            locks.max,
            self.longest().map(|name| format!(", {name}")).unwrap_or_default()
        )?;
        if let Some(traffic) = self.traffic {
            writeln!(
                f,
                "  meanwhile: {} messages delivered and {} read, {} refused; longest delivery \
                 {:.0} ms",
                traffic.delivered, traffic.read, traffic.failed, traffic.longest_delivery_ms
            )?;
        }
        for note in &self.notes {
            writeln!(f, "  {note}")?;
        }
        if let Some(report) = &self.report {
            writeln!(f, "  report: {report}")?;
        }
        Ok(())
    }
}

/// Bytes for people.
pub(crate) fn bytes(count: u64) -> String {
    // A figure for people with one digit behind the point.
    #[allow(clippy::cast_precision_loss)]
    let count_f = count as f64;
    match count {
        0..1024 => format!("{count} B"),
        1024..1_048_576 => format!("{:.1} KiB", count_f / 1024.0),
        1_048_576..1_073_741_824 => format!("{:.1} MiB", count_f / 1_048_576.0),
        _ => format!("{:.1} GiB", count_f / 1_073_741_824.0),
    }
}

#[cfg(test)]
mod tests {
    use super::{LockTimes, MessageCounts, Summary};

    #[track_caller]
    fn check(lock_ms: &[f64], expected: (f64, f64, f64)) {
        let times = LockTimes::of(lock_ms.to_vec());
        assert_eq!((times.p50, times.p99, times.max), expected);
    }

    #[test]
    fn lock_times_are_nearest_rank() {
        check(&[], (0.0, 0.0, 0.0));
        check(&[4.0], (4.0, 4.0, 4.0));
        check(&[3.0, 1.0, 2.0], (2.0, 3.0, 3.0));
        let hundred: Vec<f64> = (1..=100).map(f64::from).collect();
        check(&hundred, (50.0, 99.0, 100.0));
    }

    #[test]
    fn a_summary_that_was_not_compared_is_no_success() {
        let messages = MessageCounts { source: 1, target: 1, ..MessageCounts::default() };
        let summary = Summary { messages, ..Summary::default() };
        assert!(summary.verdict().is_err());
        assert!(Summary { verified: true, ..summary }.verdict().is_ok());
    }
}
