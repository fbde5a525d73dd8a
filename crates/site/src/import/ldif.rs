//! LDIF (RFC 2849): records of `name: value` lines, folded, commented, in base64.

use super::text::{decode, decode_base64};
use super::{Export, Row, RowChange, Value};

/// A line with its folds undone, and where it began.
pub(super) struct Line {
    number: usize,
    start: usize,
    text: String,
}

/// The records of a text, one after the other; folds undone, comments dropped, none empty.
pub(super) struct Records<'t> {
    text: &'t str,
    at: usize,
    number: usize,
}

impl<'t> Records<'t> {
    /// Takes a text apart.
    pub(super) fn new(text: &'t str) -> Self {
        Self { text, at: 0, number: 0 }
    }

    /// The next line without its end, and where it begins.
    fn line(&mut self) -> Option<(usize, &'t str)> {
        if self.at >= self.text.len() {
            return None;
        }
        let start = self.at;
        let rest = &self.text[start..];
        let length = rest.find('\n').unwrap_or(rest.len());
        self.at = start + length + 1;
        self.number += 1;
        Some((start, rest[..length].trim_end_matches('\r')))
    }
}

impl Iterator for Records<'_> {
    type Item = Vec<Line>;

    fn next(&mut self) -> Option<Vec<Line>> {
        let mut record: Vec<Line> = Vec::new();
        let mut in_comment = false;
        while let Some((start, line)) = self.line() {
            if let Some(rest) = line.strip_prefix(' ').filter(|_| in_comment || !record.is_empty())
            {
                if let Some(last) = record.last_mut().filter(|_| !in_comment) {
                    last.text.push_str(rest);
                }
                continue;
            }
            in_comment = line.starts_with('#');
            if in_comment {
                continue;
            }
            if !line.is_empty() {
                record.push(Line { number: self.number, start, text: line.to_owned() });
                continue;
            }
            drop_version(&mut record);
            if !record.is_empty() {
                return Some(record);
            }
        }
        drop_version(&mut record);
        (!record.is_empty()).then_some(record)
    }
}

/// A `version` line above the records is no part of one.
fn drop_version(record: &mut Vec<Line>) {
    let version =
        |line: &Line| line.text.strip_prefix("version:").is_some_and(|number| number.trim() == "1");
    if record.first().is_some_and(version) {
        record.remove(0);
    }
}

/// Reads an LDIF file whole. Every record is in the result: as a row, or as damaged with a reason.
///
/// UTF-8, UTF-16, or Windows-1252 if the file is neither. References (`name:< url`) are kept and
/// not followed. A `version` line above the records is passed over.
#[must_use]
pub fn read_ldif(bytes: &[u8]) -> Export {
    let text = decode(bytes, None);
    let mut export = Export::default();
    for record in Records::new(&text) {
        match read_record(&record) {
            Ok(row) => export.rows.push(row),
            Err(reason) => export.damaged.push((record[0].number, reason)),
        }
    }
    export
}

/// The line and the place of a record.
pub(super) fn place_of(lines: &[Line]) -> (usize, std::ops::Range<usize>) {
    let first = &lines[0];
    (first.number, first.start..first.start + first.text.len())
}

/// Reads one record.
pub(super) fn read_record(lines: &[Line]) -> Result<Row, String> {
    let (attribute, value) = read_line(&lines[0])?;
    let name = match value {
        Value::Text(name) if attribute.eq_ignore_ascii_case("dn") => name,
        _ => return Err("the record does not begin with its dn".to_owned()),
    };
    let (number, span) = place_of(lines);
    let mut row = Row::new(number, span);
    row.name = name;
    for line in &lines[1..] {
        if line.text == "-" && row.change == RowChange::Other {
            continue; // Between two steps of a modification.
        }
        let (attribute, value) = read_line(line)?;
        match &value {
            Value::Text(kind) if attribute.eq_ignore_ascii_case("changetype") => {
                row.change = read_change(kind)
                    .ok_or_else(|| format!("line {}: changetype \"{kind}\"", line.number))?;
            }
            _ if attribute.eq_ignore_ascii_case("control") && row.values.is_empty() => {}
            _ => {
                let span = line.start..line.start + line.text.len();
                row.push(attribute.to_owned(), value, span);
            }
        }
    }
    Ok(row)
}

/// Reads a `changetype`.
fn read_change(kind: &str) -> Option<RowChange> {
    match kind.to_ascii_lowercase().as_str() {
        "add" => Some(RowChange::Put),
        "delete" => Some(RowChange::Delete),
        "modify" | "modrdn" | "moddn" => Some(RowChange::Other),
        _ => None,
    }
}

/// Splits `name: value`, `name:: base64` or `name:< url`.
fn read_line(line: &Line) -> Result<(&str, Value), String> {
    let number = line.number;
    let (attribute, rest) =
        line.text.split_once(':').ok_or_else(|| format!("line {number} has no colon"))?;
    let is_name_part =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | ';' | '_' | ' ');
    if attribute.is_empty() || !attribute.chars().all(is_name_part) {
        return Err(format!("line {number} does not begin with the name of an attribute"));
    }
    let value = if let Some(encoded) = rest.strip_prefix(':') {
        let bytes = decode_base64(encoded).ok_or_else(|| format!("line {number} is no base64"))?;
        String::from_utf8(bytes).map_or_else(|error| Value::Bytes(error.into_bytes()), Value::Text)
    } else if let Some(url) = rest.strip_prefix('<') {
        Value::Url(url.trim_start_matches(' ').to_owned())
    } else {
        Value::Text(rest.trim_start_matches(' ').to_owned())
    };
    Ok((attribute, value))
}
