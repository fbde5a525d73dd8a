//! The verbs about a migration that is under way or over.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::RateArgs;

#[derive(Debug, Args)]
pub(crate) struct ReverseArgs {
    /// The work folder.
    pub(crate) work: PathBuf,
    /// The wave: its name, its number or one of its steps. Default: the only one.
    #[arg(long, value_name = "WAVE")]
    pub(crate) wave: Option<String>,
    #[command(flatten)]
    pub(crate) rate: RateArgs,
    #[command(flatten)]
    pub(crate) services: ServicesArgs,
    /// Deliver and read mail all the while, and look for that mail as well.
    #[arg(long)]
    pub(crate) traffic: bool,
}

#[derive(Debug, Args)]
pub(crate) struct AuditArgs {
    /// The work folder of the migration.
    pub(crate) work: PathBuf,
    /// Compare this store. Default: the new server, or its store in the work folder.
    #[arg(long, conflicts_with = "maildir")]
    pub(crate) store: Option<PathBuf>,
    /// Compare these Maildir++ trees, which `rehome export` wrote.
    #[arg(long, value_name = "DIR")]
    pub(crate) maildir: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum MigrationCommand {
    /// What it does now.
    Status(WorkArgs),
    /// Let it rest, as soon as no mailbox is locked; comes back when it rests.
    Pause {
        /// The work folder.
        work: PathBuf,
        /// Why, for others who look.
        #[arg(long, default_value = "somebody asked for it")]
        why: String,
    },
    /// Let it go on.
    Resume(WorkArgs),
    /// Set other bounds, which count at once.
    Retune(RetuneArgs),
    /// Let it end at the next safe place, as Ctrl-C does.
    Stop(WorkArgs),
}

/// What becomes of services.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ServicesArg {
    /// They stay until `rehome services stop`.
    Stay,
    /// They end with the migration.
    End,
}

#[derive(Debug, Args)]
pub(crate) struct ServicesArgs {
    /// What becomes of the old server and the nodes when this ends. Default: they stay, but end
    /// where nobody is there (`simulate = true` under `[clients]`).
    #[arg(long, value_name = "WHAT")]
    pub(crate) services: Option<ServicesArg>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ServicesCommand {
    /// Which of them stay and run.
    Status(WorkArgs),
    /// Start those that are meant to run; carries nothing of the plan out.
    Start(WorkArgs),
    /// End them in order; what they are meant to do is not changed.
    Stop(WorkArgs),
}

#[derive(Debug, Args)]
pub(crate) struct RetuneArgs {
    /// The work folder.
    pub(crate) work: PathBuf,
    /// Move contents no faster than this: bytes a second, or with a unit, as 50MB/s; or `none`.
    #[arg(long, value_name = "RATE", required_unless_present = "lanes",
        value_parser = crate::rate::parse_or_none)]
    pub(crate) rate: Option<u64>,
    /// Read scattered contents with so many threads at once; 0 for the source store's setting.
    #[arg(long, value_name = "THREADS", value_parser = clap::value_parser!(u8).range(0..=64))]
    pub(crate) lanes: Option<u8>,
}

#[derive(Debug, Args)]
pub(crate) struct WorkArgs {
    /// The work folder.
    pub(crate) work: PathBuf,
}
