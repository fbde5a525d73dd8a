//! For each condition: how bad it is, where the demand comes from, and what to do about it.

use super::{Check, Condition, Severity};

/// Evidence and remedy of a condition.
type Texts = (&'static str, &'static str);

impl From<Condition> for Check {
    /// The check for a condition, with its texts from the catalog. It blocks.
    fn from(condition: Condition) -> Self {
        let (evidence, remedy) = texts(&condition);
        Self {
            condition,
            severity: Severity::Blocks,
            evidence: evidence.to_owned(),
            remedy: remedy.to_owned(),
        }
    }
}

impl Check {
    /// The same check, which only warns.
    #[must_use]
    pub fn warns(mut self) -> Self {
        self.severity = Severity::Warns;
        self
    }
}

fn texts(condition: &Condition) -> Texts {
    inventory_texts(condition)
        .or_else(|| server_texts(condition))
        .or_else(|| cluster_texts(condition))
        .or_else(|| directory_texts(condition))
        .or_else(|| backup_texts(condition))
        .unwrap_or_else(|| checkpoint_texts(condition))
}

fn inventory_texts(condition: &Condition) -> Option<Texts> {
    Some(match condition {
        Condition::ServerKnown { .. } => {
            ("the site's directory", "name a server that the site has")
        }
        Condition::SameServiceAccount { .. } => (
            "the page, disaster recovery, step 7; KB Q184737, Q260215, Q163686",
            "give the cluster the account that the server's services run under",
        ),
        Condition::SameSite { .. } => (
            "the page, move users, note on sites; KB Q231461",
            "choose the disaster-recovery route, or a cluster in the same site",
        ),
        Condition::SecondServer => (
            "the page, move users, hardware for two servers",
            "choose the disaster-recovery route, or set route.second_server = true once there is \
             hardware to run both",
        ),
        Condition::TargetHasRoom { .. } => (
            "KB Q163913, Q155492, Q259751",
            "give the group a larger disk, or export old mail from the source first",
        ),
        Condition::NetworkNameIsServerName { .. } => (
            "the page, disaster recovery, note on step 8; KB Q155509",
            "give the group the old server's name, or leave network_name out",
        ),
        Condition::NetworkNameIsFree { .. } => {
            ("KB Q257920", "give the group's server a name that no server or node has")
        }
        Condition::OneServerGoes => (
            "the page, disaster recovery: the same server is rebuilt",
            "choose the move-users route, or plan each server for itself (route.all_servers)",
        ),
        Condition::WindowOpen { .. } => (
            "the site file's windows",
            "wait until the window opens, then run the same command again",
        ),
        Condition::NodesDistinct => (
            "the page, move users, prerequisites 3 and 4; KB Q155509",
            "list two nodes or more, each with a name of its own",
        ),
        Condition::SameVersion { .. } => (
            "the page, disaster recovery, step 3",
            "install the newer version on the nodes; there is no way to an older one",
        ),
        Condition::SystemFolderReplicas { .. } => (
            "the page, disaster recovery, note on step 9; KB Q152959",
            "add a replica of each system folder on another server of the site",
        ),
        _ => return None,
    })
}

fn server_texts(condition: &Condition) -> Option<Texts> {
    Some(match condition {
        Condition::ServerOnline { .. } => {
            ("the step needs a server that answers", "start the server, then run the plan again")
        }
        Condition::ServerStopped { .. } => (
            "the page, disaster recovery, step 5: two servers of one name must not run",
            "stop the server and keep it stopped",
        ),
        Condition::MailTakenIn { .. } => (
            "every message is accounted for before anything moves",
            "run the plan again; what is there already is not taken in twice",
        ),
        Condition::AccountIsAdministrator { .. } => (
            "the page, disaster recovery, note on the account and step 1",
            "use the account that backs the server up, or one with the same rights",
        ),
        Condition::VersionIs { .. } => (
            "the page, disaster recovery, step 3; restored databases need matching code",
            "upgrade the server and take a new backup afterwards",
        ),
        Condition::ComputerReleased { .. } => (
            "the page, disaster recovery, steps 5 and 6",
            "confirm the gate once nothing on the computer is needed any more",
        ),
        Condition::ComputerAccountAbsent { .. } => {
            ("the page, move users, step 4", "delete the computer's account from the domain")
        }
        Condition::WorksWithout { .. } => (
            "KB Q152959: a trial before the deletion shows what would be missed",
            "start the old server again, find what still needs it, move that, try again",
        ),
        Condition::MailEqual { .. } => (
            "nothing is released before its successor is verified",
            "do not go on; keep the source and compare the mailboxes that differ",
        ),
        _ => return None,
    })
}

fn cluster_texts(condition: &Condition) -> Option<Texts> {
    Some(match condition {
        Condition::NodesClean { .. } => (
            "the page, disaster recovery, step 6; KB Q198995",
            "remove what an earlier installation left on the nodes",
        ),
        Condition::ClusterFormed { .. } => (
            "the page, move users, prerequisite 1; KB Q221393",
            "see that every node runs and reaches the quorum",
        ),
        Condition::GroupConfigured { .. } => (
            "the page, move users, prerequisite 2; KB Q184880",
            "create the group with a disk, an address and its network name",
        ),
        Condition::GroupOnline { .. } => (
            "the page, disaster recovery, note on step 9; KB Q196636",
            "bring every resource of the group online",
        ),
        Condition::ResourceOnline { .. } => (
            "the page: silence, not duration, tells a failure; KB Q234365",
            "read the resource's own log; as long as it reports progress, let it work",
        ),
        Condition::ResourceOffline { .. } => (
            "KB Q237739, Q238063: a restore cannot stop a clustered service",
            "take the resource offline by the cluster, not by its service",
        ),
        Condition::ServerInstalled { .. } => (
            "the page, disaster recovery, step 10",
            "run the installation again; it completes what is missing",
        ),
        Condition::NodeUpdated { .. } => (
            "the page, disaster recovery, step 21; KB Q244701",
            "update the node while the group is online on the first one",
        ),
        Condition::GroupOwner { .. } => (
            "KB Q238063, Q248138: the group stays on its node until both are installed",
            "move the group to the node that the step names",
        ),
        Condition::Tuned { .. } => {
            ("the page, disaster recovery, step 11; KB Q271824", "measure and set again")
        }
        _ => return None,
    })
}

fn directory_texts(condition: &Condition) -> Option<Texts> {
    Some(match condition {
        Condition::ServerInSite { .. } => (
            "KB Q196406: without its object a restored server never replicates again",
            "put the server's object back from a backup of the directory; do not create a new one",
        ),
        Condition::ServerNotInSite { .. } => (
            "the page, move users, step 4; KB Q189286",
            "remove the server's object through a server that stays",
        ),
        Condition::DirectoryReplicated { .. } => (
            "the page, move users, verification before step 1; KB Q178925",
            "wait; if the counters stand still, see why the two do not reach each other",
        ),
        Condition::ChangeNumbersNotBehind { .. } => (
            "KB Q160850, Q201414: changes below what peers have seen never leave the server",
            "let the server take back its own changes from its peers before anything is changed",
        ),
        Condition::MailboxesAt { .. } => (
            "KB Q252869, Q162998: data and directory must agree before anything else is tried",
            "repeat the move; it goes on from the directory's answer and deletes nothing",
        ),
        Condition::PublicFoldersAt { .. } => {
            ("the page, move users, step 2; KB Q152959", "change the home server of the folders")
        }
        Condition::RolesAt { .. } => {
            ("KB Q152959, Q189286, Q177763", "hand the roles over while the old server runs")
        }
        Condition::PublicFoldersReplicated { .. } => (
            "the page, move users, step 3; KB Q232693, Q239760",
            "wait until the other replica has everything, or add one",
        ),
        Condition::AllLoggedOn { .. } => (
            "the page, move users, step 3 and its note; KB Q178620",
            "ask the users who are listed to log on once; the old server sends them on",
        ),
        _ => return None,
    })
}

fn backup_texts(condition: &Condition) -> Option<Texts> {
    Some(match condition {
        Condition::BackupExists { .. } => (
            "the page, disaster recovery, steps 2 and 4",
            "take the backup again; an unfinished one is not used",
        ),
        Condition::BackupChecked { .. } => (
            "KB Q185078, Q151789: damage is found only when everything is read",
            "read the backup back; if it is damaged, take another one before going on",
        ),
        Condition::BackupIsLatest { .. } => (
            "KB Q296229, Q262041: what came after the last backup is lost otherwise",
            "stop the server and back up what came after",
        ),
        Condition::Restored { .. } => (
            "the page, disaster recovery, step 13; KB Q296229",
            "restore again; an unfinished restore is never opened",
        ),
        _ => return None,
    })
}

fn checkpoint_texts(condition: &Condition) -> Texts {
    match condition {
        Condition::RestoreMarkerSafe { .. } => (
            "KB Q188674, Q238063, Q174070: an old checkpoint wipes the marker at online",
            "remove the resource's root checkpoint and add it again while the marker is there",
        ),
        Condition::RecoveryFinished { .. } => (
            "the page, disaster recovery, note on step 19; KB Q234365",
            "let it recover; do not stop the service while it reports progress",
        ),
        Condition::CheckpointPresent { .. } => {
            ("the page, disaster recovery, step 17; KB Q174070, Q245211", "add the checkpoint")
        }
        Condition::CheckpointAbsent { .. } => (
            "the page, disaster recovery, step 16; KB Q290651, Q237541",
            "remove the checkpoint; a root key must not stay as one",
        ),
        Condition::CheckpointsMatch { .. } => (
            "KB Q278464, Q199756: edits made while offline are undone at online",
            "take the checkpoints anew from the live keys",
        ),
        _ => ("the plan", "see the step"),
    }
}
