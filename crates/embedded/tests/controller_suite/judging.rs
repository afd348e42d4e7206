//! Gates through a real edge, to real services.

use std::{
    fs,
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
};

use cutover_engine::{
    Control,
    control::{GateResult, Progress, Verdict},
};
use cutover_routing::ReleaseId;

use crate::{
    harness::tests,
    support::{Extra, Place, Up, ask},
};

tests![
    a_load_before_visitors_come_meets_the_new_release_alone,
    a_load_that_a_service_cannot_bear_keeps_visitors_away,
    a_service_that_dies_under_load_has_failed,
    a_command_reaches_the_release_through_the_edge_and_its_services_directly,
];

/// Releases `v1`, then deploys `v2` with this gate.
async fn deployed(place: &Place, up: &Up, gate: &str) -> (ReleaseId, ReleaseId, GateResult) {
    let blue = up.release(place, "v1").await;
    place.describe(&Extra { rest: format!("[[gate]]\nname = \"tried\"\n{gate}\n"), ..Extra::default() });
    place.build("v2");
    // What it answers where a gate does not pass is tested elsewhere.
    let _ = up.control.deploy("ada", up.request("v2"), Progress::none()).await;
    let releases = up.control.releases().await.unwrap();
    let green = releases.into_iter().find(|release| release.id != blue).unwrap();
    (blue, green.id, green.gates.into_iter().next().unwrap())
}

async fn a_load_before_visitors_come_meets_the_new_release_alone() {
    let place = Place::new();
    let up = place.up().await;
    let gate = "load = { paths = [\"/\", \"/api/version\"], rate = 40, duration = \"1s\", concurrency = 4 }";
    let (blue, green, result) = deployed(&place, &up, gate).await;
    assert!(result.verdict == Verdict::Pass, "{}", result.detail);
    let (of_green, of_blue) = (up.edge.usage(&green), up.edge.usage(&blue));
    assert!((20..=40).contains(&of_green.previews), "{of_green:?}");
    assert_eq!((of_green.requests, of_blue.requests, of_blue.previews), (0, 0, 0), "it is nobody's visit");
    up.serves("v2");
    up.down().await;
}

async fn a_load_that_a_service_cannot_bear_keeps_visitors_away() {
    let place = Place::new();
    let up = place.up().await;
    let gate =
        "load = { paths = [\"/\", \"/api/fail\"], rate = 40, duration = \"1s\", max_errors = \"10%\" }";
    let (_, _, result) = deployed(&place, &up, gate).await;
    assert_eq!(result.verdict, Verdict::Fail, "{}", result.detail);
    assert!(
        result.detail.contains(" x 500 Internal Server Error; expected at most 10% errors"),
        "{}",
        result.detail
    );
    up.serves("v1");
    up.down().await;
}

async fn a_service_that_dies_under_load_has_failed() {
    let place = Place::new();
    let up = place.up().await;
    // What the edge answers in the release's place is the release's failure, not the gate's.
    let gate = "load = { paths = [\"/api/exit\"], rate = 40, duration = \"1s\" }";
    let (_, _, result) = deployed(&place, &up, gate).await;
    assert_eq!(result.verdict, Verdict::Fail, "{}", result.detail);
    assert!(result.detail.contains("502 Bad Gateway") || result.detail.contains("503"), "{}", result.detail);
    up.serves("v1");
    up.down().await;
}

async fn a_command_reaches_the_release_through_the_edge_and_its_services_directly() {
    let place = Place::new();
    let up = place.up().await;
    let (_, green, result) = deployed(&place, &up, "run = \"env | grep ^CUTOVER_ > told\"").await;
    assert_eq!(result.verdict, Verdict::Pass, "{}", result.detail);
    let told = fs::read_to_string(place.app().join("told")).unwrap();
    let value = |name: &str| {
        let line = told.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        line.unwrap_or_else(|| panic!("{name} is not in\n{told}")).to_owned()
    };
    assert_eq!(value("CUTOVER_RELEASE"), green.as_str());
    let addr = |url: String| -> SocketAddr { url.strip_prefix("http://").unwrap().parse().unwrap() };
    let mut service = TcpStream::connect(addr(value("CUTOVER_SERVICE_API"))).unwrap();
    service.write_all(b"GET /api/version HTTP/1.1\r\nhost: api\r\n\r\n").unwrap();
    service.shutdown(Shutdown::Write).unwrap();
    let mut direct = String::new();
    service.read_to_string(&mut direct).unwrap();
    assert!(direct.ends_with("\r\n\r\nv2"), "{direct}");
    let cookie = value("CUTOVER_PREVIEW_COOKIE");
    let through = ask(addr(value("CUTOVER_URL")), "/api/version", &[("cookie", &cookie)]).unwrap();
    assert_eq!(through.body, "v2");
    assert!(
        cookie
            == format!("{}={}", value("CUTOVER_PREVIEW_COOKIE_NAME"), value("CUTOVER_PREVIEW_COOKIE_VALUE"))
    );
    up.down().await;
}
