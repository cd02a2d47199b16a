//! What must hold of the table alone, and of the table beside a real Nix.

use std::process::{Command, Output};

use super::*;

#[test]
fn is_sorted_without_doubles() {
    assert!(all().windows(2).all(|pair| pair[0].name < pair[1].name));
}

#[test]
fn every_entry_is_found_by_its_name() {
    for entry in all() {
        assert_eq!(builtin(entry.name), Some(entry));
    }
    for stranger in ["", "_", "a", "zzz", "\u{ff}", "mapAttr", "mapAttrss", "__map", "__"] {
        assert_eq!(builtin(stranger), None, "{stranger}");
    }
}

#[test]
fn params_are_as_many_as_arity() {
    for entry in all() {
        assert_eq!(entry.params.len(), usize::from(entry.arity), "{}", entry.name);
        assert_eq!(entry.kind == BuiltinKind::Constant, entry.arity == 0, "{}", entry.name);
    }
}

#[test]
fn docs_are_sentences_on_one_line() {
    for entry in all() {
        let doc = entry.doc;
        assert!(doc.len() > 20 && doc.ends_with('.'), "{}: {doc}", entry.name);
        assert!(!doc.contains("  ") && !doc.contains('\n'), "{}: {doc}", entry.name);
        assert_eq!(doc.matches('`').count() % 2, 0, "{}: {doc}", entry.name);
    }
}

/// The look-up is as fast as its slots are spread.
#[test]
fn no_name_is_far_from_its_slot() {
    for (at, entry) in all().iter().enumerate() {
        let start = slot_of(entry.name.as_bytes());
        let near = (0..4).any(|step| usize::from(SLOTS[(start + step) % SLOTS.len()]) == at);
        assert!(near, "{}", entry.name);
    }
}

/// An italic word in a doc text is a parameter, so that renaming one cannot leave the text behind.
#[test]
fn docs_name_their_parameters() {
    for entry in all() {
        // Outside of code, what lies between two asterisks is every second piece.
        let prose: String = entry.doc.split('`').step_by(2).collect();
        let italics: Vec<&str> = prose.split('*').skip(1).step_by(2).collect();
        for word in &italics {
            let known = entry.params.contains(word) || (entry.name == "sort" && word.len() == 1);
            assert!(known, "{}: *{word}*", entry.name);
        }
    }
}

#[test]
fn gates_have_names() {
    for entry in all() {
        let needs_name = matches!(entry.binding, Binding::Feature | Binding::Setting);
        assert!(!needs_name || entry.feature.is_some(), "{}", entry.name);
    }
}

#[test]
fn globals_are_plain_or_underscored_never_both() {
    assert_eq!(
        global("map").map(|found| (found.builtin.name, found.underscored)),
        Some(("map", false))
    );
    assert_eq!(
        global("__add").map(|found| (found.builtin.name, found.underscored)),
        Some(("add", true))
    );
    for unbound in ["add", "__map", "__true", "__curPos", "____add", "x", ""] {
        assert_eq!(global(unbound), None, "{unbound}");
    }
    for entry in all().iter().filter(|entry| entry.is_bound(DEFAULT_FEATURES)) {
        let found = global(&entry.global_name()).expect("a bound builtin has a global name");
        assert_eq!(found.builtin, entry);
    }
}

#[test]
fn features_bind_names() {
    assert_eq!(global("__fetchClosure"), None);
    assert!(global_with("__fetchClosure", &["fetch-closure"]).is_some());
    assert!(global_with("fetchTree", &[]).is_none());
    assert!(global_with("fetchTree", &["flakes"]).is_some());
    assert!(global_with("__getFlake", &[]).is_some());
    assert_eq!(global("__exec"), None);
    let exec = global_behind_any_gate("__exec").expect("`exec` is behind a setting");
    assert_eq!(exec.builtin.feature, Some("allow-unsafe-native-code-during-evaluation"));
    assert_eq!(global_behind_any_gate("__fetchFinalTree"), None);
    assert_eq!(global_behind_any_gate("fetchFinalTree"), None);
}

/// Configurations under which the whole table is compared with a real Nix: the text of
/// `NIX_CONFIG`, and what it switches on.
const CONFIGURATIONS: &[(&str, &[&str])] = &[
    ("experimental-features =", &[]),
    ("experimental-features = flakes nix-command pipe-operators", DEFAULT_FEATURES),
    ("experimental-features = fetch-tree", &["fetch-tree"]),
    ("experimental-features = fetch-closure", &["fetch-closure"]),
    ("experimental-features = dynamic-derivations", &["dynamic-derivations"]),
    (
        "experimental-features =\nallow-unsafe-native-code-during-evaluation = true",
        &["allow-unsafe-native-code-during-evaluation"],
    ),
];

#[test]
fn real_nix_has_the_same_set() {
    let Some(nix) = Oracle::find() else { return };
    for (config, enabled) in CONFIGURATIONS {
        let theirs =
            nix.eval(config, "builtins.concatStringsSep \" \" (builtins.attrNames builtins)");
        let ours: Vec<&str> =
            all().iter().filter(|entry| entry.is_bound(enabled)).map(|entry| entry.name).collect();
        assert_eq!(theirs, ours.join(" "), "{config}");
    }
}

#[test]
fn real_nix_binds_the_same_globals() {
    let Some(nix) = Oracle::find() else { return };
    for (config, enabled) in CONFIGURATIONS {
        // All bound names at once in one list: it parses only if each of them is bound.
        let bound: Vec<_> = all()
            .iter()
            .filter(|entry| entry.is_bound(enabled))
            .map(|entry| entry.global_name())
            .collect();
        let output = nix.run(config, &["--parse", "-E", &format!("[ {} ]", bound.join(" "))]);
        assert!(output.status.success(), "{config}: {}", text(&output.stderr));
    }
    // Nix names the first unbound variable only, so the unbound ones are asked for one by one.
    let (config, enabled) = CONFIGURATIONS[1];
    for entry in all() {
        for candidate in [entry.name.to_owned(), format!("__{}", entry.name)] {
            if global_with(&candidate, enabled).is_none() {
                let output = nix.run(config, &["--parse", "-E", &candidate]);
                let wanted = format!("undefined variable '{candidate}'");
                assert!(text(&output.stderr).contains(&wanted), "{candidate} is bound");
            }
        }
    }
}

#[test]
fn pure_evaluation_binds_the_same_globals() {
    let Some(nix) = Oracle::find() else { return };
    let config = "experimental-features = flakes\npure-eval = true";
    let theirs = nix.eval(config, "builtins.concatStringsSep \" \" (builtins.attrNames builtins)");
    let ours: Vec<&str> = all()
        .iter()
        .filter(|entry| entry.is_bound(&["flakes"]) && !entry.impure_only)
        .map(|entry| entry.name)
        .collect();
    assert_eq!(theirs, ours.join(" "));
}

/// A function applied to fewer arguments than its arity is still a function; with all of them it
/// fails (each is a `throw`) or gives something else.
#[test]
fn real_nix_has_the_same_arity() {
    let Some(nix) = Oracle::find() else { return };
    let config = "experimental-features = flakes fetch-closure dynamic-derivations\n\
                  allow-unsafe-native-code-during-evaluation = true";
    // `break` returns its argument unevaluated, and `typeOf` aborts on that (Nix 2.34.8).
    let reachable: Vec<&Builtin> = all()
        .iter()
        .filter(|entry| entry.binding != Binding::Internal && entry.name != "break")
        .collect();
    let names: Vec<String> = reachable.iter().map(|entry| format!("\"{}\"", entry.name)).collect();
    let count = format!(
        "let count = f: n: let type = builtins.tryEval (builtins.typeOf f); in
           if type.success && type.value == \"lambda\" then count (f (throw \"x\")) (n + 1) else n;
         in toString (map (name: count builtins.${{name}} 0) [ {} ])",
        names.join(" ")
    );
    let ours: Vec<String> = reachable.iter().map(|entry| entry.arity.to_string()).collect();
    assert_eq!(nix.eval(config, &count), ours.join(" "));
}

/// A real Nix to compare with, named by the environment.
struct Oracle {
    program: String,
}

impl Oracle {
    /// The `nix-instantiate` that `CIM_NIX_ORACLE` names, if it is 2.34 or newer.
    #[expect(clippy::disallowed_methods, reason = "the tester names the Nix to compare with")]
    fn find() -> Option<Self> {
        let Ok(program) = std::env::var("CIM_NIX_ORACLE") else {
            eprintln!("skipped: CIM_NIX_ORACLE does not name a nix-instantiate of 2.34 or newer");
            return None;
        };
        let nix = Self { program };
        let printed = text(&nix.run("", &["--version"]).stdout);
        let version = printed.trim().rsplit(' ').next().unwrap_or_default();
        let mut numbers = version.split('.').map(|part| part.parse().unwrap_or(0));
        if (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) < (2_u32, 34_u32) {
            eprintln!("skipped: CIM_NIX_ORACLE is `{}`, the table is of 2.34", printed.trim());
            return None;
        }
        Some(nix)
    }

    /// The string that `expression` evaluates to.
    fn eval(&self, config: &str, expression: &str) -> String {
        let output = self.run(config, &["--eval", "--raw", "-E", expression]);
        assert!(output.status.success(), "{config}: {}", text(&output.stderr));
        text(&output.stdout)
    }

    #[expect(clippy::disallowed_methods, reason = "only a real Nix can say what real Nix does")]
    fn run(&self, config: &str, args: &[&str]) -> Output {
        Command::new(&self.program)
            .args(args)
            .env("NIX_REMOTE", "dummy://")
            .env("NIX_CONFIG", config)
            .env_remove("NIX_PATH")
            .output()
            .expect("CIM_NIX_ORACLE names a program that starts")
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
