//! From empty computers to an installation without data: items 6 to 12 of the page.

use super::super::TAIL;
use super::Names;
use crate::action::{Action, InstallMode, Resource};
use crate::check::Condition;
use crate::draft::Draft;
use crate::estimate;

pub(super) fn add(draft: &mut Draft<'_>, names: &Names) {
    wipe(draft, names);
    form_cluster(draft, names);
    make_group(draft, names);
    install(draft, names);
    tune(draft, names);
    attendant(draft, names);
}

fn wipe(draft: &mut Draft<'_>, names: &Names) {
    let answer = estimate::gate(draft.inventory);
    draft
        .step(
            "D6w",
            "disaster recovery, step 6",
            &format!("give up the computer of server {}", names.server),
            Action::WipeComputer { computer: names.server.clone() },
        )
        .after(&["D5ac"])
        .pre(Condition::ServerStopped { server: names.server.clone() })
        .pre(Condition::BackupChecked { label: TAIL.to_owned() })
        .pre(Condition::BackupIsLatest { server: names.server.clone(), label: TAIL.to_owned() })
        .post(Condition::ComputerReleased { computer: names.server.clone() })
        .no_way_back("the old installation cannot be started again; the way on is the restore")
        .human(
            &format!(
                "confirm that the computer of server {} may be given up: the server is stopped, \
                 and its last backup was read back without a fault",
                names.server
            ),
            answer,
        );
    draft
        .step(
            "D6",
            "disaster recovery, step 6",
            &format!("install {} from nothing", names.nodes.join(" and ")),
            Action::InstallNodes { nodes: names.nodes.clone() },
        )
        .after(&["D6w"])
        .pre(Condition::ComputerReleased { computer: names.server.clone() })
        .post(Condition::NodesClean { nodes: names.nodes.clone() })
        .no_way_back("what was on the nodes is gone");
}

fn form_cluster(draft: &mut Draft<'_>, names: &Names) {
    let cluster = draft.inventory.cluster.clone();
    draft
        .step(
            "D7",
            "disaster recovery, step 7 and its note on the account",
            &format!("form cluster {} on {}", cluster.name, names.nodes.join(" and ")),
            Action::CreateCluster {
                cluster: cluster.name.clone(),
                nodes: names.nodes.clone(),
                service_account: cluster.service_account.clone(),
            },
        )
        .after(&["D6"])
        .pre(Condition::NodesDistinct)
        .pre(Condition::SameServiceAccount { server: names.server.clone() })
        .post(Condition::ClusterFormed { nodes: names.nodes.clone() })
        .undo(Action::RemoveCluster { cluster: cluster.name });
}

fn make_group(draft: &mut Draft<'_>, names: &Names) {
    let address = draft.inventory.cluster.address.clone();
    draft
        .step(
            "D8",
            "disaster recovery, step 8 and its note on the name",
            &format!("make group {} with the name {}", names.group, names.server),
            Action::ConfigureGroup {
                group: names.group.clone(),
                network_name: names.server.clone(),
                address,
            },
        )
        .after(&["D7"])
        .pre(Condition::NetworkNameIsServerName { server: names.server.clone() })
        .pre(Condition::ClusterFormed { nodes: names.nodes.clone() })
        .post(Condition::GroupConfigured {
            group: names.group.clone(),
            network_name: names.server.clone(),
        })
        .undo(Action::RemoveGroup { group: names.group.clone() });
    draft
        .step(
            "D8a",
            "disaster recovery, note on step 9: the group online",
            "bring disk, address and name online",
            Action::BringGroupOnline { group: names.group.clone() },
        )
        .after(&["D8"])
        .pre(Condition::ServerStopped { server: names.server.clone() })
        .post(Condition::GroupOnline { group: names.group.clone() })
        .undo(Action::TakeGroupOffline { group: names.group.clone() })
        .why(
            "an installation into a group that is offline fails; and the old server must be \
             silent before its name is online again",
            "KB Q196636, Q184880",
        );
}

fn install(draft: &mut Draft<'_>, names: &Names) {
    let service_account = draft.inventory.cluster.service_account.clone();
    let version = draft.inventory.cluster.version.clone();
    draft
        .step(
            "D9",
            "disaster recovery, step 9 and its note on the configuration",
            &format!("install server {} on {} for a restore", names.server, names.primary),
            Action::InstallServer {
                group: names.group.clone(),
                server: names.server.clone(),
                node: names.primary.clone(),
                mode: InstallMode::Recover,
                service_account,
            },
        )
        .after(&["D8a"])
        .pre(Condition::GroupOnline { group: names.group.clone() })
        .pre(Condition::GroupOwner { group: names.group.clone(), node: names.primary.clone() })
        .pre(Condition::SameServiceAccount { server: names.server.clone() })
        .pre(Condition::SameVersion { server: names.server.clone(), version })
        .pre(Condition::ServerInSite { server: names.server.clone() })
        .post(Condition::ServerInstalled {
            group: names.group.clone(),
            server: names.server.clone(),
            node: names.primary.clone(),
        })
        .undo(Action::UninstallServer { group: names.group.clone(), server: names.server.clone() })
        .why(
            "the server's object stays in the site: deleting it would end its replication for \
             good. The installation has no databases until they are restored",
            "KB Q196406",
        );
    draft
        .step(
            "D10",
            "disaster recovery, step 10",
            &format!("look at what the installation left in group {}", names.group),
            Action::CheckSetupResult { group: names.group.clone(), node: names.primary.clone() },
        )
        .after(&["D9"])
        .post(Condition::ServerInstalled {
            group: names.group.clone(),
            server: names.server.clone(),
            node: names.primary.clone(),
        });
}

fn tune(draft: &mut Draft<'_>, names: &Names) {
    draft
        .step(
            "D11",
            "disaster recovery, step 11",
            "measure the machine and set the store's parameters",
            Action::Tune { group: names.group.clone(), resource: Resource::Store },
        )
        .after(&["D10"])
        .post(Condition::Tuned { group: names.group.clone(), resource: Resource::Store });
    draft
        .step(
            "D11a",
            "",
            "take the checkpoints anew, with the tuning in them",
            Action::RefreshCheckpoints { group: names.group.clone() },
        )
        .after(&["D11"])
        .post(Condition::CheckpointsMatch { group: names.group.clone() })
        .why(
            "settings changed while a resource is offline are overwritten by its checkpoint at \
             the next online",
            "KB Q278464, Q199756",
        );
}

fn attendant(draft: &mut Draft<'_>, names: &Names) {
    draft
        .step(
            "D12",
            "disaster recovery, step 12",
            "bring the attendant online",
            Action::BringOnline { group: names.group.clone(), resource: Resource::Attendant },
        )
        .after(&["D11a"])
        .post(Condition::ResourceOnline {
            group: names.group.clone(),
            resource: Resource::Attendant,
        })
        .undo(Action::TakeOffline { group: names.group.clone(), resource: Resource::Attendant });
}
