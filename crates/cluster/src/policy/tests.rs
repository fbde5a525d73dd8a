//! The policy, one event at a time.

mod care;

use serde_json::json;

use super::*;
use crate::configuration::{
    ClusterConfig, GroupConfig, NodeConfig, ResourceConfig, ResourceKind, RestartAction, Target,
};
use crate::status::ResourceState;

fn node(name: &str) -> NodeName {
    NodeName::new(name).unwrap()
}

fn name(name: &str) -> ResourceName {
    ResourceName::new(name).unwrap()
}

fn mail() -> GroupName {
    GroupName::new("mail").unwrap()
}

fn owner(name: &str) -> Owner {
    Owner { node: node(name), incarnation: "1".to_owned() }
}

fn beat(name: &str, counter: u64) -> Heartbeat {
    let (node, incarnation) = (node(name), "1".to_owned());
    Heartbeat { node, incarnation, counter, pid: 1, leaving: false }
}

/// Nodes a and b; a group in which `store` needs `directory` needs `disk`.
fn configuration() -> Configuration {
    let nodes = ["a", "b"].map(|name| NodeConfig::new(node(name), "/state"));
    let mut configuration =
        Configuration::new(ClusterConfig::new("office", "mail-service", nodes.to_vec())).unwrap();
    let resource = |this: &str, needs: &[&str]| {
        let kind = ResourceKind::Folder { path: "/shared".into() };
        let mut config = ResourceConfig::new(name(this), kind).target(Target::Online);
        config.depends_on = needs.iter().map(|needed| name(needed)).collect();
        config
    };
    let mut group = GroupConfig::new(mail());
    group.resources = vec![
        resource("store", &["directory"]),
        resource("directory", &["disk"]),
        resource("disk", &[]),
    ];
    configuration.add_group(group).unwrap();
    configuration
}

/// A policy, its time, and resources that obey at once unless they are told not to.
struct Bench {
    policy: Policy,
    configuration: Configuration,
    now_ms: u64,
    counter: u64,
    b_alive: bool,
    obedient: bool,
    /// Whether a release can be written.
    reachable: bool,
    ordered: Vec<String>,
    last_run: BTreeMap<ResourceName, u64>,
}

impl Bench {
    fn new(change: impl FnOnce(&mut Configuration)) -> Self {
        let mut configuration = configuration();
        change(&mut configuration);
        let mut bench = Self {
            policy: Policy::new(owner("a")),
            configuration,
            now_ms: 1_000,
            counter: 0,
            b_alive: true,
            obedient: true,
            reachable: true,
            ordered: Vec::new(),
            last_run: BTreeMap::new(),
        };
        bench.feed(Event::Configured(Arc::new(bench.configuration.clone())));
        bench.pass(100);
        bench
    }

    fn reconfigure(&mut self, change: impl FnOnce(&mut Configuration)) {
        self.configuration.revision += 1;
        change(&mut self.configuration);
        self.feed(Event::Configured(Arc::new(self.configuration.clone())));
    }

    /// Lets time pass in small steps; b beats, the lease is renewed.
    fn pass(&mut self, ms: u64) {
        let end_ms = self.now_ms + ms;
        while self.now_ms < end_ms {
            self.now_ms = (self.now_ms + 50).min(end_ms);
            self.counter += u64::from(self.b_alive);
            let heartbeat = Some(beat("b", self.counter));
            self.feed(Event::Heartbeat { node: node("b"), start_ms: self.now_ms, heartbeat });
            self.feed(Event::Renewed { until_ms: self.now_ms + 1_500 });
        }
    }

    fn feed(&mut self, event: Event) {
        let mut events = vec![event];
        let mut rounds = 0;
        while let Some(event) = events.pop() {
            rounds += 1;
            assert!(rounds < 1000, "it goes round without time passing: {:?}", self.ordered);
            for command in self.policy.step(self.now_ms, event) {
                assert!(!command.reason.is_empty(), "{command:?}");
                events.extend(self.obey(command));
            }
        }
    }

    fn obey(&mut self, command: Command) -> Vec<Event> {
        let group = command.group.clone();
        let Some(resource) = command.resource else {
            return match command.order {
                Order::Claim(claim) => {
                    self.ordered.push(format!("claim {}", claim.epoch));
                    let outcome = Some(ClaimOutcome::Won);
                    vec![Event::Claimed { group, attempt: claim.attempt, outcome }]
                }
                Order::Release { epoch, release } => {
                    let to = release.to.map_or("anybody".to_owned(), |to| to.to_string());
                    self.ordered.push(format!("release {epoch} to {to}"));
                    vec![Event::Released { group, epoch, done: self.reachable }]
                }
                Order::Fence { owner } => {
                    self.ordered.push(format!("fence {}", owner.node));
                    Vec::new()
                }
                _ => Vec::new(),
            };
        };
        let (word, run, report) = match command.order {
            Order::Online { run, .. } => ("online", run, Report::Online(None)),
            Order::Offline { run } => ("offline", run, Report::Offline),
            Order::Terminate { run } => ("terminate", run, Report::Offline),
            Order::Check { run, thorough } => {
                let word = if thorough { "is-alive" } else { "looks-alive" };
                (word, run, Report::Checked { thorough, result: Ok(()) })
            }
            _ => return Vec::new(),
        };
        self.last_run.insert(resource.clone(), run);
        if word.starts_with(['o', 't']) {
            self.ordered.push(format!("{word} {resource}"));
        }
        if self.obedient { vec![Event::Resource { resource, run, report }] } else { Vec::new() }
    }

    fn report(&mut self, resource: &str, report: Report) {
        let run = self.last_run[&name(resource)];
        self.feed(Event::Resource { resource: name(resource), run, report });
    }

    fn fail(&mut self, resource: &str) {
        self.report(resource, Report::Failed { why: "it died".to_owned(), gone: true });
    }

    fn state(&self, resource: &str) -> ResourceState {
        self.policy.status(self.now_ms)[&mail()].resources[&name(resource)].state
    }

    #[track_caller]
    fn check(&mut self, expected: &[&str]) {
        assert_eq!(std::mem::take(&mut self.ordered), expected);
    }
}

const UP: [&str; 4] = ["claim 1", "online disk", "online directory", "online store"];

#[test]
fn a_group_comes_online_in_the_order_of_its_dependencies() {
    let mut bench = Bench::new(|_| {});
    bench.check(&UP);
    bench.feed(Event::Stop);
    bench.pass(100);
    bench.check(&["offline store", "offline directory", "offline disk", "release 1 to b"]);
    assert!(bench.policy.idle());
}

#[test]
fn a_release_that_cannot_be_written_is_tried_again_after_a_while() {
    let mut bench = Bench::new(|_| {});
    bench.check(&UP);
    bench.reachable = false;
    bench.feed(Event::Stop);
    bench.pass(250);
    let tried = ["release 1 to b"; 3];
    let down = ["offline store", "offline directory", "offline disk"];
    bench.check(&[&down[..], &tried].concat());
    assert!(bench.policy.down() && !bench.policy.idle());
    bench.reachable = true;
    bench.pass(150);
    bench.check(&tried[..1]);
    assert!(bench.policy.idle());
}

#[test]
fn a_failed_dependency_takes_its_dependents_down_and_they_come_back() {
    let mut bench = Bench::new(|_| {});
    bench.check(&UP);
    bench.fail("directory");
    bench.pass(100);
    bench.check(&["offline store", "online directory", "online store"]);
}

/// What is in between must not wait for what is above it, which would wait for it.
#[test]
fn what_fails_at_the_bottom_takes_everything_above_down_and_it_comes_back() {
    let mut bench = Bench::new(|_| {});
    bench.check(&UP);
    bench.fail("disk");
    bench.pass(200);
    let expected = ["offline store", "offline directory"];
    bench.check(&[&expected[..], &UP[1..]].concat());
}

#[test]
fn one_resource_is_taken_offline_after_what_depends_on_it_and_brought_back_with_it() {
    let mut bench = Bench::new(|_| {});
    bench.check(&UP);
    bench.reconfigure(|next| {
        next.set_resource_target(&name("directory"), Target::Offline).unwrap();
    });
    bench.pass(100);
    bench.check(&["offline store", "offline directory"]);
    assert_eq!(bench.state("disk"), ResourceState::Online);
    bench.reconfigure(|next| next.set_resource_target(&name("store"), Target::Online).unwrap());
    bench.pass(100);
    bench.check(&["online directory", "online store"]);
}

#[test]
fn the_pending_timeout_counts_silence_and_not_time() {
    let mut bench = Bench::new(|next| {
        next.groups[0].resources[0].target = Target::Offline;
    });
    bench.check(&UP[..3]);
    bench.obedient = false;
    bench.reconfigure(|next| next.set_resource_target(&name("store"), Target::Online).unwrap());
    for minute in 0..60 {
        bench.pass(60_000);
        bench.report("store", Report::Progress(json!({ "minute": minute })));
    }
    assert_eq!(bench.state("store"), ResourceState::OnlinePending);
    bench.check(&["online store"]);
    bench.pass(180_100);
    assert_eq!(bench.state("store"), ResourceState::Failed);
    bench.check(&["terminate store"]);
}

#[test]
fn failures_beyond_the_budget_move_the_group_and_the_budget_is_per_period() {
    let mut bench = Bench::new(|_| {});
    for _ in 0..3 {
        bench.pass(1_000);
        bench.fail("store");
        bench.pass(1_000);
        assert_eq!(bench.state("store"), ResourceState::Online);
    }
    bench.pass(900_000);
    bench.ordered.clear();
    for _ in 0..3 {
        bench.fail("store");
        bench.pass(1_000);
    }
    bench.check(&["online store"; 3]);
    bench.fail("store");
    bench.pass(100);
    bench.check(&["offline directory", "offline disk", "release 1 to b"]);
}

#[test]
fn without_another_node_a_resource_that_used_up_its_budget_stays_failed_until_asked_again() {
    let mut bench = Bench::new(|_| {});
    bench.b_alive = false;
    bench.pass(3_000);
    bench.ordered.clear();
    for _ in 0..4 {
        bench.fail("store");
        bench.pass(1_000);
    }
    bench.check(&["online store"; 3]);
    assert_eq!(bench.state("store"), ResourceState::Failed);
    assert_eq!(bench.state("directory"), ResourceState::Online);
    bench.reconfigure(|next| next.set_resource_target(&name("store"), Target::Online).unwrap());
    bench.check(&["online store"]);
}

#[test]
fn the_failover_budget_is_counted_across_owners_by_age() {
    let mut bench = Bench::new(|next| {
        next.groups[0].resources[0].restart_action = RestartAction::RestartAndMoveGroup;
        next.groups[0].resources[0].restart_threshold = 0;
        next.groups[0].failover_threshold = 3;
    });
    bench.check(&UP);
    let period_ms = 6 * 3_600_000;
    let claim = |ages: Vec<u64>| Claim {
        epoch: 1,
        owner: owner("a"),
        attempt: 1,
        reason: "won".to_owned(),
        failover_ages_ms: ages,
    };
    let told = |bench: &mut Bench, ages: Vec<u64>| {
        let ownership = Some(Ownership { claim: claim(ages), release: None });
        bench.feed(Event::Ownership { group: mail(), ownership });
    };
    told(&mut bench, vec![0, 1_000, 2_000]);
    bench.fail("store");
    bench.pass(100);
    bench.check(&[]);
    told(&mut bench, vec![0, 1_000, period_ms + 1]);
    bench.pass(100);
    bench.check(&["offline directory", "offline disk", "release 1 to b"]);
}

#[test]
fn a_failed_quick_check_is_judged_by_a_thorough_one() {
    let mut bench = Bench::new(|_| {});
    bench.check(&UP);
    let looks_bad = || Err("no answer".to_owned());
    bench.report("store", Report::Checked { thorough: false, result: looks_bad() });
    bench.pass(100);
    assert_eq!(bench.state("store"), ResourceState::Online);
    bench.report("store", Report::Checked { thorough: true, result: looks_bad() });
    bench.pass(100);
    bench.check(&["terminate store", "online store"]);
}

#[test]
fn a_resource_that_is_refused_what_others_hold_tries_again_for_ever() {
    let mut bench = Bench::new(|_| {});
    for _ in 0..10 {
        bench.obedient = false;
        bench.fail("disk");
        bench.report("store", Report::Offline);
        bench.report("directory", Report::Offline);
        bench.pass(1_000);
        bench.report("disk", Report::Refused("the folder is held by node c".to_owned()));
        bench.pass(1_900);
        assert_eq!(bench.state("disk"), ResourceState::Failed);
        bench.ordered.clear();
        bench.obedient = true;
        bench.pass(200);
        bench.check(&["online disk", "online directory", "online store"]);
        bench.pass(900_000);
        bench.ordered.clear();
    }
}

#[test]
fn a_move_request_is_good_for_one_epoch() {
    let ask = |from_epoch| {
        move |next: &mut Configuration| next.request_move(&mail(), &node("b"), from_epoch).unwrap()
    };
    let mut bench = Bench::new(ask(0));
    bench.check(&[]);
    bench.pass(2_100);
    bench.check(&UP);
    bench.pass(10_000);
    bench.check(&[]);
    bench.reconfigure(ask(1));
    bench.pass(100);
    bench.check(&["offline store", "offline directory", "offline disk", "release 1 to b"]);
}

#[test]
fn a_lost_lease_ends_everything_and_its_epoch_is_never_used_again() {
    let mut bench = Bench::new(|_| {});
    bench.check(&UP);
    bench.feed(Event::LeaseLost);
    bench.check(&[
        "terminate store",
        "terminate directory",
        "terminate disk",
        "release 1 to anybody",
    ]);
    let claim = Claim {
        epoch: 1,
        owner: owner("a"),
        attempt: 1,
        reason: "won".to_owned(),
        failover_ages_ms: Vec::new(),
    };
    let ownership = Some(Ownership { claim, release: None });
    bench.feed(Event::Ownership { group: mail(), ownership });
    bench.check(&["release 1 to anybody"]);
    bench.pass(100);
    bench.check(&["claim 2", "online disk", "online directory", "online store"]);
}

#[test]
fn a_later_epoch_of_another_node_ends_everything_at_once_and_nothing_is_released() {
    let mut bench = Bench::new(|_| {});
    bench.check(&UP);
    let claim = Claim {
        epoch: 2,
        owner: owner("b"),
        attempt: 1,
        reason: "it seemed dead".to_owned(),
        failover_ages_ms: Vec::new(),
    };
    let ownership = Some(Ownership { claim, release: None });
    bench.feed(Event::Ownership { group: mail(), ownership });
    bench.check(&["terminate store", "terminate directory", "terminate disk"]);
    bench.pass(5_000);
    bench.check(&[]);
    bench.b_alive = false;
    bench.pass(3_000);
    bench.check(&["claim 3", "online disk", "online directory", "online store"]);
}

#[test]
fn a_resource_that_will_not_stop_keeps_the_group_where_it_is() {
    let mut bench = Bench::new(|_| {});
    bench.check(&UP);
    bench.obedient = false;
    bench.feed(Event::Stop);
    bench.report("store", Report::Stuck("it hangs in the kernel".to_owned()));
    bench.pass(100);
    bench.check(&["offline store"]);
    assert_eq!(bench.policy.stuck(), [name("store")]);
    bench.pass(10_000);
    bench.check(&["terminate store", "terminate store"]);
}

#[test]
fn a_removed_resource_is_taken_offline_and_forgotten() {
    let mut bench = Bench::new(|_| {});
    bench.check(&UP);
    bench.reconfigure(|next| {
        next.remove_resource(&name("store")).unwrap();
    });
    bench.pass(100);
    bench.check(&["offline store"]);
    assert!(!bench.policy.status(0)[&mail()].resources.contains_key(&name("store")));
}

#[test]
fn a_circle_of_dependencies_is_refused() {
    let mut configuration = configuration();
    configuration.groups[0].resources[2].depends_on = vec![name("store")];
    let error = configuration.check().unwrap_err();
    assert!(error.to_string().contains("circle"), "{error}");
}
