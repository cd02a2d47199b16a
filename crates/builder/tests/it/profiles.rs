//! Profiles: generations that are made, listed, switched and deleted.

use std::path::Path;

use cim_nix_builder::Profile;

use crate::store::Store;

fn numbers(profile: &Profile) -> Vec<(u64, bool)> {
    let generations = profile.generations().unwrap();
    generations.iter().map(|generation| (generation.number, generation.is_current)).collect()
}

#[test]
fn generations_come_and_go() {
    let Some(store) = Store::new() else { return };
    let path = |attribute: &str| store.built(attribute)[0].path.clone();
    let (ok, uses) = (path("ok"), path("uses"));
    let profile = Profile::open(store.at("-profile")).unwrap();
    let first = store.nix.set_profile(&profile, Path::new(&ok)).unwrap();
    assert_eq!((first.number, first.target.as_path()), (1, Path::new(&ok)));
    assert!(first.created.is_some());
    // The same once more is the same generation.
    assert_eq!(store.nix.set_profile(&profile, Path::new(&ok)).unwrap().number, 1);
    let second = store.nix.set_profile(&profile, Path::new(&uses)).unwrap();
    assert_eq!(second.number, 2);
    assert_eq!(numbers(&profile), [(1, false), (2, true)]);
    assert_eq!(profile.previous().unwrap().number, 1);

    let back = store.nix.switch_generation(&profile, 1).unwrap();
    assert_eq!(back.target, Path::new(&ok));
    assert_eq!(numbers(&profile), [(1, true), (2, false)]);
    let error = profile.previous().unwrap_err();
    assert!(error.to_string().ends_with("has no generation before 1"), "{error}");

    let error = store.nix.delete_generations(&profile, &[1]).unwrap_err();
    assert!(error.to_string().contains("cannot be deleted"), "{error}");
    store.nix.delete_generations(&profile, &[2]).unwrap();
    assert_eq!(numbers(&profile), [(1, true)]);
    let error = store.nix.switch_generation(&profile, 2).unwrap_err();
    assert_eq!(error.hints(), ["it has 1"]);
}

#[test]
fn what_is_not_in_the_store_is_no_generation() {
    let Some(store) = Store::new() else { return };
    let profile = Profile::open(store.at("p")).unwrap();
    let path = store.at("s/store/00000000000000000000000000000000-nothing");
    let error = store.nix.set_profile(&profile, &path).unwrap_err();
    let message = store.plain(&error.to_string());
    assert!(
        message.starts_with("cannot set the profile `[tmp]/p` to `[tmp]/s/store/"),
        "{message}"
    );
    assert_eq!(profile.generations().unwrap(), []);
}
