//! The names that systems are made of, as `lib.systems.parse` of nixpkgs 24.05 has them.

/// What is known of a processor.
pub(super) struct Cpu {
    pub(super) name: &'static str,
    /// Whether it is an ARM of 32 bits, and of which version.
    pub(super) arm: Option<u8>,
    /// Whether it is a PowerPC of 64 bits with the high byte first.
    pub(super) is_big_power64: bool,
    /// Whether GNU's tools take its NetBSD for an old one, with programs that are not ELF.
    pub(super) has_aout_netbsd: bool,
}

const fn cpu(name: &'static str) -> Cpu {
    Cpu { name, arm: None, is_big_power64: false, has_aout_netbsd: false }
}

const fn arm(name: &'static str, version: u8) -> Cpu {
    Cpu { arm: Some(version), ..old(name) }
}

const fn old(name: &'static str) -> Cpu {
    Cpu { has_aout_netbsd: true, ..cpu(name) }
}

pub(super) const CPUS: &[Cpu] = &[
    cpu("aarch64"),
    cpu("aarch64_be"),
    cpu("alpha"),
    arm("arm", 0),
    arm("armv5tel", 5),
    arm("armv6l", 6),
    arm("armv6m", 6),
    arm("armv7a", 7),
    arm("armv7l", 7),
    arm("armv7m", 7),
    arm("armv7r", 7),
    arm("armv8a", 8),
    arm("armv8m", 8),
    arm("armv8r", 8),
    cpu("avr"),
    old("i386"),
    old("i486"),
    old("i586"),
    old("i686"),
    cpu("javascript"),
    cpu("loongarch64"),
    old("m68k"),
    cpu("microblaze"),
    cpu("microblazeel"),
    cpu("mips"),
    cpu("mips64"),
    cpu("mips64el"),
    cpu("mipsel"),
    cpu("mmix"),
    cpu("msp430"),
    cpu("or1k"),
    cpu("powerpc"),
    Cpu { is_big_power64: true, ..cpu("powerpc64") },
    cpu("powerpc64le"),
    cpu("powerpcle"),
    cpu("riscv32"),
    cpu("riscv64"),
    cpu("rx"),
    cpu("s390"),
    cpu("s390x"),
    old("sparc"),
    cpu("sparc64"),
    cpu("vc4"),
    cpu("wasm32"),
    cpu("wasm64"),
    cpu("x86_64"),
];

pub(super) const VENDORS: &[&str] = &["apple", "knuth", "none", "pc", "unknown", "w64"];

/// Names of kernels with what each is called in the end.
pub(super) const KERNELS: &[(&str, &str)] = &[
    ("darwin", "darwin"),
    ("freebsd", "freebsd"),
    ("genode", "genode"),
    ("ghcjs", "ghcjs"),
    ("ios", "ios"),
    ("linux", "linux"),
    ("macos", "darwin"),
    ("mmixware", "mmixware"),
    ("netbsd", "netbsd"),
    ("none", "none"),
    ("openbsd", "openbsd"),
    ("redox", "redox"),
    ("solaris", "solaris"),
    ("tvos", "ios"),
    ("wasi", "wasi"),
    ("watchos", "ios"),
    ("win32", "windows"),
    ("windows", "windows"),
];

pub(super) const ABIS: &[&str] = &[
    "android",
    "androideabi",
    "cygnus",
    "eabi",
    "eabihf",
    "elf",
    "gnu",
    "gnuabi64",
    "gnuabielfv1",
    "gnuabielfv2",
    "gnuabin32",
    "gnueabi",
    "gnueabihf",
    "msvc",
    "musl",
    "muslabi64",
    "muslabin32",
    "musleabi",
    "musleabihf",
    "uclibc",
    "uclibceabi",
    "uclibceabihf",
    "unknown",
];

/// What others call a processor.
pub(super) const OTHER_NAMES: &[(&str, &str)] = &[
    ("amd64", "x86_64"),
    ("arm64", "aarch64"),
    ("armhf", "armv7l"),
    ("armv7", "armv7l"),
    ("ppc64", "powerpc64"),
    ("ppc64le", "powerpc64le"),
    ("x64", "x86_64"),
    ("x86", "i686"),
];
