//! Our evaluator against recorded answers of Nix 2.34.8, and against a Nix where one is at hand.

use std::path::PathBuf;
use std::process::Command;

use fastrand::Rng;

use super::{
    Answer, Generator, Judge, Outcome, Verdict, compare, old_agrees, old_answers, ours, prepare,
    read_lines, write,
};

/// Recorded by `cargo xtask fuzz-eval --record fixtures/evaluation/answers.tsv --old-nix …`.
const RECORDED: &str = include_str!("../../../../fixtures/evaluation/answers.tsv");

fn assert_agreement(texts: &[String], nix: &[Answer], own: &[Answer]) {
    let wrong = texts.iter().zip(nix.iter().zip(own)).filter_map(|(text, (nix, own))| {
        let differs = compare(text, nix, own) == Verdict::Different;
        differs.then(|| format!("{text}\n  Nix: {nix}\n  we:  {own}"))
    });
    let wrong: Vec<String> = wrong.collect();
    assert!(wrong.is_empty(), "{} differ\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn recorded_answers_are_ours() {
    prepare().unwrap();
    let recorded = read_lines(RECORDED).unwrap();
    assert!(recorded.len() >= 3000);
    let texts: Vec<String> = recorded.iter().map(|line| line.text.clone()).collect();
    let slots = write(0, &texts).unwrap();
    let own = ours::answers(&slots).unwrap();
    let nix: Vec<Answer> = recorded.into_iter().map(|line| line.answer).collect();
    assert_agreement(&texts, &nix, &own);
}

/// A Nix 2.8.0: what `CIM_NIX_OLD_ORACLE` names, or the one that is installed.
fn old_nix() -> Option<PathBuf> {
    let named = std::env::var_os("CIM_NIX_OLD_ORACLE").map(PathBuf::from);
    let program = named.unwrap_or_else(|| "nix-instantiate".into());
    let output = Command::new(&program).arg("--version").output().ok()?;
    String::from_utf8_lossy(&output.stdout).trim().ends_with(" 2.8.0").then_some(program)
}

#[test]
fn an_old_nix_agrees_where_it_did() {
    let Some(nix) = old_nix() else {
        let is_ci = std::env::var_os("CI").is_some_and(|value| value == "true");
        assert!(!is_ci, "there is no Nix 2.8.0: install Debian 12's nix-bin");
        eprintln!("skipped: neither CIM_NIX_OLD_ORACLE nor PATH has a Nix 2.8.0");
        return;
    };
    prepare().unwrap();
    let recorded = read_lines(RECORDED).unwrap();
    let texts: Vec<String> = recorded.iter().map(|line| line.text.clone()).collect();
    let slots = write(0, &texts).unwrap();
    let marked: Vec<usize> = (0..texts.len())
        .filter(|&at| recorded[at].old_agrees)
        // A process for each failure takes its time; values come many at once.
        .filter(|&at| matches!(recorded[at].answer.outcome, Outcome::Value(_)) || at % 8 == 0)
        .collect();
    assert!(marked.len() > 1000, "{}", marked.len());
    let slots: Vec<usize> = marked.iter().map(|&at| slots[at]).collect();
    let old = old_answers(&nix, &slots).unwrap();
    let own = ours::answers(&slots).unwrap();
    let wrong = marked.iter().zip(old.iter().zip(&own)).filter_map(|(&at, (old, own))| {
        let differs = !old_agrees(own, old);
        differs.then(|| format!("{}\n  Nix: {old:?}\n  we:  {own}", texts[at]))
    });
    let wrong: Vec<String> = wrong.collect();
    assert!(wrong.is_empty(), "{} differ\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn random_expressions_are_worth_the_same() {
    let Some(program) = std::env::var_os("CIM_NIX_ORACLE") else {
        eprintln!("skipped: CIM_NIX_ORACLE does not name a `nix-instantiate`");
        return;
    };
    prepare().unwrap();
    let mut judge = Judge::new(program.into()).unwrap();
    let generator = Generator::new().unwrap();
    let mut rng = Rng::with_seed(100);
    let texts: Vec<String> = (0..400).map(|_| generator.expression(&mut rng)).collect();
    // Other tests write to the first slots.
    let slots = write(100_000, &texts).unwrap();
    let own = ours::answers(&slots).unwrap();
    let mut nix = judge.answers(&slots).unwrap();
    for (at, answer) in nix.iter_mut().enumerate() {
        if compare(&texts[at], answer, &own[at]) == Verdict::Different {
            *answer = judge.answer_alone(slots[at]).unwrap();
        }
    }
    assert_agreement(&texts, &nix, &own);
}

#[test]
fn a_seed_always_gives_the_same() {
    let generator = Generator::new().unwrap();
    let run = |seed| {
        let mut rng = Rng::with_seed(seed);
        (0..50).map(|_| generator.expression(&mut rng)).collect::<Vec<_>>()
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}
