//! The configuration keys of one resource on the node that owns its group.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::configuration::CheckpointConfig;
use crate::coordinator::{Checkpoint, Coordinator, KeyContent};
use crate::ids::{CheckpointKey, NodeName, ResourceName};
use crate::registry::{read_key, write_key};

/// What is known of one attached key.
struct Known {
    serial: u64,
    /// The version of the copy that is kept, 0 if there is none.
    version: u64,
    content: KeyContent,
}

pub(super) struct Keys {
    coordinator: Arc<dyn Coordinator>,
    registry: PathBuf,
    node: NodeName,
    resource: ResourceName,
    epoch: u64,
    attached: Vec<CheckpointConfig>,
    known: BTreeMap<CheckpointKey, Known>,
}

impl Keys {
    pub(super) fn new(
        coordinator: Arc<dyn Coordinator>,
        registry: PathBuf,
        node: NodeName,
        resource: ResourceName,
        epoch: u64,
    ) -> Self {
        let (attached, known) = (Vec::new(), BTreeMap::new());
        Self { coordinator, registry, node, resource, epoch, attached, known }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.attached.is_empty()
    }

    /// Takes the keys that are attached now. One that has no copy for this attachment was just
    /// added and is captured at once, whether the resource is online or not.
    pub(super) fn configure(&mut self, attached: &[CheckpointConfig]) -> Result<(), String> {
        self.attached = attached.to_vec();
        self.known.retain(|key, known| {
            attached.iter().any(|config| config.key == *key && config.serial == known.serial)
        });
        for config in attached {
            if !self.known.contains_key(&config.key) {
                self.adopt(config)?;
            }
        }
        Ok(())
    }

    /// Learns the copy of a key, and keeps it under this owner's epoch: what an earlier owner
    /// still writes under its own is then never read again.
    fn adopt(&mut self, config: &CheckpointConfig) -> Result<(), String> {
        let found = self.coordinator.checkpoint(&self.resource, &config.key, config.serial);
        match found.map_err(|error| error.to_string())? {
            Some(copy) => {
                let version = copy.version;
                let content = copy.content.clone();
                if copy.epoch < self.epoch {
                    let sealed = Checkpoint { epoch: self.epoch, ..copy };
                    let put = self.coordinator.put_checkpoint(&sealed);
                    put.map_err(|error| error.to_string())?;
                }
                let known = Known { serial: config.serial, version, content };
                self.known.insert(config.key.clone(), known);
                Ok(())
            }
            None => {
                let content = self.read(&config.key)?;
                self.put(config, 1, content)
            }
        }
    }

    /// Puts every copy back into the registry. What was changed there since is lost: a key is
    /// what its copy says whenever the resource comes online.
    pub(super) fn restore(&mut self) -> Result<usize, String> {
        for config in self.attached.clone() {
            if !self.known.contains_key(&config.key) {
                self.adopt(&config)?;
            }
            let Some(known) = self.known.get(&config.key) else { continue };
            write_key(&self.registry, &config.key, &known.content)
                .map_err(|error| format!("key {} cannot be restored: {error}", config.key))?;
        }
        Ok(self.attached.len())
    }

    /// Captures every key that differs from its copy; says which.
    pub(super) fn capture(&mut self) -> Result<Vec<CheckpointKey>, String> {
        let mut changed = Vec::new();
        for config in self.attached.clone() {
            let content = self.read(&config.key)?;
            let known = self.known.get(&config.key);
            if known.is_some_and(|known| known.content == content) {
                continue;
            }
            let version = known.map_or(0, |known| known.version) + 1;
            self.put(&config, version, content)?;
            changed.push(config.key);
        }
        Ok(changed)
    }

    fn read(&self, key: &CheckpointKey) -> Result<KeyContent, String> {
        let content = read_key(&self.registry, key);
        content.map_err(|error| format!("key {key} cannot be read: {error}"))
    }

    fn put(
        &mut self,
        config: &CheckpointConfig,
        version: u64,
        content: KeyContent,
    ) -> Result<(), String> {
        let checkpoint = Checkpoint {
            resource: self.resource.clone(),
            key: config.key.clone(),
            serial: config.serial,
            epoch: self.epoch,
            version,
            node: self.node.clone(),
            content,
        };
        self.coordinator.put_checkpoint(&checkpoint).map_err(|error| error.to_string())?;
        let content = checkpoint.content;
        let known = Known { serial: config.serial, version, content };
        self.known.insert(config.key.clone(), known);
        Ok(())
    }
}
