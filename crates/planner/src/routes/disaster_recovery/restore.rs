//! From the backup to a server that fails over: items 13 to 21 of the page.

use super::super::{FINAL, FULL, TAIL, back_up, fail_over, verify};
use super::Names;
use crate::action::{Action, BackupKind, RegistryKey, Resource, VerifyScope};
use crate::check::Condition;
use crate::draft::Draft;

pub(super) fn add(draft: &mut Draft<'_>, names: &Names) {
    services_offline(draft, names);
    restore(draft, names, ("D13", Resource::Directory), &["D13a"]);
    restore(draft, names, ("D13s", Resource::Store), &["D13"]);
    directory(draft, names);
    let replicated = catch_up(draft, names);
    store_checkpoint(draft, names, &["D14e", replicated]);
    store(draft, names);
    finish(draft, names);
}

fn services_offline(draft: &mut Draft<'_>, names: &Names) {
    draft
        .step(
            "D13a",
            "",
            "take directory and store offline",
            Action::TakeOffline { group: names.group.clone(), resource: Resource::Directory },
        )
        .after(&["D12"])
        .pre(Condition::ResourceOnline {
            group: names.group.clone(),
            resource: Resource::Attendant,
        })
        .post(Condition::ResourceOffline {
            group: names.group.clone(),
            resource: Resource::Directory,
        })
        .post(Condition::ResourceOffline { group: names.group.clone(), resource: Resource::Store })
        .why(
            "a restore cannot stop a service that the cluster runs; disk, address and name stay \
             online",
            "KB Q237739, Q238063",
        );
}

fn restore(draft: &mut Draft<'_>, names: &Names, (id, part): (&str, Resource), after: &[&str]) {
    let labels = vec![FULL.to_owned(), TAIL.to_owned()];
    draft
        .step(
            id,
            "disaster recovery, step 13",
            &format!("restore the {part}, without starting it"),
            Action::Restore {
                group: names.group.clone(),
                server: names.server.clone(),
                labels: labels.clone(),
                part,
            },
        )
        .after(after)
        .pre(Condition::ResourceOffline { group: names.group.clone(), resource: part })
        .pre(Condition::BackupChecked { label: FULL.to_owned() })
        .pre(Condition::BackupChecked { label: TAIL.to_owned() })
        .post(Condition::Restored { group: names.group.clone(), labels, part })
        .no_way_back("the databases of the installation are replaced; restoring again is the way")
        .why(
            "directory and store are restored one by one, from the full backup and from what \
             came after it",
            "KB Q247109, Q296229",
        );
}

fn directory(draft: &mut Draft<'_>, names: &Names) {
    let resource = Resource::Directory;
    let why = (
        "bringing the directory online writes its old checkpoint over the restore marker, so \
         that it would start without its logs; a checkpoint taken now holds the marker",
        "KB Q188674, Q238063, Q174070",
    );
    let page = "disaster recovery, steps 15 to 18, for the directory";
    remove_key(draft, names, ("D14a", page), (resource, RegistryKey::Root), &["D13s"], why);
    add_key(draft, names, ("D14b", page), (resource, RegistryKey::Root), &["D14a"], why);
    online(draft, names, ("D14", "disaster recovery, step 14"), resource, &["D14b"], None);
    settle(draft, names, resource, ["D14c", "D14d", "D14e"], "D14");
}

/// Waits for the restored directory to agree with its peers; returns the id of its last step.
fn catch_up(draft: &mut Draft<'_>, names: &Names) -> &'static str {
    let Some(peer) = names.peers.first() else { return "D14" };
    let replicated =
        Condition::DirectoryReplicated { from: peer.clone(), to: names.server.clone() };
    draft
        .step(
            "D14w",
            "",
            "wait until the directory has taken its own changes back",
            Action::WaitDirectoryReplication { from: peer.clone(), to: names.server.clone() },
        )
        .after(&["D14"])
        .post(replicated)
        .post(Condition::ChangeNumbersNotBehind { server: names.server.clone() })
        .why(
            "a restored directory counts its changes from an earlier number; what it writes \
             before it has caught up never reaches its peers. Nobody administers the site \
             meanwhile",
            "KB Q160850, Q201414",
        );
    "D14w"
}

fn store_checkpoint(draft: &mut Draft<'_>, names: &Names, after: &[&str]) {
    let resource = Resource::Store;
    draft
        .step(
            "D15",
            "disaster recovery, step 15",
            "show the store's checkpoints",
            Action::InspectCheckpoints { group: names.group.clone(), resource },
        )
        .after(after)
        .pre(Condition::ResourceOffline { group: names.group.clone(), resource });
    let why = (
        "the checkpoint from the installation knows nothing of the restore and would wipe its \
         marker",
        "KB Q188674, Q174070",
    );
    let root = (resource, RegistryKey::Root);
    remove_key(draft, names, ("D16", "disaster recovery, step 16"), root, &["D15"], why);
    let why =
        ("a checkpoint captures the live key, marker and all, when it is added", "KB Q174070");
    add_key(draft, names, ("D17", "disaster recovery, step 17"), root, &["D16"], why);
    draft
        .step(
            "D18",
            "disaster recovery, step 18",
            "make the checkpoints durable and read them back",
            Action::ConfirmCheckpoints { group: names.group.clone() },
        )
        .after(&["D17"])
        .post(Condition::CheckpointsMatch { group: names.group.clone() })
        .post(Condition::RestoreMarkerSafe { group: names.group.clone(), part: resource });
}

fn store(draft: &mut Draft<'_>, names: &Names) {
    let why = (
        "recovery of a large store takes as long as it takes: while it reports progress it is \
         pending, not failed, and nobody stops it",
        "the page, disaster recovery, note on step 19; KB Q234365",
    );
    let id = ("D19", "disaster recovery, step 19 and its note on long recoveries");
    online(draft, names, id, Resource::Store, &["D18"], Some(why));
    settle(draft, names, Resource::Store, ["D19a", "D19b", "D19c"], "D19");
}

/// Brings a restored service online for the first time.
fn online(
    draft: &mut Draft<'_>,
    names: &Names,
    (id, page_ref): (&str, &str),
    resource: Resource,
    after: &[&str],
    why: Option<(&str, &str)>,
) {
    let group = || names.group.clone();
    let step = draft
        .step(
            id,
            page_ref,
            &format!("bring the {resource} online"),
            Action::BringOnline { group: group(), resource },
        )
        .after(after)
        .pre(Condition::RestoreMarkerSafe { group: group(), part: resource })
        .post(Condition::ResourceOnline { group: group(), resource })
        .post(Condition::RecoveryFinished { group: group(), part: resource })
        .undo(Action::TakeOffline { group: group(), resource });
    if let Some((reason, evidence)) = why {
        step.why(reason, evidence);
    }
}

/// Takes the temporary root checkpoint away and leaves the two that may stay.
fn settle(draft: &mut Draft<'_>, names: &Names, resource: Resource, ids: [&str; 3], after: &str) {
    let why = (
        "a root key as a checkpoint brings back stale start modes and counters on every \
         fail-over; it was needed for the restore alone",
        "KB Q290651, Q237541",
    );
    remove_key(draft, names, (ids[0], ""), (resource, RegistryKey::Root), &[after], why);
    let why = ("settings alone are what the other node has to get", "KB Q237541, Q245211");
    let parameters = (resource, RegistryKey::Parameters);
    add_key(draft, names, (ids[1], ""), parameters, &[ids[0]], why);
    let diagnostics = (resource, RegistryKey::Diagnostics);
    add_key(draft, names, (ids[2], ""), diagnostics, &[ids[1]], why);
}

fn remove_key(
    draft: &mut Draft<'_>,
    names: &Names,
    (id, page_ref): (&str, &str),
    (resource, key): (Resource, RegistryKey),
    after: &[&str],
    (reason, evidence): (&str, &str),
) {
    let group = || names.group.clone();
    draft
        .step(
            id,
            page_ref,
            &format!("remove the {key} checkpoint of the {resource}"),
            Action::RemoveCheckpoint { group: group(), resource, key },
        )
        .after(after)
        .post(Condition::CheckpointAbsent { group: group(), resource, key })
        .undo(Action::AddCheckpoint { group: group(), resource, key })
        .why(reason, evidence);
}

fn add_key(
    draft: &mut Draft<'_>,
    names: &Names,
    (id, page_ref): (&str, &str),
    (resource, key): (Resource, RegistryKey),
    after: &[&str],
    (reason, evidence): (&str, &str),
) {
    let group = || names.group.clone();
    let step = draft
        .step(
            id,
            page_ref,
            &format!("add the {key} checkpoint of the {resource}"),
            Action::AddCheckpoint { group: group(), resource, key },
        )
        .after(after)
        .post(Condition::CheckpointPresent { group: group(), resource, key })
        .undo(Action::RemoveCheckpoint { group: group(), resource, key })
        .why(reason, evidence);
    if key == RegistryKey::Root {
        step.pre(Condition::Restored {
            group: group(),
            labels: vec![FULL.to_owned(), TAIL.to_owned()],
            part: resource,
        })
        .post(Condition::RestoreMarkerSafe { group: group(), part: resource });
    }
}

fn finish(draft: &mut Draft<'_>, names: &Names) {
    draft
        .step(
            "D20",
            "disaster recovery, step 20",
            &format!("bring all of group {} online", names.group),
            Action::BringGroupOnline { group: names.group.clone() },
        )
        .after(&["D19c"])
        .post(Condition::GroupOnline { group: names.group.clone() });
    let mut last = "D20".to_owned();
    for (index, node) in names.nodes.iter().enumerate().skip(1) {
        let id = if index == 1 { "D21".to_owned() } else { format!("D21-{index}") };
        draft
            .step(
                &id,
                "disaster recovery, step 21",
                &format!("prepare {node} to take over"),
                Action::UpdateNode { group: names.group.clone(), node: node.clone() },
            )
            .after(&[&last])
            .pre(Condition::GroupOnline { group: names.group.clone() })
            .pre(Condition::GroupOwner { group: names.group.clone(), node: names.primary.clone() })
            .post(Condition::NodeUpdated { group: names.group.clone(), node: node.clone() });
        last = id;
    }
    fail_over(draft, &[&last]);
    back_up(draft, ("B1", ""), &names.server, (FINAL, BackupKind::Full), &["F1"]);
    verify(draft, "V9", &names.server, VerifyScope::Content, &["B1c"]);
}
