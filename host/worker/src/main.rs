//! `watchpost-worker LIBRARY DAEMON`: started by the daemon, with its end of a socket pair as standard input, a shared page as descriptor 3,
//! and the library's snapshot, or the room for it, as descriptor 4.

#![expect(unsafe_code, reason = "takes over the descriptors that the daemon left for it")]

use std::{
    ffi::OsStr,
    fs::File,
    io,
    os::{
        fd::{FromRawFd, OwnedFd},
        unix::{ffi::OsStrExt, net::UnixStream},
    },
    path::Path,
    process::ExitCode,
};

use watchpost_services::descriptors::end_with_us;
use watchpost_worker::{
    confine::Confinement,
    frames::{self, FromWorker, Task, numbered::write_only},
    load::{Library, Refusal, taken},
    page::{Page, dying::witness},
    serve::serve,
    snapshot::Snapshot,
};

/// Where the daemon leaves the shared page.
const PAGE_FD: i32 = 3;
/// Where the daemon leaves the library's snapshot.
const SNAPSHOT_FD: i32 = 4;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let daemon = arguments.get(1).and_then(|pid| pid.to_str()?.parse().ok());
    let (Some(library), Some(daemon)) = (arguments.first(), daemon) else {
        eprintln!("error: watchpost-worker is started by watchpost, not by hand");
        return ExitCode::from(2);
    };
    die_with(daemon);
    die_first();
    match run(Path::new(library)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(library: &Path) -> io::Result<()> {
    // They came to us over an exec, and go no further; nor does what whoever started the daemon had open.
    end_with_us(PAGE_FD.unsigned_abs())?;
    // SAFETY: descriptor 0 is the socket that the daemon left for us; nothing else of this process uses it.
    let mut daemon = UnixStream::from(unsafe { OwnedFd::from_raw_fd(0) });
    // SAFETY: descriptor 3 is the page that the daemon left for us.
    let file = File::from(unsafe { OwnedFd::from_raw_fd(PAGE_FD) });
    witness(Page::map(&file)?)?;
    let page = Page::map(&file)?;
    drop(file);
    // SAFETY: descriptor 4 is the snapshot that the daemon left for us.
    let snapshot = Snapshot::of(File::from(unsafe { OwnedFd::from_raw_fd(SNAPSHOT_FD) }));
    let Some(Task { file, confinement }) = frames::read_first(&mut daemon)? else { return Ok(()) };
    // While there is one thread: what is started from now on is confined as well.
    let snapshot = confined(snapshot, OsStr::from_bytes(&file).as_ref(), &confinement);
    daemon.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (from, mut to) = tokio::net::UnixStream::from_std(daemon)?.into_split();
        match snapshot.and_then(|snapshot| Library::load_by(snapshot, library)) {
            Ok(library) => serve(library, page, tokio::io::BufReader::with_capacity(frames::PIECE_BYTES, from), to).await,
            Err(refusal) => write_only(&FromWorker::Refused { reason: refusal.to_string() }, &mut to).await,
        }
    })?;
    // What agents left running in the blocking pool (a name server that does not answer) must not hold up the end.
    runtime.shutdown_background();
    Ok(())
}

/// Takes the snapshot of a library's file, and gives up everything that is not needed to run it; none of its code has run yet.
fn confined(snapshot: Snapshot, file: &Path, confinement: &Confinement) -> Result<Snapshot, Refusal> {
    let snapshot = taken(snapshot, file)?;
    confinement.apply()?;
    Ok(snapshot)
}

/// A worker without its daemon measures for nobody.
fn die_with(daemon: u32) {
    // SAFETY: a plain prctl. The daemon starts each worker from a thread that outlives it, as this signal asks.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    // The daemon may have died before that call.
    if std::os::unix::process::parent_id() != daemon {
        std::process::exit(1);
    }
}

/// When memory runs out a worker goes before the daemon does.
fn die_first() {
    // A kernel that does not take it lets its own judgement stand.
    let _refused = std::fs::write("/proc/self/oom_score_adj", "1000");
}
