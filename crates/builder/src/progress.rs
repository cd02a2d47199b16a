//! What Nix tells while it works, as typed events.
//!
//! With `--log-format internal-json`, which every Nix since 2.0 knows, a line starts with `@nix` and
//! is an object: an activity starts, has results, and stops; or there is a message. Whatever else is
//! printed, by Nix or by what it starts, is a plain line.

use std::collections::{BTreeSet, HashMap};

use serde_json::Value;

use crate::text::{cut, plain};

/// Something happened.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Progress {
    /// It is known which derivation is going to be built.
    Instantiated {
        /// The path of the derivation.
        derivation: String,
        /// The names of the outputs that are going to be built; nothing for all.
        outputs: Option<Vec<String>>,
    },
    /// The build of a derivation has started.
    Started {
        /// The path of the derivation.
        derivation: String,
        /// The machine that builds; empty for this one.
        machine: String,
    },
    /// A build has come to another phase.
    Phase {
        /// The path of the derivation.
        derivation: String,
        /// The name of the phase, such as `installPhase`.
        phase: String,
    },
    /// A line of a log.
    Log {
        /// The path of the derivation; nothing for what belongs to no build.
        derivation: Option<String>,
        /// The line, without control characters.
        line: String,
    },
    /// A path is being copied from one store to another.
    Copying {
        /// The path.
        path: String,
        /// The store that it comes from.
        from: String,
        /// The store that it goes to.
        to: String,
        /// Bytes that have gone.
        done: u64,
        /// Bytes in all; 0 if Nix does not tell.
        expected: u64,
    },
    /// A path has been copied.
    Copied {
        /// The path.
        path: String,
    },
    /// A file is being downloaded.
    Downloading {
        /// Where from.
        url: String,
        /// Bytes that have come.
        done: u64,
        /// Bytes in all; 0 if nobody knows.
        expected: u64,
    },
    /// A derivation was built.
    Finished {
        /// The path of the derivation.
        derivation: String,
    },
    /// A derivation could not be built.
    Failed {
        /// The path of the derivation.
        derivation: String,
        /// Why, such as `failed with exit code 3`.
        reason: String,
    },
    /// A path is being removed from the store.
    Deleting {
        /// The path.
        path: String,
    },
    /// Something that Nix says.
    Message {
        /// How grave it is.
        level: Level,
        /// The text, maybe of several lines.
        text: String,
    },
}

/// How grave a message is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Level {
    /// Something failed.
    Error,
    /// Something may be wrong.
    Warning,
    /// What goes on.
    Note,
    /// Details.
    Detail,
}

/// A derivation that could not be built.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FailedBuild {
    /// The path of the derivation.
    pub derivation: String,
    /// Why.
    pub reason: String,
    /// Whether only something that it needs could not be built.
    pub is_for_dependency: bool,
}

/// How many messages of errors and failed builds are kept.
const KEPT: usize = 100;

/// The most bytes of a line of a log and of a message that are kept.
const LINE: usize = 4096;

/// What is going on under a number that Nix gave.
#[derive(Debug)]
enum Activity {
    Build(String),
    /// All builds together: how many failed.
    Builds,
    Copy {
        path: String,
        from: String,
        to: String,
        meter: Meter,
    },
    Download {
        url: String,
        meter: Meter,
    },
}

/// Bytes that have gone, and how many of them were told.
#[derive(Clone, Copy, Default, Debug)]
struct Meter {
    done: u64,
    expected: u64,
    told: u64,
}

impl Meter {
    /// Whether enough has happened to tell it.
    fn advance(&mut self, done: u64, expected: u64) -> bool {
        (self.done, self.expected) = (done, expected);
        let step = (expected / 100).max(1 << 16);
        let is_worth_it = done >= self.told + step || (done == expected && done > self.told);
        if is_worth_it {
            self.told = done;
        }
        is_worth_it
    }
}

/// Turns lines into [`Progress`], and keeps count.
#[derive(Default, Debug)]
pub(crate) struct Reader {
    activities: HashMap<u64, Activity>,
    /// How many builds have failed, as Nix counts, and how many of these were seen to stop.
    failed: (u64, u64),
    /// Builds that stopped because they failed, while nobody has said why.
    unclear: BTreeSet<String>,
    pub(crate) failures: Vec<FailedBuild>,
    /// What was said about errors, in the order in which it came.
    pub(crate) errors: Vec<String>,
    pub(crate) n_built: u64,
    pub(crate) n_copied: u64,
    pub(crate) copied_bytes: u64,
}

type Say<'s> = &'s mut dyn FnMut(Progress);

impl Reader {
    /// Reads a line of what a program prints to standard error.
    pub(crate) fn line(&mut self, line: &str, say: Say<'_>) {
        let json = line.strip_prefix("@nix ").and_then(|text| serde_json::from_str(text).ok());
        match json {
            Some(object @ Value::Object(_)) => self.object(&object, say),
            _ => self.plain_line(&plain(cut(line, LINE)), say),
        }
    }

    /// Says that builds have failed of which nobody has said why.
    pub(crate) fn finish(&mut self, say: Say<'_>) {
        for derivation in std::mem::take(&mut self.unclear) {
            self.fail(derivation, "the build failed".to_owned(), say);
        }
    }

    fn object(&mut self, object: &Value, say: Say<'_>) {
        let id = object["id"].as_u64().unwrap_or_default();
        match object["action"].as_str() {
            Some("start") => self.start(id, object, say),
            Some("stop") => self.stop(id, say),
            Some("result") => self.result(id, object, say),
            Some("msg") => {
                let text = ["raw_msg", "msg"].into_iter().find_map(|name| object[name].as_str());
                let text = plain(cut(text.unwrap_or_default(), LINE));
                self.message(object["level"].as_u64().unwrap_or(3), text, say);
            }
            _ => {}
        }
    }

    fn start(&mut self, id: u64, object: &Value, say: Say<'_>) {
        let field = |index: usize| plain(object["fields"][index].as_str().unwrap_or_default());
        let activity = match object["type"].as_u64() {
            Some(100) => {
                let [path, from, to] = [field(0), field(1), field(2)];
                let activity = Activity::Copy {
                    path: path.clone(),
                    from: from.clone(),
                    to: to.clone(),
                    meter: Meter::default(),
                };
                say(Progress::Copying { path, from, to, done: 0, expected: 0 });
                activity
            }
            Some(101) => Activity::Download { url: field(0), meter: Meter::default() },
            Some(104) => Activity::Builds,
            Some(105) => {
                let derivation = field(0);
                say(Progress::Started { derivation: derivation.clone(), machine: field(1) });
                Activity::Build(derivation)
            }
            _ => return,
        };
        self.activities.insert(id, activity);
    }

    fn stop(&mut self, id: u64, say: Say<'_>) {
        match self.activities.remove(&id) {
            Some(Activity::Build(derivation)) => {
                let is_known = self.failures.iter().any(|failure| failure.derivation == derivation);
                let (n_failed, n_seen) = self.failed;
                if n_failed > n_seen || is_known {
                    self.failed.1 = n_seen + 1;
                    if !is_known {
                        self.unclear.insert(derivation);
                    }
                    return;
                }
                self.n_built += 1;
                say(Progress::Finished { derivation });
            }
            Some(Activity::Copy { path, meter, .. }) => {
                self.n_copied += 1;
                self.copied_bytes += meter.done.max(meter.expected);
                say(Progress::Copied { path });
            }
            Some(Activity::Download { .. } | Activity::Builds) | None => {}
        }
    }

    fn result(&mut self, id: u64, object: &Value, say: Say<'_>) {
        let text = || object["fields"][0].as_str().unwrap_or_default();
        let number = |index: usize| object["fields"][index].as_u64().unwrap_or_default();
        let of_build = |activities: &HashMap<u64, Activity>| match activities.get(&id) {
            Some(Activity::Build(derivation)) => Some(derivation.clone()),
            _ => None,
        };
        match object["type"].as_u64() {
            Some(101 | 107) => {
                let line = plain(cut(text(), LINE));
                say(Progress::Log { derivation: of_build(&self.activities), line });
            }
            Some(104) => {
                if let Some(derivation) = of_build(&self.activities) {
                    say(Progress::Phase { derivation, phase: plain(cut(text(), LINE)) });
                }
            }
            Some(105) => self.advance(id, [number(0), number(1), number(3)], say),
            _ => {}
        }
    }

    /// How far an activity has come: what is done, what is expected, and what has failed.
    fn advance(&mut self, id: u64, [done, expected, failed]: [u64; 3], say: Say<'_>) {
        let Some(activity) = self.activities.get_mut(&id) else { return };
        let is_worth_it = match activity {
            Activity::Copy { meter, .. } | Activity::Download { meter, .. } => {
                meter.advance(done, expected)
            }
            Activity::Builds => {
                self.failed.0 = self.failed.0.max(failed);
                false
            }
            Activity::Build(_) => false,
        };
        match activity {
            Activity::Copy { path, from, to, .. } if is_worth_it => {
                let (path, from, to) = (path.clone(), from.clone(), to.clone());
                say(Progress::Copying { path, from, to, done, expected });
            }
            Activity::Download { url, .. } if is_worth_it => {
                say(Progress::Downloading { url: url.clone(), done, expected });
            }
            _ => {}
        }
    }

    fn message(&mut self, level: u64, text: String, say: Say<'_>) {
        let level = match level {
            0 => Level::Error,
            1 => Level::Warning,
            2 | 3 => Level::Note,
            _ => Level::Detail,
        };
        let text = text.strip_prefix("error: ").map(str::to_owned).unwrap_or(text);
        if level == Level::Error {
            self.error(&text, say);
        } else if let Some(path) = deleted(&text) {
            return say(Progress::Deleting { path: path.to_owned() });
        }
        say(Progress::Message { level, text });
    }

    fn error(&mut self, text: &str, say: Say<'_>) {
        // How to see more of the error before, which is none of its own.
        if text.starts_with("(use '--show-trace' ") {
            return;
        }
        if self.errors.len() < KEPT {
            self.errors.push(text.to_owned());
        }
        if let Some((derivation, reason)) = failure(text) {
            self.unclear.remove(&derivation);
            self.fail(derivation, reason, say);
        }
    }

    fn fail(&mut self, derivation: String, reason: String, say: Say<'_>) {
        if self.failures.iter().any(|failure| failure.derivation == derivation) {
            return;
        }
        let is_for_dependency = reason.contains("dependenc");
        if self.failures.len() < KEPT {
            let (derivation, reason) = (derivation.clone(), reason.clone());
            self.failures.push(FailedBuild { derivation, reason, is_for_dependency });
        }
        say(Progress::Failed { derivation, reason });
    }

    fn plain_line(&mut self, line: &str, say: Say<'_>) {
        let quoted = |text: &str| text.split('\'').next().unwrap_or_default().to_owned();
        let trimmed = line.trim_start();
        if let Some(text) = trimmed.strip_prefix("error: ") {
            return self.message(0, text.to_owned(), say);
        }
        if let Some(text) = trimmed.strip_prefix("warning: ") {
            return self.message(1, text.to_owned(), say);
        }
        if let Some(rest) = line.strip_prefix("building '") {
            let derivation = quoted(rest);
            if derivation.ends_with(".drv") {
                return say(Progress::Started { derivation, machine: String::new() });
            }
        }
        if let Some((path, rest)) =
            line.strip_prefix("copying path '").and_then(|rest| rest.split_once('\''))
        {
            let of =
                |word: &str| rest.split_once(word).map_or_else(String::new, |(_, r)| quoted(r));
            let (from, to, path) = (of(" from '"), of(" to '"), path.to_owned());
            return say(Progress::Copying { path, from, to, done: 0, expected: 0 });
        }
        if let Some(path) = deleted(line) {
            return say(Progress::Deleting { path: path.to_owned() });
        }
        say(Progress::Log { derivation: None, line: line.to_owned() });
    }
}

/// The path in `deleting '/nix/store/...'`.
fn deleted(text: &str) -> Option<&str> {
    text.strip_prefix("deleting '")?.strip_suffix('\'').filter(|path| path.starts_with('/'))
}

/// The derivation that an error is about, and what it says of it.
fn failure(text: &str) -> Option<(String, String)> {
    let end = text.find(".drv'")? + ".drv".len();
    let start = text[..end].rfind('\'')? + 1;
    let derivation = text[start..end].to_owned();
    let sentence = |text: &str| text.trim().trim_end_matches(['.', ';', ':']).to_owned();
    let reason = text.lines().find_map(|line| line.trim().strip_prefix("Reason: "));
    let before = text[..start - 1].trim_start();
    let reason = match reason {
        Some(reason) => sentence(reason),
        None if before == "builder for " => {
            sentence(text[end + 1..].lines().next().unwrap_or_default())
        }
        None => sentence(text.lines().next().unwrap_or_default()),
    };
    Some((derivation, reason))
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use expect_test::{Expect, expect};

    use super::*;

    /// The events of lines as a text of one line each.
    fn check(lines: &str, expected: Expect) {
        let (mut reader, mut told) = (Reader::default(), String::new());
        let mut say = |progress: Progress| writeln!(told, "{progress:?}").unwrap();
        lines.lines().for_each(|line| reader.line(line, &mut say));
        reader.finish(&mut say);
        expected.assert_eq(&told);
    }

    #[test]
    fn a_build_that_ends_well() {
        check(
            r#"
@nix {"action":"start","id":1,"level":0,"text":"","type":104}
@nix {"action":"start","fields":["/s/a-x.drv","",1,1],"id":2,"level":3,"text":"building","type":105}
@nix {"action":"result","fields":[0,1,1,0],"id":1,"type":105}
@nix {"action":"result","fields":["buildPhase"],"id":2,"type":104}
@nix {"action":"result","fields":["\u001b[31;1mred\u001b[0m\ttab"],"id":2,"type":101}
@nix {"action":"result","fields":[1,1,0,0],"id":1,"type":105}
@nix {"action":"stop","id":2}
@nix {"action":"stop","id":1}
"#
            .trim_start(),
            expect![[r#"
                Started { derivation: "/s/a-x.drv", machine: "" }
                Phase { derivation: "/s/a-x.drv", phase: "buildPhase" }
                Log { derivation: Some("/s/a-x.drv"), line: "red\ttab" }
                Finished { derivation: "/s/a-x.drv" }
            "#]],
        );
    }

    #[test]
    fn a_build_that_fails_and_what_needs_it() {
        // As 2.8 tells it: the message may come before the activity stops, or after.
        check(
            r#"
@nix {"action":"start","id":1,"level":0,"text":"","type":104}
@nix {"action":"start","fields":["/s/a-x.drv","",1,1],"id":2,"level":3,"text":"","type":105}
@nix {"action":"start","fields":["/s/b-y.drv","",1,1],"id":3,"level":3,"text":"","type":105}
@nix {"action":"result","fields":[0,3,1,1],"id":1,"type":105}
@nix {"action":"msg","column":null,"level":0,"msg":"\u001b[31;1merror:\u001b[0m builder","raw_msg":"builder for '\u001b[35;1m/s/a-x.drv\u001b[0m' failed with exit code 3;\n  last 2 log lines:"}
@nix {"action":"stop","id":2}
@nix {"action":"result","fields":[0,3,1,2],"id":1,"type":105}
@nix {"action":"stop","id":3}
@nix {"action":"msg","level":0,"msg":"\u001b[31;1merror:\u001b[0m \u001b[35;1m1\u001b[0m dependencies of derivation '/s/c-z.drv' failed to build"}
"#
            .trim_start(),
            expect![[r#"
                Started { derivation: "/s/a-x.drv", machine: "" }
                Started { derivation: "/s/b-y.drv", machine: "" }
                Failed { derivation: "/s/a-x.drv", reason: "failed with exit code 3" }
                Message { level: Error, text: "builder for '/s/a-x.drv' failed with exit code 3;\n  last 2 log lines:" }
                Failed { derivation: "/s/c-z.drv", reason: "1 dependencies of derivation '/s/c-z.drv' failed to build" }
                Message { level: Error, text: "1 dependencies of derivation '/s/c-z.drv' failed to build" }
                Failed { derivation: "/s/b-y.drv", reason: "the build failed" }
            "#]],
        );
    }

    #[test]
    fn what_newer_nix_says_of_failures() {
        let text = "Cannot build '/s/a-x.drv'.\nReason: builder failed with exit code 3.\nOutput \
                    paths:\n  /s/b-x";
        let want = ("/s/a-x.drv".to_owned(), "builder failed with exit code 3".to_owned());
        assert_eq!(failure(text), Some(want));
        let text = "hash mismatch in fixed-output derivation '/s/a-x.drv':\n  specified: x";
        let want = "hash mismatch in fixed-output derivation '/s/a-x.drv'".to_owned();
        assert_eq!(failure(text), Some(("/s/a-x.drv".to_owned(), want)));
        assert_eq!(failure("attribute 'x' missing"), None);
        assert_eq!(failure(".drv'"), None);
        assert_eq!(failure("'.drv'").map(|(derivation, _)| derivation).as_deref(), Some(".drv"));
    }

    #[test]
    fn copies_tell_their_bytes_now_and_then() {
        check(
            r#"
@nix {"action":"start","fields":["/s/a-x","local","file:///c"],"id":7,"level":3,"text":"","type":100}
@nix {"action":"result","fields":[8,200000,0,0],"id":7,"type":105}
@nix {"action":"result","fields":[100000,200000,0,0],"id":7,"type":105}
@nix {"action":"result","fields":[100008,200000,0,0],"id":7,"type":105}
@nix {"action":"result","fields":[200000,200000,0,0],"id":7,"type":105}
@nix {"action":"stop","id":7}
@nix {"action":"start","fields":["https://c/nar/x.nar"],"id":8,"level":4,"text":"","type":101}
@nix {"action":"result","fields":[70000,0,0,0],"id":8,"type":105}
@nix {"action":"stop","id":8}
"#
            .trim_start(),
            expect![[r#"
                Copying { path: "/s/a-x", from: "local", to: "file:///c", done: 0, expected: 0 }
                Copying { path: "/s/a-x", from: "local", to: "file:///c", done: 100000, expected: 200000 }
                Copying { path: "/s/a-x", from: "local", to: "file:///c", done: 200000, expected: 200000 }
                Copied { path: "/s/a-x" }
                Downloading { url: "https://c/nar/x.nar", done: 70000, expected: 0 }
            "#]],
        );
    }

    #[test]
    fn plain_lines_are_understood_as_far_as_they_tell() {
        check(
            "building '/s/a-x.drv'...\nbuilding the system configuration...\ncopying path '/s/b-y' \
             from 'https://c'...\nwarning: dirty\n       error: builder for '/s/a-x.drv' failed with \
             exit code 1\n@nix {\"action\":\nany\u{1b}[1mthing\r",
            expect![[r#"
                Started { derivation: "/s/a-x.drv", machine: "" }
                Log { derivation: None, line: "building the system configuration..." }
                Copying { path: "/s/b-y", from: "https://c", to: "", done: 0, expected: 0 }
                Message { level: Warning, text: "dirty" }
                Failed { derivation: "/s/a-x.drv", reason: "failed with exit code 1" }
                Message { level: Error, text: "builder for '/s/a-x.drv' failed with exit code 1" }
                Log { derivation: None, line: "@nix {\"action\":" }
                Log { derivation: None, line: "anything" }
            "#]],
        );
    }

    #[test]
    fn hostile_lines_change_nothing() {
        let nested = format!("@nix {}", "[".repeat(100_000));
        for line in [
            nested.as_str(),
            "@nix [1]",
            "@nix {\"action\":\"stop\",\"id\":-1}",
            "@nix {\"action\":\"start\",\"type\":105,\"fields\":7}",
            "@nix {\"action\":\"result\",\"type\":105,\"id\":0,\"fields\":[-1,1e300,null]}",
            "@nix {\"action\":\"msg\"}",
            "",
        ] {
            Reader::default().line(line, &mut |_| {});
        }
    }

    /// As Nix 2.8 says it.
    #[test]
    fn a_hint_is_no_error() {
        let mut reader = Reader::default();
        for text in [
            "error: cannot connect to socket at '/nix/var/nix/daemon-socket/socket': Connection refused",
            "(use '--show-trace' to show detailed location information)",
        ] {
            let line = serde_json::json!({ "action": "msg", "level": 0, "msg": text });
            reader.line(&format!("@nix {line}"), &mut |_| ());
        }
        expect![[r#"
            [
                "cannot connect to socket at '/nix/var/nix/daemon-socket/socket': Connection refused",
            ]
        "#]]
        .assert_debug_eq(&reader.errors);
    }
}
