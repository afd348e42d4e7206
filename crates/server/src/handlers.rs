//! What each route does: reads the request, calls the operation, writes the answer.

use std::{future::Future, sync::Arc, time::Duration};

use axum::{
    extract::{Path, Query, Request, State, rejection::QueryRejection},
    response::Response,
};
use cutover_engine::{
    Control, Error, ErrorKind,
    control::{
        ExplainRequest, PreviewRequest, Progress, PromoteRequest, RetireRequest, RollbackRequest,
        StageRequest, WithdrawRequest,
    },
};
use http::{HeaderMap, StatusCode, Uri};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::{
    answer::{self, Refusal},
    body,
    guard::who,
    operations::{self, Operations},
    words,
};

/// What the handlers share.
pub(crate) struct App<C> {
    pub(crate) control: Arc<C>,
    pub(crate) operations: Operations,
    /// The OpenAPI description, written once.
    pub(crate) openapi: Arc<str>,
    /// Turns true when the server closes: streams and polls end.
    pub(crate) closing: watch::Receiver<bool>,
}

impl<C> Clone for App<C> {
    fn clone(&self) -> Self {
        Self {
            control: Arc::clone(&self.control),
            operations: self.operations.clone(),
            openapi: Arc::clone(&self.openapi),
            closing: self.closing.clone(),
        }
    }
}

/// Completes when the server closes.
pub(crate) async fn closed(closing: &mut watch::Receiver<bool>) {
    // An error means that the server is gone, which is the same.
    drop(closing.wait_for(|closing| *closing).await);
}

pub(crate) type Answer = Result<Response, Refusal>;

pub(crate) fn ok<T: Serialize>(value: Result<T, Error>) -> Answer {
    Ok(answer::json(StatusCode::OK, &value?))
}

/// Runs what changes something to its end, even when the client goes away in the middle.
pub(crate) async fn whole<T: Serialize + Send + 'static>(
    verb: &'static str,
    work: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Answer {
    match tokio::spawn(work).await {
        Ok(outcome) => ok(outcome),
        Err(why) => Err(operations::broken(verb).because(why).into()),
    }
}

pub(crate) async fn status<C: Control>(State(app): State<App<C>>) -> Answer {
    ok(app.control.status().await)
}

pub(crate) async fn releases<C: Control>(State(app): State<App<C>>) -> Answer {
    ok(app.control.releases().await)
}

/// How much of the history.
#[derive(Debug, Deserialize)]
pub(crate) struct Limit {
    limit: Option<u32>,
}

impl Limit {
    /// What was asked for, `usual` where nothing was, and never more than `most`.
    pub(crate) fn or(self, usual: u32, most: u32) -> u32 {
        self.limit.unwrap_or(usual).clamp(1, most)
    }
}

pub(crate) async fn history<C: Control>(
    State(app): State<App<C>>,
    limit: Result<Query<Limit>, QueryRejection>,
) -> Answer {
    let Query(limit) = limit.map_err(bad_query)?;
    ok(app.control.history(limit.or(50, 1000)).await)
}

pub(crate) async fn table<C: Control>(State(app): State<App<C>>) -> Answer {
    ok(app.control.table().await)
}

pub(crate) async fn openapi<C: Control>(State(app): State<App<C>>) -> Response {
    answer::with(StatusCode::OK, "application/json", app.openapi.as_bytes().to_vec())
}

pub(crate) async fn metrics<C: Control>(State(app): State<App<C>>) -> Response {
    let text = app.control.metrics().await;
    answer::with(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", text.into_bytes())
}

pub(crate) async fn explain_request<C: Control>(State(app): State<App<C>>, request: Request) -> Answer {
    let request: ExplainRequest = body::read(request).await?;
    ok(app.control.explain_request(request).await)
}

pub(crate) async fn promote<C: Control>(
    State(app): State<App<C>>,
    headers: HeaderMap,
    request: Request,
) -> Answer {
    let (who, request): (_, PromoteRequest) = (who(&headers), body::read(request).await?);
    words::check(&[("release", request.release.as_deref()), ("reason", request.reason.as_deref())])?;
    whole("promote", async move { app.control.promote(&who, request, Progress::none()).await }).await
}

pub(crate) async fn rollback<C: Control>(
    State(app): State<App<C>>,
    headers: HeaderMap,
    request: Request,
) -> Answer {
    let (who, request): (_, RollbackRequest) = (who(&headers), body::read(request).await?);
    words::check(&[("reason", request.reason.as_deref())])?;
    whole("rollback", async move { app.control.rollback(&who, request).await }).await
}

pub(crate) async fn withdraw<C: Control>(
    State(app): State<App<C>>,
    Path(release): Path<String>,
    headers: HeaderMap,
    request: Request,
) -> Answer {
    let (who, request): (_, WithdrawRequest) = (who(&headers), body::read(request).await?);
    words::check(&[("reason", request.reason.as_deref())])?;
    whole("withdraw", async move { app.control.withdraw(&who, &release, request).await }).await
}

pub(crate) async fn retire<C: Control>(
    State(app): State<App<C>>,
    Path(release): Path<String>,
    headers: HeaderMap,
    request: Request,
) -> Answer {
    let (who, request): (_, RetireRequest) = (who(&headers), body::read(request).await?);
    words::check(&[("reason", request.reason.as_deref())])?;
    whole("retire", async move { app.control.retire(&who, &release, request).await }).await
}

pub(crate) async fn preview<C: Control>(
    State(app): State<App<C>>,
    Path(release): Path<String>,
    headers: HeaderMap,
    request: Request,
) -> Answer {
    let (who, request): (_, PreviewRequest) = (who(&headers), body::read(request).await?);
    whole("preview", async move { app.control.preview(&who, &release, request).await }).await
}

pub(crate) async fn stage<C: Control>(
    State(app): State<App<C>>,
    headers: HeaderMap,
    request: Request,
) -> Answer {
    let (who, request): (_, StageRequest) = (who(&headers), body::read(request).await?);
    words::check(&[
        ("reason to skip the gates", request.skip_gates.as_deref()),
        ("strategy", request.strategy.as_deref()),
    ])?;
    let control = app.control;
    let accepted = app
        .operations
        .start("stage", |progress| async move { control.stage(&who, request, progress).await })?;
    Ok(answer::json(StatusCode::ACCEPTED, &accepted))
}

pub(crate) async fn deploy<C: Control>(
    State(app): State<App<C>>,
    headers: HeaderMap,
    request: Request,
) -> Answer {
    let (who, request): (_, StageRequest) = (who(&headers), body::read(request).await?);
    words::check(&[
        ("reason to skip the gates", request.skip_gates.as_deref()),
        ("strategy", request.strategy.as_deref()),
    ])?;
    let control = app.control;
    let accepted = app
        .operations
        .start("deploy", |progress| async move { control.deploy(&who, request, progress).await })?;
    Ok(answer::json(StatusCode::ACCEPTED, &accepted))
}

/// How to poll.
#[derive(Debug, Deserialize)]
pub(crate) struct Poll {
    after: Option<u64>,
    wait_ms: Option<u64>,
}

pub(crate) async fn operation<C: Control>(
    State(mut app): State<App<C>>,
    Path(id): Path<String>,
    poll: Result<Query<Poll>, QueryRejection>,
) -> Answer {
    let Query(poll) = poll.map_err(bad_query)?;
    let wait = Duration::from_millis(poll.wait_ms.unwrap_or(0));
    let after = poll.after.unwrap_or(0);
    tokio::select! {
        seen = app.operations.look(&id, after, wait) => ok(seen),
        () = closed(&mut app.closing) => ok(app.operations.look(&id, after, Duration::ZERO).await),
    }
}

pub(crate) async fn no_route(uri: Uri) -> Refusal {
    let error =
        Error::new(ErrorKind::NotFound, "CUT0653", format!("the control API has no route {:?}", uri.path()))
            .hint("GET /v1/openapi.json describes every route");
    error.into()
}

pub(crate) async fn no_method(method: http::Method, uri: Uri) -> Refusal {
    let message = format!("the control API has no {method} {:?}", uri.path());
    let error =
        Error::new(ErrorKind::Invalid, "CUT0653", message).hint("GET /v1/openapi.json describes every route");
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, error)
}

pub(crate) fn bad_query(why: QueryRejection) -> Refusal {
    let error = Error::new(ErrorKind::Invalid, "CUT0654", "cannot read the request")
        .because("its query is not what this route takes")
        .because(why.body_text())
        .hint("GET /v1/openapi.json describes every route");
    error.into()
}
