//! `bench lock`: how long a mailbox is locked at cutover while mail comes in for it, and what the
//! one who delivers sees, beside the disk's own syncs between the cutovers.

mod report;
mod writer;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Args;
use rehome::parts::store::{MailboxName, Store};

use crate::bench::disk;
use crate::bench::setting::{Common, Setting};
use crate::bench::stores::{Homes, fill, make_places, move_mailboxes, name_of, new_store, told};
use crate::commands::say;
use writer::Writer;

/// How many cutovers, of which mailboxes.
#[derive(Debug, Clone, Args)]
pub(crate) struct LockArgs {
    /// Messages in a mailbox, the smallest first.
    #[arg(long, value_delimiter = ',', default_value = "1000,50000")]
    messages: Vec<u64>,
    /// Cutovers of mailboxes of each of these sizes.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    cutovers: u32,
    /// Messages that are delivered into the mailbox that moves, in a second.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
    rate: u32,
    /// Length of a message.
    #[arg(long, default_value_t = 1024)]
    message_bytes: usize,
    /// A short run that shows that the program works; its figures say nothing.
    #[arg(long)]
    quick: bool,
    #[command(flatten)]
    common: Common,
}

/// Messages that all mailboxes of a size hold together, at most, if more than one is needed.
const MESSAGES_MAX: u64 = 200_000;
/// Each mailbox moves so often, if there is room for so many.
const MOVES_EACH: u32 = 4;
/// The writer delivers for so long before a move begins, and after it has ended.
const LEAD: Duration = Duration::from_millis(100);
const TAIL: Duration = Duration::from_millis(50);
/// The disk's syncs are measured for so long after each cutover.
const PROBE: Duration = Duration::from_millis(50);
/// Moves between two lines for the person who waits.
const MOVES_A_LINE: u32 = 10;

impl LockArgs {
    fn sized(&self) -> LockArgs {
        let mut args = self.clone();
        if args.quick {
            (args.messages, args.cutovers) = (vec![200, 5000], 12);
        }
        args
    }

    fn command(&self) -> String {
        let messages: Vec<_> = self.messages.iter().map(u64::to_string).collect();
        format!(
            "lock --messages {} --cutovers {} --rate {} --message-bytes {}",
            messages.join(","),
            self.cutovers,
            self.rate,
            self.message_bytes
        )
    }

    /// Mailboxes of a size: many, so that a mailbox grows little by what is delivered.
    fn mailboxes(&self, messages: u64) -> u32 {
        let room = u32::try_from(MESSAGES_MAX / messages.max(1)).unwrap_or(u32::MAX);
        self.cutovers.div_ceil(MOVES_EACH).min(room).max(1)
    }
}

/// Two stores, and which of them is whose home.
#[derive(Clone)]
struct Site {
    stores: [Store; 2],
    homes: Homes,
}

const SERVERS: [&str; 2] = ["A", "B"];

impl Site {
    fn set_up(scratch: &Path) -> Result<Site, String> {
        let [one, other] = SERVERS.map(|name| new_store(&scratch.join(name)));
        Ok(Site { stores: [one?.0, other?.0], homes: Homes::default() })
    }

    /// Index of the server that is a mailbox's home.
    fn home(&self, mailbox: &MailboxName) -> usize {
        usize::from(self.homes.of(mailbox) != SERVERS[0])
    }
}

/// A mailbox that moves to and fro.
struct Mailbox {
    name: MailboxName,
    /// Messages that it was filled with.
    size: u64,
    /// Messages that it has to have.
    messages: u64,
    moves: u32,
}

/// A cutover.
struct Cutover {
    /// Messages that the mailbox was filled with.
    size: u64,
    /// Messages that it had when it was cut over.
    messages: u64,
    /// Whether it had never moved, so that everything had to be carried.
    first: bool,
    lock_ms: f64,
    rounds: u32,
    backed_out: u32,
    /// What the writer waited for each message, from when it was due to when it was durable.
    deliveries_ms: Vec<f64>,
    /// Calls that were refused because of the lock, and made again.
    refused: u64,
}

/// Everything that was measured.
struct Measured {
    cutovers: Vec<Cutover>,
    /// Lone appends of 4 KiB and their syncs, in milliseconds.
    syncs_ms: Vec<f64>,
    /// Messages that are not where they have to be, or are there twice.
    wrong: u64,
    acknowledged: u64,
}

pub(crate) fn run(args: &LockArgs) -> Result<(), String> {
    let args = args.sized();
    let mut setting = Setting::begin(&args.common)?;
    let site = Site::set_up(setting.scratch())?;
    let mut mailboxes = fill_mailboxes(&args, &site)?;
    let mut measured =
        Measured { cutovers: Vec::new(), syncs_ms: Vec::new(), wrong: 0, acknowledged: 0 };
    let mut number = 1 << 40;
    for round in 0..args.cutovers {
        if round % MOVES_A_LINE == 0 {
            let probe_ms = setting.probe()?;
            say(&format!("cutover {round} of {}: fdatasync {probe_ms:.2} ms", args.cutovers));
        }
        let mut sizes: Vec<usize> = (0..mailboxes.len()).collect();
        setting.shuffle(&mut sizes);
        for size in sizes {
            let some = &mut mailboxes[size];
            let index = round as usize % some.len();
            let cutover = cut_over(&args, &site, &mut some[index], &mut number)?;
            measured.acknowledged += cutover.deliveries_ms.len() as u64;
            measured.cutovers.push(cutover);
            measured.syncs_ms.extend(disk::syncs_ms(setting.scratch(), PROBE)?);
        }
    }
    for mailbox in mailboxes.iter().flatten() {
        measured.wrong += mailbox.messages.abs_diff(count(&site, mailbox)?);
    }
    setting.probe()?;
    setting.end();
    report::page(&args, &measured).publish(&setting)?;
    for store in site.stores {
        store.close().map_err(told)?;
    }
    Ok(())
}

/// Makes the mailboxes of each size, all at home at `A`.
fn fill_mailboxes(args: &LockArgs, site: &Site) -> Result<Vec<Vec<Mailbox>>, String> {
    let counts: Vec<u32> = args.messages.iter().map(|messages| args.mailboxes(*messages)).collect();
    let places = make_places(&site.stores[0], counts.iter().sum::<u32>() as usize)?;
    let (mut next, mut number) = (0, 0);
    let mut all = Vec::new();
    for (size, count) in args.messages.iter().zip(counts) {
        say(&format!("filling {count} mailboxes with {size} messages each"));
        let mut some = Vec::new();
        for _ in 0..count {
            let place = std::slice::from_ref(&places[next]);
            fill(&site.stores[0], place, number..number + size, args.message_bytes)?;
            some.push(Mailbox { name: name_of(next), size: *size, messages: *size, moves: 0 });
            (next, number) = (next + 1, number + size);
        }
        all.push(some);
    }
    Ok(all)
}

/// Moves a mailbox to the other server while mail comes in for it.
fn cut_over(
    args: &LockArgs,
    site: &Site,
    mailbox: &mut Mailbox,
    number: &mut u64,
) -> Result<Cutover, String> {
    let over = AtomicBool::new(false);
    let writer = Writer {
        site,
        mailbox: &mailbox.name,
        every: Duration::from_secs(1) / args.rate,
        message_bytes: args.message_bytes,
    };
    let from = site.home(&mailbox.name);
    let to = 1 - from;
    let (moved, written) = std::thread::scope(|scope| {
        let writing = scope.spawn(|| writer.run(*number, &over));
        std::thread::sleep(LEAD);
        let moved = move_mailboxes(
            (&site.stores[from], SERVERS[from]),
            (&site.stores[to], SERVERS[to]),
            &mut site.homes.clone(),
            std::slice::from_ref(&mailbox.name),
        );
        std::thread::sleep(TAIL);
        over.store(true, Ordering::Relaxed);
        Ok::<_, String>((moved?, writing.join().expect("errors are returned")?))
    })?;
    let report = moved.report;
    let one = report.moved.first().ok_or("no mailbox was moved")?;
    *number += written.times_ms.len() as u64;
    mailbox.messages += written.times_ms.len() as u64;
    mailbox.moves += 1;
    Ok(Cutover {
        size: mailbox.size,
        messages: one.messages,
        first: mailbox.moves == 1,
        lock_ms: one.lock_ms,
        rounds: one.rounds,
        backed_out: report.backed_out,
        deliveries_ms: written.times_ms,
        refused: written.refused,
    })
}

/// Messages of a mailbox at its home.
fn count(site: &Site, mailbox: &Mailbox) -> Result<u64, String> {
    let store = &site.stores[site.home(&mailbox.name)];
    let info = store.mailbox(&mailbox.name).map_err(told)?;
    let info = info.ok_or_else(|| format!("{} is not at its home", mailbox.name))?;
    Ok(info.messages)
}
