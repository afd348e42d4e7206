//! The error every operation of Cutover answers with, made to be shown to a person and to cross the control API.

use serde::{Deserialize, Serialize};

/// What sort of trouble it is; decides the HTTP status and the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorKind {
    /// The command or the configuration is wrong (exit 2, HTTP 422).
    Invalid,
    /// What it names does not exist (exit 1, HTTP 404).
    NotFound,
    /// A rule forbids it in the present state; nothing was changed (exit 1, HTTP 409).
    Refused,
    /// It was tried and did not work; what was changed has been undone (exit 1, HTTP 424).
    Failed,
    /// The other side cannot be reached or is busy (exit 1, HTTP 503).
    Unavailable,
    /// A bug of Cutover (exit 70, HTTP 500).
    Internal,
}

/// One error: what was attempted on what, why it failed, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Error {
    /// What sort of trouble it is.
    pub kind: ErrorKind,
    /// Stable code such as `CUT0203`; `cutover explain error CODE` tells more.
    pub code: String,
    /// Lower-case sentence: what was attempted on what.
    pub message: String,
    /// Why, outermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<String>,
    /// One remedy each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hints: Vec<String>,
}

impl Error {
    /// An error with neither causes nor hints yet.
    pub fn new(kind: ErrorKind, code: &str, message: impl Into<String>) -> Self {
        Self { kind, code: code.to_owned(), message: message.into(), causes: Vec::new(), hints: Vec::new() }
    }

    /// Adds a cause.
    #[must_use]
    pub fn because(mut self, cause: impl std::fmt::Display) -> Self {
        self.causes.push(cause.to_string());
        self
    }

    /// Adds a remedy.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.message)?;
        for cause in &self.causes {
            write!(f, ": {cause}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}
