//! `cim-nix config create`, `update`, `list` and `show`.

use std::path::PathBuf;

use cim_domain_nix::command::{CreateConfiguration, UpdateConfiguration};
use cim_domain_nix::query::{GetConfiguration, ListConfigurations};
use cim_domain_nix::{
    Answer, ConfigurationKind, Kind, ModuleClass, NixOSConfiguration, Query, State, Uuid,
};
use cim_nix_app::render::{set_at, value_of_code};
use cim_nix_base::Error;
use cim_nix_model::AttributePath;
use clap::Args;

use crate::commands::authoring::{AskingArgs, WritingArgs, add_all, body, code, pair, remove_all};
use crate::exit::Exit;
use crate::recording::new_identity;
use crate::terminal::{ColorWhen, one_line};

const EXAMPLES: &str = "\
Examples:
  cim-nix config create web --system x86_64-linux --module ./hardware.nix --package git
  cim-nix config create ada --home --system x86_64-linux --package ripgrep
  cim-nix config create web --system x86_64-linux --specialise quiet.services.xserver.enable=false
  cim-nix config create web --from web.json
  cim-nix config update web --package htop --dry-run
  cim-nix config list
  cim-nix config show web --format json

The configuration of a machine is a file, hosts/NAME/default.nix, that of a home homes/NAME/default.nix,
unless --file names another one. If there is a flake, it becomes an output of it. Modules and overlays
are code, paths in it relative to that file; packages are paths in nixpkgs. A file that somebody
changed by hand is left alone. `cim-nix undo` takes everything back.
Exit status: 0 done, or nothing to change; 1 --dry-run found something to change; 2 refused;
3 the machine failed.";

/// What a configuration has.
#[derive(Args, Debug)]
struct PartsArgs {
    /// The machine's name in the network [default: NAME]
    #[arg(long, value_name = "HOST")]
    hostname: Option<String>,
    /// Make it of a module, as code; may be given several times
    #[arg(long = "module", value_name = "CODE")]
    modules: Vec<String>,
    /// Put an overlay on its packages, as code; may be given several times
    #[arg(long = "overlay", value_name = "CODE")]
    overlays: Vec<String>,
    /// Install a package; may be given several times
    #[arg(long = "package", value_name = "PATH")]
    packages: Vec<String>,
    /// Set an option in a variant that can be booted beside it; may be given several times
    #[arg(long = "specialise", value_name = "NAME.PATH=VALUE", value_parser = pair)]
    specialisations: Vec<(AttributePath, String)>,
    /// Take the configuration from a JSON file; what else is given comes on top
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
}

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct CreateArgs {
    /// Its name
    #[arg(value_name = "NAME")]
    name: String,
    /// The system that it is for: x86_64-linux
    #[arg(long, value_name = "SYSTEM", required_unless_present = "from")]
    system: Option<String>,
    /// It is a home, managed by Home Manager
    #[arg(long)]
    home: bool,
    /// Its file, from the project's folder
    #[arg(long, value_name = "FILE")]
    file: Option<String>,
    #[command(flatten)]
    parts: PartsArgs,
    #[command(flatten)]
    writing: WritingArgs,
}

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct UpdateArgs {
    /// Its name
    #[arg(value_name = "NAME")]
    name: String,
    /// The system that it is for now
    #[arg(long, value_name = "SYSTEM")]
    system: Option<String>,
    /// Take a module out; may be given several times
    #[arg(long, value_name = "CODE")]
    remove_module: Vec<String>,
    /// Take an overlay out
    #[arg(long, value_name = "CODE")]
    remove_overlay: Vec<String>,
    /// Take a package out
    #[arg(long, value_name = "PATH")]
    remove_package: Vec<String>,
    /// Take a variant out
    #[arg(long, value_name = "NAME")]
    remove_specialisation: Vec<String>,
    #[command(flatten)]
    parts: PartsArgs,
    #[command(flatten)]
    writing: WritingArgs,
}

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct ListArgs {
    /// Only those for this system
    #[arg(long, value_name = "SYSTEM")]
    system: Option<String>,
    /// Only homes
    #[arg(long)]
    home: bool,
    #[command(flatten)]
    asking: AskingArgs,
}

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct ShowArgs {
    /// Its name
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    asking: AskingArgs,
}

fn empty(name: &str) -> NixOSConfiguration {
    NixOSConfiguration {
        id: Uuid::nil(),
        name: name.to_owned(),
        system: String::new(),
        path: String::new(),
        hostname: String::new(),
        modules: Vec::new(),
        overlays: Vec::new(),
        packages: Vec::new(),
        specialisations: std::collections::BTreeMap::new(),
        kind: ConfigurationKind::Nixos,
    }
}

impl PartsArgs {
    /// The configuration, begun with `known`, or with the file that was named.
    fn configuration(
        &self,
        name: &str,
        known: NixOSConfiguration,
    ) -> Result<NixOSConfiguration, Error> {
        let mut it = match &self.from {
            Some(path) => body::<NixOSConfiguration>(path, name)?,
            None => known,
        };
        if let Some(hostname) = &self.hostname {
            it.hostname.clone_from(hostname);
        }
        add_all(&mut it.modules, &self.modules);
        add_all(&mut it.overlays, &self.overlays);
        add_all(&mut it.packages, &self.packages);
        for (path, text) in &self.specialisations {
            let value = value_of_code(&format!("the value of `{path}`"), text)?;
            let Some((name, rest)) = path.segments().split_first() else { continue };
            let variant = it
                .specialisations
                .entry(name.clone())
                .or_insert_with(cim_domain_nix::NixValue::empty);
            set_at(variant, &AttributePath::new(rest), value)?;
        }
        Ok(it)
    }
}

impl CreateArgs {
    pub(super) fn run(&self, color: ColorWhen) -> Result<Exit, Error> {
        let name = self.name.clone();
        let about = (Kind::Configuration, self.name.as_str());
        self.writing.run(about, ModuleClass::Nixos, color, |it| {
            let mut configuration = self.parts.configuration(&name, empty(&name))?;
            if let Some(system) = &self.system {
                configuration.system.clone_from(system);
            }
            if self.home {
                configuration.kind = ConfigurationKind::Home;
            }
            if let Some(file) = &self.file {
                configuration.path.clone_from(file);
            }
            let project = it.project;
            let identity = new_identity();
            Ok(CreateConfiguration { project, name, configuration, identity }.into())
        })
    }
}

impl UpdateArgs {
    pub(super) fn run(&self, color: ColorWhen) -> Result<Exit, Error> {
        let name = self.name.clone();
        let about = (Kind::Configuration, self.name.as_str());
        self.writing.run(about, ModuleClass::Nixos, color, |it| {
            let known = match it.state {
                State::Configuration(state) => state.0.and_then(|state| state.said),
                _ => None,
            };
            let Some(mut known) = known else {
                let text = format!("no command has made a configuration `{}`", one_line(&name));
                return Err(Error::user(text).hint("`cim-nix config list` shows which there are"));
            };
            remove_all(&mut known.modules, &self.remove_module, "module")?;
            remove_all(&mut known.overlays, &self.remove_overlay, "overlay")?;
            remove_all(&mut known.packages, &self.remove_package, "package")?;
            for variant in &self.remove_specialisation {
                if known.specialisations.remove(variant).is_none() {
                    let text = format!("there is no specialisation `{}`", one_line(variant));
                    return Err(Error::user(text));
                }
            }
            let mut configuration = self.parts.configuration(&name, known)?;
            if let Some(system) = &self.system {
                configuration.system.clone_from(system);
            }
            let project = it.project;
            let identity = new_identity();
            Ok(UpdateConfiguration { project, name, configuration, identity }.into())
        })
    }
}

fn noun(kind: ConfigurationKind) -> &'static str {
    match kind {
        ConfigurationKind::Nixos => "machine",
        ConfigurationKind::Home => "home",
    }
}

impl ListArgs {
    pub(super) fn run(&self) -> Result<Exit, Error> {
        let query = |project, cursor| {
            Query::ListConfigurations(ListConfigurations {
                project: Some(project),
                system: self.system.clone(),
                kind: self.home.then_some(ConfigurationKind::Home),
                cursor,
                ..ListConfigurations::default()
            })
        };
        self.asking.run(query, |answer, out| {
            let Answer::ListConfigurations(page) = answer else { return None };
            for it in &page.items {
                let generation = it.current_generation;
                let generation = generation.map(|number| format!("  generation {number}"));
                let file = it.said.as_ref().map(|said| format!("  {}", one_line(&said.path)));
                out.line(format_args!(
                    "{}  {}  {}{}{}",
                    one_line(&it.name),
                    noun(it.kind),
                    one_line(&it.system),
                    file.unwrap_or_default(),
                    generation.unwrap_or_default()
                ));
            }
            page.next.clone()
        })
    }
}

impl ShowArgs {
    pub(super) fn run(&self) -> Result<Exit, Error> {
        let query = |project, _| {
            let (project, name) = (Some(project), Some(self.name.clone()));
            Query::GetConfiguration(GetConfiguration { project, name, id: None })
        };
        self.asking.run(query, |answer, out| {
            let Answer::GetConfiguration(it) = answer else { return None };
            let Some(said) = &it.said else {
                out.line(format_args!("{} `{}`, written by hand", noun(it.kind), it.name));
                return None;
            };
            let (name, file) = (&it.name, one_line(&said.path));
            out.line(format_args!("{} `{name}` for {} in {file}", noun(it.kind), said.system));
            if !said.hostname.is_empty() {
                out.line(format_args!("  is called {}", one_line(&said.hostname)));
            }
            for (verb, all) in [
                ("imports", &said.modules),
                ("has the overlay", &said.overlays),
                ("has the package", &said.packages),
            ] {
                for one in all {
                    out.line(format_args!("  {verb} {}", one_line(one)));
                }
            }
            for (name, value) in &said.specialisations {
                out.line(format_args!("  specialises {}: {}", one_line(name), code(value)));
            }
            if let Some(number) = it.current_generation {
                out.line(format_args!("  has generation {number} in force"));
            }
            None
        })
    }
}
