//! Values as the Nix code that documentation shows: as `lib.generators.toPretty` writes it.

use cim_nix_eval::{EvalError, Evaluation, Format, Handle, Look};

use crate::dialect::Dialect;

type Res<T> = Result<T, Box<EvalError>>;

/// Values that are nested more deeply are taken for endless.
const MAX_DEPTH: usize = 1000;
/// A longer text helps nobody, and comes from a value that holds half the world.
const MAX_BYTES: usize = 16 << 20;

/// A value as code, on several lines where it has parts.
pub(crate) fn pretty(evaluation: &Evaluation, dialect: Dialect, value: Handle<'_>) -> Res<String> {
    let mut printer = Printer { evaluation, dialect, out: String::new(), depth: 0 };
    printer.push(value)?;
    Ok(printer.out)
}

struct Printer<'e> {
    evaluation: &'e Evaluation,
    dialect: Dialect,
    out: String,
    depth: usize,
}

impl<'e> Printer<'e> {
    /// A line feed and the blanks of a depth.
    fn line(&mut self, depth: usize) {
        self.out.push('\n');
        self.out.extend(std::iter::repeat_n("  ", depth));
    }

    fn push(&mut self, value: Handle<'e>) -> Res<()> {
        if self.depth > MAX_DEPTH || self.out.len() > MAX_BYTES {
            let message = "the value is too large to be shown: it may hold itself".to_owned();
            return Err(Box::new(EvalError::other(message)));
        }
        match self.evaluation.look(value)? {
            Look::Null => self.out.push_str("null"),
            Look::Bool(value) => self.out.push_str(if value { "true" } else { "false" }),
            Look::Int(number) => self.out.push_str(&number.to_string()),
            Look::Float(_) => {
                let json = self.evaluation.write(value, Format::Json, true)?;
                self.out.push_str(&String::from_utf8_lossy(&json));
            }
            Look::String(text) => self.string(&text),
            Look::Path(path) => self.out.push_str(&path),
            Look::List(elements) => self.list(&elements)?,
            Look::Function => {
                let args = self.evaluation.function_args(value)?;
                self.function(&args);
            }
            Look::Set => self.set(value)?,
        }
        Ok(())
    }

    fn string(&mut self, text: &str) {
        let Some((before, last)) = text.rsplit_once('\n') else {
            push_quoted(&mut self.out, text);
            return;
        };
        let depth = self.depth;
        self.out.push_str("''");
        for line in before.split('\n') {
            self.line(depth + 1);
            push_indented(&mut self.out, line);
        }
        if last.is_empty() {
            self.line(depth);
        } else {
            self.line(depth + 1);
            push_indented(&mut self.out, last);
        }
        self.out.push_str("''");
    }

    fn list(&mut self, elements: &[Handle<'e>]) -> Res<()> {
        if elements.is_empty() {
            self.out.push_str("[ ]");
            return Ok(());
        }
        self.out.push('[');
        self.depth += 1;
        for element in elements {
            self.line(self.depth);
            self.push(*element)?;
        }
        self.depth -= 1;
        self.line(self.depth);
        self.out.push(']');
        Ok(())
    }

    fn function(&mut self, args: &[(String, bool)]) {
        let shown = |(name, has_default): &(String, bool)| match has_default {
            true => format!("{name}?"),
            false => name.clone(),
        };
        match args {
            [] => self.out.push_str("<function>"),
            args => {
                let args = args.iter().map(shown).collect::<Vec<_>>().join(", ");
                self.out.push_str(&format!("<function, args: {{{args}}}>"));
            }
        }
    }

    fn set(&mut self, value: Handle<'e>) -> Res<()> {
        let evaluation = self.evaluation;
        if let Some(args) = self.functor_args(value)? {
            self.function(&args);
            return Ok(());
        }
        if let (Some(function), Some(inner)) =
            (evaluation.attr(value, "__pretty")?, evaluation.attr(value, "val")?)
        {
            let text = evaluation.apply(function, inner)?;
            let text = evaluation.write(text, Format::Raw, true)?;
            self.out.push_str(&String::from_utf8_lossy(&text));
            return Ok(());
        }
        let members = evaluation.members(value)?;
        if members.is_empty() {
            self.out.push_str("{ }");
            return Ok(());
        }
        if is_text(evaluation, value, "type", "derivation")? {
            let name = match evaluation.attr(value, "name")? {
                Some(name) => evaluation.write(name, Format::Raw, true)?,
                None => b"???".to_vec(),
            };
            self.out.push_str(&format!("<derivation {}>", String::from_utf8_lossy(&name)));
            return Ok(());
        }
        self.out.push('{');
        self.depth += 1;
        for (name, member) in members {
            self.line(self.depth);
            self.out.push_str(&self.dialect.name(&name));
            self.out.push_str(" = ");
            self.push(member)?;
            self.out.push(';');
        }
        self.depth -= 1;
        self.line(self.depth);
        self.out.push('}');
        Ok(())
    }

    /// The arguments of a set that is a function.
    fn functor_args(&self, value: Handle<'e>) -> Res<Option<Vec<(String, bool)>>> {
        let evaluation = self.evaluation;
        let mut at = value;
        let mut declared = None;
        // Functors of functors are legal; so many are not meant.
        for _ in 0..MAX_DEPTH {
            let Some(functor) = evaluation.attr(at, "__functor")? else {
                let is_function = matches!(evaluation.look(at)?, Look::Function);
                return match declared {
                    _ if !is_function => Ok(None),
                    Some(args) => self.declared_args(args).map(Some),
                    None => evaluation.function_args(at).map(Some),
                };
            };
            if declared.is_none() {
                declared = evaluation.attr(at, "__functionArgs")?;
            }
            at = evaluation.apply(functor, at)?;
        }
        Ok(None)
    }

    fn declared_args(&self, args: Handle<'e>) -> Res<Vec<(String, bool)>> {
        let mut found = Vec::new();
        for (name, value) in self.evaluation.members(args)? {
            let has_default = matches!(self.evaluation.look(value)?, Look::Bool(true));
            found.push((name, has_default));
        }
        Ok(found)
    }
}

/// Whether a set has an attribute with this text.
pub(crate) fn is_text(
    evaluation: &Evaluation,
    set: Handle<'_>,
    name: &str,
    want: &str,
) -> Res<bool> {
    let Some(value) = evaluation.attr(set, name)? else { return Ok(false) };
    Ok(matches!(evaluation.look(value)?, Look::String(text) if text == want))
}

/// A line in double quotes.
fn push_quoted(out: &mut String, text: &str) {
    out.push('"');
    let mut rest = text;
    while let Some(at) = rest.find(['\\', '"', '$']) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let is_escaped = !rest.starts_with('$') || rest.starts_with("${");
        if is_escaped {
            out.push('\\');
        }
        out.push_str(&rest[..1]);
        rest = &rest[1..];
    }
    out.push_str(rest);
    out.push('"');
}

/// A line of an indented string.
fn push_indented(out: &mut String, line: &str) {
    out.push_str(&line.replace("''", "'''").replace("${", "''${"));
}
