//! Runs the program that tortures stores; it lies beside the tests, whose harness it shares.

use std::process::Command;

use clap::Args;

use crate::commands::{root, test_program};

#[derive(Debug, Args)]
pub(crate) struct StoreArgs {
    /// The same seed crashes the same stores in the same places.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many crashes.
    #[arg(long, default_value_t = 10_000)]
    points: u64,
    /// Only this point.
    #[arg(long, conflicts_with = "points")]
    point: Option<u64>,
    /// So often: the store's threads run as the machine lets them.
    #[arg(long, default_value_t = 1)]
    times: u64,
    /// Only this scenario: work, move, restore or creation.
    #[arg(long)]
    only: Option<String>,
    /// Leave this sync out: the run must fail then.
    #[arg(long)]
    lie: Option<String>,
    /// One JSON document in one line.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &StoreArgs) -> Result<(), String> {
    let mut command = Command::new(test_program("rehome-torture")?);
    command.arg("store").current_dir(root()).args(["--seed", &args.seed.to_string()]);
    match args.point {
        Some(point) => command.args(["--point", &point.to_string()]),
        None => command.args(["--points", &args.points.to_string()]),
    };
    command.args(["--times", &args.times.to_string()]);
    for (option, value) in [("--only", &args.only), ("--lie", &args.lie)] {
        if let Some(value) = value {
            command.args([option, value]);
        }
    }
    if args.json {
        command.arg("--json");
    }
    let status = command.status().map_err(|error| format!("it does not start: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("torture failed: {status}")) }
}
