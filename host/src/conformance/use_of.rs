//! What a process holds.

use std::fs;

/// Descriptors and memory of a process.
#[derive(Clone, Copy, Debug)]
pub(super) struct Use {
    /// Open descriptors.
    pub(super) descriptors: u64,
    /// Bytes of its own: heap and stacks, not what it has mapped of files.
    pub(super) bytes: u64,
}

impl Use {
    /// Looks at a process; none if it is gone. Source: proc(5), "RssAnon".
    pub(super) fn of(pid: u32) -> Option<Self> {
        let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count() as u64;
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let own = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
        let kib: u64 = own.trim().strip_suffix(" kB")?.parse().ok()?;
        Some(Self { descriptors, bytes: kib * 1024 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_process_takes_is_seen() {
        let own = || Use::of(std::process::id()).unwrap();
        let before = own();
        let files: Vec<_> = (0..50).map(|_| fs::File::open("/dev/null").unwrap()).collect();
        let bytes = vec![1_u8; 64 << 20];
        let after = own();
        assert!(after.descriptors >= before.descriptors + 40, "{before:?} {after:?}");
        assert!(after.bytes >= before.bytes + (48 << 20), "{before:?} {after:?}");
        assert_eq!((files.len(), bytes.len()), (50, 64 << 20));
        assert!(Use::of(u32::MAX).is_none());
    }
}
