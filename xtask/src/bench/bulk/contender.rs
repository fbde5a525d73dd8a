//! Who is measured, and one run of each.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rehome::parts::store::{MailboxName, Store};

use super::Cache;
use super::stage::{Load, Stage};
use crate::bench::child::{self, Running};
use crate::bench::disk;
use crate::bench::stores::{Counted, Homes, move_mailboxes, new_store, take_back, told};

/// Who is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Contender {
    MoveAll,
    MoveAllBeside,
    /// From a store that packs nothing.
    MovePlain,
    MoveHalf,
    MoveGathered,
    MoveOneByOne,
    CopyAll,
    CopyHalf,
    CopyTree,
    /// Two programs that read and write as many bytes past the page cache at the same time.
    BothWays,
    Sqlite,
    Dovecot,
}

impl Contender {
    /// Those that every machine has.
    pub(crate) const ALWAYS: [Contender; 10] = [
        Contender::MoveAll,
        Contender::MoveAllBeside,
        Contender::MovePlain,
        Contender::CopyAll,
        Contender::MoveHalf,
        Contender::MoveGathered,
        Contender::MoveOneByOne,
        Contender::CopyHalf,
        Contender::CopyTree,
        Contender::BothWays,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Contender::MoveAll => "bulk move, all mailboxes",
            Contender::MoveAllBeside => "bulk move, all, beside a process that syncs",
            Contender::MovePlain => "bulk move, all, nothing packed",
            Contender::MoveHalf => "bulk move, half of them",
            Contender::MoveGathered => "bulk move, half, gathered",
            Contender::MoveOneByOne => "bulk move, half, one after another",
            Contender::CopyAll => "cp + fsync, same bytes",
            Contender::CopyHalf => "cp + fsync, bytes of half",
            Contender::CopyTree => "cp -a of Maildirs + syncfs",
            Contender::BothWays => "dd reads and dd writes, same bytes, at once",
            Contender::Sqlite => "SQLite insert .. select",
            Contender::Dovecot => "doveadm backup, mdbox to mdbox",
        }
    }

    /// The states of the source that it is measured with.
    pub(crate) fn caches(self) -> &'static [Cache] {
        match self {
            Contender::MoveAllBeside | Contender::Dovecot => &[Cache::Warm],
            Contender::BothWays => &[Cache::Cold],
            _ => &Cache::BOTH,
        }
    }

    /// The copy of one file that has the same bytes.
    pub(crate) fn floor(self) -> Contender {
        if self.is_half() { Contender::CopyHalf } else { Contender::CopyAll }
    }

    pub(crate) fn is_half(self) -> bool {
        use Contender::{CopyHalf, MoveGathered, MoveHalf, MoveOneByOne};
        matches!(self, MoveHalf | MoveGathered | MoveOneByOne | CopyHalf)
    }

    pub(crate) fn is_move(self) -> bool {
        use Contender::{MoveAll, MoveAllBeside, MoveGathered, MoveHalf, MoveOneByOne, MovePlain};
        matches!(self, MoveAll | MoveAllBeside | MovePlain | MoveHalf | MoveGathered | MoveOneByOne)
    }
}

/// Where a move's time went, in seconds.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Phases {
    /// Until source and target have been compared.
    pub(crate) compare_s: f64,
    /// From then until the first mailbox is fenced: contents and rows, durable.
    pub(crate) carry_s: f64,
    /// From then to the end: a cutover of each mailbox.
    pub(crate) cutover_s: f64,
}

/// What only a move can tell.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct MoveFacts {
    /// Syncs of files and folders, at the source and at the target.
    pub(crate) syncs: u64,
    pub(crate) phases: Phases,
}

/// One run.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub(crate) round: u32,
    pub(crate) contender: Contender,
    pub(crate) cache: Cache,
    pub(crate) seconds: f64,
    pub(crate) facts: Option<MoveFacts>,
}

/// Prepares the source, rests, and runs one contender; `None` if that cannot be done here.
pub(crate) fn run(
    stage: &Stage,
    contender: Contender,
    cache: Cache,
    round: u32,
    rest: Duration,
) -> Result<Option<Run>, String> {
    let folder = format!("{round}-{}-{}", contender as u32, cache.name());
    let to = stage.scratch().join(folder);
    fs::create_dir(&to).map_err(|error| format!("{}: {error}", to.display()))?;
    prepare(stage, contender, &to)?;
    disk::sync_folder(stage.scratch())?;
    let from = stage.source_of(contender);
    let ready = match cache {
        Cache::Warm => disk::warm(&from).map(|()| true)?,
        Cache::Cold => disk::evict(&from, stage.eviction)?,
    };
    if !ready {
        return Ok(None);
    }
    std::thread::sleep(rest);
    let (seconds, facts) = timed(stage, contender, &from, &to)?;
    Ok(Some(Run { round, contender, cache, seconds, facts }))
}

/// What has to be there before the time runs.
fn prepare(stage: &Stage, contender: Contender, to: &Path) -> Result<(), String> {
    match (contender, &stage.dovecot) {
        (Contender::Dovecot, Some(dovecot)) => dovecot.mail_folder(to),
        _ => Ok(()),
    }
}

fn timed(
    stage: &Stage,
    contender: Contender,
    from: &Path,
    to: &Path,
) -> Result<(f64, Option<MoveFacts>), String> {
    if contender.is_move() {
        let _neighbour = match contender {
            Contender::MoveAllBeside => Some(neighbour(stage)?),
            _ => None,
        };
        let one_by_one = contender == Contender::MoveOneByOne;
        let (seconds, facts) = one_move(stage, contender, one_by_one, to)?;
        return Ok((seconds, Some(facts)));
    }
    if contender == Contender::BothWays {
        return Ok((both_ways(from, to)?, None));
    }
    let begun = Instant::now();
    for command in &mut commands(stage, contender, from, to)? {
        disk::finish(command)?;
    }
    match contender {
        Contender::CopyAll | Contender::CopyHalf => sync_copy(to)?,
        Contender::CopyTree => disk::sync_folder(to)?,
        // Each is durable by itself when it has ended.
        _ => {}
    }
    let seconds = begun.elapsed().as_secs_f64();
    verify(stage, contender, to)?;
    Ok((seconds, None))
}

/// Reads a file and writes as many zeros to another, at the same time and past the page cache: what
/// the disk alone needs for a copy that reads while it writes.
fn both_ways(from: &Path, to: &Path) -> Result<f64, String> {
    let len = fs::metadata(from).map_err(|error| format!("{}: {error}", from.display()))?.len();
    let argument = |name: &str, path: &Path| format!("{name}={}", path.display());
    let mut reading = Command::new("dd");
    reading.args(["of=/dev/null", "bs=4M", "iflag=direct"]).arg(argument("if", from));
    let mut writing = Command::new("dd");
    writing.args(["if=/dev/zero", "bs=4M", "oflag=direct", "conv=fsync"]);
    writing.arg(argument("of", &to.join("copy"))).arg(format!("count={}", len.div_ceil(4 << 20)));
    let begun = Instant::now();
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| disk::finish(&mut reading));
        let written = disk::finish(&mut writing);
        reader.join().map_err(|_| "dd's thread panicked".to_owned())?.and(written)
    })?;
    Ok(begun.elapsed().as_secs_f64())
}

/// Another process that syncs on the same disk all the time.
fn neighbour(stage: &Stage) -> Result<Running, String> {
    let mut command = child::command("fsyncs")?;
    let running = Running::start(command.arg(stage.scratch()))?;
    std::thread::sleep(Duration::from_millis(200));
    Ok(running)
}

/// The programs that a peer consists of.
fn commands(
    stage: &Stage,
    contender: Contender,
    from: &Path,
    to: &Path,
) -> Result<Vec<Command>, String> {
    let mut command = match contender {
        Contender::Dovecot => {
            let dovecot = stage.dovecot.as_ref().expect("it is measured where it runs");
            return Ok(dovecot.backups(&stage.users(), from, to));
        }
        Contender::Sqlite => child::command("sqlite")?,
        _ => Command::new("cp"),
    };
    match contender {
        Contender::CopyTree => command.arg("-a").arg(from).arg(to),
        Contender::Sqlite => command.arg(from.join("mail.db")).arg(to.join("mail.db")),
        _ => command.arg(from).arg(to.join("copy")),
    };
    Ok(vec![command])
}

fn sync_copy(to: &Path) -> Result<(), String> {
    let copy = to.join("copy");
    let synced = File::open(&copy).and_then(|file| file.sync_all());
    let synced = synced.and_then(|()| File::open(to)?.sync_all());
    synced.map_err(|error| format!("{}: {error}", copy.display()))
}

/// Looks whether a peer has carried everything.
fn verify(stage: &Stage, contender: Contender, to: &Path) -> Result<(), String> {
    let found = match (contender, &stage.dovecot) {
        (Contender::Dovecot, Some(dovecot)) => {
            let users = stage.users();
            users
                .iter()
                .try_fold(0, |sum, user| Ok::<_, String>(sum + dovecot.messages(user, to)?))?
        }
        #[cfg(feature = "peers")]
        (Contender::Sqlite, _) => crate::bench::sqlite::messages(&to.join("mail.db"))?,
        _ => return Ok(()),
    };
    if found == stage.all.messages {
        return Ok(());
    }
    Err(format!("{} has carried {found} of {}", contender.name(), stage.all.messages))
}

/// Syncs of a peer, from its kind of work or an extra run; `None` for a move, or without strace.
pub(crate) fn count_syncs(
    stage: &Stage,
    contender: Contender,
    to: &PathBuf,
) -> Result<Option<u64>, String> {
    match contender {
        Contender::CopyAll | Contender::CopyHalf => return Ok(Some(2)),
        Contender::CopyTree | Contender::BothWays => return Ok(Some(1)),
        contender if contender.is_move() => return Ok(None),
        _ => {}
    }
    fs::create_dir(to).map_err(|error| format!("{}: {error}", to.display()))?;
    prepare(stage, contender, to)?;
    let from = stage.source_of(contender);
    let mut sum = 0;
    for command in commands(stage, contender, &from, to)? {
        match child::syncs_of(&command, stage.scratch())? {
            Some(syncs) => sum += syncs,
            None => return Ok(None),
        }
    }
    Ok(Some(sum))
}

/// Moves mailboxes to a fresh store, in one job or in one for each.
fn one_move(
    stage: &Stage,
    contender: Contender,
    one_by_one: bool,
    to: &Path,
) -> Result<(f64, MoveFacts), String> {
    let Load { mailboxes, messages, .. } = stage.load_of(contender);
    let (source, source_disk): &Counted = stage.store_of(contender);
    let (store, disk) = new_store(to)?;
    let syncs = || disk.counters().syncs + source_disk.counters().syncs;
    let jobs: Vec<&[MailboxName]> =
        if one_by_one { mailboxes.chunks(1).collect() } else { vec![mailboxes] };
    let mut homes = Homes::default();
    let (mut phases, syncs_before) = (Phases::default(), syncs());
    let begun = Instant::now();
    for names in jobs {
        let moved = move_mailboxes((source, "A"), (&store, "B"), &mut homes, names)?;
        phases.compare_s += moved.offered.as_secs_f64();
        phases.carry_s += moved.fenced.saturating_sub(moved.offered).as_secs_f64();
        phases.cutover_s += moved.took.saturating_sub(moved.fenced).as_secs_f64();
    }
    let seconds = begun.elapsed().as_secs_f64();
    let facts = MoveFacts { syncs: syncs() - syncs_before, phases };
    verify_and_close(store, *messages)?;
    take_back(source, mailboxes)?;
    Ok((seconds, facts))
}

fn verify_and_close(store: Store, messages: u64) -> Result<(), String> {
    let arrived = store.statistics().map_err(told)?.messages;
    if arrived != messages {
        return Err(format!("the move lost something: {arrived} of {messages} are there"));
    }
    store.close().map_err(told)
}
