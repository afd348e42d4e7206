//! The routing decision of Cutover: for each request one pure function, [`decide()`], picks a release.
//!
//! Everything here is a function of its arguments: no IO, no clock, no randomness, no async. The same decision is made
//! by other implementations; `conformance/` at the root of the repository holds them equal.

mod audience;
mod bots;
mod classify;
mod compact;
mod cookie;
mod decide;
mod decision;
mod edit;
mod explain;
mod hash;
mod id;
mod path;
mod pattern;
mod pin;
mod preview;
mod request;
mod settings;
mod state;
mod table;
mod validate;
mod visit;

pub use classify::{Kind, classify};
pub use decide::{NEWER_PIN, decide};
pub use decision::{Action, Decision, PreviewEnd, Reason};
pub use edit::{Edit, EditRefused, GENERATION_EPOCH, edit, next_generation};
pub use explain::{Explanation, explain};
pub use hash::{BUCKETS, bucket_of, fnv1a32};
pub use id::{InvalidReleaseId, MAX_RELEASE_ID, MIN_RELEASE_ID, ReleaseId};
pub use path::{BadPath, MAX_PATH, normalise_path};
pub use pattern::{InvalidPattern, MAX_PATTERN, PathPattern};
pub use pin::{MAX_GENERATION, PIN_MAX_AGE, Pin};
pub use preview::{
    MAX_LINK_SECS, MAX_PREVIEW_SECS, MAX_TOKEN, MIN_SECRET, PreviewToken, TokenError, preview_clear_cookie,
    preview_cookie_name, preview_set_cookie,
};
pub use request::{Headers, Request};
pub use settings::{AudienceRule, Condition, Cookieless, Policy, PreviewKey, Settings};
pub use state::{ReleaseState, Slot};
pub use table::{Entry, Share, Table, TableError};
pub use validate::{MAX_AUDIENCE_NAME, MAX_COMPACT};
