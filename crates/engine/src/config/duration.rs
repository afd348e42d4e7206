//! Lengths of time as people write them: `500ms`, `30s`, `2m`, `1h30m`, `24h`, `7d`.

use std::time::Duration;

/// Units from long to short, in milliseconds.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Longer than anything a rollout waits for, and short enough that sums cannot overflow.
const LONGEST: Duration = Duration::from_secs(400 * 86_400);

/// Reads a length of time. Units go from long to short, each at most once; there are no fractions and no bare numbers.
///
/// # Errors
/// Says what is wrong with the text, as the end of a sentence.
pub fn parse(text: &str) -> Result<Duration, String> {
    let example = "write a number and a unit, such as `30s`, `2m`, `1h30m`";
    if text.is_empty() {
        return Err(format!("is empty; {example}"));
    }
    let mut rest = text;
    let mut total: u64 = 0;
    let mut next_unit = 0;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, after) = rest.split_at(digits);
        if number.is_empty() {
            return Err(format!("is not a length of time; {example}"));
        }
        let letters = after.len() - after.trim_start_matches(|c: char| c.is_ascii_alphabetic()).len();
        let (unit, after) = after.split_at(letters);
        if unit.is_empty() {
            return Err(format!("has no unit after `{number}`; {example}"));
        }
        let Some(at) = UNITS.iter().position(|(name, _)| *name == unit) else {
            return Err(format!("has the unknown unit `{unit}`; the units are d, h, m, s and ms"));
        };
        if at < next_unit {
            return Err(format!(
                "has `{unit}` after a unit that is as short or shorter; write `1h30m`, not `30m1h`"
            ));
        }
        next_unit = at + 1;
        total = number
            .parse::<u64>()
            .ok()
            .and_then(|n| n.checked_mul(UNITS.get(at)?.1))
            .and_then(|n| n.checked_add(total))
            .filter(|n| Duration::from_millis(*n) <= LONGEST)
            .ok_or("is longer than 400 days")?;
        rest = after;
    }
    Ok(Duration::from_millis(total))
}

/// Writes a length of time so that [`parse`] reads the same again, to the millisecond.
pub fn format(duration: Duration) -> String {
    let mut rest = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if rest == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for (unit, size) in UNITS {
        if rest >= size {
            text.push_str(&format!("{}{unit}", rest / size));
            rest %= size;
        }
    }
    text
}

/// serde: a duration as text.
pub mod serde_text {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    /// Writes the text.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(duration: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&super::format(*duration))
    }

    /// Reads the text.
    ///
    /// # Errors
    /// Where it is no text, or no length of time.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(from)?;
        super::parse(&text).map_err(|why| D::Error::custom(format!("`{text}` {why}")))
    }
}

/// serde: an optional duration as text.
pub mod serde_text_option {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    /// Writes the text or nothing.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(duration: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
        match duration {
            Some(duration) => to.serialize_some(&super::format(*duration)),
            None => to.serialize_none(),
        }
    }

    /// Reads the text or nothing.
    ///
    /// # Errors
    /// Where it is no text, or no length of time.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
        Option::<String>::deserialize(from)?
            .map(|text| super::parse(&text).map_err(|why| D::Error::custom(format!("`{text}` {why}"))))
            .transpose()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_every_unit_and_their_sums() {
        for (text, millis) in [
            ("0s", 0),
            ("500ms", 500),
            ("10s", 10_000),
            ("2m", 120_000),
            ("1h30m", 5_400_000),
            ("24h", 86_400_000),
            ("1d2h3m4s5ms", 93_784_005),
            ("90m", 5_400_000),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn refuses_what_could_be_misread() {
        for text in [
            "",
            "10",
            "s",
            "1.5h",
            "-1s",
            "1 s",
            "30m1h",
            "1m1m",
            "1w",
            "10S",
            "99999999999999999999s",
            "401d",
            "5s ",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn reads_back_what_it_writes(millis in 0_u64..400 * 86_400_000) {
            let duration = Duration::from_millis(millis);
            prop_assert_eq!(parse(&format(duration)), Ok(duration));
        }

        #[test]
        fn never_panics(text in "\\PC{0,20}") {
            let _ = parse(&text);
        }
    }
}
