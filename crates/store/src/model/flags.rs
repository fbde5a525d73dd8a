//! System flags of a message, and changes of flags.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A set of system flags.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Flags(u16);

/// Every flag with its name.
const NAMES: [(Flags, &str); 7] = [
    (Flags::SEEN, "seen"),
    (Flags::ANSWERED, "answered"),
    (Flags::FLAGGED, "flagged"),
    (Flags::DELETED, "deleted"),
    (Flags::DRAFT, "draft"),
    (Flags::FORWARDED, "forwarded"),
    (Flags::RECENT, "recent"),
];

impl Flags {
    /// No flag.
    pub const NONE: Flags = Flags(0);
    /// Has been read.
    pub const SEEN: Flags = Flags(1);
    /// Has been replied to.
    pub const ANSWERED: Flags = Flags(1 << 1);
    /// Marked by its reader.
    pub const FLAGGED: Flags = Flags(1 << 2);
    /// To be expunged.
    pub const DELETED: Flags = Flags(1 << 3);
    /// Not sent yet.
    pub const DRAFT: Flags = Flags(1 << 4);
    /// Has been passed on.
    pub const FORWARDED: Flags = Flags(1 << 5);
    /// Not shown to any client yet; a Maildir keeps it in `new`.
    pub const RECENT: Flags = Flags(1 << 6);

    /// The set stored as `bits`; bits without a meaning are kept.
    #[must_use]
    pub const fn from_bits(bits: u16) -> Flags {
        Flags(bits)
    }

    /// The set as stored.
    #[must_use]
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// Whether every flag of `other` is in the set.
    #[must_use]
    pub const fn contains(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether the set has no flag.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Adds the flags of `other`.
    pub fn insert(&mut self, other: Flags) {
        self.0 |= other.0;
    }

    /// Takes the flags of `other` away.
    pub fn remove(&mut self, other: Flags) {
        self.0 &= !other.0;
    }

    /// Both sets together.
    #[must_use]
    pub const fn union(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }
}

impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut set = f.debug_set();
        for (flag, name) in NAMES {
            if self.contains(flag) {
                set.entry(&format_args!("{name}"));
            }
        }
        set.finish()
    }
}

/// What to change about a message's flags; taking away goes before adding.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlagChange {
    /// Flags it gets.
    pub add: Flags,
    /// Flags it loses.
    pub remove: Flags,
    /// Keywords it gets.
    pub add_keywords: Vec<String>,
    /// Keywords it loses.
    pub remove_keywords: Vec<String>,
}

impl FlagChange {
    /// Applies the change; `keywords` stays sorted and each once.
    pub(crate) fn apply(&self, flags: &mut Flags, keywords: &mut Vec<String>) {
        flags.remove(self.remove);
        flags.insert(self.add);
        keywords.retain(|keyword| !self.remove_keywords.contains(keyword));
        keywords.extend(self.add_keywords.iter().cloned());
        keywords.sort_unstable();
        keywords.dedup();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(change: &FlagChange, before: (Flags, &[&str]), after: (Flags, &[&str])) {
        let mut flags = before.0;
        let mut keywords: Vec<String> = before.1.iter().map(ToString::to_string).collect();
        change.apply(&mut flags, &mut keywords);
        assert_eq!(flags, after.0);
        assert_eq!(keywords, after.1);
    }

    #[test]
    fn a_change_takes_away_before_it_adds_and_keeps_keywords_sorted() {
        let change = FlagChange {
            add: Flags::SEEN,
            remove: Flags::SEEN.union(Flags::RECENT),
            add_keywords: vec!["b".into(), "a".into()],
            remove_keywords: vec!["c".into()],
        };
        check(&change, (Flags::RECENT, &["b", "c"]), (Flags::SEEN, &["a", "b"]));
    }

    #[test]
    fn flags_print_their_names() {
        assert_eq!(format!("{:?}", Flags::SEEN.union(Flags::DRAFT)), "{seen, draft}");
    }
}
