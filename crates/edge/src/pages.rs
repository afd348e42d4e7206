//! What the edge says itself: outage, refusals, ended previews.
//!
//! Pages for people who navigate, JSON for everything else. All of it is plain, without scripts, `no-store`.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};

use crate::{body::Body, options::Outage};

const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
pub(crate) const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// The outage page, rendered when it is set.
pub(crate) struct OutagePage {
    html: Bytes,
    json: Bytes,
    retry_after: HeaderValue,
}

impl OutagePage {
    pub(crate) fn new(outage: &Outage) -> Self {
        let contacts: String =
            outage.contacts.iter().map(|contact| format!("<li>{}</li>\n", link(contact))).collect();
        let list = if contacts.is_empty() { String::new() } else { format!("<ul>\n{contacts}</ul>\n") };
        let json = serde_json::json!({
            "error": "outage",
            "message": outage.message,
            "contacts": outage.contacts,
            "retry_after": outage.retry_after,
        });
        Self {
            html: html("Temporarily unavailable", &format!("<p>{}</p>\n{list}", escape(&outage.message))),
            json: json.to_string().into(),
            retry_after: HeaderValue::from(outage.retry_after),
        }
    }

    /// 503 with the configured message.
    pub(crate) fn answer(&self, page: bool) -> Response<Body> {
        let body = if page { &self.html } else { &self.json };
        let mut response = own(StatusCode::SERVICE_UNAVAILABLE, if page { HTML } else { JSON }, body.clone());
        response.headers_mut().insert(header::RETRY_AFTER, self.retry_after.clone());
        response
    }
}

/// An answer of the edge's own: a page where one is wanted, else JSON.
pub(crate) fn say(page: bool, status: StatusCode, error: &'static str, message: &str) -> Response<Body> {
    if page {
        let title = status.canonical_reason().unwrap_or("Error");
        own(status, HTML, html(title, &format!("<p>{}</p>\n", escape(message))))
    } else {
        let json = serde_json::json!({ "error": error, "message": message });
        own(status, JSON, json.to_string().into())
    }
}

/// An answer in plain text.
pub(crate) fn text(status: StatusCode, message: &str) -> Response<Body> {
    own(status, HeaderValue::from_static("text/plain; charset=utf-8"), Bytes::from(format!("{message}\n")))
}

/// JSON as it is.
pub(crate) fn json(body: Bytes) -> Response<Body> {
    own(StatusCode::OK, JSON, body)
}

fn own(status: StatusCode, kind: HeaderValue, body: Bytes) -> Response<Body> {
    let mut response = Response::new(Body::bytes(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, kind);
    headers.insert(header::CACHE_CONTROL, NO_STORE);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

fn html(title: &str, inner: &str) -> Bytes {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n\
         <link rel=\"icon\" href=\"data:,\">\n\
         <style>body{{font:1.1em/1.5 system-ui,sans-serif;max-width:36em;margin:15vh auto;padding:0 1em}}</style>\n\
         </head>\n<body>\n<h1>{title}</h1>\n{inner}</body>\n</html>\n"
    )
    .into()
}

fn link(contact: &str) -> String {
    let text = escape(contact);
    let known = ["https://", "http://", "mailto:", "tel:"].iter().any(|scheme| contact.starts_with(scheme));
    if known { format!("<a href=\"{text}\">{text}</a>") } else { text }
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configured_text_cannot_break_out_of_the_page() {
        let outage = Outage {
            message: "<script>alert(1)</script>".into(),
            contacts: vec!["https://status.example/\"onclick=x".into(), "javascript:alert(1)".into()],
            retry_after: 5,
        };
        let page = String::from_utf8(OutagePage::new(&outage).html.to_vec()).unwrap();
        assert!(!page.contains("<script>") && !page.contains("href=\"javascript:"), "{page}");
        assert!(page.contains("href=\"https://status.example/&quot;onclick=x\""), "{page}");
    }
}
