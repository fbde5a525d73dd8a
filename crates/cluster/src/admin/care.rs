//! Orders about care: maintenance, going back, and switching a node's power off.

use super::{Cluster, ClusterError};
use crate::configuration::{Failback, FenceConfig};
use crate::fence::check_fence;
use crate::ids::{GroupName, NodeName};

impl Cluster {
    /// Has nodes start, stop and move nothing, or ends that. What runs goes on without being looked
    /// after; a lost lease still ends everything.
    ///
    /// # Errors
    ///
    /// [`ClusterError::Coordinator`].
    pub fn set_maintenance(&self, maintenance: bool) -> Result<(), ClusterError> {
        self.edit(|next| {
            next.maintenance = maintenance;
            Ok(())
        })
    }

    /// Says how the power of a node is switched off before others take what it had; `None` is not
    /// at all. The agent is asked first whether it reaches its device.
    ///
    /// # Errors
    ///
    /// [`ClusterError::Fence`] if the agent is not content; [`crate::ConfigurationError::Unknown`];
    /// or [`ClusterError::Coordinator`]. Nothing is configured then.
    pub fn set_fence(
        &self,
        node: &NodeName,
        fence: Option<FenceConfig>,
    ) -> Result<(), ClusterError> {
        self.node_config(node)?;
        if let Some(fence) = &fence {
            check_fence(node, fence)?;
        }
        self.edit(|next| next.set_fence(node, fence.clone()))
    }

    /// Says which nodes a group prefers, and when it goes back to them; `None` is never.
    ///
    /// # Errors
    ///
    /// [`crate::ConfigurationError::Unknown`], or [`ClusterError::Coordinator`].
    pub fn set_failback(
        &self,
        group: &GroupName,
        preferred: &[NodeName],
        failback: Option<&Failback>,
    ) -> Result<(), ClusterError> {
        self.edit(|next| next.set_failback(group, preferred, failback.cloned()))
    }
}
