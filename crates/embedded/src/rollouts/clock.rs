//! The machine's clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cutover_engine::ports::Clock;

/// The longest sleep: a moment that never comes is asked for as the end of time.
const LONGEST: u64 = 24 * 3_600_000;

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }

    async fn sleep_until(&self, at: u64) {
        // In pieces, so that a clock that was set is followed.
        loop {
            let left = at.saturating_sub(self.now());
            if left == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(left.min(LONGEST))).await;
        }
    }
}
