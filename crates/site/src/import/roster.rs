//! Who is where, from a directory export: what a plan needs of it, row by row.

mod address;
mod rows;

use std::collections::{BTreeSet, HashMap};

use foldhash::fast::RandomState;

use serde::Serialize;

use super::csv::{self, header_of};
use super::text::{code_page, decode};
use super::{Row, columns, ldif};
use crate::diagnostic::{Diagnostic, Place, Source};
use crate::names::{FolderPath, MailboxName, ServerName};

pub(super) use address::leaf_of;

/// The form of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Dialect {
    /// Comma-separated, with a header that begins with `Obj-Class`.
    Exchange55Csv,
    /// LDIF, of Active Directory or any other directory.
    Ldif,
}

/// How an export is read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RosterOptions {
    /// Label of the code page of a file that is neither UTF-8 nor UTF-16, such as `windows-1250`.
    pub code_page: Option<String>,
    /// Whether a column that is not known is a warning and no error.
    pub unknown_column_warns: bool,
    /// The home of all mailboxes of an export that names no home servers at all.
    pub home: Option<ServerName>,
}

/// A mailbox of an export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RosterMailbox {
    /// Directory name.
    pub name: MailboxName,
    /// Home server.
    pub home: ServerName,
    /// Name for people.
    pub display_name: Option<String>,
    /// Account of its owner.
    pub account: Option<String>,
    /// Mailboxes that may act for it.
    pub delegates: Vec<MailboxName>,
    /// The line on which it begins.
    pub line: usize,
}

/// How many rows were what. Their sum is the number of rows: none is lost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Count {
    /// All rows of the file.
    pub rows: usize,
    /// Mailboxes.
    pub mailboxes: usize,
    /// Servers.
    pub servers: usize,
    /// Public folders.
    pub public_folders: usize,
    /// Distribution lists: they belong to the site and need no move (KB Q199954).
    pub lists: usize,
    /// Recipients elsewhere: they belong to the site as well.
    pub foreign: usize,
    /// Mailboxes of services, which stay with their server (KB Q255035).
    pub services: usize,
    /// Entries that receive no mail, and changes that an export may hold.
    pub other: usize,
    /// Rows that are in error.
    pub refused: usize,
}

/// What a plan needs of an export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Roster {
    /// The form that was found.
    pub dialect: Dialect,
    /// Every server that the export names, by name.
    pub servers: Vec<ServerName>,
    /// Public folders with their home, if the export says so.
    pub public_folders: Vec<(FolderPath, Option<ServerName>)>,
    /// The mailboxes, in the order of the file.
    pub mailboxes: Vec<RosterMailbox>,
    /// How many rows were what.
    pub count: Count,
    /// What deserves a look.
    pub warnings: Vec<Diagnostic>,
}

impl Roster {
    /// Reads an export. `file` is only used in messages.
    ///
    /// Memory is bounded by what is kept of the mailboxes, not by the width of the rows.
    ///
    /// # Errors
    ///
    /// Everything that is wrong, in the order of the file: a column or a code page that is not
    /// known, a row that cannot be read, a mailbox without a home server, a name or an address that
    /// two rows have.
    pub fn read(
        bytes: &[u8],
        file: &str,
        options: &RosterOptions,
    ) -> Result<Self, Vec<Diagnostic>> {
        let encoding = options.code_page.as_deref().map(|label| (label, code_page(label)));
        if let Some((label, None)) = encoding {
            let message = format!("\"{label}\" is no code page that is known");
            return Err(vec![
                Diagnostic::error("E027", Place::of_file(file), message)
                    .why("names with letters beyond ASCII would be misread")
                    .fix("write a label such as windows-1252, windows-1250, koi8-r, shift_jis"),
            ]);
        }
        let text = decode(bytes, encoding.and_then(|(_, found)| found));
        let mut reading = Reading::new(file, text);
        reading.read(options);
        reading.finish(options)
    }
}

/// A map for a million of keys that nobody chooses to collide: what is read is one's own directory.
pub(crate) type Map<K, V> = HashMap<K, V, RandomState>;

/// A roster in the making.
struct Reading {
    source: Source,
    roster: Roster,
    servers: BTreeSet<ServerName>,
    /// Home servers by what rows say, so that each text is understood once.
    homes: Map<String, ServerName>,
    /// Mailboxes by their folded name, as an index.
    names: Map<String, u32>,
    /// Mailboxes by their folded distinguished name, as an index.
    entries: Map<String, u32>,
    /// Which line has an address.
    addresses: Map<Box<str>, u32>,
    /// Delegates as the export names them, with the mailbox they work for.
    delegates: Vec<(u32, String)>,
    /// Mailboxes without a home server.
    homeless: Vec<Homeless>,
    found: Vec<Diagnostic>,
}

/// A mailbox without a home server, and where it stands.
struct Homeless {
    mailbox: u32,
    place: Place,
}

impl Reading {
    fn new(file: &str, text: String) -> Self {
        let trimmed = text.trim_start();
        let head = trimmed.get(..9).unwrap_or_default();
        let dialect = match head.eq_ignore_ascii_case("Obj-Class") {
            true => Dialect::Exchange55Csv,
            false => Dialect::Ldif,
        };
        let roster = Roster {
            dialect,
            servers: Vec::new(),
            public_folders: Vec::new(),
            mailboxes: Vec::new(),
            count: Count::default(),
            warnings: Vec::new(),
        };
        Self {
            source: Source::of(file, text),
            roster,
            servers: BTreeSet::new(),
            homes: Map::default(),
            names: Map::default(),
            entries: Map::default(),
            addresses: Map::default(),
            delegates: Vec::new(),
            homeless: Vec::new(),
            found: Vec::new(),
        }
    }

    /// Takes every row in.
    fn read(&mut self, options: &RosterOptions) {
        // The text is lent out while rows are read, so it is taken out of the source meanwhile.
        let source = std::mem::take(&mut self.source);
        match self.roster.dialect {
            Dialect::Exchange55Csv => self.read_csv(&source, options),
            Dialect::Ldif => self.read_ldif(&source),
        }
        self.source = source;
    }

    fn read_csv(&mut self, source: &Source, options: &RosterOptions) {
        let mut records = csv::Records::new(source.text(), ',');
        let first = records.next();
        self.columns(source, first.as_ref(), options);
        let Ok(header) = header_of(first.as_ref()) else { return };
        for record in records {
            match csv::read_row(&header, &record) {
                Ok(row) => self.take_in(source, &row),
                Err(reason) => self.damaged(source, record.span, &reason),
            }
        }
    }

    fn read_ldif(&mut self, source: &Source) {
        for record in ldif::Records::new(source.text()) {
            match ldif::read_record(&record) {
                Ok(row) => self.take_in(source, &row),
                Err(reason) => self.damaged(source, ldif::place_of(&record).1, &reason),
            }
        }
    }

    /// Reports columns that are not known.
    fn columns(&mut self, source: &Source, first: Option<&csv::Record>, options: &RosterOptions) {
        for cell in first.map_or(&[][..], |record| &record.cells) {
            if columns::is_known(cell.text.trim()) {
                continue;
            }
            let name = cell.text.trim();
            let (place, fix) = (source.place(cell.span.clone()), columns::remedy(name));
            let message = format!("column \"{name}\" is not known");
            let diagnostic = if options.unknown_column_warns {
                Diagnostic::warning("E020", place, message)
            } else {
                Diagnostic::error("E020", place, message)
            };
            self.say(diagnostic.why("a misspelled column would be left out").fix(fix));
        }
    }

    /// Keeps a diagnostic with its kind.
    fn say(&mut self, diagnostic: Diagnostic) {
        match diagnostic.severity {
            crate::diagnostic::Severity::Error => self.found.push(diagnostic),
            crate::diagnostic::Severity::Warning => self.roster.warnings.push(diagnostic),
        }
    }

    /// Reports a row that cannot be read.
    fn damaged(&mut self, source: &Source, span: std::ops::Range<usize>, reason: &str) {
        self.roster.count.rows += 1;
        self.roster.count.refused += 1;
        let message = format!("this row cannot be read: {reason}");
        let diagnostic = Diagnostic::error("E025", source.place(span), message)
            .why("it may be a mailbox that would be left behind")
            .fix("correct the row, or take it out of the file");
        self.found.push(diagnostic);
    }

    fn finish(mut self, options: &RosterOptions) -> Result<Roster, Vec<Diagnostic>> {
        self.homes(options);
        self.resolve_delegates();
        self.roster.servers = self.servers.into_iter().collect();
        let count = &self.roster.count;
        if count.mailboxes == 0 && self.found.is_empty() {
            let message = format!("none of the {} rows is a mailbox", count.rows);
            self.roster.warnings.push(
                Diagnostic::warning("E024", Place::of_file(self.source.file()), message)
                    .why("there is nothing to move")
                    .fix("export the recipients with Home-Server (CSV) or homeMDB (LDIF)"),
            );
        }
        if self.found.is_empty() {
            return Ok(self.roster);
        }
        self.found.sort_by_key(|diagnostic| (diagnostic.line(), diagnostic.column()));
        Err(self.found)
    }

    /// Gives the mailboxes of an export that names no homes the one home; else reports those
    /// without.
    fn homes(&mut self, options: &RosterOptions) {
        if self.homeless.is_empty() {
            return;
        }
        let nobody_has_one = self.homeless.len() == self.roster.mailboxes.len();
        if let Some(home) = options.home.as_ref().filter(|_| nobody_has_one) {
            for mailbox in &mut self.roster.mailboxes {
                mailbox.home = home.clone();
            }
            self.servers.insert(home.clone());
            let message = format!("no mailbox has a home server; all of them are taken for {home}");
            self.roster.warnings.push(
                Diagnostic::warning("E022", Place::of_file(self.source.file()), message)
                    .fix("export Home-Server (CSV), homeMDB or mailHost (LDIF) as well"),
            );
            return;
        }
        for homeless in std::mem::take(&mut self.homeless) {
            let name = &self.roster.mailboxes[homeless.mailbox as usize].name;
            let message = format!("mailbox \"{name}\" has no home server");
            self.roster.count.mailboxes -= 1;
            self.roster.count.refused += 1;
            self.found.push(
                Diagnostic::error("E022", homeless.place, message)
                    .why("nobody would know which store holds its mail")
                    .fix("set its Home-Server, or take the row out if the mailbox is gone"),
            );
        }
    }

    /// Finds the mailboxes that delegates are.
    fn resolve_delegates(&mut self) {
        let mut unknown = 0_usize;
        for (mailbox, delegate) in std::mem::take(&mut self.delegates) {
            let folded = delegate.to_lowercase();
            let leaf = address::leaf_of(&folded);
            let found = self.entries.get(&folded).or_else(|| self.names.get(leaf)).copied();
            match found {
                Some(at) if at != mailbox => {
                    let name = self.roster.mailboxes[at as usize].name.clone();
                    self.roster.mailboxes[mailbox as usize].delegates.push(name);
                }
                Some(_) => {}
                None => unknown += 1,
            }
        }
        if unknown > 0 {
            let message = format!("{unknown} delegates are no mailboxes of this export");
            self.roster.warnings.push(
                Diagnostic::warning("E026", Place::of_file(self.source.file()), message)
                    .why("they lose their access if they work at another server")
                    .fix("export all recipients of the site"),
            );
        }
    }

    /// Takes one row in.
    fn take_in(&mut self, source: &Source, row: &Row) {
        self.roster.count.rows += 1;
        rows::take_in(self, source, row);
    }
}

#[cfg(test)]
mod tests;
