//! What is wrong with the bad release: of four calls in a row one is an error and one is slow. The health check and the
//! version never are, so that nothing but real answers tells.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{
    Json,
    extract::{Request, State},
    http::StatusCode,
    middleware::Next,
    response::{IntoResponse, Response},
};
use serde_json::json;

/// How slow a slow answer is.
const SLOW: Duration = Duration::from_millis(900);

/// Counts the calls, so that every run sees the same faults in the same order.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    calls: AtomicU64,
}

/// What happens to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    Slow,
    Error,
}

impl Faults {
    fn next(&self) -> Fault {
        match self.calls.fetch_add(1, Ordering::Relaxed) % 4 {
            1 => Fault::Slow,
            3 => Fault::Error,
            _ => Fault::None,
        }
    }
}

/// Middleware of the bad release.
pub(crate) async fn disturb(State(faults): State<Arc<Faults>>, request: Request, next: Next) -> Response {
    if !request.uri().path().starts_with("/api/") || request.uri().path() == "/api/version" {
        return next.run(request).await;
    }
    match faults.next() {
        Fault::None => next.run(request).await,
        Fault::Slow => {
            tokio::time::sleep(SLOW).await;
            next.run(request).await
        }
        Fault::Error => (StatusCode::INTERNAL_SERVER_ERROR, Json(json!({ "error": "the till is jammed" })))
            .into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_of_the_calls_fail_and_a_quarter_are_slow() {
        let faults = Faults::default();
        let seen: Vec<_> = (0..400).map(|_| faults.next()).collect();
        for fault in [Fault::Slow, Fault::Error] {
            assert_eq!(seen.iter().filter(|one| **one == fault).count(), 100);
        }
    }
}
