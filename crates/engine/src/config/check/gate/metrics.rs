//! Gates that hold a number against limits.

use std::time::Duration;

use super::super::{
    super::{
        meant::{EdgeMetric, MetricsGate, MetricsSource},
        place::{At, Trouble},
        written,
    },
    service::is_authority,
    text,
};

const DEFAULT_WINDOW: Duration = Duration::from_secs(60);
const LONGEST_WINDOW: Duration = Duration::from_secs(86_400);
const LONGEST_QUERY: usize = 8_192;

pub(super) fn check(written: &At<written::MetricsGate>, trouble: &mut Trouble<'_>) -> Option<MetricsGate> {
    let metrics = written.get();
    let source = source(written, trouble);
    let limits = limits(written, trouble);
    let window = text::time_or(
        "gate.metrics.window",
        metrics.window.as_ref(),
        DEFAULT_WINDOW,
        LONGEST_WINDOW,
        trouble,
    );
    let (min, max) = limits?;
    Some(MetricsGate { source: source?, min, max, window: window? })
}

fn source(written: &At<written::MetricsGate>, trouble: &mut Trouble<'_>) -> Option<MetricsSource> {
    let metrics = written.get();
    match (&metrics.edge, &metrics.prometheus, &metrics.query) {
        (Some(edge), None, None) => Some(MetricsSource::Edge {
            metric: match edge.get() {
                written::EdgeMetric::ErrorRate => EdgeMetric::ErrorRate,
                written::EdgeMetric::P50 => EdgeMetric::P50,
                written::EdgeMetric::P95 => EdgeMetric::P95,
                written::EdgeMetric::P99 => EdgeMetric::P99,
                written::EdgeMetric::Requests => EdgeMetric::Requests,
            },
        }),
        (None, Some(url), Some(query)) => {
            let url = prometheus(url, trouble);
            let query = self::query(query, trouble);
            Some(MetricsSource::Prometheus { url: url?, query: query? })
        }
        (Some(_), Some(other), _) | (Some(_), None, Some(other)) => {
            let hint = "write two gates; both have to pass";
            let message = "a metrics gate asks either the `edge` or a `prometheus` with a `query`";
            trouble.add_hint("CUT0107", other.span(), message, hint);
            None
        }
        (None, Some(url), None) => {
            let hint = "add `query = \"...\"`, a PromQL expression with one number as its result";
            trouble.add_hint(
                "CUT0104",
                url.span(),
                "the metrics gate does not say what to ask Prometheus",
                hint,
            );
            None
        }
        (None, None, Some(query)) => {
            let hint = "add `prometheus = \"http://127.0.0.1:9090\"`";
            trouble.add_hint(
                "CUT0104",
                query.span(),
                "the metrics gate does not say which Prometheus to ask",
                hint,
            );
            None
        }
        (None, None, None) => {
            if !trouble.was_cut(&written.span()) {
                let hint =
                    "add `edge = \"error_rate\"` (or p50, p95, p99, requests), or `prometheus` and `query`";
                trouble.add_hint("CUT0104", written.span(), "the metrics gate names no metric", hint);
            }
            None
        }
    }
}

/// `http://host:port` or `https://host:port`, and perhaps a path below which the API is.
fn prometheus(written: &At<String>, trouble: &mut Trouble<'_>) -> Option<String> {
    let key = "gate.metrics.prometheus";
    let text = written.get().trim();
    let schemes = [("https://", "443"), ("http://", "80")];
    let scheme = schemes.iter().find_map(|(scheme, port)| Some((*scheme, *port, text.strip_prefix(scheme)?)));
    let why = if let Some((scheme, usual, rest)) = scheme {
        let rest = rest.trim_end_matches('/');
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (bare, port) = match host.rsplit_once(':') {
            Some((bare, port)) if !port.ends_with(']') => (bare, port),
            _ => (host, usual),
        };
        let plain = |b: u8| b.is_ascii_graphic() && !matches!(b, b'?' | b'#' | b'@' | b'\\');
        if is_authority(&format!("{bare}:{port}")) && path.bytes().all(plain) {
            return Some(format!("{scheme}{}", if path.is_empty() { host } else { rest }));
        }
        "is no address"
    } else {
        "has no http:// or https:// in front"
    };
    let hint = "write scheme, host and port, such as \"http://127.0.0.1:9090\"";
    trouble.add_hint("CUT0105", written.span(), format!("`{key}` {why}: {text:?}"), hint);
    None
}

/// A query, of which every `{{name}}` is one that is replaced.
fn query(written: &At<String>, trouble: &mut Trouble<'_>) -> Option<String> {
    let query = text::line("gate.metrics.query", written, LONGEST_QUERY, trouble)?;
    for (at, _) in query.match_indices("{{") {
        let after = query.get(at + 2..).unwrap_or_default();
        let name = after.split("}}").next().unwrap_or_default();
        if matches!(name, "release" | "blue" | "window") {
            continue;
        }
        let shown: String = name.chars().take(30).collect();
        let message = format!("`gate.metrics.query` has {{{{{shown}}}}}, which nothing is known for");
        let hint = "what is replaced is {{release}}, {{blue}} and {{window}}";
        trouble.add_hint("CUT0105", trouble.part(written, at..at + 2), message, hint);
        return None;
    }
    Some(query)
}

type Limits = (Option<f64>, Option<f64>);

fn limits(written: &At<written::MetricsGate>, trouble: &mut Trouble<'_>) -> Option<Limits> {
    let metrics = written.get();
    let (min, max) = (metrics.min.as_ref(), metrics.max.as_ref());
    if min.is_none() && max.is_none() {
        let of_something = metrics.edge.is_some() || metrics.prometheus.is_some() || metrics.query.is_some();
        if of_something && !trouble.was_cut(&written.span()) {
            let hint = "add `max = ...`, `min = ...` or both";
            trouble.add_hint("CUT0104", written.span(), "the metrics gate has no limit", hint);
        }
        return None;
    }
    let mut sound = true;
    for (key, limit) in [("min", min), ("max", max)] {
        let Some(limit) = limit else { continue };
        if let Some(why) = impossible(metrics.edge.as_ref().map(At::get), *limit.get()) {
            let message = format!("`gate.metrics.{key}` {why}, found {}", limit.get());
            trouble.add("CUT0105", limit.span(), message);
            sound = false;
        }
    }
    if let (Some(min), Some(max)) = (min, max)
        && sound
        && min.get() > max.get()
    {
        let message = format!("`min` ({}) is above `max` ({}): nothing could pass", min.get(), max.get());
        trouble.add("CUT0107", min.span(), message);
        sound = false;
    }
    sound.then(|| (min.map(|limit| *limit.get()), max.map(|limit| *limit.get())))
}

/// What a limit of a metric of the edge cannot be.
fn impossible(metric: Option<&written::EdgeMetric>, limit: f64) -> Option<&'static str> {
    use written::EdgeMetric::{ErrorRate, P50, P95, P99, Requests};
    match metric {
        _ if !limit.is_finite() => Some("must be a number"),
        Some(_) if limit < 0.0 => Some("cannot be below zero"),
        Some(ErrorRate) if limit > 1.0 => Some("is a part of the requests, 0.01 for 1%, and at most 1"),
        Some(P50 | P95 | P99) if limit > 600.0 => {
            Some("is in seconds, 0.5 for half a second, and at most 600")
        }
        Some(ErrorRate | P50 | P95 | P99 | Requests) | None => None,
    }
}
