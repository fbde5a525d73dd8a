//! Resource kinds that do real things.

mod address;
mod agent;
pub(crate) mod call;
pub(crate) mod family;
mod floating;
mod folder;
mod name;
mod process;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;

use crate::configuration::{Configuration, GroupConfig, ResourceConfig, ResourceKind};
use crate::ids::{GroupName, NodeName, ResourceName};
use crate::lease::Gate;
use crate::policy::Report;
use crate::registry::REGISTRY_DIR;
use crate::template::{Template, TemplateError};
pub use agent::AgentError;
pub(crate) use agent::{check_agent, required};
pub(crate) use family::Families;

/// What a resource says about itself while no one asks.
pub(crate) type Reporter = Arc<dyn Fn(Report) + Send + Sync>;

/// How far a resource got when it was asked to come online.
pub(crate) enum Started {
    /// It is online, with what it says about itself.
    Online(Option<Value>),
    /// It is on its way and will report.
    Pending,
}

/// Why a resource cannot do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ResourceError {
    /// Somebody else has what it needs; worth trying again for a while.
    #[error("{what} is held by {holder}; it can have one owner only; stop that one first")]
    Held { what: String, holder: String },
    /// It failed.
    #[error("{0}")]
    Failed(String),
}

/// Something that is online on one node at a time. One thread calls it; no call may wait long
/// except `offline` and `terminate`, which may take what ending a process takes.
pub(crate) trait Resource: Send {
    /// Begins to bring it online.
    fn online(&mut self, context: &Context, reporter: &Reporter) -> Result<Started, ResourceError>;
    /// Takes it offline in order; an error means that something is left.
    fn offline(&mut self, grace_ms: u64) -> Result<(), ResourceError>;
    /// Ends it by force; an error means that something is left.
    fn terminate(&mut self) -> Result<(), ResourceError>;
    /// A cheap look.
    fn looks_alive(&mut self) -> Result<(), ResourceError>;
    /// A thorough look.
    fn is_alive(&mut self) -> Result<(), ResourceError> {
        self.looks_alive()
    }
}

/// What a resource knows about the place it comes online in.
pub(crate) struct Context {
    pub(crate) cluster: String,
    pub(crate) node: NodeName,
    pub(crate) group: GroupName,
    pub(crate) resource: ResourceName,
    pub(crate) epoch: u64,
    pub(crate) state_dir: PathBuf,
    pub(crate) program: PathBuf,
    pub(crate) gate: Arc<Gate>,
    pub(crate) families: Arc<Families>,
    /// The gate's generation under which it was ordered: if the lease was lost since, it must
    /// not start.
    pub(crate) generation: u64,
    /// Values of placeholders.
    pub(crate) values: BTreeMap<&'static str, String>,
}

impl Context {
    /// Who owns things here, for others to read.
    pub(crate) fn holder(&self) -> String {
        let Self { cluster, node, group, epoch, .. } = self;
        format!("node {node}, group {group} of cluster {cluster}, epoch {epoch}")
    }

    pub(crate) fn fill(&self, text: &str) -> Result<String, TemplateError> {
        Template::parse(text)?.fill(&self.values)
    }
}

/// Values of placeholders for a resource: what it depends on counts before the rest of its group.
pub(crate) fn placeholder_values(
    configuration: &Configuration,
    group: &GroupConfig,
    resource: &ResourceConfig,
) -> BTreeMap<&'static str, String> {
    let mut values = BTreeMap::from([
        ("group", group.name.to_string()),
        ("resource", resource.name.to_string()),
        ("lease_ms", configuration.timing.lease_ms.to_string()),
    ]);
    let near = group.with_dependencies(&resource.name).unwrap_or_default();
    let near = near.iter().filter_map(|name| group.resource(name));
    for other in near.chain(&group.resources) {
        match &other.kind {
            ResourceKind::Folder { path } => {
                values.entry("folder").or_insert_with(|| path.display().to_string());
            }
            ResourceKind::IpAddress { address, port } => {
                values.entry("address").or_insert_with(|| address.clone());
                values.entry("port").or_insert_with(|| port.to_string());
            }
            ResourceKind::FloatingAddress { address, .. } => {
                let bare = address.split('/').next().unwrap_or_default();
                values.entry("address").or_insert_with(|| bare.to_owned());
            }
            ResourceKind::NetworkName { name, registry_dir } => {
                values.entry("name").or_insert_with(|| name.clone());
                values.entry("names").or_insert_with(|| registry_dir.display().to_string());
            }
            ResourceKind::Process { .. }
            | ResourceKind::Script { .. }
            | ResourceKind::Ocf { .. } => {}
        }
    }
    values
}

impl Context {
    /// Adds what depends on the node and the epoch.
    pub(crate) fn with_place(mut self, quorum: &std::path::Path) -> Self {
        let registry = self.state_dir.join(REGISTRY_DIR);
        self.values.insert("epoch", self.epoch.to_string());
        self.values.insert("node", self.node.to_string());
        self.values.insert("state", self.state_dir.display().to_string());
        self.values.insert("registry", registry.display().to_string());
        self.values.insert("quorum", quorum.display().to_string());
        self
    }
}

/// The resource that a kind describes.
pub(crate) fn make(kind: &ResourceKind) -> Box<dyn Resource> {
    match kind {
        ResourceKind::Folder { path } => Box::new(folder::Folder::new(path)),
        ResourceKind::IpAddress { address, port } => {
            Box::new(address::Address::new(address, *port))
        }
        ResourceKind::FloatingAddress { address, device } => {
            Box::new(floating::Floating::new(address, device))
        }
        ResourceKind::NetworkName { name, registry_dir } => {
            Box::new(name::NetworkName::new(name, registry_dir))
        }
        ResourceKind::Process { program, args, env } => {
            Box::new(process::Process::new(program.clone(), args, env))
        }
        ResourceKind::Script { .. } | ResourceKind::Ocf { .. } => {
            Box::new(agent::Agent::new(kind.clone()))
        }
    }
}
