//! What Nix would make of a flake and its lock file, as far as that can be told without fetching.

use std::collections::{BTreeMap, BTreeSet};

use cim_nix_model::{
    Edge, FlakeInput, FlakeInputs, FlakeRef, FlakeSource, FlakeSources, InputPath, LockFile,
    LockOptions, Locked, NodeId, Registries, lock_unchecked,
};

use crate::lock::MAX_NODES;
use crate::picture::paths;

/// The lock file that Nix would write. What it would have to fetch has no inputs here, unless the old
/// lock file has it: the same source has the same inputs.
#[derive(Debug)]
pub struct Relock {
    /// The lock file.
    pub file: LockFile,
    unread: BTreeSet<NodeId>,
}

/// An input that the lock file has other than the flake asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// The input.
    pub path: InputPath,
    /// What the lock file has.
    pub old: Option<Edge>,
    /// What it should have.
    pub new: Option<Edge>,
}

/// Where a path of inputs leads to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Lead {
    /// To a source.
    Found(NodeId),
    /// To nothing.
    Nothing,
    /// The path goes through a source that would have to be fetched.
    Unknown,
    /// Round in a circle of inputs that follow each other.
    Circle(String),
}

impl Relock {
    /// Computes the lock file anew, with everything from `old` that Nix keeps.
    ///
    /// Errors: the inputs are too many, too deep or contain each other.
    pub fn of(inputs: &FlakeInputs, old: &LockFile) -> Result<Self, String> {
        // A node that many inputs lead to is written out for each way to it.
        let options = LockOptions { max_nodes: 2 * MAX_NODES, ..LockOptions::default() };
        let known = paths(old).into_iter().filter_map(|(node, path)| {
            let locked = old.input(node)?.locked.clone();
            Some((locked, (node, path)))
        });
        let offline = Offline { old, known: known.collect() };
        let Locked { file, places } = lock_unchecked(&offline, &false, inputs, old, &options)?;
        let unread = places.into_iter().filter(|(_, is_unread)| *is_unread).map(|(id, _)| id);
        Ok(Self { file, unread: unread.collect() })
    }

    /// Whether a source would have to be fetched to know its inputs.
    #[must_use]
    pub fn is_unread(&self, node: NodeId) -> bool {
        self.unread.contains(&node)
    }

    /// Where a path of inputs leads to.
    #[must_use]
    pub fn lead(&self, path: &[String]) -> Lead {
        match self.file.find(path) {
            Err(error) => return Lead::Circle(error.to_string()),
            Ok(Some(node)) => return Lead::Found(node),
            Ok(None) => {}
        }
        let above = (1..path.len()).rev().find_map(|n| self.file.find(&path[..n]).ok().flatten());
        match above.is_some_and(|node| self.is_unread(node)) {
            true => Lead::Unknown,
            false => Lead::Nothing,
        }
    }

    /// How `old` differs from this, the topmost inputs only.
    #[must_use]
    pub fn changes(&self, old: &LockFile) -> Vec<Change> {
        let mut changes = Vec::new();
        let mut todo = vec![(Vec::new(), LockFile::ROOT, LockFile::ROOT)];
        let mut n_seen = 0;
        while let Some((path, new_node, old_node)) = todo.pop() {
            // A node that many inputs lead to in an old file has a copy for each way in the new.
            n_seen += 1;
            if n_seen > self.file.len() + 1 {
                break;
            }
            let (news, olds) = (self.file.inputs(new_node), old.inputs(old_node));
            let names: BTreeSet<&String> = news.keys().chain(olds.keys()).collect();
            for name in names {
                let mut path: InputPath = path.clone();
                path.push(name.clone());
                let (new, before) = (news.get(name), olds.get(name));
                if let (Some(Edge::Node(new)), Some(Edge::Node(before))) = (new, before)
                    && self.file.input(*new).map(|input| &input.locked)
                        == old.input(*before).map(|input| &input.locked)
                {
                    todo.push((path, *new, *before));
                    continue;
                }
                let is_same = match (new, before) {
                    (Some(Edge::Follows(new)), Some(Edge::Follows(before))) => new == before,
                    _ => false,
                };
                if !is_same {
                    changes.push(Change { path, old: before.cloned(), new: new.cloned() });
                }
            }
        }
        changes.sort_by(|one, other| one.path.cmp(&other.path));
        changes
    }
}

/// Sources of which nothing can be had but what the old lock file tells. A place is whether it would
/// have had to be fetched.
struct Offline<'o> {
    old: &'o LockFile,
    /// The nodes of what is locked, and the first ways to them.
    known: BTreeMap<FlakeRef, (NodeId, InputPath)>,
}

impl Offline<'_> {
    /// The inputs that the flake of a node declares, as far as the old lock file tells: what it
    /// follows of its own. What follows other inputs does so since somebody else says so.
    fn inputs(&self, node: NodeId, path: &[String]) -> FlakeInputs {
        let input = |edge: &Edge| match edge {
            Edge::Node(id) => {
                let input = self.old.input(*id)?;
                Some(FlakeInput {
                    reference: Some(input.original.clone()),
                    is_flake: input.is_flake,
                    ..FlakeInput::default()
                })
            }
            Edge::Follows(target) => {
                let follows = target.strip_prefix(path).map(<[String]>::to_vec);
                Some(FlakeInput { follows, ..FlakeInput::default() })
            }
        };
        let inputs = self.old.inputs(node).iter();
        inputs.filter_map(|(name, edge)| Some((name.clone(), input(edge)?))).collect()
    }
}

impl FlakeSources for Offline<'_> {
    type Place = bool;
    type Error = String;

    fn flake(&self, reference: &FlakeRef, _: Registries) -> Result<FlakeSource<bool>, String> {
        let locked = reference.clone();
        Ok(match self.known.get(reference) {
            Some((node, path)) => {
                FlakeSource { locked, place: false, inputs: self.inputs(*node, path) }
            }
            None => FlakeSource { locked, place: true, inputs: FlakeInputs::new() },
        })
    }

    fn flake_below(&self, _: &bool, reference: &FlakeRef) -> Result<FlakeSource<bool>, String> {
        self.flake(reference, Registries::None)
    }

    fn tree(&self, reference: &FlakeRef, _: Registries) -> Result<(FlakeRef, bool), String> {
        Ok((reference.clone(), true))
    }

    fn tree_below(&self, _: &bool, _: &FlakeRef) -> Result<bool, String> {
        Ok(true)
    }

    fn lock_file(&self, _: &bool) -> Result<LockFile, String> {
        Ok(LockFile::default())
    }

    fn warn(&self, _: String) {}

    fn error(&self, message: String) -> String {
        message
    }

    fn context(&self, error: String, _: String) -> String {
        error
    }
}

#[cfg(test)]
mod tests {
    use cim_nix_model::LockFile;

    use super::*;
    use crate::FlakeFile;

    fn lock(nodes: &str) -> LockFile {
        let fixed = r#""rev":"5a48e3c2e435e95103d56590188cfed7b70e108c","narHash":"sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=""#;
        let text = format!(r#"{{"version":7,"root":"root","nodes":{{{nodes}}}}}"#);
        let text = with_sources(&text, fixed);
        LockFile::parse(&text, "flake.lock", &mut |_| {}).unwrap()
    }

    /// `@o/r` becomes the source on GitHub, locked and as it was asked for.
    fn with_sources(text: &str, fixed: &str) -> String {
        let mut parts = text.split('@');
        let mut out = parts.next().unwrap().to_owned();
        for part in parts {
            let end = part.find([',', '}']).unwrap();
            let (owner, repo) = part[..end].split_once('/').unwrap();
            let source = format!(r#""type":"github","owner":"{owner}","repo":"{repo}""#);
            out.push_str(&format!(r#""locked":{{{source},{fixed}}},"original":{{{source}}}"#));
            out.push_str(&part[end..]);
        }
        out
    }

    fn relock(inputs: &str, old: &LockFile) -> Relock {
        let text = format!("{{ inputs = {{ {inputs} }}; outputs = x: {{ }}; }}");
        let flake = FlakeFile::read(&cim_nix_syntax::parse(text).tree).unwrap();
        assert_eq!(flake.faults, []);
        Relock::of(&flake.declared(), old).unwrap()
    }

    #[test]
    fn what_is_known_is_kept_and_the_rest_is_unread() {
        let old = lock(r#""root":{"inputs":{"a":"a"}},"a":{"inputs":{"b":"b"},@o/a},"b":{@o/b}"#);
        let relock = relock("a.url = \"github:o/a\"; c.url = \"github:o/c\";", &old);
        let path = |path: &str| path.split('/').map(str::to_owned).collect::<Vec<_>>();
        assert!(matches!(relock.lead(&path("a/b")), Lead::Found(node) if !relock.is_unread(node)));
        assert!(matches!(relock.lead(&path("c")), Lead::Found(node) if relock.is_unread(node)));
        assert_eq!(relock.lead(&path("c/x")), Lead::Unknown);
        assert_eq!(relock.lead(&path("a/x")), Lead::Nothing);
        let changes = relock.changes(&old);
        assert_eq!(changes.len(), 1);
        assert_eq!((&changes[0].path, &changes[0].old), (&path("c"), &None));
    }

    #[test]
    fn inputs_of_a_source_that_is_read_anew_are_those_it_had() {
        let old = lock(
            r#""root":{"inputs":{"a":"a","n":"n"}},"a":{"inputs":{"b":"b","m":["a","b"],"n":["n"]},@o/a},"b":{@o/b},"n":{@o/n}"#,
        );
        let inputs = "a.url = \"github:o/a\"; n.url = \"github:o/n\";";
        let same = format!("{inputs} a.inputs.n.follows = \"n\";");
        assert_eq!(relock(&same, &old).changes(&old), []);
        let changes = relock(inputs, &old).changes(&old);
        assert_eq!(changes.iter().map(|change| change.path.join("/")).collect::<Vec<_>>(), ["a/n"]);
    }
}
