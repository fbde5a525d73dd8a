//! What is read, what is refused, and how a refusal looks.

use super::schema;
use crate::diagnostic::render;
use crate::site::{Key, RouteChoice, Site};
use crate::{MailboxName, Role, ServerName};

/// The smallest file that says everything that has to be said.
const SMALL: &str = "\
schema = \"site/1\"
organization = \"Example\"
site = \"HQ\"
[[server]]
name = \"EX1\"
mail = \"mail\"
";

/// Renders what is wrong with `text`; fails if nothing is.
#[track_caller]
fn check(text: &str) -> String {
    match Site::parse(text, "site.toml") {
        Ok(_) => panic!("accepted:\n{text}"),
        Err(found) => render(&found),
    }
}

/// What is wrong with the small file if `more` stands at its end.
#[track_caller]
fn check_with(more: &str) -> String {
    check(&format!("{SMALL}{more}"))
}

/// A file that has to be right.
#[track_caller]
fn site(text: &str) -> Site {
    Site::parse(text, "site.toml").unwrap_or_else(|found| panic!("{}", render(&found)))
}

/// The example of the format page.
fn example() -> &'static str {
    let page = include_str!("../../../../../docs/format/site.md");
    page.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap()
}

#[test]
fn the_example_of_the_format_page_is_read() {
    let site = site(example());
    assert_eq!(site.network_name().as_str(), "EX1");
    assert!(site.old_server().holds(Role::FreeBusy));
    assert!(!site.old_server().holds(Role::KeyManagement));
    assert!(site.old_server().version < site.cluster.version);
    assert_eq!(site.mailboxes[1].folder, "bob.old");
    assert_eq!(site.route.choose, RouteChoice::Auto);
    assert_eq!(site.cluster.group.free.unwrap().bytes(), 80 << 30);
}

#[test]
fn a_gate_has_a_step_owners_and_an_end() {
    let gates = "[[gate]]\nstep = \"M4\"\nowner = [\"C\\\\anna\", \"bob\"]\n\
                 until = \"1970-01-01T00:00:01Z\"\n[[gate]]\nstep = \"all\"\n";
    let gates = site(&format!("{SMALL}{gates}")).gates;
    assert_eq!(gates[0].owners, ["C\\anna", "bob"]);
    assert_eq!(gates[0].until_us, Some(1_000_000));
    assert!(gates[0].is_for("m4") && !gates[0].is_for("M3") && gates[1].is_for("M3"));
    assert_eq!((gates[1].owners.len(), gates[1].until_us), (0, None));
    assert!(check_with("[[gate]]\nowner = [\"anna\"]\n").contains("E004"));
    assert!(check_with("[[gate]]\nstep = \"M4\"\nuntil = \"soon\"\n").contains("E006"));
}

#[test]
fn the_format_page_lists_the_keys_that_are_read_and_no_others() {
    let page = include_str!("../../../../../docs/format/site.md");
    let mut header = String::new();
    let mut listed = Vec::new();
    for row in page.lines().skip_while(|line| *line != "## Keys").filter(|l| l.starts_with('|')) {
        let cells: Vec<&str> = row.split('|').map(|cell| cell.trim().trim_matches('`')).collect();
        if cells[1] == "code" {
            break;
        }
        if !matches!(cells[1], "" | "table" | "---") {
            header = cells[1].to_owned();
        }
        if !matches!(cells[2], "key" | "---") {
            listed.push(format!("{header} {}", cells[2]));
        }
    }
    let of_table = |table: &&crate::site::read::TableSpec| {
        let header = table.header;
        table.keys.iter().map(move |key| format!("{header} {}", key.name)).collect::<Vec<_>>()
    };
    let mut read: Vec<String> = schema::ALL.iter().flat_map(of_table).collect();
    listed.sort();
    read.sort();
    assert_eq!(listed, read);
}

#[test]
fn the_smallest_file_has_defaults_for_all_the_rest() {
    let site = site(SMALL);
    let group = &site.cluster.group;
    assert_eq!((group.server.as_str(), group.name.as_str()), ("EXCL1", "mail"));
    assert_eq!(site.network_name().as_str(), "EX1");
    assert_eq!(site.cluster.service_account, site.old_server().service_account);
    assert_eq!(site.old_server().version, site.cluster.version);
    assert!(site.route.second_server && !site.clients.simulate);
}

#[test]
fn every_key_knows_its_place() {
    let site = site(example());
    let place = |key: &str| site.place(&Key::from(key)).to_string();
    assert_eq!(place("cluster.service_account"), "site.toml:17:19");
    assert_eq!(place("server[0].service_account"), "site.toml:9:19");
    assert_eq!(place("cluster.group.network_name"), "site.toml:22:16");
    assert_eq!(place("mailbox[1].folder"), "site.toml:37:10");
    assert_eq!(place("mailbox[0].delegates[0]"), "site.toml:32:14");
    assert_eq!(place("mailbox[0].folder"), "site.toml:27:1");
    assert_eq!(place("nothing"), "site.toml:1:1");
}

#[test]
fn a_misspelt_key_is_an_error_with_a_suggestion() {
    insta::assert_snapshot!(check_with("serivce_account = \"EXAMPLE\\\\svc\"\n"), @r#"
    error[E003]: `serivce_account` is not a key of [[server]]
     --> site.toml:7:1
      |
    7 | serivce_account = "EXAMPLE\\svc"
      | ^^^^^^^^^^^^^^^
      = why: a key that nobody reads would be a wish that nobody grants
      = fix: did you mean `service_account`?
    "#);
}

#[test]
fn a_key_below_the_wrong_table_is_sent_where_it_belongs() {
    insta::assert_snapshot!(check_with("timezone = \"Europe/Berlin\"\nnodes = [\"N1\"]\n"), @r#"
    error[E003]: `timezone` is not a key of [[server]]
     --> site.toml:7:1
      |
    7 | timezone = "Europe/Berlin"
      | ^^^^^^^^
      = why: a key that nobody reads would be a wish that nobody grants
      = fix: move `timezone` to the top of the file, above the first table

    error[E003]: `nodes` is not a key of [[server]]
     --> site.toml:8:1
      |
    8 | nodes = ["N1"]
      | ^^^^^
      = why: a key that nobody reads would be a wish that nobody grants
      = fix: move `nodes` below [cluster]
    "#);
}

#[test]
fn several_mistakes_are_reported_at_once_in_the_order_of_the_file() {
    let text = "\
schema = \"site/2\"
site = \"Head: quarters\"
[[server]]
mail = 7
roles = [\"first-server-in-site\", \"free-bussy\"]
";
    insta::assert_snapshot!(check(text), @r#"
    error[E004]: `organization` is missing
     --> site.toml
      = why: there is no default for it
      = fix: add `organization = "Example"`

    error[E002]: schema "site/2" is not known
     --> site.toml:1:10
      |
    1 | schema = "site/2"
      |          ^^^^^^^^
      = why: this version of Rehome reads only schema "site/1"
      = fix: write `schema = "site/1"`, or use the version that wrote it

    error[E006]: site name "Head: quarters" contains ':', which such a name cannot hold
     --> site.toml:2:8
      |
    2 | site = "Head: quarters"
      |        ^^^^^^^^^^^^^^^^
      = why: nothing is planned while a value cannot be read
      = fix: write it like `site = "Headquarters"`

    error[E004]: `name` is missing
     --> site.toml:3:1
      |
    3 | [[server]]
      | ^^^^^^^^^^ this [[server]]
      = why: there is no default for it
      = fix: add `name = "EX1"`

    error[E005]: `mail` cannot be a bare number
     --> site.toml:4:8
      |
    4 | mail = 7
      |        ^
      = why: nothing is planned while a value cannot be read
      = fix: write it like `mail = "mail"`

    error[E007]: "free-bussy" is not known as a value of `roles`
     --> site.toml:5:34
      |
    5 | roles = ["first-server-in-site", "free-bussy"]
      |                                  ^^^^^^^^^^^^
      = why: nothing is planned while a value cannot be read
      = fix: did you mean "free-busy"?
    "#);
}

#[test]
fn values_that_cannot_be_are_refused() {
    let more = "\
free = \"80 Gib\"
log_free = \"80 gigs\"
version = 5.0
[cluster]
nodes = []
[cluster.group]
address = \"127.0.0.410\"
[route]
choose = \"move-user\"
max_outage_minutes = 0
";
    insta::assert_snapshot!(check_with(more), @r#"
    error[E007]: "gigs" is not known as a value of `unit`
     --> site.toml:8:12
      |
    8 | log_free = "80 gigs"
      |            ^^^^^^^^^
      = why: nothing is planned while a value cannot be read
      = fix: choose one of B, KiB, MiB, GiB, TiB, KB, MB, GB, TB

    error[E005]: `version` cannot be a bare number
     --> site.toml:9:11
      |
    9 | version = 5.0
      |           ^^^
      = why: nothing is planned while a value cannot be read
      = fix: write it like `version = "5.0"`

    error[E006]: a cluster has at least one node
      --> site.toml:11:9
       |
    11 | nodes = []
       |         ^^
       = why: nothing is planned while a value cannot be read
       = fix: write it like `nodes = ["N1", "N2"]`

    error[E006]: "127.0.0.410" cannot be `address`: invalid IP address syntax
      --> site.toml:13:11
       |
    13 | address = "127.0.0.410"
       |           ^^^^^^^^^^^^^
       = why: nothing is planned while a value cannot be read
       = fix: write it like `address = "127.0.0.41"`

    error[E007]: "move-user" is not known as a value of `choose`
      --> site.toml:15:10
       |
    15 | choose = "move-user"
       |          ^^^^^^^^^^^
       = why: nothing is planned while a value cannot be read
       = fix: did you mean "move-users"?

    error[E006]: `max_outage_minutes` must be a whole number from 1 on
      --> site.toml:16:22
       |
    16 | max_outage_minutes = 0
       |                      ^
       = why: nothing is planned while a value cannot be read
       = fix: write it like `max_outage_minutes = 600`
    "#);
}

#[test]
fn what_is_no_toml_is_pointed_at() {
    insta::assert_snapshot!(check("schema = \"site/1\nsite = 3\n"), @r#"
    error[E001]: invalid basic string, expected `"`
     --> site.toml:1:17
      |
    1 | schema = "site/1
      |                 ^
      = why: the file cannot be read as TOML, so nothing else in it was looked at
      = fix: correct it here; texts stand in double quotes, a backslash in them is doubled
    "#);
}

#[test]
fn a_mailbox_named_twice_shows_both_places() {
    let more = "\
[[mailbox]]
name = \"jürgen\"
[[mailbox]]
name = \"JÜRGEN\"
";
    insta::assert_snapshot!(check_with(more), @r#"
    error[E009]: mailboxes "jürgen" and "JÜRGEN" differ only in case
      --> site.toml:10:8
       |
    10 | name = "JÜRGEN"
       |        ^^^^^^^^ and here
      ::: site.toml:8:8
       |
     8 | name = "jürgen"
       |        -------- it is named here
       = why: mail for one of them would reach the other
       = fix: rename one of them; `folder` keeps the name of its folder on disk
    "#);
}

#[test]
fn a_mailbox_needs_a_server_of_today() {
    let more = "\
[[mailbox]]
name = \"alice\"
server = \"EXCL1\"
[[mailbox]]
name = \"bob\"
server = \"EX2\"
delegates = [\"alicia\"]
";
    insta::assert_snapshot!(check_with(more), @r#"
    error[E010]: there is no server EXCL1
     --> site.toml:9:10
      |
    9 | server = "EXCL1"
      |          ^^^^^^^
      = why: its mail would be looked for on a server that nobody knows
      = fix: write where it is today (EX1); the plan takes it to EXCL1

    error[E010]: there is no server EX2
      --> site.toml:12:10
       |
    12 | server = "EX2"
       |          ^^^^^
       = why: its mail would be looked for on a server that nobody knows
       = fix: did you mean "EX1"?
    "#);
}

#[test]
fn machines_on_one_network_have_different_names() {
    let more = "\
[[server]]
name = \"ex1\"
mail = \"mail/\"
[cluster]
name = \"HQ\"
nodes = [\"N1\", \"n1\", \"EX1\"]
[cluster.group]
network_name = \"HQ\"
";
    insta::assert_snapshot!(check_with(more), @r#"
    error[E011]: server ex1 is named twice
     --> site.toml:8:8
      |
    8 | name = "ex1"
      |        ^^^^^
     ::: site.toml:5:8
      |
    5 | name = "EX1"
      |        ----- the first one
      = why: a second entry would hide the first one
      = fix: give one of them another name, or remove it (`server[1].name`)

    error[E015]: the folder "mail" belongs to two servers
     --> site.toml:9:8
      |
    9 | mail = "mail/"
      |        ^^^^^^^
     ::: site.toml:6:8
      |
    6 | mail = "mail"
      |        ------ the first one
      = why: every mailbox in it would be moved twice
      = fix: give each server a folder of its own

    error[E011]: node n1 is named twice
      --> site.toml:12:16
       |
    12 | nodes = ["N1", "n1", "EX1"]
       |                ^^^^
      ::: site.toml:12:10
       |
    12 | nodes = ["N1", "n1", "EX1"]
       |          ---- the first one
       = why: a second entry would hide the first one
       = fix: give one of them another name, or remove it (`cluster.nodes[1]`)

    error[E012]: server and node have the same name, EX1
      --> site.toml:12:22
       |
    12 | nodes = ["N1", "n1", "EX1"]
       |                      ^^^^^
      ::: site.toml:5:8
       |
     5 | name = "EX1"
       |        ----- the first one
       = why: two machines of one name cannot be on the network at the same time
       = fix: give one of them another name, or remove it (`cluster.nodes[2]`)

    error[E012]: the network name HQ is the name of the cluster
      --> site.toml:14:16
       |
    14 | network_name = "HQ"
       |                ^^^^
      ::: site.toml:11:8
       |
    11 | name = "HQ"
       |        ---- it is taken here
       = why: two machines of one name cannot be on the network at the same time
       = fix: write the old server's name, `network_name = "EX1"`
    "#);
}

#[test]
fn a_role_has_one_holder_and_a_public_folder_a_replica_at_home() {
    let more = "\
roles = [\"first-server-in-site\"]
[[server]]
name = \"EX2\"
mail = \"mail2\"
roles = [\"free-busy\"]
[[public_folder]]
path = \"News\"
replicas = [\"EX2\"]
[[public_folder]]
path = \"News\"
";
    insta::assert_snapshot!(check_with(more), @r#"
    error[E013]: EX2 cannot hold free-busy, too
      --> site.toml:11:9
       |
    11 | roles = ["free-busy"]
       |         ^^^^^^^^^^^^^
      ::: site.toml:7:9
       |
     7 | roles = ["first-server-in-site"]
       |         ------------------------ EX1 holds it
       = why: one server of a site holds this role
       = fix: take free-busy from one of the two

    error[E016]: EX1 is home of "News" without a replica
      --> site.toml:14:12
       |
    14 | replicas = ["EX2"]
       |            ^^^^^^^
       = why: only a server that holds a folder's contents can be its home (KB Q185043)
       = fix: add "EX1" to `replicas`

    error[E018]: public folder "News" is named twice
      --> site.toml:16:8
       |
    16 | path = "News"
       |        ^^^^^^
      ::: site.toml:13:8
       |
    13 | path = "News"
       |        ------ the first one
       = why: a second entry would hide the first one
       = fix: keep one of the two
    "#);
}

#[test]
fn an_alias_and_a_folder_have_one_owner_and_a_delegate_is_a_mailbox() {
    let more = "\
[[mailbox]]
name = \"alice\"
aliases = [\"al\", \"bob\"]
delegates = [\"bobby\"]
[[mailbox]]
name = \"bob\"
folder = \"alice\"
aliases = [\"Al\"]
";
    insta::assert_snapshot!(check_with(more), @r#"
    error[E017]: "bob" leads to mailbox "bob" already
      --> site.toml:9:18
       |
     9 | aliases = ["al", "bob"]
       |                  ^^^^^
      ::: site.toml:12:8
       |
    12 | name = "bob"
       |        ----- it is taken here
       = why: mail addressed to it could go to either
       = fix: keep the alias at one of the two mailboxes

    error[E017]: there is no mailbox "bobby"
      --> site.toml:10:14
       |
    10 | delegates = ["bobby"]
       |              ^^^^^^^
       = why: delegates move together, so each has to be a mailbox of this site
       = fix: list it as [[mailbox]] or remove it

    error[E015]: the folder "alice" belongs to two mailboxes
      --> site.toml:13:10
       |
    13 | folder = "alice"
       |          ^^^^^^^
      ::: site.toml:7:1
       |
     7 | [[mailbox]]
       | ----------- the first one
       = why: its mail would arrive twice
       = fix: give each mailbox a folder of its own

    error[E017]: "Al" leads to mailbox "alice" already
      --> site.toml:14:12
       |
    14 | aliases = ["Al"]
       |            ^^^^
      ::: site.toml:9:12
       |
     9 | aliases = ["al", "bob"]
       |            ---- it is taken here
       = why: mail addressed to it could go to either
       = fix: keep the alias at one of the two mailboxes
    "#);
}

#[test]
fn a_folder_stays_below_the_mail_of_its_server() {
    for folder in ["../../etc", "/etc", "a//b", "a/./b", ""] {
        let text = format!("{SMALL}[[mailbox]]\nname = \"a\"\nfolder = \"{folder}\"\n");
        assert!(check(&text).starts_with("error[E006]"), "{folder:?}");
    }
}

#[test]
fn equal_sites_have_one_canonical_form_whatever_their_order() {
    let with = |order: [&str; 2]| {
        let boxes = order.map(|name| format!("[[mailbox]]\nname = \"{name}\"\n")).concat();
        site(&format!("# comment\n{SMALL}{boxes}")).canonical_json()
    };
    assert_eq!(with(["alice", "bob"]), with(["bob", "alice"]));
    assert_ne!(with(["alice", "bob"]), with(["alice", "bert"]));
    let read: Site = serde_json::from_str(&with(["alice", "bob"])).unwrap();
    assert_eq!(read.canonical_json(), with(["alice", "bob"]));
}

#[test]
fn folders_become_mailboxes_only_where_none_is_listed() {
    let text =
        format!("{SMALL}[[server]]\nname = \"EX2\"\nmail = \"two\"\n[[mailbox]]\nname = \"amy\"\n");
    let mut site = site(&text);
    let [first, second] = ["EX1", "EX2"].map(|name| ServerName::new(name).unwrap());
    let folders = ["amy".to_owned(), "zoe".to_owned()];
    assert_eq!(site.add_found_mailboxes(&first, &folders), Ok(0));
    assert_eq!(site.unlisted(&first, &folders), ["zoe"]);
    assert_eq!(site.unlisted(&second, &folders), [""; 0]);
    let twins = site.add_found_mailboxes(&second, &["Amy", "zoe", ".trash"]).unwrap_err();
    let texts: Vec<String> = twins.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(texts.join("\n").replace("; ", ";\n  "), @r#"
    folder ".trash" cannot become a mailbox: mailbox name ".trash" begins with a dot;
      list it in site.toml under another name
    folder "Amy" cannot become a mailbox: "amy" would be the same mailbox;
      list them in site.toml under different names
    "#);
    assert_eq!(site.add_found_mailboxes(&second, &["zoe", "ann"]), Ok(2));
    assert_eq!(site.mailboxes[1].name, MailboxName::new("ann").unwrap());
}

#[test]
fn a_bare_folder_is_a_site_with_simulated_clients() {
    let site = Site::implicit("mail", &["bob", "alice"]).unwrap();
    assert_eq!(site.old_server().name.as_str(), "MAIL1");
    assert_eq!(site.cluster.group.server.as_str(), "MAILCL1");
    assert_eq!(site.mailboxes[0].name.as_str(), "alice");
    assert!(site.clients.simulate);
    assert_eq!(site.place(&Key::cluster("name")).line, 0);
}

#[test]
fn no_text_makes_the_reader_panic() {
    let text = example();
    for cut in 0..text.len() {
        let result = Site::parse(&text[..cut], "site.toml");
        assert!(result.is_ok() || !render(&result.unwrap_err()).is_empty(), "cut at {cut}");
    }
    for at in 0..text.len() {
        for put in ["\"", "[", "0", "\u{fffd}", "\\"] {
            let text = format!("{}{put}{}", &text[..at], &text[at + 1..]);
            let result = Site::parse(&text, "site.toml");
            assert!(result.is_ok() || !render(&result.unwrap_err()).is_empty(), "{put} at {at}");
        }
    }
}

#[test]
fn a_large_site_is_read_in_time_proportional_to_its_size() {
    let boxes = (0..20_000).map(|n| format!("[[mailbox]]\nname = \"user{n}\"\n"));
    let site = site(&format!("{SMALL}{}", boxes.collect::<String>()));
    assert_eq!(site.mailboxes.len(), 20_000);
    assert_eq!(site.place(&Key::mailbox(19_999, "name")).line, 7 + 2 * 19_999 + 1);
}

#[test]
fn replicas_that_fill_each_other_in_a_circle_are_told_once() {
    let more = "\
[[server]]
name = \"EX2\"
mail = \"mail2\"
[[public_folder]]
path = \"News\"
replicas = [\"EX1\", \"EX2\"]
filled_from = [\"EX2 from EX1\", \"EX1 from EX2\"]
";
    insta::assert_snapshot!(check_with(more), @r#"
    error[E023]: replicas of "News" fill each other in a circle: EX1 from EX2 from EX1
      --> site.toml:13:32
       |
    13 | filled_from = ["EX2 from EX1", "EX1 from EX2"]
       |                                ^^^^^^^^^^^^^^
       = why: none of them would ever be complete, and the plan would wait for it
       = fix: let one of them fill from EX1, the folder's home
    "#);
    let chain = more.replace("\"EX1 from EX2\"", "");
    assert_eq!(site(&format!("{SMALL}{chain}")).public_folders[0].filled_from.len(), 1);
}

#[test]
fn windows_waves_and_facts_are_read_and_mistakes_in_them_told() {
    let more = "\
[[window]]
name = \"nights\"
days = \"Mon-Thu\"
from = \"22:00\"
until = \"02:00\"
first = \"2026-12-07\"
last = \"2026-12-17\"
utc_offset = \"-08:00\"
[waves]
keep_together = [\"boss, pa\"]
[facts]
circular_logging = true
quorum_free_mib = 0
components = [\"internet-mail-service\"]
";
    let site = site(&format!("{SMALL}{more}"));
    assert_eq!(site.windows[0].openings_us().len(), 8);
    assert_eq!(site.waves.keep_together[0].len(), 2);
    assert_eq!(site.facts.len(), 3);
    let wrong = more.replace("\"-08:00\"", "\"PST\"").replace("circular", "cirkular");
    insta::assert_snapshot!(check_with(&wrong), @r#"
    error[E006]: "PST" is no offset from UTC such as -08:00
      --> site.toml:14:14
       |
    14 | utc_offset = "PST"
       |              ^^^^^
       = why: nothing is planned while a value cannot be read
       = fix: write it like `utc_offset = "-08:00"`

    error[E003]: `cirkular_logging` is not a key of [facts]
      --> site.toml:18:1
       |
    18 | cirkular_logging = true
       | ^^^^^^^^^^^^^^^^
       = why: a key that nobody reads would be a wish that nobody grants
       = fix: did you mean `circular_logging`?
    "#);
    let never = more.replace("12-17", "12-01");
    assert!(check_with(&never).contains("never opens"));
    let most = more.replace("keep_together", "log_reserve_percent = 91\nkeep_together");
    assert!(check_with(&most).contains("`log_reserve_percent` is 91 and at most 90"));
}

#[test]
fn people_move_servers_that_have_no_folder_of_mail() {
    let text = "schema = \"site/1\"\norganization = \"E\"\nsite = \"S\"\nkind = \"exchange-5.5\"\n\
                [[server]]\nname = \"EX1\"\n[[server]]\nname = \"EX2\"\n";
    assert_eq!(site(text).servers.len(), 2);
    assert!(check(&text.replace("kind = \"exchange-5.5\"\n", "")).contains("`mail` is missing"));
}
