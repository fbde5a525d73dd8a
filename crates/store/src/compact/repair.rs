//! Damaged contents written anew, from bytes that are whole.

use super::rewrite::begin;
use crate::content_run::ContentRun;
use crate::engine::{Compaction, Request, Shared};
use crate::error::{StoreError, doing, filling};
use crate::record;
use crate::segment::file_name;

/// Writes `bodies`, each with the number of its content, into a new segment; once that is durable,
/// one group says that the contents lie there. The damaged records stay where they are until a
/// compaction finds that nobody needs them.
pub(crate) fn repair(shared: &Shared, bodies: &[(u64, Vec<u8>)]) -> Result<(), StoreError> {
    if bodies.is_empty() {
        return Ok(());
    }
    let _alone = shared.compactor.alone();
    let mut new = begin(shared)?;
    for (_, body) in bodies {
        let mut run = ContentRun::check(&record::encode(body).bytes)?;
        new.append(&mut run).map_err(filling("writing", file_name(new.id())))?;
    }
    new.finish().map_err(doing(format!("ending segment {}", new.id())))?;
    let places = new.records().iter().map(|(_, extent, _)| *extent);
    let moves = bodies.iter().map(|(number, _)| *number).zip(places).collect();
    let sealed = Some((new.id(), new.len_bytes(), new.records().len() as u64));
    // From here on the group may be in the log, whatever the answer is.
    new.keep();
    let compaction = Compaction { sealed, moves, ..Compaction::default() };
    let committed = shared.commit(Request::Compact(compaction));
    if let Err(StoreError::DiskFull { .. }) = &committed {
        // Nothing names it; whoever makes room must not lose room by it.
        drop(shared.disk.remove(&file_name(new.id())));
    }
    shared.progress.wait_for(committed?.1)
}
