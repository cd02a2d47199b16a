//! The pages below `docs/examples` do what they say, from their first command to their last.
//!
//! A page is one session in a folder of its own: its blocks `console` are run in their order by one
//! shell, and a block behind a line such as "`flake.nix`:" is that file. What is printed has to be
//! what the page shows, but for ids, times and the like. Run with `UPDATE_EXPECT=1` to write what is
//! printed into the pages.

use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use cim_nix_rig::{nats_server, python_with_nats};
use tempfile::TempDir;

/// What stands between the outputs of two commands.
const MARK: char = '\u{1e}';

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("it is there")
}

/// What a page needs beyond the programs of this repository, git and jq.
#[derive(Clone, Copy, PartialEq)]
enum Needs {
    Nothing,
    Curl,
    Nats,
    Nix,
}

macro_rules! pages {
    ($($test:ident: $page:literal, $needs:ident;)*) => {
        const PAGES: &[&str] = &[$($page),*];
        $(#[test]
        fn $test() {
            check($page, Needs::$needs);
        })*
    };
}

pages! {
    a_fleet_is_mended: "mend-a-fleet.md", Nothing;
    an_input_is_upgraded: "upgrade-an-input.md", Nothing;
    names_are_renamed: "rename-safely.md", Nothing;
    machines_and_their_modules: "which-machine-uses-a-module.md", Nothing;
    a_home_is_written_down: "home-manager.md", Nothing;
    a_change_is_checked: "check-in-ci.md", Nothing;
    a_change_is_undone: "undo-last-week.md", Nothing;
    what_changed_is_formatted: "format-what-changed.md", Nothing;
    a_flake_is_built: "from-nothing-to-a-build.md", Nix;
    the_service_is_set_up: "serve-a-team.md", Curl;
    a_catalogue_is_kept: "catalogue-over-http.md", Curl;
    events_are_followed: "follow-events.md", Curl;
    commands_come_over_nats: "commands-over-nats.md", Nats;
    permissions_keep_roles_apart: "nats-permissions.md", Nats;
    a_store_moves_and_comes_back: "move-and-restore-a-store.md", Nats;
}

/// Pages whose code in Rust is run as a doctest of a crate.
const IN_RUST: &[(&str, &str)] = &[("in-process.md", "crates/analysis/src/lib.rs")];

#[test]
fn every_page_is_run_and_can_be_found() {
    let folder = repository().join("docs/examples");
    let read = |path: &Path| fs::read_to_string(path).expect("it is there");
    let (index, summary) = (read(&folder.join("README.md")), read(&folder.join("../SUMMARY.md")));
    let entries = fs::read_dir(&folder).expect("it is there");
    let names = entries.map(|entry| entry.expect("it can be read").file_name());
    let pages: BTreeSet<String> = names
        .map(|name| name.into_string().expect("names are text"))
        .filter(|name| name != "README.md")
        .collect();
    for page in &pages {
        assert!(index.contains(&format!("]({page})")), "docs/examples/README.md lacks {page}");
        assert!(summary.contains(&format!("](examples/{page})")), "SUMMARY.md lacks {page}");
        let text = read(&folder.join(page));
        if let Some((_, crate_root)) = IN_RUST.iter().find(|(name, _)| name == page) {
            let included = format!("docs/examples/{page}\")]");
            assert!(read(&repository().join(crate_root)).contains(&included), "{page} is not run");
            assert!(text.contains("```rust\n"), "{page} has no code that is run");
            continue;
        }
        let n_commands = parts(&text).iter().map(|part| commands(part).len()).sum::<usize>();
        assert!(n_commands > 2, "{page} has no commands that are run");
    }
    assert!(pages.len() >= 12, "{pages:?}");
    let in_rust = IN_RUST.iter().map(|(page, _)| *page);
    let run = PAGES.iter().copied().chain(in_rust).map(ToOwned::to_owned);
    assert_eq!(pages, run.collect());
}

/// A piece of a page.
enum Part<'p> {
    /// What is only read.
    Text,
    /// A file that the reader writes.
    File { path: &'p str, text: String },
    /// Commands with what they print: where its body is in the page, and the body.
    Console { at: usize, body: &'p str },
}

fn parts(page: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut rest = page;
    while let Some(open) = rest.find("\n```") {
        let before = rest[..open].trim_end();
        let fenced = &rest[open + 4..];
        let (language, body) = fenced.split_once('\n').expect("a fence ends with its line");
        let end = body.find("```").expect("a block ends");
        let name = before.lines().last().unwrap_or_default();
        let file = name.strip_prefix('`').and_then(|name| name.strip_suffix("`:"));
        let at = body.as_ptr() as usize - page.as_ptr() as usize;
        let body_end = &body[..end];
        parts.push(match (language, file) {
            ("console", _) => Part::Console { at, body: body_end },
            (_, Some(path)) => Part::File { path, text: body_end.to_owned() },
            _ => Part::Text,
        });
        rest = &body[end + 3..];
    }
    parts
}

/// The commands of a block, without their prompts.
fn commands(part: &Part<'_>) -> Vec<String> {
    let Part::Console { body, .. } = part else { return Vec::new() };
    let mut commands: Vec<String> = Vec::new();
    for line in body.lines() {
        if let Some(command) = line.strip_prefix("$ ") {
            commands.push(command.to_owned());
        } else if let (Some(more), Some(command)) = (line.strip_prefix("> "), commands.last_mut()) {
            command.push('\n');
            command.push_str(more);
        }
    }
    commands
}

/// A folder to be at home in, with the programs that pages call.
struct Home {
    folder: TempDir,
    /// What is called otherwise on pages: (there, here).
    names: Vec<(&'static str, String)>,
    shell: Option<Child>,
}

impl Drop for Home {
    fn drop(&mut self) {
        let Some(mut shell) = self.shell.take() else { return };
        // What the page left running is in the shell's group.
        let group = format!("-{}", shell.id());
        let _ = Command::new("kill").args(["-TERM", "--", &group]).stderr(Stdio::null()).status();
        std::thread::sleep(Duration::from_millis(200));
        let _ = Command::new("kill").args(["-KILL", "--", &group]).stderr(Stdio::null()).status();
        let _ = shell.wait();
    }
}

/// A port that nobody listens on, outside of those that the system hands out by itself.
fn free_port() -> u16 {
    let random = std::iter::repeat_with(|| fastrand::u16(12_000..30_000));
    let mut free = random.filter(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
    free.next().expect("one of many is free")
}

impl Home {
    /// Errors: a program is missing, which was said aloud.
    fn new(needs: Needs) -> Option<Self> {
        let folder = TempDir::new().expect("a folder");
        let home = folder.path().canonicalize().expect("it is there").join("ann");
        let bin = folder.path().join("bin");
        for folder in [&home, &bin] {
            fs::create_dir(folder).expect("the folder is ours");
        }
        let server = Path::new(env!("CARGO_BIN_EXE_cim-nix-server"));
        let mut programs = vec![
            ("cim-nix-server", server.to_owned()),
            ("cim-nix", server.with_file_name("cim-nix")),
        ];
        if needs == Needs::Nats {
            programs.push(("nats-server", nats_server()?));
            programs.push(("python3", python_with_nats()?));
            let nats = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/nats_program.py");
            let python = format!("exec python3 {nats} \"$@\"\n");
            script(&bin.join("nats"), &python);
        }
        assert!(programs[1].1.is_file(), "`cargo build --package cim-nix-cli` comes first");
        for (name, program) in programs {
            if program.components().count() == 1 {
                // It is on `PATH` under this name.
                continue;
            }
            script(&bin.join(name), &format!("exec '{}' \"$@\"\n", program.display()));
        }
        let wanted = match needs {
            Needs::Nothing | Needs::Nats => &["git", "jq"][..],
            Needs::Curl => &["jq", "curl"],
            Needs::Nix => &["git", "nix", "nix-store"],
        };
        if !wanted.iter().all(|program| is_there(program)) {
            return None;
        }
        for folder in ["examples", "fixtures"] {
            std::os::unix::fs::symlink(repository().join(folder), home.join(folder))
                .expect("the folder is ours");
        }
        fs::write(
            home.join(".gitconfig"),
            "[user]\nname = Ann\nemail = ann@example.org\n[init]\ndefaultBranch = main\n[protocol \"file\"]\nallow = always\n",
        )
        .expect("the folder is ours");
        let store = folder.path().canonicalize().expect("it is there").join("nix/store");
        let mut names = vec![
            ("/home/ann", home.display().to_string()),
            ("/nix/store", store.display().to_string()),
            ("8480", free_port().to_string()),
            ("4222", free_port().to_string()),
        ];
        names.extend(found("nix").map(|nix| ("/usr/bin/nix", nix.display().to_string())));
        Some(Self { folder, names, shell: None })
    }

    fn here(&self, text: &str) -> String {
        self.names.iter().fold(text.to_owned(), |text, (there, here)| text.replace(there, here))
    }

    fn there(&self, text: &str) -> String {
        let names = self.names.iter();
        let text = names.fold(text.to_owned(), |text, (there, here)| text.replace(here, there));
        let lines = text.split('\n').map(|line| match line.trim_start().starts_with("host   ") {
            // An event says on which machine it was caused.
            true => "       host         desk",
            false => line,
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    /// What each command of a page prints.
    fn run(&mut self, parts: &[Part<'_>]) -> Vec<String> {
        let mut session = String::from("exec 2>&1\n");
        for part in parts {
            if let Part::File { path, text } = part {
                session.push_str(&format!("cat > '{path}' <<'END OF FILE'\n{text}END OF FILE\n"));
            }
            for command in commands(part) {
                session.push_str(&format!("{command}\nprintf '{MARK}'\n"));
            }
        }
        let folder = self.folder.path().to_owned();
        fs::write(folder.join("session"), self.here(&session)).expect("the folder is ours");
        let output = folder.join("output");
        let home = folder.canonicalize().expect("it is there").join("ann");
        let mut path = vec![folder.join("bin")];
        path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
        let mut shell = Command::new("sh");
        shell.arg(folder.join("session")).current_dir(&home).process_group(0).env_clear();
        shell.env("PATH", std::env::join_paths(path).expect("no colons")).env("HOME", &home);
        shell.env("USER", "ann").env("LANG", "C.UTF-8").env("TZ", "UTC");
        for (name, value) in self.nix() {
            shell.env(name, value);
        }
        shell.stdin(Stdio::null());
        shell.stdout(fs::File::create(&output).expect("the folder is ours"));
        let child = shell.spawn().expect("there is a shell");
        let child = self.shell.insert(child);
        let deadline = Instant::now() + Duration::from_secs(180);
        while child.try_wait().expect("it is our child").is_none() {
            let said = || fs::read_to_string(&output).unwrap_or_default();
            assert!(Instant::now() < deadline, "the page does not end: {}", said());
            std::thread::sleep(Duration::from_millis(20));
        }
        let said = fs::read(&output).expect("it was made");
        let said = self.there(&String::from_utf8_lossy(&said));
        said.split(MARK).map(ToOwned::to_owned).collect()
    }

    /// A store of its own for real Nix.
    fn nix(&self) -> Vec<(&'static str, PathBuf)> {
        let nix = self.folder.path().join("nix");
        let conf = nix.join("conf");
        fs::create_dir_all(&conf).expect("the folder is ours");
        let settings = "sandbox = false\nbuild-users-group =\nsubstitute = false\nexperimental-features = nix-command flakes\n";
        fs::write(conf.join("nix.conf"), settings).expect("the folder is ours");
        vec![
            ("NIX_STORE_DIR", nix.join("store")),
            ("NIX_STATE_DIR", nix.join("var")),
            ("NIX_LOG_DIR", nix.join("log")),
            ("NIX_CONF_DIR", conf),
        ]
    }
}

fn script(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::write(path, format!("#!/bin/sh\n{text}")).expect("the folder is ours");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("it was just made");
}

fn found(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

fn is_there(program: &str) -> bool {
    let is_there = found(program).is_some();
    let is_ci = std::env::var("CI").is_ok_and(|value| value == "true");
    assert!(is_there || !is_ci, "{program} has to be there in CI");
    if !is_there {
        eprintln!("skipped: there is no {program}");
    }
    is_there
}

fn check(page: &str, needs: Needs) {
    let Some(mut home) = Home::new(needs) else { return };
    let path = repository().join("docs/examples").join(page);
    let text = fs::read_to_string(&path).expect("it is there");
    let parts = parts(&text);
    let mut printed = home.run(&parts).into_iter();
    let mut blocks = Vec::new();
    for part in &parts {
        let Part::Console { at, body } = part else { continue };
        let mut block = String::new();
        for command in commands(part) {
            let command = command.replace('\n', "\n> ");
            let mut out = printed.next().unwrap_or_default();
            if !out.is_empty() && !out.ends_with('\n') {
                out.push('\n');
            }
            block.push_str(&format!("$ {command}\n{out}"));
        }
        blocks.push((*at, *body, block));
    }
    let mut differences = String::new();
    for (_, body, block) in &blocks {
        if settled(body) != settled(block) {
            differences.push_str(&format!("--- {page}\n{body}\n+++ now\n{block}\n"));
        }
    }
    if std::env::var_os("UPDATE_EXPECT").is_some() && !differences.is_empty() {
        // All of them, as ids that blocks share are others now; from the last to the first, so that
        // places stay right.
        let mut now = text.clone();
        for (at, body, block) in blocks.into_iter().rev() {
            now.replace_range(at..at + body.len(), &block);
        }
        fs::write(path, now).expect("the repository is ours");
        return;
    }
    assert!(
        differences.is_empty(),
        "run this test with UPDATE_EXPECT=1 and read the difference\n{differences}"
    );
}

/// The text without what differs from run to run: ids, hashes, times.
fn settled(text: &str) -> String {
    let mut settled = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let is_part = |it: &char| it.is_ascii_alphanumeric() || matches!(it, '-' | ':' | '.' | '_');
        let token: String = rest.chars().take_while(is_part).collect();
        if token.is_empty() {
            settled.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        }
        rest = &rest[token.len()..];
        settled.push_str(&mask(&token));
    }
    settled
}

fn mask(token: &str) -> String {
    let bare = token.trim_end_matches(['.', ':']);
    let is_hex = |text: &str| text.bytes().all(|it| it.is_ascii_hexdigit());
    let tail = |length: usize| bare.len().checked_sub(length).map(|at| bare.split_at(at));
    if let Some((head, uuid)) = tail(36)
        && uuid.matches('-').count() == 4
        && is_hex(&uuid.replace('-', ""))
    {
        return format!("{head}UUID");
    }
    // A store path of a store that is another one each time.
    if let Some((hash, name)) = bare.split_once('-')
        && hash.len() == 32
        && hash.bytes().all(|it| it.is_ascii_digit() || it.is_ascii_lowercase())
    {
        return format!("HASH-{name}");
    }
    for length in [64, 40, 32, 24] {
        if let Some((head, digest)) = tail(length)
            && is_hex(digest)
            && head.is_empty()
        {
            return "DIGEST".to_owned();
        }
    }
    if bare.starts_with("cimnix_") && bare.len() > 60 {
        return "TOKEN".to_owned();
    }
    if bare.len() == 10 && bare.bytes().all(|it| it.is_ascii_digit()) {
        return "SECONDS".to_owned();
    }
    let shape: String = bare.chars().map(|it| if it.is_ascii_digit() { '0' } else { it }).collect();
    match () {
        () if shape.starts_with("0000-00-00T00:00:00") => "TIME".to_owned(),
        () if shape == "0000-00-00" => "DAY".to_owned(),
        () if shape == "00:00:00" => "HOUR".to_owned(),
        () => token.to_owned(),
    }
}
