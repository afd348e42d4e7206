//! The routes about rollouts: words to the open one, plans, and what became of earlier ones.

use axum::{
    extract::{Path, Query, Request, State, rejection::QueryRejection},
    response::Response,
};
use cutover_engine::{
    Control, Error, ErrorKind,
    control::{ApproveRequest, PauseRequest, PlanRequest},
};
use http::HeaderMap;

use crate::{
    answer::Refusal,
    body,
    guard::who,
    handlers::{Answer, App, Limit, bad_query, ok, whole},
    words,
};

/// Longest id or name of a rollout that is looked for.
const LONGEST_NAME: usize = 128;

pub(crate) async fn pause<C: Control>(
    State(app): State<App<C>>,
    headers: HeaderMap,
    request: Request,
) -> Answer {
    let (who, request) = (who(&headers), reason(request).await?);
    whole("pause", async move { app.control.pause(&who, request).await }).await
}

pub(crate) async fn resume<C: Control>(
    State(app): State<App<C>>,
    headers: HeaderMap,
    request: Request,
) -> Answer {
    let (who, request) = (who(&headers), reason(request).await?);
    whole("resume", async move { app.control.resume(&who, request).await }).await
}

async fn reason(request: Request) -> Result<PauseRequest, Refusal> {
    let request: PauseRequest = body::read(request).await?;
    words::check(&[("reason", request.reason.as_deref())])?;
    Ok(request)
}

pub(crate) async fn approve<C: Control>(
    State(app): State<App<C>>,
    headers: HeaderMap,
    request: Request,
) -> Answer {
    let (who, request): (_, ApproveRequest) = (who(&headers), body::read(request).await?);
    words::check(&[("gate", request.gate.as_deref()), ("reason", request.reason.as_deref())])?;
    if request.reject && request.reason.is_none() {
        let error = Error::new(ErrorKind::Invalid, "CUT0654", "cannot read the request")
            .because("it says no to a gate without saying why")
            .hint("give a reason; it is recorded with the rollback that follows");
        return Err(error.into());
    }
    whole("approve", async move { app.control.approve(&who, request).await }).await
}

pub(crate) async fn plan<C: Control>(State(app): State<App<C>>, request: Request) -> Answer {
    let request: PlanRequest = body::read(request).await?;
    words::check(&[("release", request.release.as_deref()), ("strategy", request.strategy.as_deref())])?;
    ok(app.control.plan(request).await)
}

pub(crate) async fn rollouts<C: Control>(
    State(app): State<App<C>>,
    limit: Result<Query<Limit>, QueryRejection>,
) -> Answer {
    let Query(limit) = limit.map_err(bad_query)?;
    ok(app.control.rollouts(limit.or(20, 100)).await)
}

pub(crate) async fn explain<C: Control>(
    State(app): State<App<C>>,
    Path(rollout): Path<String>,
) -> Result<Response, Refusal> {
    words::check(&[("rollout", Some(&rollout))])?;
    if rollout.len() > LONGEST_NAME {
        let error = Error::new(ErrorKind::Invalid, "CUT0654", "cannot read the request")
            .because(format!("no rollout has an id of more than {LONGEST_NAME} characters"))
            .hint("GET /v1/rollouts lists them");
        return Err(error.into());
    }
    ok(app.control.explain_rollout(&rollout).await)
}
