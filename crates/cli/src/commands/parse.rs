//! `cim-nix parse`: the tree or the tokens of one file.

use std::fmt::Write as _;
use std::path::PathBuf;

use cim_nix_base::{Error, Severity};
use cim_nix_syntax::{Tree, parse};
use clap::{Args, ValueEnum};

use crate::exit::Exit;
use crate::output::{Format, Rendered, Source, Style, json_text};
use crate::reading::read_named;
use crate::scope::shown;
use crate::terminal::{Out, note};

const EXAMPLES: &str = "\
Examples:
  cim-nix parse flake.nix                       the tree, a node a line: kind@range text
  cim-nix parse --tokens flake.nix              the tokens, blanks and comments included
  echo '1 + 2' | cim-nix parse - --format json  the tree for another program

Ranges count bytes from 0. Exit status: 0 parsed, 2 syntax errors, which go to standard error.";

/// Print the syntax tree or the tokens of a file
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ParseArgs {
    /// The file; `-` is standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Print tokens instead of the tree
    #[arg(long)]
    tokens: bool,
    /// How to print
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: TreeFormat,
}

/// How to print a tree.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
enum TreeFormat {
    /// One node or token a line
    #[default]
    Text,
    /// One JSON object; its schema is documented in docs/cli.md
    Json,
}

pub(crate) fn run(args: &ParseArgs) -> Result<Exit, Error> {
    let source = read_named(&args.file)?;
    let parsed = parse(source.text);
    let (tree, problems) = (&parsed.tree, &parsed.problems);
    let name = shown(&args.file);
    let source = Source::new(&name, tree.text());
    let rendered = |format| {
        Rendered::new(Style { format, color: false, unsafe_fixes: false }, &source, problems)
    };
    let mut out = Out::new();
    match (args.format, args.tokens) {
        (TreeFormat::Text, false) => out.text(&tree.dump()),
        (TreeFormat::Text, true) => out.text(&tokens(tree)),
        (TreeFormat::Json, is_tokens) => {
            let path = json_text(&name);
            let (key, body) = match is_tokens {
                true => ("tokens", json_tokens(tree)),
                false => ("tree", json_tree(tree)),
            };
            let problems = rendered(Format::Json);
            let problems: Vec<&str> = problems.findings().collect();
            let problems = problems.join(",");
            out.line(format_args!(
                "{{\"version\":1,\"path\":{path},\"{key}\":{body},\"problems\":[{problems}]}}"
            ));
        }
    }
    out.finish()?;
    rendered(Format::Concise).findings().for_each(|problem| note(problem.trim_end()));
    let is_broken = problems.iter().any(|problem| problem.severity == Severity::Error);
    Ok(if is_broken { Exit::Refused } else { Exit::Clean })
}

fn tokens(tree: &Tree) -> String {
    let mut out = String::new();
    for token in tree.tokens() {
        let _ = writeln!(out, "{:?}@{:?} {:?}", token.kind(), token.range(), token.text());
    }
    out
}

fn json_tokens(tree: &Tree) -> String {
    let mut out = String::from("[");
    for (at, token) in tree.tokens().enumerate() {
        out.push_str(if at == 0 { "\n" } else { ",\n" });
        let (kind, range, text) = (token.kind(), token.range(), json_text(token.text()));
        let (start, end) = (range.start, range.end);
        let _ = write!(
            out,
            "{{\"kind\":\"{kind:?}\",\"start\":{start},\"end\":{end},\"text\":{text}}}"
        );
    }
    out.push_str("\n]");
    out
}

/// Nested objects, written without recursion: trees may be ten thousand nodes deep.
fn json_tree(tree: &Tree) -> String {
    let mut out = String::new();
    let mut ends: Vec<u32> = Vec::new();
    let mut is_first = true;
    for node in tree.nodes() {
        while ends.last().is_some_and(|&end| end <= node.id().0) {
            ends.pop();
            out.push_str("]}");
            is_first = false;
        }
        out.push_str(if is_first { "" } else { "," });
        let (kind, range) = (node.kind(), node.range());
        let (start, end) = (range.start, range.end);
        let _ = write!(out, "{{\"kind\":\"{kind:?}\",\"start\":{start},\"end\":{end},");
        if node.is_leaf() {
            let _ = write!(out, "\"text\":{},", json_text(node.text()));
        }
        out.push_str("\"children\":[");
        ends.push(node.subtree_end());
        is_first = true;
    }
    out.push_str(&"]}".repeat(ends.len()));
    out
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn json_nests_like_the_tree() {
        let tree = parse("[ 1 (a \"b\") ]").tree;
        expect![[r#"{"kind":"Root","start":0,"end":13,"children":[{"kind":"List","start":0,"end":13,"children":[{"kind":"Literal","start":2,"end":3,"text":"1","children":[]},{"kind":"Paren","start":4,"end":11,"children":[{"kind":"Apply","start":5,"end":10,"children":[{"kind":"Ident","start":5,"end":6,"text":"a","children":[]},{"kind":"Str","start":7,"end":10,"text":"\"b\"","children":[]}]}]}]}]}"#]].assert_eq(&json_tree(&tree));
        let value: serde_json::Value = serde_json::from_str(&json_tree(&tree)).unwrap();
        assert_eq!(value["children"][0]["children"][1]["kind"], "Paren");
    }
}
