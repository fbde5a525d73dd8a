//! Encryption: records are sealed with a key that an age envelope holds for its recipients.

use std::io::{Read as _, Write as _};
use std::sync::Arc;

use chacha20poly1305::aead::{AeadInPlace as _, KeyInit as _};
use chacha20poly1305::{ChaCha20Poly1305, Key, Nonce, Tag};

use crate::error::ArchiveError;
use crate::ids::hex;

/// Bytes that sealing adds to a payload.
pub(crate) const SEAL_SIZE: usize = 16;
/// No envelope is larger.
const ENVELOPE_SIZE_MAX: u64 = 1 << 20;

/// For whom a backup or a log is encrypted. Whoever writes needs no private key, and cannot read
/// what was written before.
#[derive(Clone, PartialEq, Eq)]
pub struct Encryption {
    recipients: Vec<String>,
    secret: [u8; 32],
}

impl std::fmt::Debug for Encryption {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Encryption").field("recipients", &self.recipients).finish_non_exhaustive()
    }
}

impl Encryption {
    /// Encrypts for age recipients (`age1…`), any one of whom can read; `secret` is random.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::BadKey`] if there is none or one is no recipient.
    pub fn new(recipients: Vec<String>, secret: [u8; 32]) -> Result<Encryption, ArchiveError> {
        if recipients.is_empty() {
            return Err(bad_key("no recipient was given"));
        }
        let encryption = Encryption { recipients, secret };
        encryption.parse()?;
        Ok(encryption)
    }

    fn parse(&self) -> Result<Vec<age::x25519::Recipient>, ArchiveError> {
        let parse = |text: &String| {
            text.parse().map_err(|error| bad_key(&format!("{text} is no age recipient: {error}")))
        };
        self.recipients.iter().map(parse).collect()
    }

    /// The secret for the recipients, as hexadecimal digits.
    pub(crate) fn envelope(&self) -> Result<String, ArchiveError> {
        self.wrap(&self.secret)
    }

    /// A file of the age format with these bytes for the recipients, as hexadecimal digits.
    pub(crate) fn wrap(&self, bytes: &[u8]) -> Result<String, ArchiveError> {
        let recipients = self.parse()?;
        let each = recipients.iter().map(|one| one as &dyn age::Recipient);
        let encryptor = age::Encryptor::with_recipients(each)
            .map_err(|error| bad_key(&format!("the recipients do not go together: {error}")))?;
        let mut envelope = Vec::new();
        let write = || {
            let mut writer = encryptor.wrap_output(&mut envelope)?;
            writer.write_all(bytes)?;
            writer.finish().map(|_| ())
        };
        write().map_err(|error: std::io::Error| bad_key(&format!("no envelope: {error}")))?;
        Ok(hex(&envelope))
    }

    /// The key for the records of what `id` names and has this envelope.
    pub(crate) fn key(&self, envelope: &str, id: [u8; 8]) -> RecordKey {
        RecordKey::of(&self.secret, envelope, id)
    }
}

fn bad_key(what: &str) -> ArchiveError {
    ArchiveError::BadKey { what: what.to_owned() }
}

/// Private age keys that open envelopes.
#[derive(Clone, Default)]
pub struct Identities(Vec<Arc<age::x25519::Identity>>);

impl std::fmt::Debug for Identities {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} identities", self.0.len())
    }
}

impl Identities {
    /// Reads an identity file of age: a key (`AGE-SECRET-KEY-1…`) a line, comments after `#`.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::BadKey`] if a line is neither, or there is no key.
    pub fn parse(text: &str) -> Result<Identities, ArchiveError> {
        let lines = text.lines().map(str::trim);
        let keys = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
        let parse = |line: &str| {
            let parsed = line.parse::<age::x25519::Identity>();
            parsed.map(Arc::new).map_err(|error| bad_key(&format!("a line is no age key: {error}")))
        };
        let keys: Vec<_> = keys.map(parse).collect::<Result<_, _>>()?;
        if keys.is_empty() {
            Err(bad_key("the file holds no age key"))
        } else {
            Ok(Identities(keys))
        }
    }

    /// The key for the records of what `id` names, if one of these opens the envelope.
    pub(crate) fn open(&self, envelope: &str, id: [u8; 8]) -> Option<Arc<RecordKey>> {
        let secret: [u8; 32] = self.unwrap(envelope, ENVELOPE_SIZE_MAX)?.try_into().ok()?;
        Some(Arc::new(RecordKey::of(&secret, envelope, id)))
    }

    /// What [`Encryption::wrap`] made, at most so many bytes of it, if one of these opens it.
    pub(crate) fn unwrap(&self, wrapped: &str, bytes_max: u64) -> Option<Vec<u8>> {
        let file = unhex(wrapped)?;
        let each = self.0.iter().map(|one| &**one as &dyn age::Identity);
        let opened = age::Decryptor::new(file.as_slice()).ok()?.decrypt(each).ok()?;
        let mut bytes = Vec::new();
        opened.take(bytes_max).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| match pair {
            [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
            _ => None,
        })
        .collect()
}

/// Seals and opens the records of one backup or log segment: ChaCha20-Poly1305 (RFC 8439).
pub(crate) struct RecordKey(ChaCha20Poly1305);

impl std::fmt::Debug for RecordKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RecordKey")
    }
}

impl RecordKey {
    /// No two backups have the same key, whatever the secret: no two envelopes are the same. No two
    /// records of one have the same nonce.
    fn of(secret: &[u8; 32], envelope: &str, id: [u8; 8]) -> RecordKey {
        let mut material = secret.to_vec();
        material.extend_from_slice(&id);
        material.extend_from_slice(blake3::hash(envelope.as_bytes()).as_bytes());
        let key = blake3::derive_key("rehome archive 2026 record key", &material);
        RecordKey(ChaCha20Poly1305::new(Key::from_slice(&key)))
    }

    fn nonce(volume: u16, sequence: u32) -> [u8; 12] {
        let mut nonce = [0; 12];
        nonce[..4].copy_from_slice(&sequence.to_le_bytes());
        nonce[4..6].copy_from_slice(&volume.to_le_bytes());
        nonce
    }

    /// Seals a payload where it is and gives what belongs behind it; `head` is bound to it. `None`
    /// if it is larger than the cipher takes.
    pub(crate) fn seal(
        &self,
        (volume, sequence): (u16, u32),
        head: &[u8],
        payload: &mut [u8],
    ) -> Option<[u8; SEAL_SIZE]> {
        let nonce = RecordKey::nonce(volume, sequence);
        let tag = self.0.encrypt_in_place_detached(Nonce::from_slice(&nonce), head, payload);
        tag.ok().map(Into::into)
    }

    /// Opens what [`RecordKey::seal`] made, with what belongs behind it; `None` if the key or a
    /// byte is another one.
    pub(crate) fn open(
        &self,
        (volume, sequence): (u16, u32),
        head: &[u8],
        sealed: &[u8],
    ) -> Option<Vec<u8>> {
        let nonce = RecordKey::nonce(volume, sequence);
        let (payload, tag) = sealed.split_at(sealed.len().checked_sub(SEAL_SIZE)?);
        let mut payload = payload.to_vec();
        let (nonce, tag) = (Nonce::from_slice(&nonce), Tag::from_slice(tag));
        self.0.decrypt_in_place_detached(nonce, head, &mut payload, tag).ok()?;
        Some(payload)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use age::secrecy::ExposeSecret as _;

    fn pair() -> (String, Identities) {
        let identity = age::x25519::Identity::generate();
        let text = format!("# a key\n{}\n", identity.to_string().expose_secret());
        (identity.to_public().to_string(), Identities::parse(&text).unwrap())
    }

    #[test]
    fn each_recipient_opens_what_was_sealed_and_nobody_else_does() {
        let (one, one_key) = pair();
        let (two, two_key) = pair();
        let (_, other_key) = pair();
        let encryption = Encryption::new(vec![one, two], [5; 32]).unwrap();
        let envelope = encryption.envelope().unwrap();
        let place = (3, 9);
        let mut sealed = b"mail".to_vec();
        let tag = encryption.key(&envelope, [1; 8]).seal(place, b"head", &mut sealed).unwrap();
        sealed.extend_from_slice(&tag);
        assert_eq!(sealed.len(), 4 + SEAL_SIZE);
        for key in [one_key, two_key] {
            let key = key.open(&envelope, [1; 8]).unwrap();
            assert_eq!(key.open(place, b"head", &sealed).unwrap(), b"mail");
            assert_eq!(key.open((3, 8), b"head", &sealed), None);
            assert_eq!(key.open(place, b"heap", &sealed), None);
            assert_eq!(key.open(place, b"head", &sealed[1..]), None);
        }
        assert!(other_key.open(&envelope, [1; 8]).is_none());
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for recipients in [vec![], vec!["age1nonsense".to_owned()]] {
            Encryption::new(recipients, [0; 32]).unwrap_err();
        }
        for text in ["", "# nothing\n", "AGE-SECRET-KEY-1NONSENSE\n"] {
            Identities::parse(text).unwrap_err();
        }
    }
}
