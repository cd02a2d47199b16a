//! A disk that fills up while a change set is applied.

use std::fs;
use std::path::Path;
use std::process::Command;

use cim_nix_base::{ChangeSet, ContentHash, ErrorKind, Op};
use cim_nix_vfs::{Recovered, apply, recover};

use crate::child;

/// A set whose first content fits and whose second does not.
fn change() -> ChangeSet {
    let mut set = ChangeSet::new("grow");
    for (file, len) in [("a.nix", 1000), ("sub/b.nix", 1 << 20)] {
        let expected = ContentHash::of(b"old");
        set.push(file, Op::Write { expected, content: "x".repeat(len) });
    }
    set
}

/// The child: what fits is 512 KiB, by whatever means. The state folder is on the same disk.
#[test]
fn changes_with_little_room() {
    let Some(folder) = child::task() else { return };
    let (root, state) = (folder.join("root"), folder.join("state"));
    fs::create_dir_all(root.join("sub")).unwrap();
    for file in ["a.nix", "sub/b.nix"] {
        fs::write(root.join(file), "old").unwrap();
    }
    let error = apply(&root, &state, &change()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Outside);
    assert!(error.chain().starts_with("cannot write `sub/b.nix`: "), "{}", error.chain());
    assert_eq!(error.hints(), [""; 0], "going back needs no room");
    for (folder, names) in [("", &["a.nix", "sub"][..]), ("sub", &["b.nix"])] {
        let mut found: Vec<_> = fs::read_dir(root.join(folder))
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        found.sort();
        assert_eq!(found, names);
    }
    for file in ["a.nix", "sub/b.nix"] {
        assert_eq!(fs::read_to_string(root.join(file)).unwrap(), "old");
    }
    assert_eq!(recover(&root, &state).unwrap(), Recovered::Nothing);
    fs::write(folder.join("cause"), error.chain()).unwrap();
    println!("\nwent back after: {}", error.chain());
}

fn run(mut command: Command, cause: &str) {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains(cause), "{text}");
}

#[test]
fn full_disk_leaves_all_old() {
    let folder = tempfile::tempdir().unwrap();
    // A disk of our own in a name space of our own, gone with the child.
    let mount = "mount -t tmpfs -o size=512k,mode=755 none \"$CIM_NIX_VFS_TEST_TASK\"";
    let unshared = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(["--map-root-user", "--mount", "sh", "-c", script, "sh"]);
        child::with_task(&mut command, folder.path());
        command
    };
    let can_mount = unshared(mount).status().is_ok_and(|status| status.success());
    if !can_mount {
        // The other test of this file has a limit instead, which every system has.
        println!("SKIPPED: a full disk needs unprivileged user name spaces with tmpfs");
        return;
    }
    let mut command = unshared(&format!("{mount} && exec \"$@\""));
    let binary = std::env::current_exe().unwrap();
    command.args(child::words(&binary, "full_disk::changes_with_little_room"));
    run(command, "No space left on device");
}

#[test]
fn file_size_limit_leaves_all_old() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("here")).unwrap();
    // In blocks of 512 bytes or of 1024, depending on the shell; both are right. With the signal
    // ignored, writing beyond the limit is an error.
    let setup = "trap '' XFSZ; ulimit -f 512";
    let folder: &Path = &folder.path().join("here");
    run(
        child::command_in_shell(setup, "full_disk::changes_with_little_room", folder),
        "File too large",
    );
}
