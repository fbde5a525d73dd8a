//! Writing records in the order in which they were handed over, on a thread of its own if there is
//! to be one: what reads and hashes contents does not wait for a disk then.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{Builder, JoinHandle};

use crate::compress::Packing;
use crate::error::ArchiveError;
use crate::kind::RecordKind;
use crate::manifest::VolumeEntry;
use crate::read_back::{Found, ReadBack};
use crate::volume::{ClosedVolume, Note, VolumeWriter};

/// Raw bytes that may wait for compression or for being written.
const IN_FLIGHT_BYTES_MAX: usize = 8 << 20;

/// A record whose payload is being compressed.
pub(crate) struct Waiting {
    pub(crate) kind: RecordKind,
    pub(crate) flags: u8,
    pub(crate) raw_len: usize,
    pub(crate) packing: Packing,
    pub(crate) note: Note,
}

/// What was written, and what reading it back gave if that was asked for.
pub(crate) struct Written {
    pub(crate) volumes: Vec<VolumeEntry>,
    pub(crate) raw_bytes: u64,
    pub(crate) found: Option<Found>,
}

/// Writes records into volumes.
struct Recorder {
    volumes: VolumeWriter,
    read_back: Option<ReadBack>,
}

impl Recorder {
    /// Writes a record as soon as it is compressed; returns its raw length.
    fn put(&mut self, waiting: Waiting) -> Result<usize, ArchiveError> {
        let Waiting { kind, flags, raw_len, packing, note } = waiting;
        let packed = packing.wait().ok_or(ArchiveError::Abandoned)?;
        let read_back = &mut self.read_back;
        let finish = &mut |volume: ClosedVolume| finish(volume, read_back);
        self.volumes.put(kind, flags, packed, note, finish)?;
        Ok(raw_len)
    }

    fn finish(mut self) -> Result<Written, ArchiveError> {
        let read_back = &mut self.read_back;
        let (volumes, raw_bytes) = self.volumes.close(&mut |volume| finish(volume, read_back))?;
        let found = self.read_back.map(ReadBack::finish).transpose()?;
        Ok(Written { volumes, raw_bytes, found })
    }
}

fn finish(volume: ClosedVolume, read_back: &mut Option<ReadBack>) -> Result<(), ArchiveError> {
    match read_back {
        Some(read_back) => read_back.take(volume),
        None => volume.finish().map(|_| ()),
    }
}

/// Records on their way into volumes.
pub(crate) struct Recording {
    in_flight_bytes: usize,
    way: Way,
}

enum Way {
    /// Written by whoever hands over records, once there is enough of them.
    Here(Box<Recorder>, VecDeque<Waiting>),
    There(Thread),
}

/// A thread that writes.
struct Thread {
    /// A record, or nothing after the last one.
    records: Option<Sender<Option<Waiting>>>,
    /// Raw lengths of what is written.
    written: Receiver<usize>,
    handle: Option<JoinHandle<Result<Written, ArchiveError>>>,
}

impl Recording {
    /// Into `volumes`, which `read_back` finishes and reads back if it is there; `alongside` says
    /// whether there is to be a thread.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Target`] if the thread cannot be started.
    pub(crate) fn begin(
        volumes: VolumeWriter,
        read_back: Option<ReadBack>,
        alongside: bool,
    ) -> Result<Recording, ArchiveError> {
        let recorder = Recorder { volumes, read_back };
        let way = match alongside {
            true => Way::There(Thread::start(recorder)?),
            false => Way::Here(Box::new(recorder), VecDeque::new()),
        };
        Ok(Recording { in_flight_bytes: 0, way })
    }

    /// Takes a record; it is written when those before it are.
    ///
    /// # Errors
    ///
    /// The target's errors, maybe of a record before it.
    pub(crate) fn put(&mut self, waiting: Waiting) -> Result<(), ArchiveError> {
        let raw_len = waiting.raw_len;
        while self.in_flight_bytes > 0 && self.in_flight_bytes + raw_len > IN_FLIGHT_BYTES_MAX {
            self.in_flight_bytes -= self.way.wait()?;
        }
        self.in_flight_bytes += raw_len;
        self.way.put(waiting)
    }

    /// Writes what is left, and finishes all volumes.
    ///
    /// # Errors
    ///
    /// The target's errors.
    pub(crate) fn finish(self) -> Result<Written, ArchiveError> {
        match self.way {
            Way::Here(mut recorder, waiting) => {
                for waiting in waiting {
                    recorder.put(waiting)?;
                }
                recorder.finish()
            }
            Way::There(mut thread) => {
                if let Some(records) = &thread.records {
                    // If it has ended, it says why.
                    _ = records.send(None);
                }
                thread.end()
            }
        }
    }
}

impl Way {
    fn put(&mut self, waiting: Waiting) -> Result<(), ArchiveError> {
        match self {
            Way::Here(_, all) => all.push_back(waiting),
            Way::There(thread) => {
                let records = thread.records.as_ref();
                if records.is_none_or(|records| records.send(Some(waiting)).is_err()) {
                    return Err(thread.why_it_ended());
                }
            }
        }
        Ok(())
    }

    /// Waits until another record is written; returns its raw length.
    fn wait(&mut self) -> Result<usize, ArchiveError> {
        match self {
            Way::Here(recorder, all) => match all.pop_front() {
                Some(waiting) => recorder.put(waiting),
                None => Err(ArchiveError::Abandoned),
            },
            Way::There(thread) => match thread.written.recv() {
                Ok(raw_len) => Ok(raw_len),
                Err(_) => Err(thread.why_it_ended()),
            },
        }
    }
}

impl Thread {
    fn start(recorder: Recorder) -> Result<Thread, ArchiveError> {
        let ((send, records), (tell, written)) = (channel(), channel());
        let name = "archive-write".to_owned();
        let begun =
            Builder::new().name(name.clone()).spawn(move || work(recorder, &records, &tell));
        let handle = begun.map_err(ArchiveError::target(&name, "start the thread"))?;
        Ok(Thread { records: Some(send), written, handle: Some(handle) })
    }

    /// Waits for its end. Without the word that all were handed over it finishes nothing.
    fn end(&mut self) -> Result<Written, ArchiveError> {
        self.records = None;
        match self.handle.take() {
            Some(handle) => handle.join().unwrap_or(Err(ArchiveError::Abandoned)),
            None => Err(ArchiveError::Abandoned),
        }
    }

    fn why_it_ended(&mut self) -> ArchiveError {
        self.end().err().unwrap_or(ArchiveError::Abandoned)
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        // The backup was abandoned, or the thread has ended before.
        _ = self.end();
    }
}

fn work(
    mut recorder: Recorder,
    records: &Receiver<Option<Waiting>>,
    tell: &Sender<usize>,
) -> Result<Written, ArchiveError> {
    while let Ok(record) = records.recv() {
        let Some(waiting) = record else { return recorder.finish() };
        let raw_len = recorder.put(waiting)?;
        // Nobody waits for it once all were handed over.
        _ = tell.send(raw_len);
    }
    Err(ArchiveError::Abandoned)
}
