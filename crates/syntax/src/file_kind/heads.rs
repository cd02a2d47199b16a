//! What the names of functions and parameters say.
//!
//! The lists hold names of nixpkgs, NixOS, Home Manager and nix-darwin and the prefixes by which
//! their authors name functions alike. A name that is in none of them says nothing.

/// Functions whose result is that of their last argument, as far as a file's kind goes.
pub(super) fn hands_through(name: &str) -> bool {
    sets_option(name)
        || matches!(
            name,
            "addMetaAttrs"
                | "deepSeq"
                | "dontDistribute"
                | "dontRecurseIntoAttrs"
                | "extendDerivation"
                | "extends"
                | "fix"
                | "fix'"
                | "hiPrio"
                | "lowPrio"
                | "makeExtensible"
                | "makeExtensibleWithCustomName"
                | "makeOverridable"
                | "makeScope"
                | "optional"
                | "optionalAttrs"
                | "optionals"
                | "pipe"
                | "recurseIntoAttrs"
                | "recursiveUpdate"
                | "seq"
                | "setPrio"
                | "throwIf"
                | "throwIfNot"
                | "trace"
                | "traceVal"
                | "warn"
                | "warnIf"
                | "warnIfNot"
        )
}

/// Functions that only make sense around the value of an option.
pub(super) fn sets_option(name: &str) -> bool {
    matches!(
        name,
        "mkAfter"
            | "mkBefore"
            | "mkDefault"
            | "mkForce"
            | "mkIf"
            | "mkImageMediaOverride"
            | "mkMerge"
            | "mkOptionDefault"
            | "mkOrder"
            | "mkOverride"
            | "mkVMOverride"
    )
}

/// Functions that declare an option or change a declaration.
pub(super) fn declares_option(name: &str) -> bool {
    matches!(name, "mkOption" | "mkEnableOption" | "mkPackageOption" | "mkPackageOptionMD")
        || (name.starts_with("mk") && name.contains("OptionModule"))
}

/// How many arguments a function takes whose result may be a function that takes more.
pub(super) fn arity(name: &str) -> Option<usize> {
    match name {
        "throwIf" | "throwIfNot" | "warnIf" | "warnIfNot" => Some(3),
        "warn" | "trace" => Some(2),
        _ => None,
    }
}

/// Functions that map a function over names or elements.
pub(super) fn maps(name: &str) -> bool {
    matches!(
        name,
        "concatMap"
            | "concatMapAttrs"
            | "filterAttrs"
            | "flip"
            | "genAttrs"
            | "listToAttrs"
            | "map"
            | "mapAttrs"
            | "mapAttrs'"
            | "mapAttrsToList"
    )
}

/// Functions that run tests: `makeTest`, `runTests`, `nixosTest` and their like.
pub(super) fn runs_test(name: &str) -> bool {
    // `mapTestOn` of Hydra's release files builds packages, and a `fetchTestData` fetches.
    name.contains("Test") && !["add", "fetch", "map"].iter().any(|prefix| name.starts_with(prefix))
}

/// Functions that make a development shell.
pub(super) fn makes_shell(name: &str) -> bool {
    name.starts_with("mkShell") || matches!(name, "mkDevShell" | "mkNakedShell" | "shellFor")
}

/// Attributes that hold a development shell.
pub(super) fn holds_shell(name: &str) -> bool {
    matches!(name, "shellNix" | "devShell" | "devShells")
}

/// Attributes of `lib` that hold values rather than functions.
pub(super) fn holds_data(name: &str) -> bool {
    matches!(name, "licenses" | "maintainers" | "platforms" | "sourceTypes" | "teams")
}

/// Functions that make a derivation, and those that change one.
pub(super) fn builds(name: &str) -> bool {
    const BEGINS: &[&str] = &[
        "build",
        "callCabal",
        "callHackage",
        "callPackage",
        "fetch",
        "mkDerivation",
        "override",
        "runCommand",
        "runIn",
        "symlinkJoin",
        "wrap",
        "write",
    ];
    const ENDS: &[&str] =
        &["Application", "Build", "Bundle", "Derivation", "Env", "Image", "Package"];
    let makes = ["mk", "make", "package", "generic", "trivial", "elpa", "melpa", "create"];
    BEGINS.iter().any(|prefix| name.starts_with(prefix))
        || (ENDS.iter().any(|suffix| name.ends_with(suffix))
            && makes.iter().any(|prefix| name.starts_with(prefix)))
        || matches!(
            name,
            "appendToName"
                | "applyPatches"
                | "bundlerApp"
                | "bundlerEnv"
                | "compileEmacsWikiFile"
                | "concatText"
                | "derivation"
                | "justStaticExecutables"
                | "linkFarm"
                | "linkFarmFromDrvs"
                | "makeDesktopItem"
                | "makeSetupHook"
                | "melpaBuild"
                | "mkEffect"
                | "substitute"
                | "substituteAll"
                | "toPythonApplication"
                | "toPythonModule"
                | "withPackages"
                | "withPlugins"
        )
}

/// Attributes by which a set of arguments is told to be that of a builder.
pub(super) fn describes_build(name: &str) -> bool {
    matches!(
        name,
        "pname"
            | "src"
            | "buildInputs"
            | "nativeBuildInputs"
            | "propagatedBuildInputs"
            | "buildPhase"
            | "installPhase"
            | "buildCommand"
            | "builder"
            | "gemdir"
            | "hash"
            | "sha256"
            | "vendorHash"
    )
}

/// Parameters that only a package (or a set of packages) asks for.
pub(super) fn is_package_input(name: &str) -> bool {
    const BEGINS: &[&str] =
        &["build", "fetch", "mkDerivation", "runCommand", "writeScript", "writeShell", "writeText"];
    // `buildInputs` and the like are arguments of a build, not what builds.
    const ENDS: &[&str] = &["Args", "Flags", "Inputs", "Phase", "Type"];
    (BEGINS.iter().any(|prefix| name.starts_with(prefix))
        && !ENDS.iter().any(|suffix| name.ends_with(suffix)))
        || matches!(
            name,
            "callPackage"
                | "callPackages"
                | "cmake"
                | "makeWrapper"
                | "newScope"
                | "pkg-config"
                | "pkgconfig"
                | "requireFile"
                | "rustPlatform"
                | "python3Packages"
                | "pythonPackages"
                | "perlPackages"
                | "stdenv"
                | "stdenvNoCC"
                | "substituteAll"
                | "symlinkJoin"
                | "linkFarm"
        )
}

/// Parameters that the module system supplies.
pub(super) fn is_module_argument(name: &str) -> bool {
    matches!(name, "config" | "options" | "modulesPath" | "osConfig" | "nixosConfig")
}

/// Parameters that modules and other files alike ask for to do their work.
pub(super) fn is_common_argument(name: &str) -> bool {
    matches!(
        name,
        "lib" | "pkgs" | "inputs" | "inputs'" | "outputs" | "self" | "self'" | "system" | "nixpkgs"
    )
}

/// Attributes of a flake's outputs; a function that returns them is no module.
pub(super) fn is_flake_output(name: &str) -> bool {
    matches!(
        name,
        "apps"
            | "checks"
            | "darwinConfigurations"
            | "darwinModules"
            | "devShell"
            | "devShells"
            | "formatter"
            | "homeConfigurations"
            | "homeManagerModules"
            | "homeModules"
            | "hydraJobs"
            | "legacyPackages"
            | "nixosConfigurations"
            | "nixosModules"
            | "overlays"
            | "packages"
            | "templates"
    )
}

/// Whether two parameters are those of an overlay: the final package set and the previous one.
pub(super) fn is_overlay(first: &str, second: &str) -> bool {
    let previous = second.trim_start_matches('_');
    let last = first.trim_start_matches('_');
    previous.starts_with("prev")
        || previous.starts_with("super")
        || last.starts_with("final")
        || (last == "self" && second.starts_with('_'))
}

/// Functions of well-known projects that make a module out of a short description.
pub(super) fn makes_module(name: &str) -> bool {
    matches!(name, "mkTarget" | "mkNeovimPlugin" | "mkVimPlugin" | "mkTransposedPerSystemModule")
        || (name.starts_with("mk") && name.ends_with("Plugin"))
}
