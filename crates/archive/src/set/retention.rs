//! Taking away what nothing needs any more, and keeping it while it is read.

use std::io;

use rehome_log::Lsn;

use super::Set;
use super::notes::newest;
use crate::error::ArchiveError;
use crate::expire::{ExpirePlan, plan_expire};
use crate::lease::{Lease, LeaseKind};
use crate::names::{MANIFEST, NOTE, parity_name, parse_note_name};

/// How long retention may take, in microseconds.
const EXPIRE_US: i64 = 3600 * 1_000_000;

impl Set {
    /// Plans retention; nothing is touched.
    ///
    /// # Errors
    ///
    /// As [`plan_expire`], and the target's errors.
    pub fn plan_expire(&self, keep_full: usize) -> Result<ExpirePlan, ArchiveError> {
        plan_expire(&self.list()?, &self.logs()?, keep_full)
    }

    /// Takes away what [`Set::plan_expire`] says, and returns what that was. A backup loses its
    /// manifest first: what is left of one after a crash is an unfinished backup.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Leased`] while a restore reads the set; and as [`Set::plan_expire`].
    pub fn expire(
        &self,
        keep_full: usize,
        account: &str,
        now_us: i64,
    ) -> Result<ExpirePlan, ArchiveError> {
        let times = (now_us, now_us.saturating_add(EXPIRE_US));
        let lease = Lease::take(&self.target, LeaseKind::Expire, account, times)?;
        let done = self.plan_expire(keep_full).and_then(|plan| {
            for backup in &plan.backups {
                self.remove_folder(&backup.folder)?;
            }
            plan.logs.iter().try_for_each(|file| self.remove(file))?;
            self.remove_notes(plan.log_below)?;
            Ok(plan)
        });
        lease.release()?;
        done
    }

    /// Keeps everything in the set until `until_us`, while it is read.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Leased`] while retention takes backups away, and the target's errors.
    pub fn lease(&self, account: &str, now_us: i64, until_us: i64) -> Result<Lease, ArchiveError> {
        Lease::take(&self.target, LeaseKind::Restore, account, (now_us, until_us))
    }

    /// Takes notes away that say nothing of a moment from `below` on: a later one took their place.
    fn remove_notes(&self, below: Lsn) -> Result<(), ArchiveError> {
        let names = self.notes()?;
        let is_over = |name: &&String| {
            parse_note_name(name).is_some_and(|(lsn, _, what)| {
                lsn <= below && newest(&names, what, below).is_some_and(|(_, one)| one != *name)
            })
        };
        names.iter().filter(is_over).try_for_each(|name| self.remove(&format!("{NOTE}/{name}")))
    }

    fn remove_folder(&self, folder: &str) -> Result<(), ArchiveError> {
        self.remove(&format!("{folder}/{MANIFEST}"))?;
        let names = self.target.list(folder).map_err(ArchiveError::target(folder, "list it"))?;
        names.iter().try_for_each(|name| {
            self.remove(&parity_name(folder, name))?;
            self.remove(&format!("{folder}/{name}"))
        })
    }

    fn remove(&self, name: &str) -> Result<(), ArchiveError> {
        match self.target.remove(name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed.map_err(ArchiveError::target(name, "remove it")),
        }
    }
}
