//! The folder in which a migration works: where each store, registry, journal and report lies.

use std::path::{Path, PathBuf};

/// The layout of a work folder.
///
/// ```text
/// work/
///   plan.json plan.html plan.txt     the plan and its report
///   control.sock                     by which a running migration is controlled
///   journal                          what the executor has done
///   outcome.json outcome.html        what came of it
///   proof/                           what was there when all was done, for an audit
///   taken-in/                        what was taken in, row by row
///   world.json                       answers that later steps need
///   calibration.json                 what steps cost on this machine
///   traffic.jsonl                    what clients were told is delivered
///   services/                        which services stay when a migration has ended
///   names/                           which server name has which address
///   servers/EX1/                     the old server: store, directory, registry
///   cluster/quorum/                  who owns the group
///   cluster/nodes/N1/                a node's own registry and logs
///   cluster/shared/                  the group's folder: store, directory
///   backups/                         the archive set
/// ```
#[derive(Debug, Clone)]
pub struct Work {
    root: PathBuf,
}

impl Work {
    /// The layout below `root`; nothing is made or looked at.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Work { root: root.into() }
    }

    /// The folder itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The plan.
    #[must_use]
    pub fn plan(&self) -> PathBuf {
        self.root.join("plan.json")
    }

    /// The executor's journal.
    #[must_use]
    pub fn journal(&self) -> PathBuf {
        self.root.join("journal")
    }

    /// The socket by which a running migration is controlled.
    #[must_use]
    pub fn control(&self) -> PathBuf {
        self.root.join("control.sock")
    }

    /// What came of the plan.
    #[must_use]
    pub fn outcome(&self) -> PathBuf {
        self.root.join("outcome.json")
    }

    /// What was there when all was done.
    #[must_use]
    pub fn proof(&self) -> PathBuf {
        self.root.join("proof")
    }

    /// What the old server's store held before anybody could change it.
    #[must_use]
    pub fn taken_in(&self) -> PathBuf {
        self.root.join("taken-in")
    }

    /// The outcome as a page.
    #[must_use]
    pub fn report(&self) -> PathBuf {
        self.root.join("outcome.html")
    }

    /// What this machine was measured to be.
    #[must_use]
    pub fn calibration(&self) -> PathBuf {
        self.root.join("calibration.json")
    }

    /// Where this machine is measured; removed afterwards.
    pub(crate) fn calibrating(&self) -> PathBuf {
        self.root.join("calibrating")
    }

    /// Answers that later steps need.
    #[must_use]
    pub fn world(&self) -> PathBuf {
        self.root.join("world.json")
    }

    /// What clients were told is delivered.
    #[must_use]
    pub fn traffic(&self) -> PathBuf {
        self.root.join("traffic.jsonl")
    }

    /// The record of a service that stays: of the old server, or of a node.
    #[must_use]
    pub fn service(&self, name: &str) -> PathBuf {
        self.root.join("services").join(format!("{name}.json"))
    }

    /// The name registry.
    #[must_use]
    pub fn names(&self) -> PathBuf {
        self.root.join("names")
    }

    /// A standalone server's folder.
    #[must_use]
    pub fn server(&self, name: &str) -> PathBuf {
        self.root.join("servers").join(name)
    }

    /// The quorum folder.
    #[must_use]
    pub fn quorum(&self) -> PathBuf {
        self.root.join("cluster").join("quorum")
    }

    /// A node's own folder.
    #[must_use]
    pub fn node(&self, name: &str) -> PathBuf {
        self.root.join("cluster").join("nodes").join(name)
    }

    /// The folder that the group owns.
    #[must_use]
    pub fn shared(&self) -> PathBuf {
        self.root.join("cluster").join("shared")
    }

    /// The archive set.
    #[must_use]
    pub fn backups(&self) -> PathBuf {
        self.root.join("backups")
    }
}
