//! What the engine's rollouts act through here: the edge, the services, the store, the journal of this controller.
//!
//! The ports know the controller weakly: a controller that is dropped ends its rollouts' driver, not the reverse. What is
//! asked for then is answered as a passing trouble, and taken up by the next start.

mod examiner;
mod journal;
mod lease;
mod ledger;
mod offered;
mod platform;
mod probe;
mod router;
mod switched;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, OnceLock, Weak},
    time::Instant,
};

use cutover_engine::{
    Error,
    control::{Progress, RollbackRequest, SwitchReport},
    ports::{self, Trouble},
    rollout::{Event, Millis, RolloutId},
    runner::{Options, Rollouts},
};
use cutover_routing::{ReleaseId, ReleaseState};
use tokio::sync::Notify;

use super::{Inner, keys::random_name, locked, operation::SELF};
use crate::rollouts::{RolloutLease, SystemClock};

use self::{
    examiner::GateExaminer, journal::ToldJournal, lease::LocalLease, platform::LocalPlatform,
    probe::EdgeProbe, router::EdgeRouter,
};

pub(super) use ledger::{Known, Ledger};

/// The subject of the warning about a rollout that cannot be read.
const SET_ASIDE: &str = "rollouts";

/// Everything of a controller that its rollouts are made of.
#[derive(Debug, Default)]
pub(super) struct Rolling {
    /// The newest rollout as the journal has it.
    pub(super) ledger: Ledger,
    runner: OnceLock<Rollouts<LocalPorts>>,
    /// What whoever opened the newest rollout from here wants to hear.
    asked: Mutex<Option<Asked>>,
    /// When the command that the next switch carries out was accepted; none where it is nobody's, or waited for other
    /// things since.
    accepted: Mutex<Option<Instant>>,
    /// The last switch that a rollout made.
    pub(super) switched: Mutex<Option<SwitchReport>>,
    /// How long the last ones took, microseconds.
    pub(super) times: Mutex<Vec<u64>>,
    /// Why a release could not be stood up the last time.
    pub(super) unready: Mutex<BTreeMap<ReleaseId, Error>>,
    /// Held while a rollout makes way for another.
    pub(super) opening: tokio::sync::Mutex<()>,
    /// Rung when a person has answered a gate.
    pub(super) words: Arc<Notify>,
    /// Since when releases seem ill.
    unwell: Mutex<BTreeMap<ReleaseId, Instant>>,
}

/// What the opener of a rollout wants.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) rollout: RolloutId,
    pub(super) reason: Option<String>,
    pub(super) progress: Progress,
}

impl Rolling {
    /// What a rollout's opener wants, where it was this controller's.
    fn asked(&self, rollout: &RolloutId) -> Option<Asked> {
        locked(&self.asked).clone().filter(|asked| asked.rollout == *rollout)
    }

    pub(super) fn ask(&self, asked: Asked) {
        *locked(&self.asked) = Some(asked);
    }

    /// Notes when a command came that a switch will carry out.
    pub(super) fn accept(&self, at: Option<Instant>) {
        *locked(&self.accepted) = at;
    }

    fn progress(&self, release: &ReleaseId) -> Progress {
        let known = self.ledger.known().filter(|known| known.state.plan.green == *release);
        let asked = known.and_then(|known| self.asked(&known.state.plan.rollout));
        asked.map_or_else(Progress::none, |asked| asked.progress)
    }
}

impl Inner {
    /// Takes the lease and goes on with what is open.
    pub(super) async fn start_rollouts(self: &Arc<Self>) -> Result<(), Error> {
        // The lock on the state directory is held: whoever had the lease is gone.
        let ended = self.journal.blocking(crate::journal::Journal::end_lease).await;
        if ended.is_err() && self.reserve.give_back() {
            self.journal.blocking(crate::journal::Journal::end_lease).await?;
        } else {
            ended?;
        }
        let owner = format!("{}-{}", std::process::id(), random_name()?);
        let look = u64::try_from(self.options.pace.as_millis()).unwrap_or(u64::MAX);
        let options = Options { look: Millis(look), ..Options::new(owner) };
        let runner = Rollouts::start(Arc::new(LocalPorts::new(self)), options).await?;
        if let Some(aside) = runner.set_aside() {
            let what = format!(
                "rollout {} was set aside: {}; visitors stay where they are, `cutover rollback` goes by the routing \
                 table, and the next deployment begins a new one",
                aside.rollout, aside.why
            );
            self.trouble(SET_ASIDE, Some(what));
        }
        let lost = self.rolling.ledger.known().filter(|known| {
            let state = &known.state;
            let blue =
                state.plan.blue.filter(|_| state.ended.is_none() && state.promoted && !state.going_back());
            blue.is_some_and(|blue| self.current_table().state(&blue).is_none())
        });
        if let Some(known) = lost {
            // What it left has vanished: there is nothing to drain, and no way back to it.
            let event = Event::Supersede { by: Self::new_rollout()? };
            runner.say(&known.state.plan.rollout, event).await?;
        }
        // Opened once.
        let _ = self.rolling.runner.set(runner);
        Ok(())
    }

    /// Sends visitors back from releases that no rollout looks after, because theirs was set aside: before another
    /// begins.
    pub(super) async fn leave_strays(self: &Arc<Self>) -> Result<(), Error> {
        let aside = self.rolling.runner.get().and_then(Rollouts::set_aside);
        let Some(aside) = aside.filter(|_| self.rolling.ledger.known().is_none()) else { return Ok(()) };
        if self.with_world(|world| world.in_state(ReleaseState::Candidate).is_empty()) {
            return Ok(());
        }
        let reason = Some(format!("rollout {} was set aside, and another begins", aside.rollout));
        Arc::clone(self).rollback(SELF.to_owned(), RollbackRequest { reason, now: false }).await.map(drop)
    }

    /// The rollouts; none before the start is over.
    pub(super) fn runner(&self) -> Result<&Rollouts<LocalPorts>, Error> {
        self.rolling.runner.get().ok_or_else(|| {
            Error::new(cutover_engine::ErrorKind::Unavailable, "CUT0607", "the program is starting")
        })
    }

    /// A new rollout's id.
    pub(super) fn new_rollout() -> Result<RolloutId, Error> {
        let name: String = random_name()?.chars().take(8).collect();
        format!("ro-{name}").parse().map_err(|error: cutover_engine::rollout::RolloutIdError| {
            Error::new(cutover_engine::ErrorKind::Internal, "CUT0599", "naming a rollout").because(error)
        })
    }
}

/// The ports of a controller.
#[derive(Debug)]
pub(super) struct LocalPorts {
    journal: ToldJournal,
    lease: LocalLease,
    router: EdgeRouter,
    platform: LocalPlatform,
    probe: EdgeProbe,
    examiner: GateExaminer,
    clock: SystemClock,
}

impl LocalPorts {
    fn new(inner: &Arc<Inner>) -> Self {
        let weak = Home(Arc::downgrade(inner));
        Self {
            journal: ToldJournal::new(weak.clone(), Arc::clone(&inner.journal)),
            lease: LocalLease::new(weak.clone(), RolloutLease::new(Arc::clone(&inner.journal))),
            router: EdgeRouter(weak.clone()),
            platform: LocalPlatform(weak.clone()),
            probe: EdgeProbe::new(weak.clone()),
            examiner: GateExaminer(weak),
            clock: SystemClock,
        }
    }
}

impl ports::Ports for LocalPorts {
    type Journal = ToldJournal;
    type Lease = LocalLease;
    type Router = EdgeRouter;
    type Platform = LocalPlatform;
    type Probe = EdgeProbe;
    type Examiner = GateExaminer;
    type Clock = SystemClock;

    fn journal(&self) -> &ToldJournal {
        &self.journal
    }
    fn lease(&self) -> &LocalLease {
        &self.lease
    }
    fn router(&self) -> &EdgeRouter {
        &self.router
    }
    fn platform(&self) -> &LocalPlatform {
        &self.platform
    }
    fn probe(&self) -> &EdgeProbe {
        &self.probe
    }
    fn examiner(&self) -> &GateExaminer {
        &self.examiner
    }
    fn clock(&self) -> &SystemClock {
        &self.clock
    }
}

/// The controller, as long as it is there.
#[derive(Debug, Clone)]
struct Home(Weak<Inner>);

impl Home {
    fn inner(&self) -> Option<Arc<Inner>> {
        self.0.upgrade().filter(|inner| !inner.closing.load(std::sync::atomic::Ordering::SeqCst))
    }

    fn get(&self) -> Result<Arc<Inner>, Trouble> {
        self.inner().ok_or_else(|| Trouble::Passing("the program is ending".to_owned()))
    }
}
