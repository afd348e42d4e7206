//! Answers: JSON, never cached, and errors in one form.

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use cutover_engine::{Error, ErrorKind};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

/// An error and the status it is answered with.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) error: Error,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, error: Error) -> Self {
        Self { status, error }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self { status: status_of(error.kind), error }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = json(self.status, &self.error);
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// The status that goes with a kind of error.
pub(crate) fn status_of(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::Refused => StatusCode::CONFLICT,
        ErrorKind::Failed => StatusCode::FAILED_DEPENDENCY,
        ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// An answer in JSON.
pub(crate) fn json<T: Serialize>(status: StatusCode, value: &T) -> Response {
    match serde_json::to_vec(value) {
        Ok(bytes) => with(status, "application/json", bytes),
        Err(why) => {
            tracing::error!(%why, "an answer of the control API cannot be written as JSON");
            with(StatusCode::INTERNAL_SERVER_ERROR, "application/json", b"{}".to_vec())
        }
    }
}

/// An answer of a type.
pub(crate) fn with(status: StatusCode, content_type: &'static str, bytes: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
