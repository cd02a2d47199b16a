//! Questions about calls and about the code around a node that several rules ask.

use std::borrow::Cow;

use cim_nix_base::{Applicability, TextEdit};
use cim_nix_semantics::{BindingId, Expr, Target};
use cim_nix_syntax::{Node, NodeKind, TokenKind, ast};

use crate::context::Context;
use crate::origin::Origin;
use crate::rewrite::Rewrite;
use crate::rule::Finding;

/// The name that `function` ends in: `map` of `lib.map`.
pub(crate) fn spelled(function: Node<'_>) -> Option<&str> {
    Some(last_name(function)?.text())
}

/// The node that spells the name that a variable or a selection ends in.
pub(super) fn last_name(function: Node<'_>) -> Option<Node<'_>> {
    match function.kind() {
        NodeKind::Ident => Some(function),
        NodeKind::Select => {
            let select = ast::Select::cast(function)?;
            let has_default = select.default().is_some();
            select
                .attr_path()?
                .node()
                .last_child()
                .filter(|name| name.kind() == NodeKind::Name && !has_default)
        }
        _ => None,
    }
}

/// What the application `apply` calls, if its name is one of `names`. The name is compared before
/// anything is looked up.
pub(super) fn called<'a>(
    context: &Context<'a>,
    apply: Node<'a>,
    names: &[&str],
) -> Option<Origin<'a>> {
    let name = spelled(apply.child(0)?)?;
    if apply.kind() != NodeKind::Apply || !names.contains(&name) {
        return None;
    }
    context.called(apply)
}

/// The same for functions of the library, or builtins that it hands on.
pub(super) fn called_library<'a>(
    context: &Context<'a>,
    apply: Node<'a>,
    names: &[&str],
) -> Option<Origin<'a>> {
    called(context, apply, names).filter(|origin| origin.is_library(origin.name))
}

/// The arguments of an application, if there are exactly `N`.
pub(super) fn arguments<const N: usize>(apply: Node<'_>) -> Option<[Node<'_>; N]> {
    let mut arguments = apply.children().skip(1);
    let mut found = [apply; N];
    for slot in &mut found {
        *slot = arguments.next()?;
    }
    arguments.next().is_none().then_some(found)
}

/// The first argument of an application that is itself one of `tail`, in parentheses or not.
pub(super) fn tail_argument(apply: Node<'_>) -> Option<Node<'_>> {
    let mut arguments = apply.children().skip(1).filter_map(ast::without_parens);
    arguments.find(|argument| {
        argument.kind() == NodeKind::Apply && argument.child(0).and_then(spelled) == Some("tail")
    })
}

/// Whether two pieces of code are the same but for blanks and comments.
pub(super) fn is_same_code(left: Node<'_>, right: Node<'_>) -> bool {
    fn solid(node: Node<'_>) -> impl Iterator<Item = &str> {
        node.tokens().filter(|token| !token.kind().is_trivia()).map(|token| token.text())
    }
    solid(left).eq(solid(right))
}

/// Whether `node` is the variable `name` of the base environment, which nothing in the file
/// shadows.
pub(super) fn is_global(context: &Context<'_>, node: Node<'_>, name: &str) -> bool {
    if node.kind() != NodeKind::Ident || node.text() != name {
        return false;
    }
    let target = context.expr_of(node.id()).map(|id| context.ir.expr(id));
    matches!(target, Some(Expr::Var { target: Target::Free(_), .. }))
}

/// The binding that the variable `node` names.
pub(super) fn binding_of(context: &Context<'_>, node: Node<'_>) -> Option<BindingId> {
    if node.kind() != NodeKind::Ident {
        return None;
    }
    context.ir.definition(context.expr_of(node.id())?)
}

/// Whether there is a comment inside `node`, as far as a fix has to know: what is too long to be
/// written anew counts as having one.
pub(super) fn has_comment(node: Node<'_>) -> bool {
    !is_short(node) || node.tokens().any(|token| token.kind().is_comment())
}

/// Whether a fix may write `node` anew.
fn is_short(node: Node<'_>) -> bool {
    node.range().end - node.range().start <= MAX_REPLACED
}

/// Code up to this many bytes is written anew by a fix. Longer pieces may lie within each other, and
/// the fixes of all would hold the file many times.
const MAX_REPLACED: u32 = 4096;

/// A fix as a finding takes it.
pub(super) type Fix = (Vec<TextEdit>, Vec<Rewrite>);

/// A fix that puts what `text` makes in the place of `node`, unless that is long.
pub(super) fn replaced(node: Node<'_>, text: impl FnOnce() -> String) -> Option<Fix> {
    is_short(node).then(|| {
        let text = text();
        let rewrite = Rewrite::Substitute { node: node.id(), text: text.clone() };
        (vec![TextEdit::replace(node.range(), text)], vec![rewrite])
    })
}

/// Adds a fix to a finding, if there is one.
pub(super) fn with_fix(
    found: Finding,
    applicability: Applicability,
    title: impl Into<Cow<'static, str>>,
    fix: Option<Fix>,
) -> Finding {
    match fix {
        Some((edits, rewrites)) => found.fix(applicability, title, edits, rewrites),
        None => found,
    }
}

/// Whether any expression can stand where `node` does without parentheses.
pub(super) fn takes_anything(node: Node<'_>) -> bool {
    use NodeKind as K;
    let Some(parent) = node.parent() else { return false };
    let is_closed =
        matches!(parent.kind(), K::Root | K::Paren | K::Interpol | K::Dynamic | K::InheritFrom);
    let is_body = matches!(parent.kind(), K::Binding | K::LetIn | K::With | K::Assert | K::Lambda);
    is_closed || is_body || matches!(parent.kind(), K::IfElse | K::Formal)
}

/// The text of `node` as an operand of an application or a selection.
pub(super) fn as_operand(node: Node<'_>) -> String {
    use NodeKind as K;
    let is_simple = match node.kind() {
        K::Ident | K::Str | K::IndStr | K::Paren | K::List | K::AttrSet | K::Path => true,
        K::SearchPath | K::Literal => true,
        K::Select => node.own_token(TokenKind::Or).is_none(),
        _ => false,
    };
    if is_simple { node.text().to_owned() } else { format!("({})", node.text()) }
}

/// The value of a set literal's attribute `name`, written as one name.
pub(super) fn value_of<'t>(set: Node<'t>, name: &str) -> Option<Node<'t>> {
    crate::origin::attribute(set, name)?.value
}
