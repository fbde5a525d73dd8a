//! The embedded coordinator: a folder that every node can reach.
#![doc = include_str!("../../../docs/format/quorum.md")]

mod codec;
pub(crate) mod file;

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::configuration::{Configuration, Timing};
use crate::coordinator::{
    Checkpoint, Claim, ClaimOutcome, Coordinator, CoordinatorError, Entrance, Heartbeat, Ownership,
    Release, Shared,
};
use crate::ids::{CheckpointKey, GroupName, NodeName, ResourceName};
use crate::journal::{LogEntry, append_log, read_log};
use crate::status::NodeStatus;
use codec::{
    HEARTBEAT_BYTES, decode_checkpoint, decode_heartbeat, encode_checkpoint, encode_heartbeat,
};
use file::{create_exclusive, damaged, lock, read, read_sealed, replace, seal, unreachable};

/// The folders of a quorum folder.
const FOLDERS: [&str; 7] = ["config", "nodes", "own", "status", "checkpoints", "log", "tmp"];

/// What `CLUSTER` says.
#[derive(Serialize, Deserialize)]
struct Marker {
    format: u32,
}

/// The version of the folder.
const FORMAT: u32 = 1;

/// How often a heartbeat that is just being overwritten is read before giving up.
const HEARTBEAT_READS: usize = 4;

/// A quorum folder.
#[derive(Debug, Clone)]
pub struct QuorumFolder {
    root: PathBuf,
}

impl QuorumFolder {
    /// Makes a quorum folder with its first configuration. One that was interrupted is finished
    /// by doing it again.
    ///
    /// # Errors
    ///
    /// [`CoordinatorError::Exists`] if a cluster is there already.
    pub fn create(root: &Path, first: &Configuration) -> Result<Self, CoordinatorError> {
        let marker = root.join("CLUSTER");
        if marker.exists() {
            return Err(CoordinatorError::Exists { place: root.to_owned() });
        }
        for folder in FOLDERS {
            let path = root.join(folder);
            fs::create_dir_all(&path).map_err(unreachable(&path))?;
        }
        let quorum = Self { root: root.to_owned() };
        quorum.put_configuration(first)?;
        let bytes = seal(&Marker { format: FORMAT }, &marker)?;
        create_exclusive(&quorum.temporary(), &marker, &bytes)?;
        Ok(quorum)
    }

    /// Opens a quorum folder.
    ///
    /// # Errors
    ///
    /// [`CoordinatorError::Missing`] if there is none.
    pub fn open(root: &Path) -> Result<Self, CoordinatorError> {
        let path = root.join("CLUSTER");
        let marker: Marker = read_sealed(&path)?
            .ok_or_else(|| CoordinatorError::Missing { place: root.to_owned() })?;
        if marker.format != FORMAT {
            let cause = format!("its format is {}, this program knows {FORMAT}", marker.format);
            return Err(damaged(&path, cause));
        }
        Ok(Self { root: root.to_owned() })
    }

    /// The log file of a node.
    fn log_path(&self, node: &NodeName) -> PathBuf {
        self.root.join("log").join(format!("{node}.jsonl"))
    }

    /// The file whose lock says that a node's program runs on this machine.
    fn node_lock_path(&self, node: &NodeName) -> PathBuf {
        self.root.join("nodes").join(format!("{node}.lock"))
    }

    fn temporary(&self) -> PathBuf {
        self.root.join("tmp")
    }

    fn configuration_path(&self, revision: u64) -> PathBuf {
        self.root.join("config").join(format!("{revision:010}.json"))
    }

    fn heartbeat_path(&self, node: &NodeName) -> PathBuf {
        self.root.join("nodes").join(format!("{node}.hb"))
    }

    fn claim_path(&self, group: &GroupName, epoch: u64) -> PathBuf {
        self.root.join("own").join(format!("{group}.{epoch:010}"))
    }

    fn release_path(&self, group: &GroupName, epoch: u64) -> PathBuf {
        self.root.join("own").join(format!("{group}.{epoch:010}.released"))
    }

    fn status_path(&self, node: &NodeName) -> PathBuf {
        self.root.join("status").join(format!("{node}.json"))
    }

    fn checkpoint_dir(&self, resource: &ResourceName) -> PathBuf {
        self.root.join("checkpoints").join(resource.as_str())
    }

    fn checkpoint_path(&self, resource: &ResourceName, key: &CheckpointKey, epoch: u64) -> PathBuf {
        self.checkpoint_dir(resource).join(format!("{}.{epoch:010}.cpt", key.file_stem()))
    }

    /// The epochs under which copies of a key are there, ascending.
    fn checkpoint_epochs(
        &self,
        resource: &ResourceName,
        key: &CheckpointKey,
    ) -> Result<Vec<u64>, CoordinatorError> {
        let prefix = format!("{}.", key.file_stem());
        let number = |name: &str| name.strip_prefix(&prefix)?.strip_suffix(".cpt")?.parse().ok();
        numbers(&self.checkpoint_dir(resource), number)
    }
}

/// The numbers in the names of a folder's files, ascending; none if there is no such folder.
fn numbers(dir: &Path, number: impl Fn(&str) -> Option<u64>) -> Result<Vec<u64>, CoordinatorError> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unreachable(dir)(error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let name = entry.map_err(unreachable(dir))?.file_name();
        found.extend(name.to_str().and_then(&number));
    }
    found.sort_unstable();
    Ok(found)
}

impl QuorumFolder {
    /// The epochs that were claimed, of all groups.
    fn epochs(&self) -> Result<BTreeMap<GroupName, u64>, CoordinatorError> {
        let dir = self.root.join("own");
        let mut newest = BTreeMap::new();
        for entry in fs::read_dir(&dir).map_err(unreachable(&dir))? {
            let name = entry.map_err(unreachable(&dir))?.file_name();
            let claim = name.to_str().and_then(|name| name.rsplit_once('.'));
            let claim = claim.and_then(|(group, epoch)| {
                Some((GroupName::new(group).ok()?, epoch.parse::<u64>().ok()?))
            });
            if let Some((group, epoch)) = claim {
                let known = newest.entry(group).or_insert(epoch);
                *known = epoch.max(*known);
            }
        }
        Ok(newest)
    }

    fn read_ownership(&self, group: &GroupName, epoch: u64) -> Result<Ownership, CoordinatorError> {
        let path = self.claim_path(group, epoch);
        let claim: Claim =
            read_sealed(&path)?.ok_or_else(|| damaged(&path, "it has gone again"))?;
        if claim.epoch != epoch {
            return Err(damaged(&path, format!("it says epoch {}", claim.epoch)));
        }
        let release = read_sealed(&self.release_path(group, epoch))?;
        Ok(Ownership { claim, release })
    }
}

impl Coordinator for QuorumFolder {
    fn place(&self) -> &Path {
        &self.root
    }

    fn look(&self, known: Option<&Configuration>) -> Result<Shared, CoordinatorError> {
        let configuration = self.configuration(known.map_or(0, |known| known.revision))?;
        let mut shared = Shared::default();
        let Some(newest) = configuration.as_ref().or(known) else { return Ok(shared) };
        for node in &newest.nodes {
            if let Some(heartbeat) = self.heartbeat(&node.name)? {
                shared.heartbeats.insert(node.name.clone(), heartbeat);
            }
        }
        for (group, epoch) in self.epochs()? {
            if newest.group(&group).is_some() {
                let ownership = self.read_ownership(&group, epoch)?;
                shared.ownerships.insert(group, ownership);
            }
        }
        shared.configuration = configuration;
        Ok(shared)
    }

    fn enter(&self, first: &Heartbeat, _: &Timing) -> Result<Entrance, CoordinatorError> {
        let place = self.node_lock_path(&first.node);
        match lock(&place, &format!("process {}", first.pid)).map_err(unreachable(&place))? {
            Ok(file) => {
                self.beat(first)?;
                Ok(Entrance::Entered(Box::new(file)))
            }
            Err(holder) => Ok(Entrance::Taken(holder)),
        }
    }

    fn write_log(&self, entry: &LogEntry) {
        // Losing a line never stops the node.
        let _lost = append_log(&self.log_path(&entry.node), entry);
    }

    fn read_log(&self, node: &NodeName) -> Result<Vec<LogEntry>, CoordinatorError> {
        let path = self.log_path(node);
        read_log(&path).map_err(unreachable(&path))
    }

    fn configuration(&self, after: u64) -> Result<Option<Configuration>, CoordinatorError> {
        let newest = if after > 0 && !self.configuration_path(after + 1).exists() {
            return Ok(None);
        } else {
            let dir = self.root.join("config");
            numbers(&dir, |name| name.strip_suffix(".json")?.parse().ok())?.pop()
        };
        let Some(newest) = newest.filter(|&newest| newest > after) else { return Ok(None) };
        let path = self.configuration_path(newest);
        let configuration: Option<Configuration> = read_sealed(&path)?;
        match configuration {
            Some(read) if read.revision == newest => Ok(Some(read)),
            Some(read) => Err(damaged(&path, format!("it says revision {}", read.revision))),
            None => Ok(None),
        }
    }

    fn put_configuration(&self, next: &Configuration) -> Result<(), CoordinatorError> {
        let path = self.configuration_path(next.revision);
        let bytes = seal(next, &path)?;
        // Equal bytes count as written: two writers that say the same thing agree.
        if create_exclusive(&self.temporary(), &path, &bytes)? {
            return Ok(());
        }
        Err(CoordinatorError::Conflict { revision: next.revision })
    }

    fn beat(&self, heartbeat: &Heartbeat) -> Result<(), CoordinatorError> {
        let path = self.heartbeat_path(&heartbeat.node);
        let bytes = encode_heartbeat(heartbeat, &path)?;
        let write = || -> io::Result<()> {
            let options = OpenOptions::new().write(true).create(true).truncate(false).open(&path);
            let file: File = options?;
            file.write_all_at(&bytes, 0)?;
            file.sync_data()
        };
        write().map_err(unreachable(&path))
    }

    fn heartbeat(&self, node: &NodeName) -> Result<Option<Heartbeat>, CoordinatorError> {
        let path = self.heartbeat_path(node);
        let mut bytes = [0; HEARTBEAT_BYTES];
        for _ in 0..HEARTBEAT_READS {
            let read = File::open(&path).and_then(|file| file.read_exact_at(&mut bytes, 0));
            match read {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => continue,
                Err(error) => return Err(unreachable(&path)(error)),
            }
            if let Some(heartbeat) = decode_heartbeat(&bytes).filter(|beat| beat.node == *node) {
                return Ok(Some(heartbeat));
            }
        }
        Err(damaged(&path, "its checksum does not match, however often it is read"))
    }

    fn ownership(&self, group: &GroupName) -> Result<Option<Ownership>, CoordinatorError> {
        let epoch = self.epochs()?.get(group).copied();
        epoch.map(|epoch| self.read_ownership(group, epoch)).transpose()
    }

    fn claim(&self, group: &GroupName, claim: &Claim) -> Result<ClaimOutcome, CoordinatorError> {
        let path = self.claim_path(group, claim.epoch);
        let bytes = seal(claim, &path)?;
        Ok(match create_exclusive(&self.temporary(), &path, &bytes)? {
            true => ClaimOutcome::Won,
            false => ClaimOutcome::Lost,
        })
    }

    fn release(
        &self,
        group: &GroupName,
        epoch: u64,
        release: &Release,
    ) -> Result<(), CoordinatorError> {
        let path = self.release_path(group, epoch);
        create_exclusive(&self.temporary(), &path, &seal(release, &path)?).map(|_| ())
    }

    fn publish(&self, status: &NodeStatus) -> Result<(), CoordinatorError> {
        let path = self.status_path(&status.node);
        replace(&self.temporary(), &path, &seal(status, &path)?, false)
    }

    fn status(&self, node: &NodeName) -> Result<Option<NodeStatus>, CoordinatorError> {
        read_sealed(&self.status_path(node))
    }

    fn put_checkpoint(&self, checkpoint: &Checkpoint) -> Result<(), CoordinatorError> {
        let dir = self.checkpoint_dir(&checkpoint.resource);
        fs::create_dir_all(&dir).map_err(unreachable(&dir))?;
        let epochs = self.checkpoint_epochs(&checkpoint.resource, &checkpoint.key)?;
        if let Some(&newer) = epochs.last().filter(|&&last| last > checkpoint.epoch) {
            let what = format!("checkpoint {} of {}", checkpoint.key, checkpoint.resource);
            return Err(CoordinatorError::Fenced { what, epoch: checkpoint.epoch, newer });
        }
        let path = self.checkpoint_path(&checkpoint.resource, &checkpoint.key, checkpoint.epoch);
        let bytes = encode_checkpoint(checkpoint, &path)?;
        replace(&self.temporary(), &path, &bytes, true)?;
        if read(&path)?.as_deref() != Some(&bytes) {
            return Err(damaged(&path, "it does not read back as written"));
        }
        for old in epochs.into_iter().filter(|&epoch| epoch < checkpoint.epoch) {
            let path = self.checkpoint_path(&checkpoint.resource, &checkpoint.key, old);
            remove(&path)?;
        }
        Ok(())
    }

    fn checkpoint(
        &self,
        resource: &ResourceName,
        key: &CheckpointKey,
        serial: u64,
    ) -> Result<Option<Checkpoint>, CoordinatorError> {
        for epoch in self.checkpoint_epochs(resource, key)?.into_iter().rev() {
            let path = self.checkpoint_path(resource, key, epoch);
            let Some(bytes) = read(&path)? else { continue };
            let checkpoint = decode_checkpoint(&bytes, &path)?;
            if checkpoint.serial == serial {
                return Ok(Some(checkpoint));
            }
        }
        Ok(None)
    }

    fn remove_checkpoint(
        &self,
        resource: &ResourceName,
        key: &CheckpointKey,
    ) -> Result<(), CoordinatorError> {
        for epoch in self.checkpoint_epochs(resource, key)? {
            remove(&self.checkpoint_path(resource, key, epoch))?;
        }
        Ok(())
    }
}

fn remove(path: &Path) -> Result<(), CoordinatorError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(unreachable(path)(error)),
        _ => Ok(()),
    }
}
