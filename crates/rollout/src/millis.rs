//! Lengths of time, in whole milliseconds, written as people write them: `500ms`, `30s`, `2m`, `1h30m`, `7d`.
//!
//! Records keep them as numbers, so that a journal does not depend on how time is written.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Units from long to short, in milliseconds.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// The longest time a rollout may be told to wait: 400 days. Sums of a whole plan stay far from overflow.
pub const LONGEST: Millis = Millis(400 * 86_400_000);

/// A length of time in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Millis(pub u64);

impl Millis {
    /// So many seconds.
    pub const fn secs(secs: u64) -> Millis {
        Millis(secs.saturating_mul(1_000))
    }

    /// So many minutes.
    pub const fn mins(mins: u64) -> Millis {
        Millis(mins.saturating_mul(60_000))
    }

    /// Reads a length of time. Units go from long to short, each at most once; no fractions, no bare numbers.
    ///
    /// # Errors
    /// Says what is wrong with the text.
    pub fn parse(text: &str) -> Result<Millis, NotMillis> {
        if text.starts_with('-') {
            return Err(NotMillis::Negative);
        }
        let mut rest = text;
        let mut total: u64 = 0;
        let mut next_unit = 0;
        if rest.is_empty() {
            return Err(NotMillis::Malformed);
        }
        while !rest.is_empty() {
            let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            let (number, after) = rest.split_at(digits);
            let letters = after.len() - after.trim_start_matches(|c: char| c.is_ascii_alphabetic()).len();
            let (unit, after) = after.split_at(letters);
            if number.is_empty() {
                return Err(NotMillis::Malformed);
            }
            if unit.is_empty() {
                return Err(if after.is_empty() { NotMillis::NoUnit } else { NotMillis::Malformed });
            }
            let at = UNITS.iter().position(|(name, _)| *name == unit).ok_or(NotMillis::Unit)?;
            if at < next_unit {
                return Err(NotMillis::Order);
            }
            next_unit = at + 1;
            total = number
                .parse::<u64>()
                .ok()
                .and_then(|n| n.checked_mul(UNITS[at].1))
                .and_then(|n| n.checked_add(total))
                .filter(|n| *n <= LONGEST.0)
                .ok_or(NotMillis::TooLong)?;
            rest = after;
        }
        Ok(Millis(total))
    }
}

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        if rest == 0 {
            return f.write_str("0s");
        }
        for (unit, size) in UNITS {
            if rest >= size {
                write!(f, "{}{unit}", rest / size)?;
                rest %= size;
            }
        }
        Ok(())
    }
}

/// Why a text is not a length of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotMillis {
    /// It is below zero.
    #[error("a length of time cannot be negative")]
    Negative,
    /// It is something else altogether.
    #[error("not a length of time; write a number and a unit, such as `30s`, `2m`, `1h30m`")]
    Malformed,
    /// A bare number.
    #[error("a length of time needs a unit, such as `30s`, `2m`, `1h30m`")]
    NoUnit,
    /// A unit that is none.
    #[error("unknown unit of time; the units are d, h, m, s and ms")]
    Unit,
    /// `30m1h`.
    #[error("units of time go from long to short, each at most once: `1h30m`")]
    Order,
    /// Over [`LONGEST`].
    #[error("longer than 400 days")]
    TooLong,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        for text in ["1ms", "30s", "2m", "1h30m", "24h", "7d", "1d2h3m4s5ms"] {
            let millis = Millis::parse(text).unwrap();
            assert_eq!(Millis::parse(&millis.to_string()).unwrap(), millis, "{text}");
        }
        assert_eq!(Millis::parse("90s").unwrap().to_string(), "1m30s");
        assert_eq!(Millis(0).to_string(), "0s");
    }

    #[test]
    fn what_is_no_length_of_time_says_why() {
        for (text, why) in [
            ("", NotMillis::Malformed),
            ("-2m", NotMillis::Negative),
            ("5", NotMillis::NoUnit),
            ("1.5h", NotMillis::Malformed),
            ("5y", NotMillis::Unit),
            ("30m1h", NotMillis::Order),
            ("1m1m", NotMillis::Order),
            ("401d", NotMillis::TooLong),
            ("99999999999999999999d", NotMillis::TooLong),
            ("m", NotMillis::Malformed),
        ] {
            assert_eq!(Millis::parse(text), Err(why), "{text}");
        }
    }
}
