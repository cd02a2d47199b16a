//! Where `outputs` uses an input.

use cim_nix_base::TextRange;
use cim_nix_semantics::{BindingId, BindingKind, Lambda, Symbol, WithId};
use cim_nix_syntax::ast::{self, Attr, AttrPath, Inherit};
use cim_nix_syntax::{Node, NodeKind, TokenKind};

use super::source::Source;
use crate::file::Argument;

/// A place where an input is used, or may be.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Use {
    /// Where.
    pub range: TextRange,
    /// How.
    pub kind: UseKind,
}

/// How an input is used.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[non_exhaustive]
pub enum UseKind {
    /// By its name, as a parameter.
    Parameter,
    /// `inputs.name`, `inputs ? name`.
    Selected,
    /// `inherit (inputs) name;`.
    Inherited,
    /// By its name, where `with inputs;` supplies it.
    With,
    /// By its name, below `with inputs;` and another `with` that may supply it, too.
    MaybeWith,
    /// `inputs.${…}`, which may mean any input.
    Computed,
    /// All inputs are handed on as a whole.
    HandedOn,
    /// All inputs are handed to a function as its argument: it may take no others.
    Passed,
}

impl UseKind {
    /// What is done there, in words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Parameter => "it is used as a parameter",
            Self::Selected => "it is selected from the inputs",
            Self::Inherited => "it is inherited from the inputs",
            Self::With => "its name is supplied by `with`",
            Self::MaybeWith => "its name may be supplied by `with`",
            Self::Computed => "an input with a computed name is used",
            Self::HandedOn | Self::Passed => "the inputs are handed on as a whole",
        }
    }
}

/// The uses of one input.
#[derive(Default)]
pub(super) struct Uses {
    /// Those that certainly mean it.
    pub(super) certain: Vec<Use>,
    /// Those that may.
    pub(super) possible: Vec<Use>,
    /// Where all inputs go elsewhere.
    pub(super) handed_on: Vec<Use>,
}

impl Uses {
    pub(super) fn of(source: &Source, name: &str) -> Self {
        let mut finder = Finder { source, name, uses: Self::default(), bindings: None };
        finder.outputs();
        let mut uses = finder.uses;
        for all in [&mut uses.certain, &mut uses.possible, &mut uses.handed_on] {
            all.sort_unstable();
            all.dedup();
        }
        uses
    }
}

struct Finder<'s> {
    source: &'s Source,
    name: &'s str,
    uses: Uses,
    bindings: Option<cim_nix_semantics::Uses>,
}

impl<'s> Finder<'s> {
    fn outputs(&mut self) {
        let Some(outputs) = &self.source.file.outputs else { return };
        let ir = &self.source.ir;
        let lambda = outputs.lambda.and_then(|id| ir.lambdas.iter().find(|l| l.node == id));
        let Some(lambda) = lambda else {
            if outputs.argument == Argument::Unknown {
                let entry = self.source.node(outputs.entry);
                self.handed_on(entry);
            }
            return;
        };
        self.bindings = Some(ir.uses());
        self.formals(lambda);
        if lambda.has_name
            && let Some(all) = ir.scope_bindings(lambda.scope).next()
            && matches!(ir.binding(all).kind, BindingKind::At | BindingKind::Param)
        {
            for node in self.places(all) {
                self.whole(node);
            }
        }
    }

    fn formals(&mut self, lambda: &Lambda) {
        let ir = &self.source.ir;
        for formal in &ir.formals[lambda.formals.range()] {
            let name = ir.symbol(ir.binding(formal.binding).symbol);
            if name == "self" {
                for node in self.places(formal.binding) {
                    self.own(node);
                }
            } else if name == self.name {
                for node in self.places(formal.binding) {
                    self.certain(node.range(), UseKind::Parameter);
                }
            }
        }
    }

    /// The places that use a binding.
    fn places(&self, binding: BindingId) -> Vec<Node<'s>> {
        let ir = &self.source.ir;
        let uses = self.bindings.as_ref().map_or(&[][..], |uses| uses.of(binding));
        uses.iter().map(|variable| self.source.node(ir.node(*variable))).collect()
    }

    fn certain(&mut self, range: TextRange, kind: UseKind) {
        self.uses.certain.push(Use { range, kind });
    }

    fn possible(&mut self, range: TextRange, kind: UseKind) {
        self.uses.possible.push(Use { range, kind });
    }

    fn handed_on(&mut self, node: Node<'_>) {
        let around = bare_top(node).parent().map(Node::kind);
        let is_passed = matches!(around, Some(NodeKind::Apply | NodeKind::AttrSet));
        let kind = if is_passed { UseKind::Passed } else { UseKind::HandedOn };
        self.uses.handed_on.push(Use { range: node.range(), kind });
    }

    /// Looks at an expression that stands for all inputs.
    fn whole(&mut self, node: Node<'s>) {
        let node = bare_top(node);
        let Some(around) = node.parent() else { return };
        match around.kind() {
            NodeKind::Select | NodeKind::HasAttr if around.child(0) == Some(node) => {
                self.whole_path(around, path_of(around));
            }
            NodeKind::InheritFrom => {
                let names = around.parent().and_then(Inherit::cast).into_iter();
                for attr in names.flat_map(Inherit::names) {
                    match attr.name() {
                        Some(name) if name == self.name => {
                            self.certain(attr.node().range(), UseKind::Inherited);
                        }
                        Some(name) if name == "self" => self.handed_on(attr.node()),
                        _ => {}
                    }
                }
            }
            NodeKind::With if around.child(0) == Some(node) => self.opened(around),
            _ => self.handed_on(node),
        }
    }

    /// Looks at a path that is selected from all inputs.
    fn whole_path(&mut self, select: Node<'s>, path: Vec<Attr<'s>>) {
        let Some((first, rest)) = path.split_first() else { return };
        match first.name() {
            Some(name) if name == self.name => {
                self.certain(first.node().range(), UseKind::Selected);
            }
            Some(name) if name == "self" => self.own_path(select, rest),
            Some(_) => {}
            None => self.possible(first.node().range(), UseKind::Computed),
        }
    }

    /// Looks at an expression that stands for the flake itself, which has its inputs, too.
    fn own(&mut self, node: Node<'s>) {
        let node = bare_top(node);
        let Some(around) = node.parent() else { return };
        match around.kind() {
            NodeKind::Select | NodeKind::HasAttr if around.child(0) == Some(node) => {
                self.own_path(around, &path_of(around));
            }
            NodeKind::InheritFrom => {
                let names = around.parent().and_then(Inherit::cast).into_iter();
                for attr in names.flat_map(Inherit::names) {
                    if attr.name().is_none_or(|name| name == "inputs") {
                        self.handed_on(attr.node());
                    }
                }
            }
            _ => self.own_path(node, &[]),
        }
    }

    /// Looks at a path that is selected from the flake itself; `node` is the selection.
    fn own_path(&mut self, node: Node<'s>, path: &[Attr<'s>]) {
        match path {
            [] => {
                let node = bare_top(node);
                if !node.parent().is_some_and(stays_folder) {
                    self.uses.handed_on.push(Use { range: node.range(), kind: UseKind::HandedOn });
                }
            }
            [first, rest @ ..] => match first.name() {
                Some(name) if name == "inputs" => match rest {
                    [] => self.whole(node),
                    _ => self.whole_path(node, rest.to_vec()),
                },
                Some(_) => {}
                None => self.possible(first.node().range(), UseKind::Computed),
            },
        }
    }

    /// Looks at the names that a `with` may supply.
    fn opened(&mut self, with: Node<'s>) {
        let ir = &self.source.ir;
        let Some(id) = ir.withs.iter().position(|other| other.node == with.id()) else { return };
        let id = WithId(id as u32);
        let Some(symbol) = ir.find_symbol(self.name) else { return };
        for (variable, range) in self.free(symbol) {
            let mut withs = std::iter::successors(Some(variable), |id| ir.with(*id).outer);
            if variable == id {
                self.certain(range, UseKind::With);
            } else if withs.any(|with| with == id) {
                self.possible(range, UseKind::MaybeWith);
            }
        }
    }

    /// The free variables of that name below a `with`.
    fn free(&self, symbol: Symbol) -> Vec<(WithId, TextRange)> {
        let ir = &self.source.ir;
        let free = ir.free_variables().filter(|(_, other, _)| *other == symbol);
        free.filter_map(|(id, _, with)| Some((with?, self.source.node(ir.node(id)).range())))
            .collect()
    }
}

/// The node with the parentheses around it.
fn bare_top(node: Node<'_>) -> Node<'_> {
    let is_paren = |node: &Node<'_>| node.kind() == NodeKind::Paren;
    node.ancestors().take_while(is_paren).last().unwrap_or(node)
}

fn path_of(select: Node<'_>) -> Vec<Attr<'_>> {
    let path = select.child(1).and_then(AttrPath::cast);
    path.into_iter().flat_map(AttrPath::elements).collect()
}

/// Whether the flake itself means its folder in `around`: as a part of a string or path, or when it
/// is compared. `self // { }` has all of its attributes.
fn stays_folder(around: Node<'_>) -> bool {
    let operator = ast::Binary::cast(around).map(ast::Binary::operator);
    around.kind() == NodeKind::Interpol
        || matches!(operator, Some(TokenKind::Add | TokenKind::Equal | TokenKind::NotEqual))
}
