//! Tests that ask a real Nix, where `CIM_NIX_ORACLE` names its `nix-instantiate`. Elsewhere they
//! pass without a comparison, and `corpus` compares with recorded answers.

use fastrand::Rng;

use crate::generate::{Style, generate};
use crate::mutate::mutate;
use crate::{Nix, Ours, compare};

/// The Nix to ask; it must know the language of today.
fn judge() -> Option<Nix> {
    let Some(program) = std::env::var_os("CIM_NIX_ORACLE") else {
        eprintln!("skipped: CIM_NIX_ORACLE does not name a `nix-instantiate`");
        return None;
    };
    let nix = Nix::new(program).jobs(2);
    let version = nix.version().unwrap();
    if !version.contains("2.34") {
        eprintln!("skipped: CIM_NIX_ORACLE is `{version}`, the language here is that of 2.34");
        return None;
    }
    Some(nix)
}

fn assert_agreement(nix: &Nix, texts: &[Vec<u8>]) {
    let verdicts = nix.judge_texts(texts).unwrap();
    let wrong = texts.iter().zip(&verdicts).filter_map(|(text, verdict)| {
        let ours = Ours::judge(text);
        let words = compare(verdict, &ours, text).err()?.words();
        let text = crate::verdicts::escape(text);
        Some(format!("{words}: {text}\n  Nix: {verdict}\n  we:  {}", ours.summary()))
    });
    let wrong: Vec<String> = wrong.collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn mutated_programs_are_judged_alike() {
    let Some(nix) = judge() else { return };
    let mut rng = Rng::with_seed(2);
    let style = Style { size: 30, unbound_percent: 0 };
    let texts: Vec<Vec<u8>> = (0..250)
        .filter_map(|_| mutate(&generate(&mut rng, style).text, &mut rng))
        .map(|mutation| mutation.text)
        .collect();
    assert_agreement(&nix, &texts);
}

#[test]
fn unbound_names_are_found_alike() {
    let Some(nix) = judge() else { return };
    let mut rng = Rng::with_seed(3);
    let style = Style { size: 30, unbound_percent: 30 };
    let texts: Vec<Vec<u8>> =
        (0..120).map(|_| generate(&mut rng, style).text.into_bytes()).collect();
    assert_agreement(&nix, &texts);
}

#[test]
fn a_file_and_a_batch_get_the_same_verdicts() {
    let Some(nix) = judge() else { return };
    let texts = ["1", "x", "(", "{ a = 1; a = 2; }", "{ }", "[ y ]", "2"];
    let together = nix.judge_texts(&texts).unwrap();
    let alone: Vec<_> = texts.iter().map(|text| nix.judge_text(text).unwrap()).collect();
    assert_eq!(together, alone);
    let n_ok = together.iter().filter(|verdict| verdict.is_ok()).count();
    assert_eq!(n_ok, 3);
}
