//! Preconditions on entity tags (RFC 9110 section 13). Dates are not looked at; the module above says why.

use http::{HeaderMap, HeaderName, header};

/// What the preconditions of a GET or HEAD come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Answer as if there were none.
    Proceed,
    /// 304.
    NotModified,
    /// 412.
    Failed,
}

/// Evaluates `If-Match` and `If-None-Match` in the order of RFC 9110 section 13.2.2 against the strong tag `etag`, quotes
/// included, of the representation that would be sent.
pub(super) fn evaluate(headers: &HeaderMap, etag: &str) -> Outcome {
    if headers.contains_key(header::IF_MATCH)
        && !any_matches(headers, header::IF_MATCH, etag, Comparison::Strong)
    {
        return Outcome::Failed;
    }
    if any_matches(headers, header::IF_NONE_MATCH, etag, Comparison::Weak) {
        return Outcome::NotModified;
    }
    Outcome::Proceed
}

/// Whether a range may be answered: there is no `If-Range`, or it names exactly this representation. A weak tag or a date
/// never does (RFC 9110 section 13.1.5).
pub(super) fn range_applies(headers: &HeaderMap, etag: &str) -> bool {
    let mut fields = headers.get_all(header::IF_RANGE).iter();
    match (fields.next(), fields.next()) {
        (None, _) => true,
        (Some(value), None) => value.as_bytes().trim_ascii() == etag.as_bytes(),
        (Some(_), Some(_)) => false,
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Comparison {
    /// `W/` never matches.
    Strong,
    /// `W/` makes no difference: caches and proxies that recompress weaken our tags.
    Weak,
}

fn any_matches(headers: &HeaderMap, name: HeaderName, etag: &str, comparison: Comparison) -> bool {
    headers.get_all(name).iter().any(|value| {
        let list = value.as_bytes();
        list.trim_ascii() == b"*"
            || Tags(list)
                .any(|tag| tag.opaque == etag.as_bytes() && (comparison == Comparison::Weak || !tag.weak))
    })
}

struct Tag<'a> {
    weak: bool,
    /// With its quotes.
    opaque: &'a [u8],
}

/// The entity tags of a list; ends at the first thing that is none.
struct Tags<'a>(&'a [u8]);

impl<'a> Iterator for Tags<'a> {
    type Item = Tag<'a>;

    fn next(&mut self) -> Option<Tag<'a>> {
        let start = self.0.iter().position(|byte| !matches!(byte, b' ' | b'\t' | b','))?;
        let rest = &self.0[start..];
        let (weak, quoted) = rest.strip_prefix(b"W/").map_or((false, rest), |quoted| (true, quoted));
        if quoted.first() != Some(&b'"') {
            return None;
        }
        let end = 2 + quoted[1..].iter().position(|byte| *byte == b'"')?;
        self.0 = &quoted[end..];
        Some(Tag { weak, opaque: &quoted[..end] })
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    type Fields<'a> = &'a [(HeaderName, &'a str)];

    const ETAG: &str = "\"abc-br\"";

    fn headers(fields: &[(HeaderName, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    #[test]
    fn preconditions_are_evaluated_in_order() {
        use Outcome::*;
        use http::header::{IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_UNMODIFIED_SINCE};
        let long_ago = "Thu, 01 Jan 1970 00:00:00 GMT";
        let far_away = "Fri, 31 Dec 2100 00:00:00 GMT";
        let cases: &[(Fields<'_>, Outcome, &str)] = &[
            (&[], Proceed, "no precondition"),
            (&[(IF_NONE_MATCH, ETAG)], NotModified, "the same tag"),
            (&[(IF_NONE_MATCH, "W/\"abc-br\"")], NotModified, "weak comparison"),
            (&[(IF_NONE_MATCH, "\"abc\"")], Proceed, "another encoding is another representation"),
            (&[(IF_NONE_MATCH, "\"x\", W/\"y\" ,\"abc-br\"")], NotModified, "a list"),
            (&[(IF_NONE_MATCH, "\"a,b\",\"abc-br\"")], NotModified, "a comma inside a tag"),
            (&[(IF_NONE_MATCH, "\"x\""), (IF_NONE_MATCH, ETAG)], NotModified, "several fields are one list"),
            (&[(IF_NONE_MATCH, "*")], NotModified, "anything there is"),
            (&[(IF_NONE_MATCH, " * ")], NotModified, "space around the star"),
            (&[(IF_NONE_MATCH, "abc-br")], Proceed, "without quotes it is no tag"),
            (&[(IF_NONE_MATCH, "\"abc-br")], Proceed, "an open quote is no tag"),
            (&[(IF_NONE_MATCH, "w/\"abc-br\"")], Proceed, "the weak mark is upper case"),
            (&[(IF_NONE_MATCH, "")], Proceed, "an empty list"),
            (&[(IF_MODIFIED_SINCE, far_away)], Proceed, "there are no dates"),
            (&[(IF_UNMODIFIED_SINCE, long_ago)], Proceed, "there are no dates"),
            (&[(IF_MATCH, ETAG)], Proceed, "the same tag"),
            (&[(IF_MATCH, "*")], Proceed, "there is one"),
            (&[(IF_MATCH, "W/\"abc-br\"")], Failed, "strong comparison"),
            (&[(IF_MATCH, "\"x\"")], Failed, "another"),
            (&[(IF_MATCH, "\"x\""), (IF_NONE_MATCH, ETAG)], Failed, "If-Match comes first"),
            (&[(IF_MATCH, ETAG), (IF_NONE_MATCH, ETAG)], NotModified, "then If-None-Match"),
        ];
        for (fields, expected, why) in cases {
            assert_eq!(evaluate(&headers(fields), ETAG), *expected, "{fields:?}: {why}");
        }
    }

    #[test]
    fn a_range_applies_only_to_the_named_representation() {
        let cases: &[(&[&str], bool)] = &[
            (&[], true),
            (&[ETAG], true),
            (&["W/\"abc-br\""], false),
            (&["\"abc\""], false),
            (&["Fri, 31 Dec 2100 00:00:00 GMT"], false),
            (&["garbage"], false),
            (&[ETAG, ETAG], false),
        ];
        for (values, expected) in cases {
            let fields: Vec<_> = values.iter().map(|value| (header::IF_RANGE, *value)).collect();
            assert_eq!(range_applies(&headers(&fields), ETAG), *expected, "{values:?}");
        }
    }
}
