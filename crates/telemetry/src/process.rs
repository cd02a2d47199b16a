//! What the system knows of this process, under the names that every exporter uses.

use std::fmt::Write as _;
use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use cim_nix_service::metrics::{Kind, Metric, Unit};

const fn metric(name: &'static str, kind: Kind, unit: Unit, help: &'static str) -> Metric {
    Metric { name, kind, unit, labels: &[], help }
}

const CPU: Metric = metric(
    "process_cpu_seconds_total",
    Kind::Counter,
    Unit::Seconds,
    "Time that the process has used processors, its own and the system's for it.",
);
const RESIDENT: Metric = metric(
    "process_resident_memory_bytes",
    Kind::Gauge,
    Unit::Bytes,
    "Memory of the process that is in use.",
);
const OPEN_FDS: Metric = metric(
    "process_open_fds",
    Kind::Gauge,
    Unit::Count,
    "Files and connections that the process has open.",
);
const MAX_FDS: Metric = metric(
    "process_max_fds",
    Kind::Gauge,
    Unit::Count,
    "Files and connections that it may have open.",
);
const THREADS: Metric =
    metric("process_threads", Kind::Gauge, Unit::Count, "Threads of the process.");
const START: Metric = metric(
    "process_start_time_seconds",
    Kind::Gauge,
    Unit::Seconds,
    "When the process was started, in seconds since 1970.",
);
const UPTIME: Metric = metric(
    "cim_nix_uptime_seconds",
    Kind::Gauge,
    Unit::Seconds,
    "How long the process has been running.",
);

/// All of them.
pub(crate) const ALL: &[Metric] = &[CPU, RESIDENT, OPEN_FDS, MAX_FDS, THREADS, START, UPTIME];

/// Ticks a second in `/proc`: what Linux tells programs, whatever it counts in itself.
const TICKS: f64 = 100.0;

/// Appends what is known now; on systems without `/proc` that is how long it runs.
pub(crate) fn render(start: SystemTime, out: &mut String) {
    let now = SystemTime::now();
    let since = |from: SystemTime, to: SystemTime| to.duration_since(from).ok();
    let seconds = |from, to| since(from, to).map(|time| time.as_secs_f64());
    let values = [
        (CPU, cpu_seconds()),
        (RESIDENT, status("VmRSS:").map(|kib| kib * 1024.0)),
        (OPEN_FDS, open_files()),
        (MAX_FDS, most_files()),
        (THREADS, status("Threads:")),
        (START, seconds(UNIX_EPOCH, start)),
        (UPTIME, seconds(start, now)),
    ];
    for (metric, value) in values {
        let Some(value) = value else { continue };
        let kind = if metric.kind == Kind::Counter { "counter" } else { "gauge" };
        let Metric { name, help, .. } = metric;
        let _ = write!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n\n");
    }
}

fn cpu_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The name of the program stands in brackets and may contain anything.
    let (_, fields) = stat.rsplit_once(')')?;
    let ticks = fields.split_ascii_whitespace().skip(11).take(2);
    let ticks: Option<f64> = ticks.map(|field| field.parse::<f64>().ok()).sum();
    Some(ticks? / TICKS)
}

fn status(name: &str) -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

fn open_files() -> Option<f64> {
    let n_files = u32::try_from(fs::read_dir("/proc/self/fd").ok()?.count()).ok()?;
    // The folder that is being read is one of them.
    Some(f64::from(n_files.saturating_sub(1)))
}

fn most_files() -> Option<f64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn value(text: &str, metric: &Metric) -> f64 {
        let line = text.lines().find_map(|line| line.strip_prefix(metric.name)).unwrap();
        line.trim().parse().unwrap()
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn numbers_are_those_of_this_process() {
        let start = SystemTime::now() - Duration::from_secs(60);
        let before = {
            let mut text = String::new();
            render(start, &mut text);
            text
        };
        let files: Vec<_> = (0..20).map(|_| fs::File::open("/proc/self/stat").unwrap()).collect();
        let memory = vec![1_u8; 64 << 20];
        let busy = SystemTime::now();
        let mut sum = 0_u64;
        while busy.elapsed().unwrap() < Duration::from_millis(150) {
            sum = sum.wrapping_add(memory.iter().map(|byte| u64::from(*byte)).sum::<u64>());
        }
        let mut after = String::new();
        render(start, &mut after);
        let grown = |metric| value(&after, metric) - value(&before, metric);
        assert!(sum > 0 && grown(&CPU) >= 0.05, "{}", grown(&CPU));
        assert!(grown(&RESIDENT) >= f64::from(48 << 20), "{}", grown(&RESIDENT));
        assert!(grown(&OPEN_FDS) >= 20.0, "{}", grown(&OPEN_FDS));
        assert!(value(&after, &MAX_FDS) > value(&after, &OPEN_FDS));
        assert!(value(&after, &THREADS) >= 1.0);
        assert!((60.0..90.0).contains(&value(&after, &UPTIME)));
        assert_eq!(files.len(), 20);
    }
}
