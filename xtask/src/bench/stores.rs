//! Stores to measure: made, filled, and moved between. All moves of all measurements are made here.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rehome::parts::log::{RealDisk, SplitMix64, SystemClock};
use rehome::parts::store::{
    Append, Flow, FolderId, FolderName, HomeDirectory, LocalSource, LocalTarget, MailboxId,
    MailboxInfo, MailboxName, MailboxState, MoveEvent, MoveJob, MoveReport, NewFolder, OpenOptions,
    Store, TransferError, bulk_move,
};
use rehome::sample::SampleOptions;

/// An error as text.
pub(crate) fn told<E: Display>(error: E) -> String {
    error.to_string()
}

/// A store and its disk, which counts.
pub(crate) type Counted = (Store, Arc<RealDisk>);

/// An empty store in a new folder.
pub(crate) fn new_store(folder: &Path) -> Result<Counted, String> {
    new_store_with(folder, OpenOptions::default())
}

/// The same, with other choices than the default.
pub(crate) fn new_store_with(folder: &Path, options: OpenOptions) -> Result<Counted, String> {
    fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let disk = Arc::new(RealDisk::new(folder));
    let store = Store::create(disk.clone(), Arc::new(SystemClock), options);
    Ok((store.map_err(told)?, disk))
}

/// Where messages are delivered to.
pub(crate) type Place = (MailboxId, FolderId);

/// The name of a made-up mailbox.
pub(crate) fn name_of(number: usize) -> MailboxName {
    MailboxName::try_from(format!("user{number:05}").as_str()).expect("it is a name")
}

/// Makes mailboxes with an inbox each.
pub(crate) fn make_places(store: &Store, count: usize) -> Result<Vec<Place>, String> {
    let make = |number| {
        let id = store.create_mailbox(&name_of(number), MailboxState::Active).map_err(told)?;
        let inbox = store.create_folder(id, &FolderName::inbox(), NewFolder::default());
        Ok((id, inbox.map_err(told)?.id))
    };
    (0..count).map(make).collect()
}

/// The inboxes of all mailboxes of a store.
pub(crate) fn places_of(store: &Store) -> Result<Vec<Place>, String> {
    let place = |info: MailboxInfo| {
        let inbox = store.folder(info.id, &FolderName::inbox()).map_err(told)?;
        let inbox = inbox.ok_or_else(|| format!("{} has no inbox", info.name))?;
        Ok((info.id, inbox.id))
    };
    store.mailboxes().map_err(told)?.into_iter().map(place).collect()
}

/// Text that no message is made without; as long as nothing repeats in a message of its size.
static TEXT: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut random = SplitMix64::new(0);
    let mut text = Vec::with_capacity(TEXT_BYTES + 80);
    while text.len() < TEXT_BYTES {
        (0..4).for_each(|_| text.extend_from_slice(&hex(random.next_u64())));
        text.extend_from_slice(b"\r\n");
    }
    text
});
const TEXT_BYTES: usize = 256 << 10;

/// A made-up message of so many bytes that no other number has. Making it costs little beside
/// delivering it.
pub(crate) fn message(number: u64, size: usize) -> Append {
    let mut body = format!(
        "Message-ID: <{number}@bench.example>\r\nFrom: a@bench.example\r\n\
         Subject: message {number}\r\n\r\n"
    )
    .into_bytes();
    let mut from = usize::try_from(number.wrapping_mul(977) % TEXT.len() as u64).expect("an index");
    while body.len() < size {
        let text = &TEXT[from..];
        body.extend_from_slice(&text[..text.len().min(size - body.len())]);
        from = 0;
    }
    body.truncate(size);
    Append { body, internal_date_seconds: 1_700_000_000, ..Append::default() }
}

fn hex(number: u64) -> [u8; 16] {
    std::array::from_fn(|digit| b"0123456789abcdef"[(number >> (60 - 4 * digit)) as usize & 15])
}

/// Appends messages `from..to` in groups of 100, to each place in turn.
pub(crate) fn fill(
    store: &Store,
    places: &[Place],
    numbers: std::ops::Range<u64>,
    size: usize,
) -> Result<(), String> {
    let mut from = numbers.start;
    while from < numbers.end {
        let to = from.saturating_add(100).min(numbers.end);
        let append = |number: u64| {
            let place = usize::try_from(number % places.len() as u64).expect("an index");
            let (mailbox, folder) = places[place];
            (mailbox, folder, message(number, size))
        };
        store.append_batch((from..to).map(append).collect()).map_err(told)?;
        from = to;
    }
    Ok(())
}

/// Homes in memory, so that the disk has only the stores to do. Clones share them.
#[derive(Default, Clone)]
pub(crate) struct Homes(Arc<Mutex<BTreeMap<MailboxName, String>>>);

impl Homes {
    /// The home of a mailbox; `A` if it has never moved.
    pub(crate) fn of(&self, mailbox: &MailboxName) -> String {
        let homes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        homes.get(mailbox).cloned().unwrap_or_else(|| "A".to_owned())
    }
}

impl HomeDirectory for Homes {
    fn home(&mut self, mailbox: &MailboxName) -> Result<String, TransferError> {
        Ok(self.of(mailbox))
    }

    fn set_home(&mut self, mailbox: &MailboxName, _: &str, to: &str) -> Result<(), TransferError> {
        let mut homes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        homes.insert(mailbox.clone(), to.to_owned());
        Ok(())
    }
}

/// A move that was made.
pub(crate) struct Moved {
    pub(crate) took: Duration,
    /// Until source and target had been compared.
    pub(crate) offered: Duration,
    /// Until the first mailbox was fenced.
    pub(crate) fenced: Duration,
    pub(crate) report: MoveReport,
}

/// Moves mailboxes from one server, `A` or `B`, to the other; the time is from the call to its
/// return.
pub(crate) fn move_mailboxes(
    (source, from): (&Store, &str),
    (target, to): (&Store, &str),
    homes: &mut Homes,
    names: &[MailboxName],
) -> Result<Moved, String> {
    let mut source = LocalSource::new(source.clone());
    let mut target = LocalTarget::new(target.clone());
    let job = MoveJob::new(names.to_vec(), from, to);
    let (mut offered, mut fenced) = (None, None);
    let begun = Instant::now();
    let mut observe = |event| {
        match event {
            MoveEvent::Offered { .. } => offered.get_or_insert_with(|| begun.elapsed()),
            MoveEvent::Fenced { .. } => fenced.get_or_insert_with(|| begun.elapsed()),
            _ => return Flow::Continue,
        };
        Flow::Continue
    };
    let report = bulk_move(&mut source, &mut target, homes, &job, &SystemClock, &mut observe);
    let took = begun.elapsed();
    let report = report.map_err(told)?;
    if report.moved.len() != names.len() {
        return Err(format!("{} of {} mailboxes were moved", report.moved.len(), names.len()));
    }
    let (offered, fenced) = (offered.unwrap_or_default(), fenced.unwrap_or(took));
    Ok(Moved { took, offered, fenced, report })
}

/// Makes a store take writes to mailboxes again that have moved away, for the next move.
pub(crate) fn take_back(store: &Store, names: &[MailboxName]) -> Result<(), String> {
    for name in names {
        let info = store.mailbox(name).map_err(told)?;
        let info = info.ok_or_else(|| format!("{name} is gone from the source"))?;
        store.set_state(info.id, MailboxState::Active).map_err(told)?;
    }
    Ok(())
}

/// Writes the made-up site that is used when no corpus is named.
pub(crate) fn made_up_site(scratch: &Path) -> Result<PathBuf, String> {
    let options = SampleOptions { mailboxes: 20, messages: 500, ..SampleOptions::default() };
    let report = rehome::write_sample(&scratch.join("site"), &options).map_err(told)?;
    let site = report.site_file.parent().expect("the site file lies in a folder");
    let mail = site.join("mail");
    Ok(if mail.is_dir() { mail } else { site.to_owned() })
}
