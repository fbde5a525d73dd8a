//! The second carrier of a step: what people do where the site is an Exchange 5.5 one.
//!
//! Rehome's own parts are the first carrier; the executor drives them. For a site of kind
//! `exchange-5.5` the same step is a page of a run-book: what to click or type, what to see.

use crate::action::{Action, BackupKind, InstallMode, RegistryKey, Resource, VerifyScope};
use crate::format::plural;
use crate::plan::Step;

/// A page of the run-book.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instruction {
    /// What to click or type, in order.
    pub acts: Vec<String>,
    /// What is seen then.
    pub expect: String,
    /// How to go back, if there is a way.
    pub back: Option<String>,
}

/// The program in which most of it is done.
const ADMIN: &str = "Administrator";
const CLUSTER: &str = "Cluster Administrator";
const BACKUP: &str = "Windows NT Backup";

/// What people do for a step.
pub fn instruction(step: &Step) -> Instruction {
    let (acts, expect) = acts(&step.action);
    let back = match &step.undo {
        crate::plan::Undo::By { action } if !step.past_point_of_no_return => {
            Some(self::acts(action).0.join(" "))
        }
        _ => None,
    };
    Instruction { acts, expect, back }
}

type Acts = (Vec<String>, String);

fn these<const N: usize>(acts: [String; N], expect: impl Into<String>) -> Acts {
    (acts.into(), expect.into())
}

fn acts(action: &Action) -> Acts {
    cluster(action)
        .or_else(|| group(action))
        .or_else(|| moving(action))
        .or_else(|| waiting(action))
        .or_else(|| leaving(action))
        .or_else(|| backups(action))
        .unwrap_or_else(|| recovery(action))
}

/// The name of a resource in Cluster Administrator.
fn named(resource: Resource) -> &'static str {
    match resource {
        Resource::Disk => "the Physical Disk",
        Resource::Address => "the IP Address",
        Resource::NetworkName => "the Network Name",
        Resource::Attendant => "Microsoft Exchange System Attendant",
        Resource::Directory => "Microsoft Exchange Directory",
        Resource::Store => "Microsoft Exchange Information Store",
    }
}

/// The registry key of a resource.
fn key_of(resource: Resource, key: RegistryKey) -> String {
    let service = match resource {
        Resource::Directory => "MSExchangeDS",
        Resource::Attendant => "MSExchangeSA",
        _ => "MSExchangeIS",
    };
    let below = match key {
        RegistryKey::Root => "",
        RegistryKey::Parameters => "\\Parameters",
        RegistryKey::Diagnostics => "\\Diagnostics",
    };
    format!("SYSTEM\\CurrentControlSet\\Services\\{service}{below}")
}

fn cluster(action: &Action) -> Option<Acts> {
    Some(match action {
        Action::InstallNodes { nodes } => these(
            [
                format!(
                    "Install Windows NT Server Enterprise Edition and service pack 4 or later on \
                     {}; delete what an earlier installation left.",
                    nodes.join(" and ")
                ),
                "Delete and add the machine accounts of rebuilt nodes in Server Manager.".into(),
            ],
            "Each node logs on to the domain; no Exchange key is in its registry.",
        ),
        Action::CreateCluster { cluster, nodes, service_account } => these(
            [
                format!(
                    "Run Cluster Server setup on {}: form cluster {cluster} with account \
                     {service_account}.",
                    nodes.first().map_or("", String::as_str)
                ),
                format!("Run it on {}: join {cluster}.", nodes[1.min(nodes.len())..].join(", ")),
                "Install the current service pack on both again.".into(),
            ],
            format!("{CLUSTER} shows all nodes up."),
        ),
        Action::RemoveCluster { cluster } => these(
            [format!("Run Cluster Server setup on each node and remove cluster {cluster}.")],
            "The cluster service is gone from both nodes.",
        ),
        Action::UpdateNode { node, .. } => these(
            [
                "See that the group is online on the first node.".into(),
                format!("On {node} run Exchange Setup and choose Update Node."),
            ],
            format!("Setup ends without an error; the services on {node} start by hand only."),
        ),
        Action::FailOver { group, to } => these(
            [format!("In {CLUSTER} select group {group}; File, Move Group, to {to}.")],
            format!("All resources of {group} are online on {to}, and a client opens a mailbox."),
        ),
        _ => return None,
    })
}

fn group(action: &Action) -> Option<Acts> {
    Some(match action {
        Action::ConfigureGroup { group, network_name, address } => these(
            [format!(
                "In {CLUSTER} make group {group} with a Physical Disk, the IP Address {address} \
                 and the Network Name {network_name}; let the name depend on the address."
            )],
            format!("Group {group} has three resources, offline."),
        ),
        Action::RemoveGroup { group } => these(
            [format!("In {CLUSTER} take group {group} offline and delete it.")],
            "The group is gone; its disk is in the cluster group again.",
        ),
        Action::BringGroupOnline { group } => these(
            [format!("In {CLUSTER} select group {group}; File, Bring Online.")],
            format!("Every resource of {group} is online."),
        ),
        Action::TakeGroupOffline { group } => these(
            [format!("In {CLUSTER} select group {group}; File, Take Offline.")],
            format!("Every resource of {group} is offline."),
        ),
        Action::BringOnline { resource, .. } => these(
            [format!("In {CLUSTER} select {}; File, Bring Online.", named(*resource))],
            "It is online. A store that recovers may be called failed meanwhile: the event log \
             decides, not the cluster; do not stop it.",
        ),
        Action::TakeOffline { resource, .. } => these(
            [format!("In {CLUSTER} select {}; File, Take Offline.", named(*resource))],
            "It is offline; disk, address and name stay online.",
        ),
        Action::InstallServer { group, server, node, mode, service_account } => {
            let setup = match mode {
                InstallMode::New => "E:\\Server\\Setup\\I386\\setup.exe, join the existing site",
                InstallMode::Recover => "E:\\Server\\Setup\\I386\\setup.exe /r",
            };
            these(
                [
                    format!("On {node} run {setup}."),
                    format!(
                        "Choose group {group}, account {service_account}, the same components, \
                         organization and site; the server's name is {server}."
                    ),
                ],
                "Setup ends without an error and the group has the Exchange resources.",
            )
        }
        Action::UninstallServer { server, .. } => these(
            [format!("Run Exchange Setup, Remove All, for {server}.")],
            "The Exchange resources are gone from the group.",
        ),
        Action::CheckSetupResult { node, .. } => these(
            [format!(
                "Look into System32 of {node}, \\exchsrvr on the shared disk, and the group's \
                 resources in {CLUSTER}."
            )],
            "Files are in both places; the group has the Exchange resources.",
        ),
        _ => return None,
    })
}

fn moving(action: &Action) -> Option<Acts> {
    Some(match action {
        Action::TakeIn { server } => these(
            [format!("In {ADMIN} open {server}, Private Information Store, Mailbox Resources.")],
            "The mailboxes and sizes are those of the plan's inventory.",
        ),
        Action::WaitDirectoryReplication { from, to } => these(
            [
                format!("In {ADMIN} compare the recipients as {from} and as {to} show them."),
                "In Performance Monitor see MSExchangeDS, Pending Replication Synchronizations."
                    .into(),
            ],
            "Both lists are equal and the counter is 0 on both.",
        ),
        Action::MoveMailboxes { from, to, mailboxes } => these(
            [
                "Set the transfer agent's cache to 0, or see that no mail comes in.".into(),
                format!(
                    "In {ADMIN} select {} of {from} (the list is in plan.json); Tools, Move \
                     Mailbox, to {to}; one selection at a time.",
                    plural(mailboxes.len(), "mailbox", "mailboxes")
                ),
                "If one fails, do not try it again: see where Home-MDB points first.".into(),
            ],
            format!(
                "Each has home server {to}, is in Mailbox Resources of {to} and no longer in those \
                 of {from}; no event 8500 to 8509."
            ),
        ),
        Action::MovePublicFolders { from, to, folders } => these(
            [
                format!(
                    "In {ADMIN} add a replica on {to} to {}.",
                    plural(folders.len(), "folder", "folders")
                ),
                "Wait until the contents are there (Public Folder Resources: equal numbers)."
                    .into(),
                format!("On each folder's Advanced page set Home Server to {to}."),
                format!("Remove the replica on {from}."),
            ],
            format!("No folder has its home on {from}."),
        ),
        Action::MoveFirstServerRoles { to, roles, .. } => these(
            [
                format!("In {ADMIN}, DS Site Configuration: offline address book server {to}."),
                format!("Site Addressing: routing calculation server {to}."),
                format!("Add replicas of the system folders on {to}, wait, and set their home."),
                format!(
                    "Raw properties of Information Store Site Configuration: site folders {to}."
                ),
            ],
            format!("{to} has {}.", plural(roles.len(), "role", "roles")),
        ),
        _ => return None,
    })
}

fn waiting(action: &Action) -> Option<Acts> {
    Some(match action {
        Action::WaitPublicFolderReplication { server, folders } => these(
            [format!(
                "Compare the number of items of {} in Public Folder Resources of each server.",
                plural(folders.len(), "folder", "folders")
            )],
            format!("Each is complete on a server apart from {server}; at least a day has passed."),
        ),
        Action::WaitLogons { server, mailboxes } => these(
            [format!(
                "In {ADMIN}, {server}, Private Information Store, Mailbox Resources: Last Logon."
            )],
            format!(
                "{} have a logon since they moved.",
                plural(mailboxes.len(), "mailbox", "mailboxes")
            ),
        ),
        _ => return None,
    })
}

fn leaving(action: &Action) -> Option<Acts> {
    Some(match action {
        Action::LogOn { account } => these(
            [format!("Log on as {account}, with which the server is backed up.")],
            "The account may start and stop the services.",
        ),
        Action::StartServer { server } => these(
            [format!("Start {server} and its Exchange services.")],
            "Clients open their mailboxes.",
        ),
        Action::StopServer { server } => these(
            [format!("Shut {server} down, and keep it down.")],
            format!("{server} does not answer to ping."),
        ),
        Action::TrialWithout { server } => these(
            [
                format!("Leave {server} down for a day."),
                "Send mail, open the address book, free and busy times, forms and folders.".into(),
            ],
            "All of it works, and no event log asks for the old server.",
        ),
        Action::RemoveServer { server, through } => these(
            [format!("In {ADMIN}, connected to {through}, delete server {server}.")],
            format!("{server} is gone from the site; the knowledge consistency checker has run."),
        ),
        Action::DeleteComputerAccount { computer } => these(
            [format!(
                "In Server Manager remove computer {computer} from the domain; delete its names \
                 from WINS and DNS."
            )],
            "The name is free.",
        ),
        Action::WipeComputer { computer } => these(
            [format!("Say in writing that {computer} may be given up.")],
            "Both backups have been read back on another machine.",
        ),
        Action::UpgradeServer { server, to_version } => these(
            [format!("On {server} run Exchange Setup and upgrade to {to_version}.")],
            "The services start and Help, About shows the version.",
        ),
        Action::UseCircularLog { server } => these(
            [format!(
                "In {ADMIN} open server {server}, Advanced: tick circular logging for the \
                 information store again, if it was ticked before the backup."
            )],
            "The services restart; old log files go.",
        ),
        Action::CheckSystemFolders { server } => these(
            [format!(
                "In {ADMIN}, Folders, System Folders: Replicas of Eforms Registry and Schedule+ \
                 Free Busy Information."
            )],
            format!("Each has a replica apart from {server}, or comes back with its restore."),
        ),
        _ => return None,
    })
}

fn backups(action: &Action) -> Option<Acts> {
    Some(match action {
        Action::BackUp { server, label, kind } => {
            let kind = match kind {
                BackupKind::Full => "Normal".to_owned(),
                BackupKind::After(earlier) => format!("Incremental, after {earlier}"),
            };
            these(
                [format!(
                    "In {BACKUP} select directory and information store of {server}; type {kind}; \
                     label the tape \"{label}\"."
                )],
                "The log says that both were backed up, and the store's log files are gone.",
            )
        }
        Action::CheckBackup { label } => these(
            [format!("Restore tape \"{label}\" to a spare machine and start the store there.")],
            "It starts without event -1018, and mailboxes open.",
        ),
        Action::Restore { server, labels, part, .. } => these(
            [format!(
                "In {BACKUP} restore {} from {} to {server}: erase existing data, do not start \
                     services after restore.",
                if *part == Resource::Directory { "the directory" } else { "the store" },
                labels.join(", then ")
            )],
            "The restore ends without an error; the key Restore in Progress is in the registry.",
        ),
        Action::Verify { scope, .. } => these(
            [match scope {
                VerifyScope::Catalog => {
                    "Compare mailboxes, items and sizes with the export taken at the beginning."
                        .to_owned()
                }
                VerifyScope::Content => {
                    "Compare items and sizes of every mailbox, and open ten at random.".to_owned()
                }
            }],
            "Every number is the same; nothing is missing.",
        ),
        _ => return None,
    })
}

fn recovery(action: &Action) -> Acts {
    match action {
        Action::Tune { .. } => these(
            ["Run perfwiz on the active node; note the answers.".into()],
            "perfopt.log says where the databases and logs are.",
        ),
        Action::RefreshCheckpoints { .. } => these(
            [format!(
                "In {CLUSTER} remove and add the registry keys of each Exchange resource once, so \
                 that they hold what is live now."
            )],
            "The keys are listed again.",
        ),
        Action::InspectCheckpoints { resource, .. } => these(
            [format!("In {CLUSTER} open {}; Properties, Registry Replication.", named(*resource))],
            "The keys that travel with it are listed.",
        ),
        Action::RemoveCheckpoint { resource, key, .. } => these(
            [format!(
                "On that page of {} select {} and choose Remove.",
                named(*resource),
                key_of(*resource, *key)
            )],
            "The key is no longer listed.",
        ),
        Action::AddCheckpoint { resource, key, .. } => these(
            [format!(
                "On that page of {} choose Add and type {}.",
                named(*resource),
                key_of(*resource, *key)
            )],
            "The key is listed; what is live now has been taken.",
        ),
        Action::ConfirmCheckpoints { .. } => {
            these(["Choose OK twice.".into()], "Opened again, the page lists what was added.")
        }
        other => these(
            [format!("Do by hand: {}.", other.kind().replace('-', " "))],
            "What the plan says holds afterwards.",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::RouteChoice;
    use crate::testing::plan_by;

    /// Every step of a route is a page that says what to do and what to see.
    #[track_caller]
    fn check(route: RouteChoice) {
        for step in &plan_by(route).steps {
            let page = instruction(step);
            assert!(!page.acts.is_empty() && !page.expect.is_empty(), "{}", step.id);
            let by_hand = page.acts[0].starts_with("Do by hand");
            assert!(!by_hand, "{} has no page of its own", step.id);
        }
    }

    #[test]
    fn every_step_of_both_routes_has_its_page_in_the_run_book() {
        check(RouteChoice::MoveUsers);
        check(RouteChoice::DisasterRecovery);
    }

    #[test]
    fn the_pages_use_the_words_of_the_programs() {
        let plan = plan_by(RouteChoice::DisasterRecovery);
        let of = |id: &str| instruction(plan.step(&id.into()).expect("a step")).acts.join(" ");
        assert!(of("D9").contains("setup.exe /r"), "{}", of("D9"));
        assert!(of("D17").contains("SYSTEM\\CurrentControlSet\\Services\\MSExchangeIS"));
        assert!(of("D13").contains("do not start"), "{}", of("D13"));
        assert!(of("D21").contains("Update Node"), "{}", of("D21"));
        let back = instruction(plan.step(&"D5".into()).expect("a step")).back;
        assert!(back.expect("it can be started again").contains("Start"));
    }
}
