//! The counters as Prometheus text (exposition format 0.0.4).

use std::{
    fmt::Write,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use crate::{
    latency,
    stats::{BUCKETS, CLASSES, KINDS, Level, ReleaseStats, WHO},
    worker::Shared,
};

/// Upper bounds of the visitors' histogram, in microseconds: bounds of the finer one that is kept, two doublings apart.
const ANSWER_BOUNDS: [u64; 11] =
    [64, 256, 1 << 10, 1 << 12, 1 << 14, 1 << 16, 1 << 18, 1 << 20, 1 << 22, 1 << 24, 1 << 26];

/// Everything this edge counts.
pub(crate) fn text(shared: &Shared) -> String {
    let mut out = String::with_capacity(16 * 1024);
    // Writing to a string does not fail.
    let _ = write(shared, &mut out);
    out
}

fn write(shared: &Shared, out: &mut String) -> std::fmt::Result {
    let stats = &shared.stats;
    let live = shared.live.load();
    let mut all: Vec<(String, Arc<ReleaseStats>)> = vec![("none".to_owned(), Arc::clone(&stats.none))];
    all.extend(stats.all().into_iter().map(|(id, stats)| (id.to_string(), stats)));

    head(
        out,
        "cutover_requests_total",
        "counter",
        "Requests answered, by release, component, who asked, kind and status class.",
    )?;
    for (release, stats) in &all {
        for (component, name) in stats.components.iter().enumerate() {
            for (who, who_name) in WHO.iter().enumerate() {
                for (kind, kind_name) in KINDS.iter().enumerate() {
                    for (class, class_name) in CLASSES.iter().enumerate() {
                        let count = stats.requests(component, who, kind, class);
                        if count != 0 {
                            writeln!(
                                out,
                                "cutover_requests_total{{release=\"{release}\",component=\"{name}\",who=\"{who_name}\",kind=\"{kind_name}\",class=\"{class_name}\"}} {count}"
                            )?;
                        }
                    }
                }
            }
        }
    }
    head(
        out,
        "cutover_request_duration_seconds",
        "histogram",
        "Time from the head of a request to the end of its answer; streams left out.",
    )?;
    for (release, stats) in &all {
        let mut count = 0;
        for (bucket, (_, bound)) in BUCKETS.iter().enumerate() {
            count += stats.sum(|shard| shard.latency[bucket].get());
            writeln!(
                out,
                "cutover_request_duration_seconds_bucket{{release=\"{release}\",le=\"{bound}\"}} {count}"
            )?;
        }
        count += stats.sum(|shard| shard.latency[BUCKETS.len()].get());
        let seconds = stats.sum(|shard| shard.latency_sum_us.get()) as f64 / 1e6;
        writeln!(
            out,
            "cutover_request_duration_seconds_bucket{{release=\"{release}\",le=\"+Inf\"}} {count}"
        )?;
        writeln!(out, "cutover_request_duration_seconds_sum{{release=\"{release}\"}} {seconds}")?;
        writeln!(out, "cutover_request_duration_seconds_count{{release=\"{release}\"}} {count}")?;
    }
    head(
        out,
        "cutover_visitor_answer_seconds",
        "histogram",
        "Time from the head of a visitor's request to the head of its answer; streams, previews and known bots left out.",
    )?;
    for (release, stats) in &all {
        let (totals, sum_us) = stats.answers();
        for bound in ANSWER_BOUNDS {
            let count: u64 = totals.counts[..latency::bucket(bound)].iter().sum();
            let seconds = bound as f64 / 1e6;
            writeln!(
                out,
                "cutover_visitor_answer_seconds_bucket{{release=\"{release}\",le=\"{seconds}\"}} {count}"
            )?;
        }
        let (count, sum) = (totals.timed(), sum_us as f64 / 1e6);
        writeln!(out, "cutover_visitor_answer_seconds_bucket{{release=\"{release}\",le=\"+Inf\"}} {count}")?;
        writeln!(out, "cutover_visitor_answer_seconds_sum{{release=\"{release}\"}} {sum}")?;
        writeln!(out, "cutover_visitor_answer_seconds_count{{release=\"{release}\"}} {count}")?;
    }
    type Reads = fn(&ReleaseStats) -> u64;
    let per_release: [(&str, &str, &str, Reads); 6] = [
        (
            "cutover_visitor_failures_total",
            "counter",
            "Requests of visitors that failed by the release.",
            |s| s.answers().0.errors,
        ),
        ("cutover_requests_in_flight", "gauge", "Requests being answered now, open streams left out.", |s| {
            s.level(|shard| shard.in_flight.get())
        }),
        ("cutover_open_streams", "gauge", "WebSockets and event streams open now.", |s| {
            s.level(|shard| shard.open_streams.get())
        }),
        ("cutover_pins_set_total", "counter", "Pins given to visitors.", |s| {
            s.sum(|shard| shard.pins_set.get())
        }),
        (
            "cutover_pins_moved_total",
            "counter",
            "Pins given to visitors who had one of another release.",
            |s| s.sum(|shard| shard.pins_moved.get()),
        ),
        (
            "cutover_stale_total",
            "counter",
            "Answers to pages of a release that is not served any more.",
            |s| s.sum(|shard| shard.stale.get()),
        ),
    ];
    for (name, kind, help, read) in per_release {
        head(out, name, kind, help)?;
        for (release, stats) in &all {
            writeln!(out, "{name}{{release=\"{release}\"}} {}", read(stats))?;
        }
    }
    head(out, "cutover_component_healthy", "gauge", "1 where a service of a release can serve.")?;
    for release in live.releases.values() {
        for service in &release.services {
            let healthy = u8::from(service.upstream.healthy());
            writeln!(
                out,
                "cutover_component_healthy{{release=\"{}\",component=\"{}\"}} {healthy}",
                release.id, service.name
            )?;
        }
    }
    head(out, "cutover_release_state", "gauge", "1 for the state each release of the table is in.")?;
    for (release, entry) in &live.table.releases {
        writeln!(out, "cutover_release_state{{release=\"{release}\",state=\"{}\"}} 1", entry.state)?;
    }
    let connections: i64 = stats.connections.iter().map(Level::get).sum();
    let plain = [
        (
            "cutover_table_generation",
            "gauge",
            "Generation of the routing table in force.",
            live.table.generation,
        ),
        (
            "cutover_connections",
            "gauge",
            "Connections of visitors open now.",
            u64::try_from(connections).unwrap_or(0),
        ),
        (
            "cutover_publications_refused_total",
            "counter",
            "Publications this edge would not serve.",
            stats.nacks.load(Relaxed),
        ),
        (
            "cutover_publications_conflicting_total",
            "counter",
            "Publications refused because their generation was in force with another table.",
            stats.conflicts.load(Relaxed),
        ),
        (
            "cutover_last_good_failures_total",
            "counter",
            "Times the last good state could not be written or read.",
            stats.last_good_failures.load(Relaxed),
        ),
        (
            "cutover_tls_reload_failures_total",
            "counter",
            "Certificates that could not be used.",
            stats.tls_failures.load(Relaxed),
        ),
        (
            "cutover_access_log_dropped_total",
            "counter",
            "Access log lines dropped because the log was too slow.",
            stats.log_dropped.load(Relaxed),
        ),
    ];
    for (name, kind, help, value) in plain {
        head(out, name, kind, help)?;
        writeln!(out, "{name} {value}")?;
    }
    Ok(())
}

fn head(out: &mut String, name: &str, kind: &str, help: &str) -> std::fmt::Result {
    writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}")
}
