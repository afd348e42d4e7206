//! The shell around the rollout machine: writes down what was decided, does it, reads it back, writes down what became
//! of it.
//!
//! All decisions are [`cutover_rollout::step`]'s. The shell adds what a decision may not depend on: calls with deadlines,
//! a lease that is renewed, looks at the world at a steady pace, and patience with a journal that cannot be written for
//! a while. It promises:
//!
//! - nothing is done that is not in the journal, and what is done is in the journal before anything follows from it;
//! - a call is given up inside the lease, and what became of it is looked at before anything else is done;
//! - what a killed controller left is taken up by the next one, which first waits until late calls of its predecessor
//!   have landed, where the router cannot refuse them by itself;
//! - who has lost the lease begins nothing any more.

mod driver;
mod effects;
mod ending;
mod known;
mod looking;
mod refusal;
mod waiting;
mod writing;

use std::{collections::VecDeque, sync::Arc};

use cutover_rollout::{Event, Millis, Reading, Refused, RolloutId, State};
use tokio::sync::{mpsc, oneshot, watch};

pub use known::{SetAside, now_from};
pub use refusal::Refusal;

use crate::{Error, ErrorKind, judging::Evidence, ports::Ports};

/// How a shell behaves.
#[derive(Debug, Clone)]
pub struct Options {
    /// Who takes the lease: unique to this run of the program.
    pub owner: String,
    /// How long the lease lasts without being renewed. It is renewed every third of it.
    pub lease: Millis,
    /// How long one call may take; at most half the lease.
    pub call: Millis,
    /// How long standing a release up may take.
    pub stand_up: Millis,
    /// How long after its deadline a call may still land where the router does not refuse it by itself. A new controller
    /// waits so long before it looks at anything; nothing that was given up is tried again before.
    pub late: Millis,
    /// Pause between two looks at the world while something is waited for.
    pub look: Millis,
}

impl Options {
    /// For one machine.
    pub fn new(owner: impl Into<String>) -> Self {
        Self {
            owner: owner.into(),
            lease: Millis::secs(30),
            call: Millis::secs(10),
            stand_up: Millis::mins(10),
            late: Millis::secs(20),
            look: Millis::secs(1),
        }
    }
}

/// The rollouts of one app. Clones are handles to the same; when the last is dropped, nothing is begun any more.
#[derive(Debug)]
pub struct Rollouts<P: Ports> {
    commands: mpsc::Sender<Command>,
    now: watch::Receiver<Shown>,
    ports: Arc<P>,
}

impl<P: Ports> Clone for Rollouts<P> {
    fn clone(&self) -> Self {
        Self { commands: self.commands.clone(), now: self.now.clone(), ports: Arc::clone(&self.ports) }
    }
}

/// A rollout as it is now.
#[derive(Debug, Clone, PartialEq)]
pub struct Now {
    /// What its records say.
    pub state: State,
    /// When it was opened, Unix milliseconds.
    pub opened_at: u64,
    /// By whom.
    pub opened_by: String,
    /// When the last record was written.
    pub changed_at: u64,
    /// What the watched gates said at the last look.
    pub readings: Vec<Reading>,
    /// What their comparisons rest on.
    pub evidence: Vec<Evidence>,
    /// What keeps the shell from doing its work.
    pub trouble: Option<String>,
}

/// The newest rollout, and those before it as they ended.
#[derive(Debug, Clone, Default)]
struct Shown {
    newest: Option<Arc<Now>>,
    former: VecDeque<Arc<Now>>,
    /// The newest rollout at the start, where its records cannot be read.
    set_aside: Option<SetAside>,
    /// Why this program is no longer in charge.
    deposed: Option<String>,
}

impl Shown {
    fn find(&self, rollout: &RolloutId) -> Option<&Arc<Now>> {
        self.newest.iter().chain(&self.former).find(|now| now.state.plan.rollout == *rollout)
    }
}

/// What the handle asks of the driver.
#[derive(Debug)]
enum Command {
    Say { rollout: RolloutId, event: Box<Event>, reply: oneshot::Sender<Result<Arc<Now>, Refusal>> },
    Stop { reply: oneshot::Sender<()> },
}

impl<P: Ports> Rollouts<P> {
    /// Takes the lease, reads the journal, and goes on where the last controller stopped.
    ///
    /// # Errors
    /// `CUT0533` where another controller has the lease; `CUT0603` where a newer version wrote the newest rollout; what the
    /// journal and the lease answer.
    pub async fn start(ports: Arc<P>, options: Options) -> Result<Self, Error> {
        let (commands, received) = mpsc::channel(64);
        let (show, now) = watch::channel(Shown::default());
        let driver = driver::Driver::begin(Arc::clone(&ports), options, received, show).await?;
        tokio::spawn(driver.run());
        Ok(Self { commands, now, ports })
    }

    /// What the rollouts act through.
    pub fn ports(&self) -> &Arc<P> {
        &self.ports
    }

    /// Says something to the newest rollout, or opens one. Answers once it is written down and what follows is begun.
    ///
    /// # Errors
    /// [`Refusal::Refused`] where it has no place in the rollout's state: nothing was written or begun.
    /// [`Refusal::Failed`] where it could not be written down.
    pub async fn say(&self, rollout: &RolloutId, event: Event) -> Result<Arc<Now>, Refusal> {
        let (reply, answer) = oneshot::channel();
        let command = Command::Say { rollout: rollout.clone(), event: Box::new(event), reply };
        self.commands.send(command).await.map_err(|_| Refusal::Failed(ending()))?;
        answer.await.unwrap_or_else(|_| Err(Refusal::Failed(ending())))
    }

    /// The newest rollout, open or over.
    pub fn now(&self) -> Option<Arc<Now>> {
        self.now.borrow().newest.clone()
    }

    /// The newest rollout there was at the start, where its records are damaged: it is left as it is and never gone on
    /// with, and there is none until another is opened.
    pub fn set_aside(&self) -> Option<SetAside> {
        self.now.borrow().set_aside.clone()
    }

    /// Whether this program still acts. Once another controller has taken over, it never does again: start anew.
    pub fn in_charge(&self) -> bool {
        self.now.borrow().deposed.is_none()
    }

    /// One of the last rollouts.
    pub fn find(&self, rollout: &RolloutId) -> Option<Arc<Now>> {
        self.now.borrow().find(rollout).cloned()
    }

    /// Returns at the next change of anything that [`Rollouts::now`] shows, or when the driver is gone.
    pub async fn changed(&mut self) -> bool {
        self.now.changed().await.is_ok()
    }

    /// Waits until something holds for one of the last rollouts.
    ///
    /// # Errors
    /// Where the program is ending or another controller has taken over, or the rollout is not among the last ones.
    pub async fn until(&self, rollout: &RolloutId, holds: impl Fn(&Now) -> bool) -> Result<Arc<Now>, Error> {
        let mut now = self.now.clone();
        loop {
            let (seen, deposed) = {
                let shown = now.borrow_and_update();
                (shown.find(rollout).cloned(), shown.deposed.clone())
            };
            match seen {
                Some(seen) if holds(&seen) => return Ok(seen),
                Some(seen) if seen.state.ended.is_some() && self.newest_is_not(rollout) => return Ok(seen),
                Some(_) if deposed.is_some() => {
                    return Err(driver::deposed(deposed.as_deref().unwrap_or_default()));
                }
                Some(_) => {}
                None => {
                    let what = format!("rollout {rollout} is not among the last ones");
                    return Err(Error::new(ErrorKind::NotFound, "CUT0530", what));
                }
            }
            if now.changed().await.is_err() {
                return Err(ending());
            }
        }
    }

    fn newest_is_not(&self, rollout: &RolloutId) -> bool {
        self.now.borrow().newest.as_ref().is_none_or(|now| now.state.plan.rollout != *rollout)
    }

    /// Makes an open rollout, or one that could still be rolled back, end for the sake of a newer one, and waits for
    /// that. What the newer one goes from is known only afterwards: plan it then.
    ///
    /// # Errors
    /// Where the open rollout cannot give way, or gives way to another already.
    pub async fn make_way(&self, successor: &RolloutId) -> Result<(), Error> {
        let Some(now) = self.now() else { return Ok(()) };
        let standby = now.state.ended == Some(cutover_rollout::End::Done { standby: true });
        if now.state.ended.is_some() && !standby {
            return Ok(());
        }
        let rollout = now.state.plan.rollout.clone();
        match self.say(&rollout, Event::Supersede { by: successor.clone() }).await {
            Ok(_) => {}
            // Asked before, perhaps by a program that was killed over it.
            Err(Refusal::Refused(Refused::AlreadySuperseded(by))) if by == *successor => {}
            // It has ended meanwhile.
            Err(Refusal::Refused(Refused::Ended(_))) => return Ok(()),
            Err(refusal) => return Err(refusal.into()),
        }
        let over =
            |now: &Now| !matches!(now.state.ended, None | Some(cutover_rollout::End::Done { standby: true }));
        self.until(&rollout, over).await?;
        Ok(())
    }

    /// Begins nothing any more, lets the routing write that is under way end, and gives the lease back.
    pub async fn stop(&self) {
        let (reply, done) = oneshot::channel();
        if self.commands.send(Command::Stop { reply }).await.is_ok() {
            let _ = done.await;
        }
    }
}

fn ending() -> Error {
    Error::new(ErrorKind::Unavailable, "CUT0607", "the program is ending")
}
