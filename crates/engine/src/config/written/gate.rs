//! `[[gate]]` as written.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::super::place::At;

/// A gate: a name and one of `http`, `run`, `compare`, `metrics`, `approval` and `load`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct Gate {
    /// Its name: lower-case letters, digits and dashes.
    #[schemars(required)]
    pub(in super::super) name: Option<At<String>>,
    /// A request to the release and the answer it must give.
    pub(in super::super) http: Option<At<HttpGate>>,
    /// A command that must exit 0, run in the directory of this file.
    pub(in super::super) run: Option<At<String>>,
    /// The longest the command may take; `10m` where nothing is said.
    pub(in super::super) timeout: Option<At<String>>,
    /// The JUnit XML that the command writes: a glob relative to the directory of this file.
    pub(in super::super) junit: Option<At<String>>,
    /// The JMeter results (JTL) that the command writes: a glob relative to the directory of this file.
    pub(in super::super) jtl: Option<At<String>>,
    /// The part of the tests or samples in `junit` or `jtl` that may fail, e.g. `1%`; `0%` where nothing is said.
    pub(in super::super) max_failed: Option<At<String>>,
    /// Visitors of the new release compared with those of the old one.
    pub(in super::super) compare: Option<At<CompareGate>>,
    /// A number within limits, from the edge or from Prometheus.
    pub(in super::super) metrics: Option<At<MetricsGate>>,
    /// A person agrees.
    pub(in super::super) approval: Option<At<ApprovalGate>>,
    /// Requests made by Cutover, to warm the release and to see how it bears them.
    pub(in super::super) load: Option<At<LoadGate>>,
    /// When it runs: `before` visitors come, at all `steps`, at one step such as `5%` or an audience, in the `bake`.
    pub(in super::super) at: Option<At<Vec<At<String>>>>,
    /// What it does with too little evidence when a hold is over; what `[rollout]` says where nothing is said.
    pub(in super::super) low_traffic: Option<At<String>>,
    /// Whether a rollout stops when it does not pass; true where nothing is said.
    pub(in super::super) required: Option<bool>,
}

/// A request and the answer it must get.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct HttpGate {
    /// Path and query.
    #[schemars(required)]
    pub(in super::super) path: Option<At<String>>,
    /// Status of the answer; 200 where nothing is said.
    #[schemars(range(min = 100, max = 599))]
    pub(in super::super) status: Option<At<i64>>,
    /// Text the body must contain.
    pub(in super::super) body_contains: Option<At<String>>,
    /// Headers of the request.
    #[serde(default)]
    pub(in super::super) headers: BTreeMap<String, At<String>>,
    /// Headers the answer must have, with the text each must contain; an empty text: it only has to be there.
    #[serde(default)]
    pub(in super::super) response_headers: BTreeMap<String, At<String>>,
    /// The longest it may take to the last byte, e.g. `500ms`.
    pub(in super::super) max_latency: Option<At<String>>,
}

/// Visitors of the new release compared with those of the old one over the same time.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct CompareGate {
    /// What visitors are counted by.
    #[schemars(required)]
    pub(in super::super) metric: Option<At<Measure>>,
    /// How much worse is too much: percentage points of visitors such as `1%`, or a factor such as `1.5x`.
    #[schemars(required)]
    pub(in super::super) worse_by: Option<At<String>>,
    /// Fewer visitors of the new release in all windows together never pass; 100 where nothing is said.
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub(in super::super) min_visitors: Option<At<i64>>,
    /// The chance of ever failing a release that is no worse; `1%` where nothing is said.
    pub(in super::super) false_alarms: Option<At<String>>,
    /// The chance of ever passing a release that is worse by `worse_by`; `5%` where nothing is said.
    pub(in super::super) missed: Option<At<String>>,
}

/// What visitors are counted by.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in super::super) enum Measure {
    /// Visitors to whom a request failed: 5xx, and services that did not answer.
    Errors,
    /// Visitors who got an answer slower than `rollout.slow`.
    Slow,
}

/// A number within limits: `edge`, or `prometheus` and `query`; `max`, `min` or both.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct MetricsGate {
    /// A number the edge knows about the new release.
    pub(in super::super) edge: Option<At<EdgeMetric>>,
    /// Address of a Prometheus, `http://host:port`.
    pub(in super::super) prometheus: Option<At<String>>,
    /// The query it is asked; `{{release}}`, `{{blue}}` and `{{window}}` are replaced.
    pub(in super::super) query: Option<At<String>>,
    /// Below this it fails.
    pub(in super::super) min: Option<At<f64>>,
    /// Above this it fails.
    pub(in super::super) max: Option<At<f64>>,
    /// Over how long the number is taken; `1m` where nothing is said.
    pub(in super::super) window: Option<At<String>>,
}

/// A number the edge knows about a release.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in super::super) enum EdgeMetric {
    /// The part of the requests that failed, 0 to 1.
    ErrorRate,
    /// Half of the answers are faster, in seconds.
    P50,
    /// 95 % of the answers are faster, in seconds.
    P95,
    /// 99 % of the answers are faster, in seconds.
    P99,
    /// Requests per second.
    Requests,
}

/// A person agrees. Must say `at`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct ApprovalGate {
    /// What the person is told.
    pub(in super::super) message: Option<At<String>>,
    /// No answer for this long is a no; it waits for ever where nothing is said.
    pub(in super::super) timeout: Option<At<String>>,
}

/// Requests made by Cutover.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct LoadGate {
    /// Paths and queries, asked for in turns.
    #[schemars(required)]
    pub(in super::super) paths: Option<At<Vec<At<String>>>>,
    /// Requests per second, in all; 50 where nothing is said.
    #[schemars(range(min = 1, max = 10_000))]
    pub(in super::super) rate: Option<At<i64>>,
    /// For how long; `10s` where nothing is said, `10m` at most.
    pub(in super::super) duration: Option<At<String>>,
    /// Requests at the same time, at most; 50 where nothing is said.
    #[schemars(range(min = 1, max = 1_000))]
    pub(in super::super) concurrency: Option<At<i64>>,
    /// The part of the requests that may fail; `0%` where nothing is said.
    pub(in super::super) max_errors: Option<At<String>>,
    /// 95 % of the answers must be faster, e.g. `300ms`.
    pub(in super::super) max_p95: Option<At<String>>,
}
