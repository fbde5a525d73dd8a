//! Installing the server into its group: registry, resources, checkpoints, tuning.

use std::sync::Arc;

use rehome_cluster::{CheckpointKey, KeyContent, ResourceConfig, ResourceKind};
use rehome_executor::{Flow, OperationError, Progress};
use rehome_planner::{InstallMode, RegistryKey, Resource};
use rehome_server::DirectoryOp;
use rehome_store::{MeasureBounds, OpenOptions, Store, Tuning};

use super::World;
use super::checks::server_name;
use super::group::Tell;
use super::trouble::{Done, done, failed, for_a_person, from_error};
use crate::machine;
use crate::names::{self, CLAIM_PORT, SERVICES};
use crate::registry::{Registry, Software};

impl World<'_> {
    pub(super) fn node_registry(&self, node: &str) -> Registry {
        Registry::new(self.work.node(node).join("registry"))
    }

    /// The registry of the node that owns the group.
    pub(super) fn owner_registry(&self, group: &str) -> Result<Registry, OperationError> {
        let status = self.cluster_status()?;
        let owner = status.owner(&self.group_name(group)?).map(ToString::to_string);
        let owner =
            owner.ok_or_else(|| failed(group, "nobody owns the group", "bring it online"))?;
        Ok(self.node_registry(&owner))
    }

    pub(super) fn install_server(
        &mut self,
        group: &str,
        server: &str,
        node: &str,
        mode: InstallMode,
        account: &str,
    ) -> Done {
        let site = &self.site.site;
        let software = Software {
            organization: site.organization.to_string(),
            site: site.site.to_string(),
            server: server.to_owned(),
            version: site.cluster.version.to_string(),
            service_account: account.to_owned(),
            components: SERVICES.iter().map(ToString::to_string).collect(),
        };
        let registry = self.node_registry(node);
        registry.set_software(&software).map_err(from_error)?;
        for service in SERVICES {
            registry.prepare(service).map_err(from_error)?;
        }
        if mode == InstallMode::New {
            self.make_databases(server)?;
        }
        self.add_services(group, node)?;
        let data = match mode {
            InstallMode::New => "an empty store and a directory of its own",
            InstallMode::Recover => "no databases; they come from the backup",
        };
        done([format!("server {server} is installed on {node} with {data}")])
    }

    /// Makes an empty store and a replica of the site's directory in the group's folder, and lets
    /// the new server join the site.
    fn make_databases(&mut self, server: &str) -> Result<(), OperationError> {
        let old = self.plan.inventory.old_server.clone();
        let name = server_name(server)?;
        let join = DirectoryOp::AddServer { server: name.clone() };
        self.names.change(&old, join).map_err(from_error)?;
        let replica = self.names.directory(&old).map_err(from_error)?.replica_for(name, 1);
        crate::directory::create(&self.shared(Resource::Directory), &replica)
            .map_err(from_error)?;
        let path = self.shared(Resource::Store);
        if path.join("store.id").exists() {
            return Ok(());
        }
        let options = OpenOptions { owner: "installation".to_owned(), ..OpenOptions::default() };
        let trouble = |error| failed(&path.display().to_string(), error, "see its disk");
        Store::create_at(&path, options).map_err(trouble)?.close().map_err(trouble)
    }

    /// Adds the services that are not there yet, with their checkpoints, on this node alone.
    fn add_services(&mut self, group: &str, node: &str) -> Result<(), OperationError> {
        let (cluster, group_name) = (self.cluster()?, self.group_name(group)?);
        let node_name = self.node_name(node)?;
        let trouble = |error| failed("installation", error, "see the cluster's configuration");
        let configuration = cluster.configuration().map_err(trouble)?;
        for service in SERVICES {
            let name = names::resource(service);
            if configuration.resource(&name).is_none() {
                let config = service_resource(service).possible_owners(&[&node_name]);
                cluster.add_resource(&group_name, config).map_err(trouble)?;
            }
            for key in [RegistryKey::Parameters, RegistryKey::Diagnostics] {
                self.attach(service, &names::key(service, key))?;
            }
        }
        Ok(())
    }

    /// Attaches a key unless it is attached already.
    fn attach(&self, service: Resource, key: &CheckpointKey) -> Result<(), OperationError> {
        if self.is_attached(service, key)? {
            return Ok(());
        }
        let added = self.cluster()?.add_checkpoint(&names::resource(service), key, None);
        added.map(drop).map_err(|error| failed("checkpoint", error, "start the owner's node"))
    }

    pub(super) fn is_attached(
        &self,
        service: Resource,
        key: &CheckpointKey,
    ) -> Result<bool, OperationError> {
        let configuration = self.cluster()?.configuration();
        let configuration =
            configuration.map_err(|error| failed("cluster", error, "see the quorum folder"))?;
        let found = configuration.resource(&names::resource(service));
        Ok(found.is_some_and(|(_, config)| config.checkpoints.iter().any(|one| one.key == *key)))
    }

    pub(super) fn uninstall_server(&mut self, server: &str) -> Done {
        let cluster = self.cluster()?;
        for service in SERVICES.into_iter().rev() {
            let name = names::resource(service);
            let known = cluster.configuration().is_ok_and(|one| one.resource(&name).is_some());
            if known {
                let removed = cluster.remove_resource(&name);
                removed.map_err(|error| failed("installation", error, "take it offline first"))?;
            }
        }
        done([format!("the services of server {server} are gone from the group; data is kept")])
    }

    pub(super) fn check_setup(&mut self, node: &str) -> Done {
        let registry = self.node_registry(node);
        let software = registry.software().map_err(from_error)?;
        let software =
            software.ok_or_else(|| failed(node, "no server is installed", "install it again"))?;
        done([format!(
            "on {node}: server {} {} for {} with {}",
            software.server,
            software.version,
            software.service_account,
            software.components.join(", ")
        )])
    }

    /// Measures the machine of the group's disk; the settings travel with the group, and the store
    /// uses them at its next opening.
    pub(super) fn tune(&mut self, group: &str, tell: Tell<'_>) -> Done {
        let folder = self.work.shared();
        let (bounds, clock) = (MeasureBounds::brief(), Arc::clone(&self.session.clock));
        let measured = machine::measure(&folder, bounds, &*clock, &mut |progress| {
            let what = format!("measuring {}", progress.what);
            let (done, total, unit) = (progress.done, progress.total, "measurements".to_owned());
            match tell(Progress { what, done, total, unit }) {
                Flow::Continue => rehome_store::Flow::Continue,
                Flow::Stop => rehome_store::Flow::Stop,
            }
        });
        let Tuning { settings, .. } = measured.map_err(from_error)?;
        let registry = self.owner_registry(group)?;
        registry.set_store_settings(&settings).map_err(from_error)?;
        let disk = settings.measured.map(|measured| measured.disk).unwrap_or_default();
        done([format!(
            "a durable append takes {} µs, a large file {} MB/s; cache {} MiB",
            disk.append_in_place.p50_us,
            disk.write_direct_bytes_per_second / 1_000_000,
            settings.cache_bytes >> 20
        )])
    }

    pub(super) fn add_checkpoint(&mut self, resource: Resource, key: RegistryKey) -> Done {
        self.ensure_nodes()?;
        self.attach(resource, &names::key(resource, key))?;
        done([format!("{key} of {resource} was captured and travels with the group")])
    }

    pub(super) fn remove_checkpoint(&mut self, resource: Resource, key: RegistryKey) -> Done {
        self.ensure_nodes()?;
        // The root key covers the keys below it, so that it goes together with these.
        let keys = match key {
            RegistryKey::Root => {
                [RegistryKey::Root, RegistryKey::Parameters, RegistryKey::Diagnostics].as_slice()
            }
            _ => std::slice::from_ref(&key),
        };
        for one in keys {
            let path = names::key(resource, *one);
            if self.is_attached(resource, &path)? {
                let removed = self.cluster()?.remove_checkpoint(&names::resource(resource), &path);
                removed.map_err(|error| failed("checkpoint", error, "see the quorum folder"))?;
            }
        }
        done([format!("{key} of {resource} no longer travels with the group")])
    }

    pub(super) fn refresh_checkpoints(&mut self) -> Done {
        self.ensure_nodes()?;
        let mut count = 0;
        for (service, key) in self.attached_keys()? {
            let (cluster, name) = (self.cluster()?, names::resource(service));
            let trouble = |error| failed("checkpoint", error, "see the quorum folder");
            cluster.remove_checkpoint(&name, &key).map_err(trouble)?;
            cluster.add_checkpoint(&name, &key, None).map_err(trouble)?;
            count += 1;
        }
        done([format!("{count} checkpoints taken anew from what is live")])
    }

    /// Every key that travels with a service of the group.
    pub(super) fn attached_keys(&self) -> Result<Vec<(Resource, CheckpointKey)>, OperationError> {
        let configuration = self.cluster()?.configuration();
        let configuration =
            configuration.map_err(|error| failed("cluster", error, "see the quorum folder"))?;
        let mut keys = Vec::new();
        for service in SERVICES {
            if let Some((_, config)) = configuration.resource(&names::resource(service)) {
                keys.extend(config.checkpoints.iter().map(|one| (service, one.key.clone())));
            }
        }
        Ok(keys)
    }

    pub(super) fn inspect_checkpoints(&mut self, resource: Resource) -> Done {
        let keys = self.attached_keys()?;
        let of = keys.iter().filter(|(service, _)| *service == resource);
        let shown: Vec<String> = of.map(|(_, key)| key.to_string()).collect();
        done([format!("{resource} has the checkpoints {}", shown.join(", "))])
    }

    pub(super) fn confirm_checkpoints(&mut self, group: &str) -> Done {
        let differing = self.differing_checkpoints(group)?;
        if differing.is_empty() {
            return done(["every checkpoint holds what is live on the owner".to_owned()]);
        }
        let cause = format!("these keys differ from their checkpoints: {}", differing.join(", "));
        Err(for_a_person("checkpoints", cause, "take them anew while the resource is offline"))
    }

    /// The keys whose checkpoint is another than what is live on the owner of the group.
    pub(super) fn differing_checkpoints(&self, group: &str) -> Result<Vec<String>, OperationError> {
        let registry = self.owner_registry(group)?;
        let cluster = self.cluster()?;
        let mut differing = Vec::new();
        for (service, key) in self.attached_keys()? {
            let kept = cluster.checkpoint(&names::resource(service), &key);
            let kept = kept.map_err(|error| failed("checkpoint", error, "see the quorum"))?;
            let live = registry.content(key.as_str()).map_err(from_error)?;
            if kept.is_none_or(|kept| kept.content != live) {
                differing.push(key.to_string());
            }
        }
        Ok(differing)
    }

    /// Whether the marker of a restore will be there when the service starts: live, and in every
    /// checkpoint that is written over it.
    pub(super) fn marker_is_safe(
        &self,
        group: &str,
        service: Resource,
    ) -> Result<bool, OperationError> {
        let registry = self.owner_registry(group)?;
        if !registry.marker(service).exists() {
            return Ok(false);
        }
        let root = names::key(service, RegistryKey::Root);
        let kept = self.cluster()?.checkpoint(&names::resource(service), &root);
        let kept = kept.map_err(|error| failed("checkpoint", error, "see the quorum folder"))?;
        Ok(match kept.map(|kept| kept.content) {
            Some(KeyContent::Folder(files)) => files.contains_key(crate::registry::RESTORE_MARKER),
            Some(_) => false,
            None => !self.is_attached(service, &root)?,
        })
    }
}

/// A service of the group as a supervised process of this program.
fn service_resource(service: Resource) -> ResourceConfig {
    let port = CLAIM_PORT + names::port_offset(service);
    let args = [
        "serve",
        service.as_str(),
        "--dir",
        &format!("{{folder}}/{service}"),
        "--listen",
        &format!("{{address}}:{port}"),
        "--server",
        "{name}",
        "--epoch",
        "{epoch}",
        "--registry",
        "{registry}",
        "--while-stdin",
    ];
    let kind = ResourceKind::Process {
        program: None,
        args: args.map(ToOwned::to_owned).to_vec(),
        env: std::collections::BTreeMap::new(),
    };
    let of = names::resource;
    let needs = match service {
        Resource::Directory => vec![of(Resource::Attendant)],
        Resource::Store => vec![of(Resource::Directory)],
        _ => vec![of(Resource::NetworkName), of(Resource::Disk)],
    };
    ResourceConfig::new(of(service), kind).depends_on(&needs.iter().collect::<Vec<_>>())
}
