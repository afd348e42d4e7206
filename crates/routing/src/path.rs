//! One form for every path, so that routes, files and rules cannot be reached, or dodged, by spelling.
//!
//! The algorithm, for every implementation:
//!
//! 1. The raw path has at most [`MAX_PATH`] bytes and starts with `/`; it holds no `?` or `#`.
//! 2. Percent-escapes are decoded once. A broken escape, an escaped `/` or `\`, and bytes that are not UTF-8 are
//!    refused. What was decoded is never decoded again: `%252e` becomes the text `%2e`.
//! 3. Control characters (NUL among them) and backslashes are refused, escaped or not.
//! 4. Split at `/`: empty segments and `.` are dropped, `..` takes the segment before it away and is refused where there
//!    is none. A path that ended in `/`, `/.` or `/..` ends in `/`.

use std::borrow::Cow;

/// Longest raw path, in bytes.
pub const MAX_PATH: usize = 8192;

/// Why a path is refused. The answer is 400.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum BadPath {
    /// Does not start with `/`.
    #[error("the path does not start with '/'")]
    NotAbsolute,
    /// Longer than [`MAX_PATH`].
    #[error("the path is longer than {MAX_PATH} bytes")]
    TooLong,
    /// A `%` without two hex digits behind it.
    #[error("the path has a broken percent-escape")]
    BrokenEscape,
    /// `%2F` or `%5C`.
    #[error("the path has an escaped slash or backslash")]
    EscapedSeparator,
    /// A backslash, control character, `?` or `#`.
    #[error("the path has a character that is not allowed")]
    ForbiddenCharacter,
    /// Decodes to bytes that are not UTF-8.
    #[error("the path is not UTF-8")]
    NotUtf8,
    /// `..` leads above the root.
    #[error("the path leads above the root")]
    AboveRoot,
}

impl BadPath {
    /// A stable word for logs and conformance vectors.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotAbsolute => "not-absolute",
            Self::TooLong => "too-long",
            Self::BrokenEscape => "broken-escape",
            Self::EscapedSeparator => "escaped-separator",
            Self::ForbiddenCharacter => "forbidden-character",
            Self::NotUtf8 => "not-utf8",
            Self::AboveRoot => "above-root",
        }
    }
}

/// Brings a raw path (without the query) to the form everything matches on. Borrows where nothing has to change, which
/// is nearly always.
///
/// # Errors
/// Where the path is refused; the module says when.
pub fn normalise_path(raw: &str) -> Result<Cow<'_, str>, BadPath> {
    if raw.len() > MAX_PATH {
        return Err(BadPath::TooLong);
    }
    if !raw.starts_with('/') {
        return Err(BadPath::NotAbsolute);
    }
    if raw.contains(['?', '#']) {
        return Err(BadPath::ForbiddenCharacter);
    }
    let decoded = decode(raw)?;
    if decoded.chars().any(|c| c.is_control() || c == '\\') {
        return Err(BadPath::ForbiddenCharacter);
    }
    if !needs_collapse(&decoded) {
        return Ok(decoded);
    }
    collapse(&decoded).map(Cow::Owned)
}

fn decode(raw: &str) -> Result<Cow<'_, str>, BadPath> {
    if !raw.contains('%') {
        return Ok(Cow::Borrowed(raw));
    }
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw.as_bytes();
    while let [first, tail @ ..] = rest {
        if *first != b'%' {
            bytes.push(*first);
            rest = tail;
            continue;
        }
        let [high, low, tail @ ..] = tail else { return Err(BadPath::BrokenEscape) };
        let byte = hex(*high)? << 4 | hex(*low)?;
        if byte == b'/' || byte == b'\\' {
            return Err(BadPath::EscapedSeparator);
        }
        bytes.push(byte);
        rest = tail;
    }
    String::from_utf8(bytes).map(Cow::Owned).map_err(|_| BadPath::NotUtf8)
}

fn hex(digit: u8) -> Result<u8, BadPath> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        b'A'..=b'F' => Ok(digit - b'A' + 10),
        _ => Err(BadPath::BrokenEscape),
    }
}

/// True where a segment is empty (other than the last), `.` or `..`.
fn needs_collapse(path: &str) -> bool {
    let bytes = path.as_bytes();
    let mut after_slash =
        bytes.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| &bytes[at + 1..]);
    after_slash.any(|rest| {
        matches!(rest, [b'/', ..] | [b'.'] | [b'.', b'.'] | [b'.', b'/', ..] | [b'.', b'.', b'/', ..])
    })
}

fn collapse(path: &str) -> Result<String, BadPath> {
    let mut out = String::with_capacity(path.len());
    let mut directory = false;
    for segment in path.split('/').skip(1) {
        directory = matches!(segment, "" | "." | "..");
        match segment {
            "" | "." => {}
            ".." => match out.rfind('/') {
                Some(at) => out.truncate(at),
                None => return Err(BadPath::AboveRoot),
            },
            segment => {
                out.push('/');
                out.push_str(segment);
            }
        }
    }
    if directory {
        out.push('/');
    }
    Ok(out)
}
