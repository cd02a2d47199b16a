//! What a rule can ask about the file at hand.

use std::cell::OnceCell;

use cim_nix_base::TextRange;
use cim_nix_flake::FlakeFile;
use cim_nix_semantics::{BindingId, ExprId, Ir, LiveNames, Symbol, Uses, WithId, builtins};
use cim_nix_syntax::{Node, NodeId, TokenKind, Tree};

use crate::options::{Held, OptionTable};
use crate::rules::fetchers::Fetch;
use crate::settings::{Paths, Settings};

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
    /// What evaluation knows of options; nothing if nobody asked it.
    options: &'a [OptionTable],
    settings: OnceCell<Paths>,
    flake: OnceCell<Option<FlakeFile>>,
    bound_globals: OnceCell<Vec<Symbol>>,
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
            settings: OnceCell::new(),
            options: &[],
            flake: OnceCell::new(),
            bound_globals: OnceCell::new(),
            fetches: OnceCell::new(),
        }
    }

    /// The same file among modules with these options.
    #[must_use]
    pub fn with_options(self, options: &'a [OptionTable]) -> Self {
        Self { options, ..self }
    }

    /// What the file sets, held against the options that evaluation knows. It is put together for
    /// each rule that asks: few do, and only where something was evaluated.
    pub(crate) fn held(&self) -> Option<Held<'a>> {
        Held::of(self, self.options)
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

    /// What the file says as a flake, if it is one: a `flake.nix` by its name.
    pub fn flake(&self) -> Option<&FlakeFile> {
        let is_named = self.path.rsplit('/').next() == Some("flake.nix");
        let read = || if is_named { FlakeFile::read(self.tree) } else { None };
        self.flake.get_or_init(read).as_ref()
    }

    /// The uses of all bindings.
    pub fn uses(&self) -> &Uses {
        self.uses.get_or_init(|| self.ir.uses())
    }

    /// The options that the file sets.
    pub(crate) fn settings(&self) -> Settings<'_, 'a> {
        Settings::new(self.settings.get_or_init(|| Paths::of(self)), self.tree)
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

    /// Whether a binding of the file takes `name`, a name of the base environment.
    #[must_use]
    pub fn is_bound_global(&self, name: Symbol) -> bool {
        let bound = self.bound_globals.get_or_init(|| {
            let names = self.ir.bindings.iter().map(|binding| binding.symbol);
            let mut names: Vec<Symbol> =
                names.filter(|name| self.is_global(self.ir.symbol(*name))).collect();
            names.sort_unstable();
            names.dedup();
            names
        });
        bound.binary_search(&name).is_ok()
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
