//! Real processes that leave their group, their session and their parent.

use std::collections::BTreeSet;
use std::process::{Child, Stdio};

use super::*;

/// A shell that starts a daemon, which leaves its session and gets another parent, writes its
/// number into `$1` and stays. `how` is what stands before the daemon.
fn started(families: &Families, how: &str, place: &Path) -> (Family, Child, i32) {
    let family = families.family(&ResourceName::new("daemon").unwrap());
    // The shell starts it when it is told, as a service does after a while.
    let script = format!(
        "read -r begin; {how} setsid sh -c 'echo $$ > \"$0.new\" && mv \"$0.new\" \"$0\" && \
         exec sleep 600' \"$1\" & read -r end"
    );
    let mut command = Command::new("sh");
    command.args(["-c", &script, "sh"]).arg(place);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    family.mark(&mut command);
    let mut child = command.spawn().unwrap();
    family.take_in(Pid::from_child(&child));
    std::io::Write::write_all(child.stdin.as_mut().unwrap(), b"begin\n").unwrap();
    let pid = loop {
        if let Ok(text) = fs::read_to_string(place) {
            break text.trim().parse().unwrap();
        }
        assert_eq!(child.try_wait().unwrap(), None, "it stays");
        thread::yield_now();
    };
    (family, child, pid)
}

/// Whether a process runs; one that has ended and was not reaped does not.
fn runs(pid: i32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    status.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

fn parent(pid: i32) -> i32 {
    let status = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, rest) = status.rsplit_once(") ").unwrap();
    rest.split(' ').nth(1).unwrap().parse().unwrap()
}

/// Kills the first process alone, then the family; whether the daemon is there after each.
#[track_caller]
fn check(families: &Families, how: &str, expected: bool) {
    let folder = tempfile::tempdir().unwrap();
    let (family, mut child, daemon) = started(families, how, &folder.path().join("pid"));
    let first = i32::try_from(child.id()).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(runs(daemon), "it has left the process that started it");
    assert_ne!(parent(daemon), first);
    family.end(20_000).unwrap();
    let there = runs(daemon);
    kill_if(daemon, || there);
    assert_eq!(there, expected, "with {how:?}, {families:?}");
}

/// A run of its own: tests of this and of other processes run at once, and marks are looked for on
/// the whole machine.
fn run() -> String {
    static LAST: AtomicU64 = AtomicU64::new(0);
    format!("test-{}-{}", std::process::id(), LAST.fetch_add(1, Ordering::Relaxed))
}

fn without_cgroups() -> Families {
    Families::within(Err("there are to be none".to_owned()), &run())
}

#[test]
fn a_daemon_that_left_its_session_is_ended_with_what_started_it() {
    check(&Families::new(&run()), "", false);
    check(&without_cgroups(), "", false);
}

/// It takes a cgroup to find that one; where there can be none, that is said.
#[test]
fn a_daemon_that_threw_its_environment_away_as_well_is_found_by_its_cgroup() {
    let families = Families::new(&run());
    let clean = "env -i PATH=\"$PATH\"";
    match families.no_cgroups_because() {
        None => check(&families, clean, false),
        Some(why) => {
            assert!(!why.is_empty());
            check(&families, clean, true);
        }
    }
    check(&without_cgroups(), clean, true);
}

/// As another node does that is a resource.
#[test]
fn what_makes_cgroups_of_its_own_is_found_in_them_and_none_of_them_is_left() {
    let families = Families::new(&run());
    let Ok(folder) = families.folder.clone() else { return };
    let place = tempfile::tempdir().unwrap();
    let clean = "env -i PATH=\"$PATH\"";
    let (family, mut child, daemon) = started(&families, clean, &place.path().join("pid"));
    let cgroup = family.cgroup.clone().unwrap();
    let below = cgroup.join("below");
    fs::create_dir(&below).unwrap();
    fs::write(below.join("cgroup.procs"), daemon.to_string()).unwrap();
    let first = i32::try_from(child.id()).unwrap();
    let found = || BTreeSet::from_iter(members(&cgroup));
    let (expected, begun) = (BTreeSet::from([first, daemon]), Instant::now());
    // The program that gave the file its name may be about to end.
    while found() != expected && begun.elapsed() < Duration::from_secs(20) {
        thread::yield_now();
    }
    assert_eq!(found(), expected);
    family.end(20_000).unwrap();
    child.wait().unwrap();
    while runs(daemon) {
        thread::yield_now();
    }
    drop((family, families));
    assert!(!cgroup.exists() && !folder.exists());
}

#[test]
fn what_is_started_while_the_rest_is_ended_is_ended_too() {
    let family = without_cgroups().family(&ResourceName::new("busy").unwrap());
    let script = "n=0; while [ $n -lt 1000 ]; do sleep 600 & n=$((n + 1)); \
                  [ $n -ne 20 ] || echo; done; wait";
    let mut command = Command::new("sh");
    command.args(["-c", script]).stdout(Stdio::piped());
    family.mark(&mut command);
    let mut child = command.spawn().unwrap();
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut [0]).unwrap();
    family.end(20_000).unwrap();
    let left = family.marked();
    for &pid in &left {
        kill_if(pid, || family.has_mark(pid));
    }
    child.wait().unwrap();
    assert_eq!(left, [0; 0]);
}

#[test]
fn nothing_of_another_start_is_touched() {
    let folder = tempfile::tempdir().unwrap();
    for families in [Families::new(&run()), without_cgroups()] {
        let place = |name: &str| folder.path().join(name);
        let (first, mut one, first_daemon) = started(&families, "", &place("first"));
        let (second, mut other, second_daemon) = started(&families, "", &place("second"));
        first.end(20_000).unwrap();
        assert!(!runs(first_daemon) && runs(second_daemon));
        second.end(20_000).unwrap();
        assert!(!runs(second_daemon));
        for child in [&mut one, &mut other] {
            child.wait().unwrap();
        }
        for name in ["first", "second"] {
            fs::remove_file(place(name)).unwrap();
        }
    }
}

#[track_caller]
fn check_mount(line: &str, expected: Option<(&str, &str)>) {
    assert_eq!(mount_of_cgroups(line), expected);
}

#[test]
fn where_cgroups_are_is_read_from_what_is_mounted() {
    let plain = "41 31 0:38 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw";
    check_mount(plain, Some(("/", "/sys/fs/cgroup")));
    let more = "41 31 0:38 /pod /sys/fs/cgroup/unified rw shared:9 master:2 - cgroup2 none rw";
    check_mount(more, Some(("/pod", "/sys/fs/cgroup/unified")));
    check_mount("40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw", None);
    check_mount("", None);
}
