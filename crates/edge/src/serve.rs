//! One request, from its head to the head of its answer.
//!
//! Refuse what is ambiguous; answer the edge's own addresses; let `decide` pick a release; let the release's routes
//! pick a component; dress the answer.

use std::{borrow::Cow, cell::Cell, rc::Rc, sync::Arc};

use cutover_routing::{Action, Decision, Kind, Pin, PreviewEnd, decide, normalise_path};
use http::{HeaderName, HeaderValue, Method, Response, StatusCode, Version, header, request::Parts};

use crate::{
    body::Body,
    builtin,
    conn::Conn,
    dress,
    fields::Fields,
    flight::Flight,
    front,
    legs::Inbound,
    live::Release,
    origin::Origin,
    pages,
    proxy::{self, Forward},
    site::{SiteAnswer, SiteBody, SiteRequest, looks_like_asset},
    stats::{SITE, Who},
    tunnel::Tunnel,
    worker::View,
};

pub(crate) const RELEASE: HeaderName = HeaderName::from_static("x-cutover-release");
pub(crate) const REASON: HeaderName = HeaderName::from_static("x-cutover-reason");

/// Answers one request.
pub(crate) async fn serve(conn: &Rc<Conn>, parts: Parts, body: Inbound) -> Response<Body> {
    let mut flight = Flight::begin(conn, &parts);
    let head = parts.method == Method::HEAD;
    let h1 = parts.version <= Version::HTTP_11;
    let mut open = None;
    let mut response = match front::check(conn, &parts) {
        Ok(websocket) => {
            let answer = route(conn, parts, websocket, body, &mut flight).await;
            open = answer.open;
            answer.response
        }
        Err(refusal) => {
            flight.reason = "refused";
            let mut response = pages::text(refusal.status, refusal.why);
            if refusal.close && h1 {
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            response
        }
    };
    flight.answered(response.status().as_u16());
    let headers = response.headers_mut();
    let release = flight.release().map_or(HeaderValue::from_static("none"), |release| release.header.clone());
    headers.insert(RELEASE, release);
    headers.insert(REASON, HeaderValue::from_static(flight.reason));
    if let Some((io, early)) = open {
        conn.tunnel.replace(Some(Tunnel { io, early, flight }));
        return response;
    }
    if head {
        // The length is that of the body a GET would have had (RFC 9110 section 8.6).
        if let Some(length) = response.body().len().filter(|length| *length > 0)
            && !response.headers().contains_key(header::CONTENT_LENGTH)
        {
            response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        }
        *response.body_mut() = Body::empty();
    }
    response.map(|body| body.with(flight))
}

/// An answer, and the upstream's side of the WebSocket it opens.
pub(crate) struct Answer {
    pub(crate) response: Response<Body>,
    pub(crate) open: Option<(tokio::net::TcpStream, bytes::Bytes)>,
}

impl From<Response<Body>> for Answer {
    fn from(response: Response<Body>) -> Self {
        Self { response, open: None }
    }
}

async fn route(conn: &Rc<Conn>, parts: Parts, websocket: bool, body: Inbound, flight: &mut Flight) -> Answer {
    let raw = parts.uri.path();
    let path = match normalise_path(raw) {
        Ok(path) => path,
        Err(bad) => {
            flight.reason = "refused";
            return pages::text(StatusCode::BAD_REQUEST, &bad.to_string()).into();
        }
    };
    let view = conn.worker.view();
    if path.strip_prefix("/.cutover").is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) {
        return builtin::answer(&view, &parts, &path, flight).into();
    }
    let origin = Origin::of(conn, &parts.headers, view.settings.secure);
    flight.client = origin.client;
    let headers = Fields::new(&parts.headers);
    let request = cutover_routing::Request {
        method: parts.method.as_str(),
        path: &path,
        query: parts.uri.query().unwrap_or_default(),
        headers: &headers,
        client: Some(origin.client),
        country: origin.country,
    };
    let decision = decide(&request, &view.table, &view.settings, flight.id(), flight.unix());
    flight.reason = decision.reason.as_str();
    flight.kind = decision.kind;
    if decision.bot {
        flight.who = Who::Bot;
    }
    flight.visitor = conn
        .worker
        .shared
        .visits
        .visitor(|keys| keys.of(&parts.headers, &decision, view.settings.secure, origin.client));
    let asked = Asked {
        conn,
        parts: &parts,
        path: &path,
        raw,
        view: &view,
        origin: &origin,
        decision: &decision,
        unconditional: Cell::new(decision.strip_conditionals),
        websocket,
    };
    asked.act(body, flight).await
}

/// A request that has been decided on.
pub(crate) struct Asked<'a> {
    pub(crate) conn: &'a Rc<Conn>,
    pub(crate) parts: &'a Parts,
    /// Normalised.
    pub(crate) path: &'a str,
    /// As it came.
    pub(crate) raw: &'a str,
    pub(crate) view: &'a Rc<View>,
    pub(crate) origin: &'a Origin<'a>,
    pub(crate) decision: &'a Decision,
    /// What the visitor has cached may be another release's: it is not revalidated but sent anew.
    pub(crate) unconditional: Cell<bool>,
    pub(crate) websocket: bool,
}

impl Asked<'_> {
    /// True where a person waits for a page.
    pub(crate) fn page(&self) -> bool {
        self.decision.kind == Kind::Navigation
    }

    pub(crate) fn outage(&self) -> Response<Body> {
        self.conn.worker.shared.outage.load().answer(self.page())
    }

    async fn act(&self, body: Inbound, flight: &mut Flight) -> Answer {
        let mut pin = self.decision.set_pin;
        let mut answer = match &self.decision.action {
            Action::Serve { release } => match self.view.releases.get(release) {
                Some(release) => {
                    let release = self.instead(release, flight, &mut pin);
                    flight.serve(release);
                    self.component(release, body, flight).await
                }
                // A publication is only taken with all its releases.
                None => self.outage().into(),
            },
            Action::Preview { release, .. } => {
                flight.who = Who::Preview;
                match self.view.releases.get(release) {
                    Some(release) => {
                        flight.serve(release);
                        self.component(release, body, flight).await
                    }
                    None => self.preview_ended(PreviewEnd::Unknown).into(),
                }
            }
            Action::Path { release, rest } => {
                let release = self.view.releases.get(release);
                let path = self.path.get(*rest..).unwrap_or("/");
                self.by_path(release, path, flight).await.into()
            }
            Action::PreviewEnded { why } => self.preview_ended(*why).into(),
            Action::NotFound => self.missing().into(),
            Action::NoRelease => {
                let mut response = pages::say(
                    self.page(),
                    StatusCode::SERVICE_UNAVAILABLE,
                    "no-release",
                    "There is no release here yet.",
                );
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
                response.into()
            }
        };
        dress::dress(self, &mut answer.response, pin, flight);
        answer
    }

    /// The release that answers: another than the decided one only for a navigation, where the decided one cannot serve
    /// and the default can. The visitor is then moved to it, so that what the page loads comes from it too.
    fn instead<'r>(
        &'r self,
        release: &'r Arc<Release>,
        flight: &mut Flight,
        pin: &mut Option<Pin>,
    ) -> &'r Arc<Release> {
        let moves = matches!(self.decision.kind, Kind::Navigation | Kind::ServiceWorker);
        if !moves || release.healthy() {
            return release;
        }
        match self.view.default() {
            Some(default) if default.id != release.id && default.healthy() => {
                flight.reason = "unhealthy";
                self.unconditional.set(true);
                *pin = self.decision.bucket.map(|bucket| Pin {
                    release: default.id,
                    bucket,
                    generation: self.view.table.generation,
                });
                default
            }
            _ => release,
        }
    }

    async fn component(&self, release: &Arc<Release>, body: Inbound, flight: &mut Flight) -> Answer {
        let Some(service) = release.service(self.path) else {
            return self.site(release, flight).await.into();
        };
        flight.component = service.component;
        if !service.upstream.healthy() {
            return self.outage().into();
        }
        proxy::forward(Forward { asked: self, release, service }, body, flight).await
    }

    async fn site(&self, release: &Arc<Release>, flight: &mut Flight) -> Response<Body> {
        flight.component = SITE;
        let request = SiteRequest {
            method: &self.parts.method,
            path: self.path,
            query: self.parts.uri.query().unwrap_or_default(),
            headers: &self.parts.headers,
            navigation: self.page(),
            strip_conditionals: self.unconditional.get(),
            fingerprinted_only: false,
        };
        let answer = release.site.as_ref().map_or(SiteAnswer::Missing, |site| site.answer(&request));
        if !matches!(answer, SiteAnswer::Missing) {
            return self.file(answer).await;
        }
        // The commons: an open page of another release may still ask for its own files.
        if let Some(other) = self.view.common(self.path)
            && let Some(site) = &other.site
        {
            let request = SiteRequest { fingerprinted_only: true, navigation: false, ..request };
            let answer = site.answer(&request);
            if !matches!(answer, SiteAnswer::Missing) {
                if other.id != release.id {
                    flight.reason = "commons";
                    flight.aside = true;
                    flight.serve(other);
                }
                return self.file(answer).await;
            }
        }
        self.missing()
    }

    /// `/_r/<release>/...`: files only, never documents, whoever asks.
    async fn by_path(
        &self,
        release: Option<&Arc<Release>>,
        path: &str,
        flight: &mut Flight,
    ) -> Response<Body> {
        let Some((release, site)) = release.and_then(|release| Some((release, release.site.as_ref()?)))
        else {
            return self.missing();
        };
        let request = SiteRequest {
            method: &self.parts.method,
            path,
            query: "",
            headers: &self.parts.headers,
            navigation: false,
            strip_conditionals: self.unconditional.get(),
            fingerprinted_only: false,
        };
        match site.answer(&request) {
            answer @ SiteAnswer::Found(_) => {
                if matches!(&answer, SiteAnswer::Found(found) if found.html) {
                    return self.missing();
                }
                flight.serve(release);
                flight.component = SITE;
                flight.aside = true;
                self.file(answer).await
            }
            _ => self.missing(),
        }
    }

    async fn file(&self, answer: SiteAnswer) -> Response<Body> {
        match answer {
            SiteAnswer::Found(found) => {
                let body = match found.body {
                    SiteBody::Empty => Body::empty(),
                    SiteBody::Memory(bytes) => Body::bytes(bytes),
                    SiteBody::File { path, offset, len } => match Body::file(&path, offset, len).await {
                        Ok(body) => body,
                        Err(error) => {
                            tracing::error!(%error, path = self.path, file = %path.display(), "a file of a release cannot be read");
                            return self.outage();
                        }
                    },
                };
                let mut response = Response::new(body);
                *response.status_mut() = found.status;
                *response.headers_mut() = found.headers;
                response
            }
            SiteAnswer::Redirect(location) => match HeaderValue::try_from(location) {
                Ok(location) => {
                    let mut response =
                        pages::text(StatusCode::TEMPORARY_REDIRECT, "The address ends in a slash.");
                    response.headers_mut().insert(header::LOCATION, location);
                    response
                }
                Err(_) => self.missing(),
            },
            SiteAnswer::Missing => self.missing(),
        }
    }

    fn missing(&self) -> Response<Body> {
        let page = self.page() && !looks_like_asset(self.path);
        pages::say(page, StatusCode::NOT_FOUND, "not-found", "There is nothing at this address.")
    }

    fn preview_ended(&self, why: PreviewEnd) -> Response<Body> {
        let what: Cow<'static, str> = match why {
            PreviewEnd::Expired => "This preview has expired. Ask for a new link.".into(),
            PreviewEnd::Unknown => "The release of this preview is gone.".into(),
            PreviewEnd::Withdrawn => "The release of this preview has been withdrawn.".into(),
        };
        let message = if self.page() {
            format!("{what} Open /.cutover/leave to return to the app.")
        } else {
            what.into()
        };
        pages::say(self.page(), StatusCode::GONE, "preview-ended", &message)
    }
}
