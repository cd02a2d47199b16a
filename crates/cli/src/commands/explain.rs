//! `cim-nix explain`: what a rule is about, or a code of `cim-nix fmt`.

use std::io;

use cim_nix_analysis::{FixKind, Lints, Rule, RuleDoc, all, find};
use cim_nix_base::Error;
use cim_nix_format::pages::{self, Page};
use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::exit::Exit;
use crate::settings::no_such_rule;
use crate::terminal::{ColorWhen, Out};

const EXAMPLES: &str = "\
Examples:
  cim-nix explain DEAD001                  by code
  cim-nix explain undefined-variable       by name
  cim-nix explain FMT001                   why a file was not formatted
  cim-nix explain --all                    every rule on one line
  cim-nix explain --all --format json      every rule with its page, for another program";

/// Explain a rule, or why a file was not formatted
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ExplainArgs {
    /// The code or the name of a rule, or a code of `cim-nix fmt`
    #[arg(value_name = "RULE", required_unless_present = "all")]
    rule: Option<String>,
    /// List all rules
    #[arg(long, conflicts_with = "rule")]
    all: bool,
    /// How to write the page
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: PageFormat,
}

/// How to write rules.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
enum PageFormat {
    /// For reading here
    #[default]
    Text,
    /// The page as it stands in docs/rules/
    Markdown,
    /// For programs
    Json,
}

pub(crate) fn run(args: &ExplainArgs, color: ColorWhen) -> Result<Exit, Error> {
    let mut out = Out::new();
    let color = color.applies_to(&io::stdout());
    match &args.rule {
        Some(word) if let Some(page) = pages::find(word) => match args.format {
            PageFormat::Text => out.text(&page_text(page, color)),
            PageFormat::Markdown => out.text(&page.markdown()),
            PageFormat::Json => {
                return Err(Error::user(format!(
                    "`{}` is no rule, and JSON is for rules",
                    page.code
                ))
                .hint("`--format markdown` writes its page"));
            }
        },
        Some(word) => {
            let rule = find(word).ok_or_else(|| unknown(word))?;
            match args.format {
                PageFormat::Text => out.text(&text(rule, color)),
                PageFormat::Markdown => out.text(&RuleDoc::page(rule)),
                PageFormat::Json => out.line(json(&JsonRule::of(rule))),
            }
        }
        None => match args.format {
            PageFormat::Text => all().iter().for_each(|rule| out.line(line(rule))),
            PageFormat::Markdown => {
                let pages: Vec<String> = all().iter().map(|rule| RuleDoc::page(rule)).collect();
                out.text(&pages.join("\n"));
            }
            PageFormat::Json => {
                let rules: Vec<JsonRule> = all().iter().map(|rule| JsonRule::of(rule)).collect();
                out.line(json(&rules));
            }
        },
    }
    out.finish()?;
    Ok(Exit::Clean)
}

fn unknown(word: &str) -> Error {
    if word.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("FMT")) {
        let codes = pages::PAGES.iter().map(|page| page.code.0).collect::<Vec<_>>();
        return Error::user(format!("`{word}` is no code of `cim-nix fmt`"))
            .hint(format!("its codes are {}", codes.join(", ")));
    }
    match Lints::nothing().select(word) {
        Err(unknown) => no_such_rule(&unknown),
        // The beginning of a code selects rules and names none.
        Ok(()) => Error::user(format!("`{word}` stands for several rules"))
            .hint("`cim-nix explain --all` lists them with their codes"),
    }
}

/// One line of the list.
fn line(rule: &Rule) -> String {
    let mark = if rule.is_default { "on " } else { "off" };
    let fix = match rule.fix {
        FixKind::None => "",
        FixKind::Safe => "fix",
        FixKind::Unsafe => "unsafe fix",
    };
    let (code, severity) = (rule.code, rule.severity.word());
    let line = format!("{code:8} {:22} {severity:8} {mark}  {fix}", rule.name);
    line.trim_end().to_owned()
}

/// The page for a terminal: no Markdown but what reads well as it is.
fn text(rule: &Rule, color: bool) -> String {
    let (bold, plain) = marks(color);
    let by_default = if rule.is_default { "on by default" } else { "off by default" };
    let fix = match rule.fix {
        FixKind::None => "no fix",
        FixKind::Safe => "safe fix",
        FixKind::Unsafe => "unsafe fix",
    };
    let (code, name, severity) = (rule.code, rule.name, rule.severity.word());
    let heading = format!("{bold}{code} {name}{plain}\n{severity}, {by_default}, {fix}\n\n");
    heading + &readable(rule.doc, color)
}

/// The same for a code of `cim-nix fmt`.
fn page_text(page: &Page, color: bool) -> String {
    let (bold, plain) = marks(color);
    let (code, name) = (page.code, page.name);
    format!("{bold}{code} {name}{plain}\nerror of `cim-nix fmt`\n\n") + &readable(page.text, color)
}

/// What makes text bold, and what ends that.
fn marks(color: bool) -> (&'static str, &'static str) {
    if color { ("\x1b[1m", "\x1b[0m") } else { ("", "") }
}

fn readable(markdown: &str, color: bool) -> String {
    let (bold, plain) = marks(color);
    let mut out = String::new();
    let mut is_code = false;
    for line in markdown.trim().lines() {
        if line.starts_with("```") {
            is_code = !is_code;
        } else if is_code {
            out.push_str(if line.is_empty() { "" } else { "    " });
            out.push_str(line);
            out.push('\n');
        } else if let Some(heading) = line.strip_prefix("## ") {
            out.push_str(&format!("{bold}{heading}{plain}\n"));
        } else {
            out.push_str(line);
            out.push('\n');
        }
    }
    out
}

#[derive(Serialize)]
struct JsonRule {
    code: &'static str,
    name: &'static str,
    severity: &'static str,
    default: bool,
    fix: &'static str,
    summary: &'static str,
    /// The page in Markdown.
    page: String,
}

impl JsonRule {
    fn of(rule: &'static Rule) -> Self {
        Self {
            code: rule.code.0,
            name: rule.name,
            severity: rule.severity.word(),
            default: rule.is_default,
            fix: match rule.fix {
                FixKind::None => "none",
                FixKind::Safe => "safe",
                FixKind::Unsafe => "unsafe",
            },
            summary: RuleDoc::of(rule).summary,
            page: RuleDoc::page(rule),
        }
    }
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string_pretty(value).expect("strings and booleans always serialise")
}
