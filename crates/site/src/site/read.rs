//! Reads values out of TOML tables and notes where each stands and what is wrong with it.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::Range;
use std::str::FromStr;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::place::{Key, Places};
use super::quantity::{ByteSize, SizeError, UNITS};
use crate::diagnostic::{Diagnostic, Place, Source, did_you_mean};

/// The consequence of a value that cannot be read.
const NO_PLAN: &str = "nothing is planned while a value cannot be read";

/// A key that a table may have.
pub(super) struct KeySpec {
    /// Its name.
    pub(super) name: &'static str,
    /// A line that shows how it is written.
    pub(super) example: &'static str,
}

/// A kind of table.
pub(super) struct TableSpec {
    /// Its header as one writes it; empty for the top of the file.
    pub(super) header: &'static str,
    /// Its keys.
    pub(super) keys: &'static [KeySpec],
}

impl TableSpec {
    /// How a key of this table is written.
    fn example(&self, name: &str) -> &'static str {
        let key = self.keys.iter().find(|key| key.name == name);
        key.expect("only keys of the table are asked for").example
    }
}

/// A table that is being read.
pub(super) struct Table<'t> {
    pub(super) key: Key,
    span: Range<usize>,
    spec: &'static TableSpec,
    entries: &'t DeTable<'t>,
}

/// Collects what is wrong, and where everything stands.
pub(super) struct Reader {
    source: Source,
    spans: BTreeMap<Key, Range<usize>>,
    all: &'static [&'static TableSpec],
    found: Vec<Diagnostic>,
}

impl Reader {
    /// Begins with a text whose tables are of the kinds `all`.
    pub(super) fn new(source: Source, all: &'static [&'static TableSpec]) -> Self {
        Self { source, spans: BTreeMap::new(), all, found: Vec::new() }
    }

    /// The places and what was wrong.
    pub(super) fn finish(self) -> (Places, Vec<Diagnostic>) {
        (Places::new(self.source, self.spans), self.found)
    }

    /// The place of a range of bytes.
    pub(super) fn place(&self, span: Range<usize>) -> Place {
        self.source.place(span)
    }

    /// Where the value of a key stands.
    pub(super) fn span_of(&self, key: &Key) -> Range<usize> {
        self.spans.get(key).cloned().unwrap_or(0..0)
    }

    /// Notes that something is wrong.
    pub(super) fn fail(&mut self, diagnostic: Diagnostic) {
        self.found.push(diagnostic);
    }

    /// Takes the whole document as a table.
    pub(super) fn root<'t>(
        &mut self,
        document: &'t Spanned<DeTable<'t>>,
        spec: &'static TableSpec,
    ) -> Table<'t> {
        self.open(Key::new(""), 0..0, document.get_ref(), spec)
    }

    /// Begins to read a table; keys that it cannot have are reported.
    fn open<'t>(
        &mut self,
        key: Key,
        span: Range<usize>,
        entries: &'t DeTable<'t>,
        spec: &'static TableSpec,
    ) -> Table<'t> {
        self.spans.insert(key.clone(), span.clone());
        for (name, value) in entries {
            let known = spec.keys.iter().any(|known| known.name == name.get_ref().as_ref());
            if known {
                self.spans.insert(key.child(name.get_ref()), value.span());
            } else {
                self.unknown_key(name, spec);
            }
        }
        Table { key, span, spec, entries }
    }

    /// Reports a key that the table cannot have.
    fn unknown_key(&mut self, name: &Spanned<std::borrow::Cow<'_, str>>, spec: &TableSpec) {
        let place = self.place(name.span());
        let (word, header) = (name.get_ref().as_ref(), spec.header);
        let of = if header.is_empty() { "the top of the file".to_owned() } else { header.into() };
        let names = || spec.keys.iter().map(|key| key.name);
        let holds = |table: &&&TableSpec| table.keys.iter().any(|key| key.name == word);
        let mut holders = self.all.iter().filter(holds);
        let elsewhere = holders.next().filter(|_| holders.next().is_none());
        let fix = match (did_you_mean(word, names()), elsewhere) {
            (_, Some(table)) if table.header.is_empty() => {
                format!("move `{word}` to the top of the file, above the first table")
            }
            (_, Some(table)) => format!("move `{word}` below {}", table.header),
            (Some(near), None) => format!("did you mean `{near}`?"),
            (None, None) => {
                format!("remove it; {of} has {}", names().collect::<Vec<_>>().join(", "))
            }
        };
        let message = format!("`{word}` is not a key of {of}");
        let why = "a key that nobody reads would be a wish that nobody grants";
        self.fail(Diagnostic::error("E003", place, message).why(why).fix(fix));
    }

    /// Finds the value of a key.
    fn value<'t>(table: &Table<'t>, name: &str) -> Option<&'t Spanned<DeValue<'t>>> {
        debug_assert!(!table.spec.example(name).is_empty());
        table.entries.get(name)
    }

    /// Reports a value of the wrong type.
    fn wrong_type(&mut self, table: &Table<'_>, name: &str, value: &Spanned<DeValue<'_>>) {
        let place = self.place(value.span());
        let message = format!("`{name}` cannot be {}", type_text(value.get_ref()));
        let fix = format!("write it like `{}`", table.spec.example(name));
        self.fail(Diagnostic::error("E005", place, message).why(NO_PLAN).fix(fix));
    }

    /// Reports a key that has no default and is not there.
    pub(super) fn missing(&mut self, table: &Table<'_>, name: &str) {
        let (place, label) = match table.spec.header {
            "" => (Place::of_file(self.source.file()), String::new()),
            header => (self.place(table.span.clone()), format!("this {header}")),
        };
        let message = format!("`{name}` is missing");
        let fix = format!("add `{}`", table.spec.example(name));
        let why = "there is no default for it";
        self.fail(Diagnostic::error("E004", place, message).label(label).why(why).fix(fix));
    }

    /// Reports a value that is of the right type and still cannot be.
    pub(super) fn wrong_value(
        &mut self,
        table: &Table<'_>,
        name: &str,
        span: Range<usize>,
        message: impl Display,
    ) {
        let place = self.place(span);
        let fix = format!("write it like `{}`", table.spec.example(name));
        self.fail(Diagnostic::error("E006", place, message.to_string()).why(NO_PLAN).fix(fix));
    }

    /// A table below a table.
    pub(super) fn table<'t>(
        &mut self,
        table: &Table<'t>,
        name: &str,
        spec: &'static TableSpec,
    ) -> Option<Table<'t>> {
        let value = Self::value(table, name)?;
        let DeValue::Table(entries) = value.get_ref() else {
            self.wrong_type(table, name, value);
            return None;
        };
        Some(self.open(table.key.child(name), value.span(), entries, spec))
    }

    /// The tables of an array, in the order of the file.
    pub(super) fn tables<'t>(
        &mut self,
        table: &Table<'t>,
        name: &str,
        spec: &'static TableSpec,
    ) -> Vec<Table<'t>> {
        let Some(value) = Self::value(table, name) else { return Vec::new() };
        let DeValue::Array(elements) = value.get_ref() else {
            self.wrong_type(table, name, value);
            return Vec::new();
        };
        let mut tables = Vec::new();
        for (index, element) in elements.iter().enumerate() {
            let key = table.key.child(name).element(index);
            match element.get_ref() {
                DeValue::Table(entries) => {
                    tables.push(self.open(key, element.span(), entries, spec));
                }
                _ => self.wrong_type(table, name, element),
            }
        }
        tables
    }

    /// A text, and where it stands.
    pub(super) fn text<'t>(
        &mut self,
        table: &Table<'t>,
        name: &str,
    ) -> Option<(&'t str, Range<usize>)> {
        let value = Self::value(table, name)?;
        if value.get_ref().as_str().is_none() {
            self.wrong_type(table, name, value);
        }
        Some((value.get_ref().as_str()?, value.span()))
    }

    /// A text that is parsed further; `None` if it is absent or wrong.
    pub(super) fn optional<T: FromStr<Err: Display>>(
        &mut self,
        table: &Table<'_>,
        name: &str,
    ) -> Option<T> {
        let (text, span) = self.text(table, name)?;
        match text.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                let error = error.to_string();
                let message = match error.contains(text) {
                    true => error,
                    false => format!("\"{text}\" cannot be `{name}`: {error}"),
                };
                self.wrong_value(table, name, span, message);
                None
            }
        }
    }

    /// A text that has to be there and is parsed further.
    pub(super) fn required<T: FromStr<Err: Display>>(
        &mut self,
        table: &Table<'_>,
        name: &str,
    ) -> Option<T> {
        if Self::value(table, name).is_none() {
            self.missing(table, name);
        }
        self.optional(table, name)
    }

    /// One of a few words.
    pub(super) fn word<T: Copy>(
        &mut self,
        table: &Table<'_>,
        name: &str,
        words: &[(&'static str, T)],
    ) -> Option<T> {
        let (text, span) = self.text(table, name)?;
        self.known_word(name, text, span, words)
    }

    /// Looks a word up; reports one that is not known.
    pub(super) fn known_word<T: Copy>(
        &mut self,
        name: &str,
        text: &str,
        span: Range<usize>,
        words: &[(&'static str, T)],
    ) -> Option<T> {
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
            return Some(*value);
        }
        let names = || words.iter().map(|(word, _)| *word);
        let fix = match did_you_mean(text, names()) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => format!("choose one of {}", names().collect::<Vec<_>>().join(", ")),
        };
        let place = self.place(span);
        let message = format!("\"{text}\" is not known as a value of `{name}`");
        self.fail(Diagnostic::error("E007", place, message).why(NO_PLAN).fix(fix));
        None
    }

    /// The texts of a list, each with its place; `None` if there is no such list.
    pub(super) fn texts<'t>(
        &mut self,
        table: &Table<'t>,
        name: &str,
    ) -> Option<Vec<(&'t str, Range<usize>)>> {
        let value = Self::value(table, name)?;
        let DeValue::Array(elements) = value.get_ref() else {
            self.wrong_type(table, name, value);
            return None;
        };
        let mut texts = Vec::new();
        for (index, element) in elements.iter().enumerate() {
            self.spans.insert(table.key.child(name).element(index), element.span());
            match element.get_ref().as_str() {
                Some(text) => texts.push((text, element.span())),
                None => self.wrong_type(table, name, element),
            }
        }
        Some(texts)
    }

    /// A list of texts that are parsed further.
    pub(super) fn list<T: FromStr<Err: Display>>(
        &mut self,
        table: &Table<'_>,
        name: &str,
    ) -> Option<Vec<T>> {
        let texts = self.texts(table, name)?;
        let mut values = Vec::new();
        for (text, span) in texts {
            match text.parse() {
                Ok(value) => values.push(value),
                Err(error) => self.wrong_value(table, name, span, error),
            }
        }
        Some(values)
    }

    /// `true` or `false`.
    pub(super) fn flag(&mut self, table: &Table<'_>, name: &str) -> Option<bool> {
        let value = Self::value(table, name)?;
        if value.get_ref().as_bool().is_none() {
            self.wrong_type(table, name, value);
        }
        value.get_ref().as_bool()
    }

    /// A number of something, from 1.
    pub(super) fn count(&mut self, table: &Table<'_>, name: &str) -> Option<u64> {
        let value = Self::value(table, name)?;
        let Some(number) = value.get_ref().as_integer() else {
            self.wrong_type(table, name, value);
            return None;
        };
        let digits = number.as_str().trim_start_matches('+');
        let read = u64::from_str_radix(digits, number.radix()).ok().filter(|count| *count > 0);
        if read.is_none() {
            let message = format!("`{name}` must be a whole number from 1 on");
            self.wrong_value(table, name, value.span(), message);
        }
        read
    }

    /// A number of something, from 0.
    pub(super) fn number(&mut self, table: &Table<'_>, name: &str) -> Option<u64> {
        let zero = |value: &Spanned<DeValue<'_>>| {
            value.get_ref().as_integer().is_some_and(|number| number.as_str() == "0")
        };
        match Self::value(table, name) {
            Some(value) if zero(value) => Some(0),
            _ => self.count(table, name),
        }
    }

    /// A size: a text with a unit, or a number of bytes.
    pub(super) fn size(&mut self, table: &Table<'_>, name: &str) -> Option<ByteSize> {
        let value = Self::value(table, name)?;
        let text = match value.get_ref() {
            DeValue::Integer(number) if number.radix() == 10 => number.as_str().to_owned(),
            DeValue::String(text) => text.to_string(),
            _ => {
                self.wrong_type(table, name, value);
                return None;
            }
        };
        match ByteSize::parse(&text) {
            Ok(size) => Some(size),
            Err(SizeError::Unit(unit)) => {
                self.known_word::<u64>("unit", &unit, value.span(), &UNITS);
                None
            }
            Err(error) => {
                self.wrong_value(table, name, value.span(), error);
                None
            }
        }
    }
}

/// What a value is, as a reader of the file would say it.
fn type_text(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) | DeValue::Float(_) => "a bare number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
