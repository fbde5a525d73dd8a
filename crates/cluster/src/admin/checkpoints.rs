//! Attaching and detaching configuration keys.

use super::{Cluster, ClusterError};
use crate::coordinator::Checkpoint;
use crate::ids::{CheckpointKey, NodeName, ResourceName};
use crate::registry::{REGISTRY_DIR, read_key};

/// How long the owner is given to capture a key that was attached.
const CAPTURE_WAIT_MS: u64 = 30_000;

impl Cluster {
    /// Attaches a key to a resource. It is captured before this returns: by the node that owns
    /// the group or, if nobody owns it, from the registry of `from`.
    ///
    /// # Errors
    ///
    /// [`ClusterError::NoOwner`] if there is neither an owner nor `from`; nothing is attached
    /// then. [`ClusterError::TimedOut`] if the owner does not capture it.
    pub fn add_checkpoint(
        &self,
        resource: &ResourceName,
        key: &CheckpointKey,
        from: Option<&NodeName>,
    ) -> Result<Checkpoint, ClusterError> {
        let status = self.status()?;
        let configuration = self.configuration()?;
        let group = configuration.resource(resource).map(|(group, _)| group.name.clone());
        let owner = group.as_ref().and_then(|group| status.owner(group));
        if let (Some(group), None, None) = (&group, owner, from) {
            let (group, resource) = (group.clone(), resource.clone());
            return Err(ClusterError::NoOwner { group, resource, key: key.to_string() });
        }
        let serial = self.edit(|next| next.add_checkpoint(resource, key))?;
        if owner.is_none()
            && let (Some(node), Some(group)) = (from, &group)
        {
            let epoch = self.coordinator.ownership(group)?.map_or(0, |owned| owned.claim.epoch);
            self.capture_from(node, resource, key, serial, epoch)?;
        }
        self.wait_for_capture(resource, key, serial)
    }

    /// Detaches a key from a resource and deletes its copies.
    ///
    /// # Errors
    ///
    /// [`crate::ConfigurationError::Unknown`] if it is not attached.
    pub fn remove_checkpoint(
        &self,
        resource: &ResourceName,
        key: &CheckpointKey,
    ) -> Result<(), ClusterError> {
        self.edit(|next| next.remove_checkpoint(resource, key))?;
        Ok(self.coordinator.remove_checkpoint(resource, key)?)
    }

    /// The copy of a key that is kept, if there is one.
    ///
    /// # Errors
    ///
    /// [`ClusterError::Coordinator`] if it is damaged.
    pub fn checkpoint(
        &self,
        resource: &ResourceName,
        key: &CheckpointKey,
    ) -> Result<Option<Checkpoint>, ClusterError> {
        let configuration = self.configuration()?;
        let attached = configuration
            .resource(resource)
            .and_then(|(_, resource)| resource.checkpoints.iter().find(|c| c.key == *key));
        match attached {
            Some(attached) => Ok(self.coordinator.checkpoint(resource, key, attached.serial)?),
            None => Ok(None),
        }
    }

    fn capture_from(
        &self,
        node: &NodeName,
        resource: &ResourceName,
        key: &CheckpointKey,
        serial: u64,
        epoch: u64,
    ) -> Result<(), ClusterError> {
        let registry = self.node_config(node)?.state_dir.join(REGISTRY_DIR);
        let content = read_key(&registry, key).map_err(|source| ClusterError::NodeFolder {
            node: node.clone(),
            place: registry.join(key.as_str()),
            source,
        })?;
        Ok(self.coordinator.put_checkpoint(&Checkpoint {
            resource: resource.clone(),
            key: key.clone(),
            serial,
            epoch,
            version: 1,
            node: node.clone(),
            content,
        })?)
    }

    fn wait_for_capture(
        &self,
        resource: &ResourceName,
        key: &CheckpointKey,
        serial: u64,
    ) -> Result<Checkpoint, ClusterError> {
        let start_ms = self.clock.monotonic_ms();
        loop {
            if let Some(checkpoint) = self.coordinator.checkpoint(resource, key, serial)? {
                return Ok(checkpoint);
            }
            let waited_ms = self.clock.monotonic_ms().saturating_sub(start_ms);
            if waited_ms >= CAPTURE_WAIT_MS {
                let what = format!("the owner to capture {key} for {resource}");
                let last_seen = super::view::summary(&self.status()?);
                return Err(ClusterError::TimedOut { what, waited_ms, last_seen });
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }
}
