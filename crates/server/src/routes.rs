//! The one table of routes, from which both the router and its description are made.

use axum::{
    Router,
    routing::{MethodRouter, get, post},
};
use cutover_engine::{
    Control, Table,
    control::{
        ApproveRequest, ExplainReport, ExplainRequest, HistoryEntry, PauseRequest, PlanReport, PlanRequest,
        PreviewReport, PreviewRequest, PromoteRequest, Release, RetireReport, RetireRequest, RollbackRequest,
        RolloutReport, RolloutStory, RolloutView, StageRequest, Status, SwitchReport, WithdrawRequest,
    },
};
use schemars::{JsonSchema, Schema, SchemaGenerator};

use crate::{
    events,
    handlers::{self as h, App},
    operations::{Accepted, Operation},
    rollouts as r,
};

/// How a schema is made.
pub(crate) type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// What a route answers when all is well.
pub(crate) enum Answers {
    /// 200 and JSON.
    Json(SchemaOf),
    /// 202 and where to watch the operation.
    Accepted(SchemaOf),
    /// 200 and a text of this type.
    Text(&'static str),
}

/// One route.
pub(crate) struct Route<C> {
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    pub(crate) id: &'static str,
    pub(crate) summary: &'static str,
    /// Name and meaning of each number in the query.
    pub(crate) query: &'static [(&'static str, &'static str)],
    pub(crate) request: Option<SchemaOf>,
    pub(crate) answers: Answers,
    handler: MethodRouter<App<C>>,
}

fn schema<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// A route that reads.
fn read<C: Control>(
    path: &'static str,
    id: &'static str,
    summary: &'static str,
    answers: Answers,
    handler: MethodRouter<App<C>>,
) -> Route<C> {
    Route { method: "get", path, id, summary, query: &[], request: None, answers, handler }
}

/// A route that does something.
fn act<C: Control, T: JsonSchema>(
    path: &'static str,
    id: &'static str,
    summary: &'static str,
    answers: Answers,
    handler: MethodRouter<App<C>>,
) -> Route<C> {
    Route { method: "post", path, id, summary, query: &[], request: Some(schema::<T>), answers, handler }
}

/// All routes.
pub(crate) fn routes<C: Control>() -> Vec<Route<C>> {
    use Answers::{Accepted as Started, Json, Text};
    let switch = || Json(schema::<SwitchReport>);
    let rollout = || Json(schema::<RolloutReport>);
    vec![
        read("/v1/status", "status", "What is going on now.", Json(schema::<Status>), get(h::status)),
        read(
            "/v1/releases",
            "releases",
            "All releases that were ever staged and not yet forgotten, newest first.",
            Json(schema::<Vec<Release>>),
            get(h::releases),
        ),
        Route {
            query: &[("limit", "At most so many entries; 50 where nothing is said, at most 1000.")],
            ..read(
                "/v1/history",
                "history",
                "What happened, newest first.",
                Json(schema::<Vec<HistoryEntry>>),
                get(h::history),
            )
        },
        read("/v1/table", "table", "The routing table as published.", Json(schema::<Table>), get(h::table)),
        Route {
            query: &[("after", "Go on after this sequence, as the header Last-Event-ID does.")],
            ..read(
                "/v1/events",
                "events",
                "History entries as they happen: events `history`, the id is the sequence, the data the entry.",
                Text("text/event-stream"),
                get(events::events),
            )
        },
        act::<C, StageRequest>(
            "/v1/stage",
            "stage",
            "Builds a release from an app description; ends with a StageReport.",
            Started(schema::<Accepted>),
            post(h::stage),
        ),
        act::<C, StageRequest>(
            "/v1/deploy",
            "deploy",
            "Stages and begins the rollout; ends with a DeployReport once the rollout first rests.",
            Started(schema::<Accepted>),
            post(h::deploy),
        ),
        Route {
            query: &[
                ("after", "Lines of progress already seen: the `next` of the last answer."),
                ("wait_ms", "Wait so long for news, at most 30000."),
            ],
            ..read(
                "/v1/operations/{id}",
                "operation",
                "An operation that was started; finished ones are kept for an hour.",
                Json(schema::<Operation>),
                get(h::operation),
            )
        },
        act::<C, PromoteRequest>(
            "/v1/promote",
            "promote",
            "Makes a release the default; without one lets the open rollout go on to its next step.",
            switch(),
            post(h::promote),
        ),
        act::<C, RollbackRequest>(
            "/v1/rollback",
            "rollback",
            "Goes back to the release that was active before: from any step, and after the promotion.",
            switch(),
            post(h::rollback),
        ),
        act::<C, PauseRequest>(
            "/v1/pause",
            "pause",
            "Stops the open rollout where it is until it is resumed.",
            rollout(),
            post(r::pause),
        ),
        act::<C, PauseRequest>(
            "/v1/resume",
            "resume",
            "Lets the open rollout go on: ends a pause, and gives what is held another try.",
            rollout(),
            post(r::resume),
        ),
        act::<C, ApproveRequest>(
            "/v1/approve",
            "approve",
            "Answers a gate that asks a person.",
            rollout(),
            post(r::approve),
        ),
        act::<C, PlanRequest>(
            "/v1/plan",
            "plan",
            "Says what a deployment would do, step by step; changes nothing.",
            Json(schema::<PlanReport>),
            post(r::plan),
        ),
        Route {
            query: &[("limit", "At most so many rollouts; 20 where nothing is said, at most 100.")],
            ..read(
                "/v1/rollouts",
                "rollouts",
                "The newest rollouts, newest first.",
                Json(schema::<Vec<RolloutView>>),
                get(r::rollouts),
            )
        },
        read(
            "/v1/rollouts/{rollout}",
            "explain-rollout",
            "Everything about one rollout, by its id or by its green release.",
            Json(schema::<RolloutStory>),
            get(r::explain),
        ),
        act::<C, WithdrawRequest>(
            "/v1/releases/{release}/withdraw",
            "withdraw",
            "Closes a release for everybody and bars it from promotion.",
            switch(),
            post(h::withdraw),
        ),
        act::<C, RetireRequest>(
            "/v1/releases/{release}/retire",
            "retire",
            "Ends a release's services and removes what only it needs.",
            Json(schema::<RetireReport>),
            post(h::retire),
        ),
        act::<C, PreviewRequest>(
            "/v1/releases/{release}/preview",
            "preview",
            "Makes a link that shows one retained release on the real host.",
            Json(schema::<PreviewReport>),
            post(h::preview),
        ),
        act::<C, ExplainRequest>(
            "/v1/explain/request",
            "explain-request",
            "Runs the routing decision on a described request and says which rule chose.",
            Json(schema::<ExplainReport>),
            post(h::explain_request),
        ),
        read("/v1/openapi.json", "openapi", "This description.", Text("application/json"), get(h::openapi)),
        read(
            "/metrics",
            "metrics",
            "Metrics of the data plane and the controller, Prometheus text.",
            Text("text/plain"),
            get(h::metrics),
        ),
    ]
}

/// The router over them.
pub(crate) fn router<C: Control>(app: App<C>) -> Router {
    let mut router = Router::new();
    for route in routes::<C>() {
        router = router.route(route.path, route.handler);
    }
    router.fallback(h::no_route).method_not_allowed_fallback(h::no_method).with_state(app)
}
