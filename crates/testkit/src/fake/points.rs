//! Every point of every effect of a story, with every outcome: each run goes on under a new controller to its end, and
//! everything that is promised is checked.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use cutover_rollout::{Act, Situation};

use super::{
    check,
    fault::{APPEND_FAULTS, Answer, AppendFault, Fault, faults_of},
    log::{Entry, What},
    run::{AT_MOST, LATE},
    stories::{Ended, Story},
    world::{Sabotage, Settings},
};
use crate::rng::Rng;

/// What goes wrong in one run.
#[derive(Debug, Clone, Default)]
pub struct Case {
    /// With calls, by number.
    pub calls: Vec<(u64, Fault)>,
    /// With appends, by number.
    pub appends: Vec<(u64, AppendFault)>,
}

/// One run that is to be made.
#[derive(Debug, Clone)]
pub struct Job {
    /// Of which story.
    pub story: usize,
    /// With fences or without.
    pub settings: Settings,
    /// What goes wrong.
    pub case: Case,
}

/// What became of a run.
#[derive(Debug, Clone)]
pub struct Played {
    /// How it ended.
    pub ended: Result<Ended, String>,
    /// Which promises were broken.
    pub breaches: Vec<String>,
    /// What happened.
    pub log: Vec<Entry>,
}

/// Plays a story once.
///
/// # Errors
/// Where there is no thread to be had.
pub fn play(story: &Story, settings: Settings, case: &Case) -> Result<Played, String> {
    let (stage, world) = story.stage(settings)?;
    {
        let mut inner = world.lock();
        inner.faults.extend(case.calls.iter().copied());
        inner.append_faults.extend(case.appends.iter().copied());
    }
    let ended = stage.run(AT_MOST, story.play(&world)).and_then(|ended| ended);
    let breaches = check::breaches(&world, ended.is_ok());
    let log = std::mem::take(&mut world.lock().log);
    Ok(Played { ended, breaches, log })
}

/// All calls and the number of appends of a story in which nothing goes wrong.
fn calls(log: &[Entry]) -> (Vec<(u64, Act)>, u64) {
    let calls = log.iter().filter_map(|entry| match &entry.what {
        What::Called { call, act, .. } => Some((*call, act.clone())),
        _ => None,
    });
    let appends = log.iter().filter(|entry| matches!(entry.what, What::Appended { .. })).count();
    (calls.collect(), appends as u64)
}

/// Sees a run.
pub type Each<'a> = dyn Fn(&Story, &Job, &Played) + Sync + 'a;

/// What is to be enumerated.
#[derive(Debug, Clone)]
pub struct Scope {
    /// Only every so-manieth case.
    pub every: usize,
    /// So many pairs of faults besides.
    pub pairs: usize,
    /// Pairs are drawn from this.
    pub seed: u64,
    /// What is broken on purpose.
    pub sabotage: Option<Sabotage>,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Report {
    /// Runs made.
    pub runs: usize,
    /// Of which with two faults.
    pub pairs: usize,
    /// Calls of all stories in which nothing goes wrong.
    pub effects: usize,
    /// How they ended.
    pub ends: BTreeMap<Situation, usize>,
    /// What was wrong, with what was done, at most some.
    pub wrong: Vec<String>,
    /// How many runs had something wrong.
    pub broken: usize,
    /// The log of the first run with something wrong.
    pub log: Vec<Entry>,
}

/// Enumerates faults over stories.
///
/// `each` sees every run.
///
/// # Errors
/// Where a story does not end well without faults, or there is no thread to be had.
pub fn enumerate(stories: &[Story], scope: &Scope, each: &Each<'_>) -> Result<Report, String> {
    let (mut jobs, mut clean, mut report) = (Vec::new(), Vec::new(), Report::default());
    let mut rng = Rng::seeded(scope.seed);
    for (fenced, story) in
        [true, false].iter().flat_map(|fenced| stories.iter().map(|story| (*fenced, story)))
    {
        let settings = Settings { fenced, seed: scope.seed, ..Settings::default() };
        let played = play(story, settings.clone(), &Case::default())?;
        let ended = played.ended.map_err(|why| format!("{}, nothing going wrong: {why}", story.name))?;
        if let Some(breach) = played.breaches.first() {
            return Err(format!("{}, nothing going wrong: {breach}", story.name));
        }
        let (calls, appends) = calls(&played.log);
        report.effects += if fenced { calls.len() } else { 0 };
        let cases = cases(&calls, if fenced { appends } else { 0 }, if fenced { 2 * LATE } else { LATE });
        let settings = Settings { sabotage: scope.sabotage, ..settings };
        let job = |case| Job { story: clean.len() % stories.len(), settings: settings.clone(), case };
        let skip = usize::try_from(rng.below(scope.every.max(1) as u64)).unwrap_or(0);
        jobs.extend(cases.iter().skip(skip).step_by(scope.every.max(1)).cloned().map(job));
        for _ in 0..scope.pairs.div_ceil(2 * stories.len()) {
            let mut pair = Case::default();
            for _ in 0..2 {
                let one = cases.get(usize::try_from(rng.below(cases.len() as u64)).unwrap_or(0));
                pair.calls.extend(one.iter().flat_map(|case| case.calls.clone()));
                pair.appends.extend(one.iter().flat_map(|case| case.appends.clone()));
            }
            report.pairs += 1;
            jobs.push(job(pair));
        }
        clean.push(ended);
    }
    run_all(stories, &clean, &jobs, each, &mut report)?;
    Ok(report)
}

/// Everything that can go wrong once.
fn cases(calls: &[(u64, Act)], appends: u64, late: u64) -> Vec<Case> {
    let mut cases = Vec::new();
    for (call, act) in calls {
        let faults = faults_of(act, 10_000, late).into_iter();
        cases.extend(faults.map(|fault| Case { calls: vec![(*call, fault)], appends: Vec::new() }));
    }
    for append in 0..appends {
        let faults = APPEND_FAULTS.iter();
        cases.extend(faults.map(|fault| Case { calls: Vec::new(), appends: vec![(append, *fault)] }));
    }
    cases
}

fn run_all(
    stories: &[Story],
    clean: &[Ended],
    jobs: &[Job],
    each: &Each<'_>,
    report: &mut Report,
) -> Result<(), String> {
    let next = AtomicUsize::new(0);
    let found = Mutex::new((report, None));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let story = &stories[job.story];
                    let played = play(story, job.settings.clone(), &job.case);
                    let clean = &clean[job.story + if job.settings.fenced { 0 } else { stories.len() }];
                    let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
                    match played {
                        Ok(played) => {
                            each(story, job, &played);
                            judge(story, job, clean, played, found.0);
                        }
                        Err(why) => found.1 = Some(why),
                    }
                }
            });
        }
    });
    let (_, failed) = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    failed.map_or(Ok(()), Err)
}

/// The most that is told of what is wrong.
const TOLD: usize = 12;

fn judge(story: &Story, job: &Job, clean: &Ended, played: Played, report: &mut Report) {
    report.runs += 1;
    let mut wrong = played.breaches;
    match &played.ended {
        Err(why) => wrong.push(why.clone()),
        Ok(ended) => {
            *report.ends.entry(ended.how).or_default() += 1;
            let harmless = job.case.calls.iter().all(|(_, fault)| fault.answer != Answer::RefusedForGood);
            if harmless && ended != clean {
                wrong.push(format!("ended as {ended:?} instead of {clean:?}"));
            }
        }
    }
    if wrong.is_empty() {
        return;
    }
    report.broken += 1;
    if report.wrong.len() < TOLD {
        let fences = if job.settings.fenced { "" } else { ", without fences" };
        report.wrong.push(format!("{}{fences}, {:?}: {}", story.name, job.case, wrong.join("; ")));
    }
    if report.log.is_empty() {
        report.log = played.log;
    }
}
