//! A bucket does what every target has to do.

use std::sync::Arc;

use rehome_archive::{S3Options, S3Target, Set, Target};
use rehome_s3_tests::{BUCKET, Server};

use crate::fixture::{header, options, truth, write};
use crate::targets::{self, Place};

/// A bucket on a server of its own.
pub(crate) struct Bucket {
    pub(crate) server: Server,
    pub(crate) prefix: &'static str,
    /// For how many milliseconds a writer repeats a request that failed.
    pub(crate) retry_ms_max: u64,
    pub(crate) request_ms_max: u64,
}

impl Bucket {
    pub(crate) fn new() -> Bucket {
        let server = Server::start().unwrap();
        Bucket { server, prefix: "/some/set", retry_ms_max: 60_000, request_ms_max: 60_000 }
    }

    pub(crate) fn target(&self, nonce: &str) -> Arc<dyn Target> {
        let options = S3Options {
            part_bytes: 5 << 20,
            request_ms_max: self.request_ms_max,
            retry_ms_max: self.retry_ms_max,
            retry_pause_ms: 1,
            ..S3Options::new(self.server.settings(), nonce.to_owned())
        };
        Arc::new(S3Target::open(&format!("s3://{BUCKET}{}", self.prefix), &options).unwrap())
    }
}

impl Place for Bucket {
    fn writer(&self) -> Arc<dyn Target> {
        let requests = self.server.requests().len();
        self.target(&format!("writer after {requests}"))
    }

    fn reader(&self) -> Arc<dyn Target> {
        self.target("reader")
    }
}

#[test]
fn a_backup_in_many_volumes_comes_back() {
    targets::a_backup_in_many_volumes_comes_back(&Bucket::new());
}

#[test]
fn a_large_backup_comes_back_and_went_in_parts() {
    let bucket = Bucket::new();
    targets::a_large_backup_comes_back(&bucket);
    let parts = bucket.server.requests().iter().filter(|said| said.contains("partNumber")).count();
    assert!(parts >= 3, "{parts} parts");
}

#[test]
fn a_writer_that_stops_leaves_nothing_that_counts() {
    let bucket = Bucket::new();
    targets::a_writer_that_stops_leaves_nothing_that_counts(&bucket);
    let aborted = |said: &String| said.starts_with("DELETE") && said.contains("uploadId");
    assert!(bucket.server.requests().iter().any(aborted), "the upload was not given up");
}

#[test]
fn an_expired_backup_goes_and_the_newer_one_stays() {
    targets::an_expired_backup_goes_and_the_newer_one_stays(&Bucket::new(), false);
}

#[test]
fn two_writers_get_two_backups_and_nothing_is_written_twice() {
    let bucket = Bucket::new();
    let writers = [bucket.target("one"), bucket.target("two")];
    let handed = std::sync::atomic::AtomicUsize::new(0);
    struct Two<'a> {
        bucket: &'a Bucket,
        writers: [Arc<dyn Target>; 2],
        handed: std::sync::atomic::AtomicUsize,
    }
    impl Place for Two<'_> {
        fn writer(&self) -> Arc<dyn Target> {
            let number = self.handed.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            Arc::clone(&self.writers[number])
        }

        fn reader(&self) -> Arc<dyn Target> {
            self.bucket.reader()
        }
    }
    let two = Two { bucket: &bucket, writers, handed };
    targets::two_writers_get_two_backups_and_nothing_is_written_twice(&two);
}

#[test]
fn one_mailbox_is_read_by_ranges_and_little_else() {
    let bucket = Bucket { prefix: "", ..Bucket::new() };
    targets::one_mailbox_comes_back_without_the_others(&bucket);
}

#[test]
fn whoever_began_an_upload_second_cannot_finish_it() {
    let bucket = Bucket::new();
    for len in [100, 11 << 20] {
        let name = format!("verify/{len}");
        let bytes = [1, 2].map(|seed| targets::noise(seed, len));
        let files = ["one", "two"].map(|nonce| bucket.target(nonce).create(&name).unwrap());
        let mut done = 0;
        for (mut file, bytes) in files.into_iter().zip(&bytes) {
            file.append(bytes).unwrap();
            done += usize::from(file.finish().is_ok());
        }
        assert_eq!(done, 1, "{name}: writers that finished");
        let mut there = vec![0; len];
        bucket.reader().open(&name).unwrap().read_at(0, &mut there).unwrap();
        assert!(there == bytes[0], "{name}");
    }
}

#[test]
fn a_wrong_secret_is_said_and_nothing_is_written() {
    let bucket = Bucket::new();
    let mut settings = bucket.server.settings();
    settings.last_mut().unwrap().1 = "wrong".to_owned();
    let options = S3Options::new(settings, "n".to_owned());
    let target: Arc<dyn Target> =
        Arc::new(S3Target::open(&format!("s3://{BUCKET}/x"), &options).unwrap());
    let opened = Set::open(Arc::clone(&target)).err().unwrap();
    let written = write(&target, &truth(1, 1, 10), header(), options_small()).err().unwrap();
    for error in [opened, written] {
        assert!(error.to_string().contains("403"), "{error}");
    }
    assert_eq!(std::fs::read_dir(bucket.server.objects()).unwrap().count(), 0);
}

fn options_small() -> rehome_archive::WriterOptions {
    options(1 << 20)
}

#[test]
fn a_bucket_that_has_no_name_is_refused() {
    let options = S3Options::new(Vec::new(), "n".to_owned());
    for url in ["s3://", "s3:///x", "http://b/x", "s3://b/a//b"] {
        assert!(S3Target::open(url, &options).is_err(), "{url}");
    }
}
