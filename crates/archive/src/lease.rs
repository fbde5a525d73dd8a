//! Leases: files that keep retention and restores out of each other's way.
//!
//! Each side writes its own first and then looks for the other's; so of two that start at once, at
//! least one sees the other.

use std::io;
use std::sync::Arc;

use serde::Serialize;

use crate::error::ArchiveError;
use crate::ids::{BackupId, hex};
use crate::set_file::write;
use crate::target::Target;
use crate::text;

/// Folder of the leases.
const LEASE: &str = "lease";
/// Tries to find a name that is free.
const ATTEMPTS: u32 = 100;

/// What a lease is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LeaseKind {
    /// Backups are being read.
    Restore,
    /// Backups are being taken away.
    Expire,
}

impl LeaseKind {
    fn word(self) -> &'static str {
        match self {
            LeaseKind::Restore => "restore",
            LeaseKind::Expire => "expire",
        }
    }
}

/// A lease that is held.
pub struct Lease {
    target: Arc<dyn Target>,
    name: String,
    kind: LeaseKind,
    account: String,
    until_us: i64,
}

#[derive(Serialize)]
struct LeaseText<'a> {
    kind: LeaseKind,
    account: &'a str,
    begun_us: i64,
    until_us: i64,
}

impl Lease {
    /// Takes a lease until `until_us`, if no lease of the other kind is held now.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Leased`] if there is one, and the target's errors.
    pub(crate) fn take(
        target: &Arc<dyn Target>,
        kind: LeaseKind,
        account: &str,
        (begun_us, until_us): (i64, i64),
    ) -> Result<Lease, ArchiveError> {
        let text = text::seal_json(&LeaseText { kind, account, begun_us, until_us })?;
        for attempt in 0..ATTEMPTS {
            let mut hasher = blake3::Hasher::new();
            hasher.update(&text).update(&attempt.to_le_bytes());
            let id = hex(&hasher.finalize().as_bytes()[..8]);
            let name = format!("{LEASE}/{until_us:020}-{}-{id}", kind.word());
            match write(&**target, &name, &text) {
                Err(ArchiveError::Busy { .. }) => continue,
                Err(ArchiveError::Target { source, .. })
                    if source.kind() == io::ErrorKind::AlreadyExists =>
                {
                    continue;
                }
                Err(error) => return Err(error),
                Ok(()) => {}
            }
            let (target, account) = (Arc::clone(target), account.to_owned());
            let lease = Lease { target, name, kind, account, until_us };
            return match other(&*lease.target, kind, begun_us)? {
                None => Ok(lease),
                Some(held) => {
                    lease.release()?;
                    Err(ArchiveError::Leased { file: held })
                }
            };
        }
        Err(ArchiveError::Busy { file: LEASE.to_owned() })
    }

    /// Until when it holds, microseconds since 1970.
    #[must_use]
    pub fn until_us(&self) -> i64 {
        self.until_us
    }

    /// Takes it anew until `until_us`, then gives the old one back.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Leased`] if it had ended and one of the other kind was taken since; the
    /// target's errors. The old one holds then for as long as it would have.
    pub fn renew(&mut self, now_us: i64, until_us: i64) -> Result<(), ArchiveError> {
        let times = (now_us, until_us);
        let next = Lease::take(&self.target, self.kind, &self.account, times)?;
        std::mem::replace(self, next).release()
    }

    /// Gives it back. One that is not given back ends by itself.
    ///
    /// # Errors
    ///
    /// The target's errors.
    pub fn release(self) -> Result<(), ArchiveError> {
        self.target.remove(&self.name).map_err(ArchiveError::target(&self.name, "remove it"))
    }
}

/// A lease of another kind than `kind` that holds at `now_us`.
fn other(
    target: &dyn Target,
    kind: LeaseKind,
    now_us: i64,
) -> Result<Option<String>, ArchiveError> {
    let names = target.list(LEASE).map_err(ArchiveError::target(LEASE, "list it"))?;
    let holds = |name: &&String| {
        let mut parts = name.splitn(3, '-');
        let (until, word, id) = (parts.next(), parts.next(), parts.next());
        let until = until.and_then(|until| until.parse::<i64>().ok());
        let id = id.and_then(|id| id.parse::<BackupId>().ok());
        id.is_some() && word != Some(kind.word()) && until.is_some_and(|until| until > now_us)
    };
    Ok(names.iter().find(holds).map(|name| format!("{LEASE}/{name}")))
}
