//! What is refused before anything else is looked at.
//!
//! The edge takes requests that every party reads the same way, and no others: it refuses, it does not repair.

use http::{HeaderMap, Method, StatusCode, Version, header, request::Parts, uri::Authority};

use crate::conn::Conn;

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) why: &'static str,
    /// Nothing more can be believed of this connection.
    pub(crate) close: bool,
}

const fn bad(why: &'static str) -> Refusal {
    Refusal { status: StatusCode::BAD_REQUEST, why, close: true }
}

/// Checks a request. True where it asks for a WebSocket.
pub(crate) fn check(conn: &Conn, parts: &Parts) -> Result<bool, Refusal> {
    let number = conn.begun.get() + 1;
    conn.begun.set(number);
    let h1 = parts.version <= Version::HTTP_11;
    if h1 && number > conn.sound.get() {
        return Err(bad(conn.fault.get().map_or("it cannot be told where the request ends", |f| f.as_str())));
    }
    if parts.method == Method::CONNECT || parts.method == Method::TRACE {
        let why = "this method is not served";
        return Err(Refusal { status: StatusCode::METHOD_NOT_ALLOWED, why, close: true });
    }
    host(parts)?;
    if !h1 && parts.headers.get_all(header::CONTENT_LENGTH).iter().nth(1).is_some() {
        return Err(bad("Content-Length is repeated"));
    }
    if let Some(expect) = parts.headers.get(header::EXPECT)
        && !expect.as_bytes().eq_ignore_ascii_case(b"100-continue")
    {
        let why = "the expectation cannot be met";
        return Err(Refusal { status: StatusCode::EXPECTATION_FAILED, why, close: true });
    }
    upgrade(parts)
}

/// Exactly one host, and the same one wherever it is named (RFC 9112 section 3.2, RFC 9113 section 8.3.1).
fn host(parts: &Parts) -> Result<(), Refusal> {
    let mut hosts = parts.headers.get_all(header::HOST).iter();
    let named = hosts.next();
    if hosts.next().is_some() {
        return Err(bad("Host is repeated"));
    }
    let authority = parts.uri.authority();
    let Some(named) = named else {
        return match authority {
            Some(authority) if parts.version == Version::HTTP_2 => sound(authority),
            _ => Err(bad("Host is missing")),
        };
    };
    if let Some(authority) = authority
        && !named.as_bytes().eq_ignore_ascii_case(authority.as_str().as_bytes())
    {
        return Err(bad("Host differs from the request's target"));
    }
    match Authority::try_from(named.as_bytes()) {
        Ok(authority) => sound(&authority),
        Err(_) => Err(bad("Host is malformed")),
    }
}

fn sound(authority: &Authority) -> Result<(), Refusal> {
    if authority.as_str().contains('@') || authority.host().is_empty() || !port(authority) {
        return Err(bad("Host is malformed"));
    }
    Ok(())
}

/// True where there is no port, an empty one (RFC 3986 section 3.2.3), or one that can be connected to.
fn port(authority: &Authority) -> bool {
    let rest = authority.as_str().strip_prefix(authority.host()).unwrap_or("?");
    let Some(port) = rest.strip_prefix(':') else { return rest.is_empty() };
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    port.is_empty() || (digits && port.parse::<u16>().is_ok_and(|port| port > 0))
}

/// The only protocol to change to is `websocket` (RFC 6455 section 4.1); an upgrade that is not understood leaves open
/// whose bytes follow.
fn upgrade(parts: &Parts) -> Result<bool, Refusal> {
    let mut upgrades = parts.headers.get_all(header::UPGRADE).iter();
    let Some(upgrade) = upgrades.next() else { return Ok(false) };
    let sound = upgrades.next().is_none()
        && upgrade.as_bytes().eq_ignore_ascii_case(b"websocket")
        && parts.version == Version::HTTP_11
        && parts.method == Method::GET
        && lists(&parts.headers, header::CONNECTION, "upgrade")
        && parts.headers.contains_key(header::SEC_WEBSOCKET_KEY)
        && parts.headers.get(header::CONTENT_LENGTH).is_none_or(|length| length == "0")
        && !parts.headers.contains_key(header::TRANSFER_ENCODING);
    if sound { Ok(true) } else { Err(bad("only an upgrade to a WebSocket is served")) }
}

/// True where a list header has this token.
pub(crate) fn lists(headers: &HeaderMap, name: header::HeaderName, token: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .any(|item| item.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
}
