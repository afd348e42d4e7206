//! The address visitors use, as far as one machine can know it.

use std::net::{IpAddr, SocketAddr};

use cutover_engine::config::AppConfig;

/// `scheme://host[:port]/`.
///
/// The port is the edge's own where visitors reach the edge itself: where the host names this machine, or where it
/// listens for others and no proxy stands before it. Behind a proxy it is the scheme's usual one.
pub(super) fn visitor_url(config: &AppConfig, edge: SocketAddr) -> String {
    let scheme = config.edge.scheme;
    let usual = if scheme.secure() { 443 } else { 80 };
    let here = names_this_machine(&config.host);
    let open = !edge.ip().is_loopback() && config.edge.trusted_proxies.is_empty();
    let host = match config.host.parse::<IpAddr>() {
        Ok(IpAddr::V6(ip)) => format!("[{ip}]"),
        _ => config.host.clone(),
    };
    if (here || open) && edge.port() != usual {
        format!("{}://{host}:{}/", scheme.as_str(), edge.port())
    } else {
        format!("{}://{host}/", scheme.as_str())
    }
}

fn names_this_machine(host: &str) -> bool {
    host == "localhost"
        || host.ends_with(".localhost")
        || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback() || ip.is_unspecified())
}

/// Where this machine reaches the edge.
pub(super) fn reachable(edge: SocketAddr) -> SocketAddr {
    match edge.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => SocketAddr::from(([127, 0, 0, 1], edge.port())),
        IpAddr::V6(ip) if ip.is_unspecified() => SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], edge.port())),
        _ => edge,
    }
}

/// Percent-encodes what goes into a query.
pub(super) fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(host: &str, edge_table: &str, listen: &str) -> String {
        let text =
            format!("app = \"shop\"\nhost = \"{host}\"\n[site]\ndir = \"dist\"\n[edge]\n{edge_table}\n");
        let config = cutover_engine::config::parse(&text, std::path::Path::new("/app/cutover.toml")).unwrap();
        visitor_url(&config, listen.parse().unwrap())
    }

    #[test]
    fn the_port_is_shown_where_visitors_reach_the_edge_itself() {
        assert_eq!(url("localhost", "", "127.0.0.1:8080"), "http://localhost:8080/");
        assert_eq!(url("127.0.0.1", "", "127.0.0.1:8080"), "http://127.0.0.1:8080/");
        assert_eq!(url("shop.example.com", "", "0.0.0.0:8080"), "http://shop.example.com:8080/");
        assert_eq!(url("shop.example.com", "", "0.0.0.0:80"), "http://shop.example.com/");
    }

    #[test]
    fn behind_a_proxy_the_port_is_the_usual_one() {
        assert_eq!(url("shop.example.com", "", "127.0.0.1:8080"), "http://shop.example.com/");
        let behind = "scheme = \"https\"\ntrusted_proxies = [\"10.0.0.0/8\"]";
        assert_eq!(url("shop.example.com", behind, "0.0.0.0:8080"), "https://shop.example.com/");
    }

    #[test]
    fn queries_cannot_be_broken_out_of() {
        assert_eq!(encoded("/a b?c=d&e#f%"), "/a%20b%3Fc%3Dd%26e%23f%25");
    }
}
