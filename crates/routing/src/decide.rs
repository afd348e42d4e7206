//! The decision.
use crate::{Action, Decision, Headers, Reason, Request, Settings, Table, classify};

/// Picks a release for a request.
pub fn decide<H: Headers + ?Sized>(
    request: &Request<'_, H>,
    table: &Table,
    settings: &Settings,
    request_id: &str,
    now: u64,
) -> Decision {
    let _ = (settings, request_id, now);
    Decision {
        action: table.default.map_or(Action::NoRelease, |release| Action::Serve { release }),
        reason: Reason::None,
        kind: classify(request),
        bucket: None,
        set_pin: None,
        clear_preview: false,
        stale: false,
        strip_conditionals: false,
        bot: false,
    }
}
