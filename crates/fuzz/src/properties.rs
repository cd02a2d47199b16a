//! The properties themselves.

use std::path::Path;

use cim_nix_analysis::{Checker, FixMode, Lints, fix_text};
use cim_nix_base::{Severity, TextEdit, apply_edits};
use cim_nix_eval::{Evaluation, Format, MemoryIo, Settings, with_stack};
use cim_nix_flake::edit::{Follows, NewInput, Note, Refusal, Request, plan};
use cim_nix_semantics::print::{Places, print};
use cim_nix_semantics::{BindingId, CannotRename, Expr, ExprId, Target};
use cim_nix_syntax::{Node, NodeKind, TokenKind, Tree, edit as edits};

use crate::soup::Random;

fn text_of(data: &[u8]) -> String {
    String::from_utf8_lossy(data).into_owned()
}

/// Parsing keeps every byte, and the tree is well-formed.
pub fn parse(data: &[u8]) {
    let text = text_of(data);
    let parsed = cim_nix_syntax::parse(text.as_str());
    let tree = &parsed.tree;
    let joined: String = tree.tokens().map(|token| token.text()).collect();
    assert_eq!(joined, text, "tokens do not add up to the text");
    for problem in &parsed.problems {
        let range = problem.range.as_usize();
        assert!(text.get(range).is_some(), "{problem:?} lies outside the text");
    }
    for node in tree.nodes() {
        well_formed(node);
    }
    let _ = cim_nix_syntax::file_kind::detect("default.nix", tree);
}

fn well_formed(node: Node<'_>) {
    let range = node.range();
    let mut end = range.start;
    for child in node.children() {
        assert_eq!(child.parent(), Some(node), "{child:?} has another parent");
        assert!(range.contains_range(child.range()), "{child:?} sticks out of {node:?}");
        assert!(end <= child.range().start, "{child:?} overlaps its sibling");
        end = child.range().end;
    }
    assert!(node.own_tokens().count() <= node.tokens().count());
}

/// Lowering keeps its numbers in range and its questions answerable.
pub fn lower(data: &[u8]) {
    let parsed = cim_nix_syntax::parse(text_of(data));
    let ir = cim_nix_semantics::lower(&parsed.tree);
    let (uses, live) = (ir.uses(), ir.live_names());
    let mut children = Vec::new();
    let mut parents = vec![0; ir.exprs.len()];
    for at in 0..ir.exprs.len() as u32 {
        let id = ExprId(at);
        assert!((ir.node(id).0 as usize) < parsed.tree.len());
        children.clear();
        ir.children(id, &mut children);
        assert!(children.iter().all(|child| child.0 < at), "{id:?} comes before its child");
        children.iter().for_each(|child| parents[child.index()] += 1);
        if let Expr::Var { symbol, target: Target::Local(binding) } = ir.expr(id) {
            assert_eq!(ir.binding(binding).symbol, symbol);
            assert!(uses.of(binding).contains(&id));
        }
    }
    assert!(parents.iter().all(|&count| count <= 1), "an expression has two parents");
    for at in 0..ir.bindings.len() as u32 {
        let id = BindingId(at);
        assert!(!live.is_live(id) || !uses.of(id).is_empty(), "{id:?} is live without a use");
    }
}

/// An edit re-parses, and leaves alone what it does not name.
pub fn edit(data: &[u8]) {
    let text = text_of(data);
    let parsed = cim_nix_syntax::parse(text.as_str());
    let is_sound = parsed.problems.iter().all(|problem| problem.severity < Severity::Error);
    let tree = &parsed.tree;
    let mut random = Random::new(data.len() as u64 + 7);
    for _ in 0..4 {
        let Some(result) = some_edit(tree, &mut random) else { continue };
        let after = apply_edits(&text, &result);
        let after = after.expect("edits are sorted, free of overlap and inside the text");
        let again = cim_nix_syntax::parse(after.as_str());
        let still_sound = again.problems.iter().all(|problem| problem.severity < Severity::Error);
        assert!(!is_sound || still_sound, "{result:?} breaks the code: {after:?}");
    }
}

/// A name that is changed leaves the value as it is, and can be changed back. Answers how many could be.
#[must_use]
pub fn rename(data: &[u8]) -> usize {
    let text = text_of(data);
    let parsed = cim_nix_syntax::parse(text.as_str());
    let tree = &parsed.tree;
    let ir = cim_nix_semantics::lower(tree);
    let mut random = Random::new(data.len() as u64 + 11);
    let value = value_of(&text);
    let names: Vec<_> = tree.tokens().filter(|token| token.kind() == TokenKind::Ident).collect();
    let mut n_renamed = 0;
    for _ in 0..8.min(names.len()) {
        let at = names[random.below(names.len())].range().start;
        let new = ["a", "b", "e", "fresh", "toString"][random.below(5)];
        let done = match cim_nix_semantics::rename(&parsed, &ir, at, new, false) {
            Ok(done) => done,
            Err(CannotRename::Unproven(what)) => panic!("{new} at {at}: {what}"),
            Err(refusal) => {
                assert!(!refusal.error("in.nix", &text).to_string().is_empty());
                continue;
            }
        };
        let after = apply_edits(&text, &done.edits).expect("edits fit");
        assert!(value_of(&after) == value, "{new} at {at}: {after}");
        n_renamed += 1;
        let again = cim_nix_syntax::parse(after.as_str());
        let ir = cim_nix_semantics::lower(&again.tree);
        // A place in front of all edits stands where it stood.
        let first = done.edits.first().map_or(at, |edit| edit.range.start);
        if first == at {
            let back = cim_nix_semantics::rename(&again, &ir, at, &done.from, false);
            let back = back.unwrap_or_else(|refusal| panic!("back from {after}: {refusal}"));
            let text = apply_edits(&after, &back.edits).expect("edits fit");
            assert!(value_of(&text) == value, "back from {after}: {text}");
        }
    }
    n_renamed
}

/// The value of a text as code; `None` where it has none.
fn value_of(text: &str) -> Option<Vec<u8>> {
    with_stack(|| {
        let settings = Settings { max_calls: 20_000, max_memory: 64 << 20, ..Settings::default() };
        let evaluation = Evaluation::new(settings, Box::new(MemoryIo::new()), Box::new(|_| {}));
        let value = evaluation.text(text, Path::new("/in")).ok()?;
        let value = evaluation.force(value, true).ok()?;
        evaluation.write(value, Format::Nix, true).ok()
    })
    .expect("a thread with a large stack can be started")
}

/// One edit of some node; `None` where it is refused or there is no such node.
fn some_edit(tree: &Tree, random: &mut Random) -> Option<Vec<TextEdit>> {
    let kinds = [NodeKind::AttrSet, NodeKind::List, NodeKind::Pattern, NodeKind::LetIn];
    let kind = kinds[random.below(kinds.len())];
    let nodes: Vec<Node<'_>> = tree.nodes().filter(|node| node.kind() == kind).collect();
    let node = *nodes.get(random.below(nodes.len().max(1)))?;
    let paths: [&[&str]; 6] =
        [&["a"], &["a", "b"], &["one"], &["c", "d", "e"], &["q r"], &["new", "if"]];
    let path = paths[random.below(paths.len())];
    let n_children = node.children().count();
    let result = match (kind, random.below(2)) {
        (NodeKind::List, 0) => edits::insert_in_list(tree, node.id(), None, "(f x)"),
        (NodeKind::List, _) => {
            edits::remove_from_list(tree, node.id(), random.below(n_children.max(1)))
        }
        (NodeKind::Pattern, 0) => edits::add_formal(tree, node.id(), "added", None),
        (NodeKind::Pattern, _) => edits::remove_formal(tree, node.id(), "lib"),
        (_, 0) => edits::set_attr(tree, node.id(), path, "42"),
        _ => edits::remove_attr(tree, node.id(), path),
    };
    result.ok()
}

/// What is planned for a flake can be applied, does what was asked for, and is undone by its
/// opposite. (That asking twice is asking once, and that no other input changes, is looked at before
/// an edit is handed out.)
pub fn flake(data: &[u8]) {
    let text = text_of(data);
    for request in requests(&mut Random::new(data.len() as u64 + 3)) {
        let edit = match plan(&text, &request) {
            Ok(edit) => edit,
            Err(refusal) => {
                assert!(!matches!(refusal, Refusal::Unproven(_)), "{request:?}: {refusal}");
                for place in refusal.places() {
                    assert!(text.get(place.as_usize()).is_some(), "{refusal:?} lies outside");
                }
                continue;
            }
        };
        let after =
            edit.apply(&text).expect("edits are sorted, free of overlap and inside the text");
        let undo = match &request {
            Request::AddInput(new) => Request::RemoveInput { name: new.name.clone() },
            _ => continue,
        };
        let is_known = edit.notes.iter().any(|note| matches!(note, Note::WasInRegistry(_)));
        if edit.edits.is_empty() || is_known {
            continue;
        }
        let back = match plan(&after, &undo) {
            // A computed name may be any.
            Err(Refusal::Unknown { .. }) => continue,
            back => back.expect("nothing uses what was just added"),
        };
        let back = back.apply(&after).expect("edits fit");
        assert_eq!(back, text, "{request:?} cannot be undone from {after}");
    }
}

/// One request of each kind.
fn requests(random: &mut Random) -> Vec<Request> {
    let names = ["a", "b", "c", "d", "in", "n"];
    let mut name = || names[random.below(names.len())].to_owned();
    let path = |text: &str| -> Vec<String> { text.split('/').map(str::to_owned).collect() };
    let new = NewInput::of_url("n", "github:o/n");
    let follows = vec![Follows { path: path("x"), target: vec![name()] }];
    let set = |at: &str, target: String| {
        Request::SetFollows(vec![Follows { path: path(at), target: vec![target] }])
    };
    vec![
        Request::AddInput(new.clone()),
        Request::AddInput(NewInput { is_flake: false, follows, ..new }),
        Request::RemoveInput { name: name() },
        Request::RemoveInput { name: name() },
        Request::RenameInput { old: name(), new: name(), even_if_handed_on: true },
        Request::RenameInput { old: name(), new: "n".to_owned(), even_if_handed_on: true },
        Request::RetargetInput { name: name(), url: "github:x/y".to_owned() },
        set("a/b", name()),
        set("c/x", name()),
        set("d", name()),
        Request::RemoveFollows { path: path("c/a") },
        Request::RemoveFollows { path: path("b/a") },
        Request::SetDescription("d ${x}".to_owned()),
        Request::AddOutput { path: path("packages/n"), value: "{\n  x = 1;\n}".to_owned() },
        Request::AddOverlay { name: "n".to_owned(), value: "final: prev: { }".to_owned() },
        Request::AddSystem { system: "aarch64-linux".to_owned(), list: None },
    ]
}

/// A check with every rule comes to an end, and its findings lie inside the text.
pub fn check(data: &[u8]) {
    let text = text_of(data);
    let checked = Checker::default().check("default.nix", text.as_str(), &Lints::everything());
    for found in &checked.findings {
        let range = found.diagnostic.range.as_usize();
        assert!(text.get(range).is_some(), "{:?} lies outside the text", found.diagnostic);
        for edit in found.diagnostic.fix.iter().flat_map(|fix| &fix.edits) {
            assert!(text.get(edit.range.as_usize()).is_some(), "{edit:?} lies outside the text");
        }
    }
}

/// Fixing ends, never makes Nix refuse a text, and a second run has nothing to do.
pub fn fix(data: &[u8]) {
    let lints = Lints::everything();
    let mut checker = Checker::default();
    let checked = checker.check("default.nix", text_of(data), &lints);
    let was_refused = checked.is_refused;
    let fixed = fix_text(&mut checker, "default.nix", checked, &lints, FixMode::Safe);
    assert!(was_refused || !fixed.rest.is_refused, "fixing broke the text: {:?}", fixed.text);
    let again = checker.check("default.nix", fixed.text.as_str(), &lints);
    let twice = fix_text(&mut checker, "default.nix", again, &lints, FixMode::Safe);
    assert_eq!(twice.text, fixed.text, "a second run changes more");
}

/// Formatting fails or gives a text of which Nix prints the same, and whose edits lead there. That is
/// told by the lowering, which the gate of `format` knows nothing of.
pub fn format(data: &[u8]) {
    let text = text_of(data);
    let nixfmt = |text: &str| cim_nix_format::nixfmt(text, cim_nix_format::Options::default());
    let formatted = cim_nix_format::Gate::default().format(text.as_str(), "nixfmt", nixfmt);
    let Ok(formatted) = formatted else { return };
    let edited = apply_edits(&text, &formatted.edits());
    let edited = edited.expect("edits are sorted, free of overlap and inside the text");
    assert_eq!(edited, formatted.text(), "the edits lead elsewhere");
    assert_eq!(printed(&text), printed(&edited), "{text:?} became {edited:?}");
}

/// What Nix makes of a text.
fn printed(text: &str) -> String {
    let tree = cim_nix_syntax::parse(text).tree;
    let places = Places { folder: Path::new("/in"), home: "/home" };
    print(&cim_nix_semantics::lower(&tree), &tree, places)
}

/// Evaluation of anything ends within its bounds, with a value or an error.
pub fn evaluate(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let ran = with_stack(|| {
        let settings = Settings { max_calls: 20_000, max_memory: 64 << 20, ..Settings::default() };
        let files = MemoryIo::new().with_file("/in/file", "text");
        let evaluation = Evaluation::new(settings, Box::new(files), Box::new(|_| {}));
        let value = evaluation.text(&text, Path::new("/in"));
        let value = value.and_then(|value| evaluation.force(value, true));
        match value {
            Ok(value) => {
                for format in [Format::Nix, Format::Display, Format::Json, Format::Xml] {
                    if let Err(error) = evaluation.write(value, format, true) {
                        assert!(!error.render(true).is_empty());
                    }
                }
            }
            Err(error) => assert!(!error.render(true).is_empty()),
        }
    });
    ran.expect("a thread with a large stack can be started");
}
