//! Forecast, waves and traps for a terminal.

use super::{line, wrapped};
use crate::format::{bytes, count, duration, moment};
use crate::plan::Plan;
use crate::traps::TrapStanding;

pub(super) fn forecast(out: &mut String, plan: &Plan) {
    let forecast = &plan.forecast;
    if forecast.runs == 0 {
        return;
    }
    let time = |seconds: i64| duration(u64::try_from(seconds).unwrap_or(0));
    line(out, format_args!("{:<40}{:<15}{:<15}{}", "forecast", "P50", "P80", "P95"));
    for (name, at) in [
        ("all mail served by the new server", &forecast.moved_seconds),
        ("the last step done", &forecast.elapsed_seconds),
    ] {
        let (p50, p80, p95) = (time(at.p50), time(at.p80), time(at.p95));
        line(out, format_args!("{name:<40}{p50:<15}{p80:<15}{p95}"));
    }
    if let Some(share) = forecast.fits_deadline {
        line(out, format_args!("the deadline is kept in {:.0} of 100 cases", share * 100.0));
    }
    if let Some(seconds) = forecast.start_deadline_seconds {
        line(out, format_args!("let the store start for {}", duration(seconds)));
    }
    let grade = &forecast.grade;
    let why = if grade.reasons.is_empty() {
        String::new()
    } else {
        format!(": {}", grade.reasons.join("; "))
    };
    wrapped(out, "grade of the numbers: ", &format!("{}{why}", grade.letter));
    out.push('\n');
}

pub(super) fn waves(out: &mut String, plan: &Plan) {
    let schedule = &plan.schedule;
    if schedule.waves.is_empty() {
        return;
    }
    let head = ("wave", "opens (UTC)", "mailboxes", "sent", "log", "likely", "way back");
    let (a, b, c, d, e, f, g) = head;
    line(out, format_args!("{a:<10}{b:<18}{c:>10}{d:>12}{e:>12}{f:>14}  {g}"));
    for wave in &schedule.waves {
        let opens =
            wave.opens_us.map_or_else(|| "at any time".into(), |us| moment(us)[..16].into());
        let opens: String = opens;
        let until = wave
            .reverse_until_us
            .map_or_else(String::new, |us| format!(" until {}", &moment(us)[..10]));
        let row = format_args!(
            "{:<10}{opens:<18}{:>10}{:>12}{:>12}{:>14}  {}{until}",
            wave.name,
            count(wave.mailboxes),
            bytes(wave.sent_bytes),
            bytes(wave.log_bytes),
            duration(wave.seconds.likely),
            duration(wave.reverse_seconds.likely),
        );
        line(out, row);
    }
    if !schedule.hubs.is_empty() {
        wrapped(out, "no reason to keep together: ", &schedule.hubs.join(", "));
    }
    if !schedule.splits.is_empty() {
        line(out, format_args!("parted on purpose: {} pairs", schedule.splits.len()));
    }
    out.push('\n');
}

pub(super) fn traps(out: &mut String, plan: &Plan) {
    let of = |wanted| plan.traps.iter().filter(move |one| one.state == wanted);
    if plan.traps.is_empty() {
        return;
    }
    line(
        out,
        format_args!(
            "traps: {} set, {} to be looked at, {} kept clear of, {} not set",
            of(TrapStanding::Warned).count(),
            of(TrapStanding::Unknown).count(),
            of(TrapStanding::WorkedAround).count(),
            of(TrapStanding::Clear).count()
        ),
    );
    for one in of(TrapStanding::Unknown) {
        wrapped(out, "  [ ] ", &format!("{}: {}", one.code, one.text));
    }
    out.push('\n');
}
