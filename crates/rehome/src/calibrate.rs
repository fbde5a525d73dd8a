//! Measuring this machine: small made-up sites are carried out on it by both routes.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rehome_planner::{CarriedOut, Costs, Outcome, Route};

use crate::calibration::Calibration;
use crate::demo::{give_own_address, write_sample};
use crate::error::Error;
use crate::event::{Event, Flow, Observe};
use crate::machine;
use crate::planning;
use crate::report::JobReport;
use crate::sample::sample_shape;
use crate::session::Session;
use crate::work::Work;

/// The fewest sites that say anything about the spread.
pub const CALIBRATION_SITES_MIN: usize = 2;
/// The most that are carried out.
pub const CALIBRATION_SITES_MAX: usize = 100;

/// How often a migration is asked whether it has ended.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// How long the processes of a stopped migration may take to end.
const ORPHANS_MAX: Duration = Duration::from_secs(30);

/// How a machine is measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CalibrateOptions {
    /// How many made-up sites are carried out, each by both routes.
    pub sites: usize,
    /// Decides their shapes and what is in them.
    pub seed: u64,
    /// How many messages their mailboxes have, in hundredths of the usual.
    pub scale_percent: usize,
}

impl Default for CalibrateOptions {
    fn default() -> Self {
        Self { sites: 8, seed: 1, scale_percent: 100 }
    }
}

/// Carries made-up sites of different shapes out below a work folder, by both routes, and writes
/// what each step costs there. The plans of this work folder use it from then on. What was made to
/// measure is removed again.
///
/// # Errors
///
/// [`Error::BadInput`] for a number of sites out of bounds, [`Error::Interrupted`] if somebody
/// asked to stop: nothing is written then. Whatever ends a migration ends this.
pub fn calibrate(
    session: &Session,
    work: &Work,
    options: &CalibrateOptions,
    observe: Observe<'_>,
) -> Result<JobReport, Error> {
    let bounds = CALIBRATION_SITES_MIN..=CALIBRATION_SITES_MAX;
    if !bounds.contains(&options.sites) {
        let message = format!(
            "a machine cannot be measured with {} sites; choose from {CALIBRATION_SITES_MIN} to \
             {CALIBRATION_SITES_MAX}",
            options.sites
        );
        return Err(Error::BadInput { message });
    }
    let scratch = work.calibrating();
    remove(&scratch)?;
    let measured = measure(session, &scratch, options, observe);
    remove(&scratch)?;
    let (seeds, runs) = measured?;
    let costs = Costs::fit(&runs).ok_or_else(|| Error::NeedsHuman {
        message: "too few migrations went through without a second attempt; nothing was written; \
                  see to the machine, and measure again"
            .to_owned(),
    })?;
    let now_us = session.clock.wall_us();
    let mut made = Calibration::new(machine::host(work.root())?, now_us, seeds, costs);
    made.seconds = runs.iter().map(CarriedOut::seconds).collect();
    made.write(&work.calibration())?;
    let text = text(&made, &work.calibration());
    JobReport::good(&made, text)
}

/// Carries all sites out; returns their seeds and what each migration came to.
fn measure(
    session: &Session,
    scratch: &Path,
    options: &CalibrateOptions,
    observe: Observe<'_>,
) -> Result<(Vec<u64>, Vec<CarriedOut>), Error> {
    let routes = [Route::MoveUsers, Route::DisasterRecovery];
    let total = (options.sites * routes.len()) as u64;
    let (mut seeds, mut runs, mut done) = (Vec::new(), Vec::new(), 0);
    for number in 0..options.sites {
        let mut shape = sample_shape(options.seed, number, options.sites);
        shape.messages = (shape.messages.saturating_mul(options.scale_percent) / 100).max(1);
        seeds.push(shape.seed);
        let folder = scratch.join(format!("site-{number}"));
        write_sample(&folder, &shape)?;
        give_own_address(&folder.join("site.toml"))?;
        for route in routes {
            let what = "carrying made-up sites out".to_owned();
            let unit = "migrations".to_owned();
            if observe(Event::Progress { what, done, total, unit }) == Flow::Stop {
                return Err(Error::stopped("nothing was measured to its end, nothing is written"));
            }
            let work = Work::new(scratch.join(format!("work-{number}-{done}")));
            runs.extend(carry_out(session, &folder, &work, route.as_str())?);
            remove(work.root())?;
            done += 1;
        }
        remove(&folder)?;
    }
    Ok((seeds, runs))
}

/// Carries one site out by one route, in a process of its own as every migration; none if a step
/// needed a second attempt. In the process that measures, what was done before would be warm.
fn carry_out(
    session: &Session,
    folder: &Path,
    work: &Work,
    route: &str,
) -> Result<Option<CarriedOut>, Error> {
    let mut child = Command::new(&session.program)
        .arg("migrate")
        .arg(folder)
        .arg("--work")
        .arg(work.root())
        .args(["--route", route, "--confirm", "all"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| Error::needs_human(format!("rehome does not start: {error}")))?;
    let status = loop {
        if session.stopping() {
            // Its nodes and servers end with it.
            child.kill().and_then(|()| child.wait()).map_err(Error::needs_human)?;
            return Err(Error::stopped("nothing was measured to its end, nothing is written"));
        }
        match child.try_wait().map_err(Error::needs_human)? {
            Some(status) => break status,
            None => std::thread::park_timeout(LOOK_EVERY),
        }
    };
    if !status.success() {
        let message = format!(
            "a migration of {} by {route} ended with {status}; nothing was written; run rehome \
             migrate there and see what it says",
            folder.display()
        );
        return Err(Error::NeedsHuman { message });
    }
    let plan = planning::read(&work.plan())?;
    let bytes = std::fs::read(work.outcome()).map_err(Error::needs_human)?;
    let outcome: Outcome = serde_json::from_slice(&bytes).map_err(Error::needs_human)?;
    Ok(CarriedOut::of(&plan, &outcome))
}

/// Removes what was made to measure; what a stopped migration left may still be ending and write.
fn remove(folder: &Path) -> Result<(), Error> {
    let started = Instant::now();
    loop {
        match std::fs::remove_dir_all(folder) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) if started.elapsed() > ORPHANS_MAX => {
                let message = format!(
                    "{}: what was made to measure cannot be removed: {error}; remove it",
                    folder.display()
                );
                return Err(Error::NeedsHuman { message });
            }
            Err(_) => std::thread::park_timeout(LOOK_EVERY),
        }
    }
}

/// What was found, for people.
fn text(made: &Calibration, path: &Path) -> String {
    use std::fmt::Write as _;
    let pace = made.costs.pace;
    let mut text = format!(
        "measured {} on disk {} with {} migrations of {} sites, {:.1} s in all\n\n",
        made.host.name,
        made.host.disk,
        made.seconds.len(),
        made.seeds.len(),
        made.seconds.iter().sum::<f64>(),
    );
    let head = ("step", "fixed ms", "a mailbox", "1000 messages", "a MiB", "spread");
    let (a, b, c, d, e, f) = head;
    writeln!(text, "  {a:<12}{b:>10}{c:>12}{d:>15}{e:>10}{f:>9}").expect("a String");
    for (name, cost) in &made.costs.steps {
        writeln!(
            text,
            "  {name:<12}{:>10.1}{:>12.2}{:>15.1}{:>10.2}{:>7.0} %",
            cost.fixed_seconds * 1e3,
            cost.mailbox_seconds * 1e3,
            cost.message_seconds * 1e6,
            cost.byte_seconds * 1e3 * 1_048_576.0,
            (cost.spread.exp() - 1.0) * 100.0,
        )
        .expect("a String");
    }
    writeln!(
        text,
        "\nwhole migrations, each judged by the others: {:+.1} % on average, {:.1} % from one to \
         the next beside the steps' own spread\nwrote {}; plans of this work folder use it",
        (pace.bias.exp() - 1.0) * 100.0,
        (pace.spread.exp() - 1.0) * 100.0,
        path.display()
    )
    .expect("a String");
    text
}
