//! A worker: one thread, one runtime, one listening socket, its own connections to upstreams.
//!
//! Nothing on the way of a request is shared between workers but the publication in force, read through one pointer.

use std::{
    cell::{Cell, RefCell},
    hash::{BuildHasher, RandomState},
    io,
    net::IpAddr,
    rc::Rc,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{LocalSet, spawn_local},
};
use tokio_rustls::TlsAcceptor;

use crate::{
    access_log::{Lines, Sink},
    conn::{Conn, Wait},
    legs::{
        Wire,
        client::Pool,
        server::{Server, unless_over},
    },
    live::Live,
    options::EdgeOptions,
    pages::OutagePage,
    stats::Stats,
    streams::{Ending, Streams},
    timers::{TICK, Timers},
    tls::Tls,
    visits::Visits,
};

/// What all workers share.
pub(crate) struct Shared {
    pub(crate) options: EdgeOptions,
    pub(crate) live: ArcSwap<Live>,
    pub(crate) outage: ArcSwap<OutagePage>,
    pub(crate) stats: Arc<Stats>,
    pub(crate) visits: Visits,
    /// What each worker has not been told yet.
    pub(crate) endings: Vec<Mutex<Vec<Ending>>>,
    pub(crate) tls: Option<Tls>,
}

/// The publication as one worker holds it: shared with other workers by an atomic count, with its own requests by a
/// plain one.
pub(crate) struct View(Arc<Live>);

impl std::ops::Deref for View {
    type Target = Live;
    fn deref(&self) -> &Live {
        &self.0
    }
}

/// One worker. Never leaves its thread.
pub(crate) struct Worker {
    pub(crate) index: usize,
    pub(crate) shared: Arc<Shared>,
    pub(crate) timers: Rc<Timers>,
    pub(crate) pool: Rc<Pool>,
    pub(crate) streams: Rc<Streams>,
    pub(crate) lines: Lines,
    server: Server,
    view: RefCell<Rc<View>>,
    draining: Cell<bool>,
    connections: Cell<usize>,
    ids: (RandomState, Cell<u64>),
}

impl Worker {
    fn new(index: usize, shared: Arc<Shared>, sink: Option<Sink>) -> Rc<Self> {
        let timers = Timers::new();
        let options = &shared.options;
        Rc::new(Self {
            index,
            streams: Streams::new(Rc::clone(&timers)),
            pool: Pool::new(Rc::clone(&timers), &options.limits, &options.timeouts),
            lines: Lines::new(sink, Arc::clone(&shared.stats)),
            server: Server::new(options),
            view: RefCell::new(Rc::new(View(shared.live.load_full()))),
            draining: Cell::new(false),
            connections: Cell::new(0),
            ids: (RandomState::new(), Cell::new(0)),
            timers,
            shared,
        })
    }

    /// The publication in force now.
    pub(crate) fn view(&self) -> Rc<View> {
        let live = self.shared.live.load();
        let mut view = self.view.borrow_mut();
        if !Arc::ptr_eq(&view.0, &live) {
            *view = Rc::new(View(Arc::clone(&live)));
        }
        Rc::clone(&view)
    }

    /// True once the worker takes no new requests.
    pub(crate) fn draining(&self) -> bool {
        self.draining.get()
    }

    /// Sixteen hexadecimal digits nobody can foresee: visitors without a cookie are distributed by them.
    pub(crate) fn request_id(&self) -> [u8; 16] {
        let (keys, count) = &self.ids;
        count.set(count.get().wrapping_add(1));
        let mut value = keys.hash_one(count.get());
        let mut id = [0; 16];
        for digit in &mut id {
            *digit = b"0123456789abcdef"[(value & 15) as usize];
            value >>= 4;
        }
        id
    }

    /// Counts connections.
    pub(crate) fn opened(&self, by: i64) {
        self.connections.set(self.connections.get().wrapping_add_signed(by as isize));
        self.shared.stats.connections[self.index].add(by);
    }

    async fn connection(self: Rc<Self>, io: TcpStream, peer: IpAddr) {
        let conn = Conn::new(Rc::clone(&self), peer, self.shared.tls.is_some());
        let result = match &self.shared.tls {
            None => {
                let wire = Wire::plain(io, Rc::clone(&conn));
                self.server.clear(wire, conn).await
            }
            Some(tls) => {
                conn.wait(Wait::Head);
                let accepting = TlsAcceptor::from(Arc::clone(&tls.config)).accept(io);
                let Some(Ok(io)) = unless_over(&conn, accepting).await else { return };
                conn.wait(Wait::Nothing);
                let h2 = io.get_ref().1.alpn_protocol() == Some(b"h2");
                let wire = Wire::tls(io, Rc::clone(&conn));
                // Boxed, so that an idle HTTP/1.1 connection holds no room for the other protocol.
                if h2 { Box::pin(self.server.h2(wire, conn)).await } else { self.server.h1(wire, conn).await }
            }
        };
        if let Err(error) = result {
            tracing::trace!(%peer, %error, "connection");
        }
    }

    fn accepted(self: &Rc<Self>, accepted: io::Result<(TcpStream, std::net::SocketAddr)>) -> io::Result<()> {
        let (io, peer) = accepted?;
        // Without it small answers wait for the acknowledgement of the last; a socket that refuses is dead already.
        let _ = io.set_nodelay(true);
        spawn_local(Rc::clone(self).connection(io, peer.ip()));
        Ok(())
    }

    fn end_streams(&self) {
        let Some(endings) = self.shared.endings.get(self.index) else { return };
        let endings = std::mem::take(&mut *endings.lock().unwrap_or_else(PoisonError::into_inner));
        endings.into_iter().for_each(|ending| self.streams.end(ending));
    }

    async fn ticker(self: Rc<Self>) {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        for count in 0_u64.. {
            ticks.tick().await;
            self.timers.tick();
            self.end_streams();
            self.lines.flush();
            if count % 10 == 0 {
                self.pool.expire();
            }
            // Lets go of a publication that was replaced while nobody came.
            self.view();
        }
    }

    async fn run(self: Rc<Self>, listener: TcpListener, mut stop: watch::Receiver<Option<Instant>>) {
        spawn_local(Rc::clone(&self).ticker());
        loop {
            let accepted = tokio::select! {
                biased;
                _ = stop.wait_for(Option::is_some) => break,
                accepted = listener.accept() => accepted,
            };
            if let Err(error) = self.accepted(accepted) {
                // Out of file descriptors, mostly: some will close.
                tracing::error!(%error, "accepting a connection");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        // Whoever the kernel has already let in is answered; closing the socket would reset them.
        while let Ok(accepted) = tokio::time::timeout(Duration::from_millis(1), listener.accept()).await {
            if self.accepted(accepted).is_err() {
                break;
            }
        }
        drop(listener);
        // Gives connections just accepted the chance to be read from once before they are asked to end.
        tokio::time::sleep(Duration::from_millis(5)).await;
        self.draining.set(true);
        let deadline = stop.borrow().unwrap_or_else(Instant::now);
        while self.connections.get() > 0 && Instant::now() < deadline {
            self.timers.wake_all();
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// Runs a worker until it is told to stop. Blocks its thread.
pub(crate) fn run(
    index: usize,
    shared: Arc<Shared>,
    listener: std::net::TcpListener,
    sink: Option<Sink>,
    stop: watch::Receiver<Option<Instant>>,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let tasks = LocalSet::new();
    let worker = tasks.block_on(&runtime, async move {
        let worker = Worker::new(index, shared, sink);
        let listener = TcpListener::from_std(listener)?;
        Rc::clone(&worker).run(listener, stop).await;
        Ok::<_, io::Error>(worker)
    })?;
    // What is left at the deadline ends here, and is counted and logged.
    drop(tasks);
    worker.lines.flush();
    Ok(())
}
