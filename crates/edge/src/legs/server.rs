//! The leg towards visitors: HTTP/1.1 and HTTP/2 on hyper.

use std::{
    convert::Infallible,
    future::{Future, poll_fn},
    io,
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll},
};

use bytes::Bytes;
use hyper::{
    body::{Body as HttpBody, Frame, Incoming, SizeHint},
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::AsyncReadExt;

use super::Wire;
use crate::{
    body::{Body, BodyError},
    conn::{Conn, Wait},
    options::EdgeOptions,
    serve,
};

/// What every HTTP/2 connection begins with (RFC 9113 section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How connections are served, made once per worker.
pub(crate) struct Server {
    h1: http1::Builder,
    h2: http2::Builder<Local>,
    header_bytes: usize,
}

/// Runs what HTTP/2 needs beside a connection on the worker's own thread.
#[derive(Clone)]
struct Local;

impl<F: Future<Output = ()> + 'static> hyper::rt::Executor<F> for Local {
    fn execute(&self, future: F) {
        tokio::task::spawn_local(future);
    }
}

impl Server {
    pub(crate) fn new(options: &EdgeOptions) -> Self {
        let limits = &options.limits;
        let mut h1 = http1::Builder::new();
        // Deadlines are kept by `Wire`, without a timer per request.
        h1.header_read_timeout(None).max_header_size(limits.header_bytes).half_close(false);
        if limits.header_count != 100 {
            h1.max_headers(limits.header_count);
        }
        let mut h2 = http2::Builder::new(Local);
        h2.timer(TokioTimer::new())
            .max_concurrent_streams(limits.h2_streams)
            .max_header_list_size(u32::try_from(limits.header_bytes).unwrap_or(u32::MAX))
            .keep_alive_interval(std::time::Duration::from_secs(20))
            .keep_alive_timeout(std::time::Duration::from_secs(20));
        Self { h1, h2, header_bytes: limits.header_bytes }
    }

    /// Serves a connection in clear, of which it is not known yet which protocol it speaks.
    pub(crate) async fn clear(&self, mut wire: Wire, conn: Rc<Conn>) -> io::Result<()> {
        conn.wait(Wait::Request);
        let mut early = Vec::new();
        let h2 = loop {
            if early == PREFACE {
                break true;
            }
            if !PREFACE.starts_with(&early) {
                break false;
            }
            let mut buffer = [0; PREFACE.len()];
            let room = PREFACE.len() - early.len();
            let read = wire.read(&mut buffer[..room]);
            let Some(read) = unless_over(&conn, read).await else { return Ok(()) };
            match read? {
                0 => return Ok(()),
                n => {
                    if early.is_empty() {
                        conn.wait(Wait::Head);
                    }
                    early.extend_from_slice(&buffer[..n]);
                }
            }
        };
        wire.put_back(early);
        // Boxed, so that an idle HTTP/1.1 connection holds no room for the other protocol.
        if h2 { Box::pin(self.h2(wire, conn)).await } else { self.h1(wire, conn).await }
    }

    /// Serves a connection that speaks HTTP/1.1.
    pub(crate) async fn h1(&self, mut wire: Wire, conn: Rc<Conn>) -> io::Result<()> {
        wire.guard(self.header_bytes);
        if conn.waiting() == Wait::Nothing {
            conn.wait(Wait::Request);
        }
        let served = Rc::clone(&conn);
        // Boxed, so that an idle connection holds no room for a request.
        let service = service_fn(move |request| Box::pin(answer(Rc::clone(&served), request)));
        let mut http = self.h1.serve_connection(TokioIo::new(wire), service);
        let mut told = false;
        let end = poll_fn(|cx| {
            if conn.overdue(cx) {
                return Poll::Ready(None);
            }
            if conn.worker.draining() && !told {
                told = true;
                if conn.begun.get() == 0 && !conn.in_head.get() {
                    return Poll::Ready(None);
                }
                Pin::new(&mut http).graceful_shutdown();
            }
            http.poll_without_shutdown(cx).map(Some)
        })
        .await;
        // Taken in any case: it holds the connection.
        let tunnel = conn.tunnel.take();
        if !matches!(end, Some(Ok(()))) {
            return Ok(());
        }
        let parts = http.into_parts();
        let mut wire = parts.io.into_inner();
        match tunnel {
            Some(tunnel) => {
                wire.open();
                tunnel.run(wire, parts.read_buf).await;
            }
            None => {
                use tokio::io::AsyncWriteExt;
                let _ = unless_over(&conn, wire.shutdown()).await;
            }
        }
        Ok(())
    }

    /// Serves a connection that speaks HTTP/2.
    pub(crate) async fn h2(&self, wire: Wire, conn: Rc<Conn>) -> io::Result<()> {
        conn.wait(Wait::Request);
        let served = Rc::clone(&conn);
        let service = service_fn(move |request| answer(Rc::clone(&served), request));
        let mut http = pin!(self.h2.serve_connection(TokioIo::new(wire), service));
        let mut told = false;
        poll_fn(|cx| {
            if conn.overdue(cx) {
                return Poll::Ready(());
            }
            if conn.worker.draining() && !told {
                told = true;
                http.as_mut().graceful_shutdown();
            }
            http.as_mut().poll(cx).map(|_| ())
        })
        .await;
        Ok(())
    }
}

/// Runs a piece of work unless the connection's deadline passes first.
pub(crate) async fn unless_over<T>(conn: &Conn, work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    poll_fn(|cx| {
        if conn.overdue(cx) || (conn.worker.draining() && conn.begun.get() == 0) {
            return Poll::Ready(None);
        }
        work.as_mut().poll(cx).map(Some)
    })
    .await
}

async fn answer(
    conn: Rc<Conn>,
    request: hyper::Request<Incoming>,
) -> Result<hyper::Response<Body>, Infallible> {
    let (parts, body) = request.into_parts();
    Ok(serve::serve(&conn, parts, Inbound(Some(body))).await)
}

/// The body of a visitor's request.
#[derive(Debug)]
pub(crate) struct Inbound(Option<Incoming>);

impl Inbound {
    pub(crate) fn empty() -> Self {
        Self(None)
    }

    /// True where there is nothing (more) in it.
    pub(crate) fn is_end(&self) -> bool {
        self.0.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    /// The length, where it is known.
    pub(crate) fn len(&self) -> Option<u64> {
        self.0.as_ref().map_or(Some(0), |body| body.size_hint().exact())
    }

    /// The next piece. Trailers are dropped.
    pub(crate) fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        let Some(body) = &mut self.0 else { return Poll::Ready(None) };
        poll_data(body, cx)
    }
}

/// The next piece of a body of this library.
pub(crate) fn poll_data(body: &mut Incoming, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
    loop {
        return match Pin::new(&mut *body).poll_frame(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(BodyError::Broken(error.to_string())))),
            Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                Ok(bytes) => Poll::Ready(Some(Ok(bytes))),
                Err(_) => continue,
            },
        };
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.poll_chunk(cx).map(|chunk| chunk.map(|result| result.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.is_end()
    }

    fn size_hint(&self) -> SizeHint {
        self.len().map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
