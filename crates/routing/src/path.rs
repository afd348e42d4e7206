//! One form for every path.
use std::borrow::Cow;

/// Why a path is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum BadPath {
    /// Does not start with `/`.
    #[error("the path does not start with '/'")]
    NotAbsolute,
}

/// Brings a raw path to the form everything matches on.
///
/// # Errors
/// Where the path is refused.
pub fn normalise_path(raw: &str) -> Result<Cow<'_, str>, BadPath> {
    if raw.starts_with('/') { Ok(Cow::Borrowed(raw)) } else { Err(BadPath::NotAbsolute) }
}
