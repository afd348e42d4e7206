//! What a release keeps of its description.

use cutover_routing::PreviewKey;

use super::*;

#[test]
fn a_snapshot_survives_its_file_and_forgets_the_machine() {
    let config = read(WHOLE).unwrap();
    let snapshot = config.snapshot();
    let bytes = snapshot.canonical_bytes();
    let back: Snapshot = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(back, snapshot);
    assert_eq!(back.canonical_bytes(), bytes);
    let elsewhere = parse(WHOLE, Path::new("/home/dev/cutover.toml")).unwrap();
    assert_eq!(elsewhere.snapshot().canonical_bytes(), bytes);
    assert!(!String::from_utf8(bytes.clone()).unwrap().contains("/srv/"));
    let other_edge =
        read(&WHOLE.replace("0.0.0.0:8443", "0.0.0.0:443").replace("keep = 4", "keep = 9")).unwrap();
    assert_eq!(other_edge.snapshot().canonical_bytes(), bytes);
    let newer = String::from_utf8(bytes).unwrap().replacen("\"format\":1", "\"format\":2", 1);
    assert!(serde_json::from_str::<Snapshot>(&newer).unwrap_err().to_string().contains("format 2"));
}

#[test]
fn settings_take_their_routing_from_the_snapshot() {
    let snapshot = read(WHOLE).unwrap().snapshot();
    let key = PreviewKey { kid: "k1".to_owned(), secret: vec![1; 32] };
    let settings = snapshot.settings("shop.example.com", true, vec![key.clone()]);
    assert_eq!((settings.host.as_str(), settings.secure), ("shop.example.com", true));
    assert_eq!((settings.policy, settings.cookieless), (Policy::Entry, Cookieless::Split));
    assert_eq!(settings.keep, snapshot.routing.keep);
    assert_eq!(settings.audiences, snapshot.routing.audiences);
    assert_eq!(settings.keys, [key]);
}

#[test]
fn parity_names_what_differs_as_it_is_written() {
    let blue = read(WHOLE).unwrap().snapshot();
    assert_eq!(parity(&blue, &blue), []);
    let green = WHOLE
        .replace("node server.js", "node main.js")
        .replace("MODE = \"production\"", "MODE = \"hunter2\"\nEXTRA = \"1\"")
        .replace("http://10.0.0.5:3000", "http://10.0.0.6:3000")
        .replace("status = 204", "status = 200")
        .replace("npm run e2e", "npm run all")
        .replace("value = \"core\"", "value = \"all\"")
        .replace("policy = \"entry\"\n", "")
        .replace("fallback = \"index.html\"\n", "");
    let green = read(&green).unwrap().snapshot();
    let rows: Vec<_> = parity(&blue, &green)
        .into_iter()
        .map(|row| {
            let side = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
            format!("{}: {} | {}", row.setting, side(row.blue), side(row.green))
        })
        .collect();
    assert_eq!(
        rows,
        [
            "gate.e2e.run: npm run e2e | npm run all",
            "gate.smoke.http.status: 204 | 200",
            "routing.audience.staff.header.value: core | all",
            "routing.policy: entry | navigation",
            "service.api.env.EXTRA: - | (hidden, differs)",
            "service.api.env.MODE: (hidden) | (hidden, differs)",
            "service.api.run: node server.js | node main.js",
            "service.search.upstream.blue: 10.0.0.5:3000 | 10.0.0.6:3000",
            "site.fallback: index.html | -",
        ]
    );
}

#[test]
fn parity_names_gates_and_their_places_as_they_are_written() {
    let head = "app = \"a\"\nhost = \"a\"\n[site]\ndir = \"dist\"\n[rollout]\nstrategy = \"5%, 25%, 100%\"\n";
    let snapshot = |gates: &[&str]| {
        let gates: String = gates.iter().map(|keys| format!("[[gate]]\n{keys}\n")).collect();
        read(&format!("{head}{gates}")).unwrap().snapshot()
    };
    let blue = snapshot(&[
        "name = \"a\"\nmetrics = { edge = \"p95\", max = 1 }",
        "name = \"b\"\nmetrics = { prometheus = \"http://p\", query = \"up\", max = 1 }",
        "name = \"c\"\ncompare = { metric = \"errors\", worse_by = \"1%\" }",
        "name = \"d\"\nrun = \"x\"",
    ]);
    let green = snapshot(&[
        "name = \"a\"\nmetrics = { edge = \"p99\", max = 1 }\nlow_traffic = \"ask\"",
        "name = \"b\"\nmetrics = { prometheus = \"http://q\", query = \"down\", max = 0.5 }",
        "name = \"c\"\ncompare = { metric = \"slow\", worse_by = \"1%\" }\nat = [\"5%\", \"bake\"]",
        "name = \"d\"\nrun = \"x\"\njunit = \"r.xml\"\nat = [\"before\", \"steps\"]",
    ]);
    let names: Vec<_> = parity(&blue, &green)
        .into_iter()
        .map(|row| format!("{}: {}", row.setting, row.green.unwrap_or_default()))
        .collect();
    assert_eq!(
        names,
        [
            "gate.a.low_traffic: ask",
            "gate.a.metrics.edge: p99",
            "gate.b.metrics.max: 0.5",
            "gate.b.metrics.prometheus: http://q",
            "gate.b.metrics.query: down",
            "gate.c.at: 5%, bake",
            "gate.c.compare.metric: slow",
            "gate.d.at: before, steps",
            "gate.d.junit: r.xml",
        ]
    );
}

/// As versions before gradual rollouts stored it.
const OLD: &str = r#"{"format":1,"app":"shop","host":"shop.example.com",
  "site":{"fallback":"index.html","fingerprinted":["assets/**"],"manifest":null,"tabs":true},"services":[],
  "routing":{"policy":"navigation","cookieless":"default","keep":[],"audiences":[],"preview_service_worker":false},
  "outage":{"message":"We are back soon.","contacts":[]},
  "rollout":{"strategy":"instant","hold":"2m","bake":"10m","drain":{"quiet":"10m","at_most":"1d"},"after":"retire"},
  "gates":[
    {"name":"smoke","kind":{"http":{"path":"/api/version","status":200,"headers":{}}},"required":true},
    {"name":"e2e","kind":{"run":{"command":"npm run e2e","timeout":"10m"}},"required":false}]}"#;

#[test]
fn a_snapshot_of_an_older_version_is_read_and_stays_the_same_to_the_byte() {
    let old: Snapshot = serde_json::from_str(OLD).unwrap();
    assert!(old.rollout.strategy.strategy().is_instant());
    assert_eq!((old.rollout.slow, old.rollout.low_traffic), (Duration::from_secs(1), LowTraffic::Hold));
    assert_eq!((old.rollout.profile, old.rollout.readiness), (Profile::Quick, ReadinessPolicy::Warn));
    for gate in &old.gates {
        assert_eq!((gate.at.as_slice(), gate.low_traffic), ([GateAt::BeforeTraffic].as_slice(), None));
    }
    let compact: serde_json::Value = serde_json::from_str(OLD).unwrap();
    let new: serde_json::Value = serde_json::from_slice(&old.canonical_bytes()).unwrap();
    assert_eq!(new, compact, "the digest of a release covers these bytes");
}

#[test]
fn a_strategy_is_kept_as_text_and_needs_no_list_of_audiences_to_be_read() {
    for (text, kept) in [
        ("canary(10%, 5m)", "10% for 5m, 100%"),
        ("staff, then beta for 1h, 2.5%, 100%", "staff, beta for 1h, 2.5%, 100%"),
        ("CodeDeployDefault.AllAtOnce", "instant"),
    ] {
        let read: StrategyText = serde_json::from_value(text.into()).unwrap();
        assert_eq!((read.text(), serde_json::to_value(&read).unwrap()), (kept, kept.into()));
        assert_eq!(serde_json::from_value::<StrategyText>(kept.into()).unwrap(), read);
    }
    for text in ["", "5%", "5%, 3%, 100%", "100%, staff", "?", "staff, staff, 100%", "OneAtATime"] {
        let error = serde_json::from_value::<StrategyText>(text.into()).unwrap_err().to_string();
        assert!(error.starts_with(&format!("strategy {text:?}: ")), "{error}");
    }
}
