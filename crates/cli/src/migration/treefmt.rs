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
    for (formatter, value) in formatters.into_iter().flatten() {
        let Some(entry) = value.get_ref().as_table() else { continue };
        let list = |key| entry.get(key).map(|it| strings(it.get_ref())).unwrap_or_default();
        let command = entry.get("command").and_then(|it| it.get_ref().as_str());
        let program = command.unwrap_or(formatter.get_ref());
        if given.call(program, name, list("options")) {
            for pattern in list("excludes") {
                given.remarks.push(format!(
                    "{name} excludes `{pattern}` for {}: `exclude` here is for all rules",
                    formatter.get_ref()
                ));
            }
        }
    }
    Ok(())
}
