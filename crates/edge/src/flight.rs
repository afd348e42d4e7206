//! One request under way: what is counted and logged of it when its answer has ended, however it ends.

use std::{
    net::IpAddr,
    rc::Rc,
    sync::Arc,
    task::Context,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use cutover_routing::Kind;
use http::{Method, Uri, request::Parts};

use crate::{
    access_log::Line,
    conn::Conn,
    legs::client::Progress,
    live::Release,
    stats::{EDGE, ReleaseStats, Sample, Shard, Who},
    streams::OpenStream,
    timers::Watch,
    visits::{Outcome, Visitor},
};

/// The status noted where the visitor left before there was an answer.
const LEFT: u16 = 499;

/// A request under way. Dropping it is its end.
pub(crate) struct Flight {
    conn: Rc<Conn>,
    id: [u8; 16],
    started: Instant,
    unix_ms: u64,
    method: Method,
    uri: Uri,
    release: Option<Arc<Release>>,
    stream: Option<OpenStream>,
    /// Until the head of the answer.
    headed: Duration,
    progress: Option<Rc<Progress>>,
    pub(crate) client: IpAddr,
    pub(crate) reason: &'static str,
    pub(crate) component: usize,
    pub(crate) kind: Kind,
    pub(crate) who: Who,
    pub(crate) status: u16,
    pub(crate) bytes: u64,
    /// The answer ended before its end.
    pub(crate) cut: bool,
    /// Says nothing about how the release serves those who are on it.
    pub(crate) aside: bool,
    /// Who asks, while visitors are watched.
    pub(crate) visitor: Option<Visitor>,
}

impl Flight {
    pub(crate) fn begin(conn: &Rc<Conn>, parts: &Parts) -> Box<Self> {
        conn.begin();
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let flight = Box::new(Self {
            conn: Rc::clone(conn),
            id: conn.worker.request_id(),
            started: Instant::now(),
            unix_ms: u64::try_from(since.as_millis()).unwrap_or(0),
            method: parts.method.clone(),
            uri: parts.uri.clone(),
            release: None,
            stream: None,
            headed: Duration::ZERO,
            progress: None,
            client: conn.peer,
            reason: "edge",
            component: EDGE,
            kind: Kind::Sub,
            who: Who::Visitor,
            status: 0,
            bytes: 0,
            cut: false,
            aside: false,
            visitor: None,
        });
        flight.shard().in_flight.add(1);
        flight
    }

    /// The request's id: hexadecimal, drawn at random.
    pub(crate) fn id(&self) -> &str {
        std::str::from_utf8(&self.id).unwrap_or_default()
    }

    /// Seconds since 1970 at its beginning.
    pub(crate) fn unix(&self) -> u64 {
        self.unix_ms / 1_000
    }

    fn stats(&self) -> &ReleaseStats {
        self.release.as_ref().map_or(&self.conn.worker.shared.stats.none, |release| &release.stats)
    }

    /// The counters of whoever answers.
    pub(crate) fn shard(&self) -> &Shard {
        &self.stats().shards[self.conn.worker.index]
    }

    /// The release that answers, if one does.
    pub(crate) fn release(&self) -> Option<&Arc<Release>> {
        self.release.as_ref()
    }

    /// From now on this release answers. `who`, `kind` and `reason` are to be set before.
    pub(crate) fn serve(&mut self, release: &Arc<Release>) {
        self.shard().in_flight.add(-1);
        self.release = Some(Arc::clone(release));
        let shard = self.shard();
        shard.in_flight.add(1);
        if self.who != Who::Preview {
            shard.touched(self.unix_ms);
        }
    }

    /// The answer is a stream that may stay open for hours.
    pub(crate) fn open_stream(&mut self) {
        if self.stream.is_none()
            && let Some(release) = &self.release
        {
            self.stream = Some(self.conn.worker.streams.open(release.id));
            let shard = self.shard();
            shard.in_flight.add(-1);
            shard.open_streams.add(1);
        }
    }

    /// True once this answer is a stream whose moment to end has come; otherwise the task is woken when it does.
    pub(crate) fn stream_over(&self, cx: &Context<'_>) -> bool {
        self.stream.as_ref().is_some_and(|stream| stream.over(cx))
    }

    /// A deadline on the clock of this request's worker.
    pub(crate) fn watch(&self) -> Watch {
        self.conn.worker.timers.watch()
    }

    /// The head of the answer is there. Of a stream nothing more is counted than that.
    pub(crate) fn answered(&mut self, status: u16) {
        self.status = status;
        self.headed = self.started.elapsed();
        if self.stream.is_some() {
            self.judge(Outcome { failed: status >= 500, took: None });
        }
    }

    /// Counts what a visitor met, as evidence for or against the release.
    fn judge(&self, outcome: Outcome) {
        let Some(release) = self.release.as_ref().filter(|_| self.who == Who::Visitor && !self.aside) else {
            return;
        };
        let worker = &self.conn.worker;
        release.stats.shards[worker.index].answers.count(outcome);
        if let Some(visitor) = self.visitor {
            worker.shared.visits.count(worker.index, visitor, release.id, outcome);
        }
    }

    /// The deadline of the exchange with an upstream.
    pub(crate) fn progress(&mut self) -> &Rc<Progress> {
        let worker = &self.conn.worker;
        self.progress
            .get_or_insert_with(|| Progress::new(worker.timers.watch(), &worker.shared.options.timeouts))
    }

    /// True where the upstream has sent nothing for too long. `waiting` is the caller's memory of having asked before.
    pub(crate) fn stalled(&self, waiting: &mut bool, cx: &Context<'_>) -> bool {
        let Some(progress) = self.progress.as_ref().filter(|_| self.stream.is_none()) else { return false };
        if !*waiting {
            *waiting = true;
            progress.watch.arm(self.conn.worker.shared.options.timeouts.upstream_idle);
        }
        progress.watch.expired(cx)
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let status = if self.status == 0 { LEFT } else { self.status };
        let took = self.started.elapsed();
        let shard = self.shard();
        if self.stream.is_some() {
            shard.open_streams.add(-1);
        } else {
            shard.in_flight.add(-1);
            shard.took(took);
            // A visitor who left first, or whose own body broke the exchange, is nobody's failure.
            if self.status != 0 && !self.progress.as_ref().is_some_and(|progress| progress.faulty()) {
                let took = Some(self.headed).filter(|_| self.kind != Kind::WebSocket);
                self.judge(Outcome { failed: status >= 500 || self.cut, took });
            }
        }
        shard.request(Sample { component: self.component, who: self.who, kind: self.kind, status });
        let lines = &self.conn.worker.lines;
        if lines.on() {
            lines.push(&Line {
                unix_ms: self.unix_ms,
                id: self.id(),
                method: self.method.as_str(),
                path: self.uri.path(),
                status,
                bytes: self.bytes,
                duration_us: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
                release: self.release.as_ref().map_or("", |release| release.id.as_str()),
                reason: self.reason,
                component: self.stats().components.get(self.component).map_or("", String::as_str),
                client: self.client,
                cut: self.cut,
            });
        }
        self.conn.end();
    }
}
