//! Heartbeats, names, the watch, the log, and an etcd that does not answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rehome_cluster::{
    Claim, Coordinator, CoordinatorError, Entrance, Heartbeat, LogEntry, NodeStatus, Owner, Timing,
};
use rehome_etcd::Etcd;

use crate::rig::{
    Relay, Server, configuration, free_port, heartbeat, mail, node, place, through, wait_for,
};

fn timing() -> Timing {
    configuration().timing
}

#[track_caller]
fn check_entrance(etcd: &dyn Coordinator, first: &Heartbeat, expected: Option<&str>) {
    match (etcd.enter(first, &timing()).unwrap(), expected) {
        (Entrance::Entered(_), None) => {}
        (Entrance::Taken(holder), Some(part)) => assert!(holder.contains(part), "{holder}"),
        (Entrance::Entered(_), Some(part)) => panic!("entered, although {part} has the name"),
        (Entrance::Taken(holder), None) => panic!("taken by {holder}"),
    }
}

#[test]
fn a_heartbeat_without_an_answer_is_the_predecessor_of_the_next() {
    let server = Server::start();
    server.create();
    let relay = Relay::start(server.port);
    let etcd = through(&relay);
    check_entrance(&etcd, &heartbeat("a", "one", 1), None);
    for counter in [2, 4, 6] {
        relay.lose_answers(true);
        assert!(etcd.beat(&heartbeat("a", "one", counter)).is_err());
        relay.lose_answers(false);
        assert_eq!(etcd.heartbeat(&node("a")).unwrap(), Some(heartbeat("a", "one", counter)));
        etcd.beat(&heartbeat("a", "one", counter + 1)).unwrap();
    }
    assert_eq!(etcd.look(None).unwrap().heartbeats[&node("a")].counter, 7);
}

#[test]
fn one_name_is_one_process_and_a_dead_one_is_waited_for() {
    let server = Server::start();
    let first = server.create();
    let second = Etcd::open(&server.place()).unwrap();
    check_entrance(&first, &heartbeat("a", "one", 1), None);
    let beats = Arc::new(AtomicU64::new(2));
    std::thread::scope(|scope| {
        let over = Arc::new(AtomicU64::new(0));
        let (beating, ended) = (beats.clone(), over.clone());
        let first = &first;
        scope.spawn(move || {
            while ended.load(Ordering::SeqCst) == 0 {
                let counter = beating.fetch_add(1, Ordering::SeqCst);
                first.beat(&heartbeat("a", "one", counter)).unwrap();
            }
        });
        check_entrance(&second, &heartbeat("a", "two", 1), Some("run one"));
        over.store(1, Ordering::SeqCst);
    });
    // It stands still now, and the name is taken over; the old run finds out.
    check_entrance(&second, &heartbeat("a", "two", 1), None);
    let lost = first.beat(&heartbeat("a", "one", 99)).unwrap_err();
    assert!(matches!(&lost, CoordinatorError::NameTaken { holder, .. } if holder.contains("two")));
    second.beat(&heartbeat("a", "two", 2)).unwrap();
    second.beat(&Heartbeat { leaving: true, ..heartbeat("a", "two", 3) }).unwrap();
    check_entrance(&first, &heartbeat("a", "three", 1), None);
}

#[test]
fn a_change_wakes_who_watches() {
    let server = Server::start();
    let etcd = server.create();
    let woken = Arc::new(AtomicU64::new(0));
    let count = woken.clone();
    let watch = etcd.watch(Arc::new(move || {
        count.fetch_add(1, Ordering::SeqCst);
    }));
    // Both streams say first that they are there.
    wait_for("both streams to be there", || woken.load(Ordering::SeqCst) >= 2);
    let before = woken.load(Ordering::SeqCst);
    let owner = Owner { node: node("a"), incarnation: "one".to_owned() };
    let reason = "a test".to_owned();
    let claim = Claim { epoch: 1, owner, attempt: 1, reason, failover_ages_ms: Vec::new() };
    etcd.claim(&mail(), &claim).unwrap();
    wait_for("the claim to be told", || woken.load(Ordering::SeqCst) > before);
    let before = woken.load(Ordering::SeqCst);
    let mut next = configuration();
    next.revision += 1;
    etcd.put_configuration(&next).unwrap();
    wait_for("the configuration to be told", || woken.load(Ordering::SeqCst) > before);
    drop(watch);
}

#[test]
fn what_nodes_say_can_be_read_by_all() {
    let server = Server::start();
    let etcd = server.create();
    let entry = |number: i64| LogEntry {
        wall_us: 1_000 + number,
        node: node("a"),
        group: Some(mail()),
        resource: None,
        action: "claim".to_owned(),
        reason: format!("reason {number}"),
    };
    let lines: Vec<LogEntry> = (0..150).map(entry).collect();
    lines.iter().for_each(|line| etcd.write_log(line));
    let read = || etcd.read_log(&node("a")).unwrap();
    wait_for("the lines to be written", || read().len() == lines.len());
    assert_eq!(read(), lines);
    assert_eq!(etcd.read_log(&node("b")).unwrap(), []);
    let status = NodeStatus {
        node: node("a"),
        incarnation: "one".to_owned(),
        pid: 7,
        revision: 1,
        groups: std::collections::BTreeMap::new(),
    };
    etcd.publish(&status).unwrap();
    assert_eq!(etcd.status(&node("a")).unwrap(), Some(status));
}

#[test]
fn an_etcd_that_is_not_there_is_said_to_be_so_and_another_endpoint_is_asked() {
    let nobody = free_port();
    let error = Etcd::open(&place(&format!("etcd://127.0.0.1:{nobody}/office"))).err().unwrap();
    assert!(matches!(error, CoordinatorError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains(&format!("127.0.0.1:{nobody}")), "{error}");
    let server = Server::start();
    server.create();
    let both = format!("etcd://127.0.0.1:{nobody},127.0.0.1:{}/office", server.port);
    assert!(Etcd::open(&place(&both)).unwrap().look(None).unwrap().configuration.is_some());
    let missing = place(&format!("etcd://127.0.0.1:{}/nowhere", server.port));
    assert!(matches!(Etcd::open(&missing).err(), Some(CoordinatorError::Missing { .. })));
}
