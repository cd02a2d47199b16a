//! `cim-nix repl`: expressions evaluated as they are typed.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, IsTerminal as _};
use std::path::PathBuf;
use std::rc::Rc;

use cim_nix_base::{Error, Severity};
use cim_nix_eval::{EvalError, Evaluation, FlakeOptions, Format, Handle, Interrupt, Stop};
use cim_nix_semantics::builtins;
use clap::Args;
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::DefaultHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Config, Context, Editor, Helper};

use crate::evaluation::{Around, EvalArgs};
use crate::exit::Exit;
use crate::installable::Installable;
use crate::lock_args::LockArgs;
use crate::nix_conf;
use crate::terminal::{self, Out, note};

const EXAMPLES: &str = "\
Examples:
  cim-nix repl                        an empty one
  cim-nix repl ./default.nix          with the attributes of a file's value in scope
  cim-nix repl .                      with the outputs of the flake here
  echo '1 + 2' | cim-nix repl         each line of standard input

Inside, `:?` lists the commands, Tab completes names and attribute paths, and Ctrl-C stops an
evaluation. An expression goes on over several lines until it is complete.
Exit status: 0 ended, 2 wrong usage, 3 the machine failed.";

const COMMANDS: &str = "\
  <expr>         evaluate and print, as far as it is known
  <name> = <expr> give a name to a value
  :p <expr>      evaluate and print all of it
  :t <expr>      what the value is
  :doc <expr>    the documentation of a builtin
  :a <expr>      bring the attributes of a set into scope
  :l <file>      bring the attributes of a file's value into scope
  :lf <flake>    bring the outputs of a flake into scope
  :r             load the files and flakes again
  :?             this list
  :q             leave (also Ctrl-D)";

/// Evaluate expressions as you type them
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ReplArgs {
    /// Files and flakes whose attributes are in scope from the start
    #[arg(value_name = "WHAT")]
    what: Vec<String>,
    #[command(flatten)]
    lock_args: LockArgs,
    #[command(flatten)]
    eval_args: EvalArgs,
}

pub(crate) fn run(args: &ReplArgs) -> Result<Exit, Error> {
    let request = args.lock_args.request()?;
    let mut surroundings = args.eval_args.surroundings()?;
    surroundings.with_flakes(false, true);
    let interrupt = surroundings.settings.interrupt.clone();
    let on_signal = interrupt.clone();
    ctrlc::set_handler(move || on_signal.set(Stop::User))
        .map_err(|error| Error::outside("cannot catch Ctrl-C").because(error))?;
    let show_trace = surroundings.show_trace;
    surroundings.evaluate(|evaluation, around, out| {
        request.prepare(evaluation)?;
        let mut repl = Repl {
            evaluation,
            around,
            flake_options: &request.options,
            scope: Rc::default(),
            loaded: Vec::new(),
            interrupt,
            show_trace,
        };
        if std::io::stdin().is_terminal() {
            out.line(concat!("cim-nix ", env!("CARGO_PKG_VERSION"), ". Type :? for help."));
        }
        for what in &args.what {
            repl.report(|repl, out| repl.load(what, out), out);
        }
        repl.run(out);
        Ok(())
    })
}

type Res<T> = Result<T, Box<EvalError>>;
type Scope<'e> = Rc<RefCell<Vec<(String, Handle<'e>)>>>;

struct Repl<'e> {
    evaluation: &'e Evaluation,
    around: &'e Around,
    flake_options: &'e FlakeOptions,
    scope: Scope<'e>,
    /// What `:r` loads again.
    loaded: Vec<String>,
    interrupt: Interrupt,
    show_trace: bool,
}

impl<'e> Repl<'e> {
    fn run(&mut self, out: &mut Out) {
        if !std::io::stdin().is_terminal() {
            let mut text = String::new();
            for line in std::io::stdin().lock().lines().map_while(Result::ok) {
                text.push_str(&line);
                if is_incomplete(&text) {
                    text.push('\n');
                    continue;
                }
                if !self.enter(&std::mem::take(&mut text), out) {
                    return;
                }
            }
            if !text.trim().is_empty() {
                self.enter(&text, out);
            }
            return;
        }
        let config = Config::builder().auto_add_history(true).build();
        let Ok(mut editor) = Editor::<Assistant<'e>, DefaultHistory>::with_config(config) else {
            note("error: this terminal cannot be used");
            return;
        };
        let assistant = Assistant { evaluation: self.evaluation, scope: self.scope.clone() };
        editor.set_helper(Some(assistant));
        let history = history_file();
        if let Some(file) = &history {
            let _ = editor.load_history(file);
        }
        loop {
            out.flush();
            match editor.readline("nix-repl> ") {
                Ok(line) => {
                    self.interrupt.clear();
                    if !self.enter(&line, out) {
                        break;
                    }
                }
                // At the prompt, Ctrl-C drops what was typed.
                Err(ReadlineError::Interrupted) => {}
                Err(_) => break,
            }
        }
        if let Some(file) = &history {
            let _ = file.parent().map(fs::create_dir_all);
            let _ = editor.save_history(file);
        }
    }

    /// Does what was typed; false at the end.
    fn enter(&mut self, line: &str, out: &mut Out) -> bool {
        let line = line.trim();
        let (command, rest) = match line.strip_prefix(':') {
            Some(command) => command.split_once(char::is_whitespace).unwrap_or((command, "")),
            None => ("", line),
        };
        let rest = rest.trim().to_owned();
        match command {
            "q" | "quit" => return false,
            "?" | "help" => out.line(COMMANDS),
            "" if line.starts_with(':') || rest.is_empty() || rest.starts_with('#') => {}
            "" => self.report(|repl, out| repl.evaluate(&rest, out), out),
            "p" | "print" => self.report(|repl, out| repl.print(&rest, true, out), out),
            "t" => self.report(
                |repl, out| {
                    let value = repl.value(&rest)?;
                    out.line(repl.evaluation.type_phrase(value));
                    Ok(())
                },
                out,
            ),
            "doc" => self.report(|repl, out| repl.document(&rest, out), out),
            "a" | "add" => self.report(
                |repl, out| {
                    let value = repl.value(&rest)?;
                    repl.add(value, out)
                },
                out,
            ),
            "l" | "load" | "lf" | "load-flake" => {
                self.report(|repl, out| repl.load(&rest, out), out);
            }
            "r" | "reload" => {
                self.scope.borrow_mut().clear();
                self.evaluation.forget_files();
                for what in std::mem::take(&mut self.loaded) {
                    self.report(|repl, out| repl.load(&what, out), out);
                }
            }
            _ => note(format!("error: unknown command ':{command}'; `:?` lists them")),
        }
        out.flush();
        true
    }

    fn report(&mut self, work: impl FnOnce(&mut Self, &mut Out) -> Res<()>, out: &mut Out) {
        if let Err(error) = work(self, out) {
            out.flush();
            terminal::say(&error.render(self.show_trace));
            self.interrupt.clear();
        }
    }

    fn value(&self, text: &str) -> Res<Handle<'e>> {
        let scope = self.scope.borrow().clone();
        let value = self.evaluation.text_in(text, &self.around.folder, &scope)?;
        self.evaluation.force(value, false)
    }

    fn evaluate(&mut self, text: &str, out: &mut Out) -> Res<()> {
        let Some((name, value)) = binding(text) else { return self.print(text, false, out) };
        // The value may refer to the name: as it was before.
        let scope = self.scope.borrow().clone();
        let value = self.evaluation.text_in(value, &self.around.folder, &scope)?;
        self.bind(name, value);
        Ok(())
    }

    fn bind(&self, name: &str, value: Handle<'e>) {
        let mut scope = self.scope.borrow_mut();
        scope.retain(|(known, _)| known != name);
        scope.push((name.to_owned(), value));
    }

    fn print(&self, text: &str, is_deep: bool, out: &mut Out) -> Res<()> {
        let value = self.value(text)?;
        let bytes = match is_deep {
            true => self.evaluation.write(value, Format::Display, true)?,
            false => self.evaluation.write(value, Format::Surface, true)?,
        };
        out.bytes(&bytes);
        out.text("\n");
        Ok(())
    }

    fn document(&self, text: &str, out: &mut Out) -> Res<()> {
        let value = self.value(text)?;
        let name = self.evaluation.builtin_name(value);
        let known = name.and_then(|name| builtins::all().iter().find(|known| known.name == name));
        match known {
            Some(builtin) => {
                out.line(format!("builtins.{} {}", builtin.name, builtin.params.join(" ")));
                out.text("\n");
                out.line(builtin.doc);
                Ok(())
            }
            None => Err(Box::new(EvalError::other("value does not have documentation".to_owned()))),
        }
    }

    fn add(&self, set: Handle<'e>, out: &mut Out) -> Res<()> {
        let names = self.evaluation.attr_names(set)?;
        for name in &names {
            if let Some(value) = self.evaluation.attr(set, name)? {
                self.bind(name, value);
            }
        }
        let n = names.len();
        out.line(format!("Added {n} variable{}.", if n == 1 { "" } else { "s" }));
        Ok(())
    }

    fn load(&mut self, what: &str, out: &mut Out) -> Res<()> {
        let path = self.around.path(&PathBuf::from(what));
        let is_file = !what.contains('#') && (path.is_file() || path.join("default.nix").exists());
        let value = if is_file {
            let file = self.evaluation.import(&path)?;
            let arguments = self.around.arguments(self.evaluation)?;
            self.evaluation.auto_call(file, &arguments)?
        } else {
            let installable = Installable::parse(what)
                .map_err(|error| Box::new(EvalError::other(error.to_string())))?;
            let locked = self.evaluation.lock(&installable.flake, self.flake_options)?;
            self.evaluation.flake(&locked)?
        };
        self.loaded.push(what.to_owned());
        self.add(value, out)
    }
}

/// The name and the value of `name = value`.
fn binding(text: &str) -> Option<(&str, &str)> {
    let (name, value) = text.split_once('=')?;
    let name = name.trim();
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'\''));
    (is_name && !value.starts_with('=')).then(|| (name, value.trim().trim_end_matches(';')))
}

/// Whether more must follow for the text to be an expression.
fn is_incomplete(text: &str) -> bool {
    let body = match text.trim_start().strip_prefix(':') {
        Some(command) => match command.split_once(char::is_whitespace) {
            Some(("p" | "print" | "t" | "a" | "add" | "doc", rest)) => rest,
            // Files and flakes are no expressions.
            _ => return false,
        },
        None => binding(text.trim()).map_or(text, |(_, value)| value),
    };
    if body.trim().is_empty() {
        return false;
    }
    let parsed = cim_nix_syntax::parse(body);
    let end = body.trim_end().len();
    let faults = parsed.problems.iter().filter(|problem| problem.severity == Severity::Error);
    faults.clone().count() > 0
        && faults.clone().any(|problem| {
            problem.range.start as usize >= end
                || problem.code == cim_nix_syntax::codes::UNTERMINATED
        })
        // Two line ends in a row say that nothing more will come.
        && !text.ends_with("\n\n")
}

fn history_file() -> Option<PathBuf> {
    let state = std::env::var_os("XDG_STATE_HOME").filter(|dir| !dir.is_empty());
    let state = state
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".local/state")));
    state.or_else(nix_conf::cache_home).map(|dir| dir.join("cim-nix/repl-history"))
}

/// What helps while typing.
struct Assistant<'e> {
    evaluation: &'e Evaluation,
    scope: Scope<'e>,
}

impl Completer for Assistant<'_> {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        at: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        let typed = &line[..at];
        let is_part = |c: char| c.is_ascii_alphanumeric() || "_-'.".contains(c);
        let start = typed.rfind(|c: char| !is_part(c)).map_or(0, |at| at + 1);
        let word = &typed[start..];
        let Some((path, prefix)) = word.rsplit_once('.') else {
            let scope = self.scope.borrow();
            let own = scope.iter().map(|(name, _)| name.clone());
            let global = builtins::all().iter().filter(|b| builtins::global(b.name).is_some());
            let keywords = ["let", "in", "if", "then", "else", "with", "rec", "inherit", "assert"];
            let names: BTreeSet<String> = own
                .chain(global.map(|builtin| builtin.name.to_owned()))
                .chain(keywords.map(str::to_owned))
                .filter(|name| name.starts_with(word))
                .collect();
            return Ok((start, names.into_iter().collect()));
        };
        let scope = self.scope.borrow().clone();
        // What fails has no attributes to offer.
        let names = self
            .evaluation
            .text_in(path, std::path::Path::new("/"), &scope)
            .and_then(|value| self.evaluation.attr_names(value))
            .unwrap_or_default();
        let names = names.into_iter().filter(|name| name.starts_with(prefix)).collect();
        Ok((start + path.len() + 1, names))
    }
}

impl Validator for Assistant<'_> {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        Ok(match is_incomplete(context.input()) {
            true => ValidationResult::Incomplete,
            false => ValidationResult::Valid(None),
        })
    }
}

impl Hinter for Assistant<'_> {
    type Hint = String;
}
impl Highlighter for Assistant<'_> {}
impl Helper for Assistant<'_> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_given_with_one_equals_sign() {
        assert_eq!(binding("x = 1"), Some(("x", "1")));
        assert_eq!(binding("x=1;"), Some(("x", "1")));
        assert_eq!(binding("x == 1"), None);
        assert_eq!(binding("{ a = 1; }"), None);
        assert_eq!(binding("let a = 1; in a"), None);
    }

    #[test]
    fn expressions_go_on_until_they_are_complete() {
        for text in
            ["1 +", "{ a = 1;", "let x = 1;", "[ 1", "\"abc", "x =\n(", ":p {", "if true then"]
        {
            assert!(is_incomplete(text), "{text}");
        }
        for text in ["1", "{ a = 1; }", "x = 1", ":q", ":l x.nix", ":lf .", "a b )", "{ a = 1;\n\n"]
        {
            assert!(!is_incomplete(text), "{text}");
        }
    }
}
