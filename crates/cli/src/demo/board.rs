//! What the audience sees: a live table on a terminal, plain lines elsewhere.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use cutover_engine::control::{Release, RolloutView, Status};
use cutover_routing::ReleaseId;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::tally::{Picture, Tally};
use crate::{
    client::Client,
    context::Context,
    view::{
        page::{DIM, GREEN, Page, RED, STRONG, paint},
        releases,
        rollout::{gates, section},
        text,
    },
};

/// Pause between two drawings.
const PAUSE: Duration = Duration::from_millis(200);

/// The releases of the play and what they are called, in the order they came on.
type Cast = Arc<Mutex<Vec<(ReleaseId, &'static str)>>>;

/// The board.
pub(super) struct Board {
    cast: Cast,
    tally: Arc<Tally>,
    began: Instant,
    quiet: bool,
    live: Option<Live>,
}

/// The part that draws over itself.
struct Live {
    bar: ProgressBar,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Board {
    /// Sets the board up; on a terminal it is drawn until it is dropped.
    pub(super) fn new(context: &Context, tally: Arc<Tally>, client: Client) -> Self {
        let cast = Cast::default();
        let live = context.draws().then(|| Live::begin(cast.clone(), tally.clone(), client));
        Self { cast, tally, began: Instant::now(), quiet: context.quiet, live }
    }

    /// Gives a release its name.
    pub(super) fn introduce(&self, release: ReleaseId, name: &'static str) {
        let mut cast = self.cast.lock().unwrap_or_else(PoisonError::into_inner);
        if !cast.iter().any(|(known, _)| *known == release) {
            cast.push((release, name));
        }
    }

    /// Tells what happens.
    pub(super) fn say(&self, line: impl std::fmt::Display) {
        if self.quiet {
            return;
        }
        let line = format!("{} {line}", paint(DIM, format!("{:>5.1}s", self.began.elapsed().as_secs_f64())));
        match &self.live {
            Some(live) => live.bar.suspend(|| crate::view::say(&line)),
            None => crate::view::say(line),
        }
    }

    /// Tells where things stand, unless the live table shows it anyway.
    pub(super) fn stand(&self) {
        if self.live.is_none() {
            let picture = self.tally.picture();
            let cast = self.cast.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let places: Vec<String> = cast
                .iter()
                .map(|(release, name)| {
                    format!("{name} {}", picture.visitors.get(release).copied().unwrap_or_default())
                })
                .collect();
            let total = picture.total_without(&[]);
            self.say(format_args!(
                "visitors: {}; {} requests, {} failed, {} visits, {} mixed",
                places.join(", "),
                total.requests,
                total.failures,
                total.visits,
                total.mixed_visits
            ));
        }
    }
}

impl Live {
    fn begin(cast: Cast, tally: Arc<Tally>, client: Client) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template("{msg}") {
            bar.set_style(style);
        }
        let stop = Arc::new(AtomicBool::new(false));
        let (told, drawn) = (stop.clone(), bar.clone());
        let thread = std::thread::spawn(move || {
            while !told.load(SeqCst) {
                let (releases, rollout) = client
                    .get::<Status>("/v1/status")
                    .map(|status| (status.releases, status.rollout))
                    .unwrap_or_default();
                let cast = cast.lock().unwrap_or_else(PoisonError::into_inner).clone();
                let mut table = draw(&cast, &releases, &tally.picture());
                table.extend(
                    rollout.filter(|rollout| !rollout.phase.is_over()).map(|rollout| moving(&rollout)),
                );
                drawn.set_message(table);
                std::thread::sleep(PAUSE);
            }
        });
        Self { bar, stop, thread: Some(thread) }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.stop.store(true, SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        self.bar.finish_and_clear();
    }
}

/// A rollout that is going on: where it stands, its hold, what its gates say and on how many visitors.
fn moving(rollout: &RolloutView) -> String {
    let mut page = Page::now();
    section::rollout(&mut page, rollout);
    for numbers in rollout.gates.iter().filter_map(gates::numbers) {
        page.field("", numbers);
    }
    format!("\n\n{}", page.into_text().trim_end())
}

/// The table: one line a release, then the sum.
fn draw(cast: &[(ReleaseId, &'static str)], releases: &[Release], picture: &Picture) -> String {
    let states: BTreeMap<ReleaseId, String> =
        releases.iter().map(|release| (release.id, releases::state(release))).collect();
    let on = |release: &ReleaseId| {
        let count = |of: &BTreeMap<ReleaseId, u64>| of.get(release).copied().unwrap_or_default();
        count(&picture.visitors) + count(&picture.crowd)
    };
    let everybody: u64 = cast.iter().map(|(release, _)| on(release)).sum();
    let mut table = String::from("\n");
    for (release, name) in cast {
        let counts = picture.of(*release);
        let here = on(release);
        let state = states.get(release).cloned().unwrap_or_default();
        let p95 = picture.p95.get(release).map_or_else(String::new, |p95| {
            format!("p95 {}", text::micros(u64::try_from(p95.as_micros()).unwrap_or(u64::MAX)))
        });
        table.push_str(&format!(
            "  {} {} {} {} {:>3} visitors {:>7} requests  {} failed  {}\n",
            paint(STRONG, format!("{name:<4}")),
            paint(DIM, release),
            pad(&state, 10),
            bar(here, everybody),
            here,
            counts.requests,
            number(counts.failures),
            paint(DIM, p95),
        ));
    }
    let total = picture.total_without(&[]);
    table.push_str(&format!("  {} visits, {} mixed", total.visits, number(total.mixed_visits)));
    table
}

/// A bar of twenty columns.
fn bar(part: u64, whole: u64) -> String {
    let full = (part * 20).checked_div(whole).map_or(0, |full| usize::try_from(full).unwrap_or(20).min(20));
    format!("{}{}", paint(GREEN, "█".repeat(full)), paint(DIM, "·".repeat(20 - full)))
}

fn number(failures: u64) -> String {
    if failures == 0 { paint(GREEN, 0) } else { paint(RED, failures) }
}

/// Fills painted text up to a width.
fn pad(text: &str, width: usize) -> String {
    let shown = anstream::adapter::strip_str(text).to_string().chars().count();
    format!("{text}{}", " ".repeat(width.saturating_sub(shown)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::rollout::fixtures;

    #[test]
    fn the_table_shows_who_is_where_and_what_failed() {
        let release: ReleaseId = "aaaaaaaa".parse().unwrap();
        let tally = Tally::new(2);
        tally.page(0, release);
        tally.request(Some(release), Duration::from_millis(3), None);
        tally.visit(release, None);
        let table = draw(&[(release, "one")], &[], &tally.picture());
        let plain = anstream::adapter::strip_str(&table).to_string();
        assert!(plain.contains("one  aaaaaaaa            ████████████████████   1 visitors       1 requests  0 failed  p95 3.00 ms"), "{plain}");
        assert!(plain.ends_with("1 visits, 0 mixed"), "{plain}");
        tally.enter(release);
        tally.enter(release);
        tally.leave(release);
        assert!(draw(&[(release, "one")], &[], &tally.picture()).contains("  2 visitors"));
    }

    #[test]
    fn a_rollout_shows_its_step_its_hold_and_what_its_gates_rest_on() {
        let plain = anstream::adapter::strip_str(&moving(&fixtures::holding())).to_string();
        assert!(plain.contains("step ") && plain.contains("hold ") && plain.contains("gate "), "{plain}");
        assert!(plain.contains("evidence for fail"), "{plain}");
    }
}
