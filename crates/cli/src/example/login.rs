//! Logging in the way real shops do: away to an identity provider, and back to an address that only the release that
//! sent the visitor away can complete, because it alone remembers why. That makes the flow a test of a switch in the
//! middle of it; the shop names the return address in `routing.keep`.

use std::{
    collections::HashMap,
    sync::Mutex,
    time::{Duration, Instant},
};

use axum::{
    extract::{Query, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Response},
};
use serde::Deserialize;

use super::{
    answers::{Problem, cookie, session_id, set_cookie, set_session},
    api::Shop,
    sessions::{SessionId, random_hex},
};

/// The most logins under way; further ones are refused until some end or expire.
const MOST: usize = 1_000;
/// How long a visitor may stay at the identity provider.
const PATIENCE: Duration = Duration::from_secs(600);
/// Where a visitor goes who did not say.
const HOME: &str = "/account";
/// Binds the return to the browser that left.
const COOKIE: &str = "shop_login";

/// Logins under way: state to where the visitor wants to be and when they left.
#[derive(Debug, Default)]
pub(crate) struct Logins {
    open: Mutex<HashMap<String, (String, Instant)>>,
}

impl Logins {
    fn begin(&self, to: String) -> Result<String, Problem> {
        let state = random_hex(16).map_err(std::io::Error::other)?;
        let mut open = self.open.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        open.retain(|_, (_, since)| since.elapsed() < PATIENCE);
        if open.len() >= MOST {
            return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too many people are logging in"));
        }
        open.insert(state.clone(), (to, Instant::now()));
        Ok(state)
    }

    fn end(&self, state: &str) -> Option<String> {
        let mut open = self.open.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let (to, since) = open.remove(state)?;
        (since.elapsed() < PATIENCE).then_some(to)
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct Leave {
    #[serde(default)]
    to: String,
}

/// `GET /api/login?to=/checkout`: remembers where to return to, and leaves.
pub(crate) async fn login(State(shop): State<Shop>, Query(leave): Query<Leave>) -> Result<Response, Problem> {
    let to = if is_local(&leave.to) { leave.to } else { HOME.to_owned() };
    let state = shop.logins.begin(to)?;
    let mut response = see_other(&format!("/api/identity?state={state}"))?;
    set_cookie(&mut response, COOKIE, &state, 600);
    Ok(response)
}

#[derive(Debug, Deserialize)]
pub(crate) struct Identify {
    #[serde(default)]
    state: String,
}

/// `GET /api/identity?state=...`: stands for the identity provider, which is somebody else's site.
pub(crate) async fn identity(Query(identify): Query<Identify>) -> Response {
    // It goes into markup; anything but a state of ours is left out.
    let state = SessionId::parse(&identify.state);
    let state = state.as_ref().map_or("", SessionId::as_str);
    page(
        StatusCode::OK,
        "Example identity",
        &format!(
            "<form action=\"/callback\"><input type=\"hidden\" name=\"state\" value=\"{state}\">\
             <p><label>Your name <input name=\"name\" value=\"Ada\" maxlength=\"40\" autocomplete=\"off\"></label></p>\
             <p><button>Continue</button></p></form>"
        ),
    )
}

#[derive(Debug, Deserialize)]
pub(crate) struct Return {
    #[serde(default)]
    state: String,
    #[serde(default)]
    name: String,
}

/// `GET /callback?state=...&name=...`: completes the login where the state is one this release gave this browser.
pub(crate) async fn callback(
    State(shop): State<Shop>,
    headers: HeaderMap,
    Query(back): Query<Return>,
) -> Result<Response, Problem> {
    let ours = cookie(&headers, COOKIE).is_some_and(|kept| kept == back.state);
    let Some(to) = ours.then(|| shop.logins.end(&back.state)).flatten() else {
        return Ok(page(
            StatusCode::BAD_REQUEST,
            "This login was not started here",
            "<p>It may have expired. <a href=\"/account\">Back to the shop</a></p>",
        ));
    };
    let name: String = back.name.chars().filter(|c| !c.is_control()).take(40).collect();
    let name = if name.trim().is_empty() { "Guest".to_owned() } else { name.trim().to_owned() };
    // A new name for the session: whoever knew the old one is not logged in by it.
    let changed = shop.sessions.change(session_id(&headers), true, |session| {
        session.name = Some(name);
        Ok::<_, Problem>(())
    });
    let (id, _, ()) = changed.await?;
    let mut response = see_other(&to)?;
    set_session(&mut response, &id);
    set_cookie(&mut response, COOKIE, "", 0);
    Ok(response)
}

/// True for a path on this host, in characters that cannot be taken for anything else.
fn is_local(to: &str) -> bool {
    to.starts_with('/')
        && !to.starts_with("//")
        && to.len() <= 200
        && to.bytes().all(|b| b.is_ascii_alphanumeric() || b"/-_.?=&".contains(&b))
}

fn see_other(to: &str) -> Result<Response, Problem> {
    let to = HeaderValue::from_str(to)
        .map_err(|_| Problem::new(StatusCode::BAD_REQUEST, "the address to return to cannot be used"))?;
    Ok((StatusCode::SEE_OTHER, [(header::LOCATION, to)]).into_response())
}

fn page(status: StatusCode, title: &str, body: &str) -> Response {
    let text = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width, initial-scale=1\"><link rel=\"icon\" href=\"data:,\"><title>{title}</title><h1>{title}</h1>{body}</html>"
    );
    let policy =
        "default-src 'none'; img-src data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";
    let mut response = (status, Html(text)).into_response();
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_this_host_are_returned_to() {
        for local in ["/", "/checkout", "/product/mug?from=list"] {
            assert!(is_local(local), "{local}");
        }
        for foreign in
            ["", "//evil.example", "/\\evil", "https://evil.example/", "/a\r\nset-cookie: x", "/%2f"]
        {
            assert!(!is_local(foreign), "{foreign}");
        }
    }

    #[test]
    fn a_login_ends_once() {
        let logins = Logins::default();
        let state = logins.begin("/checkout".into()).unwrap();
        assert_eq!(logins.end(&state).as_deref(), Some("/checkout"));
        assert_eq!(logins.end(&state), None);
    }

    #[test]
    fn logins_under_way_are_bounded() {
        let logins = Logins::default();
        for _ in 0..MOST {
            logins.begin("/".into()).unwrap();
        }
        assert!(logins.begin("/".into()).is_err());
    }
}
