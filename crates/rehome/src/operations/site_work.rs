//! The site around the servers: logons, trial, removal, verification, and the sum of it all.

use std::collections::{BTreeMap, HashSet};

use rehome_cluster::Target;
use rehome_executor::{Flow, OperationError, Progress};
use rehome_planner::{Outcome, Resource, Route, StepState, VerifyScope};
use rehome_server::DirectoryOp;
use rehome_site::Directory;
use rehome_store::{Comparison, ContentId, MailboxName, TransferError, compare_mailbox};

use super::World;
use super::checks::{folder_path, server_name};
use super::group::Tell;
use super::remember;
use super::trouble::{Done, Seen, done, failed, for_a_person, from_error, if_true, interrupted};
use crate::error::Error;
use crate::event::{Event, Observe};
use crate::summary::{LockTimes, Summary};
use crate::taken_in::TakenIn;
use crate::traffic::delivered_by;
use crate::verify::{Expected, Findings, compare, intact_contents};

impl World<'_> {
    /// Brings a resource online; with the store the whole server is back.
    pub(super) fn bring_online(&mut self, resource: Resource, tell: Tell<'_>) -> Done {
        let performed = self.resource_target(resource, Target::Online, tell)?;
        let now_us = self.session.clock.wall_us();
        if resource == Resource::Store {
            remember(&mut self.memory, |facts| {
                let from = facts.outage_from_us;
                // Milliseconds for people: the precision of f64 is plenty.
                #[allow(clippy::cast_precision_loss)]
                let lasted = from.map(|from| (now_us - from).max(0) as f64 / 1000.0);
                facts.outage_ms = facts.outage_ms.or(lasted);
            })?;
        }
        Ok(performed)
    }

    /// The directory of a server, as it is now.
    pub(super) fn directory(&mut self, server: &str) -> Result<Directory, OperationError> {
        let facts = self.memory.facts();
        let rests = !facts.old_server_runs && !facts.released.contains(server);
        if self.is_old(server) && rests {
            let folder = self.work.server(server).join("directory");
            return crate::directory::read(&folder).map_err(from_error);
        }
        self.names.directory(server).map_err(from_error)
    }

    /// The directory of the server that the plan leads to, or of the old one before that is there.
    pub(super) fn any_directory(&mut self) -> Result<Directory, OperationError> {
        let target = self.target_server();
        let old = self.plan.inventory.old_server.clone();
        self.names
            .directory(&target)
            .or_else(|_| self.names.directory(&old))
            .or_else(|_| {
                let folder = self.work.server(&old).join("directory");
                crate::directory::read(&folder)
            })
            .map_err(from_error)
    }

    /// The server under which the mail is found at the end.
    pub(super) fn target_server(&self) -> String {
        match self.plan.route {
            Route::MoveUsers => self.plan.inventory.cluster.server.clone(),
            Route::DisasterRecovery => self.plan.inventory.old_server.clone(),
        }
    }

    pub(super) fn is_old(&self, server: &str) -> bool {
        self.plan.inventory.old_server.eq_ignore_ascii_case(server)
    }

    /// Whether a server's store answers.
    pub(super) fn answers(&mut self, server: &str) -> Result<bool, OperationError> {
        Ok(self.names.answers(server))
    }

    pub(super) fn site_has(&mut self, server: &str) -> Result<bool, OperationError> {
        let name = server_name(server)?;
        Ok(self.any_directory()?.has_server(&name))
    }

    /// Messages in each mailbox of a server.
    pub(super) fn mailboxes_of(
        &mut self,
        server: &str,
    ) -> Result<BTreeMap<String, u64>, OperationError> {
        self.names.message_counts(server).map_err(from_error)
    }

    pub(super) fn mailbox_names(
        &mut self,
        server: &str,
    ) -> Result<Vec<MailboxName>, OperationError> {
        let names = self.mailboxes_of(server)?.into_keys();
        let names: Result<_, _> = names.map(|name| MailboxName::try_from(name.as_str())).collect();
        names.map_err(|error| failed(server, error, "see its mailboxes"))
    }

    /// The public folders whose home is not `server`.
    pub(super) fn folders_away(
        &mut self,
        server: &str,
        folders: &[String],
    ) -> Result<Vec<String>, OperationError> {
        let (directory, server) = (self.any_directory()?, server_name(server)?);
        let mut away = Vec::new();
        for folder in folders {
            let entry = directory.folder(&folder_path(folder)?);
            if entry.is_none_or(|entry| entry.home != server) {
                away.push(folder.clone());
            }
        }
        Ok(away)
    }

    /// The public folders that have no replica apart from `server`.
    pub(super) fn folders_alone(
        &mut self,
        server: &str,
        folders: &[String],
    ) -> Result<Vec<String>, OperationError> {
        let (directory, server) = (self.any_directory()?, server_name(server)?);
        let mut alone = Vec::new();
        for folder in folders {
            let entry = directory.folder(&folder_path(folder)?);
            if entry.is_some_and(|entry| !entry.replicas.iter().any(|one| *one != server)) {
                alone.push(folder.clone());
            }
        }
        Ok(alone)
    }

    pub(super) fn wait_for_folders(&mut self, server: &str, folders: &[String]) -> Done {
        let alone = self.folders_alone(server, folders)?;
        if alone.is_empty() {
            return done([format!("{} folders are complete elsewhere", folders.len())]);
        }
        Err(failed("public folders", alone.join(", "), "give them a replica elsewhere"))
    }

    pub(super) fn check_system_folders(&mut self, server: &str) -> Done {
        let directory = self.any_directory()?;
        let name = server_name(server)?;
        let here = directory
            .system_folders()
            .into_iter()
            .filter(|entry| entry.replicas.iter().all(|one| *one == name))
            .map(|entry| entry.path.to_string())
            .collect::<Vec<_>>();
        let text = if here.is_empty() {
            "each system folder has a replica elsewhere".to_owned()
        } else {
            format!("only at {server}, so they come back with its restore: {}", here.join(", "))
        };
        done([text])
    }

    /// Plays the users' programs, if the site says so: each logs on once at its mailbox's home.
    pub(super) fn wait_for_logons(&mut self, server: &str, mailboxes: &[String]) -> Done {
        if self.site.site.clients.simulate {
            let first = self.plan.inventory.old_server.clone();
            for mailbox in mailboxes {
                // The profile names the old server; it is the old server that sends them on.
                self.names.log_on(&first, mailbox).map_err(from_error)?;
            }
        }
        let missing = self.not_logged_on(server, mailboxes)?;
        if missing.is_empty() {
            return done([format!("all {} users have logged on at {server}", mailboxes.len())]);
        }
        let some: Vec<String> = missing.iter().take(10).cloned().collect();
        Err(failed(
            "logons",
            format!("{} users have not logged on yet: {} …", missing.len(), some.join(", ")),
            "wait until they have, then run the same command again",
        ))
    }

    fn not_logged_on(
        &mut self,
        server: &str,
        mailboxes: &[String],
    ) -> Result<Vec<String>, OperationError> {
        let logged_on = self.names.logged_on(server).map_err(from_error)?;
        Ok(mailboxes.iter().filter(|name| !logged_on.contains(*name)).cloned().collect())
    }

    pub(super) fn all_logged_on(&mut self, server: &str, mailboxes: &[String]) -> Seen {
        let missing = self.not_logged_on(server, mailboxes)?;
        if_true(missing.is_empty(), "every user has", format!("not yet: {}", missing.join(", ")))
    }

    pub(super) fn trial_without(&mut self, server: &str) -> Done {
        let target = self.target_server();
        let (directory, name) = (self.any_directory()?, server_name(server)?);
        let needed = directory.mailboxes_of(&name);
        let roles = directory.roles_of(&name);
        if !needed.is_empty() || !roles.is_empty() {
            let cause = format!("the site needs it: mailboxes {needed:?}, roles {roles:?}");
            return Err(for_a_person(server, cause, "move them, and try again"));
        }
        for mailbox in self.mailbox_names(&target)? {
            self.names.log_on(&target, mailbox.as_str()).map_err(from_error)?;
        }
        remember(&mut self.memory, |facts| facts.works_without = true)?;
        done([format!("every mailbox was opened at {target} while {server} was stopped")])
    }

    pub(super) fn remove_server(&mut self, server: &str, through: &str) -> Done {
        let op = DirectoryOp::RemoveServer { server: server_name(server)? };
        self.names.change(through, op).map_err(from_error)?;
        remember(&mut self.memory, |facts| {
            facts.removed.insert(server.to_owned());
        })?;
        done([format!(
            "{server} is no longer in the site; its files are kept in {} until you delete them",
            self.work.server(server).display()
        )])
    }

    pub(super) fn delete_computer_account(&mut self, computer: &str) -> Done {
        self.names.forget(computer).map_err(from_error)?;
        done([format!("the name {computer} is free")])
    }

    /// Compares the mail at a server with what was taken in and what was delivered since.
    pub(super) fn verify(&mut self, server: &str, scope: VerifyScope, tell: Tell<'_>) -> Done {
        let mut stop = false;
        let found = self.compare_all(server, scope, &mut |done, total| {
            let progress = Progress {
                what: "comparing".to_owned(),
                done,
                total,
                unit: "mailboxes".to_owned(),
            };
            stop |= tell(progress) == Flow::Stop;
            !stop
        })?;
        let counts = found.counts;
        let equal = counts.lost + counts.altered + counts.duplicated == 0;
        remember(&mut self.memory, |facts| facts.verified = equal)?;
        let mut text = format!(
            "{} messages compared: {} lost, {} altered, {} duplicated",
            counts.source, counts.lost, counts.altered, counts.duplicated
        );
        if found.changed > 0 {
            text += &format!(", {} changed or removed by their users since", found.changed);
        }
        if equal {
            let mut performed = done([text])?;
            performed.figures = figures(&found);
            return Ok(performed);
        }
        let cause = format!("{text}; {}", found.examples.join("; "));
        Err(for_a_person("verification", cause, "nothing was deleted at the source; look at it"))
    }

    /// Writes down what is at a server now, for those who look again after years.
    fn leave_proof(&mut self, server: &str) -> Result<String, Error> {
        let names = self.mailbox_names(server).map_err(Error::needs_human)?.into_iter().collect();
        let mut source = self.names.source(server)?;
        let (folder, now_us) = (self.work.proof(), self.session.clock.wall_us());
        let about = (self.plan.id.as_str(), server, now_us);
        let digest = crate::proof::write(&folder, about, &names, &mut source)?;
        Ok(format!("rehome audit compares with the record of today, whose digest is {digest}"))
    }

    fn compare_all(
        &mut self,
        server: &str,
        scope: VerifyScope,
        go_on: &mut dyn FnMut(u64, u64) -> bool,
    ) -> Result<Findings, OperationError> {
        // What was acknowledged until now has to be there; what comes later may be.
        let mut delivered = delivered_by(&self.work.traffic()).map_err(from_error)?;
        let names = self.mailbox_names(server)?;
        let mut source = self.names.source(server).map_err(from_error)?;
        let intact = match scope {
            VerifyScope::Content => {
                Some(intact_contents(&mut source, &names, &|_| true).map_err(transfer)?)
            }
            VerifyScope::Catalog => None,
        };
        let folders = self.site.mail_folders();
        let total = folders.len() as u64;
        let taken_in = TakenIn::read(self.work).map_err(from_error)?;
        let left = self.compare_with_left(server, &names)?;
        let mut all = Findings::default();
        for (index, (name, folder)) in folders.into_iter().enumerate() {
            if !go_on(index as u64, total) {
                return Err(interrupted());
            }
            let since = delivered.remove(&name).unwrap_or_default();
            let expected = Expected::read(&folder, since).map_err(from_error)?;
            let mailbox = MailboxName::try_from(name.as_str())
                .map_err(|error| failed(&name, error, "correct the site file"))?;
            let baseline = taken_in.mailbox(&name).map_err(from_error)?;
            let found = compare(&mailbox, &expected, &mut source, intact.as_ref(), baseline);
            let mut found = found.map_err(transfer)?;
            if !found.unread.is_empty() {
                // Mail that came since the bytes were read is read now.
                let unread: HashSet<ContentId> = found.unread.iter().map(|one| one.0).collect();
                let wanted = |content: &ContentId| unread.contains(content);
                let late = intact_contents(&mut source, std::slice::from_ref(&mailbox), &wanted);
                found.judge_unread(&late.map_err(transfer)?);
            }
            if let Some(left) = left.get(&mailbox) {
                found.add_left(&mailbox, left);
            }
            all.add(found);
        }
        Ok(all)
    }

    /// Compares the mailboxes at a server with the copies at the one that they have left: these
    /// have what users did there after everything was taken in.
    fn compare_with_left(
        &mut self,
        server: &str,
        mailboxes: &[MailboxName],
    ) -> Result<BTreeMap<MailboxName, Comparison>, OperationError> {
        if self.plan.route != Route::MoveUsers || self.is_old(server) {
            return Ok(BTreeMap::new());
        }
        let mut here = self.names.source(server).map_err(from_error)?;
        let found = self.with_old_copies(|left| {
            let mut found = BTreeMap::new();
            for mailbox in mailboxes {
                if left.info(mailbox).map_err(transfer)?.is_some() {
                    let one = compare_mailbox(left, &mut here, mailbox).map_err(transfer)?;
                    found.insert(mailbox.clone(), one);
                }
            }
            Ok(found)
        })?;
        Ok(found.unwrap_or_default())
    }
}

fn transfer(error: TransferError) -> OperationError {
    from_error(Error::chain(error))
}

/// What a comparison found, as the report shows it.
fn figures(found: &Findings) -> BTreeMap<String, f64> {
    let counts = found.counts;
    let named = [
        ("messages.source", counts.source),
        ("messages.target", counts.target),
        ("messages.lost", counts.lost),
        ("messages.altered", counts.altered),
        ("messages.duplicated", counts.duplicated),
        ("messages.changed_since", found.changed),
        ("bytes", found.bytes),
    ];
    // Figures for people: the precision of f64 is plenty.
    #[allow(clippy::cast_precision_loss)]
    named.into_iter().map(|(name, count)| (name.to_owned(), count as f64)).collect()
}

/// Ends the traffic, compares everything once more, and sums up.
pub(super) fn summary(
    world: &mut World<'_>,
    outcome: &Outcome,
    observe: Observe<'_>,
) -> Result<Summary, Error> {
    let traffic = world.end_traffic();
    let server = world.target_server();
    world.ensure_nodes().map_err(Error::needs_human)?;
    let group = world.plan.inventory.cluster.group.clone();
    world
        .group_target(&group, Target::Online, &mut |_| Flow::Continue)
        .map_err(Error::needs_human)?;
    let found = world
        .compare_all(&server, VerifyScope::Content, &mut |done, total| {
            let (what, unit) = ("comparing".to_owned(), "mailboxes".to_owned());
            observe(Event::Progress { what, done, total, unit }) == crate::event::Flow::Continue
        })
        .map_err(Error::needs_human)?;
    let statistics = world.names.statistics(&server)?;
    let facts = world.memory.facts();
    let by_mailbox: BTreeMap<String, f64> = match world.plan.route {
        Route::MoveUsers => facts.lock_ms.clone(),
        // The whole server is away: every mailbox is locked for as long.
        Route::DisasterRecovery => {
            let names = world.plan.inventory.moving().map(|mailbox| mailbox.name.clone());
            names.zip(facts.outage_ms.into_iter().cycle()).collect()
        }
    };
    let mut notes = found.examples.clone();
    notes.extend(confirmed_gates(world, outcome));
    if found.counts.lost + found.counts.altered + found.counts.duplicated == 0 {
        notes.push(world.leave_proof(&server)?);
    }
    // Seconds for people: the precision of f64 is plenty.
    #[allow(clippy::cast_precision_loss)]
    let seconds = match (outcome.started_us, outcome.ended_us) {
        (Some(from), Some(to)) => (to - from) as f64 / 1e6,
        _ => 0.0,
    };
    Ok(Summary {
        route: world.plan.route.as_str().to_owned(),
        mailboxes: world.plan.inventory.moving().count() as u64,
        messages: found.counts,
        bytes: found.bytes,
        unique_bytes: statistics.content_bytes,
        seconds,
        lock_ms: LockTimes::of(by_mailbox.values().copied().collect()),
        lock_ms_by_mailbox: by_mailbox,
        digest_by_mailbox: BTreeMap::new(),
        verified: true,
        traffic,
        notes,
        report: None,
    })
}

/// The steps that a person stood for, and the human work that the program did not do itself.
fn confirmed_gates(world: &World<'_>, outcome: &Outcome) -> Vec<String> {
    let is_human = |id: &rehome_planner::StepId| {
        let step = world.plan.step(id);
        step.is_some_and(|step| matches!(step.owner, rehome_planner::Owner::Human { .. }))
    };
    let done = outcome.steps.iter().filter(|step| {
        matches!(step.state, StepState::Done | StepState::DoneByEvidence) && is_human(&step.id)
    });
    done.map(|step| {
        let title = world.plan.step(&step.id).map_or("", |step| step.title.as_str());
        format!("{} was confirmed for a person: {title}", step.id)
    })
    .collect()
}
