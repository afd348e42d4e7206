//! The open streams of one worker, and the moments at which they are to end.
//!
//! Whoever is thrown out comes back at once. So the streams of a release are ended one after the other, each in its own
//! part of the time there is, at a moment within it that is drawn from its number.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    rc::Rc,
    task::Context,
    time::{Duration, Instant},
};

use cutover_routing::{ReleaseId, fnv1a32};

use crate::timers::{Timers, Watch};

/// That the streams of a release are to end within a time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ending {
    pub(crate) release: ReleaseId,
    pub(crate) over: Duration,
    /// Streams opened after this are not meant.
    pub(crate) asked: Instant,
}

/// The open streams of a worker.
pub(crate) struct Streams {
    timers: Rc<Timers>,
    next: Cell<u64>,
    open: RefCell<BTreeMap<u64, Entry>>,
}

struct Entry {
    release: ReleaseId,
    opened: Instant,
    watch: Rc<Watch>,
    /// When it is to end, by the worker's clock.
    due: Option<u64>,
}

impl Streams {
    pub(crate) fn new(timers: Rc<Timers>) -> Rc<Self> {
        Rc::new(Self { timers, next: Cell::new(0), open: RefCell::default() })
    }

    /// Notes a stream as open until what is returned is dropped.
    pub(crate) fn open(self: &Rc<Self>, release: ReleaseId) -> OpenStream {
        let key = self.next.get();
        self.next.set(key + 1);
        let watch = Rc::new(self.timers.watch());
        self.open
            .borrow_mut()
            .insert(key, Entry { release, opened: Instant::now(), watch: Rc::clone(&watch), due: None });
        OpenStream { streams: Rc::clone(self), key, watch }
    }

    /// Gives every open stream of a release its moment. Those that have one which is soon enough keep it.
    pub(crate) fn end(&self, ending: Ending) {
        let over = u64::try_from(ending.over.as_millis()).unwrap_or(u64::MAX / 2);
        let now = self.timers.now();
        let last = now.saturating_add(over);
        let mut open = self.open.borrow_mut();
        let mut late: Vec<(&u64, &mut Entry)> = open
            .iter_mut()
            .filter(|(_, entry)| entry.release == ending.release && entry.opened <= ending.asked)
            .filter(|(_, entry)| entry.due.is_none_or(|due| due > last))
            .collect();
        let parts = late.len() as u128;
        for (part, (key, entry)) in late.iter_mut().enumerate() {
            let within = u128::from(fnv1a32(&format!("{}:{key}", ending.release)));
            let at = (u128::from(over) * ((part as u128) << 32 | within) / parts) >> 32;
            let after = u64::try_from(at).unwrap_or(over);
            entry.due = Some(now.saturating_add(after));
            entry.watch.arm(Duration::from_millis(after));
        }
    }
}

/// One open stream.
pub(crate) struct OpenStream {
    streams: Rc<Streams>,
    key: u64,
    watch: Rc<Watch>,
}

impl OpenStream {
    /// True once its moment has come; otherwise the task is woken when it does.
    pub(crate) fn over(&self, cx: &Context<'_>) -> bool {
        self.watch.expired(cx)
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        let entry = self.streams.open.borrow_mut().remove(&self.key);
        // Its watch may own a waker, and with it other streams: never dropped inside the borrow.
        drop(entry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(streams: &Streams, release: ReleaseId, over: Duration) {
        streams.end(Ending { release, over, asked: Instant::now() });
    }

    fn moments(streams: &Streams) -> Vec<Option<u64>> {
        streams.open.borrow().values().map(|entry| entry.due).collect()
    }

    #[test]
    fn each_stream_ends_in_its_own_part_of_the_time() {
        let streams = Streams::new(Timers::new());
        let (blue, green) = ("blue0001".parse().unwrap(), "green002".parse().unwrap());
        let held: Vec<OpenStream> = (0..10).map(|_| streams.open(blue)).collect();
        let other = streams.open(green);
        end(&streams, blue, Duration::from_secs(10));
        let first = moments(&streams);
        for (part, due) in first[..10].iter().enumerate() {
            let part = part as u64;
            assert!((part * 1_000..=(part + 1) * 1_000).contains(&due.unwrap()), "{first:?}");
        }
        assert_eq!(first[10], None, "another release's");
        let late = streams.open(blue);
        end(&streams, blue, Duration::from_secs(20));
        let second = moments(&streams);
        assert_eq!(second[..10], first[..10], "they keep their moment");
        assert!(second[11].unwrap() <= 20_000);
        end(&streams, blue, Duration::from_secs(2));
        assert!(moments(&streams).iter().flatten().all(|due| *due <= 2_000), "unless it is too late");
        let asked = Instant::now();
        let later = streams.open(blue);
        streams.end(Ending { release: blue, over: Duration::ZERO, asked });
        assert_eq!(moments(&streams)[12], None, "opened after it was asked for");
        drop((held, other, late, later));
        assert!(streams.open.borrow().is_empty());
    }

    #[test]
    fn no_time_means_at_once() {
        let streams = Streams::new(Timers::new());
        let _held = [streams.open("blue0001".parse().unwrap()), streams.open("blue0001".parse().unwrap())];
        end(&streams, "blue0001".parse().unwrap(), Duration::ZERO);
        assert_eq!(moments(&streams), [Some(0), Some(0)]);
    }
}
