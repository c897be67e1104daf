//! A running program, lent to an agent.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    process::Child,
    sync::Arc,
    thread,
};

use rustix::process::{Pid, PidfdFlags, WaitId, WaitIdOptions, pidfd_open, waitid};
use tokio::io::{Interest, unix::AsyncFd};
use watchpost_plugin_api::{
    AgentError, Exit,
    abi::{BorrowingFfiFuture, FfiError, FfiResult, HostChild, ROk, RString, host_fenced},
};

use super::group::Group;
use crate::{answers::json, dialogue::Dialogue, stream::reason};

/// A program that was started. Its end is seen without taking it, so that its number, by which its group is killed, stays its own until then.
pub(crate) struct Running {
    group: Arc<Group>,
    /// Readable once it has ended.
    ended: AsyncFd<OwnedFd>,
    /// Waited for when this is dropped; taken then.
    child: Option<Child>,
    dialogue: Arc<Dialogue>,
    /// Whether its end was noted.
    noted: bool,
}

impl Running {
    /// Takes care of a program that was just started.
    pub(crate) fn new(child: Child, dialogue: Arc<Dialogue>) -> io::Result<Self> {
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::InvalidInput)?;
        let group = Arc::new(Group::new(pid));
        let watch = pidfd_open(pid, PidfdFlags::empty()).map_err(io::Error::from);
        let watch = watch.and_then(watched);
        match watch {
            Ok(ended) => Ok(Self { group, ended, child: Some(child), dialogue, noted: false }),
            Err(error) => {
                group.end();
                reap(child);
                Err(error)
            }
        }
    }

    pub(crate) fn group(&self) -> &Arc<Group> {
        &self.group
    }

    async fn wait(&mut self) -> io::Result<Exit> {
        loop {
            let mut ready = self.ended.readable().await?;
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
            if let Some(status) = waitid(WaitId::PidFd(self.ended.get_ref().as_fd()), options)? {
                let exit = Exit { code: status.exit_status(), signal: status.terminating_signal() };
                if !std::mem::replace(&mut self.noted, true) {
                    self.dialogue.note(&format!("the program {exit}"));
                }
                return Ok(exit);
            }
            ready.clear_ready();
        }
    }
}

/// Has the runtime watch for the end of a process.
#[expect(unsafe_code, reason = "registered as it is, a descriptor could be closed under the runtime's feet")]
fn watched(process: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: it is owned by what is made of it, and closed with it.
    let watched = unsafe { AsyncFd::register_with_interest(process, Interest::READABLE) };
    watched.map_err(io::Error::from)
}

impl Drop for Running {
    fn drop(&mut self) {
        self.group.end();
        if let Some(child) = self.child.take() {
            reap(child);
        }
    }
}

/// Waits for a program that was killed. It dies at once, unless a disk holds it; then a thread waits.
fn reap(mut child: Child) {
    if matches!(child.try_wait(), Ok(None)) {
        // Without a thread it stays a zombie until the worker ends, which is the lesser evil.
        let _waiting = thread::Builder::new().name("reaper".into()).stack_size(64 * 1024).spawn(move || child.wait());
    }
}

impl HostChild for Running {
    fn wait<'a>(&'a mut self) -> BorrowingFfiFuture<'a, FfiResult<RString>> {
        BorrowingFfiFuture::new(async move {
            let waited =
                Self::wait(self).await.map_err(|error| AgentError::local(format!("cannot wait for the program: {}", reason(&error))));
            waited.and_then(|exit| json(&exit)).map(RString::from).map_err(FfiError::from).into()
        })
    }

    fn kill(&mut self) -> FfiResult<()> {
        host_fenced(|| {
            self.group.kill();
            ROk(())
        })
    }
}
