//! Conditions and undos as sentences.

use crate::check::{Check, Condition};
use crate::format::plural;
use crate::plan::{Step, Undo};

/// A condition in a few words.
pub(super) fn condition(check: &Check) -> String {
    inventory(&check.condition)
        .or_else(|| machines(&check.condition))
        .or_else(|| site(&check.condition))
        .or_else(|| backups(&check.condition))
        .unwrap_or_else(|| check.code().replace('-', " "))
}

/// How a step is undone, in a few words; none if there is nothing to undo, or nothing is undone
/// any more because the plan is past its point of no return.
pub(super) fn undo(step: &Step) -> Option<String> {
    match &step.undo {
        Undo::NotNeeded => None,
        Undo::By { .. } if step.past_point_of_no_return => None,
        Undo::By { action } => Some(action.kind().replace('-', " ")),
        Undo::Impossible { why } => Some(format!("none: {why}")),
    }
}

fn inventory(condition: &Condition) -> Option<String> {
    Some(match condition {
        Condition::ServerKnown { server } => format!("the site has server {server}"),
        Condition::SameServiceAccount { server } => {
            format!("the cluster runs under the account of {server}")
        }
        Condition::SameSite { from, to } => format!("{from} and {to} are in one site"),
        Condition::OneServerGoes => "one server goes".to_owned(),
        Condition::WindowOpen { window, opens_us, .. } => {
            format!("window {window} is open, from {} UTC on", crate::format::moment(*opens_us))
        }
        Condition::SecondServer => "old server and cluster can run at once".to_owned(),
        Condition::TargetHasRoom { need_bytes } => {
            format!("the group's disk has {} free", crate::format::bytes(*need_bytes))
        }
        Condition::NetworkNameIsServerName { server } => format!("the group's name is {server}"),
        Condition::NetworkNameIsFree { name } => format!("no machine is called {name}"),
        Condition::NodesDistinct => "two nodes, each with a name of its own".to_owned(),
        Condition::SameVersion { server, version } => {
            format!("{server} can be brought to version {version}")
        }
        Condition::SystemFolderReplicas { server } => {
            format!("system folders have a replica apart from {server}")
        }
        _ => return None,
    })
}

fn machines(condition: &Condition) -> Option<String> {
    Some(match condition {
        Condition::ServerOnline { server } => format!("server {server} answers"),
        Condition::ServerStopped { server } => format!("server {server} is stopped"),
        Condition::AccountIsAdministrator { account } => format!("{account} may administer"),
        Condition::NodesClean { nodes } => format!("nothing old is on {}", nodes.join(", ")),
        Condition::ClusterFormed { nodes } => format!("the cluster runs on {}", nodes.join(", ")),
        Condition::GroupConfigured { group, network_name } => {
            format!("group {group} has a disk, an address and the name {network_name}")
        }
        Condition::GroupOnline { group } => format!("all of group {group} is online"),
        Condition::ResourceOnline { resource, .. } => format!("the {resource} is online"),
        Condition::ResourceOffline { resource, .. } => format!("the {resource} is offline"),
        Condition::ServerInstalled { server, node, .. } => {
            format!("server {server} is installed on {node}")
        }
        Condition::NodeUpdated { node, .. } => format!("{node} can take over"),
        Condition::GroupOwner { group, node } => format!("{node} owns group {group}"),
        Condition::VersionIs { server, version } => format!("{server} has version {version}"),
        Condition::ComputerReleased { computer } => {
            format!("a person has given computer {computer} up")
        }
        Condition::Tuned { resource, .. } => format!("the {resource} is tuned"),
        _ => return None,
    })
}

fn site(condition: &Condition) -> Option<String> {
    Some(match condition {
        Condition::MailTakenIn { server } => format!("all mail is at {server}"),
        Condition::ServerInSite { server } => format!("{server} has its object in the site"),
        Condition::ServerNotInSite { server } => format!("{server} has no object in the site"),
        Condition::DirectoryReplicated { from, to } => {
            format!("{from} and {to} know the same directory")
        }
        Condition::ChangeNumbersNotBehind { server } => {
            format!("the change numbers of {server} are not behind")
        }
        Condition::MailboxesAt { server, mailboxes } => {
            format!("the home of {} is {server}", plural(mailboxes.len(), "mailbox", "mailboxes"))
        }
        Condition::PublicFoldersAt { server, folders } => {
            format!(
                "the home of {} is {server}",
                plural(folders.len(), "public folder", "public folders")
            )
        }
        Condition::RolesAt { server, roles } => {
            format!("{server} holds {}", plural(roles.len(), "role", "roles"))
        }
        Condition::PublicFoldersReplicated { server, folders } => {
            format!("complete apart from {server}: {}", plural(folders.len(), "folder", "folders"))
        }
        Condition::AllLoggedOn { server, mailboxes } => {
            format!(
                "logged on at {server}: the users of {}",
                plural(mailboxes.len(), "mailbox", "mailboxes")
            )
        }
        Condition::WorksWithout { server } => format!("the site works without {server}"),
        Condition::ComputerAccountAbsent { computer } => {
            format!("the domain has no account for {computer}")
        }
        Condition::MailEqual { server } => {
            format!("the mail at {server} is what was taken in")
        }
        _ => return None,
    })
}

fn backups(condition: &Condition) -> Option<String> {
    Some(match condition {
        Condition::BackupExists { label } => format!("backup {label} exists"),
        Condition::BackupChecked { label } => format!("backup {label} was read back"),
        Condition::BackupIsLatest { label, .. } => {
            format!("nothing was written after backup {label}")
        }
        Condition::Restored { labels, part, .. } => {
            format!("the {part} is restored from {}", labels.join(" and "))
        }
        Condition::RestoreMarkerSafe { part, .. } => {
            format!("the {part}'s restore marker is safe")
        }
        Condition::RecoveryFinished { part, .. } => format!("the {part} has recovered"),
        Condition::CheckpointPresent { resource, key, .. } => {
            format!("the {resource} has its {key} checkpoint")
        }
        Condition::CheckpointAbsent { resource, key, .. } => {
            format!("the {resource} has no {key} checkpoint")
        }
        Condition::CheckpointsMatch { .. } => "checkpoints match what is live".to_owned(),
        _ => return None,
    })
}
