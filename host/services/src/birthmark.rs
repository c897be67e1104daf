//! By what a program is known that an agent started, and all that comes of it, whatever group or parent they have by then.
//!
//! A bound that no kernel has looked at for twenty years, file locks (getrlimit(2), "RLIMIT_LOCKS"), is inherited, and nobody but root raises it
//! again: its number names the worker and the program.

#![expect(unsafe_code, reason = "asks for a bound of another process")]

mod keeping;

use std::sync::atomic::{AtomicU32, Ordering};

use rustix::process::{Pid, Resource, Rlimit, setrlimit};

/// What every such number begins with: others bound file locks too, by numbers that mean something to them, and are to be left alone.
const BEGINS: u64 = 0x5750;
/// Bits of a process's number (proc(5), "pid_max").
const WORKER_BITS: u32 = 22;
/// Bits of a program's.
const PROGRAM_BITS: u32 = 64 - 16 - WORKER_BITS;

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
        let program = LAST.fetch_add(1, Ordering::Relaxed) % (1 << PROGRAM_BITS);
        Self { worker: worker.as_raw_nonzero().get(), program }
    }

    /// Marks this process, which is about to become the program, for good if a sandbox holds it; where it is marked already that stands.
    pub(crate) fn bear(self) {
        let number = Some(self.number());
        let _marked_already = setrlimit(Resource::Locks, Rlimit { current: number, maximum: number });
        keeping::keep();
    }

    /// That of a process; none of one that no agent started, or that is another user's.
    pub fn of(process: i32) -> Option<Self> {
        let mut bound = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: asks for one bound, changes none, and writes one rlimit.
        let asked = unsafe { libc::prlimit(process, libc::RLIMIT_LOCKS, std::ptr::null(), &raw mut bound) };
        Self::read(bound.rlim_max).filter(|_| asked == 0)
    }

    fn number(self) -> u64 {
        BEGINS << (WORKER_BITS + PROGRAM_BITS) | u64::from(self.worker.unsigned_abs()) << PROGRAM_BITS | u64::from(self.program)
    }

    fn read(number: u64) -> Option<Self> {
        let part = |from: u32, bits: u32| (number >> from) & ((1 << bits) - 1);
        let worker = i32::try_from(part(PROGRAM_BITS, WORKER_BITS)).ok().filter(|worker| *worker > 0)?;
        let program = u32::try_from(part(0, PROGRAM_BITS)).ok()?;
        (number >> (WORKER_BITS + PROGRAM_BITS) == BEGINS).then_some(Self { worker, program })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_read_as_it_was_made_and_a_bound_that_somebody_else_set_is_none() {
        for (worker, program) in [(1, 0), (4711, 7), ((1 << WORKER_BITS) - 1, (1 << PROGRAM_BITS) - 1)] {
            let mark = Birthmark { worker, program };
            assert_eq!(Birthmark::read(mark.number()), Some(mark));
        }
        // None, all there is, what other languages take for that, and what people write.
        let bounds = [
            0,
            u64::MAX,
            u64::MAX - 1,
            u64::MAX >> 1,
            i64::MAX as u64 - 1,
            u64::from(u32::MAX),
            1 << 32,
            5_000_000_000,
            1 << 40,
            1 << 53,
            1 << 62,
        ];
        for bound in bounds {
            assert_eq!(Birthmark::read(bound), None, "{bound:#x}");
        }
        assert_eq!(Birthmark::read(BEGINS << (WORKER_BITS + PROGRAM_BITS)), None, "no process has the number 0");
        assert_eq!(Birthmark::of(std::process::id().cast_signed()), None);
    }
}
