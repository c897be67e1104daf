//! All that an agent's author needs, and nothing of the host.
//!
//! Reading order: [`Agent`] (what an author writes) · [`Cx`] (what a run may ask for) · [`Metric`] (what it declares) ·
//! [`AgentError`] (how it fails) · [`Door`] (where a service is entered) · [`Lines`] (line-based protocols) ·
//! [`export_agents!`] (how a library carries agents).
//! The ABI lives in one module, [`abi`]; no author needs it.
//!
//! This interface is open to change until its own issue freezes it.

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
pub use error::{AgentError, ErrorKind};
pub use file::File;
pub use files::{DirEntry, FileKind, FileStat};
pub use http::{HttpBody, HttpHead, HttpRequest, HttpResponse, HttpTimes, Keep};
pub use laps::Laps;
pub use lines::Lines;
pub use login::Login;
pub use metric::{Kind, LABELS_RESERVED, Metric, MetricSpec, NAME_CHARS_MAX, Unit};
pub use needs::{Needs, Port, Transport};
pub use path::{PATH_MARK, PathBuf};
pub use quoted::quoted;
pub use resolve::{RecordType, Resolver};
pub use scan::{Scan, ScanNames};
pub use secret::{SECRET_MARK, Secret};
pub use severity::{Level, Severity};
pub use stream::{Endpoint, Ends, Stream};
pub use tls::{Tls, TlsFacts, TlsVerdict};

/// What `use watchpost_plugin_api::prelude::*` brings: enough for an agent in one file.
pub mod prelude {
    pub use crate::{
        Agent, AgentError, Cx, Datagram, Door, Endpoint, ErrorKind, File, FileKind, FileStat, HttpRequest, HttpResponse, Keep, Laps, Level,
        Lines, Login, Metric, Needs, PathBuf, RecordType, Resolver, Secret, Severity, Stream, Tls, TlsFacts, TlsMode, TlsVerdict, Unit,
        export_agents, standard,
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
