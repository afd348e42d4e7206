//! A request's headers as text.
//!
//! Header values are bytes, and browsers do send others than ASCII in them: a cookie that a page has set with a name like
//! `Jürgen`, in UTF-8 or as Latin-1. Such a line must not hide the pin beside it. UTF-8 is passed on as it is; in anything
//! else the bytes that are none are replaced by U+FFFD, which leaves the pairs around them as they were.

use std::cell::OnceCell;

use cutover_routing::Headers;
use http::{HeaderMap, HeaderName, HeaderValue};

/// The headers as `decide` reads them. Allocates only where a line is no UTF-8.
pub(crate) struct Fields<'a> {
    headers: &'a HeaderMap,
    /// All lines that are no UTF-8, in order, as text; made when one is asked for.
    mended: OnceCell<Vec<(&'a HeaderName, String)>>,
}

impl<'a> Fields<'a> {
    pub(crate) fn new(headers: &'a HeaderMap) -> Self {
        Self { headers, mended: OnceCell::new() }
    }

    fn mended(&self) -> &[(&'a HeaderName, String)] {
        self.mended.get_or_init(|| {
            let lines = self.headers.iter().filter(|(_, value)| text(value).is_none());
            lines
                .map(|(name, value)| (name, String::from_utf8_lossy(value.as_bytes()).into_owned()))
                .collect()
        })
    }
}

fn text(value: &HeaderValue) -> Option<&str> {
    std::str::from_utf8(value.as_bytes()).ok()
}

impl Headers for Fields<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        let first = self.headers.get(name)?;
        text(first).or_else(|| {
            let mended = self.mended().iter().find(|(have, _)| have.as_str() == name);
            mended.map(|(_, text)| text.as_str())
        })
    }

    fn each(&self, name: &str, f: &mut dyn FnMut(&str)) {
        for value in self.headers.get_all(name) {
            f(&String::from_utf8_lossy(value.as_bytes()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_text_and_what_is_ascii_in_it_stays() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("cookie", &b"a=1; n=J\xc3\xbcrgen"[..]),
            ("cookie", b"b=2; n=J\xfcrgen; c=3"),
            ("x-name", b"J\xfcrgen"),
            ("x-name", b"second"),
            ("x-plain", b"plain"),
        ] {
            headers.append(HeaderName::from_static(name), HeaderValue::from_bytes(value).unwrap());
        }
        let fields = Fields::new(&headers);
        assert_eq!((fields.get("x-plain"), fields.get("x-none")), (Some("plain"), None));
        assert!(fields.mended.get().is_none(), "nothing is copied for what is text");
        assert_eq!(fields.get("x-name"), Some("J\u{fffd}rgen"));
        assert_eq!(fields.get("cookie"), Some("a=1; n=Jürgen"));
        let mut cookies = Vec::new();
        fields.each("cookie", &mut |line| cookies.push(line.to_owned()));
        assert_eq!(cookies, ["a=1; n=Jürgen", "b=2; n=J\u{fffd}rgen; c=3"]);
    }
}
