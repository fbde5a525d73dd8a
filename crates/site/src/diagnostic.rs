//! Messages about a file: place, cause, consequence and remedy, many at once.

mod source;
mod suggest;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use source::Source;
pub use suggest::{did_you_mean, edit_distance};

/// A place in a text file, with the line itself so that it can be shown without the file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The file as the caller named it.
    pub file: String,
    /// Line, from 1; 0 if the place is the file as a whole.
    pub line: usize,
    /// Column in characters, from 1; 0 if the place is the file as a whole.
    pub column: usize,
    /// How many characters from `column` on are meant; at least 1 in a line.
    pub width: usize,
    /// The line.
    pub excerpt: String,
}

impl Place {
    /// The file as a whole.
    #[must_use]
    pub fn of_file(file: &str) -> Self {
        Self { file: file.to_owned(), ..Self::default() }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line == 0 {
            return out.write_str(&self.file);
        }
        write!(out, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// Whether the reader can go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The file cannot be used.
    Error,
    /// The file can be used; something in it deserves a look.
    Warning,
}

/// Another place that has to do with a diagnostic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Related {
    /// Where.
    pub place: Place,
    /// What is there.
    pub label: String,
}

/// One message about a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// Stable code such as `E003`; `docs/format/site.md` lists those of this crate.
    pub code: &'static str,
    /// What is wrong, in one line.
    pub message: String,
    /// Where.
    pub place: Place,
    /// What the carets point at; may be empty.
    pub label: String,
    /// Other places, in the order in which they should be shown.
    pub related: Vec<Related>,
    /// The consequence; may be empty.
    pub why: String,
    /// The remedy; may be empty.
    pub fix: String,
}

impl Diagnostic {
    /// Begins an error.
    #[must_use]
    pub fn error(code: &'static str, place: Place, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            code,
            message: message.into(),
            place,
            label: String::new(),
            related: Vec::new(),
            why: String::new(),
            fix: String::new(),
        }
    }

    /// Begins a warning.
    #[must_use]
    pub fn warning(code: &'static str, place: Place, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, place, message) }
    }

    /// Says what the carets point at.
    #[must_use]
    pub fn label(self, label: impl Into<String>) -> Self {
        Self { label: label.into(), ..self }
    }

    /// States the consequence.
    #[must_use]
    pub fn why(self, why: impl Into<String>) -> Self {
        Self { why: why.into(), ..self }
    }

    /// States the remedy.
    #[must_use]
    pub fn fix(self, fix: impl Into<String>) -> Self {
        Self { fix: fix.into(), ..self }
    }

    /// Shows another place.
    #[must_use]
    pub fn related(mut self, place: Place, label: impl Into<String>) -> Self {
        self.related.push(Related { place, label: label.into() });
        self
    }

    /// The file of the main place.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.place.file
    }

    /// The line of the main place, from 1; 0 for the file as a whole.
    #[must_use]
    pub fn line(&self) -> usize {
        self.place.line
    }

    /// The column of the main place in characters, from 1; 0 for the file as a whole.
    #[must_use]
    pub fn column(&self) -> usize {
        self.place.column
    }

    /// Width of the line-number column.
    fn gutter(&self) -> usize {
        let lines = self.related.iter().map(|related| related.place.line);
        lines.chain([self.place.line]).max().unwrap_or(0).to_string().len()
    }
}

/// Several lines: heading, each place with its line and carets, `= why:` and `= fix:`.
impl fmt::Display for Diagnostic {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        writeln!(out, "{severity}[{}]: {}", self.code, self.message)?;
        let gutter = self.gutter();
        write_place(out, gutter, "-->", &self.place, '^', &self.label)?;
        for related in &self.related {
            write_place(out, gutter, ":::", &related.place, '-', &related.label)?;
        }
        for (name, text) in [("why", &self.why), ("fix", &self.fix)] {
            if !text.is_empty() {
                writeln!(out, "{:gutter$} = {name}: {text}", "")?;
            }
        }
        Ok(())
    }
}

/// Writes one place; carets stand below the characters that are meant.
fn write_place(
    out: &mut fmt::Formatter<'_>,
    gutter: usize,
    arrow: &str,
    place: &Place,
    mark: char,
    label: &str,
) -> fmt::Result {
    writeln!(out, "{:gutter$}{arrow} {place}", "")?;
    if place.line == 0 {
        return if label.is_empty() { Ok(()) } else { writeln!(out, "{:gutter$} | {label}", "") };
    }
    let before: String = place.excerpt.chars().take(place.column - 1).map(blank_of).collect();
    let marks: String = std::iter::repeat_n(mark, place.width).collect();
    writeln!(out, "{:gutter$} |", "")?;
    writeln!(out, "{:>gutter$} | {}", place.line, place.excerpt)?;
    writeln!(out, "{:gutter$} | {}", "", format!("{before}{marks} {label}").trim_end())
}

/// A tab stays a tab so that the carets stand where the text stands.
fn blank_of(character: char) -> char {
    if character == '\t' { '\t' } else { ' ' }
}

/// Renders several diagnostics with an empty line between them.
#[must_use]
pub fn render(diagnostics: &[Diagnostic]) -> String {
    let texts: Vec<String> = diagnostics.iter().map(Diagnostic::to_string).collect();
    texts.join("\n")
}
