//! The traps that lie before either route.

use rehome_site::Role;

use super::{BOTH, SERVICE_PACK_MIN, always, if_flag};
use crate::judge::holds;
use crate::route::Route::{DisasterRecovery as D, MoveUsers as M};
use crate::traps::Answer::{Refuses, Warns, WorksAround};
use crate::traps::{Trap, list, number, text};

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

pub(super) static TRAPS: &[Trap] = &[
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
];
