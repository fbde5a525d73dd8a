//! Modified UTF-7, the form in which folder names are written in IMAP and on disk (RFC 3501 5.1.3).

use base64::Engine as _;
use base64::alphabet::IMAP_MUTF7;
use base64::engine::general_purpose::{GeneralPurpose, NO_PAD};

const ENGINE: GeneralPurpose = GeneralPurpose::new(&IMAP_MUTF7, NO_PAD);

/// Writes `name` in modified UTF-7, with `shift` naming further characters to be encoded.
///
/// Printable ASCII stands for itself unless `shift` says otherwise, `&` becomes `&-`, and every
/// run of other characters becomes `&`, its UTF-16 in modified base64, `-`.
pub(crate) fn encode(name: &str, shift: impl Fn(char) -> bool) -> String {
    let mut text = String::with_capacity(name.len());
    let mut run: Vec<u8> = Vec::new();
    for character in name.chars() {
        let direct = matches!(character, ' '..='~') && !shift(character);
        if !direct {
            let mut units = [0u16; 2];
            for unit in character.encode_utf16(&mut units) {
                run.extend_from_slice(&unit.to_be_bytes());
            }
            continue;
        }
        flush(&mut run, &mut text);
        text.push(character);
        if character == '&' {
            text.push('-');
        }
    }
    flush(&mut run, &mut text);
    text
}

/// Ends a run of shifted characters.
fn flush(run: &mut Vec<u8>, text: &mut String) {
    if !run.is_empty() {
        text.push('&');
        ENGINE.encode_string(&run, text);
        text.push('-');
        run.clear();
    }
}

/// Reads modified UTF-7; `None` if `text` is not that.
///
/// More is accepted than [`encode`] writes (printable characters inside a shifted run): whoever
/// needs the name to come back exactly encodes it again and compares.
pub(crate) fn decode(text: &str) -> Option<String> {
    let mut name = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        let (direct, shifted) = rest.split_at(at);
        push_direct(direct, &mut name)?;
        let (run, after) = shifted[1..].split_once('-')?;
        if run.is_empty() {
            name.push('&');
        } else {
            name.push_str(&decode_run(run)?);
        }
        rest = after;
    }
    push_direct(rest, &mut name)?;
    Some(name)
}

/// Copies characters that stand for themselves; `None` if one of them may not.
fn push_direct(direct: &str, name: &mut String) -> Option<()> {
    let printable = direct.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    printable.then(|| name.push_str(direct))
}

/// Reads what stands between `&` and `-`.
fn decode_run(run: &str) -> Option<String> {
    let bytes = ENGINE.decode(run).ok()?;
    let units = bytes.chunks_exact(2);
    if !units.remainder().is_empty() {
        return None;
    }
    let units: Vec<u16> = units.map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
    String::from_utf16(&units).ok()
}

#[cfg(test)]
mod tests {
    use super::{decode, encode};

    #[track_caller]
    fn check(name: &str, text: &str) {
        assert_eq!(encode(name, |_| false), text);
        assert_eq!(decode(text).as_deref(), Some(name));
    }

    #[test]
    fn known_names_are_written_and_read() {
        check("", "");
        check("Sent", "Sent");
        check("A & B", "A &- B");
        check("Entwürfe", "Entw&APw-rfe");
        check("受信箱", "&U9dP4Xux-");
        check("~peter/mail/台北/日本語", "~peter/mail/&U,BTFw-/&ZeVnLIqe-");
        check("Do zrobienia ąę", "Do zrobienia &AQUBGQ-");
        check("mail \u{1f4e7}!", "mail &2D3c5w-!");
        check("tab\there", "tab&AAk-here");
    }

    #[test]
    fn every_character_comes_back() {
        for code in (0..=0x10_ffff).step_by(7) {
            let Some(character) = char::from_u32(code) else { continue };
            let name = format!("x{character}&{character}{character}y");
            assert_eq!(decode(&encode(&name, |_| false)), Some(name));
        }
    }

    #[test]
    fn further_characters_are_shifted_on_request() {
        let text = encode("v1.2 ä.ö", |character| character == '.');
        assert_eq!(text, "v1&AC4-2 &AOQALgD2-");
        assert_eq!(decode(&text).as_deref(), Some("v1.2 ä.ö"));
    }

    #[test]
    fn what_is_not_modified_utf7_is_refused() {
        for text in ["&", "a&b", "&U9-", "&U9dP4Q", "&!!!!-", "ä", "a\tb", "&2D0-", "&U9dP4R-"] {
            assert_eq!(decode(text), None, "{text}");
        }
    }
}
