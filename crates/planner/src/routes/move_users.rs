//! The move-users route: both servers run, mailboxes move while they are in use.

use std::collections::{BTreeMap, HashMap};

use rehome_site::SiteKind;

use super::{FINAL, Folders, back_up, fail_over, folders_of, roles_of, take_in, verify};
use crate::action::{Action, BackupKind, InstallMode, VerifyScope};
use crate::check::Condition;
use crate::draft::Draft;
use crate::estimate;
use crate::format::plural;
use crate::inventory::Inventory;
use crate::plan::{Estimate, Step};
use crate::waves::{self, Packed, Wave};

/// Names that nearly every step of the route needs.
struct Names {
    /// The server that is named first.
    old: String,
    new: String,
    group: String,
    nodes: Vec<String>,
    /// All servers that go, the first one first.
    servers: Vec<Leaving>,
}

/// A server that goes.
struct Leaving {
    old: String,
    /// What the names of its steps end with; empty for the first server.
    suffix: String,
    /// Its mailboxes.
    mailboxes: Vec<String>,
    /// The steps that move them.
    moves: Vec<String>,
    /// Folders that people use.
    folders: Vec<String>,
    /// The same, and those that go with a role.
    all_folders: Vec<String>,
}

impl Leaving {
    /// The name of one of its steps.
    fn id(&self, base: &str) -> String {
        format!("{base}{}", self.suffix)
    }
}

impl Names {
    /// The names of a step for all servers.
    fn ids(&self, base: &str) -> Vec<String> {
        self.servers.iter().map(|server| server.id(base)).collect()
    }
}

/// Several names as they are handed on.
fn refs(ids: &[String]) -> Vec<&str> {
    ids.iter().map(String::as_str).collect()
}

pub(super) fn steps(inventory: &Inventory, packed: &Packed) -> Vec<Step> {
    let mut names = Names {
        old: inventory.old_server.clone(),
        new: inventory.cluster.server.clone(),
        group: inventory.cluster.group.clone(),
        nodes: inventory.cluster.nodes.clone(),
        servers: leaving(inventory),
    };
    let mut draft = Draft::new(inventory);
    for server in &names.servers {
        take_in(&mut draft, &server.id("S0"), &server.old);
    }
    prepare_cluster(&mut draft, &names);
    install(&mut draft, &names);
    let updates = update_nodes(&mut draft, &names);
    join_site(&mut draft, &names, &updates);
    for server in &names.servers {
        let label = format!("before-move{}", server.suffix);
        let (id, after) = (server.id("B0"), server.id("S0"));
        back_up(&mut draft, (&id, ""), &server.old, (&label, BackupKind::Full), &[&after]);
    }
    move_mailboxes(&mut draft, &mut names, packed);
    for server in &names.servers {
        move_duties(&mut draft, &names, server);
    }
    prove(&mut draft, &names);
    for server in &names.servers {
        wait(&mut draft, &names, server);
        stop_old(&mut draft, &names, server);
    }
    for server in &names.servers {
        remove_old(&mut draft, &names, server);
    }
    verify(&mut draft, "V9", &names.new, VerifyScope::Catalog, &refs(&names.ids("M4d")));
    draft.in_order("M4")
}

/// The servers that go, without their mailboxes.
fn leaving(inventory: &Inventory) -> Vec<Leaving> {
    let servers = inventory.leaving().into_iter().enumerate().map(|(number, old)| {
        let folders = folders_of(inventory, old, Folders::Public);
        let mut all_folders = folders_of(inventory, old, Folders::System);
        all_folders.extend(folders.iter().cloned());
        Leaving {
            old: old.to_owned(),
            suffix: if number == 0 { String::new() } else { format!("@{old}") },
            mailboxes: Vec::new(),
            moves: Vec::new(),
            folders,
            all_folders,
        }
    });
    servers.collect()
}

fn prepare_cluster(draft: &mut Draft<'_>, names: &Names) {
    let cluster = draft.inventory.cluster.clone();
    draft
        .step(
            "P1",
            "move users, prerequisite 1",
            &format!("form cluster {} on {}", cluster.name, names.nodes.join(" and ")),
            Action::CreateCluster {
                cluster: cluster.name.clone(),
                nodes: names.nodes.clone(),
                service_account: cluster.service_account.clone(),
            },
        )
        .pre(Condition::NodesDistinct)
        .pre(Condition::SecondServer)
        .pre(Condition::SameServiceAccount { server: names.old.clone() })
        .post(Condition::ClusterFormed { nodes: names.nodes.clone() })
        .undo(Action::RemoveCluster { cluster: cluster.name.clone() });
    draft
        .step(
            "P2",
            "move users, prerequisite 2",
            &format!("make group {} with disk, address and name {}", names.group, names.new),
            Action::ConfigureGroup {
                group: names.group.clone(),
                network_name: names.new.clone(),
                address: cluster.address.clone(),
            },
        )
        .after(&["P1"])
        .pre(Condition::ClusterFormed { nodes: names.nodes.clone() })
        .pre(Condition::NetworkNameIsFree { name: names.new.clone() })
        .post(Condition::GroupConfigured {
            group: names.group.clone(),
            network_name: names.new.clone(),
        })
        .undo(Action::RemoveGroup { group: names.group.clone() });
    draft
        .step(
            "P2a",
            "",
            "bring disk, address and name online",
            Action::BringGroupOnline { group: names.group.clone() },
        )
        .after(&["P2"])
        .post(Condition::GroupOnline { group: names.group.clone() })
        .undo(Action::TakeGroupOffline { group: names.group.clone() })
        .why("an installation into a group that is offline fails", "KB Q196636, Q184880");
}

fn install(draft: &mut Draft<'_>, names: &Names) {
    let primary = names.nodes.first().cloned().unwrap_or_default();
    let service_account = draft.inventory.cluster.service_account.clone();
    draft
        .step(
            "P3",
            "move users, prerequisite 3",
            &format!("install server {} on {primary}", names.new),
            Action::InstallServer {
                group: names.group.clone(),
                server: names.new.clone(),
                node: primary.clone(),
                mode: InstallMode::New,
                service_account,
            },
        )
        .after(&["P2a"])
        .after_all(&names.ids("S0"))
        .pre(Condition::GroupOnline { group: names.group.clone() })
        .pre(Condition::GroupOwner { group: names.group.clone(), node: primary.clone() })
        .post(Condition::ServerInstalled {
            group: names.group.clone(),
            server: names.new.clone(),
            node: primary,
        })
        .undo(Action::UninstallServer { group: names.group.clone(), server: names.new.clone() });
    draft
        .step(
            "P3a",
            "",
            &format!("bring server {} online", names.new),
            Action::BringGroupOnline { group: names.group.clone() },
        )
        .after(&["P3"])
        .post(Condition::GroupOnline { group: names.group.clone() })
        .undo(Action::TakeGroupOffline { group: names.group.clone() })
        .why("the second node is updated while the group is online on the first", "KB Q244701");
}

/// One step for each node but the first; returns their ids.
fn update_nodes(draft: &mut Draft<'_>, names: &Names) -> Vec<String> {
    let mut ids = Vec::new();
    let primary = names.nodes.first().cloned().unwrap_or_default();
    for (index, node) in names.nodes.iter().enumerate().skip(1) {
        let id = if index == 1 { "P4".to_owned() } else { format!("P4-{index}") };
        draft
            .step(
                &id,
                "move users, prerequisite 4",
                &format!("prepare {node} to take over"),
                Action::UpdateNode { group: names.group.clone(), node: node.clone() },
            )
            .after(&["P3a"])
            .pre(Condition::GroupOnline { group: names.group.clone() })
            .pre(Condition::GroupOwner { group: names.group.clone(), node: primary.clone() })
            .post(Condition::NodeUpdated { group: names.group.clone(), node: node.clone() });
        ids.push(id);
    }
    ids
}

fn join_site(draft: &mut Draft<'_>, names: &Names, updates: &[String]) {
    for server in &names.servers {
        draft
            .step(
                &server.id("V1"),
                "move users, verification before step 1",
                &format!("see {} in the site and replication complete", names.new),
                Action::WaitDirectoryReplication {
                    from: server.old.clone(),
                    to: names.new.clone(),
                },
            )
            .after(&["P3a"])
            .after_all(updates)
            .pre(Condition::SameSite { from: server.old.clone(), to: names.new.clone() })
            .post(Condition::ServerInSite { server: names.new.clone() })
            .post(Condition::DirectoryReplicated {
                from: server.old.clone(),
                to: names.new.clone(),
            });
    }
}

/// One step for each wave and server; a single one if all mailboxes move in one go.
fn move_mailboxes(draft: &mut Draft<'_>, names: &mut Names, packed: &Packed) {
    let inventory = draft.inventory;
    let need_bytes = estimate::target_bytes(inventory);
    let number_of: HashMap<String, usize> =
        names.servers.iter().enumerate().map(|(at, one)| (one.old.clone(), at)).collect();
    let mut before: Vec<String> = Vec::new();
    for (number, members) in packed.members.iter().enumerate() {
        let wave = packed.schedule.waves.get(number);
        let mut by_server: BTreeMap<usize, Vec<String>> = BTreeMap::new();
        for at in members {
            let mailbox = &inventory.mailboxes[*at];
            if let Some(server) = number_of.get(&mailbox.server) {
                by_server.entry(*server).or_default().push(mailbox.name.clone());
            }
        }
        let mut ids = Vec::new();
        for (at, mailboxes) in by_server {
            let base = wave.map_or_else(|| "M1".to_owned(), |_| waves::mark(number));
            let server = &mut names.servers[at];
            let id = server.id(&base);
            server.mailboxes.extend(mailboxes.iter().cloned());
            server.moves.push(id.clone());
            let (from, to) = (server.old.clone(), names.new.clone());
            let part = Part { id: &id, from, to, mailboxes, wave, need_bytes };
            part.add(draft, &names.group, &[server.id("V1"), server.id("B0c")], &before);
            ids.push(id);
        }
        if let Some(wave) = wave
            && inventory.kind == SiteKind::Exchange55
            && number + 1 < packed.members.len()
        {
            let last = number.checked_sub(1).and_then(|at| packed.schedule.waves.get(at));
            ids = back_up_wave(draft, names, (number, wave, last), &ids);
        }
        before = ids;
    }
    for server in names.servers.iter_mut().filter(|server| server.moves.is_empty()) {
        // A server without mailboxes goes all the same.
        let id = server.id("M1");
        server.moves.push(id.clone());
        let (from, to) = (server.old.clone(), names.new.clone());
        let part = Part { id: &id, from, to, mailboxes: Vec::new(), wave: None, need_bytes };
        part.add(draft, &names.group, &[server.id("V1"), server.id("B0c")], &[]);
    }
}

/// A backup of the target between two waves gives its log up.
fn back_up_wave(
    draft: &mut Draft<'_>,
    names: &Names,
    (number, wave, before): (usize, &Wave, Option<&Wave>),
    after: &[String],
) -> Vec<String> {
    let id = format!("B{}", waves::mark(number));
    let label = |of: &str| format!("after {of}");
    let kind = match before {
        None => BackupKind::Full,
        Some(before) => BackupKind::After(label(&before.name)),
    };
    back_up(draft, (&id, ""), &names.new, (&label(&wave.name), kind), &refs(after));
    let rate = draft.inventory.rates.bytes_per_second.max(1.0);
    let seconds = Estimate::around(wave.sent_bytes as f64 / rate);
    draft.takes(&id, seconds);
    draft.takes(&format!("{id}c"), seconds);
    vec![format!("{id}c")]
}

/// The mailboxes of one server in one wave.
struct Part<'p> {
    id: &'p str,
    from: String,
    to: String,
    mailboxes: Vec<String>,
    wave: Option<&'p Wave>,
    need_bytes: u64,
}

impl Part<'_> {
    fn add(self, draft: &mut Draft<'_>, group: &str, after: &[String], before: &[String]) {
        let Self { id, from, to, mailboxes, wave, need_bytes } = self;
        let what = plural(mailboxes.len(), "mailbox", "mailboxes");
        let title = match wave {
            None => format!("move {what} to {to}"),
            Some(wave) => format!("{}: move {what} from {from} to {to}", wave.name),
        };
        let action = Action::MoveMailboxes {
            from: from.clone(),
            to: to.clone(),
            mailboxes: mailboxes.clone(),
        };
        let back = Action::MoveMailboxes {
            from: to.clone(),
            to: from.clone(),
            mailboxes: mailboxes.clone(),
        };
        let share = wave.map(|wave| part_of(wave, mailboxes.len()));
        let mut step = draft
            .step(id, "move users, step 1", &title, action)
            .after_all(after)
            .after_all(before)
            .pre(Condition::SameSite { from: from.clone(), to: to.clone() })
            .pre(Condition::TargetHasRoom { need_bytes })
            .pre(Condition::ServerOnline { server: from.clone() })
            .pre(Condition::GroupOnline { group: group.to_owned() })
            .pre(Condition::DirectoryReplicated { from, to: to.clone() })
            .post(Condition::MailboxesAt { server: to, mailboxes })
            .undo(back)
            .why(
                "one job, small groups of delegates first; the directory decides where a mailbox \
                 is, the source keeps its copy, and trying again deletes nothing",
                "KB Q252869",
            );
        if let Some(seconds) = share {
            step = step.takes(seconds);
        }
        if let Some((wave, (opens_us, closes_us))) =
            wave.and_then(|wave| Some((wave, wave.opens_us.zip(wave.closes_us)?)))
        {
            step.pre(Condition::WindowOpen { window: wave.window.clone(), opens_us, closes_us });
        }
    }
}

/// The part of a wave's time that some of its mailboxes take.
fn part_of(wave: &Wave, mailboxes: usize) -> Estimate {
    let part = |seconds: u64| {
        let all = u128::from(wave.mailboxes.max(1));
        let part = u128::from(seconds) * mailboxes as u128 / all;
        u64::try_from(part).unwrap_or(u64::MAX).max(1)
    };
    let Estimate { low, likely, high } = wave.seconds;
    Estimate { low: part(low), likely: part(likely), high: part(high) }
}

fn move_duties(draft: &mut Draft<'_>, names: &Names, server: &Leaving) {
    let roles = roles_of(draft.inventory, &server.old);
    draft
        .step(
            &server.id("M2"),
            "move users, step 2",
            &format!(
                "move {} to {}",
                plural(server.folders.len(), "public folder", "public folders"),
                names.new
            ),
            Action::MovePublicFolders {
                from: server.old.clone(),
                to: names.new.clone(),
                folders: server.folders.clone(),
            },
        )
        .after_all(&server.moves)
        .post(Condition::PublicFoldersAt {
            server: names.new.clone(),
            folders: server.folders.clone(),
        })
        .undo(Action::MovePublicFolders {
            from: names.new.clone(),
            to: server.old.clone(),
            folders: server.folders.clone(),
        });
    draft
        .step(
            &server.id("M2r"),
            "move users, step 2",
            &format!("hand {} over to {}", plural(roles.len(), "role", "roles"), names.new),
            Action::MoveFirstServerRoles {
                from: server.old.clone(),
                to: names.new.clone(),
                roles: roles.clone(),
            },
        )
        .after(&[&server.id("M2")])
        .post(Condition::RolesAt { server: names.new.clone(), roles: roles.clone() })
        .undo(Action::MoveFirstServerRoles {
            from: names.new.clone(),
            to: server.old.clone(),
            roles,
        })
        .why(
            "address book, free and busy times, forms and routing have one holder in the site; \
             they are handed over while it runs",
            "KB Q152959, Q189286, Q177763, Q239760",
        );
}

fn prove(draft: &mut Draft<'_>, names: &Names) {
    fail_over(draft, &refs(&names.ids("M2r")));
    verify(draft, "V8", &names.new, VerifyScope::Content, &["F1"]);
    back_up(draft, ("B1", ""), &names.new, (FINAL, BackupKind::Full), &["V8"]);
}

fn wait(draft: &mut Draft<'_>, names: &Names, server: &Leaving) {
    draft
        .step(
            &server.id("M3a"),
            "move users, step 3",
            "wait until public folders are complete elsewhere",
            Action::WaitPublicFolderReplication {
                server: server.old.clone(),
                folders: server.all_folders.clone(),
            },
        )
        .after(&[&server.id("M2r"), "B1c"])
        .post(Condition::PublicFoldersReplicated {
            server: server.old.clone(),
            folders: server.all_folders.clone(),
        });
    draft
        .step(
            &server.id("M3b"),
            "move users, step 3",
            "wait until directory replication is complete",
            Action::WaitDirectoryReplication { from: server.old.clone(), to: names.new.clone() },
        )
        .after(&[&server.id("M2r"), "B1c"])
        .post(Condition::DirectoryReplicated { from: server.old.clone(), to: names.new.clone() });
    draft
        .step(
            &server.id("M3c"),
            "move users, step 3; note on logons",
            "wait until every user has logged on once",
            Action::WaitLogons { server: names.new.clone(), mailboxes: server.mailboxes.clone() },
        )
        .after_all(&server.moves)
        .after(&["B1c"])
        .pre(Condition::ServerOnline { server: server.old.clone() })
        .post(Condition::AllLoggedOn {
            server: names.new.clone(),
            mailboxes: server.mailboxes.clone(),
        })
        .why(
            "the old server's answer is what sends a user's program to the new one, so it stays \
             until each has asked once",
            "KB Q178620",
        );
}

fn stop_old(draft: &mut Draft<'_>, names: &Names, server: &Leaving) {
    draft
        .step(
            &server.id("M3"),
            "move users, step 3",
            &format!("stop server {}", server.old),
            Action::StopServer { server: server.old.clone() },
        )
        .after(&[&server.id("M3a"), &server.id("M3b"), &server.id("M3c"), "V8", "B1c"])
        .pre(Condition::AllLoggedOn {
            server: names.new.clone(),
            mailboxes: server.mailboxes.clone(),
        })
        .pre(Condition::PublicFoldersReplicated {
            server: server.old.clone(),
            folders: server.all_folders.clone(),
        })
        .pre(Condition::DirectoryReplicated { from: server.old.clone(), to: names.new.clone() })
        .pre(Condition::BackupChecked { label: FINAL.to_owned() })
        .post(Condition::ServerStopped { server: server.old.clone() })
        .undo(Action::StartServer { server: server.old.clone() });
    draft
        .step(
            &server.id("M3t"),
            "",
            &format!("try the site without {}", server.old),
            Action::TrialWithout { server: server.old.clone() },
        )
        .after(&[&server.id("M3")])
        .pre(Condition::ServerStopped { server: server.old.clone() })
        .post(Condition::WorksWithout { server: server.old.clone() })
        .why("what still needs the old server shows while it can be started again", "KB Q152959");
}

fn remove_old(draft: &mut Draft<'_>, names: &Names, server: &Leaving) {
    let answer = estimate::gate(draft.inventory);
    draft
        .step(
            &server.id("M4"),
            "move users, step 4",
            &format!("remove server {} from the site", server.old),
            Action::RemoveServer { server: server.old.clone(), through: names.new.clone() },
        )
        .after_all(&names.ids("M3t"))
        .pre(Condition::WorksWithout { server: server.old.clone() })
        .pre(Condition::MailEqual { server: names.new.clone() })
        .pre(Condition::MailboxesAt {
            server: names.new.clone(),
            mailboxes: server.mailboxes.clone(),
        })
        .post(Condition::ServerNotInSite { server: server.old.clone() })
        .no_way_back("the server's object and its copies of the mail are gone afterwards")
        .human(
            &format!(
                "confirm that server {} may be removed: its mailboxes are verified at {}, every \
                 user has logged on there, and the trial without it went well",
                server.old, names.new
            ),
            answer,
        );
    draft
        .step(
            &server.id("M4d"),
            "move users, step 4",
            &format!("delete the account of computer {} from the domain", server.old),
            Action::DeleteComputerAccount { computer: server.old.clone() },
        )
        .after(&[&server.id("M4")])
        .post(Condition::ComputerAccountAbsent { computer: server.old.clone() })
        .no_way_back("an account made anew has another identity");
}
