//! The name of a content.

use std::fmt;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Name of a message's content: BLAKE3 of the raw message.
///
/// Text and JSON carry it as 64 hexadecimal digits, binary formats as a string of 32 bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentId(pub [u8; 32]);

impl ContentId {
    /// The name of `body`.
    #[must_use]
    pub fn of(body: &[u8]) -> ContentId {
        ContentId(*blake3::hash(body).as_bytes())
    }

    /// The first 16 bytes, by which the catalog finds a content.
    pub(crate) fn short(&self) -> [u8; 16] {
        let mut short = [0; 16];
        short.copy_from_slice(&self.0[..16]);
        short
    }

    fn from_hex(text: &str) -> Option<ContentId> {
        let hash = blake3::Hash::from_hex(text).ok()?;
        Some(ContentId(*hash.as_bytes()))
    }
}

impl fmt::Display for ContentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ContentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContentId({self})")
    }
}

impl Serialize for ContentId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            serializer.serialize_bytes(&self.0)
        }
    }
}

impl<'de> Deserialize<'de> for ContentId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ContentId, D::Error> {
        if deserializer.is_human_readable() {
            deserializer.deserialize_str(ContentVisitor)
        } else {
            deserializer.deserialize_bytes(ContentVisitor)
        }
    }
}

struct ContentVisitor;

impl Visitor<'_> for ContentVisitor {
    type Value = ContentId;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a content's name: 64 hexadecimal digits or 32 bytes")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<ContentId, E> {
        ContentId::from_hex(text)
            .ok_or_else(|| E::invalid_value(serde::de::Unexpected::Str(text), &self))
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<ContentId, E> {
        let name = bytes.try_into().map_err(|_| E::invalid_length(bytes.len(), &self))?;
        Ok(ContentId(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_comes_back_from_text_and_from_bytes() {
        let id = ContentId::of(b"a message");
        let json = serde_json::to_string(&id).unwrap();
        assert_eq!(json.len(), 66);
        assert_eq!(serde_json::from_str::<ContentId>(&json).unwrap(), id);
        let bytes = postcard::to_stdvec(&id).unwrap();
        assert_eq!(bytes.len(), 33);
        assert_eq!(postcard::from_bytes::<ContentId>(&bytes).unwrap(), id);
        assert!(serde_json::from_str::<ContentId>("\"00\"").is_err());
    }
}
