//! `cim-nix.toml`: finding it and reading it.
//!
//! Answers what the file says, and what the file says that it extends, with the place of whatever is
//! wrong in it. Which of it holds in the end is decided in [`settings`](crate::settings). The schema
//! is documented in `docs/config.md`.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use crate::confinement::may_read;
use crate::reading::OurFiles;
use cim_nix_analysis::Lints;
use cim_nix_base::{Error, LineIndex, Severity};
use cim_nix_format::Formatter;
use cim_nix_project::Files as _;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::dates;
use crate::scope::{real, shown};
use crate::settings::FailOn;

/// The name that is looked for.
pub(crate) const FILE_NAME: &str = "cim-nix.toml";

/// A configuration file is written by hand; a larger one is a mistake.
const MAX_SIZE: u64 = 1 << 20;

/// What a configuration file says.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Config {
    /// Folder that patterns are anchored at.
    pub(crate) folder: PathBuf,
    /// Experimental features of Nix that the project switches on.
    pub(crate) experimental_features: Vec<String>,
    pub(crate) check: CheckConfig,
    /// The file that this one extends, as it is written.
    pub(crate) extend: Option<Extend>,
    /// What that file says.
    pub(crate) base: Option<Box<Self>>,
    pub(crate) format: FormatConfig,
}

/// The name of another file, and where it stands.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Extend {
    path: PathBuf,
    at: usize,
}

impl Config {
    /// This file and those that it extends, the weakest first.
    pub(crate) fn layers(&self) -> Vec<&Self> {
        let mut layers: Vec<&Self> =
            std::iter::successors(Some(self), |config| config.base.as_deref()).collect();
        layers.reverse();
        layers
    }
}

/// The table `[format]`.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct FormatConfig {
    /// The name of a formatter or a command.
    pub(crate) formatter: Option<String>,
    pub(crate) width: Option<u16>,
    pub(crate) indent: Option<u8>,
    /// Files and folders to leave out.
    pub(crate) exclude: Vec<String>,
}

impl FormatConfig {
    /// Takes over what is not said here. Patterns count from another folder and are not.
    fn inherit(&mut self, base: &Self) {
        self.formatter = self.formatter.take().or_else(|| base.formatter.clone());
        self.width = self.width.or(base.width);
        self.indent = self.indent.or(base.indent);
    }
}

/// The table `[check]`.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct CheckConfig {
    /// The rules that run, instead of the default ones.
    pub(crate) select: Option<Vec<String>>,
    /// Rules that run in addition.
    pub(crate) extend_select: Vec<String>,
    /// Rules that do not run.
    pub(crate) ignore: Vec<String>,
    /// Files and folders to leave out.
    pub(crate) exclude: Vec<String>,
    pub(crate) include_generated: Option<bool>,
    pub(crate) fail_on: Option<FailOn>,
    /// Rules and how bad their findings are.
    pub(crate) severity: Vec<(String, Severity)>,
    /// Patterns and the rules that do not run on files that match.
    pub(crate) per_file_ignores: Vec<(String, Vec<String>)>,
    pub(crate) dependencies: DependencyConfig,
}

/// The table `[check.dependencies]`.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub(crate) struct DependencyConfig {
    /// Days that an input may be old.
    pub(crate) max_age: Option<u64>,
    /// How many sources a lock file may hold.
    pub(crate) max_inputs: Option<usize>,
    /// The day that ages are told from, in seconds since 1970.
    pub(crate) date: Option<u64>,
}

/// The nearest configuration file in `start` or a folder above it.
pub(crate) fn find(start: &Path) -> Option<PathBuf> {
    start.ancestors().map(|folder| folder.join(FILE_NAME)).find(|path| is_there(path))
}

/// Whether there is a configuration file that may be read.
pub(crate) fn is_there(path: &Path) -> bool {
    may_read(path) && path.is_file()
}

/// A chain of files that extend each other is read by people, too; a longer one is a circle.
const MAX_LAYERS: usize = 10;

/// Reads the configuration file at `path`, and those that it extends.
///
/// Errors: it cannot be read or says something that it must not; the message names line and column.
pub(crate) fn read(path: &Path) -> Result<Config, Error> {
    read_layer(path, MAX_LAYERS)
}

fn read_layer(path: &Path, left: usize) -> Result<Config, Error> {
    let name = shown(path);
    let text = OurFiles.read(path, MAX_SIZE).map_err(|problem| {
        Error::config(format!("cannot read the settings in `{name}`: {problem}"))
    })?;
    let mut config = parse(&text).map_err(|fault| fault.error(&name, &text))?;
    config.folder = path.parent().unwrap_or(Path::new("/")).to_path_buf();
    if let Some(Extend { path: base, at }) = &config.extend {
        let written = config.folder.join(base);
        // Where a link leads that must not be followed is not told.
        let base = if may_read(&written) { real(&written) } else { written };
        if left == 0 {
            let fault = Fault::new(*at, "these files extend each other without end");
            return Err(fault.hint("`extend` names a file above this one").error(&name, &text));
        }
        if !is_there(&base) {
            let fault = Fault::new(*at, format!("there is no file `{}` to extend", shown(&base)));
            return Err(fault
                .hint("the path counts from the folder of this file")
                .error(&name, &text));
        }
        let base = read_layer(&base, left - 1)?;
        config.format.inherit(&base.format);
        config.base = Some(Box::new(base));
    }
    Ok(config)
}

/// Something wrong at a place.
#[derive(PartialEq, Debug)]
struct Fault {
    at: usize,
    message: String,
    hint: Option<String>,
}

impl Fault {
    fn new(at: usize, message: impl Into<String>) -> Self {
        Self { at, message: message.into(), hint: None }
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    fn error(self, name: &str, text: &str) -> Error {
        let position = LineIndex::new(text).position_chars(text, self.at as u32);
        let (line, column) = (position.line + 1, position.column + 1);
        let error = Error::config(format!("{name}:{line}:{column}: {}", self.message));
        match self.hint {
            Some(hint) => error.hint(hint),
            None => error.hint("docs/config.md lists every key"),
        }
    }
}

type Value<'t> = Spanned<DeValue<'t>>;

fn parse(text: &str) -> Result<Config, Fault> {
    let table = DeTable::parse(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        Fault::new(at, error.message().trim_end().replace('\n', ", "))
    })?;
    let mut config = Config::default();
    let mut root = Table { name: None, table: table.get_ref() };
    root.each(&["check", "experimental-features", "extend", "format"], |key, value| {
        match key {
            "check" => check_table(table_of("check", value)?, &mut config.check)?,
            "extend" => {
                let path = value.get_ref().as_str();
                let path = path.ok_or_else(|| wrong_type(key, value, "the path of a file"))?;
                config.extend = Some(Extend { path: path.into(), at: value.span().start });
            }
            "format" => format_table(table_of("format", value)?, &mut config.format)?,
            _ => config.experimental_features = strings(key, value)?,
        }
        Ok(())
    })?;
    Ok(config)
}

const CHECK_KEYS: &[&str] = &[
    "dependencies",
    "exclude",
    "extend-select",
    "fail-on",
    "ignore",
    "include-generated",
    "per-file-ignores",
    "select",
    "severity",
];

fn check_table(table: &DeTable<'_>, check: &mut CheckConfig) -> Result<(), Fault> {
    Table { name: Some("check"), table }.each(CHECK_KEYS, |key, value| {
        match key {
            "dependencies" => {
                let table = table_of("check.dependencies", value)?;
                dependency_table(table, &mut check.dependencies)?;
            }
            "exclude" => check.exclude = strings(key, value)?,
            "extend-select" => check.extend_select = rules(key, value)?,
            "fail-on" => check.fail_on = Some(word(key, value, &FailOn::WORDS, FailOn::from_word)?),
            "ignore" => check.ignore = rules(key, value)?,
            "include-generated" => {
                let is_included = value.get_ref().as_bool();
                check.include_generated =
                    Some(is_included.ok_or_else(|| wrong_type(key, value, "`true` or `false`"))?);
            }
            "per-file-ignores" => {
                for (pattern, value) in table_of("check.per-file-ignores", value)? {
                    let pattern = pattern.get_ref();
                    check.per_file_ignores.push((pattern.to_string(), rules(pattern, value)?));
                }
            }
            "select" => check.select = Some(rules(key, value)?),
            _ => {
                for (rule, value) in table_of("check.severity", value)? {
                    known_rule(rule.get_ref(), rule.span().start)?;
                    let words = ["error", "warning", "info"];
                    let severity = word(rule.get_ref(), value, &words, Severity::from_word)?;
                    check.severity.push((rule.get_ref().to_string(), severity));
                }
            }
        }
        Ok(())
    })
}

const DEPENDENCY_KEYS: &[&str] = &["date", "max-age-days", "max-inputs"];

fn dependency_table(table: &DeTable<'_>, own: &mut DependencyConfig) -> Result<(), Fault> {
    Table { name: Some("check.dependencies"), table }.each(DEPENDENCY_KEYS, |key, value| {
        match key {
            "date" => {
                let text = value.get_ref().as_str();
                let text =
                    text.ok_or_else(|| wrong_type(key, value, "a string: `\"2026-11-26\"`"))?;
                let date = dates::parse(text);
                own.date = Some(date.map_err(|why| Fault::new(value.span().start, why))?);
            }
            "max-age-days" => {
                own.max_age = Some(whole_number(key, value, 1..=100_000)? as u64);
            }
            _ => own.max_inputs = Some(whole_number(key, value, 0..=100_000)? as usize),
        }
        Ok(())
    })
}

const FORMAT_KEYS: &[&str] = &["exclude", "formatter", "indent", "width"];

fn format_table(table: &DeTable<'_>, format: &mut FormatConfig) -> Result<(), Fault> {
    Table { name: Some("format"), table }.each(FORMAT_KEYS, |key, value| {
        match key {
            "exclude" => format.exclude = strings(key, value)?,
            "formatter" => {
                let text = value.get_ref().as_str();
                let text = text.ok_or_else(|| wrong_type(key, value, "a string"))?;
                Formatter::from_words(text)
                    .map_err(|error| Fault::new(value.span().start, error.to_string()))?;
                format.formatter = Some(text.to_owned());
            }
            "indent" => format.indent = Some(whole_number(key, value, 1..=16)? as u8),
            _ => format.width = Some(whole_number(key, value, 20..=1000)? as u16),
        }
        Ok(())
    })
}

fn whole_number(key: &str, value: &Value<'_>, range: RangeInclusive<i64>) -> Result<i64, Fault> {
    let (least, most) = range.clone().into_inner();
    let wanted = format!("a whole number from {least} to {most}");
    let Some(number) = value.get_ref().as_integer() else {
        return Err(wrong_type(key, value, &wanted));
    };
    let number = i64::from_str_radix(number.as_str(), number.radix()).ok();
    number
        .filter(|number| range.contains(number))
        .ok_or_else(|| Fault::new(value.span().start, format!("`{key}` should be {wanted}")))
}

struct Table<'t> {
    /// The name in brackets; none for the whole file.
    name: Option<&'t str>,
    table: &'t DeTable<'t>,
}

impl Table<'_> {
    /// Calls `take` for every entry. What stands first in the file is complained about first.
    fn each(
        &mut self,
        known: &[&str],
        mut take: impl FnMut(&str, &Value<'_>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let mut entries: Vec<_> = self.table.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        for (key, value) in entries {
            let name = key.get_ref();
            if !known.contains(&&**name) {
                let place = match self.name {
                    Some(table) => format!("in `[{table}]`"),
                    None => "at the top of the file".to_owned(),
                };
                let message = format!("unknown key `{name}` {place}");
                return Err(suggest(Fault::new(key.span().start, message), name, known));
            }
            take(name, value)?;
        }
        Ok(())
    }
}

fn table_of<'t>(name: &str, value: &'t Value<'t>) -> Result<&'t DeTable<'t>, Fault> {
    let table = value.get_ref().as_table();
    table.ok_or_else(|| wrong_type(name, value, &format!("a table: `[{name}]`")))
}

fn strings(key: &str, value: &Value<'_>) -> Result<Vec<String>, Fault> {
    let words = spanned_strings(key, value)?;
    Ok(words.into_iter().map(|(_, word)| word.to_owned()).collect())
}

fn rules(key: &str, value: &Value<'_>) -> Result<Vec<String>, Fault> {
    let mut all = Vec::new();
    for (at, word) in spanned_strings(key, value)? {
        known_rule(word, at)?;
        all.push(word.to_owned());
    }
    Ok(all)
}

fn spanned_strings<'t>(key: &str, value: &'t Value<'t>) -> Result<Vec<(usize, &'t str)>, Fault> {
    let wanted = "a list of strings";
    let Some(list) = value.get_ref().as_array() else { return Err(wrong_type(key, value, wanted)) };
    let string = |item: &'t Value<'t>| match item.get_ref().as_str() {
        Some(text) => Ok((item.span().start, text)),
        None => Err(wrong_type(key, item, wanted)),
    };
    list.iter().map(string).collect()
}

fn known_rule(word: &str, at: usize) -> Result<(), Fault> {
    // Selecting it somewhere tells whether there is any.
    Lints::nothing().select(word).map_err(|unknown| {
        let fault = Fault::new(at, format!("no rule is called `{word}`"));
        match unknown.suggestion {
            Some(known) => fault.hint(format!("did you mean `{known}`?")),
            None => fault.hint("`cim-nix explain --all` lists the rules"),
        }
    })
}

/// One of a few words.
fn word<T>(
    key: &str,
    value: &Value<'_>,
    words: &[&str],
    read: impl Fn(&str) -> Option<T>,
) -> Result<T, Fault> {
    let list = words.iter().map(|word| format!("`\"{word}\"`")).collect::<Vec<_>>().join(", ");
    let Some(text) = value.get_ref().as_str() else {
        return Err(wrong_type(key, value, &format!("one of {list}")));
    };
    read(text).ok_or_else(|| {
        let message = format!("`{key}` is `{text}`, but should be one of {list}");
        suggest(Fault::new(value.span().start, message), text, words)
    })
}

fn wrong_type(key: &str, value: &Value<'_>, wanted: &str) -> Fault {
    let found = value.get_ref().type_str();
    Fault::new(value.span().start, format!("`{key}` should be {wanted}, but is of type {found}"))
}

fn suggest(fault: Fault, word: &str, known: &[&str]) -> Fault {
    match nearest(word, known) {
        Some(known) => fault.hint(format!("did you mean `{known}`?")),
        None => fault.hint(format!("known here: {}", known.join(", "))),
    }
}

/// The word that was meant, if one is close.
fn nearest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    let plain = word.replace('_', "-").to_lowercase();
    let scored = known.iter().map(|known| (distance(&plain, known), *known));
    let (score, best) = scored.min()?;
    (score <= plain.chars().count() / 3 + 1).then_some(best)
}

/// Number of characters to insert, remove or change to get from one word to the other.
fn distance(from: &str, to: &str) -> usize {
    // Nobody means a known word by a text that long.
    let to: Vec<char> = to.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (at, left) in from.chars().take(64).enumerate() {
        let mut corner = row[0];
        row[0] = at + 1;
        for (column, right) in to.iter().enumerate() {
            let changed = corner + usize::from(left != *right);
            corner = row[column + 1];
            row[column + 1] = changed.min(corner + 1).min(row[column] + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check_error(text: &str, want: Expect) {
        let error = parse(text).expect_err("this is wrong").error("cim-nix.toml", text);
        let hints: Vec<_> = error.hints().iter().map(|hint| format!("\n  hint: {hint}")).collect();
        want.assert_eq(&format!("{error}{}", hints.concat()));
    }

    #[test]
    fn reads_every_key() {
        let text = r#"
            experimental-features = ["pipe-operators"]
            extend = "../cim-nix.toml"
            [check]
            select = ["DEAD"]
            extend-select = ["COR001"]
            ignore = ["unused-binding"]
            exclude = ["vendor/"]
            include-generated = true
            fail-on = "error"
            [check.severity]
            DEAD001 = "info"
            [check.per-file-ignores]
            "tests/**" = ["DEAD", "COR001"]
            [check.dependencies]
            date = "1970-01-01"
            max-age-days = 90
            max-inputs = 20
            [format]
            formatter = "mine -x"
            width = 0x50
            indent = 4
            exclude = ["gen/"]
        "#;
        let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
        let want = Config {
            folder: PathBuf::new(),
            experimental_features: words(&["pipe-operators"]),
            check: CheckConfig {
                select: Some(words(&["DEAD"])),
                extend_select: words(&["COR001"]),
                ignore: words(&["unused-binding"]),
                exclude: words(&["vendor/"]),
                include_generated: Some(true),
                fail_on: Some(FailOn::Error),
                severity: vec![("DEAD001".to_owned(), Severity::Info)],
                per_file_ignores: vec![("tests/**".to_owned(), words(&["DEAD", "COR001"]))],
                dependencies: DependencyConfig {
                    max_age: Some(90),
                    max_inputs: Some(20),
                    date: Some(86_399),
                },
            },
            extend: Some(Extend { path: "../cim-nix.toml".into(), at: 77 }),
            base: None,
            format: FormatConfig {
                formatter: Some("mine -x".to_owned()),
                width: Some(80),
                indent: Some(4),
                exclude: words(&["gen/"]),
            },
        };
        assert_eq!(parse(text), Ok(want));
        assert_eq!(parse(""), Ok(Config::default()));
    }

    #[test]
    fn days_are_those_of_the_calendar() {
        check_error(
            "[check.dependencies]\ndate = \"2026-02-30\"",
            expect![[r"
            cim-nix.toml:2:8: `2026-02-30` is no date such as 2026-11-26
              hint: docs/config.md lists every key"]],
        );
    }

    #[test]
    fn formats_have_bounds() {
        check_error(
            "format.width = 10",
            expect![[r#"
            cim-nix.toml:1:16: `width` should be a whole number from 20 to 1000
              hint: docs/config.md lists every key"#]],
        );
        check_error(
            "format.indent = \"2\"",
            expect![[r#"
            cim-nix.toml:1:17: `indent` should be a whole number from 1 to 16, but is of type string
              hint: docs/config.md lists every key"#]],
        );
        check_error(
            "format.formatter = \"a 'b\"",
            expect![[r#"
            cim-nix.toml:1:20: the formatter `a 'b` has a quote that is never closed
              hint: docs/config.md lists every key"#]],
        );
    }

    #[test]
    fn unknown_keys_get_a_suggestion() {
        check_error(
            "[check]\n  slect = []\n",
            expect![[r"
            cim-nix.toml:2:3: unknown key `slect` in `[check]`
              hint: did you mean `select`?"]],
        );
        check_error(
            "[chekc]\nx = 1\n",
            expect![[r"
            cim-nix.toml:1:2: unknown key `chekc` at the top of the file
              hint: did you mean `check`?"]],
        );
        check_error(
            "check.include_generated = true",
            expect![[r"
            cim-nix.toml:1:7: unknown key `include_generated` in `[check]`
              hint: did you mean `include-generated`?"]],
        );
        check_error(
            "[something]\n",
            expect![[r"
            cim-nix.toml:1:2: unknown key `something` at the top of the file
              hint: known here: check, experimental-features, extend, format"]],
        );
    }

    #[test]
    fn the_first_fault_in_the_file_is_told() {
        check_error(
            "zzz = 1\naaa = 1\n",
            expect![[r"
            cim-nix.toml:1:1: unknown key `zzz` at the top of the file
              hint: known here: check, experimental-features, extend, format"]],
        );
    }

    #[test]
    fn values_are_looked_at() {
        check_error(
            "check = 1",
            expect![[r"
            cim-nix.toml:1:9: `check` should be a table: `[check]`, but is of type integer
              hint: docs/config.md lists every key"]],
        );
        check_error(
            "[check]\nselect = \"DEAD\"",
            expect![[r"
            cim-nix.toml:2:10: `select` should be a list of strings, but is of type string
              hint: docs/config.md lists every key"]],
        );
        check_error(
            "[check]\nignore = [\"DEAD001\", 2]",
            expect![[r"
            cim-nix.toml:2:22: `ignore` should be a list of strings, but is of type integer
              hint: docs/config.md lists every key"]],
        );
        check_error(
            "[check]\nignore = [\"DEAD0O1\"]",
            expect![[r"
            cim-nix.toml:2:11: no rule is called `DEAD0O1`
              hint: did you mean `DEAD001`?"]],
        );
        check_error(
            "[check]\nfail-on = \"warnings\"",
            expect![[r#"
            cim-nix.toml:2:11: `fail-on` is `warnings`, but should be one of `"error"`, `"warning"`, `"info"`, `"never"`
              hint: did you mean `warning`?"#]],
        );
        check_error(
            "[check.severity]\nDEAD001 = 1",
            expect![[r#"
            cim-nix.toml:2:11: `DEAD001` should be one of `"error"`, `"warning"`, `"info"`, but is of type integer
              hint: docs/config.md lists every key"#]],
        );
        check_error(
            "[check.per-file-ignores]\n\"a\" = [\"what\"]",
            expect![[r"
            cim-nix.toml:2:8: no rule is called `what`
              hint: `cim-nix explain --all` lists the rules"]],
        );
    }

    #[test]
    fn broken_toml_is_told_with_its_place() {
        check_error(
            "[check\nx",
            expect![[r#"
            cim-nix.toml:1:7: unclosed table, expected `]`
              hint: docs/config.md lists every key"#]],
        );
        check_error(
            "a = 1\na = 2",
            expect![[r#"
            cim-nix.toml:2:1: duplicate key
              hint: docs/config.md lists every key"#]],
        );
    }
}
