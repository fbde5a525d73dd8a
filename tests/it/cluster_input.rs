//! Wrong orders to a cluster: a message with cause, consequence and remedy, the right exit code,
//! nothing half configured.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rehome_tests::{Run, run, tree};
use serde_json::Value;

use crate::REHOME;

/// A cluster of nodes `a` and `b` with `disk` in group `mail`.
struct Site {
    folder: tempfile::TempDir,
}

impl Site {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let site = Self { folder };
        let node = |name: &str| format!("{name}={}", site.path(name).display());
        let made = site.order("create", &["--name", "office", "--node", &node("a")]);
        assert_eq!(made.code, Some(0), "{made:?}");
        let joined = site.order("join", &["b", "--dir", &site.path("b").display().to_string()]);
        assert_eq!(joined.code, Some(0), "{joined:?}");
        let added = site.add("mail", "disk", &["--kind", "folder", "--set", "path=/nowhere/disk"]);
        assert_eq!(added.code, Some(0), "{added:?}");
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn quorum(&self) -> String {
        self.path("quorum").display().to_string()
    }

    fn order(&self, verb: &str, args: &[&str]) -> Run {
        run(REHOME, &[&["cluster", verb, &self.quorum()][..], args].concat())
    }

    fn add(&self, group: &str, name: &str, args: &[&str]) -> Run {
        self.order("add-resource", &[&["--group", group, "--name", name][..], args].concat())
    }

    fn node(&self, name: &str) -> Command {
        let mut command = Command::new(REHOME);
        command.args(["cluster", "node", "--quorum", &self.quorum(), "--name", name]);
        command.arg("--while-stdin").stdin(Stdio::piped());
        command
    }

    /// Asks for the status until it is so.
    fn wait(&self, met: impl Fn(&Value) -> bool) {
        let status = || run(REHOME, &["--json", "cluster", "status", &self.quorum()]).json();
        while !met(&status()) {}
    }
}

/// Expects a refusal with these words, and that nothing has changed.
#[track_caller]
fn check(site: &Site, words: &[&str], order: impl Fn(&Site) -> Run) {
    let before = tree(site.folder.path());
    check_said(&order(site), 65, words);
    assert_eq!(tree(site.folder.path()), before, "something was written or changed");
}

#[track_caller]
fn check_said(refused: &Run, code: i32, words: &[&str]) {
    assert_eq!(refused.code, Some(code), "{refused:?}");
    rehome_tests::tell(refused.stderr.trim_end());
    for word in words {
        assert!(refused.stderr.contains(word), "no {word:?} in {}", refused.stderr);
    }
}

#[test]
fn dependencies_that_go_in_a_circle() {
    let words = ["group \"mail\"", "in a circle", "nothing was configured", "remove one"];
    check(&Site::new(), &words, |site| {
        let folder = ["--kind", "folder", "--set", "path=/nowhere/x"];
        site.add("mail", "loop", &[&folder[..], &["--depends-on", "loop"]].concat())
    });
}

#[test]
fn a_resource_in_two_groups() {
    let words = ["resource \"disk\"", "configured already", "nothing was changed", "another name"];
    check(&Site::new(), &words, |site| {
        site.add("other", "disk", &["--kind", "folder", "--set", "path=/nowhere/x"])
    });
}

#[test]
fn an_agent_that_is_not_there() {
    let site = Site::new();
    let words = ["heartbeat/NoSuchAgent", "No such file", "could not be started", "install it"];
    check(&site, &words, |site| site.add("mail", "ip", &["--kind", "ocf:heartbeat:NoSuchAgent"]));
    let words = ["/nowhere/script", "No such file", "could not be started", "install it"];
    check(&site, &words, |site| {
        site.add("mail", "ip", &["--kind", "script", "--set", "program=/nowhere/script"])
    });
}

#[test]
fn two_nodes_of_one_name() {
    let site = Site::new();
    let words = ["node \"a\"", "configured already", "nothing was changed", "another name"];
    let dir = site.path("elsewhere").display().to_string();
    check(&site, &words, |site| site.order("join", &["a", "--dir", &dir]));
    check(&site, &words, |site| {
        let (other, node) = (site.path("other").display().to_string(), format!("a={dir}"));
        let new = ["cluster", "create", &other, "--name", "x", "--node", &node, "--node", &node];
        run(REHOME, &new)
    });
}

/// A node that runs; killed if the test ends before it.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ended = (self.0.kill(), self.0.wait());
    }
}

#[test]
fn two_processes_of_one_node() {
    let site = Site::new();
    let mut first = site.node("a");
    let _first = Running(first.stderr(Stdio::null()).spawn().expect("the program starts"));
    site.wait(|status| status["nodes"]["a"]["liveness"] == "alive");
    let second = run(REHOME, &["cluster", "node", "--quorum", &site.quorum(), "--name", "a"]);
    check_said(&second, 9, &["node \"a\" runs already", "one node is one process", "stop that"]);
}

/// `stop` hangs, and `monitor` goes on saying that the thing runs.
#[test]
fn an_agent_that_hangs_on_stop() {
    let site = Site::new();
    let script = site.path("script");
    let text = "#!/bin/sh\ncase $1 in start) touch \"$0.on\";; stop) exec sleep 600;; \
                monitor) [ -e \"$0.on\" ] || exit 7;; esac\n";
    write_program(&script, text);
    let program = format!("program={}", script.display());
    let script = ["--kind", "script", "--set", &program, "--set", "timeout_ms=2000", "--online"];
    let added = site.add("mail", "thing", &script);
    assert_eq!(added.code, Some(0), "{added:?}");
    let mut node = site.node("a").stderr(Stdio::piped()).spawn().expect("the program starts");
    site.wait(|status| status["groups"]["mail"]["resources"]["thing"]["state"] == "online");
    drop(node.stdin.take());
    let ended = node.wait_with_output().expect("the node ends by itself");
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    let ended = Run { code: ended.status.code(), stdout: String::new(), stderr: said };
    check_said(&ended, 9, &["node \"a\"", "thing", "would not stop", "not released", "look for"]);
    let why = site.order("log", &[]);
    let words = ["stop was ended because it took more than 2000 ms", "stop it by hand, or fence"];
    for word in words {
        assert!(why.stdout.contains(word), "no {word:?} in {}", why.stdout);
    }
}

fn write_program(path: &Path, text: &str) {
    use std::io::Write as _;
    // By a process of its own: what another thread's child holds open for a moment cannot be run.
    let mut install = Command::new("install");
    install.args(["-m", "755", "/dev/stdin"]).arg(path).stdin(Stdio::piped());
    let mut installer = install.spawn().expect("coreutils are there");
    let mut input = installer.stdin.take().expect("a pipe");
    input.write_all(text.as_bytes()).expect("it reads");
    drop(input);
    assert!(installer.wait().expect("it ends").success(), "{}", path.display());
}
