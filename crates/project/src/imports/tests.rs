use super::*;

/// Lists the references of `text`, one a line: kind, target and, in brackets, what else is known
/// (`required`, `guarded`, `strict`).
#[track_caller]
fn check(text: &str, want: &str) {
    let tree = cim_nix_syntax::parse(text).tree;
    let ir = cim_nix_semantics::Lowerer::default().lower(&tree);
    let found = summarise(&tree, &ir).references;
    let lines: Vec<String> = found.iter().map(shown).collect();
    let want: Vec<&str> = want.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    assert_eq!(lines, want, "{text}");
}

fn spelled(target: &Target) -> String {
    match target {
        Target::Path(path) => path.to_string(),
        Target::Below { prefix, suffix } => format!("{prefix}*{suffix}"),
        Target::Search(text) => format!("<{text}>"),
        Target::Flake(inner) => format!("self/{}", spelled(inner)),
    }
}

fn shown(reference: &Reference) -> String {
    let mut line = format!("{} {}", reference.kind.name(), spelled(&reference.target));
    for (is_so, word) in [
        (reference.is_required, " required"),
        (reference.is_guarded, " guarded"),
        (reference.strict.is_some(), " strict"),
    ] {
        line.push_str(if is_so { word } else { "" });
    }
    line
}

#[test]
fn imports_in_every_spelling() {
    check("import ./a.nix", "import a.nix required strict");
    check("{ a = import (./. + \"/x.nix\") { }; }", "import x.nix required");
    check("{ a = import \"${./.}/d/../x.nix\"; }", "import x.nix required");
    check("{ a = import (toString ./x); }", "import x required");
    check("{ a = import ../a/./b; }", "import ../a/b required");
    check("{ a = scopedImport { } ./x; }", "import x required");
    check("{ a = builtins.import ./x; }", "import x required");
    check("{ a = (builtins.scopedImport { }) ./x; }", "import x required");
    check("{ a = ./x |> import; b = import <| ./y; }", "import x required\nimport y required");
    check("import <nixpkgs/lib>", "import <nixpkgs/lib> strict");
    check("{ a = import (<nixpkgs> + \"/lib\"); }", "import <nixpkgs/lib>");
}

#[test]
fn paths_from_the_folder_of_the_flake() {
    check("{ self, ... }: { a = \"${self}/nixos/hosts\"; }", "path self/nixos/hosts");
    check(
        "{ self }: { imports = [ (self + \"/a.nix\") \"${self}/b\" ]; }",
        "module self/a.nix\nmodule self/b",
    );
    check("{ inputs }: import (inputs.self + \"/x/../a.nix\")", "import self/a.nix strict");
    check("{ self }: { a = n: \"${self}/hosts/${n}.nix\"; }", "directory self/hosts/*.nix");
    check(
        "{ self }: { a = self.x; b = self; c = \"${self}\"; d = \"${self.x}/a\"; e = \"a${self}/b\"; }",
        "",
    );
}

#[test]
fn packages_are_called() {
    check("{ callPackage }: { a = callPackage ./a { }; }", "call-package a required");
    check("pkgs: { a = pkgs.libsForQt5.callPackage ./a { }; }", "call-package a required");
    check("{ a = lib.callPackageWith { } ./a { }; }", "call-package a required");
    check("{ a = (newScope { }) ./a { }; }", "call-package a required");
    check("{ a = callPackages ./a { }; }", "call-package a required");
    check("{ a = haskellPackages.callCabal2nix \"a\" ./. { }; }", "path .");
}

#[test]
fn lists_of_modules() {
    check(
        "{ imports = [ ./a ../b (./c.nix) (import ./d { }) ] ++ lib.optional x ./e; }",
        "module a required
         module ../b required
         module c.nix required
         import d required
         module e required",
    );
    check("{ a = nixosSystem { modules = [ ./a.nix ]; }; }", "module a.nix required");
    check("{ nixosModules = { default = ./a; }; }", "module a required");
    check("{ nixosModules.default.imports = [ ./a ]; }", "module a required");
    check("{ home-manager.users.me = ./home.nix; }", "module home.nix required");
    check("{ home-manager.sharedModules = [ ./x.nix ]; }", "module x.nix required");
    check("{ nixosModules = { a.b = ./x; }; }", "module x required");
    check("{ home-manager.users.me = { file.x.source = ./x; }; }", "path x");
    check("{ home-manager.users.me.home.file.x.source = ./x; }", "path x");
    check("{ nixosModules.a = { environment.etc.x.source = ./x; }; }", "path x");
    check("{ modules.a = { b.c = [ ./x ]; }; }", "path x");
    check("{ a = lib.modules.importApply ./m.nix { }; }", "module m.nix required");
    check("{ disabledModules = [ ./a.nix ]; }", "path a.nix");
    check("[ ./a.nix ./b ]", "module a.nix required\nmodule b required");
    check("let m = [ ./a ]; in { imports = m; }", "module a required");
    check("{ imports = map (n: ./. + \"/${n}.nix\") [ \"a\" ]; }", "directory *.nix");
}

#[test]
fn paths_for_whatever_use() {
    check("{ a = ./a.nix; b.c = ./b; }", "path a.nix\npath b");
    check("{ src = ./.; patches = [ ./a.patch ]; }", "path .\npath a.patch");
    check("''cat ${./a.nix} ${./b}''", "path a.nix\npath b");
    check("bundlerApp { gemdir = ./.; }", "import gemset.nix");
    check("{ a = ~/x.nix; b = import ~/y.nix; }", "");
}

#[test]
fn paths_that_are_completed_at_run_time() {
    check("{ a = import ./hosts/${name}; }", "directory hosts/*");
    check("{ a = import (./hosts + \"/${name}/x.nix\"); }", "directory hosts/*/x.nix");
    check("{ a = ./linux-${v}.nix; b = ./fix-${v}.patch; }", "directory linux-*.nix");
    check("{ a = builtins.readDir ./hosts; }", "directory hosts");
    check("{ a = lib.filesystem.listFilesRecursive ./m; }", "directory m");
    check(
        "{ a = import ./overlay.nix ./by-name; }",
        "import overlay.nix required\ndirectory by-name",
    );
    check(
        "lib.packagesFromDirectoryRecursive { inherit callPackage; directory = ./p; }",
        "directory p",
    );
    check("lib.pipe ./m [ builtins.readDir lib.attrNames ]", "directory m");
    check("{ a = ./. + name; }", "directory *");
    check("{ a = ./. + \"x.nix\"; }", "");
}

#[test]
fn names_lead_on() {
    check(
        "let d = ./d; in { a = import (d + \"/x.nix\"); b = d; }",
        "import d/x.nix required\npath d",
    );
    check(
        "let f = if c then ./a else ./b; in { x = import f; }",
        "import a required\nimport b required",
    );
    check("{ nixpkgs ? ../.. }: { a = import nixpkgs { }; }", "path ../..\nimport ../..");
    check("let a = ./a; b = a; c = b; in { x = import c; }", "import a required");
    // The circle is left after a few rounds.
    check("let a = [ a ./x ]; in a", "path x\nmodule x required");
}

#[test]
fn functions_of_the_file_are_looked_into() {
    check("let call = f: import f { }; in { a = call ./a.nix; }", "import a.nix required");
    check("let call = n: f: import f n; in { a = call 1 ./a; }", "import a required");
    check("let host = p: import (p + \"/h.nix\"); in { a = host ./a; }", "directory a");
    check("let all = d: builtins.readDir d; in { a = all ./m; }", "directory m");
    check(
        "let maybe = p: if builtins.pathExists p then import p else 1; in { a = maybe ./a.nix; }",
        "import a.nix required guarded",
    );
    check("map (f: import f { }) [ ./a ./b ]", "import a required\nimport b required");
    check("map import [ ./a ]", "import a required");
    check("builtins.mapAttrs (_: m: import m 1) { x = ./a; }", "import a required");
    check("map (d: import (d + \"/m.nix\")) [ ./a ]", "directory a");
}

#[test]
fn guards_are_seen() {
    check("if builtins.pathExists ./a then import ./a else 1", "import a required guarded");
    check(
        "if pathExists ./a then import ./a/b.nix else import ./c",
        "import a/b.nix required guarded\nimport c required guarded",
    );
    check("{ imports = lib.optional (builtins.pathExists ./a) ./a; }", "module a required guarded");
    check("{ imports = builtins.filter builtins.pathExists [ ./a ]; }", "");
    check(
        "let f = ./a; has = builtins.pathExists f; in { x = lib.optionals has [ (import f) ]; }",
        "import a required guarded",
    );
    check(
        "let has = pathExists p; in { x = if has then import ./a else 1; y = import ./b; }",
        "import a required guarded\nimport b required",
    );
    check("{ a = pathExists ./b; b = import ./a; }", "import a required");
}

#[test]
fn broken_code_is_survived() {
    let text = "let d = ./d; in { imports = map (x: d + \"/${x}\") [ ./a (import ./b { }) ]; }";
    for end in 0..text.len() {
        let tree = cim_nix_syntax::parse(&text[..end]).tree;
        let ir = cim_nix_semantics::Lowerer::default().lower(&tree);
        let _ = summarise(&tree, &ir);
    }
}

#[test]
fn long_files_take_linear_time() {
    let n = 20_000;
    for text in [
        format!("f {}", "./a ".repeat(n)),
        format!("''{}''", "${./a} ".repeat(n)),
        format!("[ {} ]", "./a ".repeat(n)),
        format!("map (x: {}) [ {} ]", "x + ".repeat(n) + "x", "./a ".repeat(n)),
        format!("let d = ./a; in [ {} ]", "d ".repeat(n)),
        format!("[ {} ]", "(if pathExists ./a then import ./a else 1) ".repeat(n)),
        format!("1 {}", "+ import ./a ".repeat(n)),
    ] {
        let tree = cim_nix_syntax::parse(text.as_str()).tree;
        let ir = cim_nix_semantics::Lowerer::default().lower(&tree);
        assert!(!summarise(&tree, &ir).references.is_empty());
    }
}
