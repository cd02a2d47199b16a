//! Lock files, ours beside Nix's.

use std::path::{Path, PathBuf};

use cim_nix_base::Error;
use cim_nix_oracle::locks::{Played, Players, play, random_scene};
use fastrand::Rng;

use super::Report;
use super::files;
use crate::args::Args;

/// Plays the scenes of a folder, or random ones.
pub(super) fn run(args: &Args) -> Result<Report, Error> {
    let players = Players {
        ours: args.path("ours")?,
        nix: args.text("nix").map(PathBuf::from),
        old_nix: args.text("old-nix").map(PathBuf::from),
    };
    let mut report = Report { text: String::new(), agrees: true };
    let (mut n_scenes, mut n_compared, mut n_read) = (0, 0, 0);
    let mut tell = |name: &str, played: &Played| {
        n_scenes += 1;
        n_compared += played.n_compared;
        n_read += played.n_read;
        for difference in &played.differences {
            report.agrees = false;
            report.text.push_str(&format!("{name}: {difference}\n"));
        }
    };
    match args.text("scenes") {
        Some(folder) => {
            for path in scenes(Path::new(folder))? {
                let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                let played = play_text(&String::from_utf8_lossy(&files::read(&path)?), &players)
                    .map_err(|error| {
                        Error::new(error.kind(), format!("{name}: {}", error.chain()))
                    })?;
                if args.text("record") == Some("yes") {
                    files::write(&path.with_extension("locks"), played.record.as_bytes())?;
                }
                tell(&name, &played);
            }
        }
        None => {
            let seed = args.number("seed", 1)?;
            for seed in seed..seed + args.number("count", 30)? {
                let scene = random_scene(&mut Rng::with_seed(seed));
                let played = play_text(&scene, &players).map_err(|error| {
                    Error::new(error.kind(), format!("seed {seed}: {}\n{scene}", error.chain()))
                })?;
                if !played.differences.is_empty() {
                    tell(&format!("seed {seed}\n{scene}"), &played);
                } else {
                    tell("", &played);
                }
            }
        }
    }
    report.text.push_str(&format!(
        "{n_scenes} scenes: {n_compared} lock files compared, {n_read} times read by others\n"
    ));
    Ok(report)
}

fn play_text(text: &str, players: &Players) -> Result<Played, Error> {
    let failed = |error: std::io::Error| Error::outside("cannot make a folder").because(error);
    let folder = tempfile::tempdir().map_err(failed)?;
    play(text, players, &folder.path().canonicalize().map_err(failed)?)
}

fn scenes(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let failed = |error: std::io::Error| {
        Error::user(format!("cannot list `{}`", folder.display())).because(error)
    };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|ending| ending == "scene") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}
