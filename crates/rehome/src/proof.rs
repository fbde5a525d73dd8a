//! What a finished migration leaves behind so that somebody can look again after years.
#![doc = include_str!("../../../docs/format/proof.md")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use rehome_store::{
    FolderName, MailboxEnd, MailboxName, Message, Modseq, TransferError, Uid, digest_line,
};
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::memory::write_durably;

/// Version of the proof.
const PROOF_FORMAT: u32 = 1;

/// What was at the new server when the migration had ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Proof {
    pub(crate) format: u32,
    /// The plan that led there.
    pub(crate) plan: String,
    /// When it was written, in microseconds since 1970.
    pub(crate) at_us: i64,
    /// The server.
    pub(crate) server: String,
    pub(crate) mailboxes: BTreeMap<String, ProvedMailbox>,
}

/// One mailbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProvedMailbox {
    /// The file with its lines.
    pub(crate) file: String,
    /// Its last change: what changes later has a higher number.
    pub(crate) highest_modseq: u64,
    pub(crate) messages: u64,
    pub(crate) folders: Vec<ProvedFolder>,
}

/// One folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProvedFolder {
    pub(crate) name: String,
    pub(crate) uidvalidity: u32,
    pub(crate) messages: u64,
    /// BLAKE3 of its lines, the same as the folder's in the digest of the mailbox.
    pub(crate) digest: String,
}

/// All rows of a mailbox, as they are at a moment.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    pub(crate) folders: BTreeMap<FolderName, (u32, BTreeMap<Uid, Message>)>,
    pub(crate) expunged: BTreeMap<(FolderName, Uid), Modseq>,
    pub(crate) highest: Modseq,
}

impl Rows {
    pub(crate) fn read(
        end: &mut dyn MailboxEnd,
        mailbox: &MailboxName,
    ) -> Result<Self, TransferError> {
        let mut rows = Rows::default();
        loop {
            let batch = end.rows(mailbox, rows.highest)?;
            let last = batch.cursor == rows.highest;
            rows.highest = batch.cursor;
            for folder in batch.folders {
                rows.folders.entry(folder.name).or_default().0 = folder.uidvalidity.0;
            }
            for (folder, message) in batch.messages {
                rows.folders.entry(folder).or_default().1.insert(message.uid, message);
            }
            for (folder, uid, modseq) in batch.expunges {
                if let Some((_, messages)) = rows.folders.get_mut(&folder) {
                    messages.remove(&uid);
                }
                rows.expunged.insert((folder, uid), modseq);
            }
            if last {
                return Ok(rows);
            }
        }
    }
}

/// Writes the proof of these mailboxes into a folder, unless there is one; the manifest goes last.
/// Returns the manifest's BLAKE3, which stands for all of it.
pub(crate) fn write(
    folder: &Path,
    (plan, server, at_us): (&str, &str, i64),
    mailboxes: &BTreeSet<MailboxName>,
    end: &mut dyn MailboxEnd,
) -> Result<String, Error> {
    let manifest = manifest(folder);
    if let Ok(bytes) = std::fs::read(&manifest) {
        return Ok(blake3::hash(&bytes).to_hex().to_string());
    }
    let mut proof = Proof {
        format: PROOF_FORMAT,
        plan: plan.to_owned(),
        at_us,
        server: server.to_owned(),
        mailboxes: BTreeMap::new(),
    };
    for (number, mailbox) in mailboxes.iter().enumerate() {
        let rows = Rows::read(end, mailbox).map_err(Error::chain)?;
        let file = format!("{number:06}.lines");
        let (text, folders) = lines(&rows);
        write_durably(&folder.join(&file), text.as_bytes())?;
        let messages = folders.iter().map(|folder| folder.messages).sum();
        let highest_modseq = rows.highest.0;
        let proved = ProvedMailbox { file, highest_modseq, messages, folders };
        proof.mailboxes.insert(mailbox.to_string(), proved);
    }
    let json = serde_json::to_vec_pretty(&proof).map_err(Error::needs_human)?;
    write_durably(&manifest, &json)?;
    Ok(blake3::hash(&json).to_hex().to_string())
}

fn manifest(folder: &Path) -> PathBuf {
    folder.join("proof.json")
}

/// The lines of all folders one after the other, and what each folder is.
fn lines(rows: &Rows) -> (String, Vec<ProvedFolder>) {
    let (mut text, mut folders) = (String::new(), Vec::new());
    for (name, (uidvalidity, messages)) in &rows.folders {
        let begin = text.len();
        messages.values().for_each(|message| text.push_str(&digest_line(message)));
        folders.push(ProvedFolder {
            name: name.to_string(),
            uidvalidity: *uidvalidity,
            messages: messages.len() as u64,
            digest: blake3::hash(&text.as_bytes()[begin..]).to_hex().to_string(),
        });
    }
    (text, folders)
}

/// A proof that was read and is whole.
pub(crate) struct Read {
    pub(crate) proof: Proof,
    /// BLAKE3 of the manifest.
    pub(crate) digest: String,
    folder: PathBuf,
}

/// Reads the manifest of a proof.
pub(crate) fn read(folder: &Path) -> Result<Read, Error> {
    let path = manifest(folder);
    let bad = |cause: String| Error::BadInput {
        message: format!("{}: {cause}; nothing was compared", path.display()),
    };
    let bytes = std::fs::read(&path).map_err(|error| {
        bad(format!(
            "the record of the migration cannot be read: {error}; it is written when a migration \
             has come to its end"
        ))
    })?;
    let proof: Proof = serde_json::from_slice(&bytes)
        .map_err(|error| bad(format!("it is no record of a migration: {error}")))?;
    if proof.format != PROOF_FORMAT {
        let format = proof.format;
        return Err(bad(format!("format {format} is not known; use the program that wrote it")));
    }
    let digest = blake3::hash(&bytes).to_hex().to_string();
    Ok(Read { proof, digest, folder: folder.to_owned() })
}

/// The lines of a folder by UID.
pub(crate) type Lines = BTreeMap<u32, String>;

impl Read {
    /// The lines of each folder of a mailbox, whose digests are right.
    pub(crate) fn lines(&self, mailbox: &ProvedMailbox) -> Result<Vec<Lines>, Error> {
        let path = self.folder.join(&mailbox.file);
        let bad = |cause: String| Error::BadInput {
            message: format!(
                "{}: {cause}; the record itself has changed, so it proves nothing; put it back \
                 from a copy",
                path.display()
            ),
        };
        let text = std::fs::read_to_string(&path).map_err(|error| bad(error.to_string()))?;
        let mut rest = text.split_inclusive('\n');
        let mut all = Vec::new();
        for folder in &mailbox.folders {
            let mut hasher = blake3::Hasher::new();
            let mut lines = Lines::new();
            for line in rest.by_ref().take(usize::try_from(folder.messages).unwrap_or(usize::MAX)) {
                hasher.update(line.as_bytes());
                let uid = line.split(' ').next().and_then(|uid| uid.parse().ok());
                let uid = uid.ok_or_else(|| bad("a line does not begin with a UID".to_owned()))?;
                lines.insert(uid, line.to_owned());
            }
            let whole = lines.len() as u64 == folder.messages;
            if !whole || hasher.finalize().to_hex().as_str() != folder.digest {
                return Err(bad(format!(
                    "the lines of {} are not those of the digest",
                    folder.name
                )));
            }
            all.push(lines);
        }
        match rest.next() {
            None => Ok(all),
            Some(_) => Err(bad("it has more lines than messages".to_owned())),
        }
    }
}
