use expect_test::{Expect, expect};

use super::*;
use crate::parse;
use crate::testing::Random;

fn text(node: Option<Node<'_>>) -> String {
    node.map_or("-".to_owned(), |node| format!("`{}`", node.text()))
}

fn texts<'t>(nodes: impl Iterator<Item = Node<'t>>) -> String {
    nodes.map(|node| text(Some(node))).collect::<Vec<_>>().join(" ")
}

fn path(path: Option<AttrPath<'_>>) -> String {
    path.map_or("-".to_owned(), |path| texts(path.elements().map(Attr::node)))
}

fn token(token: Option<TokenRef<'_>>) -> &str {
    token.map_or("-", TokenRef::text)
}

/// Says what every accessor of every view in a tree answers; only entries and parts that are no
/// expressions are left to their own lines.
fn describe(node: Node<'_>) -> Option<String> {
    if let Some(Entry::Binding(binding)) = Entry::cast(node) {
        let (assign, end) = (token(binding.assign_token()), token(binding.semicolon()));
        return Some(format!(
            "{} {assign} {} {end}",
            path(binding.attr_path()),
            text(binding.value())
        ));
    }
    if let Some(Entry::Inherit(inherit)) = Entry::cast(node) {
        let names = inherit.names().map(Attr::node);
        return Some(format!(
            "({}) {} {}",
            text(inherit.from()),
            texts(names),
            token(inherit.semicolon())
        ));
    }
    if let Some(formal) = Formal::cast(node) {
        return Some(format!("{} ? {}", token(formal.name()), text(formal.default())));
    }
    Some(match Expr::cast(node)? {
        Expr::Error(node) => text(Some(node)),
        Expr::Ident(ident) => ident.name().to_owned(),
        Expr::Literal(literal) => token(literal.token()).to_owned(),
        Expr::Str(string) => {
            let inner = texts(string.interpolations().filter_map(Interpol::expr));
            format!(
                "{} {:?} {inner} {}",
                string.is_indented(),
                string.static_value(),
                string.parts().len()
            )
        }
        Expr::Path(path) => format!("{:?} {}", path.static_text(), path.parts().len()),
        Expr::SearchPath(path) => path.path().to_owned(),
        Expr::Paren(paren) => text(paren.inner()),
        Expr::List(list) => texts(list.elements()),
        Expr::AttrSet(set) => format!("{} {}", set.is_rec(), texts(set.entries().map(Entry::node))),
        Expr::LegacyLet(set) => texts(set.entries().map(Entry::node)),
        Expr::LetIn(let_in) => {
            let entries = texts(let_in.entries().map(Entry::node));
            format!("{entries} {} {}", token(let_in.in_token()), text(let_in.body()))
        }
        Expr::With(with) => format!("{} {}", text(with.namespace()), text(with.body())),
        Expr::Assert(assert) => format!("{} {}", text(assert.condition()), text(assert.body())),
        Expr::IfElse(branch) => {
            let parts = [branch.condition(), branch.consequence(), branch.alternative()];
            parts.map(text).join(" ")
        }
        Expr::Lambda(lambda) => {
            let pattern = lambda.pattern();
            format!(
                "{} [{}] {} {} {}",
                lambda.param().map_or("-", Param::name),
                pattern.map_or(String::new(), |pattern| texts(pattern.formals().map(Formal::node))),
                token(pattern.and_then(Pattern::ellipsis)),
                token(pattern.and_then(Pattern::bind_name)),
                text(lambda.body()),
            )
        }
        Expr::Apply(apply) => format!("{} <- {}", text(apply.function()), texts(apply.arguments())),
        Expr::Select(select) => {
            let (base, default) = (text(select.base()), text(select.default()));
            format!("{base} {} {default}", path(select.attr_path()))
        }
        Expr::HasAttr(test) => format!("{} {}", text(test.base()), path(test.attr_path())),
        Expr::Unary(unary) => format!("{:?} {}", unary.operator(), text(unary.operand())),
        Expr::Binary(binary) => format!("{:?} {}", binary.operator(), texts(binary.operands())),
    })
}

fn check(source: &str, want: Expect) {
    let parse = parse(source);
    let mut out = String::new();
    for node in parse.tree.nodes() {
        if let Some(line) = describe(node) {
            out.push_str(&format!("{:?}: {line}\n", node.kind()));
        }
    }
    want.assert_eq(&out);
}

#[test]
fn functions_and_their_parameters() {
    check(
        "x: { a, b ? 1, ... } @ all: args@{ }: f x (a) b",
        expect![[r#"
        Lambda: x [] - - `{ a, b ? 1, ... } @ all: args@{ }: f x (a) b`
        Lambda: - [`a` `b ? 1`] ... all `args@{ }: f x (a) b`
        Formal: a ? -
        Formal: b ? `1`
        Literal: 1
        Lambda: - [] - args `f x (a) b`
        Apply: `f` <- `x` `(a)` `b`
        Ident: f
        Ident: x
        Paren: `a`
        Ident: a
        Ident: b
    "#]],
    );
}

#[test]
fn sets_and_lets() {
    check(
        "let a.b.\"c\" = 1; inherit (x) d e; in rec { inherit f; ${g} = 2; }",
        expect![[r#"
        LetIn: `a.b."c" = 1;` `inherit (x) d e;` in `rec { inherit f; ${g} = 2; }`
        Binding: `a` `b` `"c"` = `1` ;
        Str: false Some("c")  1
        Literal: 1
        Inherit: (`x`) `d` `e` ;
        Ident: x
        AttrSet: true `inherit f;` `${g} = 2;`
        Inherit: (-) `f` ;
        Binding: `${g}` = `2` ;
        Ident: g
        Literal: 2
    "#]],
    );
    check(
        "let { body = 1; }",
        expect![[r#"
        LegacyLet: `body = 1;`
        Binding: `body` = `1` ;
        Literal: 1
    "#]],
    );
}

#[test]
fn branches_and_scopes() {
    check(
        "if a then with b; c else assert d; e",
        expect![[r#"
        IfElse: `a` `with b; c` `assert d; e`
        Ident: a
        With: `b` `c`
        Ident: b
        Ident: c
        Assert: `d` `e`
        Ident: d
        Ident: e
    "#]],
    );
}

#[test]
fn operators() {
    check(
        "!a -> -b + c + d.e.f or g ? h",
        expect![[r#"
        Binary: Implies `!a` `-b + c + d.e.f or g ? h`
        Unary: Some(Not) `a`
        Ident: a
        Binary: Add `-b` `c` `d.e.f or g ? h`
        Unary: Some(Sub) `b`
        Ident: b
        Ident: c
        HasAttr: `d.e.f or g` `h`
        Select: `d` `e` `f` `g`
        Ident: d
        Ident: g
    "#]],
    );
}

#[test]
fn literals() {
    check(
        "[ 1 2.5 x:y \"a${b}\" ''c'' ./d ./e/${f} <g> ]",
        expect![[r#"
        List: `1` `2.5` `x:y` `"a${b}"` `''c''` `./d` `./e/${f}` `<g>`
        Literal: 1
        Literal: 2.5
        Literal: x:y
        Str: false None `b` 2
        Ident: b
        IndStr: true Some("c")  1
        Path: Some("./d") 1
        Path: None 2
        Ident: f
        SearchPath: g
    "#]],
    );
}

#[test]
fn broken_code_has_views() {
    check(
        "let a = ; b. = 1; in",
        expect![[r#"
        LetIn: `a = ;` `b. = 1;` in ``
        Binding: `a` = `` ;
        Error: ``
        Binding: `b` `` = `1` ;
        Error: ``
        Literal: 1
        Error: ``
    "#]],
    );
    check(
        "{ a, b ? }: if c then",
        expect![[r#"
        Lambda: - [`a` `b ?`] - - `if c then`
        Formal: a ? -
        Formal: b ? ``
        Error: ``
        IfElse: `c` `` ``
        Ident: c
        Error: ``
        Error: ``
    "#]],
    );
    check(
        "{ inherit (a; b = [ 1 ; c = ",
        expect![[r#"
        AttrSet: false `inherit (a;` `b = [ 1 ;` `c =`
        Inherit: (`a`)  ;
        Ident: a
        Binding: `b` = `[ 1` ;
        List: `1`
        Literal: 1
        Binding: `c` = `` -
        Error: ``
    "#]],
    );
}

#[test]
fn no_accessor_fails_on_random_code() {
    const PIECES: &[&str] = &[
        "a", "b ", "=", ";", "{", "}", "(", ")", "[", "]", "let ", " in ", "inherit ", "rec ",
        "if ", ".", " then ", " else ", "with ", "assert ", ":", ",", "?", "@", "...", "\"", "''",
        "${", "!", "-", "+ ", "./x", "<y>", " or ", "1", "2.5", "\n", "# c\n", "|>", "//", "/*",
        "*/",
    ];
    let mut random = Random::new(7);
    for _ in 0..3000 {
        let source = random.text(PIECES, 25);
        let parse = parse(source);
        let n_described = parse.tree.nodes().filter_map(describe).count();
        assert!(n_described > 0);
    }
}
