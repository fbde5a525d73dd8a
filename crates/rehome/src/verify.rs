//! Comparing what a server holds with what was taken in, message by message.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use rehome_store::{
    Comparison, ContentId, Flags, FolderName, Frame, IncomingMailbox, MailboxEnd, MailboxName,
    Message, Modseq, MoveSource, TransferError, Uid, maildir_folder_name,
};

use crate::error::Error;
use crate::maildir_source::{SourceMessage, read};
use crate::summary::MessageCounts;
use crate::taken_in::Baseline;

/// What became of a mailbox, or of many.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Findings {
    /// The counts.
    pub(crate) counts: MessageCounts,
    /// Bytes of the messages at the target.
    pub(crate) bytes: u64,
    /// Messages that their users changed, moved or deleted since they were taken in.
    pub(crate) changed: u64,
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
        self.changed += other.changed;
        for text in other.examples {
            self.example(text);
        }
    }

    /// Adds what a comparison with the copy at the server that the mailbox has left found: that
    /// copy has what came since it was taken in too. What both comparisons miss counts once.
    pub(crate) fn add_left(&mut self, name: &MailboxName, left: &Comparison) {
        let sides = [
            (&mut self.counts.lost, left.lost, "are not at the new one"),
            (&mut self.counts.altered, left.altered, "differ at the new one"),
            (&mut self.counts.duplicated, left.duplicated, "are only at the new one"),
        ];
        let mut texts = Vec::new();
        for (count, other, what) in sides {
            if other > *count {
                texts.push(format!("{name}: {other} messages of the old server's copy {what}"));
                *count = other;
            }
        }
        texts.into_iter().for_each(|text| self.example(text));
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
    folder: FolderName,
    disk_folder: String,
    message: Message,
    counted: bool,
}

/// Compares one mailbox at `target` with what is expected. `intact` has the contents whose bytes
/// were read and hashed; with `None` the catalog alone is compared. With a `baseline` what users
/// have changed since is no difference; without one everything is.
pub(crate) fn compare(
    name: &MailboxName,
    expected: &Expected,
    target: &mut dyn MailboxEnd,
    intact: Option<&HashSet<ContentId>>,
    mut baseline: Option<Baseline>,
) -> Result<Findings, TransferError> {
    let Target { mut held, folders, expunged } = rows(name, target)?;
    let mut findings = Findings::default();
    findings.counts.source = (expected.messages.len() + expected.delivered.len()) as u64;
    findings.counts.target = held.len() as u64;
    findings.bytes = held.iter().map(|one| one.message.size_bytes).sum();
    let mut places: HashMap<ContentId, Vec<usize>> = HashMap::new();
    for (index, one) in held.iter().enumerate() {
        places.entry(one.message.content).or_default().push(index);
    }
    let mut search = Search { name, held: &mut held, places: &places, findings: &mut findings };
    let mut differing: Vec<&SourceMessage> =
        expected.messages.iter().filter(|one| !search.take(one, true)).collect();
    if let Some(baseline) = &mut baseline {
        differing.retain(|one| !search.take_changed(one, baseline, &folders, &expunged));
    }
    for source in differing {
        if !search.take(source, false) {
            search.missing(source);
        }
    }
    for content in &expected.delivered {
        search.take_delivered(*content);
    }
    let since = baseline.map(|baseline| (baseline.highest, &expunged));
    count_doubles(name, &held, &places, since, &mut findings);
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

    /// Finds what a message's user has made of it since it was taken in: marked it, or deleted or
    /// moved it. Both have a number above the baseline's in the mailbox's count of changes.
    fn take_changed(
        &mut self,
        source: &SourceMessage,
        baseline: &mut Baseline,
        folders: &BTreeMap<FolderName, String>,
        expunged: &Expunged,
    ) -> bool {
        let highest = baseline.highest;
        let removed = |folder: &FolderName, uid: Uid| {
            expunged.after(folder, uid, highest) || expunged.stepped(folder, highest)
        };
        let there = |folder: &FolderName, uid: Uid| {
            let place = |held: &Held| held.folder == *folder && held.message.uid == uid;
            let same_mail = self.places.get(&ContentId(source.content)).map_or(&[][..], |all| all);
            same_mail.iter().copied().find(|index| place(&self.held[*index]))
        };
        let marked = |held: &Held| {
            !held.counted
                && held.message.modseq > highest
                && held.message.internal_date_seconds == source.time_seconds
        };
        let is_it = |folder: &FolderName, uid: Uid| match there(folder, uid) {
            Some(index) => marked(&self.held[index]),
            None => removed(folder, uid),
        };
        let Some((folder, uid)) = baseline.take(source, folders, is_it) else { return false };
        if let Some(index) = there(&folder, uid) {
            self.held[index].counted = true;
        }
        self.findings.changed += 1;
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
/// told us of is not counted: users may have received it meanwhile; nor is what lies in another
/// folder and came there since then, by itself or with its folder's new name: users sort their
/// mail.
fn count_doubles(
    name: &MailboxName,
    held: &[Held],
    places: &HashMap<ContentId, Vec<usize>>,
    since: Option<(Modseq, &Expunged)>,
    findings: &mut Findings,
) {
    for one in held.iter().filter(|one| !one.counted) {
        let is_late = since.is_some_and(|(since, expunged)| {
            one.message.modseq > since || expunged.stepped(&one.folder, since)
        });
        let is_twin = |twin: &Held| twin.counted && !(is_late && twin.folder != one.folder);
        if places[&one.message.content].iter().any(|index| is_twin(&held[*index])) {
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

/// When messages were removed from where they were, and, under UID 0, when a folder got or lost its
/// name.
#[derive(Default)]
struct Expunged(HashMap<(FolderName, Uid), Modseq>);

impl Expunged {
    fn after(&self, folder: &FolderName, uid: Uid, since: Modseq) -> bool {
        self.0.get(&(folder.clone(), uid)).is_some_and(|at| *at > since)
    }

    fn stepped(&self, folder: &FolderName, since: Modseq) -> bool {
        self.after(folder, Uid(0), since)
    }
}

/// A mailbox at the target.
struct Target {
    held: Vec<Held>,
    /// Its folders, as they would be called on disk.
    folders: BTreeMap<FolderName, String>,
    expunged: Expunged,
}

/// Every message of a mailbox with its folder as it would be called on disk.
fn rows(name: &MailboxName, target: &mut dyn MailboxEnd) -> Result<Target, TransferError> {
    let mut folders: BTreeMap<FolderName, String> = BTreeMap::new();
    // A message that changes while we read comes twice; the later one counts.
    let mut held = BTreeMap::new();
    let mut expunged = Expunged::default();
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
            let key = (folder.clone(), message.uid);
            held.insert(key, Held { folder, disk_folder, message, counted: false });
        }
        for (folder, uid, modseq) in expunges {
            held.remove(&(folder.clone(), uid));
            expunged.0.insert((folder, uid), modseq);
        }
        if cursor <= after {
            return Ok(Target { held: held.into_values().collect(), folders, expunged });
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
    for held in rows(name, target)?.held {
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
