//! Windows of time as people write them: days, hours, a first and a last date, and the offset from
//! UTC that they are meant in.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The days of the week by their short names, Monday first.
const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
/// Minutes of a day.
const DAY_MINUTES: u32 = 24 * 60;

/// A window that comes again: work may be done in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Name for people.
    pub name: String,
    /// On which days it begins.
    pub days: Days,
    /// When it begins.
    pub from: TimeOfDay,
    /// When it ends; on the next day if that is not after `from`.
    pub until: TimeOfDay,
    /// First day on which it begins.
    pub first: Date,
    /// Last day on which it begins.
    pub last: Date,
    /// The offset that the times are meant in.
    pub utc_offset: UtcOffset,
}

impl Window {
    /// How long it is open, in minutes; at least one.
    #[must_use]
    pub fn minutes(&self) -> u32 {
        let (from, until) = (self.from.0, self.until.0);
        if until > from { until - from } else { until + DAY_MINUTES - from }
    }

    /// When it is open, each time as microseconds since 1970, in order.
    #[must_use]
    pub fn openings_us(&self) -> Vec<(i64, i64)> {
        let offset_minutes = i64::from(self.utc_offset.0);
        let open = |day: i64| {
            let from = day * i64::from(DAY_MINUTES) + i64::from(self.from.0) - offset_minutes;
            (from * 60_000_000, (from + i64::from(self.minutes())) * 60_000_000)
        };
        let days = self.first.days()..=self.last.days();
        days.filter(|day| self.days.holds(*day)).map(open).collect()
    }
}

/// A moment; written with its offset, as `2026-12-19T06:00:00-08:00`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Moment(i64);

impl Moment {
    /// Microseconds since 1970.
    #[must_use]
    pub const fn us(self) -> i64 {
        self.0
    }
}

impl FromStr for Moment {
    type Err = CalendarError;

    fn from_str(text: &str) -> Result<Self, CalendarError> {
        let fault =
            || CalendarError(text.to_owned(), "no moment such as 2026-12-19T06:00:00-08:00");
        let (date, rest) = text.split_once('T').ok_or_else(fault)?;
        let at = rest.find(['Z', '+', '-']).ok_or_else(fault)?;
        let (time, offset) = rest.split_at(at);
        let date: Date = date.parse().map_err(|_| fault())?;
        let hours = time.get(..5).ok_or_else(fault)?;
        let minute: TimeOfDay = hours.parse().map_err(|_| fault())?;
        let seconds = match time.get(5..) {
            Some("") => 0,
            Some(rest) => {
                let digits = rest.strip_prefix(':').filter(|digits| digits.len() == 2);
                let seconds = digits.and_then(|digits| digits.parse::<i64>().ok());
                seconds.filter(|seconds| *seconds < 60).ok_or_else(fault)?
            }
            None => return Err(fault()),
        };
        let offset =
            if offset == "Z" { UtcOffset(0) } else { offset.parse().map_err(|_| fault())? };
        let minutes = date.days() * i64::from(DAY_MINUTES) + i64::from(minute.0);
        let seconds = (minutes - i64::from(offset.0)) * 60 + seconds;
        Ok(Self(seconds * 1_000_000))
    }
}

/// A set of days of the week; written as `Mon-Thu`, `Sat` or `Mon, Wed`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Days(u8);

impl Days {
    /// Tells whether a day, counted from 1970, is one of them.
    fn holds(self, day: i64) -> bool {
        // The first of January 1970 was a Thursday.
        self.0 & (1 << (day + 3).rem_euclid(7)) != 0
    }
}

/// Why a text is no part of a calendar.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is {1}")]
pub struct CalendarError(String, &'static str);

impl FromStr for Days {
    type Err = CalendarError;

    fn from_str(text: &str) -> Result<Self, CalendarError> {
        let fault =
            || CalendarError(text.to_owned(), "no list of days such as Mon-Thu or Sat, Sun");
        let day = |word: &str| {
            let word = word.trim();
            DAYS.iter().position(|day| day.eq_ignore_ascii_case(word)).ok_or_else(fault)
        };
        let mut set = 0;
        for part in text.split(',') {
            let (from, to) = part.split_once('-').unwrap_or((part, part));
            let (mut at, to) = (day(from)?, day(to)?);
            set |= 1 << at;
            while at != to {
                at = (at + 1) % 7;
                set |= 1 << at;
            }
        }
        Ok(Self(set))
    }
}

/// A time of day to the minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TimeOfDay(u32);

impl FromStr for TimeOfDay {
    type Err = CalendarError;

    fn from_str(text: &str) -> Result<Self, CalendarError> {
        let fault = || CalendarError(text.to_owned(), "no time of day such as 22:00");
        let (hours, minutes) = text.split_once(':').ok_or_else(fault)?;
        let number = |text: &str, max: u32| {
            let good = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse::<u32>().ok().filter(|value| good && *value <= max).ok_or_else(fault)
        };
        Ok(Self(number(hours, 23)? * 60 + number(minutes, 59)?))
    }
}

/// A day of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Date {
    year: i32,
    month: u32,
    day: u32,
}

impl Date {
    /// Days since the first of January 1970.
    fn days(self) -> i64 {
        // Years that begin in March have their leap day at their end.
        let year = i64::from(self.year) - i64::from(self.month <= 2);
        let month = i64::from((self.month + 9) % 12);
        let era = year.div_euclid(400);
        let of_era = year.rem_euclid(400);
        let of_year = (153 * month + 2) / 5 + i64::from(self.day) - 1;
        era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
    }

    fn is_real(self) -> bool {
        let leap = self.year % 4 == 0 && (self.year % 100 != 0 || self.year % 400 == 0);
        let length = match self.month {
            4 | 6 | 9 | 11 => 30,
            2 => 28 + u32::from(leap),
            1..=12 => 31,
            _ => return false,
        };
        (1970..=9999).contains(&self.year) && (1..=length).contains(&self.day)
    }
}

impl FromStr for Date {
    type Err = CalendarError;

    fn from_str(text: &str) -> Result<Self, CalendarError> {
        let fault = || CalendarError(text.to_owned(), "no date such as 2026-12-07");
        let parts: Vec<&str> = text.split('-').collect();
        let [year, month, day] = parts[..] else { return Err(fault()) };
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if (year.len(), month.len(), day.len()) != (4, 2, 2) || !parts.iter().all(|p| digits(p)) {
            return Err(fault());
        }
        let read = |part: &str| part.parse::<u32>().map_err(|_| fault());
        let year = i32::try_from(read(year)?).map_err(|_| fault())?;
        let date = Self { year, month: read(month)?, day: read(day)? };
        if date.is_real() { Ok(date) } else { Err(fault()) }
    }
}

/// An offset from UTC in minutes, eastwards positive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UtcOffset(i32);

impl FromStr for UtcOffset {
    type Err = CalendarError;

    fn from_str(text: &str) -> Result<Self, CalendarError> {
        let fault = || CalendarError(text.to_owned(), "no offset from UTC such as -08:00");
        let sign = match text.as_bytes().first() {
            Some(b'+') => 1,
            Some(b'-') => -1,
            _ => return Err(fault()),
        };
        let time: TimeOfDay = text[1..].parse().map_err(|_| fault())?;
        let minutes = i32::try_from(time.0).map_err(|_| fault())?;
        if minutes > 14 * 60 { Err(fault()) } else { Ok(Self(sign * minutes)) }
    }
}

impl fmt::Display for UtcOffset {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { '-' } else { '+' };
        write!(out, "{sign}{:02}:{:02}", self.0.abs() / 60, self.0.abs() % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_US: i64 = 3_600_000_000;

    fn window(days: &str, from: &str, until: &str) -> Window {
        Window {
            name: "w".to_owned(),
            days: days.parse().unwrap(),
            from: from.parse().unwrap(),
            until: until.parse().unwrap(),
            first: "2026-12-07".parse().unwrap(),
            last: "2026-12-13".parse().unwrap(),
            utc_offset: "-08:00".parse().unwrap(),
        }
    }

    #[track_caller]
    fn check(window: &Window, openings: usize, hours: i64) {
        let found = window.openings_us();
        assert_eq!(found.len(), openings);
        assert!(found.iter().all(|(from, until)| until - from == hours * HOUR_US));
    }

    #[test]
    fn a_window_opens_on_its_days_and_may_reach_into_the_next() {
        check(&window("Mon-Thu", "22:00", "02:00"), 4, 4);
        check(&window("Sat, Sun", "08:00", "20:00"), 2, 12);
        check(&window("Fri-Mon", "00:00", "00:00"), 4, 24);
        // 7 December 2026 is a Monday; 22:00 at -08:00 is 06:00 UTC on the eighth.
        let first = window("Mon-Thu", "22:00", "02:00").openings_us()[0].0;
        assert_eq!("2026-12-08T06:00:00Z".parse(), Ok(Moment(first)));
    }

    #[test]
    fn dates_and_moments_that_are_none_are_refused() {
        for text in ["2026-02-29", "2026-13-01", "26-01-01", "2026-1-1", "+026-01-01", ""] {
            assert!(text.parse::<Date>().is_err(), "{text}");
        }
        assert_eq!("2028-02-29".parse::<Date>().unwrap().days(), 21_243);
        for text in ["2026-12-19", "2026-12-19T06:00:00", "2026-12-19T25:00Z", "T", "ü"] {
            assert!(text.parse::<Moment>().is_err(), "{text}");
        }
        assert!("2026-12-19T06:00:99Z".parse::<Moment>().is_err());
        assert_eq!("1970-01-01T01:00+01:00".parse(), Ok(Moment(0)));
        assert_eq!("1970-01-02T00:00:01Z".parse(), Ok(Moment(86_401_000_000)));
    }

    #[test]
    fn days_times_and_offsets_that_are_none_are_refused() {
        assert!("Mon-Funday".parse::<Days>().is_err());
        assert!("24:00".parse::<TimeOfDay>().is_err());
        assert!("9:00".parse::<TimeOfDay>().is_err());
        assert!("08:00".parse::<UtcOffset>().is_err());
        assert!("+15:00".parse::<UtcOffset>().is_err());
        assert_eq!("-08:30".parse::<UtcOffset>().unwrap().to_string(), "-08:30");
    }
}
