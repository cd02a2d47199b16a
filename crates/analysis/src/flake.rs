//! What the rules about flakes can ask, beyond the tree.

use std::cell::OnceCell;

use cim_nix_base::{TextEdit, TextRange, apply_edits};
use cim_nix_flake::{FlakeFile, Lock, Relock};
use cim_nix_model::{LockFile, LockedInput};
use cim_nix_syntax::{NodeKind, Tree};

use crate::context::Context;
use crate::rewrite::Rewrite;

/// What lies around the file that is checked next, as far as its driver looked.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// The lock file beside a `flake.nix`.
    pub lock: Lock,
    /// Whether the file is meant to be copied elsewhere, or is locked by a flake around it.
    pub is_template: bool,
}

/// What numbers the rules go by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Days that an input may be older than the date that ages are told from.
    pub max_age: u64,
    /// How many sources a lock file may hold.
    pub max_inputs: usize,
    /// The date that ages are told from, in seconds since 1970; the newest in the lock file if
    /// nothing.
    pub date: Option<u64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_age: 180, max_inputs: 40, date: None }
    }
}

/// A flake with what lies around it.
pub struct FlakeFacts<'a> {
    /// `flake.nix` as it is written.
    pub file: &'a FlakeFile,
    /// What lies around it.
    pub around: &'a Surroundings,
    /// What numbers to go by.
    pub limits: Limits,
    relock: OnceCell<Result<Relock, String>>,
}

/// A source in the lock file that Nix would write, and the first way to it.
pub(crate) struct Source<'f> {
    pub(crate) path: Vec<String>,
    pub(crate) input: &'f LockedInput,
}

impl<'a> FlakeFacts<'a> {
    pub(crate) fn new(file: &'a FlakeFile, around: &'a Surroundings, limits: Limits) -> Self {
        Self { file, around, limits, relock: OnceCell::new() }
    }

    /// What Nix would make of the lock file; of none, if it cannot be used.
    pub(crate) fn relock(&self) -> Result<&Relock, &str> {
        let make = || {
            let empty = LockFile::default();
            let old = self.around.lock.file().unwrap_or(&empty);
            Relock::of(&self.file.declared(), old)
        };
        self.relock.get_or_init(make).as_ref().map_err(String::as_str)
    }

    /// The sources that the lock file holds and the flake still asks for, nearest first. None where
    /// there is no lock file.
    pub(crate) fn sources(&self) -> Vec<Source<'_>> {
        let relock = match self.around.lock.file() {
            Some(_) => self.relock().ok(),
            None => None,
        };
        let Some(relock) = relock else { return Vec::new() };
        let paths = cim_nix_flake::paths(&relock.file).into_iter();
        let sources = paths.filter_map(|(node, path)| {
            let input = relock.file.input(node).filter(|_| !relock.is_unread(node))?;
            Some(Source { path, input })
        });
        sources.collect()
    }

    /// The date that ages are told from.
    pub(crate) fn date(&self) -> Option<u64> {
        let sources = self.sources();
        let newest = sources.iter().filter_map(|s| s.input.locked.number("lastModified")).max();
        newest.max(self.limits.date)
    }
}

/// A fix that gives inputs attributes, one after the other: paths from the flake's set, and values.
pub(crate) fn set_attrs(
    context: &Context<'_>,
    changes: &[(Vec<&str>, String)],
) -> Option<(Vec<TextEdit>, Vec<Rewrite>)> {
    let mut text = context.text().to_owned();
    for (path, value) in changes {
        let tree = cim_nix_syntax::parse(text.as_str()).tree;
        let set = FlakeFile::read(&tree)?.set;
        let edits = cim_nix_syntax::edit::set_attr(&tree, set, path, value).ok()?;
        text = apply_edits(&text, &edits).ok()?;
    }
    let edits = difference(context.text(), &text)?;
    let rewrites = substitution(context.tree, &edits)?;
    Some((edits, rewrites))
}

/// The edit that makes one text of another.
fn difference(old: &str, new: &str) -> Option<Vec<TextEdit>> {
    let same = |(a, b): &(char, char)| a == b;
    let front: usize =
        old.chars().zip(new.chars()).take_while(same).map(|(c, _)| c.len_utf8()).sum();
    let (old_rest, new_rest) = (&old[front..], &new[front..]);
    let back: usize = old_rest
        .chars()
        .rev()
        .zip(new_rest.chars().rev())
        .take_while(same)
        .map(|(c, _)| c.len_utf8())
        .sum();
    if old == new {
        return None;
    }
    let range = TextRange::new(front as u32, (old.len() - back) as u32);
    Some(vec![TextEdit::replace(range, &new_rest[..new_rest.len() - back])])
}

/// The change of the tree that edits inside of a set amount to: it becomes what they make of it.
pub(crate) fn substitution(tree: &Tree, edits: &[TextEdit]) -> Option<Vec<Rewrite>> {
    let all = edits.iter().map(|edit| edit.range).reduce(TextRange::cover)?;
    let inner = tree.covering(all);
    let holds = |range: TextRange| range.start < all.start && all.end < range.end;
    let is_set = |kind| matches!(kind, NodeKind::AttrSet | NodeKind::Str);
    let node = std::iter::once(inner)
        .chain(inner.ancestors())
        .find(|node| is_set(node.kind()) && holds(node.range()))?;
    let start = node.range().start;
    let moved = edits.iter().map(|edit| {
        let range = TextRange::new(edit.range.start - start, edit.range.end - start);
        TextEdit::replace(range, edit.text.clone())
    });
    let text = apply_edits(node.text(), &moved.collect::<Vec<_>>()).ok()?;
    Some(vec![Rewrite::Substitute { node: node.id(), text }])
}
