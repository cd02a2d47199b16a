//! statix: its configuration file, and what its lints are called here.

use cim_nix_base::{Error, Severity};
use toml::de::{DeTable, DeValue};

use super::{Call, Plan};

/// Each lint and the rule that finds the same; none where no rule does.
#[rustfmt::skip]
const LINTS: &[(&str, &str, Option<&str>)] = &[
    ("W01", "bool_comparison", Some("STY007")),
    ("W02", "empty_let_in", Some("DEAD017")),
    ("W03", "manual_inherit", Some("STY001")),
    ("W04", "manual_inherit_from", Some("STY001")),
    ("W05", "legacy_let_syntax", Some("STY003")),
    ("W06", "collapsible_let_in", Some("STY002")),
    ("W07", "eta_reduction", Some("STY008")),
    ("W08", "useless_parens", Some("STY006")),
    ("W09", "unquoted_splice", None),
    ("W10", "empty_pattern", Some("STY011")),
    ("W11", "redundant_pattern_bind", Some("STY013")),
    ("W12", "unquoted_uri", Some("STY004")),
    ("W13", "deprecated_is_null", None),
    ("W14", "empty_inherit", Some("DEAD017")),
    ("W15", "faster_groupby", None),
    ("W16", "faster_zipattrswith", None),
    ("W17", "deprecated_to_path", Some("STY012")),
    ("W18", "bool_simplification", None),
    ("W19", "useless_has_attr", Some("STY009")),
    ("W20", "repeated_keys", Some("STY010")),
    ("W23", "empty_list_concat", Some("DEAD017")),
];

/// Lints that current versions of statix have no more.
const GONE: [&str; 3] = ["deprecated_is_null", "faster_groupby", "faster_zipattrswith"];

/// What `statix.toml` says.
#[derive(Default)]
pub(super) struct StatixFile {
    disabled: Vec<String>,
    ignore: Vec<String>,
    nix_version: Option<String>,
    unknown: Vec<String>,
}

/// Reads `statix.toml`.
///
/// Errors: it is no TOML.
pub(super) fn parse(text: &str) -> Result<StatixFile, Error> {
    let table = DeTable::parse(text).map_err(|error| {
        Error::config(format!("statix.toml: {}", error.message().trim().replace('\n', ", ")))
    })?;
    let mut file = StatixFile::default();
    for (key, value) in table.get_ref() {
        match &**key.get_ref() {
            "disabled" => file.disabled = strings(value.get_ref()),
            "ignore" => file.ignore = strings(value.get_ref()),
            "nix_version" => file.nix_version = value.get_ref().as_str().map(str::to_owned),
            other => file.unknown.push(other.to_owned()),
        }
    }
    Ok(file)
}

/// The strings in a list; whatever else is in it is left out.
pub(super) fn strings(value: &DeValue<'_>) -> Vec<String> {
    let list = value.as_array().into_iter().flatten();
    list.filter_map(|item| item.get_ref().as_str().map(str::to_owned)).collect()
}

/// Adds what running statix means.
pub(super) fn plan(file: Option<&StatixFile>, calls: &[Call], plan: &mut Plan) {
    plan.places.extend(file.map(|_| "statix.toml".to_owned()));
    plan.places.extend(calls.iter().map(|call| call.place.clone()));
    let none = StatixFile::default();
    let file = file.unwrap_or(&none);
    let is_disabled = |code: &str, name: &str| {
        file.disabled.iter().any(|word| word == name || word.eq_ignore_ascii_case(code))
    };
    for (code, name, ours) in LINTS {
        let is_off = is_disabled(code, name);
        let why = format!("statix `{name}`");
        match ours {
            Some(ours) if is_off => plan.turn_off(ours, format!("{why} is disabled")),
            Some(ours) => {
                plan.turn_on(ours, why);
                let rule = cim_nix_analysis::find(ours);
                if rule.is_some_and(|rule| rule.severity == Severity::Info) {
                    let why = "statix fails on any finding, `check` not on `info`".to_owned();
                    plan.warnings.insert(ours, why);
                }
            }
            None if !is_off && !GONE.contains(name) => {
                plan.remark(format!("{why} finds what no rule here does"));
            }
            None => {}
        }
    }
    for word in &file.disabled {
        let is_known =
            LINTS.iter().any(|(code, name, _)| word == name || word.eq_ignore_ascii_case(code));
        if !is_known {
            plan.remark(format!("statix.toml disables `{word}`, which is no lint of statix"));
        }
    }
    let shared = [("empty_let_in", "W02"), ("empty_inherit", "W14"), ("empty_list_concat", "W23")];
    let n_off = shared.iter().filter(|(name, code)| is_disabled(code, name)).count();
    if (1..shared.len()).contains(&n_off) {
        plan.remark("DEAD017 stands for empty_let_in, empty_inherit and empty_list_concat of statix, of which only some are disabled: it stays on".to_owned());
    }
    if is_disabled("W03", "manual_inherit") != is_disabled("W04", "manual_inherit_from") {
        plan.remark("STY001 stands for manual_inherit and manual_inherit_from of statix, of which one is disabled: it is on".to_owned());
    }
    calls.iter().for_each(|call| flags(&call.flags, plan));
    for pattern in &file.ignore {
        plan.exclude.push((pattern.clone(), "statix `ignore`".to_owned()));
    }
    if let Some(version) = &file.nix_version {
        plan.remark(format!(
            "statix `nix_version = \"{version}\"`: rules here hold for every version"
        ));
    }
    for key in &file.unknown {
        plan.remark(format!("statix.toml has the unknown key `{key}`"));
    }
}

/// Adds what the flags of a call mean.
fn flags(flags: &[String], plan: &mut Plan) {
    let mut option = "";
    for word in flags {
        if let Some((name, value)) = word.split_once('=').filter(|_| word.starts_with("--")) {
            flag(name, Some(value), plan);
            option = "";
        } else if word.starts_with('-') {
            option = word;
            flag(word, None, plan);
        } else if matches!(option, "-i" | "--ignore") {
            // This one takes several values.
            flag(option, Some(word), plan);
        } else if matches!(option, "-c" | "--config") {
            flag(option, Some(word), plan);
            option = "";
        } else {
            option = "";
        }
    }
}

fn flag(name: &str, value: Option<&str>, plan: &mut Plan) {
    match (name, value) {
        ("-i" | "--ignore", Some(pattern)) => {
            plan.exclude.push((pattern.to_owned(), "statix --ignore".to_owned()));
        }
        ("-c" | "--config", Some(path)) => {
            plan.remark(format!(
                "statix --config {path}: only a statix.toml in the folder is read"
            ));
        }
        ("-u" | "--unrestricted", _) => {
            plan.remark("statix --unrestricted: use `cim-nix check --no-ignore`".to_owned());
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lints_are_known_by_code_and_name() {
        let file =
            parse("disabled = [\"W02\", \"empty_inherit\", \"empty_list_concat\", \"x\"]").unwrap();
        let mut out = Plan::default();
        plan(Some(&file), &[], &mut out);
        assert!(out.off.contains_key("DEAD017") && !out.on.contains_key("DEAD017"));
        assert!(
            out.remarks.contains(&"statix.toml disables `x`, which is no lint of statix".into())
        );
    }

    #[test]
    fn a_rule_for_several_lints_stays_on_for_the_others() {
        let file = parse("disabled = [\"empty_let_in\"]\nignore = [\"result\"]").unwrap();
        let mut out = Plan::default();
        plan(Some(&file), &[], &mut out);
        assert!(out.on.contains_key("DEAD017"));
        assert!(out.remarks.iter().any(|remark| remark.starts_with("DEAD017 stands for")));
        assert_eq!(out.exclude[0].0, "result");
    }
}
