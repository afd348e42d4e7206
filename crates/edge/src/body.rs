//! The body of an answer, whatever it comes from, and the accounting that ends with it.

use std::{
    fs::File,
    future::Future,
    os::unix::fs::FileExt,
    path::Path,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use tokio::task::{JoinHandle, spawn_blocking};

use crate::{flight::Flight, legs::client::Reply};

/// Bytes read from a file at once.
const PIECE: u64 = 128 * 1024;

/// Why an answer was cut short.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    /// The other side broke off.
    #[error("{0}")]
    Broken(String),
    /// The upstream sent nothing for too long.
    #[error("the upstream's answer stalled")]
    Stalled,
    /// A file of a release cannot be read.
    #[error("reading a file of the site: {0}")]
    File(String),
}

/// An answer's body.
pub(crate) struct Body {
    source: Source,
    waiting: bool,
    flight: Option<Box<Flight>>,
}

enum Source {
    Empty,
    Once(Bytes),
    File(Reading),
    Reply(Reply),
}

impl Body {
    pub(crate) fn empty() -> Self {
        Self::of(Source::Empty)
    }

    pub(crate) fn bytes(bytes: Bytes) -> Self {
        Self::of(if bytes.is_empty() { Source::Empty } else { Source::Once(bytes) })
    }

    pub(crate) fn reply(reply: Reply) -> Self {
        Self::of(Source::Reply(reply))
    }

    /// A part of a file. Opened and read for a first time before the answer begins, so that it can still be an error.
    pub(crate) async fn file(path: &Arc<Path>, offset: u64, len: u64) -> Result<Self, BodyError> {
        let path = Arc::clone(path);
        let task = spawn_blocking(move || {
            let file = Arc::new(File::open(&path).map_err(|error| error.to_string())?);
            let first = read(&file, offset, len)?;
            Ok::<_, String>((file, first))
        });
        let (file, first) =
            task.await.map_err(|error| BodyError::File(error.to_string()))?.map_err(BodyError::File)?;
        let at = offset + first.len() as u64;
        Ok(Self::of(Source::File(Reading { file, at, end: offset + len, ready: Some(first), task: None })))
    }

    fn of(source: Source) -> Self {
        Self { source, waiting: false, flight: None }
    }

    /// The request this body answers; it ends when the body does.
    pub(crate) fn with(mut self, flight: Box<Flight>) -> Self {
        self.flight = Some(flight);
        self
    }

    pub(crate) fn is_end(&self) -> bool {
        match &self.source {
            Source::Empty => true,
            Source::Once(_) => false,
            Source::File(reading) => reading.left() == 0,
            Source::Reply(reply) => reply.is_end(),
        }
    }

    /// Bytes to come, where known.
    pub(crate) fn len(&self) -> Option<u64> {
        match &self.source {
            Source::Empty => Some(0),
            Source::Once(bytes) => Some(bytes.len() as u64),
            Source::File(reading) => Some(reading.left()),
            Source::Reply(reply) => reply.len(),
        }
    }

    pub(crate) fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        if self.flight.as_ref().is_some_and(|flight| flight.stream_over(cx)) {
            // Between two pieces, and as if the service had ended it: whoever listens takes up again where they were.
            self.source = Source::Empty;
            return Poll::Ready(None);
        }
        let polled = match &mut self.source {
            Source::Empty => Poll::Ready(None),
            Source::Once(_) => match std::mem::replace(&mut self.source, Source::Empty) {
                Source::Once(bytes) => Poll::Ready(Some(Ok(bytes))),
                _ => Poll::Ready(None),
            },
            Source::File(reading) => reading.poll(cx),
            Source::Reply(reply) => reply.poll_chunk(cx),
        };
        let Some(flight) = &mut self.flight else { return polled };
        match &polled {
            Poll::Ready(Some(Ok(bytes))) => {
                self.waiting = false;
                flight.bytes += bytes.len() as u64;
            }
            Poll::Ready(Some(Err(error))) => {
                tracing::debug!(id = flight.id(), %error, "an answer was cut short");
                flight.cut = true;
            }
            Poll::Ready(None) => {}
            Poll::Pending => {
                if flight.stalled(&mut self.waiting, cx) {
                    flight.cut = true;
                    return Poll::Ready(Some(Err(BodyError::Stalled)));
                }
            }
        }
        polled
    }
}

struct Reading {
    file: Arc<File>,
    at: u64,
    end: u64,
    ready: Option<Bytes>,
    task: Option<JoinHandle<Result<Bytes, String>>>,
}

impl Reading {
    fn left(&self) -> u64 {
        self.end - self.at + self.ready.as_ref().map_or(0, |bytes| bytes.len() as u64)
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        if let Some(bytes) = self.ready.take().filter(|bytes| !bytes.is_empty()) {
            return Poll::Ready(Some(Ok(bytes)));
        }
        if self.at >= self.end {
            return Poll::Ready(None);
        }
        let task = self.task.get_or_insert_with(|| {
            let (file, at, left) = (Arc::clone(&self.file), self.at, self.end - self.at);
            spawn_blocking(move || read(&file, at, left))
        });
        let done = std::task::ready!(Pin::new(task).poll(cx));
        self.task = None;
        Poll::Ready(Some(match done {
            Ok(Ok(bytes)) => {
                self.at += bytes.len() as u64;
                Ok(bytes)
            }
            Ok(Err(error)) => Err(BodyError::File(error)),
            Err(error) => Err(BodyError::File(error.to_string())),
        }))
    }
}

/// The next piece of a file. A file that ends early is an error: the length has been promised.
fn read(file: &File, at: u64, left: u64) -> Result<Bytes, String> {
    let mut buffer = vec![0; usize::try_from(left.min(PIECE)).unwrap_or(0)];
    file.read_exact_at(&mut buffer, at).map_err(|error| error.to_string())?;
    Ok(buffer.into())
}
