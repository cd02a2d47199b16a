//! The way from a file's first token to the expression that decides what the file is.
//!
//! A [`Spine`] passes the parts that only prepare the result (functions, `let`, `with`, `assert`,
//! conditions, calls such as `lib.makeOverridable` that hand their argument through) and stops at
//! what is left. It remembers what it passed, because a file's parameters say as much as its body.

use std::cell::Cell;
use std::rc::Rc;

use super::heads;
use crate::{Node, NodeKind, TokenKind};

/// Steps a spine may take. Nested code is untrusted; real files need less than twenty.
const MAX_STEPS: usize = 64;
/// Bindings and steps looked at for one file in all. Names that stand for each other could
/// otherwise make a small file cost much; real files need some hundreds.
const BUDGET: usize = 100_000;

/// The `let`s in scope, innermost last, and the work that may still be spent on them.
#[derive(Clone)]
pub(super) struct Lets<'t> {
    scopes: Vec<Node<'t>>,
    budget: Rc<Cell<usize>>,
}

impl<'t> Lets<'t> {
    /// No `let` yet, all work still to be spent.
    pub(super) fn new() -> Self {
        Self { scopes: Vec::new(), budget: Rc::new(Cell::new(BUDGET)) }
    }

    /// The `let`s, outermost first.
    pub(super) fn scopes(&self) -> &[Node<'t>] {
        &self.scopes
    }

    /// Finds what the innermost `let` with the name says about it.
    pub(super) fn lookup(&self, name: &str) -> Option<Bound<'t>> {
        self.scopes.iter().rev().find_map(|scope| self.binding(*scope, name))
    }

    fn binding(&self, scope: Node<'t>, name: &str) -> Option<Bound<'t>> {
        for child in scope.children().take_while(|_| self.spend()) {
            match child.kind() {
                NodeKind::Binding if names(child).eq([Some(name)]) => {
                    return child.last_child().map(Bound::Value);
                }
                NodeKind::Inherit
                    if inherited(child).any(|found| static_name(found) == Some(name)) =>
                {
                    let from = child.child_of_kind(NodeKind::InheritFrom)?;
                    return from.child(0).map(Bound::From);
                }
                _ => {}
            }
        }
        None
    }

    /// Takes one step off the budget; false when it is used up.
    fn spend(&self) -> bool {
        let left = self.budget.get();
        self.budget.set(left.saturating_sub(1));
        left > 0
    }
}

/// What was passed on the way in, and where the way ended.
pub(super) struct Spine<'t> {
    /// Parameters of the leading functions, outermost first.
    pub(super) params: Vec<Node<'t>>,
    /// The names in scope at the end.
    pub(super) lets: Lets<'t>,
    /// What `with` opened.
    pub(super) namespaces: Vec<Node<'t>>,
    /// The function of a call on the way that only options know, such as `lib.mkIf`.
    pub(super) option_call: Option<Node<'t>>,
    /// The expression at the end.
    pub(super) body: Node<'t>,
    /// Behind a call's argument, a function is no longer the file's own.
    inside_call: bool,
}

/// What a `let` gives a name.
pub(super) enum Bound<'t> {
    /// The value of a binding.
    Value(Node<'t>),
    /// The expression of an `inherit (…)`.
    From(Node<'t>),
}

impl<'t> Spine<'t> {
    /// Follows `start`, with the names of `lets` in scope.
    pub(super) fn follow(start: Node<'t>, lets: &Lets<'t>) -> Self {
        let mut spine = Self {
            params: Vec::new(),
            lets: lets.clone(),
            namespaces: Vec::new(),
            option_call: None,
            body: start,
            inside_call: false,
        };
        for _ in 0..MAX_STEPS {
            if !spine.lets.spend() {
                break;
            }
            match spine.step() {
                Some(next) => spine.body = next,
                None => break,
            }
        }
        spine
    }

    fn step(&mut self) -> Option<Node<'t>> {
        let node = self.body;
        match node.kind() {
            NodeKind::Root | NodeKind::Paren => node.child(0),
            NodeKind::Lambda => {
                if !self.inside_call {
                    self.params.extend(node.child(0));
                }
                node.last_child()
            }
            NodeKind::LetIn => {
                self.lets.scopes.push(node);
                node.last_child()
            }
            NodeKind::With => {
                self.namespaces.extend(node.child(0));
                node.last_child()
            }
            NodeKind::Assert => node.last_child(),
            NodeKind::IfElse => likely_branch(node),
            NodeKind::Ident => match self.lets.lookup(node.text())? {
                Bound::Value(value) if !value.contains(node) => Some(value),
                _ => None,
            },
            NodeKind::Apply => self.through_call(node),
            NodeKind::Select => first_value(bare(node.child(0)?)),
            _ => None,
        }
    }

    /// The argument or function body that a call amounts to, if it can be told.
    fn through_call(&mut self, call: Node<'t>) -> Option<Node<'t>> {
        let function = bare(call.child(0)?);
        let name = head_name(function).unwrap_or_default();
        if heads::sets_option(name) {
            self.option_call.get_or_insert(function);
        }
        let next = if function.kind() == NodeKind::Lambda {
            function
        } else if name.starts_with("makeScopeWithSplicing") {
            super::shape::attribute(bare(call.last_child()?), "f")?
        } else if heads::hands_through(name) {
            return self.handed_through(call, name);
        } else if function.kind() == NodeKind::Ident && !heads::runs_test(name) {
            match self.lets.lookup(name)? {
                Bound::Value(value) if is_function(value) && !value.contains(call) => value,
                _ => return None,
            }
        } else {
            return None;
        };
        self.inside_call = true;
        Some(next)
    }

    /// The argument that a call of `name` gives back.
    fn handed_through(&mut self, call: Node<'t>, name: &str) -> Option<Node<'t>> {
        let n_arguments = call.children().skip(1).count();
        let next = match name {
            "makeOverridable" if n_arguments == 1 => return call.last_child(),
            "makeOverridable" | "pipe" => call.child(1)?,
            _ => match heads::arity(name) {
                Some(arity) if arity < n_arguments => call.child(arity)?,
                _ => call.last_child()?,
            },
        };
        self.inside_call = true;
        Some(next)
    }

    /// Whether the end lies in an argument of a call that no option is set by.
    pub(super) fn is_handed_through(&self) -> bool {
        self.inside_call && self.option_call.is_none()
    }
}

/// The branch of a condition that says more: not the one that fails or gives nothing.
fn likely_branch(node: Node<'_>) -> Option<Node<'_>> {
    let (consequence, alternative) = (node.child(1)?, node.child(2)?);
    let inner = bare(consequence);
    let gives_nothing = matches!(head_name(inner), Some("throw" | "abort" | "null"))
        || (inner.kind() == NodeKind::AttrSet && inner.is_leaf());
    Some(if gives_nothing { alternative } else { consequence })
}

/// The first value of a set of which one attribute is selected: the others look alike.
fn first_value(set: Node<'_>) -> Option<Node<'_>> {
    let is_set = set.kind() == NodeKind::AttrSet;
    set.child_of_kind(NodeKind::Binding).filter(|_| is_set)?.last_child()
}

fn is_function(node: Node<'_>) -> bool {
    let inner = bare(node);
    inner.kind() == NodeKind::Lambda
        || (inner.kind() == NodeKind::LetIn
            && inner.last_child().is_some_and(|body| bare(body).kind() == NodeKind::Lambda))
}

/// The node without parentheses around it.
pub(super) fn bare(mut node: Node<'_>) -> Node<'_> {
    while node.kind() == NodeKind::Paren
        && let Some(inner) = node.child(0)
    {
        node = inner;
    }
    node
}

/// The names of a binding's attribute path; `None` for one that is computed.
pub(super) fn names<'t>(binding: Node<'t>) -> impl Iterator<Item = Option<&'t str>> {
    let path = binding.child_of_kind(NodeKind::AttrPath);
    path.into_iter().flat_map(Node::children).map(static_name)
}

/// The names that an `inherit` lists.
pub(super) fn inherited<'t>(inherit: Node<'t>) -> impl Iterator<Item = Node<'t>> {
    inherit.children().filter(|child| child.kind() != NodeKind::InheritFrom)
}

/// An attribute's name, if it is written out without escapes.
pub(super) fn static_name(node: Node<'_>) -> Option<&str> {
    match node.kind() {
        NodeKind::Name => Some(node.text()),
        NodeKind::Str if node.is_leaf() => {
            let text = node.text().strip_prefix('"')?.strip_suffix('"')?;
            (!text.contains('\\')).then_some(text)
        }
        _ => None,
    }
}

/// The name that a function is called by: of `a.b.c` the last part.
///
/// Of a call it is the name of the function that is called.
pub(super) fn head_name(node: Node<'_>) -> Option<&str> {
    let mut node = bare(node);
    while node.kind() == NodeKind::Apply {
        node = bare(node.child(0)?);
    }
    match node.kind() {
        NodeKind::Ident => Some(node.text()),
        NodeKind::Select => {
            let path = node.child_of_kind(NodeKind::AttrPath)?;
            path.last_child().and_then(static_name)
        }
        _ => None,
    }
}

/// The variable at the front of `a.b.c`, of a call, or the variable itself.
pub(super) fn base_name(node: Node<'_>) -> Option<&str> {
    let mut node = bare(node);
    while matches!(node.kind(), NodeKind::Select | NodeKind::Apply) {
        node = bare(node.child(0)?);
    }
    (node.kind() == NodeKind::Ident).then(|| node.text())
}

/// The operands of a `//` chain; any other node is its own only operand.
pub(super) fn operands<'t>(node: Node<'t>) -> impl Iterator<Item = Node<'t>> {
    let chained = node.kind() == NodeKind::Binary && node.own_token(TokenKind::Update).is_some();
    let alone = (!chained).then_some(node);
    // A set's own children must not be walked here: there may be thousands.
    alone.into_iter().chain(chained.then(|| node.children()).into_iter().flatten())
}
