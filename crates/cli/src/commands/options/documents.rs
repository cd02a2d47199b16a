//! Options for other programs, and as a page.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use cim_nix_options::{OptionDoc, Text};
use serde_json::{Map, Value, json};

/// An object by names, as nixpkgs' `options.json`.
pub(super) fn json(rows: &[OptionDoc]) -> String {
    let mut all = BTreeMap::new();
    for row in rows {
        // Of several with one name, the first counts there.
        all.entry(row.name.as_str()).or_insert_with(|| object(row));
    }
    let mut out = serde_json::to_string(&all).unwrap_or_default();
    out.push('\n');
    out
}

/// A list, as `lib.optionAttrSetToDocList` gives it.
pub(super) fn json_list(rows: &[OptionDoc]) -> String {
    let all = rows.iter().map(|row| {
        let mut fields = object(row);
        fields.insert("name".to_owned(), json!(row.name));
        fields.insert("internal".to_owned(), json!(row.internal));
        fields.insert("visible".to_owned(), json!(row.visible));
        Value::Object(fields)
    });
    format!("{}\n", Value::Array(all.collect()))
}

fn object(row: &OptionDoc) -> Map<String, Value> {
    let mut fields = Map::new();
    let mut set = |name: &str, value: Value| fields.insert(name.to_owned(), value);
    set("loc", json!(row.loc));
    set("declarations", json!(row.declarations));
    set("readOnly", json!(row.read_only));
    set("description", row.description.as_ref().map_or(Value::Null, Text::to_json));
    if let Some(type_) = &row.type_ {
        set("type", json!(type_));
    }
    if let Some(default) = &row.default {
        set("default", default.to_json());
    }
    if let Some(example) = &row.example {
        set("example", example.to_json());
    }
    if let Some(related) = &row.related_packages {
        set("relatedPackages", related.clone());
    }
    if let Some(current) = &row.current {
        let place = |place: &cim_nix_options::Definition| json!({ "file": place.file, "value": place.value });
        let definitions: Vec<Value> = current.definitions.iter().map(place).collect();
        let value = json!({
            "name": current.name,
            "value": current.value,
            "definitions": definitions,
        });
        set("current", value);
    }
    if !row.problems.is_empty() {
        let problem = |problem: &cim_nix_options::Problem| json!({ "part": problem.part.to_string(), "message": problem.message });
        set("problems", row.problems.iter().map(problem).collect());
    }
    fields
}

/// A page with a section for each option.
pub(super) fn markdown(rows: &[OptionDoc]) -> String {
    let mut out = String::new();
    for (at, row) in rows.iter().enumerate() {
        if at > 0 {
            out.push('\n');
        }
        let _ = writeln!(out, "## {}", code(&row.name));
        if let Some(description) = &row.description {
            let _ = write!(out, "\n{}\n", description.text().trim());
        }
        if let Some(type_) = &row.type_ {
            let _ = write!(out, "\n*Type:* {}\n", escaped(type_));
        }
        push_text(&mut out, "Default", row.default.as_ref());
        push_text(&mut out, "Example", row.example.as_ref());
        if let Some(current) = &row.current {
            let value = current.value.clone();
            let value =
                value.map(|text| Text::Marked { kind: "literalExpression".to_owned(), text });
            push_text(&mut out, "Value", value.as_ref());
            let files: Vec<&str> =
                current.definitions.iter().map(|place| place.file.as_str()).collect();
            push_files(&mut out, "Set in", &files);
        }
        if row.read_only {
            out.push_str("\n*Read-only*\n");
        }
        let files: Vec<&str> = row.declarations.iter().map(String::as_str).collect();
        push_files(&mut out, "Declared in", &files);
        for problem in &row.problems {
            let message = problem.message.split_whitespace().collect::<Vec<_>>().join(" ");
            let _ =
                write!(out, "\n*The {} failed to evaluate:* {}\n", problem.part, code(&message));
        }
    }
    out
}

fn push_text(out: &mut String, label: &str, text: Option<&Text>) {
    let Some(text) = text else { return };
    let is_code = text.is_code();
    let text = text.text();
    let text = text.trim_end();
    if !is_code {
        let _ = write!(out, "\n*{label}:* {text}\n");
    } else if text.contains('\n') {
        let fence = "`".repeat(longest_run(text).max(2) + 1);
        let _ = write!(out, "\n*{label}:*\n\n{fence}nix\n{text}\n{fence}\n");
    } else {
        let _ = write!(out, "\n*{label}:* {}\n", code(text));
    }
}

fn push_files(out: &mut String, label: &str, files: &[&str]) {
    if !files.is_empty() {
        let files: Vec<String> = files.iter().map(|file| code(file)).collect();
        let _ = write!(out, "\n*{label}:* {}\n", files.join(", "));
    }
}

/// Text in as many backquotes as it needs.
fn code(text: &str) -> String {
    let marks = "`".repeat(longest_run(text) + 1);
    let pad = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    format!("{marks}{pad}{text}{pad}{marks}")
}

/// How many backquotes follow on each other at most.
fn longest_run(text: &str) -> usize {
    let runs = text.split(|c| c != '`').map(str::len);
    runs.max().unwrap_or(0)
}

/// Text that stands for itself in Markdown.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '\\' | '`' | '*' | '_' | '<' | '[' | ']' | '|') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_gets_as_many_quotes_as_it_needs() {
        assert_eq!(code("a.b"), "`a.b`");
        assert_eq!(code("a``b"), "```a``b```");
        assert_eq!(code("`a`"), "`` `a` ``");
    }

    #[test]
    fn pages_show_code_as_code() {
        let marked = |kind: &str, text: &str| {
            Some(Text::Marked { kind: kind.to_owned(), text: text.to_owned() })
        };
        let row = OptionDoc {
            name: "a.<name>.b".to_owned(),
            type_: Some("null or <x>".to_owned()),
            default: marked("literalExpression", "[\n  1\n]"),
            example: marked("literalMD", "see *there*"),
            ..OptionDoc::default()
        };
        expect_test::expect![[r#"
            ## `a.<name>.b`

            *Type:* null or \<x>

            *Default:*

            ```nix
            [
              1
            ]
            ```

            *Example:* see *there*
        "#]]
        .assert_eq(&markdown(&[row]));
    }
}
