//! A controller that plays a script: each look at it shows the next picture, the last one for ever.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use cutover_engine::{
    Control, Error, ErrorKind, Table,
    control::{
        ApproveRequest, DeployReport, ExplainReport, ExplainRequest, HistoryEntry, PauseRequest, PlanReport,
        PlanRequest, PreviewReport, PreviewRequest, Progress, PromoteRequest, Release, Result, RetireReport,
        RetireRequest, RollbackRequest, RolloutReport, RolloutStory, RolloutView, StageReport, StageRequest,
        Status, SwitchReport, WithdrawRequest,
    },
};
use cutover_server::ServerOptions;
use serde_json::{Value, json};
use tokio::{runtime::Runtime, sync::broadcast};

use crate::support::Sandbox;

pub(crate) const BLUE: &str = "aaaaaaaa";
pub(crate) const GREEN: &str = "bbbbbbbb";

/// The controller; it ends when it is dropped.
pub(crate) struct Scripted {
    pub(crate) play: Arc<Play>,
    runtime: Option<Runtime>,
}

/// What it plays.
#[derive(Default)]
pub(crate) struct Play {
    views: Mutex<VecDeque<RolloutView>>,
    /// State of the green release.
    pub(crate) green: Mutex<String>,
    pub(crate) history: Mutex<Vec<HistoryEntry>>,
    /// What was asked for.
    pub(crate) said: Mutex<Vec<String>>,
}

impl Scripted {
    /// Begins to play beside the app in a sandbox, as if `up` ran there.
    pub(crate) fn play(sandbox: &Sandbox, views: Vec<RolloutView>) -> Self {
        let play = Arc::new(Play {
            views: Mutex::new(views.into()),
            green: Mutex::new("candidate".to_owned()),
            ..Play::default()
        });
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let control =
            json!({ "addr": listener.local_addr().unwrap().to_string(), "pid": std::process::id() });
        let serving = cutover_server::serve(
            listener,
            Arc::clone(&play),
            ServerOptions::new("token"),
            std::future::pending(),
        );
        runtime.spawn(serving);
        sandbox.write(".cutover/token", "token");
        sandbox.write(".cutover/control.json", &control.to_string());
        Self { play, runtime: Some(runtime) }
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// A rollout from blue to green at 5 % of the visitors, changed by `more`.
pub(crate) fn view(phase: &str, step: &str, more: Value) -> RolloutView {
    let mut view = json!({
        "id": "ro-1", "blue": BLUE, "green": GREEN, "phase": phase, "step": step, "waiting": "2m to go",
        "share": 500, "opened_at": 1000, "opened_by": "ann", "entered_at": 2000,
        "promoted": false, "baked": false,
        "plan": [
            { "stage": "shift", "does": "hold for 2m", "at": "now", "hold_ms": 120_000 },
            { "stage": "promote", "does": "make green the default", "at": "next" },
        ],
    });
    view.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(view).unwrap()
}

pub(crate) fn holding() -> RolloutView {
    view(
        "shifting",
        "shift 1 of 1: 5%",
        json!({ "hold": { "counted_ms": 30_000, "length_ms": 120_000, "counting": true } }),
    )
}

pub(crate) fn baked() -> RolloutView {
    view(
        "draining",
        "drain",
        json!({ "promoted": true, "baked": true, "share": 10_000, "waiting": "3 open requests" }),
    )
}

pub(crate) fn held() -> RolloutView {
    let gate = json!({ "gate": "errors", "required": true, "verdict": "insufficient", "why": "too few visitors", "age_ms": 5 });
    view(
        "held",
        "shift 1 of 1: 5%",
        json!({ "held": "gate errors has not enough evidence", "gates": [gate] }),
    )
}

pub(crate) fn asking() -> RolloutView {
    let gate = json!({ "gate": "sign-off", "required": true, "verdict": null, "why": "please look", "age_ms": 0, "asks": true });
    view("shifting", "shift 1 of 1: 5%, gate sign-off", json!({ "waiting": "an answer", "gates": [gate] }))
}

pub(crate) fn going_back() -> RolloutView {
    view("going-back", "return", json!({ "undo": "gate errors failed: 9 of 10", "waiting": "the table" }))
}

pub(crate) fn back() -> RolloutView {
    view("going-back", "drain", json!({ "undo": "gate errors failed: 9 of 10", "share": 0 }))
}

pub(crate) fn superseded() -> RolloutView {
    view("superseded", "shift 1 of 1: 5%", json!({ "superseded_by": "ro-2", "share": 0 }))
}

impl Play {
    fn say(&self, said: String) {
        self.said.lock().unwrap().push(said);
    }

    /// The next picture.
    fn next(&self) -> Option<RolloutView> {
        let mut views = self.views.lock().unwrap();
        if views.len() > 1 { views.pop_front() } else { views.front().cloned() }
    }

    fn last(&self) -> Option<RolloutView> {
        self.views.lock().unwrap().back().cloned()
    }

    fn release(&self, id: &str) -> Release {
        let state = if id == GREEN { self.green.lock().unwrap().clone() } else { "active".to_owned() };
        serde_json::from_value(json!({
            "id": id, "name": if id == GREEN { "two" } else { "one" }, "state": state, "slot": null,
            "staged_at": 0, "staged_by": "ann", "files": 1, "bytes": 2, "components": [],
            "usage": { "in_flight": 0, "open_streams": 0, "requests": 10, "server_errors": 0 },
        }))
        .unwrap()
    }

    fn told(&self, said: String) -> Result<RolloutReport> {
        self.say(said);
        let rollout = self.next().ok_or_else(nothing)?;
        Ok(RolloutReport { rollout, changed: true, message: "done".to_owned() })
    }
}

fn nothing() -> Error {
    Error::new(ErrorKind::Refused, "CUT0530", "no rollout is in progress")
}

fn unplayed<T>() -> Result<T> {
    Err(Error::new(ErrorKind::Internal, "CUT0657", "the script has no such scene"))
}

impl Control for Play {
    async fn stage(&self, _: &str, _: StageRequest, _: Progress) -> Result<StageReport> {
        unplayed()
    }

    async fn deploy(&self, _: &str, request: StageRequest, progress: Progress) -> Result<DeployReport> {
        self.say(format!("deploy {:?} {:?}", request.strategy, request.skip_gates));
        if request.name.as_deref() == Some("endless") {
            progress.say("staging for ever");
            std::future::pending::<()>().await;
        }
        let stage = StageReport { release: self.release(GREEN), created: true, took_ms: 5 };
        Ok(DeployReport { stage, gates: Vec::new(), switch: None, rollout: self.next() })
    }

    async fn promote(&self, _: &str, request: PromoteRequest, _: Progress) -> Result<SwitchReport> {
        self.say(format!("promote {:?} {:?}", request.release, request.reason));
        let report = json!({
            "verb": "promote", "from": BLUE, "to": BLUE, "changed": true, "generation": 5, "took_us": 9,
            "message": "on to promote",
        });
        Ok(serde_json::from_value(report).unwrap())
    }

    async fn rollback(&self, _: &str, _: RollbackRequest) -> Result<SwitchReport> {
        unplayed()
    }

    async fn withdraw(&self, _: &str, _: &str, _: WithdrawRequest) -> Result<SwitchReport> {
        unplayed()
    }

    async fn retire(&self, _: &str, _: &str, _: RetireRequest) -> Result<RetireReport> {
        unplayed()
    }

    async fn preview(&self, _: &str, _: &str, _: PreviewRequest) -> Result<PreviewReport> {
        unplayed()
    }

    async fn status(&self) -> Result<Status> {
        let rollout = self.next();
        let active = match &rollout {
            Some(view) if view.promoted => GREEN,
            _ => BLUE,
        };
        let status = json!({
            "app": "shop", "host": "shop.test", "url": "http://shop.test/", "generation": 5, "active": active,
            "candidate": null, "rollback_to": null, "shares": {}, "parity": [], "warnings": [],
            "releases": [self.release(GREEN), self.release(BLUE)], "rollout": rollout,
        });
        Ok(serde_json::from_value(status).unwrap())
    }

    async fn releases(&self) -> Result<Vec<Release>> {
        Ok(vec![self.release(GREEN), self.release(BLUE)])
    }

    async fn history(&self, _: u32) -> Result<Vec<HistoryEntry>> {
        Ok(self.history.lock().unwrap().clone())
    }

    async fn table(&self) -> Result<Table> {
        Ok(Table::empty())
    }

    async fn explain_request(&self, _: ExplainRequest) -> Result<ExplainReport> {
        unplayed()
    }

    async fn metrics(&self) -> String {
        String::new()
    }

    async fn pause(&self, _: &str, request: PauseRequest) -> Result<RolloutReport> {
        self.told(format!("pause {:?}", request.reason))
    }

    async fn resume(&self, _: &str, request: PauseRequest) -> Result<RolloutReport> {
        self.told(format!("resume {:?}", request.reason))
    }

    async fn approve(&self, _: &str, request: ApproveRequest) -> Result<RolloutReport> {
        self.told(format!("approve {:?} {} {:?}", request.gate, request.reject, request.reason))
    }

    async fn plan(&self, request: PlanRequest) -> Result<PlanReport> {
        let config = request.config.is_some();
        self.say(format!("plan {:?} {:?}, description: {config}", request.release, request.strategy));
        let plan = json!({
            "blue": BLUE, "green": null, "strategy": "instant", "steps": [], "shortest_ms": 0,
            "visitors_per_second": null, "warnings": [],
        });
        Ok(serde_json::from_value(plan).unwrap())
    }

    async fn rollouts(&self, limit: u32) -> Result<Vec<RolloutView>> {
        self.say(format!("rollouts {limit}"));
        Ok(self.last().into_iter().collect())
    }

    async fn explain_rollout(&self, rollout: &str) -> Result<RolloutStory> {
        self.say(format!("explain rollout {rollout}"));
        let rollout = self.last().ok_or_else(nothing)?;
        Ok(RolloutStory { rollout, lines: Vec::new(), history: Vec::new() })
    }

    fn events(&self) -> broadcast::Receiver<HistoryEntry> {
        broadcast::channel(1).1
    }
}
