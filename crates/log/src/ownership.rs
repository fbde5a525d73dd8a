//! Ownership of a folder: an exclusive lock, and an epoch that only rises.
#![doc = include_str!("../../../docs/format/epoch.md")]

mod slot;

use std::io;
use std::sync::Arc;

use self::slot::{SLOT_SIZE, Slot, SlotState};
use crate::disk::{Disk, FileId, FileName, OpenMode, SyncKind};

/// Why a folder is not ours, or no longer.
#[derive(Debug, thiserror::Error)]
pub enum OwnershipError {
    /// Another process has the lock.
    #[error("folder is in use by {owner:?}, epoch {epoch}: stop that process and try again")]
    Held {
        /// Who took the newest epoch; empty if nobody did yet.
        owner: String,
        /// The newest epoch.
        epoch: u64,
    },
    /// Somebody took a higher epoch: this process must not acknowledge anything any more.
    #[error(
        "fenced: epoch {newer} of {owner:?} has replaced epoch {mine}, so nothing written from \
             now on counts: stop and open again"
    )]
    Fenced {
        /// The epoch of this process.
        mine: u64,
        /// The epoch that replaced it.
        newer: u64,
        /// Who took it.
        owner: String,
    },
    /// Somebody has opened it under a later token: whoever gave this one out has given out another.
    #[error(
        "token {token} is over: {owner:?} has opened it under token {newer}, so it is not opened \
         and nothing was changed; let the owner of the newest token serve. If the folder has come \
         to another cluster, whose tokens begin anew, remove the file `epoch` first"
    )]
    Outdated {
        /// The token that was given.
        token: u64,
        /// The later one.
        newer: u64,
        /// Who took the newest epoch.
        owner: String,
    },
    /// The epoch file cannot be believed.
    #[error(
        "epoch file is damaged: {cause}; make sure that no process has the folder open, then \
             remove the file `epoch` and open with an epoch token above {above}"
    )]
    Damaged {
        /// What is wrong.
        cause: &'static str,
        /// The highest epoch known.
        above: u64,
    },
    /// The disk failed.
    #[error("epoch file: cannot {action}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// What the disk said.
        source: io::Error,
    },
}

/// The right to write to the disk's root folder.
///
/// Two things make it up. The lock excludes other processes on this computer and ends with the
/// process. The epoch fences a process that lost the right without noticing: before it acknowledges
/// anything it calls [`verify`](Ownership::verify), which fails once a later owner has its epoch on
/// disk. Who takes over reads what the earlier owner wrote only after its own epoch is durable, so
/// either it sees a write, or the earlier owner sees the epoch and keeps quiet.
pub struct Ownership {
    disk: Arc<dyn Disk>,
    lock: FileId,
    /// As it was written.
    slot: Slot,
}

impl std::fmt::Debug for Ownership {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ownership").field("epoch", &self.epoch()).finish_non_exhaustive()
    }
}

impl Ownership {
    /// Takes the lock and then a new epoch, the higher of `token` and one above the newest. Token
    /// 0 is none: nothing outside says who may open it.
    ///
    /// The epoch is durable and was read back when this returns. `owner` is told to those who find
    /// the folder in use; what exceeds 255 bytes of it is left out.
    ///
    /// # Errors
    ///
    /// [`OwnershipError::Held`] if another process has the lock, [`OwnershipError::Outdated`] if it
    /// was opened under a later token, [`OwnershipError::Damaged`] if the newest epoch is unknown,
    /// and [`OwnershipError::Io`].
    pub fn acquire(
        disk: Arc<dyn Disk>,
        owner: &str,
        token: u64,
    ) -> Result<Ownership, OwnershipError> {
        Self::acquire_above(disk, owner, token, 0)
    }

    /// As [`Ownership::acquire`], with an epoch of at least `least`: what else in the folder knows
    /// of epochs.
    ///
    /// # Errors
    ///
    /// As [`Ownership::acquire`].
    pub fn acquire_above(
        disk: Arc<dyn Disk>,
        owner: &str,
        token: u64,
        least: u64,
    ) -> Result<Ownership, OwnershipError> {
        let lock = match disk.lock(&lock_name()) {
            Ok(lock) => lock,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let newest = newest(&*disk)?.unwrap_or_default();
                return Err(OwnershipError::Held { owner: newest.owner, epoch: newest.epoch });
            }
            Err(source) => return Err(OwnershipError::Io { action: "take the lock", source }),
        };
        // From here on a return gives up the lock.
        let mut mine = Ownership { disk, lock, slot: Slot::default() };
        let stored = newest(&*mine.disk)?.unwrap_or_default();
        if token > 0 && token < stored.token {
            let (newer, owner) = (stored.token, stored.owner);
            return Err(OwnershipError::Outdated { token, newer, owner });
        }
        let next = stored.epoch.checked_add(1).ok_or(OwnershipError::Damaged {
            cause: "the newest epoch is the highest number there is",
            above: 0,
        })?;
        let epoch = next.max(token).max(least);
        // Who opens it without a token says nothing about tokens.
        mine.slot = Slot::new(epoch, token.max(stored.token), owner);
        write_slots(&*mine.disk, &mine.slot)?;
        mine.verify()?;
        Ok(mine)
    }

    /// The epoch.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.slot.epoch
    }

    /// Reads the epoch file again.
    ///
    /// Two owners who read the same epoch at the same time take the same next one; the file tells
    /// them apart by token and name, so that at most one of them goes on.
    ///
    /// The file is opened anew each time. On a network file system that is what makes the other
    /// side's epoch visible, so that it has to be mounted with close-to-open consistency at least.
    ///
    /// # Errors
    ///
    /// [`OwnershipError::Fenced`] if a higher epoch is there or another owner's of this number,
    /// [`OwnershipError::Damaged`] if only a lower one is, and [`OwnershipError::Io`].
    pub fn verify(&self) -> Result<(), OwnershipError> {
        let newest = newest(&*self.disk)?.unwrap_or_default();
        let (mine, newer) = (self.epoch(), newest.epoch);
        if newer > mine || newer == mine && newest != self.slot {
            return Err(OwnershipError::Fenced { mine, newer, owner: newest.owner });
        }
        if newer < mine {
            let cause = "it has lost an epoch that was durable";
            return Err(OwnershipError::Damaged { cause, above: mine });
        }
        Ok(())
    }

    /// The newest epoch of the disk's root folder, without taking anything; none if it never had
    /// an owner.
    ///
    /// # Errors
    ///
    /// [`OwnershipError::Damaged`] and [`OwnershipError::Io`].
    pub fn peek(disk: &dyn Disk) -> Result<Option<u64>, OwnershipError> {
        Ok(newest(disk)?.map(|slot| slot.epoch))
    }
}

impl Drop for Ownership {
    fn drop(&mut self) {
        self.disk.close(self.lock);
    }
}

fn lock_name() -> FileName {
    FileName::new("lock").expect("a plain name")
}

/// The epoch file, in the root folder.
pub(crate) fn epoch_name() -> FileName {
    FileName::new("epoch").expect("a plain name")
}

fn on(action: &'static str) -> impl Fn(io::Error) -> OwnershipError {
    move |source| OwnershipError::Io { action, source }
}

/// The slot with the highest epoch; none if nobody ever wrote one.
fn newest(disk: &dyn Disk) -> Result<Option<Slot>, OwnershipError> {
    let file = match disk.open(&epoch_name(), OpenMode::Read) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(OwnershipError::Io { action: "open it", source }),
    };
    let read = read_slots(disk, file);
    disk.close(file);
    let mut newest: Option<Slot> = None;
    let mut damaged = false;
    for slot in read.map_err(on("read it"))? {
        match slot {
            SlotState::Empty => {}
            SlotState::Damaged => damaged = true,
            SlotState::Written(slot) => {
                if newest.as_ref().is_none_or(|newest| slot.epoch > newest.epoch) {
                    newest = Some(slot);
                }
            }
        }
    }
    if damaged && newest.is_none() {
        let cause = "neither of its two slots has the right checksum";
        return Err(OwnershipError::Damaged { cause, above: 0 });
    }
    Ok(newest)
}

fn read_slots(disk: &dyn Disk, file: FileId) -> io::Result<Vec<SlotState>> {
    let len = disk.len(file)?;
    let mut slots = Vec::with_capacity(2);
    for offset in [0, SLOT_SIZE as u64] {
        let mut bytes = [0; SLOT_SIZE];
        // A file that was cut short on its way into being reads as zeros there.
        let have = len.saturating_sub(offset).min(SLOT_SIZE as u64);
        disk.read_at(file, offset, &mut bytes[..usize::try_from(have).unwrap_or(0)])?;
        slots.push(Slot::decode(&bytes));
    }
    Ok(slots)
}

/// Writes `slot` to both places, the second once the first is durable, so that at every instant one
/// of them holds the newest epoch that anybody got, whole. A new file gets its name when it is.
fn write_slots(disk: &dyn Disk, slot: &Slot) -> Result<(), OwnershipError> {
    match disk.open(&epoch_name(), OpenMode::ReadWrite) {
        Ok(file) => write_and_close(disk, file, slot).map_err(on("write it")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            create(disk, slot).map_err(on("create it"))
        }
        Err(source) => Err(OwnershipError::Io { action: "open it", source }),
    }
}

fn create(disk: &dyn Disk, slot: &Slot) -> io::Result<()> {
    let unnamed = FileName::new("epoch.new").expect("a plain name");
    match disk.remove(&unnamed) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let file = disk.open(&unnamed, OpenMode::CreateNew)?;
    write_and_close(disk, file, slot)?;
    disk.rename(&unnamed, &epoch_name())?;
    disk.sync_dir(&FileName::root())
}

fn write_and_close(disk: &dyn Disk, file: FileId, slot: &Slot) -> io::Result<()> {
    let bytes = slot.encode();
    let mut written = Ok(());
    for offset in [0, SLOT_SIZE as u64] {
        written = written
            .and_then(|()| disk.write_at(file, offset, &bytes))
            .and_then(|()| disk.sync(file, SyncKind::All));
    }
    disk.close(file);
    written
}
