//! `.pre-commit-config.yaml` and the files that build a project.

use std::path::Path;

use cim_nix_project::Files;

use super::{Decision, Rule, read_settings};
use crate::Formatter;

/// The hook that formats Nix files.
pub(super) fn pre_commit(files: &dyn Files, folder: &Path) -> Option<Decision> {
    let name = ".pre-commit-config.yaml";
    let text = read_settings(files, &folder.join(name))?;
    let (at, id, formatter) = text.lines().enumerate().find_map(|(at, line)| {
        let item = line.trim().trim_start_matches("- ").trim_start().trim_end_matches(',');
        // What git-hooks.nix writes is JSON.
        let id = item.strip_prefix("id:").or_else(|| item.strip_prefix("\"id\":"))?;
        let id = id.trim().trim_matches(['"', '\'']);
        Some((at + 1, id.to_owned(), Formatter::named(id)?))
    })?;
    let because = format!("`{name}:{at}` has the hook `{id}`");
    Some(Decision::new(formatter, Rule::Hooks, because, folder))
}

const BUILD_FILES: &[&str] =
    &["justfile", "Justfile", ".justfile", "Makefile", "makefile", "GNUmakefile", ".gitlab-ci.yml"];

/// The one formatter that the files which build and check a project call.
pub(super) fn build_files(files: &dyn Files, folder: &Path) -> Option<Formatter> {
    let workflows = folder.join(".github/workflows");
    let mut paths: Vec<_> = BUILD_FILES.iter().map(|name| folder.join(name)).collect();
    // A folder that is not there has no entries.
    let _ = files.list(&workflows, &mut |name, _| paths.push(workflows.join(name)));
    let mut found: Vec<Formatter> = Vec::new();
    for text in paths.iter().filter_map(|path| read_settings(files, path)) {
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        for word in text.split(|c| !is_part(c)) {
            let formatter = Formatter::named(word);
            found.extend(formatter.filter(|it| !found.contains(it)));
        }
    }
    let [only] = found.as_slice() else { return None };
    Some(only.clone())
}
