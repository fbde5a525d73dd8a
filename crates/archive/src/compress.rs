//! Compression on threads of its own; results come back in the order of the questions.

use std::io::Cursor;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};

use zstd::bulk::Compressor;
use zstd::zstd_safe::CParameter;

use crate::error::ArchiveError;
use crate::frame::Payload;
use crate::kind::RecordKind;
use crate::record::{CODEC_NONE, CODEC_ZSTD, HEADER_SIZE, PAYLOAD_SIZE_MAX, Stored};

/// A payload as it is stored.
pub(crate) struct Packed {
    pub(crate) raw_len: usize,
    pub(crate) codec: u8,
    pub(crate) stored: Stored,
}

impl Packed {
    /// A payload that is stored as it is.
    pub(crate) fn plain(payload: &[u8]) -> Packed {
        Packed { raw_len: payload.len(), codec: CODEC_NONE, stored: Stored::of(payload) }
    }

    /// Raw and stored length, if both fit into a record of this kind.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::TooLarge`].
    pub(crate) fn lengths(&self, kind: RecordKind) -> Result<(u32, u32), ArchiveError> {
        let fit = |len: usize| {
            u32::try_from(len).ok().filter(|len| *len <= PAYLOAD_SIZE_MAX).ok_or_else(|| {
                ArchiveError::TooLarge {
                    what: format!("a record of kind {kind}"),
                    bytes: len as u64,
                    limit: u64::from(PAYLOAD_SIZE_MAX),
                }
            })
        };
        Ok((fit(self.raw_len)?, fit(self.stored.len())?))
    }
}

/// A payload that is stored, or will be.
pub(crate) enum Packing {
    Done(Packed),
    Coming(Receiver<Packed>),
}

impl Packing {
    /// Waits for the result; `None` if the thread that worked on it died.
    pub(crate) fn wait(self) -> Option<Packed> {
        match self {
            Packing::Done(packed) => Some(packed),
            Packing::Coming(reply) => reply.recv().ok(),
        }
    }
}

struct Job {
    payload: Payload,
    reply: SyncSender<Packed>,
}

/// The threads.
pub(crate) struct Pool {
    level: i32,
    /// What is on its way is bounded by whoever asks.
    jobs: Option<Sender<Job>>,
    workers: Vec<JoinHandle<()>>,
}

impl Pool {
    /// Starts `threads` threads. With none, and if none can be started, [`Pool::pack`] does the
    /// work itself.
    pub(crate) fn start(threads: usize, level: i32) -> Pool {
        let (jobs, queue) = channel();
        let queue = Arc::new(Mutex::new(queue));
        let workers: Vec<_> = (0..threads)
            .filter_map(|_| {
                let queue = Arc::clone(&queue);
                let name = "archive-zstd".to_owned();
                Builder::new().name(name).spawn(move || work(&queue, level)).ok()
            })
            .collect();
        let jobs = (!workers.is_empty()).then_some(jobs);
        Pool { level, jobs, workers }
    }

    /// Has `payload` compressed.
    pub(crate) fn pack(&self, payload: Payload) -> Packing {
        let Some(jobs) = &self.jobs else {
            return Packing::Done(pack(&mut compressor(self.level), &payload));
        };
        let (reply, result) = sync_channel(1);
        match jobs.send(Job { payload, reply }) {
            Ok(()) => Packing::Coming(result),
            Err(unsent) => Packing::Done(pack(&mut None, &unsent.0.payload)),
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.jobs = None;
        for worker in self.workers.drain(..) {
            // A worker that panicked has already been noticed by whoever waited for its result.
            _ = worker.join();
        }
    }
}

fn work(queue: &Mutex<Receiver<Job>>, level: i32) {
    let mut compressor = compressor(level);
    loop {
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Job { payload, reply }) = job else { return };
        // Nobody waits any more if the backup was abandoned.
        _ = reply.send(pack(&mut compressor, &payload));
    }
}

/// Level 1 with a table and matches of other lengths than zstd gives it for inputs of this size: of
/// mail that makes one part in a hundred less, and takes no longer.
fn compressor(level: i32) -> Option<Compressor<'static>> {
    let mut compressor = Compressor::new(level).ok()?;
    if level == 1 {
        compressor.set_parameter(CParameter::MinMatch(5)).ok()?;
        compressor.set_parameter(CParameter::HashLog(16)).ok()?;
    }
    Some(compressor)
}

/// Compresses `raw` on the caller's thread.
pub(crate) fn compress(level: i32, payload: &Payload) -> Packed {
    pack(&mut compressor(level), payload)
}

/// Compresses a payload if that saves at least a 32nd; less is not worth decompressing it later.
fn pack(compressor: &mut Option<Compressor<'_>>, payload: &Payload) -> Packed {
    let raw_len = payload.raw.len();
    let smaller = compressor
        .as_mut()
        .and_then(|compressor| squeeze(compressor, payload))
        .filter(|stored| stored.len() + raw_len / 32 < raw_len);
    match smaller {
        Some(stored) => Packed { raw_len, codec: CODEC_ZSTD, stored },
        None => Packed::plain(&payload.raw),
    }
}

/// Compresses what is not compressed yet, behind what is, to where the payload of a record has its
/// place.
fn squeeze(compressor: &mut Compressor<'_>, payload: &Payload) -> Option<Stored> {
    let rest = &payload.raw[payload.framed_bytes..];
    let begin = HEADER_SIZE + payload.frames.len();
    let room = begin + zstd::zstd_safe::compress_bound(rest.len()) + HEADER_SIZE;
    let mut bytes = Vec::with_capacity(room);
    bytes.resize(HEADER_SIZE, 0);
    bytes.extend_from_slice(&payload.frames);
    let mut behind = Cursor::new(bytes);
    behind.set_position(begin as u64);
    compressor.compress_to_buffer(rest, &mut behind).ok()?;
    Some(Stored::behind_a_header(behind.into_inner()))
}
