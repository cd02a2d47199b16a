//! Builds: from a flake, an expression or a derivation to outputs in the store.
//!
//! Two calls, whatever the version of Nix: one instantiates, one realises what came of it. So it is
//! known which derivation was asked for when its build fails, and a failed evaluation is told from
//! a failed build.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use cim_nix_base::Error;
use serde_json::Value;

use crate::command::Invocation;
use crate::info::is_derivation;
use crate::nix::{Control, Done, Nix, checked, deadline};
use crate::programs::{Tool, Version};
use crate::progress::{FailedBuild, Progress};
use crate::run::Ended;
use crate::text::{LogTail, Tail};

/// What `nix eval` makes of a package: which derivation, and which outputs people want of it.
const ASKED_OF_PACKAGE: &str =
    "d: { drv = d.drvPath; outputs = d.meta.outputsToInstall or [ (d.outputName or \"out\") ]; }";

/// Stands in a plan for the derivation that the first call gives.
const LATER: &str = "<derivation>";

/// The first version in which a derivation by its path has outputs behind `^`.
const WITH_OUTPUTS: Version = Version { major: 2, minor: 13 };

/// What is to be built.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Source {
    /// An attribute of a flake; without one, its default package.
    Flake {
        /// The reference, as `nix build` takes it: `.`, `github:owner/name`, `path:/a/b`.
        reference: String,
        /// The attribute behind `#`, such as `hello` or `packages.x86_64-linux.hello`.
        attribute: Option<String>,
    },
    /// An attribute of what a file evaluates to; without one, the whole of it.
    File {
        /// A file, a folder with a `default.nix`, or a name on the search path such as `<nixpkgs>`.
        file: PathBuf,
        /// The attribute, such as `hello` or `python3.pkgs.numpy`.
        attribute: Option<String>,
    },
    /// A derivation in the store.
    Derivation(String),
}

/// Which outputs are to be built.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outputs {
    /// Those that Nix would take: of a flake what its package says to install, of an expression the
    /// selected output, of a derivation all.
    Default,
    /// All.
    All,
    /// These.
    Named(Vec<String>),
}

/// A build that is asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Build {
    /// What is to be built.
    pub source: Source,
    /// Which outputs of it.
    pub outputs: Outputs,
    /// A link to the first output, which keeps it from being collected; other outputs get a link
    /// with their name behind it.
    pub out_link: Option<PathBuf>,
    /// Whether evaluation may read what is not locked.
    pub is_impure: bool,
    /// Whether builds go on that do not need what has failed.
    pub keeps_going: bool,
    /// The most time for all of it.
    pub time_limit: Option<Duration>,
}

impl Build {
    /// The outputs that Nix would take, without a link or a limit.
    #[must_use]
    pub fn new(source: Source) -> Self {
        Self {
            source,
            outputs: Outputs::Default,
            out_link: None,
            is_impure: false,
            keeps_going: false,
            time_limit: None,
        }
    }
}

/// What happened.
#[derive(Clone, PartialEq, Debug)]
pub struct BuildRecord {
    /// The derivation that was asked for, once it was known.
    pub derivation: Option<String>,
    /// How it ended.
    pub end: BuildEnd,
    /// How long all of it took.
    pub duration: Duration,
    /// How much of that went by until the derivation was known.
    pub evaluation: Duration,
    /// How many derivations were built; none if everything was there already.
    pub n_built: u64,
    /// How many paths were copied from other stores.
    pub n_copied: u64,
    /// Bytes of the archives of these, as far as Nix tells.
    pub copied_bytes: u64,
    /// The end of the log: of the derivation that failed, or else of the last that said something.
    pub log: LogTail,
    /// What was run.
    pub invocations: Vec<Invocation>,
}

/// How a build ended.
#[derive(Clone, PartialEq, Debug)]
pub enum BuildEnd {
    /// All outputs are there.
    Built(Vec<BuiltOutput>),
    /// It could not be built.
    Failed(BuildFailure),
    /// The flag of the [`Control`] was set.
    Cancelled,
    /// It took more than the time limit.
    TimedOut,
}

/// An output that is in the store.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BuiltOutput {
    /// Its name, such as `out`.
    pub name: String,
    /// Its path.
    pub path: String,
    /// The hash of its archive; this and the sizes are missing only if Nix would not tell.
    pub nar_hash: Option<String>,
    /// Bytes of its archive.
    pub nar_size: Option<u64>,
    /// Bytes of the archives of all that it refers to, and of itself.
    pub closure_size: Option<u64>,
}

/// Why there is no output.
#[derive(Clone, PartialEq, Debug)]
pub struct BuildFailure {
    /// What was being done.
    pub stage: Stage,
    /// The derivations that failed: first those that failed by themselves.
    pub failed: Vec<FailedBuild>,
    /// What Nix says, in a few lines.
    pub reason: String,
    /// The exit status of the program; nothing if a signal ended it.
    pub code: Option<i32>,
}

/// The two steps of a build.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    /// From an expression to a derivation.
    Evaluation,
    /// From a derivation to its outputs.
    Build,
}

/// A derivation with the outputs to build of it.
#[derive(Debug)]
struct Wanted {
    derivation: String,
    /// None: all.
    outputs: Option<Vec<String>>,
}

impl Wanted {
    /// As `nix-store --realise` takes it.
    fn argument(&self) -> String {
        match &self.outputs {
            Some(outputs) => format!("{}!{}", self.derivation, outputs.join(",")),
            None => self.derivation.clone(),
        }
    }
}

impl Nix {
    /// What [`Self::build`] would run, without running anything. `<derivation>` stands for what the
    /// first call gives.
    ///
    /// Errors: a program is missing, or the request makes no sense.
    pub fn plan_build(&self, request: &Build) -> Result<Vec<Invocation>, Error> {
        let named = match &request.outputs {
            Outputs::Named(names) => Some(names.clone()),
            Outputs::Default | Outputs::All => None,
        };
        let first = self.instantiation(request)?;
        let derivation = match &request.source {
            Source::Derivation(path) => path.clone(),
            Source::Flake { .. } | Source::File { .. } => LATER.to_owned(),
        };
        let second = self.realisation(request, &Wanted { derivation, outputs: named })?;
        Ok(first.into_iter().chain([second]).collect())
    }

    /// Builds, or finds that everything is there already.
    ///
    /// Idempotent: what was built before is not built again.
    /// Errors: a program is missing or cannot be started, the request makes no sense, or Nix
    /// answers what cannot be understood. A build that fails is no error but a record.
    pub fn build(&self, request: &Build, control: &mut Control<'_>) -> Result<BuildRecord, Error> {
        let start = Instant::now();
        let mut attempt = Attempt::new(self, request);
        attempt.record.end = attempt.run(start, control)?;
        attempt.record.duration = start.elapsed();
        Ok(attempt.record)
    }

    /// The paths of the outputs of a derivation by their names, whether they are built or not; those
    /// whose paths are known only once they are built are left out.
    ///
    /// Errors: `nix-store` is missing, or the store does not have the derivation.
    pub fn output_paths(&self, derivation: &str) -> Result<Vec<(String, String)>, Error> {
        checked(derivation, "the derivation")?;
        let invocation = self.tool(Tool::NixStore, &["--query", "--outputs"])?.arg(derivation);
        let answer = self.ask(&invocation, &format!("ask for the outputs of `{derivation}`"))?;
        let paths = answer.lines().filter(|line| line.starts_with('/'));
        Ok(paths.filter_map(|path| Some((output_of(derivation, path)?, path.to_owned()))).collect())
    }

    /// The paths that a build would give, as far as they are known before it, by the names of the
    /// outputs.
    ///
    /// Errors: as for [`Self::build`], or it cannot be evaluated.
    pub fn foreseen(
        &self,
        request: &Build,
        control: &mut Control<'_>,
    ) -> Result<Vec<(String, String)>, Error> {
        let mut attempt = Attempt::new(self, request);
        let wanted = match self.instantiation(request)? {
            None => attempt.given(),
            Some(invocation) => {
                let done = attempt.call(invocation, control)?;
                match attempt.failed(Stage::Evaluation, &done)? {
                    None => attempt.evaluated(&done.output)?,
                    Some(BuildEnd::Failed(failure)) => {
                        return Err(Error::user(format!("cannot evaluate: {}", failure.reason)));
                    }
                    Some(_) => return Err(Error::user("the evaluation was stopped")),
                }
            }
        };
        let mut paths = self.output_paths(&wanted.derivation)?;
        if let Some(names) = &wanted.outputs {
            paths.retain(|(name, _)| names.contains(name));
        }
        Ok(paths)
    }

    /// What instantiates; nothing for what is instantiated already.
    fn instantiation(&self, request: &Build) -> Result<Option<Invocation>, Error> {
        if let Outputs::Named(names) = &request.outputs {
            check_outputs(names)?;
        }
        let json_log = ["--log-format", "internal-json"];
        match &request.source {
            Source::Derivation(path) => {
                if !is_derivation(path) {
                    let message = format!("`{path}` is no path of a derivation");
                    return Err(
                        Error::user(message).hint("it ends with `.drv` and starts with `/`")
                    );
                }
                Ok(None)
            }
            Source::File { file, attribute } => {
                let mut invocation = self.tool(Tool::NixInstantiate, &json_log)?;
                if let Some(attribute) = attribute {
                    invocation = invocation.args(["--attr", attribute]);
                }
                let text = file.to_string_lossy();
                let is_path = !text.starts_with('<') && !text.contains("://");
                let file = if is_path { self.path_argument(file) } else { file.clone() };
                Ok(Some(invocation.arg(file)))
            }
            Source::Flake { reference, attribute } => {
                checked(reference, "the flake reference")?;
                let installable = match attribute {
                    Some(_) if reference.contains('#') => {
                        let message = format!("`{reference}` has an attribute already");
                        return Err(Error::user(message));
                    }
                    Some(attribute) => format!("{reference}#{attribute}"),
                    None => reference.clone(),
                };
                // A lock file changes where its change is asked for, not on the way to a build.
                let words = ["eval", "--json", "--no-write-lock-file"];
                let mut invocation = self.tool(Tool::Nix, &words)?.args(json_log);
                if request.is_impure {
                    invocation = invocation.arg("--impure");
                }
                Ok(Some(invocation.args(["--apply", ASKED_OF_PACKAGE, &installable])))
            }
        }
    }

    fn realisation(&self, request: &Build, wanted: &Wanted) -> Result<Invocation, Error> {
        let words = ["--realise", "--log-format", "internal-json"];
        let mut invocation = self.tool(Tool::NixStore, &words)?;
        if request.keeps_going {
            invocation = invocation.arg("--keep-going");
        }
        if let Some(link) = &request.out_link {
            let link = self.path_argument(link);
            invocation = invocation.arg("--add-root").arg(link).arg("--indirect");
        }
        Ok(invocation.arg(wanted.argument()))
    }
}

fn check_outputs(names: &[String]) -> Result<(), Error> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || "+-._?=".contains(c);
    if names.is_empty() {
        return Err(Error::user("no output is named"));
    }
    match names.iter().find(|name| name.is_empty() || !name.chars().all(is_allowed)) {
        Some(name) => Err(Error::user(format!("`{name}` is no name of an output"))),
        None => Ok(()),
    }
}

/// Whether Nix says that it cannot reach its store. It says so before it looks at anything.
fn is_away(reason: &str) -> bool {
    [
        "cannot connect to socket at '",
        "cannot connect to daemon at '",
        "cannot open connection to remote store '",
    ]
    .iter()
    .any(|words| reason.contains(words))
        // Whoever may not look into the daemon's folder cannot tell whether there is a daemon.
        || reason.contains("getting status of ") && reason.contains("/daemon-socket/")
}

/// One build on its way.
struct Attempt<'a> {
    nix: &'a Nix,
    request: &'a Build,
    until: Option<Instant>,
    logs: Logs,
    record: BuildRecord,
}

impl<'a> Attempt<'a> {
    fn new(nix: &'a Nix, request: &'a Build) -> Self {
        let record = BuildRecord {
            derivation: None,
            end: BuildEnd::Cancelled,
            duration: Duration::ZERO,
            evaluation: Duration::ZERO,
            n_built: 0,
            n_copied: 0,
            copied_bytes: 0,
            log: LogTail::default(),
            invocations: Vec::new(),
        };
        let until = deadline(request.time_limit);
        Self { nix, request, until, logs: Logs::new(nix.settings().log_lines), record }
    }

    fn run(&mut self, start: Instant, control: &mut Control<'_>) -> Result<BuildEnd, Error> {
        let wanted = match self.nix.instantiation(self.request)? {
            None => self.given(),
            Some(invocation) => {
                let done = self.call(invocation, control)?;
                self.record.evaluation = start.elapsed();
                if let Some(end) = self.failed(Stage::Evaluation, &done)? {
                    return Ok(end);
                }
                self.evaluated(&done.output)?
            }
        };
        self.record.derivation = Some(wanted.derivation.clone());
        let (derivation, outputs) = (wanted.derivation.clone(), wanted.outputs.clone());
        control.listener()(Progress::Instantiated { derivation, outputs });
        let done = self.call(self.nix.realisation(self.request, &wanted)?, control)?;
        if let Some(end) = self.failed(Stage::Build, &done)? {
            return Ok(end);
        }
        self.outputs(&wanted, &done.output).map(BuildEnd::Built)
    }

    /// The derivation that the request names itself.
    fn given(&self) -> Wanted {
        let derivation = match &self.request.source {
            Source::Derivation(path) => path.clone(),
            Source::Flake { .. } | Source::File { .. } => String::new(),
        };
        let outputs = match &self.request.outputs {
            Outputs::Named(names) => Some(names.clone()),
            Outputs::Default | Outputs::All => None,
        };
        Wanted { derivation, outputs }
    }

    fn call(&mut self, invocation: Invocation, control: &mut Control<'_>) -> Result<Done, Error> {
        let logs = &mut self.logs;
        let done = self.nix.call_with(&invocation, self.until, control, &mut |progress| {
            logs.note(progress);
        })?;
        self.record.invocations.push(invocation);
        self.record.n_built += done.reader.n_built;
        self.record.n_copied += done.reader.n_copied;
        self.record.copied_bytes += done.reader.copied_bytes;
        Ok(done)
    }

    /// The end, if the program did not do what it was to do.
    ///
    /// Errors: Nix itself does not work, which says nothing of what was to be built.
    fn failed(&mut self, stage: Stage, done: &Done) -> Result<Option<BuildEnd>, Error> {
        let mut failed = done.reader.failures.clone();
        failed.sort_by_key(|failure| failure.is_for_dependency);
        let first = failed.first().map(|failure| failure.derivation.as_str());
        let own = self.logs.take(first);
        self.record.log = own.unwrap_or_else(|| done.log.clone());
        Ok(match done.ended {
            Ended::Cancelled => Some(BuildEnd::Cancelled),
            Ended::TimedOut => Some(BuildEnd::TimedOut),
            Ended::Exited(status) if status.success() => None,
            Ended::Exited(_) if failed.is_empty() && is_away(&done.reason()) => {
                return Err(Error::outside(format!("Nix does not work: {}", done.reason()))
                    .hint("does the daemon of Nix run, and may this user talk to it?"));
            }
            Ended::Exited(status) => {
                let reason = match failed.first() {
                    Some(first) => format!("`{}`: {}", first.derivation, first.reason),
                    None => done.reason(),
                };
                let code = ExitStatus::code(&status);
                Some(BuildEnd::Failed(BuildFailure { stage, failed, reason, code }))
            }
        })
    }

    /// What evaluation gave, together with the outputs that are asked for.
    fn evaluated(&self, output: &str) -> Result<Wanted, Error> {
        let (derivation, default) = match &self.request.source {
            Source::Flake { .. } => of_package(output),
            Source::File { .. } | Source::Derivation(_) => of_instantiation(output)?,
        }
        .ok_or_else(|| {
            let first = output.lines().next().unwrap_or_default();
            Error::outside(format!("Nix did not answer with a derivation but with `{first}`"))
        })?;
        let outputs = match &self.request.outputs {
            Outputs::Default => Some(default),
            Outputs::All => None,
            Outputs::Named(names) => Some(names.clone()),
        };
        Ok(Wanted { derivation, outputs })
    }

    /// The outputs that were built by their names, with their sizes.
    fn outputs(&mut self, wanted: &Wanted, output: &str) -> Result<Vec<BuiltOutput>, Error> {
        let named = match &wanted.outputs {
            Some(names) if names.len() == 1 && self.request.out_link.is_none() => {
                let path = output.lines().last().unwrap_or_default().to_owned();
                vec![(names[0].clone(), path)]
            }
            Some(names) => {
                let path = |name: &String| Ok((name.clone(), self.output(wanted, name)?));
                names.iter().map(path).collect::<Result<_, Error>>()?
            }
            None => self.all_outputs(&wanted.derivation)?,
        };
        let paths: Vec<String> = named.iter().map(|(_, path)| path.clone()).collect();
        // It is built, whatever can be told of its size.
        let infos = self.nix.path_info(None, &paths, false).unwrap_or_default();
        let with_sizes = named.into_iter().map(|(name, path)| {
            let info = infos.iter().find(|info| info.path == path);
            BuiltOutput {
                nar_hash: info.map(|info| info.nar_hash.clone()),
                nar_size: info.map(|info| info.nar_size),
                closure_size: info.and_then(|info| info.closure_size),
                name,
                path,
            }
        });
        Ok(with_sizes.collect())
    }

    /// The path of an output that is there.
    fn output(&self, wanted: &Wanted, name: &str) -> Result<String, Error> {
        let argument = format!("{}!{name}", wanted.derivation);
        let invocation = self.nix.tool(Tool::NixStore, &["--realise"])?.arg(&argument);
        let answer = self.nix.ask(&invocation, &format!("ask for the path of `{argument}`"))?;
        Ok(answer.lines().last().unwrap_or_default().to_owned())
    }

    /// All outputs of a derivation, which are there.
    fn all_outputs(&self, derivation: &str) -> Result<Vec<(String, String)>, Error> {
        let version = self.nix.programs().version(Tool::Nix);
        let installable = match version {
            Some(version) if version < WITH_OUTPUTS => derivation.to_owned(),
            _ => format!("{derivation}^*"),
        };
        let invocation = self.nix.tool(Tool::Nix, &["build", "--no-link", "--json"])?;
        let invocation = invocation.arg(installable);
        let answer = self.nix.ask(&invocation, "ask for the outputs of a derivation")?;
        named_outputs(&answer).ok_or_else(|| {
            Error::outside("cannot understand what `nix build --json` says")
                .hint(format!("this was run: {invocation}"))
        })
    }
}

/// The name of the output of a derivation that lies at `path`: what stands in it behind the name of
/// the derivation.
fn output_of(derivation: &str, path: &str) -> Option<String> {
    let name = |path: &'_ str| Some(path.rsplit('/').next()?.split_once('-')?.1.to_owned());
    let (derivation, output) = (name(derivation.strip_suffix(".drv")?)?, name(path)?);
    match output.strip_prefix(&*derivation)? {
        "" => Some("out".to_owned()),
        rest => rest.strip_prefix('-').map(str::to_owned),
    }
}

/// The derivation and the outputs in what `nix eval` prints.
fn of_package(text: &str) -> Option<(String, Vec<String>)> {
    let value: Value = serde_json::from_str(text).ok()?;
    let derivation = value["drv"].as_str().filter(|path| is_derivation(path))?;
    let names = value["outputs"].as_array()?.iter().map(|name| name.as_str().map(str::to_owned));
    let names = names.collect::<Option<Vec<_>>>().filter(|names| !names.is_empty())?;
    check_outputs(&names).ok()?;
    Some((derivation.to_owned(), names))
}

/// The derivation and the output in what `nix-instantiate` prints.
///
/// Errors: there are several.
fn of_instantiation(text: &str) -> Result<Option<(String, Vec<String>)>, Error> {
    let n_lines = text.lines().count();
    if n_lines > 1 {
        let message = format!("there are {n_lines} derivations, and one is to be built");
        return Err(Error::user(message).hint("name the attribute of one of them"));
    }
    let line = text.lines().next().unwrap_or_default();
    let (path, output) = line.split_once('!').unwrap_or((line, "out"));
    Ok(is_derivation(path).then(|| (path.to_owned(), vec![output.to_owned()])))
}

/// The outputs in what `nix build --json` prints about one derivation.
fn named_outputs(text: &str) -> Option<Vec<(String, String)>> {
    let value: Value = serde_json::from_str(text).ok()?;
    let outputs = value.as_array()?.first()?["outputs"].as_object()?;
    let path = |(name, path): (&String, &Value)| Some((name.clone(), path.as_str()?.to_owned()));
    outputs.iter().map(path).collect()
}

/// The ends of the logs of what is being built. Memory: a few lines for each build that runs.
#[derive(Debug)]
struct Logs {
    most: usize,
    of: HashMap<String, Tail>,
    /// Which said something last.
    last: Option<String>,
}

impl Logs {
    fn new(most: usize) -> Self {
        Self { most, of: HashMap::new(), last: None }
    }

    fn note(&mut self, progress: &Progress) {
        match progress {
            Progress::Log { derivation: Some(derivation), line } => {
                let most = self.most;
                self.of.entry(derivation.clone()).or_default().push(line, most);
                if self.last.as_ref() != Some(derivation) {
                    self.last = Some(derivation.clone());
                }
            }
            // What ended well is of interest only as long as nobody else said anything.
            Progress::Finished { derivation } if self.last.as_ref() != Some(derivation) => {
                self.of.remove(derivation);
            }
            Progress::Started { .. } => {
                let last = self.last.as_deref();
                if self.of.len() > 256 {
                    self.of.retain(|derivation, _| Some(derivation.as_str()) == last);
                }
            }
            _ => {}
        }
    }

    /// The log of `derivation`, or else of the one that said something last.
    fn take(&mut self, derivation: Option<&str>) -> Option<LogTail> {
        let of_it = derivation.and_then(|derivation| self.of.remove(derivation));
        let last = || self.last.as_ref().and_then(|last| self.of.remove(last));
        of_it.or_else(last).map(Tail::into_log)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_named_by_their_paths() {
        let of = |output: &str| output_of("/s/hash-a-1.2.drv", output);
        assert_eq!(of("/s/other-a-1.2").as_deref(), Some("out"));
        assert_eq!(of("/s/other-a-1.2-dev").as_deref(), Some("dev"));
        assert_eq!(of("/s/other-a-1.25"), None);
        assert_eq!(of("/s/other-b"), None);
        assert_eq!(output_of("/s/hash-a", "/s/other-a"), None);
    }

    #[test]
    fn answers_of_evaluation_are_checked() {
        let of = |text| of_package(text).map(|(path, outputs)| format!("{path} {outputs:?}"));
        let answer = r#"{"drv":"/s/a-x.drv","outputs":["out","dev"]}"#;
        assert_eq!(of(answer).as_deref(), Some("/s/a-x.drv [\"out\", \"dev\"]"));
        for text in [
            "",
            "7",
            r#"{"drv":"/s/a-x","outputs":["out"]}"#,
            r#"{"drv":"/s/a-x.drv","outputs":[]}"#,
            r#"{"drv":"/s/a-x.drv","outputs":["a,b"]}"#,
            r#"{"drv":"--gc.drv","outputs":["out"]}"#,
        ] {
            assert_eq!(of(text), None, "{text}");
        }
    }

    #[test]
    fn answers_of_instantiation_are_one_derivation() {
        let of = |text| of_instantiation(text).map_err(|error| error.to_string());
        let path = "/s/a-x.drv".to_owned();
        assert_eq!(of("/s/a-x.drv\n"), Ok(Some((path.clone(), vec!["out".to_owned()]))));
        assert_eq!(of("/s/a-x.drv!dev\n"), Ok(Some((path, vec!["dev".to_owned()]))));
        assert_eq!(of(""), Ok(None));
        let several = "there are 2 derivations, and one is to be built";
        assert_eq!(of("/s/a-x.drv\n/s/b-y.drv\n"), Err(several.to_owned()));
    }

    #[test]
    fn logs_are_those_of_whoever_failed_or_spoke_last() {
        let mut logs = Logs::new(2);
        let mut say = |derivation: &str, line: &str| {
            let (derivation, line) = (Some(derivation.to_owned()), line.to_owned());
            logs.note(&Progress::Log { derivation, line });
        };
        ["1", "2", "3"].into_iter().for_each(|line| say("a", line));
        say("b", "4");
        assert_eq!(logs.take(Some("a")).map(|log| log.lines), Some(vec!["2".into(), "3".into()]));
        assert_eq!(logs.take(None).map(|log| log.n_lines), Some(1));
        assert_eq!(logs.take(None), None);
    }

    #[test]
    fn a_store_out_of_reach_is_told_from_what_fails() {
        for reason in [
            "cannot connect to socket at '/nix/var/nix/daemon-socket/socket': Connection refused",
            "getting status of /nix/var/nix/daemon-socket/socket: Permission denied",
            "getting status of '/nix/var/nix/daemon-socket/socket': Permission denied",
        ] {
            assert!(is_away(reason), "{reason}");
        }
        for reason in ["getting status of /nix/store/x: Permission denied", "builder failed"] {
            assert!(!is_away(reason), "{reason}");
        }
    }
}
