//! `treefmt.toml`: which command a project runs on Nix files, and on which of them.

use toml::de::{DeTable, DeValue};

use super::glob;
use crate::{Formatter, Options};

/// What a `treefmt.toml` says about Nix files.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Treefmt {
    pub(super) formatter: Formatter,
    pub(super) options: Options,
    pub(super) filter: Filter,
    /// The name of its table.
    pub(super) name: String,
    /// The line where that begins, from 1.
    pub(super) line: usize,
    /// Arguments that are not obeyed.
    pub(super) unknown: Vec<String>,
}

/// Which files a formatter is for, as patterns of treefmt.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Filter {
    /// A file matches one of them; all files do where there are none.
    pub includes: Vec<String>,
    /// A file matches none of them.
    pub excludes: Vec<String>,
}

impl Filter {
    /// Whether the file at `path`, from the project's folder on, is meant.
    #[must_use]
    pub fn takes(&self, path: &str) -> bool {
        let matches = |pattern: &String| glob::matches(pattern, path);
        (self.includes.is_empty() || self.includes.iter().any(matches))
            && !self.excludes.iter().any(matches)
    }
}

/// Reads the text of a `treefmt.toml`; `None` if it names no formatter for Nix that is known, or is
/// no TOML (which is treefmt's to complain about).
pub(super) fn read(text: &str) -> Option<Treefmt> {
    let root = DeTable::parse(text).ok()?;
    let root = root.get_ref();
    let mut global = strings(root, "excludes");
    if let Some(section) = table_of(root, "global") {
        global.extend(strings(section, "excludes"));
    }
    let formatters = table_of(root, "formatter")?;
    let mut entries: Vec<_> = formatters.iter().collect();
    entries.sort_by_key(|(name, _)| name.span().start);
    for (name, value) in entries {
        let Some(entry) = value.get_ref().as_table() else { continue };
        let command = entry.get("command").and_then(|value| value.get_ref().as_str());
        let command = command.and_then(|command| command.rsplit('/').next());
        let arguments = strings(entry, "options");
        let Some(formatter) = command.and_then(|it| formatter_of(it, &arguments)) else { continue };
        let includes = strings(entry, "includes");
        if !["x.nix", "a/x.nix"]
            .iter()
            .any(|path| includes.iter().any(|it| glob::matches(it, path)))
            && !includes.iter().any(|pattern| pattern.ends_with(".nix"))
        {
            continue;
        }
        let mut excludes = global;
        excludes.extend(strings(entry, "excludes"));
        let (options, unknown) = read_options(&arguments);
        let line = 1 + text[..name.span().start].matches('\n').count();
        let filter = Filter { includes, excludes };
        let name = name.get_ref().to_string();
        return Some(Treefmt { formatter, options, filter, name, line, unknown });
    }
    None
}

/// The formatter that a command stands for; this program says which one it is to be.
fn formatter_of(command: &str, arguments: &[String]) -> Option<Formatter> {
    if command != "cim-nix" || arguments.first().is_none_or(|word| word != "fmt") {
        return Formatter::named(command);
    }
    let at = arguments.iter().position(|word| word == "--formatter")?;
    Formatter::named(arguments.get(at + 1)?)
}

/// The options among the arguments of nixfmt, and what is none.
pub(super) fn read_options(arguments: &[String]) -> (Options, Vec<String>) {
    let (mut options, mut unknown) = (Options::default(), Vec::new());
    let mut words = arguments.iter().flat_map(|word| word.split('='));
    while let Some(word) = words.next() {
        match word {
            "--width" | "-w" => options.width = words.next().and_then(|value| value.parse().ok()),
            "--indent" => options.indent = words.next().and_then(|value| value.parse().ok()),
            "--formatter" => drop(words.next()),
            // They say how to run, not how to format.
            "fmt" | "-q" | "--quiet" | "-v" | "--verify" | "--" | "-" => {}
            other => unknown.push(other.to_owned()),
        }
    }
    (options, unknown)
}

fn table_of<'t, 'i>(table: &'t DeTable<'i>, key: &str) -> Option<&'t DeTable<'i>> {
    table.get(key).and_then(|value| value.get_ref().as_table())
}

fn strings(table: &DeTable<'_>, key: &str) -> Vec<String> {
    let list = table.get(key).and_then(|value| value.get_ref().as_array());
    let text = |item: &toml::Spanned<DeValue<'_>>| item.get_ref().as_str().map(str::to_owned);
    list.map(|list| list.iter().filter_map(text).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_formatter_for_nix_is_taken() {
        let found = read(
            "\
[global]
excludes = [\"*.lock\", \"vendor/*\"]

[formatter.deadnix]
command = \"deadnix\"
includes = [\"*.nix\"]

[formatter.rust]
command = \"alejandra\"
includes = [\"*.rs\"]

[formatter.nix]
command = \"/nix/store/x-nixfmt/bin/nixfmt\"
options = [\"--width=80\", \"--indent\", \"4\", \"--strict\"]
includes = [\"*.nix\"]
excludes = [\"npins/*\"]
",
        );
        let found = found.expect("nixfmt");
        assert_eq!(found.formatter, Formatter::Nixfmt);
        assert_eq!(found.options, Options { width: Some(80), indent: Some(4) });
        assert_eq!(
            (&*found.name, found.line, found.unknown),
            ("nix", 12, vec!["--strict".to_owned()])
        );
        let takes = |path| found.filter.takes(path);
        assert!(
            takes("a/b.nix") && !takes("vendor/a.nix") && !takes("npins/a.nix") && !takes("a.rs")
        );
    }

    #[test]
    fn this_program_says_which_formatter() {
        let read = |options: &str| {
            read(&format!(
                "[formatter.n]\ncommand = \"cim-nix\"\noptions = {options}\nincludes = [\"*.nix\"]"
            ))
        };
        let found = read("[\"fmt\", \"--formatter\", \"alejandra\", \"--quiet\"]").expect("one");
        assert_eq!((found.formatter, found.unknown), (Formatter::Alejandra, Vec::new()));
        assert_eq!(read("[\"fmt\"]"), None);
        assert_eq!(read("[\"check\"]"), None);
    }

    #[test]
    fn what_says_nothing_of_nix_decides_nothing() {
        for text in
            ["", "[formatter.a]", "formatter = 1", "not toml [", "[formatter.a]\ncommand = 1"]
        {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
