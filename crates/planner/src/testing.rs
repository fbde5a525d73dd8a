//! A small site for this crate's tests.

use crate::inventory::{
    ClusterFacts, Inventory, MailboxFacts, PublicFolderFacts, Rates, ServerFacts, Wishes,
};
use crate::plan::Plan;
use crate::planning::{PlanOptions, plan};
use crate::route::RouteChoice;

/// Two servers, three mailboxes, two public folders, two nodes; feasible by both routes.
pub(crate) fn inventory() -> Inventory {
    let mailbox = |name: &str, server: &str, messages, bytes, delegates: &[&str]| MailboxFacts {
        name: name.to_owned(),
        server: server.to_owned(),
        messages,
        bytes,
        delegates: delegates.iter().map(|name| (*name).to_owned()).collect(),
        ..MailboxFacts::default()
    };
    let folder = |path: &str, system| PublicFolderFacts {
        path: path.to_owned(),
        server: "EX1".to_owned(),
        replicas: vec!["EX1".to_owned()],
        system,
    };
    let server = |name: &str, roles: &[&str]| ServerFacts {
        name: name.to_owned(),
        service_account: "CONTOSO\\exsvc".to_owned(),
        version: "5.0".to_owned(),
        roles: roles.iter().map(|role| (*role).to_owned()).collect(),
        ..ServerFacts::default()
    };
    Inventory {
        organization: "Contoso".to_owned(),
        site: "Redmond".to_owned(),
        old_server: "EX1".to_owned(),
        servers: vec![server("EX1", &["first-server-in-site"]), server("EX2", &[])],
        cluster: ClusterFacts {
            name: "CL1".to_owned(),
            nodes: vec!["N1".to_owned(), "N2".to_owned()],
            service_account: "CONTOSO\\exsvc".to_owned(),
            version: "5.5".to_owned(),
            group: "mail".to_owned(),
            server: "EXCL1".to_owned(),
            address: "127.0.0.1".to_owned(),
            free_bytes: Some(100 << 30),
            ..ClusterFacts::default()
        },
        mailboxes: vec![
            mailbox("anna", "EX1", 1200, 90 << 20, &[]),
            mailbox("boss", "EX1", 8000, 900 << 20, &["pa"]),
            mailbox("pa", "EX1", 300, 10 << 20, &["zoe"]),
            mailbox("zoe", "EX2", 10, 1 << 20, &[]),
        ],
        public_folders: vec![
            folder("Projects", false),
            folder("Schedule+ Free Busy Information", true),
        ],
        unique_bytes: 800 << 20,
        wishes: Wishes { simulate_clients: true, ..Wishes::default() },
        rates: Rates { gate_seconds: 60.0, measured: true, ..Rates::default() },
        ..Inventory::default()
    }
}

/// Options of all tests.
pub(crate) fn options(route: RouteChoice) -> PlanOptions {
    PlanOptions { route, now_us: 1_795_000_000_000_000, inventory_hash: "4be1c0ffee".to_owned() }
}

/// The plan of a route for [`inventory`].
#[track_caller]
pub(crate) fn plan_by(route: RouteChoice) -> Plan {
    plan(&inventory(), &options(route)).expect("the site is feasible by both routes")
}
