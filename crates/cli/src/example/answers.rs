//! What every answer of the shop's service shares: how a refusal looks, cookies, and that nothing is stored.

use axum::{
    Json,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::json;

use super::sessions::SessionId;

/// The cookie that names a session.
const SESSION: &str = "shop_session";
/// How long a session lasts, in seconds.
const SESSION_LASTS: u32 = 30 * 24 * 3600;

/// A refusal, with a sentence for the visitor.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    message: String,
}

impl Problem {
    /// A refusal with this status.
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }
}

impl From<std::io::Error> for Problem {
    fn from(error: std::io::Error) -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("the shop cannot reach its data: {}", error.kind()),
        )
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        (self.status, Json(json!({ "error": self.message }))).into_response()
    }
}

/// Marks an answer as one that no cache keeps.
pub(crate) async fn not_stored(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The value of a cookie, the first where there are several of its name.
pub(crate) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(key, value)| (key == name).then_some(value))
}

/// The session a request names, whether or not it exists.
pub(crate) fn session_id(headers: &HeaderMap) -> Option<SessionId> {
    SessionId::parse(cookie(headers, SESSION)?)
}

/// Makes the browser keep a session's name.
pub(crate) fn set_session(response: &mut Response, id: &SessionId) {
    set_cookie(response, SESSION, id.as_str(), SESSION_LASTS);
}

/// Makes the browser keep a value for so many seconds; 0 makes it forget. The value must be letters and digits.
pub(crate) fn set_cookie(response: &mut Response, name: &str, value: &str, seconds: u32) {
    let text = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={seconds}");
    if let Ok(value) = HeaderValue::from_str(&text) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_are_found_among_others_and_in_several_headers() {
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, HeaderValue::from_static("a=1;  b=2=3; =; novalue"));
        headers.append(header::COOKIE, HeaderValue::from_bytes(b"c=\xff").unwrap());
        headers.append(header::COOKIE, HeaderValue::from_static("d=4"));
        let found = |name| cookie(&headers, name);
        assert_eq!((found("a"), found("b"), found("d")), (Some("1"), Some("2=3"), Some("4")));
        assert_eq!((found("c"), found("novalue")), (None, None));
        assert_eq!(session_id(&headers), None);
    }
}
