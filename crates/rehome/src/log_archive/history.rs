//! Whether a set has the log of this history of the store: a store that was put back from a copy of
//! its files has the same identity, and writes other records at places that were archived before.

use std::sync::Arc;

use rehome_archive::{LogEntry, Set, Target};
use rehome_log::Lsn;
use rehome_store::{LogPolicy, LogRecord, Store};

use crate::error::Error;

/// The log that the set has up to `archived` is that of `store`. What the store itself has noted as
/// archived is; the records behind that are compared.
pub(super) fn expect_same(
    store: &Store,
    target: &Arc<dyn Target>,
    archived: Lsn,
) -> Result<(), Error> {
    let last = store.roll_log().map_err(Error::chain)?;
    if archived > last {
        return Err(other_history(format!("the store's log ends at {last}, before that")));
    }
    let LogPolicy::Archived { archived_until, .. } = store.log_policy().map_err(Error::chain)?
    else {
        return Ok(());
    };
    if archived <= archived_until {
        return Ok(());
    }
    let set = Set::open(Arc::clone(target)).map_err(Error::chain)?;
    let mut reader = store.read_log(archived_until, archived).map_err(Error::chain)?;
    for info in set.logs().map_err(Error::chain)? {
        if info.last <= archived_until {
            continue;
        }
        let segment = set.log(&info).map_err(Error::chain)?;
        for entry in segment.entries(archived_until) {
            let entry = entry.map_err(Error::chain)?;
            let mut own = reader.next_record().map_err(Error::chain)?;
            while own.as_ref().is_some_and(|record| record.lsn < entry.lsn) {
                own = reader.next_record().map_err(Error::chain)?;
            }
            if !own.is_some_and(|record| is_same(&record, &entry)) {
                return Err(other_history(format!("record {} is another one", entry.lsn)));
            }
        }
    }
    Ok(())
}

fn is_same(record: &LogRecord, entry: &LogEntry) -> bool {
    (record.lsn, record.prev_lsn, record.wall_us) == (entry.lsn, entry.previous, entry.wall_us)
        && record.payload == entry.payload
}

fn other_history(what: String) -> Error {
    Error::bad_input(format!(
        "the set has log of this store that the store does not have: {what}. The store was put \
         back to an earlier state by other means than a restore, and its log would repeat places \
         that the set has already; nothing was archived; keep this set for the former history, \
         and name another folder"
    ))
}
