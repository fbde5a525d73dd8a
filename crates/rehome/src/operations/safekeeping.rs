//! Backups of a server, their reading back, and the restore into the group.

use std::path::PathBuf;
use std::sync::Arc;

use rehome_executor::{Flow, OperationError, Progress};
use rehome_planner::{BackupKind, Resource};
use rehome_server::RemoteSource;
use rehome_store::{LocalSource, OpenOptions, Store};

use super::World;
use super::group::Tell;
use super::remember;
use super::trouble::{Done, Seen, done, failed, for_a_person, from_error, if_true};
use crate::backup::{self, BackupRequest};
use crate::event::Event;
use crate::memory::BackupFact;
use crate::restore;

/// Passes what a backup or a restore tells on to the executor.
fn pass<'a>(tell: Tell<'a>) -> impl FnMut(Event) -> crate::event::Flow + 'a {
    move |event| {
        let Event::Progress { what, done, total, unit } = event else {
            return crate::event::Flow::Continue;
        };
        match tell(Progress { what, done, total, unit }) {
            Flow::Continue => crate::event::Flow::Continue,
            Flow::Stop => crate::event::Flow::Stop,
        }
    }
}

impl World<'_> {
    pub(super) fn back_up(
        &mut self,
        server: &str,
        label: &str,
        kind: &BackupKind,
        tell: Tell<'_>,
    ) -> Done {
        let account = self.working_account();
        let directory = self.directory(server)?;
        let request = BackupRequest {
            set: self.set_of(server),
            account: account.clone(),
            directory: Some(directory),
            options: match kind {
                BackupKind::After(_) => rehome_archive::BackupKind::Incremental,
                _ => rehome_archive::BackupKind::Full,
            }
            .into(),
            clock: Arc::clone(&self.session.clock),
        };
        let report = if self.answers(server)? {
            let mut source = self.remote_source(server)?;
            let names = self.mailbox_names(server)?;
            backup::back_up(&mut source, &names, &request, &mut pass(tell))
        } else {
            let store = self.open_store_of(server)?;
            let names = store.mailboxes().map_err(|error| failed(server, error, "see it"))?;
            let names = names.into_iter().map(|mailbox| mailbox.name).collect::<Vec<_>>();
            let mut source = LocalSource::new(store.clone());
            let report = backup::back_up(&mut source, &names, &request, &mut pass(tell));
            drop(source);
            store.close().map_err(|error| failed(server, error, "see its disk"))?;
            report
        };
        let report = report.map_err(from_error)?;
        let fact =
            BackupFact { id: report.id.clone(), account, lsn: report.lsn, server: server.into() };
        remember(&mut self.memory, |facts| {
            facts.backups.insert(label.to_owned(), fact);
            facts.checked.remove(label);
        })?;
        let mut notes = vec![format!("{label}: {report}")];
        if let BackupKind::After(earlier) = kind {
            notes.push(format!("it holds what came after {earlier}"));
        }
        done(notes)
    }

    /// Opens the store of a server that does not run.
    fn open_store_of(&mut self, server: &str) -> Result<Store, OperationError> {
        let path = self.work.server(server).join("store");
        let options = OpenOptions { owner: "backup".to_owned(), ..OpenOptions::default() };
        super::intake::open_patiently(&path, &options)
            .map_err(|error| failed(&path.display().to_string(), error, "see what it says"))
    }

    /// The account under which backups are made and restored.
    fn working_account(&self) -> String {
        let own = self.memory.facts().account.clone().or_else(|| self.gates.account.clone());
        own.unwrap_or_else(|| self.site.site.old_server().service_account.to_string())
    }

    pub(super) fn check_backup(&mut self, label: &str, tell: Tell<'_>) -> Done {
        let fact = self.backup_fact(label)?;
        let text = backup::check(&self.set_of(&fact.server), &fact.id, true, &mut pass(tell))
            .map_err(|error| for_a_person(label, error, "make the backup again"))?;
        remember(&mut self.memory, |facts| {
            facts.checked.insert(label.to_owned());
        })?;
        done([format!("{label}: {text}")])
    }

    /// The archive set of a server: one set holds the backups of one store.
    fn set_of(&self, server: &str) -> PathBuf {
        self.work.backups().join(server)
    }

    fn backup_fact(&self, label: &str) -> Result<BackupFact, OperationError> {
        let fact = self.memory.facts().backups.get(label).cloned();
        fact.ok_or_else(|| failed(label, "there is no such backup", "make it first"))
    }

    /// Whether nothing was written to a server after its backup.
    pub(super) fn is_latest(&mut self, server: &str, label: &str) -> Seen {
        let fact = self.backup_fact(label)?;
        let rests = !self.answers(server)?;
        if_true(
            rests && fact.server == server,
            format!("{server} has been stopped since before the backup"),
            format!("{server} still answers and may take mail"),
        )
    }

    pub(super) fn restore(
        &mut self,
        group: &str,
        labels: &[String],
        part: Resource,
        tell: Tell<'_>,
    ) -> Done {
        let label = labels.last().cloned().unwrap_or_default();
        let fact = self.backup_fact(&label)?;
        self.expect_account(&fact)?;
        if part == Resource::Store && self.memory.facts().restored.contains(part.as_str()) {
            return done(["the store was laid down before".to_owned()]);
        }
        let registry = self.owner_registry(group)?;
        let marker = registry.marker(part);
        let target: PathBuf = self.shared(part);
        let set = self.set_of(&fact.server);
        let text = match part {
            Resource::Directory => restore::directory(&set, &fact.id, &target, &marker),
            _ => restore::store(&set, &fact.id, &target, &marker, &mut pass(tell)),
        };
        let text = text.map_err(from_error)?;
        remember(&mut self.memory, |facts| {
            facts.restored.insert(part.as_str().to_owned());
        })?;
        done([format!("{part}: {text}; not started")])
    }

    /// Whoever restores is who backed up, or the services' own account.
    fn expect_account(&self, fact: &BackupFact) -> Result<(), OperationError> {
        let own = self.working_account();
        let services = self.site.site.old_server().service_account.to_string();
        may_restore(&own, &fact.account, &services)
    }

    pub(super) fn remote_source(&mut self, server: &str) -> Result<RemoteSource, OperationError> {
        self.names.source(server).map_err(from_error)
    }
}

/// Whether `own` may restore what `maker` backed up, where the services run under `services`.
fn may_restore(own: &str, maker: &str, services: &str) -> Result<(), OperationError> {
    if own.eq_ignore_ascii_case(maker) || own.eq_ignore_ascii_case(services) {
        return Ok(());
    }
    Err(for_a_person(
        "restore",
        format!(
            "{own} neither made the backup ({maker} did) nor is the services' account {services}: \
             it could not start and stop them"
        ),
        "run the same command with --account, as one of the two",
    ))
}

#[cfg(test)]
mod tests {
    use super::may_restore;

    #[track_caller]
    fn check(own: &str, expected: bool) {
        let judged = may_restore(own, "EXAMPLE\\operator", "EXAMPLE\\svc");
        assert_eq!(judged.is_ok(), expected, "{judged:?}");
    }

    #[test]
    fn only_who_backed_up_or_the_services_account_restores() {
        check("EXAMPLE\\operator", true);
        check("example\\OPERATOR", true);
        check("EXAMPLE\\svc", true);
        check("EXAMPLE\\somebody", false);
        check("operator", false);
        check("", false);
    }
}
