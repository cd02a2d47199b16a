//! `.editorconfig`: how wide and how far indented Nix files are.
//!
//! Only sections that speak of Nix files count. A section for all files says nothing about Nix, whose
//! formatters have a width and an indentation of their own.

use std::path::Path;

use cim_nix_project::Files;

use super::{glob, read_settings};
use crate::Options;

/// The options for Nix files from the `.editorconfig` files in `folders`, the innermost first.
pub(super) fn options(files: &dyn Files, folders: &[&Path]) -> Options {
    let mut options = Options::default();
    for folder in folders {
        let Some(text) = read_settings(files, &folder.join(".editorconfig")) else { continue };
        let found = parse(&text);
        options.width = options.width.or(found.options.width);
        options.indent = options.indent.or(found.options.indent);
        if found.is_root {
            break;
        }
    }
    options
}

#[derive(Default)]
struct Parsed {
    is_root: bool,
    options: Options,
}

fn parse(text: &str) -> Parsed {
    let mut parsed = Parsed::default();
    let mut is_preamble = true;
    let mut is_nix = false;
    for line in text.lines().map(str::trim) {
        if let Some(section) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            is_preamble = false;
            is_nix = speaks_of_nix(section);
            continue;
        }
        let Some((key, value)) = line.split_once('=') else { continue };
        let (key, value) = (key.trim().to_ascii_lowercase(), value.trim());
        match key.as_str() {
            "root" if is_preamble => parsed.is_root = value.eq_ignore_ascii_case("true"),
            // `unset`, `off` and `tab` are no numbers: they take back what was said before.
            "max_line_length" if is_nix => parsed.options.width = value.parse().ok(),
            "indent_size" if is_nix => parsed.options.indent = value.parse().ok(),
            _ => {}
        }
    }
    parsed
}

fn speaks_of_nix(section: &str) -> bool {
    let last = section.rsplit('/').next().unwrap_or(section);
    section.contains("nix") && (glob::matches(section, "x.nix") || glob::matches(last, "x.nix"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, width: Option<u16>, indent: Option<u8>) {
        assert_eq!(parse(text).options, Options { width, indent }, "{text}");
    }

    #[test]
    fn only_sections_about_nix_count() {
        check("[*]\nindent_size = 4\nmax_line_length = 80\n", None, None);
        check("[*.{json,nix}]\nindent_size = 4\n", None, Some(4));
        check("[*.nix]\n Max_Line_Length = 90 \nindent_size = tab\n", Some(90), None);
        check("[*.nix]\nindent_size = 4\n[*.nix]\nindent_size = unset\n", None, None);
        check("[pkgs/**.nix]\nmax_line_length = off\n", None, None);
        check("[*.py]\nindent_size = 4\n", None, None);
    }

    #[test]
    fn root_is_said_at_the_top() {
        assert!(parse("; c\nroot = TRUE\n[*]\n").is_root);
        assert!(!parse("[*]\nroot = true\n").is_root);
    }
}
