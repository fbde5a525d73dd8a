//! `bench archive`: backups beside those of restic, borg and tar with zstd, measured in one run.
//!
//! The peers back up Maildirs, which is what they would be given; ours backs up a store that the
//! same Maildirs were imported into. Every step is a process of its own. Contenders are shuffled in
//! each round, and each step begins after a sync and a rest.

mod contender;
mod damage;
mod report;
mod stage;
mod step;
mod work;

use std::path::PathBuf;

use clap::Args;

use self::contender::Contender;
use self::stage::Stage;
use self::step::{Place, Run, Step};
use crate::bench::setting::{Common, Setting};
use crate::bench::stores::made_up_site;
use crate::bench::{child, disk};
use crate::commands::say;
pub(crate) use work::ArchiveWork;

/// What is backed up, and how often.
#[derive(Debug, Args)]
pub(crate) struct ArchiveArgs {
    /// A folder of Maildir++ trees; without it a made-up site is used.
    #[arg(long)]
    corpus: Option<PathBuf>,
    /// How often each contender does everything.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Rest before each step, in milliseconds.
    #[arg(long, default_value_t = 1000)]
    rest_ms: u64,
    /// Where restores go, for instance a RAM disk: files are removed after each one, which is slow
    /// on a disk that is told of each. Default: the scratch folder.
    #[arg(long, value_name = "DIR")]
    restore_to: Option<PathBuf>,
    /// Damage backups and see what comes back, in place of measuring; renews
    /// docs/benchmarks/archive-damage.*.
    #[arg(long)]
    damage: bool,
    /// Only so many mailboxes of the corpus, in order of their names.
    #[arg(long)]
    mailboxes: Option<usize>,
    #[command(flatten)]
    common: Common,
}

/// Everything that was measured.
struct Measured {
    runs: Vec<Run>,
    skipped: Vec<String>,
    /// What [`ArchiveWork::ReadMailbox`] told.
    read: serde_json::Value,
}

pub(crate) fn run(args: &ArchiveArgs) -> Result<(), String> {
    let mut setting = Setting::begin(&args.common)?;
    let corpus = match &args.corpus {
        Some(corpus) => corpus.clone(),
        None => made_up_site(setting.scratch())?,
    };
    say("setting up: links to the corpus, new mail, a store");
    let stage = Stage::set_up(&corpus, setting.scratch(), args.mailboxes)?;
    disk::require_room(setting.scratch(), stage.room())?;
    if args.damage {
        setting.probe()?;
        let some = args.mailboxes.map_or_else(String::new, |some| format!(" --mailboxes {some}"));
        return damage::run(&stage, &setting, format!("archive --corpus DIR --damage{some}"));
    }
    let (contenders, skipped) = Contender::installed();
    let restores = match &args.restore_to {
        Some(folder) => tempfile::tempdir_in(folder),
        None => tempfile::tempdir_in(setting.scratch()),
    };
    let restores = restores.map_err(|error| format!("no folder for restores: {error}"))?;
    let read = read_mailbox(&stage)?;
    let mut measured = Measured { runs: Vec::new(), skipped, read };
    for round in 1..=args.rounds {
        let probe_ms = setting.probe()?;
        say(&format!("round {round} of {}: fdatasync {probe_ms:.2} ms", args.rounds));
        let mut contenders = contenders.clone();
        setting.shuffle(&mut contenders);
        for contender in contenders {
            let place = setting.folder(&format!("{round}-{}", contender.word()))?;
            for step in contender.steps() {
                let (place, rest_ms) =
                    (Place { files: &place, restores: restores.path() }, args.rest_ms);
                let run = step::run(&stage, contender, *step, place, (round, rest_ms))?;
                measured.runs.push(run);
            }
            stage.take_new_mail_back()?;
            step::remove(&place)?;
        }
    }
    setting.probe()?;
    setting.end();
    let onto = disk::file_system(restores.path());
    report::page(args, &stage, &measured, &onto).publish(&setting)?;
    say("removing what was written");
    Ok(())
}

/// Reads one mailbox out of a backup of all of them, and counts.
fn read_mailbox(stage: &Stage) -> Result<serde_json::Value, String> {
    let (all, alone) = (stage.scratch().join("read-all"), stage.scratch().join("read-alone"));
    let mailbox = stage.mailbox().to_owned();
    let store = stage.store_of_mailbox();
    child::figures(&mut ArchiveWork::backup(stage.store(), &all, false).command()?)?;
    child::figures(&mut ArchiveWork::backup(&store, &alone, false).command()?)?;
    child::figures(&mut ArchiveWork::ReadMailbox { set: all, alone, mailbox }.command()?)
}

impl Step {
    const OF_PEERS: [Step; 6] =
        [Step::Full, Step::Second, Step::Verify, Step::VerifyCold, Step::Restore, Step::RestoreOne];
}
