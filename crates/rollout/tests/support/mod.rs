//! A world that rollouts act on: real routing edits, releases that are stood up and torn down, gates that say what they
//! are told to, and faults where they are asked for. It checks the invariants at every effect.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::collections::{BTreeMap, BTreeSet};

use cutover_rollout::judge::Verdict;
use cutover_rollout::{
    Act, After, At, Change, Cursor, Effect, EffectId, Event, Facts, Gate, Health, Insufficient, Millis,
    Outcome, Plan, PlanInput, Reading, Record, Refused, Seen, Situation, State, Strategy, To, Traffic, fold,
    step,
};
use cutover_routing::{Edit, EditRefused, ReleaseId, ReleaseState, Table, edit};

pub(crate) fn blue() -> ReleaseId {
    "blue0001".parse().unwrap()
}

pub(crate) fn green() -> ReleaseId {
    "green002".parse().unwrap()
}

/// What goes wrong with one effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is refused for now.
    Refused,
    /// It is refused for good.
    RefusedForGood,
    /// It happens, and the answer is lost.
    AppliedUnknown,
    /// It does not happen, and nobody knows.
    LostUnknown,
    /// It happens, the answer is lost, and the first looks show the old state.
    AppliedStaleReads,
    /// The controller dies before it is sent.
    CrashBefore,
    /// The controller dies when it has happened.
    CrashAfter,
}

pub(crate) const FAULTS: [Fault; 7] = [
    Fault::Refused,
    Fault::RefusedForGood,
    Fault::AppliedUnknown,
    Fault::LostUnknown,
    Fault::AppliedStaleReads,
    Fault::CrashBefore,
    Fault::CrashAfter,
];

#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) table: Table,
    pub(crate) prepared: BTreeSet<ReleaseId>,
    pub(crate) retired: BTreeSet<ReleaseId>,
    pub(crate) warm: BTreeSet<ReleaseId>,
    pub(crate) passed: BTreeSet<String>,
    pub(crate) gates_before: BTreeSet<String>,
    /// Gates that fail, with the share of green (out of 10 000) from which on they do.
    pub(crate) failing: BTreeMap<String, u16>,
    /// Gates that have too little evidence.
    pub(crate) insufficient: BTreeSet<String>,
    /// Whether the watched gates give readings at all.
    pub(crate) mute: bool,
    pub(crate) ill: bool,
    /// Whether every effect is performed twice.
    pub(crate) twice: bool,
    /// The fault of the effect with this number.
    pub(crate) fault: Option<(usize, Fault)>,
    pub(crate) performed: usize,
    pub(crate) looks: usize,
    /// When the last request reached blue, were it left.
    pub(crate) last_request: BTreeMap<ReleaseId, u64>,
    /// Visits go on for so long after a release was left.
    pub(crate) linger: u64,
    pub(crate) left_at: BTreeMap<ReleaseId, u64>,
    pub(crate) forced: bool,
}

impl World {
    pub(crate) fn new(with_blue: bool) -> World {
        let mut table = Table::empty();
        let mut generation = 1;
        let mut apply = |change: Edit| {
            generation += 1;
            table = edit(&table, &change, generation).unwrap();
        };
        if with_blue {
            apply(Edit::Stage { release: blue(), slot: None });
            apply(Edit::MakeCandidate { release: blue() });
            apply(Edit::Promote { release: blue() });
        }
        apply(Edit::Stage { release: green(), slot: None });
        World {
            table,
            prepared: BTreeSet::from([blue()]),
            retired: BTreeSet::new(),
            warm: BTreeSet::new(),
            passed: BTreeSet::new(),
            gates_before: BTreeSet::new(),
            failing: BTreeMap::new(),
            insufficient: BTreeSet::new(),
            mute: false,
            ill: false,
            twice: false,
            fault: None,
            performed: 0,
            looks: 0,
            last_request: BTreeMap::new(),
            linger: 120_000,
            left_at: BTreeMap::new(),
            forced: false,
        }
    }

    /// Green's part of the visitors, out of 10 000.
    pub(crate) fn share(&self) -> u16 {
        if self.table.default == Some(green()) {
            return 10_000;
        }
        let audience = self.table.audiences.values().any(|release| *release == green());
        let share =
            self.table.shares.iter().find(|share| share.release == green()).map_or(0, |share| share.width);
        share.max(u16::from(audience))
    }

    fn write(&mut self, change: &Change, now: u64) -> u64 {
        let before = self.share();
        match edit(&self.table, &change.edit(), self.table.generation + 1) {
            Ok(table) => self.table = table,
            Err(EditRefused::NoChange(_)) => {}
            Err(refused) => panic!("the plan asks for what routing refuses: {change:?}: {refused}"),
        }
        let after = self.share();
        match change {
            // I7: shares move along the plan, or everything goes back.
            Change::Rollback { .. } | Change::Close { .. } => {
                assert!(after == 0 || after == before, "{change:?}")
            }
            _ => assert!(after >= before, "{change:?}: {before} to {after}"),
        }
        if after > 0 {
            // I1: no visitor before the gates passed, on a release that is stood up.
            assert!(self.prepared.contains(&green()), "visitors on a release that does not run");
            assert!(self.forced || self.gates_before.is_subset(&self.passed), "visitors before the gates");
        }
        for (release, entry) in &self.table.releases {
            // I2: nothing that is gone is in the table.
            assert!(!self.retired.contains(release), "{release} is torn down and in the table");
            match entry.state {
                ReleaseState::Draining | ReleaseState::Closed => {
                    self.left_at.entry(*release).or_insert(now);
                }
                _ => {
                    self.left_at.remove(release);
                }
            }
        }
        self.table.generation
    }

    fn apply(&mut self, act: &Act, now: u64) -> Outcome {
        match act {
            Act::Prepare { release } => {
                self.prepared.insert(*release);
                Outcome::Done { generation: None }
            }
            Act::Gate(gate) => {
                let verdict = self.gate(&gate.gate);
                if verdict == Verdict::Pass {
                    self.passed.insert(gate.gate.clone());
                }
                Outcome::Judged { verdict, why: "as told".to_owned() }
            }
            Act::Route(change) => Outcome::Done { generation: Some(self.write(change, now)) },
            Act::Standby { release } => {
                assert_eq!(self.table.state(release), Some(ReleaseState::Closed));
                self.warm.insert(*release);
                Outcome::Done { generation: None }
            }
            Act::Park { release } => {
                assert_ne!(self.table.default, Some(*release), "parking the default");
                self.prepared.remove(release);
                Outcome::Done { generation: None }
            }
            Act::Retire { release } => {
                // I3: closed, and quiet for long enough.
                assert_ne!(self.table.default, Some(*release));
                if !self.retired.contains(release) {
                    assert_eq!(self.table.state(release), Some(ReleaseState::Closed), "retired while open");
                    let traffic = self.traffic(release, now);
                    assert!(
                        traffic.in_flight == 0
                            && traffic.last_request.is_none_or(|last| last + 60_000 <= now),
                        "retired under traffic: {traffic:?} at {now}"
                    );
                }
                self.retired.insert(*release);
                self.prepared.remove(release);
                self.table.releases.remove(release);
                Outcome::Done { generation: None }
            }
        }
    }

    pub(crate) fn in_place(&self, act: &Act) -> bool {
        match act {
            Act::Prepare { release } => self.prepared.contains(release),
            Act::Gate(_) => false,
            Act::Route(change) => {
                let next = edit(&self.table, &change.edit(), self.table.generation + 1);
                matches!(next, Err(EditRefused::NoChange(_)))
            }
            Act::Standby { release } => self.warm.contains(release),
            Act::Park { release } => !self.prepared.contains(release),
            Act::Retire { release } => self.retired.contains(release),
        }
    }

    fn gate(&self, name: &str) -> Verdict {
        if self.failing.get(name).is_some_and(|from| self.share() >= *from) {
            Verdict::Fail
        } else if self.insufficient.contains(name) {
            Verdict::Insufficient
        } else {
            Verdict::Pass
        }
    }

    pub(crate) fn traffic(&self, release: &ReleaseId, now: u64) -> Traffic {
        let last = match self.left_at.get(release) {
            Some(left) => (left + self.linger).min(now),
            None => now,
        };
        let open = u64::from(last == now && self.linger > 0);
        Traffic { in_flight: open, streams: 0, last_request: Some(last), watched_since: None }
    }

    pub(crate) fn facts(&self, gates: &[String], now: u64) -> Facts {
        let reading = |gate: &String| Reading {
            gate: gate.clone(),
            verdict: self.gate(gate),
            why: "as told".to_owned(),
            age: 1_000,
        };
        Facts {
            converged: Some(self.table.generation),
            green: if self.ill { Health::Unhealthy("no answer".to_owned()) } else { Health::Healthy },
            readings: if self.mute { Vec::new() } else { gates.iter().map(reading).collect() },
            traffic: self
                .table
                .releases
                .keys()
                .map(|release| (*release, self.traffic(release, now)))
                .collect(),
        }
    }
}

/// A controller: journal, state, clock, and the effects it still has to perform.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub(crate) world: World,
    pub(crate) records: Vec<Record>,
    pub(crate) state: Option<State>,
    pub(crate) now: u64,
    pub(crate) effects: Vec<Effect>,
    pub(crate) refused: Vec<Refused>,
    /// After each batch of records: how many there were, and the world before and after its effects.
    pub(crate) snapshots: Vec<(usize, World, Option<World>, u64)>,
    pub(crate) states: Vec<State>,
    pub(crate) record_states: bool,
}

impl Run {
    pub(crate) fn new(world: World) -> Run {
        Run {
            world,
            records: Vec::new(),
            state: None,
            now: 1_800_000_000_000,
            effects: Vec::new(),
            refused: Vec::new(),
            snapshots: Vec::new(),
            states: Vec::new(),
            record_states: false,
        }
    }

    pub(crate) fn open(world: World, plan: &Plan) -> Run {
        let mut run = Run::new(world);
        run.happen(&Event::Open { plan: Box::new(plan.clone()), by: "ann".to_owned() });
        run
    }

    /// Takes up where a journal ends, at a later time.
    pub(crate) fn resume(records: &[Record], world: World, now: u64) -> Run {
        let mut run = Run::new(world);
        run.records = records.to_vec();
        run.state = fold(records).unwrap();
        run.now = now + 7_000;
        run.happen(&Event::Restarted);
        run
    }

    pub(crate) fn state(&self) -> &State {
        self.state.as_ref().unwrap()
    }

    pub(crate) fn situation(&self) -> Situation {
        self.state().situation()
    }

    pub(crate) fn happen(&mut self, event: &Event) -> bool {
        match step(self.state.as_ref(), event, self.now) {
            Ok(next) => {
                if !next.records.is_empty() {
                    self.snapshots.push((self.records.len(), self.world.clone(), None, self.now));
                }
                self.records.extend(next.records);
                self.state = Some(next.state);
                self.effects.extend(next.effects);
                if self.record_states {
                    self.states.push(self.state().clone());
                }
                true
            }
            Err(Refused::Defect(illegal)) => panic!("{event:?} in {:?}: {illegal}", self.state().situation()),
            Err(refused) => {
                self.refused.push(refused);
                false
            }
        }
    }

    fn answer(&mut self, id: &EffectId, outcome: Outcome) {
        self.happen(&Event::Outcome { id: id.clone(), outcome });
    }

    /// Performs one effect, or what goes wrong with it.
    pub(crate) fn perform(&mut self, effect: &Effect) {
        match effect {
            Effect::Cancel { .. } => {}
            Effect::Observe { id, act } => {
                let stale =
                    matches!(self.world.fault, Some((_, Fault::AppliedStaleReads))) && self.world.looks < 2;
                self.world.looks += 1;
                let seen = if stale {
                    // An honest store says so when its answer may be old; it is asked again.
                    Seen::Unknown { why: "the answer may be old".to_owned() }
                } else if self.world.in_place(act) {
                    let routed = matches!(act, Act::Route(_));
                    Seen::InPlace { generation: routed.then_some(self.world.table.generation) }
                } else {
                    Seen::Absent
                };
                self.happen(&Event::Observed { id: id.clone(), seen });
            }
            Effect::Do { id, act } => {
                let number = self.world.performed;
                self.world.performed += 1;
                let fault = self.world.fault.filter(|(at, _)| *at == number).map(|(_, fault)| fault);
                let why = "told to".to_owned();
                match fault {
                    Some(Fault::Refused) => return self.answer(id, Outcome::Failed { why, lasting: false }),
                    Some(Fault::RefusedForGood) => {
                        return self.answer(id, Outcome::Failed { why, lasting: true });
                    }
                    Some(Fault::LostUnknown) => return self.answer(id, Outcome::Unknown { why }),
                    Some(Fault::CrashBefore) => return self.crash(),
                    _ => {}
                }
                let mut outcome = self.world.apply(act, self.now);
                if self.world.twice {
                    outcome = self.world.apply(act, self.now);
                }
                if let Some((_, world, after, _)) = self.snapshots.last_mut() {
                    let _ = world;
                    *after = Some(self.world.clone());
                }
                match fault {
                    Some(Fault::CrashAfter) => self.crash(),
                    Some(_) => self.answer(id, Outcome::Unknown { why }),
                    None => self.answer(id, outcome),
                }
            }
        }
    }

    pub(crate) fn crash(&mut self) {
        self.effects.clear();
        let state = fold(&self.records).unwrap();
        assert_eq!(state, self.state, "the journal says what the controller knew");
        self.now += 7_000;
        self.happen(&Event::Restarted);
    }

    /// The gates that are watched where it is.
    pub(crate) fn watched(&self) -> Vec<String> {
        match self.state().step().map(|step| &step.does) {
            Some(cutover_rollout::Does::Hold { watch, .. }) => {
                watch.iter().map(|gate| gate.gate.clone()).collect()
            }
            _ => Vec::new(),
        }
    }

    pub(crate) fn look(&mut self) {
        let facts = self.world.facts(&self.watched(), self.now);
        self.happen(&Event::Looked(facts));
        // I13: arriving at a new step may need one more look at once; after that, the same look changes nothing.
        for again in 0..2 {
            if !self.effects.is_empty() || self.state().ended.is_some() {
                return;
            }
            let facts = self.world.facts(&self.watched(), self.now);
            let records = self.records.len();
            self.happen(&Event::Looked(facts));
            assert!(
                again == 0 || self.records.len() == records,
                "a hot loop: {:?}",
                self.records[records..].first()
            );
        }
    }

    /// One turn: performs what is to be performed, or lets time pass and looks.
    pub(crate) fn turn(&mut self) {
        if self.effects.is_empty() {
            self.now += self.state().plan.pace.0;
            self.look();
        } else {
            let effect = self.effects.remove(0);
            self.perform(&effect);
        }
    }

    /// Runs until it is over or a person is needed.
    pub(crate) fn rest(&mut self) -> Situation {
        for _ in 0..20_000 {
            if !self.effects.is_empty() {
                self.turn();
                continue;
            }
            if self.state().ended.is_some() || matches!(self.situation(), Situation::Held | Situation::Paused)
            {
                return self.situation();
            }
            self.turn();
        }
        panic!("no end in sight: {:?} at {:?}", self.situation(), self.state().cursor);
    }

    /// Runs until a condition holds.
    pub(crate) fn until(&mut self, what: impl Fn(&Run) -> bool) {
        for _ in 0..20_000 {
            if what(self) {
                return;
            }
            self.turn();
        }
        panic!("it never came to that: {:?} at {:?}", self.situation(), self.state().cursor);
    }

    /// The invariants of an ended rollout.
    pub(crate) fn check_end(&self) {
        let folded = fold(&self.records).unwrap();
        assert_eq!(folded, self.state, "the journal is the truth");
        let table = &self.world.table;
        table.validate().unwrap();
        match self.situation() {
            Situation::Done | Situation::Standby => {
                assert_eq!(table.default, Some(green()));
                assert!(self.world.prepared.contains(&green()));
            }
            Situation::RolledBack => {
                assert_eq!(self.world.share(), 0);
                assert!(!self.world.prepared.contains(&green()), "nothing of green is left running");
                assert!(!self.world.retired.contains(&blue()));
                assert!(self.world.prepared.contains(&blue()));
            }
            Situation::Superseded => {}
            other => panic!("not an end: {other:?}"),
        }
        let unanswered = self.state().pending.is_some();
        assert!(!unanswered, "an effect was left without an outcome");
    }
}

pub(crate) fn gates() -> Vec<Gate> {
    let gate = |name: &str, watch: bool, at: &[At]| Gate {
        name: name.to_owned(),
        required: true,
        watch,
        at: at.to_vec(),
        insufficient: Insufficient::Extend(Millis::mins(2)),
    };
    vec![
        gate("smoke", false, &[At::BeforeTraffic]),
        gate("errors", true, &[At::EveryStep, At::Bake]),
        gate("e2e", false, &[At::Step(To::Share(2_500))]),
        Gate { required: false, ..gate("opinion", false, &[At::BeforeTraffic, At::EveryStep]) },
    ]
}

pub(crate) fn plan(strategy: &str, after: After, with_blue: bool) -> Plan {
    let strategy = Strategy::parse(strategy, &["staff"]).unwrap();
    let mut gates = gates();
    if strategy.is_instant() {
        gates.truncate(1);
    } else if !strategy.moves.iter().any(|step| step.to == To::Share(2_500)) {
        gates.retain(|gate| gate.name != "e2e");
    }
    Plan::new(&PlanInput {
        rollout: "ro-1".parse().unwrap(),
        blue: with_blue.then(blue),
        green: green(),
        strategy: &strategy,
        hold: Millis::mins(1),
        bake: Millis::mins(2),
        quiet: Millis::mins(1),
        drain_at_most: Millis::mins(20),
        after,
        gates: &gates,
    })
    .unwrap()
}

pub(crate) fn world(with_blue: bool) -> World {
    World { gates_before: BTreeSet::from(["smoke".to_owned()]), ..World::new(with_blue) }
}

pub(crate) fn gradual() -> Run {
    Run::open(world(true), &plan("staff, 5%, 25%, 100%", After::Retire, true))
}

pub(crate) fn at_share(width: u16) -> impl Fn(&Run) -> bool {
    move |run| run.world.share() == width && run.situation() == Situation::Holding
}

pub(crate) fn forward(run: &Run) -> usize {
    match run.state().cursor {
        Cursor::Forward(at) => at,
        Cursor::Undo { .. } => panic!("on the way back"),
    }
}

pub(crate) fn by() -> String {
    "ann".to_owned()
}

pub(crate) fn rollback(now: Option<bool>) -> Event {
    Event::Rollback { by: by(), reason: None, now }
}
