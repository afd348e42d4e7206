//! Path patterns, as in `routes` and `keep`.
//!
//! `*` stands for any run of characters, `/` included, as in CloudFront's and the ALB's path patterns, so that the same
//! text can be given to them. One addition: a pattern that ends in `/*` also covers the path before it, `/api/*` covers
//! `/api`. Everything else is compared as it is, with the normalised, decoded path.

use std::{borrow::Cow, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::normalise_path;

/// Longest pattern, in bytes.
pub const MAX_PATTERN: usize = 255;
/// Most wildcards in a pattern; bounds the work of a match.
const MAX_WILDCARDS: usize = 8;

/// A pattern over normalised paths: `/exact`, `/api/*`, `/callback*`, `/a/*/b`, `*.png`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PathPattern(String);

/// The text is not a path pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a path pattern: {text:?} {why}")]
pub struct InvalidPattern {
    /// What was given.
    pub text: String,
    /// What is wrong with it, and what to write instead.
    pub why: &'static str,
}

impl PathPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// Where no normalised path could match it, or it is beyond the bounds.
    pub fn parse(text: &str) -> Result<Self, InvalidPattern> {
        match fault(text) {
            Some(why) => Err(InvalidPattern { text: text.chars().take(MAX_PATTERN).collect(), why }),
            None => Ok(Self(text.to_owned())),
        }
    }

    /// True where the normalised path is covered.
    pub fn matches(&self, path: &str) -> bool {
        if self.0.strip_suffix("/*").is_some_and(|base| glob(base.as_bytes(), path.as_bytes())) {
            return true;
        }
        glob(self.0.as_bytes(), path.as_bytes())
    }

    /// How specific the pattern is: of two that cover a path, the larger one decides. An exact pattern is above every
    /// one with a wildcard; else the number of bytes that are no wildcard.
    pub fn specificity(&self) -> usize {
        let wildcards = self.0.bytes().filter(|byte| *byte == b'*').count();
        let literal = self.0.len() - wildcards;
        if wildcards == 0 { literal + 2 * MAX_PATTERN } else { literal }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn fault(text: &str) -> Option<&'static str> {
    if text.len() > MAX_PATTERN {
        return Some("is longer than 255 bytes");
    }
    if !text.starts_with(['/', '*']) {
        return Some("does not start with '/' or '*'");
    }
    if text.contains("**") {
        return Some("has '**': one '*' covers slashes too");
    }
    if text.bytes().filter(|byte| *byte == b'*').count() > MAX_WILDCARDS {
        return Some("has more than 8 wildcards");
    }
    if text.contains(['?', '#']) {
        return Some("has '?' or '#': patterns cover the path, without the query");
    }
    // A slash before makes a leading wildcard part of a segment; the wildcards themselves are ordinary characters here.
    let probe = if text.starts_with('/') { text.to_owned() } else { format!("/{text}") };
    match normalise_path(&probe) {
        Ok(normal) if normal == probe => None,
        Ok(_) => Some("is not in normal form: write it decoded, without '//', '.' or '..'"),
        Err(_) => Some("has a character, escape or '..' that no path may have: write it decoded"),
    }
}

/// Matches with `*` for any run of bytes. Goes back to the last wildcard only, so the work is at most the product of the
/// lengths.
fn glob(pattern: &[u8], path: &[u8]) -> bool {
    let (mut at, mut on) = (0, 0);
    let mut retry = None;
    while on < path.len() {
        match pattern.get(at) {
            Some(b'*') => {
                retry = Some((at + 1, on));
                at += 1;
            }
            Some(byte) if *byte == path[on] => {
                at += 1;
                on += 1;
            }
            _ => {
                let Some((after, from)) = retry else { return false };
                at = after;
                on = from + 1;
                retry = Some((after, from + 1));
            }
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
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
        json_schema!({ "type": "string", "pattern": "^[/*]", "maxLength": MAX_PATTERN })
    }
}
