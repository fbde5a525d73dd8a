//! What became of each mailbox in a backup that may be damaged.

use std::collections::{BTreeMap, HashSet};

use serde::{Deserialize, Serialize};

use crate::catalog::OutlineEntry;
use crate::error::Damage;
use crate::outline::{OutlinePart, decode_part};
use crate::record::{HEADER_SIZE, VolumeFile};
use crate::survey::Survey;

/// How much of a mailbox can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// All of it.
    Whole,
    /// Some of its messages.
    Partly,
    /// Its outline, or a part of that, and none of its messages.
    OnlyNamed,
    /// Nothing: its outline is lost.
    Gone,
}

/// Messages of one folder whose contents cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostMessages {
    /// The folder.
    pub folder: String,
    /// Their UIDs, in the order of the outline.
    pub uids: Vec<u32>,
}

/// What became of one mailbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailboxFate {
    /// Its number in the backup.
    pub mailbox: u32,
    /// Its name, if anything that can be read still says it.
    pub name: Option<String>,
    /// How much of it can be read.
    pub fate: Fate,
    /// Messages that its readable outline records name.
    pub messages: u64,
    /// Those of them whose contents cannot be read.
    pub lost: Vec<LostMessages>,
    /// Messages known to be lost together with their outline rows, so that no UID can be named;
    /// `None` if rows are lost and nothing says how many.
    pub unnamed: Option<u64>,
}

impl MailboxFate {
    /// How many messages are named and cannot be read.
    #[must_use]
    pub fn lost_messages(&self) -> u64 {
        self.lost.iter().map(|lost| lost.uids.len() as u64).sum()
    }
}

/// What became of all mailboxes.
pub(crate) struct Fates {
    /// By number.
    pub(crate) mailboxes: Vec<MailboxFate>,
    /// Named messages whose contents are lost and were not stated absent by the writer.
    pub(crate) unexplained: u64,
}

impl Fates {
    /// Works out the fates from a deep `survey` of `volumes`; `mailbox_count` is how many mailboxes
    /// there were; `elsewhere` holds prefixes of contents, sorted, that are in what the backup
    /// builds upon, and `absent` of those that never were in it.
    pub(crate) fn of(
        volumes: &[Result<VolumeFile, Damage>],
        survey: &Survey,
        mailbox_count: Option<u64>,
        elsewhere: &[u64],
        absent: &HashSet<u64>,
    ) -> Fates {
        let mut unexplained = 0;
        let mut mailboxes: BTreeMap<u32, Tally> = BTreeMap::new();
        // A manifest that states more than could be there is not believed: each one takes memory.
        let count = mailbox_count.unwrap_or(0).min(survey.bytes / HEADER_SIZE as u64);
        for number in 0..u32::try_from(count).unwrap_or(0) {
            mailboxes.entry(number).or_default();
        }
        for owner in &survey.owners {
            mailboxes.entry(*owner).or_default();
        }
        for entry in &survey.listed.outlines {
            mailboxes.entry(entry.mailbox).or_default().note_listed(entry);
        }
        for entry in &survey.found.outlines {
            let Some(part) = read_part(volumes, entry) else { continue };
            let tally = mailboxes.entry(entry.mailbox).or_default();
            let is_there = |prefix: u64| {
                [&survey.good, elsewhere].iter().any(|good| good.binary_search(&prefix).is_ok())
            };
            unexplained += tally.note_part(&part, &is_there, absent);
        }
        let mailboxes = mailboxes.into_iter().map(|(number, tally)| tally.fate(number)).collect();
        Fates { mailboxes, unexplained }
    }
}

fn read_part(volumes: &[Result<VolumeFile, Damage>], entry: &OutlineEntry) -> Option<OutlinePart> {
    let volume = volumes.get(entry.place.volume as usize)?.as_ref().ok()?;
    let record = volume.read(entry.place.offset()).ok()?;
    decode_part(&record.payload().ok()?).ok()
}

/// What is known of a mailbox so far.
#[derive(Default)]
struct Tally {
    name: Option<String>,
    /// Messages by part, as the indexes say.
    listed: BTreeMap<u32, u64>,
    listed_last: Option<u32>,
    /// Parts read.
    parts: u32,
    messages: u64,
    lost: Vec<LostMessages>,
    /// Messages in all parts, and how many parts there are; known when the last part was read.
    whole: Option<(u64, u32)>,
    /// Messages up to the end of the latest part that was read, whether or not all before it were.
    messages_to_here: u64,
}

impl Tally {
    fn note_listed(&mut self, entry: &OutlineEntry) {
        self.name.get_or_insert_with(|| entry.name.clone());
        self.listed.insert(entry.part, u64::from(entry.messages));
        if entry.last {
            self.listed_last = Some(entry.part);
        }
    }

    /// Returns how many messages are lost that `absent` does not explain.
    fn note_part(
        &mut self,
        part: &OutlinePart,
        is_there: &dyn Fn(u64) -> bool,
        absent: &HashSet<u64>,
    ) -> u64 {
        self.name = Some(part.outline.name.clone());
        self.parts += 1;
        let mut unexplained = 0;
        for folder in &part.outline.folders {
            for message in &folder.messages {
                let prefix = message.content.prefix();
                if is_there(prefix) {
                    continue;
                }
                unexplained += u64::from(!absent.contains(&prefix));
                match self.lost.last_mut().filter(|lost| lost.folder == folder.name) {
                    Some(lost) => lost.uids.push(message.uid),
                    None => self.lost.push(LostMessages {
                        folder: folder.name.clone(),
                        uids: vec![message.uid],
                    }),
                }
            }
        }
        self.messages += part.outline.messages();
        self.messages_to_here = part.messages_before.saturating_add(part.outline.messages());
        if part.last {
            self.whole = Some((self.messages_to_here, part.part.saturating_add(1)));
        }
        unexplained
    }

    /// Messages and parts of the whole mailbox, if anything says so.
    fn whole(&self) -> Option<(u64, u32)> {
        self.whole.or_else(|| {
            let parts = self.listed_last?.checked_add(1)?;
            let is_listed = (0..parts).all(|part| self.listed.contains_key(&part));
            is_listed.then(|| (self.listed.values().sum(), parts))
        })
    }

    fn fate(self, mailbox: u32) -> MailboxFate {
        let whole = self.whole();
        let unnamed = whole.map(|(messages, _)| messages.saturating_sub(self.messages));
        let has_all_parts = whole.is_some_and(|(_, parts)| parts == self.parts);
        let lost: u64 = self.lost.iter().map(|lost| lost.uids.len() as u64).sum();
        let fate = if self.parts == 0 {
            Fate::Gone
        } else if has_all_parts && lost == 0 {
            Fate::Whole
        } else if self.messages > lost {
            Fate::Partly
        } else {
            Fate::OnlyNamed
        };
        let (name, messages, lost) = (self.name, self.messages, self.lost);
        MailboxFate { mailbox, name, fate, messages, lost, unnamed }
    }
}
