//! Lock files of flakes of all kinds, and what Nix once wrote for the same: see `fixtures/locks`.

use std::path::{Path, PathBuf};
use std::process::Command;

use cim_nix_oracle::locks::{Players, play};

use crate::judge::{nix, skipped};

const SCENES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/locks");

/// A Nix before flakes had most of what they have, which has to read what we write.
fn old_nix() -> Option<PathBuf> {
    let output = Command::new("nix").arg("--version").output().ok()?;
    let is_old = String::from_utf8_lossy(&output.stdout).trim().ends_with(" 2.8.0");
    if !is_old {
        skipped("there is no Nix 2.8.0 on PATH to read lock files");
    }
    is_old.then(|| PathBuf::from("nix"))
}

/// Plays all scenes whose names the part starts with; they are recorded by `cim-nix-oracle locks`.
fn check(part: fn(&str) -> bool) {
    let players = Players {
        ours: PathBuf::from(env!("CARGO_BIN_EXE_cim-nix")),
        nix: nix(),
        old_nix: old_nix(),
    };
    let mut n_scenes = 0;
    for entry in std::fs::read_dir(SCENES).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        if path.extension().is_some_and(|ending| ending == "scene") && part(&name) {
            check_scene(&name, &path, &players);
            n_scenes += 1;
        }
    }
    assert!(n_scenes > 5, "{n_scenes}");
}

fn check_scene(name: &str, path: &Path, players: &Players) {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().canonicalize().unwrap();
    let text = std::fs::read_to_string(path).unwrap();
    let played = play(&text, players, &folder).unwrap();
    assert_eq!(played.differences, [""; 0], "{name}");
    let want = std::fs::read_to_string(path.with_extension("locks")).unwrap();
    assert!(played.record == want, "{name}\nNix wrote:\n{want}\nwe:\n{}", played.record);
}

// One test for each part, so that they run at once.

#[test]
fn git_sources_are_locked_as_nix_locks_them() {
    check(|name| name.starts_with("git"));
}

#[test]
fn archives_and_files_are_locked_as_nix_locks_them() {
    check(|name| name.starts_with("tarball") || name.starts_with('f') && !name.starts_with("fo"));
}

#[test]
fn inputs_that_follow_others_are_locked_as_nix_locks_them() {
    check(|name| name.starts_with("fo") || name.starts_with("over"));
}

#[test]
fn everything_else_is_locked_as_nix_locks_it() {
    check(|name| {
        let known = ["git", "tarball", "over"];
        !name.starts_with('f') && !known.iter().any(|start| name.starts_with(start))
    });
}
