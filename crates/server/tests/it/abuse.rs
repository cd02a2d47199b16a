//! What nobody should do to the service, done to the program as people run it, over both carriers:
//! each row of the tables is refused, tells nothing, changes nothing, and holds up nobody.

mod bombs;
mod connections;
mod http2;
mod messages;
mod paths;
mod proxies;
mod strangers;
mod subjects;
mod world;

use crate::abuse::world::{Got, World};

/// Something that somebody tries.
struct Row {
    /// Its name, by which docs/security.md knows it.
    name: &'static str,
    /// What it is refused with; `success` or 200 where it does no harm.
    expect: &'static [&'static str],
    /// Whether it leaves events of the attacker's own tenant.
    records: bool,
    /// Whether the other tenant did something meanwhile.
    has_victim: bool,
    send: Box<dyn Fn(&World) -> Got>,
}

impl Row {
    fn new(
        name: &'static str,
        expect: &'static [&'static str],
        send: impl Fn(&World) -> Got + 'static,
    ) -> Self {
        Self { name, expect, records: false, has_victim: false, send: Box::new(send) }
    }

    /// The same, for what is written down.
    fn recorded(self) -> Self {
        Self { records: true, ..self }
    }

    /// The same, where the other tenant does something as well.
    fn victim(self) -> Self {
        Self { has_victim: true, ..self.recorded() }
    }
}

/// Tries all rows, one after the other.
fn attack(world: &World, rows: Vec<Row>) {
    let mut others = Vec::new();
    for row in rows {
        let mut before = world.state();
        let got = (row.send)(world);
        if !row.expect.contains(&&*got.kind) {
            let shown: String = got.text.chars().take(2_000).collect();
            eprintln!("{} is {}", row.name, got.kind);
            others.push(format!("{} is {}, not {:?}: {shown}", row.name, got.kind, row.expect));
        }
        if row.has_victim {
            before.accept_victim(world);
        }
        world.check(row.name, &before, row.records, &got);
    }
    assert!(others.is_empty(), "{}\n{}", others.join("\n"), world.scene.log());
}

#[test]
fn the_page_of_threats_names_tests_that_exist() {
    let page = include_str!("../../../../docs/security.md");
    let table = page.split("## Threats").nth(1).and_then(|rest| rest.split("\n## ").next());
    let rows = table.expect("there is one").lines().filter(|line| line.starts_with('|')).skip(2);
    let own: Vec<&str> = [
        strangers::rows(),
        messages::rows(),
        paths::rows(),
        bombs::rows(),
        connections::rows(),
        proxies::rows(),
        subjects::rows(),
    ]
    .iter()
    .flatten()
    .map(|row| row.name)
    .chain(http2::ROWS)
    .collect();
    let mut n_named = 0;
    for row in rows {
        let shown = row.rsplit('|').nth(1).expect("three columns");
        let named: Vec<&str> = shown.split('`').skip(1).step_by(2).collect();
        assert!(!named.is_empty(), "nothing shows {row}");
        for name in named {
            n_named += 1;
            match name.split_once(": ") {
                Some((package, test)) => {
                    let folder = format!("{}/../{package}", env!("CARGO_MANIFEST_DIR"));
                    assert!(has_test(folder.as_ref(), test), "there is no {name}");
                }
                None => assert!(own.contains(&name), "there is no row `{name}`"),
            }
        }
    }
    assert!(n_named > 50, "{n_named}");
    // And each row is of some threat of the page.
    for name in own {
        assert!(page.contains(&format!("`{name}`")), "the page knows nothing of `{name}`");
    }
}

/// Whether a function of this name is below a folder.
fn has_test(folder: &std::path::Path, name: &str) -> bool {
    std::fs::read_dir(folder).expect("a package").flatten().any(|entry| {
        let path = entry.path();
        if path.is_dir() {
            return has_test(&path, name);
        }
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        text.contains(&format!("fn {name}("))
    })
}
