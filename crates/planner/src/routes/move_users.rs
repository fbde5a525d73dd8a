//! The move-users route: both servers run, mailboxes move while they are in use.

use super::{
    FINAL, Folders, back_up, fail_over, folders_of, mailboxes_in_order, roles_of, take_in, verify,
};
use crate::action::{Action, BackupKind, InstallMode, VerifyScope};
use crate::check::Condition;
use crate::draft::Draft;
use crate::estimate;
use crate::format::plural;
use crate::inventory::Inventory;
use crate::plan::Step;

/// Names that nearly every step of the route needs.
struct Names {
    old: String,
    new: String,
    group: String,
    nodes: Vec<String>,
    mailboxes: Vec<String>,
    /// Folders that people use.
    folders: Vec<String>,
    /// The same, and those that go with a role.
    all_folders: Vec<String>,
}

pub(super) fn steps(inventory: &Inventory) -> Vec<Step> {
    let folders = folders_of(inventory, &inventory.old_server, Folders::Public);
    let mut all_folders = folders_of(inventory, &inventory.old_server, Folders::System);
    all_folders.extend(folders.iter().cloned());
    let names = Names {
        old: inventory.old_server.clone(),
        new: inventory.cluster.server.clone(),
        group: inventory.cluster.group.clone(),
        nodes: inventory.cluster.nodes.clone(),
        mailboxes: mailboxes_in_order(inventory),
        folders,
        all_folders,
    };
    let mut draft = Draft::new(inventory);
    take_in(&mut draft);
    prepare_cluster(&mut draft, &names);
    install(&mut draft, &names);
    let updates = update_nodes(&mut draft, &names);
    join_site(&mut draft, &names, &updates);
    back_up(&mut draft, ("B0", ""), &names.old, ("before-move", BackupKind::Full), &["S0"]);
    move_mailboxes(&mut draft, &names);
    move_duties(&mut draft, &names);
    prove(&mut draft, &names);
    wait(&mut draft, &names);
    stop_old(&mut draft, &names);
    remove_old(&mut draft, &names);
    draft.in_order("M4")
}

fn prepare_cluster(draft: &mut Draft<'_>, names: &Names) {
    let cluster = draft.inventory.cluster.clone();
    draft
        .step(
            "P1",
            "move users, prerequisite 1",
            &format!("form cluster {} on {}", cluster.name, names.nodes.join(" and ")),
            Action::CreateCluster {
                cluster: cluster.name.clone(),
                nodes: names.nodes.clone(),
                service_account: cluster.service_account.clone(),
            },
        )
        .pre(Condition::NodesDistinct)
        .pre(Condition::SecondServer)
        .pre(Condition::SameServiceAccount { server: names.old.clone() })
        .post(Condition::ClusterFormed { nodes: names.nodes.clone() })
        .undo(Action::RemoveCluster { cluster: cluster.name.clone() });
    draft
        .step(
            "P2",
            "move users, prerequisite 2",
            &format!("make group {} with disk, address and name {}", names.group, names.new),
            Action::ConfigureGroup {
                group: names.group.clone(),
                network_name: names.new.clone(),
                address: cluster.address.clone(),
            },
        )
        .after(&["P1"])
        .pre(Condition::ClusterFormed { nodes: names.nodes.clone() })
        .pre(Condition::NetworkNameIsFree { name: names.new.clone() })
        .post(Condition::GroupConfigured {
            group: names.group.clone(),
            network_name: names.new.clone(),
        })
        .undo(Action::RemoveGroup { group: names.group.clone() });
    draft
        .step(
            "P2a",
            "",
            "bring disk, address and name online",
            Action::BringGroupOnline { group: names.group.clone() },
        )
        .after(&["P2"])
        .post(Condition::GroupOnline { group: names.group.clone() })
        .undo(Action::TakeGroupOffline { group: names.group.clone() })
        .why("an installation into a group that is offline fails", "KB Q196636, Q184880");
}

fn install(draft: &mut Draft<'_>, names: &Names) {
    let primary = names.nodes.first().cloned().unwrap_or_default();
    let service_account = draft.inventory.cluster.service_account.clone();
    draft
        .step(
            "P3",
            "move users, prerequisite 3",
            &format!("install server {} on {primary}", names.new),
            Action::InstallServer {
                group: names.group.clone(),
                server: names.new.clone(),
                node: primary.clone(),
                mode: InstallMode::New,
                service_account,
            },
        )
        .after(&["P2a", "S0"])
        .pre(Condition::GroupOnline { group: names.group.clone() })
        .pre(Condition::GroupOwner { group: names.group.clone(), node: primary.clone() })
        .post(Condition::ServerInstalled {
            group: names.group.clone(),
            server: names.new.clone(),
            node: primary,
        })
        .undo(Action::UninstallServer { group: names.group.clone(), server: names.new.clone() });
    draft
        .step(
            "P3a",
            "",
            &format!("bring server {} online", names.new),
            Action::BringGroupOnline { group: names.group.clone() },
        )
        .after(&["P3"])
        .post(Condition::GroupOnline { group: names.group.clone() })
        .undo(Action::TakeGroupOffline { group: names.group.clone() })
        .why("the second node is updated while the group is online on the first", "KB Q244701");
}

/// One step for each node but the first; returns their ids.
fn update_nodes(draft: &mut Draft<'_>, names: &Names) -> Vec<String> {
    let mut ids = Vec::new();
    let primary = names.nodes.first().cloned().unwrap_or_default();
    for (index, node) in names.nodes.iter().enumerate().skip(1) {
        let id = if index == 1 { "P4".to_owned() } else { format!("P4-{index}") };
        draft
            .step(
                &id,
                "move users, prerequisite 4",
                &format!("prepare {node} to take over"),
                Action::UpdateNode { group: names.group.clone(), node: node.clone() },
            )
            .after(&["P3a"])
            .pre(Condition::GroupOnline { group: names.group.clone() })
            .pre(Condition::GroupOwner { group: names.group.clone(), node: primary.clone() })
            .post(Condition::NodeUpdated { group: names.group.clone(), node: node.clone() });
        ids.push(id);
    }
    ids
}

fn join_site(draft: &mut Draft<'_>, names: &Names, updates: &[String]) {
    let mut after: Vec<&str> = vec!["P3a"];
    after.extend(updates.iter().map(String::as_str));
    draft
        .step(
            "V1",
            "move users, verification before step 1",
            &format!("see {} in the site and replication complete", names.new),
            Action::WaitDirectoryReplication { from: names.old.clone(), to: names.new.clone() },
        )
        .after(&after)
        .pre(Condition::SameSite { from: names.old.clone(), to: names.new.clone() })
        .post(Condition::ServerInSite { server: names.new.clone() })
        .post(Condition::DirectoryReplicated { from: names.old.clone(), to: names.new.clone() });
}

fn move_mailboxes(draft: &mut Draft<'_>, names: &Names) {
    let need_bytes = estimate::target_bytes(draft.inventory);
    let mailboxes = &names.mailboxes;
    draft
        .step(
            "M1",
            "move users, step 1",
            &format!("move {} to {}", plural(mailboxes.len(), "mailbox", "mailboxes"), names.new),
            Action::MoveMailboxes {
                from: names.old.clone(),
                to: names.new.clone(),
                mailboxes: mailboxes.clone(),
            },
        )
        .after(&["V1", "B0c"])
        .pre(Condition::SameSite { from: names.old.clone(), to: names.new.clone() })
        .pre(Condition::TargetHasRoom { need_bytes })
        .pre(Condition::ServerOnline { server: names.old.clone() })
        .pre(Condition::GroupOnline { group: names.group.clone() })
        .pre(Condition::DirectoryReplicated { from: names.old.clone(), to: names.new.clone() })
        .post(Condition::MailboxesAt { server: names.new.clone(), mailboxes: mailboxes.clone() })
        .undo(Action::MoveMailboxes {
            from: names.new.clone(),
            to: names.old.clone(),
            mailboxes: mailboxes.clone(),
        })
        .why(
            "one job, small groups of delegates first; the directory decides where a mailbox is, \
             the source keeps its copy, and trying again deletes nothing",
            "KB Q252869",
        );
}

fn move_duties(draft: &mut Draft<'_>, names: &Names) {
    let roles = roles_of(draft.inventory, &names.old);
    draft
        .step(
            "M2",
            "move users, step 2",
            &format!(
                "move {} to {}",
                plural(names.folders.len(), "public folder", "public folders"),
                names.new
            ),
            Action::MovePublicFolders {
                from: names.old.clone(),
                to: names.new.clone(),
                folders: names.folders.clone(),
            },
        )
        .after(&["M1"])
        .post(Condition::PublicFoldersAt {
            server: names.new.clone(),
            folders: names.folders.clone(),
        })
        .undo(Action::MovePublicFolders {
            from: names.new.clone(),
            to: names.old.clone(),
            folders: names.folders.clone(),
        });
    draft
        .step(
            "M2r",
            "move users, step 2",
            &format!("hand {} over to {}", plural(roles.len(), "role", "roles"), names.new),
            Action::MoveFirstServerRoles {
                from: names.old.clone(),
                to: names.new.clone(),
                roles: roles.clone(),
            },
        )
        .after(&["M2"])
        .post(Condition::RolesAt { server: names.new.clone(), roles: roles.clone() })
        .undo(Action::MoveFirstServerRoles {
            from: names.new.clone(),
            to: names.old.clone(),
            roles,
        })
        .why(
            "address book, free and busy times, forms and routing have one holder in the site; \
             they are handed over while it runs",
            "KB Q152959, Q189286, Q177763, Q239760",
        );
}

fn prove(draft: &mut Draft<'_>, names: &Names) {
    fail_over(draft, &["M2r"]);
    verify(draft, "V8", &names.new, VerifyScope::Content, &["F1"]);
    back_up(draft, ("B1", ""), &names.new, (FINAL, BackupKind::Full), &["V8"]);
}

fn wait(draft: &mut Draft<'_>, names: &Names) {
    draft
        .step(
            "M3a",
            "move users, step 3",
            "wait until public folders are complete elsewhere",
            Action::WaitPublicFolderReplication {
                server: names.old.clone(),
                folders: names.all_folders.clone(),
            },
        )
        .after(&["M2r", "B1c"])
        .post(Condition::PublicFoldersReplicated {
            server: names.old.clone(),
            folders: names.all_folders.clone(),
        });
    draft
        .step(
            "M3b",
            "move users, step 3",
            "wait until directory replication is complete",
            Action::WaitDirectoryReplication { from: names.old.clone(), to: names.new.clone() },
        )
        .after(&["M2r", "B1c"])
        .post(Condition::DirectoryReplicated { from: names.old.clone(), to: names.new.clone() });
    draft
        .step(
            "M3c",
            "move users, step 3; note on logons",
            "wait until every user has logged on once",
            Action::WaitLogons { server: names.new.clone(), mailboxes: names.mailboxes.clone() },
        )
        .after(&["M1", "B1c"])
        .pre(Condition::ServerOnline { server: names.old.clone() })
        .post(Condition::AllLoggedOn {
            server: names.new.clone(),
            mailboxes: names.mailboxes.clone(),
        })
        .why(
            "the old server's answer is what sends a user's program to the new one, so it stays \
             until each has asked once",
            "KB Q178620",
        );
}

fn stop_old(draft: &mut Draft<'_>, names: &Names) {
    draft
        .step(
            "M3",
            "move users, step 3",
            &format!("stop server {}", names.old),
            Action::StopServer { server: names.old.clone() },
        )
        .after(&["M3a", "M3b", "M3c", "V8", "B1c"])
        .pre(Condition::AllLoggedOn {
            server: names.new.clone(),
            mailboxes: names.mailboxes.clone(),
        })
        .pre(Condition::PublicFoldersReplicated {
            server: names.old.clone(),
            folders: names.all_folders.clone(),
        })
        .pre(Condition::DirectoryReplicated { from: names.old.clone(), to: names.new.clone() })
        .pre(Condition::BackupChecked { label: FINAL.to_owned() })
        .post(Condition::ServerStopped { server: names.old.clone() })
        .undo(Action::StartServer { server: names.old.clone() });
    draft
        .step(
            "M3t",
            "",
            &format!("try the site without {}", names.old),
            Action::TrialWithout { server: names.old.clone() },
        )
        .after(&["M3"])
        .pre(Condition::ServerStopped { server: names.old.clone() })
        .post(Condition::WorksWithout { server: names.old.clone() })
        .why("what still needs the old server shows while it can be started again", "KB Q152959");
}

fn remove_old(draft: &mut Draft<'_>, names: &Names) {
    let answer = estimate::gate(draft.inventory);
    draft
        .step(
            "M4",
            "move users, step 4",
            &format!("remove server {} from the site", names.old),
            Action::RemoveServer { server: names.old.clone(), through: names.new.clone() },
        )
        .after(&["M3t"])
        .pre(Condition::WorksWithout { server: names.old.clone() })
        .pre(Condition::MailEqual { server: names.new.clone() })
        .pre(Condition::MailboxesAt {
            server: names.new.clone(),
            mailboxes: names.mailboxes.clone(),
        })
        .post(Condition::ServerNotInSite { server: names.old.clone() })
        .no_way_back("the server's object and its copies of the mail are gone afterwards")
        .human(
            &format!(
                "confirm that server {} may be removed: its mailboxes are verified at {}, every \
                 user has logged on there, and the trial without it went well",
                names.old, names.new
            ),
            answer,
        );
    draft
        .step(
            "M4d",
            "move users, step 4",
            &format!("delete the account of computer {} from the domain", names.old),
            Action::DeleteComputerAccount { computer: names.old.clone() },
        )
        .after(&["M4"])
        .post(Condition::ComputerAccountAbsent { computer: names.old.clone() })
        .no_way_back("an account made anew has another identity");
    verify(draft, "V9", &names.new, VerifyScope::Catalog, &["M4d"]);
}
