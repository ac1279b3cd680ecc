//! The API as an OpenAPI 3.1 document, at `/openapi.json`.
//!
//! Written by hand beside the handlers, since what a reader of it needs are words and examples, which no derive knows. That
//! it names every path and no other is checked by a test here; that answers are what it says, by `web/schemathesis/run`.

mod control;
mod public;
mod schemas;

use axum::Json;
use axum::extract::State;
use serde_json::{Map, Value, json};

use crate::state::AppState;

/// `GET /openapi.json`
pub(crate) async fn openapi(State(state): State<AppState>) -> Json<Value> {
    Json(document(state.control().is_some()))
}

fn document(with_control: bool) -> Value {
    let mut paths = public::paths();
    let mut schemas = schemas::public();
    if with_control {
        paths.extend(control::paths());
        schemas.extend(control::schemas());
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Twopence",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Moves money between accounts on different nodes: both sides happen, or neither does.\n\nWhatever is \
                sent twice under one `Idempotency-Key` happens once. Money is in whole minor units. Every error is \
                `application/problem+json` and says what happened, whether money moved, and what to do next; programs look \
                at `code`, which never changes.\n\nWhat changes something must be sent as `application/json`. Requests of web \
                pages from elsewhere are refused.",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "paths": paths,
        "components": { "schemas": schemas, "responses": problems() },
    })
}

/// The errors that may come, by status.
const STATUSES: [(u16, &str); 11] = [
    (400, "The request is malformed. Nothing was done."),
    (403, "The `Host` or the `Origin` is foreign. Nothing was done."),
    (404, "There is no such thing."),
    (408, "The body did not arrive in time. Nothing was done."),
    (409, "It is in conflict with how things are at the moment."),
    (413, "The body is too long. Nothing was done."),
    (415, "The body is not `application/json`. Nothing was done."),
    (422, "It cannot be done as it is. No money moved."),
    (500, "This server has a bug."),
    (
        503,
        "It cannot be done now: no coordinator can be reached, or too much is under way.",
    ),
    (
        504,
        "No answer came in time. For a transaction: it happened once or not at all.",
    ),
];

fn problems() -> Map<String, Value> {
    let problem = |&(status, description): &(u16, &str)| {
        let mut response = json!({
            "description": description,
            "content": { "application/problem+json": { "schema": of("Problem") } },
        });
        if status == 503 {
            response["headers"] =
                json!({ "Retry-After": { "description": "Seconds", "schema": { "type": "integer" } } });
        }
        (format!("E{status}"), response)
    };
    STATUSES.iter().map(problem).collect()
}

/// A schema by name.
fn of(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// A parameter with an example.
fn parameter(place: &str, name: &str, description: &str, schema: Value, example: Value) -> Value {
    json!({
        "in": place,
        "name": name,
        "description": description,
        "required": place == "path",
        "schema": schema,
        "example": example,
    })
}

/// One thing that can be asked for.
struct Operation {
    id: &'static str,
    summary: &'static str,
    parameters: Vec<Value>,
    /// What is sent.
    body: Option<Value>,
    /// The kind and the schema of what comes back if it goes well.
    answer: (&'static str, Value),
    /// What may come back otherwise, besides what may always.
    errors: &'static [u16],
}

const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";

/// What may come of everything that asks the cluster.
const ASKS: &[u16] = &[500, 503, 504];

impl Operation {
    /// Answered with JSON of that schema.
    fn json(id: &'static str, summary: &'static str, schema: &str) -> Operation {
        Operation {
            id,
            summary,
            parameters: Vec::new(),
            body: None,
            answer: (JSON, of(schema)),
            errors: &[],
        }
    }

    /// Answered with text of that kind.
    fn text(id: &'static str, summary: &'static str, kind: &'static str) -> Operation {
        Operation {
            answer: (kind, json!({ "type": "string" })),
            ..Operation::json(id, summary, "Problem")
        }
    }

    fn with(self, parameters: impl IntoIterator<Item = Value>) -> Operation {
        Operation {
            parameters: parameters.into_iter().collect(),
            ..self
        }
    }

    fn sends(self, schema: &str) -> Operation {
        Operation {
            body: Some(of(schema)),
            ..self
        }
    }

    fn may_fail(self, errors: &'static [u16]) -> Operation {
        Operation { errors, ..self }
    }

    fn written(self) -> Value {
        let (kind, schema) = self.answer;
        let mut responses = Map::new();
        let ok = json!({ "description": "It went well.", "content": { kind: { "schema": schema } } });
        responses.insert("200".to_owned(), ok);
        let body_errors: &[u16] = if self.body.is_some() {
            &[400, 408, 413, 415]
        } else {
            &[]
        };
        for status in self.errors.iter().chain(body_errors).chain(&[403]) {
            responses.insert(
                status.to_string(),
                json!({ "$ref": format!("#/components/responses/E{status}") }),
            );
        }
        let mut operation = json!({
            "operationId": self.id,
            "summary": self.summary,
            "parameters": self.parameters,
            "responses": responses,
        });
        if let Some(schema) = self.body {
            operation["requestBody"] = json!({ "required": true, "content": { JSON: { "schema": schema } } });
        }
        operation
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::router;

    #[test]
    fn the_document_names_every_path_and_no_other() {
        for with_control in [false, true] {
            let document = document(with_control);
            let described: BTreeSet<String> = document["paths"]
                .as_object()
                .unwrap()
                .iter()
                .flat_map(|(path, item)| {
                    let methods = item.as_object().unwrap().keys();
                    methods.map(move |method| format!("{method} {path}"))
                })
                .collect();
            let paths = router::paths(with_control);
            let served = paths
                .named()
                .iter()
                .map(|(method, path)| format!("{method} {path}"));
            assert_eq!(described, served.collect(), "on the left what is described");
        }
    }

    #[test]
    fn every_reference_leads_somewhere_and_every_operation_has_a_name_of_its_own() {
        let document = document(true);
        let mut names = BTreeSet::new();
        let mut open = vec![&document];
        while let Some(value) = open.pop() {
            if let Some(target) = value["$ref"].as_str() {
                let pointer = target.strip_prefix('#').unwrap();
                assert!(document.pointer(pointer).is_some(), "{target} leads nowhere");
            }
            if let Some(id) = value["operationId"].as_str() {
                assert!(names.insert(id), "{id} is there twice");
            }
            match value {
                Value::Object(members) => open.extend(members.values()),
                Value::Array(items) => open.extend(items),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
            }
        }
    }
}
