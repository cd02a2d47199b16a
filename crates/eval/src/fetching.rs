//! Sources from elsewhere: `fetchTree` and its kin.

use std::rc::Rc;

use cim_nix_model::{
    FlakeRef, Hash, HashFormat, HashKind, Method, RefAttr, RefAttrs, References, Registries,
    date_digits, without_passwords,
};

use crate::code::Pos;
use crate::error::{ErrorKind, Failed, Res};
use crate::evaluator::Evaluator;
use crate::io::Fetched;
use crate::symbols::Symbol;
use crate::value::{Kind, Value};

/// A source that was fetched and stands in the store.
pub(crate) struct Tree {
    pub(crate) store_path: String,
    /// The reference with names looked up in registries.
    pub(crate) resolved: FlakeRef,
    pub(crate) source: FlakeRef,
}

/// What is made of a download.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Download {
    File,
    Tarball,
}

impl Download {
    fn name(self) -> &'static str {
        match self {
            Self::File => "fetchurl",
            Self::Tarball => "fetchTarball",
        }
    }
}

fn text(value: impl Into<String>) -> RefAttr {
    RefAttr::Text(value.into())
}

impl Evaluator {
    #[cold]
    fn refuse(&self, message: impl Into<String>) -> Failed {
        self.fail(ErrorKind::Other, 0, message)
    }

    /// Fetches a source and gives it its store path. With `shows_store`, people see its files by
    /// that path.
    pub(crate) fn fetch_source(
        &self,
        source: &FlakeRef,
        registries: Registries,
        shows_store: bool,
        position: Pos,
    ) -> Res<Rc<Tree>> {
        let name = source.text("name").unwrap_or("source");
        // Not the URL: that of a file and that of the archive in it are the same.
        let key = format!("{} {shows_store}", source.to_json());
        if let Some(known) = self.fetched.borrow().get(&key) {
            return Ok(known.clone());
        }
        let mut resolved = source.clone();
        if source.kind() == "indirect" {
            let found = self.resolve_reference(source, registries);
            resolved = found.map_err(|message| self.fail(ErrorKind::Io, position, message))?;
        }
        let fetched = match self.fetched_before(&resolved) {
            Some(fetched) => Ok(fetched),
            None => self.world.io().fetch(&resolved.clone().with_dir("")),
        };
        let fetched = fetched.map_err(|message| {
            let failed = self.fail(ErrorKind::Io, position, message);
            let what = format!("while fetching the input '{resolved}'");
            self.trace(failed, 0, without_passwords(&what))
        })?;
        let nowhere = self.world.nowhere();
        let (real, shown) = (fetched.path, fetched.shown);
        self.world.mount(&nowhere, real.clone(), shown.clone(), fetched.tracked.as_ref());
        let mut locked = fetched.source;
        let hash = match locked.nar_hash() {
            Ok(Some(hash)) => hash,
            _ => self.tree_hash(nowhere.as_bytes(), None, position)?,
        };
        let sri = hash.format(HashFormat::Sri);
        if let Ok(Some(wanted)) = source.nar_hash()
            && wanted != hash
        {
            if shows_store {
                return Err(self.hash_mismatch(
                    source.text("url").unwrap_or_default(),
                    &wanted,
                    &hash,
                ));
            }
            let wanted = wanted.format(HashFormat::Sri);
            let message = format!(
                "NAR hash mismatch in input '{source}', expected '{wanted}' but got '{sri}'"
            );
            return Err(self.fail(ErrorKind::Other, position, message));
        }
        locked.set("narHash", text(sri));
        let store_path = self.store.fixed_path(name, Method::Nar, &hash, &References::new());
        let shown = if shows_store { store_path.clone() } else { shown };
        self.world.mount(&store_path, real, shown, fetched.tracked.as_ref());
        self.keep_source(nowhere.as_bytes(), &store_path, position)?;
        let tree = Rc::new(Tree { store_path, resolved, source: locked });
        self.fetched.borrow_mut().insert(key, tree.clone());
        Ok(tree)
    }

    /// A path in the store that is that of a source which was fetched, but need not be there.
    fn fetched_before(&self, source: &FlakeRef) -> Option<Fetched> {
        let path = source.text("path").filter(|_| source.kind() == "path")?;
        let (path, shown, tracked) = self.world.fetched(path.as_bytes())?;
        let mut source = source.clone().with_dir("");
        source.remove("narHash");
        if source.number("lastModified").is_none() {
            source.set("lastModified", RefAttr::Number(0));
        }
        Some(Fetched { path, shown, source, tracked })
    }

    /// The set that stands for a fetched source.
    fn tree_value(&self, tree: &Tree, is_git: bool) -> Value {
        self.source_value(&tree.store_path, &tree.source, is_git, false)
    }

    /// The same of a source at a store path; what is changed has no revision.
    pub(crate) fn source_value(
        &self,
        store_path: &str,
        source: &FlakeRef,
        is_git: bool,
        is_changed: bool,
    ) -> Value {
        let mut attrs = RefAttrs::new();
        let mut add = |name: &str, value: RefAttr| {
            attrs.insert(name.to_owned(), value);
        };
        if let Some(hash) = source.text("narHash") {
            add("narHash", text(hash));
        }
        if source.kind() == "git" || is_git {
            add("submodules", RefAttr::Bool(source.is_set("submodules")));
        }
        if is_changed {
        } else if let Some(rev) = source.text("rev") {
            add("rev", text(rev));
            add("shortRev", text(&rev[..rev.len().min(7)]));
        } else if is_git {
            add("rev", text("0".repeat(40)));
            add("shortRev", text("0".repeat(7)));
        }
        for name in ["dirtyRev", "dirtyShortRev"] {
            if let Some(rev) = source.text(name) {
                add(name, text(rev));
            }
        }
        match source.number("revCount") {
            _ if is_changed => {}
            Some(count) => add("revCount", RefAttr::Number(count)),
            None if is_git => add("revCount", RefAttr::Number(0)),
            None => {}
        }
        if let Some(seconds) = source.number("lastModified") {
            add("lastModified", RefAttr::Number(seconds));
            add("lastModifiedDate", text(date_digits(seconds)));
        }
        let mut members: Vec<(Symbol, Pos, Value)> = self
            .members_of(&attrs)
            .into_iter()
            .map(|(name, value)| (self.symbol(name.as_bytes()), 0, value))
            .collect();
        let path = self.store_string(store_path).value();
        members.push((self.symbol(b"outPath"), 0, path));
        self.attrs(&mut members)
    }

    fn members_of(&self, attrs: &RefAttrs) -> Vec<(String, Value)> {
        let value = self.ref_value(attrs);
        value.as_attrs().map(|set| self.members(set)).unwrap_or_default()
    }

    /// The attributes that a fetching builtin was given.
    fn source_attrs(&self, value: Value, builtin: &str, position: Pos) -> Res<RefAttrs> {
        let set = self.set(value, position)?;
        let mut attrs = RefAttrs::new();
        for (name, value) in self.members(set) {
            let value = self.force(value)?;
            let attr = match value.kind() {
                Kind::String(value) => text(String::from_utf8_lossy(value.bytes())),
                Kind::Path(path) => text(String::from_utf8_lossy(path.bytes())),
                Kind::Bool(value) => RefAttr::Bool(value),
                Kind::Int(number) => match u64::try_from(number) {
                    Ok(number) => RefAttr::Number(number),
                    Err(_) => {
                        return Err(self.refuse(format!(
                            "negative value given for '{builtin}' argument '{name}': {number}"
                        )));
                    }
                },
                _ => {
                    let phrase = self.type_phrase(value);
                    return Err(self.fail(
                        ErrorKind::Type,
                        0,
                        format!("argument '{name}' to '{builtin}' is {phrase} while a string, Boolean or integer is expected"),
                    ));
                }
            };
            attrs.insert(name, attr);
        }
        Ok(attrs)
    }

    fn checked_source(&self, source: FlakeRef, builtin: &str, position: Pos) -> Res<FlakeRef> {
        if source.kind() == "tarball" || source.kind() == "file" {
            let url = source.text("url").unwrap_or_default();
            if let Some(path) = url.strip_prefix("file:")
                && !path.starts_with('/')
            {
                let failed = self.refuse(format!(
                    "tarball '{url}' must use an absolute path. The 'file' scheme does not support relative paths."
                ));
                let what = format!("while fetching the input '{source}'");
                return Err(self.trace(failed, 0, without_passwords(&what)));
            }
        }
        if self.world.is_pure() && !source.is_locked() {
            return Err(self.fail(
                ErrorKind::Other,
                position,
                format!(
                    "in pure evaluation mode, '{builtin}' doesn't fetch unlocked input '{source}'"
                ),
            ));
        }
        Ok(source)
    }

    fn fetched_value(
        &self,
        source: Result<FlakeRef, cim_nix_model::FlakeRefError>,
        builtin: &str,
        position: Pos,
    ) -> Res {
        let source = source.map_err(|error| self.refuse(error.to_string()))?;
        source.to_url().map_err(|error| self.refuse(error.to_string()))?;
        let source = self.checked_source(source, builtin, position)?;
        let tree = self.fetch_source(&source, Registries::Common, false, position)?;
        Ok(self.tree_value(&tree, false))
    }

    /// `fetchTree`; with `is_final`, as lock files are read.
    pub(crate) fn fetch_tree_builtin(&self, value: Value, is_final: bool, position: Pos) -> Res {
        let value = self.force(value)?;
        let source = match value.kind() {
            Kind::Attrs(_) => {
                let mut attrs = self.source_attrs(value, "fetchTree", position)?;
                if !attrs.contains_key("type") {
                    return Err(self.refuse("argument 'type' is missing in call to 'fetchTree'"));
                }
                if is_final {
                    return self.fetched_value(FlakeRef::from_attrs(attrs), "fetchTree", position);
                }
                if attrs.get("type") == Some(&text("git")) {
                    attrs.entry("shallow".to_owned()).or_insert(RefAttr::Bool(true));
                }
                if attrs.contains_key("name") {
                    return Err(
                        self.refuse("argument 'name' isn’t supported in call to 'fetchTree'")
                    );
                }
                FlakeRef::from_attrs(attrs)
            }
            _ => {
                let mut url = crate::builtins::Text::new(self);
                let why = "while evaluating the first argument passed to 'fetchTree'";
                let how = crate::builtins::Coercion::FIRST;
                self.coerce(value, &mut url, how, position, why)?;
                let url = String::from_utf8_lossy(url.bytes());
                if url.contains(' ') {
                    return Err(self.refuse(format!("'{url}' is not a valid URL: leftover")));
                }
                if !url.contains(':') {
                    return Err(self.refuse(format!("'{url}' doesn't have a scheme")));
                }
                FlakeRef::parse(&url)
            }
        };
        self.fetched_value(source, "fetchTree", position)
    }

    pub(crate) fn fetch_git_builtin(&self, value: Value, position: Pos) -> Res {
        let value = self.force(value)?;
        let mut attrs = match value.kind() {
            Kind::Attrs(_) => self.source_attrs(value, "fetchGit", position)?,
            Kind::Path(path) => {
                [("url".to_owned(), text(String::from_utf8_lossy(path.bytes())))].into()
            }
            _ => {
                let mut url = crate::builtins::Text::new(self);
                let why = "while evaluating the first argument passed to 'fetchGit'";
                let how = crate::builtins::Coercion::FIRST;
                self.coerce(value, &mut url, how, position, why)?;
                [("url".to_owned(), text(String::from_utf8_lossy(url.bytes())))].into()
            }
        };
        attrs.insert("type".to_owned(), text("git"));
        if attrs.get("rev") == Some(&text("")) {
            attrs.remove("rev");
        }
        // As in Nix, the older builtin leaves out what `export-ignore` says.
        if attrs.get("submodules") != Some(&RefAttr::Bool(true)) {
            attrs.entry("exportIgnore".to_owned()).or_insert(RefAttr::Bool(true));
        }
        let source = FlakeRef::from_attrs(attrs).map_err(|e| self.refuse(e.to_string()))?;
        let source = self.checked_source(source, "fetchGit", position)?;
        let tree = self.fetch_source(&source, Registries::Common, false, position)?;
        Ok(self.tree_value(&tree, true))
    }

    /// Looks at what it is given; Mercurial itself is not known here.
    pub(crate) fn fetch_mercurial_builtin(&self, value: Value, position: Pos) -> Res {
        use crate::builtins::{Coercion, Text};

        let value = self.force(value)?;
        let mut url = Text::new(self);
        match value.as_attrs() {
            Some(set) => {
                let flat = self.layouts.flat(&self.heap, set);
                for (at, &key) in flat.layout.keys.iter().enumerate() {
                    let (value, position) = (flat.values[at].get(), flat.layout.position(at));
                    let name = self.name(key);
                    let why = format!(
                        "while evaluating the `{name}` attribute passed to builtins.fetchMercurial"
                    );
                    match name.as_str() {
                        "url" => self.coerce(value, &mut url, Coercion::FIRST, position, &why)?,
                        "rev" | "name" => {
                            let text = self.plain_string(value, position);
                            text.map_err(|failed| self.trace(failed, position, why))?;
                        }
                        _ => {
                            let message =
                                format!("unsupported argument '{name}' to 'fetchMercurial'");
                            return Err(self.fail(ErrorKind::Other, position, message));
                        }
                    }
                }
                if url.bytes().is_empty() {
                    return Err(self.refuse("'url' argument required"));
                }
            }
            None => {
                let why = "while evaluating the first argument passed to builtins.fetchMercurial";
                self.coerce(value, &mut url, Coercion::FIRST, position, why)?;
            }
        }
        let url = String::from_utf8_lossy(url.bytes());
        let message = format!("cannot fetch '{url}': this program knows no Mercurial");
        Err(self.fail(ErrorKind::Unsupported, position, message))
    }

    pub(crate) fn fetch_url_builtin(&self, value: Value, what: Download, position: Pos) -> Res {
        let builtin = what.name();
        let value = self.force(value)?;
        let (mut url, mut name, mut hash) = (None, None, None);
        let from_set = value.as_attrs().is_some();
        let text_of = |value: Value, position: Pos, what: &str| {
            let text = self.plain_string(value, position);
            let text = text.map_err(|failed| {
                self.trace(failed, position, format!("while evaluating the {what} we should fetch"))
            })?;
            Ok(String::from_utf8_lossy(text.bytes()).into_owned())
        };
        if let Some(set) = value.as_attrs() {
            let flat = self.layouts.flat(&self.heap, set);
            for (at, &key) in flat.layout.keys.iter().enumerate() {
                let (value, position) = (flat.values[at].get(), flat.layout.position(at));
                match self.name(key).as_str() {
                    "url" => url = Some(text_of(value, position, "url")?),
                    "sha256" => {
                        hash = Some(text_of(value, position, "content hash of the content")?);
                    }
                    "name" => name = Some(text_of(value, position, "name of the content")?),
                    key => {
                        return Err(
                            self.refuse(format!("unsupported argument '{key}' to '{builtin}'"))
                        );
                    }
                }
            }
        } else {
            url = Some(text_of(value, position, "url")?);
        }
        let Some(url) = url else {
            return Err(self.refuse("'url' argument required"));
        };
        let is_named = name.is_some();
        let base = url.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
        let name = name.unwrap_or_else(|| match what {
            Download::File => base.to_owned(),
            Download::Tarball => "source".to_owned(),
        });
        if let Err(error) = cim_nix_model::check_name(&name) {
            let resolution = if is_named {
                format!(
                    "Please change the value for the 'name' attribute passed to '{builtin}', so that it can create a valid store path."
                )
            } else if from_set {
                format!(
                    "Please add a valid 'name' attribute to the argument for '{builtin}', so that it can create a valid store path."
                )
            } else {
                format!(
                    "Please pass an attribute set with 'url' and 'name' attributes to '{builtin}',  so that it can create a valid store path."
                )
            };
            return Err(self.refuse(format!(
                "invalid store path name when fetching URL '{url}': {error}. {resolution}"
            )));
        }
        let wanted = match hash.as_deref() {
            None => None,
            Some("") => Some(Hash::from_bytes(HashKind::Sha256, &[0; 32])),
            Some(hash) => Some(
                Hash::parse(hash, Some(HashKind::Sha256))
                    .map_err(|error| self.refuse(error.to_string()))?,
            ),
        };
        if self.world.is_pure() && wanted.is_none() {
            return Err(self.refuse(format!(
                "in pure evaluation mode, '{builtin}' requires a 'sha256' argument"
            )));
        }
        self.download(&url, &name, wanted, what, position)
    }

    fn download(
        &self,
        url: &str,
        name: &str,
        wanted: Option<Hash>,
        what: Download,
        position: Pos,
    ) -> Res {
        let kind = if what == Download::File { "file" } else { "tarball" };
        let mut attrs: RefAttrs =
            [("type".to_owned(), text(kind)), ("url".to_owned(), text(url))].into();
        if what == Download::Tarball {
            if let Some(hash) = &wanted {
                attrs.insert("narHash".to_owned(), text(hash.format(HashFormat::Sri)));
            }
            attrs.insert("name".to_owned(), text(name));
            let source = FlakeRef::from_attrs(attrs).map_err(|e| self.refuse(e.to_string()))?;
            let source = self.checked_source(source, "fetchTarball", position)?;
            let tree = self.fetch_source(&source, Registries::None, true, position)?;
            return Ok(self.store_string(&tree.store_path).value());
        }
        let no_references = References::new();
        // A file that is there already need not be asked for.
        if let Some(hash) = &wanted {
            let path = self.store.fixed_path(name, Method::Flat, hash, &no_references);
            if self.world.link_kind(path.as_bytes()).is_ok() {
                return Ok(self.store_string(&path).value());
            }
        }
        let source = FlakeRef::from_attrs(attrs).map_err(|e| self.refuse(e.to_string()))?;
        let fetched = self.world.io().fetch(&source);
        let fetched = fetched.map_err(|message| self.fail(ErrorKind::Io, position, message))?;
        let bytes = self.world.io().read(&fetched.path);
        let bytes = bytes.map_err(|error| self.io_error(url.as_bytes(), &error, position))?;
        let hash = Hash::of(HashKind::Sha256, &bytes);
        if let Some(wanted) = wanted
            && wanted != hash
        {
            return Err(self.hash_mismatch(url, &wanted, &hash));
        }
        let path = self.store.fixed_path(name, Method::Flat, &hash, &no_references);
        self.world.mount(&path, fetched.path, url.to_owned(), None);
        Ok(self.store_string(&path).value())
    }

    #[cold]
    fn hash_mismatch(&self, url: &str, wanted: &Hash, got: &Hash) -> Failed {
        let (wanted, got) = (wanted.format(HashFormat::Nix32), got.format(HashFormat::Nix32));
        self.refuse(format!(
            "hash mismatch in file downloaded from '{url}':\n  specified: sha256:{wanted}\n  got:       sha256:{got}"
        ))
    }
}
