//! The one task that moves a rollout: takes what happened, asks the machine, writes down, begins.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use cutover_rollout::{EffectId, Event, Outcome, Refused, RolloutId};
use tokio::{
    sync::{mpsc, watch},
    task::AbortHandle,
};

use super::{
    Command, Now, Options, Refusal, Shown,
    effects::{self, Answer},
    known::{SetAside, Unread, read_back},
    looking::Watchers,
    writing::Unsure,
};
use crate::{
    Error, ErrorKind,
    ports::{Clock as _, Fence, Grant, Journal as _, Lease as _, LeaseError, Ports, Router as _},
};

/// Pause before what could not be written down is tried again, milliseconds.
pub(super) const AGAIN: u64 = 1_000;

/// Rollouts read at the start: the newest, and some before it.
const READ: usize = 4;

pub(super) struct Driver<P: Ports> {
    pub(super) ports: Arc<P>,
    pub(super) options: Options,
    pub(super) grant: Grant,
    /// Until when the lease lasts by the own clock: what a store's clock says is not compared with it.
    held_until: u64,
    pub(super) renewing: bool,
    pub(super) renew_at: u64,
    /// Why nothing is begun any more.
    pub(super) deposed: Option<String>,
    pub(super) now: Option<Now>,
    pub(super) show: watch::Sender<Shown>,
    commands: mpsc::Receiver<Command>,
    pub(super) answers: (mpsc::UnboundedSender<Answer>, mpsc::UnboundedReceiver<Answer>),
    pub(super) running: BTreeMap<EffectId, Running>,
    /// What happened and could not be written down yet.
    pub(super) backlog: VecDeque<Event>,
    /// Records of which nobody knows whether they were appended.
    pub(super) unsure: Option<Unsure>,
    pub(super) again_at: Option<u64>,
    pub(super) looking: Option<AbortHandle>,
    pub(super) look_at: u64,
    pub(super) watchers: Option<Box<Watchers>>,
    /// Until when a call to the platform, and to the router, that was given up may still land where nobody refuses it.
    pub(super) may_land: [u64; 2],
    /// The deadline of the newest fence: the next is later, whatever the clock does.
    pub(super) fenced: u64,
}

/// An effect under way.
pub(super) struct Running {
    pub(super) task: AbortHandle,
    /// Whether it is a gate: stopped without an answer.
    pub(super) gate: bool,
    /// Whether it writes the routing table: never cut.
    pub(super) route: bool,
}

impl<P: Ports> Driver<P> {
    pub(super) async fn begin(
        ports: Arc<P>,
        mut options: Options,
        commands: mpsc::Receiver<Command>,
        show: watch::Sender<Shown>,
    ) -> Result<Self, Error> {
        options.call.0 = options.call.0.min(options.lease.0 / 2);
        let grant = ports.lease().acquire(&options.owner, options.lease).await.map_err(not_ours)?;
        if !ports.router().capabilities().fenced && options.late.0 > 0 {
            // What a predecessor sent may still be on its way; it has to land before the world is read.
            let landed = ports.clock().now().saturating_add(options.late.0);
            wait_with_lease(&*ports, &options, grant.clone(), landed).await?;
        }
        let asked = ports.clock().now();
        let grant = ports.lease().renew(&grant, options.lease).await.map_err(not_ours)?;
        let now = ports.clock().now();
        let (sender, receiver) = mpsc::unbounded_channel();
        let mut driver = Self {
            renew_at: now + options.lease.0 / 3,
            held_until: asked.saturating_add(options.lease.0),
            ports,
            options,
            grant,
            renewing: false,
            deposed: None,
            now: None,
            show,
            commands,
            answers: (sender, receiver),
            running: BTreeMap::new(),
            backlog: VecDeque::new(),
            unsure: None,
            again_at: None,
            looking: None,
            look_at: now,
            watchers: None,
            may_land: [0, 0],
            fenced: 0,
        };
        driver.resume().await?;
        Ok(driver)
    }

    /// Takes up where the journal ends.
    async fn resume(&mut self) -> Result<(), Error> {
        let newest = self.ports.journal().newest(READ).await?;
        let (mut former, mut set_aside) = (VecDeque::new(), None);
        for (place, rollout) in newest.iter().enumerate() {
            let records = self.ports.journal().read(rollout).await;
            match (place, read_back(rollout, records)) {
                (0, Ok(known)) => self.now = Some(known),
                (0, Err(Unread::Damaged(why))) => {
                    set_aside = Some(SetAside { rollout: rollout.clone(), why });
                }
                (0, Err(Unread::NotNow(error))) => return Err(error),
                (_, Ok(known)) => former.push_back(Arc::new(known)),
                // History that cannot be read keeps nothing from going on.
                (_, Err(_)) => {}
            }
        }
        let newest = self.now.clone().map(Arc::new);
        self.show.send_replace(Shown { newest, former, set_aside, deposed: None });
        if self.now.as_ref().is_some_and(|now| now.state.ended.is_none()) {
            self.happens(Event::Restarted).await;
        }
        Ok(())
    }

    pub(super) async fn run(mut self) {
        loop {
            let wake = self.wake();
            let ports = Arc::clone(&self.ports);
            tokio::select! {
                // What became of effects comes before what is wanted next; both are few.
                biased;
                Some(answer) = self.answers.1.recv() => self.answered(answer).await,
                command = self.commands.recv() => match command {
                    Some(Command::Say { event, rollout, reply }) => {
                        let answer = self.said(&rollout, *event).await;
                        // Who asked may be gone.
                        let _ = reply.send(answer);
                    }
                    Some(Command::Stop { reply }) => return self.stop(Some(reply)).await,
                    None => return self.stop(None).await,
                },
                () = ports.clock().sleep_until(wake) => self.tick().await,
            }
        }
    }

    async fn said(&mut self, rollout: &RolloutId, event: Event) -> Result<Arc<Now>, Refusal> {
        self.in_charge().map_err(Refusal::Failed)?;
        let opens = matches!(event, Event::Open { .. });
        let known = self.now.as_ref().is_some_and(|now| now.state.plan.rollout == *rollout);
        if !opens && !known {
            return Err(Refusal::Refused(Refused::NotOpen));
        }
        let taken = self.take(&event).await;
        if self.unsure.is_some() {
            // It was not refused, and may be written down: that is found out, and gone on with, in any case.
            self.again_at = Some(self.ports.clock().now() + AGAIN);
        }
        taken?;
        self.now.clone().map(Arc::new).ok_or(Refusal::Refused(Refused::NotOpen))
    }

    pub(super) async fn answered(&mut self, answer: Answer) {
        match answer {
            Answer::Event(event) => {
                if let Event::Outcome { id, .. } | Event::Observed { id, .. } = &event {
                    let ran = self.running.remove(id);
                    if let (Some(ran), Event::Outcome { outcome: Outcome::Unknown { .. }, .. }) =
                        (ran, &event)
                    {
                        self.gave_up(&ran);
                    }
                }
                self.happens(event).await;
            }
            Answer::Looked(looked) => {
                self.looking = None;
                self.watchers = Some(looked.watchers);
                let mut facts = looked.facts;
                match &mut self.now {
                    // What was seen of another rollout says nothing of this one.
                    Some(now) if now.state.plan.rollout != looked.rollout => return,
                    Some(now) if now.state.cursor == looked.cursor => {
                        now.readings.clone_from(&facts.readings);
                        now.evidence = looked.evidence;
                        self.look_at = self.ports.clock().now() + self.options.look.0;
                    }
                    // It has gone on meanwhile: what was said of that step says nothing of this one.
                    _ => facts.readings.clear(),
                }
                self.happens(Event::Looked(facts)).await;
                self.tell();
            }
            Answer::Lease(asked, Ok(grant)) => {
                self.held_until = asked.saturating_add(self.options.lease.0);
                self.renewing = false;
                self.renew_at = self.ports.clock().now() + self.options.lease.0 / 3;
                self.grant = grant;
                if self.again_at.is_none() {
                    self.trouble(None);
                }
            }
            Answer::Lease(_, Err(LeaseError::Held { by, .. })) => self.depose(format!("{by} has the lease")),
            Answer::Lease(_, Err(LeaseError::Failed(error))) => {
                self.renewing = false;
                self.renew_at = self.ports.clock().now() + AGAIN;
                self.trouble(Some(format!("the lease cannot be renewed: {error}")));
            }
        }
    }

    /// Something that has to be taken in, now or as soon as it can be written down.
    async fn happens(&mut self, event: Event) {
        if self.deposed.is_some() {
            return;
        }
        // A look is repeated anyway; everything else keeps its order.
        let passing = matches!(event, Event::Looked(_));
        if !self.backlog.is_empty() {
            if !passing {
                self.backlog.push_back(event);
            }
            return;
        }
        if !self.took(&event).await && !passing {
            self.backlog.push_back(event);
        }
    }

    /// Takes something in; false where it could not be written down.
    pub(super) async fn took(&mut self, event: &Event) -> bool {
        match self.take(event).await {
            Ok(()) => true,
            Err(Refusal::Refused(defect @ Refused::Defect(_))) => {
                self.trouble(Some(defect.to_string()));
                true
            }
            // An answer nobody waits for any more is none.
            Err(Refusal::Refused(_)) => true,
            Err(Refusal::Failed(error)) => {
                if self.deposed.is_none() {
                    self.trouble(Some(format!("the rollout stands still: {error}")));
                    self.again_at = Some(self.ports.clock().now() + AGAIN);
                }
                false
            }
        }
    }

    async fn tick(&mut self) {
        if self.deposed.is_some() {
            return;
        }
        let now = self.ports.clock().now();
        if !self.renewing && is_due(self.renew_at, now, self.options.lease.0) {
            self.renewing = true;
            effects::renew(self);
        }
        if self.again_at.is_some_and(|at| is_due(at, now, AGAIN)) {
            self.again_at = None;
            self.again().await;
        }
        if self.looking.is_none() && self.look_due().is_some_and(|at| is_due(at, now, FAR)) {
            self.look();
        }
    }

    /// Nobody knows what became of a call: it may still land, where nobody refuses it.
    pub(super) fn gave_up(&mut self, ran: &Running) {
        if !self.ports.router().capabilities().fenced {
            let deadline = self.ports.clock().now().max(self.fenced);
            self.may_land[usize::from(ran.route)] = deadline.saturating_add(self.options.late.0);
        }
    }

    /// The right to act now; none where too little of the lease is left for a call.
    pub(super) fn fence(&mut self) -> Option<Fence> {
        let until = self.ports.clock().now() + self.options.call.0;
        if self.deposed.is_some() || until > self.held_until {
            return None;
        }
        // A clock that was put back must not make a call look older than the one before it.
        self.fenced = until.max(self.fenced + 1);
        Some(Fence { epoch: self.grant.epoch, until: self.fenced })
    }

    pub(super) fn answer(&self, id: EffectId, outcome: Outcome) {
        let _ = self.answers.0.send(Answer::Event(Event::Outcome { id, outcome }));
    }

    pub(super) fn plan(&self) -> Option<cutover_rollout::Plan> {
        self.now.as_ref().map(|now| now.state.plan.clone())
    }

    fn in_charge(&self) -> Result<(), Error> {
        self.deposed.as_deref().map_or(Ok(()), |why| Err(deposed(why)))
    }

    pub(super) fn trouble(&mut self, trouble: Option<String>) {
        if let Some(now) = self.now.as_mut().filter(|now| now.trouble != trouble) {
            now.trouble = trouble;
            self.tell();
        }
    }

    pub(super) fn tell(&self) {
        let newest = self.now.clone().map(Arc::new);
        self.show.send_if_modified(|shown| {
            let news = shown.newest != newest;
            shown.newest = newest;
            news
        });
    }
}

/// The longest the machine ever wants to wait for its next look, milliseconds: anything later is of a clock that was put
/// back since.
const FAR: u64 = 70_000;

/// Whether a time has come that was set at most so far ahead.
fn is_due(at: u64, now: u64, ahead: u64) -> bool {
    at <= now || at > now.saturating_add(ahead)
}

/// Waits, and keeps the lease meanwhile.
async fn wait_with_lease<P: Ports>(
    ports: &P,
    options: &Options,
    mut grant: Grant,
    until: u64,
) -> Result<(), Error> {
    while ports.clock().now() < until {
        let pause = (ports.clock().now() + options.lease.0 / 3).min(until);
        ports.clock().sleep_until(pause).await;
        grant = ports.lease().renew(&grant, options.lease).await.map_err(not_ours)?;
    }
    Ok(())
}

fn not_ours(error: LeaseError) -> Error {
    match error {
        LeaseError::Failed(error) => error,
        LeaseError::Held { .. } => deposed(&error.to_string()),
    }
}

pub(super) fn deposed(why: &str) -> Error {
    Error::new(ErrorKind::Unavailable, "CUT0533", "another controller is in charge of this app").because(why)
}
