//! Values that are written as strings: names, hosts, paths, addresses, lengths of time.

use std::{
    net::{IpAddr, SocketAddr},
    ops::RangeInclusive,
    path::{Path, PathBuf},
    time::Duration,
};

use cutover_routing::PathPattern;
use ipnet::IpNet;

use super::super::{
    duration,
    meant::LowTraffic,
    place::{At, Trouble},
    shape::nearest,
};

/// `[a-z][a-z0-9-]{0,62}` not ending in a dash.
pub(super) fn name(key: &str, written: &At<String>, trouble: &mut Trouble<'_>) -> Option<String> {
    let text = written.get();
    let fits = |text: &str| {
        text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.len() <= 63
            && !text.ends_with('-')
            && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
    };
    if fits(text) {
        return Some(text.clone());
    }
    let message = format!("`{key}` cannot be {text:?}");
    let folded: String = text
        .to_lowercase()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect::<String>()
        .trim_matches('-')
        .to_owned();
    let rule =
        "names are lower-case letters, digits and dashes, start with a letter, and are at most 63 long";
    let hint = if fits(&folded) { format!("{rule}: {folded:?}") } else { rule.to_owned() };
    trouble.add_hint("CUT0105", written.span(), message, hint);
    None
}

/// A host name or IPv4 address without scheme, port and path; lower case whatever was written.
pub(super) fn host(written: &At<String>, trouble: &mut Trouble<'_>) -> Option<String> {
    let text = written.get().as_str();
    let (why, hint) = if let Some((_, rest)) = text.split_once("://") {
        let bare = rest.split(['/', ':']).next().unwrap_or_default();
        ("has a scheme", format!("write only the host, {bare:?}; the scheme visitors use is `edge.scheme`"))
    } else if text.contains('/') {
        let bare = text.split('/').next().unwrap_or_default();
        ("has a path", format!("write only the host, {bare:?}"))
    } else if text.starts_with('[') || text.matches(':').count() > 1 {
        ("is an IPv6 address", "write a host name, such as \"localhost\"".to_owned())
    } else if let Some((bare, _)) = text.split_once(':') {
        ("has a port", format!("write only the host, {bare:?}; the port is part of `edge.listen`"))
    } else if !text.is_ascii() {
        ("is not in ASCII", "write the name's `xn--` form, which is what browsers send".to_owned())
    } else {
        let lower = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        if is_host(&lower) {
            return Some(lower);
        }
        ("is no host name", "a host looks like \"shop.example.com\" or \"localhost\"".to_owned())
    };
    trouble.add_hint("CUT0105", written.span(), format!("`host` {why}: {text:?}"), hint);
    None
}

/// Letters, digits and dashes between dots (RFC 1123), or an IPv4 address.
fn is_host(text: &str) -> bool {
    if text.parse::<std::net::Ipv4Addr>().is_ok() {
        return true;
    }
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    // A name whose last part is a number is read as an address by browsers, and this one is none.
    text.len() <= 253
        && text.split('.').all(label)
        && !text.rsplit('.').next().unwrap_or_default().bytes().all(|b| b.is_ascii_digit())
}

/// A length of time above zero and at most `longest`.
pub(super) fn time(
    key: &str,
    written: &At<String>,
    longest: Duration,
    trouble: &mut Trouble<'_>,
) -> Option<Duration> {
    let time = time_or_nothing(key, written, longest, trouble)?;
    if time.is_zero() {
        trouble.add("CUT0105", written.span(), format!("`{key}` must be longer than nothing"));
        return None;
    }
    Some(time)
}

/// As [`time`], and `0s` for "not at all".
pub(super) fn time_or_nothing(
    key: &str,
    written: &At<String>,
    longest: Duration,
    trouble: &mut Trouble<'_>,
) -> Option<Duration> {
    match duration::parse(written.get()) {
        Ok(time) if time > longest => {
            let message = format!("`{key}` is longer than {}", duration::format(longest));
            trouble.add("CUT0105", written.span(), message);
            None
        }
        Ok(time) => Some(time),
        Err(why) => {
            trouble.add("CUT0105", written.span(), format!("`{key}`: {why}, found {:?}", written.get()));
            None
        }
    }
}

/// As [`time`], with a default.
pub(super) fn time_or(
    key: &str,
    written: Option<&At<String>>,
    default: Duration,
    longest: Duration,
    trouble: &mut Trouble<'_>,
) -> Option<Duration> {
    written.map_or(Some(default), |written| time(key, written, longest, trouble))
}

/// What happens where there is too little evidence.
pub(super) fn low_traffic(key: &str, written: &At<String>, trouble: &mut Trouble<'_>) -> Option<LowTraffic> {
    match written.get().parse() {
        Ok(policy) => Some(policy),
        Err(why) => {
            let text = written.get();
            let message = format!("`{key}` {why}, found {text:?}");
            let hint = match nearest(text, ["hold", "extend 10m", "ask", "synthetic"].into_iter()) {
                Some(word) => format!("did you mean {word:?}?"),
                None => "it is one of \"hold\", \"extend 10m\", \"ask\" and \"synthetic\"".to_owned(),
            };
            trouble.add_hint("CUT0105", written.span(), message, hint);
            None
        }
    }
}

/// A text that is not empty and has no control characters.
pub(super) fn line(
    key: &str,
    written: &At<String>,
    longest: usize,
    trouble: &mut Trouble<'_>,
) -> Option<String> {
    let text = written.get().trim();
    if text.is_empty() {
        trouble.add("CUT0105", written.span(), format!("`{key}` is empty"));
    } else if text.chars().any(|c| c.is_control() && c != '\n') {
        trouble.add("CUT0105", written.span(), format!("`{key}` has control characters"));
    } else if text.len() > longest {
        trouble.add("CUT0105", written.span(), format!("`{key}` is longer than {longest} bytes"));
    } else {
        return Some(text.to_owned());
    }
    None
}

/// A path of this machine, made absolute.
pub(super) fn path(
    key: &str,
    written: &At<String>,
    base: &Path,
    trouble: &mut Trouble<'_>,
) -> Option<PathBuf> {
    let text = line(key, written, 4096, trouble)?;
    Some(super::absolute(base, &text))
}

/// A path of a file below a directory, as which `root` is known: relative, forward slashes, never leaving it.
pub(super) fn inside(
    key: &str,
    written: &At<String>,
    root: &str,
    trouble: &mut Trouble<'_>,
) -> Option<String> {
    let text = line(key, written, 4096, trouble)?;
    let text = text.strip_prefix("./").unwrap_or(&text);
    let (why, hint) = if let Some(rest) = text.strip_prefix('/') {
        ("starts with a slash", format!("it is relative to {root}: {:?}", rest.trim_start_matches('/')))
    } else if text.contains('\\') {
        ("has a backslash", "write forward slashes".to_owned())
    } else if text.split('/').any(|part| matches!(part, "" | "." | "..")) {
        ("has empty, `.` or `..` parts", format!("write the plain path below {root}"))
    } else {
        return Some(text.to_owned());
    };
    trouble.add_hint("CUT0105", written.span(), format!("`{key}` {why}: {text:?}"), hint);
    None
}

/// A part of something, such as `1%`, as a number from 0 to 1; the range is in percent.
pub(super) fn percent(
    key: &str,
    written: &At<String>,
    range: RangeInclusive<f64>,
    trouble: &mut Trouble<'_>,
) -> Option<f64> {
    let text = written.get().trim();
    let digits = text.strip_suffix('%').map(str::trim_end);
    let number = digits
        .filter(|digits| digits.len() <= 12 && digits.bytes().all(|b| b.is_ascii_digit() || b == b'.'))
        .and_then(|digits| digits.parse::<f64>().ok());
    let Some(number) = number else {
        let hint = "write a number and a percent sign, such as `1%` or `0.1%`";
        trouble.add_hint("CUT0105", written.span(), format!("`{key}` is no percentage: {text:?}"), hint);
        return None;
    };
    if !range.contains(&number) {
        let message = format!("`{key}` is between {}% and {}%, found {text:?}", range.start(), range.end());
        trouble.add("CUT0105", written.span(), message);
        return None;
    }
    Some(number / 100.0)
}

/// The path (and query, where allowed) of a request.
pub(super) fn target(
    key: &str,
    written: &At<String>,
    query: bool,
    trouble: &mut Trouble<'_>,
) -> Option<String> {
    let text = written.get().as_str();
    let why = if !text.starts_with('/') || text.starts_with("//") {
        "must start with one slash"
    } else if text.bytes().any(|b| !b.is_ascii_graphic()) {
        "has spaces, control or non-ASCII characters; percent-encode them"
    } else if text.contains('#') {
        "has a fragment, which is never sent"
    } else if !query && text.contains('?') {
        "has a query"
    } else if text.len() > 2048 {
        "is longer than 2048 bytes"
    } else {
        return Some(text.to_owned());
    };
    trouble.add("CUT0105", written.span(), format!("`{key}` {why}, found {text:?}"));
    None
}

/// A path pattern that does not touch what Cutover answers itself.
pub(super) fn pattern(key: &str, written: &At<String>, trouble: &mut Trouble<'_>) -> Option<PathPattern> {
    let text = written.get();
    for reserved in ["/.cutover", "/_r"] {
        if text.strip_prefix(reserved).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '*'])) {
            let message =
                format!("`{key}` has {text:?}, but {reserved:?} and all below it belong to Cutover");
            trouble.add("CUT0108", written.span(), message);
            return None;
        }
    }
    match PathPattern::parse(text) {
        Ok(pattern) => Some(pattern),
        Err(why) => {
            let hint =
                "a pattern is a path such as \"/api/*\", which is /api and everything below, or \"/exact\"";
            trouble.add_hint("CUT0105", written.span(), format!("`{key}`: {why}"), hint);
            None
        }
    }
}

/// An address and a port of this machine.
pub(super) fn listen(key: &str, written: &At<String>, trouble: &mut Trouble<'_>) -> Option<SocketAddr> {
    let text = written.get().as_str();
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    let guess = match text.rsplit_once(':') {
        Some(("localhost", port)) => Some(("127.0.0.1", port)),
        Some(("" | "*", port)) => Some(("0.0.0.0", port)),
        None if text.parse::<IpAddr>().is_ok() => Some((text, "8080")),
        None => Some(("127.0.0.1", text)),
        _ => None,
    };
    let hint = match guess
        .map(|(ip, port)| format!("{ip}:{port}"))
        .filter(|guess| guess.parse::<SocketAddr>().is_ok())
    {
        Some(guess) => format!("write {guess:?}"),
        None => "write an IP address and a port, such as \"127.0.0.1:8080\" or \"[::1]:8080\"".to_owned(),
    };
    trouble.add_hint("CUT0105", written.span(), format!("`{key}` is no address and port: {text:?}"), hint);
    None
}

/// A network, or one address.
pub(super) fn network(key: &str, written: &At<String>, trouble: &mut Trouble<'_>) -> Option<IpNet> {
    let text = written.get().as_str();
    let parsed: Option<IpNet> = text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
    match parsed {
        Some(network) if network != network.trunc() => {
            let hint = format!("write {:?}", network.trunc().to_string());
            let message = format!("`{key}`: {text:?} has bits set behind its prefix");
            trouble.add_hint("CUT0105", written.span(), message, hint);
            None
        }
        Some(network) => Some(network),
        None => {
            let hint = "write a network such as \"10.0.0.0/8\" or one address such as \"10.1.2.3\"";
            trouble.add_hint("CUT0105", written.span(), format!("`{key}`: {text:?} is no network"), hint);
            None
        }
    }
}
