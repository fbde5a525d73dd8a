//! Crashes of stores at every kind of work, with fixed seeds; and proof that these runs can fail.

use rehome_tests::tell;
use rehome_tests::torture::{OLD_STORES, Plan, Scenario, Site, digest, run, unpack};

#[track_caller]
fn check(seed: u64, points: u64, only: Option<Scenario>) {
    tell(&format!("seed {seed}"));
    let tally = run(&Plan { seed, points, only, ..Plan::default() }, &mut |_| {});
    assert!(tally.failed.is_empty(), "{:#?}", tally.failed);
    assert_eq!((tally.lost, tally.doubled, tally.altered), (0, 0, 0));
    assert_eq!(tally.points, points);
}

#[test]
fn no_crash_loses_doubles_or_alters_anything() {
    check(1, 300, None);
}

#[test]
fn no_record_is_given_up_before_the_archive_of_the_log_has_it() {
    check(5, 200, Some(Scenario::Archive));
}

/// A disk that forgets what is synced at one place is found out.
#[track_caller]
fn check_lie(lie: Site, seed: u64, points: u64) {
    tell(&format!("{lie:?}, seed {seed}"));
    let (only, failures) = (None, 1);
    let plan =
        Plan { seed, points, only, lie: Some(lie), failures_max: failures, ..Plan::default() };
    let tally = run(&plan, &mut |_| {});
    tell(&format!("{:?}", tally.failed.iter().map(|f| (f.point, f.text.get(..100))).next()));
    assert!(
        !tally.failed.is_empty(),
        "{points} points did not notice that {lie:?} is never synced"
    );
}

#[test]
fn a_sync_left_out_anywhere_is_found() {
    // The header of a generation is durable with its first records at the latest, and before that
    // nothing is lost with it: its own sync only tells in time that there is no room.
    for lie in Site::ALL.into_iter().filter(|site| *site != Site::LogGeneration) {
        // The end of a segment is written again by few recoveries.
        let seed = if lie == Site::SegmentTail { 4 } else { 2 };
        check_lie(lie, seed, 4000);
    }
}

#[test]
fn an_old_store_of_each_version_opens_holds_what_it_held_and_goes_on() {
    for old in OLD_STORES {
        let identity = unpack(old.packed).remove(std::path::Path::new("store.id"));
        let identity = String::from_utf8(identity.expect("a store")).expect("JSON");
        assert!(identity.contains(&format!("\"version\": {}", old.version)), "{identity}");
        assert_eq!(digest(old.packed), old.digest.trim(), "version {}", old.version);
    }
    check(3, 60, Some(Scenario::Upgrade));
}
