//! What is known of one visitor's connection.

use std::{
    cell::{Cell, RefCell},
    net::IpAddr,
    rc::Rc,
    task::Context,
};

use http::HeaderValue;

use crate::{
    legs::Ambiguity,
    timers::{TICK, Watch},
    tunnel::Tunnel,
    worker::Worker,
};

/// What a connection's deadline is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    Nothing,
    /// The next request.
    Request,
    /// The rest of a head.
    Head,
    /// More of a body.
    Body,
}

/// One connection. Lives on its worker's thread.
pub(crate) struct Conn {
    pub(crate) worker: Rc<Worker>,
    pub(crate) peer: IpAddr,
    pub(crate) tls: bool,
    /// The peer is a proxy that is believed.
    pub(crate) trusted: bool,
    /// The peer's address as `X-Forwarded-For` has it.
    pub(crate) peer_header: HeaderValue,
    /// The last `Forwarded` made, with the host and the scheme it was made for.
    pub(crate) forwarded: RefCell<Option<(HeaderValue, &'static str, HeaderValue)>>,
    watch: Watch,
    pub(crate) write_watch: Watch,
    waiting: Cell<Wait>,
    write_waiting: Cell<bool>,
    /// Requests being answered.
    pub(crate) active: Cell<u32>,
    /// Requests begun.
    pub(crate) begun: Cell<u64>,
    /// Requests whose framing is sound; see [`crate::legs`].
    pub(crate) sound: Cell<u64>,
    pub(crate) fault: Cell<Option<Ambiguity>>,
    /// A head has begun and not ended.
    pub(crate) in_head: Cell<bool>,
    /// What the connection becomes once its present answer (101) is written.
    pub(crate) tunnel: RefCell<Option<Tunnel>>,
}

impl Conn {
    pub(crate) fn new(worker: Rc<Worker>, peer: IpAddr, tls: bool) -> Rc<Self> {
        let peer = peer.to_canonical();
        let (watch, write_watch) = (worker.timers.watch(), worker.timers.watch());
        let trusted = worker.shared.options.trusted_proxies.iter().any(|net| net.contains(&peer));
        let peer_header =
            HeaderValue::try_from(peer.to_string()).unwrap_or(HeaderValue::from_static("unknown"));
        worker.opened(1);
        Rc::new(Self {
            worker,
            peer,
            tls,
            trusted,
            peer_header,
            forwarded: RefCell::default(),
            watch,
            write_watch,
            waiting: Cell::new(Wait::Nothing),
            write_waiting: Cell::new(false),
            active: Cell::new(0),
            begun: Cell::new(0),
            sound: Cell::new(0),
            fault: Cell::new(None),
            in_head: Cell::new(false),
            tunnel: RefCell::default(),
        })
    }

    pub(crate) fn waiting(&self) -> Wait {
        self.waiting.get()
    }

    /// Sets the deadline for what is waited for from now on.
    pub(crate) fn wait(&self, what: Wait) {
        let timeouts = &self.worker.shared.options.timeouts;
        match what {
            Wait::Nothing if self.waiting.get() == Wait::Nothing => {}
            Wait::Nothing => self.watch.disarm(),
            Wait::Request => self.watch.arm(timeouts.idle),
            Wait::Head => self.watch.arm(timeouts.header_read),
            // Longer than whoever passes the body on waits for it: they can still say so.
            Wait::Body => self.watch.arm(timeouts.body + 5 * TICK),
        }
        self.waiting.set(what);
    }

    /// The client takes nothing at the moment.
    pub(crate) fn write_stalled(&self) {
        if !self.write_waiting.replace(true) {
            self.write_watch.arm(self.worker.shared.options.timeouts.body);
        }
    }

    /// The client took something.
    pub(crate) fn write_moved(&self) {
        if self.write_waiting.replace(false) {
            self.write_watch.disarm();
        }
    }

    /// True once a deadline has passed; otherwise the task is woken when one does, or when the worker drains.
    pub(crate) fn overdue(&self, cx: &Context<'_>) -> bool {
        self.watch.expired(cx) | self.write_watch.expired(cx)
    }

    /// A request begins.
    pub(crate) fn begin(&self) {
        self.active.set(self.active.get() + 1);
        if self.waiting.get() == Wait::Request {
            self.wait(Wait::Nothing);
        }
    }

    /// A request has ended.
    pub(crate) fn end(&self) {
        let active = self.active.get() - 1;
        self.active.set(active);
        if active == 0 {
            self.wait(if self.in_head.get() { Wait::Head } else { Wait::Request });
        }
    }
}

impl Drop for Conn {
    fn drop(&mut self) {
        self.worker.opened(-1);
    }
}
