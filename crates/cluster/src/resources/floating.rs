//! A floating address as a resource: held by a process, and taken away by force if need be.

use std::sync::Arc;

use super::process::Process;
use super::{Context, Reporter, Resource, ResourceError, Started};
use crate::floating::FloatingAddress;

pub(super) struct Floating {
    address: String,
    device: String,
    holder: Process,
}

impl Floating {
    pub(super) fn new(address: &str, device: &str) -> Self {
        let args = ["cluster", "hold-address", "--address", address, "--device", device];
        let args = args.map(str::to_owned);
        let (address, device) = (address.to_owned(), device.to_owned());
        let holder = Process::new(None, &args, &std::collections::BTreeMap::new());
        Self { address, device, holder }
    }

    fn parsed(&self) -> Result<FloatingAddress, ResourceError> {
        self.address.parse().map_err(|error| ResourceError::Failed(format!("{error}")))
    }

    /// Takes the address away, whatever became of its holder.
    fn take_away(&self) -> Result<(), ResourceError> {
        let removed = self.parsed()?.remove(&self.device);
        removed.map_err(|error| ResourceError::Failed(error.to_string()))
    }
}

impl Resource for Floating {
    fn online(&mut self, context: &Context, reporter: &Reporter) -> Result<Started, ResourceError> {
        let (address, device) = (self.parsed()?, self.device.clone());
        self.holder.after_end(Arc::new(move || {
            // What is wrong with the interface is wrong for whoever has the address too.
            let _left = address.remove(&device);
        }));
        self.holder.online(context, reporter)
    }

    fn offline(&mut self, grace_ms: u64) -> Result<(), ResourceError> {
        self.holder.offline(grace_ms)?;
        self.take_away()
    }

    fn terminate(&mut self) -> Result<(), ResourceError> {
        self.holder.terminate()?;
        self.take_away()
    }

    fn looks_alive(&mut self) -> Result<(), ResourceError> {
        self.holder.looks_alive()
    }

    fn is_alive(&mut self) -> Result<(), ResourceError> {
        self.looks_alive()?;
        match self.parsed()?.is_here() {
            true => Ok(()),
            false => Err(ResourceError::Failed(format!(
                "{} is not on {} any more: somebody took it away",
                self.address, self.device
            ))),
        }
    }
}
