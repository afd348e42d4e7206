//! Lengths of time as people write them: `500ms`, `30s`, `2m`, `1h30m`, `24h`, `7d`.
//!
//! How they are read and written is [`Millis`]'s; here they become the standard library's.

use std::time::Duration;

use cutover_rollout::Millis;

/// Reads a length of time. Units go from long to short, each at most once; there are no fractions and no bare numbers,
/// and nothing is longer than 400 days, so that sums cannot overflow.
///
/// # Errors
/// Says what is wrong with the text, as a sentence.
pub fn parse(text: &str) -> Result<Duration, String> {
    Millis::parse(text).map(|millis| Duration::from_millis(millis.0)).map_err(|why| why.to_string())
}

/// Writes a length of time so that [`parse`] reads the same again, to the millisecond.
pub fn format(duration: Duration) -> String {
    millis(duration).to_string()
}

/// A length of time as rollouts count it, to the millisecond.
pub fn millis(duration: Duration) -> Millis {
    Millis(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
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
        super::parse(&text).map_err(|why| D::Error::custom(format!("`{text}`: {why}")))
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
            .map(|text| super::parse(&text).map_err(|why| D::Error::custom(format!("`{text}`: {why}"))))
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
