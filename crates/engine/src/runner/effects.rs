//! Effects as calls: each with a deadline inside the lease, and read back before it counts.

use std::{future::Future, sync::Arc};

use cutover_rollout::{Act, Effect, EffectId, Event, Outcome, Seen};

use super::driver::{Driver, Running};
use crate::{
    Error, ErrorKind,
    ports::{
        Clock, Examiner as _, Fence, Grant, Lease as _, LeaseError, Platform as _, Ports, Router as _,
        Trouble,
    },
};

/// What tasks tell the driver.
pub(super) enum Answer {
    Event(Event),
    Looked(super::looking::Looked),
    /// When the own clock said it was asked for, and what came of it.
    Lease(u64, Result<Grant, LeaseError>),
}

pub(super) fn renew<P: Ports>(driver: &Driver<P>) {
    let (ports, answers) = (Arc::clone(&driver.ports), driver.answers.0.clone());
    let (grant, length) = (driver.grant.clone(), driver.options.lease);
    let asked = driver.ports.clock().now();
    let until = asked + driver.options.call.0;
    tokio::spawn(async move {
        let renewed = within(ports.clock(), until, ports.lease().renew(&grant, length)).await;
        let late = || Error::new(ErrorKind::Unavailable, "CUT0607", "no answer in time");
        let _ =
            answers.send(Answer::Lease(asked, renewed.unwrap_or_else(|| Err(LeaseError::Failed(late())))));
    });
}

impl<P: Ports> Driver<P> {
    /// Begins an effect. Its answer comes as an event.
    pub(super) fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Do { id, act } => {
                let Some(fence) = self.fence() else {
                    let why = "the lease could not be renewed in time; nothing was sent".to_owned();
                    return self.answer(id, Outcome::Failed { why, lasting: false });
                };
                let (ports, answers) = (Arc::clone(&self.ports), self.answers.0.clone());
                let (gate, route) = (matches!(act, Act::Gate(_)), matches!(act, Act::Route(_)));
                let side = usize::from(route);
                if !gate && self.ports.clock().now() < self.may_land[side] {
                    // What was given up may be the contrary, and land after this. It is looked at until that time is
                    // over, and done then: later, but for good. Where fences are checked there is no such time.
                    let why = "a call that was given up may still land; nothing was sent".to_owned();
                    return self.answer(id, Outcome::Unknown { why });
                }
                let deadline = self.ports.clock().now()
                    + match act {
                        // Standing up takes as long as services take to start; it sends nobody anywhere, however late
                        // it ends.
                        Act::Prepare { .. } | Act::Standby { .. } => self.options.stand_up.0,
                        _ => self.options.call.0,
                    };
                let plan = self.plan();
                let name = id.clone();
                let task = tokio::spawn(async move {
                    let outcome = match &act {
                        Act::Gate(watched) => match plan {
                            Some(plan) => {
                                let said = ports.examiner().examine(&plan, &id, watched).await;
                                Outcome::Judged { verdict: said.verdict, why: said.why }
                            }
                            None => Outcome::Unknown { why: "the plan is gone".to_owned() },
                        },
                        act => act_on(&*ports, act, fence, deadline).await,
                    };
                    let _ = answers.send(Answer::Event(Event::Outcome { id, outcome }));
                });
                self.running.insert(name, Running { task: task.abort_handle(), gate, route });
            }
            Effect::Observe { id, act } => {
                let (ports, answers) = (Arc::clone(&self.ports), self.answers.0.clone());
                let until = self.ports.clock().now() + self.options.call.0;
                let (name, may_land) = (id.clone(), self.may_land[usize::from(matches!(act, Act::Route(_)))]);
                let task = tokio::spawn(async move {
                    // Before the world is asked: what lands after the answer was made up is not in it.
                    let early = ports.clock().now() < may_land;
                    let seen = within(ports.clock(), until, seen(&*ports, &act)).await;
                    let unknown = |why: &str| Seen::Unknown { why: why.to_owned() };
                    let seen = match seen {
                        None => unknown("no answer in time"),
                        Some(Seen::Absent) if early => {
                            unknown("it is not in place, but a call that was given up may still land")
                        }
                        Some(seen) => seen,
                    };
                    let _ = answers.send(Answer::Event(Event::Observed { id, seen }));
                });
                self.running.insert(name, Running { task: task.abort_handle(), gate: false, route: false });
            }
            Effect::Cancel { id } => self.cancel(id),
        }
    }

    fn cancel(&mut self, id: EffectId) {
        let Some(running) = self.running.remove(&id) else { return };
        running.task.abort();
        if !running.gate {
            self.gave_up(&running);
            self.answer(id, Outcome::Unknown { why: "it was stopped on the way".to_owned() });
        }
    }
}

/// Acts, reads back, and says what became of it.
async fn act_on<P: Ports>(ports: &P, act: &Act, fence: Fence, deadline: u64) -> Outcome {
    let call = async {
        match act {
            Act::Route(change) => ports.router().apply(change, fence).await.map(Some),
            Act::Prepare { release } => ports.platform().stand_up(release, fence).await.map(|()| None),
            Act::Standby { release } => ports.platform().stand_by(release, fence).await.map(|()| None),
            Act::Park { release } => ports.platform().park(release, fence).await.map(|()| None),
            Act::Retire { release } => ports.platform().tear_down(release, fence).await.map(|()| None),
            Act::Gate(_) => Err(Trouble::Lasting("a gate is no effect on the world".to_owned())),
        }
    };
    let generation = match within(ports.clock(), deadline, call).await {
        None => return Outcome::Unknown { why: "no answer in time".to_owned() },
        Some(Err(Trouble::Unknown(why))) => return Outcome::Unknown { why },
        Some(Err(Trouble::Passing(why))) => return Outcome::Failed { why, lasting: false },
        Some(Err(Trouble::Lasting(why))) => return Outcome::Failed { why, lasting: true },
        Some(Ok(generation)) => generation,
    };
    match within(ports.clock(), deadline, seen(ports, act)).await {
        Some(Seen::InPlace { .. }) => Outcome::Done { generation },
        Some(Seen::Absent) => Outcome::Unknown { why: "it was accepted, and is not there".to_owned() },
        Some(Seen::Unknown { why }) => Outcome::Unknown { why },
        None => Outcome::Unknown { why: "it was accepted, and could not be read back in time".to_owned() },
    }
}

async fn seen<P: Ports>(ports: &P, act: &Act) -> Seen {
    match act {
        Act::Route(change) => match ports.router().verify(change).await {
            // The table it is in has a number.
            Seen::InPlace { generation: None } => {
                Seen::Unknown { why: "the router does not say which table has it".to_owned() }
            }
            seen => seen,
        },
        // What a gate would have said cannot be seen.
        Act::Gate(_) => Seen::Absent,
        act => match ports.platform().verify(act).await {
            Seen::InPlace { .. } => Seen::InPlace { generation: None },
            seen => seen,
        },
    }
}

/// Gives up at a moment, by the rollout's own clock.
pub(super) async fn within<T>(
    clock: &impl Clock,
    until: u64,
    call: impl Future<Output = T> + Send,
) -> Option<T> {
    tokio::select! {
        biased;
        answer = call => Some(answer),
        () = clock.sleep_until(until) => None,
    }
}
