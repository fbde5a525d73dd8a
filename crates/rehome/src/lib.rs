//! Takes the mailboxes of a standalone mail server into a failover cluster and loses nothing.
//!
//! This crate introduces the others to each other: it has the wiring of store, archive, cluster,
//! site, planner and executor, and no algorithm. [`migrate`] does the whole job; [`jobs`] works on
//! one store or archive set; [`serve`] and [`nodes`] are the processes.

pub mod drill;
pub mod jobs;
pub mod nodes;
pub mod sample;
pub mod serve;
pub mod simulate;

mod amount;
mod arenas;
mod audit;
mod backup;
mod calibrate;
mod calibration;
mod changes;
mod clients;
mod control;
mod demo;
mod directory;
mod error;
mod event;
mod fate;
mod gates;
mod live_directory;
mod log_archive;
mod machine;
mod maildir_digest;
mod maildir_source;
mod memory;
mod migrate;
mod names;
mod operations;
mod outline;
mod pause;
mod place;
mod planning;
mod process;
mod proof;
mod registry;
mod replay;
mod report;
mod restore;
mod reverse;
mod services;
mod session;
mod sharing;
mod site_file;
mod sizes;
mod standing;
mod summary;
mod taken_in;
#[cfg(test)]
mod testing;
mod traffic;
mod verify;
mod what_if;
mod work;

pub use amount::parse_bytes;
pub use arenas::limit_arenas;
pub use audit::{Audit, AuditOf, MailboxAudit, audit};
pub use backup::BackupReport;
pub use calibrate::{CALIBRATION_SITES_MAX, CALIBRATION_SITES_MIN, CalibrateOptions, calibrate};
pub use calibration::{Calibration, Speeds};
pub use changes::{ChangesForm, directory_changes};
pub use control::{ControlClient, ProgressNow, Retune, Running, StepNow};
pub use demo::{demo, write_sample, write_sample_export};
pub use error::Error;
pub use event::{Event, Flow, Observe};
pub use gates::Gates;
pub use live_directory::{
    DirectoryAccess, FetchedDirectory, compare_directory_exports, fetch_directory,
};
pub use log_archive::LogArchiveReport;
pub use migrate::{MigrateOptions, Status, apply, migrate, report, status};
pub use pause::PauseCondition;
pub use planning::{Planned, check_plan_file, plan};
pub use rehome_planner::RouteChoice;
pub use report::JobReport;
pub use reverse::{Reversal, ReverseOptions, reverse};
pub use services::{ServiceNow, ServicesNow, services_start, services_status, services_stop};
pub use session::{ServicesAfter, Session};
pub use site_file::{ExportOptions, ExportRead, SiteFile, is_export, of_export, read_export};
pub use summary::{LockTimes, MessageCounts, Summary, TrafficCounts};
pub use what_if::{Differences, diff_plans, what_if};
pub use work::Work;

/// The parts, for programs that need more than one of them.
pub mod parts {
    pub use rehome_archive as archive;
    pub use rehome_cluster as cluster;
    pub use rehome_executor as executor;
    pub use rehome_log as log;
    pub use rehome_planner as planner;
    pub use rehome_server as server;
    pub use rehome_site as site;
    pub use rehome_store as store;
}
