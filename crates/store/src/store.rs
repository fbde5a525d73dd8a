//! The store: what callers hold.

mod archive;
mod compact;
mod purge;
mod read;
mod retain;
mod write;

use std::path::Path;
use std::sync::Arc;

use rehome_log::{Clock, Disk, Lsn, RealDisk, SystemClock};

use crate::check::{self, CheckProgress, CheckReport, ScrubOptions, ScrubReport};
use crate::engine::{Engine, Shared};
use crate::error::StoreError;
use crate::flow::Flow;
use crate::identity::{Identity, identity_name};
use crate::model::Statistics;
use crate::open::{self, RebuildReport, SalvageReport};
use crate::options::OpenOptions;
use crate::place::placed_disk;
use crate::snapshot::Snapshot;
use crate::subscribe::Subscription;

/// A mailbox store.
///
/// Clones are handles to the same one; calls may come from any thread and block until they are
/// done. A change that was acknowledged (its call returned `Ok`) survives a power cut, and whoever
/// reads afterwards sees it. When the last handle is dropped, what waits is committed and the
/// threads end; [`close`](Store::close) also makes a checkpoint, so that the next opening is quick.
#[derive(Clone)]
pub struct Store {
    engine: Arc<Engine>,
    id: [u8; 16],
    epoch: u64,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("epoch", &self.epoch).finish_non_exhaustive()
    }
}

impl Store {
    /// Creates an empty store in the disk's root folder.
    ///
    /// # Errors
    ///
    /// [`StoreError::StoreExists`] if the folder holds one, or a part of one;
    /// [`StoreError::Locked`], [`StoreError::Io`].
    pub fn create(
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
        options: OpenOptions,
    ) -> Result<Store, StoreError> {
        Store::of(open::create(disk, clock, options)?)
    }

    /// Opens the store in the disk's root folder, after bringing its catalog up to date. If log or
    /// segments lie elsewhere, the disk has to show them: [`placed_disk`] makes such a one.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoStore`], [`StoreError::Locked`], [`StoreError::UnsupportedVersion`],
    /// [`StoreError::RestoreInProgress`], [`StoreError::Damaged`] with place and remedy if
    /// something that was acknowledged is not there any more, [`StoreError::Io`]. Nothing that
    /// counts was changed then.
    pub fn open(
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
        options: OpenOptions,
    ) -> Result<Store, StoreError> {
        Store::of(open::open(disk, clock, options)?)
    }

    /// Builds the catalog of the store in the disk's root folder anew, from its newest whole base
    /// and the log, or from the whole log, and opens it. The old catalog's file is kept under
    /// another name. Segments and log stay as they are.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`] if base or log do not reach; and as [`Store::open`].
    pub fn rebuild(
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
        options: OpenOptions,
    ) -> Result<(Store, RebuildReport), StoreError> {
        let (engine, report) = open::rebuild(disk, clock, options)?;
        Ok((Store::of(engine)?, report))
    }

    /// Opens the store in the disk's root folder without its log, which cannot be read: with what
    /// the catalog, or a base of it, and the records that follow hold. What lies behind the damage
    /// is given up; the report says what is known of it. UIDs and modseqs go on higher, so that no
    /// client takes new mail for what was given up. Catalog and log are kept under other names.
    /// A new log begins, which is circular.
    ///
    /// # Errors
    ///
    /// [`StoreError::LogIsWhole`] if it can be read; [`StoreError::Damaged`] if neither the catalog
    /// nor a base is whole; and as [`Store::open`]. Called again, it goes on where it was cut
    /// short.
    pub fn salvage(
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
        options: OpenOptions,
    ) -> Result<(Store, SalvageReport), StoreError> {
        let (engine, report) = open::salvage(disk, clock, options)?;
        Ok((Store::of(engine)?, report))
    }

    /// Says what [`Store::salvage`] would keep and give up, and changes nothing.
    ///
    /// # Errors
    ///
    /// As [`Store::salvage`].
    pub fn preview_salvage(
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
        options: OpenOptions,
    ) -> Result<SalvageReport, StoreError> {
        open::preview(disk, clock, options)
    }

    /// Creates an empty store in folder `path`, made if need be.
    ///
    /// # Errors
    ///
    /// As [`Store::create`].
    pub fn create_at(path: &Path, options: OpenOptions) -> Result<Store, StoreError> {
        Store::create(Arc::new(RealDisk::new(path)), Arc::new(SystemClock), options)
    }

    /// Opens the store in folder `path`, with log and segments where its settings say.
    ///
    /// # Errors
    ///
    /// As [`Store::open`] and [`placed_disk`].
    pub fn open_at(path: &Path, options: OpenOptions) -> Result<Store, StoreError> {
        Store::open(Arc::new(placed_disk(path)?), Arc::new(SystemClock), options)
    }

    /// Identity of the store in the disk's root folder, which is not opened.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoStore`], [`StoreError::UnsupportedVersion`], [`StoreError::Damaged`],
    /// [`StoreError::Io`].
    pub fn identify(disk: &dyn Disk) -> Result<[u8; 16], StoreError> {
        let missing = || StoreError::NoStore { place: identity_name().to_string() };
        Identity::read(disk)?.ok_or_else(missing)?.id()
    }

    /// What the threads and the callers share.
    pub(crate) fn shared(&self) -> Result<Arc<Shared>, StoreError> {
        self.engine.shared()
    }

    fn of(engine: Engine) -> Result<Store, StoreError> {
        let shared = engine.shared()?;
        let (id, epoch) = (shared.shape.store_id, shared.shape.epoch);
        Ok(Store { engine: Arc::new(engine), id, epoch })
    }

    /// Identity of the store.
    #[must_use]
    pub fn id(&self) -> [u8; 16] {
        self.id
    }

    /// Fencing epoch of this opening.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// What a person should know about this opening, one message each: settings that cannot be
    /// used. Empty if there is nothing, or the store is closed.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        self.engine.shared().map_or_else(|_| Vec::new(), |shared| shared.notes.clone())
    }

    /// What the store is run with: the options of this opening, with settings filled in.
    ///
    /// # Errors
    ///
    /// [`StoreError::Closed`].
    pub fn options(&self) -> Result<OpenOptions, StoreError> {
        Ok(self.engine.shared()?.options.clone())
    }

    /// The last group acknowledged; [`Lsn::ZERO`] if there is none, or the store is closed.
    #[must_use]
    pub fn lsn(&self) -> Lsn {
        self.engine.shared().map_or(Lsn::ZERO, |shared| shared.progress.acknowledged())
    }

    /// A view of the catalog with everything acknowledged before the call.
    ///
    /// # Errors
    ///
    /// [`StoreError::Closed`], [`StoreError::Poisoned`], [`StoreError::Catalog`].
    pub fn snapshot(&self) -> Result<Snapshot, StoreError> {
        let shared = self.engine.shared()?;
        // What lies in closed generations before the view is made is in it.
        let mark = shared.keeping.settled(Lsn::ZERO);
        Snapshot::new(shared.view()?, Arc::clone(&shared.segments), mark)
    }

    /// Everything that changes after group `since`, from [`Store::lsn`] or from an earlier event.
    ///
    /// # Errors
    ///
    /// [`StoreError::NamesGap`] if the log does not reach back so far, [`StoreError::Closed`].
    pub fn subscribe(&self, since: Lsn) -> Result<Subscription, StoreError> {
        Subscription::begin(&self.engine, since)
    }

    /// What the store holds.
    ///
    /// # Errors
    ///
    /// As [`Store::snapshot`].
    pub fn statistics(&self) -> Result<Statistics, StoreError> {
        let shared = self.engine.shared()?;
        let view = shared.view()?;
        let meta = view.meta()?;
        let rows = view.segments()?;
        let segment_bytes = rows.iter().map(|(_, row)| row.len_bytes).sum();
        let live_bytes = rows.iter().map(|(_, row)| row.live_bytes).sum();
        Ok(Statistics {
            mailboxes: meta.mailboxes,
            folders: meta.folders,
            messages: meta.messages,
            message_bytes: meta.message_bytes,
            contents: meta.contents,
            content_bytes: meta.content_bytes,
            dead_contents: meta.dead_contents,
            dead_bytes: meta.dead_bytes,
            segments: rows.len() as u64,
            segment_bytes,
            live_bytes,
            waiting_bytes: shared.compactor.waiting_bytes(),
            log_bytes: shared.log.bytes(),
        })
    }

    /// Makes the catalog durable, and gives up the log that it makes superfluous. Returns the last
    /// group in it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Closed`], [`StoreError::Poisoned`], [`StoreError::Catalog`].
    pub fn checkpoint(&self) -> Result<Lsn, StoreError> {
        self.engine.shared()?.checkpoint()
    }

    /// Commits what waits, makes a checkpoint and closes the store for all handles. Another opening
    /// is possible when calls that were under way have returned.
    ///
    /// # Errors
    ///
    /// [`StoreError::Poisoned`] if the store had stopped before; what was acknowledged is safe.
    pub fn close(self) -> Result<(), StoreError> {
        self.engine.close()
    }

    /// Reads every content and every row and compares: contents with their names, references and
    /// counters with a recount, changes with their index. The store can be used meanwhile; what is
    /// compared is the state at the call.
    ///
    /// # Errors
    ///
    /// What keeps it from looking: [`StoreError::Closed`], [`StoreError::Catalog`],
    /// [`StoreError::Io`], and [`StoreError::Damaged`] for the catalog's own rows. Damaged messages
    /// are no error; they are in the report.
    pub fn check(
        &self,
        progress: &mut dyn FnMut(CheckProgress),
    ) -> Result<CheckReport, StoreError> {
        let shared = self.engine.shared()?;
        check::check(&shared.view()?, &shared.segments, progress)
    }

    /// Reads the contents one after the other, at a bounded rate, and compares them with their
    /// names. The store can be used meanwhile. Stopped or killed, the next call goes on where this
    /// one was, a few seconds back at most; the file `scrub.json` in the store's folder says where.
    ///
    /// What is damaged and whole in `repair_from` is written anew from there, and read again.
    ///
    /// # Errors
    ///
    /// [`StoreError::Stopped`] if `observe` said so; and as [`Store::check`]. Damaged contents are
    /// no error; they are in the report.
    pub fn scrub(
        &self,
        options: ScrubOptions,
        repair_from: Option<&Store>,
        observe: &mut dyn FnMut(CheckProgress) -> Flow,
    ) -> Result<ScrubReport, StoreError> {
        check::scrub(&*self.engine.shared()?, options, repair_from, observe)
    }
}
