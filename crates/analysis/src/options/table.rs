//! The options of a configuration, ready to be asked by name.

use std::collections::HashMap;
use std::path::PathBuf;

use super::kinds::OptionType;

/// What rules want to know of an option.
#[derive(Clone, PartialEq, Debug)]
pub struct OptionFact {
    /// What it takes.
    pub kind: OptionType,
    /// Its type in words.
    pub type_words: Box<str>,
    /// The option that it is another name of.
    pub alias_of: Option<Box<str>>,
}

/// A place in a table where the names of modules begin.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Root(u32);

impl Root {
    const TOP: Self = Self(0);
}

#[derive(Default, Debug)]
struct Node {
    children: HashMap<Box<str>, u32>,
    /// Where any name leads that is not among the children: `<name>`, `*`.
    any: Option<u32>,
    option: Option<u32>,
}

/// The options of one configuration.
#[derive(Debug)]
pub struct OptionTable {
    /// What was evaluated: `nixosConfigurations.web`.
    pub label: Box<str>,
    /// Files that certainly are modules of it: paths as they are on this machine.
    modules: Vec<PathBuf>,
    nodes: Vec<Node>,
    facts: Vec<OptionFact>,
}

/// What a name means in a table.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Lookup<'o> {
    /// An option.
    Option(&'o OptionFact),
    /// Something inside of an option's value that is no option of its own.
    Inside,
    /// A set of options.
    Namespace,
    /// Nothing; so many names before lead to a set of options.
    Unknown(usize),
}

impl OptionTable {
    /// The table of options given by the parts of their names, where `<name>` and `*` stand for
    /// names that users choose.
    pub fn new<'n>(
        label: impl Into<Box<str>>,
        options: impl IntoIterator<Item = (&'n [String], OptionFact)>,
    ) -> Self {
        let mut table = Self {
            label: label.into(),
            modules: Vec::new(),
            nodes: vec![Node::default()],
            facts: Vec::new(),
        };
        for (name, fact) in options {
            let place = name.iter().fold(Root::TOP.0, |at, part| table.enter(at, part));
            table.nodes[place as usize].option = Some(table.facts.len() as u32);
            table.facts.push(fact);
        }
        table
    }

    /// The same table, which knows that these files are modules of what was evaluated.
    #[must_use]
    pub fn with_modules(self, modules: Vec<PathBuf>) -> Self {
        Self { modules, ..self }
    }

    /// Whether the file that a user sees as `path` certainly is a module of what was evaluated.
    pub(crate) fn has_module(&self, path: &str) -> bool {
        self.modules.iter().any(|module| module.ends_with(path))
    }

    fn enter(&mut self, at: u32, part: &str) -> u32 {
        let next = self.nodes.len() as u32;
        let node = &mut self.nodes[at as usize];
        let place = match is_chosen(part) {
            true => *node.any.get_or_insert(next),
            false => *node.children.entry(part.into()).or_insert(next),
        };
        if place == next {
            self.nodes.push(Node::default());
        }
        place
    }

    /// Where modules may begin: at the top, or where Home Manager's are nested.
    pub(crate) fn roots(&self) -> impl Iterator<Item = Root> {
        let nested = ["home-manager", "users", "*"];
        let nested = nested.iter().try_fold(Root::TOP.0, |at, part| self.step(at, Some(part)));
        [Some(Root::TOP), nested.map(Root)].into_iter().flatten()
    }

    fn step(&self, at: u32, name: Option<&str>) -> Option<u32> {
        let node = &self.nodes[at as usize];
        name.and_then(|name| node.children.get(name).copied()).or(node.any)
    }

    fn fact_at(&self, at: u32) -> Option<&OptionFact> {
        Some(&self.facts[self.nodes[at as usize].option? as usize])
    }

    /// What `name` means in modules at `root`; `None` stands for a computed part.
    pub(crate) fn look<'p>(
        &self,
        root: Root,
        name: impl IntoIterator<Item = Option<&'p str>>,
    ) -> Lookup<'_> {
        let mut at = root.0;
        // Whether the option around takes more than what is listed.
        let mut is_open = false;
        for (known, part) in name.into_iter().enumerate() {
            let Some(next) = self.step(at, part) else {
                // A computed name may be any of those that are there.
                return if is_open || part.is_none() {
                    Lookup::Inside
                } else {
                    Lookup::Unknown(known)
                };
            };
            at = next;
            if let Some(fact) = self.fact_at(at) {
                is_open = !fact.is_closed();
            }
        }
        match self.fact_at(at) {
            Some(fact) => Lookup::Option(fact),
            None if is_open => Lookup::Inside,
            None => Lookup::Namespace,
        }
    }

    /// The names that can follow the known names `path`.
    pub(crate) fn names_at<'s>(
        &'s self,
        root: Root,
        path: &[&str],
    ) -> impl Iterator<Item = &'s str> {
        let at = path.iter().try_fold(root.0, |at, part| self.step(at, Some(part)));
        at.into_iter().flat_map(|at| self.nodes[at as usize].children.keys().map(AsRef::as_ref))
    }
}

fn is_chosen(part: &str) -> bool {
    part == "*" || (part.starts_with('<') && part.ends_with('>'))
}

impl OptionFact {
    /// Whether nothing can be set inside of the option but the options that are listed there.
    fn is_closed(&self) -> bool {
        match &self.kind {
            OptionType::Submodule => true,
            OptionType::Attrs(inner) | OptionType::List(inner) => **inner == OptionType::Submodule,
            OptionType::Either(of) => {
                let mut others = of.iter().filter(|kind| **kind != OptionType::Null);
                others.next() == Some(&OptionType::Submodule) && others.next().is_none()
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> OptionTable {
        let options = [
            ("services.web.enable", "boolean"),
            ("services.web.settings", "JSON value"),
            ("services.web.settings.port", "signed integer"),
            ("users.users", "attribute set of (submodule)"),
            ("users.users.<name>.uid", "null or signed integer"),
            ("home-manager.users", "attribute set of (submodule)"),
            ("home-manager.users.<name>.programs.git.enable", "boolean"),
        ];
        let made: Vec<(Vec<String>, OptionFact)> = options
            .iter()
            .map(|(name, words)| {
                let fact = OptionFact {
                    kind: OptionType::parse(words),
                    type_words: (*words).into(),
                    alias_of: None,
                };
                (name.split('.').map(str::to_owned).collect(), fact)
            })
            .collect();
        OptionTable::new("test", made.iter().map(|(name, fact)| (&name[..], fact.clone())))
    }

    #[track_caller]
    fn check(root: usize, name: &str, want: &str) {
        let table = table();
        let root = table.roots().nth(root).unwrap();
        let parts = name.split('.').map(|part| (part != "?").then_some(part));
        let got = match table.look(root, parts) {
            Lookup::Option(fact) => fact.type_words.to_string(),
            Lookup::Inside => "inside".to_owned(),
            Lookup::Namespace => "namespace".to_owned(),
            Lookup::Unknown(known) => format!("unknown after {known}"),
        };
        assert_eq!(got, want, "{name}");
    }

    #[test]
    fn names_lead_to_options() {
        check(0, "services.web.enable", "boolean");
        check(0, "services.web", "namespace");
        check(0, "services.web.enabel", "unknown after 2");
        check(0, "services.?.enabel", "inside");
        check(0, "nothing", "unknown after 0");
    }

    #[test]
    fn what_users_choose_and_what_is_open() {
        check(0, "users.users.eve.uid", "null or signed integer");
        check(0, "users.users.?.uid", "null or signed integer");
        check(0, "users.users.eve.udi", "unknown after 3");
        check(0, "services.web.settings.port", "signed integer");
        check(0, "services.web.settings.other.deep", "inside");
    }

    #[test]
    fn modules_are_known_by_what_users_see() {
        let table = table().with_modules(vec!["/srv/fleet/hosts/a.nix".into()]);
        assert!(table.has_module("hosts/a.nix") && table.has_module("/srv/fleet/hosts/a.nix"));
        assert!(!table.has_module("osts/a.nix") && !table.has_module("a"));
    }

    #[test]
    fn nested_modules_have_a_root() {
        check(1, "programs.git.enable", "boolean");
        check(1, "programs.git.enabel", "unknown after 2");
        let table = table();
        let root = table.roots().nth(1).unwrap();
        assert_eq!(table.names_at(root, &["programs", "git"]).collect::<Vec<_>>(), ["enable"]);
    }
}
