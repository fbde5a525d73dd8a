//! The node's loop: it reads what is shared, asks the policy, and has its orders carried out.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender};
use std::time::Duration;

use rehome_log::Clock;

use super::keys::Keys;
use super::publisher::Publisher;
use super::worker::{Outlet, Remarks, Task, Worker};
use crate::configuration::Configuration;
use crate::coordinator::{Coordinator, CoordinatorError, Owner};
use crate::fence::switch_off;
use crate::ids::{GroupName, ResourceName};
use crate::journal::LogEntry;
use crate::lease::{Gate, Lease};
use crate::metrics::Metrics;
use crate::policy::{Command, Event, Order, Policy, Report};
use crate::registry::REGISTRY_DIR;
use crate::resources::{Context, Families, placeholder_values};
use crate::status::NodeStatus;

/// The longest time between two looks at what is shared, in milliseconds.
const POLL_MS_MAX: u64 = 40;

/// How often the status is published when nothing changes.
const PUBLISH_MS: u64 = 1_000;

/// How long a node that stops waits for resources that will not.
const STUCK_WAIT_MS: u64 = 15_000;

/// What wakes the loop.
pub(super) enum Message {
    /// A worker reports.
    Report { resource: ResourceName, run: u64, report: Report },
    /// A fence agent has answered.
    Fenced { group: GroupName, owner: Owner, result: Result<(), String> },
    /// Look at the lease and the flags.
    Wake,
    /// Something that is shared has changed: look at it at once.
    Look,
}

/// What the loop was given.
pub(super) struct Parts {
    pub(super) me: Owner,
    pub(super) coordinator: Arc<dyn Coordinator>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) state_dir: std::path::PathBuf,
    pub(super) program: std::path::PathBuf,
    pub(super) metrics: Metrics,
    pub(super) lease: Arc<Lease>,
    pub(super) gate: Arc<Gate>,
    pub(super) families: Arc<Families>,
    pub(super) messages: Receiver<Message>,
    pub(super) sender: Sender<Message>,
}

/// A worker and what it was made for.
struct Post {
    group: GroupName,
    epoch: u64,
    revision: u64,
    worker: Worker,
}

pub(super) struct Shell {
    parts: Parts,
    policy: Policy,
    configuration: Option<Arc<Configuration>>,
    posts: BTreeMap<ResourceName, Post>,
    /// Runs of posts that were given up but whose threads are still at work.
    retired: Vec<std::thread::JoinHandle<()>>,
    lost_told: bool,
    renewed_until_ms: u64,
    polled_ms: Option<u64>,
    minute: Option<u16>,
    publisher: Publisher,
    published: Option<(u64, NodeStatus)>,
    trouble: Option<String>,
}

impl Shell {
    pub(super) fn new(parts: Parts) -> Self {
        let ordered = parts.coordinator.orders_heartbeats();
        let policy = Policy::new(parts.me.clone()).with_ordered_heartbeats(ordered);
        let publisher = Publisher::start(parts.coordinator.clone());
        Self {
            parts,
            policy,
            configuration: None,
            posts: BTreeMap::new(),
            retired: Vec::new(),
            lost_told: false,
            renewed_until_ms: 0,
            polled_ms: None,
            minute: None,
            publisher,
            published: None,
            trouble: None,
        }
    }

    /// Runs until `stop` is set and everything is offline and released. If what is shared is out
    /// of reach, nothing can be released: then it is enough that the lease is over, because others
    /// wait for no more than that. Returns what would not stop.
    pub(super) fn run(&mut self, stop: &AtomicBool) -> Vec<ResourceName> {
        let mut stopping_since_ms = None;
        self.tell_of_cgroups();
        loop {
            self.parts.lease.loop_came_round();
            self.look_at_lease();
            if stop.load(Ordering::SeqCst) && stopping_since_ms.is_none() {
                stopping_since_ms = Some(self.now_ms());
                self.feed(Event::Stop);
            }
            self.poll();
            self.look_at_the_hour();
            self.feed(Event::Tick);
            self.look_at_stuck();
            self.publish();
            if let Some(since_ms) = stopping_since_ms {
                let stuck = self.policy.stuck();
                let waited_ms = self.now_ms().saturating_sub(since_ms);
                let unheard = self.parts.lease.lost() && self.policy.down();
                if self.policy.idle() || unheard || (!stuck.is_empty() && waited_ms > STUCK_WAIT_MS)
                {
                    self.retire_all();
                    return stuck;
                }
            }
            self.wait();
        }
    }

    /// Says once what a stop by force cannot find here.
    fn tell_of_cgroups(&self) {
        if let Some(why) = self.parts.families.no_cgroups_because() {
            let reason = format!(
                "resources have no cgroups of their own here ({why}): of what a resource starts, \
                 a stop by force finds its process group and what kept its environment; let this \
                 account make cgroups (Delegate=yes of systemd) to have all of it found"
            );
            self.log(None, None, "no cgroups", &reason);
        }
    }

    fn now_ms(&self) -> u64 {
        self.parts.clock.monotonic_ms()
    }

    /// Time between two looks at what is shared: often enough to miss no heartbeat, and that a
    /// person who asks for something does not wait for it.
    fn poll_ms(&self) -> u64 {
        let heartbeat_ms = self.configuration.as_ref().map_or(100, |c| c.timing.heartbeat_ms);
        (heartbeat_ms / 3).clamp(5, POLL_MS_MAX)
    }

    /// Waits for messages until it is time to read what is shared.
    fn wait(&mut self) {
        let due_ms = self.polled_ms.map_or(0, |at_ms| at_ms + self.poll_ms());
        let wait_ms = due_ms.saturating_sub(self.now_ms()).max(1);
        // A timeout is as good as a message: either way the loop comes round.
        let mut next = self.parts.messages.recv_timeout(Duration::from_millis(wait_ms)).ok();
        while let Some(message) = next {
            self.look_at_lease();
            match message {
                Message::Report { resource, run, report } => {
                    self.feed(Event::Resource { resource, run, report });
                }
                Message::Fenced { group, owner, result } => {
                    self.feed(Event::Fenced { group, owner, result });
                }
                Message::Look => self.polled_ms = None,
                Message::Wake => {}
            }
            next = self.parts.messages.try_recv().ok();
        }
    }

    /// Tells the policy about the lease before anything else: it must not act on a lost one.
    fn look_at_lease(&mut self) {
        let until_ms = self.parts.lease.until_ms();
        if self.parts.lease.lost() {
            if !self.lost_told {
                self.lost_told = true;
                self.feed(Event::LeaseLost);
            }
            if until_ms <= self.now_ms() {
                return;
            }
            self.parts.lease.acknowledge(&self.parts.gate);
        }
        self.lost_told = false;
        if until_ms != self.renewed_until_ms {
            self.renewed_until_ms = until_ms;
            self.feed(Event::Renewed { until_ms });
        }
    }

    /// Reads what is shared, when it is time.
    fn poll(&mut self) {
        let now_ms = self.now_ms();
        if self.polled_ms.is_some_and(|at_ms| now_ms < at_ms + self.poll_ms()) {
            return;
        }
        let result = self.read_shared();
        self.polled_ms = Some(self.now_ms());
        let trouble = result.err().map(|error| error.to_string());
        if trouble != self.trouble {
            match &trouble {
                Some(trouble) => self.log(None, None, "trouble", trouble),
                None => self.log(None, None, "trouble is over", "what is shared answers again"),
            }
            self.trouble = trouble;
        }
    }

    fn read_shared(&mut self) -> Result<(), CoordinatorError> {
        let start_ms = self.now_ms();
        let mut shared = self.parts.coordinator.look(self.configuration.as_deref())?;
        if let Some(next) = shared.configuration.take() {
            let next = Arc::new(next);
            self.configuration = Some(next.clone());
            self.feed(Event::Configured(next));
        }
        let Some(configuration) = self.configuration.clone() else { return Ok(()) };
        for node in &configuration.nodes {
            let heartbeat = shared.heartbeats.remove(&node.name);
            self.feed(Event::Heartbeat { node: node.name.clone(), start_ms, heartbeat });
        }
        for group in &configuration.groups {
            let ownership = shared.ownerships.remove(&group.name);
            self.feed(Event::Ownership { group: group.name.clone(), ownership });
        }
        Ok(())
    }

    /// Gives the policy an event and carries out what it orders, and so on until it is content.
    fn feed(&mut self, event: Event) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            let commands = self.policy.step(self.now_ms(), event);
            self.keep_posts();
            for command in commands {
                events.extend(self.carry_out(command));
            }
        }
    }

    fn carry_out(&mut self, command: Command) -> Vec<Event> {
        let Command { group, resource, order, reason } = command;
        let action = match &order {
            Order::Claim(_) => "claim",
            Order::Release { .. } => "release",
            Order::Online { .. } => "online",
            Order::Offline { .. } => "offline",
            Order::Terminate { .. } => "terminate",
            Order::Note { what } => what,
            Order::Fence { .. } => "fence",
            Order::Check { .. } => "",
        };
        if !action.is_empty() {
            self.log(Some(&group), resource.as_ref(), action, &reason);
        }
        match (order, resource) {
            (Order::Claim(claim), _) => {
                let attempt = claim.attempt;
                let outcome = self.parts.coordinator.claim(&group, &claim).ok();
                // Losing the lease while the claim was on its way makes the claim void.
                let lost = self.parts.lease.lost() && !self.lost_told;
                self.lost_told |= lost;
                let claimed = Event::Claimed { group, attempt, outcome };
                let mut events: Vec<Event> = lost.then_some(Event::LeaseLost).into_iter().collect();
                events.push(claimed);
                events
            }
            (Order::Fence { owner }, _) => self.fence(group, owner),
            (Order::Release { epoch, release }, _) => {
                let done = self.parts.coordinator.release(&group, epoch, &release).is_ok();
                vec![Event::Released { group, epoch, done }]
            }
            (Order::Online { run, epoch }, Some(resource)) => {
                self.bring_online(&group, resource, run, epoch)
            }
            (Order::Offline { run }, Some(resource)) => {
                self.tell(resource, run, Task::Offline { run })
            }
            (Order::Terminate { run }, Some(resource)) => {
                self.tell(resource, run, Task::Terminate { run })
            }
            (Order::Check { run, thorough }, Some(resource)) => {
                self.tell(resource, run, Task::Check { run, thorough })
            }
            _ => Vec::new(),
        }
    }

    /// Has a thread of its own call the agent: the loop does not wait for it.
    fn fence(&mut self, group: GroupName, owner: Owner) -> Vec<Event> {
        let configuration = self.configuration.as_ref();
        let node = configuration.and_then(|all| all.node(&owner.node));
        let Some(fence) = node.and_then(|node| node.fence.clone()) else {
            let result = Err("it has no fence agent any more".to_owned());
            return vec![Event::Fenced { group, owner, result }];
        };
        let (sender, whose, of) = (self.parts.sender.clone(), owner.clone(), group.clone());
        let call = move || {
            let result = switch_off(&fence);
            drop(sender.send(Message::Fenced { group: of, owner: whose, result }));
        };
        match std::thread::Builder::new().name("fence".to_owned()).spawn(call) {
            Ok(_) => Vec::new(),
            Err(error) => {
                let result = Err(format!("no thread for it: {error}"));
                vec![Event::Fenced { group, owner, result }]
            }
        }
    }

    /// A node with something that will not stop, and whose power can be switched off, renews its
    /// lease no more: others then switch it off and take what it has.
    fn look_at_stuck(&mut self) {
        let stuck = self.policy.stuck();
        let Some(first) = stuck.first() else { return };
        let me = &self.parts.me.node;
        let configuration = self.configuration.as_ref();
        let fenced = configuration.and_then(|all| all.node(me)?.fence.as_ref()).is_some();
        let others = configuration.is_some_and(|all| all.nodes.len() > 1);
        if fenced && others && self.parts.lease.give_up() {
            let reason = "it does not stop, not even by force: this node renews its lease no more, \
                          so that another one switches its power off";
            self.log(None, Some(first), "gives up", reason);
        }
    }

    /// Tells the policy the minute of the day, for what is to happen at some hours only.
    fn look_at_the_hour(&mut self) {
        let minutes = self.parts.clock.wall_us().div_euclid(60_000_000);
        let minute = u16::try_from(minutes.rem_euclid(24 * 60)).unwrap_or(0);
        if self.minute != Some(minute) {
            self.minute = Some(minute);
            self.feed(Event::Minute(minute));
        }
    }

    fn bring_online(
        &mut self,
        group: &GroupName,
        resource: ResourceName,
        run: u64,
        epoch: u64,
    ) -> Vec<Event> {
        let configuration = self.configuration.clone();
        let found = configuration
            .as_ref()
            .and_then(|all| Some((all, all.group(group)?, all.resource(&resource)?.1)));
        let Some((all, config, resource_config)) = found else { return Vec::new() };
        let context = Context {
            cluster: all.name.clone(),
            node: self.parts.me.node.clone(),
            group: group.clone(),
            resource: resource.clone(),
            epoch,
            state_dir: self.parts.state_dir.clone(),
            program: self.parts.program.clone(),
            gate: self.parts.gate.clone(),
            families: self.parts.families.clone(),
            generation: self.parts.gate.generation(),
            values: placeholder_values(all, config, resource_config),
        };
        let context = Box::new(context.with_place(self.parts.coordinator.place()));
        let held_wait_ms = 2 * all.timing.lease_ms;
        self.tell(resource, run, Task::Online { run, context, held_wait_ms })
    }

    /// Passes a task to the worker; without one the resource is not here.
    fn tell(&mut self, resource: ResourceName, run: u64, task: Task) -> Vec<Event> {
        match self.posts.get(&resource) {
            Some(post) => {
                post.worker.tell(task);
                Vec::new()
            }
            None => vec![Event::Resource { resource, run, report: Report::Offline }],
        }
    }

    /// Has a worker for every resource of every group that is this node's, and no other.
    fn keep_posts(&mut self) {
        let Some(configuration) = self.configuration.clone() else { return };
        let held: BTreeMap<GroupName, u64> =
            self.policy.held().map(|(group, epoch)| (group.clone(), epoch)).collect();
        let gone: Vec<ResourceName> = self
            .posts
            .iter()
            .filter(|(_, post)| held.get(&post.group) != Some(&post.epoch))
            .map(|(resource, _)| resource.clone())
            .collect();
        for resource in gone {
            if let Some(post) = self.posts.remove(&resource) {
                self.retired.extend(post.worker.retire());
            }
        }
        self.retired.retain(|thread| !thread.is_finished());
        for (group, &epoch) in &held {
            let Some(config) = configuration.group(group) else { continue };
            for resource in &config.resources {
                if !self.posts.contains_key(&resource.name)
                    && let Err(error) = self.open_post(group, &resource.name, epoch)
                {
                    let reason = format!("no thread for it: {error}");
                    self.log(Some(group), Some(&resource.name), "trouble", &reason);
                    continue;
                }
                if let Some(post) = self.posts.get_mut(&resource.name)
                    && post.revision != configuration.revision
                {
                    post.revision = configuration.revision;
                    post.worker.tell(Task::Configure(Box::new(resource.clone())));
                }
            }
        }
    }

    fn open_post(
        &mut self,
        group: &GroupName,
        resource: &ResourceName,
        epoch: u64,
    ) -> std::io::Result<()> {
        let parts = &self.parts;
        let keys = Keys::new(
            parts.coordinator.clone(),
            parts.state_dir.join(REGISTRY_DIR),
            parts.me.node.clone(),
            resource.clone(),
            epoch,
        );
        let (sender, name) = (parts.sender.clone(), resource.clone());
        let outlet: Outlet = Arc::new(move |run, report| {
            drop(sender.send(Message::Report { resource: name.clone(), run, report }));
        });
        let (journal, clock) = (parts.coordinator.clone(), parts.clock.clone());
        let (node, in_group, name) = (parts.me.node.clone(), group.clone(), resource.clone());
        let remarks: Remarks = Arc::new(move |action, reason| {
            journal.write_log(&LogEntry {
                wall_us: clock.wall_us(),
                node: node.clone(),
                group: Some(in_group.clone()),
                resource: Some(name.clone()),
                action: action.to_owned(),
                reason: reason.to_owned(),
            });
        });
        let worker = Worker::start(keys, parts.clock.clone(), outlet, remarks)?;
        let post = Post { group: group.clone(), epoch, revision: 0, worker };
        self.posts.insert(resource.clone(), post);
        Ok(())
    }

    fn retire_all(&mut self) {
        for (_, post) in std::mem::take(&mut self.posts) {
            self.retired.extend(post.worker.retire());
        }
        if self.policy.stuck().is_empty() {
            for thread in self.retired.drain(..) {
                drop(thread.join());
            }
        }
    }

    fn publish(&mut self) {
        let now_ms = self.now_ms();
        let status = NodeStatus {
            node: self.parts.me.node.clone(),
            incarnation: self.parts.me.incarnation.clone(),
            pid: std::process::id(),
            revision: self.configuration.as_ref().map_or(0, |known| known.revision),
            groups: self.policy.status(now_ms),
        };
        let timeless = |status: &NodeStatus| {
            let mut status = status.clone();
            let groups = status.groups.values_mut();
            groups.flat_map(|group| group.resources.values_mut()).for_each(|r| r.for_ms = 0);
            status
        };
        let bare = timeless(&status);
        if let Some((at_ms, old)) = &self.published
            && *old == bare
            && now_ms < at_ms + PUBLISH_MS
        {
            return;
        }
        let lease_left_ms = self.parts.lease.until_ms().saturating_sub(now_ms);
        self.parts.metrics.tell(&status, lease_left_ms);
        self.publisher.publish(status);
        self.published = Some((now_ms, bare));
    }

    fn log(
        &self,
        group: Option<&GroupName>,
        resource: Option<&ResourceName>,
        action: &str,
        reason: &str,
    ) {
        self.parts.coordinator.write_log(&LogEntry {
            wall_us: self.parts.clock.wall_us(),
            node: self.parts.me.node.clone(),
            group: group.cloned(),
            resource: resource.cloned(),
            action: action.to_owned(),
            reason: reason.to_owned(),
        });
    }
}
