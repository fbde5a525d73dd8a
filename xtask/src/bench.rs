//! `bench`: the store measured beside floors and peers, each in the same run as what it is
//! compared with.

mod archive;
mod bulk;
mod chart;
mod child;
mod deliver;
mod disk;
mod dovecot;
mod figures;
mod forecast;
mod lock;
mod memory;
mod page;
mod planning;
mod policy;
mod process;
mod scale;
mod setting;
mod soak;
#[cfg(feature = "peers")]
mod sqlite;
mod stores;
mod work;

use std::process::Command;

use clap::Subcommand;

use crate::commands;

/// What is measured.
#[derive(Debug, Subcommand)]
pub(crate) enum Bench {
    /// The bulk move beside copies of the same bytes; renews docs/benchmarks/bulk-move.*.
    Move(bulk::MoveArgs),
    /// Delivery, reading and recovery; renews docs/benchmarks/deliver.*.
    Deliver(deliver::DeliverArgs),
    /// The bulk move from ten thousand to a million messages; renews docs/benchmarks/scale.*.
    Scale(scale::ScaleArgs),
    /// The lock at cutover while mail comes in; renews docs/benchmarks/lock.*.
    Lock(lock::LockArgs),
    /// Millions of rows: checkpoints, hold-ups, growth, opening; renews docs/benchmarks/soak.*.
    Soak(soak::SoakArgs),
    /// Peak memory of each kind of work; renews docs/benchmarks/memory.*.
    Memory(memory::MemoryArgs),
    /// Backups beside restic, borg and tar; renews docs/benchmarks/archive.*.
    Archive(archive::ArchiveArgs),
    /// A cluster's policy when a node is lost, from a hundred resources to a hundred thousand;
    /// renews docs/benchmarks/policy.*.
    Policy(policy::PolicyArgs),
    /// Planning, from a thousand mailboxes to a million; renews docs/benchmarks/planning.*.
    Planning(planning::PlanningArgs),
    /// Migrations predicted and carried out after this machine was measured; renews
    /// docs/benchmarks/forecast.*.
    Forecast(forecast::ForecastArgs),
    /// The store's benches with criterion.
    Criterion,
    /// Work in a process of its own, for the others.
    #[command(subcommand, hide = true)]
    Child(child::Child),
}

/// Measures, shows the figures and writes the results.
pub(crate) fn run(bench: &Bench) -> Result<(), String> {
    // What plans and migrates is a program of its own, built for release whatever this one is.
    let measures = !matches!(
        bench,
        Bench::Criterion | Bench::Child(_) | Bench::Planning(_) | Bench::Forecast(_)
    );
    if measures && (cfg!(debug_assertions) || cfg!(not(feature = "peers"))) {
        return again_for_release();
    }
    match bench {
        Bench::Move(args) => bulk::run(args),
        Bench::Deliver(args) => deliver::run(args),
        Bench::Scale(args) => scale::run(args),
        Bench::Lock(args) => lock::run(args),
        Bench::Soak(args) => soak::run(args),
        Bench::Memory(args) => memory::run(args),
        Bench::Archive(args) => archive::run(args),
        Bench::Policy(args) => policy::run(args),
        Bench::Planning(args) => planning::run(args),
        Bench::Forecast(args) => forecast::run(args),
        Bench::Criterion => commands::bench_criterion(),
        Bench::Child(child) => child::run(child),
    }
}

/// Runs this command again as a release build with the peers: an unoptimised store says nothing.
fn again_for_release() -> Result<(), String> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["run", "--release", "--features", "peers", "--quiet", "--package", "xtask"]);
    command.arg("--").args(std::env::args_os().skip(1));
    let status = command.status().map_err(|error| format!("cargo does not start: {error}"))?;
    if status.success() { Ok(()) } else { Err("the release build of this command failed".into()) }
}
