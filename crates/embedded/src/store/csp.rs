//! Whether a Content Security Policy written into a page lets it load a script from its own origin by an ordinary
//! `<script src>` without nonce (Content Security Policy Level 3, sections 2.3, 6.7.2 and 6.8).
//!
//! A page whose policy forbids that must not get one, because the browser would report what its author did not write.

/// Whether `policy` allows a script from `path` of the page's own origin, whose host is `host`.
///
/// Of source expressions that depend on the scheme or the port, which staging does not know, those count that would allow
/// the page's own scripts in some place it is served at.
pub(super) fn allows_own_script(policy: &str, host: &str, path: &str) -> bool {
    // A policy in a header or a meta element may be a list; every one of them must allow it.
    policy.split(',').all(|single| single_allows(single, host, path))
}

fn single_allows(policy: &str, host: &str, path: &str) -> bool {
    let Some(sources) =
        ["script-src-elem", "script-src", "default-src"].iter().find_map(|name| directive(policy, name))
    else {
        return true;
    };
    let sources: Vec<&str> = sources.split_ascii_whitespace().collect();
    // Then only scripts with a nonce or a hash count, and what they load.
    if sources.iter().any(|source| source.eq_ignore_ascii_case("'strict-dynamic'")) {
        return false;
    }
    sources.iter().any(|source| source_allows(source, host, path))
}

/// The value of a directive; of two with the same name the first counts.
fn directive<'a>(policy: &'a str, name: &str) -> Option<&'a str> {
    policy.split(';').find_map(|directive| {
        let directive = directive.trim_ascii();
        let (found, value) =
            directive.split_once(|c: char| c.is_ascii_whitespace()).unwrap_or((directive, ""));
        found.eq_ignore_ascii_case(name).then_some(value)
    })
}

fn source_allows(source: &str, host: &str, path: &str) -> bool {
    if source.starts_with('\'') {
        return source.eq_ignore_ascii_case("'self'");
    }
    if let Some(scheme) = source.strip_suffix(':') {
        return is_web(scheme);
    }
    let rest = match source.split_once("://") {
        Some((scheme, rest)) if is_web(scheme) => rest,
        Some(_) => return false,
        None => source,
    };
    let (authority, wanted_path) = match rest.find('/') {
        Some(slash) => rest.split_at(slash),
        None => (rest, ""),
    };
    let wanted_host = authority.rsplit_once(':').map_or(authority, |(wanted_host, _port)| wanted_host);
    host_matches(wanted_host, host) && path_matches(wanted_path, path)
}

fn is_web(scheme: &str) -> bool {
    scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("http")
}

fn host_matches(wanted: &str, host: &str) -> bool {
    if wanted == "*" {
        return true;
    }
    match wanted.strip_prefix("*.") {
        // At least one more label, so the domain itself does not match.
        Some(domain) => {
            host.len() > domain.len() + 1
                && host.is_char_boundary(host.len() - domain.len())
                && host[host.len() - domain.len()..].eq_ignore_ascii_case(domain)
                && host.as_bytes()[host.len() - domain.len() - 1] == b'.'
        }
        None => wanted.eq_ignore_ascii_case(host),
    }
}

/// A path that ends in a slash stands for everything below it, another one for itself.
fn path_matches(wanted: &str, path: &str) -> bool {
    match wanted {
        "" | "/" => true,
        _ if wanted.ends_with('/') => path.starts_with(wanted),
        _ => path == wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_allow_or_forbid_scripts_of_the_page_itself() {
        let cases = [
            ("", true, "no policy"),
            ("img-src 'none'", true, "nothing about scripts"),
            ("script-src 'self'", true, "self"),
            ("SCRIPT-SRC 'SELF'", true, "names and keywords are case-insensitive"),
            ("default-src 'self'", true, "the default stands in"),
            ("default-src 'none'", false, "the default forbids"),
            ("default-src 'none'; script-src 'self'", true, "the nearer one counts"),
            ("script-src 'self'; script-src-elem 'none'", false, "the nearest one counts"),
            ("script-src 'none'; script-src 'self'", false, "the first of two counts"),
            ("script-src 'self', script-src 'none'", false, "all of a list must allow"),
            ("script-src", false, "an empty list is none"),
            ("script-src 'unsafe-inline'", false, "inline is not from a file"),
            ("script-src 'unsafe-eval'", false, "eval is not from a file"),
            ("script-src 'nonce-abc'", false, "we have no nonce"),
            ("script-src 'nonce-abc' 'self'", true, "self counts beside a nonce"),
            ("script-src 'sha256-AAAA'", false, "we have no integrity attribute"),
            ("script-src 'self' 'nonce-abc' 'strict-dynamic'", false, "strict-dynamic voids self"),
            ("script-src *", true, "any host"),
            ("script-src https:", true, "any host by scheme"),
            ("script-src http:", true, "any host by scheme"),
            ("script-src data: blob:", false, "not from the network"),
            ("script-src shop.example.com", true, "the host"),
            ("script-src SHOP.example.com:*", true, "the host in capitals with any port"),
            ("script-src https://shop.example.com:8443", true, "the host with scheme and port"),
            ("script-src wss://shop.example.com", false, "not for scripts"),
            ("script-src *.example.com", true, "a domain"),
            ("script-src *.shop.example.com", false, "the domain is the host itself"),
            ("script-src *.ample.com", false, "not at a label's border"),
            ("script-src cdn.example.com", false, "another host"),
            ("script-src shop.example.com/assets/", false, "another directory"),
            ("script-src shop.example.com/.cutover/", true, "its directory"),
            ("script-src shop.example.com/.cutover", false, "a directory without slash is a file"),
            ("script-src shop.example.com/.cutover/visit.js", true, "the file itself"),
            ("script-src shop.example.com/", true, "the root is everything"),
            ("script-src\n  'none'\n;  \tdefault-src 'self'", false, "any white space"),
            ("script-src é.example.com *.é", false, "not ASCII"),
        ];
        for (policy, expected, why) in cases {
            assert_eq!(
                allows_own_script(policy, "shop.example.com", "/.cutover/visit.js"),
                expected,
                "{policy}: {why}"
            );
        }
        assert!(!allows_own_script("script-src *.é", "aé", "/"), "no panic inside a character");
    }
}
