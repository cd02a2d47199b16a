//! Options as a table: a line for each.

use cim_nix_options::{OptionDoc, Part};

use crate::terminal::printable;

/// Columns of another width than that of the terminal are as wide as that at most.
const WIDEST: usize = 40;
/// What a column needs to say something.
const NARROWEST: usize = 8;
const GAP: usize = 2;

/// `width` is that of the terminal; without one, nothing is cut.
pub(super) fn table(
    rows: &[OptionDoc],
    with_values: bool,
    width: Option<usize>,
    color: bool,
) -> String {
    let heads = match with_values {
        true => ["NAME", "VALUE", "SET IN", ""],
        false => ["NAME", "TYPE", "DEFAULT", "DESCRIPTION"],
    };
    let mut lines = vec![heads.map(str::to_owned)];
    // What is in `<name>` has a value for each name, or none.
    let shown = rows.iter().filter(|row| !with_values || row.current.is_some());
    lines.extend(shown.map(|row| if with_values { values(row) } else { columns(row) }));
    let natural = |at: usize| lines.iter().map(|line| line[at].chars().count()).max().unwrap_or(0);
    let mut widths = [natural(0), natural(1), natural(2), natural(3)];
    fit(&mut widths, width);
    let mut out = String::new();
    for (number, line) in lines.iter().enumerate() {
        let mut text = String::new();
        for (at, cell) in line.iter().enumerate() {
            let last = at + 1 == line.len() || line[at + 1..].iter().all(String::is_empty);
            // Names are there to be copied, so they are whole.
            let cell = match width {
                Some(_) if at > 0 => cut(cell, widths[at]),
                _ => cell.clone(),
            };
            text.push_str(&cell);
            if last {
                break;
            }
            let filled = cell.chars().count().max(widths[at]) + GAP;
            text.extend(std::iter::repeat_n(' ', filled - cell.chars().count()));
        }
        match color && number == 0 {
            true => out.push_str(&format!("\x1b[1m{text}\x1b[0m\n")),
            false => out.push_str(&format!("{text}\n")),
        }
    }
    out
}

/// Makes columns as narrow as they must be.
fn fit(widths: &mut [usize; 4], width: Option<usize>) {
    let Some(width) = width else {
        for at in &mut widths[..3] {
            *at = (*at).min(WIDEST);
        }
        return;
    };
    widths[0] = widths[0].min(width * 2 / 5);
    let used = widths.iter().filter(|&&at| at > 0).count().saturating_sub(1) * GAP;
    let free = width.saturating_sub(widths[0] + used);
    let rest: usize = widths[1..].iter().sum();
    if rest <= free {
        return;
    }
    // The middle columns get a quarter each at most, the last one what is left.
    let part = (free / 4).max(NARROWEST);
    let last = if widths[3] > 0 { 3 } else { 2 };
    for at in &mut widths[1..last] {
        *at = (*at).min(part);
    }
    let before: usize = widths[1..last].iter().sum();
    widths[last] = widths[last].min(free.saturating_sub(before));
}

fn columns(row: &OptionDoc) -> [String; 4] {
    let failed = |part| row.problem(part).map(|problem| format!("«failed: {problem}»"));
    let text = |text: Option<String>, part| text.or_else(|| failed(part)).unwrap_or_default();
    let type_ = row.type_.clone().or_else(|| failed(Part::Option));
    let description = row.description.as_ref().map(|text| first_sentence(&text.text()));
    [
        row.name.clone(),
        one_line(&text(type_, Part::Type)),
        one_line(&text(row.default.as_ref().map(|text| text.text().into_owned()), Part::Default)),
        one_line(&text(description, Part::Description)),
    ]
}

fn values(row: &OptionDoc) -> [String; 4] {
    let failed = |part| row.problem(part).map(|problem| format!("«failed: {problem}»"));
    let value = row.current.as_ref().and_then(|current| current.value.clone());
    let value = value.or_else(|| failed(Part::Value)).unwrap_or_default();
    let places = row.current.iter().flat_map(|current| &current.definitions);
    let files: Vec<&str> = places.map(|place| place.file.as_str()).collect();
    let name = row.current.as_ref().map_or(&row.name, |current| &current.name);
    [name.clone(), one_line(&value), one_line(&files.join(", ")), String::new()]
}

/// The first paragraph, up to the end of its first sentence.
fn first_sentence(text: &str) -> String {
    let paragraph = plain(text.trim().split("\n\n").next().unwrap_or_default());
    match paragraph.find(". ") {
        Some(end) => paragraph[..=end].to_owned(),
        None => paragraph,
    }
}

/// Text without the roles of nixpkgs' Markdown: `{option}` before a name in backquotes.
pub(super) fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('{') {
        let role = &rest[start + 1..];
        let end = role.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(role.len());
        if end > 0 && role[end..].starts_with("}`") {
            out.push_str(&rest[..start]);
            rest = &role[end + 1..];
        } else {
            out.push_str(&rest[..=start]);
            rest = role;
        }
    }
    out.push_str(rest);
    out
}

fn one_line(text: &str) -> String {
    printable(&text.split_whitespace().collect::<Vec<_>>().join(" ")).into_owned()
}

fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let mut kept: String = text.chars().take(width.saturating_sub(1)).collect();
    kept.truncate(kept.trim_end().len());
    kept.push('…');
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_go_and_braces_stay() {
        assert_eq!(plain("see {option}`a.b` and {x} {`y`"), "see `a.b` and {x} {`y`");
        assert_eq!(first_sentence("One. Two.\n\nThree."), "One.");
        assert_eq!(first_sentence("e.g.\nthis\n\nThree."), "e.g.\nthis");
    }

    #[test]
    fn columns_are_cut_to_the_terminal() {
        let row = |name: &str| OptionDoc {
            name: name.to_owned(),
            type_: Some("list of (attribute set of anything) or null".to_owned()),
            description: Some(cim_nix_options::Text::Plain("Word ".repeat(30))),
            ..OptionDoc::default()
        };
        let rows = [row("services.short"), row(&"long.".repeat(12))];
        for width in [0, 20, 60, 100, 200] {
            for line in table(&rows, false, Some(width), false).lines() {
                let is_whole = line.starts_with("long.") || width < 60;
                assert!(is_whole || line.chars().count() <= width, "{width}: {line}");
            }
        }
        let line = table(&rows, false, None, false);
        assert!(line.contains("list of (attribute set of anything) or null"), "{line}");
    }
}
