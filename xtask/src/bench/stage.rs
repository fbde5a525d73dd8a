//! What all contenders start from: the source store, files of the same bytes, the Maildirs.

use std::collections::{BTreeSet, HashSet};
use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use rehome::parts::log::{RealDisk, SystemClock};
use rehome::parts::store::{
    Flow, ImportOptions, MailboxName, OpenOptions, Store, Uid, import_site,
};

use crate::bench::contender::Contender;
use crate::bench::disk::{self, Eviction};

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
    pub(crate) maildirs: PathBuf,
    pub(crate) source: Store,
    pub(crate) source_disk: Arc<RealDisk>,
    pub(crate) all: Load,
    pub(crate) half: Load,
    /// Bytes of all messages, shared contents counted for each.
    pub(crate) message_bytes: u64,
    pub(crate) eviction: Eviction,
    contenders: Vec<Contender>,
}

impl Stage {
    /// Imports the corpus into a store and writes its contents into one file.
    pub(crate) fn set_up(corpus: &Path, scratch: &Path) -> Result<Stage, String> {
        let (source, source_disk) = new_store(&scratch.join("source"))?;
        let options = ImportOptions::default();
        import_site(corpus, &source, &options, &mut |_| Flow::Continue)
            .map_err(|error| format!("importing {}: {error}", corpus.display()))?;
        let names = source.mailboxes().map_err(|error| error.to_string())?;
        let names: Vec<_> = names.into_iter().map(|info| info.name).collect();
        let some = names[..names.len().div_ceil(2)].to_vec();
        let all = write_contents(&source, names, &scratch.join("all.bytes"))?;
        let half = write_contents(&source, some, &scratch.join("half.bytes"))?;
        let statistics = source.statistics().map_err(|error| error.to_string())?;
        let mut contenders = Contender::ALWAYS.to_vec();
        let mut maildirs = corpus.to_owned();
        if disk::is_installed("doveadm") {
            // It writes index files into the Maildirs that it reads.
            maildirs = scratch.join("maildirs");
            disk::finish(Command::new("cp").arg("-a").arg(corpus).arg(&maildirs))?;
            contenders.push(Contender::Dovecot);
        }
        disk::sync_folder(scratch)?;
        Ok(Stage {
            scratch: scratch.to_owned(),
            maildirs,
            source,
            source_disk,
            all,
            half,
            message_bytes: statistics.message_bytes,
            eviction: Eviction::possible(),
            contenders,
        })
    }

    pub(crate) fn scratch(&self) -> &Path {
        &self.scratch
    }

    pub(crate) fn contenders(&self) -> &[Contender] {
        &self.contenders
    }

    /// What a contender reads.
    pub(crate) fn source_of(&self, contender: Contender) -> PathBuf {
        match contender {
            Contender::MoveAll | Contender::MoveHalf => self.scratch.join("source"),
            Contender::CopyAll => self.scratch.join("all.bytes"),
            Contender::CopyHalf => self.scratch.join("half.bytes"),
            Contender::CopyTree | Contender::Dovecot => self.maildirs.clone(),
        }
    }

    /// What a contender carries.
    pub(crate) fn load_of(&self, contender: Contender) -> &Load {
        match contender {
            Contender::MoveHalf | Contender::CopyHalf => &self.half,
            _ => &self.all,
        }
    }

    /// What all rounds together write, roughly.
    pub(crate) fn bytes_for(&self, rounds: u32) -> u64 {
        let copies = 2 * (self.all.unique_bytes + self.half.unique_bytes);
        let trees = if self.contenders.contains(&Contender::Dovecot) { 2 } else { 1 };
        let blocks = 4096 * self.all.messages;
        2 * u64::from(rounds) * (copies + trees * (self.message_bytes + blocks) + (256 << 20))
    }
}

/// An empty store in a new folder, and its disk.
pub(crate) fn new_store(folder: &Path) -> Result<(Store, Arc<RealDisk>), String> {
    fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let disk = Arc::new(RealDisk::new(folder));
    let options = OpenOptions::default();
    let store = Store::create(disk.clone(), Arc::new(SystemClock), options);
    Ok((store.map_err(|error| error.to_string())?, disk))
}

/// Writes the contents of some mailboxes, each once, into one file.
fn write_contents(store: &Store, names: Vec<MailboxName>, to: &Path) -> Result<Load, String> {
    let failed = |error: rehome::parts::store::StoreError| error.to_string();
    let unwritable = |error: std::io::Error| format!("{}: {error}", to.display());
    let wanted: BTreeSet<&MailboxName> = names.iter().collect();
    let mut file = BufWriter::new(File::create(to).map_err(unwritable)?);
    let mut load = Load::default();
    let mut seen = HashSet::new();
    let mailboxes = store.mailboxes().map_err(failed)?;
    for info in mailboxes.into_iter().filter(|info| wanted.contains(&info.name)) {
        for folder in store.folders(info.id).map_err(failed)? {
            let messages = store.messages(info.id, folder.id, Uid(0), usize::MAX);
            for message in messages.map_err(failed)? {
                load.messages += 1;
                if seen.insert(message.content) {
                    let body = store.body(&message.content).map_err(failed)?;
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
