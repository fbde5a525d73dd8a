//! Programs that a test writes and has run.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// Writes `text` into the executable file `path`, by a process of its own: a child that another
/// thread has begun holds for a moment what this process has open, and nobody can run a file that
/// somebody can write to (`ETXTBSY`).
pub(crate) fn write_program(path: &Path, text: &str) {
    let mut install = Command::new("install");
    install.args(["-m", "755", "/dev/stdin"]).arg(path).stdin(Stdio::piped());
    let mut installer = install.spawn().unwrap();
    installer.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    assert!(installer.wait().unwrap().success(), "{}", path.display());
}

/// Threads that start children while programs are written and run.
#[test]
fn a_program_that_was_written_can_be_run_while_others_start_theirs() {
    let folder = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let path = folder.path().join(format!("{thread}"));
            scope.spawn(move || {
                for _ in 0..50 {
                    write_program(&path, "#!/bin/sh\nexit 0\n");
                    let status = Command::new(&path).status();
                    assert!(status.unwrap().success());
                }
            });
        }
    });
}
