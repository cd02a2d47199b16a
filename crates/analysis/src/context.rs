//! What a rule can ask about the file at hand.

use std::cell::OnceCell;

use cim_nix_base::TextRange;
use cim_nix_semantics::{BindingId, ExprId, Ir, LiveNames, Uses, WithId, builtins};
use cim_nix_syntax::{Node, NodeId, TokenKind, Tree};

use crate::rules::fetchers::Fetch;

/// One file with everything that is known about it. Costly answers are computed once, on demand.
pub struct Context<'a> {
    /// The path as the user sees it; a hint, never opened.
    pub path: &'a str,
    /// The tree.
    pub tree: &'a Tree,
    /// The lowered file.
    pub ir: &'a Ir,
    uses: OnceCell<Uses>,
    live: OnceCell<LiveNames>,
    exprs: OnceCell<Box<[u32]>>,
    used_withs: OnceCell<Box<[bool]>>,
    fetches: OnceCell<Vec<NodeId>>,
}

impl<'a> Context<'a> {
    /// The context of one file.
    #[must_use]
    pub fn new(path: &'a str, tree: &'a Tree, ir: &'a Ir) -> Self {
        Self {
            path,
            tree,
            ir,
            uses: OnceCell::new(),
            live: OnceCell::new(),
            exprs: OnceCell::new(),
            used_withs: OnceCell::new(),
            fetches: OnceCell::new(),
        }
    }

    /// The file's text.
    #[must_use]
    pub fn text(&self) -> &'a str {
        self.tree.text()
    }

    /// A node by its number.
    #[must_use]
    pub fn node(&self, id: NodeId) -> Node<'a> {
        self.tree.node(id)
    }

    /// The uses of all bindings.
    pub fn uses(&self) -> &Uses {
        self.uses.get_or_init(|| self.ir.uses())
    }

    /// The bindings that live code refers to.
    pub fn live(&self) -> &LiveNames {
        self.live.get_or_init(|| self.ir.live_names())
    }

    /// The calls of fetchers.
    pub(crate) fn fetches(&self) -> impl Iterator<Item = Fetch<'a>> {
        let calls = self.fetches.get_or_init(|| {
            let fetches = self.tree.nodes().filter(|node| Fetch::of(self, *node).is_some());
            fetches.map(Node::id).collect()
        });
        calls.iter().filter_map(|call| Fetch::of(self, self.node(*call)))
    }

    /// The name of a binding.
    #[must_use]
    pub fn name(&self, id: BindingId) -> &'a str {
        self.ir.symbol(self.ir.binding(id).symbol)
    }

    /// Where a binding's name is spelled, without the default of a formal or the `@`.
    #[must_use]
    pub fn name_range(&self, id: BindingId) -> TextRange {
        let node = self.node(self.ir.binding(id).name);
        node.own_token(TokenKind::Ident).map_or(node.range(), |token| token.range())
    }

    /// The expression that a node was lowered to, if it was.
    #[must_use]
    pub fn expr_of(&self, node: NodeId) -> Option<ExprId> {
        let table = self.exprs.get_or_init(|| {
            let mut table = vec![u32::MAX; self.tree.len()].into_boxed_slice();
            for (at, node) in self.ir.nodes.iter().enumerate() {
                table[node.0 as usize] = at as u32;
            }
            table
        });
        let found = table[node.0 as usize];
        (found != u32::MAX).then_some(ExprId(found))
    }

    /// Whether the base environment supplies `name`.
    #[must_use]
    pub fn is_global(&self, name: &str) -> bool {
        builtins::global(name).is_some()
    }

    /// Whether a `with` may supply any name: some free variable inside is no builtin.
    #[must_use]
    pub fn is_with_used(&self, with: WithId) -> bool {
        let used = self.used_withs.get_or_init(|| {
            let mut used = vec![false; self.ir.withs.len()].into_boxed_slice();
            for (_, symbol, with) in self.ir.free_variables() {
                let Some(mut at) = with else { continue };
                if self.is_global(self.ir.symbol(symbol)) {
                    continue;
                }
                // Any `with` around may supply it; those further out were marked before.
                while !std::mem::replace(&mut used[at.index()], true) {
                    match self.ir.with(at).outer {
                        Some(outer) => at = outer,
                        None => break,
                    }
                }
            }
            used
        });
        used[with.index()]
    }
}
