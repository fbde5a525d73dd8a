//! The fence over the whole store: while it is closed, nothing is written.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use crate::wire::{Answer, Refusal};

/// The registry key that keeps the fence closed over a restart.
const KEY: &str = "store-fenced";

/// Open or closed, with a reason. Whoever writes holds it open meanwhile.
#[derive(Debug)]
pub(super) struct Fence {
    closed: RwLock<Option<String>>,
    registry: Option<PathBuf>,
}

impl Fence {
    /// As it was left.
    pub(super) fn read(registry: Option<PathBuf>) -> io::Result<Self> {
        let kept = registry.as_ref().map(|folder| fs::read_to_string(folder.join(KEY)));
        let closed = match kept {
            Some(Ok(reason)) => Some(reason),
            Some(Err(error)) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Some(Err(_)) | None => None,
        };
        Ok(Self { closed: RwLock::new(closed), registry })
    }

    /// Lets a writer in, for as long as it keeps what it gets.
    pub(super) fn enter(&self) -> Answer<RwLockReadGuard<'_, Option<String>>> {
        let guard = self.closed.read().unwrap_or_else(PoisonError::into_inner);
        match guard.as_deref() {
            None => Ok(guard),
            Some(reason) => Err(super::fenced(reason)),
        }
    }

    /// Why it is closed, if it is.
    pub(super) fn reason(&self) -> Option<String> {
        self.closed.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Closes or opens it, durably; writers that are in have left when it returns.
    pub(super) fn set(&self, reason: Option<&str>) -> Answer<()> {
        let mut closed = self.closed.write().unwrap_or_else(PoisonError::into_inner);
        self.keep(reason).map_err(|error| {
            Refusal::unavailable(format!("the fence cannot be kept in the registry: {error}"))
        })?;
        *closed = reason.map(str::to_owned);
        Ok(())
    }

    fn keep(&self, reason: Option<&str>) -> io::Result<()> {
        let Some(folder) = &self.registry else { return Ok(()) };
        let path = folder.join(KEY);
        match reason {
            Some(reason) => {
                let fresh = folder.join(format!("{KEY}.new"));
                let mut file = File::create(&fresh)?;
                file.write_all(reason.as_bytes())?;
                file.sync_all()?;
                fs::rename(&fresh, &path)?;
            }
            None => match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            },
        }
        File::open(folder)?.sync_all()
    }
}
