//! The boundary: the only types that cross between host and library, and the fences on the library's side.
//!
//! Streams, datagrams, open files, programs, timers and `record` are vtables; everything else crosses as JSON whose unknown fields are ignored.
//! It is frozen at 1.0.0 (`plugin-api/frozen`): only append, after `last_prefix_field`; every new method has a default body; plain structs stay as they are.
//! abi_stable and async-ffi appear here, in `export_agents!` and in the loader, and nowhere else: they must stay replaceable.

#![allow(non_local_definitions, non_camel_case_types, missing_docs, reason = "what abi_stable's derives generate")]
#![expect(unsafe_code, reason = "the one place of this crate that needs it: drops under a fence")]

use std::{
    any::Any,
    cell::RefCell,
    future::Future,
    mem::ManuallyDrop,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Once,
    task::{Context, Poll},
};

pub use abi_stable::{
    StableAbi,
    library::RootModule,
    sabi_trait::TD_Opaque,
    std_types::{RBox, RErr, RNone, ROk, ROption, RResult, RSlice, RSliceMut, RSome, RStr, RString, RVec},
};
use abi_stable::{package_version_strings, sabi_trait, sabi_types::VersionStrings};
pub use async_ffi::{BorrowingFfiFuture, ContextExt, FfiContext, FfiFuture, FfiPoll, FutureExt};

use crate::{AgentError, ErrorKind, wire::MoreOfError};

/// A result that crosses.
pub type FfiResult<T> = RResult<T, FfiError>;
/// A stream of the host's, lent.
pub type HostStreamBox = HostStream_TO<'static, RBox<()>>;
/// A datagram socket of the host's, lent.
pub type HostDatagramBox = HostDatagram_TO<'static, RBox<()>>;
/// A file that the host has opened, lent.
pub type HostFileBox = HostFile_TO<'static, RBox<()>>;
/// A directory that the host is reading, lent.
pub type HostScanBox = HostScan_TO<'static, RBox<()>>;
/// A program that the host has started, lent.
pub type HostChildBox = HostChild_TO<'static, RBox<()>>;
/// What a run may ask the host for.
pub type HostCxBox = HostCx_TO<'static, RBox<()>>;
/// An agent of the library's, made for one job.
pub type RawAgentBox = RawAgent_TO<'static, RBox<()>>;

/// An error that crosses: [`AgentError`], field by field, and the number of an I/O error (0 where there is none). A plain struct cannot
/// grow, so whatever else there is to an error is JSON: [`MoreOfError`], or nothing.
#[repr(C)]
#[derive(StableAbi, Debug, Clone)]
pub struct FfiError {
    pub kind: u16,
    pub errno: i32,
    pub message: RString,
    pub path: RString,
    pub more: RString,
}

impl From<AgentError> for FfiError {
    fn from(error: AgentError) -> Self {
        let more = match error.others() {
            [] => String::new(),
            others => serde_json::to_string(&MoreOfError { others: others.to_vec() }).unwrap_or_default(),
        };
        Self { kind: error.kind().0, errno: 0, message: error.message().into(), path: error.path().into(), more: more.into() }
    }
}

impl From<FfiError> for AgentError {
    fn from(error: FfiError) -> Self {
        // What a newer side says beyond our understanding is no reason to lose the error itself.
        let more: MoreOfError = serde_json::from_str(&error.more).unwrap_or_default();
        Self::crossed(ErrorKind(error.kind), error.message.into(), error.path.into(), more.others)
    }
}

/// The answer to an HTTP request: [`HttpHead`](crate::HttpHead), and the body as a stream that is only read.
#[repr(C)]
#[derive(StableAbi)]
pub struct FfiHttpAnswer {
    pub head: RString,
    pub body: HostStreamBox,
}

/// A program that was started, and its ends.
#[repr(C)]
#[derive(StableAbi)]
pub struct FfiChild {
    pub child: HostChildBox,
    pub stdin: ROption<HostStreamBox>,
    pub stdout: HostStreamBox,
    pub stderr: HostStreamBox,
}

/// A byte stream that the host owns: a socket, with or without TLS over it.
#[sabi_trait]
pub trait HostStream: Send + Unpin {
    /// Reads into `buf`; 0 is the end.
    fn poll_read(&mut self, cx: &mut FfiContext<'_>, buf: RSliceMut<'_, u8>) -> FfiPoll<FfiResult<usize>>;
    /// Writes some of `buf`.
    fn poll_write(&mut self, cx: &mut FfiContext<'_>, buf: RSlice<'_, u8>) -> FfiPoll<FfiResult<usize>>;
    fn poll_flush(&mut self, cx: &mut FfiContext<'_>) -> FfiPoll<FfiResult<()>>;
    fn poll_shutdown(&mut self, cx: &mut FfiContext<'_>) -> FfiPoll<FfiResult<()>>;
    /// Turns the stream into a TLS one in place; takes [`Tls`](crate::Tls), gives [`TlsFacts`](crate::TlsFacts).
    fn start_tls<'a>(&'a mut self, tls: RStr<'a>) -> BorrowingFfiFuture<'a, FfiResult<RString>>;
    /// Has what passes from now on noted by its size, not as lines of text.
    fn set_binary(&mut self);
    /// Tells both ends; gives [`Ends`](crate::Ends).
    #[sabi(last_prefix_field)]
    fn ends(&self) -> FfiResult<RString>;
}

/// A datagram socket that the host owns, connected to one peer.
#[sabi_trait]
pub trait HostDatagram: Send + Unpin {
    /// Sends one datagram, whole.
    fn send<'a>(&'a mut self, datagram: RSlice<'a, u8>) -> BorrowingFfiFuture<'a, FfiResult<()>>;
    /// Receives one datagram into `buf`; what has no room there is lost.
    fn receive<'a>(&'a mut self, buf: RSliceMut<'a, u8>) -> BorrowingFfiFuture<'a, FfiResult<usize>>;
    /// Tells both ends; gives [`Ends`](crate::Ends).
    #[sabi(last_prefix_field)]
    fn ends(&self) -> FfiResult<RString>;
}

/// A file that the host has opened for reading.
#[sabi_trait]
pub trait HostFile: Send + Unpin {
    /// Reads from that offset on into `buf`; 0 is the end.
    fn read_at<'a>(&'a mut self, offset: u64, buf: RSliceMut<'a, u8>) -> BorrowingFfiFuture<'a, FfiResult<usize>>;
    /// Tells of the open file; gives [`FileStat`](crate::FileStat).
    #[sabi(last_prefix_field)]
    fn stat<'a>(&'a mut self) -> BorrowingFfiFuture<'a, FfiResult<RString>>;
}

/// A directory that the host reads piece by piece.
#[sabi_trait]
pub trait HostScan: Send + Unpin {
    /// Gives the next piece, a [`Scanned`](crate::wire::Scanned).
    #[sabi(last_prefix_field)]
    fn next<'a>(&'a mut self) -> BorrowingFfiFuture<'a, FfiResult<RString>>;
}

/// A program that the host has started.
#[sabi_trait]
pub trait HostChild: Send + Unpin {
    /// Waits until it has ended; gives [`Exit`](crate::Exit).
    fn wait<'a>(&'a mut self) -> BorrowingFfiFuture<'a, FfiResult<RString>>;
    /// Kills it, with all of its group.
    #[sabi(last_prefix_field)]
    fn kill(&mut self) -> FfiResult<()>;
}

/// What a run may ask the host for.
#[sabi_trait]
pub trait HostCx: Send + Sync {
    /// Opens a stream; takes [`Endpoint`](crate::Endpoint).
    fn connect(&self, endpoint: RStr<'_>) -> FfiFuture<FfiResult<HostStreamBox>>;
    /// Opens a datagram socket to one peer; takes a socket address.
    fn datagram(&self, peer: RStr<'_>) -> FfiFuture<FfiResult<HostDatagramBox>>;
    /// Answers a question (`resolve`, `stat`, `read_dir`, …); both ways JSON.
    fn ask(&self, question: RStr<'_>, detail: RStr<'_>) -> FfiFuture<FfiResult<RString>>;
    /// Takes a statement (`declare`, `event`, `log`, `note`); JSON.
    fn tell(&self, statement: RStr<'_>, detail: RStr<'_>) -> FfiResult<()>;
    fn sleep(&self, nanos: u64) -> FfiFuture<()>;
    /// Nanoseconds since the run began, monotonic.
    fn elapsed(&self) -> u64;
    /// Nanoseconds since 1970, as the wall clock has it.
    fn now(&self) -> i64;
    /// Nanoseconds until the deadline.
    fn remaining(&self) -> u64;
    /// Takes a sample; `labels` is a JSON object of strings, or empty.
    fn record(&self, metric: RStr<'_>, labels: RStr<'_>, value: f64);
    fn cursor(&self) -> ROption<RVec<u8>>;
    fn set_cursor(&self, cursor: RSlice<'_, u8>) -> FfiResult<()>;
    /// Opens a file for reading; takes a path.
    fn open(&self, path: RStr<'_>) -> FfiFuture<FfiResult<HostFileBox>>;
    /// Begins to read a directory; takes [`Scan`](crate::wire::Scan).
    fn scan(&self, scan: RStr<'_>) -> FfiFuture<FfiResult<HostScanBox>>;
    /// Asks by HTTP; takes [`HttpRequest`](crate::HttpRequest) and its body.
    fn http(&self, request: RStr<'_>, body: RVec<u8>) -> FfiFuture<FfiResult<FfiHttpAnswer>>;
    /// Starts a program; takes [`Program`](crate::Program).
    #[sabi(last_prefix_field)]
    fn spawn(&self, program: RStr<'_>) -> FfiFuture<FfiResult<FfiChild>>;
}

/// An agent made for one job.
#[sabi_trait]
pub trait RawAgent: Send {
    /// Measures once.
    fn measure<'a>(&'a mut self, cx: HostCxBox) -> BorrowingFfiFuture<'a, FfiResult<()>>;
    /// Tells what the job will touch; gives [`Needs`](crate::Needs).
    #[sabi(last_prefix_field)]
    fn needs(&self) -> RString;
}

/// What a library exports.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = PluginMod_Ref)))]
#[sabi(missing_field(panic))]
pub struct PluginMod {
    /// Whether a panic unwinds in this build; one that aborts is refused.
    pub panic_unwind: bool,
    /// The [`LibraryDescriptor`](crate::LibraryDescriptor).
    pub describe: extern "C" fn() -> FfiResult<RString>,
    /// Checks a configuration without making an agent; takes agent and configuration, gives [`Examined`](crate::wire::Examined).
    pub examine: extern "C" fn(RStr<'_>, RStr<'_>) -> FfiResult<RString>,
    /// Makes an agent for one job.
    #[sabi(last_prefix_field)]
    pub create: extern "C" fn(RStr<'_>, RStr<'_>) -> FfiResult<RawAgentBox>,
}

impl RootModule for PluginMod_Ref {
    abi_stable::declare_root_module_statics! {PluginMod_Ref}
    const BASE_NAME: &'static str = "watchpost_plugin";
    const NAME: &'static str = "watchpost plugin";
    const VERSION_STRINGS: VersionStrings = package_version_strings!();
}

thread_local! {
    /// Message and place of the last panic on this thread: the payload alone has no place.
    static LAST_PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Runs `body` behind a fence: a panic becomes an error of kind `panic` with its message and place.
pub fn fenced<T>(body: impl FnOnce() -> FfiResult<T>) -> FfiResult<T> {
    catch_panics();
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|payload| RErr(panicked(payload)))
}

/// Notes message and place of every panic in this library: a shared library has a panic hook of its own.
fn catch_panics() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        std::panic::set_hook(Box::new(|info| {
            let place = info.location().map(|at| format!(" at {}:{}", at.file(), at.line())).unwrap_or_default();
            LAST_PANIC.set(Some(format!("{}{place}", text_of(info.payload()))));
        }));
    });
}

fn text_of(payload: &dyn Any) -> &str {
    payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

fn panicked(payload: Box<dyn Any + Send>) -> FfiError {
    let message = LAST_PANIC.take().unwrap_or_else(|| text_of(&*payload).to_owned());
    // A payload may panic again in its own drop; leaking a few bytes beats losing the worker.
    std::mem::forget(payload);
    AgentError::new(ErrorKind::PANIC, message).into()
}

/// A future of the library's behind a fence: neither polling nor dropping it can unwind into the host.
pub struct Fenced<F> {
    future: FencedDrop<F>,
    finished: bool,
}

impl<F> Fenced<F> {
    /// Puts a future behind the fence.
    pub fn new(future: F) -> Self {
        Self { future: FencedDrop::new(future), finished: false }
    }
}

impl<T, F: Future<Output = FfiResult<T>>> Future for Fenced<F> {
    type Output = FfiResult<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // SAFETY: `future` is structurally pinned: it is never moved out, and dropped in place.
        let this = unsafe { self.get_unchecked_mut() };
        if this.finished {
            return Poll::Ready(RErr(AgentError::new(ErrorKind::PANIC, "polled after its end").into()));
        }
        // SAFETY: as above.
        let future = unsafe { Pin::new_unchecked(this.future.get_mut()) };
        let polled = catch_unwind(AssertUnwindSafe(|| future.poll(cx))).unwrap_or_else(|payload| Poll::Ready(RErr(panicked(payload))));
        this.finished = polled.is_ready();
        polled
    }
}

/// Drops a value behind a fence: a panic in its `drop` ends there.
pub(crate) struct FencedDrop<T>(ManuallyDrop<T>);

impl<T> FencedDrop<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(ManuallyDrop::new(value))
    }

    pub(crate) fn get_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<T> Drop for FencedDrop<T> {
    fn drop(&mut self) {
        // SAFETY: dropped exactly once, here, and not used again.
        let dropped = catch_unwind(AssertUnwindSafe(|| unsafe { ManuallyDrop::drop(&mut self.0) }));
        if let Err(payload) = dropped {
            std::mem::forget(payload);
        }
    }
}

/// Runs `body` of the host's side behind a fence: abi_stable ends the process when a method unwinds.
pub fn host_fenced<T>(body: impl FnOnce() -> FfiResult<T>) -> FfiResult<T> {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|payload| {
        let text = text_of(&*payload).to_owned();
        std::mem::forget(payload);
        RErr(AgentError::new(ErrorKind::LOCAL, format!("the host's own service panicked: {text}")).into())
    })
}
