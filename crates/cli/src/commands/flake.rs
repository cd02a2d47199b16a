//! `cim-nix flake`: what a flake has, and where it and its inputs come from.

use std::collections::HashSet;

use cim_nix_base::Error;
use cim_nix_eval::{EvalError, Evaluation, Format, Handle, LockedFlake};
use cim_nix_model::{Edge, LockFile, NodeId, show_input_path};
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use crate::evaluation::EvalArgs;
use crate::exit::Exit;
use crate::installable::Installable;
use crate::lock_args::LockArgs;
use crate::terminal::Out;

const EXAMPLES: &str = "\
Examples:
  cim-nix flake show                     the outputs of the flake here
  cim-nix flake show github:owner/repo --json
  cim-nix flake metadata                 where it and its inputs come from

Nix need not be installed. Flakes are evaluated with their lock files.
Exit status: 0 shown, 1 evaluation failed, 2 wrong usage, 3 the machine failed.";

/// Show what a flake has and where it comes from
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct FlakeArgs {
    #[command(subcommand)]
    command: FlakeCommand,
}

#[derive(Subcommand, Debug)]
enum FlakeCommand {
    /// Show the outputs of a flake
    Show(ShowArgs),
    /// Show where a flake and its inputs come from
    Metadata(MetadataArgs),
}

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
struct ShowArgs {
    /// The flake
    #[arg(value_name = "FLAKE", default_value = ".")]
    flake: String,
    /// Show what is for other systems, too
    #[arg(long)]
    all_systems: bool,
    /// Show what is in `legacyPackages`, too
    #[arg(long)]
    legacy: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    lock_args: LockArgs,
    #[command(flatten)]
    eval_args: EvalArgs,
}

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
struct MetadataArgs {
    /// The flake
    #[arg(value_name = "FLAKE", default_value = ".")]
    flake: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    lock_args: LockArgs,
    #[command(flatten)]
    eval_args: EvalArgs,
}

pub(crate) fn run(args: &FlakeArgs) -> Result<Exit, Error> {
    match &args.command {
        FlakeCommand::Show(args) => show(args),
        FlakeCommand::Metadata(args) => metadata(args),
    }
}

type Res<T> = Result<T, Box<EvalError>>;

fn failed<T>(message: String) -> Res<T> {
    Err(Box::new(EvalError::other(message)))
}

/// One output or a group of them.
enum Node {
    Group(Vec<(String, Self)>),
    /// What it is in words, and as JSON.
    Leaf(String, Value),
    Omitted(&'static str),
}

fn show(args: &ShowArgs) -> Result<Exit, Error> {
    let flake = Installable::parse(&args.flake)?.flake;
    let request = args.lock_args.request()?;
    let mut surroundings = args.eval_args.surroundings()?;
    surroundings.with_flakes(true, args.eval_args.impure);
    let system = surroundings.settings.system.clone();
    surroundings.evaluate(|evaluation, _, out| {
        request.prepare(evaluation)?;
        let flake = evaluation.lock(&flake, &request.options)?;
        let value = evaluation.flake(&flake)?;
        let outputs = evaluation.attr(value, "outputs")?.unwrap_or(value);
        let shower = Shower { evaluation, args, system: &system };
        let tree = shower.visit(outputs, &mut Vec::new())?;
        if args.json {
            out.line(as_json(&tree).to_string());
        } else {
            out.line(flake.locked.to_string());
            draw(&tree, "", out);
        }
        Ok(())
    })
}

struct Shower<'s, 'e> {
    evaluation: &'e Evaluation,
    args: &'s ShowArgs,
    system: &'s str,
}

impl<'e> Shower<'_, 'e> {
    /// What stands at a path, by the rules of `nix flake show`.
    fn visit(&self, value: Handle<'e>, path: &mut Vec<String>) -> Res<Node> {
        let kind = path.first().map_or("", String::as_str);
        let is_other_system = |path: &[String]| {
            !self.args.all_systems && path.get(1).is_some_and(|system| system != self.system)
        };
        let other_system = Node::Omitted("use '--all-systems' to show");
        match (kind, path.len()) {
            ("", 0) => self.group(value, path),
            (
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
            | ("checks" | "packages" | "devShells" | "apps", 1 | 2) => self.group(value, path),
            ("defaultPackage" | "devShell" | "formatter", 2)
            | ("checks" | "packages" | "devShells", 3) => {
                if is_other_system(path) {
                    return Ok(other_system);
                }
                match self.is_derivation(value)? {
                    true => self.derivation(value, path),
                    false => failed(format!("'{}' is not a derivation", path.join("."))),
                }
            }
            ("hydraJobs", _) => match self.is_derivation(value)? {
                true => self.derivation(value, path),
                false => self.group(value, path),
            },
            ("legacyPackages", _) => {
                if !self.args.legacy {
                    return Ok(Node::Omitted("use '--legacy' to show"));
                }
                if is_other_system(path) {
                    return Ok(other_system);
                }
                if self.is_derivation(value)? {
                    return self.derivation(value, path);
                }
                let descends = self.evaluation.attr(value, "recurseForDerivations")?;
                let descends = match descends {
                    Some(flag) => {
                        let flag = self.evaluation.force(flag, false)?;
                        self.evaluation.write(flag, Format::Nix, false)? == b"true"
                    }
                    None => false,
                };
                match path.len() <= 2 || descends {
                    true => self.group(value, path),
                    false => Ok(Node::Group(Vec::new())),
                }
            }
            ("defaultApp", 2) | ("apps", 3) => {
                if self.text(value, "type")?.as_deref() != Some("app") {
                    return failed(format!("'{}' is not an app definition", path.join(".")));
                }
                let description = match self.evaluation.attr(value, "meta")? {
                    Some(meta) => self.text(meta, "description")?,
                    None => None,
                };
                let shown = description.as_deref().unwrap_or("no description");
                let mut json = Map::from_iter([("type".to_owned(), json!("app"))]);
                json.extend(
                    description.clone().map(|text| ("description".to_owned(), json!(text))),
                );
                Ok(Node::Leaf(format!("app: {shown}"), Value::Object(json)))
            }
            ("defaultTemplate", 1) | ("templates", 2) => {
                let description = self.text(value, "description")?.unwrap_or_default();
                let json = json!({"type": "template", "description": description});
                Ok(Node::Leaf(format!("template: {description}"), json))
            }
            ("overlay", 1) | ("overlays", 2) => {
                Ok(Node::Leaf("Nixpkgs overlay".to_owned(), json!({"type": "nixpkgs-overlay"})))
            }
            ("nixosConfigurations", 2) => Ok(Node::Leaf(
                "NixOS configuration".to_owned(),
                json!({"type": "nixos-configuration"}),
            )),
            ("nixosModule", 1) | ("nixosModules", 2) => {
                Ok(Node::Leaf("NixOS module".to_owned(), json!({"type": "nixos-module"})))
            }
            _ => Ok(Node::Leaf("unknown".to_owned(), json!({"type": "unknown"}))),
        }
    }

    fn group(&self, value: Handle<'e>, path: &mut Vec<String>) -> Res<Node> {
        let mut members = Vec::new();
        for name in self.evaluation.attr_names(value)? {
            let Some(member) = self.evaluation.attr(value, &name)? else { continue };
            path.push(name.clone());
            let node = self.visit(member, path);
            path.pop();
            members.push((name, node?));
        }
        Ok(Node::Group(members))
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

    fn is_derivation(&self, value: Handle<'e>) -> Res<bool> {
        Ok(self.text(value, "type")?.as_deref() == Some("derivation"))
    }

    fn derivation(&self, value: Handle<'e>, path: &[String]) -> Res<Node> {
        let name = self.text(value, "name")?.unwrap_or_default();
        let description = match self.evaluation.attr(value, "meta")? {
            Some(meta) => self.text(meta, "description")?.unwrap_or_default(),
            None => String::new(),
        };
        let what = match path[0].as_str() {
            "devShell" | "devShells" => "development environment",
            "checks" | "hydraJobs" => "derivation",
            _ => "package",
        };
        let json = json!({"type": "derivation", "name": name, "description": description});
        Ok(Node::Leaf(format!("{what} '{name}'"), json))
    }
}

fn as_json(node: &Node) -> Value {
    match node {
        Node::Group(members) => {
            members.iter().map(|(name, node)| (name.clone(), as_json(node))).collect()
        }
        Node::Leaf(_, json) => json.clone(),
        Node::Omitted(_) => json!({}),
    }
}

fn draw(node: &Node, indent: &str, out: &mut Out) {
    let Node::Group(members) = node else { return };
    for (at, (name, member)) in members.iter().enumerate() {
        let is_last = at + 1 == members.len();
        let (branch, below) =
            if is_last { ("└───", "    ") } else { ("├───", "│   ") };
        match member {
            Node::Group(_) => out.line(format!("{indent}{branch}{name}")),
            Node::Leaf(text, _) => out.line(format!("{indent}{branch}{name}: {text}")),
            Node::Omitted(how) => out.line(format!("{indent}{branch}{name} omitted ({how})")),
        }
        draw(member, &format!("{indent}{below}"), out);
    }
}

fn metadata(args: &MetadataArgs) -> Result<Exit, Error> {
    let flake = Installable::parse(&args.flake)?.flake;
    let request = args.lock_args.request()?;
    let mut surroundings = args.eval_args.surroundings()?;
    surroundings.with_flakes(true, args.eval_args.impure);
    surroundings.evaluate(|evaluation, _, out| {
        request.prepare(evaluation)?;
        let flake = evaluation.lock(&flake, &request.options)?;
        let LockedFlake { description, original, resolved, locked, store_path, lock_file, .. } =
            &flake;
        if args.json {
            let mut shown = locked.to_json();
            shown["__final"] = json!(true);
            let mut json = json!({
                "locked": shown,
                "locks": lock_file.to_json(),
                "original": original.to_json(),
                "originalUrl": original.to_string(),
                "path": store_path,
                "resolved": resolved.to_json(),
                "resolvedUrl": resolved.to_string(),
                "url": locked.to_string(),
            });
            let mut add = |name: &str, value: Option<Value>| {
                if let Some(value) = value {
                    json[name] = value;
                }
            };
            add("description", description.clone().map(Value::from));
            add("lastModified", locked.number("lastModified").map(Value::from));
            add("revCount", locked.number("revCount").map(Value::from));
            add("revision", locked.text("rev").map(Value::from));
            add("dirtyRevision", locked.text("dirtyRev").map(Value::from));
            out.line(json.to_string());
            return Ok(());
        }
        let mut line =
            |name: &str, value: &str| out.line(format!("{:<15}{value}", format!("{name}:")));
        line("Resolved URL", &resolved.to_string());
        // Files that were never committed have no place where they will be found again.
        if locked.is_locked() {
            line("Locked URL", &locked.to_string());
        }
        if let Some(description) = description {
            line("Description", description);
        }
        line("Path", store_path);
        if let Some(rev) = locked.text("rev").or(locked.text("dirtyRev")) {
            line("Revision", rev);
        }
        if let Some(count) = locked.number("revCount") {
            line("Revisions", &count.to_string());
        }
        if let Some(seconds) = locked.number("lastModified") {
            line("Last modified", &date(seconds));
        }
        if !lock_file.is_empty() {
            out.line("Inputs:");
            let mut seen = HashSet::from([LockFile::ROOT]);
            draw_inputs(lock_file, LockFile::ROOT, "", &mut seen, out);
        }
        Ok(())
    })
}

/// The inputs of a node of a lock file, and theirs; those of a node that is met again are left out.
fn draw_inputs(
    lock_file: &LockFile,
    node: NodeId,
    indent: &str,
    seen: &mut HashSet<NodeId>,
    out: &mut Out,
) {
    let inputs = lock_file.inputs(node);
    for (at, (name, edge)) in inputs.iter().enumerate() {
        let is_last = at + 1 == inputs.len();
        let (branch, below) =
            if is_last { ("└───", "    ") } else { ("├───", "│   ") };
        let child = match edge {
            Edge::Node(child) => *child,
            Edge::Follows(path) => {
                let path = show_input_path(path);
                out.line(format!("{indent}{branch}{name} follows input '{path}'"));
                continue;
            }
        };
        let Some(input) = lock_file.input(child) else { continue };
        let changed = input.locked.number("lastModified");
        let changed = changed.map_or(String::new(), |seconds| format!(" ({})", date(seconds)));
        out.line(format!("{indent}{branch}{name}: {}{changed}", input.locked));
        if seen.insert(child) {
            draw_inputs(lock_file, child, &format!("{indent}{below}"), seen, out);
        }
    }
}

/// Seconds since 1970 as `YYYY-MM-DD hh:mm:ss`.
fn date(seconds: u64) -> String {
    let digits = cim_nix_model::date_digits(seconds);
    let part = |range: std::ops::Range<usize>| digits.get(range).unwrap_or_default();
    format!(
        "{}-{}-{} {}:{}:{}",
        part(0..4),
        part(4..6),
        part(6..8),
        part(8..10),
        part(10..12),
        part(12..14)
    )
}
