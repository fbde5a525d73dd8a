//! A folder does what every target has to do.

use std::sync::Arc;

use rehome_archive::{DiskTarget, Target};

use crate::targets::{self, Place};

struct Folder(tempfile::TempDir);

impl Place for Folder {
    fn writer(&self) -> Arc<dyn Target> {
        Arc::new(DiskTarget::at(self.0.path().join("set")))
    }

    fn reader(&self) -> Arc<dyn Target> {
        self.writer()
    }
}

#[track_caller]
fn check(body: impl FnOnce(&dyn Place)) {
    body(&Folder(tempfile::tempdir().unwrap()));
}

#[test]
fn a_backup_in_many_volumes_comes_back() {
    check(targets::a_backup_in_many_volumes_comes_back);
}

#[test]
fn a_large_backup_comes_back() {
    check(targets::a_large_backup_comes_back);
}

#[test]
fn a_writer_that_stops_leaves_nothing_that_counts() {
    check(targets::a_writer_that_stops_leaves_nothing_that_counts);
}

#[test]
fn one_mailbox_comes_back_without_the_others() {
    check(targets::one_mailbox_comes_back_without_the_others);
}

#[test]
fn two_writers_get_two_backups_and_nothing_is_written_twice() {
    check(targets::two_writers_get_two_backups_and_nothing_is_written_twice);
}

#[test]
fn an_expired_backup_goes_and_the_newer_one_stays() {
    check(|place| targets::an_expired_backup_goes_and_the_newer_one_stays(place, true));
}

#[test]
fn a_folder_that_goes_with_its_last_file_is_in_nobodys_way() {
    let folder = Folder(tempfile::tempdir().unwrap());
    let work = |writer: usize| {
        let target = folder.writer();
        for number in 0..100 {
            let name = format!("lease/{writer}-{number}");
            target.create(&name).and_then(|file| file.finish()).unwrap();
            target.remove(&name).unwrap();
        }
    };
    std::thread::scope(|scope| {
        (0..3).for_each(|writer| _ = scope.spawn(move || work(writer)));
    });
    assert!(!folder.0.path().join("set/lease").exists());
}
