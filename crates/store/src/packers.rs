//! Contents made into records, in the thread of the caller, and in others beside it when there is
//! much to pack.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::{self, JoinHandle};

use crate::error::StoreError;
use crate::lock::lock;
use crate::record::{self, BODY_SIZE_MAX, Encoded};

/// Threads at most, with the caller's.
const THREADS_MAX: usize = 4;
/// Less than so many bytes are packed before another thread has woken up.
const SHARED_BYTES_MIN: usize = 256 << 10;

/// The threads that help to pack. They are started by the first batch that needs them, and end with
/// this.
#[derive(Default)]
pub(crate) struct Packers {
    started: OnceLock<Started>,
}

struct Started {
    jobs: Option<Sender<Job>>,
    threads: Vec<JoinHandle<()>>,
}

/// Contents of which each thread takes the next one, until there are no more.
struct Batch {
    bodies: Vec<Vec<u8>>,
    next: AtomicUsize,
    pack_over_bytes: Option<u32>,
}

struct Job {
    batch: Arc<Batch>,
    reply: Sender<Vec<(usize, Encoded)>>,
}

impl Batch {
    /// Packs what no other thread takes.
    fn work(&self) -> Vec<(usize, Encoded)> {
        let mut done = Vec::new();
        loop {
            let index = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(body) = self.bodies.get(index) else { return done };
            done.push((index, record::encode_packed(body, self.pack_over_bytes)));
        }
    }
}

impl Packers {
    /// The records of contents, in order.
    ///
    /// # Errors
    ///
    /// [`StoreError::TooLarge`].
    pub(crate) fn records(
        &self,
        bodies: Vec<Vec<u8>>,
        pack_over_bytes: Option<u32>,
    ) -> Result<Vec<Encoded>, StoreError> {
        bodies.iter().try_for_each(|body| check_len(body))?;
        let bytes = bodies.iter().map(Vec::len).sum::<usize>();
        let helpers = match pack_over_bytes {
            Some(_) if bodies.len() > 1 && bytes >= SHARED_BYTES_MIN => self.helpers(),
            _ => None,
        };
        let batch = Batch { bodies, next: AtomicUsize::new(0), pack_over_bytes };
        let Some((jobs, count)) = helpers else {
            return Ok(batch.work().into_iter().map(|(_, record)| record).collect());
        };
        Ok(shared(&Arc::new(batch), jobs, count))
    }

    /// Where jobs go, and how many threads take them; `None` if there is one core.
    fn helpers(&self) -> Option<(&Sender<Job>, usize)> {
        let started = self.started.get_or_init(start);
        let jobs = started.jobs.as_ref()?;
        (!started.threads.is_empty()).then_some((jobs, started.threads.len()))
    }
}

impl Drop for Packers {
    fn drop(&mut self) {
        let Some(mut started) = self.started.take() else { return };
        started.jobs = None;
        for thread in started.threads {
            // One that panicked has been noticed by whoever did its work.
            drop(thread.join());
        }
    }
}

fn start() -> Started {
    let (jobs, queue) = channel();
    let queue = Arc::new(Mutex::new(queue));
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let threads = (1..cores.min(THREADS_MAX)).filter_map(|_| {
        let queue = Arc::clone(&queue);
        let thread = thread::Builder::new().name("store-pack".to_owned());
        thread.spawn(move || help(&queue)).ok()
    });
    Started { jobs: Some(jobs), threads: threads.collect() }
}

fn help(queue: &Mutex<Receiver<Job>>) {
    loop {
        let job = lock(queue).recv();
        let Ok(Job { batch, reply }) = job else { return };
        let done = batch.work();
        if !done.is_empty() {
            // Nobody waits if the caller has panicked.
            drop(reply.send(done));
        }
    }
}

/// The records of a batch that others help with.
fn shared(batch: &Arc<Batch>, jobs: &Sender<Job>, helpers: usize) -> Vec<Encoded> {
    let mut records: Vec<Option<Encoded>> = batch.bodies.iter().map(|_| None).collect();
    let mut missing = records.len();
    let mut keep = |done: Vec<(usize, Encoded)>| {
        missing -= done.len();
        done.into_iter().for_each(|(index, record)| records[index] = Some(record));
        missing
    };
    let (reply, replies) = channel();
    for _ in 0..helpers.min(batch.bodies.len() - 1) {
        // Without help it is done here.
        drop(jobs.send(Job { batch: Arc::clone(batch), reply: reply.clone() }));
    }
    drop(reply);
    let mut left = keep(batch.work());
    while left > 0 {
        let Ok(done) = replies.recv() else { break };
        left = keep(done);
    }
    let records = records.into_iter().zip(&batch.bodies);
    // What a thread took and did not bring back is done here.
    let encode = |body: &Vec<u8>| record::encode_packed(body, batch.pack_over_bytes);
    records.map(|(record, body)| record.unwrap_or_else(|| encode(body))).collect()
}

/// Refuses what is too long for a record.
pub(crate) fn check_len(body: &[u8]) -> Result<(), StoreError> {
    if body.len() <= BODY_SIZE_MAX {
        return Ok(());
    }
    let (size_bytes, max_bytes) = (body.len() as u64, BODY_SIZE_MAX as u64);
    Err(StoreError::TooLarge { size_bytes, max_bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(packers: &Packers, lens: &[usize], pack_over_bytes: Option<u32>) {
        let bodies: Vec<Vec<u8>> =
            lens.iter().zip(b'a'..).map(|(len, byte)| vec![byte; *len]).collect();
        let records = packers.records(bodies.clone(), pack_over_bytes).unwrap();
        assert_eq!(records.len(), bodies.len());
        for (record, body) in records.iter().zip(&bodies) {
            assert_eq!(record.bytes, record::encode_packed(body, pack_over_bytes).bytes);
        }
    }

    #[test]
    fn records_are_those_of_each_content_in_order() {
        let packers = Packers::default();
        check(&packers, &[], Some(0));
        check(&packers, &[7], Some(0));
        check(&packers, &[300_000, 300_001, 4, 0, 900_000, 80_000], Some(100));
        check(&packers, &[300_000, 300_001], None);
        check(&packers, &[2_000_000, 1, 2, 3], Some(2));
    }

    #[test]
    fn many_callers_share_the_threads() {
        let packers = Packers::default();
        thread::scope(|scope| {
            for caller in 0..8 {
                let packers = &packers;
                scope.spawn(move || check(packers, &[100_000 + caller; 20], Some(0)));
            }
        });
    }

    #[test]
    fn what_no_thread_brings_back_is_done_by_the_caller() {
        let bodies = vec![vec![b'a'; 10]; 3];
        let batch = Batch { bodies, next: AtomicUsize::new(1), pack_over_bytes: Some(0) };
        let (jobs, queue) = channel();
        drop(queue);
        let records = shared(&Arc::new(batch), &jobs, 2);
        assert_eq!(records.len(), 3);
        assert!(records.iter().all(|one| one.bytes == records[0].bytes));
    }
}
