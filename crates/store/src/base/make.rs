//! A base in the making: a file that gets its name when it is whole.

use std::sync::Arc;

use rehome_log::{Disk, Lsn, OpenMode, SyncKind};

use super::stream::RowWriter;
use super::{file_name, folder, list, read};
use crate::error::{StoreError, doing};
use crate::identity::remove_if_there;
use crate::segment::OpenFile;
use crate::tree::PART_BYTES;

/// The file of the base at an LSN.
pub(crate) struct Maker {
    disk: Arc<dyn Disk>,
    file: OpenFile,
    store_id: [u8; 16],
    lsn: Lsn,
}

impl Maker {
    /// Makes the file, under a name that means nothing yet.
    pub(crate) fn begin(
        disk: &Arc<dyn Disk>,
        store_id: [u8; 16],
        lsn: Lsn,
    ) -> Result<Maker, StoreError> {
        let unnamed = file_name(lsn, "new");
        let failed = || doing(format!("writing {unnamed}"));
        disk.create_dir(&folder()).map_err(failed())?;
        remove_if_there(&**disk, &unnamed).map_err(failed())?;
        let file = disk.open(&unnamed, OpenMode::CreateNew).map_err(failed())?;
        let file = OpenFile::new(Arc::clone(disk), file);
        Ok(Maker { disk: Arc::clone(disk), file, store_id, lsn })
    }

    /// Has `write` write the rows, makes the file durable under its name, reads it back and removes
    /// older bases. Returns its length; none, and no file, if `write` says so.
    pub(crate) fn fill(
        self,
        write: impl FnOnce(&mut RowWriter<'_>) -> Result<bool, StoreError>,
    ) -> Result<Option<u64>, StoreError> {
        let Maker { disk, file, store_id, lsn } = self;
        let (unnamed, named) = (file_name(lsn, "new"), file_name(lsn, "cat"));
        let failed = || doing(format!("writing {named}"));
        let (mut end, mut synced) = (0, 0);
        let mut put = |bytes: &[u8]| {
            disk.write_at(file.id, end, bytes).map_err(failed())?;
            end += bytes.len() as u64;
            if end - synced >= PART_BYTES {
                disk.sync(file.id, SyncKind::Data).map_err(failed())?;
                synced = end;
            }
            Ok(())
        };
        let mut rows = RowWriter::begin(&mut put, store_id, lsn)?;
        if !write(&mut rows)? {
            remove_if_there(&*disk, &unnamed).map_err(failed())?;
            return Ok(None);
        }
        rows.finish()?;
        disk.sync(file.id, SyncKind::All).map_err(failed())?;
        disk.rename(&unnamed, &named).map_err(failed())?;
        disk.sync_dir(&folder()).map_err(failed())?;
        read(&disk, store_id, lsn, &mut |_, _, _| Ok(()))?;
        for old in list(&*disk)?.into_iter().filter(|old| *old < lsn) {
            // An old base that stays takes room, nothing else; the next one tries again.
            drop(remove_if_there(&*disk, &file_name(old, "cat")));
        }
        Ok(Some(end))
    }
}
