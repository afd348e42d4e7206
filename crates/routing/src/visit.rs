//! Whether a navigation goes on inside the app or enters it anew: what policy `entry` asks.

use crate::Headers;

/// True for a navigation from a page of the app that is no reload.
///
/// `Sec-Fetch-Site` says where it came from; without it (plain HTTP) the host in `Referer` does. A reload carries
/// `Cache-Control: max-age=0` or `no-cache`.
pub(crate) fn goes_on<H: Headers + ?Sized>(headers: &H, host: &str) -> bool {
    let inside = match headers.get("sec-fetch-site") {
        Some(site) => site == "same-origin",
        None => headers.get("referer").and_then(host_of).is_some_and(|from| from.eq_ignore_ascii_case(host)),
    };
    inside && !headers.get("cache-control").is_some_and(is_reload)
}

fn is_reload(value: &str) -> bool {
    value.split(',').map(|directive| directive.trim_matches([' ', '\t'])).any(|directive| {
        directive.eq_ignore_ascii_case("no-cache") || directive.eq_ignore_ascii_case("max-age=0")
    })
}

/// The host of an absolute http(s) URL, without port; none where there are credentials or an IPv6 address.
fn host_of(url: &str) -> Option<&str> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"))?;
    let authority = rest.split(['/', '?', '#']).next()?;
    if authority.contains(['@', '[']) {
        return None;
    }
    authority.split(':').next()
}
