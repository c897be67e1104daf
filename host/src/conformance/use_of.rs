//! What a process holds.

use std::{fs, path::PathBuf};

/// Descriptors and memory of a process; none where we are not let see them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Use {
    /// Open descriptors.
    pub(super) descriptors: Option<u64>,
    /// Bytes of its own: heap and stacks, not what it has mapped of files.
    pub(super) bytes: u64,
}

/// Why descriptors are not seen.
pub(super) const HIDDEN: &str =
    "its worker keeps its memory to itself, and so hides its descriptors from an ordinary user; root sees them, and on Linux 6.2 everybody";

impl Use {
    /// Looks at a process; none if it is gone. Source: proc(5), "RssAnon".
    pub(super) fn of(pid: u32) -> Option<Self> {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let own = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
        let kib: u64 = own.trim().strip_suffix(" kB")?.parse().ok()?;
        Some(Self { descriptors: descriptors(pid), bytes: kib * 1024 })
    }
}

/// Counts them one by one; those of a process whose memory is its own, as confined workers' is, only root may list, and the size of the list is
/// for everybody. Source: proc_pid_fd(5), "st_size".
fn descriptors(pid: u32) -> Option<u64> {
    let list = PathBuf::from(format!("/proc/{pid}/fd"));
    let counted = fs::read_dir(&list).map(|entries| entries.count() as u64).ok();
    counted.or_else(|| fs::metadata(&list).ok().map(|list| list.len()).filter(|size| *size > 0))
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
        assert!(after.descriptors.unwrap() >= before.descriptors.unwrap() + 40, "{before:?} {after:?}");
        assert!(after.bytes >= before.bytes + (48 << 20), "{before:?} {after:?}");
        assert_eq!((files.len(), bytes.len()), (50, 64 << 20));
        assert!(Use::of(u32::MAX).is_none());
    }
}
