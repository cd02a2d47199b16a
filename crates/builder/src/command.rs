//! What is run: a program, its arguments, its folder and its environment. No shell is in between.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::PathBuf;

/// The variables that programs of Nix, and what they start, read.
const INHERITED: [&str; 36] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "TMPDIR",
    // Where people keep settings and state.
    "XDG_CACHE_HOME",
    "XDG_CONFIG_DIRS",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_STATE_HOME",
    // Services of the user, which an activation restarts.
    "XDG_RUNTIME_DIR",
    "DBUS_SESSION_BUS_ADDRESS",
    // Keys and certificates for sources and caches.
    "SSH_AUTH_SOCK",
    "SSL_CERT_FILE",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "GIT_SSH_COMMAND",
    // What Git may do for whoever is not trusted.
    "GIT_ALLOW_PROTOCOL",
    "GIT_TERMINAL_PROMPT",
    // The span that all of it belongs to.
    "TRACEPARENT",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_PROFILE",
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "http_proxy",
    "https_proxy",
    "ftp_proxy",
    "all_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    // Where the locales of glibc are, for whatever runs outside of NixOS.
    "LOCALE_ARCHIVE",
];

/// Beginnings of names that belong to Nix and its package collection, and settings of Git.
const INHERITED_PREFIXES: [&str; 5] =
    ["NIX_", "NIXPKGS_", "NIXOS_", "HOME_MANAGER_", "GIT_CONFIG_"];

/// The environment of the programs: what is named here, and nothing else.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Environment(BTreeMap<OsString, OsString>);

impl Environment {
    /// No variables but those that make programs answer in English.
    #[must_use]
    pub fn empty() -> Self {
        // What they say is read here.
        let locale = [("LC_ALL", "C.UTF-8"), ("NO_COLOR", "1"), ("TERM", "dumb")];
        Self(locale.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }

    /// The variables of this process that Nix and what it starts are known to read.
    #[must_use]
    pub fn inherited() -> Self {
        let mut environment = Self::empty();
        for (name, value) in std::env::vars_os() {
            let text = name.to_string_lossy();
            let is_known = INHERITED.contains(&text.as_ref());
            if is_known || INHERITED_PREFIXES.iter().any(|prefix| text.starts_with(prefix)) {
                environment.0.insert(name, value);
            }
        }
        environment
    }

    /// Sets a variable.
    pub fn set(&mut self, name: impl Into<OsString>, value: impl Into<OsString>) {
        self.0.insert(name.into(), value.into());
    }

    /// Removes a variable.
    pub fn remove(&mut self, name: impl AsRef<OsStr>) {
        self.0.remove(name.as_ref());
    }

    /// The value of a variable.
    #[must_use]
    pub fn get(&self, name: impl AsRef<OsStr>) -> Option<&OsStr> {
        self.0.get(name.as_ref()).map(OsString::as_os_str)
    }

    /// All variables, by name.
    pub fn variables(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.0.iter().map(|(name, value)| (name.as_os_str(), value.as_os_str()))
    }
}

/// One program with all that it is given.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Invocation {
    /// The program's file.
    pub program: PathBuf,
    /// Its arguments. In a plan, `<derivation>` stands for what a former call gives.
    pub arguments: Vec<OsString>,
    /// The folder that it runs in.
    pub folder: PathBuf,
    /// All of its environment.
    pub environment: Environment,
}

impl Invocation {
    pub(crate) fn arg(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    pub(crate) fn args<A: Into<OsString>>(
        mut self,
        arguments: impl IntoIterator<Item = A>,
    ) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }
}

/// As a shell would take it, for people to read and to copy.
impl fmt::Display for Invocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_word(f, &self.program.to_string_lossy())?;
        for argument in &self.arguments {
            f.write_str(" ")?;
            write_word(f, &argument.to_string_lossy())?;
        }
        Ok(())
    }
}

fn write_word(f: &mut fmt::Formatter<'_>, word: &str) -> fmt::Result {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=+@,%".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return f.write_str(word);
    }
    write!(f, "'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invocation_reads_as_a_shell_takes_it() {
        let invocation = Invocation {
            program: "/usr/bin/nix-store".into(),
            arguments: Vec::new(),
            folder: "/".into(),
            environment: Environment::empty(),
        };
        let invocation = invocation.args(["--realise", "/s/a.drv!out", "", "it's", "-p", "a b"]);
        let want = r"/usr/bin/nix-store --realise '/s/a.drv!out' '' 'it'\''s' -p 'a b'";
        assert_eq!(invocation.to_string(), want);
    }

    #[test]
    fn the_environment_is_what_was_named() {
        let mut environment = Environment::empty();
        environment.set("NIX_PATH", "a=b");
        assert_eq!(environment.get("NIX_PATH"), Some(OsStr::new("a=b")));
        environment.remove("NIX_PATH");
        assert_eq!(environment.get("NIX_PATH"), None);
        let inherited = Environment::inherited();
        assert!(inherited.get("PATH").is_some());
        assert!(inherited.get("CARGO_MANIFEST_DIR").is_none(), "set in tests, unknown to Nix");
    }
}
