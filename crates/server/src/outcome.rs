//! What came of a command, as `send` shows it to people.

use cim_domain_nix::{Event, LockChange};

/// What somebody wants who sent the command, and would hand on to another program: a value, or store
/// paths. Most events have nothing like it.
pub(crate) fn product(event: &Event) -> Vec<&str> {
    let paths: Vec<&str> = match event {
        Event::ExpressionEvaluated(it) if !it.is_error => return vec![&it.result],
        Event::PackageBuilt(it) => {
            let others = it.outputs.values().map(|output| &*output.path);
            let others = others.filter(|path| *path != it.output_path);
            [&*it.output_path].into_iter().chain(others).collect()
        }
        Event::PackageCached(it) => vec![&it.output_path],
        Event::ConfigurationActivated(it) => vec![&it.store_path],
        Event::ConfigurationRolledBack(it) => vec![&it.store_path],
        _ => Vec::new(),
    };
    // Those of the first versions did not say which it was.
    paths.into_iter().filter(|path| !path.is_empty()).collect()
}

/// What else there is to say of an event than its name, a line each.
pub(crate) fn details(event: &Event) -> Vec<String> {
    let locks = |locks: &[LockChange]| locks.iter().map(lock).collect();
    match event {
        Event::FlakeUpdated(it) => locks(&it.locks),
        Event::FlakeInputAdded(it) => locks(&it.locks),
        Event::FlakeInputRemoved(it) => locks(&it.locks),
        Event::PackageCached(it) => {
            let way = if it.is_download { "from" } else { "to" };
            vec![format!(
                "{way} {}: {}, {} bytes",
                it.cache,
                count(it.paths, "store path"),
                it.bytes
            )]
        }
        Event::ConfigurationActivated(it) => {
            vec![format!("generation {} ({})", it.generation, it.activation_type.word())]
        }
        Event::ConfigurationRolledBack(it) => vec![format!("generation {}", it.generation)],
        Event::ProjectChecked(it) => {
            let found = &it.findings;
            let found =
                [(found.errors, "error"), (found.warnings, "warning"), (found.infos, "info")];
            let found = found.map(|(n, thing)| count(n, thing)).join(", ");
            vec![format!("{}: {found}", count(it.files, "file"))]
        }
        Event::ProjectFixed(it) => {
            it.fixes.iter().map(|(rule, n)| format!("{rule}: {}", count(*n, "fix"))).collect()
        }
        Event::GarbageCollected(it) => {
            let n = u64::try_from(it.removed_paths.len()).unwrap_or(u64::MAX);
            vec![format!("{} removed, {} bytes freed", count(n, "store path"), it.freed_bytes)]
        }
        Event::PackageBuildFailed(it) => {
            it.log_tail.lines().map(|line| format!("| {line}")).collect()
        }
        _ => Vec::new(),
    }
}

fn lock(change: &LockChange) -> String {
    let (before, after) = (change.before.as_deref(), change.after.as_deref());
    format!("{}: {} -> {}", change.input, before.unwrap_or("new"), after.unwrap_or("gone"))
}

fn count(n: u64, thing: &str) -> String {
    match (n, thing) {
        (1, _) => format!("1 {thing}"),
        (_, "fix") => format!("{n} fixes"),
        _ => format!("{n} {thing}s"),
    }
}
