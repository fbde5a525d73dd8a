//! Runs the fuzz targets with the stable toolchain: coverage comes from the compiler's own pass,
//! and there is no sanitizer, because the project has no `unsafe`.

use std::path::Path;
use std::process::Command;

use crate::commands::{root, say};

/// Every target, in the order in which all are run.
const TARGETS: [&str; 10] = [
    "log",
    "segment",
    "transfer",
    "mbox",
    "maildir",
    "pst",
    "settings",
    "archive-record",
    "archive-manifest",
    "archive-outline",
];

/// What makes the compiler count the edges that an input takes.
const FLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
                     -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
                     -Cllvm-args=-sanitizer-coverage-pc-table -Ccodegen-units=1";

/// The flags hold for the target alone if it is named, and not for build scripts.
const PLATFORM: &str = "x86_64-unknown-linux-gnu";

#[derive(Debug, clap::Args)]
pub(crate) struct FuzzArgs {
    /// One target; all if none is named.
    target: Option<String>,
    /// How long each target runs.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
}

/// Builds the fuzzer and runs one target or all. What breaks one stays in `target/fuzz/findings`.
pub(crate) fn run(args: &FuzzArgs) -> Result<(), String> {
    let targets: Vec<&str> = match &args.target {
        Some(name) => {
            let known = TARGETS.iter().copied().find(|known| known == name);
            vec![known.ok_or_else(|| format!("no target {name:?}; there are {TARGETS:?}"))?]
        }
        None => TARGETS.to_vec(),
    };
    let build = root().join("target/fuzz");
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--release", "--locked", "--target", PLATFORM, "--manifest-path"]);
    cargo.arg(root().join("fuzz/Cargo.toml")).env("RUSTFLAGS", FLAGS);
    cargo.env("CARGO_TARGET_DIR", &build);
    end_well(&mut cargo, "building the fuzzer")?;
    for target in targets {
        say(&format!("fuzzing {target} for {} s", args.seconds));
        run_target(&build, target, args.seconds)?;
    }
    Ok(())
}

fn run_target(build: &Path, target: &str, seconds: u64) -> Result<(), String> {
    let (corpus, findings) = (build.join("corpus").join(target), build.join("findings"));
    for folder in [&corpus, &findings] {
        let made = std::fs::create_dir_all(folder);
        made.map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    let mut fuzzer = Command::new(build.join(PLATFORM).join("release/fuzz"));
    fuzzer.env("REHOME_FUZZ_TARGET", target).env("REHOME_FUZZ_SEEDS", &corpus);
    fuzzer.arg(&corpus).arg(format!("-max_total_time={seconds}"));
    fuzzer.args(["-max_len=65536", "-rss_limit_mb=1024", "-timeout=10", "-print_final_stats=1"]);
    fuzzer.arg(format!("-artifact_prefix={}/{target}-", findings.display()));
    end_well(&mut fuzzer, &format!("target {target}"))
}

fn end_well(command: &mut Command, what: &str) -> Result<(), String> {
    let status = command.status().map_err(|error| format!("{what}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{what} ended with {status}")) }
}
