//! An overlay as code.

use cim_domain_nix::Overlay;
use cim_nix_base::Error;

use super::scope::undefined;
use super::value::name;
use super::{Rendered, check_code, code, laid_out, shown};

/// The file of an overlay: `final: prev: { … }`.
///
/// Errors: something is no code, or uses names that an overlay does not have.
pub fn render_overlay(overlay: &Overlay) -> Result<Rendered, Error> {
    let mut sections = Vec::new();
    let mut notes = Vec::new();
    for (packages, verb) in [(&overlay.overrides, "changes"), (&overlay.additions, "adds")] {
        let mut bindings = Vec::new();
        for (package, text) in packages {
            let what = format!("what the overlay {verb} as `{}`", shown(package));
            check_names(&what, text)?;
            if package.contains('.') {
                notes.push(format!(
                    "`{}` is one name, with the dot in it: an overlay gives whole attributes",
                    shown(package)
                ));
            }
            bindings.push(format!("{} = {};", name(&what, package)?, code(&what, text)?));
        }
        if !bindings.is_empty() {
            sections.push(bindings.join("\n\n"));
        }
    }
    if let Some(both) = overlay.overrides.keys().find(|it| overlay.additions.contains_key(*it)) {
        return Err(Error::user(format!("the overlay both changes and adds `{}`", shown(both))));
    }
    let body = match sections.as_slice() {
        [] => "{ }".to_owned(),
        sections => format!("{{\n{}\n}}", sections.join("\n\n")),
    };
    let names = undefined(&body);
    // A parameter that nothing uses says so.
    let lib = if names.contains("lib") { "let\ninherit (prev) lib;\nin\n" } else { "" };
    let last = if names.contains("final") { "final" } else { "_final" };
    let prev = if names.contains("prev") || !lib.is_empty() { "prev" } else { "_prev" };
    let text = laid_out(format!("{last}: {prev}:\n{lib}{body}"))?;
    Ok(Rendered { text, special: Vec::new(), notes })
}

/// Refuses names that nothing would supply.
fn check_names(what: &str, text: &str) -> Result<(), Error> {
    check_code(what, text)?;
    let unknown = undefined(text);
    match unknown.iter().find(|name| !["final", "prev", "lib"].contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => Err(Error::user(format!("{what} uses `{name}`, which nothing supplies"))
            .hint("code of an overlay has `final`, `prev` and `lib`; a package is `prev.NAME`")),
    }
}
