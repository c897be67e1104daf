//! Bounds of a worker's resources, and the one by which a confined worker is known from outside.

#![expect(unsafe_code, reason = "asks for a bound of another process")]

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::{Confinement, DESCRIPTORS_MAX};

pub(super) fn apply(confinement: &Confinement) -> io::Result<()> {
    at_most(Resource::As, confinement.memory_bytes_max)?;
    at_most(Resource::Nofile, DESCRIPTORS_MAX)?;
    at_most(Resource::Core, 0)?;
    if confinement.sandbox {
        at_most(MARK, 0)?;
    }
    Ok(())
}

/// What no agent uses and nobody else bounds: bytes of message queues. None of them marks a worker that is confined and all that it starts,
/// for nobody raises such a bound again.
const MARK: Resource = Resource::Msgqueue;

/// Whether a process bears the mark of a confined worker, whoever started that; said of none where everybody bears it, ourselves included.
///
/// Errors: the process is gone, or another user's, which no worker of ours is.
pub fn is_marked(process: i32) -> io::Result<bool> {
    let mut bound = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: asks for one bound, changes none, and writes one rlimit.
    let asked = unsafe { libc::prlimit(process, libc::RLIMIT_MSGQUEUE, std::ptr::null(), &raw mut bound) };
    if asked != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(bound.rlim_max == 0 && getrlimit(MARK).maximum != Some(0))
}

/// Takes a bound, or the one there is if that is lower.
fn at_most(resource: Resource, most: u64) -> io::Result<()> {
    let bound = getrlimit(resource).maximum.map_or(most, |there| there.min(most));
    Ok(setrlimit(resource, Rlimit { current: Some(bound), maximum: Some(bound) })?)
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn who_has_no_room_for_message_queues_is_marked_with_all_that_it_starts() {
        let bounded = |script: &str| {
            let mut shell = Command::new("sh").args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
            let mut said = String::new();
            io::BufRead::read_line(&mut io::BufReader::new(shell.stdout.as_mut().unwrap()), &mut said).unwrap();
            let marked = is_marked(said.trim().parse().unwrap());
            drop(shell.stdin.take());
            shell.wait().unwrap();
            marked.unwrap()
        };
        assert!(!bounded("echo $$; read end"));
        assert!(bounded("prlimit --pid $$ --msgqueue=0; sh -c 'echo $$; read end'"));
        assert!(!is_marked(std::process::id().cast_signed()).unwrap());
        assert!(is_marked(i32::MAX).is_err());
    }
}
