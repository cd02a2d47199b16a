//! Texts in, texts out. Whatever is planned is asked for again, and added inputs are removed again.

use expect_test::Expect;

use super::*;

mod adding;
mod outputs;
mod page;
mod removing;
mod renaming;
mod sources;

fn path(text: &str) -> InputPath {
    text.split('/').filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

fn follows(at: &str, target: &str) -> Follows {
    Follows { path: path(at), target: path(target) }
}

fn add(name: &str) -> Request {
    Request::AddInput(NewInput::of_url(name, format!("github:o/{name}")))
}

/// A source that is no flake.
fn add_source(name: &str) -> Request {
    let new = NewInput::of_url(name, format!("github:o/{name}"));
    Request::AddInput(NewInput { is_flake: false, ..new })
}

fn add_with(name: &str, all: &[(&str, &str)]) -> Request {
    let all = all.iter().map(|(at, target)| follows(at, target)).collect();
    Request::AddInput(NewInput {
        follows: all,
        ..NewInput::of_url(name, format!("github:o/{name}"))
    })
}

fn remove(name: &str) -> Request {
    Request::RemoveInput { name: name.to_owned() }
}

fn retarget(name: &str, url: &str) -> Request {
    Request::RetargetInput { name: name.to_owned(), url: url.to_owned() }
}

fn follow(at: &str, target: &str) -> Request {
    Request::SetFollows(vec![follows(at, target)])
}

fn unfollow(at: &str) -> Request {
    Request::RemoveFollows { path: path(at) }
}

/// The text after a request, with the notes behind it.
fn outcome(text: &str, request: &Request) -> String {
    let edit = match plan(text, request) {
        Ok(edit) => edit,
        Err(refusal) => {
            let error = refusal.error("flake.nix", text);
            let mut out = format!("error: {error}\n");
            error.hints().iter().for_each(|hint| out.push_str(&format!("  hint: {hint}\n")));
            return out;
        }
    };
    let after = edit.apply(text).unwrap();
    let again = plan(&after, request).unwrap();
    assert_eq!(again.edits, [], "twice is once: {after}");
    if let Request::AddInput(new) = request
        && !edit.notes.iter().any(|note| matches!(note, Note::WasInRegistry(_)))
        && after != text
    {
        let back = plan(&after, &remove(&new.name)).unwrap().apply(&after).unwrap();
        assert_eq!(back, text, "removed again from {after}");
    }
    if let Request::AddOutput { path, value } = request
        && after != text
    {
        let gone = Request::RemoveOutput { path: path.clone(), value: value.clone() };
        match plan(&after, &gone) {
            Ok(edit) => {
                let back = edit.apply(&after).unwrap();
                // A function over systems that came with the attribute stays.
                let again = |back: &str| plan(back, request).unwrap().apply(back).unwrap();
                assert!(back == text || again(&back) == after, "removed from {after}: {back}");
                assert_ne!(back, after);
            }
            // The whole of an output that is made for each system is such a function.
            Err(refusal) => assert_eq!(path, &["formatter"], "{refusal}"),
        }
    }
    let mut out = if after == text { "unchanged\n".to_owned() } else { after };
    for note in &edit.notes {
        let gap = if out.ends_with('\n') { "" } else { "\n" };
        out.push_str(&format!("{gap}note: {note:?}\n"));
    }
    out
}

#[track_caller]
fn check(text: &str, request: &Request, want: Expect) {
    want.assert_eq(&outcome(text, request));
}

#[test]
fn windows_line_ends_stay() {
    let text = "{\r\n  inputs = {\r\n    a.url = \"path:a\";\r\n  };\r\n  outputs = { self\r\n  , a\r\n  }: { };\r\n}\r\n";
    let after = plan(text, &add_source("b")).unwrap().apply(text).unwrap();
    assert!(after.lines().count() > 9 && !after.replace("\r\n", "").contains('\n'), "{after:?}");
    outcome(text, &add_source("b"));
}

#[test]
fn many_inputs_are_no_trouble() {
    // With a square in it, this would take minutes.
    let n = 4_000;
    let mut text = "{\n  inputs = {\n    n.url = \"github:o/n\";\n".to_owned();
    for at in 0..n {
        text.push_str(&format!("    i{at}.url = \"github:o/i{at}\";\n"));
        text.push_str(&format!("    i{at}.inputs.n.follows = \"n\";\n"));
    }
    text.push_str("  };\n  outputs = { self, n");
    (0..n).for_each(|at| text.push_str(&format!(", i{at}")));
    text.push_str(" }: { };\n}\n");
    let removed = plan(&text, &remove("n")).unwrap();
    assert_eq!(removed.notes.len(), n);
    let after = removed.apply(&text).unwrap();
    let all = (0..n).map(|at| follows(&format!("i{at}/m"), "i0")).collect();
    plan(&after, &Request::SetFollows(all)).unwrap();
    let all = (0..n).map(|at| follows(&format!("i0/m{at}"), "i1")).collect();
    let followed = plan(&after, &Request::SetFollows(all)).unwrap().apply(&after).unwrap();
    plan(&followed, &retarget("i3000", "github:x/y")).unwrap();
    plan(&followed, &add("z")).unwrap();
}
