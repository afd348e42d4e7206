//! Gradual rollouts forward: steps, holds, gates, people.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use cutover_engine::{
    Control, ErrorKind,
    control::{ApproveRequest, PauseRequest, Phase, PlanRequest, Progress, PromoteRequest},
};
use cutover_routing::{ReleaseId, ReleaseState, Slot};

use crate::{
    harness::tests,
    support::{Extra, Place, Up, eventually, gapless},
};

tests!(
    a_gradual_rollout_goes_to_its_end_and_keeps_its_visitors,
    a_rollout_stands_still_while_it_is_paused,
    a_person_who_agrees_lets_it_go_on_also_after_a_restart,
    a_person_who_says_no_ends_it,
    nobody_who_answers_in_time_is_a_no_also_after_a_restart,
    a_gate_that_waits_is_left_only_with_a_reason,
    a_newer_deployment_takes_over_and_both_say_so,
    a_step_is_left_early_and_over_a_gate_only_with_a_reason,
    a_named_promotion_of_the_new_release_skips_the_steps,
    the_same_deployment_again_joins_the_one_under_way,
    gradual_releases_in_a_row_alternate_between_the_slots,
    what_a_deployment_would_do_is_told_and_nothing_is_done,
    nothing_of_a_retired_release_is_left,
    streams_that_stay_open_are_ended_at_the_limit_of_the_drain,
);

/// A rollout section with short times.
pub(crate) fn steps(strategy: &str, hold: &str, more: &str) -> Extra {
    let rest = format!(
        "[rollout]\nstrategy = \"{strategy}\"\nhold = \"{hold}\"\nbake = \"1s\"\n\
         drain = {{ quiet = \"1s\", at_most = \"20s\" }}\n{more}\n"
    );
    Extra { rest, ..Extra::default() }
}

/// A visitor with their pin.
pub(crate) struct Visitor {
    pin: String,
    pub(crate) release: String,
}

impl Visitor {
    pub(crate) fn new(up: &Up) -> Self {
        let mut visitor = Self { pin: String::new(), release: String::new() };
        visitor.navigate(up);
        visitor
    }

    /// Opens the page; returns the release that answered.
    pub(crate) fn navigate(&mut self, up: &Up) -> String {
        let answer = up.get_with("/", &[("cookie", self.pin.as_str())]);
        assert_eq!(answer.status, 200, "{answer:?}");
        if let Some(pin) = answer.header("set-cookie").split(';').next().filter(|pin| !pin.is_empty()) {
            self.pin = pin.to_owned();
        }
        self.release = answer.header("x-cutover-release").to_owned();
        self.release.clone()
    }

    /// What the open page asks for.
    pub(crate) fn fetch(&self, up: &Up, path: &str) -> (u16, String) {
        let answer = up.get_with(path, &[("cookie", self.pin.as_str())]);
        (answer.status, answer.header("x-cutover-release").to_owned())
    }
}

async fn a_gradual_rollout_goes_to_its_end_and_keeps_its_visitors() {
    let place = Place::new();
    place.describe(&steps("25%, 50%, 100%", "1s", ""));
    let up = place.up().await;
    let first = up.release(&place, "v1").await;
    up.until(|rollout| rollout.phase == Phase::Done).await;
    let mut visitors: Vec<Visitor> = (0..24).map(|_| Visitor::new(&up)).collect();
    assert!(visitors.iter().all(|visitor| visitor.release == first.as_str()));
    let report = up.deploy(&place, "v2").await.unwrap();
    let second = report.stage.release.id;
    let shown = report.rollout.unwrap();
    assert!(report.switch.is_none(), "only some have moved");
    assert_eq!((shown.blue, shown.green, shown.share), (Some(first), second, 2_500), "{shown:?}");
    assert_eq!(shown.phase, Phase::Shifting);
    let mut most = 0;
    let end = loop {
        let now = up.control.rollouts(1).await.unwrap().remove(0);
        for visitor in &mut visitors {
            let before = visitor.release.clone();
            let on = visitor.navigate(&up);
            // Who has moved stays: nobody bounces.
            assert!(before == on || (before == first.as_str() && on == second.as_str()), "{before} {on}");
            assert_eq!(
                visitor.fetch(&up, "/api/version").1,
                on,
                "a page and its requests are of one release"
            );
        }
        let moved = visitors.iter().filter(|visitor| visitor.release == second.as_str()).count();
        assert!(moved >= most);
        most = moved;
        if now.phase == Phase::Done {
            break now;
        }
        assert!(!now.phase.is_over(), "{now:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(most, visitors.len());
    assert!(end.baked && end.promoted);
    assert_eq!(up.state(first).await, Some(ReleaseState::Closed));
    eventually(|| match place.processes().len() {
        2 => Ok(()),
        other => Err(format!("{other} processes")),
    });
    let history = up.history().await;
    for says in ["25%", "50%"] {
        let told = |entry: &&cutover_engine::control::HistoryEntry| {
            entry.verb == "rollout" && entry.message.contains(says) && entry.generation.is_some()
        };
        assert!(history.iter().any(|entry| told(&entry)), "{says}: {history:?}");
    }
    let promoted = history.iter().find(|entry| entry.verb == "promote" && entry.release == Some(second));
    assert_eq!(promoted.unwrap().who, "ada");
    gapless(&history);
    let story = up.control.explain_rollout(&end.id).await.unwrap();
    assert!(story.lines.len() > 10 && !story.history.is_empty(), "{story:?}");
    let by_release = up.control.explain_rollout("v2").await.unwrap();
    assert_eq!(by_release.rollout.id, end.id);
    up.down().await;
}

async fn a_rollout_stands_still_while_it_is_paused() {
    let place = Place::new();
    place.describe(&steps("50%, 100%", "1s", ""));
    let up = place.up().await;
    let none = up.control.pause("ada", PauseRequest::default()).await.unwrap_err();
    assert_eq!((none.kind, none.code.as_str()), (ErrorKind::Refused, "CUT0530"));
    let first = up.release(&place, "v1").await;
    up.deploy(&place, "v2").await.unwrap();
    let why = || PauseRequest { reason: Some("lunch".to_owned()) };
    let paused = up.control.pause("ada", why()).await.unwrap();
    assert!(paused.changed && paused.rollout.phase == Phase::Paused, "{paused:?}");
    assert!(paused.rollout.paused.unwrap().contains("lunch"));
    assert!(!up.control.pause("bob", why()).await.unwrap().changed);
    // Longer than the hold.
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    let status = up.status().await;
    assert_eq!((status.active, status.rollout.unwrap().phase), (Some(first), Phase::Paused));
    let refused = up.control.promote("ada", PromoteRequest::default(), Progress::none()).await.unwrap_err();
    assert!(refused.to_string().contains("paused"), "{refused:?}");
    assert!(up.control.resume("bob", PauseRequest::default()).await.unwrap().changed);
    up.until(|rollout| rollout.promoted).await;
    up.serves("v2");
    up.down().await;
}

const ASKS: &str = "[[gate]]\nname = \"board\"\napproval = { message = \"is it pretty?\" }\nat = [\"50%\"]\n";

async fn asking(place: &Place) -> (Up, ReleaseId) {
    place.describe(&steps("50%, 100%", "1s", ASKS));
    let up = place.up().await;
    let first = up.release(place, "v1").await;
    up.deploy(place, "v2").await.unwrap();
    up.until(|rollout| rollout.gates.iter().any(|gate| gate.gate == "board")).await;
    (up, first)
}

async fn a_person_who_agrees_lets_it_go_on_also_after_a_restart() {
    let place = Place::new();
    let (up, first) = asking(&place).await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(up.status().await.active, Some(first), "nobody has answered");
    up.down().await;
    let up = place.up().await;
    assert_eq!(up.status().await.active, Some(first), "a restart is no answer");
    let other = ApproveRequest { gate: Some("other".to_owned()), ..ApproveRequest::default() };
    assert_eq!(up.control.approve("ada", other).await.unwrap_err().code, "CUT0531");
    let yes = ApproveRequest { reason: Some("very".to_owned()), ..ApproveRequest::default() };
    let report = up.control.approve("ada", yes).await.unwrap();
    assert!(report.changed && report.message.contains("board"), "{report:?}");
    up.until(|rollout| rollout.promoted).await;
    up.serves("v2");
    let history = up.history().await;
    let told = history.iter().find(|entry| entry.verb == "approve").unwrap();
    assert_eq!((told.who.as_str(), told.reason.as_deref()), ("ada", Some("very")));
    up.down().await;
}

async fn a_person_who_says_no_ends_it() {
    let place = Place::new();
    let (up, first) = asking(&place).await;
    let no = |reason: Option<&str>| ApproveRequest {
        reject: true,
        reason: reason.map(str::to_owned),
        ..ApproveRequest::default()
    };
    assert_eq!(up.control.approve("ada", no(None)).await.unwrap_err().kind, ErrorKind::Invalid);
    up.control.approve("ada", no(Some("it is green"))).await.unwrap();
    let end = up.until(|rollout| rollout.phase == Phase::RolledBack).await;
    assert!(end.undo.as_ref().unwrap().contains("it is green"), "{end:?}");
    assert_eq!(up.status().await.active, Some(first));
    up.serves("v1");
    up.down().await;
}

async fn nobody_who_answers_in_time_is_a_no_also_after_a_restart() {
    const WAITS: Duration = Duration::from_secs(6);
    let place = Place::new();
    let asks = ASKS.replace("pretty?\"", "pretty?\", timeout = \"6s\"");
    place.describe(&steps("50%, 100%", "1s", &asks));
    let up = place.up().await;
    let first = up.release(&place, "v1").await;
    up.deploy(&place, "v2").await.unwrap();
    up.until(|rollout| rollout.gates.iter().any(|gate| gate.gate == "board")).await;
    let asked = Instant::now();
    up.down().await;
    tokio::time::sleep(WAITS / 2).await;
    let up = place.up().await;
    let end = up.until(|rollout| rollout.phase == Phase::RolledBack).await;
    assert!(asked.elapsed() >= WAITS / 2, "{end:?}");
    let why = end.undo.unwrap();
    assert!(why.contains("gate board failed: nobody has answered in 6s"), "{why}");
    let told = up.control.explain_rollout(&end.id).await.unwrap().lines;
    let at = |says: &str| told.iter().find(|line| line.says.contains(says)).map(|line| line.at).unwrap();
    let (question, no) = (at("about to run gate board"), at("nobody has answered"));
    let all = u64::try_from(WAITS.as_millis()).unwrap();
    assert!(no - question >= all, "it has its whole time: {told:?}");
    // Where the time counted anew from the restart, it would be a restart later.
    let restarted = at("the controller came up");
    assert!(no - restarted < all, "the time counts from the first question: {told:?}");
    assert_eq!(up.status().await.active, Some(first));
    up.serves("v1");
    up.down().await;
}

async fn a_gate_that_waits_is_left_only_with_a_reason() {
    let place = Place::new();
    let (up, _) = asking(&place).await;
    let promote = |reason: Option<&str>| {
        let request = PromoteRequest { release: None, reason: reason.map(str::to_owned) };
        up.control.promote("ada", request, Progress::none())
    };
    let error = promote(None).await.unwrap_err();
    assert_eq!((error.kind, error.code.as_str()), (ErrorKind::Refused, "CUT0509"), "{error:?}");
    assert!(error.to_string().contains("board"), "{error:?}");
    assert!(promote(Some("the board is away")).await.unwrap().changed);
    up.until(|rollout| rollout.promoted).await;
    up.serves("v2");
    let told = up.history().await;
    assert!(told.iter().any(|entry| entry.reason.as_deref() == Some("the board is away")), "{told:?}");
    up.down().await;
}

async fn a_newer_deployment_takes_over_and_both_say_so() {
    let place = Place::new();
    place.describe(&steps("50%, 100%", "1h", ""));
    let up = place.up().await;
    let first = up.release(&place, "v1").await;
    let older = up.deploy(&place, "v2").await.unwrap().rollout.unwrap();
    let newer = up.deploy(&place, "v3").await.unwrap().rollout.unwrap();
    assert_eq!((newer.blue, newer.share), (Some(first), 5_000), "{newer:?}");
    let older = up.control.explain_rollout(&older.id).await.unwrap().rollout;
    assert_eq!((older.phase, older.superseded_by.as_deref()), (Phase::Superseded, Some(newer.id.as_str())));
    let table = up.control.table().await.unwrap();
    assert_eq!(table.state(&older.green), Some(ReleaseState::Draining), "open pages stay whole");
    assert!(table.shares.iter().all(|share| share.release != older.green || share.width == 0));
    // What it left is looked after although its rollout is over.
    eventually(|| match up.edge.publication().unwrap().table.state(&older.green) {
        Some(ReleaseState::Closed) => Ok(()),
        other => Err(format!("{other:?}")),
    });
    up.down().await;
}

async fn a_step_is_left_early_and_over_a_gate_only_with_a_reason() {
    let place = Place::new();
    let gate =
        "[[gate]]\nname = \"errors\"\ncompare = { metric = \"errors\", worse_by = \"1%\" }\nat = [\"25%\"]\n";
    place.describe(&steps("25%, 50%, 100%", "1h", gate));
    let up = place.up().await;
    let first = up.release(&place, "v1").await;
    up.deploy(&place, "v2").await.unwrap();
    let promote = |reason: Option<&str>| {
        let request = PromoteRequest { release: None, reason: reason.map(str::to_owned) };
        up.control.promote("ada", request, Progress::none())
    };
    let error = promote(None).await.unwrap_err();
    assert_eq!((error.kind, error.code.as_str()), (ErrorKind::Refused, "CUT0509"), "{error:?}");
    assert!(error.to_string().contains("errors"), "{error:?}");
    let report = promote(Some("nobody is awake")).await.unwrap();
    assert!(report.changed && report.message.contains("50%"), "{report:?}");
    assert_eq!(up.status().await.rollout.unwrap().share, 5_000);
    let told = up.history().await;
    assert!(told.iter().any(|entry| entry.reason.as_deref() == Some("nobody is awake")), "{told:?}");
    // The next step has no gate.
    let report = promote(None).await.unwrap();
    assert_eq!((report.from, report.changed), (Some(first), true), "{report:?}");
    up.serves("v2");
    up.down().await;
}

async fn a_named_promotion_of_the_new_release_skips_the_steps() {
    let place = Place::new();
    place.describe(&steps("5%, 25%, 50%, 100%", "1h", ""));
    let up = place.up().await;
    let first = up.release(&place, "v1").await;
    let second = up.deploy(&place, "v2").await.unwrap().stage.release.id;
    let report = up.promote(second).await;
    assert_eq!((report.from, report.to, report.changed), (Some(first), Some(second), true));
    up.serves("v2");
    assert!(!up.promote(second).await.changed);
    up.down().await;
}

async fn the_same_deployment_again_joins_the_one_under_way() {
    let place = Place::new();
    place.describe(&steps("50%, 100%", "1h", ""));
    let up = place.up().await;
    up.release(&place, "v1").await;
    let one = up.deploy(&place, "v2").await.unwrap().rollout.unwrap();
    let table = up.control.table().await.unwrap();
    let again = up.deploy(&place, "v2").await.unwrap().rollout.unwrap();
    assert_eq!(one.id, again.id);
    assert_eq!(up.control.table().await.unwrap(), table);
    up.down().await;
}

async fn gradual_releases_in_a_row_alternate_between_the_slots() {
    let place = Place::new();
    place.describe(&steps("50%, 100%", "1s", ""));
    let up = place.up().await;
    let mut slots = Vec::new();
    for version in ["v1", "v2", "v3"] {
        let id = up.deploy(&place, version).await.unwrap().stage.release.id;
        up.until(|rollout| rollout.green == id && rollout.baked).await;
        slots.push(up.control.table().await.unwrap().slot(&id));
        up.serves(version);
    }
    assert_eq!(slots, [Some(Slot::Blue), Some(Slot::Green), Some(Slot::Blue)]);
    up.down().await;
}

async fn what_a_deployment_would_do_is_told_and_nothing_is_done() {
    let place = Place::new();
    let gate =
        "[[gate]]\nname = \"errors\"\ncompare = { metric = \"errors\", worse_by = \"1%\" }\nat = [\"5%\"]\n";
    place.describe(&steps("5%, 100%", "1s", gate));
    let up = place.up().await;
    let first = up.release(&place, "v1").await;
    let (table, history) = (up.control.table().await.unwrap(), up.history().await.len());
    let config = Some(up.config.clone());
    let plan = up.control.plan(PlanRequest { config, ..PlanRequest::default() }).await.unwrap();
    assert_eq!((plan.blue, plan.green, plan.strategy.as_str()), (Some(first), None, "5%, 100%"));
    assert!(plan.steps.iter().any(|step| !step.calls.is_empty()), "{plan:?}");
    assert!(
        plan.steps.iter().any(|step| step.forecast.iter().any(|text| text.contains("errors"))),
        "{plan:?}"
    );
    assert_eq!(plan.shortest_ms, 2_000);
    let config = Some(up.config.clone());
    let wrong = PlanRequest { config, strategy: Some("120%".to_owned()), ..PlanRequest::default() };
    assert_eq!(up.control.plan(wrong).await.unwrap_err().kind, ErrorKind::Invalid);
    assert_eq!(up.control.table().await.unwrap(), table);
    assert_eq!(up.history().await.len(), history);
    up.down().await;
}

async fn nothing_of_a_retired_release_is_left() {
    let place = Place::new();
    place.describe(&steps("50%, 100%", "1s", ""));
    let up = Arc::new(place.up().await);
    let first = up.deploy(&place, "v1").await.unwrap().stage.release.id;
    up.deploy(&place, "v2").await.unwrap();
    let retire = |force: bool| cutover_engine::control::RetireRequest {
        force,
        reason: force.then(|| "its data leaks".to_owned()),
    };
    up.until(|rollout| rollout.promoted).await;
    let error = up.control.retire("ada", "v1", retire(false)).await.unwrap_err();
    assert_eq!(error.code, "CUT0520", "{error:?}");
    assert!(up.control.retire("ada", "v1", retire(true)).await.unwrap().changed);
    assert_eq!(up.control.rollouts(1).await.unwrap()[0].phase, Phase::Superseded, "it cannot go back");
    let readiness = up.status().await.readiness;
    assert!(!readiness.ready && readiness.to.is_none(), "{readiness:?}");
    assert_eq!(up.state(first).await, None);
    eventually(|| match place.processes().len() {
        2 => Ok(()),
        other => Err(format!("{other} processes")),
    });
    let store = cutover_embedded::store::Store::open(&place.state()).unwrap();
    assert!(!store.list().unwrap().contains(&first));
    let error = up.rollback(false).await.unwrap_err();
    assert_eq!(error.code, "CUT0518", "{error:?}");
    Arc::into_inner(up).unwrap().down().await;
}

async fn streams_that_stay_open_are_ended_at_the_limit_of_the_drain() {
    let place = Place::new();
    let rest = "[rollout]\nstrategy = \"instant\"\nbake = \"10ms\"\n\
                drain = { quiet = \"400ms\", at_most = \"1s\" }\n";
    place.describe(&Extra { rest: rest.to_owned(), ..Extra::default() });
    let up = place.up().await;
    let first = up.release(&place, "v1").await;
    let edge = up.edge.local_addr();
    // Ends when the stream does.
    let stream = tokio::task::spawn_blocking(move || crate::support::ask(edge, "/api/stream", &[]).unwrap());
    eventually(|| match up.edge.usage(&first).open_streams {
        0 => Err("no stream".to_owned()),
        _ => Ok(()),
    });
    let second = up.release(&place, "v2").await;
    let answer = stream.await.unwrap();
    assert!(answer.status == 200 && answer.body.contains("data: x"), "{answer:?}");
    up.until(|rollout| rollout.green == second && rollout.phase == Phase::Done).await;
    assert_eq!(up.edge.usage(&first).open_streams, 0);
    let told = up.history().await.into_iter().find(|entry| entry.verb == "close").unwrap();
    assert!(told.release == Some(first) && told.message.contains("1 open streams"), "{told:?}");
    up.down().await;
}
