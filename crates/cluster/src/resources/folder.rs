//! A folder with one owner: it stands for the shared disk.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use serde_json::json;

use super::{Context, Reporter, Resource, ResourceError, Started};
use crate::quorum::file::{HeldLock, lock};

/// Name of the lock file in the folder.
const OWNER_FILE: &str = ".owner";

pub(super) struct Folder {
    path: PathBuf,
    lock: Option<HeldLock>,
}

impl Folder {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), lock: None }
    }

    fn failed(&self, what: &str, error: impl std::fmt::Display) -> ResourceError {
        let path = self.path.display();
        ResourceError::Failed(format!("folder {path}: {what}: {error}; make it writable here"))
    }
}

impl Resource for Folder {
    fn online(&mut self, context: &Context, _: &Reporter) -> Result<Started, ResourceError> {
        fs::create_dir_all(&self.path).map_err(|error| self.failed("cannot be made", error))?;
        let file = self.path.join(OWNER_FILE);
        match lock(&file, &context.holder()) {
            Ok(Ok(lock)) => self.lock = Some(lock),
            Ok(Err(holder)) => {
                let what = format!("folder {}", self.path.display());
                return Err(ResourceError::Held { what, holder });
            }
            Err(error) => return Err(self.failed("its owner file cannot be locked", error)),
        }
        Ok(Started::Online(Some(json!({ "path": self.path }))))
    }

    fn offline(&mut self, _: u64) -> Result<(), ResourceError> {
        self.terminate()
    }

    fn terminate(&mut self) -> Result<(), ResourceError> {
        self.lock = None;
        Ok(())
    }

    fn looks_alive(&mut self) -> Result<(), ResourceError> {
        let file = self.path.join(OWNER_FILE);
        fs::metadata(&file).map_err(|error| self.failed("its owner file is gone", error))?;
        Ok(())
    }

    /// The folder must take a write: a disk that went away or read-only shows here.
    fn is_alive(&mut self) -> Result<(), ResourceError> {
        self.looks_alive()?;
        let probe = self.path.join(".probe");
        let write = || File::create(&probe)?.sync_all();
        write().map_err(|error| self.failed("it takes no writes", error))?;
        fs::remove_file(&probe).map_err(|error| self.failed("it takes no writes", error))
    }
}
