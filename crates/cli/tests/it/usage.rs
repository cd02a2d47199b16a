//! Help, version and wrong arguments.

use expect_test::expect;

use crate::sandbox::{Sandbox, stdout};

#[test]
fn help_of_the_program() {
    Sandbox::new("").check("--help", expect![[r#"
        [stdout]
        Checks Nix projects, and shows what it knows about them

        Usage: cim-nix [OPTIONS] <COMMAND>

        Commands:
          check            Look for faults in files and folders, and mend them
          fmt              Format files and folders in the style of their project
          rename           Change a name wherever its file speaks of it
          eval             Evaluate a file, an expression or a flake, without Nix
          eval-compat      Evaluate with the arguments of nix-instantiate
          instantiate      Print the store paths of derivations, and write them on request
          flake            Show what a flake has and where it comes from
          package          Build packages with Nix, and copy them to caches and back
          module           Make, change and remove modules
          overlay          Make, change and remove overlays
          config           Make, change and activate configurations of machines and homes
          collect-garbage  Remove from the store what nothing needs
          log              Show what happened to a project
          show             Show one event: who, when, what, and what it did to files
          undo             Take a change back
          redo             Bring back what was undone last
          blame            Say which event wrote each line of a file
          replay           Show what there was after an event
          status           Say whether files are what the events say
          recover          Finish or revert what was interrupted
          query            Ask what the events say: flakes, packages and builds, modules, overlays, configurations
          export           Write all events as JSON lines
          import           Take events over that `export` wrote
          store            Check, back up and move the store of a project
          options          Show the options of NixOS, Home Manager or own modules
          repl             Evaluate expressions as you type them
          parse            Print the syntax tree or the tokens of a file
          symbols          List what files define: bindings, attributes, parameters
          files            List the files of a project, and what each one is
          graph            Show which files import which, and other graphs
          migrate-config   Turn settings of statix, deadnix and nixf-diagnose into a cim-nix.toml
          explain          Explain a rule
          completions      Print the completions for a shell
          serve            Serve projects to other programs, over NATS and HTTP
          send             Send a command or a query to a service over NATS
          help             Print this message or the help of the given subcommand(s)

        Options:
              --color <WHEN>
                  When to colour

                  Possible values:
                  - auto:   On a terminal, unless NO_COLOR is set; with CLICOLOR_FORCE everywhere
                  - always: Everywhere
                  - never:  Nowhere

                  [default: auto]

          -h, --help
                  Print help (see a summary with '-h')

          -V, --version
                  Print version

        Examples:
          cim-nix check                      check the project in this folder
          cim-nix check --fix modules/       mend what can be mended safely
          cim-nix fmt                        format it in its own style
          cim-nix explain DEAD001            what a rule is about
          cim-nix eval .#packages --each     what a flake has, without Nix
          cim-nix symbols flake.nix          what a file defines

        Exit status: 0 nothing found, 1 findings, 2 wrong usage or syntax, 3 the program or machine failed.
        [exit 0]
    "#]]);
}

/// Without a command the short form of the same is an error.
#[test]
fn no_command_shows_all_of_them() {
    let sandbox = Sandbox::new("");
    let help = stdout(&sandbox.run("--help"));
    let output = sandbox.run("");
    assert_eq!((output.status.code(), stdout(&output)), (Some(2), String::new()));
    let text = String::from_utf8(output.stderr).unwrap();
    let (before, options) = text.split_once("\nOptions:\n").expect("it has options");
    let (help_before, help_after) = help.split_once("\nOptions:\n").expect("it has options");
    assert_eq!(before, help_before);
    let (_, help_end) = help_after.split_once("\nExamples:\n").expect("it has examples");
    let (options, end) = options.split_once("\nExamples:\n").expect("it has examples");
    assert_eq!(end, help_end);
    let options: Vec<&str> = options.lines().map(str::trim).collect();
    let want = [
        "--color <WHEN>  When to colour [default: auto] [possible values: auto, always, never]",
        "-h, --help          Print help (see more with '--help')",
        "-V, --version       Print version",
    ];
    assert_eq!(options, want);
}

#[test]
fn help_of_every_command_has_examples() {
    let sandbox = Sandbox::new("");
    for command in ["check", "parse", "symbols", "files", "graph", "explain", "completions"] {
        let output = sandbox.run(&format!("{command} --help"));
        assert_eq!(output.status.code(), Some(0));
        let text = stdout(&output);
        assert!(text.contains("\nExamples:\n  "), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 110), "{text}");
    }
}

#[test]
fn the_version() {
    let sandbox = Sandbox::new("");
    let text = stdout(&sandbox.run("--version"));
    assert!(text.starts_with(concat!("cim-nix ", env!("CARGO_PKG_VERSION"))), "{text}");
    assert_eq!(text, stdout(&sandbox.run("-V")));
}

#[test]
fn completions_for_every_shell() {
    let sandbox = Sandbox::new("");
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let text = stdout(&sandbox.run(&format!("completions {shell}")));
        assert!(text.contains("unsafe-fixes"), "{shell}");
    }
}

/// What the completions for bash offer behind `words`, the last of which is begun.
fn completed_by_bash(words: &str) -> Option<Vec<String>> {
    let sandbox = Sandbox::new("");
    sandbox.write("completions", stdout(&sandbox.run("completions bash")));
    let script = format!(
        "source ./completions; COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
         _cim__nix cim-nix \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD-1]}}\"; \
         printf '%s\\n' \"${{COMPREPLY[@]}}\""
    );
    let mut bash = std::process::Command::new("bash");
    let output = bash.args(["--norc", "-c", &script]).current_dir(sandbox.project()).output();
    let Ok(output) = output else {
        eprintln!("skipped: there is no bash");
        return None;
    };
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!errors.contains("command not found"), "{errors}");
    Some(stdout(&output).lines().map(str::to_owned).collect())
}

#[test]
fn bash_completes_behind_commands() {
    for (words, want) in [
        ("cim-nix mig", &["migrate-config"][..]),
        ("cim-nix check --unsafe", &["--unsafe-fixes"]),
        ("cim-nix eval-compat --stri", &["--strict"]),
        ("cim-nix graph files --exc", &["--exclude"]),
        ("cim-nix check --format sar", &["sarif"]),
    ] {
        let Some(found) = completed_by_bash(words) else { return };
        assert_eq!(found, want, "{words}");
    }
}

#[test]
fn names_of_other_programs_lead_to_ours() {
    let sandbox = Sandbox::new("");
    for (word, tip) in [
        ("fix", "`cim-nix check --fix` mends what it finds"),
        ("lint", "`cim-nix check` looks for faults"),
        ("format", "`cim-nix fmt` formats"),
    ] {
        let output = sandbox.run(word);
        assert_eq!(output.status.code(), Some(2));
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.contains(&format!("  tip: {tip}\n")), "{text}");
    }
    let text = stdout(&sandbox.run("help check"));
    assert_eq!(text, stdout(&sandbox.run("check --help")));
}

#[test]
fn wrong_arguments_are_refused() {
    let sandbox = Sandbox::new("//- a.nix\n1\n");
    sandbox.check(
        "chek",
        expect![[r#"
        [stderr]
        error: unrecognized subcommand 'chek'

          tip: a similar subcommand exists: 'check'

        Usage: cim-nix [OPTIONS] <COMMAND>

        For more information, try '--help'.
        [exit 2]
    "#]],
    );
    sandbox.check(
        "check --fixx",
        expect![[r#"
        [stderr]
        error: unexpected argument '--fixx' found

          tip: a similar argument exists: '--fix'

        Usage: cim-nix check --fix [PATH]...

        For more information, try '--help'.
        [exit 2]
    "#]],
    );
    sandbox.check(
        "check --fix --diff",
        expect![[r#"
        [stderr]
        error: the argument '--fix' cannot be used with '--diff'

        Usage: cim-nix check --fix [PATH]...

        For more information, try '--help'.
        [exit 2]
    "#]],
    );
    for option in ["--format json", "--statistics", "--max-findings 1"] {
        let output = sandbox.run(&format!("check --diff {option}"));
        assert_eq!(output.status.code(), Some(2), "{option}");
        let name = option.split(' ').next().unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        let start = format!("error: the argument '--diff' cannot be used with '{name}");
        assert!(message.starts_with(&start), "{message}");
    }
    sandbox.check(
        "check --format xml",
        expect![[r#"
            [stderr]
            error: invalid value 'xml' for '--format <FORMAT>'
              [possible values: human, concise, json, json-lines, sarif, github, gitlab, junit, rdjson, html]

              tip: a similar value exists: 'html'

            For more information, try '--help'.
            [exit 2]
        "#]],
    );
    sandbox.check(
        "check --select DEAD0O1",
        expect![[r#"
        [stderr]
        error: no rule is called `DEAD0O1`
          hint: did you mean `DEAD001`?
        [exit 2]
    "#]],
    );
    sandbox.check(
        "check --threads 0",
        expect![[r#"
            [stderr]
            error: invalid value '0' for '--threads <N>': it should be a number of threads, 1 at least

            For more information, try '--help'.
            [exit 2]
        "#]],
    );
    sandbox.check(
        "check - a.nix",
        expect![[r#"
        [stderr]
        error: `-` is standard input and stands alone, without other paths
        [exit 2]
    "#]],
    );
    sandbox.check(
        "check --stdin-filename a.nix",
        expect![[r#"
        [stderr]
        error: `--stdin-filename` is for standard input
          hint: give `-` as the path
        [exit 2]
    "#]],
    );
    sandbox.check(
        "check --watch -",
        expect![[r#"
        [stderr]
        error: standard input cannot be watched
        [exit 2]
    "#]],
    );
    sandbox.check(
        "check --exclude [",
        expect![[r#"
        [stderr]
        error: the pattern `[` can match nothing
          hint: patterns are written as in a .gitignore file, for example `/vendor/`
        [exit 2]
    "#]],
    );
    sandbox.check(
        "explain",
        expect![[r#"
        [stderr]
        error: the following required arguments were not provided:
          <RULE>

        Usage: cim-nix explain <RULE>

        For more information, try '--help'.
        [exit 2]
    "#]],
    );
}

#[test]
fn each_attribute_on_its_own() {
    let sandbox = Sandbox::new("");
    let hosts = "{ b = { n = 2; }; a = { n = 1; }; \"c d\" = throw \"out of order\"; e = { n = [ (x: x) ]; }; }";
    let run = |more: &[&str]| {
        let mut command = sandbox.command("eval --each");
        command.args(["-E", hosts, "--apply", "h: h.n"]).args(more).output().unwrap()
    };
    sandbox.compare(
        &run(&["-j", "1"]),
        expect![[r#"
            [stdout]
            { a = 1; b = 2; e = [ «lambda @ «string»:1:78» ]; }
            [stderr]
            attribute 'c d' failed:
            error:
                   … while calling the 'throw' builtin
                     at «string»:1:43:
                        1| { b = { n = 2; }; a = { n = 1; }; "c d" = throw "out of order"; e = { n = [ (x: x) ]; }; }
                         |                                           ^

                   error: out of order
            [exit 1]
        "#]],
    );
    assert_eq!(run(&["-j", "1"]).stdout, run(&["-j", "3"]).stdout);
    sandbox.compare(
        &run(&["--json"]),
        expect![[r#"
            [stdout]
            {"a":1,"b":2}
            [stderr]
            attribute 'c d' failed:
            error:
                   … while calling the 'throw' builtin
                     at «string»:1:43:
                        1| { b = { n = 2; }; a = { n = 1; }; "c d" = throw "out of order"; e = { n = [ (x: x) ]; }; }
                         |                                           ^

                   error: out of order
            attribute 'e' failed:
            error:
                   … while evaluating list element at index 0

                   error: cannot convert a function to JSON
                   at «string»:1:78:
                        1| { b = { n = 2; }; a = { n = 1; }; "c d" = throw "out of order"; e = { n = [ (x: x) ]; }; }
                         |                                                                              ^
            [exit 1]
        "#]],
    );
    sandbox.compare(
        &sandbox.command("eval --each --format xml -E 1").output().unwrap(),
        expect![[r#"
            [stderr]
            error: `--each` prints Nix code or JSON only
              hint: leave out `--format`, or use `--format json`
            [exit 2]
        "#]],
    );
    sandbox.compare(
        &sandbox.command("eval --each -E 1").output().unwrap(),
        expect![[r#"
            [stderr]
            error: `--each` wants a set whose attributes it evaluates, but this is an integer
            [exit 1]
        "#]],
    );
}

#[test]
fn files_of_the_search_path() {
    let sandbox =
        Sandbox::new("//- lib/default.nix\n{ port ? 80 }: { inherit port; name.x = 1; }\n");
    let run = |args: &str| stdout(&sandbox.run(args));
    assert_eq!(run("eval <lib> -I lib=lib -A name.x"), "1\n");
    assert_eq!(run("eval-compat --eval <lib> -I lib=lib -A name.x"), "1\n");
    // Without arguments, a function at the top stays what it is.
    assert_eq!(run("eval-compat --eval <lib> -I lib=lib"), "<LAMBDA>\n");
    assert_eq!(run("eval-compat --eval lib --argstr port 1 -A port"), "\"1\"\n");
}
