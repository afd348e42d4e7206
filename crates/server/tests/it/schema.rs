use std::{collections::BTreeSet, path::Path};

use serde_json::Value;

use crate::fake::Fake;

#[test]
fn the_committed_description_is_fresh() {
    let mut fresh = serde_json::to_string_pretty(&cutover_server::openapi::<Fake>()).unwrap();
    fresh.push('\n');
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schema/openapi.json");
    if std::env::var_os("CUTOVER_WRITE_GENERATED").is_some() {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, &fresh).unwrap();
    }
    assert_eq!(
        std::fs::read_to_string(&file).unwrap_or_default(),
        fresh,
        "schema/openapi.json is stale: run this test with CUTOVER_WRITE_GENERATED=1"
    );
}

#[test]
fn the_description_is_complete_in_itself() {
    let described = cutover_server::openapi::<Fake>();
    let mut references = BTreeSet::new();
    collect(&described, &mut references);
    assert!(references.len() > 15, "{references:?}");
    for reference in &references {
        let pointer = reference.strip_prefix('#').expect(reference);
        assert!(described.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
    let mut ids = BTreeSet::new();
    for (path, methods) in described["paths"].as_object().unwrap() {
        for operation in methods.as_object().unwrap().values() {
            assert!(ids.insert(operation["operationId"].as_str().unwrap().to_owned()), "{path}");
        }
    }
    assert_eq!(ids.len(), 22);
}

fn collect(value: &Value, references: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                match (key.as_str(), value) {
                    ("$ref", Value::String(reference)) => {
                        references.insert(reference.clone());
                    }
                    _ => collect(value, references),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, references)),
        _ => {}
    }
}

#[test]
fn the_reference_names_every_route() {
    let text =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/control-api.md"))
            .unwrap();
    let named: BTreeSet<String> = text
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .filter_map(|route| route.split_once(' '))
        .map(|(method, path)| format!("{} {}", method.to_lowercase(), path.split('?').next().unwrap()))
        .collect();
    let described = cutover_server::openapi::<Fake>();
    let paths = described["paths"].as_object().unwrap();
    let routes: BTreeSet<String> = paths
        .iter()
        .flat_map(|(path, methods)| {
            methods.as_object().unwrap().keys().map(move |method| format!("{method} {path}"))
        })
        .collect();
    assert_eq!(named, routes);
}
