//! `[[service]]`.

use std::{collections::BTreeMap, path::Path, time::Duration};

use cutover_routing::PathPattern;

use super::{
    super::{
        meant::{ServiceConfig, Source, Upstream},
        place::{At, Trouble},
        written::{self, Service},
    },
    text, unique,
};

const DEFAULT_START: Duration = Duration::from_secs(30);
const DEFAULT_STOP: Duration = Duration::from_secs(10);
const LONGEST_START: Duration = Duration::from_secs(3600);
const LONGEST_STOP: Duration = Duration::from_secs(3600);

pub(super) fn check(
    written: &[At<Service>],
    base: &Path,
    trouble: &mut Trouble<'_>,
) -> Option<Vec<ServiceConfig>> {
    unique("service", written.iter().filter_map(|service| service.get().name.as_ref()), trouble);
    routes_once(written, trouble);
    let checked: Vec<_> = written.iter().map(|service| one(service, base, trouble)).collect();
    checked.into_iter().collect()
}

fn one(written: &At<Service>, base: &Path, trouble: &mut Trouble<'_>) -> Option<ServiceConfig> {
    let service = written.get();
    let name = service.name.as_ref().and_then(|name| {
        let checked = text::name("service.name", name, trouble)?;
        if checked == "site" {
            trouble.add("CUT0108", name.span(), "a service cannot be called `site`: the static site is");
            return None;
        }
        Some(checked)
    });
    let routes = service.routes.as_ref().and_then(|routes| {
        if routes.get().is_empty() {
            let hint = "name the paths it owns, e.g. [\"/api/*\"]";
            trouble.add_hint("CUT0105", routes.span(), "`service.routes` is empty", hint);
            return None;
        }
        let checked: Vec<Option<PathPattern>> =
            routes.get().iter().map(|route| text::pattern("service.routes", route, trouble)).collect();
        checked.into_iter().collect()
    });
    let source = source(written, base, trouble);
    let health = match &service.health {
        Some(path) => text::target("service.health", path, true, trouble).map(Some),
        None => Some(None),
    };
    let start = service.start_timeout.as_ref();
    let start_timeout = text::time_or("service.start_timeout", start, DEFAULT_START, LONGEST_START, trouble);
    let stop = service.stop_timeout.as_ref();
    let stop_timeout = text::time_or("service.stop_timeout", stop, DEFAULT_STOP, LONGEST_STOP, trouble);
    let env = env(&service.env, trouble);
    Some(ServiceConfig {
        name: name?,
        routes: routes?,
        source: source?,
        health: health?,
        start_timeout: start_timeout?,
        stop_timeout: stop_timeout?,
        env: env?,
    })
}

fn source(written: &At<Service>, base: &Path, trouble: &mut Trouble<'_>) -> Option<Source> {
    let service = written.get();
    match (&service.dir, &service.run, &service.upstream) {
        (Some(dir), Some(run), None) => {
            let dir = text::path("service.dir", dir, base, trouble);
            let run = text::line("service.run", run, 16_384, trouble);
            Some(Source::Process { dir: dir?, run: run? })
        }
        (None, None, Some(upstream)) => slots(upstream, trouble).map(Source::Upstream),
        (Some(_), None, None) | (None, Some(_), None) | (None, None, None)
            if trouble.was_cut(&written.span()) =>
        {
            None
        }
        (Some(dir), None, None) => {
            let hint = "add `run`, the command that starts it, e.g. run = \"node server.js\"";
            trouble.add_hint("CUT0104", dir.span(), "a service with `dir` needs `run`", hint);
            None
        }
        (None, Some(run), None) => {
            let hint =
                "add `dir`, the directory that is copied into the release and in which the command runs";
            trouble.add_hint("CUT0104", run.span(), "a service with `run` needs `dir`", hint);
            None
        }
        (None, None, None) => {
            let hint =
                "add `dir` and `run` for a process Cutover runs, or `upstream` for one somebody else runs";
            trouble.add_hint("CUT0104", written.span(), "the service does not say who runs it", hint);
            None
        }
        (_, _, Some(upstream)) => {
            let hint =
                "keep `dir` and `run` for a process Cutover runs, or `upstream` for one somebody else runs";
            trouble.add_hint(
                "CUT0107",
                upstream.span(),
                "a service has either `dir` and `run` or `upstream`",
                hint,
            );
            None
        }
    }
}

fn slots(written: &At<written::Upstream>, trouble: &mut Trouble<'_>) -> Option<Upstream> {
    let blue = written.get().blue.as_ref();
    let green = written.get().green.as_ref();
    let blue_address = blue.and_then(|blue| upstream("service.upstream.blue", blue, trouble));
    let green_address = green.and_then(|green| upstream("service.upstream.green", green, trouble));
    let (blue_address, green_address) = (blue_address?, green_address?);
    if blue_address == green_address {
        let message = "`blue` and `green` are the same address: both releases would be one";
        trouble.add("CUT0107", green?.span(), message);
        return None;
    }
    Some(Upstream { blue: blue_address, green: green_address })
}

/// `http://host:port`, given back as `host:port`.
fn upstream(key: &str, written: &At<String>, trouble: &mut Trouble<'_>) -> Option<String> {
    let text = written.get().as_str();
    let (why, hint) = if text.starts_with("https://") {
        ("speaks TLS, which upstreams cannot do yet", "use an http:// address on a network you trust")
    } else if let Some(rest) = text.strip_prefix("http://") {
        let address = rest.strip_suffix('/').unwrap_or(rest).to_ascii_lowercase();
        let with_port = match address.rsplit_once(':') {
            Some((_, port)) if !port.ends_with(']') => address.clone(),
            _ => format!("{address}:80"),
        };
        if is_authority(&with_port) {
            return Some(with_port);
        }
        ("is no address", "write scheme, host and port only, such as \"http://127.0.0.1:3000\"")
    } else {
        ("has no http:// in front", "write scheme, host and port, such as \"http://127.0.0.1:3000\"")
    };
    trouble.add_hint("CUT0105", written.span(), format!("`{key}` {why}: {text:?}"), hint);
    None
}

pub(super) fn is_authority(text: &str) -> bool {
    if text.parse::<std::net::SocketAddr>().is_ok_and(|address| address.port() != 0) {
        return true;
    }
    text.rsplit_once(':').is_some_and(|(host, port)| {
        port.bytes().all(|b| b.is_ascii_digit())
            && port.parse::<u16>().is_ok_and(|port| port != 0)
            && !host.is_empty()
            && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'))
    })
}

fn env(
    written: &BTreeMap<String, At<String>>,
    trouble: &mut Trouble<'_>,
) -> Option<BTreeMap<String, String>> {
    let mut env = Some(BTreeMap::new());
    for (name, value) in written {
        let why = if name == "PORT" || name.starts_with("CUTOVER_") {
            Some(("CUT0108", "is set by Cutover"))
        } else if name.is_empty()
            || name.starts_with(|c: char| c.is_ascii_digit())
            || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        {
            Some(("CUT0105", "is no name of a variable: letters, digits and underscores"))
        } else if value.get().contains('\0') {
            Some(("CUT0105", "has a NUL in its value"))
        } else {
            None
        };
        match (why, &mut env) {
            (Some((code, why)), _) => {
                trouble.add(code, value.span(), format!("`service.env`: {name:?} {why}"));
                env = None;
            }
            (None, Some(env)) => {
                env.insert(name.clone(), value.get().clone());
            }
            (None, None) => {}
        }
    }
    env
}

/// A path has one owner: a pattern that two services name, or one names twice, is a slip.
fn routes_once(written: &[At<Service>], trouble: &mut Trouble<'_>) {
    let mut seen: Vec<(&At<String>, &str)> = Vec::new();
    for service in written {
        let owner = service.get().name.as_ref().map_or("", |name| name.get().as_str());
        for route in service.get().routes.iter().flat_map(|routes| routes.get()) {
            match seen.iter().find(|(other, _)| other.get() == route.get()) {
                Some((first, other)) => {
                    let line = trouble.line(&first.span());
                    let message = format!(
                        "the route {:?} belongs to service `{other}` already, in line {line}",
                        route.get()
                    );
                    trouble.add("CUT0107", route.span(), message);
                }
                None => seen.push((route, owner)),
            }
        }
    }
}
