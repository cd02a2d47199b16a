//! `docs/building.md` shows what is really run.
//!
//! Run with `UPDATE_EXPECT=1` to write the plans into the page.

use std::fmt::Write as _;
use std::os::unix::fs::symlink;

use cim_nix_builder::{
    Activation, Build, Collect, Copy, Environment, Invocation, Marker, Nix, Old, Outputs, Profile,
    Programs, Settings, Source, Step, Target, Tool,
};

/// All programs by their names alone: nothing of it is run.
fn nix() -> Nix {
    let environment = Environment::empty();
    let found = Programs::find(&environment);
    let programs = Tool::ALL.iter().fold(found, |found, &tool| found.with(tool, tool.name()));
    Nix::new(programs, Settings::new("/project", environment))
}

fn write(text: &mut String, title: &str, plan: &[Invocation]) {
    writeln!(text, "{title}").unwrap();
    plan.iter().for_each(|invocation| writeln!(text, "  {invocation}").unwrap());
}

/// An activation of a system that is only a folder, in a folder of its own.
fn activation(nix: &Nix) -> String {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::create_dir_all(at("store/hash-nixos/bin")).unwrap();
    std::fs::write(at("store/hash-nixos/bin/switch-to-configuration"), "").unwrap();
    std::fs::create_dir(at("store/hash-former")).unwrap();
    symlink(at("store/hash-former"), at("system-1-link")).unwrap();
    symlink("system-1-link", at("system")).unwrap();
    let profile = Profile::open(at("system")).unwrap();
    let marker = Marker::Own(at("activated"));
    let target = Target::Closure(at("store/hash-nixos"));
    let request = Activation { marker, ..Activation::new(profile, target) };
    let plan = nix.plan_activation(&request).unwrap();
    assert_eq!(plan.former.unwrap().number, 1);
    let mut text = String::new();
    for step in plan.steps {
        match step {
            Step::Switch(invocation) | Step::Activate(invocation) => {
                writeln!(text, "  {invocation}").unwrap();
            }
            Step::Mark { link, to } => {
                writeln!(text, "  ({} becomes a link to {})", link.display(), to.display())
                    .unwrap();
            }
        }
    }
    let root = folder.path().to_string_lossy().into_owned();
    text.replace(&format!("{root}/store"), "/nix/store").replace(&root, "/nix/var/nix/profiles")
}

fn plans() -> String {
    let nix = nix();
    let mut text = String::new();
    let (reference, attribute) = (".".to_owned(), Some("hello".to_owned()));
    let flake = Build::new(Source::Flake { reference, attribute });
    write(&mut text, "build hello of the flake", &nix.plan_build(&flake).unwrap());
    let attribute = Some("hello".to_owned());
    let file = Build {
        outputs: Outputs::Named(vec!["out".to_owned(), "dev".to_owned()]),
        out_link: Some("result".into()),
        ..Build::new(Source::File { file: "release.nix".into(), attribute })
    };
    let title = "build two outputs of hello in release.nix, with a link";
    write(&mut text, title, &nix.plan_build(&file).unwrap());
    let path = || vec!["/nix/store/hash-hello".to_owned()];
    let there = nix.plan_copy(&Copy::to(path(), "file:///var/cache/nix")).unwrap();
    write(&mut text, "copy to a cache", &[there]);
    let back = nix.plan_copy(&Copy::from(path(), "file:///var/cache/nix")).unwrap();
    write(&mut text, "copy from a cache", &[back]);
    let collect = |old| nix.plan_collect(&Collect { old, time_limit: None }).unwrap();
    write(&mut text, "collect garbage", &[collect(Old::Keep)]);
    let old = Old::OlderThan { days: 30 };
    write(&mut text, "and generations of more than 30 days before", &[collect(old)]);
    writeln!(text, "activate a NixOS system").unwrap();
    text + &activation(&nix)
}

#[test]
fn the_page_shows_what_is_run() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/building.md");
    let page = std::fs::read_to_string(file).unwrap();
    let (before, rest) = page.split_once("```text\n").unwrap();
    let (shown, after) = rest.split_once("```").unwrap();
    let plans = plans();
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(file, format!("{before}```text\n{plans}```{after}")).unwrap();
        return;
    }
    assert_eq!(shown, plans, "run this test with UPDATE_EXPECT=1 and read the difference");
}
