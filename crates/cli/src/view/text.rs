//! Numbers and times as people read them.

use std::time::{SystemTime, UNIX_EPOCH};

/// Unix milliseconds now.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// How long ago `at_ms` was, in its largest unit.
pub(crate) fn ago(now_ms: u64, at_ms: u64) -> String {
    let seconds = now_ms.saturating_sub(at_ms) / 1000;
    match seconds {
        0..5 => "just now".to_owned(),
        5..60 => format!("{seconds}s ago"),
        60..3600 => format!("{}m ago", seconds / 60),
        3600..86_400 => format!("{}h ago", seconds / 3600),
        _ => format!("{}d ago", seconds / 86_400),
    }
}

/// A number of bytes with its binary unit.
pub(crate) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// A time span given in microseconds: three figures or so.
pub(crate) fn micros(micros: u64) -> String {
    let millis = micros as f64 / 1000.0;
    match micros {
        0..1000 => format!("{micros} µs"),
        1000..10_000 => format!("{millis:.2} ms"),
        10_000..1_000_000 => format!("{millis:.1} ms"),
        _ => format!("{:.1} s", millis / 1000.0),
    }
}

/// A time span given in milliseconds, in whole seconds where there are several and in its two largest units.
pub(crate) fn span(millis: u64) -> String {
    let seconds = millis / 1000;
    let two = |big: u64, unit: &str, small: u64, of: &str| {
        if small == 0 { format!("{big}{unit}") } else { format!("{big}{unit}{small}{of}") }
    };
    match seconds {
        0 if millis == 0 => "0s".to_owned(),
        0 => format!("{millis}ms"),
        1..10 if millis % 1000 >= 100 => format!("{seconds}.{}s", millis % 1000 / 100),
        1..60 => format!("{seconds}s"),
        60..3600 => two(seconds / 60, "m", seconds % 60, "s"),
        3600..86_400 => two(seconds / 3600, "h", seconds / 60 % 60, "m"),
        _ => two(seconds / 86_400, "d", seconds / 3600 % 24, "h"),
    }
}

/// A text on one line.
pub(crate) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A share of 10 000 as a percentage.
pub(crate) fn share(width: u16) -> String {
    if width.is_multiple_of(100) {
        format!("{}%", width / 100)
    } else {
        format!("{:.2}%", f64::from(width) / 100.0)
    }
}

/// `one file`, `two files`: a count with its noun.
pub(crate) fn count(number: u64, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// A moment (unix milliseconds) as `2026-01-31 13:05:09Z`.
pub(crate) fn moment(at_ms: u64) -> String {
    let seconds = at_ms / 1000;
    let (day, rest) = (seconds / 86_400, seconds % 86_400);
    let (year, month, date) = civil(day);
    format!("{year:04}-{month:02}-{date:02} {:02}:{:02}:{:02}Z", rest / 3600, rest / 60 % 60, rest % 60)
}

/// Year, month and day of a day counted from 1970-01-01, in the proleptic Gregorian calendar: whole 400-year eras
/// first, and years that begin in March so that the leap day comes last.
fn civil(day: u64) -> (u64, u64, u64) {
    let shifted = day + 719_468;
    let era = shifted / 146_097;
    let of_era = shifted % 146_097;
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * of_year + 2) / 153;
    let date = of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, date)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_well_in_every_unit() {
        let now = 10 * 86_400_000;
        assert_eq!(ago(now, now - 900), "just now");
        assert_eq!(ago(now, now - 59_000), "59s ago");
        assert_eq!(ago(now, now - 3_599_000), "59m ago");
        assert_eq!(ago(now, now - 7_200_000), "2h ago");
        assert_eq!(ago(now, 0), "10d ago");
        assert_eq!(ago(0, now), "just now");
        assert_eq!(
            (micros(812), micros(1_234), micros(43_210)),
            ("812 µs".into(), "1.23 ms".into(), "43.2 ms".into())
        );
        assert_eq!(micros(2_500_000), "2.5 s");
    }

    #[test]
    fn spans_have_two_units_at_most() {
        let read = [0, 999, 1_050, 1_500, 12_900, 72_000, 120_000, 5_400_000, 90_000_000].map(span);
        assert_eq!(read, ["0s", "999ms", "1s", "1.5s", "12s", "1m12s", "2m", "1h30m", "1d1h"]);
        assert_eq!(one_line(" a\n\tb  c"), "a b c");
    }

    #[test]
    fn moments_cross_leap_days_and_centuries() {
        assert_eq!(moment(0), "1970-01-01 00:00:00Z");
        assert_eq!(moment(951_782_400_000), "2000-02-29 00:00:00Z");
        assert_eq!(moment(1_735_689_599_999), "2024-12-31 23:59:59Z");
        assert_eq!(moment(4_107_542_400_000), "2100-03-01 00:00:00Z");
    }

    #[test]
    fn sizes_and_shares() {
        assert_eq!((bytes(1023), bytes(1536)), ("1023 B".into(), "1.5 KiB".into()));
        assert_eq!(bytes(u64::MAX), "16777216.0 TiB");
        assert_eq!((share(2500), share(125)), ("25%".into(), "1.25%".into()));
        assert_eq!((count(1, "file"), count(0, "file")), ("1 file".into(), "0 files".into()));
    }
}
