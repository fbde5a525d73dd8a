//! A second, independent reading of Maildir++ trees, for verification only.
//!
//! It shares no code with the import: what the import misread, this reading can find.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

/// One message as it lies in a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SourceMessage {
    /// The folder as it is called on disk: empty for the inbox, `.Sent`, `.A.B`.
    pub(crate) disk_folder: String,
    /// The file's name without flags.
    pub(crate) base: String,
    /// The flag letters, sorted; `N` stands for a file in `new`.
    pub(crate) letters: String,
    /// The keywords, sorted.
    pub(crate) keywords: Vec<String>,
    /// BLAKE3 of the bytes.
    pub(crate) content: [u8; 32],
    /// How many bytes.
    pub(crate) size_bytes: u64,
    /// The time of the file, in seconds since 1970.
    pub(crate) time_seconds: i64,
}

/// Reads every message below a Maildir++ tree.
pub(crate) fn read(tree: &Path) -> io::Result<Vec<SourceMessage>> {
    let mut messages = Vec::new();
    read_folder(tree, "", &mut messages)?;
    for entry in std::fs::read_dir(tree)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') && entry.file_type()?.is_dir() {
            read_folder(&entry.path(), &name, &mut messages)?;
        }
    }
    Ok(messages)
}

fn read_folder(path: &Path, disk: &str, messages: &mut Vec<SourceMessage>) -> io::Result<()> {
    let names = keyword_names(path)?;
    for part in ["new", "cur"] {
        let part_path = path.join(part);
        if !part_path.is_dir() {
            continue;
        }
        for entry in std::fs::read_dir(&part_path)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with('.') || !entry.file_type()?.is_file() {
                continue;
            }
            messages.push(read_message(&entry.path(), disk, &name, part == "new", &names)?);
        }
    }
    Ok(())
}

fn read_message(
    path: &Path,
    disk: &str,
    name: &str,
    new: bool,
    names: &BTreeMap<char, String>,
) -> io::Result<SourceMessage> {
    let bytes = std::fs::read(path)?;
    let modified = std::fs::metadata(path)?.modified()?;
    let time_seconds = match modified.duration_since(std::time::UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_secs()).unwrap_or(i64::MAX),
        // A fraction of a second before the epoch belongs to the second below.
        Err(before) => {
            let before = before.duration();
            let whole = i64::try_from(before.as_secs()).unwrap_or(i64::MAX);
            -whole - i64::from(before.subsec_nanos() > 0)
        }
    };
    let (base, info) = name.split_once(":2,").unwrap_or((name, ""));
    let mut letters: Vec<char> = info.chars().filter(char::is_ascii_uppercase).collect();
    letters.extend(new.then_some('N'));
    letters.sort_unstable();
    letters.dedup();
    let lower = info.chars().filter(char::is_ascii_lowercase);
    let mut keywords: Vec<String> = lower
        .map(|letter| names.get(&letter).cloned().unwrap_or_else(|| format!("maildir-{letter}")))
        .collect();
    keywords.sort();
    keywords.dedup();
    Ok(SourceMessage {
        disk_folder: disk.to_owned(),
        base: base.to_owned(),
        letters: letters.into_iter().collect(),
        keywords,
        content: *blake3::hash(&bytes).as_bytes(),
        size_bytes: bytes.len() as u64,
        time_seconds,
    })
}

/// The keywords that Dovecot's file gives to the letters `a` to `z`.
fn keyword_names(folder: &Path) -> io::Result<BTreeMap<char, String>> {
    let text = match std::fs::read_to_string(folder.join("dovecot-keywords")) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error),
    };
    let line = |line: &str| {
        let (number, name) = line.trim_end().split_once(' ')?;
        let number: u8 = number.parse().ok().filter(|number| *number < 26)?;
        Some((char::from(b'a' + number), name.to_owned()))
    };
    Ok(text.lines().filter_map(line).collect())
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn flags_keywords_and_folders_are_read() {
        let tree = tempfile::tempdir().expect("a scratch folder");
        for folder in ["cur", "new", ".Sent/cur"] {
            std::fs::create_dir_all(tree.path().join(folder)).expect("writable");
        }
        let put = |name: &str| std::fs::write(tree.path().join(name), "body").expect("writable");
        put("cur/1.a,S=4:2,RSb");
        put("new/2.a");
        put(".Sent/cur/3.a:2,");
        std::fs::write(tree.path().join("dovecot-keywords"), "1 Later\n").expect("writable");
        let mut found: Vec<_> = read(tree.path())
            .expect("readable")
            .into_iter()
            .map(|one| (one.disk_folder, one.base, one.letters, one.keywords))
            .collect();
        found.sort();
        let of = |a: &str, b: &str, c: &str, d: &[&str]| {
            (a.to_owned(), b.to_owned(), c.to_owned(), d.iter().map(ToString::to_string).collect())
        };
        let expected: Vec<(String, String, String, Vec<String>)> = vec![
            of("", "1.a,S=4", "RS", &["Later"]),
            of("", "2.a", "N", &[]),
            of(".Sent", "3.a", "", &[]),
        ];
        assert_eq!(found, expected);
    }
}
