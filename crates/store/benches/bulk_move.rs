//! The bulk move beside its floor: copying and syncing one file of the same bytes.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use rehome_log::SystemClock;
use rehome_store::{
    Append, Flow, FolderName, HomeDirectory, LocalSource, LocalTarget, MailboxName, MailboxState,
    MoveJob, NewFolder, OpenOptions, Store, TransferError, bulk_move,
};

const MAILBOXES: usize = 8;
const MESSAGES: usize = 250;
const BODY_BYTES: usize = 24 << 10;

/// Homes in memory, so that the disk has only the stores to do.
struct Homes(BTreeMap<MailboxName, String>);

impl HomeDirectory for Homes {
    fn home(&mut self, mailbox: &MailboxName) -> Result<String, TransferError> {
        Ok(self.0.get(mailbox).cloned().unwrap_or_else(|| "A".to_owned()))
    }

    fn set_home(&mut self, mailbox: &MailboxName, _: &str, to: &str) -> Result<(), TransferError> {
        self.0.insert(mailbox.clone(), to.to_owned());
        Ok(())
    }
}

fn names() -> Vec<MailboxName> {
    (0..MAILBOXES)
        .map(|number| MailboxName::try_from(format!("user{number}").as_str()).expect("a name"))
        .collect()
}

/// Bytes that do not repeat; the same for the same seed.
fn body(seed: u64) -> Vec<u8> {
    let mut random = rehome_log::SplitMix64::new(seed);
    (0..BODY_BYTES / 8).flat_map(|_| random.next_u64().to_le_bytes()).collect()
}

/// A store whose mailboxes were filled in turn, so that each is scattered over the segments.
fn fill(folder: &Path) -> Store {
    let store = Store::create_at(folder, OpenOptions::default()).expect("an empty folder");
    let mut places = Vec::new();
    for name in names() {
        let id = store.create_mailbox(&name, MailboxState::Active).expect("a new name");
        let inbox = store.create_folder(id, &FolderName::inbox(), NewFolder::default());
        places.push((id, inbox.expect("a new folder").id));
    }
    for round in 0..MESSAGES {
        let batch = places.iter().enumerate().map(|(number, (mailbox, folder))| {
            let shared = round % 4 == 0;
            let seed = (round * MAILBOXES + if shared { 0 } else { number }) as u64;
            (*mailbox, *folder, Append { body: body(seed), ..Append::default() })
        });
        store.append_batch(batch.collect()).expect("room for the batch");
    }
    store
}

/// Moves `mailboxes` to an empty store and gives the time from the call to its return.
fn one_move(store: &Store, mailboxes: Vec<MailboxName>) -> Duration {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let target = Store::create_at(folder.path(), OpenOptions::default()).expect("an empty folder");
    let mut source = LocalSource::new(store.clone());
    let mut homes = Homes(BTreeMap::new());
    let job = MoveJob::new(mailboxes.clone(), "A", "B");
    let begun = Instant::now();
    let report = bulk_move(
        &mut source,
        &mut LocalTarget::new(target),
        &mut homes,
        &job,
        &SystemClock,
        &mut |_| Flow::Continue,
    );
    let took = begun.elapsed();
    assert_eq!(report.expect("nothing fails").moved.len(), mailboxes.len());
    for name in mailboxes {
        let info = store.mailbox(&name).expect("readable").expect("it is kept");
        store.set_state(info.id, MailboxState::Active).expect("as it was");
    }
    took
}

/// The floor: the same bytes as one file, copied and synced.
fn one_copy(bytes: &[u8]) -> Duration {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (from, to) = (folder.path().join("from"), folder.path().join("to"));
    fs::write(&from, bytes).expect("room for the file");
    let begun = Instant::now();
    fs::copy(&from, &to).expect("room for the copy");
    File::open(&to).and_then(|file| file.sync_all()).expect("a sync");
    begun.elapsed()
}

fn moves(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = fill(folder.path());
    let bytes = store.statistics().expect("readable").content_bytes;
    let mut group = criterion.benchmark_group("bulk_move");
    group.sample_size(10).throughput(Throughput::Bytes(bytes));
    group.bench_function(BenchmarkId::new("move", "all"), |bench| {
        bench.iter_custom(|rounds| (0..rounds).map(|_| one_move(&store, names())).sum());
    });
    let content = black_box(vec![7; usize::try_from(bytes).expect("it fits into memory")]);
    group.bench_function(BenchmarkId::new("copy", "all"), |bench| {
        bench.iter_custom(|rounds| (0..rounds).map(|_| one_copy(&content)).sum());
    });
    let one = bytes / MAILBOXES as u64;
    group.throughput(Throughput::Bytes(one));
    group.bench_function(BenchmarkId::new("move", "one"), |bench| {
        bench.iter_custom(|rounds| {
            (0..rounds).map(|_| one_move(&store, names().into_iter().take(1).collect())).sum()
        });
    });
    group.finish();
}

criterion_group!(benches, moves);
criterion_main!(benches);
