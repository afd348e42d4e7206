//! Gates as meant: what is checked on a release, when, and what follows where there is too little evidence.
//!
//! Releases keep their gates; what an older version of Cutover stored is still read.

use std::{collections::BTreeMap, fmt, time::Duration};

use cutover_rollout::To;
use serde::{Deserialize, Serialize};

use super::{super::duration, rollout::LowTraffic, rollout::is_default};

/// A check on a release.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Gate {
    /// Its name, unique.
    pub name: String,
    /// What is checked.
    pub kind: GateKind,
    /// Whether a rollout stops when it does not pass.
    pub required: bool,
    /// When it runs; at least one place, none twice.
    #[serde(default = "before", skip_serializing_if = "is_before")]
    pub at: Vec<GateAt>,
    /// What it does with too little evidence; none: what the rollout says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub low_traffic: Option<LowTraffic>,
}

impl Gate {
    /// A required gate where its kind stands by default.
    pub fn new(name: impl Into<String>, kind: GateKind) -> Self {
        let at = kind.default_at();
        Self { name: name.into(), kind, required: true, at, low_traffic: None }
    }
}

fn before() -> Vec<GateAt> {
    vec![GateAt::BeforeTraffic]
}

fn is_before(at: &[GateAt]) -> bool {
    at == [GateAt::BeforeTraffic]
}

/// When a gate runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GateAt {
    /// Before any visitor reaches the release.
    BeforeTraffic,
    /// At every move.
    EveryStep,
    /// At one move.
    Step(To),
    /// In the bake.
    Bake,
}

impl fmt::Display for GateAt {
    /// As it is written.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BeforeTraffic => f.write_str("before"),
            Self::EveryStep => f.write_str("steps"),
            Self::Step(to) => to.fmt(f),
            Self::Bake => f.write_str("bake"),
        }
    }
}

/// What a gate checks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GateKind {
    /// One request through the edge to the release, by preview token.
    Http {
        /// Path and query, starting with `/`.
        path: String,
        /// The status it must answer.
        status: u16,
        /// Text its body must contain.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        body_contains: Option<String>,
        /// Headers of the request.
        #[serde(default)]
        headers: BTreeMap<String, String>,
        /// Headers of the answer, by lower-case name: the text each must contain; empty: it must be there.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        response_headers: BTreeMap<String, String>,
        /// The longest it may take to the last byte.
        #[serde(default, with = "duration::serde_text_option", skip_serializing_if = "Option::is_none")]
        max_latency: Option<Duration>,
    },
    /// A command that must exit 0.
    Run {
        /// Shell command, run in the directory of the app description.
        command: String,
        /// The longest it may take.
        #[serde(with = "duration::serde_text")]
        timeout: Duration,
        /// Glob of the JUnit XML files it writes, relative to the directory of the app description.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        junit: Option<String>,
        /// Glob of the JMeter result files (JTL) it writes, relative to the directory of the app description.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        jtl: Option<String>,
        /// The part of the tests or samples in them that may fail, 0 to 1. Without a file it means nothing.
        #[serde(default, skip_serializing_if = "is_default")]
        max_failed: f64,
    },
    /// Green's visitors compared with blue's over the same time.
    Compare(CompareGate),
    /// A number from somewhere, within limits.
    Metrics(MetricsGate),
    /// A person agrees.
    Approval(ApprovalGate),
    /// Requests made by Cutover itself, to warm the release and to see how it bears them.
    Load(LoadGate),
}

/// Green's visitors compared with blue's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CompareGate {
    /// What is counted.
    #[serde(rename = "metric")]
    pub measure: Measure,
    /// The margin, as [`cutover_rollout::judge::Margin::worse_by`] reads it: `1%` or `1.5x`.
    pub worse_by: String,
    /// Fewer visitor-windows of green never pass.
    pub min_visitors: u64,
    /// The chance of ever failing a release that is no worse: alpha.
    pub false_alarms: f64,
    /// The chance of ever passing a release that is worse by the margin: beta.
    pub missed: f64,
}

/// What a comparison counts visitors by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Measure {
    /// To whom a request failed (5xx, failures of services).
    Errors,
    /// Who got an answer slower than `rollout.slow`.
    Slow,
}

/// A number within limits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MetricsGate {
    /// Where it comes from.
    pub source: MetricsSource,
    /// Below this it fails. At least one of `min` and `max` is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    /// Above this it fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    /// Over how long a time the number is taken.
    #[serde(with = "duration::serde_text")]
    pub window: Duration,
}

/// Where a number comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MetricsSource {
    /// The edge's own count of green's requests.
    Edge {
        /// Which number.
        metric: EdgeMetric,
    },
    /// An instant query to a Prometheus.
    Prometheus {
        /// Its address, `http://`, without a slash at the end.
        url: String,
        /// The query; `{{release}}`, `{{blue}}` and `{{window}}` are replaced in it.
        query: String,
    },
}

/// What an edge knows about a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EdgeMetric {
    /// The part of its requests that failed, 0 to 1.
    ErrorRate,
    /// Half of its answers are faster, seconds.
    P50,
    /// 95 % of its answers are faster, seconds.
    P95,
    /// 99 % of its answers are faster, seconds.
    P99,
    /// Requests per second.
    Requests,
}

/// A person agrees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalGate {
    /// What the person is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// No answer for this long is a no; none: it waits.
    #[serde(default, with = "duration::serde_text_option", skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
}

/// Requests made by Cutover itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LoadGate {
    /// Paths and queries asked for in turns; at least one.
    pub paths: Vec<String>,
    /// Requests per second, in all.
    pub rate: u32,
    /// For how long.
    #[serde(with = "duration::serde_text")]
    pub duration: Duration,
    /// Requests at the same time, at most.
    pub concurrency: u32,
    /// The part of the requests that may fail, 0 to 1.
    pub max_errors: f64,
    /// 95 % of the answers must be faster.
    #[serde(default, with = "duration::serde_text_option", skip_serializing_if = "Option::is_none")]
    pub max_p95: Option<Duration>,
}

/// The sorts of gates, without what they check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sort {
    Http,
    Run,
    Compare,
    Metrics,
    Approval,
    Load,
}

impl Sort {
    /// The key it is written with.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Run => "run",
            Self::Compare => "compare",
            Self::Metrics => "metrics",
            Self::Approval => "approval",
            Self::Load => "load",
        }
    }

    /// Whether it is judged all through a hold instead of being run once.
    pub(crate) fn watched(self) -> bool {
        matches!(self, Self::Compare | Self::Metrics)
    }

    /// When it runs where nothing is said; nothing for an approval, which must say.
    pub(crate) fn default_at(self) -> Vec<GateAt> {
        match self {
            Self::Http | Self::Run | Self::Load => before(),
            Self::Compare | Self::Metrics => vec![GateAt::EveryStep, GateAt::Bake],
            Self::Approval => Vec::new(),
        }
    }
}

impl GateKind {
    /// Whether it is judged all through a hold instead of being run once.
    pub fn watched(&self) -> bool {
        self.sort().watched()
    }

    /// When it runs where nothing is said; nothing for an approval, which must say.
    pub fn default_at(&self) -> Vec<GateAt> {
        self.sort().default_at()
    }

    /// The key it is written with.
    pub fn word(&self) -> &'static str {
        self.sort().word()
    }

    pub(crate) fn sort(&self) -> Sort {
        match self {
            Self::Http { .. } => Sort::Http,
            Self::Run { .. } => Sort::Run,
            Self::Compare(_) => Sort::Compare,
            Self::Metrics(_) => Sort::Metrics,
            Self::Approval(_) => Sort::Approval,
            Self::Load(_) => Sort::Load,
        }
    }
}
