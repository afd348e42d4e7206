//! The one task that moves a rollout: takes what happened, asks the machine, writes down, begins.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use cutover_rollout::{Body, Does, EffectId, Event, Outcome, Record, RolloutId, Stage, State, fold, step};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::AbortHandle,
};

use super::{
    Command, Now, Options, Refusal, Shown,
    effects::{self, Answer},
    looking::{self, Watchers},
};
use crate::{
    Error, ErrorKind,
    ports::{
        AppendError, Clock as _, Fence, Grant, Journal as _, Lease as _, LeaseError, Ports, Router as _,
    },
};

/// Pause before what could not be written down is tried again, milliseconds.
const AGAIN: u64 = 1_000;

/// Former rollouts that are remembered as they ended.
const FORMER: usize = 16;

/// Rollouts read at the start: the newest, and some before it.
const READ: usize = 4;

pub(super) struct Driver<P: Ports> {
    pub(super) ports: Arc<P>,
    pub(super) options: Options,
    pub(super) grant: Grant,
    renewing: bool,
    renew_at: u64,
    /// Why nothing is begun any more.
    deposed: Option<String>,
    now: Option<Now>,
    show: watch::Sender<Shown>,
    commands: mpsc::Receiver<Command>,
    pub(super) answers: (mpsc::UnboundedSender<Answer>, mpsc::UnboundedReceiver<Answer>),
    pub(super) running: BTreeMap<EffectId, Running>,
    /// What happened and could not be written down yet.
    backlog: VecDeque<Event>,
    /// Records of which nobody knows whether they were appended.
    unsure: Option<Unsure>,
    again_at: Option<u64>,
    looking: Option<AbortHandle>,
    look_at: u64,
    watchers: Option<Box<Watchers>>,
}

/// An effect under way.
pub(super) struct Running {
    pub(super) task: AbortHandle,
    /// Whether it is a gate: stopped without an answer.
    pub(super) gate: bool,
    /// Whether it writes the routing table: never cut.
    pub(super) route: bool,
}

struct Unsure {
    expected: u64,
    next: cutover_rollout::Next,
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
        let grant = ports.lease().renew(&grant, options.lease).await.map_err(not_ours)?;
        let now = ports.clock().now();
        let (sender, receiver) = mpsc::unbounded_channel();
        let mut driver = Self {
            renew_at: now + options.lease.0 / 3,
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
        };
        driver.resume().await?;
        Ok(driver)
    }

    /// Takes up where the journal ends.
    async fn resume(&mut self) -> Result<(), Error> {
        let newest = self.ports.journal().newest(READ).await?;
        let mut former = VecDeque::new();
        for (place, rollout) in newest.iter().enumerate() {
            let records = self.ports.journal().read(rollout).await?;
            let known = now_from(&records).map_err(|why| {
                Error::new(
                    ErrorKind::Failed,
                    "CUT0534",
                    format!("the records of rollout {rollout} do not add up"),
                )
                .because(why)
                .hint("visitors are served on; put a backup of the journal in its place")
            });
            match (place, known) {
                (0, Ok(known)) => self.now = known,
                (0, Err(error)) => return Err(error),
                (_, Ok(Some(known))) => former.push_back(Arc::new(known)),
                // History that cannot be read keeps nothing from going on.
                (_, _) => {}
            }
        }
        let newest = self.now.clone().map(Arc::new);
        self.show.send_replace(Shown { newest, former });
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
                command = self.commands.recv() => match command {
                    Some(Command::Say { event, rollout, reply }) => {
                        let answer = self.said(&rollout, *event).await;
                        // Who asked may be gone.
                        let _ = reply.send(answer);
                    }
                    Some(Command::Stop { reply }) => return self.stop(Some(reply)).await,
                    None => return self.stop(None).await,
                },
                Some(answer) = self.answers.1.recv() => self.answered(answer).await,
                () = ports.clock().sleep_until(wake) => self.tick().await,
            }
        }
    }

    async fn said(&mut self, rollout: &RolloutId, event: Event) -> Result<Arc<Now>, Refusal> {
        self.in_charge().map_err(Refusal::Failed)?;
        let opens = matches!(event, Event::Open { .. });
        let known = self.now.as_ref().is_some_and(|now| now.state.plan.rollout == *rollout);
        if !opens && !known {
            return Err(Refusal::Refused(cutover_rollout::Refused::NotOpen));
        }
        self.take(&event).await?;
        self.now.clone().map(Arc::new).ok_or(Refusal::Refused(cutover_rollout::Refused::NotOpen))
    }

    async fn answered(&mut self, answer: Answer) {
        match answer {
            Answer::Event(event) => {
                if let Event::Outcome { id, .. } | Event::Observed { id, .. } = &event {
                    self.running.remove(id);
                }
                self.happens(event).await;
            }
            Answer::Looked(looked) => {
                self.looking = None;
                self.watchers = Some(looked.watchers);
                let mut facts = looked.facts;
                match &mut self.now {
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
            Answer::Lease(Ok(grant)) => {
                self.renewing = false;
                self.renew_at = self.ports.clock().now() + self.options.lease.0 / 3;
                self.grant = grant;
                self.trouble(None);
            }
            Answer::Lease(Err(LeaseError::Held { by, .. })) => self.depose(format!("{by} has the lease")),
            Answer::Lease(Err(LeaseError::Failed(error))) => {
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
        if !self.backlog.is_empty() {
            // A look is repeated anyway; everything else keeps its order.
            if !matches!(event, Event::Looked(_)) {
                self.backlog.push_back(event);
            }
            return;
        }
        match self.take(&event).await {
            // An answer nobody waits for any more is none.
            Ok(()) | Err(Refusal::Refused(_)) => {}
            Err(Refusal::Failed(error)) => {
                self.trouble(Some(format!("the rollout stands still: {error}")));
                self.again_at = Some(self.ports.clock().now() + AGAIN);
                if !matches!(event, Event::Looked(_)) {
                    self.backlog.push_back(event);
                }
            }
        }
    }

    /// Decides, writes down, begins.
    async fn take(&mut self, event: &Event) -> Result<(), Refusal> {
        self.settle_unsure().await.map_err(Refusal::Failed)?;
        let opens = matches!(event, Event::Open { .. });
        let state = self.now.as_ref().map(|now| &now.state).filter(|state| !opens || state.ended.is_none());
        let next = step(state, event, self.ports.clock().now()).map_err(Refusal::Refused)?;
        if next.records.is_empty() && next.effects.is_empty() {
            return Ok(());
        }
        let expected = state.map_or(0, |state| state.seq);
        let rollout = next.state.plan.rollout.clone();
        if !next.records.is_empty() {
            let appended =
                self.ports.journal().append(&rollout, expected, self.grant.epoch, &next.records).await;
            match appended {
                Ok(()) => {}
                Err(AppendError::Failed(error)) => {
                    self.unsure = Some(Unsure { expected, next });
                    return Err(Refusal::Failed(error));
                }
                Err(lost @ (AppendError::Conflict { .. } | AppendError::Fenced { .. })) => {
                    self.depose(lost.to_string());
                    return Err(Refusal::Failed(deposed(&lost.to_string())));
                }
            }
        }
        self.trouble(None);
        self.adopt(next);
        Ok(())
    }

    /// The state that was written down is the state; its effects begin.
    fn adopt(&mut self, next: cutover_rollout::Next) {
        let opened = next.records.first().and_then(|record| match &record.body {
            Body::Opened { by, .. } => Some((record.at, by.clone())),
            _ => None,
        });
        let before = self.now.as_ref().map(|now| now.state.cursor);
        let changed_at = next.records.last().map(|record| record.at);
        match (&mut self.now, opened) {
            (Some(now), None) => {
                now.state = next.state;
                now.changed_at = changed_at.unwrap_or(now.changed_at);
            }
            (now, opened) => {
                let (opened_at, opened_by) = opened.unwrap_or_default();
                let former = now.replace(Now {
                    state: next.state,
                    opened_at,
                    opened_by,
                    changed_at: opened_at,
                    readings: Vec::new(),
                    evidence: Vec::new(),
                    trouble: None,
                });
                if let Some(former) = former {
                    self.show.send_modify(|shown| {
                        shown.former.push_front(Arc::new(former));
                        shown.former.truncate(FORMER);
                    });
                }
            }
        }
        if let Some(now) = self.now.as_mut().filter(|now| before != Some(now.state.cursor)) {
            // What was said of another step says nothing of this one; and what this one waits for may be there already.
            now.readings.clear();
            now.evidence.clear();
            self.look_at = 0;
        }
        self.tell();
        for effect in next.effects {
            self.perform(effect);
        }
    }

    /// Finds out whether records that may have been appended were.
    async fn settle_unsure(&mut self) -> Result<(), Error> {
        let Some(unsure) = &self.unsure else { return Ok(()) };
        let rollout = unsure.next.state.plan.rollout.clone();
        let records = self.ports.journal().read(&rollout).await?;
        let Some(unsure) = self.unsure.take() else { return Ok(()) };
        let expected = usize::try_from(unsure.expected).unwrap_or(usize::MAX);
        match records.get(expected..) {
            Some([]) | None => Ok(()),
            Some(found) if found == unsure.next.records => {
                self.adopt(unsure.next);
                Ok(())
            }
            Some(_) => {
                let why = "the journal has records of another controller";
                self.depose(why.to_owned());
                Err(deposed(why))
            }
        }
    }

    async fn tick(&mut self) {
        let now = self.ports.clock().now();
        if self.deposed.is_some() {
            return;
        }
        if now >= self.renew_at && !self.renewing {
            self.renewing = true;
            effects::renew(self);
        }
        if self.again_at.is_some_and(|at| at <= now) {
            self.again_at = None;
            while let Some(event) = self.backlog.pop_front() {
                match self.take(&event).await {
                    Ok(()) | Err(Refusal::Refused(_)) => {}
                    Err(Refusal::Failed(error)) => {
                        self.trouble(Some(format!("the rollout stands still: {error}")));
                        self.backlog.push_front(event);
                        self.again_at = Some(now + AGAIN);
                        return;
                    }
                }
            }
        }
        if self.looking.is_none() && self.look_due().is_some_and(|at| at <= now) {
            self.look();
        }
    }

    fn look(&mut self) {
        let Some(now) = &self.now else { return };
        let watchers = self.watchers.take().unwrap_or_default();
        let (ports, options) = (Arc::clone(&self.ports), self.options.clone());
        let (state, answers) = (now.state.clone(), self.answers.0.clone());
        let task = tokio::spawn(async move {
            let looked = looking::look(&*ports, &options, &state, watchers).await;
            let _ = answers.send(Answer::Looked(looked));
        });
        self.looking = Some(task.abort_handle());
    }

    /// When to look next; none: nothing is waited for that a look would show.
    fn look_due(&self) -> Option<u64> {
        let state = self.now.as_ref().map(|now| &now.state).filter(|state| state.ended.is_none())?;
        let step = state.step();
        let waits = matches!(
            step.map(|step| &step.does),
            Some(Does::Converge | Does::Hold { .. } | Does::Quiet { .. })
        );
        let visited =
            matches!(step.map(|step| &step.stage), Some(Stage::Shift { .. } | Stage::Promote | Stage::Bake));
        let steady = (waits || (visited && !state.going_back())).then_some(self.look_at);
        // A time the machine named is not to be looked for again and again while it is past.
        let named = state.wake().map(|at| at.max(self.look_at));
        steady.into_iter().chain(named).min()
    }

    fn wake(&self) -> u64 {
        if self.deposed.is_some() {
            return u64::MAX;
        }
        let look = self.look_due().filter(|_| self.looking.is_none());
        let renew = (!self.renewing).then_some(self.renew_at);
        [look, renew, self.again_at].into_iter().flatten().min().unwrap_or(u64::MAX)
    }

    /// The right to act now; none where too little of the lease is left for a call.
    pub(super) fn fence(&self) -> Option<Fence> {
        let until = self.ports.clock().now() + self.options.call.0;
        (self.deposed.is_none() && until <= self.grant.until)
            .then_some(Fence { epoch: self.grant.epoch, until })
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

    /// Another controller is in charge: nothing is begun any more. What is under way carries an old epoch.
    fn depose(&mut self, why: String) {
        self.cut(|_| true);
        self.trouble(Some(format!("another controller has taken over: {why}")));
        self.deposed = Some(why);
        self.tell();
    }

    fn cut(&mut self, which: impl Fn(&Running) -> bool) {
        if let Some(look) = self.looking.take() {
            look.abort();
        }
        self.running.retain(|_, running| {
            if which(running) {
                running.task.abort();
            }
            !which(running)
        });
    }

    fn trouble(&mut self, trouble: Option<String>) {
        if let Some(now) = self.now.as_mut().filter(|now| now.trouble != trouble) {
            now.trouble = trouble;
            self.tell();
        }
    }

    fn tell(&self) {
        let newest = self.now.clone().map(Arc::new);
        self.show.send_if_modified(|shown| {
            let news = shown.newest != newest;
            shown.newest = newest;
            news
        });
    }

    /// Ends; a routing write that is under way is let end, so that its outcome is known.
    async fn stop(mut self, reply: Option<oneshot::Sender<()>>) {
        self.cut(|running| !running.route);
        while !self.running.is_empty() {
            let Some(answer) = self.answers.1.recv().await else { break };
            if let Answer::Event(Event::Outcome { id, .. }) = &answer {
                let ours = self.running.contains_key(id);
                if ours {
                    self.answered(answer).await;
                    // What follows from it is the next controller's.
                    self.cut(|running| !running.route);
                }
            }
        }
        // Who comes next waits until it has run out, then.
        let _ = self.ports.lease().release(&self.grant).await;
        if let Some(reply) = reply {
            let _ = reply.send(());
        }
    }
}

/// A rollout as its records tell it; none without records.
///
/// # Errors
/// The first record that has no place.
pub fn now_from(records: &[Record]) -> Result<Option<Now>, cutover_rollout::Illegal> {
    let Some(state): Option<State> = fold(records)? else { return Ok(None) };
    let opened_by = match records.first().map(|record| &record.body) {
        Some(Body::Opened { by, .. }) => by.clone(),
        _ => String::new(),
    };
    Ok(Some(Now {
        state,
        opened_at: records.first().map_or(0, |record| record.at),
        opened_by,
        changed_at: records.last().map_or(0, |record| record.at),
        readings: Vec::new(),
        evidence: Vec::new(),
        trouble: None,
    }))
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

fn deposed(why: &str) -> Error {
    Error::new(ErrorKind::Unavailable, "CUT0533", "another controller is in charge of this app").because(why)
}
