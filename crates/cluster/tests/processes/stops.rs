//! Stops that fail: by force, and by switching the power off when even that is not enough.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rehome_cluster::{FenceConfig, ResourceConfig, ResourceKind, Target};

use super::{Site, lines, mail, make_program, name, node, write};

/// A script whose `stop` hangs on node `a`, made of the bodies of its actions; what `$1` is there
/// is a file of the node's own.
fn hangs_on_stop(site: &Site, [start, stop, monitor]: [&str; 3]) -> ResourceConfig {
    let script = site.dir.path().join("script");
    let text = format!(
        "#!/bin/sh\ncase $2 in\nstart) {start};;\nstop) case $1 in *-a) exec sleep 600;; \
         esac; {stop};;\nmonitor) {monitor};;\nesac\n"
    );
    write(&script, &text);
    make_program(&script);
    let file = site.dir.path().join("file-{node}").display().to_string();
    let mut kind = ResourceKind::script(&script, &[&file]);
    if let ResourceKind::Script { timeout_ms, .. } = &mut kind {
        // For `stop`, which never ends; the other actions are done in no time.
        *timeout_ms = 3_000;
    }
    ResourceConfig::new(name("script"), kind).target(Target::Online)
}

fn file(site: &Site, node: &str) -> PathBuf {
    site.dir.path().join(format!("file-{node}"))
}

/// The script's daemon leaves its session and gets another parent; its number is in the file.
#[test]
fn a_daemon_whose_stop_hangs_is_ended_by_force_and_the_group_moves() {
    let site = Site::new(&[]);
    let start = "setsid sh -c 'echo $$ > \"$0.new\" && mv \"$0.new\" \"$0\" && \
                 exec sleep 600' $1 > /dev/null 2>&1 & until [ -e $1 ]; do :; done";
    let monitor = "grep -q '^State:.[RSD]' /proc/$(cat $1 || echo 0)/status || exit 7";
    let script = hangs_on_stop(&site, [start, "kill $(cat $1)", monitor]);
    site.cluster.add_resource(&mail(), script).unwrap();
    let mut a = site.start("a");
    site.wait_online("a");
    let daemon = lines(&file(&site, "a")).remove(0);
    let mut b = site.start("b");
    site.wait("b to be alive", |status| status.alive(&node("b")));
    site.cluster.move_group(&mail(), &node("b")).unwrap();
    site.wait_online("b");
    let state = lines(Path::new(&format!("/proc/{daemon}/status")));
    let runs = state.iter().any(|line| line.starts_with("State:") && !line.contains('Z'));
    assert!(!runs, "it was ended by force");
    b.end_input();
    a.end_input();
}

/// What cannot be ended by force, because nothing that the script started is what goes on.
#[test]
fn what_no_force_ends_has_its_power_switched_off_and_is_followed() {
    let site = Site::new(&[]);
    let script = hangs_on_stop(&site, ["touch $1", "rm -f $1", "[ -e $1 ] || exit 7"]);
    site.cluster.add_resource(&mail(), script).unwrap();
    let mut a = site.start("a");
    site.wait_online("a");
    let agent = site.dir.path().join("fence_test");
    let text = "#!/bin/sh\nwhile read -r line; do case $line in action=*) action=${line#action=};; \
                pid=*) pid=${line#pid=};; file=*) file=${line#file=};; esac; done\n\
                case $action in\nmetadata) echo '<parameters/><action name=\"off\"/>';;\n\
                off) echo off >> \"$0.done\"; kill -9 $pid; rm -f $file;;\nesac\n";
    write(&agent, text);
    make_program(&agent);
    let mut parameters = BTreeMap::from([("pid".to_owned(), a.0.id().to_string())]);
    parameters.insert("file".to_owned(), file(&site, "a").display().to_string());
    let done = agent.with_extension("done");
    let fence = FenceConfig { agent, parameters, timeout_ms: 20_000 };
    site.cluster.set_fence(&node("a"), Some(fence)).unwrap();
    let mut b = site.start("b");
    site.wait("b to be alive", |status| status.alive(&node("b")));
    site.cluster.move_group(&mail(), &node("b")).unwrap();
    site.wait_online("b");
    assert_eq!(lines(&done), ["off"]);
    let said: Vec<String> =
        site.cluster.log(&node("a")).unwrap().into_iter().map(|entry| entry.action).collect();
    assert!(said.iter().any(|action| action == "gives up"), "{said:?}");
    assert!(!a.0.wait().unwrap().success(), "its power was switched off");
    assert!(!file(&site, "a").exists() && file(&site, "b").exists());
    b.end_input();
}
