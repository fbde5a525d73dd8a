//! What the store makes of any bytes; for `cargo xtask fuzz` and the tests. Each target takes bytes
//! and panics if a promise is broken: nothing else panics, and what is read is written the same.

mod seeds;

pub use seeds::seeds;

use crate::dovecot::{Keywords, SubscriptionsForm, UidList};
use crate::identity::Identity;
use crate::maildir::{FileInfo, folder_name, info, os_name, stated_size};
use crate::mbox::reader::{MboxReader, covers_itself};
use crate::mbox::writer::unquote;
use crate::pst::compose;
use crate::pst::item::{Address, Attachment, Content, Field, Html, Item};
use crate::record;
use crate::settings::StoreSettings;
use crate::transfer::FrameReader;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::Cursor;

/// What a target is called, and what it does with bytes.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: [Target; 6] = [
    ("segment", segment),
    ("transfer", transfer),
    ("mbox", mbox),
    ("maildir", maildir),
    ("pst", pst),
    ("settings", settings),
];

/// Body records: as they are, and with the first one's checksum right.
fn segment(bytes: &[u8]) {
    let mut end = 0;
    for (offset, head) in record::walk(bytes).flatten() {
        assert_eq!(offset, end, "records lie one behind another");
        end = offset + head.record_bytes;
    }
    assert!(end <= bytes.len());
    let mut fixed = bytes.to_vec();
    if fixed.len() < record::RECORD_HEADER_SIZE {
        return;
    }
    fixed[..4].copy_from_slice(b"MREC");
    let stored = u32::from_le_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]) as usize;
    if let Some(checked) = fixed.get(12..record::RECORD_HEADER_SIZE.saturating_add(stored)) {
        let crc = crc32c::crc32c(checked);
        fixed[8..12].copy_from_slice(&crc.to_le_bytes());
    }
    if let Ok((head, payload)) = record::decode(&fixed)
        && let Ok(body) = record::unpack(&head, payload)
    {
        assert_eq!(head.size_bytes, body.len() as u64);
    }
}

/// A transfer stream: as it is, and cut into frames whose lengths and checksums are right.
fn transfer(bytes: &[u8]) {
    read_frames(bytes);
    let mut stream = Vec::new();
    for piece in bytes.split(|byte| *byte == 0xFF) {
        let Some((kind, payload)) = piece.split_first() else { continue };
        let len = u32::try_from(payload.len()).expect("a fuzzer's input is short").to_le_bytes();
        let crc = crc32c::crc32c_append(crc32c::crc32c(&len), &[*kind]);
        let crc = crc32c::crc32c_append(crc, payload);
        stream.extend_from_slice(&len);
        stream.extend_from_slice(&crc.to_le_bytes());
        stream.push(*kind);
        stream.extend_from_slice(payload);
    }
    read_frames(&stream);
}

fn read_frames(stream: &[u8]) {
    let mut reader = FrameReader::new(stream);
    let mut frames = 0;
    while let Ok(Some(_)) = reader.next_frame() {
        frames += 1;
        assert!(frames <= stream.len(), "each frame takes bytes");
    }
}

/// An mbox: no byte comes twice, and none is made up.
fn mbox(bytes: &[u8]) {
    let mut reader = MboxReader::new(bytes, Cursor::new(bytes), 1 << 20);
    let mut end = 0;
    while let Some(message) = reader.next().expect("memory does not fail") {
        assert!(message.offset >= end, "messages lie one behind another");
        end = message.offset + message.separator.len() as u64 + message.size_bytes;
        assert!(end <= bytes.len() as u64);
        let body = message.body.unwrap_or_default();
        assert_eq!(body.len() as u64, message.size_bytes);
        assert!(unquote(&body).len() <= body.len());
        covers_itself(&body);
    }
}

/// The names and the small files of a Maildir++.
fn maildir(bytes: &[u8]) {
    let text = os_name::bytes_to_text(bytes);
    assert_eq!(os_name::text_to_bytes(&text), bytes, "each name has one text");
    if let Ok(plain) = std::str::from_utf8(bytes) {
        let read = FileInfo::parse(OsStr::new(plain));
        let name = format!("{}{}", read.base, info(read.flags, &read.letters));
        let again = FileInfo::parse(OsStr::new(&name));
        assert_eq!((again.base, again.flags), (read.base.clone(), read.flags));
        stated_size(&read.base);
    }
    // A folder has no name twice.
    let listed: BTreeSet<&str> = text.lines().collect();
    let named = folder_name::from_disk(listed);
    let mut names: Vec<&str> = named.iter().map(|one| one.name.as_str()).collect();
    names.sort_unstable();
    assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "no two folders have one name");
    for one in &named {
        folder_name::to_disk(one.name.as_str());
    }
    if let Ok(list) = UidList::parse(bytes) {
        assert!(list.uidvalidity > 0 && list.uids.values().all(|uid| *uid < list.uidnext));
    }
    let keywords = Keywords::parse(&text);
    assert_eq!(Keywords::parse(&keywords.to_text()), keywords);
    let (form, folders) = SubscriptionsForm::parse(&text);
    SubscriptionsForm::parse(&form.to_text(&folders));
}

/// An item of an Outlook file whose every text comes from the bytes: one header, one message.
fn pst(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut pieces = text.split('\u{1F}').map(str::to_owned);
    let mut next = || pieces.next().unwrap_or_default();
    let mut address = || Address { name: next(), address: next() };
    let (from, sender, to) = (address(), address(), address());
    let item = Item {
        from,
        sender,
        recipients: vec![(Field::To, to)],
        class: next(),
        headers: next(),
        subject: next(),
        message_id: next(),
        plain: Some(next()),
        html: Some(Html { bytes: next().into_bytes(), charset: None }),
        attachments: vec![Attachment {
            name: next(),
            mime_type: next(),
            content_id: next(),
            content: Content::Bytes(next().into_bytes()),
        }],
        sent_seconds: bytes.first_chunk().map(|bytes| i64::from_le_bytes(*bytes)),
        ..Item::default()
    };
    let (message, _) = compose::message(&item);
    assert_eq!(message, compose::message(&item).0, "the same item gives the same bytes");
    let end = message.windows(4).position(|four| four == b"\r\n\r\n").expect("a header ends");
    for line in message[..end].split(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let folded = line.starts_with(b" ") || line.starts_with(b"\t");
        assert!(folded || line.contains(&b':'), "each line is a header's");
        assert!(line.iter().all(|byte| *byte == b'\t' || !byte.is_ascii_control()));
    }
}

/// The identity file and the settings of a store.
fn settings(bytes: &[u8]) {
    if let Ok(settings) = StoreSettings::from_json("settings.json", bytes) {
        let text = serde_json::to_vec(&settings).expect("settings are plain text");
        let again = StoreSettings::from_json("settings.json", &text);
        assert_eq!(again.expect("what was written is read"), settings);
    }
    if let Ok(identity) = serde_json::from_slice::<Identity>(bytes) {
        drop(identity.id());
    }
}

#[cfg(test)]
mod tests {
    use super::{TARGETS, seeds};
    use rehome_log::SplitMix64;

    #[test]
    fn no_bytes_make_a_target_panic() {
        for (name, target) in TARGETS {
            println!("target {name}, seed 12");
            let mut rng = SplitMix64::new(12);
            let mut below = |bound: usize| usize::try_from(rng.below(bound as u64)).unwrap();
            let seeds = seeds(name);
            seeds.iter().for_each(|seed| target(seed));
            for _ in 0..2000 {
                let mut bytes = seeds[below(seeds.len())].clone();
                let other = &seeds[below(seeds.len())];
                bytes.splice(below(bytes.len() + 1).., other[below(other.len() + 1)..].to_vec());
                for _ in 0..below(8) {
                    let at = below(bytes.len() + 1);
                    bytes.insert(at, u8::try_from(below(256)).unwrap());
                    let at = below(bytes.len());
                    bytes[at] = u8::try_from(below(256)).unwrap();
                }
                target(&bytes);
            }
        }
    }
}
