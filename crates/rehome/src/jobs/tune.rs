//! Measuring a store's machine, and setting what follows from it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use rehome_log::{RealDisk, SystemClock};
use rehome_store::{
    DiskFigures, Latency, MeasureBounds, Measured, StorePart, StoreSettings, Tuning,
    is_better_place, placed_disk,
};
use serde::Serialize;
use serde_json::{Value, json};

use super::place::place_one;
use super::{flow, require_known, store_error};
use crate::error::Error;
use crate::event::{Event, Observe};
use crate::machine;
use crate::report::JobReport;

/// What is to be measured and set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TuneRequest {
    /// The store whose settings are written.
    pub store: PathBuf,
    /// The folder whose disk is measured in place of the store's.
    pub target: Option<PathBuf>,
    /// A folder on a disk that may be a better place for the log.
    pub log_dir: Option<PathBuf>,
    /// A folder on a disk that may be a better place for the segments.
    pub segment_dir: Option<PathBuf>,
    /// Measure and tell, and set nothing.
    pub dry_run: bool,
}

/// What was found about another disk.
#[derive(Debug, Serialize)]
struct OtherDisk {
    part: StorePart,
    folder: PathBuf,
    figures: DiskFigures,
    better: bool,
    why: String,
}

/// Measures the machine and the disk of a store, and writes the settings that its next opening
/// uses. What is measured is removed again; at most 336 MiB are written, in about 15 seconds.
///
/// # Errors
///
/// [`Error::BadInput`] if there is no such store or folder, [`Error::PreconditionOpen`] if there is
/// no room to measure, [`Error::Interrupted`] if `observe` says so: nothing is set then.
pub fn store_tune(request: &TuneRequest, observe: Observe<'_>) -> Result<JobReport, Error> {
    tune_within(request, MeasureBounds::default(), observe)
}

pub(super) fn tune_within(
    request: &TuneRequest,
    bounds: MeasureBounds,
    observe: Observe<'_>,
) -> Result<JobReport, Error> {
    require_known(&request.store)?;
    // What does not say where the parts lie is not written over.
    placed_disk(&request.store).map_err(|error| store_error(&request.store, error))?;
    let disk = RealDisk::new(&request.store);
    let before = StoreSettings::read(&disk);
    let folder = request.target.as_ref().unwrap_or(&request.store);
    let mut tuning = measure(folder, bounds, observe)?;
    let others = other_disks(request, folder, &tuning, bounds, observe)?;
    let (before, note) = match before {
        Ok(before) => (before, None),
        Err(error) => (None, Some(error.to_string())),
    };
    if let Some(before) = &before {
        tuning.settings.log_folder.clone_from(&before.log_folder);
        tuning.settings.segment_folder.clone_from(&before.segment_folder);
    }
    if !request.dry_run {
        tuning.settings.write(&disk).map_err(|error| store_error(&request.store, error))?;
        for other in others.iter().filter(|other| other.better) {
            place_one(&request.store, other.part, &other.folder, observe)?;
        }
    }
    let mut text = text(request, folder, &tuning, before.as_ref(), note.as_deref());
    for OtherDisk { part, folder, better, why, .. } in &others {
        let (verdict, folder) = (if *better { "better" } else { "no better" }, folder.display());
        writeln!(text, "{folder} is {verdict} a place for the {part}: {why}").expect("a String");
    }
    let document = json!({
        "store": request.store,
        "folder": folder,
        "set": !request.dry_run,
        "settings": tuning.settings,
        "before": before,
        "reasons": tuning.reasons,
        "note": note,
        "other_disks": others,
    });
    JobReport::good(&document, text)
}

/// Measures one disk and tells how far it is.
fn measure(folder: &Path, bounds: MeasureBounds, observe: Observe<'_>) -> Result<Tuning, Error> {
    machine::measure(folder, bounds, &SystemClock, &mut |progress| {
        flow(observe(Event::Progress {
            what: format!("measuring {}: {}", folder.display(), progress.what),
            done: progress.done,
            total: progress.total,
            unit: "measurements".to_owned(),
        }))
    })
}

/// Measures the disks that may be better places for a part.
fn other_disks(
    request: &TuneRequest,
    own_folder: &Path,
    tuning: &Tuning,
    bounds: MeasureBounds,
    observe: Observe<'_>,
) -> Result<Vec<OtherDisk>, Error> {
    let own = tuning.settings.measured.map(|measured| measured.disk).unwrap_or_default();
    let dirs = [(StorePart::Log, &request.log_dir), (StorePart::Segments, &request.segment_dir)];
    let mut others = Vec::new();
    for (part, folder) in dirs {
        let Some(folder) = folder else { continue };
        let measured = measure(folder, bounds, observe)?.settings.measured;
        let figures = measured.map(|measured| measured.disk).unwrap_or_default();
        let is_separate = machine::device(folder)? != machine::device(own_folder)?;
        let (better, why) = match machine::is_memory(folder)? {
            true => (false, "it is memory, and nothing there survives a power cut".to_owned()),
            false => is_better_place(own, figures, is_separate),
        };
        others.push(OtherDisk { part, folder: folder.clone(), figures, better, why });
    }
    Ok(others)
}

fn text(
    request: &TuneRequest,
    folder: &Path,
    tuning: &Tuning,
    before: Option<&StoreSettings>,
    note: Option<&str>,
) -> String {
    let mut text = format!("measured {}\n", folder.display());
    if let Some(measured) = tuning.settings.measured {
        figures(&mut text, &measured);
    }
    let now = json!(tuning.settings);
    let then = json!(before.cloned().unwrap_or_default());
    writeln!(text, "\n  {:<24} {:>14} {:>14}  why", "setting", "now", "before").expect("a String");
    for reason in &tuning.reasons {
        let [now, then] = [&now, &then].map(|all| shown(reason.setting, &all[reason.setting]));
        writeln!(text, "  {:<24} {now:>14} {then:>14}  {}", reason.setting, reason.why)
            .expect("a String");
    }
    if before.is_none() {
        text.push_str("  before: the defaults, there were no settings\n");
    }
    if let Some(note) = note {
        writeln!(text, "  before: {note}").expect("a String");
    }
    let store = request.store.display();
    match request.dry_run {
        true => writeln!(text, "nothing was set; run it without --dry-run to set this"),
        false => writeln!(text, "set; {store} uses this from its next opening on"),
    }
    .expect("a String");
    text
}

/// What was measured, one line for each thing.
fn figures(text: &mut String, measured: &Measured) {
    let Measured { memory_bytes, cores, disk, .. } = measured;
    let latency = |of: Latency| format!("p50 {} µs, p99 {} µs", of.p50_us, of.p99_us);
    let rate = |bytes_per_second: u64| format!("{} MB/s", bytes_per_second / 1_000_000);
    let lines = [
        ("memory, cores", format!("{}, {cores}", crate::summary::bytes(*memory_bytes))),
        ("durable append in place", latency(disk.append_in_place)),
        ("durable append, growing", latency(disk.append_growing)),
        ("two durable appends", latency(disk.append_paired)),
        ("write, direct", rate(disk.write_direct_bytes_per_second)),
        ("write, buffered + sync", rate(disk.write_buffered_bytes_per_second)),
        ("read, one thread", rate(disk.read_bytes_per_second)),
        ("read, two threads", rate(disk.read_two_lanes_bytes_per_second)),
    ];
    for (what, value) in lines {
        writeln!(text, "  {what:<24} {value}").expect("a String");
    }
}

/// A value for people.
fn shown(setting: &str, value: &Value) -> String {
    match value {
        Value::Number(number) if setting.ends_with("_bytes") => {
            number.as_u64().map_or_else(|| number.to_string(), crate::summary::bytes)
        }
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
