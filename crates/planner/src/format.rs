//! Numbers for people.

/// Bytes in binary units, for example `1.4 GiB`.
pub(crate) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1023.95 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// Seconds in the two largest units that matter, for example `2 h 05 min`.
pub(crate) fn duration(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{} h {:02} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} d {:02} h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

/// A measured time: milliseconds below ten seconds, else as [`duration`].
pub(crate) fn elapsed(us: i64) -> String {
    let ms = u64::try_from(us).unwrap_or(0).div_ceil(1000);
    match ms {
        0..1000 => format!("{ms} ms"),
        1000..10_000 => format!("{}.{} s", ms / 1000, ms % 1000 / 100),
        _ => duration(ms / 1000),
    }
}

/// A whole number with thin groups of three, for example `12 345`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// A number with its noun, for example `1 mailbox` or `3 mailboxes`.
pub(crate) fn plural(number: usize, one: &str, many: &str) -> String {
    format!("{} {}", count(number as u64), if number == 1 { one } else { many })
}

/// A moment in UTC, for example `2026-11-22 21:30:05`.
pub(crate) fn moment(wall_us: i64) -> String {
    chrono::DateTime::from_timestamp_micros(wall_us).map_or_else(
        || format!("{wall_us} µs"),
        |moment| moment.format("%Y-%m-%d %H:%M:%S").to_string(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: String, expected: &str) {
        assert_eq!(text, expected);
    }

    #[test]
    fn numbers_read_as_people_write_them() {
        check(bytes(1023), "1023 B");
        check(bytes(1536), "1.5 KiB");
        check(bytes(61 << 30), "61.0 GiB");
        check(duration(59), "59 s");
        check(duration(125), "2 min 05 s");
        check(duration(7500), "2 h 05 min");
        check(duration(90_000), "1 d 01 h");
        check(elapsed(41_500), "42 ms");
        check(elapsed(3_520_000), "3.5 s");
        check(elapsed(61_000_000), "1 min 01 s");
        check(plural(1, "role", "roles"), "1 role");
        check(count(1_234_567), "1\u{202f}234\u{202f}567");
        check(moment(0), "1970-01-01 00:00:00");
    }
}
