//! The digest of a mailbox computed from an exported Maildir++ tree alone.
//!
//! It follows `docs/format/transfer.md` and `docs/format/import.md` and shares no code with the
//! store: two implementations that agree have both understood the pages.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use rehome_store::{FolderDigest, FolderName, MailboxDigest, UidValidity};

use crate::error::Error;
use crate::maildir_source::{SourceMessage, read};

/// A tree by the name of its mailbox.
type Trees = Vec<(String, PathBuf)>;

/// The trees at a path: itself, or each folder in it that is one.
pub(crate) fn trees(path: &Path) -> Result<Trees, Error> {
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let is_tree = |path: &Path| path.join("cur").is_dir() || path.join("new").is_dir();
    if is_tree(path) {
        let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        return Ok(vec![(name(&whole), path.to_owned())]);
    }
    let entries = std::fs::read_dir(path).map_err(|error| at(path, &error.to_string()))?;
    let mut found = Vec::new();
    for entry in entries {
        let below = entry.map_err(|error| at(path, &error.to_string()))?.path();
        if is_tree(&below) {
            found.push((name(&below), below));
        }
    }
    found.sort();
    if found.is_empty() {
        return Err(at(path, "there is no Maildir here, and none in a folder of it"));
    }
    Ok(found)
}

fn at(place: &Path, cause: &str) -> Error {
    Error::BadInput {
        message: format!(
            "{}: {cause}; no digest was made; give a tree that rehome export wrote",
            place.display()
        ),
    }
}

/// Digests one tree.
///
/// # Errors
///
/// [`Error::BadInput`] with the place if something cannot be read or a message has no UID.
pub(crate) fn digest(tree: &Path) -> Result<MailboxDigest, Error> {
    let messages = read(tree).map_err(|error| at(tree, &error.to_string()))?;
    let mut by_folder: BTreeMap<String, Vec<SourceMessage>> = BTreeMap::new();
    for message in messages {
        by_folder.entry(message.disk_folder.clone()).or_default().push(message);
    }
    let mut folders = Vec::new();
    for disk in disk_folders(tree)? {
        let messages = by_folder.remove(&disk).unwrap_or_default();
        folders.extend(folder(tree, &disk, messages)?);
    }
    folders.sort_by(|a, b| a.name.as_str().cmp(b.name.as_str()));
    let mut lines = String::new();
    for one in &folders {
        let FolderDigest { name, uidvalidity, messages, digest } = one;
        writeln!(lines, "folder {} {messages} {digest} {}", uidvalidity.0, name.as_str())
            .expect("a String");
    }
    let mut subscriptions = subscriptions(tree)?;
    subscriptions.sort();
    for name in subscriptions {
        writeln!(lines, "subscription {name}").expect("a String");
    }
    Ok(MailboxDigest {
        digest: blake3::hash(lines.as_bytes()).to_hex().to_string(),
        messages: folders.iter().map(|folder| folder.messages).sum(),
        folders,
    })
}

/// The folders of a tree as they are called on disk; the inbox is the empty one.
fn disk_folders(tree: &Path) -> Result<Vec<String>, Error> {
    let mut found = vec![String::new()];
    for entry in std::fs::read_dir(tree).map_err(|error| at(tree, &error.to_string()))? {
        let entry = entry.map_err(|error| at(tree, &error.to_string()))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') && entry.path().is_dir() {
            found.push(name);
        }
    }
    Ok(found)
}

/// Digests a folder; nothing if the export did not make it as one.
fn folder(
    tree: &Path,
    disk: &str,
    messages: Vec<SourceMessage>,
) -> Result<Option<FolderDigest>, Error> {
    let place = tree.join(disk);
    let list = place.join("dovecot-uidlist");
    let text = match std::fs::read(&list) {
        Ok(bytes) => bytes,
        Err(_) if messages.is_empty() => return Ok(None),
        Err(error) => return Err(at(&list, &error.to_string())),
    };
    let (validity, uids) = uid_list(&text).ok_or_else(|| at(&list, "it is no list of UIDs"))?;
    let mut lines = BTreeMap::new();
    for message in &messages {
        let uid = uids.get(&message.base).copied();
        let uid = uid.ok_or_else(|| at(&place.join(&message.base), "it has no UID"))?;
        lines.insert(uid, line(uid, message));
    }
    if lines.len() != messages.len() {
        return Err(at(&list, "two messages have one UID"));
    }
    let text: String = lines.into_values().collect();
    let name = FolderName::try_from(name(disk).as_str());
    let name = name.map_err(|error| at(&place, &error.to_string()))?;
    Ok(Some(FolderDigest {
        name,
        uidvalidity: UidValidity(validity),
        messages: messages.len() as u64,
        digest: blake3::hash(text.as_bytes()).to_hex().to_string(),
    }))
}

/// The line of a message.
fn line(uid: u32, message: &SourceMessage) -> String {
    let (flags, others): (String, String) =
        message.letters.chars().partition(|letter| "DFNPRST".contains(*letter));
    let mut keywords = message.keywords.clone();
    keywords.extend(others.chars().map(|letter| format!("maildir-{letter}")));
    keywords.sort();
    let or_none = |text: String| if text.is_empty() { "-".to_owned() } else { text };
    let content = blake3::Hash::from_bytes(message.content).to_hex();
    format!(
        "{uid} {} {} {} {content}\n",
        or_none(flags),
        or_none(keywords.join(",")),
        message.time_seconds
    )
}

/// UIDVALIDITY, and UIDs by the base names of files: Dovecot's list, version 3.
fn uid_list(text: &[u8]) -> Option<(u32, BTreeMap<String, u32>)> {
    let text = String::from_utf8_lossy(text);
    let mut lines = text.lines();
    let mut fields = lines.next()?.strip_prefix("3 ")?.split(' ');
    let validity = fields.find_map(|field| field.strip_prefix('V'))?.parse().ok()?;
    let mut uids = BTreeMap::new();
    for line in lines {
        let (uid, rest) = line.split_once(' ')?;
        let base = rest.strip_prefix(':').or_else(|| rest.split_once(" :").map(|(_, b)| b))?;
        let base = base.split(':').next().unwrap_or(base);
        uids.insert(base.to_owned(), uid.parse().ok()?);
    }
    Some((validity, uids))
}

/// The subscriptions of a tree: version 2 of Dovecot's file, or plain names.
fn subscriptions(tree: &Path) -> Result<Vec<String>, Error> {
    let path = tree.join("subscriptions");
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(at(&path, &error.to_string())),
    };
    let (lines, separator) = match text.strip_prefix("V\t2\n") {
        Some(rest) => (rest, '\t'),
        None => (text.as_str(), '.'),
    };
    let named = lines.lines().filter(|line| !line.is_empty());
    Ok(named
        .map(|line| line.split(separator).map(component).collect::<Vec<_>>().join("/"))
        .collect())
}

/// A folder's name for its name on disk.
fn name(disk: &str) -> String {
    match disk.strip_prefix('.') {
        None => "INBOX".to_owned(),
        Some(rest) => rest.split('.').map(component).collect::<Vec<_>>().join("/"),
    }
}

/// A component of a folder's name: modified UTF-7 (RFC 3501, 5.1.3) if it is that, else as it is.
fn component(text: &str) -> String {
    decode(text).unwrap_or_else(|| text.to_owned())
}

fn decode(text: &str) -> Option<String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((plain, shifted)) = rest.split_once('&') {
        out.push_str(plain);
        let (run, after) = shifted.split_once('-')?;
        match run {
            "" => out.push('&'),
            run => out.push_str(&decode_run(run)?),
        }
        rest = after;
    }
    out.push_str(rest);
    // What cannot stand for itself must be shifted.
    let printable = |text: &str| text.bytes().all(|byte| (0x20..0x7f).contains(&byte));
    (printable(text) && !out.contains(['/', '\0'])).then_some(out)
}

/// A shifted run: base 64 with `,` for `/`, without padding, of UTF-16 with the high byte first.
fn decode_run(run: &str) -> Option<String> {
    let digit = |byte: u8| match byte {
        b'A'..=b'Z' => Some(u32::from(byte - b'A')),
        b'a'..=b'z' => Some(u32::from(byte - b'a') + 26),
        b'0'..=b'9' => Some(u32::from(byte - b'0') + 52),
        b'+' => Some(62),
        b',' => Some(63),
        _ => None,
    };
    let (mut units, mut bits, mut held) = (Vec::new(), 0_u32, 0_u32);
    for byte in run.bytes() {
        held = (held << 6) | digit(byte)?;
        bits += 6;
        if bits >= 16 {
            bits -= 16;
            units.push(u16::try_from((held >> bits) & 0xffff).ok()?);
            held &= (1 << bits) - 1;
        }
    }
    let text = String::from_utf16(&units).ok().filter(|_| bits < 6 && held == 0)?;
    let needless = |c: char| c != '.' && (' '..='~').contains(&c);
    (!text.contains(needless)).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::{name, uid_list};

    #[track_caller]
    fn check(disk: &str, expected: &str) {
        assert_eq!(name(disk), expected, "{disk}");
    }

    #[test]
    fn names_on_disk_give_the_folders_names() {
        check("", "INBOX");
        check(".Sent", "Sent");
        check(".Lists.lkml", "Lists/lkml");
        check(".Entw&APw-rfe", "Entwürfe");
        check(".A &- B", "A & B");
        check(".&U9dP4W4IMH8-", "受信済み");
        check(".v1&AC4-2.x", "v1.2/x");
        check(".&2Dzf8g-", "🏲");
        check(".Entwürfe", "Entwürfe");
        check(".a&b", "a&b");
        check(".Caf&AGk-", "Caf&AGk-");
    }

    #[test]
    fn a_list_of_uids_is_read_or_refused() {
        let (validity, uids) =
            uid_list(b"3 V77 N9 Gabc\n3 :1.a\n5 W6 :1.b,S=4:2,S\n").expect("one");
        assert_eq!(validity, 77);
        assert_eq!((uids["1.a"], uids["1.b,S=4"]), (3, 5));
        for bad in ["", "1 77 9\n", "3 N9\n", "3 V77 N9\nx :a\n", "3 V77 N9\n3\n"] {
            assert_eq!(uid_list(bad.as_bytes()), None, "{bad:?}");
        }
    }
}
