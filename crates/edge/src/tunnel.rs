//! A WebSocket: bytes in both directions until one side has had enough, or its release is asked to let go.

use std::{
    cell::{Cell, RefCell},
    future::{Future, poll_fn},
    io,
    pin::{Pin, pin},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf, copy_bidirectional},
    net::TcpStream,
};

use crate::{flight::Flight, frames::Frames, legs::Wire};

/// How long a tunnel that is to end waits for the frame under way.
const FRAME: Duration = Duration::from_secs(2);
/// How long it waits after its goodbye for the other side to close, so that the goodbye is not lost with unread bytes.
const GOODBYE: Duration = Duration::from_secs(1);

/// An upstream's side of an open WebSocket, waiting for the visitor's.
pub(crate) struct Tunnel {
    pub(crate) io: TcpStream,
    /// What the upstream sent right behind its handshake.
    pub(crate) early: Bytes,
    /// Ends with the tunnel.
    pub(crate) flight: Box<Flight>,
}

impl Tunnel {
    /// Copies until both sides have ended, the stream's moment has come, or the worker ends. `early` is what the visitor
    /// sent right behind the handshake.
    pub(crate) async fn run(self, wire: Wire, early: Bytes) {
        let Self { io, early: first, mut flight } = self;
        keep_alive(wire.socket());
        keep_alive(&io);
        let (down, up) = (Course::new(Frames::of_server()), Course::new(Frames::of_client()));
        let mut visitor = Side { io: wire, course: &down };
        let mut service = Side { io, course: &up };
        let ended = {
            let mut copied = pin!(async {
                visitor.write_all(&first).await?;
                service.write_all(&early).await?;
                copy_bidirectional(&mut visitor, &mut service).await
            });
            let patience = flight.watch();
            let mut ending = false;
            poll_fn(|cx| {
                if copied.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(false);
                }
                if !ending && flight.stream_over(cx) {
                    ending = true;
                    down.last.set(true);
                    up.last.set(true);
                    patience.arm(FRAME);
                }
                if ending && ((down.resting() && up.resting()) || patience.expired(cx)) {
                    return Poll::Ready(true);
                }
                Poll::Pending
            })
            .await
        };
        flight.bytes = down.bytes.get();
        if ended {
            let leave = async {
                leave(&mut visitor.io, &down).await;
                leave(&mut service.io, &up).await;
                tokio::join!(listen(&mut visitor.io), listen(&mut service.io));
            };
            let _ = tokio::time::timeout(GOODBYE, leave).await;
        }
    }
}

/// Says goodbye where no frame is under way, and that nothing more will come.
async fn leave(io: &mut (impl AsyncWrite + Unpin), course: &Course) {
    let goodbye = course.frames.borrow().goodbye();
    // Whoever cannot be told finds the connection closed.
    if let Some(goodbye) = goodbye
        && io.write_all(&goodbye).await.is_err()
    {
        return;
    }
    let _ = io.shutdown().await;
}

/// Reads until the other side has closed too.
async fn listen(io: &mut (impl AsyncRead + Unpin)) {
    let mut unheard = [0; 512];
    while let Ok(1..) = io.read(&mut unheard).await {}
}

/// What has passed in one direction.
struct Course {
    frames: RefCell<Frames>,
    bytes: Cell<u64>,
    /// The frame under way is the last one.
    last: Cell<bool>,
}

impl Course {
    fn new(frames: Frames) -> Self {
        Self { frames: RefCell::new(frames), bytes: Cell::new(0), last: Cell::new(false) }
    }

    fn resting(&self) -> bool {
        self.frames.borrow().resting()
    }
}

/// One side of a tunnel; follows what is written to it.
struct Side<'a, T> {
    io: T,
    course: &'a Course,
}

impl<T: AsyncRead + Unpin> AsyncRead for Side<'_, T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Side<'_, T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let course = self.course;
        let mut room = buf.len();
        if course.last.get() {
            room = course.frames.borrow().of_this_frame(room);
            if room == 0 && !buf.is_empty() {
                // Nothing more goes this way: whoever ends the tunnel looks again after this.
                return Poll::Pending;
            }
        }
        let written = std::task::ready!(Pin::new(&mut self.io).poll_write(cx, &buf[..room]))?;
        course.frames.borrow_mut().feed(&buf[..written]);
        course.bytes.set(course.bytes.get() + written as u64);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

/// A tunnel has no timeouts of its own, so a peer that is gone has to be found by the kernel.
fn keep_alive(socket: &TcpStream) {
    let every = Duration::from_secs(60);
    let probes = socket2::TcpKeepalive::new().with_time(every).with_interval(every / 4);
    if let Err(error) = socket2::SockRef::from(socket).set_tcp_keepalive(&probes) {
        tracing::debug!(%error, "setting keep-alive probes on a tunnel");
    }
}
