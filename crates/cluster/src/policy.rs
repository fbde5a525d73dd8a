//! What a node decides: a pure function of what it knows and of the next event.
//!
//! Every node runs its own policy over what it reads through the [`crate::Coordinator`]. Nothing
//! here waits, reads a clock or touches a file: time is an argument, orders are the result.

mod fencing;
mod group;
mod members;
mod resource;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use crate::configuration::Configuration;
use crate::coordinator::{Claim, ClaimOutcome, Heartbeat, Owner, Ownership, Release};
use crate::ids::{GroupName, NodeName, ResourceName};
use crate::observe::Observer;
use crate::status::OwnedGroup;
use group::Group;

/// Something that a policy learns.
#[derive(Debug, Clone)]
pub enum Event {
    /// A new revision of the configuration.
    Configured(Arc<Configuration>),
    /// A heartbeat was read; the reading began at `start_ms` and is over now.
    Heartbeat {
        /// Whose.
        node: NodeName,
        /// When the reading began, by this node's clock.
        start_ms: u64,
        /// What was read; `None` if the node never wrote one.
        heartbeat: Option<Heartbeat>,
    },
    /// The ownership of a group was read.
    Ownership {
        /// Which group.
        group: GroupName,
        /// Its last epoch.
        ownership: Option<Ownership>,
    },
    /// This node's own heartbeat was written; it may act until then.
    Renewed {
        /// The end of the lease, by this node's clock.
        until_ms: u64,
    },
    /// The lease ran out, or nearly: everything that ran here has been killed already.
    LeaseLost,
    /// The answer to [`Order::Claim`]; `None` if it is not known what came of it.
    Claimed {
        /// Which group.
        group: GroupName,
        /// Which claim.
        attempt: u64,
        /// What came of it.
        outcome: Option<ClaimOutcome>,
    },
    /// The answer to [`Order::Release`].
    Released {
        /// Which group.
        group: GroupName,
        /// The epoch released.
        epoch: u64,
        /// Whether it was written.
        done: bool,
    },
    /// A resource has something to say.
    Resource {
        /// Which.
        resource: ResourceName,
        /// The start that it belongs to; words from an earlier start are not heard.
        run: u64,
        /// What.
        report: Report,
    },
    /// The answer to [`Order::Fence`].
    Fenced {
        /// Which group it was for.
        group: GroupName,
        /// Whose power was to be switched off.
        owner: Owner,
        /// What went wrong, if anything.
        result: Result<(), String>,
    },
    /// The minute of the day in UTC; told when it changes.
    Minute(u16),
    /// The node is to stop in order.
    Stop,
    /// Time has passed.
    Tick,
}

/// What a resource has to say.
#[derive(Debug, Clone, PartialEq)]
pub enum Report {
    /// It is online, with what it says about itself.
    Online(Option<Value>),
    /// It is still on its way; this breaks the silence that the pending timeout counts.
    Progress(Value),
    /// It is offline and nothing of it is left.
    Offline,
    /// It failed.
    Failed {
        /// How, as a sentence.
        why: String,
        /// Nothing of it is left; otherwise it must be ended by force.
        gone: bool,
    },
    /// Somebody else has what it needs, as the sentence says; nothing of it is left. No fault of
    /// the resource, so it does not count against its budget.
    Refused(String),
    /// It cannot be stopped, not even by force.
    Stuck(String),
    /// The answer to [`Order::Check`]: `Err` says what is wrong.
    Checked {
        /// Whether it was the thorough check.
        thorough: bool,
        /// What was found.
        result: Result<(), String>,
    },
}

/// Something to be done, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Command {
    /// The group it is about.
    pub group: GroupName,
    /// The resource it is about, if it is about one.
    pub resource: Option<ResourceName>,
    /// What to do.
    pub order: Order,
    /// Why, as a sentence; it goes to the cluster log.
    pub reason: String,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Order {
    /// Take the epoch in the claim; answered by [`Event::Claimed`].
    Claim(Claim),
    /// Give the epoch up; answered by [`Event::Released`].
    Release {
        /// The epoch.
        epoch: u64,
        /// What to write.
        release: Release,
    },
    /// Restore the resource's keys, then bring it online.
    Online {
        /// The number of this start.
        run: u64,
        /// The epoch it runs under.
        epoch: u64,
    },
    /// Take it offline in order.
    Offline {
        /// The start it belongs to.
        run: u64,
    },
    /// End it by force.
    Terminate {
        /// The start it belongs to.
        run: u64,
    },
    /// Look whether it is alive; answered by [`Report::Checked`].
    Check {
        /// The start it belongs to.
        run: u64,
        /// Whether to look thoroughly.
        thorough: bool,
    },
    /// Switch the power of a node off by its fence agent; answered by [`Event::Fenced`].
    Fence {
        /// The run of the node's program that must not go on.
        owner: Owner,
    },
    /// Nothing to do: a change of state for the log.
    Note {
        /// The state or happening, in a word.
        what: &'static str,
    },
}

/// What the parts of the policy look at while they decide.
struct View<'a> {
    now_ms: u64,
    me: &'a Owner,
    configuration: &'a Configuration,
    observer: &'a Observer,
    lease_until_ms: u64,
    minute: Option<u16>,
    stopping: bool,
}

impl View<'_> {
    /// Whether there is enough of the lease left to start something.
    fn leased(&self) -> bool {
        self.now_ms < self.lease_until_ms
    }
}

/// Which groups an event may change something for.
enum Scope {
    /// None.
    Nothing,
    /// That one.
    One(GroupName),
    /// Every one.
    All,
}

/// The policy of one run of a node's program.
///
/// A step plans the groups that its event is about and those whose time has come: what it costs
/// does not grow with the groups that have nothing to do.
#[derive(Debug)]
pub struct Policy {
    me: Owner,
    configuration: Option<Arc<Configuration>>,
    observer: Observer,
    lease_until_ms: u64,
    /// The minute of the day in UTC, if it was told.
    minute: Option<u16>,
    stopping: bool,
    last_run: u64,
    groups: BTreeMap<GroupName, Group>,
    /// Some group is not configured any more, and something of it is left.
    leftovers: bool,
    /// The group of each resource.
    homes: BTreeMap<ResourceName, GroupName>,
    /// When each group is to be planned again though nothing happens.
    agenda: BTreeSet<(u64, GroupName)>,
}

impl Policy {
    /// A policy that knows nothing yet.
    #[must_use]
    pub fn new(me: Owner) -> Self {
        Self {
            me,
            configuration: None,
            observer: Observer::default(),
            lease_until_ms: 0,
            minute: None,
            stopping: false,
            last_run: 0,
            groups: BTreeMap::new(),
            leftovers: false,
            homes: BTreeMap::new(),
            agenda: BTreeSet::new(),
        }
    }

    /// The same where heartbeats are ordered, as [`crate::Coordinator::orders_heartbeats`] says.
    #[must_use]
    pub fn with_ordered_heartbeats(mut self, ordered: bool) -> Self {
        self.observer = Observer::new(ordered);
        self
    }

    /// Takes the next event and says what is to be done.
    ///
    /// `now_ms` is this node's own clock and never goes back. The same events at the same times
    /// give the same commands.
    pub fn step(&mut self, now_ms: u64, event: Event) -> Vec<Command> {
        let mut commands = Vec::new();
        let scope = self.learn(now_ms, event, &mut commands);
        let Some(configuration) = self.configuration.clone() else { return commands };
        let view = View {
            now_ms,
            me: &self.me,
            configuration: &configuration,
            observer: &self.observer,
            lease_until_ms: self.lease_until_ms,
            minute: self.minute,
            stopping: self.stopping,
        };
        let due = due(&self.agenda, now_ms);
        let mut plan = |name: &GroupName, group: &mut Group| {
            let planned_ms = group.due_ms;
            group.plan(&view, name, &mut self.last_run, &mut commands);
            if planned_ms != group.due_ms {
                self.agenda.remove(&(planned_ms, name.clone()));
                if group.due_ms < u64::MAX {
                    self.agenda.insert((group.due_ms, name.clone()));
                }
            }
        };
        match &scope {
            Scope::All => self.groups.iter_mut().for_each(|(name, group)| plan(name, group)),
            Scope::One(_) | Scope::Nothing => {
                let about = match &scope {
                    Scope::One(name) if !due.contains(name) => Some(name),
                    _ => None,
                };
                for name in about.into_iter().chain(&due) {
                    if let Some(group) = self.groups.get_mut(name) {
                        plan(name, group);
                    }
                }
            }
        }
        if self.leftovers || matches!(scope, Scope::All) {
            self.forget();
        }
        commands
    }

    /// Forgets groups that are not configured any more and of which nothing is left.
    fn forget(&mut self) {
        let agenda = &mut self.agenda;
        self.groups.retain(|name, group| {
            let stays = group.is_configured() || !group.idle();
            if !stays {
                agenda.remove(&(group.due_ms, name.clone()));
            }
            stays
        });
        self.leftovers = self.groups.values().any(|group| !group.is_configured());
    }

    fn learn(&mut self, now_ms: u64, event: Event, commands: &mut Vec<Command>) -> Scope {
        match event {
            Event::Configured(configuration) => {
                self.configure(now_ms, configuration);
                return Scope::All;
            }
            Event::Heartbeat { node, start_ms, heartbeat } => {
                let Some(known) = &self.configuration else { return Scope::Nothing };
                let heartbeat = heartbeat.as_ref();
                let timing = &known.timing;
                if self.observer.observe(start_ms, now_ms, &node, heartbeat, timing) {
                    return Scope::All;
                }
            }
            Event::Ownership { group: name, ownership } => {
                let Some(group) = self.groups.get_mut(&name) else { return Scope::Nothing };
                if let Some(claim) = ownership.as_ref().map(|ownership| &ownership.claim)
                    && group.epoch() < claim.epoch
                {
                    self.observer.claimed(now_ms, &claim.owner);
                }
                if group.learn_ownership(now_ms, &name, ownership, commands) {
                    return Scope::One(name);
                }
            }
            Event::Renewed { until_ms } => {
                let leased = now_ms < self.lease_until_ms;
                self.lease_until_ms = until_ms;
                return if leased { Scope::Nothing } else { Scope::All };
            }
            Event::LeaseLost => {
                self.lease_until_ms = 0;
                for (name, group) in &mut self.groups {
                    group.lease_lost(now_ms, name, commands);
                }
                return Scope::All;
            }
            Event::Claimed { group: name, attempt, outcome } => {
                if let Some(group) = self.groups.get_mut(&name) {
                    group.claimed(now_ms, attempt, outcome);
                }
                return Scope::One(name);
            }
            Event::Released { group: name, epoch, done } => {
                if let Some(group) = self.groups.get_mut(&name) {
                    group.released(now_ms, epoch, done);
                }
                return Scope::One(name);
            }
            Event::Resource { resource, run, report } => {
                return self.hear(now_ms, &resource, run, &report, commands);
            }
            Event::Fenced { group: name, owner, result } => {
                if let Some(group) = self.groups.get_mut(&name) {
                    group.fenced(now_ms, &name, owner, result, commands);
                }
                return Scope::One(name);
            }
            Event::Minute(minute) => {
                self.minute = Some(minute);
                return Scope::All;
            }
            Event::Stop => {
                self.stopping = true;
                return Scope::All;
            }
            Event::Tick => {}
        }
        Scope::Nothing
    }

    /// Passes a report on to the group that started the resource.
    fn hear(
        &mut self,
        now_ms: u64,
        resource: &ResourceName,
        run: u64,
        report: &Report,
        commands: &mut Vec<Command>,
    ) -> Scope {
        let home = self.homes.get(resource).cloned();
        if let Some(name) = home
            && let Some(group) = self.groups.get_mut(&name)
            && group.report(now_ms, &name, resource, run, report, commands)
        {
            return Scope::One(name);
        }
        // It was taken out of its group, and perhaps put into another, while it still runs.
        for (name, group) in self.groups.iter_mut() {
            if group.report(now_ms, name, resource, run, report, commands) {
                return Scope::One(name.clone());
            }
        }
        Scope::Nothing
    }

    fn configure(&mut self, now_ms: u64, configuration: Arc<Configuration>) {
        for group in self.groups.values_mut() {
            group.forget();
        }
        for (at, config) in configuration.groups.iter().enumerate() {
            let group = self.groups.entry(config.name.clone()).or_default();
            group.configure(now_ms, at, config);
            for resource in &config.resources {
                self.homes.insert(resource.name.clone(), config.name.clone());
            }
        }
        self.configuration = Some(configuration);
    }

    /// The groups that are this node's, with their epochs: what is to be kept ready for them.
    pub fn held(&self) -> impl Iterator<Item = (&GroupName, u64)> {
        self.groups.iter().filter_map(|(name, group)| Some((name, group.held_epoch()?)))
    }

    /// Whether nothing runs here; something may be owned that could not be released.
    #[must_use]
    pub fn down(&self) -> bool {
        self.groups.values().all(Group::down)
    }

    /// Whether nothing runs here and nothing is owned.
    #[must_use]
    pub fn idle(&self) -> bool {
        self.groups.values().all(Group::idle)
    }

    /// Resources that would not stop.
    #[must_use]
    pub fn stuck(&self) -> Vec<ResourceName> {
        self.groups.values().flat_map(Group::stuck).collect()
    }

    /// What observers are told.
    #[must_use]
    pub fn status(&self, now_ms: u64) -> BTreeMap<GroupName, OwnedGroup> {
        self.groups
            .iter()
            .filter_map(|(name, group)| Some((name.clone(), group.status(now_ms)?)))
            .collect()
    }
}

/// The groups whose time has come.
fn due(agenda: &BTreeSet<(u64, GroupName)>, now_ms: u64) -> Vec<GroupName> {
    let due = agenda.iter().take_while(|(due_ms, _)| *due_ms <= now_ms);
    due.map(|(_, name)| name.clone()).collect()
}
