//! Descriptors that end at a process's own: no program inherits them.

#![expect(unsafe_code, reason = "marks descriptors by their numbers, whoever owns them")]

use std::io;

use rustix::process::{Resource, getrlimit};

/// Has every descriptor from this number on closed when this process becomes another program; they stay open until then.
///
/// For what runs between fork and exec too: system calls alone.
pub fn end_with_us(first: u32) -> io::Result<()> {
    // SAFETY: closes nothing, and touches no memory.
    let done = unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    if done == 0 {
        return Ok(());
    }
    match io::Error::last_os_error() {
        // Linux 5.11 brought it.
        error if [Some(libc::ENOSYS), Some(libc::EINVAL)].contains(&error.raw_os_error()) => {
            one_by_one(first);
            Ok(())
        }
        error => Err(error),
    }
}

fn one_by_one(first: u32) {
    let beyond = getrlimit(Resource::Nofile).current.and_then(|most| u32::try_from(most).ok()).unwrap_or(1 << 20);
    for fd in first..beyond {
        // SAFETY: a plain fcntl; of a number that is none it says so.
        unsafe { libc::fcntl(fd.cast_signed(), libc::F_SETFD, libc::FD_CLOEXEC) };
    }
}

#[cfg(test)]
mod tests {
    use std::{fs::File, os::fd::AsRawFd, process::Command};

    use super::*;

    #[test]
    fn a_program_inherits_no_descriptor_that_was_to_end_with_us() {
        let file = File::open("/dev/null").unwrap();
        let [first, second] = [300, 301].map(|number| {
            // SAFETY: nobody else uses these numbers here; they stay open until the test ends.
            assert_eq!(unsafe { libc::dup2(file.as_raw_fd(), number) }, number);
            number
        });
        let inherits = |fd: i32| Command::new("bash").args(["-c", &format!("true <&{fd}")]).output().unwrap().status.success();
        assert!(inherits(first) && inherits(second), "what dup2 makes is inherited");
        end_with_us(301).unwrap();
        assert!(inherits(first) && !inherits(second));
        one_by_one(300);
        assert!(!inherits(first));
    }
}
