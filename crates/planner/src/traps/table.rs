//! The table of traps, in the order in which they lie on the way.

use rehome_site::Role;

use super::Answer::{Refuses, Warns, WorksAround};
use super::{Trap, flag, list, number, text};
use crate::inventory::Inventory;
use crate::judge::holds;
use crate::route::Route::{self, DisasterRecovery as D, MoveUsers as M};

/// Both routes.
const BOTH: &[Route] = &[M, D];
/// The service pack from which transfer agent, scanners and alternate recipients behave.
const SERVICE_PACK_MIN: u64 = 4;
/// Components that no cluster runs.
const UNSUPPORTED: [&str; 9] = [
    "ms-mail-connector",
    "cc-mail-connector",
    "snads",
    "profs",
    "x25",
    "ras",
    "dirsync",
    "key-management",
    "dial-up-internet-mail",
];
/// Room that the quorum disk has to have free.
const QUORUM_MIB_MIN: u64 = 50;

/// Nothing sets it: it lies there always.
fn always(_: &Inventory) -> Option<String> {
    None
}

/// Text of a cause that a flag decides.
fn if_flag(inventory: &Inventory, key: &str, bad: bool, cause: &str) -> Option<String> {
    (flag(inventory, key) == Some(bad)).then(|| cause.to_owned())
}

/// All traps.
pub static TRAPS: &[Trap] = &[
    // ---- before either route
    Trap {
        code: "standard-edition",
        routes: BOTH,
        fact: Some("nodes_edition"),
        answer: Refuses,
        consequence: "the first fail-over destroys an installation of the standard edition",
        remedy: "install the enterprise edition on both nodes",
        evidence: "KB Q174042",
        cause: |site| {
            let edition = text(site, "nodes_edition")?;
            let good = edition.eq_ignore_ascii_case("enterprise");
            (!good).then(|| format!("the nodes get the {edition} edition"))
        },
    },
    Trap {
        code: "nt-service-pack",
        routes: BOTH,
        fact: Some("nodes_nt_service_pack"),
        answer: Refuses,
        consequence: "setup stops, or cluster files are too old for the mail server",
        remedy: "install service pack 4 or later on both nodes before the mail server",
        evidence: "KB Q225011, Q248635",
        cause: |site| {
            let pack = number(site, "nodes_nt_service_pack")?;
            (pack < SERVICE_PACK_MIN).then(|| format!("the nodes have service pack {pack}"))
        },
    },
    Trap {
        code: "server-before-cluster",
        routes: BOTH,
        fact: Some("server_before_cluster"),
        answer: Refuses,
        consequence: "service packs later ask for a group that is not there and refuse",
        remedy: "remove the mail server from the nodes, form the cluster, install again",
        evidence: "KB Q221393",
        cause: |site| {
            let cause = "the mail server was on the nodes before the cluster was formed";
            if_flag(site, "server_before_cluster", true, cause)
        },
    },
    Trap {
        code: "group-disk-type",
        routes: BOTH,
        fact: Some("group_disk_type"),
        answer: Refuses,
        consequence: "setup says that the group has not the right resources",
        remedy: "use a resource of type \"Physical Disk\", or install the fix for other types",
        evidence: "KB Q184880",
        cause: |site| {
            let kind = text(site, "group_disk_type")?;
            (kind != "Physical Disk").then(|| format!("the group's disk is of type \"{kind}\""))
        },
    },
    Trap {
        code: "group-disk-partition",
        routes: BOTH,
        fact: Some("group_disk_partition"),
        answer: Warns,
        consequence: "setup takes only the first partition of a shared disk before the fix",
        remedy: "use the first partition",
        evidence: "KB Q216990, Q216682",
        cause: |site| {
            let partition = number(site, "group_disk_partition")?;
            (partition > 1).then(|| format!("partition {partition} of the shared disk is used"))
        },
    },
    Trap {
        code: "address-not-static",
        routes: BOTH,
        fact: Some("group_address_static"),
        answer: Refuses,
        consequence: "clients lose the group when the lease ends",
        remedy: "give the group a static address",
        evidence: "resource kit, chapter on clusters, terms",
        cause: |site| {
            if_flag(site, "group_address_static", false, "the group's address is a leased one")
        },
    },
    Trap {
        code: "setup-leftovers",
        routes: BOTH,
        fact: Some("nodes_with_leftovers"),
        answer: Refuses,
        consequence: "setup asks for memory and disk space that are there",
        remedy: "delete the old registry keys and program folders on these nodes",
        evidence: "KB Q198995",
        cause: |site| {
            let nodes = list(site, "nodes_with_leftovers")?;
            Some(format!("parts of an earlier installation are on {nodes}"))
        },
    },
    Trap {
        code: "no-local-administrator",
        routes: BOTH,
        fact: Some("nodes_without_local_admin"),
        answer: Refuses,
        consequence: "setup ends with 0xc00203e5",
        remedy: "put the service account into the administrators of each node",
        evidence: "KB Q260215",
        cause: |site| {
            let nodes = list(site, "nodes_without_local_admin")?;
            Some(format!("the service account is no administrator of {nodes}"))
        },
    },
    Trap {
        code: "account-recreated",
        routes: BOTH,
        fact: Some("account_recreated"),
        answer: Refuses,
        consequence: "directory rights name the old account's identity, and services end with 4021",
        remedy: "give the new account the rights, or bring the old one back from a backup",
        evidence: "KB Q163686, Q170810, Q184737",
        cause: |site| if_flag(site, "account_recreated", true, "the service account was made anew"),
    },
    Trap {
        code: "group-offline-at-setup",
        routes: BOTH,
        fact: None,
        answer: WorksAround(&["P2a", "D8a"]),
        consequence: "setup into a group that is offline ends with \"RPC server unavailable\"",
        remedy: "bring disk, address and name online first",
        evidence: "the page, disaster recovery, note on step 9; KB Q196636",
        cause: always,
    },
    Trap {
        code: "backup-unread",
        routes: BOTH,
        fact: Some("backup_read_back"),
        answer: WorksAround(&["B0", "B0c", "D4", "D4c"]),
        consequence: "a damaged page shows when the only copy is read",
        remedy: "read the backup back before anything is given up",
        evidence: "KB Q185078, Q151789",
        cause: |site| {
            if_flag(site, "backup_read_back", false, "the last backup was never read back")
        },
    },
    Trap {
        code: "repaired-since-backup",
        routes: BOTH,
        fact: Some("repaired_since_backup"),
        answer: WorksAround(&["B0", "D4"]),
        consequence: "older backups cannot be rolled forward: the log has another signature",
        remedy: "take a full backup after each repair or defragmentation",
        evidence: "KB Q183380",
        cause: |site| {
            let cause = "the databases were repaired or defragmented since the backup";
            if_flag(site, "repaired_since_backup", true, cause)
        },
    },
    Trap {
        code: "circular-logging",
        routes: &[D],
        fact: Some("circular_logging"),
        answer: Refuses,
        consequence: "what came after the full backup cannot be restored",
        remedy: "turn circular logging off and take a full backup",
        evidence: "KB Q181798, Q188635",
        cause: |site| if_flag(site, "circular_logging", true, "the old server's log is circular"),
    },
    Trap {
        code: "circular-logging-while-moving",
        routes: &[M],
        fact: Some("circular_logging"),
        answer: Warns,
        consequence: "a lost disk in the middle of the move loses what came since the backup",
        remedy: "turn circular logging off until the move is over",
        evidence: "KB Q181798",
        cause: |site| if_flag(site, "circular_logging", true, "the old server's log is circular"),
    },
    Trap {
        code: "store-limit",
        routes: BOTH,
        fact: Some("store_limit_gib"),
        answer: Refuses,
        consequence: "the store stops and does not start again at its limit",
        remedy: "install the edition without a limit on the nodes",
        evidence: "KB Q163913, Q268000",
        cause: |site| {
            let limit = number(site, "store_limit_gib")?;
            let need = crate::estimate::target_bytes(site) >> 30;
            (need >= limit).then(|| format!("{need} GiB do not fit into a store of {limit} GiB"))
        },
    },
    Trap {
        code: "organization-name-differs",
        routes: &[D],
        fact: Some("organization_in_database"),
        answer: Refuses,
        consequence: "the restored store ends with event 1088: its names are not the directory's",
        remedy: "install with the names that the database has, in the same case",
        evidence: "KB Q155509, Q238063, Q162353",
        cause: |site| {
            let name = text(site, "organization_in_database")?;
            let own = &site.organization;
            (name != own).then(|| format!("the database says {name:?}, the site file {own:?}"))
        },
    },
    Trap {
        code: "site-name-differs",
        routes: &[D],
        fact: Some("site_in_database"),
        answer: Refuses,
        consequence: "the restored store ends with event 1088: its names are not the directory's",
        remedy: "install with the names that the database has, in the same case",
        evidence: "KB Q155509, Q238063, Q162353",
        cause: |site| {
            let name = text(site, "site_in_database")?;
            (name != site.site).then(|| format!("the database says {name:?}, not {:?}", site.site))
        },
    },
    Trap {
        code: "replication-backlog",
        routes: &[M],
        fact: Some("replication_backlog"),
        answer: WorksAround(&["V1", "M3b"]),
        consequence: "a mailbox moves and the directory stays behind",
        remedy: "wait until both directories are equal, before and after",
        evidence: "the page, move users, before step 1; KB Q178925, Q232693",
        cause: |site| {
            let waiting = number(site, "replication_backlog")?;
            (waiting > 0).then(|| format!("{waiting} directory changes wait"))
        },
    },
    Trap {
        code: "administration-goes-on",
        routes: BOTH,
        fact: Some("administration_frozen"),
        answer: Warns,
        consequence: "changes made meanwhile are lost or refused for up to 16 hours",
        remedy: "let nobody edit the directory until the plan is done",
        evidence: "KB Q160850, Q201414",
        cause: |site| {
            if_flag(site, "administration_frozen", false, "the directory is edited meanwhile")
        },
    },
    Trap {
        code: "key-management",
        routes: &[M],
        fact: None,
        answer: Warns,
        consequence: "signed and sealed mail can no longer be recovered once the server is gone",
        remedy: "move the key management server by its own procedure before step M4",
        evidence: "KB Q152959, Q189286",
        cause: |site| {
            let keeps = site.servers.iter().find(|server| {
                site.leaving().contains(&server.name.as_str()) && holds(server, Role::KeyManagement)
            });
            keeps.map(|server| format!("{} keeps the keys of the organization", server.name))
        },
    },
    Trap {
        code: "component-unsupported",
        routes: BOTH,
        fact: Some("components"),
        answer: Refuses,
        consequence: "it does not run in a cluster, and service packs fail on it",
        remedy: "give these components to another server of the site first",
        evidence: "KB Q169113, Q235692, Q248138",
        cause: |site| {
            let all = list(site, "components")?;
            let bad: Vec<&str> = all.split(", ").filter(|one| UNSUPPORTED.contains(one)).collect();
            (!bad.is_empty()).then(|| format!("no cluster runs {}", bad.join(", ")))
        },
    },
    Trap {
        code: "only-domain-controller",
        routes: &[D],
        fact: Some("only_domain_controller"),
        answer: Refuses,
        consequence: "the cluster service finds no domain controller and does not start",
        remedy: "make another machine a domain controller first",
        evidence: "KB Q171390",
        cause: |site| {
            let cause = "the old server is the only domain controller";
            if_flag(site, "only_domain_controller", true, cause)
        },
    },
    Trap {
        code: "quorum-disk-full",
        routes: BOTH,
        fact: Some("quorum_free_mib"),
        answer: Refuses,
        consequence: "the cluster service cannot write its log and stops",
        remedy: "make room on the quorum disk, or give it a larger one",
        evidence: "KB Q251284, Q225081",
        cause: |site| {
            let free = number(site, "quorum_free_mib")?;
            (free < QUORUM_MIB_MIN).then(|| format!("the quorum disk has {free} MiB free"))
        },
    },
    Trap {
        code: "single-network",
        routes: BOTH,
        fact: Some("cluster_networks"),
        answer: Warns,
        consequence: "a pulled cable makes both nodes fight for the disk",
        remedy: "connect the nodes by two networks",
        evidence: "KB Q289863, Q176320, Q257925",
        cause: |site| {
            let networks = number(site, "cluster_networks")?;
            (networks < 2).then(|| "one network connects the nodes".to_owned())
        },
    },
    Trap {
        code: "name-servers-differ",
        routes: BOTH,
        fact: Some("wins_servers_differ"),
        answer: Warns,
        consequence: "after a fail-over clients do not find the group's name",
        remedy: "give both nodes the same name servers",
        evidence: "KB Q195462",
        cause: |site| {
            if_flag(site, "wins_servers_differ", true, "the nodes use different name servers")
        },
    },
    // ---- while users move
    Trap {
        code: "users-not-warned",
        routes: &[M],
        fact: Some("users_warned"),
        answer: Warns,
        consequence: "whoever is logged on is thrown out when the mailbox moves",
        remedy: "tell users the evening of their wave",
        evidence: "KB Q159953, Q218920",
        cause: |site| if_flag(site, "users_warned", false, "users do not know when they move"),
    },
    Trap {
        code: "mailbox-over-limit",
        routes: &[M],
        fact: Some("target_mailbox_limit_mib"),
        answer: Refuses,
        consequence: "the move of such a mailbox ends in the middle",
        remedy: "raise the limit at the target until the move is over",
        evidence: "KB Q264314",
        cause: |site| {
            let limit = number(site, "target_mailbox_limit_mib")?;
            let over = |one: &&crate::MailboxFacts| one.bytes >> 20 >= limit;
            let names: Vec<&str> = site.moving().filter(over).map(|one| &*one.name).collect();
            let first = names.first()?;
            let more = names.len() - 1;
            Some(format!("mailbox {first} and {more} others are larger than {limit} MiB"))
        },
    },
    Trap {
        code: "deleted-items",
        routes: &[M],
        fact: Some("deleted_item_days"),
        answer: Warns,
        consequence: "what users have deleted and could still get back does not move along",
        remedy: "tell users to recover what they want before their wave",
        evidence: "KB Q195490",
        cause: |site| {
            let days = number(site, "deleted_item_days")?;
            (days > 0).then(|| format!("deleted items are kept for {days} days"))
        },
    },
    Trap {
        code: "event-scripts",
        routes: &[M],
        fact: Some("mailboxes_with_scripts"),
        answer: Warns,
        consequence: "scripts of the event service stay behind",
        remedy: "install them again at the new server",
        evidence: "KB Q281269",
        cause: |site| {
            let names = list(site, "mailboxes_with_scripts")?;
            Some(format!("folders of {names} have scripts"))
        },
    },
    Trap {
        code: "folder-rules",
        routes: &[M],
        fact: Some("mailboxes_with_rules"),
        answer: Warns,
        consequence: "rules that name folders of other mailboxes are turned off",
        remedy: "look at these rules after the wave",
        evidence: "KB Q282496",
        cause: |site| {
            let names = list(site, "mailboxes_with_rules")?;
            Some(format!("rules of {names} name other folders"))
        },
    },
    Trap {
        code: "virus-scanner",
        routes: &[M],
        fact: Some("antivirus_api"),
        answer: Refuses,
        consequence: "the scanner holds messages open and the move fails at them",
        remedy: "turn the scanner off until the move is over, or install service pack 4",
        evidence: "KB Q271547",
        cause: |site| {
            let old = number(site, "source_service_pack").unwrap_or(0) < SERVICE_PACK_MIN;
            let cause = "a virus scanner hooks into the store";
            if_flag(site, "antivirus_api", true, cause).filter(|_| old)
        },
    },
    Trap {
        code: "alternate-recipients",
        routes: &[M],
        fact: Some("mailboxes_with_alternates"),
        answer: Refuses,
        consequence: "mail loops between the two servers",
        remedy: "take the alternate recipients off before the move, or install service pack 4",
        evidence: "KB Q248839",
        cause: |site| {
            let old = number(site, "source_service_pack").unwrap_or(0) < SERVICE_PACK_MIN;
            let names = list(site, "mailboxes_with_alternates").filter(|_| old)?;
            Some(format!("mail of {names} goes to alternate recipients"))
        },
    },
    Trap {
        code: "renamed-folders",
        routes: &[M],
        fact: Some("mailboxes_renamed_folders"),
        answer: Warns,
        consequence: "what is in a renamed default folder is lost by older servers",
        remedy: "give these folders their names back before the wave",
        evidence: "KB Q168188",
        cause: |site| {
            let names = list(site, "mailboxes_renamed_folders")?;
            Some(format!("default folders of {names} were renamed"))
        },
    },
    Trap {
        code: "transfer-agent-cache",
        routes: &[M],
        fact: Some("mta_cache_seconds"),
        answer: Warns,
        consequence: "mail of that time goes to the old home and comes back as undeliverable",
        remedy: "set the cache to 0 for the wave, or move when no mail comes in",
        evidence: "KB Q172364",
        cause: |site| {
            let seconds = number(site, "mta_cache_seconds")?;
            (seconds > 0).then(|| format!("the transfer agent keeps homes for {seconds} s"))
        },
    },
    Trap {
        code: "blind-retry",
        routes: &[M],
        fact: None,
        answer: WorksAround(&["M1"]),
        consequence: "moving again after a failed move deletes what had moved",
        remedy: "look where the mailbox is before it is tried again",
        evidence: "KB Q252869, Q162998",
        cause: always,
    },
    Trap {
        code: "folders-of-one-site",
        routes: &[M],
        fact: Some("administration_home_site_only"),
        answer: Refuses,
        consequence: "public folders refuse their new home with c1040af3",
        remedy: "lift the limit on these folders before step M2",
        evidence: "KB Q247145, Q176172",
        cause: |site| {
            let cause = "public folders are administered from their home site only";
            if_flag(site, "administration_home_site_only", true, cause)
                .filter(|_| number(site, "other_sites").unwrap_or(0) > 0)
        },
    },
    Trap {
        code: "first-server-folders",
        routes: &[M],
        fact: None,
        answer: WorksAround(&["M2", "M2r", "M3a"]),
        consequence: "free and busy times, address book and forms go with the only server \
                      that has them",
        remedy: "replicate them and wait before the server goes",
        evidence: "the page, move users, step 2; KB Q152959",
        cause: always,
    },
    Trap {
        code: "stopped-before-logons",
        routes: &[M],
        fact: None,
        answer: WorksAround(&["M3c"]),
        consequence: "profiles keep the old server's name and find nobody",
        remedy: "keep the old server until each user has logged on once",
        evidence: "the page, move users, note; KB Q178620",
        cause: always,
    },
    Trap {
        code: "offline-copies",
        routes: &[M],
        fact: Some("outlook_offline_users"),
        answer: Warns,
        consequence: "a user who is away for weeks has a profile with the old server's name",
        remedy: "count these users before the gate of step M4",
        evidence: "KB Q178620; the page, move users, note",
        cause: |site| {
            let users = number(site, "outlook_offline_users")?;
            (users > 0).then(|| format!("{users} users work with offline copies"))
        },
    },
    Trap {
        code: "removed-untried",
        routes: &[M],
        fact: None,
        answer: WorksAround(&["M3t", "M4"]),
        consequence: "what still needs the old server shows when it can no longer be started",
        remedy: "stop it, try everything, and remove it then",
        evidence: "KB Q152959, Q189286",
        cause: always,
    },
    // ---- while a server is rebuilt
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
