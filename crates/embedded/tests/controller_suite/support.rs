//! A place of its own for every test: an app, a state directory, an edge and a controller.

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use cutover_edge::{Edge, EdgeOptions};
use cutover_embedded::{Embedded, EmbeddedOptions, controller::CrashHook, journal::Journal};
use cutover_engine::{
    Control, Error,
    control::{
        DeployReport, HistoryEntry, Progress, PromoteRequest, Release, RollbackRequest, RolloutView,
        StageReport, StageRequest, Status, SwitchReport,
    },
};
use cutover_routing::{ReleaseId, ReleaseState};

/// How long a condition may take to become true; generous, since only a failing test waits so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// An app and a state directory.
pub(crate) struct Place {
    pub(crate) dir: tempfile::TempDir,
}

/// What `cutover.toml` has beyond the usual.
#[derive(Default, Clone)]
pub(crate) struct Extra {
    pub(crate) top: &'static str,
    pub(crate) service: &'static str,
    pub(crate) rest: String,
}

impl Place {
    pub(crate) fn new() -> Self {
        let place = Self { dir: tempfile::tempdir().unwrap() };
        for dir in ["dist/assets", "api"] {
            fs::create_dir_all(place.app().join(dir)).unwrap();
        }
        place.describe(&Extra::default());
        place
    }

    pub(crate) fn app(&self) -> PathBuf {
        self.dir.path().join("app")
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    /// Writes the app description.
    pub(crate) fn describe(&self, extra: &Extra) {
        let exe = std::env::current_exe().unwrap();
        let text = format!(
            "app = \"shop\"\nhost = \"shop.test\"\n{}\n[site]\ndir = \"dist\"\nfallback = \"index.html\"\n\
             fingerprinted = [\"assets/**\"]\n[[service]]\nname = \"api\"\nroutes = [\"/api/*\"]\ndir = \"api\"\n\
             run = \"exec '{}' app\"\nhealth = \"/healthz\"\n{}\n{}\n",
            extra.top,
            exe.display(),
            extra.service,
            extra.rest
        );
        fs::write(self.app().join("cutover.toml"), text).unwrap();
    }

    /// Builds a version of the app.
    pub(crate) fn build(&self, version: &str) {
        let app = self.app();
        fs::write(app.join("dist/index.html"), format!("<!doctype html><title>{version}</title>")).unwrap();
        fs::remove_dir_all(app.join("dist/assets")).unwrap();
        fs::create_dir(app.join("dist/assets")).unwrap();
        fs::write(app.join(format!("dist/assets/app.{version}.js")), format!("console.log('{version}')"))
            .unwrap();
        fs::write(app.join("api/version"), version).unwrap();
    }

    pub(crate) fn edge(&self) -> Edge {
        Edge::start(EdgeOptions {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            workers: 1,
            last_good: Some(self.dir.path().join("last-good.json")),
            ..EdgeOptions::default()
        })
        .unwrap()
    }

    /// An edge of somebody else.
    pub(crate) fn edge_beside(&self) -> Edge {
        Edge::start(EdgeOptions {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            workers: 1,
            ..EdgeOptions::default()
        })
        .unwrap()
    }

    pub(crate) fn options(&self) -> EmbeddedOptions {
        let file = self.app().join("cutover.toml");
        let config = cutover_engine::config::parse(&fs::read_to_string(&file).unwrap(), &file).unwrap();
        EmbeddedOptions { pace: Duration::from_millis(20), ..EmbeddedOptions::new(self.state(), config) }
    }

    /// Starts an edge and a controller.
    pub(crate) async fn up(&self) -> Up {
        self.up_with(None).await
    }

    pub(crate) async fn up_with(&self, crash: Option<CrashHook>) -> Up {
        let edge = self.edge();
        let options = EmbeddedOptions { crash, ..self.options() };
        let control = Embedded::open(options, edge.clone()).await.unwrap();
        Up { edge, control, config: self.app().join("cutover.toml") }
    }

    /// Every living process that belongs to this test: its environment names the state directory.
    pub(crate) fn processes(&self) -> Vec<i32> {
        let text = self.state();
        let text = text.to_str().unwrap().as_bytes();
        let holds = |pid: &i32| {
            fs::read(format!("/proc/{pid}/environ"))
                .is_ok_and(|bytes| bytes.windows(text.len()).any(|window| window == text))
        };
        let entries = fs::read_dir("/proc").unwrap().flatten();
        entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(holds).collect()
    }

    /// A second look at the journal, from outside.
    pub(crate) fn journal(&self) -> Journal {
        Journal::open(&self.state().join("journal.db")).unwrap()
    }
}

/// A running edge with its controller.
pub(crate) struct Up {
    pub(crate) edge: Edge,
    pub(crate) control: Arc<Embedded>,
    pub(crate) config: PathBuf,
}

impl Up {
    pub(crate) fn request(&self, name: &str) -> StageRequest {
        StageRequest { config: self.config.clone(), name: Some(name.to_owned()), ..StageRequest::default() }
    }

    pub(crate) async fn try_stage(&self, name: &str) -> Result<StageReport, Error> {
        self.control.stage("ada", self.request(name), Progress::none()).await
    }

    /// Builds and deploys a version under its own name.
    pub(crate) async fn deploy(&self, place: &Place, version: &str) -> Result<DeployReport, Error> {
        place.build(version);
        self.control.deploy("ada", self.request(version), Progress::none()).await
    }

    /// Builds and stages a version under its own name.
    pub(crate) async fn stage(&self, place: &Place, version: &str) -> ReleaseId {
        place.build(version);
        self.try_stage(version).await.unwrap().release.id
    }

    pub(crate) async fn try_promote(
        &self,
        release: &str,
        reason: Option<&str>,
    ) -> Result<SwitchReport, Error> {
        let request = PromoteRequest { release: Some(release.to_owned()), reason: reason.map(str::to_owned) };
        self.control.promote("ada", request, Progress::none()).await
    }

    pub(crate) async fn promote(&self, release: ReleaseId) -> SwitchReport {
        self.try_promote(release.as_str(), None).await.unwrap()
    }

    /// Builds, stages and promotes a version.
    pub(crate) async fn release(&self, place: &Place, version: &str) -> ReleaseId {
        let id = self.stage(place, version).await;
        assert!(self.promote(id).await.changed);
        id
    }

    pub(crate) async fn rollback(&self, now: bool) -> Result<SwitchReport, Error> {
        self.control.rollback("ada", RollbackRequest { now, reason: None }).await
    }

    pub(crate) async fn status(&self) -> Status {
        self.control.status().await.unwrap()
    }

    pub(crate) async fn state(&self, id: ReleaseId) -> Option<ReleaseState> {
        self.control.table().await.unwrap().state(&id)
    }

    pub(crate) async fn view(&self, id: ReleaseId) -> Release {
        let releases = self.control.releases().await.unwrap();
        releases.into_iter().find(|release| release.id == id).unwrap()
    }

    /// The history, oldest first.
    pub(crate) async fn history(&self) -> Vec<HistoryEntry> {
        let mut history = self.control.history(1000).await.unwrap();
        history.reverse();
        history
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.get_with(path, &[])
    }

    pub(crate) fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        ask(self.edge.local_addr(), path, headers).unwrap()
    }

    /// Polls until visitors without a cookie get this version of page and service.
    pub(crate) fn serves(&self, version: &str) {
        eventually(|| {
            let (page, api) = (self.get("/"), self.get("/api/version"));
            if page.status == 200 && page.body.contains(&format!("<title>{version}<")) && api.body == version
            {
                return Ok(());
            }
            Err(format!(
                "want {version}; page {} {}; api {} {}",
                page.status, page.body, api.status, api.body
            ))
        });
    }

    /// Waits until the newest rollout is where it should be.
    pub(crate) async fn until(&self, holds: impl Fn(&RolloutView) -> bool) -> RolloutView {
        eventually_async(|| async {
            let rollouts = self.control.rollouts(1).await.unwrap();
            rollouts.into_iter().next().filter(&holds).ok_or_else(|| "not there".to_owned())
        })
        .await
    }

    /// Waits until nobody watches the newest release any more.
    pub(crate) async fn baked(&self) {
        self.until(|rollout| rollout.baked).await;
    }

    /// Ends controller and services, then the edge.
    pub(crate) async fn down(self) {
        self.control.shutdown().await;
        let Self { edge, control, .. } = self;
        drop(control);
        tokio::task::spawn_blocking(move || edge.shutdown(Duration::from_secs(5))).await.unwrap();
    }
}

/// What the edge answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.into_iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value)
    }
}

/// One navigation (pages) or fetch (`/api`), over a connection of its own.
pub(crate) fn ask(to: SocketAddr, path: &str, headers: &[(&str, &str)]) -> std::io::Result<Answer> {
    let mut stream = TcpStream::connect(to)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let accept = if path.starts_with("/api") { "*/*" } else { "text/html" };
    let mut text =
        format!("GET {path} HTTP/1.1\r\nhost: shop.test\r\naccept: {accept}\r\nconnection: close\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    stream.write_all(format!("{text}\r\n").as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(|| std::io::Error::other("no answer"))?;
    let status = head.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0);
    let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    let body = if chunked { dechunked(body) } else { body.to_owned() };
    Ok(Answer { status, head: head.to_owned(), body })
}

fn dechunked(mut text: &str) -> String {
    let mut body = String::new();
    while let Some((size, rest)) = text.split_once("\r\n") {
        let size = usize::from_str_radix(size.trim(), 16).unwrap_or(0);
        if size == 0 || rest.len() < size {
            break;
        }
        body.push_str(&rest[..size]);
        text = rest[size..].trim_start_matches("\r\n");
    }
    body
}

/// Polls until `look` is content; its complaint is the panic's text when it never is.
pub(crate) fn eventually<T>(look: impl Fn() -> Result<T, String>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match look() {
            Ok(value) => return value,
            Err(complaint) => assert!(Instant::now() < deadline, "{complaint}"),
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The same where looking needs the controller.
pub(crate) async fn eventually_async<T, F>(look: impl Fn() -> F) -> T
where
    F: Future<Output = Result<T, String>>,
{
    let deadline = Instant::now() + PATIENCE;
    loop {
        match look().await {
            Ok(value) => return value,
            Err(complaint) => assert!(Instant::now() < deadline, "{complaint}"),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Numbered from 1 without gaps.
pub(crate) fn gapless(history: &[HistoryEntry]) {
    let numbers: Vec<u64> = history.iter().map(|entry| entry.seq).collect();
    assert_eq!(numbers, (1..=u64::try_from(history.len()).unwrap()).collect::<Vec<_>>());
}

/// The data directory of the service, as the service itself sees it.
pub(crate) fn data(up: &Up) -> PathBuf {
    let answer = up.get("/api/data");
    assert_eq!(answer.status, 200, "{answer:?}");
    Path::new(&answer.body).to_owned()
}
