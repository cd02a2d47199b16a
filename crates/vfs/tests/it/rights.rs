//! Files and folders that may not be written. Root may everything, so these run as somebody else.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use cim_nix_base::{ChangeSet, ContentHash, ErrorKind, FileMode, Op};
use cim_nix_vfs::{Content, apply, read};

use crate::child;

/// The user and group `nobody`, by custom.
const NOBODY: u32 = 65534;

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn write(file: &str) -> ChangeSet {
    let mut set = ChangeSet::new("write");
    for file in ["a.nix", file] {
        let expected = ContentHash::of(b"old");
        set.push(file, Op::Write { expected, content: "new".to_owned() });
    }
    set
}

/// The child: not root.
#[test]
fn changes_what_it_may_not() {
    let Some(folder) = child::task() else { return };
    let (root, state) = (folder.join("root"), folder.join("state"));
    write_to_anothers_file(&root, &state);
    fs::create_dir_all(root.join("closed")).unwrap();
    for file in ["a.nix", "read-only.nix", "secret.nix", "closed/b.nix"] {
        fs::write(root.join(file), "old").unwrap();
    }
    set_mode(&root.join("read-only.nix"), 0o444);
    set_mode(&root.join("secret.nix"), 0);
    set_mode(&root.join("closed"), 0o555);

    for file in ["read-only.nix", "closed/b.nix"] {
        let error = apply(&root, &state, &write(file)).unwrap_err();
        let want = format!("cannot write `{file}`: Permission denied (os error 13)");
        assert_eq!((error.kind(), error.chain()), (ErrorKind::Outside, want));
        assert_eq!(fs::read_to_string(root.join("a.nix")).unwrap(), "old");
        assert_eq!(fs::read_to_string(root.join(file)).unwrap(), "old");
        assert!(!state.join("open").exists());
    }
    assert_eq!(fs::read_dir(&root).unwrap().count(), 4);
    let found = read(&root.join("secret.nix"), 99);
    assert!(matches!(found, Content::Denied), "{found:?}");

    // A mode that forbids its owner to look is set and taken back all the same.
    let mut set = ChangeSet::new("close");
    let expected = ContentHash::of(b"old");
    let (from, to) = (FileMode(0o444), FileMode(0));
    set.push("read-only.nix", Op::SetMode { expected, from, to });
    let mut failing = set.clone();
    failing.push("closed/b.nix", Op::Remove { expected });
    let error = apply(&root, &state, &failing).unwrap_err();
    assert_eq!(error.chain(), "cannot remove `closed/b.nix`: Permission denied (os error 13)");
    let mode = || fs::metadata(root.join("read-only.nix")).unwrap().permissions().mode() & 0o7777;
    assert_eq!((error.hints(), mode()), (&[][..], 0o444));
    apply(&root, &state, &set).unwrap();
    assert_eq!(mode(), 0);

    let state = root.join("closed/state");
    let error = apply(&root, &state, &write("closed/b.nix")).unwrap_err();
    assert!(error.chain().starts_with("cannot use the state folder"), "{}", error.chain());
    set_mode(&root.join("closed"), 0o755);
    println!("\nall refused");
}

/// A file of root's that everybody may write, and that runs as root, becomes the writer's own.
fn write_to_anothers_file(root: &Path, state: &Path) {
    let file = root.join("others.nix");
    // Only root can have made it.
    let Ok(meta) = fs::metadata(&file) else { return };
    assert_eq!((meta.uid(), meta.mode() & 0o7777), (0, 0o6777));
    let mut set = ChangeSet::new("write");
    let expected = ContentHash::of(b"old");
    set.push("others.nix", Op::Write { expected, content: "new".to_owned() });
    let applied = apply(root, state, &set).unwrap();
    assert_eq!(applied.warnings, ["`others.nix` could not keep its owner, group"]);
    let meta = fs::metadata(&file).unwrap();
    assert_eq!((meta.uid(), meta.mode() & 0o7777), (NOBODY, 0o777));
    fs::remove_file(file).unwrap();
}

#[test]
fn what_may_not_be_written_is_named_and_all_stays_old() {
    let folder = tempfile::tempdir().unwrap();
    let work = folder.path().join("work");
    fs::create_dir(&work).unwrap();
    // Only root makes files of root's, and only root has to become somebody else.
    let is_root = fs::metadata(&work).unwrap().uid() == 0;
    if is_root {
        chown(&work, Some(NOBODY), Some(NOBODY)).unwrap();
        fs::create_dir(work.join("root")).unwrap();
        fs::write(work.join("root/others.nix"), "old").unwrap();
        set_mode(&work.join("root/others.nix"), 0o6777);
        chown(work.join("root"), Some(NOBODY), Some(NOBODY)).unwrap();
    }
    let name = "rights::changes_what_it_may_not";
    let mut command = if is_root {
        let words = child::words(&child::public_copy(folder.path()), name);
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).uid(NOBODY).gid(NOBODY);
        command
    } else {
        child::command(name, &work)
    };
    let output = child::with_task(&mut command, &work).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("all refused"), "{text}");
}
