//! What Linux says of a process; unknown where it says nothing.

use std::fs;

/// File descriptors that this process has open, without the one that this question takes.
pub(super) fn open_fds() -> Option<u64> {
    let counted = fs::read_dir("/proc/self/fd").ok()?.count();
    u64::try_from(counted.checked_sub(1)?).ok()
}

/// Memory in use by the process of that number, or by `self`; bytes.
pub(crate) fn resident_bytes(process: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    // proc(5): "VmRSS:   1234 kB", where kB means 1024.
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    kib.checked_mul(1024)
}
