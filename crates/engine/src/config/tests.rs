use std::{net::SocketAddr, path::Path, time::Duration};

use cutover_routing::{Condition, Cookieless, Policy};

use super::*;

mod gates;
mod kept;
mod rollouts;

/// Everything that can be said today, in one description.
const WHOLE: &str = include_str!("tests/whole.toml");

fn read(text: &str) -> Result<AppConfig, Vec<ConfigError>> {
    parse(text, Path::new("/srv/shop/cutover.toml"))
}

/// `line:column code message`, one error a line: what a test compares.
fn errors(text: &str) -> Vec<String> {
    read(text)
        .expect_err("the description is wrong")
        .into_iter()
        .map(|error| format!("{}:{} {} {}", error.line, error.column, error.code, error.message))
        .collect()
}

/// The only error of a small description that `extra` is appended to.
fn only(extra: &str) -> ConfigError {
    let text = format!("app = \"shop\"\nhost = \"shop.test\"\n{extra}");
    let mut errors = read(&text).expect_err(extra);
    assert_eq!(errors.len(), 1, "{extra}: {errors:#?}");
    errors.remove(0)
}

const SITE: &str = "[site]\ndir = \"dist\"\n";

#[test]
fn reads_a_whole_description() {
    let config = read(WHOLE).unwrap();
    assert_eq!((config.app.as_str(), config.host.as_str(), config.keep), ("shop", "shop.example.com", 4));
    assert_eq!(config.base, Path::new("/srv/shop"));
    let site = config.site.as_ref().unwrap();
    assert_eq!(site.dir, Path::new("/srv/shop/dist"));
    assert_eq!(
        (site.fallback.as_deref(), site.manifest.as_deref()),
        (Some("index.html"), Some(".vite/manifest.json"))
    );
    assert_eq!((site.fingerprinted.as_slice(), site.tabs), (["assets/**".to_owned()].as_slice(), false));
    let api = &config.services[0];
    assert_eq!(api.source, Source::Process { dir: "/srv/api".into(), run: "node server.js".to_owned() });
    assert_eq!((api.start_timeout, api.stop_timeout), (Duration::from_secs(60), Duration::from_secs(10)));
    assert_eq!(api.env["MODE"], "production");
    assert_eq!(
        config.services[1].source,
        Source::Upstream(Upstream {
            blue: "10.0.0.5:3000".to_owned(),
            green: "search.internal:80".to_owned()
        })
    );
    assert_eq!((config.routing.policy, config.routing.cookieless), (Policy::Entry, Cookieless::Split));
    assert_eq!(
        config.routing.audiences[0].when,
        Condition::Header { name: "x-team".to_owned(), value: Some("core".to_owned()) }
    );
    assert_eq!(config.routing.audiences[1].when, Condition::Country(vec!["DE".to_owned()]));
    assert_eq!(config.edge.listen, "0.0.0.0:8443".parse::<SocketAddr>().unwrap());
    assert_eq!(config.edge.tls.as_ref().unwrap().cert, Path::new("/etc/shop/cert.pem"));
    assert_eq!(config.edge.scheme, Scheme::Https);
    assert_eq!(config.edge.trusted_proxies.len(), 2);
    assert_eq!(config.edge.access_log, AccessLog::File("/srv/shop/access.log".into()));
    assert_eq!(config.outage.contacts, ["status.example.com"]);
    assert_eq!(config.rollout.drain.at_most, Duration::from_secs(3600));
    assert_eq!(config.rollout.after, After::Standby);
    assert_eq!(config.gates.len(), 2);
    assert!(matches!(&config.gates[0].kind, GateKind::Http { status: 204, max_latency: Some(_), .. }));
    assert!(!config.gates[1].required);
}

#[test]
fn fills_in_the_defaults() {
    let config = read(&format!("app = \"shop\"\nhost = \"SHOP.test.\"\n{SITE}")).unwrap();
    assert_eq!((config.keep, config.host.as_str()), (3, "shop.test"));
    assert_eq!(config.edge.listen, "127.0.0.1:8080".parse::<SocketAddr>().unwrap());
    assert_eq!(config.edge.control, "127.0.0.1:9400".parse::<SocketAddr>().unwrap());
    assert_eq!((config.edge.scheme, config.edge.workers), (Scheme::Http, None));
    assert_eq!(config.edge.access_log, AccessLog::Off);
    assert_eq!(config.rollout.strategy, StrategyText::default());
    assert_eq!(
        config.rollout.drain,
        Drain { quiet: Duration::from_secs(600), at_most: Duration::from_secs(86_400) }
    );
    assert_eq!(config.rollout.after, After::Retire);
    assert!(config.site.unwrap().tabs);
    assert!(!config.outage.message.is_empty());
}

#[test]
fn reports_everything_that_is_wrong_in_the_order_of_the_file() {
    assert_eq!(
        errors(include_str!("tests/wrong.toml")),
        include_str!("tests/wrong.txt").lines().collect::<Vec<_>>()
    );
}

#[test]
fn broken_toml_has_its_place_and_no_guesses_behind_it() {
    let found = errors("app = \"shop\"\nhost = shop.example.com\nbogus = 1\n[site\n");
    assert!(found[0].starts_with("2:8 CUT0101 not TOML: "), "{found:#?}");
    assert!(found.iter().all(|error| error.contains("CUT0101")), "{found:#?}");
    let doubled = errors("app = \"a\"\napp = \"b\"\n");
    assert!(doubled[0].starts_with("2:1 CUT0101 not TOML: duplicate key"), "{doubled:#?}");
}

#[test]
fn places_count_characters_not_bytes() {
    let service = "[[service]]\nname = \"api\"\nroutes = [\"/\"]\ndir = \"api\"\nrun = \"x\"\n";
    let error = only(&format!("{service}env = {{ A = \"ßß\", PORT = \"1\" }}\n"));
    assert_eq!((error.line, error.column), (8, 26));
    let error = only(&format!("\"ßß\" = 1\n{SITE}"));
    assert_eq!((error.line, error.column), (3, 1));
}

#[test]
fn an_empty_description_says_what_is_missing() {
    assert_eq!(
        errors(""),
        [
            "1:1 CUT0104 the key `app` is missing at the top",
            "1:1 CUT0104 the key `host` is missing at the top",
            "1:1 CUT0104 the app has neither a site nor a service",
        ]
    );
}

#[test]
fn a_typo_gets_a_suggestion_and_one_error_only() {
    for (extra, hint) in [
        (format!("kep = 3\n{SITE}"), "did you mean `keep`?"),
        (format!("{SITE}fingerprint = []\n"), "did you mean `fingerprinted`?"),
        (format!("{SITE}keep = 3\n"), "`keep` belongs at the top, before the first [table]"),
        (format!("listen = \"127.0.0.1:1\"\n{SITE}"), "`listen` belongs in [edge]"),
        (format!("{SITE}[rollout]\nafter = \"standbye\"\n"), "did you mean \"standby\"?"),
        (format!("{SITE}[[gate]]\nname = \"g\"\nhtpp = {{ path = \"/\" }}\n"), "did you mean `http`?"),
        (format!("{SITE}[edge]\ntrusted-proxies = []\n"), "did you mean `trusted_proxies`?"),
        (
            "[service]\nname = \"api\"\n".to_owned(),
            "write `[[service]]`, with two brackets: there may be several",
        ),
        (format!("{SITE}fallback = 7\n"), "write `\"7\"`"),
    ] {
        assert_eq!(only(&extra).hint.as_deref(), Some(hint), "{extra}");
    }
}

#[test]
fn hosts_are_bare_names() {
    for host in [
        "https://a.test",
        "a.test:80",
        "a.test/x",
        "a b",
        "",
        "-a.test",
        "a..b",
        "[::1]",
        "1.2.3.999",
        "ä.test",
        "*.a.test",
    ] {
        let text = format!("app = \"shop\"\nhost = {host:?}\n{SITE}");
        assert_eq!(errors(&text).len(), 1, "{host}");
    }
    for (host, meant) in
        [("A.Test", "a.test"), ("localhost", "localhost"), ("127.0.0.1", "127.0.0.1"), ("a.test.", "a.test")]
    {
        assert_eq!(read(&format!("app = \"shop\"\nhost = {host:?}\n{SITE}")).unwrap().host, meant);
    }
}

#[test]
fn a_site_never_publishes_its_own_description_or_leaves_its_directory() {
    for site in [
        "dir = \".\"",
        "dir = \"./\"",
        "dir = \"..\"",
        "dir = \"dist/..\"",
        "dir = \"/\"",
        "dir = \"\"",
        "dir = \"dist\"\nfallback = \"/index.html\"",
        "dir = \"dist\"\nfallback = \"../index.html\"",
        "dir = \"dist\"\nfingerprinted = [\"**\"]",
        "dir = \"dist\"\nfingerprinted = [\"*.html\"]",
        "dir = \"dist\"\nfingerprinted = [\"assets/[\"]",
        "dir = \"dist\"\nfallback = \"app/shell.htm\"\nfingerprinted = [\"app/**\"]",
    ] {
        assert_eq!(only(&format!("[site]\n{site}\n")).code, "CUT0105", "{site}");
    }
}

#[test]
fn globs_stay_within_directories_unless_doubled() {
    let globs = Globs::new(&["assets/**", "*.[0-9a-f].js"]).unwrap();
    for (path, covered) in [
        ("assets/a.js", true),
        ("assets/x/y.css", true),
        ("main.f.js", true),
        ("x/main.f.js", false),
        ("index.html", false),
    ] {
        assert_eq!(globs.matches(path), covered, "{path}");
    }
    assert!(!Globs::new::<&str>(&[]).unwrap().matches("a"));
}

#[test]
fn routes_have_one_owner_and_leave_reserved_paths_alone() {
    let service = |routes: &str| {
        format!("[[service]]\nname = \"api\"\nroutes = {routes}\ndir = \"api\"\nrun = \"x\"\n")
    };
    for routes in ["[\"/.cutover/*\"]", "[\"/_r\"]", "[\"/_r/*\"]", "[\"/.cutover\"]"] {
        assert_eq!(only(&service(routes)).code, "CUT0108", "{routes}");
    }
    assert_eq!(only(&service("[]")).code, "CUT0105");
    assert_eq!(only(&service("[\"/a\", \"/a\"]")).code, "CUT0107");
    assert!(read(&format!("app = \"a\"\nhost = \"a\"\n{}", service("[\"/_really/*\", \"/*\"]"))).is_ok());
}

#[test]
fn a_service_is_run_by_cutover_or_by_somebody_else() {
    for (keys, code) in [
        ("", "CUT0104"),
        ("dir = \"api\"", "CUT0104"),
        ("run = \"x\"", "CUT0104"),
        ("dir = \"api\"\nrun = \"x\"\nupstream = { blue = \"http://a\", green = \"http://b\" }", "CUT0107"),
        ("upstream = { blue = \"http://a\", green = \"http://a:80/\" }", "CUT0107"),
        ("upstream = { blue = \"a:80\", green = \"http://b\" }", "CUT0105"),
        ("upstream = { blue = \"http://a/x\", green = \"http://b\" }", "CUT0105"),
        ("dir = \"api\"\nrun = \"x\"\nenv = { PORT = \"1\" }", "CUT0108"),
        ("dir = \"api\"\nrun = \"x\"\nenv = { \"A-B\" = \"1\" }", "CUT0105"),
        ("dir = \"api\"\nrun = \"x\"\nhealth = \"healthz\"", "CUT0105"),
        ("dir = \"api\"\nrun = \"x\"\nstart_timeout = \"0s\"", "CUT0105"),
        ("dir = \"api\"\nrun = \" \"", "CUT0105"),
    ] {
        let error = only(&format!("[[service]]\nname = \"api\"\nroutes = [\"/api/*\"]\n{keys}\n"));
        assert_eq!(error.code, code, "{keys}: {error}");
    }
}

#[test]
fn edges_refuse_contradictions() {
    for (keys, code) in [
        ("listen = \"8080\"", "CUT0105"),
        ("listen = \"localhost:8080\"", "CUT0105"),
        ("listen = \"127.0.0.1:9400\"", "CUT0107"),
        ("trusted_proxies = [\"10.0.0.1/8\"]", "CUT0105"),
        ("trusted_proxies = [\"proxy\"]", "CUT0105"),
        ("workers = 0", "CUT0105"),
        ("scheme = \"http\"\ntls = { cert = \"c\", key = \"k\" }", "CUT0107"),
        ("tls = { cert = \"c\" }", "CUT0104"),
    ] {
        assert_eq!(only(&format!("{SITE}[edge]\n{keys}\n")).code, code, "{keys}");
    }
    assert_eq!(
        only(&format!("{SITE}[edge]\nlisten = \":80\"\n")).hint.as_deref(),
        Some("write \"0.0.0.0:80\"")
    );
}

#[test]
fn audiences_have_one_condition_that_can_match() {
    for (keys, code) in [
        ("", "CUT0104"),
        ("path = \"/a\"\ncookie = { name = \"a\" }", "CUT0107"),
        ("country = [\"DE\"]", "CUT0107"),
        ("cidr = []", "CUT0105"),
        ("cidr = [\"10.0.0.1/8\"]", "CUT0105"),
        ("header = { name = \"a b\" }", "CUT0105"),
        ("header = { name = \"x-cutover-release\" }", "CUT0108"),
        ("cookie = { name = \"__Host-cutover\" }", "CUT0108"),
        ("query = { value = \"a\" }", "CUT0104"),
    ] {
        let error = only(&format!("{SITE}[[routing.audience]]\nname = \"staff\"\n{keys}\n"));
        assert_eq!(error.code, code, "{keys}: {error}");
    }
}

#[test]
fn the_committed_schema_is_fresh() {
    let mut fresh = serde_json::to_string_pretty(json_schema()).unwrap();
    fresh.push('\n');
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schema/cutover.schema.json");
    if std::env::var_os("CUTOVER_WRITE_GENERATED").is_some() {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, &fresh).unwrap();
    }
    assert_eq!(
        std::fs::read_to_string(&file).unwrap_or_default(),
        fresh,
        "schema/cutover.schema.json is stale: run this test with CUTOVER_WRITE_GENERATED=1"
    );
}

#[test]
fn all_errors_become_one_with_places_and_remedies() {
    let many = ConfigError::into_error(read("kep = 1\n").unwrap_err());
    assert_eq!((many.kind, many.causes.len(), many.hints.len()), (ErrorKind::Invalid, 3, 0));
    assert!(many.causes[2].starts_with("/srv/shop/cutover.toml:1:1: unknown key `kep`"), "{many:#?}");
    let one = ConfigError::into_error(vec![only(&format!("kep = 1\n{SITE}"))]);
    assert_eq!(
        (one.code.as_str(), one.hints.as_slice()),
        ("CUT0102", ["did you mean `keep`?".to_owned()].as_slice())
    );
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "(\\[{1,2}(site|service|gate|edge|routing.audience)\\]{1,2}\n|(dir|name|routes|http|run|host|app|listen) = (\"\\PC{0,6}\"|[0-9]{1,20}|\\[\"/\"\\]|\\{ path = 1 \\})\n|\\PC{0,8}){0,12}") {
        let _ = read(&text);
    }
}

#[test]
fn line_endings_and_byte_order_marks_of_other_systems_are_no_trouble() {
    let text = format!("\u{feff}app = \"shop\"\nhost = \"shop.test\"\n{SITE}").replace('\n', "\r\n");
    assert_eq!(read(&text).unwrap().app, "shop");
}

#[test]
fn control_sequences_in_a_file_do_not_reach_the_terminal() {
    let error = only(&format!("\"\\u001b[31mred\" = 1\n{SITE}"));
    assert_eq!(error.message, "unknown key `\\u{1b}[31mred` at the top");
}
