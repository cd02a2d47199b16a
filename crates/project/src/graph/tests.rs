use std::fmt::Write as _;

use expect_test::{Expect, expect};

use cim_nix_base::Graph;

use super::*;
use crate::{MemoryFiles, Request, discover};

/// Links the files of `fixture` that lie in `/p`.
fn graph(fixture: &str) -> ImportGraph {
    let files = MemoryFiles::fixture(fixture);
    let found = discover(&files, &Request::new(["/p"]));
    let snapshot = Snapshot::new("/p", found.files);
    let summary = |path: &Path| {
        let text = files.read(path, 1 << 20).unwrap();
        let tree = cim_nix_syntax::parse(text).tree;
        crate::summarise(&tree, &cim_nix_semantics::Lowerer::default().lower(&tree))
    };
    let summaries = snapshot.files().iter().map(|file| summary(&file.path)).collect();
    ImportGraph::link(&snapshot, summaries, &files)
}

fn all(graph: &ImportGraph) -> Vec<FileId> {
    (0..graph.snapshot().files().len() as u32).map(FileId).collect()
}

fn name(graph: &ImportGraph, file: FileId) -> String {
    let path = &graph.snapshot().files()[file.index()].path;
    graph.snapshot().relative(path).display().to_string()
}

fn names(graph: &ImportGraph, files: &[FileId]) -> String {
    files.iter().map(|file| name(graph, *file)).collect::<Vec<_>>().join(" ")
}

fn id(graph: &ImportGraph, path: &str) -> FileId {
    graph.snapshot().find(&Path::new("/p").join(path)).unwrap()
}

/// Checks the edges of all files, as text.
#[track_caller]
fn check_edges(fixture: &str, want: Expect) {
    let graph = graph(fixture);
    want.assert_eq(&edges(&graph.to_graph(&all(&graph), |_| "nix".to_owned())));
}

fn edges(drawn: &Graph) -> String {
    let mut out = String::new();
    for edge in &drawn.edges {
        let (from, to) = (&drawn.nodes[edge.from as usize], &drawn.nodes[edge.to as usize]);
        let kind = if to.kind == "nix" { String::new() } else { format!(" [{}]", to.kind) };
        let _ = writeln!(out, "{} {} {}{kind}", from.name, edge.kind, to.name);
    }
    out
}

/// Checks the edges of the graph of modules. Files that begin with a comment are of the kind that
/// it names.
#[track_caller]
fn check_modules(fixture: &str, want: Expect) {
    let graph = graph(fixture);
    let files = MemoryFiles::fixture(fixture);
    let text =
        |file: FileId| files.read(&graph.snapshot().files()[file.index()].path, 1 << 20).unwrap();
    let kind_of = |file| {
        let text = text(file);
        let first = text.lines().next().and_then(|line| line.strip_prefix("# "));
        first.unwrap_or("nix").to_owned()
    };
    let hosts_of = |file| hosts(&cim_nix_syntax::parse(text(file)).tree);
    want.assert_eq(&edges(&graph.to_module_graph(kind_of, hosts_of)));
}

#[track_caller]
fn check_missing(fixture: &str, want: Expect) {
    let graph = graph(fixture);
    let mut out = String::new();
    for missing in graph.missing() {
        let (from, path) = (name(&graph, missing.from), missing.path.display());
        let _ = write!(out, "{from}: {path} {:?}", missing.what);
        let _ = missing.suggestion.as_ref().map(|found| write!(out, ", {found}?"));
        out.push('\n');
    }
    want.assert_eq(&out);
}

/// Checks the import cycles: the files of each, one cycle a line.
#[track_caller]
fn check_cycles(fixture: &str, want: &[&str]) {
    let graph = graph(fixture);
    let cycles = graph.cycles();
    let files = |cycle: &Cycle| cycle.steps.iter().map(|(file, _)| *file).collect::<Vec<_>>();
    let found: Vec<String> = cycles.iter().map(|cycle| names(&graph, &files(cycle))).collect();
    assert_eq!(found, want);
}

#[test]
fn files_folders_and_links_are_resolved() {
    check_edges(
        "\
//- /p/a.nix
[ (import ./b.nix) (import ./d) (import ./link.nix) (import ./folder-link/x.nix) (import ../q.nix) ]
//- /p/b.nix
{ a = callPackage ./d/../d { }; b = ./c; src = ./.; p = ./a.patch; n = <nixpkgs>; }
//- /p/a.patch
//- /p/d/default.nix
1
//- /p/d/x.nix
1
//- /p/c/default.nix
1
//- /p/link.nix -> b.nix
//- /p/folder-link -> d
//- /q.nix
1
",
        expect![[r#"
            a.nix import b.nix
            a.nix import d/default.nix
            a.nix import d/x.nix
            b.nix path c/default.nix
            b.nix call-package d/default.nix
            b.nix path <nixpkgs> [search-path]
        "#]],
    );
}

#[test]
fn run_time_paths_are_folders() {
    check_edges(
        "\
//- /p/a.nix
[ (import (./hosts + \"/${x}.nix\")) ./linux-${v}.nix (builtins.readDir ./hosts) (./none + x) ]
//- /p/hosts/b.nix
1
//- /p/hosts/b.txt
1
//- /p/linux-5.nix
1
//- /p/linux-6.nix
1
",
        expect![[r#"
            a.nix directory hosts/*.nix [folder]
            a.nix directory linux-*.nix [folder]
            a.nix directory hosts/ [folder]
            hosts/*.nix directory hosts/b.nix
            linux-*.nix directory linux-5.nix
            linux-*.nix directory linux-6.nix
            hosts/ directory hosts/b.nix
        "#]],
    );
}

#[test]
fn folders_lead_to_their_files() {
    check_edges(
        "\
//- /p/flake.nix
builtins.readDir ./hosts
//- /p/hosts/default.nix
builtins.readDir ./.
//- /p/hosts/a.nix
1
//- /p/lib/default.nix
builtins.readDir ./.
//- /p/lib/b.nix
1
",
        expect![[r#"
            flake.nix directory hosts/default.nix
            flake.nix path hosts/default.nix
            flake.nix directory hosts/ [folder]
            hosts/default.nix directory hosts/ [folder]
            lib/default.nix directory lib/ [folder]
            hosts/ directory hosts/a.nix
            lib/ directory lib/b.nix
        "#]],
    );
}

#[test]
fn files_lead_to_modules_by_others() {
    check_modules(
        "\
//- /p/flake.nix
# flake
{ outputs = _: [ (import ./lib) (import ./other.nix) ]; }
//- /p/lib/default.nix
{ a = import ./make.nix; b = import ./unused.nix; }
//- /p/lib/make.nix
x: { imports = [ ../all/default.nix ]; }
//- /p/lib/unused.nix
1
//- /p/other.nix
1
//- /p/all/default.nix
# module
{ imports = map (n: ./. + \"/${n}\") (builtins.attrNames (builtins.readDir ./.)); }
//- /p/all/a.nix
# module
{ }
",
        expect![[r#"
            all/default.nix directory all/ [folder]
            all/ directory all/a.nix [module]
            flake.nix import lib/default.nix
            lib/default.nix import lib/make.nix
            lib/make.nix module all/default.nix [module]
        "#]],
    );
}

#[test]
fn declarations_of_options_are_no_hosts() {
    let found = |text: &str| {
        let hosts = hosts(&cim_nix_syntax::parse(text).tree);
        hosts.into_iter().map(|host| host.name).collect::<Vec<_>>()
    };
    let option = "{ options.x.nixosConfigurations = lib.mkOption { type = 1; }; }";
    assert_eq!(found(option), [""; 0]);
    assert_eq!(found("{ nixosConfigurations = mkOption { default = 1; }; }"), [""; 0]);
    assert_eq!(found("{ options = { homeConfigurations.a = 1; }; }"), [""; 0]);
    assert_eq!(
        found("{ flake.nixosConfigurations = mapAttrs f { web = 1; }; }"),
        ["nixosConfigurations.web"]
    );
}

#[test]
fn ignored_files_are_outside() {
    check_edges(
        "\
//- /p/.git/HEAD
//- /p/.gitignore
secret.nix
//- /p/a.nix
[ (import ./secret.nix) (import ./.hidden/b.nix) ]
//- /p/secret.nix
1
//- /p/.hidden/b.nix
1
",
        expect![[r#"
            a.nix import secret.nix [outside]
            a.nix import .hidden/b.nix [outside]
        "#]],
    );
}

#[test]
fn missing_targets_are_found_with_a_suggestion() {
    check_missing(
        "\
//- /p/a.nix
{
  imports = [ ./Foo.nix ./bar ./netwrok.nix ./empty ./nothing/at/all.nix ];
  a = callPackage ./pkg.nix { };
}
//- /p/foo.nix
1
//- /p/bar.nix
1
//- /p/network.nix
1
//- /p/empty/readme.md
//- /p/pkg/default.nix
1
",
        expect![[r#"
            a.nix: /p/Foo.nix Path, ./foo.nix?
            a.nix: /p/bar Path, ./bar.nix?
            a.nix: /p/netwrok.nix Path, ./network.nix?
            a.nix: /p/empty Default
            a.nix: /p/nothing/at/all.nix Path
            a.nix: /p/pkg.nix Path, ./pkg?
        "#]],
    );
}

#[test]
fn silent_where_nothing_is_wrong() {
    check_missing(
        "\
//- /p/a.nix
{ inputs ? ./inputs.nix }: {
  imports = [ ./hardware-configuration.nix ] ++ lib.optional (builtins.pathExists ./x.nix) ./x.nix;
  a = [ (import ../q.nix) (import /etc/nixos/x.nix) (import ~/x.nix) (import <nixpkgs/x.nix>) ];
  b = if builtins.pathExists ./y.nix then import ./y.nix else null;
  c = [ (import ./${name}.nix) (import inputs) ];
  d = ./missing.nix;
  e = builtins.readFile ./missing.txt;
  f = import ./config.json;
}
//- /p/config.json
1
//- /p/templates/simple/flake.nix
{ imports = [ ./configuration.nix ]; }
//- /p/tests/machine.nix
{ imports = [ ./made-by-the-test.nix ]; }
//- /p/tests/default.nix
''install ${./machine.nix} /etc/machine.nix''
",
        expect![[""]],
    );
}

#[test]
fn what_a_submodule_holds_is_not_missing() {
    let modules =
        "[submodule \"a\"]\n\tpath = external/a\n\turl = x\n[submodule \"b\"]\n\tpath=there\n";
    let fixture = format!(
        "\
//- /p/.gitmodules
{modules}//- /p/external/a/
//- /p/there/x.nix
1
//- /p/a.nix
[ (import ./external/a) (import ./external/a/x.nix) (import ./external/b) (import ./there/y.nix) ]
"
    );
    check_missing(
        &fixture,
        expect![[r#"
            a.nix: /p/external/b Path, ./external/a?
            a.nix: /p/there/y.nix Path, ./there/x.nix?
        "#]],
    );
}

#[test]
fn folders_side_by_side_that_miss_the_same_are_skeletons() {
    let skeleton = |name: &str| format!("//- /p/src/{name}/flake.nix\nimport ./module.nix\n");
    let two = [skeleton("a"), skeleton("b")].concat();
    check_missing(
        &two,
        expect![[r#"
            src/a/flake.nix: /p/src/a/module.nix Path
            src/b/flake.nix: /p/src/b/module.nix Path
        "#]],
    );
    check_missing(&[two, skeleton("c")].concat(), expect![[""]]);
    let host = |name: &str| format!("//- /p/src/{name}/flake.nix\nimport ../all.nix\n");
    check_missing(
        &["a", "b", "c"].map(host).concat(),
        expect![[r#"
            src/a/flake.nix: /p/src/all.nix Path
            src/b/flake.nix: /p/src/all.nix Path
            src/c/flake.nix: /p/src/all.nix Path
        "#]],
    );
}

#[test]
fn what_ignore_files_name_is_private() {
    check_missing(
        "\
//- /p/.gitignore
secrets.nix
/private/
*.local.nix
!kept.local.nix
//- /p/b/.gitignore
/key.nix
//- /p/a.nix
[ (import ./secrets.nix) (import ./private) (import ./private/x.nix) (import ./kept.local.nix) ]
//- /p/b/c.nix
[ (import ./key.nix) (import ./c/key.nix) (import ./a.local.nix) (import ./private) ]
",
        expect![[r#"
            a.nix: /p/kept.local.nix Path
            b/c.nix: /p/b/c/key.nix Path
            b/c.nix: /p/b/private Path
        "#]],
    );
}

#[test]
fn a_file_system_without_capitals_does_not_hide_them() {
    /// A disk that finds names whatever their capitals are.
    struct NoCapitals(MemoryFiles);

    impl NoCapitals {
        fn find(&self, path: &Path) -> std::path::PathBuf {
            path.to_str().unwrap().to_lowercase().into()
        }
    }

    impl Files for NoCapitals {
        fn read(&self, path: &Path, max_bytes: u64) -> Result<String, crate::Problem> {
            self.0.read(&self.find(path), max_bytes)
        }
        fn kind(&self, path: &Path) -> Result<crate::EntryKind, crate::Problem> {
            self.0.kind(&self.find(path))
        }
        fn real_path(&self, path: &Path) -> Result<std::path::PathBuf, crate::Problem> {
            self.0.real_path(&self.find(path))
        }
        fn list(
            &self,
            folder: &Path,
            visit: &mut dyn FnMut(&std::ffi::OsStr, crate::EntryKind),
        ) -> Result<(), crate::Problem> {
            self.0.list(&self.find(folder), visit)
        }
    }

    let text = "import ./Foo.nix";
    let files = NoCapitals(MemoryFiles::new().file("/p/a.nix", text).file("/p/foo.nix", "1"));
    let snapshot = Snapshot::new("/p", discover(&files, &Request::new(["/p"])).files);
    let tree = cim_nix_syntax::parse(text).tree;
    let summary = crate::summarise(&tree, &cim_nix_semantics::lower(&tree));
    let graph = ImportGraph::link(&snapshot, vec![summary], &files);
    let missing = &graph.missing()[0];
    assert_eq!((missing.what, missing.suggestion.as_deref()), (Lack::Case, Some("./foo.nix")));
    assert_eq!(names(&graph, &graph.reach(&[id(&graph, "a.nix")])), "a.nix foo.nix");
}

#[test]
fn cycles_that_cannot_end() {
    check_cycles(
        "//- /p/a.nix\nimport ./b.nix\n//- /p/b.nix\n(import ./a.nix).x",
        &["a.nix b.nix"],
    );
    check_cycles("//- /p/a.nix\nimport ./a.nix // { }\n", &["a.nix"]);
    check_cycles("//- /p/default.nix\nlet x = import ./.; in x.y\n", &["default.nix"]);
    check_cycles(
        "//- /p/a.nix\n{ b }: import ./b.nix { }\n//- /p/b.nix\n{ }: import ./a.nix { b = 1; }\n",
        &["a.nix b.nix"],
    );
    check_cycles(
        "\
//- /p/a.nix
import ./b.nix
//- /p/b.nix
import ./c.nix
//- /p/c.nix
import ./a.nix + import ./c.nix
",
        &["a.nix b.nix c.nix"],
    );
}

#[test]
fn cycles_that_are_lazy() {
    check_cycles("//- /p/a.nix\n{ b = import ./b.nix; }\n//- /p/b.nix\nimport ./a.nix\n", &[]);
    check_cycles("//- /p/a.nix\nx: import ./b.nix\n//- /p/b.nix\nimport ./a.nix\n", &[]);
    check_cycles("//- /p/a.nix\n{ n }: if n == 0 then 1 else import ./a.nix { n = n - 1; }\n", &[]);
    check_cycles("//- /p/a.nix\n[ (import ./b.nix) ]\n//- /p/b.nix\n(import ./a.nix)\n", &[]);
}

#[test]
fn long_cycles_do_not_overflow_the_stack() {
    let n = 20_000;
    let mut files = MemoryFiles::new();
    let mut sources = Vec::new();
    for at in 0..n {
        let text = format!("import ./{:05}.nix", (at + 1) % n);
        sources.push(text.clone());
        files = files.file(format!("/p/{at:05}.nix"), text);
    }
    let snapshot = Snapshot::new("/p", discover(&files, &Request::new(["/p"])).files);
    let summary = |text: &String| {
        let tree = cim_nix_syntax::parse(text.as_str()).tree;
        crate::summarise(&tree, &cim_nix_semantics::lower(&tree))
    };
    let graph = ImportGraph::link(&snapshot, sources.iter().map(summary).collect(), &files);
    let cycles = graph.cycles();
    assert_eq!((cycles.len(), cycles[0].steps.len()), (1, n));
    assert_eq!(cycles[0].steps[0].0, FileId(0));
}

const HOSTS: &str = "\
//- /p/flake.nix
{ outputs = _: { hosts = map (name: ./hosts + \"/${name}\") [ ]; lib = import ./lib; src = ./.; }; }
//- /p/hosts/a/default.nix
{ imports = [ ../common.nix ]; }
//- /p/hosts/common.nix
{ }
//- /p/lib/default.nix
{ a = import ./a.nix; }
//- /p/lib/a.nix
1
//- /p/old.nix
import ./lib
";

#[test]
fn reach_goes_through_folders() {
    let graph = graph(HOSTS);
    let reach = |path| names(&graph, &graph.reach(&[id(&graph, path)]));
    assert_eq!(
        reach("flake.nix"),
        "flake.nix hosts/a/default.nix hosts/common.nix lib/a.nix lib/default.nix"
    );
    assert_eq!(reach("lib/a.nix"), "lib/a.nix");
    assert_eq!(names(&graph, &graph.roots()), "flake.nix old.nix");
}

#[test]
fn importers_and_dependents() {
    let graph = graph(HOSTS);
    let file = |path| id(&graph, path);
    let importers: Vec<FileId> =
        graph.importers(file("lib/default.nix")).iter().map(|edge| edge.from).collect();
    assert_eq!(names(&graph, &importers), "flake.nix old.nix");
    assert_eq!(
        names(&graph, &graph.dependents(&[file("hosts/common.nix")])),
        "flake.nix hosts/a/default.nix hosts/common.nix"
    );
    let between = |from, to| {
        let edges = graph.edges_between(file(from), file(to));
        edges.iter().map(|edge| edge.kind).collect::<Vec<_>>()
    };
    assert_eq!(between("hosts/a/default.nix", "hosts/common.nix"), [ReferenceKind::Module]);
    assert_eq!(
        between("flake.nix", "hosts/common.nix"),
        [ReferenceKind::Directory, ReferenceKind::Path]
    );
    assert_eq!(between("old.nix", "flake.nix"), []);
}
