//! What settings of other tools amount to.
//!
//! [`Given`] is what was found, [`Plan`] what it means in our words. Rules are named by their codes
//! and looked up in the registry: one that is not there becomes a remark. What the other tools know
//! nothing of stays as it is by default.

mod deadnix;
mod nixf;
mod pre_commit;
mod statix;
mod treefmt;
mod yaml;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use cim_nix_base::Error;
use cim_nix_project::{Files as _, Problem};
use cim_nix_vfs::DiskFiles;

use crate::migration::statix::StatixFile;
use crate::scope::shown;
use crate::terminal::one_line;

/// Settings are written by hand; larger files are none.
const MAX_SIZE: u64 = 1 << 20;

/// How a tool is called, and where that stands.
pub(crate) struct Call {
    place: String,
    flags: Vec<String>,
}

/// The settings that were found.
#[derive(Default)]
pub(crate) struct Given {
    statix: Option<StatixFile>,
    statix_calls: Vec<Call>,
    deadnix: Vec<Call>,
    nixf: Vec<Call>,
    /// What is left out for all tools, and where that stands.
    exclude: Vec<(String, String)>,
    remarks: Vec<String>,
}

impl Given {
    /// Reads the settings in `folder`.
    ///
    /// Errors: a file cannot be read, or is not what its name says.
    pub(crate) fn read(folder: &Path) -> Result<Self, Error> {
        let mut given = Self::default();
        if let Some(text) = text(&folder.join("statix.toml"))? {
            given.statix = Some(statix::parse(&text)?);
        }
        for name in ["treefmt.toml", ".treefmt.toml"] {
            if let Some(text) = text(&folder.join(name))? {
                treefmt::read(name, &text, &mut given)?;
            }
        }
        for name in [".pre-commit-config.yaml", ".pre-commit-config.yml"] {
            if let Some(text) = text(&folder.join(name))? {
                pre_commit::read(name, &text, &mut given)?;
            }
        }
        Ok(given)
    }

    /// Adds a call of deadnix.
    pub(crate) fn deadnix(&mut self, place: &str, flags: Vec<String>) {
        self.deadnix.push(Call { place: place.to_owned(), flags });
    }

    /// Adds a call of statix.
    pub(crate) fn statix(&mut self, place: &str, flags: Vec<String>) {
        self.statix_calls.push(Call { place: place.to_owned(), flags });
    }

    /// Adds a call of nixf-diagnose.
    pub(crate) fn nixf(&mut self, place: &str, flags: Vec<String>) {
        self.nixf.push(Call { place: place.to_owned(), flags });
    }

    /// Adds a call of the tool that a program's name tells, if it is one of those.
    fn call(&mut self, program: &str, place: &str, flags: Vec<String>) -> bool {
        let program = program.rsplit('/').next().unwrap_or(program);
        match program {
            "deadnix" => self.deadnix(place, flags),
            "nixf-diagnose" => self.nixf(place, flags),
            "statix" => self.statix(place, flags),
            _ => return false,
        }
        true
    }

    /// Whether no tool's settings were found.
    pub(crate) fn is_empty(&self) -> bool {
        let calls = [&self.statix_calls, &self.deadnix, &self.nixf];
        self.statix.is_none() && calls.iter().all(|calls| calls.is_empty())
    }
}

/// The text of a file, if it is there.
fn text(path: &Path) -> Result<Option<String>, Error> {
    match DiskFiles.read(path, MAX_SIZE) {
        Ok(text) => Ok(Some(text)),
        Err(Problem::Missing) => Ok(None),
        Err(problem) => {
            Err(Error::config(format!("cannot read the settings in `{}`: {problem}", shown(path))))
        }
    }
}

/// What the settings mean.
#[derive(Default)]
pub(crate) struct Plan {
    /// Rules that some tool runs, and by which name.
    on: BTreeMap<&'static str, BTreeSet<String>>,
    /// Rules that a tool was told not to run.
    off: BTreeMap<&'static str, BTreeSet<String>>,
    exclude: Vec<(String, String)>,
    /// Rules whose findings are to be warnings, which fail a run, and why.
    warnings: BTreeMap<&'static str, String>,
    /// What has no counterpart.
    remarks: Vec<String>,
    /// Where all that stands.
    places: Vec<String>,
}

impl Plan {
    /// What `given` means.
    pub(crate) fn of(given: &Given) -> Self {
        let mut plan = Self { remarks: given.remarks.clone(), ..Self::default() };
        if given.statix.is_some() || !given.statix_calls.is_empty() {
            statix::plan(given.statix.as_ref(), &given.statix_calls, &mut plan);
        }
        for call in &given.deadnix {
            deadnix::plan(call, &mut plan);
        }
        for call in &given.nixf {
            nixf::plan(call, &mut plan);
        }
        plan.exclude.extend(given.exclude.iter().cloned());
        plan
    }

    fn turn_on(&mut self, code: &'static str, why: String) {
        self.turn(code, why, true);
    }

    fn turn_off(&mut self, code: &'static str, why: String) {
        self.turn(code, why, false);
    }

    fn turn(&mut self, code: &'static str, why: String, is_on: bool) {
        if cim_nix_analysis::find(code).is_none() {
            // What is not there need not be switched off.
            if is_on {
                self.remark(format!("{why}: this version has no rule {code}"));
            }
            return;
        }
        let rules = if is_on { &mut self.on } else { &mut self.off };
        rules.entry(code).or_default().insert(why);
    }

    fn remark(&mut self, text: String) {
        if !self.remarks.contains(&text) {
            self.remarks.push(text);
        }
    }

    /// The plan as a `cim-nix.toml`.
    pub(crate) fn text(&self) -> String {
        let mut out = format!("# Written by `cim-nix migrate-config` from {}.\n", self.from());
        out.push_str(
            "# Rules that those tools do not have stay as they are by default.\n\n[check]\n",
        );
        let is_default = |code: &str| cim_nix_analysis::find(code).is_some_and(|it| it.is_default);
        let more = self.on.iter().filter(|(code, _)| !is_default(code));
        out.push_str(&rules("extend-select", more));
        let fewer = self.off.iter();
        let fewer = fewer.filter(|(code, _)| is_default(code) && !self.on.contains_key(*code));
        out.push_str(&rules("ignore", fewer));
        if !self.exclude.is_empty() {
            out.push_str("exclude = [\n");
            for (pattern, why) in &self.exclude {
                let _ = writeln!(out, "  {}, # {}", quoted(pattern), one_line(why));
            }
            out.push_str("]\n");
        }
        let weak = self.warnings.iter().filter(|(code, _)| self.on.contains_key(*code));
        let weak: Vec<_> = weak.collect();
        if !weak.is_empty() {
            out.push_str("\n[check.severity]\n");
        }
        for (code, why) in weak {
            let _ = writeln!(out, "{code} = \"warning\" # {}", one_line(why));
        }
        if !self.remarks.is_empty() {
            out.push_str("\n# What has no counterpart here, or needs a look:\n");
            for remark in &self.remarks {
                let _ = writeln!(out, "# * {}", one_line(remark));
            }
        }
        out
    }

    fn from(&self) -> String {
        let places: BTreeSet<String> = self.places.iter().map(|place| one_line(place)).collect();
        let places: Vec<String> = places.into_iter().collect();
        match places.as_slice() {
            [] => "nothing".to_owned(),
            [one] => one.clone(),
            [first @ .., last] => format!("{} and {last}", first.join(", ")),
        }
    }
}

fn rules<'p>(
    key: &str,
    codes: impl Iterator<Item = (&'p &'static str, &'p BTreeSet<String>)>,
) -> String {
    let mut out = String::new();
    for (code, why) in codes {
        let why: Vec<&str> = why.iter().map(String::as_str).collect();
        let name = cim_nix_analysis::find(code).map_or("", |rule| rule.name);
        let why = one_line(&why.join(", "));
        let _ = writeln!(out, "  \"{code}\", # {name}: {why}");
    }
    if out.is_empty() {
        return out;
    }
    format!("{key} = [\n{out}]\n")
}

/// `text` as a string of TOML, which JSON's strings are, but for one character.
fn quoted(text: &str) -> String {
    crate::output::json_text(text).replace('\u{7f}', "\\u007f")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_that_are_not_there_are_remarks() {
        let mut plan = Plan::default();
        plan.turn_on("ZZZ999", "statix `some_lint`".to_owned());
        assert_eq!(plan.remarks, ["statix `some_lint`: this version has no rule ZZZ999"]);
        assert!(plan.on.is_empty());
    }

    #[test]
    fn what_one_tool_runs_is_not_switched_off_for_another() {
        let mut plan = Plan::default();
        plan.turn_off("DEAD002", "deadnix -L".to_owned());
        assert!(
            plan.text().contains("ignore = [\n  \"DEAD002\", # unused-formal: deadnix -L\n]\n")
        );
        plan.turn_on("DEAD002", "nixf".to_owned());
        assert!(!plan.text().contains("DEAD002"));
    }

    #[test]
    fn nothing_breaks_out_of_a_string_or_a_comment() {
        let mut plan = Plan::default();
        plan.exclude.push(("a\"\n\u{7f}".to_owned(), "b\nc = 1".to_owned()));
        plan.remark("d\ne = 1".to_owned());
        assert!(plan.text().contains("  \"a\\\"\\n\\u007f\", # b c = 1\n"));
        assert!(plan.text().ends_with("# * d e = 1\n"));
    }
}
