//! The commands that run cargo and the program.

use std::ffi::OsStr;
use std::io::{BufRead as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{cluster_lab, torture};

/// Writes a line for the person at the terminal.
pub(crate) fn say(line: &str) {
    // A closed terminal is no reason to stop working.
    let _told = writeln!(std::io::stderr().lock(), "{line}");
}

/// The workspace.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace").into()
}

/// Runs cargo in the workspace and fails when it fails.
fn cargo<S: AsRef<OsStr>>(args: &[S], env: &[(&str, &str)]) -> Result<(), String> {
    let shown: Vec<_> = args.iter().map(|arg| arg.as_ref().to_string_lossy()).collect();
    say(&format!("$ cargo {}", shown.join(" ")));
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(args).envs(env.iter().copied()).current_dir(root());
    let status = command.status().map_err(|error| format!("cargo does not start: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("cargo {} failed", shown.join(" "))) }
}

/// The package that brings an HTTP client and a server: built for itself.
const S3_TESTS: &str = "rehome-s3-tests";

/// The coordinator over etcd, with an HTTP client: its tests need the server.
const ETCD: &str = "rehome-etcd";

/// The directory over LDAP, with a client of its own: its tests need the server.
const LDAP: &str = "rehome-ldap";

/// What is left out where everything that needs nothing but Rust is built or tested.
const MOST: [&str; 7] =
    ["--workspace", "--exclude", S3_TESTS, "--exclude", ETCD, "--exclude", LDAP];

/// Runs every test, shows what they say, and closes with how many passed and failed.
pub(crate) fn test() -> Result<(), String> {
    say(&format!("$ cargo test {} --no-fail-fast", MOST.join(" ")));
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.arg("test").args(MOST).arg("--no-fail-fast");
    command.current_dir(root());
    command.stdout(std::process::Stdio::piped());
    let mut child = command.spawn().map_err(|error| format!("cargo does not start: {error}"))?;
    let stdout = child.stdout.take().expect("standard output is a pipe");
    let (mut passed, mut failed) = (0, 0);
    for line in std::io::BufReader::new(stdout).lines().map_while(Result::ok) {
        let count = |word: &str| result_count(&line, word).unwrap_or(0);
        passed += count("passed");
        failed += count("failed");
        tell(&line);
    }
    let status = child.wait().map_err(|error| error.to_string())?;
    tell(&format!("{passed} passed, {failed} failed"));
    if status.success() { Ok(()) } else { Err("some tests failed".to_owned()) }
}

/// The number before a word in a line such as `test result: ok. 3 passed; 0 failed; …`.
fn result_count(line: &str, word: &str) -> Option<u64> {
    let (before, _) = line.strip_prefix("test result: ")?.split_once(word)?;
    before.split_whitespace().last()?.parse().ok()
}

/// Writes a line for the next program.
pub(crate) fn tell(line: &str) {
    // A closed pipe is no reason to stop testing.
    let _told = writeln!(std::io::stdout().lock(), "{line}");
}

pub(crate) fn check() -> Result<(), String> {
    cargo(&["fmt", "--all", "--check"], &[])?;
    // The rules of form are seconds here and would else be told at the end of the tests.
    let rules = ["--quiet", "--bin", "xtask", "tidy::"];
    cargo(&[&["test"][..], &MOST, &rules].concat(), &[])?;
    // The fuzzer is a workspace of its own, which nothing else here builds.
    cargo(&["update", "--workspace", "--locked", "--manifest-path", "fuzz/Cargo.toml"], &[])?;
    let lint = ["--all-targets", "--quiet", "--", "--deny", "warnings"];
    cargo(&[&["clippy"][..], &MOST, &lint].concat(), &[])?;
    let document = ["--no-deps", "--quiet"];
    cargo(&[&["doc"][..], &MOST, &document].concat(), &[("RUSTDOCFLAGS", "--deny warnings")])
}

pub(crate) fn fix() -> Result<(), String> {
    cargo(&["fmt", "--all"], &[])?;
    let fix = ["--all-targets", "--fix", "--allow-dirty"];
    cargo(&[&["clippy"][..], &MOST, &fix].concat(), &[])?;
    cargo(&["fmt", "--all"], &[])
}

/// Builds the program for release and returns where it is; `REHOME_PROGRAM` names one that is
/// built already.
pub(crate) fn program() -> Result<PathBuf, String> {
    if let Some(program) = std::env::var_os("REHOME_PROGRAM") {
        return Ok(program.into());
    }
    release("rehome", &["--package", "rehome-cli"])
}

/// As [`program`], built with one of its features; `REHOME_PROGRAM_ETCD` and the like name one that
/// is built already.
pub(crate) fn program_with(feature: &str) -> Result<PathBuf, String> {
    let given = std::env::var_os(format!("REHOME_PROGRAM_{}", feature.to_uppercase()));
    if let Some(program) = given {
        return Ok(program.into());
    }
    release("rehome", &["--package", "rehome-cli", "--features", feature])
}

/// Builds a program of the tests for release and returns where it is.
pub(crate) fn test_program(name: &str) -> Result<PathBuf, String> {
    release(name, &["--package", "rehome-tests", "--bin", name])
}

/// Builds for release and returns where the program of that name is.
fn release(name: &str, what: &[&str]) -> Result<PathBuf, String> {
    cargo(&[&["build", "--release", "--quiet"][..], what].concat(), &[])?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    Ok(target.unwrap_or_else(|| root().join("target")).join("release").join(name))
}

/// Runs the program and fails when its exit code is another than `expected`.
pub(crate) fn rehome(args: &[&OsStr], expected: i32) -> Result<Vec<u8>, String> {
    let output = Command::new(program()?)
        .args(args)
        .stderr(std::process::Stdio::inherit())
        .output()
        .map_err(|error| format!("rehome does not start: {error}"))?;
    if output.status.code() == Some(expected) {
        return Ok(output.stdout);
    }
    Err(format!("rehome {args:?} ended with {}, expected {expected}", output.status))
}

pub(crate) fn servers() -> Result<(), String> {
    // What runs in the lab is also what the tests with etcd run.
    let with_etcd = program_with("etcd")?.display().to_string();
    for package in [S3_TESTS, ETCD, LDAP] {
        let lint = ["clippy", "--package", package, "--profile", "s3", "--all-targets", "--quiet"];
        cargo(&[&lint[..], &["--", "--deny", "warnings"]].concat(), &[])?;
        let test = ["test", "--package", package, "--profile", "s3", "--quiet"];
        cargo(&test, &[("REHOME_PROGRAM_ETCD", &with_etcd)])?;
    }
    lab()?;
    for route in ["move-users", "disaster-recovery"] {
        let scratch = tempfile::tempdir().map_err(|error| error.to_string())?;
        let dir = scratch.path().join("demo");
        let args = ["demo", "--route", route, "--dir"].map(OsStr::new);
        let said = rehome(&[args.as_slice(), &[dir.as_os_str()]].concat(), 0)?;
        tell(String::from_utf8_lossy(&said).trim_end());
    }
    simulate()?;
    torture::run(&torture::Torture::short_migrate())?;
    torture::run(&torture::Torture::short_failover())?;
    torture::run(&torture::Torture::short_archive())
}

/// Three hosts, if this machine lets them be; otherwise it is said so, and nothing is wrong.
fn lab() -> Result<(), String> {
    if let Some(why) = cluster_lab::impossible() {
        say("!!! THE CLUSTER LAB WAS NOT RUN: fail-over between hosts is not tested here");
        say(&format!("!!! {why}"));
        return Ok(());
    }
    cluster_lab::run(&cluster_lab::LabArgs::short())
}

/// Simulated clusters: whole ones, and ones that miss a layer of protection, which must be seen.
fn simulate() -> Result<(), String> {
    let simulate = ["cluster", "simulate", "--json", "--seeds", "5000"].map(OsStr::new);
    let said = rehome(&simulate, 0)?;
    tell(String::from_utf8_lossy(&said).trim_end());
    for layer in ["deadline", "seal", "wait", "lock", "anew"] {
        let without = ["--without", layer].map(OsStr::new);
        rehome(&[simulate.as_slice(), &without].concat(), 0)?;
    }
    Ok(())
}

pub(crate) fn plan(site: &Path) -> Result<(), String> {
    let scratch = tempfile::tempdir().map_err(|error| error.to_string())?;
    let args = ["plan".as_ref(), site.as_os_str(), "--work".as_ref(), scratch.path().as_os_str()];
    let text = rehome(&args, 0)?;
    std::io::stdout().write_all(&text).map_err(|error| error.to_string())
}

pub(crate) fn bench_criterion() -> Result<(), String> {
    cargo(&["bench", "--package", "rehome-store", "--bench", "bulk_move"], &[])
}
