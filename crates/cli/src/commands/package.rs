//! `cim-nix package`: builds of packages by Nix, copies of them to caches and back, and what is
//! recorded of both.

use std::env;
use std::path::{Path, PathBuf};

use cim_domain_nix::answer::{BuildOutcome, BuildView, PackageView};
use cim_domain_nix::command::{BuildPackage, CachePackage};
use cim_domain_nix::query::{GetBuildStatus, ListPackages};
use cim_domain_nix::{Answer, Query, ask};
use cim_nix_base::Error;
use cim_nix_builder::Outputs;
use cim_nix_model::{AttributePath, FlakeRef, Installable as Typed, Outputs as Meant, StoreDir};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::commands::history::ProjectArgs;
use crate::effects;
use crate::evaluation::{self, Target};
use crate::exit::Exit;
use crate::outcome::{ChangeArgs, ResultFormat};
use crate::output::number;
use crate::programs::{NixArgs, Wishes};
use crate::recording::{Recorder, new_identity, text_of};
use crate::scope;
use crate::terminal::{Out, one_line, printable};

const EXAMPLES: &str = "\
Examples:
  cim-nix package build                       the default package of the flake here
  cim-nix package build .#hello --out-link result
  cim-nix package build nixpkgs#hello^dev,out --timeout 1h
  cim-nix package build -f release.nix -A tests.unit
  cim-nix package build .#hello --dry-run     what would be run
  cim-nix package cache .#hello --to file:///var/cache/nix
  cim-nix package cache .#hello --from https://cache.nixos.org
  cim-nix package status                      what was built here, and how it ended
  cim-nix package status .#hello --format json

Nix does the work, so it has to be on PATH. Every end is recorded: what was built with its sizes, what
failed with the end of its log, and that somebody stopped it. Ctrl-C ends Nix, too.
Exit status: 0 done, 1 it failed or was stopped, 2 wrong usage, 3 Nix is missing or the machine failed.";

/// Build packages with Nix, and copy them to caches and back
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct PackageArgs {
    #[command(subcommand)]
    command: PackageCommand,
}

#[derive(Subcommand, Debug)]
enum PackageCommand {
    /// Build a package, and record what came of it
    Build(BuildArgs),
    /// Copy a package with all that it needs to a cache, or from one
    Cache(CacheArgs),
    /// Show how the builds of packages ended
    Status(StatusArgs),
}

/// Which package is meant.
#[derive(Args, Debug)]
struct WhichArgs {
    /// The package: an attribute of a flake, a file, or a derivation in the store
    #[arg(value_name = "INSTALLABLE", default_value = ".", hide_default_value = true)]
    what: String,
    /// Take it from this file instead
    #[arg(short = 'f', long, value_name = "FILE", conflicts_with = "what")]
    file: Option<PathBuf>,
    /// With --file, the attribute
    #[arg(short = 'A', long = "attr", value_name = "PATH", default_value = "")]
    attr: String,
}

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
struct BuildArgs {
    #[command(flatten)]
    which: WhichArgs,
    /// Make a link to what was built, which keeps it from being collected
    #[arg(long, short = 'o', value_name = "LINK")]
    out_link: Option<PathBuf>,
    /// Let evaluation use what depends on this machine
    #[arg(long)]
    impure: bool,
    /// Build what can be built even if something else fails
    #[arg(long)]
    keep_going: bool,
    #[command(flatten)]
    change: ChangeArgs,
    #[command(flatten)]
    nix: NixArgs,
}

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
struct CacheArgs {
    #[command(flatten)]
    which: WhichArgs,
    /// The cache to copy it to: what was built last
    #[arg(long, value_name = "URL", required_unless_present = "from", conflicts_with = "from")]
    to: Option<String>,
    /// The cache to copy it from; it need not have been built here
    #[arg(long, value_name = "URL")]
    from: Option<String>,
    /// Sign what goes to the cache with the key in FILE
    #[arg(long, value_name = "FILE", requires = "to")]
    secret_key: Option<PathBuf>,
    /// Take what no trusted key has signed
    #[arg(long, requires = "from")]
    no_check_sigs: bool,
    #[command(flatten)]
    change: ChangeArgs,
    #[command(flatten)]
    nix: NixArgs,
}

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
struct StatusArgs {
    /// The package [default: all that were built or copied here]
    #[arg(value_name = "INSTALLABLE")]
    what: Option<String>,
    /// At most so many builds, the latest first
    #[arg(long, short = 'n', value_name = "N", default_value_t = 5)]
    limit: u32,
    /// How to show it
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: ResultFormat,
    #[command(flatten)]
    project: ProjectArgs,
}

impl PackageArgs {
    pub(crate) fn run(&self) -> Result<Exit, Error> {
        match &self.command {
            PackageCommand::Build(args) => args.run(),
            PackageCommand::Cache(args) => args.run(),
            PackageCommand::Status(args) => args.run(),
        }
    }
}

/// A package as commands name it.
struct Package {
    flake_ref: String,
    attribute: AttributePath,
    outputs: Outputs,
    /// The folder of its project.
    root: PathBuf,
}

impl WhichArgs {
    /// Errors: it is no package, or there is no flake or file.
    fn package(&self) -> Result<Package, Error> {
        match &self.file {
            Some(file) => {
                let broken = |error| Error::user(format!("`{}`: {error}", self.attr));
                let attribute = AttributePath::parse_selection(&self.attr).map_err(broken)?;
                of_file(file, attribute, Outputs::Default)
            }
            None if self.attr.is_empty() => package(&self.what),
            None => Err(Error::user("`--attr` is for a file")
                .hint("name it behind a flake as `FLAKE#ATTRIBUTE`, or a file with `--file`")),
        }
    }
}

/// What somebody typed, as a package.
fn package(typed: &str) -> Result<Package, Error> {
    let broken = |error: &dyn std::fmt::Display| Error::user(error.to_string());
    let (before, meant) = Meant::split(typed).map_err(|error| broken(&error))?;
    let outputs = match () {
        () if meant.is_default() => Outputs::Default,
        () if meant.is_all() => Outputs::All,
        () => Outputs::Named(meant.names().map(str::to_owned).collect()),
    };
    let store = env::var("NIX_STORE_DIR").map_or_else(|_| StoreDir::default(), StoreDir::new);
    let read = Typed::parse(before, &store).map_err(|error| broken(&error))?;
    if let Typed::Store { path, .. } = &read {
        if !path.is_derivation() {
            return Err(Error::user(format!("`{typed}` is in the store, and not a derivation"))
                .hint("name the derivation that makes it, or the package in its flake"));
        }
        let (flake_ref, attribute) = (store.show(path), AttributePath::EMPTY);
        return Ok(Package { flake_ref, attribute, outputs, root: here() });
    }
    if before.starts_with('<') && before.ends_with('>') {
        let (flake_ref, attribute) = (before.to_owned(), AttributePath::EMPTY);
        return Ok(Package { flake_ref, attribute, outputs, root: here() });
    }
    match evaluation::target(None, None, before)? {
        Target::File(file) => of_file(&file, AttributePath::EMPTY, outputs),
        Target::Flake(installable) => Ok(Package {
            root: local(&installable.flake).map_or_else(here, root_of),
            flake_ref: installable.flake.to_string(),
            attribute: installable.attr.path().clone(),
            outputs,
        }),
        Target::Text(_) => Err(Error::user("an expression is no package")
            .hint("write it to a file, and name that with `--file`")),
    }
}

fn of_file(file: &Path, attribute: AttributePath, outputs: Outputs) -> Result<Package, Error> {
    if !file.exists() && file.to_string_lossy().starts_with('<') {
        let flake_ref = file.to_string_lossy().into_owned();
        return Ok(Package { flake_ref, attribute, outputs, root: here() });
    }
    let real = file.canonicalize().map_err(|error| {
        Error::user(format!("cannot read `{}`", scope::shown(file))).because(error)
    })?;
    let flake_ref = text_of(&real)?;
    Ok(Package { flake_ref, attribute, outputs, root: root_of(real) })
}

fn here() -> PathBuf {
    root_of(scope::here().to_owned())
}

fn root_of(path: PathBuf) -> PathBuf {
    scope::project_root(&[path])
}

/// Where a flake lies, if it is on this machine.
fn local(flake: &FlakeRef) -> Option<PathBuf> {
    let url = flake.text("url").and_then(|url| url.strip_prefix("file://"));
    let path = PathBuf::from(flake.text("path").or(url)?);
    path.is_dir().then_some(path)
}

impl BuildArgs {
    fn run(&self) -> Result<Exit, Error> {
        let Package { flake_ref, attribute, outputs, root } = self.which.package()?;
        let link = self.out_link.as_ref().map(|link| text_of(&scope::here().join(link)));
        let command = BuildPackage {
            flake_ref,
            attribute,
            output_path: link.transpose()?,
            identity: new_identity(),
        };
        let (is_impure, keeps_going) = (self.impure, self.keep_going);
        let wishes = Wishes { outputs, is_impure, keeps_going, ..Wishes::default() };
        effects::run(&root, &command.into(), &self.nix, wishes, &self.change)
    }
}

impl CacheArgs {
    fn run(&self) -> Result<Exit, Error> {
        let Package { flake_ref, attribute, outputs, root } = self.which.package()?;
        if outputs != Outputs::Default {
            return Err(Error::user("a package is copied with all outputs that were built of it")
                .hint("`cim-nix package build INSTALLABLE^OUTPUT` builds certain ones"));
        }
        let cache = self.to.as_ref().or(self.from.as_ref()).cloned().unwrap_or_default();
        let command = CachePackage {
            flake_ref,
            attribute,
            cache,
            is_download: self.from.is_some(),
            identity: new_identity(),
        };
        let wishes = Wishes {
            takes_unsigned: self.no_check_sigs,
            secret_key: self.secret_key.as_ref().map(|key| scope::here().join(key)),
            ..Wishes::default()
        };
        effects::run(&root, &command.into(), &self.nix, wishes, &self.change)
    }
}

impl StatusArgs {
    fn run(&self) -> Result<Exit, Error> {
        let Some(what) = &self.what else {
            return self.all(&self.project.recorder()?);
        };
        let Package { flake_ref, attribute, root, .. } = package(what)?;
        let recorder = Recorder::open_existing(&root)?;
        let recorder = recorder.ok_or_else(|| {
            Error::user(format!("nothing was built in `{}` yet", scope::shown(&root)))
                .hint("`cim-nix package build` builds, and records what came of it")
        })?;
        let query = GetBuildStatus {
            id: None,
            flake_ref: Some(flake_ref),
            attribute: Some(attribute),
            name: None,
            system: None,
            limit: Some(self.limit),
        };
        let Answer::GetBuildStatus(status) = ask(recorder.store(), &Query::GetBuildStatus(query))?
        else {
            return Err(Error::bug("a query was answered with something else"));
        };
        let mut out = Out::new();
        match self.format {
            ResultFormat::Json => out.line(json!({
                "package": as_json(&status.package)?,
                "builds": as_json(&status.builds)?,
            })),
            ResultFormat::Text => {
                show(&status.package, &mut out);
                status.builds.iter().for_each(|build| show_build(build, &mut out));
            }
        }
        out.finish()?;
        Ok(Exit::Clean)
    }

    fn all(&self, recorder: &Recorder) -> Result<Exit, Error> {
        let mut out = Out::new();
        let mut cursor = None;
        loop {
            let query = ListPackages {
                flake_ref: None,
                prefix: None,
                query: None,
                system: None,
                limit: None,
                cursor,
            };
            let Answer::ListPackages(page) = ask(recorder.store(), &Query::ListPackages(query))?
            else {
                return Err(Error::bug("a query was answered with something else"));
            };
            for package in &page.items {
                match self.format {
                    ResultFormat::Json => out.line(as_json(package)?),
                    ResultFormat::Text => show(package, &mut out),
                }
            }
            cursor = page.next.clone();
            if cursor.is_none() || out.is_closed() {
                break;
            }
        }
        out.finish()?;
        Ok(Exit::Clean)
    }
}

fn as_json(view: &impl serde::Serialize) -> Result<Value, Error> {
    serde_json::to_value(view)
        .map_err(|error| Error::bug("an answer cannot be written as JSON").because(error))
}

/// How a build ended, in words.
fn ended(outcome: BuildOutcome) -> &'static str {
    match outcome {
        BuildOutcome::Never => "never built",
        BuildOutcome::Built => "built",
        BuildOutcome::Failed => "failed",
        BuildOutcome::Cancelled => "cancelled",
        BuildOutcome::TimedOut => "took too long",
        BuildOutcome::Interrupted => "interrupted",
    }
}

fn show(package: &PackageView, out: &mut Out) {
    let name = cim_domain_nix::package_name(&package.flake_ref, &package.attribute);
    let builds = number(usize::try_from(package.n_builds).unwrap_or(usize::MAX), "build");
    let failures = package.n_failures;
    out.line(format_args!(
        "{}: {} ({builds}, {failures} failed)",
        one_line(&name),
        ended(package.last)
    ));
    effects::outputs(package.outputs.iter(), out);
    for copy in &package.caches {
        let way = if copy.is_download { "from" } else { "to" };
        out.line(format_args!("  copied {way} {}", one_line(&copy.cache)));
    }
}

fn show_build(build: &BuildView, out: &mut Out) {
    let when = build.changed.at.to_string();
    let when = when.split('.').next().unwrap_or(&when).replace('T', " ");
    let seconds = build.took.secs;
    out.line(format_args!(
        "  build {}: {} at {} after {seconds} s",
        build.number,
        ended(build.outcome),
        when.trim_end_matches('Z')
    ));
    if !build.message.is_empty() {
        out.line(format_args!("    {}", one_line(&build.message)));
    }
    for line in build.log_tail.lines() {
        out.line(format_args!("    | {}", printable(line)));
    }
}
