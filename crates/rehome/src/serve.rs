//! The services of a mail server as processes of this program.

use std::path::{Path, PathBuf};

use rehome_planner::Resource;
use rehome_server::{
    AttendantOptions, DirectoryServiceOptions, ServiceOptions, StandaloneOptions,
    StoreServiceOptions, run_attendant, run_directory, run_standalone, run_store,
};
use rehome_store::StoreSettings;

use crate::error::Error;
use crate::memory::write_durably;
use crate::names::port_offset;
use crate::registry::{Registry, Software};
use crate::standing::Announced;
pub use crate::standing::Announcements;

/// Which service is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServiceKind {
    /// The endpoint mapper of a server.
    Attendant,
    /// The directory.
    Directory,
    /// The mailbox store.
    Store,
    /// All three in one process.
    Standalone,
}

/// How a service is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceSettings {
    /// The service's folder.
    pub dir: PathBuf,
    /// The address to listen on.
    pub listen: String,
    /// The server's name.
    pub server: String,
    /// The fencing token.
    pub epoch: u64,
    /// The node's registry.
    pub registry: Option<PathBuf>,
    /// End when standard input ends.
    pub while_stdin: bool,
    /// Where it says that it is ready, beside its standard output.
    pub announce: Announcements,
}

/// Runs a service until it is told to end. It says `ready {json}` on standard output when it
/// serves and `progress {json}` while it recovers, and reads its lease from standard input.
///
/// # Errors
///
/// [`Error::NeedsHuman`] if it cannot start.
pub fn run(kind: ServiceKind, settings: &ServiceSettings) -> Result<(), Error> {
    let announced = Announced::new(&settings.announce, &settings.server);
    let mut out = announced.through(std::io::stdout());
    let input = Box::new(std::io::stdin());
    let service = ServiceOptions {
        listen: settings.listen.clone(),
        while_stdin: settings.while_stdin,
        ..ServiceOptions::new(&settings.server)
    };
    let registry = settings.registry.as_ref().map(Registry::new);
    let ended = match kind {
        ServiceKind::Attendant => {
            let options = attendant(service, settings, registry.as_ref())?;
            run_attendant(&options, &mut out, input)
        }
        ServiceKind::Directory => {
            consume_marker(&settings.dir, registry.as_ref())?;
            let options = DirectoryServiceOptions {
                epoch_token: settings.epoch,
                ..DirectoryServiceOptions::new(service, &settings.dir)
            };
            run_directory(&options, &mut out, input)
        }
        ServiceKind::Store => {
            let options = store(service, settings, registry.as_ref())?;
            run_store(&options, &mut out, input)
        }
        ServiceKind::Standalone => {
            let options = standalone(service, settings, registry.as_ref())?;
            run_standalone(&options, &mut out, input)
        }
    };
    ended.map(drop).map_err(Error::chain)
}

/// The installed server, as the node's registry has it.
fn software(registry: Option<&Registry>) -> Result<Software, Error> {
    let found = registry.map(Registry::software).transpose()?.flatten();
    found.ok_or_else(|| {
        Error::needs_human("no server is installed on this node; run the installation first")
    })
}

fn attendant(
    service: ServiceOptions,
    settings: &ServiceSettings,
    registry: Option<&Registry>,
) -> Result<AttendantOptions, Error> {
    let software = software(registry)?;
    let beside = |service: Resource| beside(&settings.listen, service);
    Ok(AttendantOptions {
        service,
        organization: software.organization,
        site: software.site,
        epoch: settings.epoch,
        directory: beside(Resource::Directory),
        store: beside(Resource::Store),
    })
}

/// Where another service of the group listens, seen from the attendant's address.
fn beside(attendant: &str, service: Resource) -> Option<String> {
    let (host, port) = attendant.rsplit_once(':')?;
    let port: u16 = port.parse().ok()?;
    let offset = port_offset(service) - port_offset(Resource::Attendant);
    Some(format!("{host}:{}", port.checked_add(offset)?))
}

fn store(
    service: ServiceOptions,
    settings: &ServiceSettings,
    registry: Option<&Registry>,
) -> Result<StoreServiceOptions, Error> {
    Ok(StoreServiceOptions {
        epoch_token: settings.epoch,
        settings: store_settings(registry)?,
        registry: registry.map(|registry| registry.service(Resource::Store)),
        leased: settings.while_stdin,
        ..StoreServiceOptions::new(service, &settings.dir)
    })
}

/// The store's settings in the node's registry, once they were measured there.
fn store_settings(registry: Option<&Registry>) -> Result<Option<StoreSettings>, Error> {
    let settings = registry.map(Registry::store_settings).transpose()?;
    Ok(settings.filter(|settings| settings.measured.is_some()))
}

fn standalone(
    service: ServiceOptions,
    settings: &ServiceSettings,
    registry: Option<&Registry>,
) -> Result<StandaloneOptions, Error> {
    let software = software(registry)?;
    Ok(StandaloneOptions {
        service,
        create_store: false,
        settings: store_settings(registry)?,
        registry: registry.map(|registry| registry.service(Resource::Store)),
        ..StandaloneOptions::new(
            &settings.server,
            &software.organization,
            &software.site,
            &settings.dir,
        )
    })
}

/// The note in a restored directory's folder that it must not start without its marker.
const PENDING: &str = "restored.pending";

/// Marks a directory as restored: it starts only where the registry has the same marker.
pub(crate) fn mark_restored(folder: &Path, marker: &Path, proof: &str) -> Result<(), Error> {
    write_durably(&folder.join(PENDING), proof.as_bytes())?;
    write_durably(marker, proof.as_bytes())
}

/// Lets a restored directory start if the marker in the registry is the one of its restore, and
/// removes both. Without the marker it must not: its registry was overwritten meanwhile.
fn consume_marker(folder: &Path, registry: Option<&Registry>) -> Result<(), Error> {
    let pending = folder.join(PENDING);
    let Some(registry) = registry else {
        if !pending.exists() {
            return Ok(());
        }
        return Err(Error::needs_human(format!(
            "{}: the directory was restored, and starts only where the registry has the marker of \
             that restore; give the node's registry with --registry",
            folder.display()
        )));
    };
    let marker = registry.marker(Resource::Directory);
    if pending.exists() {
        let proof = std::fs::read(&pending).map_err(Error::needs_human)?;
        let live = std::fs::read(&marker).unwrap_or_default();
        if live != proof {
            return Err(Error::needs_human(format!(
                "{}: the directory was restored, and the marker of that restore is not in {}: a \
                 checkpoint was written over it; remove the old checkpoint, restore again, and \
                 add a checkpoint that holds the marker (KB Q188674)",
                folder.display(),
                marker.display()
            )));
        }
        remove_durably(&pending)?;
    }
    if marker.exists() {
        remove_durably(&marker)?;
    }
    Ok(())
}

fn remove_durably(path: &Path) -> Result<(), Error> {
    let attempt = || -> std::io::Result<()> {
        std::fs::remove_file(path)?;
        path.parent().map_or(Ok(()), |folder| std::fs::File::open(folder)?.sync_all())
    };
    attempt().map_err(|error| Error::needs_human(format!("{}: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::{beside, consume_marker, mark_restored};
    use crate::registry::Registry;
    use rehome_planner::Resource;

    #[test]
    fn services_listen_on_the_ports_after_the_attendant() {
        assert_eq!(beside("127.0.0.9:7401", Resource::Store).as_deref(), Some("127.0.0.9:7403"));
        assert_eq!(beside("nonsense", Resource::Store), None);
        assert_eq!(beside("127.0.0.9:65535", Resource::Store), None, "there is no such port");
    }

    #[test]
    fn an_attendant_without_an_installation_does_not_start() {
        let scratch = tempfile::tempdir().expect("a scratch folder");
        let registry = Registry::new(scratch.path());
        for registry in [None, Some(&registry)] {
            let error = super::software(registry).expect_err("nothing is installed").to_string();
            assert!(error.contains("run the installation"), "{error}");
        }
    }

    #[test]
    fn a_restored_directory_starts_only_with_its_marker() {
        let scratch = tempfile::tempdir().expect("a scratch folder");
        let registry = Registry::new(scratch.path().join("registry"));
        let folder = scratch.path().join("directory");
        std::fs::create_dir_all(&folder).expect("writable");
        let marker = registry.marker(Resource::Directory);
        mark_restored(&folder, &marker, "proof").expect("writable");
        std::fs::remove_file(&marker).expect("it is there");
        assert!(consume_marker(&folder, Some(&registry)).is_err(), "the marker was wiped");
        assert!(consume_marker(&folder, None).is_err(), "nobody can say what the registry has");
        mark_restored(&folder, &marker, "proof").expect("writable");
        consume_marker(&folder, Some(&registry)).expect("the marker is there");
        assert!(!marker.exists());
        consume_marker(&folder, Some(&registry)).expect("it starts again without one");
        consume_marker(&folder, None).expect("it is a directory like any other");
    }
}
