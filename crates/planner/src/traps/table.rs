//! The table of traps, in the order in which they lie on the way.

mod before;
mod moving;
mod rebuilding;

use super::{Trap, flag};
use crate::inventory::Inventory;
use crate::route::Route;

/// Both routes.
const BOTH: &[Route] = &[Route::MoveUsers, Route::DisasterRecovery];
/// The service pack from which transfer agent, scanners and alternate recipients behave.
const SERVICE_PACK_MIN: u64 = 4;

/// All traps.
pub fn traps() -> impl Iterator<Item = &'static Trap> {
    before::TRAPS.iter().chain(moving::TRAPS).chain(rebuilding::TRAPS)
}

/// Nothing sets it: it lies there always.
fn always(_: &Inventory) -> Option<String> {
    None
}

/// Text of a cause that a flag decides.
fn if_flag(inventory: &Inventory, key: &str, bad: bool, cause: &str) -> Option<String> {
    (flag(inventory, key) == Some(bad)).then(|| cause.to_owned())
}
