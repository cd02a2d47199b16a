//! What commands and events are about: the shapes of Nix's notions on the wire.

use std::collections::BTreeMap;

use cim_nix_model::AttributePath;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A value as other services write it, tagged by its type: `{"Int": 7}`, `"Null"`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum NixValue {
    /// Text without context.
    String(String),
    /// A 64-bit integer.
    Int(i64),
    /// A double.
    Float(f64),
    /// True or false.
    Bool(bool),
    /// A path as it is written, relative to the file that it will stand in.
    Path(String),
    /// A list.
    List(Vec<NixValue>),
    /// A set.
    AttrSet(BTreeMap<String, NixValue>),
    /// Null.
    Null,
    /// Code, for whatever has no value yet: a function, a call, a reference to a name.
    Expression(String),
}

impl NixValue {
    /// The empty set.
    #[must_use]
    pub fn empty() -> Self {
        Self::AttrSet(BTreeMap::new())
    }

    /// Whether it is the empty set.
    #[must_use]
    pub fn is_empty_set(&self) -> bool {
        matches!(self, Self::AttrSet(attrs) if attrs.is_empty())
    }
}

/// An option that a module declares.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ModuleOption {
    /// Its type as code: `types.bool`.
    #[serde(rename = "type")]
    pub option_type: String,
    /// What it is where nobody sets it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<NixValue>,
    /// An example for the manual.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub example: Option<NixValue>,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// A module of NixOS, Home Manager or anything else with `lib.evalModules`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct NixModule {
    /// Its id: that of its stream, which follows from project and name. What a command says is
    /// passed over.
    #[serde(default = "Uuid::nil")]
    pub id: Uuid,
    /// Its name, unique in its project.
    pub name: String,
    /// What it declares, by the option's path.
    #[serde(default)]
    pub options: BTreeMap<String, ModuleOption>,
    /// What it sets.
    #[serde(default = "NixValue::empty")]
    pub config: NixValue,
    /// What it imports, as written.
    #[serde(default)]
    pub imports: Vec<String>,
    /// Its file, relative to the project's folder; `modules/NAME.nix` where a command leaves it out.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub file: String,
}

impl NixModule {
    /// A module of which its file alone is known.
    #[must_use]
    pub fn unknown(id: Uuid, name: &str, file: String) -> Self {
        Self {
            id,
            name: name.to_owned(),
            options: BTreeMap::new(),
            config: NixValue::empty(),
            imports: Vec::new(),
            file,
        }
    }
}

/// An overlay: packages changed and added, as code over `final` and `prev`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Overlay {
    /// Its id: that of its stream, which follows from project and name. What a command says is
    /// passed over.
    #[serde(default = "Uuid::nil")]
    pub id: Uuid,
    /// Its name, unique in its project.
    pub name: String,
    /// Changed packages: name to code, `prev.hello.overrideAttrs { .. }`.
    #[serde(default)]
    pub overrides: BTreeMap<String, String>,
    /// New packages: name to code, `final.callPackage ./tool.nix { }`.
    #[serde(default)]
    pub additions: BTreeMap<String, String>,
    /// Its file, relative to the project's folder; `overlays/NAME.nix` where a command leaves it out.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub file: String,
}

impl Overlay {
    /// An overlay of which its file alone is known.
    #[must_use]
    pub fn unknown(id: Uuid, name: &str, file: String) -> Self {
        let (overrides, additions) = (BTreeMap::new(), BTreeMap::new());
        Self { id, name: name.to_owned(), overrides, additions, file }
    }
}

/// What a configuration is for.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConfigurationKind {
    /// A machine that runs NixOS.
    #[default]
    Nixos,
    /// A user's home, managed by Home Manager.
    Home,
}

/// The configuration of a machine or a home.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct NixOSConfiguration {
    /// Its id: that of its stream, which follows from project and name. What a command says is
    /// passed over.
    #[serde(default = "Uuid::nil")]
    pub id: Uuid,
    /// Its name: that of the output `nixosConfigurations.NAME` or `homeConfigurations.NAME`.
    pub name: String,
    /// The system that it is for, `x86_64-linux`.
    pub system: String,
    /// Its file, relative to the project's folder; `hosts/NAME/default.nix` where a command leaves
    /// it out.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// The machine's name in the network.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hostname: String,
    /// Modules that it is made of, as written.
    #[serde(default)]
    pub modules: Vec<String>,
    /// Overlays on its packages, as written.
    #[serde(default)]
    pub overlays: Vec<String>,
    /// Packages for everybody on it, by attribute path in nixpkgs.
    #[serde(default)]
    pub packages: Vec<String>,
    /// Variants that can be booted beside it: name to what they set.
    #[serde(default)]
    pub specialisations: BTreeMap<String, NixValue>,
    /// A machine or a home.
    #[serde(default, skip_serializing_if = "is_nixos")]
    pub kind: ConfigurationKind,
}

fn is_nixos(kind: &ConfigurationKind) -> bool {
    *kind == ConfigurationKind::Nixos
}

/// The inputs of a flake: name to reference, as `flake.nix` has them.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct FlakeInputs {
    /// By name. An input that follows another one has `follows:PATH`.
    pub inputs: BTreeMap<String, String>,
}

/// The names of what a flake has.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct FlakeOutputs {
    /// Packages, as `SYSTEM.NAME`.
    pub packages: Vec<String>,
    /// Development shells, as `SYSTEM.NAME`.
    pub dev_shells: Vec<String>,
    /// NixOS modules.
    pub nixos_modules: Vec<String>,
    /// Overlays.
    pub overlays: Vec<String>,
    /// Programs to run, as `SYSTEM.NAME`.
    pub apps: Vec<String>,
}

/// What becomes of a generation.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum ActivationType {
    /// Now, and at the next start.
    Switch,
    /// At the next start.
    Boot,
    /// Now, but not at the next start.
    Test,
}

impl ActivationType {
    /// The word that `switch-to-configuration` takes.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Switch => "switch",
            Self::Boot => "boot",
            Self::Test => "test",
        }
    }
}

/// How long something took, as other services write it: `{"secs": 1, "nanos": 5}`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Debug, Serialize, Deserialize)]
pub struct Took {
    /// Whole seconds.
    pub secs: u64,
    /// Nanoseconds beyond, below 1,000,000,000.
    pub nanos: u32,
}

impl From<std::time::Duration> for Took {
    fn from(duration: std::time::Duration) -> Self {
        Self { secs: duration.as_secs(), nanos: duration.subsec_nanos() }
    }
}

/// An output that a build made.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct BuiltOutput {
    /// Its store path.
    pub path: String,
    /// Bytes of its archive, uncompressed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nar_size: Option<u64>,
    /// Bytes of it and all that it needs, uncompressed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closure_size: Option<u64>,
}

/// Shows which package of which flake is meant: `.#packages.x86_64-linux.hello`.
#[must_use]
pub fn package_name(flake_ref: &str, attribute: &AttributePath) -> String {
    format!("{flake_ref}#{attribute}")
}
