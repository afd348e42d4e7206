//! The edge's own addresses, below `/.cutover/`.

use std::sync::LazyLock;

use bytes::Bytes;
use cutover_routing::{
    PreviewToken, ReleaseState, preview_clear_cookie, preview_cookie_name, preview_set_cookie,
};
use http::{HeaderName, HeaderValue, Method, Response, StatusCode, header, request::Parts};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use sha2::Digest;

use crate::{body::Body, cookies, flight::Flight, pages, worker::View};

/// The script that keeps a page's own requests on the page's release.
pub(crate) const VISIT_JS: &str = include_str!("visit.js");

static VISIT_ETAG: LazyLock<HeaderValue> = LazyLock::new(|| {
    let digest = sha2::Sha256::digest(VISIT_JS);
    let hex: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    HeaderValue::try_from(format!("\"{hex}\"")).unwrap_or(HeaderValue::from_static("\"visit\""))
});

/// Answers a path below `/.cutover`.
pub(crate) fn answer(view: &View, parts: &Parts, path: &str, flight: &Flight) -> Response<Body> {
    let known =
        ["/.cutover/preview", "/.cutover/leave", "/.cutover/state", "/.cutover/health", "/.cutover/visit.js"];
    if !known.contains(&path) {
        return pages::text(StatusCode::NOT_FOUND, "There is nothing at this address.");
    }
    if parts.method != Method::GET && parts.method != Method::HEAD {
        let mut response = pages::text(StatusCode::METHOD_NOT_ALLOWED, "Only GET and HEAD are served here.");
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    match path {
        "/.cutover/preview" => enter(view, parts, flight.unix()),
        "/.cutover/leave" => leave(view, parts),
        "/.cutover/state" => state(view, parts, flight.unix()),
        "/.cutover/health" => pages::text(StatusCode::OK, "ok"),
        _ => visit(parts),
    }
}

/// Generation and default, and for who has a preview open, of which release: a page that is shown as a preview is not
/// out of date because another release is the default.
fn state(view: &View, parts: &Parts, now: u64) -> Response<Body> {
    let settings = &view.settings;
    let shown = cookies::value(&parts.headers, preview_cookie_name(settings.secure))
        .and_then(|cookie| PreviewToken::verify_cookie(cookie, &settings.host, &settings.keys, now).ok());
    let Some(shown) = shown else { return pages::json(view.state.clone()) };
    let table = &view.table;
    let state = serde_json::json!({
        "generation": table.generation,
        "default": table.default,
        "preview": shown.release,
    });
    pages::json(state.to_string().into())
}

/// A link token becomes a preview cookie.
fn enter(view: &View, parts: &Parts, now: u64) -> Response<Body> {
    let settings = &view.settings;
    let refuse = |why: &str| {
        let mut response = pages::say(true, StatusCode::FORBIDDEN, "preview", why);
        response.headers_mut().insert(header::REFERRER_POLICY, NO_REFERRER);
        response
    };
    let token = parameter(parts, "token").unwrap_or_default();
    let Ok(link) = PreviewToken::verify_link(&token, &settings.host, &settings.keys, now) else {
        return refuse("This preview link is not valid, or not any more. Ask for a new one.");
    };
    match view.table.state(&link.release) {
        None => return refuse("The release of this preview is gone."),
        Some(ReleaseState::Closed) => return refuse("The release of this preview has been withdrawn."),
        Some(_) => {}
    }
    let Some(key) = settings.keys.iter().find(|key| key.kid == link.kid) else {
        return refuse("This preview link is not valid any more. Ask for a new one.");
    };
    let seconds = link.lasts();
    let cookie = PreviewToken { expiry: now + seconds, ..link }.sign_cookie(key, &settings.host);
    go(parts, &preview_set_cookie(settings.secure, &cookie, seconds))
}

fn leave(view: &View, parts: &Parts) -> Response<Body> {
    go(parts, &preview_clear_cookie(view.settings.secure))
}

const NO_REFERRER: HeaderValue = HeaderValue::from_static("no-referrer");

/// A redirect into the app, with a cookie.
fn go(parts: &Parts, cookie: &str) -> Response<Body> {
    let to = parameter(parts, "to").and_then(|to| local(&to)).unwrap_or_else(|| "/".to_owned());
    let mut response = pages::text(StatusCode::SEE_OTHER, "See the address in Location.");
    let headers = response.headers_mut();
    headers.insert(header::LOCATION, HeaderValue::try_from(to).unwrap_or(HeaderValue::from_static("/")));
    headers.insert(header::REFERRER_POLICY, NO_REFERRER);
    headers.insert(ROBOTS, HeaderValue::from_static("noindex"));
    if let Ok(cookie) = HeaderValue::try_from(cookie) {
        headers.insert(header::SET_COOKIE, cookie);
    }
    response
}

const ROBOTS: HeaderName = HeaderName::from_static("x-robots-tag");

/// What a URL may not hold as it is. Escapes that are there already stay.
const IN_LOCATION: &AsciiSet =
    &CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>').add(b'`').add(b'{').add(b'}').add(b'|').add(b'^');

/// A path of this host, or none where browsers may read it as anything else: they take `//host` and `/\host` for
/// another host, and drop tabs and line ends before they look.
fn local(to: &str) -> Option<String> {
    let sound = to.starts_with('/')
        && !to.starts_with("//")
        && !to.contains('\\')
        && !to.chars().any(char::is_control)
        && !to.starts_with("/.cutover");
    sound.then(|| utf8_percent_encode(to, IN_LOCATION).to_string())
}

fn parameter(parts: &Parts, name: &str) -> Option<String> {
    let query = parts.uri.query()?;
    let value = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))?;
    let value = value.replace('+', " ");
    percent_decode_str(&value).decode_utf8().ok().map(|value| value.into_owned())
}

fn visit(parts: &Parts) -> Response<Body> {
    let tag = &*VISIT_ETAG;
    let known = crate::front::lists(&parts.headers, header::IF_NONE_MATCH, tag.to_str().unwrap_or_default());
    let mut response = Response::new(if known {
        Body::empty()
    } else {
        Body::bytes(Bytes::from_static(VISIT_JS.as_bytes()))
    });
    if known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/javascript; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::ETAG, tag.clone());
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_stay_on_this_host() {
        for (to, expected) in [
            ("/", Some("/")),
            ("/a?b=c&d=//e", Some("/a?b=c&d=//e")),
            ("/a b", Some("/a%20b")),
            ("/ü", Some("/%C3%BC")),
            ("/a%2Fb", Some("/a%2Fb")),
            ("", None),
            ("a", None),
            ("//evil.example", None),
            ("/\\evil.example", None),
            ("/\t/evil.example", None),
            ("/a\r\nset-cookie: x", None),
            ("https://evil.example/", None),
            ("javascript:alert(1)", None),
            ("/.cutover/leave", None),
        ] {
            assert_eq!(local(to).as_deref(), expected, "{to:?}");
        }
    }
}
