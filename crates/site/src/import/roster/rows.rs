//! What a row of an export is, and what is kept of it.

use std::ops::Range;

use super::address::{addresses, leaf_of};
use super::{Homeless, Reading, RosterMailbox};
use crate::diagnostic::{Diagnostic, Source};
use crate::import::{Row, RowChange, home_server, mailbox_name};
use crate::names::{FolderPath, MailboxName, ServerName};

/// Attributes that name a home server.
const HOMES: [&str; 5] = ["msExchHomeServerName", "Home-Server", "homeMDB", "Home-MDB", "mailHost"];
/// Attributes that only recipients have.
const RECIPIENT: [&str; 6] = [
    "mailNickname",
    "legacyExchangeDN",
    "msExchMailboxGuid",
    "proxyAddresses",
    "mail",
    "Alias Name",
];

/// What a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Mailbox,
    Server,
    PublicFolder,
    List,
    Foreign,
    Service,
    Other,
}

/// Sorts a row by its classes and attributes.
fn kind_of(row: &Row) -> Kind {
    if row.change != RowChange::Put {
        return Kind::Other;
    }
    if row.is_of(&["msExchExchangeServer"]) || row.text("Obj-Class").is_some_and(is_computer) {
        return Kind::Server;
    }
    if row.is_of(&["Public Folder", "Public-Folder", "publicFolder"]) {
        return Kind::PublicFolder;
    }
    if row.is_of(&["dl", "Distribution-List", "group", "groupOfNames", "groupOfUniqueNames"]) {
        return Kind::List;
    }
    if row.is_of(&["Remote", "Remote-Address", "Custom-Recipient", "contact"])
        || row.text("targetAddress").is_some()
        || row.text("mailRoutingAddress").is_some()
    {
        return Kind::Foreign;
    }
    let home = row.any(&HOMES).is_some();
    let recipient = row.any(&RECIPIENT).is_some();
    let person = row.is_of(&["user", "inetLocalMailRecipient"]) || is_person(row);
    if row.name.starts_with("Microsoft System Attendant")
        || leaf_of(&row.name).starts_with("Microsoft System Attendant")
    {
        return Kind::Service;
    }
    if home || row.is_of(&["Mailbox"]) || (person && recipient) {
        return Kind::Mailbox;
    }
    Kind::Other
}

/// The class of servers in a comma-separated export; in LDIF it is the account of any machine.
fn is_computer(class: &str) -> bool {
    class.eq_ignore_ascii_case("Computer")
}

/// Directories derive classes of their own from that of a person.
fn is_person(row: &Row) -> bool {
    row.texts("objectClass").any(|class| class.to_lowercase().ends_with("person"))
}

/// Takes one row in.
pub(super) fn take_in(reading: &mut Reading, source: &Source, row: &Row) {
    let kind = kind_of(row);
    if kind != Kind::Other {
        claim_addresses(reading, source, row);
    }
    let count = &mut reading.roster.count;
    match kind {
        Kind::Mailbox => mailbox(reading, source, row),
        Kind::Server => server(reading, source, row),
        Kind::PublicFolder => public_folder(reading, source, row),
        Kind::List => count.lists += 1,
        Kind::Foreign => count.foreign += 1,
        Kind::Service => count.services += 1,
        Kind::Other => count.other += 1,
    }
}

fn server(reading: &mut Reading, source: &Source, row: &Row) {
    let name = row.any(&["cn", "Directory Name"]).unwrap_or(&row.name);
    match ServerName::new(name) {
        Ok(name) => {
            reading.servers.insert(name);
            reading.roster.count.servers += 1;
        }
        Err(error) => refuse(reading, source, row.span.clone(), &error.to_string()),
    }
}

fn public_folder(reading: &mut Reading, source: &Source, row: &Row) {
    let path = row.any(&["Display Name", "displayName", "cn"]).unwrap_or(&row.name);
    let path = match FolderPath::new(path) {
        Ok(path) => path,
        Err(error) => return refuse(reading, source, row.span.clone(), &error.to_string()),
    };
    let home = row.any(&HOMES).and_then(|text| home_of(reading, text));
    reading.roster.count.public_folders += 1;
    reading.roster.public_folders.push((path, home));
}

/// Reports a row whose name cannot be.
fn refuse(reading: &mut Reading, source: &Source, span: Range<usize>, message: &str) {
    reading.roster.count.refused += 1;
    reading.found.push(
        Diagnostic::error("E025", source.place(span), message)
            .why("a plan could not name it")
            .fix("give it another directory name"),
    );
}

fn mailbox(reading: &mut Reading, source: &Source, row: &Row) {
    let name = match mailbox_name(row) {
        Ok(name) => name,
        Err(message) => return refuse(reading, source, row.span.clone(), &message),
    };
    let at = u32::try_from(reading.roster.mailboxes.len()).unwrap_or(u32::MAX);
    if let Some(first) = reading.names.get(&name.folded()).copied() {
        return twin(reading, source, row, (&name, first));
    }
    let home = row.any(&HOMES).map(|text| home_of(reading, text).ok_or(text));
    let home = match home {
        Some(Ok(home)) => home,
        Some(Err(text)) => {
            let message = format!("\"{text}\" names no server");
            return refuse(reading, source, row.span_of(&HOMES), &message);
        }
        None => {
            let place = source.place(row.span.clone());
            reading.homeless.push(Homeless { mailbox: at, place });
            ServerName::new("UNKNOWN").expect("a plain name")
        }
    };
    reading.roster.count.mailboxes += 1;
    reading.names.insert(name.folded(), at);
    if row.name.contains('=') {
        reading.entries.insert(row.name.to_lowercase(), at);
    }
    for delegate in ["publicDelegates", "Public-Delegates"].iter().flat_map(|one| row.texts(one)) {
        reading.delegates.push((at, delegate.to_owned()));
    }
    let owned = |names: &[&str]| row.any(names).map(str::to_owned);
    reading.roster.mailboxes.push(RosterMailbox {
        name,
        home,
        display_name: owned(&["displayName", "Display Name"]),
        account: owned(&["Assoc-NT-Account", "Primary Windows NT Account", "sAMAccountName"]),
        delegates: Vec::new(),
        line: row.line,
    });
}

/// The server that a text names; it counts as one of the export's.
fn home_of(reading: &mut Reading, text: &str) -> Option<ServerName> {
    if let Some(known) = reading.homes.get(text) {
        return Some(known.clone());
    }
    let home = home_server(text)?;
    reading.servers.insert(home.clone());
    reading.homes.insert(text.to_owned(), home.clone());
    Some(home)
}

/// Reports a second mailbox of a name.
fn twin(reading: &mut Reading, source: &Source, row: &Row, (name, first): (&MailboxName, u32)) {
    reading.roster.count.refused += 1;
    let span = row.span_of(&["Directory Name", "mailNickname", "legacyExchangeDN"]);
    let other = &reading.roster.mailboxes[first as usize];
    let message =
        format!("there are two mailboxes \"{name}\"; the first is in line {}", other.line);
    reading.found.push(
        Diagnostic::error("E009", source.place(span), message)
            .why("mail for one of them would reach the other")
            .fix("rename one of them, or take the row out if it is the same mailbox"),
    );
}

/// An address leads to one recipient.
fn claim_addresses(reading: &mut Reading, source: &Source, row: &Row) {
    let line = u32::try_from(row.line).unwrap_or(u32::MAX);
    for address in addresses(row) {
        let Some(first) = reading.addresses.get(address.as_str()).copied() else {
            reading.addresses.insert(address.into_boxed_str(), line);
            continue;
        };
        if first == line {
            continue;
        }
        let place = source.place(narrow(source, row, &address));
        let message = format!("address {address} is given twice; the first is in line {first}");
        reading.found.push(
            Diagnostic::error("E021", place, message)
                .why("mail for it could go to either, and no store would take the second one")
                .fix("take the address from one of the two"),
        );
    }
}

/// Where an address stands in its row; the row itself if it is folded or encoded.
fn narrow(source: &Source, row: &Row, address: &str) -> Range<usize> {
    let plain = address.strip_prefix("smtp:").unwrap_or(address);
    let holds =
        |span: &&Range<usize>| source.text()[span.start..span.end].to_lowercase().contains(plain);
    let Some(span) = row.spans.iter().find(holds) else { return row.span.clone() };
    let text = source.text()[span.start..span.end].to_ascii_lowercase();
    match text.find(address).or_else(|| text.find(plain)) {
        Some(at) => {
            let length = if text[at..].starts_with(address) { address.len() } else { plain.len() };
            span.start + at..span.start + at + length
        }
        None => span.clone(),
    }
}
