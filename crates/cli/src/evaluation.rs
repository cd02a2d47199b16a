//! What the commands that evaluate have in common: settings from options, environment and machine,
//! and how failures are told.

mod configurations;
mod target;

use std::cell::Cell;
use std::env;
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cim_nix_base::Error;
use cim_nix_eval::{EvalError, Evaluation, Handle, Io, Lint, Lints, Settings, Stop, with_stack};
use cim_nix_fetch::{Building, Fetching, RegistryPlace};
use cim_nix_vfs::{Confined, DiskIo};
use clap::Args;

pub(crate) use configurations::{configuration, configuration_groups, configurations};
pub(crate) use target::{Target, target};

use crate::confinement::{self, Confinement};
use crate::exit::Exit;
use crate::nix_conf::{self, NixConf};
use crate::terminal::{self, Out};

/// Options that every command with an evaluation takes.
#[derive(Args, Debug, Default)]
pub(crate) struct EvalArgs {
    /// Look for `<NAME>` in PATH, or for `<PREFIX/…>` with PREFIX=PATH; before NIX_PATH
    #[arg(short = 'I', long = "include", value_name = "PATH", help_heading = "Evaluation")]
    pub(crate) include: Vec<String>,
    /// Give the function at the top an argument: the value of a Nix expression
    #[arg(long, num_args = 2, value_names = ["NAME", "EXPR"], help_heading = "Evaluation")]
    pub(crate) arg: Vec<String>,
    /// Give the function at the top an argument: a string
    #[arg(long, num_args = 2, value_names = ["NAME", "TEXT"], help_heading = "Evaluation")]
    pub(crate) argstr: Vec<String>,
    /// Show everything that was being evaluated when evaluation failed
    #[arg(long, help_heading = "Evaluation")]
    pub(crate) show_trace: bool,
    /// Show the end of it only, whatever the settings say
    #[arg(long, conflicts_with = "show_trace", help_heading = "Evaluation")]
    pub(crate) no_show_trace: bool,
    /// How deeply functions may call each other
    #[arg(long, value_name = "N", help_heading = "Evaluation")]
    pub(crate) max_call_depth: Option<u32>,
    /// Stop when values take more than SIZE, such as 500M or 4G [default: most of what is free]
    #[arg(long, value_name = "SIZE", value_parser = size, help_heading = "Evaluation")]
    pub(crate) max_memory: Option<usize>,
    /// Stop after TIME, such as 30s or 5m
    #[arg(long, value_name = "TIME", value_parser = duration, help_heading = "Evaluation")]
    pub(crate) timeout: Option<Duration>,
    /// Turn experimental features of the language on, separated by blanks
    #[arg(long, value_name = "NAMES", help_heading = "Evaluation")]
    pub(crate) extra_experimental_features: Vec<String>,
    /// Turn on these experimental features of the language and no others, separated by blanks
    #[arg(long, value_name = "NAMES", help_heading = "Evaluation")]
    pub(crate) experimental_features: Option<String>,
    /// What becomes of URLs without quotes
    #[arg(long, value_enum, value_name = "WHAT", help_heading = "Evaluation")]
    pub(crate) lint_url_literals: Option<LintLevel>,
    /// What becomes of paths such as `a/b`, without `./`
    #[arg(long, value_enum, value_name = "WHAT", help_heading = "Evaluation")]
    pub(crate) lint_short_path_literals: Option<LintLevel>,
    /// What becomes of paths such as `/a` and `~/a`
    #[arg(long, value_enum, value_name = "WHAT", help_heading = "Evaluation")]
    pub(crate) lint_absolute_path_literals: Option<LintLevel>,
    /// Use no network: what is not in the cache is missing
    #[arg(long, help_heading = "Evaluation")]
    pub(crate) offline: bool,
    /// Ask for what was downloaded without a known hash, however new it is
    #[arg(long, conflicts_with = "offline", help_heading = "Evaluation")]
    pub(crate) refresh: bool,
    /// Look up names of flakes in the registry at PLACE, a file or URL; nowhere if it is empty
    #[arg(long, value_name = "PLACE", help_heading = "Evaluation")]
    pub(crate) flake_registry: Option<String>,
    /// Accepted, as scripts for Nix give it: the settings of flakes concern building
    #[arg(long, hide = true)]
    pub(crate) accept_flake_config: bool,
    /// Accepted, as scripts for Nix give it: nothing that was evaluated is cached here
    #[arg(long, hide = true)]
    pub(crate) no_eval_cache: bool,
    /// Let flakes use what depends on this machine: its files, environment and time
    #[arg(long, help_heading = "Evaluation")]
    pub(crate) impure: bool,
    /// Build what evaluation has to read (import from derivation) with PROGRAM, which has to know
    /// the options --import and --realise of nix-store [default: nothing is built]
    #[arg(long, value_name = "PROGRAM", help_heading = "Evaluation")]
    pub(crate) build_with: Option<String>,
    /// Set an option of nix.conf
    #[arg(long, num_args = 2, value_names = ["NAME", "VALUE"], help_heading = "Evaluation")]
    pub(crate) option: Vec<String>,
}

/// What becomes of a literal that is legal, but discouraged.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub(crate) enum LintLevel {
    Ignore,
    Warn,
    Fatal,
}

impl From<LintLevel> for Lint {
    fn from(level: LintLevel) -> Self {
        match level {
            LintLevel::Ignore => Self::Ignore,
            LintLevel::Warn => Self::Warn,
            LintLevel::Fatal => Self::Fatal,
        }
    }
}

/// An evaluation's surroundings, before it starts.
#[derive(Clone)]
pub(crate) struct Surroundings {
    pub(crate) settings: Settings,
    fetch: cim_nix_fetch::Settings,
    pub(crate) show_trace: bool,
    pub(crate) folder: PathBuf,
    /// Where derivations and sources are written, if they are.
    pub(crate) store_root: Option<PathBuf>,
    build_with: Option<String>,
    arguments: Vec<(String, String, bool)>,
    /// Whether lock files may hold sources that nothing but a hash fixes.
    pub(crate) allows_dirty_locks: bool,
    /// The first line of what a lock file is committed with, if somebody chose one.
    pub(crate) commit_summary: Option<String>,
}

impl EvalArgs {
    /// Errors: there is no working folder.
    pub(crate) fn surroundings(&self) -> Result<Surroundings, Error> {
        let folder = env::current_dir()
            .map_err(|error| Error::outside("cannot find the working folder").because(error))?;
        // The machine's settings have keys that are not for whoever else asks.
        let bounds = confinement::get();
        let mut conf = match bounds {
            None => NixConf::load(),
            Some(_) => NixConf::default(),
        };
        for (name, value) in bounds.into_iter().flat_map(|bounds| &bounds.setup.nix.options) {
            conf.add(name, value);
        }
        pairs(&self.option).for_each(|(name, value)| conf.add(name, value));
        if let Some(place) = &self.flake_registry {
            conf.add("flake-registry", place);
        }
        if self.refresh {
            conf.add("tarball-ttl", "0");
        }
        if let Some(names) = &self.experimental_features {
            conf.add("experimental-features", names);
        }
        for names in &self.extra_experimental_features {
            conf.add("extra-experimental-features", names);
        }
        let features = conf.words("experimental-features");
        let option = |name: &str| conf.get(name);
        let mut search_path: Vec<(String, String)> =
            self.include.iter().map(|entry| search_entry(entry)).collect();
        if bounds.is_some() {
            search_path.clear();
        } else if let Ok(path) = env::var("NIX_PATH") {
            search_path.extend(split_search_path(&path).map(search_entry));
        } else if let Some(path) = option("nix-path") {
            search_path.extend(path.split_ascii_whitespace().map(search_entry));
        }
        let lint = |flag: Option<LintLevel>, name: &str| {
            if let Some(level) = flag {
                return Ok(level.into());
            }
            let Some(value) = option(name) else { return Ok(Lint::Ignore) };
            let level = <LintLevel as clap::ValueEnum>::from_str(value, false);
            level.map(Lint::from).map_err(|_| {
                Error::user(format!(
                    "option '{name}' has invalid value '{value}' (expected 'ignore', 'warn', or 'fatal')"
                ))
            })
        };
        let lints = Lints {
            url_literals: lint(self.lint_url_literals, "lint-url-literals")?,
            short_path_literals: lint(self.lint_short_path_literals, "lint-short-path-literals")?,
            absolute_path_literals: lint(
                self.lint_absolute_path_literals,
                "lint-absolute-path-literals",
            )?,
        };
        let number = |name: &str| option(name).and_then(|value| value.parse().ok());
        let defaults = Settings::default();
        let settings = Settings {
            search_path,
            home: env::var("HOME").unwrap_or(defaults.home),
            folder: folder.to_string_lossy().into_owned(),
            max_memory: self.max_memory.unwrap_or_else(free_memory).min(values_bound(bounds)),
            max_calls: defaults.max_calls,
            interrupt: defaults.interrupt,
            max_call_depth: self
                .max_call_depth
                .or_else(|| number("max-call-depth"))
                .unwrap_or(defaults.max_call_depth),
            lints,
            features,
            system: option("system").map_or_else(host_system, str::to_owned),
            store_dir: env::var("NIX_STORE_DIR").unwrap_or(defaults.store_dir),
            is_pure: option("pure-eval") == Some("true") && !self.impure,
            current_time: now(),
            parses: None,
        };
        let fetch = self.fetch_settings(&conf);
        let show_trace =
            !self.no_show_trace && (self.show_trace || option("show-trace") == Some("true"));
        let mut arguments = Vec::new();
        let given = [(&self.arg, true), (&self.argstr, false)];
        for (list, is_expression) in given {
            arguments.extend(
                pairs(list).map(|(name, value)| (name.to_owned(), value.to_owned(), is_expression)),
            );
        }
        let timeout = match (self.timeout, bounds.map(Confinement::time_left)) {
            (Some(own), Some(left)) => Some(own.min(left)),
            (own, left) => own.or(left),
        };
        if let Some(timeout) = timeout {
            let interrupt = settings.interrupt.clone();
            // It ends with the program.
            std::thread::spawn(move || {
                std::thread::sleep(timeout);
                interrupt.set(Stop::Timeout);
            });
        }
        let build_with = self.build_with.clone();
        let is_allowed = option("allow-import-from-derivation") != Some("false");
        let build_with = build_with.filter(|_| is_allowed);
        let store_root = None;
        let allows_dirty_locks = option("allow-dirty-locks") == Some("true");
        let commit_summary = option("commit-lock-file-summary").filter(|text| !text.is_empty());
        let commit_summary = commit_summary.map(str::to_owned);
        Ok(Surroundings {
            settings,
            fetch,
            show_trace,
            folder,
            store_root,
            build_with,
            arguments,
            allows_dirty_locks,
            commit_summary,
        })
    }
}

impl EvalArgs {
    fn fetch_settings(&self, conf: &NixConf) -> cim_nix_fetch::Settings {
        let defaults = cim_nix_fetch::Settings::default();
        let mut registries = Vec::new();
        let mut add = |place: String, is_common: bool| {
            registries.push(RegistryPlace { place, is_common });
        };
        let bounds = confinement::get();
        if let Some(home) = nix_conf::config_home() {
            add(home.join("nix/registry.json").to_string_lossy().into_owned(), false);
        }
        add(nix_conf::system_folder().join("registry.json").to_string_lossy().into_owned(), false);
        let global = conf.get("flake-registry");
        let global = global.unwrap_or("https://channels.nixos.org/flake-registry.json");
        if !global.is_empty() {
            add(global.to_owned(), true);
        }
        let token = |pair: &String| {
            let (host, token) = pair.split_once('=')?;
            Some((host.to_owned(), token.to_owned()))
        };
        let base = |kind: &str| {
            let url = env::var(format!("CIM_NIX_{}_URL", kind.to_uppercase())).ok()?;
            Some((kind.to_owned(), url))
        };
        cim_nix_fetch::Settings {
            cache: nix_conf::cache_home().map_or(defaults.cache, |home| home.join("cim-nix")),
            is_offline: self.offline || bounds.is_some_and(|bounds| !bounds.setup.sources.network),
            access_tokens: conf.words("access-tokens").iter().filter_map(token).collect(),
            netrc: match (conf.get("netrc-file"), bounds) {
                (None, Some(_)) => None,
                (named, _) => Some(named.unwrap_or("/etc/nix/netrc").into()),
            },
            registries,
            base_urls: ["github", "gitlab", "sourcehut"].iter().filter_map(|k| base(k)).collect(),
            tarball_ttl: conf
                .get("tarball-ttl")
                .and_then(|seconds| seconds.parse().ok())
                .unwrap_or(defaults.tarball_ttl),
            retries: defaults.retries,
            certificates: Self::certificates(conf),
            allows_dirty: conf.get("allow-dirty") != Some("false"),
            tells_dirty: conf.get("warn-dirty") != Some("false"),
            checks_host: confinement::check_host,
        }
    }
}

impl EvalArgs {
    /// The file with the certificates that HTTPS trusts, where one is named.
    fn certificates(conf: &NixConf) -> Option<PathBuf> {
        let variable = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
        let named = conf.get("ssl-cert-file").map(str::to_owned);
        named.or_else(|| variable("NIX_SSL_CERT_FILE")).map(PathBuf::from)
    }
}

impl Surroundings {
    /// Turns on what flakes need; one is evaluated pure unless somebody says otherwise.
    pub(crate) fn with_flakes(&mut self, is_flake: bool, is_impure: bool) {
        let features = ["flakes", "nix-command", "fetch-tree"].map(str::to_owned);
        self.settings.features.extend(features);
        if is_flake {
            self.settings.is_pure = !is_impure;
        }
    }

    /// Asks for what names and branches stand for, however new the last answer is.
    pub(crate) fn asks_anew(&mut self) {
        self.fetch.tarball_ttl = 0;
    }

    /// A new evaluation, for a thread that was made by [`with_stack`].
    pub(crate) fn start(&self) -> (Evaluation, Around) {
        let (evaluation, around, is_quiet) = self.start_quietly();
        is_quiet.set(false);
        (evaluation, around)
    }

    /// The same, which says nothing before it is told that it may.
    pub(crate) fn start_quietly(&self) -> (Evaluation, Around, Rc<Cell<bool>>) {
        let is_quiet = Rc::new(Cell::new(true));
        let say = {
            let is_quiet = is_quiet.clone();
            Rc::new(move |text: &str| {
                if !is_quiet.get() {
                    terminal::say(text);
                }
            })
        };
        let evaluation = self.start_over(say, |io| io);
        let around = Around { folder: self.folder.clone(), arguments: self.arguments.clone() };
        (evaluation, around, is_quiet)
    }

    /// A new evaluation that sees the world through what `wrap` makes of it, and tells `say` what
    /// it has to say; for a thread that was made by [`with_stack`].
    pub(crate) fn start_over<I: Io + 'static>(
        &self,
        say: Rc<impl Fn(&str) + 'static>,
        wrap: impl FnOnce(Confined<Fetching<Building<DiskIo>>>) -> I,
    ) -> Evaluation {
        let teller = || -> Box<dyn Fn(&str)> {
            let say = say.clone();
            Box::new(move |text| say(text))
        };
        let disk = self.store_root.clone().map_or_else(DiskIo::default, DiskIo::writing_to);
        let building = Building::new(disk, self.build_with.clone(), teller());
        let fetching = Fetching::new(building, self.fetch.clone(), teller());
        let io = wrap(confinement::confined(fetching));
        Evaluation::new(self.settings.clone(), Box::new(io), teller())
    }

    /// Runs `work` with a new evaluation, and reports what went wrong.
    ///
    /// Errors: the machine does not let us.
    pub(crate) fn evaluate(
        self,
        work: impl FnOnce(&Evaluation, &Around, &mut Out) -> Result<(), Box<EvalError>> + Send,
    ) -> Result<Exit, Error> {
        let run = || {
            let mut out = Out::new();
            let (evaluation, around) = self.start();
            let result = work(&evaluation, &around, &mut out);
            let written = out.finish();
            if let Err(error) = result {
                terminal::say(&error.render(self.show_trace));
                return Ok(Exit::Findings);
            }
            written.map(|()| Exit::Clean)
        };
        with_stack(run).map_err(|error| {
            Error::outside("cannot start a thread to evaluate on").because(error)
        })?
    }
}

/// What an evaluation starts from.
pub(crate) struct Around {
    pub(crate) folder: PathBuf,
    arguments: Vec<(String, String, bool)>,
}

impl Around {
    /// The values of `--arg` and `--argstr`.
    pub(crate) fn arguments<'e>(
        &self,
        evaluation: &'e Evaluation,
    ) -> Result<Vec<(String, Handle<'e>)>, Box<EvalError>> {
        let value = |text: &str, is_expression: bool| match is_expression {
            true => evaluation.text(text, &self.folder),
            false => Ok(evaluation.string(text)),
        };
        let given = self.arguments.iter();
        given.map(|(name, text, is)| Ok((name.clone(), value(text, *is)?))).collect()
    }

    /// A path that somebody typed, as Nix has paths.
    pub(crate) fn path(&self, typed: &Path) -> PathBuf {
        let mut path = PathBuf::new();
        for part in self.folder.join(typed).components() {
            match part {
                Component::ParentDir => drop(path.pop()),
                Component::CurDir => {}
                part => path.push(part),
            }
        }
        path
    }
}

/// Where a file that evaluation sees lies on this machine, if it does.
pub(crate) fn local_path(evaluation: &Evaluation, file: &str) -> String {
    let text = evaluation.shown_path(file);
    // A source on this machine is its folder.
    let local = text.strip_prefix('«').and_then(|rest| rest.split_once('»'));
    let local = local.and_then(|(source, rest)| {
        let folder = source.strip_prefix("path:").or_else(|| source.strip_prefix("git+file://"))?;
        Some(format!("{}{rest}", folder.split('?').next().unwrap_or(folder)))
    });
    local.unwrap_or(text)
}

/// Bytes of values for whoever has bounds: the rest of the memory is for what is not counted.
fn values_bound(bounds: Option<&Confinement>) -> usize {
    bounds.map_or(usize::MAX, |bounds| {
        usize::try_from(bounds.setup.bounds.memory / 4 * 3).unwrap_or(usize::MAX)
    })
}

/// Bytes that may be taken without harm to others: nine tenths of what is free.
fn free_memory() -> usize {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let number = line.and_then(|line| line.split_ascii_whitespace().next()?.parse().ok());
    number.map_or(usize::MAX, |kilobytes: usize| kilobytes.saturating_mul(1024) / 10 * 9)
}

/// Bytes: a number, maybe with K, M, G or T behind it.
pub(crate) fn size(text: &str) -> Result<usize, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor: usize = match text[digits.len()..]
        .to_ascii_uppercase()
        .trim_end_matches("IB")
        .trim_end_matches('B')
    {
        "" => 1,
        "K" => 1 << 10,
        "M" => 1 << 20,
        "G" => 1 << 30,
        "T" => 1 << 40,
        _ => return Err("a number with K, M, G or T behind it is wanted".to_owned()),
    };
    let number: usize = digits.parse().map_err(|_| "this is no number of bytes".to_owned())?;
    number.checked_mul(factor).ok_or_else(|| "this is more than there can be".to_owned())
}

/// A time: a number of seconds, or one with ms, s, m or h behind it.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match &text[digits.len()..] {
        "ms" => 1,
        "" | "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err("a number with ms, s, m or h behind it is wanted".to_owned()),
    };
    let number: u64 = digits.parse().map_err(|_| "this is no time".to_owned())?;
    Ok(Duration::from_millis(number.saturating_mul(factor)))
}

fn pairs(list: &[String]) -> impl Iterator<Item = (&str, &str)> {
    list.chunks_exact(2).map(|pair| (pair[0].as_str(), pair[1].as_str()))
}

fn search_entry(entry: &str) -> (String, String) {
    match entry.split_once('=') {
        Some((prefix, path)) => (prefix.to_owned(), path.to_owned()),
        None => (String::new(), entry.to_owned()),
    }
}

/// The entries of NIX_PATH: colons part them, but not those of `https://…`, `flake:…` and so on.
fn split_search_path(path: &str) -> impl Iterator<Item = &str> {
    let mut rest = path;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let mut end = 0;
        loop {
            let Some(colon) = rest[end..].find(':').map(|at| at + end) else {
                return Some(std::mem::take(&mut rest));
            };
            let entry = &rest[..colon];
            let value = entry.rsplit('=').next().unwrap_or(entry);
            let is_scheme =
                rest[colon..].starts_with("://") || matches!(value, "flake" | "channel");
            if !is_scheme {
                rest = &rest[colon + 1..];
                return Some(entry);
            }
            end = colon + 1;
        }
    })
}

/// What Nix calls the system that this program was built for.
fn host_system() -> String {
    let os = match env::consts::OS {
        "macos" => "darwin",
        os => os,
    };
    let arch = match env::consts::ARCH {
        "x86" => "i686",
        arch => arch,
    };
    format!("{arch}-{os}")
}

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colons_of_urls_part_no_search_path() {
        let check = |path: &str, want: &[&str]| {
            assert_eq!(split_search_path(path).collect::<Vec<_>>(), want, "{path}");
        };
        check("", &[]);
        check("a:b=/c", &["a", "b=/c"]);
        check("nixpkgs=https://x.org/a:/b", &["nixpkgs=https://x.org/a", "/b"]);
        check("nixpkgs=flake:nixpkgs:/b", &["nixpkgs=flake:nixpkgs", "/b"]);
    }
}
