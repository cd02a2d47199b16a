//! Which names a file reads, and which it declares for others.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use cim_nix_base::TextRange;
use cim_nix_syntax::ast::{self, Apply, AttrPath, Binding, Entry, Expr, Formal, Inherit};
use cim_nix_syntax::{Node, NodeKind, literal};

use super::FileFacts;
use crate::checker::CheckedFile;
use crate::rules::calls::spelled;

/// A name, hashed: a clash keeps a rule silent.
type Name = u32;

/// The names of a file that others may have to do with.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    /// Names that are read in any way: variables, selections, `inherit`, parameters, strings.
    read: Box<[Name]>,
    pub(crate) declared: Box<[Declared]>,
}

/// What a declared name is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum DeclaredKind {
    /// A function in the set that the file gives.
    Helper,
    /// An option of a module.
    Option,
}

/// A name that a file declares for others.
#[derive(Clone, Debug)]
pub(crate) struct Declared {
    pub(crate) name: Name,
    pub(crate) range: TextRange,
    pub(crate) kind: DeclaredKind,
}

fn hash(name: &str) -> Name {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    hasher.finish() as u32
}

impl Names {
    pub(crate) fn of(checked: &CheckedFile) -> Self {
        let tree = &checked.tree;
        let mut read = HashSet::new();
        let mut declared = Vec::new();
        for node in tree.nodes() {
            reads(node, &mut read);
            if node.kind() == NodeKind::Binding
                && let Some(range) = option_name(node)
            {
                let name = hash(tree.text()[range.as_usize()].trim_matches('"'));
                declared.push(Declared { name, range, kind: DeclaredKind::Option });
            }
        }
        declared.extend(helpers(tree));
        let mut read: Vec<Name> = read.into_iter().collect();
        read.sort_unstable();
        Self { read: read.into(), declared: declared.into() }
    }
}

impl Names {
    /// Only the names that a file reads.
    pub(crate) fn reading(checked: &CheckedFile) -> Self {
        Self { declared: Box::default(), ..Self::of(checked) }
    }
}

/// All names that any file reads.
pub(super) fn read_names(facts: &[FileFacts]) -> HashSet<u32> {
    let names = facts.iter().filter_map(|facts| facts.names.as_ref());
    names.flat_map(|names| names.read.iter().copied()).collect()
}

fn reads(node: Node<'_>, read: &mut HashSet<Name>) {
    match node.kind() {
        NodeKind::Ident => {
            read.insert(hash(node.text()));
        }
        NodeKind::Formal => {
            let name = Formal::cast(node).and_then(Formal::name);
            read.extend(name.map(|name| hash(name.text())));
        }
        NodeKind::Select | NodeKind::HasAttr => {
            let path = node.child(1).and_then(AttrPath::cast);
            let names = path.into_iter().flat_map(AttrPath::elements);
            read.extend(names.filter_map(|attr| attr.name()).map(|name| hash(&name)));
        }
        NodeKind::Inherit => {
            let names = Inherit::cast(node).into_iter().flat_map(Inherit::names);
            read.extend(names.filter_map(|attr| attr.name()).map(|name| hash(&name)));
        }
        // `getAttr "name"`, `attrByPath [ "a" "b" ]`, `"services.a.b"`.
        NodeKind::Str if node.parent().is_none_or(|above| above.kind() != NodeKind::AttrPath) => {
            if let Some(text) = literal::static_string(node).filter(|text| text.len() < 200) {
                read.extend(text.split('.').map(hash));
            }
        }
        _ => {}
    }
}

/// How deep options are declared at most.
const MAX_DEPTH: usize = 256;

/// Where the name of an option stands that a binding declares.
fn option_name(binding: Node<'_>) -> Option<TextRange> {
    let value = Binding::cast(binding)?.value().and_then(ast::without_parens)?;
    let function = Apply::cast(value)?.function()?;
    let head = spelled(function)?;
    if !matches!(head, "mkOption" | "mkEnableOption" | "mkPackageOption") {
        return None;
    }
    // Those of submodules are mostly read as a whole.
    let mut names = Vec::new();
    for (depth, above) in std::iter::once(binding).chain(binding.ancestors()).enumerate() {
        if depth > MAX_DEPTH {
            return None;
        }
        match above.kind() {
            NodeKind::Binding => names.push(Binding::cast(above)?.attr_path()?),
            NodeKind::AttrSet | NodeKind::Paren | NodeKind::LetIn | NodeKind::With => {}
            NodeKind::Lambda | NodeKind::Root => {}
            _ => return None,
        }
    }
    let first = names.last()?.elements().next()?.name()?;
    let last = names.first()?.elements().last()?;
    (first == "options" && last.name().is_some()).then(|| last.node().range())
}

/// The functions in the set that a file gives.
fn helpers(tree: &cim_nix_syntax::Tree) -> Vec<Declared> {
    let Some(set) = cim_nix_syntax::edit::file_set(tree) else { return Vec::new() };
    let helper = |entry: Entry<'_>| {
        let Entry::Binding(binding) = entry else { return None };
        let path = binding.attr_path()?;
        let mut elements = path.elements();
        let name = elements.next()?;
        let value = binding.value().and_then(ast::without_parens).and_then(Expr::cast)?;
        let is_function = matches!(value, Expr::Lambda(_)) && elements.next().is_none();
        let text = name.name().filter(|_| is_function)?;
        let range = name.node().range();
        Some(Declared { name: hash(&text), range, kind: DeclaredKind::Helper })
    };
    ast::entries(tree.node(set)).filter_map(helper).collect()
}
