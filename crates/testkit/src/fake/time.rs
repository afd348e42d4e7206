//! A time of its own, and a runtime in which it passes only when nobody has anything left to do: a rollout of an hour
//! takes milliseconds and goes the same way each time.

use std::{
    collections::BTreeMap,
    future::{Future, poll_fn},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

/// Where worlds begin, Unix milliseconds: 2027-01-15T08:00:00Z.
pub const BEGINNING: u64 = 1_800_000_000_000;

/// The time of a world, Unix milliseconds.
#[derive(Debug, Clone, Default)]
pub struct Time(Arc<Mutex<Sleepers>>);

#[derive(Debug)]
struct Sleepers {
    now: u64,
    next: u64,
    waiting: BTreeMap<(u64, u64), Waker>,
    /// Set when nothing will ever happen again.
    stuck: bool,
    main: Option<Waker>,
}

impl Default for Sleepers {
    fn default() -> Self {
        Self { now: BEGINNING, next: 0, waiting: BTreeMap::new(), stuck: false, main: None }
    }
}

impl Time {
    fn lock(&self) -> MutexGuard<'_, Sleepers> {
        // A panicking test has nothing to protect here.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Now.
    pub fn now(&self) -> u64 {
        self.lock().now
    }

    /// Returns when it is that late.
    pub fn sleep_until(&self, at: u64) -> Sleep {
        Sleep { time: self.clone(), at, key: None }
    }

    /// Returns so many milliseconds later.
    pub fn sleep(&self, length: u64) -> Sleep {
        self.sleep_until(self.now().saturating_add(length))
    }

    /// Nobody has anything to do: it becomes as late as the next who waits for it.
    fn idle(&self) {
        let woken = {
            let mut sleepers = self.lock();
            match sleepers.waiting.pop_first() {
                Some(((at, _), waker)) => {
                    sleepers.now = sleepers.now.max(at);
                    Some(waker)
                }
                None => {
                    sleepers.stuck = true;
                    sleepers.main.take()
                }
            }
        };
        if let Some(waker) = woken {
            waker.wake();
        }
    }
}

/// See [`Time::sleep_until`].
#[derive(Debug)]
pub struct Sleep {
    time: Time,
    at: u64,
    key: Option<(u64, u64)>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let time = self.time.clone();
        let mut sleepers = time.lock();
        if let Some(key) = self.key.take() {
            sleepers.waiting.remove(&key);
        }
        if sleepers.now >= self.at {
            return Poll::Ready(());
        }
        // That late it never gets.
        if self.at < u64::MAX {
            sleepers.next += 1;
            let key = (self.at, sleepers.next);
            sleepers.waiting.insert(key, cx.waker().clone());
            self.key = Some(key);
        }
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(key) = self.key.take() {
            self.time.lock().waiting.remove(&key);
        }
    }
}

/// A runtime whose time is a [`Time`].
#[derive(Debug)]
pub struct Stage {
    runtime: tokio::runtime::Runtime,
    time: Time,
}

impl Stage {
    /// A new one, at the [`BEGINNING`].
    ///
    /// # Errors
    /// Where the system has no thread to give.
    pub fn new() -> std::io::Result<Self> {
        let time = Time::default();
        let idle = time.clone();
        let runtime =
            tokio::runtime::Builder::new_current_thread().on_thread_park(move || idle.idle()).build()?;
        Ok(Self { runtime, time })
    }

    /// Its time.
    pub fn time(&self) -> &Time {
        &self.time
    }

    /// Runs until the future ends.
    ///
    /// # Errors
    /// Where it never will, because nothing will ever happen again, or where it takes longer than `at_most` milliseconds
    /// of the stage's time.
    pub fn run<T>(&self, at_most: u64, main: impl Future<Output = T>) -> Result<T, String> {
        let limit = self.time.now().saturating_add(at_most);
        let mut late = self.time.sleep_until(limit);
        let mut main = std::pin::pin!(main);
        self.time.lock().stuck = false;
        self.runtime.block_on(poll_fn(|cx| {
            if let Poll::Ready(value) = main.as_mut().poll(cx) {
                return Poll::Ready(Ok(value));
            }
            if Pin::new(&mut late).poll(cx).is_ready() {
                return Poll::Ready(Err(format!("no end within {} s", at_most / 1_000)));
            }
            let mut sleepers = self.time.lock();
            if sleepers.stuck {
                return Poll::Ready(Err("nothing will ever happen again".to_owned()));
            }
            sleepers.main = Some(cx.waker().clone());
            Poll::Pending
        }))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::{BEGINNING, Stage};

    #[test]
    fn an_hour_passes_in_no_time_and_in_order() {
        let stage = Stage::new().unwrap();
        let time = stage.time().clone();
        let order = stage.run(u64::MAX - BEGINNING - 1, async {
            let (first, second) = (time.clone(), time.clone());
            let late = tokio::spawn(async move {
                first.sleep(3_600_000).await;
                first.now()
            });
            let soon = tokio::spawn(async move {
                second.sleep(5).await;
                second.now()
            });
            (soon.await.unwrap(), late.await.unwrap())
        });
        assert_eq!(order, Ok((BEGINNING + 5, BEGINNING + 3_600_000)));
    }

    #[test]
    fn what_never_ends_is_noticed() {
        let stage = Stage::new().unwrap();
        assert!(stage.run(1_000, std::future::pending::<()>()).is_err());
        let time = stage.time().clone();
        let endless = async {
            loop {
                time.sleep(100).await;
            }
        };
        assert!(stage.run::<()>(10_000, endless).is_err_and(|why| why.contains("10 s")));
    }
}
