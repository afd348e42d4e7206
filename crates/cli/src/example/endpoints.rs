//! The shop's endpoints, the login apart.

use std::{convert::Infallible, time::Duration};

use axum::{
    Json,
    extract::{Path, Query, State, rejection::JsonRejection},
    http::{HeaderMap, StatusCode},
    response::{
        IntoResponse, Response,
        sse::{Event, Sse},
    },
};
use futures_util::{Stream, stream};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    answers::{Problem, session_id, set_session},
    api::Shop,
    sessions::{MOST_OF_ONE, MOST_ORDERS, Order, Session, random_hex},
    view::{Shape, known_lines, total},
};

/// The longest that `/api/slow` waits, in milliseconds.
const LONGEST_WAIT: u64 = 30_000;
/// Time between two pieces of news of an order.
const NEWS_EVERY: Duration = Duration::from_millis(600);
/// Steps of an order's way, counted from 0.
const STEPS: u32 = 4;
/// The most ticks of one stream: an hour of them. A browser asks again by itself.
const MOST_TICKS: u32 = 6_000;

/// `GET /api/version`
pub(crate) async fn version(State(shop): State<Shop>) -> Json<Value> {
    Json(json!({ "shape": shop.shape.number(), "variant": shop.variant.word(), "release": shop.release }))
}

/// `GET /api/products`
pub(crate) async fn products(State(shop): State<Shop>) -> Json<Value> {
    Json(shop.shape.products(&shop.catalogue))
}

/// `GET /api/products/{id}`
pub(crate) async fn product(
    State(shop): State<Shop>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    match shop.catalogue.find(&id) {
        Some(product) => Ok(Json(shop.shape.product(product))),
        None => Err(Problem::new(StatusCode::NOT_FOUND, "the shop does not sell this")),
    }
}

/// `GET /api/cart`
pub(crate) async fn cart(State(shop): State<Shop>, headers: HeaderMap) -> Result<Json<Value>, Problem> {
    Ok(Json(shop.shape.cart(&current(&shop, &headers).await?, &shop.catalogue)))
}

/// `POST /api/cart`: sets how many of one product are in the basket. The body is the release's own:
/// `{product, quantity}` or `{item: {id, quantity}}`.
pub(crate) async fn set_line(
    State(shop): State<Shop>,
    headers: HeaderMap,
    body: Result<Json<Value>, JsonRejection>,
) -> Result<Response, Problem> {
    let Json(body) = body.map_err(|rejection| Problem::new(rejection.status(), rejection.body_text()))?;
    let (line, name) = match shop.shape {
        Shape::Numbers => (&body, "product"),
        Shape::Amounts => (&body["item"], "id"),
    };
    let wrong = |what: &str| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, what);
    let product = line[name].as_str().ok_or_else(|| wrong("the product is missing"))?;
    let product = shop.catalogue.find(product).ok_or_else(|| wrong("the shop does not sell this"))?;
    let quantity = line["quantity"]
        .as_u64()
        .and_then(|quantity| u32::try_from(quantity).ok())
        .filter(|quantity| *quantity <= MOST_OF_ONE)
        .ok_or_else(|| wrong("the quantity must be a number from 0 to 99"))?;
    let change = shop.sessions.change(session_id(&headers), false, |session| {
        session.set_line(&product.id, quantity);
        Ok::<_, Problem>(())
    });
    let (id, session, ()) = change.await?;
    let mut response = Json(shop.shape.cart(&session, &shop.catalogue)).into_response();
    set_session(&mut response, &id);
    Ok(response)
}

/// `POST /api/orders`: orders what is in the basket, for whoever is logged in.
pub(crate) async fn order(State(shop): State<Shop>, headers: HeaderMap) -> Result<Response, Problem> {
    let change = shop.sessions.change(session_id(&headers), false, |session| {
        if session.name.is_none() {
            return Err(Problem::new(StatusCode::UNAUTHORIZED, "log in to order"));
        }
        let lines = known_lines(session, &shop.catalogue);
        if lines.is_empty() {
            return Err(Problem::new(StatusCode::CONFLICT, "the basket is empty"));
        }
        let order = Order {
            id: random_hex(5).map_err(std::io::Error::other)?,
            count: lines.iter().map(|(line, _)| line.quantity).sum(),
            cents: total(&lines),
        };
        session.lines.clear();
        if session.orders.len() >= MOST_ORDERS {
            session.orders.remove(0);
        }
        session.orders.push(order.clone());
        Ok(order)
    });
    let (_, _, order) = change.await?;
    let body = json!({ "shape": shop.shape.number(), "order": shop.shape.order(&order) });
    Ok((StatusCode::CREATED, Json(body)).into_response())
}

/// `GET /api/orders`
pub(crate) async fn orders(State(shop): State<Shop>, headers: HeaderMap) -> Result<Json<Value>, Problem> {
    let session = current(&shop, &headers).await?;
    let orders: Vec<_> = session.orders.iter().map(|order| shop.shape.order(order)).collect();
    Ok(Json(json!({ "shape": shop.shape.number(), "orders": orders })))
}

/// `GET /api/me`
pub(crate) async fn me(State(shop): State<Shop>, headers: HeaderMap) -> Result<Json<Value>, Problem> {
    let session = current(&shop, &headers).await?;
    Ok(Json(json!({ "shape": shop.shape.number(), "name": session.name })))
}

/// `POST /api/logout`
pub(crate) async fn logout(State(shop): State<Shop>, headers: HeaderMap) -> Result<Response, Problem> {
    let change = shop.sessions.change(session_id(&headers), true, |session| {
        *session = Session::default();
        Ok::<_, Problem>(())
    });
    let (id, _, ()) = change.await?;
    let mut response = Json(json!({ "shape": shop.shape.number() })).into_response();
    set_session(&mut response, &id);
    Ok(response)
}

/// The session of a request; a visitor without one has an empty one.
async fn current(shop: &Shop, headers: &HeaderMap) -> Result<Session, Problem> {
    match session_id(headers) {
        Some(id) => Ok(shop.sessions.load(&id).await?.unwrap_or_default()),
        None => Ok(Session::default()),
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct Wait {
    /// Milliseconds.
    #[serde(default)]
    ms: u64,
}

/// `GET /api/slow?ms=...`: answers after that time.
pub(crate) async fn slow(State(shop): State<Shop>, Query(wait): Query<Wait>) -> Json<Value> {
    let ms = wait.ms.min(LONGEST_WAIT);
    tokio::time::sleep(Duration::from_millis(ms)).await;
    Json(json!({ "shape": shop.shape.number(), "release": shop.release, "waited": ms }))
}

#[derive(Debug, Deserialize)]
pub(crate) struct News {
    order: Option<String>,
}

/// `GET /api/events?order=...`: an order's way, step by step; without an order a tick now and then. A browser that
/// lost the stream goes on after the last piece of news it got. Ends when the process is asked to.
pub(crate) async fn events(
    State(shop): State<Shop>,
    Query(news): Query<News>,
    headers: HeaderMap,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let (name, end) = if news.order.is_some() { ("progress", STEPS) } else { ("tick", MOST_TICKS) };
    let last =
        headers.get("last-event-id").and_then(|id| id.to_str().ok()).and_then(|id| id.parse::<u32>().ok());
    let first = last.map_or(0, |last| last.saturating_add(1));
    let ending = shop.ending.clone();
    Sse::new(stream::unfold((first, ending), move |(step, mut ending)| async move {
        if step >= end {
            return None;
        }
        if step > 0 {
            tokio::select! {
                () = tokio::time::sleep(NEWS_EVERY) => {}
                _ = ending.wait_for(|ending| *ending) => return None,
            }
        }
        let event = Event::default().event(name).id(step.to_string()).data(format!("{{\"step\":{step}}}"));
        Some((Ok(event), (step + 1, ending)))
    }))
}
