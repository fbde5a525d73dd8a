//! Addresses and unstructured texts as RFC 5322 writes them.

use super::item::Address;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Bytes of text in an encoded word: as many as fit into its 75 characters (RFC 2047, 2).
const WORD_BYTES: usize = 45;

/// The domain under which an address of a directory stands: never one of the Internet (RFC 2606).
const NO_DOMAIN: &str = "x500.invalid";

impl Address {
    /// Whether there is anything of it.
    pub(super) fn is_empty(&self) -> bool {
        self.name.is_empty() && self.address.is_empty()
    }

    /// The address as in a header. One of a directory is a quoted local part, so that it is kept.
    pub(super) fn to_header(&self) -> String {
        let address = one_line(&self.address);
        let plain = address.contains('@') && address.bytes().all(is_address_byte);
        let address = match () {
            () if plain => address,
            () if address.is_empty() => format!("unknown@{NO_DOMAIN}"),
            () => format!("{}@{NO_DOMAIN}", quoted(&to_ascii(&address))),
        };
        let name = one_line(&self.name);
        match name.as_str() {
            "" => address,
            name if name == self.address => address,
            name if name.is_ascii() => format!("{} <{address}>", quoted(name)),
            name => format!("{} <{address}>", encoded_words(name)),
        }
    }
}

fn is_address_byte(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'<' | b'>' | b',' | b';' | b'"' | b'(' | b')')
}

fn to_ascii(text: &str) -> String {
    text.chars().map(|one| if one.is_ascii() { one } else { '?' }).collect()
}

/// A quoted string (RFC 5322, 3.2.4).
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        if matches!(character, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(character);
    }
    quoted + "\""
}

/// A text for a header that has no structure.
pub(super) fn unstructured(text: &str) -> String {
    let text = one_line(text);
    let plain = text.is_ascii() && text.len() <= 900 && !text.contains("=?");
    if plain { text } else { encoded_words(&text) }
}

/// A text without line ends and other control characters, which would begin another header.
pub(super) fn one_line(text: &str) -> String {
    let clean = text.chars().map(|one| if one.is_control() { ' ' } else { one });
    clean.collect::<String>().trim().to_owned()
}

/// A text as encoded words (RFC 2047), one a line.
fn encoded_words(text: &str) -> String {
    let mut words = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.char_indices().map(|(at, one)| at + one.len_utf8());
        let end = end.take_while(|end| *end <= WORD_BYTES).last().unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        words.push(format!("=?utf-8?B?{}?=", STANDARD.encode(word)));
        rest = after;
    }
    words.join("\r\n ")
}
