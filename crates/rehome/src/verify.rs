//! Comparing what a server holds with what was taken in, message by message.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use rehome_store::{
    ContentId, Flags, FolderName, Frame, IncomingMailbox, MailboxEnd, MailboxName, Message, Modseq,
    MoveSource, TransferError, maildir_folder_name,
};

use crate::error::Error;
use crate::maildir_source::{SourceMessage, read};
use crate::summary::MessageCounts;

/// What became of a mailbox, or of many.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Findings {
    /// The counts.
    pub(crate) counts: MessageCounts,
    /// Bytes of the messages at the target.
    pub(crate) bytes: u64,
    /// The first differences, one sentence each.
    pub(crate) examples: Vec<String>,
    /// Messages whose bytes were not read: each with its place. They came after the bytes were
    /// read, or cannot be read.
    pub(crate) unread: Vec<(ContentId, String)>,
}

/// How many differences are named one by one.
const EXAMPLES_MAX: usize = 20;

impl Findings {
    fn example(&mut self, text: String) {
        if self.examples.len() < EXAMPLES_MAX {
            self.examples.push(text);
        }
    }

    /// Counts the messages whose bytes could not be read in a second try either.
    pub(crate) fn judge_unread(&mut self, intact: &HashSet<ContentId>) {
        for (content, place) in std::mem::take(&mut self.unread) {
            if !intact.contains(&content) {
                self.counts.altered += 1;
                self.example(format!("{place}: its bytes cannot be read"));
            }
        }
    }

    /// Adds what was found in another mailbox.
    pub(crate) fn add(&mut self, other: Findings) {
        self.counts.source += other.counts.source;
        self.counts.target += other.counts.target;
        self.counts.lost += other.counts.lost;
        self.counts.altered += other.counts.altered;
        self.counts.duplicated += other.counts.duplicated;
        self.bytes += other.bytes;
        for text in other.examples {
            self.example(text);
        }
    }
}

/// One mailbox as it should be: its tree on disk, and what clients were told is delivered since.
#[derive(Debug, Default)]
pub(crate) struct Expected {
    messages: Vec<SourceMessage>,
    delivered: Vec<ContentId>,
}

impl Expected {
    /// Reads the tree with code of its own.
    pub(crate) fn read(tree: &Path, delivered: Vec<ContentId>) -> Result<Self, Error> {
        let messages =
            read(tree).map_err(|error| Error::bad_input(format!("{}: {error}", tree.display())))?;
        Ok(Expected { messages, delivered })
    }
}

/// One message at the target.
struct Held {
    disk_folder: String,
    message: Message,
    counted: bool,
}

/// Compares one mailbox at `target` with what is expected. `intact` has the contents whose bytes
/// were read and hashed; with `None` the catalog alone is compared.
pub(crate) fn compare(
    name: &MailboxName,
    expected: &Expected,
    target: &mut dyn MailboxEnd,
    intact: Option<&HashSet<ContentId>>,
) -> Result<Findings, TransferError> {
    let mut held = rows(name, target)?;
    let mut findings = Findings::default();
    findings.counts.source = (expected.messages.len() + expected.delivered.len()) as u64;
    findings.counts.target = held.len() as u64;
    findings.bytes = held.iter().map(|one| one.message.size_bytes).sum();
    let mut places: HashMap<ContentId, Vec<usize>> = HashMap::new();
    for (index, one) in held.iter().enumerate() {
        places.entry(one.message.content).or_default().push(index);
    }
    let mut search = Search { name, held: &mut held, places: &places, findings: &mut findings };
    let exact: Vec<&SourceMessage> =
        expected.messages.iter().filter(|one| !search.take(one, true)).collect();
    for source in exact {
        if !search.take(source, false) {
            search.missing(source);
        }
    }
    for content in &expected.delivered {
        search.take_delivered(*content);
    }
    count_doubles(name, &held, &places, &mut findings);
    if let Some(intact) = intact {
        let unread = held.iter().filter(|one| !intact.contains(&one.message.content));
        let place = |one: &Held| (one.message.content, format!("{name} {}", describe(one)));
        findings.unread = unread.map(place).collect();
    }
    Ok(findings)
}

/// The search for the counterparts of expected messages.
struct Search<'a> {
    name: &'a MailboxName,
    held: &'a mut Vec<Held>,
    places: &'a HashMap<ContentId, Vec<usize>>,
    findings: &'a mut Findings,
}

impl Search<'_> {
    /// Finds a message's counterpart: the same in everything, or (not `exact`) in its bytes only,
    /// which counts as altered.
    fn take(&mut self, source: &SourceMessage, exact: bool) -> bool {
        let places = self.places.get(&ContentId(source.content)).map_or(&[][..], Vec::as_slice);
        let found = places.iter().copied().find(|index| {
            let held = &self.held[*index];
            !held.counted && (!exact || same(source, held))
        });
        let Some(index) = found else { return false };
        self.held[index].counted = true;
        if !exact {
            self.findings.counts.altered += 1;
            let text = describe(&self.held[index]);
            self.findings.example(format!(
                "{} {}/{}: arrived as {text}",
                self.name, source.disk_folder, source.base
            ));
        }
        true
    }

    fn missing(&mut self, source: &SourceMessage) {
        // The same file name with other bytes is an altered message, not a lost one.
        let twin = self.held.iter_mut().find(|held| {
            !held.counted && held.message.origin.as_deref() == Some(source.base.as_str())
        });
        let place = format!("{} {}/{}", self.name, source.disk_folder, source.base);
        if let Some(held) = twin {
            held.counted = true;
            self.findings.counts.altered += 1;
            self.findings.example(format!("{place}: its bytes differ"));
        } else {
            self.findings.counts.lost += 1;
            self.findings.example(format!("{place}: not there"));
        }
    }

    fn take_delivered(&mut self, content: ContentId) {
        let places = self.places.get(&content).map_or(&[][..], Vec::as_slice);
        if let Some(index) = places.iter().copied().find(|index| !self.held[*index].counted) {
            self.held[index].counted = true;
        } else {
            self.findings.counts.lost += 1;
            self.findings.example(format!("{}: delivered message {content} is lost", self.name));
        }
    }
}

/// Messages that nobody sent a second time, and that are there a second time. Mail that nobody
/// told us of is not counted: users may have received it meanwhile.
fn count_doubles(
    name: &MailboxName,
    held: &[Held],
    places: &HashMap<ContentId, Vec<usize>>,
    findings: &mut Findings,
) {
    for one in held.iter().filter(|one| !one.counted) {
        let twins = &places[&one.message.content];
        if twins.iter().any(|index| held[*index].counted) {
            findings.counts.duplicated += 1;
            findings.example(format!("{name} {}: there twice", describe(one)));
        }
    }
}

fn same(source: &SourceMessage, held: &Held) -> bool {
    let message = &held.message;
    source.disk_folder == held.disk_folder
        && source.size_bytes == message.size_bytes
        && source.time_seconds == message.internal_date_seconds
        && source.letters == letters(message.flags)
        && source.keywords == message.keywords
        && message.origin.as_deref() == Some(source.base.as_str())
}

fn describe(held: &Held) -> String {
    format!(
        "{}/UID {} flags \"{}\" keywords {:?} date {}",
        held.disk_folder,
        held.message.uid,
        letters(held.message.flags),
        held.message.keywords,
        held.message.internal_date_seconds
    )
}

/// Maildir's letters for flags, sorted; `N` for a message in `new`.
fn letters(flags: Flags) -> String {
    let table = [
        (Flags::DRAFT, 'D'),
        (Flags::FLAGGED, 'F'),
        (Flags::RECENT, 'N'),
        (Flags::FORWARDED, 'P'),
        (Flags::ANSWERED, 'R'),
        (Flags::SEEN, 'S'),
        (Flags::DELETED, 'T'),
    ];
    table.iter().filter(|(flag, _)| flags.contains(*flag)).map(|(_, letter)| letter).collect()
}

/// Every message of a mailbox with its folder as it would be called on disk.
fn rows(name: &MailboxName, target: &mut dyn MailboxEnd) -> Result<Vec<Held>, TransferError> {
    let mut folders: BTreeMap<FolderName, String> = BTreeMap::new();
    // A message that changes while we read comes twice; the later one counts.
    let mut held = BTreeMap::new();
    let mut after = Modseq(0);
    loop {
        let batch = target.rows(name, after)?;
        let IncomingMailbox { folders: named, messages, expunges, cursor, .. } = batch;
        for folder in named {
            let disk = maildir_folder_name(&folder.name, &folder.attributes);
            folders.insert(folder.name, disk);
        }
        for (folder, message) in messages {
            let disk = folders.get(&folder).cloned();
            let disk_folder =
                disk.unwrap_or_else(|| maildir_folder_name(&folder, &BTreeMap::new()));
            let key = (folder, message.uid);
            held.insert(key, Held { disk_folder, message, counted: false });
        }
        for (folder, uid, _) in expunges {
            held.remove(&(folder, uid));
        }
        if cursor <= after {
            return Ok(held.into_values().collect());
        }
        after = cursor;
    }
}

/// How often a mailbox has each content.
pub(crate) fn contents(
    name: &MailboxName,
    target: &mut dyn MailboxEnd,
) -> Result<HashMap<ContentId, u64>, TransferError> {
    let mut counts = HashMap::new();
    for held in rows(name, target)? {
        *counts.entry(held.message.content).or_default() += 1;
    }
    Ok(counts)
}

/// Reads the wanted contents of some mailboxes and hashes them; returns those whose hash is right.
pub(crate) fn intact_contents(
    source: &mut dyn MoveSource,
    names: &[MailboxName],
    wanted: &dyn Fn(&ContentId) -> bool,
) -> Result<HashSet<ContentId>, TransferError> {
    let everything: Vec<_> = names.iter().map(|name| (name.clone(), None)).collect();
    let offer = source.offer_all(&everything)?;
    let wanted: Vec<bool> = offer.contents.iter().map(|(content, _)| wanted(content)).collect();
    let mut intact = HashSet::new();
    source.send(&offer, &wanted, &mut |frame| {
        if let Frame::Content(run) = frame {
            for body in rehome_store::bodies(run.bytes()).flatten() {
                if ContentId::of(&body.bytes) == body.content {
                    intact.insert(body.content);
                }
            }
        }
        Ok(())
    })?;
    Ok(intact)
}

#[cfg(test)]
mod tests;
