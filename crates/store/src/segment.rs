//! Segments: files of body records, written forward and never changed.

mod frame;
mod private;
mod read;
mod stretch;
mod write;

pub(crate) use frame::{FOOTER_SIZE, Footer, SEGMENT_HEADER_SIZE, Shape};
pub(crate) use private::{PrivateSegment, SegmentNumbers, sync_names};
pub(crate) use read::Segments;
pub(crate) use stretch::{Stretch, loads, stretches};
pub(crate) use write::{OpenSegment, create};

use std::sync::Arc;

use rehome_log::{Disk, FileId, FileName};

use crate::error::{StoreError, doing};

/// The folder of segments.
pub(crate) fn folder() -> FileName {
    FileName::new("seg").expect("a plain name")
}

/// File of segment `id`.
pub(crate) fn file_name(id: u32) -> FileName {
    folder().join(&format!("s{id:08x}.seg")).expect("a plain name")
}

/// The segment number that a name in the folder stands for.
fn number_of(name: &str) -> Option<u32> {
    let digits = name.strip_prefix('s')?.strip_suffix(".seg")?;
    (digits.len() == 8).then(|| u32::from_str_radix(digits, 16).ok()).flatten()
}

/// The segments that there are files of, by number.
pub(crate) fn numbers(disk: &dyn Disk) -> Result<Vec<u32>, StoreError> {
    let names = disk.list(&folder()).map_err(doing("listing the segments"))?;
    Ok(names.iter().filter_map(|name| number_of(name)).collect())
}

/// The highest segment number among the files; 0 if there are none.
pub(crate) fn highest(disk: &dyn Disk) -> Result<u32, StoreError> {
    Ok(numbers(disk)?.into_iter().max().unwrap_or(0))
}

/// An open file, closed when nobody needs it any more.
pub(crate) struct OpenFile {
    disk: Arc<dyn Disk>,
    pub(crate) id: FileId,
}

impl OpenFile {
    pub(crate) fn new(disk: Arc<dyn Disk>, id: FileId) -> OpenFile {
        OpenFile { disk, id }
    }
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        self.disk.close(self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_gives_its_number_back() {
        assert_eq!(file_name(0x1f).as_str(), "seg/s0000001f.seg");
        assert_eq!(number_of("s0000001f.seg"), Some(0x1f));
        for other in ["s1f.seg", "s0000001f.tmp", "x0000001f.seg", "s0000001g.seg"] {
            assert_eq!(number_of(other), None, "{other}");
        }
    }
}
