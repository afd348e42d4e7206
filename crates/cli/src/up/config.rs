//! Reads the app's description; nothing else may have happened before it was found right.

use std::path::Path;

use cutover_engine::{
    Error, ErrorKind,
    config::{self, AppConfig, ConfigError},
};

use crate::failure::{Exit, Failure};

/// Reads and checks the description.
///
/// # Errors
/// That it cannot be read, or everything that is wrong with it, each with its place.
pub(crate) fn load(file: &Path) -> Result<AppConfig, Failure> {
    let text = std::fs::read_to_string(file).map_err(|error| {
        Error::new(ErrorKind::Invalid, "CUT0906", format!("cannot read {}", file.display()))
            .because(error)
            .hint("cutover init writes one")
    })?;
    check(&text, file)
}

/// Checks a description's text.
///
/// # Errors
/// Everything that is wrong with it, each with its place.
pub(crate) fn check(text: &str, file: &Path) -> Result<AppConfig, Failure> {
    config::parse(text, file)
        .map_err(|wrong| Failure { exit: Exit::Usage, errors: wrong.into_iter().map(error).collect() })
}

fn error(wrong: ConfigError) -> Error {
    let error = Error::new(ErrorKind::Invalid, wrong.code, wrong.to_string());
    match wrong.hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}
