use std::collections::BTreeSet;

use expect_test::expect;

use super::*;

/// Texts, and `system` and `config` of what `lib.systems.elaborate` of nixpkgs 24.05 makes of each;
/// dashes where it fails. It has all doubles and examples of `lib.systems`, every processor, vendor,
/// kernel and ABI, and names that are wrong.
const NIXPKGS: &str = include_str!("tests/nixpkgs.tsv");

/// What nixpkgs finds ambiguous and we do not: it prints these, or would.
const READ_HERE: &[&str] = &[
    "x86_64-unknown-openbsd",
    "x86_64-unknown-solaris",
    "armv7l-unknown-darwin",
    "armv7l-unknown-ios",
    "armv7l-unknown-macos",
    "armv7l-unknown-none",
    "armv7l-unknown-openbsd",
    "armv7l-unknown-solaris",
    "armv7l-unknown-tvos",
    "armv7l-unknown-watchos",
];

#[test]
fn systems_are_those_of_nixpkgs() {
    let mut n_known = 0;
    for line in NIXPKGS.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let [text, double, triple] = fields[..] else { panic!("{line:?} has other columns") };
        match System::parse(text) {
            Ok(system) if double != "-" => {
                n_known += 1;
                assert_eq!((&*system.double(), &*system.triple()), (double, triple), "{text}");
            }
            Ok(_) => assert!(READ_HERE.contains(&text), "{text} is read here only"),
            Err(error) => assert_eq!(double, "-", "{error}"),
        }
    }
    assert!(n_known > 250);
    assert!(READ_HERE.iter().all(|text| System::parse(text).is_ok()));
}

#[test]
fn all_texts_of_a_system_lead_back() {
    let texts = NIXPKGS.lines().filter_map(|line| line.split('\t').next());
    let systems: BTreeSet<System> = texts.filter_map(|text| System::parse(text).ok()).collect();
    let every = |of: fn(&System) -> &'static str| systems.iter().map(of).collect::<BTreeSet<_>>();
    assert_eq!(every(|system| system.cpu).len(), CPUS.len());
    assert_eq!(every(|system| system.vendor).len(), VENDORS.len());
    for &cpu in &every(|system| system.cpu) {
        for &kernel in &every(|system| system.kernel) {
            for (&vendor, &abi) in VENDORS
                .iter()
                .zip(ABIS.iter().cycle())
                .chain(ABIS.iter().map(|abi| (&"unknown", abi)))
            {
                let Ok(system) = System::parse(&format!("{cpu}-{vendor}-{kernel}-{abi}")) else {
                    continue;
                };
                assert_eq!(System::parse(&system.to_string()), Ok(system));
                let json = serde_json::to_string(&system).unwrap();
                assert_eq!(serde_json::from_str::<System>(&json).unwrap(), system);
                // Each form is a reading of itself, whatever it leaves out.
                let double = System::parse(&system.double()).unwrap();
                assert_eq!(double.double(), system.double());
            }
        }
    }
}

#[test]
fn the_short_form_is_the_text_where_it_says_all() {
    let shown = |text: &str| System::parse(text).unwrap().to_string();
    assert_eq!(shown("x86_64-unknown-linux-gnu"), "x86_64-linux");
    assert_eq!(shown("x86_64-unknown-linux-musl"), "x86_64-unknown-linux-musl");
    assert_eq!(shown("x86_64-pc-linux-gnu"), "x86_64-pc-linux-gnu");
    assert_eq!(shown("aarch64-apple-darwin20"), "aarch64-darwin");
    assert_eq!(shown("aarch64-apple-ios"), "aarch64-apple-ios");
    assert_eq!(shown("x86_64-w64-mingw32"), "x86_64-w64-windows-gnu");
    assert_eq!(shown("x86_64-unknown-linux-unknown"), "x86_64-unknown-linux-unknown");
}

#[test]
fn unknown_systems_are_refused_with_what_may_be_meant() {
    let texts = [
        "",
        "x86_64",
        "x86_64-linux-gnu-x-y",
        "x86_65-linux",
        "X86_64-linux",
        "amd64-linux",
        "arm64-darwin",
        "linux-x86_64",
        "x86_64-linx",
        "x86_64-lynx",
        "x86_64-plan9",
        "x86_64-unknwon-linux-gnu",
        "x86_64-unknown-linux-glibc",
        "x86_64-unknown-linux-muslc",
        "x86_64-unknown-linux",
        "armv7l-unknown-linux-gnu",
        "powerpc64-linux-gnu",
        "armv7a-linux-android",
    ];
    let errors = texts.map(|text| System::parse(text).unwrap_err().to_string());
    expect![[r#"
        '' is no system: its kernel is missing, as in 'x86_64-linux'
        'x86_64' is no system: its kernel is missing, as in 'x86_64-linux'
        'x86_64-linux-gnu-x-y' is no system: it has more than four parts
        'x86_65-linux' is no known system: there is no CPU 'x86_65'; did you mean 'x86_64'?
        'X86_64-linux' is no known system: there is no CPU 'X86_64'; did you mean 'x86_64'?
        'amd64-linux' is no known system: there is no CPU 'amd64'; did you mean 'x86_64'?
        'arm64-darwin' is no known system: there is no CPU 'arm64'; did you mean 'aarch64'?
        'linux-x86_64' is no known system: there is no CPU 'linux'
        'x86_64-linx' is no known system: there is no kernel 'linx'; did you mean 'linux'?
        'x86_64-lynx' is no known system: there is no kernel 'lynx'
        'x86_64-plan9' is no known system: there is no kernel 'plan9'
        'x86_64-unknwon-linux-gnu' is no known system: there is no vendor 'unknwon'; did you mean 'unknown'?
        'x86_64-unknown-linux-glibc' is no known system: there is no ABI 'glibc'
        'x86_64-unknown-linux-muslc' is no known system: there is no ABI 'muslc'; did you mean 'musl'?
        'x86_64-unknown-linux' is no system: its ABI is missing, as in 'x86_64-unknown-linux-gnu'
        'armv7l-unknown-linux-gnu' is no system: its ABI 'gnu' is ambiguous for its CPU; write 'gnueabi' or 'gnueabihf'
        'powerpc64-linux-gnu' is no system: its ABI 'gnu' is ambiguous for its CPU; write 'gnuabielfv2' or 'gnuabielfv1'
        'armv7a-linux-android' is no system: its ABI 'android' is ambiguous for its CPU; write 'androideabi'"#]].assert_eq(&errors.join("\n"));
}
