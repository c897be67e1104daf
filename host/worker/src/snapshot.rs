//! A library's private copy in sealed memory: what was checked is what runs, in the first worker and in every later one, whatever
//! happens to the file meanwhile.
//!
//! The daemon makes it, empty, and keeps it; the first worker checks the file and fills it; those that come after a death load it as it is.

#![expect(unsafe_code, reason = "memory without a file, and its seals")]

use std::{
    ffi::CString,
    fs::File,
    io,
    os::{
        fd::{AsRawFd, FromRawFd, OwnedFd},
        unix::fs::FileExt,
    },
    path::Path,
    time::Duration,
};

/// A busy kernel holds fresh pages for a moment, and refuses to seal them meanwhile (fcntl(2), "EBUSY").
const SEAL_TRIES: u32 = 20;
const SEAL_PAUSE: Duration = Duration::from_millis(20);
/// Nobody changes it any more, whoever holds it.
const SEALS: i32 = libc::F_SEAL_WRITE | libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_SEAL;

/// The copy, or the room for it.
#[derive(Debug)]
pub struct Snapshot(File);

impl Snapshot {
    /// Makes room for a library of this name.
    pub fn empty(library: &Path) -> io::Result<Self> {
        let name = library.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let name = CString::new(name).map_err(io::Error::other)?;
        // SAFETY: the name is NUL-terminated.
        let fd = unsafe { libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: just opened, owned by nobody else.
        Ok(Self(File::from(unsafe { OwnedFd::from_raw_fd(fd) })))
    }

    /// Takes the one that somebody left for us.
    pub fn of(file: File) -> Self {
        Self(file)
    }

    /// Whether a library is in it for good.
    pub fn is_sealed(&self) -> bool {
        // SAFETY: a plain fcntl on a descriptor of ours.
        let seals = unsafe { libc::fcntl(self.0.as_raw_fd(), libc::F_GET_SEALS) };
        seals >= 0 && seals & SEALS == SEALS
    }

    /// Puts a library into it, for good.
    pub fn fill(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.set_len(0)?;
        // From the beginning: where a worker stopped that died over it, the next would go on.
        self.0.write_all_at(bytes, 0)?;
        let mut tries = SEAL_TRIES;
        // SAFETY: a plain fcntl on a descriptor of ours.
        while unsafe { libc::fcntl(self.0.as_raw_fd(), libc::F_ADD_SEALS, SEALS) } < 0 {
            let error = io::Error::last_os_error();
            tries -= 1;
            if error.raw_os_error() != Some(libc::EBUSY) || tries == 0 {
                return Err(error);
            }
            std::thread::sleep(SEAL_PAUSE);
        }
        Ok(())
    }

    /// The file that it is.
    pub fn file(&self) -> &File {
        &self.0
    }
}

impl AsRawFd for Snapshot {
    fn as_raw_fd(&self) -> i32 {
        self.0.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn what_is_in_it_stays_as_it_is_whoever_holds_it() {
        let mut snapshot = Snapshot::empty(Path::new("liba.so")).unwrap();
        assert!(!snapshot.is_sealed());
        snapshot.fill(b"agents").unwrap();
        let theirs = Snapshot::of(snapshot.file().try_clone().unwrap());
        assert!(theirs.is_sealed());
        assert!(theirs.file().write_all_at(b"others", 0).is_err() && theirs.file().set_len(0).is_err());
        assert!(snapshot.fill(b"others").is_err());
    }

    #[test]
    fn what_a_worker_left_that_died_over_it_is_no_part_of_it() {
        let mut snapshot = Snapshot::empty(Path::new("liba.so")).unwrap();
        let theirs = Snapshot::of(snapshot.file().try_clone().unwrap());
        theirs.file().write_all(b"half of a lib").unwrap();
        snapshot.fill(b"agents").unwrap();
        assert_eq!(snapshot.file().metadata().unwrap().len(), 6);
        let mut bytes = [0; 6];
        snapshot.file().read_exact_at(&mut bytes, 0).unwrap();
        assert_eq!(&bytes, b"agents");
    }
}
