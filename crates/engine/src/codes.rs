//! What error codes mean: one page each in `docs/errors/`, built in, so that `cutover explain error CODE` needs nothing
//! else.
//!
//! Ranges: 01xx description, 02xx store and staging, 03xx processes, 04xx gates, 05xx switching, 06xx state and control
//! API, 07xx edge, 09xx command line. A code is never given a new meaning.

use serde::Serialize;

/// One error code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Code {
    /// Such as `CUT0203`.
    pub code: &'static str,
    /// What has happened, in a few words.
    pub title: &'static str,
    /// What it means and what to do, Markdown.
    pub text: &'static str,
}

/// The pages, in the order of their codes.
macro_rules! pages {
    ($($code:ident)*) => {
        [$((stringify!($code), include_str!(concat!("../../../docs/errors/", stringify!($code), ".md")))),*]
    };
}

#[rustfmt::skip]
static PAGES: &[(&str, &str)] = &pages![
    CUT0100 CUT0101 CUT0102 CUT0103 CUT0104 CUT0105 CUT0107 CUT0108 CUT0109 CUT0201 CUT0202 CUT0203
    CUT0204 CUT0205 CUT0206 CUT0207 CUT0208 CUT0209 CUT0211 CUT0212 CUT0213 CUT0214 CUT0215 CUT0216
    CUT0301 CUT0302 CUT0303 CUT0304 CUT0305 CUT0306 CUT0401 CUT0402 CUT0501 CUT0502 CUT0503 CUT0504
    CUT0505 CUT0506 CUT0507 CUT0508 CUT0509 CUT0510 CUT0511 CUT0512 CUT0513 CUT0514 CUT0515 CUT0516
    CUT0517 CUT0518 CUT0519 CUT0520 CUT0521 CUT0530 CUT0531 CUT0532 CUT0533 CUT0534 CUT0599 CUT0600 CUT0601 CUT0602 CUT0603 CUT0604 CUT0605 CUT0606
    CUT0607 CUT0608 CUT0651 CUT0652 CUT0653 CUT0654 CUT0655 CUT0656 CUT0657 CUT0900 CUT0901 CUT0902
    CUT0903 CUT0904 CUT0905 CUT0906 CUT0907 CUT0908 CUT0910 CUT0911 CUT0912 CUT0913 CUT0914 CUT0915 CUT0916 CUT0917
    CUT0918 CUT0922 CUT0930 CUT0931 CUT0932 CUT0933 CUT0934 CUT0940
];

/// All codes, in their order.
pub fn all() -> impl Iterator<Item = Code> {
    PAGES.iter().map(|(code, page)| {
        // `# CODE: title`, then the text; a test holds every page to it.
        let (head, text) = page.split_once('\n').unwrap_or((page, ""));
        let title = head.split_once(": ").map_or(head, |(_, title)| title);
        Code { code, title, text: text.trim() }
    })
}

/// What a code means; upper and lower case are the same.
pub fn explain_error(code: &str) -> Option<Code> {
    all().find(|known| known.code.eq_ignore_ascii_case(code.trim()))
}
