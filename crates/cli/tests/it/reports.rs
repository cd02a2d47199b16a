//! `check --format` and `--output`: reports for platforms, and where they go.

use std::fs;

use expect_test::expect;
use serde_json::{Value, json};

use crate::sandbox::{Sandbox, stdout};

const FAULTY: &str = "\
//- a.nix
let
  unused = 1;
  kept = 2; # cim-nix: ignore[unused-binding] the <next> release
in
\"λ\u{1f600}\" + missing
//- sub/b.nix
{ a = 1;
";

fn json(sandbox: &Sandbox, args: &str) -> Value {
    serde_json::from_slice(&sandbox.run(args).stdout).unwrap()
}

#[test]
fn sarif_has_silenced_findings_with_their_reasons() {
    let sandbox = Sandbox::new(FAULTY);
    let log = json(&sandbox, "check --format sarif");
    let run = &log["runs"][0];
    let results = run["results"].as_array().unwrap();
    let silenced: Vec<bool> =
        results.iter().map(|result| result["suppressions"] != json!([])).collect();
    assert_eq!(silenced, [false, false, true, false]);
    let reason = json!([{"kind": "inSource", "justification": "the <next> release"}]);
    assert_eq!(results[2]["suppressions"], reason);
    let place = &results[1]["locations"][0]["physicalLocation"];
    let artifact = json!({"uri": "a.nix", "uriBaseId": "SRCROOT"});
    assert_eq!(place["artifactLocation"], artifact);
    // Behind two quotes, one unit, two units and ` + `.
    assert_eq!(place["region"]["startColumn"], 9);
    assert_eq!(run["columnKind"], "utf16CodeUnits");
    assert_eq!(run["invocations"][0]["executionSuccessful"], true);
    let root = run["originalUriBaseIds"]["SRCROOT"]["uri"].as_str().unwrap();
    assert!(root.starts_with("file:///") && root.ends_with("/project/"), "{root}");
}

#[test]
fn paths_count_from_the_repository() {
    let sandbox = Sandbox::new(FAULTY);
    fs::create_dir(sandbox.project().join(".git")).unwrap();
    let run = |format: &str, variable: Option<&str>| {
        let mut command = sandbox.command(&format!("check --format {format} b.nix"));
        command.current_dir(sandbox.project().join("sub"));
        if let Some(variable) = variable {
            command.env(variable, sandbox.project().join("sub"));
        }
        stdout(&command.output().unwrap())
    };
    assert!(run("sarif", None).contains("\"uri\":\"sub/b.nix\""));
    assert!(run("github", None).contains("file=sub/b.nix,"));
    assert!(run("github", Some("GITHUB_WORKSPACE")).contains("file=b.nix,"));
    assert!(run("gitlab", None).contains("\"path\":\"sub/b.nix\""));
    assert!(run("gitlab", Some("CI_PROJECT_DIR")).contains("\"path\":\"b.nix\""));
    assert!(run("rdjson", None).contains("\"path\":\"b.nix\""));
}

#[test]
fn annotations_of_github() {
    Sandbox::new(FAULTY).check("check --format github", expect![[r#"
        [stdout]
        ::warning title=DEAD001 unused-binding,file=a.nix,line=2,col=3,endColumn=9::`unused` is never used
        ::error title=COR001 undefined-variable,file=a.nix,line=5,col=8,endColumn=15::undefined variable `missing`
        ::error title=SYN001 syntax-error,file=sub/b.nix,line=1,col=9,endColumn=9::expected `}`, found the end of the file
        [exit 2]
    "#]]);
}

#[test]
fn tests_of_junit() {
    Sandbox::new(FAULTY).check("check --format junit", expect![[r#"
        [stdout]
        <?xml version="1.0" encoding="UTF-8"?>
        <testsuites name="cim-nix check" tests="3" failures="3" errors="0">
          <testsuite name="a.nix" tests="2" failures="2" errors="0">
            <testcase classname="a.nix" name="DEAD001 unused-binding at 2:3" file="a.nix" line="2">
              <failure type="warning" message="`unused` is never used">a.nix:2:3: warning[DEAD001] `unused` is never used</failure>
            </testcase>
            <testcase classname="a.nix" name="COR001 undefined-variable at 5:8" file="a.nix" line="5">
              <failure type="error" message="undefined variable `missing`">a.nix:5:8: error[COR001] undefined variable `missing`</failure>
            </testcase>
          </testsuite>
          <testsuite name="sub/b.nix" tests="1" failures="1" errors="0">
            <testcase classname="sub/b.nix" name="SYN001 syntax-error at 1:9" file="sub/b.nix" line="1">
              <failure type="error" message="expected `}`, found the end of the file">sub/b.nix:1:9: error[SYN001] expected `}`, found the end of the file</failure>
            </testcase>
          </testsuite>
        </testsuites>
        [exit 2]
    "#]]);
    Sandbox::new("//- a.nix\n1\n").check(
        "check --format junit",
        expect![[r#"
        [stdout]
        <?xml version="1.0" encoding="UTF-8"?>
        <testsuites name="cim-nix check" tests="1" failures="0" errors="0">
          <testsuite name="cim-nix check" tests="1" failures="0" errors="0">
            <testcase classname="cim-nix" name="no findings in 1 file"/>
          </testsuite>
        </testsuites>
        [exit 0]
    "#]],
    );
    Sandbox::new(FAULTY).check("check --format junit --max-findings 1", expect![[r#"
        [stdout]
        <?xml version="1.0" encoding="UTF-8"?>
        <testsuites name="cim-nix check" tests="1" failures="1" errors="0">
          <testsuite name="a.nix" tests="1" failures="1" errors="0">
            <testcase classname="a.nix" name="DEAD001 unused-binding at 2:3" file="a.nix" line="2">
              <failure type="warning" message="`unused` is never used">a.nix:2:3: warning[DEAD001] `unused` is never used</failure>
            </testcase>
          </testsuite>
        </testsuites>
        [exit 2]
    "#]]);
}

#[test]
fn tests_of_junit_fail_as_the_run_does() {
    let sandbox = Sandbox::new(
        "//- a.nix\nlet unused = 1; in missing\n\
         //- sub/cim-nix.toml\n[check]\nfail-on = \"never\"\n//- sub/b.nix\nmissing\n",
    );
    sandbox.check("check --format junit --fail-on never", expect![[r#"
        [stdout]
        <?xml version="1.0" encoding="UTF-8"?>
        <testsuites name="cim-nix check" tests="3" failures="0" errors="0">
          <testsuite name="a.nix" tests="2" failures="0" errors="0" skipped="2">
            <testcase classname="a.nix" name="DEAD001 unused-binding at 1:5" file="a.nix" line="1">
              <skipped message="`unused` is never used">a.nix:1:5: warning[DEAD001] `unused` is never used</skipped>
            </testcase>
            <testcase classname="a.nix" name="COR001 undefined-variable at 1:20" file="a.nix" line="1">
              <skipped message="undefined variable `missing`">a.nix:1:20: error[COR001] undefined variable `missing`</skipped>
            </testcase>
          </testsuite>
          <testsuite name="sub/b.nix" tests="1" failures="0" errors="0" skipped="1">
            <testcase classname="sub/b.nix" name="COR001 undefined-variable at 1:1" file="sub/b.nix" line="1">
              <skipped message="undefined variable `missing`">sub/b.nix:1:1: error[COR001] undefined variable `missing`</skipped>
            </testcase>
          </testsuite>
        </testsuites>
        [exit 0]
    "#]]);
    sandbox.check("check --format junit", expect![[r#"
        [stdout]
        <?xml version="1.0" encoding="UTF-8"?>
        <testsuites name="cim-nix check" tests="3" failures="2" errors="0">
          <testsuite name="a.nix" tests="2" failures="2" errors="0">
            <testcase classname="a.nix" name="DEAD001 unused-binding at 1:5" file="a.nix" line="1">
              <failure type="warning" message="`unused` is never used">a.nix:1:5: warning[DEAD001] `unused` is never used</failure>
            </testcase>
            <testcase classname="a.nix" name="COR001 undefined-variable at 1:20" file="a.nix" line="1">
              <failure type="error" message="undefined variable `missing`">a.nix:1:20: error[COR001] undefined variable `missing`</failure>
            </testcase>
          </testsuite>
          <testsuite name="sub/b.nix" tests="1" failures="0" errors="0" skipped="1">
            <testcase classname="sub/b.nix" name="COR001 undefined-variable at 1:1" file="sub/b.nix" line="1">
              <skipped message="undefined variable `missing`">sub/b.nix:1:1: error[COR001] undefined variable `missing`</skipped>
            </testcase>
          </testsuite>
        </testsuites>
        [exit 1]
    "#]]);
    let report = stdout(&sandbox.run("check --format junit --fail-on error"));
    let heads: Vec<_> = report.lines().filter(|line| line.contains("<testsuite")).collect();
    assert_eq!(
        heads,
        [
            r#"<testsuites name="cim-nix check" tests="3" failures="2" errors="0">"#,
            r#"  <testsuite name="a.nix" tests="2" failures="1" errors="0" skipped="1">"#,
            r#"  <testsuite name="sub/b.nix" tests="1" failures="1" errors="0">"#,
        ],
    );
}

#[test]
fn fingerprints_of_gitlab_survive_moves() {
    let sandbox = Sandbox::new("//- a.nix\n[ (rec { a = 1; })\n  (rec { a = 1; }) ]\n");
    let prints = |sandbox: &Sandbox| {
        let issues = json(sandbox, "check --format gitlab");
        let issues = issues.as_array().unwrap().clone();
        issues.iter().map(|issue| issue["fingerprint"].clone()).collect::<Vec<_>>()
    };
    let before = prints(&sandbox);
    assert_eq!(before.len(), 2);
    assert_ne!(before[0], before[1]);
    sandbox.write("a.nix", "# one\n# two\n[ (rec { a = 1; })\n\n     (rec { a = 1; }) ]\n");
    assert_eq!(prints(&sandbox), before);
}

#[test]
fn empty_reports_are_whole() {
    let sandbox = Sandbox::new("//- a.nix\n1\n");
    assert_eq!(json(&sandbox, "check --format gitlab"), json!([]));
    assert_eq!(json(&sandbox, "check --format rdjson")["diagnostics"], json!([]));
    assert_eq!(json(&sandbox, "check --format sarif")["runs"][0]["results"], json!([]));
    let page = stdout(&sandbox.run("check --format html"));
    assert!(page.contains("Nothing to complain about in 1 file.") && page.ends_with("</html>\n"));
    assert!(sandbox.run("check --format github").stdout.is_empty());
}

#[test]
fn the_page_shows_nothing_as_markup() {
    let sandbox = Sandbox::new("//- <script>alert(1)</script>\n1\n");
    let hostile = "let \"</pre><img src=x>\" = 1; in 2\n";
    sandbox.write("<b>&'\".nix", hostile);
    let page = stdout(&sandbox.run("check --format html"));
    assert!(page.contains("<h3>&lt;b&gt;&amp;&#39;&quot;.nix</h3>"), "{page}");
    assert!(!page.contains("<img") && page.matches("<script>").count() == 1, "{page}");
}

#[test]
fn statistics_in_json() {
    let sandbox = Sandbox::new(FAULTY);
    let counts = json(&sandbox, "check --format json --statistics a.nix");
    let want = json!([
        {"code": "COR001", "name": "undefined-variable", "count": 1,
            "fixable": {"safe": 0, "unsafe": 0}},
        {"code": "DEAD001", "name": "unused-binding", "count": 1,
            "fixable": {"safe": 1, "unsafe": 0}},
    ]);
    assert_eq!(counts["statistics"], want);
    assert_eq!((&counts["version"], &counts["findings"]), (&json!(1), &Value::Null));
    let lines = stdout(&sandbox.run("check --format json-lines --statistics a.nix"));
    assert_eq!(lines.lines().count(), 3, "{lines}");
    sandbox.check(
        "check --format sarif --statistics",
        expect![[r#"
        [stderr]
        error: `--statistics` counts instead of listing, which this format cannot
          hint: take human, concise, json or json-lines
        [exit 2]
    "#]],
    );
}

#[test]
fn reports_go_to_files() {
    let sandbox = Sandbox::new(FAULTY);
    sandbox.write("report.txt", "old");
    sandbox.check(
        "check --format concise --output report.txt a.nix",
        expect![[r#"
        [stderr]
        2 findings written to report.txt
        [exit 1]
    "#]],
    );
    assert_eq!(sandbox.read("report.txt").lines().count(), 2);
    sandbox.check(
        "check --quiet --diff --output a.patch a.nix",
        expect![[r#"
        [exit 1]
    "#]],
    );
    assert!(sandbox.read("a.patch").starts_with("--- a/a.nix\n"));
    sandbox.check(
        "check --output gone/report.txt a.nix",
        expect![[r#"
            [stderr]
            error: cannot write `gone/report.txt`: there is no folder `gone`
            [exit 2]
        "#]],
    );
    // What is no regular file is written to, not replaced.
    let output = sandbox.run("check --quiet --format concise --output /dev/stdout a.nix");
    assert_eq!(stdout(&output).lines().count(), 2);
    let left: Vec<_> = fs::read_dir(sandbox.project()).unwrap().collect();
    assert_eq!(left.len(), 4, "{left:?}");
}

#[test]
fn a_report_that_fails_leaves_the_old_one() {
    let sandbox = Sandbox::new(FAULTY);
    sandbox.write("report.txt", "old");
    sandbox.check(
        "check --select NOTHING --output report.txt",
        expect![[r#"
        [stderr]
        error: no rule is called `NOTHING`
          hint: `cim-nix explain --all` lists the rules
        [exit 2]
    "#]],
    );
    assert_eq!(sandbox.read("report.txt"), "old");
}

#[test]
fn comments_silence_what_is_no_rule_of_ours_too() {
    let sandbox =
        Sandbox::new("//- pipe.nix\n1 |> (x: x) # cim-nix: ignore[SYN010] on everywhere\n");
    sandbox.write("bytes.nix", b"# cim-nix: ignore[not-utf8]\n\"\xff\"\n");
    sandbox.check(
        "check",
        expect![[r#"
        [stdout]
        no findings in 2 files
        [exit 0]
    "#]],
    );
}

#[test]
fn a_fixed_text_is_no_report() {
    let sandbox = Sandbox::new("");
    sandbox.check_on(
        "check --fix --format sarif -",
        "1",
        expect![[r#"
        [stderr]
        error: with `--fix -` standard output is the fixed text, not a report
          hint: take human, concise, json-lines or github, which go to standard error
        [exit 2]
    "#]],
    );
}
