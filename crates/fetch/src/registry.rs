//! Registries: files that give names such as `nixpkgs` to references.

use cim_nix_eval::Io;
use cim_nix_model::{FlakeRef, RefAttr, RefAttrs};

use crate::{Fetching, Res};

fn reference(json: &serde_json::Value) -> Option<FlakeRef> {
    let mut attrs = RefAttrs::new();
    for (name, value) in json.as_object()? {
        let attr = match value {
            serde_json::Value::String(text) => RefAttr::Text(text.clone()),
            serde_json::Value::Bool(flag) => RefAttr::Bool(*flag),
            value => RefAttr::Number(value.as_u64()?),
        };
        attrs.insert(name.clone(), attr);
    }
    FlakeRef::from_attrs(attrs).ok()
}

/// What a registry's text has for a reference.
fn look_up(text: &str, wanted: &FlakeRef) -> Res<Option<FlakeRef>> {
    let json: serde_json::Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let entries = json["flakes"].as_array().cloned().unwrap_or_default();
    for entry in entries {
        let (Some(from), Some(mut to)) = (reference(&entry["from"]), reference(&entry["to"]))
        else {
            continue;
        };
        let is_exact = entry["exact"].as_bool().unwrap_or(false);
        if from.source() == wanted.source() {
            return Ok(Some(to));
        }
        if is_exact || from.text("id") != wanted.text("id") {
            continue;
        }
        // What the reference says beyond the name wins over what the entry says.
        for name in ["ref", "rev"] {
            if let Some(value) = wanted.text(name) {
                to.remove(if name == "ref" { "rev" } else { "ref" });
                to.set(name, RefAttr::Text(value.to_owned()));
            }
        }
        if !wanted.dir().is_empty() {
            to = to.with_dir(wanted.dir());
        }
        return Ok(Some(to));
    }
    Ok(None)
}

/// The reference that an indirect one stands for.
pub(crate) fn resolve<I: Io>(fetching: &Fetching<I>, wanted: &FlakeRef) -> Res<FlakeRef> {
    let mut at = wanted.clone();
    // A name may lead to another one; more than a few are a circle.
    for _ in 0..100 {
        if at.kind() != "indirect" {
            return Ok(at);
        }
        let mut found = None;
        for place in &fetching.settings.registries {
            let text = match place.contains("://") {
                false => std::fs::read_to_string(place).ok(),
                true => fetching
                    .get(place, &[])
                    .ok()
                    .and_then(|file| std::fs::read_to_string(file.path()).ok()),
            };
            let Some(text) = text else { continue };
            found =
                look_up(&text, &at).map_err(|error| format!("in registry '{place}': {error}"))?;
            if found.is_some() {
                break;
            }
        }
        match found {
            Some(next) => at = next,
            None => return Err(format!("cannot find flake '{at}' in the flake registries")),
        }
    }
    Err(format!("cycle in the flake registries for '{wanted}'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{"version":2,"flakes":[
      {"from":{"type":"indirect","id":"nixpkgs"},"to":{"type":"github","owner":"NixOS","repo":"nixpkgs","ref":"unstable"}},
      {"from":{"type":"indirect","id":"one"},"exact":true,"to":{"type":"path","path":"/one"}}]}"#;

    fn found(url: &str) -> String {
        let wanted = FlakeRef::parse(url).expect("the test's own reference");
        look_up(TEXT, &wanted)
            .map(|found| found.map_or("-".to_owned(), |f| f.to_string()))
            .unwrap_or_else(|e| e)
    }

    #[test]
    fn names_lead_to_references() {
        assert_eq!(found("nixpkgs"), "github:NixOS/nixpkgs/unstable");
        assert_eq!(found("nixpkgs/24.05"), "github:NixOS/nixpkgs/24.05");
        assert_eq!(
            found("nixpkgs/0123456789012345678901234567890123456789"),
            "github:NixOS/nixpkgs/0123456789012345678901234567890123456789"
        );
        assert_eq!(found("one"), "path:/one");
        assert_eq!(found("one/x"), "-");
        assert_eq!(found("other"), "-");
    }
}
