//! Path patterns, as in `routes` and `keep`.
use std::{borrow::Cow, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A pattern over normalised paths.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PathPattern(String);

/// The text is not a path pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a path pattern: {0}")]
pub struct InvalidPattern(pub String);

impl PathPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// Where it is malformed.
    pub fn parse(text: &str) -> Result<Self, InvalidPattern> {
        if !text.starts_with('/') {
            return Err(InvalidPattern(format!("{text:?} does not start with '/'")));
        }
        Ok(Self(text.to_owned()))
    }

    /// True where the normalised path is covered.
    pub fn matches(&self, path: &str) -> bool {
        match self.0.strip_suffix("/*") {
            Some(base) => path == base || path.strip_prefix(base).is_some_and(|rest| rest.starts_with('/')),
            None => path == self.0,
        }
    }

    /// Larger is more specific.
    pub fn specificity(&self) -> usize {
        self.0.len()
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PathPattern {
    type Err = InvalidPattern;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PathPattern({:?})", self.0)
    }
}

impl Serialize for PathPattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for PathPattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

impl JsonSchema for PathPattern {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "PathPattern".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^/" })
    }
}
