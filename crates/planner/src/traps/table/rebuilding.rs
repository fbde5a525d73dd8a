//! The traps that lie there while a server is rebuilt, and at the end of both routes.

use super::{BOTH, always, if_flag};
use crate::route::Route::DisasterRecovery as D;
use crate::traps::Answer::{Refuses, Warns, WorksAround};
use crate::traps::{Trap, number};

pub(super) static TRAPS: &[Trap] = &[
    Trap {
        code: "server-object-deleted",
        routes: &[D],
        fact: Some("server_object_deleted"),
        answer: Refuses,
        consequence: "the other servers drop their links, and the restored one never replicates",
        remedy: "bring the object back by a restore of another server's directory",
        evidence: "KB Q196406",
        cause: |site| {
            let cause = "the old server's object left the directory";
            if_flag(site, "server_object_deleted", true, cause)
        },
    },
    Trap {
        code: "old-server-on",
        routes: &[D],
        fact: None,
        answer: WorksAround(&["D5", "D8a"]),
        consequence: "two machines answer to one name",
        remedy: "stop the old server before the group's name comes online",
        evidence: "the page, disaster recovery, step 5 and note on step 8",
        cause: always,
    },
    Trap {
        code: "computer-gone-too-early",
        routes: &[D],
        fact: None,
        answer: WorksAround(&["D5a", "D5ac", "D6w"]),
        consequence: "mail that came after the backup of step 4 is lost",
        remedy: "back up what came since, once the server has stopped, and read it back",
        evidence: "KB Q296229; the page, disaster recovery, steps 4 to 6",
        cause: always,
    },
    Trap {
        code: "node-accounts",
        routes: &[D],
        fact: Some("node_accounts_renewed"),
        answer: Warns,
        consequence: "a rebuilt node cannot talk to the domain",
        remedy: "delete and add the machine accounts of rebuilt nodes",
        evidence: "resource kit, chapter on recovery",
        cause: |site| {
            let cause = "machine accounts of rebuilt nodes are the old ones";
            if_flag(site, "node_accounts_renewed", false, cause)
        },
    },
    Trap {
        code: "tuning-undone",
        routes: &[D],
        fact: None,
        answer: WorksAround(&["D11", "D11a"]),
        consequence: "checkpoints write the old settings over those of the optimizer",
        remedy: "take the checkpoints anew after tuning",
        evidence: "KB Q278464, Q199756",
        cause: always,
    },
    Trap {
        code: "services-online-at-restore",
        routes: &[D],
        fact: None,
        answer: WorksAround(&["D13a"]),
        consequence: "the backup program cannot stop a clustered service (event 8010)",
        remedy: "take directory and store offline in the cluster first",
        evidence: "KB Q237739, Q238063",
        cause: always,
    },
    Trap {
        code: "restore-marker-wiped",
        routes: &[D],
        fact: None,
        answer: WorksAround(&["D14a", "D14b", "D17"]),
        consequence: "the checkpoint wipes the mark of the restore, and the service dies with -528",
        remedy: "take the key into the checkpoint before the service comes online",
        evidence: "KB Q188674, Q238063, Q174070",
        cause: always,
    },
    Trap {
        code: "root-checkpoint-stays",
        routes: &[D],
        fact: None,
        answer: WorksAround(&["D14c", "D19a"]),
        consequence: "start types and counters of one node are written over the other's for ever",
        remedy: "remove the root keys after the first good start",
        evidence: "KB Q290651, Q237541",
        cause: always,
    },
    Trap {
        code: "offline-backup",
        routes: &[D],
        fact: Some("offline_backup"),
        answer: Refuses,
        consequence: "copied files need another repair (isinteg -patch) that this plan has not",
        remedy: "take an online backup",
        evidence: "KB Q149238, Q178311, Q185942",
        cause: |site| if_flag(site, "offline_backup", true, "the backup is a copy of closed files"),
    },
    Trap {
        code: "backup-logs-missing",
        routes: &[D],
        fact: Some("backup_logs_complete"),
        answer: Refuses,
        consequence: "the restore cannot roll forward over the gap",
        remedy: "find the tape with the missing logs, or take a full backup now",
        evidence: "KB Q296229",
        cause: |site| {
            if_flag(site, "backup_logs_complete", false, "logs of the backup are missing")
        },
    },
    Trap {
        code: "start-deadline",
        routes: &[D],
        fact: Some("start_deadline_seconds"),
        answer: Warns,
        consequence: "the cluster calls the store failed while it recovers, and someone stops it",
        remedy: "set the resource's pending timeout to the forecast's start deadline first",
        evidence: "the page, disaster recovery, note on step 19",
        cause: |site| {
            let allowed = number(site, "start_deadline_seconds")?;
            let copy = site.messages() as f64 / 50_000.0 + site.rates.online_seconds;
            let need = (copy * 4.0) as u64;
            (allowed < need).then(|| format!("{allowed} s are allowed and {need} s may be needed"))
        },
    },
    Trap {
        code: "directory-behind",
        routes: &[D],
        fact: None,
        answer: WorksAround(&["D14w"]),
        consequence: "the restored directory's own changes never leave (event 1224)",
        remedy: "wait until its numbers are past what the partners know",
        evidence: "KB Q160850, Q201414",
        cause: always,
    },
    Trap {
        code: "backup-key",
        routes: &[D],
        fact: Some("backup_key_checkpointed"),
        answer: Warns,
        consequence: "incremental backups fail after a fail-over",
        remedy: "add the key of the backups to the checkpoints of the store",
        evidence: "KB Q245211",
        cause: |site| {
            let cause = "the key of the backups does not travel with the group";
            if_flag(site, "backup_key_checkpointed", false, cause)
        },
    },
    Trap {
        code: "several-network-cards",
        routes: &[D],
        fact: Some("network_cards"),
        answer: Warns,
        consequence: "the backup program does not find the server (error 1722)",
        remedy: "bind the public network first, and name the server by its network name",
        evidence: "KB Q314588",
        cause: |site| {
            let cards = number(site, "network_cards")?;
            (cards > 1).then(|| format!("each node has {cards} network cards"))
        },
    },
    Trap {
        code: "update-node-offline",
        routes: BOTH,
        fact: None,
        answer: WorksAround(&["P4", "D21"]),
        consequence: "the second node learns of resources that are not there",
        remedy: "update it while the group is online on the first node, and before any fail-over",
        evidence: "the page, disaster recovery, step 21; KB Q244701",
        cause: always,
    },
    Trap {
        code: "fail-over-untried",
        routes: BOTH,
        fact: None,
        answer: WorksAround(&["F1"]),
        consequence: "the first fail-over is the one that was needed",
        remedy: "fail over once while everybody watches",
        evidence: "KB Q238063",
        cause: always,
    },
    Trap {
        code: "no-last-backup",
        routes: BOTH,
        fact: None,
        answer: WorksAround(&["B1", "B1c"]),
        consequence: "older backups are another server's and restore nothing here",
        remedy: "take a full backup of the new server as the last step",
        evidence: "KB Q247109",
        cause: always,
    },
];
