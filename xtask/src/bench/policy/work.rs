//! One policy that loses a node, in a process of its own: how long it takes to decide for all.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use clap::Args;
use rehome::parts::cluster::{
    Claim, ClaimOutcome, ClusterConfig, Command, Configuration, Event, GroupConfig, GroupName,
    Heartbeat, NodeConfig, NodeName, Order, Owner, Ownership, Policy, Report, ResourceConfig,
    ResourceKind, ResourceName, Target,
};
use serde_json::json;

use crate::bench::{child, process};

/// Resources in a group: folder, address, name and store.
const GROUP_SIZE: usize = 4;

/// Nodes of the cluster.
const NODES: usize = 4;

/// How much is decided for.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct PolicyWork {
    /// Resources in the cluster.
    pub(crate) resources: usize,
    /// The lost node had all of them; otherwise each of four nodes has as many.
    #[arg(long)]
    pub(crate) all_lost: bool,
}

impl PolicyWork {
    pub(crate) fn command(self) -> Result<std::process::Command, String> {
        let mut command = child::command("policy")?;
        command.arg(self.resources.to_string());
        if self.all_lost {
            command.arg("--all-lost");
        }
        Ok(command)
    }

    pub(crate) fn run(self) -> Result<(), String> {
        let mut bench = Bench::new(configuration(self)?)?;
        bench.settle(self);
        let commands_before = bench.commands;
        process::forget_peak();
        let lost_ms = bench.lose_node();
        let lost = bench.online;
        child::tell(&json!({
            "resources": self.resources,
            "all_lost": self.all_lost,
            "moved": lost,
            "milliseconds": lost_ms,
            "commands": bench.commands - commands_before,
            "peak_rss_bytes": process::peak_rss_bytes(),
        }));
        let groups = self.resources / GROUP_SIZE;
        let lost_groups = if self.all_lost { groups } else { groups.div_ceil(NODES) };
        let expected = lost_groups * GROUP_SIZE;
        if lost == expected { Ok(()) } else { Err(format!("{lost} of {expected} came online")) }
    }
}

fn node(number: usize) -> Result<NodeName, String> {
    NodeName::new(&format!("n{number}")).map_err(|error| error.to_string())
}

fn configuration(work: PolicyWork) -> Result<Configuration, String> {
    let names: Vec<NodeName> = (0..NODES).map(node).collect::<Result<_, _>>()?;
    let nodes = names.iter().map(|name| NodeConfig::new(name.clone(), "/state")).collect();
    let config = ClusterConfig::new("office", "mail-service", nodes);
    let mut configuration = Configuration::new(config).map_err(|error| error.to_string())?;
    for number in 0..work.resources / GROUP_SIZE {
        let name = GroupName::new(&format!("group-{number}")).map_err(|error| error.to_string())?;
        let mut group = GroupConfig::new(name);
        let owner = if work.all_lost { 0 } else { number % NODES };
        group.preferred_owners.push(names[owner].clone());
        let mut before: Option<ResourceName> = None;
        for part in ["folder", "address", "name", "store"] {
            let name = ResourceName::new(&format!("{part}-{number}"));
            let name = name.map_err(|error| error.to_string())?;
            let kind = ResourceKind::Folder { path: format!("/shared/{number}").into() };
            let mut resource = ResourceConfig::new(name, kind).target(Target::Online);
            resource.depends_on.extend(before.replace(resource.name.clone()));
            group.resources.push(resource);
        }
        configuration.groups.push(group);
    }
    configuration.check().map_err(|error| error.to_string())?;
    Ok(configuration)
}

/// A policy, and resources that obey at once.
struct Bench {
    configuration: Arc<Configuration>,
    policy: Policy,
    nodes: Vec<NodeName>,
    now_ms: u64,
    commands: u64,
    online: usize,
}

impl Bench {
    fn new(configuration: Configuration) -> Result<Self, String> {
        let nodes: Vec<NodeName> = (0..NODES).map(node).collect::<Result<_, _>>()?;
        let me = owner(&nodes[1]);
        let (now_ms, commands, online) = (0, 0, 0);
        let policy = Policy::new(me);
        let configuration = Arc::new(configuration);
        Ok(Self { configuration, policy, nodes, now_ms, commands, online })
    }

    /// Every node is there, and each group is its preferred owner's.
    fn settle(&mut self, work: PolicyWork) {
        self.feed(Event::Configured(self.configuration.clone()));
        for _ in 0..3 {
            self.beat(0);
        }
        let configuration = self.configuration.clone();
        for (number, group) in configuration.groups.iter().enumerate() {
            let whose = if work.all_lost { 0 } else { number % NODES };
            // What is this node's own would be brought online now; it is the others' here.
            let whose = if whose == 1 { 2 } else { whose };
            let owner = owner(&self.nodes[whose]);
            let claim = Claim {
                epoch: 1,
                owner,
                attempt: 1,
                reason: "it is preferred".to_owned(),
                failover_ages_ms: Vec::new(),
            };
            let ownership = Some(Ownership { claim, release: None });
            self.feed(Event::Ownership { group: group.name.clone(), ownership });
        }
        self.feed(Event::Renewed { until_ms: u64::MAX / 2 });
    }

    /// A look at all heartbeats; nodes below `silent` do not beat any more.
    fn beat(&mut self, silent: usize) {
        self.now_ms += 100;
        for number in 0..NODES {
            let counter = if number < silent { 300 } else { self.now_ms };
            let name = self.nodes[number].clone();
            let Owner { node, incarnation } = owner(&name);
            let heartbeat = Heartbeat { node, incarnation, counter, pid: 1, leaving: false };
            let start_ms = self.now_ms;
            self.feed(Event::Heartbeat { node: name, start_ms, heartbeat: Some(heartbeat) });
        }
    }

    /// Node 0 falls silent. The time from the reading that shows it to the last resource, in
    /// milliseconds.
    fn lose_node(&mut self) -> f64 {
        let wait_ms = self.configuration.timing.lease_ms + self.configuration.timing.margin_ms;
        while self.now_ms + 100 < 300 + wait_ms {
            self.beat(1);
        }
        let begun = Instant::now();
        self.beat(1);
        begun.elapsed().as_secs_f64() * 1e3
    }

    /// Gives the policy an event, obeys, and so on until it is content.
    fn feed(&mut self, event: Event) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            for command in self.policy.step(self.now_ms, event) {
                self.commands += 1;
                events.extend(self.obey(command));
            }
        }
    }

    fn obey(&mut self, command: Command) -> Option<Event> {
        match (command.order, command.resource) {
            (Order::Claim(claim), _) => {
                let (group, attempt) = (command.group, claim.attempt);
                Some(Event::Claimed { group, attempt, outcome: Some(ClaimOutcome::Won) })
            }
            (Order::Online { run, .. }, Some(resource)) => {
                self.online += 1;
                Some(Event::Resource { resource, run, report: Report::Online(None) })
            }
            _ => None,
        }
    }
}

fn owner(node: &NodeName) -> Owner {
    Owner { node: node.clone(), incarnation: "1".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(resources: usize, all_lost: bool, moved: usize) {
        let work = PolicyWork { resources, all_lost };
        let mut bench = Bench::new(configuration(work).unwrap()).unwrap();
        bench.settle(work);
        bench.lose_node();
        let status = bench.policy.status(bench.now_ms);
        assert_eq!((bench.online, status.len() * GROUP_SIZE), (moved, moved));
    }

    #[test]
    fn what_the_lost_node_had_is_brought_online() {
        check(160, true, 160);
        check(160, false, 40);
    }
}
