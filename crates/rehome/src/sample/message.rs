//! The text of a message, made anew from its seed whenever it is needed.

use std::fmt::Write;

use super::people::Person;
use super::random::Random;

/// The alphabet of base64 (RFC 4648).
const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

const SUBJECTS: [&str; 16] = [
    "Budget for the second quarter",
    "Minutes of Monday",
    "Re: Offer 4711",
    "Travel to Lyon",
    "Who has the key to the archive?",
    "New phone list",
    "Re: Draft of the contract",
    "Übergabe am Freitag",
    "Printer on the third floor",
    "Lunch?",
    "Réunion de projet",
    "Holiday calendar",
    "Fwd: Invoice",
    "Backup report",
    "会議の議事録",
    "Question about the plan",
];

const WORDS: [&str; 48] = [
    "the", "plan", "we", "should", "meeting", "on", "Tuesday", "please", "send", "copy", "of",
    "contract", "server", "before", "noon", "and", "tell", "others", "that", "room", "is", "too",
    "small", "for", "all", "new", "figures", "from", "north", "look", "better", "than", "last",
    "year", "I", "will", "call", "you", "when", "train", "arrives", "in", "case", "nothing",
    "changes", "größer", "café", "naïve",
];

/// A message: who wrote it to whom and when. The rest follows from its seed.
#[derive(Clone)]
pub(super) struct Letter {
    /// Decides subject, body and attachment.
    pub(super) seed: u64,
    /// Index of the sender.
    pub(super) sender: usize,
    /// Indexes of the recipients.
    pub(super) recipients: Vec<usize>,
    /// When it was written, in seconds since 1970.
    pub(super) seconds: i64,
    /// How long body and attachment are, in hundredths of the usual.
    pub(super) size_percent: usize,
}

impl Letter {
    /// Whether its bytes lie in several mailboxes.
    pub(super) fn is_shared(&self) -> bool {
        self.recipients.len() > 1
    }

    /// The message with line feeds alone, as it lies in a Maildir.
    pub(super) fn text(&self, people: &[Person]) -> String {
        let mut random = Random::new(self.seed, "text", 0);
        let mut text = String::new();
        self.write_header(people, &mut random, &mut text);
        let body = body(self.sized(400), &mut random);
        if random.chance(8) {
            write_with_attachment(&body, self.sized(4_000), &mut random, &mut text);
        } else {
            text.push_str("Content-Type: text/plain; charset=utf-8\n");
            text.push_str("Content-Transfer-Encoding: 8bit\n\n");
            text.push_str(&body);
        }
        text
    }

    fn sized(&self, usual: usize) -> usize {
        (usual * self.size_percent / 100).max(1)
    }

    /// Everything that does not depend on whether there is an attachment.
    fn write_header(&self, people: &[Person], random: &mut Random, text: &mut String) {
        let to: Vec<String> = self.recipients.iter().map(|one| address(&people[*one])).collect();
        let date = chrono::DateTime::from_timestamp(self.seconds, 0).unwrap_or_default();
        let lines = [
            format!("From: {}", address(&people[self.sender])),
            format!("To: {}", to.join(",\n ")),
            format!("Subject: {}", encoded_word(SUBJECTS[random.below(SUBJECTS.len())])),
            format!("Date: {}", date.to_rfc2822()),
            format!("Message-ID: <{:016x}@example.com>", random.next()),
            "MIME-Version: 1.0".to_owned(),
        ];
        for line in lines {
            text.push_str(&line);
            text.push('\n');
        }
    }
}

/// A person in a header.
fn address(person: &Person) -> String {
    let name = match person.display_name.is_ascii() {
        true => format!("\"{}\"", person.display_name),
        false => encoded_word(&person.display_name),
    };
    format!("{name} <{}@example.com>", person.name)
}

/// A text for a header, encoded if it is not ASCII (RFC 2047).
fn encoded_word(text: &str) -> String {
    match text.is_ascii() {
        true => text.to_owned(),
        false => format!("=?utf-8?B?{}?=", base64(text.as_bytes())),
    }
}

/// Words in lines and paragraphs. A line that begins with "From " occurs, which is a trap for mbox.
fn body(least: usize, random: &mut Random) -> String {
    let size = random.size(least, 6);
    let mut text = String::with_capacity(size + 100);
    while text.len() < size {
        if random.chance(2) {
            text.push_str("From what I hear ");
        }
        let mut line = 0;
        while line < 60 {
            let word = random.pick(&WORDS);
            line += word.len() + 1;
            text.push_str(word);
            text.push(' ');
        }
        text.pop();
        text.push_str(if random.chance(20) { ".\n\n" } else { "\n" });
    }
    text
}

/// The body and a file of made-up bytes.
fn write_with_attachment(body: &str, least: usize, random: &mut Random, text: &mut String) {
    let boundary = format!("part-{:016x}", random.next());
    let bytes: Vec<u8> =
        (0..random.size(least, 8)).map(|_| random.next().to_le_bytes()[0]).collect();
    let name = random.pick(&["figures.xls", "map.png", "contract.doc", "scan.pdf"]);
    let _ = write!(
        text,
        "Content-Type: multipart/mixed; boundary=\"{boundary}\"\n\n\
         --{boundary}\nContent-Type: text/plain; charset=utf-8\n\
         Content-Transfer-Encoding: 8bit\n\n{body}\n\
         --{boundary}\nContent-Type: application/octet-stream; name=\"{name}\"\n\
         Content-Disposition: attachment; filename=\"{name}\"\n\
         Content-Transfer-Encoding: base64\n\n"
    );
    let encoded = base64(&bytes);
    for at in (0..encoded.len()).step_by(76) {
        text.push_str(&encoded[at..encoded.len().min(at + 76)]);
        text.push('\n');
    }
    let _ = writeln!(text, "--{boundary}--");
}

/// Base64 with padding (RFC 4648).
pub(super) fn base64(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..4 {
            let index = (bits >> (18 - 6 * digit)) as usize & 63;
            text.push(if digit <= chunk.len() { char::from(BASE64[index]) } else { '=' });
        }
    }
    text
}

/// A folder name as it stands on disk (modified UTF-7, RFC 3501 section 5.1.3).
pub(super) fn modified_utf7(name: &str) -> String {
    let mut text = String::new();
    let mut wide: Vec<u8> = Vec::new();
    let flush = |wide: &mut Vec<u8>, text: &mut String| {
        if !wide.is_empty() {
            let encoded = base64(wide).replace('/', ",");
            let _ = write!(text, "&{}-", encoded.trim_end_matches('='));
            wide.clear();
        }
    };
    for character in name.chars() {
        if (' '..='~').contains(&character) {
            flush(&mut wide, &mut text);
            text.push_str(if character == '&' { "&-" } else { "" });
            if character != '&' {
                text.push(character);
            }
        } else {
            let mut units = [0u16; 2];
            for unit in character.encode_utf16(&mut units) {
                wide.extend(unit.to_be_bytes());
            }
        }
    }
    flush(&mut wide, &mut text);
    text
}
