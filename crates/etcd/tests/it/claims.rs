//! Epochs, releases, the configuration and checkpoints: what is compared before it is written.

use std::collections::BTreeMap;

use rehome_cluster::{
    Checkpoint, CheckpointKey, Claim, ClaimOutcome, Coordinator, CoordinatorError, KeyContent,
    Owner, Release, ResourceName,
};
use rehome_etcd::Etcd;

use crate::rig::{Relay, Server, configuration, mail, node, through};

fn claim(who: &str, epoch: u64, attempt: u64) -> Claim {
    let owner = Owner { node: node(who), incarnation: "run".to_owned() };
    Claim { epoch, owner, attempt, reason: "a test".to_owned(), failover_ages_ms: vec![5] }
}

fn release(reason: &str) -> Release {
    Release { reason: reason.to_owned(), to: None, failover_ages_ms: Vec::new() }
}

#[test]
fn of_many_who_claim_an_epoch_one_wins_and_an_epoch_is_never_left_out() {
    let server = Server::start();
    server.create();
    let outcomes: Vec<ClaimOutcome> = std::thread::scope(|scope| {
        let claimers = (1..=8).map(|attempt| {
            let etcd = Etcd::open(&server.place()).unwrap();
            scope.spawn(move || etcd.claim(&mail(), &claim("a", 1, attempt)).unwrap())
        });
        let claimers: Vec<_> = claimers.collect();
        claimers.into_iter().map(|claimer| claimer.join().unwrap()).collect()
    });
    assert_eq!(outcomes.iter().filter(|one| **one == ClaimOutcome::Won).count(), 1);
    let etcd = Etcd::open(&server.place()).unwrap();
    assert_eq!(etcd.claim(&mail(), &claim("b", 3, 1)).unwrap(), ClaimOutcome::Lost);
    assert_eq!(etcd.claim(&mail(), &claim("b", 2, 2)).unwrap(), ClaimOutcome::Won);
    assert_eq!(etcd.claim(&mail(), &claim("b", 2, 2)).unwrap(), ClaimOutcome::Won, "again");
    assert_eq!(etcd.claim(&mail(), &claim("b", 1, 3)).unwrap(), ClaimOutcome::Lost);
    assert_eq!(etcd.ownership(&mail()).unwrap().unwrap().claim, claim("b", 2, 2));
}

#[test]
fn a_claim_without_an_answer_is_found_where_it_was_made() {
    let server = Server::start();
    server.create();
    let relay = Relay::start(server.port);
    let etcd = through(&relay);
    relay.lose_answers(true);
    let lost = etcd.claim(&mail(), &claim("a", 1, 1)).unwrap_err();
    assert!(matches!(lost, CoordinatorError::Unreachable { .. }), "{lost}");
    relay.lose_answers(false);
    let owned = &etcd.look(None).unwrap().ownerships[&mail()];
    assert_eq!((&owned.claim, &owned.release), (&claim("a", 1, 1), &None));
}

#[test]
fn a_release_counts_for_its_own_epoch_alone() {
    let server = Server::start();
    let etcd = server.create();
    let released = || etcd.ownership(&mail()).unwrap().unwrap().release.map(|one| one.reason);
    etcd.claim(&mail(), &claim("a", 1, 1)).unwrap();
    etcd.release(&mail(), 1, &release("first")).unwrap();
    assert_eq!(released().as_deref(), Some("first"));
    etcd.claim(&mail(), &claim("b", 2, 1)).unwrap();
    assert_eq!(released(), None);
    etcd.release(&mail(), 1, &release("late")).unwrap();
    assert_eq!(released(), None, "of an epoch that is over");
    etcd.release(&mail(), 2, &release("second")).unwrap();
    assert_eq!(etcd.look(None).unwrap().ownerships[&mail()].release, Some(release("second")));
}

#[test]
fn of_two_who_change_the_configuration_one_must_read_again() {
    let server = Server::start();
    let etcd = server.create();
    let again = Etcd::create(&server.place(), &{
        let mut other = configuration();
        other.name = "other".to_owned();
        other
    });
    assert!(matches!(again.err(), Some(CoordinatorError::Exists { .. })));
    let mut next = etcd.look(None).unwrap().configuration.unwrap();
    assert_eq!(etcd.look(Some(&next)).unwrap().configuration, None);
    next.revision += 1;
    etcd.put_configuration(&next).unwrap();
    etcd.put_configuration(&next).unwrap();
    let mut rival = next.clone();
    rival.name = "rival".to_owned();
    let conflict = etcd.put_configuration(&rival).unwrap_err();
    assert!(matches!(conflict, CoordinatorError::Conflict { revision: 2 }), "{conflict}");
    assert_eq!(etcd.look(Some(&configuration())).unwrap().configuration, Some(next.clone()));
    assert_eq!(etcd.configuration(2).unwrap(), None);
    assert_eq!(etcd.configuration(1).unwrap(), Some(next));
}

#[test]
fn a_checkpoint_of_an_older_epoch_is_refused() {
    let server = Server::start();
    let etcd = server.create();
    let resource = ResourceName::new("store").unwrap();
    let key = CheckpointKey::new("mail/settings%").unwrap();
    let files = BTreeMap::from([("a".to_owned(), vec![0, 1, 255]), ("b/c".to_owned(), vec![])]);
    let checkpoint = |epoch, serial| Checkpoint {
        resource: resource.clone(),
        key: key.clone(),
        serial,
        epoch,
        version: 1,
        node: node("a"),
        content: KeyContent::Folder(files.clone()),
    };
    assert_eq!(etcd.checkpoint(&resource, &key, 1).unwrap(), None);
    etcd.put_checkpoint(&checkpoint(2, 1)).unwrap();
    let refused = etcd.put_checkpoint(&checkpoint(1, 1)).unwrap_err();
    assert!(matches!(refused, CoordinatorError::Fenced { epoch: 1, newer: 2, .. }), "{refused}");
    assert_eq!(etcd.checkpoint(&resource, &key, 1).unwrap(), Some(checkpoint(2, 1)));
    assert_eq!(etcd.checkpoint(&resource, &key, 2).unwrap(), None, "of another attachment");
    etcd.remove_checkpoint(&resource, &key).unwrap();
    assert_eq!(etcd.checkpoint(&resource, &key, 1).unwrap(), None);
}
