//! Runs an agent without a host and without a shared library, against servers that follow a script.
//!
//! Reading order: [`Kit`] (an agent made from a configuration, run as a worker runs it) · [`Ran`] (what a run gave) ·
//! [`Script`] (what a server says and waits for) · [`Server`] (one that does it, line by line) · [`PacketServer`] (one of whole messages,
//! UDP and TCP) · [`Authority`] (certificates, good and bad).
//!
//! ```
//! # use watchpost_testkit::{Script, Server};
//! # async fn story() -> Result<(), watchpost_testkit::StoryError> {
//! let script = Script::new().say("220 hi").expect("EHLO").say("250 ok").cut();
//! let server = Server::start(script).await?;
//! // … run an agent against server.port() …
//! let served = server.served().await?;
//! assert_eq!(served.heard, ["EHLO [127.0.0.1]"]);
//! # Ok(()) }
//! ```
//! Everything here has a deadline: a test that goes wrong fails, it does not hang.

mod authority;
mod entrance;
mod http;
mod kit;
mod packets;
mod page;
mod ran;
mod script;
mod secrets;
mod server;
mod wire;

pub use authority::{Authority, ClientCertificate, ServerTls};
pub use http::{Asked, HttpServer, Pages};
pub use kit::Kit;
pub use packets::{Answers, PacketServer};
pub use page::Page;
pub use ran::Ran;
pub use script::{Script, Step};
pub use server::{Served, Server, StoryError};
pub use watchpost_services::dialogue::{Said, Speaker};
