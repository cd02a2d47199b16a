//! Sources that are locked twice although one could follow the other.

use std::collections::HashSet;

use cim_nix_model::{FlakeRef, InputPath, LockFile, NodeId, show_input_path};
use cim_nix_syntax::Tree;
use cim_nix_syntax::ast::Binding;

use crate::file::FlakeFile;
use crate::identity::{Repository, is_same_source};
use crate::picture::paths;

/// A source that is there twice, and what it could follow.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Copy {
    /// The source.
    pub node: NodeId,
    /// The first path of inputs that leads to it.
    pub path: InputPath,
    /// The path that it could follow, as it is written.
    pub target: String,
}

/// The copies in a lock file, nearest first. What the flake itself gives a source, what it keeps
/// apart in a comment, and what other copies bring with them are none.
#[must_use]
pub fn copies(lock: &LockFile, flake: Option<&FlakeFile>) -> Vec<Copy> {
    let sources = paths(lock);
    let mut apart: HashSet<InputPath> = HashSet::new();
    if let Some(flake) = flake {
        let all = flake.inputs.iter().flat_map(|input| input.all());
        apart.extend(all.filter(|(_, input)| input.reference.is_some()).map(|(path, _)| path));
        apart.extend(flake.apart.iter().cloned());
    }
    let mut found: Vec<Copy> = Vec::new();
    let mut moved: HashSet<&[String]> = HashSet::new();
    for (node, path) in sources.iter().filter(|(_, path)| path.len() > 1) {
        // What lies below a copy goes with it.
        let is_moved = (1..path.len()).any(|end| moved.contains(&path[..end]));
        if is_moved || apart.contains(path) {
            continue;
        }
        if let Some(target) = target(lock, &sources, *node, path) {
            moved.insert(path);
            found.push(Copy { node: *node, path: path.clone(), target });
        }
    }
    found
}

/// What a source could follow.
fn target(
    lock: &LockFile,
    sources: &[(NodeId, InputPath)],
    node: NodeId,
    path: &[String],
) -> Option<String> {
    let input = lock.input(node)?;
    let original = &input.original;
    if original.text("rev").is_some() || !input.is_flake {
        return None;
    }
    let mut roots: Vec<(&str, &FlakeRef)> = Vec::new();
    for name in lock.inputs(LockFile::ROOT).keys() {
        let found = lock.find(std::slice::from_ref(name)).ok().flatten();
        let other = found.filter(|found| *found != node).and_then(|found| lock.input(found));
        roots.extend(other.filter(|other| other.is_flake).map(|o| (name.as_str(), &o.original)));
    }
    if let Some((name, _)) = roots.iter().find(|(_, other)| is_same_source(other, original)) {
        return Some((*name).to_owned());
    }
    let is_plain = path.last().is_some_and(|name| name == "nixpkgs");
    let is_pull = original.text("ref").is_some_and(|branch| branch.starts_with("pull/"));
    if Repository::of(original) != Repository::Nixpkgs || !is_plain || is_pull {
        return None;
    }
    // A fork of it is meant to be used by all, too.
    let is_fork = |other: &FlakeRef| other.text("repo").is_some_and(|repo| repo == "nixpkgs");
    roots.retain(|(name, other)| {
        let is_nixpkgs = Repository::of(other) == Repository::Nixpkgs || is_fork(other);
        *name == "nixpkgs" || is_nixpkgs && other.text("rev").is_none()
    });
    let named = roots.iter().find(|(name, _)| *name == "nixpkgs").or(roots.first());
    if let Some((name, _)) = named {
        return Some((*name).to_owned());
    }
    // Without one of its own, the flake can use the first that it gets from others.
    let is_nixpkgs = |id: NodeId| {
        lock.input(id).is_some_and(|input| Repository::of(&input.original) == Repository::Nixpkgs)
    };
    let (first, first_path) = sources.iter().find(|(id, _)| is_nixpkgs(*id))?;
    let is_other = *first != node && first_path.first() != path.first();
    (is_other && first_path.len() > 1).then(|| show_input_path(first_path))
}

/// The inputs of inputs whose `follows` is commented out: somebody tried it and decided against it.
pub(crate) fn apart(tree: &Tree) -> Vec<InputPath> {
    if !tree.text().contains("follows") {
        return Vec::new();
    }
    let mut all = Vec::new();
    for comment in tree.tokens().filter(|token| token.kind().is_comment()) {
        for line in comment.text().lines() {
            let Some(own) = binding_path(line) else { continue };
            let around = tree.covering(comment.range());
            let bindings = std::iter::once(around).chain(around.ancestors());
            let mut names: Vec<Vec<String>> =
                bindings.filter_map(Binding::cast).map(names).collect();
            names.reverse();
            names.push(own);
            all.extend(input_of(&names.concat()));
        }
    }
    all
}

/// The attribute path in front of a `=` in a line of a comment, if `follows` is its last name.
fn binding_path(line: &str) -> Option<Vec<String>> {
    let line = line.trim_start_matches(|c: char| c.is_whitespace() || matches!(c, '#' | '/' | '*'));
    let path = line.split_once('=')?.0.trim_end();
    let path = path.strip_suffix("follows")?.strip_suffix('.')?;
    let is_name = |name: &str| {
        !name.is_empty()
            && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '\''))
    };
    let names: Vec<&str> = path.split('.').map(|name| name.trim_matches('"')).collect();
    let is_path = names.iter().all(|name| is_name(name));
    is_path.then(|| names.into_iter().map(str::to_owned).collect())
}

fn names(binding: Binding<'_>) -> Vec<String> {
    let path = binding.attr_path().into_iter().flat_map(|path| path.elements());
    path.map_while(|attr| attr.name().map(std::borrow::Cow::into_owned)).collect()
}

/// The input that `inputs.a.inputs.b` is about.
fn input_of(path: &[String]) -> Option<InputPath> {
    let is_input = path.chunks(2).all(|pair| pair.len() == 2 && pair[0] == "inputs");
    (is_input && path.len() > 2).then(|| path.chunks(2).map(|pair| pair[1].clone()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_of_the_flake_itself_are_no_copies() {
        let source = |branch: &str| {
            let place = r#""type":"github","owner":"NixOS","repo":"nixpkgs""#;
            format!(
                r#""original":{{{place},"ref":"{branch}"}},"locked":{{{place},"rev":"{}"}}"#,
                "a".repeat(40)
            )
        };
        let text = format!(
            r#"{{"version":7,"root":"root","nodes":{{
            "root":{{"inputs":{{"a":"a","nixpkgs":"n","nixpkgs-unstable":"u"}}}},
            "a":{{"inputs":{{"nixpkgs":"b","nixpkgs-old":"o"}},{}}},
            "n":{{{}}},"u":{{{}}},"b":{{{}}},"o":{{{}}}}}}}"#,
            source("a").replace("repo\":\"nixpkgs", "repo\":\"other"),
            source("nixos-24.05"),
            source("nixos-unstable"),
            source("master"),
            source("nixos-23.11"),
        );
        let crate::Lock::Read(lock) = crate::Lock::parse(&text) else { panic!("{text}") };
        let found = copies(&lock, None);
        let told: Vec<_> = found.iter().map(|c| (show_input_path(&c.path), &*c.target)).collect();
        assert_eq!(told, [("a/nixpkgs".to_owned(), "nixpkgs")]);
    }

    #[track_caller]
    fn check_apart(text: &str, want: &[&str]) {
        let found = apart(&cim_nix_syntax::parse(text).tree);
        let shown: Vec<String> = found.iter().map(|path| show_input_path(path)).collect();
        assert_eq!(shown, want, "{text}");
    }

    #[test]
    fn commented_out_follows_are_read() {
        check_apart("{ inputs = {\n# a.inputs.b.follows = \"b\";\n}; }", &["a/b"]);
        check_apart("{\n#inputs.a.inputs.\"b\".inputs.c.follows = \"b\"; # x\n}", &["a/b/c"]);
        check_apart(
            "{ inputs.a = { url = \"x\"; # inputs.b.follows = \"b\";\n inputs = {\n /* c.follows = \"c\";\n d.follows=\"d\"; */ }; }; }",
            &["a/b", "a/c", "a/d"],
        );
    }

    #[test]
    fn other_comments_are_none() {
        for comment in ["# b follows a = x", "# a.follows = \"b\";", "# see inputs.b.follows"] {
            check_apart(&format!("{{ inputs = {{\n{comment}\n}}; }}"), &[]);
        }
        check_apart("{ inputs = {\n# a = {\n#   inputs.b.follows = \"b\";\n# };\n}; }", &[]);
        check_apart("{ outputs = {\n# a.inputs.b.follows = \"b\";\n}; }", &[]);
    }
}
