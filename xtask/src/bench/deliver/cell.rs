//! One cell of the table: who takes messages, from how many writers, into how many mailboxes.

use std::path::Path;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use super::{MESSAGE_BYTES, lmtp};
use crate::bench::disk;
use crate::bench::dovecot::Dovecot;
use crate::bench::figures::Ranks;
use crate::bench::stores::{make_places, message, new_store, told};

/// Who takes messages, or syncs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Store,
    #[cfg_attr(not(feature = "peers"), expect(dead_code, reason = "measured with SQLite alone"))]
    Sqlite,
    Lmtp,
    /// An append of 4 KiB and its fdatasync.
    Sync,
    /// Two at once, to files that grow.
    TwoSyncs,
    /// Two at once, into zeros that are there.
    TwoSyncsInPlace,
}

/// One cell of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cell {
    pub(crate) kind: Kind,
    pub(crate) writers: usize,
    pub(crate) mailboxes: usize,
}

/// The peers that are there.
pub(crate) struct Peers<'a> {
    pub(crate) dovecot: Option<&'a Dovecot>,
}

/// What a cell came to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Taken {
    pub(crate) cell: Cell,
    pub(crate) per_second: f64,
    /// In milliseconds.
    pub(crate) times: Ranks,
}

/// Pairs of syncs that are measured.
const PAIRS: usize = 1000;

impl Cell {
    /// No more cells than this in a round.
    pub(crate) const COUNT_MAX: u64 = 20;
    pub(crate) const WRITERS: [usize; 4] = [1, 8, 32, 128];
    pub(crate) const MAILBOXES: [usize; 2] = [1, 100];

    /// The cells that can be measured here.
    pub(crate) fn all(peers: &Peers) -> Vec<Cell> {
        let mut all = Vec::new();
        for mailboxes in Cell::MAILBOXES {
            let cell = |kind| move |writers: &usize| Cell { kind, writers: *writers, mailboxes };
            all.extend(Cell::WRITERS.iter().map(cell(Kind::Store)));
            if peers.dovecot.is_some() {
                all.extend([1, 8, 32].iter().map(cell(Kind::Lmtp)));
            }
        }
        #[cfg(feature = "peers")]
        all.extend([1, 32].map(|writers| Cell { kind: Kind::Sqlite, writers, mailboxes: 100 }));
        for kind in [Kind::Sync, Kind::TwoSyncs, Kind::TwoSyncsInPlace] {
            all.push(Cell { kind, writers: 1, mailboxes: 0 });
        }
        all
    }

    pub(crate) fn name(self) -> String {
        let Cell { writers, mailboxes, .. } = self;
        let from = |who: &str| {
            let plural = if mailboxes == 1 { "mailbox" } else { "mailboxes" };
            let writing = if writers == 1 { "writer" } else { "writers" };
            format!("{who}, {writers} {writing}, {mailboxes} {plural}")
        };
        match self.kind {
            Kind::Store => from("store"),
            Kind::Sqlite => from("SQLite, WAL, synchronous=FULL"),
            Kind::Lmtp => from("Dovecot over LMTP, mdbox"),
            Kind::Sync => "append of 4 KiB + fdatasync".to_owned(),
            Kind::TwoSyncs => "two fdatasyncs at once, appended".to_owned(),
            Kind::TwoSyncsInPlace => "two fdatasyncs at once, in place".to_owned(),
        }
    }

    pub(crate) fn folder(self) -> String {
        format!("{:?}-{}-{}", self.kind, self.writers, self.mailboxes).to_lowercase()
    }

    /// Measures it in an empty folder.
    pub(crate) fn run(self, peers: &Peers, folder: &Path, time: Duration) -> Result<Taken, String> {
        let (times, seconds) = match self.kind {
            Kind::Store => self.store(folder, time)?,
            Kind::Sqlite => self.sqlite(folder, time)?,
            Kind::Lmtp => {
                let dovecot = peers.dovecot.expect("it is measured where it runs");
                let folder = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
                self.writing(time, |writer| {
                    let mut connection = lmtp::Connection::open(&dovecot.lmtp())?;
                    let users = self.mailboxes;
                    let folder = folder.clone();
                    let user_of = move |number: u64| format!("{folder}-{}", number % users as u64);
                    let _who = writer;
                    Ok(move |number: u64| connection.deliver(&user_of(number), &body(number)))
                })?
            }
            Kind::Sync => (disk::syncs_ms(folder, time)?, time.as_secs_f64()),
            Kind::TwoSyncs | Kind::TwoSyncsInPlace => {
                let grows = self.kind == Kind::TwoSyncs;
                let begun = Instant::now();
                let times = disk::paired_syncs_ms(folder, PAIRS, grows)?;
                (times, begun.elapsed().as_secs_f64())
            }
        };
        let per_second = times.len() as f64 / seconds;
        Ok(Taken { cell: self, per_second, times: Ranks::of(&times) })
    }

    fn store(self, folder: &Path, time: Duration) -> Result<(Vec<f64>, f64), String> {
        let (store, _) = new_store(folder)?;
        let places = make_places(&store, self.mailboxes)?;
        let taken = self.writing(time, |_| {
            let (store, places) = (store.clone(), places.clone());
            Ok(move |number: u64| {
                let place = usize::try_from(number % places.len() as u64).expect("an index");
                let append = message(number, MESSAGE_BYTES);
                let called = Instant::now();
                store.deliver(&[places[place]], append).map_err(told)?;
                Ok(called.elapsed())
            })
        })?;
        store.close().map_err(told)?;
        Ok(taken)
    }

    #[cfg(feature = "peers")]
    fn sqlite(self, folder: &Path, time: Duration) -> Result<(Vec<f64>, f64), String> {
        let inbox = crate::bench::sqlite::Inbox::new(&folder.join("mail.db"))?;
        let inbox = std::sync::Arc::new(std::sync::Mutex::new(inbox));
        self.writing(time, |_| {
            let inbox = inbox.clone();
            let mailboxes = self.mailboxes as u64;
            Ok(move |number: u64| {
                let body = body(number);
                let called = Instant::now();
                let inbox = inbox.lock().map_err(told)?;
                inbox.deliver(number % mailboxes, &body)?;
                Ok(called.elapsed())
            })
        })
    }

    #[cfg(not(feature = "peers"))]
    fn sqlite(self, _: &Path, _: Duration) -> Result<(Vec<f64>, f64), String> {
        Err("SQLite needs the feature `peers`".to_owned())
    }

    /// Lets all writers write for so long, and gives the times of their deliveries in milliseconds
    /// and the seconds that all of them took. A writer's own work between two deliveries is in its
    /// rate and not in its times.
    fn writing<W, D>(self, time: Duration, writer: W) -> Result<(Vec<f64>, f64), String>
    where
        W: Fn(usize) -> Result<D, String>,
        D: FnMut(u64) -> Result<Duration, String> + Send,
    {
        let writers: Result<Vec<D>, String> = (0..self.writers).map(writer).collect();
        let (writers, start) = (writers?, Barrier::new(self.writers + 1));
        let step = self.writers as u64;
        std::thread::scope(|scope| {
            let mut running = Vec::new();
            for (writer, mut deliver) in writers.into_iter().enumerate() {
                let start = &start;
                running.push(scope.spawn(move || -> Result<Vec<f64>, String> {
                    let (mut times, mut number) = (Vec::new(), writer as u64);
                    start.wait();
                    let begun = Instant::now();
                    while begun.elapsed() < time {
                        times.push(deliver(number)?.as_secs_f64() * 1000.0);
                        number += step;
                    }
                    Ok(times)
                }));
            }
            start.wait();
            let begun = Instant::now();
            let mut all = Vec::new();
            for writer in running {
                all.extend(writer.join().expect("a writer returns its errors")?);
            }
            Ok((all, begun.elapsed().as_secs_f64()))
        })
    }
}

fn body(number: u64) -> Vec<u8> {
    message(number, MESSAGE_BYTES).body
}
