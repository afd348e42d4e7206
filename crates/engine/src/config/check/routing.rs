//! `[routing]`.

use cutover_routing::{AudienceRule, Condition, PathPattern};

use super::{
    super::{
        meant::RoutingConfig,
        place::{At, Trouble},
        written::{Audience, Pair, Routing},
    },
    text, unique,
};

pub(super) fn check(
    written: &Routing,
    trusted_proxies: bool,
    trouble: &mut Trouble<'_>,
) -> Option<RoutingConfig> {
    let keep: Vec<Option<PathPattern>> =
        written.keep.iter().map(|path| text::pattern("routing.keep", path, trouble)).collect();
    unique("audience", written.audience.iter().filter_map(|audience| audience.get().name.as_ref()), trouble);
    let audiences: Vec<_> =
        written.audience.iter().map(|audience| rule(audience, trusted_proxies, trouble)).collect();
    Some(RoutingConfig {
        policy: written.policy.unwrap_or_default(),
        cookieless: written.cookieless.unwrap_or_default(),
        keep: keep.into_iter().collect::<Option<_>>()?,
        audiences: audiences.into_iter().collect::<Option<_>>()?,
        preview_service_worker: written.preview_service_worker.unwrap_or(false),
    })
}

fn rule(written: &At<Audience>, trusted_proxies: bool, trouble: &mut Trouble<'_>) -> Option<AudienceRule> {
    let audience = written.get();
    let name = audience.name.as_ref().and_then(|name| text::name("routing.audience.name", name, trouble));
    let mut conditions = Vec::new();
    if let Some(path) = &audience.path {
        conditions.push(text::pattern("routing.audience.path", path, trouble).map(Condition::Path));
    }
    if let Some(header) = &audience.header {
        conditions.push(header_rule(header, trouble));
    }
    if let Some(cookie) = &audience.cookie {
        let pair = pair("cookie", cookie, trouble);
        conditions.push(pair.map(|(name, value)| Condition::Cookie { name, value }));
    }
    if let Some(query) = &audience.query {
        let pair = pair("query", query, trouble);
        conditions.push(pair.map(|(name, value)| Condition::Query { name, value }));
    }
    if let Some(countries) = &audience.country {
        if !trusted_proxies {
            let hint = "name the proxies in front in `edge.trusted_proxies`, or use another condition";
            let message = "the country of a visitor is known only from a trusted proxy, and there is none";
            trouble.add_hint("CUT0107", countries.span(), message, hint);
            conditions.push(None);
        } else {
            conditions.push(some_of("country", countries, country, trouble).map(Condition::Country));
        }
    }
    if let Some(networks) = &audience.cidr {
        let network = |one: &At<String>, trouble: &mut Trouble<'_>| {
            text::network("routing.audience.cidr", one, trouble)
        };
        conditions.push(some_of("cidr", networks, network, trouble).map(Condition::Cidr));
    }
    let kinds = "path, header, cookie, query, country or cidr";
    match conditions.len() {
        1 => {}
        0 if trouble.was_cut(&written.span()) => {}
        0 => trouble.add_hint(
            "CUT0104",
            written.span(),
            "the audience has no condition",
            format!("add one of {kinds}"),
        ),
        _ => {
            let hint = "write one audience for each; the first that matches decides";
            trouble.add_hint(
                "CUT0107",
                written.span(),
                format!("an audience has exactly one of {kinds}"),
                hint,
            );
            return None;
        }
    }
    Some(AudienceRule { name: name?, when: conditions.pop()?? })
}

fn some_of<T>(
    key: &str,
    written: &At<Vec<At<String>>>,
    each: impl Fn(&At<String>, &mut Trouble<'_>) -> Option<T>,
    trouble: &mut Trouble<'_>,
) -> Option<Vec<T>> {
    if written.get().is_empty() {
        trouble.add(
            "CUT0105",
            written.span(),
            format!("`routing.audience.{key}` is empty: nobody would match"),
        );
        return None;
    }
    let checked: Vec<_> = written.get().iter().map(|one| each(one, trouble)).collect();
    checked.into_iter().collect()
}

fn country(written: &At<String>, trouble: &mut Trouble<'_>) -> Option<String> {
    let text = written.get();
    if text.len() == 2 && text.bytes().all(|b| b.is_ascii_alphabetic()) {
        return Some(text.to_ascii_uppercase());
    }
    let message = format!("`routing.audience.country`: {text:?} is no country code");
    trouble.add_hint("CUT0105", written.span(), message, "write two letters (ISO 3166-1), such as \"DE\"");
    None
}

fn header_rule(written: &At<Pair>, trouble: &mut Trouble<'_>) -> Option<Condition> {
    let (name, value) = pair("header", written, trouble)?;
    let name = name.to_ascii_lowercase();
    if name.starts_with("x-cutover-") {
        let message = format!(
            "`routing.audience.header`: {name:?} belongs to Cutover and is never taken from visitors"
        );
        trouble.add("CUT0108", written.span(), message);
        return None;
    }
    if name == "cookie" {
        let message = "`routing.audience.header` cannot be the cookie header";
        trouble.add_hint("CUT0105", written.span(), message, "use `cookie = { name = ..., value = ... }`");
        return None;
    }
    Some(Condition::Header { name, value })
}

/// A name that is an HTTP token (RFC 9110, section 5.6.2), and a value of visible ASCII.
fn pair(key: &str, written: &At<Pair>, trouble: &mut Trouble<'_>) -> Option<(String, Option<String>)> {
    let name = written.get().name.as_ref()?;
    let token = !name.get().is_empty() && name.get().bytes().all(is_token);
    if !token || name.get().len() > 128 {
        let message = format!("`routing.audience.{key}.name` cannot be {:?}", name.get());
        trouble.add_hint(
            "CUT0105",
            name.span(),
            message,
            "letters, digits, dashes and underscores, without spaces",
        );
        return None;
    }
    if key == "cookie"
        && matches!(name.get().strip_prefix("__Host-").unwrap_or(name.get()), "cutover" | "cutover-preview")
    {
        trouble.add("CUT0108", name.span(), format!("the cookie {:?} belongs to Cutover", name.get()));
        return None;
    }
    match &written.get().value {
        Some(value)
            if value.get().len() > 1024 || !value.get().bytes().all(|b| (b' '..=b'~').contains(&b)) =>
        {
            let message =
                format!("`routing.audience.{key}.value` is not visible ASCII of at most 1024 bytes");
            trouble.add("CUT0105", value.span(), message);
            None
        }
        value => Some((name.get().clone(), value.as_ref().map(|value| value.get().clone()))),
    }
}

pub(super) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
