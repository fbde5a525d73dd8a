//! Where each key stands in the file.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use crate::diagnostic::{Place, Source};

/// Names a key of `site.toml`: `cluster.service_account`, `server[0].version`.
///
/// Array tables are counted from 0 in the order of the file. `""` is the file as a whole.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(String);

impl Key {
    /// Names a key by its path.
    #[must_use]
    pub fn new(path: impl Into<String>) -> Self {
        Self(path.into())
    }

    /// `server[index].name`.
    #[must_use]
    pub fn server(index: usize, name: &str) -> Self {
        Self(format!("server[{index}].{name}"))
    }

    /// `mailbox[index].name`.
    #[must_use]
    pub fn mailbox(index: usize, name: &str) -> Self {
        Self(format!("mailbox[{index}].{name}"))
    }

    /// `public_folder[index].name`.
    #[must_use]
    pub fn public_folder(index: usize, name: &str) -> Self {
        Self(format!("public_folder[{index}].{name}"))
    }

    /// `cluster.name`.
    #[must_use]
    pub fn cluster(name: &str) -> Self {
        Self(format!("cluster.{name}"))
    }

    /// `cluster.group.name`.
    #[must_use]
    pub fn group(name: &str) -> Self {
        Self(format!("cluster.group.{name}"))
    }

    /// The path.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The table that holds the key; `None` above the file as a whole.
    fn parent(&self) -> Option<Self> {
        if self.0.is_empty() {
            return None;
        }
        let end = self.0.rfind(['.', '[']).unwrap_or(0);
        Some(Self(self.0[..end].to_owned()))
    }

    /// A key in the table that this key names.
    pub(super) fn child(&self, name: &str) -> Self {
        if self.0.is_empty() { Self(name.to_owned()) } else { Self(format!("{}.{name}", self.0)) }
    }

    /// An element of the array that this key names.
    pub(super) fn element(&self, index: usize) -> Self {
        Self(format!("{}[{index}]", self.0))
    }
}

impl From<&str> for Key {
    fn from(path: &str) -> Self {
        Self::new(path)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(&self.0)
    }
}

/// All places of a file. Two sites that say the same are equal wherever they say it.
#[derive(Debug, Clone, Default)]
pub(super) struct Places(Arc<Marked>);

/// A file and the byte range of each key's value.
#[derive(Debug, Default)]
struct Marked {
    source: Source,
    spans: BTreeMap<Key, Range<usize>>,
}

impl PartialEq for Places {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Places {}

impl Places {
    /// Keeps a file with its marks.
    pub(super) fn new(source: Source, spans: BTreeMap<Key, Range<usize>>) -> Self {
        Self(Arc::new(Marked { source, spans }))
    }

    /// The place of the key or of the innermost table that holds it.
    pub(super) fn find(&self, key: &Key) -> Place {
        let mut key = Some(key.clone());
        while let Some(at) = key {
            if let Some(span) = self.0.spans.get(&at) {
                return self.0.source.place(span.clone());
            }
            key = at.parent();
        }
        Place::of_file(self.0.source.file())
    }
}
