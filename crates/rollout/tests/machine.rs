//! What a rollout does, from outside: where it goes, what stops it, what may be said to it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "tests")]

mod support;

use cutover_rollout::judge::Verdict;
use cutover_rollout::{
    Act, After, Body, Cause, Does, Effect, End, Event, Facts, Health, HeldFor, Millis, Outcome, Record,
    Refused, Situation, Traffic, Why, apply, fold, step,
};
use cutover_routing::ReleaseState;
use support::{Run, at_share, blue, by, forward, gradual, green, plan, rollback, world};

#[test]
fn a_good_release_goes_all_the_way_and_blue_is_torn_down() {
    let mut run = gradual();
    assert_eq!(run.rest(), Situation::Done);
    run.check_end();
    assert!(run.world.retired.contains(&blue()));
    let held: u64 = 3 * 60_000 + 120_000 + 60_000;
    assert!(run.now - 1_800_000_000_000 >= held, "every hold, the bake and the quiet were waited for");
    assert!(run.records.len() < 250, "the journal stays small: {} records", run.records.len());
    assert!(run.refused.is_empty(), "{:?}", run.refused);
}

#[test]
fn the_first_release_and_an_instant_one_go_live() {
    let mut run = Run::open(world(false), &plan("5%, 100%", After::Retire, false));
    assert_eq!(run.rest(), Situation::Done);
    run.check_end();
    assert_eq!(run.state().way_back(), Err(Refused::NowhereToGo));
    assert!(!run.happen(&rollback(None)));
    assert_eq!(run.refused, [Refused::NowhereToGo]);

    let mut run = Run::open(world(true), &plan("instant", After::Standby, true));
    assert_eq!(run.rest(), Situation::Standby);
    run.check_end();
    assert!(run.world.warm.contains(&blue()));
}

#[test]
fn a_gate_before_traffic_that_fails_lets_no_visitor_through() {
    let mut run = gradual();
    run.world.failing.insert("smoke".into(), 0);
    assert_eq!(run.rest(), Situation::RolledBack);
    run.check_end();
    assert!(!run.state().routed);
    assert_eq!(run.world.table.state(&green()), Some(ReleaseState::Staged), "it can still be looked at");
    assert!(matches!(&run.state().undo.as_ref().unwrap().cause, Cause::Gate { gate, .. } if gate == "smoke"));
}

#[test]
fn a_watched_gate_that_fails_sends_everybody_back_at_once() {
    let mut run = gradual();
    run.world.failing.insert("errors".into(), 500);
    run.until(|run| run.world.share() == 500);
    let reached = run.now;
    run.until(|run| run.state().visitors_are_back());
    assert!(run.now - reached <= 3 * run.state().plan.pace.0, "{}", run.now - reached);
    assert_eq!(
        run.world.table.state(&green()),
        Some(ReleaseState::Closed),
        "a failed release is closed, not drained"
    );
    assert_eq!(run.rest(), Situation::RolledBack);
    run.check_end();
    let decision = run.records.iter().find_map(|record| match &record.body {
        Body::UndoStarted { facts, .. } => Some(facts.clone()),
        _ => None,
    });
    let facts = decision.unwrap();
    assert!(
        facts.iter().any(|fact| fact.what == "errors" && fact.says.contains("fail") && fact.age == 1_000)
    );
}

#[test]
fn an_ill_release_is_left_while_it_is_watched() {
    let mut run = gradual();
    run.until(at_share(2_500));
    run.world.ill = true;
    assert_eq!(run.rest(), Situation::RolledBack);
    assert!(matches!(run.state().undo.as_ref().unwrap().cause, Cause::Unhealthy { .. }));
    run.check_end();
}

#[test]
fn a_pause_stops_what_is_ahead_but_not_what_protects() {
    let mut run = gradual();
    run.until(at_share(500));
    assert!(run.happen(&Event::Pause { by: by(), reason: None }));
    let at = forward(&run);
    for _ in 0..200 {
        run.turn();
    }
    assert_eq!(forward(&run), at);
    run.world.failing.insert("errors".into(), 500);
    assert_eq!(run.situation(), Situation::Paused);
    run.until(|run| run.state().ended == Some(End::RolledBack));
    run.check_end();
}

#[test]
fn time_without_evidence_is_not_time_held() {
    let mut run = gradual();
    run.world.insufficient.insert("errors".into());
    run.until(at_share(1));
    let at = forward(&run);
    assert_eq!(run.rest(), Situation::Held, "it was extended by two minutes, and then it is a person's");
    assert_eq!(forward(&run), at);
    assert_eq!(run.state().watch.counted, 0);
    let why = &run.state().held.as_ref().unwrap().why;
    assert_eq!(*why, HeldFor::Gate { gate: "errors".into(), verdict: Verdict::Insufficient });
    // Evidence arrives: a person lets it go on, and the whole hold is still to be waited for.
    run.world.insufficient.clear();
    let resumed = run.now;
    assert!(run.happen(&Event::Resume { by: by() }));
    run.until(|run| forward(run) > at);
    assert!(run.now - resumed >= 60_000);
    assert_eq!(run.rest(), Situation::Done);
}

#[test]
fn a_silent_metric_or_an_absent_controller_is_not_health() {
    let mut run = gradual();
    run.until(at_share(500));
    run.world.mute = true;
    let counted = run.state().watch.counted;
    assert_eq!(run.rest(), Situation::Held);
    assert_eq!(run.state().watch.counted, counted);

    let mut run = gradual();
    run.until(at_share(500));
    run.turn();
    let before = run.state().watch.counted;
    run.now += 3_600_000;
    run.look();
    assert_eq!(run.state().watch.counted, before, "an hour nobody watched is no hold");
    run.crash();
    run.now += 3_600_000;
    run.look();
    assert_eq!(run.state().watch.counted, before);
    assert_eq!(run.rest(), Situation::Done);
    // A clock that goes backwards invents no time.
    let mut run = gradual();
    run.until(at_share(500));
    run.now -= 3_600_000;
    run.look();
    run.look();
    assert!(run.state().watch.counted <= 60_000);
    assert_eq!(run.rest(), Situation::Done);
}

#[test]
fn holds_start_when_the_edges_have_followed() {
    let mut run = gradual();
    run.until(|run| run.world.share() > 0 && run.situation() == Situation::Converging);
    let at = forward(&run);
    for _ in 0..10 {
        run.now += 3_000;
        let facts = Facts { converged: Some(1), green: Health::Healthy, ..Facts::default() };
        run.happen(&Event::Looked(facts));
        assert_eq!(forward(&run), at);
    }
    run.happen(&Event::Looked(Facts::default()));
    assert_eq!(forward(&run), at, "unknown is not converged");
    run.look();
    assert_eq!(run.situation(), Situation::Holding);
    assert_eq!(run.state().watch.counted, 0);
}

#[test]
fn rollback_works_everywhere_until_blue_is_torn_down() {
    let mut places = 0;
    let mut first = gradual();
    loop {
        let mut run = first.clone();
        if run.state().way_back().is_err() || run.state().ended.is_some() {
            break;
        }
        assert!(run.happen(&rollback(None)), "{:?}: {:?}", run.situation(), run.refused);
        assert_eq!(run.rest(), Situation::RolledBack);
        run.check_end();
        assert!(!run.happen(&rollback(None)));
        assert_eq!(run.refused.last(), Some(&Refused::AlreadyBack(blue())));
        assert!(run.refused.last().unwrap().is_already_so());
        places += 1;
        first.turn();
    }
    println!("rolled back from {places} places");
    assert!(places > 60);
    assert_eq!(first.situation(), Situation::Retiring, "tearing down is the point of no return");
    assert!(!first.happen(&rollback(None)));
    assert_eq!(first.refused, [Refused::PointOfNoReturn(blue())]);
    assert_eq!(first.rest(), Situation::Done);
    assert!(!first.happen(&rollback(None)));
    assert_eq!(first.refused.last(), Some(&Refused::PointOfNoReturn(blue())));
}

#[test]
fn a_rollback_can_be_hardened_and_a_kept_blue_can_be_had_back() {
    let mut run = gradual();
    run.until(at_share(2_500));
    assert!(run.happen(&rollback(None)));
    run.until(|run| run.situation() == Situation::UndoDraining);
    assert_eq!(run.world.table.state(&green()), Some(ReleaseState::Draining), "open pages stay whole");
    assert!(run.happen(&Event::Withdraw { by: by(), reason: Some("leaks".into()) }));
    run.until(|run| run.world.table.state(&green()) == Some(ReleaseState::Closed));
    assert_eq!(run.rest(), Situation::RolledBack);
    run.check_end();

    let mut run = Run::open(world(true), &plan("instant", After::Standby, true));
    assert_eq!(run.rest(), Situation::Standby);
    assert!(run.happen(&rollback(Some(true))));
    assert_eq!(run.rest(), Situation::RolledBack);
    assert_eq!(run.world.table.default, Some(blue()));
    run.check_end();
}

#[test]
fn promote_does_not_wait_but_needs_a_reason_over_gates() {
    let mut run = gradual();
    run.world.insufficient.insert("errors".into());
    run.until(|run| run.situation() == Situation::Held);
    let promote =
        |reason: Option<&str>, full| Event::Promote { by: by(), reason: reason.map(str::to_owned), full };
    assert!(!run.happen(&promote(None, false)));
    assert!(!run.happen(&promote(Some("  "), false)));
    assert_eq!(run.refused[0], Refused::ReasonNeeded(vec!["errors".into()]));
    let at = forward(&run);
    assert!(run.happen(&promote(Some("night, no visitors"), false)));
    assert_eq!(forward(&run), at + 1);
    let forced = run.records.iter().any(|record| {
        matches!(&record.body, Body::Advanced { why: Why::Forced { reason: Some(reason), .. }, .. } if reason.contains("night"))
    });
    assert!(forced, "the reason is in the journal");
    run.until(at_share(500));
    assert!(run.happen(&promote(Some("all of it"), true)));
    run.until(|run| run.world.share() == 10_000);
    run.world.insufficient.clear();
    assert_eq!(run.rest(), Situation::Done);
    run.check_end();

    // With gates that pass, no reason is needed to leave a hold early; into the bake and not out of the drain.
    let mut run = gradual();
    run.until(at_share(500));
    run.turn();
    run.turn();
    assert!(run.happen(&promote(None, false)));
    run.until(|run| run.situation() == Situation::Draining);
    assert!(!run.happen(&promote(Some("hurry"), true)));
    assert_eq!(run.refused.last(), Some(&Refused::NothingToPromote));
}

#[test]
fn no_gate_before_traffic_is_left_out_without_a_word() {
    let mut run = gradual();
    run.world.insufficient.insert("smoke".into());
    assert_eq!(run.rest(), Situation::Held);
    let promote =
        |reason: Option<&str>| Event::Promote { by: by(), reason: reason.map(str::to_owned), full: true };
    assert!(!run.happen(&promote(None)));
    run.world.forced = true;
    assert!(run.happen(&promote(Some("known"))));
    assert_eq!(run.world.share(), 0, "full goes to the door, and from there along the plan");
    run.world.insufficient.clear();
    assert_eq!(run.rest(), Situation::Done);
}

#[test]
fn a_newer_rollout_takes_over() {
    let other = || Event::Supersede { by: "ro-2".parse().unwrap() };
    let mut run = gradual();
    run.until(at_share(500));
    assert!(run.happen(&other()));
    assert!(!run.happen(&other()));
    assert_eq!(run.refused, [Refused::AlreadySuperseded("ro-2".parse().unwrap())]);
    assert_eq!(run.rest(), Situation::Superseded);
    assert_eq!(run.world.share(), 0, "one at a time: visitors are on blue when the next begins");
    assert_eq!(run.state().owes(), [green()]);
    run.check_end();

    let mut run = gradual();
    run.until(|run| run.situation() == Situation::Draining);
    assert!(run.happen(&other()));
    assert_eq!(run.situation(), Situation::Superseded);
    assert_eq!(run.world.share(), 10_000, "what was promoted stays");
    assert_eq!(run.state().owes(), [blue()]);
    assert!(!run.happen(&rollback(None)));
    assert!(!run.happen(&Event::Supersede { by: "ro-1".parse().unwrap() }));
    assert!(matches!(run.refused[..], [Refused::Ended(_), Refused::Itself(_)]));

    let mut run = Run::open(world(true), &plan("instant", After::Standby, true));
    run.rest();
    assert!(run.happen(&other()));
    assert_eq!(run.situation(), Situation::Superseded);
    assert!(!run.happen(&rollback(None)), "the newer rollout answers for blue now");
}

#[test]
fn draining_that_never_ends_is_cut_short_and_then_quiet_is_waited_for_in_full() {
    let mut run = gradual();
    run.world.linger = 3_600_000;
    run.until(|run| run.situation() == Situation::Draining);
    let began = run.now;
    run.until(|run| run.world.table.state(&blue()) == Some(ReleaseState::Closed));
    assert!(run.now - began >= 20 * 60_000);
    // Closed for everybody, the last visits end.
    let closed = run.now;
    run.world.linger = 0;
    run.world.left_at.insert(blue(), closed);
    assert_eq!(run.rest(), Situation::Done);
    assert!(run.now - closed >= 60_000, "after closing, the whole quiet time");
}

#[test]
fn damaged_journals_are_refused() {
    let mut run = gradual();
    run.rest();
    let records = &run.records;
    let refused = |records: Vec<Record>| fold(&records).unwrap_err();
    for at in 1..records.len() {
        let mut gap = records.clone();
        gap.remove(at - 1);
        refused(gap);
        let mut twice = records.clone();
        twice.insert(at, records[at].clone());
        refused(twice);
        // Even with the numbers put right, a record that is missing shows, unless nothing hung on it.
        let mut renumbered = records.clone();
        renumbered.remove(at);
        for (seq, record) in renumbered.iter_mut().enumerate() {
            record.seq = seq as u64;
        }
        let harmless =
            matches!(records[at].body, Body::Watched { .. } | Body::Judged { .. } | Body::Ended { .. });
        assert!(harmless || fold(&renumbered).is_err(), "{:?}", records[at]);
    }
    let mut altered = records.clone();
    if let Body::Opened { plan, .. } = &mut altered[0].body {
        plan.quiet = Millis(0);
    }
    refused(altered);
    let mut newer = records.clone();
    newer[3].v = 2;
    assert!(refused(newer).to_string().contains("another version"));
    let json = serde_json::to_string(&records[0]).unwrap().replace("\"opened\"", "\"invented\"");
    assert!(serde_json::from_str::<Record>(&json).is_err(), "a kind that is not known is not guessed at");
}

#[test]
fn records_survive_being_written_and_read() {
    let mut run = gradual();
    run.world.failing.insert("errors".into(), 2_500);
    run.rest();
    let text: Vec<String> = run.records.iter().map(|record| serde_json::to_string(record).unwrap()).collect();
    let again: Vec<Record> = text.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(again, run.records);
    assert_eq!(fold(&again).unwrap(), run.state);
}

#[test]
fn late_answers_and_answers_of_the_wrong_sort_change_nothing() {
    let mut run = gradual();
    run.until(at_share(500));
    let old = run.records.iter().find_map(|record| match &record.body {
        Body::Intent { id, .. } => Some(id.clone()),
        _ => None,
    });
    let id = old.unwrap();
    let done = cutover_rollout::Outcome::Done { generation: None };
    assert!(!run.happen(&Event::Outcome { id: id.clone(), outcome: done.clone() }));
    assert_eq!(run.refused.pop(), Some(Refused::Stale(id)));
    run.until(|run| run.situation() == Situation::Acting);
    let pending = run.state().pending.clone().unwrap().id;
    assert!(
        !run.happen(&Event::Outcome { id: pending.clone(), outcome: cutover_rollout::Outcome::Abandoned })
    );
    assert_eq!(run.refused.pop(), Some(Refused::WrongAnswer(pending)));
}

#[test]
fn nothing_but_opening_can_begin_and_an_altered_plan_cannot() {
    let mut altered = plan("instant", After::Retire, true);
    altered.quiet = Millis(0);
    let open = Event::Open { plan: Box::new(altered), by: by() };
    assert_eq!(step(None, &open, 0), Err(Refused::BadPlan("ro-1".parse().unwrap())));
    for event in [Event::Restarted, rollback(None), Event::Looked(Facts::default())] {
        assert_eq!(step(None, &event, 0), Err(Refused::NotOpen));
    }
    let record = gradual().records[1].clone();
    assert!(apply(None, &record).is_err());
}

#[test]
fn the_way_back_is_tried_until_it_is_there() {
    use cutover_rollout::{Effect, Outcome, Seen};
    let mut run = gradual();
    run.until(at_share(2_500));
    assert!(run.happen(&rollback(None)));
    let mut tries = 0;
    let mut looks = 0;
    // The router refuses, answers nothing, and cannot be looked at, for an hour.
    while tries < 40 {
        match run.effects.pop() {
            Some(Effect::Do { id, .. }) => {
                tries += 1;
                let why = "no route to it".to_owned();
                let outcome = match tries % 2 {
                    0 => Outcome::Failed { why, lasting: true },
                    _ => Outcome::Unknown { why },
                };
                assert!(run.happen(&Event::Outcome { id, outcome }));
            }
            Some(Effect::Observe { id, .. }) => {
                looks += 1;
                let unknown = Seen::Unknown { why: "no answer".to_owned() };
                let seen = if looks % 3 == 0 { Seen::Absent } else { unknown };
                assert!(run.happen(&Event::Observed { id, seen }));
            }
            Some(Effect::Cancel { .. }) => {}
            None => {
                assert!(matches!(run.situation(), Situation::UndoDue | Situation::UndoInDoubt));
                let wake = run.state().wake().expect("it wants to be asked again");
                assert!(wake > run.now && wake <= run.now + 60_000, "neither at once nor never");
                run.now = wake;
                run.look();
            }
        }
    }
    assert!(!run.happen(&Event::Pause { by: by(), reason: None }), "there is nothing to decide but to go on");
    assert_eq!(run.rest(), Situation::RolledBack);
    run.check_end();
}

#[test]
fn a_way_back_that_cannot_be_had_lets_a_newer_rollout_have_visitors() {
    use cutover_rollout::{Effect, End, Outcome};
    for promoted in [false, true] {
        let mut run = gradual();
        run.until(|run| if promoted { run.state().promoted } else { run.world.share() == 2_500 });
        run.effects.clear();
        run.crash();
        assert!(run.happen(&rollback(None)));
        let by: cutover_rollout::RolloutId = "ro-next".parse().unwrap();
        assert!(run.happen(&Event::Supersede { by: by.clone() }));
        let mut tries = 0;
        while run.state().ended.is_none() {
            match run.effects.pop() {
                Some(Effect::Do { id, .. }) => {
                    tries += 1;
                    let outcome = Outcome::Failed { why: "blue does not start".to_owned(), lasting: false };
                    assert!(run.happen(&Event::Outcome { id, outcome }));
                }
                Some(other) => run.perform(&other),
                None => {
                    run.now = run.state().wake().expect("it wants to be asked again");
                    run.look();
                }
            }
            assert!(tries <= 10, "it never gives way");
        }
        assert_eq!(tries, 5, "not before it has been tried in earnest");
        assert_eq!(run.state().ended, Some(End::Superseded { by, promoted }));
        assert_eq!(fold(&run.records).unwrap(), run.state);
    }
}

#[test]
fn a_teardown_that_fails_is_a_persons_and_nobodys_way_back() {
    use cutover_rollout::{Effect, Outcome};
    let mut run = gradual();
    run.until(|run| run.situation() == Situation::Retiring);
    let Some(Effect::Do { id, .. }) = run.effects.pop() else { panic!("nothing to do") };
    let why = "a volume is in use".to_owned();
    run.happen(&Event::Outcome { id, outcome: Outcome::Failed { why: why.clone(), lasting: true } });
    assert_eq!(run.state().held.as_ref().unwrap().why, HeldFor::Effect { why });
    assert!(!run.happen(&rollback(None)));
    assert_eq!(run.refused, [Refused::PointOfNoReturn(blue())]);
    assert_eq!(run.world.share(), 10_000, "visitors are well");
    let mut other = run.clone();
    assert!(run.happen(&Event::Resume { by: by() }));
    assert_eq!(run.rest(), Situation::Done);
    run.check_end();
    assert!(other.happen(&Event::Supersede { by: "ro-2".parse().unwrap() }));
    assert_eq!((other.situation(), other.state().owes()), (Situation::Superseded, vec![blue()]));
}

/// Journals as version 1 wrote them. They are never written anew: what stands in a journal is read for ever.
#[test]
fn journals_of_earlier_versions_are_read_and_gone_on_with() {
    let mut read = 0;
    for (name, text, ended) in [
        ("done", include_str!("journals/v1-done.jsonl"), Situation::Done),
        ("rolled back", include_str!("journals/v1-rolled-back.jsonl"), Situation::RolledBack),
        ("superseded", include_str!("journals/v1-superseded.jsonl"), Situation::Superseded),
    ] {
        let records: Vec<Record> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let written: Vec<String> =
            records.iter().map(|record| serde_json::to_string(record).unwrap()).collect();
        assert_eq!(written, text.lines().collect::<Vec<_>>(), "{name}: the form of records has changed");
        assert_eq!(fold(&records).unwrap().unwrap().situation(), ended, "{name}");
        for cut in 1..records.len() {
            let state = fold(&records[..cut]).unwrap().unwrap();
            let next = step(Some(&state), &Event::Restarted, records[cut].at).unwrap();
            assert!(state.ended.is_some() || !next.records.is_empty(), "{name} cut at {cut}");
            read += 1;
        }
    }
    assert!(read > 200, "{read}");
}

#[test]
fn a_gate_that_runs_is_left_only_with_a_reason_and_its_answer_is_not_waited_for() {
    let promote =
        |reason: Option<&str>, full| Event::Promote { by: by(), reason: reason.map(str::to_owned), full };
    for full in [false, true] {
        let mut state = gradual().state().clone();
        let mut now = state.entered;
        // Up to the gate before traffic, which does not answer.
        let id = loop {
            let pending = state.pending.clone().unwrap();
            if matches!(pending.act, Act::Gate(_)) {
                break pending.id;
            }
            let busy = step(Some(&state), &promote(Some("hurry"), full), now).unwrap_err();
            let said = busy.to_string();
            assert!(said.starts_with("standing ") && !said.contains("ro-"), "{said}");
            now += 100;
            let outcome = Outcome::Done { generation: None };
            state = step(Some(&state), &Event::Outcome { id: pending.id, outcome }, now).unwrap().state;
        };
        let refused = step(Some(&state), &promote(None, full), now).unwrap_err();
        assert!(matches!(&refused, Refused::ReasonNeeded(gates) if gates[0] == "smoke"), "{refused:?}");
        let next = step(Some(&state), &promote(Some("it hangs"), full), now).unwrap();
        assert!(next.effects.contains(&Effect::Cancel { id: id.clone() }), "{:?}", next.effects);
        assert!(
            matches!(&next.records[0].body, Body::Outcome { id: of, outcome: Outcome::Abandoned } if *of == id)
        );
        let Body::Advanced { why: Why::Forced { reason, .. }, facts, .. } = &next.records[1].body else {
            panic!("{:?}", next.records);
        };
        assert_eq!(reason.as_deref(), Some("it hangs"));
        assert!(facts.iter().any(|fact| fact.what == "smoke" && fact.says == "not passed"), "{facts:?}");
        assert_ne!(next.state.cursor, state.cursor);
        // What it says all the same, nobody waits for.
        let outcome = Outcome::Judged { verdict: Verdict::Fail, why: "late".to_owned() };
        let late = step(Some(&next.state), &Event::Outcome { id, outcome }, now + 1).unwrap_err();
        assert!(matches!(late, Refused::Stale(_)), "{late:?}");
    }
}

#[test]
fn every_step_that_was_waited_for_is_left_on_facts() {
    let mut run = gradual();
    assert_eq!(run.rest(), Situation::Done);
    let plan = run.state().plan.clone();
    let mut held = 0;
    for record in &run.records {
        let Body::Advanced { from, facts, why: Why::Done, .. } = &record.body else { continue };
        if let Does::Hold { length, .. } = &plan.steps[*from].does {
            let says = |what: &str| facts.iter().find(|fact| fact.what == what).map(|fact| fact.says.clone());
            assert_eq!(says("health of green").as_deref(), Some("it answers"), "{facts:?}");
            let time = says("time").unwrap();
            assert!(time.contains(&format!("of {length} counted")), "{time}");
            held += 1;
        }
    }
    assert!(held >= 4, "{held}");
}

#[test]
fn a_release_that_never_had_a_request_is_not_said_to_have_had_one() {
    let mut run = gradual();
    run.until(|run| run.situation() == Situation::Draining);
    let (state, now) = (run.state().clone(), run.now);
    let told = |last_request, watched_since| {
        let traffic = Traffic { in_flight: 0, streams: 0, last_request, watched_since };
        let later = now + state.plan.pace.0;
        let mut state = state.clone();
        state.watch.good = true;
        state.watch.counted = state.plan.quiet.0 - 1;
        let facts = Facts { traffic: [(blue(), traffic)].into(), ..Facts::default() };
        let next = step(Some(&state), &Event::Looked(facts), later).unwrap();
        next.records.iter().find_map(|record| match &record.body {
            Body::Advanced { facts, .. } => Some(facts[0].says.clone()),
            _ => None,
        })
    };
    let mark = state.watch.mark;
    let says = told(None, Some(mark - 1_000)).unwrap();
    assert!(says.contains("no request since it has been watched ("), "{says}");
    assert!(told(Some(mark - 2_000), Some(mark - 1_000)).unwrap().contains("last request "));
    assert_eq!(told(None, Some(mark + 1)), None, "what was not watched is not known to be quiet");
}

#[test]
fn the_steps_that_were_done_stay_done_on_the_way_back() {
    let mut run = gradual();
    run.until(at_share(500));
    let at = forward(&run);
    assert_eq!(run.state().reached, at);
    assert!(run.happen(&rollback(None)));
    let reached = run.state().reached;
    assert!(reached == at || reached == at + 1, "{reached} from {at}");
    assert!(run.happen(&rollback(Some(true))));
    run.rest();
    assert_eq!(run.state().reached, reached);

    let mut run = Run::open(world(true), &plan("instant", After::Standby, true));
    assert_eq!(run.rest(), Situation::Standby);
    assert!(run.happen(&rollback(None)));
    assert_eq!(run.state().reached, run.state().plan.steps.len(), "all of it was done");
}
