//! `site.toml` and the directory export of a sample.

use std::fmt::Write;

use super::message::base64;
use super::people::Person;

/// The top of the site file.
const SITE_HEAD: &str = r#"# A made-up site: one mail server that is to go into a cluster.
# All keys: docs/format/site.md. A key that is not known is an error.
schema = "site/1"
organization = "Example"
site = "Headquarters"
timezone = "Europe/Berlin"

# The server of today. It runs older software than the cluster, so it is upgraded on the way, and
# as the first server of its site it holds roles that need a new holder before it may go.
[[server]]
name = "EX1"
mail = "mail"                            # one Maildir++ tree for each mailbox
service_account = "EXAMPLE\\svc-mail"
version = "5.0"
roles = ["first-server-in-site"]

# The cluster to be. Its services run under the same account.
[cluster]
name = "HQCLUS"
nodes = ["N1", "N2"]
service_account = "EXAMPLE\\svc-mail"
version = "5.5"

[cluster.group]
name = "mail"
network_name = "EX1"                     # disaster-recovery: the group takes the old name
server = "EXCL1"                         # move-users: a new name beside the old one
address = "127.0.0.41"                   # on this machine, so that a trial reaches nobody else

[route]
choose = "auto"                          # or "move-users", or "disaster-recovery"
second_server = true                     # old server and cluster can run at the same time

[clients]
simulate = true                          # nobody is there: logons after the move are simulated

[[public_folder]]
path = "Announcements"

[[public_folder]]
path = "Projects/North"

"#;

/// The site file.
pub(super) fn site_toml(people: &[Person]) -> String {
    let mut text = SITE_HEAD.to_owned();
    text.push_str("# The mailboxes. Delegates work in each other's mail and move together.\n");
    for (index, person) in people.iter().enumerate() {
        let _ = write!(
            text,
            "[[mailbox]]\nname = \"{}\"\ndisplay_name = \"{}\"\n",
            person.name, person.display_name
        );
        if index % 5 == 0
            && let Some(delegate) = people.get(index + 1)
        {
            let _ = writeln!(text, "delegates = [\"{}\"]", delegate.name);
        }
        text.push('\n');
    }
    text
}

/// The directory export: one entry for the server and one for each mailbox.
pub(super) fn ldif(people: &[Person]) -> String {
    let site = "/o=Example/ou=Headquarters";
    let server = format!("{site}/cn=Configuration/cn=Servers/cn=EX1");
    let mut text = String::from("version: 1\n# Made up, like everything in this folder.\n\n");
    let dn = "CN=EX1,CN=Servers,CN=Configuration,OU=Headquarters,O=Example";
    for (name, value) in [
        ("dn", dn),
        ("objectClass", "msExchExchangeServer"),
        ("cn", "EX1"),
        ("legacyExchangeDN", &server),
    ] {
        write_line(&mut text, name, value);
    }
    for person in people {
        let name = &person.name;
        text.push('\n');
        for (attribute, value) in [
            ("dn", format!("CN={name},CN=Recipients,OU=Headquarters,O=Example")),
            ("objectClass", "user".to_owned()),
            ("cn", name.clone()),
            ("displayName", person.display_name.clone()),
            ("mailNickname", name.clone()),
            ("legacyExchangeDN", format!("{site}/cn=Recipients/cn={name}")),
            ("msExchHomeServerName", server.clone()),
            ("homeMDB", format!("CN=Microsoft Private MDB,{dn}")),
            ("proxyAddresses", format!("SMTP:{name}@example.com")),
            ("proxyAddresses", format!("X400:c=DE;a= ;p=Example;o=Headquarters;s={name};")),
        ] {
            write_line(&mut text, attribute, &value);
        }
    }
    text
}

/// One attribute: in base64 if it is not plain ASCII, folded after 76 characters (RFC 2849).
fn write_line(text: &mut String, attribute: &str, value: &str) {
    let plain = value.bytes().all(|byte| (b' '..=b'~').contains(&byte))
        && !value.starts_with([' ', ':', '<'])
        && !value.ends_with(' ');
    let line = match plain {
        true => format!("{attribute}: {value}"),
        false => format!("{attribute}:: {}", base64(value.as_bytes())),
    };
    let mut rest = line.as_str();
    let mut width = 76;
    while rest.len() > width {
        let (head, tail) = rest.split_at(width);
        let _ = write!(text, "{head}\n ");
        (rest, width) = (tail, 75);
    }
    text.push_str(rest);
    text.push('\n');
}
