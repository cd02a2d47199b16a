//! The module set of `fixtures/modules`, asked in every way.

use std::path::Path;

use cim_nix_eval::{EvalError, Evaluation, Format, Handle, MemoryIo, Settings, with_stack};
use expect_test::{Expect, expect};
use serde_json::{Value, json};

use crate::{Base, OptionDoc, Part, Pattern, Request, Source, document, tree_of};

macro_rules! fixture {
    ($name:literal) => {
        (concat!("/p/", $name), include_str!(concat!("../../../fixtures/modules/", $name)))
    };
}

fn files() -> MemoryIo {
    let files = [
        fixture!("lib/default.nix"),
        fixture!("lib/modules.nix"),
        fixture!("lib/options.nix"),
        fixture!("lib/types.nix"),
        fixture!("service.nix"),
        fixture!("host.nix"),
    ];
    files.into_iter().fold(MemoryIo::new(), |io, (path, text)| io.with_file(path, text))
}

fn with_evaluation<T: Send>(
    work: impl FnOnce(&Evaluation) -> Result<T, Box<EvalError>> + Send,
) -> Result<T, Box<EvalError>> {
    let run = || {
        let settings = Settings { max_memory: 1 << 30, ..Settings::default() };
        work(&Evaluation::new(settings, Box::new(files()), Box::new(|_| {})))
    };
    with_stack(run).unwrap()
}

fn text<'e>(evaluation: &'e Evaluation, text: &str) -> Result<Handle<'e>, Box<EvalError>> {
    evaluation.text(text, Path::new("/p"))
}

/// The options of the fixture's service, of the host where `modules` says so.
fn asked(modules: &[&str], request: &Request) -> Result<Vec<OptionDoc>, Box<EvalError>> {
    with_evaluation(|evaluation| {
        let modules = modules.iter().map(|module| text(evaluation, module));
        let source = Source {
            base: Base::Nothing { nixpkgs: text(evaluation, "/p")? },
            modules: modules.collect::<Result<_, _>>()?,
            arguments: Vec::new(),
            system: "x86_64-linux".to_owned(),
        };
        document(evaluation, source.tree(evaluation)?, request)
    })
}

fn request(patterns: &[&str]) -> Request {
    let patterns = patterns.iter().map(|text| Pattern::parse(text).unwrap()).collect();
    Request { patterns, ..Request::default() }
}

fn names(rows: &[OptionDoc]) -> Vec<&str> {
    rows.iter().map(|row| row.name.as_str()).collect()
}

fn as_json(row: &OptionDoc) -> Value {
    let mut fields = json!({
        "name": row.name,
        "loc": row.loc,
        "description": row.description.as_ref().map(crate::Text::to_json),
        "declarations": row.declarations,
        "internal": row.internal,
        "visible": row.visible,
        "readOnly": row.read_only,
        "type": row.type_,
    });
    let mut set = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            fields[name] = value;
        }
    };
    set("default", row.default.as_ref().map(crate::Text::to_json));
    set("example", row.example.as_ref().map(crate::Text::to_json));
    set("relatedPackages", row.related_packages.clone());
    fields
}

#[test]
fn rows_are_those_of_the_library() {
    let all = Request { hidden: true, ..request(&["services", "_module"]) };
    let rows = asked(&["./service.nix"], &all).unwrap();
    let ours: Vec<Value> = rows.iter().map(as_json).collect();
    let theirs = with_evaluation(|evaluation| {
        let list = "let lib = import ./lib; in lib.optionAttrSetToDocList \
            (removeAttrs (lib.evalModules { modules = [ ./service.nix ]; }).options [ \"broken\" ])";
        evaluation.write(text(evaluation, list)?, Format::Json, true)
    });
    let theirs: Vec<Value> = serde_json::from_slice(&theirs.unwrap()).unwrap();
    assert!(ours.len() > 20);
    assert_eq!(ours, theirs);
    assert!(rows.iter().all(|row| row.problems.is_empty()));
}

#[test]
fn what_fails_costs_itself_alone() {
    let rows = asked(&["./service.nix"], &request(&["broken"])).unwrap();
    let mut seen = String::new();
    for row in &rows {
        let type_ = row.type_.as_deref().unwrap_or("-");
        let default = row.default.as_ref().map(|text| text.text().into_owned());
        seen.push_str(&format!("{} ({type_}) = {}\n", row.name, default.unwrap_or_default()));
        for problem in &row.problems {
            seen.push_str(&format!("  {}: {}\n", problem.part, problem.message));
        }
    }
    expect![[r#"
        broken.default (signed integer) = 
          default: no default today
        broken.description (signed integer) = 
          description: cannot add a string to an integer (at /p/service.nix:130:25)
        broken.endless (anything) = 
          default: the value is too large to be shown: it may hold itself
        broken.example (signed integer) = 1
          example: attribute 'missing' missing (at /p/service.nix:121:17)
        broken.group (-) = 
          option: no options today
        broken.parts ((submodule)) = 
          subOptions: no parts today
        broken.type (-) = 1
          type: no type today
    "#]]
    .assert_eq(&seen);
}

#[test]
fn patterns_and_words_choose() {
    let check = |request: &Request, want: &[&str]| {
        assert_eq!(names(&asked(&["./service.nix"], request).unwrap()), want, "{request:?}");
    };
    check(
        &request(&["services.demo.hosts"]),
        &[
            "services.demo.hosts",
            "services.demo.hosts.<name>.aliases",
            "services.demo.hosts.<name>.name",
            "services.demo.hosts.<name>.routes",
            "services.demo.hosts.<name>.routes.*.to",
        ],
    );
    check(
        &request(&["services.demo.hosts.a.routes.0"]),
        &["services.demo.hosts.<name>.routes.*.to"],
    );
    check(
        &request(&["**.enable", "services.*.port"]),
        &["services.demo.enable", "services.demo.port"],
    );
    check(&request(&["services.demo.\"odd name\""]), &["services.demo.\"odd name\""]);
    // Hidden ones need to be asked for, or to be named.
    check(
        &request(&["services.demo.s*"]),
        &["services.demo.settings", "services.demo.shallow", "services.demo.state.since"],
    );
    check(
        &Request { hidden: true, ..request(&["services.demo.se*"]) },
        &["services.demo.secret", "services.demo.settings"],
    );
    check(&request(&["services.demo.secret"]), &["services.demo.secret"]);
    check(
        &Request { words: vec!["HOW much".to_owned(), "level".to_owned()], ..request(&[]) },
        &["services.demo.level"],
    );
    check(&Request { words: vec!["nowhere".to_owned()], ..request(&[]) }, &[]);
}

#[test]
fn values_are_those_that_are_set() {
    let check = |name: &str, want: &Expect| {
        let request = Request { values: true, ..request(&[name]) };
        let rows = asked(&["./service.nix", "./host.nix"], &request).unwrap();
        let mut seen = String::new();
        for row in &rows {
            let Some(current) = &row.current else { continue };
            let value = current.value.as_deref().or(row.problem(Part::Value)).unwrap_or("-");
            seen.push_str(&format!("{} = {value}\n", current.name));
            for place in &current.definitions {
                let value = place.value.as_deref().unwrap_or("-");
                seen.push_str(&format!("  {}: {value}\n", place.file));
            }
        }
        want.assert_eq(&seen);
    };
    check(
        "services.demo.port",
        &expect![[r#"
            services.demo.port = 9090
              /p/host.nix: 9090
        "#]],
    );
    check(
        "services.demo.hosts.a.aliases",
        &expect![[r#"
            services.demo.hosts.a.aliases = [
              "from-module"
              "b"
            ]
              /p/service.nix: [
              "from-module"
            ]
              /p/host.nix: [
              "b"
            ]
        "#]],
    );
    check(
        "services.demo.hosts.a.routes.0.to",
        &expect![[r#"
            services.demo.hosts.a.routes."0".to = "x"
              /p/host.nix: "x"
        "#]],
    );
    check(
        "services.demo.settings.deep",
        &expect![[r#"
            services.demo.settings.deep = {
              list = [
                1
                2
              ];
            }
              /p/host.nix: {
              list = [
                1
                2
              ];
            }
        "#]],
    );
    check(
        "services.demo.required",
        &expect![[r#"
            services.demo.required = The option `services.demo.required' is used but not defined.
        "#]],
    );
}

#[test]
fn names_that_are_not_there_bring_near_ones() {
    let check = |name: &str, want: &Expect| {
        let error = asked(&["./service.nix"], &request(&[name])).unwrap_err();
        want.assert_eq(&error.render(false));
    };
    check(
        "services.demo.prot",
        &expect![[r#"
            error: there is no option `services.demo.prot`: there is no `prot` in `services.demo`
                   Did you mean port?"#]],
    );
    check(
        "service",
        &expect![[r#"
            error: there is no option `service`: there is no `service` at the top
                   Did you mean services?"#]],
    );
    check(
        "services.demo.agg",
        &expect![
            "error: there is no option `services.demo.agg`: there is no `agg` in `services.demo`"
        ],
    );
    check(
        "services.demo.line",
        &expect![[r#"
        error: there is no option `services.demo.line`: there is no `line` in `services.demo`
               Did you mean lines?"#]],
    );
    check(
        "enable",
        &expect![[r#"
        error: there is no option `enable`: there is no `enable` at the top
               Did you mean services.demo.enable?"#]],
    );
    check("*.nothing", &expect!["error: no option fits `*.nothing`"]);
}

#[test]
fn what_is_no_tree_of_options_is_refused() {
    let check = |code: &str, want: &str| {
        let rows = with_evaluation(|evaluation| {
            let tree = tree_of(evaluation, text(evaluation, code)?)?;
            document(evaluation, tree, &Request::default())
        });
        match rows {
            Ok(rows) => assert_eq!(names(&rows).join(" "), want, "{code}"),
            Err(error) => assert_eq!(error.message, want, "{code}"),
        }
    };
    check("1", "this is an integer, and no set of modules or options");
    check("{ }", "");
    check(
        "let s = { inherit s; t = s; }; in s",
        "this is no tree of options: there are too many sets without one",
    );
    check("{ config = { }; options.a = { _type = \"option\"; loc = [ \"a\" ]; }; }", "a");
    check("{ options.a = { _type = \"option\"; loc = [ \"options\" \"a\" ]; }; }", "options.a");
    check("{ _type = \"option\"; loc = [ \"x\" \"a.b\" ]; }", "x.\"a.b\"");
}

#[test]
fn options_within_options_end_somewhere() {
    let code = "let o = loc: { _type = \"option\"; inherit loc; \
        type.getSubOptions = l: { a = o (l ++ [ \"a\" ]); }; }; in { a = o [ \"a\" ]; }";
    let rows = with_evaluation(|evaluation| {
        document(evaluation, text(evaluation, code)?, &Request::default())
    });
    let rows = rows.unwrap();
    let last = rows.last().unwrap();
    assert_eq!(last.problem(Part::Option), Some("options are nested too deeply"));
    assert!(rows.len() < 300, "{}", rows.len());
}

#[test]
fn limits_end_everything() {
    let run = || {
        let settings = Settings { max_calls: 100_000, ..Settings::default() };
        let evaluation = Evaluation::new(settings, Box::new(files()), Box::new(|_| {}));
        let code = "let f = n: f (n + 1) + 1; g = n: if n == 0 then 0 else g (n - 1); \
            in { a = { _type = \"option\"; loc = [ \"a\" ]; default = f 0; }; \
                 b = { _type = \"option\"; loc = [ \"b\" ]; \
                       default = builtins.foldl' (a: b: g 100) 0 (builtins.genList (x: x) 100000); }; }";
        document(&evaluation, text(&evaluation, code)?, &Request::default())
    };
    let error: Box<EvalError> = with_stack(run).unwrap().unwrap_err();
    assert_eq!(error.message, "evaluation needs more calls than it may have");
}

#[test]
fn older_libraries_are_followed() {
    // What nixpkgs' library did in 2024, as far as it matters here.
    let old = "_: { optionAttrSetToDocList = option: [ { name = \"\\\"<?>\\\".if.or\"; } ]; }";
    let io = MemoryIo::new()
        .with_file("/q/lib/default.nix", format!("({old}) 1"))
        .with_file("/q/lib/options.nix", "rest: rest // { _type = \"option\"; }");
    let run = || {
        let evaluation = Evaluation::new(Settings::default(), Box::new(io), Box::new(|_| {}));
        let code = "{ a = import ./lib/options.nix { \
            loc = [ \"<name>\" \"<other>\" \"if\" ]; type.emptyValue.value = [ ]; }; }";
        let tree = evaluation.text(code, Path::new("/q"))?;
        document(&evaluation, tree, &Request::default())
    };
    let rows: Result<_, Box<EvalError>> = with_stack(run).unwrap();
    let rows = rows.unwrap();
    assert_eq!(names(&rows), ["<name>.\"<other>\".if"]);
    assert_eq!(rows[0].default, None);
}
