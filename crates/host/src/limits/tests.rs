//! Every command with every path it has, led astray in every way.

use std::fs;
use std::os::unix::fs::symlink;

use cim_domain_nix::MessageIdentity;
use serde_json::{Value, json};

use super::*;
use crate::new_id;

/// A tenant's folder with links that lead out of it.
struct Scene {
    _folder: tempfile::TempDir,
    limits: Limits,
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path().canonicalize().unwrap();
        let root = top.join("root");
        for name in ["root/sub", "root/out", "other", "profiles"] {
            fs::create_dir_all(top.join(name)).unwrap();
        }
        symlink("../other", root.join("away")).unwrap();
        symlink("/etc/passwd", root.join("passwd.nix")).unwrap();
        symlink("../../other", root.join("out/away")).unwrap();
        symlink("../other", top.join("profiles/away")).unwrap();
        let limits = Limits {
            readable: Vec::new(),
            store_dir: "/nix/store".into(),
            outputs: vec![root.join("out")],
            profiles: vec![top.join("profiles")],
            usual_profile: "/nix/var/nix/profiles/system".into(),
            caches: vec!["https://cache.example.org".to_owned()],
            sources: Sources::default(),
            runs_programs: true,
            collects_garbage: true,
            root,
        };
        Self { _folder: folder, limits }
    }

    fn admit(&self, command_type: &str, body: &Value) -> Result<Command, Error> {
        let mut body = body.clone();
        body["identity"] = serde_json::to_value(MessageIdentity::root(new_id())).unwrap();
        let top = self.limits.root.parent().unwrap().to_str().unwrap();
        let text = body.to_string().replace("TOP", top);
        let command = Command::read(command_type, &text).unwrap_or_else(|error| {
            panic!("{command_type}: {error}: {text}");
        });
        self.limits.admit(&command)
    }
}

/// What a field is, which decides how it can be led astray.
#[derive(Clone, Copy, Debug)]
enum Field {
    /// A folder of the project.
    Folder,
    /// A file, named from a folder of the project.
    File,
    /// A flake as people type it.
    Flake,
    /// Where an input comes from.
    Input,
    Output,
    Profile,
    StorePath,
    Cache,
    Name,
    Formatter,
}

const PATHS: &[&str] = &[
    "/etc",
    "/etc/passwd",
    "/",
    "..",
    "../other",
    "sub/../../other",
    "TOP/other",
    "TOP/root-2",
    "TOP/root/../other",
    "TOP/root/away",
    "away",
    "away/x",
    ".git",
    "sub/.GIT/hooks",
    ".cim-nix",
    "-x",
    "--option",
    "a\0b",
];

const FILES: &[&str] = &[
    "/etc/passwd",
    "../x.nix",
    "a/../../x.nix",
    "away/x.nix",
    "passwd.nix",
    ".git/config",
    ".git/hooks/post-checkout",
    "--option",
    "a\0b.nix",
    "TOP/root/x.nix",
];

const FLAKES: &[&str] = &[
    "path:/etc",
    "path:TOP/other",
    "path:TOP/root/../other",
    "path:TOP/root/away",
    "/etc",
    "TOP/other",
    "./../other",
    "../other",
    "./away",
    "~/x",
    "file:///etc/passwd",
    "tarball+file:///etc/passwd",
    "git+file:///",
    "git+file:///etc",
    "git+file://TOP/other",
    "git+ext://sh",
    "github:a/b",
    "gitlab:a/b?host=127.0.0.1",
    "sourcehut:~a/b",
    "git+https://example.org/r",
    "git+ssh://git@example.org/r",
    "https://example.org/r.tar.gz",
    "http://169.254.169.254/latest/meta-data",
    "nixpkgs",
    "flake:nixpkgs",
    "--option",
    "-f",
];

impl Field {
    fn bad(self) -> Vec<&'static str> {
        match self {
            Self::Folder => PATHS.to_vec(),
            Self::File => FILES.to_vec(),
            Self::Flake => {
                let more = ["<nixpkgs>", "<nixpkgs/nixos>", "/nix/store/../../etc", "/nix/store"];
                FLAKES.iter().copied().chain(more).collect()
            }
            Self::Input => FLAKES.to_vec(),
            Self::Output => vec![
                "/etc/x",
                "../x",
                "x",
                "sub/x",
                "out/../x",
                "out/away/x",
                "TOP/other/x",
                "TOP/profiles/x",
                "--option",
                "out/a\0b",
            ],
            Self::Profile => vec![
                "/nix/var/nix/profiles/system",
                "/etc/x",
                "x",
                "TOP/profiles/../x",
                "TOP/profiles/away/x",
                "TOP/root/out/x",
                "-p",
            ],
            Self::StorePath => vec![
                "/etc/passwd",
                "/nix/store",
                "/nix/store/../../etc/passwd",
                "/nix/storex/a",
                "x",
                "--option",
                "/nix/store/a\0b",
            ],
            Self::Cache => vec![
                "https://evil.example.org",
                "https://cache.example.org/x",
                "https://cache.example.org@evil.org",
                "file:///etc",
                "ssh://root@localhost",
                "daemon",
                "",
                "--option",
            ],
            Self::Name => vec!["--option", "-x", "a\0b"],
            Self::Formatter => vec!["sh", "sh -c id", "/bin/sh", "./fmt", "nixfmt; id", ""],
        }
    }
}

/// A command as it is admitted, with the fields that can be led astray.
type Example = (&'static str, Value, Vec<(&'static str, Field)>);

/// All commands.
fn commands() -> Vec<Example> {
    use Field::{Cache, File, Flake, Folder, Formatter, Input, Name, Output, Profile, StorePath};

    let module = json!({ "name": "web", "file": "modules/web.nix" });
    let overlay = json!({ "name": "web", "file": "overlays/web.nix" });
    let configuration = json!({ "name": "web", "system": "x86_64-linux", "path": "hosts/web.nix" });
    let attribute = json!("hello");
    let thing =
        |key: &str, value: &Value| json!({ "project": "TOP/root", "name": "web", key: value });
    let bare = json!({ "project": "TOP/root", "name": "web" });
    vec![
        (
            "CreateFlake",
            json!({ "path": "sub/new", "description": "d", "template": "./sub#x" }),
            vec![("/path", Folder), ("/template", Flake)],
        ),
        (
            "UpdateFlake",
            json!({ "path": "TOP/root", "edit": { "retarget_input": { "name": "a", "url": "./sub" } } }),
            vec![("/path", Folder), ("/edit/retarget_input/url", Input)],
        ),
        (
            "AddFlakeInput",
            json!({ "path": "TOP/root", "name": "a", "url": "path:./sub" }),
            vec![("/path", Folder), ("/url", Input)],
        ),
        ("RemoveFlakeInput", json!({ "path": "", "name": "a" }), vec![("/path", Folder)]),
        (
            "BuildPackage",
            json!({ "flake_ref": ".", "attribute": attribute, "output_path": "out/result" }),
            vec![("/flake_ref", Flake), ("/output_path", Output)],
        ),
        (
            "CachePackage",
            json!({ "flake_ref": "path:TOP/root", "attribute": attribute, "cache": "https://cache.example.org" }),
            vec![("/flake_ref", Flake), ("/cache", Cache)],
        ),
        (
            "CreateModule",
            thing("module", &module),
            vec![("/project", Folder), ("/name", Name), ("/module/file", File)],
        ),
        (
            "UpdateModule",
            thing("module", &module),
            vec![("/project", Folder), ("/name", Name), ("/module/file", File)],
        ),
        ("DeleteModule", bare.clone(), vec![("/project", Folder), ("/name", Name)]),
        (
            "CreateOverlay",
            thing("overlay", &overlay),
            vec![("/project", Folder), ("/name", Name), ("/overlay/file", File)],
        ),
        (
            "UpdateOverlay",
            thing("overlay", &overlay),
            vec![("/project", Folder), ("/name", Name), ("/overlay/file", File)],
        ),
        ("DeleteOverlay", bare.clone(), vec![("/project", Folder), ("/name", Name)]),
        (
            "CreateConfiguration",
            thing("configuration", &configuration),
            vec![("/project", Folder), ("/name", Name), ("/configuration/path", File)],
        ),
        (
            "UpdateConfiguration",
            thing("configuration", &configuration),
            vec![("/project", Folder), ("/name", Name), ("/configuration/path", File)],
        ),
        (
            "ActivateConfiguration",
            json!({
                "project": "", "name": "web", "activation_type": "Switch",
                "profile": "TOP/profiles/system", "store_path": "/nix/store/abc-system",
            }),
            vec![
                ("/project", Folder),
                ("/name", Name),
                ("/profile", Profile),
                ("/store_path", StorePath),
            ],
        ),
        (
            "RollbackConfiguration",
            json!({ "project": "sub", "name": "web", "profile": "TOP/profiles/system" }),
            vec![("/project", Folder), ("/name", Name), ("/profile", Profile)],
        ),
        ("CheckFlake", json!({ "path": "." }), vec![("/path", Folder)]),
        ("FixProject", json!({ "path": "sub" }), vec![("/path", Folder)]),
        (
            "FormatProject",
            json!({ "path": "sub", "formatter": "nixfmt" }),
            vec![("/path", Folder), ("/formatter", Formatter)],
        ),
        (
            "RenameSymbol",
            json!({ "path": "TOP/root", "file": "sub/a.nix", "offset": 1, "to": "b" }),
            vec![("/path", Folder), ("/file", File)],
        ),
        ("EvaluateExpression", json!({ "expression": "1" }), vec![]),
        ("RunGarbageCollection", json!({}), vec![]),
    ]
}

#[test]
fn every_command_is_known_here() {
    let mut known: Vec<&str> = commands().iter().map(|(name, ..)| *name).collect();
    known.sort_unstable();
    let mut all = Command::TYPES.to_vec();
    all.sort_unstable();
    assert_eq!(known, all);
}

#[test]
fn commands_within_the_project_are_admitted() {
    let scene = Scene::new();
    for (name, body, _) in commands() {
        if let Err(error) = scene.admit(name, &body) {
            panic!("{name}: {error}");
        }
    }
}

#[test]
fn no_field_leads_out() {
    let scene = Scene::new();
    let mut admitted = Vec::new();
    let mut n = 0;
    for (name, body, fields) in commands() {
        for (pointer, field) in fields {
            for bad in field.bad() {
                let mut body = body.clone();
                *body.pointer_mut(pointer).unwrap() = json!(bad);
                n += 1;
                match scene.admit(name, &body) {
                    Ok(_) => admitted.push(format!("{name}{pointer} = {bad:?}")),
                    Err(error) => {
                        assert_eq!(error.kind(), cim_nix_base::ErrorKind::User, "{name}: {error}");
                        assert!(!error.chain().contains('\0'), "{name}: {error}");
                    }
                }
            }
        }
    }
    assert!(n > 400, "{n}");
    assert_eq!(admitted, Vec::<String>::new());
}

#[test]
fn a_refusal_does_not_tell_what_is_there() {
    let scene = Scene::new();
    let refusal = |path: &str| {
        let error = scene.admit("CheckFlake", &json!({ "path": path })).unwrap_err();
        error.chain().replace(path, "P")
    };
    assert_eq!(refusal("/etc/passwd"), refusal("/etc/there-is-no-such-file"));
    assert_eq!(refusal("away/x"), refusal("../other/y"));
    let built = |path: &str| {
        let body = json!({ "flake_ref": format!("path:{path}"), "attribute": "a" });
        scene.admit("BuildPackage", &body).unwrap_err().chain().replace(path, "P")
    };
    assert_eq!(built("/etc"), built("/there/is/none"));
}

#[test]
fn what_is_admitted_is_written_in_one_way() {
    let scene = Scene::new();
    let root = scene.limits.root.to_str().unwrap().to_owned();
    for (given, want) in [
        ("", root.clone()),
        (".", root.clone()),
        ("./sub//", format!("{root}/sub")),
        ("TOP/root/sub/.", format!("{root}/sub")),
    ] {
        let Command::CheckFlake(it) = scene.admit("CheckFlake", &json!({ "path": given })).unwrap()
        else {
            panic!("another command");
        };
        assert_eq!(it.path, want, "{given}");
    }
}

#[test]
fn what_is_not_switched_on_is_refused() {
    let mut scene = Scene::new();
    scene.limits.runs_programs = false;
    scene.limits.collects_garbage = false;
    for (name, body, _) in commands() {
        let runs = matches!(
            name,
            "BuildPackage"
                | "CachePackage"
                | "ActivateConfiguration"
                | "RollbackConfiguration"
                | "RunGarbageCollection"
        );
        assert_eq!(scene.admit(name, &body).is_err(), runs, "{name}");
    }
    scene.limits.runs_programs = true;
    assert!(scene.admit("RunGarbageCollection", &json!({})).is_err());
    // The profile of the system is meant where none is named.
    let body = json!({ "name": "web", "activation_type": "Switch" });
    assert!(scene.admit("ActivateConfiguration", &body).is_err());
    scene.limits.profiles.push("/nix/var/nix/profiles".into());
    assert!(scene.admit("ActivateConfiguration", &body).is_ok());
}

#[test]
fn a_rollback_of_a_profile_that_is_known_is_checked_as_well() {
    let scene = Scene::new();
    let command = scene.admit("RollbackConfiguration", &json!({ "name": "web" })).unwrap();
    let state = State::empty(&command.kind());
    assert!(scene.limits.check_state(&command, &state).is_err(), "the system's profile");
}
