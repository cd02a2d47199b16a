use std::fmt::Write as _;

use expect_test::{Expect, expect};

use super::*;
use crate::MemoryFiles;

#[track_caller]
fn check(fixture: &str, paths: &[&str], want: Expect) {
    check_request(&MemoryFiles::fixture(fixture), &Request::new(paths), want);
}

#[track_caller]
fn check_request(files: &MemoryFiles, request: &Request, want: Expect) {
    let found = discover(files, request);
    let mut shown = String::new();
    for file in &found.files {
        let mark = if file.is_named { " (named)" } else { "" };
        let _ = writeln!(shown, "{}{mark}", file.path.display());
    }
    for trouble in &found.troubles {
        let _ = writeln!(shown, "{}: {}", trouble.path.display(), trouble.problem);
    }
    let LeftOut { ignored, hidden, links } = found.left_out;
    for (count, what) in [(ignored, "ignored"), (hidden, "hidden"), (links, "links")] {
        if count > 0 {
            let _ = writeln!(shown, "left out: {count} {what}");
        }
    }
    want.assert_eq(&shown);
}

#[test]
fn takes_nix_files_and_flake_locks() {
    check(
        "\
//- /p/flake.nix
//- /p/flake.lock
//- /p/other.lock
//- /p/README.md
//- /p/.nix
//- /p/.shell.nix
//- /p/a.nix.bak
//- /p/folder.nix/b.nix
//- /p/folder/flake.lock
//- /q/c.nix
",
        &["/p"],
        expect![[r#"
            /p/.shell.nix
            /p/flake.lock
            /p/flake.nix
            /p/folder.nix/b.nix
            /p/folder/flake.lock
        "#]],
    );
}

#[test]
fn named_files_are_taken_whatever_rules_say() {
    check(
        "\
//- /p/.git/HEAD
//- /p/.gitignore
*.nix
//- /p/a.nix
//- /p/b.txt
//- /p/.hidden/c.nix
",
        &["/p/a.nix", "p/b.txt", "/p/.hidden", "/p"],
        expect![[r#"
            /p/a.nix (named)
            /p/b.txt (named)
            left out: 2 ignored
            left out: 1 hidden
        "#]],
    );
}

#[test]
fn same_file_by_several_ways_is_found_once() {
    check(
        "\
//- /p/a/x.nix
//- /p/link -> a/x.nix
//- /q -> p
",
        &["/p", "/p/a", "/q/a/../a", "/p/link", "/p/a/x.nix"],
        expect![[r#"
            /p/a/x.nix (named)
            left out: 1 links
        "#]],
    );
}

#[test]
fn links_are_not_followed() {
    check(
        "\
//- /nix/store/abc/default.nix
//- /p/a.nix
//- /p/b.nix -> a.nix
//- /p/result -> /nix/store/abc
//- /p/result-dev -> ../nix/store/abc
//- /p/sub/loop -> ..
//- /p/sub/self -> self
//- /p/sub/gone.nix -> nowhere
",
        &["/p"],
        expect![[r#"
            /p/a.nix
            left out: 6 links
        "#]],
    );
}

#[test]
fn named_link_is_followed() {
    check(
        "\
//- /nix/store/abc/default.nix
//- /p/result -> /nix/store/abc
",
        &["/p/result"],
        expect![[r#"
            /nix/store/abc/default.nix
        "#]],
    );
}

#[test]
fn what_cannot_be_looked_at_stops_nothing() {
    let files = MemoryFiles::fixture(
        "\
//- /p/a.nix
//- /p/closed/b.nix
//- /p/rules/.gitignore
c.nix
//- /p/rules/c.nix
//- /p/loop -> loop
",
    );
    let files = files.deny("/p/closed").deny("/p/rules/.gitignore").pipe("/p/pipe");
    let paths = ["/p", "/gone", "/p/loop", "/p/pipe", "/p/a.nix/below", "/gone"];
    check_request(
        &files,
        &Request::new(paths),
        expect![[r#"
            /p/a.nix
            /p/rules/c.nix
            /gone: it does not exist
            /p/a.nix/below: it is not a folder
            /p/closed: permission denied
            /p/loop: its symbolic links lead in a circle
            /p/pipe: it is not a regular file
            /p/rules/.gitignore: permission denied
            left out: 1 links
        "#]],
    );
}

#[test]
fn hidden_folders_are_entered_on_demand() {
    let files = MemoryFiles::fixture(
        "\
//- /p/.github/a.nix
//- /p/.git/b.nix
//- /p/sub/.direnv/c.nix
",
    );
    check_request(
        &files,
        &Request::new(["/p"]),
        expect![[r#"
            left out: 2 hidden
        "#]],
    );
    check_request(
        &files,
        &Request { hidden: true, ..Request::new(["/p"]) },
        expect![[r#"
            /p/.github/a.nix
            /p/sub/.direnv/c.nix
        "#]],
    );
}

#[test]
fn deeper_ignore_file_wins() {
    check(
        "\
//- /p/.git/info/exclude
local.nix
shared.nix
//- /p/.gitignore
*.gen.nix
/top.nix
build/
!shared.nix
//- /p/a.gen.nix
//- /p/top.nix
//- /p/local.nix
//- /p/shared.nix
//- /p/build/x.nix
//- /p/sub/.gitignore
!keep.gen.nix
!build/x.nix
//- /p/sub/b.gen.nix
//- /p/sub/keep.gen.nix
//- /p/sub/top.nix
//- /p/sub/build/x.nix
//- /p/sub/deep/keep.gen.nix
",
        &["/p"],
        expect![[r#"
            /p/shared.nix
            /p/sub/deep/keep.gen.nix
            /p/sub/keep.gen.nix
            /p/sub/top.nix
            left out: 6 ignored
        "#]],
    );
}

#[test]
fn ignore_file_wins_over_gitignore_beside_it() {
    check(
        "\
//- /p/.gitignore
a.nix
//- /p/.ignore
!a.nix
b.nix
//- /p/a.nix
//- /p/b.nix
//- /p/c.nix
",
        &["/p"],
        expect![[r#"
            /p/a.nix
            /p/c.nix
            left out: 1 ignored
        "#]],
    );
}

#[test]
fn rules_above_the_named_folder_hold_up_to_the_repository() {
    let fixture = "\
//- /home/.gitignore
*
//- /home/p/.git/info/exclude
local.nix
//- /home/p/.gitignore
/sub/deep/*.gen.nix
out/
//- /home/p/sub/.gitignore
!kept.gen.nix
//- /home/p/sub/deep/a.gen.nix
//- /home/p/sub/deep/b.nix
//- /home/p/sub/deep/kept.gen.nix
//- /home/p/sub/deep/local.nix
//- /home/p/out/sub/local.nix
";
    check(
        fixture,
        &["/home/p/sub/deep"],
        expect![[r#"
            /home/p/sub/deep/b.nix
            /home/p/sub/deep/kept.gen.nix
            left out: 2 ignored
        "#]],
    );
    // A folder that is itself left out, or lies in one, was asked for by name.
    check(
        fixture,
        &["/home/p/out/sub"],
        expect![[r#"
            /home/p/out/sub/local.nix
        "#]],
    );
}

#[test]
fn inner_repository_starts_afresh() {
    check(
        "\
//- /p/.git/HEAD
//- /p/.gitignore
*.gen.nix
//- /p/a.gen.nix
//- /p/vendor/.git
gitdir: ../.git/modules/vendor
//- /p/vendor/b.gen.nix
//- /p/vendor/local.nix
//- /p/.git/modules/vendor/info/exclude
local.nix
//- /p/tree/.git
gitdir: /p/.git/worktrees/tree
//- /p/.git/worktrees/tree/commondir
../..
//- /p/.git/info/exclude
mine.nix
//- /p/tree/mine.nix
//- /p/tree/yours.nix
",
        &["/p"],
        expect![[r#"
            /p/tree/yours.nix
            /p/vendor/b.gen.nix
            left out: 3 ignored
        "#]],
    );
}

#[test]
fn ignore_files_can_be_disregarded() {
    let files = MemoryFiles::fixture("//- /p/.gitignore\n*\n//- /p/a.nix\n//- /p/s/b.nix\n");
    check_request(
        &files,
        &Request { ignore_files: false, ..Request::new(["/p"]) },
        expect![[r#"
            /p/a.nix
            /p/s/b.nix
        "#]],
    );
}

#[test]
fn excludes_win_over_everything_but_names() {
    let files = MemoryFiles::fixture(
        "\
//- /p/.gitignore
*.gen.nix
//- /p/a.nix
//- /p/b.gen.nix
//- /p/vendor/c.nix
//- /p/sub/vendor/d.nix
//- /p/.ci/e.nix
//- /p/.ci/f.gen.nix
//- /q/vendor/g.nix
",
    );
    let excludes = Excludes::new("/p".as_ref(), ["/vendor/", "!b.gen.nix", "!.ci/"]);
    let excludes = excludes.expect("the patterns are sound");
    let request = Request { excludes, ..Request::new(["/p", "/q"]) };
    check_request(
        &files,
        &request,
        expect![[r#"
            /p/.ci/e.nix
            /p/a.nix
            /p/b.gen.nix
            /p/sub/vendor/d.nix
            /q/vendor/g.nix
            left out: 2 ignored
        "#]],
    );
    let request = Request { paths: vec!["/p/vendor".into()], ..request };
    check_request(
        &files,
        &request,
        expect![[r#"
            /p/vendor/c.nix
        "#]],
    );
}

#[test]
fn excludes_that_match_nothing_are_refused() {
    for pattern in ["", "[a", "# remark", "!", "/", "a\\"] {
        let error = Excludes::new("/p".as_ref(), ["ok", pattern]).expect_err(pattern);
        assert_eq!(error.to_string(), format!("the pattern `{pattern}` can match nothing"));
    }
}

#[test]
fn excludes_cover_what_lies_in_their_folders() {
    let covers = |pattern: &str, path: &str| {
        let excludes = Excludes::new("/p".as_ref(), [pattern]).expect("the pattern is sound");
        excludes.cover(path.as_ref())
    };
    assert!(covers("a.nix", "/p/x/y/a.nix"));
    assert!(covers("?.nix", "/p/x/a.nix"));
    assert!(!covers("?.nix", "/p/x/aa.nix"));
    assert!(covers("tests", "/p/a/tests/b/c.nix"));
    assert!(covers("a/tests/", "/p/a/tests/b/c.nix"));
    assert!(!covers("a/tests", "/p/b/a/tests/c.nix"));
    assert!(!covers("tests/", "/p/tests"));
    assert!(!covers("/a.nix", "/p/x/a.nix"));
    assert!(covers("x/**/a.nix", "/p/x/y/z/a.nix"));
    assert!(!covers("a.nix", "/q/a.nix"));
    assert!(!covers("!a.nix", "/p/a.nix"));
}

#[test]
fn root_folder_can_be_walked() {
    check(
        "//- /.gitignore\n/b.nix\n//- /a.nix\n//- /b.nix\n//- /c/b.nix\n",
        &["/"],
        expect![[r#"
            /a.nix
            /c/b.nix
            left out: 1 ignored
        "#]],
    );
}
