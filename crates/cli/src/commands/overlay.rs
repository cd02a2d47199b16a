//! `cim-nix overlay`: overlays of a project, as files that commands write.

use std::path::PathBuf;

use cim_domain_nix::command::{CreateOverlay, DeleteOverlay, UpdateOverlay};
use cim_domain_nix::query::{GetOverlay, ListOverlays};
use cim_domain_nix::{Answer, Kind, ModuleClass, Overlay, Query, State, Uuid};
use cim_nix_base::Error;
use clap::{Args, Subcommand};

use super::authoring::{AskingArgs, WritingArgs, body, named};
use crate::exit::Exit;
use crate::recording::new_identity;
use crate::terminal::{ColorWhen, one_line};

const EXAMPLES: &str = "\
Examples:
  cim-nix overlay create tools --add 'tool=final.callPackage ./tool.nix { }'
  cim-nix overlay create fixes --override 'hello=prev.hello.overrideAttrs { doCheck = false; }'
  cim-nix overlay create tools --from tools.json
  cim-nix overlay update tools --remove tool --dry-run
  cim-nix overlay delete tools
  cim-nix overlay list --package hello
  cim-nix overlay show tools

An overlay is a file, overlays/NAME.nix unless --file names another one, and an output of the flake if
there is one. Its code has `final`, `prev` and `lib`; paths are relative to its file. A file that
somebody changed by hand is left alone, and one that others import is not removed. `cim-nix undo`
takes everything back.
Exit status: 0 done, or nothing to change; 1 --dry-run found something to change; 2 refused;
3 the machine failed.";

/// Make, change and remove overlays
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct OverlayArgs {
    #[command(subcommand)]
    command: OverlayCommand,
}

#[derive(Subcommand, Debug)]
enum OverlayCommand {
    /// Make an overlay
    Create(CreateArgs),
    /// Change an overlay that a command has made
    Update(UpdateArgs),
    /// Remove an overlay that nothing needs
    Delete(DeleteArgs),
    /// List overlays
    List(ListArgs),
    /// Show an overlay
    Show(ShowArgs),
}

/// What an overlay has.
#[derive(Args, Debug)]
struct PartsArgs {
    /// Change a package, with its new code; may be given several times
    #[arg(long = "override", value_name = "NAME=CODE", value_parser = named)]
    overrides: Vec<(String, String)>,
    /// Add a package; may be given several times
    #[arg(long = "add", value_name = "NAME=CODE", value_parser = named)]
    additions: Vec<(String, String)>,
    /// Take the overlay from a JSON file; what else is given comes on top
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
}

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
struct CreateArgs {
    /// Its name
    #[arg(value_name = "NAME")]
    name: String,
    /// Its file, from the project's folder [default: overlays/NAME.nix]
    #[arg(long, value_name = "FILE")]
    file: Option<String>,
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
    /// Take a package out; may be given several times
    #[arg(long, value_name = "NAME")]
    remove: Vec<String>,
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
    /// Only those that change or add this package
    #[arg(long, value_name = "NAME")]
    package: Option<String>,
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

impl OverlayArgs {
    pub(crate) fn run(&self, color: ColorWhen) -> Result<Exit, Error> {
        match &self.command {
            OverlayCommand::Create(args) => args.run(color),
            OverlayCommand::Update(args) => args.run(color),
            OverlayCommand::Delete(args) => args.run(color),
            OverlayCommand::List(args) => args.run(),
            OverlayCommand::Show(args) => args.run(),
        }
    }
}

impl PartsArgs {
    /// The overlay, begun with `known`, or with the file that was named.
    fn overlay(&self, name: &str, known: Overlay) -> Result<Overlay, Error> {
        let mut overlay = match &self.from {
            Some(path) => body::<Overlay>(path, name)?,
            None => known,
        };
        overlay.overrides.extend(self.overrides.iter().cloned());
        overlay.additions.extend(self.additions.iter().cloned());
        Ok(overlay)
    }
}

impl CreateArgs {
    fn run(&self, color: ColorWhen) -> Result<Exit, Error> {
        let name = self.name.clone();
        self.writing.run((Kind::Overlay, &self.name), ModuleClass::Nixos, color, |it| {
            let empty = Overlay::unknown(Uuid::nil(), &name, String::new());
            let mut overlay = self.parts.overlay(&name, empty)?;
            if let Some(file) = &self.file {
                overlay.file.clone_from(file);
            }
            let project = it.project;
            Ok(CreateOverlay { project, name, overlay, identity: new_identity() }.into())
        })
    }
}

impl UpdateArgs {
    fn run(&self, color: ColorWhen) -> Result<Exit, Error> {
        let name = self.name.clone();
        self.writing.run((Kind::Overlay, &self.name), ModuleClass::Nixos, color, |it| {
            let known = match it.state {
                State::Overlay(state) => state.0,
                _ => None,
            };
            let mut known =
                known.unwrap_or_else(|| Overlay::unknown(Uuid::nil(), &name, String::new()));
            for package in &self.remove {
                let changed = known.overrides.remove(package);
                if known.additions.remove(package).or(changed).is_none() {
                    let text = format!("the overlay has no package `{}`", one_line(package));
                    return Err(Error::user(text));
                }
            }
            let overlay = self.parts.overlay(&name, known)?;
            let project = it.project;
            Ok(UpdateOverlay { project, name, overlay, identity: new_identity() }.into())
        })
    }
}

impl DeleteArgs {
    fn run(&self, color: ColorWhen) -> Result<Exit, Error> {
        let name = self.name.clone();
        self.writing.run((Kind::Overlay, &self.name), ModuleClass::Nixos, color, |it| {
            Ok(DeleteOverlay { project: it.project, name, identity: new_identity() }.into())
        })
    }
}

impl ListArgs {
    fn run(&self) -> Result<Exit, Error> {
        let query = |project, cursor| {
            let (project, package) = (Some(project), self.package.clone());
            Query::ListOverlays(ListOverlays {
                project,
                package,
                cursor,
                ..ListOverlays::default()
            })
        };
        self.asking.run(query, |answer, out| {
            let Answer::ListOverlays(page) = answer else { return None };
            for overlay in &page.items {
                out.line(format_args!(
                    "{}  {}  {} packages",
                    one_line(&overlay.name),
                    one_line(&overlay.file),
                    overlay.overrides.len() + overlay.additions.len()
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
            Query::GetOverlay(GetOverlay { project, name, id: None })
        };
        self.asking.run(query, |answer, out| {
            let Answer::GetOverlay(overlay) = answer else { return None };
            out.line(format_args!("overlay `{}` in {}", overlay.name, one_line(&overlay.file)));
            for (verb, packages) in [("changes", &overlay.overrides), ("adds", &overlay.additions)]
            {
                for (name, code) in packages {
                    out.line(format_args!("  {verb} {} = {}", one_line(name), one_line(code)));
                }
            }
            None
        })
    }
}
