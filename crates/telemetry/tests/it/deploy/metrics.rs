//! The dashboard, the alerts, and the manual's tables of both.

use super::*;
use serde_json::Value;

const RULES: &str = "deploy/prometheus/cim-nix.rules.yml";
const RULES_TEST: &str = "deploy/prometheus/cim-nix.rules.test.yml";
const BOARD: &str = "deploy/grafana/cim-nix.json";
const MANUAL: &str = "docs/operations.md";

fn board() -> Value {
    serde_json::from_str(&read(BOARD)).unwrap()
}

/// What the dashboard asks, by the titles of its panels.
fn questions(board: &Value) -> Vec<(String, String)> {
    let panels = board["panels"].as_array().unwrap().iter();
    let asked = panels.flat_map(|panel| {
        let targets = panel["targets"].as_array().into_iter().flatten();
        targets.map(|target| (word(&panel["title"]), word(&target["expr"])))
    });
    let annotations = board["annotations"]["list"].as_array().unwrap().iter();
    let annotations = annotations.map(|one| (word(&one["name"]), word(&one["expr"])));
    let variables = board["templating"]["list"].as_array().unwrap().iter();
    let variables = variables.filter(|one| one["type"] == "query");
    let variables = variables.map(|one| (word(&one["name"]), word(&one["definition"])));
    asked.chain(annotations).chain(variables).collect()
}

fn word(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// The expressions of rules, by their names.
fn rules(text: &str) -> Vec<(String, String)> {
    let mut rules: Vec<(String, String)> = Vec::new();
    let mut is_expression = false;
    for line in text.lines() {
        let line = line.trim();
        let name = ["- alert: ", "- record: "].iter().find_map(|head| line.strip_prefix(head));
        if let Some(name) = name {
            rules.push((name.to_owned(), String::new()));
        } else if let Some(begins) = line.strip_prefix("expr: ") {
            is_expression = true;
            rules.last_mut().unwrap().1.push_str(begins.trim_start_matches(">-"));
        } else if ["for:", "labels:", "annotations:"].iter().any(|key| line.starts_with(key)) {
            is_expression = false;
        } else if is_expression {
            let expression = &mut rules.last_mut().unwrap().1;
            expression.push(' ');
            expression.push_str(line);
        }
    }
    rules
}

fn alerts() -> Vec<String> {
    let rules = rules(&read(RULES)).into_iter().map(|(name, _)| name);
    rules.filter(|name| !name.contains(':')).collect()
}

#[test]
fn the_dashboard_asks_for_what_is_counted() {
    let mut asked = BTreeSet::new();
    for (title, expression) in questions(&board()) {
        assert_eq!(unknown_names(&expression), [""; 0], "{title}");
        assert_eq!(wrong_labels(&expression), [""; 0], "{title}: {expression}");
        asked.extend(names(&expression));
    }
    let known: BTreeMap<&str, &Metric> = declared().map(|metric| (metric.name, metric)).collect();
    let shown: BTreeSet<&str> =
        asked.iter().filter_map(|name| metric_of(&known, name)).map(|metric| metric.name).collect();
    for name in known.keys() {
        assert!(shown.contains(name), "{name} is on no panel");
    }
}

#[test]
fn the_alerts_ask_for_what_is_counted() {
    let rules = rules(&read(RULES));
    let recorded: BTreeSet<&str> = rules.iter().map(|(name, _)| name.as_str()).collect();
    assert!(rules.len() > 20, "{rules:?}");
    for (name, expression) in &rules {
        assert_eq!(unknown_names(expression), [""; 0], "{name}");
        assert_eq!(wrong_labels(expression), [""; 0], "{name}: {expression}");
        for recorded_name in names(expression).iter().filter(|name| name.contains(':')) {
            assert!(recorded.contains(recorded_name.as_str()), "{name} asks for {recorded_name}");
        }
    }
}

#[test]
fn names_and_labels_that_nobody_counts_are_found() {
    assert_eq!(unknown_names("rate(cim_nix_comands_total[5m])"), ["cim_nix_comands_total"]);
    assert_eq!(unknown_names("cim_nix_query_seconds > 1"), ["cim_nix_query_seconds"]);
    assert_eq!(unknown_names("cim_nix_in_flight_bucket"), ["cim_nix_in_flight_bucket"]);
    assert_eq!(wrong_labels("sum by (user) (cim_nix_in_flight)"), ["user"]);
    assert_eq!(wrong_labels("cim_nix_in_flight{tenant=\"a\"}"), ["cim_nix_in_flight{tenant"]);
    assert_eq!(wrong_labels("sum by (kind) (cim_nix_in_flight{kind=~\"a\"})"), [""; 0]);
}

/// What Prometheus adds by itself.
const ADDED: [&str; 3] = ["instance", "job", "le"];

/// Labels that are matched on a metric that has none such, or that results are grouped by and no
/// metric of the expression has.
fn wrong_labels(promql: &str) -> Vec<String> {
    let known: BTreeMap<&str, &Metric> = declared().map(|metric| (metric.name, metric)).collect();
    let names = names(promql);
    let metrics: Vec<&Metric> = names.iter().filter_map(|name| metric_of(&known, name)).collect();
    let mut wrong = Vec::new();
    for metric in &metrics {
        for (at, _) in promql.match_indices(metric.name) {
            let rest = promql[at + metric.name.len()..].trim_start_matches("_bucket");
            let Some(matchers) = rest.strip_prefix('{').and_then(|rest| rest.split('}').next())
            else {
                continue;
            };
            for matcher in matchers.split("\",") {
                let label = matcher.split(['=', '!', '~']).next().unwrap().trim();
                if !ADDED.contains(&label) && !metric.labels.contains(&label) {
                    wrong.push(format!("{}{{{label}", metric.name));
                }
            }
        }
    }
    let groups = ["by (", "on ("].iter().flat_map(|head| promql.split(head).skip(1));
    for label in groups.flat_map(|rest| rest.split(')').next().unwrap().split(',')) {
        let label = label.trim();
        let is_had = names.iter().any(|name| name.contains(':'))
            || metrics.iter().any(|metric| metric.labels.contains(&label));
        if !ADDED.contains(&label) && !is_had {
            wrong.push(label.to_owned());
        }
    }
    wrong
}

#[test]
fn panels_have_a_place_and_a_name_of_their_own() {
    let board = board();
    let mut ids = BTreeSet::new();
    let mut cells = BTreeSet::new();
    for panel in board["panels"].as_array().unwrap() {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{}", panel["title"]);
        let place = |key: &str| panel["gridPos"][key].as_u64().unwrap();
        assert!(place("x") + place("w") <= 24, "{}", panel["title"]);
        for x in place("x")..place("x") + place("w") {
            for y in place("y")..place("y") + place("h") {
                assert!(cells.insert((x, y)), "{} lies on another", panel["title"]);
            }
        }
    }
}

#[test]
fn every_alert_is_tried_and_explained() {
    let tests = read(RULES_TEST);
    let manual = read(MANUAL);
    let alerts = alerts();
    for name in &alerts {
        for what in ["fires", "rests"] {
            let case = format!("- name: {name} {what}\n");
            assert!(tests.contains(&case), "no test shows that {name} {what}");
        }
        let heading = format!("\n### {name}\n");
        assert!(manual.contains(&heading), "{MANUAL} has no section {name}");
        let link = format!("runbook: docs/operations.md#{}\n", name.to_lowercase());
        assert!(read(RULES).contains(&link), "{name} does not lead to its section");
    }
    let explained = manual.lines().filter_map(|line| line.strip_prefix("### CimNix"));
    assert_eq!(explained.count(), alerts.len(), "{MANUAL} explains alerts that are gone");
}

/// The table of metrics is written by this test: `UPDATE_EXPECT=1`.
#[test]
fn the_manual_has_every_metric() {
    let (begin, end) = ("<!-- metrics -->\n", "<!-- end of metrics -->\n");
    let manual = read(MANUAL);
    let (before, rest) = manual.split_once(begin).unwrap();
    let (_, after) = rest.split_once(end).unwrap();
    let mut table = "| Metric | Kind | Labels | What it is |\n|---|---|---|---|\n".to_owned();
    for Metric { name, kind, labels, help, .. } in declared() {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram(_) => "histogram",
        };
        let labels: Vec<String> = labels.iter().map(|label| format!("`{label}`")).collect();
        let labels = labels.join(", ");
        table.push_str(&format!("| `{name}` | {kind} | {labels} | {help} |\n"));
    }
    let expected = format!("{before}{begin}{table}{end}{after}");
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(root().join(MANUAL), &expected).unwrap();
        return;
    }
    assert!(manual == expected, "run this test with UPDATE_EXPECT=1:\n{table}");
}

#[test]
fn prometheus_accepts_the_rules() {
    let Some(promtool) = judge("CIM_NIX_PROMTOOL", "promtool") else { return };
    let check = |path: &Path| {
        let mut command = Command::new(&promtool);
        command.args(["check", "rules"]).arg(path);
        command
    };
    accepts(&mut check(&root().join(RULES)));
    let folder = Folder::new("rules");
    let broken = read(RULES).replace("== 0\n        for: 2m", "== == 0\n        for: 2m");
    refuses(&mut check(&folder.write("broken.yml", &broken)), "unexpected");
}

#[test]
fn alerts_fire_and_rest_when_they_should() {
    let Some(promtool) = judge("CIM_NIX_PROMTOOL", "promtool") else { return };
    let test = |path: &Path| {
        let mut command = Command::new(&promtool);
        command.args(["test", "rules"]).arg(path);
        command
    };
    accepts(&mut test(&root().join(RULES_TEST)));
    // Another threshold, and an alert that asks for something else, are noticed.
    let folder = Folder::new("alerts");
    let tests = folder.write("cim-nix.rules.test.yml", &read(RULES_TEST));
    let rules = read(RULES);
    for (right, wrong, because) in [
        ("ratio5m > 0.02", "ratio5m > 0.0002", "CimNixFailing"),
        ("(cim_nix_nats_connected) == 0", "(cim_nix_nats_conected) == 0", "CimNixNatsAway"),
    ] {
        assert!(rules.contains(right));
        folder.write("cim-nix.rules.yml", &rules.replace(right, wrong));
        refuses(&mut test(&tests), because);
    }
}

#[test]
fn prometheus_understands_the_dashboard() {
    let Some(promtool) = judge("CIM_NIX_PROMTOOL", "promtool") else { return };
    let folder = Folder::new("board");
    let questions = questions(&board());
    let questions = questions.iter().filter(|(_, asked)| !asked.starts_with("label_values("));
    let mut rules = "groups:\n- name: board\n  rules:\n".to_owned();
    for (number, (_, expression)) in questions.enumerate() {
        let expression = expression.replace("$__rate_interval", "5m").replace('$', "");
        rules.push_str(&format!("  - record: board:{number}\n    expr: '{expression}'\n"));
    }
    let check = |text: &str| {
        let mut command = Command::new(&promtool);
        command.args(["check", "rules"]).arg(folder.write("board.yml", text));
        command
    };
    accepts(&mut check(&rules));
    refuses(&mut check(&rules.replace("sum by (outcome)", "sum by outcome")), "unexpected");
}

/// Where crates count without the functions of the table, they count what is in it.
#[test]
fn what_is_counted_by_hand_is_declared() {
    let known: BTreeMap<&str, &Metric> = declared().map(|metric| (metric.name, metric)).collect();
    let mut n_found = 0;
    for krate in ["http", "nats", "server", "service", "store-jetstream", "telemetry"] {
        for (path, text) in sources(&root().join("crates").join(krate).join("src")) {
            for (name, labels) in counted(&text) {
                n_found += 1;
                let Some(metric) = known.get(name.as_str()) else {
                    panic!("{path} counts {name}, which nobody declared");
                };
                for label in labels {
                    let is_declared = metric.labels.contains(&label.as_str());
                    // Who counts a tenant where nobody asks for it, loses it and nothing else.
                    assert!(is_declared || label == "tenant", "{path}: {name} has no `{label}`");
                }
            }
        }
    }
    let text = "metrics::counter!(\n\"a_total\", \"b\" => c(1), \"d\" => \"e\",\n).increment(1)";
    let labels = vec!["b".to_owned(), "d".to_owned()];
    assert_eq!(counted(text), [("a_total".to_owned(), labels)]);
    assert!(n_found < 40, "use the functions of `cim_nix_service::metrics`");
}

fn sources(folder: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else {
            found.push((path.display().to_string(), fs::read_to_string(&path).unwrap()));
        }
    }
    found
}

/// Names that are written out in the macros of the facade, with their labels.
fn counted(text: &str) -> Vec<(String, Vec<String>)> {
    let macros = ["counter!(", "gauge!(", "histogram!("];
    let calls = macros.iter().flat_map(|head| text.split(head).skip(1));
    let calls = calls.filter_map(|rest| {
        // The arguments end where the statement does; brackets within them do not matter.
        let arguments = rest.split(".increment").next()?.split(".set(").next()?;
        let arguments = arguments.split(".record(").next()?.split(';').next()?;
        let name = arguments.trim_start().strip_prefix('"')?.split('"').next()?;
        let labels = arguments
            .match_indices("\" =>")
            .filter_map(|(at, _)| arguments[..at].rsplit('"').next().map(str::to_owned));
        Some((name.to_owned(), labels.collect()))
    });
    // Tests invent names.
    calls.filter(|(name, _): &(String, _)| name != "invented_total").collect()
}
