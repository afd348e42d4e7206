//! Settings that differ between two releases, for a person who wonders why green behaves unlike blue.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use super::{meant::GateAt, snapshot::Snapshot};
use crate::control::ParityDifference;

/// What differs, by dotted name in alphabetical order, e.g. `service.api.run`.
///
/// Values of environment variables are not shown, only that they differ: people put secrets there although told not to.
pub fn parity(blue: &Snapshot, green: &Snapshot) -> Vec<ParityDifference> {
    let blue = flat(blue);
    let green = flat(green);
    let names: BTreeSet<&String> = blue.keys().chain(green.keys()).collect();
    names
        .into_iter()
        .filter(|name| blue.get(*name) != green.get(*name))
        .map(|name| {
            let shown = |side: &BTreeMap<String, String>, as_hidden: &str| {
                side.get(name).map(|value| if is_secret(name) { as_hidden.to_owned() } else { value.clone() })
            };
            ParityDifference {
                setting: name.clone(),
                blue: shown(&blue, "(hidden)"),
                green: shown(&green, "(hidden, differs)"),
            }
        })
        .collect()
}

fn is_secret(name: &str) -> bool {
    let mut parts = name.split('.');
    parts.next() == Some("service") && parts.nth(1) == Some("env")
}

fn flat(snapshot: &Snapshot) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    if let Ok(Value::Object(mut all)) = serde_json::to_value(snapshot) {
        all.remove("format");
        for (key, value) in all {
            match key.as_str() {
                "services" => named("service", &value, &mut out),
                "gates" => named("gate", &value, &mut out),
                _ => flatten(&key, &value, &mut out),
            }
        }
    }
    out
}

fn named(prefix: &str, list: &Value, out: &mut BTreeMap<String, String>) {
    for item in list.as_array().into_iter().flatten() {
        let Value::Object(fields) = item else { continue };
        let name = fields.get("name").and_then(Value::as_str).unwrap_or_default();
        for (key, value) in fields.iter().filter(|(key, _)| *key != "name") {
            flatten(&format!("{prefix}.{name}.{key}"), value, out);
        }
    }
}

fn flatten(name: &str, value: &Value, out: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                // Named as in the file: the words of our own enums are no settings.
                let inner = match (name.rsplit('.').next(), key.as_str()) {
                    (Some("source"), "process") | (Some("kind"), "run") => parent(name).to_owned(),
                    (Some("source" | "kind" | "when"), key) => format!("{}.{key}", parent(name)),
                    (Some("edge"), "metric") | (Some("prometheus"), "url") => name.to_owned(),
                    (Some("prometheus"), key) => format!("{}.{key}", parent(name)),
                    (_, "command") if name.starts_with("gate.") => format!("{name}.run"),
                    (_, key) => format!("{name}.{key}"),
                };
                flatten(&inner, value, out);
            }
        }
        Value::Array(items) if name == "routing.audiences" => {
            named("routing.audience", &Value::Array(items.clone()), out)
        }
        Value::Array(_) if name.starts_with("gate.") && name.ends_with(".at") => {
            let places: Vec<GateAt> = Vec::deserialize(value).unwrap_or_default();
            let places: Vec<String> = places.iter().map(ToString::to_string).collect();
            out.insert(name.to_owned(), places.join(", "));
        }
        Value::Null => {}
        Value::Array(items) if items.is_empty() => {}
        Value::String(text) => {
            out.insert(name.to_owned(), text.clone());
        }
        other => {
            out.insert(name.to_owned(), other.to_string());
        }
    }
}

fn parent(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(parent, _)| parent)
}
