//! Digests of mailboxes: from a store, and from Maildir++ trees with code of their own.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use rehome_store::{LocalSource, MailboxDigest, MailboxEnd as _};

use super::{named, open};
use crate::error::Error;
use crate::maildir_digest;
use crate::report::JobReport;

/// The digests of a store's mailboxes; of all if none is named.
///
/// # Errors
///
/// [`Error::BadInput`] if there is no such store or mailbox; [`Error::NeedsHuman`] if the store
/// fails.
pub fn store_digest(path: &Path, mailboxes: &[String]) -> Result<JobReport, Error> {
    let store = open(path)?;
    let names = named(&store, path, mailboxes)?;
    let mut source = LocalSource::new(store.clone());
    let mut digests = BTreeMap::new();
    for name in names {
        let digest = source.digest(&name).map_err(Error::chain)?;
        digests.insert(name.to_string(), digest);
    }
    drop(source);
    store.close().map_err(Error::chain)?;
    report(&digests)
}

/// The digests of exported mailboxes: of one Maildir++ tree, or of a folder with one for each
/// mailbox. No code of the store has a part in it.
///
/// # Errors
///
/// [`Error::BadInput`] if there is no such tree, or a message has no UID.
pub fn maildir_digest(path: &Path) -> Result<JobReport, Error> {
    let trees = maildir_digest::trees(path)?;
    let mut digests = BTreeMap::new();
    for (name, tree) in trees {
        digests.insert(name, maildir_digest::digest(&tree)?);
    }
    report(&digests)
}

fn report(digests: &BTreeMap<String, MailboxDigest>) -> Result<JobReport, Error> {
    let mut text = String::new();
    for (name, digest) in digests {
        writeln!(text, "{}  {name} ({} messages)", digest.digest, digest.messages)
            .expect("a String");
        for folder in &digest.folders {
            writeln!(text, "{}    {} ({})", folder.digest, folder.name, folder.messages)
                .expect("a String");
        }
    }
    JobReport::good(&serde_json::json!({ "mailboxes": digests }), text)
}
