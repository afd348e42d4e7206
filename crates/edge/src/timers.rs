//! One coarse clock per worker instead of a timer per request.
//!
//! A [`Watch`] is a deadline that can be moved at the cost of one store. A ticker looks at all of them every
//! [`TICK`] and wakes the tasks whose deadline has passed. Deadlines are therefore late by up to two ticks and never
//! early.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    task::{Context, Waker},
    time::{Duration, Instant},
};

/// How often deadlines are looked at.
pub(crate) const TICK: Duration = Duration::from_millis(100);

const NEVER: u64 = u64::MAX;

/// All deadlines of one worker.
pub(crate) struct Timers {
    started: Instant,
    now: Cell<u64>,
    slots: RefCell<Slots>,
}

#[derive(Default)]
struct Slots {
    entries: Vec<Entry>,
    free: Vec<usize>,
}

struct Entry {
    deadline: u64,
    waker: Option<Waker>,
}

impl Timers {
    pub(crate) fn new() -> Rc<Self> {
        Rc::new(Self { started: Instant::now(), now: Cell::new(0), slots: RefCell::default() })
    }

    /// Milliseconds since the worker started, as of the last tick.
    pub(crate) fn now(&self) -> u64 {
        self.now.get()
    }

    /// Moves the clock and wakes whoever is overdue.
    pub(crate) fn tick(&self) {
        let now = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(NEVER - 1);
        self.now.set(now);
        let mut due = Vec::new();
        for entry in &mut self.slots.borrow_mut().entries {
            if entry.deadline <= now
                && let Some(waker) = entry.waker.take()
            {
                due.push(waker);
            }
        }
        // Outside the borrow: waking may run code that arms a watch.
        due.into_iter().for_each(Waker::wake);
    }

    /// Wakes every task that watches, so that it looks at whatever else has changed.
    pub(crate) fn wake_all(&self) {
        let wakers: Vec<_> =
            self.slots.borrow_mut().entries.iter_mut().filter_map(|entry| entry.waker.take()).collect();
        wakers.into_iter().for_each(Waker::wake);
    }

    /// A deadline that is not armed yet.
    pub(crate) fn watch(self: &Rc<Self>) -> Watch {
        let mut slots = self.slots.borrow_mut();
        let entry = Entry { deadline: NEVER, waker: None };
        let key = match slots.free.pop() {
            Some(key) => {
                slots.entries[key] = entry;
                key
            }
            None => {
                slots.entries.push(entry);
                slots.entries.len() - 1
            }
        };
        Watch { timers: Rc::clone(self), key }
    }
}

/// One movable deadline.
pub(crate) struct Watch {
    timers: Rc<Timers>,
    key: usize,
}

impl Watch {
    /// Sets the deadline, counted from now.
    pub(crate) fn arm(&self, after: Duration) {
        let after = u64::try_from((after + TICK).as_millis()).unwrap_or(NEVER / 2);
        let deadline = self.timers.now.get().saturating_add(after).min(NEVER - 1);
        self.timers.slots.borrow_mut().entries[self.key].deadline = deadline;
    }

    /// Removes the deadline.
    pub(crate) fn disarm(&self) {
        self.timers.slots.borrow_mut().entries[self.key].deadline = NEVER;
    }

    /// True once the deadline has passed; otherwise the task is woken when it does.
    pub(crate) fn expired(&self, cx: &Context<'_>) -> bool {
        let mut slots = self.timers.slots.borrow_mut();
        let entry = &mut slots.entries[self.key];
        if entry.deadline <= self.timers.now.get() {
            return true;
        }
        let old = match &entry.waker {
            Some(waker) if waker.will_wake(cx.waker()) => None,
            _ => entry.waker.replace(cx.waker().clone()),
        };
        // A waker may own a task, and with it other watches: never dropped inside the borrow.
        drop(slots);
        drop(old);
        false
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut slots = self.timers.slots.borrow_mut();
        let old = std::mem::replace(&mut slots.entries[self.key], Entry { deadline: NEVER, waker: None });
        slots.free.push(self.key);
        drop(slots);
        drop(old);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pass(timers: &Timers, ms: u64) {
        let until = timers.now.get() + ms;
        while timers.now.get() < until {
            std::thread::sleep(Duration::from_millis(2));
            timers.tick();
        }
    }

    #[test]
    fn a_watch_expires_after_its_time_and_not_before() {
        let timers = Timers::new();
        let watch = timers.watch();
        let cx = Context::from_waker(Waker::noop());
        assert!(!watch.expired(&cx), "not armed");
        watch.arm(Duration::from_millis(20));
        assert!(!watch.expired(&cx));
        pass(&timers, 121);
        assert!(watch.expired(&cx));
        watch.arm(Duration::from_millis(20));
        assert!(!watch.expired(&cx), "armed again");
        watch.disarm();
        pass(&timers, 121);
        assert!(!watch.expired(&cx), "disarmed");
    }

    #[test]
    fn slots_are_used_again() {
        let timers = Timers::new();
        for _ in 0..100 {
            drop(timers.watch());
        }
        assert_eq!(timers.slots.borrow().entries.len(), 1);
    }
}
