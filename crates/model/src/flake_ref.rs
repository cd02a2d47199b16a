//! References to flakes and other sources: `github:NixOS/nixpkgs/24.05`, `path:./x`,
//! `{ type = "git"; url = …; }`. What one means follows `builtins.parseFlakeRef` and
//! `builtins.flakeRefToString` of Nix 2.34.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::{Value, json};

use crate::url::{Authority, Url, decode_fragment, decode_path_fragment, decode_query, path_parts};
use crate::{Hash, HashFormat, HashKind};

/// An attribute of a reference.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum RefAttr {
    /// A text.
    Text(String),
    /// A number that is not negative.
    Number(u64),
    /// A Boolean.
    Bool(bool),
}

/// The attributes of a reference, `type` among them.
pub type RefAttrs = BTreeMap<String, RefAttr>;

/// Why something is no reference.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FlakeRefError(String);

impl FlakeRefError {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl fmt::Display for FlakeRefError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for FlakeRefError {}

type Res<T> = Result<T, FlakeRefError>;

fn fail<T>(message: impl Into<String>) -> Res<T> {
    Err(FlakeRefError(message.into()))
}

/// A reference to a source tree and the folder of a flake in it.
///
/// In JSON it is written as a URL, or as its attributes where no URL says all of it, and read from
/// either; see [`FlakeRef::from_wire`] for a third form that is read.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct FlakeRef {
    attrs: RefAttrs,
    dir: String,
}

/// The ways to name a source that are understood here; others are kept as they are.
const KINDS: &[(&str, &[&str])] = &[
    ("path", &["path", "rev", "revCount", "lastModified", "narHash"]),
    ("indirect", &["id", "ref", "rev", "narHash"]),
    ("github", HOSTED),
    ("gitlab", HOSTED),
    ("sourcehut", HOSTED),
    ("git", GIT),
    ("hg", &["url", "ref", "rev", "revCount", "narHash", "name"]),
    ("tarball", CURL),
    ("file", CURL),
];
const HOSTED: &[&str] =
    &["owner", "repo", "ref", "rev", "narHash", "lastModified", "host", "treeHash"];
const CURL: &[&str] = &["url", "narHash", "name", "unpack", "rev", "revCount", "lastModified"];
const GIT: &[&str] = &[
    "url",
    "ref",
    "rev",
    "shallow",
    "submodules",
    "lfs",
    "exportIgnore",
    "lastModified",
    "revCount",
    "narHash",
    "allRefs",
    "name",
    "dirtyRev",
    "dirtyShortRev",
    "verifyCommit",
    "keytype",
    "publicKey",
    "publicKeys",
];

/// Whether Nix takes a text for the name of a flake: of an entry of a registry or of an input.
#[must_use]
pub fn is_flake_id(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
}

/// Whether a URL's path names an archive that can be unpacked.
fn is_archive(path: &str) -> bool {
    const ENDINGS: [&str; 7] =
        [".zip", ".tar", ".tgz", ".tar.gz", ".tar.xz", ".tar.bz2", ".tar.zst"];
    ENDINGS.iter().any(|ending| path.ends_with(ending))
}

fn is_rev(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Whether Git would take the name for a branch or tag.
fn is_ref_name(text: &str) -> bool {
    let is_bad = |c: char| c.is_control() || " ~^:?*[\\".contains(c);
    !text.is_empty()
        && text != "@"
        && !text.starts_with('-')
        && !text.contains("..")
        && !text.contains("@{")
        && !text.ends_with('.')
        && !text.contains(is_bad)
        && text
            .split('/')
            .all(|part| !part.is_empty() && !part.starts_with('.') && !part.ends_with(".lock"))
}

/// The reduced form of names that an abbreviated reference may have behind its id.
fn is_plain_ref(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '@')
        && text.bytes().all(|b| {
            b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'/' | b'@' | b'+' | b'-')
        })
}

fn text(value: impl Into<String>) -> RefAttr {
    RefAttr::Text(value.into())
}

impl FlakeRef {
    /// Reads a reference without a fragment. Relative paths stay relative.
    ///
    /// Errors: it is none, or it has a fragment.
    pub fn parse(url: &str) -> Res<Self> {
        let (reference, fragment) = Self::parse_with_fragment(url)?;
        match fragment.as_str() {
            "" => Ok(reference),
            _ => fail(format!("unexpected fragment '{fragment}' in flake reference '{url}'")),
        }
    }

    /// Reads the reference of an input that is no flake: it may mean a file, too.
    ///
    /// Errors: as [`FlakeRef::parse`].
    pub fn parse_source(url: &str) -> Res<Self> {
        let reference = Self::parse(url)?;
        // What is no archive by its name is a file; a flake's reference is always to a tree.
        let is_plain = Url::parse(url).is_ok_and(|url| url.application().is_none());
        let place = reference.text("url").unwrap_or_default();
        let place = place.split(['?', '#']).next().unwrap_or_default();
        if reference.kind() != "tarball" || !is_plain || is_archive(place) {
            return Ok(reference);
        }
        let mut reference = reference;
        reference.set("type", text("file"));
        Ok(reference)
    }

    /// Reads a reference and what stands behind its `#`.
    ///
    /// Errors: it is none.
    pub fn parse_with_fragment(url: &str) -> Res<(Self, String)> {
        match Self::parse_unless_path(url)? {
            Some(found) => Ok(found),
            None => Self::of_path(url),
        }
    }

    /// The same; `None` for what is a path and no URL.
    pub(crate) fn parse_unless_path(url: &str) -> Res<Option<(Self, String)>> {
        if let Some(found) = Self::abbreviated(url)? {
            return Ok(Some(found));
        }
        Url::parse(url).ok().map(Self::from_url).transpose()
    }

    /// The reference to a path that somebody wrote, with a query and fragment behind it.
    ///
    /// Errors: the query or the fragment is broken.
    pub fn of_path(url: &str) -> Res<(Self, String)> {
        Self::from_url(path_url(url)?)
    }

    /// `nixpkgs/24.05/rev#fragment`.
    fn abbreviated(url: &str) -> Res<Option<(Self, String)>> {
        let (rest, fragment) = url.split_once('#').unwrap_or((url, ""));
        let (id, more) = match rest.split_once('/') {
            Some((id, more)) => (id, Some(more)),
            None => (rest, None),
        };
        if !is_flake_id(id) || more.is_some_and(|more| !is_plain_ref(more)) {
            return Ok(None);
        }
        let Ok(fragment) = decode_fragment(fragment, url) else { return Ok(None) };
        let mut attrs = RefAttrs::new();
        attrs.insert("type".to_owned(), text("indirect"));
        attrs.insert("id".to_owned(), text(id));
        push_indirect(
            &mut attrs,
            more.map(|more| more.split('/').collect()).unwrap_or_default(),
            &format!("flake:{rest}"),
        )?;
        Ok(Some((Self::checked(attrs, String::new())?, fragment)))
    }

    pub(crate) fn from_url(mut url: Url) -> Res<(Self, String)> {
        let dir = url.query.remove("dir").unwrap_or_default();
        let fragment = std::mem::take(&mut url.fragment);
        let attrs = attrs_of_url(&url)?;
        Ok((Self::checked(attrs, dir)?, fragment))
    }

    /// The reference of a set of attributes.
    ///
    /// Errors: its `type` is missing, an attribute is missing, is of the wrong type or does not
    /// belong there.
    pub fn from_attrs(mut attrs: RefAttrs) -> Res<Self> {
        let dir = match attrs.remove("dir") {
            None => String::new(),
            Some(RefAttr::Text(dir)) => dir,
            Some(_) => return fail("input attribute 'dir' is not a string"),
        };
        let Some(kind) = attrs.get("type") else {
            return fail("'type' attribute to specify input scheme is required but not provided");
        };
        let RefAttr::Text(kind) = kind else {
            let input = show_attrs(&attrs);
            return fail(format!("input attribute 'type' is not a string {input}"));
        };
        if let Some((_, allowed)) = KINDS.iter().find(|(known, _)| known == kind) {
            let is_known =
                |name: &str| matches!(name, "type" | "__final") || allowed.contains(&name);
            if let Some(name) = attrs.keys().find(|name| !is_known(name)) {
                return fail(format!("input attribute '{name}' not supported by scheme '{kind}'"));
            }
        }
        Self::checked(attrs, dir)
    }

    /// The reference of a JSON object, as lock files and registries have them.
    ///
    /// Errors: as [`FlakeRef::from_attrs`].
    pub fn from_json(json: &Value) -> Res<Self> {
        let Some(members) = json.as_object() else {
            return fail(format!("'{json}' is no set of attributes of a source"));
        };
        let mut attrs = RefAttrs::new();
        for (name, value) in members {
            let value = match value {
                Value::String(value) => Some(text(value)),
                Value::Bool(value) => Some(RefAttr::Bool(*value)),
                value => value.as_u64().map(RefAttr::Number),
            };
            let Some(value) = value else {
                return fail(format!("unsupported input attribute type of '{name}' in '{json}'"));
            };
            attrs.insert(name.clone(), value);
        }
        Self::from_attrs(attrs)
    }

    /// All attributes, `dir` among them, as a JSON object.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let value = |attr: RefAttr| match attr {
            RefAttr::Text(text) => Value::from(text),
            RefAttr::Number(number) => Value::from(number),
            RefAttr::Bool(flag) => Value::from(flag),
        };
        self.attrs().into_iter().map(|(name, attr)| (name, value(attr))).collect()
    }

    /// Reads a reference in any form that messages have: a URL, its attributes, or an object with
    /// its URL as `uri` and perhaps a `revision` (a commit, branch or tag) and a `subflake` (the
    /// folder of the flake).
    ///
    /// Errors: it is none, or its kind of source has no revisions.
    pub fn from_wire(json: &Value) -> Res<Self> {
        if let Some(url) = json.as_str() {
            return Self::parse(url);
        }
        let Some(uri) = json.get("uri") else { return Self::from_json(json) };
        let part = |name: &str| match json.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(value)) => Ok(Some(value.as_str())),
            Some(value) => fail(format!("'{name}' of flake reference {json} is no text: {value}")),
        };
        let Some(uri) = uri.as_str() else {
            return fail(format!("'uri' of flake reference {json} is no text: {uri}"));
        };
        let mut attrs = Self::parse(uri)?.attrs();
        if let Some(revision) = part("revision")? {
            let name = if is_rev(revision) { "rev" } else { "ref" };
            let kind = attrs.get("type").map(RefAttr::to_string).unwrap_or_default();
            match kind.as_str() {
                "github" | "gitlab" | "sourcehut" => {
                    attrs.remove("ref");
                    attrs.remove("rev");
                }
                "git" | "hg" | "indirect" => {}
                _ => {
                    return fail(format!(
                        "flake reference '{uri}' cannot have revision '{revision}': sources of type '{kind}' have none"
                    ));
                }
            }
            attrs.insert(name.to_owned(), text(revision));
        }
        if let Some(dir) = part("subflake")? {
            attrs.insert("dir".to_owned(), text(dir));
        }
        Self::from_attrs(attrs)
    }

    /// The third of the forms that [`FlakeRef::from_wire`] reads, which other services know: an
    /// object with `uri`, `revision` and `subflake`. Where the reference has no URL that says all
    /// of it, neither does this.
    #[must_use]
    pub fn to_wire(&self) -> Value {
        let mut plain = self.clone().with_dir("");
        let mut revision = None;
        if matches!(self.kind(), "github" | "gitlab" | "sourcehut")
            && let Some(name) = ["rev", "ref"].into_iter().find(|name| self.text(name).is_some())
            && is_rev(self.text(name).unwrap_or_default()) == (name == "rev")
        {
            revision = self.text(name);
            plain.remove(name);
        }
        let uri = plain.exact_url().map_or_else(|| plain.to_string(), |url| url.to_string());
        let subflake = Some(self.dir.as_str()).filter(|dir| !dir.is_empty());
        json!({ "uri": uri, "revision": revision, "subflake": subflake })
    }

    /// A reference whose attributes need no check.
    pub(crate) fn of_known_kind(attrs: RefAttrs) -> Self {
        Self { attrs, dir: String::new() }
    }

    fn checked(attrs: RefAttrs, dir: String) -> Res<Self> {
        let mut reference = Self { attrs, dir };
        match reference.kind() {
            "path" => {
                reference.need("path")?;
            }
            "indirect" => {
                let id = reference.need("id")?;
                if !is_flake_id(id) {
                    return fail(format!("'{id}' is not a valid flake ID"));
                }
            }
            "github" | "gitlab" | "sourcehut" => reference.check_hosted()?,
            "git" => {
                if let Some(name) = reference.text("ref").filter(|name| !is_ref_name(name)) {
                    return fail(format!("invalid Git branch/tag name '{name}'"));
                }
                for name in ["shallow", "submodules", "allRefs", "exportIgnore", "lfs"] {
                    if !matches!(reference.attrs.get(name), None | Some(RefAttr::Bool(_))) {
                        return fail(format!("input attribute '{name}' is not a Boolean"));
                    }
                }
                let url = git_url(reference.need("url")?)?;
                reference.set("url", text(url.to_string()));
            }
            "tarball" | "file" | "hg" => {
                reference.need("url")?;
            }
            _ => {}
        }
        reference.nar_hash()?;
        if let Some(rev) = reference.text("rev") {
            // Whatever form it is given in: to Git, other forms could be names of branches.
            let rev = Hash::parse(rev, Some(HashKind::Sha1));
            let rev = rev.map_err(|error| FlakeRefError(error.to_string()))?.base16();
            reference.set("rev", text(rev));
        }
        Ok(reference)
    }

    fn check_hosted(&self) -> Res<()> {
        self.need("owner")?;
        self.need("repo")?;
        if let (Some(name), Some(rev)) = (self.text("ref"), self.text("rev")) {
            return fail(format!(
                "input {} contains both a commit hash ('{rev}') and a branch/tag name ('{name}')",
                show_attrs(&self.attrs)
            ));
        }
        if self.text("ref").is_some_and(|name| !is_ref_name(name)) {
            let input = show_attrs(&self.attrs);
            return fail(format!("input {input} contains an invalid branch/tag name"));
        }
        let is_host = |host: &str| {
            !host.is_empty()
                && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        };
        if self.text("host").is_some_and(|host| !is_host(host)) {
            let input = show_attrs(&self.attrs);
            return fail(format!("input {input} contains an invalid instance host"));
        }
        Ok(())
    }

    fn need(&self, name: &str) -> Res<&str> {
        match self.attrs.get(name) {
            Some(RefAttr::Text(value)) => Ok(value),
            Some(_) => {
                let input = show_attrs(&self.attrs);
                fail(format!("input attribute '{name}' is not a string {input}"))
            }
            None => fail(format!("input attribute '{name}' is missing")),
        }
    }

    /// The kind of source: `github`, `path`, …
    #[must_use]
    pub fn kind(&self) -> &str {
        self.text("type").unwrap_or_default()
    }

    /// An attribute that is a text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.attrs.get(name) {
            Some(RefAttr::Text(value)) => Some(value),
            _ => None,
        }
    }

    /// An attribute that is a number.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<u64> {
        match self.attrs.get(name) {
            Some(RefAttr::Number(value)) => Some(*value),
            _ => None,
        }
    }

    /// Whether an attribute is true.
    #[must_use]
    pub fn is_set(&self, name: &str) -> bool {
        self.attrs.get(name) == Some(&RefAttr::Bool(true))
    }

    /// Sets an attribute of the source.
    pub fn set(&mut self, name: &str, value: RefAttr) {
        self.attrs.insert(name.to_owned(), value);
    }

    /// Marks the reference as one to which nothing can be added: all that is to be known of the
    /// source is there. Lock files do not write the mark, but what people are told of their
    /// changes heeds it.
    pub(crate) fn set_final(&mut self) {
        self.set("__final", RefAttr::Bool(true));
    }

    /// Removes an attribute of the source.
    pub fn remove(&mut self, name: &str) {
        self.attrs.remove(name);
    }

    /// The folder in the source that the flake lies in; empty for the top.
    #[must_use]
    pub fn dir(&self) -> &str {
        &self.dir
    }

    /// The same source with the flake in another folder of it.
    #[must_use]
    pub fn with_dir(self, dir: impl Into<String>) -> Self {
        Self { dir: dir.into(), ..self }
    }

    /// The hash of the source's archive, where it is told.
    ///
    /// Errors: it is no hash.
    pub fn nar_hash(&self) -> Res<Option<Hash>> {
        let Some(hash) = self.text("narHash") else { return Ok(None) };
        if hash.is_empty() {
            return Ok(Some(Hash::from_bytes(HashKind::Sha256, &[0; 32])));
        }
        match Hash::parse(hash, Some(HashKind::Sha256)) {
            Ok(hash) => Ok(Some(hash)),
            Err(error) => fail(error.to_string()),
        }
    }

    /// Whether the source is fixed: it can have one content only.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        match self.kind() {
            "git" | "hg" => self.text("rev").is_some(),
            "github" | "gitlab" | "sourcehut" => self.text("rev").is_some(),
            "indirect" => false,
            _ => self.text("narHash").is_some(),
        }
    }

    /// Whether it is a path from the folder of the flake that has the reference.
    #[must_use]
    pub fn is_relative(&self) -> bool {
        self.kind() == "path" && self.text("path").is_some_and(|path| !path.starts_with('/'))
    }

    /// The same reference as newer lock files have it: older ones left `dir` in the URL, too.
    #[must_use]
    pub fn canonical(&self) -> Self {
        let mut plain = self.clone();
        if !self.dir.is_empty()
            && let Some(Ok(mut url)) = self.text("url").map(Url::parse)
            && url.query.get("dir") == Some(&self.dir)
        {
            url.query.remove("dir");
            plain.set("url", text(url.to_string()));
        }
        plain
    }

    /// All attributes, `dir` among them, as `builtins.parseFlakeRef` gives them.
    #[must_use]
    pub fn attrs(&self) -> RefAttrs {
        let mut attrs = self.attrs.clone();
        if !self.dir.is_empty() {
            attrs.insert("dir".to_owned(), text(&self.dir));
        }
        attrs
    }

    /// The attributes of the source alone.
    #[must_use]
    pub fn source(&self) -> &RefAttrs {
        &self.attrs
    }

    /// The reference as a URL, as `builtins.flakeRefToString` gives it.
    ///
    /// Errors: the kind of source has no URL form.
    pub fn to_url(&self) -> Res<Url> {
        let mut url = self.source_url()?;
        if !self.dir.is_empty() {
            url.query.entry("dir".to_owned()).or_insert_with(|| self.dir.clone());
        }
        Ok(url)
    }

    /// A URL from which [`FlakeRef::parse`] makes the same reference. [`FlakeRef::to_url`] is not
    /// always one, since it leaves out some attributes that URLs can have; some references have
    /// none, such as locked ones with a date.
    #[must_use]
    pub fn exact_url(&self) -> Option<Url> {
        let mut url = self.to_url().ok()?;
        let said = Self::parse(&url.to_string()).ok()?;
        for (name, value) in &self.attrs {
            if said.attrs.get(name) != Some(value) {
                url.query.insert(name.clone(), value.to_string());
            }
        }
        Self::parse(&url.to_string()).is_ok_and(|again| again == *self).then_some(url)
    }

    fn source_url(&self) -> Res<Url> {
        let plain = |scheme: &str, path: Vec<String>| Url {
            scheme: scheme.to_owned(),
            authority: None,
            path,
            query: BTreeMap::new(),
            fragment: String::new(),
        };
        let sri = || Ok(self.nar_hash()?.map(|hash| hash.format(HashFormat::Sri)));
        let kind = self.kind();
        match kind {
            "path" => {
                let mut url = plain("path", path_parts(self.need("path")?));
                let shown = self.attrs.iter();
                let shown =
                    shown.filter(|(name, _)| !matches!(&***name, "type" | "path" | "__final"));
                url.query = shown.map(|(name, value)| (name.clone(), value.to_string())).collect();
                Ok(url)
            }
            "indirect" => {
                let mut path = vec![self.need("id")?.to_owned()];
                path.extend(
                    ["ref", "rev"].iter().filter_map(|name| self.text(name)).map(str::to_owned),
                );
                Ok(plain("flake", path))
            }
            "github" | "gitlab" | "sourcehut" => {
                let mut path = vec![self.need("owner")?.to_owned(), self.need("repo")?.to_owned()];
                path.extend(
                    ["ref", "rev"].iter().filter_map(|name| self.text(name)).map(str::to_owned),
                );
                let mut url = plain(kind, path);
                if let Some(hash) = sri()? {
                    url.query.insert("narHash".to_owned(), hash);
                }
                if let Some(host) = self.text("host") {
                    url.query.insert("host".to_owned(), host.to_owned());
                }
                Ok(url)
            }
            "git" | "hg" => {
                let mut url = parse_url(self.need("url")?)?;
                if url.scheme != kind {
                    url.scheme = format!("{kind}+{}", url.scheme);
                }
                let mut add = |name: &str, value: &str| {
                    url.query.insert(name.to_owned(), value.to_owned());
                };
                for name in ["rev", "ref", "keytype", "publicKey", "publicKeys"] {
                    if let Some(value) = self.text(name) {
                        add(name, value);
                    }
                }
                for name in ["shallow", "lfs", "submodules", "exportIgnore", "verifyCommit"] {
                    if self.is_set(name) {
                        add(name, "1");
                    }
                }
                Ok(url)
            }
            "tarball" | "file" => {
                let mut url = parse_url(self.need("url")?)?;
                if let Some(hash) = sri()? {
                    url.query.insert("narHash".to_owned(), hash);
                }
                Ok(url)
            }
            _ => fail(format!("cannot show unsupported input '{}'", show_attrs(&self.attrs))),
        }
    }
}

impl fmt::Display for FlakeRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.to_url() {
            Ok(url) => url.fmt(f),
            Err(_) => f.write_str(&show_attrs(&self.attrs())),
        }
    }
}

impl FromStr for FlakeRef {
    type Err = FlakeRefError;

    fn from_str(text: &str) -> Res<Self> {
        Self::parse(text)
    }
}

impl Serialize for FlakeRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.exact_url() {
            Some(url) => serializer.collect_str(&url),
            None => self.to_json().serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for FlakeRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_wire(&Value::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

impl fmt::Display for RefAttr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(value) => f.write_str(value),
            Self::Number(value) => value.fmt(f),
            Self::Bool(value) => f.write_str(if *value { "1" } else { "0" }),
        }
    }
}

/// Attributes as JSON, for messages.
fn show_attrs(attrs: &RefAttrs) -> String {
    let quoted = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    let pair = |(name, value): (&String, &RefAttr)| {
        let value = match value {
            RefAttr::Text(value) => quoted(value),
            RefAttr::Number(value) => value.to_string(),
            RefAttr::Bool(value) => value.to_string(),
        };
        format!("{}:{value}", quoted(name))
    };
    format!("{{{}}}", attrs.iter().map(pair).collect::<Vec<_>>().join(","))
}

/// A path that somebody wrote as a URL, with the query and fragment behind it.
pub(crate) fn path_url(url: &str) -> Res<Url> {
    let why = |error: crate::url::UrlError| FlakeRefError(error.to_string());
    let (rest, fragment) = url.split_once('#').unwrap_or((url, ""));
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    Ok(Url {
        scheme: "path".to_owned(),
        authority: path.starts_with('/').then(Authority::default),
        path: path_parts(path),
        query: decode_query(query, url).map_err(why)?,
        fragment: decode_path_fragment(fragment, url).map_err(why)?,
    })
}

fn parse_url(url: &str) -> Res<Url> {
    Url::parse(url).map_err(|error| FlakeRefError(error.to_string()))
}

/// What Git takes for a place of a repository, as a URL.
fn git_url(place: &str) -> Res<Url> {
    let of_path = |scheme: &str, authority: Authority, path: Vec<String>| Url {
        scheme: scheme.to_owned(),
        authority: Some(authority),
        path,
        query: BTreeMap::new(),
        fragment: String::new(),
    };
    if place.starts_with('/') {
        return Ok(of_path("file", Authority::default(), path_parts(place)));
    }
    const SCHEMES: [&str; 7] = ["ssh", "http", "https", "file", "ftp", "ftps", "git"];
    if let Some((host, path)) = place.split_once(':')
        && !host.contains('/')
        && !SCHEMES.contains(&host.strip_prefix("git+").unwrap_or(host))
        && !path.starts_with("//")
    {
        let (user, host) = match host.split_once('@') {
            Some((user, host)) => (Some(user.to_owned()), host),
            None => (None, host),
        };
        let authority = Authority { user, host: host.to_owned(), ..Authority::default() };
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        return Ok(of_path("ssh", authority, path_parts(&path)));
    }
    let mut url = parse_url(place)?;
    if url.application() == Some("git") {
        url.scheme = url.transport().to_owned();
    }
    Ok(url)
}

fn push_indirect(attrs: &mut RefAttrs, path: Vec<&str>, url: &str) -> Res<()> {
    let mut add = |name: &str, value: &str| {
        attrs.insert(name.to_owned(), text(value));
    };
    match path[..] {
        [] => {}
        [one] if is_rev(one) => add("rev", one),
        [one] if is_ref_name(one) => add("ref", one),
        [one] => {
            return fail(format!(
                "in flake URL '{url}', '{one}' is not a commit hash or branch/tag name"
            ));
        }
        [name, _] if !is_ref_name(name) => {
            return fail(format!("in flake URL '{url}', '{name}' is not a branch/tag name"));
        }
        [_, rev] if !is_rev(rev) => {
            return fail(format!("in flake URL '{url}', '{rev}' is not a commit hash"));
        }
        [name, rev] => {
            add("ref", name);
            add("rev", rev);
        }
        _ => return fail(format!("flake URL '{url}' is invalid")),
    }
    Ok(())
}

fn attrs_of_url(url: &Url) -> Res<RefAttrs> {
    let mut attrs = RefAttrs::new();
    let number = |value: &str| value.parse().ok().map(RefAttr::Number);
    match (url.scheme.as_str(), url.application(), url.transport()) {
        ("path", ..) => {
            if let Some(authority) = url.authority.as_ref().filter(|who| !who.host.is_empty()) {
                return fail(format!(
                    "path URL '{url}' should not have an authority ('{authority}')"
                ));
            }
            if let Some(part) = url.path.iter().find(|part| part.contains('/')) {
                return fail(format!(
                    "URL path component '{part}' contains '/', which is not allowed in file names"
                ));
            }
            let mut path = url.path_text();
            while path.contains("//") {
                path = path.replace("//", "/");
            }
            attrs.insert("path".to_owned(), text(path));
            for (name, value) in &url.query {
                let value = match name.as_str() {
                    "rev" | "narHash" => Some(text(value)),
                    "revCount" | "lastModified" => number(value),
                    _ => {
                        return fail(format!(
                            "path URL '{url}' has unsupported parameter '{name}'"
                        ));
                    }
                };
                let Some(value) = value else {
                    return fail(format!("path URL '{url}' has invalid parameter '{name}'"));
                };
                attrs.insert(name.clone(), value);
            }
            attrs.insert("type".to_owned(), text("path"));
        }
        ("flake", ..) => {
            let path: Vec<&str> = url.segments().collect();
            let Some((id, rest)) = path.split_first() else {
                return fail(format!("flake URL '{url}' is invalid"));
            };
            attrs.insert("id".to_owned(), text(*id));
            push_indirect(&mut attrs, rest.to_vec(), &url.to_string())?;
            attrs.insert("type".to_owned(), text("indirect"));
        }
        (kind @ ("github" | "gitlab" | "sourcehut"), ..) => hosted(kind, url, &mut attrs)?,
        ("git", ..) | (_, Some("git"), _) => repository("git", url, &mut attrs),
        (_, Some("hg"), _) => repository("hg", url, &mut attrs),
        (_, application, "file" | "http" | "https") => {
            let kind = match application {
                Some(kind @ ("tarball" | "file")) => kind,
                // References of flakes are to trees, so what is no file is an archive.
                None => "tarball",
                Some(_) => return fail(format!("input '{url}' is unsupported")),
            };
            let mut plain = url.clone();
            plain.scheme = url.transport().to_owned();
            for name in ["narHash", "rev"] {
                if let Some(value) = url.query.get(name) {
                    attrs.insert(name.to_owned(), text(value));
                }
            }
            for name in ["revCount", "lastModified"] {
                if let Some(value) = url.query.get(name).and_then(|value| number(value)) {
                    attrs.insert(name.to_owned(), value);
                }
            }
            for name in CURL {
                plain.query.remove(*name);
            }
            attrs.insert("type".to_owned(), text(kind));
            attrs.insert("url".to_owned(), text(plain.to_string()));
        }
        (_, Some("file"), "git") => {
            return fail(format!(
                "input '{url}' is unsupported; did you mean 'git+file' instead of 'file+git'?"
            ));
        }
        _ => return fail(format!("input '{url}' is unsupported")),
    }
    Ok(attrs)
}

fn hosted(kind: &str, url: &Url, attrs: &mut RefAttrs) -> Res<()> {
    let path: Vec<&str> = url.segments().collect();
    match path[..] {
        [owner, repo, ref rest @ ..] => {
            attrs.insert("owner".to_owned(), text(owner));
            attrs.insert("repo".to_owned(), text(repo));
            match rest {
                [] => {}
                [rev] if is_rev(rev) => {
                    attrs.insert("rev".to_owned(), text(*rev));
                }
                rest => {
                    attrs.insert("ref".to_owned(), text(rest.join("/")));
                }
            }
        }
        _ => return fail(format!("URL '{url}' is invalid")),
    }
    for (name, value) in &url.query {
        let what = match name.as_str() {
            "rev" => "commit hashes",
            "ref" => "branch/tag names",
            "host" | "narHash" => "",
            // As in Nix, which once used to refuse them.
            _ => continue,
        };
        if attrs.insert(name.clone(), text(value)).is_some() {
            return fail(format!("URL '{url}' contains multiple {what}"));
        }
    }
    attrs.insert("type".to_owned(), text(kind));
    Ok(())
}

fn repository(kind: &str, url: &Url, attrs: &mut RefAttrs) {
    let mut plain = url.clone();
    plain.query.clear();
    if kind == "hg" {
        plain.scheme = url.transport().to_owned();
    }
    for (name, value) in &url.query {
        match name.as_str() {
            "rev" | "ref" => {
                attrs.insert(name.clone(), text(value));
            }
            "keytype" | "publicKey" | "publicKeys" if kind == "git" => {
                attrs.insert(name.clone(), text(value));
            }
            "shallow" | "submodules" | "lfs" | "exportIgnore" | "allRefs" | "verifyCommit"
                if kind == "git" =>
            {
                attrs.insert(name.clone(), RefAttr::Bool(value == "1"));
            }
            _ => {
                plain.query.insert(name.clone(), value.clone());
            }
        }
    }
    attrs.insert("type".to_owned(), text(kind));
    attrs.insert("url".to_owned(), text(plain.to_string()));
}

#[cfg(test)]
mod tests;
