//! The byte stream of one visitor's connection, in clear or under TLS.
//!
//! Knows what the connection is waiting for and keeps the deadlines for it: a head that trickles in, a body that stops
//! coming, an answer nobody takes.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::server::TlsStream;

use super::guard::Guard;
use crate::conn::{Conn, Wait};

/// A connection's bytes.
pub(crate) struct Wire {
    io: Io,
    /// Read before it was known which protocol is spoken.
    early: Vec<u8>,
    guard: Option<Guard>,
    conn: Rc<Conn>,
}

enum Io {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Wire {
    pub(crate) fn plain(io: TcpStream, conn: Rc<Conn>) -> Self {
        Self { io: Io::Plain(io), early: Vec::new(), guard: None, conn }
    }

    pub(crate) fn tls(io: TlsStream<TcpStream>, conn: Rc<Conn>) -> Self {
        Self { io: Io::Tls(Box::new(io)), early: Vec::new(), guard: None, conn }
    }

    /// The socket below.
    pub(crate) fn socket(&self) -> &TcpStream {
        match &self.io {
            Io::Plain(io) => io,
            Io::Tls(io) => io.get_ref().0,
        }
    }

    /// Gives back bytes that were read ahead.
    pub(crate) fn put_back(&mut self, early: Vec<u8>) {
        self.early = early;
    }

    /// From now on HTTP/1.1, and nothing ambiguous in it.
    pub(crate) fn guard(&mut self, header_bytes: usize) {
        self.guard = Some(Guard::new(header_bytes));
    }

    /// No longer HTTP: a tunnel. Deadlines end too.
    pub(crate) fn open(&mut self) {
        self.guard = None;
        self.conn.wait(Wait::Nothing);
        self.conn.write_watch.disarm();
    }

    fn took_in(&mut self, bytes: &[u8]) {
        let Some(guard) = &mut self.guard else { return };
        if bytes.is_empty() {
            return;
        }
        guard.feed(bytes);
        self.conn.sound.set(guard.sound());
        self.conn.fault.set(guard.fault());
        self.conn.in_head.set(guard.in_head());
        if self.conn.active.get() != 0 || guard.sound() > self.conn.begun.get() {
            self.conn.wait(Wait::Nothing);
        } else if self.conn.waiting() != Wait::Head {
            // From the first byte of the head, not from its latest; and whatever the bytes are.
            self.conn.wait(Wait::Head);
        }
    }

    fn nothing_yet(&self) {
        if self.guard.as_ref().is_some_and(Guard::in_body) && self.conn.waiting() != Wait::Body {
            self.conn.wait(Wait::Body);
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buf.filled().len();
        if this.early.is_empty() {
            let polled = match &mut this.io {
                Io::Plain(io) => Pin::new(io).poll_read(cx, buf),
                Io::Tls(io) => Pin::new(io.as_mut()).poll_read(cx, buf),
            };
            match polled {
                Poll::Pending => {
                    this.nothing_yet();
                    return Poll::Pending;
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Ready(Ok(())) => {}
            }
        } else {
            let taken = this.early.len().min(buf.remaining());
            buf.put_slice(&this.early[..taken]);
            this.early.drain(..taken);
        }
        this.took_in(&buf.filled()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl Wire {
    fn wrote(&self, polled: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if polled.is_pending() {
            self.conn.write_stalled();
        } else {
            self.conn.write_moved();
        }
        polled
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let polled = match &mut self.io {
            Io::Plain(io) => Pin::new(io).poll_write(cx, buf),
            Io::Tls(io) => Pin::new(io.as_mut()).poll_write(cx, buf),
        };
        self.wrote(polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = match &mut self.io {
            Io::Plain(io) => Pin::new(io).poll_write_vectored(cx, bufs),
            Io::Tls(io) => Pin::new(io.as_mut()).poll_write_vectored(cx, bufs),
        };
        self.wrote(polled)
    }

    fn is_write_vectored(&self) -> bool {
        match &self.io {
            Io::Plain(io) => io.is_write_vectored(),
            Io::Tls(io) => io.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.io {
            Io::Plain(io) => Pin::new(io).poll_flush(cx),
            Io::Tls(io) => Pin::new(io.as_mut()).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.io {
            Io::Plain(io) => Pin::new(io).poll_shutdown(cx),
            Io::Tls(io) => Pin::new(io.as_mut()).poll_shutdown(cx),
        }
    }
}
