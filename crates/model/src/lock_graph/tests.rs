use std::cell::RefCell;

use super::*;

/// Flakes by their references: what they declare, and their lock files.
#[derive(Default)]
struct Flakes {
    declared: BTreeMap<String, FlakeInputs>,
    locks: BTreeMap<String, String>,
    said: RefCell<Vec<String>>,
}

fn reference(text: &str) -> FlakeRef {
    FlakeRef::parse(text).unwrap()
}

/// Inputs from words: `a=path:/a`, `b>a` for what follows, `a.b>c` for an input's input.
fn inputs(text: &str) -> FlakeInputs {
    let mut all = FlakeInputs::new();
    for word in text.split_whitespace() {
        let at = word.find(['=', '>']).unwrap();
        let (path, value) = (&word[..at], &word[at + 1..]);
        let mut names = path.split('.');
        let mut input = all.entry(names.next().unwrap().to_owned()).or_default();
        for name in names {
            input = input.inputs.entry(name.to_owned()).or_default();
        }
        match word.as_bytes()[at] {
            b'=' => input.reference = Some(reference(value)),
            _ => input.follows = Some(crate::input_path(value).unwrap()),
        }
    }
    all
}

impl Flakes {
    fn with(mut self, place: &str, declared: &str) -> Self {
        self.declared.insert(place.to_owned(), inputs(declared));
        self
    }

    fn lock(&self, place: &str, options: &LockOptions) -> Result<LockFile, String> {
        let place = place.to_owned();
        let old = self.lock_file(&place)?;
        lock(self, &place, &self.declared[&place], &old, options).map(|locked| locked.file)
    }

    /// The inputs of the lock file of a flake.
    fn locked(&self, place: &str) -> String {
        match self.lock(place, &LockOptions::default()) {
            Ok(file) => file.changes_of_all(),
            Err(error) => error,
        }
    }

    fn read(&self, place: String, locked: FlakeRef) -> Result<FlakeSource<String>, String> {
        let inputs = self.declared.get(&place).cloned();
        let inputs = inputs.ok_or_else(|| format!("there is no {place}"))?;
        Ok(FlakeSource { locked, place, inputs })
    }
}

impl LockFile {
    fn changes_of_all(&self) -> String {
        let lines = self.all_inputs().into_iter().map(|(path, edge)| match edge {
            Edge::Follows(target) => format!("{} > {}", path.join("/"), target.join("/")),
            Edge::Node(id) => {
                let place = self.input(*id).unwrap().locked.text("path").unwrap().to_owned();
                format!("{} = {place}", path.join("/"))
            }
        });
        lines.collect::<Vec<_>>().join(", ")
    }
}

impl FlakeSources for Flakes {
    type Place = String;
    type Error = String;

    fn flake(&self, reference: &FlakeRef, _: Registries) -> Result<FlakeSource<String>, String> {
        let (locked, place) = self.tree(reference, Registries::None)?;
        self.read(place, locked)
    }
    fn flake_below(
        &self,
        place: &String,
        reference: &FlakeRef,
    ) -> Result<FlakeSource<String>, String> {
        self.read(self.tree_below(place, reference)?, reference.clone())
    }
    fn tree(&self, reference: &FlakeRef, _: Registries) -> Result<(FlakeRef, String), String> {
        let path = reference.text("path").ok_or("no path")?.to_owned();
        let mut locked = reference.clone();
        let hash = "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
        locked.set("narHash", RefAttr::Text(hash.to_owned()));
        Ok((locked, path))
    }
    fn tree_below(&self, place: &String, reference: &FlakeRef) -> Result<String, String> {
        Ok(format!("{place}/{}", reference.text("path").unwrap().trim_start_matches("./")))
    }
    fn lock_file(&self, place: &String) -> Result<LockFile, String> {
        match self.locks.get(place) {
            None => Ok(LockFile::default()),
            Some(text) => LockFile::parse(text, "lock", &mut |_| {}).map_err(|e| e.to_string()),
        }
    }
    fn warn(&self, message: String) {
        self.said.borrow_mut().push(message);
    }
    fn error(&self, message: String) -> String {
        message
    }
    fn context(&self, error: String, what: String) -> String {
        format!("{what}: {error}")
    }
}

#[test]
fn inputs_of_inputs_are_locked() {
    let flakes = Flakes::default()
        .with("/top", "a=path:/a b=path:./b")
        .with("/a", "leaf=path:/leaf")
        .with("/top/b", "leaf=path:/leaf")
        .with("/leaf", "");
    assert_eq!(flakes.locked("/top"), "a = /a, a/leaf = /leaf, b = ./b, b/leaf = /leaf");
}

#[test]
fn the_outermost_flake_decides() {
    let flakes = Flakes::default()
        .with("/top", "a=path:/a leaf=path:/mine a.leaf>leaf a.b.leaf>leaf")
        .with("/a", "leaf=path:/leaf b=path:/b b.leaf>leaf")
        .with("/b", "leaf=path:/nowhere")
        .with("/mine", "")
        .with("/leaf", "");
    assert_eq!(
        flakes.locked("/top"),
        "a = /a, a/b = /b, a/b/leaf > leaf, a/leaf > leaf, leaf = /mine"
    );
}

#[test]
fn what_is_locked_stays_until_it_is_asked_for_otherwise() {
    let mut flakes =
        Flakes::default().with("/top", "a=path:/a").with("/a", "leaf=path:/leaf").with("/leaf", "");
    let first = flakes.lock("/top", &LockOptions::default()).unwrap();
    flakes.locks.insert("/top".to_owned(), first.to_text());
    // The flake of the input is not even read.
    let mut flakes = flakes.with("/a", "leaf=path:/other").with("/other", "");
    assert_eq!(flakes.locked("/top"), "a = /a, a/leaf = /leaf");
    let anew = LockOptions { is_anew: true, ..LockOptions::default() };
    let anew = flakes.lock("/top", &anew).unwrap();
    assert_eq!(anew.changes_of_all(), "a = /a, a/leaf = /other");
    let updates = BTreeSet::from([vec!["a".to_owned(), "leaf".to_owned()]]);
    let update = LockOptions { updates, ..LockOptions::default() };
    let updated = flakes.lock("/top", &update).unwrap();
    assert_eq!(updated.changes_of_all(), "a = /a, a/leaf = /other");
    // Who removes a `follows` needs to know what the input itself says.
    flakes = flakes.with("/top", "a=path:/a leaf=path:/leaf a.leaf>leaf");
    let followed = flakes.lock("/top", &LockOptions::default()).unwrap();
    assert_eq!(followed.changes_of_all(), "a = /a, a/leaf > leaf, leaf = /leaf");
    flakes.locks.insert("/top".to_owned(), followed.to_text());
    flakes = flakes.with("/top", "a=path:/a");
    assert_eq!(flakes.locked("/top"), "a = /a, a/leaf = /other");
}

#[test]
fn inputs_can_be_replaced_for_one_run() {
    let flakes = Flakes::default()
        .with("/top", "a=path:/a")
        .with("/a", "leaf=path:/leaf")
        .with("/leaf", "")
        .with("/mine", "");
    let with = |path: &[&str], to: &str| {
        let path = path.iter().map(|part| (*part).to_owned()).collect();
        let overrides = BTreeMap::from([(path, reference(to))]);
        let options = LockOptions { overrides, ..LockOptions::default() };
        flakes.lock("/top", &options)
    };
    let file = with(&["a", "leaf"], "path:/mine").unwrap();
    assert_eq!(file.changes_of_all(), "a = /a, a/leaf = /mine");
    // What is given for one run is not what is wanted.
    assert_eq!(file.to_json()["nodes"]["leaf"]["original"]["path"], "/leaf");
    with(&["b"], "path:/mine").unwrap();
    let said = flakes.said.borrow().join("\n");
    assert!(said.contains("input '' has an override for a non-existent input 'b'"), "{said}");
    assert!(said.contains("'--override-input b path:/mine' does not match any input"), "{said}");
}

#[test]
fn what_does_not_end_is_refused() {
    let flakes = Flakes::default()
        .with("/top", "a=path:/a")
        .with("/a", "b=path:/b")
        .with("/b", "a=path:/a")
        .with("/far", "a=path:./a")
        .with("/missing", "a>b");
    assert!(flakes.locked("/top").contains("found circular import of flake 'path:/a'"));
    let missing = flakes.locked("/missing");
    assert_eq!(missing, "input 'a' follows a non-existent input 'b'");
    assert!(flakes.locked("/far").contains("there is no /far/a"));
    let pure = LockOptions { locks_anything: false, ..LockOptions::default() };
    let said = flakes.lock("/top", &pure).unwrap_err();
    assert!(said.contains("cannot update unlocked flake input 'a' in pure mode"), "{said}");
}

#[test]
fn a_lock_file_with_a_circle_ends_in_an_error() {
    let mut flakes = Flakes::default().with("/top", "a=path:/a");
    let hash = "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let node = format!(
        r#""inputs":{{"a":"a"}},"locked":{{"type":"path","path":"/a","narHash":"{hash}"}},"original":{{"type":"path","path":"/a"}}"#
    );
    let text = format!(
        r#"{{"version":7,"root":"root","nodes":{{"root":{{"inputs":{{"a":"a"}}}},"a":{{{node}}}}}}}"#
    );
    flakes.locks.insert("/top".to_owned(), text);
    assert!(flakes.locked("/top").contains("too many or too deep"));
}
