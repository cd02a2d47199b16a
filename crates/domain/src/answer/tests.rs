//! Answers as text: what a few events lead to.

use std::fmt::Write as _;

use expect_test::{Expect, expect};

use super::*;
use crate::projection::{PROJECTIONS, unread};
use crate::{
    Answer, Append, EventStore, Expected, MemoryStore, MessageId, NewEvent, Query, StreamId, ask,
};

/// A store with events, each written as `STREAM TYPE BODY`; ids, times and identities follow from
/// the number of the event.
fn store(events: &str) -> MemoryStore {
    let store = MemoryStore::new();
    let lines = events.lines().map(str::trim).filter(|line| !line.is_empty());
    for (number, line) in (1..).zip(lines) {
        let mut words = line.splitn(3, ' ');
        let mut word = || words.next().expect("three words");
        let (name, event_type, body) = (word(), word(), word());
        append(&store, number, &stream(name), event_type, body);
    }
    store
}

/// The stream of a name such as `flake-1`.
fn stream(name: &str) -> StreamId {
    let (kind, number) = name.split_once('-').expect("a kind and a number");
    let id = Uuid::from_u128(number.parse::<u128>().expect("a number"));
    StreamId::new(kind.parse().expect("a kind"), id)
}

fn event_id(number: u64) -> Uuid {
    Uuid::from_u128((0x7000 << 64) | (0x8 << 60) | u128::from(number))
}

fn append(store: &MemoryStore, number: u64, stream: &StreamId, event_type: &str, body: &str) {
    let id = event_id(number);
    let at = format!("2026-01-01T00:{:02}:{:02}Z", number / 60, number % 60);
    let common = format!(
        r#"{{"timestamp":"{at}","occurred_at":"{at}","event_id":"{id}","flake_id":"{0}",
        "package_id":"{0}","configuration_id":"{0}","identity":{{"message_id":"{id}",
        "correlation_id":"{id}","causation_id":"{id}"}},"#,
        stream.id
    );
    let body = body.replacen('{', &common, 1);
    let body = body.replace("NIL", &Uuid::nil().to_string());
    let event = NewEvent {
        id,
        event_type: event_type.to_owned(),
        schema: 1,
        at: at.parse().expect("a moment"),
        correlation: MessageId::Uuid(id),
        causation: MessageId::Uuid(id),
        body,
        meta: r#"{"actor":"ann"}"#.to_owned(),
    };
    let append = Append {
        stream: stream.clone(),
        expected: Expected::Any,
        events: vec![event],
        intent: None,
    };
    store.append(append).expect("a new event");
}

/// Asks, one query a line as `TYPE BODY`, and writes the answers.
fn check(store: &MemoryStore, queries: &str, expected: Expect) {
    let mut out = String::new();
    for line in queries.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (query_type, body) = line.split_once(' ').expect("two words");
        let query = Query::read(query_type, body).expect("a query");
        match ask(store, &query) {
            Ok(answer) => {
                let value = answer.to_value().expect("no odd numbers");
                let text = serde_json::to_string(&value).expect("no odd numbers");
                assert_eq!(Answer::read(query_type, &text).as_ref(), Ok(&answer));
                writeln!(out, "{}", short(&text)).expect("a text");
            }
            Err(error) => {
                let error = cim_nix_base::Error::from(error);
                writeln!(out, "error: {error}").expect("a text");
                for hint in error.hints() {
                    writeln!(out, "  hint: {hint}").expect("a text");
                }
            }
        }
    }
    expected.assert_eq(&out);
}

/// The text without what is the same in all answers.
fn short(text: &str) -> String {
    let mut text = text.replace("00000000-0000-0000-0000-0000000000", "#");
    text = text.replace("00000000-0000-7000-8000-0000000000", "@");
    text.replace("2026-01-01T00:00:", "")
}

const FLAKES: &str = r#"
    flake-1 FlakeCreated {"path":"/p","description":"mine","template":"rust","inputs":{"nixpkgs":"a"}}
    flake-1 FlakeInputAdded {"input_name":"utils","input_url":"u","locks":[{"input":"utils","after":"u1"}]}
    flake-1 FlakeUpdated {"path":"/p","edit":{"add_output":{"attribute":"packages.x86_64-linux.hello","expression":"1"}}}
    flake-1 FlakeUpdated {"path":"/p","edit":{"add_overlay":{"name":"default","expression":"1"}}}
    flake-2 FlakeObserved {"path":"/q","description":"yours"}
"#;

#[test]
fn flakes_with_their_inputs_and_outputs() {
    let store = store(FLAKES);
    check(
        &store,
        r#"
            GetFlake {"path":"/p"}
            GetFlakeInputs {"path":"/p"}
            ListFlakes {"limit":1}
            ListFlakes {"limit":1,"cursor":"/p%09%0900000000-0000-0000-0000-000000000001"}
            ListFlakes {"prefix":"/q"}
        "#,
        expect![[r##"
            {"changed":{"at":"04Z","by":"ann","event":"@04","event_type":"FlakeUpdated","version":4},"description":"mine","id":"#01","inputs":{"nixpkgs":"a","utils":"u"},"outputs":{"apps":[],"dev_shells":[],"nixos_modules":[],"overlays":["default"],"packages":["x86_64-linux.hello"]},"path":"/p","template":"rust"}
            {"changed":{"at":"04Z","by":"ann","event":"@04","event_type":"FlakeUpdated","version":4},"id":"#01","inputs":{"nixpkgs":"a","utils":"u"},"locked":{"utils":"u1"},"path":"/p"}
            {"items":[{"changed":{"at":"04Z","by":"ann","event":"@04","event_type":"FlakeUpdated","version":4},"description":"mine","id":"#01","inputs":{"nixpkgs":"a","utils":"u"},"outputs":{"apps":[],"dev_shells":[],"nixos_modules":[],"overlays":["default"],"packages":["x86_64-linux.hello"]},"path":"/p","template":"rust"}],"next":"/p%09%09#01"}
            {"items":[{"changed":{"at":"05Z","by":"ann","event":"@05","event_type":"FlakeObserved","version":1},"description":"yours","id":"#02","inputs":{},"outputs":{"apps":[],"dev_shells":[],"nixos_modules":[],"overlays":[],"packages":[]},"path":"/q"}]}
            {"items":[{"changed":{"at":"05Z","by":"ann","event":"@05","event_type":"FlakeObserved","version":1},"description":"yours","id":"#02","inputs":{},"outputs":{"apps":[],"dev_shells":[],"nixos_modules":[],"overlays":[],"packages":[]},"path":"/q"}]}
        "##]],
    );
}

#[test]
fn outputs_go_and_come_with_undo_and_redo() {
    let store = store(FLAKES);
    let undo = |number, undone: u64| {
        let body = format!(r#"{{"path":"/p","undoes":"{}"}}"#, event_id(undone));
        append(&store, number, &stream("flake-1"), "FlakeUpdated", &body);
        let Ok(Answer::GetFlake(view)) = ask(&store, &flake("/p")) else { panic!("there") };
        (view.outputs.packages, view.outputs.overlays)
    };
    let (hello, default) = (vec!["x86_64-linux.hello".to_owned()], vec!["default".to_owned()]);
    assert_eq!(undo(6, 3), (vec![], default.clone()));
    assert_eq!(undo(7, 6), (hello.clone(), default.clone()));
    assert_eq!(undo(8, 7), (vec![], default.clone()));
    assert_eq!(undo(9, 4), (vec![], vec![]));
    assert_eq!(undo(10, 2), (vec![], vec![]));
}

fn flake(path: &str) -> Query {
    crate::query::GetFlake { id: None, path: Some(path.to_owned()) }.into()
}

#[test]
fn says_what_is_not_there() {
    let store = store(&format!(
        r#"{FLAKES}
        config-3 ConfigurationObserved {{"project":"/p","name":"web"}}
        config-4 ConfigurationObserved {{"project":"/q","name":"web"}}
        config-5 ConfigurationObserved {{"project":"/q","name":"database"}}
        "#
    ));
    check(
        &store,
        r#"
            GetFlake {"path":"/pp"}
            GetFlake {"path":"/p/elsewhere/far/away"}
            GetFlake {"id":"00000000-0000-0000-0000-000000000009"}
            GetFlake {}
            GetConfiguration {"name":"web"}
            GetConfiguration {"name":"wib","project":"/p"}
            GetConfiguration {"name":"databose"}
            GetConfiguration {"id":"00000000-0000-0000-0000-000000000003","name":"db"}
            GetCurrentConfiguration {}
            GetCurrentConfiguration {"project":"/p"}
            GetConfigurationHistory {"name":"dababase"}
            GetPackage {"name":"hello","system":"x86_64-linux","flake_ref":"/p"}
            GetPackage {"flake_ref":"/p"}
            GetModule {"name":"web","project":"/p"}
            GetOverlay {}
            ListModules {"cursor":"%%"}
        "#,
        expect![[r#"
            error: there is no flake `/pp`
              hint: there is `/p`
            error: there is no flake `/p/elsewhere/far/away`
            error: there is no flake with the id 00000000-0000-0000-0000-000000000009
            error: which flake is meant? neither its id nor its name is given
            error: more than one configuration `web` is there: `/p`, `/q`
              hint: say which one is meant, by its project or its id
            error: there is no configuration `wib` in `/p`
              hint: there is `web`
            error: there is no configuration `databose`
              hint: there is `database`
            error: there is no configuration `db` with the id 00000000-0000-0000-0000-000000000003
            error: there is no configuration in force
            error: there is no configuration in force in `/p`
            error: there is no configuration `dababase`
              hint: there is `database`
            error: there is no package `hello` for x86_64-linux in `/p`
            error: which package is meant? neither its id nor its name nor its attribute is given
            error: there is no module `web` in `/p`
            error: which overlay is meant? neither its id nor its name is given
            error: `%%` is no cursor that an answer gave
        "#]],
    );
}

#[test]
fn packages_with_their_builds() {
    let store = store(
        r#"
        package-1 PackageBuilt {"flake_ref":"/p","attribute":"packages.x86_64-linux.hello","output_path":"/nix/store/0-hello-2.12","build_time":{"secs":3,"nanos":0}}
        package-1 PackageCached {"flake_ref":"/p","attribute":"packages.x86_64-linux.hello","output_path":"/nix/store/0-hello-2.12","cache":"file:///c","paths":2,"bytes":9}
        package-1 PackageBuildFailed {"flake_ref":"/p","attribute":"packages.x86_64-linux.hello","reason":"timed_out","message":"too long","build_time":{"secs":9,"nanos":0}}
        package-2 PackageBuilt {"flake_ref":"/p","attribute":"packages.aarch64-linux.hello","output_path":"/nix/store/1-hello","build_time":{"secs":1,"nanos":0}}
        package-3 PackageBuilt {"flake_ref":"/q","attribute":"legacyPackages.x86_64-linux.python3Packages.numpy","output_path":"/nix/store/2-numpy-1.0","build_time":{"secs":1,"nanos":0}}
        "#,
    );
    check(
        &store,
        r#"
            FindPackage {"name":"hello","system":"x86_64-linux"}
            FindPackage {"name":"hello"}
            FindPackage {"name":"helo"}
            GetPackage {"attribute":"packages.aarch64-linux.hello"}
            GetBuildStatus {"flake_ref":"/p","name":"hello","system":"x86_64-linux","limit":1}
            SearchNixPackages {"query":"NUMPY","limit":3}
            ListPackages {"flake_ref":"/p","system":"aarch64-linux","prefix":"h"}
            ListPackages {"prefix":"x"}
        "#,
        expect![[r##"
            {"attribute":{"segments":["packages","x86_64-linux","hello"]},"attribute_path":"packages.x86_64-linux.hello","caches":[{"at":"02Z","bytes":9,"cache":"file:///c","is_download":false,"output_path":"/nix/store/0-hello-2.12","paths":2,"took":{"nanos":0,"secs":0}}],"changed":{"at":"03Z","by":"ann","event":"@03","event_type":"PackageBuildFailed","version":3},"flake_ref":"/p","id":"#01","last":"timed_out","n_builds":2,"n_failures":1,"name":"hello","outputs":{"out":{"path":"/nix/store/0-hello-2.12"}},"system":"x86_64-linux","version":"2.12"}
            error: more than one package `hello` is there: `/p#packages.x86_64-linux.hello`, `/p#packages.aarch64-linux.hello`
              hint: say which one is meant, by its flake, its attribute, its system or its id
            error: there is no package `helo`
              hint: there is `hello`
            {"attribute":{"segments":["packages","aarch64-linux","hello"]},"attribute_path":"packages.aarch64-linux.hello","caches":[],"changed":{"at":"04Z","by":"ann","event":"@04","event_type":"PackageBuilt","version":1},"flake_ref":"/p","id":"#02","last":"built","n_builds":1,"n_failures":0,"name":"hello","outputs":{"out":{"path":"/nix/store/1-hello"}},"system":"aarch64-linux"}
            {"builds":[{"changed":{"at":"03Z","by":"ann","event":"@03","event_type":"PackageBuildFailed","version":3},"message":"too long","number":2,"outcome":"timed_out","took":{"nanos":0,"secs":9}}],"package":{"attribute":{"segments":["packages","x86_64-linux","hello"]},"attribute_path":"packages.x86_64-linux.hello","caches":[{"at":"02Z","bytes":9,"cache":"file:///c","is_download":false,"output_path":"/nix/store/0-hello-2.12","paths":2,"took":{"nanos":0,"secs":0}}],"changed":{"at":"03Z","by":"ann","event":"@03","event_type":"PackageBuildFailed","version":3},"flake_ref":"/p","id":"#01","last":"timed_out","n_builds":2,"n_failures":1,"name":"hello","outputs":{"out":{"path":"/nix/store/0-hello-2.12"}},"system":"x86_64-linux","version":"2.12"}}
            {"items":[{"attribute":{"segments":["legacyPackages","x86_64-linux","python3Packages","numpy"]},"attribute_path":"legacyPackages.x86_64-linux.python3Packages.numpy","caches":[],"changed":{"at":"05Z","by":"ann","event":"@05","event_type":"PackageBuilt","version":1},"flake_ref":"/q","id":"#03","last":"built","n_builds":1,"n_failures":0,"name":"python3Packages.numpy","outputs":{"out":{"path":"/nix/store/2-numpy-1.0"}},"system":"x86_64-linux","version":"1.0"}]}
            {"items":[{"attribute":{"segments":["packages","aarch64-linux","hello"]},"attribute_path":"packages.aarch64-linux.hello","caches":[],"changed":{"at":"04Z","by":"ann","event":"@04","event_type":"PackageBuilt","version":1},"flake_ref":"/p","id":"#02","last":"built","n_builds":1,"n_failures":0,"name":"hello","outputs":{"out":{"path":"/nix/store/1-hello"}},"system":"aarch64-linux"}]}
            {"items":[]}
        "##]],
    );
}

#[test]
fn the_latest_hundred_builds_are_kept() {
    let store = MemoryStore::new();
    let body = r#"{"flake_ref":"/p","attribute":"a","output_path":"/nix/store/0-a","build_time":{"secs":3,"nanos":0}}"#;
    for number in 1..=50 {
        append(&store, number, &stream("package-1"), "PackageBuilt", body);
    }
    let count = |limit: u32| {
        let query = crate::query::GetBuildStatus {
            name: Some("a".into()),
            limit: Some(limit),
            ..Default::default()
        };
        let Ok(Answer::GetBuildStatus(status)) = ask(&store, &query.into()) else {
            panic!("there")
        };
        (status.package.n_builds, status.builds.len(), status.builds[0].number)
    };
    assert_eq!(count(1_000), (50, 50, 50));
    for number in 51..=150 {
        append(&store, number, &stream("package-1"), "PackageBuilt", body);
    }
    assert_eq!(count(1_000), (150, 100, 150));
    assert_eq!(count(7), (150, 7, 150));
}

#[test]
fn configurations_with_generations_and_history() {
    let store = store(
        r#"
        config-1 ConfigurationCreated {"project":"/p","configuration":{"id":"NIL","name":"web","system":"x86_64-linux","specialisations":{"a":{"Int":1}}}}
        config-1 ConfigurationActivated {"generation":1,"activation_type":"Switch","store_path":"/nix/store/a","profile":"/prof"}
        config-1 ConfigurationActivated {"generation":2,"previous":1,"activation_type":"Boot","store_path":"/nix/store/b","profile":"/prof","took":{"secs":7,"nanos":0}}
        config-1 ConfigurationActivationFailed {"generation":2,"activation_type":"Switch","message":"a unit failed"}
        config-1 ConfigurationRolledBack {"generation":1,"previous":2,"profile":"/prof","undoes":"00000000-0000-7000-8000-000000000003"}
        config-2 ConfigurationObserved {"project":"/p","name":"home","kind":"home","generation":8,"profile":"/h"}
        config-3 ConfigurationCreated {"project":"/p","configuration":{"id":"NIL","name":"old","system":"i686-linux"}}
        config-3 ConfigurationDeleted {"project":"/p","name":"old"}
        "#,
    );
    check(
        &store,
        r#"
            GetConfiguration {"name":"web"}
            GetCurrentConfiguration {}
            GetCurrentConfiguration {"project":"/p","name":"home"}
            GetConfigurationHistory {"name":"web","limit":2}
            GetConfigurationHistory {"name":"old"}
            GetConfiguration {"name":"old"}
            ListConfigurations {"project":"/p","kind":"home"}
            ListConfigurations {"system":"i686-linux"}
        "#,
        expect![[r##"
            {"changed":{"at":"05Z","by":"ann","event":"@05","event_type":"ConfigurationRolledBack","version":5},"current_generation":1,"id":"#01","kind":"nixos","last_activated":"05Z","name":"web","profile":"/prof","project":"/p","said":{"hostname":"","id":"#00","modules":[],"name":"web","overlays":[],"packages":[],"path":"","specialisations":{"a":{"Int":1}},"system":"x86_64-linux"},"system":"x86_64-linux"}
            {"configuration":{"changed":{"at":"05Z","by":"ann","event":"@05","event_type":"ConfigurationRolledBack","version":5},"current_generation":1,"id":"#01","kind":"nixos","last_activated":"05Z","name":"web","profile":"/prof","project":"/p","said":{"hostname":"","id":"#00","modules":[],"name":"web","overlays":[],"packages":[],"path":"","specialisations":{"a":{"Int":1}},"system":"x86_64-linux"},"system":"x86_64-linux"},"generation":{"activation":"Switch","changed":{"at":"05Z","by":"ann","event":"@05","event_type":"ConfigurationRolledBack","version":5},"number":1,"store_path":"/nix/store/a","took":{"nanos":0,"secs":0}}}
            {"configuration":{"changed":{"at":"06Z","by":"ann","event":"@06","event_type":"ConfigurationObserved","version":1},"current_generation":8,"id":"#02","kind":"home","name":"home","profile":"/h","project":"/p","system":""},"generation":{"changed":{"at":"06Z","by":"ann","event":"@06","event_type":"ConfigurationObserved","version":1},"number":8,"store_path":""}}
            {"entries":{"items":[{"changed":{"at":"05Z","by":"ann","event":"@05","event_type":"ConfigurationRolledBack","version":5},"generation":1,"previous":2,"undoes":"@03"},{"activation":"Switch","changed":{"at":"04Z","by":"ann","event":"@04","event_type":"ConfigurationActivationFailed","version":4},"generation":2,"message":"a unit failed"}],"next":"fffffffffffffffb"},"generations":[{"activation":"Boot","changed":{"at":"03Z","by":"ann","event":"@03","event_type":"ConfigurationActivated","version":3},"number":2,"store_path":"/nix/store/b","took":{"nanos":0,"secs":7}},{"activation":"Switch","changed":{"at":"05Z","by":"ann","event":"@05","event_type":"ConfigurationRolledBack","version":5},"number":1,"store_path":"/nix/store/a","took":{"nanos":0,"secs":0}}],"id":"#01","is_present":true,"name":"web","project":"/p"}
            {"entries":{"items":[{"changed":{"at":"08Z","by":"ann","event":"@08","event_type":"ConfigurationDeleted","version":2}},{"changed":{"at":"07Z","by":"ann","event":"@07","event_type":"ConfigurationCreated","version":1}}]},"generations":[],"id":"#03","is_present":false,"name":"old","project":"/p"}
            error: there is no configuration `old`
            {"items":[{"changed":{"at":"06Z","by":"ann","event":"@06","event_type":"ConfigurationObserved","version":1},"current_generation":8,"id":"#02","kind":"home","name":"home","profile":"/h","project":"/p","system":""}]}
            {"items":[]}
        "##]],
    );
}

#[test]
fn modules_and_overlays() {
    let store = store(
        r#"
        module-1 ModuleCreated {"project":"/p","module":{"name":"web","options":{"a.b":{"type":"types.bool"}},"file":"modules/web.nix"}}
        module-2 ModuleCreated {"project":"/p","module":{"name":"db","options":{"a.b":{"type":"types.int"},"a.c":{"type":"types.int"}}}}
        module-3 ModuleCreated {"project":"/q","module":{"name":"db","options":{"a.b":{"type":"types.int"}}}}
        overlay-4 OverlayCreated {"project":"/p","overlay":{"name":"o","overrides":{"hello":"prev"},"additions":{"tool":"final"}}}
        overlay-5 OverlayCreated {"project":"/p","overlay":{"name":"p","overrides":{"other":"prev"}}}
        "#,
    );
    check(
        &store,
        r#"
            GetModule {"name":"web"}
            ListModules {"option":"a.c"}
            GetModule {"name":"db"}
            ListOverlays {"package":"tool"}
            GetOverlay {"name":"p","project":"/p"}
        "#,
        expect![[r##"
            {"changed":{"at":"01Z","by":"ann","event":"@01","event_type":"ModuleCreated","version":1},"config":{"AttrSet":{}},"conflicts":[{"modules":["db","web"],"option":"a.b"}],"file":"modules/web.nix","id":"#01","imports":[],"name":"web","options":{"a.b":{"type":"types.bool"}},"project":"/p"}
            {"items":[{"changed":{"at":"02Z","by":"ann","event":"@02","event_type":"ModuleCreated","version":1},"config":{"AttrSet":{}},"conflicts":[{"modules":["db","web"],"option":"a.b"}],"file":"","id":"#02","imports":[],"name":"db","options":{"a.b":{"type":"types.int"},"a.c":{"type":"types.int"}},"project":"/p"}]}
            error: more than one module `db` is there: `/p`, `/q`
              hint: say which one is meant, by its project or its id
            {"items":[{"additions":{"tool":"final"},"changed":{"at":"04Z","by":"ann","event":"@04","event_type":"OverlayCreated","version":1},"file":"","id":"#04","name":"o","overrides":{"hello":"prev"},"project":"/p"}]}
            {"additions":{},"changed":{"at":"05Z","by":"ann","event":"@05","event_type":"OverlayCreated","version":1},"file":"","id":"#05","name":"p","overrides":{"other":"prev"},"project":"/p"}
        "##]],
    );
    let shown =
        |project: &str| format!("{:?}", option_conflicts(&store, project, 9).expect("in memory"));
    assert_eq!(shown("/p"), r#"[OptionConflict { option: "a.b", modules: ["db", "web"] }]"#);
    assert_eq!(shown("/q"), "[]");
    append(&store, 6, &stream("module-1"), "ModuleDeleted", r#"{"module_id":"NIL","name":"web"}"#);
    assert_eq!(shown("/p"), "[]");
}

#[test]
fn events_that_cannot_be_read_are_left_out_and_counted() {
    let store = store(&format!(
        r#"{FLAKES}
        flake-1 FlakeUpdated {{"path":7}}
        flake-1 FlakeTurned {{"path":"/p"}}
        "#
    ));
    let Ok(Answer::GetFlake(view)) = ask(&store, &flake("/p")) else { panic!("there") };
    assert_eq!(view.changed.version, 4);
    for projection in PROJECTIONS {
        store.catch_up(projection).expect("in memory");
    }
    let unread = |name| unread(&store, name).expect("in memory");
    assert_eq!((unread("flakes").count, unread("flakes").position), (2, 7));
    assert_eq!(unread("flakes").problem, "no message of the type `FlakeTurned` is known");
    assert_eq!((unread("packages").count, unread("log").count), (0, 2));
}

#[test]
fn values_may_be_as_deep_as_events_can_have_them() {
    for depth in 1..70 {
        let value = format!("{}\"Null\"{}", r#"{"List":["#.repeat(depth), "]}".repeat(depth));
        let store = store(&format!(
            r#"
            module-1 ModuleCreated {{"module":{{"name":"m","config":{value},"options":{{"a":{{"type":"t","default":{value}}}}}}}}}
            module-1 ModuleUpdated {{"module":{{"name":"n","config":{value}}}}}
            config-2 ConfigurationCreated {{"configuration":{{"name":"c","system":"s","specialisations":{{"a":{value}}}}}}}
            config-2 ConfigurationActivated {{"generation":1,"activation_type":"Switch"}}
            "#
        ));
        for projection in PROJECTIONS {
            store.catch_up(projection).expect("what can be read can be read again");
        }
        for query in [r#"ListModules"#, "ListConfigurations"] {
            let query = Query::read(query, "{}").expect("a query");
            ask(&store, &query).expect("what can be read can be read again");
        }
    }
}

/// A read model that writes what another one cannot read.
struct Breaks;

impl crate::Projection for Breaks {
    fn name(&self) -> &'static str {
        "flakes"
    }

    fn schema(&self) -> u32 {
        1
    }

    fn apply(
        &self,
        event: &crate::Reading<'_>,
        rows: &mut dyn crate::Rows,
    ) -> Result<(), StoreError> {
        rows.put(&crate::projection::flakes::row_key(event.aggregate), "{")
    }
}

#[test]
fn rows_that_do_not_fit_are_built_again() {
    let store = store(FLAKES);
    ask(&store, &flake("/p")).expect("there");
    append(&store, 6, &stream("flake-1"), "FlakeUpdated", r#"{"path":"/p"}"#);
    store.catch_up(&Breaks).expect("in memory");
    let Ok(Answer::GetFlake(view)) = ask(&store, &flake("/p")) else { panic!("there") };
    assert_eq!(view.description, "mine");
}
