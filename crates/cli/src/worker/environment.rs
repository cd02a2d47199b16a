//! The environment of what works for others: what is named here, and nothing else.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::path::Path;

use cim_nix_base::Error;
use cim_nix_host::protocol::Setup;

/// Where nobody answers: the port is that of the discard service, on this machine.
const NOWHERE: &str = "http://127.0.0.1:9";

/// All variables for a request.
///
/// Errors: the settings name one that is not Nix's.
pub(super) fn of(setup: &Setup) -> Result<BTreeMap<OsString, OsString>, Error> {
    let mut all = BTreeMap::new();
    let mut set = |name: &str, value: &Path| {
        all.insert(OsString::from(name), OsString::from(value));
    };
    let path = setup.nix.path.clone().map(OsString::from).or_else(|| env::var_os("PATH"));
    set("PATH", Path::new(&path.unwrap_or_default()));
    for (name, value) in [
        ("LC_ALL", "C.UTF-8"),
        ("TERM", "dumb"),
        ("NO_COLOR", "1"),
        // Repositories have settings of their own, but nobody else's count, and nobody is asked.
        ("GIT_CONFIG_NOSYSTEM", "1"),
        ("GIT_CONFIG_GLOBAL", "/dev/null"),
        ("GIT_TERMINAL_PROMPT", "0"),
        ("GIT_ALLOW_PROTOCOL", if setup.sources.network { "file:https:ssh" } else { "file" }),
    ] {
        set(name, Path::new(value));
    }
    // Repositories may belong to whoever brought the files here, and must not run programs.
    let settings =
        [("safe.directory", "*"), ("core.fsmonitor", "false"), ("core.hooksPath", "/dev/null")];
    set("GIT_CONFIG_COUNT", Path::new(&settings.len().to_string()));
    for (at, (name, value)) in settings.into_iter().enumerate() {
        set(&format!("GIT_CONFIG_KEY_{at}"), Path::new(name));
        set(&format!("GIT_CONFIG_VALUE_{at}"), Path::new(value));
    }
    if !setup.sources.network {
        for name in ["http_proxy", "https_proxy", "ftp_proxy", "all_proxy"] {
            set(name, Path::new(NOWHERE));
        }
        set("no_proxy", Path::new(""));
        set("GIT_SSH_COMMAND", Path::new("false"));
    }
    let home = setup.state_home.join("home");
    set("HOME", &home);
    set("XDG_STATE_HOME", &setup.state_home);
    set("XDG_CACHE_HOME", &setup.cache_home);
    set("XDG_CONFIG_HOME", &home.join(".config"));
    set("XDG_CONFIG_DIRS", &home.join(".config"));
    // Files without flakes may be in the project, and nowhere else.
    let mut search = OsString::from("project=");
    search.push(&setup.root);
    set("NIX_PATH", Path::new(&search));
    if let Some(trace) = &setup.traceparent {
        let is_plain = |c: char| c.is_ascii_hexdigit() || c == '-';
        if trace.len() <= 128 && trace.chars().all(is_plain) {
            set("TRACEPARENT", Path::new(trace));
        }
    }
    for (name, value) in &setup.nix.environment {
        if !name.starts_with("NIX_") || name == "NIX_PATH" || name == "NIX_CONFIG" {
            let name = name.escape_debug();
            return Err(Error::config(format!("the variable `{name}` cannot be set for Nix")));
        }
        set(name, Path::new(value));
    }
    Ok(all)
}
