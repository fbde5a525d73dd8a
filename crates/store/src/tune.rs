//! From what was measured to settings, each with its reason.

use serde::{Deserialize, Serialize};

use crate::measure::DiskFigures;
use crate::settings::{CopyMethod, Measured, StoreSettings};

/// What a machine has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Memory.
    pub memory_bytes: u64,
    /// Processor cores that the program may use.
    pub cores: u32,
}

/// Settings, and why they are what they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Tuning {
    /// The settings.
    pub settings: StoreSettings,
    /// One reason for each of them, in the order in which they are told.
    pub reasons: Vec<Reason>,
}

/// Why a setting is what it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// The setting's name in the file.
    pub setting: &'static str,
    /// Half a sentence.
    pub why: String,
}

const MIB: u64 = 1 << 20;

/// Derives settings from a machine and its disk. The same figures give the same settings.
///
/// `wall_us` is when it was measured, in microseconds since 1970.
#[must_use]
pub fn tune(machine: Machine, disk: DiskFigures, wall_us: i64) -> Tuning {
    let Machine { memory_bytes, cores } = machine;
    let mut reasons = Vec::new();
    let mut because = |setting, why: String| reasons.push(Reason { setting, why });
    let memory_mib = memory_bytes / MIB;
    let cache_bytes = (memory_bytes / 16).clamp(32 * MIB, 1024 * MIB);
    because("cache_bytes", format!("a sixteenth of {memory_mib} MiB, from 32 MiB to 1 GiB"));

    let write = disk.write_direct_bytes_per_second.max(disk.write_buffered_bytes_per_second);
    let fifth = (write / 5).clamp(16 * MIB, 256 * MIB);
    let segment_bytes = 1 << fifth.ilog2();
    because(
        "segment_bytes",
        format!("what is written in a fifth of a second at {}, from 16 to 256 MiB", shown(write)),
    );

    let slow_to_fill = write < 16 * MIB;
    let log_generation_bytes = if slow_to_fill { 4 << 20 } else { 16 << 20 };
    let limit = if slow_to_fill { "takes more than" } else { "is written within" };
    because("log_generation_bytes", format!("16 MiB {limit} a second at {}", shown(write)));
    let log_generations_ahead = if write < 64 * MIB { 5 } else { 3 };
    let made = if write < 64 * MIB { "slow" } else { "quick" };
    because("log_generations_ahead", format!("a generation is {made} to make; two are reserve"));

    let sync_us = disk.append_in_place.p50_us;
    let (checkpoint_bytes, why) = if memory_mib < 1024 {
        (16 * MIB, format!("little memory ({memory_mib} MiB): short steps"))
    } else if sync_us >= 5_000 {
        (256 * MIB, format!("a sync takes {sync_us} µs: rare checkpoints"))
    } else {
        (64 * MIB, format!("a sync takes {sync_us} µs: an opening after a crash stays short"))
    };
    let checkpoint_rows = 500_000 * checkpoint_bytes / (64 * MIB);
    because("checkpoint_bytes", why);
    because("checkpoint_rows", "in step with the bytes".to_owned());

    let (direct, buffered) =
        (disk.write_direct_bytes_per_second, disk.write_buffered_bytes_per_second);
    // Direct writes leave the page cache to others: they may be a little slower.
    let copy_method =
        if direct >= buffered / 10 * 9 { CopyMethod::Direct } else { CopyMethod::Buffered };
    let rates = format!("direct {}, buffered {}", shown(direct), shown(buffered));
    because("copy_method", rates);

    let (one, two) = (disk.read_bytes_per_second, disk.read_two_lanes_bytes_per_second);
    // Two lanes are for records that lie scattered; where they would disturb each other, one.
    let move_lanes = if cores >= 2 && two >= one / 10 * 9 { 2 } else { 1 };
    because(
        "move_lanes",
        format!("one thread reads {}, two {}; {cores} cores", shown(one), shown(two)),
    );
    let settings = StoreSettings {
        cache_bytes,
        segment_bytes,
        log_generation_bytes,
        log_generations_ahead,
        checkpoint_rows,
        checkpoint_bytes,
        copy_method,
        move_lanes,
        measured: Some(Measured { wall_us, memory_bytes, cores, disk }),
        ..StoreSettings::default()
    };
    Tuning { settings, reasons }
}

/// Whether a part of the store is better off on another disk than on the store's own, and why.
/// `is_separate`: it is another device, whose syncs do not wait for the store's.
#[must_use]
pub fn is_better_place(own: DiskFigures, other: DiskFigures, is_separate: bool) -> (bool, String) {
    let (here, there) = (own.append_in_place.p50_us, other.append_in_place.p50_us);
    let figures = format!("a durable append takes {there} µs there and {here} µs here");
    let slower = u128::from(there) * 10 > u128::from(here) * 11;
    match (is_separate, slower) {
        (false, _) => (false, format!("it is the same device; {figures}")),
        (true, true) => (false, figures),
        (true, false) => (true, format!("its syncs wait for nobody; {figures}")),
    }
}

fn shown(bytes_per_second: u64) -> String {
    format!("{} MB/s", bytes_per_second / 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Latency;

    /// A disk by its rates in MB/s (direct, buffered, one lane, two lanes) and its sync in µs.
    #[track_caller]
    fn check(memory_mib: u64, rates: [u64; 4], sync_us: u64) -> StoreSettings {
        let [direct, buffered, one, two] = rates.map(|rate| rate * 1_000_000);
        let disk = DiskFigures {
            append_in_place: Latency { p50_us: sync_us, p99_us: sync_us },
            write_direct_bytes_per_second: direct,
            write_buffered_bytes_per_second: buffered,
            read_bytes_per_second: one,
            read_two_lanes_bytes_per_second: two,
            ..DiskFigures::default()
        };
        let machine = Machine { memory_bytes: memory_mib * MIB, cores: 2 };
        let Tuning { settings, reasons } = tune(machine, disk, 1);
        let text = serde_json::to_string(&settings).unwrap();
        let back = StoreSettings::from_json("settings.json", text.as_bytes());
        assert_eq!(back.unwrap(), settings, "what is chosen is in its range");
        for reason in reasons {
            assert!(text.contains(&format!("\"{}\":", reason.setting)), "{reason:?}");
        }
        settings
    }

    #[test]
    fn a_fast_disk_gets_the_defaults_and_two_lanes() {
        let chosen = check(24 << 10, [500, 500, 400, 600], 300);
        assert_eq!((chosen.segment_bytes, chosen.checkpoint_bytes), (64 << 20, 64 << 20));
        assert_eq!((chosen.copy_method, chosen.move_lanes), (CopyMethod::Direct, 2));
        assert_eq!(chosen.cache_bytes, 1 << 30);
    }

    #[test]
    fn a_disk_on_which_readers_disturb_each_other_gets_one_lane() {
        assert_eq!(check(24 << 10, [500, 500, 400, 300], 300).move_lanes, 1);
    }

    #[test]
    fn a_slow_disk_gets_small_files_and_rare_checkpoints() {
        let chosen = check(2048, [10, 12, 10, 10], 9_000);
        assert_eq!((chosen.segment_bytes, chosen.log_generation_bytes), (16 << 20, 4 << 20));
        assert_eq!((chosen.checkpoint_bytes, chosen.checkpoint_rows), (256 << 20, 2_000_000));
        assert_eq!((chosen.log_generations_ahead, chosen.move_lanes), (5, 2));
        assert_eq!(chosen.copy_method, CopyMethod::Buffered);
    }

    #[test]
    fn another_device_is_a_better_place_unless_it_is_slower() {
        let disk = |p50_us| DiskFigures {
            append_in_place: Latency { p50_us, p99_us: p50_us },
            ..DiskFigures::default()
        };
        assert!(is_better_place(disk(1000), disk(1100), true).0);
        assert!(!is_better_place(disk(1000), disk(1101), true).0);
        assert!(!is_better_place(disk(1000), disk(10), false).0);
    }

    #[test]
    fn whatever_was_measured_gives_settings_in_their_ranges() {
        for rate in [0, 1, 50, 5_000, 1_000_000] {
            for memory_mib in [0, 512, 1 << 20] {
                check(memory_mib, [rate, rate, rate, rate], rate);
            }
        }
    }
}
