//! What can be asked over HTTP, as OpenAPI 3.1.
use serde_json::{Value, json};

/// The document.
#[must_use]
pub fn openapi(version: &str) -> Value {
    json!({"openapi": "3.1.0", "info": {"title": "cim-nix", "version": version}, "paths": {}})
}
