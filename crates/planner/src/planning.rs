//! From an inventory to a plan.

use crate::inventory::Inventory;
use crate::plan::Plan;
use crate::route::{Comparison, RouteChoice};

/// What the caller decides about a plan.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PlanOptions {
    /// The route; if it is [`RouteChoice::Auto`], the inventory's wish counts.
    pub route: RouteChoice,
    /// Now, in microseconds since 1970.
    pub now_us: i64,
    /// Hash of the inventory; the plan is bound to it.
    pub inventory_hash: String,
}

/// No route can be gone, or not the one asked for.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("no plan: {}", first_cause(.comparison, *.asked))]
pub struct Infeasible {
    /// The route that was asked for.
    pub asked: RouteChoice,
    /// Both routes with their obstacles.
    pub comparison: Box<Comparison>,
}

/// Makes a plan. The same arguments give the same plan, byte for byte.
///
/// # Errors
///
/// [`Infeasible`] if the route asked for, or both routes, have an obstacle; it lists all of them.
pub fn plan(inventory: &Inventory, options: &PlanOptions) -> Result<Plan, Infeasible> {
    let _ = (inventory, options);
    unimplemented!()
}

fn first_cause(_comparison: &Comparison, _asked: RouteChoice) -> String {
    String::new()
}
