//! Tests whose second half runs in a process of its own, which may be killed.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::store::Store;

/// The folder that a child works on; absent in the process of the test itself.
const FOLDER: &str = "CIM_NIX_BUILDER_CHILD";

/// A process that runs only the test `name`, as a child working on `folder`.
fn command(name: &str, folder: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([name, "--exact", "--nocapture", "--test-threads=1"]).env(FOLDER, folder);
    command
}

/// The folder to work on, in a child.
pub(crate) fn task() -> Option<PathBuf> {
    std::env::var_os(FOLDER).map(PathBuf::from)
}

/// Whether the process is there whose number stands in a file.
pub(crate) fn is_alive(file: &Path) -> bool {
    let id = std::fs::read_to_string(file).unwrap();
    let state = std::fs::read_to_string(format!("/proc/{}/stat", id.trim())).unwrap_or_default();
    !state.is_empty() && !state.contains(") Z")
}

/// Runs the test `name` as a child, and kills it once what it runs has written the file `pid`.
pub(crate) fn kill_once(store: &Store, name: &str) {
    let pid = store.at("project/pid");
    let _ = std::fs::remove_file(&pid);
    let mut command = command(name, store.folder.path());
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    for _ in 0..1200 {
        if std::fs::read_to_string(&pid).is_ok_and(|text| text.ends_with('\n')) {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(pid.is_file(), "the child did not come so far");
    // SIGKILL.
    child.kill().unwrap();
    child.wait().unwrap();
}
