//! What a node decides: a pure function of what it knows and of the next event.
//!
//! Every node runs its own policy over what it reads through the [`crate::Coordinator`]. Nothing
//! here waits, reads a clock or touches a file: time is an argument, orders are the result.

mod group;
mod resource;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
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
    stopping: bool,
}

impl View<'_> {
    /// Whether there is enough of the lease left to start something.
    fn leased(&self) -> bool {
        self.now_ms < self.lease_until_ms
    }
}

/// The policy of one run of a node's program.
#[derive(Debug)]
pub struct Policy {
    me: Owner,
    configuration: Option<Arc<Configuration>>,
    observer: Observer,
    lease_until_ms: u64,
    stopping: bool,
    last_run: u64,
    groups: BTreeMap<GroupName, Group>,
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
            stopping: false,
            last_run: 0,
            groups: BTreeMap::new(),
        }
    }

    /// Takes the next event and says what is to be done.
    ///
    /// `now_ms` is this node's own clock and never goes back. The same events at the same times
    /// give the same commands.
    pub fn step(&mut self, now_ms: u64, event: Event) -> Vec<Command> {
        let mut commands = Vec::new();
        self.learn(now_ms, event, &mut commands);
        let Some(configuration) = self.configuration.clone() else { return commands };
        let view = View {
            now_ms,
            me: &self.me,
            configuration: &configuration,
            observer: &self.observer,
            lease_until_ms: self.lease_until_ms,
            stopping: self.stopping,
        };
        for (name, group) in &mut self.groups {
            let config = configuration.group(name);
            group.plan(&view, name, config, &mut self.last_run, &mut commands);
        }
        self.groups.retain(|name, group| configuration.group(name).is_some() || !group.idle());
        commands
    }

    fn learn(&mut self, now_ms: u64, event: Event, commands: &mut Vec<Command>) {
        match event {
            Event::Configured(configuration) => self.configure(now_ms, configuration),
            Event::Heartbeat { node, start_ms, heartbeat } => {
                self.observer.observe(start_ms, now_ms, &node, heartbeat.as_ref());
            }
            Event::Ownership { group, ownership } => {
                let Some(known) = self.groups.get_mut(&group) else { return };
                if let Some(claim) = ownership.as_ref().map(|ownership| &ownership.claim)
                    && known.epoch() < claim.epoch
                {
                    self.observer.claimed(now_ms, &claim.owner);
                }
                known.learn_ownership(now_ms, &group, ownership, commands);
            }
            Event::Renewed { until_ms } => self.lease_until_ms = until_ms,
            Event::LeaseLost => {
                self.lease_until_ms = 0;
                for (name, group) in &mut self.groups {
                    group.lease_lost(now_ms, name, commands);
                }
            }
            Event::Claimed { group: name, attempt, outcome } => {
                if let Some(group) = self.groups.get_mut(&name) {
                    group.claimed(now_ms, attempt, outcome);
                }
            }
            Event::Released { group, epoch, done } => {
                if let Some(group) = self.groups.get_mut(&group) {
                    group.released(epoch, done);
                }
            }
            Event::Resource { resource, run, report } => {
                for (name, group) in &mut self.groups {
                    group.report(now_ms, name, &resource, run, &report, commands);
                }
            }
            Event::Stop => self.stopping = true,
            Event::Tick => {}
        }
    }

    fn configure(&mut self, now_ms: u64, configuration: Arc<Configuration>) {
        for config in &configuration.groups {
            let group = self.groups.entry(config.name.clone()).or_default();
            group.configure(now_ms, config);
        }
        for (name, group) in &mut self.groups {
            if configuration.group(name).is_none() {
                group.forget();
            }
        }
        self.configuration = Some(configuration);
    }

    /// The groups that are this node's, with their epochs: what is to be kept ready for them.
    pub fn held(&self) -> impl Iterator<Item = (&GroupName, u64)> {
        self.groups.iter().filter_map(|(name, group)| Some((name, group.held_epoch()?)))
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
