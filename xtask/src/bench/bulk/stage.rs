//! What all contenders start from: source stores, files of the same bytes, the peers' sources.

use std::collections::{BTreeSet, HashSet};
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use rehome::parts::store::{
    Append, Flow, ImportOptions, MailboxName, MailboxState, Message, NewFolder, OpenOptions, Store,
    Uid, import_site,
};

use super::contender::Contender;
use crate::bench::disk::{self, Eviction};
use crate::bench::dovecot::Dovecot;
use crate::bench::stores::{Counted, Place, new_store, new_store_with, told};

/// What some of the mailboxes amount to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Load {
    pub(crate) mailboxes: Vec<MailboxName>,
    pub(crate) messages: u64,
    pub(crate) contents: u64,
    /// Bytes of the contents, each once.
    pub(crate) unique_bytes: u64,
}

/// What all contenders start from.
pub(crate) struct Stage {
    scratch: PathBuf,
    /// Filled by an import, one mailbox after another.
    imported: Counted,
    /// The same mail as it would have been delivered: to all mailboxes in turn.
    delivered: Counted,
    /// As `imported`, and nothing packed; it is there if it is measured.
    plain: Option<Counted>,
    pub(crate) all: Load,
    pub(crate) half: Load,
    /// Bytes of all messages, shared contents counted for each.
    pub(crate) message_bytes: u64,
    /// What the imported store's segments take.
    pub(crate) stored_bytes: u64,
    pub(crate) eviction: Eviction,
    pub(crate) dovecot: Option<Dovecot>,
    pub(crate) skipped: Vec<String>,
    contenders: Vec<Contender>,
}

impl Stage {
    /// Imports the corpus into a store, writes its contents into one file, and gives the peers
    /// theirs.
    pub(crate) fn set_up(
        corpus: &Path,
        scratch: &Path,
        wants: &dyn Fn(Contender) -> bool,
    ) -> Result<Stage, String> {
        let imported = imported_into(corpus, &scratch.join("imported"), OpenOptions::default())?;
        let nothing = OpenOptions { pack_over_bytes: None, ..OpenOptions::default() };
        let plain = match wants(Contender::MovePlain) {
            true => Some(imported_into(corpus, &scratch.join("plain"), nothing)?),
            false => None,
        };
        let names = imported.0.mailboxes().map_err(told)?;
        let names: Vec<_> = names.into_iter().map(|info| info.name).collect();
        let some = names[..names.len().div_ceil(2)].to_vec();
        let all = write_contents(&imported.0, names, &scratch.join("all.bytes"))?;
        let half = write_contents(&imported.0, some, &scratch.join("half.bytes"))?;
        let delivered = new_store(&scratch.join("delivered"))?;
        deliver_in_turn(&imported.0, &delivered.0)?;
        let statistics = imported.0.statistics().map_err(told)?;
        let (message_bytes, stored_bytes) = (statistics.message_bytes, statistics.segment_bytes);
        // One that is closed for good has nothing in the log; these stay open, so they are synced.
        imported.0.checkpoint().map_err(told)?;
        delivered.0.checkpoint().map_err(told)?;
        if let Some((store, _)) = &plain {
            store.checkpoint().map_err(told)?;
        }
        let mut stage = Stage {
            scratch: scratch.to_owned(),
            imported,
            delivered,
            plain,
            all,
            half,
            message_bytes,
            stored_bytes,
            eviction: Eviction::possible(),
            dovecot: None,
            skipped: Vec::new(),
            contenders: Contender::ALWAYS.into_iter().filter(|one| wants(*one)).collect(),
        };
        if wants(Contender::CopyTree) {
            disk::finish(Command::new("cp").arg("-a").arg(corpus).arg(scratch.join("maildirs")))?;
        }
        if wants(Contender::Sqlite) {
            stage.add_sqlite()?;
        }
        if wants(Contender::Dovecot) {
            stage.add_dovecot(corpus)?;
        }
        disk::sync_folder(scratch)?;
        Ok(stage)
    }

    #[cfg(feature = "peers")]
    fn add_sqlite(&mut self) -> Result<(), String> {
        let folder = self.scratch.join("sqlite");
        std::fs::create_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        crate::bench::sqlite::stage(&self.imported.0, &folder.join("mail.db"))?;
        self.contenders.push(Contender::Sqlite);
        Ok(())
    }

    #[cfg(not(feature = "peers"))]
    fn add_sqlite(&mut self) -> Result<(), String> {
        self.skipped.push("SQLite: built without it".to_owned());
        Ok(())
    }

    fn add_dovecot(&mut self, corpus: &Path) -> Result<(), String> {
        if let Some(why) = Dovecot::missing() {
            self.skipped.push(format!("doveadm backup: {why}"));
            return Ok(());
        }
        let dovecot = Dovecot::start(&self.scratch.join("dovecot"))?;
        // It writes its own files into the Maildirs that it reads.
        let maildirs = self.scratch.join("maildirs-of-dovecot");
        disk::finish(Command::new("cp").arg("-a").arg(corpus).arg(&maildirs))?;
        dovecot.stage(&self.users(), &maildirs, &self.scratch.join("mdboxes"))?;
        self.dovecot = Some(dovecot);
        self.contenders.push(Contender::Dovecot);
        Ok(())
    }

    pub(crate) fn scratch(&self) -> &Path {
        &self.scratch
    }

    pub(crate) fn contenders(&self) -> &[Contender] {
        &self.contenders
    }

    /// The mailboxes' names for programs that are no part of this.
    pub(crate) fn users(&self) -> Vec<String> {
        self.all.mailboxes.iter().map(|name| name.as_str().to_owned()).collect()
    }

    /// What a contender reads.
    pub(crate) fn source_of(&self, contender: Contender) -> PathBuf {
        self.scratch.join(match contender {
            Contender::MoveAll | Contender::MoveAllBeside | Contender::MoveHalf => "imported",
            Contender::MoveGathered | Contender::MoveOneByOne => "delivered",
            Contender::MovePlain => "plain",
            Contender::CopyAll | Contender::BothWays => "all.bytes",
            Contender::CopyHalf => "half.bytes",
            Contender::CopyTree => "maildirs",
            Contender::Sqlite => "sqlite",
            Contender::Dovecot => "mdboxes",
        })
    }

    /// The store that a move reads.
    pub(crate) fn store_of(&self, contender: Contender) -> &Counted {
        match contender {
            Contender::MoveGathered | Contender::MoveOneByOne => &self.delivered,
            Contender::MovePlain => self.plain.as_ref().expect("it is made for this"),
            _ => &self.imported,
        }
    }

    /// What a contender carries.
    pub(crate) fn load_of(&self, contender: Contender) -> &Load {
        if contender.is_half() { &self.half } else { &self.all }
    }

    /// What is written, roughly, when trees of many files are kept for so many rounds and the
    /// other results for so many.
    pub(crate) fn bytes_for(&self, trees: u32, others: u32) -> u64 {
        let bytes = |contender: &Contender| match contender {
            // The write-ahead log stays beside the database.
            Contender::Sqlite => 2 * self.all.unique_bytes,
            Contender::Dovecot | Contender::CopyTree => self.message_bytes,
            contender => self.load_of(*contender).unique_bytes + (64 << 20),
        };
        let sum = |trees: bool| -> u64 {
            let some = self.contenders.iter().filter(|one| (**one == Contender::CopyTree) == trees);
            some.map(|one| bytes(one) * one.caches().len() as u64).sum()
        };
        let blocks = 2 * 4096 * self.all.messages;
        u64::from(trees) * (sum(true) + blocks) + u64::from(others) * sum(false) + (2 << 30)
    }
}

/// A new store with the corpus in it.
fn imported_into(corpus: &Path, folder: &Path, options: OpenOptions) -> Result<Counted, String> {
    let store = new_store_with(folder, options)?;
    import_site(corpus, &store.0, &ImportOptions::default(), &mut |_| Flow::Continue)
        .map_err(|error| format!("importing {}: {error}", corpus.display()))?;
    Ok(store)
}

/// Delivers what a store holds into another, to all mailboxes in turn, in groups of 100.
fn deliver_in_turn(from: &Store, to: &Store) -> Result<(), String> {
    let mut queues: Vec<Vec<(Place, Message)>> = Vec::new();
    for info in from.mailboxes().map_err(told)? {
        let mailbox = to.create_mailbox(&info.name, MailboxState::Active).map_err(told)?;
        let mut queue = Vec::new();
        for folder in from.folders(info.id).map_err(told)? {
            let made = to.create_folder(mailbox, &folder.name, NewFolder::default());
            let place = (mailbox, made.map_err(told)?.id);
            let messages = from.messages(info.id, folder.id, Uid(0), usize::MAX);
            queue.extend(messages.map_err(told)?.into_iter().map(|message| (place, message)));
        }
        queue.sort_by_key(|(_, message)| std::cmp::Reverse(message.internal_date_seconds));
        queues.push(queue);
    }
    let mut group = Vec::new();
    while queues.iter().any(|queue| !queue.is_empty()) {
        for ((mailbox, folder), message) in queues.iter_mut().filter_map(Vec::pop) {
            let append = Append {
                body: from.body(&message.content).map_err(told)?,
                internal_date_seconds: message.internal_date_seconds,
                flags: message.flags,
                keywords: message.keywords,
                ..Append::default()
            };
            group.push((mailbox, folder, append));
        }
        if group.len() >= 100 {
            to.append_batch(std::mem::take(&mut group)).map_err(told)?;
        }
    }
    to.append_batch(group).map(|_| ()).map_err(told)
}

/// Writes the contents of some mailboxes, each once, into one file.
fn write_contents(store: &Store, names: Vec<MailboxName>, to: &Path) -> Result<Load, String> {
    let unwritable = |error: std::io::Error| format!("{}: {error}", to.display());
    let wanted: BTreeSet<&MailboxName> = names.iter().collect();
    let mut file = BufWriter::new(File::create(to).map_err(unwritable)?);
    let mut load = Load::default();
    let mut seen = HashSet::new();
    let mailboxes = store.mailboxes().map_err(told)?;
    for info in mailboxes.into_iter().filter(|info| wanted.contains(&info.name)) {
        for folder in store.folders(info.id).map_err(told)? {
            let messages = store.messages(info.id, folder.id, Uid(0), usize::MAX);
            for message in messages.map_err(told)? {
                load.messages += 1;
                if seen.insert(message.content) {
                    let body = store.body(&message.content).map_err(told)?;
                    load.contents += 1;
                    load.unique_bytes += body.len() as u64;
                    file.write_all(&body).map_err(unwritable)?;
                }
            }
        }
    }
    file.flush().map_err(unwritable)?;
    Ok(Load { mailboxes: names, ..load })
}
