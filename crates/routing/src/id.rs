//! Release ids: small, copied, compared without allocation.
//!
//! An id is the start of a release's content digest. It appears in cookies, paths, headers and cache keys, so its
//! alphabet is the part of ASCII that needs escaping in none of them.

use std::{borrow::Cow, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Shortest id, in characters.
pub const MIN_RELEASE_ID: usize = 8;
/// Longest id, in characters.
pub const MAX_RELEASE_ID: usize = 16;

/// Identifies a release for ever: `[a-z0-9]{8,16}`.
///
/// Sixteen bytes held inline, padded with zeros, so that it is `Copy` and ordered like its text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReleaseId([u8; MAX_RELEASE_ID]);

/// The text is not a release id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a release id: expected {MIN_RELEASE_ID} to {MAX_RELEASE_ID} characters out of a-z and 0-9")]
pub struct InvalidReleaseId;

impl ReleaseId {
    /// Reads an id from bytes, as they come in a cookie, header or path. Never allocates.
    pub fn from_bytes(text: &[u8]) -> Option<Self> {
        if text.len() < MIN_RELEASE_ID || text.len() > MAX_RELEASE_ID {
            return None;
        }
        let mut bytes = [0; MAX_RELEASE_ID];
        for (to, from) in bytes.iter_mut().zip(text) {
            if !from.is_ascii_lowercase() && !from.is_ascii_digit() {
                return None;
            }
            *to = *from;
        }
        Some(Self(bytes))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        let len = self.0.iter().position(|byte| *byte == 0).unwrap_or(MAX_RELEASE_ID);
        // The bytes are ASCII by construction, so the fallback is never taken.
        std::str::from_utf8(&self.0[..len]).unwrap_or_default()
    }
}

impl FromStr for ReleaseId {
    type Err = InvalidReleaseId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::from_bytes(text.as_bytes()).ok_or(InvalidReleaseId)
    }
}

impl fmt::Display for ReleaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for ReleaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReleaseId({self})")
    }
}

impl Serialize for ReleaseId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for ReleaseId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl de::Visitor<'_> for Text {
            type Value = ReleaseId;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a release id")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<ReleaseId, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Text)
    }
}

impl JsonSchema for ReleaseId {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "ReleaseId".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[a-z0-9]{8,16}$" })
    }
}
