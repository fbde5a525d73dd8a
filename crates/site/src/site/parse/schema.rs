//! The keys of `site.toml`. A test compares them with `docs/format/site.md`.

use super::super::read::{KeySpec, TableSpec};

/// Shortens the tables below.
const fn key(name: &'static str, example: &'static str) -> KeySpec {
    KeySpec { name, example }
}

/// The top of the file.
pub(super) static ROOT: TableSpec = TableSpec {
    header: "",
    keys: &[
        key("schema", "schema = \"site/1\""),
        key("organization", "organization = \"Example\""),
        key("site", "site = \"Headquarters\""),
        key("kind", "kind = \"exchange-5.5\""),
        key("timezone", "timezone = \"Europe/Berlin\""),
        key("server", "[[server]]"),
        key("cluster", "[cluster]"),
        key("mailbox", "[[mailbox]]"),
        key("public_folder", "[[public_folder]]"),
        key("route", "[route]"),
        key("clients", "[clients]"),
        key("inventory", "[inventory]"),
        key("window", "[[window]]"),
        key("waves", "[waves]"),
        key("gate", "[[gate]]"),
        key("facts", "[facts]"),
    ],
};

/// A server of today.
pub(super) static SERVER: TableSpec = TableSpec {
    header: "[[server]]",
    keys: &[
        key("name", "name = \"EX1\""),
        key("mail", "mail = \"mail\""),
        key("service_account", "service_account = \"EXAMPLE\\\\svc-mail\""),
        key("version", "version = \"5.0\""),
        key("roles", "roles = [\"first-server-in-site\"]"),
        key("free", "free = \"80GiB\""),
        key("log_free", "log_free = \"20GiB\""),
    ],
};

/// The cluster to be.
pub(super) static CLUSTER: TableSpec = TableSpec {
    header: "[cluster]",
    keys: &[
        key("name", "name = \"HQCLUS\""),
        key("nodes", "nodes = [\"N1\", \"N2\"]"),
        key("service_account", "service_account = \"EXAMPLE\\\\svc-mail\""),
        key("version", "version = \"5.5\""),
        key("group", "[cluster.group]"),
    ],
};

/// The group that is to carry the mail server.
pub(super) static GROUP: TableSpec = TableSpec {
    header: "[cluster.group]",
    keys: &[
        key("name", "name = \"mail\""),
        key("network_name", "network_name = \"EX1\""),
        key("server", "server = \"EXCL1\""),
        key("address", "address = \"127.0.0.41\""),
        key("free", "free = \"80GiB\""),
        key("log_free", "log_free = \"20GiB\""),
    ],
};

/// A mailbox.
pub(super) static MAILBOX: TableSpec = TableSpec {
    header: "[[mailbox]]",
    keys: &[
        key("name", "name = \"alice\""),
        key("server", "server = \"EX1\""),
        key("folder", "folder = \"alice\""),
        key("display_name", "display_name = \"Alice Becker\""),
        key("account", "account = \"EXAMPLE\\\\alice\""),
        key("aliases", "aliases = [\"alice.becker\"]"),
        key("delegates", "delegates = [\"bob\"]"),
    ],
};

/// A public folder.
pub(super) static PUBLIC_FOLDER: TableSpec = TableSpec {
    header: "[[public_folder]]",
    keys: &[
        key("path", "path = \"Announcements\""),
        key("server", "server = \"EX1\""),
        key("replicas", "replicas = [\"EX1\"]"),
        key("filled_from", "filled_from = [\"EX2 from EX1\"]"),
    ],
};

/// Wishes about the way.
pub(super) static ROUTE: TableSpec = TableSpec {
    header: "[route]",
    keys: &[
        key("choose", "choose = \"auto\""),
        key("second_server", "second_server = true"),
        key("max_outage_minutes", "max_outage_minutes = 600"),
        key("max_user_interruption_seconds", "max_user_interruption_seconds = 120"),
        key("deadline", "deadline = \"2026-12-19T06:00:00-08:00\""),
        key("all_servers", "all_servers = true"),
    ],
};

/// What the users' programs do.
pub(super) static CLIENTS: TableSpec =
    TableSpec { header: "[clients]", keys: &[key("simulate", "simulate = true")] };

/// Files that say more about the site.
pub(super) static INVENTORY: TableSpec = TableSpec {
    header: "[inventory]",
    keys: &[
        key("directory", "directory = \"export.csv\""),
        key("sizes", "sizes = \"sizes.csv\""),
        key("encoding", "encoding = \"windows-1250\""),
        key("on_unknown_column", "on_unknown_column = \"warn\""),
    ],
};

/// When work may be done.
pub(super) static WINDOW: TableSpec = TableSpec {
    header: "[[window]]",
    keys: &[
        key("name", "name = \"weeknights\""),
        key("days", "days = \"Mon-Thu\""),
        key("from", "from = \"22:00\""),
        key("until", "until = \"02:00\""),
        key("first", "first = \"2026-12-07\""),
        key("last", "last = \"2026-12-17\""),
        key("utc_offset", "utc_offset = \"-08:00\""),
    ],
};

/// How the move is parted into waves.
pub(super) static WAVES: TableSpec = TableSpec {
    header: "[waves]",
    keys: &[
        key("pilot_mailboxes", "pilot_mailboxes = 12"),
        key("mailboxes_max", "mailboxes_max = 200"),
        key("hub_delegates", "hub_delegates = 25"),
        key("log_reserve_percent", "log_reserve_percent = 20"),
        key("reverse_days", "reverse_days = 7"),
        key("bytes_per_second_max", "bytes_per_second_max = \"10MiB\""),
        key("keep_together", "keep_together = [\"boss, assistant\"]"),
    ],
};

/// Who may open a gate.
pub(super) static GATE: TableSpec = TableSpec {
    header: "[[gate]]",
    keys: &[
        key("step", "step = \"M4\""),
        key("owner", "owner = [\"EXAMPLE\\\\anna\"]"),
        key("until", "until = \"2026-12-19T06:00:00-08:00\""),
    ],
};

/// What else is known; its keys are those of the facts.
pub(super) static FACTS: TableSpec = TableSpec { header: "[facts]", keys: &FACT_KEYS };

/// The facts as keys.
static FACT_KEYS: [KeySpec; super::super::facts::FACTS.len()] = {
    let mut keys = [const { key("", "") }; super::super::facts::FACTS.len()];
    let mut at = 0;
    while at < keys.len() {
        let fact = &super::super::facts::FACTS[at];
        keys[at] = key(fact.key, fact.example);
        at += 1;
    }
    keys
};

/// All tables; the first one that has a key is where a misplaced key is sent.
pub(super) static ALL: &[&TableSpec] = &[
    &ROOT,
    &CLUSTER,
    &GROUP,
    &ROUTE,
    &CLIENTS,
    &INVENTORY,
    &WAVES,
    &WINDOW,
    &GATE,
    &SERVER,
    &MAILBOX,
    &PUBLIC_FOLDER,
    &FACTS,
];
