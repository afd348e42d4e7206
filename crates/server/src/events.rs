//! Events: every history entry once, in order, by SSE; a client that was away goes on where it stopped.

use std::{collections::VecDeque, convert::Infallible, sync::Arc, time::Duration};

use axum::{
    extract::{Query, State, rejection::QueryRejection},
    response::{
        IntoResponse, Response, Sse,
        sse::{Event, KeepAlive},
    },
};
use cutover_engine::{Control, control::HistoryEntry};
use futures_util::stream;
use http::HeaderMap;
use serde::Deserialize;
use tokio::sync::{broadcast, watch};

use crate::{
    answer::Refusal,
    handlers::{App, bad_query, closed},
};

/// A sign of life for proxies and clients in between.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// The most entries that are made up for after an absence.
const MOST_MISSED: u64 = 10_000;

/// Where to go on.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct From {
    /// As `Last-Event-ID`, for clients that cannot set headers.
    after: Option<u64>,
}

/// `GET /v1/events`.
pub(crate) async fn events<C: Control>(
    State(app): State<App<C>>,
    from: Result<Query<From>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let Query(from) = from.map_err(bad_query)?;
    // Subscribed before the history is read: an entry in between is in both, and the sequence tells.
    let live = app.control.events();
    let said: Option<u64> =
        headers.get("last-event-id").and_then(|id| id.to_str().ok()).and_then(|id| id.parse().ok());
    let newest = newest(&*app.control).await?;
    // A sequence from the future comes from another history: go on from now.
    let after = said.or(from.after).map_or(newest, |after| after.min(newest));
    let mut feed =
        Feed { control: app.control, live, closing: app.closing, sent: after, waiting: VecDeque::new() };
    feed.catch_up().await?;
    let stream = stream::unfold(feed, |mut feed| async move {
        let entry = feed.next().await?;
        let event = Event::default().id(entry.seq.to_string()).event("history").json_data(&entry).ok()?;
        Some((Ok::<_, Infallible>(event), feed))
    });
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response())
}

struct Feed<C> {
    control: Arc<C>,
    live: broadcast::Receiver<HistoryEntry>,
    closing: watch::Receiver<bool>,
    /// Sequence of the last entry that was sent, or the one before the first.
    sent: u64,
    waiting: VecDeque<HistoryEntry>,
}

impl<C: Control> Feed<C> {
    /// The next entry; nothing when the server closes or the history cannot be read (the client comes again).
    async fn next(&mut self) -> Option<HistoryEntry> {
        loop {
            if let Some(entry) = self.waiting.pop_front() {
                if entry.seq <= self.sent {
                    continue;
                }
                self.sent = entry.seq;
                return Some(entry);
            }
            let entry = tokio::select! {
                () = closed(&mut self.closing) => return None,
                entry = self.live.recv() => entry,
            };
            match entry {
                // An entry that does not follow the last one means that some were missed.
                Ok(entry) if entry.seq > self.sent + 1 => {
                    self.catch_up().await.ok()?;
                    self.waiting.push_back(entry);
                }
                Ok(entry) => self.waiting.push_back(entry),
                Err(broadcast::error::RecvError::Lagged(_)) => self.catch_up().await.ok()?,
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }

    /// Reads from the history what came after the last entry sent.
    async fn catch_up(&mut self) -> Result<(), cutover_engine::Error> {
        let missed = newest(&*self.control).await?.saturating_sub(self.sent).min(MOST_MISSED);
        if missed > 0 {
            let limit = u32::try_from(missed).unwrap_or(u32::MAX);
            let mut entries = self.control.history(limit).await?;
            entries.sort_by_key(|entry| entry.seq);
            self.waiting.extend(entries);
        }
        Ok(())
    }
}

async fn newest<C: Control>(control: &C) -> Result<u64, cutover_engine::Error> {
    Ok(control.history(1).await?.first().map_or(0, |entry| entry.seq))
}
