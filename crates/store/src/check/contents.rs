//! Every content: its bytes against its name.

use std::collections::BTreeMap;

use super::{CheckProgress, CheckReport};
use crate::catalog::{ContentRow, View};
use crate::error::StoreError;
use crate::model::ContentId;
use crate::segment::Segments;
use crate::tree::Scan;

/// Reads every content; returns what is wrong with those that are damaged, by number.
pub(super) fn read(
    view: &View,
    segments: &Segments,
    progress: &mut dyn FnMut(CheckProgress),
    report: &mut CheckReport,
) -> Result<BTreeMap<u64, String>, StoreError> {
    let meta = view.meta()?;
    let mut damaged = BTreeMap::new();
    let mut done = CheckProgress { done_bytes: 0, total_bytes: meta.content_bytes };
    let mut segment = None;
    view.contents(0, &mut |number, row| {
        if segment != Some(row.extent.segment) {
            segment = Some(row.extent.segment);
            if let Err(error) = fault(segments.check_header(row.extent.segment)) {
                report.faults.push(error?);
            }
            progress(done);
        }
        if let Err(cause) = fault(read_one(segments, &row)) {
            if row.refs == 0 {
                report.damaged_unused += 1;
            }
            damaged.insert(number, cause?);
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
fn fault(outcome: Result<(), StoreError>) -> Result<(), Result<String, StoreError>> {
    outcome.map_err(|error| match error {
        StoreError::Damaged { place, cause, .. } => Ok(format!("{place}: {cause}")),
        other => Err(other),
    })
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
