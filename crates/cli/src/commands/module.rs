//! `cim-nix module`: modules of a project, as files that commands write.

use std::path::PathBuf;

use cim_domain_nix::command::{CreateModule, DeleteModule, UpdateModule};
use cim_domain_nix::query::{GetModule, ListModules};
use cim_domain_nix::{Answer, Kind, ModuleClass, ModuleOption, NixModule, Query, State, Uuid};
use cim_nix_app::render::{set_at, unset_at, value_of_code};
use cim_nix_base::Error;
use cim_nix_model::AttributePath;
use clap::{Args, Subcommand, ValueEnum};

use super::authoring::{AskingArgs, WritingArgs, add_all, body, code, pair, remove_all};
use crate::exit::Exit;
use crate::recording::new_identity;
use crate::terminal::{ColorWhen, one_line};

const EXAMPLES: &str = "\
Examples:
  cim-nix module create web --option services.web.port=types.port --default services.web.port=8080
  cim-nix module create base --set networking.firewall.enable=true --import ./users.nix
  cim-nix module create web --from web.json      the module as JSON
  cim-nix module update web --set services.web.port=80 --dry-run
  cim-nix module update web --unset services.web.port
  cim-nix module delete web
  cim-nix module list
  cim-nix module show web --format json

A module is a file, modules/NAME.nix unless --file names another one, and an output of the flake if
there is one. Values are Nix code, so text has quotes: --set 'networking.hostName=\"web\"'. Imports
and other paths are relative to the module's file. A file that somebody changed by hand is left alone,
and one that others import is not removed. `cim-nix undo` takes everything back.
Exit status: 0 done, or nothing to change; 1 --dry-run found something to change; 2 refused;
3 the machine failed.";

/// Make, change and remove modules
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ModuleArgs {
    #[command(subcommand)]
    command: ModuleCommand,
}

#[derive(Subcommand, Debug)]
enum ModuleCommand {
    /// Make a module
    Create(CreateArgs),
    /// Change a module that a command has made
    Update(UpdateArgs),
    /// Remove a module that nothing needs
    Delete(DeleteArgs),
    /// List modules
    List(ListArgs),
    /// Show a module
    Show(ShowArgs),
}

/// What a module has.
#[derive(Args, Debug)]
struct PartsArgs {
    /// Declare an option, with its type as code; may be given several times
    #[arg(long = "option", value_name = "PATH=TYPE", value_parser = pair)]
    options: Vec<(AttributePath, String)>,
    /// What a declared option is where nobody sets it
    #[arg(long = "default", value_name = "PATH=VALUE", value_parser = pair)]
    defaults: Vec<(AttributePath, String)>,
    /// What a declared option is for
    #[arg(long = "describe", value_name = "PATH=TEXT", value_parser = pair)]
    descriptions: Vec<(AttributePath, String)>,
    /// Set an option; may be given several times
    #[arg(long = "set", value_name = "PATH=VALUE", value_parser = pair)]
    settings: Vec<(AttributePath, String)>,
    /// Import another module; may be given several times
    #[arg(long = "import", value_name = "CODE")]
    imports: Vec<String>,
    /// Take the module from a JSON file; what else is given comes on top
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
}

/// What a module is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
enum Class {
    /// NixOS
    #[default]
    Nixos,
    /// Home Manager
    Home,
    /// nix-darwin
    Darwin,
    /// flake-parts
    FlakeParts,
}

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
struct CreateArgs {
    /// Its name
    #[arg(value_name = "NAME")]
    name: String,
    /// Its file, from the project's folder [default: modules/NAME.nix]
    #[arg(long, value_name = "FILE")]
    file: Option<String>,
    /// What it is for: under which output the flake lists it
    #[arg(long = "for", value_enum, default_value_t, value_name = "CLASS")]
    class: Class,
    #[command(flatten)]
    parts: PartsArgs,
    #[command(flatten)]
    writing: WritingArgs,
}

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
struct UpdateArgs {
    /// Its name
    #[arg(value_name = "NAME")]
    name: String,
    /// Take a setting out; may be given several times
    #[arg(long, value_name = "PATH")]
    unset: Vec<AttributePath>,
    /// Take the declaration of an option out
    #[arg(long, value_name = "PATH")]
    remove_option: Vec<String>,
    /// Take an import out
    #[arg(long, value_name = "CODE")]
    remove_import: Vec<String>,
    #[command(flatten)]
    parts: PartsArgs,
    #[command(flatten)]
    writing: WritingArgs,
}

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
struct DeleteArgs {
    /// Its name
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    writing: WritingArgs,
}

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
struct ListArgs {
    /// Only those that declare this option
    #[arg(long, value_name = "PATH")]
    option: Option<String>,
    #[command(flatten)]
    asking: AskingArgs,
}

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
struct ShowArgs {
    /// Its name
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    asking: AskingArgs,
}

impl ModuleArgs {
    pub(crate) fn run(&self, color: ColorWhen) -> Result<Exit, Error> {
        match &self.command {
            ModuleCommand::Create(args) => args.run(color),
            ModuleCommand::Update(args) => args.run(color),
            ModuleCommand::Delete(args) => args.run(color),
            ModuleCommand::List(args) => args.run(),
            ModuleCommand::Show(args) => args.run(),
        }
    }
}

impl PartsArgs {
    /// The module, begun with `known`, or with the file that was named.
    fn module(&self, name: &str, known: NixModule) -> Result<NixModule, Error> {
        let mut module = match &self.from {
            Some(path) => body::<NixModule>(path, name)?,
            None => known,
        };
        for (path, option_type) in &self.options {
            let declared = module.options.entry(path.to_string()).or_insert_with(|| ModuleOption {
                option_type: String::new(),
                default: None,
                example: None,
                description: None,
            });
            declared.option_type.clone_from(option_type);
        }
        for (path, text) in &self.defaults {
            let value = value_of_code(&format!("the default of `{path}`"), text)?;
            declared(&mut module, path)?.default = Some(value);
        }
        for (path, text) in &self.descriptions {
            declared(&mut module, path)?.description = Some(text.clone());
        }
        for (path, text) in &self.settings {
            let value = value_of_code(&format!("the value of `{path}`"), text)?;
            set_at(&mut module.config, path, value)?;
        }
        add_all(&mut module.imports, &self.imports);
        Ok(module)
    }
}

fn declared<'m>(
    module: &'m mut NixModule,
    path: &AttributePath,
) -> Result<&'m mut ModuleOption, Error> {
    module.options.get_mut(&path.to_string()).ok_or_else(|| {
        Error::user(format!("the module declares no option `{path}`"))
            .hint("`--option PATH=TYPE` declares it")
    })
}

/// The module that a state has, or an empty one.
fn known(state: &State, name: &str) -> NixModule {
    match state {
        State::Module(state) => state.0.clone(),
        _ => None,
    }
    .unwrap_or_else(|| NixModule::unknown(Uuid::nil(), name, String::new()))
}

impl CreateArgs {
    fn run(&self, color: ColorWhen) -> Result<Exit, Error> {
        let class = match self.class {
            Class::Nixos => ModuleClass::Nixos,
            Class::Home => ModuleClass::Home,
            Class::Darwin => ModuleClass::Darwin,
            Class::FlakeParts => ModuleClass::Flake,
        };
        let name = self.name.clone();
        self.writing.run((Kind::Module, &self.name), class, color, |it| {
            let empty = NixModule::unknown(Uuid::nil(), &name, String::new());
            let mut module = self.parts.module(&name, empty)?;
            if let Some(file) = &self.file {
                module.file.clone_from(file);
            }
            let project = it.project;
            Ok(CreateModule { project, name, module, identity: new_identity() }.into())
        })
    }
}

impl UpdateArgs {
    fn run(&self, color: ColorWhen) -> Result<Exit, Error> {
        let name = self.name.clone();
        self.writing.run((Kind::Module, &self.name), ModuleClass::Nixos, color, |it| {
            let mut known = known(&it.state, &name);
            for path in &self.unset {
                unset_at(&mut known.config, path)?;
            }
            for path in &self.remove_option {
                if known.options.remove(path).is_none() {
                    let text = format!("the module declares no option `{}`", one_line(path));
                    return Err(Error::user(text));
                }
            }
            remove_all(&mut known.imports, &self.remove_import, "import")?;
            let module = self.parts.module(&name, known)?;
            let project = it.project;
            Ok(UpdateModule { project, name, module, identity: new_identity() }.into())
        })
    }
}

impl DeleteArgs {
    fn run(&self, color: ColorWhen) -> Result<Exit, Error> {
        let name = self.name.clone();
        self.writing.run((Kind::Module, &self.name), ModuleClass::Nixos, color, |it| {
            Ok(DeleteModule { project: it.project, name, identity: new_identity() }.into())
        })
    }
}

impl ListArgs {
    fn run(&self) -> Result<Exit, Error> {
        let query = |project, cursor| {
            let (project, option) = (Some(project), self.option.clone());
            Query::ListModules(ListModules { project, option, cursor, ..ListModules::default() })
        };
        self.asking.run(query, |answer, out| {
            let Answer::ListModules(page) = answer else { return None };
            for module in &page.items {
                out.line(format_args!(
                    "{}  {}  {} options",
                    one_line(&module.name),
                    one_line(&module.file),
                    module.options.len()
                ));
            }
            page.next.clone()
        })
    }
}

impl ShowArgs {
    fn run(&self) -> Result<Exit, Error> {
        let query = |project, _| {
            let (project, name) = (Some(project), Some(self.name.clone()));
            Query::GetModule(GetModule { project, name, id: None })
        };
        self.asking.run(query, |answer, out| {
            let Answer::GetModule(module) = answer else { return None };
            out.line(format_args!("module `{}` in {}", module.name, one_line(&module.file)));
            for import in &module.imports {
                out.line(format_args!("  imports {}", one_line(import)));
            }
            for (path, option) in &module.options {
                let path = one_line(path);
                let default = option.default.as_ref();
                let default = default.map(|value| format!(" = {}", code(value)));
                out.line(format_args!(
                    "  declares {path}: {}{}",
                    one_line(&option.option_type),
                    default.unwrap_or_default()
                ));
            }
            for conflict in &module.conflicts {
                out.line(format_args!(
                    "  {} is declared by {} as well",
                    one_line(&conflict.option),
                    conflict.modules.join(", ")
                ));
            }
            if !module.config.is_empty_set() {
                out.line(format_args!("  sets {}", code(&module.config)));
            }
            None
        })
    }
}
