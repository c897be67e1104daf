//! What processes cost.

use std::fs;

/// Ticks of a second in `/proc/PID/stat`. Source: time(7).
const TICKS: f64 = 100.0;

/// Seconds of CPU of a process that runs, threads included.
pub(crate) fn cpu(pid: u32) -> f64 {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // Source: proc(5), fields 14 and 15; the name before them may have any characters.
    let fields = text.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace();
    fields.skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum::<f64>() / TICKS
}

/// Seconds of CPU that the thread which asks had up to its last pause.
pub(crate) fn cpu_of_this_thread() -> f64 {
    // Source: the kernel's Documentation/scheduler/sched-stats.rst, "/proc/<pid>/schedstat": nanoseconds on the CPU first.
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split_whitespace().next().and_then(|nanoseconds| nanoseconds.parse::<f64>().ok()).map_or(f64::NAN, |nanoseconds| nanoseconds / 1e9)
}

/// Bytes that a process had written to a disk, or will: pages that it made dirty count when it does.
pub(crate) fn disk_bytes(pid: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/io")).unwrap_or_default();
    text.lines().find_map(|line| line.strip_prefix("write_bytes: ")?.parse().ok()).unwrap_or(0)
}

/// The most that a process had resident, MiB.
pub(crate) fn most_resident(pid: u32) -> f64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let kib = text.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.trim().parse::<f64>().ok());
    kib.unwrap_or(f64::NAN) / 1024.0
}

/// The one in the middle.
pub(crate) fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}
