//! `flake.nix` as it is written.

use std::rc::Rc;

use cim_nix_base::TextRange;
use cim_nix_model::{FlakeInput, FlakeInputs, FlakeRef, InputPath};
use cim_nix_syntax::ast::{self, Attr, AttrSet, Binding, Entry, Expr, Lambda};
use cim_nix_syntax::{Node, NodeId, NodeKind, Tree};

use crate::copies;
use crate::inputs::{self, Input};

/// A value with the place that it is written at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Placed<T> {
    /// The value.
    pub value: T,
    /// Where it is written.
    pub range: TextRange,
    /// The node that it is written as.
    pub node: NodeId,
    /// The entry that gives it.
    pub entry: NodeId,
}

/// Something that Nix refuses to read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// Where.
    pub range: TextRange,
    /// What, lower case without a full stop.
    pub message: String,
}

/// What is said of the argument of `outputs`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Argument {
    /// `inputs: …`.
    Name,
    /// `{ self, nixpkgs }: …`, maybe with `...`.
    Pattern {
        /// Whether the pattern ends in `...`.
        has_ellipsis: bool,
    },
    /// The function is written elsewhere.
    Unknown,
}

/// A name in the pattern of `outputs`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FormalName {
    /// The name.
    pub name: String,
    /// Where the name is written.
    pub range: TextRange,
    /// The formal.
    pub node: NodeId,
}

/// The `outputs` of a flake.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outputs {
    /// The entry that gives them.
    pub entry: NodeId,
    /// Where their name is written.
    pub range: TextRange,
    /// The function, if it is written there.
    pub lambda: Option<NodeId>,
    /// The pattern of the function.
    pub pattern: Option<NodeId>,
    /// What is said of its argument.
    pub argument: Argument,
    /// The names in its pattern.
    pub formals: Vec<FormalName>,
}

/// A `flake.nix` as it is written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FlakeFile {
    /// The set that the file is about.
    pub set: NodeId,
    /// What stands behind `description`, and its text if it is a string as it stands.
    pub description: Option<Placed<Option<String>>>,
    /// The declared inputs in the order of their first places; `self` is none.
    pub inputs: Vec<Input>,
    /// The entries of the file's set that are about inputs.
    pub input_entries: Vec<NodeId>,
    /// The outputs, if there are any.
    pub outputs: Option<Outputs>,
    /// What stands behind `nixConfig`, or behind a part of it.
    pub settings: Vec<NodeId>,
    /// The inputs of inputs whose `follows` is commented out.
    pub apart: Vec<InputPath>,
    /// What Nix refuses to read.
    pub faults: Vec<Fault>,
}

/// A definition of an attribute or of a part of it: what is left of its path, and its value.
#[derive(Clone)]
pub(crate) struct Def<'t> {
    path: Rc<[Attr<'t>]>,
    /// How many names of the path were passed.
    passed: usize,
    /// Nothing for a name that is inherited.
    pub(crate) value: Option<Node<'t>>,
    pub(crate) entry: Node<'t>,
    /// The name that was passed last.
    pub(crate) name: Node<'t>,
}

impl<'t> Def<'t> {
    /// The next name of the path, if it goes on.
    pub(crate) fn next(&self) -> Option<Attr<'t>> {
        self.path.get(self.passed).copied()
    }

    fn pass(&self, attr: Attr<'t>) -> Self {
        Self { passed: self.passed + 1, name: attr.node(), ..self.clone() }
    }
}

/// The definitions of one attribute.
pub(crate) struct Member<'t> {
    pub(crate) name: String,
    pub(crate) defs: Vec<Def<'t>>,
}

impl FlakeFile {
    /// Reads the file; `None` for one that is no flake: it sets neither `outputs` nor `inputs`.
    #[must_use]
    pub fn read(tree: &Tree) -> Option<Self> {
        let set = file_set(tree)?;
        let is_literal = ast::without_parens(ast::file_expr(tree)?) == Some(set);
        let mut faults = Vec::new();
        let members = members(&entries(set), &mut faults);
        let is_flake = |member: &Member<'_>| matches!(&*member.name, "outputs" | "inputs");
        if !members.iter().any(is_flake)
            || (!is_literal && members.iter().filter(|m| is_flake(m)).count() < 2)
        {
            return None;
        }
        let mut file = Self {
            set: set.id(),
            description: None,
            inputs: Vec::new(),
            input_entries: Vec::new(),
            outputs: None,
            settings: Vec::new(),
            apart: copies::apart(tree),
            faults,
        };
        if !is_literal {
            let start = set.tree().root().child(0).map_or(set.range(), Node::range).start;
            let message = "a flake must be a set as it stands: Nix evaluates nothing to read it";
            file.fault(TextRange::new(start, start + 1), message);
        }
        for member in &members {
            file.member(member);
        }
        if file.outputs.is_none() {
            let range = set.first_token().map_or(set.range(), |token| token.range());
            file.fault(range, "this flake has no `outputs`");
        }
        file.faults.sort_by_key(|fault| fault.range.start);
        Some(file)
    }

    fn fault(&mut self, range: TextRange, message: impl Into<String>) {
        self.faults.push(Fault { range, message: message.into() });
    }

    fn member(&mut self, member: &Member<'_>) {
        let Some(first) = member.defs.first() else { return };
        match &*member.name {
            "inputs" => {
                self.input_entries = member.defs.iter().map(|def| def.entry.id()).collect();
                self.inputs = inputs::read(&member.defs, &mut self.faults);
            }
            "outputs" => self.outputs = Some(outputs(first, &mut self.faults)),
            "nixConfig" => {
                let values = member.defs.iter().filter_map(|def| def.value);
                self.settings = values.map(Node::id).collect();
            }
            "description" => {
                let value = text_of(first);
                if value.is_none() {
                    self.fault(first.place(), "the `description` must be a string as it stands");
                }
                let (node, entry) = (first.value.unwrap_or(first.name), first.entry.id());
                let range = node.range();
                self.description = Some(Placed { value, range, node: node.id(), entry });
            }
            name => {
                let message = format!("Nix knows no attribute `{name}` of a flake");
                self.fault(first.name.range(), message);
            }
        }
    }

    /// The input of that name.
    #[must_use]
    pub fn input(&self, name: &str) -> Option<&Input> {
        self.inputs.iter().find(|input| input.name == name)
    }

    /// The declared input that a path of inputs leads to, or the nearest above it.
    #[must_use]
    pub fn nearest(&self, path: &[String]) -> Option<&Input> {
        let mut found = self.input(path.first()?)?;
        for name in &path[1..] {
            match found.inputs.iter().find(|input| input.name == *name) {
                Some(input) => found = input,
                None => break,
            }
        }
        Some(found)
    }

    /// The inputs as Nix reads them: those that are declared, and the parameters of `outputs`. What
    /// it refuses is left out.
    #[must_use]
    pub fn declared(&self) -> FlakeInputs {
        let mut all: FlakeInputs =
            self.inputs.iter().map(|input| (input.name.clone(), input.declared())).collect();
        for formal in self.outputs.iter().flat_map(|outputs| &outputs.formals) {
            if formal.name != "self" && !all.contains_key(&formal.name) {
                let reference = FlakeRef::parse(&formal.name).ok();
                let input = FlakeInput { reference, ..FlakeInput::default() };
                all.insert(formal.name.clone(), input);
            }
        }
        all
    }

    /// Where an input is named first: where it is declared, or as a parameter of `outputs`; else
    /// where the flake begins to speak of inputs or outputs.
    #[must_use]
    pub fn place(&self, tree: &Tree, name: &str) -> TextRange {
        if let Some(input) = self.input(name) {
            return input.range;
        }
        let formal = self.outputs.iter().flat_map(|outputs| &outputs.formals);
        if let Some(formal) = formal.into_iter().find(|formal| formal.name == name) {
            return formal.range;
        }
        self.head(tree)
    }

    /// Where the flake begins to speak of inputs, or else of outputs.
    #[must_use]
    pub fn head(&self, tree: &Tree) -> TextRange {
        let entry = self.input_entries.first().map(|entry| tree.node(*entry));
        let name = entry.and_then(|entry| Some(Binding::cast(entry)?.attr_path()?.node().range()));
        name.or_else(|| self.outputs.as_ref().map(|outputs| outputs.range))
            .unwrap_or_else(|| TextRange::empty(tree.node(self.set).range().start))
    }
}

/// The set that a file would be evaluated to, functions left aside: they are no flakes.
fn file_set(tree: &Tree) -> Option<Node<'_>> {
    let mut node = ast::file_expr(tree)?;
    loop {
        node = match Expr::cast(node)? {
            Expr::AttrSet(set) => return Some(set.node()),
            Expr::LetIn(let_in) => let_in.body()?,
            Expr::With(with) => with.body()?,
            Expr::Assert(assert) => assert.body()?,
            Expr::Paren(paren) => paren.inner()?,
            _ => return None,
        };
    }
}

fn outputs(def: &Def<'_>, faults: &mut Vec<Fault>) -> Outputs {
    let value = def.value.filter(|_| def.next().is_none()).and_then(ast::without_parens);
    let lambda = value.and_then(Lambda::cast);
    let pattern = lambda.and_then(Lambda::pattern);
    // A variable may be a builtin, which is a function, too; what computes one is none to Nix.
    let may_be_function = value
        .is_none_or(|v| matches!(v.kind(), NodeKind::Lambda | NodeKind::Ident | NodeKind::Error));
    if !may_be_function || (def.next().is_some()) {
        let message = "`outputs` must be a function as it stands: Nix evaluates nothing to read it";
        faults.push(Fault { range: def.place(), message: message.to_owned() });
    }
    let formals = pattern.into_iter().flat_map(|pattern| pattern.formals()).filter_map(|formal| {
        let name = formal.name()?;
        Some(FormalName {
            name: name.text().to_owned(),
            range: name.range(),
            node: formal.node().id(),
        })
    });
    Outputs {
        entry: def.entry.id(),
        range: def.name.range(),
        lambda: lambda.map(|lambda| lambda.node().id()),
        pattern: pattern.map(|pattern| pattern.node().id()),
        argument: match (lambda, pattern) {
            (None, _) => Argument::Unknown,
            (_, None) => Argument::Name,
            (_, Some(pattern)) => Argument::Pattern { has_ellipsis: pattern.ellipsis().is_some() },
        },
        formals: formals.collect(),
    }
}

impl Def<'_> {
    /// Where the value is written, or the name that is inherited.
    pub(crate) fn place(&self) -> TextRange {
        self.value.map_or(self.name.range(), Node::range)
    }
}

/// The string that is written as a value.
pub(crate) fn text_of(def: &Def<'_>) -> Option<String> {
    let value = ast::without_parens(def.value?)?;
    let text = match def.next() {
        Some(_) => None,
        None if value.kind() == NodeKind::SearchPath => None,
        None => cim_nix_syntax::literal::constant_text(value),
    };
    text.map(std::borrow::Cow::into_owned)
}

/// The definitions that the entries of a set make.
pub(crate) fn entries(set: Node<'_>) -> Vec<Def<'_>> {
    let mut defs = Vec::new();
    for entry in ast::entries(set) {
        match entry {
            Entry::Binding(binding) => {
                let Some(path) = binding.attr_path() else { continue };
                let (value, entry) = (binding.value(), binding.node());
                let name = path.node();
                defs.push(Def { path: path.elements().collect(), passed: 0, value, entry, name });
            }
            Entry::Inherit(inherit) => {
                let entry = inherit.node();
                defs.extend(inherit.names().map(|name| Def {
                    path: Rc::new([name]),
                    passed: 0,
                    value: None,
                    entry,
                    name: name.node(),
                }));
            }
        }
    }
    defs
}

/// Definitions sorted by the first names of their paths, in the order of their first places.
pub(crate) fn members<'t>(defs: &[Def<'t>], faults: &mut Vec<Fault>) -> Vec<Member<'t>> {
    let mut members: Vec<Member<'t>> = Vec::new();
    let mut places = std::collections::HashMap::new();
    for def in defs {
        let Some(attr) = def.next() else { continue };
        let Some(name) = attr.name() else {
            if attr.is_dynamic() {
                let message = "this name is computed, but Nix evaluates nothing to read a flake";
                faults.push(Fault { range: attr.node().range(), message: message.to_owned() });
            }
            continue;
        };
        let at = *places.entry(name.clone().into_owned()).or_insert_with(|| {
            members.push(Member { name: name.into_owned(), defs: Vec::new() });
            members.len() - 1
        });
        members[at].defs.push(def.pass(attr));
    }
    members
}

/// The definitions inside of an attribute that has to be a set.
pub(crate) fn inside<'t>(defs: &[Def<'t>], what: &str, faults: &mut Vec<Fault>) -> Vec<Def<'t>> {
    let mut all = Vec::new();
    for def in defs {
        if def.next().is_some() {
            all.push(def.clone());
            continue;
        }
        let value = def.value.and_then(ast::without_parens);
        match value.and_then(Expr::cast) {
            Some(Expr::AttrSet(set)) => all.extend(entries(AttrSet::node(set))),
            // Broken syntax is told by the parser.
            Some(Expr::Error(_)) => {}
            None if def.value.is_some() => {}
            _ => {
                let message = format!(
                    "`{what}` must be a set as it stands: Nix evaluates nothing to read a flake"
                );
                faults.push(Fault { range: def.place(), message });
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_has_its_place() {
        let text = "{
  inputs.a.url = \"github:o/a\";
  inputs = { b = { type = \"git\"; url = \"https://x.org\"; flake = false; }; };
  inputs.a.inputs.c.follows = \"b\";
  nixConfig.x = 1;
  outputs = { self, a, ... }@all: { };
}";
        let tree = cim_nix_syntax::parse(text).tree;
        let flake = FlakeFile::read(&tree).unwrap();
        assert_eq!(flake.faults, []);
        let [a, b] = &flake.inputs[..] else { panic!("{:?}", flake.inputs) };
        assert_eq!((&*a.name, a.entries.len(), &text[a.range.as_usize()]), ("a", 2, "a"));
        assert_eq!(a.reference.as_ref().unwrap().to_string(), "github:o/a");
        let follows = a.inputs[0].follows.as_ref().unwrap();
        assert_eq!(
            (&text[follows.range.as_usize()], &follows.value[..]),
            ("\"b\"", &["b".to_owned()][..])
        );
        let flag = b.is_flake.as_ref().unwrap();
        assert_eq!((flag.value, tree.node(flag.entry).text()), (false, "flake = false;"));
        assert_eq!(b.reference.as_ref().unwrap().kind(), "git");
        let outputs = flake.outputs.as_ref().unwrap();
        assert_eq!(outputs.argument, Argument::Pattern { has_ellipsis: true });
        assert_eq!(outputs.formals.iter().map(|f| &*f.name).collect::<Vec<_>>(), ["self", "a"]);
        assert_eq!((flake.input_entries.len(), flake.settings.len()), (3, 1));
        let nearest = flake.nearest(&["a".to_owned(), "c".to_owned(), "d".to_owned()]);
        assert_eq!(nearest.unwrap().name, "c");
    }

    #[test]
    fn half_typed_flakes_are_read_as_far_as_they_go() {
        let text = "{ inputs = { a.url = \"github:o/a\"; b = { url = ; }; }; outputs = { self, a, b }: { }; }";
        for end in (0..=text.len()).filter(|at| text.is_char_boundary(*at)) {
            let tree = cim_nix_syntax::parse(&text[..end]).tree;
            if let Some(flake) = FlakeFile::read(&tree) {
                let _ = (flake.declared(), flake.head(&tree));
            }
        }
    }
}
