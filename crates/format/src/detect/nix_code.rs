//! What the Nix code of a project says about its formatter, without evaluation.
//!
//! Looks at `flake.nix`, `treefmt.nix` and the like, and the files that they lead to by a path, for
//! attributes that are set: `programs.nixfmt.enable`, `formatter`, `hooks.nixfmt.enable`. How deep
//! they are nested in sets does not matter.

use std::collections::VecDeque;
use std::path::{Component, Path, PathBuf};

use cim_nix_base::LineIndex;
use cim_nix_project::{EntryKind, Files};
use cim_nix_syntax::ast::{Attr, AttrPath, Binding, Select};
use cim_nix_syntax::literal::{int_value, static_string};
use cim_nix_syntax::{Node, NodeKind, Parser, Tree};

use super::{Decision, Filter, Rule};
use crate::{Formatter, Options};

/// The largest file that is read; settings are written by hand.
const MAX_SIZE: u64 = 256 << 10;
/// The most files that are read.
const MAX_FILES: usize = 60;
/// How far a file may be from `flake.nix`.
const MAX_HOPS: usize = 3;

/// Where the search begins.
const STARTS: &[&str] = &["treefmt.nix", "flake.nix", "default.nix", "shell.nix", "devenv.nix"];

/// Parts of names of files in a folder without `default.nix` that may be about formatting.
const NAMES: &[&str] = &["fmt", "format", "hook", "commit", "check", "dev", "shell", "lint"];

/// Parts of names of folders in such a folder that are looked into, too.
const FOLDERS: &[&str] = &["flake", "part", "tool", "nix", "fmt", "format", "dev", "check"];

/// The Nix files of a project that may say something.
pub(super) struct Sources<'p> {
    folder: &'p Path,
    files: Vec<Source>,
}

struct Source {
    path: PathBuf,
    tree: Tree,
}

/// An attribute that is set, with the names of all sets around it.
struct Setting<'t> {
    names: Vec<String>,
    binding: Node<'t>,
    value: Node<'t>,
}

impl<'p> Sources<'p> {
    /// Reads the files of `folder` and those that they lead to, inside of it.
    pub(super) fn read(files: &dyn Files, folder: &'p Path) -> Self {
        let mut parser = Parser::default();
        let mut all: Vec<Source> = Vec::new();
        let mut seen: Vec<PathBuf> = Vec::new();
        let mut todo: VecDeque<(PathBuf, usize)> =
            STARTS.iter().map(|name| (folder.join(name), 0)).collect();
        while let Some((path, hops)) = todo.pop_front() {
            if all.len() == MAX_FILES || seen.contains(&path) {
                continue;
            }
            seen.push(path.clone());
            let Ok(text) = files.read(&path, MAX_SIZE) else {
                if hops > 0 && hops <= MAX_HOPS {
                    todo.extend(inside(files, &path).into_iter().map(|path| (path, hops + 1)));
                }
                continue;
            };
            let tree = parser.parse(text).tree;
            if hops < MAX_HOPS {
                let targets = paths(&tree, &path).filter(|target| target.starts_with(folder));
                todo.extend(targets.map(|target| (target, hops + 1)));
            }
            all.push(Source { path, tree });
        }
        Self { folder, files: all }
    }

    /// `programs.nixfmt.enable = true` of treefmt.
    pub(super) fn treefmt(&self) -> Option<Decision> {
        for source in &self.files {
            let settings = source.settings();
            let enabled = settings.iter().find_map(|setting| {
                let [.., programs, name, last] = setting.names.as_slice() else { return None };
                let is_on = programs == "programs" && last == "enable" && is_true(setting.value);
                Some((setting, Formatter::named(name).filter(|_| is_on)?))
            });
            let Some((setting, formatter)) = enabled else { continue };
            let at = &setting.names[..setting.names.len() - 1];
            let of_program = |key: &str| {
                settings.iter().find(|it| {
                    it.names.split_last().is_some_and(|(last, set)| last == key && set == at)
                })
            };
            let classic = of_program("package")
                .filter(|package| last_name(package.value).as_deref() == Some("nixfmt-classic"))
                .and_then(|_| Formatter::named("nixfmt-classic"));
            let name = setting.names.join(".");
            let because = format!("`{name}` is set in `{}`", self.place(source, setting.binding));
            let formatter = classic.unwrap_or(formatter);
            let mut decision = Decision::new(formatter, Rule::TreefmtNix, because, self.folder);
            decision.options = Options {
                width: of_program("width").and_then(|it| number(it.value)),
                indent: of_program("indent").and_then(|it| number(it.value)),
            };
            decision.filter = self.filter(of_program("includes"), of_program("excludes"));
            return Some(decision);
        }
        None
    }

    /// Patterns of one program, with those for all programs.
    fn filter(&self, includes: Option<&Setting<'_>>, excludes: Option<&Setting<'_>>) -> Filter {
        let of =
            |setting: Option<&Setting<'_>>| setting.map(|it| strings(it.value)).unwrap_or_default();
        let mut filter = Filter { includes: of(includes), excludes: of(excludes) };
        for setting in self.files.iter().flat_map(Source::settings) {
            if setting.names.ends_with(&["settings", "global", "excludes"].map(str::to_owned)) {
                filter.excludes.extend(strings(setting.value));
            }
        }
        filter
    }

    /// The `formatter` of a flake.
    pub(super) fn flake_formatter(&self) -> Option<Decision> {
        for source in &self.files {
            let is_flake = source.path.file_name().is_some_and(|name| name == "flake.nix");
            for setting in source.settings() {
                if !is_flake_formatter(&setting.names, is_flake) {
                    continue;
                }
                let Some((name, formatter)) = self.formatter_in(source, setting.value) else {
                    continue;
                };
                let place = self.place(source, setting.binding);
                let because = format!("the flake's `formatter` in `{place}` is `{name}`");
                return Some(Decision::new(formatter, Rule::Flake, because, self.folder));
            }
        }
        None
    }

    /// `hooks.nixfmt.enable = true` of git-hooks.nix or devenv.
    pub(super) fn hooks(&self) -> Option<Decision> {
        for source in &self.files {
            for setting in source.settings() {
                let [.., hooks, name, last] = setting.names.as_slice() else { continue };
                let is_on = hooks == "hooks" && last == "enable" && is_true(setting.value);
                let Some(formatter) = Formatter::named(name).filter(|_| is_on) else { continue };
                let place = self.place(source, setting.binding);
                let because = format!("the hook `{name}` is enabled in `{place}`");
                return Some(Decision::new(formatter, Rule::Hooks, because, self.folder));
            }
        }
        None
    }

    /// The formatter that an expression stands for, and the name that tells it.
    fn formatter_in(&self, source: &Source, value: Node<'_>) -> Option<(String, Formatter)> {
        // A name may stand for another, and a call for a file: follow a few of them.
        let (mut source, mut value) = (source, value);
        for _ in 0..MAX_HOPS {
            let result = result_of(value);
            if let Some(name) = last_name(result) {
                if let Some(formatter) = Formatter::named(&name) {
                    return Some((name, formatter));
                }
                let binding = (result.kind() == NodeKind::Ident).then(|| {
                    source.settings().into_iter().find(|it| it.names.last() == Some(&name))
                });
                match binding.flatten() {
                    Some(found) if found.value != value => value = found.value,
                    _ => return None,
                }
                continue;
            }
            if let Some(found) = only_name(result) {
                return Some(found);
            }
            let target = paths_in(result, &source.path).next()?;
            let is_it =
                |other: &&Source| other.path == target || other.path == target.join("default.nix");
            source = self.files.iter().find(is_it)?;
            if let Some(found) = only_name(source.tree.root()) {
                return Some(found);
            }
            value = source.tree.root().child(0)?;
        }
        None
    }

    /// Where a node is, for people.
    fn place(&self, source: &Source, node: Node<'_>) -> String {
        let path = source.path.strip_prefix(self.folder).unwrap_or(&source.path);
        let line = LineIndex::new(source.tree.text()).line_of(node.range().start) + 1;
        format!("{}:{line}", path.display())
    }
}

impl Source {
    /// All attributes that are set in the file.
    fn settings(&self) -> Vec<Setting<'_>> {
        let is_interesting = |node: &Node<'_>| node.kind() == NodeKind::Binding;
        self.tree.nodes().filter(is_interesting).filter_map(setting).collect()
    }
}

fn setting(binding: Node<'_>) -> Option<Setting<'_>> {
    let value = Binding::cast(binding)?.value()?;
    let mut names = Vec::new();
    for node in std::iter::once(binding).chain(binding.ancestors()) {
        if let Some(path) = Binding::cast(node).and_then(Binding::attr_path) {
            names.extend(path_names(path).into_iter().rev());
        }
        // No setting is nested as deeply as broken or hostile code may be.
        if names.len() > 32 {
            return None;
        }
    }
    names.reverse();
    Some(Setting { names, binding, value })
}

fn path_names(path: AttrPath<'_>) -> Vec<String> {
    let name =
        |attr: Attr<'_>| attr.name().map_or_else(|| "${…}".to_owned(), |name| name.into_owned());
    path.elements().map(name).collect()
}

/// Whether the attribute is what `nix fmt` runs: `outputs.formatter.x86_64-linux`, or
/// `perSystem.formatter` of flake-parts.
fn is_flake_formatter(names: &[String], is_flake: bool) -> bool {
    let Some(at) = names.iter().position(|name| name == "formatter") else { return false };
    let is_near = names.len() - at <= 2;
    let before = at.checked_sub(1).map(|at| names[at].as_str());
    is_near
        && match before {
            None => is_flake,
            Some("perSystem" | "flake") => true,
            Some("outputs") => is_flake,
            Some(_) => false,
        }
}

/// Whether an expression is `true`, maybe inside of `mkDefault` and the like.
fn is_true(value: Node<'_>) -> bool {
    match value.kind() {
        NodeKind::Ident => value.text() == "true",
        NodeKind::Apply => value.last_child().is_some_and(|last| last.text() == "true"),
        _ => false,
    }
}

fn number<N: TryFrom<i64>>(value: Node<'_>) -> Option<N> {
    int_value(value).and_then(|value| N::try_from(value).ok())
}

fn strings(value: Node<'_>) -> Vec<String> {
    let elements = value.children().filter_map(static_string);
    elements.map(|text| text.into_owned()).collect()
}

/// What is left of an expression once functions are called and bindings made.
fn result_of(mut value: Node<'_>) -> Node<'_> {
    loop {
        let inner = match value.kind() {
            NodeKind::Paren => value.child(0),
            NodeKind::Lambda | NodeKind::LetIn | NodeKind::With | NodeKind::Assert => {
                value.last_child()
            }
            // `forAllSystems (system: …)`
            NodeKind::Apply => value.last_child().filter(|last| {
                let is_function = |node: &Node<'_>| node.kind() == NodeKind::Lambda;
                is_function(last) || last.child(0).as_ref().is_some_and(is_function)
            }),
            _ => None,
        };
        match inner {
            Some(inner) => value = inner,
            None => return value,
        }
    }
}

/// The last name of `a.b.c` or `c`.
fn last_name(value: Node<'_>) -> Option<String> {
    match value.kind() {
        NodeKind::Ident => Some(value.text().to_owned()),
        NodeKind::Select => {
            let names = path_names(Select::cast(value)?.attr_path()?);
            names.into_iter().next_back()
        }
        _ => None,
    }
}

/// The one formatter that is named anywhere in an expression, be it in a string.
fn only_name(value: Node<'_>) -> Option<(String, Formatter)> {
    let mut found: Option<(String, Formatter)> = None;
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let is_wanted = |node: &Node<'_>| {
        matches!(
            node.kind(),
            NodeKind::Ident | NodeKind::Name | NodeKind::Formal | NodeKind::Str | NodeKind::IndStr
        )
    };
    for node in value.descendants().filter(is_wanted) {
        for word in node.text().split(|c| !is_part(c)) {
            let Some(formatter) = Formatter::named(word) else { continue };
            match &found {
                Some((_, other)) if *other != formatter => return None,
                Some(_) => {}
                None => found = Some((word.to_owned(), formatter)),
            }
        }
    }
    found
}

/// The files that the path literals of a tree lead to.
fn paths<'t>(tree: &'t Tree, file: &'t Path) -> impl Iterator<Item = PathBuf> + 't {
    paths_in(tree.root(), file)
}

fn paths_in<'t>(node: Node<'t>, file: &'t Path) -> impl Iterator<Item = PathBuf> + 't {
    let folder = file.parent().unwrap_or(file);
    node.descendants().filter(|node| node.kind() == NodeKind::Path && node.is_leaf()).filter_map(
        move |node| {
            let text = node.text();
            let is_relative = text.starts_with('.');
            is_relative.then(|| plain(&folder.join(text)))
        },
    )
}

/// A path without `.` and `..`.
fn plain(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                out.pop();
            }
            other => out.push(other),
        }
    }
    out
}

/// What is looked at where a path leads to a folder.
fn inside(files: &dyn Files, folder: &Path) -> Vec<PathBuf> {
    if files.kind(folder) != Ok(EntryKind::Folder) {
        return Vec::new();
    }
    let default = folder.join("default.nix");
    if files.kind(&default).is_ok() {
        return vec![default];
    }
    let mut found = Vec::new();
    // What cannot be listed leads nowhere.
    let _ = files.list(folder, &mut |name, kind| {
        let text = name.to_string_lossy();
        let has_part = |parts: &[&str]| parts.iter().any(|part| text.contains(part));
        let is_wanted = match kind {
            EntryKind::File => text.ends_with(".nix") && has_part(NAMES),
            EntryKind::Folder => has_part(FOLDERS),
            _ => false,
        };
        if is_wanted {
            found.push(folder.join(name));
        }
    });
    found.sort();
    found
}
