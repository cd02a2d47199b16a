//! From `outputs` to the set that an attribute stands in.

use cim_nix_semantics::{Expr as IrExpr, Target};
use cim_nix_syntax::ast::{self, Apply, Attr, Binding, Entry, Expr, Inherit, Lambda};
use cim_nix_syntax::{Node, NodeId, NodeKind, TokenKind};

use super::Refusal;
use super::source::Source;
use super::system::is_system;

/// How many steps lead to a set at most: names can stand for each other in a circle.
const MOST_STEPS: usize = 1000;

/// The outputs that there are one set of for each system.
const PER_SYSTEM: &[&str] = &[
    "apps",
    "bundlers",
    "checks",
    "defaultApp",
    "defaultBundler",
    "defaultPackage",
    "devShell",
    "devShells",
    "formatter",
    "legacyPackages",
    "packages",
];

/// Where an attribute goes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Goal {
    /// The set.
    pub(super) set: NodeId,
    /// The names that are left.
    pub(super) path: Vec<String>,
    /// The function over systems that the set needs around the attribute: what stands in front of
    /// the value and behind it.
    pub(super) wrap: Option<(String, String)>,
}

/// What was found on the way.
pub(super) enum Found {
    /// The attribute is not there yet.
    Goal(Goal),
    /// It is there, with this value.
    There(NodeId),
    /// The outputs are made for every system by this call, so that others go into a set beside it.
    Beside(NodeId),
}

pub(super) struct Walk<'s> {
    source: &'s Source,
    path: Vec<String>,
    /// Whether the path was given without a system, and still has none.
    lacks_system: bool,
    steps: usize,
}

type Step<'s> = Result<Found, Refusal>;

impl<'s> Walk<'s> {
    pub(super) fn find(source: &'s Source, path: &[String]) -> Step<'s> {
        let Some(outputs) = &source.file.outputs else { return Err(Refusal::NotAFlake) };
        let lambda = outputs.lambda.map(|id| source.node(id)).and_then(Lambda::cast);
        let Some(body) = lambda.and_then(Lambda::body) else {
            return Err(Refusal::Elsewhere { what: "outputs".into(), range: outputs.range });
        };
        let is_per_system = path.first().is_some_and(|name| PER_SYSTEM.contains(&&**name));
        let lacks_system = is_per_system && !path.get(1).is_some_and(|name| is_system(name));
        let mut walk = Self { source, path: path.to_vec(), lacks_system, steps: 0 };
        match walk.enter(body, 0) {
            Ok(Found::Beside(node)) if is_per_system => {
                let (name, range) = (walk.path[0].clone(), source.node(node).range());
                Err(Refusal::EverySystem { name, range })
            }
            found => found,
        }
    }

    fn name(&self, depth: usize) -> String {
        match self.path[..depth].join(".") {
            name if name.is_empty() => "outputs".to_owned(),
            name => name,
        }
    }

    fn elsewhere(&self, node: Node<'_>, depth: usize) -> Refusal {
        Refusal::Elsewhere { what: self.name(depth), range: node.range() }
    }

    /// Looks into the value that `depth` names of the path lead to.
    fn enter(&mut self, node: Node<'s>, depth: usize) -> Step<'s> {
        let mut node = node;
        loop {
            self.steps += 1;
            if self.steps > MOST_STEPS {
                return Err(self.elsewhere(node, depth));
            }
            let next = match Expr::cast(node) {
                Some(Expr::LetIn(let_in)) => let_in.body(),
                Some(Expr::With(with)) => with.body(),
                Some(Expr::Assert(assert)) => assert.body(),
                Some(Expr::Paren(paren)) => paren.inner(),
                Some(Expr::Ident(_)) => self.definition(node),
                Some(Expr::AttrSet(_)) => return self.set(node, depth),
                Some(Expr::Binary(binary)) if binary.operator() == TokenKind::Update => {
                    return self.updated(binary, depth);
                }
                Some(Expr::Apply(apply)) => return self.call(apply, depth),
                _ => None,
            };
            match next {
                Some(next) => node = next,
                None => return Err(self.elsewhere(node, depth)),
            }
        }
    }

    /// The value that a name of the file stands for.
    fn definition(&self, node: Node<'s>) -> Option<Node<'s>> {
        let ir = &self.source.ir;
        let at = ir.nodes.iter().position(|other| *other == node.id())?;
        let IrExpr::Var { target: Target::Local(binding), .. } = ir.exprs[at] else { return None };
        let name = self.source.node(ir.binding(binding).name);
        let path = name.parent().filter(|path| path.children().count() == 1)?;
        Binding::cast(path.parent()?)?.value()
    }

    /// Looks into a set written out.
    fn set(&mut self, set: Node<'s>, depth: usize) -> Step<'s> {
        let Some(name) = self.path.get(depth).cloned() else { return Ok(Found::There(set.id())) };
        let mut is_begun = false;
        for entry in ast::entries(set) {
            match entry {
                Entry::Binding(binding) => {
                    let names: Vec<Attr<'_>> =
                        binding.attr_path().into_iter().flat_map(|path| path.elements()).collect();
                    let rest = &self.path[depth..];
                    let is_same = |(attr, name): &(&Attr<'_>, &String)| {
                        attr.name().is_some_and(|found| found == name.as_str())
                    };
                    let shared = names.iter().zip(rest).take_while(is_same).count();
                    // Nix refuses a system that a computed name turns out to be as well.
                    let is_computed = names.get(shared).is_some_and(|attr| attr.name().is_none());
                    if is_computed && rest.get(shared).is_some_and(|name| is_system(name)) {
                        return Err(self.elsewhere(binding.node(), depth + shared));
                    }
                    if shared == 0 {
                        continue;
                    }
                    let value = binding.value().unwrap_or(binding.node());
                    if shared == names.len() && shared == rest.len() {
                        let value = if self.lacks_system { for_each(value) } else { value };
                        return Ok(Found::There(value.id()));
                    }
                    if shared == names.len() {
                        return self.enter(value, depth + shared);
                    }
                    if shared == rest.len() {
                        return Ok(Found::There(binding.node().id()));
                    }
                    is_begun = true;
                }
                Entry::Inherit(inherit) => {
                    if let Some(found) = self.inherited(inherit, &name) {
                        return match (found, self.path.len() - depth) {
                            (_, 1) => Ok(Found::There(inherit.node().id())),
                            (Some(value), _) => self.enter(value, depth + 1),
                            (None, _) => Err(self.elsewhere(inherit.node(), depth + 1)),
                        };
                    }
                }
            }
        }
        if depth == 0
            && !is_begun
            && self.lacks_system
            && let Some(wrap) = self.like_siblings(set)
        {
            let path = self.path.clone();
            return Ok(Found::Goal(Goal { set: set.id(), path, wrap: Some(wrap) }));
        }
        self.check_system(depth)?;
        let path = self.path[depth..].to_vec();
        Ok(Found::Goal(Goal { set: set.id(), path, wrap: None }))
    }

    /// The value of a name in an `inherit`, if it is one of it and the file tells.
    fn inherited(&self, inherit: Inherit<'s>, name: &str) -> Option<Option<Node<'s>>> {
        let attr = inherit.names().find(|attr| attr.name().is_some_and(|found| found == name))?;
        let value = inherit.from().is_none().then(|| self.definition(attr.node())).flatten();
        Some(value)
    }

    /// Refuses to put an output without a system where others have one.
    fn check_system(&self, depth: usize) -> Result<(), Refusal> {
        if self.lacks_system && depth <= 1 {
            return Err(Refusal::NoSystem(self.path[0].clone()));
        }
        Ok(())
    }

    /// Looks into one of several sets of which the last wins: the last that has the attribute, else
    /// the last that is written out.
    fn updated(&mut self, binary: ast::Binary<'s>, depth: usize) -> Step<'s> {
        let operands: Vec<Node<'s>> = binary.operands().collect();
        let (mut fallback, mut beside, mut refusal) = (None, None, None);
        for operand in operands.iter().rev() {
            let found = self.enter(*operand, depth);
            match found {
                Ok(Found::There(node)) => return Ok(Found::There(node)),
                Ok(Found::Beside(node)) => beside = beside.or(Some(node)),
                Ok(Found::Goal(goal)) if self.has_begun(&goal, depth) => {
                    return Ok(Found::Goal(goal));
                }
                Ok(Found::Goal(goal)) => {
                    // A set without function around it is the plainer place.
                    let is_plainer = |old: &Goal| old.wrap.is_some() && goal.wrap.is_none();
                    if fallback.as_ref().is_none_or(is_plainer) {
                        fallback = Some(goal);
                    }
                }
                // It has the name, and one of the two would hide the other.
                Err(error) if self.is_below(&error, depth) => return Err(error),
                // It may have the name, and hides whatever stands in front of it.
                Err(error @ Refusal::Elsewhere { .. })
                    if fallback.is_none() && beside.is_none() =>
                {
                    return Err(error);
                }
                // It has something of its own for some systems.
                Err(Refusal::NoSystem(_)) if depth > 0 => {
                    return Err(self.elsewhere(*operand, depth));
                }
                Err(error) => refusal = refusal.or(Some(error)),
            }
        }
        match (fallback, beside, refusal) {
            (Some(goal), ..) => Ok(Found::Goal(goal)),
            (None, Some(node), _) => Ok(Found::Beside(node)),
            (None, None, Some(refusal)) => Err(refusal),
            (None, None, None) => Err(self.elsewhere(binary.node(), depth)),
        }
    }

    /// Whether a set has something of the next name of the path already.
    fn has_begun(&self, goal: &Goal, depth: usize) -> bool {
        goal.path.len() + depth < self.path.len() || self.defines(goal.set, depth)
    }

    /// Whether what was refused lies behind the next name of the path, so that this is there.
    fn is_below(&self, refusal: &Refusal, depth: usize) -> bool {
        match refusal {
            Refusal::Elsewhere { what, .. } => *what != self.name(depth),
            Refusal::EverySystem { .. } => true,
            _ => false,
        }
    }

    /// Whether what is made for each system has something of the next name of the path, as far as that
    /// can be seen.
    fn makes(&mut self, body: Node<'s>, depth: usize) -> bool {
        let lacked = std::mem::replace(&mut self.lacks_system, false);
        let found = self.enter(body, depth);
        self.lacks_system = lacked;
        match found {
            Ok(Found::There(_)) => true,
            Ok(Found::Goal(goal)) => self.has_begun(&goal, depth),
            Ok(Found::Beside(_)) => false,
            Err(refusal) => self.is_below(&refusal, depth),
        }
    }

    /// Whether a set says something of the next name of the path.
    fn defines(&self, set: NodeId, depth: usize) -> bool {
        let Some(name) = self.path.get(depth) else { return false };
        let bindings = self.source.node(set).children().filter_map(Binding::cast);
        bindings
            .filter_map(|b| b.attr_path()?.elements().next()?.name())
            .any(|n| n == name.as_str())
    }

    /// Looks into what a function is called with.
    fn call(&mut self, apply: Apply<'s>, depth: usize) -> Step<'s> {
        let arguments: Vec<Node<'s>> = apply.arguments().collect();
        let last = arguments.last().copied().and_then(ast::without_parens);
        let (Some(name), Some(last)) = (callee(apply), last) else {
            return Err(self.elsewhere(apply.node(), depth));
        };
        if name == "mkFlake" && arguments.len() == 2 && depth == 0 {
            let path = self.path.clone();
            let found = self.module(last);
            self.path = path;
            return found;
        }
        // The name of the output stands inside of some functions, in front of others.
        let is_around = depth == 0 && name.starts_with("each") && !name.ends_with("PassThrough");
        let is_per_system = self.path.first().is_some_and(|n| PER_SYSTEM.contains(&&**n));
        let is_over_systems = is_over_systems(&name);
        let Some(body) = Lambda::cast(last).filter(|_| is_over_systems).and_then(Lambda::body)
        else {
            if is_over_systems && is_around && !is_per_system {
                return Ok(Found::Beside(apply.node().id()));
            }
            return Err(self.elsewhere(apply.node(), depth));
        };
        if is_around && !self.lacks_system && !self.makes(body, depth) {
            return Ok(Found::Beside(apply.node().id()));
        }
        if is_around && !is_per_system {
            let (name, range) = (self.path[0].clone(), apply.node().range());
            return Err(Refusal::EverySystem { name, range });
        }
        if !is_per_system || (depth == 0 && !is_around) {
            return Err(self.elsewhere(apply.node(), depth));
        }
        if !self.lacks_system {
            let range = apply.node().range();
            return Err(Refusal::EverySystem { name: self.path[0].clone(), range });
        }
        self.lacks_system = false;
        let found = self.enter(body, depth);
        self.lacks_system = true;
        found
    }

    /// Looks into the module of a flake that is put together from modules.
    fn module(&mut self, module: Node<'s>) -> Step<'s> {
        let mut node = module;
        let set = loop {
            node = match Expr::cast(node) {
                Some(Expr::AttrSet(set)) => break set.node(),
                Some(Expr::Lambda(lambda)) => lambda.body().unwrap_or(node),
                Some(Expr::LetIn(let_in)) => let_in.body().unwrap_or(node),
                Some(Expr::With(with)) => with.body().unwrap_or(node),
                Some(Expr::Paren(paren)) => paren.inner().unwrap_or(node),
                _ => return Err(self.elsewhere(module, 0)),
            };
            self.steps += 1;
            if self.steps > MOST_STEPS {
                return Err(self.elsewhere(module, 0));
            }
        };
        let is_per_system = PER_SYSTEM.contains(&&*self.path[0]);
        if !is_per_system {
            self.path.insert(0, "flake".to_owned());
            return self.set(set, 0);
        }
        let per_system = set.children().filter_map(Binding::cast).find(|binding| {
            let names = binding.attr_path().into_iter().flat_map(|path| path.elements());
            names.map(Attr::name).eq([Some("perSystem".into())])
        });
        let range = per_system.map_or(set.range(), |binding| binding.node().range());
        if !self.lacks_system {
            return Err(Refusal::EverySystem { name: self.path[0].clone(), range });
        }
        self.lacks_system = false;
        let Some(per_system) = per_system else {
            // The module has none yet.
            self.path.insert(0, "perSystem".to_owned());
            let path = self.path.clone();
            let wrap = Some(("{ pkgs, ... }: ".to_owned(), String::new()));
            return Ok(Found::Goal(Goal { set: set.id(), path, wrap }));
        };
        let value = per_system.value().and_then(ast::without_parens);
        let body = value.map(|value| Lambda::cast(value).map_or(Some(value), Lambda::body));
        match body.flatten() {
            Some(body) => self.enter(body, 0),
            None => Err(self.elsewhere(per_system.node(), 0)),
        }
    }

    /// What other outputs write around what they have for each system: the function and the head of
    /// its argument, and what closes them.
    fn like_siblings(&self, set: Node<'s>) -> Option<(String, String)> {
        set.children().filter_map(Binding::cast).find_map(|binding| {
            let apply = Apply::cast(ast::without_parens(binding.value()?)?)?;
            let is_like = is_per_system_binding(binding) && is_over_systems(&callee(apply)?);
            let last = apply.arguments().last().filter(|_| is_like)?;
            let parameter = Lambda::cast(ast::without_parens(last)?)?.node().child(0)?.text();
            let (start, end) = (apply.node().range().start, last.range().start);
            let function = self.source.tree.text().get(start as usize..end as usize)?.trim_end();
            let is_short = !function.contains('\n') && !parameter.contains('\n');
            is_short.then(|| (format!("{function} ({parameter}: "), ")".to_owned()))
        })
    }
}

/// What a function over systems is called with for each, if it is such a call.
fn for_each(value: Node<'_>) -> Node<'_> {
    let body = || {
        let apply = Apply::cast(ast::without_parens(value)?)?;
        let last = apply
            .arguments()
            .last()
            .filter(|_| callee(apply).is_some_and(|name| is_over_systems(&name)))?;
        Lambda::cast(ast::without_parens(last)?)?.body()
    };
    body().unwrap_or(value)
}

/// Whether a binding gives an output that there is one of for each system, as a whole.
fn is_per_system_binding(binding: Binding<'_>) -> bool {
    let mut names = binding.attr_path().into_iter().flat_map(|path| path.elements());
    let first = names.next().and_then(Attr::name);
    first.is_some_and(|name| PER_SYSTEM.contains(&&*name)) && names.next().is_none()
}

/// The last name of a function that is called.
pub(super) fn callee(apply: Apply<'_>) -> Option<String> {
    let function = ast::without_parens(apply.function()?)?;
    match Expr::cast(function)? {
        Expr::Ident(name) => Some(name.name().to_owned()),
        Expr::Select(select) => {
            let last = select.attr_path()?.elements().last()?;
            last.name().map(std::borrow::Cow::into_owned)
        }
        _ => None,
    }
}

/// Whether a function is one that calls another for each system, by its name.
pub(super) fn is_over_systems(name: &str) -> bool {
    let name = name.to_lowercase();
    name == "genattrs"
        || name.contains("eachsystem")
        || name.contains("allsystem")
        || (name.contains("system")
            && (name.starts_with("for") || name.starts_with("each") || name.starts_with("per")))
}

/// Whether a node is a string that names a system.
pub(super) fn system_of(node: Node<'_>) -> Option<String> {
    let is_string = node.kind() == NodeKind::Str;
    let text = cim_nix_syntax::literal::constant_text(node).filter(|_| is_string)?;
    is_system(&text).then(|| text.into_owned())
}
