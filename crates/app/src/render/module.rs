//! A module as code.

use std::collections::BTreeMap;

use cim_domain_nix::model::AttributePath;
use cim_domain_nix::{ModuleOption, NixModule, NixValue};
use cim_nix_base::Error;
use cim_nix_syntax::build;

use super::scope::{Head, undefined};
use super::value::{self, bindings, bound, name};
use super::{Rendered, built, code, code_list, laid_out, shown};

/// Attributes that mean something else than a setting where a module has no `config`.
const RESERVED: [&str; 9] = [
    "_class",
    "_file",
    "_module",
    "config",
    "disabledModules",
    "freeformType",
    "imports",
    "key",
    "options",
];

/// The file of a module.
///
/// Shape: a set if the module needs nothing handed in, else a function. What it sets stands at the
/// top where it declares no options, and below `config` otherwise.
///
/// Errors: an option's path, a type or other code is not what it has to be; the message names it.
pub fn render_module(module: &NixModule) -> Result<Rendered, Error> {
    let mut sections = Vec::new();
    if !module.imports.is_empty() {
        let list = code_list("the import", &module.imports)?;
        sections.push(format!("imports = {list};"));
    }
    if !module.options.is_empty() {
        let mut tree = Tree::default();
        for (path, option) in &module.options {
            tree.put(path, declaration(path, option)?)?;
        }
        sections.push(format!("options = {{\n{}\n}};", tree.bindings()?));
    }
    value::check("what the module sets", &module.config)?;
    sections.extend(settings(&module.config, !module.options.is_empty())?);
    whole(&sections)
}

/// The file of a module with these sections of its set.
pub(super) fn whole(sections: &[String]) -> Result<Rendered, Error> {
    let body = match sections {
        [] => "{ }".to_owned(),
        sections => format!("{{\n{}\n}}", sections.join("\n\n")),
    };
    let head = Head::of(&body);
    let notes = head.notes();
    Ok(Rendered { text: laid_out(format!("{}{body}", head.text))?, special: head.special, notes })
}

fn settings(config: &NixValue, has_options: bool) -> Result<Option<String>, Error> {
    let what = "what the module sets";
    Ok(match config {
        NixValue::AttrSet(attrs) if attrs.is_empty() => None,
        NixValue::AttrSet(attrs) => {
            let is_reserved = RESERVED.iter().any(|name| attrs.contains_key(*name));
            let settings = bindings(what, attrs)?;
            Some(match has_options || is_reserved {
                true => format!("config = {{\n{settings}\n}};"),
                false => settings,
            })
        }
        other => Some(format!("config = {};", bound(what, other)?)),
    })
}

/// `lib.mkOption { … }`.
fn declaration(path: &str, option: &ModuleOption) -> Result<String, Error> {
    let what = |part: &str| format!("the {part} of the option `{}`", shown(path));
    let mut out =
        format!("lib.mkOption {{\ntype = {};\n", code(&what("type"), &option.option_type)?);
    if let Some(default) = &option.default {
        let what = what("default");
        value::check(&what, default)?;
        let text = bound(&what, default)?;
        out.push_str(&format!("default = {text};\n"));
        // A manual is made without the machine's settings and packages.
        let names = undefined(&text);
        if names.contains("config") || names.contains("pkgs") {
            out.push_str(&format!("defaultText = {};\n", as_text(&what, &text)?));
        }
    }
    if let Some(example) = &option.example {
        let what = what("example");
        value::check(&what, example)?;
        let text = bound(&what, example)?;
        let text = match undefined(&text).is_empty() {
            true => text,
            false => as_text(&what, &text)?,
        };
        out.push_str(&format!("example = {text};\n"));
    }
    if let Some(description) = &option.description {
        let text = build::Value::from(description.as_str()).render(0);
        out.push_str(&format!("description = {};\n", built(&what("description"), text)?));
    }
    out.push('}');
    Ok(out)
}

/// Code as the manual shows it, without being evaluated.
fn as_text(what: &str, code: &str) -> Result<String, Error> {
    let text = built(what, build::Value::from(code).render(0))?;
    Ok(format!("lib.literalExpression {text}"))
}

/// Declarations by the parts of their paths.
#[derive(Default)]
struct Tree(BTreeMap<String, Branch>);

enum Branch {
    Option(String),
    Below(Tree),
}

/// Most parts of the path of an option.
const MOST_PARTS: usize = 40;

impl Tree {
    fn put(&mut self, path: &str, declaration: String) -> Result<(), Error> {
        let wrong = |why: String| {
            Error::user(format!("`{}` cannot be the path of an option: {why}", shown(path)))
        };
        let parsed: AttributePath = path.parse().map_err(|error| wrong(format!("{error}")))?;
        let clash = || wrong("another option has the same path, or one above or below it".into());
        let (last, above) =
            parsed.segments().split_last().ok_or_else(|| wrong("it is empty".into()))?;
        if above.len() >= MOST_PARTS {
            return Err(wrong(format!("it has more than {MOST_PARTS} parts")));
        }
        let mut tree = self;
        for part in above {
            let below =
                tree.0.entry(part.clone()).or_insert_with(|| Branch::Below(Self::default()));
            let Branch::Below(below) = below else { return Err(clash()) };
            tree = below;
        }
        match tree.0.insert(last.clone(), Branch::Option(declaration)) {
            None => Ok(()),
            Some(_) => Err(clash()),
        }
    }

    /// The bindings of all, a set with one attribute joined to the path that leads to it.
    fn bindings(&self) -> Result<String, Error> {
        let mut out = String::new();
        for (first, branch) in &self.0 {
            let mut path = name("an option", first)?;
            let mut branch = branch;
            while let Branch::Below(tree) = branch
                && tree.0.len() == 1
                && let Some((next, below)) = tree.0.first_key_value()
            {
                path.push('.');
                path.push_str(&name("an option", next)?);
                branch = below;
            }
            if !out.is_empty() {
                out.push_str("\n\n");
            }
            match branch {
                Branch::Option(declaration) => out.push_str(&format!("{path} = {declaration};")),
                Branch::Below(tree) => {
                    out.push_str(&format!("{path} = {{\n{}\n}};", tree.bindings()?));
                }
            }
        }
        Ok(out)
    }
}
