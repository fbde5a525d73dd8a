//! Updating a second node from the one that a group was set up on.

use serde::{Deserialize, Serialize};

use super::{Cluster, ClusterError};
use crate::configuration::{ConfigurationError, NodeConfig};
use crate::coordinator::KeyContent;
use crate::ids::{CheckpointKey, GroupName, NodeName};
use crate::registry::{REGISTRY_DIR, read_key, write_key};

/// The registry folder that setup writes on the first node and an update copies.
pub const SOFTWARE_KEY: &str = "software";

/// What an update did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpdateReport {
    /// The node that the keys came from.
    pub from: NodeName,
    /// The node that was updated.
    pub node: NodeName,
    /// The keys copied.
    pub keys: Vec<String>,
}

impl Cluster {
    /// Makes `node` a possible owner of every resource of `group`, after copying the `software`
    /// keys from the node where the group is online. Doing it again is harmless.
    ///
    /// # Errors
    ///
    /// [`ClusterError::NotOnline`] unless every resource is online on another node; nothing is
    /// changed then.
    pub fn update_node(
        &self,
        group: &GroupName,
        node: &NodeName,
    ) -> Result<UpdateReport, ClusterError> {
        let status = self.status()?;
        let owner = status.owner(group).filter(|owner| *owner != node && status.online(group));
        let Some(from) = owner.cloned() else {
            return Err(ClusterError::NotOnline {
                node: node.clone(),
                group: group.clone(),
                state: super::view::summary(&status),
            });
        };
        let keys = self.copy_software(&from, node)?;
        self.edit(|next| {
            let Some(found) = next.groups.iter_mut().find(|found| found.name == *group) else {
                return Ok(());
            };
            for resource in &mut found.resources {
                if !resource.possible_owners.is_empty() && !resource.possible_owners.contains(node)
                {
                    resource.possible_owners.push(node.clone());
                }
            }
            next.check()
        })?;
        Ok(UpdateReport { from, node: node.clone(), keys })
    }

    fn copy_software(&self, from: &NodeName, to: &NodeName) -> Result<Vec<String>, ClusterError> {
        let key = CheckpointKey::new(SOFTWARE_KEY).expect("a plain word is a key");
        let at = |node: &NodeConfig| node.state_dir.join(REGISTRY_DIR);
        let (source, target) = (at(&self.node_config(from)?), at(&self.node_config(to)?));
        let failed = |node: &NodeName, place: &std::path::Path| {
            let (node, place) = (node.clone(), place.join(SOFTWARE_KEY));
            move |source| ClusterError::NodeFolder { node, place, source }
        };
        let content = read_key(&source, &key).map_err(failed(from, &source))?;
        write_key(&target, &key, &content).map_err(failed(to, &target))?;
        Ok(match content {
            KeyContent::Absent => Vec::new(),
            KeyContent::File(_) => vec![SOFTWARE_KEY.to_owned()],
            KeyContent::Folder(files) => {
                files.keys().map(|name| format!("{SOFTWARE_KEY}/{name}")).collect()
            }
        })
    }

    pub(super) fn node_config(&self, name: &NodeName) -> Result<NodeConfig, ClusterError> {
        let configuration = self.configuration()?;
        if let Some(node) = configuration.node(name) {
            return Ok(node.clone());
        }
        let known: Vec<&str> = configuration.nodes.iter().map(|node| node.name.as_str()).collect();
        Err(ConfigurationError::Unknown {
            what: "node",
            name: name.to_string(),
            known: known.join(", "),
        }
        .into())
    }
}
