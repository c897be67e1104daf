//! What a worker says of its own death on its page: what its one thread did, if it was that thread that died.
//!
//! A fault's signal is handled on the thread at fault, and `exit` does its last work on the thread that calls it. A thread that an agent left
//! behind is another one: what the worker does for somebody meanwhile has nothing to do with it.

use std::{io, mem::MaybeUninit, ptr, sync::OnceLock};

use libc::{c_int, c_void, siginfo_t};

use super::{Page, Work};

/// Signals that a process gets by its own doing.
const OF_FAULTS: [c_int; 6] = [libc::SIGABRT, libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE, libc::SIGTRAP];
/// Of no work: another thread died, or the worker's own did with nothing under way.
const OF_NONE: u64 = u64::MAX;

static WITNESS: OnceLock<Witness> = OnceLock::new();

/// What the handlers know.
struct Witness {
    page: Page,
    /// The thread that does all work.
    thread: libc::pid_t,
    /// What these signals did before: Rust's own handlers tell of a stack overflow.
    before: [libc::sigaction; OF_FAULTS.len()],
}

/// What a dying worker said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastWord {
    /// Nothing: it had no time to, or its library took away what says it.
    Unsaid,
    /// That no work brought it down.
    OfNone,
    /// That this work did.
    Of(Work),
}

/// Whether who dies of that signal says so on the page.
pub fn is_witnessed(signal: i32) -> bool {
    OF_FAULTS.contains(&signal)
}

/// Has the death of this process noted on the page, which stays mapped for ever; the calling thread is the one that does its work.
pub fn witness(page: Page) -> io::Result<()> {
    // SAFETY: asks for dispositions, changes none; each is written before it is read.
    let before = OF_FAULTS.map(|signal| unsafe {
        let mut action = MaybeUninit::<libc::sigaction>::zeroed();
        libc::sigaction(signal, ptr::null(), action.as_mut_ptr());
        action.assume_init()
    });
    // SAFETY: asks for a number.
    let thread = unsafe { libc::gettid() };
    WITNESS.get_or_init(|| Witness { page, thread, before });
    for signal in OF_FAULTS {
        // SAFETY: a zeroed action is a valid one; the handler does only what a handler may.
        let done = unsafe {
            let mut action = MaybeUninit::<libc::sigaction>::zeroed().assume_init();
            action.sa_sigaction = fault as *const () as libc::sighandler_t;
            // On the other stack, where there is one: this one may have overflowed.
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
            libc::sigaction(signal, &raw const action, ptr::null_mut())
        };
        if done != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    // SAFETY: a function of this program, which is never unloaded.
    if unsafe { libc::atexit(exit) } != 0 {
        return Err(io::Error::other("there is no room for what is done at the end"));
    }
    Ok(())
}

/// Notes whose fault it was, and leaves the rest to whoever handled the signal before.
extern "C" fn fault(signal: c_int, about: *mut siginfo_t, _: *mut c_void) {
    let Some(witness) = WITNESS.get() else { return };
    witness.note();
    // SAFETY: sigaction and raise are async-signal-safe; the kernel hands over what it knows of the signal.
    unsafe {
        if let Some(known) = OF_FAULTS.iter().position(|&known| known == signal) {
            libc::sigaction(signal, &raw const witness.before[known], ptr::null_mut());
        }
        // What the kernel found wrong with an instruction it finds again; a trap is behind it, and other signals were sent.
        if (*about).si_code <= 0 || signal == libc::SIGTRAP {
            libc::raise(signal);
        }
    }
}

extern "C" fn exit() {
    WITNESS.get().into_iter().for_each(Witness::note);
}

impl Witness {
    fn note(&self) {
        // SAFETY: asks for a number.
        let is_ours = unsafe { libc::gettid() } == self.thread;
        self.page.say_last(is_ours.then(|| self.page.work()).flatten());
    }
}

impl LastWord {
    pub(super) fn encode(work: Option<Work>) -> u64 {
        work.map_or(OF_NONE, Work::encode)
    }

    pub(super) fn decode(word: u64) -> Self {
        match word {
            0 => Self::Unsaid,
            OF_NONE => Self::OfNone,
            word => Work::decode(word).map_or(Self::OfNone, Self::Of),
        }
    }
}
