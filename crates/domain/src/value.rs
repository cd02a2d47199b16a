//! What commands and events are about: the shapes of Nix's notions on the wire.

use std::collections::BTreeMap;

use cim_nix_model::AttributePath;
use serde::{Deserialize, Deserializer, Serialize};
use uuid::Uuid;

use crate::NixValue;

/// An option that a module declares.
///
/// It is read from what other services may write, too: a text is its type, and any value but a set
/// of the fields below is its default.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "OptionWire")]
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

/// What an option may be written as.
pub(crate) struct OptionWire(serde_json::Value);

impl<'de> Deserialize<'de> for OptionWire {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde_json::Value::deserialize(deserializer).map(Self)
    }
}

/// The type of an option that takes whatever it is given.
fn any_type() -> String {
    "types.anything".to_owned()
}

impl TryFrom<OptionWire> for ModuleOption {
    type Error = String;

    fn try_from(OptionWire(wire): OptionWire) -> Result<Self, String> {
        const FIELDS: [&str; 4] = ["type", "default", "example", "description"];
        #[derive(Deserialize)]
        struct Fields {
            #[serde(rename = "type", default = "any_type")]
            option_type: String,
            default: Option<NixValue>,
            example: Option<NixValue>,
            description: Option<String>,
        }
        let is_option = |fields: &serde_json::Map<String, serde_json::Value>| {
            !fields.is_empty() && fields.keys().all(|name| FIELDS.contains(&name.as_str()))
        };
        let bare =
            |option_type, default| Self { option_type, default, example: None, description: None };
        match wire {
            serde_json::Value::String(option_type) => Ok(bare(option_type, None)),
            serde_json::Value::Object(fields) if is_option(&fields) => {
                let fields = serde_json::Value::Object(fields);
                let Fields { option_type, default, example, description } =
                    serde_json::from_value(fields).map_err(|error| error.to_string())?;
                Ok(Self { option_type, default, example, description })
            }
            default => Ok(bare(any_type(), Some(NixValue::of_json(default)?))),
        }
    }
}

/// Reads a map of names to code; a value that is no text becomes the code that gives it.
fn code_by_name<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Code {
        Text(String),
        Value(NixValue),
    }
    let codes = BTreeMap::<String, Code>::deserialize(deserializer)?;
    let code = |(name, code)| match code {
        Code::Text(text) => (name, text),
        Code::Value(value) => (name, value.to_code()),
    };
    Ok(codes.into_iter().map(code).collect())
}

/// A module of NixOS, Home Manager or anything else with `lib.evalModules`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Overlay {
    /// Its id: that of its stream, which follows from project and name. What a command says is
    /// passed over.
    #[serde(default = "Uuid::nil")]
    pub id: Uuid,
    /// Its name, unique in its project.
    pub name: String,
    /// Changed packages: name to code, `prev.hello.overrideAttrs { .. }`.
    #[serde(default, deserialize_with = "code_by_name")]
    #[cfg_attr(feature = "schema", schemars(with = "BTreeMap<String, crate::schema::Code>"))]
    pub overrides: BTreeMap<String, String>,
    /// New packages: name to code, `final.callPackage ./tool.nix { }`.
    #[serde(default, deserialize_with = "code_by_name")]
    #[cfg_attr(feature = "schema", schemars(with = "BTreeMap<String, crate::schema::Code>"))]
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
    #[serde(default)]
    pub path: String,
    /// The machine's name in the network; empty for a home.
    #[serde(default)]
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FlakeInputs {
    /// By name. An input that follows another one has `follows:PATH`.
    pub inputs: BTreeMap<String, String>,
}

/// The names of what a flake has.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(from = "std::time::Duration")]
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
