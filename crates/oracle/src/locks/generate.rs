//! Random scenes.

use std::fmt::Write as _;

use fastrand::Rng;

/// Where a flake is found.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Path,
    Git,
    Tarball,
}

/// A flake that others may have as an input.
struct Flake {
    name: String,
    kind: Kind,
    /// Its inputs: what they are called, and which flake they are.
    inputs: Vec<(String, usize)>,
}

impl Flake {
    /// How another flake may ask for it.
    fn url(&self, rng: &mut Rng) -> String {
        let name = &self.name;
        match (self.kind, rng.usize(..4)) {
            (_, 0) => name.clone(),
            (Kind::Path, _) => format!("path:[dir]/{name}"),
            (Kind::Git, 1) => format!("git+file://[dir]/{name}?ref=main"),
            (Kind::Git, _) => format!("git+file://[dir]/{name}"),
            (Kind::Tarball, _) => format!("[server]/{name}.tar.gz"),
        }
    }

    /// The steps behind a change of its files.
    fn published(&self) -> String {
        let name = &self.name;
        match self.kind {
            Kind::Path => String::new(),
            Kind::Git => format!("-- commit {name}\n"),
            Kind::Tarball => format!("-- tar {name} {name}.tar.gz\n"),
        }
    }

    fn target(&self) -> String {
        let name = &self.name;
        match self.kind {
            Kind::Path => format!(r#"{{"type":"path","path":"[dir]/{name}"}}"#),
            Kind::Git => format!(r#"{{"type":"git","url":"file://[dir]/{name}"}}"#),
            Kind::Tarball => format!(r#"{{"type":"tarball","url":"[server]/{name}.tar.gz"}}"#),
        }
    }
}

/// The text of a scene with random flakes that have each other as inputs.
#[must_use]
pub fn scene(rng: &mut Rng) -> String {
    let mut flakes: Vec<Flake> = Vec::new();
    let mut text = String::new();
    for number in 0..rng.usize(2..6) {
        let kind = [Kind::Path, Kind::Git, Kind::Git, Kind::Tarball][rng.usize(..4)];
        let inputs = chosen(&flakes, rng);
        let flake = Flake { name: format!("f{number}"), kind, inputs };
        let name = &flake.name;
        let _ = writeln!(text, "-- name {name} {}", flake.target());
        push_flake(&mut text, name, &flake.inputs, &flakes, rng);
        text.push_str(&flake.published());
        // Some have a lock file of their own.
        if rng.bool() {
            let _ = write!(text, "-- at {name}\n-- lock\n{}", flake.published());
        }
        flakes.push(flake);
    }
    text.push_str("-- at root\n");
    let is_git = rng.bool();
    for round in 0..rng.usize(2..5) {
        let inputs = chosen(&flakes, rng);
        push_flake(&mut text, "root", &inputs, &flakes, rng);
        if is_git && (round == 0 || rng.bool()) {
            text.push_str("-- commit root\n");
        }
        text.push_str("-- lock\n");
        for _ in 0..rng.usize(..3) {
            let changed = rng.usize(..flakes.len());
            let flake = &flakes[changed];
            let _ = write!(
                text,
                "-- file {}/more{}\n{}\n{}",
                flake.name,
                rng.u8(..4),
                rng.u32(..),
                flake.published()
            );
            let update = match rng.usize(..4) {
                0 => String::new(),
                _ => path(&inputs, &flakes, rng).join("/"),
            };
            match rng.usize(..4) {
                0 => text.push_str("-- lock\n"),
                1 if !update.is_empty() => {
                    let by = &flakes[rng.usize(..flakes.len())].name;
                    let _ = writeln!(text, "-- lock --override-input {update} {by}");
                }
                _ => {
                    let _ = writeln!(text, "-- update {update}");
                }
            }
        }
    }
    text.push_str("-- eval names\n");
    text
}

/// Some flakes as inputs; names may repeat those of others.
fn chosen(flakes: &[Flake], rng: &mut Rng) -> Vec<(String, usize)> {
    let mut inputs: Vec<(String, usize)> = Vec::new();
    for (at, flake) in flakes.iter().enumerate() {
        if rng.usize(..3) == 0 {
            continue;
        }
        let name = match rng.usize(..4) {
            0 => format!("x{}", rng.u8(..3)),
            _ => flake.name.clone(),
        };
        if inputs.iter().all(|(known, _)| *known != name) {
            inputs.push((name, at));
        }
    }
    inputs
}

/// A path of inputs that leads somewhere, most of the time.
fn path(inputs: &[(String, usize)], flakes: &[Flake], rng: &mut Rng) -> Vec<String> {
    let mut path = Vec::new();
    let mut at = inputs;
    while !at.is_empty() && (path.is_empty() || rng.bool()) {
        let (name, flake) = &at[rng.usize(..at.len())];
        path.push(name.clone());
        at = &flakes[*flake].inputs;
    }
    if rng.usize(..30) == 0 {
        path.push("nowhere".to_owned());
    }
    path
}

fn push_flake(
    text: &mut String,
    folder: &str,
    inputs: &[(String, usize)],
    flakes: &[Flake],
    rng: &mut Rng,
) {
    let _ = writeln!(text, "-- file {folder}/flake.nix\n{{");
    for (name, flake) in inputs {
        let (flake, is_flake) = (&flakes[*flake], rng.usize(..8) > 0);
        match rng.usize(..12) {
            // An input that is the same as another one, or as one of another one.
            0 => {
                let target = path(inputs, flakes, rng).join("/");
                let _ = writeln!(text, "  inputs.{name}.follows = \"{target}\";");
            }
            // Names alone are enough, if the function takes them.
            1 if *name == flake.name => {}
            _ => {
                let _ = writeln!(text, "  inputs.{name}.url = \"{}\";", flake.url(rng));
                if !is_flake {
                    let _ = writeln!(text, "  inputs.{name}.flake = false;");
                }
            }
        }
        for (inner, _) in &flake.inputs {
            let deeper = &flakes
                [flake.inputs.iter().find(|(known, _)| known == inner).map_or(0, |found| found.1)];
            match rng.usize(..8) {
                0 | 1 => {
                    let target = path(inputs, flakes, rng).join("/");
                    let _ =
                        writeln!(text, "  inputs.{name}.inputs.{inner}.follows = \"{target}\";");
                }
                2 => {
                    let by = &flakes[rng.usize(..flakes.len())];
                    let _ =
                        writeln!(text, "  inputs.{name}.inputs.{inner}.url = \"{}\";", by.url(rng));
                }
                3 if !deeper.inputs.is_empty() => {
                    let (last, _) = &deeper.inputs[rng.usize(..deeper.inputs.len())];
                    let target = path(inputs, flakes, rng).join("/");
                    let _ = writeln!(
                        text,
                        "  inputs.{name}.inputs.{inner}.inputs.{last}.follows = \"{target}\";"
                    );
                }
                _ => {}
            }
        }
    }
    let names: Vec<&str> = inputs.iter().map(|(name, _)| name.as_str()).collect();
    let more = if names.is_empty() { "" } else { ", " };
    let _ = writeln!(
        text,
        "  outputs = inputs@{{ self{more}{} , ... }}: {{ names = builtins.mapAttrs (_: i: i.narHash or \"\") (removeAttrs inputs [ \"self\" ]); }};\n}}",
        names.join(", ")
    );
}
