//! A node, or a child for a node to supervise: what the tests of real processes start.
//!
//! The test program starts itself again for this, so that what runs is always what was built. It
//! is told by the variable [`ROLE`] what it is to be.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rehome_cluster::{Node, NodeName, NodeOptions, QuorumFolder};
use rehome_log::SystemClock;

/// What this process is to be, if it is no test.
pub(crate) const ROLE: &str = "REHOME_PROBE";

/// Arguments that make the test program run [`run_role`] and nothing else.
pub(crate) const ARGS: [&str; 4] =
    ["--exact", "this_program_plays_its_role", "--nocapture", "--quiet"];

/// Plays the role, if there is one, and ends the process.
pub(crate) fn run_role() {
    let Ok(role) = std::env::var(ROLE) else { return };
    // The test harness has begun a line of its own.
    say("");
    let args: Vec<&str> = role.split('|').collect();
    let code = match args.as_slice() {
        ["node", quorum, name, state] => node(quorum, name, state),
        ["child", folder, name, who, rest @ ..] => child(Path::new(folder), name, who, rest),
        _ => 64,
    };
    std::process::exit(code);
}

fn node(quorum: &str, name: &str, state: &str) -> i32 {
    let options = NodeOptions {
        coordinator: Arc::new(QuorumFolder::open(Path::new(quorum)).expect("it is there")),
        name: NodeName::new(name).expect("the test gives a good name"),
        state_dir: PathBuf::from(state),
        clock: Arc::new(SystemClock),
        stop: Arc::new(AtomicBool::new(false)),
        while_stdin: true,
        program: std::env::current_exe().expect("a running program has a path"),
        metrics: None,
        ready_out: Box::new(std::io::stdout()),
    };
    match Node::run(options) {
        Ok(()) => 0,
        Err(error) => {
            drop(writeln!(std::io::stderr(), "{error}"));
            1
        }
    }
}

/// Holds a lock while it runs, writes down when it starts and ends, and does what `rest` says:
/// `slow` waits for the file `go` and reports progress meanwhile; `mute` says nothing for ever;
/// `deaf` ignores `quit` and the end of input; `marker FILE` removes FILE and writes `recovered`
/// if it was there.
fn child(folder: &Path, name: &str, who: &str, rest: &[&str]) -> i32 {
    let lock = File::create(folder.join(format!("{name}.lock"))).expect("the folder is there");
    if lock.try_lock().is_err() {
        note(folder, "violations", &format!("{name} of {who} found another one alive"));
        return 1;
    }
    if let ["marker", file] = rest {
        let found = std::fs::remove_file(file).is_ok();
        note(folder, "events", &format!("{name} {}", if found { "recovered" } else { "plain" }));
    }
    if rest.contains(&"slow") {
        let mut round = 0;
        while !folder.join("go").exists() {
            round += 1;
            if !say(&format!("progress {{\"round\":{round}}}")) {
                return 1;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
    if rest.contains(&"mute") {
        std::thread::park();
    }
    note(folder, "events", &format!("{name} up {who}"));
    say(&format!("ready {{\"pid\":{}}}", std::process::id()));
    for line in std::io::stdin().lock().lines() {
        match line.as_deref() {
            Ok("quit") | Err(_) => break,
            Ok(_) => {}
        }
    }
    if rest.contains(&"deaf") {
        std::thread::sleep(std::time::Duration::from_secs(60));
    }
    note(folder, "events", &format!("{name} down {who}"));
    drop(lock);
    0
}

/// Whether the node still listens.
fn say(line: &str) -> bool {
    writeln!(std::io::stdout(), "{line}").is_ok()
}

fn note(folder: &Path, file: &str, line: &str) {
    let path = folder.join(file);
    let mut file =
        OpenOptions::new().create(true).append(true).open(path).expect("the folder is there");
    file.write_all(format!("{line}\n").as_bytes()).expect("the folder takes a line");
}
