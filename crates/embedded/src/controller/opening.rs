//! Opening a rollout: whoever is in the way gives way first, and what it goes from is known only then.

use std::{sync::Arc, time::Duration};

use cutover_engine::{
    Error, ErrorKind,
    config::{GateKind, ReadinessPolicy},
    control::{Progress, SwitchReport},
    planning::{self, Overrides},
    ports::{Ports as _, Router as _},
    rollout::{Act, Cause, Cursor, Does, End, Event, Millis, Plan, RolloutId, State},
    runner::Now,
    story,
};
use cutover_routing::{ReleaseId, Table};

use super::{
    Inner,
    deed::Deed,
    gating::not_passed,
    locked, missing,
    operation::Operation,
    promote::{promotable, unchanged},
    rollouts::{Asked, Known},
};
use crate::journal::RecordKind;

/// How long a rollout may take to give way: visitors have to go back, and a release may have to be stood up for that.
const PATIENCE: Duration = Duration::from_secs(120);

/// What a rollout is opened with.
#[derive(Debug)]
pub(super) struct Opening<'a> {
    pub(super) who: &'a str,
    /// Why gates are left out; none: none is.
    pub(super) skip_gates: Option<String>,
    /// Why it is opened.
    pub(super) reason: Option<String>,
    /// Everybody at once, whatever the release says.
    pub(super) instant: bool,
    /// Another strategy than the release's own.
    pub(super) strategy: Option<String>,
    /// The default it was decided on.
    pub(super) expected: Option<Option<ReleaseId>>,
    pub(super) progress: Progress,
}

impl Inner {
    /// Opens a rollout of a release that is ready for it, or joins the one of it that is under way.
    pub(super) async fn open_rollout(
        self: &Arc<Self>,
        id: &ReleaseId,
        opening: Opening<'_>,
    ) -> Result<RolloutId, Error> {
        let _held = self.rolling.opening.lock().await;
        let row = self.row(id).ok_or_else(|| missing(id))?;
        promotable(&row)?;
        if let Some(known) = self.under_way(id) {
            return Ok(known.state.plan.rollout);
        }
        if opening.skip_gates.is_none() {
            self.judgeable(&row).await?;
        }
        let loaded = self.load(id).await?;
        let mut overrides = Overrides {
            strategy: opening.instant.then_some(cutover_engine::rollout::Strategy::INSTANT),
            skip_gates: opening.skip_gates.is_some(),
        };
        if let Some(text) = &opening.strategy {
            overrides.strategy = Some(planning::read_strategy(&loaded.snapshot, text)?);
        }
        let rollout = Self::new_rollout()?;
        // What contradicts itself is refused before anybody has to give way.
        let default = self.current_table().default;
        if opening.expected.is_some_and(|expected| expected != default) {
            return Err(overtaken(&self.current_table(), id));
        }
        let first = planning::plan(&loaded.snapshot, &overrides, rollout.clone(), default, *id)?;
        planning::fits(&first, &self.runner()?.ports().router().capabilities())?;
        if let Some(blue) = default {
            let readiness = self.way_back_to(&blue).await;
            if let Some(lacking) = readiness.iter().find(|check| !check.ok) {
                let what =
                    format!("a rollback to {blue} would not work: {}: {}", lacking.what, lacking.detail);
                if loaded.snapshot.rollout.readiness == ReadinessPolicy::Refuse {
                    let reason = opening.skip_gates.as_ref().filter(|reason| !reason.trim().is_empty());
                    let Some(reason) = reason else { return Err(no_way_back(id, what)) };
                    let operation = Operation::new(opening.who, "promote", Some(*id), Some(reason.clone()))?;
                    let told = format!("goes on to {id} although {what}");
                    self.append(vec![operation.record(RecordKind::Note, told, None)]).await?;
                }
                opening.progress.say(format!("warning: {what}"));
            }
        }
        let runner = self.runner()?;
        self.step_aside(&rollout).await?;
        let blue = self.current_table().default;
        let plan = planning::plan(&loaded.snapshot, &overrides, rollout.clone(), blue, *id)?;
        let left_out = planning::left_out(&loaded.snapshot, &overrides);
        if let Some(warning) = unwatched(&plan) {
            opening.progress.say(format!("warning: {warning}"));
        }
        if !left_out.is_empty() {
            opening.progress.say(format!("not waiting for gates: {}", left_out.join(", ")));
        }
        self.rolling.ask(Asked {
            rollout: rollout.clone(),
            reason: opening.skip_gates.or(opening.reason),
            progress: opening.progress,
        });
        runner.say(&rollout, Event::Open { plan: Box::new(plan), by: opening.who.to_owned() }).await?;
        Ok(rollout)
    }

    /// Ends the rollout that is in the way of something else than another rollout, e.g. of a retirement. Before its
    /// promotion, visitors go back; afterwards what it owes to the release it left is the housekeeping's.
    pub(super) async fn give_way(self: &Arc<Self>, to: Deed, release: &ReleaseId) -> Result<(), Error> {
        let _held = self.rolling.opening.lock().await;
        self.step_aside(&to.name(release)?).await
    }

    /// Refuses other steps for a rollout that is under way: its plan is made once.
    pub(super) async fn keeps_its_steps(&self, id: &ReleaseId, strategy: Option<&str>) -> Result<(), Error> {
        let (Some(text), Some(known)) = (strategy, self.under_way(id)) else { return Ok(()) };
        let loaded = self.load(id).await?;
        let strategy = Some(planning::read_strategy(&loaded.snapshot, text)?);
        let overrides = Overrides { strategy, skip_gates: false };
        let plan = &known.state.plan;
        let rollout = &plan.rollout;
        let wanted = planning::plan(&loaded.snapshot, &overrides, rollout.clone(), plan.blue, *id)?;
        if way(&wanted) == way(plan) {
            return Ok(());
        }
        let what = format!("rollout {rollout} of {id} is under way with other steps than `{text}`");
        let mut error = Error::new(ErrorKind::Refused, "CUT0531", what);
        if wanted.moves().next().is_none() {
            error = error.hint(format!("`cutover promote {id}` sends everybody there at once"));
        }
        Err(error
            .hint("without `--strategy` the same command follows the rollout that is under way")
            .hint("`cutover rollback` ends it; afterwards it can be deployed with other steps"))
    }

    /// Waits until the rollout before this one is over.
    async fn step_aside(self: &Arc<Self>, successor: &RolloutId) -> Result<(), Error> {
        self.leave_strays().await?;
        let made = tokio::time::timeout(PATIENCE, self.runner()?.make_way(successor)).await;
        match made {
            // It ended while it was told to.
            Ok(Err(_)) if self.rolling.ledger.known().is_some_and(|known| !known.can_go_back()) => Ok(()),
            Ok(other) => other,
            Err(_) => {
                let now = self.runner()?.now();
                let why = now.map(|now| story::view(&now).waiting).unwrap_or_default();
                let what = "the rollout in progress does not come to an end";
                Err(Error::new(ErrorKind::Unavailable, "CUT0531", what)
                    .because(why)
                    .hint("visitors have to be back before another rollout begins; `cutover status` says what keeps them"))
            }
        }
    }

    /// The open rollout of a release, where visitors are on their way to it.
    pub(super) fn under_way(&self, green: &ReleaseId) -> Option<Known> {
        self.rolling.ledger.known().filter(|known| {
            let state = &known.state;
            state.plan.green == *green && state.ended.is_none() && !state.going_back()
        })
    }

    /// Whether nothing happens by itself any more, or visitors are back.
    pub(super) fn stopped(&self, state: &State) -> bool {
        let back = state.going_back() && (state.visitors_are_back() || state.failed.is_some());
        state.ended.is_some() || back || state.held.is_some() || state.paused.is_some() || self.asking(state)
    }

    /// Whether it waits for a person's answer to a gate.
    pub(super) fn asking(&self, state: &State) -> bool {
        let gate = match state.pending.as_ref().map(|pending| &pending.act) {
            Some(Act::Gate(gate)) => gate.gate.clone(),
            _ => return false,
        };
        self.is_approval(state, &gate)
    }

    /// Whether a gate of the rollout asks a person.
    pub(super) fn is_approval(&self, state: &State, gate: &str) -> bool {
        self.approval(state, gate).is_some()
    }

    /// What a gate of the rollout asks a person, if it does; nothing where it only wants a yes.
    pub(super) fn approval(&self, state: &State, gate: &str) -> Option<Option<String>> {
        let loaded = locked(&self.loaded).get(&state.plan.green).cloned()?;
        loaded.snapshot.gates.iter().find_map(|known| match &known.kind {
            GateKind::Approval(approval) if known.name == gate => Some(approval.message.clone()),
            _ => None,
        })
    }

    /// What became of a rollout that was to promote a release, as the answer to who asked for that.
    pub(super) fn promoted(&self, now: &Now) -> Result<SwitchReport, Error> {
        let (state, green) = (&now.state, now.state.plan.green);
        if arrived(state) {
            let known = locked(&self.rolling.switched).clone();
            let report = known.filter(|report| report.verb == "promote" && report.to == Some(green));
            return Ok(report.unwrap_or_else(|| SwitchReport {
                changed: true,
                from: state.plan.blue,
                generation: state.generation,
                message: format!("{green} is active"),
                ..unchanged("promote", &self.current_table(), green)
            }));
        }
        Err(self.not_promoted(now))
    }

    /// Why a release was not promoted.
    pub(super) fn not_promoted(&self, now: &Now) -> Error {
        let (state, green) = (&now.state, now.state.plan.green);
        let refused = |code, message: String| Error::new(ErrorKind::Refused, code, message);
        if let Some(End::Superseded { by, .. }) = &state.ended {
            // Whoever was overtaken on purpose is not told how to take over in turn.
            let error = overtaken(&self.current_table(), &green).because(format!("rollout {by} took over"));
            return Error { hints: Vec::new(), ..error };
        }
        let view = story::view(now);
        match state.undo.as_ref().map(|undo| &undo.cause) {
            Some(Cause::Gate { gate, why }) if !state.routed => {
                not_passed(&green, &[format!("gate {gate}: fail ({why})")])
            }
            Some(Cause::Effect { why, .. }) => match locked(&self.rolling.unready).get(&green) {
                Some(error) if !state.routed => error.clone(),
                _ => Error::new(ErrorKind::Failed, "CUT0507", format!("release {green} cannot be promoted"))
                    .because(why),
            },
            Some(Cause::Superseded { .. }) => {
                Error { hints: Vec::new(), ..overtaken(&self.current_table(), &green) }
            }
            Some(_) => {
                let back = view.undo.unwrap_or_default();
                refused("CUT0517", format!("release {green} was not promoted: {back}"))
            }
            None => {
                let why = view.held.or(view.paused).unwrap_or(view.waiting);
                let error = refused("CUT0531", format!("release {green} is not promoted yet: {why}"));
                match &state.held {
                    Some(held) => error.hint(story::help(&held.why)),
                    None => error.hint("`cutover status` shows what it waits for"),
                }
            }
        }
    }
}

/// Whether green is the default everywhere.
pub(super) fn arrived(state: &State) -> bool {
    if !state.promoted || state.going_back() {
        return false;
    }
    match state.cursor {
        Cursor::Forward(at) => {
            state.ended.is_some() || state.plan.promotion().is_none_or(|promotion| at > promotion + 1)
        }
        Cursor::Undo { .. } => false,
    }
}

/// Whether the first visitors have moved, everywhere.
pub(super) fn moved(state: &State) -> bool {
    let Some((first, _)) = state.plan.moves().next() else { return arrived(state) };
    matches!(state.cursor, Cursor::Forward(at) if at > first + 1) && !state.going_back()
}

/// How visitors move, and how long each step is held at least: what a strategy says.
fn way(plan: &Plan) -> Vec<(Option<&Act>, Millis)> {
    let steps = plan.steps.iter().filter_map(|step| match &step.does {
        Does::Act(act @ Act::Route(_)) => Some((Some(act), Millis(0))),
        Does::Hold { length, .. } => Some((None, *length)),
        _ => None,
    });
    steps.collect()
}

/// What is to be said of a plan that moves everybody at once and then looks at nothing.
pub(super) fn unwatched(plan: &Plan) -> Option<String> {
    let blue = plan.blue?;
    let watched =
        plan.steps.iter().any(|step| matches!(step.does, Does::Hold { length, .. } if length.0 > 0));
    (!watched).then(|| {
        format!(
            "nothing is watched after the promotion (`rollout.bake` is 0): whether the release is worse than {blue} is \
             for people to find, and `cutover rollback` for them to say"
        )
    })
}

fn no_way_back(id: &ReleaseId, what: String) -> Error {
    Error::new(ErrorKind::Refused, "CUT0532", what)
        .hint("mend that first")
        .hint(format!(
            "where the active release is what is broken: `cutover promote {id} --reason ...`, or `cutover deploy \
             --skip-gates ...`, goes on all the same; the reason is recorded"
        ))
        .hint("`rollout.readiness = \"warn\"` only warns")
}

fn overtaken(table: &Table, id: &ReleaseId) -> Error {
    let now = table.default.map_or_else(|| "none".to_owned(), |id| id.to_string());
    Error::new(
        ErrorKind::Refused,
        "CUT0517",
        format!("the active release changed to {now} while {id} was deployed"),
    )
    .hint(format!("`cutover promote {id}` makes it the active one all the same"))
}
