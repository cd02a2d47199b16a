//! The schemas that are checked in, read by a validator that others wrote: all frozen messages fit,
//! and each of their twins with a fault is refused.
//!
//! `cargo xtask test` obtains the validator and names its folder; elsewhere the test says that it
//! compared nothing.

use std::process::Command;

const JUDGE: &str = r#"
import copy, json, os, sys
import jsonschema_rs

root = sys.argv[1]

def load(*path):
    with open(os.path.join(root, *path)) as file:
        return json.load(file)

def schema_of(folder, name):
    if folder == "identity":
        return "envelopes", "MessageIdentity"
    if folder == "acknowledgments":
        return "envelopes", "CommandAcknowledgment"
    if folder == "envelopes":
        return "envelopes", "CommandEnvelope"
    kind, form = (name.split(".") + ["full"])[:2]
    older = f"{kind}.v1"
    is_old = form != "full" and os.path.exists(os.path.join(root, "schema", folder, older + ".json"))
    return folder, older if is_old else kind

schemas = 0
for folder in sorted(os.listdir(os.path.join(root, "schema"))):
    for name in sorted(os.listdir(os.path.join(root, "schema", folder))):
        schema = load("schema", folder, name)
        assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema", name
        jsonschema_rs.meta.validate(schema)
        schemas += 1

messages = twins = 0
for folder in sorted(os.listdir(os.path.join(root, "fixtures/wire"))):
    if folder == "edits":
        continue
    for file in sorted(os.listdir(os.path.join(root, "fixtures/wire", folder))):
        message = load("fixtures/wire", folder, file)
        of, name = schema_of(folder, file.removesuffix(".json"))
        schema = load("schema", of, name + ".json")
        validator = jsonschema_rs.Draft202012Validator(schema, validate_formats=True)
        validator.validate(message)
        messages += 1

        def refused(twin, what):
            global twins
            twins += 1
            if validator.is_valid(twin):
                sys.exit(f"{folder}/{file} with {what} is not refused")

        refused([message], "a list around it")
        for field in schema.get("required", []):
            twin = copy.deepcopy(message)
            del twin[field]
            refused(twin, f"no {field}")
        for field in message:
            if field in ("command", "query", "result"):
                continue
            # Any JSON but this is a value.
            any_value = ({"Int": "7"}, {"List": 7})
            for wrong in any_value if field == "config" else (0.5, [[]]):
                refused(message | {field: wrong}, f"{field} = {wrong}")
        for id in message.get("identity", {}):
            for wrong in ("short", 7, {"Name": "x"}, None):
                identity = message["identity"] | {id: wrong}
                refused(message | {"identity": identity}, f"{id} = {wrong}")
        for moment in ("timestamp", "occurred_at"):
            if moment in message:
                refused(message | {moment: "yesterday"}, moment)
        for thing in ("module", "overlay", "configuration"):
            for field in message.get(thing, {}):
                wrong = {"Int": "7"} if field == "config" else 0.5
                twin = message | {thing: message[thing] | {field: wrong}}
                refused(twin, f"{thing}.{field} = {wrong}")
print(f"{schemas} schemas, {messages} messages, {twins} twins")
"#;

#[test]
fn messages_fit_and_their_bad_twins_do_not() {
    let Some(readers) = std::env::var_os("CIM_NIX_READERS") else {
        eprintln!("skipped: CIM_NIX_READERS names no folder with programs that read messages");
        return;
    };
    let mut python = Command::new("python3");
    python.arg("-c").arg(JUDGE).arg(env!("CARGO_MANIFEST_DIR"));
    let path = std::path::Path::new(&readers).join("python");
    let output = python.env("PYTHONPATH", path).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let numbers: Vec<u32> = said.split(' ').filter_map(|word| word.parse().ok()).collect();
    let [schemas, messages, twins] = numbers[..] else { panic!("{said}") };
    assert!(schemas >= 80 && messages >= 120 && twins >= 2_000, "{said}");
}
