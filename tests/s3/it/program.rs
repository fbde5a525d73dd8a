//! The real program against a bucket, killed at many of its requests.

use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use rehome_s3_tests::{BUCKET, Fault, Rule, Server};

/// How many kills there are; they are spread over the requests of a backup.
const KILLS: usize = 12;

fn program(server: &Server, folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rehome-with-s3"));
    command.args(args).current_dir(folder).envs(server.settings());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn run(server: &Server, folder: &Path, args: &[&str]) -> ExitStatus {
    program(server, folder, args).status().unwrap()
}

#[track_caller]
fn check(server: &Server, folder: &Path, args: &[&str]) {
    let status = run(server, folder, args);
    assert!(status.success(), "{args:?}: {status}");
}

/// What is finished is whole; what is not may be all there is, and there may be no set yet.
#[track_caller]
fn check_what_is_finished(server: &Server, folder: &Path, set: &str, request: usize) {
    let mut command = program(server, folder, &["archive", "check", set, "--deep"]);
    let output = command.stderr(Stdio::piped()).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    let known = match output.status.code() {
        Some(0 | 65) => true,
        Some(6) => told.contains("not finished: ") && !told.contains("not whole"),
        _ => false,
    };
    assert!(known, "request {request}: {}: {told}", output.status);
}

#[test]
fn a_backup_that_is_killed_anywhere_leaves_a_set_that_the_next_one_completes() {
    let (server, scratch) = (Server::start().unwrap(), tempfile::tempdir().unwrap());
    let folder = scratch.path();
    check(&server, folder, &["sample", "site", "--mailboxes", "2", "--messages", "3"]);
    check(&server, folder, &["import", "site/mail", "--store", "store"]);
    let clean = format!("s3://{BUCKET}/clean");
    check(&server, folder, &["backup", "--store", "store", "--to", &clean]);
    let requests = server.requests().len();
    let set = format!("s3://{BUCKET}/killed");
    for kill in 0..KILLS {
        let at = kill * requests / KILLS;
        let before = server.requests().len();
        let (contains, fault) = (String::new(), Fault::LateAnswer);
        server.fail(vec![Rule { contains, after: at, count: usize::MAX, fault }]);
        let backup = ["backup", "--store", "store", "--to", &set];
        let mut child = program(&server, folder, &backup).spawn().unwrap();
        // The request that is not answered has come.
        server.wait_for(before + at + 1);
        child.kill().unwrap();
        child.wait().unwrap();
        server.fail(Vec::new());
        check_what_is_finished(&server, folder, &set, at);
    }
    check(&server, folder, &["backup", "--store", "store", "--to", &set]);
    check(&server, folder, &["archive", "check", &set, "--deep"]);
    check(&server, folder, &["archive", "list", &set]);
    check(&server, folder, &["restore", "--from", &set, "--store", "again"]);
    check(&server, folder, &["store", "check", "again"]);
    check(&server, folder, &["archive", "extract", &clean, "--to", "mail"]);
}
