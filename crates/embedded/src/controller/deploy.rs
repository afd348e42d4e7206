//! Deploying: a release is staged and its rollout opened; answered when the rollout first rests.

use std::sync::Arc;

use cutover_engine::{
    Error,
    control::{DeployReport, GateResult, Progress, StageReport, StageRequest},
    rollout::State,
    runner::Now,
};
use cutover_routing::ReleaseId;

use super::{
    Inner,
    opening::{Opening, arrived, moved},
    operation::Operation,
    promote::unchanged,
};

impl Inner {
    pub(super) async fn deploy(
        self: Arc<Self>,
        who: String,
        request: StageRequest,
        progress: Progress,
    ) -> Result<DeployReport, Error> {
        let held = self.prepare.lock().await;
        if let Some(strategy) = &request.strategy {
            // What makes no sense is refused before anything is staged.
            let config = self.read_config(&request.config).await?;
            cutover_engine::planning::read_strategy(&config.snapshot(), strategy)?;
        }
        let default = self.current_table().default;
        let mut stage = self.stage_held(&held, &who, &request, &progress).await?;
        let id = stage.release.id;
        self.not_being_left(&id)?;
        let table = self.current_table();
        if table.default == Some(id) {
            self.relabel(&mut stage, &who, &request).await?;
            let gates = stage.release.gates.clone();
            let switch = Some(unchanged("promote", &table, id));
            return Ok(DeployReport { stage, gates, switch, rollout: None });
        }
        self.keeps_its_steps(&id, request.strategy.as_deref()).await?;
        let operation = Operation::new(&who, "deploy", Some(id), request.skip_gates.clone())?;
        self.begin(&operation).await?;
        let _busy = self.work_on(id);
        let opening = Opening {
            who: &who,
            skip_gates: request.skip_gates.clone(),
            reason: None,
            instant: false,
            strategy: request.strategy.clone(),
            expected: Some(default),
            progress: progress.clone(),
        };
        let rolled = async {
            let rollout = self.open_rollout(&id, opening).await?;
            // The rollout keeps what it needs: others may stage while it goes on.
            drop(held);
            let rests = |now: &Now| moved(&now.state) || self.stopped(&now.state);
            let now = self.runner()?.until(&rollout, rests).await?;
            self.deployed(&now).map(|()| now)
        };
        match rolled.await {
            Ok(now) => Ok(self.deploy_report(&operation, &now, stage, &who, &request).await),
            Err(error) => {
                let withdrawn = self.row(&id).is_some_and(|row| row.barred.is_some());
                let what = if withdrawn { "is withdrawn" } else { "stays staged" };
                let error = error.hint(format!("release {id} {what}; no visitor was sent to it"));
                Err(self.fail(&operation, true, error).await)
            }
        }
    }

    /// An error where the rollout came to nothing before any visitor moved.
    fn deployed(&self, now: &Now) -> Result<(), Error> {
        let state = &now.state;
        let nothing = !state.routed && (state.going_back() || state.ended.is_some());
        let overtaken =
            matches!(state.ended, Some(cutover_engine::rollout::End::Superseded { promoted: false, .. }));
        if nothing || overtaken { Err(self.not_promoted(now)) } else { Ok(()) }
    }

    async fn deploy_report(
        self: &Arc<Self>,
        operation: &Operation,
        now: &Now,
        mut stage: StageReport,
        who: &str,
        request: &StageRequest,
    ) -> DeployReport {
        let (id, state) = (stage.release.id, &now.state);
        let switch = arrived(state).then(|| self.promoted(now).ok()).flatten();
        let view = self.seen(now);
        let took = stage.took_ms + operation.took_ms();
        let message = match &switch {
            Some(_) => format!("deployed {id} in {took} ms"),
            None => format!("deployed {id} in {took} ms so far: {}", so_far(state, &id, &view)),
        };
        self.end(operation, message, Some(self.current_table().generation)).await;
        // The visitors are there; that a label cannot be written does not undo it.
        let labelled = self.relabel(&mut stage, who, request).await;
        self.trouble(format!("labels of {id}"), labelled.err().map(|error| error.to_string()));
        let gates: Vec<GateResult> = self.row(&id).map(|row| row.gates).unwrap_or_default();
        DeployReport { stage, gates, switch, rollout: Some(view) }
    }
}

fn so_far(state: &State, id: &ReleaseId, view: &cutover_engine::control::RolloutView) -> String {
    if let Some(why) = view.undo.as_ref().or(view.held.as_ref()).or(view.paused.as_ref()) {
        return why.clone();
    }
    let share = cutover_engine::rollout::To::Share(state.share);
    format!("{share} of the visitors go to {id}; {}", view.waiting)
}
