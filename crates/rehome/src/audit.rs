//! Looking again, after years perhaps: what a finished migration has proved, beside what is there.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use rehome_store::{
    FolderName, LocalSource, MailboxName, Message, Modseq, MoveSource, Uid, digest_line,
};
use serde::Serialize;

use crate::clients::Names;
use crate::error::Error;
use crate::event::{Event, Flow, Observe};
use crate::maildir_digest;
use crate::proof::{self, ProvedFolder, ProvedMailbox, Rows};
use crate::verify::intact_contents;
use crate::work::Work;

/// With what the record is compared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum AuditOf {
    /// The new server: over the network if it runs, else its store in the work folder.
    #[default]
    Server,
    /// A store.
    Store(PathBuf),
    /// Maildir++ trees that `rehome export` wrote; no code of the store has a part in it.
    Maildir(PathBuf),
}

/// What became of a mailbox since the migration ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct MailboxAudit {
    /// `equal`, `changed since` (all of it by its user), or `differs`.
    pub state: String,
    /// Messages when the migration ended.
    pub then: u64,
    /// Messages now.
    pub now: u64,
    /// Messages that are as they were.
    pub same: u64,
    /// Messages that came since.
    pub came_since: u64,
    /// Messages whose flags or keywords were changed since.
    pub marked_since: u64,
    /// Messages that were deleted or moved to another folder since.
    pub removed_since: u64,
    /// Messages that are gone without anybody having deleted them.
    pub missing: u64,
    /// Messages whose bytes, date or flags differ without anybody having changed them.
    pub altered: u64,
    /// Messages that are no newer than the migration and were not there.
    pub unexplained: u64,
    /// The first of those, by folder and UID.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub examples: Vec<String>,
}

/// What an audit found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Audit {
    /// The plan whose migration it was.
    pub plan: String,
    /// BLAKE3 of the record, as the migration told it when it ended.
    pub proof: String,
    /// With what it was compared.
    pub against: String,
    /// Mailboxes that are equal.
    pub equal: u64,
    /// Mailboxes in which only their users have changed something.
    pub changed: u64,
    /// Mailboxes that differ.
    pub differing: u64,
    /// Each mailbox.
    pub mailboxes: BTreeMap<String, MailboxAudit>,
}

/// How many messages are named for each mailbox.
const EXAMPLES_MAX: usize = 5;

impl MailboxAudit {
    fn example(&mut self, text: String) {
        if self.examples.len() < EXAMPLES_MAX {
            self.examples.push(text);
        }
    }

    fn judge(mut self) -> Self {
        let bad = self.missing + self.altered + self.unexplained;
        let since = self.came_since + self.marked_since + self.removed_since;
        let state = match (bad, since) {
            (0, 0) => "equal",
            (0, _) => "changed since",
            _ => "differs",
        };
        state.clone_into(&mut self.state);
        self
    }
}

impl Audit {
    fn add(&mut self, name: &str, found: MailboxAudit) {
        match found.state.as_str() {
            "equal" => self.equal += 1,
            "changed since" => self.changed += 1,
            _ => self.differing += 1,
        }
        self.mailboxes.insert(name.to_owned(), found);
    }

    /// Says no when something is missing, altered or unexplained.
    ///
    /// # Errors
    ///
    /// [`Error::Differences`] with the mailboxes.
    pub fn verdict(&self) -> Result<(), Error> {
        let differing = self.mailboxes.iter().filter(|(_, found)| found.state == "differs");
        let text = |(name, found): (&String, &MailboxAudit)| {
            format!(
                "{name}: {} missing, {} altered, {} unexplained",
                found.missing, found.altered, found.unexplained
            )
        };
        let named: Vec<String> = differing.map(text).take(10).collect();
        if named.is_empty() {
            return Ok(());
        }
        let message = format!(
            "{} of {} mailboxes are not what the migration left and their users made of it; {}; \
             look for them in a backup of that time",
            self.differing,
            self.mailboxes.len(),
            named.join("; ")
        );
        Err(Error::Differences { message })
    }
}

impl fmt::Display for Audit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}, against {}", self.plan, self.against)?;
        for (name, one) in &self.mailboxes {
            write!(f, "  {name}: {}, {} then, {} now", one.state, one.then, one.now)?;
            for (count, what) in [
                (one.came_since, "came since"),
                (one.marked_since, "marked since"),
                (one.removed_since, "deleted or moved since"),
                (one.missing, "MISSING"),
                (one.altered, "ALTERED"),
                (one.unexplained, "UNEXPLAINED"),
            ] {
                if count > 0 {
                    write!(f, ", {count} {what}")?;
                }
            }
            writeln!(f)?;
            for example in &one.examples {
                writeln!(f, "      {example}")?;
            }
        }
        writeln!(
            f,
            "  {} equal, {} changed by their users since, {} differ",
            self.equal, self.changed, self.differing
        )?;
        write!(f, "  the record's digest is {}", self.proof)
    }
}

/// Compares what is there now with the record of a finished migration. Changes nothing.
///
/// # Errors
///
/// [`Error::BadInput`] if there is no record, or it is not what it was; [`Error::NeedsHuman`] if
/// the server or store cannot be read. What differs is told by [`Audit::verdict`].
pub fn audit(work: &Work, of: &AuditOf, observe: Observe<'_>) -> Result<Audit, Error> {
    let read = proof::read(&work.proof())?;
    let mut audit = Audit {
        plan: read.proof.plan.clone(),
        proof: read.digest.clone(),
        against: format!("server {}", read.proof.server),
        ..Audit::default()
    };
    let store = match of {
        AuditOf::Maildir(folder) => {
            audit.against = folder.display().to_string();
            return exported(&read, folder, audit);
        }
        AuditOf::Store(path) => path.clone(),
        AuditOf::Server => {
            let names = Names::new(work.names());
            if names.answers(&read.proof.server) {
                let mut source = names.source(&read.proof.server)?;
                return all(&read, &mut source, audit, observe);
            }
            work.shared().join("store")
        }
    };
    audit.against = store.display().to_string();
    let opened = crate::jobs::open(&store)?;
    let mut source = LocalSource::new(opened.clone());
    let found = all(&read, &mut source, audit, observe);
    drop(source);
    opened.close().map_err(Error::chain)?;
    found
}

fn all(
    read: &proof::Read,
    end: &mut dyn MoveSource,
    mut audit: Audit,
    observe: Observe<'_>,
) -> Result<Audit, Error> {
    let names: Vec<MailboxName> = read
        .proof
        .mailboxes
        .keys()
        .map(|name| MailboxName::try_from(name.as_str()).map_err(Error::bad_input))
        .collect::<Result<_, _>>()?;
    let mut there = Vec::new();
    for name in names {
        if end.info(&name).map_err(Error::chain)?.is_some() {
            there.push(name);
        }
    }
    // Names are not enough: every byte is read and hashed.
    let intact = intact_contents(end, &there, &|_| true).map_err(Error::chain)?;
    let total = read.proof.mailboxes.len() as u64;
    for (done, (name, proved)) in (0..).zip(&read.proof.mailboxes) {
        let (what, unit) = ("auditing".to_owned(), "mailboxes".to_owned());
        if observe(Event::Progress { what, done, total, unit }) == Flow::Stop {
            return Err(Error::stopped("auditing"));
        }
        let lines = read.lines(proved)?;
        let mailbox = MailboxName::try_from(name.as_str()).map_err(Error::bad_input)?;
        let found = if there.contains(&mailbox) {
            let rows = Rows::read(end, &mailbox).map_err(Error::chain)?;
            compare(proved, &lines, rows, &|message| intact.contains(&message.content))
        } else {
            gone(proved.messages)
        };
        audit.add(name, found);
    }
    Ok(audit)
}

/// A mailbox that is not there.
fn gone(messages: u64) -> MailboxAudit {
    let mut found = MailboxAudit { then: messages, missing: messages, ..MailboxAudit::default() };
    found.example("there is no such mailbox any more".to_owned());
    let found = found.judge();
    MailboxAudit { state: "differs".to_owned(), ..found }
}

/// Compares one mailbox, message by message; `is_whole` says whether the bytes of one could be read
/// and have its hash.
fn compare(
    proved: &ProvedMailbox,
    lines: &[proof::Lines],
    mut rows: Rows,
    is_whole: &dyn Fn(&Message) -> bool,
) -> MailboxAudit {
    let mut found = MailboxAudit { then: proved.messages, ..MailboxAudit::default() };
    found.now = rows.folders.values().map(|(_, messages)| messages.len() as u64).sum();
    let since = Modseq(proved.highest_modseq);
    for (folder, lines) in proved.folders.iter().zip(lines) {
        let Ok(name) = FolderName::try_from(folder.name.as_str()) else { continue };
        let now = rows.folders.remove(&name);
        // A folder that was removed or renamed has an entry of its own among the expunges.
        let went = rows.expunged.get(&(name.clone(), Uid(0))).is_some_and(|at| *at > since);
        let mut now = match now {
            Some((validity, messages)) if validity == folder.uidvalidity || went => messages,
            Some(_) | None if went => BTreeMap::new(),
            _ => {
                found.missing += folder.messages;
                found.example(format!("{name}: the folder is gone, or another one has its name"));
                continue;
            }
        };
        for (uid, line) in lines {
            let uid = Uid(*uid);
            let expunged = rows.expunged.get(&(name.clone(), uid)).is_some_and(|at| *at > since);
            let was = (&name, uid, line.as_str());
            match now.remove(&uid) {
                Some(message) if !is_whole(&message) => {
                    found.altered += 1;
                    found.example(format!("{name} UID {}: its bytes cannot be read", uid.0));
                }
                now => judge(&mut found, was, now, since, expunged || went),
            }
        }
        came(&mut found, &name, now, since);
    }
    for (name, (_, messages)) in rows.folders {
        // Under a name that a folder got since lies what its user moved there.
        let got = rows.expunged.get(&(name.clone(), Uid(0))).is_some_and(|at| *at > since);
        came(&mut found, &name, messages, if got { Modseq(0) } else { since });
    }
    found.judge()
}

/// Judges one message that was there.
fn judge(
    found: &mut MailboxAudit,
    (folder, uid, line): (&FolderName, Uid, &str),
    now: Option<Message>,
    since: Modseq,
    removed: bool,
) {
    let Some(message) = now else {
        if removed {
            found.removed_since += 1;
        } else {
            found.missing += 1;
            found.example(format!("{folder} UID {}: missing", uid.0));
        }
        return;
    };
    let is = digest_line(&message);
    if is == line {
        found.same += 1;
    } else if lasting(&is) == lasting(line) && message.modseq > since {
        found.marked_since += 1;
    } else {
        found.altered += 1;
        found.example(format!("{folder} UID {}: altered", uid.0));
    }
}

/// What of a line no user can change: date and content.
fn lasting(line: &str) -> Option<(&str, &str)> {
    let mut words = line.trim_end().rsplit(' ');
    let content = words.next()?;
    Some((words.next()?, content))
}

/// Judges messages that were not there.
fn came(
    found: &mut MailboxAudit,
    folder: &FolderName,
    messages: BTreeMap<Uid, Message>,
    since: Modseq,
) {
    for message in messages.into_values() {
        if message.modseq > since {
            found.came_since += 1;
        } else {
            found.unexplained += 1;
            found.example(format!("{folder} UID {}: was not there", message.uid.0));
        }
    }
}

/// Compares the digests of exported trees, folder by folder: what an export does not hold cannot
/// tell what changed by a user's hand.
fn exported(
    read: &proof::Read,
    folder: &std::path::Path,
    mut audit: Audit,
) -> Result<Audit, Error> {
    let trees: BTreeMap<String, PathBuf> = maildir_digest::trees(folder)?.into_iter().collect();
    for (name, proved) in &read.proof.mailboxes {
        read.lines(proved)?;
        let Some(tree) = trees.get(name) else {
            audit.add(name, gone(proved.messages));
            continue;
        };
        let now = maildir_digest::digest(tree)?;
        let mut found =
            MailboxAudit { then: proved.messages, now: now.messages, ..Default::default() };
        for folder in &proved.folders {
            let same = |one: &&rehome_store::FolderDigest| one.name.as_str() == folder.name;
            let is = now.folders.iter().find(same);
            let equal = is.map_or(folder.messages == 0, |is| is_equal(folder, is));
            if equal {
                found.same += folder.messages;
            } else {
                found.altered += folder.messages.max(1);
                found.example(format!("{}: the digest of the folder differs", folder.name));
            }
        }
        let known = |one: &&rehome_store::FolderDigest| {
            !proved.folders.iter().any(|folder| folder.name == one.name.as_str())
        };
        found.came_since = now.folders.iter().filter(known).map(|one| one.messages).sum();
        audit.add(name, found.judge());
    }
    Ok(audit)
}

fn is_equal(proved: &ProvedFolder, now: &rehome_store::FolderDigest) -> bool {
    proved.uidvalidity == now.uidvalidity.0 && proved.digest == now.digest
}
