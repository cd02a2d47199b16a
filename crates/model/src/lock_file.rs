//! Lock files of flakes: the version of each input that is meant, as a graph.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::{Map, Value, json};

use crate::FlakeRef;

/// The names of inputs that lead from a flake to one of the inputs of its inputs.
pub type InputPath = Vec<String>;

/// Reads an input path: names with slashes between them.
///
/// Errors: a part is no name of an input.
pub fn input_path(text: &str) -> Result<InputPath, LockFileError> {
    let parts = text.split('/').filter(|part| !part.is_empty());
    let checked = parts.map(|part| match crate::flake_ref::is_flake_id(part) {
        true => Ok(part.to_owned()),
        false => Err(LockFileError(format!("invalid flake input attribute path element '{part}'"))),
    });
    checked.collect()
}

/// An input path as people write it.
#[must_use]
pub fn show_input_path(path: &[String]) -> String {
    path.join("/")
}

/// Why something is no lock file, or one that cannot be used.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LockFileError(String);

impl fmt::Display for LockFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for LockFileError {}

type Res<T> = Result<T, LockFileError>;

fn fail<T>(message: impl Into<String>) -> Res<T> {
    Err(LockFileError(message.into()))
}

/// A node of one lock file.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct NodeId(usize);

/// What an input is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Edge {
    /// A source of its own.
    Node(NodeId),
    /// The same as another input, named from the root.
    Follows(InputPath),
}

/// The source that an input is locked to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LockedInput {
    /// The version that is meant.
    pub locked: FlakeRef,
    /// What the flake asks for.
    pub original: FlakeRef,
    /// Whether it is a flake and not a plain tree.
    pub is_flake: bool,
    /// Of an input at a relative path: the input whose source it lies in.
    pub parent: Option<InputPath>,
}

#[derive(Clone, Default, Debug)]
struct Node {
    /// Nothing for the root.
    input: Option<LockedInput>,
    inputs: BTreeMap<String, Edge>,
}

/// A lock file: a graph of locked inputs. The root stands for the flake itself.
///
/// As part of a message it is the same JSON; read from there, nobody hears the warnings.
#[derive(Clone, Debug)]
pub struct LockFile {
    nodes: Vec<Node>,
}

impl Default for LockFile {
    fn default() -> Self {
        Self { nodes: vec![Node::default()] }
    }
}

/// Lock files are the same if they would be written the same.
impl PartialEq for LockFile {
    fn eq(&self, other: &Self) -> bool {
        self.to_json() == other.to_json()
    }
}

impl Eq for LockFile {}

impl Serialize for LockFile {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_json().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for LockFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = Value::deserialize(deserializer)?;
        Self::from_json(&json, "flake.lock", &mut |_| {}).map_err(de::Error::custom)
    }
}

/// How deep the inputs of inputs may nest in a lock file; flakes may less.
const MAX_LOCKED_DEPTH: usize = 1_000;
/// How many inputs may follow each other in a row; each step looks at those before.
const MAX_FOLLOWS: usize = 200;

impl LockFile {
    /// The node of the flake itself.
    pub const ROOT: NodeId = NodeId(0);

    /// Reads a lock file; `name` is what messages call it. What is worth a warning goes to `warn`.
    ///
    /// Errors: it is broken, of an unknown version, or an input's version is not fixed.
    pub fn parse(text: &str, name: &str, warn: &mut dyn FnMut(String)) -> Res<Self> {
        let json: Value = serde_json::from_str(text)
            .map_err(|error| LockFileError(format!("Could not parse '{name}': {error}")))?;
        Self::from_json(&json, name, warn)
    }

    /// Reads a lock file's JSON, as [`LockFile::parse`] does.
    ///
    /// Errors: as there.
    pub fn from_json(json: &Value, name: &str, warn: &mut dyn FnMut(String)) -> Res<Self> {
        let version = json.get("version").and_then(Value::as_i64).unwrap_or(0);
        if !(5..=7).contains(&version) {
            return fail(format!("lock file '{name}' has unsupported version {version}"));
        }
        let broken = |what: &str| LockFileError(format!("lock file '{name}' is broken: {what}"));
        let root = json.get("root").and_then(Value::as_str);
        let root = root.ok_or_else(|| broken("it does not name its 'root'"))?;
        let nodes = json.get("nodes").and_then(Value::as_object);
        let nodes = nodes.ok_or_else(|| broken("it has no 'nodes'"))?;
        let mut file = Self::default();
        let mut known: HashMap<&str, NodeId> = HashMap::from([(root, Self::ROOT)]);
        let mut todo = vec![(Self::ROOT, root, 0)];
        while let Some((id, key, depth)) = todo.pop() {
            // Paths of inputs are as long as that, and there is one for each.
            if depth > MAX_LOCKED_DEPTH {
                return Err(broken(&format!("its inputs are nested too deeply at '{key}'")));
            }
            let Some(inputs) = nodes.get(key).and_then(|node| node.get("inputs")) else { continue };
            let inputs = inputs.as_object();
            let inputs =
                inputs.ok_or_else(|| broken(&format!("the inputs of '{key}' are no set")))?;
            for (input, target) in inputs {
                let edge = match target {
                    Value::String(key) => {
                        let child = match known.get(key.as_str()) {
                            Some(&Self::ROOT) => {
                                return fail("lock file contains cycle to root node");
                            }
                            Some(&child) => child,
                            None => {
                                let node = nodes.get(key.as_str()).ok_or_else(|| {
                                    LockFileError(format!(
                                        "lock file references missing node '{key}'"
                                    ))
                                })?;
                                let child = file.add(locked_input(node, warn)?);
                                known.insert(key, child);
                                todo.push((child, key, depth + 1));
                                child
                            }
                        };
                        Edge::Node(child)
                    }
                    target => Edge::Follows(path_of(target).ok_or_else(|| {
                        broken(&format!("input '{input}' of '{key}' is neither a name nor a path"))
                    })?),
                };
                file.set_input(id, input, edge);
            }
        }
        Ok(file)
    }

    /// Adds a node.
    pub fn add(&mut self, input: LockedInput) -> NodeId {
        self.nodes.push(Node { input: Some(input), inputs: BTreeMap::new() });
        NodeId(self.nodes.len() - 1)
    }

    /// How many nodes there are, the root among them.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether the flake has no inputs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.inputs(Self::ROOT).is_empty()
    }

    /// Says what an input of a node is.
    pub fn set_input(&mut self, node: NodeId, name: &str, edge: Edge) {
        self.nodes[node.0].inputs.insert(name.to_owned(), edge);
    }

    /// The inputs of a node by name.
    #[must_use]
    pub fn inputs(&self, node: NodeId) -> &BTreeMap<String, Edge> {
        &self.nodes[node.0].inputs
    }

    /// What a node is locked to; nothing for the root.
    #[must_use]
    pub fn input(&self, node: NodeId) -> Option<&LockedInput> {
        self.nodes[node.0].input.as_ref()
    }

    /// The nodes that can be reached, each before its inputs, and what each is called in the text.
    #[must_use]
    pub fn keys(&self) -> Vec<(NodeId, String)> {
        let mut keys = Vec::new();
        let (mut seen, mut taken) = (HashSet::new(), HashSet::new());
        let mut todo = vec![(Self::ROOT, "root")];
        while let Some((id, name)) = todo.pop() {
            if !seen.insert(id) {
                continue;
            }
            let mut key = name.to_owned();
            let mut n = 2;
            while !taken.insert(key.clone()) {
                key = format!("{name}_{n}");
                n += 1;
            }
            keys.push((id, key));
            for (name, edge) in self.inputs(id).iter().rev() {
                if let Edge::Node(child) = edge {
                    todo.push((*child, name));
                }
            }
        }
        keys
    }

    /// The lock file as JSON, of version 7.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let keys = self.keys();
        let names: HashMap<NodeId, &str> =
            keys.iter().map(|(id, key)| (*id, key.as_str())).collect();
        let mut nodes = Map::new();
        for (id, key) in &keys {
            let mut node = Map::new();
            let inputs = self.inputs(*id).iter().map(|(name, edge)| {
                let target = match edge {
                    Edge::Node(child) => json!(names.get(child)),
                    Edge::Follows(path) => json!(path),
                };
                (name.clone(), target)
            });
            let inputs: Map<String, Value> = inputs.collect();
            if !inputs.is_empty() {
                node.insert("inputs".to_owned(), Value::Object(inputs));
            }
            if let Some(input) = self.input(*id) {
                let mut locked = input.locked.clone();
                locked.remove("__final");
                node.insert("locked".to_owned(), locked.to_json());
                node.insert("original".to_owned(), input.original.to_json());
                if !input.is_flake {
                    node.insert("flake".to_owned(), json!(false));
                }
                if let Some(parent) = &input.parent {
                    node.insert("parent".to_owned(), json!(parent));
                }
            }
            nodes.insert(key.clone(), Value::Object(node));
        }
        json!({ "nodes": nodes, "root": "root", "version": 7 })
    }

    /// The lock file as it is written: JSON with sorted names, indented by two blanks, and a line
    /// feed at the end.
    #[must_use]
    pub fn to_text(&self) -> String {
        format!("{:#}\n", self.to_json())
    }

    /// All inputs by their paths; those of a node that several inputs lead to by the first.
    #[must_use]
    pub fn all_inputs(&self) -> BTreeMap<InputPath, &Edge> {
        let mut all = BTreeMap::new();
        let mut seen = HashSet::new();
        let mut todo = vec![(Vec::new(), Self::ROOT)];
        while let Some((path, id)) = todo.pop() {
            if !seen.insert(id) {
                continue;
            }
            for (name, edge) in self.inputs(id).iter().rev() {
                let mut path: InputPath = path.clone();
                path.push(name.clone());
                if let Edge::Node(child) = edge {
                    todo.push((path.clone(), *child));
                }
                all.insert(path, edge);
            }
        }
        all
    }

    /// The node that a path of inputs leads to, `follows` on the way resolved.
    ///
    /// Errors: inputs follow each other in a circle.
    pub fn find(&self, path: &[String]) -> Res<Option<NodeId>> {
        self.find_from(path, &mut Vec::new())
    }

    fn find_from(&self, path: &[String], above: &mut Vec<InputPath>) -> Res<Option<NodeId>> {
        if let Some(start) = above.iter().position(|known| known == path) {
            let circle = above[start..].iter().map(|path| show_input_path(path));
            let circle = circle.chain([show_input_path(path)]).collect::<Vec<_>>();
            return fail(format!("follow cycle detected: [{}]", circle.join(" -> ")));
        }
        if above.len() > MAX_FOLLOWS {
            return fail(format!(
                "too many inputs follow each other from '{}'",
                above[0].join("/")
            ));
        }
        above.push(path.to_vec());
        let mut at = Self::ROOT;
        for name in path {
            match self.inputs(at).get(name) {
                Some(Edge::Node(child)) => at = *child,
                Some(Edge::Follows(target)) => match self.find_from(target, above)? {
                    Some(found) => at = found,
                    None => return Ok(None),
                },
                None => return Ok(None),
            }
        }
        Ok(Some(at))
    }

    /// Errors: an input follows one that does not exist, or inputs follow each other in a circle.
    pub fn check(&self) -> Res<()> {
        for (path, edge) in self.all_inputs() {
            if let Edge::Follows(target) = edge
                && !target.is_empty()
                && self.find(target)?.is_none()
            {
                let (path, target) = (show_input_path(&path), show_input_path(target));
                return fail(format!("input '{path}' follows a non-existent input '{target}'"));
            }
        }
        Ok(())
    }

    /// An input whose version is not fixed, such as files of a working tree.
    #[must_use]
    pub fn unlocked(&self) -> Option<&FlakeRef> {
        let keys = self.keys();
        let mut locked = keys.iter().filter_map(|(id, _)| Some(&self.input(*id)?.locked));
        locked.find(|locked| !locked.is_locked() && !locked.is_relative())
    }
}

fn path_of(json: &Value) -> Option<InputPath> {
    json.as_array()?.iter().map(|part| part.as_str().map(str::to_owned)).collect()
}

fn locked_input(node: &Value, warn: &mut dyn FnMut(String)) -> Res<LockedInput> {
    let part = |name: &str| {
        let part = node.get(name);
        part.ok_or_else(|| LockFileError(format!("attribute '{name}' missing in lock file")))
    };
    let reference =
        |json: &Value| FlakeRef::from_json(json).map_err(|error| LockFileError(error.to_string()));
    let mut locked = part("locked")?.clone();
    // Lock files of version 5 have parts of it beside it.
    if let (Some(locked), Some(info)) =
        (locked.as_object_mut(), node.get("info").and_then(Value::as_object))
    {
        locked.extend(info.clone());
    }
    let mut locked = reference(&locked)?;
    if !locked.is_locked() && !locked.is_relative() {
        if locked.text("narHash").is_none() {
            return fail(format!(
                "Lock file contains unlocked input '{}'. Use '--allow-dirty-locks' to accept this lock file.",
                locked.clone().with_dir("").to_json()
            ));
        }
        warn(format!(
            "Lock file entry '{locked}' is unlocked (e.g. lacks a Git revision) but is checked by NAR hash. This is not reproducible and will break after garbage collection or when shared."
        ));
    }
    locked.set_final();
    let parent = match node.get("parent") {
        None => None,
        Some(parent) => Some(path_of(parent).ok_or_else(|| {
            LockFileError("attribute 'parent' in a lock file is no path of inputs".to_owned())
        })?),
    };
    Ok(LockedInput {
        locked,
        original: reference(part("original")?)?,
        is_flake: node.get("flake").and_then(Value::as_bool).unwrap_or(true),
        parent,
    })
}

#[cfg(test)]
mod tests;
