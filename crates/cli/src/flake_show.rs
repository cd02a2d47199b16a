//! The outputs of a flake as a tree, by the rules of `nix flake show`.

use cim_nix_eval::{ErrorKind, EvalError, Evaluation, Format, Handle};
use serde_json::{Map, Value, json};

use crate::terminal::{self, Out, printable};

type Res<T> = Result<T, Box<EvalError>>;

/// What is shown of a flake.
#[derive(Clone, Copy)]
pub(crate) struct ShowOptions<'s> {
    /// The system whose outputs are shown.
    pub(crate) system: &'s str,
    pub(crate) has_all_systems: bool,
    pub(crate) has_legacy: bool,
    pub(crate) is_json: bool,
}

/// Prints the outputs, as a tree below `title` or as JSON. The tree is printed while it is
/// evaluated, so that it is there up to a failure.
pub(crate) fn show(
    evaluation: &Evaluation,
    outputs: Handle<'_>,
    title: &str,
    options: ShowOptions<'_>,
    out: &mut Out,
) -> Res<()> {
    let mut shower = Shower { evaluation, options, out };
    let json = shower.visit(outputs, &mut Vec::new(), title, "")?;
    if options.is_json {
        out.line(json.to_string());
    }
    Ok(())
}

/// What is done with what stands at a path.
enum Role {
    Group,
    /// A derivation that is for one system.
    Derivation,
    Job,
    Legacy,
    App,
    Template,
    /// What it is in words, and in JSON.
    Leaf(&'static str, &'static str),
}

fn role(path: &[String]) -> Role {
    match (path.first().map_or("", String::as_str), path.len()) {
        ("", 0)
        | (
            "defaultPackage"
            | "devShell"
            | "formatter"
            | "nixosConfigurations"
            | "nixosModules"
            | "defaultApp"
            | "templates"
            | "overlays"
            | "legacyPackages",
            1,
        )
        | ("checks" | "packages" | "devShells" | "apps", 1 | 2) => Role::Group,
        ("defaultPackage" | "devShell" | "formatter", 2)
        | ("checks" | "packages" | "devShells", 3) => Role::Derivation,
        ("hydraJobs", _) => Role::Job,
        ("legacyPackages", _) => Role::Legacy,
        ("defaultApp", 2) | ("apps", 3) => Role::App,
        ("defaultTemplate", 1) | ("templates", 2) => Role::Template,
        ("overlay", 1) | ("overlays", 2) => Role::Leaf("Nixpkgs overlay", "nixpkgs-overlay"),
        ("nixosConfigurations", 2) => Role::Leaf("NixOS configuration", "nixos-configuration"),
        ("nixosModule", 1) | ("nixosModules", 2) => Role::Leaf("NixOS module", "nixos-module"),
        _ => Role::Leaf("unknown", "unknown"),
    }
}

struct Shower<'s, 'e> {
    evaluation: &'e Evaluation,
    options: ShowOptions<'s>,
    out: &'s mut Out,
}

impl<'e> Shower<'_, 'e> {
    /// Shows what stands at a path; `head` begins its line, `next` those below.
    fn visit(
        &mut self,
        value: Handle<'e>,
        path: &mut Vec<String>,
        head: &str,
        next: &str,
    ) -> Res<Value> {
        let is_legacy = path.first().is_some_and(|first| first == "legacyPackages");
        match self.node(value, path, head, next) {
            // Package sets may have packages that cannot be evaluated.
            Err(error) if is_legacy && error.kind != ErrorKind::Limit => Ok(json!({})),
            shown => shown,
        }
    }

    fn node(
        &mut self,
        value: Handle<'e>,
        path: &mut Vec<String>,
        head: &str,
        next: &str,
    ) -> Res<Value> {
        let ShowOptions { system, has_all_systems, has_legacy, .. } = self.options;
        let is_other = !has_all_systems && path.get(1).is_some_and(|known| known != system);
        match role(path) {
            Role::Group => self.group(value, path, head, next),
            Role::Legacy if !has_legacy => {
                Ok(self.omitted(path, head, "omitted (use '--legacy' to show)"))
            }
            Role::Derivation | Role::Legacy if is_other => {
                Ok(self.omitted(path, head, "omitted (use '--all-systems' to show)"))
            }
            role @ (Role::Derivation | Role::Job | Role::Legacy) => {
                let shown = self.derivations(value, path, head, next, role);
                match shown {
                    Err(error) if error.kind == ErrorKind::Unsupported => {
                        Ok(self.omitted(path, head, "omitted due to use of import from derivation"))
                    }
                    shown => shown,
                }
            }
            Role::App => {
                if self.text(value, "type")?.as_deref() != Some("app") {
                    return Err(Box::new(EvalError::other("not an app definition".to_owned())));
                }
                let description = self.description(value)?;
                let shown = description.as_deref().unwrap_or("no description");
                self.line(format!("{head}: app: {shown}"));
                let mut json = Map::from_iter([("type".to_owned(), json!("app"))]);
                json.extend(description.map(|text| ("description".to_owned(), json!(text))));
                Ok(Value::Object(json))
            }
            Role::Template => {
                let Some(description) = self.text(value, "description")? else {
                    let message = format!("attribute '{}.description' missing", path.join("."));
                    return Err(Box::new(EvalError::other(message)));
                };
                self.line(format!("{head}: template: {description}"));
                Ok(json!({"type": "template", "description": description}))
            }
            Role::Leaf(words, kind) => {
                self.line(format!("{head}: {words}"));
                Ok(json!({"type": kind}))
            }
        }
    }

    fn line(&mut self, text: String) {
        if !self.options.is_json {
            self.out.line(printable(&text));
        }
    }

    /// Says that something is not shown, and how it would be.
    fn omitted(&mut self, path: &[String], head: &str, why: &str) -> Value {
        match self.options.is_json {
            true => terminal::say(&format!("warning: {} {why}", path.join("."))),
            false => self.line(format!("{head} {why}")),
        }
        json!({})
    }

    fn derivations(
        &mut self,
        value: Handle<'e>,
        path: &mut Vec<String>,
        head: &str,
        next: &str,
        role: Role,
    ) -> Res<Value> {
        if self.text(value, "type")?.as_deref() == Some("derivation") {
            return self.derivation(value, path, head);
        }
        match role {
            Role::Job => self.group(value, path, head, next),
            Role::Legacy if path.len() <= 2 => self.group(value, path, head, next),
            Role::Legacy => Ok(json!({})),
            _ => {
                // As Nix says it.
                terminal::say(&format!("warning: {}.name is not a derivation", path.join(".")));
                Ok(json!({}))
            }
        }
    }

    fn group(
        &mut self,
        value: Handle<'e>,
        path: &mut Vec<String>,
        head: &str,
        next: &str,
    ) -> Res<Value> {
        let mut members = Vec::new();
        let names = self.names(value, path)?;
        self.line(head.to_owned());
        for name in names {
            let Some(member) = self.evaluation.attr(value, &name)? else { continue };
            path.push(name.clone());
            if self.has_content(member, path) {
                members.push((name, member));
            }
            path.pop();
        }
        let mut json = Map::new();
        for (at, (name, member)) in members.iter().enumerate() {
            let is_last = at + 1 == members.len();
            let (branch, below) =
                if is_last { ("└───", "    ") } else { ("├───", "│   ") };
            path.push(name.clone());
            let (head, next) = (format!("{next}{branch}{name}"), format!("{next}{below}"));
            let shown = self.visit(*member, path, &head, &next);
            path.pop();
            json.insert(name.clone(), shown?);
        }
        Ok(Value::Object(json))
    }

    /// The names of a set's attributes.
    fn names(&self, value: Handle<'e>, path: &[String]) -> Res<Vec<String>> {
        let value = self.evaluation.force(value, false)?;
        if self.evaluation.type_word(value) != "set" {
            let message = format!("'{}' is not an attribute set", path.join("."));
            return Err(Box::new(EvalError::other(message)));
        }
        self.evaluation.attr_names(value)
    }

    /// Whether something is worth a line. Frameworks give a set for every system and kind, most of
    /// them empty.
    fn has_content(&self, value: Handle<'e>, path: &mut Vec<String>) -> bool {
        let is_group = matches!(
            (path.first().map_or("", String::as_str), path.len()),
            ("apps" | "checks" | "devShells" | "legacyPackages" | "packages", 1 | 2)
                | ("formatter" | "nixosConfigurations" | "nixosModules" | "overlays", 1)
        );
        if !is_group {
            return true;
        }
        // What fails is told when it is shown.
        let Ok(names) = self.names(value, path) else { return true };
        names.into_iter().any(|name| {
            let Ok(Some(member)) = self.evaluation.attr(value, &name) else { return true };
            path.push(name);
            let has_content = self.has_content(member, path);
            path.pop();
            has_content
        })
    }

    fn text(&self, value: Handle<'e>, name: &str) -> Res<Option<String>> {
        let Some(member) = self.evaluation.attr(value, name)? else { return Ok(None) };
        let member = self.evaluation.force(member, false)?;
        if self.evaluation.type_word(member) != "string" {
            return Ok(None);
        }
        let bytes = self.evaluation.write(member, Format::Raw, false)?;
        Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
    }

    fn description(&self, value: Handle<'e>) -> Res<Option<String>> {
        match self.evaluation.attr(value, "meta")? {
            Some(meta) => self.text(meta, "description"),
            None => Ok(None),
        }
    }

    fn derivation(&mut self, value: Handle<'e>, path: &[String], head: &str) -> Res<Value> {
        let name = self.text(value, "name")?.unwrap_or_default();
        if !self.options.is_json {
            let what = match path[0].as_str() {
                "devShell" | "devShells" => "development environment",
                "checks" | "hydraJobs" => "derivation",
                _ => "package",
            };
            self.line(format!("{head}: {what} '{name}'"));
            return Ok(Value::Null);
        }
        let description = self.description(value)?.unwrap_or_default();
        Ok(json!({"type": "derivation", "name": name, "description": description}))
    }
}
