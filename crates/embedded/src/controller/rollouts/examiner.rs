//! Gates that are run once: through the edge, by preview token, remembered for exactly this content; and those that ask a
//! person.

use std::{sync::Arc, time::Duration};

use cutover_engine::{
    config::{ApprovalGate, Gate, GateKind},
    control,
    ports::{Examined, Examiner},
    rollout::{Body, Cursor, EffectId, Millis, Plan, Stage, Watched, judge::Verdict},
};

use super::Home;
use crate::{
    controller::{Inner, gating::word, missing, operation::Operation, unix_ms},
    gates::run_gate,
    journal::Word,
};

/// The gates of this machine.
#[derive(Debug)]
pub(in super::super) struct GateExaminer(pub(super) Home);

impl Examiner for GateExaminer {
    async fn examine(&self, plan: &Plan, id: &EffectId, gate: &Watched) -> Examined {
        let broken = |why: String| Examined { verdict: Verdict::Error, why };
        let Some(inner) = self.0.inner() else { return broken("the program is ending".to_owned()) };
        let loaded = match inner.load(&plan.green).await {
            Ok(loaded) => loaded,
            Err(error) => return broken(error.to_string()),
        };
        let Some(found) = loaded.snapshot.gates.iter().find(|known| known.name == gate.gate) else {
            return broken(format!("release {} has no gate {}", plan.green, gate.gate));
        };
        match &found.kind {
            GateKind::Approval(approval) => {
                let (found, approval) = (found.clone(), approval.clone());
                drop((inner, loaded));
                self.ask_a_person(id, &found, &approval).await
            }
            _ => inner.examine(plan, id, found).await.unwrap_or_else(|error| broken(error.to_string())),
        }
    }
}

impl Inner {
    async fn examine(
        self: &Arc<Self>,
        plan: &Plan,
        id: &EffectId,
        gate: &Gate,
    ) -> Result<Examined, cutover_engine::Error> {
        let green = plan.green;
        let row = self.row(&green).ok_or_else(|| missing(&green))?;
        let before_traffic = match id.step {
            Cursor::Forward(step) => plan.steps.get(step).is_some_and(|step| step.stage == Stage::Test),
            Cursor::Undo { .. } => false,
        };
        let passed =
            row.gates.iter().find(|known| known.name == gate.name && known.verdict == control::Verdict::Pass);
        if let Some(passed) = passed.filter(|_| before_traffic) {
            // It is the same content: what was found out about it stands.
            return Ok(Examined { verdict: Verdict::Pass, why: passed.detail.clone() });
        }
        let progress = self.rolling.progress(&green);
        progress.say(format!("gate {}: running", gate.name));
        let target = self.gate_target(&green, row.base).await?;
        let result = run_gate(gate, &target).await;
        self.rolling.accept(None);
        let verdict = verdict(result.verdict);
        progress.say(format!("gate {}: {} ({})", gate.name, word(result.verdict), result.detail));
        let who = self.rolling.ledger.known().map(|known| known.opened_by);
        let operation = Operation::new(who.as_deref().unwrap_or("cutover"), "gate", Some(green), None)?;
        let kept = self.remember(&operation, &green, &result).await;
        self.trouble("journal", kept.err().map(|error| error.to_string()));
        Ok(Examined { verdict, why: result.detail })
    }
}

impl GateExaminer {
    /// Waits for a person's answer, which a restart does not forget. Whoever waits here keeps no controller alive.
    async fn ask_a_person(&self, id: &EffectId, gate: &Gate, approval: &ApprovalGate) -> Examined {
        let ending = || Examined { verdict: Verdict::Error, why: "the program is ending".to_owned() };
        let asks = approval.message.clone().unwrap_or_else(|| "a person has to agree".to_owned());
        let Some(known) = self.0.inner().and_then(|inner| inner.rolling.ledger.known()) else {
            return ending();
        };
        let green = known.state.plan.green;
        let asked_at = match self.asked_at(id).await {
            Ok(asked_at) => asked_at.unwrap_or(known.state.entered),
            Err(error) => return Examined { verdict: Verdict::Error, why: error.to_string() },
        };
        let waiting = format!("gate {}: waiting for a person: {asks}", gate.name);
        if let Some(inner) = self.0.inner() {
            inner.rolling.progress(&green).say(waiting);
        }
        loop {
            let Some(inner) = self.0.inner() else { return ending() };
            let words = Arc::clone(&inner.rolling.words);
            let rung = words.notified();
            let (rollout, step, name) = (id.rollout.clone(), id.step, gate.name.clone());
            match inner.journal.blocking(move |journal| journal.word(&rollout, step, &name)).await {
                Ok(Some(word)) => {
                    inner.rolling.accept(None);
                    return answer(&word);
                }
                Ok(None) => {}
                Err(error) => return Examined { verdict: Verdict::Error, why: error.to_string() },
            }
            drop(inner);
            let Some(timeout) = approval.timeout else {
                rung.await;
                continue;
            };
            let passed = Duration::from_millis(unix_ms().saturating_sub(asked_at));
            if passed >= timeout {
                let within = Millis(u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX));
                let why = format!("nobody has answered in {within}: {asks}");
                return Examined { verdict: Verdict::Fail, why };
            }
            // Answered in the last moment is answered: the journal is looked at once more.
            let _ = tokio::time::timeout(timeout.saturating_sub(passed), rung).await;
        }
    }

    /// When the question was first asked, Unix milliseconds, whatever came between: another attempt, a restart.
    async fn asked_at(&self, id: &EffectId) -> Result<Option<u64>, cutover_engine::Error> {
        let Some(inner) = self.0.inner() else { return Ok(None) };
        let rollout = id.rollout.clone();
        let records = inner.journal.blocking(move |journal| journal.rollout(&rollout)).await?;
        let asked = records
            .iter()
            .find(|record| matches!(&record.body, Body::Intent { id: first, .. } if first.step == id.step));
        Ok(asked.map(|record| record.at))
    }
}

fn answer(word: &Word) -> Examined {
    let reason = word.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    match word.agrees {
        true => Examined { verdict: Verdict::Pass, why: format!("{} agreed{reason}", word.who) },
        false => Examined { verdict: Verdict::Fail, why: format!("{} said no{reason}", word.who) },
    }
}

/// A gate's verdict in the words of rollouts.
pub(super) fn verdict(found: control::Verdict) -> Verdict {
    match found {
        control::Verdict::Pass => Verdict::Pass,
        control::Verdict::Fail => Verdict::Fail,
        control::Verdict::Insufficient => Verdict::Insufficient,
        control::Verdict::Error => Verdict::Error,
    }
}
