//! What a mailbox holds, as one number that anybody can recompute from an export.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::{Flags, FolderName, Message, UidValidity};

/// Digests of a mailbox and its folders.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailboxDigest {
    /// BLAKE3 of the folder lines and subscription lines, in hexadecimal.
    pub digest: String,
    /// Messages in all folders.
    pub messages: u64,
    /// The folders, sorted by name.
    pub folders: Vec<FolderDigest>,
}

/// Digest of one folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FolderDigest {
    /// Its name.
    pub name: FolderName,
    /// Its UIDVALIDITY.
    pub uidvalidity: UidValidity,
    /// Messages in it.
    pub messages: u64,
    /// BLAKE3 of its message lines, in hexadecimal.
    pub digest: String,
}

/// Digests a mailbox: each folder with its messages in order of UID, then the whole.
#[derive(Debug, Default)]
pub struct DigestBuilder {
    folders: Vec<FolderDigest>,
    open: Option<(FolderName, UidValidity, u64, blake3::Hasher)>,
    line: String,
}

impl DigestBuilder {
    /// Begins with nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins a folder; the one before it is complete.
    pub fn folder(&mut self, name: FolderName, uidvalidity: UidValidity) {
        self.close();
        self.open = Some((name, uidvalidity, 0, blake3::Hasher::new()));
    }

    /// Adds a message to the folder begun last. UIDs must rise.
    pub fn message(&mut self, message: &Message) {
        self.line.clear();
        message_line(&mut self.line, message);
        if let Some((_, _, messages, hasher)) = &mut self.open {
            *messages += 1;
            hasher.update(self.line.as_bytes());
        }
    }

    /// Closes the last folder and digests the whole.
    #[must_use]
    pub fn finish(mut self, subscriptions: &[String]) -> MailboxDigest {
        self.close();
        self.folders.sort_by(|a, b| a.name.cmp(&b.name));
        let mut subscriptions: Vec<&String> = subscriptions.iter().collect();
        subscriptions.sort();
        let mut hasher = blake3::Hasher::new();
        for folder in &self.folders {
            let FolderDigest { name, uidvalidity, messages, digest } = folder;
            let line = format!("folder {} {messages} {digest} {}\n", uidvalidity.0, name.as_str());
            hasher.update(line.as_bytes());
        }
        for name in subscriptions {
            hasher.update(format!("subscription {name}\n").as_bytes());
        }
        MailboxDigest {
            digest: hasher.finalize().to_hex().to_string(),
            messages: self.folders.iter().map(|folder| folder.messages).sum(),
            folders: self.folders,
        }
    }

    fn close(&mut self) {
        if let Some((name, uidvalidity, messages, hasher)) = self.open.take() {
            let digest = hasher.finalize().to_hex().to_string();
            self.folders.push(FolderDigest { name, uidvalidity, messages, digest });
        }
    }
}

/// The line that stands for a message in the digest of its folder, line feed included.
#[must_use]
pub fn digest_line(message: &Message) -> String {
    let mut line = String::new();
    message_line(&mut line, message);
    line
}

/// Writes `uid flags keywords date content` and a line feed.
fn message_line(line: &mut String, message: &Message) {
    let mut keywords: Vec<&str> = message.keywords.iter().map(String::as_str).collect();
    keywords.sort_unstable();
    let keywords = if keywords.is_empty() { "-".to_owned() } else { keywords.join(",") };
    let content = blake3::Hash::from_bytes(message.content.0).to_hex();
    writeln!(
        line,
        "{} {} {keywords} {} {content}",
        message.uid.0,
        flag_letters(message.flags),
        message.internal_date_seconds
    )
    .expect("a String takes any text");
}

/// The letters that Maildir has for flags, in order, and `N` for a message nobody has looked for.
fn flag_letters(flags: Flags) -> String {
    const LETTERS: [(Flags, char); 7] = [
        (Flags::DRAFT, 'D'),
        (Flags::FLAGGED, 'F'),
        (Flags::RECENT, 'N'),
        (Flags::FORWARDED, 'P'),
        (Flags::ANSWERED, 'R'),
        (Flags::SEEN, 'S'),
        (Flags::DELETED, 'T'),
    ];
    let set = LETTERS.into_iter().filter(|(flag, _)| flags.contains(*flag));
    let letters: String = set.map(|(_, letter)| letter).collect();
    if letters.is_empty() { "-".to_owned() } else { letters }
}
