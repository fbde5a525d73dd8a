//! The resources of one group, in the order in which they come online.

use std::collections::BTreeMap;

use super::Command;
use super::resource::{Around, Resource};
use crate::configuration::{GroupConfig, RestartAction, Target};
use crate::ids::{GroupName, ResourceName};
use crate::status::ResourceState;

/// One resource and its place among the others; these are meant by their numbers.
#[derive(Debug)]
struct Member {
    name: ResourceName,
    /// Where in the group's configuration it is.
    at: usize,
    depends_on: Vec<usize>,
    dependents: Vec<usize>,
    state: Resource,
}

/// The resources of a group: those configured, and those that were and still run.
#[derive(Debug, Default)]
pub(super) struct Members {
    /// What a resource depends on comes before it.
    configured: Vec<Member>,
    numbers: BTreeMap<ResourceName, usize>,
    removed: BTreeMap<ResourceName, Resource>,
}

/// What those that depend on a resource need to know of it.
struct Seen {
    wanted: bool,
    /// What is not online of it and all that it depends on, if anything: then it cannot stay
    /// either.
    missing: Option<usize>,
}

/// What is the same for all resources of a group while they are planned.
pub(super) struct Place<'a> {
    pub(super) now_ms: u64,
    pub(super) group: &'a GroupName,
    pub(super) epoch: u64,
    pub(super) leased: bool,
    /// Why the group is given up, if it is.
    pub(super) leaving_because: Option<&'a str>,
}

impl Members {
    /// Takes the configured resources; a resource that was there keeps its state.
    pub(super) fn configure(&mut self, now_ms: u64, config: &GroupConfig) {
        self.forget();
        // A cycle cannot be configured; with one, nothing would be brought online.
        let order = config.online_order().unwrap_or_default();
        let places: BTreeMap<&ResourceName, usize> =
            config.resources.iter().enumerate().map(|(at, one)| (&one.name, at)).collect();
        self.numbers =
            order.iter().enumerate().map(|(number, name)| (name.clone(), number)).collect();
        for name in order {
            let at = places[&name];
            let resource = &config.resources[at];
            let known = self.removed.remove(&name);
            let mut state = known.unwrap_or_else(|| Resource::new(now_ms, resource.request));
            state.configure(resource.request);
            let depends_on = resource.depends_on.iter().map(|name| self.numbers[name]).collect();
            let dependents = Vec::new();
            self.configured.push(Member { name, at, depends_on, dependents, state });
        }
        for number in 0..self.configured.len() {
            for needed in self.configured[number].depends_on.clone() {
                self.configured[needed].dependents.push(number);
            }
        }
    }

    /// None of the resources is configured any more.
    pub(super) fn forget(&mut self) {
        self.numbers.clear();
        let gone = self.configured.drain(..).map(|member| (member.name, member.state));
        self.removed.extend(gone);
    }

    pub(super) fn find(&mut self, name: &ResourceName) -> Option<&mut Resource> {
        match self.numbers.get(name) {
            Some(&number) => Some(&mut self.configured[number].state),
            None => self.removed.get_mut(name),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&ResourceName, &Resource)> {
        let configured = self.configured.iter().map(|member| (&member.name, &member.state));
        configured.chain(&self.removed)
    }

    fn iter_mut(&mut self) -> impl Iterator<Item = (&ResourceName, &mut Resource)> {
        let configured = self.configured.iter_mut();
        configured.map(|member| (&member.name, &mut member.state)).chain(&mut self.removed)
    }

    /// Whether nothing of any of them runs.
    pub(super) fn down(&self) -> bool {
        self.iter().all(|(_, state)| state.down())
    }

    /// The group was taken: every resource starts with a clean record.
    pub(super) fn renew(&mut self, now_ms: u64) {
        for (_, state) in self.iter_mut() {
            *state = Resource::new(now_ms, state.request());
        }
    }

    /// Ends everything by force, what depends on others first.
    pub(super) fn cut_off(
        &mut self,
        now_ms: u64,
        group: &GroupName,
        why: &str,
        out: &mut Vec<Command>,
    ) {
        for member in self.configured.iter_mut().rev() {
            member.state.cut_off(now_ms, group, &member.name, why, out);
        }
        for (name, state) in &mut self.removed {
            state.cut_off(now_ms, group, name, why, out);
        }
    }

    /// A resource whose failures are used up and which takes its group along, and why it failed.
    pub(super) fn failed_for_good(&self, config: &GroupConfig) -> Option<(&ResourceName, &str)> {
        let failed = |member: &&Member| {
            let action = config.resources[member.at].restart_action;
            let moves = action == RestartAction::RestartAndMoveGroup;
            let state = &member.state;
            moves && state.state == ResourceState::Failed && state.given_up_ms.is_some()
        };
        self.configured.iter().find(failed).map(|found| (&found.name, found.state.reason()))
    }

    /// Decides for each resource, and says when there may be more to decide though nothing
    /// happens.
    pub(super) fn plan(
        &mut self,
        place: &Place<'_>,
        config: Option<&GroupConfig>,
        last_run: &mut u64,
        out: &mut Vec<Command>,
    ) -> u64 {
        let mut due_ms = u64::MAX;
        if let Some(config) = config {
            let mut seen = Vec::with_capacity(self.configured.len());
            for number in 0..self.configured.len() {
                let before = self.configured[number].state.state;
                self.plan_one(number, place, config, &mut seen, last_run, out);
                let member = &self.configured[number];
                due_ms = due_ms.min(match member.state.state == before {
                    true => member.state.due_ms(place.now_ms, &config.resources[member.at]),
                    false => place.now_ms,
                });
            }
        }
        for (name, state) in &mut self.removed {
            state.remove(place.now_ms, place.group, name, out);
        }
        self.removed.retain(|_, state| !state.down());
        due_ms
    }

    fn plan_one(
        &mut self,
        number: usize,
        place: &Place<'_>,
        config: &GroupConfig,
        seen: &mut Vec<Seen>,
        last_run: &mut u64,
        out: &mut Vec<Command>,
    ) {
        let member = &self.configured[number];
        let resource = &config.resources[member.at];
        let member_of = |&number: &usize| &self.configured[number];
        let possible = member.depends_on.iter().all(|&needed| seen[needed].wanted);
        let holding = place.leaving_because.is_none();
        let wanted = holding && resource.target == Target::Online && possible;
        let unwanted_because = match (place.leaving_because, resource.target) {
            (Some(reason), _) => reason,
            (None, Target::Offline) => "it is to be offline",
            (None, Target::Online) => "something that it depends on is to be offline",
        };
        let missing = member.depends_on.iter().find_map(|&needed| seen[needed].missing);
        let missing_name = missing.map(|other| self.configured[other].name.clone());
        let dependents_down =
            member.dependents.iter().map(member_of).all(|other| other.state.down());
        let member = &mut self.configured[number];
        let around = Around {
            now_ms: place.now_ms,
            group: place.group,
            name: &member.name,
            config: resource,
            epoch: place.epoch,
            wanted,
            unwanted_because,
            missing: missing_name.as_ref(),
            dependents_down,
            leased: place.leased,
        };
        member.state.plan(&around, last_run, out);
        let online = member.state.state == ResourceState::Online;
        let missing = missing.or(if online { None } else { Some(number) });
        seen.push(Seen { wanted, missing });
    }
}
