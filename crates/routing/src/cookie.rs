//! Reading the request's cookies in place.
//!
//! The rule for other implementations: `Cookie` headers in order, split at `;`, blanks and tabs around a pair ignored;
//! a pair counts where its name, up to the first `=`, is exactly the name looked for (case matters). **The first
//! occurrence counts, further ones are ignored**, whatever they hold. Values are taken as they are: no quotes, no
//! decoding.

use crate::{Headers, Pin, PreviewToken, Settings, TokenError, preview_cookie_name};

/// Cutover's own cookies as the request brought them.
pub(crate) struct Cookies {
    /// The pin, where the cookie is there and well formed.
    pub(crate) pin: Option<Pin>,
    /// The verified preview cookie, where it is there.
    pub(crate) preview: Option<Result<PreviewToken, TokenError>>,
}

impl Cookies {
    /// Reads both cookies in one pass. Does not allocate unless there is a preview cookie.
    pub(crate) fn read<H: Headers + ?Sized>(headers: &H, settings: &Settings, now: u64) -> Self {
        let (pin_name, preview_name) =
            (Pin::cookie_name(settings.secure), preview_cookie_name(settings.secure));
        let mut pin = None;
        let mut preview = None;
        headers.each("cookie", &mut |header| {
            for pair in pairs(header) {
                // Cheap first: nearly all cookies are other people's.
                if let Some(value) = value_of(pair, pin_name) {
                    pin.get_or_insert_with(|| Pin::from_bytes(value));
                } else if preview.is_none()
                    && let Some(value) = value_of(pair, preview_name)
                {
                    // Cut at ASCII characters, text stays text.
                    let value = std::str::from_utf8(value).unwrap_or_default();
                    preview = Some(PreviewToken::verify_cookie(value, &settings.host, &settings.keys, now));
                }
            }
        });
        Self { pin: pin.flatten(), preview }
    }
}

/// Runs a check on the first cookie of a name; false where there is none.
pub(crate) fn first_cookie<H: Headers + ?Sized>(
    headers: &H,
    name: &str,
    check: impl Fn(&[u8]) -> bool,
) -> bool {
    let mut found = None;
    headers.each("cookie", &mut |header| {
        if found.is_none() {
            found = pairs(header).find_map(|pair| value_of(pair, name)).map(&check);
        }
    });
    found.unwrap_or(false)
}

fn pairs(header: &str) -> impl Iterator<Item = &[u8]> {
    header.as_bytes().split(|byte| *byte == b';').map(|mut pair| {
        while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = pair {
            pair = rest;
        }
        pair
    })
}

fn value_of<'a>(pair: &'a [u8], name: &str) -> Option<&'a [u8]> {
    pair.strip_prefix(name.as_bytes())?.strip_prefix(b"=")
}
