//! Who asks, over which scheme, from which country: by the socket, or by what a trusted proxy says.

use std::{net::IpAddr, str::FromStr};

use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::conn::Conn;

/// Where a trusted proxy reports the visitor's country, as ISO 3166-1 alpha-2.
pub(crate) const COUNTRY: HeaderName = HeaderName::from_static("x-client-country");
pub(crate) const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
pub(crate) const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
pub(crate) const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// Where a request comes from.
pub(crate) struct Origin<'a> {
    pub(crate) client: IpAddr,
    pub(crate) https: bool,
    pub(crate) country: Option<&'a str>,
}

impl<'a> Origin<'a> {
    /// `secure`: the external scheme is https whatever the socket says.
    pub(crate) fn of(conn: &Conn, headers: &'a HeaderMap, secure: bool) -> Self {
        let mut origin = Self { client: conn.peer, https: conn.tls || secure, country: None };
        if conn.trusted {
            origin.client = client(conn, headers);
            match headers.get(FORWARDED_PROTO).map(HeaderValue::as_bytes) {
                Some(b"https") => origin.https = true,
                Some(b"http") => origin.https = false,
                _ => {}
            }
            origin.country = headers.get(COUNTRY).and_then(|value| value.to_str().ok());
        }
        origin
    }

    /// `http` or `https`.
    pub(crate) fn scheme(&self) -> &'static str {
        if self.https { "https" } else { "http" }
    }

    /// Sets the headers that tell an upstream where a request comes from. What the client says of itself is kept only
    /// where it is a proxy that is believed.
    pub(crate) fn tell(&self, conn: &Conn, from: &HeaderMap, host: &HeaderValue, to: &mut HeaderMap) {
        let mut forwarded_for = conn.peer_header.clone();
        let mut forwarded = forwarded(conn, host, self.scheme());
        if conn.trusted {
            forwarded_for = joined(from, &FORWARDED_FOR, forwarded_for);
            forwarded = joined(from, &header::FORWARDED, forwarded);
            if let Some(country) = from.get(COUNTRY) {
                to.insert(COUNTRY, country.clone());
            }
        }
        to.insert(FORWARDED_FOR, forwarded_for);
        to.insert(FORWARDED_PROTO, HeaderValue::from_static(self.scheme()));
        let outer = from.get(FORWARDED_HOST).filter(|_| conn.trusted);
        to.insert(FORWARDED_HOST, outer.unwrap_or(host).clone());
        to.insert(header::FORWARDED, forwarded);
    }
}

/// The right-most address that is not a trusted proxy's own: what is left of it the visitor may have invented.
fn client(conn: &Conn, headers: &HeaderMap) -> IpAddr {
    let trusted = &conn.worker.shared.options.trusted_proxies;
    let mut client = conn.peer;
    for line in headers.get_all(FORWARDED_FOR).iter().rev() {
        for item in line.to_str().unwrap_or("?").rsplit(',') {
            let Some(address) = address(item.trim()) else { return client };
            client = address;
            if !trusted.iter().any(|net| net.contains(&client)) {
                return client;
            }
        }
    }
    client
}

/// An address, with or without a port.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let address = IpAddr::from_str(bare).ok();
    let address = address.or_else(|| std::net::SocketAddr::from_str(text).ok().map(|socket| socket.ip()));
    address.map(|address| address.to_canonical())
}

fn joined(from: &HeaderMap, name: &HeaderName, ours: HeaderValue) -> HeaderValue {
    let mut value = Vec::new();
    for line in from.get_all(name) {
        value.extend_from_slice(line.as_bytes());
        value.extend_from_slice(b", ");
    }
    if value.is_empty() {
        return ours;
    }
    value.extend_from_slice(ours.as_bytes());
    HeaderValue::from_bytes(&value).unwrap_or(ours)
}

/// `Forwarded` (RFC 7239), kept for the connection as long as the host stays the same.
fn forwarded(conn: &Conn, host: &HeaderValue, scheme: &'static str) -> HeaderValue {
    if let Some((made_for, made_with, value)) = &*conn.forwarded.borrow()
        && made_for == host
        && *made_with == scheme
    {
        return value.clone();
    }
    let node = match conn.peer {
        IpAddr::V4(peer) => peer.to_string(),
        // RFC 7239 section 6: brackets, and therefore quotes.
        IpAddr::V6(peer) => format!("\"[{peer}]\""),
    };
    let host_text = host.to_str().unwrap_or_default();
    let value = HeaderValue::try_from(format!("for={node};host=\"{host_text}\";proto={scheme}"));
    let value = value.unwrap_or(HeaderValue::from_static("for=unknown"));
    *conn.forwarded.borrow_mut() = Some((host.clone(), scheme, value.clone()));
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_come_with_and_without_ports() {
        for text in ["192.0.2.1", "192.0.2.1:80", "::ffff:192.0.2.1"] {
            assert_eq!(address(text), Some(IpAddr::from([192, 0, 2, 1])), "{text}");
        }
        for text in ["2001:db8::1", "[2001:db8::1]", "[2001:db8::1]:80"] {
            assert_eq!(address(text), "2001:db8::1".parse().ok(), "{text}");
        }
        assert_eq!(address("unknown"), None);
    }
}
