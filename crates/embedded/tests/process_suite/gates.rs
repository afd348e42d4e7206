//! Gates against a real server in the edge's place, and real commands.

use std::{collections::BTreeMap, fs, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use cutover_embedded::{
    gates::{GateTarget, run_gate},
    process::Supervisor,
};
use cutover_engine::{
    config::{Gate, GateKind},
    control::{GateResult, Verdict},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{
    harness::tests,
    support::{World, carrying, eventually, lives, number_in},
};

tests![
    a_page_that_answers_as_expected_passes,
    a_page_that_answers_otherwise_fails_and_says_how,
    headers_of_an_answer_are_expected_too,
    an_answer_that_comes_late_fails,
    an_answer_of_another_release_is_no_evidence,
    an_edge_that_cannot_be_reached_is_an_error,
    the_preview_cookie_and_the_gates_headers_are_sent_together,
    an_edge_with_tls_is_asked_by_tls,
    a_command_that_exits_0_passes_and_is_told_all_it_needs,
    a_command_that_exits_otherwise_fails_with_its_last_lines,
    a_command_that_cannot_be_found_is_an_error,
    a_command_that_takes_too_long_is_ended_whole,
    a_gate_that_is_given_up_leaves_nothing,
];

/// A server that answers as the edge does, for the release `abcdefgh`.
async fn edge(world: &World) -> (Supervisor, GateTarget) {
    let supervisor = world.supervisor();
    let running = supervisor.start(world.spec("exec SERVE")).await.unwrap();
    (supervisor, target(world, running.addr))
}

pub(crate) fn target(world: &World, edge: SocketAddr) -> GateTarget {
    GateTarget {
        edge,
        tls: false,
        host: "shop.example.com".into(),
        release: "abcdefgh".parse().unwrap(),
        preview_cookie: "cutover-preview=d1.k.abcdefgh.9.t.m".into(),
        services: [("api".to_owned(), edge.to_string()), ("cart-v2".to_owned(), "cart.test:81".into())]
            .into(),
        dir: world.dir.path().join("service"),
        log_dir: world.state().join("gates"),
    }
}

/// Some address nobody listens on; good enough for commands that never connect.
pub(crate) fn nowhere() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

struct Page {
    status: u16,
    body: Option<&'static str>,
    headers: BTreeMap<String, String>,
    answers: BTreeMap<String, String>,
    within: Option<Duration>,
}

impl Page {
    fn status(status: u16) -> Self {
        Self { status, body: None, headers: BTreeMap::new(), answers: BTreeMap::new(), within: None }
    }

    async fn check(self, path: &str, target: &GateTarget) -> GateResult {
        let kind = GateKind::Http {
            path: path.into(),
            status: self.status,
            body_contains: self.body.map(str::to_owned),
            headers: self.headers,
            response_headers: self.answers,
            max_latency: self.within,
        };
        run_gate(&Gate::new("smoke", kind), target).await
    }
}

async fn command(name: &str, command: &str, timeout: Duration, target: &GateTarget) -> GateResult {
    let kind = GateKind::Run { command: command.into(), timeout, junit: None, jtl: None, max_failed: 0.0 };
    run_gate(&Gate::new(name, kind), target).await
}

async fn a_page_that_answers_as_expected_passes() {
    let world = World::new();
    let (supervisor, target) = edge(&world).await;
    let page = Page { body: Some("ine"), within: Some(Duration::from_secs(30)), ..Page::status(200) };
    let result = page.check("/healthz", &target).await;
    assert_eq!((result.verdict, result.name.as_str()), (Verdict::Pass, "smoke"), "{}", result.detail);
    assert!(result.detail.starts_with("GET /healthz answered 200"), "{}", result.detail);
    assert!(result.at > 1_700_000_000_000);
    assert_eq!(Page::status(404).check("/nowhere", &target).await.verdict, Verdict::Pass);
    supervisor.stop_all().await;
}

async fn a_page_that_answers_otherwise_fails_and_says_how() {
    let world = World::new();
    let (supervisor, target) = edge(&world).await;
    let result = Page { body: Some("wonderful"), ..Page::status(204) }.check("/healthz", &target).await;
    assert_eq!(result.verdict, Verdict::Fail);
    for part in ["answered 200", "expected status 204", "expected \"wonderful\"", "begins \"fine\""] {
        assert!(result.detail.contains(part), "{part} in {}", result.detail);
    }
    // The service dies while it answers.
    let result = Page::status(200).check("/exit", &target).await;
    assert_eq!(result.verdict, Verdict::Fail, "{}", result.detail);
    supervisor.stop_all().await;
}

async fn headers_of_an_answer_are_expected_too() {
    let world = World::new();
    let (supervisor, target) = edge(&world).await;
    for (name, text, wrong) in [
        ("x-cutover-release", "abc", None),
        ("content-length", "", None),
        (
            "x-cutover-release",
            "zzz",
            Some("expected \"zzz\" in the header x-cutover-release, which is \"abcdefgh\""),
        ),
        ("cache-control", "", Some("expected the header cache-control, which is missing")),
    ] {
        let answers = [(name.to_owned(), text.to_owned())].into();
        let result = Page { answers, ..Page::status(200) }.check("/healthz", &target).await;
        assert_eq!(result.verdict == Verdict::Pass, wrong.is_none(), "{}", result.detail);
        assert!(result.detail.contains(wrong.unwrap_or_default()), "{}", result.detail);
    }
    supervisor.stop_all().await;
}

async fn an_answer_that_comes_late_fails() {
    let world = World::new();
    let (supervisor, target) = edge(&world).await;
    let result =
        Page { within: Some(Duration::from_millis(100)), ..Page::status(200) }.check("/slow", &target).await;
    assert_eq!(result.verdict, Verdict::Fail);
    assert!(result.detail.contains("within 100 ms"), "{}", result.detail);
    assert!(result.took_ms >= 300, "the page sleeps that long");
    supervisor.stop_all().await;
}

async fn an_answer_of_another_release_is_no_evidence() {
    let world = World::new();
    let (supervisor, target) = edge(&world).await;
    let result = Page::status(200).check("/other", &target).await;
    assert_eq!(result.verdict, Verdict::Error);
    assert!(result.detail.contains("release zzzzzzzz, not from abcdefgh"), "{}", result.detail);
    supervisor.stop_all().await;
}

async fn an_edge_that_cannot_be_reached_is_an_error() {
    let world = World::new();
    let result = Page::status(200).check("/", &target(&world, nowhere())).await;
    assert_eq!(result.verdict, Verdict::Error);
    assert!(result.detail.contains("cannot connect"), "{}", result.detail);
    let mut page = Page::status(200);
    page.headers.insert("bad name".into(), "x".into());
    let result = page.check("/", &target(&world, nowhere())).await;
    assert_eq!(result.verdict, Verdict::Error);
    assert!(result.detail.contains("not valid"), "{}", result.detail);
}

async fn the_preview_cookie_and_the_gates_headers_are_sent_together() {
    let world = World::new();
    let (supervisor, target) = edge(&world).await;
    let headers: BTreeMap<String, String> =
        [("Cookie", "session=1"), ("x-team", "core")].map(|(name, value)| (name.into(), value.into())).into();
    let wanted = "cookie: cutover-preview=d1.k.abcdefgh.9.t.m; session=1";
    for text in [wanted, "x-team: core", "host: shop.example.com"] {
        let page = Page { headers: headers.clone(), body: Some(text), ..Page::status(200) };
        let result = page.check("/headers", &target).await;
        assert_eq!(result.verdict, Verdict::Pass, "{}", result.detail);
    }
    supervisor.stop_all().await;
}

async fn an_edge_with_tls_is_asked_by_tls() {
    let world = World::new();
    let issued = rcgen::generate_simple_self_signed(vec!["shop.example.com".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(issued.signing_key.serialize_der());
    let config =
        rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![issued.cert.der().clone()], key.into())
            .unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut target = target(&world, listener.local_addr().unwrap());
    target.tls = true;
    let server = tokio::spawn(async move {
        let (tcp, _) = listener.accept().await.unwrap();
        let mut tls = tokio_rustls::TlsAcceptor::from(Arc::new(config)).accept(tcp).await.unwrap();
        let name = tls.get_ref().1.server_name().map(str::to_owned);
        let mut request = vec![0; 4096];
        assert!(tls.read(&mut request).await.unwrap() > 0);
        tls.write_all(b"HTTP/1.1 200 OK\r\nx-cutover-release: abcdefgh\r\ncontent-length: 2\r\n\r\nhi")
            .await
            .unwrap();
        tls.shutdown().await.unwrap();
        name
    });
    let result = Page { body: Some("hi"), ..Page::status(200) }.check("/", &target).await;
    assert_eq!(result.verdict, Verdict::Pass, "{}", result.detail);
    assert_eq!(server.await.unwrap().as_deref(), Some("shop.example.com"));
}

async fn a_command_that_exits_0_passes_and_is_told_all_it_needs() {
    let world = World::new();
    let target = target(&world, nowhere());
    let run = "pwd; env | grep ^CUTOVER_; echo to stderr >&2";
    let result = command("e2e tests", run, Duration::from_secs(30), &target).await;
    assert_eq!(result.verdict, Verdict::Pass, "{}", result.detail);
    let log = fs::read_to_string(target.log_dir.join("gate-e2e-tests.log")).unwrap();
    for line in [
        target.dir.to_str().unwrap().to_owned(),
        "to stderr".into(),
        "CUTOVER_GATE=e2e tests".into(),
        "CUTOVER_RELEASE=abcdefgh".into(),
        "CUTOVER_HOST=shop.example.com".into(),
        format!("CUTOVER_URL=http://{}", target.edge),
        "CUTOVER_PREVIEW_COOKIE=cutover-preview=d1.k.abcdefgh.9.t.m".into(),
        "CUTOVER_PREVIEW_COOKIE_NAME=cutover-preview".into(),
        format!("CUTOVER_SERVICE_API=http://{}", target.edge),
        "CUTOVER_SERVICE_CART_V2=http://cart.test:81".into(),
        "CUTOVER_PREVIEW_COOKIE_VALUE=d1.k.abcdefgh.9.t.m".into(),
    ] {
        assert!(log.lines().any(|found| found == line), "{line} is missing in\n{log}");
    }
}

async fn a_command_that_exits_otherwise_fails_with_its_last_lines() {
    let world = World::new();
    let target = target(&world, nowhere());
    let first = command("e2e", "echo old news; exit 1", Duration::from_secs(30), &target).await;
    assert!(first.detail.contains("old news"), "{}", first.detail);
    let run = "echo 12 passed; echo cart: expected 3, got 2 >&2; exit 4";
    let result = command("e2e", run, Duration::from_secs(30), &target).await;
    assert_eq!(result.verdict, Verdict::Fail);
    for part in ["ended with exit code 4", "  | 12 passed\n  | cart: expected 3, got 2", "gate-e2e.log"] {
        assert!(result.detail.contains(part), "{part} in {}", result.detail);
    }
    assert!(!result.detail.contains("old news"), "{}", result.detail);
    let silent = command("e2e", "exit 5", Duration::from_secs(30), &target).await;
    assert!(silent.detail.contains("it wrote nothing"), "{}", silent.detail);
}

async fn a_command_that_cannot_be_found_is_an_error() {
    let world = World::new();
    let mut target = target(&world, nowhere());
    let result = command("e2e", "surely-no-such-command", Duration::from_secs(30), &target).await;
    assert_eq!(result.verdict, Verdict::Error, "{}", result.detail);
    target.dir = PathBuf::from("/nowhere/at/all");
    let result = command("e2e", "true", Duration::from_secs(30), &target).await;
    assert_eq!(result.verdict, Verdict::Error);
    assert!(result.detail.contains("/nowhere/at/all"), "{}", result.detail);
}

async fn a_command_that_takes_too_long_is_ended_whole() {
    let world = World::new();
    let target = target(&world, nowhere());
    let marker = world.dir.path().to_str().unwrap().to_owned();
    let run =
        format!("export IT={marker}; (setsid sleep 1000 &); sleep 1000 & echo $! > pid; echo waiting; wait");
    let result = command("e2e", &run, Duration::from_millis(500), &target).await;
    assert_eq!(result.verdict, Verdict::Fail);
    assert!(result.detail.contains("within 0.5 s") && result.detail.contains("waiting"), "{}", result.detail);
    assert!(!lives(number_in(&world.file("pid"))));
    assert_eq!(carrying(&format!("IT={marker}")), [] as [i32; 0]);
}

async fn a_gate_that_is_given_up_leaves_nothing() {
    let world = World::new();
    let target = target(&world, nowhere());
    let pid_file = world.file("pid");
    let pid = tokio::select! {
        result = command("e2e", "echo $$ > pid; exec sleep 1000", Duration::from_secs(60), &target) => {
            panic!("{}", result.detail)
        }
        pid = tokio::task::spawn_blocking(move || number_in(&pid_file)) => pid.unwrap(),
    };
    eventually(|| if lives(pid) { Err("it still lives".to_owned()) } else { Ok(()) });
}
