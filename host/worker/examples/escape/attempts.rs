//! Ways out of a sandbox, each tried as a library would that means harm: by the system's own calls, not by what the host lends.

use std::{
    ffi::CString,
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::{ffi::OsStrExt, net::UnixStream},
    path::{Path, PathBuf},
    process::Command,
    ptr::null_mut,
    time::Duration,
};

use schemars::JsonSchema;
use serde::Deserialize;

/// Made, for its owner alone (shmget(2)).
const KEPT: i64 = 0o1600;
/// Takes back what was made.
const IPC_RMID: i64 = 0;

/// A way out.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Way {
    /// Reads a file.
    Read,
    /// Lists a folder.
    List,
    /// Creates a file.
    Create,
    /// Appends to a file.
    Append,
    /// Removes a file.
    Remove,
    /// Changes a file's mode.
    Chmod,
    /// Cuts a file short by its name.
    Truncate,
    /// Connects to a port.
    Connect,
    /// Connects to a port by another protocol that falls back to TCP.
    ConnectOtherwise,
    /// Connects to a port by the first bytes sent.
    ConnectBySending,
    /// Listens at a port.
    Listen,
    /// Hears of the machine's devices.
    Netlink,
    /// Asks the daemon at its socket.
    AskDaemon,
    /// Traces a process.
    Trace,
    /// Reads another process's memory.
    ReadMemory,
    /// Names another process's memory as a file.
    OpenMemory,
    /// Reads another process's environment.
    ReadEnvironment,
    /// Signals a process.
    Signal,
    /// Reads another process's limits, as whoever sets them would.
    Limits,
    /// Changes how another process is scheduled.
    Schedule,
    /// Starts a program.
    Exec,
    /// Has a program read a file.
    ExecCat,
    /// Makes a process.
    Fork,
    /// Makes a process with users of its own.
    ForkUsers,
    /// Makes a file in memory, to start it.
    Memfd,
    /// Gives itself a new session in a new process.
    Session,
    /// Mounts a file system.
    Mount,
    /// Leaves a namespace.
    Unshare,
    /// Enters a namespace.
    Setns,
    /// Loads a program into the kernel.
    Bpf,
    /// Looks for keys.
    Keyctl,
    /// Adds a key.
    AddKey,
    /// Changes its user.
    Setuid,
    /// Asks for calls past the filter.
    IoUring,
    /// Takes over page faults.
    Userfaultfd,
    /// Measures the machine.
    Perf,
    /// Makes memory that has no file and outlives it.
    SharedMemory,
    /// Makes a queue of messages that outlives it.
    MessageQueue,
    /// Makes semaphores that outlive it.
    Semaphores,
    /// Opens a queue of messages by name.
    NamedQueue,
    /// Hears who touches what in a folder.
    Inotify,
    /// Hears who touches what on a file system.
    Fanotify,
    /// Learns size and times of a file.
    Stat,
}

/// What is tried, and on what.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Attempt {
    /// How.
    way: Way,
    /// A file or folder.
    #[serde(default)]
    path: PathBuf,
    /// A port of this machine.
    #[serde(default)]
    port: u16,
    /// A process.
    #[serde(default)]
    pid: i32,
}

impl Attempt {
    /// Tries it.
    pub(crate) fn make(&self) -> io::Result<()> {
        let Self { way, path, port, pid } = self;
        let address = ([127, 0, 0, 1], *port).into();
        match way {
            Way::Read => read_some(path),
            Way::List => fs::read_dir(path).map(drop),
            Way::Create => File::create(path.join(format!("escaped-{}", std::process::id()))).map(drop),
            Way::Append => OpenOptions::new().append(true).open(path).map(drop),
            Way::Remove => fs::remove_file(path),
            Way::Chmod => answered(unsafe { libc::chmod(text(path).as_ptr(), 0o644) }.into()),
            Way::Truncate => answered(unsafe { libc::truncate(text(path).as_ptr(), 1) }.into()),
            Way::Connect => TcpStream::connect_timeout(&address, Duration::from_secs(2)).map(drop),
            Way::ConnectOtherwise => connect_otherwise(*port),
            Way::ConnectBySending => connect_by_sending(*port),
            Way::Listen => TcpListener::bind(("127.0.0.1", 0)).map(drop),
            Way::Netlink => close(unsafe { libc::socket(libc::AF_NETLINK, libc::SOCK_RAW, 15) }),
            Way::AskDaemon => ask_daemon(path),
            Way::Trace => traced(*pid),
            Way::ReadMemory => read_memory(*pid),
            Way::OpenMemory => File::open(format!("/proc/{pid}/mem")).map(drop),
            Way::ReadEnvironment => read_some(format!("/proc/{pid}/environ").as_ref()),
            Way::Signal => answered(unsafe { libc::kill(*pid, 0) }.into()),
            Way::Limits => {
                let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
                answered(unsafe { libc::prlimit(*pid, libc::RLIMIT_NOFILE, std::ptr::null(), &raw mut limit) }.into())
            }
            Way::Schedule => {
                let usual = libc::sched_param { sched_priority: 0 };
                answered(unsafe { libc::sched_setscheduler(*pid, libc::SCHED_OTHER, &raw const usual) }.into())
            }
            Way::Exec => Command::new(path).output().map(drop),
            Way::ExecCat => exec_cat(path),
            Way::Fork => forked(libc::SIGCHLD, || 0),
            Way::ForkUsers => forked(libc::SIGCHLD | libc::CLONE_NEWUSER, || 0),
            Way::Session => forked(libc::SIGCHLD, || if unsafe { libc::setsid() } < 0 { last_error() } else { 0 }),
            Way::Memfd => close(unsafe { libc::memfd_create(c"escape".as_ptr(), 0) }),
            // With nothing to read: a kernel that gets to see the call says so, and makes nothing.
            Way::Mount => called(libc::SYS_mount, [1, 1, 1, 0]),
            Way::Unshare => answered(unsafe { libc::unshare(libc::CLONE_FS) }.into()),
            Way::Setns => called(libc::SYS_setns, [-1, 0, 0, 0]),
            Way::Bpf => called(libc::SYS_bpf, [9999, 0, 0, 0]),
            Way::Keyctl => called(libc::SYS_keyctl, [0, -3, 1, 0]),
            Way::AddKey => called(libc::SYS_add_key, [1, 1, 0, 0]),
            Way::Setuid => called(libc::SYS_setuid, [i64::from(unsafe { libc::getuid() }), 0, 0, 0]),
            Way::IoUring => called(libc::SYS_io_uring_setup, [0, 0, 0, 0]),
            Way::Userfaultfd => called(libc::SYS_userfaultfd, [1, 0, 0, 0]),
            // What was made is taken back: it would outlive the test.
            Way::SharedMemory => taken_back(libc::SYS_shmget, [0, 4096, KEPT, 0], |id| called(libc::SYS_shmctl, [id, IPC_RMID, 0, 0])),
            Way::MessageQueue => taken_back(libc::SYS_msgget, [0, KEPT, 0, 0], |id| called(libc::SYS_msgctl, [id, IPC_RMID, 0, 0])),
            Way::Semaphores => taken_back(libc::SYS_semget, [0, 1, KEPT, 0], |id| called(libc::SYS_semctl, [id, 0, IPC_RMID, 0])),
            Way::NamedQueue => named_queue(),
            Way::Inotify => inotify(path),
            Way::Fanotify => called(libc::SYS_fanotify_mark, [-1, 0, 0, 0]),
            Way::Stat => fs::metadata(path).map(drop),
            Way::Perf => called(libc::SYS_perf_event_open, [0, 0, -1, -1]),
        }
    }
}

fn text(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).unwrap_or_default()
}

fn answered(answer: i64) -> io::Result<()> {
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn called(call: libc::c_long, with: [i64; 4]) -> io::Result<()> {
    let [a, b, c, d] = with;
    // SAFETY: none of these is given memory that exists.
    answered(unsafe { libc::syscall(call, a, b, c, d) })
}

/// Makes something by a call, and takes it back.
fn taken_back(call: libc::c_long, with: [i64; 4], back: impl FnOnce(i64) -> io::Result<()>) -> io::Result<()> {
    let [a, b, c, d] = with;
    // SAFETY: none of these is given memory.
    let id = unsafe { libc::syscall(call, a, b, c, d) };
    answered(id)?;
    back(id)
}

/// A queue of that name is nobody's: it is made and removed.
fn named_queue() -> io::Result<()> {
    let name = c"/watchpost-escape";
    // SAFETY: the name lives as long.
    unsafe {
        let queue = libc::mq_open(name.as_ptr(), libc::O_RDWR);
        // A kernel that gets to see the call says that there is none.
        if queue < 0 && last_error() == libc::ENOENT {
            return Ok(());
        }
        close(queue)
    }
}

fn inotify(path: &Path) -> io::Result<()> {
    // SAFETY: the path lives as long.
    unsafe {
        let watch = libc::inotify_init1(libc::IN_CLOEXEC);
        answered(watch.into())?;
        let added = answered(libc::inotify_add_watch(watch, text(path).as_ptr(), libc::IN_ALL_EVENTS).into());
        close(watch).and(added)
    }
}

fn close(descriptor: i32) -> io::Result<()> {
    answered(descriptor.into())?;
    // SAFETY: just opened.
    answered(unsafe { libc::close(descriptor) }.into())
}

fn last_error() -> i32 {
    io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO)
}

fn read_some(path: &Path) -> io::Result<()> {
    File::open(path)?.read(&mut [0; 16]).map(drop)
}

fn connect_otherwise(port: u16) -> io::Result<()> {
    // SAFETY: plain calls with an address that lives as long.
    unsafe {
        let socket = libc::socket(libc::AF_INET, libc::SOCK_STREAM, libc::IPPROTO_MPTCP);
        answered(socket.into())?;
        let there = here(port);
        let connected = answered(libc::connect(socket, (&raw const there).cast(), size_of_val(&there) as u32).into());
        libc::close(socket);
        connected
    }
}

fn connect_by_sending(port: u16) -> io::Result<()> {
    // SAFETY: plain calls with an address and bytes that live as long.
    unsafe {
        let socket = libc::socket(libc::AF_INET, libc::SOCK_STREAM, 0);
        answered(socket.into())?;
        let there = here(port);
        let sent = libc::sendto(socket, c"x".as_ptr().cast(), 1, libc::MSG_FASTOPEN, (&raw const there).cast(), size_of_val(&there) as u32);
        let sent = answered(sent as i64);
        libc::close(socket);
        sent
    }
}

fn here(port: u16) -> libc::sockaddr_in {
    libc::sockaddr_in {
        sin_family: libc::AF_INET as u16,
        sin_port: port.to_be(),
        sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes([127, 0, 0, 1]) },
        sin_zero: [0; 8],
    }
}

fn ask_daemon(path: &Path) -> io::Result<()> {
    let mut daemon = UnixStream::connect(path)?;
    daemon.set_read_timeout(Some(Duration::from_secs(5)))?;
    let answered = daemon.write_all(b"GET /api/v1/jobs HTTP/1.0\r\n\r\n").and_then(|()| daemon.read(&mut [0; 16]));
    match answered {
        Ok(1..) => Ok(()),
        // Nobody answers whom the daemon turns away.
        _ => Err(io::Error::from_raw_os_error(libc::EACCES)),
    }
}

/// Traces a process from a thread that ends: so does its tracing.
fn traced(pid: i32) -> io::Result<()> {
    // SAFETY: a plain ptrace without memory.
    let trace = move || answered(unsafe { libc::ptrace(libc::PTRACE_SEIZE, pid, null_mut::<u8>(), null_mut::<u8>()) });
    std::thread::spawn(trace).join().unwrap_or_else(|_| Err(io::Error::other("panicked")))
}

fn read_memory(pid: i32) -> io::Result<()> {
    let mut room = [0_u8; 8];
    let ours = libc::iovec { iov_base: room.as_mut_ptr().cast(), iov_len: room.len() };
    // Where nothing is: a kernel that lets us read says that it cannot.
    let theirs = libc::iovec { iov_base: 8 as *mut _, iov_len: room.len() };
    // SAFETY: reads into `room` at most.
    answered(unsafe { libc::process_vm_readv(pid, &raw const ours, 1, &raw const theirs, 1, 0) } as i64)
}

fn exec_cat(path: &Path) -> io::Result<()> {
    let output = Command::new("/bin/cat").arg(path).output()?;
    if output.status.success() { Ok(()) } else { Err(io::Error::from_raw_os_error(libc::EACCES)) }
}

/// Makes a process that ends at once, with what came of `child` as its exit code.
fn forked(flags: i32, child: impl FnOnce() -> i32) -> io::Result<()> {
    // SAFETY: the child calls nothing that takes memory or locks.
    let pid = unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) };
    answered(pid)?;
    if pid == 0 {
        let code = child();
        // SAFETY: ends the child without anything of the parent's.
        unsafe { libc::_exit(code) };
    }
    let mut status = 0;
    // SAFETY: waits for the child just made.
    answered(unsafe { libc::waitpid(pid as i32, &raw mut status, 0) }.into())?;
    match libc::WEXITSTATUS(status) {
        0 => Ok(()),
        errno => Err(io::Error::from_raw_os_error(errno)),
    }
}
