//! Backups of a server, their reading back, and the restore into the group.

use std::path::PathBuf;
use std::sync::Arc;

use rehome_archive::{Encryption, Set};
use rehome_executor::{Flow, OperationError, Progress};
use rehome_log::Lsn;
use rehome_planner::{Action, BackupKind, Resource};
use rehome_server::RemoteSource;
use rehome_store::{LocalSource, LogPolicy, OpenOptions, Store};

use super::World;
use super::group::Tell;
use super::remember;
use super::trouble::{Done, Seen, done, failed, for_a_person, from_error, if_true};
use crate::backup::{self, BackupRequest, DIRECTORY_STREAM};
use crate::error::Error;
use crate::event::Event;
use crate::jobs::keys;
use crate::log_archive::{self, LocalLog, LogJob, LogSource, RemoteLog};
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
        let (fact, text) = match kind {
            BackupKind::After(_) if !self.answers(server)? => self.archive_tail(server, tell)?,
            _ => self.back_up_mail(server, label, kind, tell)?,
        };
        remember(&mut self.memory, |facts| {
            facts.backups.insert(label.to_owned(), fact);
            facts.checked.remove(label);
        })?;
        let mut notes = vec![format!("{label}: {text}")];
        if let BackupKind::After(earlier) = kind {
            notes.push(format!("it holds what came after {earlier}"));
        }
        done(notes)
    }

    /// Makes a backup of the mailboxes of a server, whether it runs or not.
    fn back_up_mail(
        &mut self,
        server: &str,
        label: &str,
        kind: &BackupKind,
        tell: Tell<'_>,
    ) -> Result<(BackupFact, String), OperationError> {
        let account = self.working_account();
        let directory = self.directory(server)?;
        let catalog = self.is_followed_by_log(label);
        let set = self.set_name(server);
        let request = BackupRequest {
            set: self.work.backups().join(&set),
            account: account.clone(),
            directory: Some(directory),
            catalog,
            options: match kind {
                BackupKind::After(_) => rehome_archive::BackupKind::Incremental,
                _ => rehome_archive::BackupKind::Full,
            }
            .into(),
            encryption: self.encryption()?,
            clock: Arc::clone(&self.session.clock),
        };
        if catalog {
            self.keep_log(server)?;
        }
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
        let text = report.to_string();
        let (id, lsn) = (report.id, report.lsn);
        Ok((BackupFact { id, account, lsn, server: server.to_owned(), set, is_log: false }, text))
    }

    /// Has a server's log kept until it is archived, and keeps in mind whether it was not before.
    fn keep_log(&mut self, server: &str) -> Result<(), OperationError> {
        let kept = self.with_log(server, |log| {
            let before = log.policy()?;
            Ok(before == LogPolicy::Circular)
        })?;
        if kept {
            // The note comes first: a log that is kept without it would never be given up again.
            remember(&mut self.memory, |facts| {
                facts.circular_before.insert(server.to_owned());
            })?;
        }
        self.with_log(server, |log| log.keep())
    }

    /// Gives a server's log up again as it was before a backup had it kept.
    pub(super) fn use_circular_log(&mut self, server: &str) -> Done {
        if !self.memory.facts().circular_before.contains(server) {
            return done([format!("{server}: no backup of this plan has had its log kept")]);
        }
        self.with_log(server, |log| log.circulate())?;
        remember(&mut self.memory, |facts| {
            facts.circular_before.remove(server);
        })?;
        done([format!("{server}: the log is circular again")])
    }

    /// Does something with a server's log, whether the server runs or not.
    fn with_log<T>(
        &mut self,
        server: &str,
        work: impl FnOnce(&mut dyn LogSource) -> Result<T, Error>,
    ) -> Result<T, OperationError> {
        if self.answers(server)? {
            let source = self.remote_source(server)?;
            let mut log =
                RemoteLog::of(source).map_err(|error| failed(server, error, "see that it runs"))?;
            return work(&mut log).map_err(|error| failed(server, error, "see that it runs"));
        }
        let store = self.open_store_of(server)?;
        let done = work(&mut LocalLog(&store));
        store.close().map_err(|error| failed(server, error, "see its disk"))?;
        done.map_err(|error| failed(server, error, "see its disk"))
    }

    /// What encrypts the backups, if they have recipients.
    fn encryption(&self) -> Result<Option<Encryption>, OperationError> {
        keys::encryption(&self.session.archive_keys.recipients).map_err(from_error)
    }

    /// Opens an archive set with the keys there are.
    fn open_set(&self, set: &str) -> Result<Set, OperationError> {
        let identities = keys::identities(self.session.archive_keys.identity.as_deref());
        let identities = identities.map_err(from_error)?;
        let target = crate::place::target(&self.work.backups().join(set)).map_err(from_error)?;
        let opened = Set::open(target).map_err(|error| failed(set, error, "see its disk"))?;
        Ok(opened.with_identities(identities))
    }

    /// Archives the log of a stopped server up to its end, and its directory as it is now.
    fn archive_tail(
        &mut self,
        server: &str,
        tell: Tell<'_>,
    ) -> Result<(BackupFact, String), OperationError> {
        let account = self.working_account();
        let directory = self.directory(server)?;
        let set = self.set_name(server);
        let target = crate::place::target(&self.work.backups().join(&set)).map_err(from_error)?;
        let job = LogJob {
            account: account.clone(),
            encryption: self.encryption()?,
            clock: Arc::clone(&self.session.clock),
        };
        let encryption = job.encryption.clone();
        let store = self.open_store_of(server)?;
        let archived =
            log_archive::archive_log(&mut LocalLog(&store), &target, &job, &mut pass(tell));
        store.close().map_err(|error| failed(server, error, "see its disk"))?;
        let archived = archived.map_err(from_error)?;
        let json = serde_json::to_string(&directory)
            .map_err(|error| failed(server, error, "see its directory"))?;
        Set::open(target)
            .and_then(|set| {
                set.keep_note(archived.until, DIRECTORY_STREAM, &json, encryption.as_ref())
            })
            .map_err(|error| failed(server, error, "see the disk of the archive set"))?;
        let (id, lsn) = (format!("log up to {}", archived.until), archived.until.to_u64());
        let fact = BackupFact { id, account, lsn, server: server.to_owned(), set, is_log: true };
        Ok((fact, archived.to_string()))
    }

    /// Whether the plan archives the log behind the backup with this label.
    fn is_followed_by_log(&self, label: &str) -> bool {
        self.plan.steps.iter().any(|step| match &step.action {
            Action::BackUp { kind: BackupKind::After(earlier), .. } => earlier == label,
            _ => false,
        })
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
        let set = self.open_set(&fact.set)?;
        let text = match fact.is_log {
            true => log_archive::check(&set, Lsn::from_u64(fact.lsn)),
            false => backup::check_in(&set, &fact.id, true, &mut pass(tell)),
        };
        let text = text.map_err(|error| for_a_person(label, error, "make the backup again"))?;
        remember(&mut self.memory, |facts| {
            facts.checked.insert(label.to_owned());
        })?;
        done([format!("{label}: {text}")])
    }

    /// The archive set of a server: one set holds the backups of one store, and a store that was
    /// restored is another one.
    fn set_name(&self, server: &str) -> String {
        match self.memory.facts().restored.contains(Resource::Store.as_str()) {
            true => format!("{server}-restored"),
            false => server.to_owned(),
        }
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
        let set = self.open_set(&fact.set)?;
        let moment = fact.is_log.then(|| Lsn::from_u64(fact.lsn));
        let text = match (part, moment) {
            (Resource::Directory, None) => restore::directory(&set, &fact.id, &target, &marker),
            (Resource::Directory, Some(lsn)) => restore::directory_at(&set, lsn, &target, &marker),
            (_, None) => restore::store(&set, &fact.id, &target, &marker, &mut pass(tell)),
            (_, Some(lsn)) => restore::store_at(&set, lsn, &target, &marker, &mut pass(tell)),
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
