//! The made-up site: Maildir++ trees, a directory export and `site.toml`, the same for each seed.
//!
//! Nothing in it is anybody's mail. The same options give the same files, byte for byte and with
//! the same modification times, so that a run on it can be compared with another.

mod export;
mod maildir;
mod message;
mod papers;
mod people;
mod random;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

pub use export::{
    SAMPLE_EXPORT_MAILBOXES_MAX, SAMPLE_SERVERS_MAX, SampleExportOptions, SampleExportReport,
    SampleForm, write_sample_export,
};

use message::Letter;
use people::Person;
use random::Random;

/// The most mailboxes of a sample.
pub const SAMPLE_MAILBOXES_MAX: usize = 100_000;
/// The most messages of a mailbox in a sample.
pub const SAMPLE_MESSAGES_MAX: usize = 1_000_000;

/// The most of a hundred deliveries of a sample that are shared.
pub const SAMPLE_SHARED_PERCENT_MAX: usize = 50;
/// The largest messages of a sample, in hundredths of the usual.
pub const SAMPLE_SIZE_PERCENT_MAX: usize = 10_000;

/// Noon of the youngest day of a sample, in seconds since 1970: 1 March 2024.
const NOW_SECONDS: i64 = 1_709_294_400;
/// How far back the mail of a sample goes.
const SPAN_SECONDS: i64 = 400 * 86_400;

/// What kind of sample to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SampleOptions {
    /// Number of mailboxes, from 1.
    pub mailboxes: usize,
    /// Number of messages in each mailbox.
    pub messages: usize,
    /// Decides everything that is left to chance.
    pub seed: u64,
    /// How many of a hundred deliveries are of a message that others get, too; to
    /// [`SAMPLE_SHARED_PERCENT_MAX`].
    pub shared_percent: usize,
    /// How large messages are: so many hundredths of the usual.
    pub size_percent: usize,
}

impl Default for SampleOptions {
    fn default() -> Self {
        Self { mailboxes: 12, messages: 60, seed: 1, shared_percent: 25, size_percent: 100 }
    }
}

/// What was written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SampleReport {
    /// The site file.
    pub site_file: PathBuf,
    /// Number of mailboxes.
    pub mailboxes: usize,
    /// Number of folders, inboxes among them.
    pub folders: usize,
    /// Number of message files.
    pub messages: usize,
    /// Message files whose bytes are those of a message in another mailbox.
    pub shared_messages: usize,
    /// Bytes of all message files.
    pub bytes: u64,
}

/// Why no sample was written, or only a part of it.
#[derive(Debug, thiserror::Error)]
pub enum SampleError {
    /// The folder is there and holds something.
    #[error(
        "{} is not empty and a sample would mix with what is in it; name a folder that is new or \
         empty",
        path.display()
    )]
    NotEmpty {
        /// The folder.
        path: PathBuf,
    },
    /// A number out of bounds.
    #[error("a sample cannot have {value} {what}; choose from {least} to {most}")]
    OutOfBounds {
        /// Mailboxes or messages.
        what: &'static str,
        /// The number.
        value: usize,
        /// The least.
        least: usize,
        /// The most.
        most: usize,
    },
    /// The file system refused.
    #[error(
        "{} could not be written, the sample is incomplete; make room or choose another folder, \
         and start with an empty one",
        path.display()
    )]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
}

/// Turns an error of the file system into one that names the file.
fn at(path: &Path) -> impl FnOnce(io::Error) -> SampleError + '_ {
    move |source| SampleError::Io { path: path.to_owned(), source }
}

/// Writes a made-up site into a folder, which is created if need be.
///
/// `site.toml`, `directory.ldif` and `mail/NAME/`, a Maildir++ tree for each mailbox: folders with
/// names beyond ASCII, flags, keywords, `new` and `cur`, subscriptions, some `dovecot-uidlist`.
/// By default about a quarter of the message files are shared: the same bytes lie in several
/// mailboxes.
///
/// The files are not synced: a sample can be written again.
///
/// # Errors
///
/// [`SampleError::NotEmpty`] and [`SampleError::OutOfBounds`] before anything is written;
/// [`SampleError::Io`] leaves what was written so far.
pub fn write_sample(dir: &Path, options: &SampleOptions) -> Result<SampleReport, SampleError> {
    check_bounds("mailboxes", options.mailboxes, 1, SAMPLE_MAILBOXES_MAX)?;
    check_bounds("messages", options.messages, 0, SAMPLE_MESSAGES_MAX)?;
    check_bounds("% shared", options.shared_percent, 0, SAMPLE_SHARED_PERCENT_MAX)?;
    check_bounds("% of the usual size", options.size_percent, 1, SAMPLE_SIZE_PERCENT_MAX)?;
    fs::create_dir_all(dir).map_err(at(dir))?;
    if fs::read_dir(dir).map_err(at(dir))?.next().is_some() {
        return Err(SampleError::NotEmpty { path: dir.to_owned() });
    }
    let people = people::people(options.mailboxes, &mut Random::new(options.seed, "people", 0));
    let mut report = SampleReport {
        site_file: dir.join("site.toml"),
        mailboxes: people.len(),
        ..SampleReport::default()
    };
    let shared = shared_letters(options);
    for (index, person) in people.iter().enumerate() {
        let letters = letters_of(index, &people, options, &shared);
        report.shared_messages += letters.iter().filter(|letter| letter.is_shared()).count();
        let root = dir.join("mail").join(&person.name);
        let mut random = Random::new(options.seed, "maildir", index as u64);
        maildir::write(&root, index, &people, &letters, &mut random, &mut report)?;
    }
    write_file(&dir.join("directory.ldif"), papers::ldif(&people).as_bytes(), NOW_SECONDS)?;
    write_file(&report.site_file, papers::site_toml(&people).as_bytes(), NOW_SECONDS)?;
    Ok(report)
}

/// The shape of one of several made-up sites: small and large ones, few and many messages, short
/// and long ones, alone and shared. The same arguments give the same shape.
#[must_use]
pub fn sample_shape(seed: u64, number: usize, of: usize) -> SampleOptions {
    // Each property has its own order of strata, so that none goes with another.
    let within = |label: &str, least: usize, most: usize| {
        let mut order: Vec<usize> = (0..of.max(1)).collect();
        let mut random = Random::new(seed, label, 0);
        for last in (1..order.len()).rev() {
            order.swap(last, random.below(last + 1));
        }
        let stratum = order[number % order.len()];
        let fine = Random::new(seed, label, 1 + number as u64).below(1000);
        // Small ones are more common than large ones: the square of an even share.
        let (share, whole) = (stratum * 1000 + fine, order.len() * 1000);
        least + (most - least) * share * share / (whole * whole)
    };
    SampleOptions {
        mailboxes: within("mailboxes", 3, 40),
        messages: within("messages", 8, 120),
        seed: Random::new(seed, "site", number as u64).next(),
        shared_percent: within("shared", 1, 51) - 1,
        size_percent: within("size", 50, 800),
    }
}

/// Refuses a number out of bounds.
fn check_bounds(
    what: &'static str,
    value: usize,
    least: usize,
    most: usize,
) -> Result<(), SampleError> {
    match (least..=most).contains(&value) {
        true => Ok(()),
        false => Err(SampleError::OutOfBounds { what, value, least, most }),
    }
}

/// Writes a file with its modification time.
fn write_file(path: &Path, bytes: &[u8], seconds: i64) -> Result<(), SampleError> {
    let write = || {
        let mut file = fs::File::create_new(path)?;
        io::Write::write_all(&mut file, bytes)?;
        let since_1970 = std::time::Duration::from_secs(seconds.unsigned_abs());
        file.set_modified(std::time::UNIX_EPOCH + since_1970)
    };
    write().map_err(at(path))
}

/// The letters that go to several mailboxes, with a list of them for each mailbox.
///
/// As many of all deliveries as were asked for, as far as that can be: no mailbox gets more than
/// half of its mail that way.
fn shared_letters(options: &SampleOptions) -> Vec<Vec<Letter>> {
    let SampleOptions { mailboxes, messages, seed, shared_percent, size_percent } = *options;
    let mut random = Random::new(seed, "shared", 0);
    let mut lists: Vec<Vec<Letter>> = vec![Vec::new(); mailboxes];
    let wanted = if mailboxes < 2 { 0 } else { mailboxes * messages * shared_percent / 100 };
    let (mut deliveries, mut failures) = (0, 0);
    while deliveries < wanted && failures < 100 {
        let size = (2 + random.below(4)).min(mailboxes);
        let mut recipients: Vec<usize> = (0..size).map(|_| random.below(mailboxes)).collect();
        recipients.sort_unstable();
        recipients.dedup();
        recipients.retain(|one| lists[*one].len() < messages.div_ceil(2));
        if recipients.len() < 2 {
            failures += 1;
            continue;
        }
        failures = 0;
        deliveries += recipients.len();
        let letter = Letter {
            seed: random.next(),
            sender: random.below(mailboxes),
            recipients: recipients.clone(),
            seconds: some_time(&mut random),
            size_percent,
        };
        for recipient in recipients {
            lists[recipient].push(letter.clone());
        }
    }
    lists
}

/// A moment in the time that the sample covers.
fn some_time(random: &mut Random) -> i64 {
    NOW_SECONDS - i64::try_from(random.below(SPAN_SECONDS.unsigned_abs() as usize)).unwrap_or(0)
}

/// All letters of one mailbox, oldest first.
fn letters_of(
    index: usize,
    people: &[Person],
    options: &SampleOptions,
    shared: &[Vec<Letter>],
) -> Vec<Letter> {
    let mut random = Random::new(options.seed, "letters", index as u64);
    let mut letters = shared[index].clone();
    while letters.len() < options.messages {
        let other = random.below(people.len());
        let sent = random.chance(15);
        let (sender, recipient) = if sent { (index, other) } else { (other, index) };
        letters.push(Letter {
            seed: random.next(),
            sender,
            recipients: vec![recipient],
            seconds: some_time(&mut random),
            size_percent: options.size_percent,
        });
    }
    letters.truncate(options.messages);
    letters.sort_by_key(|letter| (letter.seconds, letter.seed));
    letters
}

#[cfg(test)]
mod tests;
