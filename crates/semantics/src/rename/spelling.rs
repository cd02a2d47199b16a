//! Which attribute each name in a binding spells. Dotted names are merged to sets, so several nodes
//! may spell one attribute, and which set a name belongs to depends on what stands around it.

use std::collections::HashMap;

use cim_nix_syntax::{Node, NodeId, NodeKind, Tree, literal};

use crate::ir::{AttrKind, Expr, ExprId, Ir, SetId};

/// An attribute: its set, and its place in [`Ir::attrs`].
pub(super) type AttrRef = (SetId, u32);

/// The attributes that nodes spell, and the other way round.
#[derive(Default)]
pub(super) struct Spellings {
    pub(super) of_node: HashMap<NodeId, AttrRef>,
    pub(super) of_attr: HashMap<u32, Vec<NodeId>>,
}

/// The attributes of all sets by name.
pub(super) struct Names {
    attrs: HashMap<(SetId, Box<str>), u32>,
}

impl Names {
    pub(super) fn of(ir: &Ir) -> Self {
        let mut attrs = HashMap::new();
        for at in 0..ir.sets.len() as u32 {
            let set = SetId(at);
            for attr in ir.set(set).attrs.range() {
                let name = ir.symbol(ir.attrs[attr].symbol);
                attrs.insert((set, name.into()), attr as u32);
            }
        }
        Self { attrs }
    }

    pub(super) fn get(&self, set: SetId, name: &str) -> Option<u32> {
        self.attrs.get(&(set, name.into())).copied()
    }
}

/// Finds what every name of a binding or `inherit` spells.
pub(super) fn spellings(tree: &Tree, ir: &Ir, names: &Names) -> Spellings {
    let is_container = |node: Node<'_>| {
        matches!(node.kind(), NodeKind::AttrSet | NodeKind::LegacyLet | NodeKind::LetIn)
    };
    let mut sets: HashMap<NodeId, SetId> = HashMap::new();
    for (at, set) in ir.sets.iter().enumerate() {
        sets.insert(set.node, SetId(at as u32));
    }
    let mut found = Spellings::default();
    // Sets around come first, and say which set a literal in a merged group belongs to.
    for node in tree.nodes().filter(|node| is_container(*node)) {
        let Some(&set) = sets.get(&node.id()) else { continue };
        for entry in node.children() {
            match entry.kind() {
                NodeKind::Inherit => {
                    for name in entry.children() {
                        spell(&mut found, names, set, name);
                    }
                }
                NodeKind::Binding => {
                    if let Some((literal, set)) = binding(&mut found, ir, names, set, entry) {
                        sets.insert(literal, set);
                    }
                }
                _ => {}
            }
        }
    }
    found
}

/// Notes what the names of a binding spell. Answers the literal set that is its value, where that is
/// merged into a set of dotted names.
fn binding(
    found: &mut Spellings,
    ir: &Ir,
    names: &Names,
    set: SetId,
    entry: Node<'_>,
) -> Option<(NodeId, SetId)> {
    let mut parts = entry.children();
    let (path, value) = (parts.next()?, parts.next()?);
    let mut set = set;
    let mut elements = path.children().peekable();
    while let Some(element) = elements.next() {
        let value_of = match spell(found, names, set, element) {
            Some(attr) if elements.peek().is_none() => {
                let attr = ir.attrs[attr as usize];
                let is_merged = attr.kind == AttrKind::Nested;
                return Some((literal_set(value)?, set_of(ir, attr.value)?)).filter(|_| is_merged);
            }
            Some(attr) => ir.attrs[attr as usize].value,
            None => {
                let computed = ir.set_dynamics(set).iter().find(|it| it.node == element.id())?;
                computed.value
            }
        };
        set = set_of(ir, value_of)?;
    }
    None
}

fn spell(found: &mut Spellings, names: &Names, set: SetId, node: Node<'_>) -> Option<u32> {
    let attr = names.get(set, &literal::attr_name(node)?)?;
    found.of_node.insert(node.id(), (set, attr));
    found.of_attr.entry(attr).or_default().push(node.id());
    Some(attr)
}

fn literal_set(mut value: Node<'_>) -> Option<NodeId> {
    while value.kind() == NodeKind::Paren {
        value = value.children().find(|child| child.kind().is_expr())?;
    }
    (value.kind() == NodeKind::AttrSet).then_some(value.id())
}

fn set_of(ir: &Ir, expr: ExprId) -> Option<SetId> {
    match ir.expr(expr) {
        Expr::AttrSet(set) => Some(set),
        _ => None,
    }
}
