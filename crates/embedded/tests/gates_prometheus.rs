//! Numbers from a real Prometheus that scrapes a real target.
//!
//! The server is Debian's package `prometheus` (`scripts/setup-prometheus.sh`); without it these tests fail.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener},
    path::Path,
    process::{Child, Command},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use cutover_embedded::gates::{
    metrics,
    prometheus::{Names, Unknown, fill, instant},
};
use cutover_engine::control::Verdict;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// How long a condition may take to become true; generous, since only a failing test waits so long.
const PATIENCE: Duration = Duration::from_secs(60);
/// A release's name that tries to break out of its label.
const HOSTILE: &str = "a\"} or vector(1) #\\";

/// What the target tells of itself: per release a number, a counter that stands still, and one that is zero.
const METRICS: &str = "\
shop_share{release=\"greenaaa\"} 0.25
shop_share{release=\"blueaaaa\"} 0.5
shop_share{release=\"a\\\"} or vector(1) #\\\\\"} 7
shop_requests_total{release=\"greenaaa\"} 100
shop_idle_total 0
";

/// Serves `/metrics` until it is taken away, and answers 500 then.
struct Target {
    addr: SocketAddr,
    away: Arc<AtomicBool>,
}

impl Target {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (addr, away) = (listener.local_addr().unwrap(), Arc::new(AtomicBool::new(false)));
        let told = Arc::clone(&away);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
                while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
                let (status, body) =
                    if told.load(Ordering::SeqCst) { ("500 x", "") } else { ("200 OK", METRICS) };
                let head = "content-type: text/plain; version=0.0.4\r\nconnection: close";
                let answer =
                    format!("HTTP/1.1 {status}\r\n{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        Self { addr, away }
    }
}

/// A Prometheus of this test's own, ended with it.
struct Prometheus {
    child: Child,
    url: String,
    target: Target,
    _dir: tempfile::TempDir,
}

impl Prometheus {
    async fn start(more: &[&str]) -> Self {
        let target = Target::start();
        let dir = tempfile::tempdir().unwrap();
        let config = format!(
            "global: {{scrape_interval: 200ms, scrape_timeout: 200ms}}\n\
             scrape_configs: [{{job_name: shop, static_configs: [{{targets: ['{}']}}]}}]\n",
            target.addr
        );
        fs::write(dir.path().join("prometheus.yml"), config).unwrap();
        // Somebody else may take the port between its choice and its use.
        for _ in 0..5 {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let listen = format!("127.0.0.1:{port}");
            let log = dir.path().join("log");
            let mut child = spawn(dir.path(), &listen, more, File::create(&log).unwrap());
            let deadline = Instant::now() + PATIENCE;
            while Instant::now() < deadline && child.try_wait().unwrap().is_none() {
                if instant(&format!("http://{listen}"), "vector(1)", PATIENCE).await.is_ok() {
                    return Self { child, url: format!("http://{listen}"), target, _dir: dir };
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            let _ = child.kill();
            child.wait().unwrap();
            let log = fs::read_to_string(log).unwrap();
            assert!(log.contains("address already in use"), "Prometheus does not start:\n{log}");
        }
        panic!("no port is free for Prometheus");
    }

    async fn ask(&self, query: &str) -> Result<f64, Unknown> {
        instant(&self.url, query, PATIENCE).await.map(|found| found.value)
    }

    /// Asks until the answer is content.
    async fn ask_until(&self, query: &str, content: impl Fn(&Result<f64, Unknown>) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let found = self.ask(query).await;
            if content(&found) {
                return;
            }
            assert!(Instant::now() < deadline, "{query}: {found:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap())
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(dir: &Path, listen: &str, more: &[&str], log: File) -> Child {
    Command::new(binary())
        .arg(format!("--config.file={}", dir.join("prometheus.yml").display()))
        .arg(format!("--storage.tsdb.path={}", dir.join("data").display()))
        .arg(format!("--web.listen-address={listen}"))
        .args(more)
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap()
}

/// Where the server is; installed where it may be.
fn binary() -> &'static str {
    static BINARY: OnceLock<String> = OnceLock::new();
    BINARY.get_or_init(|| {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/setup-prometheus.sh");
        let out = Command::new(script).output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap().trim().to_owned()
    })
}

fn names<'a>(release: &'a str) -> Names<'a> {
    Names { release, blue: Some("blueaaaa"), window: Duration::from_secs(60) }
}

#[tokio::test]
async fn a_query_gives_the_number_of_the_release_it_names() {
    let prometheus = Prometheus::start(&[]).await;
    let query = fill("shop_share{release=\"{{release}}\"}", &names("greenaaa")).unwrap();
    prometheus.ask_until(&query, |found| *found == Ok(0.25)).await;
    let ratio = "sum(shop_share{release=\"{{release}}\"}) / sum(shop_share{release=\"{{blue}}\"})";
    assert_eq!(prometheus.ask(&fill(ratio, &names("greenaaa")).unwrap()).await, Ok(0.5));
    assert_eq!(prometheus.ask("scalar(shop_share{release='blueaaaa'})").await, Ok(0.5));
    let query =
        fill("max_over_time(shop_share{release=\"{{release}}\"}[{{window}}])", &names("greenaaa")).unwrap();
    assert_eq!(prometheus.ask(&query).await, Ok(0.25));

    // The escapes are those of the server itself: the label is found, and nothing else is added.
    for quote in ['"', '\''] {
        let query = format!("shop_share{{release={quote}{{{{release}}}}{quote}}}");
        assert_eq!(prometheus.ask(&fill(&query, &names(HOSTILE)).unwrap()).await, Ok(7.0), "{query}");
    }

    let found = instant(&prometheus.url, "vector(3)", PATIENCE).await.unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as u64;
    assert!(found.at.abs_diff(now) < 60_000);
    assert_eq!(metrics::judge(None, Some(3.0), found.value).verdict, Verdict::Pass);
}

#[tokio::test]
async fn what_is_not_exactly_one_finite_number_is_unknown() {
    let prometheus = Prometheus::start(&[]).await;
    prometheus.ask_until("count(shop_share)", |found| *found == Ok(3.0)).await;
    assert_eq!(prometheus.ask("shop_share").await, Err(Unknown::Several { count: 3 }));
    assert_eq!(prometheus.ask("shop_share{release=\"nobody\"}").await, Err(Unknown::Empty));
    assert_eq!(
        prometheus.ask("shop_idle_total / shop_idle_total").await,
        Err(Unknown::NoNumber { value: "NaN".into() })
    );
    assert_eq!(prometheus.ask("1 / shop_idle_total").await, Err(Unknown::NoNumber { value: "+Inf".into() }));
    assert_eq!(prometheus.ask("scalar(shop_share)").await, Err(Unknown::NoNumber { value: "NaN".into() }));
    for query in ["shop_share[1m]", "\"text\""] {
        let unknown = prometheus.ask(query).await.unwrap_err();
        assert!(matches!(unknown, Unknown::Unreadable { .. }), "{query}: {unknown}");
    }
    let unknown = prometheus.ask("sum(shop_share").await.unwrap_err();
    assert!(matches!(unknown, Unknown::Refused { status: 400, .. }), "{unknown}");
    assert!(
        unknown.to_string().contains("bad_data: ") && unknown.to_string().contains("unclosed"),
        "{unknown}"
    );
    let elsewhere = instant(&format!("{}/nowhere", prometheus.url), "up", PATIENCE).await.unwrap_err();
    assert!(elsewhere.to_string().contains("404"), "{elsewhere}");
}

#[tokio::test]
async fn a_target_that_tells_nothing_more_leaves_no_old_number() {
    let prometheus = Prometheus::start(&[]).await;
    let query = "shop_share{release=\"greenaaa\"}";
    prometheus.ask_until(query, |found| *found == Ok(0.25)).await;
    prometheus.target.away.store(true, Ordering::SeqCst);
    prometheus.ask_until(query, |found| *found == Err(Unknown::Empty)).await;
}

#[tokio::test]
async fn a_server_that_refuses_stalls_or_is_gone_is_unknown() {
    let mut prometheus = Prometheus::start(&["--query.max-samples=5"]).await;
    prometheus.ask_until("shop_idle_total", |found| *found == Ok(0.0)).await;
    let many = "sum(count_over_time(shop_share[1m]))";
    prometheus.ask_until(many, |found| matches!(found, Err(Unknown::Refused { status: 422, .. }))).await;
    let unknown = prometheus.ask(many).await.unwrap_err();
    assert!(unknown.to_string().contains("too many samples"), "{unknown}");

    kill(prometheus.pid(), Signal::SIGSTOP).unwrap();
    // Its threads stop one after the other.
    let deadline = Instant::now() + PATIENCE;
    while instant(&prometheus.url, "vector(1)", Duration::from_millis(300)).await.is_ok() {
        assert!(Instant::now() < deadline, "a stopped server answers");
    }
    let stalled = instant(&prometheus.url, "vector(1)", Duration::from_millis(300)).await.unwrap_err();
    assert!(matches!(stalled, Unknown::TimedOut { .. }), "{stalled}");
    kill(prometheus.pid(), Signal::SIGCONT).unwrap();
    prometheus.ask_until("vector(1)", |found| *found == Ok(1.0)).await;

    prometheus.child.kill().unwrap();
    prometheus.child.wait().unwrap();
    let gone = prometheus.ask("vector(1)").await.unwrap_err();
    assert!(matches!(gone, Unknown::Unreachable { .. }), "{gone}");
}
