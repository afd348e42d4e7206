//! Request bodies: JSON of bounded size that arrives in bounded time.

use std::{fmt::Display, time::Duration};

use axum::extract::Request;
use cutover_engine::{Error, ErrorKind};
use http::{StatusCode, header};
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::answer::Refusal;

/// The largest request there is reason for is a path with a few labels.
pub(crate) const LARGEST: usize = 64 * 1024;

/// How long a body may take to arrive.
const ARRIVAL: Duration = Duration::from_secs(10);

/// Reads a JSON body; no body at all is `{}`. Only an object is a request: of a list, fields would be taken by position.
pub(crate) async fn read<T: DeserializeOwned>(request: Request) -> Result<T, Refusal> {
    let json = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).is_some_and(
        |value| value.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json"),
    );
    let arriving = axum::body::to_bytes(request.into_body(), LARGEST);
    let bytes = match tokio::time::timeout(ARRIVAL, arriving).await {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(why)) => {
            let error = unreadable("its body is longer than 64 KiB or broke off").because(why);
            return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, error));
        }
        Err(_) => {
            let error = unreadable("its body did not arrive within 10 s");
            return Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, error));
        }
    };
    if bytes.is_empty() {
        return parse(b"{}");
    }
    if !json {
        let error =
            unreadable("its body is not declared as JSON").hint("send `Content-Type: application/json`");
        return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, error));
    }
    parse(&bytes)
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Refusal> {
    if bytes.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
        // What is no JSON at all is told as that.
        serde_json::from_slice::<IgnoredAny>(bytes).map_err(unusual)?;
        return Err(refused("a request is an object, in { and }"));
    }
    serde_json::from_slice(bytes).map_err(unusual)
}

fn unusual(why: serde_json::Error) -> Refusal {
    let data = why.is_data();
    let mut refusal = refused(why);
    if !data {
        refusal.status = StatusCode::BAD_REQUEST;
    }
    refusal
}

fn refused(why: impl Display) -> Refusal {
    let error = unreadable("its body is not the JSON this route takes")
        .because(why)
        .hint("GET /v1/openapi.json describes every route");
    Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, error)
}

fn unreadable(why: &str) -> Error {
    Error::new(ErrorKind::Invalid, "CUT0654", "cannot read the request").because(why)
}
