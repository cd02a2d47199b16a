use std::fmt::Write as _;

use expect_test::{Expect, expect};

use crate::{Expr, ExprId, Ir, PathElement, Target, lower};

/// Prints an IR as an expression in which every variable says what it refers to.
fn show(ir: &Ir, id: ExprId) -> String {
    let join = |ids: &[ExprId]| ids.iter().map(|&id| show(ir, id)).collect::<Vec<_>>().join(" ");
    let path = |path| {
        let parts = ir.path(path).iter().map(|element| match element {
            PathElement::Name(symbol) => ir.symbol(*symbol).to_owned(),
            PathElement::Dynamic(id) => format!("${{{}}}", show(ir, *id)),
        });
        parts.collect::<Vec<_>>().join(".")
    };
    let set = |set| {
        let mut out = if ir.set(set).scope.is_some() { "rec{" } else { "{" }.to_owned();
        for attr in ir.set_attrs(set) {
            let _ = write!(out, " {} = {};", ir.symbol(attr.symbol), show(ir, attr.value));
        }
        for attr in ir.set_dynamics(set) {
            let _ = write!(out, " ${{{}}} = {};", show(ir, attr.name), show(ir, attr.value));
        }
        out + " }"
    };
    match ir.expr(id) {
        Expr::Missing => "?".to_owned(),
        Expr::Int(value) => value.to_string(),
        Expr::Float(value) => value.to_string(),
        Expr::Text => "text".to_owned(),
        Expr::SearchPath => "<>".to_owned(),
        Expr::CurPos => "here".to_owned(),
        Expr::Str(parts) => format!("str({})", join(ir.list(parts))),
        Expr::Path(parts) => format!("path({})", join(ir.list(parts))),
        Expr::Var { symbol, target } => {
            let name = ir.symbol(symbol);
            match target {
                Target::Local(binding) => format!("{name}#{}", binding.0),
                Target::Free(None) => format!("{name}?"),
                Target::Free(Some(with)) => format!("{name}@{}", with.0),
            }
        }
        Expr::InheritFrom { source, symbol } => {
            format!("from({}, {})", show(ir, ir.source(source).expr), ir.symbol(symbol))
        }
        Expr::List(list) => format!("[{}]", join(ir.list(list))),
        Expr::Apply(list) => format!("({})", join(ir.list(list))),
        Expr::Select { base, path: at, default } => {
            let or = match default {
                Expr::NO_DEFAULT => String::new(),
                default => format!(" or {}", show(ir, default)),
            };
            format!("{}.{}{or}", show(ir, base), path(at))
        }
        Expr::HasAttr { base, path: at } => format!("({} ? {})", show(ir, base), path(at)),
        Expr::Lambda(lambda) => {
            let names = ir.scope_bindings(ir.lambda(lambda).scope);
            let names: Vec<_> =
                names.map(|id| format!("{}#{}", ir.symbol(ir.binding(id).symbol), id.0)).collect();
            let defaults = ir.lambda_formals(lambda).iter().map(|formal| formal.default);
            let defaults: Vec<_> = defaults.filter(|id| *id != Expr::NO_DEFAULT).collect();
            let body = show(ir, ir.lambda(lambda).body);
            format!("({}|{}: {body})", names.join(","), join(&defaults))
        }
        Expr::AttrSet(id) => set(id),
        Expr::LegacyLet(id) => format!("{}.body", set(id)),
        Expr::Let { set: id, body } => format!("let {} in {}", set(id), show(ir, body)),
        Expr::With(with) => {
            let with = ir.with(with);
            format!("with {}; {}", show(ir, with.namespace), show(ir, with.body))
        }
        Expr::Assert { condition, body } => {
            format!("assert {}; {}", show(ir, condition), show(ir, body))
        }
        Expr::If { condition, consequence, alternative } => {
            format!("if({})", join(&[condition, consequence, alternative]))
        }
        Expr::Not(operand) => format!("!{}", show(ir, operand)),
        Expr::Negate(operand) => format!("-{}", show(ir, operand)),
        Expr::Binary { op, operands } => format!("{op:?}({})", join(ir.list(operands))),
    }
}

fn check(text: &str, want: Expect) {
    let parse = cim_nix_syntax::parse(text);
    let ir = lower(&parse.tree);
    let mut out = show(&ir, ir.root());
    for problem in &ir.problems {
        let _ = write!(out, "\n{:?} {}: {}", problem.range, problem.code, problem.message);
        for label in &problem.labels {
            let _ = write!(out, " ({:?} {})", label.range, label.message);
        }
    }
    want.assert_eq(&out);
}

#[test]
fn scopes_nest_and_shadow() {
    check(
        "x: let y = x; in y: y + x",
        expect!["(x#0|: let rec{ y = x#0; } in (y#2|: Add(y#2 x#0)))"],
    );
    check(
        "let a = b; b = a; in { inherit a; c = z; }",
        expect!["let rec{ a = b#1; b = a#0; } in { a = a#0; c = z?; }"],
    );
    check(
        "rec { a = 1; b = a; inherit c; d = { a = 2; e = a; }; }",
        expect!["rec{ a = 1; b = a#0; c = c?; d = { a = 2; e = a#0; }; }"],
    );
    check(
        "a: { inherit a; } // rec { inherit a; b = a; }",
        expect!["(a#0|: Update({ a = a#0; } rec{ a = a#0; b = a#1; }))"],
    );
}

#[test]
fn patterns_bind_before_defaults() {
    check("{ a, b ? a, ... } @ args: args.b or c", expect!["(args#0,a#1,b#2|a#1: args#0.b or c?)"]);
    check(
        "{ a, a ? 1 } @ a: a",
        expect![[r#"
        (a#0|: a#0)
        5..6 COR002: the parameter `a` is defined twice (2..3 first defined here)
        15..16 COR002: the parameter `a` is defined twice (2..3 first defined here)"#]],
    );
    check("args @ { }: args", expect!["(args#0|: args#0)"]);
}

#[test]
fn with_supplies_only_free_names() {
    check(
        "with a; with b; let c = 1; in c + d",
        expect!["with a?; with b@0; let rec{ c = 1; } in Add(c#0 d@1)"],
    );
    check("with with a; b; c", expect!["with with a?; b@0; c@1"]);
}

#[test]
fn dotted_names_merge_as_in_nix() {
    check(
        "{ a.b = 1; a = { c = x; }; a.d.e = 2; }",
        expect!["{ a = { b = 1; c = x?; d = { e = 2; }; }; }"],
    );
    check(
        "x: { a = rec { x = 1; }; a.y = x; }",
        expect!["(x#0|: { a = rec{ x = 1; y = x#1; }; })"],
    );
    check(
        "x: { a.y = x; a = rec { x = 1; z = x; }; }",
        expect!["(x#0|: { a = { y = x#0; x = 1; z = x#0; }; })"],
    );
    check(
        "{ a = ({ b = 1; }); a = { inherit (s) c; inherit (t) d; }; }",
        expect!["{ a = { b = 1; c = from(s?, c); d = from(t?, d); }; }"],
    );
    check(
        "{ ${a}.b.c = 1; a.${d} = 2; \"e f\".g = 3; ${\"h\"} = 4; }",
        expect!["{ a = { ${d?} = 2; }; e f = { g = 3; }; h = 4; ${a?} = { b = { c = 1; }; }; }"],
    );
}

#[test]
fn doubles_are_reported() {
    check(
        "{ a = 1; a = 2; }",
        expect![[r#"
        { a = 1; }
        9..10 COR002: the attribute `a` is defined twice (2..3 first defined here)"#]],
    );
    check(
        "{ a.b = 1; a.b = 2; inherit a; }",
        expect![[r#"
            { a = { b = 1; }; }
            11..14 COR002: the attribute `b` is defined twice (2..5 first defined here)
            28..29 COR002: the attribute `a` is defined twice (2..3 first defined here)"#]],
    );
    check(
        "let a = { b = 1; }; a.b = 2; in a",
        expect![[r#"
            let rec{ a = { b = 1; }; } in a#0
            20..23 COR002: the attribute `b` is defined twice (10..11 first defined here)"#]],
    );
    check(
        "{ a = { b = 1; b = 2; }; a.b = 3; }",
        expect![[r#"
            { a = { b = 1; }; }
            15..16 COR002: the attribute `b` is defined twice (8..9 first defined here)
            25..28 COR002: the attribute `b` is defined twice (8..9 first defined here)"#]],
    );
}

#[test]
fn computed_names_have_their_places() {
    check(
        "let ${a} = 1; b.${c} = 2; in b",
        expect![[r#"
        let rec{ b = { ${c?} = 2; }; ${a?} = 1; } in b#0
        4..8 SYN009: a computed attribute name cannot stand in `let`"#]],
    );
    check(
        "{ inherit ${a}; inherit (b) \"c\" ${\"d\"}; }",
        expect![[r#"
        { c = from(b?, c); d = from(b?, d); }
        10..14 SYN009: a computed attribute name cannot stand in `inherit`"#]],
    );
}

#[test]
fn operators_look_up_shadowed_functions() {
    check(
        "let __sub = f; in 1 - 2 - -3",
        expect!["let rec{ __sub = f?; } in (__sub#0 (__sub#0 1 2) (__sub#0 0 3))"],
    );
    check("__lessThan: a <= b", expect!["(__lessThan#0|: !(__lessThan#0 b? a?))"]);
    check("1 - 2", expect!["Sub(1 2)"]);
    check(
        "let __nixPath = 1; in <a>",
        expect!["let rec{ __nixPath = 1; } in (__findFile? __nixPath#0 text)"],
    );
}

#[test]
fn broken_code_lowers() {
    check("let a = ; b = a.; in f (", expect!["let rec{ a = ?; b = a#0.${?}; } in (f? ?)"]);
    check("{ a = 1; b = [ 1 a", expect!["{ a = 1; b = [1 a?]; }"]);
    check("", expect!["?"]);
}

#[test]
fn old_forms() {
    check("let { body = x; x = 1; }", expect!["rec{ body = x#1; x = 1; }.body"]);
    check("f or x", expect!["((f? or?) x?)"]);
    check("__curPos.line", expect!["here.line"]);
}

#[test]
fn liveness_follows_names_only_from_live_code() {
    let parse = cim_nix_syntax::parse("let a = b; b = a; c = d; d = 1; in { e ? f, f }: [ c e ]");
    let ir = lower(&parse.tree);
    let (live, uses) = (ir.live_names(), ir.uses());
    let mut out = String::new();
    for at in 0..ir.bindings.len() as u32 {
        let id = crate::BindingId(at);
        let name = ir.symbol(ir.binding(id).symbol);
        let _ = write!(out, "{name}:{}:{} ", uses.of(id).len(), live.is_live(id));
    }
    expect!["a:1:false b:1:false c:1:true d:1:true e:1:true f:1:true "].assert_eq(&out);
}

#[test]
fn the_ir_is_a_tree() {
    let text = "rec { inherit (a) b c; inherit (rec { inherit (d) e; }) f g; h.${i}.j = [ k ]; }";
    let parse = cim_nix_syntax::parse(text);
    let ir = lower(&parse.tree);
    let mut parents = vec![0; ir.exprs.len()];
    let mut children = Vec::new();
    for at in 0..ir.exprs.len() as u32 {
        children.clear();
        ir.children(ExprId(at), &mut children);
        children.iter().for_each(|child| parents[child.index()] += 1);
    }
    assert_eq!(parents.pop(), Some(0), "the root is part of nothing");
    assert!(parents.iter().all(|&count| count == 1), "{parents:?}");
}

#[test]
fn names_lead_to_what_they_stand_for() {
    let parse = cim_nix_syntax::parse("let a = 1; in rec { b = a; } // ({ c ? 2 }@d: c)");
    let ir = lower(&parse.tree);
    let mut out = String::new();
    for at in 0..ir.bindings.len() as u32 {
        let id = crate::BindingId(at);
        let value = ir.binding_attr(id).map(|attr| show(&ir, attr.value));
        let default = ir.binding_formal(id).map(|formal| show(&ir, formal.default));
        let name = ir.symbol(ir.binding(id).symbol);
        let _ = write!(out, "{name}: {value:?} {default:?}; ");
    }
    expect![[r#"a: Some("1") None; b: Some("a#0") None; d: None None; c: None Some("2"); "#]]
        .assert_eq(&out);
}

#[test]
fn values_of_duplicates_are_looked_into() {
    check(
        "{ a = 1; a = { b = 1; b = 2; }; }",
        expect![[r#"
        { a = 1; }
        9..10 COR002: the attribute `a` is defined twice (2..3 first defined here)
        22..23 COR002: the attribute `b` is defined twice (15..16 first defined here)"#]],
    );
}
