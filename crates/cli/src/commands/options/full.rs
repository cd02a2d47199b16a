//! Options with all that is known of them, for people.

use std::fmt::Write as _;

use cim_nix_options::{OptionDoc, Part, Text};

use super::table::plain;
use crate::terminal::printable;

const LABEL: usize = 12;

pub(super) fn full(rows: &[OptionDoc], color: bool) -> String {
    let mut out = String::new();
    for (at, row) in rows.iter().enumerate() {
        if at > 0 {
            out.push('\n');
        }
        push(&mut out, row, color);
    }
    out
}

fn push(out: &mut String, row: &OptionDoc, color: bool) {
    let (bold, normal) = if color { ("\x1b[1m", "\x1b[0m") } else { ("", "") };
    let name = row.current.as_ref().map_or(&row.name, |current| &current.name);
    let _ = writeln!(out, "{bold}{}{normal}", printable(name));
    if let Some(description) = &row.description {
        for line in plain(description.text().trim()).lines() {
            push_line(out, 2, line);
        }
        out.push('\n');
    }
    let mut field = |label: &str, text: Option<&str>, part: Part| match (text, row.problem(part)) {
        (Some(text), _) => push_field(out, label, text),
        (None, Some(problem)) => push_field(out, label, &format!("«failed: {problem}»")),
        (None, None) => {}
    };
    let text = |text: &Option<Text>| text.as_ref().map(|text| text.text().into_owned());
    field("Option:", None, Part::Option);
    if let Some(current) = &row.current {
        field("Value:", current.value.as_deref(), Part::Value);
    }
    field("Type:", row.type_.as_deref(), Part::Type);
    field("Default:", text(&row.default).as_deref(), Part::Default);
    field("Example:", text(&row.example).as_deref(), Part::Example);
    let marks =
        [(row.read_only, "read-only"), (row.internal, "internal"), (!row.visible, "invisible")];
    let marks: Vec<&str> = marks.iter().filter(|(is, _)| *is).map(|(_, word)| *word).collect();
    field("Marked:", (!marks.is_empty()).then(|| marks.join(", ")).as_deref(), Part::Flags);
    let declarations = row.declarations.iter().cloned();
    field("Declared in:", lines(declarations).as_deref(), Part::Declarations);
    let definitions = row.current.iter().flat_map(|current| &current.definitions);
    let definitions = definitions.map(|place| match &place.value {
        Some(value) => format!("{}: {value}", place.file),
        None => format!("{}: «failed»", place.file),
    });
    field("Set in:", lines(definitions).as_deref(), Part::Definitions);
    for part in [Part::Description, Part::RelatedPackages, Part::SubOptions] {
        field(&format!("{part}:"), None, part);
    }
}

fn lines(texts: impl Iterator<Item = String>) -> Option<String> {
    let texts: Vec<String> = texts.collect();
    (!texts.is_empty()).then(|| texts.join("\n"))
}

fn push_field(out: &mut String, label: &str, text: &str) {
    let mut lines = text.trim_end().lines();
    let _ = writeln!(out, "  {label:LABEL$} {}", printable(lines.next().unwrap_or_default()));
    for line in lines {
        push_line(out, LABEL + 3, line);
    }
}

fn push_line(out: &mut String, indent: usize, line: &str) {
    match line.trim_end() {
        "" => out.push('\n'),
        line => {
            let _ = writeln!(out, "{:indent$}{}", "", printable(line));
        }
    }
}
