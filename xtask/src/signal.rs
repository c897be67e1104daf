//! Signals: noticing that we are asked to end, and asking others.

use std::sync::atomic::{AtomicBool, Ordering};

static CAUGHT: AtomicBool = AtomicBool::new(false);

/// A signal we send.
#[derive(Clone, Copy)]
pub(crate) enum Signal {
    Terminate,
    Kill,
    /// Holds a process where it is; it cannot refuse.
    Stop,
    Continue,
}

extern "C" fn note(_: libc::c_int) {
    CAUGHT.store(true, Ordering::Relaxed);
}

/// Turns Ctrl-C, SIGTERM and SIGHUP into [`caught`], so that whoever started something ends it.
pub(crate) fn catch() {
    let handler = note as extern "C" fn(libc::c_int) as libc::sighandler_t;
    for number in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        // SAFETY: `note` only stores to an atomic, which is async-signal-safe.
        let before = unsafe { libc::signal(number, handler) };
        if number == libc::SIGHUP && before == libc::SIG_IGN {
            // SAFETY: this only puts back what was there: nohup(1) asked us to stay.
            unsafe { libc::signal(number, libc::SIG_IGN) };
        }
    }
}

/// Tells whether we were asked to end.
pub(crate) fn caught() -> bool {
    CAUGHT.load(Ordering::Relaxed)
}

/// Sends a signal; a process that is gone already is no error.
pub(crate) fn send(pid: u32, signal: Signal) {
    let Ok(pid) = libc::pid_t::try_from(pid) else {
        return;
    };
    if pid <= 1 {
        return; // 0 and below would address whole groups
    }
    let number = match signal {
        Signal::Terminate => libc::SIGTERM,
        Signal::Kill => libc::SIGKILL,
        Signal::Stop => libc::SIGSTOP,
        Signal::Continue => libc::SIGCONT,
    };
    // SAFETY: kill(2) reads no memory of ours; `pid` names one process.
    unsafe { libc::kill(pid, number) };
}
