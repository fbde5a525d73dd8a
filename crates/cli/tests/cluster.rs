//! The verbs of a cluster: what they say, how they end, and that a refusal changes nothing.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

/// A folder of one test, empty at its beginning, with a cluster of two nodes.
fn cluster(test: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
    if path.exists() {
        std::fs::remove_dir_all(&path).expect("the folder of an earlier run");
    }
    std::fs::create_dir_all(&path).expect("a writable folder");
    let nodes = ["--node", "a=a", "--node", "b=b"];
    check(&path, &[&["create", "quorum", "--name", "office"], &nodes[..]].concat(), Ok("2 nodes"));
    path
}

/// Runs a verb in the folder; its exit code, and what it said on both outputs.
fn run(folder: &Path, args: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rehome"));
    command.arg("cluster").args(args).current_dir(folder).stdin(Stdio::null());
    let output = command.output().expect("the program starts");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// `Ok` is said on success; `Err` is said with the exit code of bad input.
#[track_caller]
fn check(folder: &Path, args: &[&str], expected: Result<&str, &str>) {
    let (code, out, err) = run(folder, args);
    match expected {
        Ok(part) => {
            assert_eq!(code, Some(0), "{args:?}: {err}");
            assert!(out.contains(part), "{args:?}: {out}");
        }
        Err(part) => {
            assert_eq!(code, Some(65), "{args:?}: {out}{err}");
            assert!(err.contains(part), "{args:?}: {err}");
        }
    }
}

/// Adds a resource; the rest is given as one text.
fn adds<'a>(name: &'a str, kind: &'a str, rest: &'a str) -> Vec<&'a str> {
    let mut args = vec!["add-resource", "quorum", "--name", name, "--kind", kind];
    args.extend(rest.split_whitespace());
    args
}

fn configuration(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder.join("quorum/config")).expect("a readable folder");
    entries.map(|entry| entry.expect("a readable entry").path()).collect()
}

#[test]
fn bad_input_is_refused_with_its_place_and_nothing_is_half_configured() {
    let folder = cluster("refused");
    let disk = adds("disk", "folder", "--group mail --set path=shared");
    check(&folder, &disk, Ok("is in group mail"));
    let revisions = configuration(&folder).len();
    let refused = |args: Vec<&str>, part| check(&folder, &args, Err(part));
    refused(adds("disk", "folder", "--group web --set path=x"), "\"disk\" is configured already");
    let circle = "--group web --set path=x --depends-on loop";
    refused(adds("loop", "folder", circle), "go in a circle through \"loop\"");
    let stranger = "--group web --set path=x --depends-on disk";
    refused(adds("other", "folder", stranger), "dependencies stay within a group");
    let agent = adds("ip", "ocf:heartbeat:Nowhere", "--group mail");
    refused(agent, "install it on every node");
    refused(adds("job", "script", "--group mail --set program=/nowhere"), "/nowhere");
    refused(adds("x", "folder", "--group mail --set pth=x"), "needs path");
    refused(vec!["join", "quorum", "A", "--dir", "elsewhere"], "\"A\" is configured already");
    refused(vec!["move", "quorum", "mail", "c"], "node \"c\" is not configured; known: a, b");
    refused(vec!["online", "quorum", "nothing"], "known: disk");
    refused(vec!["explain", "quorum", "nothing"], "known: a, b, mail, disk");
    refused(vec!["log", "quorum", "--node", "c"], "known: a, b");
    refused(vec!["status", "nowhere"], "holds no cluster");
    let twice = ["create", "other", "--name", "x", "--node", "a=a", "--node", "a=b"];
    refused(twice.to_vec(), "node \"a\" is configured already");
    assert!(!folder.join("other/CLUSTER").exists() && !folder.join("elsewhere").exists());
    assert_eq!(configuration(&folder).len(), revisions, "nothing was written");
}

#[test]
fn what_is_ordered_is_seen_and_explained() {
    let folder = cluster("ordered");
    check(&folder, &adds("disk", "folder", "--group mail --set path=shared"), Ok("mail"));
    check(&folder, &["pause", "quorum", "a"], Ok("takes nothing new"));
    check(&folder, &["status", "quorum"], Ok("NeverSeen, paused"));
    check(&folder, &["explain", "quorum", "a"], Ok("it is paused: it keeps what it has"));
    check(&folder, &["drain", "quorum", "a"], Ok("hands over"));
    check(&folder, &["explain", "quorum", "a"], Ok("it is drained"));
    check(&folder, &["drain", "quorum", "a", "--end"], Ok("takes part again"));
    check(&folder, &["online", "quorum", "mail"], Ok("is to be online"));
    check(&folder, &["explain", "quorum", "mail"], Ok("nobody has owned it yet"));
    check(&folder, &["evict", "quorum", "b"], Ok("not of this cluster any more"));
    check(&folder, &["join", "quorum", "c", "--dir", "c"], Ok("start it with"));
    let (_, out, _) = run(&folder, &["status", "quorum", "--json"]);
    let status: Value = serde_json::from_str(&out).expect("one document");
    assert_eq!(status["nodes"]["c"]["liveness"], "never_seen");
    assert!(status["nodes"]["b"].is_null());
}

#[test]
fn simulated_clusters_are_judged_and_a_missing_layer_is_missed() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let report = |args: &[&str]| -> Value {
        let (code, out, err) = run(folder, &[&["simulate", "--json"], args].concat());
        assert_eq!(code, Some(0), "{args:?}: {err}");
        serde_json::from_str(&out).expect("one document")
    };
    let whole = report(&["--seeds", "20", "--first-seed", "100"]);
    let counts = ["two_owners", "two_open", "lost_writes", "no_owner", "early_releases"];
    assert!(counts.iter().all(|name| whole[name] == 0), "{whole}");
    assert_eq!((&whole["seeds"], &whole["next_seed"]), (&20.into(), &120.into()));
    assert_eq!(whole["done"], true);
    let caught = report(&["--without", "wait"]);
    assert!(caught["troubles"][0]["seed"].is_u64(), "{caught}");
}
