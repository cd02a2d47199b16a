//! `.pre-commit-config.yaml`: which tools its hooks call, and how.

use cim_nix_base::Error;

use super::Given;
use super::yaml::{self, Yaml};

/// What is looked for.
const TOOLS: [&str; 3] = ["statix", "deadnix", "nixf-diagnose"];

/// Adds the calls in the configuration of pre-commit.
///
/// Errors: it is no YAML.
pub(super) fn read(name: &str, text: &str, given: &mut Given) -> Result<(), Error> {
    let config = yaml::parse(text).map_err(|why| Error::config(format!("{name}: {why}")))?;
    let hooks = config.get("repos").items().iter().flat_map(|repo| repo.get("hooks").items());
    let mut has_tool = false;
    for hook in hooks {
        let Some(id) = hook.get("id").text() else { continue };
        // A hook of one's own says what to run, flags first; generated ones have a long path.
        let entry = hook.get("entry").text().unwrap_or(id);
        let mut words = entry.split_whitespace();
        let program = words.next().unwrap_or(id);
        let args = hook.get("args").items().iter().filter_map(Yaml::text);
        let words: Vec<&str> = words.chain(args).collect();
        let (program, words) = by_nix(program, &words).unwrap_or((program, &words));
        let flags: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
        let is_tool = given.call(program, name, flags.clone()) || given.call(id, name, flags);
        has_tool |= is_tool;
        let named = TOOLS.iter().find(|tool| entry.contains(**tool));
        if let Some(tool) = named.filter(|_| !is_tool) {
            given.remarks.push(format!(
                "{name} runs `{entry}`, in which the flags of {tool} are not found: give them with --{tool}"
            ));
        }
        let pattern = hook.get("exclude").text().filter(|pattern| !matches!(*pattern, "" | "^$"));
        if let Some(pattern) = pattern.filter(|_| is_tool) {
            given.remarks.push(format!(
                "{name} excludes `{pattern}` for {id}, a regular expression: write it as a pattern of .gitignore"
            ));
        }
    }
    let pattern = config.get("exclude").text().filter(|pattern| !matches!(*pattern, "" | "^$"));
    if let Some(pattern) = pattern.filter(|_| has_tool) {
        given.remarks.push(format!(
            "{name} excludes `{pattern}` for all hooks, a regular expression: write it as a pattern of .gitignore"
        ));
    }
    Ok(())
}

/// The program and its flags in `nix run nixpkgs#PROGRAM -- FLAGS`.
fn by_nix<'w>(program: &str, words: &'w [&'w str]) -> Option<(&'w str, &'w [&'w str])> {
    let is_run = program.rsplit('/').next() == Some("nix") && words.contains(&"run");
    let (_, attribute) = words.iter().filter(|_| is_run).find_map(|word| word.split_once('#'))?;
    let program = attribute.rsplit('.').next().unwrap_or(attribute);
    let end = words.iter().position(|word| *word == "--");
    Some((program, end.map_or(&[], |end| &words[end + 1..])))
}
