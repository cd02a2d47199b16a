//! The page about flakes shows what really happens.

use super::*;

const PAGE: &str = include_str!("../../../../../docs/flakes.md");

#[test]
fn the_page_shows_what_happens() {
    let new = NewInput {
        follows: vec![follows("nixpkgs", "nixpkgs")],
        ..NewInput::of_url("stylix", "github:danth/stylix")
    };
    let renaming = Request::RenameInput {
        old: "nixpkgs".to_owned(),
        new: "stable".to_owned(),
        even_if_handed_on: false,
    };
    let section = PAGE.split("\n## ").find(|section| section.starts_with("Editing")).unwrap();
    let blocks = section.split("```nix\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let blocks: Vec<&str> = blocks.collect();
    let requests = [Request::AddInput(new), renaming];
    assert_eq!(blocks.len(), requests.len() + 1);
    for (pair, request) in blocks.windows(2).zip(&requests) {
        assert_eq!(outcome(pair[0], request), pair[1]);
    }
}
