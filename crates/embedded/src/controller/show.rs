//! What is told of rollouts: what one would do, what they did, and why.

use std::sync::Arc;

use cutover_engine::{
    Error, ErrorKind,
    control::{PlanReport, PlanRequest, RolloutStory, RolloutView, Verdict},
    planning::{self, Overrides, Traffic},
    ports::Router as _,
    rollout::{Act, Does, Plan, Record, RolloutId},
    runner::Now,
    story,
};
use cutover_routing::ReleaseId;

use super::{Inner, deed::Deed, opening};

/// Lines of history that are looked through for those of a rollout's releases.
const HISTORY: u32 = 2_000;

impl Inner {
    /// The newest rollout, open or over.
    pub(super) fn rollout_view(&self) -> Option<RolloutView> {
        self.runner().ok()?.now().map(|now| self.seen(&now))
    }

    /// A rollout as people see it: what its records say, and which of its gates ask them.
    pub(super) fn seen(&self, now: &Now) -> RolloutView {
        let mut view = story::view(now);
        for gate in view.gates.iter_mut().filter(|gate| gate.verdict != Some(Verdict::Pass)) {
            let Some(message) = self.approval(&now.state, &gate.gate) else { continue };
            gate.asks = true;
            if gate.verdict.is_none() {
                gate.why = message.unwrap_or_else(|| "a person has to agree".to_owned());
                if view.held.is_none() && view.paused.is_none() {
                    view.waiting = format!("gate {} waits for an answer: {}", gate.gate, gate.why);
                }
            }
        }
        view
    }

    pub(super) async fn rollouts_view(&self, limit: u32) -> Result<Vec<RolloutView>, Error> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let names = self.journal.blocking(move |journal| journal.rollouts(limit)).await?;
        let mut views = Vec::with_capacity(names.len());
        for name in names {
            match self.view_of(&name).await {
                Ok(found) => views.extend(found.map(|(view, _)| view)),
                // One that is damaged hides no other; asked for by name, it says so.
                Err(error) if matches!(error.code.as_str(), "CUT0534" | "CUT0602") => {
                    tracing::warn!(rollout = %name, %error, "left out");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(views)
    }

    async fn view_of(&self, rollout: &RolloutId) -> Result<Option<(RolloutView, Vec<Record>)>, Error> {
        let name = rollout.clone();
        let records = self.journal.blocking(move |journal| journal.rollout(&name)).await?;
        let shown = self.runner().ok().and_then(|runner| runner.find(rollout)).map(|now| self.seen(&now));
        let view = match shown {
            Some(view) => Some(view),
            None => story::view_of(&records).map_err(|why| {
                Error::new(
                    ErrorKind::Failed,
                    "CUT0534",
                    format!("the records of rollout {rollout} do not add up"),
                )
                .because(why)
            })?,
        };
        Ok(view.map(|view| (view, records)))
    }

    pub(super) async fn explain_rollout(&self, text: &str) -> Result<RolloutStory, Error> {
        let name = match text.parse::<RolloutId>() {
            Ok(name) => Some(name),
            Err(_) => {
                let green = self.resolve(text)?.id;
                self.journal.blocking(move |journal| journal.rollout_of(&green)).await?
            }
        };
        let found = match &name {
            Some(name) => self.view_of(name).await?,
            None => None,
        };
        let Some((rollout, records)) = found else {
            if let Some(told) = name.as_ref().and_then(Deed::told) {
                return Err(Error::new(ErrorKind::NotFound, "CUT0530", told)
                    .hint("`cutover explain rollout` of the one that gave way has its story"));
            }
            return Err(Error::new(ErrorKind::NotFound, "CUT0530", format!("there is no rollout {text}"))
                .hint("`cutover history` names them; a release has one once it was deployed or promoted"));
        };
        let (from, to) = (rollout.opened_at, rollout.ended_at.unwrap_or(u64::MAX));
        let about = |release: Option<ReleaseId>| release == Some(rollout.green) || release == rollout.blue;
        let history = self.journal.blocking(|journal| journal.history(HISTORY)).await?;
        let mut history: Vec<_> = history
            .into_iter()
            .filter(|entry| {
                (from..=to).contains(&entry.at) && entry.release.is_some() && about(entry.release)
            })
            .collect();
        history.reverse();
        Ok(RolloutStory { lines: story::lines(&records), rollout, history })
    }

    pub(super) async fn plan_view(self: Arc<Self>, request: PlanRequest) -> Result<PlanReport, Error> {
        let table = self.current_table();
        let green = match &request.release {
            Some(text) => Some(self.resolve(text)?.id),
            None if request.config.is_none() => match self.to_send_on().await? {
                Some(known) if !known.state.promoted => Some(known.state.plan.green),
                _ => self.waiting().await?,
            },
            None => None,
        };
        let snapshot = match (&green, &request.config) {
            (Some(green), _) => self.load(green).await?.snapshot.clone(),
            (None, Some(file)) => self.read_config(file).await?.snapshot(),
            (None, None) => {
                return Err(Error::new(
                    ErrorKind::Refused,
                    "CUT0515",
                    "there is no staged release to plan for",
                )
                .hint("name a release, or the app description of one that is to be staged"));
            }
        };
        let strategy =
            request.strategy.as_deref().map(|text| planning::read_strategy(&snapshot, text)).transpose()?;
        let overrides = Overrides { strategy, skip_gates: false };
        // What is not staged has no id yet: a name of the right form stands for it.
        let stand_in: ReleaseId = "00000000".parse().map_err(|error| {
            Error::new(ErrorKind::Internal, "CUT0599", "naming a release that is not there yet")
                .because(error)
        })?;
        let plan = planning::plan(
            &snapshot,
            &overrides,
            Self::new_rollout()?,
            table.default,
            green.unwrap_or(stand_in),
        )?;
        let traffic = self.traffic(table.default.as_ref(), &snapshot).await;
        let mut steps = story::steps(&plan, None);
        for step in &mut steps {
            step.at = cutover_engine::control::StepAt::Next;
        }
        self.add_calls(&plan, &mut steps)?;
        if green.is_none() {
            steps.iter_mut().for_each(|step| unnamed(step, &stand_in));
        }
        if green.is_none() {
            let calls = steps.iter_mut().flat_map(|step| {
                let calls = step.calls.iter_mut().flat_map(|call| [&mut call.does, &mut call.reverse]);
                calls.chain([&mut step.does])
            });
            for words in calls {
                *words = words.replace(stand_in.as_str(), "the new release");
            }
        }
        let mut warnings: Vec<String> = opening::unwatched(&plan).into_iter().collect();
        for one in planning::forecast(&snapshot, &plan, &traffic) {
            let told = forecast(&one);
            if one.longer_than_hold() {
                warnings.push(format!("{told}: longer than the hold"));
            }
            if let Some(step) = steps.get_mut(one.step) {
                step.forecast.push(told);
            }
        }
        let left_out = planning::left_out(&snapshot, &overrides);
        if !left_out.is_empty() {
            warnings.push(format!("gates without a place in these steps: {}", left_out.join(", ")));
        }
        if let Some(blue) = table.default {
            let checks = self.way_back_to(&blue).await;
            let lacking = checks.into_iter().filter(|check| !check.ok);
            warnings.extend(
                lacking.map(|check| format!("going back to {blue}: {}: {}", check.what, check.detail)),
            );
        }
        let strategy = overrides
            .strategy
            .as_ref()
            .map_or_else(|| snapshot.rollout.strategy.text().to_owned(), ToString::to_string);
        Ok(PlanReport {
            blue: table.default,
            green,
            strategy,
            steps,
            shortest_ms: plan.shortest().0,
            visitors_per_second: traffic.per_second,
            warnings,
        })
    }

    fn add_calls(&self, plan: &Plan, steps: &mut [cutover_engine::control::StepView]) -> Result<(), Error> {
        let runner = self.runner()?;
        let router = cutover_engine::ports::Ports::router(&**runner.ports());
        for (step, view) in plan.steps.iter().zip(steps) {
            if let Does::Act(Act::Route(change)) = &step.does {
                view.calls = router.plan(change);
            }
        }
        Ok(())
    }

    /// What visitors make of the release that is active.
    async fn traffic(
        &self,
        blue: Option<&ReleaseId>,
        snapshot: &cutover_engine::config::Snapshot,
    ) -> Traffic {
        let none = Traffic { per_second: None, errors: 0.0, slow: 0.0 };
        let Some(blue) = blue else { return none };
        let totals = self.edge.latency(blue);
        let seconds = super::unix_ms().saturating_sub(self.opened_at) as f64 / 1000.0;
        if totals.requests == 0 || seconds <= 0.0 {
            return none;
        }
        let slow = snapshot.rollout.slow;
        let shares = [0.5, 0.75, 0.9, 0.95, 0.99, 0.999];
        let fast =
            shares.into_iter().rev().find(|share| totals.quantile(*share).is_some_and(|at| at <= slow));
        Traffic {
            per_second: Some(totals.requests as f64 / seconds),
            errors: totals.error_rate().unwrap_or(0.0),
            slow: 1.0 - fast.unwrap_or(0.0),
        }
    }
}

/// A release that is not there yet, in words instead of the name that stands for it.
fn unnamed(step: &mut cutover_engine::control::StepView, stand_in: &ReleaseId) {
    let say = |text: &mut String| *text = text.replace(stand_in.as_str(), "the new release");
    say(&mut step.does);
    for call in &mut step.calls {
        [&mut call.does, &mut call.reverse, &mut call.meanwhile].into_iter().for_each(say);
    }
}

fn forecast(one: &planning::StepForecast) -> String {
    let time = |time: Option<cutover_engine::rollout::Millis>| {
        time.map_or_else(|| "a time nobody knows without traffic".to_owned(), |time| format!("about {time}"))
    };
    let number = |count: Option<u64>| {
        count.map_or_else(
            || "more visitors than can be waited for".to_owned(),
            |count| format!("{count} visitors"),
        )
    };
    format!(
        "gate {}: to pass {} ({}), to see a difference of that size {} ({})",
        one.gate,
        number(one.to_pass),
        time(one.time_to_pass),
        number(one.to_fail),
        time(one.time_to_fail)
    )
}

#[cfg(test)]
mod tests {
    use cutover_engine::{
        control::{StepAt, StepView},
        ports::Call,
    };

    use super::*;

    #[test]
    fn a_release_that_is_not_staged_is_not_named_by_what_stands_for_it() {
        let mut step = StepView {
            stage: "prepare".to_owned(),
            does: "stand 00000000 up".to_owned(),
            at: StepAt::Next,
            hold_ms: None,
            calls: vec![Call {
                does: "send 5% to 00000000".to_owned(),
                reverse: "cutover rollback".to_owned(),
                meanwhile: "nothing".to_owned(),
            }],
            forecast: Vec::new(),
        };
        unnamed(&mut step, &"00000000".parse().unwrap());
        assert_eq!(step.does, "stand the new release up");
        assert_eq!(step.calls[0].does, "send 5% to the new release");
    }
}
