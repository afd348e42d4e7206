//! What every answer of a release gets before it leaves: the pin, the marks of a preview, sound cache headers.

use cutover_routing::{Action, Kind, Pin, preview_clear_cookie};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};

use crate::{body::Body, cookies, flight::Flight, pages::NO_STORE, serve::Asked};

const STALE: HeaderName = HeaderName::from_static("x-cutover-stale");
const ROBOTS: HeaderName = HeaderName::from_static("x-robots-tag");
const PRIVATE: HeaderValue = HeaderValue::from_static("private, no-cache");

/// Dresses an answer.
pub(crate) fn dress(asked: &Asked<'_>, response: &mut Response<Body>, pin: Option<Pin>, flight: &mut Flight) {
    let decision = asked.decision;
    let secure = asked.view.settings.secure;
    let status = response.status();
    let navigation = decision.kind == Kind::Navigation;
    if decision.stale {
        response.headers_mut().insert(STALE, HeaderValue::from_static("1"));
        flight.shard().stale.add(1);
    }
    let page = navigation && html(response.headers());
    if let Action::Preview { .. } | Action::PreviewEnded { .. } = decision.action {
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, NO_STORE);
        headers.insert(ROBOTS, HeaderValue::from_static("noindex"));
    } else if page && !no_store(response.headers()) {
        // A document names the release everything else follows: no cache may show one release's to another's visitor.
        response.headers_mut().insert(header::CACHE_CONTROL, PRIVATE);
    }
    let mut sets_cookie = false;
    if let Some(pin) = pin.filter(|_| carries(decision.kind, status, response.headers()))
        && let Ok(cookie) = HeaderValue::try_from(pin.set_cookie(secure))
    {
        response.headers_mut().append(header::SET_COOKIE, cookie);
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
    if sets_cookie && !no_store(response.headers()) {
        response.headers_mut().insert(header::CACHE_CONTROL, PRIVATE);
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
