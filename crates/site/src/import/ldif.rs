//! LDIF (RFC 2849): records of `name: value` lines, folded, commented, in base64.

use super::text::{decode, decode_base64};
use super::{Export, Row, RowChange, Value};

/// A line with its folds undone, and where it began.
struct Line {
    number: usize,
    text: String,
}

/// Reads an LDIF file whole. Every record is in the result: as a row, or as damaged with a reason.
///
/// UTF-8, or Windows-1252 if the file is not UTF-8; UTF-16 is not read. References (`name:< url`)
/// are kept and not followed. A `version` line above the records is passed over.
#[must_use]
pub fn read_ldif(bytes: &[u8]) -> Export {
    let text = decode(bytes);
    let mut export = Export::default();
    for record in records(&text) {
        let first = record[0].number;
        match read_record(&record) {
            Ok(row) => export.rows.push(row),
            Err(reason) => export.damaged.push((first, reason)),
        }
    }
    export
}

/// Undoes folds, drops comments, splits at empty lines. No record is empty.
fn records(text: &str) -> Vec<Vec<Line>> {
    let mut records: Vec<Vec<Line>> = vec![Vec::new()];
    let mut in_comment = false;
    for (index, line) in text.lines().enumerate() {
        let line = line.trim_end_matches('\r');
        let current = records.last_mut().expect("there is always a record");
        if let Some(rest) = line.strip_prefix(' ').filter(|_| in_comment || !current.is_empty()) {
            if let Some(last) = current.last_mut().filter(|_| !in_comment) {
                last.text.push_str(rest);
            }
            continue;
        }
        in_comment = line.starts_with('#');
        if in_comment {
            continue;
        }
        if line.is_empty() {
            records.push(Vec::new());
        } else {
            current.push(Line { number: index + 1, text: line.to_owned() });
        }
    }
    for record in &mut records {
        let version = |line: &Line| {
            line.text.strip_prefix("version:").is_some_and(|number| number.trim() == "1")
        };
        if record.first().is_some_and(version) {
            record.remove(0);
        }
    }
    records.retain(|record| !record.is_empty());
    records
}

/// Reads one record.
fn read_record(lines: &[Line]) -> Result<Row, String> {
    let (attribute, value) = read_line(&lines[0])?;
    let name = match value {
        Value::Text(name) if attribute.eq_ignore_ascii_case("dn") => name,
        _ => return Err("the record does not begin with its dn".to_owned()),
    };
    let mut change = RowChange::Put;
    let mut values = Vec::new();
    for line in &lines[1..] {
        if line.text == "-" && change == RowChange::Other {
            continue; // Between two steps of a modification.
        }
        let (attribute, value) = read_line(line)?;
        match &value {
            Value::Text(kind) if attribute.eq_ignore_ascii_case("changetype") => {
                change = read_change(kind)
                    .ok_or_else(|| format!("line {}: changetype \"{kind}\"", line.number))?;
            }
            _ if attribute.eq_ignore_ascii_case("control") && values.is_empty() => {}
            _ => values.push((attribute.to_owned(), value)),
        }
    }
    Ok(Row { line: lines[0].number, name, change, values })
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
