//! The names of systems.

/// Processors as systems name them.
const CPUS: &[&str] = &[
    "aarch64",
    "aarch64_be",
    "arm",
    "armv5tel",
    "armv6l",
    "armv6m",
    "armv7a",
    "armv7l",
    "armv7r",
    "avr",
    "i386",
    "i486",
    "i586",
    "i686",
    "javascript",
    "loongarch64",
    "m68k",
    "microblaze",
    "microblazeel",
    "mips",
    "mips64",
    "mips64el",
    "mipsel",
    "mmix",
    "msp430",
    "or1k",
    "powerpc",
    "powerpc64",
    "powerpc64le",
    "powerpcle",
    "riscv32",
    "riscv64",
    "rx",
    "s390",
    "s390x",
    "vc4",
    "wasm32",
    "wasm64",
    "x86_64",
];

/// Kernels as systems name them.
const KERNELS: &[&str] = &[
    "cygwin",
    "darwin",
    "freebsd",
    "freebsd13",
    "genode",
    "ghcjs",
    "linux",
    "macos",
    "mmixware",
    "netbsd",
    "none",
    "openbsd",
    "redox",
    "solaris",
    "uefi",
    "wasi",
    "windows",
];

/// Whether a text is a system such as `x86_64-linux`.
pub(super) fn is_system(text: &str) -> bool {
    text.split_once('-').is_some_and(|(cpu, kernel)| {
        CPUS.binary_search(&cpu).is_ok() && KERNELS.binary_search(&kernel).is_ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systems_are_known() {
        assert!(CPUS.is_sorted() && KERNELS.is_sorted());
        for system in ["x86_64-linux", "aarch64-darwin", "riscv64-linux", "x86_64-freebsd"] {
            assert!(is_system(system), "{system}");
        }
        for other in ["linux", "x86-64-linux", "x86_64-linux-gnu", "x86_64", "", "-", "pi-linux"] {
            assert!(!is_system(other), "{other}");
        }
    }
}
