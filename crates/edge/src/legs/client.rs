//! The leg towards upstreams: HTTP/1.1 in clear on hyper, with a pool of connections per worker.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    future::{Future, poll_fn},
    io,
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use hyper::{
    body::{Body as HttpBody, Frame, Incoming, SizeHint},
    client::conn::http1::{self, SendRequest},
};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::{Inbound, server::poll_data};
use crate::{
    body::BodyError,
    options::{Limits, Timeouts},
    timers::{Timers, Watch},
    upstream::Upstream,
};

/// Why an upstream gave no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    /// No connection.
    #[error("connecting to {0}: {1}")]
    Connect(String, io::Error),
    /// No answer in time.
    #[error("no answer in time")]
    Late,
    /// The visitor stopped sending the body.
    #[error("the request's body did not come in time")]
    Visitor,
    /// The visitor's body was malformed, or ended before its end.
    #[error("the request's body broke off: {0}")]
    Body(String),
    /// The connection broke, or the answer was not HTTP.
    #[error("{0}")]
    Broken(String),
}

/// The deadline of one exchange, and who is waited for.
pub(crate) struct Progress {
    pub(crate) watch: Watch,
    visitor: Cell<bool>,
    /// What was wrong with the visitor's body. Whatever becomes of the exchange after that is not the upstream's doing.
    fault: RefCell<Option<String>>,
    body: Duration,
    response: Duration,
}

impl Progress {
    pub(crate) fn new(watch: Watch, timeouts: &Timeouts) -> Rc<Self> {
        Rc::new(Self {
            watch,
            visitor: Cell::new(false),
            fault: RefCell::default(),
            body: timeouts.body,
            response: timeouts.response,
        })
    }

    /// True where the visitor's body was at fault.
    pub(crate) fn faulty(&self) -> bool {
        self.fault.borrow().is_some()
    }

    /// Why the exchange broke: by the visitor's body, or else by the upstream.
    fn broken(&self, error: impl std::fmt::Display) -> SendError {
        match self.fault.take() {
            Some(fault) => SendError::Body(fault),
            None => SendError::Broken(error.to_string()),
        }
    }

    async fn limit<T>(&self, work: impl Future<Output = T>) -> Result<T, SendError> {
        let mut work = pin!(work);
        poll_fn(|cx| {
            if let Poll::Ready(done) = work.as_mut().poll(cx) {
                return Poll::Ready(Ok(done));
            }
            match self.watch.expired(cx) {
                true if self.visitor.get() => Poll::Ready(Err(SendError::Visitor)),
                true => Poll::Ready(Err(SendError::Late)),
                false => Poll::Pending,
            }
        })
        .await
    }
}

/// Idle connections of one worker, by upstream.
pub(crate) struct Pool {
    idle: RefCell<HashMap<u64, Vec<Idle>>>,
    timers: Rc<Timers>,
    most: usize,
    keep_ms: u64,
}

struct Idle {
    sender: SendRequest<Outgoing>,
    since: u64,
}

impl Pool {
    pub(crate) fn new(timers: Rc<Timers>, limits: &Limits, timeouts: &Timeouts) -> Rc<Self> {
        let keep_ms = u64::try_from(timeouts.upstream_keep.as_millis()).unwrap_or(u64::MAX);
        Rc::new(Self { idle: RefCell::default(), timers, most: limits.upstream_idle, keep_ms })
    }

    /// Closes what has been idle for too long.
    pub(crate) fn expire(&self) {
        let now = self.timers.now();
        let mut idle = self.idle.borrow_mut();
        let mut gone = Vec::new();
        idle.retain(|_, list| {
            let (keep, old): (Vec<_>, Vec<_>) =
                list.drain(..).partition(|one| now - one.since < self.keep_ms && !one.sender.is_closed());
            *list = keep;
            gone.extend(old);
            !list.is_empty()
        });
        drop(idle);
        drop(gone);
    }

    async fn take(&self, upstream: u64) -> Option<SendRequest<Outgoing>> {
        loop {
            let mut sender = self.idle.borrow_mut().get_mut(&upstream)?.pop()?.sender;
            if !sender.is_closed() && (sender.is_ready() || sender.ready().await.is_ok()) {
                return Some(sender);
            }
        }
    }

    fn give(&self, upstream: u64, sender: SendRequest<Outgoing>) {
        if sender.is_closed() {
            return;
        }
        let mut idle = self.idle.borrow_mut();
        let list = idle.entry(upstream).or_default();
        if list.len() < self.most {
            list.push(Idle { sender, since: self.timers.now() });
        }
    }

    /// Sends a request and waits for the head of the answer.
    ///
    /// `head` makes the head, again where the request has to be sent again: over a kept connection that turns out to be
    /// dead, once, if `repeatable` says that nothing is lost by it.
    pub(crate) async fn send(
        self: &Rc<Self>,
        upstream: &Upstream,
        head: &dyn Fn() -> http::Request<()>,
        body: Inbound,
        repeatable: bool,
        progress: &Rc<Progress>,
        timeouts: &Timeouts,
    ) -> Result<http::Response<Reply>, SendError> {
        let repeatable = repeatable && body.is_end();
        let mut body = body;
        let mut fresh = false;
        loop {
            let kept = if fresh { None } else { self.take(upstream.id).await };
            let reused = kept.is_some();
            let mut sender = match kept {
                Some(sender) => sender,
                None => {
                    let (sender, http) = handshake(connect(upstream, timeouts.connect).await?).await?;
                    tokio::task::spawn_local(async move {
                        // Its failure is the failure of the request on it.
                        let _ = http.await;
                    });
                    sender
                }
            };
            let request = head().map(|()| Outgoing { body, progress: Rc::clone(progress) });
            progress.watch.arm(timeouts.response);
            let mut error = match progress.limit(sender.try_send_request(request)).await? {
                Ok(response) => {
                    return Ok(response
                        .map(|body| Reply { body, home: Some((Rc::clone(self), upstream.id, sender)) }));
                }
                Err(error) => error,
            };
            match error.take_message() {
                // Nothing of it was sent.
                Some(request) if reused => body = request.into_body().body,
                None if reused && repeatable && !fresh => {
                    fresh = true;
                    body = Inbound::empty();
                }
                _ => return Err(progress.broken(error.into_error())),
            }
        }
    }

    /// Sends a request that asks for a WebSocket, over a connection of its own.
    pub(crate) async fn upgrade(
        &self,
        upstream: &Upstream,
        request: http::Request<()>,
        progress: &Rc<Progress>,
        timeouts: &Timeouts,
    ) -> Result<Upgrade, SendError> {
        let (mut sender, http) = handshake(connect(upstream, timeouts.connect).await?).await?;
        let (out, parts) = tokio::sync::oneshot::channel();
        tokio::task::spawn_local(async move {
            if let Ok(parts) = http.without_shutdown().await {
                let _ = out.send((parts.io.into_inner(), parts.read_buf));
            }
        });
        progress.watch.arm(timeouts.response);
        let request = request.map(|()| Outgoing { body: Inbound::empty(), progress: Rc::clone(progress) });
        let response = progress
            .limit(sender.send_request(request))
            .await?
            .map_err(|error| SendError::Broken(error.to_string()))?;
        if response.status() != http::StatusCode::SWITCHING_PROTOCOLS {
            return Ok(Upgrade::Refused(response.map(|body| Reply { body, home: None })));
        }
        let (head, _) = response.into_parts();
        let (io, early) = parts.await.map_err(|_| SendError::Broken("the connection broke".to_owned()))?;
        Ok(Upgrade::Open { head, io, early })
    }
}

/// What an upstream says to a WebSocket handshake.
pub(crate) enum Upgrade {
    /// An ordinary answer.
    Refused(http::Response<Reply>),
    /// Yes.
    Open { head: http::response::Parts, io: TcpStream, early: Bytes },
}

async fn connect(upstream: &Upstream, limit: Duration) -> Result<TcpStream, SendError> {
    let connecting = async {
        match upstream.address {
            Some(address) => TcpStream::connect(address).await,
            None => TcpStream::connect(upstream.authority.as_str()).await,
        }
    };
    let failed = |error| SendError::Connect(upstream.authority.clone(), error);
    let io = tokio::time::timeout(limit, connecting)
        .await
        .unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut)))
        .and_then(|io| io.set_nodelay(true).map(|()| io))
        .inspect_err(|error| {
            if upstream.refused(&error.to_string()) {
                tracing::warn!(upstream = %upstream.authority, %error, "upstream is unhealthy: no connections");
            }
        })
        .map_err(failed)?;
    upstream.connected();
    Ok(io)
}

type Http = http1::Connection<TokioIo<TcpStream>, Outgoing>;

async fn handshake(io: TcpStream) -> Result<(SendRequest<Outgoing>, Http), SendError> {
    http1::Builder::new()
        .handshake(TokioIo::new(io))
        .await
        .map_err(|error| SendError::Broken(error.to_string()))
}

/// A GET for its status, over a connection of its own. Health checks run where there is no pool.
pub(crate) async fn status(upstream: &Upstream, path: &str) -> Result<http::StatusCode, String> {
    let io = dial(upstream).await?;
    let (mut sender, http) =
        http1::handshake::<_, NoBody>(TokioIo::new(io)).await.map_err(|e| e.to_string())?;
    let request = http::Request::get(path)
        .header(http::header::HOST, &upstream.authority)
        .header(http::header::USER_AGENT, "cutover-health")
        .body(NoBody)
        .map_err(|error| error.to_string())?;
    // Beside and not instead of the answer: the connection may end with it.
    let driver = tokio::task::spawn_local(http);
    let answer = sender.send_request(request).await;
    driver.abort();
    answer.map(|response| response.status()).map_err(|error| error.to_string())
}

/// Opens a connection without judging the upstream by it.
pub(crate) async fn dial(upstream: &Upstream) -> Result<TcpStream, String> {
    TcpStream::connect(upstream.authority.as_str()).await.map_err(|error| error.to_string())
}

struct NoBody;

impl HttpBody for NoBody {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        true
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(0)
    }
}

/// The body of a request on its way to an upstream.
struct Outgoing {
    body: Inbound,
    progress: Rc<Progress>,
}

impl HttpBody for Outgoing {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        let polled = this.body.poll_chunk(cx);
        let progress = &this.progress;
        if polled.is_pending() {
            if !progress.visitor.replace(true) {
                progress.watch.arm(progress.body);
            }
        } else {
            progress.visitor.set(false);
            progress.watch.arm(progress.response);
        }
        if let Poll::Ready(Some(Err(error))) = &polled {
            progress.fault.replace(Some(error.to_string()));
        }
        polled.map(|chunk| chunk.map(|result| result.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.len().map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

/// The body of an upstream's answer. Its connection goes back to the pool when it has been read to the end.
pub(crate) struct Reply {
    body: Incoming,
    home: Option<(Rc<Pool>, u64, SendRequest<Outgoing>)>,
}

impl Reply {
    pub(crate) fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        let polled = poll_data(&mut self.body, cx);
        if matches!(polled, Poll::Ready(None)) || self.body.is_end_stream() {
            self.go_home();
        }
        polled
    }

    pub(crate) fn is_end(&self) -> bool {
        self.body.is_end_stream()
    }

    pub(crate) fn len(&self) -> Option<u64> {
        self.body.size_hint().exact()
    }

    fn go_home(&mut self) {
        if let Some((pool, upstream, sender)) = self.home.take() {
            pool.give(upstream, sender);
        }
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if self.is_end() {
            self.go_home();
        }
    }
}
