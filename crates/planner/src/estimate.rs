//! How long actions take, from the inventory's sizes and measured speeds.

use std::collections::HashMap;

use rehome_site::SiteKind;

use crate::action::{Action, BackupKind, Resource, VerifyScope};
use crate::costs::Amounts;
use crate::inventory::Inventory;
use crate::plan::{Estimate, Owner, Step, StepId};

/// Days until the last of real users has logged on: low, likely, high.
const LOGON_DAYS: Estimate = Estimate { low: 1, likely: 5, high: 21 };
const DAY_SECONDS: u64 = 86_400;
/// Catalog rows that a verification compares, or a recovery writes, in a second.
const ROWS_PER_SECOND: f64 = 50_000.0;
/// So many standard deviations leave a tenth of the cases out.
const TENTH: f64 = 1.2816;
/// So many leave a twentieth out.
const TWENTIETH: f64 = 1.6449;
/// Room for what a message takes apart from its bytes: rows, log records, tree pages.
pub(crate) const OVERHEAD_PER_MESSAGE_BYTES: u64 = 512;
/// Room for a store without any mail: two log generations and the tree.
const EMPTY_STORE_BYTES: u64 = 48 << 20;

/// What is to be moved, summed up once for all steps.
pub(crate) struct Loads<'a> {
    /// Of all mailboxes that move.
    all: Load,
    /// Bytes of all of them if each content is kept once.
    unique_bytes: u64,
    /// Of each server's.
    servers: HashMap<&'a str, Load>,
    /// What each step carries, if costs were measured.
    amounts: Option<Amounts<'a>>,
}

/// A duration as it was measured: the exact one, and the spread of its logarithm.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct MeasuredTime {
    pub(crate) seconds: f64,
    pub(crate) spread: f64,
}

/// Messages and bytes.
#[derive(Debug, Clone, Copy, Default)]
struct Load {
    messages: u64,
    bytes: u64,
}

impl<'a> Loads<'a> {
    /// Sums an inventory up.
    pub(crate) fn of(inventory: &'a Inventory) -> Self {
        let mut loads = Self {
            all: Load::default(),
            unique_bytes: inventory.unique_bytes,
            servers: HashMap::new(),
            amounts: inventory.rates.costs.as_ref().map(|_| Amounts::of(inventory)),
        };
        for mailbox in inventory.moving() {
            for load in [&mut loads.all, loads.servers.entry(&mailbox.server).or_default()] {
                load.messages += mailbox.messages;
                load.bytes += mailbox.bytes;
            }
        }
        loads
    }

    /// Seconds in which the mail of a server is copied; all of it for any other name.
    fn copy_seconds(&self, inventory: &Inventory, server: &str) -> f64 {
        let share = match self.servers.get(server) {
            Some(own) if self.all.bytes > 0 => own.bytes as f64 / self.all.bytes as f64,
            _ => 1.0,
        };
        let messages = self.servers.get(server).map_or(self.all.messages, |own| own.messages);
        self.unique_bytes as f64 * share / inventory.rates.bytes_per_second
            + messages as f64 / inventory.rates.messages_per_second
    }
}

impl Estimate {
    /// Good case three quarters, bad case double of the likely one; never less than a second.
    pub(crate) fn around(seconds: f64) -> Self {
        let round = |seconds: f64| seconds.max(1.0).ceil().min(u32::MAX.into()) as u64;
        Self { low: round(seconds * 0.75), likely: round(seconds), high: round(seconds * 2.0) }
    }
}

impl Estimate {
    /// One of ten cases, half, and nineteen of twenty, of a logarithm that is spread normally;
    /// rounded up to whole seconds.
    fn of_measured(MeasuredTime { seconds, spread }: MeasuredTime) -> Self {
        let round = |seconds: f64| seconds.max(1.0).ceil().min(u32::MAX.into()) as u64;
        Self {
            low: round(seconds * (-TENTH * spread).exp()),
            likely: round(seconds),
            high: round(seconds * (TWENTIETH * spread).exp()),
        }
    }
}

impl std::ops::Add for Estimate {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            low: self.low + other.low,
            likely: self.likely + other.likely,
            high: self.high + other.high,
        }
    }
}

impl std::iter::Sum for Estimate {
    fn sum<I: Iterator<Item = Self>>(steps: I) -> Self {
        steps.fold(Self::default(), |sum, step| sum + step)
    }
}

/// Bytes that the mail takes in a new store, at the peak of a move or restore.
pub(crate) fn target_bytes(inventory: &Inventory) -> u64 {
    inventory.unique_bytes + inventory.messages() * OVERHEAD_PER_MESSAGE_BYTES + EMPTY_STORE_BYTES
}

/// Time for which one user is kept out when a mailbox is cut over.
pub(crate) fn lock(inventory: &Inventory) -> Estimate {
    let seconds = inventory.rates.lock_seconds;
    Estimate { high: Estimate::around(seconds * 2.0).high, ..Estimate::around(seconds) }
}

/// How long a step takes, without a person's answer: by its measured cost, or by speeds.
pub(crate) fn step(
    inventory: &Inventory,
    loads: &Loads<'_>,
    id: &StepId,
    does: &Action,
) -> Estimate {
    measured(inventory, loads, id, does)
        .map_or_else(|| action(inventory, loads, does), Estimate::of_measured)
}

/// How long a step takes by its measured cost, without a person's answer; none if it was not
/// measured, or waits for people.
pub(crate) fn measured(
    inventory: &Inventory,
    loads: &Loads<'_>,
    id: &StepId,
    does: &Action,
) -> Option<MeasuredTime> {
    let (costs, amounts) = inventory.rates.costs.as_ref().zip(loads.amounts.as_ref())?;
    if matches!(does, Action::WaitLogons { .. }) && !inventory.wishes.simulate_clients {
        return None;
    }
    let mut cost = *costs.of(id, does)?;
    if let (Action::MoveMailboxes { .. }, Some(max)) = (does, inventory.waves.bytes_per_second_max)
    {
        cost.byte_seconds = cost.byte_seconds.max(1.0 / (max.bytes() as f64).max(1.0));
    }
    let seconds = cost.seconds(&amounts.carried(does)) * costs.pace.bias.exp();
    Some(MeasuredTime { seconds, spread: cost.spread.hypot(costs.pace.spread) })
}

/// Seconds of some steps, one after the other; what was measured is rounded as a whole.
pub(crate) fn total<'s>(
    inventory: &Inventory,
    loads: &Loads<'_>,
    steps: impl IntoIterator<Item = &'s Step>,
) -> Estimate {
    let mut others = Estimate::default();
    let mut sum: Option<MeasuredTime> = None;
    for one in steps {
        let Some(time) = measured(inventory, loads, &one.id, &one.action) else {
            others = others + one.estimate_seconds;
            continue;
        };
        if matches!(one.owner, Owner::Human { .. }) {
            others = others + gate(inventory);
        }
        let so_far = sum.unwrap_or(MeasuredTime { seconds: 0.0, spread: 0.0 });
        let seconds = so_far.seconds + time.seconds;
        let spread = so_far.spread * so_far.seconds + time.spread * time.seconds;
        let spread = if seconds > 0.0 { spread / seconds } else { 0.0 };
        sum = Some(MeasuredTime { seconds, spread });
    }
    others + sum.map_or_else(Estimate::default, Estimate::of_measured)
}

/// How long an action takes by speeds, without a person's answer.
fn action(inventory: &Inventory, loads: &Loads<'_>, action: &Action) -> Estimate {
    let rates = &inventory.rates;
    let online = rates.online_seconds;
    let copy = |server: &str| loads.copy_seconds(inventory, server);
    let messages = loads.all.messages as f64;
    match action {
        Action::TakeIn { .. } if inventory.kind == SiteKind::Exchange55 => Estimate::around(online),
        Action::TakeIn { .. } => Estimate::around(
            online
                + loads.all.bytes as f64 / rates.bytes_per_second
                + messages / rates.import_messages_per_second,
        ),
        Action::MoveMailboxes { from, mailboxes, .. } => {
            Estimate::around(online + copy(from) + mailboxes.len() as f64 * rates.lock_seconds)
        }
        Action::BackUp { server, kind: BackupKind::Full, .. }
        | Action::Restore { server, part: Resource::Store, .. } => {
            Estimate::around(online + copy(server))
        }
        Action::BringOnline { resource: Resource::Store, .. } => {
            Estimate::around(online + messages / ROWS_PER_SECOND)
        }
        Action::BackUp { server, kind: BackupKind::After(_), .. } => {
            Estimate::around(online + copy(server) / 20.0)
        }
        Action::CheckBackup { label } => {
            let server = label.rsplit_once('@').map_or("", |(_, server)| server);
            Estimate::around(copy(server) / 2.0)
        }
        Action::Verify { scope: VerifyScope::Content, server } => {
            Estimate::around(online + copy(server))
        }
        Action::Verify { .. } => Estimate::around(online + messages / ROWS_PER_SECOND),
        Action::WaitLogons { .. } if !inventory.wishes.simulate_clients => logons(),
        Action::UpgradeServer { .. } | Action::WaitPublicFolderReplication { .. } => {
            Estimate::around(online + messages / ROWS_PER_SECOND)
        }
        Action::FailOver { .. } => Estimate::around(online * 6.0),
        Action::BringGroupOnline { .. } | Action::InstallServer { .. } => {
            Estimate::around(online * 3.0)
        }
        _ => Estimate::around(online),
    }
}

/// How long a person takes to answer.
pub(crate) fn gate(inventory: &Inventory) -> Estimate {
    if inventory.rates.gate_seconds <= 0.0 {
        // It was answered in advance.
        return Estimate::default();
    }
    let likely = Estimate::around(inventory.rates.gate_seconds);
    Estimate { low: 1, high: likely.high * 6, ..likely }
}

fn logons() -> Estimate {
    Estimate {
        low: LOGON_DAYS.low * DAY_SECONDS,
        likely: LOGON_DAYS.likely * DAY_SECONDS,
        high: LOGON_DAYS.high * DAY_SECONDS,
    }
}
