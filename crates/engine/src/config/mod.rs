//! The app description, `cutover.toml`: as written, checked, and as meant.
//!
//! Everything here is pure. Whether a directory exists is for staging to find out; what can be known from the text
//! alone is known after [`parse`], which reports all that is wrong with its place, not only the first.

mod check;
pub mod duration;
mod globs;
mod hint;
mod meant;
mod parity;
mod place;
mod schema;
mod shape;
mod snapshot;
pub(crate) mod steps;
mod written;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

pub use globs::Globs;
pub(crate) use hint::strategy_hint;
pub(crate) use meant::Sort;
pub use meant::{
    AccessLog, After, AppConfig, ApprovalGate, CompareGate, Drain, EdgeConfig, EdgeMetric, Gate, GateAt,
    GateKind, LoadGate, LowTraffic, Measure, MetricsGate, MetricsSource, NotLowTraffic, OutageConfig,
    Profile, ReadinessPolicy, RolloutConfig, RoutingConfig, Scheme, ServiceConfig, SiteConfig, Source,
    StrategyText, TlsConfig, Upstream,
};
pub use parity::parity;
pub use schema::json_schema;
pub use snapshot::{ServiceSnapshot, SiteSnapshot, Snapshot, SourceSnapshot};

use crate::error::{Error, ErrorKind};

/// One thing that is wrong with an app description.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}:{line}:{column}: {message}", file.display())]
pub struct ConfigError {
    /// Stable code, `CUT01xx`.
    pub code: &'static str,
    /// The file.
    pub file: PathBuf,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl ConfigError {
    /// All errors of a description as the one error an operation answers with: each is a cause with its place, its
    /// remedy behind it. The code is that of the first.
    pub fn into_error(errors: Vec<Self>) -> Error {
        let (code, message) = match errors.first() {
            Some(first) => (first.code, format!("cannot use the app description {}", first.file.display())),
            None => ("CUT0101", "cannot use the app description".to_owned()),
        };
        let mut error = Error::new(ErrorKind::Invalid, code, message);
        let many = errors.len() > 1;
        for one in errors {
            error = match (&one.hint, many) {
                (Some(hint), true) => error.because(format!("{one} ({hint})")),
                (Some(hint), false) => error.because(&one).hint(hint.clone()),
                (None, _) => error.because(&one),
            };
        }
        error
    }
}

/// Reads an app description.
///
/// `file` is absolute; relative paths in the description start at its directory.
///
/// # Errors
/// Everything that is wrong, in the order of the file.
pub fn parse(text: &str, file: &Path) -> Result<AppConfig, Vec<ConfigError>> {
    let mut trouble = place::Trouble::new(text, file);
    let (document, broken) = toml::de::DeTable::parse_recoverable(text);
    if !broken.is_empty() {
        for error in broken {
            let at = error.span().unwrap_or(text.len()..text.len());
            trouble.add("CUT0101", at, format!("not TOML: {}", error.message().replace('\n', "; ")));
        }
        // What was recovered from broken text is guesswork: errors about it would be too.
        return Err(trouble.into_errors());
    }
    let whole = document.span();
    let mut table = document.into_inner();
    shape::check(json_schema(), &mut table, &mut trouble);
    let has_parts = table.contains_key("site") || table.contains_key("service");
    if !has_parts && !trouble.was_cut(&(0..0)) {
        let hint = "describe the static site in [site] or a service in [[service]]";
        trouble.add_hint("CUT0104", 0..0, "the app has neither a site nor a service", hint);
    }
    match read(toml::Spanned::new(whole, table)) {
        Ok(written) => {
            let meant = check::file(&written, file, &mut trouble);
            let errors = trouble.into_errors();
            match meant {
                Some(meant) if errors.is_empty() => Ok(meant),
                _ => Err(errors),
            }
        }
        Err(error) => {
            // Reached only after a missing key was noted: everything else that serde could refuse is cut out by now.
            let mut errors = trouble.into_errors();
            if errors.is_empty() {
                let mut trouble = place::Trouble::new(text, file);
                trouble.add("CUT0103", error.span().unwrap_or(0..0), error.message());
                errors = trouble.into_errors();
            }
            Err(errors)
        }
    }
}

fn read(table: toml::Spanned<toml::de::DeTable<'_>>) -> Result<written::File, toml::de::Error> {
    serde::Deserialize::deserialize(toml::de::Deserializer::from(table))
}
