//! What a move has changed, for directories that are kept elsewhere: LDIF change records and the
//! comma-separated form of Exchange 5.5.

use super::text::encode_base64;
use crate::directory::DistinguishedName;
use crate::names::{MailboxName, ServerName};

/// Writes a change record for each mailbox: `homeMDB`, `homeMTA` and `msExchHomeServerName`, which
/// have to change together (KB Q252869).
///
/// `site` is the name of the site's object; `moved` are the mailboxes with their new home.
#[must_use]
pub fn changes_as_ldif(site: &DistinguishedName, moved: &[(MailboxName, ServerName)]) -> String {
    let mut text = String::from("version: 1\n");
    let suffix = suffix_of(site);
    for (name, home) in moved {
        let below = format!("CN={home},CN=Servers,CN=Configuration,{suffix}");
        let new_home = format!("{site}/cn=Configuration/cn=Servers/cn={home}");
        text.push('\n');
        line(&mut text, "dn", &format!("CN={},CN=Recipients,{suffix}", escaped(name.as_str())));
        line(&mut text, "changetype", "modify");
        for (attribute, value) in [
            ("homeMDB", format!("CN=Microsoft Private MDB,{below}")),
            ("homeMTA", format!("CN=Microsoft MTA,{below}")),
            ("msExchHomeServerName", new_home),
        ] {
            line(&mut text, "replace", attribute);
            line(&mut text, attribute, &value);
            text.push_str("-\n");
        }
    }
    text
}

/// Writes a line for each mailbox with its new home, to be imported with `Mode` modify. Lines end
/// with a line feed, as everything does that this program writes.
#[must_use]
pub fn changes_as_csv(moved: &[(MailboxName, ServerName)]) -> String {
    let mut text = String::from("Obj-Class,Mode,Directory Name,Home-Server\n");
    for (name, home) in moved {
        let quoted = format!("\"{}\"", name.as_str().replace('"', "\"\""));
        let plain = !name.as_str().contains([',', '"', '\n']);
        let name = if plain { name.as_str() } else { &quoted };
        text.push_str(&format!("Mailbox,Modify,{name},{home}\n"));
    }
    text
}

/// An entry of a directory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LdifEntry {
    /// Its distinguished name.
    pub name: String,
    /// Its attributes, one for each value, in the order in which they are written.
    pub values: Vec<(String, Vec<u8>)>,
}

/// Writes entries as LDIF (RFC 2849), a record for each.
#[must_use]
pub fn entries_as_ldif(entries: &[LdifEntry]) -> String {
    let mut text = String::from("version: 1\n");
    for entry in entries {
        text.push('\n');
        line(&mut text, "dn", &entry.name);
        for (attribute, value) in &entry.values {
            match std::str::from_utf8(value) {
                Ok(value) => line(&mut text, attribute, value),
                Err(_) => folded(&mut text, &format!("{attribute}:: {}", encode_base64(value))),
            }
        }
    }
    text
}

/// `OU=HQ,O=Example` for `/o=Example/ou=HQ`.
fn suffix_of(site: &DistinguishedName) -> String {
    let parts = site.as_str().split('/').filter(|part| !part.is_empty()).rev();
    let upper = parts.map(|part| match part.split_once('=') {
        Some((kind, value)) => format!("{}={}", kind.to_uppercase(), escaped(value)),
        None => part.to_owned(),
    });
    upper.collect::<Vec<_>>().join(",")
}

/// A value inside of a distinguished name (RFC 4514, 2.4).
fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for (at, character) in value.chars().enumerate() {
        let edge = at == 0 && matches!(character, '#' | ' ');
        if edge || ",+\"\\<>;=".contains(character) {
            text.push('\\');
        }
        text.push(character);
    }
    text
}

/// One line: in base64 if it is not plain ASCII, folded after 76 characters (RFC 2849).
fn line(text: &mut String, attribute: &str, value: &str) {
    let plain = value.bytes().all(|byte| (b' '..=b'~').contains(&byte))
        && !value.starts_with([' ', ':', '<'])
        && !value.ends_with(' ');
    let line = match plain {
        true => format!("{attribute}: {value}"),
        false => format!("{attribute}:: {}", encode_base64(value.as_bytes())),
    };
    folded(text, &line);
}

/// A line of ASCII, folded after 76 characters.
fn folded(text: &mut String, line: &str) {
    let mut rest = line;
    let mut width = 76;
    while rest.len() > width {
        let (head, tail) = rest.split_at(width);
        text.push_str(head);
        text.push_str("\n ");
        (rest, width) = (tail, 75);
    }
    text.push_str(rest);
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::{Dialect, Roster, RosterOptions, Value, read_csv, read_ldif};

    fn moved() -> Vec<(MailboxName, ServerName)> {
        let home = ServerName::new("EXCL1").unwrap();
        let names = ["alice", "Jürgen, Dr."];
        names.map(|name| (MailboxName::new(name).unwrap(), home.clone())).into()
    }

    #[test]
    fn change_records_read_back_with_all_three_homes() {
        let site = DistinguishedName::new("/o=Example/ou=Head, Quarters").unwrap();
        let text = changes_as_ldif(&site, &moved());
        assert!(text.lines().all(|line| line.len() <= 76), "{text}");
        let export = read_ldif(text.as_bytes());
        assert_eq!((export.rows.len(), export.damaged.len()), (2, 0));
        let names: Vec<&str> = export.rows.iter().map(|row| row.name.as_str()).collect();
        assert_eq!(names[1], "CN=Jürgen\\, Dr.,CN=Recipients,OU=Head\\, Quarters,O=Example");
        for home in ["homeMDB", "homeMTA", "msExchHomeServerName"] {
            let value = export.rows[0].text(home).unwrap();
            assert!(value.to_uppercase().contains("CN=EXCL1"), "{value}");
        }
        assert!(!export.rows[0].values.iter().any(|(_, value)| matches!(value, Value::Bytes(_))));
    }

    #[test]
    fn entries_read_back_as_they_were() {
        let value = |name: &str, bytes: &[u8]| (name.to_owned(), bytes.to_vec());
        let values = vec![
            value("cn", "Jürgen ".as_bytes()),
            value("jpegPhoto", &[0xff; 100]),
            value("description", b"a\nb"),
            value("mail", b""),
        ];
        let entries = [LdifEntry { name: "cn=Jürgen,o=E".to_owned(), values }];
        let text = entries_as_ldif(&entries);
        assert!(text.is_ascii() && text.lines().all(|line| line.len() <= 76), "{text}");
        let export = read_ldif(text.as_bytes());
        let row = &export.rows[0];
        assert_eq!((row.name.as_str(), row.text("cn")), ("cn=Jürgen,o=E", Some("Jürgen ")));
        assert_eq!(row.text("description"), Some("a\nb"));
        assert_eq!(row.values[1].1, Value::Bytes(vec![0xff; 100]));
        assert_eq!((row.values.len(), export.damaged.len()), (4, 0));
    }

    #[test]
    fn a_line_for_each_mailbox_reads_back_as_its_new_home() {
        let text = changes_as_csv(&moved());
        let export = read_csv(text.as_bytes()).unwrap();
        assert_eq!((export.rows.len(), export.damaged.len()), (2, 0));
        let roster = Roster::read(text.as_bytes(), "f", &RosterOptions::default()).unwrap();
        assert_eq!(roster.dialect, Dialect::Exchange55Csv);
        assert!(roster.mailboxes.iter().all(|mailbox| mailbox.home.as_str() == "EXCL1"));
        assert_eq!(roster.mailboxes[1].name.as_str(), "Jürgen, Dr.");
    }
}
