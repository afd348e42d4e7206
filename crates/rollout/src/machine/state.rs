//! What is known of a rollout: the sum of its records, and what follows from it.

use std::collections::BTreeMap;

use cutover_routing::ReleaseId;

use super::{Cause, Cursor, EffectId, End, HeldFor, Outcome};
use crate::{Act, Does, Millis, Plan, RolloutId, Step, judge::Verdict};

/// The state of a rollout. It changes through [`super::apply`] alone.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    /// The plan.
    pub plan: Plan,
    /// How many records there are.
    pub seq: u64,
    /// Where it is.
    pub cursor: Cursor,
    /// So many steps of the plan are behind it, also once it goes back.
    pub reached: usize,
    /// When it came there, Unix milliseconds.
    pub entered: u64,
    /// The last attempt at this step; 0: none yet.
    pub attempt: u32,
    /// How many attempts there were since it came there or was resumed.
    pub tries: u32,
    /// The next attempt not before this time.
    pub not_before: u64,
    /// The effect whose outcome is not known.
    pub pending: Option<Pending>,
    /// Whether the effect or the convergence of this step is there.
    pub done: bool,
    /// How the last attempt at this step went wrong.
    pub failed: Option<Outcome>,
    /// The highest generation that was written.
    pub generation: u64,
    /// The waiting at this step.
    pub watch: Watch,
    /// Set while a person is needed.
    pub held: Option<Held>,
    /// Set while somebody wants it to stand still.
    pub paused: Option<Paused>,
    /// The way back, once begun.
    pub undo: Option<Undo>,
    /// Who takes over.
    pub superseded: Option<RolloutId>,
    /// Whether a routing write for green was ever tried.
    pub routed: bool,
    /// How many visitors out of 10 000 green is known to have been given; audiences apart.
    pub share: u16,
    /// Whether green became the default.
    pub promoted: bool,
    /// Whether tearing blue down was ever tried: the point of no return.
    pub retiring: bool,
    /// Whether blue was ever told to give back what it runs on: it is stood up again before visitors return to it.
    pub parked: bool,
    /// Whether draining was cut short.
    pub cut_short: bool,
    /// Set once it is over.
    pub ended: Option<End>,
}

/// An effect whose outcome is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// Which attempt.
    pub id: EffectId,
    /// What.
    pub act: Act,
    /// Set when the answer will not come: look, not before this time.
    pub look: Option<u64>,
    /// Whether the world has been asked.
    pub asked: bool,
}

/// What has been seen while waiting.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Watch {
    /// When it was last written down, Unix milliseconds.
    pub mark: u64,
    /// Time that counts, in milliseconds.
    pub counted: u64,
    /// Time that passed.
    pub waited: u64,
    /// Whether all was well at the mark.
    pub good: bool,
    /// What the gates of this step said last.
    pub verdicts: BTreeMap<String, Verdict>,
}

/// A person is needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Why.
    pub why: HeldFor,
    /// Since when, Unix milliseconds.
    pub since: u64,
}

/// Somebody wants it to stand still.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paused {
    /// Who.
    pub by: String,
    /// Why.
    pub reason: Option<String>,
    /// Since when, Unix milliseconds.
    pub since: u64,
}

/// The way back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undo {
    /// Which, from 1.
    pub round: u32,
    /// Why.
    pub cause: Cause,
    /// Whether green is closed at once.
    pub close: bool,
    /// Its steps.
    pub steps: Vec<Step>,
}

/// States as people know them, and as events are allowed in them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Situation {
    /// An effect of the plan is under way.
    Acting,
    /// Tearing blue down was begun.
    Retiring,
    /// It is not known whether an effect of the plan happened.
    InDoubt,
    /// An effect of the plan is due, or waits for its next attempt.
    Due,
    /// The edges are following.
    Converging,
    /// The step is held and watched.
    Holding,
    /// The visits to blue are ending.
    Draining,
    /// A person is needed.
    Held,
    /// Somebody paused it.
    Paused,
    /// An effect is under way that has to end before the way back can begin, or one of the way back.
    UndoActing,
    /// It is not known whether that effect happened.
    UndoInDoubt,
    /// An effect of the way back is due, or waits for its next attempt.
    UndoDue,
    /// The edges are following.
    UndoConverging,
    /// The visits to green are ending.
    UndoDraining,
    /// Green is the default, blue is gone or never was.
    Done,
    /// Green is the default, blue is warm.
    Standby,
    /// Visitors are on blue.
    RolledBack,
    /// A newer rollout took over.
    Superseded,
}

impl State {
    /// The step it is at.
    pub fn step(&self) -> Option<&Step> {
        self.step_at(self.cursor)
    }

    /// Any step.
    pub fn step_at(&self, cursor: Cursor) -> Option<&Step> {
        match cursor {
            Cursor::Forward(at) => self.plan.steps.get(at),
            Cursor::Undo { round, step } => {
                self.undo.as_ref().filter(|undo| undo.round == round)?.steps.get(step)
            }
        }
    }

    /// Whether it is on the way back.
    pub fn going_back(&self) -> bool {
        self.undo.is_some()
    }

    /// Whether the routing of the way back is done and every edge has it: visitors are on blue, what is left is green's
    /// remains.
    pub fn visitors_are_back(&self) -> bool {
        let Some(undo) = &self.undo else { return false };
        let Cursor::Undo { step, .. } = self.cursor else { return false };
        undo.steps
            .iter()
            .position(|step| matches!(step.does, Does::Converge | Does::Act(Act::Park { .. })))
            .is_none_or(|back| step > back || (step == back && self.complete()))
    }

    /// Whether the way back has been tried so often in vain that a successor need not wait for it. It goes on being
    /// tried until there is one.
    pub fn stuck(&self) -> bool {
        self.going_back()
            && self.pending.is_none()
            && self.failed.is_some()
            && self.tries >= super::step::MAX_ATTEMPTS
    }

    /// Why blue cannot be had back, or that it can.
    pub fn way_back(&self) -> Result<(), super::Refused> {
        match self.plan.blue {
            None if self.promoted => Err(super::Refused::NowhereToGo),
            Some(blue) if self.retiring => Err(super::Refused::PointOfNoReturn(blue)),
            _ => Ok(()),
        }
    }

    /// Whether the step's own condition is met.
    pub(super) fn complete(&self) -> bool {
        match self.step().map(|step| &step.does) {
            Some(Does::Act(_) | Does::Converge) => self.done,
            Some(Does::Hold { length, watch }) => {
                let passed = |gate: &str| self.watch.verdicts.get(gate) == Some(&Verdict::Pass);
                self.watch.good
                    && self.watch.counted >= length.0
                    && watch.iter().all(|gate| !gate.required || passed(&gate.gate))
            }
            Some(Does::Quiet { closed, .. }) => {
                self.watch.good && (self.watch.counted >= self.plan.quiet.0 || (*closed && !self.cut_short))
            }
            None => false,
        }
    }

    /// Whether draining has taken as long as it may.
    pub(super) fn out_of_time(&self) -> bool {
        let drains = matches!(self.step().map(|step| &step.does), Some(Does::Quiet { closed: false, .. }));
        drains && self.watch.waited >= self.plan.drain_at_most.0
    }

    /// The required gates of this step that have not passed.
    pub fn not_passed(&self) -> Vec<String> {
        self.step().map(|step| self.open_gates(step)).unwrap_or_default()
    }

    pub(super) fn open_gates(&self, step: &Step) -> Vec<String> {
        let here = self.step() == Some(step);
        match &step.does {
            Does::Act(Act::Gate(gate)) if gate.required && !(here && self.done) => vec![gate.gate.clone()],
            Does::Hold { watch, .. } => watch
                .iter()
                .filter(|gate| gate.required)
                .filter(|gate| !here || self.watch.verdicts.get(&gate.gate) != Some(&Verdict::Pass))
                .map(|gate| gate.gate.clone())
                .collect(),
            _ => Vec::new(),
        }
    }

    /// The state as people know it.
    pub fn situation(&self) -> Situation {
        match &self.ended {
            Some(End::Done { standby: false }) => return Situation::Done,
            Some(End::Done { standby: true }) => return Situation::Standby,
            Some(End::RolledBack) => return Situation::RolledBack,
            Some(End::Superseded { .. }) => return Situation::Superseded,
            None => {}
        }
        let back = self.going_back();
        if let Some(pending) = &self.pending {
            return match (back, pending.look.is_some(), &pending.act) {
                (true, true, _) => Situation::UndoInDoubt,
                (true, false, _) => Situation::UndoActing,
                (false, _, Act::Retire { .. }) => Situation::Retiring,
                (false, true, _) => Situation::InDoubt,
                (false, false, _) if self.paused.is_some() => Situation::Paused,
                (false, false, _) => Situation::Acting,
            };
        }
        if !back && self.paused.is_some() {
            return Situation::Paused;
        }
        if !back && self.held.is_some() {
            return Situation::Held;
        }
        match (self.step().map(|step| &step.does), back) {
            (Some(Does::Converge), false) => Situation::Converging,
            (Some(Does::Converge), true) => Situation::UndoConverging,
            (Some(Does::Hold { .. }), _) => Situation::Holding,
            (Some(Does::Quiet { .. }), false) => Situation::Draining,
            (Some(Does::Quiet { .. }), true) => Situation::UndoDraining,
            (Some(Does::Act(_)) | None, false) => Situation::Due,
            (Some(Does::Act(_)) | None, true) => Situation::UndoDue,
        }
    }

    /// When the machine wants to be asked again if nothing else happens, Unix milliseconds; none: it is over or waits
    /// for a person or an answer.
    pub fn wake(&self) -> Option<u64> {
        if self.ended.is_some() {
            return None;
        }
        if let Some(pending) = &self.pending {
            return pending.look.filter(|_| !pending.asked);
        }
        match self.step().map(|step| &step.does) {
            Some(Does::Act(_)) if self.going_back() || (self.paused.is_none() && self.held.is_none()) => {
                Some(self.not_before)
            }
            Some(Does::Act(_)) | None => None,
            Some(_) => Some(self.watch.mark.saturating_add(self.plan.pace.0)),
        }
    }

    /// How long the hold at this step still takes if all stays well.
    pub fn left(&self) -> Option<Millis> {
        match self.step().map(|step| &step.does) {
            Some(Does::Hold { length, .. }) => Some(Millis(length.0.saturating_sub(self.watch.counted))),
            Some(Does::Quiet { .. }) => Some(Millis(self.plan.quiet.0.saturating_sub(self.watch.counted))),
            _ => None,
        }
    }

    /// Releases that this rollout has left without settling them, once it was superseded: whoever took over sees to
    /// their draining, closing and settling.
    pub fn owes(&self) -> Vec<ReleaseId> {
        match &self.ended {
            Some(End::Superseded { promoted: true, .. }) => self.plan.blue.into_iter().collect(),
            Some(End::Superseded { promoted: false, .. }) => vec![self.plan.green],
            _ => Vec::new(),
        }
    }
}
