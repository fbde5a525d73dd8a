//! What all contenders start from: Maildirs, a store of the same mail, and new mail.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rehome::parts::log::SplitMix64;

use super::contender::Contender;
use super::step::{Step, make};
use super::work::ArchiveWork;
use crate::bench::child;
use crate::bench::disk::{self, Eviction};

/// One new message for so many that are there.
const NEW_MAIL_EVERY: usize = 100;

/// What all contenders start from.
pub(super) struct Stage {
    scratch: PathBuf,
    mailbox: String,
    /// Message files.
    pub(super) messages: usize,
    pub(super) message_bytes: u64,
    pub(super) new_messages: usize,
    pub(super) new_bytes: u64,
    pub(super) eviction: Eviction,
}

impl Stage {
    /// Links the corpus, makes new mail of its kind, and imports both as needed.
    pub(super) fn set_up(
        corpus: &Path,
        scratch: &Path,
        mailboxes_max: Option<usize>,
    ) -> Result<Stage, String> {
        let maildirs = scratch.join("maildirs");
        make(&maildirs)?;
        let mut mailboxes = folders_of(corpus)?;
        mailboxes.truncate(mailboxes_max.unwrap_or(usize::MAX));
        for mailbox in &mailboxes {
            let link = |option| {
                let mut copy = Command::new("cp");
                disk::finish(copy.arg(option).arg(corpus.join(mailbox)).arg(&maildirs))
            };
            // Hard links, if it lies on the same disk.
            if link("-al").is_err() {
                link("-a")?;
            }
        }
        let middle = mailboxes.get(mailboxes.len() / 2).ok_or("the corpus has no mailbox")?;
        let mut stage = Stage {
            scratch: scratch.to_owned(),
            mailbox: middle.clone(),
            messages: message_files(&maildirs)?.len(),
            message_bytes: disk::bytes_below(&maildirs)?,
            new_messages: 0,
            new_bytes: 0,
            eviction: Eviction::possible(),
        };
        for mailbox in &mailboxes {
            stage.make_new_mail(&maildirs.join(mailbox), mailbox)?;
        }
        stage.new_bytes = disk::bytes_below(&stage.new_mail())?;
        let import = |source: PathBuf, store| ArchiveWork::Import { source, store }.command();
        child::figures(&mut import(maildirs.clone(), stage.store().to_owned())?)?;
        let alone = scratch.join("alone");
        make(&alone)?;
        let one = maildirs.join(&stage.mailbox);
        disk::finish(Command::new("cp").arg("-al").arg(one).arg(&alone))?;
        child::figures(&mut import(alone, stage.store_of_mailbox())?)?;
        Ok(stage)
    }

    pub(super) fn scratch(&self) -> &Path {
        &self.scratch
    }

    /// The Maildirs that the peers back up.
    pub(super) fn maildirs(&self) -> PathBuf {
        self.scratch.join("maildirs")
    }

    fn new_mail(&self) -> PathBuf {
        self.scratch.join("new-mail")
    }

    /// The store of the same mail.
    pub(super) fn store(&self) -> PathBuf {
        self.scratch.join("store")
    }

    /// The mailbox that is restored alone.
    pub(super) fn mailbox(&self) -> &str {
        &self.mailbox
    }

    /// A store that has this mailbox alone.
    pub(super) fn store_of_mailbox(&self) -> PathBuf {
        self.scratch.join("store-of-mailbox")
    }

    /// Bytes that are there at once, about: each contender's files go when it is done.
    pub(super) fn room(&self) -> u64 {
        self.message_bytes * 6
    }

    /// New messages for a mailbox: every hundredth of its own with its letters exchanged, so that
    /// sizes and compressibility are the same and the content is not.
    fn make_new_mail(&mut self, maildir: &Path, mailbox: &str) -> Result<(), String> {
        let folder = self.new_mail().join(mailbox).join("new");
        make(&folder)?;
        let mut files = message_files(maildir)?;
        files.sort();
        for file in files.iter().step_by(NEW_MAIL_EVERY) {
            let failed = |error: std::io::Error| format!("{}: {error}", file.display());
            let number = self.new_messages;
            let bytes = exchange_letters(fs::read(file).map_err(failed)?, number as u64);
            let name = format!("{}.M{number}P1.bench", 1_800_000_000 + number);
            fs::write(folder.join(name), bytes).map_err(failed)?;
            self.new_messages += 1;
        }
        Ok(())
    }

    /// Delivers the new mail to what `contender` backs up.
    pub(super) fn bring_new_mail(&self, contender: Contender, place: &Path) -> Result<(), String> {
        if contender.is_ours() {
            let (source, store) = (self.new_mail(), place.join("store"));
            let import = ArchiveWork::Import { source, store };
            return child::figures(&mut import.command()?).map(drop);
        }
        let mut link = Command::new("cp");
        disk::finish(link.arg("-al").arg(self.new_mail().join(".")).arg(self.maildirs()))
    }

    /// Takes the new mail out of the Maildirs again.
    pub(super) fn take_new_mail_back(&self) -> Result<(), String> {
        let (new, maildirs) = (self.new_mail(), self.maildirs());
        for file in disk::files_below(&new)? {
            let name = file.strip_prefix(&new).map_err(|error| error.to_string())?;
            match fs::remove_file(maildirs.join(name)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(format!("{}: {error}", maildirs.join(name).display()));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Fails unless all is there that was to be restored to `to`.
    pub(super) fn count_restored(
        &self,
        contender: Contender,
        step: Step,
        to: &Path,
    ) -> Result<(), String> {
        let expected = match step {
            Step::RestoreOne => {
                let new = self.new_mail().join(&self.mailbox);
                message_files(&self.maildirs().join(&self.mailbox))?.len()
                    + if contender.is_ours() { message_files(&new)?.len() } else { 0 }
            }
            _ => self.messages + self.new_messages,
        };
        let found = if contender.is_ours() && step == Step::Restore {
            let count = ArchiveWork::Count { store: to.to_owned() };
            let figures = child::figures(&mut count.command()?)?;
            usize::try_from(figures["messages"].as_u64().unwrap_or_default()).unwrap_or_default()
        } else {
            message_files(to)?.len()
        };
        if found == expected {
            return Ok(());
        }
        let (who, what) = (contender.name(), step.name());
        Err(format!("{who}, {what}: {found} messages came back, {expected} were to come"))
    }
}

/// Names of the folders in a folder, in order.
fn folders_of(path: &Path) -> Result<Vec<String>, String> {
    let failed = |error: std::io::Error| format!("{}: {error}", path.display());
    let mut names = Vec::new();
    for entry in fs::read_dir(path).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry.path().is_dir() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// The files of messages in Maildirs below a path.
pub(super) fn message_files(path: &Path) -> Result<Vec<PathBuf>, String> {
    let in_maildir = |file: &PathBuf| {
        let folder = file.parent().and_then(Path::file_name).unwrap_or_default();
        folder == "cur" || folder == "new"
    };
    let mut files = disk::files_below(path)?;
    files.retain(in_maildir);
    Ok(files)
}

/// Exchanges letters and digits by a permutation that `seed` chooses, behind the header.
fn exchange_letters(mut message: Vec<u8>, seed: u64) -> Vec<u8> {
    let mut random = SplitMix64::new(seed);
    let mut table: [u8; 256] = std::array::from_fn(|byte| byte as u8);
    for class in [b'a'..=b'z', b'A'..=b'Z', b'0'..=b'9'] {
        let letters: Vec<u8> = class.collect();
        for at in (1..letters.len()).rev() {
            let other = usize::try_from(random.below(at as u64 + 1)).unwrap_or_default();
            table.swap(usize::from(letters[at]), usize::from(letters[other]));
        }
    }
    let header = message.windows(2).position(|two| two == b"\n\r" || two == b"\n\n");
    for byte in &mut message[header.unwrap_or_default()..] {
        *byte = table[usize::from(*byte)];
    }
    let mut new = format!("X-Bench-New: {seed}\r\n").into_bytes();
    new.append(&mut message);
    new
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_message_has_its_header_and_another_body_of_the_same_length() {
        let old = b"Subject: abc\r\n\r\nabc ABC 123\r\n".to_vec();
        let new = exchange_letters(old.clone(), 7);
        let text = String::from_utf8(new.clone()).expect("letters");
        assert!(text.starts_with("X-Bench-New: 7\r\nSubject: abc\r\n\r\n"), "{text}");
        assert_eq!(new.len(), old.len() + "X-Bench-New: 7\r\n".len());
        assert_ne!(new, exchange_letters(old, 8));
    }
}
