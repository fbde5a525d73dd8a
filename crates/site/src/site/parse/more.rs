//! The tables that say more about a site: files, windows, waves, facts.

use super::super::facts::{FactKind, spec_of};
use super::super::read::{Reader, Table};
use super::super::{Fact, Facts, GateRule, InventoryFiles, Moment, WaveWishes, Window};
use super::schema;
use crate::names::{MailboxName, ServerName};

/// Reads `[inventory]`.
pub(super) fn read_inventory(reader: &mut Reader, root: &Table<'_>) -> InventoryFiles {
    let Some(table) = reader.table(root, "inventory", &schema::INVENTORY) else {
        return InventoryFiles::default();
    };
    let words = [("error", false), ("warn", true)];
    InventoryFiles {
        directory: reader.optional(&table, "directory"),
        sizes: reader.optional(&table, "sizes"),
        encoding: reader.optional(&table, "encoding"),
        unknown_column_warns: reader.word(&table, "on_unknown_column", &words).unwrap_or(false),
    }
}

/// Reads `[[window]]`.
pub(super) fn read_windows(reader: &mut Reader, root: &Table<'_>) -> Option<Vec<Window>> {
    let tables = reader.tables(root, "window", &schema::WINDOW);
    let windows: Vec<_> = tables.iter().map(|table| read_window(reader, table)).collect();
    windows.into_iter().collect()
}

fn read_window(reader: &mut Reader, table: &Table<'_>) -> Option<Window> {
    let name = reader.required(table, "name");
    let days = reader.required(table, "days");
    let from = reader.required(table, "from");
    let until = reader.required(table, "until");
    let first = reader.required(table, "first");
    let last = reader.required(table, "last");
    let utc_offset = reader.required(table, "utc_offset");
    let window = Window {
        name: name?,
        days: days?,
        from: from?,
        until: until?,
        first: first?,
        last: last?,
        utc_offset: utc_offset?,
    };
    if window.openings_us().is_empty() {
        let span = reader.span_of(&table.key.child("last"));
        let message = format!("window \"{}\" never opens between `first` and `last`", window.name);
        reader.wrong_value(table, "last", span, message);
    }
    Some(window)
}

/// Reads `[waves]`.
pub(super) fn read_waves(reader: &mut Reader, root: &Table<'_>) -> WaveWishes {
    let standard = WaveWishes::default();
    let Some(table) = reader.table(root, "waves", &schema::WAVES) else { return standard };
    let count = |reader: &mut Reader, name: &str, standard: u64| {
        reader.count(&table, name).unwrap_or(standard)
    };
    WaveWishes {
        pilot_mailboxes: count(reader, "pilot_mailboxes", standard.pilot_mailboxes),
        mailboxes_max: reader.count(&table, "mailboxes_max"),
        hub_delegates: count(reader, "hub_delegates", standard.hub_delegates),
        log_reserve_percent: read_reserve(reader, &table).unwrap_or(standard.log_reserve_percent),
        reverse_days: count(reader, "reverse_days", standard.reverse_days),
        bytes_per_second_max: reader.size(&table, "bytes_per_second_max"),
        keep_together: read_together(reader, &table),
    }
}

/// The most of a log disk that can stay free, in percent: a wave needs some of it.
const RESERVE_PERCENT_MAX: u64 = 90;

/// Reads how much of a log disk stays free.
fn read_reserve(reader: &mut Reader, table: &Table<'_>) -> Option<u64> {
    let name = "log_reserve_percent";
    let percent = reader.count(table, name)?;
    if percent > RESERVE_PERCENT_MAX {
        let span = reader.span_of(&table.key.child(name));
        let message = format!("`{name}` is {percent} and at most {RESERVE_PERCENT_MAX}");
        reader.wrong_value(table, name, span, message);
    }
    Some(percent)
}

/// Reads the groups of mailboxes that move together; their names stand between commas.
fn read_together(reader: &mut Reader, table: &Table<'_>) -> Vec<Vec<MailboxName>> {
    let mut groups = Vec::new();
    for (text, span) in reader.texts(table, "keep_together").unwrap_or_default() {
        let names: Result<Vec<_>, _> =
            text.split(',').map(|name| MailboxName::new(name.trim())).collect();
        match names {
            Ok(names) => groups.push(names),
            Err(error) => reader.wrong_value(table, "keep_together", span, error),
        }
    }
    groups
}

/// Reads `[[gate]]`.
pub(super) fn read_gates(reader: &mut Reader, root: &Table<'_>) -> Option<Vec<GateRule>> {
    let tables = reader.tables(root, "gate", &schema::GATE);
    let mut rules = Vec::new();
    for table in &tables {
        let step = reader.required::<String>(table, "step");
        let owners = reader.list::<String>(table, "owner").unwrap_or_default();
        let until = reader.optional::<Moment>(table, "until");
        rules.push(step.map(|step| GateRule { step, owners, until_us: until.map(Moment::us) }));
    }
    rules.into_iter().collect()
}

/// Reads `[facts]`.
pub(super) fn read_facts(reader: &mut Reader, root: &Table<'_>) -> Facts {
    let Some(table) = reader.table(root, "facts", &schema::FACTS) else { return Facts::default() };
    let mut facts = Facts::new();
    for key in schema::FACTS.keys {
        let Some(spec) = spec_of(key.name) else { continue };
        let fact = match spec.kind {
            FactKind::Flag => reader.flag(&table, spec.key).map(Fact::Flag),
            FactKind::Number => reader.number(&table, spec.key).map(Fact::Number),
            FactKind::Text => {
                reader.text(&table, spec.key).map(|(text, _)| Fact::Text(text.into()))
            }
            FactKind::List => reader.list::<String>(&table, spec.key).map(Fact::List),
        };
        if let Some(fact) = fact {
            facts.insert(spec.key.to_owned(), fact);
        }
    }
    facts
}

/// Reads which replica of a public folder fills from which: `EX2 from EX1`.
pub(super) fn read_fillings(
    reader: &mut Reader,
    table: &Table<'_>,
) -> Vec<(ServerName, ServerName)> {
    let mut fillings = Vec::new();
    for (text, span) in reader.texts(table, "filled_from").unwrap_or_default() {
        let pair = text.split_once(" from ").and_then(|(to, from)| {
            Some((ServerName::new(to.trim()).ok()?, ServerName::new(from.trim()).ok()?))
        });
        match pair {
            Some(pair) => fillings.push(pair),
            None => {
                let message = format!("\"{text}\" does not say which replica fills from which");
                reader.wrong_value(table, "filled_from", span, message);
            }
        }
    }
    fillings
}
