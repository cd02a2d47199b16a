//! Where option trees come from.

use std::path::Path;

use cim_nix_eval::{EvalError, Evaluation, Handle, Look};

use crate::pretty::is_text;

type Res<T> = Result<T, Box<EvalError>>;

/// What modules are evaluated on top of. The folders are paths as values.
#[derive(Clone, Copy)]
pub enum Base<'e> {
    /// Nothing: the modules are all there is.
    Nothing {
        /// A copy of nixpkgs, or of its `lib` alone.
        nixpkgs: Handle<'e>,
    },
    /// The modules of NixOS.
    NixOs {
        /// A copy of nixpkgs.
        nixpkgs: Handle<'e>,
    },
    /// The modules of Home Manager.
    HomeManager {
        /// A copy of Home Manager.
        home_manager: Handle<'e>,
        /// A copy of nixpkgs.
        nixpkgs: Handle<'e>,
    },
}

/// Modules whose options are asked for.
pub struct Source<'e> {
    /// What they are evaluated on top of.
    pub base: Base<'e>,
    /// The modules.
    pub modules: Vec<Handle<'e>>,
    /// What modules get besides `config`, `lib` and so on.
    pub arguments: Vec<(String, Handle<'e>)>,
    /// The system, such as `x86_64-linux`.
    pub system: String,
}

const NOTHING: &str = r#"
let
  has = name: builtins.pathExists (nixpkgs + name);
  lib = import (if has "/lib/default.nix" then nixpkgs + "/lib" else nixpkgs);
  hasPackages = has "/pkgs/top-level";
  pkgs =
    if hasPackages then
      import nixpkgs { inherit system; }
    else
      throw "the modules use `pkgs`, and there is only nixpkgs' library";
in
(lib.evalModules {
  modules = modules ++ [
    {
      _file = "cim-nix";
      config._module.check = lib.mkForce false;
      config._module.args.pkgs = lib.mkDefault pkgs;
    }
  ];
  specialArgs =
    (if hasPackages then { modulesPath = toString (nixpkgs + "/nixos/modules"); } else { })
    // arguments;
}).options
"#;

const NIXOS: &str = r#"
(import (nixpkgs + "/nixos/lib/eval-config.nix") {
  inherit system;
  modules = modules ++ [
    (
      { lib, ... }:
      {
        _file = "cim-nix";
        config._module.check = lib.mkForce false;
        config.system.stateVersion = lib.mkDefault lib.trivial.release;
      }
    )
  ];
  specialArgs = arguments;
}).options
"#;

const HOME_MANAGER: &str = r#"
let
  pkgs = import nixpkgs { inherit system; };
  lib = import (home_manager + "/modules/lib/stdlib-extended.nix") pkgs.lib;
  release = builtins.fromJSON (builtins.readFile (home_manager + "/release.json"));
  base = import (home_manager + "/modules/modules.nix") {
    inherit lib pkgs;
    check = false;
  };
in
(lib.evalModules {
  class = "homeManager";
  modules = base ++ modules ++ [
    {
      _file = "cim-nix";
      config._module.check = lib.mkForce false;
      config.home.stateVersion = lib.mkDefault release.release;
    }
  ];
  specialArgs = { modulesPath = toString (home_manager + "/modules"); } // arguments;
}).options
"#;

/// `lib.mkForce false` without a library.
const UNCHECKED: &str = r#"
(configuration.extendModules {
  modules = [
    {
      _file = "cim-nix";
      config._module.check = {
        _type = "override";
        priority = 50;
        content = false;
      };
    }
  ];
}).options
"#;

impl<'e> Source<'e> {
    /// The options of the modules. What modules set that no module here declares does not matter.
    ///
    /// Errors: evaluation fails, or a folder is not what it should be.
    pub fn tree(&self, evaluation: &'e Evaluation) -> Res<Handle<'e>> {
        let (text, folders) = match self.base {
            Base::Nothing { nixpkgs } => (NOTHING, vec![("nixpkgs", nixpkgs)]),
            Base::NixOs { nixpkgs } => (NIXOS, vec![("nixpkgs", nixpkgs)]),
            Base::HomeManager { home_manager, nixpkgs } => {
                (HOME_MANAGER, vec![("nixpkgs", nixpkgs), ("home_manager", home_manager)])
            }
        };
        let root = Path::new("/");
        let names: Vec<String> = (0..self.arguments.len()).map(|at| format!("a{at}")).collect();
        let mut members = String::new();
        for ((argument, _), name) in self.arguments.iter().zip(&names) {
            members.push_str(&format!("{} = {name};", quoted(argument)));
        }
        let values = self.arguments.iter().map(|(_, value)| *value);
        let scope: Vec<_> = names.iter().cloned().zip(values).collect();
        let arguments = evaluation.text_in(&format!("{{ {members} }}"), root, &scope)?;
        let mut scope = vec![
            ("modules".to_owned(), evaluation.list(&self.modules)),
            ("arguments".to_owned(), arguments),
            ("system".to_owned(), evaluation.string(&self.system)),
        ];
        scope.extend(folders.into_iter().map(|(name, value)| (name.to_owned(), value)));
        evaluation.text_in(text, root, &scope)
    }
}

/// A text as a string of Nix.
fn quoted(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace("${", "\\${");
    format!("\"{text}\"")
}

/// The options of a value: of what `evalModules`, `nixosSystem` and the like give, or the value
/// itself, if it is a set.
///
/// Errors: evaluation fails, or it is no set.
pub fn tree_of<'e>(evaluation: &'e Evaluation, value: Handle<'e>) -> Res<Handle<'e>> {
    if !matches!(evaluation.look(value)?, Look::Set) {
        let phrase = evaluation.type_phrase(evaluation.force(value, false)?);
        let message = format!("this is {phrase}, and no set of modules or options");
        return Err(Box::new(EvalError::other(message)));
    }
    if is_text(evaluation, value, "_type", "option")? {
        return Ok(value);
    }
    let has_config = evaluation.attr(value, "config")?.is_some();
    match evaluation.attr(value, "options")? {
        Some(options) if has_config || is_text(evaluation, value, "_type", "configuration")? => {
            Ok(options)
        }
        _ => Ok(value),
    }
}

/// The same options whatever modules set: a configuration that sets options which do not exist has
/// none to show otherwise.
///
/// Errors: evaluation fails, or it is no set.
pub fn unchecked_tree_of<'e>(evaluation: &'e Evaluation, value: Handle<'e>) -> Res<Handle<'e>> {
    if !matches!(evaluation.look(value)?, Look::Set)
        || evaluation.attr(value, "extendModules")?.is_none()
    {
        return tree_of(evaluation, value);
    }
    let scope = [("configuration".to_owned(), value)];
    evaluation.text_in(UNCHECKED, Path::new("/"), &scope)
}
