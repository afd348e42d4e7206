//! Looks at the world: what the machine is told about edges, health, traffic and gates, and what it is not told because
//! it could not be seen.

use std::collections::BTreeMap;

use cutover_rollout::{
    Cursor, Does, Facts, Health, Millis, Reading, RolloutId, Stage, State, Watched,
    judge::{Arm, Tally, Verdict},
};

use super::{Options, effects::within};
use crate::{
    config::{Gate, GateKind, Measure},
    judging::{Bench, Evidence},
    planning::judged_holds,
    ports::{Clock as _, Compared, Platform as _, Ports, Probe as _, Router as _, Rules, Sampled},
};

/// The shortest and the longest window of evidence, milliseconds.
const WINDOW: (u64, u64) = (1_000, 10_000);

/// So many windows make a hold.
const WINDOWS: u64 = 20;

/// What one look has found.
pub(super) struct Looked {
    /// At which rollout.
    pub(super) rollout: RolloutId,
    /// Where the rollout was when it began.
    pub(super) cursor: Cursor,
    pub(super) facts: Facts,
    pub(super) evidence: Vec<Evidence>,
    pub(super) watchers: Box<Watchers>,
}

/// What is kept from one look to the next.
#[derive(Default)]
pub(super) struct Watchers {
    /// What the release is judged by, once it could be read.
    rules: Option<(cutover_routing::ReleaseId, Rules)>,
    /// What is being counted.
    compared: Option<Compared>,
    hold: Option<Holding>,
    sampled_at: u64,
    /// What is known of blue's visitors from before the promotion, by measure.
    baseline: BTreeMap<&'static str, Tally>,
}

/// The judges of the hold a rollout is at.
struct Holding {
    cursor: Cursor,
    began: u64,
    /// The longest window.
    longest: u64,
    bench: Result<Bench, String>,
    /// Readings of metrics, and when they were made.
    metrics: BTreeMap<String, (u64, Reading)>,
}

impl Holding {
    /// How long the next window is: short ones first, because a release that is plainly bad shows it at once; longer ones
    /// later, because of one visitor many short ones say little more than a long one.
    fn window(&self, now: u64) -> u64 {
        (now.saturating_sub(self.began) / 4).clamp(WINDOW.0, self.longest)
    }
}

/// Looks at what the rollout's step waits for. Nothing here takes longer than a call may.
pub(super) async fn look<P: Ports>(
    ports: &P,
    options: &Options,
    state: &State,
    mut watchers: Box<Watchers>,
) -> Looked {
    let until = ports.clock().now() + options.call.0;
    let green = state.plan.green;
    let mut facts = Facts::default();
    if let Some(health) = within(ports.clock(), until, ports.platform().observe(&green)).await {
        facts.green = health;
    } else {
        facts.green = Health::Unknown;
    }
    let does = state.step().map(|step| step.does.clone());
    let held: &[Watched] = match &does {
        Some(Does::Hold { watch, .. }) => watch,
        _ => &[],
    };
    watchers.follow(ports, state, until).await;
    match &does {
        Some(Does::Converge) => {
            let observed = within(ports.clock(), until, ports.router().observe()).await;
            facts.converged = observed.and_then(Result::ok).and_then(|observed| observed.converged);
        }
        Some(Does::Quiet { release, .. }) => {
            let evidence = within(ports.clock(), until, ports.platform().drain_evidence(release)).await;
            facts.traffic.extend(evidence.flatten().map(|traffic| (*release, traffic)));
        }
        Some(Does::Hold { length, .. }) if !held.is_empty() => {
            facts.readings = watchers.readings(ports, state, *length, held, until).await;
        }
        _ => watchers.hold = None,
    }
    let now = ports.clock().now();
    let evidence = match watchers.hold.as_ref().map(|hold| &hold.bench) {
        Some(Ok(bench)) => bench.evidence(now),
        _ => Vec::new(),
    };
    Looked { rollout: state.plan.rollout.clone(), cursor: state.cursor, facts, evidence, watchers }
}

impl Watchers {
    /// Begins, goes on or ends counting visitors, as the plan needs it.
    async fn follow<P: Ports>(&mut self, ports: &P, state: &State, until: u64) {
        let plan = &state.plan;
        let judged =
            plan.steps.iter().any(|step| matches!(&step.does, Does::Hold { watch, .. } if !watch.is_empty()));
        if state.going_back() || state.ended.is_some() || !judged {
            if self.compared.take().is_some() {
                within(ports.clock(), until, ports.probe().watch(None)).await;
            }
            return;
        }
        if self.rules.as_ref().is_none_or(|(of, _)| *of != plan.green) {
            let rules = within(ports.clock(), until, ports.probe().rules(&plan.green)).await.flatten();
            self.rules = rules.map(|rules| (plan.green, rules));
        }
        let Some((_, rules)) = &self.rules else { return };
        let wanted = Compared {
            blue: plan.blue,
            green: plan.green,
            slow_over: rules.slow_over,
            synthetic: rules.synthetic,
        };
        if self.compared.as_ref() != Some(&wanted) {
            *self = Self { rules: self.rules.take(), ..Self::default() };
            within(ports.clock(), until, ports.probe().watch(Some(&wanted))).await;
            self.compared = Some(wanted);
            self.sampled_at = ports.clock().now();
        }
        let does = state.step().map(|step| &step.does);
        let holding = matches!(does, Some(Does::Hold { watch, .. }) if !watch.is_empty());
        // Before visitors are judged, what blue is like is learned; what came while tables changed belongs to no step.
        if !holding && ports.clock().now() >= self.sampled_at + WINDOW.0 {
            self.sample(ports, state.promoted, until).await;
        }
    }

    async fn sample<P: Ports>(&mut self, ports: &P, promoted: bool, until: u64) -> Option<Sampled> {
        let sampled = within(ports.clock(), until, ports.probe().sample()).await.flatten()?;
        self.sampled_at = ports.clock().now();
        if !promoted && !sampled.synthetic {
            for visit in sampled.visits.iter().filter(|visit| visit.arm == Arm::Blue) {
                for (measure, failed) in [("errors", visit.failed), ("slow", visit.slow)] {
                    let tally = self.baseline.entry(measure).or_default();
                    *tally = tally.plus(Tally { visitors: 1, failed: u64::from(failed > 0) });
                }
            }
        }
        Some(sampled)
    }

    async fn readings<P: Ports>(
        &mut self,
        ports: &P,
        state: &State,
        length: Millis,
        watch: &[Watched],
        until: u64,
    ) -> Vec<Reading> {
        let now = ports.clock().now();
        let broken = |why: &str| {
            let reading = |gate: &Watched| error(&gate.gate, why.to_owned());
            watch.iter().map(reading).collect::<Vec<_>>()
        };
        let Some((_, rules)) = &self.rules else { return broken("its definition cannot be read now") };
        let gates: Vec<Gate> = rules
            .gates
            .iter()
            .filter(|gate| watch.iter().any(|one| one.gate == gate.name))
            .cloned()
            .collect();
        if self.hold.as_ref().is_none_or(|hold| hold.cursor != state.cursor) {
            // What was counted before this step's share was everywhere is not this step's.
            self.sample(ports, state.promoted, until).await;
            let holds = judged_holds(&state.plan);
            let bench = match state.step().map(|step| &step.stage) {
                Some(Stage::Bake) => Bench::alone(&gates, |measure| self.known(measure), holds, now),
                _ => Bench::new(&gates, holds, now),
            };
            let longest = (length.0 / WINDOWS).clamp(WINDOW.0, WINDOW.1);
            let cursor = state.cursor;
            self.hold = Some(Holding { cursor, began: now, longest, bench, metrics: BTreeMap::new() });
        }
        let window = self.hold.as_ref().map_or(WINDOW.0, |hold| hold.window(now));
        let sampled = if now >= self.sampled_at + window {
            self.sample(ports, state.promoted, until).await
        } else {
            None
        };
        let (Some(hold), Some(compared)) = (&mut self.hold, &self.compared) else {
            return broken("visitors are not being counted");
        };
        let bench = match &mut hold.bench {
            Ok(bench) => bench,
            Err(why) => return broken(why),
        };
        if let Some(sampled) = &sampled {
            bench.take(sampled);
        }
        let mut readings = bench.readings(ports.clock().now());
        for gate in gates.iter().filter(|gate| matches!(gate.kind, GateKind::Metrics(_))) {
            readings.push(measured(ports, gate, compared, window, &mut hold.metrics, until).await);
        }
        for gate in watch.iter().filter(|gate| !gates.iter().any(|known| known.name == gate.gate)) {
            readings.push(error(&gate.gate, "the release does not define it".to_owned()));
        }
        readings
    }

    fn known(&self, measure: Measure) -> Tally {
        let name = match measure {
            Measure::Errors => "errors",
            Measure::Slow => "slow",
        };
        self.baseline.get(name).copied().unwrap_or_default()
    }
}

/// A gate of metrics, asked no more often than once a window.
async fn measured<P: Ports>(
    ports: &P,
    gate: &Gate,
    compared: &Compared,
    window: u64,
    known: &mut BTreeMap<String, (u64, Reading)>,
    until: u64,
) -> Reading {
    let now = ports.clock().now();
    if let Some((at, reading)) = known.get(&gate.name).filter(|(at, _)| now < at.saturating_add(window)) {
        return Reading { age: reading.age + now.saturating_sub(*at), ..reading.clone() };
    }
    let reading = within(ports.clock(), until, ports.probe().measure(gate, compared)).await;
    let reading = reading.unwrap_or_else(|| error(&gate.name, "no answer in time".to_owned()));
    known.insert(gate.name.clone(), (ports.clock().now(), reading.clone()));
    reading
}

fn error(gate: &str, why: String) -> Reading {
    Reading { gate: gate.to_owned(), verdict: Verdict::Error, why, age: 0 }
}
