//! Taking a wave back while its way back is open: everything that came to the new server since is
//! carried to the old one, and the plan stays one that may go on.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use rehome_executor::Notice;
use rehome_planner::{Action, Plan, Route, StepId};
use rehome_store::{ContentId, MailboxName};
use serde::Serialize;

use crate::error::Error;
use crate::event::{Event, Observe};
use crate::gates::Gates;
use crate::migrate::{
    ended, executor_error, hear, listen, open_executor, tell_services, write_outcome,
};
use crate::operations::World;
use crate::planning;
use crate::session::Session;
use crate::site_file::SiteFile;
use crate::summary::{LockTimes, MessageCounts, TrafficCounts};
use crate::traffic::delivered_by;
use crate::work::Work;

/// What is taken back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReverseOptions {
    /// Name or number of the wave, or one of its steps; may be left out if there is one.
    pub wave: Option<String>,
    /// Whether mail is delivered and read all the while.
    pub traffic: bool,
}

/// How a wave was taken back.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Reversal {
    /// The wave.
    pub wave: String,
    /// The server that its mailboxes left.
    pub from: String,
    /// The server that they are at again.
    pub to: String,
    /// How many.
    pub mailboxes: u64,
    /// Messages as the wave left them at the new server, and what the old one has of them.
    pub messages: MessageCounts,
    /// From the first question to the last comparison.
    pub seconds: f64,
    /// For how long mailboxes were locked.
    pub lock_ms: LockTimes,
    /// What happened meanwhile, if anybody delivered or read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traffic: Option<TrafficCounts>,
}

impl Reversal {
    /// Says no when something was lost, altered or doubled.
    ///
    /// # Errors
    ///
    /// [`Error::Differences`] with the counts.
    pub fn verdict(&self) -> Result<(), Error> {
        let counts = self.messages;
        if counts.lost + counts.altered + counts.duplicated == 0 {
            return Ok(());
        }
        Err(Error::Differences {
            message: format!(
                "the way back: {} lost, {} altered, {} duplicated of {} messages; both stores \
                 have all that they had",
                counts.lost, counts.altered, counts.duplicated, counts.source
            ),
        })
    }
}

impl fmt::Display for Reversal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (counts, locks) = (self.messages, self.lock_ms);
        writeln!(
            f,
            "  {} is back at {} · {} mailboxes · {} messages in {:.1} s",
            self.wave, self.to, self.mailboxes, counts.source, self.seconds
        )?;
        writeln!(
            f,
            "  lost {} · altered {} · duplicated {}",
            counts.lost, counts.altered, counts.duplicated
        )?;
        writeln!(
            f,
            "  mailbox locked: {:.1} ms (half), {:.1} ms (99 %), {:.1} ms (longest)",
            locks.p50, locks.p99, locks.max
        )?;
        if let Some(traffic) = self.traffic {
            let (delivered, read) = (traffic.delivered, traffic.read);
            writeln!(f, "  meanwhile: {delivered} messages delivered and {read} read")?;
        }
        writeln!(f, "  the plan is not given up: rehome migrate moves the wave again")
    }
}

/// A wave of a plan, as far as its way back needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Wave {
    name: String,
    steps: Vec<StepId>,
    from: String,
    to: String,
    mailboxes: Vec<String>,
    until_us: Option<i64>,
}

/// Carries the mailboxes of a wave back to the server that they came from, with everything that was
/// delivered, changed and deleted since, while users work. After a kill the same call goes on.
///
/// # Errors
///
/// [`Error::Infeasible`] if the plan is past its point of no return, [`Error::PreconditionOpen`]
/// if the wave is not done, [`Error::BadInput`] if there is no such wave: nothing has changed then.
/// [`Error::Differences`] comes from [`Reversal::verdict`].
pub fn reverse(
    session: &Session,
    work: &Work,
    options: &ReverseOptions,
    observe: Observe<'_>,
) -> Result<Reversal, Error> {
    let plan = planning::read(&work.plan())?;
    let wave = find(&plan, options.wave.as_deref())?;
    let site = SiteFile::read(&planning::read_binding(&work.plan())?.site)?;
    let mut executor = open_executor(session, work, &plan)?;
    executor.expect_reversible(&wave.steps).map_err(executor_error)?;
    if wave.until_us.is_some_and(|until| session.clock.wall_us() > until) {
        let text = format!(
            "the way back of {} was promised for a shorter time (reverse_days); the old server \
             has kept its copy all the same",
            wave.name
        );
        observe(Event::Note { text });
    }
    let begun_ms = session.clock.monotonic_ms();
    let gates = Gates::default();
    let _listening = listen(session, work, &executor)?;
    let mut world = World::new(session, &site, work, &plan, &gates)?;
    let before = delivered_by(&work.traffic())?;
    if options.traffic {
        world.begin_traffic()?;
    }
    let mut hear = |notice: &Notice<'_>| hear(session, notice, observe);
    let run = executor.reverse(&wave.steps, &mut world, &mut hear);
    let run = run.map_err(executor_error)?;
    write_outcome(work, &plan, &run.outcome)?;
    tell_services(work, &plan, observe);
    ended(&run)?;
    let mut reversal = sum_up(&mut world, &wave, &before, work)?;
    world.end();
    let ms = session.clock.monotonic_ms().saturating_sub(begun_ms);
    reversal.seconds = std::time::Duration::from_millis(ms).as_secs_f64();
    Ok(reversal)
}

/// Deliveries that were acknowledged, by mailbox.
type Delivered = BTreeMap<String, Vec<ContentId>>;

/// Ends the traffic, compares both copies, and looks for what was acknowledged meanwhile.
fn sum_up(
    world: &mut World<'_>,
    wave: &Wave,
    before: &Delivered,
    work: &Work,
) -> Result<Reversal, Error> {
    let traffic = world.end_traffic();
    let found = world.compare_back(&wave.from, &wave.to, &wave.mailboxes);
    let found = found.map_err(Error::needs_human)?;
    let (missing, doubled) = look_for(world, wave, before, &delivered_by(&work.traffic())?)?;
    Ok(Reversal {
        wave: wave.name.clone(),
        from: wave.from.clone(),
        to: wave.to.clone(),
        mailboxes: wave.mailboxes.len() as u64,
        messages: MessageCounts {
            source: found.source,
            target: found.target,
            lost: found.lost + missing,
            altered: found.altered,
            duplicated: found.duplicated + doubled,
        },
        seconds: 0.0,
        lock_ms: world.back_locks(&wave.mailboxes),
        traffic,
    })
}

/// Counts deliveries of this run to the wave's mailboxes that the old server lacks, and those that
/// it has twice.
fn look_for(
    world: &World<'_>,
    wave: &Wave,
    before: &Delivered,
    after: &Delivered,
) -> Result<(u64, u64), Error> {
    let mut source = world.names().source(&wave.to)?;
    let (mut missing, mut doubled) = (0, 0);
    for name in &wave.mailboxes {
        let earlier = before.get(name).map_or(0, Vec::len);
        let Some(new) = after.get(name).and_then(|all| all.get(earlier..)) else { continue };
        let mailbox = MailboxName::try_from(name.as_str()).map_err(Error::bad_input)?;
        let held: HashMap<ContentId, u64> =
            crate::verify::contents(&mailbox, &mut source).map_err(Error::chain)?;
        for content in new {
            match held.get(content).copied().unwrap_or(0) {
                0 => missing += 1,
                count => doubled += count - 1,
            }
        }
    }
    Ok((missing, doubled))
}

/// The wave that is meant, by name, number or step.
fn find(plan: &Plan, wanted: Option<&str>) -> Result<Wave, Error> {
    let waves = waves(plan);
    if waves.is_empty() {
        let route = plan.route.as_str();
        return Err(refused(format!(
            "plan {}: its route is {route}, which moves no mailboxes in waves; nothing was \
             changed; until its point of no return the old server can be started again as it is",
            plan.id
        )));
    }
    let mut names: Vec<&str> = waves.iter().map(|wave| wave.name.as_str()).collect();
    let found = match wanted {
        None if waves.len() == 1 => waves.first(),
        None => None,
        Some(wanted) => waves.iter().find(|wave| wave.is_called(wanted)),
    };
    if let Some(wave) = found {
        return Ok(wave.clone());
    }
    let more = names.len().saturating_sub(NAMED_MAX);
    names.truncate(NAMED_MAX);
    let and_more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let asked = wanted.map_or_else(
        || "say which wave with --wave".to_owned(),
        |wanted| format!("there is no wave \"{wanted}\""),
    );
    let names = names.join(", ");
    Err(refused(format!(
        "plan {}: {asked}; nothing was changed; it has {names}{and_more}",
        plan.id
    )))
}

/// How many waves a message names.
const NAMED_MAX: usize = 12;

fn refused(message: String) -> Error {
    Error::BadInput { message }
}

impl Wave {
    fn is_called(&self, wanted: &str) -> bool {
        let number = self.name.strip_prefix("wave ");
        self.name.eq_ignore_ascii_case(wanted)
            || number == Some(wanted)
            || self.steps.iter().any(|step| step.as_str().eq_ignore_ascii_case(wanted))
    }
}

/// The waves of a plan; one that has all mailboxes if they move in one go.
fn waves(plan: &Plan) -> Vec<Wave> {
    if plan.route != Route::MoveUsers {
        return Vec::new();
    }
    let moves: Vec<StepId> = plan
        .steps
        .iter()
        .filter(|step| matches!(step.action, Action::MoveMailboxes { .. }))
        .map(|step| step.id.clone())
        .collect();
    let all = [("all mailboxes".to_owned(), moves, None)];
    let named = plan.schedule.waves.iter();
    let named = named.map(|wave| (wave.name.clone(), wave.steps.clone(), wave.reverse_until_us));
    let parts: Vec<_> = if plan.schedule.waves.is_empty() { all.into() } else { named.collect() };
    parts.into_iter().filter_map(|part| wave_of(plan, part)).collect()
}

/// A wave with what its steps move; none if they move nothing.
fn wave_of(
    plan: &Plan,
    (name, steps, until_us): (String, Vec<StepId>, Option<i64>),
) -> Option<Wave> {
    let mut wave = Wave {
        name,
        steps: Vec::new(),
        from: String::new(),
        to: String::new(),
        mailboxes: Vec::new(),
        until_us,
    };
    for id in steps {
        if let Some(Action::MoveMailboxes { from, to, mailboxes }) =
            plan.step(&id).map(|step| &step.action)
        {
            // The way back goes the other way round.
            (wave.from, wave.to) = (to.clone(), from.clone());
            wave.mailboxes.extend(mailboxes.iter().cloned());
            wave.steps.push(id);
        }
    }
    (!wave.mailboxes.is_empty()).then_some(wave)
}

#[cfg(test)]
mod tests {
    use rehome_planner::{
        ClusterFacts, Inventory, MailboxFacts, Plan, PlanOptions, RouteChoice, ServerFacts, plan,
    };

    use super::find;

    /// A plan for four mailboxes in waves of at most so many.
    fn plan_of(route: RouteChoice, mailboxes_max: Option<u64>) -> Plan {
        let server = |name: &str| ServerFacts {
            name: name.to_owned(),
            version: "5.5".to_owned(),
            ..ServerFacts::default()
        };
        let mailbox = |name: &str| MailboxFacts {
            name: name.to_owned(),
            server: "EX1".to_owned(),
            messages: 1,
            bytes: 10,
            ..MailboxFacts::default()
        };
        let mut inventory = Inventory {
            old_server: "EX1".to_owned(),
            servers: vec![server("EX1"), server("EX2")],
            cluster: ClusterFacts {
                nodes: vec!["N1".to_owned(), "N2".to_owned()],
                version: "5.5".to_owned(),
                group: "mail".to_owned(),
                server: "EXCL1".to_owned(),
                ..ClusterFacts::default()
            },
            mailboxes: ["a", "b", "c", "d"].map(mailbox).into(),
            ..Inventory::default()
        };
        inventory.waves.mailboxes_max = mailboxes_max;
        let options = PlanOptions { route, now_us: 0, inventory_hash: "h".to_owned() };
        plan(&inventory, &options).expect("a plan")
    }

    /// Finds a wave and expects its name and how many mailboxes it has, or these words.
    #[track_caller]
    fn check(plan: &Plan, wanted: Option<&str>, expected: Result<(&str, usize), &str>) {
        match (find(plan, wanted), expected) {
            (Ok(wave), Ok((name, mailboxes))) => {
                assert_eq!((wave.name.as_str(), wave.mailboxes.len()), (name, mailboxes));
                assert_eq!((wave.from.as_str(), wave.to.as_str()), ("EXCL1", "EX1"));
            }
            (Err(error), Err(words)) => {
                assert!(error.to_string().contains(words), "no {words:?} in {error}");
                assert_eq!(error.exit_code(), 65);
            }
            (found, expected) => panic!("{found:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn a_wave_is_found_by_name_number_or_step() {
        let plan = plan_of(RouteChoice::MoveUsers, Some(2));
        for wanted in ["wave 1", "WAVE 1", "1", "M1w0"] {
            check(&plan, Some(wanted), Ok(("wave 1", 2)));
        }
        check(&plan, None, Err("say which wave with --wave"));
        check(&plan, Some("3"), Err("no wave \"3\"; nothing was changed; it has wave 1, wave 2"));
        check(&plan_of(RouteChoice::MoveUsers, None), None, Ok(("all mailboxes", 4)));
        check(&plan_of(RouteChoice::MoveUsers, None), Some("M1"), Ok(("all mailboxes", 4)));
        check(&plan_of(RouteChoice::DisasterRecovery, None), None, Err("disaster-recovery"));
    }
}
