//! What a running agent may ask for, and what its run gave. Used by the worker and by the test kit.
//!
//! Reading order: [`JobServices::run`] (one run of an agent) · [`outcome`] (what it gave) · [`dialogue`] (what was said meanwhile) ·
//! [`descriptors`] (what no program inherits) · [`birthmark`] (by what one is known).

mod answers;
pub mod birthmark;
mod certificate;
mod datagram;
pub mod descriptors;
pub mod dialogue;
mod files;
mod http;
mod inspect;
mod kept;
pub mod mask;
mod need;
pub mod network;
pub mod outcome;
mod program;
mod refusal;
mod resolve;
mod results;
mod run;
mod shown;
mod stream;
mod tls;
mod waiting;

pub use kept::{Kept, expired};
pub use program::obstacle;
pub use refusal::tls_reason;
pub use run::{JobServices, LogSink, Request, Shared};
