//! The whole job on a made-up site.

use std::path::Path;

use rehome_planner::RouteChoice;

use crate::error::Error;
use crate::event::{Event, Flow, Observe};
use crate::gates::Gates;
use crate::migrate::{MigrateOptions, migrate};
use crate::sample::{
    SampleExportOptions, SampleExportReport, SampleOptions, SampleReport, write_sample as write,
    write_sample_export as write_export,
};
use crate::session::Session;
use crate::site_file::SiteFile;
use crate::summary::Summary;
use crate::work::Work;

/// Writes a made-up site into a new or empty folder.
///
/// # Errors
///
/// [`Error::BadInput`] if the folder is not empty or cannot be written.
pub fn write_sample(dir: &Path, options: &SampleOptions) -> Result<SampleReport, Error> {
    write(dir, options).map_err(Error::refused)
}

/// Writes a made-up export with its sizes and its site file into a new or empty folder.
///
/// # Errors
///
/// [`Error::BadInput`] if the folder is not empty or cannot be written.
pub fn write_sample_export(
    dir: &Path,
    options: &SampleExportOptions,
) -> Result<SampleExportReport, Error> {
    write_export(dir, options).map_err(Error::refused)
}

/// Makes a sample site in `dir`, plans, migrates while mail is delivered and read, verifies and
/// writes the report.
///
/// # Errors
///
/// [`Error`], one variant for each exit code.
pub fn demo(
    session: &Session,
    dir: &Path,
    route: RouteChoice,
    observe: Observe<'_>,
) -> Result<Summary, Error> {
    let report = write_sample(&dir.join("site"), &SampleOptions::default())?;
    give_own_address(&dir.join("site").join("site.toml"))?;
    note(
        observe,
        format!(
            "sample site in {}: {} mailboxes, {} messages",
            dir.join("site").display(),
            report.mailboxes,
            report.messages
        ),
    )?;
    let site = SiteFile::read(&dir.join("site"))?;
    let work = Work::new(dir.join("work"));
    note(observe, "gates that need a person are confirmed by the demo itself".to_owned())?;
    let gates = Gates { confirmed: vec!["all".to_owned()], ..Gates::default() };
    let options =
        MigrateOptions { route, gates, traffic: true, calibration: None, back_out: false };
    let mut summary = migrate(session, &site, &work, &options, observe)?;
    summary.notes.push(format!(
        "the plan: {}; the new store: {}",
        work.plan().with_extension("html").display(),
        work.shared().join("store").display()
    ));
    Ok(summary)
}

fn note(observe: Observe<'_>, text: String) -> Result<(), Error> {
    match observe(Event::Note { text }) {
        Flow::Continue => Ok(()),
        Flow::Stop => Err(Error::stopped("the demo was asked to stop")),
    }
}

/// Gives the group an address of its own, so that two demos do not meet on one.
pub(crate) fn give_own_address(file: &Path) -> Result<(), Error> {
    let text = std::fs::read_to_string(file).map_err(Error::needs_human)?;
    let process = std::process::id();
    let address = format!("127.{}.{}.41", 1 + (process >> 8) % 60, process % 256);
    let line = text.lines().find(|line| line.starts_with("address = "));
    let text = line
        .map_or(text.clone(), |line| text.replacen(line, &format!("address = \"{address}\""), 1));
    std::fs::write(file, text).map_err(Error::needs_human)
}
