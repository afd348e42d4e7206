//! The shop's bad release under real visitors: how soon it is found, whom it met, how many more it meets without
//! steps, and that a good one is let through.

mod comparison;

use std::time::Duration;

use cutover_routing::ReleaseId;
use cutover_testkit::{
    crowd::{Clocks, Crowd, Sight},
    rng::Rng,
    world::World,
};

use self::comparison::{Comparison, Toll};
use super::{
    Found, Setup,
    rollouts::{
        Steps, follow, harmed, mixed, quantile, sent_back_at, story, until_visited, visitors, visitors_of,
    },
};

/// Green's share at the first step, in percent and as a part.
const FIRST_STEP: (&str, f64) = ("5%", 0.05);

pub(crate) fn run(setup: &Setup) -> Result<Found, String> {
    let (mut bad_runs, mut good_runs) = match (setup.sabotage, setup.quick) {
        (true, _) => (1, 0),
        (false, true) => (1, 1),
        (false, false) => (10, 5),
    };
    if let Some(rounds) = setup.rounds {
        (bad_runs, good_runs) = (rounds, rounds / 2);
    }
    let arrivals = setup.arrivals.unwrap_or(200);
    let mut rng = Rng::seeded(setup.seed);
    let mut wrong = Vec::new();
    let mut bad = Vec::new();
    let mut first_seed = None;
    for number in 1..=bad_runs {
        let seed = rng.next_u64();
        first_seed.get_or_insert(seed);
        let one = repetition(setup, "bad", Way::Stepped, arrivals, seed)?;
        println!("bad release, run {number}: {}", one.line());
        one.check_bad(&mut wrong, number);
        bad.push(one);
    }
    // Where nobody is listened to, nobody is sent back from either.
    let compared = match (bad.first(), first_seed) {
        (Some(stepped), Some(seed)) if !setup.sabotage => {
            let instant = repetition(setup, "bad", Way::Instant, arrivals, seed)?;
            println!("bad release, at once: {}", instant.line());
            instant.check_instant(&mut wrong);
            let comparison = Comparison { instant: instant.toll(), stepped: stepped.toll() };
            println!("the same under the same arrivals: {}", comparison.line());
            comparison.check(&mut wrong);
            Some(comparison)
        }
        _ => None,
    };
    let mut sent_back = 0;
    let mut good_took = Vec::new();
    for number in 1..=good_runs {
        let one = repetition(setup, "two", Way::Stepped, arrivals, rng.next_u64())?;
        println!("good release, run {number}: {} after {:.1} s", one.phase, one.rollout_s);
        sent_back += u32::from(one.undo.is_some());
        one.check_good(&mut wrong, number);
        good_took.push(one.rollout_s);
    }
    let detected: Vec<f64> = bad.iter().filter_map(|one| one.detected_s).collect();
    let met: usize = bad.iter().map(|one| one.met).sum();
    let all: usize = bad.iter().map(|one| one.exposed).sum();
    let failed: usize = bad.iter().map(|one| one.failed).sum();
    let slow: usize = bad.iter().map(|one| one.slow).sum();
    let mut facts = format!(
        "{} of a bad release at {} and {arrivals} visits/s: from its first bad request to share 0 median \
         {}, worst {}; {met} of {all} visitors met it ({:.1} %), {failed} requests failed and {slow} were slow",
        runs(bad_runs),
        FIRST_STEP.0,
        seconds(quantile(&detected, 0.5)),
        seconds(quantile(&detected, 1.0)),
        100.0 * part(met, all),
    );
    if let Some(comparison) = compared {
        facts += &format!("; the same under the same arrivals: {}", comparison.line());
    }
    if good_runs > 0 {
        facts += &format!(
            "; {} of a good one: {sent_back} sent back, promoted and baked after {:.0} s (median)",
            runs(good_runs),
            quantile(&good_took, 0.5)
        );
    }
    wrong.truncate(12);
    Ok(Found { facts, wrong })
}

fn runs(number: u32) -> String {
    if number == 1 { "1 run".to_owned() } else { format!("{number} runs") }
}

fn seconds(value: f64) -> String {
    if value.is_nan() { "never".to_owned() } else { format!("{value:.1} s") }
}

fn part(of: usize, all: usize) -> f64 {
    if all == 0 { 0.0 } else { of as f64 / all as f64 }
}

/// How a release comes to its visitors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// In the steps of its description, each of which is judged.
    Stepped,
    /// To everybody at once, by `--strategy instant`; it is judged afterwards, while blue is kept warm.
    Instant,
}

/// What one rollout was like.
struct Repetition {
    phase: String,
    undo: Option<String>,
    /// From the command to where it came to rest, seconds.
    rollout_s: f64,
    /// The largest share green had.
    most_share: u64,
    /// From sending its first bad request to the write that took its visitors away, seconds.
    detected_s: Option<f64>,
    /// Visitors who were here between green's first page and that write.
    exposed: usize,
    /// Those of all visitors who got a page of green.
    met: usize,
    /// Those of them to whom a request failed or was slow.
    harmed: usize,
    /// Requests that green's pages lost.
    failed: usize,
    slow: usize,
    /// What failed on other pages.
    elsewhere: Vec<String>,
    mixed: Vec<String>,
    /// Pages of green that were asked for after the write was acknowledged.
    late: usize,
}

impl Repetition {
    fn line(&self) -> String {
        format!(
            "{}; found after {}; {} of {} visitors met it ({:.1} %), {} of them its trouble; {} requests failed, {} \
             slow; {}",
            self.phase,
            self.detected_s.map_or_else(|| "never".to_owned(), |s| format!("{s:.1} s")),
            self.met,
            self.exposed,
            100.0 * part(self.met, self.exposed),
            self.harmed,
            self.failed,
            self.slow,
            self.undo.as_deref().unwrap_or("nobody sent it back")
        )
    }

    fn toll(&self) -> Toll {
        Toll { met: self.met, all: self.exposed, failed: self.failed, back_s: self.detected_s }
    }

    fn check_bad(&self, wrong: &mut Vec<String>, number: u32) {
        let mut complain = |what: String| wrong.push(format!("bad release, run {number}: {what}"));
        self.check_sent_back(&mut complain);
        if self.most_share > 500 {
            complain(format!("it came to a share of {} of 10000", self.most_share));
        }
        // Four standard deviations of the draw.
        let all = self.exposed as f64;
        let most = all * FIRST_STEP.1 + 4.0 * (all * FIRST_STEP.1 * (1.0 - FIRST_STEP.1)).sqrt();
        if self.met as f64 > most {
            complain(format!(
                "{} of {} visitors met it, {most:.0} are the most that a step of {} explains",
                self.met, self.exposed, FIRST_STEP.0
            ));
        }
    }

    fn check_instant(&self, wrong: &mut Vec<String>) {
        self.check_sent_back(&mut |what: String| wrong.push(format!("bad release, at once: {what}")));
    }

    /// Nobody gave a command: what went back went by itself.
    fn check_sent_back(&self, complain: &mut impl FnMut(String)) {
        if self.phase != "rolled-back" {
            complain(format!("its rollout is {}", self.phase));
        }
        if self.detected_s.is_none() {
            complain("no record of visitors being sent back".to_owned());
        }
        if self.met == 0 {
            complain("nobody met it: nothing was shown".to_owned());
        }
        if self.late > 0 {
            complain(format!("{} pages of it were served after visitors were sent back", self.late));
        }
        self.check(complain);
    }

    fn check_good(&self, wrong: &mut Vec<String>, number: u32) {
        let mut complain = |what: String| wrong.push(format!("good release, run {number}: {what}"));
        if let Some(undo) = &self.undo {
            complain(format!("it was sent back: {undo}"));
        } else if self.phase == "held" {
            complain("it was held".to_owned());
        }
        if self.failed > 0 {
            complain(format!("{} requests of its pages failed", self.failed));
        }
        self.check(&mut complain);
    }

    fn check(&self, complain: &mut impl FnMut(String)) {
        if let Some(first) = self.elsewhere.first() {
            complain(format!("{} requests of other pages failed, the first: {first}", self.elsewhere.len()));
        }
        if let Some(first) = self.mixed.first() {
            complain(format!(
                "{} answers of another release than their page, the first: {first}",
                self.mixed.len()
            ));
        }
    }
}

fn repetition(
    setup: &Setup,
    variant: &str,
    way: Way,
    arrivals: u32,
    seed: u64,
) -> Result<Repetition, String> {
    let steps = Steps {
        strategy: "5%, 25%, 50%, 100%",
        // Where nobody is listened to, the bad one goes all the way: soon.
        hold: if setup.sabotage || (setup.quick && variant != "bad") { "2s" } else { "20s" },
        bake: "2s",
        quiet: "10m",
        judged: "steps",
        worse_by: if setup.quick { "2%" } else { "1%" },
        required: !setup.sabotage,
    };
    let mut world = World::new(&setup.binary)?;
    world.write_shop_with("one", &steps.text())?;
    world.up()?;
    world.deploy_shop_as("one", &steps.text())?;
    let runtime = super::runtime()?;
    runtime.block_on(released(setup, &world, variant, way, &steps, visitors(&world, arrivals, 0, seed)))
}

async fn released(
    setup: &Setup,
    world: &World,
    variant: &str,
    way: Way,
    steps: &Steps<'_>,
    plan: cutover_testkit::crowd::CrowdPlan,
) -> Result<Repetition, String> {
    let clocks = Clocks::read();
    let crowd = Crowd::start(plan, &setup.trace);
    // Blue has visitors of its own before green comes.
    until_visited(&crowd, 1_000).await;
    let begun = std::time::Instant::now();
    let green = match way {
        Way::Stepped => world.deploy_shop_as(variant, &steps.text())?,
        Way::Instant => at_once(world, variant, steps)?,
    };
    let green: ReleaseId = green.parse().map_err(|e| format!("{green}: {e}"))?;
    let mut most_share = 0;
    // Where nobody judges, five steps of twenty seconds and their ways.
    let longest = Duration::from_secs(420);
    let each = |seen: &super::rollouts::Seen| {
        // After the promotion everybody is on green, which is not a share.
        if !seen.baked && seen.undo.is_none() {
            most_share = most_share.max(seen.share);
        }
    };
    let end = follow(world, longest, each, |seen| seen.is_of(green) && (seen.rests() || seen.baked)).await?;
    let rollout_s = begun.elapsed().as_secs_f64();
    // Those who were on green come back.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let story = story(world, &end.id)?;
    let sights = crowd.stop().await;
    Ok(Repetition {
        phase: end.phase,
        undo: end.undo,
        rollout_s,
        most_share,
        ..measured(&sights, green, sent_back_at(&story), &clocks)
    })
}

/// Deploys it to everybody, with the bake as long as a step would be held and judged by the same gates.
fn at_once(world: &World, variant: &str, steps: &Steps<'_>) -> Result<String, String> {
    let described = Steps { bake: steps.hold, judged: "bake", ..*steps };
    world.write_shop_with(variant, &described.text())?;
    let said = world.must(&["deploy", "--name", variant, "--strategy", "instant"])?;
    said.json["stage"]["release"]["id"]
        .as_str()
        .map(str::to_owned)
        .ok_or_else(|| format!("deploy said {}", said.json))
}

/// What visitors say about it.
fn measured(sights: &[Sight], green: ReleaseId, sent_back: Option<u64>, clocks: &Clocks) -> Repetition {
    let of_green = |sight: &&Sight| sight.owner() == Some(green);
    let first_page = sights.iter().filter(of_green).map(|sight| sight.sent).min();
    let first_bad = sights.iter().filter(|sight| harmed(sight, green)).map(|sight| sight.sent).min();
    let at = |sight: &Sight| clocks.unix_ms(sight.sent);
    let exposed = first_page.map_or(0, |first| {
        let here = |sight: &&Sight| {
            sight.is_navigation() && sight.done >= first && sent_back.is_none_or(|end| at(sight) <= end)
        };
        visitors_of(sights.iter().filter(here))
    });
    let late = |sight: &&Sight| {
        // Clocks are read in whole milliseconds.
        sight.is_navigation()
            && sight.release == Some(green)
            && sent_back.is_some_and(|end| at(sight) > end + 2)
    };
    let failed = |sight: &&Sight| sight.failed() && sight.owner() == Some(green);
    Repetition {
        phase: String::new(),
        undo: None,
        rollout_s: 0.0,
        most_share: 0,
        detected_s: first_bad.zip(sent_back).map(|(bad, end)| {
            let ms = end.saturating_sub(clocks.unix_ms(bad));
            ms as f64 / 1000.0
        }),
        exposed,
        met: visitors_of(sights.iter().filter(of_green)),
        harmed: visitors_of(sights.iter().filter(|sight| harmed(sight, green))),
        failed: sights.iter().filter(failed).count(),
        slow: sights.iter().filter(|sight| harmed(sight, green) && sight.status < 500).count(),
        elsewhere: sights
            .iter()
            .filter(|sight| sight.failed() && sight.owner() != Some(green))
            .map(Sight::line)
            .collect(),
        mixed: mixed(sights),
        late: sights.iter().filter(late).count(),
    }
}
