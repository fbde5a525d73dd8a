//! Comma-separated exports: a header, an object a line (KB Q146304, Q155414).

use std::ops::Range;

use super::text::decode;
use super::{Export, Row, RowChange, Value};

/// One field of a line, with its quotes undone.
pub(super) struct Cell {
    /// Its text.
    pub(super) text: String,
    /// Where it stands in the file, quotes included.
    pub(super) span: Range<usize>,
}

/// The fields of a line, and where it began.
pub(super) struct Record {
    /// Its line, from 1.
    pub(super) line: usize,
    /// Where it stands in the file.
    pub(super) span: Range<usize>,
    /// Its fields; at least one.
    pub(super) cells: Vec<Cell>,
    /// Whether a quote is opened in it and never closed.
    pub(super) unclosed: bool,
}

/// The records of a text, one after the other; empty lines are passed over.
pub(super) struct Records<'t> {
    text: &'t str,
    at: usize,
    line: usize,
    separator: char,
}

impl<'t> Records<'t> {
    /// Takes a text apart at `separator`.
    pub(super) fn new(text: &'t str, separator: char) -> Self {
        Self { text, at: 0, line: 1, separator }
    }

    /// Reads the record that begins here, whatever it holds.
    fn read(&mut self) -> Record {
        let (start, line, rest) = (self.at, self.line, &self.text[self.at..]);
        let mut record = Record { line, span: start..start, cells: Vec::new(), unclosed: false };
        let mut cell = String::new();
        let (mut cell_start, mut quoted) = (start, false);
        let mut characters = rest.char_indices().peekable();
        let mut end = self.text.len();
        self.at = end;
        while let Some((offset, character)) = characters.next() {
            let here = start + offset;
            let next = characters.peek().map(|(_, next)| *next);
            match character {
                '"' if quoted && next == Some('"') => {
                    characters.next();
                    cell.push('"');
                }
                '"' if quoted || cell.is_empty() => quoted = !quoted,
                '\r' if !quoted && next == Some('\n') => {}
                '\n' if !quoted => {
                    self.line += 1;
                    (self.at, end) = (here + 1, here);
                    break;
                }
                other if other == self.separator && !quoted => {
                    let text = std::mem::take(&mut cell);
                    record.cells.push(Cell { text, span: cell_start..here });
                    cell_start = here + other.len_utf8();
                }
                other => {
                    self.line += usize::from(other == '\n');
                    cell.push(other);
                }
            }
        }
        record.unclosed = quoted;
        record.span.end = end;
        record.cells.push(Cell { text: cell, span: cell_start..end });
        record
    }
}

impl Iterator for Records<'_> {
    type Item = Record;

    fn next(&mut self) -> Option<Record> {
        while self.at < self.text.len() {
            let record = self.read();
            let [only] = record.cells.as_slice() else { return Some(record) };
            if !only.text.is_empty() || record.unclosed {
                return Some(record);
            }
        }
        None
    }
}

/// Reads an export whole. Every line below the header is in the result: as a row, or as damaged
/// with a reason.
///
/// Fields that hold a comma, a quote or a line break stand in quotes; several values of a field
/// are joined by `%`. UTF-8, UTF-16, or Windows-1252 if the file is neither.
///
/// # Errors
///
/// If there is no header that begins with `Obj-Class`: then nothing of the file can be understood.
pub fn read_csv(bytes: &[u8]) -> Result<Export, String> {
    let text = decode(bytes, None);
    let mut records = Records::new(&text, ',');
    let header = header_of(records.next().as_ref()).map_err(str::to_owned)?;
    let mut export = Export::default();
    for record in records {
        match read_row(&header, &record) {
            Ok(row) => export.rows.push(row),
            Err(reason) => export.damaged.push((record.line, reason)),
        }
    }
    Ok(export)
}

/// The names of the columns.
pub(super) fn header_of(record: Option<&Record>) -> Result<Vec<String>, &'static str> {
    let cells = record.map_or(&[][..], |record| &record.cells);
    let names: Vec<String> = cells.iter().map(|cell| cell.text.trim().to_owned()).collect();
    match names.first() {
        Some(name) if name.eq_ignore_ascii_case("Obj-Class") => Ok(names),
        _ => Err("the first line is no header: it does not begin with Obj-Class; export with a \
                  header"),
    }
}

/// Reads a line below the header.
pub(super) fn read_row(header: &[String], record: &Record) -> Result<Row, String> {
    if record.unclosed {
        return Err("a quote is opened and never closed".to_owned());
    }
    if record.cells.len() != header.len() {
        let (have, need) = (record.cells.len(), header.len());
        return Err(format!("the line has {have} fields and the header {need}"));
    }
    let mut row = Row::new(record.line, record.span.clone());
    for (name, cell) in header.iter().zip(&record.cells) {
        if name.eq_ignore_ascii_case("Mode") {
            let mode = &cell.text;
            row.change = read_mode(mode).ok_or_else(|| format!("Mode \"{mode}\" is not known"))?;
            continue;
        }
        for part in cell.text.split('%').filter(|part| !part.is_empty() && *part != "~DEL") {
            row.push(name.clone(), Value::Text(part.to_owned()), cell.span.clone());
        }
    }
    let name = row.any(&["Directory Name", "Alias Name", "Display Name"]);
    row.name = name.ok_or("the line has neither Directory Name nor Alias Name")?.to_owned();
    Ok(row)
}

/// Reads the column `Mode`; an empty one creates or changes.
fn read_mode(mode: &str) -> Option<RowChange> {
    match mode.to_ascii_lowercase().as_str() {
        "" | "create" | "modify" | "update" => Some(RowChange::Put),
        "delete" => Some(RowChange::Delete),
        _ => None,
    }
}
