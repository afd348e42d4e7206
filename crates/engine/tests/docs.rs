//! The reference of `cutover.toml` is right about it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::{fs, path::Path};

use cutover_engine::config::{json_schema, parse};
use serde_json::Value;

fn reference() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md")).unwrap()
}

#[test]
fn the_example_of_the_reference_is_valid() {
    let text = reference();
    let examples: Vec<&str> =
        text.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert_eq!(examples.len(), 1);
    for example in examples {
        let config = parse(example, Path::new("/app/cutover.toml")).unwrap();
        assert_eq!(config.gates.len(), 2);
    }
}

#[test]
fn the_reference_names_every_key() {
    let text = reference();
    let schema = json_schema();
    let tables = schema["$defs"].as_object().unwrap().iter().map(|(name, schema)| (name.as_str(), schema));
    let mut missing = Vec::new();
    for (name, table) in tables.chain([("File", schema)]) {
        for key in
            table.get("properties").and_then(Value::as_object).into_iter().flatten().map(|(key, _)| key)
        {
            let shown = [format!("`{key}`"), format!("[{key}]"), format!("{key} = ")];
            if !shown.iter().any(|form| text.contains(form.as_str())) {
                missing.push(format!("{name}.{key}"));
            }
        }
    }
    assert!(missing.is_empty(), "docs/configuration.md does not name {missing:?}");
}
