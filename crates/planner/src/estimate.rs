//! How long actions take, from the inventory's sizes and measured speeds.

use crate::action::{Action, BackupKind, Resource, VerifyScope};
use crate::inventory::Inventory;
use crate::plan::Estimate;

/// Days until the last of real users has logged on: low, likely, high.
const LOGON_DAYS: Estimate = Estimate { low: 1, likely: 5, high: 21 };
const DAY_SECONDS: u64 = 86_400;
/// Catalog rows that a verification compares, or a recovery writes, in a second.
const ROWS_PER_SECOND: f64 = 50_000.0;
/// Room for what a message takes apart from its bytes: rows, log records, tree pages.
const OVERHEAD_PER_MESSAGE_BYTES: u64 = 512;
/// Room for a store without any mail: two log generations and the tree.
const EMPTY_STORE_BYTES: u64 = 48 << 20;

impl Estimate {
    /// Good case three quarters, bad case double of the likely one; never less than a second.
    pub(crate) fn around(seconds: f64) -> Self {
        let round = |seconds: f64| seconds.max(1.0).ceil().min(u32::MAX.into()) as u64;
        Self { low: round(seconds * 0.75), likely: round(seconds), high: round(seconds * 2.0) }
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

/// How long an action takes, without a person's answer.
pub(crate) fn action(inventory: &Inventory, action: &Action) -> Estimate {
    let rates = &inventory.rates;
    let messages = inventory.messages() as f64;
    let copy = inventory.unique_bytes as f64 / rates.bytes_per_second
        + messages / rates.messages_per_second;
    let online = rates.online_seconds;
    match action {
        Action::TakeIn { .. } => Estimate::around(
            online
                + inventory.logical_bytes() as f64 / rates.bytes_per_second
                + messages / rates.import_messages_per_second,
        ),
        Action::MoveMailboxes { mailboxes, .. } => {
            Estimate::around(online + copy + mailboxes.len() as f64 * rates.lock_seconds)
        }
        Action::BackUp { kind: BackupKind::Full, .. }
        | Action::Restore { part: Resource::Store, .. } => Estimate::around(online + copy),
        Action::BringOnline { resource: Resource::Store, .. } => {
            Estimate::around(online + messages / ROWS_PER_SECOND)
        }
        Action::BackUp { kind: BackupKind::After(_), .. } => Estimate::around(online + copy / 20.0),
        Action::CheckBackup { .. } => Estimate::around(copy / 2.0),
        Action::Verify { scope: VerifyScope::Content, .. } => Estimate::around(online + copy),
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
