//! A server name in the name registry.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::{Context, Reporter, Resource, ResourceError, Started};
use crate::names::{NameClaim, NameError, NameRecord, register, resolve, unregister};

pub(super) struct NetworkName {
    name: String,
    registry_dir: PathBuf,
    claim: Option<NameClaim>,
}

impl NetworkName {
    pub(super) fn new(name: &str, registry_dir: &Path) -> Self {
        Self { name: name.to_owned(), registry_dir: registry_dir.to_owned(), claim: None }
    }
}

fn failed(error: NameError) -> ResourceError {
    match error {
        NameError::Held { name, holder } => {
            ResourceError::Held { what: format!("server name {name}"), holder }
        }
        other => ResourceError::Failed(other.to_string()),
    }
}

impl Resource for NetworkName {
    fn online(&mut self, context: &Context, _: &Reporter) -> Result<Started, ResourceError> {
        let address = match (context.values.get("address"), context.values.get("port")) {
            (Some(address), Some(port)) => format!("{address}:{port}"),
            _ => {
                return Err(ResourceError::Failed(format!(
                    "server name {}: its group has no address for it to point to; add one",
                    self.name
                )));
            }
        };
        let record = NameRecord {
            name: self.name.clone(),
            address,
            owner: format!("{}/{}", context.cluster, context.group),
            node: context.node.to_string(),
            epoch: context.epoch,
        };
        let claim = register(&self.registry_dir, record).map_err(failed)?;
        let detail = json!(claim.record());
        self.claim = Some(claim);
        Ok(Started::Online(Some(detail)))
    }

    fn offline(&mut self, _: u64) -> Result<(), ResourceError> {
        match self.claim.take() {
            Some(claim) => unregister(claim).map_err(failed),
            None => Ok(()),
        }
    }

    /// Frees the name and leaves the record, as a crash would: the next owner replaces it.
    fn terminate(&mut self) -> Result<(), ResourceError> {
        self.claim = None;
        Ok(())
    }

    fn looks_alive(&mut self) -> Result<(), ResourceError> {
        let Some(claim) = &self.claim else {
            return Err(ResourceError::Failed(format!("server name {} is not held", self.name)));
        };
        let found = resolve(&self.registry_dir, &self.name).map_err(failed)?;
        if found.as_ref() == Some(claim.record()) {
            return Ok(());
        }
        Err(ResourceError::Failed(format!(
            "the record of server name {} was removed or replaced by somebody",
            self.name
        )))
    }
}
