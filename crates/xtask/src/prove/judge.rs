//! How often the judge is wrong, how soon it is right, and what it makes of visitors who are not alike.
//!
//! Whoever compares green with blue looks again and again, and stops when they like what they see. A test that was made
//! to be looked at once is then wrong as often as one has patience for; `--sabotage` puts such a test, the textbook's
//! z-test of two proportions, in the judge's place.

use std::time::Instant;

use cutover_engine::{
    config::{CompareGate, Gate, GateKind, Measure},
    judging::Bench,
    ports::{Sampled, Visited},
    rollout::judge::{Arm, Rule, Verdict},
};
use cutover_testkit::{
    rng::Rng,
    simulation::{
        CANARY, HALVES, Traffic, WINDOW, Watcher, careful, detection, ever, habits, loud, naive, passing,
        promised, rule, turned,
    },
};
use serde::Serialize;

use super::{Found, Setup};

type Make = fn(Rule) -> Box<dyn Watcher>;

/// The rate of error that is promised in the experiments.
const PROMISED: f64 = 0.05;

pub(super) fn run(setup: &Setup) -> Result<Found, String> {
    let make: Make = if setup.sabotage { naive } else { careful };
    let mut trial = Trial {
        setup,
        make,
        runs: if setup.quick { 300 } else { 2_000 },
        rng: Rng::seeded(setup.seed),
        wrong: Vec::new(),
        alarms: 0.0,
        ratios: (f64::MAX, 0.0),
    };
    let started = Instant::now();
    trial.false_alarms();
    trial.wrong_passes();
    trial.little_traffic();
    trial.visitors_with_habits();
    trial.holds_of_a_plan()?;
    trial.soon();
    println!("{:.1} s", started.elapsed().as_secs_f64());
    let Trial { runs, wrong, alarms, ratios: (least, most), .. } = trial;
    let facts = format!(
        "equal releases failed in at most {} of the runs of any experiment, promised {}, {runs} runs; differences found \
         and equals passed after {least:.2} to {most:.2} of what was forecast",
        percent(alarms),
        percent(PROMISED)
    );
    Ok(Found { facts, wrong })
}

struct Trial<'a> {
    setup: &'a Setup,
    make: Make,
    runs: u64,
    rng: Rng,
    wrong: Vec<String>,
    /// The highest rate of false alarms.
    alarms: f64,
    /// What was needed, in parts of what was forecast: least and most.
    ratios: (f64, f64),
}

/// One experiment, for the trace.
#[derive(Serialize)]
struct Line<'a> {
    experiment: &'a str,
    measured: f64,
    at_most: f64,
    runs: u64,
}

impl Trial<'_> {
    /// A rate that must not be higher than promised.
    fn rate(&mut self, what: &str, measured: f64, runs: u64) {
        let at_most = promised(PROMISED, runs);
        println!("{what}: {} of {runs} runs, promised {}", percent(measured), percent(PROMISED));
        self.setup.trace.write(&Line { experiment: what, measured, at_most, runs });
        if measured > at_most {
            self.wrong.push(format!("{what}: {} of runs", percent(measured)));
        }
    }

    fn alarm(&mut self, what: &str, measured: f64, runs: u64) {
        self.alarms = self.alarms.max(measured);
        self.rate(what, measured, runs);
    }

    fn ever(&mut self, traffic: Traffic, rates: &dyn Fn(u64) -> (f64, f64), wanted: Verdict) -> f64 {
        ever(self.make, &rule("1%"), traffic, rates, wanted, (self.runs, &mut self.rng))
    }

    /// Green is as good as blue, and is looked at after every window.
    fn false_alarms(&mut self) {
        let runs = self.runs;
        for (name, traffic) in [("halves", HALVES), ("a canary of 5%", CANARY)] {
            for p in [0.0, 0.001, 0.01, 0.05, 0.2] {
                let measured = self.ever(traffic, &|_| (p, p), Verdict::Fail);
                let what =
                    format!("equal at {}, {name}, a look after each of 100 windows: failed", percent(p));
                self.alarm(&what, measured, runs);
            }
            let storm = |window: u64| if (30..60).contains(&window) { (0.3, 0.3) } else { (0.01, 0.01) };
            let measured = self.ever(traffic, &storm, Verdict::Fail);
            self.alarm(&format!("both at 1%, for a while at 30%, {name}: failed"), measured, runs);
        }
    }

    /// Green is worse by exactly what is too much.
    fn wrong_passes(&mut self) {
        let traffic = Traffic { green: 60, blue: 240, windows: 100 };
        for p in [0.0, 0.02, 0.1] {
            let measured = self.ever(traffic, &|_| (p + 0.01, p), Verdict::Pass);
            let what = format!("worse by the margin of 1%, blue at {}: passed", percent(p));
            self.rate(&what, measured, self.runs);
        }
    }

    /// Too few visitors say nothing, whatever happens to them.
    fn little_traffic(&mut self) {
        let traffic = Traffic { green: 1, blue: 19, windows: 90 };
        let passed = self.ever(traffic, &|_| (0.01, 0.01), Verdict::Pass);
        println!("one visitor of green in a window, 90 windows, equal at 1%: {} passed", percent(passed));
        if passed > 0.0 {
            self.wrong.push(format!("fewer visitors than the least passed in {} of runs", percent(passed)));
        }
        let measured = self.ever(traffic, &|_| (0.01, 0.01), Verdict::Fail);
        self.alarm("one visitor of green in a window, equal at 1%: failed", measured, self.runs);
    }

    /// Visitors who fail again and again, and one who makes a tenth of all errors.
    fn visitors_with_habits(&mut self) {
        let runs = self.runs / 3;
        let fooled = habits(self.make, (runs, &mut self.rng));
        let aside = format!("judged by request {}", percent(fooled.by_request));
        let what = format!("one visitor in fifty fails nine requests of ten ({aside}): failed");
        self.alarm(&what, fooled.by_visitor, runs);
        let loud = loud(self.make, (runs, &mut self.rng));
        let aside = format!("judged by request {}", percent(loud.fooled.by_request));
        let what =
            format!("one visitor of green makes {} of all errors ({aside}): failed", percent(loud.part));
        self.alarm(&what, loud.fooled.by_visitor, runs);
    }

    /// The promise is for a whole plan: four holds, each with judges of its own, as rollouts make them.
    fn holds_of_a_plan(&mut self) -> Result<(), String> {
        const HOLDS: u32 = 4;
        if self.setup.sabotage {
            return Ok(());
        }
        let runs = self.runs / 3;
        let gates = [gate("errors", Measure::Errors), gate("slow", Measure::Slow)];
        let mut failed = [0_u64; 2];
        for _ in 0..runs {
            let mut ever = [false; 2];
            for _ in 0..HOLDS {
                let mut bench = Bench::new(&gates, HOLDS, 0)?;
                for window in 0..30 {
                    bench.take(&sampled(&mut self.rng, window));
                    for (ever, reading) in ever.iter_mut().zip(bench.readings((window + 1) * WINDOW)) {
                        *ever |= reading.verdict == Verdict::Fail;
                    }
                }
            }
            failed.iter_mut().zip(ever).for_each(|(failed, ever)| *failed += u64::from(ever));
        }
        for (gate, failed) in gates.iter().zip(failed) {
            let what = format!("a plan of {HOLDS} holds, equal at 2%, gate {}: failed", gate.name);
            self.alarm(&what, failed as f64 / runs as f64, runs);
        }
        Ok(())
    }

    /// How soon a difference is found, and an equal release passed.
    fn soon(&mut self) {
        let runs = self.runs / 10;
        for (base, bad, green, blue, margin) in [
            (0.02, 0.04, 50, 450, "1%"),
            (0.02, 0.04, 100, 100, "1%"),
            (0.1, 0.2, 20, 180, "1%"),
            (0.005, 0.01, 200, 1_800, "0.3%"),
            (0.0, 0.03, 50, 450, "1%"),
        ] {
            let traffic = Traffic { green, blue, windows: 200 };
            let soon = detection(self.make, &rule(margin), (base, bad), traffic, (runs, &mut self.rng));
            let what =
                format!("blue at {}, green at {}, {green} of {}", percent(base), percent(bad), green + blue);
            self.timely(&what, "found", &soon);
        }
        for (p, green, blue) in [(0.0, 20, 180), (0.001, 20, 180), (0.01, 50, 450), (0.02, 100, 100)] {
            let traffic = Traffic { green, blue, windows: 200 };
            let soon = passing(self.make, &rule("1%"), p, traffic, (runs, &mut self.rng));
            self.timely(&format!("equal at {}, {green} of {}", percent(p), green + blue), "passed", &soon);
        }
        for (bad, most) in [(0.05, 12), (0.1, 5), (0.5, 2)] {
            let runs = (runs / 2).max(30);
            let (found, windows) = turned(self.make, 100, bad, (runs, &mut self.rng));
            println!(
                "equal at 1% for 100 windows, then green at {}: found in {} of runs, within {windows} windows",
                percent(bad),
                percent(found)
            );
            if found < 0.85 || windows > most {
                self.wrong.push(format!("turned bad late, {}: {windows} windows", percent(bad)));
            }
        }
    }

    fn timely(&mut self, what: &str, verb: &str, soon: &cutover_testkit::simulation::Soon) {
        let (found, ratio) = (soon.found, soon.ratio());
        println!(
            "{what}: {verb} in {} of runs, half of them within {} visitors of green, forecast {}",
            percent(found),
            soon.median,
            soon.forecast
        );
        self.ratios = (self.ratios.0.min(ratio), self.ratios.1.max(ratio));
        if found < 0.85 || !(0.4..2.5).contains(&ratio) {
            self.wrong
                .push(format!("{what}: {verb} after {ratio:.2} of what was forecast, in {}", percent(found)));
        }
    }
}

fn gate(name: &str, measure: Measure) -> Gate {
    let compare = CompareGate {
        measure,
        worse_by: "1%".to_owned(),
        min_visitors: 100,
        false_alarms: PROMISED,
        missed: PROMISED,
    };
    Gate::new(name, GateKind::Compare(compare))
}

/// A window of 60 visitors, half of them on green, who fail and wait with 2 % each, whatever their release.
fn sampled(rng: &mut Rng, window: u64) -> Sampled {
    let visits = (0..60).map(|visitor| Visited {
        arm: if visitor % 2 == 0 { Arm::Green } else { Arm::Blue },
        visitor: window * 100 + visitor,
        requests: 3,
        failed: 3 * u32::from(rng.hit(0.02)),
        slow: u32::from(rng.hit(0.02)),
    });
    Sampled {
        from: window * WINDOW,
        to: (window + 1) * WINDOW,
        complete: true,
        visits: visits.collect(),
        synthetic: false,
    }
}

fn percent(rate: f64) -> String {
    format!("{}%", (rate * 1e4).round() / 100.0)
}
