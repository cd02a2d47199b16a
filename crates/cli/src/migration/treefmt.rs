//! `treefmt.toml`: which tools it calls, and how.

use cim_nix_base::Error;
use toml::de::DeTable;

use super::Given;
use super::statix::strings;

/// Adds the calls in a `treefmt.toml`.
///
/// Errors: it is no TOML.
pub(super) fn read(name: &str, text: &str, given: &mut Given) -> Result<(), Error> {
    let table = DeTable::parse(text).map_err(|error| {
        Error::config(format!("{name}: {}", error.message().trim().replace('\n', ", ")))
    })?;
    let formatters = table.get_ref().get("formatter").and_then(|it| it.get_ref().as_table());
    let strings_of = |table: &DeTable<'_>, key: &str| {
        table.get(key).map(|it| strings(it.get_ref())).unwrap_or_default()
    };
    let mut global = strings_of(table.get_ref(), "excludes");
    if let Some(section) = table.get_ref().get("global").and_then(|it| it.get_ref().as_table()) {
        global.extend(strings_of(section, "excludes"));
    }
    let mut has_tool = false;
    for (formatter, value) in formatters.into_iter().flatten() {
        let Some(entry) = value.get_ref().as_table() else { continue };
        let list = |key| strings_of(entry, key);
        let command = entry.get("command").and_then(|it| it.get_ref().as_str());
        let program = command.unwrap_or(formatter.get_ref());
        if given.call(program, name, list("options")) {
            has_tool = true;
            for pattern in list("excludes") {
                given.remarks.push(format!(
                    "{name} excludes `{pattern}` for {}: `exclude` here is for all rules",
                    formatter.get_ref()
                ));
            }
        }
    }
    if has_tool {
        let why = format!("{name} excludes it for all");
        given.exclude.extend(global.iter().map(|pattern| (as_gitignore(pattern), why.clone())));
    }
    Ok(())
}

/// A pattern of treefmt, which is about whole paths and whose `*` matches `/`, too, in the language
/// of .gitignore.
fn as_gitignore(pattern: &str) -> String {
    let pattern = pattern.strip_prefix("./").unwrap_or(pattern);
    if pattern.contains('/') {
        return pattern.replace("/*.", "/**/*.");
    }
    if pattern.starts_with('*') { pattern.to_owned() } else { format!("/{pattern}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_the_same() {
        for (theirs, ours) in [
            ("*.lock", "*.lock"),
            ("a.nix", "/a.nix"),
            ("a/*.nix", "a/**/*.nix"),
            ("./a/*", "a/*"),
            ("a/**", "a/**"),
        ] {
            assert_eq!(as_gitignore(theirs), ours);
        }
    }
}
