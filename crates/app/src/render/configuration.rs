//! The configuration of a machine or a home as code.

use std::collections::BTreeMap;

use cim_domain_nix::model::{AttributePath, System};
use cim_domain_nix::{ConfigurationKind, NixOSConfiguration, NixValue};
use cim_nix_base::Error;
use cim_nix_syntax::build::attr_path_text;

use super::module::whole;
use super::value::{self, bindings, put};
use super::{Rendered, check_code, code_list, shown};

/// The file of a configuration: a module of NixOS or of Home Manager.
///
/// Errors: the system or the host's name cannot be, or something is no code.
pub fn render_configuration(configuration: &NixOSConfiguration) -> Result<Rendered, Error> {
    let system =
        System::parse(&configuration.system).map_err(|error| Error::user(error.to_string()))?;
    let mut sections = Vec::new();
    if !configuration.modules.is_empty() {
        let list = code_list("the module", &configuration.modules)?;
        sections.push(format!("imports = {list};"));
    }
    let mut settings = Settings::default();
    match configuration.kind {
        ConfigurationKind::Nixos => {
            check_host(&configuration.hostname)?;
            if !configuration.hostname.is_empty() {
                let name = NixValue::String(configuration.hostname.clone());
                settings.set(&["networking", "hostName"], name)?;
            }
            let platform = NixValue::String(configuration.system.clone());
            settings.set(&["nixpkgs", "hostPlatform"], platform)?;
            settings.packages(&["environment", "systemPackages"], configuration)?;
        }
        ConfigurationKind::Home => {
            let user = user(&configuration.name);
            let homes = if system.double().ends_with("-darwin") { "/Users" } else { "/home" };
            settings.set(&["home", "username"], NixValue::String(user.to_owned()))?;
            let folder = NixValue::String(format!("{homes}/{user}"));
            settings.set(&["home", "homeDirectory"], folder)?;
            settings.packages(&["home", "packages"], configuration)?;
        }
    }
    settings.overlays(configuration)?;
    for (name, said) in &configuration.specialisations {
        value::check(&format!("the specialisation `{}`", shown(name)), said)?;
        settings.set(&["specialisation", name, "configuration"], said.clone())?;
    }
    sections.push(bindings("the configuration", &settings.0)?);
    whole(&sections)
}

/// The user of a home: what is in front of the machine in `ada@laptop`.
fn user(name: &str) -> &str {
    name.split_once('@').map_or(name, |(user, _)| user)
}

/// Refuses what NixOS does not take for the name of a machine.
fn check_host(name: &str) -> Result<(), Error> {
    let is_good = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let is_end = |c: char| c.is_ascii_alphanumeric();
    let fits = name.len() <= 63
        && name.chars().all(is_good)
        && name.starts_with(is_end)
        && name.ends_with(is_end);
    match fits || name.is_empty() {
        true => Ok(()),
        false => Err(Error::user(format!("`{}` cannot be the name of a machine", shown(name)))
            .hint("it has 63 letters, digits and dashes at most; give one with --hostname")),
    }
}

/// What is set, as nested sets.
#[derive(Default)]
struct Settings(BTreeMap<String, NixValue>);

impl Settings {
    fn set(&mut self, path: &[&str], value: NixValue) -> Result<(), Error> {
        let names: Vec<String> = path.iter().map(|name| (*name).to_owned()).collect();
        put(&mut self.0, &names, value)
            .ok_or_else(|| Error::bug(format!("`{}` is set twice", path.join("."))))
    }

    fn packages(&mut self, at: &[&str], said: &NixOSConfiguration) -> Result<(), Error> {
        let package = |text: &String| {
            let wrong = |why: String| {
                Error::user(format!("`{}` cannot be the path of a package: {why}", shown(text)))
            };
            let path: AttributePath = text.parse().map_err(|error| wrong(format!("{error}")))?;
            if path.segments().is_empty() || text.contains('\0') {
                return Err(wrong("it names nothing".to_owned()));
            }
            Ok(NixValue::Expression(format!("pkgs.{}", attr_path_text(path.segments()))))
        };
        if said.packages.is_empty() {
            return Ok(());
        }
        let packages = said.packages.iter().map(package).collect::<Result<_, Error>>()?;
        self.set(at, NixValue::List(packages))
    }

    fn overlays(&mut self, said: &NixOSConfiguration) -> Result<(), Error> {
        if said.overlays.is_empty() {
            return Ok(());
        }
        let mut overlays = Vec::new();
        for (at, text) in said.overlays.iter().enumerate() {
            check_code(&format!("the overlay {}", at + 1), text)?;
            overlays.push(NixValue::Expression(text.trim().to_owned()));
        }
        self.set(&["nixpkgs", "overlays"], NixValue::List(overlays))
    }
}
