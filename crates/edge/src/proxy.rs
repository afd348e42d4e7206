//! The reverse proxy: a fresh, canonical message towards the service, a clean answer back.

use std::sync::Arc;

use cutover_routing::Kind;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Uri, Version, header,
    uri::{Authority, PathAndQuery},
};
use percent_encoding::{percent_decode_str, utf8_percent_encode};

use crate::{
    body::Body,
    cookies,
    flight::Flight,
    front::lists,
    legs::{
        Inbound,
        client::{SendError, Upgrade},
    },
    live::{Release, Service},
    origin, pages,
    serve::{Answer, Asked, RELEASE},
    site::ESCAPED_IN_PATH,
};

const COMPONENT: HeaderName = HeaderName::from_static("x-cutover-component");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-cutover-request-id");
const EVENTS: &[u8] = b"text/event-stream";
const WEBSOCKET: HeaderValue = HeaderValue::from_static("websocket");
const UPGRADE: HeaderValue = HeaderValue::from_static("Upgrade");

/// A request for a service of a release.
pub(crate) struct Forward<'a> {
    pub(crate) asked: &'a Asked<'a>,
    pub(crate) release: &'a Arc<Release>,
    pub(crate) service: &'a Service,
}

/// Sends a request to its service.
pub(crate) async fn forward(forward: Forward<'_>, body: Inbound, flight: &mut Flight) -> Answer {
    let asked = forward.asked;
    let worker = &asked.conn.worker;
    let timeouts = &worker.shared.options.timeouts;
    let Some(uri) = forward.uri() else {
        return pages::text(StatusCode::BAD_REQUEST, "the path cannot be sent on").into();
    };
    let id = HeaderValue::from_str(flight.id()).unwrap_or(HeaderValue::from_static(""));
    let length = if body.is_end() { None } else { body.len() };
    let progress = std::rc::Rc::clone(flight.progress());
    let upstream = &forward.service.upstream;
    let head = || forward.head(&uri, &id, length);
    if asked.websocket {
        return match worker.pool.upgrade(upstream, head(), &progress, timeouts).await {
            Ok(Upgrade::Open { mut head, io, early }) => {
                if !lists(&head.headers, header::UPGRADE, "websocket") {
                    return failure(
                        asked,
                        &SendError::Broken("the upgrade is not to a WebSocket".into()),
                        flight,
                    )
                    .into();
                }
                clean(&mut head.headers);
                head.headers.insert(header::UPGRADE, WEBSOCKET);
                head.headers.insert(header::CONNECTION, UPGRADE);
                flight.open_stream();
                Answer { response: Response::from_parts(head, Body::empty()), open: Some((io, early)) }
            }
            Ok(Upgrade::Refused(response)) => answer(response.map(Body::reply), flight).into(),
            Err(error) => failure(asked, &error, flight).into(),
        };
    }
    let repeatable = matches!(
        asked.parts.method,
        Method::GET | Method::HEAD | Method::OPTIONS | Method::PUT | Method::DELETE
    );
    match worker.pool.send(upstream, &head, body, repeatable, &progress, timeouts).await {
        Ok(response) if response.status() == StatusCode::SWITCHING_PROTOCOLS => {
            failure(asked, &SendError::Broken("an upgrade nobody asked for".into()), flight).into()
        }
        Ok(response) => answer(response.map(Body::reply), flight).into(),
        Err(error) => failure(asked, &error, flight).into(),
    }
}

impl Forward<'_> {
    /// The target, in origin form.
    ///
    /// The path is sent as the visitor spelled it where that can only be read in one way. Where dot segments or double
    /// slashes were resolved to find the service, the service gets the resolved path: it must not resolve them anew and
    /// arrive elsewhere.
    fn uri(&self) -> Option<Uri> {
        let asked = self.asked;
        let same = asked.raw == asked.path
            || percent_decode_str(asked.raw).decode_utf8().is_ok_and(|decoded| decoded == asked.path);
        if same {
            return asked.parts.uri.path_and_query().cloned().map(Uri::from);
        }
        let mut target = utf8_percent_encode(asked.path, ESCAPED_IN_PATH).to_string();
        if let Some(query) = asked.parts.uri.query() {
            target.push('?');
            target.push_str(query);
        }
        PathAndQuery::try_from(target).ok().map(Uri::from)
    }

    fn host(&self) -> HeaderValue {
        let parts = self.asked.parts;
        let named = parts.headers.get(header::HOST).cloned();
        let authority =
            || parts.uri.authority().map(Authority::as_str).and_then(|host| HeaderValue::from_str(host).ok());
        named.or_else(authority).unwrap_or(HeaderValue::from_static(""))
    }

    fn head(&self, uri: &Uri, id: &HeaderValue, length: Option<u64>) -> http::Request<()> {
        let asked = self.asked;
        let from = &asked.parts.headers;
        let mut request = http::Request::new(());
        *request.method_mut() = asked.parts.method.clone();
        *request.uri_mut() = uri.clone();
        *request.version_mut() = Version::HTTP_11;
        let to = request.headers_mut();
        to.reserve(from.len() + 8);
        let host = self.host();
        to.insert(header::HOST, host.clone());
        let nominated = nominated(from);
        for (name, value) in from {
            if skipped(name.as_str()) || nominated.contains(name) {
                continue;
            }
            if asked.unconditional.get()
                && (name == header::IF_NONE_MATCH || name == header::IF_MODIFIED_SINCE)
            {
                continue;
            }
            to.append(name.clone(), value.clone());
        }
        if let Some(cookie) = cookies::forwarded(from) {
            to.insert(header::COOKIE, cookie);
        }
        // A request with a body and no length is chunked; one that says it has no body keeps saying so.
        match length {
            Some(length) => drop(to.insert(header::CONTENT_LENGTH, HeaderValue::from(length))),
            None if from.get(header::CONTENT_LENGTH).is_some_and(|length| length == "0") => {
                to.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
            }
            None => {}
        }
        if asked.websocket {
            to.insert(header::UPGRADE, WEBSOCKET);
            to.insert(header::CONNECTION, UPGRADE);
        }
        asked.origin.tell(asked.conn, from, &host, to);
        to.insert(RELEASE, self.release.header.clone());
        to.insert(COMPONENT, self.service.header.clone());
        to.insert(REQUEST_ID, id.clone());
        request
    }
}

/// Headers that are not passed on, however they are spelled: CGI and its heirs (WSGI, Rack, PHP) read `x_forwarded_for`,
/// and some `x.forwarded.for`, as `X-Forwarded-For`.
fn skipped(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if name.bytes().all(plain) {
        return reserved(name);
    }
    reserved(&name.replace(|letter: char| !letter.is_ascii_alphanumeric(), "-"))
}

/// Headers of one connection (RFC 9110 section 7.6.1), those Cutover writes itself, and `Proxy`, which CGI turns into
/// the variable that names a proxy for the service's own requests.
fn reserved(name: &str) -> bool {
    matches!(
        name,
        "host"
            | "proxy"
            | "connection"
            | "keep-alive"
            | "proxy-connection"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
            | "http2-settings"
            | "expect"
            | "cookie"
            | "content-length"
            | "forwarded"
            | "x-forwarded-for"
            | "x-forwarded-proto"
            | "x-forwarded-host"
            | "x-forwarded-port"
            | "x-forwarded-prefix"
            | "x-forwarded-server"
            | "x-real-ip"
    ) || name == origin::COUNTRY.as_str()
        || name.starts_with("x-cutover-")
}

/// Headers that `Connection` declares to be for this connection only.
fn nominated(headers: &HeaderMap) -> Vec<HeaderName> {
    headers
        .get_all(header::CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|token| {
            !token.is_empty()
                && !token.eq_ignore_ascii_case(b"keep-alive")
                && !token.eq_ignore_ascii_case(b"close")
        })
        .filter_map(|token| HeaderName::from_bytes(token).ok())
        .collect()
}

/// Headers of an answer that are for one connection only.
const HOP_BY_HOP: [HeaderName; 8] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHENTICATE,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Removes from an upstream's answer what is for its connection only, and what only the edge may say.
fn clean(headers: &mut HeaderMap) {
    for name in nominated(headers) {
        headers.remove(name);
    }
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
    let ours: Vec<HeaderName> =
        headers.keys().filter(|name| name.as_str().starts_with("x-cutover-")).cloned().collect();
    for name in ours {
        headers.remove(name);
    }
    cookies::clean_set_cookie(headers);
}

fn answer(mut response: Response<Body>, flight: &mut Flight) -> Response<Body> {
    let events = response
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.as_bytes().get(..EVENTS.len()))
        .is_some_and(|kind| kind.eq_ignore_ascii_case(EVENTS));
    if events {
        flight.open_stream();
    }
    *response.version_mut() = Version::HTTP_11;
    clean(response.headers_mut());
    response
}

fn failure(asked: &Asked<'_>, error: &SendError, flight: &mut Flight) -> Response<Body> {
    tracing::debug!(id = flight.id(), %error, "an upstream gave no answer");
    flight.aside |= matches!(error, SendError::Visitor | SendError::Body(_));
    let page = asked.decision.kind == Kind::Navigation;
    // Nobody is there, and the checks have not noticed yet: a person gets the same page as a second later.
    if page && matches!(error, SendError::Connect(..)) {
        return asked.outage();
    }
    let (status, code, message) = match error {
        SendError::Late => {
            (StatusCode::GATEWAY_TIMEOUT, "upstream-timeout", "The service did not answer in time.")
        }
        SendError::Visitor => {
            (StatusCode::REQUEST_TIMEOUT, "request-timeout", "The request's body did not arrive in time.")
        }
        SendError::Body(_) => {
            (StatusCode::BAD_REQUEST, "bad-body", "The request's body is malformed or was cut short.")
        }
        SendError::Connect(..) | SendError::Broken(_) => {
            (StatusCode::BAD_GATEWAY, "upstream-failed", "The service could not be reached.")
        }
    };
    pages::say(page, status, code, message)
}
