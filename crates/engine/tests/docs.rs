//! The reference of `cutover.toml` is right about it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::{fs, path::Path};

use cutover_engine::config::{json_schema, parse};
use serde_json::Value;

fn reference() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md")).unwrap()
}

#[test]
fn the_examples_of_the_reference_are_valid() {
    let text = reference();
    let examples: Vec<&str> =
        text.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    let gates: Vec<usize> = examples
        .iter()
        .map(|example| parse(example, Path::new("/app/cutover.toml")).unwrap().gates.len())
        .collect();
    assert_eq!(gates, [3, 2, 8]);
}

#[test]
fn a_gate_written_in_a_line_of_the_reference_is_one() {
    let text = reference();
    let mut found = 0;
    for (key, at) in
        [("http", "before"), ("compare", "steps"), ("metrics", "bake"), ("approval", "25%"), ("load", "5%")]
    {
        for inline in text.split('`').filter(|inline| inline.starts_with(&format!("{key} = {{"))) {
            let head = "app = \"a\"\nhost = \"a\"\n[site]\ndir = \"dist\"\n[rollout]\nstrategy = \"5%, 25%, 100%\"\n";
            let example = format!("{head}[[gate]]\nname = \"g\"\nat = [{at:?}]\n{inline}\n");
            parse(&example, Path::new("/app/cutover.toml"))
                .unwrap_or_else(|why| panic!("{inline}: {why:#?}"));
            found += 1;
        }
    }
    assert!(found >= 6, "only {found} were found");
}

#[test]
fn the_strategies_of_the_reference_are_read() {
    let rollouts =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/rollouts.md")).unwrap();
    let table = rollouts.split("| written | means |").nth(1).unwrap().split("\n\n").next().unwrap();
    let mut read = 0;
    for row in table.lines().skip(2) {
        let cell = row.split(" | ").next().unwrap();
        for text in cell.split('`').skip(1).step_by(2) {
            let head = "app = \"a\"\nhost = \"a\"\n[site]\ndir = \"dist\"\n";
            let audience = "[[routing.audience]]\nname = \"staff\"\nheader = { name = \"x-team\" }\n";
            let example = format!("{head}[rollout]\nstrategy = {text:?}\n{audience}");
            parse(&example, Path::new("/app/cutover.toml")).unwrap_or_else(|why| panic!("{text}: {why:#?}"));
            read += 1;
        }
    }
    assert!(read >= 9, "only {read} were read");
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
