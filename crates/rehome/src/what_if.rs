//! What a plan would be if something were otherwise, and what differs between two plans.

use std::path::Path;

use rehome_planner::{Inventory, Plan, PlanOptions, RouteChoice, comparison_to_text, diff, plan};
use serde::Serialize;

use crate::calibration::{self, Speeds};
use crate::error::Error;
use crate::planning::{self, inventory_hash};
use crate::session::Session;
use crate::site_file::SiteFile;
use crate::work::Work;

/// What differs, in sentences.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Differences {
    /// The sentences; none if the plans come to the same.
    pub sentences: Vec<String>,
}

/// What can be supposed, as it is written.
const EXAMPLES: [&str; 9] = [
    "second_server=false",
    "lose=N2",
    "bytes_per_second=5MB",
    "free=80GiB",
    "log_free=20GiB",
    "mailboxes_max=100",
    "pilot_mailboxes=10",
    "max_outage_minutes=60",
    "max_user_interruption_seconds=5",
];

/// Plans a site as it is and as it would be, and says what differs. Nothing is written.
///
/// # Errors
///
/// [`Error::BadInput`] for something that cannot be supposed; [`Error::Infeasible`] if there is no
/// plan as it would be, with the reasons.
pub fn what_if(
    session: &Session,
    site: &SiteFile,
    (work, speeds): (&Work, &Speeds),
    route: RouteChoice,
    suppositions: &[String],
) -> Result<Differences, Error> {
    let inventory = calibration::inventory(site, work, speeds, session.clock.wall_us())?;
    let mut other = inventory.clone();
    for supposition in suppositions {
        suppose(&mut other, supposition)?;
    }
    let made = |inventory: &Inventory| {
        let now_us = session.clock.wall_us();
        let options = PlanOptions { route, now_us, inventory_hash: inventory_hash(inventory) };
        plan(inventory, &options)
    };
    let infeasible = |which: &str, comparison: &rehome_planner::Comparison| Error::Infeasible {
        message: format!("{which} there is no plan\n{}", comparison_to_text(comparison)),
    };
    let new = made(&other).map_err(|error| infeasible("then", &error.comparison))?;
    let Ok(old) = made(&inventory) else {
        let text = format!("as it is there is no plan; then there is one by {}", new.route);
        return Ok(Differences { sentences: vec![text] });
    };
    Ok(Differences { sentences: diff(&old, &new) })
}

/// Changes an inventory by one supposition.
fn suppose(inventory: &mut Inventory, supposition: &str) -> Result<(), Error> {
    let bad = || Error::BadInput {
        message: format!(
            "\"{supposition}\" cannot be supposed; write it like {}",
            EXAMPLES.join(", ")
        ),
    };
    let (key, value) = supposition.split_once('=').ok_or_else(bad)?;
    let number = || value.parse::<u64>().map_err(|_| bad());
    let size = || crate::amount::parse_bytes(value).ok_or_else(bad);
    match key {
        "second_server" => inventory.wishes.second_server = value.parse().map_err(|_| bad())?,
        "lose" => {
            let before = inventory.cluster.nodes.len();
            inventory.cluster.nodes.retain(|node| !node.eq_ignore_ascii_case(value));
            if inventory.cluster.nodes.len() == before {
                return Err(bad());
            }
        }
        "bytes_per_second" => {
            let max = size()?;
            inventory.waves.bytes_per_second_max = Some(rehome_site::ByteSize::new(max));
            #[allow(clippy::cast_precision_loss)] // A speed: the precision of f64 is plenty.
            let most = max as f64;
            inventory.rates.bytes_per_second = inventory.rates.bytes_per_second.min(most);
        }
        "free" => inventory.cluster.free_bytes = Some(size()?),
        "log_free" => inventory.cluster.log_free_bytes = Some(size()?),
        "mailboxes_max" => inventory.waves.mailboxes_max = Some(number()?),
        "pilot_mailboxes" => inventory.waves.pilot_mailboxes = number()?,
        "max_outage_minutes" => inventory.wishes.max_outage_minutes = Some(number()?),
        "max_user_interruption_seconds" => {
            inventory.wishes.max_user_interruption_seconds = Some(number()?);
        }
        _ => return Err(bad()),
    }
    Ok(())
}

/// What differs between two plans that were written.
///
/// # Errors
///
/// [`Error::BadInput`] if one of them cannot be read.
pub fn diff_plans(old: &Path, new: &Path) -> Result<Differences, Error> {
    let (old, new): (Plan, Plan) = (planning::read(old)?, planning::read(new)?);
    Ok(Differences { sentences: diff(&old, &new) })
}

impl std::fmt::Display for Differences {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.sentences.is_empty() {
            true => f.write_str("nothing differs"),
            false => f.write_str(&self.sentences.join("\n")),
        }
    }
}
