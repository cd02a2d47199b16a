//! The settings of Nix: its files, `NIX_CONFIG` and what was given on the command line.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

/// Settings in order; the last of several with one name counts.
#[derive(Default, Debug)]
pub(crate) struct NixConf {
    settings: Vec<(String, String)>,
}

impl NixConf {
    /// What the machine, the user and the environment say.
    pub(crate) fn load() -> Self {
        let mut conf = Self::default();
        conf.add_file(&system_folder().join("nix.conf"), true, 0);
        if let Ok(files) = env::var("NIX_USER_CONF_FILES") {
            for file in files.split(':').rev() {
                conf.add_file(Path::new(file), true, 0);
            }
        } else {
            let dirs = env::var("XDG_CONFIG_DIRS").unwrap_or_else(|_| "/etc/xdg".to_owned());
            for dir in dirs.split(':').rev() {
                conf.add_file(&Path::new(dir).join("nix/nix.conf"), true, 0);
            }
            if let Some(home) = config_home() {
                conf.add_file(&home.join("nix/nix.conf"), true, 0);
            }
        }
        conf.add_text(&env::var("NIX_CONFIG").unwrap_or_default(), Path::new("/"), 0);
        conf
    }

    fn add_file(&mut self, file: &Path, is_optional: bool, depth: usize) {
        match fs::read_to_string(file) {
            Ok(text) => self.add_text(&text, file.parent().unwrap_or(Path::new("/")), depth),
            Err(_) if is_optional => {}
            Err(error) => {
                let name = file.display();
                crate::terminal::note(format!("warning: cannot read `{name}`: {error}"));
            }
        }
    }

    fn add_text(&mut self, text: &str, folder: &Path, depth: usize) {
        for line in text.lines() {
            let line = line.split('#').next().unwrap_or_default().trim();
            let include = line.strip_prefix("include ").map(|file| (file, false));
            let include = include.or(line.strip_prefix("!include ").map(|file| (file, true)));
            if let Some((file, is_optional)) = include {
                // Files that include each other would do so for ever.
                if depth < 16 {
                    self.add_file(&folder.join(file.trim()), is_optional, depth + 1);
                }
            } else if let Some((name, value)) = line.split_once('=') {
                self.add(name.trim(), value.trim());
            }
        }
    }

    /// Adds a setting that wins over those before.
    pub(crate) fn add(&mut self, name: &str, value: &str) {
        self.settings.push((name.to_owned(), value.to_owned()));
    }

    /// A setting's value.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.settings.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The words of a setting that `extra-NAME` adds to.
    pub(crate) fn words(&self, name: &str) -> Vec<String> {
        let mut words: Vec<String> = Vec::new();
        let split = |value: &str| value.split_ascii_whitespace().map(str::to_owned).collect();
        for (known, value) in &self.settings {
            if known == name {
                words = split(value);
            } else if known.strip_prefix("extra-") == Some(name) {
                let more: Vec<String> = split(value);
                words.extend(more);
            }
        }
        words
    }
}

/// The folder of the machine's settings.
pub(crate) fn system_folder() -> PathBuf {
    env::var_os("NIX_CONF_DIR").map_or(PathBuf::from("/etc/nix"), PathBuf::from)
}

/// The folder of the user's settings.
pub(crate) fn config_home() -> Option<PathBuf> {
    let set = env::var_os("XDG_CONFIG_HOME").filter(|dir| !dir.is_empty()).map(PathBuf::from);
    set.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".config")))
}

/// The folder for what can be had again.
pub(crate) fn cache_home() -> Option<PathBuf> {
    let set = env::var_os("XDG_CACHE_HOME").filter(|dir| !dir.is_empty()).map(PathBuf::from);
    set.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cache")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_settings_win_and_extra_ones_add() {
        let mut conf = NixConf::default();
        conf.add_text(
            "a = 1 # one\nwords = x y\nextra-words = z\n\na=2\nno setting",
            Path::new("/"),
            0,
        );
        assert_eq!(conf.get("a"), Some("2"));
        assert_eq!(conf.words("words"), ["x", "y", "z"]);
        conf.add("words", "w");
        assert_eq!(conf.words("words"), ["w"]);
        assert_eq!(conf.get("b"), None);
    }
}
