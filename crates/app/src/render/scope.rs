//! Names that code uses and does not bind.

use std::collections::BTreeSet;

use cim_nix_syntax::build::is_bare_name;

/// What modules are handed by every evaluation, in the order in which it is written.
const GIVEN: [&str; 5] = ["config", "lib", "pkgs", "options", "modulesPath"];

/// Functions of `lib` that modules use by their bare names.
const OF_LIB: [&str; 46] = [
    "boolToString",
    "concatLines",
    "concatMapStringsSep",
    "concatStringsSep",
    "escapeShellArg",
    "escapeShellArgs",
    "filterAttrs",
    "flatten",
    "genAttrs",
    "getExe",
    "getExe'",
    "hasPrefix",
    "hasSuffix",
    "licenses",
    "literalExpression",
    "literalMD",
    "maintainers",
    "makeBinPath",
    "mapAttrs'",
    "mapAttrsToList",
    "mkAfter",
    "mkBefore",
    "mkDefault",
    "mkEnableOption",
    "mkForce",
    "mkIf",
    "mkImageMediaOverride",
    "mkMerge",
    "mkOption",
    "mkOrder",
    "mkOverride",
    "mkPackageOption",
    "mkVMOverride",
    "nameValuePair",
    "optional",
    "optionalAttrs",
    "optionalString",
    "optionals",
    "platforms",
    "recursiveUpdate",
    "removePrefix",
    "removeSuffix",
    "splitString",
    "types",
    "unique",
    "versions",
];

/// The names that nothing supplies in a text that parses.
pub(super) fn undefined(text: &str) -> BTreeSet<String> {
    let tree = cim_nix_syntax::parse(text).tree;
    let ir = cim_nix_semantics::lower(&tree);
    let undefined = ir.free_names().filter(|(_, id)| ir.is_undefined(*id));
    undefined.map(|(symbol, _)| ir.symbol(symbol).to_owned()).collect()
}

/// What stands in front of the body of a module so that its names are supplied.
pub(super) struct Head {
    /// The pattern, and a `let` where names of `lib` are used as they are.
    pub(super) text: String,
    /// Parameters that not every evaluation of modules hands in.
    pub(super) special: Vec<String>,
}

impl Head {
    /// The head for a body that parses.
    pub(super) fn of(body: &str) -> Self {
        let mut names = undefined(body);
        let of_lib: Vec<&str> = OF_LIB.into_iter().filter(|name| names.remove(*name)).collect();
        if !of_lib.is_empty() {
            names.insert("lib".to_owned());
        }
        let given = GIVEN.into_iter().filter(|name| names.remove(*name)).map(str::to_owned);
        let mut formals: Vec<String> = given.collect();
        let special: Vec<String> = names.into_iter().filter(|name| is_bare_name(name)).collect();
        formals.extend(special.iter().cloned());
        let mut text = match formals.as_slice() {
            [] => String::new(),
            formals => format!("{{ {}, ... }}:\n\n", formals.join(", ")),
        };
        if !of_lib.is_empty() {
            text.push_str(&format!("let\ninherit (lib) {};\nin\n", of_lib.join(" ")));
        }
        Self { text, special }
    }

    /// What a reader should know of it, one sentence each.
    pub(super) fn notes(&self) -> Vec<String> {
        let note = |name: &String| {
            format!(
                "`{name}` becomes a parameter: whoever evaluates the module has to hand it in, \
                 with `specialArgs`"
            )
        };
        self.special.iter().map(note).collect()
    }
}
