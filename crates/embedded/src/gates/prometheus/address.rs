//! Where a Prometheus is, taken apart.

use base64::{Engine, engine::general_purpose::STANDARD};
use http::Uri;

/// A parsed address. Its name in messages is [`Address::authority`], which never holds a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) tls: bool,
    /// Without the brackets of IPv6.
    pub(super) host: String,
    pub(super) port: u16,
    /// Host and, where it is not the usual one, port.
    pub(super) authority: String,
    /// Of instant queries.
    pub(super) path: String,
    pub(super) authorization: Option<String>,
}

impl Address {
    pub(super) fn parse(url: &str) -> Result<Self, String> {
        let uri: Uri = url.trim().parse().map_err(|error| format!("{error}"))?;
        let tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err("it has to begin with http:// or https://".to_owned()),
        };
        let authority = uri.authority().ok_or("it names no host")?;
        let (user, place) = match authority.as_str().rsplit_once('@') {
            Some((user, place)) => (Some(user), place),
            None => (None, authority.as_str()),
        };
        if uri.query().is_some() || url.contains('#') {
            return Err("it cannot have a query; the query has its own key".to_owned());
        }
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        if host.is_empty() {
            return Err("it names no host".to_owned());
        }
        let port = match place.strip_prefix(authority.host()).unwrap_or_default() {
            "" => {
                if tls {
                    443
                } else {
                    80
                }
            }
            rest => {
                let port = rest.strip_prefix(':').and_then(|port| port.parse().ok());
                port.ok_or_else(|| format!("its port {rest:?} is no number up to 65535"))?
            }
        };
        let path = uri.path().trim_end_matches('/');
        let path = path.strip_suffix("/api/v1/query").or(path.strip_suffix("/api/v1")).unwrap_or(path);
        let authorization = user.map(|user| format!("Basic {}", STANDARD.encode(decoded(user))));
        let path = format!("{path}/api/v1/query");
        Ok(Self { tls, host, port, authority: place.to_owned(), path, authorization })
    }
}

/// Percent-encodes what goes into a query.
pub(super) fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

/// Takes percent-encoding back; what is none stays.
fn decoded(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) if first == b'%' => {
                bytes.push(byte);
                rest = &after[2..];
            }
            _ => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_apart() {
        let plain = Address::parse("http://localhost:9090").unwrap();
        assert_eq!((plain.host.as_str(), plain.port, plain.tls), ("localhost", 9090, false));
        assert_eq!((plain.authority.as_str(), plain.path.as_str()), ("localhost:9090", "/api/v1/query"));
        let below = Address::parse("https://metrics.example.com/prometheus/").unwrap();
        assert_eq!((below.port, below.tls, below.path.as_str()), (443, true, "/prometheus/api/v1/query"));
        let six = Address::parse("http://[::1]:9090/").unwrap();
        assert_eq!((six.host.as_str(), six.authority.as_str()), ("::1", "[::1]:9090"));
        for url in ["http://a/api/v1/", "http://a/api/v1/query", "http://a/"] {
            assert_eq!(Address::parse(url).unwrap().path, "/api/v1/query", "{url}");
        }
    }

    #[test]
    fn a_password_is_sent_and_never_shown() {
        let address = Address::parse("http://ada:p%40ss@metrics:9090").unwrap();
        assert_eq!(address.authorization.as_deref(), Some("Basic YWRhOnBAc3M="));
        assert_eq!((address.authority.as_str(), address.host.as_str()), ("metrics:9090", "metrics"));
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for url in [
            "",
            "localhost:9090",
            "ftp://a",
            "http://",
            "http://a:99999",
            "http://a:x",
            "http://a/?query=up",
            "/x",
        ] {
            assert!(Address::parse(url).is_err(), "{url}");
        }
    }

    #[test]
    fn queries_cannot_be_broken_out_of() {
        assert_eq!(encoded("a{b=\"c&d\"}+1 %"), "a%7Bb%3D%22c%26d%22%7D%2B1%20%25");
    }
}
