//! The conditions under which a move rests, as people write them.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Local, NaiveTime};
use rehome_log::Clock;
use rehome_store::{Pause, PauseWhen};

use crate::amount::parse_bytes;
use crate::control::Control;
use crate::machine::free_bytes;
use crate::session::Session;

/// An answer is good for so long, in milliseconds: a move asks before each frame.
const FRESH_MS: u64 = 1_000;

/// What holds a move up while it is so.
#[derive(Debug, Clone, PartialEq)]
pub enum PauseCondition {
    /// `disk-free<5GiB`: the target's disk has less room.
    DiskFree {
        /// Bytes that must be free.
        least_bytes: u64,
    },
    /// `load>4`: more processes want to run, on an average of one minute.
    Load {
        /// How many may.
        most: f64,
    },
    /// `file:PATH`: there is a file.
    File {
        /// Its path.
        path: PathBuf,
    },
    /// `outside 22:00-06:00` or `inside 08:00-18:00`: it is such a time of day here.
    Time {
        /// Rest inside, not outside.
        inside: bool,
        /// Begin of the time.
        from: NaiveTime,
        /// Its end, which does not belong to it; before `from` for a time over midnight.
        to: NaiveTime,
    },
}

impl FromStr for PauseCondition {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let plain = text.trim();
        let value = |name: &str, sign: char| {
            plain.strip_prefix(name)?.trim_start().strip_prefix(sign).map(str::trim)
        };
        let condition = if let Some(amount) = value("disk-free", '<') {
            parse_bytes(amount).map(|least_bytes| PauseCondition::DiskFree { least_bytes })
        } else if let Some(load) = value("load", '>') {
            let most = load.parse::<f64>().ok().filter(|most| most.is_finite() && *most >= 0.0);
            most.map(|most| PauseCondition::Load { most })
        } else if let Some(path) = plain.strip_prefix("file:") {
            (!path.is_empty()).then(|| PauseCondition::File { path: path.into() })
        } else {
            let words = [("outside ", false), ("inside ", true)];
            let timed = |(word, inside)| plain.strip_prefix(word).map(|rest| (rest, inside));
            words.into_iter().find_map(timed).and_then(|(rest, inside)| time_of_day(rest, inside))
        };
        condition.ok_or_else(|| {
            "give disk-free<5GiB, load>4, file:/path, \"outside 22:00-06:00\" or \"inside \
             08:00-18:00\""
                .to_owned()
        })
    }
}

fn time_of_day(text: &str, inside: bool) -> Option<PauseCondition> {
    let (from, to) = text.split_once('-')?;
    let time = |text: &str| NaiveTime::parse_from_str(text.trim(), "%H:%M").ok();
    let (from, to) = (time(from)?, time(to)?);
    (from != to).then_some(PauseCondition::Time { inside, from, to })
}

impl fmt::Display for PauseCondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PauseCondition::DiskFree { least_bytes } => {
                write!(f, "disk-free<{}", crate::summary::bytes(*least_bytes))
            }
            PauseCondition::Load { most } => write!(f, "load>{most}"),
            PauseCondition::File { path } => write!(f, "file:{}", path.display()),
            PauseCondition::Time { inside, from, to } => {
                let word = if *inside { "inside" } else { "outside" };
                write!(f, "{word} {}-{}", from.format("%H:%M"), to.format("%H:%M"))
            }
        }
    }
}

/// What a condition is judged by.
#[derive(Debug, Clone, Copy)]
struct Facts {
    free_bytes: u64,
    load: f64,
    time: NaiveTime,
}

impl PauseCondition {
    /// What is so, if the condition holds.
    fn holds(&self, facts: &Facts) -> Option<String> {
        let seen = match self {
            PauseCondition::DiskFree { least_bytes } => {
                let shown = crate::summary::bytes(facts.free_bytes);
                (facts.free_bytes < *least_bytes).then(|| format!("{shown} are free"))
            }
            PauseCondition::Load { most } => {
                (facts.load > *most).then(|| format!("the load is {}", facts.load))
            }
            PauseCondition::File { path } => path.exists().then(|| "it is there".to_owned()),
            PauseCondition::Time { inside, from, to } => {
                let time = facts.time;
                let within = if from < to {
                    (*from..*to).contains(&time)
                } else {
                    time >= *from || time < *to
                };
                (within == *inside).then(|| format!("it is {}", time.format("%H:%M")))
            }
        };
        seen.map(|seen| format!("{self} holds: {seen}"))
    }
}

/// Conditions judged on this machine.
struct OnThisMachine {
    conditions: Vec<PauseCondition>,
    folder: PathBuf,
    clock: Arc<dyn Clock>,
    /// The last answer, and when it was given.
    answer: Mutex<Option<(u64, Option<String>)>>,
}

impl Pause for OnThisMachine {
    fn reason(&self) -> Option<String> {
        let now = self.clock.monotonic_ms();
        let mut answer = self.answer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, reason)) = &*answer
            && now.saturating_sub(*at) < FRESH_MS
        {
            return reason.clone();
        }
        let facts = facts(&self.folder, &*self.clock);
        let reason = self.conditions.iter().find_map(|condition| condition.holds(&facts));
        *answer = Some((now, reason.clone()));
        reason
    }
}

/// What is so now. What cannot be told holds nothing up.
fn facts(folder: &Path, clock: &dyn Clock) -> Facts {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().and_then(|first| first.parse().ok());
    let moment = DateTime::from_timestamp_micros(clock.wall_us()).unwrap_or_default();
    Facts {
        free_bytes: free_bytes(folder).unwrap_or(u64::MAX),
        load: load.unwrap_or(0.0),
        time: moment.with_timezone(&Local).time(),
    }
}

/// Conditions, and what people say meanwhile over the control socket.
struct Controlled {
    control: Arc<Control>,
    conditions: OnThisMachine,
}

impl Pause for Controlled {
    fn reason(&self) -> Option<String> {
        let reason = self.control.wish().or_else(|| self.conditions.reason());
        if reason.is_none() {
            self.control.is_resting(None);
        }
        reason
    }

    /// The move calls this between two batches, while no mailbox is locked.
    fn wait(&self) {
        if let Some(reason) = self.reason() {
            self.control.is_resting(Some(&reason));
            self.control.wait(WAIT);
        }
    }
}

/// How long a rest lasts before it is asked again.
const WAIT: Duration = Duration::from_millis(200);

/// When a move of this session must rest that writes below `folder`.
pub(crate) fn pause_of(session: &Session, folder: &Path) -> PauseWhen {
    let conditions = OnThisMachine {
        conditions: session.pause_when.clone(),
        folder: folder.to_owned(),
        clock: Arc::clone(&session.clock),
        answer: Mutex::default(),
    };
    PauseWhen::new(Controlled { control: Arc::clone(&session.control), conditions })
}

/// When a job must rest that writes below `folder`; never, if there is no condition.
pub(crate) fn pause_when(
    conditions: &[PauseCondition],
    folder: &Path,
    clock: Arc<dyn Clock>,
) -> Option<PauseWhen> {
    let (conditions, folder, answer) = (conditions.to_vec(), folder.to_owned(), Mutex::default());
    (!conditions.is_empty())
        .then(|| PauseWhen::new(OnThisMachine { conditions, folder, clock, answer }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rehome_log::ManualClock;

    fn condition(text: &str) -> PauseCondition {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    /// A condition on a machine with 4 GiB free and a load of 2.5, at these times of day.
    #[track_caller]
    fn check(text: &str, holds: &[&str], holds_not: &[&str]) {
        for (times, expected) in [(holds, true), (holds_not, false)] {
            for time in times {
                let time = NaiveTime::parse_from_str(time, "%H:%M").expect("a time");
                let facts = Facts { free_bytes: 4 << 30, load: 2.5, time };
                let reason = condition(text).holds(&facts);
                assert_eq!(reason.is_some(), expected, "{text} at {time}: {reason:?}");
                let name = condition(text).to_string();
                assert!(reason.is_none_or(|reason| reason.starts_with(&name)));
            }
        }
    }

    #[test]
    fn conditions_hold_while_they_say_so() {
        check("disk-free<5GiB", &["12:00"], &[]);
        check("disk-free < 4GiB", &[], &["12:00"]);
        check("load>2", &["12:00"], &[]);
        check("load>2.5", &[], &["12:00"]);
        check("file:/", &["12:00"], &[]);
        check("file:/nowhere/at/all", &[], &["12:00"]);
        check("outside 22:00-06:00", &["06:00", "12:00", "21:59"], &["22:00", "00:00", "05:59"]);
        check("inside 08:00-18:00", &["08:00", "17:59"], &["07:59", "18:00", "23:00"]);
    }

    #[test]
    fn what_is_no_condition_is_refused_with_the_forms_there_are() {
        for text in ["", "load", "load>x", "load>-1", "load<4", "disk-free<0", "disk-free>5GiB"] {
            let error = text.parse::<PauseCondition>().expect_err(text);
            assert!(error.contains("disk-free<5GiB"), "{error}");
        }
        for text in
            ["file:", "outside 22:00", "inside 9-5", "outside 24:00-06:00", "in 08:00-09:00"]
        {
            assert!(text.parse::<PauseCondition>().is_err(), "{text}");
        }
        assert!("inside 08:00-08:00".parse::<PauseCondition>().is_err(), "never or always?");
    }

    #[test]
    fn an_answer_is_good_for_a_second() {
        let scratch = tempfile::tempdir().expect("a scratch folder");
        let file = scratch.path().join("stop");
        let clock = Arc::new(ManualClock::new(0));
        let pause = OnThisMachine {
            conditions: vec![PauseCondition::File { path: file.clone() }],
            folder: scratch.path().to_owned(),
            clock: clock.clone(),
            answer: Mutex::default(),
        };
        assert_eq!(pause.reason(), None);
        std::fs::write(&file, "").expect("writable");
        clock.advance_ms(FRESH_MS - 1);
        assert_eq!(pause.reason(), None);
        clock.advance_ms(1);
        assert!(pause.reason().expect("it is there").contains("stop holds: it is there"));
    }
}
