use expect_test::expect;

use super::*;

fn parse(text: &str) -> Result<LockFile, String> {
    LockFile::parse(text, "the lock file", &mut |_| {}).map_err(|error| error.to_string())
}

const PATH: &str = r#"{"lastModified":1,"narHash":"sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=","path":"/x","type":"path"}"#;

fn lock(nodes: &str) -> String {
    format!(r#"{{"version":7,"root":"root","nodes":{{{}}}}}"#, nodes.replace("PATH", PATH))
}

#[test]
fn what_is_read_is_written_again() {
    let file = parse(&lock(
        r#""root":{"inputs":{"a":"one","b":["a","c"]}},
           "one":{"inputs":{"c":"two"},"locked":PATH,"original":{"type":"indirect","id":"a"}},
           "two":{"flake":false,"locked":{"type":"path","path":"./é\"x"},"original":{"type":"path","path":"./é\"x"},"parent":["a"]},
           "unused":{"locked":PATH,"original":PATH}"#,
    ));
    let text = file.unwrap().to_text();
    expect![[r#"
        {
          "nodes": {
            "a": {
              "inputs": {
                "c": "c"
              },
              "locked": {
                "lastModified": 1,
                "narHash": "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
                "path": "/x",
                "type": "path"
              },
              "original": {
                "id": "a",
                "type": "indirect"
              }
            },
            "c": {
              "flake": false,
              "locked": {
                "path": "./é\"x",
                "type": "path"
              },
              "original": {
                "path": "./é\"x",
                "type": "path"
              },
              "parent": [
                "a"
              ]
            },
            "root": {
              "inputs": {
                "a": "a",
                "b": [
                  "a",
                  "c"
                ]
              }
            }
          },
          "root": "root",
          "version": 7
        }
    "#]]
    .assert_eq(&text);
    assert_eq!(parse(&text).unwrap().to_text(), text);
}

#[test]
fn nodes_are_named_by_the_first_input_that_leads_to_them() {
    let file = parse(&lock(
        r#""root":{"inputs":{"a":"x","b":"y"}},
           "x":{"inputs":{"b":"z"},"locked":PATH,"original":PATH},
           "y":{"inputs":{"b":"z"},"locked":PATH,"original":PATH},
           "z":{"locked":PATH,"original":PATH}"#,
    ))
    .unwrap();
    let keys: Vec<String> = file.keys().into_iter().map(|(_, key)| key).collect();
    assert_eq!(keys, ["root", "a", "b", "b_2"]);
    assert_eq!(file.to_json()["nodes"]["root"]["inputs"]["b"], "b_2");
    assert_eq!(file.to_json()["nodes"]["b_2"]["inputs"]["b"], "b");
}

#[test]
fn broken_files_are_told() {
    let check = |text: &str, want: &str| {
        let said = parse(text).unwrap_err();
        assert!(said.contains(want), "{text}: {said}");
    };
    check("{", "Could not parse 'the lock file'");
    check("[]", "unsupported version 0");
    check(r#"{"version":8}"#, "unsupported version 8");
    check(r#"{"version":7}"#, "does not name its 'root'");
    check(r#"{"version":7,"root":"root"}"#, "has no 'nodes'");
    check(&lock(r#""root":{"inputs":{"a":"b"}}"#), "references missing node 'b'");
    check(&lock(r#""root":{"inputs":{"a":"root"}}"#), "cycle to root node");
    check(&lock(r#""root":{"inputs":{"a":7}}"#), "neither a name nor a path");
    check(&lock(r#""root":{"inputs":[]}"#), "are no set");
    check(&lock(r#""root":{"inputs":{"a":"b"}},"b":{}"#), "attribute 'locked' missing");
    check(
        &lock(r#""root":{"inputs":{"a":"b"}},"b":{"locked":{"type":"path","path":"/x"}}"#),
        r#"unlocked input '{"path":"/x","type":"path"}'"#,
    );
    check(
        &lock(r#""root":{"inputs":{"a":"b"}},"b":{"locked":{"type":"path","path":[]}}"#),
        "unsupported input attribute type of 'path'",
    );
}

#[test]
fn a_node_may_lead_to_itself() {
    let file = parse(&lock(
        r#""root":{"inputs":{"a":"x"}},"x":{"inputs":{"a":"x"},"locked":PATH,"original":PATH}"#,
    ));
    assert_eq!(file.unwrap().to_json()["nodes"]["a"]["inputs"]["a"], "a");
}

#[test]
fn follows_are_found_and_circles_told() {
    let of = |inputs: &str| {
        parse(&lock(&format!(
            r#""root":{{"inputs":{{{inputs}}}}},"x":{{"inputs":{{"c":["a"]}},"locked":PATH,"original":PATH}}"#
        )))
        .unwrap()
    };
    let said = |inputs: &str| of(inputs).check().map_err(|error| error.to_string());
    assert_eq!(said(r#""a":"x","b":["a","c"],"d":[]"#), Ok(()));
    assert_eq!(
        said(r#""a":"x","b":["q"]"#),
        Err("input 'b' follows a non-existent input 'q'".to_owned())
    );
    assert_eq!(
        said(r#""a":["b"],"b":["a"]"#),
        Err("follow cycle detected: [b -> a -> b]".to_owned())
    );
}

#[test]
fn changes_are_for_people() {
    let old = parse(&lock(
        r#""root":{"inputs":{"a":"x","b":"x","gone":["a"]}},"x":{"locked":PATH,"original":PATH}"#,
    ));
    let new = parse(&lock(
        r#""root":{"inputs":{"a":"x","b":["a"],"new":"x"}},"x":{"locked":PATH,"original":PATH}"#,
    ));
    expect![[r#"
        • Updated input 'b':
            'path:/x?lastModified=1&narHash=sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA%3D' (1970-01-01)
          → follows 'a'
        • Removed input 'gone'
        • Added input 'new':
            'path:/x?lastModified=1&narHash=sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA%3D' (1970-01-01)
    "#]]
    .assert_eq(&old.unwrap().changes(&new.unwrap()));
}

#[test]
fn input_paths_are_names_between_slashes() {
    assert_eq!(input_path("a/b-c").unwrap(), ["a", "b-c"]);
    assert_eq!(input_path("").unwrap(), [""; 0]);
    assert!(input_path("a/1").unwrap_err().to_string().contains("element '1'"));
}

#[test]
fn inputs_that_nest_too_deeply_are_refused() {
    let node = |at: usize| {
        let input = r#""locked": { "path": "./x", "type": "path" }, "original": { "path": "./x", "type": "path" }"#;
        format!(r#""n{at}": {{ "inputs": {{ "a": "n{}" }}, {input} }}"#, at + 1)
    };
    let file = |n: usize| {
        let last = r#""locked": { "path": "./x", "type": "path" }, "original": { "path": "./x", "type": "path" }"#;
        let nodes: Vec<String> = (0..n).map(node).collect();
        format!(
            r#"{{ "version": 7, "root": "root", "nodes": {{ "root": {{ "inputs": {{ "a": "n0" }} }}, {}, "n{n}": {{ {last} }} }} }}"#,
            nodes.join(", ")
        )
    };
    assert!(LockFile::parse(&file(500), "flake.lock", &mut |_| {}).is_ok());
    let error = LockFile::parse(&file(5_000), "flake.lock", &mut |_| {}).unwrap_err();
    assert!(error.to_string().contains("nested too deeply"), "{error}");
}

#[test]
fn lock_files_are_their_json_in_messages() {
    let file = parse(&lock(
        r#""root":{"inputs":{"a":"one","b":["a"]}},"one":{"locked":PATH,"original":PATH}"#,
    ));
    let file = file.unwrap();
    let json = serde_json::to_string(&file).unwrap();
    assert_eq!(json, file.to_json().to_string());
    assert_eq!(serde_json::from_str::<LockFile>(&json).unwrap(), file);
    let error = serde_json::from_str::<LockFile>(r#"{"version":8}"#).unwrap_err();
    expect!["lock file 'flake.lock' has unsupported version 8"].assert_eq(&error.to_string());
}
