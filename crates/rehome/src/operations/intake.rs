//! The old server: taking its mail in, starting, stopping and upgrading it, giving it up.

use std::path::Path;
use std::time::{Duration, Instant};

use rehome_executor::{Flow, OperationError, Progress};
use rehome_planner::Resource;
use rehome_site::Directory;
use rehome_store::{
    ImportOptions, LocalSource, MailboxName, MoveSource, OpenOptions, Store, StoreError,
    import_source,
};

use super::World;
use super::checks::server_name;
use super::group::Tell;
use super::remember;
use super::trouble::{Done, Seen, done, failed, for_a_person, from_error, if_true, interrupted};
use crate::process::{PREDECESSOR_MAX, Process};
use crate::registry::{Registry, Software};
use crate::site_file::PUBLIC_MAILBOX;

impl World<'_> {
    pub(super) fn take_in(&mut self, server: &str, tell: Tell<'_>) -> Done {
        self.stop_old_server();
        let (mut messages, mut skipped) = (0, Vec::new());
        self.with_old_store(server, |world, store| {
            let folders = world.mail_sources();
            let total = world.plan.inventory.messages();
            for (name, folder) in &folders {
                let mailbox = MailboxName::try_from(name.as_str())
                    .map_err(|error| failed(name, error, "rename the mailbox in the site file"))?;
                let mut observe = |progress: rehome_store::ImportProgress| {
                    let told = tell(Progress {
                        what: "taking in".to_owned(),
                        done: messages + progress.messages + progress.present,
                        total,
                        unit: "messages".to_owned(),
                    });
                    match told {
                        Flow::Continue => rehome_store::Flow::Continue,
                        Flow::Stop => rehome_store::Flow::Stop,
                    }
                };
                let options = ImportOptions::default();
                let report = import_source(folder, &mailbox, None, store, &options, &mut observe)
                    .map_err(import_error)?;
                messages += report.messages() + report.present();
                let mail = report.skipped.iter().filter(|one| one.mail);
                skipped.extend(mail.map(|one| format!("{}: {}", one.place, one.reason)));
            }
            world.write_down(server, store)?;
            let checkpoint = store.checkpoint();
            checkpoint.map(drop).map_err(|error| failed(server, error, "see to its disk"))
        })?;
        self.make_old_directory(server)?;
        self.set_old_software(server, None)?;
        remember(&mut self.memory, |facts| facts.old_server_runs = true)?;
        self.ensure_old_server()?;
        let mut notes = vec![format!("{messages} messages taken in; {server} is online")];
        notes.extend(skipped.into_iter().take(20));
        done(notes)
    }

    /// Opens the old server's store while its process does not run.
    fn with_old_store(
        &mut self,
        server: &str,
        work: impl FnOnce(&mut Self, &Store) -> Result<(), OperationError>,
    ) -> Result<(), OperationError> {
        let path = self.work.server(server).join("store");
        let trouble = |error| failed(&path.display().to_string(), error, "see what it says");
        let options = OpenOptions { owner: format!("server {server}"), ..OpenOptions::default() };
        let store = open_patiently(&path, &options).map_err(trouble)?;
        work(self, &store)?;
        store.close().map_err(trouble)
    }

    /// Keeps what was taken in, so that what users change later can be told from what is lost.
    fn write_down(&self, server: &str, store: &Store) -> Result<(), OperationError> {
        let mailboxes: Result<Vec<MailboxName>, _> = self
            .site
            .mail_folders()
            .iter()
            .map(|(name, _)| MailboxName::try_from(name.as_str()))
            .collect();
        let mailboxes =
            mailboxes.map_err(|error| failed(server, error, "correct the site file"))?;
        let about = (self.plan.id.as_str(), server, self.session.clock.wall_us());
        crate::taken_in::write(self.work, about, &mailboxes, store).map_err(from_error)
    }

    /// Lets `work` read the copies of mailboxes that the old server has kept, whether it runs or
    /// its store rests; not if there is none.
    pub(super) fn with_old_copies<T>(
        &mut self,
        work: impl FnOnce(&mut dyn MoveSource) -> Result<T, OperationError>,
    ) -> Result<Option<T>, OperationError> {
        let name = self.plan.inventory.old_server.clone();
        if self.memory.facts().old_server_runs {
            self.ensure_old_server()?;
            let mut source = self.names.source(&name).map_err(from_error)?;
            return work(&mut source).map(Some);
        }
        if !self.work.server(&name).join("store").join("store.id").exists() {
            return Ok(None);
        }
        let mut done = None;
        self.with_old_store(&name, |_, store| {
            done = Some(work(&mut LocalSource::new(store.clone()))?);
            Ok(())
        })?;
        Ok(done)
    }

    /// Makes the directory of the old server from the site, unless it has one.
    fn make_old_directory(&mut self, server: &str) -> Result<(), OperationError> {
        let folder = self.work.server(server).join("directory");
        let now_us = self.session.clock.wall_us();
        let directory = Directory::from_site(&self.site.site, server_name(server)?, 1, now_us)
            .map_err(|error| for_a_person("directory", error, "correct the site file"))?;
        crate::directory::create(&folder, &directory).map_err(from_error)
    }

    fn set_old_software(
        &mut self,
        server: &str,
        version: Option<&str>,
    ) -> Result<(), OperationError> {
        let site = &self.site.site;
        let old = site.old_server();
        let registry = Registry::new(self.work.server(server).join("registry"));
        let version = version.map_or_else(|| old.version.to_string(), ToOwned::to_owned);
        let software = Software {
            organization: site.organization.to_string(),
            site: site.site.to_string(),
            server: server.to_owned(),
            version,
            service_account: old.service_account.to_string(),
            components: crate::names::SERVICES.iter().map(ToString::to_string).collect(),
        };
        registry.set_software(&software).map_err(from_error)?;
        registry.prepare(Resource::Store).map_err(from_error)
    }

    /// Starts the old server if it does not run, and registers its name.
    pub(super) fn ensure_old_server(&mut self) -> Result<(), OperationError> {
        if self.old_server.as_mut().is_some_and(Process::is_running) {
            return Ok(());
        }
        self.stop_old_server();
        let name = self.plan.inventory.old_server.clone();
        let folder = self.work.server(&name);
        let (dir, registry) = (folder.clone(), folder.join("registry"));
        let names = self.work.names();
        let shown = [dir, registry, names].map(|path| path.display().to_string());
        let [dir, registry, names] = &shown;
        let args = ["serve", "standalone", "--server", &name, "--dir", dir];
        let args = [&args[..], &["--registry", registry, "--names", names]].concat();
        let args = args.into_iter().map(ToOwned::to_owned).collect();
        let log = folder.join("server.log");
        let process = self.start_service(&name, &format!("server {name}"), args, log)?;
        self.old_server = Some(process);
        Ok(())
    }

    pub(super) fn start_server(&mut self, server: &str) -> Done {
        remember(&mut self.memory, |facts| facts.old_server_runs = true)?;
        self.ensure_old_server()?;
        done([format!("{server} is online")])
    }

    pub(super) fn stop_server(&mut self, server: &str) -> Done {
        let now_us = self.session.clock.wall_us();
        remember(&mut self.memory, |facts| {
            facts.old_server_runs = false;
            facts.outage_from_us.get_or_insert(now_us);
        })?;
        self.stop_old_server();
        done([format!("{server} is stopped")])
    }

    pub(super) fn upgrade(&mut self, server: &str, version: &str) -> Done {
        self.stop_old_server();
        // Opening the store brings its format to this program's version.
        self.with_old_store(server, |_, store| {
            let checkpoint = store.checkpoint();
            checkpoint.map(drop).map_err(|error| failed(server, error, "see to its disk"))
        })?;
        self.set_old_software(server, Some(version))?;
        remember(&mut self.memory, |facts| {
            facts.versions.insert(server.to_owned(), version.to_owned());
        })?;
        self.ensure_old_server()?;
        done([format!("{server} runs version {version}")])
    }

    pub(super) fn version_of(&self, server: &str) -> Result<String, OperationError> {
        let registry = Registry::new(self.work.server(server).join("registry"));
        let software = registry.software().map_err(from_error)?;
        Ok(software.map_or_else(|| "none".to_owned(), |software| software.version))
    }

    pub(super) fn log_on(&mut self, account: &str) -> Done {
        let account = self.gates.account.clone().unwrap_or_else(|| account.to_owned());
        remember(&mut self.memory, |facts| facts.account = Some(account.clone()))?;
        done([format!("working as {account}")])
    }

    /// The account that works is the services' own: it may start and stop them.
    pub(super) fn may_administer(&self, account: &str) -> Seen {
        let Some(own) = &self.memory.facts().account else {
            return super::trouble::open("nobody has logged on", "log on");
        };
        if_true(
            own.eq_ignore_ascii_case(account),
            format!("{own} is the account of the services"),
            format!(
                "{own} is not the account of the services, {account}, and is not known to be an \
                 administrator: it could not start and stop them (--account {account})"
            ),
        )
    }

    pub(super) fn wipe(&mut self, computer: &str) -> Done {
        remember(&mut self.memory, |facts| {
            facts.released.insert(computer.to_owned());
        })?;
        done([format!(
            "the computer of {computer} is given up; its old files are kept in {} and used by \
             nobody",
            self.work.server(computer).display()
        )])
    }

    /// Whether each mailbox has at least what lies in its folder.
    pub(super) fn is_taken_in(&mut self, server: &str) -> Seen {
        if !self.memory.facts().old_server_runs {
            return super::trouble::open("it was not taken in", "take it in");
        }
        let held = self.mailboxes_of(server)?;
        let mut short = Vec::new();
        for facts in self.plan.inventory.mailboxes.iter().filter(|one| one.server == server) {
            let there = held.get(&facts.name).copied().unwrap_or(0);
            if there < facts.messages {
                short.push(format!("{}: {there} of {}", facts.name, facts.messages));
            }
        }
        if_true(short.is_empty(), "every mailbox has what its folder has", short.join(", "))
    }

    /// The folders of mail: one for each mailbox, and the public folders if there are any.
    fn mail_sources(&self) -> Vec<(String, std::path::PathBuf)> {
        let mut sources = self.site.mail_folders();
        let public = self.site.base.join("mail-public");
        if public.is_dir() {
            sources.push((PUBLIC_MAILBOX.to_owned(), public));
        }
        sources
    }
}

/// Opens or makes a store; what a killed run left may still be ending, and has it open until then.
pub(super) fn open_patiently(path: &Path, options: &OpenOptions) -> Result<Store, StoreError> {
    let started = Instant::now();
    loop {
        let opened = if path.join("store.id").exists() {
            Store::open_at(path, options.clone())
        } else {
            Store::create_at(path, options.clone())
        };
        match opened {
            Err(StoreError::Locked { .. }) if started.elapsed() < PREDECESSOR_MAX => {
                std::thread::park_timeout(Duration::from_millis(50));
            }
            other => return other,
        }
    }
}

fn import_error(error: rehome_store::ImportError) -> OperationError {
    match error {
        rehome_store::ImportError::Interrupted { .. } => interrupted(),
        other => failed("import", other, "mend the folder of mail, and run this again"),
    }
}
