//! The command line.

mod archive;
mod cluster;
mod migration;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use archive::{
    ArchiveCommand, BackupArgs, IdentityArgs, KindArg, LogArgs, RecipientArgs, RestoreArgs,
};
pub(crate) use cluster::{
    AddResourceArgs, CheckpointArgs, ClusterCommand, CreateArgs, FailbackArgs, FenceArgs, LayerArg,
    LimitArgs, SimulateArgs,
};

pub(crate) use migration::{
    AuditArgs, MigrationCommand, ReverseArgs, ServicesArg, ServicesArgs, ServicesCommand, WorkArgs,
};

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
    /// See, start and end the services that stay when a migration waits or stops.
    #[command(subcommand)]
    Services(ServicesCommand),
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
    /// The server and where to begin: ldap://HOST[:PORT]/BASE, or ldaps:// for TLS.
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
    /// Change over to TLS before anything is said (ldap:// only; ldaps:// has it already).
    #[arg(long)]
    pub(crate) starttls: bool,
    /// Believe those alone who are in this file (PEM). Default: those whom this computer believes.
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
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
    /// Who confirms, where the site file says who may. Default: what --account says, else
    /// "the operator".
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
    pub(crate) services: ServicesArgs,
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
    #[command(flatten)]
    pub(crate) services: ServicesArgs,
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
        /// Open the store without its log, which cannot be read: what catalog and log have together
        /// is kept, the rest is told and given up.
        #[arg(long)]
        give_up_log: bool,
        /// Say what would be kept and given up, and change nothing.
        #[arg(long, requires = "give_up_log")]
        dry_run: bool,
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
    #[command(flatten)]
    pub(crate) record: RecordArgs,
    /// Register the server's name in this folder as soon as it serves (standalone only).
    #[arg(long, value_name = "DIR")]
    pub(crate) names: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct RecordArgs {
    /// Write a record of the process to this file as soon as it serves; it goes with the process.
    #[arg(long, value_name = "FILE", conflicts_with = "while_stdin")]
    pub(crate) record: Option<PathBuf>,
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
