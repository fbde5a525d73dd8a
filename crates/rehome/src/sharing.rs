//! How much of some folders of mail is shared: found without reading it whole.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// The most files that are looked into; of more, those of some lengths stand for all.
const FILES_MAX: usize = 10_000;
/// Of a file so much is looked at: messages of one length that begin alike are taken for one.
const HEAD_BYTES: u64 = 4096;

/// Files and bytes that were looked at, and what is left if each message is kept once.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Seen {
    bytes: u64,
    kept_once_bytes: u64,
}

/// Bytes of the messages below some Maildir++ trees if each is kept once.
///
/// Only files of one length can be the same, so that of each length the beginnings are compared.
/// Of more than ten thousand files, all those of some lengths are: what is the same has the same
/// length, so that their share is the share of all.
pub(crate) fn kept_once_bytes(trees: &[PathBuf]) -> io::Result<u64> {
    let mut lengths: BTreeMap<u64, Vec<PathBuf>> = BTreeMap::new();
    for tree in trees {
        gather(tree, &mut lengths)?;
    }
    let files: usize = lengths.values().map(Vec::len).sum();
    let all: u64 = lengths.iter().map(|(length, files)| length * files.len() as u64).sum();
    let one_in = files.div_ceil(FILES_MAX).max(1) as u64;
    let mut seen = Seen::default();
    for (length, files) in &lengths {
        if spread(*length).is_multiple_of(one_in) {
            let kinds = different(files)?;
            seen.bytes += length * files.len() as u64;
            seen.kept_once_bytes += length * kinds;
        }
    }
    if seen.bytes == 0 {
        return Ok(all);
    }
    let kept = u128::from(all) * u128::from(seen.kept_once_bytes) / u128::from(seen.bytes);
    Ok(u64::try_from(kept).unwrap_or(all))
}

/// Neighbouring lengths far from each other (the golden ratio), so that every kind is chosen from.
fn spread(length: u64) -> u64 {
    length.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32
}

/// The files of a Maildir++ tree by their length.
fn gather(folder: &Path, lengths: &mut BTreeMap<u64, Vec<PathBuf>>) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let (name, kind) = (entry.file_name(), entry.file_type()?);
        let is_part = name == "cur" || name == "new";
        if kind.is_dir() && is_part {
            for file in std::fs::read_dir(entry.path())? {
                let file = file?;
                if file.file_type()?.is_file() {
                    lengths.entry(file.metadata()?.len()).or_default().push(file.path());
                }
            }
        } else if kind.is_dir() && name.to_string_lossy().starts_with('.') {
            gather(&entry.path(), lengths)?;
        }
    }
    Ok(())
}

/// How many different messages some files of one length are.
fn different(files: &[PathBuf]) -> io::Result<u64> {
    if files.len() < 2 {
        return Ok(files.len() as u64);
    }
    let mut heads = BTreeSet::new();
    for path in files {
        let mut head = Vec::new();
        std::fs::File::open(path)?.take(HEAD_BYTES).read_to_end(&mut head)?;
        heads.insert(*blake3::hash(&head).as_bytes());
    }
    Ok(heads.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes messages into a mailbox each and expects so many bytes when each is kept once.
    #[track_caller]
    fn check(mailboxes: &[&[String]], expected: std::ops::RangeInclusive<u64>) {
        let scratch = tempfile::tempdir().expect("a scratch folder");
        let mut trees = Vec::new();
        for (number, messages) in mailboxes.iter().enumerate() {
            let tree = scratch.path().join(number.to_string());
            let folders = [tree.join("cur"), tree.join(".Sent").join("new")];
            folders.iter().for_each(|one| std::fs::create_dir_all(one).expect("a folder"));
            for (at, text) in messages.iter().enumerate() {
                std::fs::write(folders[at % 2].join(at.to_string()), text).expect("writable");
            }
            std::fs::write(tree.join("subscriptions"), "Sent\n").expect("writable");
            trees.push(tree);
        }
        let found = kept_once_bytes(&trees).expect("readable");
        assert!(expected.contains(&found), "{found} bytes");
    }

    #[test]
    fn what_lies_in_several_mailboxes_counts_once() {
        let [a, b, long] = ["aaaa", "bbbb", "a long one"].map(ToOwned::to_owned);
        check(&[], 0..=0);
        check(&[&[a.clone(), b.clone()], std::slice::from_ref(&long)], 18..=18);
        check(&[&[a.clone(), b, a.clone()], &[a, long]], 18..=18);
    }

    #[test]
    fn of_very_many_files_some_lengths_stand_for_all() {
        let long = |at: usize| format!("{at:05}{}", "x".repeat(at % 400));
        let shared: Vec<String> = (0..8000).map(long).collect();
        let alone: Vec<String> = (8000..12_000).map(long).collect();
        let bytes = |all: &[String]| all.iter().map(|one| one.len() as u64).sum::<u64>();
        let kept = bytes(&shared) + bytes(&alone);
        check(&[&[shared.clone(), alone].concat(), &shared], kept * 98 / 100..=kept * 102 / 100);
    }
}
