//! Which formatter a project uses.
//!
//! A project says so in one of many places; the first of these that speaks decides: `treefmt.toml`,
//! treefmt in Nix code, the `formatter` of a flake, Git hooks, `alejandra.toml`. Nix code is read,
//! not evaluated. Where nobody says anything, the files may: a formatter that would leave nearly
//! all of them alone is the one that wrote them ([`vote`]). In the end it is nixfmt, the official
//! style.
//!
//! The command line and `cim-nix.toml` come before all of that; whoever reads them makes a
//! [`Decision`] of its own.

mod editorconfig;
mod glob;
mod hooks;
mod nix_code;
mod treefmt;
mod vote;

use std::path::{Path, PathBuf};

use cim_nix_project::{EntryKind, Files};

use crate::{Formatter, Options};

pub use treefmt::Filter;
pub use vote::{Ballot, sample, vote};

use self::nix_code::Sources;

/// Settings of tools are small; a larger file is something else.
const MAX_SETTINGS: u64 = 1 << 20;

/// What decided on a formatter. In the order in which they are asked.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Rule {
    /// The command line or the editor.
    Asked,
    /// `cim-nix.toml`.
    Settings,
    /// `treefmt.toml` or `.treefmt.toml`.
    TreefmtToml,
    /// treefmt in Nix code.
    TreefmtNix,
    /// The `formatter` of a flake.
    Flake,
    /// Hooks of Git.
    Hooks,
    /// A settings file of one formatter.
    OwnFile,
    /// How the files look.
    Evidence,
    /// Nothing.
    Default,
}

impl Rule {
    /// A stable word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Settings => "settings",
            Self::TreefmtToml => "treefmt-toml",
            Self::TreefmtNix => "treefmt-nix",
            Self::Flake => "flake-formatter",
            Self::Hooks => "hooks",
            Self::OwnFile => "own-file",
            Self::Evidence => "evidence",
            Self::Default => "default",
        }
    }
}

/// Which formatter it is, and why.
#[derive(Clone, PartialEq, Debug)]
pub struct Decision {
    /// The formatter.
    pub formatter: Formatter,
    /// How it is told to format.
    pub options: Options,
    /// What decided.
    pub rule: Rule,
    /// Why, for people: what is written where.
    pub because: String,
    /// The folder that the patterns of `filter` begin at.
    pub folder: PathBuf,
    /// Which files are formatted at all.
    pub filter: Filter,
    /// What people should know: settings that are not obeyed.
    pub notes: Vec<String>,
}

impl Decision {
    /// A decision without options, for all files below `folder`.
    #[must_use]
    pub fn new(
        formatter: Formatter,
        rule: Rule,
        because: impl Into<String>,
        folder: &Path,
    ) -> Self {
        Self {
            formatter,
            options: Options::default(),
            rule,
            because: because.into(),
            folder: folder.to_path_buf(),
            filter: Filter::default(),
            notes: Vec::new(),
        }
    }

    /// Whether the file at `path` is formatted.
    #[must_use]
    pub fn takes(&self, path: &Path) -> bool {
        let inside = path.strip_prefix(&self.folder).unwrap_or(path);
        self.filter.takes(&inside.to_string_lossy())
    }
}

/// What the project at `root`, or one around it in the same repository, says about its formatter.
///
/// May block: reads settings and the Nix files that `flake.nix` leads to, a few dozen at most.
#[must_use]
pub fn declared(files: &dyn Files, root: &Path) -> Option<Decision> {
    folders(files, root).into_iter().find_map(|folder| declared_in(files, folder))
}

/// What is left when neither the project nor its files say anything: nixfmt, with the options of an
/// `.editorconfig` that speaks of Nix files.
#[must_use]
pub fn fallback(files: &dyn Files, root: &Path) -> Decision {
    let because = "nothing says otherwise, and nixfmt is the official style";
    let mut decision = Decision::new(Formatter::Nixfmt, Rule::Default, because, root);
    decision.options = options_for(files, root, &Formatter::Nixfmt);
    decision
}

/// The options of an `.editorconfig` for a formatter that no one told any.
#[must_use]
pub fn options_for(files: &dyn Files, root: &Path, formatter: &Formatter) -> Options {
    match formatter {
        Formatter::Nixfmt => editorconfig::options(files, &folders(files, root)),
        _ => Options::default(),
    }
}

/// What the build files of a project call, where that is one formatter only: weak evidence.
#[must_use]
pub fn hint(files: &dyn Files, root: &Path) -> Option<Formatter> {
    folders(files, root).into_iter().find_map(|folder| hooks::build_files(files, folder))
}

/// `root` and the folders above it, up to the one that holds the repository.
fn folders<'p>(files: &dyn Files, root: &'p Path) -> Vec<&'p Path> {
    let is_repository = |folder: &&Path| files.kind(&folder.join(".git")).is_ok();
    match root.ancestors().position(|folder| is_repository(&folder)) {
        Some(at) => root.ancestors().take(at + 1).collect(),
        None => vec![root],
    }
}

fn declared_in(files: &dyn Files, folder: &Path) -> Option<Decision> {
    if let Some(found) = treefmt_toml(files, folder) {
        return Some(found);
    }
    let sources = Sources::read(files, folder);
    sources
        .treefmt()
        .or_else(|| sources.flake_formatter())
        .or_else(|| sources.hooks())
        .or_else(|| hooks::pre_commit(files, folder))
        .or_else(|| own_file(files, folder))
}

fn treefmt_toml(files: &dyn Files, folder: &Path) -> Option<Decision> {
    let (name, text) = ["treefmt.toml", ".treefmt.toml"]
        .into_iter()
        .find_map(|name| Some((name, read_settings(files, &folder.join(name))?)))?;
    let found = treefmt::read(&text)?;
    let because = format!(
        "`{name}:{}` runs {} on `{}`",
        found.line,
        found.formatter,
        found.filter.includes.join("`, `")
    );
    let mut decision = Decision::new(found.formatter, Rule::TreefmtToml, because, folder);
    decision.options = found.options;
    decision.filter = found.filter;
    let note = |word: &String| {
        let table = &found.name;
        format!("`{word}` among the options of `[formatter.{table}]` in `{name}` is not obeyed")
    };
    decision.notes = found.unknown.iter().map(note).collect();
    Some(decision)
}

fn own_file(files: &dyn Files, folder: &Path) -> Option<Decision> {
    let name = ["alejandra.toml", ".alejandra.toml"]
        .into_iter()
        .find(|name| files.kind(&folder.join(name)) == Ok(EntryKind::File))?;
    let because = format!("there is an `{name}`");
    let mut decision = Decision::new(Formatter::Alejandra, Rule::OwnFile, because, folder);
    decision.notes.push(format!(
        "`{name}` is for alejandra 4; the `alejandra` that runs must be that version to obey it"
    ));
    Some(decision)
}

/// The text of a settings file, if there is one.
fn read_settings(files: &dyn Files, path: &Path) -> Option<String> {
    files.read(path, MAX_SETTINGS).ok()
}

#[cfg(test)]
mod tests;
