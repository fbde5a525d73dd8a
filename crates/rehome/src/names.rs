//! The names by which the parts know each other: resources, registry keys, ports.

use rehome_cluster::{CheckpointKey, GroupName, NodeName, ResourceName};
use rehome_planner::{RegistryKey, Resource};

/// The port on the group's address that claims it. A server's attendant listens on the next one,
/// the directory and the store on those after it.
pub(crate) const CLAIM_PORT: u16 = 7400;

/// Which port after the claim a service of the group listens on.
pub(crate) fn port_offset(service: Resource) -> u16 {
    match service {
        Resource::Directory => 2,
        Resource::Store => 3,
        _ => 1,
    }
}

/// The cluster's name of a resource.
pub(crate) fn resource(resource: Resource) -> ResourceName {
    ResourceName::new(resource.as_str()).expect("the planner's words are resource names")
}

/// The resources that an installation adds to the group, in the order of their dependencies.
pub(crate) const SERVICES: [Resource; 3] =
    [Resource::Attendant, Resource::Directory, Resource::Store];

/// Where, in a node's registry, a service keeps a key.
pub(crate) fn key(service: Resource, key: RegistryKey) -> CheckpointKey {
    let path = match key {
        RegistryKey::Root => format!("services/{service}"),
        RegistryKey::Parameters | RegistryKey::Diagnostics => format!("services/{service}/{key}"),
    };
    CheckpointKey::new(&path).expect("the planner's words are keys")
}

/// A group's name, as the cluster checks it.
pub(crate) fn group(name: &str) -> Result<GroupName, String> {
    GroupName::new(name).map_err(|error| error.to_string())
}

/// A node's name, as the cluster checks it.
pub(crate) fn node(name: &str) -> Result<NodeName, String> {
    NodeName::new(name).map_err(|error| error.to_string())
}
