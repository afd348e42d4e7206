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
                let Some(value) = value_of(pair, pin_name) else {
                    if preview.is_none() {
                        preview = value_of(pair, preview_name).map(|value| {
                            PreviewToken::verify_cookie(value, &settings.host, &settings.keys, now)
                        });
                    }
                    continue;
                };
                pin.get_or_insert_with(|| Pin::parse(value));
            }
        });
        Self { pin: pin.flatten(), preview }
    }
}

/// Runs a check on the first cookie of a name; false where there is none.
pub(crate) fn first_cookie<H: Headers + ?Sized>(
    headers: &H,
    name: &str,
    check: impl Fn(&str) -> bool,
) -> bool {
    let mut found = None;
    headers.each("cookie", &mut |header| {
        if found.is_none() {
            found = pairs(header).find_map(|pair| value_of(pair, name)).map(&check);
        }
    });
    found.unwrap_or(false)
}

fn pairs(header: &str) -> impl Iterator<Item = &str> {
    header.split(';').map(|pair| pair.trim_matches([' ', '\t']))
}

fn value_of<'a>(pair: &'a str, name: &str) -> Option<&'a str> {
    pair.strip_prefix(name)?.strip_prefix('=')
}
