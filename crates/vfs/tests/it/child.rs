//! This test binary as a child of itself: a test becomes the child when a variable is set.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Tells a child what it shall work on.
const TASK: &str = "CIM_NIX_VFS_TEST_TASK";

/// The folder that this process was started for, if it is a child.
pub(crate) fn task() -> Option<PathBuf> {
    env::var_os(TASK).map(PathBuf::from)
}

/// The words of a command that runs the test `name` of this binary alone.
pub(crate) fn words(binary: &Path, name: &str) -> Vec<OsString> {
    let flags = [name, "--exact", "--nocapture", "--test-threads=1"];
    [binary.as_os_str().to_owned()].into_iter().chain(flags.map(OsString::from)).collect()
}

/// A command that runs the test `name` as a child which works on `folder`.
pub(crate) fn command(name: &str, folder: &Path) -> Command {
    let words = words(&env::current_exe().unwrap(), name);
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).env(TASK, folder);
    command
}

/// The same through `sh`, which runs `setup` first. The child's words are `"$@"` there.
pub(crate) fn command_in_shell(setup: &str, name: &str, folder: &Path) -> Command {
    let mut command = Command::new("sh");
    let script = format!("set -e; {setup}; exec \"$@\"");
    command.arg("-c").arg(script).arg("sh");
    command.args(words(&env::current_exe().unwrap(), name)).env(TASK, folder);
    command
}

/// Copies this binary to where every user may run it.
pub(crate) fn public_copy(folder: &Path) -> PathBuf {
    let copy = folder.join("binary");
    fs::copy(env::current_exe().unwrap(), &copy).unwrap();
    for path in [folder, &copy] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    copy
}

/// The variable for a command that was not made by [`command`].
pub(crate) fn with_task<'a>(command: &'a mut Command, folder: &Path) -> &'a mut Command {
    command.env(TASK, folder)
}
