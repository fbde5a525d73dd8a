//! Mending a store whose catalog or log cannot be read.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use rehome_log::SystemClock;
use rehome_store::{CheckReport, OpenOptions, SalvageReport, Store, placed_disk};

use super::store::{check, damage};
use super::{require, store_error};
use crate::error::Error;
use crate::event::Observe;
use crate::gates::moment;
use crate::report::JobReport;

/// Builds the catalog of a store anew, from its base and its log, and checks everything. The old
/// catalog is kept under another name.
///
/// # Errors
///
/// [`Error::BadInput`] if there is no store; the store's error if base and log do not reach.
pub fn store_recover(path: &Path, observe: Observe<'_>) -> Result<JobReport, Error> {
    require(path)?;
    let disk = Arc::new(placed_disk(path).map_err(|error| store_error(path, error))?);
    let rebuilt = Store::rebuild(disk, Arc::new(SystemClock), OpenOptions::default());
    let (store, rebuilt) = rebuilt.map_err(|error| store_error(path, error))?;
    let (report, found) = check(store, observe)?;
    let from = match rebuilt.base {
        Some(base) => format!("the base at {base} and the log"),
        None => "the whole log".to_owned(),
    };
    let mut text = format!("catalog built from {from}, up to {}\n", rebuilt.until);
    for one in &rebuilt.damaged_bases {
        writeln!(text, "  not used: {one}").expect("a String");
    }
    if let Some(old) = &rebuilt.old_catalog {
        writeln!(text, "the old catalog is {old}; remove it when you are content")
            .expect("a String");
    }
    text.push_str(&found);
    let problem = damage(path, &report);
    let document = serde_json::json!({ "rebuilt": rebuilt, "check": report });
    Ok(JobReport::good(&document, text)?.with_problem(problem))
}

/// Opens a store without its log, which cannot be read, and checks everything. What is kept and
/// what is given up is said; with `dry_run` nothing else is done. Catalog and log are kept under
/// other names.
///
/// # Errors
///
/// [`Error::BadInput`] if there is no store; the store's error if the log is whole, or no catalog
/// is.
pub fn store_give_up_log(
    path: &Path,
    dry_run: bool,
    observe: Observe<'_>,
) -> Result<JobReport, Error> {
    require(path)?;
    let disk = Arc::new(placed_disk(path).map_err(|error| store_error(path, error))?);
    let (clock, options) = (Arc::new(SystemClock), OpenOptions::default());
    if dry_run {
        let report = Store::preview_salvage(disk, clock, options);
        let report = report.map_err(|error| store_error(path, error))?;
        let text = format!("{}nothing was changed\n", kept(&report));
        let document = serde_json::json!({ "salvaged": report, "dry_run": true });
        return JobReport::good(&document, text);
    }
    let salvaged = Store::salvage(disk, clock, options);
    let (store, salvaged) = salvaged.map_err(|error| store_error(path, error))?;
    let (report, found) = check(store, observe)?;
    let text = format!("{}{}{found}", kept(&salvaged), left(&salvaged));
    let problem = lost(path, &salvaged, &report);
    let document = serde_json::json!({ "salvaged": salvaged, "dry_run": false, "check": report });
    Ok(JobReport::good(&document, text)?.with_problem(problem))
}

/// What is kept, and what is not.
fn kept(report: &SalvageReport) -> String {
    let mut text = format!("the log cannot be read: {}\n", report.damage);
    let mut line = |line: String| writeln!(text, "{line}").expect("a String");
    for one in &report.not_used {
        line(format!("  not used: {one}"));
    }
    let from = match report.base {
        Some(base) => format!("the base at {base}"),
        None => "the catalog".to_owned(),
    };
    line(format!("kept: {from} and what follows in the log, up to {}", report.until));
    if report.acknowledged <= report.until {
        line("lost: nothing that the log knows of".to_owned());
    } else {
        line(format!(
            "lost: what was done behind that; {} and all before it were acknowledged",
            report.acknowledged
        ));
    }
    for one in &report.given_up {
        let name = one.name.as_ref().map_or_else(|| one.mailbox.to_string(), ToString::to_string);
        line(format!(
            "  {name}: {} messages and {} other changes, written {} to {}",
            one.messages,
            one.changes,
            moment(one.first_wall_us),
            moment(one.last_wall_us)
        ));
    }
    line(format!(
        "UIDs and modseqs of every folder go on {} higher, so that no client takes new mail for \
         what is lost",
        report.skipped
    ));
    text
}

/// What was left under other names, and what is to be done.
fn left(report: &SalvageReport) -> String {
    let mut text = String::new();
    let old = report.old_catalog.iter().chain(&report.old_log);
    let old: Vec<&str> = old.map(String::as_str).collect();
    if !old.is_empty() {
        let old = old.join(", ");
        writeln!(text, "old catalog and log are {old}; remove them when you are content")
            .expect("a String");
    }
    let archive = if report.archive_ended {
        ", which begins a new archive of the log: it is circular now"
    } else {
        ""
    };
    writeln!(text, "take a full backup now{archive}").expect("a String");
    text
}

/// What was lost, and what is damaged besides.
fn lost(path: &Path, salvaged: &SalvageReport, report: &CheckReport) -> Option<String> {
    let lost = (salvaged.acknowledged > salvaged.until).then(|| {
        format!(
            "{}: what was acknowledged between {} and {} is lost; compare with a backup, or with \
             the server that delivered it",
            path.display(),
            salvaged.until,
            salvaged.acknowledged
        )
    });
    let found = lost.into_iter().chain(damage(path, report)).collect::<Vec<_>>();
    (!found.is_empty()).then(|| found.join("; "))
}
