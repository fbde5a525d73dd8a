//! What is measured once in each round: batches, reads, recovery, checkpoints.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rehome::parts::log::SplitMix64;
use rehome::parts::store::{Append, Flow, ImportOptions, OpenOptions, Store, Uid, import_site};

use super::{DeliverArgs, MESSAGE_BYTES};
use crate::bench::disk;
use crate::bench::figures::Ranks;
use crate::bench::setting::Setting;
use crate::bench::stores::{Place, fill, made_up_site, make_places, message, new_store, told};
use crate::commands::say;

/// Messages in a batch.
const BATCH: usize = 100;
/// Mailboxes that batches are spread over.
const MAILBOXES: usize = 20;
/// Messages read one by one.
const READS: usize = 20_000;
/// No more bytes of a corpus than this are kept in memory.
const BODY_BYTES_MAX: usize = 1 << 30;

/// What a round came to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Single {
    /// Messages a second in batches, from one caller and from two at once.
    pub(crate) batches_per_s: [f64; 2],
    pub(crate) batch_mb_per_s: f64,
    /// In microseconds.
    pub(crate) read_us: Ranks,
    pub(crate) rows_per_s: f64,
    pub(crate) recovery: Recovery,
    pub(crate) holdup: Holdup,
}

/// An opening that replays a log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Recovery {
    pub(crate) log_bytes: u64,
    pub(crate) seconds: f64,
}

impl Recovery {
    pub(crate) fn mb_per_s(&self) -> f64 {
        self.log_bytes as f64 / 1e6 / self.seconds
    }
}

/// Deliveries of one writer without checkpoints, and those that a checkpoint ran beside, in
/// milliseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Holdup {
    pub(crate) without: Ranks,
    pub(crate) beside: Ranks,
    pub(crate) checkpoints: usize,
}

/// The bodies of a corpus, in the order of its mailboxes.
pub(crate) fn bodies(args: &DeliverArgs, setting: &Setting) -> Result<Vec<Vec<u8>>, String> {
    let corpus = match &args.corpus {
        Some(corpus) => corpus.clone(),
        None => made_up_site(setting.scratch())?,
    };
    let (store, _) = new_store(&setting.folder("corpus")?)?;
    import_site(&corpus, &store, &ImportOptions::default(), &mut |_| Flow::Continue)
        .map_err(|error| format!("importing {}: {error}", corpus.display()))?;
    let (mut bodies, mut bytes) = (Vec::new(), 0);
    for mailbox in store.mailboxes().map_err(told)? {
        for folder in store.folders(mailbox.id).map_err(told)? {
            let messages = store.messages(mailbox.id, folder.id, Uid(0), usize::MAX);
            for message in messages.map_err(told)? {
                let body = store.body(&message.content).map_err(told)?;
                bytes += body.len();
                bodies.push(body);
                if bytes > BODY_BYTES_MAX {
                    return Ok(bodies);
                }
            }
        }
    }
    Ok(bodies)
}

pub(crate) fn run(
    args: &DeliverArgs,
    setting: &Setting,
    round: u32,
    bodies: &[Vec<u8>],
) -> Result<Single, String> {
    let rest = || std::thread::sleep(Duration::from_millis(args.rest_ms));
    rest();
    let (store, places, one) = batches(&setting.folder(&format!("{round}-batches"))?, bodies, 1)?;
    let read_us = reads(&store, &places, setting.seed)?;
    let rows_per_s = listing(&store, &places)?;
    store.close().map_err(told)?;
    rest();
    let (store, _, two) = batches(&setting.folder(&format!("{round}-batches2"))?, bodies, 2)?;
    store.close().map_err(told)?;
    rest();
    let recovery =
        recovery(&setting.folder(&format!("{round}-recovery"))?, args.recovery_messages)?;
    rest();
    let holdup = holdup(&setting.folder(&format!("{round}-holdup"))?, args.cell_time())?;
    let bytes: usize = bodies.iter().map(Vec::len).sum();
    let rate = |seconds: f64| bodies.len() as f64 / seconds;
    say(&format!(
        "  batches {:.0} and {:.0}/s, read {:.1} us, {rows_per_s:.0} rows/s, recovery {:.0} MB/s, \
         hold-up {:.2} beside {:.2} ms",
        rate(one),
        rate(two),
        read_us.p50,
        recovery.mb_per_s(),
        holdup.beside.max,
        holdup.without.p99
    ));
    Ok(Single {
        batches_per_s: [rate(one), rate(two)],
        batch_mb_per_s: bytes as f64 / 1e6 / one,
        read_us,
        rows_per_s,
        recovery,
        holdup,
    })
}

/// Appends all bodies in batches from so many callers at once; the time is from the first call to
/// the last return. The copies of the bodies are made before.
fn batches(
    folder: &Path,
    bodies: &[Vec<u8>],
    callers: usize,
) -> Result<(Store, Vec<Place>, f64), String> {
    let (store, _) = new_store(folder)?;
    let places = make_places(&store, MAILBOXES)?;
    let batch = |(number, bodies): (usize, &[Vec<u8>])| {
        let (mailbox, folder) = places[number % places.len()];
        let append = |body: &Vec<u8>| Append { body: body.clone(), ..Append::default() };
        bodies.iter().map(|body| (mailbox, folder, append(body))).collect::<Vec<_>>()
    };
    let mut queues: Vec<Vec<Vec<_>>> = vec![Vec::new(); callers];
    for (number, batch) in bodies.chunks(BATCH).enumerate().map(|it| (it.0, batch(it))) {
        queues[number % callers].push(batch);
    }
    let begun = Instant::now();
    std::thread::scope(|scope| {
        let caller = |queue: Vec<Vec<_>>| {
            let store = &store;
            scope.spawn(move || {
                queue.into_iter().try_for_each(|batch| store.append_batch(batch).map(|_| ()))
            })
        };
        let callers: Vec<_> = queues.into_iter().map(caller).collect();
        let results = callers.into_iter().map(|one| one.join().expect("errors are returned"));
        results.collect::<Result<Vec<()>, _>>().map_err(told)
    })?;
    let seconds = begun.elapsed().as_secs_f64();
    Ok((store, places, seconds))
}

/// Times of reading single messages at random, after all of them have been read once.
fn reads(store: &Store, places: &[Place], seed: u64) -> Result<Ranks, String> {
    let mut all = Vec::new();
    for (mailbox, folder) in places {
        for message in store.messages(*mailbox, *folder, Uid(0), usize::MAX).map_err(told)? {
            store.read(*mailbox, *folder, message.uid).map_err(told)?;
            all.push((*mailbox, *folder, message.uid));
        }
    }
    let mut random = SplitMix64::new(seed);
    let mut times = Vec::with_capacity(READS);
    for _ in 0..READS {
        let index = usize::try_from(random.below(all.len() as u64)).expect("an index");
        let (mailbox, folder, uid) = all[index];
        let begun = Instant::now();
        std::hint::black_box(store.read(mailbox, folder, uid).map_err(told)?);
        times.push(begun.elapsed().as_secs_f64() * 1e6);
    }
    Ok(Ranks::of(&times))
}

/// Rows a second of listing whole folders.
fn listing(store: &Store, places: &[Place]) -> Result<f64, String> {
    let (begun, mut rows) = (Instant::now(), 0);
    while begun.elapsed() < Duration::from_secs(1) {
        for (mailbox, folder) in places {
            let listed = store.messages(*mailbox, *folder, Uid(0), usize::MAX).map_err(told)?;
            rows += std::hint::black_box(listed).len();
        }
    }
    Ok(rows as f64 / begun.elapsed().as_secs_f64())
}

/// Opens a store whose whole content is in its log alone.
fn recovery(folder: &Path, messages: u64) -> Result<Recovery, String> {
    let mut options = OpenOptions::default();
    (options.checkpoint_rows, options.checkpoint_bytes) = (u64::MAX, u64::MAX);
    let store = Store::create_at(folder, options.clone()).map_err(told)?;
    let places = make_places(&store, MAILBOXES)?;
    fill(&store, &places, 0..messages, 256)?;
    let log_bytes = store.statistics().map_err(told)?.log_bytes;
    // What a kill would leave: a store that is dropped in order brings its catalog up to date.
    let left = folder.with_extension("left");
    disk::finish(Command::new("cp").arg("-a").arg(folder).arg(&left))?;
    drop(store);
    let begun = Instant::now();
    let store = Store::open_at(&left, options).map_err(told)?;
    let seconds = begun.elapsed().as_secs_f64();
    let found = store.statistics().map_err(told)?.messages;
    if found != messages {
        return Err(format!("recovery has brought back {found} of {messages} messages"));
    }
    store.close().map_err(told)?;
    Ok(Recovery { log_bytes, seconds })
}

/// Delivers from one writer, first without checkpoints, then while one follows another.
fn holdup(folder: &Path, time: Duration) -> Result<Holdup, String> {
    let (store, _) = new_store(folder)?;
    let places = make_places(&store, MAILBOXES)?;
    // Something for a checkpoint to do.
    fill(&store, &places, 0..10_000, MESSAGE_BYTES)?;
    store.checkpoint().map_err(told)?;
    let mut number = 10_000;
    let mut deliver = |until: &dyn Fn() -> bool| -> Result<Vec<(Instant, Instant)>, String> {
        let mut calls = Vec::new();
        while !until() {
            number += 1;
            let place = places[usize::try_from(number % MAILBOXES as u64).expect("an index")];
            let append = message(number, MESSAGE_BYTES);
            let called = Instant::now();
            store.deliver(&[place], append).map_err(told)?;
            calls.push((called, Instant::now()));
        }
        Ok(calls)
    };
    let begun = Instant::now();
    let without = deliver(&|| begun.elapsed() > time)?;
    let (begun, over) = (Instant::now(), AtomicBool::new(false));
    let (calls, checkpoints) = std::thread::scope(|scope| {
        let checkpoints = scope.spawn(|| -> Result<Vec<(Instant, Instant)>, String> {
            let mut made = Vec::new();
            while !over.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(100));
                let called = Instant::now();
                store.checkpoint().map_err(told)?;
                made.push((called, Instant::now()));
            }
            Ok(made)
        });
        let calls = deliver(&|| begun.elapsed() > time);
        over.store(true, Ordering::Relaxed);
        let checkpoints = checkpoints.join().expect("it returns its errors");
        Ok::<_, String>((calls?, checkpoints?))
    })?;
    store.close().map_err(told)?;
    let times = |calls: &[&(Instant, Instant)]| -> Vec<f64> {
        calls.iter().map(|call| (call.1 - call.0).as_secs_f64() * 1000.0).collect()
    };
    let beside: Vec<_> = calls.iter().filter(|call| overlaps(call, &checkpoints)).collect();
    Ok(Holdup {
        without: Ranks::of(&times(&without.iter().collect::<Vec<_>>())),
        beside: Ranks::of(&times(&beside)),
        checkpoints: checkpoints.len(),
    })
}

fn overlaps(call: &(Instant, Instant), others: &[(Instant, Instant)]) -> bool {
    others.iter().any(|other| call.0 < other.1 && other.0 < call.1)
}
