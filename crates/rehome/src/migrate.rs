//! Planning, carrying out, verifying and reporting, as one command that resumes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rehome_executor::{End, Executor, ExecutorError, Notice, Run};
use rehome_log::{Clock as _, FileName, RealDisk, SimDisk, SystemClock};
use rehome_planner::{
    Outcome, Percentiles, Plan, Remaining, RouteChoice, StepState, remaining, to_html,
};
use serde::Serialize;

use crate::calibration::Speeds;
use crate::control::Listening;
use crate::error::Error;
use crate::event::{Event, Flow, Observe};
use crate::gates::{self, Gates};
use crate::memory::write_durably;
use crate::operations::World;
use crate::planning;
use crate::services::{self, ServicesNow};
use crate::session::Session;
use crate::site_file::SiteFile;
use crate::summary::Summary;
use crate::work::Work;

/// How a site is migrated.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MigrateOptions {
    /// The route.
    pub route: RouteChoice,
    /// Answers to gates.
    pub gates: Gates,
    /// Whether mail is delivered and read all the while.
    pub traffic: bool,
    /// What this machine was measured to be; that of the work folder if none is named.
    pub calibration: Option<PathBuf>,
    /// Undo what was done instead.
    pub back_out: bool,
}

/// Plans a site (or takes the plan that the work folder has), carries it out, verifies and
/// reports. Called again after a kill or an error, it goes on.
///
/// # Errors
///
/// [`Error`], one variant for each exit code.
pub fn migrate(
    session: &Session,
    site: &SiteFile,
    work: &Work,
    options: &MigrateOptions,
    observe: Observe<'_>,
) -> Result<Summary, Error> {
    refuse_people(site)?;
    if options.back_out && !work.plan().exists() {
        return Err(Error::BadInput {
            message: format!(
                "{}: no migration was begun here, so there is nothing to undo; name the work \
                 folder of one with --work",
                work.root().display()
            ),
        });
    }
    let plan = if work.plan().exists() {
        let plan = planning::read(&work.plan())?;
        planning::expect_fresh(&plan, &site.inventory()?)?;
        expect_route(&plan, options.route)?;
        plan
    } else {
        let speeds = Speeds {
            calibration: options.calibration.clone(),
            answered: options.gates.confirms_all(),
        };
        planning::plan(session, site, work, options.route, &work.plan(), &speeds)?.plan
    };
    if options.back_out {
        return back_out(session, site, work, &plan, &options.gates, observe);
    }
    carry_out(session, site, work, plan, &options.gates, options.traffic, observe)
}

/// Undoes every step that was begun. That it ends without a summary is told as
/// [`Error::BackedOut`].
fn back_out(
    session: &Session,
    site: &SiteFile,
    work: &Work,
    plan: &Plan,
    gates: &Gates,
    observe: Observe<'_>,
) -> Result<Summary, Error> {
    let mut executor = open_executor(session, work, plan)?;
    let _listening = listen(session, work, &executor)?;
    let mut world = World::new(session, site, work, plan, gates)?;
    let run = executor.back_out(&mut world, &mut |notice| hear(session, notice, observe));
    let run = run.map_err(executor_error)?;
    write_outcome(work, plan, &run.outcome)?;
    tell_services(work, plan, observe);
    ended(&run)?;
    Err(Error::NeedsHuman { message: "the way back ended without a word".to_owned() })
}

/// Refuses to carry out what people carry out.
pub(crate) fn refuse_people(site: &SiteFile) -> Result<(), Error> {
    if site.site.kind == rehome_site::SiteKind::Rehome {
        return Ok(());
    }
    Err(Error::BadInput {
        message: format!(
            "{}: a site of kind exchange-5.5 is moved by people; nothing was done; make the plan \
             with rehome plan and follow its run-book",
            site.shown
        ),
    })
}

/// Refuses to take a route that the work folder's plan does not take.
fn expect_route(plan: &Plan, route: RouteChoice) -> Result<(), Error> {
    let fits = match route {
        RouteChoice::Auto => true,
        RouteChoice::MoveUsers => plan.route == rehome_planner::Route::MoveUsers,
        RouteChoice::DisasterRecovery => plan.route == rehome_planner::Route::DisasterRecovery,
    };
    if fits {
        return Ok(());
    }
    Err(Error::BadInput {
        message: format!(
            "the work folder has a plan for the route {}; going on by another one would leave it \
             half done; use another work folder",
            plan.route.as_str()
        ),
    })
}

/// Carries a plan out that was written by `rehome plan`.
///
/// # Errors
///
/// [`Error`], one variant for each exit code.
pub fn apply(
    session: &Session,
    plan: &Path,
    gates: &Gates,
    observe: Observe<'_>,
) -> Result<Summary, Error> {
    let binding = planning::read_binding(plan)?;
    let site = SiteFile::read(&binding.site)?;
    refuse_people(&site)?;
    let plan = planning::read(plan)?;
    planning::expect_fresh(&plan, &site.inventory()?)?;
    carry_out(session, &site, &Work::new(binding.work), plan, gates, false, observe)
}

fn carry_out(
    session: &Session,
    site: &SiteFile,
    work: &Work,
    plan: Plan,
    gates: &Gates,
    traffic: bool,
    observe: Observe<'_>,
) -> Result<Summary, Error> {
    let mut executor = open_executor(session, work, &plan)?;
    for text in gates::without_effect(&site.site.gates, &plan) {
        observe(Event::Note { text });
    }
    let _listening = listen(session, work, &executor)?;
    let mut world = World::new(session, site, work, &plan, gates)?;
    if traffic {
        world.begin_traffic()?;
    }
    let run = executor.run(&mut world, &mut |notice| hear(session, notice, observe));
    let run = run.map_err(executor_error)?;
    write_outcome(work, &plan, &run.outcome)?;
    if run.end != End::Done {
        tell_services(work, &plan, observe);
    }
    ended(&run)?;
    let mut summary = world.summary(&run.outcome, observe)?;
    world.end();
    summary.notes.extend(services::note(work, &plan));
    summary.report = Some(work.report().display().to_string());
    Ok(summary)
}

/// Says which services go on when this run ends.
pub(crate) fn tell_services(work: &Work, plan: &Plan, observe: Observe<'_>) {
    if let Some(text) = services::note(work, plan) {
        observe(Event::Note { text });
    }
}

/// Listens for wishes while the work goes on. It begins before services are started or taken over
/// and is held until they have been let go, so that nobody starts or ends them meanwhile.
pub(crate) fn listen(
    session: &Session,
    work: &Work,
    executor: &Executor,
) -> Result<Listening, Error> {
    let outcome = executor.outcome();
    let over = |state: &StepState| matches!(state, StepState::Done | StepState::DoneByEvidence);
    let done = outcome.steps.iter().filter(|step| over(&step.state)).count();
    session.control.begin(executor.plan(), done);
    session.control.bounds.set_bytes_per_second_max(session.move_bytes_per_second_max);
    Listening::begin(work.control(), Arc::clone(&session.control))
}

/// Tells what the executor says, and rests or stops as people want.
pub(crate) fn hear(
    session: &Session,
    notice: &Notice<'_>,
    observe: Observe<'_>,
) -> rehome_executor::Flow {
    let mut tell = |event| observe(event) == Flow::Continue;
    let told = event_of(notice).is_none_or(&mut tell);
    match session.control.note(notice, &mut tell) && told {
        true => rehome_executor::Flow::Continue,
        false => rehome_executor::Flow::Stop,
    }
}

pub(crate) fn open_executor(
    session: &Session,
    work: &Work,
    plan: &Plan,
) -> Result<Executor, Error> {
    let disk = Arc::new(RealDisk::new(work.root()));
    let hash = plan.inventory_hash.clone();
    Executor::open(plan.clone(), &hash, disk, journal_name(), session.clock.clone())
        .map_err(executor_error)
}

fn journal_name() -> FileName {
    FileName::new("journal").expect("a plain name")
}

pub(crate) fn executor_error(error: ExecutorError) -> Error {
    match error {
        ExecutorError::Stale { .. } => Error::StalePlan { message: error.to_string() },
        ExecutorError::OtherPlan { .. } => Error::BadInput { message: error.to_string() },
        ExecutorError::NotDone { .. } | ExecutorError::Reversing { .. } => {
            Error::PreconditionOpen { message: error.to_string() }
        }
        ExecutorError::NoWayBack { .. } | ExecutorError::BackedOut { .. } => {
            Error::Infeasible { message: error.to_string() }
        }
        other => Error::needs_human(other),
    }
}

/// What the person is told of a notice.
fn event_of(notice: &Notice<'_>) -> Option<Event> {
    let step = |step: &rehome_planner::Step, state: &str| Event::Step {
        id: step.id.to_string(),
        title: step.title.clone(),
        state: state.to_owned(),
    };
    Some(match notice {
        Notice::Begins { step: one, attempt: 1 } => step(one, "begun"),
        Notice::Begins { step: one, .. } => step(one, "begun again"),
        Notice::Done { step: one, by_evidence: true, .. } => step(one, "done already"),
        Notice::Done { step: one, .. } => step(one, "done"),
        Notice::Undoes { step: one } => step(one, "undone"),
        Notice::Progress { progress, .. } if progress.unit.is_empty() => return None,
        Notice::Progress { step: one, progress } => Event::Progress {
            what: format!("{} {}", one.id, progress.what),
            done: progress.done,
            total: progress.total,
            unit: progress.unit.clone(),
        },
        Notice::Warned { step: one, code, why } => {
            Event::Note { text: format!("{}: {code}: {why}", one.id) }
        }
    })
}

/// The error that an end other than done is.
pub(crate) fn ended(run: &Run) -> Result<(), Error> {
    Err(match &run.end {
        End::Done | End::Reversed => return Ok(()),
        End::WaitingAtGate { step, instruction, how } => Error::WaitingAtGate {
            step: step.to_string(),
            instruction: instruction.clone(),
            how: how.clone(),
        },
        End::ConfirmationRefused { step, by, refusal, owners, until_us } => {
            let message = gates::refused(step.as_str(), by, *refusal, owners, *until_us);
            Error::ConfirmationRefused { message }
        }
        End::PreconditionOpen { step, why, remedy, check } => Error::PreconditionOpen {
            message: format!("{step}: {} is open: {why}; {remedy}", check.code()),
        },
        End::Interrupted { step, why } => {
            Error::Interrupted { message: format!("at {step}: {why}") }
        }
        End::BackedOut => {
            Error::BackedOut { message: "every step was undone; all is as before".to_owned() }
        }
        // A verification that found differences has an exit code of its own.
        End::NeedsHuman { step, why, .. } if step.as_str().starts_with('V') => {
            Error::Differences { message: format!("{step}: {why}") }
        }
        End::NeedsHuman { step, why, remedy } => {
            Error::NeedsHuman { message: format!("{step}: {why}; {remedy}") }
        }
    })
}

pub(crate) fn write_outcome(work: &Work, plan: &Plan, outcome: &Outcome) -> Result<(), Error> {
    let json = serde_json::to_vec_pretty(outcome).map_err(Error::needs_human)?;
    write_durably(&work.outcome(), &json)?;
    write_durably(&work.report(), to_html(plan, Some(outcome)).as_bytes())
}

/// How far the work in a folder has come.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Status {
    /// The route.
    pub route: String,
    /// How the last run ended; `running` or `unfinished` when there was none.
    pub end: String,
    /// Steps that are done.
    pub done: usize,
    /// All steps.
    pub steps: usize,
    /// The step that comes next, with its title.
    pub next: Option<String>,
    /// The services that stay, whether a migration runs or not.
    pub services: ServicesNow,
    /// How long the rest takes from now on, as the waves that are over tell; none if all is done.
    pub left: Option<Remaining>,
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {} of {} steps done, {}", self.route, self.done, self.steps, self.end)?;
        self.next.as_ref().map_or(Ok(()), |next| write!(f, "\nnext: {next}"))?;
        for one in &self.services.services {
            let Some(pid) = one.pid else { continue };
            write!(f, "\n{} serves as process {pid}", one.name)?;
        }
        let Some(left) = &self.left else { return Ok(()) };
        let Percentiles { p50, p80, p95 } = left.seconds;
        write!(f, "\nleft: {p50} s in half of the cases, P80 {p80} s, P95 {p95} s")?;
        match left.waves {
            0 => Ok(()),
            waves => {
                write!(f, " (the first {waves} moves took {:.2} times what was planned)", left.pace)
            }
        }
    }
}

/// Says how far the work in a folder has come, from its plan and its journal.
///
/// # Errors
///
/// [`Error::BadInput`] if there is no plan.
pub fn status(work: &Work) -> Result<Status, Error> {
    let (plan, outcome) = read_outcome(work)?;
    let is_done = |state: StepState| matches!(state, StepState::Done | StepState::DoneByEvidence);
    let done = outcome.steps.iter().filter(|step| is_done(step.state)).count();
    let next = outcome.steps.iter().find(|step| !is_done(step.state));
    let next = next.and_then(|next| plan.step(&next.id));
    let left = remaining(&plan, &outcome, SystemClock.wall_us());
    Ok(Status {
        route: plan.route.as_str().to_owned(),
        end: outcome.end,
        done,
        steps: plan.steps.len(),
        services: services::now(work, &plan)?,
        next: next.map(|step| format!("{} {}", step.id, step.title)),
        left,
    })
}

/// Writes the report of a work folder again and returns its path.
///
/// # Errors
///
/// [`Error::BadInput`] if there is no plan.
pub fn report(work: &Work) -> Result<PathBuf, Error> {
    let (plan, outcome) = read_outcome(work)?;
    write_durably(&work.report(), to_html(&plan, Some(&outcome)).as_bytes())?;
    Ok(work.report())
}

/// Reads a copy of the journal, so that a migration that runs meanwhile is not disturbed.
fn read_outcome(work: &Work) -> Result<(Plan, Outcome), Error> {
    let plan = planning::read(&work.plan())?;
    let copy = SimDisk::new();
    match std::fs::read(work.journal()) {
        Ok(bytes) => copy.set_contents(&journal_name(), bytes),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(Error::bad_input(error)),
    }
    let hash = plan.inventory_hash.clone();
    let (disk, clock) = (Arc::new(copy), Arc::new(SystemClock));
    let executor = Executor::open(plan.clone(), &hash, disk, journal_name(), clock);
    let outcome = executor.map_err(executor_error)?.outcome();
    Ok((plan, outcome))
}
