//! Cutover's own cookies: kept between the visitor and the edge.

use http::{HeaderMap, HeaderValue, header};

/// Every name a cookie of Cutover can have, whatever the scheme.
const OURS: [&str; 4] = ["cutover", "cutover-preview", "__Host-cutover", "__Host-cutover-preview"];

fn ours(name: &[u8]) -> bool {
    // Browsers match the prefix without regard to case (RFC 6265bis section 4.1.3).
    OURS.iter().any(|our| our.as_bytes().eq_ignore_ascii_case(name))
}

fn name(pair: &[u8]) -> &[u8] {
    let end = memchr::memchr(b'=', pair).unwrap_or(pair.len());
    pair[..end].trim_ascii()
}

/// The value of the first cookie of this name, whatever else the line holds; empty where it is no text.
pub(crate) fn value<'a>(headers: &'a HeaderMap, wanted: &str) -> Option<&'a str> {
    let lines = headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes);
    let mut pairs = lines.flat_map(|line| line.split(|byte| *byte == b';')).map(<[u8]>::trim_ascii);
    let value = pairs.find_map(|pair| pair.strip_prefix(wanted.as_bytes())?.strip_prefix(b"="))?;
    Some(std::str::from_utf8(value).unwrap_or_default())
}

/// The `Cookie` header for an upstream: without ours, and one line where HTTP/2 sent several (RFC 9113 section 8.2.3).
pub(crate) fn forwarded(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut lines = headers.get_all(header::COOKIE).iter();
    let first = lines.next()?;
    if headers.get_all(header::COOKIE).iter().nth(1).is_none()
        && !first.as_bytes().split(|b| *b == b';').any(|pair| ours(name(pair)))
    {
        return Some(first.clone());
    }
    let mut kept = Vec::new();
    for line in headers.get_all(header::COOKIE) {
        for pair in line.as_bytes().split(|byte| *byte == b';') {
            let pair = pair.trim_ascii();
            if pair.is_empty() || ours(name(pair)) {
                continue;
            }
            if !kept.is_empty() {
                kept.extend_from_slice(b"; ");
            }
            kept.extend_from_slice(pair);
        }
    }
    if kept.is_empty() { None } else { HeaderValue::from_bytes(&kept).ok() }
}

/// Removes attempts of an upstream to set our cookies.
pub(crate) fn clean_set_cookie(headers: &mut HeaderMap) {
    let tries = |value: &HeaderValue| {
        let bytes = value.as_bytes();
        let end = memchr::memchr(b';', bytes).unwrap_or(bytes.len());
        ours(name(&bytes[..end]))
    };
    if !headers.get_all(header::SET_COOKIE).iter().any(tries) {
        return;
    }
    let kept: Vec<HeaderValue> =
        headers.get_all(header::SET_COOKIE).iter().filter(|value| !tries(value)).cloned().collect();
    headers.remove(header::SET_COOKIE);
    for value in kept {
        headers.append(header::SET_COOKIE, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cookies(lines: &[&'static str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header::COOKIE, HeaderValue::from_static(line));
        }
        forwarded(&headers).map(|value| value.to_str().unwrap().to_owned())
    }

    #[test]
    fn our_cookies_do_not_reach_upstreams_and_others_do() {
        assert_eq!(cookies(&[]), None);
        assert_eq!(cookies(&["a=1; b=2"]).as_deref(), Some("a=1; b=2"));
        assert_eq!(cookies(&["cutover=1.x.2.3"]), None);
        assert_eq!(
            cookies(&["a=1; cutover=x; __HOST-cutover-PREVIEW=y; cutoverish=2"]).as_deref(),
            Some("a=1; cutoverish=2")
        );
        assert_eq!(cookies(&["a=1", "cutover-preview=x", " b=2 ;; "]).as_deref(), Some("a=1; b=2"));
        assert_eq!(cookies(&["a=cutover=1", "cutover"]).as_deref(), Some("a=cutover=1"));
    }

    #[test]
    fn a_cookie_is_found_beside_one_in_another_charset() {
        let mut headers = HeaderMap::new();
        for line in [&b"x=\xfc"[..], b"n=J\xc3\xbcrgen; a=1 ;m=J\xfcrgen; b=\xfc"] {
            headers.append(header::COOKIE, HeaderValue::from_bytes(line).unwrap());
        }
        assert_eq!(value(&headers, "a"), Some("1"));
        assert_eq!(value(&headers, "n"), Some("Jürgen"));
        assert_eq!((value(&headers, "b"), value(&headers, "c")), (Some(""), None));
    }

    #[test]
    fn upstreams_may_not_set_our_cookies() {
        let mut headers = HeaderMap::new();
        for value in ["sid=1; Path=/", "cutover=1.x.1.1; Path=/", " __Host-Cutover-Preview = x", "b=cutover"]
        {
            headers.append(header::SET_COOKIE, HeaderValue::from_static(value));
        }
        clean_set_cookie(&mut headers);
        let left: Vec<_> = headers.get_all(header::SET_COOKIE).iter().map(|v| v.to_str().unwrap()).collect();
        assert_eq!(left, ["sid=1; Path=/", "b=cutover"]);
    }
}
