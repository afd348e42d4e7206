//! What people say to the open rollout beside sending it on or back: pause, resume, an answer to a gate that asks.

use std::sync::Arc;

use cutover_engine::{
    Error, ErrorKind,
    control::{ApproveRequest, PauseRequest, RolloutReport},
    rollout::{Act, Cursor, Event, RolloutId, State},
    runner::{Now, Refusal},
};

use super::{Inner, operation::Operation, rollouts::Known, unix_ms};
use crate::journal::{RecordKind, Word, Write};

impl Inner {
    pub(super) async fn pause(
        self: Arc<Self>,
        who: String,
        request: PauseRequest,
    ) -> Result<RolloutReport, Error> {
        let rollout = self.open_one()?.state.plan.rollout;
        let said = self.runner()?.say(&rollout, Event::Pause { by: who, reason: request.reason }).await;
        self.reported(&rollout, said, "is paused", "is paused already")
    }

    pub(super) async fn resume(
        self: Arc<Self>,
        who: String,
        request: PauseRequest,
    ) -> Result<RolloutReport, Error> {
        let rollout = self.open_one()?.state.plan.rollout;
        let said = self.runner()?.say(&rollout, Event::Resume { by: who.clone() }).await;
        if let (Ok(now), Some(reason)) = (&said, request.reason) {
            // The record has no place for it.
            let operation = Operation::new(&who, "resume", Some(now.state.plan.green), Some(reason))?;
            let note = operation.record(RecordKind::Note, format!("resumed rollout {rollout}"), None);
            self.append(vec![note]).await?;
        }
        self.reported(&rollout, said, "goes on", "is neither paused nor held")
    }

    pub(super) async fn approve(
        self: Arc<Self>,
        who: String,
        request: ApproveRequest,
    ) -> Result<RolloutReport, Error> {
        let reason = request.reason.filter(|reason| !reason.trim().is_empty());
        if request.reject && reason.is_none() {
            return Err(Error::new(ErrorKind::Invalid, "CUT0511", "saying no needs a reason")
                .hint("say why with --reason; it is recorded"));
        }
        let known = self.open_one()?;
        let (rollout, green) = (&known.state.plan.rollout, known.state.plan.green);
        let asking = self.asking_now(&known.state);
        let Some((step, gate)) =
            asking.filter(|(_, gate)| request.gate.as_ref().is_none_or(|one| one == gate))
        else {
            if let Some(report) = self.answered_so(rollout, &request.gate, !request.reject).await? {
                return Ok(report);
            }
            let what = match &request.gate {
                Some(gate) => format!("gate {gate} of rollout {rollout} does not ask anybody now"),
                None => format!("no gate of rollout {rollout} asks anybody now"),
            };
            return Err(Error::new(ErrorKind::Refused, "CUT0531", what)
                .hint("`cutover status` shows what it waits for"));
        };
        let word = Word { at: unix_ms(), who: who.clone(), agrees: !request.reject, reason: reason.clone() };
        let (named, asked) = (rollout.clone(), gate.clone());
        self.journal.blocking(move |journal| journal.keep_word(&named, step, &asked, &word)).await?;
        let operation = Operation::new(&who, "approve", Some(green), reason)?;
        let says = if request.reject { "said no to" } else { "agreed to" };
        let note = operation.record(RecordKind::Note, format!("{says} gate {gate} of {green}"), None);
        self.write(Write { records: vec![note], ..Write::default() }).await?;
        self.rolling.words.notify_waiters();
        let runner = self.runner()?;
        // One that has timed out before is asked once more.
        if known.state.held.is_some() {
            let _ = runner.say(rollout, Event::Resume { by: who }).await;
        }
        let heard = |now: &Now| self.asking_now(&now.state).is_none_or(|(at, _)| at != step);
        let now = runner.until(rollout, heard).await?;
        let view = self.seen(&now);
        let message = format!("{says} gate {gate}: {}", view.waiting);
        Ok(RolloutReport { rollout: view, changed: true, message })
    }

    /// What there is to say to whoever gives an answer once more that has just been given and heard.
    async fn answered_so(
        &self,
        rollout: &RolloutId,
        gate: &Option<String>,
        agrees: bool,
    ) -> Result<Option<RolloutReport>, Error> {
        let (named, gate) = (rollout.clone(), gate.clone());
        let last = self.journal.blocking(move |journal| journal.last_word(&named, gate.as_deref())).await?;
        let Some((gate, word)) = last.filter(|(_, word)| word.agrees == agrees) else { return Ok(None) };
        let said = if agrees { "agreed" } else { "said no" };
        let message = format!("gate {gate} is answered already: {} {said}", word.who);
        let now = self.runner()?.find(rollout);
        Ok(now.map(|now| RolloutReport { rollout: self.seen(&now), changed: false, message }))
    }

    /// The step and the name of the gate that waits for a person.
    fn asking_now(&self, state: &State) -> Option<(Cursor, String)> {
        let step = state.step()?;
        let cutover_engine::rollout::Does::Act(Act::Gate(gate)) = &step.does else { return None };
        (state.ended.is_none() && !state.done && self.is_approval(state, &gate.gate))
            .then(|| (state.cursor, gate.gate.clone()))
    }

    pub(super) fn open_one(&self) -> Result<Known, Error> {
        let known = self.rolling.ledger.known().filter(|known| known.state.ended.is_none());
        known.ok_or_else(|| {
            Error::new(ErrorKind::Refused, "CUT0530", "no rollout is in progress")
                .hint("`cutover deploy` begins one; `cutover promote RELEASE` promotes a release at once")
        })
    }

    fn reported(
        &self,
        rollout: &RolloutId,
        said: Result<Arc<Now>, Refusal>,
        done: &str,
        already: &str,
    ) -> Result<RolloutReport, Error> {
        let (now, changed) = match said {
            Ok(now) => (now, true),
            Err(refusal) if refusal.is_already_so() => match self.runner()?.find(rollout) {
                Some(now) => (now, false),
                None => return Err(refusal.into()),
            },
            Err(refusal) => return Err(refusal.into()),
        };
        let what = if changed { done } else { already };
        let message = format!("rollout {rollout} {what}");
        Ok(RolloutReport { rollout: self.seen(&now), changed, message })
    }
}
