//! `[[gate]]`: its kinds, its places, and what is refused.

use cutover_rollout::To;

use super::*;

const STEPS: &str = "[rollout]\nstrategy = \"staff, 5%, 25%, 100% for 1h\"\n\
                     [[routing.audience]]\nname = \"staff\"\nheader = { name = \"x-team\" }\n";

fn gate(keys: &str) -> String {
    format!("{SITE}{STEPS}[[gate]]\nname = \"g\"\n{keys}\n")
}

/// The error about a gate of one key, which stands in line 12.
fn refused(keys: &str) -> ConfigError {
    let error = only(&gate(keys));
    assert!(error.line >= 10, "{keys}: {error}");
    error
}

fn meant(keys: &str) -> Gate {
    let text = format!("app = \"shop\"\nhost = \"shop.test\"\n{}", gate(keys));
    let mut config = read(&text).unwrap_or_else(|why| panic!("{keys}: {why:#?}"));
    let bytes = config.snapshot().canonical_bytes();
    let kept: Snapshot = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(kept.gates, config.gates, "a release keeps its gates as they are");
    assert_eq!(config.gates.len(), 1);
    config.gates.remove(0)
}

#[test]
fn every_kind_is_read_with_its_defaults() {
    let watched = vec![GateAt::EveryStep, GateAt::Bake];
    let before = vec![GateAt::BeforeTraffic];
    let cases = [
        (
            "http = { path = \"/\", response_headers = { \"Content-Type\" = \"text/html\", ETag = \"\" } }",
            GateKind::Http {
                path: "/".to_owned(),
                status: 200,
                body_contains: None,
                headers: [].into(),
                response_headers: [("content-type", "text/html"), ("etag", "")]
                    .map(|(name, text)| (name.to_owned(), text.to_owned()))
                    .into(),
                max_latency: None,
            },
            before.clone(),
        ),
        (
            "run = \"npm test\"\njunit = \"reports/**/*.xml\"\njtl = \"./load.jtl\"\nmax_failed = \"2.5%\"",
            GateKind::Run {
                command: "npm test".to_owned(),
                timeout: Duration::from_secs(600),
                junit: Some("reports/**/*.xml".to_owned()),
                jtl: Some("load.jtl".to_owned()),
                max_failed: 0.025,
            },
            before.clone(),
        ),
        (
            "compare = { metric = \"errors\", worse_by = \"1%\" }",
            GateKind::Compare(CompareGate {
                measure: Measure::Errors,
                worse_by: "1%".to_owned(),
                min_visitors: 100,
                false_alarms: 0.01,
                missed: 0.05,
            }),
            watched.clone(),
        ),
        (
            "compare = { metric = \"slow\", worse_by = \"1.5x\", min_visitors = 500, false_alarms = \"0.1%\", missed = \"10%\" }",
            GateKind::Compare(CompareGate {
                measure: Measure::Slow,
                worse_by: "1.5x".to_owned(),
                min_visitors: 500,
                false_alarms: 0.001,
                missed: 0.1,
            }),
            watched.clone(),
        ),
        (
            "metrics = { edge = \"p95\", max = 0.5 }",
            GateKind::Metrics(MetricsGate {
                source: MetricsSource::Edge { metric: EdgeMetric::P95 },
                min: None,
                max: Some(0.5),
                window: Duration::from_secs(60),
            }),
            watched.clone(),
        ),
        (
            "metrics = { prometheus = \"http://prom:9090/base/\", query = \"up{release=\\\"{{release}}\\\"}[{{window}}]\", min = 1, max = 2, window = \"5m\" }",
            GateKind::Metrics(MetricsGate {
                source: MetricsSource::Prometheus {
                    url: "http://prom:9090/base".to_owned(),
                    query: "up{release=\"{{release}}\"}[{{window}}]".to_owned(),
                },
                min: Some(1.0),
                max: Some(2.0),
                window: Duration::from_secs(300),
            }),
            watched,
        ),
        (
            "approval = { message = \"Does the till add up?\", timeout = \"1d\" }\nat = [\"25%\"]",
            GateKind::Approval(ApprovalGate {
                message: Some("Does the till add up?".to_owned()),
                timeout: Some(Duration::from_secs(86_400)),
            }),
            vec![GateAt::Step(To::Share(2_500))],
        ),
        (
            "load = { paths = [\"/\", \"/search?q=a\"] }",
            GateKind::Load(LoadGate {
                paths: vec!["/".to_owned(), "/search?q=a".to_owned()],
                rate: 50,
                duration: Duration::from_secs(10),
                concurrency: 50,
                max_errors: 0.0,
                max_p95: None,
            }),
            before.clone(),
        ),
        (
            "load = { paths = [\"/\"], rate = 10000, duration = \"10m\", concurrency = 1000, max_errors = \"1%\", max_p95 = \"300ms\" }",
            GateKind::Load(LoadGate {
                paths: vec!["/".to_owned()],
                rate: 10_000,
                duration: Duration::from_secs(600),
                concurrency: 1_000,
                max_errors: 0.01,
                max_p95: Some(Duration::from_millis(300)),
            }),
            before,
        ),
    ];
    for (keys, kind, at) in cases {
        let gate = meant(keys);
        assert_eq!((gate.kind, gate.at), (kind, at), "{keys}");
        assert!(gate.required && gate.low_traffic.is_none());
    }
}

#[test]
fn a_gate_says_when_it_runs() {
    let gate = meant(
        "http = { path = \"/\" }\nat = [\"before\", \"steps\", \"staff\", \"5.0%\", \"100%\", \"bake\"]",
    );
    let step = GateAt::Step;
    assert_eq!(
        gate.at,
        [
            GateAt::BeforeTraffic,
            GateAt::EveryStep,
            step(To::Audience("staff".to_owned())),
            step(To::Share(500)),
            step(To::Share(10_000)),
            GateAt::Bake
        ]
    );
    let gate =
        meant("compare = { metric = \"slow\", worse_by = \"5%\" }\nat = [\"25%\"]\nlow_traffic = \"ask\"");
    assert_eq!((gate.at, gate.low_traffic), (vec![GateAt::Step(To::Share(2_500))], Some(LowTraffic::Ask)));
}

#[test]
fn places_where_a_gate_cannot_run_are_refused() {
    let compare = "compare = { metric = \"errors\", worse_by = \"1%\" }\nat";
    let metrics = "metrics = { edge = \"error_rate\", max = 0.01 }\nat";
    let http = "http = { path = \"/\" }\nat";
    for (keys, code, message, hint) in [
        (format!("{compare} = [\"before\"]"), "CUT0107", "nobody to judge", "\"steps\""),
        (format!("{metrics} = [\"before\"]"), "CUT0107", "nobody to judge", "\"steps\""),
        (
            format!("{compare} = [\"staff\"]"),
            "CUT0107",
            "cannot be compared at staff: an audience is chosen",
            "`max`",
        ),
        (
            format!("{compare} = [\"100%\"]"),
            "CUT0107",
            "cannot be compared at 100%: everybody is on green",
            "`max`",
        ),
        (
            format!("{http} = [\"50%\"]"),
            "CUT0107",
            "has no such step",
            "\"staff\", \"5%\", \"25%\", \"100%\"",
        ),
        (format!("{http} = []"), "CUT0105", "would never run", "leave `at` out"),
        (format!("{http} = [\"bake\", \"bake\"]"), "CUT0107", "twice", ""),
        (format!("{http} = [\"5%\", \"5.0%\"]"), "CUT0107", "twice", ""),
        (format!("{http} = [\"step\"]"), "CUT0105", "cannot be \"step\"", "did you mean \"steps\"?"),
        (format!("{http} = [\"staf\"]"), "CUT0105", "cannot be \"staf\"", "did you mean \"staff\"?"),
        (format!("{http} = [\"5\"]"), "CUT0105", "cannot be \"5\"", "one step such as \"5%\""),
        (format!("{http} = [\"105%\"]"), "CUT0105", "cannot be \"105%\"", "one step such as \"5%\""),
        (format!("{http} = [\"5%, 25%\"]"), "CUT0105", "cannot be", ""),
        (format!("{http} = [\"canary(5%, 1m)\"]"), "CUT0105", "cannot be", ""),
        (format!("{http} = [\"5% for 1m\"]"), "CUT0105", "cannot be", ""),
        ("approval = {}".to_owned(), "CUT0104", "does not say when", "at = [\"before\"]"),
    ] {
        let error = refused(&keys);
        assert_eq!(error.code, code, "{keys}: {error}");
        assert!(error.message.contains(message), "{keys}: {error}");
        assert!(error.hint.clone().unwrap_or_default().contains(hint), "{keys}: {:?}", error.hint);
    }
}

#[test]
fn a_gate_that_would_never_run_is_refused() {
    for (rollout, keys, message) in [
        ("bake = \"0s\"", "http = { path = \"/\" }\nat = [\"bake\"]", "`rollout.bake` has no length"),
        ("strategy = \"instant\"", "http = { path = \"/\" }\nat = [\"steps\"]", "\"instant\" has no steps"),
        ("strategy = \"instant\"", "http = { path = \"/\" }\nat = [\"5%\"]", "no such step"),
        ("bake = \"0s\"", "metrics = { edge = \"p99\", max = 1 }", "there is no bake"),
        ("bake = \"0s\"", "compare = { metric = \"errors\", worse_by = \"1%\" }", "there is no bake"),
        (
            "strategy = \"100% for 1h\"",
            "compare = { metric = \"errors\", worse_by = \"1%\" }\nat = [\"steps\"]",
            "no share of visitors below 100% to compare",
        ),
    ] {
        let error = only(&format!("{SITE}[rollout]\n{rollout}\n[[gate]]\nname = \"g\"\n{keys}\n"));
        assert_eq!(error.code, "CUT0107", "{keys}");
        assert!(error.message.contains(message) && error.hint.is_some(), "{keys}: {error}");
    }
    // A strategy that is wrong itself is one error, not one for each gate at its steps.
    let broken = "[rollout]\nstrategy = \"5%, 500%\"\n[[gate]]\nname = \"g\"\nhttp = { path = \"/\" }\nat = [\"5%\"]\n";
    assert!(only(&format!("{SITE}{broken}")).message.contains("over 100%"));
}

#[test]
fn a_gate_is_of_exactly_one_kind() {
    let error = refused("required = true");
    assert_eq!((error.code, error.message.as_str()), ("CUT0104", "the gate does not say what it checks"));
    for (keys, message) in [
        ("run = \"x\"\nhttp = { path = \"/\" }", "a gate has either `http` or `run`"),
        ("run = \"x\"\nload = { paths = [\"/\"] }", "a gate has either `run` or `load`"),
        (
            "compare = { metric = \"errors\", worse_by = \"1%\" }\nmetrics = { edge = \"p50\", max = 1 }",
            "a gate has either `compare` or `metrics`",
        ),
    ] {
        let error = refused(keys);
        assert_eq!((error.code, error.message.as_str()), ("CUT0107", message));
    }
}

#[test]
fn what_a_gate_cannot_be_told_is_refused_with_its_remedy() {
    for (keys, code, message) in [
        // Comparisons.
        ("compare = { worse_by = \"1%\" }", "CUT0104", "the key `metric` is missing in [gate.compare]"),
        ("compare = { metric = \"errors\" }", "CUT0104", "the key `worse_by` is missing"),
        ("compare = { metric = \"eror\", worse_by = \"1%\" }", "CUT0105", "cannot be \"eror\""),
        ("compare = { metric = \"errors\", worse_by = \"0%\" }", "CUT0105", "leaves no room"),
        ("compare = { metric = \"errors\", worse_by = \"60%\" }", "CUT0105", "forgives everything"),
        ("compare = { metric = \"errors\", worse_by = \"1\" }", "CUT0105", "not a margin"),
        ("compare = { metric = \"errors\", worse_by = \"-1%\" }", "CUT0105", "not a margin"),
        (
            "compare = { metric = \"errors\", worse_by = \"1%\", min_visitors = 0 }",
            "CUT0105",
            "between 1 and",
        ),
        (
            "compare = { metric = \"errors\", worse_by = \"1%\", false_alarms = \"0%\" }",
            "CUT0105",
            "between 0.0001% and 50%",
        ),
        (
            "compare = { metric = \"errors\", worse_by = \"1%\", missed = \"51%\" }",
            "CUT0105",
            "between 0.0001% and 50%",
        ),
        (
            "compare = { metric = \"errors\", worse_by = \"1%\", missed = \"0.05\" }",
            "CUT0105",
            "no percentage",
        ),
        (
            "compare = { metric = \"errors\", worse_by = \"1%\", false_alarms = \"0.0001%\" }",
            "CUT0105",
            "shared by 5 holds",
        ),
        // Metrics.
        ("metrics = {}", "CUT0104", "names no metric"),
        ("metrics = { max = 1 }", "CUT0104", "names no metric"),
        ("metrics = { edge = \"p95\" }", "CUT0104", "no limit"),
        ("metrics = { edge = \"p96\", max = 1 }", "CUT0105", "cannot be \"p96\""),
        ("metrics = { edge = \"p95\", query = \"x\", max = 1 }", "CUT0107", "either the `edge` or"),
        (
            "metrics = { edge = \"p95\", prometheus = \"http://p\", query = \"x\", max = 1 }",
            "CUT0107",
            "either the",
        ),
        ("metrics = { prometheus = \"http://p\", max = 1 }", "CUT0104", "what to ask Prometheus"),
        ("metrics = { query = \"up\", max = 1 }", "CUT0104", "which Prometheus"),
        ("metrics = { prometheus = \"ftp://p\", query = \"up\", max = 1 }", "CUT0105", "no http://"),
        ("metrics = { prometheus = \"p:9090\", query = \"up\", max = 1 }", "CUT0105", "no http://"),
        ("metrics = { prometheus = \"http://u:p@p\", query = \"up\", max = 1 }", "CUT0105", "no address"),
        ("metrics = { prometheus = \"http://p/?x\", query = \"up\", max = 1 }", "CUT0105", "no address"),
        ("metrics = { prometheus = \"http://p\", query = \"up{{rel}}\", max = 1 }", "CUT0105", "{{rel}}"),
        ("metrics = { prometheus = \"http://p\", query = \" \", max = 1 }", "CUT0105", "empty"),
        ("metrics = { edge = \"p95\", max = 500 , min = 501 }", "CUT0107", "nothing could pass"),
        ("metrics = { edge = \"p95\", max = 601 }", "CUT0105", "in seconds"),
        ("metrics = { edge = \"error_rate\", max = 5 }", "CUT0105", "0.01 for 1%"),
        ("metrics = { edge = \"requests\", min = -1 }", "CUT0105", "below zero"),
        ("metrics = { edge = \"requests\", min = nan }", "CUT0105", "must be a number"),
        ("metrics = { edge = \"requests\", max = inf }", "CUT0105", "must be a number"),
        ("metrics = { edge = \"requests\", max = \"5\" }", "CUT0103", "is a number, found a string"),
        ("metrics = { edge = \"requests\", max = 5, window = \"2d\" }", "CUT0105", "longer than 1d"),
        // Commands.
        ("run = \"x\"\njunit = \"/tmp/report.xml\"", "CUT0105", "starts with a slash"),
        ("run = \"x\"\njunit = \"../report.xml\"", "CUT0105", "`..`"),
        ("run = \"x\"\njtl = \"out/[.jtl\"", "CUT0105", "no glob"),
        ("run = \"x\"\njtl = \"a\\\\b\"", "CUT0105", "backslash"),
        ("run = \"x\"\nmax_failed = \"1%\"", "CUT0107", "nothing to count"),
        ("run = \"x\"\njtl = \"a\"\nmax_failed = \"101%\"", "CUT0105", "between 0% and 100%"),
        ("http = { path = \"/\" }\njunit = \"a.xml\"", "CUT0107", "`junit` belongs to `run` gates"),
        ("http = { path = \"/\" }\ntimeout = \"5s\"", "CUT0107", "`timeout` belongs to `run` gates"),
        ("run = \"x\"\nlow_traffic = \"ask\"", "CUT0107", "means nothing for a `run` gate"),
        // Requests.
        ("http = { path = \"/\", response_headers = { \"a b\" = \"\" } }", "CUT0105", "no header name"),
        ("http = { path = \"/\", response_headers = { A = \"1\", a = \"2\" } }", "CUT0107", "twice"),
        ("http = { path = \"/\", headers = { Host = \"x\" } }", "CUT0108", "set by the gate itself"),
        // Approvals and load.
        ("approval = { message = \"\" }\nat = [\"5%\"]", "CUT0105", "empty"),
        ("approval = { timeout = \"0s\" }\nat = [\"5%\"]", "CUT0105", "longer than nothing"),
        ("load = {}", "CUT0104", "the key `paths` is missing"),
        ("load = { paths = [] }", "CUT0105", "is empty"),
        ("load = { paths = [\"x\"] }", "CUT0105", "one slash"),
        ("load = { paths = [\"/\"], rate = 0 }", "CUT0105", "between 1 and 10000"),
        ("load = { paths = [\"/\"], rate = 10001 }", "CUT0105", "between 1 and 10000"),
        ("load = { paths = [\"/\"], concurrency = 1001 }", "CUT0105", "between 1 and 1000"),
        ("load = { paths = [\"/\"], duration = \"11m\" }", "CUT0105", "longer than 10m"),
        ("load = { paths = [\"/\"], max_errors = \"2\" }", "CUT0105", "no percentage"),
        ("load = { paths = [\"/\"], max_p95 = \"11m\" }", "CUT0105", "longer than 10m"),
    ] {
        let error = refused(keys);
        assert_eq!(error.code, code, "{keys}: {error}");
        assert!(error.message.contains(message), "{keys}: {error}");
    }
    assert_eq!(
        refused("compare = { metric = \"error\", worse_by = \"1%\" }").hint.as_deref(),
        Some("did you mean \"errors\"?")
    );
    assert_eq!(
        refused("comparison = { metric = \"errors\", worse_by = \"1%\" }").code,
        "CUT0102",
        "an unknown kind is one error"
    );
}
