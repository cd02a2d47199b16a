//! JSON Schemas of all messages (draft 2020-12), for those who write or check them in other languages.
//!
//! A schema says what is read, which is more than what is written: fields with a default may be left
//! out, and the forms of other services are taken. Unknown fields are allowed everywhere.

use std::borrow::Cow;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::Value;

use crate::command::{CommandAcknowledgment, CommandEnvelope};
use crate::query::{QueryEnvelope, QueryResponse};
use crate::{Answer, Command, Event, MessageId, MessageIdentity, NixValue, Query, Timestamp};

/// The schema of one type of messages.
#[derive(Clone, PartialEq, Debug)]
pub struct MessageSchema {
    /// What the type is among: `commands`, `events`, `queries`, `answers`, `envelopes`.
    pub folder: &'static str,
    /// The name of the type, and the version of its shape where it is not the newest:
    /// `PackageBuilt.v1`.
    pub name: String,
    /// The schema.
    pub schema: Value,
}

/// The schemas of all types of messages.
#[must_use]
pub fn all() -> Vec<MessageSchema> {
    let mut all = Vec::new();
    let mut add = |folder, schemas: Vec<(&str, Schema)>| {
        for (name, schema) in schemas {
            all.push(MessageSchema { folder, name: name.to_owned(), schema: schema.to_value() });
        }
    };
    add("commands", Command::schemas());
    add("events", Event::schemas());
    add("queries", Query::schemas());
    add("answers", Answer::schemas());
    add(
        "envelopes",
        vec![
            ("MessageIdentity", of::<MessageIdentity>()),
            ("CommandEnvelope", of::<CommandEnvelope<Value>>()),
            ("CommandAcknowledgment", of::<CommandAcknowledgment>()),
            ("QueryEnvelope", of::<QueryEnvelope<Value>>()),
            ("QueryResponse", of::<QueryResponse>()),
        ],
    );
    all.extend(older_shapes(&all));
    all
}

/// The schema of a type, with all that it needs.
pub(crate) fn of<T: JsonSchema>() -> Schema {
    SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<T>()
}

/// Shapes that events had: what was not there yet is no longer wanted.
fn older_shapes(newest: &[MessageSchema]) -> Vec<MessageSchema> {
    let older = |(event_type, version, later): &(&str, u32, &[&str])| {
        let mut schema = newest.iter().find(|schema| schema.name == *event_type)?.schema.clone();
        let required = schema.get_mut("required")?.as_array_mut()?;
        required.retain(|field| !later.iter().any(|later| field == later));
        let name = format!("{event_type}.v{version}");
        Some(MessageSchema { folder: "events", name, schema })
    };
    OLDER.iter().filter_map(older).collect()
}

/// Type, version, and the fields that came later.
const OLDER: &[(&str, u32, &[&str])] = &[("PackageBuilt", 1, &["outputs"])];

/// A content hash.
pub(crate) struct Hash;

/// An attribute path.
pub(crate) struct Path;

/// A store path that was removed.
pub(crate) struct Removed;

/// Code, or a value that becomes code.
pub(crate) struct Code;

macro_rules! schemas {
    ($($type:ty, $name:literal: |$generator:ident| $schema:expr;)*) => {$(
        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }

            fn json_schema($generator: &mut SchemaGenerator) -> Schema {
                $schema
            }
        }
    )*};
}

schemas! {
    Hash, "ContentHash": |_generator| json_schema!({
        "description": "The SHA-256 of a file's bytes.",
        "type": "string",
        "pattern": "^[0-9A-Fa-f]{64}$",
    });
    Path, "AttributePath": |_generator| json_schema!({
        "description": "The names that lead from a set to a value in it, or the path as Nix code has it.",
        "anyOf": [
            {
                "type": "object",
                "properties": { "segments": { "type": "array", "items": { "type": "string" } } },
                "required": ["segments"],
            },
            { "type": "string" },
        ],
    });
    Removed, "RemovedPath": |_generator| json_schema!({
        "description": "A store path, or its hash and its name apart.",
        "anyOf": [
            { "type": "string" },
            {
                "type": "object",
                "properties": { "hash": { "type": "string" }, "name": { "type": "string" } },
                "required": ["hash", "name"],
            },
        ],
    });
    Code, "Code": |generator| {
        let value = generator.subschema_for::<NixValue>();
        json_schema!({
            "description": "Code, or a value that becomes the code that gives it.",
            "anyOf": [{ "type": "string" }, value],
        })
    };
    MessageId, "MessageId": |_generator| json_schema!({
        "description": "A UUID or a content id; ids with the prefixes of headers are read, too.",
        "anyOf": [
            { "type": "string", "minLength": 8 },
            {
                "type": "object",
                "properties": { "Uuid": { "type": "string", "format": "uuid" } },
                "required": ["Uuid"],
                "additionalProperties": false,
            },
            {
                "type": "object",
                "properties": { "Cid": { "type": "string", "minLength": 8, "maxLength": 128 } },
                "required": ["Cid"],
                "additionalProperties": false,
            },
        ],
    });
    Timestamp, "Timestamp": |_generator| json_schema!({
        "description": "A moment as RFC 3339. With `Z` and up to six digits of a second when written.",
        "type": "string",
        "format": "date-time",
        "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}",
    });
    NixValue, "NixValue": |generator| {
        let tagged = generator.subschema_for::<Tagged>();
        let tags = NixValue::TAGS;
        json_schema!({
            "description": "A value of Nix: tagged by its type all the way down, as it is written, or plain JSON all the way down. A set whose only name is that of a type is tagged.",
            "anyOf": [
                tagged,
                {
                    "not": {
                        "type": "object",
                        "minProperties": 1,
                        "maxProperties": 1,
                        "propertyNames": { "enum": tags },
                    },
                },
            ],
        })
    };
    Tagged, "TaggedValue": |generator| {
        let own = generator.subschema_for::<Tagged>();
        let one = |tag: &str, content: Value| serde_json::json!({
            "type": "object",
            "properties": { tag: content },
            "required": [tag],
            "additionalProperties": false,
        });
        json_schema!({
            "description": "A value of Nix, tagged by its type.",
            "anyOf": [
                { "const": "Null" },
                one("String", serde_json::json!({ "type": "string" })),
                one("Int", serde_json::json!({ "type": "integer", "minimum": i64::MIN, "maximum": i64::MAX })),
                one("Float", serde_json::json!({ "type": "number" })),
                one("Bool", serde_json::json!({ "type": "boolean" })),
                one("Path", serde_json::json!({ "type": "string" })),
                one("List", serde_json::json!({ "type": "array", "items": own })),
                one("AttrSet", serde_json::json!({ "type": "object", "additionalProperties": own })),
                one("Expression", serde_json::json!({ "type": "string" })),
            ],
        })
    };
    crate::value::OptionWire, "OptionWire": |generator| {
        let value = generator.subschema_for::<NixValue>();
        json_schema!({
            "description": "An option; a text is its type, and any other value but a set of these fields its default.",
            "anyOf": [
                {
                    "type": "object",
                    "properties": {
                        "type": { "type": "string" },
                        "default": value,
                        "example": value,
                        "description": { "type": ["string", "null"] },
                    },
                },
                { "not": { "type": "object" } },
            ],
        })
    };
}

/// A tagged value.
struct Tagged;
