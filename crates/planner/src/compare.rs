//! Both routes computed and compared, and at which values the choice flips.

use crate::action::Action;
use crate::check::Check;
use crate::estimate::{self, Loads};
use crate::format::{bytes, duration};
use crate::inventory::Inventory;
use crate::judge::{Judgement, judge};
use crate::plan::{Estimate, Step};
use crate::route::{Comparison, Obstacle, Route, RouteFacts};
use crate::routes;
use crate::traps;
use crate::waves::{self, Packed};

/// The steps during which a restored server is away: from the first to the second, both included.
const OUTAGE: (&str, &str) = ("D5", "D20");

/// Computes and compares both routes. Never fails: obstacles are part of the answer.
///
/// `now_us` is when work begins at the earliest; windows before it are past.
pub fn compare(inventory: &Inventory, now_us: i64) -> Comparison {
    compare_packed(inventory, &waves::pack(inventory, now_us))
}

/// The same with waves that are packed already.
pub(crate) fn compare_packed(inventory: &Inventory, packed: &Packed) -> Comparison {
    let move_users = move_users(inventory, packed);
    let disaster_recovery = disaster_recovery(inventory);
    let (recommended, reasons) = recommend(inventory, &move_users, &disaster_recovery);
    let flips = recommended
        .map_or_else(Vec::new, |route| flips(inventory, route, &move_users, &disaster_recovery));
    Comparison { recommended, reasons, flips, move_users, disaster_recovery }
}

fn move_users(inventory: &Inventory, packed: &Packed) -> RouteFacts {
    let steps = routes::steps(inventory, Route::MoveUsers, packed);
    let lock = estimate::lock(inventory);
    let mut obstacles = obstacles(inventory, Route::MoveUsers);
    obstacles.extend(packed.obstacles.iter().cloned());
    if let Some(limit) = inventory.wishes.max_user_interruption_seconds
        && lock.high > limit
    {
        obstacles.push(Obstacle {
            code: "interruption-limit".to_owned(),
            place: "route.max_user_interruption_seconds".to_owned(),
            cause: format!("a user may be kept out for {} s, {limit} s are allowed", lock.high),
            consequence: "the limit would be broken in the bad case".to_owned(),
            remedy: "raise the limit, or measure the lock time on this machine".to_owned(),
            evidence: "the site file".to_owned(),
        });
    }
    RouteFacts {
        route: Route::MoveUsers,
        obstacles,
        step_count: steps.len(),
        duration_seconds: total(inventory, &steps),
        user_interruption_seconds: lock,
        outage_seconds: Estimate::default(),
        target_disk_bytes: estimate::target_bytes(inventory),
        backup_bytes: 2 * inventory.unique_bytes,
        way_back: "mailboxes can be moved back with all mail, new mail too, until the old server \
                   is removed (step M4)"
            .to_owned(),
    }
}

fn disaster_recovery(inventory: &Inventory) -> RouteFacts {
    let steps = routes::steps(inventory, Route::DisasterRecovery, &Packed::default());
    let outage = outage(inventory, &steps);
    let mut obstacles = obstacles(inventory, Route::DisasterRecovery);
    if let Some(limit) = inventory.wishes.max_outage_minutes
        && outage.likely > limit * 60
    {
        obstacles.push(Obstacle {
            code: "outage-limit".to_owned(),
            place: "route.max_outage_minutes".to_owned(),
            cause: format!(
                "the server would be away for {}, {} are allowed",
                duration(outage.likely),
                duration(limit * 60)
            ),
            consequence: "the limit would be broken even if all goes as expected".to_owned(),
            remedy: "raise the limit, or choose the move-users route".to_owned(),
            evidence: "the site file".to_owned(),
        });
    }
    RouteFacts {
        route: Route::DisasterRecovery,
        obstacles,
        step_count: steps.len(),
        duration_seconds: estimate::total(inventory, &Loads::of(inventory), &steps),
        user_interruption_seconds: outage,
        outage_seconds: outage,
        target_disk_bytes: estimate::target_bytes(inventory),
        backup_bytes: 3 * inventory.unique_bytes + inventory.unique_bytes / 20,
        way_back: "the old server can be started again until its computer is given up (step \
                   D6w); after that the way on is the restore"
            .to_owned(),
    }
}

/// Conditions that the inventory already says are broken.
fn obstacles(inventory: &Inventory, route: Route) -> Vec<Obstacle> {
    let judged =
        routes::demands(inventory, route).into_iter().filter_map(|condition| {
            match judge(&Check::from(condition), inventory) {
                Judgement::Violated(obstacle) => Some(obstacle),
                Judgement::Met | Judgement::AtRunTime => None,
            }
        });
    judged.chain(traps::obstacles(inventory, route)).collect()
}

/// From the first to the last step; the users of all servers log on at the same time.
fn total(inventory: &Inventory, steps: &[Step]) -> Estimate {
    let waits = |step: &&Step| matches!(step.action, Action::WaitLogons { .. });
    let longest = steps.iter().filter(waits).max_by_key(|step| step.estimate_seconds.likely);
    let others = steps.iter().filter(|step| !waits(step));
    estimate::total(inventory, &Loads::of(inventory), others.chain(longest))
}

fn outage(inventory: &Inventory, steps: &[Step]) -> Estimate {
    let at = |id: &str| steps.iter().position(|step| step.id.as_str() == id);
    match (at(OUTAGE.0), at(OUTAGE.1)) {
        (Some(from), Some(to)) => {
            estimate::total(inventory, &Loads::of(inventory), &steps[from..=to])
        }
        _ => Estimate::default(),
    }
}

fn recommend(
    inventory: &Inventory,
    moving: &RouteFacts,
    recovery: &RouteFacts,
) -> (Option<Route>, Vec<String>) {
    let without = |facts: &RouteFacts| {
        let causes: Vec<&str> = facts.obstacles.iter().map(|at| at.cause.as_str()).collect();
        format!("{} cannot be gone: {}", facts.route, causes.join("; "))
    };
    let away = duration(recovery.outage_seconds.likely);
    match (moving.obstacles.is_empty(), recovery.obstacles.is_empty()) {
        (true, true) => (
            Some(Route::MoveUsers),
            vec![
                format!(
                    "{} mailboxes stay in use, each locked for about {} once, while disaster \
                     recovery keeps everyone out for about {away}",
                    inventory.moving().count(),
                    duration(moving.user_interruption_seconds.likely),
                ),
                "there is a way back with all mail, new mail too, until the old server is removed"
                    .to_owned(),
            ],
        ),
        (true, false) => (Some(Route::MoveUsers), vec![without(recovery)]),
        (false, true) => (
            Some(Route::DisasterRecovery),
            vec![
                without(moving),
                format!("the server is away for about {away}, which is within the limits"),
            ],
        ),
        (false, false) => (None, vec![without(moving), without(recovery)]),
    }
}

fn flips(
    inventory: &Inventory,
    recommended: Route,
    moving: &RouteFacts,
    recovery: &RouteFacts,
) -> Vec<String> {
    let mut flips = Vec::new();
    if recommended == Route::MoveUsers && recovery.obstacles.is_empty() {
        flips.push(
            "to disaster-recovery if the old server and the cluster cannot run at the same time \
             (route.second_server = false)"
                .to_owned(),
        );
        flips.push(format!(
            "to disaster-recovery if a user may be kept out for less than {} s \
             (route.max_user_interruption_seconds) and the whole server for {}",
            moving.user_interruption_seconds.high,
            duration(recovery.outage_seconds.likely)
        ));
    }
    if recommended == Route::DisasterRecovery {
        flips.extend(moving.obstacles.iter().map(|obstacle| {
            format!("to move-users once this is remedied: {} ({})", obstacle.cause, obstacle.place)
        }));
    }
    flips.extend(outage_flip(inventory, recovery));
    flips.push(format!(
        "to neither if the group's disk has less than {} free (cluster.group.free)",
        bytes(moving.target_disk_bytes)
    ));
    flips
}

/// The limit, or the amount of mail, at which disaster recovery drops out.
fn outage_flip(inventory: &Inventory, recovery: &RouteFacts) -> Vec<String> {
    let likely = recovery.outage_seconds.likely;
    let Some(limit) = inventory.wishes.max_outage_minutes else {
        return vec![format!(
            "disaster-recovery drops out if the server may be away for less than {} \
             (route.max_outage_minutes)",
            duration(likely)
        )];
    };
    let empty = Inventory { unique_bytes: 0, mailboxes: Vec::new(), ..inventory.clone() };
    let fixed = routes::steps(&empty, Route::DisasterRecovery, &Packed::default());
    let fixed = outage(&empty, &fixed).likely;
    let (limit, growing) = (limit * 60, likely.saturating_sub(fixed));
    if limit <= fixed || growing == 0 || inventory.unique_bytes == 0 {
        return Vec::new();
    }
    let at = inventory.unique_bytes as f64 * (limit - fixed) as f64 / growing as f64;
    vec![format!(
        "disaster-recovery drops out if there is more than {} of mail: restoring it takes longer \
         than {} (route.max_outage_minutes)",
        bytes(at as u64),
        duration(limit)
    )]
}
