//! The program killed with SIGKILL at random moments, and started again.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rehome_tests::run;

use crate::{REHOME, sample};

/// Kills a route a few times, each time on a new work folder, and lets it finish.
#[track_caller]
fn check(route: &str, test: u8, seed: u64) {
    rehome_tests::tell(&format!("seed {seed}"));
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let site = sample(scratch.path(), test, 3, 12);
    let work = |name: &str| scratch.path().join(name).display().to_string();
    let args = |work: &str| {
        let fixed = ["--route", route, "--confirm", "all", "--json", "--traffic"];
        let own = ["migrate", &site, "--work", work].map(ToOwned::to_owned);
        own.into_iter().chain(fixed.map(ToOwned::to_owned)).collect::<Vec<_>>()
    };
    let started = Instant::now();
    run(REHOME, &args(&work("undisturbed"))).expect_whole();
    let undisturbed = started.elapsed();
    for kill in 0..3_u64 {
        let share =
            (seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(kill as u32 * 9) % 100) as f64;
        let args = args(&work(&format!("killed-{kill}")));
        kill_after(&args, undisturbed.mul_f64(share / 100.0));
        run(REHOME, &args).expect_whole();
    }
    assert!(Path::new(&site).join("site.toml").exists());
}

/// Starts the program and kills it when the time is up, or lets it end before.
fn kill_after(args: &[String], after: Duration) {
    let mut child = Command::new(REHOME)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts");
    let started = Instant::now();
    while started.elapsed() < after && child.try_wait().expect("a child").is_none() {
        std::thread::park_timeout(Duration::from_millis(1));
    }
    child.kill().expect("a child that can be killed, or is gone");
    child.wait().expect("a child");
}

#[test]
fn a_killed_move_of_users_goes_on_and_loses_nothing() {
    check("move-users", 21, 5);
}

#[test]
fn a_killed_disaster_recovery_goes_on_and_loses_nothing() {
    check("disaster-recovery", 22, 6);
}

#[test]
fn a_killed_owner_of_the_group_loses_no_acknowledged_delivery() {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let site = sample(scratch.path(), 23, 3, 5);
    let work = scratch.path().join("work");
    let shown = work.display().to_string();
    let args = ["migrate", &site, "--work", &shown, "--confirm", "all", "--json"];
    run(REHOME, &args).expect_whole();
    let before = Duration::from_millis(300);
    let drill = rehome::drill::kill_owner(&work, Path::new(REHOME), before).expect("a drill");
    assert_eq!((drill.missing, drill.doubled), (0, 0), "{drill}");
    assert_ne!(drill.killed, drill.owner, "{drill}");
    assert!(drill.delivered > 0, "{drill}");
}

#[test]
fn an_interrupted_run_says_so_and_goes_on() {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let site = sample(scratch.path(), 24, 3, 12);
    let work = scratch.path().join("work").display().to_string();
    let args = ["migrate", &site, "--work", &work, "--confirm", "all", "--json"];
    let mut child = Command::new(REHOME)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts");
    let stdout = child.stdout.take().expect("a pipe");
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(stdout));
    let done = lines.find(|line| line.as_ref().is_ok_and(|line| line.contains("\"done\"")));
    assert!(done.is_some(), "no step was done");
    let pid = child.id().to_string();
    assert_eq!(run("kill", &["-INT", &pid]).code, Some(0));
    for line in lines {
        line.expect("the pipe is read to its end");
    }
    assert_eq!(child.wait().expect("a child").code(), Some(5));
    run(REHOME, &args).expect_whole();
}
