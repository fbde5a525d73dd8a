//! What the tests of several modules share: listings of made-up sets.

use rehome_log::Lsn;

use crate::feature::Features;
use crate::ids::{BackupId, SegmentId, SetId, StoreId};
use crate::info::{BackupInfo, BackupState, LogInfo};
use crate::kind::BackupKind;
use crate::manifest::{BackupHeader, BaseReference, FORMAT_VERSION, LogRange, Manifest, Totals};

/// A complete backup with id `id` in all bytes that shows LSN `lsn`, made at that many seconds.
/// Full ones hold the catalog.
pub(crate) fn backup(id: u8, kind: BackupKind, lsn: u64, base: Option<u8>) -> BackupInfo {
    let lsn_end = Lsn::from_u64(lsn);
    let header = BackupHeader {
        kind,
        store_id: StoreId([7; 16]),
        store_epoch: 1,
        lsn_begin: lsn_end,
        lsn_end,
        wall_us: i64::try_from(lsn).unwrap() * 1_000_000,
        software: "test".to_owned(),
        account: "tester".to_owned(),
    };
    let base = base
        .map(|base| BaseReference { backup_id: BackupId([base; 8]), manifest_hash: hash(base) });
    let manifest = Manifest {
        format: FORMAT_VERSION,
        features: match kind {
            BackupKind::Full => Features::default().with_catalog(),
            _ => Features::default(),
        },
        set_id: SetId([1; 16]),
        backup_id: BackupId([id; 8]),
        base,
        header,
        log_required: LogRange { begin: lsn_end, end: lsn_end },
        totals: Totals { stored_bytes: 100, ..Totals::default() },
        absent: Vec::new(),
        volumes: Vec::new(),
        root: String::new(),
        envelope: None,
    };
    BackupInfo {
        id: BackupId([id; 8]),
        folder: format!("base/{id}"),
        kind,
        lsn_end,
        state: BackupState::Complete,
        manifest: Some(manifest),
        manifest_hash: Some(hash(id)),
    }
}

fn hash(id: u8) -> String {
    format!("hash of {id}")
}

/// A log segment that goes on after LSN `after` up to LSN `last`.
pub(crate) fn segment(after: u64, last: u64) -> LogInfo {
    let (after, last) = (Lsn::from_u64(after), Lsn::from_u64(last));
    let file = format!("log/{after}-{last}");
    LogInfo { file, id: SegmentId([9; 8]), after, last }
}
