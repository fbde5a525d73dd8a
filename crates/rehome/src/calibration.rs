//! What steps cost on this machine: the file that keeps it, and whether it still holds.
#![doc = include_str!("../../../docs/format/calibration.md")]

use std::path::{Path, PathBuf};

use rehome_planner::{Costs, Inventory, Rates};
use rehome_site::SiteKind;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::machine::{self, Host};
use crate::memory::write_durably;
use crate::site_file::SiteFile;
use crate::work::Work;

/// The word that a calibration begins with.
const FORMAT: &str = "rehome-calibration";
/// The version of the format that is written and read.
const VERSION: u32 = 1;
/// After so many days a measurement is called old: programs, disks and neighbours change.
const DAYS_MAX: i64 = 30;
const DAY_US: i64 = 86_400_000_000;

/// A measurement of a machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// `rehome-calibration`.
    pub format: String,
    /// 1.
    pub version: u32,
    /// The version of the program that measured.
    pub program: String,
    /// When, in microseconds since 1970.
    pub measured_us: i64,
    /// Where.
    pub host: Host,
    /// The seeds of the sites that were carried out, each by both routes.
    pub seeds: Vec<u64>,
    /// Seconds that each of these migrations took.
    pub seconds: Vec<f64>,
    /// What was found.
    pub costs: Costs,
}

/// Where a plan has its speeds from, and what is answered in advance.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Speeds {
    /// The calibration that was named; that of the work folder, if there is one, if none was.
    pub calibration: Option<PathBuf>,
    /// Whether all gates are answered in advance, so that they take no time.
    pub answered: bool,
}

impl Calibration {
    /// A measurement of now and here.
    pub(crate) fn new(host: Host, measured_us: i64, seeds: Vec<u64>, costs: Costs) -> Self {
        Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            program: env!("CARGO_PKG_VERSION").to_owned(),
            measured_us,
            host,
            seeds,
            seconds: Vec::new(),
            costs,
        }
    }

    /// Reads a calibration.
    ///
    /// # Errors
    ///
    /// [`Error::BadInput`] if there is none, or it is not of this version.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let bad = |cause: String| Error::BadInput {
            message: format!(
                "{}: {cause}; nothing was planned; measure this machine with rehome calibrate, or \
                 take the file away",
                path.display()
            ),
        };
        let bytes = std::fs::read(path)
            .map_err(|error| bad(format!("the calibration cannot be read: {error}")))?;
        let head: serde_json::Value = serde_json::from_slice(&bytes)
            .map_err(|error| bad(format!("not a calibration: {error}")))?;
        if head["format"] != FORMAT || head["version"] != VERSION {
            let found = format!("{} {}", head["format"], head["version"]);
            return Err(bad(format!(
                "{found} is not {FORMAT} {VERSION}, which this program reads"
            )));
        }
        let read: Self = serde_json::from_value(head)
            .map_err(|error| bad(format!("not a calibration: {error}")))?;
        if read.costs.is_sound() {
            return Ok(read);
        }
        Err(bad("a cost or a spread is negative, or no number".to_owned()))
    }

    /// Writes it durably.
    pub(crate) fn write(&self, path: &Path) -> Result<(), Error> {
        write_durably(path, &serde_json::to_vec_pretty(self).map_err(Error::needs_human)?)
    }

    /// The speeds that follow for an inventory on a machine at a moment, with every doubt. Of
    /// another machine nothing is taken over.
    fn rates(&self, inventory: &Inventory, host: &Host, now_us: i64) -> Rates {
        let day = self.day();
        if let Some(difference) = self.host.differs(host) {
            let doubt = format!(
                "the calibration of {day} is of another machine ({difference}) and was not used; \
                 measure this one with rehome calibrate"
            );
            return Rates { doubts: vec![doubt], ..inventory.rates.clone() };
        }
        let mut rates = self.costs.rates(inventory.rates.clone());
        let days = (now_us - self.measured_us).div_euclid(DAY_US);
        if !(0..=DAYS_MAX).contains(&days) {
            rates.doubts.push(match days {
                ..0 => format!("speeds were measured on {day}, which is yet to come"),
                _ => format!("speeds were measured {days} days ago, on {day}; measure again"),
            });
        }
        let program = env!("CARGO_PKG_VERSION");
        if self.program != program {
            rates.doubts.push(format!(
                "speeds were measured with version {}, this is {program}; measure again",
                self.program
            ));
        }
        rates.doubts.extend(self.costs.beyond(inventory));
        rates
    }

    /// The day on which it was made.
    pub(crate) fn day(&self) -> String {
        let moment = chrono::DateTime::from_timestamp_micros(self.measured_us);
        moment.map_or_else(String::new, |moment| moment.format("%Y-%m-%d").to_string())
    }
}

/// The inventory of a site with the speeds of this machine, if they were measured.
pub(crate) fn inventory(
    site: &SiteFile,
    work: &Work,
    speeds: &Speeds,
    now_us: i64,
) -> Result<Inventory, Error> {
    let mut inventory = site.inventory()?;
    if let Some(calibration) = chosen(site, work, speeds)? {
        let host = machine::host(work.root())?;
        inventory.rates = calibration.rates(&inventory, &host, now_us);
    }
    if speeds.answered {
        inventory.rates.gate_seconds = 0.0;
    }
    Ok(inventory)
}

/// The calibration that counts; none if none was made, or people carry the plan out.
fn chosen(site: &SiteFile, work: &Work, speeds: &Speeds) -> Result<Option<Calibration>, Error> {
    let is_ours = site.site.kind == SiteKind::Rehome;
    match &speeds.calibration {
        Some(path) if is_ours => Calibration::read(path).map(Some),
        Some(path) => Err(Error::BadInput {
            message: format!(
                "{}: it says how fast this program is here, and people carry out the plan of a \
                 site of kind exchange-5.5, so it would be without effect; nothing was planned; \
                 leave it out",
                path.display()
            ),
        }),
        None if is_ours && work.calibration().exists() => {
            Calibration::read(&work.calibration()).map(Some)
        }
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host() -> Host {
        Host { name: "mx".to_owned(), cores: 2, disk: "ab".to_owned(), ..Host::default() }
    }

    /// The doubts about a calibration of day 100, and whether its speeds are used.
    #[track_caller]
    fn check(change: impl FnOnce(&mut Calibration), day: i64, expected: &[&str], used: bool) {
        let mut made = Calibration::new(host(), 100 * DAY_US, vec![1], Costs::default());
        change(&mut made);
        let rates = made.rates(&Inventory::default(), &host(), day * DAY_US);
        assert_eq!(rates.measured, used);
        assert_eq!(rates.doubts.len(), expected.len(), "{:?}", rates.doubts);
        for (doubt, word) in rates.doubts.iter().zip(expected) {
            assert!(doubt.contains(word), "no {word:?} in {doubt}");
        }
    }

    #[test]
    fn what_is_old_or_of_another_version_is_told_and_used() {
        check(|_| (), 100, &[], true);
        check(|_| (), 130, &[], true);
        check(|_| (), 131, &["31 days ago, on 1970-04-11"], true);
        check(|_| (), 99, &["yet to come"], true);
        check(|made| made.program = "0.0.9".to_owned(), 100, &["with version 0.0.9"], true);
    }

    #[test]
    fn what_is_of_another_machine_is_told_and_not_used() {
        let other = |change: &dyn Fn(&mut Host), word| {
            check(|made| change(&mut made.host), 100, &[word], false);
        };
        other(&|host| host.name = "old".to_owned(), "host old, this is mx");
        other(&|host| host.cores = 8, "8 cores, these are 2");
        other(&|host| host.disk = "cd".to_owned(), "disk cd, this is ab");
    }

    #[test]
    fn a_file_is_read_back_and_damage_is_refused() {
        let scratch = tempfile::tempdir().expect("a scratch folder");
        let path = scratch.path().join("calibration.json");
        let made = Calibration::new(host(), 5, vec![1, 2], Costs::default());
        made.write(&path).expect("writable");
        assert_eq!(Calibration::read(&path).expect("it was written"), made);
        let text = std::fs::read_to_string(&path).expect("readable");
        for (from, to, word) in [
            ("\"version\": 1", "\"version\": 2", "is not rehome-calibration 1"),
            ("\"seeds\"", "\"seedlings\"", "not a calibration"),
            ("\"bias\": 0.0", "\"bias\": null", "not a calibration"),
            ("\"spread\": 0.0", "\"spread\": -1.0", "negative"),
        ] {
            std::fs::write(&path, text.replacen(from, to, 1)).expect("writable");
            let error = Calibration::read(&path).expect_err(from);
            assert_eq!(error.exit_code(), 65);
            assert!(error.to_string().contains(word), "no {word:?} in {error}");
        }
    }
}
