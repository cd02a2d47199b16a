//! What the domain's own tables and frozen messages say, as files: JSON Schemas, and the generated
//! parts of its pages.

mod diagram;

use std::fmt::Write as _;
use std::fs;

use cim_domain_nix::schema::{self, MessageSchema};
use cim_domain_nix::{Command, Event, Kind, State, Subject, is_undoable};
use serde_json::Value;

use crate::Result;
use crate::codegen::{Generated, replace_block};
use crate::repo::Repo;

/// Where schemas are, one a type of messages.
pub(crate) const SCHEMAS: &str = "crates/domain/schema";

/// Where pictures of aggregates are.
pub(crate) const PICTURES: &str = "docs/images/domain";

/// A page about an aggregate.
struct Page {
    name: &'static str,
    kind: Kind,
    /// A command and an event that it leads to, as an example.
    example: (&'static str, &'static str),
}

const PAGES: [Page; 6] = [
    Page { name: "flake", kind: Kind::Flake, example: ("AddFlakeInput", "FlakeInputAdded") },
    Page { name: "package", kind: Kind::Package, example: ("BuildPackage", "PackageBuilt") },
    Page { name: "module", kind: Kind::Module, example: ("CreateModule", "ModuleCreated") },
    Page { name: "overlay", kind: Kind::Overlay, example: ("CreateOverlay", "OverlayCreated") },
    Page {
        name: "configuration",
        kind: Kind::Configuration,
        example: ("ActivateConfiguration", "ConfigurationActivated"),
    },
    Page { name: "project", kind: Kind::Project, example: ("RenameSymbol", "SymbolRenamed") },
];

/// The schemas, as they are checked in.
pub(crate) fn schemas(_: &Repo) -> Result<Vec<Generated>> {
    let file = |MessageSchema { folder, name, schema }: MessageSchema| {
        let text = serde_json::to_string_pretty(&schema).map_err(|error| error.to_string())?;
        Ok(Generated { path: format!("{SCHEMAS}/{folder}/{name}.json"), text: text + "\n" })
    };
    schema::all().into_iter().map(file).collect()
}

/// The pictures of the aggregates' lives.
pub(crate) fn pictures(_: &Repo) -> Result<Vec<Generated>> {
    let picture = |page: &Page| Generated {
        path: format!("{PICTURES}/{}.svg", page.name),
        text: diagram::draw(State::transitions(&page.kind)),
    };
    Ok(PAGES.iter().map(picture).collect())
}

/// The pages, with what is generated in them.
pub(crate) fn pages(repo: &Repo) -> Result<Vec<Generated>> {
    let schemas = schema::all();
    let mut pages = vec![page(repo, "README", &[("subjects", subjects(&schemas))])?];
    for Page { name, kind, example } in &PAGES {
        let blocks = [
            ("commands", commands(repo, &schemas, kind)?),
            ("events", events(repo, &schemas, kind)?),
            ("invariants", invariants(repo, name)?),
            ("example", shown(repo, example)?),
        ];
        pages.push(page(repo, name, &blocks)?);
    }
    Ok(pages)
}

fn page(repo: &Repo, name: &str, blocks: &[(&str, String)]) -> Result<Generated> {
    let path = format!("docs/domain/{name}.md");
    let mut text = read(repo, &path)?;
    for (block, content) in blocks {
        text = replace_block(&text, block, content).map_err(|why| format!("{path}: {why}"))?;
    }
    Ok(Generated { path, text })
}

fn read(repo: &Repo, path: &str) -> Result<String> {
    fs::read_to_string(repo.path(path)).map_err(|error| format!("cannot read {path}: {error}"))
}

/// What a message's own documentation says in its first sentences.
fn summary<'a>(schemas: &'a [MessageSchema], folder: &str, name: &str) -> &'a str {
    let schema = schemas.iter().find(|schema| schema.folder == folder && schema.name == name);
    let description = schema.and_then(|found| found.schema.get("description"));
    description.and_then(Value::as_str).unwrap_or_default()
}

/// A link from a page to a message's schema.
fn link(folder: &str, name: &str) -> String {
    format!("[`{name}`](../../{SCHEMAS}/{folder}/{name}.json)")
}

fn subjects(schemas: &[MessageSchema]) -> String {
    let mut table = String::from("| subject | message | |\n| --- | --- | --- |\n");
    for subject in Subject::every() {
        let name = subject.message_type();
        let folder = match subject.role().token() {
            "cmd" => "commands",
            "event" => "events",
            _ => "queries",
        };
        let summary = summary(schemas, folder, name);
        let _ = writeln!(table, "| `{subject}` | {} | {summary} |", link(folder, name));
    }
    table
}

fn commands(repo: &Repo, schemas: &[MessageSchema], kind: &Kind) -> Result<String> {
    let mut table = String::from("| command | subject | |\n| --- | --- | --- |\n");
    for name in Command::TYPES {
        let body = frozen(repo, "commands", name)?;
        let command = Command::read(name, &body).map_err(|error| error.to_string())?;
        if command.kind() == *kind {
            let (link, summary) = (link("commands", name), summary(schemas, "commands", name));
            let _ = writeln!(table, "| {link} | {} | {summary} |", subject_of(name));
        }
    }
    Ok(table)
}

fn events(repo: &Repo, schemas: &[MessageSchema], kind: &Kind) -> Result<String> {
    let mut table =
        String::from("| event | subject | | can be undone |\n| --- | --- | --- | --- |\n");
    for name in Event::TYPES {
        let event = frozen_event(repo, name)?;
        if event.kind() != *kind {
            continue;
        }
        let undo = match is_undoable(&event) {
            Ok(()) => "yes".to_owned(),
            Err(why) => format!("no: {why}"),
        };
        let undo = undo.replace(&format!("{name} "), "it ");
        let (link, summary) = (link("events", name), summary(schemas, "events", name));
        let _ = writeln!(table, "| {link} | {} | {summary} | {undo} |", subject_of(name));
    }
    Ok(table)
}

fn subject_of(name: &str) -> String {
    Subject::of(name).map(|subject| format!("`{subject}`")).unwrap_or_default()
}

/// The invariants that the aggregate's module states.
fn invariants(repo: &Repo, name: &str) -> Result<String> {
    let path = format!("crates/domain/src/aggregate/{name}.rs");
    let text = read(repo, &path)?;
    let lines = text.lines().map_while(|line| line.strip_prefix("//!")).map(str::trim_end);
    let section = lines.skip_while(|line| *line != " # Invariants").skip(2);
    let section = section.take_while(|line| !line.starts_with(" #"));
    let list: String = section.map(|line| format!("{}\n", line.get(1..).unwrap_or(""))).collect();
    match list.starts_with("* ") {
        true => Ok(list.trim_end().to_owned() + "\n"),
        false => Err(format!("{path} states no invariants")),
    }
}

fn frozen(repo: &Repo, folder: &str, name: &str) -> Result<String> {
    read(repo, &format!("crates/domain/fixtures/wire/{folder}/{name}.json"))
}

fn frozen_event(repo: &Repo, name: &str) -> Result<Event> {
    let body = frozen(repo, "events", name)?;
    let schema = Event::newest_schema(name).unwrap_or_default();
    Event::read(name, schema, &body).map_err(|error| error.to_string())
}

fn shown(repo: &Repo, (command, event): &(&str, &str)) -> Result<String> {
    let (asked, happened) = (frozen(repo, "commands", command)?, frozen(repo, "events", event)?);
    // Only an event that takes another back has this.
    let lines = happened.lines().filter(|line| !line.starts_with("  \"undoes\": "));
    let happened: String = lines.map(|line| format!("{line}\n")).collect();
    Ok(format!("`{command}`:\n\n```json\n{asked}```\n\n`{event}`:\n\n```json\n{happened}```\n"))
}
