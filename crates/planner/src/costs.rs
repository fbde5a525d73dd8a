//! What steps cost on one machine: fitted to migrations that were carried out there, with the
//! spread of what the fit does not explain.

mod fit;

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use crate::action::{Action, VerifyScope};
use crate::inventory::{Inventory, MailboxFacts, Rates};
use crate::plan::StepId;

pub use fit::CarriedOut;

/// A site so many times larger than all that were measured is called far beyond them.
const BEYOND_TIMES: f64 = 10.0;
/// What is told of a rate that does not limit anything, in bytes or messages a second.
const UNLIMITED: f64 = 1e12;

/// What steps cost on one machine.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Costs {
    /// What a step costs, by its name without wave and server: `M1`, `D13`.
    pub steps: BTreeMap<String, Cost>,
    /// How whole migrations differ from the sum of their steps' costs.
    pub pace: Pace,
    /// The most that one of the measured migrations carried.
    pub largest: Amount,
    /// Seconds for which half of the mailboxes were locked at most; none if none was moved.
    pub lock_seconds: Option<f64>,
}

/// What one step costs, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Cost {
    /// However little it carries.
    pub fixed_seconds: f64,
    /// For each mailbox.
    pub mailbox_seconds: f64,
    /// For each message.
    pub message_seconds: f64,
    /// For each byte.
    pub byte_seconds: f64,
    /// Standard deviation of the logarithm of actual by fitted time, apart from the pace.
    pub spread: f64,
    /// How often the step was measured.
    pub samples: usize,
}

/// How whole migrations differ from the sum of their steps' costs: each was judged by costs that
/// were fitted to all others.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Pace {
    /// Mean of the logarithm of actual by fitted time.
    pub bias: f64,
    /// Its standard deviation from migration to migration, as far as the steps' own spread does
    /// not explain it.
    pub spread: f64,
    /// How many migrations were measured.
    pub migrations: usize,
}

/// What a step carries.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Amount {
    /// Mailboxes.
    pub mailboxes: f64,
    /// Their messages.
    pub messages: f64,
    /// Bytes of these.
    pub bytes: f64,
}

/// What the steps of a plan carry: all that moves, but for those that carry some mailboxes.
pub(crate) struct Amounts<'a> {
    all: Amount,
    /// All bytes by bytes kept once.
    kept_once: f64,
    mailboxes: HashMap<&'a str, &'a MailboxFacts>,
}

impl Cost {
    /// Seconds for an amount.
    pub(crate) fn seconds(&self, amount: &Amount) -> f64 {
        self.fixed_seconds
            + self.mailbox_seconds * amount.mailboxes
            + self.message_seconds * amount.messages
            + self.byte_seconds * amount.bytes
    }
}

impl Costs {
    /// What a step costs, if it was ever measured.
    pub(crate) fn of(&self, id: &StepId, action: &Action) -> Option<&Cost> {
        self.steps.get(&key(id, action))
    }

    /// Whether all of it are numbers that a cost or a spread can be.
    pub fn is_sound(&self) -> bool {
        let costs = self.steps.values().flat_map(|cost| {
            [
                cost.fixed_seconds,
                cost.mailbox_seconds,
                cost.message_seconds,
                cost.byte_seconds,
                cost.spread,
            ]
        });
        let rest = [self.pace.spread, self.lock_seconds.unwrap_or(0.0)];
        self.pace.bias.is_finite() && costs.chain(rest).all(|one| one.is_finite() && one >= 0.0)
    }

    /// What of an inventory lies far beyond everything that was measured, in a sentence.
    pub fn beyond(&self, inventory: &Inventory) -> Option<String> {
        let (all, most) = (Amount::of(inventory.moving()), self.largest);
        let [messages, bytes] = [all.messages / most.messages, all.bytes / most.bytes];
        let times = if bytes > messages { bytes } else { messages };
        (times.is_finite() && times > BEYOND_TIMES).then(|| {
            format!(
                "the largest site that was measured is {times:.0} times smaller than this one, and \
                 what does not show there was not seen"
            )
        })
    }

    /// The speeds that follow, for whoever plans with speeds; `slow` has what was not measured.
    pub fn rates(&self, slow: Rates) -> Rates {
        let a_second = |seconds: f64| if seconds > 0.0 { 1.0 / seconds } else { UNLIMITED };
        let of = |key: &str| self.steps.get(key).copied();
        let carried = of("M1").or_else(|| of("D13s")).unwrap_or_default();
        let taken_in = of("S0").unwrap_or(carried);
        let online = of("P3a").or_else(|| of("D20"));
        Rates {
            bytes_per_second: a_second(carried.byte_seconds),
            messages_per_second: a_second(carried.message_seconds),
            import_messages_per_second: a_second(taken_in.message_seconds),
            lock_seconds: self.lock_seconds.unwrap_or(slow.lock_seconds),
            online_seconds: online.map_or(slow.online_seconds, |cost| cost.fixed_seconds),
            measured: true,
            costs: Some(self.clone()),
            ..slow
        }
    }
}

/// Under which key the cost of a step is kept: its name without wave and server, and how deep it
/// reads, if it is a comparison.
pub(crate) fn key(id: &StepId, action: &Action) -> String {
    let own = id.as_str().split('@').next().unwrap_or_default();
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|at| at.is_ascii_digit());
    let name = match own.rsplit_once('w') {
        Some((mark, number)) if is_number(number) => mark,
        _ => own,
    };
    match action {
        Action::Verify { scope: VerifyScope::Content, .. } => format!("{name}/content"),
        _ => name.to_owned(),
    }
}

impl Amount {
    fn of<'m>(mailboxes: impl Iterator<Item = &'m MailboxFacts>) -> Self {
        mailboxes.fold(Self::default(), |sum, one| Self {
            mailboxes: sum.mailboxes + 1.0,
            messages: sum.messages + one.messages as f64,
            bytes: sum.bytes + one.bytes as f64,
        })
    }

    /// The larger one of each.
    fn max(self, other: Self) -> Self {
        Self {
            mailboxes: self.mailboxes.max(other.mailboxes),
            messages: self.messages.max(other.messages),
            bytes: self.bytes.max(other.bytes),
        }
    }
}

impl<'a> Amounts<'a> {
    /// Sums an inventory up.
    pub(crate) fn of(inventory: &'a Inventory) -> Self {
        let all = Amount::of(inventory.moving());
        let unique = inventory.unique_bytes as f64;
        Self {
            kept_once: if all.bytes > 0.0 { unique / all.bytes } else { 1.0 },
            all,
            mailboxes: inventory.mailboxes.iter().map(|one| (one.name.as_str(), one)).collect(),
        }
    }

    /// What a step carries. What mail is taken in is read whole; what is carried later is carried
    /// once.
    pub(crate) fn carried(&self, action: &Action) -> Amount {
        let amount = match action {
            Action::TakeIn { .. } => return self.all,
            Action::MoveMailboxes { mailboxes, .. } => {
                let known = mailboxes.iter().filter_map(|at| self.mailboxes.get(at.as_str()));
                Amount::of(known.copied())
            }
            _ => self.all,
        };
        Amount { bytes: amount.bytes * self.kept_once, ..amount }
    }

    /// All that moves.
    pub(crate) fn all(&self) -> Amount {
        self.all
    }
}
