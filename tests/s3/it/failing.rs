//! A server that fails: nothing half done counts as done, and the rerun finishes.

use rehome_archive::{ArchiveError, BackupState, CheckLevel, Manifest, Set, WriterOptions};
use rehome_s3_tests::{Fault, Rule};

use crate::bucket::Bucket;
use crate::fixture::{Truth, everything, header, options, read_all, truth, write};
use crate::targets::{Place as _, large_truth};

fn back_up(bucket: &Bucket, truth: &Truth, volume: u64) -> Result<Manifest, ArchiveError> {
    write(&bucket.writer(), truth, header(), WriterOptions { threads: 0, ..options(volume) })
}

/// Complete backups give back `truth`, others are refused; returns how many are complete.
#[track_caller]
fn check(bucket: &Bucket, truth: &Truth, context: &str) -> usize {
    bucket.server.fail(Vec::new());
    let set = match Set::open(bucket.reader()) {
        Err(ArchiveError::NoSet) => return 0,
        opened => opened.unwrap(),
    };
    let mut complete = 0;
    for info in set.list().unwrap() {
        let report = set.check(info.id, CheckLevel::Deep, &mut |_| {});
        if info.state == BackupState::Incomplete {
            let refused = matches!(report, Err(ArchiveError::Incomplete { .. }));
            assert!(refused, "{context}: an incomplete backup was checked");
            continue;
        }
        let report = report.unwrap();
        assert!(report.is_whole(), "{context}: {report:?}");
        let backup = set.backup(info.id).unwrap();
        assert_eq!(read_all(&backup, truth, context), everything(truth), "{context}");
        complete += 1;
    }
    complete
}

fn rule(contains: &str, after: usize, count: usize, fault: Fault) -> Vec<Rule> {
    vec![Rule { contains: contains.to_owned(), after, count, fault }]
}

#[test]
fn a_server_that_goes_away_at_any_request_leaves_a_whole_backup_or_one_that_is_refused() {
    let truth = truth(1, 3, 60);
    let clean = Bucket::new();
    back_up(&clean, &truth, 1 << 20).unwrap();
    let requests = clean.server.requests().len();
    let bucket = Bucket { retry_ms_max: 0, ..Bucket::new() };
    let (mut failed, mut complete) = (0, 0);
    for request in 0..requests {
        let context = format!("away from request {request} of {requests} on");
        bucket.server.fail(rule("", request, usize::MAX, Fault::Away));
        let written = back_up(&bucket, &truth, 1 << 20);
        failed += usize::from(written.is_err());
        let now = check(&bucket, &truth, &context);
        assert!(now >= complete + usize::from(written.is_ok()), "{context}: a backup is gone");
        assert!(now <= complete + 1, "{context}");
        complete = now;
    }
    back_up(&bucket, &truth, 1 << 20).unwrap();
    assert_eq!(check(&bucket, &truth, "rerun"), complete + 1);
    assert!(failed > 8, "{failed} of {requests} failed");
}

#[test]
fn a_server_that_goes_away_in_the_middle_of_an_upload_leaves_nothing_that_counts() {
    let truth = large_truth(2);
    let bucket = Bucket { retry_ms_max: 0, ..Bucket::new() };
    for part in 0..2 {
        bucket.server.fail(rule("partNumber", part, usize::MAX, Fault::Away));
        let written = back_up(&bucket, &truth, 1 << 30);
        let named = written.unwrap_err().to_string();
        assert!(named.contains("v00000.mbar"), "{named}");
        assert_eq!(check(&bucket, &truth, "part lost"), 0, "part {part}");
    }
    back_up(&bucket, &truth, 1 << 30).unwrap();
    assert_eq!(check(&bucket, &truth, "rerun"), 1);
}

#[test]
fn a_server_that_refuses_for_a_while_is_asked_again() {
    let truth = large_truth(2);
    for (status, contains) in
        [(500, "PUT"), (503, "POST"), (500, "uploadId"), (503, "GET"), (429, "HEAD"), (503, "")]
    {
        let bucket = Bucket::new();
        bucket.server.fail(rule(contains, 1, 4, Fault::Status(status)));
        back_up(&bucket, &truth, 1 << 30).unwrap();
        assert_eq!(check(&bucket, &truth, contains), 1, "{status} for {contains:?}");
    }
}

#[test]
fn an_answer_that_is_lost_or_late_is_not_taken_for_another_writer() {
    let truth = large_truth(2);
    let lost = ["PUT /SET", "PUT /claims/", "partNumber=2", "PUT MANIFEST", "PUT /verify/"];
    let lost = lost.map(|contains| (contains, Fault::LostAnswer));
    // A late answer is waited for, so there are few of them.
    let late = ["PUT /claims/", "partNumber=2"].map(|contains| (contains, Fault::LateAnswer));
    for (contains, fault) in lost.into_iter().chain(late) {
        let context = format!("{fault:?} of {contains}");
        let bucket = Bucket { request_ms_max: 6000, ..Bucket::new() };
        bucket.server.fail(rule(contains, 0, 1, fault));
        back_up(&bucket, &truth, 1 << 30).unwrap_or_else(|error| panic!("{context}: {error}"));
        assert_eq!(check(&bucket, &truth, &context), 1, "{context}");
        // Its own claim was known again: no second folder was taken.
        let claims = bucket.reader().list("claims/base").unwrap();
        assert_eq!(claims.len(), 1, "{context}: {claims:?}");
        let words = |said: &&String| contains.split(' ').all(|word| said.contains(word));
        let failed = bucket.server.requests().iter().filter(words).count();
        assert!(failed > 0, "{context}: no such request");
    }
}

#[test]
fn a_completed_upload_whose_answer_is_lost_counts_once() {
    let truth = large_truth(2);
    let bucket = Bucket::new();
    // The first POST begins the upload, the second one completes it.
    bucket.server.fail(rule("POST", 1, 1, Fault::LostAnswer));
    back_up(&bucket, &truth, 1 << 30).unwrap();
    assert_eq!(check(&bucket, &truth, "completion"), 1);
}

#[test]
fn a_writer_that_is_killed_leaves_its_claim_and_the_next_one_takes_another_id() {
    let truth = large_truth(8);
    let bucket = Bucket::new();
    let begun = rehome_archive::BackupWriter::begin(bucket.writer(), header(), options(1 << 30));
    let mut killed = begun.unwrap();
    let id = killed.id();
    killed.outline(&truth.mailboxes[0]).unwrap();
    for (id, owners, bytes) in &truth.contents {
        killed.content(*id, owners, bytes).unwrap();
    }
    // Nothing is taken back, as after kill -9.
    std::mem::forget(killed);
    assert_eq!(check(&bucket, &truth, "killed"), 0);
    let next = back_up(&bucket, &truth, 1 << 30).unwrap();
    assert_ne!(next.backup_id, id);
    assert_eq!(check(&bucket, &truth, "next"), 1);
}
