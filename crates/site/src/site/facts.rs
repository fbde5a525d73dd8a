//! Facts about a site that no export holds and that decide whether a route can be gone.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What kind of value a fact has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FactKind {
    /// `true` or `false`.
    Flag,
    /// A whole number.
    Number,
    /// A text.
    Text,
    /// A list of texts.
    List,
}

/// The value of a fact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Fact {
    /// `true` or `false`.
    Flag(bool),
    /// A whole number.
    Number(u64),
    /// A text.
    Text(String),
    /// A list of texts.
    List(Vec<String>),
}

/// What is known, by name.
pub type Facts = BTreeMap<String, Fact>;

/// A fact that can be stated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FactSpec {
    /// Its key below `[facts]`.
    pub key: &'static str,
    /// What kind of value it has.
    pub kind: FactKind,
    /// How it is written.
    pub example: &'static str,
    /// What it says.
    pub meaning: &'static str,
}

/// Shortens the table below.
const fn fact(
    key: &'static str,
    kind: FactKind,
    example: &'static str,
    meaning: &'static str,
) -> FactSpec {
    FactSpec { key, kind, example, meaning }
}

use FactKind::{Flag, List, Number, Text};

/// All facts, in the order in which they are explained.
pub static FACTS: &[FactSpec] = &[
    fact("nodes_edition", Text, "\"enterprise\"", "edition of the mail server for the nodes"),
    fact("nodes_nt_service_pack", Number, "4", "service pack of the nodes' system"),
    fact("server_before_cluster", Flag, "false", "mail server installed before the cluster was"),
    fact("group_disk_type", Text, "\"Physical Disk\"", "type of the group's disk resource"),
    fact("group_disk_partition", Number, "1", "partition of the shared disk that is used"),
    fact("group_address_static", Flag, "true", "whether the group's address is a static one"),
    fact("nodes_with_leftovers", List, "[\"N1\"]", "nodes with parts of an earlier installation"),
    fact("nodes_without_local_admin", List, "[\"N2\"]", "nodes whose administrators lack it"),
    fact("account_recreated", Flag, "false", "service account deleted and made anew"),
    fact("backup_read_back", Flag, "true", "whether the last backup was read back"),
    fact("repaired_since_backup", Flag, "false", "repaired or defragmented since the backup"),
    fact("circular_logging", Flag, "false", "whether the old server gives its log up"),
    fact("store_limit_gib", Number, "16", "limit of the edition's store, in GiB"),
    fact("organization_in_database", Text, "\"Example\"", "as the database writes it"),
    fact("site_in_database", Text, "\"Headquarters\"", "as the database writes it"),
    fact("replication_backlog", Number, "0", "directory changes that wait to be replicated"),
    fact("administration_frozen", Flag, "true", "whether nobody edits the directory meanwhile"),
    fact("components", List, "[\"internet-mail-service\"]", "what else is installed"),
    fact("only_domain_controller", Flag, "false", "whether the old server is the only one"),
    fact("quorum_free_mib", Number, "500", "free room on the quorum disk, in MiB"),
    fact("cluster_networks", Number, "2", "networks between the nodes"),
    fact("wins_servers_differ", Flag, "false", "whether the nodes use different name servers"),
    fact("users_warned", Flag, "true", "whether users know when they are moved"),
    fact("target_mailbox_limit_mib", Number, "500", "largest mailbox that the target takes"),
    fact("deleted_item_days", Number, "7", "days for which deleted items are kept"),
    fact(
        "mailboxes_with_scripts",
        List,
        "[\"desk\"]",
        "mailboxes with scripts of the event service",
    ),
    fact("mailboxes_with_rules", List, "[\"boss\"]", "mailboxes whose rules name other folders"),
    fact("mailboxes_with_alternates", List, "[\"boss\"]", "mailboxes with alternate recipients"),
    fact("mailboxes_renamed_folders", List, "[\"jo\"]", "mailboxes with a renamed default folder"),
    fact("antivirus_api", Flag, "false", "whether a virus scanner hooks into the store"),
    fact("source_service_pack", Number, "4", "service pack of the mail server that is moved"),
    fact("mta_cache_seconds", Number, "60", "how long the transfer agent keeps old homes"),
    fact("administration_home_site_only", Flag, "false", "whether folders refuse other sites"),
    fact("server_object_deleted", Flag, "false", "whether the old server left the directory"),
    fact("node_accounts_renewed", Flag, "true", "machine accounts of rebuilt nodes made anew"),
    fact("offline_backup", Flag, "false", "whether the backup is a copy of closed files"),
    fact("backup_key_checkpointed", Flag, "true", "whether the key of the backups travels along"),
    fact("network_cards", Number, "1", "network cards of each node"),
    fact("backup_logs_complete", Flag, "true", "whether no log of the backup is missing"),
    fact("start_deadline_seconds", Number, "600", "how long the cluster lets the store start"),
    fact("other_sites", Number, "0", "sites that replicate with this one"),
    fact("outlook_offline_users", Number, "0", "users with offline copies of their mailbox"),
];

/// The fact of a key.
pub(super) fn spec_of(key: &str) -> Option<&'static FactSpec> {
    FACTS.iter().find(|spec| spec.key == key)
}
