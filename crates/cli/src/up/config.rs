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
    let bytes = std::fs::read(file).map_err(|error| {
        Error::new(ErrorKind::Invalid, "CUT0906", format!("cannot read {}", file.display()))
            .because(error)
            .hint("cutover init writes one")
    })?;
    match std::str::from_utf8(&bytes) {
        Ok(text) => check(text, file),
        Err(error) => Err(not_text(&bytes, error.valid_up_to(), file).into()),
    }
}

/// Says where the first byte is that is no text.
fn not_text(bytes: &[u8], at: usize, file: &Path) -> Error {
    let before = String::from_utf8_lossy(&bytes[..at]);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    let byte = bytes.get(at).copied().unwrap_or_default();
    Error::new(
        ErrorKind::Invalid,
        "CUT0101",
        format!("{}:{line}:{column}: not UTF-8 text: the byte 0x{byte:02x}", file.display()),
    )
    .hint("TOML is UTF-8: save the file in that encoding")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_byte_that_is_no_text_is_named_with_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("cutover.toml");
        for (bytes, place) in [
            (&b"\xff"[..], ":1:1:"),
            (b"app = \"shop\"\n# caf\xe9\n", ":2:6:"),
            ("app = \"shop\"\r\n# né ".as_bytes(), ""),
            (b"# n\xc3\xa9 \xe9", ":1:6:"),
            (b"\n\n\xc3", ":3:1:"),
        ] {
            std::fs::write(&file, bytes).unwrap();
            let error = load(&file).unwrap_err().errors.remove(0);
            assert_eq!(error.message.contains("not UTF-8"), !place.is_empty(), "{error}");
            assert!(error.message.contains(place), "{error}");
            assert!(error.hints.iter().all(|hint| !hint.contains("init")), "{error:?}");
        }
    }
}
