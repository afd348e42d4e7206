//! What a look at the world means for a step that waits.
//!
//! Time counts only where it was watched and found good at both ends: a controller that was away, a metric that was
//! missing, a gate that had too little evidence add nothing. Whatever is unknown is not good.

use super::{Body, Fact, Facts, Health, HeldFor, Reading, Refused, State, Traffic, step::Work};
use crate::{Does, Insufficient, Millis, Plan, Watched, judge::Verdict};

/// Longer without a look than so many times the plan's pace, and the time between does not count.
const GAP: u64 = 3;
/// Evidence older than this is none, unless the pace is slower.
const STALE: u64 = 60_000;
/// Quiet is written down at least so often.
const QUIET_BEAT: u64 = 30_000;
/// How long the edges may take to follow, and a broken gate to recover, before a person is asked.
const PATIENCE: u64 = 300_000;

pub(super) fn look(work: &mut Work, seen: &Facts) -> Result<(), Refused> {
    if work.state.pending.is_some() {
        return Ok(());
    }
    match work.state.step().map(|step| step.does.clone()) {
        Some(Does::Converge) => converge(work, seen),
        Some(Does::Hold { length, watch }) => hold(work, seen, length.0, &watch),
        Some(Does::Quiet { release, .. }) => {
            let traffic = seen.traffic.get(&release).copied();
            work.facts = vec![Fact {
                what: format!("traffic of {release}"),
                says: traffic.map_or("unknown".to_owned(), |traffic| describe(traffic, work.now)),
                age: 0,
            }];
            quiet(work, traffic)
        }
        Some(Does::Act(_)) | None => Ok(()),
    }
}

fn describe(traffic: Traffic, now: u64) -> String {
    let ago = |then: u64| Millis(now.saturating_sub(then));
    let last = match (traffic.last_request, traffic.watched_since) {
        (Some(last), _) => format!("last request {} ago", ago(last)),
        (None, Some(since)) => format!("no request since it has been watched ({})", ago(since)),
        (None, None) => "no request ever".to_owned(),
    };
    format!("{} requests and {} streams open, {last}", traffic.in_flight, traffic.streams)
}

fn converge(work: &mut Work, seen: &Facts) -> Result<(), Refused> {
    let wanted = work.state.generation;
    work.facts = vec![Fact {
        what: "edges".to_owned(),
        says: seen.converged.map_or("unknown".to_owned(), |has| format!("all run generation {has}")),
        age: 0,
    }];
    if work.state.done {
        return Ok(());
    }
    if let Some(generation) = seen.converged.filter(|generation| *generation >= wanted) {
        return work.put(Body::Converged { generation });
    }
    let (elapsed, _) = elapsed(work);
    let waited = work.state.watch.waited + elapsed;
    if elapsed >= work.state.plan.pace.0 {
        work.put(Body::Watched { counted: 0, waited, good: false })?;
    }
    if waited >= PATIENCE && !work.state.going_back() && work.state.held.is_none() {
        work.put(Body::Held { why: HeldFor::NotConverging { generation: wanted } })?;
    }
    Ok(())
}

/// Time since the last mark, and whether nothing was missed in it.
fn elapsed(work: &Work) -> (u64, bool) {
    since_mark(work, work.state.plan.pace.0)
}

fn since_mark(work: &Work, beat: u64) -> (u64, bool) {
    let elapsed = work.now.saturating_sub(work.state.watch.mark);
    (elapsed, work.state.watch.good && elapsed <= beat * GAP)
}

/// How often quiet is written down. Waiting for it may take a day; and what reached a release between two looks is still
/// seen at the next, so that it need not be looked for as often as harm.
fn beat(plan: &Plan) -> u64 {
    (plan.quiet.0 / 20).clamp(plan.pace.0, plan.pace.0.max(QUIET_BEAT))
}

fn hold(work: &mut Work, seen: &Facts, length: u64, watch: &[Watched]) -> Result<(), Refused> {
    let stale = STALE.max(work.state.plan.pace.0 * GAP);
    work.facts.clear();
    let mut good = seen.green == Health::Healthy && work.state.paused.is_none();
    for gate in watch {
        let reading = seen.readings.iter().find(|reading| reading.gate == gate.gate);
        let (verdict, why, age) = judged(reading, stale);
        good &= verdict == Verdict::Pass || !gate.required;
        work.facts.push(Fact {
            what: gate.gate.clone(),
            says: format!("{verdict:?}: {why}").to_lowercase(),
            age,
        });
        if work.state.watch.verdicts.get(&gate.gate) != Some(&verdict) {
            work.put(Body::Judged { gate: gate.gate.clone(), verdict, why, age })?;
        }
    }
    let (elapsed, unbroken) = elapsed(work);
    let before = work.state.watch.clone();
    let still = work.state.paused.is_some() || work.state.held.is_some();
    let counted = before.counted + if good && unbroken { elapsed } else { 0 };
    let waited = before.waited + if still { 0 } else { elapsed };
    let over = counted >= length && before.counted < length;
    work.facts.push(Fact { what: "health of green".to_owned(), says: health(&seen.green), age: 0 });
    let says = format!("{} of {} counted, {} passed", Millis(counted), Millis(length), Millis(waited));
    work.facts.push(Fact { what: "time".to_owned(), says, age: 0 });
    if good != before.good || elapsed >= work.state.plan.pace.0 || over {
        work.put(Body::Watched { counted, waited, good })?;
    }
    if !still
        && !work.state.complete()
        && let Some(why) = out_of_patience(&work.state, watch, length, waited)
    {
        work.put(Body::Held { why })?;
    }
    Ok(())
}

fn health(green: &Health) -> String {
    match green {
        Health::Healthy => "it answers".to_owned(),
        Health::Unhealthy(why) => why.clone(),
        Health::Unknown => "unknown".to_owned(),
    }
}

fn judged(reading: Option<&Reading>, stale: u64) -> (Verdict, String, u64) {
    match reading {
        None => (Verdict::Error, "no reading".to_owned(), 0),
        // Harm that was shown stays shown; all else goes bad with time.
        Some(reading) if reading.age > stale && reading.verdict != Verdict::Fail => {
            (Verdict::Error, "the newest evidence is too old".to_owned(), reading.age)
        }
        Some(reading) => (reading.verdict, reading.why.clone(), reading.age),
    }
}

/// The gate that has had its time.
fn out_of_patience(state: &State, watch: &[Watched], length: u64, waited: u64) -> Option<HeldFor> {
    watch.iter().filter(|gate| gate.required).find_map(|gate| {
        let verdict = *state.watch.verdicts.get(&gate.gate)?;
        let limit = match (verdict, gate.insufficient) {
            (Verdict::Error, _) => length.max(PATIENCE),
            (Verdict::Insufficient, Insufficient::Ask) => length,
            (Verdict::Insufficient, Insufficient::Extend(by)) => length.saturating_add(by.0),
            _ => return None,
        };
        (waited >= limit).then(|| HeldFor::Gate { gate: gate.gate.clone(), verdict })
    })
}

fn quiet(work: &mut Work, traffic: Option<Traffic>) -> Result<(), Refused> {
    let beat = beat(&work.state.plan);
    let (elapsed, unbroken) = since_mark(work, beat);
    let before = work.state.watch.clone();
    let good = traffic.is_some_and(|traffic| traffic.in_flight == 0 && traffic.streams == 0);
    let silent = good && unbroken && traffic.is_some_and(|traffic| traffic.idle_since(before.mark));
    let counted = if silent { before.counted + elapsed } else { 0 };
    let waited = before.waited + elapsed;
    let plan = &work.state.plan;
    let over = |reached: u64, before: u64, limit: u64| reached >= limit && before < limit;
    let news = good != before.good
        || counted < before.counted
        || elapsed >= beat
        || over(counted, before.counted, plan.quiet.0)
        || over(waited, before.waited, plan.drain_at_most.0);
    if news { work.put(Body::Watched { counted, waited, good }) } else { Ok(()) }
}
