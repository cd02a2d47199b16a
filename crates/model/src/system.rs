//! Systems that programs are built for, as Nix names them (`x86_64-linux`) and as compilers do
//! (`x86_64-unknown-linux-gnu`).
//!
//! Both are read as `lib.systems.elaborate` of nixpkgs 24.05 reads them. It takes some names with
//! three parts for ambiguous although it prints them, such as `x86_64-unknown-openbsd`; these are
//! read here. What others call the same thing (`amd64`, `arm64`) it refuses, and so do we.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

mod names;

use names::{ABIS, CPUS, Cpu, KERNELS, OTHER_NAMES, VENDORS};

/// Why a text is no system that nixpkgs knows.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum SystemError {
    /// It does not have the parts of one.
    Shape {
        /// The text.
        text: String,
        /// What is wrong.
        why: &'static str,
    },
    /// A part has an unknown name.
    Unknown {
        /// The text.
        text: String,
        /// What the part says: `CPU`, `vendor`, `kernel` or `ABI`.
        part: &'static str,
        /// The name.
        name: String,
        /// A known name that may be meant.
        nearest: Option<&'static str>,
    },
    /// The ABI says too little, or too much, for that processor.
    Ambiguous {
        /// The text.
        text: String,
        /// The ABI.
        abi: &'static str,
        /// What to write instead.
        instead: &'static str,
    },
}

impl fmt::Display for SystemError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shape { text, why } => write!(f, "'{text}' is no system: {why}"),
            Self::Unknown { text, part, name, nearest } => {
                write!(f, "'{text}' is no known system: there is no {part} '{name}'")?;
                nearest.map_or(Ok(()), |nearest| write!(f, "; did you mean '{nearest}'?"))
            }
            Self::Ambiguous { text, abi, instead } => write!(
                f,
                "'{text}' is no system: its ABI '{abi}' is ambiguous for its CPU; write {instead}"
            ),
        }
    }
}

impl std::error::Error for SystemError {}

/// A system: a processor, a vendor, a kernel and an ABI, each by the name that nixpkgs knows.
///
/// It is read from either form. Its text, also in JSON, is the short form where that says all,
/// else the long one.
///
/// ```
/// # use cim_nix_model::System;
/// let system: System = "x86_64-linux".parse()?;
/// assert_eq!(system.triple(), "x86_64-unknown-linux-gnu");
/// let musl: System = "aarch64-unknown-linux-musl".parse()?;
/// assert_eq!((musl.double(), musl.abi()), ("aarch64-linux".to_owned(), "musl"));
/// let error = "x86-64-linux".parse::<System>().unwrap_err();
/// assert!(error.to_string().ends_with("there is no CPU 'x86'; did you mean 'i686'?"));
/// # Ok::<(), cim_nix_model::SystemError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct System {
    cpu: Name,
    kernel: Name,
    vendor: Name,
    abi: Name,
}

/// By its own name, so that serde does not take it for a text that is borrowed from its input.
type Name = &'static str;

/// The parts of a system before their names are looked up.
struct Parts<'t> {
    cpu: &'t str,
    vendor: Option<&'t str>,
    kernel: &'t str,
    abi: Option<&'t str>,
    /// Whether it must be said.
    needs_abi: bool,
}

impl System {
    /// Reads a system in either form.
    ///
    /// Errors: it has not the parts of one, a part has an unknown name, or its ABI is ambiguous.
    pub fn parse(text: &str) -> Result<Self, SystemError> {
        let shape = |why| SystemError::Shape { text: text.to_owned(), why };
        let parts = Parts::split(text).map_err(shape)?;
        let unknown = |part, name: &str, nearest| SystemError::Unknown {
            text: text.to_owned(),
            part,
            name: name.to_owned(),
            nearest,
        };
        let find = |part, name: &str, known: &[&'static str]| {
            let found = known.iter().copied().find(|&known| known == name);
            found.ok_or_else(|| unknown(part, name, nearest(name, known.iter().copied())))
        };
        let cpu = CPUS.iter().find(|cpu| cpu.name == parts.cpu).ok_or_else(|| {
            let other = OTHER_NAMES.iter().find(|(other, _)| *other == parts.cpu);
            let near = || nearest(parts.cpu, CPUS.iter().map(|cpu| cpu.name));
            unknown("CPU", parts.cpu, other.map(|(_, name)| *name).or_else(near))
        })?;
        let vendor = parts.vendor.map(|name| find("vendor", name, VENDORS)).transpose()?;
        let (_, kernel) =
            KERNELS.iter().find(|(name, _)| *name == parts.kernel).ok_or_else(|| {
                let near = nearest(parts.kernel, KERNELS.iter().map(|(name, _)| *name));
                unknown("kernel", parts.kernel, near)
            })?;
        if parts.needs_abi {
            return Err(shape("its ABI is missing, as in 'x86_64-unknown-linux-gnu'"));
        }
        let abi = parts.abi.map(|name| find("ABI", name, ABIS)).transpose()?;
        if let Some((abi, instead)) = abi.and_then(|abi| Some((abi, ambiguity(cpu, abi)?))) {
            return Err(SystemError::Ambiguous { text: text.to_owned(), abi, instead });
        }
        Ok(Self {
            cpu: cpu.name,
            kernel,
            vendor: vendor.unwrap_or_else(|| usual_vendor(kernel)),
            abi: abi.unwrap_or_else(|| usual_abi(cpu, kernel)),
        })
    }

    /// The processor, such as `x86_64`.
    #[must_use]
    pub const fn cpu(self) -> &'static str {
        self.cpu
    }

    /// Who made it, such as `unknown` or `apple`.
    #[must_use]
    pub const fn vendor(self) -> &'static str {
        self.vendor
    }

    /// The kernel, such as `linux` or `darwin`.
    #[must_use]
    pub const fn kernel(self) -> &'static str {
        self.kernel
    }

    /// How programs talk to the kernel and to each other, such as `gnu` or `musl`.
    #[must_use]
    pub const fn abi(self) -> &'static str {
        self.abi
    }

    /// The short form, which is what `system` of a derivation says: `x86_64-linux`. Systems that
    /// differ in their ABI only have the same.
    #[must_use]
    pub fn double(self) -> String {
        let kernel = match self.kernel {
            _ if self.abi == "cygnus" => "cygwin",
            "ios" => "darwin",
            kernel => kernel,
        };
        format!("{}-{kernel}", self.cpu)
    }

    /// The long form, which compilers know: `x86_64-unknown-linux-gnu`.
    #[must_use]
    pub fn triple(self) -> String {
        let Self { cpu, vendor, kernel, abi } = self;
        let is_aout = CPUS.iter().any(|known| known.name == cpu && known.has_aout_netbsd);
        let format = if kernel == "netbsd" && is_aout { "elf" } else { "" };
        match abi {
            "unknown" => format!("{cpu}-{vendor}-{kernel}{format}"),
            abi => format!("{cpu}-{vendor}-{kernel}{format}-{abi}"),
        }
    }
}

impl<'t> Parts<'t> {
    fn new(cpu: &'t str, vendor: Option<&'t str>, kernel: &'t str, abi: Option<&'t str>) -> Self {
        Self { cpu, vendor, kernel: kernel_name(kernel), abi, needs_abi: false }
    }

    fn split(text: &'t str) -> Result<Self, &'static str> {
        let parts: Vec<&str> = text.splitn(5, '-').collect();
        Ok(match parts[..] {
            ["avr"] => Self::new("avr", None, "none", Some("unknown")),
            [_] => return Err("its kernel is missing, as in 'x86_64-linux'"),
            [cpu, "cygwin"] => Self::new(cpu, None, "windows", Some("cygnus")),
            [cpu, "windows"] => Self::new(cpu, None, "windows", Some("msvc")),
            [cpu, "elf"] => Self::new(cpu, Some("unknown"), "none", Some("elf")),
            [cpu, kernel] => Self::new(cpu, None, kernel, None),
            [cpu, "linux", abi] => Self::new(cpu, Some("unknown"), "linux", Some(abi)),
            [cpu, kernel, abi @ ("eabi" | "eabihf" | "elf" | "gnu")] => {
                Self::new(cpu, Some("unknown"), kernel, Some(abi))
            }
            [cpu, vendor, "mingw32"] => Self::new(cpu, Some(vendor), "windows", None),
            [cpu, vendor, kernel] => {
                let parts = Self::new(cpu, Some(vendor), kernel, None);
                let has_abis = matches!(parts.kernel, "linux" | "windows" | "win32");
                Self { needs_abi: has_abis && vendor != "apple", ..parts }
            }
            [cpu, vendor, kernel, abi] => Self::new(cpu, Some(vendor), kernel, Some(abi)),
            _ => return Err("it has more than four parts"),
        })
    }
}

/// A kernel without its version or what stands there for GNU's tools.
fn kernel_name(kernel: &str) -> &str {
    for family in ["darwin", "netbsd"] {
        if kernel.starts_with(family) {
            return family;
        }
    }
    kernel.rfind("abi").map_or(kernel, |end| &kernel[..end])
}

fn usual_vendor(kernel: &str) -> &'static str {
    match kernel {
        "darwin" | "ios" => "apple",
        "windows" => "pc",
        _ => "unknown",
    }
}

fn usual_abi(cpu: &Cpu, kernel: &str) -> &'static str {
    match (kernel, cpu.arm) {
        ("linux" | "windows", Some(6..)) => "gnueabihf",
        ("linux" | "windows", Some(_)) => "gnueabi",
        ("linux" | "windows", None) if cpu.is_big_power64 => "gnuabielfv2",
        ("linux" | "windows", None) => "gnu",
        _ => "unknown",
    }
}

/// What to write instead of an ABI that leaves something open.
fn ambiguity(cpu: &Cpu, abi: &str) -> Option<&'static str> {
    match abi {
        "android" if cpu.arm.is_some() => Some("'androideabi'"),
        "gnu" if cpu.arm.is_some() => Some("'gnueabi' or 'gnueabihf'"),
        "gnu" if cpu.is_big_power64 => Some("'gnuabielfv2' or 'gnuabielfv1'"),
        _ => None,
    }
}

/// The known name that differs least, if it is not another one altogether.
fn nearest(name: &str, known: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    // Longer than that, nothing is near, and the table below would be large.
    if name.len() > 40 {
        return None;
    }
    let found = known.map(|known| (distance(name, known), known)).min()?;
    (found.0 <= name.len() / 3).then_some(found.1)
}

/// How many letters must be added, taken away or replaced, whatever their case.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (line, a) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = line + 1;
        for (at, b) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(!a.eq_ignore_ascii_case(b));
            diagonal = row[at + 1];
            row[at + 1] = replaced.min(diagonal + 1).min(row[at] + 1);
        }
    }
    row[to.len()]
}

impl fmt::Display for System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for text in [self.double(), self.triple()] {
            if Self::parse(&text).is_ok_and(|again| again == *self) {
                return f.write_str(&text);
            }
        }
        // Four parts say all, though compilers would leave the last one out.
        let Self { cpu, vendor, kernel, abi } = self;
        write!(f, "{cpu}-{vendor}-{kernel}-{abi}")
    }
}

impl FromStr for System {
    type Err = SystemError;

    fn from_str(text: &str) -> Result<Self, SystemError> {
        Self::parse(text)
    }
}

impl TryFrom<String> for System {
    type Error = SystemError;

    fn try_from(text: String) -> Result<Self, SystemError> {
        Self::parse(&text)
    }
}

impl From<System> for String {
    fn from(system: System) -> Self {
        system.to_string()
    }
}

#[cfg(test)]
mod tests;
