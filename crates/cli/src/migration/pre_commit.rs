//! `.pre-commit-config.yaml`: which tools its hooks call, and how.

use cim_nix_base::Error;

use super::Given;
use super::yaml::{self, Yaml};

/// Adds the calls in the configuration of pre-commit.
///
/// Errors: it is no YAML.
pub(super) fn read(name: &str, text: &str, given: &mut Given) -> Result<(), Error> {
    let config = yaml::parse(text).map_err(|why| Error::config(format!("{name}: {why}")))?;
    let hooks = config.get("repos").items().iter().flat_map(|repo| repo.get("hooks").items());
    for hook in hooks {
        let Some(id) = hook.get("id").text() else { continue };
        // A hook of one's own says what to run, flags first; generated ones have a long path.
        let entry = hook.get("entry").text().unwrap_or(id);
        let mut words = entry.split_whitespace();
        let program = words.next().unwrap_or(id);
        let args = hook.get("args").items().iter().filter_map(Yaml::text);
        let flags: Vec<String> = words.chain(args).map(str::to_owned).collect();
        let is_tool = given.call(program, name, flags.clone()) || given.call(id, name, flags);
        let pattern = hook.get("exclude").text().filter(|pattern| !matches!(*pattern, "" | "^$"));
        if let Some(pattern) = pattern.filter(|_| is_tool) {
            given.remarks.push(format!(
                "{name} excludes `{pattern}` for {id}, a regular expression: write it as a pattern of .gitignore"
            ));
        }
    }
    Ok(())
}
