//! What can be asked over HTTP, as OpenAPI 3.1, made of the schemas of the domain's messages.

use cim_domain_nix::schema::{self, MessageSchema};
use cim_domain_nix::{Command, Query, Subject};
use serde_json::{Map, Value, json};

use crate::events;
use crate::problem::MEDIA_TYPE;
use crate::queries::RESOURCES;

/// The document, for a program of the version `version`.
#[must_use]
pub fn openapi(version: &str) -> Value {
    let mut document = Document::default();
    document.own_schemas();
    let schemas = schema::all();
    for command_type in Command::TYPES {
        document.command(command_type, &schemas);
    }
    for query_type in Query::TYPES {
        document.query(query_type, &schemas);
    }
    document.events();
    document.service();
    let Document { schemas, paths } = document;
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "cim-nix",
            "version": version,
            "description": "Commands, queries and events of the Nix domain. docs/http.md explains them.",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "security": [{ "token": [] }],
        "tags": [
            { "name": "commands", "description": "What somebody wants to happen." },
            { "name": "queries", "description": "What is the case." },
            { "name": "events", "description": "What has happened." },
            { "name": "service", "description": "How the service is." },
        ],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "parameters": parameters(),
            "headers": headers(),
            "responses": responses(),
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A token of `cim-nix-server token`. Who comes with a certificate that the server knows needs none.",
                },
            },
        },
    })
}

#[derive(Default)]
struct Document {
    schemas: Map<String, Value>,
    paths: Map<String, Value>,
}

fn reference(kind: &str, name: &str) -> Value {
    json!({ "$ref": format!("#/components/{kind}/{name}") })
}

impl Document {
    /// Takes a schema with all that it needs, under the name `name`.
    fn add(&mut self, name: &str, mut schema: Value) {
        if let Some(fields) = schema.as_object_mut() {
            fields.remove("$schema");
            if let Some(Value::Object(parts)) = fields.remove("$defs") {
                for (part, schema) in parts {
                    self.add(&part, schema);
                }
            }
        }
        rewrite(&mut schema);
        self.schemas.entry(name.to_owned()).or_insert(schema);
    }

    fn operation(&mut self, path: &str, method: &str, operation: Value) {
        let path = self.paths.entry(path.to_owned()).or_insert_with(|| json!({}));
        path[method] = operation;
    }

    fn own_schemas(&mut self) {
        for (name, schema) in own_schemas() {
            self.schemas.insert(name.to_owned(), schema);
        }
    }

    /// `POST /v1/{tenant}/commands/..`.
    fn command(&mut self, command_type: &str, schemas: &[MessageSchema]) {
        let found = schemas.iter().find(|it| it.folder == "commands" && it.name == command_type);
        let Some(mut schema) = found.map(|it| it.schema.clone()) else { return };
        let summary = schema["description"].clone();
        // Who sends none gets one made of the headers.
        if let Some(required) = schema.get_mut("required").and_then(Value::as_array_mut) {
            required.retain(|field| field != "identity");
        }
        self.add(command_type, schema);
        let subject = Subject::of(command_type).map(Subject::as_str);
        let also = subject
            .map_or_else(String::new, |subject| format!(" Other services send it on `{subject}`."));
        let mut ok = json!({
            "description": "It was run. What happened is in `events`; nothing had to happen where `changed` is false.",
            "headers": {
                "ETag": reference("headers", "ETag"),
                "X-Message-ID": reference("headers", "MessageID"),
                "X-Correlation-ID": reference("headers", "CorrelationID"),
            },
            "content": {
                "application/json": { "schema": reference("schemas", "CommandReply") },
                "text/event-stream": { "schema": { "type": "string" } },
            },
        });
        if command_type == "CreateFlake" {
            ok["links"] = json!({
                "flake": {
                    "operationId": "GetFlakeById",
                    "parameters": {
                        "path.tenant": "$request.path.tenant",
                        "path.id": "$response.body#/events/0/event/flake_id",
                    },
                },
            });
        }
        let operation = json!({
            "operationId": command_type,
            "tags": ["commands"],
            "summary": summary,
            "description": format!(
                "The body is the command, bare or as `command` in an envelope. With `Accept: text/event-stream` progress is told while it runs.{also}"
            ),
            "parameters": [
                reference("parameters", "tenant"),
                reference("parameters", "dry_run"),
                reference("parameters", "IdempotencyKey"),
                reference("parameters", "IfMatch"),
                reference("parameters", "CorrelationID"),
                reference("parameters", "CausationID"),
                reference("parameters", "UserID"),
                reference("parameters", "traceparent"),
            ],
            "requestBody": {
                "required": true,
                "content": { "application/json": { "schema": reference("schemas", command_type) } },
            },
            "responses": with_problems(
                json!({ "200": ok }),
                &[400, 401, 403, 404, 408, 409, 412, 413, 415, 422, 429, 500, 502, 503, 504],
            ),
        });
        self.operation(&format!("/v1/{{tenant}}/commands/{command_type}"), "post", operation);
    }

    /// The resource that a query is, and the query under its name.
    fn query(&mut self, query_type: &str, schemas: &[MessageSchema]) {
        let of = |folder: &str| {
            let found = schemas.iter().find(|it| it.folder == folder && it.name == query_type);
            found.map(|it| it.schema.clone())
        };
        let (Some(question), Some(answer)) = (of("queries"), of("answers")) else { return };
        let summary = question["description"].clone();
        let params = query_parameters(&question);
        let answer_name = format!("{query_type}Answer");
        self.add(query_type, question);
        self.add(&answer_name, answer);
        for resource in RESOURCES.iter().filter(|resource| resource.query == query_type) {
            let has_id = resource.path.contains("{id}");
            let mut own = vec![reference("parameters", "tenant")];
            if has_id {
                own.push(reference("parameters", "id"));
            }
            own.extend(params.iter().filter(|it| !has_id || it["name"] != "id").cloned());
            let id = if has_id { format!("{query_type}ById") } else { query_type.to_owned() };
            let mut operation = get_query(&id, &summary, own, &answer_name);
            if let Some(one) = query_type.strip_prefix("List") {
                let one = one.trim_end_matches('s');
                operation["responses"]["200"]["links"] = json!({
                    "first": {
                        "operationId": format!("Get{one}ById"),
                        "parameters": {
                            "path.tenant": "$request.path.tenant",
                            "path.id": "$response.body#/items/0/id",
                        },
                    },
                });
            }
            self.operation(&format!("/v1/{{tenant}}{}", resource.path), "get", operation);
        }
        let path = format!("/v1/{{tenant}}/queries/{query_type}");
        let mut own = vec![reference("parameters", "tenant")];
        own.extend(params);
        let id = format!("{query_type}ByName");
        self.operation(&path, "get", get_query(&id, &summary, own, &answer_name));
        self.operation(&path, "post", post_query(query_type, &summary, &answer_name));
    }

    fn events(&mut self) {
        let after = json!({
            "name": "after", "in": "query",
            "description": "The position behind which they begin.",
            "schema": { "type": "integer", "minimum": 0, "maximum": i64::MAX },
        });
        let limit = json!({
            "name": "limit", "in": "query", "description": "How many at most; 100 if left out.",
            "schema": { "type": "integer", "minimum": 0, "maximum": events::MOST },
        });
        let problems = [400, 401, 403, 404, 429, 500, 502, 503, 504];
        let mut ok = json_response("Some events, the oldest first.", "EventPage");
        ok["links"] = json!({
            "first": {
                "operationId": "GetEvent",
                "parameters": {
                    "path.tenant": "$request.path.tenant",
                    "path.id": "$response.body#/items/0/event_id",
                },
            },
        });
        let list = json!({
            "operationId": "ListEvents", "tags": ["events"], "summary": "What has happened?",
            "parameters": [reference("parameters", "tenant"), after, limit],
            "responses": with_problems(json!({ "200": ok }), &problems),
        });
        self.operation("/v1/{tenant}/events", "get", list);
        let one = json!({
            "operationId": "GetEvent", "tags": ["events"], "summary": "What happened there?",
            "parameters": [reference("parameters", "tenant"), reference("parameters", "id")],
            "responses": with_problems(
                json!({ "200": json_response("The event.", "EventRecord") }),
                &problems,
            ),
        });
        self.operation("/v1/{tenant}/events/{id}", "get", one);
        let last = json!({
            "name": "Last-Event-ID", "in": "header",
            "description": "Where a client was that lost its connection; counts more than `after`.",
            "schema": { "type": "integer", "minimum": 0, "maximum": i64::MAX },
        });
        let stream = json!({
            "operationId": "FollowEvents", "tags": ["events"],
            "summary": "What happens from now on, or from a position on, without an end?",
            "description": "Events `event` with the data of an EventRecord and their positions as ids; `hello` at first, and `end` with a reason where the server ends it. It goes on until the client ends it.",
            "parameters": [reference("parameters", "tenant"), after, last],
            "responses": with_problems(
                json!({ "200": {
                    "description": "The stream.",
                    "content": { "text/event-stream": { "schema": { "type": "string" } } },
                } }),
                &problems,
            ),
        });
        self.operation("/v1/{tenant}/events/stream", "get", stream);
    }

    fn service(&mut self) {
        let get = |id: &str, summary: &str, responses: Value, is_open: bool| {
            let mut operation = json!({
                "operationId": id, "tags": ["service"], "summary": summary,
                "responses": with_problems(responses, &[400, 401, 500]),
            });
            if is_open {
                operation["security"] = json!([{}, { "token": [] }]);
            }
            operation
        };
        let live = json!({ "200": json_response("It is.", "Alive") });
        self.operation("/health/live", "get", get("Live", "Is the process there?", live, true));
        let ready = json!({
            "200": json_response("It can.", "Readiness"),
            "503": json_response("It cannot, for these reasons.", "Readiness"),
        });
        let ready = get("Ready", "Can the service do its work?", ready, true);
        self.operation("/health/ready", "get", ready);
        let version = json!({ "200": json_response("The version.", "Version") });
        let version = get("Version", "Which version answers?", version, true);
        self.operation("/version", "get", version);
        let text = json!({ "200": {
            "description": "Metrics in the text format of Prometheus.",
            "content": { "text/plain": { "schema": { "type": "string" } } },
        } });
        self.operation("/metrics", "get", get("Metrics", "What was measured?", text, false));
        let own = json!({ "200": {
            "description": "This document.",
            "content": { "application/json": { "schema": { "type": "object" } } },
        } });
        self.operation("/openapi.json", "get", get("OpenApi", "What can be asked?", own, false));
    }
}

/// Lets references lead to where OpenAPI has its parts.
fn rewrite(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            if let Some(Value::String(target)) = fields.get_mut("$ref")
                && let Some(name) = target.strip_prefix("#/$defs/")
            {
                *target = format!("#/components/schemas/{name}");
            }
            fields.values_mut().for_each(rewrite);
        }
        Value::Array(items) => items.iter_mut().for_each(rewrite),
        _ => {}
    }
}

/// The fields of a query as parameters.
fn query_parameters(question: &Value) -> Vec<Value> {
    let Some(fields) = question["properties"].as_object() else { return Vec::new() };
    let parameter = |(name, schema): (&String, &Value)| {
        let description = schema["description"].clone();
        json!({
            "name": name, "in": "query", "description": description, "schema": plain(name, schema),
        })
    };
    fields.iter().map(parameter).collect()
}

/// A field's schema without the ways to leave it out, which a parameter has anyway.
fn plain(name: &str, schema: &Value) -> Value {
    let mut schema = schema.clone();
    rewrite(&mut schema);
    if name == "attribute" {
        return json!({ "type": "string" });
    }
    if name == "limit" {
        return json!({ "type": "integer", "minimum": 0, "maximum": u32::MAX });
    }
    if let Some(fields) = schema.as_object_mut() {
        fields.remove("description");
        fields.remove("default");
        if let Some(own) =
            fields.get("type").and_then(Value::as_array).and_then(|types| types.first()).cloned()
        {
            fields.insert("type".to_owned(), own);
        }
        if let Some(first) = fields.get("anyOf").and_then(|any| any.get(0)).cloned() {
            return first;
        }
    }
    schema
}

fn get_query(id: &str, summary: &Value, parameters: Vec<Value>, answer: &str) -> Value {
    let mut parameters = parameters;
    parameters.extend([
        reference("parameters", "IfNoneMatch"),
        reference("parameters", "CorrelationID"),
        reference("parameters", "traceparent"),
    ]);
    let headers = json!({
        "ETag": reference("headers", "ETag"),
        "X-Message-ID": reference("headers", "MessageID"),
        "X-Correlation-ID": reference("headers", "CorrelationID"),
    });
    let mut ok = json_response("The answer.", answer);
    ok["headers"] = headers.clone();
    let unchanged = json!({
        "description": "The caller has the answer: If-None-Match names its ETag.",
        "headers": headers,
    });
    json!({
        "operationId": id,
        "tags": ["queries"],
        "summary": summary,
        "parameters": parameters,
        "responses": with_problems(
            json!({ "200": ok, "304": unchanged }),
            &[400, 401, 403, 404, 429, 500, 502, 503, 504],
        ),
    })
}

fn post_query(query_type: &str, summary: &Value, answer: &str) -> Value {
    let response = json!({
        "type": "object",
        "properties": {
            "query_id": { "type": "object" },
            "correlation_id": reference("schemas", "MessageId"),
            "result": reference("schemas", answer),
        },
        "required": ["query_id", "correlation_id", "result"],
    });
    json!({
        "operationId": format!("{query_type}ByMessage"),
        "tags": ["queries"],
        "summary": summary,
        "description": "The query and its answer as services send them over NATS.",
        "parameters": [
            reference("parameters", "tenant"),
            reference("parameters", "CorrelationID"),
            reference("parameters", "CausationID"),
            reference("parameters", "UserID"),
            reference("parameters", "traceparent"),
        ],
        "requestBody": {
            "required": false,
            "content": { "application/json": { "schema": reference("schemas", query_type) } },
        },
        "responses": with_problems(
            json!({ "200": {
                "description": "The answer.",
                "headers": {
                    "X-Message-ID": reference("headers", "MessageID"),
                    "X-Correlation-ID": reference("headers", "CorrelationID"),
                },
                "content": { "application/json": { "schema": response } },
            } }),
            &[400, 401, 403, 404, 408, 413, 415, 429, 500, 502, 503, 504],
        ),
    })
}

fn json_response(description: &str, schema: &str) -> Value {
    json!({
        "description": description,
        "content": { "application/json": { "schema": reference("schemas", schema) } },
    })
}

fn with_problems(mut responses: Value, statuses: &[u16]) -> Value {
    for status in statuses {
        responses[status.to_string()] = reference("responses", &format!("Problem{status}"));
    }
    responses
}

/// Statuses of problems, and what they mean here.
const PROBLEMS: &[(u16, &str)] = &[
    (400, "The request cannot be read."),
    (401, "Nobody knows who asks."),
    (403, "The caller may not do that, or the tenant is not theirs."),
    (404, "There is no such thing."),
    (408, "The body took too long."),
    (409, "Somebody else was faster, or another command has the id."),
    (412, "The thing has another version than If-Match says."),
    (413, "The body is too large, or nested too deeply."),
    (415, "The body is no JSON."),
    (422, "The domain refuses it."),
    (429, "Too many requests of the caller or of the tenant."),
    (500, "The service is wrong."),
    (502, "Something outside failed."),
    (503, "The service has too much to do, or is being shut down."),
    (504, "It took longer than allowed."),
];

fn responses() -> Value {
    let problem = |(status, description): &(u16, &str)| {
        let mut value = json!({
            "description": description,
            "content": { MEDIA_TYPE: { "schema": reference("schemas", "Problem") } },
        });
        if matches!(status, 429 | 503) {
            value["headers"] = json!({
                "Retry-After": {
                    "description": "Seconds after which another try may pass.",
                    "schema": { "type": "integer", "minimum": 1 },
                },
            });
        }
        (format!("Problem{status}"), value)
    };
    Value::Object(PROBLEMS.iter().map(problem).collect())
}

fn headers() -> Value {
    let id = |description: &str| json!({ "description": description, "schema": { "type": "string", "minLength": 1 } });
    json!({
        "ETag": id("The version of the thing, for If-Match and If-None-Match; weak for lists."),
        "MessageID": id("The id of the message that this is the answer to."),
        "CorrelationID": id("The conversation."),
    })
}

fn parameters() -> Value {
    let header = |name: &str, description: &str, schema: Value| json!({ "name": name, "in": "header", "description": description, "schema": schema });
    let id = json!({ "type": "string", "format": "uuid" });
    let message = json!({
        "type": "string",
        "pattern": "^([0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[A-Za-z0-9+/_=]{8,128})$",
    });
    let tag = json!({ "type": "string", "pattern": "^\"[0-9]{1,18}\"$" });
    json!({
        "tenant": {
            "name": "tenant", "in": "path", "required": true, "description": "The tenant.",
            "schema": { "type": "string", "pattern": "^[a-z0-9-]{1,63}$" },
        },
        "id": {
            "name": "id", "in": "path", "required": true, "description": "The id.", "schema": id,
        },
        "dry_run": {
            "name": "dry_run", "in": "query",
            "description": "Whether it is only asked what would happen.",
            "schema": { "type": "boolean" },
        },
        "IdempotencyKey": header(
            "Idempotency-Key",
            "The id of the command, or any text that the caller uses for this command only. Sent again, what came of it is answered.",
            json!({ "type": "string", "minLength": 1, "maxLength": 255 }),
        ),
        "IfMatch": header("If-Match", "The version that the thing must have.", tag),
        "IfNoneMatch": header(
            "If-None-Match",
            "The answer that the caller has.",
            json!({ "type": "string" }),
        ),
        "CorrelationID": header("X-Correlation-ID", "The conversation.", message.clone()),
        "CausationID": header("X-Causation-ID", "The message that caused this one.", message),
        "UserID": header(
            "X-User-ID",
            "For whom the caller asks, where it asks for others.",
            json!({ "type": "string" }),
        ),
        "traceparent": header(
            "traceparent",
            "The span of the caller, as W3C has it; one that cannot be read is passed over.",
            json!({ "type": "string" }),
        ),
    })
}

fn own_schemas() -> Vec<(&'static str, Value)> {
    let text = || json!({ "type": "string" });
    let count = || json!({ "type": "integer", "minimum": 0 });
    let object = |properties: Value, required: &[&str]| json!({ "type": "object", "properties": properties, "required": required });
    let message_id = json!({
        "description": "A UUID, or a content id where another domain addresses messages by content.",
        "anyOf": [
            { "type": "string", "format": "uuid" },
            { "type": "string", "pattern": "^[A-Za-z0-9+/_=]{8,128}$" },
            {
                "type": "object",
                "properties": { "Uuid": { "type": "string", "format": "uuid" } },
                "required": ["Uuid"],
                "additionalProperties": false,
            },
            {
                "type": "object",
                "properties": {
                    "Cid": { "type": "string", "pattern": "^[A-Za-z0-9+/_=]{8,128}$" },
                },
                "required": ["Cid"],
                "additionalProperties": false,
            },
        ],
    });
    let event = object(
        json!({
            "event_id": { "type": ["string", "null"], "format": "uuid" },
            "event_type": text(),
            "subject": { "type": ["string", "null"] },
            "stream": text(),
            "event": { "type": ["object", "null"] },
        }),
        &["event_id", "event_type", "subject", "stream", "event"],
    );
    let reply = object(
        json!({
            "status": { "enum": ["success", "Accepted"] },
            "message": text(),
            "changed": { "type": "boolean" },
            "events": { "type": "array", "items": event },
            "position": { "type": ["integer", "null"] },
            "version": count(),
            "repeated": { "type": "boolean", "description": "Whether it was run before." },
            "dry_run": { "type": "boolean" },
            "diff": { "type": ["string", "null"] },
            "notes": { "type": "array", "items": text() },
            "command_id": { "type": "object", "properties": { "id": reference("schemas", "MessageId") } },
            "correlation_id": reference("schemas", "MessageId"),
        }),
        &["status", "changed", "events", "version", "repeated", "command_id", "correlation_id"],
    );
    let record = object(
        json!({
            "position": count(),
            "stream": text(),
            "version": count(),
            "event_id": { "type": "string", "format": "uuid" },
            "event_type": text(),
            "schema": count(),
            "at": { "type": "string", "format": "date-time" },
            "correlation_id": reference("schemas", "MessageId"),
            "causation_id": reference("schemas", "MessageId"),
            "origin": { "type": "object" },
            "event": {},
        }),
        &["position", "stream", "version", "event_id", "event_type", "at", "event"],
    );
    let page = object(
        json!({
            "items": { "type": "array", "items": reference("schemas", "EventRecord") },
            "next": { "type": "integer", "description": "The `after` for what follows." },
            "head": { "type": "integer", "description": "The position of the last event of all." },
        }),
        &["items", "next", "head"],
    );
    let problem = object(
        json!({
            "type": text(),
            "title": text(),
            "status": { "type": "integer" },
            "detail": text(),
            "code": text(),
            "hints": { "type": "array", "items": text() },
            "retry_after_ms": count(),
            "message_id": reference("schemas", "MessageId"),
            "correlation_id": reference("schemas", "MessageId"),
        }),
        &["type", "title", "status", "detail", "code"],
    );
    let readiness = object(
        json!({
            "status": { "enum": ["ready", "not_ready"] },
            "reasons": { "type": "array", "items": text() },
            "uptime_seconds": count(),
            "tenants": { "type": "array", "items": { "type": "object" } },
            "breakers": { "type": "array", "items": { "type": "object" } },
        }),
        &["status", "reasons"],
    );
    let version = object(
        json!({ "name": text(), "version": text(), "api": text() }),
        &["name", "version", "api"],
    );
    vec![
        ("MessageId", message_id),
        ("CommandReply", reply),
        ("EventRecord", record),
        ("EventPage", page),
        ("Problem", problem),
        ("Alive", object(json!({ "status": { "const": "ok" } }), &["status"])),
        ("Readiness", readiness),
        ("Version", version),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_has_a_path_and_every_reference_leads_somewhere() {
        let document = openapi("1.2.3");
        let paths = document["paths"].as_object().expect("paths");
        for name in Command::TYPES {
            assert!(
                paths[&format!("/v1/{{tenant}}/commands/{name}")]["post"].is_object(),
                "{name}"
            );
        }
        for name in Query::TYPES {
            assert!(paths[&format!("/v1/{{tenant}}/queries/{name}")]["post"].is_object(), "{name}");
            assert!(RESOURCES.iter().any(|resource| resource.query == *name), "{name}");
        }
        let mut n_references = 0;
        check(&document, &document, &mut n_references);
        assert!(n_references > 500, "{n_references}");
    }

    fn check(document: &Value, value: &Value, n_references: &mut usize) {
        match value {
            Value::Object(fields) => {
                if let Some(target) = fields.get("$ref").and_then(Value::as_str) {
                    let pointer = target.trim_start_matches('#');
                    assert!(document.pointer(pointer).is_some(), "{target}");
                    *n_references += 1;
                }
                fields.values().for_each(|value| check(document, value, n_references));
            }
            Value::Array(items) => {
                items.iter().for_each(|value| check(document, value, n_references));
            }
            _ => {}
        }
    }

    #[test]
    fn operations_have_names_of_their_own() {
        let document = openapi("1.2.3");
        let mut names = Vec::new();
        for path in document["paths"].as_object().expect("paths").values() {
            for operation in path.as_object().expect("operations").values() {
                names.push(operation["operationId"].as_str().expect("a name").to_owned());
            }
        }
        let n_names = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), n_names);
    }

    #[test]
    fn parts_of_one_name_are_the_same() {
        let mut known: Map<String, Value> = Map::new();
        for message in schema::all() {
            let Some(parts) = message.schema["$defs"].as_object() else { continue };
            for (name, schema) in parts {
                let first = known.entry(name.clone()).or_insert_with(|| schema.clone());
                assert_eq!(first, schema, "{name} of {}", message.name);
            }
        }
    }
}
