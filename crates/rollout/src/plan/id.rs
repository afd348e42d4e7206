//! The name of a rollout: `ro-` and what makes it unique, given by whoever opens it.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// The id of a rollout: `ro-[a-z0-9-]{1,40}`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RolloutId(String);

/// The text is not the id of a rollout.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a rollout id: {0:?}; they look like ro-7k3f9")]
pub struct RolloutIdError(String);

impl RolloutId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RolloutId {
    type Err = RolloutIdError;

    fn from_str(text: &str) -> Result<RolloutId, RolloutIdError> {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        match text.strip_prefix("ro-") {
            Some(rest) if (1..=40).contains(&rest.len()) && rest.chars().all(fits) => {
                Ok(RolloutId(text.to_owned()))
            }
            _ => Err(RolloutIdError(text.to_owned())),
        }
    }
}

impl TryFrom<String> for RolloutId {
    type Error = RolloutIdError;

    fn try_from(text: String) -> Result<RolloutId, RolloutIdError> {
        text.parse()
    }
}

impl From<RolloutId> for String {
    fn from(id: RolloutId) -> String {
        id.0
    }
}

impl fmt::Display for RolloutId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
