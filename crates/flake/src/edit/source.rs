//! The file that is to be changed.

use std::collections::{BTreeSet, HashMap, HashSet};

use cim_nix_base::TextRange;
use cim_nix_model::is_flake_id;
use cim_nix_semantics::{BindingId, Ir, ScopeKind};
use cim_nix_syntax::ast::{self, AttrSet, Binding};
use cim_nix_syntax::build::is_bare_name;
use cim_nix_syntax::{Node, NodeId, Tree};

use super::Refusal;
use crate::file::FlakeFile;
use crate::inputs::Input;

/// A flake that parses, and of which Nix would read at least the top.
pub(super) struct Source {
    pub(super) tree: Tree,
    pub(super) file: FlakeFile,
    pub(super) ir: Ir,
    /// The places of the inputs by their names.
    places: HashMap<String, usize>,
    formals: HashSet<String>,
}

impl Source {
    pub(super) fn read(text: &str) -> Result<Self, Refusal> {
        let parse = cim_nix_syntax::parse(text);
        if let Some(problem) = parse.problems.first() {
            let message = problem.message.clone().into_owned();
            return Err(Refusal::Broken { range: problem.range, message });
        }
        let tree = parse.tree;
        let file = FlakeFile::read(&tree).ok_or(Refusal::NotAFlake)?;
        let top = ast::file_expr(&tree)
            .filter(|top| ast::without_parens(*top).map(Node::id) != Some(file.set));
        if let Some(top) = top {
            let start = top.range().start;
            return Err(Refusal::Shape {
                range: TextRange::new(start, start + 1),
                message: "the flake is not written as a set, and Nix evaluates nothing to read it"
                    .to_owned(),
            });
        }
        let ir = cim_nix_semantics::lower(&tree);
        if let Some(problem) = ir.problems.first() {
            let message = problem.message.clone().into_owned();
            return Err(Refusal::Broken { range: problem.range, message });
        }
        let inputs = file.inputs.iter().enumerate();
        let places = inputs.map(|(at, input)| (input.name.clone(), at)).collect();
        let formals = file.outputs.iter().flat_map(|outputs| &outputs.formals);
        let formals = formals.map(|formal| formal.name.clone()).filter(|name| name != "self");
        let formals = formals.collect();
        Ok(Self { tree, file, ir, places, formals })
    }

    pub(super) fn node(&self, id: NodeId) -> Node<'_> {
        self.tree.node(id)
    }

    /// Refuses inputs that cannot be read from the text as it stands; those of the entries
    /// `except` do not matter.
    pub(super) fn check_inputs(&self, except: &[NodeId]) -> Result<(), Refusal> {
        let lies_in = |ids: &[NodeId], range: TextRange| {
            ids.iter().any(|id| self.node(*id).range().contains_range(range))
        };
        let mut faults = self.file.faults.iter().filter(|fault| {
            lies_in(&self.file.input_entries, fault.range) && !lies_in(except, fault.range)
        });
        match faults.next() {
            Some(fault) => {
                Err(Refusal::Shape { range: fault.range, message: fault.message.clone() })
            }
            None => self.check_names(),
        }
    }

    /// Refuses recursive sets around the inputs whose names are used: they would change with them.
    fn check_names(&self) -> Result<(), Refusal> {
        let sets = self.file.input_entries.iter().filter_map(|entry| self.input_set(*entry));
        let sets: Vec<NodeId> = sets.map(Node::id).chain([self.file.set]).collect();
        let is_around = |id: &NodeId| sets.contains(id);
        let is_rec = |node: Node<'_>| AttrSet::cast(node).is_some_and(AttrSet::is_rec);
        if !sets.iter().any(|set| is_rec(self.node(*set))) {
            return Ok(());
        }
        let uses = self.ir.uses();
        for scope in &self.ir.scopes {
            if scope.kind != ScopeKind::Rec || !is_around(&scope.node) {
                continue;
            }
            let is_top = scope.node == self.file.set;
            let names = scope.bindings.range().map(|at| BindingId(at as u32));
            let mut used = names
                .filter(|id| !is_top || self.ir.symbol(self.ir.binding(*id).symbol) == "inputs");
            if let Some(variable) = used.find_map(|id| uses.of(id).first()) {
                return Err(Refusal::Shape {
                    range: self.node(self.ir.node(*variable)).range(),
                    message: "the set around the inputs is recursive, and one of its names is used"
                        .to_owned(),
                });
            }
        }
        Ok(())
    }

    /// The set behind an entry `inputs = { … };`.
    pub(super) fn input_set(&self, entry: NodeId) -> Option<Node<'_>> {
        let binding = Binding::cast(self.node(entry))?;
        let is_whole = binding.attr_path()?.elements().count() == 1;
        let value = binding.value().and_then(ast::without_parens)?;
        (is_whole && AttrSet::cast(value).is_some()).then_some(value)
    }

    /// The declared input of that name.
    pub(super) fn input(&self, name: &str) -> Option<&Input> {
        self.places.get(name).map(|at| &self.file.inputs[*at])
    }

    /// Whether an input is there: declared, or as a parameter of `outputs`.
    pub(super) fn has_input(&self, name: &str) -> bool {
        self.places.contains_key(name) || self.is_formal(name)
    }

    /// Whether an input is a parameter of `outputs`.
    pub(super) fn is_formal(&self, name: &str) -> bool {
        self.formals.contains(name)
    }

    /// Where a name is that of the whole argument of `outputs`.
    pub(super) fn bind_name(&self, name: &str) -> Option<TextRange> {
        let pattern = self.file.outputs.as_ref()?.pattern?;
        let bind = ast::Pattern::cast(self.node(pattern))?.bind_name()?;
        (bind.text() == name).then(|| bind.range())
    }

    /// The number of variables that nothing supplies.
    pub(super) fn n_undefined(&self) -> usize {
        self.ir.free_names().filter(|(_, id)| self.ir.is_undefined(*id)).count()
    }

    /// The names that nothing supplies, but for those of another file.
    pub(super) fn undefined_but(&self, other: &Self) -> Vec<String> {
        let names = |source: &Self| -> BTreeSet<String> {
            let free = source.ir.free_names().filter(|(_, id)| source.ir.is_undefined(*id));
            free.map(|(symbol, _)| source.ir.symbol(symbol).to_owned()).collect()
        };
        names(self).difference(&names(other)).cloned().collect()
    }

    /// The range of the body and the pattern of `outputs`.
    pub(super) fn outputs_range(&self) -> Option<TextRange> {
        let outputs = self.file.outputs.as_ref()?;
        Some(self.node(outputs.lambda.unwrap_or(outputs.entry)).range())
    }

    /// Where the name is used in `outputs` for something that the flake does not bind: a builtin, or
    /// an attribute of a set that `with` opens.
    pub(super) fn free_use(&self, name: &str) -> Option<TextRange> {
        let around = self.outputs_range()?;
        let symbol = self.ir.find_symbol(name)?;
        let mut free = self.ir.free_variables().filter(|(_, other, _)| *other == symbol);
        let ranges = &mut free.by_ref().map(|(id, ..)| self.node(self.ir.node(id)).range());
        ranges.find(|range| around.contains_range(*range))
    }
}

/// Refuses what Nix would not take for the name of an input.
pub(super) fn check_name(name: &str) -> Result<(), Refusal> {
    let message = if name == "self" {
        "it stands for the flake itself"
    } else if !is_flake_id(name) {
        "letters, digits, `_` and `-` are allowed, and a letter comes first"
    } else {
        return Ok(());
    };
    Err(Refusal::InvalidName { name: name.to_owned(), message: message.to_owned() })
}

/// Whether the name can be written as a parameter.
pub(super) fn can_be_formal(name: &str) -> bool {
    is_bare_name(name) && name != "or"
}
