//! The verbs about backups.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

#[derive(Debug, Args)]
pub(crate) struct BackupArgs {
    /// The store.
    #[arg(long)]
    pub(crate) store: PathBuf,
    /// The archive set: a folder or s3://BUCKET/PREFIX, made if it does not exist; or - for
    /// standard output.
    #[arg(long)]
    pub(crate) to: PathBuf,
    /// What it holds.
    #[arg(long, value_enum, default_value = "full")]
    pub(crate) kind: KindArg,
    /// Leave out the parity from which damaged places come back: a sixteenth less to store.
    #[arg(long)]
    pub(crate) no_parity: bool,
    #[command(flatten)]
    pub(crate) recipients: RecipientArgs,
}

/// For whom something is encrypted.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct RecipientArgs {
    /// Encrypt for this age recipient (age1…), who alone can read it then; may be given several
    /// times.
    #[arg(long, value_name = "RECIPIENT")]
    pub(crate) recipient: Vec<String>,
    /// Encrypt for the age recipients in this file, one a line; may be given several times.
    #[arg(long, value_name = "FILE")]
    pub(crate) recipients_file: Vec<PathBuf>,
}

/// What opens what is encrypted.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct IdentityArgs {
    /// A file with age keys (AGE-SECRET-KEY-1…), if the set is encrypted.
    #[arg(long, value_name = "FILE")]
    pub(crate) identity: Option<PathBuf>,
}

/// What a backup holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum KindArg {
    /// Everything.
    Full,
    /// What changed since the newest full one.
    Differential,
    /// What changed since the newest one that is no copy.
    Incremental,
    /// Everything; later ones do not build upon it.
    Copy,
    /// The store's log since it was last archived, and first a full one if there is none that the
    /// log can follow.
    Log,
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("target").required(true))]
pub(crate) struct RestoreArgs {
    /// The archive set: a folder or s3://BUCKET/PREFIX; or - for standard input.
    #[arg(long)]
    pub(crate) from: PathBuf,
    /// The store to make; must not exist, or be empty.
    #[arg(long, group = "target")]
    pub(crate) store: Option<PathBuf>,
    /// A new or empty folder for Maildir++ trees.
    #[arg(long, group = "target", value_name = "DIR")]
    pub(crate) to_maildir: Option<PathBuf>,
    /// A new or empty folder for mbox files.
    #[arg(long, group = "target", value_name = "DIR")]
    pub(crate) to_mbox: Option<PathBuf>,
    /// Only this mailbox.
    #[arg(long)]
    pub(crate) mailbox: Option<String>,
    /// Only this folder of the mailbox.
    #[arg(long, requires = "mailbox")]
    pub(crate) folder: Option<String>,
    /// Only the message with this UID.
    #[arg(long, requires = "folder", value_name = "UID")]
    pub(crate) message: Option<u32>,
    /// The moment: a log position (0000000001:001000) or a time (2026-11-26T08:30:00Z). Default:
    /// the newest.
    #[arg(long, value_name = "LSN|TIME", conflicts_with = "backup")]
    pub(crate) until: Option<String>,
    /// Which backup. Default: the newest complete one.
    #[arg(long)]
    pub(crate) backup: Option<String>,
    #[command(flatten)]
    pub(crate) identity: IdentityArgs,
    /// Say what would be restored, and touch nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ArchiveCommand {
    /// The backups of a set.
    List {
        /// The archive set.
        set: PathBuf,
    },
    /// Read everything and compare every checksum.
    Check {
        /// The archive set, or - for what `backup --to -` wrote.
        set: PathBuf,
        /// Also decompress and hash every message.
        #[arg(long)]
        deep: bool,
        /// First write anew what is damaged and parity brings back.
        #[arg(long)]
        repair: bool,
        #[command(flatten)]
        identity: IdentityArgs,
    },
    /// Archive a store's log, so that every moment can be restored. From the first time on the
    /// store keeps its log until the set has it.
    Log(LogArgs),
    /// Lay a backup that comes out of a pipe into a set.
    Unpack {
        /// Standard input: -
        #[arg(value_parser = ["-"])]
        source: String,
        /// The archive set; made if it does not exist.
        #[arg(long)]
        to: PathBuf,
    },
    /// Write the mail of a backup out as Maildir++ trees, without a server.
    Extract {
        /// The archive set.
        set: PathBuf,
        /// A new or empty folder.
        #[arg(long)]
        to: PathBuf,
        #[command(flatten)]
        identity: IdentityArgs,
    },
    /// Write what a damaged or unfinished backup still has as Maildir++ trees, and name what is
    /// lost.
    Salvage {
        /// The archive set.
        set: PathBuf,
        /// A new or empty folder.
        #[arg(long)]
        to: PathBuf,
        /// Which backup. Default: the newest, finished or not.
        #[arg(long)]
        backup: Option<String>,
        #[command(flatten)]
        identity: IdentityArgs,
    },
    /// Take away what nothing needs any more: whole backups, and none that another builds upon.
    Expire {
        /// The archive set.
        set: PathBuf,
        /// How many full backups stay.
        #[arg(long, value_name = "COUNT")]
        keep_full: usize,
        /// Say what would go, and touch nothing.
        #[arg(long)]
        dry_run: bool,
    },
    /// Restore into a scratch store, compare it with the outlines, and remove it again.
    Drill {
        /// The archive set.
        set: PathBuf,
        /// A folder that does not exist; the scratch store is made beside it.
        #[arg(long)]
        scratch: PathBuf,
        #[command(flatten)]
        identity: IdentityArgs,
    },
}

/// Whose log is archived, and where to.
#[derive(Debug, Args)]
pub(crate) struct LogArgs {
    /// The store, which nobody has open.
    #[arg(long, required_unless_present = "server")]
    pub(crate) store: Option<PathBuf>,
    /// The running server that has the store open: where its attendant or its store listens.
    #[arg(long, value_name = "HOST:PORT", conflicts_with = "store")]
    pub(crate) server: Option<String>,
    /// The archive set; made if it does not exist.
    #[arg(long)]
    pub(crate) to: PathBuf,
    /// Go on archiving what comes, until SIGTERM or SIGINT; a server that goes away is looked for.
    #[arg(long, requires = "server", conflicts_with = "store")]
    pub(crate) follow: bool,
    /// How long what comes waits for the archive at most, in seconds.
    #[arg(long, value_name = "SECONDS", requires = "follow", default_value_t = 30)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub(crate) every: u32,
    #[command(flatten)]
    pub(crate) recipients: RecipientArgs,
}
