//! Programs of the measuring machine that an agent starts; the host owns the process.

use std::{
    fmt,
    future::poll_fn,
    io,
    path::{Path, PathBuf},
    pin::pin,
    task::Poll,
};

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{
    AgentError, ErrorKind, Stream,
    abi::{FfiChild, HostChildBox},
    cx::from_json,
};

/// Bytes of standard error that [`Child::output`] keeps: it is for people. The rest is read and dropped, so that the program goes on.
const STDERR_BYTES_MAX: usize = 64 * 1024;

/// A program, and how it is started: by its path, without a shell, in an environment of its own.
///
/// ```
/// # use watchpost_plugin_api::prelude::*;
/// # async fn queue(cx: &Cx) -> Result<(), AgentError> {
/// let queue = Program::new("/usr/sbin/postqueue").arg("-j").env("MAIL_CONFIG", "/etc/postfix");
/// let said = cx.output(&queue, 1 << 20).await?;
/// if !said.exit.is_success() {
///     return Err(AgentError::local(format!("postqueue {}", said.exit)));
/// }
/// # Ok(()) }
/// ```
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Program {
    /// Absolute, and one of [`Needs::programs`](crate::Needs::programs).
    pub path: PathBuf,
    /// What follows its name.
    pub arguments: Vec<String>,
    /// All of its environment, beside a plain `PATH` and `LC_ALL=C.UTF-8`, which these may replace.
    pub environment: Vec<(String, String)>,
    /// Where it starts; `/` if absent.
    pub folder: Option<PathBuf>,
    /// Whether it is given something to read; otherwise its standard input is empty.
    pub input: bool,
    /// Whether it may live on when the run has ended, as long as its [`Child`] does.
    pub outlives_run: bool,
}

impl fmt::Debug for Program {
    /// Without arguments and environment, which may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Program({}, {} arguments)", self.path.display(), self.arguments.len())
    }
}

impl Program {
    /// Names a program.
    pub fn new(path: impl AsRef<Path>) -> Self {
        Self { path: path.as_ref().to_owned(), ..Self::default() }
    }

    /// Adds an argument.
    pub fn arg(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Adds arguments.
    pub fn args<T: Into<String>>(mut self, arguments: impl IntoIterator<Item = T>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Sets a variable of its environment.
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Starts it in that directory.
    pub fn folder(mut self, folder: impl AsRef<Path>) -> Self {
        self.folder = Some(folder.as_ref().to_owned());
        self
    }

    /// Gives it something to read, by [`Child::stdin`].
    pub fn with_input(mut self) -> Self {
        self.input = true;
        self
    }

    /// Lets it live on when the run has ended: for one that is kept in `self`.
    pub fn outlives_run(mut self) -> Self {
        self.outlives_run = true;
        self
    }
}

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// What it said; `None` if a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
}

impl Exit {
    /// Says whether it ended with 0.
    pub fn is_success(&self) -> bool {
        self.code == Some(0)
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.code, self.signal) {
            (Some(code), _) => write!(f, "ended with {code}"),
            (None, Some(signal)) => write!(f, "ended by signal {signal}"),
            (None, None) => f.write_str("ended, nobody knows how"),
        }
    }
}

/// What a program gave, from beginning to end.
#[derive(Clone, PartialEq, Eq)]
pub struct Output {
    /// How it ended.
    pub exit: Exit,
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// Its standard error, the first 64 KiB.
    pub stderr: Vec<u8>,
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Output({}, {} bytes, {} bytes of errors)", self.exit, self.stdout.len(), self.stderr.len())
    }
}

/// A running program, in a process group of its own. When this is dropped, when its run ends and when its worker does, it is killed, and
/// so is all of its group.
pub struct Child {
    inner: HostChildBox,
    /// What it reads, where it was to be given something; its end comes when this is dropped.
    pub stdin: Option<Stream>,
    /// What it writes.
    pub stdout: Stream,
    /// What it complains of.
    pub stderr: Stream,
}

impl fmt::Debug for Child {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Child")
    }
}

impl Child {
    pub(crate) fn new(made: FfiChild) -> Self {
        let stdin = made.stdin.into_option().map(Stream::new);
        Self { inner: made.child, stdin, stdout: Stream::new(made.stdout), stderr: Stream::new(made.stderr) }
    }

    /// Waits until it has ended. Others of its group live on until this is dropped.
    pub async fn wait(&mut self) -> Result<Exit, AgentError> {
        from_json(self.inner.wait().await)
    }

    /// Kills it and all of its group, at once.
    pub fn kill(&mut self) -> Result<(), AgentError> {
        self.inner.kill().into_result().map_err(AgentError::from)
    }

    /// Gives it all of `input`, reads all that it says, and waits until it has ended.
    ///
    /// Errors: kind `limit` when it writes more than `bytes_max`, upon which it is killed.
    pub async fn output(mut self, input: &[u8], bytes_max: usize) -> Result<Output, AgentError> {
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        {
            let stdin = self.stdin.take();
            let mut feed = pin!(feed(stdin, input));
            let mut read = pin!(gather(&mut self.stdout, &mut stdout, bytes_max));
            let mut complain = pin!(keep(&mut self.stderr, &mut stderr));
            let (mut fed, mut read_all, mut complained) = (false, false, false);
            poll_fn(|task| {
                fed = fed || feed.as_mut().poll(task).is_ready();
                if !read_all {
                    match read.as_mut().poll(task) {
                        Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                        polled => read_all = polled.is_ready(),
                    }
                }
                complained = complained || complain.as_mut().poll(task).is_ready();
                if read_all && complained { Poll::Ready(Ok(())) } else { Poll::Pending }
            })
            .await?;
        }
        Ok(Output { exit: self.wait().await?, stdout, stderr })
    }
}

/// Writes all of the input. A program that ends without reading it has said what it had to say.
async fn feed(stdin: Option<Stream>, input: &[u8]) {
    if let Some(mut stdin) = stdin {
        let _broken_pipe = stdin.write_all(input).await;
    }
}

async fn gather(stdout: &mut Stream, into: &mut Vec<u8>, bytes_max: usize) -> Result<(), AgentError> {
    stdout.take((bytes_max as u64).saturating_add(1)).read_to_end(into).await.map_err(unreadable)?;
    match into.len() > bytes_max {
        true => Err(AgentError::new(ErrorKind::LIMIT, format!("the program wrote more than {bytes_max} bytes"))),
        false => Ok(()),
    }
}

/// Keeps the beginning, and reads on to the end.
async fn keep(stderr: &mut Stream, into: &mut Vec<u8>) {
    let mut room = [0; 4096];
    while let Ok(read @ 1..) = stderr.read(&mut room).await {
        let wanted = read.min(STDERR_BYTES_MAX - into.len());
        into.extend_from_slice(&room[..wanted]);
    }
}

fn unreadable(error: io::Error) -> AgentError {
    AgentError::local(format!("cannot read what the program writes: {error}"))
}
