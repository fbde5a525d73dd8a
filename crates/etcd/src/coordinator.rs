//! The coordinator over etcd.
#![doc = include_str!("../../../docs/format/etcd.md")]

mod log;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rehome_cluster::{
    Checkpoint, CheckpointKey, Claim, ClaimOutcome, Configuration, Coordinator, CoordinatorError,
    Entrance, GroupName, Heartbeat, LogEntry, NodeName, NodeStatus, Ownership, Release,
    ResourceName, Shared, Timing, Wake,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::gateway::Gateway;
use crate::keys::{Keys, Live};
use crate::place::EtcdPlace;
use crate::records::{Record, delete, get, get_all, get_since, put, unchanged_since, version_is};
use crate::watch;
use log::LogWriter;

/// How often a checkpoint is tried again when somebody else writes it at once.
const CHECKPOINT_ATTEMPTS: usize = 8;

/// What nodes share, in etcd.
pub struct Etcd {
    gateway: Arc<Gateway>,
    keys: Keys,
    log: LogWriter,
    /// The revision of the configuration last read, and where in etcd's history it was written.
    configured: Mutex<(u64, u64)>,
    /// The run of the program that this process beats for, and where its last heartbeat is.
    beating: Mutex<Option<(String, u64)>>,
}

/// A release as it is written: it counts while its epoch is the last one.
#[derive(Serialize, Deserialize)]
struct Released {
    epoch: u64,
    #[serde(flatten)]
    release: Release,
}

impl Etcd {
    /// Makes a cluster with its first configuration.
    ///
    /// # Errors
    ///
    /// [`CoordinatorError::Exists`] if a cluster of that name is there already;
    /// [`CoordinatorError::Unreachable`] if etcd does not answer.
    pub fn create(place: &EtcdPlace, first: &Configuration) -> Result<Self, CoordinatorError> {
        let etcd = Self::connect(place)?;
        match etcd.put_configuration(first) {
            Err(CoordinatorError::Conflict { .. }) => {
                Err(CoordinatorError::Exists { place: place.as_path().to_owned() })
            }
            Err(error) => Err(error),
            Ok(()) => Ok(etcd),
        }
    }

    /// Opens the cluster of that name.
    ///
    /// # Errors
    ///
    /// [`CoordinatorError::Missing`] if there is none; [`CoordinatorError::Unreachable`] if etcd
    /// does not answer; [`CoordinatorError::Refused`] if a certificate is not good.
    pub fn open(place: &EtcdPlace) -> Result<Self, CoordinatorError> {
        let etcd = Self::connect(place)?;
        match etcd.configuration(0)? {
            Some(_) => Ok(etcd),
            None => Err(CoordinatorError::Missing { place: place.as_path().to_owned() }),
        }
    }

    fn connect(place: &EtcdPlace) -> Result<Self, CoordinatorError> {
        let gateway = Arc::new(Gateway::new(place)?);
        let keys = Keys::new(&place.prefix);
        let log = LogWriter::new(gateway.clone(), keys.clone());
        let (configured, beating) = (Mutex::default(), Mutex::default());
        Ok(Self { gateway, keys, log, configured, beating })
    }

    fn damaged(&self, key: &str, cause: impl ToString) -> CoordinatorError {
        let place = self.gateway.place().join(key);
        CoordinatorError::Damaged { place, cause: cause.to_string() }
    }

    fn read<T: DeserializeOwned>(&self, record: &Record) -> Result<T, CoordinatorError> {
        serde_json::from_slice(&record.value)
            .map_err(|error| self.damaged(&String::from_utf8_lossy(&record.key), error))
    }

    fn write<T: Serialize>(&self, key: &str, value: &T) -> Result<Vec<u8>, CoordinatorError> {
        serde_json::to_vec(value).map_err(|error| self.damaged(key, error))
    }

    fn get(&self, key: &str) -> Result<Option<Record>, CoordinatorError> {
        Ok(self.gateway.txn(&[], &[get(key)], &[])?.first())
    }

    /// Reads a configuration and remembers where it is.
    fn take_configuration(&self, record: &Record) -> Result<Configuration, CoordinatorError> {
        let configuration: Configuration = self.read(record)?;
        if configuration.revision != record.version {
            let cause = format!("revision {} is its {}th", configuration.revision, record.version);
            return Err(self.damaged(&self.keys.config(), cause));
        }
        self.gateway.fit_lease(configuration.timing.lease_ms);
        *lock(&self.configured) = (configuration.revision, record.mod_revision);
        Ok(configuration)
    }

    /// Where in etcd's history something newer than revision `after` of the configuration is.
    fn since(&self, after: u64) -> u64 {
        let (revision, written) = *lock(&self.configured);
        if revision == after && after > 0 { written + 1 } else { 0 }
    }

    fn take_claim(&self, record: &Record) -> Result<Claim, CoordinatorError> {
        let claim: Claim = self.read(record)?;
        if claim.epoch != record.version {
            let key = String::from_utf8_lossy(&record.key);
            return Err(self.damaged(&key, format!("epoch {} is not its version", claim.epoch)));
        }
        Ok(claim)
    }

    /// Sorts what is below `live/`.
    fn sort(&self, records: impl Iterator<Item = Record>) -> Result<Shared, CoordinatorError> {
        let mut shared = Shared::default();
        let mut releases = BTreeMap::new();
        for record in records {
            let key = String::from_utf8_lossy(&record.key);
            match self.keys.read_live(&key) {
                Some(Live::Heartbeat(node)) => {
                    shared.heartbeats.insert(node, self.read(&record)?);
                }
                Some(Live::Claim(group)) => {
                    let claim = self.take_claim(&record)?;
                    shared.ownerships.insert(group, Ownership { claim, release: None });
                }
                Some(Live::Release(group)) => {
                    releases.insert(group, self.read::<Released>(&record)?);
                }
                None => {}
            }
        }
        for (group, Released { epoch, release }) in releases {
            if let Some(owned) = shared.ownerships.get_mut(&group)
                && owned.claim.epoch == epoch
            {
                owned.release = Some(release);
            }
        }
        Ok(shared)
    }

    /// Writes a heartbeat if the one before is still there as it was.
    fn beat_after(
        &self,
        heartbeat: &Heartbeat,
        revision: u64,
    ) -> Result<Result<u64, Option<Record>>, CoordinatorError> {
        let key = self.keys.heartbeat(&heartbeat.node);
        let value = self.write(&key, heartbeat)?;
        let unchanged = unchanged_since(&key, revision);
        let txn = self.gateway.txn(&[unchanged], &[put(&key, &value)], &[get(&key)])?;
        Ok(if txn.succeeded { Ok(txn.header.revision) } else { Err(txn.first()) })
    }

    /// Waits until the node's heartbeat has stood still for as long as others wait, and says where
    /// it is; `Err` is who beats.
    fn wait_for_silence(
        &self,
        mut found: Record,
        timing: &Timing,
    ) -> Result<Result<u64, String>, CoordinatorError> {
        let key = String::from_utf8_lossy(&found.key).into_owned();
        let wait = Duration::from_millis(timing.lease_ms + timing.margin_ms);
        let begun = Instant::now();
        loop {
            let heartbeat: Heartbeat = self.read(&found)?;
            let looked = Instant::now();
            if heartbeat.leaving || looked.duration_since(begun) >= wait {
                return Ok(Ok(found.mod_revision));
            }
            thread::sleep(Duration::from_millis((timing.heartbeat_ms / 3).max(1)));
            match self.get(&key)? {
                None => return Ok(Ok(0)),
                Some(next) if next.mod_revision != found.mod_revision => {
                    let heartbeat: Heartbeat = self.read(&next)?;
                    if !heartbeat.leaving {
                        return Ok(Err(holder(&heartbeat)));
                    }
                    found = next;
                }
                Some(_) => {}
            }
        }
    }
}

fn holder(heartbeat: &Heartbeat) -> String {
    format!("run {} of its program, process {}", heartbeat.incarnation, heartbeat.pid)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Coordinator for Etcd {
    fn place(&self) -> &Path {
        self.gateway.place()
    }

    fn look(&self, known: Option<&Configuration>) -> Result<Shared, CoordinatorError> {
        let since = self.since(known.map_or(0, |known| known.revision));
        let config = get_since(&self.keys.config(), since);
        let txn = self.gateway.read(&[get_all(&self.keys.live()), config])?;
        let config_key = self.keys.config();
        let (config, live): (Vec<_>, Vec<_>) =
            txn.records().partition(|record| record.key == config_key.as_bytes());
        let mut shared = self.sort(live.into_iter())?;
        if let Some(record) = config.first() {
            let read = self.take_configuration(record)?;
            let newer = known.is_none_or(|known| read.revision > known.revision);
            shared.configuration = newer.then_some(read);
        }
        Ok(shared)
    }

    /// Every heartbeat compares its predecessor, and readings are linearizable.
    fn orders_heartbeats(&self) -> bool {
        true
    }

    fn watch(&self, wake: Wake) -> Option<Box<dyn Send>> {
        let owners = watch::begin(self.gateway.clone(), &self.keys.own(), wake.clone())?;
        let config = watch::begin(self.gateway.clone(), &self.keys.config(), wake)?;
        Some(Box::new((owners, config)))
    }

    fn enter(&self, first: &Heartbeat, timing: &Timing) -> Result<Entrance, CoordinatorError> {
        let found = self.get(&self.keys.heartbeat(&first.node))?;
        let revision = match found {
            None => 0,
            Some(found) => match self.wait_for_silence(found, timing)? {
                Ok(revision) => revision,
                Err(holder) => return Ok(Entrance::Taken(holder)),
            },
        };
        let revision = match self.beat_after(first, revision)? {
            Ok(revision) => revision,
            Err(found) => {
                let other = found.map(|found| self.read::<Heartbeat>(&found)).transpose()?;
                return Ok(Entrance::Taken(other.as_ref().map_or_else(String::new, holder)));
            }
        };
        *lock(&self.beating) = Some((first.incarnation.clone(), revision));
        Ok(Entrance::Entered(Box::new(())))
    }

    fn write_log(&self, entry: &LogEntry) {
        self.log.write(entry);
    }

    fn read_log(&self, node: &NodeName) -> Result<Vec<LogEntry>, CoordinatorError> {
        let txn = self.gateway.txn(&[], &[get_all(&self.keys.log(node))], &[])?;
        txn.records().map(|record| self.read(&record)).collect()
    }

    fn configuration(&self, after: u64) -> Result<Option<Configuration>, CoordinatorError> {
        let request = get_since(&self.keys.config(), self.since(after));
        let Some(record) = self.gateway.txn(&[], &[request], &[])?.first() else { return Ok(None) };
        let read = self.take_configuration(&record)?;
        Ok((read.revision > after).then_some(read))
    }

    fn put_configuration(&self, next: &Configuration) -> Result<(), CoordinatorError> {
        let key = self.keys.config();
        let value = self.write(&key, next)?;
        let before = version_is(&key, next.revision.saturating_sub(1));
        let txn = self.gateway.txn(&[before], &[put(&key, &value)], &[get(&key)])?;
        // Equal bytes count as written: two writers that say the same thing agree.
        if txn.succeeded || txn.first().is_some_and(|record| record.value == value) {
            return Ok(());
        }
        Err(CoordinatorError::Conflict { revision: next.revision })
    }

    fn beat(&self, heartbeat: &Heartbeat) -> Result<(), CoordinatorError> {
        let mut beating = lock(&self.beating);
        let known = beating.as_ref().filter(|(run, _)| *run == heartbeat.incarnation);
        let mut revision = known.map_or(0, |(_, revision)| *revision);
        loop {
            match self.beat_after(heartbeat, revision)? {
                Ok(written) => {
                    *beating = Some((heartbeat.incarnation.clone(), written));
                    return Ok(());
                }
                // The one before was written although its answer was lost.
                Err(Some(found)) if found.mod_revision != revision => {
                    let other: Heartbeat = self.read(&found)?;
                    if other.incarnation != heartbeat.incarnation {
                        let (node, holder) = (heartbeat.node.clone(), holder(&other));
                        return Err(CoordinatorError::NameTaken { node, holder });
                    }
                    revision = found.mod_revision;
                }
                Err(_) if revision != 0 => revision = 0,
                Err(_) => return Err(self.damaged("live/nodes", "it is there and not there")),
            }
        }
    }

    fn heartbeat(&self, node: &NodeName) -> Result<Option<Heartbeat>, CoordinatorError> {
        let record = self.get(&self.keys.heartbeat(node))?;
        record.map(|record| self.read(&record)).transpose()
    }

    fn ownership(&self, group: &GroupName) -> Result<Option<Ownership>, CoordinatorError> {
        let requests = [get(&self.keys.claim(group)), get(&self.keys.release(group))];
        let txn = self.gateway.txn(&[], &requests, &[])?;
        Ok(self.sort(txn.records())?.ownerships.remove(group))
    }

    fn claim(&self, group: &GroupName, claim: &Claim) -> Result<ClaimOutcome, CoordinatorError> {
        let key = self.keys.claim(group);
        let value = self.write(&key, claim)?;
        let before = version_is(&key, claim.epoch.saturating_sub(1));
        let txn = self.gateway.txn(&[before], &[put(&key, &value)], &[get(&key)])?;
        // No two claims are equal: one that is there already is this one, sent again.
        let won = txn.succeeded || txn.first().is_some_and(|record| record.value == value);
        Ok(if won { ClaimOutcome::Won } else { ClaimOutcome::Lost })
    }

    fn release(
        &self,
        group: &GroupName,
        epoch: u64,
        release: &Release,
    ) -> Result<(), CoordinatorError> {
        let (claim, key) = (self.keys.claim(group), self.keys.release(group));
        let value = self.write(&key, &Released { epoch, release: release.clone() })?;
        // Under a later epoch there is nothing left to release.
        self.gateway.txn(&[version_is(&claim, epoch)], &[put(&key, &value)], &[])?;
        Ok(())
    }

    fn publish(&self, status: &NodeStatus) -> Result<(), CoordinatorError> {
        let key = self.keys.status(&status.node);
        let value = self.write(&key, status)?;
        self.gateway.txn(&[], &[put(&key, &value)], &[]).map(drop)
    }

    fn status(&self, node: &NodeName) -> Result<Option<NodeStatus>, CoordinatorError> {
        let record = self.get(&self.keys.status(node))?;
        record.map(|record| self.read(&record)).transpose()
    }

    fn put_checkpoint(&self, checkpoint: &Checkpoint) -> Result<(), CoordinatorError> {
        let key = self.keys.checkpoint(&checkpoint.resource, &checkpoint.key);
        let place = self.gateway.place().join(&key);
        let value = checkpoint.to_bytes(&place)?;
        let mut found = self.get(&key)?;
        for _ in 0..CHECKPOINT_ATTEMPTS {
            if let Some(record) = &found {
                let kept = Checkpoint::from_bytes(&record.value, &place)?;
                if kept.epoch > checkpoint.epoch {
                    let what = format!("checkpoint {} of {}", checkpoint.key, checkpoint.resource);
                    let (epoch, newer) = (checkpoint.epoch, kept.epoch);
                    return Err(CoordinatorError::Fenced { what, epoch, newer });
                }
            }
            let revision = found.map_or(0, |record| record.mod_revision);
            let unchanged = unchanged_since(&key, revision);
            let txn = self.gateway.txn(&[unchanged], &[put(&key, &value)], &[get(&key)])?;
            if txn.succeeded {
                return Ok(());
            }
            found = txn.first();
        }
        Err(self.damaged(&key, "others write it all the time"))
    }

    fn checkpoint(
        &self,
        resource: &ResourceName,
        key: &CheckpointKey,
        serial: u64,
    ) -> Result<Option<Checkpoint>, CoordinatorError> {
        let key = self.keys.checkpoint(resource, key);
        let Some(record) = self.get(&key)? else { return Ok(None) };
        let kept = Checkpoint::from_bytes(&record.value, &self.gateway.place().join(&key))?;
        Ok((kept.serial == serial).then_some(kept))
    }

    fn remove_checkpoint(
        &self,
        resource: &ResourceName,
        key: &CheckpointKey,
    ) -> Result<(), CoordinatorError> {
        let key = self.keys.checkpoint(resource, key);
        self.gateway.txn(&[], &[delete(&key)], &[]).map(drop)
    }
}
