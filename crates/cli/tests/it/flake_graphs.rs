//! Random graphs of flakes: the lock file is that of Nix, and one that was just made needs no change
//! but in odd cases, which are as odd in Nix.

use fastrand::Rng;

use crate::judge::Scene;

const NAMES: [&str; 3] = ["a", "b", "c"];

/// What one input of a flake says. Flakes refer to those behind them only, so nothing is circular.
fn input(rng: &mut Rng, flake: usize, count: usize, depth: usize) -> String {
    let mut parts = Vec::new();
    match rng.u8(..10) {
        0..=4 if flake + 1 < count => {
            let target = rng.usize(flake + 1..count);
            parts.push(format!("url = \"path:[project]/f{target}\";"));
            if rng.u8(..5) == 0 {
                parts.push("flake = false;".to_owned());
            }
        }
        0..=5 => parts.push("url = \"path:./sub\";".to_owned()),
        6 => parts
            .push(format!("url = ./sub; inputs.{}.follows = \"\";", rng.choice(NAMES).unwrap())),
        _ => {
            let path: Vec<&str> =
                (0..rng.usize(1..3)).map(|_| rng.choice(NAMES).unwrap()).collect();
            parts.push(format!("follows = \"{}\";", path.join("/")));
        }
    }
    if depth < 2 && rng.bool() && !parts[0].contains("inputs.") {
        parts.push(format!("inputs = {{ {} }};", inputs(rng, flake, count, depth + 1)));
    }
    parts.join(" ")
}

fn inputs(rng: &mut Rng, flake: usize, count: usize, depth: usize) -> String {
    let mut text = String::new();
    for name in NAMES {
        if rng.bool() {
            text.push_str(&format!("{name} = {{ {} }}; ", input(rng, flake, count, depth)));
        }
    }
    text
}

fn write_flake(rng: &mut Rng, scene: &Scene, flake: usize, count: usize) {
    let declared = inputs(rng, flake, count, 0);
    scene.write(
        &format!("f{flake}/flake.nix"),
        &format!("{{ inputs = {{ {declared}}}; outputs = {{ self, ... }}: {{ }}; }}"),
    );
    scene.write(&format!("f{flake}/sub/flake.nix"), "{ outputs = _: { }; }");
}

#[test]
fn random_graphs_are_locked_as_nix_locks_them() {
    let (mut locked, mut repeated, mut stable) = (0, 0, 0);
    for seed in 0..60 {
        let rng = &mut Rng::with_seed(seed);
        let scene = Scene::new("");
        let count = rng.usize(2..5);
        for flake in 0..count {
            write_flake(rng, &scene, flake, count);
        }
        for _ in 0..2 {
            let mut line = "flake metadata --json --no-write-lock-file ./f0".to_owned();
            if rng.u8(..4) == 0 {
                let target = rng.usize(1..count);
                let (one, two) = (rng.choice(NAMES).unwrap(), rng.choice(NAMES).unwrap());
                line.push_str(&format!(" --override-input {one}/{two} path:./f{target}"));
            }
            let (out, _) = scene.judged("", &line);
            // Inputs that follow what is not there are an error, here and in Nix.
            if out.is_empty() {
                continue;
            }
            locked += 1;
            if !line.contains("override") {
                scene.write_lock("f0");
                let line = "flake metadata --json --no-update-lock-file ./f0";
                repeated += 1;
                stable += usize::from(!scene.judged("", line).0.is_empty());
            }
            let changed = rng.usize(..count);
            write_flake(rng, &scene, changed, count);
        }
    }
    assert!(locked > 40, "only {locked} of the graphs were fine");
    assert!(stable * 10 > repeated * 9, "only {stable} of {repeated} lock files were current");
}
