//! All that an agent's author needs, and nothing of the host.
//!
//! Reading order: [`Agent`] (what an author writes) · [`Cx`] (what a run may ask for) · [`Metric`] (what it declares) ·
//! [`AgentError`] (how it fails) · [`Door`] (where a service is entered) · [`Lines`] (line-based protocols) ·
//! [`export_agents!`] (how a library carries agents).
//! The ABI lives in one module, [`abi`]; no author needs it.
//!
//! # What a run may ask for
//!
//! The host owns sockets, TLS, files, processes, timers and clocks, and lends them; an agent brings no runtime. Everything that waits ends
//! with the run's deadline, and what is lent may be kept in `self` over runs, unless the table says otherwise.
//!
//! | for | ask | and get | in [`Needs`] |
//! |---|---|---|---|
//! | a TCP or Unix stream | [`Cx::connect`] | [`Stream`]: any tokio stream; [`Lines`] over it | [`tcp`](Needs::tcp), [`socket`](Needs::socket) |
//! | a service by its configuration | [`Door`] | a [`Stream`], its phases timed, TLS by [`TlsMode`] | [`tcp`](Needs::tcp) |
//! | TLS on it, verified or inspected | [`Stream::start_tls`] with [`Tls`] | [`TlsFacts`]: version, cipher, each [`Certificate`], [`TlsVerdict`] | |
//! | datagrams | [`Cx::datagram`] | [`Datagram`] | [`udp`](Needs::udp) |
//! | addresses of a name | [`Cx::resolve`] | addresses, uncached | |
//! | a page by HTTP/1.1 | [`Cx::http`] with [`HttpRequest`] | [`HttpResponse`]: status, headers, [`HttpTimes`], a streamed [`HttpBody`] | [`tcp`](Needs::tcp) |
//! | a file | [`Cx::open`], [`Cx::read`], [`Cx::stat`] | [`File`], which keeps its identity; bytes; [`FileStat`] | [`read`](Needs::read) |
//! | a directory | [`Cx::read_dir`], [`Cx::scan`], [`Cx::scan_names`] | a bounded list; entries or names without a bound | [`read`](Needs::read) |
//! | to remove a file | [`Cx::remove_file`] | whether it was there | [`remove_in`](Needs::remove_in), held to |
//! | a program | [`Cx::output`], [`Cx::spawn`] with [`Program`] | [`Output`]; [`Child`] with its streams, killed with the run | [`program`](Needs::program), held to |
//! | time | [`Cx::elapsed`], [`Cx::now`], [`Cx::remaining`], [`Cx::sleep`], [`Cx::within`] | | |
//! | phases that add up | [`Cx::laps`] | [`Laps`] | |
//!
//! And it leaves: samples ([`Cx::record`], [`Cx::record_with`], [`Cx::declare`]), events ([`Cx::event`]), a cursor for the next run
//! ([`Cx::cursor`], [`Cx::set_cursor`]), a log ([`Cx::log`]), and words for the dialogue ([`Cx::note_sent`], [`Cx::note_received`]). What it
//! makes of a secret it hides ([`Cx::hide`]); the configuration's own are masked wherever they show, in base64 and percent-encoding too.
//!
//! # An agent
//!
//! ```
//! use watchpost_plugin_api::prelude::*;
//!
//! const ANSWER_TIME: Metric = Metric::gauge("answer_time", Unit::Seconds, "Time from the request to the first byte of the answer.");
//! const BYTES: Metric = Metric::gauge("bytes", Unit::Bytes, "Size of the page.");
//!
//! #[derive(Deserialize, JsonSchema)]
//! #[serde(deny_unknown_fields)]
//! pub struct Config {
//!     /// The page, e.g. "https://mail.example.org/".
//!     url: String,
//! }
//!
//! pub struct Page(Config);
//!
//! impl Agent for Page {
//!     type Config = Config;
//!     const NAME: &'static str = "page";
//!     const METRICS: &'static [Metric] = &[ANSWER_TIME, BYTES];
//!
//!     fn new(config: Config) -> Result<Self, AgentError> {
//!         Ok(Self(config))
//!     }
//!
//!     fn target(config: &Config) -> String {
//!         config.url.clone()
//!     }
//!
//!     fn needs(_: &Config) -> Needs {
//!         Needs::none().tcp(443)
//!     }
//!
//!     async fn measure(&mut self, cx: &Cx) -> Result<(), AgentError> {
//!         let response = cx.http(HttpRequest::get(&self.0.url)).await?;
//!         if response.status() != 200 {
//!             return Err(AgentError::protocol(format!("status {}", response.status())));
//!         }
//!         cx.record(ANSWER_TIME, response.times().wait());
//!         cx.record(BYTES, response.bytes(1 << 20).await?.len());
//!         Ok(())
//!     }
//! }
//! ```
//!
//! `watchpost new-agent NAME` writes a whole crate like this one, with a test and a job.
//!
//! # For ever
//!
//! From 1.0.0 on this interface only grows: a library that was built against it loads in every later host. Structs that authors make are
//! made by functions, so that a field more breaks no source; what may be added where stands in `plugin-api/frozen/README.md`.

pub mod abi;
mod agent;
mod certificate;
mod cx;
mod datagram;
mod door;
mod error;
mod file;
mod files;
mod http;
mod laps;
mod lines;
mod login;
mod metric;
mod needs;
mod path;
mod program;
mod quoted;
mod resolve;
mod scan;
mod secret;
mod severity;
pub mod standard;
mod stream;
mod tls;
pub mod wire;

pub use agent::{Agent, AgentDescriptor, LibraryDescriptor};
pub use certificate::{Certificate, CertificateDetails, CertificateFault};
pub use cx::{Cx, Declared, Named, Value};
pub use datagram::Datagram;
pub use door::{Door, TlsMode};
pub use error::{AgentError, ConfigFault, ErrorKind};
pub use file::File;
pub use files::{DirEntry, FileKind, FileStat};
pub use http::{HttpBody, HttpHead, HttpRequest, HttpResponse, HttpTimes, Keep};
pub use laps::Laps;
pub use lines::Lines;
pub use login::Login;
pub use metric::{Kind, LABELS_RESERVED, Metric, MetricSpec, NAME_CHARS_MAX, Unit};
pub use needs::{Needs, Port, Transport};
pub use path::{PATH_MARK, PathBuf};
pub use program::{Child, Exit, Output, Program};
pub use quoted::quoted;
pub use resolve::{RecordType, Resolver};
pub use scan::{Scan, ScanNames};
pub use secret::{SECRET_MARK, Secret};
pub use severity::{Level, Severity};
pub use stream::{Endpoint, Ends, Stream};
pub use tls::{Tls, TlsFacts, TlsVerdict};

/// Version of this interface.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What `use watchpost_plugin_api::prelude::*` brings: enough for an agent in one file.
pub mod prelude {
    pub use crate::{
        Agent, AgentError, Cx, Datagram, Door, Endpoint, ErrorKind, File, FileKind, FileStat, HttpRequest, HttpResponse, Keep, Laps, Level,
        Lines, Login, Metric, Needs, PathBuf, Program, RecordType, Resolver, Secret, Severity, Stream, Tls, TlsFacts, TlsMode, TlsVerdict,
        Unit, export_agents, standard,
    };
    pub use schemars::{self, JsonSchema};
    pub use serde::Deserialize;
    pub use std::{
        num::{NonZeroU16, NonZeroU32, NonZeroU64},
        path::Path,
        time::Duration,
    };
    pub use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
}

#[doc(hidden)]
pub mod __private {
    //! What [`export_agents!`](crate::export_agents) expands to; not for hands.
    pub use crate::agent::{create, describe, entry, examine, leak, no_agent, to_json};
    pub use abi_stable::library::{__call_root_module_loader, CheckTypeLayout, LibHeader, RootModuleResult};
}
