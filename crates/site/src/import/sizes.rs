//! Sizes of mailboxes from a table, as administrators export them.

use serde::Serialize;

use super::csv::{Record, Records};
use super::roster::{Map, leaf_of};
use super::text::decode;
use crate::diagnostic::{Diagnostic, Place, Source};
use crate::names::MailboxName;

/// Names of the column that says which mailbox a row is about.
const KEYS: &[&str] = &[
    "name",
    "mailbox",
    "directory name",
    "alias",
    "alias name",
    "legacydn",
    "legacyexchangedn",
    "display name",
    "displayname",
];
/// Names of the column with the number of messages.
const MESSAGES: &[&str] = &["messages", "itemcount", "total no. items", "items"];
/// Names of the column with the size, and the bytes that a bare number in it counts.
const BYTES: &[(&str, u64)] = &[
    ("bytes", 1),
    ("size", 1),
    ("totalitemsize", 1),
    ("total k", 1024),
    ("size (kb)", 1024),
    ("total size (kb)", 1024),
    ("size (mb)", 1 << 20),
];
/// Names of optional columns.
const SHARE_GROUP: &str = "share group";
const SHARED_BYTES: &str = "shared bytes";
const BYTES_A_DAY: &str = "bytes a day";

/// Size of a mailbox, as a table says it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct MailboxSize {
    /// Number of messages, if the table says so.
    pub messages: Option<u64>,
    /// Bytes of all its messages.
    pub bytes: u64,
    /// Those among which contents are shared, and how many of the bytes are shared.
    pub share: Option<(String, u64)>,
    /// How many bytes come in on a day.
    pub bytes_a_day: Option<u64>,
    /// Line of the table.
    pub line: usize,
}

/// Sizes by what names the mailbox.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SizeTable {
    rows: Map<String, MailboxSize>,
    file: String,
}

impl SizeTable {
    /// Reads a table: a header, one mailbox a line; commas, semicolons or tabs between.
    ///
    /// # Errors
    ///
    /// A header without a column for the mailbox or for its size, a row that cannot be read, a
    /// mailbox that has two rows.
    pub fn read(bytes: &[u8], file: &str) -> Result<Self, Vec<Diagnostic>> {
        let source = Source::of(file, decode(bytes, None));
        let head = source.text().lines().next().unwrap_or_default();
        let separator = [',', ';', '\t'].into_iter().max_by_key(|one| head.matches(*one).count());
        let mut records = Records::new(source.text(), separator.unwrap_or(','));
        let header = records.next();
        let columns = Columns::find(header.as_ref()).map_err(|missing| {
            let place = header
                .as_ref()
                .map_or_else(|| Place::of_file(file), |record| source.place(record.span.clone()));
            vec![
                Diagnostic::error("E020", place, format!("no column holds the {missing}"))
                    .why("no mailbox would have a size")
                    .fix("name the columns: Name, Bytes, Messages"),
            ]
        })?;
        let mut table = Self { rows: Map::default(), file: file.to_owned() };
        let mut found = Vec::new();
        for record in records {
            if let Err((span, message)) = table.take_in(&columns, &record) {
                found.push(
                    Diagnostic::error("E025", source.place(span), message)
                        .why("the mailbox would count as empty")
                        .fix("write a number of bytes, or one with a unit such as 1.2 GB"),
                );
            }
        }
        if found.is_empty() { Ok(table) } else { Err(found) }
    }

    fn take_in(
        &mut self,
        columns: &Columns,
        record: &Record,
    ) -> Result<(), (std::ops::Range<usize>, String)> {
        if record.unclosed {
            return Err((record.span.clone(), "a quote is opened and never closed".to_owned()));
        }
        let cell = |at: Option<usize>| at.and_then(|at| record.cells.get(at));
        let bad = |cell: &super::csv::Cell, what: &str| {
            (cell.span.clone(), format!("\"{}\" is no {what}", cell.text))
        };
        let Some((key, size)) = cell(Some(columns.key)).zip(cell(Some(columns.bytes.0))) else {
            return Err((record.span.clone(), "the line has too few fields".to_owned()));
        };
        let read = |at: Option<usize>, unit: u64, what: &str| match cell(at) {
            Some(cell) if !cell.text.trim().is_empty() => {
                parse_size(&cell.text, unit).map(Some).ok_or_else(|| bad(cell, what))
            }
            _ => Ok(None),
        };
        let bytes = parse_size(&size.text, columns.bytes.1).ok_or_else(|| bad(size, "size"))?;
        let group = cell(columns.share_group).map(|cell| cell.text.trim().to_owned());
        let shared = read(columns.shared_bytes, 1, "size")?;
        let row = MailboxSize {
            messages: read(columns.messages, 1, "number of messages")?,
            bytes,
            share: group.filter(|name| !name.is_empty()).zip(shared),
            bytes_a_day: read(columns.bytes_a_day, 1, "size")?,
            line: record.line,
        };
        if let Some(first) = self.rows.insert(fold(&key.text), row) {
            let message = format!("\"{}\" has a size in line {} already", key.text, first.line);
            return Err((key.span.clone(), message));
        }
        Ok(())
    }

    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Takes out the size of a mailbox, which may be named by its directory name or for people.
    pub fn take(&mut self, name: &MailboxName, display_name: Option<&str>) -> Option<MailboxSize> {
        let by_name = self.rows.remove(&name.folded());
        by_name.or_else(|| self.rows.remove(&fold(display_name?)))
    }

    /// The rows that no mailbox has taken out: their lines and names, in the order of the file.
    #[must_use]
    pub fn left(&self) -> Vec<(usize, &str)> {
        let mut left: Vec<_> =
            self.rows.iter().map(|(key, row)| (row.line, key.as_str())).collect();
        left.sort_unstable();
        left
    }

    /// The file as messages name it.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }
}

/// What names a mailbox, so that spelling does not count.
fn fold(text: &str) -> String {
    let text = text.trim();
    let leaf = if text.starts_with('/') { leaf_of(text) } else { text };
    leaf.to_lowercase()
}

/// Which column holds what.
struct Columns {
    key: usize,
    bytes: (usize, u64),
    messages: Option<usize>,
    share_group: Option<usize>,
    shared_bytes: Option<usize>,
    bytes_a_day: Option<usize>,
}

impl Columns {
    /// Finds the columns, or says which one is missing.
    fn find(header: Option<&Record>) -> Result<Self, &'static str> {
        let cells = header.map_or(&[][..], |record| &record.cells);
        let names: Vec<String> = cells.iter().map(|cell| cell.text.trim().to_lowercase()).collect();
        let at = |wanted: &str| names.iter().position(|name| name == wanted);
        let key = KEYS.iter().find_map(|name| at(name)).ok_or("mailbox's name")?;
        let sized = BYTES.iter().find_map(|(name, unit)| Some((at(name)?, *unit)));
        Ok(Self {
            key,
            bytes: sized.ok_or("mailbox's size")?,
            messages: MESSAGES.iter().find_map(|name| at(name)),
            share_group: at(SHARE_GROUP),
            shared_bytes: at(SHARED_BYTES),
            bytes_a_day: at(BYTES_A_DAY),
        })
    }
}

/// Reads `1288490188`, `1,288,490,188`, `1.2 GB (1,288,490,188 bytes)`, `12,5 MB`; `unit_bytes` is
/// what a bare number counts.
fn parse_size(text: &str, unit_bytes: u64) -> Option<u64> {
    let text = text.trim();
    if let Some((_, exact)) = text.split_once('(') {
        let digits: String = exact.chars().filter(char::is_ascii_digit).collect();
        return digits.parse().ok();
    }
    let end = text.find(|c: char| !(c.is_ascii_digit() || ".,' \u{a0}\u{202f}".contains(c)));
    let (number, unit) = text.split_at(end.unwrap_or(text.len()));
    let unit = match unit.trim().to_lowercase().as_str() {
        "" => unit_bytes,
        "b" | "bytes" => 1,
        "k" | "kb" | "kib" => 1 << 10,
        "m" | "mb" | "mib" => 1 << 20,
        "g" | "gb" | "gib" => 1 << 30,
        "t" | "tb" | "tib" => 1 << 40,
        _ => return None,
    };
    let number: String = number.chars().filter(|c| !" '\u{a0}\u{202f}".contains(*c)).collect();
    let (whole, fraction) = split_number(&number, text.len() > number.len())?;
    let scale = 10_u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let digits: u128 = format!("{whole}{fraction}").parse().ok()?;
    u64::try_from(digits.checked_mul(u128::from(unit))? / scale).ok()
}

/// Splits a number at its decimal sign; signs between thousands are dropped.
///
/// One sign before three digits parts thousands, unless it is a point and a unit follows: that is
/// how Exchange writes fractions.
fn split_number(number: &str, has_unit: bool) -> Option<(String, String)> {
    let signs: Vec<(usize, char)> =
        number.char_indices().filter(|(_, c)| !c.is_ascii_digit()).collect();
    let plain = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
    let Some((at, last)) = signs.last().copied() else {
        return (!number.is_empty()).then(|| (number.to_owned(), String::new()));
    };
    let after = &number[at + 1..];
    let mixed = signs.iter().any(|(_, sign)| *sign != last);
    let thousands = match signs.len() {
        1 => after.len() == 3 && !(last == '.' && has_unit),
        _ => !mixed,
    };
    if plain(number).is_empty() {
        return None;
    }
    Some(if thousands {
        (plain(number), String::new())
    } else {
        (plain(&number[..at]), plain(after))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, unit: u64, expected: Option<u64>) {
        assert_eq!(parse_size(text, unit), expected, "{text}");
    }

    #[test]
    fn sizes_are_read_as_administrators_export_them() {
        check("1288490188", 1, Some(1_288_490_188));
        check("1,288,490,188", 1, Some(1_288_490_188));
        check("1.288.490.188", 1, Some(1_288_490_188));
        check("1.2 GB (1,288,490,188 bytes)", 1, Some(1_288_490_188));
        check("1,2 GB (1.288.490.188 Bytes)", 1, Some(1_288_490_188));
        check("12,5 MB", 1, Some(13_107_200));
        check("1.5GB", 1, Some(1_610_612_736));
        check("1,234 KB", 1, Some(1_263_616));
        check("1.250 GB", 1, Some(1_342_177_280));
        check("1.234,5 MB", 1, Some(1_294_467_072));
        check("2048", 1024, Some(2 << 20));
        check("", 1, None);
        check("many", 1, None);
        check("3 lots", 1, None);
    }

    #[test]
    fn a_table_is_matched_by_any_name_and_what_is_left_is_listed() {
        let text = "Display Name;Total K;Total no. Items\nAlice Becker;2048;10\nghost;1;1\n\
                    /o=E/ou=S/cn=Recipients/cn=bob;1;2\n";
        let mut table = SizeTable::read(text.as_bytes(), "sizes.csv").unwrap();
        let name = |text| MailboxName::new(text).unwrap();
        let alice = table.take(&name("alice"), Some("Alice Becker")).unwrap();
        assert_eq!((alice.bytes, alice.messages), (2 << 20, Some(10)));
        assert_eq!(table.take(&name("bob"), None).unwrap().bytes, 1024);
        assert_eq!(table.take(&name("carol"), None), None);
        assert_eq!(table.left(), [(3, "ghost")]);
    }

    #[test]
    fn a_table_that_cannot_be_used_is_refused_with_its_place() {
        let refused = |text: &str| SizeTable::read(text.as_bytes(), "s.csv").unwrap_err();
        insta::assert_snapshot!(crate::diagnostic::render(&refused("Name,Colour\nalice,red\n")), @r"
        error[E020]: no column holds the mailbox's size
         --> s.csv:1:1
          |
        1 | Name,Colour
          | ^^^^^^^^^^^
          = why: no mailbox would have a size
          = fix: name the columns: Name, Bytes, Messages
        ");
        let text = "Name,Bytes\nalice,12\nalice,13\nbob,much\n";
        insta::assert_snapshot!(crate::diagnostic::render(&refused(text)), @r#"
        error[E025]: "alice" has a size in line 2 already
         --> s.csv:3:1
          |
        3 | alice,13
          | ^^^^^
          = why: the mailbox would count as empty
          = fix: write a number of bytes, or one with a unit such as 1.2 GB

        error[E025]: "much" is no size
         --> s.csv:4:5
          |
        4 | bob,much
          |     ^^^^
          = why: the mailbox would count as empty
          = fix: write a number of bytes, or one with a unit such as 1.2 GB
        "#);
        // Without its end the quote holds every row behind it.
        let text = "Name,Bytes,Share group,Shared bytes\nalice,12,\"Sales,1\nbob,13,,\n";
        let found = refused(text);
        assert_eq!((found.len(), found[0].code, found[0].line()), (1, "E025", 2));
        assert!(found[0].message.contains("never closed"), "{}", found[0].message);
    }
}
