//! Writes the files that are made from code, and says which of them are out of date.
//!
//! A generator returns whole files and writes nothing, so that writing and checking cannot differ.
//! Generated files are committed: a reader of the repository needs no build to read them.

use std::fs;
use std::io::ErrorKind;
use std::process::Command;

use cim_nix_analysis::{FixKind, RuleDoc};

use crate::Result;
use crate::repo::Repo;
use crate::{domain, process, steps};

/// Makes some of the repository's files.
struct Generator {
    name: &'static str,
    /// The folder in which every file is made by this generator, so that a file it no longer makes
    /// is found and removed.
    owns: Option<&'static str>,
    run: fn(&Repo) -> Result<Vec<Generated>>,
}

/// A file as it should be.
#[derive(Debug, PartialEq)]
pub(crate) struct Generated {
    /// Relative to the root of the repository.
    pub(crate) path: String,
    pub(crate) text: String,
}

const GENERATORS: &[Generator] = &[
    Generator { name: "steps of `cargo xtask test`", owns: None, run: list_of_steps },
    Generator { name: "pages of the rules", owns: Some("docs/rules"), run: rule_pages },
    Generator { name: "schemas of messages", owns: Some(domain::SCHEMAS), run: domain::schemas },
    Generator {
        name: "pictures of aggregates",
        owns: Some(domain::PICTURES),
        run: domain::pictures,
    },
    Generator { name: "pages of the domain", owns: None, run: domain::pages },
    Generator { name: "OpenAPI document", owns: None, run: openapi },
];

/// What the server prints of itself.
///
/// It is built and asked instead of linked: linked, it would bring a server's dependencies to every
/// `cargo xtask`. The whole workspace is named so that its dependencies have the features that they
/// have in the tests, and are built once for both.
fn openapi(repo: &Repo) -> Result<Vec<Generated>> {
    const PROGRAM: &str = "cim-nix-server";
    let mut cargo = repo.cargo();
    cargo.args(["build", "--quiet", "--workspace", "--bin", PROGRAM]);
    process::quiet(&mut cargo)?;
    let mut server = Command::new(repo.target_dir().join("debug").join(PROGRAM));
    let text = process::output(server.arg("openapi"))?;
    Ok(vec![Generated { path: "docs/openapi.json".to_owned(), text }])
}

/// One page a rule and an index, from the rules' own texts.
fn rule_pages(_: &Repo) -> Result<Vec<Generated>> {
    let mut index = String::from(
        "# Rules\n\n| code | name | by default | fix | |\n| --- | --- | --- | --- | --- |\n",
    );
    let mut pages = Vec::new();
    for rule in cim_nix_analysis::all() {
        let doc = RuleDoc::of(rule);
        let by_default = if rule.is_default { "on" } else { "off" };
        let fix = match rule.fix {
            FixKind::None => "",
            FixKind::Safe => "safe",
            FixKind::Unsafe => "unsafe",
        };
        let summary = doc.summary.replace('\n', " ").replace('|', "\\|");
        index.push_str(&format!(
            "| [{0}]({1}.md) | `{1}` | {by_default} | {fix} | {summary} |\n",
            rule.code, rule.name
        ));
        let path = format!("docs/rules/{}.md", rule.name);
        pages.push(Generated { path, text: RuleDoc::page(rule) });
    }
    pages.push(Generated { path: "docs/rules/README.md".to_owned(), text: index });
    Ok(pages)
}

fn list_of_steps(repo: &Repo) -> Result<Vec<Generated>> {
    let path = "CONTRIBUTING.md".to_owned();
    let text = read(repo, &path)?.ok_or_else(|| format!("{path} is missing"))?;
    let steps = format!("```text\n{}```\n", steps::list());
    Ok(vec![Generated { text: replace_block(&text, "steps", &steps)?, path }])
}

/// Brings every generated file up to date and says what it changed.
pub(crate) fn write(repo: &Repo) -> Result<()> {
    for change in all_changes(repo)? {
        let path = repo.path(change.path());
        let parent = path.parent().ok_or("a generated file has no folder")?;
        let done = match &change {
            Change::Write(file) => {
                fs::create_dir_all(parent).and_then(|()| fs::write(&path, &file.text))
            }
            Change::Remove(_) => fs::remove_file(&path),
        };
        done.map_err(|error| format!("cannot {}: {error}", change.task()))?;
        println!("done: {}", change.task());
    }
    Ok(())
}

/// Fails if a generated file is not what its generator would write.
pub(crate) fn check(repo: &Repo) -> Result<()> {
    let changes = all_changes(repo)?;
    if changes.is_empty() {
        return Ok(());
    }
    let tasks: Vec<String> = changes.iter().map(|change| format!("  {}", change.task())).collect();
    Err(format!("`cargo xtask codegen` has work to do:\n{}", tasks.join("\n")))
}

/// What brings one file up to date.
#[derive(Debug, PartialEq)]
enum Change {
    Write(Generated),
    Remove(String),
}

impl Change {
    fn path(&self) -> &str {
        match self {
            Self::Write(file) => &file.path,
            Self::Remove(path) => path,
        }
    }

    fn task(&self) -> String {
        match self {
            Self::Write(file) => format!("write {}", file.path),
            Self::Remove(path) => format!("remove {path}, which nothing generates any more"),
        }
    }
}

fn all_changes(repo: &Repo) -> Result<Vec<Change>> {
    let files = repo.files()?;
    let mut all = Vec::new();
    for generator in GENERATORS {
        let made = (generator.run)(repo)
            .map_err(|message| format!("cannot generate the {}: {message}", generator.name))?;
        let owned: Vec<String> =
            files.iter().filter(|path| generator.owns(path)).cloned().collect();
        all.extend(changes(made, owned, |path| read(repo, path))?);
    }
    Ok(all)
}

impl Generator {
    fn owns(&self, path: &str) -> bool {
        self.owns
            .is_some_and(|dir| path.strip_prefix(dir).is_some_and(|rest| rest.starts_with('/')))
    }
}

/// Compares what should be with what is: `owned` are the present files of the generator's folder.
fn changes(
    made: Vec<Generated>,
    mut owned: Vec<String>,
    present: impl Fn(&str) -> Result<Option<String>>,
) -> Result<Vec<Change>> {
    let mut changes = Vec::new();
    for file in made {
        owned.retain(|path| *path != file.path);
        if present(&file.path)?.as_ref() != Some(&file.text) {
            changes.push(Change::Write(file));
        }
    }
    changes.extend(owned.into_iter().map(Change::Remove));
    Ok(changes)
}

/// Returns a file's text, none if there is no such file.
fn read(repo: &Repo, path: &str) -> Result<Option<String>> {
    match fs::read_to_string(repo.path(path)) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("cannot read {path}: {error}")),
    }
}

/// Replaces what stands between the two marks of the block `name` in a Markdown text.
pub(crate) fn replace_block(text: &str, name: &str, block: &str) -> Result<String> {
    let start = format!("<!-- generated by `cargo xtask codegen`: {name} -->\n");
    let end = "<!-- end of generated text -->";
    let (before, rest) =
        text.split_once(&start).ok_or_else(|| format!("no line `{}`", start.trim()))?;
    let (_, after) = rest.split_once(end).ok_or_else(|| format!("no line `{end}` after it"))?;
    Ok(format!("{before}{start}{block}{end}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> Generated {
        Generated { path: path.to_owned(), text: text.to_owned() }
    }

    #[test]
    fn only_what_differs_changes() {
        let made =
            vec![file("d/same.md", "same"), file("d/old.md", "new"), file("d/new.md", "new")];
        let owned = ["d/same.md", "d/old.md", "d/gone.md"].map(ToOwned::to_owned).to_vec();
        let present = |path: &str| {
            Ok(match path {
                "d/same.md" => Some("same".to_owned()),
                "d/old.md" => Some("old".to_owned()),
                _ => None,
            })
        };
        assert_eq!(
            changes(made, owned, present).unwrap(),
            [
                Change::Write(file("d/old.md", "new")),
                Change::Write(file("d/new.md", "new")),
                Change::Remove("d/gone.md".to_owned()),
            ]
        );
    }

    #[test]
    fn a_generator_owns_its_folder_and_no_neighbour() {
        let generator = Generator { name: "x", owns: Some("docs/rules"), run: |_| Ok(Vec::new()) };
        assert!(generator.owns("docs/rules/a.md"));
        assert!(!generator.owns("docs/rules-old/a.md"));
    }

    #[test]
    fn a_block_keeps_what_is_around_it() {
        let text = "a\n<!-- generated by `cargo xtask codegen`: x -->\nold\n<!-- end of generated text -->\nb\n";
        let new = replace_block(text, "x", "new\n").unwrap();
        assert_eq!(new, text.replace("old", "new"));
        assert_eq!(replace_block(&new, "x", "new\n").unwrap(), new);
        assert!(
            replace_block("a\n", "x", "new\n").unwrap_err().starts_with("no line `<!-- generated")
        );
    }
}
