//! By what a program is known that an agent started, and all that comes of it, whatever group or parent they have by then.
//!
//! A bound that no kernel has looked at for twenty years, file locks (getrlimit(2), "RLIMIT_LOCKS"), is inherited, and nobody but root raises it
//! again: its number names the worker and the program.

#![expect(unsafe_code, reason = "asks for a bound of another process")]

use std::sync::atomic::{AtomicU32, Ordering};

use rustix::process::{Pid, Resource, Rlimit, setrlimit};

/// Who was started by an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Birthmark {
    /// The process that started the program.
    pub worker: i32,
    /// Tells one of its programs from another.
    pub program: u32,
}

impl Birthmark {
    /// One for a program that this process is about to start.
    pub(crate) fn next(worker: Pid) -> Self {
        static LAST: AtomicU32 = AtomicU32::new(0);
        Self { worker: worker.as_raw_nonzero().get(), program: LAST.fetch_add(1, Ordering::Relaxed) }
    }

    /// Marks this process, which is about to become the program; where it is marked already that stands.
    pub(crate) fn bear(self) {
        let number = Some(u64::from(self.worker.unsigned_abs()) << 32 | u64::from(self.program));
        let _marked_already = setrlimit(Resource::Locks, Rlimit { current: number, maximum: number });
    }

    /// That of a process; none of one that no agent started, or that is another user's.
    pub fn of(process: i32) -> Option<Self> {
        let mut bound = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: asks for one bound, changes none, and writes one rlimit.
        let asked = unsafe { libc::prlimit(process, libc::RLIMIT_LOCKS, std::ptr::null(), &raw mut bound) };
        let worker = i32::try_from(bound.rlim_max >> 32).ok().filter(|worker| *worker > 0)?;
        (asked == 0).then_some(Self { worker, program: (bound.rlim_max & u64::from(u32::MAX)) as u32 })
    }
}
