//! Measuring a disk: how long a sync takes, and how fast it reads and writes.
//!
//! The disk under test is any [`Disk`]; what is measured is what the store itself will ask of it.
//! What is written has a bound, and the files are removed in any case.

use std::io;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use rehome_log::{AlignedBuf, Disk, FileId, FileName, OpenMode, SyncKind};
use serde::{Deserialize, Serialize};

use crate::error::{StoreError, doing, filling};
use crate::flow::Flow;
use crate::identity::{name, remove_if_there};

/// Bytes written or read at once in a large file.
const PIECE_BYTES: usize = 4 << 20;
/// Bytes of an append whose sync is measured.
const APPEND_BYTES: usize = 4 << 10;
/// Syncs of a kind, at most.
const SYNCS_MAX: usize = 200;
/// Fewer say nothing about the slowest in a hundred, but must do on a slow disk.
const SYNCS_MIN: usize = 8;
/// Names of the files.
const FILES: [&str; 2] = ["measure-1.tmp", "measure-2.tmp"];

/// How long something takes: half of the times, and all but one in a hundred.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latency {
    /// Half of them took no longer, in microseconds.
    pub p50_us: u64,
    /// All but one in a hundred took no longer, in microseconds.
    pub p99_us: u64,
}

/// What a disk does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiskFigures {
    /// A write of 4 KiB into a file that is long enough already, and its sync.
    pub append_in_place: Latency,
    /// The same at the end of a file that grows.
    pub append_growing: Latency,
    /// The same into two files at once, until both are durable.
    pub append_paired: Latency,
    /// A large file past the page cache, its sync included.
    pub write_direct_bytes_per_second: u64,
    /// A large file through the page cache, its sync included.
    pub write_buffered_bytes_per_second: u64,
    /// A large file that is not in the page cache, by one thread.
    pub read_bytes_per_second: u64,
    /// The same by two threads, each its half.
    pub read_two_lanes_bytes_per_second: u64,
}

/// How far a measurement is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct MeasureProgress {
    /// What is being measured.
    pub what: &'static str,
    /// Measurements done.
    pub done: u64,
    /// Measurements there are.
    pub total: u64,
}

/// How long each part of a measurement may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MeasureBounds {
    /// Syncs of one kind, in milliseconds.
    pub syncs_ms: u64,
    /// Writing or reading a large file, in milliseconds.
    pub stream_ms: u64,
    /// Bytes of each large file, at most.
    pub stream_bytes: u64,
}

impl Default for MeasureBounds {
    /// 15 seconds, and 336 MiB of room.
    fn default() -> MeasureBounds {
        MeasureBounds { syncs_ms: 1_500, stream_ms: 2_500, stream_bytes: 160 << 20 }
    }
}

impl MeasureBounds {
    /// A second, and 48 MiB of room: for a disk that is in use.
    #[must_use]
    pub fn brief() -> MeasureBounds {
        MeasureBounds { syncs_ms: 100, stream_ms: 150, stream_bytes: 16 << 20 }
    }

    /// Bytes that there must be room for.
    #[must_use]
    pub fn room_bytes(&self) -> u64 {
        2 * self.stream_bytes + (16 << 20)
    }
}

/// Measures the disk whose root folder this is. Other work on the disk is measured with it.
///
/// # Errors
///
/// [`StoreError::DiskFull`] or [`StoreError::Io`]; [`StoreError::Stopped`] if `observe` said so.
/// The files are removed whatever happens.
pub fn measure_disk(
    disk: &dyn Disk,
    bounds: MeasureBounds,
    observe: &mut dyn FnMut(MeasureProgress) -> Flow,
) -> Result<DiskFigures, StoreError> {
    clean(disk)?;
    let measured = Measurement { disk, bounds, observe, done: 0 }.run();
    clean(disk).and(measured)
}

fn clean(disk: &dyn Disk) -> Result<(), StoreError> {
    for file in FILES {
        remove_if_there(disk, &name(file)).map_err(doing(format!("removing {file}")))?;
    }
    Ok(())
}

/// An open file of a measurement.
struct Probe<'d> {
    disk: &'d dyn Disk,
    id: FileId,
}

impl Drop for Probe<'_> {
    fn drop(&mut self) {
        self.disk.close(self.id);
    }
}

impl<'d> Probe<'d> {
    fn create(disk: &'d dyn Disk, file: &FileName, mode: OpenMode) -> io::Result<Probe<'d>> {
        remove_if_there(disk, file)?;
        Ok(Probe { disk, id: disk.open(file, mode)? })
    }

    fn filled(disk: &'d dyn Disk, file: &FileName) -> io::Result<Probe<'d>> {
        let probe = Probe::create(disk, file, OpenMode::CreateNew)?;
        disk.allocate_zeroed(probe.id, (SYNCS_MAX * APPEND_BYTES) as u64)?;
        disk.sync(probe.id, SyncKind::All)?;
        Ok(probe)
    }

    fn append(&self, index: usize) -> io::Result<()> {
        self.disk.write_at(self.id, (index * APPEND_BYTES) as u64, &[0x5a; APPEND_BYTES])
    }
}

struct Measurement<'a> {
    disk: &'a dyn Disk,
    bounds: MeasureBounds,
    observe: &'a mut dyn FnMut(MeasureProgress) -> Flow,
    done: u64,
}

impl Measurement<'_> {
    fn run(&mut self) -> Result<DiskFigures, StoreError> {
        let [one, two] = FILES.map(name);
        let disk = self.disk;
        let mut figures = DiskFigures::default();
        self.step("syncs in place")?;
        let in_place = Probe::filled(disk, &one).and_then(|probe| self.syncs(&probe));
        figures.append_in_place = in_place.map_err(filling("measuring", "syncs in place"))?;
        self.step("syncs of a growing file")?;
        let growing = Probe::create(disk, &one, OpenMode::CreateNew);
        let growing = growing.and_then(|probe| self.syncs(&probe));
        figures.append_growing =
            growing.map_err(filling("measuring", "syncs of a growing file"))?;
        self.step("two syncs at once")?;
        let pair = Probe::filled(disk, &one).and_then(|a| Ok((a, Probe::filled(disk, &two)?)));
        let paired = pair.and_then(|(a, b)| self.paired(&a, &b));
        figures.append_paired = paired.map_err(filling("measuring", "two syncs at once"))?;
        self.step("writing past the page cache")?;
        let written = self.write(&one, OpenMode::CreateDirect);
        figures.write_direct_bytes_per_second =
            written.map_err(filling("measuring", "direct writes"))?;
        self.step("writing through the page cache")?;
        let written = self.write(&two, OpenMode::CreateNew);
        figures.write_buffered_bytes_per_second =
            written.map_err(filling("measuring", "buffered writes"))?;
        self.step("reading with one thread")?;
        let read = self.read(&one, 1);
        figures.read_bytes_per_second = read.map_err(filling("measuring", "reads"))?;
        self.step("reading with two threads")?;
        let read = self.read(&two, 2);
        figures.read_two_lanes_bytes_per_second = read.map_err(filling("measuring", "reads"))?;
        Ok(figures)
    }

    fn step(&mut self, what: &'static str) -> Result<(), StoreError> {
        let progress = MeasureProgress { what, done: self.done, total: 7 };
        self.done += 1;
        match (self.observe)(progress) {
            Flow::Continue => Ok(()),
            Flow::Stop => Err(StoreError::Stopped),
        }
    }

    /// Whether one more sync is to be measured.
    fn goes_on(&self, count: usize, begun: Instant) -> bool {
        let in_time = begun.elapsed() < Duration::from_millis(self.bounds.syncs_ms);
        count < SYNCS_MAX && (in_time || count < SYNCS_MIN)
    }

    fn syncs(&self, probe: &Probe<'_>) -> io::Result<Latency> {
        let (mut times, begun) = (Vec::with_capacity(SYNCS_MAX), Instant::now());
        while self.goes_on(times.len(), begun) {
            let called = Instant::now();
            probe.append(times.len())?;
            self.disk.sync(probe.id, SyncKind::Data)?;
            times.push(called.elapsed());
        }
        Ok(latency(times))
    }

    fn paired(&self, one: &Probe<'_>, two: &Probe<'_>) -> io::Result<Latency> {
        let (disk, other) = (self.disk, two.id);
        let meet = Barrier::new(2);
        let more = std::sync::atomic::AtomicBool::new(true);
        let order = std::sync::atomic::Ordering::SeqCst;
        std::thread::scope(|scope| {
            // Both come to every meeting, whatever happens, so that none waits for ever.
            let second = scope.spawn(|| {
                let mut synced = Ok(());
                loop {
                    meet.wait();
                    if !more.load(order) {
                        return synced;
                    }
                    synced = synced.and(disk.sync(other, SyncKind::Data));
                    meet.wait();
                }
            });
            let (mut times, begun, mut done) = (Vec::new(), Instant::now(), Ok(()));
            while done.is_ok() && self.goes_on(times.len(), begun) {
                let called = Instant::now();
                done = one.append(times.len()).and(two.append(times.len()));
                meet.wait();
                done = done.and(disk.sync(one.id, SyncKind::Data));
                meet.wait();
                times.push(called.elapsed());
            }
            more.store(false, order);
            meet.wait();
            let second = second.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            done.and(second).map(|()| latency(times))
        })
    }

    /// Writes a large file and syncs it; returns bytes a second.
    fn write(&self, file: &FileName, mode: OpenMode) -> io::Result<u64> {
        let probe = Probe::create(self.disk, file, mode)?;
        let mut piece = AlignedBuf::zeroed(PIECE_BYTES);
        // Bytes that no disk makes smaller.
        let mut state = rehome_log::SplitMix64::new(1);
        piece.as_mut_slice().chunks_exact_mut(8).for_each(|eight| {
            eight.copy_from_slice(&state.next_u64().to_le_bytes());
        });
        let (begun, mut bytes) = (Instant::now(), 0);
        let in_time = || begun.elapsed() < Duration::from_millis(self.bounds.stream_ms);
        while bytes < self.bounds.stream_bytes && (bytes == 0 || in_time()) {
            self.disk.write_at(probe.id, bytes, piece.as_slice())?;
            bytes += PIECE_BYTES as u64;
        }
        self.disk.sync(probe.id, SyncKind::All)?;
        let rate = rate(bytes, begun.elapsed());
        self.disk.write_behind(probe.id, 0, bytes);
        Ok(rate)
    }

    /// Reads a large file in so many threads, each its part; returns bytes a second.
    fn read(&self, file: &FileName, lanes: u64) -> io::Result<u64> {
        let probe = Probe { disk: self.disk, id: self.disk.open(file, OpenMode::Read)? };
        let len = self.disk.len(probe.id)?;
        self.disk.write_behind(probe.id, 0, len);
        let pieces = len / PIECE_BYTES as u64;
        let begun = Instant::now();
        let limit = Duration::from_millis(self.bounds.stream_ms);
        let lane = |lane: u64| -> io::Result<u64> {
            let mut piece = AlignedBuf::zeroed(PIECE_BYTES);
            let (first, end) = (pieces * lane / lanes, pieces * (lane + 1) / lanes);
            let mut bytes = 0;
            for index in first..end {
                if bytes > 0 && begun.elapsed() > limit {
                    break;
                }
                let at = index * PIECE_BYTES as u64;
                self.disk.read_ahead(probe.id, at, 4 * PIECE_BYTES as u64);
                self.disk.read_at(probe.id, at, piece.as_mut_slice())?;
                bytes += PIECE_BYTES as u64;
            }
            Ok(bytes)
        };
        let bytes = std::thread::scope(|scope| {
            let threads: Vec<_> = (1..lanes).map(|n| scope.spawn(move || lane(n))).collect();
            let join = |thread: std::thread::ScopedJoinHandle<'_, io::Result<u64>>| {
                thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            };
            let own = lane(0);
            threads.into_iter().map(join).fold(own, |sum, bytes| Ok(sum? + bytes?))
        })?;
        Ok(rate(bytes, begun.elapsed()))
    }
}

fn rate(bytes: u64, took: Duration) -> u64 {
    let micros = took.as_micros().max(1);
    u64::try_from(u128::from(bytes) * 1_000_000 / micros).unwrap_or(u64::MAX)
}

fn latency(mut times: Vec<Duration>) -> Latency {
    times.sort_unstable();
    let at = |hundredth: usize| match times.len() {
        0 => 0,
        count => {
            let rank = (count * hundredth).div_ceil(100).clamp(1, count);
            u64::try_from(times[rank - 1].as_micros()).unwrap_or(u64::MAX)
        }
    };
    Latency { p50_us: at(50), p99_us: at(99) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rehome_log::{Fault, SimDisk};

    const BOUNDS: MeasureBounds =
        MeasureBounds { syncs_ms: 0, stream_ms: 0, stream_bytes: 8 << 20 };

    /// Measures a disk and expects that nothing is left on it.
    #[track_caller]
    fn check(disk: &SimDisk, stop_at: u64) -> Result<DiskFigures, StoreError> {
        let measured = measure_disk(disk, BOUNDS, &mut |progress| {
            assert!(progress.done < progress.total);
            if progress.done == stop_at { Flow::Stop } else { Flow::Continue }
        });
        assert_eq!(disk.list(&FileName::root()).unwrap(), [""; 0], "something is left");
        measured
    }

    #[test]
    fn every_figure_is_measured_and_nothing_is_left() {
        let figures = check(&SimDisk::new(), u64::MAX).unwrap();
        assert!(figures.write_direct_bytes_per_second > 0, "{figures:?}");
        assert!(figures.read_two_lanes_bytes_per_second > 0, "{figures:?}");
        assert!(figures.append_paired.p50_us <= figures.append_paired.p99_us, "{figures:?}");
    }

    #[test]
    fn a_measurement_can_be_stopped_between_its_parts() {
        for stop_at in 0..7 {
            let stopped = check(&SimDisk::new(), stop_at);
            assert!(matches!(stopped, Err(StoreError::Stopped)), "{stop_at}: {stopped:?}");
        }
    }

    #[test]
    fn a_full_disk_is_told_and_nothing_is_left() {
        for room in [0, 1 << 20, 10 << 20] {
            let disk = SimDisk::new();
            disk.fill_after(room);
            let full = check(&disk, u64::MAX);
            assert!(matches!(full, Err(StoreError::DiskFull { .. })), "{room}: {full:?}");
        }
    }

    #[test]
    fn a_failing_disk_is_told_and_nothing_is_left() {
        let mut failures = 0;
        for call in (0..).step_by(3) {
            let disk = SimDisk::new();
            disk.fail_after(call, Fault::Eio);
            let measured = measure_disk(&disk, BOUNDS, &mut |_| Flow::Continue);
            disk.heal();
            let left = disk.list(&FileName::root()).unwrap();
            match measured {
                // The removal itself may have failed; the next measurement begins with it.
                Err(error) => assert!(
                    matches!(error, StoreError::Io { .. }) && left.len() <= 1,
                    "call {call}: {error}, {left:?}"
                ),
                Ok(_) => break,
            }
            check(&disk, u64::MAX).unwrap();
            failures += 1;
        }
        assert!(failures > 20, "{failures} calls are too few to prove anything");
    }

    #[test]
    fn latencies_are_ranked_and_not_interpolated() {
        let times = (1..=200).map(Duration::from_micros).collect();
        assert_eq!(latency(times), Latency { p50_us: 100, p99_us: 198 });
        assert_eq!(latency(Vec::new()), Latency::default());
    }
}
