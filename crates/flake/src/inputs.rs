//! The inputs of a flake as they are written.

use cim_nix_base::TextRange;
use cim_nix_model::{FlakeInput, FlakeRef, InputPath, RefAttr, RefAttrs, input_path};
use cim_nix_syntax::{Node, NodeId, NodeKind, ast, literal};

use crate::file::{Def, Fault, Member, Placed, inside, members, text_of};

/// How deep inputs of inputs are read. Nix' own lock files end far above.
pub const MAX_NESTING: usize = 100;

/// An input as it is written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Input {
    /// Its name.
    pub name: String,
    /// Where it is named first.
    pub range: TextRange,
    /// The entries that say something of it.
    pub entries: Vec<NodeId>,
    /// Its `url`; that of a path literal begins with `path:`.
    pub url: Option<Placed<String>>,
    /// The input that it is the same as, from this flake.
    pub follows: Option<Placed<InputPath>>,
    /// Whether it is a flake, if that is said.
    pub is_flake: Option<Placed<bool>>,
    /// Other attributes of its source: `type`, `owner` and so on.
    pub attrs: Vec<(String, Placed<RefAttr>)>,
    /// What is said of its own inputs.
    pub inputs: Vec<Self>,
    /// The reference that `url` or the attributes make, where they make one.
    pub reference: Option<FlakeRef>,
}

impl Input {
    /// The input as Nix reads it.
    pub(crate) fn declared(&self) -> FlakeInput {
        FlakeInput {
            reference: self.reference.clone(),
            is_flake: self.is_flake.as_ref().is_none_or(|flag| flag.value),
            follows: self.follows.as_ref().map(|follows| follows.value.clone()),
            inputs: self.inputs.iter().map(|i| (i.name.clone(), i.declared())).collect(),
        }
    }

    /// Where its source is told: at the URL, the first attribute, or its name.
    #[must_use]
    pub fn source_range(&self) -> TextRange {
        let url = self.url.as_ref().map(|url| url.range);
        url.or_else(|| self.attrs.first().map(|(_, attr)| attr.range)).unwrap_or(self.range)
    }

    /// This input and those below it with their paths, parents first.
    #[must_use]
    pub fn all(&self) -> Vec<(InputPath, &Self)> {
        let mut all = vec![(vec![self.name.clone()], self)];
        let mut at = 0;
        while at < all.len() {
            let (path, input) = all[at].clone();
            for inner in &input.inputs {
                let mut path = path.clone();
                path.push(inner.name.clone());
                all.push((path, inner));
            }
            at += 1;
        }
        all
    }
}

/// Reads the definitions of `inputs`.
pub(crate) fn read(defs: &[Def<'_>], faults: &mut Vec<Fault>) -> Vec<Input> {
    inputs(defs, "inputs", 0, faults)
}

fn inputs(defs: &[Def<'_>], what: &str, depth: usize, faults: &mut Vec<Fault>) -> Vec<Input> {
    let inner = inside(defs, what, faults);
    if depth > MAX_NESTING {
        if let Some(def) = inner.first() {
            let message = "inputs are nested too deeply to be read".to_owned();
            faults.push(Fault { range: def.name.range(), message });
        }
        return Vec::new();
    }
    let mut all = Vec::new();
    for member in members(&inner, faults) {
        // What a flake says of itself is no input; only at the top it may.
        if member.name == "self" && depth == 0 {
            continue;
        }
        let Some(first) = member.defs.first() else { continue };
        if member.name == "self" {
            let message = "`self` is no input of an input".to_owned();
            faults.push(Fault { range: first.name.range(), message });
            continue;
        }
        all.push(input(&member, what, depth, faults));
    }
    all
}

fn input(member: &Member<'_>, what: &str, depth: usize, faults: &mut Vec<Fault>) -> Input {
    let path = format!("{what}.{}", member.name);
    let mut input = Input {
        name: member.name.clone(),
        range: member.defs.first().map_or(TextRange::empty(0), |def| def.name.range()),
        entries: member.defs.iter().map(|def| def.entry.id()).collect(),
        url: None,
        follows: None,
        is_flake: None,
        attrs: Vec::new(),
        inputs: Vec::new(),
        reference: None,
    };
    let n_faults = faults.len();
    for part in members(&inside(&member.defs, &path, faults), faults) {
        let Some(def) = part.defs.first() else { continue };
        let what = format!("{path}.{}", part.name);
        match &*part.name {
            "inputs" => input.inputs = inputs(&part.defs, &what, depth + 1, faults),
            "url" => input.url = url_of(def).or_else(|| refuse(def, &what, "a string", faults)),
            "flake" => {
                input.is_flake =
                    bool_of(def).or_else(|| refuse(def, &what, "`true` or `false`", faults));
            }
            "follows" => input.follows = follows(def, &what, faults),
            _ => {
                let attr = attr_of(def);
                let attr =
                    attr.or_else(|| refuse(def, &what, "a string, a number or a Boolean", faults));
                input.attrs.extend(attr.map(|attr| (part.name.clone(), attr)));
            }
        }
    }
    // What could not be read may be what is missing.
    if faults.len() == n_faults {
        match reference(&input) {
            Ok(reference) => input.reference = reference,
            Err(message) => faults.push(Fault { range: input.source_range(), message }),
        }
    }
    input
}

fn follows(def: &Def<'_>, what: &str, faults: &mut Vec<Fault>) -> Option<Placed<InputPath>> {
    let Some(text) = text_of(def) else { return refuse(def, what, "a string", faults) };
    match input_path(&text) {
        Ok(path) => placed(def, path),
        Err(error) => {
            faults.push(Fault { range: def.place(), message: error.to_string() });
            None
        }
    }
}

/// The reference of an input; its rules are those of Nix 2.34.
fn reference(input: &Input) -> Result<Option<FlakeRef>, String> {
    let mut attrs: RefAttrs =
        input.attrs.iter().map(|(name, attr)| (name.clone(), attr.value.clone())).collect();
    let url = input.url.as_ref().map(|url| url.value.as_str());
    let reference = if attrs.contains_key("type") {
        if let Some(url) = url {
            attrs.insert("url".to_owned(), RefAttr::Text(url.to_owned()));
        }
        Some(FlakeRef::from_attrs(attrs).map_err(|error| error.to_string())?)
    } else {
        if let Some(name) = attrs.keys().next() {
            return Err(format!("an input without `type` has no attribute `{name}`"));
        }
        let is_flake = input.is_flake.as_ref().is_none_or(|flag| flag.value);
        let parse = if is_flake { FlakeRef::parse } else { FlakeRef::parse_source };
        url.map(parse).transpose().map_err(|error| error.to_string())?
    };
    if reference.is_some() && input.follows.is_some() {
        return Err(format!("`{}` has both a source and `follows`", input.name));
    }
    Ok(reference)
}

fn refuse<T>(def: &Def<'_>, what: &str, wanted: &str, faults: &mut Vec<Fault>) -> Option<T> {
    // Broken syntax is told by the parser.
    if def.value.is_none_or(|value| value.kind() != NodeKind::Error) {
        let message = format!(
            "`{what}` must be {wanted} as it stands: Nix evaluates nothing to read a flake"
        );
        faults.push(Fault { range: def.place(), message });
    }
    None
}

fn placed<T>(def: &Def<'_>, value: T) -> Option<Placed<T>> {
    let node = def.value?;
    Some(Placed { value, range: node.range(), node: node.id(), entry: def.entry.id() })
}

/// The value of a definition that is written as one literal.
fn literal_of<'t>(def: &Def<'t>) -> Option<Node<'t>> {
    if def.next().is_some() { None } else { ast::without_parens(def.value?) }
}

fn url_of(def: &Def<'_>) -> Option<Placed<String>> {
    let node = literal_of(def)?;
    let text = match ast::Path::cast(node) {
        Some(path) => {
            // As Nix has it, from the folder of the flake and without needless parts.
            let text = path.static_text()?;
            let plain = text.strip_prefix("./").filter(|rest| !rest.is_empty()).unwrap_or(text);
            format!("path:{plain}")
        }
        None => text_of(def)?,
    };
    placed(def, text)
}

fn bool_of(def: &Def<'_>) -> Option<Placed<bool>> {
    match literal_of(def)?.text() {
        "true" => placed(def, true),
        "false" => placed(def, false),
        _ => None,
    }
}

fn attr_of(def: &Def<'_>) -> Option<Placed<RefAttr>> {
    let node = literal_of(def)?;
    if let Some(text) = text_of(def) {
        return placed(def, RefAttr::Text(text));
    }
    if let Some(number) = literal::int_value(node) {
        return placed(def, RefAttr::Number(u64::try_from(number).ok()?));
    }
    let flag = bool_of(def)?;
    placed(def, RefAttr::Bool(flag.value))
}
