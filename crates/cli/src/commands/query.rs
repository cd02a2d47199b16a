//! `cim-nix query`: the fourteen questions of the domain, answered from the read models of a project.

use std::path::Path;

use cim_domain_nix::{Query, ask};
use cim_nix_base::Error;
use clap::Args;
use serde_json::{Map, Value, json};

use crate::commands::history::ProjectArgs;
use crate::exit::Exit;
use crate::outcome::ResultFormat;
use crate::scope;
use crate::terminal::{Out, one_line};

const EXAMPLES: &str = "\
Examples:
  cim-nix query                            which questions there are
  cim-nix query list-flakes
  cim-nix query get-flake-inputs path=/etc/nixos
  cim-nix query GetBuildStatus flake_ref=. attribute=packages.x86_64-linux.hello --format json
  cim-nix query get-configuration-history name=web limit=5

A question takes fields as NAME=VALUE, which `cim-nix query` lists; a value that is JSON counts as such, any other one is text.
What is asked for and not there is refused, with names that are near.
Exit status: 0 answered, 2 there is no such thing, or no such question, 3 the store cannot be read.";

/// Ask what the events say: flakes, packages and builds, modules, overlays, configurations
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct QueryArgs {
    /// The question: list-flakes, GetPackage, nix.query.flake.get
    #[arg(value_name = "QUERY")]
    query: Option<String>,
    /// What is asked about
    #[arg(value_name = "NAME=VALUE", value_parser = field)]
    fields: Vec<(String, Value)>,
    /// How to show the answer
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: ResultFormat,
    #[command(flatten)]
    project: ProjectArgs,
}

fn field(text: &str) -> Result<(String, Value), String> {
    let (name, value) = text.split_once('=').ok_or("write it as NAME=VALUE")?;
    let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
    Ok((name.to_owned(), value))
}

/// A value as events have it: folders are named from the root.
fn placed(name: &str, value: &Value) -> Value {
    match (name, value.as_str()) {
        ("path" | "project", Some(folder)) if !folder.starts_with('/') => {
            let full = scope::real(Path::new(folder));
            full.to_str().map_or_else(|| value.clone(), Value::from)
        }
        _ => value.clone(),
    }
}

/// The name of a type of queries, from any of the ways to write it.
fn type_of(text: &str) -> Option<&'static str> {
    if let Some(of_subject) = Query::type_of(text) {
        return Some(of_subject);
    }
    let plain = |text: &str| text.replace(['-', '_'], "").to_lowercase();
    Query::TYPES.iter().copied().find(|known| plain(known) == plain(text))
}

impl QueryArgs {
    pub(crate) fn run(&self) -> Result<Exit, Error> {
        let mut out = Out::new();
        let Some(typed) = &self.query else {
            for known in Query::TYPES {
                let subject = Query::subject_of(known).unwrap_or_default();
                let fields = Query::fields_of(known).unwrap_or_default();
                match self.format {
                    ResultFormat::Json => out.line(json!({
                        "query": dashed(known), "subject": subject, "fields": fields,
                    })),
                    ResultFormat::Text => {
                        out.line(format_args!("{:<26} {}", dashed(known), fields.join(", ")));
                    }
                }
            }
            out.finish()?;
            return Ok(Exit::Clean);
        };
        let query_type = type_of(typed).ok_or_else(|| {
            Error::user(format!("there is no query `{}`", one_line(typed)))
                .hint("`cim-nix query` lists them")
        })?;
        let known = Query::fields_of(query_type).unwrap_or_default();
        let mut fields = Map::new();
        for (name, value) in &self.fields {
            if !known.contains(&name.as_str()) {
                return Err(Error::user(format!(
                    "{} has no field `{}`",
                    dashed(query_type),
                    one_line(name)
                ))
                .hint(format!("it has: {}", known.join(", "))));
            }
            fields.insert(name.clone(), placed(name, value));
        }
        let query = Query::read(query_type, &Value::Object(fields).to_string());
        let query = query.map_err(Error::user)?;
        let recorder = self.project.recorder()?;
        let answer = ask(recorder.store(), &query).map_err(|problem| {
            let error = Error::user(problem.to_string());
            error.hint("`cim-nix log` shows what is known of this project")
        })?;
        let value = answer
            .to_value()
            .map_err(|error| Error::bug("the answer cannot be written").because(error))?;
        match self.format {
            ResultFormat::Json => out.line(value),
            ResultFormat::Text => show(&value, 0, &mut out),
        }
        out.finish()?;
        Ok(Exit::Clean)
    }
}

/// `GetFlakeInputs` as people type it.
fn dashed(name: &str) -> String {
    let mut text = String::new();
    for c in name.chars() {
        if c.is_uppercase() && !text.is_empty() {
            text.push('-');
        }
        text.extend(c.to_lowercase());
    }
    text
}

/// Shows any answer: a field a line, what is inside indented.
fn show(value: &Value, depth: usize, out: &mut Out) {
    let margin = "  ".repeat(depth);
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::Object(inner) if !inner.is_empty() => {
                        out.line(format_args!("{margin}{}:", one_line(name)));
                        show(value, depth + 1, out);
                    }
                    Value::Array(inner) if !inner.is_empty() => {
                        out.line(format_args!("{margin}{}:", one_line(name)));
                        show(value, depth + 1, out);
                    }
                    Value::Object(_) => out.line(format_args!("{margin}{}: none", one_line(name))),
                    Value::Array(_) => out.line(format_args!("{margin}{}: none", one_line(name))),
                    _ => out.line(format_args!("{margin}{}: {}", one_line(name), plain(value))),
                }
            }
        }
        Value::Array(items) => {
            for item in items {
                if item.is_object() {
                    out.line(format_args!("{margin}-"));
                    show(item, depth + 1, out);
                } else {
                    out.line(format_args!("{margin}- {}", plain(item)));
                }
            }
        }
        _ => out.line(format_args!("{margin}{}", plain(value))),
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => one_line(text),
        other => other.to_string(),
    }
}
