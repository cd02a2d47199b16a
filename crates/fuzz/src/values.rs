//! What is read as a name, a reference or another small value is printed and read again.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use cim_nix_model::{
    AttributePath, Derivation, DrvName, FlakeAttr, FlakeRef, Generation, Hash, Installable,
    LockFile, NarHash, Outputs, Registry, StoreDir, StorePath, System, Url, Version, split_version,
    without_passwords,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Whatever a text is taken for, its own text means the same.
pub fn values(data: &[u8]) {
    if let Ok(derivation) = Derivation::from_aterm(data) {
        assert_eq!(Derivation::from_aterm(&derivation.to_aterm()).as_ref(), Ok(&derivation));
    }
    let text = &*String::from_utf8_lossy(data);
    value::<AttributePath>(text);
    value::<DrvName>(text);
    // What Nix prints of a reference leaves out some of it, so its text is another matter.
    in_json::<FlakeRef>(text);
    value::<Generation>(text);
    value::<Hash>(text);
    value::<Installable>(text);
    value::<NarHash>(text);
    value::<Outputs>(text);
    value::<StorePath>(text);
    value::<System>(text);
    value::<Version>(text);
    reads_again::<FlakeAttr>(text);
    attribute_paths(text);
    versions(text);
    if let Ok(reference) = text.parse::<FlakeRef>() {
        let url = reference.exact_url().expect("what was a URL has one").to_string();
        assert_eq!(FlakeRef::parse(&url).as_ref(), Ok(&reference), "{url}");
        let wire = reference.to_wire();
        assert_eq!(FlakeRef::from_wire(&wire).as_ref(), Ok(&reference), "{wire}");
    }
    if let Ok(url) = Url::parse(text) {
        assert_eq!(Url::parse(&url.to_string()).as_ref(), Ok(&url));
    }
    if let Ok(file) = LockFile::parse(text, "it", &mut |_| {}) {
        let again = LockFile::parse(&file.to_text(), "it", &mut |_| {});
        assert_eq!(again.as_ref(), Ok(&file));
        let _ = file.check();
    }
    if let Ok((path, _)) = StoreDir::default().read_below(text) {
        assert!(StoreDir::default().is_path(&StoreDir::default().show(&path)));
    }
    let _ = Registry::parse(text);
    let _ = without_passwords(text);
}

/// The text of a value is read as the same value.
fn reads_again<T: FromStr + Display + PartialEq + Debug>(text: &str) {
    let Ok(value) = text.parse::<T>() else { return };
    let shown = value.to_string();
    let again: Option<T> = shown.parse().ok();
    assert_eq!(again.as_ref(), Some(&value), "{text:?} is shown as {shown:?}");
}

/// So is its JSON, and the text is read from JSON, too.
fn value<T>(text: &str)
where
    T: FromStr + Display + Serialize + DeserializeOwned + PartialEq + Debug,
{
    reads_again::<T>(text);
    in_json::<T>(text);
}

fn in_json<T>(text: &str)
where
    T: FromStr + Serialize + DeserializeOwned + PartialEq + Debug,
{
    if let Ok(value) = serde_json::from_str::<T>(text) {
        json(&value);
    }
    let Ok(value) = text.parse::<T>() else { return };
    json(&value);
    let quoted = serde_json::to_string(text).expect("texts can be written");
    let read: Option<T> = serde_json::from_str(&quoted).ok();
    assert_eq!(read.as_ref(), Some(&value), "{quoted}");
}

fn json<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) {
    let json = serde_json::to_string(value).expect("values can be written");
    let again: Option<T> = serde_json::from_str(&json).ok();
    assert_eq!(again.as_ref(), Some(value), "{json}");
}

/// Paths are printed as the parser's own printer does, and the parser reads them so.
fn attribute_paths(text: &str) {
    let selection = AttributePath::parse_selection(text);
    for path in [AttributePath::parse(text), selection].into_iter().flatten() {
        let shown = path.to_string();
        assert_eq!(shown, cim_nix_syntax::build::attr_path_text(path.segments()));
        assert_eq!(AttributePath::parse(&shown).as_ref(), Ok(&path), "{shown}");
        if let Some(typed) = path.to_selection() {
            assert_eq!(AttributePath::parse_selection(&typed).as_ref(), Ok(&path), "{typed}");
        }
        // There is no way to write the byte 0 in Nix.
        if !path.is_empty() && !shown.contains('\0') {
            let parsed = cim_nix_syntax::parse(format!("{{ {shown} = 1; }}"));
            assert!(parsed.problems.is_empty(), "{shown}: {:?}", parsed.problems);
        }
    }
}

/// Versions are equal if their parts are, and nothing lies between a version and itself.
fn versions(text: &str) {
    let version = Version::new(text);
    let parts: Vec<String> = version.parts().map(str::to_owned).collect();
    assert_eq!(Version::new(parts.join(".")), version, "{text:?}");
    assert_eq!(split_version(text.as_bytes()).count(), parts.len());
    let middle = (0..=text.len() / 2).rfind(|&at| text.is_char_boundary(at)).unwrap_or(0);
    let (start, end) = text.split_at(middle);
    let (start, end) = (Version::new(start), Version::new(end));
    assert_eq!(start.cmp(&end), end.cmp(&start).reverse(), "{start} and {end}");
}
