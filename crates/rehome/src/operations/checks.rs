//! Finding out whether a condition holds, by looking at the real thing.

use rehome_cluster::ResourceState;
use rehome_executor::{CheckOutcome, OperationError};
use rehome_planner::{Check, Condition, Judgement, Resource, judge};
use rehome_site::{FolderPath, Role, ServerName};

use super::World;
use super::trouble::{Seen, failed, from_error, if_true, met, open};
use crate::names;

pub(super) fn check(world: &mut World<'_>, check: &Check) -> Seen {
    match &check.condition {
        Condition::ServerKnown { .. }
        | Condition::SameServiceAccount { .. }
        | Condition::SameSite { .. }
        | Condition::SecondServer
        | Condition::TargetHasRoom { .. }
        | Condition::NetworkNameIsServerName { .. }
        | Condition::NetworkNameIsFree { .. }
        | Condition::NodesDistinct
        | Condition::OneServerGoes
        | Condition::SystemFolderReplicas { .. } => judged(world, check),
        Condition::WindowOpen { window, opens_us, closes_us } => {
            Ok(window_is_open(world.session.clock.wall_us(), window, (*opens_us, *closes_us)))
        }
        Condition::ClusterFormed { .. }
        | Condition::GroupConfigured { .. }
        | Condition::GroupOnline { .. }
        | Condition::GroupOwner { .. }
        | Condition::ResourceOnline { .. }
        | Condition::ResourceOffline { .. }
        | Condition::ServerInstalled { .. }
        | Condition::NodeUpdated { .. }
        | Condition::NodesClean { .. } => in_cluster(world, &check.condition),
        Condition::Tuned { .. }
        | Condition::RestoreMarkerSafe { .. }
        | Condition::RecoveryFinished { .. }
        | Condition::CheckpointPresent { .. }
        | Condition::CheckpointAbsent { .. }
        | Condition::CheckpointsMatch { .. } => in_registry(world, &check.condition),
        Condition::ServerInSite { .. }
        | Condition::ServerNotInSite { .. }
        | Condition::DirectoryReplicated { .. }
        | Condition::ChangeNumbersNotBehind { .. }
        | Condition::MailboxesAt { .. }
        | Condition::PublicFoldersAt { .. }
        | Condition::RolesAt { .. }
        | Condition::PublicFoldersReplicated { .. } => in_directory(world, &check.condition),
        other => at_server(world, other, check),
    }
}

/// What the inventory can tell.
fn judged(world: &World<'_>, check: &Check) -> Seen {
    match judge(check, &world.plan.inventory) {
        Judgement::Met => met("the inventory says so"),
        Judgement::Violated(obstacle) => open(obstacle.cause, obstacle.remedy),
        Judgement::AtRunTime => met("nothing in the inventory speaks against it"),
    }
}

fn in_cluster(world: &mut World<'_>, condition: &Condition) -> Seen {
    if let Condition::NodesClean { nodes } = condition {
        let dirty: Vec<&String> = nodes
            .iter()
            .filter(|node| world.work.node(node).join("registry").join("software").exists())
            .collect();
        return if_true(dirty.is_empty(), "no installation is on them", format!("{dirty:?}"));
    }
    if world.cluster().is_err() {
        return open("there is no cluster yet", "form it");
    }
    world.ensure_nodes_if_wanted()?;
    let status = world.cluster_status()?;
    match condition {
        Condition::ClusterFormed { nodes } => {
            let dead: Vec<&String> = nodes
                .iter()
                .filter(|node| !world.node_name(node).is_ok_and(|node| status.alive(&node)))
                .collect();
            if_true(dead.is_empty(), "every node is alive", format!("not alive: {dead:?}"))
        }
        Condition::GroupConfigured { group, .. } => {
            let name = world.group_name(group)?;
            let base = [Resource::Disk, Resource::Address, Resource::NetworkName];
            let view = status.groups.get(&name);
            let has = |one: &Resource| {
                view.is_some_and(|view| view.resources.contains_key(&names::resource(*one)))
            };
            if_true(base.iter().all(has), "folder, address and name are there", "not configured")
        }
        Condition::GroupOnline { group } => {
            let name = world.group_name(group)?;
            let text = format!("{:?}", status.groups.get(&name).map(|view| view.state));
            if_true(status.online(&name), "every resource is online", text)
        }
        Condition::GroupOwner { group, node } => {
            let (name, wanted) = (world.group_name(group)?, world.node_name(node)?);
            let owner = status.owner(&name).cloned();
            if owner.is_some() && owner.as_ref() != Some(&wanted) && world.is_primary(node) {
                return world.bring_back_group(group, node);
            }
            let text = format!("owner {owner:?}");
            if_true(owner.as_ref() == Some(&wanted), format!("{node} owns it"), text)
        }
        Condition::ResourceOnline { resource, .. } => {
            let is = status.is(&names::resource(*resource), ResourceState::Online);
            if_true(is, format!("{resource} is online"), format!("{resource} is not online"))
        }
        Condition::ResourceOffline { resource, .. } => {
            let one = status.resource(&names::resource(*resource)).map(|one| one.state);
            let off = matches!(one, None | Some(ResourceState::Offline | ResourceState::Failed));
            if_true(off, format!("{resource} rests"), format!("{resource} is {one:?}"))
        }
        Condition::ServerInstalled { server, node, .. } => installed(world, server, node),
        Condition::NodeUpdated { group, node } => updated(world, group, node),
        other => unknown(other),
    }
}

fn installed(world: &World<'_>, server: &str, node: &str) -> Seen {
    let software = world.node_registry(node).software().map_err(from_error)?;
    let configuration = configuration(world)?;
    let resources = names::SERVICES
        .iter()
        .all(|service| configuration.resource(&names::resource(*service)).is_some());
    let written = software.is_some_and(|software| software.server.eq_ignore_ascii_case(server));
    if_true(
        resources && written,
        format!("{server} is in the registry of {node}, its services are in the group"),
        format!("registry: {written}, services: {resources}"),
    )
}

fn updated(world: &World<'_>, group: &str, node: &str) -> Seen {
    let (group_name, node_name) = (world.group_name(group)?, world.node_name(node)?);
    let configuration = configuration(world)?;
    let can = configuration
        .group(&group_name)
        .is_some_and(|group| configuration.may_own(&node_name, group));
    let software = world.node_registry(node).software().map_err(from_error)?.is_some();
    if_true(
        can && software,
        format!("{node} may own the group and has the software"),
        format!("may own: {can}, software: {software}"),
    )
}

fn configuration(world: &World<'_>) -> Result<rehome_cluster::Configuration, OperationError> {
    let read = world.cluster()?.configuration();
    read.map_err(|error| failed("cluster", error, "see the quorum folder"))
}

fn in_registry(world: &mut World<'_>, condition: &Condition) -> Seen {
    if world.cluster().is_err() {
        return open("there is no cluster yet", "form it");
    }
    world.ensure_nodes_if_wanted()?;
    match condition {
        Condition::Tuned { group, .. } => {
            let settings = world.owner_registry(group)?.store_settings().map_err(from_error)?;
            if_true(settings.measured.is_some(), "measured on this machine", "not measured")
        }
        Condition::RestoreMarkerSafe { group, part } => {
            let safe = world.marker_is_safe(group, *part)? || world.is_recovered(*part)?;
            if_true(safe, "the marker is live, and in what is written over it", "it would be lost")
        }
        Condition::RecoveryFinished { group, part } => {
            let marker = world.owner_registry(group)?.marker(*part).exists();
            let done = !marker && world.is_recovered(*part)?;
            if_true(done, "recovered, and the marker is gone", format!("marker there: {marker}"))
        }
        Condition::CheckpointPresent { resource, key, .. } => {
            let there = world.is_attached(*resource, &names::key(*resource, *key))?;
            if_true(there, "attached", "not attached")
        }
        Condition::CheckpointAbsent { resource, key, .. } => {
            let there = world.is_attached(*resource, &names::key(*resource, *key))?;
            if_true(!there, "not attached", "still attached")
        }
        Condition::CheckpointsMatch { group } => {
            let differing = world.differing_checkpoints(group)?;
            if_true(differing.is_empty(), "all hold what is live", differing.join(", "))
        }
        other => unknown(other),
    }
}

fn in_directory(world: &mut World<'_>, condition: &Condition) -> Seen {
    match condition {
        Condition::ServerInSite { server } => {
            let there = world.site_has(server)?;
            if_true(there, format!("{server} is in the site"), format!("{server} is not"))
        }
        Condition::ServerNotInSite { server } => {
            let there = world.site_has(server)?;
            if_true(!there, format!("{server} is not in the site"), format!("{server} still is"))
        }
        Condition::DirectoryReplicated { from, to } => {
            let (one, other) = (world.directory(from)?, world.directory(to)?);
            let same = one.vector().covers(other.vector()) && other.vector().covers(one.vector());
            if_true(same, "each has all changes of the other", "changes are on their way")
        }
        Condition::ChangeNumbersNotBehind { server } => {
            let own = world.directory(server)?;
            let behind = own.vector().seen(own.origin()) > own.usn();
            if_true(!behind, "its numbers are its own", "peers know higher numbers of it")
        }
        Condition::MailboxesAt { server, mailboxes } => mailboxes_at(world, server, mailboxes),
        Condition::PublicFoldersAt { server, folders } => {
            let away = world.folders_away(server, folders)?;
            if_true(away.is_empty(), format!("all at {server}"), away.join(", "))
        }
        Condition::RolesAt { server, roles } => {
            let directory = world.any_directory()?;
            let name = server_name(server)?;
            let away: Vec<&String> = roles
                .iter()
                .filter(|role| {
                    let role = Role::from_word(role);
                    role.is_none_or(|role| !directory.role_holders(role).contains(&name))
                })
                .collect();
            if_true(away.is_empty(), format!("{server} holds them"), format!("not: {away:?}"))
        }
        Condition::PublicFoldersReplicated { server, folders } => {
            let alone = world.folders_alone(server, folders)?;
            if_true(alone.is_empty(), "each has a replica elsewhere", alone.join(", "))
        }
        other => unknown(other),
    }
}

fn mailboxes_at(world: &mut World<'_>, server: &str, mailboxes: &[String]) -> Seen {
    let directory = world.any_directory()?;
    let name = server_name(server)?;
    let there: std::collections::BTreeSet<String> =
        directory.mailboxes_of(&name).iter().map(ToString::to_string).collect();
    let away: Vec<&String> = mailboxes.iter().filter(|one| !there.contains(*one)).collect();
    if !away.is_empty() {
        return open(format!("not at {server}: {away:?}"), "move them");
    }
    let inactive = world.not_active(server, mailboxes)?;
    if_true(
        inactive.is_empty(),
        format!("{} mailboxes have their home at {server} and are active there", mailboxes.len()),
        format!("not active: {}", inactive.join(", ")),
    )
}

/// A wave may begin while its window is open, and later: then it has been missed, and going on is
/// better than a plan that can never end.
fn window_is_open(now_us: i64, window: &str, (opens_us, closes_us): (i64, i64)) -> CheckOutcome {
    let minutes = (opens_us - now_us) / 60_000_000;
    if now_us < opens_us {
        return CheckOutcome::Open {
            why: format!("window {window} opens in {minutes} minutes"),
            remedy: "run the same command again then".to_owned(),
        };
    }
    let late = if now_us > closes_us { ", but has closed since" } else { "" };
    CheckOutcome::Met { evidence: format!("window {window} is open{late}") }
}

fn at_server(world: &mut World<'_>, condition: &Condition, check: &Check) -> Seen {
    match condition {
        Condition::ServerOnline { server } => {
            let answers = world.answers(server)?;
            if_true(answers, format!("{server} answers"), format!("{server} does not answer"))
        }
        Condition::ServerStopped { server } => {
            let answers = world.answers(server)?;
            if_true(!answers, format!("{server} does not answer"), format!("{server} answers"))
        }
        Condition::MailTakenIn { server } => world.is_taken_in(server),
        Condition::AccountIsAdministrator { account } => world.may_administer(account),
        Condition::VersionIs { server, version } => {
            let found = world.version_of(server)?;
            if_true(found == *version, format!("version {found}"), format!("version {found}"))
        }
        Condition::SameVersion { server, version } => {
            // Judged again where a step has changed it since.
            if world.memory.facts().versions.get(server) == Some(version) {
                return met(format!("{server} was brought to version {version}"));
            }
            judged(world, check)
        }
        Condition::ComputerReleased { computer } => {
            let released = world.memory.facts().released.contains(computer);
            if_true(released, "a person has given it up", "nobody has given it up")
        }
        Condition::ComputerAccountAbsent { computer } => {
            let there = world.names.record(computer).map_err(from_error)?.is_some();
            if_true(!there, "no such name is registered", "the name is still registered")
        }
        Condition::AllLoggedOn { server, mailboxes } => world.all_logged_on(server, mailboxes),
        Condition::WorksWithout { server } => {
            let works = world.memory.facts().works_without;
            if_true(works, format!("the trial without {server} went well"), "not tried")
        }
        other => about_backups(world, other),
    }
}

fn about_backups(world: &mut World<'_>, condition: &Condition) -> Seen {
    let facts = world.memory.facts();
    match condition {
        Condition::BackupExists { label } => {
            let fact = facts.backups.get(label).map(|fact| fact.id.clone());
            let text = fact.clone().unwrap_or_default();
            if_true(fact.is_some(), format!("backup {text}"), "no such backup")
        }
        Condition::BackupChecked { label } => {
            let checked = facts.checked.contains(label);
            if_true(checked, "every byte was read back and was right", "not read back")
        }
        Condition::BackupIsLatest { server, label } => world.is_latest(server, label),
        Condition::Restored { part, .. } => {
            let done = facts.restored.contains(part.as_str());
            if_true(done, format!("the {part} was laid down"), format!("the {part} was not"))
        }
        Condition::MailEqual { .. } => {
            if_true(facts.verified, "the comparison found no difference", "not compared")
        }
        other => unknown(other),
    }
}

/// A server's name as the site checks it.
pub(super) fn server_name(name: &str) -> Result<ServerName, OperationError> {
    ServerName::new(name).map_err(|error| failed(name, error, "correct the site file"))
}

/// A public folder's path as the site checks it.
pub(super) fn folder_path(path: &str) -> Result<FolderPath, OperationError> {
    FolderPath::new(path).map_err(|error| failed(path, error, "correct the site file"))
}

fn unknown(condition: &Condition) -> Seen {
    Err(failed(
        "this program",
        format!("it cannot find out {condition:?}"),
        "use the version that made the plan",
    ))
}

impl World<'_> {
    /// Whether the restored part has been recovered: laid down, and serving without a marker.
    fn is_recovered(&mut self, part: Resource) -> Result<bool, OperationError> {
        if !self.memory.facts().restored.contains(part.as_str()) {
            return Ok(false);
        }
        Ok(self.cluster_status()?.is(&names::resource(part), ResourceState::Online))
    }

    /// Starts the nodes if they are meant to run.
    fn ensure_nodes_if_wanted(&mut self) -> Result<(), OperationError> {
        if self.memory.facts().nodes_run { self.ensure_nodes() } else { Ok(()) }
    }
}
