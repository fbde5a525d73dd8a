//! Developer commands: `cargo xtask test | check | fix | servers | plan | bench | fuzz |
//! torture | cluster-lab`.

mod bench;
mod cluster_lab;
mod commands;
mod fuzz;
mod torture;

#[cfg(test)]
mod tidy;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Developer commands.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Every test that needs nothing but Rust and a C compiler.
    Test,
    /// Form, layers, sizes, lints and documentation; writes nothing.
    Check,
    /// Mend form and what lints can mend.
    Fix,
    /// The runs of the real program: backups to an S3 server, clusters in etcd, a directory over
    /// LDAP, both demos, simulated clusters, kills of the migration, of a node, and of backups and
    /// restores.
    Servers,
    /// The planning report of a site.
    Plan {
        /// A site.toml, its folder, or a folder of Maildir++ trees.
        site: PathBuf,
    },
    /// Measure.
    #[command(subcommand)]
    Bench(bench::Bench),
    /// Hand made-up bytes to everything that reads bytes.
    Fuzz(fuzz::FuzzArgs),
    /// Three hosts as network namespaces: kill, cut and pause the owner, and measure from outside.
    ClusterLab(cluster_lab::LabArgs),
    /// What the lab starts to deliver and to look.
    #[command(hide = true)]
    LabProbe(cluster_lab::ProbeArgs),
    /// Kill the real program at random moments and look whether anything is lost.
    #[command(subcommand)]
    Torture(torture::Torture),
}

fn main() -> ExitCode {
    // As the program does, so that what is measured is what users have.
    rehome::limit_arenas();
    let result = match Cli::parse().command {
        Command::Test => commands::test(),
        Command::Check => commands::check(),
        Command::Fix => commands::fix(),
        Command::Servers => commands::servers(),
        Command::Plan { site } => commands::plan(&site),
        Command::Bench(bench) => bench::run(&bench),
        Command::Fuzz(args) => fuzz::run(&args),
        Command::ClusterLab(args) => cluster_lab::run(&args),
        Command::LabProbe(args) => cluster_lab::run_probe(&args),
        Command::Torture(torture) => torture::run(&torture),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            commands::say(&format!("xtask: {message}"));
            ExitCode::FAILURE
        }
    }
}
