//! The command line.

mod cluster;
mod migration;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use cluster::{
    AddResourceArgs, CheckpointArgs, ClusterCommand, CreateArgs, FailbackArgs, FenceArgs, LayerArg,
    LimitArgs, SimulateArgs,
};

pub(crate) use migration::{AuditArgs, MigrationCommand, ReverseArgs, WorkArgs};

/// Takes the mailboxes of a standalone mail server into a failover cluster and loses nothing.
#[derive(Debug, Parser)]
#[command(name = "rehome", version, propagate_version = true)]
pub(crate) struct Cli {
    /// One JSON document on standard output (JSON lines while long work runs).
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a sample site, plan, migrate, verify and write the report.
    Demo(DemoArgs),
    /// Write a made-up site: Maildir++ trees, a directory export and site.toml.
    Sample(SampleArgs),
    /// Take mail into a store: Maildir++, mbox, .eml files, an Outlook file (PST).
    Import(ImportArgs),
    /// Write mail out of a store.
    Export(ExportArgs),
    /// Compare both routes and write the plan of the better one.
    Plan(PlanArgs),
    /// Measure this machine, so that plans rest on what steps take here.
    Calibrate(CalibrateArgs),
    /// Read directory exports, and write what a migration has changed.
    #[command(subcommand)]
    Directory(DirectoryCommand),
    /// Judge the preconditions of a plan that can be judged before it starts.
    Check(CheckArgs),
    /// Say what differs between two plans.
    Diff {
        /// The earlier plan.json.
        old: PathBuf,
        /// The later one.
        new: PathBuf,
    },
    /// Carry a plan out; the same command resumes it.
    Apply(ApplyArgs),
    /// Plan, carry out, verify and report; the same command resumes.
    Migrate(MigrateArgs),
    /// Take a wave back while that is possible: what came since is carried to the old server; the
    /// same command resumes it.
    Reverse(ReverseArgs),
    /// Speak with a migration that runs now: what it does, rest, go on, other bounds, end.
    #[command(subcommand)]
    Migration(MigrationCommand),
    /// How far the work in a folder has come.
    Status(WorkArgs),
    /// Write the report of the work in a folder again.
    Report(WorkArgs),
    /// Compare what is there now with the record of a finished migration, after years perhaps.
    Audit(AuditArgs),
    /// Move mailboxes from one store to another.
    Move(MoveArgs),
    /// Compute the digests of exported mailboxes, without a store.
    Digest(DigestArgs),
    /// Back a store up into an archive set.
    Backup(BackupArgs),
    /// Restore a store from an archive set.
    Restore(RestoreArgs),
    /// Look at archive sets.
    #[command(subcommand)]
    Archive(ArchiveCommand),
    /// Look at stores.
    #[command(subcommand)]
    Store(StoreCommand),
    /// Run a cluster node, or look at a cluster.
    #[command(subcommand)]
    Cluster(ClusterCommand),
    /// Run a service of a mail server in the foreground.
    #[command(subcommand)]
    Serve(ServeCommand),
}

/// A route's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RouteArg {
    /// The recommended one.
    Auto,
    /// Mailbox by mailbox, while users work.
    MoveUsers,
    /// Back up, rebuild the same server as a cluster, restore.
    DisasterRecovery,
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// The route to take.
    #[arg(long, value_enum, default_value = "auto")]
    pub(crate) route: RouteArg,
    /// Where everything is made; must not exist yet. Default: rehome-demo, or rehome-demo-2, …
    #[arg(long)]
    pub(crate) dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct SampleArgs {
    /// A new or empty folder.
    pub(crate) dir: PathBuf,
    /// How many mailboxes.
    #[arg(long)]
    pub(crate) mailboxes: Option<usize>,
    /// How many messages in each.
    #[arg(long)]
    pub(crate) messages: Option<usize>,
    /// The same seed makes the same site.
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// How many of a hundred deliveries go to several mailboxes, to 50. Default: 25.
    #[arg(long, value_name = "PERCENT", conflicts_with = "export")]
    pub(crate) shared: Option<usize>,
    /// How large messages are, in hundredths of the usual. Default: 100.
    #[arg(long, value_name = "PERCENT", conflicts_with = "export")]
    pub(crate) size: Option<usize>,
    /// Write a directory export with its sizes in place of mail, for a plan that people carry out.
    #[arg(long, value_enum, conflicts_with = "messages")]
    pub(crate) export: Option<SampleFormArg>,
    /// How many servers an export has.
    #[arg(long, requires = "export")]
    pub(crate) servers: Option<usize>,
}

/// The form of a sample export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SampleFormArg {
    /// Comma-separated, as Exchange 5.5 writes it.
    Csv,
    /// LDIF, as Active Directory writes it.
    Ldif,
}

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// Maildir++ trees (or a folder with one for each user), mbox files, .eml files or folders,
    /// Outlook files (PST).
    #[arg(required = true)]
    pub(crate) sources: Vec<PathBuf>,
    /// The store; made if it does not exist.
    #[arg(long)]
    pub(crate) store: PathBuf,
    /// The mailbox that gets the mail. Default: the source's own name, or one for each sub-folder.
    #[arg(long)]
    pub(crate) mailbox: Option<String>,
}

/// How mail is written out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FormatArg {
    /// A Maildir++ tree for each mailbox.
    Maildir,
    /// An mbox file for each folder.
    Mbox,
    /// One file for each message.
    Eml,
}

#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// The store.
    #[arg(long)]
    pub(crate) store: PathBuf,
    /// A new or empty folder.
    #[arg(long)]
    pub(crate) to: PathBuf,
    /// Only these mailboxes.
    #[arg(long)]
    pub(crate) mailbox: Vec<String>,
    /// The format.
    #[arg(long, value_enum, default_value = "maildir")]
    pub(crate) format: FormatArg,
}

/// A site and the folder in which its migration works.
#[derive(Debug, Args)]
pub(crate) struct SiteArgs {
    /// A site.toml, a folder that holds one, a folder of Maildir++ trees; for a plan also a
    /// directory export (.csv, .ldif).
    pub(crate) site: PathBuf,
    /// Where stores, journal and reports lie. Default: rehome-work beside site.toml, or in the
    /// present folder if there is no site.toml.
    #[arg(long)]
    pub(crate) work: Option<PathBuf>,
    /// The route to take.
    #[arg(long, value_enum, default_value = "auto")]
    pub(crate) route: RouteArg,
}

/// How fast this machine is.
#[derive(Debug, Args)]
pub(crate) struct SpeedArgs {
    /// What `rehome calibrate` has written. Default: calibration.json in the work folder, if there
    /// is one.
    #[arg(long, value_name = "FILE")]
    pub(crate) calibration: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct CalibrateArgs {
    #[command(flatten)]
    pub(crate) site: SiteWorkArgs,
    /// How many made-up sites are carried out, each by both routes.
    #[arg(long, default_value_t = 8)]
    pub(crate) sites: usize,
    /// The same seed makes the same sites.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// How many messages their mailboxes have, in hundredths of the usual: more for a site that is
    /// much larger, and it takes longer.
    #[arg(long, value_name = "PERCENT", default_value_t = 100)]
    pub(crate) scale: usize,
}

/// A site, for the folder in which its migration works.
#[derive(Debug, Args)]
pub(crate) struct SiteWorkArgs {
    /// A site.toml, a folder that holds one, or a folder of Maildir++ trees.
    pub(crate) site: PathBuf,
    /// Where its stores, journal and reports will lie: the disk that is measured. Default:
    /// rehome-work beside site.toml, or in the present folder if there is no site.toml.
    #[arg(long)]
    pub(crate) work: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    #[command(flatten)]
    pub(crate) site: SiteArgs,
    #[command(flatten)]
    pub(crate) speed: SpeedArgs,
    /// The gates will be answered in advance (--confirm all): they take no time in the forecast.
    #[arg(long)]
    pub(crate) answered: bool,
    /// Where the plan is written; the report goes beside it. Default: plan.json in the work folder.
    #[arg(short, long)]
    pub(crate) output: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) export: ExportReadArgs,
    /// Suppose that something were otherwise, as log_free=20GiB or lose=N2, and say what differs;
    /// writes nothing. May be given several times.
    #[arg(long, value_name = "KEY=VALUE", conflicts_with = "output")]
    pub(crate) what_if: Vec<String>,
    /// Of a directory export: a table with the sizes of the mailboxes.
    #[arg(long, value_name = "FILE")]
    pub(crate) sizes: Option<PathBuf>,
    /// Of a directory export: the server that goes into the cluster. Default: that with the most
    /// mailboxes.
    #[arg(long, value_name = "NAME")]
    pub(crate) server: Option<String>,
    /// Of a directory export: move the mailboxes of all servers.
    #[arg(long, conflicts_with = "server")]
    pub(crate) all_servers: bool,
}

/// How a directory export is read.
#[derive(Debug, Args)]
pub(crate) struct ExportReadArgs {
    /// Code page of an export that is neither UTF-8 nor UTF-16, such as windows-1250.
    #[arg(long, value_name = "LABEL")]
    pub(crate) encoding: Option<String>,
    /// Only warn of columns that are not known.
    #[arg(long)]
    pub(crate) allow_unknown_columns: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DirectoryCommand {
    /// Read an export (Exchange 5.5 CSV, LDIF) and say what each row is.
    Read {
        /// The export.
        file: PathBuf,
        #[command(flatten)]
        export: ExportReadArgs,
    },
    /// Read a directory over LDAP into an LDIF export; over an earlier one, say what has changed.
    Fetch(FetchArgs),
    /// Say what has changed from one export to a later one.
    Compare {
        /// The earlier export.
        before: PathBuf,
        /// The later one.
        now: PathBuf,
    },
    /// The homes that a migration has changed, to be imported into a directory kept elsewhere.
    Changes {
        /// The work folder.
        work: PathBuf,
        /// The form.
        #[arg(long, value_enum, default_value = "ldif")]
        format: ChangesArg,
    },
}

#[derive(Debug, Args)]
pub(crate) struct FetchArgs {
    /// The server and where to begin: ldap://HOST[:PORT]/BASE.
    pub(crate) place: String,
    /// The export.
    #[arg(long, value_name = "FILE")]
    pub(crate) to: PathBuf,
    /// Log on with this name.
    #[arg(long, value_name = "NAME", requires = "password_file")]
    pub(crate) bind: Option<String>,
    /// The password is the first line of this file.
    #[arg(long, value_name = "FILE", requires = "bind")]
    pub(crate) password_file: Option<PathBuf>,
    /// Only these entries, such as (mail=*).
    #[arg(long)]
    pub(crate) filter: Option<String>,
}

/// The form of changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ChangesArg {
    /// LDIF change records.
    Ldif,
    /// Comma-separated, as Exchange 5.5 imports it.
    Csv,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// The plan.json.
    pub(crate) plan: PathBuf,
}

/// What the person at the keyboard has answered in advance.
#[derive(Debug, Args)]
pub(crate) struct GateArgs {
    /// Confirm this gate (a step's name), or `all`.
    #[arg(long, value_name = "STEP")]
    pub(crate) confirm: Vec<String>,
    /// Who confirms, where the site file says who may. Default: the account.
    #[arg(long, value_name = "NAME")]
    pub(crate) by: Option<String>,
    /// The account that carries the work out. Default: the site's service account.
    #[arg(long)]
    pub(crate) account: Option<String>,
}

/// How fast mail moves.
#[derive(Debug, Args)]
pub(crate) struct RateArgs {
    /// Move contents no faster than this: bytes a second, or with a unit, as 50MB/s or 8MiB.
    #[arg(long, value_name = "RATE", value_parser = crate::rate::parse)]
    pub(crate) rate: Option<u64>,
    /// Rest while this holds: disk-free<5GiB, load>4, file:/path, "outside 22:00-06:00" or "inside
    /// 08:00-18:00"; may be given several times.
    #[arg(long, value_name = "CONDITION")]
    pub(crate) pause_when: Vec<rehome::PauseCondition>,
}

#[derive(Debug, Args)]
pub(crate) struct ApplyArgs {
    /// The plan.json, as `rehome plan` wrote it.
    pub(crate) plan: PathBuf,
    #[command(flatten)]
    pub(crate) gates: GateArgs,
    #[command(flatten)]
    pub(crate) rate: RateArgs,
    #[command(flatten)]
    pub(crate) recipients: RecipientArgs,
    #[command(flatten)]
    pub(crate) identity: IdentityArgs,
}

#[derive(Debug, Args)]
pub(crate) struct MigrateArgs {
    #[command(flatten)]
    pub(crate) site: SiteArgs,
    #[command(flatten)]
    pub(crate) speed: SpeedArgs,
    #[command(flatten)]
    pub(crate) gates: GateArgs,
    #[command(flatten)]
    pub(crate) rate: RateArgs,
    /// Deliver and read mail all the while, and verify that mail as well.
    #[arg(long)]
    pub(crate) traffic: bool,
    /// Undo every step that was done, last one first, unless one of them has no way back.
    #[arg(long, conflicts_with = "traffic")]
    pub(crate) back_out: bool,
    #[command(flatten)]
    pub(crate) recipients: RecipientArgs,
    #[command(flatten)]
    pub(crate) identity: IdentityArgs,
}

#[derive(Debug, Args)]
pub(crate) struct MoveArgs {
    /// The store that has the mailboxes.
    #[arg(long)]
    pub(crate) from: PathBuf,
    /// The store that gets them; made if it does not exist.
    #[arg(long)]
    pub(crate) to: PathBuf,
    /// Move every mailbox.
    #[arg(long, conflicts_with = "mailbox", required_unless_present = "mailbox")]
    pub(crate) all: bool,
    /// Move this mailbox; may be given several times.
    #[arg(long)]
    pub(crate) mailbox: Vec<String>,
    #[command(flatten)]
    pub(crate) rate: RateArgs,
    /// Read scattered contents with so many threads at once. Default: the source store's setting.
    #[arg(long, value_name = "THREADS", value_parser = clap::value_parser!(u8).range(1..=64))]
    pub(crate) lanes: Option<u8>,
}

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

#[derive(Debug, Subcommand)]
pub(crate) enum StoreCommand {
    /// Mailboxes, sizes, log volume, single-instance ratio.
    Info {
        /// The store.
        store: PathBuf,
    },
    /// Read everything, hash every message, recount every counter.
    Check {
        /// The store.
        store: PathBuf,
    },
    /// Read every content, slowly, name what is damaged, and repair it from another store.
    Scrub(ScrubArgs),
    /// The digest of each mailbox and folder, to compare copies by.
    Digest {
        /// The store.
        store: PathBuf,
        /// Only these mailboxes.
        #[arg(long)]
        mailbox: Vec<String>,
    },
    /// Measure the machine and its disk, and set what the store is run with.
    Tune(TuneArgs),
    /// Let log or segments lie on another disk, or in the store's folder again.
    Place(PlaceArgs),
    /// Build a lost or damaged catalog anew from its base and the log, then check everything.
    Recover {
        /// The store.
        store: PathBuf,
    },
    /// Say or change how the log is given up.
    Log {
        /// The store.
        store: PathBuf,
        /// Keep the log until an archive has it.
        #[arg(long)]
        archive: bool,
        /// Keep the log only as far as the store itself needs it.
        #[arg(long, conflicts_with = "archive")]
        circular: bool,
    },
    /// Give back the room of what was deleted longer ago than the retention.
    Compact {
        /// The store.
        store: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ScrubArgs {
    /// The store.
    pub(crate) store: PathBuf,
    /// Read no faster than this: bytes a second, or with a unit, as 50MB/s or 8MiB.
    #[arg(long, value_name = "RATE", value_parser = crate::rate::parse, default_value = "50MB/s")]
    pub(crate) rate: u64,
    /// Pass over what a scrub has read within so many days.
    #[arg(long, value_name = "N")]
    pub(crate) since_days: Option<u32>,
    /// Write damaged contents anew from this store, where it has them whole.
    #[arg(long, value_name = "STORE")]
    pub(crate) repair_from: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct DigestArgs {
    /// A Maildir++ tree that rehome export wrote, or a folder with one for each mailbox.
    #[arg(long, value_name = "DIR")]
    pub(crate) maildir: PathBuf,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct PlaceArgs {
    /// The store, which must be closed.
    pub(crate) store: PathBuf,
    /// Let the log lie below this folder; the store's own folder brings it home.
    #[arg(long, value_name = "DIR")]
    pub(crate) log_dir: Option<PathBuf>,
    /// Let the segments lie below this folder; the store's own folder brings them home.
    #[arg(long, value_name = "DIR")]
    pub(crate) segment_dir: Option<PathBuf>,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct TuneArgs {
    /// The store.
    pub(crate) store: PathBuf,
    /// Measure the disk of this folder instead, such as one that the store will move to.
    #[arg(long, value_name = "DIR")]
    pub(crate) target: Option<PathBuf>,
    /// Measure this disk too, and let the log lie there if that is better; the store is closed.
    #[arg(long, value_name = "DIR")]
    pub(crate) log_dir: Option<PathBuf>,
    /// The same for the segments.
    #[arg(long, value_name = "DIR")]
    pub(crate) segment_dir: Option<PathBuf>,
    /// Measure and tell, and set nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// Where a service keeps its data and listens.
#[derive(Debug, Args)]
pub(crate) struct ServiceArgs {
    /// The service's folder.
    #[arg(long)]
    pub(crate) dir: PathBuf,
    /// The address to listen on; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    pub(crate) listen: String,
    /// The server's name.
    #[arg(long)]
    pub(crate) server: String,
    /// The fencing token under which the service runs.
    #[arg(long, default_value_t = 0)]
    pub(crate) epoch: u64,
    /// The folder with this node's registry.
    #[arg(long)]
    pub(crate) registry: Option<PathBuf>,
    /// End at once when standard input ends.
    #[arg(long)]
    pub(crate) while_stdin: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ServeCommand {
    /// The endpoint mapper of a server.
    Attendant(ServiceArgs),
    /// The directory.
    Directory(ServiceArgs),
    /// The mailbox store.
    Store(ServiceArgs),
    /// All three in one process.
    Standalone(ServiceArgs),
}
