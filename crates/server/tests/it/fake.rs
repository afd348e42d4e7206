//! A control without an app: it notes what it is asked and answers what a test put there.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use cutover_engine::{
    Control, Error, ErrorKind, ReleaseId, Table,
    control::{
        ApproveRequest, DeployReport, ExplainReport, ExplainRequest, HistoryEntry, PauseRequest, PlanReport,
        PlanRequest, PreviewReport, PreviewRequest, Progress, PromoteRequest, Release, ReleaseUsage, Result,
        RetireReport, RetireRequest, RollbackRequest, RolloutReport, RolloutStory, RolloutView, StageReport,
        StageRequest, Status, SwitchReport, WithdrawRequest,
    },
};
use cutover_server::ServerOptions;
use tokio::{
    net::TcpListener,
    sync::{Semaphore, broadcast, oneshot},
    task::JoinHandle,
};

use crate::{client::TOKEN, ready_made};

pub(crate) struct Fake {
    /// Every call: who, verb, arguments.
    pub(crate) calls: Mutex<Vec<String>>,
    /// What every operation fails with from now on.
    pub(crate) failure: Mutex<Option<Error>>,
    /// Long operations wait here before each step; tests let them go on.
    pub(crate) steps: Semaphore,
    pub(crate) history: Mutex<Vec<HistoryEntry>>,
    events: broadcast::Sender<HistoryEntry>,
}

impl Fake {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            calls: Mutex::default(),
            failure: Mutex::default(),
            steps: Semaphore::new(0),
            history: Mutex::default(),
            events: broadcast::Sender::new(4),
        })
    }

    /// Adds a history entry, told to listeners or not.
    pub(crate) fn happen(&self, tell: bool) {
        let mut history = self.history.lock().unwrap();
        let seq = history.len() as u64 + 1;
        let entry = HistoryEntry {
            seq,
            at: 1,
            who: "me".to_owned(),
            verb: "promote".to_owned(),
            release: None,
            message: format!("entry {seq}"),
            reason: None,
            generation: None,
        };
        history.push(entry.clone());
        if tell {
            let _ = self.events.send(entry);
        }
    }

    pub(crate) fn fail(&self, kind: ErrorKind) {
        let error = Error::new(kind, "CUT0599", "it was tried").because("it is a test").hint("do not");
        *self.failure.lock().unwrap() = Some(error);
    }

    pub(crate) fn calls(&self) -> Vec<String> {
        self.calls.lock().unwrap().clone()
    }

    fn call<T>(&self, call: String, report: T) -> Result<T> {
        self.calls.lock().unwrap().push(call);
        match self.failure.lock().unwrap().clone() {
            Some(error) => Err(error),
            None => Ok(report),
        }
    }
}

pub(crate) fn release() -> ReleaseId {
    "abcdefgh".parse().unwrap()
}

fn full_release() -> Release {
    Release {
        id: release(),
        name: Some("v1".to_owned()),
        commit: None,
        state: None,
        outside: None,
        slot: None,
        staged_at: 1,
        staged_by: "me".to_owned(),
        files: 2,
        bytes: 3,
        components: Vec::new(),
        gates: Vec::new(),
        usage: ReleaseUsage::default(),
    }
}

fn switch(verb: &str) -> SwitchReport {
    SwitchReport {
        verb: verb.to_owned(),
        from: None,
        to: Some(release()),
        changed: true,
        generation: 7,
        took_us: 8,
        message: "done".to_owned(),
    }
}

impl Control for Fake {
    async fn stage(&self, who: &str, request: StageRequest, progress: Progress) -> Result<StageReport> {
        for step in ["copying", "compressing", "starting"] {
            self.steps.acquire().await.unwrap().forget();
            progress.say(step);
        }
        self.steps.acquire().await.unwrap().forget();
        assert!(request.name.as_deref() != Some("a bug"), "a bug of the test's control");
        let report = StageReport { release: full_release(), created: true, took_ms: 5 };
        self.call(format!("{who} stage {}", request.config.display()), report)
    }

    async fn deploy(&self, who: &str, request: StageRequest, progress: Progress) -> Result<DeployReport> {
        let stage = self.stage(who, request, progress).await?;
        Ok(DeployReport {
            stage,
            gates: Vec::new(),
            switch: Some(switch("promote")),
            rollout: Some(ready_made::rollout()),
        })
    }

    async fn promote(&self, who: &str, request: PromoteRequest, _: Progress) -> Result<SwitchReport> {
        if request.reason.as_deref() == Some("slowly") {
            self.calls.lock().unwrap().push("a slow promotion began".to_owned());
            self.steps.acquire().await.unwrap().forget();
        }
        assert!(request.reason.as_deref() != Some("a bug"), "a bug of the test's control");
        self.call(format!("{who} promote {:?} {:?}", request.release, request.reason), switch("promote"))
    }

    async fn rollback(&self, who: &str, request: RollbackRequest) -> Result<SwitchReport> {
        self.call(format!("{who} rollback {}", request.now), switch("rollback"))
    }

    async fn withdraw(&self, who: &str, release: &str, request: WithdrawRequest) -> Result<SwitchReport> {
        self.call(format!("{who} withdraw {release} {}", request.purge), switch("withdraw"))
    }

    async fn retire(&self, who: &str, of: &str, request: RetireRequest) -> Result<RetireReport> {
        let report = RetireReport { release: release(), changed: true, freed_bytes: 9 };
        self.call(format!("{who} retire {of} {}", request.force), report)
    }

    async fn preview(&self, who: &str, of: &str, request: PreviewRequest) -> Result<PreviewReport> {
        let report = PreviewReport {
            release: release(),
            url: "http://x/".to_owned(),
            link_expires: 1,
            cookie: "a=b".to_owned(),
            cookie_expires: 2,
        };
        self.call(format!("{who} preview {of} {:?}", request.lasts), report)
    }

    async fn status(&self) -> Result<Status> {
        let status = Status {
            app: "shop".to_owned(),
            host: "shop.test".to_owned(),
            url: "http://127.0.0.1:1/".to_owned(),
            generation: 7,
            active: Some(release()),
            candidate: None,
            rollback_to: None,
            shares: BTreeMap::from([(release(), 10_000)]),
            releases: vec![full_release()],
            parity: Vec::new(),
            warnings: Vec::new(),
            rollout: Some(ready_made::rollout()),
            readiness: ready_made::readiness(),
        };
        self.call("status".to_owned(), status)
    }

    async fn releases(&self) -> Result<Vec<Release>> {
        self.call("releases".to_owned(), vec![full_release()])
    }

    async fn history(&self, limit: u32) -> Result<Vec<HistoryEntry>> {
        let newest_first = self.history.lock().unwrap().iter().rev().take(limit as usize).cloned().collect();
        self.call(format!("history {limit}"), newest_first)
    }

    async fn table(&self) -> Result<Table> {
        self.call("table".to_owned(), Table::empty())
    }

    async fn explain_request(&self, request: ExplainRequest) -> Result<ExplainReport> {
        let report = ExplainReport {
            release: Some(release()),
            reason: "pin".to_owned(),
            steps: vec!["a pin".to_owned()],
            component: "site".to_owned(),
        };
        self.call(format!("explain {} {}", request.target, request.headers.len()), report)
    }

    async fn pause(&self, who: &str, request: PauseRequest) -> Result<RolloutReport> {
        self.call(format!("{who} pause {:?}", request.reason), ready_made::report("pause"))
    }

    async fn resume(&self, who: &str, request: PauseRequest) -> Result<RolloutReport> {
        self.call(format!("{who} resume {:?}", request.reason), ready_made::report("resume"))
    }

    async fn approve(&self, who: &str, request: ApproveRequest) -> Result<RolloutReport> {
        let call = format!("{who} approve {:?} {} {:?}", request.gate, request.reject, request.reason);
        self.call(call, ready_made::report("approve"))
    }

    async fn plan(&self, request: PlanRequest) -> Result<PlanReport> {
        let call = format!("plan {:?} {:?} {:?}", request.config, request.release, request.strategy);
        self.call(call, ready_made::plan())
    }

    async fn rollouts(&self, limit: u32) -> Result<Vec<RolloutView>> {
        self.call(format!("rollouts {limit}"), vec![ready_made::rollout()])
    }

    async fn explain_rollout(&self, rollout: &str) -> Result<RolloutStory> {
        self.call(format!("explain rollout {rollout}"), ready_made::story())
    }

    async fn metrics(&self) -> String {
        "cutover_up 1\n".to_owned()
    }

    fn events(&self) -> broadcast::Receiver<HistoryEntry> {
        self.events.subscribe()
    }
}

/// A server that runs until it is stopped or dropped.
pub(crate) struct Server {
    pub(crate) addr: SocketAddr,
    pub(crate) fake: Arc<Fake>,
    stop: Option<oneshot::Sender<()>>,
    running: JoinHandle<()>,
}

impl Server {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let fake = Fake::new();
        let (stop, stopped) = oneshot::channel::<()>();
        let mut options = ServerOptions::new(TOKEN);
        options.hosts = vec!["control.test".to_owned()];
        let control = Arc::clone(&fake);
        let running = tokio::spawn(async move {
            let stopped = async {
                let _ = stopped.await;
            };
            cutover_server::serve(listener, control, options, stopped).await.unwrap();
        });
        Self { addr, fake, stop: Some(stop), running }
    }

    /// Asks it to stop and waits until it did.
    pub(crate) async fn stop(mut self) {
        self.stop.take();
        self.running.await.unwrap();
    }
}
