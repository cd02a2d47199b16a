//! The attribute of a flake that hands on a module, an overlay or a configuration.

use std::path::Path;

use cim_domain_nix::{ConfigurationKind, ModuleClass, NixValue};
use cim_nix_base::Error;
use cim_nix_flake::FlakeFile;
use cim_nix_flake::edit::{ModuleKind, Refusal, Request, plan};
use cim_nix_syntax::build::attr_path_text;

use super::{Pending, Thing};
use crate::App;
use crate::render::Rendered;

/// The outputs that modules stand in.
const MODULES: [&str; 5] =
    ["nixosModules", "homeModules", "homeManagerModules", "darwinModules", "flakeModules"];

/// An output as it may be written: the first that fits the flake is taken.
struct Output {
    path: Vec<String>,
    values: Vec<String>,
}

impl App<'_> {
    /// Gives the flake of a project an output for something new. A flake that cannot be edited stays
    /// as it is, and a note says what to add. Answers whether the flake hands in what the file takes.
    pub(super) fn list(
        &self,
        draft: &mut Pending,
        name: &str,
        thing: &Thing,
        rendered: &Rendered,
        class: ModuleClass,
    ) -> Result<bool, Error> {
        let file = draft.folder.join("flake.nix");
        let Some(before) = self.files.read(&file)? else { return Ok(false) };
        let output = output(name, thing, rendered, class, &before);
        let request = |value: &String| match thing {
            Thing::Module(_) => Request::AddModule {
                kind: kind(class),
                name: name.to_owned(),
                value: value.clone(),
            },
            _ => Request::AddOutput { path: output.path.clone(), value: value.clone() },
        };
        match first(&before, output.values.iter().map(request)) {
            Ok(after) => {
                draft.write(&file, &before, &after);
                Ok(matches!(thing, Thing::Configuration(_)))
            }
            Err(refusal) => {
                draft.notes.push(by_hand(&file, &output, refusal.as_ref()));
                Ok(false)
            }
        }
    }

    /// Changes the output of a configuration where it says what has changed: the system of a home, or
    /// what modules are handed. Answers whether the flake hands in what the file takes.
    pub(super) fn list_anew(
        &self,
        draft: &mut Pending,
        name: &str,
        old: &Thing,
        new: &Thing,
        rendered: &Rendered,
    ) -> Result<bool, Error> {
        let file = draft.folder.join("flake.nix");
        let (Thing::Configuration(_), Some(before)) = (new, self.files.read(&file)?) else {
            return Ok(false);
        };
        let class = ModuleClass::Nixos;
        let was = output(name, old, &old.render()?, class, &before);
        let is = output(name, new, rendered, class, &before);
        // Whoever left it out, or wrote it otherwise, goes on so.
        let Some((at, without)) = without(&before, &was) else { return Ok(false) };
        if was.values == is.values && was.path == is.path {
            return Ok(true);
        }
        let add =
            |value: &String| Request::AddOutput { path: is.path.clone(), value: value.clone() };
        // Written as before, else in any way that fits.
        match first(&without, is.values.iter().skip(at).chain(&is.values).map(add)) {
            Ok(after) => {
                draft.write(&file, &before, &after);
                Ok(true)
            }
            Err(refusal) => {
                draft.notes.push(by_hand(&file, &is, refusal.as_ref()));
                Ok(false)
            }
        }
    }

    /// Takes the output out of the flake, if it is what a command has put there.
    pub(super) fn unlist(
        &self,
        draft: &mut Pending,
        name: &str,
        thing: &Thing,
    ) -> Result<(), Error> {
        let file = draft.folder.join("flake.nix");
        let Some(mut text) = self.files.read(&file)? else { return Ok(()) };
        let before = text.clone();
        let rendered = thing.render()?;
        let mut output = output(name, thing, &rendered, ModuleClass::Nixos, &before);
        let heads: Vec<String> = match thing {
            Thing::Module(_) => MODULES.into_iter().map(str::to_owned).collect(),
            _ => output.path.first().cloned().into_iter().collect(),
        };
        for head in heads {
            output.path[0] = head;
            if let Some((_, without)) = without(&text, &output) {
                text = without;
            }
        }
        draft.write(&file, &before, &text);
        Ok(())
    }
}

/// The text after the first request that is no refusal; else the first refusal.
fn first(text: &str, requests: impl Iterator<Item = Request>) -> Result<String, Option<Refusal>> {
    let mut refused = None;
    for request in requests {
        match plan(text, &request).map(|edit| edit.apply(text)) {
            Ok(Ok(after)) => return Ok(after),
            Ok(Err(_)) => {}
            Err(refusal) => refused = refused.or(Some(refusal)),
        }
    }
    Err(refused)
}

/// The text without an output, and which of its ways to be written it had.
fn without(text: &str, output: &Output) -> Option<(usize, String)> {
    output.values.iter().enumerate().find_map(|(at, value)| {
        let request = Request::RemoveOutput { path: output.path.clone(), value: value.clone() };
        let after = plan(text, &request).ok()?.apply(text).ok()?;
        (after != text).then_some((at, after))
    })
}

fn by_hand(file: &Path, output: &Output, refusal: Option<&Refusal>) -> String {
    let why = refusal.map(|refusal| format!(": {refusal}")).unwrap_or_default();
    let value = output.values.first().map(String::as_str).unwrap_or_default();
    let value = value.split_whitespace().collect::<Vec<_>>().join(" ");
    format!(
        "`{}` stays as it is{why}; what to add to its outputs is `{} = {value};`",
        file.display(),
        attr_path_text(&output.path)
    )
}

fn kind(class: ModuleClass) -> ModuleKind {
    match class {
        ModuleClass::Nixos => ModuleKind::NixOs,
        ModuleClass::Home => ModuleKind::Home,
        ModuleClass::Darwin => ModuleKind::Darwin,
        ModuleClass::Flake => ModuleKind::Flake,
    }
}

fn output(
    name: &str,
    thing: &Thing,
    rendered: &Rendered,
    class: ModuleClass,
    flake: &str,
) -> Output {
    let path = |head: &str| vec![head.to_owned(), name.to_owned()];
    let file = NixValue::Path(thing.file().to_owned()).to_code();
    match thing {
        Thing::Module(_) => {
            let head = match class {
                ModuleClass::Nixos => "nixosModules",
                ModuleClass::Home => "homeModules",
                ModuleClass::Darwin => "darwinModules",
                ModuleClass::Flake => "flakeModules",
            };
            Output { path: path(head), values: vec![file] }
        }
        Thing::Overlay(_) => {
            Output { path: path("overlays"), values: vec![format!("import {file}")] }
        }
        Thing::Configuration(said) => {
            let folder = thing.file().strip_suffix("/default.nix");
            let file = NixValue::Path(folder.unwrap_or(thing.file()).to_owned()).to_code();
            let inputs = Inputs::of(flake);
            let special = match rendered.special.as_slice() {
                [] => String::new(),
                names => format!(" = {{ inherit {}; }};\n", names.join(" ")),
            };
            match said.kind {
                ConfigurationKind::Nixos => {
                    let special = prefixed("  specialArgs", &special);
                    let value = |nixpkgs: String| {
                        format!(
                            "{nixpkgs}.lib.nixosSystem {{\n{special}  modules = [ {file} ];\n}}"
                        )
                    };
                    let values = inputs.nixpkgs().map(value).collect();
                    Output { path: path("nixosConfigurations"), values }
                }
                ConfigurationKind::Home => {
                    let special = prefixed("  extraSpecialArgs", &special);
                    let system = attr_path_text([&said.system]);
                    let value = |(manager, nixpkgs): (String, String)| {
                        format!(
                            "{manager}.lib.homeManagerConfiguration {{\n  \
                             pkgs = {nixpkgs}.legacyPackages.{system};\n\
                             {special}  modules = [ {file} ];\n}}"
                        )
                    };
                    let values = inputs.home_manager().zip(inputs.nixpkgs()).map(value).collect();
                    Output { path: path("homeConfigurations"), values }
                }
            }
        }
    }
}

fn prefixed(name: &str, rest: &str) -> String {
    if rest.is_empty() { String::new() } else { format!("{name}{rest}") }
}

/// The inputs of a flake that configurations are made with.
struct Inputs {
    nixpkgs: Option<String>,
    home_manager: Option<String>,
    /// What the flake calls the set of its inputs.
    all: Vec<String>,
}

impl Inputs {
    fn of(text: &str) -> Self {
        let tree = cim_nix_syntax::parse(text).tree;
        let file = FlakeFile::read(&tree);
        let inputs = file.iter().flat_map(|file| &file.inputs);
        let inputs: Vec<(String, String)> = inputs
            .map(|input| {
                let url = input.url.as_ref().map(|url| url.value.to_lowercase());
                (input.name.clone(), url.unwrap_or_default())
            })
            .collect();
        let find = |name: &str| {
            let exact = inputs.iter().find(|(input, _)| input == name);
            let by_url = || inputs.iter().find(|(_, url)| url.contains(name));
            exact.or_else(by_url).map(|(input, _)| input.clone())
        };
        let lambda = file.as_ref().and_then(|file| file.outputs.as_ref()?.lambda);
        let lambda = lambda.and_then(|id| cim_nix_syntax::ast::Lambda::cast(tree.node(id)));
        let name = lambda.and_then(whole_argument);
        let mut all: Vec<String> = name.into_iter().collect();
        all.push("inputs".to_owned());
        Self { nixpkgs: find("nixpkgs"), home_manager: find("home-manager"), all }
    }

    fn nixpkgs(&self) -> impl Iterator<Item = String> + '_ {
        self.ways(self.nixpkgs.as_deref(), "nixpkgs")
    }

    fn home_manager(&self) -> impl Iterator<Item = String> + '_ {
        self.ways(self.home_manager.as_deref(), "home-manager")
    }

    /// How an input may be written: by its name, or as an attribute of all inputs if it is one.
    fn ways(&self, input: Option<&str>, else_by: &str) -> impl Iterator<Item = String> + use<> {
        let name = attr_path_text([input.unwrap_or(else_by)]);
        let all = if input.is_some() { self.all.as_slice() } else { &[] };
        let of: Vec<String> = all.iter().map(|all| format!("{all}.{name}")).collect();
        std::iter::once(name).chain(of)
    }
}

/// What a function calls its argument as a whole.
fn whole_argument(lambda: cim_nix_syntax::ast::Lambda<'_>) -> Option<String> {
    match lambda.pattern() {
        Some(pattern) => pattern.bind_name().map(|name| name.text().to_owned()),
        None => lambda.param().map(|param| param.name().to_owned()),
    }
}
