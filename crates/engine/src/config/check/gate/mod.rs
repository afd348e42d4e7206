//! `[[gate]]`.

mod compare;
mod http;
mod load;
mod metrics;
mod place;

use std::time::Duration;

use super::{
    super::{
        Globs,
        meant::{ApprovalGate, Gate, GateKind, LowTraffic, RolloutConfig, Sort},
        place::{At, Trouble},
        written,
    },
    profile::Defaults,
    text, unique,
};

pub(super) use compare::of_profile;

const DEFAULT_RUN: Duration = Duration::from_secs(600);
const LONGEST_RUN: Duration = Duration::from_secs(86_400);
const LONGEST_APPROVAL: Duration = Duration::from_secs(30 * 86_400);

/// What gates stand in: the rollout, unless it is wrong itself, the audiences, and what the profile says.
pub(super) struct Around<'a> {
    pub(super) rollout: Option<&'a RolloutConfig>,
    pub(super) audiences: &'a [&'a str],
    pub(super) defaults: &'a Defaults,
}

pub(super) fn check(
    written: &[At<written::Gate>],
    around: &Around<'_>,
    trouble: &mut Trouble<'_>,
) -> Option<Vec<Gate>> {
    unique("gate", written.iter().filter_map(|gate| gate.get().name.as_ref()), trouble);
    let checked: Vec<_> = written.iter().map(|gate| one(gate, around, trouble)).collect();
    checked.into_iter().collect()
}

fn one(written: &At<written::Gate>, around: &Around<'_>, trouble: &mut Trouble<'_>) -> Option<Gate> {
    let gate = written.get();
    let name = gate.name.as_ref().and_then(|name| text::name("gate.name", name, trouble));
    // Only what was written is asked for its place; of a gate that is several, or none, nothing more is said.
    let kinds = [
        gate.http.as_ref().map(|kind| (Sort::Http, kind.span())),
        gate.run.as_ref().map(|kind| (Sort::Run, kind.span())),
        gate.compare.as_ref().map(|kind| (Sort::Compare, kind.span())),
        gate.metrics.as_ref().map(|kind| (Sort::Metrics, kind.span())),
        gate.approval.as_ref().map(|kind| (Sort::Approval, kind.span())),
        gate.load.as_ref().map(|kind| (Sort::Load, kind.span())),
    ];
    let mut kinds = kinds.into_iter().flatten();
    let Some((sort, _)) = kinds.next() else {
        if !trouble.was_cut(&written.span()) {
            let hint = "add `http` (a request to the release), `run` (a command), `compare` (with the old \
                        release), `metrics`, `approval` or `load`";
            trouble.add_hint("CUT0104", written.span(), "the gate does not say what it checks", hint);
        }
        return None;
    };
    if let Some((second, span)) = kinds.next() {
        let hint = "write two gates; both have to pass";
        trouble.add_hint(
            "CUT0107",
            span,
            format!("a gate has either `{}` or `{}`", sort.word(), second.word()),
            hint,
        );
        return None;
    }
    only_of_commands(gate, trouble);
    let kind = kind(gate, around, trouble);
    let low_traffic = low_traffic(gate, trouble);
    let at = place::check(written, sort, around, trouble);
    if let Some(policy) = gate.low_traffic.as_ref().filter(|_| !sort.watched()) {
        let message =
            format!("`low_traffic` means nothing for a `{}` gate, which needs no visitors", sort.word());
        trouble.add_hint("CUT0107", policy.span(), message, "it belongs to `compare` and `metrics` gates");
    }
    Some(Gate {
        name: name?,
        kind: kind?,
        required: gate.required.unwrap_or(true),
        at: at?,
        low_traffic: low_traffic?,
    })
}

fn kind(gate: &written::Gate, around: &Around<'_>, trouble: &mut Trouble<'_>) -> Option<GateKind> {
    if let Some(http) = &gate.http {
        http::check(http, trouble)
    } else if let Some(run) = &gate.run {
        command(gate, run, trouble)
    } else if let Some(compare) = &gate.compare {
        compare::check(compare, around, trouble).map(GateKind::Compare)
    } else if let Some(metrics) = &gate.metrics {
        metrics::check(metrics, trouble).map(GateKind::Metrics)
    } else if let Some(load) = &gate.load {
        load::check(load, trouble).map(GateKind::Load)
    } else {
        approval(gate.approval.as_ref()?, trouble)
    }
}

fn low_traffic(gate: &written::Gate, trouble: &mut Trouble<'_>) -> Option<Option<LowTraffic>> {
    match &gate.low_traffic {
        Some(written) => text::low_traffic("gate.low_traffic", written, trouble).map(Some),
        None => Some(None),
    }
}

/// Keys that stand beside `run`.
fn only_of_commands(gate: &written::Gate, trouble: &mut Trouble<'_>) {
    let keys = [
        ("timeout", &gate.timeout),
        ("junit", &gate.junit),
        ("jtl", &gate.jtl),
        ("max_failed", &gate.max_failed),
    ];
    for (key, written) in keys {
        let Some(written) = written.as_ref().filter(|_| gate.run.is_none()) else { continue };
        let message = format!("`{key}` belongs to `run` gates");
        let hint = if gate.http.is_some() {
            "say how long the answer may take with `http = { path = ..., max_latency = ... }`"
        } else {
            "say it inside the gate's own table, such as `approval = { timeout = ... }` or `load = { ... }`"
        };
        match key {
            "timeout" => trouble.add_hint("CUT0107", written.span(), message, hint),
            _ => trouble.add("CUT0107", written.span(), message),
        }
    }
    if let (Some(max_failed), Some(_), None, None) = (&gate.max_failed, &gate.run, &gate.junit, &gate.jtl) {
        let hint = "name the results that are counted with `junit` or `jtl`; a command alone passes with exit code 0";
        trouble.add_hint("CUT0107", max_failed.span(), "`max_failed` has nothing to count", hint);
    }
}

fn command(gate: &written::Gate, run: &At<String>, trouble: &mut Trouble<'_>) -> Option<GateKind> {
    let command = text::line("gate.run", run, 16_384, trouble);
    let timeout = text::time_or("gate.timeout", gate.timeout.as_ref(), DEFAULT_RUN, LONGEST_RUN, trouble);
    let junit = results("gate.junit", gate.junit.as_ref(), trouble);
    let jtl = results("gate.jtl", gate.jtl.as_ref(), trouble);
    let max_failed = match &gate.max_failed {
        Some(written) => text::percent("gate.max_failed", written, 0.0..=100.0, trouble),
        None => Some(0.0),
    };
    Some(GateKind::Run {
        command: command?,
        timeout: timeout?,
        junit: junit?,
        jtl: jtl?,
        max_failed: max_failed?,
    })
}

/// A glob of files below the directory of the description.
fn results(key: &str, written: Option<&At<String>>, trouble: &mut Trouble<'_>) -> Option<Option<String>> {
    let Some(written) = written else { return Some(None) };
    let glob = text::inside(key, written, "the directory of this file", trouble)?;
    match Globs::new(&[&glob]) {
        Ok(_) => Some(Some(glob)),
        Err(why) => {
            trouble.add("CUT0105", written.span(), format!("`{key}` is no glob: {why}"));
            None
        }
    }
}

fn approval(written: &At<written::ApprovalGate>, trouble: &mut Trouble<'_>) -> Option<GateKind> {
    let approval = written.get();
    let message = match &approval.message {
        Some(message) => text::line("gate.approval.message", message, 2_000, trouble).map(Some),
        None => Some(None),
    };
    let timeout = match &approval.timeout {
        Some(time) => text::time("gate.approval.timeout", time, LONGEST_APPROVAL, trouble).map(Some),
        None => Some(None),
    };
    Some(GateKind::Approval(ApprovalGate { message: message?, timeout: timeout? }))
}
