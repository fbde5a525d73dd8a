//! Records.
use std::fmt;
use serde::{Deserialize, Serialize};
/// What a record holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RecordKind {
    /// First record of a volume: what the volume belongs to.
    Volume,
    /// A mailbox's outline, or a part of it.
    Outline,
    /// Contents.
    Data,
    /// A piece of a named stream.
    Stream,
    /// Where the volume's records are.
    Index,
    /// Last record of a volume: where the index is.
    Trailer,
    /// Log records. Reserved.
    Log,
    /// Reed–Solomon parity. Reserved.
    Parity,
    /// A kind of a later version.
    Unknown(u8),
}
impl fmt::Display for RecordKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { write!(f, "{self:?}") }
}
