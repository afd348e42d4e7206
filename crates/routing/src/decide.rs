//! The decision: one pure function, asked once for each request.
//!
//! The order of the rules is the contract. [`decide`] and [`crate::explain`] run the same code; the second writes down
//! what it looked at. For a request with a pin nothing is allocated.

use crate::{
    Action, Cookieless, Decision, Headers, Kind, Pin, Policy, PreviewEnd, PreviewToken, Reason, ReleaseId,
    ReleaseState, Request, Settings, Table, TokenError, bots::is_bot, bucket_of, classify, cookie::Cookies,
    explain::Trace, visit,
};

/// A pin may be newer than the table by this many generations, which are at least seconds, and still be believed: the
/// edge that wrote it had a table that has not reached this one yet.
pub const NEWER_PIN: u64 = 300;

/// First segment of paths that name their release.
const RELEASE_PREFIX: &str = "/_r";

/// Picks a release for a request.
///
/// `request_id` draws the bucket of a visitor without a pin; it should be unpredictable and never reused. `now` is in
/// Unix seconds and only decides whether preview tokens have expired.
pub fn decide<H: Headers + ?Sized>(
    request: &Request<'_, H>,
    table: &Table,
    settings: &Settings,
    request_id: &str,
    now: u64,
) -> Decision {
    Facts { request, table, settings, request_id, now, kind: classify(request) }.decide(&mut ())
}

/// Everything a decision is made of.
pub(crate) struct Facts<'a, H: Headers + ?Sized> {
    pub(crate) request: &'a Request<'a, H>,
    pub(crate) table: &'a Table,
    pub(crate) settings: &'a Settings,
    pub(crate) request_id: &'a str,
    pub(crate) now: u64,
    pub(crate) kind: Kind,
}

impl<H: Headers + ?Sized> Facts<'_, H> {
    pub(crate) fn decide(&self, trace: &mut impl Trace) -> Decision {
        trace.step(|| format!("the request is of kind {}", self.kind.as_str()));
        if let Some(rest) = self.request.path.strip_prefix(RELEASE_PREFIX)
            && (rest.is_empty() || rest.starts_with('/'))
        {
            return self.by_path(rest, trace);
        }
        let cookies = Cookies::read(self.request.headers, self.settings, self.now);
        let clear_preview = match cookies.preview {
            None => false,
            Some(Ok(token)) => return self.preview(token, trace),
            Some(Err(TokenError::Expired(token))) => {
                trace.step(|| format!("the preview token of {} expired at {}", token.release, token.expiry));
                return self.preview_ended(PreviewEnd::Expired);
            }
            Some(Err(error)) => {
                trace.step(|| format!("the preview cookie is cleared: {error}"));
                true
            }
        };
        trace.step(|| match cookies.pin {
            Some(pin) => {
                let state =
                    self.table.state(&pin.release).map_or("not in the table".to_owned(), |s| s.to_string());
                format!(
                    "pinned to {} ({state}), bucket {}, generation {}",
                    pin.release, pin.bucket, pin.generation
                )
            }
            None => "there is no pin".to_owned(),
        });
        let decision = if self.kind.moves() {
            self.navigation(cookies.pin, trace)
        } else {
            self.follow(cookies.pin, trace)
        };
        Decision { clear_preview, ..decision }
    }

    /// `/_r/<release>/...`: static files that name their release. `rest` is the path behind the prefix.
    fn by_path(&self, rest: &str, trace: &mut impl Trace) -> Decision {
        let named = rest.strip_prefix('/').and_then(|rest| {
            let (id, _) = rest.split_once('/')?;
            Some((ReleaseId::from_bytes(id.as_bytes())?, RELEASE_PREFIX.len() + 1 + id.len()))
        });
        let Some((release, rest)) = named else {
            trace.step(|| "the path is reserved and names no release".to_owned());
            return self.answer(Action::NotFound, Reason::Path);
        };
        if !matches!(self.request.method, "GET" | "HEAD") {
            trace.step(|| format!("the path names release {release}, whose files are for GET and HEAD"));
            return self.answer(Action::NotFound, Reason::Path);
        }
        if self.table.servable(&release) {
            trace.step(|| format!("the path names release {release}, which is servable"));
            return self.answer(Action::Path { release, rest }, Reason::Path);
        }
        let cookies = Cookies::read(self.request.headers, self.settings, self.now);
        let allowed = matches!(&cookies.preview, Some(Ok(token)) if token.release == release)
            && self.table.state(&release) == Some(ReleaseState::Staged);
        if allowed {
            trace.step(|| format!("the path names release {release}, and a preview token allows it"));
            return self.answer(Action::Path { release, rest }, Reason::Preview);
        }
        trace.step(|| format!("the path names release {release}, which is not servable"));
        self.answer(Action::NotFound, Reason::Path)
    }

    fn preview(&self, token: PreviewToken, trace: &mut impl Trace) -> Decision {
        let release = token.release;
        match self.table.state(&release) {
            None => {
                trace.step(|| format!("the preview token is for {release}, which is not in the table"));
                return self.preview_ended(PreviewEnd::Unknown);
            }
            Some(ReleaseState::Closed) => {
                trace.step(|| format!("the preview token is for {release}, which is closed"));
                return self.preview_ended(PreviewEnd::Withdrawn);
            }
            Some(_) => {}
        }
        trace.step(|| format!("a preview token shows {release} until {}", token.expiry));
        let action = if self.kind == Kind::ServiceWorker && !self.settings.preview_service_worker {
            // A worker installed by a preview would outlive it and serve the preview to ordinary visits.
            trace.step(|| "service workers are not installed from previews".to_owned());
            Action::NotFound
        } else {
            Action::Preview { release, token }
        };
        Decision { strip_conditionals: true, ..self.answer(action, Reason::Preview) }
    }

    fn preview_ended(&self, why: PreviewEnd) -> Decision {
        Decision {
            strip_conditionals: true,
            ..self.answer(Action::PreviewEnded { why }, Reason::PreviewEnded)
        }
    }

    /// Not a navigation: the document's release, never a cookie.
    fn follow(&self, pin: Option<Pin>, trace: &mut impl Trace) -> Decision {
        let table = self.table;
        let hint =
            self.request.headers.get("x-cutover-release").and_then(|id| ReleaseId::from_bytes(id.as_bytes()));
        let mut bucket = pin.map(|pin| pin.bucket);
        let (release, reason) = match (hint, pin) {
            (Some(hint), _) if table.servable(&hint) => (Some(hint), Reason::Hint),
            (_, Some(pin)) if table.servable(&pin.release) => (Some(pin.release), Reason::Pin),
            (_, Some(pin)) => (table.target(pin.bucket), Reason::Stale),
            (_, None) if self.settings.cookieless == Cookieless::Split => {
                let drawn = bucket_of(self.request_id);
                bucket = Some(drawn);
                (table.target(drawn), Reason::Split)
            }
            (_, None) => (table.default, Reason::Default),
        };
        // The document that asks is of another release than the one that answers, and is told so.
        let stale = reason == Reason::Stale || hint.is_some_and(|hint| Some(hint) != release);
        if let Some(hint) = hint {
            trace.step(|| {
                format!(
                    "the document says it is of release {hint}{}",
                    if stale { ", not served" } else { "" }
                )
            });
        }
        let Some(release) = release else { return self.no_release(bucket, trace) };
        trace.step(|| format!("release {release} answers: {}", reason.as_str()));
        Decision {
            bucket,
            stale,
            strip_conditionals: pin.is_none_or(|pin| pin.release != release),
            ..self.answer(Action::Serve { release }, reason)
        }
    }

    /// A navigation: the visitor stays or moves, and gets a pin that says where they are.
    fn navigation(&self, pin: Option<Pin>, trace: &mut impl Trace) -> Decision {
        let bot = pin.is_none() && is_bot(self.request.headers);
        let bucket = pin.map_or_else(|| bucket_of(self.request_id), |pin| pin.bucket);
        let (release, reason) = self.navigation_target(pin, bucket, bot, trace);
        let known = (!bot).then_some(bucket);
        let Some(release) = release else { return Decision { bot, ..self.no_release(known, trace) } };
        trace.step(|| format!("release {release} answers: {}", reason.as_str()));
        let fresh = Pin { release, bucket, generation: self.table.generation };
        let set = !bot && reason != Reason::NewerPin && pin != Some(fresh);
        Decision {
            bucket: known,
            set_pin: set.then_some(fresh),
            strip_conditionals: pin.is_none_or(|pin| pin.release != release),
            bot,
            ..self.answer(Action::Serve { release }, reason)
        }
    }

    fn navigation_target(
        &self,
        pin: Option<Pin>,
        bucket: u16,
        bot: bool,
        trace: &mut impl Trace,
    ) -> (Option<ReleaseId>, Reason) {
        let (table, settings) = (self.table, self.settings);
        let held = pin.filter(|pin| table.servable(&pin.release));
        if let Some(pin) = held {
            let ahead = pin.generation.saturating_sub(table.generation);
            if (1..=NEWER_PIN).contains(&ahead) {
                trace.step(|| {
                    format!("the pin is {ahead} generations newer than the table: this edge is behind")
                });
                return (Some(pin.release), Reason::NewerPin);
            }
            if settings.keep.iter().any(|pattern| pattern.matches(self.request.path)) {
                trace.step(|| "the path keeps visitors where they are".to_owned());
                return (Some(pin.release), Reason::Keep);
            }
        }
        for rule in settings.audiences.iter().filter(|rule| rule.when.holds(self.request)) {
            match table.audiences.get(&rule.name).filter(|release| table.servable(release)) {
                Some(release) => {
                    trace.step(|| format!("belongs to audience {}, which gets {release}", rule.name));
                    return (Some(*release), Reason::Audience);
                }
                None => trace
                    .step(|| format!("belongs to audience {}, which gets no release of its own", rule.name)),
            }
        }
        if bot {
            trace.step(|| "the user agent is a known bot or tool".to_owned());
            return (table.default, Reason::Bot);
        }
        let target = table.target(bucket);
        trace.step(|| match target {
            Some(target) => format!("bucket {bucket} (rotated by {}) belongs to {target}", table.offset),
            None => format!("bucket {bucket} belongs to no release"),
        });
        match (pin, held) {
            (_, Some(held)) if Some(held.release) == target => (target, Reason::Pin),
            (_, Some(held)) => match self.kept_by_policy(&held.release) {
                Some(reason) => (Some(held.release), reason),
                None => (target, Reason::Moved),
            },
            (Some(_), None) => (target, Reason::Moved),
            (None, None) => (target, Reason::New),
        }
    }

    /// Policies hold against promotion only.
    fn kept_by_policy(&self, release: &ReleaseId) -> Option<Reason> {
        let reason = match self.settings.policy {
            Policy::Navigation => return None,
            Policy::Sticky => Reason::Sticky,
            Policy::Entry => Reason::Entry,
        };
        if !self.table.holds_by_policy(release) {
            return None;
        }
        let kept = reason == Reason::Sticky || visit::goes_on(self.request.headers, &self.settings.host);
        kept.then_some(reason)
    }

    fn no_release(&self, bucket: Option<u16>, trace: &mut impl Trace) -> Decision {
        trace.step(|| "there is no release to serve".to_owned());
        Decision { bucket, ..self.answer(Action::NoRelease, Reason::NoRelease) }
    }

    fn answer(&self, action: Action, reason: Reason) -> Decision {
        Decision {
            action,
            reason,
            kind: self.kind,
            bucket: None,
            set_pin: None,
            clear_preview: false,
            stale: false,
            strip_conditionals: false,
            bot: false,
        }
    }
}
