//! Reports are read by programs that others wrote: what they accept, and that they refuse reports
//! with a fault in them, so that their silence means something.
//!
//! `cargo xtask test` obtains these programs and names their folder; elsewhere the tests say that
//! they compared nothing.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::sandbox::{Sandbox, stdout};

/// A project with findings of all severities, odd names, odd texts and a silenced finding.
fn hostile() -> Sandbox {
    let sandbox = Sandbox::new(
        "\
//- cim-nix.toml
check.extend-select = [\"ALL\"]
//- a.nix
let
  unused = 1; same = 1;
  kept = 2; # cim-nix: ignore[unused-binding] for <later>
in
\"λ\u{1f600} 100% ]]> &amp;\" + missing + (import ./nowhere.nix) + (x: 1) 2
//- b/broken.nix
{ a = \"
//- empty.nix
",
    );
    sandbox.write("odd, 100%:name <&\"'>\u{1b}\n::error::x.nix", "let x = 1; in x: 2\r\n");
    sandbox.write("bytes.nix", b"let x = 1; in \"\xff\"");
    sandbox
}

/// The folder of the readers, unless there is none.
fn readers() -> Option<PathBuf> {
    let folder = env::var_os("CIM_NIX_READERS").map(PathBuf::from);
    if folder.is_none() {
        eprintln!("skipped: CIM_NIX_READERS names no folder with programs that read reports");
    }
    folder
}

/// Runs Python with the readers' packages; `script` gets the path of a report.
fn python(readers: &Path, script: &str, report: &Path) -> Output {
    let mut python = Command::new("python3");
    python.arg("-c").arg(script).arg(report).arg(readers);
    python.env("PYTHONPATH", readers.join("python")).output().unwrap()
}

fn report(sandbox: &Sandbox, format: &str) -> String {
    stdout(&sandbox.run(&format!("check --format {format}")))
}

/// A file beside the project, so that the reader finds it and the project has none more.
fn file(sandbox: &Sandbox, name: &str, text: &str) -> PathBuf {
    let path = sandbox.project().join("..").join(name);
    fs::write(&path, text).unwrap();
    path
}

const SCHEMA: &str = "
import json, sys, fastjsonschema
report, readers = sys.argv[1:]
schema = json.load(open(readers + '/package/sarif-2.1.0.json'))
fastjsonschema.compile(schema)(json.load(open(report)))
";

#[test]
fn sarif_keeps_to_its_schema() {
    let Some(readers) = readers() else { return };
    let sandbox = hostile();
    let text = report(&sandbox, "sarif");
    let output = python(&readers, SCHEMA, &file(&sandbox, "report.sarif", &text));
    assert!(output.status.success(), "{output:?}");
    let mut log: Value = serde_json::from_str(&text).unwrap();
    log["runs"][0]["results"][0]["level"] = json!("terrible");
    let output = python(&readers, SCHEMA, &file(&sandbox, "bad.sarif", &log.to_string()));
    assert!(!output.status.success(), "a wrong level was accepted");
}

/// The complaints of the validator about a log.
fn complaints(readers: &Path, log: &Path) -> Vec<String> {
    let mut validator = Command::new(readers.join("package/Sarif.Multitool"));
    validator.arg("validate").arg(log).args([
        "--rule-kind",
        "Sarif;Ghas",
        "--log",
        "ForceOverwrite",
    ]);
    validator.arg("--output").arg(log.with_extension("verdict"));
    // The program brings its runtime along, but not the tables of languages.
    let output = validator.env("DOTNET_SYSTEM_GLOBALIZATION_INVARIANT", "1").output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("Analysis completed successfully"), "{output:?}");
    let is_complaint = |line: &&str| line.contains(": error ") || line.contains(": warning ");
    said.lines().filter(is_complaint).map(str::to_owned).collect()
}

#[test]
fn the_validator_of_sarif_has_nothing_to_say() {
    let Some(readers) = readers() else { return };
    let sandbox = hostile();
    let text = report(&sandbox, "sarif");
    let found = complaints(&readers, &file(&sandbox, "report.sarif", &text));
    assert!(found.is_empty(), "{}", found.join("\n"));
    let mut log: Value = serde_json::from_str(&text).unwrap();
    log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["region"] = json!({});
    let found = complaints(&readers, &file(&sandbox, "bad.sarif", &log.to_string()));
    assert!(!found.is_empty(), "a place that is none was accepted");
}

const JUNIT: &str = "
import json, sys
import junitparser
from junit2htmlreport import parser
report = sys.argv[1]
one = junitparser.JUnitXml.fromfile(report)
if not isinstance(one, junitparser.JUnitXml):
    sys.exit('no suites')
cases = [(suite.name, case.name, case.classname, [result.message for result in case.result])
         for suite in one for case in suite]
if len(cases) != one.tests or len(cases) != sum(suite.tests for suite in one):
    sys.exit('wrong counts')
other = parser.Junit(report)
others = [(suite.name, test.name)
          for suite in other.suites for group in suite.classes.values() for test in group.cases]
if sorted(case[:2] for case in cases) != sorted(others):
    sys.exit('the readers do not agree')
print(json.dumps(cases))
";

#[test]
fn two_programs_read_junit() {
    let Some(readers) = readers() else { return };
    let sandbox = hostile();
    let text = report(&sandbox, "junit");
    let output = python(&readers, JUNIT, &file(&sandbox, "report.xml", &text));
    assert!(output.status.success(), "{output:?}");
    let cases: Vec<(String, String, String, Vec<String>)> =
        serde_json::from_slice(&output.stdout).unwrap();
    let findings: Value = serde_json::from_str(&report(&sandbox, "json")).unwrap();
    let findings = findings["findings"].as_array().unwrap();
    assert_eq!(cases.len(), findings.len());
    for (case, finding) in cases.iter().zip(findings) {
        assert_eq!(case.0, finding["path"].as_str().unwrap());
        assert_eq!(case.3, [finding["message"].as_str().unwrap()]);
    }
    for (from, to) in [("</testsuites>", ""), ("tests=\"", "tests=\"1")] {
        let bad = text.replacen(from, to, 1);
        assert_ne!(bad, text);
        let output = python(&readers, JUNIT, &file(&sandbox, "bad.xml", &bad));
        assert!(!output.status.success(), "{from} was not missed");
    }
}

/// What GitLab asks of each issue, after `app/validators/json_schemas/codeclimate.json` and the page
/// on Code Quality of its documentation.
fn gitlab_schema() -> Value {
    json!({
        "type": "array",
        "items": {
            "type": "object",
            "required": ["description", "check_name", "fingerprint", "severity", "location"],
            "properties": {
                "description": {"type": "string", "minLength": 1},
                "check_name": {"type": "string", "minLength": 1},
                "fingerprint": {"type": "string", "minLength": 1},
                "severity": {"enum": ["info", "minor", "major", "critical", "blocker"]},
                "location": {
                    "type": "object",
                    "required": ["path", "lines"],
                    "properties": {
                        "path": {"type": "string", "pattern": "^[^./]"},
                        "lines": {
                            "type": "object",
                            "required": ["begin"],
                            "properties": {"begin": {"type": "integer", "minimum": 1}},
                        },
                    },
                },
            },
        },
    })
}

const GITLAB: &str = "
import json, sys, fastjsonschema
both = json.load(open(sys.argv[1]))
fastjsonschema.compile(both['schema'])(both['report'])
prints = [issue['fingerprint'] for issue in both['report']]
if len(set(prints)) != len(prints):
    sys.exit('fingerprints are not unique')
";

#[test]
fn gitlab_gets_what_it_asks_for() {
    let Some(readers) = readers() else { return };
    let sandbox = hostile();
    let good: Value = serde_json::from_str(&report(&sandbox, "gitlab")).unwrap();
    let verdict = |report: &Value| {
        let both = json!({"schema": gitlab_schema(), "report": report}).to_string();
        python(&readers, GITLAB, &file(&sandbox, "gitlab.json", &both))
    };
    let output = verdict(&good);
    assert!(output.status.success(), "{output:?}");
    let mut bad = good.clone();
    bad[0]["severity"] = json!("warning");
    assert!(!verdict(&bad).status.success(), "a wrong severity was accepted");
    let mut bad = good.clone();
    bad[1]["fingerprint"] = bad[0]["fingerprint"].clone();
    assert!(!verdict(&bad).status.success(), "equal fingerprints were accepted");
}

/// The workflow commands that a runner reads in `text`: command, properties and message.
fn commands(readers: &Path, sandbox: &Sandbox, text: &str) -> Vec<(String, Value, String)> {
    let folder = sandbox.project().join("../workflow");
    fs::create_dir_all(folder.join(".github/workflows")).unwrap();
    let lines = file(sandbox, "lines.txt", text).canonicalize().unwrap();
    let workflow = format!(
        "on: push\njobs:\n  report:\n    runs-on: here\n    steps:\n      - run: cat {}\n",
        lines.display()
    );
    fs::write(folder.join(".github/workflows/report.yml"), workflow).unwrap();
    let mut act = Command::new(readers.join("act/bin/act"));
    // On this machine itself, without a container.
    act.args(["push", "--json", "--platform", "here=-self-hosted"]).current_dir(&folder);
    let output = act.env("HOME", &folder).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("\"jobResult\":\"success\""), "{output:?}");
    let read = said.lines().filter_map(|line| {
        let event: Value = serde_json::from_str(line).ok()?;
        let command = event["command"].as_str()?.to_owned();
        Some((command, event["kvPairs"].clone(), event["arg"].as_str()?.to_owned()))
    });
    read.collect()
}

#[test]
fn a_runner_of_workflows_reads_the_annotations() {
    let Some(readers) = readers() else { return };
    let sandbox = hostile();
    let text = report(&sandbox, "github");
    let read = commands(&readers, &sandbox, &text);
    let findings: Value = serde_json::from_str(&report(&sandbox, "json")).unwrap();
    let findings = findings["findings"].as_array().unwrap();
    assert_eq!(read.len(), findings.len(), "{text}");
    for ((command, properties, message), finding) in read.iter().zip(findings) {
        let severity = finding["severity"].as_str().unwrap();
        assert_eq!(command, if severity == "info" { "notice" } else { severity });
        let line = finding["range"]["start"]["line"].to_string();
        assert_eq!(properties["line"].as_str(), Some(&*line));
        let (code, path) = (finding["code"].as_str().unwrap(), finding["path"].as_str().unwrap());
        assert!(properties["title"].as_str().unwrap().starts_with(code), "{properties}");
        let told = properties["file"].as_str().unwrap().replace('\n', "\\n");
        assert_eq!(told.replace('\x1b', "\\u{1b}"), path);
        assert!(message.starts_with(finding["message"].as_str().unwrap()), "{message}");
    }
    // Without escapes, one finding would be two commands.
    let read = commands(&readers, &sandbox, &text.replace("%0A", "\n"));
    assert_ne!(read.len(), findings.len());
}
