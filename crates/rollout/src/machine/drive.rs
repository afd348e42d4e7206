//! What follows from the state alone: the next step, the way back, the end.
//!
//! Nothing here depends on which event came, so that what a crash cut off is decided again in the same way.

use super::{
    Body, Cause, Cursor, Effect, EffectId, End, HeldFor, MAX_ATTEMPTS, Outcome, Pending, Refused, Why,
    step::Work, undo,
};
use crate::{Act, Change, Does, Insufficient, judge::Verdict};

/// After so many attempts a gate that breaks is a person's.
const MAX_GATE_ERRORS: u32 = 3;

impl Work {
    /// Begins a way back.
    pub(super) fn undo(&mut self, cause: Cause, close: bool) -> Result<(), Refused> {
        if let Some(pending) = self.state.pending.clone() {
            self.abandon(pending)?;
        }
        let round = self.state.undo.as_ref().map_or(0, |undo| undo.round) + 1;
        let steps = undo::steps(&self.state, close);
        let facts = std::mem::take(&mut self.facts);
        self.put(Body::UndoStarted { round, cause, close, steps, facts })
    }

    /// Stops what nobody needs any more: a gate without an answer, standing up once it has said how far it came.
    /// Anything else is let end.
    pub(super) fn abandon(&mut self, pending: Pending) -> Result<(), Refused> {
        if matches!(pending.act, Act::Gate(_)) {
            self.put(Body::Outcome { id: pending.id.clone(), outcome: Outcome::Abandoned })?;
        }
        if matches!(pending.act, Act::Gate(_) | Act::Prepare { .. } | Act::Standby { .. }) {
            self.effects.push(Effect::Cancel { id: pending.id });
        }
        Ok(())
    }

    /// Does what follows from the state alone, until something has to be waited for.
    pub(super) fn drive(&mut self) -> Result<(), Refused> {
        // Each turn takes a step or begins a way back; a plan is finite, and so is this.
        while self.turn()? {}
        Ok(())
    }

    /// One thing that follows from the state; whether there was one.
    fn turn(&mut self) -> Result<bool, Refused> {
        if self.step_aside()? {
            return Ok(true);
        }
        if self.state.ended.is_some() {
            return Ok(false);
        }
        if self.protect()? {
            return Ok(true);
        }
        if let Some(pending) = self.state.pending.clone() {
            if !pending.asked && pending.look.is_some_and(|look| look <= self.now) {
                self.put(Body::Observing { id: pending.id.clone() })?;
                self.effects.push(Effect::Observe { id: pending.id, act: pending.act });
            }
            return Ok(false);
        }
        let still = self.state.paused.is_some() || self.state.held.is_some();
        if still && !self.state.going_back() {
            return Ok(false);
        }
        if self.state.complete() {
            return self.leave(Why::Done);
        }
        if self.state.out_of_time() {
            return self.leave(Why::Limit);
        }
        if let Some(why) = self.hopeless() {
            self.put(Body::Held { why })?;
            return Ok(false);
        }
        if let Some(Does::Act(act)) = self.does().cloned()
            && self.now >= self.state.not_before
        {
            let id = EffectId {
                rollout: self.state.plan.rollout.clone(),
                step: self.state.cursor,
                attempt: self.state.attempt + 1,
            };
            self.put(Body::Intent { id: id.clone(), act: act.clone() })?;
            self.effects.push(Effect::Do { id, act });
        }
        Ok(false)
    }

    /// Makes way for a newer rollout.
    fn step_aside(&mut self) -> Result<bool, Refused> {
        let over = !matches!(self.state.ended, None | Some(End::Done { standby: true }));
        let Some(by) = self.state.superseded.clone().filter(|_| !over) else {
            return Ok(false);
        };
        let pending = self.state.pending.as_ref().map(|pending| &pending.act);
        let promoting = matches!(pending, Some(Act::Route(Change::Promote { .. })));
        let promoted = match (self.state.going_back(), self.state.promoted) {
            (true, _) if self.state.visitors_are_back() => false,
            // Where blue cannot be had back, somebody else has to be let have visitors.
            (true, promoted) if self.state.stuck() => promoted,
            (false, true) => true,
            (false, false) if !promoting => {
                self.undo(Cause::Superseded { by }, false)?;
                return Ok(true);
            }
            _ => return Ok(false),
        };
        if pending.is_some() {
            return Ok(false);
        }
        self.put(Body::Ended { how: End::Superseded { by, promoted } })?;
        Ok(true)
    }

    /// Sends visitors back where a required gate has failed or an effect cannot be had.
    fn protect(&mut self) -> Result<bool, Refused> {
        if self.state.going_back() || self.state.way_back().is_err() {
            return Ok(false);
        }
        let visited = self.state.routed;
        let cause = match (self.does(), &self.state.failed) {
            (Some(Does::Hold { watch, .. }), _) => {
                let verdicts = &self.state.watch.verdicts;
                let failed = |gate: &str| verdicts.get(gate) == Some(&Verdict::Fail);
                let gate = watch.iter().find(|gate| gate.required && failed(&gate.gate));
                gate.map(|gate| Cause::Gate {
                    gate: gate.gate.clone(),
                    why: self.facts.iter().find(|fact| fact.what == gate.gate).map_or_else(
                        || "it failed before the controller was restarted".to_owned(),
                        |fact| fact.says.strip_prefix("fail: ").unwrap_or(&fact.says).to_owned(),
                    ),
                })
            }
            (Some(Does::Act(Act::Gate(gate))), Some(Outcome::Judged { verdict: Verdict::Fail, why })) => {
                Some(Cause::Gate { gate: gate.gate.clone(), why: why.clone() })
            }
            (Some(Does::Act(_)), Some(Outcome::Failed { why, lasting })) if !self.state.promoted => {
                (*lasting || self.state.tries >= MAX_ATTEMPTS).then(|| Cause::Effect {
                    id: EffectId {
                        rollout: self.state.plan.rollout.clone(),
                        step: self.state.cursor,
                        attempt: self.state.attempt,
                    },
                    why: why.clone(),
                })
            }
            _ => None,
        };
        let Some(cause) = cause else { return Ok(false) };
        self.undo(cause, visited)?;
        Ok(true)
    }

    /// Why trying again is a person's decision.
    fn hopeless(&self) -> Option<HeldFor> {
        if self.state.going_back() {
            return None;
        }
        let tries = self.state.tries;
        match (self.does()?, self.state.failed.as_ref()?) {
            (Does::Act(Act::Gate(gate)), Outcome::Judged { verdict, .. }) => {
                let over = match (verdict, gate.insufficient) {
                    (Verdict::Insufficient, Insufficient::Hold) => false,
                    (Verdict::Insufficient, Insufficient::Extend(by)) => {
                        self.now.saturating_sub(self.state.entered) >= by.0
                    }
                    (Verdict::Error, _) => tries >= MAX_GATE_ERRORS,
                    _ => true,
                };
                over.then(|| HeldFor::Gate { gate: gate.gate.clone(), verdict: *verdict })
            }
            (Does::Act(_), Outcome::Failed { why, lasting }) => {
                (*lasting || tries >= MAX_ATTEMPTS).then(|| HeldFor::Effect { why: why.clone() })
            }
            _ => None,
        }
    }

    /// Goes to the next step, or ends.
    fn leave(&mut self, why: Why) -> Result<bool, Refused> {
        let facts = std::mem::take(&mut self.facts);
        match self.state.cursor {
            Cursor::Forward(from) if from + 1 < self.state.plan.steps.len() => {
                self.put(Body::Advanced { from, to: from + 1, why, facts })?;
            }
            Cursor::Forward(_) => {
                let standby = matches!(self.does(), Some(Does::Act(Act::Standby { .. } | Act::Park { .. })));
                self.put(Body::Ended { how: End::Done { standby } })?;
            }
            Cursor::Undo { step, .. } => {
                let last = self.state.undo.as_ref().is_none_or(|undo| step + 1 >= undo.steps.len());
                self.put(match last {
                    true => Body::Ended { how: End::RolledBack },
                    false => Body::UndoAdvanced { from: step, to: step + 1, why, facts },
                })?;
            }
        }
        Ok(true)
    }
}
