//! Reading contents with several threads at once, and handing them over in order.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use crate::content_run::ContentRun;
use crate::error::StoreError;
use crate::model::Extent;
use crate::mover::error::TransferError;
use crate::segment::{Segments, Stretch};

/// How far the disk is told ahead of the reading, by all lanes together, in bytes.
const AHEAD_BYTES: u64 = 16 << 20;
/// So few loads are read without threads.
const SINGLE_LOADS_MAX: usize = 2;
/// Longer stretches than this on average are read by one lane: the disk is read through in order
/// then, and several readers would only disturb the kernel's reading ahead.
const SCATTERED_BYTES_MAX: u64 = 256 << 10;

/// A load as it was read.
type Loaded = Result<ContentRun, StoreError>;

/// Takes a load, or ends the reading.
type Take<'a> = dyn FnMut(&[Stretch], Loaded) -> Result<(), TransferError> + 'a;

/// Loads to be read.
pub(super) struct Reading<'a> {
    pub(super) segments: &'a Segments,
    pub(super) loads: Vec<&'a [Stretch]>,
    /// Where the record of a number in the stretches lies.
    pub(super) extent_of: &'a (dyn Fn(usize) -> Extent + Sync),
}

impl Reading<'_> {
    /// Reads with so many lanes; `take` gets each load in order, and its error ends the reading.
    /// Each lane holds two loads in memory at most.
    pub(super) fn read(&self, lanes: usize, take: &mut Take<'_>) -> Result<(), TransferError> {
        if lanes < 2 || self.loads.len() <= SINGLE_LOADS_MAX || !self.is_scattered() {
            let mut lane = Lane::new(self, 0, 1);
            return self.loads.iter().try_for_each(|load| take(load, lane.read(load)));
        }
        thread::scope(|scope| {
            let lanes: Vec<Receiver<Loaded>> = (0..lanes)
                .map(|first| {
                    let (loaded, arriving) = sync_channel(1);
                    scope.spawn(move || Lane::new(self, first, lanes).run(&loaded));
                    arriving
                })
                .collect();
            for (index, load) in self.loads.iter().enumerate() {
                // A lane that ends too early has panicked, which the scope passes on.
                let loaded = lanes[index % lanes.len()].recv();
                take(load, loaded.map_err(|_| TransferError::Aborted)?)?;
            }
            Ok(())
        })
    }

    fn is_scattered(&self) -> bool {
        let stretches: usize = self.loads.iter().map(|load| load.len()).sum();
        let bytes: u64 = self.loads.iter().map(|load| bytes(load)).sum();
        bytes < SCATTERED_BYTES_MAX * stretches as u64
    }
}

/// Reads every load whose number is `first`, `first + step` and so on.
struct Lane<'a> {
    reading: &'a Reading<'a>,
    first: usize,
    step: usize,
    /// The first load that the disk has not been told of.
    untold: usize,
    /// Bytes told of and not read yet.
    ahead_bytes: u64,
}

impl<'a> Lane<'a> {
    fn new(reading: &'a Reading<'a>, first: usize, step: usize) -> Lane<'a> {
        Lane { reading, first, step, untold: first, ahead_bytes: 0 }
    }

    /// Reads all of its loads until nobody wants them.
    fn run(mut self, loaded: &SyncSender<Loaded>) {
        for load in self.reading.loads.iter().skip(self.first).step_by(self.step) {
            if loaded.send(self.read(load)).is_err() {
                break;
            }
        }
    }

    /// Reads its next load, and tells the disk what comes after it.
    fn read(&mut self, load: &[Stretch]) -> Loaded {
        let Reading { segments, loads, extent_of } = self.reading;
        while self.ahead_bytes < AHEAD_BYTES / self.step as u64
            && let Some(next) = loads.get(self.untold)
        {
            next.iter().for_each(|stretch| segments.read_ahead(stretch));
            self.untold += self.step;
            self.ahead_bytes += bytes(next);
        }
        self.ahead_bytes = self.ahead_bytes.saturating_sub(bytes(load));
        segments.load(load, extent_of)
    }
}

fn bytes(load: &[Stretch]) -> u64 {
    load.iter().map(|stretch| u64::from(stretch.len)).sum()
}
