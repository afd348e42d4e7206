//! What the edge counts, and what Prometheus says, as evidence.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex},
    time::Duration,
};

use cutover_edge::{LatencyTotals, WatchOptions};
use cutover_engine::{
    config::{EdgeMetric, Gate, GateKind, LowTraffic, MetricsGate, MetricsSource},
    ports::{Compared, Probe, Rules, Sampled, Visited},
    rollout::{
        Millis, Reading,
        judge::{Arm, Verdict},
    },
};
use cutover_routing::ReleaseId;

use super::{Home, examiner::verdict};
use crate::{
    controller::{Inner, locked, missing, unix_ms},
    gates::{metrics, prometheus, synthetic},
};

/// The longest a metrics source may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Made-up visitors in each window.
const MADE_UP: u32 = 40;

/// Paths each of them asks for, at most.
const PATHS: usize = 8;

/// The edge and the metrics it is asked for.
#[derive(Debug)]
pub(in super::super) struct EdgeProbe {
    home: Home,
    state: Mutex<Watching>,
}

#[derive(Debug, Default)]
struct Watching {
    compared: Option<Compared>,
    /// What the releases had answered at some moments, oldest first.
    totals: BTreeMap<ReleaseId, VecDeque<(u64, LatencyTotals)>>,
    /// Made-up visitors so far.
    made_up: u64,
}

impl EdgeProbe {
    pub(super) fn new(home: Home) -> Self {
        Self { home, state: Mutex::default() }
    }
}

impl Probe for EdgeProbe {
    async fn watch(&self, compared: Option<&Compared>) {
        let Some(inner) = self.home.inner() else { return };
        let mut state = locked(&self.state);
        if state.compared.as_ref() == compared {
            return;
        }
        *state = Watching { compared: compared.cloned(), ..Watching::default() };
        let options = compared.and_then(|compared| {
            let slow_over = Duration::from_millis(compared.slow_over.0);
            Some(WatchOptions { slow_over, releases: [compared.blue?, compared.green] })
        });
        inner.edge.watch(options);
        if let Some(compared) = compared {
            let now = (unix_ms(), inner.edge.latency(&compared.green));
            state.totals.insert(compared.green, VecDeque::from([now]));
        }
    }

    async fn sample(&self) -> Option<Sampled> {
        let inner = self.home.inner()?;
        let compared = locked(&self.state).compared.clone()?;
        let blue = compared.blue?;
        let edge = inner.edge.clone();
        let window = tokio::task::spawn_blocking(move || edge.take_window()).await.ok()?;
        let arm = |release: ReleaseId| match release {
            one if one == compared.green => Some(Arm::Green),
            one if one == blue => Some(Arm::Blue),
            _ => None,
        };
        let mut visits: Vec<Visited> = window
            .visits
            .iter()
            .filter_map(|visit| {
                Some(Visited {
                    arm: arm(visit.release)?,
                    visitor: visit.visitor,
                    requests: visit.requests,
                    failed: visit.failed,
                    slow: visit.slow,
                })
            })
            .collect();
        let seen = |arm: Arm| visits.iter().any(|visit| visit.arm == arm);
        let synthetic = compared.synthetic && !(seen(Arm::Green) && seen(Arm::Blue));
        if synthetic {
            let first = {
                let mut state = locked(&self.state);
                state.made_up += u64::from(MADE_UP);
                state.made_up - u64::from(MADE_UP)
            };
            match inner.made_up(&compared, blue, first).await {
                Ok(made_up) => visits.extend(made_up),
                Err(why) => tracing::warn!(why, "made-up visitors"),
            }
        }
        Some(Sampled { from: window.from, to: window.to, complete: window.complete, visits, synthetic })
    }

    async fn measure(&self, gate: &Gate, compared: &Compared) -> Reading {
        let (verdict, why) = match (self.home.inner(), &gate.kind) {
            (Some(inner), GateKind::Metrics(metrics)) => self.read(&inner, metrics, compared).await,
            (Some(_), _) => (Verdict::Error, "it is no gate of metrics".to_owned()),
            (None, _) => (Verdict::Error, "the program is ending".to_owned()),
        };
        Reading { gate: gate.name.clone(), verdict, why, age: 0 }
    }

    async fn rules(&self, green: &ReleaseId) -> Option<Rules> {
        let loaded = self.home.inner()?.load(green).await.ok()?;
        let rollout = &loaded.snapshot.rollout;
        let gates = loaded.snapshot.gates.clone();
        let made_up = |gate: &Gate| gate.low_traffic.unwrap_or(rollout.low_traffic) == LowTraffic::Synthetic;
        let synthetic = gates.iter().any(|gate| gate.kind.watched() && made_up(gate));
        Some(Rules { slow_over: millis(rollout.slow), synthetic, gates })
    }
}

impl EdgeProbe {
    async fn read(&self, inner: &Inner, gate: &MetricsGate, compared: &Compared) -> (Verdict, String) {
        match &gate.source {
            MetricsSource::Edge { metric } => {
                let Some((over, totals)) = self.difference(inner, &compared.green, gate.window) else {
                    return (Verdict::Insufficient, "nothing was measured yet".to_owned());
                };
                let seconds = |time: Option<Duration>| time.map(|time| time.as_secs_f64());
                let value = match metric {
                    EdgeMetric::ErrorRate => totals.error_rate(),
                    EdgeMetric::P50 => seconds(totals.quantile(0.50)),
                    EdgeMetric::P95 => seconds(totals.quantile(0.95)),
                    EdgeMetric::P99 => seconds(totals.quantile(0.99)),
                    EdgeMetric::Requests => Some(totals.requests as f64 / over.as_secs_f64().max(0.001)),
                };
                let Some(value) = value else {
                    let why = format!("no request in the last {}", millis(over));
                    return (Verdict::Insufficient, why);
                };
                let found = metrics::judge(gate.min, gate.max, value);
                let why = format!("{}, over {} and {} requests", found.detail, millis(over), totals.requests);
                (verdict(found.verdict), why)
            }
            MetricsSource::Prometheus { url, query } => {
                let blue = compared.blue.map(|blue| blue.to_string());
                let names = prometheus::Names {
                    release: compared.green.as_str(),
                    blue: blue.as_deref(),
                    window: gate.window,
                };
                let asked = match prometheus::fill(query, &names) {
                    Ok(query) => prometheus::instant(url, &query, PATIENCE).await,
                    Err(why) => Err(why),
                };
                match asked {
                    Ok(found) => {
                        let found = metrics::judge(gate.min, gate.max, found.value);
                        (verdict(found.verdict), found.detail)
                    }
                    Err(why) => (Verdict::Error, why.to_string()),
                }
            }
        }
    }

    /// What green has answered in the window, or since it is watched where that is shorter; and how long that was.
    fn difference(
        &self,
        inner: &Inner,
        green: &ReleaseId,
        window: Duration,
    ) -> Option<(Duration, LatencyTotals)> {
        let (now, totals) = (unix_ms(), inner.edge.latency(green));
        let mut state = locked(&self.state);
        let known = state.totals.entry(*green).or_default();
        known.push_back((now, totals.clone()));
        let begins = now.saturating_sub(millis(window).0);
        // The newest that is old enough is where the window begins; what was before it is of no more use.
        while known.len() > 2 && known.get(1).is_some_and(|(at, _)| *at <= begins) {
            known.pop_front();
        }
        let (at, first) = known.front().filter(|(at, _)| *at < now)?;
        Some((Duration::from_millis(now - at), totals.since(first)))
    }
}

fn millis(time: Duration) -> Millis {
    Millis(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

impl Inner {
    async fn made_up(
        self: &Arc<Self>,
        compared: &Compared,
        blue: ReleaseId,
        first: u64,
    ) -> Result<Vec<Visited>, String> {
        let target = async |id: ReleaseId| {
            let row = self.row(&id).ok_or_else(|| missing(&id))?;
            self.gate_target(&id, row.base).await
        };
        let green = target(compared.green).await.map_err(|error| error.to_string())?;
        let blue = target(blue).await.map_err(|error| error.to_string())?;
        let slow = Duration::from_millis(compared.slow_over.0);
        let paths = match self.load(&compared.green).await {
            Ok(loaded) => paths(&loaded.snapshot.gates),
            Err(error) => return Err(error.to_string()),
        };
        synthetic::visits(&green, &blue, &paths, first, MADE_UP, slow).await
    }
}

/// What made-up visitors ask for: the start page, and what the release's other gates ask for.
fn paths(gates: &[Gate]) -> Vec<String> {
    let asked = gates.iter().flat_map(|gate| match &gate.kind {
        GateKind::Http { path, .. } => vec![path.clone()],
        GateKind::Load(load) => load.paths.clone(),
        _ => Vec::new(),
    });
    let mut paths = vec!["/".to_owned()];
    for path in asked {
        if !paths.contains(&path) && paths.len() < PATHS {
            paths.push(path);
        }
    }
    paths
}
