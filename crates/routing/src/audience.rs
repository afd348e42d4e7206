//! Who belongs to an audience.

use std::borrow::Cow;

use crate::{Condition, Headers, Request, cookie::first_cookie};

impl Condition {
    /// True where the request belongs. Country and address count only where the edge knows them, which is its business
    /// and that of its trusted proxies.
    pub fn holds<H: Headers + ?Sized>(&self, request: &Request<'_, H>) -> bool {
        match self {
            Self::Path(pattern) => pattern.matches(request.path),
            Self::Header { name, value } => {
                request.headers.get(&lower(name)).is_some_and(|have| fits(have, value.as_deref()))
            }
            Self::Cookie { name, value } => first_cookie(request.headers, name, |have| {
                value.as_ref().is_none_or(|wanted| wanted.as_bytes() == have)
            }),
            Self::Query { name, value } => {
                first_parameter(request.query, name).is_some_and(|have| fits(have, value.as_deref()))
            }
            Self::Country(countries) => request
                .country
                .is_some_and(|country| countries.iter().any(|listed| listed.eq_ignore_ascii_case(country))),
            Self::Cidr(networks) => request.client.is_some_and(|client| {
                // A dual-stack socket reports IPv4 peers as mapped IPv6 addresses.
                let client = client.to_canonical();
                networks.iter().any(|network| network.contains(&client))
            }),
        }
    }
}

fn fits(have: &str, wanted: Option<&str>) -> bool {
    wanted.is_none_or(|wanted| wanted == have)
}

/// The first query parameter of a name, as it is on the wire: nothing is decoded. One without `=` has an empty value.
fn first_parameter<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (key == name && !pair.is_empty()).then_some(value)
    })
}

fn lower(name: &str) -> Cow<'_, str> {
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(name.to_ascii_lowercase())
    } else {
        Cow::Borrowed(name)
    }
}
