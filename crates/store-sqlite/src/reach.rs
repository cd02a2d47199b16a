//! Which files an event from elsewhere may speak of: undoing it writes them.

use std::borrow::Cow;
use std::path::{Component, Path};

use serde::Deserialize;

/// The part of a body that names files; events that name none have other fields.
#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow, default)]
    changes: Vec<FileChange<'a>>,
}

#[derive(Deserialize)]
struct FileChange<'a> {
    #[serde(borrow)]
    path: Cow<'a, str>,
    #[serde(borrow, default)]
    to: Option<Cow<'a, str>>,
    #[serde(default)]
    mode: Modes,
}

#[derive(Deserialize, Default)]
struct Modes {
    #[serde(default)]
    before: Option<u32>,
    #[serde(default)]
    after: Option<u32>,
}

/// The bits for reading, writing and running: others give a program the rights of its owner.
const PERMISSIONS: u32 = 0o777;

/// Whether all files of an event lie in the project, apart from what Git and this program keep
/// there, with permissions that a project's file may have.
///
/// Errors: what is wrong, as the end of a sentence about the line.
pub(crate) fn check(body: &str) -> Result<(), String> {
    let body: Body<'_> = serde_json::from_str(body).or_else(|error| match names_files(body) {
        true => Err(format!("has file changes that cannot be read: {error}")),
        false => Ok(Body { changes: Vec::new() }),
    })?;
    for change in &body.changes {
        for path in std::iter::once(&change.path).chain(&change.to) {
            if !is_within(path) {
                return Err(format!(
                    "changes `{}`, which is no file that a project's event may change",
                    path.escape_debug()
                ));
            }
        }
        for mode in [change.mode.before, change.mode.after].into_iter().flatten() {
            if mode & !PERMISSIONS != 0 {
                return Err(format!(
                    "gives `{}` the permissions {mode:o}, beyond {PERMISSIONS:o}",
                    change.path.escape_debug()
                ));
            }
        }
    }
    Ok(())
}

/// Whether a body has a field `changes`, whatever is in it.
fn names_files(body: &str) -> bool {
    let fields: Result<serde_json::Map<_, _>, _> = serde_json::from_str(body);
    fields.is_ok_and(|fields| fields.contains_key("changes"))
}

fn is_within(path: &str) -> bool {
    let mut parts = Path::new(path).components().peekable();
    // Some file systems do not tell capitals from small letters.
    let is_kept = |part: &std::ffi::OsStr| {
        part.eq_ignore_ascii_case(".git") || part.eq_ignore_ascii_case(".cim-nix")
    };
    parts.peek().is_some()
        && !path.contains('\0')
        && parts.all(|part| matches!(part, Component::Normal(name) if !is_kept(name)))
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    fn say(changes: &str, expect: Expect) {
        let said = super::check(&format!(r#"{{"description":"x","changes":{changes}}}"#));
        expect.assert_eq(&said.err().unwrap_or_else(|| "fine".into()));
    }

    #[test]
    fn refuses_files_that_are_not_the_projects() {
        say(
            r#"[{"path":"a/.gitignore","mode":{"before":420}},{"path":"b","to":".github/c"}]"#,
            expect!["fine"],
        );
        say(
            r#"[{"path":"/etc/passwd"}]"#,
            expect!["changes `/etc/passwd`, which is no file that a project's event may change"],
        );
        say(
            r#"[{"path":"a/../../b"}]"#,
            expect!["changes `a/../../b`, which is no file that a project's event may change"],
        );
        say(
            r#"[{"path":""}]"#,
            expect!["changes ``, which is no file that a project's event may change"],
        );
        say(
            r#"[{"path":"a","to":"sub/.GIT/hooks/pre-commit"}]"#,
            expect![
                "changes `sub/.GIT/hooks/pre-commit`, which is no file that a project's event may change"
            ],
        );
        say(
            r#"[{"path":".cim-nix/events.sqlite"}]"#,
            expect![
                "changes `.cim-nix/events.sqlite`, which is no file that a project's event may change"
            ],
        );
        say(
            r#"[{"path":"a\u0000b"}]"#,
            expect![[r#"changes `a\0b`, which is no file that a project's event may change"#]],
        );
        say(
            r#"[{"path":"a","mode":{"before":2559}}]"#,
            expect!["gives `a` the permissions 4777, beyond 777"],
        );
        say(
            r#"[{"path":"a","mode":{"after":"rwx"}}]"#,
            expect![[
                r#"has file changes that cannot be read: invalid type: string "rwx", expected u32 at line 1 column 63"#
            ]],
        );
        say(
            r#"{"path":"a"}"#,
            expect![
                "has file changes that cannot be read: invalid type: map, expected a sequence at line 1 column 29"
            ],
        );
    }

    #[test]
    fn leaves_other_bodies_alone() {
        for body in ["7", "[]", r#"{"a":1,"a":2}"#, r#"{"path":"/etc"}"#] {
            assert_eq!(super::check(body), Ok(()), "{body}");
        }
    }
}
