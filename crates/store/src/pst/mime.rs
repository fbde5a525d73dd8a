//! Writes MIME parts. The same parts give the same bytes: boundaries come from a hash of them.

use super::address::{one_line, quoted};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::fmt::Write as _;

/// Characters of a line of base64 (RFC 2045, 6.8), and the bytes in it.
const LINE_BYTES: usize = 57;

/// A part of a message.
pub(super) enum Part<'a> {
    /// A text or a file.
    Leaf {
        /// The value of `Content-Type`.
        content_type: String,
        /// More header lines, each with its line end.
        header: String,
        /// What it holds.
        bytes: &'a [u8],
    },
    /// A message, which is never encoded (RFC 2046, 5.2.1).
    Message {
        /// More header lines, each with its line end.
        header: String,
        /// The message.
        bytes: Vec<u8>,
    },
    /// Several parts.
    Several {
        /// `mixed`, `alternative`.
        subtype: &'static str,
        /// The parts.
        parts: Vec<Part<'a>>,
    },
}

impl Part<'_> {
    /// Writes the part with its header lines.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Part::Leaf { content_type, header, bytes } => {
                let plain = is_plain(bytes);
                let encoding = if plain { "7bit" } else { "base64" };
                line(out, &format!("Content-Type: {content_type}"));
                out.extend_from_slice(header.as_bytes());
                line(out, &format!("Content-Transfer-Encoding: {encoding}"));
                line(out, "");
                if plain {
                    out.extend_from_slice(bytes);
                } else {
                    write_base64(out, bytes);
                }
            }
            Part::Message { header, bytes } => {
                line(out, "Content-Type: message/rfc822");
                out.extend_from_slice(header.as_bytes());
                line(out, "Content-Transfer-Encoding: 8bit");
                line(out, "");
                out.extend_from_slice(bytes);
            }
            Part::Several { subtype, parts } => {
                let mut hasher = blake3::Hasher::new();
                self.hash(&mut hasher);
                let boundary = format!("=_{}", &hasher.finalize().to_hex()[..32]);
                line(out, &format!("Content-Type: multipart/{subtype};"));
                line(out, &format!(" boundary=\"{boundary}\""));
                line(out, "");
                for part in parts {
                    line(out, &format!("\r\n--{boundary}"));
                    part.write(out);
                }
                line(out, &format!("\r\n--{boundary}--"));
            }
        }
    }

    fn hash(&self, hasher: &mut blake3::Hasher) {
        let mut add = |kind: &str, header: &str, bytes: &[u8]| {
            for field in [kind.as_bytes(), header.as_bytes(), bytes] {
                hasher.update(&(field.len() as u64).to_le_bytes());
                hasher.update(field);
            }
        };
        match self {
            Part::Leaf { content_type, header, bytes } => add(content_type, header, bytes),
            Part::Message { header, bytes } => add("message/rfc822", header, bytes),
            Part::Several { subtype, parts } => {
                add(subtype, "", &(parts.len() as u64).to_le_bytes());
                parts.iter().for_each(|part| part.hash(hasher));
            }
        }
    }
}

fn line(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Whether bytes can stand in a message as they are: ASCII, in lines that end in CR LF and have at
/// most 998 bytes.
fn is_plain(bytes: &[u8]) -> bool {
    bytes.split_inclusive(|byte| *byte == b'\n').all(|line| {
        let text = line.strip_suffix(b"\r\n").unwrap_or(line);
        let sign = |byte: &u8| matches!(byte, b'\t' | 0x0C | b' '..=b'~');
        text.len() <= 998 && text.iter().all(sign)
    })
}

fn write_base64(out: &mut Vec<u8>, bytes: &[u8]) {
    out.reserve(bytes.len() / LINE_BYTES * 78 + 80);
    for chunk in bytes.chunks(LINE_BYTES) {
        let mut text = [0; 76];
        let len = STANDARD.encode_slice(chunk, &mut text).expect("57 bytes are 76 characters");
        out.extend_from_slice(&text[..len]);
        out.extend_from_slice(b"\r\n");
    }
}

/// A `name` or `filename` parameter (RFC 2231 where the name is not plain).
pub(super) fn parameter(key: &str, value: &str) -> String {
    let value = one_line(value);
    if value.is_ascii() && value.len() <= 200 {
        return format!("{key}={}", quoted(&value));
    }
    let mut encoded = String::new();
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_') {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").expect("a string takes everything");
        }
    }
    format!("{key}*=utf-8''{encoded}")
}
