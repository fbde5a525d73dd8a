//! From the running server to a stopped one with a checked backup: items 1 to 5 of the page.

use super::super::{FULL, TAIL, back_up};
use super::Names;
use crate::action::{Action, BackupKind};
use crate::check::Condition;
use crate::draft::Draft;

pub(super) fn add(draft: &mut Draft<'_>, names: &Names) {
    log_on(draft, names);
    let precaution = ("before-upgrade", BackupKind::Full);
    back_up(draft, ("D2", "disaster recovery, step 2"), &names.server, precaution, &["D1"]);
    upgrade(draft, names);
    let full = (FULL, BackupKind::Full);
    back_up(draft, ("D4", "disaster recovery, step 4"), &names.server, full, &["D3"]);
    // For the tail that follows it this backup has the log kept.
    draft.undone_by("D4", Action::UseCircularLog { server: names.server.clone() });
    system_folders(draft, names);
    stop(draft, names);
    let tail = (TAIL, BackupKind::After(FULL.to_owned()));
    back_up(draft, ("D5a", ""), &names.server, tail, &["D5"]);
}

fn log_on(draft: &mut Draft<'_>, names: &Names) {
    let account = draft
        .inventory
        .server(&names.server)
        .map(|server| server.service_account.clone())
        .unwrap_or_default();
    draft
        .step(
            "D1",
            "disaster recovery, step 1; note on the account",
            &format!("log on as {account}"),
            Action::LogOn { account: account.clone() },
        )
        .after(&["S0"])
        .pre(Condition::ServerOnline { server: names.server.clone() })
        .post(Condition::AccountIsAdministrator { account });
}

fn upgrade(draft: &mut Draft<'_>, names: &Names) {
    let version = draft.inventory.cluster.version.clone();
    draft
        .step(
            "D3",
            "disaster recovery, step 3",
            &format!("bring server {} to version {version}", names.server),
            Action::UpgradeServer { server: names.server.clone(), to_version: version.clone() },
        )
        .after(&["D2c"])
        .pre(Condition::BackupChecked { label: "before-upgrade".to_owned() })
        .pre(Condition::SameVersion { server: names.server.clone(), version: version.clone() })
        .post(Condition::VersionIs { server: names.server.clone(), version })
        .why(
            "a restored database needs the version it was backed up with; backups from before \
             the upgrade no longer fit, so step 4 takes a new one",
            "the page, disaster recovery, step 3; KB Q183380",
        );
}

fn system_folders(draft: &mut Draft<'_>, names: &Names) {
    let folders = names.system_folders.clone();
    let replicated = Condition::PublicFoldersReplicated { server: names.server.clone(), folders };
    let step = draft
        .step(
            "D5s",
            "disaster recovery, note on step 9: system folders",
            "see that system folders have a replica elsewhere",
            Action::CheckSystemFolders { server: names.server.clone() },
        )
        .after(&["D1"])
        .pre_warns(Condition::SystemFolderReplicas { server: names.server.clone() })
        .why(
            "a replica made after the server is gone would be empty, so this comes before it \
             stops and not after the installation",
            "KB Q152959, Q239760",
        );
    if names.peers.is_empty() {
        step.post_warns(replicated);
    } else {
        step.post(replicated);
    }
}

fn stop(draft: &mut Draft<'_>, names: &Names) {
    draft
        .step(
            "D5",
            "disaster recovery, step 5",
            &format!("stop server {}", names.server),
            Action::StopServer { server: names.server.clone() },
        )
        .after(&["D4c", "D5s"])
        .pre(Condition::BackupChecked { label: FULL.to_owned() })
        .pre(Condition::ServerInSite { server: names.server.clone() })
        .post(Condition::ServerStopped { server: names.server.clone() })
        .undo(Action::StartServer { server: names.server.clone() })
        .why(
            "from here on users are kept out; what they wrote since step 4 is in the backup of \
             step D5a",
            "KB Q296229, Q262041",
        );
}
