//! What every answer of a release gets before it leaves: the pin, the marks of a preview, sound cache headers.

use cutover_routing::{Action, Kind, Pin, Reason, preview_clear_cookie};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};

use crate::{body::Body, cookies, flight::Flight, pages::NO_STORE, serve::Asked};

const STALE: HeaderName = HeaderName::from_static("x-cutover-stale");
const FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const ROBOTS: HeaderName = HeaderName::from_static("x-robots-tag");
const PRIVATE: HeaderValue = HeaderValue::from_static("private, no-cache");

/// Dresses an answer.
pub(crate) fn dress(asked: &Asked<'_>, response: &mut Response<Body>, pin: Option<Pin>, flight: &mut Flight) {
    let decision = asked.decision;
    let secure = asked.view.settings.secure;
    let status = response.status();
    if decision.stale {
        response.headers_mut().insert(STALE, HeaderValue::from_static("1"));
        flight.shard().stale.add(1);
    }
    let preview = matches!(decision.action, Action::Preview { .. } | Action::PreviewEnded { .. });
    if preview || decision.reason == Reason::Preview {
        let headers = response.headers_mut();
        untargeted(headers);
        headers.insert(header::CACHE_CONTROL, NO_STORE);
        headers.insert(ROBOTS, HeaderValue::from_static("noindex"));
    } else if leads(asked, status, response.headers()) {
        // A document names the release everything else follows: no cache may show one release's to another's visitor.
        private(response.headers_mut());
    }
    let mut sets_cookie = false;
    if let Some(pin) = pin.filter(|_| carries(decision.kind, status, response.headers()))
        && let Ok(cookie) = HeaderValue::try_from(pin.set_cookie(secure))
    {
        response.headers_mut().append(header::SET_COOKIE, cookie);
        let client = flight.client;
        if let Some(visitor) = &mut flight.visitor {
            // From this answer on they are known by it.
            visitor.key = asked.conn.worker.shared.visits.keys().pinned(client, pin.bucket);
        }
        let shard = flight.shard();
        shard.pins_set.add(1);
        if asked.unconditional.get() && moved(asked, pin) {
            shard.pins_moved.add(1);
        }
        sets_cookie = true;
    }
    if decision.clear_preview
        && let Ok(cookie) = HeaderValue::try_from(preview_clear_cookie(secure))
    {
        response.headers_mut().append(header::SET_COOKIE, cookie);
        sets_cookie = true;
    }
    if sets_cookie {
        private(response.headers_mut());
    }
}

/// True where an answer is a document or leads to one: HTML and redirects, whatever they were asked as. A cache knows
/// them by their address alone: what it stores for a prefetch, a frame, HEAD or `fetch` it gives to a navigation.
fn leads(asked: &Asked<'_>, status: StatusCode, headers: &HeaderMap) -> bool {
    if status.is_redirection() && headers.contains_key(header::LOCATION) {
        return true;
    }
    if headers.contains_key(header::CONTENT_TYPE) {
        return html(headers);
    }
    match status {
        // Seldom says of what it is, and its cache headers become those of the stored document.
        StatusCode::NOT_MODIFIED => document_asked(asked),
        // Without a type browsers find out for themselves, and may find a document.
        _ => matches!(asked.parts.method, Method::GET | Method::HEAD),
    }
}

/// True where the answer may be taken for a document.
fn document_asked(asked: &Asked<'_>) -> bool {
    let headers = &asked.parts.headers;
    let has = |name: HeaderName, part: &[u8]| {
        let mut values = headers.get_all(name).iter().map(|value| value.as_bytes());
        values.any(|value| value.windows(part.len()).any(|window| window.eq_ignore_ascii_case(part)))
    };
    matches!(asked.decision.kind, Kind::Navigation | Kind::Speculative)
        || asked.parts.method == Method::HEAD
        || has(FETCH_MODE, b"navigate")
        || has(header::ACCEPT, b"text/html")
}

/// Keeps an answer out of shared caches, and makes a browser ask each time.
fn private(headers: &mut HeaderMap) {
    untargeted(headers);
    if !no_store(headers) {
        headers.insert(header::CACHE_CONTROL, PRIVATE);
        headers.remove(header::EXPIRES);
    }
}

/// Removes what speaks to some caches alone and goes before `Cache-Control` there (RFC 9213, and its forerunners).
fn untargeted(headers: &mut HeaderMap) {
    let targeted = |name: &HeaderName| {
        let name = name.as_str();
        name == "cdn-cache-control"
            || name.ends_with("-cdn-cache-control")
            || matches!(name, "surrogate-control" | "edge-control" | "x-accel-expires")
    };
    if headers.keys().any(targeted) {
        let names: Vec<HeaderName> = headers.keys().filter(|name| targeted(name)).cloned().collect();
        for name in names {
            headers.remove(name);
        }
    }
}

/// True where an answer may carry the pin: a document below 400 that is shown and not saved, a redirect, or a service
/// worker's script.
fn carries(kind: Kind, status: StatusCode, headers: &HeaderMap) -> bool {
    if status.is_client_error() || status.is_server_error() || status.is_informational() {
        return false;
    }
    match kind {
        Kind::ServiceWorker => true,
        Kind::Navigation if headers.contains_key(header::LOCATION) && status.is_redirection() => true,
        Kind::Navigation => html(headers) && !attachment(headers),
        _ => false,
    }
}

/// True where the visitor had another pin before.
fn moved(asked: &Asked<'_>, pin: Pin) -> bool {
    let name = Pin::cookie_name(asked.view.settings.secure);
    cookies::value(&asked.parts.headers, name)
        .and_then(Pin::parse)
        .is_some_and(|before| before.release != pin.release)
}

fn html(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|kind| {
        let kind = kind.as_bytes();
        let end = memchr::memchr(b';', kind).unwrap_or(kind.len());
        let kind = kind[..end].trim_ascii();
        kind.eq_ignore_ascii_case(b"text/html") || kind.eq_ignore_ascii_case(b"application/xhtml+xml")
    })
}

fn attachment(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_DISPOSITION).is_some_and(|how| {
        let how = how.as_bytes().trim_ascii_start();
        how.get(..10).is_some_and(|start| start.eq_ignore_ascii_case(b"attachment"))
    })
}

fn no_store(headers: &HeaderMap) -> bool {
    crate::front::lists(headers, header::CACHE_CONTROL, "no-store")
}
