//! Who may ask: the holder of the token, speaking to this machine's own address, from no foreign web page.

use std::{net::IpAddr, sync::Arc};

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use cutover_engine::{Error, ErrorKind};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use subtle::ConstantTimeEq;

use crate::answer::Refusal;

/// Header in which a client says on whose behalf it asks.
pub(crate) const WHO: &str = "x-cutover-who";

/// What the guard compares with.
#[derive(Clone)]
pub(crate) struct Guard {
    pub(crate) token: Arc<str>,
    /// The address listened on; none for a Unix socket.
    pub(crate) address: Option<IpAddr>,
    /// Host names that are accepted beside addresses and `localhost`.
    pub(crate) hosts: Arc<[String]>,
}

/// Lets a request through or answers it.
pub(crate) async fn check(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let mut response = match guard.allows(request.headers()) {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

impl Guard {
    fn allows(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let host = only(headers, header::HOST).ok_or_else(|| foreign("it has no single Host header"))?;
        if !self.is_own(host) {
            return Err(foreign(&format!("its host {host:?} is not this machine's own address")));
        }
        if headers.contains_key(header::ORIGIN) {
            let origin = only(headers, header::ORIGIN).unwrap_or_default();
            if origin.strip_prefix("http://") != Some(host) {
                return Err(foreign(&format!("it comes from the web page of another origin, {origin:?}")));
            }
        }
        if let Some(site) = headers.get("sec-fetch-site")
            && site != "same-origin"
            && site != "none"
        {
            return Err(foreign("a web page of another site sent it"));
        }
        let token = only(headers, header::AUTHORIZATION).and_then(bearer).unwrap_or_default();
        // The comparison takes as long whatever is wrong; only the length can be told from outside.
        if !self.token.is_empty() && bool::from(token.as_bytes().ct_eq(self.token.as_bytes())) {
            return Ok(());
        }
        let what =
            if token.is_empty() { "it carries no bearer token" } else { "its token is not this server's" };
        let error = Error::new(
            ErrorKind::Refused,
            "CUT0651",
            "the request to the control API was not let in",
        )
        .because(what)
        .hint(
            "send `Authorization: Bearer TOKEN` with the content of the file `token` in the state directory",
        );
        Err(Refusal::new(StatusCode::UNAUTHORIZED, error))
    }

    /// A name that an attacker can point here (DNS rebinding) is no own address; a literal address cannot be pointed.
    fn is_own(&self, host: &str) -> bool {
        let name = match host.strip_prefix('[') {
            Some(rest) => rest.split(']').next().unwrap_or_default(),
            None => host.rsplit_once(':').map_or(host, |(name, _)| name),
        };
        if let Ok(ip) = name.parse::<IpAddr>() {
            return ip.is_loopback() || self.address.is_some_and(|own| own.is_unspecified() || own == ip);
        }
        name.eq_ignore_ascii_case("localhost") || self.hosts.iter().any(|own| own.eq_ignore_ascii_case(name))
    }
}

fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The value of a header that is there exactly once.
fn only(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    values.next().is_none().then(|| value.to_str().ok()).flatten()
}

fn foreign(why: &str) -> Refusal {
    let error = Error::new(ErrorKind::Refused, "CUT0652", "the request to the control API was not let in")
        .because(why)
        .hint("use the address `cutover up` prints, from this machine");
    Refusal::new(StatusCode::FORBIDDEN, error)
}

/// On whose behalf a request comes, for the history: printable, at most 64 characters, `api` where nothing is said.
pub(crate) fn who(headers: &HeaderMap) -> String {
    let said = headers.get(WHO).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let clean: String = said
        .unwrap_or_default()
        .chars()
        .filter(|c| !c.is_control() && *c != char::REPLACEMENT_CHARACTER)
        .take(64)
        .collect();
    let clean = clean.trim();
    if clean.is_empty() { "api".to_owned() } else { clean.to_owned() }
}
