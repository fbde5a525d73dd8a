//! Chains: a backup and those that it builds upon, found by the hashes of their manifests.

use crate::error::ArchiveError;
use crate::ids::BackupId;
use crate::info::{BackupInfo, BackupState};
use crate::kind::BackupKind;

/// Backup `id` and all that it builds upon, the full one first.
///
/// # Errors
///
/// [`ArchiveError::NoBackup`], [`ArchiveError::Incomplete`], and [`ArchiveError::BrokenChain`]
/// with the place at which the chain does not hold.
pub(crate) fn chain(
    backups: &[BackupInfo],
    id: BackupId,
) -> Result<Vec<&BackupInfo>, ArchiveError> {
    let find = |id: BackupId| backups.iter().find(|backup| backup.id == id);
    let mut chain = vec![find(id).ok_or(ArchiveError::NoBackup { id })?];
    loop {
        let last = chain[chain.len() - 1];
        let broken = |what: String| ArchiveError::BrokenChain { backup: id, at: last.id, what };
        let manifest = match &last.state {
            BackupState::Incomplete if last.id == id => {
                return Err(ArchiveError::Incomplete { id });
            }
            BackupState::Incomplete => return Err(broken("it was never finished".to_owned())),
            BackupState::Unreadable { what } => return Err(broken(what.clone())),
            BackupState::Complete => last.manifest.as_ref(),
        };
        let base = manifest.and_then(|manifest| manifest.base.as_ref());
        let Some(base) = base else {
            if needs_base(last.kind) {
                return Err(broken("its manifest names no base".to_owned()));
            }
            chain.reverse();
            return Ok(chain);
        };
        if chain.iter().any(|backup| backup.id == base.backup_id) {
            return Err(broken("it builds upon itself".to_owned()));
        }
        let missing = || broken(format!("its base {} is not in the set", base.backup_id));
        let next = find(base.backup_id).ok_or_else(missing)?;
        if next.manifest_hash.as_ref() != Some(&base.manifest_hash) {
            let what = format!("its base {} has another manifest than it had", next.id);
            return Err(broken(what));
        }
        if next.lsn_end > last.lsn_end {
            return Err(broken(format!("its base {} shows a later state", next.id)));
        }
        chain.push(next);
    }
}

/// Whether backups of this kind hold changes alone.
pub(crate) fn needs_base(kind: BackupKind) -> bool {
    matches!(kind, BackupKind::Differential | BackupKind::Incremental)
}

/// The backup that a new one of `kind` builds upon: for a differential one the newest full one,
/// for an incremental one the newest that is no copy. Chains that do not hold are passed over.
pub(crate) fn base_for(backups: &[BackupInfo], kind: BackupKind) -> Option<&BackupInfo> {
    let fits = |backup: &&BackupInfo| match (kind, backup.kind) {
        (BackupKind::Differential, BackupKind::Full) => true,
        (BackupKind::Incremental, other) => other != BackupKind::Copy,
        _ => false,
    };
    let mut fitting = backups.iter().filter(fits);
    fitting.rfind(|backup| chain(backups, backup.id).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::backup;

    #[track_caller]
    fn check(backups: &[BackupInfo], id: u8, expected: Result<&[u8], &str>) {
        let chain = chain(backups, BackupId([id; 8]));
        match (chain, expected) {
            (Ok(chain), Ok(expected)) => {
                let ids: Vec<u8> = chain.iter().map(|backup| backup.id.0[0]).collect();
                assert_eq!(ids, expected);
            }
            (Err(error), Err(expected)) => {
                assert!(error.to_string().contains(expected), "{error}");
            }
            (chain, expected) => panic!("{chain:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn a_chain_goes_back_to_a_full_backup() {
        let backups = [
            backup(1, BackupKind::Full, 10, None),
            backup(2, BackupKind::Incremental, 20, Some(1)),
            backup(3, BackupKind::Differential, 30, Some(1)),
            backup(4, BackupKind::Incremental, 40, Some(3)),
            backup(5, BackupKind::Copy, 50, None),
        ];
        check(&backups, 1, Ok(&[1]));
        check(&backups, 2, Ok(&[1, 2]));
        check(&backups, 4, Ok(&[1, 3, 4]));
        check(&backups, 9, Err("no backup"));
        assert_eq!(base_for(&backups, BackupKind::Differential).unwrap().id.0[0], 1);
        assert_eq!(base_for(&backups, BackupKind::Incremental).unwrap().id.0[0], 4);
        assert!(base_for(&backups, BackupKind::Full).is_none());
    }

    #[test]
    fn a_chain_that_does_not_hold_is_refused_with_the_place() {
        let mut backups = [
            backup(1, BackupKind::Full, 10, None),
            backup(2, BackupKind::Incremental, 20, Some(1)),
            backup(3, BackupKind::Incremental, 30, Some(2)),
        ];
        check(&backups[1..], 3, Err("its base 0101010101010101 is not in the set"));
        backups[1].manifest_hash = Some("other".to_owned());
        check(&backups, 3, Err("another manifest"));
        assert_eq!(base_for(&backups, BackupKind::Incremental).unwrap().id.0[0], 2);
        backups[0].state = BackupState::Incomplete;
        check(&backups, 2, Err("never finished"));
        check(&[backup(7, BackupKind::Incremental, 5, Some(7))], 7, Err("upon itself"));
        check(&[backup(7, BackupKind::Incremental, 5, None)], 7, Err("names no base"));
        let late =
            [backup(1, BackupKind::Full, 10, None), backup(2, BackupKind::Incremental, 5, Some(1))];
        check(&late, 2, Err("later state"));
    }
}
