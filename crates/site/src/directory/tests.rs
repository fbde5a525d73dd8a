//! Replicas converge, and the rules about homes, replicas, roles and removal hold.

use super::*;
use crate::site::Site;

/// A site with two servers, two mailboxes, two public folders and all first-server roles.
const SITE: &str = r#"
schema = "site/1"
organization = "Example"
site = "HQ"
[[server]]
name = "EX1"
mail = "mail"
roles = ["first-server-in-site", "connector"]
[[server]]
name = "EX2"
mail = "mail2"
[[mailbox]]
name = "alice"
display_name = "Alice Becker"
[[mailbox]]
name = "bob"
server = "EX2"
[[public_folder]]
path = "News"
[[public_folder]]
path = "News/Sport"
replicas = ["EX1", "EX2"]
"#;

fn server(name: &str) -> ServerName {
    ServerName::new(name).unwrap()
}

fn mailbox(name: &str) -> MailboxName {
    MailboxName::new(name).unwrap()
}

fn path(name: &str) -> FolderPath {
    FolderPath::new(name).unwrap()
}

/// The directory of `EX1` after it was filled from [`SITE`].
fn directory() -> Directory {
    let site = Site::parse(SITE, "site.toml").unwrap();
    Directory::from_site(&site, server("EX1"), 1, 0).unwrap()
}

/// `to` asks `from` for what it lacks and applies the answer.
fn pull(from: &mut Directory, to: &mut Directory) -> Applied {
    from.partner_has_seen(to.server_name(), to.vector()).unwrap();
    let changes = from.changes_since(to.vector());
    to.apply(&changes).unwrap()
}

/// The error message, or nothing if all is well.
#[track_caller]
fn check<T: std::fmt::Debug>(result: Result<T, DirectoryError>, expected: &str) {
    let text = result.err().map(|error| error.to_string()).unwrap_or_default();
    assert_eq!(text, expected);
}

/// A small generator of numbers (splitmix64).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % bound as u64).unwrap()
    }
}

/// Makes one change of some kind in one of the replicas.
fn change(random: &mut Random, directory: &mut Directory, now_us: i64) {
    let name = mailbox(["alice", "bob", "carol", "dave"][random.below(4)]);
    let home = server(["EX1", "EX2"][random.below(2)]);
    match random.below(5) {
        0 => drop(directory.add_mailbox(&name, &home, Attributes::new(), now_us)),
        1 => drop(directory.delete(&directory.mailbox_dn(&name), now_us)),
        2 => drop(directory.add_replica(&path("News"), &home, now_us)),
        3 => drop(directory.set_role(Role::FreeBusy, &home, &server("EX2"), now_us)),
        _ => {
            if let Some(found) = directory.home_server(&name) {
                directory.set_home(&name, &found, &home, now_us).unwrap();
            }
        }
    }
}

/// Three replicas change and exchange at random; afterwards all of them are equal.
fn converge(seed: u64) {
    let mut random = Random(seed);
    let first = directory();
    let mut replicas =
        [first.replica_for(server("EX2"), 1), first.replica_for(server("EX3"), 1), first];
    let mut late: Vec<(usize, Changes)> = Vec::new();
    for step in 0..200 {
        let (from, to) = (random.below(3), random.below(3));
        match random.below(4) {
            0 | 1 => {
                // Few different times, so that the tie is often broken by the server's name.
                change(&mut random, &mut replicas[from], i64::from(step / 50));
            }
            2 if from != to => {
                let changes = replicas[from].changes_since(replicas[to].vector());
                late.push((to, changes));
            }
            _ if !late.is_empty() => {
                // Answers come late, in any order, some twice.
                let (to, changes) = late[random.below(late.len())].clone();
                replicas[to].apply(&changes).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
            }
            _ => {}
        }
    }
    for (from, to) in [(0, 1), (1, 2), (2, 0), (0, 1)] {
        let changes = replicas[from].changes_since(replicas[to].vector());
        replicas[to].apply(&changes).unwrap();
    }
    for other in 1..3 {
        assert_eq!(replicas[0].objects, replicas[other].objects, "seed {seed}");
        assert_eq!(replicas[0].vector, replicas[other].vector, "seed {seed}");
    }
}

#[test]
fn replicas_that_exchange_changes_in_any_order_become_equal() {
    for seed in 0..200 {
        converge(seed);
    }
}

#[test]
fn applying_the_same_changes_twice_changes_nothing() {
    let mut first = directory();
    let mut second =
        Directory::new(server("EX2"), 1, first.organization.clone(), first.site.clone());
    let changes = first.changes_since(second.vector());
    assert_eq!(second.apply(&changes).unwrap().taken, changes.changes.len());
    let once = second.clone();
    assert_eq!(second.apply(&changes).unwrap().taken, 0);
    assert_eq!(second, once);
    assert_eq!(pull(&mut first, &mut second), Applied::default());
}

#[test]
fn a_partner_is_up_to_date_once_it_says_so() {
    let mut first = directory();
    let mut second = first.replica_for(server("EX2"), 1);
    assert!(!first.replicated_with(&server("EX2")));
    pull(&mut first, &mut second);
    assert!(first.replicated_with(&server("EX2")));
    first.set_home(&mailbox("alice"), &server("EX1"), &server("EX2"), 1).unwrap();
    assert_eq!(first.pending_for(&server("EX2")), 1);
    pull(&mut first, &mut second);
    assert_eq!(second.home_server(&mailbox("alice")), Some(server("EX2")));
    assert!(!first.replicated_with(&server("EX2")), "it has been sent and not yet confirmed");
    pull(&mut first, &mut second);
    assert!(first.replicated_with(&server("EX2")));
}

#[test]
fn the_later_of_two_decisions_wins_and_the_loser_is_told() {
    let mut first = directory();
    let mut second = first.replica_for(server("EX2"), 1);
    first.add_server(&server("EXCL1"), 5).unwrap();
    pull(&mut first, &mut second);
    let alice = mailbox("alice");
    first.set_home(&alice, &server("EX1"), &server("EXCL1"), 10).unwrap();
    second.set_home(&alice, &server("EX1"), &server("EX2"), 11).unwrap();
    let applied = pull(&mut second, &mut first);
    assert_eq!(applied.overruled, [first.mailbox_dn(&alice)]);
    assert_eq!(first.home_server(&alice), Some(server("EX2")));
    assert_eq!(pull(&mut first, &mut second).taken, 0);
    assert_eq!(second.home_server(&alice), Some(server("EX2")));
}

#[test]
fn a_home_is_changed_only_from_what_it_is() {
    let mut directory = directory();
    let (alice, ex1, ex2) = (mailbox("alice"), server("EX1"), server("ex2"));
    check(
        directory.set_home(&alice, &ex2, &server("EX3"), 1),
        "the directory of EX1 has no server \"EX3\"; import or add it first",
    );
    check(
        directory.set_home(&mailbox("zoe"), &ex1, &ex2, 1),
        "the directory of EX1 has no mailbox \"zoe\"; import or add it first",
    );
    directory.add_server(&server("EXCL1"), 1).unwrap();
    check(
        directory.set_home(&alice, &server("EXCL1"), &ex2, 1),
        "the home of mailbox \"alice\" is EX1, not EXCL1: somebody else moved it; plan again \
         from what the directory says now",
    );
    let usn = directory.set_home(&alice, &ex1, &ex2, 2).unwrap();
    assert_eq!(directory.set_home(&alice, &ex1, &ex2, 3), Ok(usn), "done again after a crash");
    assert_eq!(directory.usn(), usn);
    let object = directory.object(&directory.mailbox_dn(&alice)).unwrap();
    assert_eq!(object.value("display-name"), Some("Alice Becker"));
}

#[test]
fn a_server_in_use_cannot_be_removed_and_the_error_names_its_duties() {
    let mut directory = directory();
    check(
        directory.remove_server(&server("EX1"), 1),
        "server EX1 cannot be removed: it is still home of alice; needed for the folders News, \
         News/Sport, OAB Version 2, Offline Address Book, Organization Forms and 1 more; holder \
         of offline-address-book, free-busy, organization-forms, routing-calculation, \
         site-folders and 1 more",
    );
    assert!(directory.has_server(&server("EX1")));
}

#[test]
fn a_server_leaves_once_everything_has_another_home() {
    let mut directory = directory();
    let (old, new) = (server("EX1"), server("EXCL1"));
    directory.add_server(&new, 1).unwrap();
    directory.set_home(&mailbox("alice"), &old, &new, 1).unwrap();
    check(
        directory.set_folder_home(&path("News"), &new, 2),
        "public folder \"News\": EXCL1 holds no replica and cannot be its home; add one and let \
         it fill first",
    );
    for folder in [path("News"), path("News/Sport")] {
        directory.add_replica(&folder, &new, 2).unwrap();
        directory.set_folder_home(&folder, &new, 3).unwrap();
    }
    for (role, holder) in directory.first_server_roles() {
        directory.set_role(role, &holder.unwrap(), &new, 4).unwrap();
    }
    directory.set_role(Role::Connector, &old, &new, 4).unwrap();
    assert_eq!(directory.remove_server(&old, 5), Ok(true));
    assert_eq!(directory.remove_server(&old, 5), Ok(false));
    assert_eq!(directory.servers(), [server("EX2"), new.clone()]);
    let folders = directory.public_folders().into_iter().chain(directory.system_folders());
    assert!(folders.clone().all(|folder| !folder.replicas.contains(&old)));
    assert_eq!(folders.filter(|folder| folder.system).count(), 4);
    assert_eq!(directory.dangling(), []);
}

#[test]
fn the_last_replica_and_the_home_stay() {
    let mut directory = directory();
    check(
        directory.remove_replica(&path("News"), &server("EX1"), 1),
        "public folder \"News\": EX1 holds the only replica; add another and let it fill first",
    );
    check(
        directory.remove_replica(&path("News/Sport"), &server("EX1"), 1),
        "public folder \"News/Sport\": EX1 is its home; change the home to another replica first",
    );
    directory.remove_replica(&path("News/Sport"), &server("EX2"), 1).unwrap();
    assert_eq!(directory.folder(&path("News/Sport")).unwrap().replicas, [server("EX1")]);
}

#[test]
fn a_role_that_one_server_holds_is_not_given_to_two() {
    let mut directory = directory();
    check(
        directory.add_role(Role::FreeBusy, &server("EX2"), 1),
        "role free-busy is held by EX1, not EX2; look at the roles again",
    );
    check(
        directory.set_role(Role::KeyManagement, &server("EX1"), &server("EX2"), 1),
        "the directory of EX1 has no holder of role \"key-management\"; import or add it first",
    );
    directory.add_role(Role::Connector, &server("EX2"), 1).unwrap();
    assert_eq!(directory.role_holders(Role::Connector).len(), 2);
}

#[test]
fn a_server_removed_in_one_place_and_used_in_another_is_noticed() {
    let mut first = directory();
    let mut second = first.replica_for(server("EX2"), 1);
    first.add_server(&server("EX9"), 1).unwrap();
    pull(&mut first, &mut second);
    first.remove_server(&server("EX9"), 2).unwrap();
    second.set_home(&mailbox("bob"), &server("EX2"), &server("EX9"), 2).unwrap();
    pull(&mut second, &mut first);
    let dn = first.mailbox_dn(&mailbox("bob"));
    assert_eq!(first.dangling(), [(dn, server("EX9"))]);
}

#[test]
fn a_restored_directory_has_to_begin_a_new_incarnation() {
    let mut first = directory();
    let backup = first.clone();
    let mut second = first.replica_for(server("EX2"), 1);
    first.set_home(&mailbox("alice"), &server("EX1"), &server("EX2"), 1).unwrap();
    pull(&mut first, &mut second);

    let mut restored = backup.clone();
    let refused = restored.apply(&second.changes_since(restored.vector())).unwrap_err();
    assert!(matches!(refused, DirectoryError::RolledBack { .. }), "{refused}");
    restored.begin_incarnation(2);
    pull(&mut second, &mut restored);
    assert_eq!(restored.home_server(&mailbox("alice")), Some(server("EX2")));
    restored.set_home(&mailbox("bob"), &server("EX2"), &server("EX1"), 2).unwrap();
    pull(&mut restored, &mut second);
    assert_eq!(second.home_server(&mailbox("bob")), Some(server("EX1")));
}

#[test]
fn an_answer_meant_for_another_replica_is_refused() {
    let mut first = directory();
    let empty = Directory::new(server("EX3"), 1, first.organization.clone(), first.site.clone());
    let since = first.vector().clone();
    first.add_server(&server("EXCL1"), 1).unwrap();
    let changes = first.changes_since(&since);
    check(
        empty.clone().apply(&changes),
        "changes from EX1 begin after EX1#1@21, which is beyond what EX3 has seen; ask again \
         with its own vector",
    );
}

#[test]
fn tombstones_are_kept_until_they_are_old() {
    let mut directory = directory();
    let dn = directory.mailbox_dn(&mailbox("bob"));
    assert!(directory.delete(&dn, 10));
    assert!(directory.object(&dn).is_none());
    assert_eq!(directory.tombstones().count(), 1);
    assert_eq!(directory.forget_tombstones(10), 0);
    assert_eq!(directory.forget_tombstones(11), 1);
}

#[test]
fn a_directory_and_its_changes_survive_json() {
    let mut directory = directory();
    directory.partner_has_seen(&server("EX2"), &UpToDateness::default()).unwrap();
    let json = serde_json::to_string(&directory).unwrap();
    assert_eq!(serde_json::from_str::<Directory>(&json).unwrap(), directory);
    let changes = directory.changes_since(&UpToDateness::default());
    let json = serde_json::to_string(&changes).unwrap();
    assert_eq!(serde_json::from_str::<Changes>(&json).unwrap(), changes);
}
