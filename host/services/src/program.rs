//! Programs that agents start: without a shell, in an environment of their own, each in a process group that ends with whoever asked for it.

mod child;
mod group;
mod image;
mod obstacle;

use std::{
    io,
    os::{fd::OwnedFd, unix::process::CommandExt},
    path::Component,
    process::{ChildStdin, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use rustix::process::{Signal, getpid, getppid, set_parent_process_death_signal};
use tokio::net::unix::pipe;
use watchpost_plugin_api::{
    AgentError, Needs, Program,
    abi::{FfiChild, HostChild_TO, HostStream_TO, TD_Opaque},
};

pub(crate) use group::Groups;
pub use obstacle::obstacle;

use crate::{
    birthmark::Birthmark,
    descriptors::end_with_us,
    dialogue::{Dialogue, Speaker},
    stream::{Connection, Io, reason},
    tls::TlsClients,
};
use child::Running;
use image::Image;

/// Where a program looks for others.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// What it writes is text of one sort, whatever the machine speaks.
const LOCALE: &str = "C.UTF-8";

/// A program that is just being replaced cannot be started (execve(2), "ETXTBSY"), and soon can.
const BUSY_TRIES: u32 = 20;
const BUSY_PAUSE: Duration = Duration::from_millis(25);

/// What a start may use.
pub(crate) struct Means {
    pub(crate) dialogue: Arc<Dialogue>,
    pub(crate) tls: Arc<TlsClients>,
    pub(crate) needs: Arc<Needs>,
    /// Programs that end with the run.
    pub(crate) of_run: Arc<Groups>,
    /// Programs that may outlive it.
    pub(crate) of_job: Arc<Groups>,
}

/// Starts a program that the agent said it would.
pub(crate) async fn start(means: Means, program: Program) -> Result<FfiChild, AgentError> {
    let shown = program.path.display().to_string();
    let failed = |why: &str| AgentError::local(format!("cannot start {shown}: {why}"));
    if !program.path.is_absolute() {
        return Err(failed("its path is not absolute"));
    }
    let parents = program.path.components().any(|component| component == Component::ParentDir);
    if parents || !means.needs.programs.iter().any(|declared| program.path.starts_with(declared)) {
        return Err(failed("it is no program of which the agent said that it starts it"));
    }
    let place = if program.outlives_run { means.of_job.place()? } else { means.of_run.place()? };
    let image =
        Image::of(&program, [("PATH", PATH), ("LC_ALL", LOCALE)]).map_err(|_| failed("a NUL is in its arguments or its environment"))?;
    let mut command = command(&program, image);
    let mut child = spawn(&mut command).await.map_err(|error| failed(&obstacle::why(&error, &program.path)))?;
    means.dialogue.note_said(Speaker::Host, &format!("started {shown} {}", program.arguments.join(" ")));
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let running = Running::new(child, means.dialogue.clone()).map_err(|error| failed(&reason(&error)))?;
    place.take(running.group());
    let unusable = |error: io::Error| failed(&reason(&error));
    let from = |end: Option<OwnedFd>| end.ok_or_else(gone).and_then(pipe::Receiver::from_owned_fd).map(Io::From).map_err(unusable);
    let into = |end: ChildStdin| pipe::Sender::from_owned_fd(end.into()).map(|end| Io::Into(Some(end))).map_err(unusable);
    let lend = |io: Io| HostStream_TO::from_value(Connection::of(io, means.dialogue.clone(), means.tls.clone()), TD_Opaque);
    Ok(FfiChild {
        stdin: stdin.map(into).transpose()?.map(lend).into(),
        stdout: lend(from(stdout.map(OwnedFd::from))?),
        stderr: lend(from(stderr.map(OwnedFd::from))?),
        child: HostChild_TO::from_value(running, TD_Opaque),
    })
}

fn gone() -> io::Error {
    io::Error::other("its output cannot be read")
}

fn command(program: &Program, image: Image) -> Command {
    let mut command = Command::new(&program.path);
    command.current_dir(program.folder.as_deref().unwrap_or("/".as_ref()));
    command.stdin(if program.input { Stdio::piped() } else { Stdio::null() }).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.process_group(0);
    become_it(&mut command, image);
    command
}

/// Has the program inherit no descriptor but its own three and be known by its birthmark, and the kernel kill it when we are: a worker that hangs is
/// killed without a word. The kernel does so for neither a program's own children nor one that changes its user or group when it starts (prctl(2), "PR_SET_PDEATHSIG").
///
/// It is started here and not where this returns to: there a file that is no program would be read by a shell (execvp(3), "ENOEXEC").
#[expect(unsafe_code, reason = "what runs between fork and exec has to be told from what runs anywhere")]
fn become_it(command: &mut Command, image: Image) {
    let us = getpid();
    let birthmark = Birthmark::next(us);
    // SAFETY: a few plain system calls, and no memory of the parent's is written or allocated.
    unsafe {
        command.pre_exec(move || {
            set_parent_process_death_signal(Some(Signal::KILL))?;
            // Whatever a library has open is not the program's.
            end_with_us(3)?;
            birthmark.bear();
            // We may have died before that call.
            if getppid() == Some(us) { Err(image.replace_us()) } else { Err(io::ErrorKind::BrokenPipe.into()) }
        });
    }
}

/// Starts it, from this very thread: the kernel takes its end for ours.
async fn spawn(command: &mut Command) -> io::Result<std::process::Child> {
    let mut tries = BUSY_TRIES;
    loop {
        match command.spawn() {
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy && tries > 0 => tries -= 1,
            other => return other,
        }
        tokio::time::sleep(BUSY_PAUSE).await;
    }
}
