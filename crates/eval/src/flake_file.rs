//! What stands in a `flake.nix`, but for its outputs: Nix reads it without computing anything.

use cim_nix_model::{
    FlakeInput, FlakeInputs, FlakeRef, InputPath, RefAttr, RefAttrs, dubious_query, input_path,
};
use cim_nix_syntax::NodeKind;

use crate::attrs::Attrs;
use crate::code::{Code, Expr, Pos};
use crate::error::{ErrorKind, Failed, Res};
use crate::evaluator::Evaluator;
use crate::paths;
use crate::value::{Kind, State, Value};

/// A `flake.nix` that was read.
pub(crate) struct FlakeFile {
    pub(crate) description: Option<String>,
    pub(crate) inputs: FlakeInputs,
    /// What the flake wants of its own source.
    pub(crate) own: RefAttrs,
}

/// Whether code is a set, a list or a function as it stands, and not a computation.
fn is_literal(code: &Code) -> bool {
    match code.body {
        Expr::Attrs(set) => set.dynamics.is_empty(),
        // The names of a `rec` are bound first.
        Expr::Let(binding) => match binding.body {
            Expr::Attrs(set) => {
                let is_bound = |value: &Expr| match value {
                    Expr::Slot(slot, _) => binding.bindings.iter().any(|bound| bound.0 == *slot),
                    _ => false,
                };
                set.dynamics.is_empty() && set.values.iter().all(is_bound)
            }
            _ => false,
        },
        Expr::List(_) | Expr::Lambda(_) | Expr::Const(_) => true,
        _ => false,
    }
}

impl Evaluator {
    /// A value as it stands: sets, lists and functions, but nothing that must be computed.
    fn literal(&self, value: Value) -> Res {
        match value.as_thunk().map(|thunk| thunk.state()) {
            Some(State::Done(value)) => Ok(value),
            Some(State::Suspended(code)) if is_literal(code) => self.force(value),
            _ => Ok(value),
        }
    }

    #[cold]
    fn unexpected(&self, wanted: &str, value: Value, at: Pos) -> Failed {
        let (phrase, place) = (self.type_phrase(value), self.place_text(at).unwrap_or_default());
        let message = format!("expected {wanted} but got {phrase} at {place}");
        self.fail(ErrorKind::Type, 0, message)
    }

    fn literal_set(&self, value: Value, at: Pos) -> Res<Attrs> {
        let value = self.literal(value)?;
        value.as_attrs().ok_or_else(|| self.unexpected("a set", value, at))
    }

    fn literal_text(&self, value: Value, at: Pos) -> Res<String> {
        let value = self.literal(value)?;
        match value.kind() {
            Kind::String(text) => Ok(String::from_utf8_lossy(text.bytes()).into_owned()),
            _ => Err(self.unexpected("a string", value, at)),
        }
    }

    /// Names, values and places of a set's attributes, by name.
    fn placed_members(&self, set: Attrs) -> Vec<(String, Value, Pos)> {
        let place =
            |name: &str| set.find(self.symbol(name.as_bytes())).map_or(0, |found| found.position);
        let members = self.members(set).into_iter();
        members
            .map(|(name, value)| {
                let at = place(&name);
                (name, value, at)
            })
            .collect()
    }

    /// The set of a flake's file. A file that has to compute it is refused.
    fn flake_set(&self, file: &[u8], shown: &str) -> Res<Attrs> {
        let is_set = |text: &[u8]| {
            let parse = self.parser.borrow_mut().parse(String::from_utf8_lossy(text));
            let mut node = parse.tree.root().children().next();
            while let Some(inner) = node.filter(|node| node.kind() == NodeKind::Paren) {
                node = inner.children().next();
            }
            node.is_none_or(|node| node.kind() == NodeKind::AttrSet)
        };
        let text = self.read_file(file, 0)?;
        // What is wrong with a broken file is told by evaluating it.
        let value = match is_set(&text) {
            true => self.import(file, 0)?,
            false => {
                self.load_file(file, None, 0)?;
                Value::NULL
            }
        };
        value.as_attrs().ok_or_else(|| {
            let message = format!("file '{shown}' must be an attribute set");
            let failed = self.fail(ErrorKind::Type, 0, message);
            self.in_file(failed, file)
        })
    }

    /// Reads the `flake.nix` of a folder; `reference` is how messages call the flake.
    pub(crate) fn read_flake_file(&self, folder: &str, reference: &FlakeRef) -> Res<FlakeFile> {
        let file = format!("{folder}/flake.nix");
        let shown = self.world.shown(file.as_bytes()).unwrap_or_else(|| file.as_bytes().to_vec());
        let shown = String::from_utf8_lossy(&shown).into_owned();
        let set = self.flake_set(file.as_bytes(), &shown)?;
        let member = |name: &[u8]| set.find(self.symbol(name));
        let mut flake =
            FlakeFile { description: None, inputs: FlakeInputs::new(), own: RefAttrs::new() };
        if let Some(found) = member(b"description") {
            flake.description = Some(self.literal_text(found.value.get(), found.position)?);
        }
        if let Some(found) = member(b"inputs") {
            let own = Some(&mut flake.own);
            flake.inputs = self.flake_inputs(found.value.get(), found.position, folder, own)?;
        }
        let Some(outputs) = member(b"outputs") else {
            let message = format!("flake '{reference}' lacks attribute 'outputs'");
            return Err(self.fail(ErrorKind::MissingAttribute, 0, message));
        };
        self.add_parameters(&mut flake.inputs, outputs.value.get(), outputs.position)?;
        if let Some(found) = member(b"nixConfig") {
            self.check_flake_settings(found.value.get(), found.position)?;
        }
        for (name, _, at) in self.placed_members(set) {
            if !matches!(name.as_str(), "description" | "inputs" | "outputs" | "nixConfig") {
                let place = self.place_text(at).unwrap_or_default();
                let message = format!(
                    "flake '{reference}' has an unsupported attribute '{name}', at {place}"
                );
                return Err(self.fail(ErrorKind::Other, 0, message));
            }
        }
        Ok(flake)
    }

    /// The parameters of `outputs` are inputs, too, even if nothing else is said of them.
    fn add_parameters(&self, inputs: &mut FlakeInputs, outputs: Value, at: Pos) -> Res<()> {
        let outputs = self.literal(outputs)?;
        let Some(closure) = outputs.as_closure() else {
            return match outputs.kind() {
                Kind::Builtin(_) | Kind::Partial(_) => Ok(()),
                _ => Err(self.unexpected("a function", outputs, at)),
            };
        };
        let lambda = closure.lambda();
        let Some(pattern) = lambda.pattern.filter(|_| lambda.arity == 1) else { return Ok(()) };
        for formal in pattern.formals {
            let name = self.name(formal.symbol);
            if name != "self" && !inputs.contains_key(&name) {
                let reference = FlakeRef::parse(&name);
                let reference =
                    reference.map_err(|e| self.fail(ErrorKind::Other, 0, e.to_string()))?;
                let input = FlakeInput { reference: Some(reference), ..FlakeInput::default() };
                inputs.insert(name, input);
            }
        }
        Ok(())
    }

    /// The inputs that a set declares; what it says of `self` goes to `own`, if it may say that.
    fn flake_inputs(
        &self,
        value: Value,
        at: Pos,
        folder: &str,
        mut own: Option<&mut RefAttrs>,
    ) -> Res<FlakeInputs> {
        let mut inputs = FlakeInputs::new();
        for (name, value, at) in self.placed_members(self.literal_set(value, at)?) {
            if name != "self" {
                inputs.insert(name, self.flake_input(value, at, folder)?);
                continue;
            }
            let Some(own) = &mut own else {
                let place = self.place_text(at).unwrap_or_default();
                let message = format!("'self' input attribute not allowed at {place}");
                return Err(self.fail(ErrorKind::Other, 0, message));
            };
            for (name, value, _) in self.placed_members(self.literal_set(value, at)?) {
                let attr = self.input_attr(&name, self.literal(value)?)?;
                own.insert(name, attr);
            }
        }
        Ok(inputs)
    }

    fn flake_input(&self, value: Value, at: Pos, folder: &str) -> Res<FlakeInput> {
        let set = self.literal_set(value, at)?;
        let mut input = FlakeInput::default();
        let (mut attrs, mut url) = (RefAttrs::new(), None);
        for (name, value, attr_at) in self.placed_members(set) {
            let part = match name.as_str() {
                "url" => self.input_url(value, attr_at, folder).map(|text| {
                    attrs.insert(name.clone(), RefAttr::Text(text.clone()));
                    url = Some(text);
                }),
                "flake" => self.literal(value).and_then(|value| {
                    let flag = value.as_bool();
                    input.is_flake =
                        flag.ok_or_else(|| self.unexpected("a Boolean", value, attr_at))?;
                    Ok(())
                }),
                "inputs" => self
                    .flake_inputs(value, attr_at, folder, None)
                    .map(|inputs| input.inputs = inputs),
                "follows" => {
                    self.input_follows(value, attr_at).map(|path| input.follows = Some(path))
                }
                _ => self.input_attr(&name, value).map(|attr| {
                    attrs.insert(name.clone(), attr);
                }),
            };
            part.map_err(|failed| {
                self.trace(failed, attr_at, format!("while evaluating flake attribute '{name}'"))
            })?;
        }
        let refused = |message: String| self.fail(ErrorKind::Other, 0, message);
        if attrs.contains_key("type") {
            let reference = FlakeRef::from_attrs(attrs).map_err(|error| {
                self.trace(refused(error.to_string()), at, "while evaluating flake input")
            })?;
            input.reference = Some(reference);
        } else {
            let place = || self.place_text(at).unwrap_or_default();
            if let Some(name) = attrs.keys().find(|name| *name != "url") {
                let message = format!("unexpected flake input attribute '{name}', at {}", place());
                return Err(refused(message));
            }
            for part in url.as_deref().map(dubious_query).unwrap_or_default() {
                (self.warnings)(&format!(
                    "warning: dubious URI query '{part}' is missing equal sign '=', ignoring"
                ));
            }
            if let Some(url) = &url {
                let reference = match input.is_flake {
                    true => FlakeRef::parse(url),
                    false => FlakeRef::parse_source(url),
                };
                input.reference = Some(reference.map_err(|error| refused(error.to_string()))?);
            }
        }
        if input.reference.is_some() && input.follows.is_some() {
            let place = self.place_text(at).unwrap_or_default();
            return Err(refused(format!(
                "flake input has both a flake reference and a follows attribute, at {place}"
            )));
        }
        Ok(input)
    }

    fn input_url(&self, value: Value, at: Pos, folder: &str) -> Res<String> {
        let value = self.literal(value)?;
        match value.kind() {
            Kind::String(text) => Ok(String::from_utf8_lossy(text.bytes()).into_owned()),
            Kind::Path(path) => {
                let relative = paths::relative(folder.as_bytes(), path.bytes());
                Ok(format!("path:{}", String::from_utf8_lossy(&relative)))
            }
            _ => Err(self.unexpected("a string or a path", value, at)),
        }
    }

    fn input_follows(&self, value: Value, at: Pos) -> Res<InputPath> {
        let text = self.literal_text(value, at)?;
        input_path(&text).map_err(|error| self.fail(ErrorKind::Other, 0, error.to_string()))
    }

    fn input_attr(&self, name: &str, value: Value) -> Res<RefAttr> {
        match value.kind() {
            Kind::String(text) => Ok(RefAttr::Text(String::from_utf8_lossy(text.bytes()).into())),
            Kind::Bool(flag) => Ok(RefAttr::Bool(flag)),
            Kind::Int(number) => u64::try_from(number).map(RefAttr::Number).map_err(|_| {
                let message =
                    format!("negative value given for flake input attribute {name}: {number}");
                self.fail(ErrorKind::Other, 0, message)
            }),
            _ => {
                let phrase = self.type_phrase(value);
                let message = format!(
                    "flake input attribute '{name}' is {phrase} while a string, Boolean, or integer is expected"
                );
                Err(self.fail(ErrorKind::Type, 0, message))
            }
        }
    }

    /// Refuses settings of types that no setting has. Their values do not matter here: they
    /// concern building.
    fn check_flake_settings(&self, value: Value, at: Pos) -> Res<()> {
        for (name, value, _) in self.placed_members(self.literal_set(value, at)?) {
            let value = self.literal(value)?;
            let is_fine = match value.kind() {
                Kind::String(_) | Kind::Path(_) | Kind::Int(_) | Kind::Bool(_) => true,
                Kind::List(_) => {
                    let list = value.as_list().unwrap_or_default();
                    if list.iter().any(|value| !matches!(value.get().kind(), Kind::String(_))) {
                        let message = format!(
                            "list element in flake configuration setting '{name}' is {} while a string is expected",
                            self.type_phrase(value)
                        );
                        return Err(self.fail(ErrorKind::Type, 0, message));
                    }
                    true
                }
                _ => false,
            };
            if !is_fine {
                let phrase = self.type_phrase(value);
                let message = format!("flake configuration setting '{name}' is {phrase}");
                return Err(self.fail(ErrorKind::Type, 0, message));
            }
        }
        Ok(())
    }
}
