//! nixf-diagnose: what its diagnostics are called here.

use super::{Call, Plan};

/// Each diagnostic and the rules that find the same.
#[rustfmt::skip]
const DIAGNOSTICS: &[(&str, &[&str])] = &[
    ("sema-unused-def-let", &["DEAD001", "DEAD006"]),
    ("sema-unused-def-lambda-noarg-formal", &["DEAD002", "DEAD003"]),
    ("sema-unused-def-lambda-witharg-formal", &["DEAD002", "DEAD003"]),
    ("sema-unused-def-lambda-witharg-arg", &["DEAD004"]),
    ("sema-extra-rec", &["DEAD008"]),
    ("sema-extra-with", &["DEAD007"]),
    ("sema-undefined-variable", &["COR001"]),
    ("sema-duplicated-attrname", &["COR002"]),
    ("sema-dup-formal", &["COR002"]),
    ("sema-dup-formal-arg", &["COR002"]),
    ("sema-primop-unknown", &["COR004"]),
    ("sema-primop-needs-prefix", &["COR004"]),
    ("sema-primop-removed-prefix", &["STY031"]),
    ("sema-primop-overridden", &["COR005"]),
    ("sema-constant-overridden", &["COR005"]),
    ("parse-redundant-paren", &["STY006"]),
    ("empty-inherit", &["DEAD017"]),
    ("or-identifier", &["COR003"]),
    ("deprecated-url-literal", &["STY004"]),
    ("deprecated-let", &["STY003"]),
    ("path-trailing-slash", &["COR016"]),
    ("merge-diff-rec", &["COR012"]),
    ("let-dynamic", &["SYN009"]),
];

/// Adds what a call of nixf-diagnose means.
pub(super) fn plan(call: &Call, plan: &mut Plan) {
    plan.places.push(call.place.clone());
    let (mut ignored, mut only) = (Vec::new(), Vec::new());
    let mut words = call.flags.iter();
    while let Some(word) = words.next() {
        let (flag, value) = match word.split_once('=') {
            Some((flag, value)) => (flag, Some(value.to_owned())),
            None => (word.as_str(), None),
        };
        match flag {
            "--ignore" | "-i" => ignored.extend(value.or_else(|| words.next().cloned())),
            "--only" => only.extend(value.or_else(|| words.next().cloned())),
            "--auto-fix" => {
                plan.remark("nixf-diagnose --auto-fix: use `cim-nix check --fix`".into());
            }
            _ if flag.starts_with('-') => {
                plan.remark(format!("nixf-diagnose {flag}: this flag is not known here"));
            }
            _ => {}
        }
    }
    let is_off = |name: &str| {
        ignored.iter().any(|word| word == name)
            || !(only.is_empty() || only.iter().any(|word| word == name))
    };
    for (name, codes) in DIAGNOSTICS {
        for code in *codes {
            match is_off(name) {
                true => plan.turn_off(code, format!("nixf-diagnose ignores `{name}`")),
                false => plan.turn_on(code, format!("nixf-diagnose `{name}`")),
            }
        }
    }
    let is_known = |word: &String| DIAGNOSTICS.iter().any(|(name, _)| name == word);
    for word in ignored.iter().chain(&only).filter(|word| !is_known(word)) {
        plan.remark(format!("nixf-diagnose `{word}` finds what no rule here does"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(flags: &str) -> Plan {
        let flags = flags.split_whitespace().map(str::to_owned).collect();
        let mut out = Plan::default();
        plan(&Call { place: "here".to_owned(), flags }, &mut out);
        out
    }

    #[test]
    fn ignored_names_switch_rules_off() {
        let out = planned("--ignore=sema-extra-with -i sema-escaping-with --auto-fix");
        assert!(out.off.contains_key("DEAD007") && out.on.contains_key("DEAD008"));
        let n_remarks = out.remarks.iter().filter(|it| it.starts_with("nixf-diagnose")).count();
        assert!(n_remarks >= 2, "{:?}", out.remarks);
    }

    #[test]
    fn a_rule_for_two_names_stays_while_one_is_wanted() {
        let out = planned("--ignore sema-unused-def-lambda-noarg-formal");
        assert!(out.off.contains_key("DEAD002") && out.on.contains_key("DEAD002"));
    }
}
