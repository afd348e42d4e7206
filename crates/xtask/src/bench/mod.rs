//! The edge beside nginx, haproxy and its own raw foundation, in one interleaved run: `cargo xtask bench-edge`.
//!
//! CPU time per request is the figure to trust on a shared machine; requests per second and latency are printed too. Peers
//! get the duties the edge has: choose by the pin cookie, write an access log, count.

mod measure;
mod peers;

use std::{collections::BTreeMap, time::Duration};

use clap::Args;

use crate::Outcome;
use measure::Sample;
use peers::{Peer, Rig};

#[derive(Args)]
pub(crate) struct BenchArgs {
    /// Rounds; every peer runs once in each, in turning order
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds each peer is loaded in a round
    #[arg(long, default_value_t = 4)]
    seconds: u64,
    /// Connections of the load
    #[arg(long, default_value_t = 64)]
    connections: u32,
    /// Only these workloads, e.g. proxied-1k,static-1k
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Do not install missing peers
    #[arg(long)]
    no_install: bool,
}

/// One thing to ask for.
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    pub(crate) path: &'static str,
    /// Send the pin cookie.
    pub(crate) pinned: bool,
    /// Ask as a navigation does, so that the edge sets the pin.
    pub(crate) navigation: bool,
}

const WORKLOADS: &[Workload] = &[
    Workload { name: "proxied-1k", path: "/api/1k", pinned: true, navigation: false },
    Workload { name: "proxied-1k-new", path: "/api/1k.html", pinned: false, navigation: true },
    Workload { name: "static-1k", path: "/static/1k", pinned: true, navigation: false },
    Workload { name: "static-16k", path: "/static/16k", pinned: true, navigation: false },
];

pub(crate) fn run(args: &BenchArgs) -> Outcome {
    peers::require(!args.no_install)?;
    let rig = Rig::build()?;
    for line in rig.versions() {
        println!("{line}");
    }
    println!(
        "\n{} connections, {} rounds of {} s each, server on core 0, load and upstream on core 1\n",
        args.connections, args.rounds, args.seconds
    );
    for workload in WORKLOADS {
        if !args.only.is_empty() && !args.only.iter().any(|name| name == workload.name) {
            continue;
        }
        let mut samples: BTreeMap<&str, Vec<Sample>> = BTreeMap::new();
        let mut running: Vec<Peer> = rig.start_all()?;
        for peer in &running {
            peer.check(workload)?;
        }
        for round in 0..args.rounds {
            for turn in 0..running.len() {
                let peer = &running[(round + turn) % running.len()];
                let sample =
                    measure::load(peer, workload, args.connections, Duration::from_secs(args.seconds))?;
                samples.entry(peer.name).or_default().push(sample);
            }
        }
        running.clear();
        report(workload.name, &samples);
    }
    memory(&rig)?;
    decision()
}

/// What a decision costs, without anything around it.
fn decision() -> Outcome {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    println!("\nthe decision alone");
    let status = std::process::Command::new(cargo)
        .args([
            "run",
            "--quiet",
            "--profile",
            "dist",
            "--locked",
            "-p",
            "cutover-routing",
            "--example",
            "decision-cost",
        ])
        .current_dir(crate::root())
        .status()
        .map_err(|e| format!("running decision-cost: {e}"))?;
    if status.success() { Ok(()) } else { Err(format!("decision-cost: {status}")) }
}

fn report(workload: &str, samples: &BTreeMap<&str, Vec<Sample>>) {
    println!("{workload}");
    println!(
        "  {:<10} {:>22} {:>10} {:>10} {:>22} {:>8}",
        "server", "CPU us/request", "of nginx", "of haproxy", "requests/s, p99 us", "failed"
    );
    let median = |name: &str| samples.get(name).map(|s| spread(s.iter().map(|s| s.cpu_us)).1);
    for (name, runs) in samples {
        let (low, middle, high) = spread(runs.iter().map(|s| s.cpu_us));
        let (_, rate, _) = spread(runs.iter().map(|s| s.rate));
        let (_, p99, _) = spread(runs.iter().map(|s| s.p99_us));
        let ratio = |peer: &str| median(peer).map_or("-".to_owned(), |m| format!("{:.2}x", middle / m));
        let failed: u64 = runs.iter().map(|s| s.failed).sum();
        println!(
            "  {name:<10} {:>22} {:>10} {:>10} {:>22} {failed:>8}",
            format!("{middle:.2} ({low:.2}-{high:.2})"),
            ratio("nginx"),
            ratio("haproxy"),
            format!("{rate:.0}, {p99:.0}"),
        );
    }
    println!();
}

/// Smallest, median, largest.
fn spread(values: impl Iterator<Item = f64>) -> (f64, f64, f64) {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    let at = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
    (at(0), at(sorted.len() / 2), at(sorted.len().saturating_sub(1)))
}

fn memory(rig: &Rig) -> Outcome {
    const IDLE: usize = 2000;
    println!("memory (PSS of the process tree) with {IDLE} idle connections");
    for peer in rig.start_all()? {
        let before = peer.memory_kib();
        let connections = measure::idle_connections(&peer, IDLE)?;
        let after = peer.memory_kib();
        #[allow(clippy::cast_precision_loss, reason = "KiB of a process are far below 2^52")]
        let each = (after.saturating_sub(before)) as f64 / IDLE as f64;
        println!("  {:<10} {before:>9} KiB -> {after:>9} KiB, {each:.1} KiB each", peer.name);
        drop(connections);
    }
    Ok(())
}
