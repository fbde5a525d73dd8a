//! What has changed from one export of a directory to the next.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Export, Row, Value};

/// How the rows of two exports differ. Each row of the later one is added, changed or the same.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ExportDifferences {
    /// Entries of the earlier export.
    pub before: usize,
    /// Entries of the later one.
    pub now: usize,
    /// Entries that are in both and equal.
    pub same: usize,
    /// Names that only the later one has.
    pub added: Vec<String>,
    /// Names that only the earlier one has.
    pub removed: Vec<String>,
    /// Entries that are in both and differ.
    pub changed: Vec<ChangedRow>,
}

/// An entry that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChangedRow {
    /// Its name.
    pub name: String,
    /// The attributes whose values differ.
    pub attributes: Vec<String>,
}

/// Names in their order, with how the export writes each and what it says of it.
type Entries<'e> = BTreeMap<String, (&'e str, BTreeMap<String, Vec<&'e Value>>)>;

/// Compares two exports, whatever the order of their rows and values. Rows of one name count as one
/// entry; names and attributes are compared without regard to case.
#[must_use]
pub fn compare_exports(before: &Export, now: &Export) -> ExportDifferences {
    let (before, now) = (entries(before), entries(now));
    let mut found =
        ExportDifferences { before: before.len(), now: now.len(), ..Default::default() };
    for (key, (name, _)) in &before {
        if !now.contains_key(key) {
            found.removed.push((*name).to_owned());
        }
    }
    for (key, (name, values)) in now {
        let Some((_, earlier)) = before.get(&key) else {
            found.added.push(name.to_owned());
            continue;
        };
        let attributes = differing(earlier, &values);
        if attributes.is_empty() {
            found.same += 1;
        } else {
            found.changed.push(ChangedRow { name: name.to_owned(), attributes });
        }
    }
    found
}

fn entries(export: &Export) -> Entries<'_> {
    let mut entries = Entries::new();
    for row in &export.rows {
        let key = row.name.to_lowercase();
        let (_, values) = entries.entry(key).or_insert((&row.name, BTreeMap::new()));
        add(row, values);
    }
    for (_, values) in entries.values_mut() {
        values.values_mut().for_each(|list| list.sort_by_key(|value| format!("{value:?}")));
    }
    entries
}

fn add<'e>(row: &'e Row, values: &mut BTreeMap<String, Vec<&'e Value>>) {
    for (attribute, value) in &row.values {
        values.entry(attribute.to_lowercase()).or_default().push(value);
    }
}

/// The attributes whose values differ.
fn differing(
    one: &BTreeMap<String, Vec<&Value>>,
    other: &BTreeMap<String, Vec<&Value>>,
) -> Vec<String> {
    let mut names: Vec<&String> = one.keys().chain(other.keys()).collect();
    names.sort();
    names.dedup();
    names.into_iter().filter(|name| one.get(*name) != other.get(*name)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::read_ldif;

    /// How many are the same, which were added and removed, and which changed in what.
    type Expected<'e> = (usize, &'e [&'e str], &'e [&'e str], &'e [(&'e str, &'e str)]);

    #[track_caller]
    fn check(before: &str, now: &str, expected: Expected<'_>) {
        let found = compare_exports(&read_ldif(before.as_bytes()), &read_ldif(now.as_bytes()));
        assert_eq!(found.same, expected.0, "{found:?}");
        assert_eq!(
            (&found.added[..], &found.removed[..]),
            (&owned(expected.1)[..], &owned(expected.2)[..])
        );
        let changed: Vec<(&str, String)> =
            found.changed.iter().map(|row| (row.name.as_str(), row.attributes.join(" "))).collect();
        let wanted: Vec<(&str, String)> =
            expected.3.iter().map(|(name, list)| (*name, (*list).to_owned())).collect();
        assert_eq!(changed, wanted);
        assert_eq!(found.now, found.same + found.added.len() + found.changed.len());
    }

    fn owned(names: &[&str]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn each_entry_is_the_same_added_removed_or_changed() {
        let one = "dn: cn=a\nmail: a@x\nmail: b@x\n\ndn: cn=b\nsn: B\n";
        check(one, one, (2, &[], &[], &[]));
        check(one, "dn: CN=B\nSN: B\n\ndn: cn=a\nmail: b@x\nmail: a@x\n", (2, &[], &[], &[]));
        let later = "dn: cn=a\nmail: a@x\nuid: 1\n\ndn: cn=c\nsn: B\n";
        check(one, later, (0, &["cn=c"], &["cn=b"], &[("cn=a", "mail uid")]));
        check("", one, (0, &["cn=a", "cn=b"], &[], &[]));
        check(one, "", (0, &[], &["cn=a", "cn=b"], &[]));
    }
}
