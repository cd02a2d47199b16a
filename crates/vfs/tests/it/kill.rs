//! A child that applies one change set after the other is killed at random moments.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use cim_nix_base::{ChangeSet, ContentHash, Op};
use cim_nix_vfs::{Recovered, apply, recover};

use crate::child;

/// Kills at least, and at most: as long as none came in the middle of a change.
const ROUNDS: [u32; 2] = [40, 400];
const FILES: [&str; 3] = ["a.nix", "sub/b.nix", "sub/c.nix"];

/// The content of a file in a version: several blocks of a disk.
fn content(file: &str, version: usize) -> String {
    format!("# {file} {version}\n").repeat(500)
}

/// The change of all files to version `to`; one more file comes and goes with it.
fn change(to: usize) -> ChangeSet {
    let mut set = ChangeSet::new(format!("version {to}"));
    let from = 1 - to;
    for file in FILES {
        let expected = ContentHash::of(content(file, from).as_bytes());
        set.push(file, Op::Write { expected, content: content(file, to) });
    }
    match to {
        1 => set.create("new/d.nix", "d"),
        _ => set.push("new/d.nix", Op::Remove { expected: ContentHash::of(b"d") }),
    }
    set
}

/// Which version the whole project has. Panics if it has none.
fn version(root: &Path) -> usize {
    let texts = FILES.map(|file| fs::read_to_string(root.join(file)).unwrap());
    let is = |version| FILES.iter().zip(&texts).all(|(file, text)| *text == content(file, version));
    let has_new = root.join("new/d.nix").exists();
    let heads = || texts.iter().map(|text| text.lines().next().unwrap()).collect::<Vec<_>>();
    match (is(0), is(1), has_new) {
        (true, false, false) => 0,
        (false, true, true) => 1,
        _ => panic!("neither all old nor all new: {:?}, new file: {has_new}", heads()),
    }
}

fn stray_files(root: &Path) -> Vec<String> {
    let names = |dir: &Path| {
        let entries = fs::read_dir(dir).into_iter().flatten();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect::<Vec<_>>()
    };
    let mut all = [names(root), names(&root.join("sub")), names(&root.join("new"))].concat();
    all.retain(|name| name.starts_with(".cim-nix"));
    all
}

/// The child: never ends by itself.
#[test]
fn applies_for_ever() {
    let Some(folder) = child::task() else { return };
    let (root, state) = (folder.join("root"), folder.join("state"));
    let from = version(&root);
    let changes = [change(from), change(1 - from)];
    println!("\nstarted");
    for change in changes.iter().cycle().skip(1) {
        apply(&root, &state, change).unwrap();
    }
}

#[test]
fn kill_at_any_moment_leaves_all_old_or_all_new() {
    let folder = tempfile::tempdir().unwrap();
    let (root, state) = (folder.path().join("root"), folder.path().join("state"));
    fs::create_dir_all(root.join("sub")).unwrap();
    for file in FILES {
        fs::write(root.join(file), content(file, 0)).unwrap();
    }
    let (mut n_reverted, mut n_finished, mut random) = (0, 0, 88_172_645_463_325_252_u64);
    for round in 0..ROUNDS[1] {
        if round >= ROUNDS[0] && n_reverted + n_finished > 0 {
            break;
        }
        let mut child = child::command("kill::applies_for_ever", folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap() == "started"), "the child did not start");
        // xorshift: the same moments in every run, as far as moments can be the same.
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        std::thread::sleep(Duration::from_micros(random % 40_000));
        // SIGKILL.
        child.kill().unwrap();
        child.wait().unwrap();

        match recover(&root, &state).unwrap() {
            Recovered::Nothing => {}
            Recovered::Reverted(_) => n_reverted += 1,
            Recovered::Finished(_) => n_finished += 1,
        }
        version(&root);
        assert_eq!(stray_files(&root), [""; 0], "round {round}");
        assert_eq!(recover(&root, &state).unwrap(), Recovered::Nothing);
    }
    println!("{n_reverted} reverted, {n_finished} finished");
    assert!(n_reverted + n_finished > 0, "no kill came in the middle of a change");
}
