//! `cim-nix flake add-input` and the other edits: `flake.nix` and `flake.lock` change together, and an
//! event tells of it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use cim_domain_nix::command::{AddFlakeInput, RemoveFlakeInput, UpdateFlake};
use cim_domain_nix::{Command, FlakeEdit, LockChange, ModuleClass};
use cim_nix_app::{LockWish, Locks, NewLock};
use cim_nix_base::{Change, Error, Op};
use cim_nix_model::{AttributePath, InputState, input_path, show_input_path};
use clap::{Args, ValueEnum};

use crate::evaluation::{EvalArgs, Surroundings};
use crate::exit::Exit;
use crate::flake_locking::{LockTask, new_lock};
use crate::flake_writing::announce;
use crate::lock_args::LockArgs;
use crate::outcome::ChangeArgs;
use crate::recording::{self, Recorder, new_identity};
use crate::scope;
use crate::terminal::ColorWhen;

const EXAMPLES: &str = "\
Examples:
  cim-nix flake add-input utils github:numtide/flake-utils
  cim-nix flake add-input hm github:nix-community/home-manager --follows nixpkgs=nixpkgs
  cim-nix flake add-input data ./data --not-a-flake
  cim-nix flake remove-input utils --dry-run
  cim-nix flake set-input nixpkgs github:NixOS/nixpkgs/nixos-24.05
  cim-nix flake rename-input utils flake-utils
  cim-nix flake follow home-manager/nixpkgs nixpkgs
  cim-nix flake dedupe

Only what has to change is written, and flake.lock changes with it. `cim-nix undo` takes it back.
Exit status: 0 done, or nothing to change; 1 --dry-run found something to change; 2 refused, with
the places that speak against it; 3 the network or the machine failed.";

/// What edits have in common.
#[derive(Args, Debug)]
struct EditArgs {
    /// The folder of the flake
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    flake: PathBuf,
    /// Leave the lock file as it is
    #[arg(long)]
    no_lock: bool,
    #[command(flatten)]
    change: ChangeArgs,
    #[command(flatten)]
    lock_args: LockArgs,
    #[command(flatten)]
    eval_args: EvalArgs,
}

macro_rules! edits {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* })*) => {$(
        $(#[$doc])*
        #[derive(Args, Debug)]
        #[command(after_help = EXAMPLES)]
        pub(super) struct $name {
            $($(#[$field_doc])* $field: $type,)*
            #[command(flatten)]
            edit: EditArgs,
        }
    )*};
}

edits! {
    /// Give the flake an input
    AddInput {
        /// Its name
        #[arg(value_name = "NAME")]
        name: String,
        /// Where it comes from
        #[arg(value_name = "URL")]
        url: String,
        /// Let its input A be the flake's input B; may be given several times
        #[arg(long, value_name = "A=B", value_parser = pair)]
        follows: Vec<(String, String)>,
        /// It is a plain tree of files, without a flake.nix
        #[arg(long)]
        not_a_flake: bool,
    }
    /// Take an input from the flake
    RemoveInput {
        /// Its name
        #[arg(value_name = "NAME")]
        name: String,
    }
    /// Let an input come from elsewhere
    SetInput {
        /// Its name
        #[arg(value_name = "NAME")]
        name: String,
        /// Where it comes from now
        #[arg(value_name = "URL")]
        url: String,
    }
    /// Give an input another name, wherever it is used
    RenameInput {
        /// Its name
        #[arg(value_name = "OLD")]
        from: String,
        /// Its new name
        #[arg(value_name = "NEW")]
        to: String,
        /// Go on where all inputs are handed on as a whole, although other files may use the old name
        #[arg(long)]
        even_if_handed_on: bool,
    }
    /// Let an input of an input be another one of the flake
    Follow {
        /// The input, `a/b` for the input `b` of the input `a`
        #[arg(value_name = "INPUT")]
        input: String,
        /// What it follows; nothing at all for an empty text
        #[arg(value_name = "TARGET")]
        target: String,
    }
    /// Let an input of an input be its own again
    Unfollow {
        /// The input, `a/b` for the input `b` of the input `a`
        #[arg(value_name = "INPUT")]
        input: String,
    }
    /// Let inputs that are locked several times follow one
    Dedupe {}
    /// Say what the flake is
    Describe {
        /// The description
        #[arg(value_name = "TEXT")]
        description: String,
    }
    /// Give the flake an output
    AddOutput {
        /// Its path below the outputs: packages.x86_64-linux.hello
        #[arg(value_name = "ATTRIBUTE")]
        attribute: AttributePath,
        /// Its value as code
        #[arg(value_name = "EXPRESSION")]
        expression: String,
    }
    /// Let the flake's outputs be for one more system
    AddSystem {
        /// The system: aarch64-darwin
        #[arg(value_name = "SYSTEM")]
        system: String,
    }
    /// Give the flake an overlay
    AddOverlay {
        /// Its name
        #[arg(value_name = "NAME")]
        name: String,
        /// Its value as code: import ./overlay.nix
        #[arg(value_name = "EXPRESSION")]
        expression: String,
    }
    /// Give the flake a module
    AddModule {
        /// What it is for
        #[arg(long = "for", value_enum, default_value_t, value_name = "CLASS")]
        class: Class,
        /// Its name
        #[arg(value_name = "NAME")]
        name: String,
        /// Its value as code: import ./module.nix
        #[arg(value_name = "EXPRESSION")]
        expression: String,
    }
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

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((input, target)) if !input.is_empty() => Ok((input.to_owned(), target.to_owned())),
        _ => Err("write it as INPUT=TARGET".to_owned()),
    }
}

impl AddInput {
    pub(super) fn run(&self, color: ColorWhen) -> Result<Exit, Error> {
        let follows: BTreeMap<_, _> = self.follows.iter().cloned().collect();
        self.edit.run(color, |path, lock| {
            AddFlakeInput {
                path,
                name: self.name.clone(),
                url: self.url.clone(),
                follows: follows.clone(),
                flake: !self.not_a_flake,
                lock,
                identity: new_identity(),
            }
            .into()
        })
    }
}

impl RemoveInput {
    pub(super) fn run(&self, color: ColorWhen) -> Result<Exit, Error> {
        self.edit.run(color, |path, lock| {
            let (name, identity) = (self.name.clone(), new_identity());
            RemoveFlakeInput { path, name, lock, identity }.into()
        })
    }
}

macro_rules! updates {
    ($($name:ident |$it:ident| $edit:expr;)*) => {$(
        impl $name {
            pub(super) fn run(&self, color: ColorWhen) -> Result<Exit, Error> {
                let $it = self;
                $it.edit.update(color, $edit)
            }
        }
    )*};
}

updates! {
    SetInput |it| FlakeEdit::RetargetInput { name: it.name.clone(), url: it.url.clone() };
    RenameInput |it| FlakeEdit::RenameInput {
        from: it.from.clone(),
        to: it.to.clone(),
        even_if_handed_on: it.even_if_handed_on,
    };
    Follow |it| FlakeEdit::SetFollows { input: it.input.clone(), target: it.target.clone() };
    Unfollow |it| FlakeEdit::RemoveFollows { input: it.input.clone() };
    Dedupe |it| FlakeEdit::DedupeInputs;
    Describe |it| FlakeEdit::SetDescription { description: it.description.clone() };
    AddOutput |it| FlakeEdit::AddOutput {
        attribute: it.attribute.clone(),
        expression: it.expression.clone(),
    };
    AddSystem |it| FlakeEdit::AddSystem { system: it.system.clone() };
    AddOverlay |it| FlakeEdit::AddOverlay {
        name: it.name.clone(),
        expression: it.expression.clone(),
    };
    AddModule |it| FlakeEdit::AddModule {
        class: match it.class {
            Class::Nixos => ModuleClass::Nixos,
            Class::Home => ModuleClass::Home,
            Class::Darwin => ModuleClass::Darwin,
            Class::FlakeParts => ModuleClass::Flake,
        },
        name: it.name.clone(),
        expression: it.expression.clone(),
    };
}

impl EditArgs {
    fn update(&self, color: ColorWhen, edit: FlakeEdit) -> Result<Exit, Error> {
        self.run(color, |path, lock| {
            let edit = Some(edit.clone());
            UpdateFlake { path, edit, inputs: Vec::new(), lock, identity: new_identity() }.into()
        })
    }

    fn run(
        &self,
        color: ColorWhen,
        command: impl Fn(String, bool) -> Command,
    ) -> Result<Exit, Error> {
        let folder = scope::real(&self.flake);
        let recorder = Recorder::open(&scope::project_root(std::slice::from_ref(&folder)))?;
        let app = recorder.app();
        recording::tell(&app.recover_files()?);
        let mut surroundings = self.eval_args.surroundings()?;
        // What was looked up before may be old.
        surroundings.asks_anew();
        let locks = LocksHere { surroundings, args: &self.lock_args };
        let command = command(recording::text_of(&folder)?, !self.no_lock);
        let outcome = app.flake(&command, &locks, self.change.mode())?;
        if outcome.position.is_some() {
            let new = |change: &&Change| matches!(change.op, Op::Create { .. });
            let new = outcome.set.changes.iter().filter(new).map(|change| change.path.as_path());
            announce(recorder.root(), &new.collect::<Vec<_>>())?;
        }
        self.change.tell(&outcome, color)
    }
}

/// Lock files computed by an evaluation.
pub(crate) struct LocksHere<'a> {
    pub(crate) surroundings: Surroundings,
    pub(crate) args: &'a LockArgs,
}

impl Locks for LocksHere<'_> {
    fn lock(
        &self,
        folder: &Path,
        flake_nix: &str,
        old_lock: Option<&str>,
        wish: &LockWish,
    ) -> Result<NewLock, Error> {
        let mut request = self.args.request()?;
        if let Some(updates) = &wish.updates {
            for input in updates {
                let path = input_path(input).map_err(|error| Error::user(error.to_string()))?;
                request.options.lock.updates.insert(path);
            }
            request.options.lock.is_anew |= updates.is_empty();
        }
        let task =
            LockTask { folder, flake_nix, old_lock, request: &request, fails_on_unlocked: true };
        let new = new_lock(&self.surroundings, &task)?;
        if new.text.is_some() && request.options.needs_current_lock {
            let message =
                "the lock file would have to be changed, and --no-update-lock-file is given";
            return Err(Error::user(message).hint("--no-lock leaves the lock file as it is"));
        }
        let changes = moved(&new.changes);
        Ok(NewLock { text: new.text, changes, warnings: new.warnings })
    }
}

/// How inputs moved, as events say it.
pub(crate) fn moved(changes: &[cim_nix_model::LockChange]) -> Vec<LockChange> {
    let shown = |state: &InputState| match state {
        InputState::Follows(path) => format!("follows:{}", show_input_path(path)),
        InputState::Locked(locked) => locked.to_string(),
    };
    let change = |change: &cim_nix_model::LockChange| LockChange {
        input: show_input_path(&change.path),
        before: change.old.as_ref().map(shown),
        after: change.new.as_ref().map(shown),
    };
    changes.iter().map(change).collect()
}
