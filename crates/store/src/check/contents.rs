//! Every content: its bytes against its name.

use std::collections::BTreeMap;

use super::{CheckProgress, CheckReport, Damage};
use crate::catalog::{ContentRow, View};
use crate::error::StoreError;
use crate::model::ContentId;
use crate::segment::Segments;
use crate::tree::Scan;

/// Reads contents one after the other; the header of each segment as well that it comes to.
pub(super) struct Reader<'s> {
    segments: &'s Segments,
    segment: Option<u32>,
}

impl<'s> Reader<'s> {
    pub(super) fn new(segments: &'s Segments) -> Reader<'s> {
        Reader { segments, segment: None }
    }

    /// Whether the content lies in another segment than the one before.
    fn is_at_new_segment(&self, row: &ContentRow) -> bool {
        self.segment != Some(row.extent.segment)
    }

    /// Reads the content and compares it with its name and its size; says what is wrong with it.
    /// What is wrong with the header of its segment goes into `faults`, once.
    pub(super) fn read(
        &mut self,
        row: &ContentRow,
        faults: &mut Vec<String>,
    ) -> Result<Option<Damage>, StoreError> {
        if self.is_at_new_segment(row) {
            self.segment = Some(row.extent.segment);
            faults.extend(fault(self.segments.check_header(row.extent.segment))?);
        }
        let cause = fault(read_one(self.segments, row))?;
        Ok(cause.map(|cause| Damage { extent: row.extent, cause }))
    }
}

/// Reads every content; returns what is wrong with those that are damaged, by number.
pub(super) fn read(
    view: &View,
    segments: &Segments,
    progress: &mut dyn FnMut(CheckProgress),
    report: &mut CheckReport,
) -> Result<BTreeMap<u64, Damage>, StoreError> {
    let meta = view.meta()?;
    let mut damaged = BTreeMap::new();
    let mut done = CheckProgress { done_bytes: 0, total_bytes: meta.content_bytes };
    let mut reader = Reader::new(segments);
    view.contents(0, &mut |number, row| {
        if reader.is_at_new_segment(&row) {
            progress(done);
        }
        if let Some(damage) = reader.read(&row, &mut report.faults)? {
            if row.refs == 0 {
                report.damaged_unused += 1;
            }
            damaged.insert(number, damage);
        }
        match view.find_content(&row.content)? {
            Some((found, _)) if found == number => {}
            _ => report.faults.push(format!("content {number} is not found by its name")),
        }
        report.contents += 1;
        report.content_bytes += row.size_bytes;
        done.done_bytes += row.size_bytes;
        Ok(Scan::Next)
    })?;
    let counted = (report.contents, report.content_bytes);
    if counted != (meta.contents, meta.content_bytes) {
        report.faults.push(format!(
            "the store counts {} contents of {} bytes, and there are {} of {}",
            meta.contents, meta.content_bytes, counted.0, counted.1
        ));
    }
    progress(done);
    Ok(damaged)
}

/// Damage as text; another error stays one.
fn fault(outcome: Result<(), StoreError>) -> Result<Option<String>, StoreError> {
    match outcome {
        Ok(()) => Ok(None),
        Err(StoreError::Damaged { place, cause, .. }) => Ok(Some(format!("{place}: {cause}"))),
        Err(other) => Err(other),
    }
}

fn read_one(segments: &Segments, row: &ContentRow) -> Result<(), StoreError> {
    let body = segments.body(row.extent, &row.content)?;
    if ContentId::of(&body) == row.content && body.len() as u64 == row.size_bytes {
        return Ok(());
    }
    let extent = row.extent;
    Err(StoreError::Damaged {
        place: format!("segment {} at byte {}", extent.segment, extent.offset),
        cause: "the bytes are not those that were stored".to_owned(),
        remedy: "restore the message from a backup",
    })
}
