//! The line that separates messages: `From SENDER DATE`.

use chrono::{NaiveDate, NaiveTime};

/// The longest line that is taken for a separator, in bytes.
pub(crate) const LINE_BYTES_MAX: usize = 1024;

/// What a separator line starts with.
pub(crate) const PREFIX: &[u8] = b"From ";

const WEEKDAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Names of time zones that old mailers wrote, with their distance from UTC in hours.
const ZONES: [(&str, i64); 21] = [
    ("UT", 0),
    ("UTC", 0),
    ("GMT", 0),
    ("WET", 0),
    ("WEST", 1),
    ("WETDST", 1),
    ("BST", 1),
    ("CET", 1),
    ("MET", 1),
    ("CEST", 2),
    ("MEST", 2),
    ("METDST", 2),
    ("EET", 2),
    ("EST", -5),
    ("EDT", -4),
    ("CST", -6),
    ("CDT", -5),
    ("MST", -7),
    ("MDT", -6),
    ("PST", -8),
    ("PDT", -7),
];

/// Reads the date of a separator line, which comes without its line end, in seconds since 1970.
///
/// `None` if the line is no separator. A zone that is not known counts as UTC.
pub(crate) fn parse(line: &[u8]) -> Option<i64> {
    if line.len() > LINE_BYTES_MAX || !line.starts_with(PREFIX) {
        return None;
    }
    if line.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t') {
        return None;
    }
    let text = String::from_utf8_lossy(&line[PREFIX.len()..]);
    let tokens: Vec<&str> = text.split_ascii_whitespace().collect();
    (0..tokens.len()).find_map(|at| date(&tokens[at..]))
}

/// Reads `Wkd Mon DD HH:MM[:SS] YYYY`, with at most one zone before or after the year and, at the
/// end, `remote from HOST`.
fn date(tokens: &[&str]) -> Option<i64> {
    let [weekday, month, day, time, rest @ ..] = tokens else { return None };
    if !WEEKDAYS.contains(weekday) {
        return None;
    }
    let rest = match rest {
        [before @ .., "remote", "from", _host] => before,
        _ => rest,
    };
    let (year, zone_seconds) = match rest {
        [year] => (year, 0),
        [zone, year] if is_year(year) => (year, zone_seconds(zone)?),
        [year, zone] => (year, zone_seconds(zone)?),
        _ => return None,
    };
    let month = MONTHS.iter().zip(1..).find_map(|(name, number)| (name == month).then_some(number));
    let day = Some(day).filter(|day| is_digits(day, 1..=2))?.parse().ok()?;
    let year = Some(year).filter(|year| is_year(year))?.parse().ok()?;
    let local = NaiveDate::from_ymd_opt(year, month?, day)?.and_time(parse_time(time)?);
    Some(local.and_utc().timestamp() - zone_seconds)
}

fn is_digits(text: &str, count: std::ops::RangeInclusive<usize>) -> bool {
    count.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_year(text: &str) -> bool {
    is_digits(text, 4..=4)
}

fn parse_time(text: &str) -> Option<NaiveTime> {
    let mut parts = text.split(':');
    let mut number = |digits| {
        let part = parts.next().filter(|part| is_digits(part, digits))?;
        part.parse::<u32>().ok()
    };
    let (hour, minute) = (number(1..=2)?, number(2..=2)?);
    let second = match text.matches(':').count() {
        1 => 0,
        // A leap second has no number of its own in seconds since 1970.
        2 => number(2..=2).map(|second| if second == 60 { 59 } else { second })?,
        _ => return None,
    };
    NaiveTime::from_hms_opt(hour, minute, second)
}

/// Reads a zone: `+hhmm`, `-hhmm`, or up to seven letters; seconds to take off for UTC.
fn zone_seconds(zone: &str) -> Option<i64> {
    if let Some((_, hours)) = ZONES.iter().find(|(name, _)| *name == zone) {
        return Some(hours * 3600);
    }
    let sign = match zone.bytes().next()? {
        b'+' => 1,
        b'-' => -1,
        _ => {
            let letters = zone.len() <= 7 && zone.bytes().all(|byte| byte.is_ascii_alphabetic());
            return letters.then_some(0);
        }
    };
    let digits = Some(&zone[1..]).filter(|digits| is_digits(digits, 4..=4))?;
    let number: i64 = digits.parse().ok()?;
    Some(sign * (number / 100 * 3600 + number % 100 * 60))
}

/// Writes a separator line, without its line end, for a message that did not come with one.
pub(crate) fn format(date_seconds: i64) -> String {
    let moment = chrono::DateTime::from_timestamp(date_seconds, 0);
    // A year of more than four digits has no place in a separator.
    let moment = moment.filter(|moment| is_year(&moment.format("%Y").to_string()));
    let moment = moment.unwrap_or_default();
    format!("From MAILER-DAEMON {}", moment.format("%a %b %e %H:%M:%S %Y"))
}

#[cfg(test)]
mod tests {
    use super::{format, parse};

    #[track_caller]
    fn check(line: &str, seconds: Option<i64>) {
        assert_eq!(parse(line.as_bytes()), seconds, "{line}");
    }

    #[test]
    fn separators_of_old_and_new_mailers_are_read() {
        check("From a@b.org Thu Aug 22 12:36:23 2002", Some(1_030_019_783));
        check("From a@b.org  Thu Aug 22 12:36:23 2002", Some(1_030_019_783));
        check("From a@b.org Thu Jan  1 00:00:00 1970", Some(0));
        check("From - Thu Jan 01 00:00:01 1970", Some(1));
        check("From upi at papat.org  Wed Feb  1 19:06:04 2006", Some(1_138_820_764));
        check("From x Thu Sep 13 12:30:05 2001 -0400", Some(1_000_398_605));
        check("From david@coppit.org Sat Sep  1 20:58 EDT 2001", Some(999_392_280));
        check("From klopp Mon Jan  5 08:50:15 +0100 2004", Some(1_073_289_015));
        check("From goldt@et.byu.edu  Tue Jul  7 20:33:03 1998 WETDST", Some(899_839_983));
        check("From a Wed Jul  1 02:44:06 1998 MEST", Some(899_253_846));
        check("From a Wed Jul  1 02:44:06 1998 XYZ", Some(899_261_046));
        check("From uucp Thu Nov 24 18:22:48 1986 remote from host", Some(533_240_568));
        check("From  Thu Aug 22 12:36:23 2002", Some(1_030_019_783));
        check("From Mon Thu Aug 22 12:36:23 2002", Some(1_030_019_783));
        check("From x Wed Dec 31 23:59:60 1969", Some(-1));
    }

    #[test]
    fn lines_that_only_begin_alike_are_not_separators() {
        for line in [
            "From ",
            "From this principle, all of life and physics may be deduced.",
            "from a Thu Aug 22 12:36:23 2002",
            ">From a Thu Aug 22 12:36:23 2002",
            "From a Thu Aug 22 12:36:23",
            "From a Thu Aug 22 12:36:23 02",
            "From a Thu Aug 32 12:36:23 2002",
            "From a Thu Aug 22 25:36:23 2002",
            "From a Thu Aug 22 1236 2002",
            "From a Thu Aug 22 12:36:23 2002 and so on it went",
            "From a Thu Aug 22 12:36:23 2002 yesterdaynight",
            "From a thu aug 22 12:36:23 2002",
            "From a 22 Aug 2002 12:36:23",
            "From a\rb Thu Aug 22 12:36:23 2002",
            "From a Thu Aug 22 12:36:23 2002\r",
        ] {
            check(line, None);
        }
        check(&format!("From {} Thu Aug 22 12:36:23 2002", "a".repeat(1024)), None);
    }

    #[test]
    fn a_written_separator_is_read_back() {
        for seconds in [0, -1, 1_030_019_783, 253_402_300_799, -62_135_596_800] {
            check(&format(seconds), Some(seconds));
        }
        check(&format(i64::MAX), Some(0));
        check(&format(253_402_300_800), Some(0));
    }
}
