//! Paths and references that lead out of the tenant's folder, in every field of every command. The
//! fields are found in the schemas: one that is new has to be classed here before the test passes.

use cim_domain_nix::Subject;
use serde_json::{Map, Value, json};

use super::Row;
use super::world::{CANARY, Got, Who, World};

/// What a text of a command is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Field {
    /// A path, or a name that leads to a file: what leads out is refused.
    Path,
    /// A folder, or nothing for the tenant's own.
    Folder,
    /// A file below the folder.
    File,
    /// A flake reference or another source.
    Source,
    /// A program, or a word that one gets: what is no plain word is refused or does nothing.
    Word,
    /// Text, or code that is written down and evaluated by the worker alone, if at all.
    Text,
}

/// What a field is, by the last names that lead to it.
fn class(command: &str, names: &[String]) -> Option<Field> {
    let last = names.iter().rev().find(|name| *name != "0" && *name != "key")?;
    let owner = names.first()?;
    Some(match (command, owner.as_str(), last.as_str()) {
        (_, "path" | "project", _) => Field::Folder,
        ("CreateConfiguration" | "UpdateConfiguration", "configuration", "path") => Field::File,
        (_, _, "file") => Field::File,
        (_, "profile" | "store_path" | "output_path", _) => Field::Path,
        (_, "flake_ref" | "template" | "url" | "cache", _) => Field::Source,
        (_, "edit", "url") => Field::Source,
        ("CreateModule" | "UpdateModule" | "DeleteModule", "name", _) => Field::Path,
        ("CreateOverlay" | "UpdateOverlay" | "DeleteOverlay", "name", _) => Field::Path,
        ("CreateConfiguration" | "UpdateConfiguration", "name", _) => Field::Path,
        ("ActivateConfiguration" | "RollbackConfiguration", "name", _) => Field::Path,
        (_, "formatter", _) => Field::Word,
        (_, "name" | "inputs" | "select" | "attribute" | "follows", _) => Field::Word,
        (_, "edit", "name" | "from" | "to" | "input" | "target" | "attribute" | "system") => {
            Field::Word
        }
        (_, "edit", "expression" | "description") => Field::Text,
        (_, "description" | "expression" | "to" | "activation_type", _) => Field::Text,
        (_, "module" | "overlay" | "configuration", _) => Field::Text,
        _ => return None,
    })
}

/// A place for a text in a command.
#[derive(Clone, Debug)]
struct Leaf {
    command: String,
    names: Vec<String>,
    /// The command with some text at the place.
    with: Vec<Step>,
}

#[derive(Clone, Debug)]
enum Step {
    Field(String, Map<String, Value>),
    Item,
    Value,
    Key,
}

/// Finds the places for texts.
struct Finder<'d> {
    schemas: &'d Value,
    found: Vec<Leaf>,
    command: String,
}

impl Finder<'_> {
    fn resolve<'a>(&'a self, schema: &'a Value) -> &'a Value {
        match schema["$ref"].as_str() {
            Some(name) => &self.schemas[name.rsplit('/').next().expect("a name")],
            None => schema,
        }
    }

    fn walk(&mut self, schema: &Value, names: &[String], steps: &[Step], depth: usize) {
        let schema = self.resolve(schema).clone();
        let named = |more: &str| [names, &[more.to_owned()]].concat();
        let stepped = |more: Step| [steps, &[more]].concat();
        for variants in ["anyOf", "oneOf", "allOf"] {
            for variant in schema[variants].as_array().into_iter().flatten() {
                // Values of Nix hold values of Nix; a few levels show all there is.
                if depth < 6 && variant.get("not").is_none() {
                    self.walk(variant, names, steps, depth + 1);
                }
            }
        }
        let is = |kind: &str| {
            schema["type"] == kind
                || schema["type"].as_array().is_some_and(|all| all.iter().any(|it| it == kind))
        };
        let is_free = schema.get("enum").is_none()
            && schema.get("const").is_none()
            && schema["format"] != "uuid";
        if is("string") && is_free {
            self.found.push(Leaf {
                command: self.command.clone(),
                names: names.to_vec(),
                with: steps.to_vec(),
            });
        }
        if schema["items"].is_object() && depth < 6 {
            self.walk(&schema["items"], &named("0"), &stepped(Step::Item), depth + 1);
        }
        if schema["additionalProperties"].is_object() && depth < 6 {
            let values = &schema["additionalProperties"];
            self.walk(values, &named("0"), &stepped(Step::Value), depth + 1);
            self.found.push(Leaf {
                command: self.command.clone(),
                names: named("key"),
                with: stepped(Step::Key),
            });
        }
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            // Which message it is: ids and nothing else.
            if name == "identity" || depth >= 6 {
                continue;
            }
            let mut others = self.needed(&schema, 0);
            others.remove(name);
            self.walk(field, &named(name), &stepped(Step::Field(name.clone(), others)), depth + 1);
        }
    }

    /// The fields that have to be there, with something harmless.
    fn needed(&self, schema: &Value, depth: usize) -> Map<String, Value> {
        let names = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
        names
            .map(|name| {
                let field = &schema["properties"][name];
                (name.to_owned(), self.harmless(name, field, depth))
            })
            .collect()
    }

    fn harmless(&self, name: &str, schema: &Value, depth: usize) -> Value {
        let schema = self.resolve(schema);
        match name {
            "path" | "flake_ref" => return json!("fleet"),
            "url" => return json!("path:./dep"),
            "file" => return json!("flake.nix"),
            "system" => return json!("x86_64-linux"),
            "attribute" => return json!("x"),
            "activation_type" => return json!("Switch"),
            "cache" => return json!("https://cache.example.org"),
            _ => {}
        }
        if schema["properties"].is_object() && depth < 4 {
            return Value::Object(self.needed(schema, depth + 1));
        }
        match schema["type"].as_str() {
            Some("integer" | "number") => json!(0),
            Some("boolean") => json!(false),
            Some("array") => json!([]),
            Some("object") => json!({}),
            _ => json!("web"),
        }
    }
}

impl Leaf {
    fn body(&self, text: &str) -> Value {
        let mut value = json!(text);
        for step in self.with.iter().rev() {
            value = match step {
                Step::Field(name, others) => {
                    let mut fields = others.clone();
                    fields.insert(name.clone(), value);
                    Value::Object(fields)
                }
                Step::Item => json!([value]),
                Step::Value => json!({ "x": value }),
                Step::Key => json!({ text: "1" }),
            };
        }
        value
    }

    fn shown(&self) -> String {
        format!("{}.{}", self.command, self.names.join("."))
    }
}

/// All places for texts in all commands.
fn leaves(world: &World) -> Vec<Leaf> {
    let output = world.scene.cli(&["openapi"]);
    let document: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let mut finder = Finder {
        schemas: &document["components"]["schemas"],
        found: Vec::new(),
        command: String::new(),
    };
    let paths = document["paths"].as_object().expect("there are some");
    let commands: Vec<&str> =
        paths.keys().filter_map(|path| path.strip_prefix("/v1/{tenant}/commands/")).collect();
    assert!(commands.len() >= 22, "{commands:?}");
    for command in commands {
        command.clone_into(&mut finder.command);
        let schema = finder.schemas[command].clone();
        finder.walk(&schema, &[], &[], 0);
    }
    finder.found
}

/// What leads out, by what the field is.
fn hostile(world: &World, field: Field) -> Vec<String> {
    let out = world.outside("secret.nix");
    let folder = world.outside("");
    let mut all: Vec<String> = match field {
        Field::Path | Field::Word | Field::Text => vec![
            out.clone(),
            "../secret.nix".to_owned(),
            "fleet/../../outside/secret.nix".to_owned(),
            "away/secret.nix".to_owned(),
            "/etc/passwd".to_owned(),
            "--option".to_owned(),
            "a\0b".to_owned(),
        ],
        Field::Folder => vec![
            folder.clone(),
            "..".to_owned(),
            "../outside".to_owned(),
            "fleet/../..".to_owned(),
            "away".to_owned(),
            "/etc".to_owned(),
            "/".to_owned(),
            "fleet/.git".to_owned(),
            "-x".to_owned(),
            "a\0b".to_owned(),
        ],
        Field::File => vec![
            out.clone(),
            "../secret.nix".to_owned(),
            "away/secret.nix".to_owned(),
            ".git/config".to_owned(),
            ".cim-nix/x".to_owned(),
            "a\0b".to_owned(),
        ],
        Field::Source => vec![
            "file:///etc/passwd".to_owned(),
            "path:/etc".to_owned(),
            "git+file:///etc".to_owned(),
            "tarball+file:///etc/passwd".to_owned(),
            format!("path:{folder}"),
            folder.clone(),
            "path:../outside".to_owned(),
            "./away".to_owned(),
            "--option".to_owned(),
            "https://169.254.169.254/x.tar.gz".to_owned(),
            "git+ssh://evil.example/x".to_owned(),
            "a\0b".to_owned(),
        ],
    };
    if field == Field::Text {
        all.push(format!("builtins.readFile \"{out}\""));
    }
    all
}

fn is_refusal(got: &Got) -> bool {
    ["400", "422", "404", "malformed", "rejected", "not_found", "denied"].contains(&&*got.kind)
}

#[test]
fn no_field_of_any_command_leads_out() {
    let Some(world) = World::new("") else { return };
    let leaves = leaves(&world);
    assert!(leaves.len() > 80, "{}", leaves.len());
    let unknown: Vec<String> = leaves
        .iter()
        .filter(|leaf| class(&leaf.command, &leaf.names).is_none())
        .map(Leaf::shown)
        .collect();
    assert!(unknown.is_empty(), "say of what kind these fields are: {unknown:#?}");
    let mut n_refused = 0;
    for leaf in leaves {
        let field = class(&leaf.command, &leaf.names).expect("just looked at");
        let must_refuse =
            matches!(field, Field::Path | Field::Folder | Field::File | Field::Source);
        let before = world.state();
        let mut last = Got::new("", "");
        // What is code is tried once for each command: all of it goes the same way.
        let some = if must_refuse { usize::MAX } else { 2 };
        // What is harmless is refused for no such reason, so it is the path that is.
        let harmless = match field {
            Field::Folder => Some("fleet"),
            Field::File => Some("flake.nix"),
            _ => None,
        };
        if let Some(text) = harmless {
            let path = format!("/v1/acme/commands/{}?dry_run=true", leaf.command);
            let headers = "Content-Type: application/json\r\n";
            let got = world.post(Who::Operator, &path, headers, &leaf.body(text).to_string());
            assert!(!got.text.contains("outside of the project"), "{}: {got:?}", leaf.shown());
        }
        for (at, text) in hostile(&world, field).iter().enumerate().take(some) {
            let body = leaf.body(text).to_string();
            let subject = Subject::of(&leaf.command).map(Subject::as_str);
            // One carrier after the other: what refuses lies behind both.
            let got = match subject {
                Some(subject) if at % 2 == 0 => world.ask(Who::Operator, subject, "", &body),
                _ => world.command(Who::Operator, &leaf.command, "", &body),
            };
            let shown = format!("{} = {text:?}: {got:?}", leaf.shown());
            assert!(!got.text.contains(CANARY) && !got.text.contains("root:x"), "{shown}");
            if must_refuse {
                assert!(is_refusal(&got), "{shown} {body} {}", world.scene.log());
                n_refused += 1;
            }
            last = got;
        }
        world.check(&leaf.shown(), &before, !must_refuse, &last);
    }
    assert!(n_refused > 200, "{n_refused}");
}

/// Flake references, where they may stand.
pub(super) fn rows() -> Vec<Row> {
    let references = [
        ("flake-ref-file", "file:///etc/passwd"),
        ("flake-ref-path", "path:/etc"),
        ("flake-ref-git-file", "git+file:///etc"),
        ("flake-ref-tarball-file", "tarball+file:///etc/passwd"),
        ("flake-ref-metadata", "http://169.254.169.254/latest/meta-data"),
        ("flake-ref-loopback", "http://127.0.0.1:8222/varz"),
        ("flake-ref-ssh-option", "git+ssh://-oProxyCommand=id/x"),
        ("flake-ref-ext", "git+ext::sh -c id"),
        ("flake-ref-indirect", "nixpkgs"),
    ];
    let mut rows = Vec::new();
    for (name, reference) in references {
        rows.push(Row::new(name, &["rejected", "malformed"], move |world| {
            let flake = world.folder(Who::Operator).join("fleet").display().to_string();
            let body = json!({ "path": flake, "name": "d", "url": reference });
            let over_http = world.command(Who::Operator, "AddFlakeInput", "", &body.to_string());
            assert!(is_refusal(&over_http), "{over_http:?}");
            world.ask(Who::Operator, "nix.cmd.flake.add_input", "", &body.to_string())
        }));
    }
    // Code that names them, in files that somebody has put there.
    for (name, input) in [
        ("flake-code-file", "file:///etc/passwd"),
        ("flake-code-path", "path:../../outside"),
        ("flake-code-link", "path:../away"),
    ] {
        rows.push(Row::new(name, &["200", "422"], move |world| {
            let flake = world.folder(Who::Operator).join("hostile");
            std::fs::create_dir_all(&flake).expect("the folder is ours");
            let text = format!(
                "{{ inputs.d.url = \"{input}\"; inputs.d.flake = false; outputs = {{ d, ... }}: {{ x = builtins.readFile d; }}; }}\n"
            );
            std::fs::write(flake.join("flake.nix"), text).expect("the folder is ours");
            let shown = flake.display().to_string();
            let locked = json!({ "path": shown }).to_string();
            let locked = world.command(Who::Operator, "UpdateFlake", "", &locked);
            // What is relative is locked as it is written, and not looked at before it is used.
            assert!(input.contains("..") || is_refusal(&locked), "{name}: {locked:?}");
            let expression = format!("(builtins.getFlake \"path:{shown}\").x");
            let expression = json!({ "expression": expression }).to_string();
            let got = world.command(Who::Operator, "EvaluateExpression", "", &expression);
            assert_ne!(got.json()["events"][0]["event"]["is_error"], false, "{name}: {got:?}");
            got
        })
        .recorded());
    }
    rows
}

#[test]
fn references_lead_nowhere() {
    let Some(world) = World::new("") else { return };
    super::attack(&world, rows());
}
