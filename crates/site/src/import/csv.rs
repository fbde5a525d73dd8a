//! The comma-separated export of Exchange 5.5: a header, an object a line (KB Q146304, Q155414).

use super::text::decode;
use super::{Export, Row, RowChange, Value};

/// Fields of a line, and where it began.
struct Record {
    line: usize,
    fields: Vec<String>,
}

/// Reads an export whole. Every line below the header is in the result: as a row, or as damaged
/// with a reason.
///
/// Fields that hold a comma, a quote or a line break stand in quotes; several values of a field
/// are joined by `%`. UTF-8, or Windows-1252 if the file is not UTF-8.
///
/// # Errors
///
/// If there is no header that begins with `Obj-Class`: then nothing of the file can be understood.
pub fn read_csv(bytes: &[u8]) -> Result<Export, String> {
    let text = decode(bytes);
    let (records, unclosed) = records(&text);
    let mut records = records.into_iter();
    let header = records.next().map(|record| record.fields).unwrap_or_default();
    if !header.first().is_some_and(|name| name.trim().eq_ignore_ascii_case("Obj-Class")) {
        return Err(
            "the first line is no header: it does not begin with Obj-Class; export with a \
                    header"
                .to_owned(),
        );
    }
    let mut export = Export::default();
    for record in records {
        match read_row(&header, &record) {
            Ok(row) => export.rows.push(row),
            Err(reason) => export.damaged.push((record.line, reason)),
        }
    }
    if let Some(line) = unclosed {
        export.rows.retain(|row| row.line != line);
        export.damaged.retain(|(other, _)| *other != line);
        export.damaged.push((line, "a quote is opened and never closed".to_owned()));
    }
    Ok(export)
}

/// Splits a text into records; also returns the line of a record whose quote is never closed.
fn records(text: &str) -> (Vec<Record>, Option<usize>) {
    let mut records = Vec::new();
    let mut record = Record { line: 1, fields: vec![String::new()] };
    let (mut line, mut quoted) = (1, false);
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let field = record.fields.last_mut().expect("a record has at least one field");
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                field.push('"');
            }
            '"' if quoted || field.is_empty() => quoted = !quoted,
            ',' if !quoted => record.fields.push(String::new()),
            '\r' if !quoted && characters.peek() == Some(&'\n') => {}
            '\n' => {
                line += 1;
                if quoted {
                    field.push('\n');
                } else {
                    let next = Record { line, fields: vec![String::new()] };
                    records.push(std::mem::replace(&mut record, next));
                }
            }
            other => field.push(other),
        }
    }
    let unclosed = quoted.then_some(record.line);
    records.push(record);
    records.retain(|record| record.fields != [""]);
    (records, unclosed)
}

/// Reads a line below the header.
fn read_row(header: &[String], record: &Record) -> Result<Row, String> {
    let Record { line, fields } = record;
    if fields.len() != header.len() {
        let (have, need) = (fields.len(), header.len());
        return Err(format!("the line has {have} fields and the header {need}"));
    }
    let mut change = RowChange::Put;
    let mut values = Vec::new();
    for (name, field) in header.iter().map(|name| name.trim()).zip(fields) {
        if name.eq_ignore_ascii_case("Mode") {
            change = read_mode(field).ok_or_else(|| format!("Mode \"{field}\" is not known"))?;
            continue;
        }
        for part in field.split('%').filter(|part| !part.is_empty() && *part != "~DEL") {
            values.push((name.to_owned(), Value::Text(part.to_owned())));
        }
    }
    let named = |wanted: &str| {
        let same = |(name, _): &&(String, Value)| name.eq_ignore_ascii_case(wanted);
        match values.iter().find(same) {
            Some((_, Value::Text(text))) => Some(text.clone()),
            _ => None,
        }
    };
    let name = ["Directory Name", "Alias Name", "Display Name"].into_iter().find_map(named);
    let name = name.ok_or("the line has neither Directory Name nor Alias Name")?;
    Ok(Row { line: *line, name, change, values })
}

/// Reads the column `Mode`; an empty one creates or changes.
fn read_mode(mode: &str) -> Option<RowChange> {
    match mode.to_ascii_lowercase().as_str() {
        "" | "create" | "modify" | "update" => Some(RowChange::Put),
        "delete" => Some(RowChange::Delete),
        _ => None,
    }
}
