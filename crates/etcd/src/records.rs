//! Answers of the gateway: 64-bit numbers are texts, bytes are base64, zeros are left out.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

/// One key as etcd has it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Record {
    #[serde(deserialize_with = "bytes")]
    pub(crate) key: Vec<u8>,
    #[serde(deserialize_with = "bytes")]
    pub(crate) value: Vec<u8>,
    /// How often it was written since it was made.
    #[serde(deserialize_with = "number")]
    pub(crate) version: u64,
    /// The revision of the whole store at which it was written last.
    #[serde(deserialize_with = "number")]
    pub(crate) mod_revision: u64,
}

/// The answer to a range.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Range {
    pub(crate) kvs: Vec<Record>,
}

/// One answer within a transaction.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Response {
    pub(crate) response_range: Option<Range>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Header {
    #[serde(deserialize_with = "number")]
    pub(crate) revision: u64,
}

/// The answer to a transaction.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Txn {
    pub(crate) header: Header,
    /// Whether all comparisons held.
    pub(crate) succeeded: bool,
    pub(crate) responses: Vec<Response>,
}

impl Txn {
    /// The records of the ranges in it, one after the other.
    pub(crate) fn records(self) -> impl Iterator<Item = Record> {
        self.responses.into_iter().filter_map(|one| one.response_range).flat_map(|one| one.kvs)
    }

    /// The first record.
    pub(crate) fn first(self) -> Option<Record> {
        self.records().next()
    }
}

/// What the gateway says when it does not do what was asked.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Refusal {
    pub(crate) error: String,
    pub(crate) message: String,
    pub(crate) code: u64,
}

fn bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(deserializer)?;
    STANDARD.decode(text).map_err(serde::de::Error::custom)
}

fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(serde::de::Error::custom)
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    STANDARD.encode(bytes)
}

/// A request for one key.
pub(crate) fn get(key: &str) -> Value {
    json!({ "request_range": { "key": encode(key) } })
}

/// A request for one key if it was written at `revision` or later.
pub(crate) fn get_since(key: &str, revision: u64) -> Value {
    json!({ "request_range": { "key": encode(key), "min_mod_revision": revision.to_string() } })
}

/// A request for all keys that begin with a prefix.
pub(crate) fn get_all(prefix: &str) -> Value {
    let end = super::keys::end_of(prefix);
    json!({ "request_range": { "key": encode(prefix), "range_end": encode(end) } })
}

/// Writes a key.
pub(crate) fn put(key: &str, value: &[u8]) -> Value {
    json!({ "request_put": { "key": encode(key), "value": encode(value) } })
}

/// Deletes a key.
pub(crate) fn delete(key: &str) -> Value {
    json!({ "request_delete_range": { "key": encode(key) } })
}

/// Deletes the keys from `key` up to `end`, which stays.
pub(crate) fn delete_up_to(key: &str, end: &[u8]) -> Value {
    json!({ "request_delete_range": { "key": encode(key), "range_end": encode(end) } })
}

/// Holds if the key was written `version` times.
pub(crate) fn version_is(key: &str, version: u64) -> Value {
    let version = version.to_string();
    json!({ "key": encode(key), "target": "VERSION", "result": "EQUAL", "version": version })
}

/// Holds if the key was written last at `revision`; 0 is a key that is not there.
pub(crate) fn unchanged_since(key: &str, revision: u64) -> Value {
    let revision = revision.to_string();
    json!({ "key": encode(key), "target": "MOD", "result": "EQUAL", "mod_revision": revision })
}

/// A watch of all keys that begin with one of the prefixes' own ranges.
pub(crate) fn watch(prefix: &str) -> Value {
    let end = super::keys::end_of(prefix);
    json!({ "create_request": { "key": encode(prefix), "range_end": encode(end) } })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_gateway_leaves_out_is_zero() {
        let text = r#"{"header":{"revision":"7"},"responses":[{"response_range":{"kvs":
            [{"key":"YQ==","mod_revision":"6","version":"2"}]}},{"response_range":{}}]}"#;
        let txn: Txn = serde_json::from_str(text).unwrap();
        assert!(!txn.succeeded);
        assert_eq!(txn.header.revision, 7);
        let record = txn.first().unwrap();
        assert_eq!((record.key.as_slice(), record.value.len()), (&b"a"[..], 0));
        assert_eq!((record.version, record.mod_revision), (2, 6));
    }
}
