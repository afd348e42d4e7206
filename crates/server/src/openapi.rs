//! The OpenAPI 3.1 description, made from the table of routes and the types they carry.

use cutover_engine::{
    Control, Error,
    control::{DeployReport, StageReport},
};
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use crate::routes::{Answers, Route, routes};

/// The description of every route.
pub fn openapi<C: Control>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut generator = settings.into_generator();
    let error = generator.subschema_for::<Error>();
    // What operations end with is carried inside another type.
    generator.subschema_for::<StageReport>();
    generator.subschema_for::<DeployReport>();
    let mut paths = Map::new();
    for route in routes::<C>() {
        let request = route.request.map(|schema| schema(&mut generator).to_value());
        let (status, media) = match route.answers {
            Answers::Json(schema) => {
                ("200", json!({ "application/json": { "schema": schema(&mut generator) } }))
            }
            Answers::Accepted(schema) => {
                ("202", json!({ "application/json": { "schema": schema(&mut generator) } }))
            }
            Answers::Text(kind) => ("200", json!({ kind: {} })),
        };
        let mut operation = json!({
            "operationId": route.id,
            "summary": route.summary,
            "parameters": parameters(&route),
            "responses": {
                status: { "description": "Done.", "content": media },
                "default": {
                    "description": "It was not done; the body says why.",
                    "content": { "application/json": { "schema": error } },
                },
            },
        });
        if let (Some(schema), Some(operation)) = (request, operation.as_object_mut()) {
            let body = json!({ "content": { "application/json": { "schema": schema } } });
            operation.insert("requestBody".to_owned(), body);
        }
        paths.insert(route.path.to_owned(), json!({ route.method: operation }));
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Cutover control API",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The header x-cutover-who says on whose behalf a request comes, for the history.",
        },
        "security": [{ "token": [] }],
        "paths": paths,
        "components": {
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
            "schemas": generator.take_definitions(true),
        },
    })
}

fn parameters<C>(route: &Route<C>) -> Vec<Value> {
    let in_path =
        route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).map(
            |name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }),
        );
    let in_query = route.query.iter().map(|(name, meaning)| {
        json!({ "name": name, "in": "query", "description": meaning, "schema": { "type": "integer", "minimum": 0 } })
    });
    in_path.chain(in_query).collect()
}
