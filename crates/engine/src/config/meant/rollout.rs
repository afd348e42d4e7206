//! How a release replaces another, as meant.
//!
//! Releases keep this. What an older version of Cutover stored is still read, and what is as it was before a setting
//! existed is written as before, so that a release is not another one for the version of Cutover that staged it.

use std::{fmt, str::FromStr, time::Duration};

use cutover_rollout::{Problem, Strategy};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::super::duration;

/// How a release replaces another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RolloutConfig {
    /// In which steps.
    pub strategy: StrategyText,
    /// How long each step of a gradual strategy is held at least.
    #[serde(with = "duration::serde_text")]
    pub hold: Duration,
    /// How long both releases are kept warm and watched after promotion; zero: not at all.
    #[serde(with = "duration::serde_text")]
    pub bake: Duration,
    /// When the release that was left may be closed.
    pub drain: Drain,
    /// What becomes of it then.
    pub after: After,
    /// An answer that takes longer is "slow".
    #[serde(
        default = "default_slow",
        skip_serializing_if = "is_default_slow",
        with = "duration::serde_text"
    )]
    pub slow: Duration,
    /// What gates do that have too little evidence at the end of a hold and do not say so themselves.
    #[serde(default, skip_serializing_if = "is_default")]
    pub low_traffic: LowTraffic,
    /// Where the values come from that were not written. Only told: its values are in the other fields already.
    #[serde(default, skip_serializing_if = "is_default")]
    pub profile: Profile,
    /// What a promotion does while a rollback would not be possible.
    #[serde(default, skip_serializing_if = "is_default")]
    pub readiness: ReadinessPolicy,
}

/// What is slow where nothing is said.
pub(in super::super) const DEFAULT_SLOW: Duration = Duration::from_secs(1);

fn default_slow() -> Duration {
    DEFAULT_SLOW
}

fn is_default_slow(slow: &Duration) -> bool {
    *slow == DEFAULT_SLOW
}

pub(super) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// In which steps visitors move: a strategy and its text, as which it is kept.
///
/// The text is the strategy's own, not what was written: `canary(10%, 5m)` and the same steps written out are one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StrategyText {
    text: String,
    strategy: Strategy,
}

impl StrategyText {
    /// The text, such as `5%, 25%, 100%`.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The strategy.
    pub fn strategy(&self) -> &Strategy {
        &self.strategy
    }
}

impl Default for StrategyText {
    /// Everybody at once.
    fn default() -> Self {
        Strategy::INSTANT.into()
    }
}

impl From<Strategy> for StrategyText {
    fn from(strategy: Strategy) -> Self {
        Self { text: strategy.to_string(), strategy }
    }
}

impl fmt::Display for StrategyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for StrategyText {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for StrategyText {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        // Which audiences there are was checked when the text was written; here every name is one.
        let mut names: Vec<String> = Vec::new();
        loop {
            let known: Vec<&str> = names.iter().map(String::as_str).collect();
            match Strategy::parse(&text, &known) {
                Ok(strategy) => return Ok(strategy.into()),
                Err(why) => match why.problem {
                    Problem::UnknownAudience { name, .. } if !names.contains(&name) => names.push(name),
                    problem => return Err(D::Error::custom(format!("strategy {text:?}: {problem}"))),
                },
            }
        }
    }
}

/// When a release that no new visitor gets may be closed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drain {
    /// No request and no open stream for this long.
    #[serde(with = "duration::serde_text")]
    pub quiet: Duration,
    /// Closed after this long at the latest.
    #[serde(with = "duration::serde_text")]
    pub at_most: Duration,
}

/// What becomes of a drained release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum After {
    /// Its services end and, beyond what is retained, its files go.
    Retire,
    /// It stays warm, ready for a rollback.
    Standby,
}

/// What a gate does that has too little evidence when the hold is over.
///
/// Written, and kept, as `hold`, `extend 10m`, `ask`, `synthetic`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LowTraffic {
    /// Waits until there is evidence.
    #[default]
    Hold,
    /// Waits so much longer, then for a person.
    Extend(Duration),
    /// Waits for a person at once.
    Ask,
    /// Waits as [`LowTraffic::Hold`] does, and makes up for missing visitors with requests of its own, to both releases
    /// alike and always told apart from visitors.
    Synthetic,
}

/// The text is no policy for low traffic.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotLowTraffic(String);

impl FromStr for LowTraffic {
    type Err = NotLowTraffic;

    fn from_str(text: &str) -> Result<Self, NotLowTraffic> {
        let text = text.trim();
        match text {
            "hold" => return Ok(Self::Hold),
            "ask" => return Ok(Self::Ask),
            "synthetic" => return Ok(Self::Synthetic),
            "extend" => return Err(NotLowTraffic("says not how long; write `extend 10m`".to_owned())),
            _ => {}
        }
        let Some(by) = text.strip_prefix("extend ") else {
            return Err(NotLowTraffic("is none of `hold`, `extend 10m`, `ask` and `synthetic`".to_owned()));
        };
        match duration::parse(by.trim()) {
            Ok(by) if by.is_zero() => Err(NotLowTraffic("extends by nothing; write `extend 10m`".to_owned())),
            Ok(by) if by > Duration::from_secs(30 * 86_400) => {
                Err(NotLowTraffic("extends by more than 30 days".to_owned()))
            }
            Ok(by) => Ok(Self::Extend(by)),
            Err(why) => Err(NotLowTraffic(format!("does not say how long to extend by: {why}"))),
        }
    }
}

impl fmt::Display for LowTraffic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hold => f.write_str("hold"),
            Self::Extend(by) => write!(f, "extend {}", duration::format(*by)),
            Self::Ask => f.write_str("ask"),
            Self::Synthetic => f.write_str("synthetic"),
        }
    }
}

impl Serialize for LowTraffic {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for LowTraffic {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        text.parse().map_err(|why| D::Error::custom(format!("low traffic policy {text:?} {why}")))
    }
}

/// A set of defaults for rollouts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// Everybody at once, after the gates.
    #[default]
    Quick,
    /// In four steps, errors and slow answers compared.
    Standard,
    /// In six long steps, compared with rarer mistakes of the judge.
    Paranoid,
}

/// What a promotion does while a rollback would not be possible.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReadinessPolicy {
    /// Says so and goes on.
    #[default]
    Warn,
    /// Does not promote.
    Refuse,
}
