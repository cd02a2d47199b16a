//! Compares our parser's speed and memory with rnix's: every `.nix` file below a folder, read into
//! memory first, one thread, rounds taken in turns.
//!
//! `cargo run --release -p cim-nix-oracle --example speed -- DIR [ROUNDS]`
#![allow(clippy::disallowed_methods, reason = "a measuring program reads files and clocks")]
#![allow(clippy::print_stdout, reason = "it prints what it measured")]

use std::path::{Path, PathBuf};

fn main() -> std::io::Result<()> {
    let mut args = std::env::args().skip(1);
    let dir = args.next().unwrap_or_else(|| ".".to_owned());
    let n_rounds = args.next().and_then(|word| word.parse().ok()).unwrap_or(5);
    let mut files = Vec::new();
    find(Path::new(&dir), &mut files)?;
    let texts: Vec<String> =
        files.iter().filter_map(|path| std::fs::read_to_string(path).ok()).collect();
    let n_bytes: usize = texts.iter().map(String::len).sum();
    let mut parser = cim_nix_syntax::Parser::default();
    let heap: usize = texts.iter().map(|text| parser.parse(text.as_str()).tree.heap_size()).sum();
    println!(
        "{} files, {n_bytes} bytes; tokens and trees: {:.2} bytes per source byte",
        texts.len(),
        heap as f64 / n_bytes as f64
    );
    let mut rounds = Vec::new();
    for _ in 0..n_rounds {
        let ours = timed(|| texts.iter().map(|text| parser.parse(text.as_str()).tree.len()).sum());
        let fresh = timed(|| {
            texts.iter().map(|text| cim_nix_syntax::parse(text.as_str()).tree.len()).sum()
        });
        let rnix = timed(|| texts.iter().map(|text| rnix::Root::parse(text).errors().len()).sum());
        println!(
            "ours {ours:.3} s, without kept buffers {fresh:.3} s, rnix {rnix:.3} s: {:.1}x, {:.1}x",
            rnix / ours,
            rnix / fresh
        );
        rounds.push((ours, fresh, rnix));
    }
    let median = |pick: fn(&(f64, f64, f64)) -> f64| {
        let mut values: Vec<f64> = rounds.iter().map(pick).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    let (ours, fresh, rnix) = (median(|r| r.0), median(|r| r.1), median(|r| r.2));
    println!(
        "medians: ours {:.0} MB/s, without kept buffers {:.0} MB/s, rnix {:.0} MB/s: {:.1}x, {:.1}x",
        n_bytes as f64 / ours / 1e6,
        n_bytes as f64 / fresh / 1e6,
        n_bytes as f64 / rnix / 1e6,
        rnix / ours,
        rnix / fresh
    );
    Ok(())
}

/// CPU seconds that `work` takes on this thread.
fn timed(work: impl FnOnce() -> usize) -> f64 {
    let start = cpu_seconds();
    std::hint::black_box(work());
    cpu_seconds() - start
}

/// CPU seconds of this thread so far, as Linux counts them.
fn cpu_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = text.split_whitespace().next().and_then(|word| word.parse::<f64>().ok());
    nanoseconds.unwrap_or_default() / 1e9
}

fn find(dir: &Path, out: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            find(&entry.path(), out)?;
        } else if kind.is_file() && entry.path().extension().is_some_and(|end| end == "nix") {
            out.push(entry.path());
        }
    }
    Ok(())
}
