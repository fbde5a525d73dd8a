//! Directory exports become objects; each row is accounted for.
//!
//! LDIF ([`read_ldif`]) and the comma-separated form of Exchange 5.5 ([`read_csv`]) are read whole;
//! [`Directory::import`] takes over what concerns Rehome, servers first, and says of every row what
//! became of it.

mod columns;
mod csv;
mod differences;
mod export;
mod ldif;
mod roster;
mod sizes;
mod text;

use std::ops::Range;

use serde::Serialize;

use crate::directory::{Attributes, Directory};
use crate::names::{MailboxName, ServerName};

pub use csv::read_csv;
pub use differences::{ChangedRow, ExportDifferences, compare_exports};
pub use export::{LdifEntry, changes_as_csv, changes_as_ldif, entries_as_ldif};
pub use ldif::read_ldif;
pub(crate) use roster::Map;
pub use roster::{Count, Dialect, Roster, RosterMailbox, RosterOptions};
pub use sizes::{MailboxSize, SizeTable};

/// What a row wants of the object that it names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RowChange {
    /// It is to be there with these attributes.
    Put,
    /// It is to be deleted.
    Delete,
    /// Something that only a directory server can do: change single values, rename.
    Other,
}

/// One entry of an export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Line on which it begins, from 1.
    pub line: usize,
    /// Its distinguished name, or what else identifies it in the file.
    pub name: String,
    /// What it wants.
    pub change: RowChange,
    /// Its attributes as the file names them, one entry for each value, in the order of the file.
    pub values: Vec<(String, Value)>,
    /// Where the row stands in the text.
    #[serde(skip)]
    span: Range<usize>,
    /// Where each of `values` stands in the text.
    #[serde(skip)]
    spans: Vec<Range<usize>>,
}

/// A value of an attribute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Value {
    /// Text.
    Text(String),
    /// Bytes that are no UTF-8 text.
    Bytes(Vec<u8>),
    /// A reference to a file or page, which is not followed.
    Url(String),
}

impl Value {
    /// The text, if it is one and not empty.
    fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) if !text.is_empty() => Some(text),
            _ => None,
        }
    }
}

/// An export as it was read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Export {
    /// The rows that could be read.
    pub rows: Vec<Row>,
    /// The rows that could not: line and reason.
    pub damaged: Vec<(usize, String)>,
}

/// What became of a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RowOutcome {
    /// Line on which the row begins.
    pub line: usize,
    /// Its name; empty if it could not be read.
    pub name: String,
    /// Why it was left out; nothing if it was taken over.
    pub ignored: Option<String>,
}

/// What became of an export.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ImportReport {
    /// One outcome for each row, in the order of the file.
    pub rows: Vec<RowOutcome>,
}

impl ImportReport {
    /// Number of rows that were taken over.
    #[must_use]
    pub fn accepted(&self) -> usize {
        self.rows.iter().filter(|row| row.ignored.is_none()).count()
    }

    /// The rows that were left out.
    pub fn ignored(&self) -> impl Iterator<Item = &RowOutcome> {
        self.rows.iter().filter(|row| row.ignored.is_some())
    }
}

impl Row {
    /// A row without a name and without values.
    fn new(line: usize, span: Range<usize>) -> Self {
        let (name, change, values) = (String::new(), RowChange::Put, Vec::new());
        Self { line, name, change, values, span, spans: Vec::new() }
    }

    /// Adds a value.
    fn push(&mut self, name: String, value: Value, span: Range<usize>) {
        self.values.push((name, value));
        self.spans.push(span);
    }

    /// Where the first value of the first attribute stands that is there; else the row itself.
    fn span_of(&self, attributes: &[&str]) -> Range<usize> {
        let is = |name: &str| attributes.iter().any(|one| name.eq_ignore_ascii_case(one));
        let at = self.values.iter().position(|(name, _)| is(name));
        at.map_or_else(|| self.span.clone(), |at| self.spans[at].clone())
    }

    /// First text of an attribute, whatever the case of its name.
    #[must_use]
    pub fn text(&self, attribute: &str) -> Option<&str> {
        let same = self.values.iter().filter(|(name, _)| name.eq_ignore_ascii_case(attribute));
        same.map(|(_, value)| value).find_map(Value::as_text)
    }

    /// All texts of an attribute, whatever the case of its name.
    pub fn texts<'a>(&'a self, attribute: &'a str) -> impl Iterator<Item = &'a str> {
        let same = self.values.iter().filter(|(name, _)| name.eq_ignore_ascii_case(attribute));
        same.filter_map(|(_, value)| value.as_text())
    }

    /// First text of the first attribute that has one.
    fn any(&self, attributes: &[&str]) -> Option<&str> {
        attributes.iter().find_map(|attribute| self.text(attribute))
    }

    /// Tells whether one of the classes is the row's.
    fn is_of(&self, classes: &[&str]) -> bool {
        let names = ["objectClass", "Obj-Class"];
        let mut own = names.iter().flat_map(|name| self.texts(name));
        own.any(|class| classes.iter().any(|other| class.eq_ignore_ascii_case(other)))
    }
}

/// Attributes that a mailbox keeps: the directory's name and those of the exports.
const KEPT: [(&str, &[&str]); 4] = [
    ("display-name", &["displayName", "Display Name"]),
    ("account", &["Assoc-NT-Account", "Primary Windows NT Account"]),
    ("alias", &["mailNickname", "Alias Name"]),
    ("proxy-address", &["proxyAddresses", "E-mail Addresses", "Secondary-Proxy-Addresses"]),
];

/// Attributes that name a home server, by distinguished name or plainly.
const HOMES: [&str; 4] = ["msExchHomeServerName", "Home-Server", "homeMDB", "Home-MDB"];

impl Directory {
    /// Takes over servers and mailboxes of an export. Importing the same again changes nothing.
    ///
    /// A mailbox needs a home server that the directory or the export has. Attributes of a mailbox
    /// that is there are added to; its home is never changed by an import.
    pub fn import(&mut self, export: &Export, now_us: i64) -> ImportReport {
        let mut report = ImportReport::default();
        let is_server = |row: &&Row| row.is_of(&["msExchExchangeServer", "Computer"]);
        for row in export.rows.iter().filter(is_server) {
            report.note(row, self.import_server(row, now_us));
        }
        for row in export.rows.iter().filter(|row| !is_server(row)) {
            report.note(row, self.import_mailbox(row, now_us));
        }
        report.rows.extend(export.damaged.iter().map(|(line, reason)| RowOutcome {
            line: *line,
            name: String::new(),
            ignored: Some(reason.clone()),
        }));
        report.rows.sort_by_key(|row| row.line);
        report
    }

    /// Takes over a server.
    fn import_server(&mut self, row: &Row, now_us: i64) -> Result<(), String> {
        if row.change != RowChange::Put {
            return Err("servers are not removed by an import".to_owned());
        }
        let name = row.any(&["cn", "Directory Name"]).ok_or("the server has no name")?;
        let server = ServerName::new(name).map_err(|error| error.to_string())?;
        self.add_server(&server, now_us).map(drop).map_err(|error| error.to_string())
    }

    /// Takes over a mailbox, or says why the row is none.
    fn import_mailbox(&mut self, row: &Row, now_us: i64) -> Result<(), String> {
        if row.is_of(&["dl", "Distribution-List", "group", "Remote", "Remote-Address", "contact"]) {
            return Err("lists and foreign recipients belong to the site and need no move".into());
        }
        let Some(home) = row.any(&HOMES) else {
            return Err("it has no home server, so it is no mailbox".to_owned());
        };
        if row.change == RowChange::Other {
            return Err("single values and names are not changed by an import".to_owned());
        }
        let name = mailbox_name(row)?;
        if row.change == RowChange::Delete {
            let dn = self.mailbox_dn(&name);
            let gone = "the mailbox to delete is not there".to_owned();
            return if self.delete(&dn, now_us) { Ok(()) } else { Err(gone) };
        }
        let home = home_server(home).ok_or_else(|| format!("\"{home}\" names no server"))?;
        self.merge_mailbox(&name, &home, kept_attributes(row), now_us)
    }

    /// Adds a mailbox, or attributes to one that is there.
    fn merge_mailbox(
        &mut self,
        name: &MailboxName,
        home: &ServerName,
        mut attributes: Attributes,
        now_us: i64,
    ) -> Result<(), String> {
        if let Some(found) = self.home_server(name) {
            if found != *home {
                return Err(format!("its home is {found} here and {home} in the export"));
            }
            let dn = self.mailbox_dn(name);
            let Some(own) = self.object(&dn) else { return Ok(()) };
            let (class, mut merged) = (own.class, own.attributes.clone());
            for (attribute, values) in std::mem::take(&mut attributes) {
                let list = merged.entry(attribute).or_default();
                let news: Vec<_> = values.into_iter().filter(|one| !list.contains(one)).collect();
                list.extend(news);
            }
            self.put(&dn, class, merged, now_us);
            return Ok(());
        }
        self.add_mailbox(name, home, attributes, now_us)
            .map(drop)
            .map_err(|error| error.to_string())
    }
}

impl ImportReport {
    /// Notes what became of a row.
    fn note(&mut self, row: &Row, result: Result<(), String>) {
        let ignored = result.err();
        self.rows.push(RowOutcome { line: row.line, name: row.name.clone(), ignored });
    }
}

/// The name of the mailbox of a row: the end of its old distinguished name, else what it is called.
fn mailbox_name(row: &Row) -> Result<MailboxName, String> {
    let old = row.any(&["legacyExchangeDN", "Obj-Dist-Name"]);
    let leaf = old.and_then(|dn| dn.rsplit_once('=')).map(|(_, leaf)| leaf);
    let name =
        leaf.or_else(|| row.any(&["Directory Name", "rdn", "mailNickname", "Alias Name", "uid"]));
    let name = name.or_else(|| row.text("cn")).ok_or("the mailbox has no name")?;
    if name.starts_with("Microsoft System Attendant") {
        // KB Q255035.
        return Err("a service's mailbox stays with its server".to_owned());
    }
    MailboxName::new(name).map_err(|error| error.to_string())
}

/// The server in a plain name, in `/o=…/cn=Servers/cn=EX1…` or in `CN=…,CN=EX1,CN=Servers,…`.
fn home_server(text: &str) -> Option<ServerName> {
    let parts: Vec<&str> = text.split(['/', ',']).map(str::trim).collect();
    let servers = parts.iter().position(|part| part.eq_ignore_ascii_case("cn=Servers"));
    let name = match servers {
        None => text,
        Some(at) if text.starts_with('/') => parts.get(at + 1)?.get(3..)?,
        Some(at) => parts.get(at.checked_sub(1)?)?.get(3..)?,
    };
    ServerName::new(name).ok()
}

/// The attributes that a mailbox keeps.
fn kept_attributes(row: &Row) -> Attributes {
    let mut attributes = Attributes::new();
    for (name, sources) in KEPT {
        let mut values: Vec<String> = Vec::new();
        for text in sources.iter().flat_map(|source| row.texts(source)) {
            if !values.iter().any(|value| value == text) {
                values.push(text.to_owned());
            }
        }
        if !values.is_empty() {
            attributes.insert(name.to_owned(), values);
        }
    }
    attributes
}

#[cfg(test)]
mod tests;
