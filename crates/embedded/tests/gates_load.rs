//! Load and made-up visitors against servers in the edge's place.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use cutover_embedded::gates::{GateTarget, run_gate, synthetic};
use cutover_engine::{
    config::{Gate, GateKind, LoadGate},
    control::{GateResult, Verdict},
    ports::Visited,
    rollout::judge::Arm,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader},
    net::TcpListener,
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;

const PATIENCE: Duration = Duration::from_secs(60);

/// How a server answers.
#[derive(Clone)]
struct Manner {
    release: &'static str,
    /// The status of the request of this number, from 0.
    status: fn(usize) -> u16,
    /// How long it thinks before it answers.
    think: fn(usize) -> Duration,
    /// Closes the connection after each answer, without saying so.
    closes: bool,
    tls: Option<TlsAcceptor>,
}

impl Default for Manner {
    fn default() -> Self {
        Self { release: "abcdefgh", status: |_| 200, think: |_| Duration::ZERO, closes: false, tls: None }
    }
}

/// What a server has seen.
#[derive(Default)]
struct Seen {
    requests: Mutex<Vec<Vec<String>>>,
    connections: AtomicUsize,
    open: AtomicUsize,
    most_open: AtomicUsize,
}

impl Seen {
    fn requests(&self) -> Vec<Vec<String>> {
        self.requests.lock().unwrap().clone()
    }
}

async fn serve(manner: Manner) -> (GateTarget, Arc<Seen>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let (seen, told) = (Arc::new(Seen::default()), manner.tls.is_some());
    let shared = Arc::clone(&seen);
    tokio::spawn(async move {
        loop {
            let (tcp, _) = listener.accept().await.unwrap();
            let (manner, seen) = (manner.clone(), Arc::clone(&shared));
            tokio::spawn(async move {
                seen.connections.fetch_add(1, Ordering::SeqCst);
                let open = seen.open.fetch_add(1, Ordering::SeqCst) + 1;
                seen.most_open.fetch_max(open, Ordering::SeqCst);
                match manner.tls.clone() {
                    None => answer(tcp, &manner, &seen).await,
                    Some(tls) => answer(tls.accept(tcp).await.unwrap(), &manner, &seen).await,
                };
                seen.open.fetch_sub(1, Ordering::SeqCst);
            });
        }
    });
    (target(addr, told), seen)
}

fn target(edge: SocketAddr, tls: bool) -> GateTarget {
    GateTarget {
        edge,
        tls,
        host: "shop.example.com".into(),
        release: "abcdefgh".parse().unwrap(),
        preview_cookie: "cutover-preview=d1.k.abcdefgh.9.t.m".into(),
        services: BTreeMap::new(),
        dir: "/".into(),
        log_dir: "/nowhere".into(),
    }
}

/// Answers until the other side closes.
async fn answer(stream: impl AsyncRead + AsyncWrite + Unpin, manner: &Manner, seen: &Seen) -> Option<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await.ok()? == 0 {
                return None;
            }
            match line.trim_end() {
                "" => break,
                line => head.push(line.to_owned()),
            }
        }
        let number = {
            let mut requests = seen.requests.lock().unwrap();
            requests.push(head);
            requests.len() - 1
        };
        let mut closed = [0];
        tokio::select! {
            () = sleep((manner.think)(number)) => {}
            _ = tokio::io::AsyncReadExt::read(&mut stream, &mut closed) => return None,
        }
        let status = (manner.status)(number);
        let text = format!(
            "HTTP/1.1 {status} x\r\nx-cutover-release: {}\r\ncontent-length: 2\r\n\r\nhi",
            manner.release
        );
        stream.write_all(text.as_bytes()).await.ok()?;
        stream.flush().await.ok()?;
        if manner.closes {
            return stream.shutdown().await.ok();
        }
    }
}

fn load() -> LoadGate {
    LoadGate {
        paths: vec!["/".into()],
        rate: 50,
        duration: Duration::from_secs(1),
        concurrency: 8,
        max_errors: 0.0,
        max_p95: None,
    }
}

async fn run(load: LoadGate, target: &GateTarget) -> GateResult {
    let gate = Gate::new("warm", GateKind::Load(load));
    timeout(PATIENCE, run_gate(&gate, target)).await.expect("the load ends")
}

fn said(result: &GateResult, verdict: Verdict, parts: &[&str]) {
    assert_eq!(result.verdict, verdict, "{}", result.detail);
    for part in parts {
        assert!(result.detail.contains(part), "{part:?} in {}", result.detail);
    }
}

#[tokio::test]
async fn a_release_that_bears_the_load_passes() {
    let (target, seen) = serve(Manner::default()).await;
    let paths = vec!["/".to_owned(), "/cart?a=b".to_owned()];
    let result = run(LoadGate { paths, ..load() }, &target).await;
    said(&result, Verdict::Pass, &["requests, ", ": 0 errors, p50 ", ", p95 ", ", p99 "]);
    let requests = seen.requests();
    assert!((25..=50).contains(&requests.len()), "{} of 50 requests", requests.len());
    assert!(result.detail.starts_with(&format!("{} requests", requests.len())), "{}", result.detail);
    let carts = requests.iter().filter(|head| head[0] == "GET /cart?a=b HTTP/1.1").count();
    assert!(carts.abs_diff(requests.len() / 2) <= 8, "paths take turns");
    for line in
        ["host: shop.example.com", "cookie: cutover-preview=d1.k.abcdefgh.9.t.m", "user-agent: cutover-load"]
    {
        assert!(requests.iter().all(|head| head.iter().any(|found| found == line)), "{line}");
    }
    assert!(seen.connections.load(Ordering::SeqCst) <= 8, "connections are kept");
}

#[tokio::test]
async fn never_more_requests_at_once_than_allowed() {
    let manner = Manner { think: |_| Duration::from_millis(30), ..Manner::default() };
    let (target, seen) = serve(manner).await;
    let result = run(LoadGate { rate: 200, concurrency: 3, max_errors: 1.0, ..load() }, &target).await;
    assert_eq!(seen.most_open.load(Ordering::SeqCst), 3, "{}", result.detail);
}

#[tokio::test]
async fn errors_beyond_the_limit_fail() {
    for status in [500, 404, 429] {
        let manner = match status {
            500 => Manner { status: |number| if number % 5 == 0 { 500 } else { 200 }, ..Manner::default() },
            404 => Manner { status: |number| if number % 5 == 0 { 404 } else { 200 }, ..Manner::default() },
            _ => Manner { status: |number| if number % 5 == 0 { 429 } else { 302 }, ..Manner::default() },
        };
        let (target, _seen) = serve(manner).await;
        let result = run(LoadGate { max_errors: 0.05, ..load() }, &target).await;
        said(&result, Verdict::Fail, &[&format!(" x {status}"), "expected at most 5% errors"]);
        let result = run(LoadGate { max_errors: 0.3, ..load() }, &target).await;
        said(&result, Verdict::Pass, &[&format!(" x {status}")]);
    }
}

#[tokio::test]
async fn a_release_that_stalls_is_seen_to_stall_by_those_who_had_to_wait() {
    // One answer in fifty takes long. Who asks only when the last answer has come sees one slow request and a good p95.
    let manner = Manner {
        think: |number| Duration::from_millis(if number == 0 { 600 } else { 0 }),
        ..Manner::default()
    };
    let (target, _seen) = serve(manner).await;
    let limit = Some(Duration::from_millis(200));
    let result = run(LoadGate { concurrency: 1, max_p95: limit, ..load() }, &target).await;
    said(&result, Verdict::Fail, &["expected p95 within 200 ms", " 0 errors"]);
}

#[tokio::test]
async fn a_rate_that_is_not_reached_by_half_is_an_error() {
    let manner = Manner { think: |_| Duration::from_millis(200), ..Manner::default() };
    let (target, seen) = serve(manner).await;
    let result = run(LoadGate { concurrency: 1, ..load() }, &target).await;
    said(&result, Verdict::Error, &["50 were to be sent at 50/s", "1 at the same time are too few"]);
    assert!(seen.requests().len() < 25);
}

#[tokio::test]
async fn what_does_not_come_from_the_release_is_no_evidence() {
    let (target, seen) = serve(Manner { release: "zzzzzzzz", ..Manner::default() }).await;
    let result =
        run(LoadGate { duration: Duration::from_secs(3600), max_errors: 1.0, ..load() }, &target).await;
    said(&result, Verdict::Error, &["came from release zzzzzzzz, not from abcdefgh"]);
    assert!(seen.requests().len() <= 8, "it ends at once");

    // Others may wait for a turn that is half an hour away.
    let rare = LoadGate { duration: Duration::from_secs(3600), rate: 1, concurrency: 1000, ..load() };
    said(&run(rare, &target).await, Verdict::Error, &["came from release zzzzzzzz"]);

    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let result = run(
        LoadGate { duration: Duration::from_secs(3600), rate: 1000, max_errors: 1.0, ..load() },
        &self::target(nobody, false),
    )
    .await;
    said(&result, Verdict::Error, &["cannot connect", "nothing is known of the release"]);
    let result = run(LoadGate { rate: 1, duration: Duration::from_millis(10), ..load() }, &target).await;
    said(&result, Verdict::Error, &["no request at all"]);
}

#[tokio::test]
async fn a_server_that_closes_idle_connections_has_not_failed() {
    let (target, seen) = serve(Manner { closes: true, ..Manner::default() }).await;
    let result = run(load(), &target).await;
    said(&result, Verdict::Pass, &[": 0 errors"]);
    assert_eq!(seen.connections.load(Ordering::SeqCst), seen.requests().len());
}

#[tokio::test]
async fn an_edge_with_tls_is_loaded_by_tls() {
    let issued = rcgen::generate_simple_self_signed(vec!["shop.example.com".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(issued.signing_key.serialize_der());
    let config =
        rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![issued.cert.der().clone()], key.into())
            .unwrap();
    let tls = Some(TlsAcceptor::from(Arc::new(config)));
    let (target, seen) = serve(Manner { tls, ..Manner::default() }).await;
    said(&run(load(), &target).await, Verdict::Pass, &[": 0 errors"]);
    assert!(seen.connections.load(Ordering::SeqCst) <= 8);
}

#[tokio::test]
async fn a_load_that_is_given_up_ends_at_once() {
    let manner = Manner { think: |_| Duration::from_secs(3600), ..Manner::default() };
    let (target, seen) = serve(manner).await;
    let gate = Gate::new("warm", GateKind::Load(LoadGate { duration: Duration::from_secs(3600), ..load() }));
    tokio::select! {
        result = run_gate(&gate, &target) => panic!("{}", result.detail),
        () = until(|| seen.open.load(Ordering::SeqCst) >= 2) => {}
    }
    until(|| seen.open.load(Ordering::SeqCst) == 0).await;
    let sent = seen.requests().len();
    sleep(Duration::from_millis(100)).await;
    assert_eq!(seen.requests().len(), sent, "nothing is sent any more");
}

async fn until(condition: impl Fn() -> bool) {
    let wait = async {
        while !condition() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, wait).await.expect("the condition comes true");
}

const SLOW: Duration = Duration::from_secs(30);

fn paths() -> Vec<String> {
    vec!["/".into(), "/cart".into()]
}

fn sums(visits: &[Visited], arm: Arm) -> (usize, u32, u32, u32) {
    let of: Vec<&Visited> = visits.iter().filter(|visit| visit.arm == arm).collect();
    let sum = |count: fn(&Visited) -> u32| of.iter().map(|visit| count(visit)).sum();
    (of.len(), sum(|visit| visit.requests), sum(|visit| visit.failed), sum(|visit| visit.slow))
}

#[tokio::test]
async fn made_up_visitors_ask_both_releases_the_same() {
    let (mut green, of_green) =
        serve(Manner { release: "greenaaa", status: |_| 502, ..Manner::default() }).await;
    let (mut blue, of_blue) =
        serve(Manner { release: "blueaaaa", status: |_| 404, ..Manner::default() }).await;
    green.release = "greenaaa".parse().unwrap();
    blue.release = "blueaaaa".parse().unwrap();
    let visits = synthetic::visits(&green, &blue, &paths(), 0, 10, SLOW).await.unwrap();
    assert_eq!(sums(&visits, Arm::Green), (10, 20, 20, 0));
    assert_eq!(sums(&visits, Arm::Blue), (10, 20, 0, 0), "an answer of 404 is the app's own");
    let mut visitors: Vec<u64> = visits.iter().map(|visit| visit.visitor).collect();
    let later = synthetic::visits(&green, &blue, &paths(), 10, 5, Duration::ZERO).await.unwrap();
    assert_eq!(sums(&later, Arm::Blue), (5, 10, 0, 10), "everything is slower than no time");
    visitors.extend(later.iter().map(|visit| visit.visitor));
    visitors.sort_unstable();
    visitors.dedup();
    assert_eq!(visitors.len(), 30, "visitors are distinct");
    for seen in [of_green, of_blue] {
        let requests = seen.requests();
        let first: Vec<&str> = requests.iter().map(|head| head[0].as_str()).collect();
        assert_eq!(first.iter().filter(|line| **line == "GET /cart HTTP/1.1").count(), 15);
        let agents =
            requests.iter().flatten().filter(|line| line.starts_with("user-agent: cutover-visitor/"));
        let mut agents: Vec<&String> = agents.collect();
        agents.sort_unstable();
        agents.dedup();
        assert_eq!(agents.len(), 15, "each is somebody");
    }
}

#[tokio::test]
async fn made_up_visitors_who_do_not_reach_a_release_are_no_evidence() {
    let (green, _) = serve(Manner::default()).await;
    let (blue, _) = serve(Manner { release: "zzzzzzzz", ..Manner::default() }).await;
    let why = synthetic::visits(&green, &blue, &paths(), 0, 4, SLOW).await.unwrap_err();
    assert!(why.contains("came from release zzzzzzzz"), "{why}");
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let why = synthetic::visits(&green, &target(nobody, false), &paths(), 0, 4, SLOW).await.unwrap_err();
    assert!(why.contains("cannot connect"), "{why}");
    assert!(synthetic::visits(&green, &green, &[], 0, 4, SLOW).await.is_err());
}
