//! What rarely changes: policies, audiences, hosts, keys.

use std::fmt;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::PathPattern;

/// When a pinned visitor follows a promotion.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Policy {
    /// With the next navigation. For single-page apps.
    #[default]
    Navigation,
    /// With the next entry into the app or reload; links inside the app stay. For multi-page apps.
    Entry,
    /// Only when their release cannot be served any more.
    Sticky,
}

/// What requests without a pin get, other than navigations.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Cookieless {
    /// The default release.
    #[default]
    Default,
    /// A draw for each request: for API clients that keep no cookies.
    Split,
}

/// Names a group of visitors; the release they get is in the table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AudienceRule {
    /// The audience.
    pub name: String,
    /// Who belongs to it.
    pub when: Condition,
}

/// Who belongs to an audience.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Condition {
    /// The path matches.
    Path(PathPattern),
    /// A request header is there, with this value if one is given.
    Header {
        /// Lower-case name.
        name: String,
        /// Exact value; none means present.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        value: Option<String>,
    },
    /// A cookie is there, with this value if one is given.
    Cookie {
        /// Name, case-sensitive.
        name: String,
        /// Exact value; none means present.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        value: Option<String>,
    },
    /// A query parameter is there, with this value if one is given.
    Query {
        /// Name, case-sensitive, compared without decoding.
        name: String,
        /// Exact value; none means present.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        value: Option<String>,
    },
    /// The country a trusted proxy reports is one of these (ISO 3166-1 alpha-2).
    Country(Vec<String>),
    /// The client's address is inside one of these networks.
    Cidr(Vec<IpNet>),
}

/// A secret that signs preview tokens.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PreviewKey {
    /// Names the key inside tokens: `[A-Za-z0-9_-]{1,32}`.
    pub kid: String,
    /// The key for HMAC-SHA256: at least [`crate::MIN_SECRET`] bytes, 32 are right.
    #[serde(with = "secret")]
    pub secret: Vec<u8>,
}

impl fmt::Debug for PreviewKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PreviewKey({}, secret hidden)", self.kid)
    }
}

mod secret {
    //! Secrets in JSON: base64 with padding.
    use base64::{Engine, engine::general_purpose::STANDARD};
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(secret: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(secret))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        STANDARD
            .decode(String::deserialize(deserializer)?)
            .map_err(|_| de::Error::custom("a preview key's secret is not base64"))
    }
}

/// What `decide` reads beside the table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The configured host: lower case, no port. Preview tokens are bound to it.
    pub host: String,
    /// True where visitors come over https.
    #[serde(default)]
    pub secure: bool,
    /// When pinned visitors follow a promotion.
    #[serde(default)]
    pub policy: Policy,
    /// What requests without a pin get.
    #[serde(default)]
    pub cookieless: Cookieless,
    /// Paths on which a pin is kept (login callbacks).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keep: Vec<PathPattern>,
    /// Audience rules, the first that matches and has a release wins.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub audiences: Vec<AudienceRule>,
    /// Keys that preview tokens may be signed with; two while rotating.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<PreviewKey>,
    /// Serve service-worker scripts to previews (by default they get 404).
    #[serde(default)]
    pub preview_service_worker: bool,
}

impl Settings {
    /// Settings with everything at its default: plain http, policy `navigation`.
    pub fn new(host: impl Into<String>) -> Self {
        Self {
            host: host.into(),
            secure: false,
            policy: Policy::default(),
            cookieless: Cookieless::default(),
            keep: Vec::new(),
            audiences: Vec::new(),
            keys: Vec::new(),
            preview_service_worker: false,
        }
    }
}
