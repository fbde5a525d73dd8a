//! Groups of mailboxes that move together: delegates, and what the site file keeps together.

use std::collections::{BTreeMap, HashMap};

use petgraph::unionfind::UnionFind;

use super::Split;
use crate::inventory::{Inventory, MailboxFacts};

/// Mailboxes that move together.
#[derive(Debug, Clone, Default)]
pub(super) struct Unit {
    /// Indexes into the inventory's mailboxes, the smallest mailbox first.
    pub(super) members: Vec<usize>,
    pub(super) messages: u64,
    pub(super) logical_bytes: u64,
    /// Bytes that are nobody else's.
    pub(super) own_bytes: u64,
    /// Share groups of its members, and the most that a member has of it.
    pub(super) shares: Vec<(usize, u64)>,
}

/// All units, in the order in which they are taken.
pub(super) struct Built {
    pub(super) units: Vec<Unit>,
    pub(super) hubs: Vec<String>,
    pub(super) share_groups: usize,
    groups: BTreeMap<String, usize>,
}

/// Builds the units of the mailboxes that move.
///
/// Those who share contents come one after the other, so that they are in one wave if it has room;
/// inside of that the order is the inventory's.
pub(super) fn of(inventory: &Inventory) -> Built {
    let moving: Vec<usize> = moving(inventory);
    let at: HashMap<&str, usize> = moving
        .iter()
        .enumerate()
        .map(|(number, index)| (inventory.mailboxes[*index].name.as_str(), number))
        .collect();
    let hubs = hubs(inventory, &moving);
    let mut together = UnionFind::<usize>::new(moving.len());
    for (number, index) in moving.iter().enumerate() {
        for delegate in &inventory.mailboxes[*index].delegates {
            if let Some(other) = at.get(delegate.as_str())
                && !hubs.contains(delegate)
            {
                together.union(number, *other);
            }
        }
    }
    for group in &inventory.waves.keep_together {
        let known: Vec<usize> =
            group.iter().filter_map(|name| at.get(name.as_str()).copied()).collect();
        for pair in known.windows(2) {
            together.union(pair[0], pair[1]);
        }
    }
    let labels = together.into_labeling();
    let mut groups: BTreeMap<String, usize> = BTreeMap::new();
    for share in moving.iter().filter_map(|index| inventory.mailboxes[*index].share.as_ref()) {
        let next = groups.len();
        groups.entry(share.group.clone()).or_insert(next);
    }
    let mut slots: Vec<Vec<usize>> = vec![Vec::new(); moving.len()];
    for (number, index) in moving.iter().enumerate() {
        slots[labels[number]].push(*index);
    }
    let filled = slots.into_iter().filter(|members| !members.is_empty());
    let mut units: Vec<Unit> = filled.map(|members| unit(inventory, &groups, members)).collect();
    units.sort_by_key(|unit| {
        let share = unit.shares.first().map_or(usize::MAX, |(group, _)| *group);
        (share, unit.members.iter().copied().min())
    });
    Built { units, hubs, share_groups: groups.len(), groups }
}

/// Indexes of the mailboxes that move.
fn moving(inventory: &Inventory) -> Vec<usize> {
    let all = inventory.wishes.all_servers;
    let moves = |one: &MailboxFacts| all || one.server == inventory.old_server;
    let boxes = inventory.mailboxes.iter().enumerate();
    boxes.filter(|(_, one)| moves(one)).map(|(index, _)| index).collect()
}

/// Who acts for more mailboxes than are reason enough to keep them together.
fn hubs(inventory: &Inventory, moving: &[usize]) -> Vec<String> {
    let mut acts_for: HashMap<&str, u64> = HashMap::new();
    for delegate in moving.iter().flat_map(|index| &inventory.mailboxes[*index].delegates) {
        *acts_for.entry(delegate.as_str()).or_default() += 1;
    }
    let most = inventory.waves.hub_delegates;
    let many = acts_for.into_iter().filter(|(_, count)| *count > most);
    let mut hubs: Vec<String> = many.map(|(name, _)| name.to_owned()).collect();
    hubs.sort_unstable();
    hubs
}

/// Sums up a unit.
fn unit(inventory: &Inventory, groups: &BTreeMap<String, usize>, members: Vec<usize>) -> Unit {
    let mut unit = Unit::default();
    let mut shares: BTreeMap<usize, u64> = BTreeMap::new();
    for index in &members {
        let one = &inventory.mailboxes[*index];
        let shared = one.share.as_ref().map_or(0, |share| share.bytes.min(one.bytes));
        unit.messages += one.messages;
        unit.logical_bytes += one.bytes;
        unit.own_bytes += one.bytes - shared;
        if let Some(group) = one.share.as_ref().and_then(|share| groups.get(&share.group)) {
            let most = shares.entry(*group).or_default();
            *most = (*most).max(shared);
        }
    }
    unit.shares = shares.into_iter().collect();
    unit.members = members;
    unit.members.sort_by_key(|index| (inventory.mailboxes[*index].bytes, *index));
    unit
}

/// Makes a unit of each member of a unit; returns their indexes, largest mailbox last.
pub(super) fn singles(inventory: &Inventory, built: &mut Built, at: usize) -> Vec<usize> {
    let members = built.units[at].members.clone();
    members
        .into_iter()
        .map(|member| {
            built.units.push(unit(inventory, &built.groups, vec![member]));
            built.units.len() - 1
        })
        .collect()
}

/// The pairs of a unit that are parted with it.
pub(super) fn splits(inventory: &Inventory, built: &Built, at: usize, why: &str) -> Vec<Split> {
    let members = &built.units[at].members;
    let names: std::collections::HashSet<&str> =
        members.iter().map(|index| inventory.mailboxes[*index].name.as_str()).collect();
    let mut splits = Vec::new();
    for index in members {
        let one = &inventory.mailboxes[*index];
        let parted = one.delegates.iter();
        let parted = parted.filter(|name| names.contains(name.as_str()));
        splits.extend(parted.filter(|name| !built.hubs.contains(name)).map(|delegate| Split {
            mailbox: one.name.clone(),
            delegate: delegate.clone(),
            why: why.to_owned(),
        }));
    }
    splits
}
