//! The machine under a folder: memory, cores, room, and its disk measured.

use std::path::Path;

use rehome_log::{Clock, RealDisk};
use rehome_store::{
    Flow, Machine, MeasureBounds, MeasureProgress, StoreError, Tuning, measure_disk, tune,
};

use crate::error::Error;
use crate::summary::bytes;

/// Room that must be left when everything is written, in bytes.
const ROOM_LEFT_BYTES: u64 = 64 << 20;

/// Measures the machine and the disk of `folder`, and derives a store's settings.
///
/// # Errors
///
/// [`Error::BadInput`] if there is no such folder, [`Error::PreconditionOpen`] if there is no room,
/// [`Error::Interrupted`] if `observe` said so, [`Error::NeedsHuman`] if the disk fails.
pub(crate) fn measure(
    folder: &Path,
    bounds: MeasureBounds,
    clock: &dyn Clock,
    observe: &mut dyn FnMut(MeasureProgress) -> Flow,
) -> Result<Tuning, Error> {
    if !folder.is_dir() {
        let message = format!(
            "{}: there is no such folder, and nothing was measured; give the folder whose disk is \
             to be measured",
            folder.display()
        );
        return Err(Error::BadInput { message });
    }
    let (free, needed) = (free_bytes(folder)?, bounds.room_bytes() + ROOM_LEFT_BYTES);
    if free < needed {
        let message = format!(
            "{}: {} are free, and measuring takes {}; nothing was measured; make room there",
            folder.display(),
            bytes(free),
            bytes(needed)
        );
        return Err(Error::PreconditionOpen { message });
    }
    let measured = measure_disk(&RealDisk::new(folder), bounds, observe);
    let disk = measured.map_err(|error| match error {
        StoreError::Stopped => Error::stopped("the measurement was asked to stop"),
        other => Error::needs_human(format!("{}: {other}; nothing was set", folder.display())),
    })?;
    Ok(tune(Machine { memory_bytes: memory_bytes(), cores: cores() }, disk, clock.wall_us()))
}

/// Bytes that the file system of a folder has room for.
pub(crate) fn free_bytes(folder: &Path) -> Result<u64, Error> {
    let found = rustix::fs::statvfs(folder).map_err(|error| {
        Error::needs_human(format!(
            "{}: its room cannot be told: {error}; see to the disk",
            folder.display()
        ))
    })?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

/// The device that a folder lies on, as a number.
pub(crate) fn device(folder: &Path) -> Result<u64, Error> {
    let found = std::fs::metadata(folder);
    let found = found.map_err(|error| Error::needs_human(format!("{}: {error}", folder.display())));
    Ok(std::os::unix::fs::MetadataExt::dev(&found?))
}

/// Whether a folder lies in memory: nothing there survives a power cut.
pub(crate) fn is_memory(folder: &Path) -> Result<bool, Error> {
    const TMPFS: i64 = 0x0102_1994;
    const RAMFS: i64 = 0x8584_58f6;
    let found = rustix::fs::statfs(folder);
    let found =
        found.map_err(|error| Error::needs_human(format!("{}: {error}", folder.display())))?;
    Ok([TMPFS, RAMFS].contains(&found.f_type))
}

/// Which machine and which disk something was measured on.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Host {
    /// The machine's name.
    pub name: String,
    /// Its cores.
    pub cores: u32,
    /// Its memory.
    pub memory_bytes: u64,
    /// The identity of the file system under the folder, in hexadecimal.
    pub disk: String,
}

impl Host {
    /// What makes this another machine or disk; none if it is the same one.
    pub(crate) fn differs(&self, now: &Host) -> Option<String> {
        if self.name != now.name {
            return Some(format!("host {}, this is {}", self.name, now.name));
        }
        if self.cores != now.cores {
            return Some(format!("{} cores, these are {}", self.cores, now.cores));
        }
        let moved = self.disk != now.disk;
        moved.then(|| format!("disk {}, this is {}", self.disk, now.disk))
    }
}

/// The machine, and the disk of the nearest folder that exists.
pub(crate) fn host(folder: &Path) -> Result<Host, Error> {
    let folder = std::path::absolute(folder).map_err(Error::needs_human)?;
    let there = folder.ancestors().find(|one| one.is_dir()).unwrap_or(Path::new("/"));
    let found = rustix::fs::statvfs(there)
        .map_err(|error| Error::needs_human(format!("{}: {error}", there.display())))?;
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    Ok(Host {
        name: name.trim().to_owned(),
        cores: cores(),
        memory_bytes: memory_bytes(),
        disk: format!("{:x}", found.f_fsid),
    })
}

/// Memory of this machine; 1 GiB if it does not say.
fn memory_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = line.and_then(|rest| rest.trim().trim_end_matches(" kB").trim().parse::<u64>().ok());
    kib.map_or(1 << 30, |kib| kib.saturating_mul(1024))
}

fn cores() -> u32 {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    u32::try_from(cores).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rehome_log::ManualClock;

    #[test]
    fn a_folder_that_is_not_there_is_refused() {
        let nowhere = Path::new("/nowhere/at/all");
        let clock = ManualClock::new(1);
        let error = measure(nowhere, MeasureBounds::brief(), &clock, &mut |_| Flow::Continue)
            .expect_err("no folder");
        assert_eq!(error.exit_code(), 65, "{error}");
        assert!(error.to_string().contains("/nowhere/at/all"), "{error}");
    }

    #[test]
    fn the_machine_has_memory_cores_and_room() {
        assert!(memory_bytes() > 1 << 20);
        assert!(cores() > 0);
        assert!(free_bytes(Path::new("/")).is_ok());
    }
}
