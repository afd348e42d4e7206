//! What a visitor saw of one request, and when, by both clocks.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use cutover_routing::{Pin, ReleaseId};

/// One request and what came of it.
#[derive(Debug, Clone)]
pub struct Sight {
    /// Who.
    pub visitor: u32,
    /// Which of all visits.
    pub visit: u32,
    /// The path.
    pub path: &'static str,
    /// When it was sent.
    pub sent: Instant,
    /// When the whole answer was there, or was given up.
    pub done: Instant,
    /// Status; 0: no answer.
    pub status: u16,
    /// Why there is no answer.
    pub lost: Option<String>,
    /// The release of the header.
    pub release: Option<ReleaseId>,
    /// The release that the body names, where it names one.
    pub said: Option<ReleaseId>,
    /// The release of the visit's document; none for the document itself.
    pub document: Option<ReleaseId>,
    /// Marked stale.
    pub stale: bool,
    /// Why the edge decided so.
    pub reason: String,
    /// The pin the visitor held before, whether or not it was sent.
    pub held: Option<Pin>,
    /// The pin that came with the answer.
    pub got: Option<Pin>,
}

impl Sight {
    /// Whether it is a page load.
    pub fn is_navigation(&self) -> bool {
        self.document.is_none()
    }

    /// Whether there was no answer, or one of a failure that is not a page's being told that its release was closed.
    pub fn failed(&self) -> bool {
        self.status == 0 || (self.status >= 400 && !self.stale)
    }

    /// From sending to the whole answer.
    pub fn took(&self) -> Duration {
        self.done.saturating_duration_since(self.sent)
    }

    /// The release that has to answer for it: the page's, or the one that answered.
    pub fn owner(&self) -> Option<ReleaseId> {
        self.document.or(self.release)
    }

    /// One line for a person.
    pub fn line(&self) -> String {
        let release = self.release.map_or_else(|| "no release".to_owned(), |release| release.to_string());
        let what = match &self.lost {
            Some(why) => why.clone(),
            None => format!("{} from {release} ({})", self.status, self.reason),
        };
        let page = self.document.map(|of| format!(" on a page of {of}")).unwrap_or_default();
        format!("visitor {}: {}{page}: {what}, after {:?}", self.visitor, self.path, self.took())
    }
}

/// Wall clock and steady clock, read at the same time.
#[derive(Debug, Clone, Copy)]
pub struct Clocks {
    steady: Instant,
    unix_ms: u64,
}

impl Clocks {
    /// Reads both.
    pub fn read() -> Self {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { steady: Instant::now(), unix_ms: u64::try_from(unix.as_millis()).unwrap_or(u64::MAX) }
    }

    /// Unix milliseconds of a moment.
    pub fn unix_ms(&self, at: Instant) -> u64 {
        let ms = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        match at.checked_duration_since(self.steady) {
            Some(later) => self.unix_ms + ms(later),
            None => self.unix_ms.saturating_sub(ms(self.steady.saturating_duration_since(at))),
        }
    }
}
