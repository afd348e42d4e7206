//! `Range` (RFC 9110 section 14): one range of bytes, or the whole file.
//!
//! Several ranges at once are answered with the whole file, which section 14.2 allows: nobody's player needs them, and
//! they are how a small request is made into a large answer.

use http::{HeaderMap, header};

/// Which bytes to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Selection {
    /// All, as if there were no `Range`.
    Whole,
    /// These, never empty and never beyond the end.
    Part { first: u64, len: u64 },
    /// None of the asked bytes exist: 416.
    Unsatisfiable,
}

/// Selects from a representation of `size` bytes. What is malformed, in another unit or said twice is ignored.
pub(super) fn select(headers: &HeaderMap, size: u64) -> Selection {
    let mut fields = headers.get_all(header::RANGE).iter();
    let (Some(field), None) = (fields.next(), fields.next()) else { return Selection::Whole };
    field.to_str().ok().and_then(|text| parse(text, size)).unwrap_or(Selection::Whole)
}

fn parse(text: &str, size: u64) -> Option<Selection> {
    let (unit, set) = text.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let mut specs = set.split(',').map(|spec| spec.trim_matches([' ', '\t'])).filter(|spec| !spec.is_empty());
    let (Some(spec), None) = (specs.next(), specs.next()) else { return None };
    let (first, last) = spec.split_once('-')?;
    let selection = match (first, last) {
        ("", suffix) => match number(suffix)? {
            0 => Selection::Unsatisfiable,
            // An empty file has no bytes that a Content-Range could name, but the suffix is satisfiable: send it whole.
            _ if size == 0 => Selection::Whole,
            suffix => {
                let len = suffix.min(size);
                Selection::Part { first: size - len, len }
            }
        },
        (first, "") => from(number(first)?, u64::MAX, size),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            if last < first {
                return None;
            }
            from(first, last, size)
        }
    };
    Some(selection)
}

fn from(first: u64, last: u64, size: u64) -> Selection {
    if first >= size {
        return Selection::Unsatisfiable;
    }
    Selection::Part { first, len: last.min(size - 1) - first + 1 }
}

/// Digits only; what does not fit is larger than any file, which is all that matters.
fn number(digits: &str) -> Option<u64> {
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn selected(fields: &[&str], size: u64) -> Selection {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(header::RANGE, HeaderValue::from_str(field).unwrap());
        }
        select(&headers, size)
    }

    #[test]
    fn ranges_select_bytes_or_are_ignored() {
        use Selection::*;
        let cases: &[(&[&str], u64, Selection, &str)] = &[
            (&[], 10, Whole, "no range"),
            (&["bytes=0-3"], 10, Part { first: 0, len: 4 }, "both ends are inclusive"),
            (&["bytes=9-9"], 10, Part { first: 9, len: 1 }, "the last byte"),
            (&["bytes=4-"], 10, Part { first: 4, len: 6 }, "to the end"),
            (&["bytes=0-"], 10, Part { first: 0, len: 10 }, "everything, yet partial"),
            (&["bytes=4-99"], 10, Part { first: 4, len: 6 }, "cut at the end"),
            (&["bytes=10-"], 10, Unsatisfiable, "starts at the end"),
            (&["bytes=99-100"], 10, Unsatisfiable, "starts beyond the end"),
            (&["bytes=-3"], 10, Part { first: 7, len: 3 }, "the last bytes"),
            (&["bytes=-99"], 10, Part { first: 0, len: 10 }, "more last bytes than there are"),
            (&["bytes=-0"], 10, Unsatisfiable, "no last bytes"),
            (&["bytes=0-0"], 0, Unsatisfiable, "an empty file has no first byte"),
            (&["bytes=-5"], 0, Whole, "an empty file's last bytes are all of it"),
            (&["bytes=5-4"], 10, Whole, "backwards is malformed"),
            (&["bytes=0-1,4-5"], 10, Whole, "several"),
            (&["bytes=0-1, "], 10, Part { first: 0, len: 2 }, "empty elements do not count"),
            (&["bytes= 0-1"], 10, Part { first: 0, len: 2 }, "space around an element"),
            (&["Bytes=0-1"], 10, Part { first: 0, len: 2 }, "units are case-insensitive"),
            (&["lines=0-1"], 10, Whole, "another unit"),
            (&["bytes=a-b"], 10, Whole, "no digits"),
            (&["bytes=+1-2"], 10, Whole, "a sign is no digit"),
            (&["bytes=1 - 2"], 10, Whole, "no space inside"),
            (&["bytes=--1"], 10, Whole, "two dashes"),
            (&["bytes=-"], 10, Whole, "neither end"),
            (&["bytes="], 10, Whole, "nothing"),
            (&["bytes"], 10, Whole, "nothing at all"),
            (
                &["bytes=0-99999999999999999999999"],
                10,
                Part { first: 0, len: 10 },
                "beyond 64 bits is beyond the end",
            ),
            (&["bytes=99999999999999999999999-"], 10, Unsatisfiable, "beyond 64 bits is beyond the end"),
            (&["bytes=-99999999999999999999999"], 10, Part { first: 0, len: 10 }, "beyond 64 bits is all"),
            (&["bytes=0-1", "bytes=2-3"], 10, Whole, "said twice"),
        ];
        for (fields, size, expected, why) in cases {
            assert_eq!(selected(fields, *size), *expected, "{fields:?} of {size}: {why}");
        }
    }
}
