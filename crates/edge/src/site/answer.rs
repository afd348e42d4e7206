//! The answer to one request: which file, which encoding, which part of it.

use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::{
    Site, SiteAnswer, SiteBody, SiteRequest, SiteResponse,
    encoding::Accepted,
    precondition::{self, Outcome},
    range::{self, Selection},
    representation::{NO_STORE, NOSNIFF, Representation, Resource},
    resolve::{Target, is_hidden, looks_like_asset},
};

/// Everything but what RFC 3986 section 3.3 allows in a path as it is.
pub(crate) const ESCAPED_IN_PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'!')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b';')
    .remove(b'=')
    .remove(b':')
    .remove(b'@');

impl Site {
    /// Answers a request. Costs one look-up and one copy of a prepared header set; never reads a file.
    pub fn answer(&self, request: &SiteRequest<'_>) -> SiteAnswer {
        match self.find(request) {
            Found::Resource(resource) => SiteAnswer::Found(respond(resource, request)),
            Found::Directory if is_read(request.method) => SiteAnswer::Redirect(slash_added(request)),
            Found::Directory => SiteAnswer::Found(method_not_allowed(true, false)),
            Found::Nothing => SiteAnswer::Missing,
        }
    }

    fn find(&self, request: &SiteRequest<'_>) -> Found<'_> {
        match self.paths.find(request.path) {
            Some(Target::File(file)) => {
                let resource = &self.resources[file];
                if request.fingerprinted_only && !resource.fingerprinted {
                    return Found::Nothing;
                }
                Found::Resource(resource)
            }
            _ if request.fingerprinted_only => Found::Nothing,
            Some(Target::Alias(file)) => Found::Resource(&self.resources[file]),
            Some(Target::Directory) => Found::Directory,
            None => match self.fallback {
                Some(file)
                    if request.navigation
                        && is_read(request.method)
                        && !looks_like_asset(request.path)
                        && !is_hidden(request.path) =>
                {
                    Found::Resource(&self.resources[file])
                }
                _ => Found::Nothing,
            },
        }
    }
}

enum Found<'a> {
    Resource(&'a Resource),
    Directory,
    Nothing,
}

fn is_read(method: &Method) -> bool {
    method == Method::GET || method == Method::HEAD
}

fn slash_added(request: &SiteRequest<'_>) -> String {
    let mut target = utf8_percent_encode(request.path, ESCAPED_IN_PATH).to_string();
    target.push('/');
    if !request.query.is_empty() {
        target.push('?');
        target.push_str(request.query);
    }
    target
}

fn respond(resource: &Resource, request: &SiteRequest<'_>) -> SiteResponse {
    if !is_read(request.method) {
        return method_not_allowed(resource.html, resource.fingerprinted);
    }
    let chosen = match resource.representations.as_slice() {
        [only] => only,
        several => {
            let accepted = Accepted::from_headers(request.headers);
            &several[accepted.choose(several.iter().map(|representation| representation.encoding))]
        }
    };
    let (status, headers, body) = render(chosen, request);
    let body = if request.method == Method::HEAD { SiteBody::Empty } else { body };
    SiteResponse { status, headers, body, html: resource.html, fingerprinted: resource.fingerprinted }
}

fn render(chosen: &Representation, request: &SiteRequest<'_>) -> (StatusCode, HeaderMap, SiteBody) {
    if !request.strip_conditionals {
        match precondition::evaluate(request.headers, chosen.etag()) {
            Outcome::Proceed => {}
            Outcome::NotModified => {
                return (StatusCode::NOT_MODIFIED, chosen.not_modified.clone(), SiteBody::Empty);
            }
            Outcome::Failed => return (StatusCode::PRECONDITION_FAILED, refusal_headers(), SiteBody::Empty),
        }
    }
    // Ranges are defined for GET only (RFC 9110 section 14.2). They stay valid where conditionals are stripped: with
    // `If-Range` they are safe by themselves, and without it the client wants bytes of whatever is there.
    let selection =
        if request.method == Method::GET && precondition::range_applies(request.headers, chosen.etag()) {
            range::select(request.headers, chosen.size)
        } else {
            Selection::Whole
        };
    match selection {
        Selection::Whole => (StatusCode::OK, chosen.whole.clone(), chosen.part(0, chosen.size)),
        Selection::Part { first, len } => {
            let mut headers = chosen.whole.clone();
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(len));
            insert_text(
                &mut headers,
                header::CONTENT_RANGE,
                format!("bytes {first}-{}/{}", first + len - 1, chosen.size),
            );
            (StatusCode::PARTIAL_CONTENT, headers, chosen.part(first, len))
        }
        Selection::Unsatisfiable => {
            let mut headers = refusal_headers();
            insert_text(&mut headers, header::CONTENT_RANGE, format!("bytes */{}", chosen.size));
            (StatusCode::RANGE_NOT_SATISFIABLE, headers, SiteBody::Empty)
        }
    }
}

fn method_not_allowed(html: bool, fingerprinted: bool) -> SiteResponse {
    let mut headers = refusal_headers();
    headers.insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
    SiteResponse {
        status: StatusCode::METHOD_NOT_ALLOWED,
        headers,
        body: SiteBody::Empty,
        html,
        fingerprinted,
    }
}

fn refusal_headers() -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(4);
    headers.insert(header::CACHE_CONTROL, NO_STORE);
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(0));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, NOSNIFF);
    headers
}

/// Numbers and ASCII words are always valid header values; nothing is added should that ever be untrue.
fn insert_text(headers: &mut HeaderMap, name: header::HeaderName, text: String) {
    if let Ok(value) = HeaderValue::try_from(text) {
        headers.insert(name, value);
    }
}
