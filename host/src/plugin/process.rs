//! The worker as a process: started with a socket pair, a shared page and its library's snapshot, watched until its end.

#![expect(unsafe_code, reason = "hands page and snapshot to the new process as descriptors 3 and 4, and ends it by its pidfd")]

use std::{
    io::{self, Read},
    os::{
        fd::{AsFd, AsRawFd, FromRawFd, OwnedFd},
        unix::{
            net::UnixStream,
            process::{CommandExt, ExitStatusExt},
        },
    },
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::Duration,
};

use rustix::{
    io::Errno,
    process::{Signal, WaitId, WaitIdOptions, pidfd_send_signal, waitid},
};
use tokio::{sync::oneshot, time::timeout};
use watchpost_services::descriptors::end_with_us;
use watchpost_worker::{
    page::{
        Page, Work,
        dying::{LastWord, is_witnessed},
    },
    snapshot::Snapshot,
};

use super::sessions::{Session, end_members};

/// How long a worker may take to die once its connection is closed.
const DEATH_TIMEOUT: Duration = Duration::from_secs(1);
/// Bytes kept of what a worker wrote to standard error.
const LAST_WORDS_BYTES: usize = 4096;
/// What a worker gets of our environment: nothing that may hold a secret.
const ENVIRONMENT: [&str; 9] =
    ["PATH", "TZ", "LANG", "LC_ALL", "SSL_CERT_FILE", "SSL_CERT_DIR", "RES_OPTIONS", "LOCALDOMAIN", "RUST_BACKTRACE"];

/// A running worker; ended when dropped.
pub(super) struct Process {
    pub(super) socket: Option<tokio::net::UnixStream>,
    pub(super) page: Page,
    pub(super) ended: oneshot::Receiver<End>,
    pub(super) pid: u32,
    handle: Handle,
    _session: Option<Session>,
}

/// Names one process, also after its pid went to another, and ends it when dropped.
struct Handle(OwnedFd);

/// How a worker ended.
#[derive(Debug, Default)]
pub(super) struct End {
    /// As the kernel tells it, if it could be learnt.
    pub(super) status: Option<ExitStatus>,
    /// Whether it had to be ended because it only closed its connection.
    pub(super) lived_on: bool,
    /// The end of what it wrote to standard error.
    pub(super) last_words: String,
    /// Why Rust's own code was about to abort, if it said so: a long backtrace may come after it.
    pub(super) abort: Option<Abort>,
}

/// Why Rust's own code aborts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Abort {
    /// For those who count.
    name: &'static str,
    /// For people.
    explanation: &'static str,
}

impl Abort {
    /// Finds what was said.
    fn of(said: &[u8]) -> Option<Self> {
        const REASONS: [(&[u8], Abort); 2] = [
            (b"has overflowed its stack", Abort { name: "stack_overflow", explanation: "SIGABRT: stack overflow" }),
            (b"memory allocation of ", Abort { name: "memory", explanation: "SIGABRT: no more memory" }),
        ];
        let is_said = |reason: &[u8]| said.windows(reason.len()).any(|words| words == reason);
        REASONS.iter().find(|(reason, _)| is_said(reason)).map(|(_, abort)| *abort)
    }
}

impl Process {
    /// Starts a worker for a library, which is going to be confined or not.
    pub(super) async fn start(library: &Path, snapshot: &Snapshot, confined: bool) -> io::Result<Self> {
        let program = worker_program()?;
        let (ours, theirs) = UnixStream::pair()?;
        let (page, file) = Page::create()?;
        let snapshot = snapshot.file().try_clone()?;
        let (started, starting) = oneshot::channel();
        let (ending, ended) = oneshot::channel();
        let library = library.to_owned();
        // A thread of its own, for as long as the worker lives: PR_SET_PDEATHSIG fires when the starting *thread* ends.
        thread::Builder::new().name("worker".into()).spawn(move || {
            let child = command(&program, &library, theirs, [&file, &snapshot].map(AsRawFd::as_raw_fd)).spawn();
            drop((file, snapshot));
            match child.and_then(held) {
                Err(error) => drop(started.send(Err(error))),
                Ok((child, handle, ends)) => {
                    // When nobody waits for this worker any more, the handle that comes back ends it.
                    drop(started.send(Ok((child.id(), handle))));
                    let _nobody_asks = ending.send(watch(child, &ends));
                }
            }
        })?;
        let (pid, handle) = starting.await.map_err(io::Error::other)??;
        ours.set_nonblocking(true)?;
        let _session = confined.then(|| Session::of(pid));
        Ok(Self { socket: Some(tokio::net::UnixStream::from_std(ours)?), page, ended, pid, handle, _session })
    }

    /// Waits for the end of a worker that has gone silent; one that lives on is ended.
    pub(super) async fn end(&mut self) -> End {
        let lives = timeout(DEATH_TIMEOUT, &mut self.ended).await;
        if let Ok(ended) = lives {
            return ended.unwrap_or_default();
        }
        self.kill();
        let end = timeout(DEATH_TIMEOUT, &mut self.ended).await.map(Result::unwrap_or_default).unwrap_or_default();
        End { lived_on: true, ..end }
    }

    /// What brought it down, as far as its page tells: the work under way, unless another thread died than the one that does it.
    pub(super) fn died_doing(&self, end: &End) -> Option<Work> {
        let last_word = self.page.last_word();
        match end.status.map(|status| (status.code(), status.signal())) {
            Some((_, Some(signal))) if is_witnessed(signal) => match last_word {
                LastWord::Of(work) => Some(work),
                LastWord::OfNone | LastWord::Unsaid => None,
            },
            Some((Some(_), _)) if last_word == LastWord::OfNone => None,
            _ => self.page.under_way().map(|(work, _)| work),
        }
    }

    /// Ends the worker at once.
    pub(super) fn kill(&self) {
        self.handle.kill();
    }
}

impl Drop for Process {
    /// Nobody may be there any more to see its end.
    fn drop(&mut self) {
        self.handle.kill();
        end_members(self.pid, || self.handle.is_kept());
    }
}

impl Handle {
    fn kill(&self) {
        // It may have ended.
        let _gone = pidfd_send_signal(&self.0, Signal::KILL);
    }

    /// Whether its number is its own: it lives, or nobody has waited for it yet.
    fn is_kept(&self) -> bool {
        // SAFETY: a plain pidfd_send_signal with a descriptor of ours, no siginfo, and no signal.
        let asked = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, self.0.as_raw_fd(), 0, std::ptr::null::<libc::siginfo_t>(), 0) };
        asked == 0
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A child with what ends it and what tells of its end.
fn held(mut child: Child) -> io::Result<(Child, Handle, OwnedFd)> {
    match pidfd(child.id()).and_then(|pidfd| Ok((pidfd.try_clone()?, pidfd))) {
        Ok((handle, ends)) => Ok((child, Handle(handle), ends)),
        Err(error) => {
            child.kill()?;
            child.wait()?;
            Err(error)
        }
    }
}

/// A descriptor for a child that was not waited for yet.
fn pidfd(pid: u32) -> io::Result<OwnedFd> {
    // SAFETY: a plain pidfd_open; the child is a zombie at worst until its thread waits for it.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    match i32::try_from(fd) {
        // SAFETY: just opened, owned by nobody else.
        Ok(fd) if fd >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The worker's program lies beside ours.
fn worker_program() -> io::Result<PathBuf> {
    let ours = std::env::current_exe()?;
    let beside = ours.ancestors().skip(1).take(2).map(|folder| folder.join("watchpost-worker"));
    let found = beside.into_iter().find(|path| path.is_file());
    found.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("watchpost-worker is not beside {}", ours.display())))
}

fn command(program: &Path, library: &Path, socket: UnixStream, left: [i32; 2]) -> Command {
    let mut command = Command::new(program);
    command.arg(library).arg(std::process::id().to_string());
    command.env_clear().envs(ENVIRONMENT.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
    command.stdin(Stdio::from(OwnedFd::from(socket))).stdout(Stdio::null()).stderr(Stdio::piped());
    // SAFETY: only setsid, dup2, fcntl and close_range, which are async-signal-safe, on descriptors that are open until the start is over.
    unsafe { command.pre_exec(move || leave(left)) };
    command
}

/// Leaves these as descriptors 3 and 4, in a process that is about to become the worker, and gives that a session of its own.
fn leave(fds: [i32; 2]) -> io::Result<()> {
    let done = |done: i32| if done < 0 { Err(io::Error::last_os_error()) } else { Ok(done) };
    // A signal typed at our terminal is ours to handle; and by its session a worker is known.
    // SAFETY: a plain setsid.
    done(unsafe { libc::setsid() })?;
    // Out of each other's way first: either may have the number of the other's place.
    // SAFETY: plain fcntl and dup2.
    let beyond = |fd| done(unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 10) });
    for (fd, place) in [(beyond(fds[0])?, 3), (beyond(fds[1])?, 4)] {
        // SAFETY: as above; what dup2 makes stays open over an exec.
        done(unsafe { libc::dup2(fd, place) })?;
    }
    // Of what we have open, and of what whoever started us had, it gets nothing else.
    end_with_us(5)
}

/// Reads what the worker says on standard error, and waits for its end.
fn watch(mut child: Child, ends: &OwnedFd) -> End {
    let (mut last_words, mut abort) = (Vec::new(), None);
    if let Some(mut stderr) = child.stderr.take() {
        // All that a pipe holds: after the end there is one last look.
        let mut chunk = vec![0; 64 * 1024];
        // Until the process ends, not until the pipe does: a program that an agent started may hold that for ever.
        let mut ended = false;
        while !ended {
            let speaks;
            (speaks, ended) = wait(stderr.as_raw_fd(), ends.as_raw_fd());
            let read = if speaks { stderr.read(&mut chunk).unwrap_or(0) } else { 0 };
            last_words.extend_from_slice(&chunk[..read]);
            abort = abort.or_else(|| Abort::of(&last_words));
            last_words.drain(..last_words.len().saturating_sub(LAST_WORDS_BYTES));
            // The pipe is closed: nothing more will be said.
            ended |= speaks && read == 0;
        }
    }
    // While nobody has waited for it, its number, and that of its session, is no other's.
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    while let Err(Errno::INTR) = waitid(WaitId::PidFd(ends.as_fd()), options) {}
    end_members(child.id(), || true);
    let status = child.wait().ok();
    End { status, lived_on: false, last_words: String::from_utf8_lossy(&last_words).into_owned(), abort }
}

/// Waits until a pipe can be read, or its process has ended.
fn wait(pipe: i32, process: i32) -> (bool, bool) {
    let mut looks = [pipe, process].map(|fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 });
    loop {
        // SAFETY: a plain poll of two descriptors that the caller holds open.
        let ready = unsafe { libc::poll(looks.as_mut_ptr(), 2, -1) };
        if ready >= 0 || io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
            break;
        }
    }
    (looks[0].revents != 0, looks[1].revents != 0)
}

impl End {
    /// Whether somebody outside asked the worker to end: nothing that goes wrong in a process sends it these.
    pub(super) fn was_asked_for(&self) -> bool {
        let signal = self.status.and_then(|status| status.signal());
        !self.lived_on && signal.is_some_and(|signal| [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGQUIT].contains(&signal))
    }

    /// Says how the worker ended, for people; fits behind "the worker".
    pub(super) fn how(&self) -> String {
        match self.status {
            _ if self.lived_on => "closed its connection and lived on".into(),
            None => "ended in a way that could not be learnt".into(),
            Some(status) => match (status.code(), status.signal()) {
                (Some(code), _) => format!("ended itself with exit code {code}"),
                (None, Some(signal)) => format!("died of signal {signal} ({})", self.signal_name(signal)),
                (None, None) => status.to_string(),
            },
        }
    }

    /// Names how it ended, for those who count.
    pub(super) fn name(&self) -> &'static str {
        let signal = self.status.and_then(|status| status.signal());
        match signal {
            _ if self.lived_on => "closed",
            _ if self.was_asked_for() => "asked",
            Some(libc::SIGABRT) => self.abort.map_or("abort", |abort| abort.name),
            Some(libc::SIGSEGV) => "segfault",
            Some(libc::SIGBUS) => "bus",
            Some(libc::SIGKILL) => "killed",
            Some(libc::SIGSYS) => "syscall",
            Some(_) => "signal",
            None if self.status.is_some() => "exit",
            None => "unknown",
        }
    }

    fn signal_name(&self, signal: i32) -> &'static str {
        let aborted = self.abort.filter(|_| signal == libc::SIGABRT);
        aborted.map_or_else(|| signal_name(signal), |abort| abort.explanation)
    }
}

fn signal_name(signal: i32) -> &'static str {
    match signal {
        libc::SIGABRT => "SIGABRT: abort",
        libc::SIGBUS => "SIGBUS: truncated file or bad address",
        libc::SIGHUP => "SIGHUP: hung up",
        libc::SIGINT => "SIGINT: interrupted",
        libc::SIGQUIT => "SIGQUIT: quit",
        libc::SIGFPE => "SIGFPE: arithmetic",
        libc::SIGILL => "SIGILL: bad instruction",
        libc::SIGKILL => "SIGKILL: ended from outside",
        libc::SIGSEGV => "SIGSEGV: bad memory access or stack overflow",
        libc::SIGSYS => "SIGSYS: forbidden system call",
        libc::SIGTERM => "SIGTERM: asked to end",
        libc::SIGTRAP => "SIGTRAP: trap",
        _ => "see signal(7)",
    }
}
